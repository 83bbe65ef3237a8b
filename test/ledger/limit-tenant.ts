/** Demands of each kind, and a tenant whose actions place and end them, for the tests of what is counted. */
import type { HoldRequest, HoldSettlement, LimitReading } from '../../src/action/limits.js';
import type { OutcomeStatus } from '../../src/action/outcome.js';
import type { Admission } from '../../src/ledger/index.js';
import { admission, newTenant, outcomeFor, recordOutcome, settlement, signLink, type TestLedger } from './support.js';

export const DAYS = 24 * 3600_000;

export const spend = (amount: number, more: object = {}): HoldRequest => ({
  limit: 'spend',
  key: '',
  kind: 'budget',
  amount,
  max: 100,
  unit: 'EUR',
  ...more,
});
export const lease = (max: number): HoldRequest => ({ limit: 'at-once', key: 'tool=x', kind: 'concurrency', max });
export const token = (capacity: number, refillMs: number): HoldRequest => ({
  limit: 'calls',
  key: '',
  kind: 'rate',
  capacity,
  refillMs,
});
export const breaker = (more: object = {}): HoldRequest => ({
  limit: 'target',
  key: 'target=db',
  kind: 'breaker',
  windowMs: 60_000,
  minimum: 4,
  ratio: 0.5,
  openMs: 60_000,
  probes: 2,
  ...more,
});

/** One tenant with actions that place and end. */
export class Tenant {
  readonly name = newTenant();
  readonly #at: TestLedger;

  constructor(at: TestLedger) {
    this.#at = at;
  }

  admit(actionId: string, ...holds: HoldRequest[]): Promise<Admission> {
    return this.#at.ledger.actions.admit(admission({ tenant: this.name, actionId }, { holds }));
  }
  async end(actionId: string, holds: HoldSettlement): Promise<void> {
    const status = { consume: 'success', release: 'failed', keep: 'unknown' } as const;
    const names = { tenant: this.name, actionId };
    const outcome = outcomeFor(names, { status: status[holds.disposition] });
    await recordOutcome(this.#at.ledger, settlement(names, { outcome, holds }));
  }
  async resolve(actionId: string, status: OutcomeStatus, holds?: HoldSettlement): Promise<void> {
    const names = { tenant: this.name, actionId };
    const outcome = outcomeFor(names, { status });
    await this.#at.ledger.receipts.resolve({
      ...names,
      outcome,
      sign: signLink,
      ...(holds === undefined ? {} : { holds }),
    });
  }
  async read(demand: HoldRequest, actionId = 'reader'): Promise<LimitReading> {
    const [reading] = await this.#at.ledger.limits.read(this.name, actionId, [demand]);
    return reading as LimitReading;
  }
  async sums(): Promise<Record<string, [used: number, held: number]>> {
    const counters = await this.#at.ledger.limits.counters({ tenant: this.name });
    return Object.fromEntries(counters.map(({ limit, used, held }) => [limit, [used, held]]));
  }
  /** Lets time pass for one of its counters. */
  async pass(limit: string, ms: number): Promise<void> {
    const us = Math.round(ms * 1000);
    const { rowCount } = await this.#at.pool.query(
      `update countersign.limit_counters
       set slot = case when width = 0 then 0 else slot - $3::bigint / width end,
         slots = (select array_agg(s - $3::bigint / width order by s) from unnest(slots) s),
         full_at = full_at - $3::bigint, open_until = open_until - $3::bigint
       where tenant = $1 and "limit" = $2`,
      [this.name, limit, us],
    );
    if (rowCount === 0) throw new Error(`there is no counter of ${limit} yet`);
    await this.#at.pool.query(
      `update countersign.holds set slot = case when width = 0 then 0 else slot - $3::bigint / width end where tenant = $1 and "limit" = $2`,
      [this.name, limit, us],
    );
  }
}
