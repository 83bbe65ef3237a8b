/** What a schema may declare of a tool's input, and what of an input is handed to policies: every declared type, and nothing in another one's place. */
import { describe, expect, test } from 'vitest';
import type { Json } from '../../src/action/json.js';
import { CountersignError } from '../../src/action/errors.js';
import { newCedar } from '../../src/policy/cedar.js';
import { declaredInput, inputContext, sampleInput } from '../../src/policy/input/declared.js';
import { inputTypes, type InputRecord, type InputType } from '../../src/policy/input/type.js';
import type { BundleProblem } from '../../src/policy/problems.js';
import { schemaWith, STARTER_SCHEMA } from './input-example.js';

const cedar = newCedar();
const withOthers = (schema: string) => `${schema}\ntype Limits = {};\ntype History = {};`;

function read(schema: string) {
  const problems: BundleProblem[] = [];
  const types = inputTypes(cedar, withOthers(schema), problems, 'schema.cedarschema');
  return { types, problems };
}
/** The type of `input` with these attributes. */
function typeOf(attributes: string): InputRecord {
  const { types, problems } = read(schemaWith(attributes));
  expect(problems).toEqual([]);
  const type = types.get('WRITE');
  if (type === undefined) throw new Error('It declares no input.');
  return type;
}
const plain = (type: InputType): unknown =>
  type.kind === 'Record'
    ? Object.fromEntries([...type.attributes].map(([name, own]) => [name, plain(own)]))
    : type.kind === 'Set'
      ? [type.element]
      : type.kind;

