/** What follows from the state of the counters: figures, refusals with a fix, waiting, approvals, and the amounts really spent. */
import { describe, expect, test } from 'vitest';
import type { CountersignError } from '../../src/action/errors.js';
import type { LimitReading } from '../../src/action/limits.js';
import {
  atLimits,
  besideOthers,
  figuresOf,
  resolveLimits,
  settledAmounts,
  type AtLimits,
} from '../../src/policy/index.js';
import { counterFigure } from '../../src/policy/limits/index.js';
import { factsOf } from './facts.js';
import { EXAMPLE_REFUSAL, limited, oneLimit, readingOf, refundFacts } from './limits-example.js';

const BUDGET = 'kind: budget, scope: agent, amount: input.amount, unit: EUR, max: 500, window: 1d';
const OVER = { used: 420, left: 80, fits: false, retryAfterMs: 12_000_000 } as const;

function resolvedLimits(fields: string, amount = 120) {
  return resolveLimits(oneLimit(fields), refundFacts, { input: { amount } }).limits;
}

/** What a single limit decides for a reading of its counter. */
function at(fields: string, reading: Partial<LimitReading>, amount = 120): AtLimits {
  const limits = resolvedLimits(fields, amount);
  return atLimits(
    limits,
    limits.map((limit) => readingOf(limit, reading)),
    refundFacts,
  );
}

describe('beside others that are decided with it', () => {
  const COUNT = 'kind: count, scope: agent, max: 10, window: forever';
  const BREAKER = 'kind: breaker, scope: tool, window: 5m, minimum: 1, ratio: 1, open: 1m, probes: 2';

  test.each<[string, string, number, Partial<LimitReading>, Partial<LimitReading>]>([
    ['a budget has less left', BUDGET, 1, { left: 500 }, { left: 380, held: 120, fits: true }],
    ['a budget is just enough', BUDGET, 2, { left: 360 }, { left: 120, fits: true }],
    ['a budget is too small', BUDGET, 2, { left: 359.99 }, { left: 119.99, fits: false }],
    ['a budget is never below nothing', BUDGET, 9, { left: 500 }, { left: 0, fits: false }],
    ['what did not fit by itself says when it may', BUDGET, 1, OVER, { fits: false, retryAfterMs: 12_000_000 }],
    ['a count goes by actions', COUNT, 9, { left: 10 }, { left: 1, fits: true }],
    ['a count is used up', COUNT, 10, { left: 10 }, { left: 0, fits: false }],
    ['a rate goes by actions', 'kind: rate, scope: agent, max: 2, per: 1m', 2, { left: 2 }, { left: 0, fits: false }],
    ['so does concurrency', 'kind: concurrency, scope: agent, max: 2', 1, { left: 2 }, { left: 1, fits: true }],
    ['a closed breaker lets all pass', BREAKER, 9, { state: 'closed' }, { fits: true }],
    ['a half-open one lets its probes pass', BREAKER, 2, { state: 'half_open', left: 2 }, { left: 0, fits: false }],
  ])('%s', (_, fields, others, reading, expected) => {
    const limits = resolvedLimits(fields);
    const demands = limits.map(({ demand }) => demand);
    const readings = limits.map((limit) => readingOf(limit, reading));
    const before = Array.from({ length: others }, () => demands).flat();
    expect(besideOthers(readings, demands, before)).toMatchObject([expected]);
    expect(besideOthers(readings, demands, [])).toEqual(readings);
  });

  test('what does not fit by itself keeps its time, and what only the others leave no room for has none', () => {
    const limits = resolvedLimits(BUDGET);
    const demands = limits.map(({ demand }) => demand);
    const beside = (reading: Partial<LimitReading>) =>
      besideOthers(
        limits.map((limit) => readingOf(limit, reading)),
        demands,
        demands,
      )[0];
    expect(beside({ left: 200, fits: true, retryAfterMs: 5 })).not.toHaveProperty('retryAfterMs');
    expect(Object.keys(beside({ left: 100, fits: false }) ?? {})).not.toContain('retryAfterMs');
    expect(beside({ left: 100, fits: false, retryAfterMs: 5 })).toMatchObject({ retryAfterMs: 5 });
    const nothing = demands.map((demand) => ({ ...demand, amount: 0 }) as typeof demand);
    const reading = limits.map((limit) => readingOf(limit, { left: 1, fits: true, retryAfterMs: 5 }));
    expect(besideOthers(reading, demands, nothing)).toEqual(reading);
    expect(besideOthers(reading, [], demands)).toEqual(reading);
  });

  test('counters of another limit or kind under the same key are none of it', () => {
    const limits = resolvedLimits(BUDGET);
    const demands = limits.map(({ demand }) => demand);
    const readings = limits.map((limit) => readingOf(limit, { left: 500 }));
    for (const change of [{ limit: 'two' }, { kind: 'count' }]) {
      expect(
        besideOthers(
          readings,
          demands,
          demands.map((demand) => ({ ...demand, ...change }) as typeof demand),
        ),
      ).toEqual(readings);
    }
  });

  test('other counters are none of it', () => {
    const limits = resolvedLimits(BUDGET);
    const demands = limits.map(({ demand }) => demand);
    const readings = limits.map((limit) => readingOf(limit, { left: 500 }));
    const others = demands.map((demand) => ({ ...demand, key: 'agent=another' }));
    expect(besideOthers(readings, demands, others)).toEqual(readings);
  });
});

