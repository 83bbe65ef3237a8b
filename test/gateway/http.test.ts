/** What is sent to the gateway that should not be, and what every answer says to browsers. */
import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestGateway, type Answer, type Sender, type TestGateway } from '../support/gateway.js';
import { startStack, type Stack } from '../support/stack.js';

const METRICS_TOKEN = 'figures-for-the-operator';

let stack: Stack;
let gateway: TestGateway;
let bot: Sender;
let dana: Sender;

beforeAll(async () => {
  stack = await startStack({ schema: 'CREATE TABLE orders (id int PRIMARY KEY, amount int)', worker: false });
  gateway = await startTestGateway(stack);
  bot = await gateway.agent();
  dana = await gateway.person();
});
afterAll(async () => {
  await gateway?.stop();
  await stack?.stop();
});

function refusal({ status, headers, body }: Answer): object {
  expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(body).toMatchObject({
    type: `${gateway.url}/docs#${String(body['code'])}`,
    title: expect.any(String) as string,
    status,
    detail: expect.any(String) as string,
    instance: `urn:uuid:${headers.get('x-request-id') ?? ''}`,
  });
  const { code, field } = body;
  return field === undefined ? { status, code } : { status, code, field };
}

/** A raw request, for what fetch would not send. */
function raw(options: {
  path?: string;
  method?: string;
  headers?: Record<string, string>;
}): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port: gateway.port, path: '/healthz', ...options }, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode ?? 0, text: body }), reject);
    });
    sent.on('error', reject);
    sent.end();
  });
}

const PROPOSAL = { tool: 'shop-db', input: { op: 'insert', table: 'orders', rows: [{ id: 1, amount: 1 }] } };

describe('a body', () => {
  const post = (body: string | Uint8Array, type = 'application/json') =>
    bot.send('POST', '/v1/actions', { body, headers: { 'content-type': type } });

  test.each([
    ['that is no JSON', '{"tool": "shop-db", ', 'INVALID_JSON', 'body'],
    ['with a key twice', '{"tool":"a","tool":"b","input":{}}', 'INVALID_JSON', 'body'],
    [
      'with a number that no double carries',
      '{"tool":"shop-db","input":{"n":12345678901234567890}}',
      'INVALID_NUMBER',
      'body',
    ],
    ['with a lone surrogate', '{"tool":"shop-db","input":{"s":"\\ud800"}}', 'INVALID_TEXT', 'body.input.s'],
    [
      'that would change what objects are',
      '{"tool":"shop-db","input":{"__proto__":{"x":1}}}',
      'INVALID_JSON',
      'body.input',
    ],
    ['of another shape', '[1,2,3]', 'INVALID_PROPOSAL', 'proposal'],
    ['with an unknown member', '{"tool":"shop-db","input":{},"approved":true}', 'INVALID_PROPOSAL', 'proposal'],
    ['with a wrong member', '{"tool":"shop db","input":{}}', 'INVALID_PROPOSAL', 'proposal.tool'],
    [
      'with an id that is none',
      '{"actionId":"../globex/x","tool":"shop-db","input":{}}',
      'INVALID_PROPOSAL',
      'proposal.actionId',
    ],
    ['that is empty', '', 'INVALID_INPUT', 'body'],
  ])('%s is refused with its place', async (_, body, code, field) => {
    expect(refusal(await post(body))).toEqual({ status: 400, code, field });
  });

  test('that is no UTF-8 is refused', async () => {
    const bytes = Buffer.concat([Buffer.from('{"tool":"'), Buffer.from([0xc3, 0x28]), Buffer.from('","input":{}}')]);
    expect(refusal(await post(bytes))).toEqual({ status: 400, code: 'INVALID_TEXT', field: 'body' });
  });

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/xml',
    'multipart/form-data; boundary=x',
    'application/jsonp',
  ])('of the type %s is refused', async (type) => {
    expect(refusal(await post(JSON.stringify(PROPOSAL), type))).toEqual({
      status: 415,
      code: 'INVALID_INPUT',
      field: 'content-type',
    });
  });

  test('that is larger than is taken is refused, with its length said or not', async () => {
    const large = JSON.stringify({ ...PROPOSAL, reasoning: 'x'.repeat(1_100_000) });
    expect(refusal(await post(large))).toEqual({ status: 413, code: 'INPUT_TOO_LARGE', field: 'body' });
    const chunked = await fetch(`${gateway.url}/v1/actions`, {
      method: 'POST',
      headers: { ...bot.headers, 'content-type': 'application/json' },
      body: new Blob([large]).stream(),
      duplex: 'half',
    });
    expect(chunked.status).toBe(413);
  });

  test('larger than a proposal may be is refused before anything is begun', async () => {
    const answer = await post(JSON.stringify({ ...PROPOSAL, input: { ...PROPOSAL.input, note: 'x'.repeat(300_000) } }));
    expect(refusal(answer)).toEqual({ status: 413, code: 'INPUT_TOO_LARGE', field: 'proposal' });
  });
});

