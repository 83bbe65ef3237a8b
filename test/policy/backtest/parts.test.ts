/** The parts of a backtest by themselves: time in slots, the order of moments, kinds of changes, marks of history, what was held, and what a report adds up. */
import { describe, expect, test } from 'vitest';
import type { DecisionRecord, RecordedHold } from '../../../src/action/decision-record.js';
import type { Decision } from '../../../src/action/decision.js';
import { digestText } from '../../../src/action/json.js';
import type { HistoryQuery } from '../../../src/action/history.js';
import type { LimitDemand } from '../../../src/action/limits.js';
import type { OutcomeStatus } from '../../../src/action/outcome.js';
import { changeKind, rulesOf, standingOf, toTheLetter, type Standing } from '../../../src/policy/backtest/change.js';
import type { Counters } from '../../../src/policy/backtest/counters.js';
import { HistoryMarks } from '../../../src/policy/backtest/histories.js';
import { Holdings } from '../../../src/policy/backtest/holdings.js';
import {
  authorityOf,
  decisionOf,
  isOfPolicy,
  overlaid,
  sameFile,
  type DecidedRecord,
} from '../../../src/policy/backtest/redecide.js';
import type { DecisionChange } from '../../../src/policy/backtest/report.js';
import { Tally } from '../../../src/policy/backtest/tally.js';
import { timeline } from '../../../src/policy/backtest/timeline.js';
import { microsecondsOf, slotBegins, slotOf } from '../../../src/policy/backtest/windows.js';
import type { ResolvedLimit } from '../../../src/policy/index.js';
import { factsOf } from '../facts.js';
import { approval } from './recording.js';

const SECOND = 1_000_000;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;
const at = (time: string) => microsecondsOf(time);
const DIGEST = digestText('x');

const DECISION: Decision = {
  effect: 'allow',
  reason: 'r',
  policies: ['p'],
  constraints: [],
  violations: [],
  requirements: [],
  errors: [],
  policyDigest: DIGEST,
};
const REQUIREMENT = { policy: 'ask', reason: 'r', roles: ['dba'], quorum: 1, ttlSeconds: 60 };

function recordOf(more: Partial<DecisionRecord> = {}): DecisionRecord {
  return {
    v: 1,
    tenant: 'acme',
    actionId: 'a',
    proposalDigest: DIGEST,
    facts: factsOf(),
    decision: DECISION,
    approvals: [],
    status: 'success',
    attempted: true,
    holds: [],
    decidedAt: '2025-01-01T12:00:00.000Z',
    endedAt: '2025-01-01T12:00:09.000Z',
    receipt: { seq: 1, hash: DIGEST },
    ...more,
  };
}
const holdOf = (more: Partial<RecordedHold> = {}): RecordedHold => ({
  limit: 'l',
  key: 'k',
  kind: 'budget',
  amount: 5,
  status: 'consumed',
  placedAt: '2025-01-01T12:00:01.000Z',
  settledAt: '2025-01-01T12:00:08.000Z',
  ...more,
});

describe('time in slots', () => {
  test('is counted in microseconds, as far as a time tells', () => {
    expect(at('1970-01-01T00:00:01Z')).toBe(SECOND);
    expect(at('1970-01-01T00:00:01.5Z')).toBe(1_500_000);
    expect(at('1970-01-01T00:00:01.123456Z')).toBe(1_123_456);
    expect(at('1970-01-01T00:00:01.1234Z')).toBe(1_123_400);
    expect(at('1970-01-01T00:00:01.123456789Z')).toBe(1_123_456);
  });

  test('of UTC begins at multiples of the width; without a width all time is one', () => {
    expect(slotOf(5 * HOUR + 1, HOUR, '')).toBe(5);
    expect(slotOf(5 * HOUR - 1, HOUR, '')).toBe(4);
    expect(slotBegins(5, HOUR, '')).toBe(5 * HOUR);
    expect(slotOf(5 * HOUR, 0, 'Europe/Berlin')).toBe(0);
  });

  test('of a zone begins at its midnight, also where its clock changes', () => {
    const berlin = (time: string) => slotOf(at(time), DAY, 'Europe/Berlin');
    expect(berlin('2025-01-01T22:59:59.999999Z') + 1).toBe(berlin('2025-01-01T23:00:00Z'));
    expect(berlin('2025-07-01T21:59:59Z') + 1).toBe(berlin('2025-07-01T22:00:00Z'));
    const begins = (time: string) => slotBegins(berlin(time), DAY, 'Europe/Berlin');
    expect(begins('2025-03-30T12:00:00Z')).toBe(at('2025-03-29T23:00:00Z'));
    expect(begins('2025-03-31T12:00:00Z')).toBe(at('2025-03-30T22:00:00Z'));
    expect(begins('2025-10-26T12:00:00Z')).toBe(at('2025-10-25T22:00:00Z'));
    expect(begins('2025-10-27T12:00:00Z')).toBe(at('2025-10-26T23:00:00Z'));
    // In Havana the clock skips midnight in spring, and shows it twice in autumn: it is the first time.
    const havana = (time: string) => slotBegins(slotOf(at(time), DAY, 'America/Havana'), DAY, 'America/Havana');
    expect(havana('2025-03-09T16:00:00Z')).toBe(at('2025-03-09T05:00:00Z'));
    expect(havana('2025-11-02T16:00:00Z')).toBe(at('2025-11-02T04:00:00Z'));
    // A zone half an hour off the others.
    expect(slotBegins(slotOf(at('2025-01-01T12:00:00Z'), DAY, 'Asia/Kolkata'), DAY, 'Asia/Kolkata')).toBe(
      at('2024-12-31T18:30:00Z'),
    );
  });
});

