/** The generated part of a schema by itself: the type of each argument or why it has none, how types are written, and where they are put. */
import { describe, expect, test } from 'vitest';
import type { OperationDescription } from '../../src/action/catalogue.js';
import type { JsonObject } from '../../src/action/json.js';
import type { RegisteredTool } from '../../src/policy/authoring/registered.js';
import { generatedSchema, isOutdated } from '../../src/policy/authoring/schema/generate.js';
import { generateInput, written, type ArgumentType } from '../../src/policy/authoring/schema/input-types.js';

function operation(properties: JsonObject, more: Partial<OperationDescription> = {}): OperationDescription {
  return {
    operation: 'do',
    description: '',
    actionType: 'CALL_API',
    idempotent: false,
    fixed: {},
    arguments: { type: 'object', properties },
    ...more,
  };
}
const toolOf = (...operations: readonly OperationDescription[]): RegisteredTool => ({
  name: 'tool',
  kind: 'http',
  environment: 'test',
  operations,
});
/** The types as a schema writes them, on one line, and what is left out. */
const generated = (...tools: readonly RegisteredTool[]) => {
  const { type, leftOut } = generateInput(tools);
  return { type: written(type).replaceAll(/\s+/g, ' '), leftOut: leftOut.map(({ path, why }) => `${path}: ${why}`) };
};
const of = (properties: JsonObject) => generated(toolOf(operation(properties)));

const SECRET = 'it may be secret, and what policies see is recorded';