describe('a request', () => {
  test('to nowhere is not found, with a method that is not taken told so', async () => {
    expect(refusal(await bot.get('/v1/nothing'))).toEqual({ status: 404, code: 'NOT_FOUND', field: 'path' });
    const answer = await bot.send('PATCH', '/v1/actions', { json: {} });
    expect(refusal(answer)).toEqual({ status: 405, code: 'INVALID_INPUT', field: 'method' });
    expect(answer.headers.get('allow')).toBe('POST, GET, HEAD');
  });

  test('of nobody is asked who it is', async () => {
    const answer = await gateway.nobody.get('/v1/actions');
    expect(refusal(answer)).toEqual({ status: 401, code: 'UNAUTHENTICATED', field: 'authorization' });
    expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="countersign"');
  });

  test.each(['wait=61', 'wait=-1', 'wait=1.5', 'wait=abc', 'wait=1&wait=2', 'wait='])(
    'that waits for ?%s is refused',
    async (query) => {
      const answer = await bot.get(`/v1/actions/${randomUUID()}/outcome?${query}`);
      expect(refusal(answer)).toEqual({ status: 400, code: 'INVALID_INPUT', field: 'query.wait' });
    },
  );

  test.each([
    ['limit=0', 400],
    ['limit=201', 400],
    ['status=gone', 400],
    ['from=yesterday', 400],
    ['from=2026-02-30T00:00:00Z', 400],
    ['effect=maybe', 400],
    ['cursor=..', 400],
    ['text=a%00b', 400],
    // What the document allows is not malformed, though there is no such page.
    ['cursor=nonsense', 409],
  ])('that searches for ?%s is refused with its place: %i', async (query, status) => {
    const answer = await bot.get(`/v1/actions?${query}`);
    expect(refusal(answer)).toMatchObject({ status, code: 'INVALID_INPUT' });
    expect(String(answer.body['field'])).toContain(query.split('=')[0]);
  });

  test.each(['..%2f..%2fglobex', 'a%00b', 'globex%2Fx', '%F0%9F%98%80', 'x'.repeat(200)])(
    'for the action %s finds none',
    async (id) => {
      expect([400, 404]).toContain((await bot.get(`/v1/actions/${id}`)).status);
      expect([400, 404]).toContain((await dana.get(`/v1/actions/${id}`)).status);
    },
  );

  test('from another site gets nothing to share: no CORS, not even for a preflight', async () => {
    const origin = { origin: 'https://evil.example' };
    const answer = await bot.get('/v1/me', { headers: origin });
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
    const preflight = await gateway.nobody.send('OPTIONS', '/v1/actions', {
      headers: {
        ...origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization',
      },
    });
    expect(preflight.headers.get('access-control-allow-origin')).toBeNull();
    expect(preflight.status).toBe(405);
  });

  test('under another name is not for this gateway; but what carries its own key is', async () => {
    const host = 'evil.example';
    const port = String(gateway.port);
    const status = async (headers: Record<string, string>): Promise<number> =>
      (await raw({ path: '/v1/me', headers })).status;
    expect(await status({ host, cookie: dana.headers['cookie'] as string })).toBe(421);
    expect(await status({ host: `${host}:${port}` })).toBe(421);
    expect(await status({ host: `localhost:${port}`, cookie: dana.headers['cookie'] as string })).toBe(200);
    expect(await status({ host, authorization: bot.headers['authorization'] as string })).toBe(200);
  });

  test('does not choose its own address, host or id', async () => {
    const answer = await bot.get('/v1/me', {
      headers: { 'x-forwarded-for': '10.0.0.1', 'x-request-id': 'mine', 'x-http-method-override': 'DELETE' },
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('with headers beyond measure is cut off', async () => {
    const answer = await raw({ headers: { 'x-long': 'x'.repeat(40_000) } });
    expect(answer.status).toBe(431);
  });

  test('that is no HTTP is cut off', async () => {
    const socket = connect(gateway.port, '127.0.0.1');
    socket.end('GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n');
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 400/);
  });

  test.each([
    'Basic Zm9vOmJhcg==',
    'Bearer',
    'Bearer ',
    'Bearer a b',
    'bearer csa_short',
    `Bearer ${'x'.repeat(20_000)}`,
    'Negotiate x',
  ])('with the authorization %# is nobody', async (authorization) => {
    const answer = await gateway.sender({ authorization }).get('/v1/me');
    expect(answer.status).toBe(401);
    expect(answer.text).not.toContain('Zm9v');
  });
});

describe('every answer', () => {
  test.each(['/v1/me', '/v1/nothing', '/healthz', '/docs', '/openapi.json', '/login'])(
    'of %s keeps browsers from doing more',
    async (path) => {
      const { headers } = await gateway.nobody.get(path);
      expect(headers.get('content-security-policy')).toBe(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
      );
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('x-frame-options')).toBe('DENY');
      expect(headers.get('referrer-policy')).toBe('same-origin');
      expect(headers.get('cross-origin-opener-policy')).toBe('same-origin');
      expect(headers.get('permissions-policy')).toContain('publickey-credentials-get=(self)');
      expect(headers.get('strict-transport-security')).toBeNull();
      expect(headers.get('server')).toBeNull();
      expect(headers.get('x-powered-by')).toBeNull();
    },
  );

  test('of somebody is kept by no store', async () => {
    for (const path of ['/v1/me', '/v1/actions']) {
      expect((await bot.get(path)).headers.get('cache-control')).toBe('no-store');
    }
  });

  test('over https says that only https is to be used', async () => {
    const secure = await startTestGateway(stack, {
      gateway: { publicUrl: 'https://approvals.example.com' },
      devPeople: undefined as never,
    });
    const response = await fetch(`http://127.0.0.1:${secure.port}/healthz`);
    await secure.stop();
    expect(response.headers.get('strict-transport-security')).toMatch(/^max-age=31536000/);
  });
});

describe('limits', () => {
  test('of what a credential holds are told to the agent that is beyond them', async () => {
    const scopes = Array.from({ length: 64 }, (_, n) => `tool-${n}:${'x'.repeat(100)}`);
    const large = await gateway.agent({ scopes });
    expect(refusal(await large.post('/v1/actions', PROPOSAL))).toMatchObject({ status: 403, code: 'FORBIDDEN' });
  });

  test('too many requests of one principal are put off, and of nobody else', async () => {
    const small = await startTestGateway(stack, { gateway: { limits: { requestsPerMinute: 5 } } });
    const [one, other] = [await small.agent(), await small.agent({ agent: 'agent-2' })];
    const statuses: number[] = [];
    let last: Answer | undefined;
    for (let n = 0; n < 7; n++) statuses.push((last = await one.get('/v1/me')).status);
    expect(statuses).toEqual([200, 200, 200, 200, 200, 429, 429]);
    expect(last?.body).toMatchObject({ code: 'RATE_LIMITED' });
    expect(Number(last?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect((await other.get('/v1/me')).status).toBe(200);
    expect((await small.nobody.get('/healthz')).status).toBe(200);
    await small.stop();
  });

  test('too many requests of nobody are put off as well, by the address that they come from', async () => {
    const small = await startTestGateway(stack, { gateway: { limits: { requestsPerMinute: 5 } } });
    const statuses: number[] = [];
    for (let n = 0; n < 7; n++) {
      const nobody = small.sender({ 'x-forwarded-for': `10.0.0.${n}` });
      statuses.push((await nobody.get('/v1/me')).status);
    }
    const somebody = await (await small.agent()).get('/v1/me');
    await small.stop();
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429]);
    expect(somebody.status).toBe(200);
  });

  test('keys cannot be tried without end, under however many forwarded addresses', async () => {
    const small = await startTestGateway(stack, { gateway: { limits: { requestsPerMinute: 5 } } });
    const statuses: number[] = [];
    for (let n = 0; n < 7; n++) {
      const wrong = small.sender({
        authorization: `Bearer csa_${'0'.repeat(16)}_${'A'.repeat(42)}A`,
        'x-forwarded-for': `10.0.0.${n}`,
      });
      statuses.push((await wrong.get('/v1/me')).status);
    }
    await small.stop();
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429]);
  });
});

