/** `context.input`: policies on the arguments of a tool. A value that is not of its declared type is refused, and never left out. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Decision, Facts } from '../../src/action/decision.js';
import { canonicalBytes, type JsonObject } from '../../src/action/json.js';
import { evaluate } from '../../src/policy/index.js';
import { anAgent, aTool, enforce, policyFromText } from '../../src/testing/index.js';
import { factsOf, PERMIT_ALL } from './facts.js';
import { factsWith, policyOn, schemaWith, STARTER_SCHEMA } from './input-example.js';

const ATTRIBUTES = `op?: String,
    dryRun?: Bool,
    price?: decimal,
    tags?: Set<String>,
    counts?: Set<Long>,
    "x-Trace Id"?: String,
    body?: { amount?: Long, currency?: String, lines?: Lines },
  };
  type Lines = { first?: { sku?: String, prices?: Set<decimal>, gifts?: Set<Bool> }`;

const plain = policyOn(ATTRIBUTES);

/** Whether a condition on the input holds in a policy. */
function holds(condition: string, input: unknown): boolean {
  const policy = policyOn(ATTRIBUTES, condition);
  const decision = evaluate(policy, factsWith(policy, input));
  expect(decision.errors).toEqual([]);
  expect(decision.code ?? 'POLICY_DENIED').toBe('POLICY_DENIED');
  return decision.effect === 'deny';
}

interface Refusal {
  readonly code: string;
  readonly field: string;
  readonly expected: string;
  readonly fix: string;
}

/** The refusal of an input, or undefined. */
function problem(input: unknown): Refusal | undefined {
  try {
    plain.checkInput(factsWith(plain, input));
    return undefined;
  } catch (error) {
    return error as Refusal;
  }
}

function enforceOn(input: JsonObject): Decision {
  const decision = enforce(
    { tool: 'shop-db', input },
    { policy: plain, agent: anAgent(), tool: aTool(), actionType: 'WRITE' },
  );
  expect(decision).toMatchObject({ effect: 'deny', code: 'POLICY_ERROR' });
  return decision;
}

describe('a policy', () => {
  test('reads each kind of argument, at any depth', () => {
    const input = {
      op: 'refund',
      dryRun: false,
      price: 12.5,
      tags: ['a', 'b', 'a'],
      counts: [1, 2],
      'x-Trace Id': 't',
      body: { amount: 100, currency: 'EUR', lines: { first: { sku: 's', prices: [1, 2.5], gifts: [true] } } },
    };
    for (const condition of [
      'context has input.op && context.input.op == "refund"',
      'context has input.dryRun && !context.input.dryRun',
      'context has input.price && context.input.price.lessThan(decimal("12.5001")) && context.input.price.greaterThan(decimal("12.4999"))',
      'context has input.tags && context.input.tags == ["b", "a"]',
      'context has input.counts && context.input.counts.contains(2)',
      'context has input && context.input has "x-Trace Id" && context.input["x-Trace Id"] == "t"',
      'context has input.body.amount && context.input.body.amount == 100',
      'context has input.body.lines.first.prices && context.input.body.lines.first.prices.contains(decimal("1.0"))',
      'context has input.body.lines.first.gifts && context.input.body.lines.first.gifts.contains(true)',
    ]) {
      expect([condition, holds(condition, input)]).toEqual([condition, true]);
      expect([condition, holds(condition, {})]).toEqual([condition, false]);
    }
  });

  test('finds an attribute absent that is not in the input, and the input itself present', () => {
    expect(holds('context has input && !(context.input has body)', {})).toBe(true);
    expect(holds('context has input.body && !(context has input.body.amount)', { body: {} })).toBe(true);
  });

  test.each([
    [0, '== 0'],
    [-0, '== 0'],
    [-5, '< 0'],
    [Number.MAX_SAFE_INTEGER, '== 9007199254740991'],
    [Number.MIN_SAFE_INTEGER, '== -9007199254740991'],
    [5.0, '== 5'],
  ])('reads the Long %d exactly', (amount, comparison) => {
    expect(
      holds(`context has input.body.amount && context.input.body.amount ${comparison}`, { body: { amount } }),
    ).toBe(true);
  });

  test.each([
    [0, '0.0'],
    [-0, '0.0'],
    [5, '5.0'],
    [-12.3456, '-12.3456'],
    [0.0001, '0.0001'],
    [922_337_203_685_477, '922337203685477.0'],
    [-922_337_203_685_477, '-922337203685477.0'],
  ])('reads the decimal %d exactly', (price, text) => {
    expect(holds(`context has input.price && context.input.price == decimal("${text}")`, { price })).toBe(true);
  });

  test('reads every number that a decimal can represent, digit by digit', () => {
    const differ = 'context has input.price && context has input.same && context.input.price != context.input.same';
    const policy = policyOn('price?: decimal, same?: decimal', differ);
    const fraction = fc.tuple(fc.integer({ min: -1e9, max: 1e9 }), fc.integer({ min: 0, max: 4 }));
    fc.assert(
      fc.property(fraction, ([digits, scale]) => {
        const price = Number(`${digits}e-${scale}`);
        const same = Number((digits / 10 ** scale).toFixed(scale));
        const other = Number(`${digits + 1}e-${scale}`);
        expect(evaluate(policy, factsWith(policy, { price, same })).effect).toBe('allow');
        expect(evaluate(policy, factsWith(policy, { price, same: other })).code).toBe('POLICY_DENIED');
      }),
      { numRuns: 200 },
    );
  });
});

