import { describe, expect, test } from 'vitest';
import type { Json, JsonObject } from '../../src/action/json.js';
import { http, type HttpInput, type HttpOperation } from '../../src/tools/index.js';
import type { Tool } from '../../src/tools/tool.js';
import { never } from './conformance.js';
import { execute } from './http-support.js';
import { receiver } from './receiver.js';

interface Received {
  readonly url: string;
  readonly type: string;
  readonly bytes: Buffer;
}

const service = receiver();
const received = (): readonly Received[] =>
  service.received.map(({ url, headers, bytes }) => ({ url, type: headers['content-type'] ?? '', bytes }));

type Input = NonNullable<HttpOperation['input']>;

/** A tool with one operation that takes any body and query in the given format. */
function toolFor(input: Input): Tool<HttpInput> {
  const send: HttpOperation = {
    method: 'POST',
    url: '/send',
    actionType: 'READ',
    input: { body: true, bodyOptional: true, query: true, ...input },
  };
  return service.tool({ operations: { send } });
}

async function send(input: Input, proposal: JsonObject): Promise<Received> {
  await execute(toolFor(input), { op: 'send', ...proposal });
  const [one] = received();
  if (one === undefined) throw new Error('nothing was received');
  return one;
}

const FORM = 'application/x-www-form-urlencoded';
const MULTIPART = 'multipart/form-data';

describe('a form', () => {
  test.each<[string, NonNullable<Input['styles']>['body'], JsonObject, (readonly [string, string])[]]>([
    [
      'texts, numbers and booleans',
      {},
      { a: 'x & y=ü+ \n', b: 1.5, c: true },
      [
        ['a', 'x & y=ü+ \n'],
        ['b', '1.5'],
        ['c', 'true'],
      ],
    ],
    [
      'a list as Twilio takes it',
      {},
      { MediaUrl: ['a', 'b'] },
      [
        ['MediaUrl', 'a'],
        ['MediaUrl', 'b'],
      ],
    ],
    [
      'an object as Stripe takes it',
      {},
      { metadata: { order: '41', 'a b': 1 } },
      [
        ['metadata[order]', '41'],
        ['metadata[a b]', '1'],
      ],
    ],
    [
      'a list of objects with indices',
      { items: 'indices' },
      { items: [{ price: 'p1', tax: ['x', 'y'] }, { price: 'p2' }] },
      [
        ['items[0][price]', 'p1'],
        ['items[0][tax][0]', 'x'],
        ['items[0][tax][1]', 'y'],
        ['items[1][price]', 'p2'],
      ],
    ],
    [
      'a list with brackets',
      { expand: 'brackets' },
      { expand: ['a', 'b'] },
      [
        ['expand[]', 'a'],
        ['expand[]', 'b'],
      ],
    ],
    ['a list with commas', { ids: 'comma' }, { ids: [1, 2] }, [['ids', '1,2']]],
    ['an object with commas', { color: 'comma' }, { color: { R: 1, G: 2 } }, [['color', 'R,1,G,2']]],
    [
      'a list with spaces and one with pipes',
      { a: 'space', b: 'pipe' },
      { a: ['x', 'y'], b: ['x', 'y'] },
      [
        ['a', 'x y'],
        ['b', 'x|y'],
      ],
    ],
    [
      'members under their own names',
      { color: 'form' },
      { color: { R: 1, G: 2 } },
      [
        ['R', '1'],
        ['G', '2'],
      ],
    ],
    ['JSON', { filter: 'json' }, { filter: { a: [1] } }, [['filter', '{"a":[1]}']]],
    [
      'a name with brackets that a style declares',
      { 'page[size]': 'repeat' },
      { 'page[size]': 5 },
      [['page[size]', '5']],
    ],
  ])('writes %s', async (_name, body, values, pairs) => {
    const { type, bytes } = await send({ bodyType: FORM, styles: { body: body ?? {} } }, { body: values });
    expect(type).toBe(FORM);
    expect([...new URLSearchParams(bytes.toString())]).toEqual(pairs);
  });

  test.each<[string, NonNullable<Input['styles']>['body'], Json, RegExp]>([
    ['a key that leads to another field', {}, { metadata: { 'a][b': 1 } }, /lead to another field/],
    ['a name with brackets that nothing declares', {}, { 'metadata[k]': 1 }, /bracket in its name/],
    ['a member that overwrites another field', { more: 'form' }, { amount: 1, more: { amount: 2 } }, /another field/],
    ['a list of objects that cannot be told apart', {}, { items: [{ a: 1 }, { a: 2 }] }, /indices only/],
    ['an item with a comma', { ids: 'comma' }, { ids: ['1,2'] }, /separates the items/],
    ['an empty list, of which nothing would be sent', {}, { ids: [] }, /is empty/],
    ['an empty object', { a: 'indices' }, { a: { b: {} } }, /is empty/],
    ['null', {}, { a: null }, /is null/],
    ['depth that commas cannot write', { a: 'comma' }, { a: [[1]] }, /nests deeper/],
    ['what is no object', {}, ['a'], /must be an object/],
  ])('refuses %s', (_name, body, value, message) => {
    const tool = toolFor({ bodyType: FORM, styles: { body: body ?? {} } });
    const parsed = tool.input.safeParse({ op: 'send', body: value });
    expect(parsed.error?.issues[0]?.message).toMatch(message);
    expect(parsed.error?.issues[0]?.path[0]).toBe('body');
  });
});

