/** Each construct of OpenAPI by an excerpt of its own: what an agent proposes, and what a real server then receives. */
import type { IncomingHttpHeaders } from 'node:http';
import { describe, expect, test } from 'vitest';
import type { CountersignError } from '../../src/action/errors.js';
import type { Json, JsonObject } from '../../src/action/json.js';
import { describeOpenApi, fromOpenApi, type HttpInput, type OpenApiOperation } from '../../src/tools/index.js';
import type { Tool } from '../../src/tools/tool.js';
import { act } from './conformance.js';
import { execute } from './http-support.js';
import { receiver } from './receiver.js';

interface Received {
  readonly request: string;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
}

const service = receiver();
const received = (): readonly Received[] =>
  service.received.map(({ method, url, headers, bytes }) => {
    const target = decodeURIComponent(url.replaceAll('+', ' '));
    return { request: `${method} ${target}`, headers, bytes };
  });

const OK = { 200: { description: 'done' } };

function documentOf(paths: JsonObject, components: JsonObject = {}, openapi = '3.0.3'): JsonObject {
  return { openapi, info: { title: 'Excerpt', version: '1' }, paths, components };
}

/** A path with one operation, `x`, and this body. */
function withBody(schema: Json, type = 'application/json', more: JsonObject = {}): JsonObject {
  const requestBody = { required: true, content: { [type]: { schema, ...more } } };
  return { '/x': { post: { operationId: 'x', requestBody, responses: OK } } };
}

/** A path with one operation, `x`, and these parameters. */
function withParameters(...parameters: readonly JsonObject[]): JsonObject {
  return { '/x': { get: { operationId: 'x', parameters, responses: OK } } };
}

function toolFor(document: JsonObject | string, operation: OpenApiOperation = {}): Tool<HttpInput> {
  return service.tool({
    operations: fromOpenApi(document, { operations: { x: { actionType: 'READ', ...operation } } }),
  });
}

/** A path parameter that is an object. */
function inPath(name: string, style: string, explode: boolean): JsonObject {
  return { name, in: 'path', required: true, style, explode, schema: { type: 'object' } };
}

const RGB: JsonObject = { R: 100, G: 200 };

