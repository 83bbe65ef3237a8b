import { describe, expect, test } from 'vitest';
import { ENOUGH_DECISIONS, oversightOf, type OverseenDecision } from '../../src/action/oversight.js';

const FROM = new Date('2026-03-01T00:00:00Z');
const NOW = '2026-03-10T00:00:00Z';
const EARLIER = '2026-02-10T00:00:00Z';

function decided(count: number, more: Partial<OverseenDecision> = {}): OverseenDecision[] {
  const one: OverseenDecision = {
    person: 'ann',
    verdict: 'approve',
    roles: ['finance'],
    rules: ['large-refunds'],
    waitedSeconds: 60,
    overRateLimit: false,
    refused: false,
    at: NOW,
    ...more,
  };
  return Array.from({ length: count }, () => one);
}

/** So many that say yes, and so many that say no. */
const yes = (approved: number, denied: number, more: Partial<OverseenDecision> = {}): OverseenDecision[] => [
  ...decided(approved, more),
  ...decided(denied, { ...more, verdict: 'deny' }),
];

/** Decisions on what nobody had been asked about. */
const untimed = (count: number, more: Partial<OverseenDecision> = {}): OverseenDecision[] =>
  decided(count, more).map(({ waitedSeconds: _waited, ...one }) => one);

describe('the figures of oversight', () => {
  test('count verdicts, and how long they took, for each approver, role and rule', () => {
    const seen = oversightOf(
      [
        ...decided(3),
        ...decided(1, { verdict: 'deny', waitedSeconds: 120 }),
        ...decided(1, {
          person: 'bob',
          roles: ['dba', 'finance'],
          rules: ['large-refunds', 'schema'],
          waitedSeconds: 10,
        }),
        ...decided(1, { person: 'bob', verdict: 'request_changes', roles: [], rules: [], overRateLimit: true }),
      ],
      FROM,
    );
    expect(seen.total).toMatchObject({
      name: 'all',
      decisions: 6,
      approved: 4,
      denied: 1,
      changesRequested: 1,
      tooFast: 1,
    });
    expect(seen.approvers.map(({ name, decisions, yesRate }) => [name, decisions, yesRate])).toEqual([
      ['ann', 4, 0.75],
      ['bob', 2, 0.5],
    ]);
    expect(seen.roles.map(({ name, decisions }) => [name, decisions])).toEqual([
      ['finance', 5],
      ['dba', 1],
    ]);
    expect(seen.rules.map(({ name, decisions }) => [name, decisions])).toEqual([
      ['large-refunds', 5],
      ['schema', 1],
    ]);
    // Of 60, 60, 60 and 120 seconds.
    expect(seen.approvers[0]).toMatchObject({ medianSeconds: 60, p10Seconds: 60 });
  });

  test('are those of the period; what was before is the baseline', () => {
    const seen = oversightOf([...decided(2, { verdict: 'deny' }), ...decided(4, { at: EARLIER })], FROM);
    expect(seen.total).toMatchObject({ decisions: 2, yesRate: 0, before: { decisions: 4, yesRate: 1 } });
    expect(seen.approvers[0]).toMatchObject({ name: 'ann', decisions: 2, before: { decisions: 4, approved: 4 } });
  });

  test('lie between the two nearest where none is in the middle, whatever order they come in', () => {
    const waits = (...seconds: number[]) =>
      oversightOf(
        seconds.flatMap((waitedSeconds) => decided(1, { waitedSeconds })),
        FROM,
      ).total;
    expect(waits(100, 10, 60, 20)).toMatchObject({ medianSeconds: 40, p10Seconds: 13 });
    expect(waits(9, 100, 30)).toMatchObject({ medianSeconds: 30, p10Seconds: 13.2 });
    expect(waits(7)).toMatchObject({ medianSeconds: 7, p10Seconds: 7 });
    const unknown = decided(2).map(({ waitedSeconds: _waited, ...one }) => one);
    expect(oversightOf([...unknown, ...decided(1, { waitedSeconds: 5 })], FROM).total.medianSeconds).toBe(5);
    expect(oversightOf(unknown, FROM).total).not.toHaveProperty('p10Seconds');
  });

  test('begin with the moment the period begins, and count a decision that is too fast in two ways once', () => {
    const at = (time: string) => oversightOf(decided(1, { at: time, overRateLimit: true, refused: true }), FROM).total;
    expect(at(FROM.toISOString())).toMatchObject({ decisions: 1, tooFast: 1, before: { decisions: 0, tooFast: 0 } });
    expect(at('2026-02-28T23:59:59.999Z')).toMatchObject({ decisions: 0, before: { decisions: 1, tooFast: 1 } });
  });

  test('come most decisions first, then by name; a role that a request names twice counts once', () => {
    const names = ['carl', 'ann', 'bob'].flatMap((person) => decided(person === 'bob' ? 2 : 1, { person }));
    expect(oversightOf(names, FROM).approvers.map(({ name }) => name)).toEqual(['bob', 'ann', 'carl']);
    expect(oversightOf(names.toReversed(), FROM).approvers.map(({ name }) => name)).toEqual(['bob', 'ann', 'carl']);
    expect(oversightOf(decided(1, { roles: ['dba', 'dba'] }), FROM).roles).toMatchObject([
      { name: 'dba', decisions: 1, before: { decisions: 0 } },
    ]);
    expect(oversightOf(decided(1), FROM).roles[0]?.before).not.toHaveProperty('yesRate');
  });

  test('of nothing are nothing', () => {
    const seen = oversightOf([], FROM);
    expect(seen.total).toMatchObject({ decisions: 0, findings: [] });
    expect(seen.total).not.toHaveProperty('yesRate');
    expect(seen.total).not.toHaveProperty('medianSeconds');
    expect([seen.approvers, seen.roles, seen.rules]).toEqual([[], [], []]);
  });
});

