/** Windows, rates and breakers: when what was counted is forgotten, and what opens and closes. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { HoldSettlement, LimitReading } from '../../src/action/limits.js';
import type { Admission, Ledger } from '../../src/ledger/index.js';
import { demandRows } from '../../src/ledger/limits/demands.js';
import { breaker, DAYS, spend, Tenant, token } from './limit-tenant.js';
import { startLedger, times, type TestLedger } from './support.js';

let at: TestLedger;
let ledger: Ledger;

beforeAll(async () => {
  at = await startLedger();
  ledger = at.ledger;
});
afterAll(() => at.stop());

describe('a window', () => {
  const fixed = { kind: 'fixed', ms: 10_000 * DAYS } as const;
  const sliding = { kind: 'sliding', ms: 10_000 * DAYS } as const;
  const slot = sliding.ms / 32;

  test('that is over is forgotten as a whole, what is held in it too, and what ends later ends in its own', async () => {
    const tenant = new Tenant(at);
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
    const tenant = new Tenant(at);
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
    const tenant = new Tenant(at);
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
    const tenant = new Tenant(at);
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
    const tenant = new Tenant(at);
    await tenant.admit('a', spend(90, { window: fixed }));
    await tenant.pass('spend', -2 * fixed.ms);
    expect(await tenant.read(spend(20, { window: fixed }))).toMatchObject({ held: 90, fits: false });
    expect(await tenant.admit('b', spend(10, { window: fixed }))).toMatchObject({ kind: 'admitted' });
    await tenant.end('a', { disposition: 'consume' });
    await tenant.end('b', { disposition: 'release' });
    expect(await tenant.sums()).toEqual({ spend: [90, 0] });
  });
});

describe('a window of a minute', () => {
  test('holds that are settled in the next one never erase what was spent there', async () => {
    const tenant = new Tenant(at);
    const minute = (amount: number) => spend(amount, { window: { kind: 'fixed', ms: 60_000 } });
    for (const id of ['consumed', 'released']) await tenant.admit(id, minute(40));
    await tenant.pass('spend', 60_000);
    await tenant.admit('new', minute(30));
    await tenant.end('consumed', { disposition: 'consume' });
    await tenant.end('released', { disposition: 'release' });
    // The row as it is written: what is in its window does not depend on how late it is now.
    const { rows } = await at.pool.query(
      'select used::float8, held::float8 from countersign.limit_counters where tenant = $1',
      [tenant.name],
    );
    expect(rows).toEqual([{ used: 0, held: 30 }]);
  });
});

describe('a day of a time zone', () => {
  /** What a counter says at an instant that got 90 of 100 at another. */
  async function readingAt(timezone: string, spentAt: number, now: number): Promise<LimitReading> {
    const demand = spend(20, { window: { kind: 'fixed', ms: DAYS, timezone } });
    const { rows } = await at.pool.query<{ reading: LimitReading }>(
      `select countersign.limit_reading(countersign.with_added(spent, spent.slot, 90, 0), d, null, $3) as reading
       from jsonb_populate_recordset(null::countersign.limit_demand, $1::jsonb) as d,
         countersign.blank_counter('t', d, $2) as spent`,
      [demandRows([demand]), Math.round(spentAt * 1000), Math.round(now * 1000)],
    );
    return rows[0]?.reading as LimitReading;
  }

  test.each([
    ['Europe/Berlin', '2026-06-01', '2026-05-31T22:00:00Z', '2026-06-01T22:00:00Z', 24],
    ['Europe/Berlin', '2026-03-29, when clocks go forward', '2026-03-28T23:00:00Z', '2026-03-29T22:00:00Z', 23],
    ['Europe/Berlin', '2026-10-25, when clocks go back', '2026-10-24T22:00:00Z', '2026-10-25T23:00:00Z', 25],
    ['America/New_York', '2026-03-08, when clocks go forward', '2026-03-08T05:00:00Z', '2026-03-09T04:00:00Z', 23],
    ['America/New_York', '2026-11-01, when clocks go back', '2026-11-01T04:00:00Z', '2026-11-02T05:00:00Z', 25],
    ['America/Havana', '2026-11-01, which begins twice', '2026-11-01T04:00:00Z', '2026-11-02T05:00:00Z', 25],
    ['Africa/Cairo', '2026-04-24, which begins at 1', '2026-04-23T22:00:00Z', '2026-04-24T21:00:00Z', 23],
    ['Asia/Kolkata', '2026-01-01', '2025-12-31T18:30:00Z', '2026-01-01T18:30:00Z', 24],
  ])('in %s, %s, is counted from %s to %s', async (timezone, _day, begins, ends, hours) => {
    const [from, to] = [Date.parse(begins), Date.parse(ends)];
    expect(to - from).toBe(hours * 3600_000);
    expect(await readingAt(timezone, from, from)).toMatchObject({
      used: 90,
      fits: false,
      retryAfterMs: hours * 3600_000,
    });
    expect(await readingAt(timezone, from, to - 1)).toMatchObject({ used: 90, fits: false, retryAfterMs: 1 });
    expect(await readingAt(timezone, from, to)).toMatchObject({ used: 0, fits: true });
    expect(await readingAt(timezone, from - 1, from - 1)).toMatchObject({ used: 90, retryAfterMs: 1 });
    expect(await readingAt(timezone, from - 1, from)).toMatchObject({ used: 0, fits: true });
    expect(await readingAt(timezone, to - 1, to - 1)).toMatchObject({ used: 90, retryAfterMs: 1 });
  });

  test('is counted by the ledger, and forgets nothing when a policy changes the zone', async () => {
    const tenant = new Tenant(at);
    const day = (amount: number, timezone?: string) =>
      spend(amount, { window: { kind: 'fixed', ms: 10_000 * DAYS, ...(timezone === undefined ? {} : { timezone }) } });
    await tenant.admit('held', day(30, 'America/New_York'));
    await tenant.admit('spent', day(20, 'America/New_York'));
    await tenant.end('spent', { disposition: 'consume' });
    expect(await tenant.read(day(51, 'Europe/Berlin'))).toMatchObject({ used: 20, held: 30, fits: false });
    await tenant.admit('other', day(1, 'Europe/Berlin'));
    await tenant.admit('utc', day(2));
    expect(await tenant.sums()).toEqual({ spend: [20, 33] });
    for (const id of ['held', 'other', 'utc']) await tenant.end(id, { disposition: 'consume' });
    expect(await tenant.sums()).toEqual({ spend: [53, 0] });
    await tenant.admit('last', day(47, 'America/New_York'));
    expect(await tenant.admit('more', day(1, 'America/New_York'))).toMatchObject({ kind: 'limited' });
    await tenant.pass('spend', 10_000 * DAYS);
    expect(await tenant.admit('more', day(100, 'America/New_York'))).toMatchObject({ kind: 'admitted' });
  });
});

