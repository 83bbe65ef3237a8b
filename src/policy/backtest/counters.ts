/** The counters of all limits in memory: what actions hold of them, from the placing of holds to their settling. */
import type { LimitDemand, LimitReading } from '../../action/limits.js';
import { askOf, CounterModel, read, sum, type Ask, type Held } from './counter.js';
import { slotOf } from './windows.js';

/** How a hold ends. */
export interface HoldSpending {
  readonly disposition: 'consume' | 'release' | 'keep';
  /** What a breaker is told. */
  readonly result?: 'good' | 'bad' | undefined;
  /** What was spent of a budget. Default: what was held. */
  readonly spent?: number | undefined;
}

interface Hold extends Held {
  /** `taken`: a rate's token, which is gone. */
  status: 'held' | 'kept' | 'taken' | 'settled';
  readonly counter: string;
}

/** Of a breaker's counter before its first result. */
const NO_WINDOW = { width: 0, keep: 0, zone: '' } as const;

/** `place` and `settle` do what `place_holds` and `settle_holds` of the ledger do, for one counter each. */
export class Counters {
  readonly #counters = new Map<string, CounterModel>();
  /** By action and counter. */
  readonly #holds = new Map<string, Map<string, Hold>>();
  /** The holds whose windows move with their counter's, by counter. */
  readonly #live = new Map<string, Set<Hold>>();

  read(tenant: string, action: string, demand: LimitDemand, at: number): LimitReading {
    const ask = askOf(demand);
    const id = counterId(tenant, demand);
    const own = this.#holds.get(actionKey(tenant, action))?.get(id);
    const counter = this.#counters.get(id) ?? new CounterModel(ask, at);
    return read(counter, demand, ask, at, own === undefined ? undefined : { ...own, live: own.status === 'held' });
  }

  /** Counts the demand, whether it fits or not. Placing the same amount again changes nothing. */
  place(tenant: string, action: string, demand: LimitDemand, at: number): void {
    const ask = askOf(demand);
    const id = counterId(tenant, demand);
    const holds = this.#holdsOf(tenant, action);
    const own = holds.get(id);
    // A breaker's counter comes with its first end: until then a hold on it changes nothing.
    const counter =
      ask.kind === 'breaker' ? (this.#counters.get(id) ?? new CounterModel(ask, at)) : this.#counterOf(id, ask, at);
    if (ask.kind === 'rate') {
      if (own !== undefined) return;
      counter.fullAt = Math.max(counter.fullAt ?? 0, at) + ask.width;
      holds.set(id, { ...heldIn(counter, ask, 1), counter: id, status: 'taken' });
      return;
    }
    if (ask.kind === 'breaker') {
      if (own?.status === 'held') counter.held -= own.amount;
      const probe = at >= (counter.openUntil ?? Infinity);
      if (probe) counter.held += 1;
      const hold = { ...heldIn(counter, ask, probe ? 1 : 0), opened: probe ? counter.opened : undefined };
      this.#keep(holds, id, { ...hold, counter: id, status: 'held' });
      return;
    }
    if (own?.status === 'held' && own.amount === ask.amount) return;
    counter.roll(at);
    if (own?.status === 'held' && counter.counts(own)) counter.add(own.slot, 0, -own.amount);
    this.#reshape(id, counter, ask, at);
    counter.add(counter.slot, 0, ask.amount);
    this.#keep(holds, id, { ...heldIn(counter, ask, ask.amount), counter: id, status: 'held' });
  }

  /** Ends what the action holds of a counter. What is not held any more is left alone. */
  settle(
    tenant: string,
    action: string,
    demand: Pick<LimitDemand, 'limit' | 'key' | 'kind'>,
    how: HoldSpending,
    at: number,
  ): void {
    const id = counterId(tenant, demand);
    const hold = this.#holds.get(actionKey(tenant, action))?.get(id);
    if (hold === undefined || (hold.status !== 'held' && hold.status !== 'kept')) return;
    const counter = this.#counterOf(id, demand.kind === 'breaker' ? { ...hold.ask, ...NO_WINDOW } : hold.ask, at);
    if (how.disposition === 'keep' && demand.kind !== 'breaker') {
      hold.status = 'kept';
      return;
    }
    if (demand.kind === 'breaker') settleBreaker(counter, hold, how.result, at);
    else if (counter.counts(hold)) counter.add(hold.slot, spentOf(demand.kind, hold, how), -hold.amount);
    hold.status = 'settled';
    this.#live.get(id)?.delete(hold);
  }

  #keep(holds: Map<string, Hold>, id: string, hold: Hold): void {
    const live = this.#live.get(id) ?? new Set();
    this.#live.set(id, live);
    const before = holds.get(id);
    if (before !== undefined) live.delete(before);
    holds.set(id, hold);
    live.add(hold);
  }

