/** The grammar of what people must do: `@approval("…")`, and `approve by …` of a limit. */
import { describe, expect, test } from 'vitest';
import { parseApprovals } from '../../src/policy/approval.js';
import { GrammarError } from '../../src/policy/grammar.js';
import { evaluate } from '../../src/policy/index.js';
import { policyFromText } from '../../src/testing/index.js';
import { factsOf, PERMIT_ALL } from './facts.js';

const DAY = 86_400;

describe('what people must do', () => {
  test('can have every option', () => {
    const text =
      'dba|lead, quorum=2, ttl=4h, denials=2, passkey, self, remind=30m, escalate=2h:ceo, escalate=1h:lead|cto; security, ttl=30m';
    expect(parseApprovals(text)).toEqual([
      {
        roles: ['dba', 'lead'],
        quorum: 2,
        ttlSeconds: 4 * 3600,
        denials: 2,
        passkey: true,
        self: true,
        remindSeconds: 1800,
        escalations: [
          { afterSeconds: 3600, roles: ['cto', 'lead'] },
          { afterSeconds: 7200, roles: ['ceo'] },
        ],
      },
      { roles: ['security'], quorum: 1, ttlSeconds: 1800 },
    ]);
  });

  test('has no option that the text does not give, so that older approval requests keep their digest', () => {
    expect(parseApprovals('dba')).toEqual([{ roles: ['dba'], quorum: 1, ttlSeconds: DAY }]);
    expect(Object.keys(parseApprovals('dba')[0] as object)).toEqual(['roles', 'quorum', 'ttlSeconds']);
  });

  test('ignores spaces', () => {
    expect(parseApprovals(' dba | lead ,denials = 2 , escalate = 1h : cto | cfo ;  security ')).toEqual(
      parseApprovals('dba|lead,denials=2,escalate=1h:cto|cfo;security'),
    );
  });

  test('can name a role with a colon, also in an escalation', () => {
    expect(parseApprovals('team:db, escalate=1h:team:lead|cto')).toMatchObject([
      { roles: ['team:db'], escalations: [{ afterSeconds: 3600, roles: ['cto', 'team:lead'] }] },
    ]);
  });

  test('is one requirement for each part of a policy, in order, with the same reason', () => {
    const policy = policyFromText({
      'permit.cedar': PERMIT_ALL,
      'soft.cedar':
        '@id("two") @reason("money leaves") @approval("finance, quorum=2; security, passkey") forbid (principal, action, resource);',
    });
    expect(evaluate(policy, factsOf()).requirements).toEqual([
      { policy: 'two', reason: 'money leaves', roles: ['finance'], quorum: 2, ttlSeconds: DAY },
      { policy: 'two', reason: 'money leaves', roles: ['security'], quorum: 1, ttlSeconds: DAY, passkey: true },
    ]);
  });
});

describe('it is refused', () => {
  test.each([
    ['a requirement that names nobody', 'dba;'],
    ['nothing between two requirements', 'dba;;lead'],
    ['an option where a role must be', 'dba; quorum=2'],
    ['six requirements', 'a;b;c;d;e;f'],
    ['nobody to deny', 'dba, denials=0'],
    ['more noes than there may be people', 'dba, denials=21'],
    ['noes counted twice', 'dba, denials=2, denials=3'],
    ['noes without a number', 'dba, denials'],
    ['a passkey with a value', 'dba, passkey=yes'],
    ['a passkey with an empty value', 'dba, passkey='],
    ['a passkey twice', 'dba, passkey, passkey'],
    ['self with a value', 'dba, self=no'],
    ['self twice', 'dba, self, self'],
    ['a reminder without a time', 'dba, remind'],
    ['a reminder at once', 'dba, remind=0s'],
    ['two reminders', 'dba, remind=1h, remind=2h'],
    ['a reminder when time is over', 'dba, ttl=1h, remind=1h'],
    ['a reminder after the day that is the default', 'dba, remind=2d'],
    ['an escalation when time is over', 'dba, ttl=1h, escalate=61m:cto'],
    ['an escalation to nobody', 'dba, escalate=1h'],
    ['an escalation to an empty name', 'dba, escalate=1h:'],
    ['an escalation to an unusable name', 'dba, escalate=1h:c t o'],
    ['an escalation without a time', 'dba, escalate=cto'],
    ['an escalation at once', 'dba, escalate=0s:cto'],
    ['an escalation that names a role twice', 'dba, escalate=1h:cto|cto'],
    ['two escalations at one time', 'dba, escalate=1h:cto, escalate=60m:cfo'],
    ['six escalations', `dba, ${[1, 2, 3, 4, 5, 6].map((n) => `escalate=${n}m:cto`).join(', ')}`],
    ['an option in capitals', 'dba, Passkey'],
    ['an option that is not known', 'dba, veto'],
    ['an inherited name', 'dba, constructor=1'],
  ])('%s', (_, text) => {
    expect(() => parseApprovals(text)).toThrow(GrammarError);
    expect(() =>
      policyFromText({ 'a.cedar': `@id("a") @reason("r") @approval("${text}") forbid (principal, action, resource);` }),
    ).toThrow(/@approval/);
  });
});
