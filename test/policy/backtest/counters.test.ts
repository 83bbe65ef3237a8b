/** The counters of budgets, counts, rates and leases in memory: what they count, when they forget it, and when there is room again. */
import { describe, expect, test } from 'vitest';
import type { LimitDemand } from '../../../src/action/limits.js';
import { sum } from '../../../src/policy/backtest/counter.js';
import { Counters } from '../../../src/policy/backtest/counters.js';
import { microsecondsOf } from '../../../src/policy/backtest/windows.js';

const SECOND = 1_000_000;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;
const at = (time: string) => microsecondsOf(time);

type Window = NonNullable<Extract<LimitDemand, { kind: 'budget' | 'count' }>['window']>;

describe('counters in memory', () => {
  const NOON = at('2025-01-01T12:00:00Z');
  const budget = (
    amount: number,
    more: Partial<Extract<LimitDemand, { kind: 'budget' | 'count' }>> = {},
  ): LimitDemand => ({
    limit: 'l',
    key: 'k',
    kind: 'budget',
    amount,
    max: 10,
    unit: 'EUR',
    ...more,
  });
  const fixed = { window: { kind: 'fixed', ms: 3_600_000 } } as const;
  const sliding = { window: { kind: 'sliding', ms: 3_200_000 } } as const;

  test('of a budget count what is held, then what was spent, and give back what was not', () => {
    const counters = new Counters();
    const read = (amount = 1) => {
      const { used, held, left, fits } = counters.read('acme', 'asks', budget(amount), NOON);
      return [used, held, left, fits];
    };
    expect(read(10)).toEqual([0, 0, 10, true]);
    expect(read(11)).toEqual([0, 0, 10, false]);
    counters.place('acme', 'a', budget(4), NOON);
    counters.place('acme', 'a', budget(4), NOON);
    expect(read()).toEqual([0, 4, 6, true]);
    counters.place('acme', 'a', budget(3), NOON);
    expect(read(7)).toEqual([0, 3, 7, true]);
    expect(read(7.01)).toEqual([0, 3, 7, false]);
    counters.settle('acme', 'a', budget(3), { disposition: 'consume', spent: 2.5 }, NOON);
    expect(read()).toEqual([2.5, 0, 7.5, true]);
    counters.settle('acme', 'a', budget(3), { disposition: 'consume', spent: 2.5 }, NOON);
    expect(read()).toEqual([2.5, 0, 7.5, true]);
    counters.place('acme', 'b', budget(2), NOON);
    counters.settle('acme', 'b', budget(2), { disposition: 'release', spent: 2 }, NOON);
    expect(read()).toEqual([2.5, 0, 7.5, true]);
    counters.place('acme', 'c', budget(2), NOON);
    counters.settle('acme', 'c', budget(2), { disposition: 'keep' }, NOON);
    expect(read()).toEqual([2.5, 2, 5.5, true]);
    counters.settle('acme', 'c', budget(2), { disposition: 'consume' }, NOON);
    expect(read()).toEqual([4.5, 0, 5.5, true]);
    expect(counters.read('other', 'asks', budget(1), NOON)).toMatchObject({ used: 0, left: 10 });
  });

  test('let an action read its own hold as room for itself, and nothing at all always fits', () => {
    const counters = new Counters();
    counters.place('acme', 'a', budget(9), NOON);
    expect(counters.read('acme', 'a', budget(9), NOON)).toMatchObject({ held: 0, left: 10, fits: true });
    expect(counters.read('acme', 'b', budget(2), NOON)).toMatchObject({ held: 9, left: 1, fits: false });
    counters.place('acme', 'c', budget(5), NOON);
    expect(counters.read('acme', 'd', budget(0), NOON)).toMatchObject({ left: 0, fits: true });
    counters.forget('acme', 'a');
    expect(counters.read('acme', 'a', budget(9), NOON)).toMatchObject({ held: 14, fits: false });
  });

  test('of a fixed window begin anew with it, and say when', () => {
    const counters = new Counters();
    counters.place('acme', 'a', budget(9, fixed), NOON);
    const read = (when: number, amount = 2) => counters.read('acme', 'asks', budget(amount, fixed), when);
    expect(read(NOON + 1000)).toMatchObject({ held: 9, fits: false, retryAfterMs: 3_599_999 });
    expect(read(NOON, 11)).not.toHaveProperty('retryAfterMs');
    expect(read(NOON + HOUR)).toMatchObject({ held: 0, left: 10, fits: true });
    // What was held in the window that is over is settled in nothing.
    counters.place('acme', 'b', budget(1, fixed), NOON + HOUR);
    counters.settle('acme', 'a', budget(9, fixed), { disposition: 'consume' }, NOON + HOUR);
    expect(read(NOON + HOUR)).toMatchObject({ used: 0, held: 1 });
    // A clock that was set back brings no old window back.
    expect(read(NOON)).toMatchObject({ used: 0, held: 1 });
  });

  test('of a sliding window forget by slots, never early', () => {
    const counters = new Counters();
    const slot = 100 * SECOND;
    const first = Math.ceil(NOON / slot) * slot;
    counters.place('acme', 'a', budget(6, sliding), first);
    counters.settle('acme', 'a', budget(6, sliding), { disposition: 'consume' }, first);
    counters.place('acme', 'b', budget(3, sliding), first + 10 * slot);
    const read = (when: number, amount = 2) => counters.read('acme', 'asks', budget(amount, sliding), when);
    expect(read(first + 32 * slot + slot - 1)).toMatchObject({ used: 6, held: 3, fits: false });
    expect(read(first + 33 * slot)).toMatchObject({ used: 0, held: 3, fits: true });
    expect(read(first + 10 * slot)).toMatchObject({ fits: false, retryAfterMs: 2_300_000 });
    expect(read(first + 10 * slot, 8)).toMatchObject({ fits: false, retryAfterMs: 3_300_000 });
  });

  test('let an action keep what it was let hold over the maximum', () => {
    const counters = new Counters();
    counters.place('acme', 'a', budget(9), NOON);
    const small = { max: 8 };
    expect(counters.read('acme', 'a', budget(9, small), NOON)).toMatchObject({ left: 8, fits: true });
    expect(counters.read('acme', 'a', budget(8.5, small), NOON)).toMatchObject({ fits: false });
    counters.settle('acme', 'a', budget(9), { disposition: 'release' }, NOON);
    expect(counters.read('acme', 'a', budget(9, small), NOON)).toMatchObject({ fits: false });
  });

  test('of a count and of a window in a zone go by the same rules', () => {
    const counters = new Counters();
    const berlin = { window: { kind: 'fixed', ms: 86_400_000, timezone: 'Europe/Berlin' } } as const;
    const count: LimitDemand = { limit: 'n', key: '', kind: 'count', amount: 1, max: 2, unit: 'actions', ...berlin };
    counters.place('acme', 'a', count, NOON);
    counters.settle('acme', 'a', count, { disposition: 'consume', spent: 7 }, NOON);
    expect(counters.read('acme', 'asks', count, NOON)).toMatchObject({
      kind: 'count',
      max: 2,
      used: 1,
      left: 1,
      fits: true,
    });
    counters.place('acme', 'b', count, NOON);
    const midnight = at('2025-01-01T23:00:00Z');
    expect(counters.read('acme', 'asks', count, NOON)).toMatchObject({
      fits: false,
      retryAfterMs: (midnight - NOON) / 1000,
    });
    expect(counters.read('acme', 'asks', count, midnight - 1)).toMatchObject({ left: 0 });
    expect(counters.read('acme', 'asks', count, midnight)).toMatchObject({ used: 0, held: 0, left: 2 });
  });

  test('of a sliding window forget also what is still held in it, slot by slot', () => {
    const counters = new Counters();
    const slot = 100 * SECOND;
    const first = Math.ceil(NOON / slot) * slot;
    const read = (when: number) => {
      const { used, held } = counters.read('acme', 'asks', budget(1, sliding), when);
      return [used, held];
    };
    counters.place('acme', 'a', budget(1, sliding), first);
    counters.place('acme', 'b', budget(2, sliding), first + 1);
    counters.place('acme', 'c', budget(3, sliding), first + 2 * slot);
    counters.settle('acme', 'b', budget(2, sliding), { disposition: 'consume' }, first + slot);
    expect(read(first + 2 * slot)).toEqual([2, 4]);
    expect(read(first + 33 * slot)).toEqual([0, 3]);
    counters.place('acme', 'd', budget(4, sliding), first + 33 * slot);
    // What was held in a slot that is forgotten is settled in nothing.
    counters.settle('acme', 'a', budget(1, sliding), { disposition: 'consume' }, first + 33 * slot);
    expect(read(first + 33 * slot)).toEqual([0, 7]);
    expect(read(first + 35 * slot)).toEqual([0, 4]);
    expect(read(first + 66 * slot)).toEqual([0, 0]);
  });

  test('of a window that becomes another one put what they counted into its newest slot', () => {
    const counters = new Counters();
    counters.place('acme', 'a', budget(1, fixed), NOON);
    counters.place('acme', 'b', budget(2, fixed), NOON);
    counters.settle('acme', 'b', budget(2, fixed), { disposition: 'consume' }, NOON);
    counters.place('acme', 'c', budget(3, sliding), NOON);
    const read = (when: number, more: typeof sliding | typeof fixed = sliding) => {
      const { used, held } = counters.read('acme', 'asks', budget(1, more), when);
      return [used, held];
    };
    expect(read(NOON)).toEqual([2, 4]);
    expect(read(NOON + 3200 * SECOND)).toEqual([2, 4]);
    expect(read(NOON + 3400 * SECOND)).toEqual([0, 0]);
    // The hold moved along: settled within the new window, it is counted there.
    counters.settle('acme', 'a', budget(1, fixed), { disposition: 'consume' }, NOON);
    expect(read(NOON)).toEqual([3, 3]);
    expect(read(NOON, fixed)).toEqual([3, 3]);
    const zoned = { window: { kind: 'fixed', ms: 86_400_000, timezone: 'Europe/Berlin' } } as const;
    counters.place('acme', 'd', budget(1, zoned), NOON);
    expect(counters.read('acme', 'asks', budget(1, zoned), NOON)).toMatchObject({ used: 3, held: 4 });
    const day = { window: { kind: 'fixed', ms: 86_400_000 } } as const;
    counters.place('acme', 'e', budget(1, day), NOON);
    expect(counters.read('acme', 'asks', budget(1, day), NOON)).toMatchObject({ used: 3, held: 5 });
  });

  test('of a window that is changed keep what they counted, and the holds in it', () => {
    const counters = new Counters();
    counters.place('acme', 'a', budget(4, fixed), NOON);
    counters.place('acme', 'b', budget(1), NOON);
    expect(counters.read('acme', 'asks', budget(1), NOON)).toMatchObject({ held: 5 });
    counters.settle('acme', 'a', budget(4), { disposition: 'release' }, NOON);
    expect(counters.read('acme', 'asks', budget(1), NOON + DAY)).toMatchObject({ held: 1 });
  });

  test('of a rate take a token each, which come back one at a time', () => {
    const counters = new Counters();
    const rate: LimitDemand = { limit: 'r', key: '', kind: 'rate', capacity: 2, refillMs: 1000 };
    const read = (when: number, action = 'asks') => counters.read('acme', action, rate, when);
    counters.place('acme', 'a', rate, NOON);
    counters.place('acme', 'a', rate, NOON);
    expect(read(NOON)).toMatchObject({ max: 2, used: 1, held: 0, left: 1, fits: true });
    counters.place('acme', 'b', rate, NOON);
    expect(read(NOON)).toMatchObject({ used: 2, left: 0, fits: false, retryAfterMs: 1000 });
    expect(read(NOON, 'a')).toMatchObject({ used: 2, fits: true });
    expect(read(NOON + 999_999)).toMatchObject({ fits: false, retryAfterMs: 1 });
    expect(read(NOON + SECOND)).toMatchObject({ used: 1, fits: true });
    counters.settle('acme', 'a', rate, { disposition: 'release' }, NOON);
    expect(read(NOON)).toMatchObject({ used: 2 });
    expect(read(NOON + 5 * SECOND)).toMatchObject({ used: 0, left: 2 });
  });

  test('of concurrency are free again, however an action ends', () => {
    const counters = new Counters();
    const lease: LimitDemand = { limit: 'c', key: '', kind: 'concurrency', max: 1 };
    for (const disposition of ['consume', 'release'] as const) {
      counters.place('acme', disposition, lease, NOON);
      expect(counters.read('acme', 'asks', lease, NOON)).toMatchObject({ held: 1, left: 0, fits: false });
      counters.settle('acme', disposition, lease, { disposition }, NOON);
      expect(counters.read('acme', 'asks', lease, NOON)).toMatchObject({ used: 0, held: 0, fits: true });
    }
    counters.place('acme', 'x', lease, NOON);
    expect(counters.read('acme', 'asks', lease, NOON)).not.toHaveProperty('retryAfterMs');
  });

  test('add sums of money without the errors of binary fractions', () => {
    expect(sum(0.1, 0.2)).toBe(0.3);
    expect(sum(1e9, 0.1, 0.2)).toBe(1_000_000_000.3);
    expect(sum(0.3, -0.1, -0.2)).toBe(0);
    expect(Object.is(sum(-0.1, 0.1), 0)).toBe(true);
    expect(sum()).toBe(0);
    expect(sum(1.5, 1.5)).toBe(3);
  });

  test('that are placed again in a later window change nothing, and are placed anew once they have ended', () => {
    const counters = new Counters();
    const read = (when: number) => {
      const { used, held } = counters.read('acme', 'asks', budget(1, fixed), when);
      return [used, held];
    };
    counters.place('acme', 'a', budget(4, fixed), NOON);
    counters.place('acme', 'a', budget(4, fixed), NOON + HOUR);
    expect(read(NOON)).toEqual([0, 4]);
    expect(read(NOON + HOUR)).toEqual([0, 0]);
    counters.place('acme', 'b', budget(2, fixed), NOON + HOUR);
    counters.settle('acme', 'b', budget(2, fixed), { disposition: 'consume' }, NOON + HOUR);
    counters.place('acme', 'b', budget(2, fixed), NOON + HOUR);
    expect(read(NOON + HOUR)).toEqual([2, 2]);
    // What was held in the window that is over is no room of the new one.
    counters.place('acme', 'a', budget(3, fixed), NOON + HOUR);
    expect(read(NOON + HOUR)).toEqual([2, 5]);
  });

  test('read by an action that has ended, or whose window is over, are what they are to any other', () => {
    const counters = new Counters();
    counters.place('acme', 'a', budget(9, fixed), NOON);
    expect(counters.read('acme', 'a', budget(1, fixed), NOON + HOUR)).toMatchObject({ held: 0, left: 10 });
    counters.settle('acme', 'a', budget(9, fixed), { disposition: 'consume' }, NOON);
    expect(counters.read('acme', 'a', budget(9, fixed), NOON)).toMatchObject({
      used: 9,
      held: 0,
      left: 1,
      fits: false,
    });
    counters.place('acme', 'b', budget(5, { max: 5 }), NOON);
    counters.settle('acme', 'b', budget(5), { disposition: 'keep' }, NOON);
    expect(counters.read('acme', 'b', budget(5, fixed), NOON)).toMatchObject({ fits: false });
  });

  test('say nothing that they do not know: no state but of a breaker, no time where there is room or never will be', () => {
    const counters = new Counters();
    counters.place('acme', 'a', budget(9, fixed), NOON);
    const reading = { limit: 'l', key: 'k', kind: 'budget', max: 10, used: 0, held: 9, left: 1 };
    expect(counters.read('acme', 'asks', budget(1, fixed), NOON)).toStrictEqual({ ...reading, fits: true });
    expect(counters.read('acme', 'asks', budget(10, fixed), NOON)).toStrictEqual({
      ...reading,
      fits: false,
      retryAfterMs: 3_600_000,
    });
    expect(counters.read('acme', 'asks', budget(10.01, fixed), NOON)).toStrictEqual({ ...reading, fits: false });
    counters.place('acme', 'b', budget(9, { limit: 'other' }), NOON);
    expect(counters.read('acme', 'asks', budget(2, { limit: 'other' }), NOON)).toStrictEqual({
      ...reading,
      limit: 'other',
      fits: false,
    });
  });

  test('of a sliding window say when enough is free: of what was spent and of what is held, slot by slot', () => {
    const counters = new Counters();
    const slot = 100 * SECOND;
    const first = Math.ceil(NOON / slot) * slot;
    counters.place('acme', 'a', budget(6, sliding), first);
    counters.settle('acme', 'a', budget(6, sliding), { disposition: 'consume' }, first);
    counters.place('acme', 'b', budget(3, sliding), first + 10 * slot);
    counters.place('acme', 'c', budget(1, sliding), first + 20 * slot);
    const retry = (amount: number) => {
      const { retryAfterMs } = counters.read('acme', 'asks', budget(amount, sliding), first + 20 * slot);
      return retryAfterMs;
    };
    expect([retry(6), retry(6.01), retry(9), retry(9.01), retry(10)]).toEqual([
      1_300_000, 2_300_000, 2_300_000, 3_300_000, 3_300_000,
    ]);
  });

  test('of a sliding window settle what is held in the slot that it was placed in', () => {
    const counters = new Counters();
    const slot = 100 * SECOND;
    const first = Math.ceil(NOON / slot) * slot;
    counters.place('acme', 'a', budget(1, sliding), first);
    counters.place('acme', 'b', budget(2, sliding), first + 2 * slot);
    counters.settle('acme', 'a', budget(1, sliding), { disposition: 'consume' }, first + 2 * slot);
    const read = (when: number) => {
      const { used, held } = counters.read('acme', 'asks', budget(1, sliding), when);
      return [used, held];
    };
    expect(read(first + 33 * slot - 1)).toEqual([1, 2]);
    expect(read(first + 33 * slot)).toEqual([0, 2]);
    expect(read(first + 35 * slot)).toEqual([0, 0]);
  });

  test.each<[string, Window, Window]>([
    ['length', { kind: 'fixed', ms: 3_600_000 }, { kind: 'fixed', ms: 86_400_000 }],
    // A hundred seconds are the slots of both.
    ['kind', { kind: 'fixed', ms: 100_000 }, { kind: 'sliding', ms: 3_200_000 }],
    ['kind, the other way round', { kind: 'sliding', ms: 3_200_000 }, { kind: 'fixed', ms: 100_000 }],
    ['zone', { kind: 'fixed', ms: 86_400_000 }, { kind: 'fixed', ms: 86_400_000, timezone: 'Europe/Berlin' }],
  ])('of a window of another %s hold in it what they held', (_, before, after) => {
    const counters = new Counters();
    counters.place('acme', 'a', budget(3, { window: before }), NOON);
    counters.place('acme', 'b', budget(2, { window: after }), NOON);
    const read = () => {
      const { used, held } = counters.read('acme', 'asks', budget(1, { window: after }), NOON);
      return [used, held];
    };
    expect(read()).toEqual([0, 5]);
    counters.settle('acme', 'a', budget(3, { window: before }), { disposition: 'consume' }, NOON);
    expect(read()).toEqual([3, 2]);
    counters.settle('acme', 'b', budget(2, { window: after }), { disposition: 'release' }, NOON);
    expect(read()).toEqual([3, 0]);
  });

  test.each<[string, Window, string, Window, string]>([
    // The fifth hour, and the fifth two hours: slots of one number in two windows.
    [
      'length',
      { kind: 'fixed', ms: 3_600_000 },
      '1970-01-01T05:30:00Z',
      { kind: 'fixed', ms: 7_200_000 },
      '1970-01-01T10:30:00Z',
    ],
    // In New York it is still the day that is over in UTC.
    [
      'zone',
      { kind: 'fixed', ms: 86_400_000 },
      '2025-01-01T23:30:00Z',
      { kind: 'fixed', ms: 86_400_000, timezone: 'America/New_York' },
      '2025-01-02T00:30:00Z',
    ],
    [
      'kind',
      { kind: 'fixed', ms: 100_000 },
      '2025-01-01T12:00:00Z',
      { kind: 'sliding', ms: 3_200_000 },
      '2025-01-01T12:10:00Z',
    ],
  ])('of a window of another %s hold nothing of the window that was over before', (_, before, then, after, later) => {
    const counters = new Counters();
    counters.place('acme', 'a', budget(3, { window: before }), at(then));
    counters.place('acme', 'b', budget(2, { window: after }), at(later));
    counters.settle('acme', 'a', budget(3, { window: before }), { disposition: 'consume' }, at(later));
    const { used, held } = counters.read('acme', 'asks', budget(1, { window: after }), at(later));
    expect([used, held]).toEqual([0, 2]);
  });

  test('of a window of another kind or zone are of that window from then on', () => {
    const held = (before: Window, after: Window, when: number) => {
      const counters = new Counters();
      counters.place('acme', 'a', budget(3, { window: before }), NOON);
      counters.place('acme', 'b', budget(2, { window: after }), NOON);
      return counters.read('acme', 'asks', budget(1, { window: after }), when).held;
    };
    const short: Window = { kind: 'fixed', ms: 100_000 };
    const long: Window = { kind: 'sliding', ms: 3_200_000 };
    expect([held(short, long, NOON + 1000 * SECOND), held(long, short, NOON + 1000 * SECOND)]).toEqual([5, 0]);
    const utc: Window = { kind: 'fixed', ms: 86_400_000 };
    const berlin: Window = { ...utc, timezone: 'Europe/Berlin' };
    const evening = at('2025-01-01T23:30:00Z');
    expect([held(utc, berlin, evening), held(berlin, utc, evening)]).toEqual([0, 5]);
  });

  test('of what was never placed settle nothing', () => {
    const counters = new Counters();
    counters.settle('acme', 'a', budget(3), { disposition: 'consume' }, NOON);
    counters.place('acme', 'a', budget(3), NOON);
    counters.settle('acme', 'a', budget(3, { limit: 'other' }), { disposition: 'consume' }, NOON);
    expect(counters.read('acme', 'asks', budget(1), NOON)).toMatchObject({ used: 0, held: 3 });
  });

  test('of a rate say when one token is back; one without any never has one', () => {
    const counters = new Counters();
    const rate = (capacity: number, limit: string): LimitDemand => ({
      limit,
      key: '',
      kind: 'rate',
      capacity,
      refillMs: 1000,
    });
    counters.place('acme', 'a', rate(1, 'one'), NOON);
    expect(counters.read('acme', 'asks', rate(1, 'one'), NOON)).toMatchObject({
      used: 1,
      left: 0,
      fits: false,
      retryAfterMs: 1000,
    });
    expect(counters.read('acme', 'asks', rate(0, 'none'), NOON)).toStrictEqual({
      limit: 'none',
      key: '',
      kind: 'rate',
      max: 0,
      used: 0,
      held: 0,
      left: 0,
      fits: false,
    });
  });
});