describe('an argument that is not of its declared type is refused, never absent:', () => {
  const LONG = 'a whole number within ±(2^53-1)';
  const DECIMAL = 'a number with at most 4 fractional digits, within ±922337203685477';
  test.each<[string, JsonObject, string, string]>([
    ['a text for a Long', { body: { amount: '100' } }, 'body.amount', LONG],
    ['an empty text for a Long', { body: { amount: '' } }, 'body.amount', LONG],
    ['a fraction for a Long', { body: { amount: 100.5 } }, 'body.amount', LONG],
    [
      'a Long too large to be exact',
      { body: { amount: 2 ** 53 } },
      'body.amount',
      'a finite number; integers within ±(2^53-1)',
    ],
    ['true for a Long', { body: { amount: true } }, 'body.amount', LONG],
    ['null for a Long', { body: { amount: null } }, 'body.amount', LONG],
    ['a list of one for a Long', { body: { amount: [100] } }, 'body.amount', LONG],
    ['an object for a Long', { body: { amount: { value: 100 } } }, 'body.amount', LONG],
    ['Cedar’s escape for a Long', { body: { amount: { __extn: { fn: 'decimal', arg: '1.0' } } } }, 'body.amount', LONG],
    ['an entity for a text', { op: { __entity: { type: 'Countersign::Role', id: 'admin' } } }, 'op', 'a text'],
    ['a number for a text', { op: 7 }, 'op', 'a text'],
    ['a list for a text', { op: ['refund'] }, 'op', 'a text'],
    ['null for a text', { op: null }, 'op', 'a text'],
    ['a text for a Bool', { dryRun: 'true' }, 'dryRun', 'true or false'],
    ['1 for a Bool', { dryRun: 1 }, 'dryRun', 'true or false'],
    ['a text for a decimal', { price: '12.50' }, 'price', DECIMAL],
    ['five fractional digits for a decimal', { price: 0.00001 }, 'price', DECIMAL],
    ['what arithmetic made of a decimal', { price: 0.1 + 0.2 }, 'price', DECIMAL],
    ['an exponent for a decimal', { price: 1e-7 }, 'price', DECIMAL],
    ['a decimal beyond Cedar’s', { price: 922_337_203_685_478 }, 'price', DECIMAL],
    ['a text for a Set', { tags: 'a' }, 'tags', 'a list'],
    ['an object for a Set', { tags: { 0: 'a', length: 1 } }, 'tags', 'a list'],
    ['null for a Set', { tags: null }, 'tags', 'a list'],
    ['a number among texts', { tags: ['a', 1] }, 'tags[1]', 'a text'],
    ['null among numbers', { counts: [1, null] }, 'counts[1]', LONG],
    ['a list among texts', { tags: [['a']] }, 'tags[0]', 'a text'],
    ['a text for a record', { body: '{"amount":1}' }, 'body', 'an object'],
    ['a list for a record', { body: [{ amount: 1 }] }, 'body', 'an object'],
    ['null for a record', { body: null }, 'body', 'an object'],
    ['a number deep inside', { body: { lines: { first: { sku: 1 } } } }, 'body.lines.first.sku', 'a text'],
  ])('%s', (_, input, path, expected) => {
    const field = `proposal.input.${path}`;
    expect(problem(input)).toMatchObject({ code: 'POLICY_ERROR', field, expected, fix: expect.stringMatching(/\w/) });
    expect(enforceOn(input).reason).toContain(field);
  });

  test('also when the recorded facts are evaluated again', () => {
    const recorded = JSON.parse(JSON.stringify(factsWith(plain, { body: { amount: '100' } }))) as Facts;
    const again = evaluate(plain, recorded);
    expect(again).toMatchObject({ effect: 'deny', code: 'POLICY_ERROR' });
    expect(again.reason).toContain('proposal.input.body.amount is a text');
  });

  test('and the refusal quotes no value', () => {
    expect(() => plain.checkInput(factsWith(plain, { body: { amount: 'sk_live_123' } }))).toThrow(
      /^proposal\.input\.body\.amount is a text, not a whole number/,
    );
  });

  test('whatever the value is, it is either read as declared or refused', () => {
    const policy = policyOn('x?: Long', '!(context has input.x)');
    fc.assert(
      fc.property(fc.jsonValue(), (x) => {
        const whole = typeof x === 'number' && Number.isSafeInteger(x);
        const decision = (() => {
          try {
            return evaluate(policy, factsWith(policy, { x }));
          } catch (error) {
            return error as { code: string };
          }
        })();
        // POLICY_DENIED would mean that the forbid found the value absent.
        expect(decision).toMatchObject(whole ? { effect: 'allow' } : { code: 'POLICY_ERROR' });
      }),
      { numRuns: 300 },
    );
  });
});

