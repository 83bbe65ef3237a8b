/** Counting: what each kind of limit lets through, what becomes of it, and when it comes back. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { HoldRequest, HoldSettlement, LimitReading } from '../../src/action/limits.js';
import type { OutcomeStatus } from '../../src/action/outcome.js';
import { Ledger, type Admission } from '../../src/ledger/index.js';
import { startProxy } from './proxy.js';
import {
  admission,
  newTenant,
  outcomeFor,
  settlement,
  signLink,
  startLedger,
  times,
  useOf,
  type TestLedger,
} from './support.js';

const DAYS = 24 * 3600_000;

let at: TestLedger;
let ledger: Ledger;

beforeAll(async () => {
  at = await startLedger();
  ledger = at.ledger;
});
afterAll(() => at.stop());

const spend = (amount: number, more: object = {}): HoldRequest => ({
  limit: 'spend',
  key: '',
  kind: 'budget',
  amount,
  max: 100,
  unit: 'EUR',
  ...more,
});
const lease = (max: number): HoldRequest => ({ limit: 'at-once', key: 'tool=x', kind: 'concurrency', max });
const token = (capacity: number, refillMs: number): HoldRequest => ({
  limit: 'calls',
  key: '',
  kind: 'rate',
  capacity,
  refillMs,
});
const breaker = (more: object = {}): HoldRequest => ({
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
class Tenant {
  readonly name = newTenant();

  admit(actionId: string, ...holds: HoldRequest[]): Promise<Admission> {
    return ledger.admit(admission({ tenant: this.name, actionId }, { holds }));
  }
  async end(actionId: string, holds: HoldSettlement): Promise<void> {
    const status = { consume: 'success', release: 'failed', keep: 'unknown' } as const;
    const names = { tenant: this.name, actionId };
    const outcome = outcomeFor(names, { status: status[holds.disposition] });
    await ledger.settle(settlement(names, { outcome, holds }));
  }
  async resolve(actionId: string, status: OutcomeStatus, holds?: HoldSettlement): Promise<void> {
    const names = { tenant: this.name, actionId };
    const outcome = outcomeFor(names, { status });
    await ledger.resolve({ ...names, outcome, sign: signLink, ...(holds === undefined ? {} : { holds }) });
  }
  async read(demand: HoldRequest, actionId = 'reader'): Promise<LimitReading> {
    const [reading] = await ledger.readLimits(this.name, actionId, [demand]);
    return reading as LimitReading;
  }
  async sums(): Promise<Record<string, [used: number, held: number]>> {
    const counters = await ledger.limitCounters({ tenant: this.name });
    return Object.fromEntries(counters.map(({ limit, used, held }) => [limit, [used, held]]));
  }
  /** Lets time pass for one of its counters. */
  async pass(limit: string, ms: number): Promise<void> {
    const us = Math.round(ms * 1000);
    const { rowCount } = await at.pool.query(
      `update countersign.limit_counters
       set slot = case when width = 0 then 0 else slot - $3::bigint / width end,
         slots = (select array_agg(s - $3::bigint / width order by s) from unnest(slots) s),
         full_at = full_at - $3::bigint, open_until = open_until - $3::bigint
       where tenant = $1 and "limit" = $2`,
      [this.name, limit, us],
    );
    expect(rowCount).toBeGreaterThan(0);
    await at.pool.query(
      `update countersign.holds set slot = case when width = 0 then 0 else slot - $3::bigint / width end where tenant = $1 and "limit" = $2`,
      [this.name, limit, us],
    );
  }
}

