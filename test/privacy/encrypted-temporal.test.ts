/** With payload keys, whoever has Temporal alone reads nothing of what agents propose, systems answer and people say. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Countersign } from '../../src/client/countersign.js';
import { findTemporal } from '../../src/dev/temporal-binary.js';
import { startLocalCodecServer } from '../../src/gateway/codec/local.js';
import { PayloadEncryption, payloadEncryption } from '../../src/privacy/data-converter.js';
import { ENCRYPTED, KEY_ID } from '../../src/privacy/payload-codec.js';
import { addPayloadKey, createPayloadKeys, usePayloadKey } from '../../src/privacy/payload-key-files.js';
import { signApproval } from '../../src/trust/index.js';
import { workflowBundlePath } from '../../src/worker/bundle.js';
import { startTestGateway, type Sender, type TestGateway } from '../support/gateway.js';
import { ended, pending, shopTool, startStack, type Stack } from '../support/stack.js';

/** In everything that is secret here. */
const NEEDLE = 'zx81needle';
const UI = 'http://localhost:8233';

let folder: string;
let keysFile: string;
let stack: Stack;
let bot: Countersign;
let gateway: TestGateway;
const logged: string[] = [];
let firstKey: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-encrypted-'));
  keysFile = path.join(folder, 'payload-keys.json');
  ({ encrypts: firstKey } = await createPayloadKeys(keysFile, new Date()));
  process.env['COUNTERSIGN_PAYLOAD_KEYS_FILE'] = keysFile;
  stack = await startStack({
    worker: false,
    schema: `CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL UNIQUE);
      INSERT INTO customers VALUES (1, '${NEEDLE} before'), (2, '${NEEDLE} taken');
      CREATE TABLE people (id int PRIMARY KEY); INSERT INTO people SELECT generate_series(1, 20);`,
  });
  await writeFile(
    path.join(stack.policies, 'people.cedar'),
    `@id("people")
    @reason("people are asked about people")
    @approval("dba")
    forbid (principal, action == Countersign::Action::"DELETE", resource) when { context.targets.contains("people") };`,
  );
  await stack.startWorker();
  bot = await stack.agent();
  gateway = await startTestGateway(stack, {
    privacy: { codecServer: { origins: [UI] } },
    env: { COUNTERSIGN_PAYLOAD_KEYS_FILE: keysFile },
    logger: pino({ level: 'info' }, { write: (line: string) => void logged.push(line) }),
  });
});
afterAll(async () => {
  delete process.env['COUNTERSIGN_PAYLOAD_KEYS_FILE'];
  await gateway?.stop();
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});

const rename = (actionId: string, name: string) => ({
  actionId,
  tool: 'shop-db',
  input: { op: 'update', table: 'customers', set: { name }, where: { id: 1 } },
  reasoning: `${NEEDLE} asked for it`,
  expect: `post.customers["1"].name.startsWith("${NEEDLE}")`,
});

/** The history of an action as the server has it, as JSON. */
async function rawHistory(actionId: string): Promise<unknown> {
  const connection = await Connection.connect({ address: stack.temporal.address });
  try {
    const { history } = await connection.workflowService.getWorkflowExecutionHistory({
      namespace: stack.temporal.namespace,
      execution: { workflowId: `acme/${actionId}` },
    });
    return JSON.parse(JSON.stringify(history));
  } finally {
    await connection.close();
  }
}

/** Every payload in a history, with the words of its data. */
function payloadsIn(value: unknown): readonly { encoding: string; key: string; words: string }[] {
  if (typeof value !== 'object' || value === null) return [];
  const { metadata, data } = value as { metadata?: Record<string, string>; data?: string };
  const within = Object.values(value).flatMap(payloadsIn);
  if (metadata?.['encoding'] === undefined) return within;
  const text = (base64 = ''): string => Buffer.from(base64, 'base64').toString();
  return [{ encoding: text(metadata['encoding']), key: text(metadata[KEY_ID]), words: text(data) }, ...within];
}

