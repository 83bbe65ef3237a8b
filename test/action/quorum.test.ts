/** Decisions of people against the requirements of policy. */
import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Requirement } from '../../src/action/decision.js';
import type { ApprovalRecord } from '../../src/action/outcome.js';
import { progress, refusalBy, samePerson } from '../../src/action/quorum.js';

function needs(roles: string[], quorum = 1, policy = `needs-${roles.join('-')}`): Requirement {
  return { policy, reason: 'because', roles, quorum, ttlSeconds: 3600 };
}

let serial = 0;
function says(verdict: 'approve' | 'deny', approver: string, ...roles: string[]): ApprovalRecord {
  const n = ++serial;
  return {
    approver,
    roles,
    verdict,
    at: new Date(n * 1000).toISOString(),
    digest: `sha256:${String(n).padStart(64, '0')}`,
  };
}

describe('quorum', () => {
  test('nothing demanded is approved', () => {
    expect(progress([], [])).toEqual({ state: 'approved', missing: [] });
  });

  test('a requirement nobody answered is missing, with what it needs', () => {
    expect(progress([needs(['dba'], 2)], [])).toEqual({
      state: 'waiting',
      missing: [{ policy: 'needs-dba', roles: ['dba'], have: 0, need: 2 }],
    });
  });

  test('the same person approving twice counts once', () => {
    const twice = [says('approve', 'ann', 'dba'), says('approve', 'ann', 'dba')];
    expect(progress([needs(['dba'], 2)], twice)).toMatchObject({ state: 'waiting', missing: [{ have: 1, need: 2 }] });
  });

  test('one person under two spellings of an id counts once', () => {
    const twice = [says('approve', 'ann@example.com', 'dba'), says('approve', 'Ann@Example.com', 'dba')];
    expect(progress([needs(['dba'], 2)], twice).state).toBe('waiting');
    expect(samePerson('Ann@Example.com', 'ann@example.com')).toBe(true);
    expect(samePerson('ann', 'anna')).toBe(false);
  });

  test('two people satisfy a quorum of two', () => {
    const both = [says('approve', 'ann', 'dba'), says('approve', 'bob', 'dba')];
    expect(progress([needs(['dba'], 2)], both)).toEqual({ state: 'approved', missing: [] });
  });

  test('one person with two roles satisfies two requirements', () => {
    const wanted = [needs(['dba']), needs(['finance'])];
    expect(progress(wanted, [says('approve', 'ann', 'dba', 'finance')]).state).toBe('approved');
    expect(progress(wanted, [says('approve', 'ann', 'dba')])).toMatchObject({
      state: 'waiting',
      missing: [{ policy: 'needs-finance' }],
    });
  });

  test('a yes without a required role counts for nothing', () => {
    expect(progress([needs(['dba'])], [says('approve', 'eve', 'intern')]).state).toBe('waiting');
  });

  test('a denial after enough approvals still denies, and names the person', () => {
    const said = [says('approve', 'ann', 'dba'), says('approve', 'bob', 'dba'), says('deny', 'cat', 'dba')];
    expect(progress([needs(['dba'], 2)], said)).toEqual({ state: 'denied', missing: [], by: 'cat' });
  });

  test('a no by somebody with the role of one requirement denies them all', () => {
    const said = [says('approve', 'ann', 'dba'), says('deny', 'cat', 'finance')];
    expect(progress([needs(['dba']), needs(['finance'])], said).state).toBe('denied');
  });

  test('a no by somebody without any required role counts for nothing', () => {
    expect(progress([needs(['dba'])], [says('deny', 'eve', 'intern'), says('approve', 'ann', 'dba')]).state).toBe(
      'approved',
    );
  });

  test('the person who changes their mind has denied', () => {
    const said = [says('deny', 'ann', 'dba'), says('approve', 'ann', 'dba')];
    expect(progress([needs(['dba'])], said)).toMatchObject({ state: 'denied', by: 'ann' });
  });

  test.each([0, -1, Number.NaN])('a quorum of %s never means that nobody is needed', (quorum) => {
    expect(progress([needs(['dba'], quorum)], []).state).toBe('waiting');
  });

  test('a requirement without roles can never be satisfied', () => {
    expect(progress([needs([])], [says('approve', 'ann', 'dba')]).state).toBe('waiting');
  });

  test('the workflow sandbox can load it: it imports no value from anywhere', () => {
    const source = readFileSync(new URL('../../src/action/quorum.ts', import.meta.url), 'utf8');
    const imports = source.match(/^import .*$/gm) ?? [];
    expect(imports.length).toBeGreaterThan(0);
    for (const line of imports) expect(line).toMatch(/^import type /);
  });
});

