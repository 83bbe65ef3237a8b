/** What lint says of facts of history and of amounts of limits: which nothing reads, which cannot be measured, and where. */
import { describe, expect, test } from 'vitest';
import { historyFindings } from '../../src/policy/authoring/lint/history.js';
import { missingAmounts } from '../../src/policy/authoring/lint/limit-amounts.js';
import type { RegisteredTool } from '../../src/policy/authoring/registered.js';
import { PERMIT_ALL } from './facts.js';
import { operation, policyOf, silent, told, toolOf } from './lint-support.js';

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
