import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { compilePostcondition } from '../../src/tools/http/postconditions.js';
import { at, isPointer, pointerOf, tokensOf, without } from '../../src/tools/http/pointer.js';
import { http, type HttpOperation, type HttpOptions } from '../../src/tools/index.js';
import { OPERATIONS } from './http-payments.js';
import { toolOn } from './http-support.js';

const BASE = 'https://payments.example';
const tool = (operation: Partial<HttpOperation>, more: Partial<HttpOptions> = {}) =>
  toolOn(BASE, {
    operations: { ...OPERATIONS, one: { ...OPERATIONS.refund, ...operation } },
    ...more,
  });

describe('an operation that cannot be verified is refused as config', () => {
  test.each<[string, Partial<HttpOperation>, RegExp]>([
    ['a change without a probe', { probes: {} }, /one\.probes/],
    ['a POST that ensures nothing', { ensures: [] }, /one\.ensures/],
    ['a POST that may change nothing in particular', { changes: undefined as never }, /one\.changes/],
    [
      'a PUT that is read back elsewhere and ensures nothing',
      { method: 'PUT', ensures: [], url: '/x/{id}' },
      /one\.ensures/,
    ],
    ['CEL that does not parse', { ensures: ['post.order.('] }, /one\.ensures\[0\] does not compile/],
    ['CEL that names what is not known', { ensures: ['true', 'order.id == 1'] }, /names order/],
    ['a change that is no pointer', { changes: ['order/refunded'] }, /JSON pointer/],
    ['idempotency by look-up without one', { idempotency: 'lookup', lookUp: undefined as never }, /one\.lookUp/],
    ['a look-up that does not ask for the key', { lookUp: { get: '/refunds' } }, /with \{key\}/],
    ['a probe that refers to the key', { probes: { a: { get: '/x/{key}' } } }, /not to key/],
    ['If-Match without a probe of its URL', { ifMatch: true }, /same URL/],
    ['an inverse that is not there', { compensate: { op: 'nope' } }, /compensate\.op/],
    ['a method that is none', { method: 'TRACE' as never }, /one\.method/],
    ['a lifetime of keys that mean nothing', { idempotency: 'none', keyLifetimeMs: 1_000 }, /one\.keyLifetimeMs/],
    ['a lifetime of no length', { keyLifetimeMs: 0 }, /one\.keyLifetimeMs/],
    ['a body for GET', { method: 'GET' }, /GET and HEAD/],
    ['a target that is none', { target: 'Refunds!' }, /one\.target/],
    ['a schema that is none', { input: { body: { type: 'nonsense' } } }, /not a JSON Schema/],
    [
      'too many probes',
      { probes: Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`p${i}`, { get: '/x' }])) },
      /at most 10/,
    ],
  ])('%s', (_name, operation, message) => {
    expect(() => tool(operation)).toThrow(message);
  });

  test.each<[string, Partial<HttpOptions>, RegExp]>([
    ['no operation', { operations: {} }, /at least one/],
    ['a limit that is none', { limits: { totalMs: 0 } }, /limits\.totalMs/],
    ['a limit that is unknown', { limits: { retries: 3 } as never }, /limits\.retries/],
    ['a bound on sends that is none', { sends: { max: 0 } }, /sends\.max/],
    ['a key in a header that the tool makes itself', { idempotencyKey: { header: 'Host' } }, /idempotencyKey\.header/],
    ['a key in a header of credentials', { idempotencyKey: { header: 'X-Api-Key' } }, /idempotencyKey\.header/],
    [
      'a key in a header that the config sets',
      { idempotencyKey: { header: 'x-request-id' }, headers: { 'X-Request-Id': '1' } },
      /idempotencyKey\.header/,
    ],
    ['a key in two places', { idempotencyKey: { header: 'x-key', body: '/key' } }, /idempotencyKey\.body/],
    ['a key that would be the whole body', { idempotencyKey: { body: '' } }, /idempotencyKey\.body/],
    ['quotes in a body', { idempotencyKey: { body: '/key', format: 'quoted' } }, /idempotencyKey\.format/],
    ['a format that is none', { idempotencyKey: { format: 'ulid' as never } }, /idempotencyKey\.format/],
    [
      'a key in the body of an operation that has none',
      { idempotencyKey: { body: '/key' } },
      /cancelRefund\.input\.body/,
    ],
    ['a header that the tool makes itself', { headers: { Host: 'x' } }, /headers\.Host/],
    ['a base with a query', { baseUrl: `${BASE}?a=b` }, /without a query/],
  ])('%s', (_name, options, message) => {
    expect(() => toolOn(BASE, options)).toThrow(message);
  });
});

