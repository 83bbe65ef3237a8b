/** Decides recorded actions again under a candidate, in order, with limits and approvals as they were, and says what changes. Pure. */
import type { DecisionRecord } from '../../action/decision-record.js';
import { inOrderOfDecision } from '../../action/decision-record.js';
import type { Digest } from '../../action/json.js';
import type { LimitFigure, LimitReading } from '../../action/limits.js';
import { bundleFromFiles, type PolicyBundle } from '../bundle.js';
import { compilePolicy, type Policy } from '../compile.js';
import { HISTORY_FILE } from '../history/fact.js';
import { LIMITS_FILE } from '../limits/limit.js';
import type { ResolvedLimit, ResolvedLimits } from '../limits/resolved.js';
import { SCHEMA_FILE } from '../rules.js';
import { changeKind, rulesOf, standingOf, toTheLetter, type Standing } from './change.js';
import { Histories } from './histories.js';
import { Holdings } from './holdings.js';
import { lacking, Readings } from './lacks.js';
import {
  ask,
  decisionOf,
  isOfPolicy,
  redecide,
  sameFile,
  type Asked,
  type DecidedRecord,
  type Redecided,
} from './redecide.js';
import type { BacktestReport, DecisionChange, Money } from './report.js';
import { translation, type Translate } from './recorded-demands.js';
import { Tally } from './tally.js';
import { timeline } from './timeline.js';
import { Worlds } from './world.js';

/** A policy as it is stored. */
export type RecordedBundle = Pick<PolicyBundle, 'digest' | 'files'>;

export interface BacktestOptions {
  readonly candidate: Policy;
  /** The policies that the decisions were made under, as far as they are known: without them limits count from the records alone. */
  readonly recordedUnder?: readonly RecordedBundle[];
  /** Actions of which no record could be read, as `<tenant>/<actionId>`, and why: they count as undecided. */
  readonly unread?: readonly { readonly name: string; readonly why: string }[];
}

/** @throws CountersignError INTERNAL */
export function backtest(records: readonly DecisionRecord[], options: BacktestOptions): BacktestReport {
  return new Backtest(options).run([...records].sort(inOrderOfDecision));
}

class Backtest {
  readonly #candidate: Policy;
  readonly #readings: Readings;
  readonly #recordedUnder: ReadonlyMap<Digest, RecordedBundle>;
  readonly #compiled = new Map<Digest, Policy | undefined>();
  readonly #translations = new Map<Digest, Translate | undefined>();
  readonly #worlds = new Worlds();
  readonly #holdings = new Holdings(this.#worlds);
  readonly #histories = new Histories();
  readonly #tally = new Tally();

  constructor({ candidate, recordedUnder = [], unread = [] }: BacktestOptions) {
    this.#candidate = candidate;
    for (const { name, why } of unread) this.#tally.unread(name, why);
    this.#readings = new Readings(candidate);
    this.#recordedUnder = new Map(recordedUnder.map((one) => [one.digest, one]));
  }

  run(records: readonly DecisionRecord[]): BacktestReport {
    for (const { kind, index, at } of timeline(records)) {
      const record = records[index] as DecisionRecord;
      if (kind === 'decide') this.#decide(record, at);
      else if (kind === 'place') this.#place(record, at);
      else this.#settle(record, at);
    }
    return this.#tally.report(this.#candidate.digest);
  }

