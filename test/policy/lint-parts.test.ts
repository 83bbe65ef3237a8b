/** The checks of lint by themselves, to the letter: what each finds, where, and in which words; and what Cedar says of actions of which only some is known. */
import { describe, expect, test } from 'vitest';
import type { OperationDescription } from '../../src/action/catalogue.js';
import { rolesOfNoAgent, rolesOfNobody } from '../../src/policy/authoring/lint/approvers.js';
import type { Finding } from '../../src/policy/authoring/lint/finding.js';
import { historyFindings } from '../../src/policy/authoring/lint/history.js';
import { missingAmounts } from '../../src/policy/authoring/lint/limit-amounts.js';
import { lint, type LintKnowledge } from '../../src/policy/authoring/lint/lint.js';
import { neverMatching } from '../../src/policy/authoring/lint/matches.js';
import { unknownNames } from '../../src/policy/authoring/lint/names.js';
import { openProduction } from '../../src/policy/authoring/lint/open-production.js';
import { overruled } from '../../src/policy/authoring/lint/overruled.js';
import type { RegisteredTool } from '../../src/policy/authoring/registered.js';
import { SymbolicPolicy, type SymbolicAction } from '../../src/policy/authoring/symbolic.js';
import { bundleFromFiles, type Policy } from '../../src/policy/index.js';
import { policyInvalid } from '../../src/policy/problems.js';
import { policyFromText } from '../../src/testing/index.js';
import { PERMIT_ALL } from './facts.js';
import { schemaWith } from './input-example.js';

const SCHEMA = schemaWith('op?: String, amount?: Long, amuont?: Long, body?: { amount?: Long, amuont?: Long }');
const policyOf = (text: string, files: Readonly<Record<string, string>> = {}): Policy =>
  policyFromText({ 'schema.cedarschema': SCHEMA, 'a.cedar': text, ...files });
const forbid = (condition: string, id = 'f') =>
  `@id("${id}") forbid (principal, action, resource) when { ${condition} };`;

function operation(more: Partial<OperationDescription> = {}): OperationDescription {
  return {
    operation: 'refund',
    description: '',
    actionType: 'CALL_API',
    idempotent: false,
    fixed: {},
    arguments: { type: 'object', properties: { amount: { type: 'integer' } }, additionalProperties: false },
    ...more,
  };
}
const toolOf = (more: Partial<RegisteredTool> = {}): RegisteredTool => ({
  name: 'payments',
  kind: 'http',
  environment: 'live',
  operations: [operation()],
  ...more,
});
const silent = (more: Partial<RegisteredTool> = {}): RegisteredTool => {
  const { operations: _operations, ...tool } = toolOf({ name: 'silent', ...more });
  return tool;
};
/** What is told of findings, without their severities. */
const told = (findings: readonly Finding[]) =>
  findings.map(({ code, id, at, message, fix }) => ({
    code,
    id,
    at: typeof at === 'string' ? at : `${at.file}:${at.line}:${at.column}`,
    message,
    fix,
  }));
const named = (findings: readonly Finding[]) => findings.map(({ code, id }) => `${code} ${id}`);

