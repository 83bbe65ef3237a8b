/** Notifications on real Temporal and Postgres: a channel that is late, unreachable or hostile never affects the action. */
import { openConnection } from '../../src/client/connection.js';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { Client } from '@temporalio/client';
import { Webhook } from 'standardwebhooks';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Countersign, type PendingAction } from '../../src/client/countersign.js';
import { email, slack, webhook, type NotificationsConfig } from '../../src/notify/index.js';
import { deliveryId, type Announcement } from '../../src/notify/notice.js';
import type { TemporalSettings } from '../../src/environment.js';
import { issueAgent, type Credential } from '../../src/trust/index.js';
import type { RunningWorker } from '../../src/worker/worker.js';
import { ended, pending, shopTool, startStack, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';
import { spawnWorker } from '../support/worker-process.js';
import {
  openMail,
  openReceiver,
  openSlack,
  status,
  TLS,
  type HttpReceiver,
  type MailServer,
  type SlackServer,
} from './support.js';

const SECRET = `whsec_${randomBytes(32).toString('base64')}`;
const TOKEN = 'xoxb-very-secret-token';
const PURGE = { tool: 'shop-db', input: { op: 'delete', table: 'sessions', where: { note: 'classified' } } } as const;

const AGENT = { id: 'agent-1', tenant: TENANT, roles: ['admin_user'], scopes: ['*'] };

let stack: Stack;
/** The agent of the running test. Each has a task queue of its own, or the one that `onEveryChannel` shares. */
let agent: Countersign;
let queue: TemporalSettings;
let dba: Credential;
let temporal: Client;
let close: (() => Promise<void>) | undefined;
const opened: { stop(): Promise<void> }[] = [];

beforeAll(async () => {
  Object.assign(process.env, { NOTIFY_SECRET: SECRET, NOTIFY_TOKEN: TOKEN });
  stack = await startStack({ schema: 'CREATE TABLE sessions (id int PRIMARY KEY, note text NOT NULL)', worker: false });
  dba = await stack.approver('dora', ['dba']);
  // People decide through any client.
  await stack.agent({ id: 'somebody' });
  const opened = await openConnection(stack.temporal.address);
  ({ close } = opened);
  temporal = new Client({ connection: opened.connection, namespace: stack.temporal.namespace });
});
afterAll(async () => {
  await (await shared)?.stop();
  await close?.();
  await stack?.stop();
});
beforeEach(async () => {
  queue = { ...stack.temporal, taskQueue: randomUUID() };
  agent = await Countersign.connect({ ...queue, credential: await issueAgent(stack.keyring, AGENT) });
  await stack.shop.query(
    "TRUNCATE sessions; INSERT INTO sessions SELECT n, 'classified' FROM generate_series(1, 150) n",
  );
});
afterEach(async () => {
  await agent.close();
  await Promise.all(opened.splice(0).map((one) => one.stop()));
  await stack.worker?.stop();
  stack.worker = undefined;
});

interface Shared {
  readonly queue: TemporalSettings;
  readonly http: HttpReceiver;
  readonly chat: SlackServer;
  readonly mail: MailServer;
  stop(): Promise<void>;
}

let shared: Promise<Shared> | undefined;

/** For tests that need no other worker: one with a channel of each kind, of which nothing was heard yet. */
async function onEveryChannel(): Promise<Shared> {
  shared ??= startShared();
  const all = await shared;
  await agent.close();
  ({ queue } = all);
  agent = await Countersign.connect({ ...queue, credential: await issueAgent(stack.keyring, AGENT) });
  for (const heard of [all.http.seen, all.chat.calls, all.mail.mails]) heard.length = 0;
  all.chat.messages.clear();
  return all;
}

async function startShared(): Promise<Shared> {
  const [http, chat, mail] = await Promise.all([openReceiver(), openSlack(TOKEN), openMail()]);
  const own = await startWorker({
    channels: [
      hook(http.url, 'hook', 30_000),
      slack({ token: 'env:NOTIFY_TOKEN', channel: 'C0123456789', apiUrl: chat.apiUrl, timeoutMs: 30_000 }),
      letters('email', mail.port),
    ],
  });
  const stop = async (): Promise<void> => {
    await Promise.all([http, chat, mail].map((one) => one.stop()));
    await own.stop();
  };
  return { queue, http, chat, mail, stop };
}

/** Waits until all has been told that there was to tell of an action, so that no later test hears of it. */
async function told(actionId: string, ...kinds: readonly string[]): Promise<void> {
  const ids = kinds.map((kind, n) => `notice/${TENANT}/${actionId}/${n}-${kind}`);
  await Promise.all(ids.map((id) => temporal.workflow.getHandle(id).result()));
}

async function cancelled(actionId: string): Promise<void> {
  await agent.cancel(actionId);
  await agent.outcome(actionId);
  await told(actionId, 'asked', 'ended');
}

async function opening<T extends { stop(): Promise<void> }>(server: Promise<T>): Promise<T> {
  const one = await server;
  opened.push(one);
  return one;
}

function startWorker(notifications: Omit<NotificationsConfig, 'gatewayUrl'>): Promise<RunningWorker> {
  const config = {
    policies: stack.policies,
    tools: [shopTool(stack.shopUrl)],
    notifications: { gatewayUrl: 'https://approvals.example.com', ...notifications },
  };
  return stack.startWorker({ config, temporal: queue });
}

/** Of the running test. */
async function worker(notifications: Omit<NotificationsConfig, 'gatewayUrl'>): Promise<void> {
  stack.worker = await startWorker(notifications);
}

const hook = (url: string, name = 'hook', timeoutMs = 2000) =>
  webhook({ name, url, secrets: ['env:NOTIFY_SECRET'], allow: { loopback: true }, timeoutMs });

const letters = (name: string, port: number) =>
  email({ name, from: 'c@example.com', to: ['dba@example.com'], host: '127.0.0.1', port, ca: `file:${TLS}ca.pem` });

const trail = (actionId: string) => stack.ledger.deliveries.list(TENANT, actionId);

/** Waits until the ledger has a delivery as expected, and returns it. */
async function waitForDelivery(
  actionId: string,
  kind: string,
  channel: string,
  has: { status?: string; detail?: RegExp } = {},
) {
  const all = await until(
    () => trail(actionId),
    (deliveries) =>
      deliveries.some(
        (one) =>
          one.kind === kind &&
          one.channel === channel &&
          one.status === (has.status ?? 'delivered') &&
          (has.detail?.test(one.detail) ?? true),
      ),
    { everyMs: 100 },
  );
  return all.find((one) => one.kind === kind && one.channel === channel);
}

async function rowsLeft(): Promise<number> {
  return (await stack.shop.query('SELECT FROM sessions')).rowCount ?? 0;
}

interface Received {
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

function received({ seen }: HttpReceiver): Received[] {
  return seen.map(
    ({ body, headers }) => new Webhook(SECRET).verify(body, headers as Record<string, string>) as Received,
  );
}

/** The history of a workflow as text, with the content of its payloads. */
async function historyOf(workflowId: string): Promise<string> {
  const history = await temporal.workflow.getHandle(workflowId).fetchHistory();
  const text = JSON.stringify(history);
  const payloads = [...text.matchAll(/"data":"([^"]*)"/g)].map(([, data = '']) =>
    Buffer.from(data, 'base64').toString('utf8'),
  );
  return [text, ...payloads].join('\n');
}

/** A port on which nothing listens yet. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

describe('people are notified', () => {
  test('on every channel, and every delivery is recorded with the provider’s response', async () => {
    const { http, chat, mail } = await onEveryChannel();
    const action = await pending(agent, { ...PURGE, reasoning: 'They are stale.' });
    const { actionId } = action;
    expect(await waitForDelivery(actionId, 'asked', 'hook')).toMatchObject({ attempts: 1, detail: 'HTTP 204' });
    expect(await waitForDelivery(actionId, 'asked', 'slack')).toMatchObject({
      detail: expect.stringMatching(/^posted C0123456789 \d/),
    });
    expect(await waitForDelivery(actionId, 'asked', 'email')).toMatchObject({ detail: '250 queued as 4Zx1' });
    expect(received(http)).toMatchObject([
      {
        type: 'action.asked',
        data: {
          tenant: TENANT,
          actionId,
          summary: 'delete, 150 rows of sessions',
          tool: 'shop-db',
          environment: 'production',
          agent: 'agent-1',
          reasoning: 'They are stale.',
          roles: ['dba'],
          link: `https://approvals.example.com/actions/${actionId}`,
        },
      },
    ]);

    await stack.decide(action, dba, 'deny', 'Not today: classified.');
    expect((await action.outcome()).status).toBe('denied');
    await waitForDelivery(actionId, 'ended', 'hook');
    await waitForDelivery(actionId, 'ended', 'email');
    expect(await waitForDelivery(actionId, 'ended', 'slack')).toMatchObject({
      detail: expect.stringMatching(/^updated C0123456789 \d/),
    });
    expect(chat.messages.size).toBe(1);
    const [[, message] = []] = chat.messages;
    expect(message?.['blocks']).toContain('Ended: denied');
    expect(message?.['blocks']).not.toContain('countersign.approve');
    await told(actionId, 'asked', 'decided', 'ended');
    expect(received(http).at(-1)).toMatchObject({ type: 'action.ended', data: { status: 'denied' } });

    // Neither the sent notices nor Temporal's history contain rows, input, people's reasons or credentials.
    const sent = JSON.stringify([http.seen, chat.calls.map(({ fields }) => fields), mail.mails]);
    expect(sent).not.toMatch(/classified/);
    for (const kind of ['0-asked', '1-decided', '2-ended']) {
      const history = await historyOf(`notice/${TENANT}/${actionId}/${kind}`);
      expect(history).toContain('"channel"');
      for (const hidden of ['classified', SECRET, TOKEN]) expect(history).not.toContain(hidden);
    }
    expect(JSON.stringify(await trail(actionId))).not.toMatch(/classified|whsec_|xoxb/);
  });

  test('again as a reminder, and then the roles that it is escalated to, on their channel', async () => {
    const [dbas, bosses] = await Promise.all([opening(openReceiver()), opening(openReceiver())]);
    await worker({
      channels: [hook(dbas.url, 'dbas'), hook(bosses.url, 'bosses')],
      routes: [
        { channels: ['dbas'], roles: ['dba'] },
        { channels: ['bosses'], roles: ['cto'], kinds: ['escalated'] },
      ],
    });
    const slow = (text: string): string =>
      text.replaceAll('@approval("dba")', '@approval("dba, remind=1s, escalate=2s:cto")');
    await stack.withPolicy('production.cedar', slow, async () => {
      const action = await pending(agent, PURGE);
      await waitForDelivery(action.actionId, 'reminded', 'dbas');
      await waitForDelivery(action.actionId, 'escalated', 'bosses');
      expect(received(bosses)).toMatchObject([{ type: 'action.escalated', data: { roles: ['cto'] } }]);
      expect(
        received(dbas)
          .map(({ type }) => type)
          .slice(0, 2),
      ).toEqual(['action.asked', 'action.reminded']);
      await stack.decide(action, await stack.approver('carl', ['cto']));
      expect((await action.outcome()).status).toBe('success');
    });
  });

  test('not at all about an action without an approval request', async () => {
    const { http } = await onEveryChannel();
    const outcome = await ended(agent, {
      tool: 'shop-db',
      input: { op: 'delete', table: 'sessions', where: { id: 1 } },
    });
    expect(outcome.status).toBe('success');
    const asked = await pending(agent, PURGE);
    await waitForDelivery(asked.actionId, 'asked', 'hook');
    expect(received(http)).toHaveLength(1);
    await cancelled(asked.actionId);
  });
});

test('a message that reaches Slack only when the action has ended does not keep its buttons', async () => {
  const { chat } = await onEveryChannel();
  let open: () => void = () => {};
  chat.gates.push(new Promise<void>((resolve) => (open = resolve)));
  const action = await pending(agent, PURGE);
  const { actionId } = action;
  await until(
    async () => chat.calls.length,
    (calls) => calls > 0,
  );
  await stack.decide(action, dba, 'deny');
  expect((await action.outcome()).status).toBe('denied');
  await waitForDelivery(actionId, 'ended', 'slack', {
    status: 'failed',
    detail: /^again later: what it was to tell before/,
  });
  open();
  expect(await waitForDelivery(actionId, 'ended', 'slack')).toMatchObject({
    detail: expect.stringMatching(/^updated C0123456789 \d/),
  });
  const [[, message] = []] = chat.messages;
  expect(message?.['blocks']).toContain('Ended: denied');
  expect(message?.['blocks']).not.toContain('countersign.approve');
  await told(actionId, 'asked', 'decided', 'ended');
});

describe('a channel that is down', () => {
  test('neither delays nor loses the approval, and gets the end of the action when it is back', async () => {
    const port = await freePort();
    const quick = await opening(openReceiver());
    await worker({ channels: [hook(`http://127.0.0.1:${port}/`, 'down'), hook(quick.url, 'up')] });
    const action = await pending(agent, PURGE);
    const { actionId } = action;
    await waitForDelivery(actionId, 'asked', 'up');
    await waitForDelivery(actionId, 'asked', 'down', { status: 'failed', detail: /^again later: / });
    await stack.decide(action, dba);
    expect(await action.outcome()).toMatchObject({ status: 'success' });
    expect(await rowsLeft()).toBe(0);
    await waitForDelivery(actionId, 'ended', 'down', { status: 'failed', detail: /^again later: / });

    const back = await opening(openReceiver(port));
    const late = await waitForDelivery(actionId, 'ended', 'down');
    expect(late?.attempts).toBeGreaterThan(1);
    expect(received(back).map(({ type }) => type)).toEqual(['action.ended']);
    // A request for what is already decided would only confuse. It may be tried once more between the decision and the end.
    await waitForDelivery(actionId, 'asked', 'down', {
      status: 'failed',
      detail: /^not told any more: (nobody is waited for any more|the action has ended: success)/,
    });
  });

  test('that hangs does not delay the action', async () => {
    const { http } = await onEveryChannel();
    let release: () => void = () => {};
    http.answers.push((response) => void (release = () => response.end()));
    const action = await pending(agent, PURGE);
    await until(
      async () => http.seen.length,
      (seen) => seen > 0,
    );
    await stack.decide(action, dba);
    expect((await action.outcome()).status).toBe('success');
    // The first attempt still waits for its response.
    const { actionId } = action;
    const ofHook = (await trail(actionId)).filter(({ channel, kind }) => channel === 'hook' && kind === 'asked');
    expect(ofHook).toEqual([]);
    release();
    await told(actionId, 'asked', 'decided', 'ended');
  });

  test('for too long is given up, and that is recorded', async () => {
    const port = await freePort();
    await worker({ channels: [hook(`http://127.0.0.1:${port}/`)], giveUpAfterSeconds: 3 });
    const action = await pending(agent, PURGE);
    const over = await waitForDelivery(action.actionId, 'asked', 'hook', { status: 'failed', detail: /^given up: / });
    expect(over?.detail).toContain('ECONNREFUSED');
    expect(over?.attempts).toBeGreaterThan(1);
    await stack.decide(action, dba, 'deny');
    expect((await action.outcome()).status).toBe('denied');
  });

  test('is tried again at the time that it states, and not before', async () => {
    const { http } = await onEveryChannel();
    http.answers.push(status(429, { 'retry-after': '3' }));
    const action = await pending(agent, PURGE);
    const done = await waitForDelivery(action.actionId, 'asked', 'hook');
    expect(done?.attempts).toBe(2);
    const [first, second] = http.seen;
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(2900);
    expect(first?.headers['webhook-id']).toBe(second?.headers['webhook-id']);
    await cancelled(action.actionId);
  });

  test('for good (410, SMTP 5xx) is not tried again; for now (SMTP 4xx) it is', async () => {
    const http = await opening(openReceiver());
    http.otherwise = status(410);
    let refusals = 1;
    const [greylisting, refusing] = await Promise.all([
      opening(
        openMail({
          onMailFrom: (_from, _session, done) =>
            refusals-- > 0 ? done(Object.assign(new Error('4.7.1 come again'), { responseCode: 451 })) : done(),
        }),
      ),
      opening(
        openMail({
          onMailFrom: (_from, _session, done) => done(Object.assign(new Error('5.7.1 never'), { responseCode: 550 })),
        }),
      ),
    ]);
    await worker({ channels: [hook(http.url), letters('grey', greylisting.port), letters('shut', refusing.port)] });
    const action = await pending(agent, PURGE);
    const { actionId } = action;
    expect(await waitForDelivery(actionId, 'asked', 'hook', { status: 'failed', detail: /^HTTP 410/ })).toMatchObject({
      attempts: 1,
    });
    expect(
      await waitForDelivery(actionId, 'asked', 'shut', { status: 'failed', detail: /5\.7\.1 never/ }),
    ).toMatchObject({
      attempts: 1,
    });
    expect(await waitForDelivery(actionId, 'asked', 'grey')).toMatchObject({ attempts: 2 });
    expect(greylisting.mails.map(({ messageId }) => messageId)).toEqual([
      `<${deliveryId({ tenant: TENANT, actionId, n: 0, kind: 'asked' }, 'grey')}@example.com>`,
    ]);
    const results = await temporal.workflow.getHandle(`notice/${TENANT}/${actionId}/0-asked`).result();
    expect(results).toMatchObject([{ status: 'failed' }, { status: 'delivered' }, { status: 'failed' }]);
    expect(http.seen).toHaveLength(1);
    await agent.cancel(actionId);
  });
});

test('when a worker dies during a delivery, the notice is delivered nevertheless, with the same id', async () => {
  const http = await opening(openReceiver());
  let reached: () => void = () => {};
  const inTheMiddle = new Promise<void>((resolve) => (reached = resolve));
  http.answers.push(() => reached());
  Object.assign(process.env, { WORKER_WEBHOOK_URL: http.url, WORKER_WEBHOOK_SECRET: SECRET });
  const killedWorker = await spawnWorker({ ...stack, temporal: queue }, stack.policies);
  const action = await pending(agent, PURGE);
  await inTheMiddle;
  await killedWorker.kill();
  await worker({ channels: [hook(http.url, 'webhook')] });
  const { actionId } = action;
  const done = await waitForDelivery(actionId, 'asked', 'webhook');
  expect(done?.attempts).toBe(2);
  const ids = http.seen.map(({ headers }) => headers['webhook-id']);
  expect(ids).toEqual([done?.deliveryId, done?.deliveryId]);
  await stack.decide(action, dba);
  expect((await action.outcome()).status).toBe('success');
  await waitForDelivery(actionId, 'ended', 'webhook');
});

describe('a person with access to Temporal', () => {
  const start = (id: string, announcement: unknown, taskQueue = queue.taskQueue) =>
    temporal.workflow.start('notification', { workflowId: id, taskQueue, args: [announcement] });

  test('who starts the notification workflows first does not delay the action', async () => {
    const { http } = await onEveryChannel();
    const actionId = `taken-${randomUUID()}`;
    for (const kind of ['0-asked', '1-decided', '2-ended']) {
      await start(`notice/${TENANT}/${actionId}/${kind}`, {}, 'nobody');
    }
    const action: PendingAction = await pending(agent, { ...PURGE, actionId });
    await stack.decide(action, dba);
    expect((await action.outcome()).status).toBe('success');
    expect((await temporal.workflow.getHandle(`${TENANT}/${actionId}`).describe()).status.name).toBe('COMPLETED');
    expect(http.seen).toEqual([]);
  });

  test('cannot make people read anything but what the ledger contains', async () => {
    const { http } = await onEveryChannel();
    const action = await pending(agent, PURGE);
    await waitForDelivery(action.actionId, 'asked', 'hook');
    const forged = {
      tenant: TENANT,
      actionId: action.actionId,
      n: 7,
      kind: 'reminded',
      summary: 'Approve at once!',
      link: 'https://evil.example',
      roles: ['Approve at once!', 'dba'],
    };
    await (await start(`x-${randomUUID()}`, forged)).result();
    expect(received(http).at(-1)).toMatchObject({
      type: 'action.reminded',
      data: {
        summary: 'delete, 150 rows of sessions',
        roles: ['dba'],
        link: expect.stringContaining('approvals.example.com'),
      },
    });
    expect(http.seen.at(-1)?.body).not.toMatch(/at once|evil/);

    const unknownAction: Announcement = { tenant: TENANT, actionId: 'never-proposed', n: 0, kind: 'asked' };
    await expect((await start(`x-${randomUUID()}`, unknownAction)).result()).rejects.toThrow(
      'Workflow execution failed',
    );
    await expect((await start(`x-${randomUUID()}`, 'nonsense')).result()).rejects.toThrow('Workflow execution failed');
    expect(http.seen).toHaveLength(2);
    await cancelled(action.actionId);
  });
});

test('hostile text of an agent arrives as text', async () => {
  const { http, chat, mail } = await onEveryChannel();
  const reasoning = `<!channel> <https://evil.example|Approve>\r\nBcc: evil@example.com\r\n\r\n<script>alert(1)</script> \u202Egnihton${'x'.repeat(10_000)}`;
  const action = await pending(agent, { ...PURGE, reasoning });
  for (const channel of ['hook', 'slack', 'email']) await waitForDelivery(action.actionId, 'asked', channel);
  const [[, message] = []] = chat.messages;
  expect(message?.['blocks']).toContain('&lt;!channel&gt;');
  expect(message?.['blocks']).not.toMatch(/<!channel>|<https:\/\/evil|\u202e/);
  const [letter] = mail.mails;
  expect(letter?.recipients).toEqual(['dba@example.com']);
  expect(letter?.html).not.toMatch(/<script|\u202e/);
  expect(letter?.subject).toBe('[Countersign] Approval wanted in production: delete, 150 rows of sessions');
  const words = received(http)[0]?.data['reasoning'] as string;
  expect(words.length).toBeLessThanOrEqual(500);
  expect(words).not.toMatch(/[\r\n\u202e]/);
  await cancelled(action.actionId);
});
