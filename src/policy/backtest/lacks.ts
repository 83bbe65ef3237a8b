/** What a policy reads that a record does not have: such a record cannot be decided again, and guessing would be worse. */
import type { Policy } from '../compile.js';
import { HISTORY_FILE, type HistorySet } from '../history/fact.js';
import { LIMITS_FILE } from '../limits/limit.js';
import type { DecidedRecord } from './redecide.js';

/** What a policy reads, as its texts say. */
export class Readings {
  readonly #texts: string;
  readonly #limits: string;
  readonly #historyText: string;
  readonly #history: HistorySet;
  readonly #mentioned = new Map<string, boolean>();

  constructor({ bundle, history }: Policy) {
    const files = Object.entries(bundle.files);
    this.#texts = files
      .filter(([file]) => file.endsWith('.cedar') || file === LIMITS_FILE)
      .map(([, text]) => text)
      .join('\n');
    this.#limits = bundle.files[LIMITS_FILE] ?? '';
    this.#historyText = bundle.files[HISTORY_FILE] ?? '';
    this.#history = history;
  }

  get historyReadsInput(): boolean {
    return this.#history.facts.some(({ same }) => same.length > 0);
  }

  get historyReadsTrace(): boolean {
    return this.#history.facts.some(({ scope }) => scope.includes('task'));
  }

  get limitsReadInput(): boolean {
    return /\binput\b/.test(this.#limits);
  }

  get limitsReadTrace(): boolean {
    return /\btrace\b/.test(this.#limits);
  }

  get namesAgents(): boolean {
    return /\bAgent\s*::\s*"/.test(this.#texts) || this.mentions('id');
  }

  /** Whether a text reads an attribute of this name, of whatever value: more than what reads the one that is meant, and never less. */
  mentions(name: string): boolean {
    let known = this.#mentioned.get(name);
    if (known === undefined) {
      const escaped = name.replaceAll(/[.*+?^${}()|[\]\\/-]/g, String.raw`\$&`);
      known =
        new RegExp(String.raw`(?:\.\s*|\[\s*["']|\bhas\s+["']?)${escaped}(?![\w])`).test(this.#texts) ||
        new RegExp(String.raw`(?<![\w])${escaped}(?![\w])`).test(this.#historyText);
      this.#mentioned.set(name, known);
    }
    return known;
  }
}

/** Why a record cannot be decided again under a policy, in one sentence. Undefined when it can. */
export function lacking(
  record: DecidedRecord,
  policy: Policy,
  readings: Readings,
  sameSchema: boolean,
): string | undefined {
  const { decision, error, proposal } = record;
  if (decision === undefined && error?.code !== 'POLICY_ERROR') {
    return `it ended with ${error?.code ?? record.status} before policy had decided, because of what no record holds`;
  }
  if (proposal === undefined) {
    if (readings.limitsReadInput) return 'a limit reads the input, and the proposal was not kept';
    if (readings.limitsReadTrace) return 'a limit reads the trace, and the proposal was not kept';
    if (readings.historyReadsInput) return 'a history fact reads the input, and the proposal was not kept';
    if (readings.historyReadsTrace) return 'a history fact reads the trace, and the proposal was not kept';
    if (!sameSchema && declaresInput(policy, record)) {
      return 'the schema declares of the input what may not have been recorded, and the proposal was not kept';
    }
  }
  if (decision?.violations.some(({ policy: by }) => by.startsWith('limit:delegation:') && !hasFigure(record, by))) {
    return 'a delegation capped what no budget measured, and such caps are not recorded';
  }
  return (record.scrubbed ?? []).map((pointer) => readScrubbed(pointer, readings)).find((why) => why !== undefined);
}

function declaresInput(policy: Policy, { facts }: DecidedRecord): boolean {
  try {
    return policy.declaredInput(facts.actionType, {}) !== undefined;
  } catch {
    return true;
  }
}

function hasFigure({ facts }: DecidedRecord, policy: string): boolean {
  return facts.limits?.some(({ limit }) => `limit:${limit}` === policy) === true;
}

function readScrubbed(pointer: string, readings: Readings): string | undefined {
  if (!/^\/(?:proposal\/(?:input|traceId)|facts|result)(?:\/|$)/.test(pointer)) return undefined;
  const names = pointer.split('/').filter((part) => part !== '' && !/^\d+$/.test(part));
  const name = (names.at(-1) ?? '').replaceAll('~1', '/').replaceAll('~0', '~');
  const reads =
    pointer === '/facts/agent/id' ? readings.namesAgents : readings.mentions(name) || isWhole(name, readings);
  return reads ? `the policy may read ${name}, which was scrubbed (${pointer})` : undefined;
}

function isWhole(name: string, readings: Readings): boolean {
  if (name === 'input') return readings.limitsReadInput || readings.historyReadsInput;
  return name === 'traceId' && (readings.limitsReadTrace || readings.historyReadsTrace);
}
