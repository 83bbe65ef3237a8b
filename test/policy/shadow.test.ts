/** The limits of a policy in shadow: which of them count alike, and the others as they would have counted. */
import { describe, expect, test } from 'vitest';
import type { DecisionRecord } from '../../src/action/decision-record.js';
import type { LimitFigure } from '../../src/action/limits.js';
import { resolveLimits, type Policy } from '../../src/policy/index.js';
import { figuresOf } from '../../src/policy/limits/index.js';
import { ask, type DecidedRecord } from '../../src/policy/backtest/redecide.js';
import { microsecondsOf } from '../../src/policy/backtest/windows.js';
import { ownLimits } from '../../src/policy/shadow/own-limits.js';
import { ShadowCounters } from '../../src/policy/shadow/shadow-counters.js';
import { policyFromText } from '../../src/testing/index.js';
import { recorded, type Scene } from './backtest/recording.js';

const PERMIT = '@id("all") permit (principal, action, resource);';
const BUDGET = 'kind: budget, scope: agent, amount: input.amount, unit: EUR, max: 100, window: 1h';

function policy(limits = ''): Policy {
  return policyFromText({ 'a.cedar': PERMIT, ...(limits === '' ? {} : { 'limits.yaml': `limits:\n${limits}` }) });
}

test('limits count alike where they differ in their size alone', () => {
  const active = policy(`  money: {${BUDGET}}
  burst: {kind: rate, scope: agent, max: 10, per: 1m}
  few: {kind: count, scope: agent, max: 5, window: 1d}
  one: {kind: concurrency, scope: tool, max: 1}
`);
  const smaller = `  money: {${BUDGET.replace('max: 100', 'max: 50')}, atLimit: approve by dba}\n`;
  const own = (limits: string) => [...ownLimits(active, policy(limits))];
  expect(own(smaller)).toEqual([]);
  expect(own(smaller.replace('1h', '1d'))).toEqual(['money']);
  expect(own(smaller.replace('input.amount', 'input.amount * 2'))).toEqual(['money']);
  expect(own(smaller.replace('scope: agent', 'scope: tool'))).toEqual(['money']);
  expect(own('  burst: {kind: rate, scope: agent, max: 20, per: 1m}\n')).toEqual(['burst']);
  expect(
    own('  few: {kind: count, scope: agent, max: 1, window: 1d}\n  one: {kind: concurrency, scope: tool, max: 9}\n'),
  ).toEqual([]);
  expect(own('  another: {kind: count, scope: tenant, max: 1, window: 1d}\n')).toEqual(['another']);
  expect([...ownLimits(policy(), policy(smaller))]).toEqual(['money']);
  expect([...ownLimits(active, policy())]).toEqual([]);
});

describe('limits that only the policy in shadow has', () => {
  const LIMITS = `  money: {${BUDGET}}
  burst: {kind: rate, scope: agent, max: 3, per: 30m}
  few: {kind: count, scope: [agent, target], max: 4, window: 1d}
`;
  const scenes: readonly Scene[] = [
    { id: 'a', at: 0, input: { amount: 60 } },
    { id: 'b', at: 10, input: { amount: 50 } },
    { id: 'c', at: 20, input: { amount: 30 }, status: 'failed' },
    { id: 'd', at: 30, input: { amount: 40 }, status: 'mismatch' },
    { id: 'e', at: 40, input: { amount: 1 } },
    { id: 'f', at: 700, input: { amount: 1 } },
    { id: 'g', at: 3_900, input: { amount: 90 }, agent: { id: 'another' } },
    { id: 'h', at: 7_600, input: { amount: 90 } },
  ];

  test('count what would have counted, had they been in force: also what they themselves would have stopped', () => {
    const candidate = policy(LIMITS);
    const counters = new ShadowCounters(candidate, ownLimits(policy(), candidate));
    const inForce = recorded(candidate, scenes);
    expect(inForce.map(({ status }) => status)).toContain('denied');
    for (const [index, record] of recorded(policy(), scenes).entries()) {
      expect([record.actionId, untimed(figures(candidate, counters, record))]).toEqual([
        record.actionId,
        untimed(inForce[index]?.facts?.limits ?? []),
      ]);
      counters.add(record);
    }
  });

  test('count an action that is under way until its record says how it ended, and each action once', () => {
    const candidate = policy(LIMITS);
    const counters = new ShadowCounters(candidate, ownLimits(policy(), candidate));
    const records = recorded(policy(), scenes);
    const [first, , failed, , next] = records as [
      DecisionRecord,
      DecisionRecord,
      DecisionRecord,
      DecisionRecord,
      DecisionRecord,
    ];
    const left = () => figures(candidate, counters, next).find(({ limit }) => limit === 'money')?.left;
    hold(candidate, counters, first);
    hold(candidate, counters, failed);
    expect(left()).toBe(10);
    counters.add(failed);
    expect(left()).toBe(40);
    for (let again = 1; again <= 3; again++) {
      counters.add(first);
      hold(candidate, counters, first);
    }
    expect(left()).toBe(40);
    expect(counters.size).toBe(2);
  });

  test('are breakers that open after bad ends', () => {
    const candidate = policy(
      '  failing: {kind: breaker, scope: tool, window: 1h, minimum: 3, ratio: 0.5, open: 10m}\n',
    );
    const counters = new ShadowCounters(candidate, ownLimits(policy(), candidate));
    const states = recorded(policy(), scenes).map((record) => {
      const [figure] = figures(candidate, counters, record);
      counters.add(record);
      return figure?.state;
    });
    expect(states).toEqual(['closed', 'closed', 'closed', 'closed', 'open', 'half_open', 'closed', 'closed']);
  });

  test('of which a record holds too little are left alone', () => {
    const candidate = policy(LIMITS.replace('input.amount', 'input.nothing.at.all'));
    const counters = new ShadowCounters(candidate, ownLimits(policy(), candidate));
    const [{ facts: _facts, ...first }, second] = recorded(policy(), scenes) as [DecisionRecord, DecisionRecord];
    counters.add(first);
    counters.add(second);
    expect(counters.size).toBe(2);
  });
});

