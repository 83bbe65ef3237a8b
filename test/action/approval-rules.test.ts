/** What counts, beyond one person, one role, one yes: noes, changes, passkeys, escalations, role delegations, haste, and the agent's owner. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Requirement } from '../../src/action/decision.js';
import type { ApprovalRecord, Verdict } from '../../src/action/outcome.js';
import { progress, rolesOf, repeatsEarlier } from '../../src/action/quorum.js';

function needs(roles: string[], more: Partial<Requirement> = {}): Requirement {
  return { policy: `needs-${roles.join('-')}`, reason: 'because', roles, quorum: 1, ttlSeconds: 3600, ...more };
}

let serial = 0;
function says(
  verdict: Verdict,
  approver: string,
  roles: readonly string[],
  more: Partial<ApprovalRecord> = {},
): ApprovalRecord {
  const n = ++serial;
  const digest = `sha256:${String(n).padStart(64, '0')}` as const;
  return { approver, roles, verdict, at: new Date(n * 1000).toISOString(), digest, ...more };
}
const yes = (approver: string, roles: readonly string[], more: Partial<ApprovalRecord> = {}): ApprovalRecord =>
  says('approve', approver, roles, more);
const no = (approver: string, roles: readonly string[], more: Partial<ApprovalRecord> = {}): ApprovalRecord =>
  says('deny', approver, roles, more);

describe('a quorum of noes', () => {
  const wanted = [needs(['dba'], { denials: 2 })];

  test('one no of two does not deny', () => {
    expect(progress(wanted, [no('ann', ['dba'])])).toMatchObject({ state: 'waiting', missing: [{ have: 0, need: 1 }] });
  });

  test('two people deny, whatever others say; the first of them is named', () => {
    const said = [no('ann', ['dba']), yes('cat', ['dba']), no('bob', ['dba'])];
    expect(progress(wanted, said)).toEqual({ state: 'denied', missing: [], by: 'ann' });
  });

  test('one person who says no twice, or under two spellings, is one', () => {
    expect(progress(wanted, [no('ann', ['dba']), no('Ann', ['dba']), no('ann', ['dba'])]).state).toBe('waiting');
  });

  test('noes are counted for each requirement: one for each is none too many for either', () => {
    const both = [needs(['dba'], { denials: 2 }), needs(['security'], { denials: 2 })];
    expect(progress(both, [no('ann', ['dba']), no('sam', ['security'])]).state).toBe('waiting');
  });

  test('a requirement that says nothing of noes is denied by one', () => {
    const both = [...wanted, needs(['security'])];
    expect(progress(both, [no('sam', ['security'])]).state).toBe('denied');
    expect(progress(both, [no('ann', ['dba'])]).state).toBe('waiting');
  });

  test('who said no and yes has said no: the yes does not count', () => {
    const two = [needs(['dba'], { denials: 2, quorum: 2 })];
    const said = [yes('ann', ['dba']), yes('bob', ['dba']), no('ann', ['dba'])];
    expect(progress(two, said)).toMatchObject({ state: 'waiting', missing: [{ have: 1, need: 2 }] });
    expect(progress(two, [...said, yes('cat', ['dba'])]).state).toBe('approved');
  });

  test('a no about this action outweighs the same person’s standing yes', () => {
    const said = [yes('ann', ['dba'], { standingApproval: 's1' }), no('ann', ['dba'])];
    expect(progress(wanted, said)).toMatchObject({ state: 'waiting', missing: [{ have: 0 }] });
  });

  test.each([0, -3, Number.NaN])('%s noes never mean that nobody is needed to deny, nor that nobody can', (denials) => {
    const odd = [needs(['dba'], { denials })];
    expect(progress(odd, []).state).toBe('waiting');
    expect(progress(odd, [no('ann', ['dba'])]).state).toBe('denied');
  });
});

describe('a request for changes', () => {
  test('of one person ends it, though others said yes', () => {
    const said = [yes('ann', ['dba']), says('request_changes', 'bob', ['dba'])];
    expect(progress([needs(['dba'])], said)).toEqual({ state: 'changes_requested', missing: [], by: 'bob' });
  });

  test('of somebody without any of the roles says nothing', () => {
    const said = [yes('ann', ['dba']), says('request_changes', 'eve', ['intern'])];
    expect(progress([needs(['dba'])], said).state).toBe('approved');
  });

  test('does not outweigh a no', () => {
    const said = [says('request_changes', 'ann', ['dba']), no('bob', ['dba'])];
    expect(progress([needs(['dba'])], said)).toMatchObject({ state: 'denied', by: 'bob' });
  });

  test('is one where two noes would be needed', () => {
    const said = [no('bob', ['dba']), says('request_changes', 'ann', ['dba'])];
    expect(progress([needs(['dba'], { denials: 2 })], said)).toMatchObject({ state: 'changes_requested', by: 'ann' });
  });
});

describe('an escalation', () => {
  const wanted = [
    needs(['dba'], {
      escalations: [
        { afterSeconds: 60, roles: ['lead'] },
        { afterSeconds: 120, roles: ['cto'] },
      ],
    }),
  ];

  test.each<[string, ApprovalRecord, string]>([
    ['before it was escalated to them', yes('leo', ['lead'], { waitedSeconds: 59.999 }), 'waiting'],
    ['at that instant', yes('leo', ['lead'], { waitedSeconds: 60 }), 'approved'],
    ['later', yes('leo', ['lead'], { waitedSeconds: 6000 }), 'approved'],
    ['of the step after', yes('tom', ['cto'], { waitedSeconds: 60 }), 'waiting'],
    ['without a word on how long it had waited', yes('leo', ['lead']), 'waiting'],
    ['given before anybody asked', yes('leo', ['lead'], { standingApproval: 's1' }), 'waiting'],
    ['not a number', yes('leo', ['lead'], { waitedSeconds: Number.NaN }), 'waiting'],
  ])('a yes %s', (_, given, state) => {
    expect(progress(wanted, [given]).state).toBe(state);
  });

  test('lets others deny and ask for changes too, and no sooner', () => {
    expect(progress(wanted, [no('leo', ['lead'], { waitedSeconds: 59 })]).state).toBe('waiting');
    expect(progress(wanted, [no('leo', ['lead'], { waitedSeconds: 61 })]).state).toBe('denied');
    expect(progress(wanted, [says('request_changes', 'leo', ['lead'], { waitedSeconds: 61 })]).state).toBe(
      'changes_requested',
    );
  });

  test('of one requirement lets nobody decide on another', () => {
    const both = [...wanted, needs(['security'])];
    expect(progress(both, [yes('leo', ['lead'], { waitedSeconds: 90 })])).toMatchObject({
      state: 'waiting',
      missing: [{ policy: 'needs-security' }],
    });
  });

  test('who is missing depends on how long it has waited; what counts does not', () => {
    expect(progress(wanted, []).missing).toMatchObject([{ roles: ['dba'] }]);
    expect(progress(wanted, [], 60).missing).toMatchObject([{ roles: ['dba', 'lead'] }]);
    expect(progress(wanted, [yes('leo', ['lead'], { waitedSeconds: 0 })], 9999).state).toBe('waiting');
    expect(rolesOf(wanted[0] as Requirement, 500)).toEqual(['dba', 'lead', 'cto']);
  });
});

describe('a passkey', () => {
  const wanted = [needs(['dba'], { passkey: true })];

  test('a yes without one does not count, and what is missing says so', () => {
    expect(progress(wanted, [yes('ann', ['dba'])])).toMatchObject({
      state: 'waiting',
      missing: [{ have: 0, need: 1, passkey: true }],
    });
    expect(progress(wanted, [yes('ann', ['dba'], { passkey: 'k1' })]).state).toBe('approved');
  });

  test('no standing approval is one', () => {
    expect(progress(wanted, [yes('ann', ['dba'], { standingApproval: 's1', passkey: 'k1' })]).state).toBe('waiting');
  });

  test('a no needs none', () => {
    expect(progress(wanted, [no('ann', ['dba'])]).state).toBe('denied');
  });
});

describe('a role delegation', () => {
  const two = [needs(['dba'], { quorum: 2 })];
  const onDuty = (who: string, ...from: string[]): ApprovalRecord =>
    yes(who, ['dba'], { delegatedRoles: from.map((giver) => ({ role: 'dba', from: giver })) });

  test('who has the role for somebody may say yes', () => {
    expect(progress([needs(['dba'])], [onDuty('dirk', 'ann')]).state).toBe('approved');
  });

  test('the giver and the holder are one seat: one person’s authority is not two people’s', () => {
    expect(progress(two, [yes('ann', ['dba']), onDuty('dirk', 'ann')])).toMatchObject({
      state: 'waiting',
      missing: [{ have: 1, need: 2 }],
    });
  });

  test('two holders of one giver’s role are one seat, also with another spelling of the giver', () => {
    expect(progress(two, [onDuty('dirk', 'ann'), onDuty('emil', 'Ann')]).missing).toMatchObject([{ have: 1 }]);
  });

  test('the holder beside somebody else than the giver makes two', () => {
    expect(progress(two, [yes('bob', ['dba']), onDuty('dirk', 'ann')]).state).toBe('approved');
  });

  test('who has the role themselves too has a seat of their own', () => {
    const own = yes('dirk', ['dba', 'lead'], { delegatedRoles: [{ role: 'lead', from: 'ann' }] });
    expect(progress(two, [yes('ann', ['dba']), own]).state).toBe('approved');
  });

  test('of two people’s roles one seat is taken, whichever is free', () => {
    expect(progress(two, [yes('ann', ['dba']), onDuty('dirk', 'ann', 'bob')]).state).toBe('approved');
    expect(progress(two, [onDuty('dirk', 'ann', 'bob')]).missing).toMatchObject([{ have: 1 }]);
    const three = [needs(['dba'], { quorum: 3 })];
    expect(
      progress(three, [yes('ann', ['dba']), yes('bob', ['dba']), onDuty('dirk', 'ann', 'bob')]).missing,
    ).toMatchObject([{ have: 2 }]);
  });

  test('for another role than the one that is asked for is none here', () => {
    const lead = yes('dirk', ['lead'], { delegatedRoles: [{ role: 'lead', from: 'ann' }] });
    expect(progress([needs(['dba'])], [lead]).state).toBe('waiting');
  });
});

describe('a yes over the approval rate limit', () => {
  const hasty = (who: string): ApprovalRecord => yes(who, ['dba'], { overRateLimit: true });

  test('needs one more person than the quorum, and what is missing says so', () => {
    expect(progress([needs(['dba'])], [hasty('ann')])).toMatchObject({
      state: 'waiting',
      missing: [{ have: 1, need: 2, overRateLimit: true }],
    });
    expect(progress([needs(['dba'])], [hasty('ann'), yes('bob', ['dba'])]).state).toBe('approved');
  });

  test('two people over the rate limit are two people', () => {
    expect(progress([needs(['dba'])], [hasty('ann'), hasty('bob')]).state).toBe('approved');
  });

  test('takes nothing from a quorum that calm people fill', () => {
    const two = [needs(['dba'], { quorum: 2 })];
    expect(progress(two, [yes('ann', ['dba']), yes('bob', ['dba']), hasty('cat')]).state).toBe('approved');
    expect(progress(two, [yes('ann', ['dba']), hasty('cat')])).toMatchObject({ missing: [{ have: 2, need: 3 }] });
  });

  test('is not made good by the same person, nor by whoever has their role', () => {
    expect(progress([needs(['dba'])], [hasty('ann'), hasty('Ann')]).state).toBe('waiting');
    const stand = yes('dirk', ['dba'], { delegatedRoles: [{ role: 'dba', from: 'ann' }], overRateLimit: true });
    expect(progress([needs(['dba'])], [hasty('ann'), stand]).state).toBe('waiting');
  });

  test('is not made good by a duty that has nothing to do with the requirement', () => {
    const stand = yes('bob', ['dba', 'lead'], {
      delegatedRoles: [
        { role: 'dba', from: 'ann' },
        { role: 'lead', from: 'zoe' },
      ],
    });
    const two = [needs(['dba'], { quorum: 2 })];
    expect(progress(two, [stand, yes('ann', ['dba'])])).toMatchObject({
      state: 'waiting',
      missing: [{ have: 1, need: 2 }],
    });
    expect(progress(two, [stand, yes('cat', ['dba'])]).state).toBe('approved');
  });

  test('that says again what the same person said calmly takes nothing from it', () => {
    expect(progress([needs(['dba'])], [yes('ann', ['dba']), hasty('ann')]).state).toBe('approved');
  });

  test('a no over the rate limit is a no', () => {
    expect(progress([needs(['dba'])], [no('ann', ['dba'], { overRateLimit: true })]).state).toBe('denied');
  });
});

describe('the person who answers for the agent', () => {
  const both = [needs(['dba'], { self: true }), needs(['security'])];

  test('counts where policy lets them decide, and nowhere else', () => {
    const owner = yes('owen', ['dba', 'security'], { self: true });
    expect(progress(both, [owner])).toMatchObject({ state: 'waiting', missing: [{ policy: 'needs-security' }] });
    expect(progress([needs(['security'])], [owner]).state).toBe('waiting');
  });

  test('denies only where they may decide', () => {
    expect(progress([needs(['security'])], [no('owen', ['security'], { self: true })]).state).toBe('waiting');
    expect(progress(both, [no('owen', ['dba'], { self: true })]).state).toBe('denied');
  });
});

describe('a decision says nothing new', () => {
  const wanted = [
    needs(['dba'], { escalations: [{ afterSeconds: 60, roles: ['lead'] }], passkey: true }),
    needs(['lead']),
  ];
  const first = yes('leo', ['lead'], { waitedSeconds: 1 });

  test.each<[string, ApprovalRecord, boolean]>([
    ['said again', yes('leo', ['lead'], { waitedSeconds: 59 }), true],
    ['under another spelling', yes('Leo', ['lead'], { waitedSeconds: 2 }), true],
    ['with a role that is not asked for', yes('leo', ['lead', 'intern']), true],
    ['but it was escalated to them since', yes('leo', ['lead'], { waitedSeconds: 61 }), false],
    ['but it comes with a passkey', yes('leo', ['lead'], { passkey: 'k1' }), false],
    ['but they have another role by now', yes('leo', ['lead', 'dba']), false],
    ['but it is another verdict', no('leo', ['lead']), false],
    ['but it is of somebody else', yes('lea', ['lead']), false],
  ])('%s', (_, given, nothing) => {
    expect(repeatsEarlier(wanted, [first], given)).toBe(nothing);
  });

  test('beside others that said something else, and with a passkey again', () => {
    expect(repeatsEarlier(wanted, [no('zoe', ['lead']), first, yes('ann', ['dba'])], yes('leo', ['lead']))).toBe(true);
    const assured = yes('leo', ['lead'], { passkey: 'k1' });
    expect(repeatsEarlier(wanted, [assured], yes('leo', ['lead'], { passkey: 'k2' }))).toBe(true);
    expect(repeatsEarlier(wanted, [assured], yes('leo', ['lead']))).toBe(true);
    expect(repeatsEarlier(wanted, [], yes('leo', ['lead']))).toBe(false);
  });

  test('two of one person are still one person', () => {
    const later = yes('leo', ['lead'], { waitedSeconds: 61, passkey: 'k1' });
    expect(progress(wanted, [first, later]).state).toBe('approved');
    expect(progress([needs(['lead'], { quorum: 2 })], [first, later]).missing).toMatchObject([{ have: 1, need: 2 }]);
  });
});

describe('whatever is demanded and whoever says what', () => {
  const role = fc.constantFrom('dba', 'lead', 'security');
  const person = fc.constantFrom('ann', 'Ann', 'bob', 'cat', 'dan');
  const requirement: fc.Arbitrary<Requirement> = fc.record(
    {
      policy: fc.constantFrom('a', 'b'),
      reason: fc.constant('because'),
      roles: fc.uniqueArray(role, { minLength: 1, maxLength: 2 }),
      quorum: fc.integer({ min: 1, max: 3 }),
      ttlSeconds: fc.constant(60),
      denials: fc.integer({ min: 1, max: 2 }),
      passkey: fc.boolean(),
      self: fc.boolean(),
      escalations: fc.array(
        fc.record({ afterSeconds: fc.integer({ min: 1, max: 3 }), roles: fc.uniqueArray(role, { minLength: 1 }) }),
        { maxLength: 2 },
      ),
    },
    { requiredKeys: ['policy', 'reason', 'roles', 'quorum', 'ttlSeconds'] },
  );
  const record: fc.Arbitrary<ApprovalRecord> = fc.record(
    {
      approver: person,
      roles: fc.uniqueArray(role, { maxLength: 3 }),
      verdict: fc.constantFrom<Verdict>('approve', 'approve', 'approve', 'approve', 'deny', 'request_changes'),
      at: fc.integer({ min: 0, max: 5 }).map((n) => new Date(n * 1000).toISOString()),
      digest: fc.constant('sha256:00' as const),
      passkey: fc.constant('k1'),
      self: fc.boolean(),
      overRateLimit: fc.boolean(),
      waitedSeconds: fc.integer({ min: 0, max: 4 }),
      delegatedRoles: fc.array(fc.record({ role, from: person }), { maxLength: 2 }),
    },
    { requiredKeys: ['approver', 'roles', 'verdict', 'at', 'digest'] },
  );
  const requirements = fc.array(requirement, { maxLength: 3 });
  const records = fc.array(record, { maxLength: 8 });

  test('the order of the decisions does not matter', () => {
    const shuffled = records.chain((given) =>
      fc.tuple(fc.constant(given), fc.shuffledSubarray(given, { minLength: given.length, maxLength: given.length })),
    );
    fc.assert(
      fc.property(requirements, shuffled, (wanted, [given, otherwise]) => {
        expect(progress(wanted, otherwise)).toEqual(progress(wanted, given));
      }),
      { numRuns: 1000 },
    );
  });

  test('one more yes never takes away from what is there', () => {
    fc.assert(
      fc.property(requirements, records, record, (wanted, given, extra) => {
        const was = progress(wanted, given).state;
        const is = progress(wanted, [...given, { ...extra, verdict: 'approve' }]).state;
        expect(was === 'waiting' ? was : is).toBe(was);
      }),
      { numRuns: 1000 },
    );
  });

  test('one more no never makes it approved', () => {
    fc.assert(
      fc.property(requirements, records, record, (wanted, given, extra) => {
        const was = progress(wanted, given).state;
        fc.pre(was !== 'approved');
        expect(progress(wanted, [...given, { ...extra, verdict: 'deny' }]).state).not.toBe('approved');
      }),
      { numRuns: 1000 },
    );
  });

  test('an approved requirement has at least its quorum of people, each with the role, the passkey and the right', () => {
    fc.assert(
      fc.property(requirements, records, (wanted, given) => {
        fc.pre(progress(wanted, given).state === 'approved');
        for (const one of wanted) {
          const people = given.filter(
            (yesOf) =>
              yesOf.verdict === 'approve' &&
              (yesOf.self !== true || one.self === true) &&
              (one.passkey !== true || yesOf.passkey !== undefined) &&
              yesOf.roles.some(
                (has) =>
                  one.roles.includes(has) ||
                  (one.escalations ?? []).some(
                    (step) => step.roles.includes(has) && (yesOf.waitedSeconds ?? 0) >= step.afterSeconds,
                  ),
              ),
          );
          expect(new Set(people.map(({ approver }) => approver.toLowerCase())).size).toBeGreaterThanOrEqual(one.quorum);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