describe('who decided against it', () => {
  const given = (
    verdict: ApprovalRecord['verdict'],
    approver: string,
    more: Partial<ApprovalRecord> = {},
  ): ApprovalRecord => ({
    ...says('deny', approver, 'dba'),
    verdict,
    ...more,
  });
  const against = (said: readonly ApprovalRecord[]) => {
    const found = progress([needs(['dba'])], said);
    return refusalBy(found, said);
  };

  test('is told with the code of the refusal, and the words where there are any', () => {
    expect(against([given('deny', 'ann')])).toEqual({ code: 'APPROVAL_DENIED', message: 'ann said no.' });
    expect(against([given('deny', 'ann', { reason: 'too much' })])).toEqual({
      code: 'APPROVAL_DENIED',
      message: 'ann said no: too much',
    });
    expect(against([given('request_changes', 'ann', { reason: 'only one' })])).toEqual({
      code: 'CHANGES_REQUESTED',
      message: 'ann asks for changes: only one',
    });
    const edited = { digest: `sha256:${'0'.repeat(64)}` } as unknown as NonNullable<ApprovalRecord['edited']>;
    expect(against([given('request_changes', 'ann', { edited })])).toEqual({
      code: 'CHANGES_REQUESTED',
      message: 'ann changed what is to be done.',
    });
  });

  test('is told in the words of the one who ended it, and of that decision', () => {
    expect(
      against([
        given('approve', 'ann', { reason: 'fine' }),
        given('deny', 'bob', { reason: 'never' }),
        given('deny', 'cat', { reason: 'neither' }),
        given('request_changes', 'bob', { reason: 'smaller' }),
      ]).message,
    ).toBe('bob said no: never');
    expect(
      against([
        given('approve', 'bob', { reason: 'fine' }),
        given('request_changes', 'bob', { reason: 'smaller' }),
        given('request_changes', 'ann', { reason: 'larger' }),
      ]).message,
    ).toBe('bob asks for changes: smaller');
  });

  test('is told in their words also where others, later, are read first', () => {
    const [bob, cat] = [given('deny', 'bob', { reason: 'never' }), given('deny', 'cat', { reason: 'neither' })];
    expect(against([cat, bob]).message).toBe('bob said no: never');
    const [ann, dan] = [
      given('request_changes', 'ann', { reason: 'less' }),
      given('request_changes', 'dan', { reason: 'more' }),
    ];
    const edited = { digest: `sha256:${'0'.repeat(64)}` } as unknown as NonNullable<ApprovalRecord['edited']>;
    expect(against([{ ...dan, edited }, ann]).message).toBe('ann asks for changes: less');
    expect(against([given('approve', 'ann', { edited, at: ann.at }), ann]).message).toBe('ann asks for changes: less');
  });

  test('is somebody, where it is not known who', () => {
    expect(refusalBy({ state: 'denied', missing: [] }, [])).toEqual({
      code: 'APPROVAL_DENIED',
      message: 'Somebody said no.',
    });
    expect(refusalBy({ state: 'changes_requested', missing: [] }, []).message).toBe('Somebody asks for changes.');
  });

  test('is the first by time; of two at one time, the first by name, whichever is read first', () => {
    const at = '2026-03-01T12:00:00.000Z';
    const [ann, bob] = [given('deny', 'ann', { at }), given('deny', 'bob', { at })];
    const [early, late] = [
      given('deny', 'zoe', { at: '2026-03-01T11:59:59.999Z' }),
      given('deny', 'abe', { at: '2026-03-01T12:00:00.001Z' }),
    ];
    for (const said of [
      [ann, bob],
      [bob, ann],
    ])
      expect(progress([needs(['dba'])], said).by).toBe('ann');
    for (const said of [
      [late, ann, early],
      [early, late, ann],
      [ann, early, late],
    ])
      expect(progress([needs(['dba'])], said).by).toBe('zoe');
  });
});

