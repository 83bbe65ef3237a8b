import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ACTION_TYPES, type Facts } from '../../src/action/decision.js';
import { evaluate } from '../../src/policy/index.js';
import { policyFromText } from '../../src/testing/index.js';
import { factsOf, PERMIT_ALL } from './facts.js';
import { runs } from '../support/properties.js';

const soft = (id: string, approval: string, when: string): string =>
  `@id("${id}") @reason("${id} of {rows}") @approval("${approval}") forbid (principal, action, resource) when { ${when} };\n`;
const final = (id: string, when: string): string =>
  `@id("${id}") @reason("${id} is final") forbid (principal, action, resource) when { ${when} };\n`;
/** Adds to the largest Long, so it can be evaluated only for 0 rows, which no validator notices. */
const OVERFLOW = 'context.rows + 9223372036854775807 > 0';

describe('soft forbids', () => {
  test('require the approvals of all that apply to the action, and no others', () => {
    const policy = policyFromText({
      'a.cedar':
        PERMIT_ALL +
        soft('two-leads', 'lead|cto, quorum=2, ttl=4h', 'context.rows > 10') +
        soft('a-dba', 'dba', 'context.rows > 20') +
        soft('other', 'nobody', 'context.rows > 1000'),
    });
    expect(evaluate(policy, factsOf({ preview: { rows: 10 } })).effect).toBe('allow');
    expect(evaluate(policy, factsOf({ preview: { rows: 21 } }))).toMatchObject({
      effect: 'require_approval',
      reason: 'a-dba: a-dba of 21; two-leads: two-leads of 21',
      policies: ['a-dba', 'two-leads'],
      requirements: [
        { policy: 'a-dba', reason: 'a-dba of 21', roles: ['dba'], quorum: 1, ttlSeconds: 86_400 },
        { policy: 'two-leads', reason: 'two-leads of 21', roles: ['cto', 'lead'], quorum: 2, ttlSeconds: 14_400 },
      ],
    });
  });

  test('without a permit deny: nobody is asked in vain', () => {
    const policy = policyFromText({
      'a.cedar':
        soft('ask', 'dba', 'true == (context.rows > 0)') +
        '@id("reads") permit (principal, action == Countersign::Action::"READ", resource);',
    });
    expect(evaluate(policy, factsOf())).toMatchObject({
      effect: 'deny',
      code: 'POLICY_DENIED',
      policies: ['ask'],
      requirements: [],
      reason: 'no policy allows WRITE on shop-db for an agent without roles',
    });
    expect(evaluate(policy, factsOf({ actionType: 'READ' })).effect).toBe('require_approval');
  });

  test('together with a final forbid deny, with the reason of the final one', () => {
    const policy = policyFromText({
      'a.cedar': PERMIT_ALL + soft('ask', 'dba', 'context.rows > 0') + final('never', 'context.rows > 0'),
    });
    expect(evaluate(policy, factsOf())).toMatchObject({
      effect: 'deny',
      reason: 'never: never is final',
      policies: ['ask', 'never'],
      requirements: [],
      violations: [{ policy: 'ask' }, { policy: 'never' }],
    });
  });
});