describe('a query', () => {
  test('writes objects where a style is declared, and refuses them elsewhere', async () => {
    const styles = { query: { filter: 'indices' } } as const;
    const seen = await send({ styles }, { query: { filter: { status: ['open', 'late'] }, page: 2 } });
    expect([...new URL(seen.url, service.url).searchParams]).toEqual([
      ['filter[status][0]', 'open'],
      ['filter[status][1]', 'late'],
      ['page', '2'],
    ]);
    expect(toolFor({ styles }).input.safeParse({ op: 'send', query: { other: { a: 1 } } }).success).toBe(false);
  });
});

describe('a multipart body', () => {
  const input: Input = { bodyType: MULTIPART, styles: { body: { file: 'file', meta: 'json' } } };
  const PNG = { filename: 'logo "ü".png', contentType: 'image/png', base64: 'iVBORw0KGgo=' };

  test('holds fields, JSON and files, as another reader of the format sees them', async () => {
    const { type, bytes } = await send(input, {
      body: { file: [PNG, { text: 'a\nb' }], note: 'line 1\nline 2', tags: ['x', 'y'], meta: { a: 1 } },
    });
    const form = await new Response(new Uint8Array(bytes), { headers: { 'content-type': type } }).formData();
    expect(form.get('note')).toBe('line 1\nline 2');
    expect(form.getAll('tags')).toEqual(['x', 'y']);
    expect(form.get('meta')).toBe('{"a":1}');
    const [png, plain] = form.getAll('file') as unknown as File[];
    expect([png?.name, png?.type, plain?.name, plain?.type]).toEqual([
      'logo "ü".png',
      'image/png',
      'file',
      'application/octet-stream',
    ]);
    expect(Buffer.from(await (png ?? new Blob([])).arrayBuffer()).toString('base64')).toBe(PNG.base64);
    expect(await plain?.text()).toBe('a\nb');
  });

  test('is the same bytes each time, so that a retry under a key is the same request', async () => {
    const body = { file: PNG, note: 'x' };
    await send(input, { body });
    await send(input, { body });
    await send(input, { body: { ...body, note: 'y' } });
    const [first, second, third] = received();
    expect(second).toEqual(first);
    expect(third?.type).not.toBe(first?.type);
  });

  test.each<[string, Json, RegExp]>([
    ['a file name that is a path', { file: { ...PNG, filename: '../x' } }, /plain file name/],
    ['a file name that ends its header', { file: { ...PNG, filename: 'x\r\nA: b' } }, /plain file name/],
    ['a media type that ends its header', { file: { ...PNG, contentType: 'a/b\r\nA: b' } }, /media type/],
    ['what is not base64', { file: { base64: 'a' } }, /base64/],
    ['text and base64 at once', { file: { base64: '', text: '' } }, /either/],
    ['a member that a file has not', { file: { text: '', path: '/etc/passwd' } }, /is none of/],
    ['a text where a file is declared', { file: 'x' }, /must be an object of/],
  ])('refuses %s', (_name, body, message) => {
    const parsed = toolFor(input).input.safeParse({ op: 'send', body });
    expect(parsed.error?.issues[0]?.message).toMatch(message);
  });

  test('is previewed by its fields, and its files by size and digest', async () => {
    const tool = toolFor(input);
    const preview = await tool.preview(tool.input.parse({ op: 'send', body: { note: 'hi', file: PNG } }), {
      signal: never(),
    });
    expect(preview.summary).toContain('"note":"hi"');
    expect(preview.summary).toContain(
      '"bytes":8,"sha256":"4c4b6a3be1314ab86138bef4314dde022e600960d8689a2c8f8631802d20dab6"',
    );
    expect(preview.summary).not.toContain(PNG.base64);
  });
});

describe('another body', () => {
  test.each<[string, Json, string]>([
    ['application/merge-patch+json', { a: null }, '{"a":null}'],
    ['text/x-markdown', '# Ü\n', '# Ü\n'],
    ['application/octet-stream', { base64: 'AAEC' }, '\u0000\u0001\u0002'],
  ])('is sent as %s', async (bodyType, body, expected) => {
    const { type, bytes } = await send({ bodyType }, { body });
    expect(type).toBe(bodyType);
    expect(bytes.toString()).toBe(expected);
  });

  test('is refused where it is neither text nor bytes', () => {
    const tool = toolFor({ bodyType: 'text/plain' });
    expect(tool.input.safeParse({ op: 'send', body: { filename: 'x', text: 'y' } }).success).toBe(false);
    expect(tool.input.safeParse({ op: 'send', body: 1 }).success).toBe(false);
  });
});

describe('a format is refused as config', () => {
  const probed = { method: 'PUT', url: '/a', probes: { a: { get: '/a' } } } as const;
  test.each<[string, HttpOperation, RegExp]>([
    ['a media type that is none', { ...probed, input: { body: true, bodyType: 'json' } }, /bodyType/],
    [
      'a style that is none',
      { ...probed, input: { query: true, styles: { query: { a: 'file' as never } } } },
      /styles\.query\.a/,
    ],
    [
      'a file in a form that cannot hold one',
      { ...probed, input: { body: true, bodyType: FORM, styles: { body: { a: 'file' } } } },
      /styles\.body\.a/,
    ],
    ['a style for JSON', { ...probed, input: { body: true, styles: { body: { a: 'comma' } } } }, /is no form/],
    ['a file that is not read back by default', { ...probed, input: { body: true, bodyType: MULTIPART } }, /ensures/],
    [
      'a JSON Patch, which is not what is read back',
      { ...probed, input: { body: true, bodyType: 'application/json-patch+json' } },
      /ensures/,
    ],
  ])('%s', (_name, operation, message) => {
    expect(() =>
      http({
        name: 'a',
        environment: 'test',
        baseUrl: service.url,
        allow: { loopback: true },
        operations: { one: operation },
      }),
    ).toThrow(message);
  });
});
