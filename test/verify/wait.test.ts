/** Waiting for a system that shows an effect late: when it is read, when the wait ends, and what the checks report. Uses a test clock. */
import { describe, expect, test } from 'vitest';
import { CountersignError } from '../../src/action/errors.js';
import type { Check } from '../../src/action/outcome.js';
import type { Proposal } from '../../src/action/proposal.js';
import { awaitChecks, deadlinesOf } from '../../src/verify/index.js';

type Reading = Record<string, boolean> | 'away' | 'broken';

/** Waits for a system that returns `readingAt` of the time of the read. Each reading takes `tookMs`. */
async function wait(expect: Proposal['expect'], readingAt: (at: number) => Reading, tookMs = 0) {
  let now = 1_000_000;
  const start = now;
  const times: number[] = [];
  const read = () => {
    const at = now - start;
    times.push(at);
    now += tookMs;
    const reading = readingAt(at);
    if (reading === 'away') throw new CountersignError('TOOL_UNAVAILABLE', 'away', { retryable: true });
    if (reading === 'broken') throw new CountersignError('TOO_MANY_ROWS', 'broken');
    const checks = Object.entries(reading).map(([name, ok]): Check =>
      ok ? { name, ok } : { name, ok, detail: 'No.' },
    );
    return Promise.resolve({ at, checks });
  };
  const clock = { now: () => now, sleep: (ms: number) => Promise.resolve(void (now += ms)) };
  const ended = await awaitChecks(async () => await read(), deadlinesOf({ expect }), clock).catch(
    (error: unknown) => error,
  );
  return { times, ended };
}

const within = (withinMs: number) => ({ cel: 'true', withinMs });

describe('the readings', () => {
  test('without a deadline consist of one, whatever it shows', async () => {
    for (const promise of [undefined, 'true', { cel: 'true' }, within(0)]) {
      expect((await wait(promise, () => ({ expect: false }))).times).toEqual([0]);
    }
  });

  test('back off from 50 ms to a second, and the last is at the deadline', async () => {
    const { times } = await wait(within(5000), () => ({ expect: false }));
    expect(times).toEqual([0, 50, 150, 350, 750, 1550, 2550, 3550, 4550, 5000]);
  });

  test('are the same every time', async () => {
    const runs = await Promise.all([1, 2].map(() => wait(within(3000), (at) => ({ expect: at > 2000 }))));
    expect(runs[0]?.times).toEqual(runs[1]?.times);
  });

  test('end with the first that meets all expectations', async () => {
    const { times, ended } = await wait(within(5000), (at) => ({ derived: true, expect: at >= 300 }));
    expect(times).toEqual([0, 50, 150, 350]);
    expect(ended).toMatchObject({
      checks: [
        { name: 'derived', ok: true },
        { name: 'expect', ok: true, detail: 'Held after 350 ms (4 readings).' },
      ],
    });
  });

  test('that are one are told as one', async () => {
    const { ended } = await wait(within(5000), () => ({ expect: true }));
    expect(ended).toMatchObject({ checks: [{ name: 'expect', ok: true, detail: 'Held after 0 ms (1 reading).' }] });
  });

  test("wait for the tool's own checks as long as for the expectation", async () => {
    const { ended } = await wait(within(1000), (at) => ({ derived: at >= 700, expect: true }));
    expect(ended).toMatchObject({
      checks: [
        { name: 'derived', ok: true },
        { name: 'expect', ok: true, detail: 'Held after 0 ms (5 readings).' },
      ],
    });
  });
});

describe('at the edge of the deadline', () => {
  test('a check that holds at that instant counts', async () => {
    expect((await wait(within(100), (at) => ({ expect: at >= 100 }))).ended).toMatchObject({
      checks: [{ ok: true, detail: 'Held after 100 ms (3 readings).' }],
    });
  });

  test('a check that holds a millisecond later does not', async () => {
    const { times, ended } = await wait(within(100), (at) => ({ expect: at >= 101 }));
    expect(times).toEqual([0, 50, 100]);
    expect(ended).toMatchObject({ checks: [{ ok: false, detail: 'No. Waited 100 ms (3 readings).' }] });
  });

  test('a reading that takes longer than the deadline is the only one', async () => {
    expect((await wait(within(100), () => ({ expect: false }), 150)).times).toEqual([0]);
  });

  test('time that readings take counts', async () => {
    expect((await wait(within(300), () => ({ expect: false }), 60)).times).toEqual([0, 110, 270]);
  });
});

describe('several expectations', () => {
  const both = [
    { name: 'soon', cel: 'true', withinMs: 100 },
    { name: 'later', cel: 'true', withinMs: 2000 },
  ];

  test('each has its own deadline: the first that passes ends the wait', async () => {
    const { times, ended } = await wait(both, () => ({ 'expect.soon': false, 'expect.later': false }));
    expect(times).toEqual([0, 50, 100]);
    expect(ended).toMatchObject({ checks: [{ name: 'expect.soon', ok: false }, { ok: false }] });
  });

  test('one that held in time waits for the other', async () => {
    const { times, ended } = await wait(both, (at) => ({ 'expect.soon': at >= 50, 'expect.later': at >= 1000 }));
    expect(times.at(-1)).toBe(1550);
    expect(ended).toMatchObject({
      checks: [
        { ok: true, detail: 'Held after 50 ms (6 readings).' },
        { ok: true, detail: 'Held after 1550 ms (6 readings).' },
      ],
    });
  });

  test('one that held and no longer does fails', async () => {
    const { ended } = await wait(both, (at) => ({ 'expect.soon': at < 100, 'expect.later': false }));
    expect(ended).toMatchObject({ checks: [{ name: 'expect.soon', ok: false }, { ok: false }] });
  });

  test('one without a deadline must hold at once', async () => {
    const mixed = [{ name: 'now', cel: 'true' }, both[1] as (typeof both)[1]];
    const { times } = await wait(mixed, () => ({ 'expect.now': false, 'expect.later': false }));
    expect(times).toEqual([0]);
  });
});

describe('a reading that fails', () => {
  test('is repeated within the deadline', async () => {
    const { times, ended } = await wait(within(1000), (at) => (at < 300 ? 'away' : { expect: true }));
    expect(times).toEqual([0, 50, 150, 350]);
    expect(ended).toMatchObject({ checks: [{ ok: true, detail: 'Held after 350 ms (4 readings).' }] });
  });

  test('at the end fails the wait, because an earlier reading says nothing about the present', async () => {
    const { times, ended } = await wait(within(200), (at) => (at < 100 ? { expect: false } : 'away'));
    expect(times).toEqual([0, 50, 150, 200]);
    expect(ended).toMatchObject({ code: 'TOOL_UNAVAILABLE' });
  });

  test('without a deadline is not repeated here', async () => {
    const { times, ended } = await wait(undefined, () => 'away');
    expect(times).toEqual([0]);
    expect(ended).toMatchObject({ code: 'TOOL_UNAVAILABLE' });
  });

  test('for good is not repeated at all', async () => {
    const { times, ended } = await wait(within(5000), () => 'broken');
    expect(times).toEqual([0]);
    expect(ended).toMatchObject({ code: 'TOO_MANY_ROWS' });
  });
});

test('the checks of an action without a deadline do not mention time', async () => {
  expect((await wait('true', () => ({ derived: true, expect: true }))).ended).toEqual({
    at: 0,
    checks: [
      { name: 'derived', ok: true },
      { name: 'expect', ok: true },
    ],
  });
});
