/** Figures of limits: what is made of a counter that was read or recorded, for people, for a later decision, and for approvals given in advance. */
import { describe, expect, test } from 'vitest';
import type { LimitDemand, LimitFigure } from '../../src/action/limits.js';
import {
  counterFigure,
  heldInAdvance,
  limitText,
  settledAmounts,
  standingLimits,
  type Measured,
} from '../../src/policy/index.js';
import { bareReading, depthFigure, usageText } from '../../src/policy/limits/figures.js';
import { readingFrom, statesOf, type CounterState } from '../../src/policy/limits/from-figures.js';
import { limited } from './limits-example.js';

const ID = { limit: 'l', key: 'k' };
const budget = (amount: number, max = 10): LimitDemand => ({ ...ID, kind: 'budget', amount, max, unit: 'EUR' });
const state = (kind: LimitDemand['kind'], more: Partial<CounterState> = {}): CounterState => ({
  ...ID,
  kind,
  max: 10,
  used: 0,
  held: 0,
  fits: true,
  ...more,
});

describe('a reading from a figure', () => {
  test('is that of the same limit, key and kind, in the order of the demands', () => {
    const [one, two] = [budget(1), { ...budget(1), limit: 'm' }];
    const figures = [
      state('count'),
      state('budget', { key: 'other' }),
      state('budget', { limit: 'm' }),
      state('budget'),
    ];
    expect(statesOf([one, two, { ...one, key: 'none' }], figures)).toEqual([figures[3], figures[2], undefined]);
  });

  test('counts what was used and held, with the bound and the amount of the demand', () => {
    const used = state('budget', { max: 5, used: 3, held: 2, fits: false, retryAfterMs: 7 });
    expect(readingFrom(budget(5), used)).toEqual({
      ...ID,
      kind: 'budget',
      max: 10,
      used: 3,
      held: 2,
      left: 5,
      fits: true,
    });
    expect(readingFrom(budget(5.5), used)).toEqual({
      ...ID,
      kind: 'budget',
      max: 10,
      used: 3,
      held: 2,
      left: 5,
      fits: false,
      retryAfterMs: 7,
    });
    expect(readingFrom(budget(11), used)).not.toHaveProperty('retryAfterMs');
    expect(readingFrom(budget(10), used)).toMatchObject({ fits: false, retryAfterMs: 7 });
    expect(readingFrom(budget(5.5), { ...used, retryAfterMs: undefined as never })).not.toHaveProperty('retryAfterMs');
  });

  test('fits what asks for nothing, also where more is used than there is', () => {
    const over = state('budget', { used: 12 });
    expect(readingFrom(budget(0), over)).toMatchObject({ left: 0, fits: true });
    expect(readingFrom(budget(0.01), over)).toMatchObject({ left: 0, fits: false });
  });

  test('counts in decimals', () => {
    expect(readingFrom(budget(0.2, 0.3), state('budget', { used: 0.1 }))).toMatchObject({ left: 0.2, fits: true });
  });

  test('of a count and of concurrency goes by actions', () => {
    const count: LimitDemand = { ...ID, kind: 'count', amount: 1, max: 2, unit: 'actions' };
    expect(readingFrom(count, state('count', { used: 1 }))).toMatchObject({ left: 1, fits: true });
    expect(readingFrom(count, state('count', { used: 2 }))).toMatchObject({ left: 0, fits: false });
    const lease: LimitDemand = { ...ID, kind: 'concurrency', max: 2 };
    expect(readingFrom(lease, state('concurrency', { held: 1 }))).toMatchObject({ max: 2, left: 1, fits: true });
    expect(readingFrom(lease, state('concurrency', { held: 2 }))).toMatchObject({ left: 0, fits: false });
  });

  test('of a rate is what was known of the same bucket; of another size, it needs a whole token', () => {
    const rate: LimitDemand = { ...ID, kind: 'rate', capacity: 10, refillMs: 1 };
    expect(readingFrom(rate, state('rate', { used: 9.5, fits: false }))).toMatchObject({
      max: 10,
      left: 0.5,
      fits: false,
    });
    expect(readingFrom(rate, state('rate', { used: 9.5, fits: true }))).toMatchObject({ fits: true });
    expect(readingFrom({ ...rate, capacity: 11 }, state('rate', { used: 10, fits: false }))).toMatchObject({
      left: 1,
      fits: true,
    });
    expect(readingFrom({ ...rate, capacity: 11 }, state('rate', { used: 10.5, fits: true }))).toMatchObject({
      fits: false,
    });
  });

  test('of a breaker goes by its state: closed all pass, half-open its probes, open none', () => {
    const breaker: LimitDemand = { ...ID, kind: 'breaker', windowMs: 1, minimum: 1, ratio: 1, openMs: 1, probes: 2 };
    const read = (more: Partial<CounterState>) => readingFrom(breaker, state('breaker', more));
    expect(read({ state: 'closed', held: 9 })).toMatchObject({ max: 2, left: 2, fits: true, state: 'closed' });
    expect(read({ held: 9 })).toMatchObject({ left: 2, fits: true });
    expect(read({})).not.toHaveProperty('state');
    expect(read({ state: 'half_open', held: 1 })).toMatchObject({ left: 1, fits: true, state: 'half_open' });
    expect(read({ state: 'half_open', held: 2, retryAfterMs: 5 })).toMatchObject({
      left: 0,
      fits: false,
      retryAfterMs: 5,
    });
    expect(read({ state: 'open' })).toMatchObject({ left: 0, fits: false, state: 'open' });
  });
});