describe('a decision', () => {
  test('has everything in it, and nothing that does not belong to it', () => {
    const policy = policyFromText({
      'a.cedar': `@id("b") @reason("{rows} rows") permit (principal, action, resource) when { context.rows < 50 };
@id("a") permit (principal, action, resource) when { context.rows < 50 };
${final('never', 'context.rows == 7')}@id("plain") @constraint("z, a=1") forbid (principal, action, resource) when { context.rows == 7 };
@id("ask") @approval("dba; lead") @reason("ask") @constraint("label") forbid (principal, action, resource) when { context.rows == 8 };`,
    });
    const nothing = { constraints: [], violations: [], requirements: [], errors: [], policyDigest: policy.digest };
    const of = (rows: number) => evaluate(policy, factsOf({ preview: { rows } }));
    expect(of(1)).toEqual({ ...nothing, effect: 'allow', reason: 'allowed by a; b: 1 rows', policies: ['a', 'b'] });
    expect(of(7)).toEqual({
      ...nothing,
      effect: 'deny',
      code: 'POLICY_DENIED',
      reason: 'never: never is final; plain',
      policies: ['never', 'plain'],
      constraints: [
        { name: 'a', value: 1, policy: 'plain' },
        { name: 'z', value: true, policy: 'plain' },
      ],
      violations: [
        { policy: 'never', reason: 'never is final' },
        { policy: 'plain', reason: 'plain forbids it' },
      ],
    });
    expect(of(8)).toEqual({
      ...nothing,
      effect: 'require_approval',
      reason: 'ask: ask',
      policies: ['ask'],
      violations: [{ policy: 'ask', reason: 'ask' }],
      requirements: [
        { policy: 'ask', reason: 'ask', roles: ['dba'], quorum: 1, ttlSeconds: 86_400 },
        { policy: 'ask', reason: 'ask', roles: ['lead'], quorum: 1, ttlSeconds: 86_400 },
      ],
    });
    expect(of(50)).toEqual({
      ...nothing,
      effect: 'deny',
      code: 'POLICY_DENIED',
      reason: 'no policy allows WRITE on shop-db for an agent without roles',
      policies: [],
    });
    expect(evaluate(policy, factsOf({ agent: { roles: ['b', 'a'] }, preview: { rows: 50 } })).reason).toBe(
      'no policy allows WRITE on shop-db for roles a, b',
    );
  });

  test('that could not be made names what failed, each once and in order, and the forbids that apply besides', () => {
    const broken = (id: string, effect: string) =>
      `@id("${id}") ${effect} (principal, action, resource) when { ${OVERFLOW} };\n`;
    const policy = policyFromText({
      'a.cedar': PERMIT_ALL + broken('z', 'permit') + broken('b', 'forbid') + final('never', 'context.rows == 7'),
    });
    const message = /^b could not be evaluated: .*; z could not be evaluated: [^;]*$/;
    expect(evaluate(policy, factsOf({ preview: { rows: 7 } }))).toEqual({
      effect: 'deny',
      code: 'POLICY_ERROR',
      reason: expect.stringMatching(message) as string,
      policies: ['never'],
      constraints: [],
      violations: [{ policy: 'never', reason: 'never is final' }],
      requirements: [],
      errors: ['b', 'z'],
      policyDigest: policy.digest,
    });
    const beside = evaluate(policy, factsOf({ preview: { rows: 8 } }));
    expect(beside).toMatchObject({ policies: [], violations: [], errors: ['b', 'z'] });
  });

  test('has the labels of several forbids in the order of their names, whatever the order of the forbids', () => {
    const policy = policyFromText({
      'a.cedar': `@id("a") @constraint("z, m=2") forbid (principal, action, resource);
@id("b") @constraint("m=1, a") forbid (principal, action, resource);`,
    });
    expect(evaluate(policy, factsOf()).constraints.map(({ name, policy: by }) => `${name} ${by}`)).toEqual([
      'a b',
      'm a',
      'm b',
      'z a',
    ]);
  });
});

describe('a policy that cannot be evaluated', () => {
  test.each([
    ['final forbid, which Cedar alone would skip', PERMIT_ALL + final('broken', OVERFLOW)],
    ['soft forbid', PERMIT_ALL + soft('broken', 'dba', OVERFLOW)],
    [
      'permit beside one that allows',
      `${PERMIT_ALL}@id("broken") permit (principal, action, resource) when { ${OVERFLOW} };`,
    ],
    ['permit on its own', `@id("broken") permit (principal, action, resource) when { ${OVERFLOW} };`],
    [
      'forbid beside a soft one that asks',
      PERMIT_ALL + soft('ask', 'dba', 'context.rows > 0') + final('broken', OVERFLOW),
    ],
  ])('denies: a %s', (_, text) => {
    const policy = policyFromText({ 'a.cedar': text });
    const decision = evaluate(policy, factsOf());
    expect(decision).toMatchObject({ effect: 'deny', code: 'POLICY_ERROR', errors: ['broken'], requirements: [] });
    expect(decision.reason).toMatch(/^broken could not be evaluated: .*overflow/);
  });

  test('does so only for the actions it can apply to', () => {
    const policy = policyFromText({
      'a.cedar': `${PERMIT_ALL}@id("broken") forbid (principal, action == Countersign::Action::"DELETE", resource) when { ${OVERFLOW} };`,
    });
    expect(evaluate(policy, factsOf({ actionType: 'READ' })).effect).toBe('allow');
    expect(evaluate(policy, factsOf({ actionType: 'DELETE' })).effect).toBe('deny');
  });
});