describe('moments', () => {
  const told = (records: readonly DecisionRecord[]) =>
    timeline(records).map(
      ({ kind, index, at: when }) => `${kind} ${index} ${(when - at('2025-01-01T12:00:00Z')) / SECOND}`,
    );

  test('of an action are its decision, the placing of its first hold, and the last settling', () => {
    const holds = [holdOf({ placedAt: '2025-01-01T12:00:03.000Z' }), holdOf({ settledAt: '2025-01-01T12:00:07.000Z' })];
    expect(told([recordOf({ holds })])).toEqual(['decide 0 0', 'place 0 1', 'settle 0 8']);
    expect(told([recordOf()])).toEqual(['decide 0 0', 'place 0 0', 'settle 0 9']);
  });

  test('go by when it ended, where a rate alone was held or nothing is settled', () => {
    expect(told([recordOf({ holds: [holdOf({ kind: 'rate' })] })]).at(-1)).toBe('settle 0 9');
    const { settledAt: _settledAt, ...open } = holdOf();
    expect(told([recordOf({ holds: [open] })]).at(-1)).toBe('settle 0 9');
    expect(told([recordOf({ holds: [open, holdOf({ settledAt: '2025-01-01T12:00:04.000Z' })] })]).at(-1)).toBe(
      'settle 0 4',
    );
  });

  test('keep their order, whatever clocks said', () => {
    const early = holdOf({ placedAt: '2025-01-01T11:00:00.000Z', settledAt: '2025-01-01T11:00:00.000Z' });
    expect(told([recordOf({ holds: [early] })])).toEqual(['decide 0 0', 'place 0 0', 'settle 0 0.000001']);
  });

  test('at one time: what ends comes first, then what is decided, then what is placed, each in the order of the records', () => {
    const settled = recordOf({
      holds: [holdOf({ placedAt: '2025-01-01T12:00:00.000Z', settledAt: '2025-01-01T12:00:05.000Z' })],
    });
    const later = { decidedAt: '2025-01-01T12:00:05.000Z' };
    expect(told([recordOf(later), settled, recordOf(later)])).toEqual([
      'decide 1 0',
      'place 1 0',
      'settle 1 5',
      'decide 0 5',
      'decide 2 5',
      'place 0 5',
      'place 2 5',
      'settle 0 9',
      'settle 2 9',
    ]);
  });
});