describe('a budget', () => {
  test('reserves what fits, refuses what does not, and holds nothing for what it refused', async () => {
    const tenant = new Tenant();
    expect(await tenant.admit('a', spend(60))).toMatchObject({
      kind: 'admitted',
      limits: [{ limit: 'spend', key: '', kind: 'budget', max: 100, used: 0, held: 0, left: 100, fits: true }],
    });
    expect(await tenant.admit('b', spend(41))).toMatchObject({
      kind: 'limited',
      limits: [{ used: 0, held: 60, left: 40, fits: false }],
    });
    expect(await tenant.admit('c', spend(40))).toMatchObject({ kind: 'admitted' });
    expect(await tenant.sums()).toEqual({ spend: [0, 100] });
    await tenant.end('a', { disposition: 'release' });
    await tenant.end('c', { disposition: 'consume', amounts: { spend: 12.5 } });
    expect(await tenant.sums()).toEqual({ spend: [12.5, 0] });
    expect(await ledger.holds({ tenant: tenant.name, actionId: 'c' })).toMatchObject([
      { limit: 'spend', amount: 12.5, status: 'consumed', settledAt: expect.any(String) },
    ]);
    expect(await ledger.holds({ tenant: tenant.name })).toEqual([]);
  });

  test('a repeated admission holds nothing twice, and one that asks for more or less holds that', async () => {
    const tenant = new Tenant();
    for (let again = 0; again < 3; again++) {
      expect(await tenant.admit('a', spend(60))).toMatchObject({
        kind: 'admitted',
        limits: [{ held: 0, left: 100, fits: true }],
      });
    }
    expect(await tenant.sums()).toEqual({ spend: [0, 60] });
    await tenant.admit('a', spend(90));
    expect(await tenant.sums()).toEqual({ spend: [0, 90] });
    expect(await tenant.admit('a', spend(101))).toMatchObject({ kind: 'limited' });
    expect(await tenant.sums()).toEqual({ spend: [0, 90] });
    await tenant.admit('a', spend(10.1));
    expect(await tenant.sums()).toEqual({ spend: [0, 10.1] });
  });

  test('what is not asked for any more is given back; without a word of holds they stay', async () => {
    const tenant = new Tenant();
    await tenant.admit('a', spend(60), lease(1), breaker());
    await ledger.admit(admission({ tenant: tenant.name, actionId: 'a' }));
    expect(await tenant.sums()).toEqual({ spend: [0, 60], 'at-once': [0, 1] });
    await tenant.admit('a', spend(60));
    expect(await tenant.sums()).toEqual({ spend: [0, 60], 'at-once': [0, 0] });
    await tenant.admit('a');
    expect(await tenant.sums()).toEqual({ spend: [0, 0], 'at-once': [0, 0] });
    expect((await ledger.holds({ tenant: tenant.name, actionId: 'a' })).map(({ status }) => status)).toEqual([
      'released',
      'released',
      'released',
    ]);
  });

  test('a demand on several limits that does not fit one of them holds none, leaves no grant, and keeps what was held before', async () => {
    const tenant = new Tenant();
    await tenant.admit('first', lease(1), spend(10));
    const request = admission(
      { tenant: tenant.name, actionId: 'second' },
      { holds: [spend(10), breaker(), token(5, 1000), lease(1)] },
    );
    expect(await ledger.admit(request)).toMatchObject({
      kind: 'limited',
      limits: [
        { limit: 'spend', fits: true },
        { limit: 'target', fits: true },
        { limit: 'calls', fits: true },
        { limit: 'at-once', fits: false },
      ],
    });
    expect(await ledger.holds({ tenant: tenant.name, actionId: 'second' })).toEqual([]);
    expect(await ledger.useGrant(useOf(request))).toEqual({ kind: 'unknown' });
    expect(await tenant.sums()).toEqual({ spend: [0, 10], 'at-once': [0, 1], calls: [0, 0] });
    // Nor does it disturb a grant and holds that an earlier call of the same action got.
    const earlier = admission({ tenant: tenant.name, actionId: 'third' }, { holds: [spend(20)] });
    await ledger.admit(earlier);
    expect(await tenant.admit('third', spend(20), lease(1))).toMatchObject({ kind: 'limited' });
    expect(await tenant.sums()).toMatchObject({ spend: [0, 30] });
    expect(await ledger.useGrant(useOf(earlier))).toEqual({ kind: 'first', otherUses: 0 });
  });

  test('sums of what binary fractions cannot hold are exact', async () => {
    const tenant = new Tenant();
    const tenth = (): HoldRequest => spend(0.1, { max: 0.3 });
    for (const id of ['a', 'b', 'c']) expect(await tenant.admit(id, tenth())).toMatchObject({ kind: 'admitted' });
    expect(await tenant.admit('d', spend(1e-9, { max: 0.3 }))).toMatchObject({ kind: 'limited' });
    for (const id of ['a', 'b', 'c']) await tenant.end(id, { disposition: 'release' });
    expect(await tenant.sums()).toEqual({ spend: [0, 0] });
  });

  test('people may let something pass that does not fit; it counts all the same, and a demand of nothing always fits', async () => {
    const tenant = new Tenant();
    await tenant.admit('a', spend(80));
    expect(await tenant.admit('b', { ...spend(50), over: true })).toMatchObject({
      kind: 'admitted',
      limits: [{ fits: false, left: 20 }],
    });
    expect(await tenant.sums()).toEqual({ spend: [0, 130] });
    expect(await tenant.admit('c', spend(1))).toMatchObject({ kind: 'limited', limits: [{ left: 0 }] });
    expect(await tenant.admit('c', spend(0))).toMatchObject({ kind: 'admitted' });
  });

  test('more can be spent than was held: the next one meets what is true', async () => {
    const tenant = new Tenant();
    await tenant.admit('a', spend(10));
    await tenant.end('a', { disposition: 'consume', amounts: { spend: 99.5, other: 7 } });
    expect(await tenant.read(spend(1))).toMatchObject({ used: 99.5, held: 0, left: 0.5, fits: false });
  });

  test('an unknown outcome keeps what is held until it is resolved, either way', async () => {
    const tenant = new Tenant();
    for (const id of ['a', 'b']) {
      await tenant.admit(id, spend(30), lease(5));
      await tenant.end(id, { disposition: 'keep' });
    }
    expect(await tenant.sums()).toEqual({ spend: [0, 60], 'at-once': [0, 2] });
    expect(await ledger.holds({ tenant: tenant.name })).toHaveLength(4);
    await tenant.resolve('a', 'failed');
    await tenant.resolve('b', 'success', { disposition: 'consume', amounts: { spend: 25 } });
    expect(await tenant.sums()).toEqual({ spend: [25, 0], 'at-once': [0, 0] });
    expect(await ledger.holds({ tenant: tenant.name })).toEqual([]);
  });

  test('holds that nobody could end later are refused before anything is written', async () => {
    const tenant = new Tenant();
    await tenant.admit('a', spend(30));
    const names = { tenant: tenant.name, actionId: 'a' };
    await expect(ledger.settle(settlement(names, { holds: { disposition: 'keep' } }))).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      field: 'holds.disposition',
    });
    await tenant.end('a', { disposition: 'keep' });
    await expect(tenant.resolve('a', 'success', { disposition: 'keep' })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    });
    expect(await tenant.sums()).toEqual({ spend: [0, 30] });
  });

  test.each<[OutcomeStatus, [used: number, held: number]]>([
    ['success', [30, 0]],
    ['mismatch', [30, 0]],
    ['unknown', [0, 30]],
    ['failed', [0, 0]],
    ['denied', [0, 0]],
    ['expired', [0, 0]],
    ['cancelled', [0, 0]],
  ])('settling as %s without a word of holds ends them as the status says', async (status, sums) => {
    const tenant = new Tenant();
    await tenant.admit('a', spend(30));
    const names = { tenant: tenant.name, actionId: 'a' };
    await ledger.settle(settlement(names, { outcome: outcomeFor(names, { status }) }));
    expect(await tenant.sums()).toEqual({ spend: sums });
  });

  test('reading is of the state without the reader itself, in the order asked, and writes nothing', async () => {
    const tenant = new Tenant();
    await tenant.admit('a', spend(70), lease(1));
    const readings = await ledger.readLimits(tenant.name, 'a', [lease(1), spend(80)]);
    expect(readings).toMatchObject([
      { limit: 'at-once', held: 0, left: 1, fits: true },
      { limit: 'spend', held: 0, left: 100, fits: true },
    ]);
    expect(await ledger.readLimits(tenant.name, 'b', [spend(80), lease(1)])).toMatchObject([
      { limit: 'spend', held: 70, left: 30, fits: false },
      { limit: 'at-once', held: 1, left: 0, fits: false },
    ]);
    expect(await ledger.readLimits(tenant.name, 'a', [])).toEqual([]);
    const other = new Tenant();
    await other.read(spend(1));
    expect(await ledger.limitCounters({ tenant: other.name })).toEqual([]);
  });

  test.each<[string, HoldRequest]>([
    ['amount', spend(Number.NaN)],
    ['amount', spend(Number.POSITIVE_INFINITY)],
    ['amount', spend(-1)],
    ['max', spend(1, { max: -1 })],
    ['window.ms', spend(1, { window: { kind: 'fixed', ms: 0 } })],
    ['window.ms', spend(1, { window: { kind: 'sliding', ms: 1e18 } })],
    ['refillMs', token(1, 0)],
    ['capacity', token(-1, 1)],
    ['ratio', breaker({ ratio: 0 })],
    ['probes', breaker({ probes: 0 })],
    ['openMs', breaker({ openMs: -5 })],
    ['kind', { ...lease(1), kind: 'depth' } as unknown as HoldRequest],
    ['limit', { ...lease(1), limit: 'half \ud83d' }],
  ])('what cannot be counted is refused by its name (%s), and nothing is admitted', async (field, demand) => {
    const tenant = new Tenant();
    const refused = {
      code: expect.stringMatching(/^INVALID_/),
      field: expect.stringContaining(field),
      retryable: false,
    };
    await expect(tenant.admit('a', demand)).rejects.toMatchObject(refused);
    await expect(tenant.read(demand)).rejects.toMatchObject(refused);
    expect(await ledger.findAction(tenant.name, 'a')).toBeUndefined();
  });

  test('two demands on one counter are refused: neither would see the other', async () => {
    const tenant = new Tenant();
    await expect(tenant.admit('a', spend(60), spend(60))).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    expect(await tenant.admit('a', spend(60), spend(60, { key: 'agent=x' }))).toMatchObject({ kind: 'admitted' });
  });

  test.each<HoldSettlement['amounts']>([{ spend: -1 }, { spend: Number.NaN }, { spend: Number.POSITIVE_INFINITY }])(
    'an amount that cannot have been spent is refused, and the action stays open (%o)',
    async (amounts = {}) => {
      const tenant = new Tenant();
      await tenant.admit('a', spend(60));
      await expect(tenant.end('a', { disposition: 'consume', amounts })).rejects.toMatchObject({
        code: expect.stringMatching(/^INVALID_/),
      });
      expect(await ledger.findAction(tenant.name, 'a')).toMatchObject({ status: 'open' });
    },
  );
});

