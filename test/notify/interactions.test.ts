/** Clicks in Slack, as Slack sends them to the gateway: only those from Slack are accepted, each once, and none decides anything. */
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import pino from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { GatewayEnv } from '../../src/gateway/auth/identity.js';
import type { GatewaySettings } from '../../src/gateway/deps.js';
import { answerProblem, problemOf, refusalOf } from '../../src/gateway/middleware/problem.js';
import { slack } from '../../src/gateway/api/slack-interactions.js';
import { Ledger } from '../../src/ledger/index.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { until } from '../support/until.js';
import { openReceiver, status, type HttpReceiver } from './support.js';

const SECRET = '8f742231b10e8888abcd99yyyzzz85a5';
const PUBLIC = 'https://approvals.example.com';

let database: TestDatabase;
let ledger: Ledger;
let hooks: HttpReceiver;
const servers: Server[] = [];
const logged: string[] = [];
let url: string;

beforeAll(async () => {
  database = await createDatabase('ledger');
  ledger = await Ledger.connect({ url: database.url });
  hooks = await openReceiver();
  url = await serving(ledger);
});
beforeEach(() => {
  hooks.seen.length = 0;
  logged.length = 0;
});
afterAll(async () => {
  for (const server of servers) server.close();
  await hooks?.stop();
  await ledger?.close();
  await database?.drop();
});