  #place(record: DecisionRecord, at: number): void {
    this.#holdings.place(record, at);
    this.#histories.place(record, at);
  }

  #settle(record: DecisionRecord, at: number): void {
    this.#holdings.settle(record, at);
    this.#histories.settle(record);
  }

  #decide(record: DecisionRecord, at: number): void {
    this.#tally.record(record);
    if (record.facts === undefined) return this.#tally.beforePolicy();
    const decided = record as DecidedRecord;
    const recorded = this.#bundleOf(record.decision?.policyDigest);
    const sameSchema = recorded !== undefined && sameFile(recorded, this.#candidate.bundle, SCHEMA_FILE);
    const why = lacking(decided, this.#candidate, this.#readings, sameSchema);
    const before = decisionOf(record, this.#candidate);
    const asked = why === undefined ? ask(this.#candidate, decided, sameSchema) : undefined;
    const then = recorded && this.#asked(decided, recorded, asked);
    if (before === undefined || asked === undefined) {
      this.#tally.undecided(record, why ?? 'no decision was recorded');
      // What it held was held all the same.
      this.#holdings.plan(record, { before: then?.limits, now: then?.limits, happens: record.holds.length > 0 });
      return this.#planHistory(decided, recorded, { happens: record.attempted, newly: false });
    }

    const { after, readings } = this.#redecide(decided, asked, then?.limits, recorded, at);
    const standing = {
      before: standingOf(before, record.approvals),
      after: standingOf(after.decision, record.approvals),
    };
    const letter = toTheLetter(before, after.decision);
    const kind = changeKind(
      { decision: before, standing: standing.before },
      { ...after, standing: standing.after },
      { waited: record.error?.code === 'LIMIT_EXCEEDED', letter },
    );
    const resolved = asked.kind === 'asked' ? asked.resolved : undefined;
    const course = {
      happens: happens(record, standing.before, standing.after),
      newly: kind === 'newly-allowed',
    };
    this.#holdings.plan(record, { before: then?.limits, now: resolved?.limits, ...course });
    this.#planHistory(decided, recorded, course);
    this.#noteExhausted(decided, resolved?.limits ?? [], readings);
    const change: DecisionChange | undefined =
      kind === undefined
        ? undefined
        : {
            kind,
            tenant: record.tenant,
            actionId: record.actionId,
            decidedAt: record.decidedAt,
            agent: decided.facts.agent.id,
            tool: decided.facts.tool.name,
            operation: decided.facts.operation,
            targets: decided.facts.preview.targets.slice(0, 5),
            before: told(before, standing.before),
            after: told(after.decision, standing.after),
            rules: rulesOf(before, after.decision),
            amounts: moneyOf(resolved ?? then),
          };
    this.#tally.redecided(record.decidedAt, before.effect, after.decision.effect, letter, change);
  }

  #redecide(
    record: DecidedRecord,
    asked: Asked,
    then: readonly ResolvedLimit[] | undefined,
    recorded: RecordedBundle | undefined,
    at: number,
  ): { readonly after: Redecided; readonly readings: readonly LimitReading[] } {
    if (asked.kind === 'unusable') return { after: { decision: asked.decision, queued: false }, readings: [] };
    const figures = record.facts.limits ?? [];
    const readings = this.#worlds.read(record, asked.resolved.limits, then, figures.filter(isOfPolicy), at);
    const history = this.#histories.read(record, this.#candidate, this.#historyPolicyOf(recorded), at);
    return { after: redecide(this.#candidate, record, asked, readings, history), readings };
  }

  #planHistory(
    record: DecidedRecord,
    recorded: RecordedBundle | undefined,
    course: { readonly happens: boolean; readonly newly: boolean },
  ): void {
    this.#histories.plan(record, { candidate: this.#candidate, recorded: this.#historyPolicyOf(recorded), ...course });
  }

  /** Compiled only where it has history facts that the candidate may share. */
  #historyPolicyOf(recorded: RecordedBundle | undefined): Policy | undefined {
    if (recorded?.files[HISTORY_FILE] === undefined || this.#candidate.history.facts.length === 0) return undefined;
    return this.#policyOf(recorded);
  }

  /** What the recorded policy asked of its limits. Where the candidate's limits are the same text, they ask the same. */
  #asked(record: DecidedRecord, recorded: RecordedBundle, asked: Asked | undefined): ResolvedLimits | undefined {
    if (asked?.kind === 'asked') {
      if (sameFile(recorded, this.#candidate.bundle, LIMITS_FILE)) return asked.resolved;
      const translate = this.#translationOf(recorded);
      if (translate !== undefined) return { ...asked.resolved, limits: translate(asked.resolved.limits) };
    }
    const policy = this.#policyOf(recorded);
    const own = policy && ask(policy, record, true);
    return own?.kind === 'asked' ? own.resolved : undefined;
  }

  #noteExhausted(record: DecidedRecord, limits: readonly ResolvedLimit[], readings: readonly LimitReading[]): void {
    const had = new Map(
      (record.facts.limits ?? []).map((figure): [string, LimitFigure] => [`${figure.limit}\n${figure.key}`, figure]),
    );
    for (const [index, { limit, key, fits }] of readings.entries()) {
      if (fits || had.get(`${limit}\n${key}`)?.fits === false) continue;
      const demand = limits[index]?.demand;
      const asked = demand?.kind === 'budget' ? { amount: demand.amount, unit: demand.unit } : undefined;
      this.#tally.exhausted({ limit, key, tenant: record.tenant }, record.decidedAt, asked);
    }
  }

  #bundleOf(digest: Digest | undefined): RecordedBundle | undefined {
    if (digest === undefined) return undefined;
    return digest === this.#candidate.digest ? this.#candidate.bundle : this.#recordedUnder.get(digest);
  }

  #translationOf(bundle: RecordedBundle): Translate | undefined {
    if (!this.#translations.has(bundle.digest)) {
      this.#translations.set(bundle.digest, translation(bundle, this.#candidate.bundle));
    }
    return this.#translations.get(bundle.digest);
  }

  /** Compiled when it is first needed. Undefined where it is no policy for this version any more. */
  #policyOf(bundle: RecordedBundle): Policy | undefined {
    if (bundle.digest === this.#candidate.digest) return this.#candidate;
    if (!this.#compiled.has(bundle.digest)) this.#compiled.set(bundle.digest, compiled(bundle));
    return this.#compiled.get(bundle.digest);
  }
}

function compiled(bundle: RecordedBundle): Policy | undefined {
  try {
    return compilePolicy(bundleFromFiles(bundle.files));
  } catch {
    return undefined;
  }
}

/** Whether the action goes on to its effect under the candidate. What people were not asked about counts as approved. */
function happens(record: DecisionRecord, before: Standing, after: Standing): boolean {
  const went = record.holds.length > 0 || record.attempted;
  if (after === 'denied' || after === 'refused') return false;
  if (before === 'allowed' || before === 'approved') return went;
  return after === 'allowed' || after === 'approved';
}

function told(
  { effect, code, reason }: NonNullable<DecisionRecord['decision']>,
  standing: Standing,
): DecisionChange['before'] {
  return { effect, standing, ...(code === undefined ? {} : { code }), reason };
}

/** The largest amount of each unit: budgets of one unit measure the same money. */
function moneyOf(resolved: ResolvedLimits | undefined): Money {
  const amounts: Record<string, number> = {};
  for (const { unit, amount } of resolved?.measured ?? []) amounts[unit] = Math.max(amounts[unit] ?? 0, amount);
  return amounts;
}
