/** history.yaml as it is read, how rules may read it, and what a policy sees of it: every mistake is told with its place, what was expected and a fix. */
import { describe, expect, test } from 'vitest';
import type { HistoryFigure } from '../../src/action/history.js';
import type { LimitFigure } from '../../src/action/limits.js';
import { newCedar } from '../../src/policy/cedar.js';
import { historyContext, historyType } from '../../src/policy/history/cedar.js';
import { parseHistory } from '../../src/policy/history/read.js';
import { historyUses, sameAnswers } from '../../src/policy/history/uses.js';
import { actionsWith, limitsContext, limitsType } from '../../src/policy/limits/cedar.js';
import type { BundleProblem } from '../../src/policy/problems.js';

const cedar = newCedar();

function read(text: string) {
  const problems: BundleProblem[] = [];
  return { ...parseHistory(text, problems), problems };
}
const told = ({ at, ...problem }: BundleProblem) => ({
  ...problem,
  at: typeof at === 'string' ? at : `${at.line}:${at.column}`,
});
const FACT = 'of: { tool: ci }, scope: task, within: 4h';

describe('a file of history facts', () => {
  test('has each of them with all that it says, sorted and once, and a default for how it ended', () => {
    const { facts, problems } = read(`history:
  tested: { of: { tool: [ci, cd, ci], operation: t, actionType: READ, environment: e, targets: [B, a], reads: X }, scope: [task, agent], same: [input.b, input.a.c], outcome: [mismatch, failed], within: 4h, wait: 30s }
  plain: { ${FACT} }
`);
    expect(problems).toEqual([]);
    expect(facts).toEqual([
      {
        id: 'tested',
        place: { file: 'history.yaml', line: 2, column: 3 },
        of: {
          tool: ['cd', 'ci'],
          operation: ['t'],
          actionType: ['READ'],
          environment: ['e'],
          targets: ['a', 'b'],
          reads: ['x'],
        },
        scope: ['agent', 'task'],
        same: ['a.c', 'b'],
        outcomes: ['failed', 'mismatch'],
        withinMs: 14_400_000,
        waitMs: 30_000,
      },
      {
        id: 'plain',
        place: { file: 'history.yaml', line: 3, column: 3 },
        of: { tool: ['ci'] },
        scope: ['task'],
        same: [],
        outcomes: ['success'],
        withinMs: 14_400_000,
      },
    ]);
    expect(Object.keys(facts[1]?.of ?? {})).toEqual(['tool']);
    expect(read('history: {}')).toEqual({ facts: [], problems: [] });
  });

  test.each<[string, object]>([
    ['facts: {}', { at: '1:1', message: 'it has no map of facts', expected: 'history: and, under it, facts by id' }],
    [
      'history: {}\nmore: 1',
      {
        at: '2:1',
        message: '"more" is unknown',
        expected: 'history, and nothing beside it',
        fix: 'Put the fact under history, or take it out.',
      },
    ],
    [
      'history: []',
      { at: '1:10', message: 'it has no map of facts', fix: expect.stringContaining('history: {tested:') as string },
    ],
    [
      `history: { A: { ${FACT} } }`,
      {
        at: '1:12',
        message: '"A" is not a usable id',
        expected: 'a-z, 0-9 and -, at most 64 characters',
        fix: 'Rename the fact, for instance: tested',
      },
    ],
    [`history: { ${'a'.repeat(65)}: { ${FACT} } }`, { message: `"${'a'.repeat(65)}" is not a usable id` }],
    [
      'history: { a: 4 }',
      {
        at: '1:15',
        message: 'history.a is no map',
        expected: 'a fact with of, scope, same, outcome, within, wait',
        fix: 'Write its fields under it, each on a line of its own.',
      },
    ],
    [
      `history: { a: { ${FACT}, max: 3 } }`,
      {
        at: '1:60',
        message: 'history.a: "max" is unknown',
        expected: 'a fact has of, scope, same, outcome, within, wait',
        fix: 'Correct its name, or take it out.',
      },
    ],
    [
      'history: { a: { of: { tool: ci, table: x }, scope: task, within: 4h } }',
      {
        message: 'history.a: "table" is unknown',
        expected: 'of has tool, operation, actionType, environment, targets, reads',
      },
    ],
    [
      'history: { a: { of: { tool: ci }, scope: task } }',
      {
        at: '1:12',
        message: 'history.a: a fact needs within',
        expected: 'a time such as 30s, 15m, 4h or 7d, at most 366 days',
        fix: 'Give within a time such as 30s, 15m, 4h or 7d, at most 366 days.',
      },
    ],
    [
      'history: { a: { of: {}, scope: task, within: 4h } }',
      {
        message: 'history.a: of: it says of no action what it must be',
        expected: 'at least one of tool, operation, actionType, environment, targets, reads',
      },
    ],
    [
      'history: { a: { of: { tool: " " }, scope: task, within: 4h } }',
      { message: 'history.a: of.tool: " " will not do', expected: 'the name of a tool, or a list of them' },
    ],
    [
      'history: { a: { of: { tool: [] }, scope: task, within: 4h } }',
      { message: 'history.a: of.tool: [] will not do' },
    ],
    [
      'history: { a: { of: { actionType: PURGE }, scope: task, within: 4h } }',
      { expected: 'READ, WRITE, DELETE, CALL_API, or a list of them' },
    ],
    [
      'history: { a: { of: { operation: "" }, scope: task, within: 4h } }',
      { message: 'history.a: of.operation: "" will not do' },
    ],
    [
      'history: { a: { of: { tool: ci }, scope: x, within: 4h } }',
      {
        message: 'history.a: scope: "x" will not do',
        expected: 'one of tenant, agent, task, target, or a list of them',
      },
    ],
    [
      `history: { a: { ${FACT}, same: orderId } }`,
      {
        message: 'history.a: same: "orderId" will not do',
        expected: 'an argument such as input.orderId, or a list of them, at most 8',
      },
    ],
    [
      `history: { a: { ${FACT}, outcome: unknown } }`,
      { expected: 'one of success, mismatch, failed, or a list of them' },
    ],
    [
      'history: { a: { of: { tool: ci }, scope: task, within: 367d } }',
      { message: 'history.a: within: "367d" will not do' },
    ],
    [
      `history: { a: { ${FACT}, wait: 25h } }`,
      { message: 'history.a: wait: "25h" will not do', expected: 'a time such as 30s or 10m, at most a day' },
    ],
    [`history: { a: { ${FACT}, wait: soon } }`, { message: 'history.a: wait: "soon" will not do' }],
  ])('is refused as %s', (text, problem) => {
    const { facts, problems } = read(text);
    expect(facts).toEqual([]);
    expect(problems.map(told)[0]).toMatchObject(problem);
    for (const { fix } of problems) expect(fix).toMatch(/\w/);
  });

  test('may have what lies on its bounds', () => {
    expect(read('history: { a: { of: { tool: ci }, scope: task, within: 366d, wait: 1d } }').problems).toEqual([]);
    const many = (count: number) =>
      `history:\n${Array.from({ length: count }, (_, i) => `  f${i}: { ${FACT} }\n`).join('')}`;
    expect(read(many(50)).facts).toHaveLength(50);
    expect(read(many(51)).problems.map(told)).toEqual([
      { at: '1:1', message: 'it has 51 facts', expected: 'at most 50', fix: 'Take out facts that no rule reads.' },
    ]);
    expect(read(`history: {}\n#${' '.repeat(64 * 1024 - 13)}`).problems).toEqual([]);
    expect(read(`history: {}\n#${' '.repeat(64 * 1024 - 12)}`).problems).toEqual([
      { at: 'history.yaml', message: 'it is over 65536 characters', fix: 'Take out facts that no rule reads.' },
    ]);
  });

  test('is told whole: what is wrong with it comes in the order of its lines, and what is right is read', () => {
    const { facts, problems } = read(`history:
  A: { ${FACT}, more: 1, wait: never }
  good: { ${FACT} }
  b: { of: { tool: ci } }
`);
    expect(facts.map(({ id }) => id)).toEqual(['good']);
    const places = problems.map(told).map(({ at }) => at);
    expect(places).toEqual([...places].sort((a, b) => a.localeCompare(b, 'en', { numeric: true })));
    expect(problems.length).toBe(5);
  });

  test('that is no YAML says so in its own name', () => {
    expect(read('history: [').problems[0]?.at).toMatchObject({ file: 'history.yaml' });
  });
});