describe('constraints', () => {
  test('of several permits apply together, each with its strictest value', () => {
    const permit = (id: string, constraint: string) =>
      `@id("${id}") @constraint("${constraint}") permit (principal, action, resource);\n`;
    const policy = policyFromText({
      'a.cedar':
        PERMIT_ALL +
        permit('wide', 'maxRows=1000, cascade=true, mask=email, audited') +
        permit('narrow', 'maxRows=10, cascade=false, mask=phone') +
        permit('also-narrow', 'maxRows=10, timeoutMs=2.5'),
    });
    expect(evaluate(policy, factsOf()).constraints).toEqual([
      { name: 'audited', value: true, policy: 'wide' },
      { name: 'cascade', value: false, policy: 'narrow' },
      { name: 'mask', value: 'phone', policy: 'narrow' },
      { name: 'mask', value: 'email', policy: 'wide' },
      { name: 'maxRows', value: 10, policy: 'also-narrow' },
      { name: 'timeoutMs', value: 2.5, policy: 'also-narrow' },
    ]);
  });

  test('of the permits apply to what people approve, not the labels of the lifted forbids', () => {
    const policy = policyFromText({
      'a.cedar':
        '@id("p") @constraint("maxRows=5") permit (principal, action, resource);' +
        '@id("s") @reason("s") @approval("dba") @constraint("label") forbid (principal, action, resource);',
    });
    expect(evaluate(policy, factsOf())).toMatchObject({
      effect: 'require_approval',
      constraints: [{ name: 'maxRows', value: 5, policy: 'p' }],
    });
  });
});

