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
    expect(seen.total).toMatchObject({ decisions: 6, approved: 4, denied: 1, changesRequested: 1, tooFast: 1 });
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
  ] as const)('%s is said where it holds, and not just below', (finding, holds, justNot) => {
    expect(findings(holds)).toContain(finding);
    expect(findings(justNot)).not.toContain(finding);
  });

  test('about everybody together is never made from their own figures', () => {
    expect(oversightOf(decided(ENOUGH_DECISIONS, { waitedSeconds: 20 }), FROM).total.findings).toEqual(['always_yes']);
  });
});
