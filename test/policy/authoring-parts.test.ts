/** The parts that lint and explain stand on: what schemas of arguments allow, what conditions say, and which of them contradict themselves. */
import { describe, expect, test } from 'vitest';
import type { OperationDescription } from '../../src/action/catalogue.js';
import type { JsonObject } from '../../src/action/json.js';
import { argumentKnown, inputSchema, sampleInputs, variants } from '../../src/policy/authoring/arguments.js';
import {
  conjuncts,
  entityOf,
  literalOf,
  pathOf,
  residualTruth,
  textsOf,
  walk,
} from '../../src/policy/authoring/expression.js';
import { formatCedar } from '../../src/policy/authoring/format.js';
import { contradictedPath } from '../../src/policy/authoring/lint/bounds.js';
import { finding, inOrder } from '../../src/policy/authoring/lint/finding.js';
import { nearest } from '../../src/policy/authoring/lint/nearest.js';
import {
  operationNames,
  possibleActions,
  registeredTools,
  type RegisteredTool,
} from '../../src/policy/authoring/registered.js';
import { newCedar } from '../../src/policy/cedar.js';

const cedar = newCedar();

function policyOf(conditions: string) {
  const parsed = cedar.policyToJson(`permit (principal, action, resource) ${conditions};`);
  if (parsed.type === 'failure') throw new Error(JSON.stringify(parsed.errors));
  return parsed.json;
}
const conditionOf = (condition: string) => {
  const [clause] = policyOf(`when { ${condition} }`).conditions;
  if (clause === undefined) throw new Error('There is a condition.');
  return clause.body;
};

function operation(args: JsonObject, more: Partial<OperationDescription> = {}): OperationDescription {
  return {
    operation: 'op',
    description: '',
    actionType: 'WRITE',
    idempotent: false,
    arguments: args,
    fixed: {},
    ...more,
  };
}

