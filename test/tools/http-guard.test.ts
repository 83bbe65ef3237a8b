import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, LookupFunction } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { addressGuard } from '../../src/http/addresses.js';
import type { HttpOperation, HttpOptions } from '../../src/tools/index.js';
import { expectCode } from './conformance.js';
import { execute, toolOn } from './http-support.js';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

type Handle = (request: IncomingMessage, response: ServerResponse) => void;

async function serve(handle: Handle): Promise<{ port: number; seen: IncomingMessage[] }> {
  const seen: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    seen.push(request);
    handle(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { port: (server.address() as AddressInfo).port, seen };
}

const OPERATIONS: Record<string, HttpOperation> = {
  look: { method: 'GET', url: '/look/{id}', input: { query: { type: 'object' }, headers: { type: 'object' } } },
};
const LOOK = { op: 'look', path: { id: '1' } };

function toolAt(baseUrl: string, options: Partial<HttpOptions> = {}) {
  const tool = toolOn(baseUrl, { operations: OPERATIONS, ...options });
  closing.push(() => tool.close());
  return tool;
}

const ok: Handle = (_request, response) => void response.setHeader('content-type', 'application/json').end('{}');
const to =
  (location: string, status = 302): Handle =>
  (_request, response) =>
    void response.writeHead(status, { location }).end();

/** A resolver that returns these addresses for every name, one list after the other. */
function resolver(...answers: (readonly string[])[]): LookupFunction & { readonly lookedUp: string[] } {
  const lookedUp: string[] = [];
  const lookup: LookupFunction = (hostname, options, callback) => {
    const addresses = answers[Math.min(lookedUp.length, answers.length - 1)] ?? [];
    lookedUp.push(hostname);
    const all = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    if (options.all === true) callback(null, all);
    else callback(null, all[0]?.address ?? '', all[0]?.family);
  };
  return Object.assign(lookup, { lookedUp });
}

describe('addresses', () => {
  const closed = addressGuard({});
  test.each([
    [
      '0.0.0.0',
      '10.1.2.3',
      '100.64.0.1',
      '127.0.0.1',
      '127.255.255.255',
      '169.254.169.254',
      '172.16.0.1',
      '172.31.255.255',
    ],
    [
      '192.168.1.1',
      '192.0.0.170',
      '198.18.0.1',
      '224.0.0.1',
      '239.255.255.255',
      '240.0.0.1',
      '255.255.255.255',
      '203.0.113.9',
    ],
    [
      '::',
      '::1',
      'fe80::1',
      'fe80::1%eth0',
      'fc00::1',
      'fd12:3456::1',
      'fd00:ec2::254',
      'ff02::1',
      '2001:db8::1',
      '64:ff9b:1::1',
    ],
    [
      '::ffff:127.0.0.1',
      '::ffff:10.0.0.1',
      '::ffff:a9fe:a9fe',
      '::ffff:169.254.169.254',
      '64:ff9b::7f00:1',
      '64:ff9b::10.0.0.1',
    ],
    ['2002:7f00:1::', '2001::1', '::127.0.0.1', '', 'localhost', '127.1', '0x7f000001', '2130706433'],
  ])('that are not public are forbidden: %s …', (...addresses) => {
    expect(addresses.filter(closed)).toEqual([]);
  });

  test('that are public are allowed', () => {
    const open = [
      '8.8.8.8',
      '1.1.1.1',
      '172.32.0.1',
      '100.128.0.1',
      '2606:4700::1111',
      '2a00:1450::1',
      '::ffff:8.8.8.8',
      '64:ff9b::808:808',
    ];
    expect(open.filter((address) => !closed(address))).toEqual([]);
  });

  test('that the config allows are allowed, except link-local ones', () => {
    const guard = addressGuard({ loopback: true, networks: ['10.2.0.0/16', 'fd12::/16', '169.254.0.0/16'] });
    const all = [
      '127.0.0.1',
      '::1',
      '::ffff:127.0.0.1',
      '10.2.3.4',
      '::ffff:10.2.3.4',
      'fd12::1',
      '10.3.0.1',
      'fd13::1',
      '169.254.169.254',
      '0.0.0.0',
    ];
    expect(all.filter(guard)).toEqual(all.slice(0, 6));
  });

  test('an invalid network is refused as config', () => {
    for (const network of ['10.0.0.0/33', 'internal', '10.0.0.0/-1', '10.0.0.0/x']) {
      expect(() => addressGuard({ networks: [network] })).toThrow(/is not a network/);
    }
  });
});

describe('connections go only to checked addresses', () => {
  test('loopback is forbidden unless the config allows it', async () => {
    const { port, seen } = await serve(ok);
    const tool = toolAt(`http://127.0.0.1:${port}`, { allow: { plainHttp: true } });
    await expectCode(execute(tool, LOOK), 'TOOL_FAILED');
    expect(seen).toEqual([]);
  });

  test.each([
    '169.254.169.254',
    '[::ffff:169.254.169.254]',
    '[fd00:ec2::254]',
    '2852039166',
    '0xa9fea9fe',
    '0251.0376.0251.0376',
  ])('the metadata service is forbidden, however its address is written: %s', async (host) => {
    const tool = toolAt(`http://${host}`, { allow: { plainHttp: true, loopback: true, networks: ['169.254.0.0/16'] } });
    expect((await expectCode(execute(tool, LOOK), 'TOOL_FAILED')).message).toContain('may not connect');
  });

  test('a public name that resolves to a private address is not connected to', async () => {
    const { port, seen } = await serve(ok);
    const lookup = resolver(['127.0.0.1']);
    const tool = toolAt(`http://payments.example:${port}`, { lookup, allow: { plainHttp: true } });
    await expectCode(execute(tool, LOOK), 'TOOL_FAILED');
    expect(seen).toEqual([]);
  });

  test('a name with several addresses is refused when one of them is private', async () => {
    const { port, seen } = await serve(ok);
    const lookup = resolver(['8.8.8.8', '127.0.0.1']);
    const tool = toolAt(`http://payments.example:${port}`, { lookup, allow: { plainHttp: true } });
    await expectCode(execute(tool, LOOK), 'TOOL_FAILED');
    expect(seen).toEqual([]);
  });

  test('a name is resolved once for each connection, and each result is checked', async () => {
    const { port, seen } = await serve(ok);
    // The first address is allowed, the later one is not: the name is not resolved again between the check and the connection.
    const lookup = resolver(['127.0.0.1'], ['10.0.0.1']);
    const tool = toolAt(`http://payments.example:${port}`, { lookup, allow: { plainHttp: true, loopback: true } });
    expect((await execute(tool, LOOK)).result).toMatchObject({ status: 200 });
    expect(lookup.lookedUp).toHaveLength(1);
    await expectCode(execute(tool, LOOK), 'TOOL_FAILED');
    expect(lookup.lookedUp).toHaveLength(2);
    expect(seen).toHaveLength(1);
  });

  test('plain HTTP is allowed for loopback, or when the config allows it', () => {
    expect(() => toolOn('http://payments.example')).toThrow(/https/);
    expect(() => toolOn('http://127.0.0.1:80', { allow: {} })).toThrow(/https/);
    expect(() => toolOn('http://127.0.0.1.evil.example')).toThrow(/https/);
    expect(() => toolOn('ftp://payments.example')).toThrow(/https/);
    const secret = toThrowOf(() => toolOn('https://user:hunter2@payments.example'));
    expect(secret).toMatch(/without credentials/);
    expect(secret).not.toContain('hunter2');
  });
});

function toThrowOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return JSON.stringify(error) + String(error);
  }
  return '';
}