function refused(run: () => unknown): CountersignError {
  try {
    run();
  } catch (error) {
    if (error instanceof CountersignError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('what is declared', () => {
  test('is read by name, with types that are named, within records, for every action', () => {
    const { types } = read(
      schemaWith('z?: Text, a?: Long, flag?: Bool, sum?: decimal, tags?: Set<Text>, place?: Place').replace(
        'type Facts = {',
        'type Text = String;\n type Place = { zip?: Long, city?: { name?: Text } };\n type Facts = {',
      ),
    );
    expect([...types.keys()].sort()).toEqual(['CALL_API', 'DELETE', 'READ', 'WRITE']);
    const type = types.get('READ');
    if (type === undefined) throw new Error('It declares no input.');
    expect([...type.attributes.keys()]).toEqual(['a', 'flag', 'place', 'sum', 'tags', 'z']);
    expect(plain(type)).toEqual({
      a: 'Long',
      flag: 'Bool',
      place: { city: { name: 'String' }, zip: 'Long' },
      sum: 'decimal',
      tags: ['String'],
      z: 'String',
    });
  });

  test('is nothing where a schema declares no input, or for the actions for which it does not', () => {
    expect(read(STARTER_SCHEMA)).toEqual({ types: new Map(), problems: [] });
    const apart = schemaWith('a?: Long')
      .replace('input?: Input,', '')
      .replace(
        'action READ, WRITE, DELETE, CALL_API appliesTo',
        'type More = { input?: Input };\n action CALL_API appliesTo { principal: Agent, resource: Tool, context: More };\n action READ, WRITE, DELETE appliesTo',
      );
    const { types, problems } = read(apart);
    expect(problems).toEqual([]);
    expect([...types.keys()]).toEqual(['CALL_API']);
  });

  test('is nothing for an action that applies to nothing', () => {
    const without = schemaWith('a?: Long').replace(
      'action READ, WRITE, DELETE, CALL_API appliesTo',
      'action CALL_API;\n action READ, WRITE, DELETE appliesTo',
    );
    expect([...read(without).types.keys()].sort()).toEqual(['DELETE', 'READ', 'WRITE']);
    expect(read(without).problems).toEqual([]);
  });

  test.each<[string, string, string]>([
    ['a: Long', 'input.a is not optional', 'a?: …'],
    ['a?: { b: Long }', 'input.a.b is not optional', 'b?: …'],
    ['a?: datetime', 'input.a is datetime, which no part of an input can be', 'String, Long, Bool'],
    ['a?: Agent', 'input.a is Countersign::Agent, which no part of an input can be', 'String, Long, Bool'],
    ['a?: Set<Set<Long>>', 'input.a is a Set of something else, which no part of an input can be', 'String, Long'],
    ['a?: Set<datetime>', 'input.a is a Set of something else, which no part of an input can be', 'String, Long'],
    ['"__entity"?: Long', 'input.__entity has a name that Cedar keeps for itself', 'another name'],
    ['"__extn"?: Long', 'input.__extn has a name that Cedar keeps for itself', 'another name'],
  ])('{%s} is refused', (attributes, message, expected) => {
    const { types, problems } = read(schemaWith(attributes));
    expect(types.size).toBe(0);
    expect(problems).toMatchObject([{ at: 'schema.cedarschema', message: expect.stringContaining(message) as string }]);
    expect(problems[0]?.expected).toContain(expected);
    expect(problems[0]?.fix).toMatch(/\w/);
  });

  test('is a record and nothing else', () => {
    const { problems } = read(STARTER_SCHEMA.replace('type Facts = {', 'type Facts = {\n input?: String,'));
    expect(problems).toEqual([
      {
        at: 'schema.cedarschema',
        message: 'input is a String',
        expected: 'a record of optional attributes',
        fix: 'Declare type Input = { … };',
      },
    ]);
    expect(
      read(STARTER_SCHEMA.replace('type Facts = {', 'type Facts = {\n input?: Set<Long>,')).problems,
    ).toMatchObject([{ message: 'input is a Set' }]);
  });

  test('has bounds: 256 attributes, also within records, and 16 records in each other', () => {
    const many = (count: number) => Array.from({ length: count }, (_, i) => `a${i}?: Long`).join(', ');
    expect(typeOf(many(256)).attributes.size).toBe(256);
    const tooMuch = {
      message: 'input declares too much',
      expected: 'at most 256 attributes, records within records at most 16 deep',
    };
    expect(read(schemaWith(many(257))).problems).toMatchObject([tooMuch]);
    expect(read(schemaWith(`${many(200)}, r?: { ${many(56)} }`)).problems).toMatchObject([tooMuch]);
    expect(typeOf(`${many(200)}, r?: { ${many(55)} }`).attributes.size).toBe(201);
    const deep = (levels: number): string => (levels === 1 ? 'a?: Long' : `a?: { ${deep(levels - 1)} }`);
    expect(read(schemaWith(deep(16))).problems).toEqual([]);
    expect(read(schemaWith(deep(17))).problems).toMatchObject([tooMuch]);
  });

  test('of a schema that Cedar cannot resolve is one problem, unless it is known already', () => {
    const broken = schemaWith('a?: Nothing');
    const { problems } = read(broken);
    expect(problems).toMatchObject([{ at: 'schema.cedarschema', fix: 'Correct the schema.' }]);
    expect(problems[0]?.message).toMatch(/Nothing/);
    const known: BundleProblem[] = [{ at: 'x', message: 'known', fix: 'f' }];
    expect(inputTypes(cedar, withOthers(broken), known, 'schema.cedarschema').size).toBe(0);
    expect(known).toHaveLength(1);
  });
});

describe('of an input', () => {
  const type = typeOf(
    'text?: String, whole?: Long, flag?: Bool, sum?: decimal, tags?: Set<String>, place?: { city?: String, zip?: Long }',
  );

  test('what is declared is taken, wherever it is, and nothing else', () => {
    const input = { text: 'a', other: 1, place: { city: 'x', street: 'y' }, tags: ['a', 'b'] };
    expect(declaredInput(type, input)).toEqual({ text: 'a', place: { city: 'x' }, tags: ['a', 'b'] });
    expect(declaredInput(type, {})).toEqual({});
    expect(declaredInput(type, { text: undefined })).toEqual({});
    expect(declaredInput(typeOf('constructor?: String, toString?: String'), {})).toEqual({});
  });

  test('each value is what Cedar compares', () => {
    expect(
      inputContext(type, { text: 'ä', whole: -5, flag: false, sum: 1.25, tags: [], place: { city: 'x', zip: 1 } }),
    ).toEqual({
      text: 'ä',
      whole: -5,
      flag: false,
      sum: { __extn: { fn: 'decimal', arg: '1.25' } },
      tags: [],
      place: { city: 'x', zip: 1 },
    });
    expect(inputContext(type, {})).toEqual({});
    expect(Object.is(inputContext(type, { whole: -0 })['whole'], 0)).toBe(true);
  });

  test.each<[number, string]>([
    [0, '0.0'],
    [-1, '-1.0'],
    [0.1, '0.1'],
    [1.2345, '1.2345'],
    [922_337_203_685_477, '922337203685477.0'],
    [-922_337_203_685_477, '-922337203685477.0'],
  ])('the number %d is the decimal %s', (sum, arg) => {
    expect(inputContext(type, { sum })).toEqual({ sum: { __extn: { fn: 'decimal', arg } } });
  });

  test.each<[string, Record<string, unknown>, string, string]>([
    ['text', { text: 1 }, 'a number', 'a text'],
    ['text', { text: null }, 'null', 'a text'],
    ['text', { text: 'a\ud800' }, 'a text', 'a text'],
    ['text', { text: 'a\u0000' }, 'a text', 'a text'],
    ['text', { text: ['a'] }, 'a list', 'a text'],
    ['whole', { whole: 1.5 }, 'a number', 'a whole number within ±(2^53-1)'],
    ['whole', { whole: 2 ** 53 }, 'a number', 'a whole number within ±(2^53-1)'],
    ['whole', { whole: '1' }, 'a text', 'a whole number within ±(2^53-1)'],
    ['flag', { flag: 'true' }, 'a text', 'true or false'],
    ['flag', { flag: 0 }, 'a number', 'true or false'],
    ['sum', { sum: '1.5' }, 'a text', 'a number with at most 4 fractional digits, within ±922337203685477'],
    ['sum', { sum: 1.23456 }, 'a number', 'a number with at most 4 fractional digits'],
    ['sum', { sum: 1e-7 }, 'a number', 'a number with at most 4 fractional digits'],
    ['sum', { sum: 922_337_203_685_478 }, 'a number', 'a number with at most 4 fractional digits'],
    ['sum', { sum: -922_337_203_685_478 }, 'a number', 'a number with at most 4 fractional digits'],
    ['sum', { sum: Number.NaN }, 'a number', 'a number with at most 4 fractional digits'],
    ['tags', { tags: 'a' }, 'a text', 'a list'],
    ['tags', { tags: { 0: 'a' } }, 'an object', 'a list'],
    ['tags[1]', { tags: ['a', 1] }, 'a number', 'a text'],
    ['place', { place: 'x' }, 'a text', 'an object'],
    ['place', { place: [] }, 'a list', 'an object'],
    ['place', { place: null }, 'null', 'an object'],
    ['place', { place: new Date(0) }, 'an object', 'an object'],
    ['place.zip', { place: { zip: true } }, 'a boolean', 'a whole number within ±(2^53-1)'],
  ])('%s is refused as %j, by the kind that it is of and without the value', (field, declared, kind, expected) => {
    const error = refused(() => inputContext(type, declared as Record<string, Json>));
    expect(error).toMatchObject({ code: 'POLICY_ERROR', field: `proposal.input.${field}` });
    expect(error.message).toMatch(
      new RegExp(`^proposal\\.input\\.${field.replaceAll(/[[\]]/g, '\\$&')} is ${kind}, not `),
    );
    expect(error.expected).toContain(expected);
    expect(error.fix).toContain(error.expected ?? 'never');
  });

  test('what has no prototype is an object like any other, and what is of a class is none', () => {
    const bare = Object.assign(Object.create(null) as Record<string, Json>, { city: 'x' });
    expect(inputContext(type, { place: bare })).toEqual({ place: { city: 'x' } });
    class Place {
      readonly city = 'x';
    }
    expect(() => declaredInput(type, new Place())).toThrow(/proposal.input is an object, not an object/);
    for (const input of [null, 'text', [], 5, undefined]) {
      expect(refused(() => declaredInput(type, input))).toMatchObject({
        code: 'POLICY_ERROR',
        field: 'proposal.input',
        expected: 'an object',
      });
    }
  });

  test('what is no JSON, or too much, is refused; where something is of a wrong type, that is told first', () => {
    const error = refused(() => declaredInput(type, { text: 1n }));
    expect(error).toMatchObject({
      code: 'POLICY_ERROR',
      field: 'proposal.input.text',
      fix: expect.stringMatching(/\w/) as string,
    });
    expect(error.cause).toBeInstanceOf(Error);
    // {"text":"…"} is eleven bytes longer than the text.
    expect(declaredInput(type, { text: 'x'.repeat(16 * 1024 - 11) })).toBeDefined();
    const large = refused(() => declaredInput(type, { text: 'x'.repeat(16 * 1024 - 10) }));
    expect(large).toMatchObject({
      code: 'POLICY_ERROR',
      field: 'proposal.input',
      message: 'proposal.input has 16385 bytes that the policy declares',
    });
    expect(large.expected).toContain('at most 16384 bytes');
    expect(large.fix).toMatch(/\w/);
    expect(declaredInput(type, { other: 'x'.repeat(20_000) })).toEqual({});
    expect(refused(() => declaredInput(type, { text: 'x'.repeat(17_000), flag: 'x' })).field).toBe(
      'proposal.input.flag',
    );
  });

  test('a sample has all that is declared, and fits it', () => {
    const sample = sampleInput(type);
    expect(sample).toEqual({
      text: 'text',
      whole: 1,
      flag: true,
      sum: 1.5,
      tags: ['text'],
      place: { city: 'text', zip: 1 },
    });
    expect(() => inputContext(type, sample)).not.toThrow();
    expect(sampleInput(typeOf('a?: Set<Long>, b?: Set<Bool>, c?: Set<decimal>'))).toEqual({
      a: [1],
      b: [true],
      c: [1.5],
    });
  });
});
