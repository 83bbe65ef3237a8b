/** The moments of recorded actions, and their order. */
import { describe, expect, test } from 'vitest';
import type { DecisionRecord } from '../../../src/action/decision-record.js';
import { timeline } from '../../../src/policy/backtest/timeline.js';
import { microsecondsOf } from '../../../src/policy/backtest/windows.js';
import { recordOf, holdOf } from './records.js';

const SECOND = 1_000_000;
const at = (time: string) => microsecondsOf(time);

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
