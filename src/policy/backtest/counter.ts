/**
 * One counter of a limit in memory, counting as the ledger's functions in src/ledger/database/schema.sql do: `rolled`, `shaped`, `with_added`,
 * `limit_reading`. A test holds the two to the same readings. Times are microseconds since 1970.
 *
 * Postgres counts in decimals of any length; here sums are rounded to 14 digits, more than a sum of money has.
 */
import type { LimitDemand, LimitReading } from '../../action/limits.js';
import { slotBegins, slotOf } from './windows.js';

/** A demand with its window as slots: what the ledger makes of it. */
export interface Ask {
  readonly kind: LimitReading['kind'];
  readonly amount: number;
  /** A rate's capacity, a breaker's probes. */
  readonly max: number;
  readonly width: number;
  readonly keep: number;
  readonly zone: string;
  readonly minimum: number;
  readonly ratio: number;
  readonly openFor: number;
}

/** What an action holds of a counter, and in which of its slots. */
export interface Held {
  amount: number;
  width: number;
  keep: number;
  zone: string;
  slot: number;
  ask: Ask;
  /** Of a breaker's probe: how often it had opened. */
  opened?: number | undefined;
}

/** A sliding window is this many slots, and one more that is partly over. */
const SLOTS = 32;

const asks = new WeakMap<LimitDemand, Ask>();

/** The same for the same demand, which is asked several times. */
export function askOf(demand: LimitDemand): Ask {
  let ask = asks.get(demand);
  if (ask === undefined) asks.set(demand, (ask = slotted(demand)));
  return ask;
}

function slotted(demand: LimitDemand): Ask {
  const plain = { amount: 0, width: 0, keep: 0, zone: '', minimum: 0, ratio: 0, openFor: 0 };
  switch (demand.kind) {
    case 'budget':
    case 'count': {
      const { kind, max, amount, window } = demand;
      if (window === undefined) return { ...plain, kind, max, amount };
      const keep = window.kind === 'sliding' ? SLOTS : 0;
      const zone = window.kind === 'fixed' ? (window.timezone ?? '') : '';
      return { ...plain, kind, max, amount, keep, zone, width: microseconds(window.ms / (keep || 1)) };
    }
    case 'concurrency':
      return { ...plain, kind: demand.kind, max: demand.max, amount: 1 };
    case 'rate':
      return { ...plain, kind: demand.kind, max: demand.capacity, width: microseconds(demand.refillMs) };
    case 'breaker': {
      const { kind, probes, windowMs, minimum, ratio, openMs } = demand;
      const width = microseconds(windowMs / SLOTS);
      return { ...plain, kind, max: probes, width, keep: SLOTS, minimum, ratio, openFor: microseconds(openMs) };
    }
  }
}

function microseconds(ms: number): number {
  return Math.ceil(ms * 1000);
}

/** A sum without the errors of binary fractions: 0.1 and 0.2 are 0.3. To 14 digits of the largest of the values. */
export function sum(...values: readonly number[]): number {
  const total = values.reduce((one, other) => one + other, 0);
  if (Number.isSafeInteger(total)) return total;
  const largest = Math.max(1, ...values.map((value) => Math.abs(value)));
  return Number(total.toFixed(Math.max(0, 13 - Math.floor(Math.log10(largest))))) + 0;
}

export class CounterModel {
  readonly kind: Ask['kind'];
  used = 0;
  held = 0;
  width: number;
  keep: number;
  zone: string;
  slot: number;
  slots: number[] = [];
  slotUsed: number[] = [];
  slotHeld: number[] = [];
  fullAt: number | undefined;
  openUntil: number | undefined;
  opened = 0;
  proved = 0;

  constructor(ask: Ask, at: number) {
    this.kind = ask.kind;
    this.width = ask.width;
    this.keep = ask.keep;
    this.zone = ask.zone;
    this.slot = slotOf(at, ask.width, ask.zone);
  }

  copy(): CounterModel {
    const copy = Object.assign(Object.create(CounterModel.prototype) as CounterModel, this);
    copy.slots = [...this.slots];
    copy.slotUsed = [...this.slotUsed];
    copy.slotHeld = [...this.slotHeld];
    return copy;
  }

  /** Moves the window on. A clock that was set back does not bring an old window back. */
  roll(at: number): void {
    const newest = Math.max(this.slot, slotOf(at, this.width, this.zone));
    if (this.keep > 0) {
      while ((this.slots[0] ?? Infinity) < newest - this.keep) {
        this.used = sum(this.used, -(this.slotUsed[0] ?? 0));
        if (this.kind !== 'breaker') this.held = sum(this.held, -(this.slotHeld[0] ?? 0));
        this.slots.shift();
        this.slotUsed.shift();
        this.slotHeld.shift();
      }
    } else if (newest > this.slot) {
      this.used = 0;
      this.held = 0;
    }
    this.slot = newest;
  }

