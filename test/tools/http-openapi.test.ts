import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../src/action/json.js';
import { fromOpenApi, http, type HttpOptions } from '../../src/tools/index.js';
import { act } from './conformance.js';
import { openDesk, type Desk } from './http-support.js';

const DOCUMENT = `
openapi: 3.0.3
info: { title: Payments, version: '1' }
servers: [{ url: 'https://evil.example' }]
paths:
  /orders/{id}:
    parameters:
      - { $ref: '#/components/parameters/OrderId' }
    get:
      operationId: getOrder
      parameters:
        - { name: expand, in: query, schema: { type: array, items: { type: string, enum: [items, refunds] } } }
        - { name: X-Trace, in: header, schema: { type: string, maxLength: 8 } }
        - { name: Authorization, in: header, required: true, schema: { type: string } }
        - { name: filter, in: query, style: deepObject, schema: { type: object } }
        - { name: session, in: cookie, schema: { type: string } }
      responses:
        '200': { description: it, content: { application/json: { schema: { $ref: '#/components/schemas/Order' } } } }
    put:
      operationId: putOrder
      requestBody: { $ref: '#/components/requestBodies/Order' }
      responses:
        '200': { description: it, content: { application/json; charset=utf-8: { schema: { $ref: '#/components/schemas/Order' } } } }
        '204': { description: nothing }
        default: { description: a problem }
  /orders/{id}/refunds:
    post:
      operationId: refund
      parameters:
        - { $ref: '#/components/parameters/OrderId' }
      requestBody:
        required: true
        content:
          application/json:
            schema:
              type: object
              required: [amount]
              additionalProperties: false
              properties:
                amount: { type: integer, minimum: 0, exclusiveMinimum: true, maximum: 100 }
                reason: { type: string, nullable: true, enum: [broken, late] }
      responses:
        2XX: { description: made, content: { application/json: { schema: { type: object, required: [id] } } } }
  /upload:
    post:
      operationId: upload
      requestBody: { required: true, content: { application/xml: { schema: { type: object } } } }
      responses: {}
  /search:
    get:
      operationId: search
      parameters:
        - { name: q, in: cookie, required: true, schema: { type: string } }
      responses: {}
  /loop:
    get: { operationId: loop, parameters: [{ $ref: '#/components/parameters/Loop' }], responses: {} }
  /far:
    get: { operationId: far, parameters: [{ $ref: 'https://evil.example/p.yaml#/x' }], responses: {} }
components:
  parameters:
    OrderId: { name: id, in: path, required: true, schema: { type: string, pattern: '^[0-9]+$' } }
    Loop: { $ref: '#/components/parameters/Loop' }
  requestBodies:
    Order:
      required: true
      content: { application/json: { schema: { $ref: '#/components/schemas/Order' } } }
  schemas:
    Order:
      type: object
      required: [id, status]
      properties:
        id: { type: string, readOnly: true }
        status: { type: string }
        nullable: { type: string }
        note: { type: string, nullable: true }
        parent: { $ref: '#/components/schemas/Order' }
`;

/** Whether the tool accepts an input. Everything else about the operations is irrelevant here. */
function takes(
  source: string | JsonObject,
  ids: readonly string[],
  more: Partial<HttpOptions['operations'][string]> = {},
) {
  const operations = fromOpenApi(source, {
    operations: Object.fromEntries(ids.map((id) => [id, { actionType: 'READ', ...more }])),
  });
  const tool = http({ name: 'payments', environment: 'test', baseUrl: 'https://payments.example', operations });
  return (input: object): boolean => tool.input.safeParse(input).success;
}