describe('machines', () => {
  test('learn that the process lives and that it can work', async () => {
    expect((await gateway.nobody.get('/healthz')).body).toEqual({ status: 'ok' });
    const ready = await gateway.nobody.get('/readyz');
    expect([ready.status, ready.body]).toEqual([200, { status: 'ok', temporal: true, ledger: true }]);
  });

  test('get figures that name nobody', async () => {
    expect((await stack.ledger.figures.now()).pendingApprovals).toBe(0);
    await bot.get(`/v1/actions/${randomUUID()}`);
    const { status, text: figures } = await gateway.nobody.get('/metrics');
    expect(status).toBe(200);
    expect(figures).toMatch(
      /countersign_http_requests_total\{method="GET",route="\/v1\/actions\/:actionId",status="404"\} \d/,
    );
    expect(figures).toMatch(/countersign_pending_approvals \d/);
    expect(figures).toMatch(/countersign_policy_shadow_decisions\{result="different"\} 0/);
    expect(figures).toMatch(/countersign_event_streams\{stream="inbox"\} 0/);
    for (const named of ['acme', 'agent-1', 'dana']) expect(figures).not.toContain(named);
  });

  test('off this machine need the token for the figures; without one there are none', async () => {
    const options = { gateway: { publicUrl: 'https://approvals.example.com' }, devPeople: undefined as never };
    const status = async (port: number, authorization?: string): Promise<number> =>
      (
        await fetch(
          `http://127.0.0.1:${port}/metrics`,
          authorization === undefined ? {} : { headers: { authorization } },
        )
      ).status;
    const guarded = await startTestGateway(stack, { ...options, env: { COUNTERSIGN_METRICS_TOKEN: METRICS_TOKEN } });
    expect(await status(guarded.port)).toBe(401);
    expect(await status(guarded.port, 'Bearer something-else-entirely')).toBe(401);
    expect(await status(guarded.port, `Bearer ${METRICS_TOKEN}`)).toBe(200);
    await guarded.stop();
    const closed = await startTestGateway(stack, options);
    expect(await status(closed.port)).toBe(404);
    await closed.stop();
  });
});

test('no secret and nobody’s words are in the log', async () => {
  const lines: string[] = [];
  const { default: pino } = await import('pino');
  const logged = await startTestGateway(stack, {
    logger: pino({ level: 'trace' }, { write: (line) => void lines.push(line) }),
  });
  const [agent, person] = [await logged.agent(), await logged.person()];
  await agent.get('/v1/actions?text=secret-search');
  await person.get('/login?return_to=%2Fsecret-place');
  await person.post('/v1/actions/x/decision', { shownDigest: 'secret-body' });
  await logged.sender({ authorization: 'Bearer secret-token' }).get('/v1/me');
  await logged.stop();
  const log = lines.join('');
  expect(log).toContain('agent acme/agent-1');
  const hidden = [...Object.values(agent.headers), ...Object.values(person.headers)].map((value) =>
    value.replace(/^\w+[ =]/, ''),
  );
  for (const secret of [...hidden, 'secret-search', 'secret-place', 'secret-body', 'secret-token'])
    expect(log).not.toContain(secret);
});