describe('figures', () => {
  test.each<[string, Partial<LimitReading>, string]>([
    [BUDGET, { used: 120, left: 380 }, 'one: 380 of 500 EUR left'],
    [BUDGET, { used: 499.7, left: 0.30000000000001137 }, 'one: 0.3 of 500 EUR left'],
    [
      BUDGET.replace('500', '9007199254740991'),
      { left: 9_007_199_254_740_990 },
      'one: 9007199254740990 of 9007199254740991 EUR left',
    ],
    ['kind: count, scope: agent, max: 10, window: forever', { used: 7, left: 3 }, 'one: 3 of 10 actions left'],
    ['kind: rate, scope: agent, max: 30, per: 1m', { used: 1, left: 29 }, 'one: 29 of 30 actions left'],
    ['kind: concurrency, scope: agent, max: 2', { held: 1, left: 1 }, 'one: 1 of 2 free'],
    [
      'kind: breaker, scope: tool, window: 5m, minimum: 1, ratio: 1, open: 1m',
      { state: 'open', fits: false },
      'one: open',
    ],
    [
      'kind: breaker, scope: tool, window: 5m, minimum: 1, ratio: 1, open: 1m',
      { state: 'half_open' },
      'one: half-open',
    ],
    ['kind: breaker, scope: tool, window: 5m, minimum: 1, ratio: 1, open: 1m', {}, 'one: closed'],
  ])('%s', (fields, reading, text) => {
    const limits = resolvedLimits(fields);
    expect(
      figuresOf(
        limits,
        limits.map((limit) => readingOf(limit, reading)),
      ),
    ).toMatchObject([{ limit: 'one', text, ...reading }]);
  });

  test('contain everything that was read, and the unit', () => {
    const limits = resolvedLimits(BUDGET);
    const [limit] = limits;
    const reading = { ...readingOf(limit as (typeof limits)[0]), ...OVER, held: 3 };
    expect(figuresOf(limits, [reading])).toEqual([{ ...reading, unit: 'EUR', text: 'one: 80 of 500 EUR left' }]);
    const [lease] = resolvedLimits('kind: concurrency, scope: agent, max: 2');
    const free = readingOf(lease as (typeof limits)[0]);
    expect(figuresOf([lease as (typeof limits)[0]], [free])).toEqual([{ ...free, text: 'one: 2 of 2 free' }]);
  });

  test('name the counter when a limit has several', () => {
    const limits = resolveLimits(
      oneLimit('kind: concurrency, scope: target, max: 2'),
      factsOf({ preview: { targets: ['a', 'b'] } }),
      { input: {} },
    ).limits;
    expect(
      figuresOf(
        limits,
        limits.map((limit) => readingOf(limit)),
      ).map(({ text }) => text),
    ).toEqual(['one target=a: 2 of 2 free', 'one target=b: 2 of 2 free']);
  });

  test('of other counters than the requested ones are refused, because they mean nothing', () => {
    const limits = resolvedLimits(BUDGET);
    const [reading] = limits.map((limit) => readingOf(limit)) as [LimitReading];
    const wrong: (readonly LimitReading[])[] = [
      [],
      [reading, reading],
      [{ ...reading, limit: 'two' }],
      [{ ...reading, key: 'agent=other' }],
      [{ ...reading, kind: 'count' }],
    ];
    for (const readings of wrong) {
      expect(() => figuresOf(limits, readings)).toThrow(
        expect.objectContaining({ code: 'INTERNAL', field: 'one agent=billing-bot' }) as Error,
      );
      expect(() => atLimits(limits, readings, refundFacts)).toThrow(/not those that were asked for/);
    }
  });
});