describe('an argument', () => {
  test.each<[JsonObject, string]>([
    [{ type: 'string' }, 'String'],
    [{ type: ['string'] }, 'String'],
    [{ type: 'boolean' }, 'Bool'],
    [{ type: 'integer' }, 'Long'],
    [{ type: 'number', multipleOf: 0.01 }, 'decimal'],
    [{ type: 'number', multipleOf: 0.0001 }, 'decimal'],
    [{ type: 'number', multipleOf: 2 }, 'decimal'],
    [{ type: 'number', multipleOf: 0.25 }, 'decimal'],
    [{ enum: ['a', 'b'] }, 'String'],
    [{ enum: [1, 2] }, 'Long'],
    [{ enum: [true] }, 'Bool'],
    [{ const: 'a' }, 'String'],
    [{ const: 5, enum: ['a'] }, 'Long'],
    [{ type: 'string', enum: [1] }, 'String'],
    [{ type: 'string', nullable: false }, 'String'],
    [{ anyOf: [{ type: 'string' }, { const: 'x' }] }, 'String'],
    [{ type: 'array', items: { type: 'string' } }, 'Set<String>'],
    [{ type: 'array', items: { type: 'integer' } }, 'Set<Long>'],
    [
      {
        anyOf: [
          { type: 'array', items: { type: 'string' } },
          { type: 'array', items: { const: 'x' } },
        ],
      },
      'Set<String>',
    ],
    [{ type: 'object', properties: { b: { type: 'string' } } }, '{ b?: String, }'],
    [
      {
        oneOf: [
          { type: 'object', properties: { b: { type: 'string' } } },
          { type: 'object', properties: { c: { type: 'integer' } } },
        ],
      },
      '{ b?: String, c?: Long, }',
    ],
  ])('%j is declared as %s', (schema, type) => {
    expect(of({ a: schema })).toEqual({ type: `{ a?: ${type}, }`, leftOut: [] });
  });

  const DIGITS = 'it is a number that may have more than 4 fractional digits (multipleOf says nothing else)';
  test.each<[JsonObject, string]>([
    [{ type: ['string', 'null'] }, 'it can be null or string'],
    [{ type: 'string', nullable: true }, 'it can be null or string'],
    [{ enum: ['a', null] }, 'it can be null or string'],
    [{ enum: [1, 2.5] }, 'it can be integer or number'],
    [{ enum: [[1], 'a'] }, 'it can be array or string'],
    [{ anyOf: [{ type: 'string' }, { type: 'integer' }] }, 'it can be integer or string'],
    [{}, 'its schema does not say its type'],
    [{ enum: 'no list' }, 'its schema does not say its type'],
    [{ anyOf: [{ type: 'string' }, true] }, 'it can be anything or string'],
    [{ anyOf: [{ type: 'string' }, {}] }, 'it can be anything or string'],
    [{ type: 'number' }, DIGITS],
    [{ type: 'number', multipleOf: 0.00001 }, DIGITS],
    [{ type: 'number', multipleOf: 0.00015 }, DIGITS],
    [{ type: 'number', multipleOf: '0.01' }, DIGITS],
    [{ type: 'number', multipleOf: 0 }, DIGITS],
    [{ anyOf: [{ type: 'number', multipleOf: 1 }, { type: 'number' }] }, DIGITS],
    [{ type: 'array' }, 'of its members: its schema does not say its type'],
    [{ type: 'array', items: { type: 'string', format: 'password' } }, `of its members: ${SECRET}`],
    [{ type: 'array', items: { type: 'array', items: { type: 'string' } } }, 'it is a list of lists or objects'],
    [
      { type: 'array', items: { type: 'object', properties: { b: { type: 'string' } } } },
      'it is a list of lists or objects',
    ],
    [
      {
        anyOf: [
          { type: 'array', items: { type: 'string' } },
          { type: 'array', items: { type: 'integer' } },
        ],
      },
      'its members differ in type',
    ],
    [{ anyOf: [{ type: 'array', items: { type: 'string' } }, { type: 'array' }] }, 'its members differ in type'],
    [{ type: 'object' }, 'its members are not known'],
    [{ type: 'string', writeOnly: true }, SECRET],
    [{ type: 'string', format: 'password' }, SECRET],
    [{ anyOf: [{ type: 'string' }, { type: 'string', writeOnly: true }] }, SECRET],
  ])('%j is left out: %s', (schema, why) => {
    expect(of({ a: schema })).toEqual({ type: '{}', leftOut: [`a: ${why}`] });
  });

  test.each([
    ['password', SECRET],
    ['newPasswd', SECRET],
    ['clientSecret', SECRET],
    ['TOKEN', SECRET],
    ['apikey', SECRET],
    ['api_key', SECRET],
    ['api-key', SECRET],
    ['credentials', SECRET],
    ['authorization', SECRET],
    ['cookie', SECRET],
    ['cardnumber', SECRET],
    ['card_number', SECRET],
    ['cvv', SECRET],
    ['cvc', SECRET],
    ['__entity', 'Cedar keeps the name for itself'],
    ['__extn', 'Cedar keeps the name for itself'],
    ['__expr', 'Cedar keeps the name for itself'],
  ])('called %s is left out', (name, why) => {
    expect(of({ [name]: { type: 'string' } })).toEqual({ type: '{}', leftOut: [`${name}: ${why}`] });
  });

  test('within another is left out by its path, and what is empty then is not declared', () => {
    expect(
      of({
        b: { type: 'object', properties: { token: { type: 'string' }, ok: { type: 'string' } } },
        a: { type: 'object', properties: { token: { type: 'string' }, any: {} } },
      }),
    ).toEqual({
      type: '{ b?: { ok?: String, }, }',
      leftOut: ['a.any: its schema does not say its type', `a.token: ${SECRET}`, `b.token: ${SECRET}`],
    });
  });

  test('is left out in the order of paths, whatever is within what', () => {
    expect(of({ 'a-b': {}, a: { type: 'object', properties: { token: {} } } }).leftOut).toEqual([
      'a-b: its schema does not say its type',
      `a.token: ${SECRET}`,
    ]);
  });

  test('is declared eight names deep, and no deeper', () => {
    const nested = (names: number): JsonObject =>
      Array.from({ length: names - 1 }).reduce<JsonObject>(
        (schema) => ({ type: 'object', properties: { n: schema } }),
        { type: 'string' },
      );
    expect(of({ n: nested(8) }).leftOut).toEqual([]);
    expect(of({ n: nested(9) })).toEqual({ type: '{}', leftOut: ['n.n.n.n.n.n.n.n.n: it nests too deeply'] });
    const sets = (names: number) => {
      const set: JsonObject = { type: 'array', items: { type: 'string' } };
      return Array.from({ length: names - 1 }).reduce<JsonObject>(
        (schema) => ({ type: 'object', properties: { n: schema } }),
        set,
      );
    };
    expect(of({ n: sets(7) }).leftOut).toEqual([]);
    expect(of({ n: sets(8) }).leftOut).toEqual([
      `${Array(8).fill('n').join('.')}: of its members: it nests too deeply`,
    ]);
  });

  test('behind a reference is what it leads to', () => {
    const args = {
      type: 'object',
      properties: { a: { $ref: '#/$defs/text' }, b: { type: 'array', items: { $ref: '#/$defs/text' } } },
      $defs: { text: { type: 'string' } },
    };
    expect(generated(toolOf(operation({}, { arguments: args }))).type).toBe('{ a?: String, b?: Set<String>, }');
  });

  test('that is fixed, or in a member of the input, is declared where it is', () => {
    const own = operation({ amount: { type: 'integer' } }, { fixed: { op: 'x' }, argumentsIn: 'body' });
    expect(generated(toolOf(own)).type).toBe('{ body?: { amount?: Long, }, op?: String, }');
  });
});

