/** The counters of circuit breakers in memory: what opens them, whom they let pass to try, and what closes them again. */
import { describe, expect, test } from 'vitest';
import type { LimitDemand } from '../../../src/action/limits.js';
import { Counters } from '../../../src/policy/backtest/counters.js';
import { microsecondsOf } from '../../../src/policy/backtest/windows.js';

const SECOND = 1_000_000;

describe('counters in memory', () => {
  const NOON = microsecondsOf('2025-01-01T12:00:00Z');

  test('of a breaker forget old results, and give back a probe that is placed again', () => {
    const counters = new Counters();
    const slot = 100 * SECOND;
    const first = Math.ceil(NOON / slot) * slot;
    const breaker: LimitDemand = {
      limit: 'b',
      key: '',
      kind: 'breaker',
      windowMs: 3_200_000,
      minimum: 3,
      ratio: 0.5,
      openMs: 60_000,
      probes: 2,
    };
    const end = (id: string, result: 'good' | 'bad', when: number) => {
      counters.place('acme', id, breaker, when);
      counters.settle('acme', id, breaker, { disposition: 'consume', result }, when);
    };
    end('b1', 'bad', first);
    end('g1', 'good', first);
    end('b2', 'bad', first + 40 * slot);
    end('g2', 'good', first + 40 * slot);
    expect(counters.read('acme', 'asks', breaker, first + 40 * slot)).toMatchObject({ state: 'closed', used: 1 });
    end('b3', 'bad', first + 40 * slot);
    expect(counters.read('acme', 'asks', breaker, first + 40 * slot)).toMatchObject({ state: 'open', used: 2 });
    const half = first + 40 * slot + 60 * SECOND;
    counters.place('acme', 'p', breaker, half);
    counters.place('acme', 'p', breaker, half);
    expect(counters.read('acme', 'asks', breaker, half)).toMatchObject({
      state: 'half_open',
      held: 1,
      left: 1,
      fits: true,
    });
    expect(counters.read('acme', 'asks', breaker, half)).not.toHaveProperty('retryAfterMs');
  });

  test('of a breaker open after bad results, let probes pass after a while, and close after good ones', () => {
    const counters = new Counters();
    const breaker: LimitDemand = {
      limit: 'b',
      key: '',
      kind: 'breaker',
      windowMs: 3_200_000,
      minimum: 4,
      ratio: 0.5,
      openMs: 60_000,
      probes: 2,
    };
    const read = (when: number) => {
      const { state, left, fits } = counters.read('acme', 'asks', breaker, when);
      return [state, left, fits];
    };
    const end = (id: string, result: 'good' | 'bad' | undefined, when: number, placed = when) => {
      counters.place('acme', id, breaker, placed);
      counters.settle('acme', id, breaker, { disposition: 'consume', result }, when);
    };
    expect(read(NOON)).toEqual(['closed', 2, true]);
    end('g1', 'good', NOON);
    end('g2', 'good', NOON);
    end('none', undefined, NOON);
    end('b1', 'bad', NOON);
    expect(read(NOON)).toEqual(['closed', 2, true]);
    end('b2', 'bad', NOON);
    expect(read(NOON)).toEqual(['open', 0, false]);
    expect(counters.read('acme', 'asks', breaker, NOON + SECOND)).toMatchObject({ used: 2, retryAfterMs: 59_000 });
    const half = NOON + 60 * SECOND;
    expect(read(half - 1)).toEqual(['open', 0, false]);
    expect(read(half)).toEqual(['half_open', 2, true]);
    counters.place('acme', 'p1', breaker, half);
    counters.place('acme', 'p2', breaker, half);
    expect(read(half)).toEqual(['half_open', 0, false]);
    expect(counters.read('acme', 'p1', breaker, half)).toMatchObject({ left: 1, fits: true });
    counters.settle('acme', 'p1', breaker, { disposition: 'consume', result: 'good' }, half);
    expect(read(half)).toEqual(['half_open', 1, true]);
    counters.settle('acme', 'p2', breaker, { disposition: 'consume', result: 'bad' }, half);
    expect(read(half)).toEqual(['open', 0, false]);
    const again = half + 60 * SECOND;
    // What was on its way since before it opened tells nothing.
    counters.place('acme', 'q1', breaker, again);
    counters.place('acme', 'q2', breaker, again);
    end('old', 'good', again, half);
    expect(read(again)).toEqual(['half_open', 0, false]);
    counters.settle('acme', 'q1', breaker, { disposition: 'keep', result: 'good' }, again);
    counters.settle('acme', 'q2', breaker, { disposition: 'consume', result: 'good' }, again);
    expect(read(again)).toEqual(['closed', 2, true]);
    expect(counters.read('acme', 'asks', breaker, again)).toMatchObject({ used: 0, held: 0 });
  });

  const SLOT = 100 * SECOND;
  const FIRST = Math.ceil(NOON / SLOT) * SLOT;
  type Breaker = Extract<LimitDemand, { kind: 'breaker' }>;
  const breakerOf = (more: Partial<Breaker> = {}): Breaker => ({
    limit: 'b',
    key: '',
    kind: 'breaker',
    windowMs: 3_200_000,
    minimum: 4,
    ratio: 0.5,
    openMs: 60_000,
    probes: 2,
    ...more,
  });
  /** A breaker's counter, and what happens to it. */
  function counted(breaker = breakerOf()) {
    const counters = new Counters();
    return {
      place: (id: string, when: number, as = breaker) => counters.place('acme', id, as, when),
      settle: (id: string, result: 'good' | 'bad' | undefined, when: number, as = breaker) =>
        counters.settle('acme', id, as, { disposition: 'consume', result }, when),
      end(results: string, when: number, as = breaker) {
        for (const [index, result] of Array.from(results).entries()) {
          this.place(`${when} ${index}`, when, as);
          this.settle(`${when} ${index}`, result === '+' ? 'good' : 'bad', when, as);
        }
      },
      read: (when: number, id = 'asks', as = breaker) => counters.read('acme', id, as, when),
    };
  }

  test('of a breaker open by the share of bad ends among all, once there are enough', () => {
    const states = (results: string, more: Partial<Breaker> = {}) => {
      const one = counted(breakerOf(more));
      one.end(results, NOON);
      return one.read(NOON).state;
    };
    expect([states('+++-'), states('++--'), states('---'), states('----')]).toEqual([
      'closed',
      'open',
      'closed',
      'open',
    ]);
    expect([states('-', { minimum: 1, ratio: 1 }), states('+-', { minimum: 1, ratio: 1 })]).toEqual(['open', 'closed']);
  });

  test('of a breaker say all of a reading and no more', () => {
    const one = counted();
    const reading = { limit: 'b', key: '', kind: 'breaker', max: 2, held: 0 };
    expect(one.read(NOON)).toStrictEqual({ ...reading, used: 0, left: 2, fits: true, state: 'closed' });
    one.end('----', NOON);
    expect(one.read(NOON)).toStrictEqual({
      ...reading,
      used: 4,
      left: 0,
      fits: false,
      state: 'open',
      retryAfterMs: 60_000,
    });
    const half = NOON + 60 * SECOND;
    one.place('p1', half);
    one.place('p2', half);
    // When there is room again only the probes tell.
    expect(one.read(half)).toStrictEqual({ ...reading, held: 2, used: 4, left: 0, fits: false, state: 'half_open' });
    one.settle('p1', 'good', half);
    expect(one.read(half, 'p1')).toMatchObject({ held: 1, left: 1, fits: true });
    expect(one.read(half, 'p2')).toMatchObject({ held: 0, left: 2, fits: true });
  });

  test('of a breaker hear of its own probes alone, and of as many as are asked for', () => {
    const one = counted();
    one.place('early', NOON);
    one.end('----', NOON);
    const half = NOON + 60 * SECOND;
    one.place('p1', half);
    one.place('p2', half);
    one.settle('early', 'good', half);
    one.settle('p1', 'good', half);
    expect(one.read(half)).toMatchObject({ state: 'half_open', held: 1 });
    one.settle('p2', 'bad', half);
    const again = half + 60 * SECOND;
    expect(one.read(again - 1)).toMatchObject({ state: 'open' });
    one.place('q', again);
    one.settle('q', 'good', again);
    // What was proved before it opened again is proved no more.
    expect(one.read(again)).toMatchObject({ state: 'half_open' });
  });

  test('of a breaker that closed count anew, whatever is still on its way, and forget that too', () => {
    const one = counted();
    one.end('----', FIRST);
    const half = FIRST + SLOT;
    for (const id of ['p1', 'p2', 'p3']) one.place(id, half);
    one.settle('p1', 'good', half);
    one.settle('p2', 'good', half);
    expect(one.read(half)).toMatchObject({ state: 'closed', used: 0, held: 1, left: 2, fits: true });
    one.end('+-', half);
    expect(one.read(half)).toMatchObject({ state: 'closed', used: 1 });
    expect(one.read(half + 33 * SLOT - 1)).toMatchObject({ used: 1 });
    expect(one.read(half + 33 * SLOT)).toMatchObject({ used: 0 });
    one.end('-+', half + SLOT);
    expect(one.read(half + SLOT)).toMatchObject({ state: 'open', used: 2 });
  });

  test('of a breaker that is half open let as many pass, also once the good ends are forgotten', () => {
    const one = counted();
    one.end('++--', FIRST);
    expect(one.read(FIRST + 40 * SLOT)).toMatchObject({ state: 'half_open', used: 0, held: 0, left: 2 });
  });

  test('of a breaker with another window keep the ends that they counted, good and bad', () => {
    const one = counted();
    one.end('+++--', FIRST);
    const wide = breakerOf({ windowMs: 32_000_000 });
    one.end('-', FIRST, wide);
    // Three of six are bad: without the good ones all would be, and without the bad ones few.
    expect(one.read(FIRST, 'asks', wide)).toMatchObject({ state: 'open', used: 3 });
    const other = counted();
    other.end('++++-', FIRST);
    other.end('--', FIRST, wide);
    expect(other.read(FIRST, 'asks', wide)).toMatchObject({ state: 'closed', used: 3 });
    expect(other.read(FIRST + 40 * SLOT, 'asks', wide)).toMatchObject({ used: 3 });
  });

  test('of a breaker begin with its first end, where a clock was set back, too', () => {
    const one = counted();
    one.place('a', FIRST + SLOT);
    one.settle('a', 'bad', FIRST);
    expect(one.read(FIRST + 33 * SLOT - 1)).toMatchObject({ used: 1 });
    expect(one.read(FIRST + 33 * SLOT)).toMatchObject({ used: 0 });
    const other = counted();
    other.place('a', FIRST + SLOT);
    other.settle('a', undefined, FIRST + SLOT);
    other.place('b', FIRST);
    other.settle('b', 'bad', FIRST);
    expect(other.read(FIRST + 33 * SLOT - 1)).toMatchObject({ used: 1 });
    expect(other.read(FIRST + 33 * SLOT)).toMatchObject({ used: 0 });
  });
});