describe('limits by what they count', () => {
  const bundle = (files: Readonly<Record<string, string>>) => ({ bundle: { files, digest: 'sha256:x' as never } });
  const own = (before: string | undefined, after: string | undefined) => {
    const files = (text: string | undefined) => bundle(text === undefined ? {} : { 'limits.yaml': text });
    return [...ownLimits(files(before), files(after))];
  };
  const one = (fields: string) => `limits:\n  a: {${fields}}\n`;

  test.each<[string, string, readonly string[]]>([
    ['kind: budget, max: 1, atLimit: deny, unit: EUR', 'unit: EUR, kind: budget, max: 2', []],
    ['kind: budget, max: 1, unit: EUR', 'kind: budget, max: 1, unit: USD', ['a']],
    ['kind: count, max: 1, window: 1d', 'window: 1d, atLimit: x, max: 3, kind: count', []],
    ['kind: count, max: 1, window: 1d', 'kind: count, max: 1', ['a']],
    ['kind: concurrency, max: 1', 'kind: concurrency, max: 2, atLimit: x', []],
    ['kind: concurrency, max: 1', 'kind: count, max: 1', ['a']],
    ['kind: rate, max: 1, atLimit: x', 'kind: rate, max: 1', []],
    ['kind: rate, max: 1', 'kind: rate, max: 2', ['a']],
    ['kind: breaker, open: 1m', 'kind: breaker, open: 1m, atLimit: x', []],
    ['kind: breaker, open: 1m', 'kind: breaker, open: 2m', ['a']],
    ['kind: depth, max: 1', 'kind: depth, max: 2', ['a']],
    ['kind: depth, max: 1', 'max: 1, kind: depth', []],
  ])('{%s} and {%s}', (before, after, expected) => {
    expect(own(one(before), one(after))).toEqual(expected);
  });

  test('are none of a policy without limits, and all of one beside such a policy', () => {
    expect(own(one('kind: count'), undefined)).toEqual([]);
    expect(own(undefined, one('kind: count'))).toEqual(['a']);
    expect(own('# nothing\n', one('kind: count'))).toEqual(['a']);
    expect(own(one('kind: count'), '# nothing\n')).toEqual([]);
    expect(own('limits:\n', 'limits:\n')).toEqual([]);
  });
});