describe('what is certain of an action of which only some is known', () => {
  const ANY = 'principal, action, resource';
  const WRITE: SymbolicAction = { actionType: 'WRITE' };
  const db = { name: 'db', kind: 'postgres', environment: 'live' };

  const cases: readonly (readonly [string, string, string, SymbolicAction, boolean | undefined])[] = [
    ['of any', ANY, '', WRITE, true],
    ['its type', 'principal, action == Countersign::Action::"WRITE", resource', '', WRITE, true],
    ['the agent alone', 'principal == Countersign::Agent::"bot", action, resource', '', WRITE, undefined],
    ['roles that are not known', 'principal in Countersign::Role::"r", action, resource', '', WRITE, undefined],
    ['its roles', 'principal in Countersign::Role::"r", action, resource', '', { ...WRITE, roles: ['r'] }, true],
    ['other roles', 'principal in Countersign::Role::"r", action, resource', '', { ...WRITE, roles: ['s'] }, false],
    ['no roles', 'principal in Countersign::Role::"r", action, resource', '', { ...WRITE, roles: [] }, false],
    ['its roles as texts', ANY, 'context.roles.contains("r")', { ...WRITE, roles: ['r'] }, true],
    ['roles as texts that are not known', ANY, 'context.roles.contains("r")', WRITE, undefined],
    ['its tenant', ANY, 'principal.tenant == "acme"', { ...WRITE, roles: [] }, undefined],
    ['its owner', ANY, 'principal has owner && principal.owner == "eve"', { ...WRITE, roles: [] }, undefined],
    ['a tool that is not known', 'principal, action, resource == Countersign::Tool::"db"', '', WRITE, undefined],
    ['its tool', 'principal, action, resource == Countersign::Tool::"db"', '', { ...WRITE, tool: db }, true],
    ['another tool', 'principal, action, resource == Countersign::Tool::"x"', '', { ...WRITE, tool: db }, false],
    ['its kind', ANY, 'resource.kind == "postgres"', { ...WRITE, tool: db }, true],
    ['another kind', ANY, 'resource.kind == "http"', { ...WRITE, tool: db }, false],
    [
      'a kind that is not known',
      ANY,
      'resource.kind == "http"',
      { ...WRITE, tool: { name: 'db', environment: 'live' } },
      undefined,
    ],
    ['its environment', ANY, 'resource.environment == "live"', { ...WRITE, tool: db }, true],
    ['its environment in the context', ANY, 'context.environment == "live"', { ...WRITE, tool: db }, true],
    ['another environment', ANY, 'context.environment == "test"', { ...WRITE, tool: db }, false],
    ['an environment that is not known', ANY, 'context.environment == "live"', WRITE, undefined],
    ['an environment alone', ANY, 'context.environment == "live"', { ...WRITE, tool: { environment: 'live' } }, true],
    ['its operation', ANY, 'context.operation == "o"', { ...WRITE, operation: 'o' }, true],
    ['another operation', ANY, 'context.operation == "p"', { ...WRITE, operation: 'o' }, false],
    ['an operation that is not known', ANY, 'context.operation == "p"', WRITE, undefined],
    ['rows', ANY, 'context.rows > 5', WRITE, undefined],
    ['targets', ANY, 'context.targets.contains("t")', WRITE, undefined],
    ['reads', ANY, 'context.reads.contains("t")', WRITE, undefined],
    ['a change of a schema', ANY, 'context.schemaChange', WRITE, undefined],
    ['the time', ANY, 'context.now < datetime("2030-01-01")', WRITE, undefined],
    ['sources', ANY, 'context.sources.contains("s") || context.untrustedSources.contains("s")', WRITE, undefined],
    ['what undoes another', ANY, 'context.compensates', WRITE, undefined],
    ['an argument', ANY, 'context has input.amount && context.input.amount < 5', WRITE, undefined],
    ['what cannot be', ANY, 'context.operation == "p" && context.rows > 5', { ...WRITE, operation: 'o' }, false],
  ];
  // One policy with a rule for each case.
  const policy = policyOf(
    cases
      .map(
        ([, scope, condition], i) =>
          `@id("r${i}") permit (${scope}) ${condition === '' ? '' : `when { ${condition} }`};`,
      )
      .join('\n'),
  );
  const symbolic = new SymbolicPolicy(policy.bundle);

  test.each(cases.map(([name, , , action, expected], i) => [name, i, action, expected] as const))(
    'by %s',
    (_, i, action, expected) => {
      expect([...symbolic.ask([policy.rule(`r${i}`)], action)]).toEqual([[`r${i}`, expected]]);
    },
  );

  test('by limits and history, where they are declared', () => {
    const policy = policyOf(
      forbid('context.limits has "few" && context.limits["few"].left < 1', 'l') +
        forbid('context.history.tested.done < 1', 'h'),
      {
        'limits.yaml': 'limits:\n  few: {kind: count, scope: agent, max: 5, window: 1d}\n',
        'history.yaml': 'history:\n  tested: {of: {tool: ci}, scope: tenant, within: 4h}\n',
      },
    );
    expect([...new SymbolicPolicy(policy.bundle).ask(policy.rules, WRITE)]).toEqual([
      ['l', undefined],
      ['h', undefined],
    ]);
  });

  test('is told of the rules of its type alone, and of none without asking', () => {
    const policy = policyOf(
      '@id("w") permit (principal, action == Countersign::Action::"WRITE", resource);@id("r") permit (principal, action == Countersign::Action::"READ", resource);',
    );
    const symbolic = new SymbolicPolicy(policy.bundle);
    expect([...symbolic.ask(policy.rules, WRITE)]).toEqual([['w', true]]);
    expect([...symbolic.ask(policy.rules, { actionType: 'DELETE' })]).toEqual([]);
  });
});

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