describe('quorum, whatever is demanded and whoever says what', () => {
  const role = fc.constantFrom('dba', 'finance', 'security', 'lead');
  const roles = fc.uniqueArray(role, { maxLength: 3 });
  const requirement = fc.record({
    policy: fc.string({ maxLength: 4 }),
    reason: fc.constant('because'),
    roles,
    quorum: fc.integer({ min: 1, max: 3 }),
    ttlSeconds: fc.constant(60),
  });
  const requirements = fc.array(requirement, { maxLength: 4 });
  const record = fc.record({
    approver: fc.constantFrom('ann', 'Ann', 'bob', 'cat', 'dan', 'eve'),
    roles,
    verdict: fc.constantFrom('approve' as const, 'approve' as const, 'approve' as const, 'deny' as const),
    at: fc.integer({ min: 0, max: 5 }).map((n) => new Date(n * 1000).toISOString()),
    digest: fc.constant('sha256:00' as const),
  });
  const records = fc.array(record, { maxLength: 8 });
  const shuffled = records.chain((given) =>
    fc.tuple(fc.constant(given), fc.shuffledSubarray(given, { minLength: given.length, maxLength: given.length })),
  );

  test('the order of the decisions does not matter', () => {
    fc.assert(
      fc.property(requirements, shuffled, (wanted, [given, otherwise]) => {
        expect(progress(wanted, otherwise)).toEqual(progress(wanted, given));
      }),
      { numRuns: 500 },
    );
  });

  test('one more yes never takes away from what is there', () => {
    fc.assert(
      fc.property(requirements, records, record, (wanted, given, extra) => {
        const was = progress(wanted, given);
        const is = progress(wanted, [...given, { ...extra, verdict: 'approve' }]);
        expect(was.state === 'waiting' ? was : is).toEqual(was);
        expect(is.missing.length).toBeLessThanOrEqual(was.missing.length);
      }),
      { numRuns: 500 },
    );
  });

  test('a no with a required role denies, whatever else was said', () => {
    fc.assert(
      fc.property(requirements, records, record, fc.nat({ max: 8 }), (wanted, given, extra, at) => {
        fc.pre(wanted.some((requirement) => requirement.roles.some((one) => extra.roles.includes(one))));
        const said = given.toSpliced(at, 0, { ...extra, verdict: 'deny' });
        expect(progress(wanted, said).state).toBe('denied');
      }),
      { numRuns: 500 },
    );
  });

  test('approved means that every requirement has its quorum of different people, counted anew', () => {
    fc.assert(
      fc.property(requirements, records, (wanted, given) => {
        const counts = wanted.map(({ roles, quorum }) => {
          const people = ['ann', 'bob', 'cat', 'dan', 'eve'].filter((person) =>
            given.some(
              (one) =>
                one.approver.toLowerCase() === person &&
                one.verdict === 'approve' &&
                one.roles.some((role) => roles.includes(role)),
            ),
          );
          return people.length >= quorum;
        });
        const denied = given.some(
          (one) => one.verdict === 'deny' && wanted.some(({ roles }) => roles.some((role) => one.roles.includes(role))),
        );
        const expected = denied ? 'denied' : counts.every(Boolean) ? 'approved' : 'waiting';
        expect(progress(wanted, given).state).toBe(expected);
      }),
      { numRuns: 500 },
    );
  });
});