describe('a single limit of the policy in shadow', () => {
  const FEW = (more = '') => `  few: {kind: count, scope: agent, max: 2, window: 1d${more}}\n`;
  const plain = recorded(policy(), [{ id: 'a', at: 0, input: { amount: 5 } }])[0] as DecisionRecord;
  const later = (id: string, more: Partial<DecisionRecord> = {}): DecisionRecord => ({
    ...plain,
    actionId: id,
    ...more,
  });
  const at = microsecondsOf(plain.decidedAt) + 60_000_000;
  /** What one more action finds, after these. */
  const after = (limits: string, records: readonly DecisionRecord[], own?: ReadonlySet<string>) => {
    const candidate = policy(limits);
    const counters = new ShadowCounters(candidate, own ?? ownLimits(policy(), candidate));
    for (const record of records) counters.add(record);
    const { resolved } = ask(candidate, later('asks') as DecidedRecord, false) as Extract<
      ReturnType<typeof ask>,
      { kind: 'asked' }
    >;
    const [limit] = resolved.limits;
    const { used, held, fits } = counters.read('acme', 'asks', limit!.demand, at);
    return { used, held, fits, size: counters.size };
  };

  test('counts what got to its effect: what was attempted, or ended otherwise than as nothing', () => {
    expect(after(FEW(), [later('a')])).toMatchObject({ used: 1, size: 1 });
    expect(after(FEW(), [later('a', { attempted: false })])).toMatchObject({ used: 1 });
    expect(after(FEW(), [later('a', { attempted: false, status: 'mismatch' })])).toMatchObject({ used: 1 });
    expect(after(FEW(), [later('a', { attempted: false, status: 'unknown' })])).toMatchObject({ used: 0, held: 1 });
    expect(after(FEW(), [later('a', { attempted: false, status: 'denied' })])).toEqual({
      used: 0,
      held: 0,
      fits: true,
      size: 1,
    });
    const RATE = '  burst: {kind: rate, scope: agent, max: 2, per: 1d}\n';
    expect(after(RATE, [later('a', { status: 'failed' })])).toMatchObject({ used: 1 });
    expect(after(RATE, [later('a', { status: 'failed', attempted: false })])).toMatchObject({ used: 0 });
  });

  test('counts nothing that it would have denied itself; what people would have been asked about it counts', () => {
    const three = ['a', 'b', 'c'].map((id) => later(id));
    expect(after(FEW(), three)).toMatchObject({ used: 2, fits: false, size: 3 });
    expect(after(FEW(', atLimit: approve by dba'), three)).toMatchObject({ used: 3 });
    expect(after(FEW(', atLimit: queue for 5m'), three)).toMatchObject({ used: 3 });
    expect(after(`${FEW()}  no: {kind: count, scope: agent, max: 0, window: 1d}\n`, three)).toMatchObject({ used: 0 });
    // A limit that both policies have is the ledger's: it stops nothing here.
    expect(
      after(`${FEW()}  no: {kind: count, scope: agent, max: 0, window: 1d}\n`, three, new Set(['few'])),
    ).toMatchObject({ used: 2 });
  });

  test('counts each action once, that of another tenant apart', () => {
    expect(after(FEW(), [later('a'), later('a'), later('a', { tenant: 'other' })])).toMatchObject({ used: 1, size: 2 });
  });

  test('counts from when holds were placed, and no earlier than it was decided', () => {
    const RATE = '  burst: {kind: rate, scope: agent, max: 1, per: 2m}\n';
    const held = (...placed: string[]) =>
      later('a', {
        holds: placed.map((placedAt) => ({
          limit: 'x',
          key: '',
          kind: 'count',
          amount: 1,
          status: 'consumed',
          placedAt,
        })),
      });
    const seconds = (count: number) => new Date(Date.parse(plain.decidedAt) + count * 1000).toISOString();
    const left = (record: DecisionRecord, second: number) => {
      const candidate = policy(RATE);
      const counters = new ShadowCounters(candidate, ownLimits(policy(), candidate));
      counters.add(record);
      const [limit] = asked(candidate, later('asks'));
      return counters.read('acme', 'asks', limit!.demand, microsecondsOf(seconds(second))).fits;
    };
    expect([left(held(), 119), left(held(), 120)]).toEqual([false, true]);
    expect([left(held(seconds(5), seconds(10)), 129), left(held(seconds(5), seconds(10)), 130)]).toEqual([false, true]);
    expect([left(held(seconds(-10)), 119), left(held(seconds(-10)), 120)]).toEqual([false, true]);
  });

  test('lets nothing end before it began, whatever clocks said', () => {
    const BREAKER = '  failing: {kind: breaker, scope: tool, window: 1h, minimum: 1, ratio: 1, open: 10m}\n';
    const candidate = policy(BREAKER);
    const counters = new ShadowCounters(candidate, ownLimits(policy(), candidate));
    counters.add(later('a', { status: 'mismatch', endedAt: '2020-01-01T00:00:00.000Z' }));
    const [limit] = asked(candidate, later('asks'));
    const began = microsecondsOf(plain.decidedAt);
    const state = (microseconds: number) => counters.read('acme', 'asks', limit!.demand, began + microseconds).state;
    // It opened a microsecond after it had begun, and for ten minutes.
    expect([state(1), state(600_000_000), state(600_000_001)]).toEqual(['open', 'open', 'half_open']);
  });

  test('spends what the result says, or what was held where it says nothing of use', () => {
    const MONEY = (settled: string) =>
      `  money: {kind: budget, scope: agent, amount: input.amount, settled: ${settled}, unit: EUR, max: 100, window: 1d}\n`;
    const ended = (more: Partial<DecisionRecord>, settled = 'result.paid') => after(MONEY(settled), [later('a', more)]);
    expect(ended({ result: { paid: 3 } })).toMatchObject({ used: 3, held: 0 });
    expect(ended({ result: { other: 3 } })).toMatchObject({ used: 5, held: 0 });
    expect(ended({})).toMatchObject({ used: 5, held: 0 });
    expect(ended({ result: { paid: 3 }, status: 'failed' })).toMatchObject({ used: 0, held: 0 });
    expect(ended({ result: { paid: 3 }, status: 'unknown' })).toMatchObject({ used: 0, held: 5 });
  });

  test('that is a breaker is told how what was attempted ended', () => {
    const BREAKER = '  failing: {kind: breaker, scope: tool, window: 1h, minimum: 1, ratio: 1, open: 10m}\n';
    const fits = (more: Partial<DecisionRecord>) => after(BREAKER, [later('a', more)]).fits;
    expect(fits({})).toBe(true);
    expect(fits({ status: 'mismatch' })).toBe(false);
    expect(fits({ status: 'unknown' })).toBe(false);
    expect(fits({ status: 'failed' })).toBe(false);
    expect(fits({ status: 'cancelled' })).toBe(true);
  });

  test('holds what is under way of its own limits alone, each action once, until its record is there', () => {
    const candidate = policy(FEW());
    const counters = new ShadowCounters(candidate, ownLimits(policy(), candidate));
    const demands = asked(candidate, later('x')).map(({ demand }) => demand);
    const [demand] = demands;
    counters.hold('acme', 'other', [{ ...demand!, limit: 'foreign' }], at);
    expect(counters.size).toBe(0);
    counters.hold('acme', 'a', demands, at);
    counters.hold('acme', 'a', demands, at);
    expect(counters.read('acme', 'asks', demand!, at)).toMatchObject({ used: 0, held: 1 });
    expect([counters.counts({ limit: 'few' }), counters.counts({ limit: 'foreign' })]).toEqual([true, false]);
    // What was held is counted however little room there was, and given back where nothing came of it.
    counters.hold('acme', 'b', demands, at);
    counters.hold('acme', 'c', demands, at);
    counters.add(later('c'));
    expect(counters.read('acme', 'asks', demand!, at)).toMatchObject({ used: 1, held: 2, fits: false });
    counters.add(later('a', { status: 'denied', attempted: false }));
    expect(counters.read('acme', 'asks', demand!, at)).toMatchObject({ used: 1, held: 1 });
    counters.hold('acme', 'a', demands, at);
    expect(counters.read('acme', 'asks', demand!, at)).toMatchObject({ used: 1, held: 1 });
  });
});

/** What nobody held is counted from when it was decided, and not from when it was held a moment later. */
function untimed(limits: readonly LimitFigure[]): readonly object[] {
  return limits.map(({ retryAfterMs: _retry, ...figure }) => figure);
}

function asked(candidate: Policy, record: DecisionRecord) {
  const { facts, resolved } = ask(candidate, record as DecidedRecord, false) as Extract<
    ReturnType<typeof ask>,
    { kind: 'asked' }
  >;
  expect(resolved).toEqual(resolveLimits(candidate, facts, { input: record.proposal?.input ?? {} }));
  return resolved.limits;
}

function figures(candidate: Policy, counters: ShadowCounters, record: DecisionRecord) {
  const limits = asked(candidate, record);
  const at = microsecondsOf(record.decidedAt);
  return figuresOf(
    limits,
    limits.map(({ demand }) => counters.read(record.tenant, record.actionId, demand, at)),
  );
}

function hold(candidate: Policy, counters: ShadowCounters, record: DecisionRecord): void {
  const demands = asked(candidate, record).map(({ demand }) => demand);
  counters.hold(record.tenant, record.actionId, demands, microsecondsOf(record.decidedAt));
}
