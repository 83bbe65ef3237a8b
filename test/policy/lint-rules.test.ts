/** What lint says of rules: which never match, leave production open, or are made pointless by others. */
import { describe, expect, test } from 'vitest';
import { neverMatching } from '../../src/policy/authoring/lint/matches.js';
import { openProduction } from '../../src/policy/authoring/lint/open-production.js';
import { overruled } from '../../src/policy/authoring/lint/overruled.js';
import type { RegisteredTool } from '../../src/policy/authoring/registered.js';
import { SymbolicPolicy } from '../../src/policy/authoring/symbolic.js';
import { forbid, named, operation, policyOf, silent, told, toolOf } from './lint-support.js';

describe('rules that never match', () => {
  const found = (text: string, tools?: readonly RegisteredTool[]) => {
    const policy = policyOf(text);
    return neverMatching(policy.rules, new SymbolicPolicy(policy.bundle), tools);
  };

  test('are told with what contradicts itself, or that their conditions are never true', () => {
    expect(told(found(forbid('context.rows > 5 && context.rows < 4')))).toEqual([
      {
        code: 'never-matches',
        id: 'f',
        at: 'a.cedar:1:1',
        message: 'it never matches: no context.rows meets all of its conditions',
        fix: 'Correct its conditions, or take it out.',
      },
    ]);
    const never = forbid('if context.schemaChange then (context.rows > 1 && 2 < 1) else (2 < 1 || 3 < 2)');
    expect(told(found(never)).map(({ message }) => message)).toEqual([
      'it never matches: its conditions are never true',
    ]);
    expect(found(forbid('context.rows > 5 && context.rows < 7'))).toEqual([]);
    expect(found('@id("d") permit (principal, action == Countersign::Action::"DELETE", resource);', undefined)).toEqual(
      [],
    );
  });

  test('with what is registered are told by the names of the tools', () => {
    const read = '@id("r") permit (principal, action == Countersign::Action::"READ", resource);';
    expect(told(found(read, [toolOf(), toolOf({ name: 'mail' })]))).toEqual([
      {
        code: 'unmatched',
        id: 'r',
        at: 'a.cedar:1:1',
        message: 'it matches nothing that the registered tools (payments, mail) can do',
        fix: 'Correct what it names, or register the tool that it is for.',
      },
    ]);
    expect(found(read, [])[0]?.message).toBe('it matches nothing that the registered tools (none) can do');
    expect(found(read, [toolOf(), silent()])).toEqual([]);
    expect(named(found(`${read}${forbid('context.schemaChange && 2 < 1')}`, [toolOf()]))).toEqual([
      'never-matches f',
      'unmatched r',
    ]);
  });

  test('are asked of each operation, type and tool', () => {
    const tools = [
      toolOf({
        operations: [
          operation(),
          operation({ actionType: 'DELETE', operation: 'refund' }),
          operation({ operation: 'b' }),
        ],
      }),
      toolOf({ name: 'mail', environment: 'test' }),
    ];
    const matches = (condition: string, scope = 'principal, action, resource') =>
      found(`@id("r") permit (${scope}) when { ${condition} };`, tools).length === 0;
    expect(matches('context.operation == "b"')).toBe(true);
    expect(matches('context.operation == "c"')).toBe(false);
    expect(matches('context.environment == "test"')).toBe(true);
    expect(matches('context.environment == "test" && context.operation == "b"')).toBe(false);
    expect(
      matches('context.operation == "refund"', 'principal, action == Countersign::Action::"DELETE", resource'),
    ).toBe(true);
    expect(matches('context.rows > 1', 'principal, action, resource == Countersign::Tool::"mail"')).toBe(true);
  });
});

