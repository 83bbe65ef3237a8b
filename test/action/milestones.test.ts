/** When people are reminded, and when others may decide. */
import { describe, expect, test } from 'vitest';
import type { Requirement } from '../../src/action/decision.js';
import { escalatedTo, milestonesOf } from '../../src/action/milestones.js';

const NOW = Date.UTC(2025, 0, 1);
const MINUTE = 60_000;

function needs(more: Partial<Requirement>): Requirement {
  return { policy: 'p', reason: 'because', roles: ['dba'], quorum: 1, ttlSeconds: 3600, ...more };
}

/** Minutes from NOW, kind and roles. */
function plan(requirements: readonly Requirement[], { since = 0, shownAt = 0, until = 60 } = {}): unknown[] {
  const at = (minutes: number): number => NOW + minutes * MINUTE;
  return milestonesOf(requirements, { since: at(since), shownAt: at(shownAt), until: at(until) }).map(
    ({ kind, at: when, roles }) => [(when - NOW) / MINUTE, kind, ...roles],
  );
}

describe('milestones', () => {
  test('there are none where policy names none', () => {
    expect(plan([needs({})])).toEqual([]);
  });

  test('reminders come ever more rarely, and none when time is over', () => {
    expect(plan([needs({ remindSeconds: 300 })])).toEqual([
      [5, 'reminded'],
      [15, 'reminded'],
      [35, 'reminded'],
    ]);
  });

  test('the longest wait with the shortest pause has few enough reminders for a history', () => {
    const month = 30 * 24 * 60;
    expect(plan([needs({ remindSeconds: 1 })], { until: month }).length).toBeLessThan(25);
  });

  test('the most impatient requirement sets the pace', () => {
    expect(plan([needs({ remindSeconds: 1800 }), needs({ remindSeconds: 2400 })])).toEqual([[30, 'reminded']]);
  });

  test('escalations of all requirements, those of one time together', () => {
    const first = needs({
      escalations: [
        { afterSeconds: 600, roles: ['lead'] },
        { afterSeconds: 1200, roles: ['cto'] },
      ],
    });
    const second = needs({ escalations: [{ afterSeconds: 600, roles: ['ciso', 'lead'] }] });
    expect(plan([first, second])).toEqual([
      [10, 'escalated', 'lead', 'ciso'],
      [20, 'escalated', 'cto'],
    ]);
  });

  test('shown anew, escalations are not put off, those that were are not repeated, and reminders begin again', () => {
    const wanted = needs({
      remindSeconds: 600,
      escalations: [
        { afterSeconds: 300, roles: ['lead'] },
        { afterSeconds: 1200, roles: ['cto'] },
      ],
    });
    expect(plan([wanted], { shownAt: 10, until: 40 })).toEqual([
      [20, 'escalated', 'cto'],
      [20, 'reminded'],
    ]);
  });

  test('an escalation after another requirement’s time is over never comes', () => {
    expect(plan([needs({ escalations: [{ afterSeconds: 1800, roles: ['cto'] }] })], { until: 30 })).toEqual([]);
  });

  test('a reminder and an escalation at the very end, or at the moment something is shown, never come', () => {
    expect(plan([needs({ remindSeconds: 1800 })], { until: 30 })).toEqual([]);
    expect(plan([needs({ remindSeconds: 1800 })], { until: 31 })).toEqual([[30, 'reminded']]);
    const at = needs({ escalations: [{ afterSeconds: 600, roles: ['cto'] }] });
    expect(plan([at], { shownAt: 10 })).toEqual([]);
    expect(plan([at], { shownAt: 9 })).toEqual([[10, 'escalated', 'cto']]);
  });

  test('a reminder of no pause at all comes after a second: a history would be full of it', () => {
    const [first, second] = plan([needs({ remindSeconds: 0 })]);
    expect([first, second]).toEqual([
      [1 / 60, 'reminded'],
      [3 / 60, 'reminded'],
    ]);
  });

  test('the most impatient requirement sets the pace, whichever comes first, beside those that remind nobody', () => {
    const [slow, quick, none] = [needs({ remindSeconds: 2400 }), needs({ remindSeconds: 600 }), needs({})];
    for (const requirements of [
      [slow, quick, none],
      [none, quick, slow],
      [quick, slow],
    ])
      expect(plan(requirements, { until: 31 })[0]).toEqual([10, 'reminded']);
  });

  test('come earliest first, whatever kind they are', () => {
    const late = needs({
      remindSeconds: 600,
      escalations: [
        { afterSeconds: 2400, roles: ['ceo'] },
        { afterSeconds: 300, roles: ['cto'] },
      ],
    });
    expect(plan([late])).toEqual([
      [5, 'escalated', 'cto'],
      [10, 'reminded'],
      [30, 'reminded'],
      [40, 'escalated', 'ceo'],
    ]);
  });

  test('who may decide by now, besides those named first', () => {
    const wanted = needs({
      escalations: [
        { afterSeconds: 60, roles: ['lead', 'dba'] },
        { afterSeconds: 120, roles: ['cto'] },
      ],
    });
    expect(escalatedTo([wanted], 59)).toEqual([]);
    expect(escalatedTo([wanted], 60)).toEqual(['lead']);
    expect(escalatedTo([wanted], 120)).toEqual(['cto', 'lead']);
  });
});