function failuresIn(value: unknown): readonly { message?: string; source?: string }[] {
  if (typeof value !== 'object' || value === null) return [];
  const within = Object.values(value).flatMap(failuresIn);
  return 'source' in value && 'message' in value ? [value as { message?: string; source?: string }, ...within] : within;
}

function assertUnreadable(history: unknown): void {
  const payloads = payloadsIn(history);
  expect(payloads.filter(({ encoding }) => encoding === ENCRYPTED).length).toBeGreaterThan(10);
  expect(JSON.stringify(history)).not.toContain(NEEDLE);
  expect(payloads.map(({ words }) => words).filter((words) => words.includes(NEEDLE))).toEqual([]);
  const ours = failuresIn(history).filter(({ source }) => source === 'TypeScriptSDK');
  expect(ours.filter(({ message }) => message !== 'Encoded failure')).toEqual([]);
}

describe('Temporal’s history', () => {
  test('of an action that succeeded holds nothing of it in clear, and who has the keys reads all', async () => {
    const outcome = await ended(bot, rename('renamed', `${NEEDLE} after`));
    expect(outcome.status).toBe('success');
    assertUnreadable(await rawHistory('renamed'));
    expect(JSON.stringify(outcome)).toContain(`${NEEDLE} after`);
  });

  test('of one whose tool failed holds nothing of the system’s answer', async () => {
    const outcome = await ended(bot, rename('refused', `${NEEDLE} taken`));
    expect(outcome.status).toBe('failed');
    assertUnreadable(await rawHistory('refused'));
  });

  test('of one that people decided holds nothing of what they were shown and said', async () => {
    const action = await pending(bot, {
      actionId: 'asked',
      tool: 'shop-db',
      input: { op: 'delete', table: 'people', where: { id: { gt: 3 } } },
      reasoning: `${NEEDLE} are gone`,
    });
    const dora = await stack.approver('dora', ['dba']);
    await expect(bot.decide('asked', `not-a-token-${NEEDLE}`)).rejects.toMatchObject({ code: 'APPROVAL_INVALID' });
    expect((await stack.decide(action, dora, 'deny', `${NEEDLE} says no`)).state).toBe('denied');
    const outcome = await action.outcome();
    expect(outcome.reason).toContain(NEEDLE);
    assertUnreadable(await rawHistory('asked'));
  });

  test('replays with the keys, and not without', async () => {
    const client = bot.temporal;
    const { codec } = await payloadEncryption(process.env);
    const history = await client.workflow.getHandle('acme/renamed').fetchHistory();
    const codePath = await workflowBundlePath();
    const replay = (payloadCodecs: PayloadEncryption['codec'][]) =>
      Worker.runReplayHistory(
        { workflowBundle: { codePath }, dataConverter: { payloadCodecs } },
        history,
        'acme/renamed',
      );
    await expect(replay([codec])).resolves.toBeUndefined();
    await expect(replay([new PayloadEncryption(undefined).codec])).rejects.toThrow(/Encoded|encrypted|payload keys/);
  });
});

describe('who has no keys', () => {
  test('is told so, in place of an outcome', async () => {
    const blind = await Countersign.connect({
      ...stack.temporal,
      credential: null,
      encryption: new PayloadEncryption(undefined),
    });
    try {
      await expect(blind.outcome('renamed', { tenant: 'acme' })).rejects.toMatchObject({ code: 'PAYLOAD_KEY_UNKNOWN' });
      await expect(blind.view('renamed', 'acme')).rejects.toMatchObject({ code: 'PAYLOAD_KEY_UNKNOWN' });
    } finally {
      await blind.close();
    }
  });

  test('is heard by no workflow', async () => {
    const connection = await Connection.connect({ address: stack.temporal.address });
    const plain = new Client({ connection, namespace: stack.temporal.namespace });
    try {
      const asked = plain.workflow.getHandle('acme/renamed').query('view', NEEDLE);
      await expect(asked).rejects.toThrow(/Encoded failure|encrypted/);
    } finally {
      await connection.close();
    }
  });
});