describe('an argument', () => {
  const knows = (args: JsonObject, path: string, more: Partial<OperationDescription> = {}) =>
    argumentKnown(operation(args, more), path.split('.'));
  const closed = (properties: JsonObject): JsonObject => ({ type: 'object', properties, additionalProperties: false });

  test.each<[string, JsonObject, string, boolean]>([
    ['a property', closed({ a: { type: 'string' } }), 'a', true],
    ['no property', closed({ a: { type: 'string' } }), 'b', false],
    ['an inherited name', closed({}), 'constructor', false],
    ['any, where nothing closes the object', { type: 'object', properties: {} }, 'b', true],
    ['any of the type of the others', { type: 'object', additionalProperties: closed({ x: {} }) }, 'b.x', true],
    ['none of another type than the others', { type: 'object', additionalProperties: closed({ x: {} }) }, 'b.y', false],
    ['a property within', closed({ a: closed({ b: {} }) }), 'a.b', true],
    ['no property within', closed({ a: closed({ b: {} }) }), 'a.c', false],
    ['none within a text', closed({ a: { type: 'string' } }), 'a.b', false],
    ['one within what may be an object', closed({ a: { type: ['string', 'object'] } }), 'a.b', true],
    ['none within what may be no object', closed({ a: { type: ['string', 'null'] } }), 'a.b', false],
    ['anything within true', closed({ a: true }), 'a.b.c', true],
    ['nothing within false', closed({ a: false }), 'a.b', false],
    ['one of any of', closed({ a: { anyOf: [{ type: 'string' }, closed({ b: {} })] } }), 'a.b', true],
    ['one of one of', closed({ a: { oneOf: [{ type: 'string' }, closed({ b: {} })] } }), 'a.b', true],
    ['none of any of', closed({ a: { anyOf: [{ type: 'string' }, closed({ b: {} })] } }), 'a.c', false],
    [
      'behind a reference',
      { ...closed({ a: { $ref: '#/$defs/x~1y' } }), $defs: { 'x/y': closed({ b: {} }) } },
      'a.b',
      true,
    ],
    [
      'not behind a reference',
      { ...closed({ a: { $ref: '#/$defs/x' } }), $defs: { x: closed({ b: {} }) } },
      'a.c',
      false,
    ],
    ['anything behind a reference to nowhere', closed({ a: { $ref: '#/$defs/none' } }), 'a.b', true],
    ['anything behind a reference to elsewhere', closed({ a: { $ref: 'https://example.com/x' } }), 'a.b', true],
    ['the root again', closed({ a: { $ref: '#' } }), 'a.a.a', true],
  ])('can be %s', (_, args, path, expected) => {
    expect(knows(args, path)).toBe(expected);
  });

  test('can be what the operation fixes, and lies where the tool looks for it', () => {
    expect(knows(closed({ a: {} }), 'op', { fixed: { op: 'x' } })).toBe(true);
    const within = { fixed: { op: 'x' }, argumentsIn: 'args' };
    expect([
      knows(closed({ a: {} }), 'args.a', within),
      knows(closed({ a: {} }), 'a', within),
      knows(closed({ a: {} }), 'op', within),
    ]).toEqual([true, false, true]);
    expect(inputSchema(operation(closed({ a: {} }), within)).schema).toEqual({
      type: 'object',
      properties: { op: { const: 'x' }, args: closed({ a: {} }) },
      required: ['args'],
      additionalProperties: false,
    });
    expect(inputSchema(operation({ type: 'object' }, { fixed: { op: 'x' } })).schema).toEqual({
      type: 'object',
      properties: { op: { const: 'x' } },
    });
  });

  test('may be anything, where references lead in a circle', () => {
    const circle = { $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/a' } } };
    expect(variants({ schema: circle, root: circle })).toHaveLength(1);
  });
});

describe('samples of inputs', () => {
  const lacks = (args: JsonObject, more: Partial<OperationDescription> = {}) =>
    sampleInputs(operation(args, more)).map(({ lacks: what }) => what ?? 'nothing');
  const whole = (properties: JsonObject) =>
    sampleInputs(operation({ type: 'object', properties, required: Object.keys(properties) }))[0]?.input;

  test('have a value of each type, the one that is given first', () => {
    expect(
      whole({
        text: { type: 'string' },
        whole: { type: 'integer' },
        number: { type: 'number', minimum: 5 },
        small: { type: 'number', minimum: -5 },
        flag: { type: 'boolean' },
        list: { type: 'array', items: { type: 'integer' } },
        any: { type: 'array' },
        record: { type: 'object', properties: { a: { type: 'boolean' } } },
        either: { type: ['null', 'integer'] },
        one: { anyOf: [{ type: 'null' }, { type: 'boolean' }] },
        fixed: { const: 'x' },
        usual: { type: 'string', default: 'd' },
        chosen: { enum: [null, 'b', 'c'] },
        example: { type: 'string', examples: ['e'] },
        all: { const: 'c', default: 'd', enum: ['e'] },
        free: true,
      }),
    ).toEqual({
      text: 'text',
      whole: 1,
      number: 5,
      small: 1,
      flag: true,
      list: [1],
      any: ['text'],
      record: { a: true },
      either: 1,
      one: true,
      fixed: 'x',
      usual: 'd',
      chosen: 'b',
      example: 'e',
      all: 'c',
      free: 'text',
    });
  });

  test('are one with everything, one without each that may be absent, and one with each null that may be null', () => {
    const args: JsonObject = {
      type: 'object',
      required: ['must', 'record'],
      properties: {
        must: { type: 'string' },
        may: { type: 'string' },
        maybe: { type: ['string', 'null'] },
        record: { type: 'object', properties: { inner: { type: 'integer', nullable: true } } },
        choice: { enum: ['a', null] },
        nothing: { const: null },
        none: { type: 'null' },
        some: { anyOf: [{ type: 'string' }, { type: 'null' }] },
        set: { enum: ['a'] },
      },
    };
    expect(lacks(args)).toEqual([
      'nothing',
      'may',
      'maybe',
      'maybe = null',
      'record.inner',
      'record.inner = null',
      'choice',
      'choice = null',
      'nothing',
      'nothing = null',
      'none',
      'none = null',
      'some',
      'some = null',
      'set',
    ]);
    const samples = sampleInputs(operation(args));
    expect(samples.find(({ lacks: what }) => what === 'may')?.input).not.toHaveProperty('may');
    expect(samples.find(({ lacks: what }) => what === 'maybe = null')?.input).toMatchObject({
      must: 'text',
      maybe: null,
    });
    expect(samples.find(({ lacks: what }) => what === 'record.inner')?.input).toMatchObject({ record: {} });
    expect(samples.find(({ lacks: what }) => what === 'record.inner = null')?.input).toMatchObject({
      record: { inner: null },
    });
  });

  test('lie where the tool looks for them, and are told with where that is', () => {
    const args: JsonObject = { type: 'object', properties: { a: { type: 'string' } } };
    const samples = sampleInputs(operation(args, { fixed: { op: 'x' }, argumentsIn: 'args' }));
    expect(samples).toEqual([
      { input: { op: 'x', args: { a: 'text' } } },
      { input: { op: 'x', args: {} }, lacks: 'args.a' },
    ]);
  });

  test('end where a schema contains itself', () => {
    const args: JsonObject = { type: 'object', properties: { next: { $ref: '#' } } };
    const [first, ...others] = sampleInputs(operation(args));
    expect(JSON.stringify(first?.input).split('next')).toHaveLength(8);
    expect(others).toHaveLength(7);
  });
});

describe('a condition', () => {
  const parts = (conditions: string) => conjuncts(policyOf(conditions).conditions).length;

  test.each([
    ['when { context.rows > 1 }', 1],
    ['when { context.rows > 1 && context.rows < 5 && context.schemaChange }', 3],
    ['when { context.rows > 1 } when { context.schemaChange }', 2],
    ['when { context.rows > 1 || context.schemaChange }', 1],
    ['unless { context.rows > 1 || context.schemaChange }', 2],
    ['unless { context.rows > 1 && context.schemaChange }', 1],
    ['unless { !(context.rows > 1 && context.schemaChange) }', 2],
    ['when { !(context.rows > 1 || context.schemaChange) }', 2],
    ['when { !!(context.rows > 1 && context.schemaChange) }', 2],
  ])('%s has %i parts that must all be true', (conditions, count) => {
    expect(parts(conditions)).toBe(count);
  });

  test('is read by paths, literals, entities and sets', () => {
    const left = (text: string) =>
      (conditionOf(`${text} == 1`) as unknown as { '==': { left: Parameters<typeof pathOf>[0] } })['=='].left;
    expect(pathOf(left('context.input.amount'))).toBe('context.input.amount');
    expect(pathOf(left('principal'))).toBe('principal');
    expect(pathOf(left('(if true then context else context).rows'))).toBeUndefined();
    expect(pathOf(left('5'))).toBeUndefined();
    expect([
      literalOf(left('5')),
      literalOf(left('"a"')),
      literalOf(left('true')),
      literalOf(left('context.rows')),
      literalOf(left('Countersign::Tool::"t"')),
    ]).toEqual([5, 'a', true, undefined, undefined]);
    expect(entityOf(left('Countersign::Tool::"t"'))).toEqual({ type: 'Countersign::Tool', id: 't' });
    expect([entityOf(left('"t"')), entityOf(left('context.rows'))]).toEqual([undefined, undefined]);
    expect(textsOf(left('["a", "b"]'))).toEqual(['a', 'b']);
    expect([textsOf(left('["a", 1]')), textsOf(left('["a", context.operation]')), textsOf(left('"a"'))]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('is walked through whole', () => {
    const seen: string[] = [];
    walk(policyOf('when { ["a"].contains(context.operation) && context.rows > 1 }').conditions, (expr) => {
      const path = pathOf(expr);
      if (path !== undefined) seen.push(path);
    });
    expect(seen).toEqual(['context.operation', 'context', 'context.rows', 'context']);
    walk(null, () => seen.push('null'));
    walk('text', () => seen.push('text'));
    expect(seen).toHaveLength(4);
  });

  test.each<[string, boolean | undefined]>([
    ['', true],
    ['when { true }', true],
    ['when { false }', false],
    ['unless { true }', false],
    ['unless { false }', true],
    ['when { context.schemaChange }', undefined],
    ['unless { context.schemaChange }', undefined],
    ['when { 5 == 5 }', undefined],
    ['when { context.schemaChange && false }', false],
    ['when { false && context.schemaChange }', false],
    ['when { true && context.schemaChange }', undefined],
    ['when { true && true }', true],
    ['when { context.schemaChange || true }', true],
    ['when { true || context.schemaChange }', true],
    ['when { false || context.schemaChange }', undefined],
    ['when { false || false }', false],
    ['when { !true }', false],
    ['when { !context.schemaChange }', undefined],
    ['when { if true then true else false }', true],
    ['when { if false then true else false }', false],
    ['when { if context.schemaChange then true else true }', true],
    ['when { if context.schemaChange then true else false }', undefined],
    ['when { if true then context.schemaChange else true }', undefined],
    ['when { true } when { false }', false],
    ['when { context.schemaChange } when { false }', false],
    ['when { true } unless { false }', true],
  ])('{%s} holds for certain, never, or depending on the rest: %s', (conditions, truth) => {
    expect(residualTruth(policyOf(conditions))).toBe(truth);
  });
});

describe('what contradicts itself', () => {
  test.each<[string, string | undefined]>([
    ['context.rows > 5 && context.rows < 5', 'context.rows'],
    ['context.rows > 5 && context.rows < 6', 'context.rows'],
    ['context.rows > 5 && context.rows < 7', undefined],
    ['context.rows >= 5 && context.rows <= 5', undefined],
    ['context.rows >= 6 && context.rows <= 5', 'context.rows'],
    ['5 < context.rows && 6 > context.rows', 'context.rows'],
    ['5 <= context.rows && 5 >= context.rows', undefined],
    ['context.rows == 5 && context.rows == 6', 'context.rows'],
    ['context.rows == 5 && context.rows == 5', undefined],
    ['context.rows == 5 && context.rows > 5', 'context.rows'],
    ['context.rows < 5 && 5 == context.rows', 'context.rows'],
    ['context.rows == 5 && context.rows >= 5', undefined],
    ['context.rows == 5 && context.rows <= 5', undefined],
    ['context.operation == "a" && context.operation == "b"', 'context.operation'],
    ['context.operation == "a" && "b" == context.operation', 'context.operation'],
    ['context.operation == "a" && context.environment == "b"', undefined],
    ['context.schemaChange == true && context.schemaChange == false', 'context.schemaChange'],
    ['context.rows > 5 || context.rows < 5', undefined],
    ['context.rows == context.rows && context.rows == 5', undefined],
    ['1 == 2', undefined],
    ['context.rows != 5 && context.rows == 5', undefined],
  ])('%s: %s', (condition, path) => {
    expect(contradictedPath(policyOf(`when { ${condition} }`).conditions)).toBe(path);
  });
});

describe('registered tools', () => {
  const described: RegisteredTool = {
    name: 'db',
    kind: 'postgres',
    environment: 'test',
    operations: [
      operation({}, { operation: 'insert' }),
      operation({}, { operation: 'sql', alsoNamed: ['sql.select'], actionType: 'READ' }),
    ],
  };
  const silent: RegisteredTool = { name: 'x', kind: 'http', environment: 'test' };

  test('have what they say of themselves, and nothing that they do not', () => {
    const tool = { name: 'x', kind: 'http', environment: 'test' };
    expect(registeredTools([tool as never])).toEqual([tool]);
    expect(registeredTools([{ ...tool, describe: () => [], targets: () => ['a'] }])).toEqual([
      { ...tool, operations: [], targets: ['a'] },
    ]);
  });

  test('have the operations that they describe, under all names, and those that nobody proposes', () => {
    expect(operationNames(described)).toEqual(['insert', 'sql', 'sql.select', 'restore']);
    expect(operationNames({ ...described, kind: 'http' })).toEqual(['insert', 'sql', 'sql.select']);
    expect(operationNames(silent)).toBeUndefined();
  });

  test('can do each of them as what it is, and as anything where its arguments decide', () => {
    const can = (tool: RegisteredTool) =>
      possibleActions(tool).map(({ actionType, operation: name }) => `${actionType} ${name ?? 'any'}`);
    expect(can(silent)).toEqual(['READ any', 'WRITE any', 'DELETE any', 'CALL_API any']);
    const every = (name: string) => ['READ', 'WRITE', 'DELETE', 'CALL_API'].map((type) => `${type} ${name}`);
    expect(can(described)).toEqual(['WRITE insert', ...every('sql'), ...every('sql.select'), ...every('restore')]);
    expect(can({ ...described, kind: 'http' })).toHaveLength(9);
  });
});

describe('findings', () => {
  test('come by file, place, code and id; what has no place comes first in its file', () => {
    const at = (file: string, line: number, column: number) => ({ file, line, column });
    const one = (
      where: Parameters<typeof finding>[1]['at'],
      code: Parameters<typeof finding>[0] = 'duplicate',
      id?: string,
    ) => finding(code, { at: where, message: 'm', fix: 'f', ...(id === undefined ? {} : { id }) });
    const ordered = [
      one('a'),
      one(at('a', 1, 2)),
      one(at('a', 1, 10)),
      one(at('a', 2, 1), 'contradiction', 'z'),
      one(at('a', 2, 1), 'duplicate', 'a'),
      one(at('a', 2, 1), 'duplicate', 'b'),
      one(at('b', 1, 1)),
    ];
    expect(inOrder(ordered.toReversed())).toEqual(ordered);
    expect(inOrder([...ordered.slice(3), ...ordered.slice(0, 3)])).toEqual(ordered);
    expect([one('a').severity, one('a', 'invalid').severity]).toEqual(['warning', 'error']);
  });

  test.each<[string, string[], string | undefined]>([
    ['ordrs', ['users', 'orders', 'carts'], 'orders'],
    ['orderss', ['orders'], 'orders'],
    ['ORDERS', ['users', 'orders'], 'orders'],
    ['order', ['ORDERS'], 'ORDERS'],
    ['odrers', ['orders'], 'orders'],
    ['ba', ['ab'], 'ab'],
    ['ab', ['cd'], undefined],
    ['ab', ['abcd'], undefined],
    ['abcdef', ['abcdxy'], 'abcdxy'],
    ['abcdef', ['abcxyz'], undefined],
    ['abc', ['abe', 'abd'], 'abd'],
    ['abcdef', ['abcdxy', 'abcdez'], 'abcdez'],
    ['same', ['sane', 'same'], 'same'],
    ['x', ['y'], 'y'],
    ['anything', [], undefined],
    ['', ['a'], 'a'],
  ])('name the nearest of what is known: %s of %j is %s', (name, known, expected) => {
    expect(nearest(name, known)).toBe(expected);
  });
});

describe('a formatted file', () => {
  const A = '@id("a")\npermit (principal, action, resource);';
  const of = (text: string) => formatCedar('a.cedar', text);
  const formatted = (text: string) => of(text).trim();
  const [a, b] = [formatted(A), formatted(A.replace('"a"', '"b"'))];

  test('has one blank line between policies, and ends with a line', () => {
    expect(of(`\n\n${a}${b}`)).toBe(`${a}\n\n${b}\n`);
    expect(of(`${a}\n\n\n\n${b}\n\n\n`)).toBe(`${a}\n\n${b}\n`);
    expect(of(`${a}\r\n${b}\r\n`)).toBe(`${a}\n\n${b}\n`);
  });

  test('keeps comments where they stand: at the beginning, behind a policy, before one, and at the end', () => {
    const text = `// first\n\n// second\n${a} // behind\n\n// before\n\n\n// and this\n\n${b}\n// last\n\n`;
    const expected = `// first\n\n// second\n${a} // behind\n\n// before\n\n// and this\n\n${b}\n\n// last\n`;
    expect(of(text)).toBe(expected);
    expect(of(expected)).toBe(expected);
    expect(of('  // alone  \n')).toBe('// alone\n');
    expect(of('\n \n')).toBe('');
    expect(of('')).toBe('');
  });

  test('that cannot be read is refused with the place', () => {
    expect(() => of(`${A}\npermit (`)).toThrow(
      expect.objectContaining({
        code: 'POLICY_INVALID',
        field: expect.stringMatching(/^a\.cedar:3:/) as string,
      }) as Error,
    );
  });
});
