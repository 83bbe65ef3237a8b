/** What lint says of names: of roles that nobody has, and of tools, operations, environments, targets and arguments that are not registered. */
import { describe, expect, test } from 'vitest';
import { rolesOfNoAgent, rolesOfNobody } from '../../src/policy/authoring/lint/approvers.js';
import { unknownNames } from '../../src/policy/authoring/lint/names.js';
import type { RegisteredTool } from '../../src/policy/authoring/registered.js';
import { PERMIT_ALL } from './facts.js';
import { forbid, operation, policyOf, silent, told, toolOf } from './lint-support.js';

describe('roles that nobody has', () => {
  const ASK = (approval: string, id = 'ask') =>
    `@id("${id}") @reason("r") @approval("${approval}") forbid (principal, action, resource);\n`;

  test('are told of rules and limits that ask for them, one by one', () => {
    const policy = policyOf(`${PERMIT_ALL}${ASK('dab|laed; dba; sec')}`, {
      'limits.yaml': `limits:
  few: {kind: count, scope: agent, max: 5, window: 1d, atLimit: approve by boss}
  other: {kind: count, scope: agent, max: 5, window: 1d, atLimit: queue for 5m}
  deep: {kind: depth, max: 3}
`,
    });
    const known = new Set(['dba', 'auditor']);
    expect(told(rolesOfNobody(policy.rules, policy.limits.limits, known))).toEqual([
      {
        code: 'nobody-approves',
        id: 'ask',
        at: 'a.cedar:3:1',
        message: 'it asks for dab or laed, a role that nobody has: what it stops waits until it expires',
        fix: 'Correct the role; known are auditor, dba.',
      },
      {
        code: 'nobody-approves',
        id: 'ask',
        at: 'a.cedar:3:1',
        message: 'it asks for sec, a role that nobody has: what it stops waits until it expires',
        fix: 'Correct the role; known are auditor, dba.',
      },
      {
        code: 'nobody-approves',
        id: 'few',
        at: 'limits.yaml:2:3',
        message: 'it asks for boss, a role that nobody has: what it stops waits until it expires',
        fix: 'Correct the role; known are auditor, dba.',
      },
    ]);
    expect(rolesOfNobody(policy.rules, policy.limits.limits, new Set(['laed', 'dba', 'sec', 'boss']))).toEqual([]);
  });

  test('are told of scopes and conditions that name them, in their order, but for that of what undoes an action', () => {
    const { rules } = policyOf(
      `@id("p") permit (principal in Countersign::Role::"z", action, resource)
when { principal in Countersign::Role::"b" || principal in Countersign::Role::"a" || principal in Countersign::Role::"compensator" || resource == Countersign::Tool::"t" };`,
    );
    expect(told(rolesOfNoAgent(rules, new Set(['b'])))).toEqual(
      ['a', 'z'].map((role) => ({
        code: 'unknown-role',
        id: 'p',
        at: 'a.cedar:1:1',
        message: `it names the role ${role}, which nobody has`,
        fix: 'Correct the role, or give it to somebody.',
      })),
    );
    expect(rolesOfNoAgent(rules, new Set(['a', 'b', 'z']))).toEqual([]);
  });
});