describe('a window', () => {
  const fixed = { kind: 'fixed', ms: 10_000 * DAYS } as const;
  const sliding = { kind: 'sliding', ms: 10_000 * DAYS } as const;
  const slot = sliding.ms / 32;

  test('that is over is forgotten as a whole, what is held in it too, and what ends later ends in its own', async () => {
    const tenant = new Tenant();
    await tenant.admit('held', spend(60, { window: fixed }));
    await tenant.admit('spent', spend(40, { window: fixed }));
    await tenant.end('spent', { disposition: 'consume' });
    const refused = await tenant.read(spend(1, { window: fixed }));
    expect(refused).toMatchObject({ used: 40, held: 60, fits: false });
    const untilOver = fixed.ms - (Date.now() % fixed.ms);
    expect(Math.abs((refused.retryAfterMs ?? 0) - untilOver)).toBeLessThan(60_000);
    await tenant.pass('spend', fixed.ms);
    expect(await tenant.sums()).toEqual({ spend: [0, 0] });
    await tenant.admit('next', spend(100, { window: fixed }));
    await tenant.end('held', { disposition: 'consume', amounts: { spend: 70 } });
    expect(await tenant.sums()).toEqual({ spend: [0, 100] });
    await tenant.end('next', { disposition: 'release' });
    expect(await tenant.sums()).toEqual({ spend: [0, 0] });
  });

  test('that slides forgets each amount when it is as old as the window, at most a slot later and never before', async () => {
    const tenant = new Tenant();
    for (const id of ['a', 'b', 'c']) {
      await tenant.admit(id, spend(30, { window: sliding }));
      await tenant.pass('spend', slot);
    }
    await tenant.end('a', { disposition: 'consume' });
    // Now it is in the fourth slot; the first counts until the 33rd after it.
    expect(await tenant.read(spend(20, { window: sliding }))).toMatchObject({ used: 30, held: 60, fits: false });
    await tenant.pass('spend', 29 * slot);
    expect(await tenant.sums()).toEqual({ spend: [30, 60] });
    const soon = await tenant.read(spend(20, { window: sliding }));
    const later = await tenant.read(spend(41, { window: sliding }));
    expect(soon.retryAfterMs).toBeLessThanOrEqual(slot);
    expect((later.retryAfterMs ?? 0) - (soon.retryAfterMs ?? 0)).toBeCloseTo(slot, -5);
    expect(await tenant.read(spend(101, { window: sliding }))).not.toHaveProperty('retryAfterMs');
    await tenant.pass('spend', slot);
    expect(await tenant.sums()).toEqual({ spend: [0, 60] });
    await tenant.end('b', { disposition: 'consume', amounts: { spend: 1 } });
    expect(await tenant.sums()).toEqual({ spend: [1, 30] });
    await tenant.pass('spend', 40 * slot);
    await tenant.end('c', { disposition: 'consume' });
    expect(await tenant.sums()).toEqual({ spend: [0, 0] });
  });

  test('that slides takes no more room however much is counted', async () => {
    const tenant = new Tenant();
    for (let index = 0; index < 80; index++) {
      await tenant.admit(`a-${index}`, spend(1, { window: sliding }));
      await tenant.pass('spend', slot);
    }
    const { rows } = await at.pool.query(
      'select slots, slot_used, held from countersign.limit_counters where tenant = $1',
      [tenant.name],
    );
    expect(rows[0].slots.length).toBeLessThanOrEqual(33);
    expect(rows[0].slot_used).toHaveLength(rows[0].slots.length);
  });

  test('that a policy changes to another forgets nothing that still counted, and what is held ends where it went', async () => {
    const tenant = new Tenant();
    await tenant.admit('gone', spend(5, { window: fixed }));
    await tenant.pass('spend', fixed.ms);
    await tenant.admit('held', spend(30, { window: fixed }));
    await tenant.admit('spent', spend(20, { window: fixed }));
    await tenant.end('spent', { disposition: 'consume' });
    expect(await tenant.read(spend(51, { window: sliding }))).toMatchObject({ used: 20, held: 30, fits: false });
    await tenant.admit('other', spend(1, { window: sliding }));
    expect(await tenant.sums()).toEqual({ spend: [20, 31] });
    await tenant.end('gone', { disposition: 'consume' });
    expect(await tenant.sums()).toEqual({ spend: [20, 31] });
    await tenant.admit('ever', spend(1));
    expect(await tenant.sums()).toEqual({ spend: [20, 32] });
    await tenant.admit('back', spend(1, { window: fixed }));
    await tenant.end('held', { disposition: 'consume' });
    await tenant.end('other', { disposition: 'release' });
    await tenant.end('ever', { disposition: 'consume' });
    await tenant.end('back', { disposition: 'consume' });
    expect(await tenant.sums()).toEqual({ spend: [52, 0] });
  });

  test('an old one does not come back when the clock is set back', async () => {
    const tenant = new Tenant();
    await tenant.admit('a', spend(90, { window: fixed }));
    await tenant.pass('spend', -2 * fixed.ms);
    expect(await tenant.read(spend(20, { window: fixed }))).toMatchObject({ held: 90, fits: false });
    expect(await tenant.admit('b', spend(10, { window: fixed }))).toMatchObject({ kind: 'admitted' });
    await tenant.end('a', { disposition: 'consume' });
    await tenant.end('b', { disposition: 'release' });
    expect(await tenant.sums()).toEqual({ spend: [90, 0] });
  });
});