describe('redirections', () => {
  const SECRET = 'Zq8-very-secret-token';
  const withSecret = (): Partial<HttpOptions> => {
    process.env['HTTP_GUARD_SECRET'] = SECRET;
    return { headers: { authorization: { secret: 'env:HTTP_GUARD_SECRET', prefix: 'Bearer ' }, 'x-team': 'billing' } };
  };

  test('within the service are followed, with its credentials', async () => {
    const { port, seen } = await serve((request, response) =>
      request.url === '/moved' ? ok(request, response) : to('/moved', 308)(request, response),
    );
    const tool = toolAt(`http://127.0.0.1:${port}`, withSecret());
    expect((await execute(tool, LOOK)).result).toMatchObject({ status: 200 });
    expect(seen.map(({ headers }) => headers.authorization)).toEqual([`Bearer ${SECRET}`, `Bearer ${SECRET}`]);
  });

  test('to an allowed host are followed without credentials or any other header of the service', async () => {
    const other = await serve(ok);
    const { port } = await serve(to(`http://127.0.0.1:${other.port}/file`));
    const allow = { loopback: true, hosts: [`127.0.0.1:${other.port}`] };
    const tool = toolAt(`http://127.0.0.1:${port}`, { ...withSecret(), allow });
    const headers = { 'x-trace': 'abc' };
    expect((await execute(tool, { ...LOOK, headers })).result).toMatchObject({ status: 200 });
    expect(other.seen).toHaveLength(1);
    const got = JSON.stringify(other.seen[0]?.rawHeaders);
    for (const text of [SECRET, 'x-team', 'x-trace']) expect(got).not.toContain(text);
  });

  test.each([
    ['to a host that is not allowed', (port: number) => `http://127.0.0.1:${port + 1}/`],
    ['to the same host by another name', (port: number) => `http://localhost:${port}/`],
    ['to the metadata service', () => 'http://169.254.169.254/latest/meta-data/'],
    ['to a file', () => 'file:///etc/passwd'],
    ['with credentials in it', (port: number) => `http://user:pass@127.0.0.1:${port}/`],
    ['to nowhere', () => 'http://'],
    ['without a location', () => ''],
    ['in a loop', (port: number) => `http://127.0.0.1:${port}/look/1`],
  ])('%s are not followed', async (_name, location) => {
    let port = 0;
    const service = await serve((request, response) => to(location(port))(request, response));
    port = service.port;
    const tool = toolAt(`http://127.0.0.1:${port}`, withSecret());
    const error = await expectCode(execute(tool, LOOK), 'TOOL_FAILED');
    expect(error.message).toContain('not followed');
    expect(service.seen.length).toBeLessThanOrEqual(4);
  });

  test('to an allowed name that leads to a private address are stopped at the connection', async () => {
    const { port } = await serve(to('http://files.example/secret'));
    const lookup = resolver(['10.0.0.7']);
    const allow = { loopback: true, plainHttp: true, hosts: ['files.example'] };
    const tool = toolAt(`http://127.0.0.1:${port}`, { lookup, allow });
    const error = await expectCode(execute(tool, LOOK), 'TOOL_FAILED');
    expect(error.message).toContain('10.0.0.7');
    expect(lookup.lookedUp).toEqual(['files.example']);
  });
});