describe('the gateway’s codec server', () => {
  let auditor: Sender;
  let sealed: object;

  beforeAll(async () => {
    auditor = await gateway.person({ id: 'vera', roles: ['platform-auditor'] });
    const { codec } = await payloadEncryption(process.env);
    const [payload] = await codec.encode([
      { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from(`"${NEEDLE}"`) },
    ]);
    const base64 = (bytes: Uint8Array | null | undefined): string => Buffer.from(bytes ?? []).toString('base64');
    sealed = {
      metadata: Object.fromEntries(
        Object.entries(payload?.metadata ?? {}).map(([name, bytes]) => [name, base64(bytes)]),
      ),
      data: base64(payload?.data),
    };
  });

  const words = (body: Readonly<Record<string, unknown>>): string =>
    Buffer.from(((body['payloads'] as { data: string }[])[0] as { data: string }).data, 'base64').toString();

  test('decrypts for whoever may, says who did in the log, and leaves nothing in a cache', async () => {
    const answer = await auditor.send('POST', '/codec/decode', {
      json: { payloads: [sealed] },
      headers: { origin: UI, 'x-namespace': stack.temporal.namespace },
    });
    expect(answer.status).toBe(200);
    expect(words(answer.body)).toBe(`"${NEEDLE}"`);
    expect(answer.headers.get('access-control-allow-origin')).toBe(UI);
    expect(answer.headers.get('access-control-allow-credentials')).toBe('true');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const lines = logged.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toContainEqual(
      expect.objectContaining({
        msg: 'codec server: decode',
        by: 'person acme/vera',
        payloads: 1,
        namespace: stack.temporal.namespace,
      }),
    );
    expect(logged.join('')).not.toContain(NEEDLE);
  });

  test('encrypts what they send, and passes on what is not encrypted', async () => {
    const plain = {
      metadata: { encoding: Buffer.from('json/plain').toString('base64') },
      data: Buffer.from('1').toString('base64'),
    };
    const { body } = await auditor.post('/codec/encode', { payloads: [plain] });
    expect((await auditor.post('/codec/decode', body)).body).toEqual({ payloads: [plain] });
    expect((await auditor.post('/codec/decode', { payloads: [plain] })).body).toEqual({ payloads: [plain] });
  });

  test('refuses everybody else', async () => {
    const json = { payloads: [sealed] };
    const others = {
      nobody: gateway.nobody,
      agent: await gateway.agent({ roles: ['platform-auditor'] }),
      person: await gateway.person(),
    };
    const answers = await Promise.all(
      Object.entries(others).map(async ([who, sender]) => [
        who,
        (await sender.post('/codec/decode', json)).body['code'],
      ]),
    );
    expect(Object.fromEntries(answers)).toEqual({
      nobody: 'UNAUTHENTICATED',
      agent: 'FORBIDDEN',
      person: 'ROLE_REQUIRED',
    });
    const elsewhere = await auditor.send('POST', '/codec/decode', {
      json,
      headers: { origin: 'https://evil.example' },
    });
    expect(elsewhere.body['code']).toBe('FORBIDDEN');
    expect(elsewhere.headers.get('access-control-allow-origin')).toBeNull();
  });

  test('answers a browser that asks first, of the UI’s page alone', async () => {
    const ask = (origin: string) =>
      gateway.nobody.send('OPTIONS', '/codec/decode', {
        headers: {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'content-type,x-namespace',
        },
      });
    const asked = await ask(UI);
    expect([asked.status, asked.headers.get('access-control-allow-origin')]).toEqual([204, UI]);
    expect((await ask('https://evil.example')).headers.get('access-control-allow-origin')).toBeNull();
  });

  test.each([
    ['no payloads', {}],
    ['a payload that is no object', { payloads: [1] }],
    ['bytes that are not base64', { payloads: [{ data: '*' }] }],
    ['too many payloads', { payloads: Array.from({ length: 1001 }, () => ({})) }],
  ])('refuses %s', async (_what, json) => {
    const answer = await auditor.post('/codec/decode', json);
    expect(answer.body).toMatchObject({ code: 'INVALID_INPUT' });
  });

  test('says what it cannot decrypt', async () => {
    const data = `${(sealed as { data: string }).data.slice(0, -4)}AAAA`;
    expect((await auditor.post('/codec/decode', { payloads: [{ ...sealed, data }] })).body).toMatchObject({
      code: 'PAYLOAD_INVALID',
    });
  });
});