describe('a hostile input', () => {
  test('cannot use the names of an object’s prototype', () => {
    const policy = policyOn(
      'constructor?: String, toString?: { length?: Long }, hasOwnProperty?: Bool, valueOf?: Long',
    );
    for (const input of [{}, { body: {} }, Object.create(null) as JsonObject]) {
      expect(factsWith(policy, input).input).toEqual({});
      expect(evaluate(policy, factsWith(policy, input)).effect).toBe('allow');
    }
    expect(factsWith(policy, { constructor: 'c', hasOwnProperty: true }).input).toEqual({
      constructor: 'c',
      hasOwnProperty: true,
    });
    const inherited = JSON.parse('{"__proto__": {"valueOf": 3}, "toString": {}}') as JsonObject;
    expect(factsWith(policy, inherited).input).toEqual({ toString: {} });
    expect(({} as Record<string, unknown>)['valueOf']).toBeTypeOf('function');
  });

  test('that the schema of a tool transformed into something other than JSON is refused', () => {
    class Money {
      amount = 100;
    }
    for (const input of [
      { body: new Money() },
      { body: new Map([['amount', 100]]) },
      { op: new Date(0) },
      { body: { amount: 5n } },
      { body: { amount: Number.NaN } },
      { body: Object.create({ amount: 100 }) as unknown },
      new Map([['op', 'refund']]),
      ['refund'],
      'refund',
      null,
    ]) {
      expect(problem(input)).toMatchObject({ code: 'POLICY_ERROR', field: expect.stringMatching(/^proposal\.input/) });
    }
  });

  test('cannot satisfy a policy with a look-alike name', () => {
    const rule = `@id("small") permit (principal, action, resource) when { context has input.body.amount && context.input.body.amount <= 100 };`;
    const policy = policyFromText({ 'schema.cedarschema': schemaWith('body?: { amount?: Long }'), 'a.cedar': rule });
    const decide = (body: JsonObject): string => evaluate(policy, factsWith(policy, { body })).effect;
    expect(decide({ amount: 100 })).toBe('allow');
    for (const name of ['\u0430mount', 'amount\u200B', 'Amount', 'amount ', 'amo\u00FAnt', 'body.amount']) {
      expect(decide({ [name]: 1 })).toBe('deny');
      expect(decide({ [name]: 1, amount: 101 })).toBe('deny');
    }
    expect(factsWith(policy, { body: { amount: 7, '\u0430mount': 9000 }, other: 1 }).input).toEqual({
      body: { amount: 7 },
    });
  });

  test('keeps texts in any script, and texts that look like a policy, as texts', () => {
    const policy = policyOn('op?: String', 'context has input.op && context.input.op == "refund"');
    for (const op of ['refund" || true || "', '\u202Edufer', '\uFF52efund', '\\u{72}efund', '', '💶'.repeat(100)]) {
      expect(evaluate(policy, factsWith(policy, { op })).effect).toBe('allow');
    }
    expect(problem({ op: '\uD800' })).toMatchObject({ code: 'POLICY_ERROR' });
    expect(problem({ op: 'a\u0000' })).toMatchObject({ code: 'POLICY_ERROR' });
  });

  test('of any size is recorded only as far as it is declared, and refused over 16 KiB', () => {
    const noise = { junk: 'x'.repeat(200_000), more: Array.from({ length: 10_000 }, (_, i) => i) };
    expect(factsWith(plain, { ...noise, op: 'refund' }).input).toEqual({ op: 'refund' });
    const room = 16 * 1024 - canonicalBytes({ op: '' });
    expect(problem({ op: 'x'.repeat(room) })).toBeUndefined();
    expect(problem({ op: 'x'.repeat(room + 1) })).toMatchObject({ code: 'POLICY_ERROR', field: 'proposal.input' });
    expect(problem({ tags: Array.from({ length: 5_000 }, (_, i) => `tag-${i}`) })).toMatchObject({
      expected: 'at most 16384 bytes of what schema.cedarschema declares',
    });
    // When it is too large because it has a wrong type, the error is about the type.
    expect(problem({ body: { amount: 'x'.repeat(20_000) } })).toMatchObject({ field: 'proposal.input.body.amount' });
  });

  test('may nest to any depth outside the declared part, but not within it', () => {
    let deep: JsonObject = {};
    for (let level = 0; level < 5_000; level++) deep = { deep };
    expect(problem({ op: 'refund', deep, body: { amount: 1, deep } })).toBeUndefined();
    expect(problem({ body: { amount: deep } })).toMatchObject({ code: 'POLICY_ERROR' });
  });

  test('may have values at the deepest place that a schema can declare', () => {
    const depth = 15;
    const policy = policyOn(`${'a?: { '.repeat(depth)}x?: Long${' }'.repeat(depth)}`);
    const input = JSON.parse(`${'{"a":'.repeat(depth)}{"x":1}${'}'.repeat(depth)}`) as JsonObject;
    expect(evaluate(policy, factsWith(policy, input)).effect).toBe('allow');
    expect(() => policyOn(`${'a?: { '.repeat(depth + 1)}x?: Long${' }'.repeat(depth + 1)}`)).toThrow(
      /declares too much/,
    );
  });
});