describe('a rule', () => {
  const uses = (conditions: string) => {
    const parsed = cedar.policyToJson(`forbid (principal, action, resource) ${conditions};`);
    if (parsed.type === 'failure') throw new Error(JSON.stringify(parsed.errors));
    const problems: BundleProblem[] = [];
    const place = { file: 'a.cedar', line: 1, column: 1 };
    const found = historyUses({ id: 'r', json: parsed.json, place }, problems);
    return {
      found: found.map(
        ({ fact, count, bound, appliesWith }) =>
          `${fact}.${count} ${bound}${appliesWith === undefined ? '' : ` ${appliesWith}`}`,
      ),
      problems,
    };
  };
  const A = 'context.history.a.done';

  test.each<[string, string[]]>([
    [`when { ${A} >= 1 }`, ['a.done 1 more']],
    [`when { ${A} > 1 }`, ['a.done 1 more']],
    [`when { ${A} <= 1 }`, ['a.done 1 less']],
    [`when { ${A} < 100 }`, ['a.done 100 less']],
    [`when { 1 <= ${A} }`, ['a.done 1 more']],
    [`when { 1 > ${A} }`, ['a.done 1 less']],
    [`when { ${A} == 0 }`, ['a.done 0']],
    [`when { ${A} != 0 }`, ['a.done 0']],
    [`when { 0 == ${A} }`, ['a.done 0']],
    [`unless { ${A} >= 1 }`, ['a.done 1 less']],
    [`when { !(${A} >= 1) }`, ['a.done 1 less']],
    [`unless { !(${A} >= 1) }`, ['a.done 1 more']],
    [
      `when { context.rows > 5 && (${A} >= 1 || context.history["b-c"].possible < 2) }`,
      ['a.done 1 more', 'b-c.possible 2 less'],
    ],
    [`when { if ${A} >= 1 then true else false }`, ['a.done 1']],
    [`when { [${A} >= 1].contains(true) }`, ['a.done 1']],
    [`when { context has history.a && ${A} >= 1 }`, ['a.done 1 more']],
    ['when { context.rows > 5 && resource.environment == "x" }', []],
    ['when { principal in Countersign::Role::"context" }', []],
  ])('{%s} reads %j', (conditions, expected) => {
    expect(uses(conditions)).toEqual({ found: expected, problems: [] });
  });

  test.each([
    [`when { ${A} >= context.rows }`, 'compares a count of context.history with something else than a number'],
    [`when { ${A} >= 101 }`, 'compares a count of context.history with something else than a number'],
    [`when { ${A} >= -1 }`, 'compares a count of context.history with something else than a number'],
    [`when { ${A} == "1" }`, 'compares a count of context.history with something else than a number'],
    [`when { ${A} + 1 >= 2 }`, 'uses context.history in another way than to compare its counts'],
    ['when { context.history == context.history }', 'uses context.history in another way than to compare its counts'],
    ['when { context.history has a }', 'uses context.history in another way than to compare its counts'],
    [`when { [${A}].contains(1) }`, 'uses context.history in another way than to compare its counts'],
    ['when { context == context }', 'uses the context as a whole, and so context.history'],
    ['when { {a: context} == {a: 1} }', 'uses the context as a whole, and so context.history'],
  ])('{%s} is refused', (conditions, message) => {
    const { found, problems } = uses(conditions);
    expect(found).toEqual([]);
    expect(problems[0]).toEqual({
      at: { file: 'a.cedar', line: 1, column: 1 },
      message: `r ${message}`,
      expected: 'comparisons such as context.history.tested.done >= 1, with a whole number from 0 to 100 written out',
      fix: 'Compare each count with a number; for more than that, declare a limit.',
    });
  });

  test.each<[number, number[], [number, number]]>([
    [5, [], [0, 100]],
    [5, [3], [4, 100]],
    [5, [7], [0, 6]],
    [5, [5], [5, 5]],
    [5, [1, 3, 7, 9], [4, 6]],
    [0, [0], [0, 0]],
    [100, [100], [100, 100]],
  ])('with %i found and %j compared answers alike within %j', (value, bounds, range) => {
    expect(sameAnswers(value, bounds)).toEqual(range);
  });
});