describe('production that is open', () => {
  const found = (text: string, tools?: readonly RegisteredTool[]) => {
    const policy = policyOf(text);
    return told(openProduction(policy.rules, new SymbolicPolicy(policy.bundle), tools));
  };
  const PERMIT = '@id("p") permit (principal, action, resource)';
  const fix = 'Name a role in its scope: principal in Countersign::Role::"…"; or exclude production.';

  test('is told with what every agent may do', () => {
    expect(found(`${PERMIT};`)).toEqual([
      {
        code: 'production-open',
        id: 'p',
        at: 'a.cedar:1:1',
        message: 'every agent, whatever its roles, may do a WRITE on any tool in production',
        fix,
      },
    ]);
    expect(found(`${PERMIT} when { context.rows < 5 };`)).toEqual([
      {
        code: 'production-open-in-part',
        id: 'p',
        at: 'a.cedar:1:1',
        message: 'agents without any role may do a WRITE on any tool in production where its other conditions hold',
        fix,
      },
    ]);
  });

  const writing = toolOf({
    operations: [
      operation({ operation: 'look', actionType: 'READ' }),
      operation(),
      operation({ operation: 'drop', actionType: 'DELETE' }),
      operation({ operation: 'set', actionType: 'WRITE' }),
    ],
  });

  test('is told of a registered tool first, by its operation; of harmless places not at all', () => {
    expect(found(`${PERMIT};`, [writing])[0]?.message).toBe(
      'every agent, whatever its roles, may do a DELETE (drop) on payments in live',
    );
    expect(found(`${PERMIT};`, [silent()])[0]?.message).toBe(
      'every agent, whatever its roles, may do a WRITE on silent in live',
    );
    const here = `${PERMIT} when { resource.environment == "staging" };`;
    for (const environment of ['development', 'dev', 'local', 'test', 'testing', 'ci', 'sandbox', 'staging'])
      expect(found(`${PERMIT} when { resource.environment == "${environment}" };`, [silent({ environment })])).toEqual(
        [],
      );
    expect(found(here, [silent({ environment: 'stage' })])).toEqual([]);
    expect(found(here.replace('staging', 'stage'), [silent({ environment: 'stage' })])).toHaveLength(1);
  });

  test('is told as certain where it is anywhere, by the first place where it is', () => {
    const rule = `${PERMIT} when { context.operation == "set" || context.rows < 5 };`;
    expect(found(rule, [writing])[0]).toMatchObject({
      code: 'production-open',
      message: 'every agent, whatever its roles, may do a WRITE (set) on payments in live',
    });
    expect(found(`${PERMIT} when { context.operation == "set" };`, [writing])[0]).toMatchObject({
      code: 'production-open',
    });
    expect(found(`${PERMIT} when { context.rows < 5 };`, [writing])[0]?.message).toMatch(/DELETE \(drop\) on payments/);
  });

  test('is not where a forbid certainly stands against it, final or soft; but where one only may, or another one does', () => {
    const against = (condition: string, effect = 'forbid') =>
      named(found(`${PERMIT};@id("f") ${effect} (principal, action, resource) when { ${condition} };`) as never).filter(
        (name) => name.endsWith(' p'),
      );
    expect(against('resource.environment == "production"')).toEqual([]);
    expect(against('context.rows > 5')).toEqual(['production-open p']);
    expect(against('resource.environment == "test"')).toEqual(['production-open p']);
    expect(against('resource.environment == "production"', 'permit')).toEqual(['production-open p']);
    const soft = `${PERMIT};@id("f") @reason("r") @approval("dba") forbid (principal, action, resource);`;
    expect(found(soft)).toEqual([]);
    const writes = `${PERMIT};@id("f") forbid (principal, action == Countersign::Action::"WRITE", resource);`;
    expect(found(writes)[0]?.message).toMatch(/may do a DELETE on any tool/);
    expect(found(forbid('context.rows > 5'))).toEqual([]);
  });
});

