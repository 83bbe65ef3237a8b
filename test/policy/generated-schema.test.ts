/** The schema generated from registered tools: it loads, types what it can, leaves out what it must, and keeps the author's text. */
import { expect, test } from 'vitest';
import type { OperationDescription } from '../../src/action/catalogue.js';
import type { JsonObject } from '../../src/action/json.js';
import { lint } from '../../src/policy/authoring/lint/lint.js';
import { registeredTools, type RegisteredTool } from '../../src/policy/authoring/registered.js';
import { generatedSchema, isOutdated } from '../../src/policy/authoring/schema/generate.js';
import { bundleFromFiles, compilePolicy } from '../../src/policy/index.js';
import { anAgent, aTool, enforce, policyFromText } from '../../src/testing/index.js';
import { http, postgres } from '../../src/tools/index.js';
import { STARTER_SCHEMA } from './input-example.js';

function toolWith(properties: JsonObject, more: Partial<OperationDescription> = {}): RegisteredTool {
  const operation: OperationDescription = {
    operation: 'do',
    description: 'Does it.',
    actionType: 'CALL_API',
    idempotent: false,
    fixed: { op: 'do' },
    arguments: { type: 'object', properties, additionalProperties: false },
    ...more,
  };
  return { name: 'tool', kind: 'http', environment: 'test', operations: [operation] };
}

const PERMIT = '@id("p") permit (principal in Countersign::Role::"r", action, resource);';
const inputOf = (schema: string): string =>
  /type Input = \{[^]*?^ {2}\};/m.exec(schema)?.[0].replaceAll(/\s+/g, ' ') ?? '';

test('types arguments as a Cedar schema can, nested ones too', () => {
  const schema = generatedSchema(STARTER_SCHEMA, [
    toolWith(
      {},
      {
        arguments: {
          type: 'object',
          properties: {
            text: { type: 'string' },
            whole: { type: 'integer' },
            cents: { type: 'number', multipleOf: 0.01 },
            flag: { type: 'boolean' },
            tags: { type: 'array', items: { type: 'string' } },
            status: { enum: ['open', 'closed'] },
            body: { $ref: '#/$defs/body' },
            'odd-name': { type: 'string' },
          },
          $defs: { body: { type: 'object', properties: { amount: { type: 'integer' } } } },
        },
      },
    ),
  ]);
  expect(inputOf(schema)).toBe(
    'type Input = { body?: { amount?: Long, }, cents?: decimal, flag?: Bool, "odd-name"?: String, op?: String, status?: String, tags?: Set<String>, text?: String, whole?: Long, };',
  );
  expect(() => compilePolicy(bundleFromFiles({ 'schema.cedarschema': schema, 'p.cedar': PERMIT }))).not.toThrow();
});

test.each([
  ['several types', { a: { type: ['string', 'integer'] } }, 'it can be integer or string'],
  ['null', { a: { type: ['integer', 'null'] } }, 'it can be integer or null'],
  ['any type', { a: true }, 'its schema does not say its type'],
  ['fractions without end', { a: { type: 'number' } }, 'more than 4 fractional digits'],
  [
    'lists of objects',
    { a: { type: 'array', items: { type: 'object', properties: { b: { type: 'string' } } } } },
    'lists or objects',
  ],
  ['free objects', { a: { type: 'object' } }, 'its members are not known'],
  ['secrets by format', { a: { type: 'string', format: 'password' } }, 'may be secret'],
  ['secrets by name', { apiKey: { type: 'string' } }, 'may be secret'],
])('leaves out %s, and says why: a value that does not fit its declaration would be denied', (_, properties, why) => {
  const schema = generatedSchema(STARTER_SCHEMA, [toolWith(properties)]);
  expect(inputOf(schema)).toBe('type Input = { op?: String, };');
  expect(schema).toMatch(new RegExp(`// not declared: (a|apiKey): .*${why}`));
});

test('leaves out what two operations mean different things by', () => {
  const tools = [toolWith({ id: { type: 'string' }, n: { type: 'integer' } }), toolWith({ id: { type: 'integer' } })];
  const schema = generatedSchema(STARTER_SCHEMA, tools);
  expect(inputOf(schema)).toBe('type Input = { n?: Long, op?: String, };');
  expect(schema).toContain('// not declared: id: tool do means something else by it than another operation');
});