/** Serves the routes on a separate server, with the error handling of the gateway. */
async function serving(on: Ledger): Promise<string> {
  const settings = {
    publicUrl: PUBLIC,
    slack: { signingSecret: SECRET, responseOrigins: [new URL(hooks.url).origin] },
  } as unknown as GatewaySettings;
  const logger = pino({}, { write: (line: string) => void logged.push(line) });
  const app = new Hono<GatewayEnv>();
  app.route('/slack', slack({ settings, ledger: on, logger }));
  app.onError((thrown, c) => answerProblem(c, problemOf(c, PUBLIC, refusalOf(thrown, c.req.path))));
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/slack/interactions`;
}

/** Counts requests, so that each has a different trigger id, as those of Slack have. */
let trigger = 0;

function click(action: string, value: string, more: object = {}): string {
  const payload = {
    type: 'block_actions',
    trigger_id: `t${trigger++}`,
    user: { id: 'U1' },
    response_url: hooks.url,
    actions: [{ type: 'button', action_id: action, value }],
    ...more,
  };
  return new URLSearchParams({ payload: JSON.stringify(payload) }).toString();
}

interface Signing {
  readonly secret?: string;
  readonly at?: number;
  readonly signed?: string;
}

const now = (): number => Math.floor(Date.now() / 1000);

function headersOf(body: string, { secret = SECRET, at = now(), signed = body }: Signing = {}): Record<string, string> {
  return {
    'content-type': 'application/x-www-form-urlencoded',
    'x-slack-request-timestamp': String(at),
    'x-slack-signature': `v0=${createHmac('sha256', secret).update(`v0:${at}:${signed}`).digest('hex')}`,
  };
}

const TIME = 'x-slack-request-timestamp';
const SIGNATURE = 'x-slack-signature';
const signatureOf = (body: string): string => headersOf(body)[SIGNATURE] ?? '';

const send = (body: string, headers: Record<string, string>, to = url): Promise<Response> =>
  fetch(to, { method: 'POST', body, headers });

describe('a click', () => {
  test.each([
    ['approve', 'countersign.approve'],
    ['deny', 'countersign.deny'],
  ])('on %s is answered, to the one who clicked, with the page that has it preselected', async (verdict, action) => {
    const body = click(action, 'price-1');
    const began = Date.now();
    const response = await send(body, headersOf(body));
    expect(response.status).toBe(200);
    expect(await response.text()).toBe('');
    expect(Date.now() - began).toBeLessThan(3000);
    await until(
      async () => hooks.seen.length,
      (seen) => seen > 0,
    );
    expect(JSON.parse(hooks.seen[0]?.body ?? '')).toEqual({
      response_type: 'ephemeral',
      replace_original: false,
      text: expect.stringContaining(`<${PUBLIC}/actions/price-1?verdict=${verdict}|open the action>`),
    });
    expect(hooks.seen[0]?.body).toContain('Nothing is decided yet');
  });

  test('is acknowledged at once, even when its response takes long', async () => {
    let release: () => void = () => {};
    hooks.answers.push((response) => {
      release = () => void response.end();
    });
    const body = click('countersign.approve', 'price-1');
    expect((await send(body, headersOf(body))).status).toBe(200);
    await until(
      async () => hooks.seen.length,
      (seen) => seen > 0,
    );
    release();
  });

  test.each([
    ['on a button that only opens a page', () => click('countersign.open', 'price-1')],
    ['on a button of another app', () => click('other.approve', 'price-1')],
    ['with an id that is none', () => click('countersign.approve', 'x|y> <!channel>')],
    ['with markup in the id', () => click('countersign.approve', '"><script>')],
    ['of another kind', () => click('countersign.approve', 'price-1', { type: 'view_submission' })],
    ['that is no JSON', () => 'payload=%7B'],
    ['that is nothing', () => ''],
  ])('%s is acknowledged, and gets no response', async (_name, made) => {
    const body = made();
    expect((await send(body, headersOf(body))).status).toBe(200);
    // Only the click after it gets a response.
    const next = click('countersign.deny', 'the-next');
    await send(next, headersOf(next));
    await until(
      async () => hooks.seen.length,
      (seen) => seen > 0,
    );
    expect(hooks.seen.map((one) => one.body)).toEqual([expect.stringContaining('the-next')]);
  });

  test('with a response URL elsewhere gets no response: the gateway calls only Slack', async () => {
    const elsewhere = await openReceiver();
    const body = click('countersign.approve', 'price-1', { response_url: elsewhere.url });
    expect((await send(body, headersOf(body))).status).toBe(200);
    await until(
      async () => logged.length,
      (lines) => lines > 0,
    );
    expect(elsewhere.seen).toEqual([]);
    // The response URL gives access to the conversation.
    expect(logged.join()).toContain('price-1');
    expect(logged.join()).not.toContain(elsewhere.url);
    await elsewhere.stop();
  });

  test('whose response URL redirects is not followed', async () => {
    const elsewhere = await openReceiver();
    hooks.answers.push(status(307, { location: elsewhere.url }));
    const body = click('countersign.approve', 'price-1');
    await send(body, headersOf(body));
    await until(
      async () => logged.length,
      (lines) => lines > 0,
    );
    expect(elsewhere.seen).toEqual([]);
    await elsewhere.stop();
  });
});

describe('a request is refused that', () => {
  const refused: [string, (body: string) => Record<string, string>][] = [
    ['has no signature', () => ({ 'content-type': 'application/x-www-form-urlencoded' })],
    ['is signed with another secret', (body) => headersOf(body, { secret: 'another' })],
    ['is signed for another body', (body) => headersOf(body, { signed: `${body}&x=1` })],
    ['is older than five minutes', (body) => headersOf(body, { at: now() - 301 })],
    ['is newer than five minutes', (body) => headersOf(body, { at: now() + 330 })],
    ['has another time than the signed one', (body) => ({ ...headersOf(body), [TIME]: String(now() - 1) })],
    ['has a time that is none', (body) => ({ ...headersOf(body), [TIME]: 'soon' })],
    ['has a signature of another version', (body) => ({ ...headersOf(body), [SIGNATURE]: `v1=${'0'.repeat(64)}` })],
    ['has half a signature', (body) => ({ ...headersOf(body), [SIGNATURE]: signatureOf(body).slice(0, 30) })],
    ['has no end of a signature', (body) => ({ ...headersOf(body), [SIGNATURE]: `v0=${'0'.repeat(5000)}` })],
    ['has its signature in capitals', (body) => ({ ...headersOf(body), [SIGNATURE]: signatureOf(body).toUpperCase() })],
  ];
  test.each(refused)('%s', async (_name, forged) => {
    const body = click('countersign.approve', 'price-1');
    const response = await send(body, forged(body));
    expect(response.status).toBe(401);
    const problem = (await response.json()) as object;
    expect(problem).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(JSON.stringify(problem)).not.toContain(SECRET);
    expect(hooks.seen).toEqual([]);
  });

  test('came before: replaying an intercepted request has no effect, at this or another gateway', async () => {
    const again = click('countersign.approve', 'price-1');
    const headers = headersOf(again);
    expect((await send(again, headers)).status).toBe(200);
    await until(
      async () => hooks.seen.length,
      (seen) => seen === 1,
    );
    const other = await serving(ledger);
    for (const to of [url, other]) {
      const replayed = await send(again, headers, to);
      expect(replayed.status).toBe(403);
      expect(await replayed.json()).toMatchObject({ code: 'FORBIDDEN' });
    }
    expect(hooks.seen).toHaveLength(1);
  });

  test('comes while the ledger is unavailable, because it may be a replay', async () => {
    const away = await Ledger.connect({ url: 'postgres://nobody@127.0.0.1:1/none' });
    const on = await serving(away);
    const fresh = click('countersign.approve', 'price-1');
    const response = await send(fresh, headersOf(fresh), on);
    expect(response.status).toBeGreaterThanOrEqual(500);
    expect(hooks.seen).toEqual([]);
    await away.close();
  });
});

test('without a signing secret there is no such route', async () => {
  const settings = { publicUrl: PUBLIC } as unknown as GatewaySettings;
  const app = slack({ settings, ledger, logger: pino({ level: 'silent' }) });
  expect((await app.request('/interactions', { method: 'POST', body: click('countersign.approve', 'x') })).status).toBe(
    404,
  );
});
