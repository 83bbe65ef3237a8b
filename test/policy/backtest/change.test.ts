/** Which kind of change two decisions of one action make, and by which rules. */
import { describe, expect, test } from 'vitest';
import type { Decision } from '../../../src/action/decision.js';
import { digestText } from '../../../src/action/json.js';
import { changeKind, rulesOf, standingOf, toTheLetter, type Standing } from '../../../src/policy/backtest/change.js';
import { approval } from './recording.js';
import { DECISION, REQUIREMENT } from './records.js';

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
