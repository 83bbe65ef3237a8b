/** What recorded actions hold of limits in both worlds: as it was, and as it would have been. */
import type { DecisionRecord, RecordedHold } from '../../action/decision-record.js';
import { DISPOSITIONS, type LimitDemand } from '../../action/limits.js';
import type { ResolvedLimit } from '../limits/resolved.js';
import type { HoldSpending } from './counters.js';
import type { Worlds } from './world.js';

export interface HoldingPlan {
  /** What the recorded policy asked. Undefined when that policy is not known. */
  readonly before: readonly ResolvedLimit[] | undefined;
  /** What the candidate asks. Undefined when it cannot be told. */
  readonly now: readonly ResolvedLimit[] | undefined;
  /** Whether the action goes on to its effect under the candidate. */
  readonly happens: boolean;
  /** Nothing is known of how it would have ended. */
  readonly newly?: boolean;
}

export class Holdings {
  readonly #worlds: Pick<Worlds, 'recorded' | 'candidate'>;
  readonly #plans = new Map<string, HoldingPlan>();

  constructor(worlds: Pick<Worlds, 'recorded' | 'candidate'>) {
    this.#worlds = worlds;
  }

  /** Keeps what is to be placed and settled of an action, until it is. */
  plan(record: DecisionRecord, plan: HoldingPlan): void {
    this.#plans.set(nameOf(record), plan);
  }

  place(record: DecisionRecord, at: number): void {
    const plan = this.#plans.get(nameOf(record));
    if (plan === undefined) return;
    const { tenant, actionId, holds } = record;
    const recorded = new Set(holds.map(idOf));
    for (const { demand } of plan.before ?? []) {
      if (recorded.has(idOf(demand))) this.#worlds.recorded.place(tenant, actionId, demand, at);
    }
    if (!plan.happens) return;
    for (const { demand } of plan.now ?? []) this.#worlds.candidate.place(tenant, actionId, demand, at);
  }

  settle(record: DecisionRecord, at: number): void {
    const plan = this.#plans.get(nameOf(record));
    if (plan === undefined) return;
    this.#plans.delete(nameOf(record));
    const { tenant, actionId, holds } = record;
    const recorded = new Map(holds.map((hold) => [idOf(hold), hold]));
    const then = new Map(plan.before?.map(({ demand }) => [idOf(demand), demand]));
    for (const [id, demand] of then) {
      const hold = recorded.get(id);
      if (hold !== undefined) this.#worlds.recorded.settle(tenant, actionId, demand, asRecorded(hold, record), at);
    }
    if (plan.happens) {
      for (const limit of plan.now ?? []) {
        const id = idOf(limit.demand);
        const how = settledAs(limit, recorded.get(id), then.get(id), record, plan.newly === true);
        this.#worlds.candidate.settle(tenant, actionId, limit.demand, how, at);
      }
    }
    this.#worlds.recorded.forget(tenant, actionId);
    this.#worlds.candidate.forget(tenant, actionId);
  }
}

function settledAs(
  limit: ResolvedLimit,
  hold: RecordedHold | undefined,
  then: LimitDemand | undefined,
  record: DecisionRecord,
  newly: boolean,
): HoldSpending {
  if (newly) return { disposition: 'consume', result: 'good' };
  if (hold !== undefined && then !== undefined && amountOf(then) === amountOf(limit.demand)) {
    return asRecorded(hold, record);
  }
  const disposition = record.attempted || record.holds.length > 0 ? DISPOSITIONS[record.status] : 'consume';
  const spent = disposition === 'consume' ? spentOf(limit, record) : undefined;
  return { disposition, result: resultOf(record), ...(spent === undefined ? {} : { spent }) };
}

/** As the ledger settled it. */
function asRecorded({ kind, status, amount }: RecordedHold, record: DecisionRecord): HoldSpending {
  if (kind === 'breaker') {
    return { disposition: 'consume', result: status === 'consumed' ? resultOf(record) : undefined };
  }
  switch (status) {
    case 'consumed':
      return { disposition: 'consume', spent: amount };
    case 'released':
      return { disposition: 'release' };
    case 'held':
    case 'kept':
      return { disposition: 'keep' };
  }
}

/** What was spent of a budget, by what the tool answered. Undefined where nothing tells: then what was held is spent. */
export function spentOf({ settled }: ResolvedLimit, { result }: DecisionRecord): number | undefined {
  if (result === undefined) return undefined;
  try {
    return settled?.(result);
  } catch {
    return undefined;
  }
}

/** What a breaker is told: nothing of what never reached the tool. */
export function resultOf({ status, attempted }: DecisionRecord): HoldSpending['result'] {
  if (status === 'success') return 'good';
  if (status === 'mismatch' || status === 'unknown') return 'bad';
  return status === 'failed' && attempted ? 'bad' : undefined;
}

function amountOf(demand: LimitDemand): number {
  return 'amount' in demand ? demand.amount : 0;
}

function nameOf({ tenant, actionId }: DecisionRecord): string {
  return `${tenant}/${actionId}`;
}

function idOf({ limit, key, kind }: Pick<LimitDemand, 'limit' | 'key' | 'kind'>): string {
  return `${limit}\n${key}\n${kind}`;
}
