/** What limits ought to count, in a few lines of plain bookkeeping: the model that the database is compared with. */
import { deepStrictEqual } from 'node:assert';
import type { HoldRequest, HoldSettlement, LimitDemand, LimitReading } from '../../src/action/limits.js';
import type { OutcomeStatus } from '../../src/action/outcome.js';
import type { Admission, Ledger } from '../../src/ledger/index.js';
import { admission, newTenant, outcomeFor, recordOutcome, settlement, signLink, type TestLedger } from './support.js';

/** Windows so long that no real time that passes in a test matters; time is made to pass by shifting what is stored. */
const DAYS = 24 * 3600_000;
const LONG = 10_000 * DAYS;
const SLOTS = 32;

const MAX = 1000;

/** One of each kind. Amounts are in hundredths, so that sums of what binary fractions cannot hold are compared exactly. */
export const LIMITS = {
  good: (cents: number): LimitDemand => ({
    limit: 'b-good',
    key: 'agent=x',
    kind: 'budget',
    amount: cents / 100,
    max: MAX / 100,
    unit: 'EUR',
  }),
  fixed: (cents: number): LimitDemand => ({
    limit: 'a-fixed',
    key: '',
    kind: 'budget',
    amount: cents / 100,
    max: MAX / 100,
    unit: 'EUR',
    window: { kind: 'fixed', ms: LONG },
  }),
  sliding: (cents: number): LimitDemand => ({
    limit: 'c-sliding',
    key: '',
    kind: 'budget',
    amount: cents / 100,
    max: MAX / 100,
    unit: 'EUR',
    window: { kind: 'sliding', ms: LONG },
  }),
  count: (): LimitDemand => ({
    limit: 'd-count',
    key: 'trace=t',
    kind: 'count',
    amount: 1,
    max: 6,
    unit: 'actions',
    window: { kind: 'fixed', ms: LONG },
  }),
  lease: (): LimitDemand => ({ limit: 'e-lease', key: '', kind: 'concurrency', max: 3 }),
  rate: (): LimitDemand => ({ limit: 'f-rate', key: '', kind: 'rate', capacity: 5, refillMs: LONG }),
  breaker: (): LimitDemand => ({
    limit: 'g-breaker',
    key: 'target=db',
    kind: 'breaker',
    windowMs: LONG,
    minimum: 3,
    ratio: 0.5,
    openMs: LONG,
    probes: 2,
  }),
} satisfies Record<string, (cents: number) => LimitDemand>;

export type LimitName = keyof typeof LIMITS;
export const LIMIT_NAMES = Object.keys(LIMITS) as LimitName[];

interface ModelHold {
  readonly name: LimitName;
  /** Hundredths of a unit. */
  readonly cents: number;
  /** The time (in slots of a sliding window) it was placed at. */
  readonly at: number;
  status: 'held' | 'kept' | 'consumed' | 'released';
  spent: number;
}

interface ModelAction {
  state: 'new' | 'open' | 'ended' | 'unknown';
  holds: Map<LimitName, ModelHold>;
}

export interface Asked {
  readonly name: LimitName;
  readonly cents: number;
  readonly over: boolean;
}

export class LimitWorld {
  readonly tenant = newTenant();
  readonly #at: TestLedger;
  readonly actions = new Map<string, ModelAction>();
  /** In slots of the sliding windows; 32 of them make a fixed window. */
  #now = 0;
  /** For each token that was taken, when it was. */
  #fullAt = 0;

  constructor(at: TestLedger) {
    this.#at = at;
  }

  action(id: string): ModelAction {
    const known = this.actions.get(id) ?? { state: 'new' as const, holds: new Map<LimitName, ModelHold>() };
    this.actions.set(id, known);
    return known;
  }

  /** What stands against a demand of this action: everything counted but its own. */
  #taken(name: LimitName, except?: string): number {
    let sum = 0;
    for (const [id, action] of this.actions) {
      const hold = action.holds.get(name);
      if (hold === undefined || !this.#counted(name, hold)) continue;
      if (hold.status === 'consumed' && name !== 'lease') sum += hold.spent;
      else if ((hold.status === 'held' || hold.status === 'kept') && id !== except) sum += hold.cents;
    }
    return sum;
  }