describe('a rate', () => {
  test('lets through what is saved up, then one for each refill, and gives nothing back', async () => {
    const tenant = new Tenant();
    for (const id of ['a', 'b', 'c']) {
      expect(await tenant.admit(id, token(3, 60_000))).toMatchObject({ kind: 'admitted' });
      await tenant.end(id, { disposition: 'release' });
    }
    expect(await tenant.sums()).toEqual({ calls: [3, 0] });
    const refused = await tenant.admit('d', token(3, 60_000));
    expect(refused).toMatchObject({ kind: 'limited', limits: [{ max: 3, used: 3, held: 0, left: 0, fits: false }] });
    const [reading] = refused.kind === 'limited' ? refused.limits : [];
    expect(reading?.retryAfterMs).toBeGreaterThan(55_000);
    expect(reading?.retryAfterMs).toBeLessThanOrEqual(60_000);
    await tenant.pass('calls', reading?.retryAfterMs as number);
    expect(await tenant.admit('d', token(3, 60_000))).toMatchObject({ kind: 'admitted' });
    expect(await tenant.admit('e', token(3, 60_000))).toMatchObject({ kind: 'limited' });
    await tenant.pass('calls', 3_600_000);
    expect(await tenant.read(token(3, 60_000))).toMatchObject({ used: 0, left: 3 });
  });

  test('takes one token of an action, however often it is admitted', async () => {
    const tenant = new Tenant();
    for (let again = 0; again < 4; again++) {
      expect(await tenant.admit('a', token(2, 60_000))).toMatchObject({ kind: 'admitted' });
    }
    expect(await tenant.sums()).toEqual({ calls: [1, 0] });
    await tenant.admit('b', token(2, 60_000));
    expect(await tenant.read(token(2, 60_000), 'a')).toMatchObject({ fits: true });
    expect(await tenant.read(token(2, 60_000), 'c')).toMatchObject({ fits: false });
  });

  test('with room for less than one never lets anything through, and says so', async () => {
    const tenant = new Tenant();
    const { fits, retryAfterMs } = await tenant.read(token(0, 60_000));
    expect([fits, retryAfterMs]).toEqual([false, undefined]);
  });
});