describe('hostile facts', () => {
  const policy = policyFromText({
    'a.cedar': '@id("dba-only") permit (principal in Countersign::Role::"dba", action, resource);',
  });

  test.each([
    'dba" || true',
    'dba"; permit(principal, action, resource); //',
    'DBA',
    'dba ',
    'dba\u200b',
    'Countersign::Role::"dba"',
    '{"__entity":{"type":"Countersign::Role","id":"dba"}}',
    '*',
    '__proto__',
    '',
  ])('a role named %j is only a name', (role) => {
    expect(evaluate(policy, factsOf({ agent: { roles: [role] } })).effect).toBe('deny');
    expect(evaluate(policy, factsOf({ agent: { roles: [role, 'dba'] } })).effect).toBe('allow');
  });

  test.each(['root"', 'Root', 'root\\', '"root"', 'root\n'])('an agent or a tool named %j is not root', (name) => {
    const other = policyFromText({
      'a.cedar': `@id("agent") permit (principal == Countersign::Agent::"root", action, resource);
        @id("tool") permit (principal, action, resource == Countersign::Tool::"root");`,
    });
    expect(evaluate(other, factsOf({ agent: { id: name }, tool: { name } })).effect).toBe('deny');
    expect(evaluate(other, factsOf({ agent: { id: 'root' }, tool: { name } })).effect).toBe('allow');
    expect(evaluate(other, factsOf({ agent: { id: name }, tool: { name: 'root' } })).effect).toBe('allow');
  });

  test('a role in the form of an entity is refused, not resolved', () => {
    const disguise = { __entity: { type: 'Countersign::Role', id: 'dba' } } as unknown as string;
    expect(evaluate(policy, factsOf({ agent: { roles: [disguise] } }))).toMatchObject({
      effect: 'deny',
      code: 'POLICY_ERROR',
      reason: expect.stringContaining('agent.roles[0]'),
    });
  });

  test.each([
    ['a lone surrogate', 'agent.id', { agent: { id: 'a\ud800' } }],
    ['a NUL', 'preview.targets[0]', { preview: { targets: ['users\u0000'] } }],
    ['fractional rows', 'preview.rows', { preview: { rows: 1.5 } }],
    ['rows below zero', 'preview.rows', { preview: { rows: -1 } }],
    ['rows that are not a number', 'preview.rows', { preview: { rows: Number.NaN } }],
    ['rows without end', 'preview.rows', { preview: { rows: Infinity } }],
    ['rows beyond exact integers', 'preview.rows', { preview: { rows: 2 ** 53 } }],
    ['rows beyond Long', 'preview.rows', { preview: { rows: 2 ** 63 } }],
    ['rows as text', 'preview.rows', { preview: { rows: '1' as unknown as number } }],
    ['a flag as text', 'preview.schemaChange', { preview: { schemaChange: 'false' as unknown as boolean } }],
    ['targets that are no list', 'preview.targets', { preview: { targets: 'users' as unknown as string[] } }],
    ['an impossible date', 'now', { now: '2025-02-30T25:00:00Z' }],
    ['a date without a zone', 'now', { now: '2025-01-01T12:00:00' }],
    ['an action type that does not exist', 'actionType', { actionType: 'PURGE' as 'READ' }],
    ['facts that are missing', 'tool.environment', { tool: { environment: undefined as unknown as string } }],
  ])('%s denies and is named, even where everything is allowed', (_, field, given) => {
    const open = policyFromText({ 'a.cedar': PERMIT_ALL });
    const decision = evaluate(open, factsOf(given));
    expect(decision).toMatchObject({ effect: 'deny', code: 'POLICY_ERROR' });
    expect(decision.reason).toContain(`${field} is not `);
    expect(evaluate(open, factsOf()).effect).toBe('allow');
  });

  test('no facts at all is a deny, not an exception', () => {
    expect(evaluate(policy, undefined as unknown as Facts)).toEqual({
      effect: 'deny',
      code: 'POLICY_ERROR',
      reason: expect.stringMatching(/^the policy could not be evaluated: /) as string,
      policies: [],
      constraints: [],
      violations: [],
      requirements: [],
      errors: [],
      policyDigest: policy.digest,
    });
  });

  test('reasons contain facts unchanged, except characters that could forge a line, and fill no placeholder twice', () => {
    const forbid = policyFromText({
      'a.cedar': `@id("no") @reason("{agent}|{targets}|{rows}|{roles}") forbid (principal, action, resource);`,
    });
    const targets = Array.from({ length: 12 }, (_, i) => `t${i}`);
    const facts = factsOf({ agent: { id: '{rows}\n\u202egnp', roles: ['b', '$&'] }, preview: { rows: 7, targets } });
    expect(evaluate(forbid, facts).reason).toBe(
      'no: {rows}\u{FFFD}\u{FFFD}gnp|t0, t1, t2, t3, t4, t5, t6, t7, t8, t9 and 2 more|7|b, $&',
    );
  });
});

test('the same facts give the same decision, whatever order roles and targets come in', () => {
  const policy = policyFromText({
    'a.cedar':
      PERMIT_ALL +
      final('z', 'context.targets.contains("b")') +
      final('a', 'principal in Countersign::Role::"r1"') +
      final('m', 'context.rows > 0'),
  });
  const one = evaluate(policy, factsOf({ agent: { roles: ['r1', 'r2'] }, preview: { targets: ['b', 'a'] } }));
  const other = evaluate(policy, factsOf({ agent: { roles: ['r2', 'r1', 'r1'] }, preview: { targets: ['a', 'b'] } }));
  expect(one).toEqual(other);
  expect(one.policies).toEqual(['a', 'm', 'z']);
});