describe('defaults', () => {
  const small = (operations: HttpOptions['operations']) =>
    http({ name: 'Pay', environment: 'test', baseUrl: BASE, operations });

  test('the type of an action follows from the method', () => {
    const of = (op: string) => {
      const tool = toolOn(BASE);
      return tool.actionType(
        tool.input.parse({ op, path: { id: '1' }, ...(BODIES[op] === undefined ? {} : { body: BODIES[op] }) }),
      );
    };
    const BODIES: Record<string, object> = { refund: { amount: 1 }, replaceOrder: { status: 'x' }, noteOrder: {} };
    expect(['getOrder', 'refund', 'replaceOrder', 'noteOrder', 'cancelRefund'].map(of)).toEqual([
      'READ',
      'CALL_API',
      'CALL_API',
      'CALL_API',
      'DELETE',
    ]);
  });

  test('a POST that is a READ needs no probe', () => {
    const tool = small({
      find: { method: 'POST', url: '/find', actionType: 'READ', input: { body: { type: 'object' } } },
    });
    expect(tool.actionType(tool.input.parse({ op: 'find', body: {} }))).toBe('READ');
    expect(tool.idempotency).toBe('native');
  });

  test('zod schemas validate without transforming', () => {
    const tool = small({
      find: {
        method: 'POST',
        url: '/find',
        actionType: 'READ',
        input: { body: z.strictObject({ q: z.string().max(3) }) },
      },
    });
    expect(tool.input.safeParse({ op: 'find', body: { q: 'abc' } }).success).toBe(true);
    const refused = tool.input.safeParse({ op: 'find', body: { q: 'abcd' } });
    expect(refused.error?.issues[0]?.path).toEqual(['body', 'q']);
  });
});

describe('ensures', () => {
  const holds = (source: string, values: object = {}) =>
    compilePostcondition(source, 'ensures')({ input: null, pre: {}, post: {}, result: null, ...values });

  test.each([
    ['post.n == 3', { post: { n: 3 } }],
    ['post.n - pre.n == input.body.amount', { pre: { n: 1.5 }, post: { n: 3 }, input: { body: { amount: 1.5 } } }],
    ['post.list.exists(x, x.id == result.body.id)', { post: { list: [{ id: 'a' }] }, result: { body: { id: 'a' } } }],
    ['post.gone == null', { post: { gone: null } }],
    ['double(post.total) == 1.5', { post: { total: '1.5' } }],
  ])('%s', (source, values) => {
    expect(holds(source, values)).toEqual({ name: 'ensures', ok: true });
  });

  test.each([
    ['post.n == 3', { post: { n: 4 } }, /does not hold/],
    ['post.n == 3', {}, /cannot be evaluated/],
    ['post.n', { post: { n: 3 } }, /not true or false/],
    ['post', {}, /it is a map/],
    ['post.__proto__ == null', {}, /cannot be evaluated/],
  ])('%s fails with %o', (source, values, detail) => {
    const check = holds(source, values);
    expect(check.ok).toBe(false);
    expect(check.detail).toMatch(detail);
  });
});

describe('JSON pointers', () => {
  test('lead to own members and items only', () => {
    const value = { a: [{ 'b/c~d': 1 }], __proto: 1 };
    expect(at(value, tokensOf('/a/0/b~1c~0d'))).toBe(1);
    for (const pointer of ['/a/length', '/a/00', '/a/-1', '/constructor', '/__proto__', '/a/0/b', '/a/1']) {
      expect(at(value, tokensOf(pointer))).toBeUndefined();
    }
    expect(pointerOf(tokensOf('/a/b~1c~0d'))).toBe('/a/b~1c~0d');
    expect(['', '/', '/a~0', 'a', '/a~2', '#/a'].map(isPointer)).toEqual([true, true, true, false, false, false]);
  });

  test('leave out a part without changing the original', () => {
    const value = { a: { b: 1, c: 2 }, d: [{ e: 1 }, { e: 2 }] };
    expect(without(value, ['a', 'b'])).toEqual({ a: { c: 2 }, d: [{ e: 1 }, { e: 2 }] });
    expect(without(value, ['d', '1', 'e'])).toEqual({ a: { b: 1, c: 2 }, d: [{ e: 1 }, {}] });
    expect(without(value, ['x', 'y'])).toBe(value);
    expect(value).toEqual({ a: { b: 1, c: 2 }, d: [{ e: 1 }, { e: 2 }] });
  });
});