describe('a breaker', () => {
  const bad = { disposition: 'release', result: 'bad' } as const;
  const good = { disposition: 'consume', result: 'good' } as const;
  let count = 0;
  const run = async (tenant: Tenant, end: HoldSettlement, demand = breaker()): Promise<Admission> => {
    const id = `run-${count++}`;
    const said = await tenant.admit(id, demand);
    if (said.kind === 'admitted') await tenant.end(id, end);
    return said;
  };
  const opened = async (): Promise<Tenant> => {
    const tenant = new Tenant();
    for (const end of [good, bad, good, bad]) expect(await run(tenant, end)).toMatchObject({ kind: 'admitted' });
    expect(await tenant.read(breaker())).toMatchObject({ state: 'open' });
    return tenant;
  };

  test('opens at its ratio once enough results are in, lets nothing pass, and says how long', async () => {
    const tenant = new Tenant();
    for (const end of [bad, bad, bad]) await run(tenant, end);
    expect(await tenant.read(breaker())).toMatchObject({ state: 'closed', used: 3, fits: true });
    await run(tenant, good);
    const reading = await tenant.read(breaker());
    expect(reading).toMatchObject({ state: 'open', used: 3, left: 0, fits: false });
    expect(reading.retryAfterMs).toBeGreaterThan(55_000);
    expect(await run(tenant, good)).toMatchObject({ kind: 'limited', limits: [{ state: 'open' }] });
  });

  test('with too few bad ones, or results that fell out of the window, stays closed', async () => {
    const tenant = new Tenant();
    for (const end of [bad, good, good, good, bad, good]) await run(tenant, end);
    await tenant.pass('target', 3 * 60_000);
    for (const end of [bad, bad, bad]) await run(tenant, end);
    expect(await tenant.read(breaker())).toMatchObject({ state: 'closed', used: 3 });
  });

  test('what never reached the tool is no result', async () => {
    const tenant = new Tenant();
    for (let index = 0; index < 6; index++) await run(tenant, { disposition: 'release' });
    expect(await tenant.read(breaker())).toMatchObject({ state: 'closed', used: 0 });
  });

  test('half-open lets its probes through at once and no more; as many good ones close it', async () => {
    const tenant = await opened();
    await tenant.pass('target', 60_000);
    expect(await tenant.read(breaker())).toMatchObject({ state: 'half_open', held: 0, left: 2, fits: true });
    const said = await times(5, (index) => tenant.admit(`probe-${index}`, breaker()));
    expect(said.filter(({ kind }) => kind === 'admitted')).toHaveLength(2);
    const probes = (await ledger.holds({ tenant: tenant.name })).map(
      ({ actionId, amount }) => [actionId, amount] as const,
    );
    expect(probes.map(([, amount]) => amount)).toEqual([1, 1]);
    await tenant.end(probes[0]?.[0] as string, good);
    expect(await tenant.read(breaker())).toMatchObject({ state: 'half_open', held: 1 });
    await tenant.end(probes[1]?.[0] as string, good);
    expect(await tenant.read(breaker())).toMatchObject({ state: 'closed', used: 0, held: 0 });
    for (const end of [bad, bad, bad]) await run(tenant, end);
    expect(await tenant.read(breaker())).toMatchObject({ state: 'closed' });
  });

  test('a bad probe opens it again; one of another time, or from before, says nothing and gives its slot back', async () => {
    const tenant = new Tenant();
    await tenant.admit('slow', breaker());
    for (const end of [bad, bad, bad, bad]) await run(tenant, end);
    await tenant.pass('target', 60_000);
    await tenant.admit('p-1', breaker());
    await tenant.admit('p-2', breaker());
    await tenant.end('slow', good);
    expect(await tenant.read(breaker())).toMatchObject({ state: 'half_open', held: 2 });
    await tenant.end('p-1', bad);
    expect(await tenant.read(breaker())).toMatchObject({ state: 'open', held: 1 });
    await tenant.pass('target', 60_000);
    expect(await tenant.read(breaker())).toMatchObject({ state: 'half_open', held: 1, left: 1 });
    await tenant.admit('p-3', breaker());
    await tenant.end('p-2', good);
    await tenant.end('p-3', good);
    expect(await tenant.read(breaker())).toMatchObject({ state: 'half_open', held: 0, fits: true });
    await run(tenant, good);
    expect(await tenant.read(breaker())).toMatchObject({ state: 'closed' });
  });

  test('an unknown outcome gives the probe back at once and counts as bad', async () => {
    const tenant = await opened();
    await tenant.pass('target', 60_000);
    await tenant.admit('p', breaker(), spend(10));
    await tenant.end('p', { disposition: 'keep', result: 'bad' });
    expect(await tenant.read(breaker())).toMatchObject({ state: 'open', held: 0 });
    expect(await tenant.sums()).toMatchObject({ spend: [0, 10] });
    await tenant.resolve('p', 'success');
    expect(await tenant.read(breaker())).toMatchObject({ state: 'open', held: 0 });
  });

  test('an action that was let through while it was closed is asked again when it is admitted again', async () => {
    const tenant = new Tenant();
    await tenant.admit('a', breaker());
    for (const end of [bad, bad, bad, bad]) await run(tenant, end);
    expect(await tenant.admit('a', breaker())).toMatchObject({ kind: 'limited' });
    await tenant.pass('target', 60_000);
    expect(await tenant.admit('a', breaker())).toMatchObject({ kind: 'admitted' });
    expect(await tenant.read(breaker(), 'a')).toMatchObject({ held: 0, fits: true });
    expect(await tenant.read(breaker())).toMatchObject({ held: 1 });
    await tenant.admit('a', breaker());
    await tenant.end('a', good);
    expect(await tenant.read(breaker())).toMatchObject({ state: 'half_open', held: 0 });
  });

  test('people may let something past an open one; its result opens and closes nothing', async () => {
    const tenant = await opened();
    expect(await tenant.admit('a', { ...breaker(), over: true })).toMatchObject({ kind: 'admitted' });
    await tenant.end('a', good);
    expect(await tenant.read(breaker())).toMatchObject({ state: 'open', held: 0 });
  });
});