describe('`temporal workflow show`', () => {
  const show = async (...flags: readonly string[]): Promise<string> => {
    const { path: binary } = await findTemporal({ env: process.env, log: () => {} });
    const { address, namespace } = stack.temporal;
    const args = [
      'workflow',
      'show',
      '--output',
      'json',
      '--workflow-id',
      'acme/renamed',
      '--namespace',
      namespace,
      '--address',
      address,
    ];
    const { stdout } = await promisify(execFile)(binary, [...args, ...flags], { maxBuffer: 16 * 1024 * 1024 });
    return payloadsIn(JSON.parse(stdout))
      .map(({ words }) => words)
      .join('\n');
  };

  test('shows nothing by itself, and everything through the gateway to whoever may', async () => {
    const auditor = await gateway.person({ id: 'vera', roles: ['platform-auditor'] });
    const through = [
      '--codec-endpoint',
      `${gateway.url}/codec`,
      '--codec-header',
      `Cookie=${auditor.headers['cookie']}`,
    ];
    expect(await show()).not.toContain(NEEDLE);
    expect(await show(...through)).toContain(`${NEEDLE} after`);
  });

  test('shows everything through the codec server of this machine, with its token alone', async () => {
    const { forReaders } = await payloadEncryption(process.env);
    const server = await startLocalCodecServer(forReaders, { port: 0, logger: pino({ level: 'silent' }) });
    try {
      expect(await show('--codec-endpoint', server.url, '--codec-auth', server.authorization)).toContain(
        `${NEEDLE} after`,
      );
      const ask = (headers: Record<string, string>) =>
        fetch(`${server.url}/decode`, { method: 'POST', headers, body: '{"payloads":[]}' });
      expect((await ask({ authorization: server.authorization })).status).toBe(200);
      expect((await ask({ authorization: 'Bearer guess' })).status).toBe(401);
      expect((await ask({ authorization: server.authorization, origin: UI })).status).toBe(403);
    } finally {
      await server.stop();
    }
  });
});

test('an action that waits goes on under the next key, on a worker that has both', async () => {
  const waiting = await pending(bot, {
    actionId: 'rotated',
    tool: 'shop-db',
    input: { op: 'delete', table: 'people', where: { id: { gt: 3 } } },
  });
  const { added } = await addPayloadKey(keysFile, new Date());
  await usePayloadKey(keysFile, added);
  await stack.worker?.stop();
  await stack.startWorker({
    config: { policies: stack.policies, tools: [shopTool(stack.shopUrl)], privacy: { payloads: { keysFile } } },
  });
  const later = await stack.agent();
  const dora = await stack.approver('dora', ['dba']);
  const { tenant, actionId, pending: shown } = waiting;
  const token = await signApproval(dora, { tenant, actionId, shownDigest: shown.shownDigest, verdict: 'approve' });
  await later.decide(actionId, token);
  expect((await later.outcome(actionId)).status).toBe('success');
  const used = new Set(payloadsIn(await rawHistory('rotated')).map(({ key }) => key));
  expect(used).toEqual(new Set(['', firstKey, added]));
});