describe('recorded facts', () => {
  const policy = policyOn(
    'body?: { amount?: Long }',
    'context has input.body.amount && context.input.body.amount > 100',
  );

  test('contain the declared arguments and nothing else, and give the same decision again', () => {
    const facts = factsWith(policy, { op: 'refund', body: { amount: 101, card: '4242' }, note: 'n' });
    expect(facts.input).toEqual({ body: { amount: 101 } });
    const again = JSON.parse(JSON.stringify(facts)) as Facts;
    expect(evaluate(policy, again)).toEqual(evaluate(policy, facts));
    expect(evaluate(policy, again).policies).toEqual(['forbidden']);
  });

  test('are not longer when the schema declares no input', () => {
    const without = policyFromText({ 'a.cedar': PERMIT_ALL });
    expect(without.declaredInput('WRITE', { op: 'x' })).toBeUndefined();
    expect(JSON.stringify(factsWith(without, { op: 'x' }))).toBe(JSON.stringify(factsOf()));
    expect(Object.keys(without.request(factsOf()).context)).not.toContain('input');
    expect(without.declaredInput('WRITE', 'whatever')).toBeUndefined();
  });

  test('can be evaluated by a policy that declares less, other attributes, or nothing', () => {
    const facts = factsWith(policy, { body: { amount: 101 } });
    expect(evaluate(policyFromText({ 'a.cedar': PERMIT_ALL }), facts).effect).toBe('allow');
    expect(evaluate(policyOn('body?: { amount?: decimal }'), facts).effect).toBe('allow');
    expect(evaluate(policyOn('body?: { amount?: String }'), facts).code).toBe('POLICY_ERROR');
    expect(evaluate(policyOn('op?: String'), facts).effect).toBe('allow');
  });

  test('without `input` give an absent `input` where it is optional, and a deny where it is required', () => {
    expect(evaluate(policy, factsOf()).effect).toBe('allow');
    const strict = policyFromText({
      'schema.cedarschema': schemaWith('op?: String', 'input: Input'),
      'a.cedar': PERMIT_ALL,
    });
    expect(evaluate(strict, factsWith(strict, {})).effect).toBe('allow');
    expect(evaluate(strict, factsOf())).toMatchObject({ effect: 'deny', code: 'POLICY_ERROR' });
  });

  test('whose `input` was replaced by something other than an object are denied', () => {
    for (const input of ['x', [], null, 1]) {
      const facts = { ...factsOf(), input: input as unknown as JsonObject };
      expect(evaluate(policy, facts)).toMatchObject({ effect: 'deny', code: 'POLICY_ERROR' });
    }
  });
});