describe('names', () => {
  const check = (text: string, tools: readonly RegisteredTool[] = [toolOf()]) => {
    const policy = policyOf(text);
    return told(unknownNames(policy.rules, tools, policy.bundle.files));
  };
  const codes = (condition: string, tools?: readonly RegisteredTool[]) =>
    check(forbid(condition), tools).map(({ code, message }) => `${code}: ${message}`);

  test('of tools are told at their place, with the nearest', () => {
    expect(check('@id("a")\npermit (principal, action, resource == Countersign::Tool::"paymnets");')).toEqual([
      {
        code: 'unknown-tool',
        id: 'a',
        at: 'a.cedar:2:59',
        message: 'no tool is called paymnets',
        fix: 'Did you mean payments? Correct the name; known are payments.',
      },
    ]);
    expect(check('@id("a") permit (principal, action, resource in Countersign::Tool::"x");')).toMatchObject([
      { code: 'unknown-tool', fix: 'Correct the name; known are payments.' },
    ]);
    expect(check('@id("a") permit (principal, action, resource is Countersign::Tool);')).toEqual([]);
    expect(check('@id("a") permit (principal, action, resource == Countersign::Tool::"x");', [])).toMatchObject([
      { fix: 'Correct the name.' },
    ]);
  });

  test('of tools in conditions are told once each; those of agents and roles are none', () => {
    expect(
      codes(
        'resource == Countersign::Tool::"x" || resource == Countersign::Tool::"x" || resource in [Countersign::Tool::"y", Countersign::Tool::"payments"] || principal == Countersign::Agent::"z"',
      ),
    ).toEqual(['unknown-tool: no tool is called x', 'unknown-tool: no tool is called y']);
  });

  test('of which a rule about an unknown tool speaks are not told beside it', () => {
    const rule = `@id("a") permit (principal, action, resource == Countersign::Tool::"x")
when { context.operation == "nothing" && context has input.body.amuont && context.environment == "nowhere" };`;
    expect(check(rule).map(({ code }) => code)).toEqual(['unknown-tool']);
  });

  const tools = [
    toolOf({ operations: [operation({ alsoNamed: ['sql'] })], targets: ['orders', 'carts'] }),
    toolOf({ name: 'db', kind: 'postgres', environment: 'test', targets: ['users'] }),
  ];

  const conditions: readonly (readonly [string, readonly string[]])[] = [
    ['context.operation == "refund" || context.operation == "sql" || context.operation == "restore"', []],
    ['context.operation == "x"', ['unknown-operation: no operation is called x in payments, db']],
    ['"x" == context.operation', ['unknown-operation: no operation is called x in payments, db']],
    ['context.operation != "x"', ['unknown-operation: no operation is called x in payments, db']],
    [
      '["x", "refund", "y"].contains(context.operation)',
      [
        'unknown-operation: no operation is called x in payments, db',
        'unknown-operation: no operation is called y in payments, db',
      ],
    ],
    ['context.environment == "x"', ['unknown-environment: no environment is called x in payments, db']],
    ['resource.environment != "x"', ['unknown-environment: no environment is called x in payments, db']],
    ['resource.environment == "test" || context.environment == "live"', []],
    ['["x", "y"].contains(resource.environment)', []],
    ['["x"].contains(resource.environment)', ['unknown-environment: no environment is called x in payments, db']],
    ['resource.kind == "x"', ['unknown-kind: no kind is called x in payments, db']],
    ['resource.kind == "http" || resource.kind == "postgres"', []],
    ['context.targets.contains("x")', ['unknown-target: no target is called x in payments, db']],
    ['context.reads.contains("x")', ['unknown-target: no target is called x in payments, db']],
    ['context.targets.containsAny(["x", "users"])', ['unknown-target: no target is called x in payments, db']],
    ['context.targets.containsAll(["orders", "y"])', ['unknown-target: no target is called y in payments, db']],
    ['context.targets.contains("orders") || context.reads.contains("carts")', []],
    ['["x"].containsAny(context.targets)', []],
    ['["x"].containsAll(context.targets)', []],
    ['context.targets.contains(context.operation)', []],
    ['context.roles.contains("x") || context.sources.contains("y")', []],
    ['context.operation == context.environment', []],
    ['principal.tenant == "x"', []],
    ['context.rows == 5', []],
    ['context has input.amuont', ['unknown-argument: no operation of payments, db takes amuont']],
    ['context has input && context.input has body', ['unknown-argument: no operation of payments, db takes body']],
    ['context has input.amount && context.input.amount > 1', []],
    [
      'context has input.body.amount && context.input.body.amount > 1',
      [
        'unknown-argument: no operation of payments, db takes body',
        'unknown-argument: no operation of payments, db takes body.amount',
      ],
    ],
  ];
  // One policy with a rule for each condition.
  const comparing = policyOf(conditions.map(([condition], i) => forbid(condition, `r${i}`)).join('\n'));

  test.each(conditions.map(([condition, expected], i) => [condition, i, expected] as const))(
    'that nothing has: %s',
    (_, i, expected) => {
      const findings = unknownNames([comparing.rule(`r${i}`)], tools, comparing.bundle.files);
      expect(findings.map(({ code, message }) => `${code}: ${message}`)).toEqual(expected);
    },
  );

  test('are those of the tool that a rule is about', () => {
    const of = (tool: string, condition: string) =>
      check(
        `@id("a") permit (principal, action, resource == Countersign::Tool::"${tool}") when { ${condition} };`,
        tools,
      ).map(({ message, fix }) => [message, fix]);
    expect(of('db', 'context.environment == "live"')).toEqual([
      ['no environment is called live in db', 'Correct the name; known are test.'],
    ]);
    expect(of('db', 'context.operation == "sql"')).toEqual([
      ['no operation is called sql in db', 'Correct the name; known are refund, restore.'],
    ]);
    expect(of('payments', 'context.targets.contains("cart")')).toEqual([
      ['no target is called cart in payments', 'Did you mean carts? Correct the name; known are carts, orders.'],
    ]);
    expect(of('payments', 'context.targets.contains("users")')).toHaveLength(1);
  });

  test('of an argument that one of several operations takes are known; of one that none takes no other is meant', () => {
    const several = [
      toolOf({ operations: [operation({ arguments: { type: 'object', additionalProperties: false } }), operation()] }),
    ];
    expect(codes('context has input.amount && context.input.amount > 1', several)).toEqual([]);
    expect(check(forbid('context has input.amuont'), several).map(({ fix }) => fix)).toEqual(['Correct the name.']);
  });

  test('are not told of what does not describe itself', () => {
    const some = [...tools, silent()];
    for (const condition of ['context.operation == "x"', 'context has input.amuont', 'context.targets.contains("x")'])
      expect(codes(condition, some)).toEqual([]);
    expect(codes('context.environment == "x"', some)).toHaveLength(1);
  });

  test('are told where they are written: in quotes, as a word, or else at the rule', () => {
    const at = (condition: string) => check(`\n  ${forbid(condition)}`, tools).map((finding) => finding.at);
    expect(at('context.operation == "é" || context.operation == "x"')).toEqual(['a.cedar:2:77', 'a.cedar:2:105']);
    expect(at('context has input.amuont')).toEqual(['a.cedar:2:74']);
    expect(at(String.raw`context.operation == "a\u{62}c"`)).toEqual(['a.cedar:2:3']);
    // What a pattern would read otherwise is looked for as it is.
    expect(at(String.raw`context.operation == "a\u{2e}c" && context.operation != "abc"`)[0]).toBe('a.cedar:2:3');
  });
});