describe('a finding', () => {
  const findings = (decisions: readonly OverseenDecision[]) =>
    oversightOf(decisions, FROM).approvers.find(({ name }) => name === 'ann')?.findings;

  test.each([
    ['always_yes', decided(ENOUGH_DECISIONS), decided(ENOUGH_DECISIONS - 1)],
    [
      'fast',
      [...decided(ENOUGH_DECISIONS, { waitedSeconds: 4 })],
      [...decided(ENOUGH_DECISIONS, { waitedSeconds: 6 })],
    ],
    [
      'fast',
      [...decided(ENOUGH_DECISIONS, { waitedSeconds: 20 }), ...decided(40, { person: 'bob', waitedSeconds: 90 })],
      [...decided(ENOUGH_DECISIONS, { waitedSeconds: 30 }), ...decided(40, { person: 'bob', waitedSeconds: 90 })],
    ],
    [
      'more_yes_than_before',
      [...decided(20), ...decided(10, { at: EARLIER }), ...decided(10, { at: EARLIER, verdict: 'deny' })],
      [...decided(20), ...decided(18, { at: EARLIER }), ...decided(2, { at: EARLIER, verdict: 'deny' })],
    ],
    [
      'faster_than_before',
      [...decided(20, { waitedSeconds: 29 }), ...decided(20, { at: EARLIER })],
      [...decided(20, { waitedSeconds: 31 }), ...decided(20, { at: EARLIER })],
    ],
    ['too_fast', decided(1, { refused: true }), decided(1)],
    ['too_fast', decided(1, { overRateLimit: true }), decided(1)],
    ['always_yes', decided(ENOUGH_DECISIONS), [...decided(ENOUGH_DECISIONS), ...decided(1, { verdict: 'deny' })]],
    ['fast', decided(ENOUGH_DECISIONS, { waitedSeconds: 4 }), decided(ENOUGH_DECISIONS - 1, { waitedSeconds: 4 })],
    [
      'fast',
      [...decided(20, { waitedSeconds: 19 }), ...decided(60, { person: 'bob', waitedSeconds: 80 })],
      [...decided(20, { waitedSeconds: 20 }), ...decided(60, { person: 'bob', waitedSeconds: 80 })],
    ],
    ['fast', decided(ENOUGH_DECISIONS, { waitedSeconds: 4.9 }), decided(ENOUGH_DECISIONS, { waitedSeconds: 5 })],
    [
      'more_yes_than_before',
      [...yes(5, 15), ...yes(1, 19, { at: EARLIER })],
      [...yes(5, 15), ...yes(2, 18, { at: EARLIER })],
    ],
    [
      'more_yes_than_before',
      [...yes(20, 0), ...yes(0, 20, { at: EARLIER })],
      [...yes(19, 0), ...yes(0, 20, { at: EARLIER })],
    ],
    [
      'more_yes_than_before',
      [...yes(20, 0), ...yes(0, 20, { at: EARLIER })],
      [...yes(20, 0), ...yes(0, 19, { at: EARLIER })],
    ],
    [
      'faster_than_before',
      [...decided(20, { waitedSeconds: 29 }), ...decided(20, { at: EARLIER })],
      [...decided(20, { waitedSeconds: 30 }), ...decided(20, { at: EARLIER })],
    ],
    [
      'faster_than_before',
      [...decided(20, { waitedSeconds: 29 }), ...decided(20, { at: EARLIER })],
      [...decided(19, { waitedSeconds: 29 }), ...decided(20, { at: EARLIER })],
    ],
    [
      'faster_than_before',
      [...decided(20, { waitedSeconds: 29 }), ...decided(20, { at: EARLIER })],
      [...decided(20, { waitedSeconds: 29 }), ...decided(19, { at: EARLIER })],
    ],
    [
      'faster_than_before',
      [...decided(20, { waitedSeconds: 1 }), ...decided(20, { at: EARLIER })],
      [...decided(20, { waitedSeconds: 1 }), ...untimed(20, { at: EARLIER })],
    ],
    [
      'faster_than_before',
      [...decided(20, { waitedSeconds: 1 }), ...decided(20, { at: EARLIER })],
      [...untimed(20), ...decided(20, { at: EARLIER })],
    ],
    ['fast', decided(ENOUGH_DECISIONS, { waitedSeconds: 1 }), untimed(ENOUGH_DECISIONS)],
  ] as const)('%s is said where it holds, and not just below', (finding, holds, justNot) => {
    expect(findings(holds)).toContain(finding);
    expect(findings(justNot)).not.toContain(finding);
  });

  test('about everybody together is never made from their own figures', () => {
    expect(oversightOf(decided(ENOUGH_DECISIONS, { waitedSeconds: 20 }), FROM).total.findings).toEqual(['always_yes']);
  });
});