test('time comes from the facts', () => {
  const policy = policyFromText({
    'a.cedar': `@id("office-hours") permit (principal, action, resource)
      when { context.now.toTime() >= duration("8h") && context.now.toTime() < duration("17h") };`,
  });
  const at = (now: string) => evaluate(policy, factsOf({ now })).effect;
  expect(at('2025-01-01T07:59:59.999Z')).toBe('deny');
  expect(at('2025-01-01T08:00:00Z')).toBe('allow');
  expect(at('2025-01-01T16:59:59.999999Z')).toBe('allow');
  expect(at('2025-01-01T17:00:00Z')).toBe('deny');
});

describe('for any policies and facts', { timeout: 240_000 }, () => {
  const condition = fc.constantFrom(
    'context.rows > 100',
    'context.rows >= 0',
    'context.targets.contains("users")',
    'principal in Countersign::Role::"admin"',
    'resource.environment == "production"',
    'context.schemaChange',
    'context.targets.isEmpty() || context.reads.contains("users")',
    OVERFLOW,
  );
  const scope = fc.constantFrom(
    'action',
    ...ACTION_TYPES.map((type) => `action == Countersign::Action::"${type}"`),
    'action in [Countersign::Action::"WRITE", Countersign::Action::"DELETE"]',
  );
  const rule = fc.record({ scope, condition, kind: fc.constantFrom('permit', 'permit', 'forbid', 'soft') });
  const text = (rules: readonly { scope: string; condition: string; kind: string }[]): string =>
    rules
      .map(({ scope, condition, kind }, i) => {
        const head = kind === 'soft' ? `@approval("dba") @reason("r") forbid` : kind;
        return `@id("p${i}") ${head} (principal, ${scope}, resource) when { ${condition} };`;
      })
      .join('\n');
  const anyFacts = fc
    .record({
      actionType: fc.constantFrom(...ACTION_TYPES),
      rows: fc.constantFrom(0, 1, 100, 101, Number.MAX_SAFE_INTEGER),
      targets: fc.uniqueArray(fc.constantFrom('users', 'orders', 'sessions')),
      schemaChange: fc.boolean(),
      roles: fc.subarray(['admin', 'dba']),
      environment: fc.constantFrom('production', 'test'),
    })
    .map(({ actionType, roles, environment, ...preview }) =>
      factsOf({ actionType, preview, agent: { roles }, tool: { environment } }),
    );

  test('a final forbid that matches is a deny, whatever else the policy says', () => {
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 6 }), anyFacts, (rules, facts) => {
        const policy = policyFromText({ 'a.cedar': text(rules), 'z.cedar': final('never', 'context.rows >= 0') });
        const decision = evaluate(policy, facts);
        expect(decision.effect).toBe('deny');
        expect(decision.policies).toContain('never');
        expect(decision.requirements).toEqual([]);
      }),
      { numRuns: runs(20) },
    );
  });

  test('without a permit there is only deny', () => {
    fc.assert(
      fc.property(fc.array(rule, { minLength: 1, maxLength: 6 }), anyFacts, (rules, facts) => {
        const forbids = rules.map((rule) => ({ ...rule, kind: rule.kind === 'permit' ? 'soft' : rule.kind }));
        expect(evaluate(policyFromText({ 'a.cedar': text(forbids) }), facts).effect).toBe('deny');
      }),
      { numRuns: runs(20) },
    );
  });

  test('making a soft forbid final keeps every deny, and turns each approval that it required into a deny', () => {
    fc.assert(
      fc.property(fc.array(rule, { minLength: 1, maxLength: 6 }), anyFacts, (rules, facts) => {
        const hard = rules.map((rule) => ({ ...rule, kind: rule.kind === 'soft' ? 'forbid' : rule.kind }));
        const before = evaluate(policyFromText({ 'a.cedar': text(rules) }), facts).effect;
        const after = evaluate(policyFromText({ 'a.cedar': text(hard) }), facts).effect;
        expect(after).toBe(before === 'allow' ? 'allow' : 'deny');
      }),
      { numRuns: runs(20) },
    );
  });
});