describe('a figure', () => {
  test('says how much is left, in the words of its kind', () => {
    const of = (kind: LimitFigure['kind'], more: Partial<LimitFigure> = {}) =>
      usageText({ kind, left: 1, max: 3, ...more });
    expect(of('budget')).toBe('1 of 3 left');
    expect(of('budget', { unit: 'EUR', left: 0.1 + 0.2 })).toBe('0.3 of 3 EUR left');
    expect(of('count', { unit: 'actions' })).toBe('1 of 3 actions left');
    expect(of('rate')).toBe('1 of 3 left');
    expect(of('depth')).toBe('1 of 3 left');
    expect(of('concurrency', { unit: 'x' })).toBe('1 of 3 free');
    expect([of('breaker'), of('breaker', { state: 'half_open' }), of('breaker', { state: 'open' })]).toEqual([
      'closed',
      'half-open',
      'open',
    ]);
  });

  test('of a depth fits up to its bound', () => {
    expect(depthFigure('d', 2, 2)).toEqual({
      limit: 'd',
      key: '',
      kind: 'depth',
      max: 2,
      used: 2,
      held: 0,
      left: 0,
      fits: true,
      text: 'd: 2 of 2 delegations deep',
    });
    expect(depthFigure('d', 2, 3)).toMatchObject({ left: 0, fits: false });
    expect(depthFigure('d', 2, 0)).toMatchObject({ left: 2, fits: true });
  });

  test('without its words is the reading, with nothing that was not read', () => {
    const reading = { ...ID, kind: 'rate', max: 1, used: 1, held: 0, left: 0, fits: false } as const;
    expect(bareReading({ ...reading, text: 'words', unit: 'EUR' } as never)).toEqual(reading);
    expect(Object.keys(bareReading(reading))).not.toContain('state');
    expect(bareReading({ ...reading, retryAfterMs: 5, state: 'open' })).toEqual({
      ...reading,
      retryAfterMs: 5,
      state: 'open',
    });
  });
});

describe('a counter that a ledger lists', () => {
  const { limits } = limited(`money: {kind: budget, scope: agent, amount: input.a, unit: EUR, max: 9, window: 1d}
few: {kind: count, scope: tenant, max: 5, window: 1d}
lease: {kind: concurrency, scope: tool, max: 2}
deep: {kind: depth, max: 2}
broken: {kind: breaker, scope: tool, window: 5m, minimum: 1, ratio: 1, open: 1m}`).limits;
  const at = (limit: string, kind: LimitDemand['kind'] | 'depth', more = {}) =>
    counterFigure({ limit, key: '', kind, used: 1, held: 1, ...more }, limits);

  test('is told with what its limit leaves', () => {
    expect(at('few', 'count')).toEqual({ max: 5, left: 3, unit: 'actions', text: 'few: 3 of 5 actions left' });
    expect(at('lease', 'concurrency', { key: 'tool=t' })).toEqual({
      max: 2,
      left: 0,
      text: 'lease tool=t: 0 of 2 free',
    });
    expect(at('lease', 'concurrency')).not.toHaveProperty('unit');
    expect(at('broken', 'breaker')).toEqual({ text: 'broken: closed' });
    expect(at('broken', 'breaker', { state: 'half_open' })).toEqual({ text: 'broken: half-open' });
  });

  test('of no limit that is declared is told as it was counted; a breaker as it stands', () => {
    expect(at('gone', 'count', { used: 0.1 + 0.2 })).toEqual({ text: 'gone: 0.3 used, 1 held' });
    expect(at('gone', 'breaker', { key: 'k', state: 'open' })).toEqual({ text: 'gone k: open' });
    expect(at('gone', 'breaker')).toEqual({ text: 'gone: closed' });
    expect(at('deep', 'depth')).toEqual({ text: 'deep: 1 used, 1 held' });
  });
});

