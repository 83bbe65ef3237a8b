/**
 * Proposes what people need not be asked about any more, from what they approved every time. Pure: it makes the text of a draft, and each
 * proposal was backtested alone: nothing that was ever denied, refused or left unanswered becomes allowed by it.
 */
import type { DecisionRecord } from '../action/decision-record.js';
import { backtest, type DecisionChange } from './backtest/index.js';
import { standingOf } from './backtest/change.js';
import { bundleFromFiles, type PolicyBundle } from './bundle.js';
import { compilePolicy, type Policy } from './compile.js';

export interface Suggestion {
  readonly rule: string;
  readonly agent: string;
  readonly tool: string;
  readonly operation: string;
  readonly environment: string;
  /** The largest number of rows that people approved. */
  readonly maxRows: number;
  /** What all of them wrote to. */
  readonly targets: readonly string[];
  readonly approved: number;
  readonly approvers: readonly string[];
  /** `dora approved 42 of 42 …`. */
  readonly sentence: string;
  /** The file of the rule, as it would be. */
  readonly file: string;
  readonly text: string;
  /** How many decisions need no approval any more with it. */
  readonly spared: number;
  /** The command that a person would give for the same in advance. */
  readonly standingApproval: string;
}

export interface SuggestOptions {
  readonly policy: Policy;
  readonly recordedUnder?: readonly Pick<PolicyBundle, 'digest' | 'files'>[];
  /** How often people must have approved it. */
  readonly atLeast: number;
}

interface Candidate {
  readonly rule: string;
  readonly records: DecisionRecord[];
  refused: boolean;
}

export function suggest(
  records: readonly DecisionRecord[],
  { policy, recordedUnder = [], atLeast }: SuggestOptions,
): readonly Suggestion[] {
  const drafts = [...candidatesOf(records)]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .filter(([, { records: own, refused }]) => !refused && own.length >= atLeast)
    .flatMap(([, candidate]) => draft(candidate, policy) ?? []);
  if (drafts.length === 0) return [];
  // What the policy as it is changes alike is not what an exception adds.
  const already = new Set(backtest(records, { candidate: policy, recordedUnder }).changes.map(changeText));
  return drafts.flatMap((drafted): readonly Suggestion[] => {
    const candidate = compiled({ ...policy.bundle.files, [drafted.file]: drafted.text });
    if (candidate === undefined) return [];
    const { changes } = backtest(records, { candidate, recordedUnder });
    const spared = sparedBy(changes.filter((change) => !already.has(changeText(change))));
    return spared === 0 ? [] : [{ ...drafted, spared }];
  });
}

/** By agent, tool, operation, environment and the rule that asked. Only where one rule alone asked does lifting it spare anybody. */
function candidatesOf(records: readonly DecisionRecord[]): ReadonlyMap<string, Candidate> {
  const found = new Map<string, Candidate>();
  for (const record of records) {
    const { facts, decision, approvals, scrubbed } = record;
    if (facts === undefined || decision?.effect !== 'require_approval' || scrubbed !== undefined) continue;
    const [rule, ...others] = new Set(decision.requirements.map(({ policy }) => policy));
    if (rule === undefined || others.length > 0 || rule.startsWith('limit:')) continue;
    const { agent, tool, operation } = facts;
    const key = JSON.stringify([agent.id, tool.name, operation, tool.environment, rule]);
    const candidate = found.get(key) ?? { rule, records: [], refused: false };
    found.set(key, candidate);
    if (standingOf(decision, approvals) === 'approved') candidate.records.push(record);
    else candidate.refused = true;
  }
  return found;
}

/** The rule with an exception for just this. Undefined where the rule is not there any more. */
function draft({ rule: id, records }: Candidate, policy: Policy): Omit<Suggestion, 'spared'> | undefined {
  const rule = policy.rules.find((one) => one.id === id && one.approvals !== undefined);
  const [first] = records;
  if (rule === undefined || first?.facts === undefined) return undefined;
  const { agent, tool, operation } = first.facts;
  const previews = records.flatMap(({ facts }) => (facts === undefined ? [] : [facts.preview]));
  const maxRows = Math.max(...previews.map(({ rows }) => rows));
  const targets = [...new Set(previews.flatMap((preview) => preview.targets))].sort();
  const approvers = [...new Set(records.flatMap(({ approvals }) => approvals.map(({ approver }) => approver)))].sort();
  const text = (value: string): string => JSON.stringify(value);
  const exception = [
    `principal == Countersign::Agent::${text(agent.id)}`,
    `resource == Countersign::Tool::${text(tool.name)}`,
    `context.environment == ${text(tool.environment)}`,
    `context.operation == ${text(operation)}`,
    `context.rows <= ${maxRows}`,
    `[${targets.map(text).join(', ')}].containsAll(context.targets)`,
  ].filter((condition) => targets.length > 0 || !condition.startsWith('['));
  const file = rule.place.file;
  const whole = policy.bundle.files[file] ?? '';
  const excepted = rule.text.replace(/;\s*$/, `\nunless {\n  ${exception.join(' &&\n  ')}\n};`);
  const what = `${operation} on ${tool.name} (${tool.environment}) by ${agent.id}`;
  return {
    rule: id,
    agent: agent.id,
    tool: tool.name,
    operation,
    environment: tool.environment,
    maxRows,
    targets,
    approved: records.length,
    approvers,
    sentence: `${approvers.join(', ')} approved ${records.length} of ${records.length}: ${what}, at most ${maxRows} rows`,
    file,
    text: whole.replace(rule.text, () => excepted),
    standingApproval: `countersign standing-approval grant ${quoted(agent.id)} --tool ${quoted(tool.name)} --operation ${quoted(operation)} --environment ${quoted(tool.environment)} --max-rows ${maxRows} --expires 30d --reason "…"`,
  };
}

/** How many decisions an exception spares people by what it adds: none where it would allow what was not allowed before. */
function sparedBy(added: readonly DecisionChange[]): number {
  if (added.some(({ kind }) => kind === 'newly-allowed' || kind === 'newly-askable')) return 0;
  return added.filter(({ kind }) => kind === 'no-longer-asked').length;
}

function changeText({ kind, tenant, actionId }: DecisionChange): string {
  return `${kind} ${tenant}/${actionId}`;
}

/** Undefined where the exception does not fit the policy's own schema. */
function compiled(files: PolicyBundle['files']): Policy | undefined {
  try {
    return compilePolicy(bundleFromFiles(files));
  } catch {
    return undefined;
  }
}

function quoted(text: string): string {
  return /^[A-Za-z0-9._:@/-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