describe('an action that fits', () => {
  test('fits', () => {
    expect(at(BUDGET, { left: 200 })).toEqual({ kind: 'fits' });
    expect(atLimits([], [], refundFacts)).toEqual({ kind: 'fits' });
  });
});

describe('a refusal', () => {
  test('states the limit, the needed amount, the amount left, and when to try again', () => {
    const limits = resolveLimits(limited(`refunds-per-day: {${BUDGET}}`), refundFacts, {
      input: { amount: 120 },
    }).limits;
    expect(
      atLimits(
        limits,
        limits.map((limit) => readingOf(limit, OVER)),
        refundFacts,
      ),
    ).toEqual({
      kind: 'deny',
      code: 'LIMIT_EXCEEDED',
      reason: EXAMPLE_REFUSAL,
      violations: [{ policy: 'limit:refunds-per-day', reason: EXAMPLE_REFUSAL }],
      retryAfterMs: 12_000_000,
      field: 'limits.refunds-per-day agent=billing-bot',
      expected: 'at most 80 EUR',
      fix: 'Try again in 3h 20m, at 2025-01-02T00:00:00Z; or have the limit raised in limits.yaml.',
    });
  });

  test('of more than the whole limit does not say to wait', () => {
    expect(at(BUDGET, { ...OVER }, 501)).toMatchObject({
      kind: 'deny',
      reason: 'one agent=billing-bot: 501 EUR asked, 80 of 500 EUR left; it will never fit',
      fix: 'Ask for less, or have the limit raised in limits.yaml.',
    });
    expect(at(BUDGET, { ...OVER }, 501)).not.toHaveProperty('retryAfterMs');
  });

  test('of several limits says to ask for less where one of them will never fit', () => {
    const limits = resolveLimits(
      limited(`a: {kind: count, scope: agent, max: 1, window: 1d}\nb: {kind: count, scope: agent, max: 0, window: 1d}`),
      refundFacts,
      { input: {} },
    ).limits;
    const readings = limits.map((limit) => readingOf(limit, { fits: false, left: 0, retryAfterMs: 5 }));
    expect(atLimits(limits, readings, refundFacts)).toMatchObject({
      reason: expect.stringMatching(/^a .*; b .*; it will never fit$/) as string,
      fix: 'Ask for less, or have the limit raised in limits.yaml.',
    });
    expect(atLimits(limits, readings, refundFacts)).not.toHaveProperty('retryAfterMs');
  });

  test('by a breaker says to find out why, and when it may be tried again', () => {
    const breaker = 'kind: breaker, scope: tool, window: 5m, minimum: 1, ratio: 1, open: 1m';
    expect(at(breaker, { fits: false, state: 'open', retryAfterMs: 60_000 })).toMatchObject({
      reason: 'one tool=payments: open; try again in 1m, at 2025-01-01T20:41:00Z',
      fix: 'Find out why actions on it fail; try again in 1m, at 2025-01-01T20:41:00Z.',
    });
  });

  test('that depends on other actions says so', () => {
    expect(at('kind: concurrency, scope: agent, max: 2', { held: 2, left: 0, fits: false })).toMatchObject({
      code: 'LIMIT_EXCEEDED',
      reason: 'one agent=billing-bot: 0 of 2 free; try again when others have ended',
      expected: 'at most 2 at once',
    });
  });

  test.each<[string, Partial<LimitReading>, string, RegExp]>([
    [
      'kind: rate, scope: agent, max: 30, per: 1m, burst: 5',
      { left: 0, retryAfterMs: 1200 },
      'LIMIT_EXCEEDED',
      /^at most one action in 2s, 5 at once$/,
    ],
    ['kind: count, scope: agent, max: 3, window: forever', { left: 0 }, 'LIMIT_EXCEEDED', /^at most 0 actions$/],
    [
      'kind: breaker, scope: tool, window: 5m, minimum: 1, ratio: 1, open: 1m',
      { state: 'open', retryAfterMs: 40_000 },
      'BREAKER_OPEN',
      /^a closed breaker$/,
    ],
  ])('by %s', (fields, reading, code, expected) => {
    const result = at(fields, { ...reading, fits: false });
    expect(result).toMatchObject({ kind: 'deny', code, expected: expect.stringMatching(expected) as string });
    expect(result.kind === 'deny' && result.reason).toMatch(/; try again /);
    expect(result.kind === 'deny' && result.fix).toMatch(/\w/);
  });

  test('has the code of a breaker only when nothing but breakers denies the action', () => {
    const limits = resolveLimits(
      limited(
        `a: {kind: breaker, scope: tool, window: 5m, minimum: 1, ratio: 1, open: 1m}\nb: {kind: count, scope: agent, max: 1, window: 1d}`,
      ),
      refundFacts,
      { input: {} },
    ).limits;
    const decide = (fits: readonly boolean[]) =>
      atLimits(
        limits,
        limits.map((limit, i) => readingOf(limit, { fits: fits[i] === true, retryAfterMs: (i + 1) * 1000 })),
        refundFacts,
      );
    expect(decide([false, true])).toMatchObject({ code: 'BREAKER_OPEN', retryAfterMs: 1000 });
    expect(decide([true, false])).toMatchObject({ code: 'LIMIT_EXCEEDED', retryAfterMs: 2000 });
    expect(decide([false, false])).toMatchObject({ code: 'LIMIT_EXCEEDED', retryAfterMs: 2000 });
    expect(decide([false, false])).toMatchObject({ violations: [{ policy: 'limit:a' }, { policy: 'limit:b' }] });
  });
});