describe('an OpenAPI 3.0 document', () => {
  const fits = takes(DOCUMENT, ['getOrder', 'putOrder', 'refund']);

  test.each<[string, object, boolean]>([
    ['a path parameter', { op: 'getOrder', path: { id: '7' } }, true],
    ['a path parameter that does not match', { op: 'getOrder', path: { id: 'x' } }, false],
    ['a path parameter too many', { op: 'getOrder', path: { id: '7', x: '1' } }, false],
    ['no path parameter', { op: 'getOrder' }, false],
    ['a query', { op: 'getOrder', path: { id: '7' }, query: { expand: ['items', 'refunds'] } }, true],
    ['a query that does not match', { op: 'getOrder', path: { id: '7' }, query: { expand: ['all'] } }, false],
    ['a query that is not described', { op: 'getOrder', path: { id: '7' }, query: { admin: true } }, false],
    ['an object in a query', { op: 'getOrder', path: { id: '7' }, query: { filter: { status: 'late' } } }, true],
    ['an empty object in a query', { op: 'getOrder', path: { id: '7' }, query: { filter: {} } }, false],
    ['an optional cookie', { op: 'getOrder', path: { id: '7' }, query: { session: 'x' } }, false],
    ['a header', { op: 'getOrder', path: { id: '7' }, headers: { 'x-trace': 'abc' } }, true],
    ['a header that does not match', { op: 'getOrder', path: { id: '7' }, headers: { 'x-trace': 'abcdefghi' } }, false],
    [
      'the header that carries the credential',
      { op: 'getOrder', path: { id: '7' }, headers: { authorization: 'x' } },
      false,
    ],
    ['a body for a GET', { op: 'getOrder', path: { id: '7' }, body: {} }, false],
    ['a body', { op: 'refund', path: { id: '7' }, body: { amount: 1 } }, true],
    ['no body where it is required', { op: 'refund', path: { id: '7' } }, false],
    ['the exclusive minimum itself', { op: 'refund', path: { id: '7' }, body: { amount: 0 } }, false],
    ['more than the maximum', { op: 'refund', path: { id: '7' }, body: { amount: 101 } }, false],
    [
      'null where it is nullable, beside an enum',
      { op: 'refund', path: { id: '7' }, body: { amount: 1, reason: null } },
      true,
    ],
    ['what the enum does not hold', { op: 'refund', path: { id: '7' }, body: { amount: 1, reason: 'x' } }, false],
    ['a member too many', { op: 'refund', path: { id: '7' }, body: { amount: 1, to: 'me' } }, false],
    ['a body without what is read-only', { op: 'putOrder', path: { id: '7' }, body: { status: 'x' } }, true],
    ['a recursive body', { op: 'putOrder', path: { id: '7' }, body: { status: 'x', parent: { status: 'y' } } }, true],
    [
      'a recursive body that is wrong below',
      { op: 'putOrder', path: { id: '7' }, body: { status: 'x', parent: { note: 'y' } } },
      false,
    ],
    [
      'a property that is named like a keyword',
      { op: 'putOrder', path: { id: '7' }, body: { status: 'x', nullable: 1 } },
      false,
    ],
    ['an operation that was not imported', { op: 'search', query: { q: ['x'] } }, false],
  ])('accepts or refuses %s', (_name, input, expected) => {
    expect(fits(input)).toBe(expected);
  });

  test.each([
    ['nope', /has no operation nope/],
    ['upload', /upload\.requestBody .* is required as application\/xml/],
    ['search', /search\.parameters\.q .* is required in the place cookie/],
    ['loop', /refers to itself/],
    ['far', /refers to https:\/\/evil/],
  ])('the operation %s is refused as config', (id, message) => {
    expect(() => takes(DOCUMENT, [id])).toThrow(message);
  });

  test('is the same as JSON', () => {
    const json = '{"openapi":"3.1.0","paths":{"/a":{"get":{"operationId":"a","responses":{}}}}}';
    expect(takes(json, ['a'])({ op: 'a' })).toBe(true);
    expect(() => takes(json.slice(0, -1), ['a'])).toThrow(/document is not JSON/);
  });

  test.each(['swagger: "2.0"', 'openapi: 4.0.0', '- a', 'null', 'openapi: 3.0.0\nopenapi: 3.0.1'])(
    '%j is refused as config',
    (source) => {
      expect(() => fromOpenApi(source, { operations: { a: {} } })).toThrow(/document/);
    },
  );
});

describe('an OpenAPI 3.1 document', () => {
  const document = (schema: JsonObject): JsonObject => ({
    openapi: '3.1.0',
    paths: {
      '/a': {
        post: {
          operationId: 'a',
          requestBody: { required: true, content: { 'application/json': { schema } } },
          responses: {},
        },
      },
    },
    components: { schemas: { Short: { type: 'string', maxLength: 2 } } },
  });

  test.each<[string, JsonObject, JsonObject | string | null, boolean]>([
    ['several types', { type: ['string', 'null'] }, null, true],
    ['exclusive bounds as numbers', { type: 'object', properties: { n: { exclusiveMinimum: 0 } } }, { n: 0 }, false],
    ['what stands beside a reference', { $ref: '#/components/schemas/Short', minLength: 2 }, 'a', false],
    ['a reference', { $ref: '#/components/schemas/Short' }, 'ab', true],
    ['formats', { type: 'string', format: 'date-time' }, 'yesterday', false],
    ['constants', { const: 'x' }, 'y', false],
  ])('knows %s', (_name, schema, body, expected) => {
    expect(takes(document(schema), ['a'])({ op: 'a', body })).toBe(expected);
  });

  test.each(['$id', '$anchor', '$dynamicRef'])('that changes what references mean (%s) is refused', (keyword) => {
    expect(() => takes(document({ [keyword]: 'x' }), ['a'])).toThrow(keyword);
  });
});

describe('an imported operation', () => {
  let desk: Desk;
  beforeEach(async () => {
    desk = await openDesk();
  });
  afterEach(async () => {
    await desk.stop();
  });

  test('is sent to the configured address, has the GET of its URL as the probe, and is verified', async () => {
    const operations = fromOpenApi(DOCUMENT, {
      operations: { getOrder: {}, putOrder: { probes: { order: { get: '/orders/{id}', without: ['/readAt'] } } } },
    });
    const tool = desk.tool({ operations });
    const order = desk.payments.newOrder();
    const performed = await act(tool, { op: 'putOrder', path: { id: order.id }, body: { status: 'held' } });
    expect(performed.checks.filter(({ ok }) => !ok)).toEqual([]);
    expect(order.status).toBe('held');
    const read = await act(tool, { op: 'getOrder', path: { id: order.id }, query: { expand: ['items'] } });
    expect(read.execution.result).toMatchObject({ status: 200, body: { status: 'held' } });
    expect(desk.payments.seen.at(-1)?.url).toBe(`/orders/${order.id}?expand=items`);
  });

  test('gets its probe automatically, and is refused without one until it is given', () => {
    expect(fromOpenApi(DOCUMENT, { operations: { putOrder: {} } })['putOrder']?.probes).toEqual({
      resource: { get: '/orders/{id}' },
    });
    const operations = fromOpenApi(DOCUMENT, { operations: { refund: {} } });
    expect(() => desk.tool({ operations })).toThrow(/operations\.refund\.probes/);
  });
});