describe('facts of history', () => {
  const HISTORY = (of: string) => ({ 'history.yaml': `history:\n  tested: {of: ${of}, scope: tenant, within: 4h}\n` });
  const READS = `${PERMIT_ALL}@id("after") forbid (principal, action, resource) unless { context.history.tested.done >= 1 };`;

  test('that no rule reads are told', () => {
    expect(told(historyFindings(policyOf(PERMIT_ALL, HISTORY('{tool: ci}')), undefined))).toEqual([
      {
        code: 'history-unread',
        id: 'tested',
        at: 'history.yaml:2:3',
        message: 'no rule reads this fact, and it is looked up for every action',
        fix: 'Write the rule that reads context.history["tested"], or take the fact out.',
      },
    ]);
    expect(historyFindings(policyOf(READS, HISTORY('{tool: ci}')), undefined)).toEqual([]);
  });

  test('of tools and operations that are not registered are told, with those that are', () => {
    const tools = [
      toolOf({ name: 'ci', operations: [operation({ operation: 'test' }), operation({ operation: 'build' })] }),
      toolOf(),
    ];
    const found = (of: string, known: readonly RegisteredTool[] = tools) =>
      told(historyFindings(policyOf(READS, HISTORY(of)), known)).map(({ code, message, fix }) => [code, message, fix]);
    expect(found('{tool: [ic, ci]}')).toEqual([
      ['unknown-tool', 'no tool is called ic', 'Correct the name; known are ci, payments.'],
    ]);
    expect(found('{tool: ci, operation: [tets, test]}')).toEqual([
      ['unknown-operation', 'no operation is called tets in ci', 'Correct the name; known are build, test.'],
    ]);
    expect(found('{operation: tets}')).toEqual([
      [
        'unknown-operation',
        'no operation is called tets in ci, payments',
        'Correct the name; known are build, refund, test.',
      ],
    ]);
    expect(found('{operation: refund}')).toEqual([]);
    expect(found('{tool: ci, operation: refund}')).toHaveLength(1);
    // What does not describe itself may have any operation, and a tool that is not there has none to be corrected.
    expect(found('{operation: tets}', [...tools, silent()])).toEqual([]);
    expect(found('{tool: ic, operation: tets}').map(([code]) => code)).toEqual(['unknown-tool']);
  });

  test('read by the count that lets through too much are told, once for each rule and count', () => {
    const findings = (rule: string) =>
      told(historyFindings(policyOf(`${PERMIT_ALL}@id("r") ${rule};`, HISTORY('{tool: ci}')), undefined));
    const lets = {
      code: 'history-side',
      id: 'r',
      at: 'a.cedar:3:1',
      message: 'more of tested.possible lets an action through, although it counts what may never have happened',
      fix: 'Read done.',
    };
    const stops = {
      ...lets,
      message: 'more of tested.done stops an action, and what is under way or unknown is not counted in it',
      fix: 'Read possible.',
    };
    const on = (effect: string, condition: string) => `${effect} (principal, action, resource) ${condition}`;
    expect(findings(on('permit', 'when { context.history.tested.possible >= 1 }'))).toEqual([lets]);
    expect(findings(on('permit', 'when { context.history.tested.done >= 1 }'))).toEqual([]);
    expect(findings(on('permit', 'when { context.history.tested.done < 1 }'))).toEqual([stops]);
    expect(findings(on('permit', 'when { context.history.tested.possible < 1 }'))).toEqual([]);
    expect(findings(on('forbid', 'when { context.history.tested.done > 1 }'))).toEqual([stops]);
    expect(findings(on('forbid', 'when { context.history.tested.possible > 1 }'))).toEqual([]);
    expect(findings(on('forbid', 'unless { context.history.tested.possible >= 1 }'))).toEqual([lets]);
    expect(findings(on('forbid', 'when { context.history.tested.done == 1 }'))).toEqual([]);
    expect(findings(on('forbid', 'when { context.history.tested.possible == 1 }'))).toEqual([]);
    expect(
      findings(on('forbid', 'when { context.history.tested.done > 1 && context.history.tested.done > 2 }')),
    ).toEqual([stops]);
    expect(
      findings(on('permit', 'when { context.history.tested.possible > 1 && context.history.tested.done < 2 }')),
    ).toEqual([lets, stops]);
  });
});