describe('the arguments of several operations', () => {
  const one = (properties: JsonObject, name = 'do') => operation(properties, { operation: name });

  test('are declared together, those of records within too', () => {
    expect(
      generated(
        toolOf(
          one({ a: { type: 'string' }, body: { type: 'object', properties: { x: { type: 'string' } } } }),
          one({ a: { type: 'string' }, body: { type: 'object', properties: { y: { type: 'integer' } } } }),
        ),
        toolOf(one({ b: { type: 'integer' } })),
      ),
    ).toEqual({ type: '{ a?: String, b?: Long, body?: { x?: String, y?: Long, }, }', leftOut: [] });
  });

  test.each<[JsonObject, JsonObject, string]>([
    [{ type: 'string' }, { type: 'integer' }, 'tool second means something else by it than another operation'],
    [
      { type: 'string' },
      { type: 'object', properties: { b: { type: 'string' } } },
      'tool second means something else by it than another operation',
    ],
    [
      { type: 'object', properties: { b: { type: 'string' } } },
      { type: 'string' },
      'tool second means something else by it than another operation',
    ],
    [{}, { type: 'string' }, 'its schema does not say its type'],
    [{ type: 'string' }, {}, 'its schema does not say its type'],
    [{}, { type: 'number' }, 'its schema does not say its type'],
  ])('%j and %j are left out: %s', (first, second, why) => {
    expect(generated(toolOf(one({ a: first }), one({ a: second }, 'second')))).toEqual({
      type: '{}',
      leftOut: [`a: ${why}`],
    });
  });

  test('that differ among the variants of one operation are left out', () => {
    const args = {
      oneOf: [
        { type: 'object', properties: { a: { type: 'string' }, b: { type: 'string' } } },
        { type: 'object', properties: { a: { type: 'integer' }, b: { type: 'string' } } },
      ],
    };
    const body = { type: 'object', properties: { body: args } };
    expect(generated(toolOf(operation({}, { arguments: body })))).toEqual({
      type: '{ body?: { b?: String, }, }',
      leftOut: ['body.a: another variant means something else by it than another operation'],
    });
  });

  test('of a tool that does not describe itself are none', () => {
    const { operations: _operations, ...silent } = toolOf();
    expect(generated(silent)).toEqual({ type: '{}', leftOut: [] });
  });

  const many = (count: number) =>
    Object.fromEntries(
      Array.from({ length: count }, (_, i) => [`a${String(i).padStart(3, '0')}`, { type: 'string' }]),
    ) as JsonObject;

  test('are 256 at most, in the order of their names, those of nested records and the records themselves counted', () => {
    expect(of(many(256)).leftOut).toEqual([]);
    expect(of(many(258)).leftOut).toEqual(
      ['a256', 'a257'].map((name) => `${name}: a schema declares at most 256 arguments`),
    );
    const nested = of({
      ...many(254),
      z: { type: 'object', properties: { x: { type: 'string' }, y: { type: 'string' } } },
    });
    expect(nested.leftOut).toEqual(['z.y: a schema declares at most 256 arguments']);
    expect(nested.type).toMatch(/z\?: \{ x\?: String, \}, \}$/);
  });

  test('are not fewer for a record of which nothing is declared', () => {
    const empty = { type: 'object', properties: { token: { type: 'string' } } };
    expect(of({ ...many(256), '0': empty }).leftOut).toEqual([`0.token: ${SECRET}`]);
  });
});