describe('what a policy sees of history', () => {
  const set = { facts: [{ id: 'a-b' }, { id: 'c' }] } as unknown as Parameters<typeof historyContext>[1];
  const figure = (fact: string, more: Partial<HistoryFigure> = {}): HistoryFigure => ({
    fact,
    done: 1,
    underWay: 0,
    possible: 2,
    text: '',
    ...more,
  });

  test('are two counts of each fact that is declared, in a type that has each of them', () => {
    expect(historyContext([figure('c'), figure('a-b', { done: 0, possible: 100 }), figure('other')], set)).toEqual({
      'a-b': { done: 0, possible: 100 },
      c: { done: 1, possible: 2 },
    });
    expect(historyType(['a-b', 'c'])).toBe(
      'type History = {\n  "a-b": { done: Long, possible: Long },\n  "c": { done: Long, possible: Long },\n};\n',
    );
    expect(historyType([])).toBe('type History = {\n};\n');
  });

  test.each<[string, readonly HistoryFigure[] | undefined, string]>([
    ['nothing is known of them', undefined, 'it is not known what the history fact a-b was'],
    ['one is missing', [figure('a-b')], 'it is not known what the history fact c was'],
    [
      'a count is no whole number',
      [figure('a-b', { done: 0.5 }), figure('c')],
      'a figure of the history fact a-b is no whole number from 0 to 100',
    ],
    [
      'a count is below nothing',
      [figure('a-b'), figure('c', { possible: -1 })],
      'a figure of the history fact c is no whole number',
    ],
    [
      'a count is too large',
      [figure('a-b'), figure('c', { possible: 101 })],
      'a figure of the history fact c is no whole number',
    ],
    ['a count is a text', [figure('a-b', { done: '1' as never }), figure('c')], 'a figure of the history fact a-b'],
  ])('is an error where %s', (_, figures, message) => {
    expect(() => historyContext(figures, set)).toThrow(
      expect.objectContaining({
        code: 'POLICY_ERROR',
        message: expect.stringContaining(message) as string,
        field: expect.stringMatching(/^history\.(a-b|c)$/) as string,
      }) as Error,
    );
  });
});