  /** Changes the window, forgetting nothing: what was in the old one is put into the newest slot of the new one. */
  shape({ width, keep, zone }: Pick<Ask, 'width' | 'keep' | 'zone'>, at: number): void {
    this.roll(at);
    if (this.width === width && this.keep === keep && this.zone === zone) return;
    const good = this.kind === 'breaker' ? sum(...this.slotHeld) : this.held;
    Object.assign(this, { width, keep, zone });
    this.slot = slotOf(at, width, zone);
    this.slots = [this.slot];
    this.slotUsed = [this.used];
    this.slotHeld = [good];
  }

  add(slot: number, used: number, held: number): void {
    if (this.keep > 0) {
      const index = this.slots.indexOf(slot);
      if (index < 0) {
        this.slots.push(slot);
        this.slotUsed.push(used);
        this.slotHeld.push(held);
      } else {
        this.slotUsed[index] = sum(this.slotUsed[index] ?? 0, used);
        this.slotHeld[index] = sum(this.slotHeld[index] ?? 0, held);
      }
    }
    this.used = sum(this.used, used);
    if (this.kind !== 'breaker') this.held = sum(this.held, held);
  }

  /** Whether the window that a hold was placed in is still counted. */
  counts({ width, keep, zone, slot }: Held): boolean {
    const same = width === this.width && keep === this.keep && zone === this.zone;
    return same && (this.keep === 0 ? slot === this.slot : this.slots.includes(slot));
  }
}

/** Where a counter stands for a demand, placing nothing. `own`: what the action holds of it already. */
export function read(
  counter: CounterModel,
  demand: LimitDemand,
  ask: Ask,
  at: number,
  own?: Held & { readonly live: boolean },
): LimitReading {
  const { limit, key, kind } = demand;
  const of = (
    used: number,
    held: number,
    room: number,
    fits: boolean,
    retry: number | undefined,
    state?: LimitReading['state'],
  ): LimitReading => ({
    limit,
    key,
    kind,
    max: ask.max,
    used,
    held,
    left: Math.max(room, 0),
    fits,
    ...(state === undefined ? {} : { state }),
    ...(fits || retry === undefined ? {} : { retryAfterMs: Math.ceil(Math.max(retry, 0) / 1000) }),
  });

  if (ask.kind === 'rate') {
    const missing = Math.max((counter.fullAt ?? 0) - at, 0);
    const retry = missing - (ask.max - 1) * ask.width;
    const used = Math.ceil(missing / ask.width);
    return of(used, 0, ask.max - used, own !== undefined || retry <= 0, ask.max < 1 ? undefined : retry);
  }
  const now = counter.copy();
  if (ask.kind === 'breaker') {
    now.shape(ask, at);
    const state = now.openUntil === undefined ? 'closed' : at < now.openUntil ? 'open' : 'half_open';
    if (own?.live === true) now.held -= own.amount;
    const room = state === 'closed' ? ask.max : state === 'open' ? 0 : ask.max - now.held;
    return of(now.used, now.held, room, room >= 1, state === 'open' ? (now.openUntil ?? at) - at : undefined, state);
  }
  now.roll(at);
  if (own?.live === true && now.counts(own)) now.add(own.slot, 0, -own.amount);
  now.shape(ask, at);
  const room = sum(ask.max, -now.used, -now.held);
  const fits = ask.amount <= room || ask.amount === 0 || (own?.live === true && own.amount === ask.amount);
  return of(now.used, now.held, room, fits, fits ? undefined : roomAt(now, ask, room, at));
}

/** How long until a window has room. Undefined when it never has, or only others can make some. */
function roomAt(counter: CounterModel, ask: Ask, room: number, at: number): number | undefined {
  if (ask.amount > ask.max || ask.width === 0) return undefined;
  if (ask.keep === 0) return slotBegins(counter.slot + 1, ask.width, ask.zone) - at;
  let freed = 0;
  let retry: number | undefined;
  for (const [index, slot] of counter.slots.entries()) {
    freed = sum(freed, counter.slotUsed[index] ?? 0, counter.slotHeld[index] ?? 0);
    retry = (slot + ask.keep + 1) * ask.width - at;
    if (ask.amount <= sum(room, freed)) break;
  }
  return retry;
}