describe('at once', () => {
  test('forty clients on one budget never overspend it, whatever becomes of their actions', async () => {
    const tenant = new Tenant();
    const workers = [ledger, await at.another(), await at.another({ poolSize: 20 })];
    let [admitted, most] = [0, 0];
    await times(40, async (lane) => {
      const worker = workers[lane % workers.length] as Ledger;
      for (let turn = 0; turn < 8; turn++) {
        const names = { tenant: tenant.name, actionId: `a-${lane}-${turn}` };
        const said = await worker.admit(
          admission(names, { holds: [spend(7, { window: { kind: 'fixed', ms: 1000 * DAYS } })] }),
        );
        if (said.kind !== 'admitted') continue;
        admitted++;
        const [{ used = 0, held = 0 } = {}] = await ledger.limitCounters({ tenant: tenant.name });
        most = Math.max(most, used + held);
        if (turn % 2 === 0)
          await worker.settle(settlement(names, { outcome: outcomeFor(names, { status: 'failed' }) }));
      }
    });
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(100);
    expect(admitted).toBeGreaterThanOrEqual(14);
    const [{ used, held } = { used: -1, held: -1 }] = await ledger.limitCounters({ tenant: tenant.name });
    const live = await ledger.holds({ tenant: tenant.name });
    expect([used, held]).toEqual([0, 7 * live.length]);
  });

  test('limits asked for in any order by anybody make no deadlock, and none is left with a part', async () => {
    const tenant = new Tenant();
    const workers = [ledger, await at.another({ poolSize: 20 })];
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const before = await deadlocks();
    await times(60, async (index) => {
      const worker = workers[index % 2] as Ledger;
      const order = names.map((_, n) => names[(n * (index % 5 === 0 ? 1 : 5) + index) % names.length] as string);
      const holds = order.map((limit) => ({ ...lease(20), limit, key: `k${index % 2}` }));
      const action = { tenant: tenant.name, actionId: `x-${index}` };
      await worker.admit(admission(action, { holds: holds.slice(0, 2 + (index % 5)) }));
      await worker.admit(admission(action, { holds: holds.slice(1) }));
      await worker.settle(settlement(action));
    });
    expect(await deadlocks()).toBe(before);
    for (const { held } of await ledger.limitCounters({ tenant: tenant.name })) expect(held).toBe(0);
    expect(await ledger.holds({ tenant: tenant.name })).toEqual([]);
  });

  test('one action admitted many times at once holds once', async () => {
    const tenant = new Tenant();
    const workers = [ledger, await at.another(), await at.another()];
    const holds = [spend(30), lease(2), token(5, 60_000)];
    const said = await times(20, (index) =>
      (workers[index % 3] as Ledger).admit(admission({ tenant: tenant.name, actionId: 'a' }, { holds })),
    );
    expect(new Set(said.map(({ kind }) => kind))).toEqual(new Set(['admitted']));
    expect(await tenant.sums()).toEqual({ spend: [0, 30], 'at-once': [0, 1], calls: [1, 0] });
  });

  test('when the reply to an admission or a settling is lost, the retry doubles nothing', async () => {
    const tenant = new Tenant();
    const proxy = await startProxy(at.url);
    const other = await Ledger.connect({ url: proxy.url, poolSize: 1 });
    const holds = [spend(30), lease(2), token(5, 60_000)];
    await other.settle(settlement({ tenant: tenant.name, actionId: 'first' }));
    const request = admission({ tenant: tenant.name, actionId: 'a' }, { holds });
    proxy.loseReplyTo('SELECT');
    expect(await other.admit(request)).toMatchObject({ kind: 'admitted' });
    expect(await tenant.sums()).toEqual({ spend: [0, 30], 'at-once': [0, 1], calls: [1, 0] });
    proxy.loseReplyTo('SELECT');
    const { recorded } = await other.settle(settlement(request, { holds: { disposition: 'consume' } }));
    expect([recorded, proxy.cuts]).toEqual([true, 2]);
    expect(await tenant.sums()).toEqual({ spend: [30, 0], 'at-once': [0, 0], calls: [1, 0] });
    expect(await ledger.useGrant(useOf(request))).toEqual({ kind: 'ended' });
    await other.close();
    await proxy.close();
  });

  async function deadlocks(): Promise<number> {
    const { rows } = await at.pool.query(
      `select deadlocks::int as n from pg_stat_database where datname = current_database()`,
    );
    return rows[0].n;
  }
});