describe('a change', () => {
  test('goes by where a decision and what people said leave an action', () => {
    const asking: Decision = { ...DECISION, effect: 'require_approval', requirements: [REQUIREMENT] };
    expect(standingOf(DECISION, [])).toBe('allowed');
    expect(standingOf({ ...DECISION, effect: 'deny' }, [approval('ann', ['dba'])])).toBe('denied');
    expect(standingOf(asking, [])).toBe('asked');
    expect(standingOf(asking, [approval('ann', ['dba'])])).toBe('approved');
    expect(standingOf(asking, [approval('ann', ['dba'], 'deny')])).toBe('refused');
    expect(standingOf(asking, [approval('ann', ['dba'], 'request_changes')])).toBe('refused');
  });

  const kind = (
    before: Standing,
    after: Standing,
    more: { queued?: boolean; waited?: boolean; letter?: boolean; decision?: Decision } = {},
  ) =>
    changeKind(
      { decision: DECISION, standing: before },
      { decision: more.decision ?? DECISION, standing: after, queued: more.queued ?? false },
      { waited: more.waited ?? false, letter: more.letter ?? false },
    );

  test.each<[Standing, Partial<Record<Standing, string>>]>([
    ['allowed', { approved: 'newly-asked', asked: 'newly-asked', refused: 'newly-denied', denied: 'newly-denied' }],
    ['approved', { allowed: 'no-longer-asked', asked: 'newly-asked', refused: 'newly-denied', denied: 'newly-denied' }],
    ['asked', { allowed: 'newly-allowed', approved: 'newly-allowed', denied: 'no-longer-asked' }],
    [
      'refused',
      { allowed: 'newly-allowed', approved: 'newly-allowed', asked: 'newly-askable', denied: 'no-longer-asked' },
    ],
    [
      'denied',
      { allowed: 'newly-allowed', approved: 'newly-allowed', asked: 'newly-askable', refused: 'newly-askable' },
    ],
  ])('of what was %s', (before, expected) => {
    for (const after of ['allowed', 'approved', 'asked', 'refused', 'denied'] as const)
      expect([after, kind(before, after)]).toEqual([after, expected[after]]);
  });

  test('is waiting, where what passes has to wait and did not', () => {
    expect(kind('allowed', 'allowed', { queued: true })).toBe('newly-queued');
    expect(kind('approved', 'approved', { queued: true })).toBe('newly-queued');
    expect(kind('allowed', 'allowed', { queued: true, waited: true })).toBeUndefined();
    expect(kind('asked', 'asked', { queued: true })).toBeUndefined();
    expect(kind('allowed', 'denied', { queued: true })).toBe('newly-denied');
  });

  test('is of terms, where it ends alike and something else is asked: sentences are none of them', () => {
    const other = (more: Partial<Decision>) => kind('allowed', 'allowed', { decision: { ...DECISION, ...more } });
    expect(other({ reason: 'other', policyDigest: digestText('y') })).toBeUndefined();
    expect(other({ violations: [] })).toBeUndefined();
    expect(other({ policies: ['q'] })).toBe('other-terms');
    expect(other({ constraints: [{ name: 'maxRows', value: 5, policy: 'p' }] })).toBe('other-terms');
    expect(other({ violations: [{ policy: 'v', reason: 'r' }] })).toBe('other-terms');
    expect(other({ requirements: [REQUIREMENT] })).toBe('other-terms');
    expect(other({ errors: ['e'] })).toBe('other-terms');
    expect(other({ code: 'POLICY_DENIED' })).toBe('other-terms');
    expect(kind('allowed', 'allowed', { letter: true, decision: { ...DECISION, policies: ['q'] } })).toBeUndefined();
    const asks = (reason: string): Decision => ({ ...DECISION, requirements: [{ ...REQUIREMENT, reason }] });
    expect(
      changeKind(
        { decision: asks('5 EUR'), standing: 'asked' },
        { decision: asks('6 EUR'), standing: 'asked', queued: false },
        { waited: false, letter: false },
      ),
    ).toBeUndefined();
  });

  test('is of terms, where the same rules say something else', () => {
    const other = (before: Partial<Decision>, after: Partial<Decision>) =>
      changeKind(
        { decision: { ...DECISION, ...before }, standing: 'asked' },
        { decision: { ...DECISION, ...after }, standing: 'asked', queued: false },
        { waited: false, letter: false },
      );
    const violation = (policy: string) => ({ violations: [{ policy, reason: 'r' }] });
    expect(other({ code: 'POLICY_DENIED' }, { code: 'LIMIT_EXCEEDED' })).toBe('other-terms');
    expect(other(violation('v'), violation('w'))).toBe('other-terms');
    expect(other({ requirements: [REQUIREMENT] }, { requirements: [{ ...REQUIREMENT, quorum: 2 }] })).toBe(
      'other-terms',
    );
    expect(other(violation('v'), { violations: [{ policy: 'v', reason: 'other' }] })).toBeUndefined();
  });

  test('to the letter is everything but which policy decided', () => {
    expect(toTheLetter(DECISION, { ...DECISION, policyDigest: digestText('y') })).toBe(true);
    expect(toTheLetter(DECISION, { ...DECISION, reason: 'other' })).toBe(false);
  });

  test('was made by the rules that determined one of the two alone, and by all of them where none did', () => {
    const by = (more: Partial<Decision>): Decision => ({ ...DECISION, policies: [], ...more });
    expect(rulesOf(by({ policies: ['a', 'b'] }), by({ policies: ['b', 'c'] }))).toEqual(['a', 'c']);
    expect(rulesOf(by({ policies: ['b', 'a'] }), by({ policies: ['a', 'b'] }))).toEqual(['a', 'b']);
    expect(rulesOf(by({ errors: ['e'] }), by({}))).toEqual(['e']);
    expect(
      rulesOf(
        by({}),
        by({
          violations: [
            { policy: 'limit:x', reason: 'r' },
            { policy: 'rule', reason: 'r' },
          ],
        }),
      ),
    ).toEqual(['limit:x']);
    expect(rulesOf(by({}), by({ requirements: [{ ...REQUIREMENT, policy: 'limit:y' }, REQUIREMENT] }))).toEqual([
      'limit:y',
    ]);
    expect(rulesOf(by({}), by({}))).toEqual(['(no rule)']);
  });
});