describe('waiting', () => {
  const RATE = 'kind: rate, scope: agent, max: 30, per: 1m, atLimit: queue for 30s';

  test('lasts at most as long as its limit allows, and the limits are read again when there may be room', () => {
    expect(at(RATE, { left: 0, fits: false, retryAfterMs: 1500 })).toEqual({
      kind: 'queue',
      reason: 'one agent=billing-bot: 0 of 30 actions left; try again in 2s, at 2025-01-01T20:40:02Z',
      maxWaitMs: 30_000,
      retryAfterMs: 1500,
    });
  });

  test('reads the limits every second when it depends on other actions, and never in a busy loop', () => {
    const lease = 'kind: concurrency, scope: agent, max: 1, atLimit: queue for 2m';
    expect(at(lease, { held: 1, left: 0, fits: false })).toMatchObject({
      kind: 'queue',
      maxWaitMs: 120_000,
      retryAfterMs: 1000,
    });
    expect(at(RATE, { fits: false, retryAfterMs: 0 })).toMatchObject({ kind: 'queue', retryAfterMs: 100 });
    const held = { ...OVER, used: 0, held: 420 };
    expect(at(`${BUDGET}, atLimit: queue for 1h`, held)).toMatchObject({ kind: 'queue', retryAfterMs: 1000 });
  });

  test('in vain is refused at once: the window ends after the longest wait, or the amount never fits', () => {
    expect(at(`${BUDGET}, atLimit: queue for 1h`, OVER)).toMatchObject({ kind: 'deny', retryAfterMs: 12_000_000 });
    expect(at(`${BUDGET}, atLimit: queue for 4h`, OVER)).toMatchObject({ kind: 'queue', retryAfterMs: 12_000_000 });
    expect(at(`${BUDGET}, atLimit: queue for 200m`, OVER)).toMatchObject({ kind: 'queue' });
    expect(at(`${BUDGET}, atLimit: queue for 199m`, OVER)).toMatchObject({ kind: 'deny' });
    expect(at(`${BUDGET}, atLimit: queue for 4h`, { ...OVER, held: 10 }, 501)).toMatchObject({ kind: 'deny' });
  });
});