test('the same arguments are evaluated for an agent above in the chain', () => {
  const policy = policyFromText({
    'schema.cedarschema': schemaWith('body?: { amount?: Long }'),
    'a.cedar': `${PERMIT_ALL}@id("juniors") @reason("juniors refund up to 100") forbid (principal in Countersign::Role::"junior", action, resource)
      when { context has input.body.amount && context.input.body.amount > 100 };`,
  });
  const above = [anAgent({ id: 'boss', roles: ['junior'] })];
  const decide = (amount: number) => evaluate(policy, { ...factsWith(policy, { body: { amount } }), above });
  expect(decide(100).effect).toBe('allow');
  expect(decide(101)).toMatchObject({ effect: 'deny', policies: ['juniors'] });
});

describe('in a unit test', () => {
  const policy = policyOn('amount?: Long', 'context has input.amount && context.input.amount > 100');
  const context = { policy, agent: anAgent(), tool: aTool(), actionType: 'CALL_API' as const };

  test('policies read the input of the proposal', () => {
    expect(enforce({ tool: 'shop-db', input: { amount: 100 } }, context).effect).toBe('allow');
    expect(enforce({ tool: 'shop-db', input: { amount: 101 } }, context).code).toBe('POLICY_DENIED');
  });

  test('nothing throws: an invalid input is a deny', () => {
    for (const amount of ['1', 1.5, null]) {
      const decision = enforce({ tool: 'shop-db', input: { amount } }, context);
      expect(decision).toMatchObject({ effect: 'deny', code: 'POLICY_ERROR' });
      expect(decision.reason).toContain('proposal.input.amount is');
    }
    const circular: Record<string, unknown> = {};
    circular['amount'] = circular;
    const given = { tool: 'shop-db', input: circular as unknown as JsonObject };
    expect(enforce(given, context)).toMatchObject({ effect: 'deny', code: 'POLICY_ERROR' });
  });
});