describe('the cost', () => {
  test('of reading, placing and settling does not grow with what is held or was: each row is found by its key', async () => {
    const other = await startLedger({ poolSize: 1 });
    // Everything in one tenant and on one limit, through one connection, whose plans were made while the tables were empty.
    const tenant = newTenant();
    const act = async (actionId: string): Promise<void> => {
      const names = { tenant, actionId };
      const holds = [spend(1, { max: 1e9 }), lease(1e6), breaker({ key: actionId })];
      await other.ledger.readLimits(tenant, actionId, holds);
      const request = admission(names, { holds });
      await other.ledger.admit(request);
      await other.ledger.useGrant(useOf(request));
      await other.ledger.settle(settlement(names, { holds: { disposition: 'consume', result: 'good' } }));
    };
    // Twice, because the first settling of a tenant makes its chain, and the next does not.
    for (const actionId of ['first', 'second']) await act(actionId);
    await other.pool.query(
      `insert into countersign.actions (tenant, action_id, digest, agent, tool)
       select $1, 'live-' || n, 'sha256:' || repeat('0', 64), 'agent-1', 'shop-db' from generate_series(1, 20000) n`,
      [tenant],
    );
    await other.pool.query(
      `insert into countersign.holds (tenant, action_id, "limit", key, kind, amount, status, settled_at)
       select $1, 'live-' || n, 'spend', '', 'budget', 1, case when n % 2 = 0 then 'held' else 'consumed' end,
         case when n % 2 = 0 then null else now() end from generate_series(1, 20000) n`,
      [tenant],
    );
    await other.pool.query(
      `insert into countersign.grants (jti, tenant, action_id, agent, tool, expires_at)
       select 'live-' || n, $1, 'live-' || n, 'agent-1', 'shop-db', now() + interval '1 hour' from generate_series(1, 20000) n`,
      [tenant],
    );
    await act('last');
    // A connection's counts are in when it has ended.
    const read = `select (sum(idx_tup_read) filter (where indexrelname not like 'grants%')
        + (select sum(seq_tup_read) from pg_stat_user_tables where schemaname = 'countersign'))::int as n
      from pg_stat_user_indexes where schemaname = 'countersign'`;
    const witness = new pg.Client({ connectionString: other.url });
    await witness.connect();
    await other.ledger.close();
    await other.pool.end();
    for (;;) {
      const { rows } = await witness.query(
        `select 1 from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`,
      );
      if (rows.length === 0) break;
    }
    const { rows } = await witness.query(read);
    await witness.end();
    await other.drop();
    // Each of the inserted grants looked its action up.
    expect(rows[0].n).toBeGreaterThan(20_050);
    expect(rows[0].n).toBeLessThan(20_400);
  });
});