describe('asking people', () => {
  const ASK = `${BUDGET}, atLimit: "approve by finance|cfo, quorum=2, ttl=4h"`;

  test('uses the approval terms of the limit', () => {
    expect(at(ASK, OVER)).toEqual({
      kind: 'approve',
      requirements: [
        {
          policy: 'limit:one',
          reason: 'one: 120 EUR asked, more than is left of 500 EUR',
          roles: ['cfo', 'finance'],
          quorum: 2,
          ttlSeconds: 14_400,
        },
      ],
      over: ['one'],
    });
  });

  test('shows people the same while others spend, so that approvals do not become stale', () => {
    const first = at(ASK, OVER);
    expect(at(ASK, { used: 450, held: 12, left: 38, fits: false, retryAfterMs: 1 })).toEqual(first);
    expect(at(ASK, OVER, 121)).not.toEqual(first);
  });

  test('can also allow an amount over the whole limit', () => {
    expect(at(ASK, { ...OVER }, 501)).toMatchObject({ kind: 'approve', over: ['one'] });
  });

  test.each([
    ['kind: rate, scope: agent, max: 1, per: 1m', 'one: actions come faster than one in 1m'],
    ['kind: concurrency, scope: agent, max: 1', 'one: 1 actions are under way already'],
    ['kind: count, scope: agent, max: 1, window: 1d', 'one: 1 actions asked, more than is left of 1 actions'],
    ['kind: breaker, scope: agent, window: 5m, minimum: 1, ratio: 1, open: 1m', 'one: too many actions ended badly'],
  ])('for %s', (fields, reason) => {
    const result = at(`${fields}, atLimit: approve by lead`, { fits: false, left: 0 });
    expect(result).toMatchObject({
      kind: 'approve',
      requirements: [{ policy: 'limit:one', roles: ['lead'], quorum: 1 }],
    });
    expect(result.kind === 'approve' && result.requirements[0]?.reason).toBe(reason);
  });

  test('happens once for each limit, however many of its counters are full', () => {
    const limits = resolveLimits(
      oneLimit('kind: count, scope: target, max: 1, window: 1d, atLimit: approve by lead'),
      factsOf({ preview: { targets: ['a', 'b', 'c'] } }),
      { input: {} },
    ).limits;
    const readings = limits.map((limit, i) => readingOf(limit, { fits: i === 0 }));
    expect(atLimits(limits, readings, refundFacts)).toMatchObject({
      requirements: [{ policy: 'limit:one' }],
      over: ['one'],
    });
  });
});

describe('of several limits', () => {
  const { limits } = resolveLimits(
    limited(`asks: {kind: count, scope: agent, max: 1, window: 1d, atLimit: approve by lead}
waits: {kind: rate, scope: agent, max: 1, per: 1m, atLimit: queue for 30s}
waits-less: {kind: rate, scope: tool, max: 1, per: 1m, atLimit: queue for 20s}
denies: {kind: concurrency, scope: agent, max: 1}`),
    refundFacts,
    { input: {} },
  );
  const decide = (...full: readonly string[]): AtLimits =>
    atLimits(
      limits,
      limits.map((limit) => readingOf(limit, { fits: !full.includes(limit.demand.limit), retryAfterMs: 10 })),
      refundFacts,
    );

  test('one that denies wins: nobody waits and nobody is asked in vain', () => {
    expect(decide('asks', 'waits', 'denies')).toMatchObject({
      kind: 'deny',
      reason: expect.stringMatching(/^denies/) as string,
    });
    expect(decide('asks', 'waits', 'denies')).toMatchObject({
      violations: [{ policy: 'limit:asks' }, { policy: 'limit:waits' }, { policy: 'limit:denies' }],
    });
  });

  test('waiting comes before asking, and lasts as long as the shortest wait of them', () => {
    expect(decide('asks', 'waits', 'waits-less')).toMatchObject({
      kind: 'queue',
      maxWaitMs: 20_000,
      retryAfterMs: 100,
    });
    expect(decide('asks')).toMatchObject({ kind: 'approve', over: ['asks'] });
  });
});

