/**
 * Counts for a policy in shadow what only its own limits count: from the records of actions that have ended, and from what the live policy lets
 * pass now. Nothing is held in the ledger. It counts what really happened, but for what one of these limits would have denied.
 */
import type { DecisionRecord } from '../../action/decision-record.js';
import { DISPOSITIONS, type LimitDemand, type LimitReading } from '../../action/limits.js';
import { ask, type DecidedRecord } from '../backtest/redecide.js';
import { Counters, type HoldSpending } from '../backtest/counters.js';
import { resultOf, spentOf } from '../backtest/holdings.js';
import { microsecondsOf } from '../backtest/windows.js';
import type { Policy } from '../compile.js';
import type { ResolvedLimit } from '../limits/resolved.js';

export class ShadowCounters {
  readonly #candidate: Policy;
  readonly #own: ReadonlySet<string>;
  readonly #counters = new Counters();
  /** The actions that were counted, each once, whatever order its parts come in. */
  readonly #actions = new Map<string, 'held' | 'over'>();

  constructor(candidate: Policy, own: ReadonlySet<string>) {
    this.#candidate = candidate;
    this.#own = own;
  }

  /** How many actions it knows of. */
  get size(): number {
    return this.#actions.size;
  }

  counts({ limit }: Pick<LimitDemand, 'limit'>): boolean {
    return this.#own.has(limit);
  }

  /** Microseconds since 1970. */
  read(tenant: string, actionId: string, demand: LimitDemand, at: number): LimitReading {
    return this.#counters.read(tenant, actionId, demand, at);
  }

  /** Counts an action that is under way, until its record says how it ended. */
  hold(tenant: string, actionId: string, demands: readonly LimitDemand[], at: number): void {
    const own = demands.filter((demand) => this.counts(demand));
    const key = keyOf(tenant, actionId);
    if (own.length === 0 || this.#actions.has(key)) return;
    for (const demand of own) this.#counters.place(tenant, actionId, demand, at);
    this.#actions.set(key, 'held');
  }

  /** Counts an action that has ended. */
  add(record: DecisionRecord): void {
    const { tenant, actionId } = record;
    const key = keyOf(tenant, actionId);
    const known = this.#actions.get(key);
    if (known === 'over') return;
    this.#actions.set(key, 'over');
    const own = this.#ownOf(record);
    const began = beganAt(record);
    if (known === undefined && (!happened(record) || !this.#room(record, own, began))) return;
    const ended = Math.max(began + 1, microsecondsOf(record.endedAt));
    for (const limit of own) {
      this.#counters.place(tenant, actionId, limit.demand, began);
      this.#counters.settle(tenant, actionId, limit.demand, spending(limit, record), ended);
    }
    this.#counters.forget(tenant, actionId);
  }

  #ownOf(record: DecisionRecord): readonly ResolvedLimit[] {
    if (record.facts === undefined) return [];
    const asked = ask(this.#candidate, record as DecidedRecord, false);
    return asked.kind === 'asked' ? asked.resolved.limits.filter(({ demand }) => this.counts(demand)) : [];
  }

  #room({ tenant, actionId }: DecisionRecord, own: readonly ResolvedLimit[], at: number): boolean {
    return own.every(
      ({ demand, atLimit }) => atLimit.kind !== 'deny' || this.#counters.read(tenant, actionId, demand, at).fits,
    );
  }
}

/** Whether the action got to its effect. */
function happened({ attempted, status }: DecisionRecord): boolean {
  return attempted || DISPOSITIONS[status] !== 'release';
}

/** When its holds were placed, where it had any. */
function beganAt({ holds, decidedAt }: DecisionRecord): number {
  return Math.max(microsecondsOf(decidedAt), ...holds.map(({ placedAt }) => microsecondsOf(placedAt)));
}

function spending(limit: ResolvedLimit, record: DecisionRecord): HoldSpending {
  return { disposition: DISPOSITIONS[record.status], result: resultOf(record), spent: spentOf(limit, record) };
}

function keyOf(tenant: string, actionId: string): string {
  return `${tenant}/${actionId}`;
}