describe('marks of history', () => {
  const query = (more: Partial<HistoryQuery> = {}): HistoryQuery => ({
    fact: 'f',
    certain: ['c'],
    possible: ['c', 'p'],
    withinMs: 1000,
    outcomes: ['success'],
    ...more,
  });
  const counts = (marks: HistoryMarks, more: Partial<HistoryQuery> = {}, when = 0, action = 'asks') => {
    const { fact, ...found } = marks.read('acme', action, query(more), when);
    expect(fact).toBe('f');
    return [found.done, found.underWay, found.possible];
  };

  test.each<[OutcomeStatus | 'under way', number[], number[]]>([
    ['under way', [0, 1, 1], [0, 0, 1]],
    ['success', [1, 0, 1], [0, 0, 1]],
    ['mismatch', [0, 0, 1], [0, 0, 1]],
    ['unknown', [0, 0, 1], [0, 0, 1]],
    ['failed', [0, 0, 0], [0, 0, 0]],
    ['denied', [0, 0, 0], [0, 0, 0]],
  ])('an action that is %s counts so for certain, and so where it only may', (status, certain, possible) => {
    for (const [mark, expected] of [
      ['c', certain],
      ['p', possible],
      ['x', [0, 0, 0]],
    ] as const) {
      const marks = new HistoryMarks();
      marks.leave('acme', 'other', [mark], 0);
      if (status !== 'under way') marks.end('acme', 'other', status);
      expect(counts(marks)).toEqual(expected);
    }
  });

  test('count by the outcomes that are asked for', () => {
    const marks = new HistoryMarks();
    marks.leave('acme', 'a', ['c'], 0);
    marks.end('acme', 'a', 'failed');
    expect(counts(marks, { outcomes: ['failed', 'mismatch'] })).toEqual([1, 0, 1]);
    marks.end('acme', 'a', 'mismatch');
    expect(counts(marks, { outcomes: ['failed'] })).toEqual([0, 0, 0]);
    expect(counts(marks, { outcomes: ['mismatch'] })).toEqual([1, 0, 1]);
  });

  test('count each action once, and for certain where any of its marks says so; not the one that asks, nor another tenant', () => {
    const marks = new HistoryMarks();
    marks.leave('acme', 'both', ['p', 'c'], 0);
    marks.leave('acme', 'asks', ['c'], 0);
    marks.leave('other', 'a', ['c'], 0);
    marks.end('acme', 'both', 'success');
    marks.end('other', 'a', 'success');
    expect(counts(marks)).toEqual([1, 0, 1]);
  });

  test('count from when they were left last, for as long as is asked', () => {
    const marks = new HistoryMarks();
    marks.leave('acme', 'a', ['c'], 0);
    expect(counts(marks, {}, 999_999)).toEqual([0, 1, 1]);
    expect(counts(marks, {}, 1_000_000)).toEqual([0, 0, 0]);
    marks.leave('acme', 'b', ['c'], 500_000);
    marks.leave('acme', 'a', ['c'], 600_000);
    expect(counts(marks, {}, 1_499_999)).toEqual([0, 2, 2]);
    expect(counts(marks, {}, 1_550_000)).toEqual([0, 1, 1]);
  });

  test('of which there are more than are looked at make as many as can be counted possible', () => {
    const marks = new HistoryMarks();
    for (let i = 0; i < 200; i++) {
      marks.leave('acme', `a${i}`, ['c'], i);
      marks.end('acme', `a${i}`, 'failed');
    }
    expect(counts(marks, {}, 500)).toEqual([0, 0, 0]);
    marks.leave('acme', 'one-more', ['c'], 300);
    marks.end('acme', 'one-more', 'failed');
    expect(counts(marks, {}, 500)).toEqual([0, 0, 100]);
  });

  test('count no further than can be told apart', () => {
    const marks = new HistoryMarks();
    for (let i = 0; i < 150; i++) marks.leave('acme', `a${i}`, ['c'], i);
    expect(counts(marks, {}, 500)).toEqual([0, 100, 100]);
  });
});