test('types are written one attribute a line, with names that are no words in quotes', () => {
  const type: ArgumentType = {
    kind: 'Record',
    attributes: new Map<string, ArgumentType>([
      ['a', { kind: 'String' }],
      ['odd-name', { kind: 'Set', element: 'Long' }],
      ['_b9', { kind: 'Record', attributes: new Map([['9c', { kind: 'decimal' } as const]]) }],
      ['e', { kind: 'Record', attributes: new Map() }],
    ]),
  };
  expect(written(type)).toBe(
    '{\n  a?: String,\n  "odd-name"?: Set<Long>,\n  _b9?: {\n    "9c"?: decimal,\n  },\n  e?: {},\n}',
  );
  expect(written(type, '    ')).toMatch(/^\{\n {6}a\?: String,\n[^]*\n {4}\}$/);
});

describe('a schema', () => {
  const SCHEMA = `namespace Countersign {
  entity Role;
  type Facts = {
    rows: Long,
  };
}
`;
  const tool: RegisteredTool = {
    ...toolOf(operation({ a: { type: 'string' }, token: {} }), operation({}, { operation: 'more' })),
  };
  const { operations: _operations, ...silent } = { ...tool, name: 'silent', kind: 'mcp', environment: 'live' };
  const GENERATED = `namespace Countersign {
  entity Role;
  // <generated by countersign policy schema>
  // tool (http, test): do, more
  // silent (mcp, live): does not describe itself
  // not declared: token: ${SECRET}
  type Input = {
    a?: String,
  };
  // </generated>
  type Facts = {
    input?: Input, // the arguments, as type Input declares them
    rows: Long,
  };
}
`;

  test('gets the type before its facts, which get the attribute, and is the same when it is made again', () => {
    expect(generatedSchema(SCHEMA, [tool, silent])).toBe(GENERATED);
    expect(generatedSchema(GENERATED, [tool, silent])).toBe(GENERATED);
    expect(generatedSchema(SCHEMA.replaceAll('\n', '\r\n'), [tool, silent])).toBe(GENERATED);
    expect(isOutdated(GENERATED, [tool, silent])).toBe(false);
    expect(isOutdated(GENERATED.replaceAll('\n', '\r\n'), [tool, silent])).toBe(false);
    expect(isOutdated(GENERATED, [tool])).toBe(true);
    expect(isOutdated(GENERATED.replaceAll('\n', '\r\n'), [tool])).toBe(true);
    expect(isOutdated(SCHEMA, [tool])).toBe(false);
  });

  test("keeps its author's attribute, and his words beside it", () => {
    const own = GENERATED.replace(
      'input?: Input, // the arguments, as type Input declares them',
      'input?: Input, // mine',
    );
    expect(generatedSchema(own, [tool, silent])).toBe(own);
    const before = SCHEMA.replace('rows: Long,', 'input?: Input, // mine\n    rows: Long,');
    expect(generatedSchema(before, [tool, silent])).toBe(own);
  });

  test.each([
    ['declares type Input itself', SCHEMA.replace('entity Role;', 'type Input = {};')],
    ['has no line `type Facts = {`, where the attribute input belongs', SCHEMA.replace('Facts', 'Others')],
    [
      'has no line `type Facts = {`, where the attribute input belongs',
      SCHEMA.replace('type Facts = {\n', 'type Facts = { a: Long,\n'),
    ],
    ['declares the attribute input in another way', SCHEMA.replace('rows: Long,', 'input: Input,')],
    ['declares the attribute input in another way', SCHEMA.replace('rows: Long,', '"input"?: Input,')],
    ['declares the attribute input in another way', SCHEMA.replace('rows: Long,', 'input ? : Long,')],
  ])('that %s is refused', (what, schema) => {
    expect(() => generatedSchema(schema, [])).toThrow(
      expect.objectContaining({
        code: 'POLICY_INVALID',
        field: 'schema.cedarschema',
        message: `schema.cedarschema ${what}.`,
        expected: "a schema of the starter's shape, without an Input of its own",
        fix: expect.stringMatching(/\w/) as string,
      }) as Error,
    );
  });

  test('is none of those that only look so', () => {
    expect(() => generatedSchema(SCHEMA.replace('entity Role;', 'type InputOf = {};'), [])).not.toThrow();
    expect(() => generatedSchema(SCHEMA.replace('rows: Long,', 'inputs: Long, myinput: Long,'), [])).not.toThrow();
  });

  test('has names in comments that end with their line', () => {
    const odd = { ...tool, name: 'x\n  entity Bad; // \u2028\u202e\u0085' };
    const text = generatedSchema(SCHEMA, [odd]);
    expect(text).toContain('  // x   entity Bad;');
    expect(text).not.toMatch(/[\u2028\u202e\u0085]/);
  });
});