describe('a schema', () => {
  const load =
    (schema: string, cedar = PERMIT_ALL) =>
    () =>
      policyFromText({ 'schema.cedarschema': schema, 'a.cedar': cedar });

  test.each([
    ['a required attribute', 'amount: Long', 'input.amount is not optional'],
    ['a required attribute in a record', 'body?: { amount: Long }', 'input.body.amount is not optional'],
    ['a datetime', 'at?: datetime', 'input.at is datetime'],
    ['an address', 'from?: ipaddr', 'input.from is ipaddr'],
    ['an entity', 'who?: Agent', 'input.who is Countersign::Agent'],
    ['a set of records', 'lines?: Set<{ sku?: String }>', 'input.lines is a Set of something else'],
    ['a set of sets', 'lines?: Set<Set<String>>', 'input.lines is a Set of something else'],
    ['a name of Cedar’s own', '__extn?: String', 'input.__extn has a name'],
    ['a name that no proposal may have', '"__proto__"?: String', 'input.__proto__ has a name'],
    [
      'too many attributes',
      Array.from({ length: 257 }, (_, i) => `a${i}?: Long`).join(', '),
      'input declares too much',
    ],
  ])('that declares %s is refused', (_, attributes, message) => {
    expect(load(schemaWith(attributes))).toThrow(`schema.cedarschema: ${message}`);
  });

  test('whose types multiply each other or are cyclic is refused', () => {
    const doubling = Array.from({ length: 9 }, (_, i) => `type T${i} = { a?: T${i + 1}, b?: T${i + 1} };`).join(' ');
    expect(load(schemaWith(`a?: T0 }; ${doubling} type T9 = { x?: Long`))).toThrow(/declares too much/);
    expect(load(schemaWith('a?: Input'))).toThrow(/cycle/);
  });

  test('whose input is not a record is refused', () => {
    for (const type of ['Long', 'Set<String>', 'Agent']) {
      expect(load(STARTER_SCHEMA.replace('type Facts = {', `type Facts = { input?: ${type},`))).toThrow(
        /schema\.cedarschema: input is/,
      );
    }
  });

  test('may give the type any name, or declare it inline, outside the namespace, or through other types', () => {
    const asking = `${PERMIT_ALL}@id("f") forbid (principal, action, resource) when { context has input.amount && context.input.amount > 1 };`;
    const at = (input: string) => STARTER_SCHEMA.replace('type Facts = {', `type Facts = { input?: ${input},`);
    for (const schema of [
      at('{ amount?: Long }'),
      at('Arguments').replace('entity Role;', 'entity Role; type Arguments = { amount?: Money }; type Money = Long;'),
      `${at('Input')}\ntype Input = { amount?: Money };\ntype Money = __cedar::Long;`,
      at('{ "\\u{61}mount"?: Long }'),
      STARTER_SCHEMA.replace('type Facts = {', 'type Facts = { "inp\\u{75}t"?: { amount?: Long },'),
    ]) {
      const policy = load(schema, asking)();
      expect(evaluate(policy, factsWith(policy, { amount: 1 })).effect).toBe('allow');
      expect(evaluate(policy, factsWith(policy, { amount: 2 })).code).toBe('POLICY_DENIED');
      expect(evaluate(policy, factsWith(policy, { amount: '2' })).code).toBe('POLICY_ERROR');
    }
  });

  test('may declare one input for some action types, and another for others', () => {
    const facts = /type Facts = \{([^}]*)\}/.exec(STARTER_SCHEMA)?.[1] ?? '';
    const schema = STARTER_SCHEMA.replace(
      'type Facts = {',
      `type Calling = { input?: { amount?: Long }, ${facts} };\n type Deleting = { input: { amount?: String }, ${facts} };\n type Facts = {`,
    ).replace(
      'action READ, WRITE, DELETE, CALL_API appliesTo',
      `action CALL_API appliesTo { principal: Agent, resource: Tool, context: Calling };
       action DELETE appliesTo { principal: Agent, resource: Tool, context: Deleting };
       action READ, WRITE appliesTo`,
    );
    const policy = load(schema)();
    const decide = (actionType: Facts['actionType'], amount: string | number) =>
      evaluate(policy, factsWith(policy, { amount }, { actionType })).code;
    expect(decide('CALL_API', 1)).toBeUndefined();
    expect(decide('CALL_API', '1')).toBe('POLICY_ERROR');
    expect(decide('DELETE', '1')).toBeUndefined();
    expect(decide('DELETE', 1)).toBe('POLICY_ERROR');
    expect(factsWith(policy, { amount: 1 }, { actionType: 'WRITE' }).input).toBeUndefined();
  });

  test.each([
    ['an argument that it does not declare', 'context has input.amuont && context.input.amuont > 1'],
    ['one without asking whether it is there', 'context.input.amount > 1'],
    ['one as another type', 'context has input.amount && context.input.amount == "1"'],
  ])('refuses a policy that reads %s', (_, condition) => {
    const cedar = `@id("f") forbid (principal, action, resource) when { ${condition} };`;
    expect(load(schemaWith('amount?: Long'), cedar)).toThrow(/a\.cedar:1:\d+/);
  });
});