describe('what recorded actions hold in both worlds', () => {
  const limit = (
    amount: number,
    more: Partial<ResolvedLimit> = {},
    kind: 'budget' | 'breaker' = 'budget',
  ): ResolvedLimit => ({
    demand:
      kind === 'budget'
        ? { limit: 'l', key: 'k', kind, amount, max: 10, unit: 'EUR' }
        : { limit: 'l', key: 'k', kind, windowMs: 1, minimum: 1, ratio: 1, openMs: 1, probes: 1 },
    atLimit: { kind: 'deny' },
    label: 'l',
    ...more,
  });
  /** What each world was told, in order. */
  function went(record: DecisionRecord, plan: Parameters<Holdings['plan']>[1]): string[] {
    const told: string[] = [];
    const world = (name: string) =>
      ({
        place: (_tenant: string, _action: string, demand: LimitDemand) =>
          void told.push(`${name} place ${'amount' in demand ? demand.amount : demand.kind}`),
        settle: (_tenant: string, _action: string, _demand: LimitDemand, how: object) =>
          void told.push(`${name} settle ${JSON.stringify(how)}`),
        forget: () => void told.push(`${name} forget`),
      }) as unknown as Counters;
    const holdings = new Holdings({ recorded: world('then'), candidate: world('now') });
    holdings.place(record, 0);
    holdings.settle(record, 0);
    expect(told).toEqual([]);
    holdings.plan(record, plan);
    holdings.place(record, 0);
    holdings.settle(record, 1);
    const done = told.length;
    holdings.settle(record, 2);
    expect(told.length).toBe(done);
    return told.filter((line) => !line.endsWith('forget'));
  }

  test('is what was recorded, in both where both ask alike', () => {
    expect(
      went(recordOf({ holds: [holdOf({ amount: 3 })] }), { before: [limit(5)], now: [limit(5)], happens: true }),
    ).toEqual([
      'then place 5',
      'now place 5',
      'then settle {"disposition":"consume","spent":3}',
      'now settle {"disposition":"consume","spent":3}',
    ]);
    expect(
      went(recordOf({ holds: [holdOf({ status: 'released' })] }), {
        before: [limit(5)],
        now: [limit(5)],
        happens: true,
      }).slice(2),
    ).toEqual(['then settle {"disposition":"release"}', 'now settle {"disposition":"release"}']);
    for (const status of ['held', 'kept'] as const)
      expect(
        went(recordOf({ holds: [holdOf({ status })] }), { before: [limit(5)], now: undefined, happens: true }),
      ).toEqual(['then place 5', 'then settle {"disposition":"keep"}']);
  });

  test('is nothing then where nothing was recorded, and nothing now where it does not happen', () => {
    expect(went(recordOf(), { before: [limit(5)], now: [limit(5)], happens: false })).toEqual([]);
    expect(went(recordOf({ holds: [holdOf()] }), { before: undefined, now: [limit(5)], happens: false })).toEqual([]);
    expect(
      went(recordOf({ holds: [holdOf({ key: 'other' })] }), { before: [limit(5)], now: [limit(5)], happens: false }),
    ).toEqual([]);
  });

  test('is settled by how it ended, where the candidate asks otherwise', () => {
    const now = (more: Partial<DecisionRecord>, own = limit(6)) =>
      went(recordOf({ holds: [holdOf()], ...more }), { before: [limit(5)], now: [own], happens: true }).at(-1);
    expect(now({})).toBe('now settle {"disposition":"consume","result":"good"}');
    expect(now({ status: 'failed' })).toBe('now settle {"disposition":"release","result":"bad"}');
    expect(now({ status: 'failed', attempted: false })).toBe('now settle {"disposition":"release"}');
    expect(now({ status: 'unknown' })).toBe('now settle {"disposition":"keep","result":"bad"}');
    expect(now({ status: 'mismatch' })).toBe('now settle {"disposition":"consume","result":"bad"}');
    const settled = limit(6, { settled: (result) => Number(result) * 2 });
    expect(now({ result: 4 }, settled)).toBe('now settle {"disposition":"consume","result":"good","spent":8}');
    expect(now({}, settled)).toBe('now settle {"disposition":"consume","result":"good"}');
    expect(now({ result: 4, status: 'failed' }, settled)).toBe('now settle {"disposition":"release","result":"bad"}');
    const failing = limit(6, {
      settled: () => {
        throw new Error('no amount');
      },
    });
    expect(now({ result: 4 }, failing)).toBe('now settle {"disposition":"consume","result":"good"}');
  });

  test('is spent as it was asked for where there is no result, whatever would be spent of one', () => {
    const settled = limit(6, { settled: () => 8 });
    const now = (more: Partial<DecisionRecord>) =>
      went(recordOf({ holds: [holdOf()], ...more }), { before: [limit(5)], now: [settled], happens: true }).at(-1);
    expect(now({})).toBe('now settle {"disposition":"consume","result":"good"}');
    expect(now({ result: null })).toBe('now settle {"disposition":"consume","result":"good","spent":8}');
  });

  test('is told apart by tenant, by action, and by limit, key and kind', () => {
    const told: string[] = [];
    const world = {
      place: (tenant: string, action: string, { limit: of, key }: LimitDemand) =>
        void told.push(`place ${tenant} ${action} ${of} ${key}`),
      settle: (tenant: string, action: string, { limit: of, key }: LimitDemand, how: object) =>
        void told.push(`settle ${tenant} ${action} ${of} ${key} ${JSON.stringify(how)}`),
      forget: () => undefined,
    } as unknown as Counters;
    const silent = { place: () => undefined, settle: () => undefined, forget: () => undefined } as unknown as Counters;
    const holdings = new Holdings({ recorded: world, candidate: silent });
    const asks = (of: string, key: string): ResolvedLimit => ({
      ...limit(5),
      demand: { limit: of, key, kind: 'budget', amount: 5, max: 10, unit: 'EUR' },
    });
    const records = [
      recordOf({ holds: [holdOf({ amount: 1 }), holdOf({ key: 'j', amount: 2 }), holdOf({ limit: 'm', amount: 3 })] }),
      recordOf({ tenant: 'other', holds: [holdOf({ amount: 4 })] }),
      recordOf({ actionId: 'b', holds: [holdOf({ amount: 5 })] }),
    ];
    for (const record of records)
      holdings.plan(record, { before: [asks('l', 'k'), asks('l', 'j'), asks('m', 'k')], now: [], happens: true });
    for (const record of records) holdings.place(record, 0);
    for (const record of records) holdings.settle(record, 1);
    const settled = (spent: number) => JSON.stringify({ disposition: 'consume', spent });
    expect(told).toEqual([
      'place acme a l k',
      'place acme a l j',
      'place acme a m k',
      'place other a l k',
      'place acme b l k',
      `settle acme a l k ${settled(1)}`,
      `settle acme a l j ${settled(2)}`,
      `settle acme a m k ${settled(3)}`,
      `settle other a l k ${settled(4)}`,
      `settle acme b l k ${settled(5)}`,
    ]);
  });

  test('is spent as it was asked for, of what is newly allowed or never got anywhere', () => {
    expect(
      went(recordOf({ holds: [holdOf()] }), { before: undefined, now: [limit(5)], happens: true, newly: true }).at(-1),
    ).toBe('now settle {"disposition":"consume","result":"good"}');
    expect(
      went(recordOf({ status: 'denied', attempted: false }), { before: undefined, now: [limit(5)], happens: true }),
    ).toEqual(['now place 5', 'now settle {"disposition":"consume"}']);
  });

  test('is told to breakers as a good end of what is newly allowed, whatever became of it then', () => {
    const denied = recordOf({ status: 'denied', attempted: false });
    const plan = { before: undefined, now: [limit(0, {}, 'breaker')], happens: true };
    expect(went(denied, { ...plan, newly: true }).at(-1)).toBe('now settle {"disposition":"consume","result":"good"}');
    expect(went(denied, plan).at(-1)).toBe('now settle {"disposition":"consume"}');
    // What was given up is neither good nor bad.
    expect(went(recordOf({ status: 'cancelled' }), plan).at(-1)).toBe('now settle {"disposition":"release"}');
  });

  test('is settled by how it ended, where nothing was held then, or it is not known what was asked', () => {
    const asks = { now: [limit(5)], happens: true };
    expect(went(recordOf(), { ...asks, before: [limit(5)] })).toEqual([
      'now place 5',
      'now settle {"disposition":"consume","result":"good"}',
    ]);
    expect(went(recordOf({ holds: [holdOf({ amount: 3 })] }), { ...asks, before: undefined })).toEqual([
      'now place 5',
      'now settle {"disposition":"consume","result":"good"}',
    ]);
  });

  test('of a breaker is told how it ended, if it was told then', () => {
    const breaker = limit(0, {}, 'breaker');
    const of = (more: Partial<RecordedHold>, record: Partial<DecisionRecord> = {}) =>
      went(recordOf({ holds: [holdOf({ kind: 'breaker', ...more })], ...record }), {
        before: [breaker],
        now: [breaker],
        happens: true,
      }).slice(2);
    expect(of({})).toEqual([
      'then settle {"disposition":"consume","result":"good"}',
      'now settle {"disposition":"consume","result":"good"}',
    ]);
    expect(of({ status: 'released' })).toEqual([
      'then settle {"disposition":"consume"}',
      'now settle {"disposition":"consume"}',
    ]);
    expect(of({}, { status: 'failed', attempted: false })[0]).toBe('then settle {"disposition":"consume"}');
  });
});