describe('amounts of limits', () => {
  const limits = (text: string) => ({ 'limits.yaml': `limits:\n${text}` });
  const found = (text: string, tools: readonly RegisteredTool[] = [toolOf()]) =>
    told(missingAmounts(policyOf(PERMIT_ALL, limits(text)), tools));
  const BUDGET = '  money: {kind: budget, scope: agent, amount: input.amount, unit: EUR, max: 10, window: 1d}\n';

  test('that an input lacks are told at their place, with the tool, the operation and the reason', () => {
    const [finding, ...others] = found(BUDGET);
    expect(others).toEqual([]);
    expect(finding).toMatchObject({
      code: 'amount-missing',
      id: 'money',
      at: 'limits.yaml:2:47',
      fix: 'Say what is counted then: has(input.amount) ? input.amount : 0; or require the argument in the tool.',
    });
    expect(finding?.message).toMatch(
      /^payments refund takes an input without amount, which this limit cannot measure, so it is denied: .*\w/,
    );
  });

  test('are told once of each limit and argument, whatever other tools and operations lack it', () => {
    const other = '  more: {kind: budget, scope: agent, amount: input.amount, unit: USD, max: 10, window: 1d}\n';
    const tools = [
      toolOf({ operations: [operation({ alsoNamed: ['sql'] }), operation({ operation: 'again' })] }),
      toolOf({ name: 'second' }),
    ];
    expect(found(BUDGET + other, tools).map(({ id, message }) => [id, message.split(',')[0]])).toEqual([
      ['money', 'payments refund takes an input without amount'],
      ['more', 'payments refund takes an input without amount'],
    ]);
  });

  test('are tried by each name of an operation, its action type, tool and environment', () => {
    const when = (condition: string) => BUDGET.replace('window: 1d', `window: 1d, when: '${condition}'`);
    const tool = toolOf({ operations: [operation({ alsoNamed: ['sql'] })] });
    const count = (condition: string) => found(when(condition), [tool]).length;
    expect(
      [
        'operation == "sql"',
        'operation == "refund"',
        'operation == "other"',
        'actionType == "CALL_API"',
        'actionType == "READ"',
        'tool.name == "payments"',
        'tool.environment == "live"',
        'tool.kind == "http"',
        'tool.kind == "mcp"',
      ].map(count),
    ).toEqual([1, 1, 0, 1, 0, 1, 1, 1, 0]);
    expect(found(when('operation == "sql"'), [tool])[0]?.message).toMatch(/^payments sql takes/);
  });

  test('find every fact of an action, as one that is usual has it', () => {
    const facts = [
      'agent.id != ""',
      'agent.owner != ""',
      'size(agent.roles) == 0',
      'preview.rows == 1',
      'size(preview.targets) == 1 && preview.targets[0] != ""',
      'size(preview.reads) == 1 && preview.reads[0] != ""',
      '!preview.schemaChange',
    ];
    for (const fact of facts)
      expect([fact, found(BUDGET.replace('input.amount', `'${fact} ? 1.0 : input.nothing'`))]).toEqual([fact, []]);
  });

  test('with null are told as that, and what a condition cannot read is told at the condition', () => {
    const nullable = operation({
      arguments: {
        type: 'object',
        properties: { amount: { type: ['integer', 'null'] } },
        required: ['amount'],
        additionalProperties: false,
      },
    });
    expect(found(BUDGET, [toolOf({ operations: [nullable] })]).map(({ message }) => message.split(',')[0])).toEqual([
      'payments refund takes an input with amount = null',
    ]);
    expect(
      found('  few: {kind: count, scope: agent, max: 1, window: 1d, when: input.amount > 1}\n').map(({ at, id }) => [
        at,
        id,
      ]),
    ).toEqual([['limits.yaml:2:62', 'few']]);
    const whole = operation({ arguments: { type: 'object', properties: {} } });
    expect(found(BUDGET, [toolOf({ operations: [whole] })])[0]?.message).toMatch(
      /^payments refund takes an input, which/,
    );
    expect(found('  few: {kind: count, scope: agent, max: 1, window: 1d}\n')).toEqual([]);
    expect(found(BUDGET, [silent()])).toEqual([]);
  });
});

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