  #counted(name: LimitName, hold: ModelHold): boolean {
    if (name === 'fixed' || name === 'count') {
      return Math.floor(hold.at / SLOTS) === Math.floor(this.#now / SLOTS);
    }
    return name !== 'sliding' || hold.at >= this.#now - SLOTS;
  }

  fits(id: string, { name, cents }: Asked): boolean {
    const own = this.action(id).holds.get(name);
    switch (name) {
      case 'breaker':
        throw new Error('a breaker is asked, not modelled');
      case 'rate':
        return own !== undefined || Math.max(this.#fullAt - this.#now, 0) <= 4 * SLOTS;
      case 'lease':
        return own?.status === 'held' || this.#taken(name, id) < 3;
      case 'count':
        return own?.status === 'held' || this.#taken(name, id) + 1 <= 6;
      default:
        return cents === 0 || (own?.status === 'held' && own.cents === cents) || this.#taken(name, id) + cents <= MAX;
    }
  }

  request(asked: readonly Asked[]): HoldRequest[] {
    return asked.map(({ name, cents, over }) => ({ ...LIMITS[name](cents), ...(over ? { over } : {}) }));
  }

  admit(ledger: Ledger, id: string, asked: readonly Asked[]): Promise<Admission> {
    return ledger.actions.admit(admission({ tenant: this.tenant, actionId: id }, { holds: this.request(asked) }));
  }

  /** Checks what the ledger said of an admission with nobody else around, and takes it into the books. */
  admitted(id: string, asked: readonly Asked[], said: Admission): void {
    const action = this.action(id);
    if (action.state === 'ended' || action.state === 'unknown') {
      deepStrictEqual(said.kind, 'ended');
      return;
    }
    if (said.kind !== 'admitted' && said.kind !== 'limited') throw new Error(`${id}: ${said.kind}`);
    const readings = said.limits as readonly LimitReading[];
    for (const [index, one] of asked.entries()) {
      const reading = readings[index] as LimitReading;
      if (one.name !== 'breaker') deepStrictEqual([one.name, reading.fits], [one.name, this.fits(id, one)]);
    }
    const all = asked.every(({ over }, index) => over || readings[index]?.fits === true);
    deepStrictEqual(said.kind, all ? 'admitted' : 'limited');
    this.take(id, asked, said);
  }

  /** Takes what the ledger said of an admission into the books. */
  take(id: string, asked: readonly Asked[], said: Admission): void {
    const action = this.action(id);
    if (said.kind === 'admitted' || said.kind === 'limited') action.state = 'open';
    if (said.kind !== 'admitted') return;
    for (const [name, hold] of action.holds) {
      if (hold.status === 'held' && !asked.some((one) => one.name === name)) hold.status = 'released';
    }
    for (const { name, cents } of asked) {
      const own = action.holds.get(name);
      if (name === 'rate') {
        if (own !== undefined) continue;
        this.#fullAt = Math.max(this.#fullAt, this.#now) + SLOTS;
        action.holds.set(name, { name, cents: 100, at: this.#now, status: 'consumed', spent: 0 });
        continue;
      }
      const wanted = name === 'count' || name === 'lease' ? 1 : name === 'breaker' ? 0 : cents;
      if (own?.status === 'held' && own.cents === wanted) continue;
      action.holds.set(name, { name, cents: wanted, at: this.#now, status: 'held', spent: 0 });
    }
  }

  async settle(ledger: Ledger, id: string, holds: HoldSettlement): Promise<OutcomeStatus> {
    const status = { consume: 'success', release: 'failed', keep: 'unknown' } as const;
    const names = { tenant: this.tenant, actionId: id };
    const outcome = outcomeFor(names, { status: status[holds.disposition] });
    return (await recordOutcome(ledger, settlement(names, { outcome, holds }))).outcome.status;
  }

  async resolve(ledger: Ledger, id: string, holds: HoldSettlement): Promise<void> {
    const names = { tenant: this.tenant, actionId: id };
    const outcome = outcomeFor(names, { status: holds.disposition === 'consume' ? 'mismatch' : 'failed' });
    await ledger.receipts.resolve({ ...names, outcome, sign: signLink, holds });
    this.#end(this.action(id), holds);
  }

  /** Takes the end of an action into the books; one that had ended is as it was. */
  ended(id: string, holds: HoldSettlement): void {
    const action = this.action(id);
    if (action.state !== 'ended' && action.state !== 'unknown') this.#end(action, holds);
  }

  #end(action: ModelAction, { disposition, amounts = {} }: HoldSettlement): void {
    action.state = disposition === 'keep' ? 'unknown' : 'ended';
    for (const [name, hold] of action.holds) {
      if (hold.status !== 'held' && hold.status !== 'kept') continue;
      if (name === 'breaker') hold.status = 'consumed';
      else if (disposition === 'keep') hold.status = 'kept';
      else if (disposition === 'release') hold.status = 'released';
      else {
        const { limit, kind } = LIMITS[name](0);
        hold.status = 'consumed';
        hold.spent = kind === 'budget' && amounts[limit] !== undefined ? Math.round(amounts[limit] * 100) : hold.cents;
      }
    }
  }

  /** Lets time pass: as many slots of the sliding windows. */
  async pass(slots: number): Promise<void> {
    this.#now += slots;
    const fixed = Math.floor(this.#now / SLOTS) - Math.floor((this.#now - slots) / SLOTS);
    const values = [this.tenant, slots, fixed, Math.round(((LONG * 1000) / SLOTS) * slots)];
    const shift = 'case when width = 0 then 0 when keep > 0 then slot - $2::bigint else slot - $3::bigint end';
    await this.#at.pool.query(
      `update countersign.limit_counters set slot = ${shift}, slots = (select array_agg(s - $2::bigint order by s) from unnest(slots) s),
         full_at = full_at - $4::bigint, open_until = open_until - $4::bigint
       where tenant = $1`,
      values,
    );
    await this.#at.pool.query(
      `update countersign.holds set slot = ${shift} where tenant = $1 and $4::bigint > 0`,
      values,
    );
  }

  /** The counters are what the books say: nothing spent twice, nothing lost, nothing negative. */
  async check(): Promise<void> {
    const counters = new Map((await this.#at.ledger.limits.counters({ tenant: this.tenant })).map((c) => [c.limit, c]));
    const live = new Map<string, number>();
    for (const hold of await this.#at.ledger.limits.holds({ tenant: this.tenant })) {
      live.set(hold.limit, (live.get(hold.limit) ?? 0) + hold.amount);
    }
    for (const name of LIMIT_NAMES) {
      const { limit } = LIMITS[name](0);
      const counter = counters.get(limit);
      if (counter === undefined) continue;
      if (name === 'rate') continue;
      if (name === 'breaker') {
        deepStrictEqual([limit, counter.held], [limit, live.get(limit) ?? 0]);
        continue;
      }
      let [used, held] = [0, 0];
      for (const { holds } of this.actions.values()) {
        const hold = holds.get(name);
        if (hold === undefined || !this.#counted(name, hold)) continue;
        if (hold.status === 'consumed' && name !== 'lease') used += hold.spent;
        if (hold.status === 'held' || hold.status === 'kept') held += hold.cents;
      }
      const unit = name === 'count' || name === 'lease' ? 1 : 100;
      deepStrictEqual([limit, counter.used, counter.held], [limit, used / unit, held / unit]);
    }
  }

  /** What a reconciler does: ends whatever is open, and resolves what is unknown. Then nothing is held by anybody. */
  async endAll(): Promise<void> {
    const { ledger } = this.#at;
    for (let page = await ledger.actions.listOpen({ olderThanMs: 0 }); ;) {
      for (const { tenant, actionId } of page) {
        if (tenant !== this.tenant) continue;
        await ledger.grants.stopSends(tenant, actionId);
        await this.settle(ledger, actionId, { disposition: 'release' });
        this.ended(actionId, { disposition: 'release' });
      }
      const after = page.at(-1);
      if (after === undefined) break;
      page = await ledger.actions.listOpen({ olderThanMs: 0, after });
    }
    for (const [id, action] of this.actions) {
      if (action.state !== 'unknown') continue;
      await this.resolve(ledger, id, { disposition: 'consume' });
    }
    await this.check();
    deepStrictEqual(await ledger.limits.holds({ tenant: this.tenant }), []);
    for (const { limit, held } of await ledger.limits.counters({ tenant: this.tenant })) {
      deepStrictEqual([limit, held], [limit, 0]);
    }
  }
}
