/** What a report of a backtest adds up. */
import { describe, expect, test } from 'vitest';
import { digestText } from '../../../src/action/json.js';
import type { DecisionChange } from '../../../src/policy/backtest/report.js';
import { Tally } from '../../../src/policy/backtest/tally.js';
import { DECISION, DIGEST, recordOf } from './records.js';

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