test.each([
  ['kind: depth, max: 3', 'at most 3 delegations deep'],
  [
    'kind: budget, scope: [agent, tool], amount: input.a, unit: EUR, max: 9.5, window: 1d',
    '9.5 EUR in 1d for each agent, tool; at the limit: deny',
  ],
  ['kind: count, scope: tenant, max: 5, window: forever', '5 actions for good for the tenant; at the limit: deny'],
  ['kind: count, scope: tenant, max: 5, window: sliding 1h', '5 actions in any 1h for the tenant; at the limit: deny'],
  [
    'kind: count, scope: tenant, max: 5, window: 1d, timezone: Europe/Berlin',
    '5 actions in 1d by the clock of Europe/Berlin for the tenant; at the limit: deny',
  ],
  [
    'kind: rate, scope: agent, max: 30, per: 1m, burst: 5, atLimit: queue for 30s',
    '5 actions at once and 30 a minute for each agent; at the limit: queue for 30s',
  ],
  ['kind: concurrency, scope: tool, max: 2', '2 at once for each tool; at the limit: deny'],
  [
    'kind: breaker, scope: tool, window: 5m, minimum: 10, ratio: 0.5, open: 1m',
    'opens for 1m when 50 % of at least 10 results in 5m are bad, for each tool; at the limit: deny',
  ],
  [
    'kind: count, scope: agent, max: 5, window: 1d, atLimit: "approve by finance|cfo, quorum=2; dba"',
    '5 actions in 1d for each agent; at the limit: approve by cfo|finance, quorum=2 and dba',
  ],
])('the limit {%s} is told as: %s', (fields, text) => {
  const [limit] = limited(`one: {${fields}}`).limits.limits;
  if (limit === undefined) throw new Error('There is a limit.');
  expect(limitText(limit)).toBe(text);
});

describe('what was approved in advance', () => {
  const measured: readonly Measured[] = [
    { unit: 'EUR', amount: 5 },
    { unit: 'EUR', amount: 7, settle: (result) => Number(result) },
    { unit: 'USD', amount: 100 },
  ];

  test('is counted by actions and by the largest amount that a budget of the unit measures', () => {
    expect(standingLimits({ id: 's', actions: 3, amounts: { EUR: 50 } }, measured)).toMatchObject([
      {
        demand: { limit: 'standing:s', key: '', kind: 'count', amount: 1, max: 3, unit: 'actions' },
        atLimit: { kind: 'deny' },
        label: 'standing:s',
      },
      {
        demand: { limit: 'standing:s:EUR', key: '', kind: 'budget', amount: 7, max: 50, unit: 'EUR' },
        atLimit: { kind: 'deny' },
        label: 'standing:s:EUR',
      },
    ]);
    expect(standingLimits({ id: 's' }, measured)).toEqual([]);
    expect(standingLimits({ id: 's', amounts: { USD: 1 } }, measured)?.[0]).not.toHaveProperty('settled');
  });

  test('does not hold for an amount that nothing measures', () => {
    expect(standingLimits({ id: 's', actions: 3, amounts: { GBP: 50 } }, measured)).toBeUndefined();
    expect(standingLimits({ id: 's', amounts: { EUR: 1, GBP: 50 } }, measured)).toBeUndefined();
  });

  test('is settled by the largest of what was really spent, and of what was held where nothing says', () => {
    const limits = standingLimits({ id: 's', amounts: { EUR: 50 } }, measured) ?? [];
    expect(settledAmounts(limits, 6)).toEqual({ 'standing:s:EUR': 6 });
    expect(settledAmounts(limits, 3)).toEqual({ 'standing:s:EUR': 5 });
  });

  test('is found again in the figures of an action: its amounts, and no others', () => {
    const figure = (limit: string, more: Partial<LimitFigure> = {}): LimitFigure => ({
      limit,
      key: '',
      kind: 'budget',
      unit: 'EUR',
      max: 50,
      used: 0,
      held: 0,
      left: 50,
      fits: true,
      text: '',
      ...more,
    });
    const held = heldInAdvance(
      [
        figure('standing:s:EUR'),
        figure('standing:s', { kind: 'count' }),
        figure('money'),
        figure('standing:t:GBP', { unit: 'GBP' }),
        (({ unit: _unit, ...rest }) => rest)(figure('standing:u')),
      ],
      measured,
    );
    expect(held).toMatchObject([{ demand: { limit: 'standing:s:EUR', amount: 7, max: 50, unit: 'EUR' } }]);
  });
});