interface Construct {
  readonly name: string;
  readonly document: JsonObject;
  readonly operation?: OpenApiOperation;
  readonly proposal: JsonObject;
  /** The request line as received, without percent signs. */
  readonly request: string;
  /** The body as received. Forms: its pairs. */
  readonly body?: Json | readonly (readonly [string, string])[];
  /** Headers as received. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly refused?: readonly JsonObject[];
}

const SCHEMAS: JsonObject = {
  Id: { type: 'string', pattern: '^[0-9]+$' },
  Node: {
    type: 'object',
    required: ['name'],
    properties: { name: { type: 'string' }, child: { $ref: '#/components/schemas/Node' } },
  },
  Cat: { type: 'object', required: ['kind'], properties: { kind: { type: 'string' }, lives: { type: 'integer' } } },
  Dog: { type: 'object', required: ['kind'], properties: { kind: { type: 'string' }, barks: { type: 'boolean' } } },
};
const PET = { oneOf: [{ $ref: '#/components/schemas/Cat' }, { $ref: '#/components/schemas/Dog' }] };

const CONSTRUCTS: readonly Construct[] = [
  {
    name: '$ref into components: a parameter, a body, a schema',
    document: documentOf(
      {
        '/orders/{id}': {
          post: {
            operationId: 'x',
            parameters: [{ $ref: '#/components/parameters/Id' }],
            requestBody: { $ref: '#/components/requestBodies/Node' },
            responses: { 200: { $ref: '#/components/responses/Done' } },
          },
        },
      },
      {
        parameters: { Id: { name: 'id', in: 'path', required: true, schema: { $ref: '#/components/schemas/Id' } } },
        requestBodies: {
          Node: { required: true, content: { 'application/json': { schema: { $ref: '#/components/schemas/Node' } } } },
        },
        responses: { Done: { description: 'done', content: { 'application/json': { schema: { type: 'object' } } } } },
        schemas: SCHEMAS,
      },
    ),
    proposal: { path: { id: '7' }, body: { name: 'a' } },
    request: 'POST /orders/7',
    body: { name: 'a' },
    refused: [
      { path: { id: 'x' }, body: { name: 'a' } },
      { path: { id: '7' }, body: {} },
    ],
  },
  {
    name: '$ref into paths',
    document: documentOf({
      '/a/{id}': {
        get: {
          parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string', maxLength: 2 } }],
          responses: OK,
        },
        put: {
          requestBody: { content: { 'application/json': { schema: { type: 'object', required: ['n'] } } } },
          responses: OK,
        },
      },
      '/b/{id}': {
        post: {
          operationId: 'x',
          parameters: [{ $ref: '#/paths/~1a~1%7Bid%7D/get/parameters/0' }],
          requestBody: {
            required: true,
            content: {
              'application/json': {
                schema: { $ref: '#/paths/~1a~1{id}/put/requestBody/content/application~1json/schema' },
              },
            },
          },
          responses: OK,
        },
      },
    }),
    proposal: { path: { id: '7' }, body: { n: 1 } },
    request: 'POST /b/7',
    body: { n: 1 },
    refused: [
      { path: { id: '777' }, body: { n: 1 } },
      { path: { id: '7' }, body: {} },
    ],
  },
  {
    name: 'a path that is a $ref to another',
    document: documentOf({ '/a': { $ref: '#/paths/~1b' }, '/b': { get: { operationId: 'y', responses: OK } } }),
    operation: { from: 'GET /a' },
    proposal: {},
    request: 'GET /a',
  },
  {
    name: 'a circular $ref',
    document: documentOf(withBody({ $ref: '#/components/schemas/Node' }), { schemas: SCHEMAS }),
    proposal: { body: { name: 'a', child: { name: 'b', child: { name: 'c' } } } },
    request: 'POST /x',
    body: { name: 'a', child: { name: 'b', child: { name: 'c' } } },
    refused: [{ body: { name: 'a', child: { name: 'b', child: {} } } }],
  },
  {
    name: 'allOf',
    document: documentOf(
      withBody({ allOf: [{ $ref: '#/components/schemas/Node' }, { type: 'object', required: ['size'] }] }),
      { schemas: SCHEMAS },
    ),
    proposal: { body: { name: 'a', size: 1 } },
    request: 'POST /x',
    body: { name: 'a', size: 1 },
    refused: [{ body: { name: 'a' } }, { body: { size: 1 } }],
  },
  {
    name: 'anyOf',
    document: documentOf(withBody({ anyOf: [{ type: 'string', maxLength: 2 }, { type: 'integer' }] })),
    proposal: { body: 5 },
    request: 'POST /x',
    body: 5,
    refused: [{ body: 'abc' }, { body: true }],
  },
  {
    name: 'oneOf with a discriminator that maps values, where the body would fit both',
    document: documentOf(
      withBody({
        ...PET,
        discriminator: { propertyName: 'kind', mapping: { cat: '#/components/schemas/Cat', dog: 'Dog' } },
      }),
      { schemas: SCHEMAS },
    ),
    proposal: { body: { kind: 'cat' } },
    request: 'POST /x',
    body: { kind: 'cat' },
    refused: [{ body: { kind: 'bird' } }, { body: { kind: 'dog', barks: 'loud' } }, { body: {} }],
  },
  {
    name: 'oneOf with a discriminator by the names of schemas',
    document: documentOf(withBody({ ...PET, discriminator: { propertyName: 'kind' } }), { schemas: SCHEMAS }),
    proposal: { body: { kind: 'Dog', barks: true } },
    request: 'POST /x',
    body: { kind: 'Dog', barks: true },
    refused: [{ body: { kind: 'cat' } }],
  },
  {
    name: 'nullable of 3.0, beside types, enums and references',
    document: documentOf(
      withBody({
        type: 'object',
        properties: {
          a: { type: 'string', nullable: true, enum: ['x'] },
          b: { nullable: true, allOf: [{ $ref: '#/components/schemas/Node' }] },
          c: { $ref: '#/components/schemas/Node', nullable: true },
          d: { type: 'string' },
        },
      }),
      { schemas: SCHEMAS },
    ),
    proposal: { body: { a: null, b: null, c: null } },
    request: 'POST /x',
    body: { a: null, b: null, c: null },
    refused: [{ body: { d: null } }, { body: { b: {} } }],
  },
  {
    name: 'types, references with siblings and constants of 3.1',
    document: documentOf(
      withBody({
        type: 'object',
        properties: {
          a: { type: ['string', 'null'] },
          b: { $ref: '#/components/schemas/Id', maxLength: 2 },
          c: { const: 1 },
        },
      }),
      { schemas: SCHEMAS },
      '3.1.0',
    ),
    proposal: { body: { a: null, b: '12', c: 1 } },
    request: 'POST /x',
    body: { a: null, b: '12', c: 1 },
    refused: [{ body: { b: '123' } }, { body: { c: 2 } }],
  },
  {
    name: 'numbers that JSON cannot carry exactly, and patterns with needless escapes',
    document: documentOf(
      withBody({
        type: 'object',
        properties: {
          n: { type: 'integer', maximum: 2 ** 64, example: 2 ** 64 },
          s: { type: 'string', pattern: '^[\\w\\-\\_]+\\@\\/x$' },
        },
      }),
    ),
    proposal: { body: { n: 5, s: 'a-b_c@/x' } },
    request: 'POST /x',
    body: { n: 5, s: 'a-b_c@/x' },
    refused: [{ body: { s: 'a b@/x' } }],
  },
  {
    name: 'a form with deepObject fields, as Stripe describes its own',
    document: documentOf(
      withBody(
        {
          type: 'object',
          properties: {
            amount: { type: 'integer' },
            expand: { type: 'array', items: { type: 'string' } },
            metadata: {
              anyOf: [
                { type: 'object', additionalProperties: { type: 'string' } },
                { type: 'string', enum: [''] },
              ],
            },
          },
          additionalProperties: false,
        },
        'application/x-www-form-urlencoded',
        {
          encoding: {
            expand: { style: 'deepObject', explode: true },
            metadata: { style: 'deepObject', explode: true },
          },
        },
      ),
    ),
    proposal: { body: { amount: 5, expand: ['a', 'b'], metadata: { order: '41' } } },
    request: 'POST /x',
    body: [
      ['amount', '5'],
      ['expand[0]', 'a'],
      ['expand[1]', 'b'],
      ['metadata[order]', '41'],
    ],
    refused: [{ body: { amount: 'x' } }, { body: { metadata: { 'a][b': 'x' } } }],
  },
  {
    name: 'a form with lists, as Twilio describes its own, and an object without a style',
    document: documentOf(
      withBody(
        {
          type: 'object',
          properties: { MediaUrl: { type: 'array', items: { type: 'string' } }, Tags: { type: 'object' } },
        },
        'application/x-www-form-urlencoded',
      ),
    ),
    proposal: { body: { MediaUrl: ['a', 'b'], Tags: { a: 1 } } },
    request: 'POST /x',
    body: [
      ['MediaUrl', 'a'],
      ['MediaUrl', 'b'],
      ['Tags', '{"a":1}'],
    ],
  },
  {
    name: 'a multipart body with a file, a list of files and JSON',
    document: documentOf(
      withBody(
        {
          type: 'object',
          required: ['file'],
          properties: {
            file: { type: 'string', format: 'binary' },
            more: { type: 'array', items: { type: 'string', format: 'binary' } },
            about: { type: 'object', properties: { n: { type: 'integer' } } },
            note: { type: 'string' },
          },
        },
        'multipart/form-data',
      ),
    ),
    proposal: {
      body: { file: { filename: 'a.txt', text: 'A' }, more: [{ base64: 'Qg==' }], about: { n: 1 }, note: 'hi' },
    },
    request: 'POST /x',
    body: [
      ['note', 'hi'],
      ['about', '{"n":1}'],
      ['file', 'A'],
      ['more', 'B'],
    ],
    refused: [{ body: { file: 'A' } }, { body: { file: { filename: 'a.txt' } } }, { body: { note: 'hi' } }],
  },
  {
    name: 'a merge patch among other media types',
    document: documentOf({
      '/x': {
        patch: {
          operationId: 'x',
          requestBody: {
            required: true,
            content: {
              'application/json-patch+json': { schema: {} },
              'application/merge-patch+json': { schema: { type: 'object' } },
            },
          },
          responses: OK,
        },
      },
    }),
    proposal: { body: { a: null } },
    request: 'PATCH /x',
    body: { a: null },
    refused: [{ body: [] }],
  },
  {
    name: 'the media type that the operator chooses',
    document: documentOf({
      '/x': {
        post: {
          operationId: 'x',
          requestBody: {
            required: true,
            content: {
              'application/json': { schema: { type: 'object' } },
              'text/plain; charset=utf-8': { schema: { type: 'string' } },
            },
          },
          responses: OK,
        },
      },
    }),
    operation: { bodyType: 'text/plain' },
    proposal: { body: '12' },
    request: 'POST /x',
    body: 12,
    refused: [{ body: {} }],
  },
  {
    name: 'parameters of the path, overridden by those of the operation',
    document: documentOf({
      '/a/{id}': {
        parameters: [
          { name: 'id', in: 'path', required: true, schema: { type: 'string' } },
          { name: 'limit', in: 'query', schema: { type: 'integer', maximum: 10 } },
        ],
        get: {
          operationId: 'x',
          parameters: [{ name: 'limit', in: 'query', schema: { type: 'integer', maximum: 100 } }],
          responses: OK,
        },
      },
    }),
    proposal: { path: { id: 'b' }, query: { limit: 50 } },
    request: 'GET /a/b?limit=50',
    refused: [{ path: { id: 'b' }, query: { limit: 500 } }, { query: { limit: 5 } }],
  },
  {
    name: 'styles of a query: deepObject, commas, spaces, pipes, JSON, members',
    document: documentOf(
      withParameters(
        { name: 'deep', in: 'query', style: 'deepObject', schema: { type: 'object' } },
        { name: 'comma', in: 'query', explode: false, schema: { type: 'array', items: { type: 'string' } } },
        { name: 'space', in: 'query', style: 'spaceDelimited', schema: { type: 'array', items: { type: 'string' } } },
        { name: 'pipe', in: 'query', style: 'pipeDelimited', schema: { type: 'array', items: { type: 'string' } } },
        { name: 'json', in: 'query', content: { 'application/json': { schema: { type: 'object' } } } },
        { name: 'members', in: 'query', schema: { type: 'object' } },
        { name: 'ids[]', in: 'query', schema: { type: 'array', items: { type: 'integer' } } },
      ),
    ),
    proposal: {
      query: {
        deep: { gte: 1 },
        comma: ['a', 'b'],
        space: ['a', 'b'],
        pipe: ['a', 'b'],
        json: { a: 1 },
        members: { R: 1 },
        'ids[]': [1, 2],
      },
    },
    request: 'GET /x?deep[gte]=1&comma=a,b&space=a b&pipe=a|b&json={"a":1}&R=1&ids[]=1&ids[]=2',
    refused: [{ query: { deep: 1 } }, { query: { comma: 'a' } }, { query: { members: { 'ids[]': 1 }, 'ids[]': [2] } }],
  },
  {
    name: 'styles of a path: lists, labels and matrices',
    document: documentOf({
      '/a/{ids}/b{label}/c{tail}/d{at}/e{of}': {
        get: {
          operationId: 'x',
          parameters: [
            { name: 'ids', in: 'path', required: true, schema: { type: 'array', items: { type: 'integer' } } },
            { name: 'label', in: 'path', required: true, style: 'label', schema: { type: 'string' } },
            { name: 'tail', in: 'path', required: true, style: 'label', explode: true, schema: { type: 'array' } },
            { name: 'at', in: 'path', required: true, style: 'matrix', schema: { type: 'array' } },
            { name: 'of', in: 'path', required: true, style: 'matrix', explode: true, schema: { type: 'array' } },
          ],
          responses: OK,
        },
      },
    }),
    proposal: { path: { ids: [1, 2], label: 'x', tail: ['y', 'z'], at: [3, 4], of: [5, 6] } },
    request: 'GET /a/1,2/b.x/c.y.z/d;at=3,4/e;of=5;of=6',
    refused: [
      { path: { ids: [], label: 'x', tail: ['y'], at: [3], of: [5] } },
      { path: { ids: [1], label: 'x', tail: ['y/z'], at: [3], of: [5] } },
      { path: { ids: [1], label: 'x', tail: [['y']], at: [3], of: [5] } },
    ],
  },
  {
    name: 'objects in a path, in every style',
    document: documentOf({
      '/a/{plain}/{pairs}/b{label}/c{labels}/d{at}/e{of}': {
        get: {
          operationId: 'x',
          parameters: [
            inPath('plain', 'simple', false),
            inPath('pairs', 'simple', true),
            inPath('label', 'label', false),
            inPath('labels', 'label', true),
            inPath('at', 'matrix', false),
            inPath('of', 'matrix', true),
          ],
          responses: OK,
        },
      },
    }),
    proposal: { path: { plain: RGB, pairs: RGB, label: RGB, labels: RGB, at: RGB, of: RGB } },
    request: 'GET /a/R,100,G,200/R=100,G=200/b.R,100,G,200/c.R=100.G=200/d;at=R,100,G,200/e;R=100;G=200',
    refused: [
      ...['plain', 'pairs', 'label', 'labels', 'at', 'of'].flatMap((name) =>
        [{}, { R: null }, { R: { S: 1 } }, { 'a/b': 1 }, { R: 'a/b' }, { '': 1 }, { R: '..' }].map((value) => ({
          path: { plain: RGB, pairs: RGB, label: RGB, labels: RGB, at: RGB, of: RGB, [name]: value },
        })),
      ),
      { path: { plain: RGB, pairs: RGB, label: RGB, labels: { R: '1.G=2' }, at: RGB, of: RGB } },
    ],
  },
  {
    name: 'lists and objects in headers',
    document: documentOf(
      withParameters(
        { name: 'X-Ids', in: 'header', required: true, schema: { type: 'array', items: { type: 'integer' } } },
        { name: 'X-Flat', in: 'header', schema: { type: 'object' } },
        { name: 'X-Pairs', in: 'header', explode: true, schema: { type: 'object' } },
      ),
    ),
    proposal: { headers: { 'x-ids': [3, 4, 5], 'x-flat': { R: 100, G: 'a=b' }, 'x-pairs': RGB } },
    request: 'GET /x',
    headers: { 'x-ids': '3,4,5', 'x-flat': 'R,100,G,a=b', 'x-pairs': 'R=100,G=200' },
    refused: [
      { headers: { 'x-ids': [] } },
      { headers: { 'x-ids': [1, [2]] } },
      ...[['a,b'], ['a\r\nx-evil: 1'], [''], [' a'], ['"a'], ['\u00e9']].map((value) => ({
        headers: { 'x-ids': [1], 'x-flat': { value } },
      })),
      ...['a,b', 'a\nb', '', 'a ', '"a', '\u00e9'].map((value) => ({
        headers: { 'x-ids': [1], 'x-flat': { [value]: 1 } },
      })),
      { headers: { 'x-ids': [1], 'x-pairs': { 'a=b': 1 } } },
      { headers: { 'x-ids': [1], 'x-pairs': {} } },
    ],
  },
  {
    name: 'a header that is a number',
    document: documentOf(withParameters({ name: 'X-Page', in: 'header', required: true, schema: { type: 'integer' } })),
    proposal: { headers: { 'x-page': '5' } },
    request: 'GET /x',
    refused: [{ headers: { 'x-page': 'five' } }, {}],
  },
  {
    name: 'required headers that the tool sets or the config holds',
    document: documentOf(
      withParameters(
        { name: 'Idempotency-Key', in: 'header', required: true, schema: { type: 'string' } },
        { name: 'X-Api-Key', in: 'header', required: true, schema: { type: 'string' } },
        { name: 'Accept', in: 'header', required: true, schema: { type: 'string' } },
      ),
    ),
    proposal: {},
    request: 'GET /x',
    refused: [{ headers: { 'x-api-key': 'mine' } }],
  },
  {
    name: 'a missing operationId, a parameter named key, and a name in the URL that is not described',
    document: documentOf({
      '/a/{key}/{other}': {
        get: { parameters: [{ name: 'key', in: 'path', required: true, schema: { type: 'string' } }], responses: OK },
      },
    }),
    operation: { from: 'GET /a/{key}/{other}' },
    proposal: { path: { key: 'k', other: 'o' } },
    request: 'GET /a/k/o',
    refused: [{ path: { key: 'k' } }, { path: { key: 'k', other: 'a/b' } }],
  },
  {
    name: 'an optional body of a GET, which is left out',
    document: documentOf({
      '/x': {
        get: {
          operationId: 'x',
          requestBody: {
            content: { 'application/x-www-form-urlencoded': { schema: { type: 'object', properties: {} } } },
          },
          responses: OK,
        },
      },
    }),
    proposal: {},
    request: 'GET /x',
    refused: [{ body: {} }],
  },
];

/** The body as a reader of its format sees it. */
async function read({ headers, bytes }: Received): Promise<unknown> {
  const type = headers['content-type'] ?? '';
  if (/^(application\/x-www-form-urlencoded|multipart\/form-data)/.test(type)) {
    const form = await new Response(new Uint8Array(bytes), { headers: { 'content-type': type } }).formData();
    return await Promise.all(
      [...form].map(async ([name, value]) => [name, typeof value === 'string' ? value : await value.text()]),
    );
  }
  return bytes.length === 0 ? undefined : (JSON.parse(bytes.toString()) as unknown);
}

describe('a construct of OpenAPI', () => {
  test.each(CONSTRUCTS.map((one) => [one.name, one] as const))('%s', async (_name, construct) => {
    const tool = toolFor(construct.document, construct.operation);
    await execute(tool, { op: 'x', ...construct.proposal });
    expect(received().map(({ request }) => request)).toEqual([construct.request]);
    const [one] = received();
    expect(one === undefined ? undefined : await read(one)).toEqual(construct.body);
    expect(one?.headers).toMatchObject(construct.headers ?? {});
    const refused = construct.refused ?? [];
    expect(refused.filter((input) => tool.input.safeParse({ op: 'x', ...input }).success)).toEqual([]);
  });

  test('a value with slashes is one segment where the operator says so, for the request and its probes', async () => {
    const meta = { operationId: 'get', responses: OK };
    const document = documentOf({ '/files/{name}/meta': { get: meta, put: { ...meta, operationId: 'x' } } });
    const operation = { actionType: 'CALL_API', ensures: ['true'], changes: [''] } as const;
    const tool = toolFor(document, { ...operation, slashes: ['name'] });
    await act(tool, { op: 'x', path: { name: 'a/ü b.txt' } });
    const urls = new Set(service.received.map(({ method, url }) => `${method} ${url}`));
    const url = '/files/a%2F%C3%BC%20b.txt/meta';
    expect(urls).toEqual(new Set([`GET ${url}`, `PUT ${url}`]));

    const accepts = (one: Tool<HttpInput>, name: string): boolean =>
      one.input.safeParse({ op: 'x', path: { name } }).success;
    const astray = ['../b', 'a/../b', 'a/.', '/a', 'a/', 'a//b', '/', 'a\\b', 'a%2Fb', 'a/b?c', 'a/b#c', 'a/\u0000'];
    expect(astray.filter((name) => accepts(tool, name))).toEqual([]);
    expect(accepts(toolFor(document, operation), 'a/b')).toBe(false);
    expect(() => toolFor(document, { ...operation, slashes: ['nome'] })).toThrow(/input\.slashes .* not nome/);
  });

  test.each(['{', '- '])('in JSON and in YAML alike: %s', async (form) => {
    const document = documentOf(withParameters({ name: 'a', in: 'query', schema: { type: 'string' } }));
    const text = form === '{' ? JSON.stringify(document) : `# YAML\n${JSON.stringify(document, null, 2)}`;
    await act(toolFor(text), { op: 'x', query: { a: 'b' } });
    expect(received().map(({ request }) => request)).toEqual(['GET /x?a=b']);
  });
});

const GOOD = { get: { operationId: 'good', responses: OK } };

/** What an operation `x` cannot have, in an excerpt with another operation, `good`. */
const PROBLEMS: readonly (readonly [string, JsonObject, RegExp])[] = [
  ['a $ref to a file', withBody({ $ref: 'models.yaml#/Order' }), /^x\.requestBody .* refers to models\.yaml/],
  [
    'a $ref to another host',
    withBody({ $ref: 'http://127.0.0.1:1/models.json' }),
    /^x\.requestBody .* refers to http:/,
  ],
  ['a $ref to nothing', withBody({ $ref: '#/components/schemas/Nope' }), /^x\.requestBody .* which is not there/],
  ['a $ref to what everything has', withBody({ $ref: '#/components/constructor' }), /which is not there/],
  ['a schema that is part of itself', withBody({ $ref: '#/components/schemas/Loop' }), /part of itself/],
  [
    'a schema that is part of itself by way of another',
    withBody({ $ref: '#/components/schemas/Ping' }),
    /part of itself/,
  ],
  ['a schema that is none', withBody({ type: 'strange' }), /^x\.body .* schema that is none/],
  ['a pattern that is none', withBody({ pattern: '(' }), /pattern "\("/],
  ['references that depend on where they are read', withBody({ $dynamicRef: '#x' }), /\$dynamicRef/],
  ['a required body of XML', withBody({ type: 'object' }, 'application/xml'), /^x\.requestBody .* application\/xml/],
  [
    'a required cookie',
    withParameters({ name: 'c', in: 'cookie', required: true, schema: {} }),
    /^x\.parameters\.c .* cookie/,
  ],
  [
    'a style that a path has not',
    { '/x/{a}': { get: { operationId: 'x', parameters: [inPath('a', 'form', true)], responses: OK } } },
    /^x\.parameters\.a .* style form/,
  ],
  [
    'a style that a header has not',
    withParameters({ name: 'X-Ids', in: 'header', required: true, style: 'form', schema: { type: 'array' } }),
    /^x\.parameters\.X-Ids .* style form/,
  ],
  [
    'a name in the URL with a dot',
    { '/x/{a.b}': { get: { operationId: 'x', responses: OK } } },
    /^x\.path .* \{a\.b\}/,
  ],
  ['a fragment in the URL', { '/x#Action=Do': { get: { operationId: 'x', responses: OK } } }, /^x\.path /],
  [
    'a server of its own',
    {
      '/x': {
        get: {
          operationId: 'x',
          servers: [{ url: 'https://{r}.example', variables: { r: { default: 'uploads' } } }],
          responses: OK,
        },
      },
    },
    /^x\.servers .* https:\/\/uploads\.example/,
  ],
  [
    'an operationId that is there twice',
    { '/x': { get: { operationId: 'x', responses: OK } }, '/y': { get: { operationId: 'x', responses: OK } } },
    /2 times/,
  ],
  [
    'a response that refers to nothing',
    { '/x': { get: { operationId: 'x', responses: { 200: { $ref: '#/components/responses/Nope' } } } } },
    /^x\.responses\.200 /,
  ],
];

const LOOPS = {
  schemas: {
    Loop: { allOf: [{ $ref: '#/components/schemas/Loop' }] },
    Ping: { anyOf: [{ $ref: '#/components/schemas/Pong' }] },
    Pong: { $ref: '#/components/schemas/Ping' },
  },
};

describe('what an operation cannot have', () => {
  test.each(PROBLEMS)('%s is said for that operation, and the others work', (_name, paths, message) => {
    const document = documentOf({ ...paths, '/broken': { $ref: 'elsewhere.yaml' }, '/good': GOOD }, LOOPS);
    const problems: [string, CountersignError][] = [];
    const operations = fromOpenApi(document, {
      operations: { good: {}, x: {} },
      onProblem: (problem, name) => problems.push([name, problem]),
    });
    expect(Object.keys(operations)).toEqual(['good']);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject([
      'x',
      { code: 'CONFIG_INVALID', message: expect.stringMatching(message) as string },
    ]);
    expect(() => fromOpenApi(document, { operations: { good: {}, x: {} } })).toThrow(message);
    expect(Object.keys(fromOpenApi(document, { operations: { good: {} } }))).toEqual(['good']);
  });

  test('is said of all operations that are named, in one error', () => {
    const document = documentOf({ ...withBody({ $ref: 'a.yaml' }), '/good': GOOD });
    expect(() => fromOpenApi(document, { operations: { x: {}, y: {}, good: {} } })).toThrow(
      /x\.requestBody.*has no operation y/,
    );
  });

  test('is no concern of an operation whose part the operator declares', async () => {
    const tool = toolFor(documentOf(withBody({ $ref: 'a.yaml' })), { input: { body: { type: 'object' } } });
    await execute(tool, { op: 'x', body: { a: 1 } });
    expect(received().map(({ request }) => request)).toEqual(['POST /x']);
  });

  test('a server of its own is accepted by name', () => {
    const servers = [{ url: 'https://uploads.example' }];
    const document = documentOf({ '/x': { get: { operationId: 'x', servers, responses: OK } } });
    expect(Object.keys(fromOpenApi(document, { operations: { x: { server: 'https://uploads.example' } } }))).toEqual([
      'x',
    ]);
    expect(() => fromOpenApi(document, { operations: { x: { server: 'https://other.example' } } })).toThrow(/servers/);
  });

  test('a reference to another host is never followed', () => {
    const document = documentOf({
      ...withBody({ $ref: `${service.url}/models.json#/Order` }),
      '/y': { $ref: `${service.url}/paths.json` },
    });
    expect(() => fromOpenApi(document, { operations: { x: {}, y: { from: 'GET /y' } } })).toThrow(/refers to http/);
    expect(describeOpenApi(document).operations.map(({ problem }) => problem?.code)).toEqual(['CONFIG_INVALID']);
    expect(received()).toEqual([]);
  });
});

describe('a body of many definitions', () => {
  const count = 40;
  const schemas = Object.fromEntries(
    Array.from({ length: count }, (_, at) => [
      `S${at}`,
      {
        type: 'object',
        required: ['n'],
        additionalProperties: false,
        properties: {
          n: { type: 'integer', enum: [at] },
          $defs: { type: 'string' },
          $id: { type: 'string' },
          next: { $ref: `#/components/schemas/S${(at + 1) % count}` },
          others: {
            type: 'array',
            items: { anyOf: [{ $ref: `#/components/schemas/S${(at + 7) % count}` }, { type: 'null' }] },
          },
        },
      },
    ]),
  );
  /** The issues of a body that nests around the whole circle, with something at its end. */
  const issuesOf = (end: JsonObject, openapi: string) => {
    const tool = toolFor(documentOf(withBody({ $ref: '#/components/schemas/S0' }), { schemas }, openapi));
    let body: JsonObject = { n: 0, ...end };
    for (let at = count - 1; at >= 0; at--) body = { n: at, next: body };
    return tool.input.safeParse({ op: 'x', body }).error?.issues ?? [];
  };
  const depth = Array.from({ length: count }, () => 'next');

  test.each(['3.0.3', '3.1.0'])('is validated at every depth, and errors name the place (%s)', (openapi) => {
    expect(issuesOf({ others: [null, { n: 7, others: [null] }], $defs: 'a', $id: 'b' }, openapi)).toEqual([]);
    expect(issuesOf({ n: 1 }, openapi)[0]?.path).toEqual(['body', ...depth, 'n']);
    expect(issuesOf({ $defs: 1 }, openapi)[0]?.path).toEqual(['body', ...depth, '$defs']);
    expect(issuesOf({ $id: 1 }, openapi)[0]?.path).toEqual(['body', ...depth, '$id']);
    expect(issuesOf({ more: 1 }, openapi)[0]?.message).toContain('"more"');
    expect(issuesOf({ others: [{ n: 8 }] }, openapi)[0]?.path.slice(0, -2)).toEqual(['body', ...depth, 'others']);
  });
});

test('a document is described operation by operation', () => {
  const document = {
    ...documentOf({
      '/a': {
        get: { operationId: 'list/all', parameters: [{ name: 'c', in: 'cookie', schema: {} }], responses: OK },
        post: { responses: OK },
      },
      '/b': { get: { operationId: 'twice', responses: OK }, delete: { operationId: 'twice', responses: OK } },
      ...withBody({ $ref: 'a.yaml' }),
    }),
    servers: [
      { url: 'https://{region}.example/{v}', variables: { region: { default: 'eu', enum: ['eu', 'us'] } } },
      { url: '/v1' },
    ],
  };
  const { servers, operations } = describeOpenApi(document);
  expect(servers).toEqual(['https://eu.example/{v}', '/v1']);
  expect(operations.map(({ from, problem, leftOut }) => [from, problem?.field, leftOut.length])).toEqual([
    ['list/all', undefined, 1],
    ['POST /a', undefined, 0],
    ['GET /b', undefined, 0],
    ['DELETE /b', undefined, 0],
    ['x', 'x.requestBody', 0],
  ]);
});