test('declares no more than a schema may', () => {
  const many = Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`a${i}`, { type: 'string' }]));
  const schema = generatedSchema(STARTER_SCHEMA, [toolWith(many)]);
  expect(schema.match(/\?: String/g)?.length).toBe(256 + 1);
  expect(() => compilePolicy(bundleFromFiles({ 'schema.cedarschema': schema, 'p.cedar': PERMIT }))).not.toThrow();
});

test('is idempotent, follows the tools, and keeps the text around it', () => {
  const first = generatedSchema(STARTER_SCHEMA, [toolWith({ a: { type: 'string' } })]);
  expect(generatedSchema(first, [toolWith({ a: { type: 'string' } })])).toBe(first);
  const second = generatedSchema(first, [toolWith({ b: { type: 'integer' } })]);
  expect(second).toBe(generatedSchema(STARTER_SCHEMA, [toolWith({ b: { type: 'integer' } })]));
  const without = second.replace(/^ *\/\/ <generated[^]*?<\/generated>\n/m, '').replace(/^ *input\?: Input.*\n/m, '');
  expect(without).toBe(STARTER_SCHEMA);
  expect([isOutdated(first, [toolWith({ a: { type: 'string' } })]), isOutdated(first, [toolWith({})])]).toEqual([
    false,
    true,
  ]);
  expect(isOutdated(STARTER_SCHEMA, [toolWith({})])).toBe(false);
});

test("touches no Input of the author's own, and needs the starter's Facts", () => {
  const own = STARTER_SCHEMA.replace('type Facts = {', 'type Input = {};\n  type Facts = {\n    input?: Input,');
  expect(() => generatedSchema(own, [])).toThrow('declares type Input itself');
  expect(() =>
    generatedSchema(STARTER_SCHEMA.replace('type Facts = {', 'type Facts = {\n    input?: { a?: Long },'), []),
  ).toThrow('declares the attribute input in another way');
  expect(() => generatedSchema('namespace Countersign {}', [])).toThrow('has no line');
});

test('a name with a line break in it stays in its comment', () => {
  const odd = { ...toolWith({}), name: 'x\n  type Facts = {}; //' };
  expect(generatedSchema(STARTER_SCHEMA, [odd]).match(/^\s*type Facts/gm)).toHaveLength(1);
});

test('from real tools it loads, rules read the arguments, and a name that nothing has is refused with its place', async () => {
  const tools = [
    postgres({ name: 'shop-db', environment: 'test', url: 'postgres://nobody@127.0.0.1:1/none' }),
    http({
      name: 'payments',
      environment: 'test',
      baseUrl: 'https://payments.example',
      operations: {
        refund: {
          method: 'POST',
          url: '/refunds',
          probes: { refunds: { get: '/refunds' } },
          ensures: ['true'],
          changes: [''],
          input: {
            body: {
              type: 'object',
              properties: { amount: { type: 'integer' }, note: { type: 'string' } },
              required: ['amount'],
              additionalProperties: false,
            },
          },
        },
      },
    }),
  ];
  const registered = registeredTools(tools);
  await Promise.all(tools.map((tool) => tool.close()));
  const schema = generatedSchema(STARTER_SCHEMA, registered);
  expect(schema).toMatch(/table\?: String/);
  const rule = (attribute: string) => `@id("small")
permit (principal in Countersign::Role::"r", action == Countersign::Action::"CALL_API", resource == Countersign::Tool::"payments")
when { context has input.body.${attribute} && context.input.body.${attribute} < 5 };`;
  const policy = policyFromText({ 'schema.cedarschema': schema, 'p.cedar': rule('amount') });
  const decide = (amount: number) =>
    enforce(
      { tool: 'payments', input: { op: 'refund', body: { amount } } },
      { policy, agent: anAgent({ roles: ['r'] }), tool: aTool({ name: 'payments' }), actionType: 'CALL_API' },
    ).effect;
  expect([decide(4), decide(5)]).toEqual(['allow', 'deny']);
  const placeOf = async (text: string) => {
    const { findings } = await lint(() =>
      Promise.resolve(bundleFromFiles({ 'schema.cedarschema': schema, 'p.cedar': text })),
    );
    return findings.map(({ code, at }) => [code, at]);
  };
  const misread = rule('amount').replace('context.input.body.amount', 'context.input.body.amuont');
  expect(await placeOf(misread)).toContainEqual(['invalid', expect.objectContaining({ file: 'p.cedar', line: 3 })]);
  // Asking whether there is what nothing has is allowed in Cedar, and never true: then the rule itself is refused.
  expect(await placeOf(rule('amuont'))).toEqual([['invalid', { file: 'p.cedar', line: 1, column: 1 }]]);
});