describe('what was really spent', () => {
  const settled = (expression: string, result: Parameters<typeof settledAmounts>[1], failed: string[] = []) =>
    settledAmounts(resolvedLimits(`${BUDGET}, settled: ${JSON.stringify(expression)}`), result, (limit, error) =>
      failed.push(`${limit}: ${(error as CountersignError).code}`),
    );

  test('is told with what could not be read', () => {
    const failed: unknown[] = [];
    settledAmounts(
      resolvedLimits(`${BUDGET}, settled: result.paid`),
      {},
      (_, error) => void failed.push((error as CountersignError).message),
    );
    expect(failed).toEqual([expect.stringMatching(/^limit:one: its settled cannot be evaluated: /)]);
  });

  test('is read from the result', () => {
    expect(settled('result.paid', { paid: 99.5 })).toEqual({ one: 99.5 });
    expect(settled('result', 7)).toEqual({ one: 7 });
    expect(settled('input.amount - double(result.fee)', { fee: '20' })).toEqual({ one: 100 });
    expect(settled('result.paid', { paid: 5000 })).toEqual({ one: 5000 });
    const failed: string[] = [];
    expect(settledAmounts(resolvedLimits(BUDGET), { paid: 1 }, (limit) => void failed.push(limit))).toEqual({});
    expect(failed).toEqual([]);
  });

  test.each([null, {}, { paid: -1 }, { paid: '5' }, { paid: null }, { paid: 1e308 }, [], 'x'])(
    'of the result %j is what was held: nothing is given back on a guess, and somebody is told',
    (result) => {
      const failed: string[] = [];
      expect(settled('result.paid', result, failed)).toEqual({});
      expect(failed).toEqual(['one: POLICY_ERROR']);
    },
  );
});

describe('a counter of the ledger, together with the policy', () => {
  const limits = limited(`refunds-per-day: {${BUDGET}}
calls: {kind: rate, scope: agent, max: 30, per: 1m, burst: 5}
breaks: {kind: breaker, scope: tool, window: 5m, minimum: 1, ratio: 1, open: 1m}`).limits.limits;
  const counter = { limit: 'refunds-per-day', key: 'agent=billing-bot', kind: 'budget', used: 100, held: 20 } as const;

  test('says what is left', () => {
    expect(counterFigure(counter, limits)).toEqual({
      max: 500,
      left: 380,
      unit: 'EUR',
      text: 'refunds-per-day agent=billing-bot: 380 of 500 EUR left',
    });
    expect(counterFigure({ limit: 'calls', key: '', kind: 'rate', used: 2, held: 0 }, limits).text).toBe(
      'calls: 3 of 5 actions left',
    );
    expect(
      counterFigure({ limit: 'breaks', key: 'tool=x', kind: 'breaker', used: 2, held: 0, state: 'open' }, limits),
    ).toEqual({
      text: 'breaks tool=x: open',
    });
  });

  test('that is over its maximum has nothing left', () => {
    expect(counterFigure({ ...counter, used: 600 }, limits)).toMatchObject({ left: 0 });
  });

  test('of a limit that is not declared, or declared as another kind, shows only what was counted', () => {
    const text = 'refunds-per-day agent=billing-bot: 100 used, 20 held';
    expect(counterFigure(counter, [])).toEqual({ text });
    expect(counterFigure({ ...counter, kind: 'count' }, limits)).toEqual({ text });
  });
});
