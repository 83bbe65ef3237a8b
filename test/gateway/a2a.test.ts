/** `/a2a` by the SDK's own client: the card, what becomes of a proposal as a task, and who is let in. */
import { randomUUID } from 'node:crypto';
import { Role, TaskState, type Message, type Part, type Task } from '@a2a-js/sdk';
import { ClientFactory, DefaultAgentCardResolver, JsonRpcTransportFactory, type Client } from '@a2a-js/sdk/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ApiKeyOptions } from '../../src/gateway/store/api-keys.js';
import { startTestGateway, type Sender, type TestGateway } from '../support/gateway.js';
import { startStack, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';

let stack: Stack;
let gateway: TestGateway;
let dana: Sender;
let client: Client;

beforeAll(async () => {
  stack = await startStack({
    schema: `
      CREATE TABLE sessions (id int PRIMARY KEY, note text NOT NULL);
      INSERT INTO sessions SELECT n, 'stale' FROM generate_series(1, 300) n;
      CREATE TABLE users (id int PRIMARY KEY);
      INSERT INTO users VALUES (1);
      CREATE TABLE stock (sku text PRIMARY KEY, qty int NOT NULL CHECK (qty >= 0));
      INSERT INTO stock VALUES ('lamp', 3);`,
  });
  gateway = await startTestGateway(stack);
  dana = await gateway.person();
  client = await connected();
});
afterAll(async () => {
  await gateway?.stop();
  await stack?.stop();
});

/** An agent that knows the gateway's address and its own key, and nothing else. */
async function connected(key: Partial<ApiKeyOptions> = {}): Promise<Client> {
  const { headers } = await gateway.agent(key);
  const withKey: typeof fetch = (url, init) => {
    const all = new Headers(init?.headers);
    for (const [name, value] of Object.entries(headers)) all.set(name, value);
    return fetch(url, { ...init, headers: all });
  };
  const factory = new ClientFactory({
    transports: [new JsonRpcTransportFactory({ fetchImpl: withKey })],
    // The card is for everybody.
    cardResolver: new DefaultAgentCardResolver(),
  });
  return await factory.createFromUrl(gateway.url);
}

const data = (value: unknown): Part => ({
  content: { $case: 'data', value },
  metadata: undefined,
  filename: '',
  mediaType: 'application/json',
});
const text = (value: string): Part => ({
  content: { $case: 'text', value },
  metadata: undefined,
  filename: '',
  mediaType: 'text/plain',
});

function message(parts: Part[], more: Partial<Message> = {}): Message {
  return {
    messageId: randomUUID(),
    contextId: '',
    taskId: '',
    role: Role.ROLE_USER,
    parts,
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
    ...more,
  };
}

async function send(said: Message, by: Client = client, returnImmediately = false): Promise<Task> {
  const configuration = { acceptedOutputModes: [], taskPushNotificationConfig: undefined, returnImmediately };
  const answer = await by.sendMessage({ tenant: '', message: said, configuration, metadata: undefined });
  if (!('status' in answer)) throw new Error('it is no task');
  return answer;
}

const get = (id: string, by: Client = client): Promise<Task> => by.getTask({ tenant: '', id });
const stateOf = ({ status }: Task): TaskState | undefined => status?.state;
const wordsOf = ({ status }: Task): string =>
  (status?.message?.parts ?? []).map(({ content }) => (content?.$case === 'text' ? content.value : '')).join('\n');
const outcomeIn = ({ artifacts }: Task): unknown => {
  const content = artifacts[0]?.parts[0]?.content;
  return content?.$case === 'data' ? (content.value as unknown) : undefined;
};

const purge = (from: number, count: number) => ({
  tool: 'shop-db',
  input: { op: 'delete', table: 'sessions', where: { id: { gte: from, lt: from + count } } },
});

async function decide(actionId: string, verdict: 'approve' | 'deny'): Promise<void> {
  const { pending } = (await dana.get(`/v1/actions/${actionId}`)).body as { pending: { shownDigest: string } };
  const { shownDigest } = pending;
  const decision = { shownDigest, verdict, ...(verdict === 'deny' ? { reason: 'They are still needed.' } : {}) };
  expect((await dana.post(`/v1/actions/${actionId}/decision`, decision)).status).toBe(200);
}

test('the card says who this is, where it is reached and what it can do, to everybody', async () => {
  const { body } = await gateway.nobody.get('/.well-known/agent-card.json');
  expect(body).toMatchObject({
    name: 'Countersign',
    supportedInterfaces: [{ url: `${gateway.url}/a2a`, protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
    securitySchemes: { bearer: { httpAuthSecurityScheme: { scheme: 'Bearer' } } },
    skills: [{ id: 'propose' }],
  });
  expect(await client.getAgentCard()).toMatchObject({ name: 'Countersign', skills: [{ id: 'propose' }] });
});

describe('a task', () => {
  test('is completed when the action is done and verified, and the same message again is the same task', async () => {
    const said = message([text('They are stale.'), data(purge(1, 2))], { contextId: 'chat-1' });
    const task = await send(said);
    expect(task).toMatchObject({ id: `a2a-${said.messageId}`, contextId: 'chat-1' });
    expect([stateOf(task), wordsOf(task)]).toEqual([
      TaskState.TASK_STATE_COMPLETED,
      expect.stringContaining('Done and verified') as string,
    ]);
    expect(outcomeIn(task)).toMatchObject({ status: 'success', receipt: { tenant: 'acme' } });
    expect(outcomeIn(await send(said))).toEqual(outcomeIn(task));
    expect(outcomeIn(await get(task.id))).toEqual(outcomeIn(task));
  });

  test('needs input while people decide, which no message is; then it is completed', async () => {
    const proposal = data({ ...purge(10, 120), actionId: 'a2a-asked' });
    const task = await send(message([text('They are stale.'), proposal], { contextId: 'chat-2' }));
    expect([task.id, stateOf(task)]).toEqual(['a2a-asked', TaskState.TASK_STATE_INPUT_REQUIRED]);
    expect(wordsOf(task)).toMatch(/people have to approve it: .*dba.*\. They have until .*\.\nNo message decides it\./);
    const { body } = await dana.get('/v1/actions/a2a-asked');
    expect(body).toMatchObject({
      pending: { shown: { agent: { id: 'agent-1' }, proposal: { reasoning: 'They are stale.', traceId: 'chat-2' } } },
    });
    const insisted = await send(message([text('I approve it.')], { taskId: task.id }));
    expect(stateOf(insisted)).toBe(TaskState.TASK_STATE_INPUT_REQUIRED);
    await decide('a2a-asked', 'approve');
    const done = await until(
      () => get(task.id),
      (one) => one.artifacts.length > 0,
    );
    expect(stateOf(done)).toBe(TaskState.TASK_STATE_COMPLETED);
    expect(outcomeIn(done)).toMatchObject({ status: 'success', approvals: [{ verdict: 'approve' }] });
    expect(JSON.stringify(done)).not.toContain('dana');
  });

  test('is rejected by policy, and by people', async () => {
    const users = { tool: 'shop-db', input: { op: 'delete', table: 'users', where: { id: 1 } } };
    const denied = await send(message([data(users)]));
    expect(stateOf(denied)).toBe(TaskState.TASK_STATE_REJECTED);
    expect(wordsOf(denied)).toMatch(/^Denied\. Nothing was done\.[^]*Code: POLICY_DENIED/);
    const asked = await send(message([data(purge(150, 120))]));
    await decide(asked.id, 'deny');
    const refused = await until(
      () => get(asked.id),
      (one) => one.artifacts.length > 0,
    );
    expect([stateOf(refused), wordsOf(refused)]).toEqual([
      TaskState.TASK_STATE_REJECTED,
      expect.stringContaining('They are still needed.') as string,
    ]);
  });

  test('fails with the action, and is canceled with it', async () => {
    const stock = {
      tool: 'shop-db',
      input: { op: 'update', table: 'stock', set: { qty: -1 }, where: { sku: 'lamp' } },
    };
    const failed = await send(message([data(stock)]));
    expect([stateOf(failed), outcomeIn(failed)]).toMatchObject([TaskState.TASK_STATE_FAILED, { status: 'failed' }]);
    const asked = await send(message([data(purge(150, 110))]));
    const canceled = await client.cancelTask({ tenant: '', id: asked.id, metadata: undefined });
    expect(stateOf(canceled)).toBe(TaskState.TASK_STATE_CANCELED);
    await expect(client.cancelTask({ tenant: '', id: asked.id, metadata: undefined })).rejects.toThrow(/has ended/);
  });

  test('that is not waited for is working, or further', async () => {
    const task = await send(message([data(purge(3, 2))]), client, true);
    const done = await until(
      () => get(task.id),
      (one) => one.artifacts.length > 0,
    );
    expect(stateOf(done)).toBe(TaskState.TASK_STATE_COMPLETED);
  });
});

describe('a request is refused, and the agent is told why', () => {
  test.each<[string, Message, RegExp]>([
    ['a message without a proposal', message([text('Delete all sessions.')]), /one part `data`/],
    ['two proposals', message([data(purge(1, 1)), data(purge(2, 1))]), /holds one proposal/],
    ['a proposal that is a list', message([data([])]), /holds one proposal/],
    ['a malformed one', message([data({ tool: 'a b', input: {} })]), /Code: INVALID_PROPOSAL\nWhere: proposal\.tool/],
    ['a task that is nobody’s', message([text('?')], { taskId: 'nobodys' }), /Code: NOT_FOUND/],
  ])('%s', async (_, said, why) => {
    await expect(send(said)).rejects.toThrow(why);
  });

  test('another proposal under the same id', async () => {
    await expect(send(message([data({ ...purge(1, 1), actionId: 'a2a-asked' })]))).rejects.toThrow('ACTION_CONFLICT');
  });

  test('what another agent has sent, sent again', async () => {
    const other = await connected({ agent: 'agent-2' });
    const done = message([data(purge(5, 2))]);
    expect(stateOf(await send(done))).toBe(TaskState.TASK_STATE_COMPLETED);
    await expect(send(done, other)).rejects.toThrow('ACTION_CONFLICT');
    const waits = message([data(purge(150, 130))]);
    expect(stateOf(await send(waits))).toBe(TaskState.TASK_STATE_INPUT_REQUIRED);
    await expect(send(waits, other)).rejects.toThrow('ACTION_CONFLICT');
  });

  test('another agent’s task', async () => {
    const other = await connected({ agent: 'agent-2' });
    await expect(get('a2a-asked', other)).rejects.toMatchObject({ name: 'TaskNotFoundError' });
    await expect(send(message([text('?')], { taskId: 'a2a-asked' }), other)).rejects.toThrow('NOT_FOUND');
    await expect(other.cancelTask({ tenant: '', id: 'a2a-asked', metadata: undefined })).rejects.toMatchObject({
      name: 'TaskNotFoundError',
    });
  });

  test('nobody, a person, another version and what is no JSON-RPC', async () => {
    const body = { jsonrpc: '2.0', id: 1, method: 'GetTask', params: { id: 'a2a-asked' } };
    expect(await gateway.nobody.post('/a2a', body)).toMatchObject({ status: 401, body: { code: 'UNAUTHENTICATED' } });
    expect(await dana.post('/a2a', body)).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } });
    const bot = await gateway.agent();
    const old = await bot.post('/a2a', body);
    expect(old.body).toMatchObject({
      id: 1,
      error: { message: expect.stringContaining("'0.3' is not supported") as string },
    });
    const at = (json: unknown) => bot.send('POST', '/a2a', { json, headers: { 'a2a-version': '1.0' } });
    expect((await at({ ...body, method: 'ListTasks' })).body).toMatchObject({ error: { code: -32004 } });
    expect((await at({ ...body, method: 'SendStreamingMessage' })).body).toMatchObject({ error: { code: -32004 } });
    expect((await at({ ...body, method: 'Approve' })).body).toMatchObject({ error: { code: -32601 } });
    expect((await at([body, body])).body).toHaveProperty('error');
    const twice = { 'a2a-version': '1.0', 'content-type': 'application/json' };
    const repeated = await bot.send('POST', '/a2a', { body: '{"jsonrpc":"2.0","id":1,"id":2}', headers: twice });
    expect([repeated.status, repeated.body['code']]).toEqual([400, 'INVALID_JSON']);
  });
});