  /** Gives the counter another window, and moves the holds that it counts along. */
  #reshape(id: string, counter: CounterModel, ask: Ask, at: number): void {
    const { width, keep, zone } = ask;
    if (counter.width === width && counter.keep === keep && counter.zone === zone) return;
    const slot = slotOf(at, width, zone);
    for (const hold of this.#live.get(id) ?? []) {
      if (counter.counts(hold)) Object.assign(hold, { width, keep, zone, slot });
    }
    counter.shape(ask, at);
  }

  #counterOf(id: string, ask: Ask, at: number): CounterModel {
    const known = this.#counters.get(id);
    if (known !== undefined) return known;
    const counter = new CounterModel(ask, at);
    this.#counters.set(id, counter);
    return counter;
  }

  #holdsOf(tenant: string, action: string): Map<string, Hold> {
    const key = actionKey(tenant, action);
    const holds = this.#holds.get(key) ?? new Map<string, Hold>();
    this.#holds.set(key, holds);
    return holds;
  }

  /** Forgets an action that has ended: it places nothing again. */
  forget(tenant: string, action: string): void {
    this.#holds.delete(actionKey(tenant, action));
  }
}

function heldIn({ width, keep, zone, slot }: CounterModel, ask: Ask, amount: number): Held {
  return { amount, width, keep, zone, slot, ask };
}

function spentOf(kind: LimitDemand['kind'], hold: Held, { disposition, spent }: HoldSpending): number {
  if (disposition === 'release' || kind === 'concurrency') return 0;
  return kind === 'budget' ? (spent ?? hold.amount) : hold.amount;
}

function settleBreaker(counter: CounterModel, hold: Held, result: HoldSpending['result'], at: number): void {
  counter.held -= hold.amount;
  if (result === undefined) return;
  const { ask } = hold;
  counter.shape(ask, at);
  const open = (): void => {
    counter.openUntil = at + ask.openFor;
    counter.opened += 1;
    counter.proved = 0;
  };
  if (counter.openUntil === undefined) {
    counter.add(counter.slot, result === 'bad' ? 1 : 0, result === 'bad' ? 0 : 1);
    const results = counter.used + sum(...counter.slotHeld);
    if (results >= ask.minimum && counter.used >= ask.ratio * results) open();
    return;
  }
  // Only the probes of this half-open time tell; what was on its way since before does not.
  if (hold.opened !== counter.opened) return;
  if (result === 'bad') open();
  else if (counter.proved + 1 < ask.max) counter.proved += 1;
  else {
    counter.openUntil = undefined;
    counter.proved = 0;
    counter.used = 0;
    counter.slots = [];
    counter.slotUsed = [];
    counter.slotHeld = [];
  }
}

export function counterId(tenant: string, { limit, key, kind }: Pick<LimitDemand, 'limit' | 'key' | 'kind'>): string {
  return `${tenant}\n${limit}\n${key}\n${kind}`;
}

function actionKey(tenant: string, action: string): string {
  return `${tenant}/${action}`;
}