describe('a rate', () => {
  test('lets through what is saved up, then one for each refill, and gives nothing back', async () => {
    const tenant = new Tenant(at);
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
    const tenant = new Tenant(at);
    for (let again = 0; again < 4; again++) {
      expect(await tenant.admit('a', token(2, 60_000))).toMatchObject({ kind: 'admitted' });
    }
    expect(await tenant.sums()).toEqual({ calls: [1, 0] });
    await tenant.admit('b', token(2, 60_000));
    expect(await tenant.read(token(2, 60_000), 'a')).toMatchObject({ fits: true });
    expect(await tenant.read(token(2, 60_000), 'c')).toMatchObject({ fits: false });
  });

  test('with room for less than one never lets anything through, and says so', async () => {
    const tenant = new Tenant(at);
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
    const tenant = new Tenant(at);
    for (const end of [good, bad, good, bad]) expect(await run(tenant, end)).toMatchObject({ kind: 'admitted' });
    expect(await tenant.read(breaker())).toMatchObject({ state: 'open' });
    return tenant;
  };

  test('opens at its ratio once enough results are in, lets nothing pass, and says how long', async () => {
    const tenant = new Tenant(at);
    for (const end of [bad, bad, bad]) await run(tenant, end);
    expect(await tenant.read(breaker())).toMatchObject({ state: 'closed', used: 3, fits: true });
    await run(tenant, good);
    const reading = await tenant.read(breaker());
    expect(reading).toMatchObject({ state: 'open', used: 3, left: 0, fits: false });
    expect(reading.retryAfterMs).toBeGreaterThan(55_000);
    expect((await ledger.figures.now()).breakers.open).toBeGreaterThan(0);
    expect(await run(tenant, good)).toMatchObject({ kind: 'limited', limits: [{ state: 'open' }] });
  });

  test('with too few bad ones, or results that fell out of the window, stays closed', async () => {
    const tenant = new Tenant(at);
    for (const end of [bad, good, good, good, bad, good]) await run(tenant, end);
    await tenant.pass('target', 3 * 60_000);
    for (const end of [bad, bad, bad]) await run(tenant, end);
    expect(await tenant.read(breaker())).toMatchObject({ state: 'closed', used: 3 });
  });

  test('what never reached the tool is no result', async () => {
    const tenant = new Tenant(at);
    for (let index = 0; index < 6; index++) await run(tenant, { disposition: 'release' });
    expect(await tenant.read(breaker())).toMatchObject({ state: 'closed', used: 0 });
  });

  test('half-open lets its probes through at once and no more; as many good ones close it', async () => {
    const tenant = await opened();
    await tenant.pass('target', 60_000);
    expect(await tenant.read(breaker())).toMatchObject({ state: 'half_open', held: 0, left: 2, fits: true });
    const before = await ledger.figures.now();
    const said = await times(5, (index) => tenant.admit(`probe-${index}`, breaker()));
    expect(said.filter(({ kind }) => kind === 'admitted')).toHaveLength(2);
    const now = await ledger.figures.now();
    expect(now.breakers).toEqual(before.breakers);
    expect(now.breakers.halfOpen).toBeGreaterThan(0);
    expect((now.holds.breaker ?? 0) - (before.holds.breaker ?? 0)).toBe(2);
    const probes = (await ledger.limits.holds({ tenant: tenant.name })).map(
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
    const tenant = new Tenant(at);
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
    const tenant = new Tenant(at);
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
