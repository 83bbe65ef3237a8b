/** The ledger's clock, as a process carries it on: whatever the clock of its own machine says, and hardly ever by asking. */
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { clocksStanding } from '../../src/cli/clock-checks.js';
import { LedgerClock } from '../../src/ledger/clock.js';
import { Database, Ledger } from '../../src/ledger/index.js';
import { startLedger, type TestLedger } from './support.js';

let at: TestLedger;
let database: Database;
let clock: LedgerClock;
/** How long the next answers take, milliseconds, oldest first. */
let answers: number[];

beforeAll(async () => {
  at = await startLedger();
  database = new Database({ url: at.url });
  await database.rows({ name: 'warm', query: sql`select 1` });
});
beforeEach(() => {
  answers = [];
  clock = new LedgerClock(database);
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});
afterAll(async () => {
  await database?.close();
  await at?.stop();
});

function asked() {
  return vi.spyOn(database, 'rows');
}

async function offBy(read: () => Promise<Date>): Promise<number> {
  const { rows } = await at.pool.query<{ now: Date }>('select clock_timestamp() as now');
  return (await read()).getTime() - (rows[0] as { now: Date }).now.getTime();
}

test.each([-24 * 60, -10, 0, 10, 24 * 60])(
  'is told, and never behind it, by a process whose own is %i minutes off',
  async (minutes) => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + minutes * 60_000 });
    const off = await offBy(() => clock.read());
    expect(off).toBeGreaterThanOrEqual(0);
    expect(off).toBeLessThan(30_000);
    expect(Math.abs((clock.aheadMs ?? NaN) - minutes * 60_000)).toBeLessThan(30_000);
  },
);

test('is asked once for any number who need it at once, and not again for a minute', async () => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'] });
  const rows = asked();
  await Promise.all([clock.read(), clock.read(), clock.read()]);
  const first = clock.now();
  vi.advanceTimersByTime(59_000);
  expect((await clock.read()).getTime() - first.getTime()).toBe(59_000);
  expect(rows).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(2_000);
  await clock.read();
  expect(rows).toHaveBeenCalledTimes(2);
});

test('is asked again as soon as the clock of the machine was set, or stood still', async () => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'] });
  const rows = asked();
  await clock.read();
  vi.setSystemTime(Date.now() + 60 * 60_000);
  await clock.read();
  expect(rows).toHaveBeenCalledTimes(2);
  expect(clock.aheadMs).toBeGreaterThan(59 * 60_000);
  vi.setSystemTime(Date.now() - 60 * 60_000);
  await clock.read();
  expect(rows).toHaveBeenCalledTimes(3);
});

test('is taken from the promptest of a few answers, where one was slow', async () => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'] });
  const whole = database.rows.bind(database);
  const rows = vi.spyOn(database, 'rows').mockImplementation(async (statement) => {
    const answer = await whole(statement);
    vi.advanceTimersByTime(answers.shift() ?? 0);
    return answer;
  });
  answers = [100_000, 60_000, 10];
  const off = await offBy(() => clock.read());
  expect(rows).toHaveBeenCalledTimes(3);
  // What was waited for has passed on the clock of this test alone.
  expect(off).toBeLessThan(30_000);
  answers = [100_000, 60_000, 80_000];
  expect(await offBy(() => clock.look().then(() => clock.now()))).toBeGreaterThan(59_000);
  expect(rows).toHaveBeenCalledTimes(6);
});

test('is not made up while the ledger is away, and what was read before is carried on', async () => {
  const gone = new Database({ url: at.url });
  const ledger = new Ledger(gone);
  const before = ledger.clock.now().getTime();
  expect(Math.abs(before - Date.now())).toBeLessThan(30_000);
  expect(ledger.clock.aheadMs).toBeUndefined();
  await ledger.clock.read();
  await gone.close();
  expect(Math.abs((await ledger.clock.read()).getTime() - Date.now())).toBeLessThan(30_000);
  await expect(ledger.clock.look()).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  await expect(new Ledger(gone).clock.read()).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
});

test('stands beside those of this machine and of every worker that is not silent, and doctor names what is off', async () => {
  const ledger = at.ledger;
  const report = (worker: string, clockAheadMs: number): Promise<void> =>
    ledger.rollout.report({ worker, taskQueue: 'main', source: 'folder', clockAheadMs });
  await report('right', -12);
  expect(await clocksStanding(ledger)).toMatchObject({
    ok: true,
    detail: expect.stringMatching(/^this machine and 1 of the workers: within \d+ ms of the ledger's$/) as string,
  });
  await report('fast', 600_000);
  await report('slow', -2_500);
  expect(await clocksStanding(ledger)).toEqual({
    ok: false,
    detail: "fast: 600 s ahead of the ledger's; slow: 2.5 s behind the ledger's",
  });
  await report('slow', -1_900);
  await ledger.rollout.forget('fast');
  expect((await clocksStanding(ledger)).ok).toBe(true);
});