describe('what a policy sees of limits', () => {
  const figure = (more: Partial<LimitFigure> = {}): LimitFigure => ({
    limit: 'a',
    key: '',
    kind: 'budget',
    max: 10,
    used: 1,
    held: 2,
    left: 7,
    fits: true,
    text: '',
    ...more,
  });
  const see = (...figures: LimitFigure[]) => limitsContext(figures, new Set(['a', 'b']));

  test('are its own, each in whole numbers that are never too favourable', () => {
    expect(
      see(
        figure(),
        figure({ limit: 'other' }),
        figure({ limit: 'b', max: 1.9, used: 0.1, held: 0.1, left: 1.7, fits: false }),
      ),
    ).toEqual({
      a: { max: 10, used: 1, held: 2, left: 7, fits: true },
      b: { max: 1, used: 1, held: 1, left: 1, fits: false },
    });
    expect(see(figure({ left: Infinity, used: -Infinity }))['a']).toMatchObject({
      left: Number.MAX_SAFE_INTEGER,
      used: -Number.MAX_SAFE_INTEGER,
    });
    expect(Object.is((see(figure({ used: -0.5 }))['a'] as { used: number }).used, 0)).toBe(true);
  });

  test('are the tightest of several counters: the one with the least left, and one that does not fit before all that do', () => {
    const left = (...figures: LimitFigure[]) => (see(...figures)['a'] as { left: number }).left;
    expect(left(figure({ left: 5 }), figure({ left: 3 }), figure({ left: 4 }))).toBe(3);
    expect(left(figure({ left: 3 }), figure({ left: 9, fits: false }), figure({ left: 1 }))).toBe(9);
    expect(left(figure({ left: 9, fits: false }), figure({ left: 8, fits: false }))).toBe(8);
  });

  test('is an error where a figure is no number', () => {
    for (const bad of [Number.NaN, '5', null]) {
      expect(() => see(figure({ held: bad as number }))).toThrow(
        expect.objectContaining({
          code: 'POLICY_ERROR',
          field: 'limits.a',
          expected: 'a number',
          message: 'a figure of the limit a is not a number',
        }) as Error,
      );
    }
  });

  test('has a type with each of them, which may be absent', () => {
    expect(limitsType(['a-b'])).toBe(
      'type Limits = {\n  "a-b"?: { max: Long, used: Long, held: Long, left: Long, fits: Bool },\n};\n',
    );
  });

  test('is there for the actions whose context declares it, whichever way', () => {
    const declared = (text: string) => {
      const parsed = cedar.schemaToJson(text);
      if (parsed.type === 'failure') throw new Error(JSON.stringify(parsed.errors));
      return [...actionsWith('edited', parsed.json)].sort();
    };
    const schema = (types: string, context: string, others = '') => `${others}
namespace Countersign { entity A; ${types}
  action READ, DELETE appliesTo { principal: A, resource: A, context: ${context} };
  action WRITE appliesTo { principal: A, resource: A, context: {} };
  action CALL_API; }`;
    expect(declared(schema('', '{ edited: Bool }'))).toEqual(['DELETE', 'READ']);
    expect(declared(schema('type F = { edited?: Bool };', 'F'))).toEqual(['DELETE', 'READ']);
    expect(declared(schema('type F = G; type G = { edited: Bool };', 'F'))).toEqual(['DELETE', 'READ']);
    expect(declared(schema('', 'Outer', 'type Outer = { edited: Bool };'))).toEqual(['DELETE', 'READ']);
    expect(declared(schema('', 'Other::F', 'namespace Other { type F = { edited: Bool }; }'))).toEqual([
      'DELETE',
      'READ',
    ]);
    expect(declared(schema('type F = { rows: Long };', 'F'))).toEqual([]);
    expect(
      declared(
        'namespace Other { entity A; action READ appliesTo { principal: A, resource: A, context: { edited: Bool } }; }',
      ),
    ).toEqual([]);
  });
});