describe('what is decided again', () => {
  test('was denied by the error where policy could not decide, and is unknown where it never got to policy', () => {
    const policy = { digest: DIGEST };
    expect(decisionOf(recordOf(), policy)).toBe(DECISION);
    const { decision: _decision, ...undecided } = recordOf();
    expect(decisionOf({ ...undecided, error: { code: 'POLICY_ERROR', message: 'm' } }, policy)).toEqual({
      ...DECISION,
      effect: 'deny',
      code: 'POLICY_ERROR',
      reason: 'm',
      policies: [],
    });
    expect(decisionOf({ ...undecided, error: { code: 'FROZEN', message: 'm' } }, policy)).toBeUndefined();
    expect(decisionOf(undecided, policy)).toBeUndefined();
    const { facts: _facts, ...malformed } = { ...undecided, error: { code: 'POLICY_ERROR', message: 'm' } as const };
    expect(decisionOf(malformed, policy)).toBeUndefined();
  });

  test('reads of an input what the tool made of it, and beneath it what was proposed', () => {
    expect(overlaid({ a: { b: 1, c: 2 }, d: 3 }, { a: { b: 9 }, e: 4 })).toEqual({ a: { b: 9, c: 2 }, d: 3, e: 4 });
    expect(overlaid({ a: { b: 1 } }, { a: null })).toEqual({ a: null });
    expect(overlaid({ a: [1] }, { a: { 0: 2 } })).toEqual({ a: { 0: 2 } });
    expect(overlaid({ a: { b: 1 } }, { a: [2] })).toEqual({ a: [2] });
    expect(overlaid({ a: 'x' }, { a: { b: 1 } })).toEqual({ a: { b: 1 } });
    expect(overlaid({}, { constructor: { b: 1 } })).toEqual({ constructor: { b: 1 } });
  });

  test('has the caps of delegations that its figures tell of', () => {
    const figure = (limit: string, more: object) => ({
      limit,
      key: '',
      kind: 'budget',
      max: 5,
      used: 0,
      held: 0,
      left: 5,
      fits: true,
      text: '',
      ...more,
    });
    const limits = [
      figure('delegation:j1', { kind: 'count', unit: 'actions', max: 3 }),
      figure('delegation:j1:EUR', { unit: 'EUR', max: 50 }),
      figure('delegation:j1:USD', { unit: 'USD', max: 60 }),
      figure('delegation:j2:EUR', { unit: 'EUR', max: 70 }),
      figure('money', { unit: 'EUR' }),
      figure('standing:s:EUR', { unit: 'EUR' }),
    ];
    const above = [{ ...factsOf().agent, id: 'root' }];
    const record = recordOf({ facts: { ...factsOf(), limits: limits as never, above } }) as DecidedRecord;
    expect(authorityOf(record)).toEqual({
      credentials: [],
      caps: [
        { jti: 'j1', actions: 3, amounts: { EUR: 50, USD: 60 } },
        { jti: 'j2', amounts: { EUR: 70 } },
      ],
      above,
    });
    expect(authorityOf(recordOf() as DecidedRecord)).toEqual({ credentials: [], caps: [], above: [] });
    expect(limits.map(isOfPolicy)).toEqual([true, true, true, true, true, false]);
  });

  test('is under the same text of a file, or under none in both', () => {
    const files = (text?: string) => ({ files: text === undefined ? {} : { f: text } });
    expect([
      sameFile(files('a'), files('a'), 'f'),
      sameFile(files(), files(), 'f'),
      sameFile(files('a'), files(), 'f'),
      sameFile(files('a'), files('b'), 'f'),
    ]).toEqual([true, true, false, false]);
  });
});