describe('values stay where the template puts them', () => {
  const ESCAPES = [
    '..',
    '.',
    '',
    '../admin',
    'a/b',
    'a\\b',
    'a%2fb',
    '%2e%2e',
    'a?b=c',
    'a#b',
    'a\u0000b',
    'a\nb',
    'a\u007fb',
    'a\u0085b',
    'a\u2028b',
  ];

  test.each(ESCAPES)('the path value %j is refused', (id) => {
    const tool = toolAt('https://payments.example');
    const parsed = tool.input.safeParse({ op: 'look', path: { id } });
    expect(parsed.success).toBe(false);
    expect(JSON.stringify(parsed.error?.issues[0]?.path)).toContain('id');
  });

  test.each(['1', 'ord_41', 'a b', 'ä', 'a;b=c', 'a:b@c', '…', 'a+b&c=d', '-1'])(
    'the path value %j is one segment',
    async (id) => {
      const { port, seen } = await serve(ok);
      await execute(toolAt(`http://127.0.0.1:${port}/v1/`), { op: 'look', path: { id } });
      const path = seen[0]?.url ?? '';
      expect(path.startsWith('/v1/look/')).toBe(true);
      expect(decodeURIComponent(path.slice('/v1/look/'.length))).toBe(id);
    },
  );

  test('query values and names are encoded', async () => {
    const { port, seen } = await serve(ok);
    const query = { 'a&b': 'x&admin=1', list: [1, true, 'ü #?'], s: '../..' };
    await execute(toolAt(`http://127.0.0.1:${port}`), { ...LOOK, query });
    const { searchParams, pathname } = new URL(seen[0]?.url ?? '', 'http://x');
    expect(pathname).toBe('/look/1');
    expect([...searchParams]).toEqual([
      ['a&b', 'x&admin=1'],
      ['list', '1'],
      ['list', 'true'],
      ['list', 'ü #?'],
      ['s', '../..'],
    ]);
  });

  test.each([
    'authorization',
    'host',
    'content-length',
    'transfer-encoding',
    'cookie',
    'idempotency-key',
    'x-api-key',
    'connection',
    'X-Upper',
    'a b',
  ])('the header %j cannot be set by the input', (name) => {
    expect(toolAt('https://payments.example').input.safeParse({ ...LOOK, headers: { [name]: 'x' } }).success).toBe(
      false,
    );
  });

  test.each(['a\r\nx: y', 'a\u0000', 'ä', '', ' a'])('the header value %j is refused', (value) => {
    expect(toolAt('https://payments.example').input.safeParse({ ...LOOK, headers: { 'x-note': value } }).success).toBe(
      false,
    );
  });

  test.each([
    'orders',
    '/a/../b',
    '/a//b',
    '/a/{id',
    '/a/{}',
    '/a/{id}?b?c',
    '/a b',
    '/a/%2e%2e',
    '/a#b',
    '/{other.id}',
  ])('the template %j is refused as config', (url) => {
    expect(() => toolOn('https://payments.example', { operations: { one: { method: 'GET', url } } })).toThrow(
      /operations\.one\.url/,
    );
  });
});
