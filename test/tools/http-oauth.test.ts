import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ClientCredentials, HttpOptions } from '../../src/tools/index.js';
import { expectCode } from './conformance.js';
import { execute, openDesk, type Desk } from './http-support.js';

const SECRET = 'p:ss w%rd/ü-7yX';

interface Authority {
  readonly url: string;
  readonly requests: { readonly authorization: string | undefined; readonly form: URLSearchParams }[];
  readonly issued: string[];
  /** The lifetime of the next token, in seconds. */
  life: number | undefined;
  /** Responds instead of issuing a token. */
  instead: ((response: ServerResponse) => void) | undefined;
  stop(): Promise<void>;
}

/** The token endpoint of RFC 6749, section 4.4. */
async function openAuthority(): Promise<Authority> {
  const authority: Omit<Authority, 'url' | 'stop'> = { requests: [], issued: [], life: 3600, instead: undefined };
  const server = createServer((request, response) => {
    void (async () => {
      let body = '';
      for await (const chunk of request) body += String(chunk);
      authority.requests.push({ authorization: request.headers.authorization, form: new URLSearchParams(body) });
      response.setHeader('content-type', 'application/json');
      if (authority.instead !== undefined) return authority.instead(response);
      const token = `at-${authority.issued.length}-Zx81kQ`;
      authority.issued.push(token);
      const expires = authority.life === undefined ? {} : { expires_in: authority.life };
      response.end(JSON.stringify({ access_token: token, token_type: 'Bearer', ...expires }));
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(authority, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

let desk: Desk;
let authority: Authority;
beforeEach(async () => {
  process.env['HTTP_OAUTH_SECRET'] = SECRET;
  [desk, authority] = await Promise.all([openDesk(), openAuthority()]);
});
afterEach(async () => {
  await desk.stop();
  await authority.stop();
});

const credentials = (more: Partial<ClientCredentials> = {}): { oauth: HttpOptions['oauth'] & object } => ({
  oauth: { tokenUrl: authority.url, clientId: 'countersign', clientSecret: 'env:HTTP_OAUTH_SECRET', ...more },
});
const read = () => ({ op: 'getOrder', path: { id: desk.payments.newOrder().id } });
const refund = () => ({ op: 'refund', path: { id: desk.payments.newOrder().id }, body: { amount: 5 } });
const bearers = () => desk.payments.seen.map(({ headers }) => headers.authorization);

describe('client credentials', () => {
  test('are form-encoded in the Basic scheme, and the token is used until it expires', async () => {
    const tool = desk.tool(credentials({ scope: 'refunds:write', audience: 'https://payments' }));
    await execute(tool, read());
    await execute(tool, refund());
    expect(authority.issued).toHaveLength(1);
    expect(new Set(bearers())).toEqual(new Set([`Bearer ${authority.issued[0]}`]));
    const [{ authorization, form } = { authorization: '', form: new URLSearchParams() }] = authority.requests;
    const [id, secret] = Buffer.from((authorization ?? '').slice('Basic '.length), 'base64')
      .toString()
      .split(':');
    expect([id, new URLSearchParams(`s=${secret}`).get('s')]).toEqual(['countersign', SECRET]);
    expect(Object.fromEntries(form)).toEqual({
      grant_type: 'client_credentials',
      scope: 'refunds:write',
      audience: 'https://payments',
    });
  });

  test('are sent in the form when the config says so', async () => {
    await execute(desk.tool(credentials({ authentication: 'post' })), read());
    expect(authority.requests[0]?.authorization).toBeUndefined();
    expect(authority.requests[0]?.form.get('client_secret')).toBe(SECRET);
  });

  test('many concurrent actions share one token request', async () => {
    const tool = desk.tool(credentials());
    await Promise.all(Array.from({ length: 12 }, () => execute(tool, read())));
    expect(authority.requests).toHaveLength(1);
  });

  test('an action that is cancelled does not cancel the token request for others', async () => {
    const held: ServerResponse[] = [];
    authority.instead = (response) => void held.push(response);
    const tool = desk.tool(credentials());
    const cancel = new AbortController();
    const [first, second] = [
      execute(tool, read(), { signal: cancel.signal, preDigest: 'sha256:0' }),
      execute(tool, read(), { preDigest: 'sha256:0' }),
    ];
    const refused = expectCode(first, 'TOOL_UNAVAILABLE');
    cancel.abort();
    await refused;
    await expect.poll(() => held.length).toBe(1);
    held[0]?.end('{"access_token":"at-late-Zx81kQ","token_type":"bearer"}');
    expect((await second).result).toMatchObject({ status: 200 });
    expect(authority.requests).toHaveLength(1);
  });

  test('an expired token is renewed', async () => {
    authority.life = 0.001;
    const tool = desk.tool(credentials());
    await execute(tool, read());
    await expect.poll(async () => (await execute(tool, read()), authority.issued.length)).toBeGreaterThan(1);
  });

  test('a token that the service no longer accepts is renewed once, and the effect is made once', async () => {
    const tool = desk.tool(credentials());
    await execute(tool, read());
    const stale = `Bearer ${authority.issued[0]}`;
    desk.payments.before = ({ headers }, _request, response) => {
      if (headers.authorization !== stale) return false;
      response.writeHead(401).end();
      return true;
    };
    expect((await execute(tool, refund())).result).toMatchObject({ status: 201 });
    expect(authority.issued).toHaveLength(2);
    expect(desk.payments.journal).toHaveLength(1);
  });

  test('a service that accepts no token is not retried forever', async () => {
    desk.payments.before = (_seen, _request, response) => {
      response.writeHead(401).end();
      return true;
    };
    await expectCode(execute(desk.tool(credentials()), read()), 'TOOL_FAILED');
    expect(authority.issued).toHaveLength(2);
    expect(desk.payments.seen).toHaveLength(2);
  });
});

describe('an authorization server that fails', () => {
  test.each([
    ['is down', 503, '{}', 'TOOL_UNAVAILABLE'],
    ['refuses the client', 401, '{"error":"invalid_client","error_description":"<SECRET>"}', 'TOOL_FAILED'],
    ['answers without a token', 200, '{"token_type":"bearer"}', 'TOOL_FAILED'],
    ['answers with another kind of token', 200, '{"access_token":"x1y2z3","token_type":"mac"}', 'TOOL_FAILED'],
    [
      'answers with a token that would split the header',
      200,
      '{"access_token":"a\\r\\nx: y","token_type":"bearer"}',
      'TOOL_FAILED',
    ],
    ['redirects', 302, '', 'TOOL_FAILED'],
    ['answers with something else', 200, '<html>', 'TOOL_FAILED'],
  ] as const)('because it %s lets nothing be sent', async (_name, status, body, code) => {
    authority.instead = (response) =>
      void response.writeHead(status, { location: 'http://127.0.0.1:1/' }).end(body.replace('<SECRET>', SECRET));
    const tool = desk.tool({ ...credentials(), limits: { totalMs: 15_000 }, sends: { max: 1, withinMs: 1_000 } });
    const error = await expectCode(execute(tool, refund(), { preDigest: 'sha256:0' }), code);
    expect(JSON.stringify(error) + error.message).not.toContain(SECRET);
    expect(desk.payments.seen).toEqual([]);
  });

  test('because it is unreachable is unavailable', async () => {
    await authority.stop();
    await expectCode(execute(desk.tool(credentials()), read()), 'TOOL_UNAVAILABLE');
    expect(desk.payments.seen).toEqual([]);
  });

  test('is not contacted at an address that the config does not allow', async () => {
    const tool = desk.tool(credentials({ tokenUrl: 'https://169.254.169.254/token' }));
    const error = await expectCode(execute(tool, read()), 'TOOL_UNAVAILABLE');
    expect(error.message).toContain('may not connect');
  });
});
