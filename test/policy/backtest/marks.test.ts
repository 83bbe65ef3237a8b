/** Marks of history in a backtest: which count for certain, and which may. */
import { describe, expect, test } from 'vitest';
import type { HistoryQuery } from '../../../src/action/history.js';
import type { OutcomeStatus } from '../../../src/action/outcome.js';
import { HistoryMarks } from '../../../src/policy/backtest/histories.js';

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