describe('a report', () => {
  const change = (id: string, more: Partial<DecisionChange> = {}): DecisionChange => ({
    kind: 'newly-denied',
    tenant: 'acme',
    actionId: id,
    decidedAt: '2025-01-02T00:00:00.000Z',
    agent: 'bot',
    tool: 'db',
    operation: 'update',
    targets: [],
    before: { effect: 'allow', standing: 'allowed', reason: 'r' },
    after: { effect: 'deny', standing: 'denied', reason: 'r' },
    rules: ['a'],
    amounts: {},
    ...more,
  });

  test('of nothing says nothing, and is the same for the same candidate alone', () => {
    const { summary, ...rest } = new Tally().report(DIGEST);
    expect(summary).toMatchObject({
      v: 1,
      candidate: DIGEST,
      recordedUnder: [],
      decisions: 0,
      beforePolicy: 0,
      redecided: 0,
      same: 0,
      toTheLetter: 0,
      undecided: 0,
      exhausted: 0,
    });
    expect(summary).not.toHaveProperty('from');
    expect(summary).not.toHaveProperty('to');
    expect(summary.changes).toMatchObject({ 'newly-allowed': 0, 'other-terms': 0 });
    expect(rest).toMatchObject({ groups: [], exhausted: [], undecided: [], days: [], changes: [] });
    expect(new Tally().report(DIGEST).summary.report).toBe(summary.report);
    expect(new Tally().report(digestText('y')).summary.report).not.toBe(summary.report);
  });

  test('counts decisions, by day and as a whole', () => {
    const tally = new Tally();
    for (const day of ['02', '01', '03']) tally.record(recordOf({ decidedAt: `2025-01-${day}T00:00:00.000Z` }));
    tally.beforePolicy();
    tally.redecided('2025-01-02T00:00:00.000Z', 'allow', 'deny', false, change('x'));
    tally.redecided('2025-01-01T23:00:00.000Z', 'allow', 'allow', true);
    tally.redecided('2025-01-01T00:00:00.000Z', 'deny', 'require_approval', false);
    tally.redecided('2025-01-01T00:00:00.000Z', 'deny', 'deny', true, change('y'));
    const { summary, days, changes } = tally.report(DIGEST);
    expect(summary).toMatchObject({
      from: '2025-01-02T00:00:00.000Z',
      to: '2025-01-03T00:00:00.000Z',
      recordedUnder: [DIGEST],
      decisions: 3,
      beforePolicy: 1,
      redecided: 4,
      same: 2,
      toTheLetter: 1,
      changes: { 'newly-denied': 2 },
    });
    expect(days).toEqual([
      {
        day: '2025-01-01',
        before: { allow: 1, require_approval: 0, deny: 2 },
        after: { allow: 1, require_approval: 1, deny: 1 },
        changed: 1,
      },
      {
        day: '2025-01-02',
        before: { allow: 1, require_approval: 0, deny: 0 },
        after: { allow: 0, require_approval: 0, deny: 1 },
        changed: 1,
      },
    ]);
    expect(changes.map(({ actionId }) => actionId)).toEqual(['x', 'y']);
  });

  test('names what was undecided by its reasons, the most frequent first, with five examples of each', () => {
    const tally = new Tally();
    tally.undecided(recordOf({ actionId: 'one' }), 'z');
    tally.unread('acme/gone', 'y');
    for (let i = 0; i < 6; i++) tally.undecided(recordOf({ actionId: `m${i}` }), 'many');
    const { undecided, summary } = tally.report(DIGEST);
    expect(undecided).toEqual([
      { why: 'many', count: 6, examples: ['acme/m0', 'acme/m1', 'acme/m2', 'acme/m3', 'acme/m4'] },
      { why: 'y', count: 1, examples: ['acme/gone'] },
      { why: 'z', count: 1, examples: ['acme/one'] },
    ]);
    expect(summary).toMatchObject({ decisions: 1, undecided: 8 });
  });

  test('groups changes by rule, agent and tool, in the order of kinds, and adds up what budgets measured', () => {
    const tally = new Tally();
    const put = (one: DecisionChange) => tally.redecided(one.decidedAt, 'allow', 'deny', false, one);
    put(change('1', { rules: ['a', 'b'], amounts: { USD: 1, EUR: 0.1 } }));
    put(change('2', { rules: ['b'], agent: 'other', amounts: { EUR: 0.2 } }));
    put(change('3', { kind: 'newly-allowed', rules: ['z'] }));
    const { groups, summary } = tally.report(DIGEST);
    expect(groups.map(({ kind, by, name, count }) => `${kind} ${by} ${name} ${count}`)).toEqual([
      'newly-allowed rule z 1',
      'newly-allowed agent bot 1',
      'newly-allowed tool db 1',
      'newly-denied rule b 2',
      'newly-denied rule a 1',
      'newly-denied agent bot 1',
      'newly-denied agent other 1',
      'newly-denied tool db 2',
    ]);
    expect(groups[3]).toMatchObject({ amounts: { EUR: 0.3, USD: 1 }, examples: ['acme/1', 'acme/2'] });
    expect(Object.keys(groups[3]?.amounts ?? {})).toEqual(['EUR', 'USD']);
    expect(summary.amounts).toMatchObject({ 'newly-denied': { EUR: 0.3, USD: 1 }, 'newly-allowed': {} });
  });

  test('has a summary of bounded size: ten units, twenty policies, five examples', () => {
    const tally = new Tally();
    for (let i = 0; i < 25; i++)
      tally.record(recordOf({ decision: { ...DECISION, policyDigest: digestText(`${i}`) } }));
    for (let i = 0; i < 12; i++)
      tally.redecided(
        '2025-01-01',
        'allow',
        'deny',
        false,
        change(`${i}`, { amounts: { [`U${String(i).padStart(2, '0')}`]: 1 } }),
      );
    const { summary, groups } = tally.report(DIGEST);
    expect(summary.recordedUnder).toHaveLength(20);
    expect(summary.recordedUnder).toEqual([...summary.recordedUnder].sort());
    expect(Object.keys(summary.amounts['newly-denied'])).toHaveLength(10);
    expect(groups[0]?.examples).toHaveLength(5);
  });

  test('counts kinds apart, and what is the same to the letter only where nothing changes', () => {
    const tally = new Tally();
    const { decision: _decision, ...undecided } = recordOf();
    tally.record(undecided);
    const put = (one: DecisionChange, letter: boolean) => tally.redecided(one.decidedAt, 'allow', 'deny', letter, one);
    put(change('1', { amounts: { EUR: 1 } }), true);
    put(change('2', { kind: 'newly-asked', amounts: { EUR: 2 } }), false);
    put(change('3', { kind: 'newly-asked', amounts: { EUR: 4 } }), false);
    tally.redecided('2025-01-01', 'allow', 'allow', false);
    tally.redecided('2025-01-01', 'allow', 'allow', true);
    const { summary } = tally.report(DIGEST);
    expect(summary).toMatchObject({
      recordedUnder: [],
      toTheLetter: 1,
      changes: { 'newly-denied': 1, 'newly-asked': 2, 'newly-allowed': 0 },
      amounts: { 'newly-denied': { EUR: 1 }, 'newly-asked': { EUR: 6 } },
    });
  });

  test('counts as the same to the letter what does not change, and nothing else', () => {
    const tally = new Tally();
    for (const letter of [true, true, true, false]) tally.redecided('2025-01-01', 'allow', 'allow', letter);
    tally.redecided('2025-01-01', 'allow', 'deny', true, change('1'));
    expect(tally.report(DIGEST).summary.toTheLetter).toBe(3);
  });

  test('has counters without room in the order of their first time, then of limits, then of keys', () => {
    const tally = new Tally();
    const put = (limit: string, key: string, at: string) => tally.exhausted({ limit, key, tenant: 'acme' }, at);
    put('b', 'a', '2025-01-03');
    put('a', 'c', '2025-01-02');
    put('b', 'b', '2025-01-02');
    put('b', 'a', '2025-01-03');
    put('a', 'z', '2025-01-02');
    put('c', 'y', '2025-01-01');
    expect(tally.report(DIGEST).exhausted.map(({ limit, key }) => `${limit} ${key}`)).toEqual([
      'c y',
      'a c',
      'a z',
      'b b',
      'b a',
    ]);
  });

  test('tells which counters would have had no room, from when to when, for how many and how much', () => {
    const tally = new Tally();
    const counter = (limit: string, key = '') => ({ limit, key, tenant: 'acme' });
    tally.exhausted(counter('z'), '2025-01-01', { amount: 0.1, unit: 'EUR' });
    tally.exhausted(counter('b', 'k'), '2025-01-02');
    tally.exhausted(counter('b', 'j'), '2025-01-02');
    tally.exhausted(counter('a'), '2025-01-02');
    tally.exhausted(counter('z'), '2025-01-03', { amount: 0.2, unit: 'EUR' });
    const { exhausted, summary } = tally.report(DIGEST);
    expect(exhausted).toEqual([
      { ...counter('z'), firstAt: '2025-01-01', lastAt: '2025-01-03', actions: 2, asked: { amount: 0.3, unit: 'EUR' } },
      { ...counter('a'), firstAt: '2025-01-02', lastAt: '2025-01-02', actions: 1 },
      { ...counter('b', 'j'), firstAt: '2025-01-02', lastAt: '2025-01-02', actions: 1 },
      { ...counter('b', 'k'), firstAt: '2025-01-02', lastAt: '2025-01-02', actions: 1 },
    ]);
    expect(summary.exhausted).toBe(4);
  });
});