describe('lint', () => {
  const linted = (text: string, knowledge: LintKnowledge = {}, files: Readonly<Record<string, string>> = {}) =>
    lint(
      () => Promise.resolve(bundleFromFiles({ 'schema.cedarschema': SCHEMA, 'a.cedar': text, ...files })),
      knowledge,
    );
  const PERMIT = '@id("p") permit (principal in Countersign::Role::"r", action, resource);\n';

  test('says what it did not check, and why', async () => {
    const notChecked = async (knowledge: LintKnowledge) => (await linted(PERMIT, knowledge)).notChecked;
    expect(await notChecked({})).toEqual([
      'names of tools, operations, environments, targets and arguments, and amounts of limits: no config was given',
      'roles of agents: which there are was not given (--roles)',
      'roles of people: which there are was not given (--roles)',
    ]);
    expect(
      await notChecked({
        tools: [silent(), silent({ name: 'other', targets: [] }), toolOf({ targets: ['t'] })],
        agentRoles: ['r'],
        peoplesRoles: [],
      }),
    ).toEqual([
      'operations and arguments of silent, other: the tool does not describe itself',
      'targets of silent: the config does not say which there are',
    ]);
    expect(await notChecked({ tools: [toolOf({ targets: [] })], agentRoles: ['r'], peoplesRoles: [] })).toEqual([]);
  });

  test('tells what is refused, once for all action types, and nothing else', async () => {
    const at = { file: 'a.cedar', line: 3, column: 1 };
    const refused = (...messages: string[]) =>
      lint(() => {
        const [first, ...others] = messages.map((message) => ({ at, message, fix: 'fix' }));
        return Promise.reject(policyInvalid([first!, ...others]));
      });
    expect(await refused('x Countersign::Action::"READ" y', 'x Countersign::Action::"WRITE" y', 'another')).toEqual({
      findings: [
        { code: 'invalid', severity: 'error', at, message: 'x Countersign::Action::"WRITE" y', fix: 'fix' },
        { code: 'invalid', severity: 'error', at, message: 'another', fix: 'fix' },
      ],
      notChecked: ['everything else: a bundle that is refused has no rules'],
    });
  });

  test('does not tell of a rule with a wrong name that it matches nothing', async () => {
    const wrong = `${PERMIT}@id("w") forbid (principal, action, resource == Countersign::Tool::"paymnets");
@id("u") forbid (principal, action == Countersign::Action::"READ", resource);`;
    expect(named((await linted(wrong, { tools: [toolOf()] })).findings)).toEqual(['unknown-tool w', 'unmatched u']);
    const both = `${PERMIT}@id("w") forbid (principal, action, resource == Countersign::Tool::"paymnets") when { context.rows > 5 && context.rows < 4 };`;
    expect(named((await linted(both, { tools: [toolOf()] })).findings)).toEqual(['never-matches w', 'unknown-tool w']);
  });

  test('tells all that it knows of, in the order of their places', async () => {
    const history = 'history:\n  tested: {of: {tool: ci}, scope: tenant, within: 4h}\n';
    const limits =
      'limits:\n  money: {kind: budget, scope: agent, amount: input.amount, unit: EUR, max: 10, window: 1d, atLimit: approve by boss}\n';
    const schema = SCHEMA.replace(
      'namespace Countersign {',
      'namespace Countersign {\n  // <generated by countersign policy schema>\n  // </generated>',
    )
      .replace(/ {2}type Input = \{[^]*?^ {2}\};\n/m, '')
      .replace(/^ {4}input\?: Input,\n/m, '');
    const { findings } = await linted(
      `${PERMIT}@id("open") permit (principal, action, resource);\n@id("open-too") permit (principal, action, resource);`,
      { tools: [toolOf()], agentRoles: [], peoplesRoles: ['dba'] },
      { 'history.yaml': history, 'limits.yaml': limits, 'schema.cedarschema': schema },
    );
    expect(findings.map(({ code, id, fix }) => [code, id, code === 'schema-outdated' ? fix : ''])).toEqual([
      ['unknown-role', 'p', ''],
      ['production-open', 'open', ''],
      ['duplicate', 'open-too', ''],
      ['production-open', 'open-too', ''],
      ['history-unread', 'tested', ''],
      ['unknown-tool', 'tested', ''],
      ['nobody-approves', 'money', ''],
      ['amount-missing', 'money', ''],
      ['schema-outdated', undefined, 'Run `countersign policy schema --write`.'],
    ]);
    expect(findings.at(-1)).toMatchObject({
      at: 'schema.cedarschema',
      message: 'its generated part is not what the registered tools give',
    });
  });
});