describe('rules that others make pointless', () => {
  const found = (...rules: string[]) => told(overruled(policyOf(rules.join('\n')).rules));
  const rule = (id: string, scope: string, rest = '') => `@id("${id}") ${scope} ${rest};`;
  const NO = 'forbid (principal, action, resource)';
  const YES = 'permit (principal, action, resource)';

  test('are told with the forbid that overrules them, and where it is', () => {
    expect(found(rule('no', NO), rule('yes', YES))).toEqual([
      {
        code: 'shadowed',
        id: 'yes',
        at: 'a.cedar:2:1',
        message: 'what it permits is always forbidden by the forbid no (a.cedar:1:1), which has no conditions',
        fix: 'Take one of the two out, or narrow the forbid.',
      },
    ]);
    const soft = `@id("soft") @reason("r") @approval("dba") ${NO} when { context.rows > 5 && context.schemaChange };`;
    expect(found(soft, rule('no', NO, 'when { context.rows > 5 }'))).toEqual([
      {
        code: 'contradiction',
        id: 'soft',
        at: 'a.cedar:1:1',
        message:
          'what people could lift is always forbidden by the forbid no (a.cedar:2:1), which asks for nothing that this rule does not ask for too',
        fix: 'Take one of the two out, or narrow the forbid.',
      },
    ]);
    expect(found(rule('a', NO), rule('b', NO, 'when { context.rows > 5 }'))).toEqual([]);
  });

  test.each<[string, string, boolean]>([
    ['forbid (principal is Countersign::Agent, action, resource)', YES, true],
    ['forbid (principal, action, resource is Countersign::Tool)', YES, true],
    ['forbid (principal is Countersign::Agent in Countersign::Role::"r", action, resource)', YES, false],
    ['forbid (principal in Countersign::Role::"r", action, resource)', YES, false],
    [
      'forbid (principal in Countersign::Role::"r", action, resource)',
      'permit (principal in Countersign::Role::"r", action, resource)',
      true,
    ],
    [
      'forbid (principal in Countersign::Role::"r", action, resource)',
      'permit (principal in Countersign::Role::"s", action, resource)',
      false,
    ],
    ['forbid (principal, action, resource == Countersign::Tool::"t")', YES, false],
    [
      'forbid (principal, action, resource == Countersign::Tool::"t")',
      'permit (principal in Countersign::Role::"s", action, resource == Countersign::Tool::"t")',
      true,
    ],
    ['forbid (principal, action == Countersign::Action::"READ", resource)', YES, false],
    [
      'forbid (principal, action in [Countersign::Action::"READ", Countersign::Action::"WRITE"], resource)',
      'permit (principal, action == Countersign::Action::"READ", resource)',
      true,
    ],
  ])('%s covers %s: %s', (no, yes, covered) => {
    expect(found(rule('no', no), rule('yes', yes)).map(({ code }) => code)).toEqual(covered ? ['shadowed'] : []);
  });

  test('are told of the same rule twice, with the first', () => {
    expect(found(rule('one', YES), rule('other', NO, 'when { context.rows > 5 }'), rule('two', YES))).toEqual([
      {
        code: 'duplicate',
        id: 'two',
        at: 'a.cedar:3:1',
        message: 'it says the same as one (a.cedar:1:1)',
        fix: 'Take one of the two out.',
      },
    ]);
  });

  test.each<[string, string]>([
    [rule('a', YES), rule('b', NO, 'when { context.rows > 1 }')],
    [rule('a', YES), rule('b', 'permit (principal in Countersign::Role::"r", action, resource)')],
    [rule('a', YES), rule('b', 'permit (principal, action, resource == Countersign::Tool::"t")')],
    [rule('a', YES), rule('b', 'permit (principal, action == Countersign::Action::"READ", resource)')],
    [rule('a', YES), rule('b', YES, 'when { context.rows > 1 }')],
    [rule('a', YES), `@constraint("x") ${rule('b', YES)}`],
    [`@reason("r") @approval("dba") ${rule('a', NO)}`, `@reason("r") @approval("lead") ${rule('b', NO)}`],
  ])('are not told of %s and %s', (one, other) => {
    expect(found(one, other)).toEqual([]);
  });

  test('are the same whatever the order of their actions', () => {
    const on = (id: string, ...types: string[]) =>
      rule(
        id,
        `permit (principal, action in [${types.map((type) => `Countersign::Action::"${type}"`).join(', ')}], resource)`,
      );
    expect(found(on('a', 'READ', 'WRITE'), on('b', 'WRITE', 'READ')).map(({ code }) => code)).toEqual(['duplicate']);
  });
});
