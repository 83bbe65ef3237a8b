/** A part that is down: a clear refusal, no effect, nothing lost, and the process lives. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import pg from 'pg';
import pino from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CheckpointRound } from '../../activities/contract.js';
import { Countersign } from '../../src/client/countersign.js';
import { freePort } from '../../src/dev/free-port.js';
import { exportLines } from '../../src/trail/export-lines.js';
import { trailKeysOf } from '../../src/trail/keys.js';
import { verifyTrail } from '../../src/trail/verify-lines.js';
import { webhook } from '../../src/notify/index.js';
import { issueAgent } from '../../src/trust/index.js';
import { openReceiver, status, type HttpReceiver } from '../notify/support.js';
import { ended, shopTool, startStack, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';

let stack: Stack;
let admin: Countersign;

beforeAll(async () => {
  const closed = await freePort();
  stack = await startStack({
    schema:
      'CREATE TABLE stock (sku text PRIMARY KEY, qty int NOT NULL); INSERT INTO stock SELECT n::text, 10 FROM generate_series(1, 9) n',
    tools: (url) => [shopTool(url), shopTool(`postgres://agent:hunter2@127.0.0.1:${closed}/shop`, { name: 'down-db' })],
  });
  admin = await stack.agent();
});
afterAll(() => stack?.stop());

const set = (sku: string, qty: number, tool = 'shop-db') => ({
  actionId: randomUUID(),
  tool,
  input: { op: 'update', table: 'stock', set: { qty }, where: { sku } },
});

async function qty(sku: string): Promise<number | undefined> {
  const { rows } = await stack.shop.query<{ qty: number }>('SELECT qty FROM stock WHERE sku = $1', [sku]);
  return rows[0]?.qty;
}

/** Makes the ledger's database unreachable for everybody, and takes that back. */
async function ledgerAway(body: () => Promise<void>): Promise<void> {
  const url = new URL(stack.ledgerUrl);
  const name = url.pathname.slice(1);
  url.pathname = '/postgres';
  const superuser = new pg.Client({ connectionString: url.href });
  await superuser.connect();
  try {
    await superuser.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
    await superuser.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name]);
    await body();
  } finally {
    await superuser.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
    await superuser.end();
  }
}

test('a tool whose database is down: denied, with what to do, without its password, and with a receipt', async () => {
  const outcome = await ended(admin, set('1', 1, 'down-db'));
  expect(outcome).toMatchObject({ status: 'denied', error: { code: 'TOOL_UNAVAILABLE' } });
  expect(outcome.receipt).toBeDefined();
  expect(JSON.stringify(outcome)).not.toContain('hunter2');
});

test('a tool whose system never answers does not keep the worker from starting: the other tools act', async () => {
  const [shop, slow] = [shopTool(stack.shopUrl), shopTool(stack.shopUrl, { name: 'slow-db' })];
  const silent = {
    ...slow,
    check: ({ signal }: { readonly signal: AbortSignal }) =>
      once(signal, 'abort').then(() => {
        throw signal.reason;
      }),
  };
  const temporal = { ...stack.temporal, taskQueue: 'beside-a-silent-tool' };
  const worker = await stack.startWorker({ temporal, config: { policies: stack.policies, tools: [shop, silent] } });
  const client = await Countersign.connect({
    ...temporal,
    credential: await issueAgent(stack.keyring, {
      id: 'agent-1',
      tenant: TENANT,
      roles: ['admin_user'],
      scopes: ['*'],
    }),
  });
  try {
    expect((await ended(client, set('9', 3))).status).toBe('success');
  } finally {
    await client.close();
    await worker.stop();
  }
});

test('a ledger that is down: the agent is told so at once, and the refusal is recorded when it is back', async () => {
  const proposal = set('2', 2);
  await ledgerAway(async () => {
    await expect(ended(admin, proposal)).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE', retryable: true });
    expect(await qty('2')).toBe(10);
  });
  const settled = await admin.outcome(proposal.actionId, { timeoutMs: 50_000 });
  expect(settled).toMatchObject({
    status: 'denied',
    error: { code: 'LEDGER_UNAVAILABLE' },
    receipt: { tenant: TENANT },
  });
  expect(await ended(admin, proposal)).toEqual(settled);
  expect(await qty('2')).toBe(10);
  expect((await ended(admin, set('2', 3))).status).toBe('success');
});

test('a ledger that goes away during the effect: the outcome is recorded when it is back', async () => {
  await stack.shop.query(`
    CREATE TABLE gate (id int PRIMARY KEY);
    CREATE FUNCTION pass_gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NEW; END $$;
    CREATE TRIGGER gate BEFORE UPDATE ON stock FOR EACH ROW WHEN (NEW.qty = 3 AND OLD.sku = '3') EXECUTE FUNCTION pass_gate()`);
  const keeper = await stack.shop.connect();
  await keeper.query('SELECT pg_advisory_lock(42)');
  const answer = ended(admin, set('3', 3));
  await until(
    async () =>
      (
        await stack.shop.query(
          "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = 'advisory'",
        )
      ).rowCount,
    (waiting) => waiting === 1,
  );
  await ledgerAway(async () => {
    await keeper.query('SELECT pg_advisory_unlock(42)');
    await until(
      () => qty('3'),
      (seen) => seen === 3,
    );
  });
  keeper.release();
  expect(await answer).toMatchObject({ status: 'success', receipt: { tenant: TENANT } });
});

/** Takes the last receipt of the tenant out of the ledger, as a superuser can, and puts it back. */
async function lastReceiptGone(body: () => Promise<void>): Promise<void> {
  const superuser = new pg.Client({ connectionString: stack.ledgerUrl });
  await superuser.connect();
  try {
    await superuser.query('SET session_replication_role = replica; SET search_path = countersign');
    const last = 'tenant = $1 AND seq = (SELECT seq FROM chains WHERE tenant = $1)';
    const { rows } = await superuser.query<Record<string, unknown>>(`DELETE FROM receipts WHERE ${last} RETURNING *`, [
      TENANT,
    ]);
    expect(rows).toHaveLength(1);
    await body();
    const columns = 'tenant, seq, hash, prev, jws, action_id, at';
    await superuser.query(
      `INSERT INTO receipts (${columns}) SELECT ${columns} FROM json_populate_record(NULL::receipts, $1)`,
      [JSON.stringify(rows[0])],
    );
  } finally {
    await superuser.end();
  }
}

/** Lets nobody write to the ledger's database, and takes that back. */
async function readOnly(body: () => Promise<void>): Promise<void> {
  const url = new URL(stack.ledgerUrl);
  const name = url.pathname.slice(1);
  url.pathname = '/postgres';
  const superuser = new pg.Client({ connectionString: url.href });
  await superuser.connect();
  const set = async (value: string): Promise<void> => {
    await superuser.query(`ALTER DATABASE ${name} SET default_transaction_read_only = ${value}`);
    await superuser.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name]);
  };
  try {
    await set('on');
    await body();
  } finally {
    await set('off');
    await superuser.end();
  }
}

/** A worker that tells of alarms by webhook. */
async function alarmingWorker(receiver: HttpReceiver, said: string[]): Promise<void> {
  process.env['ALARM_WEBHOOK_SECRET'] = `whsec_${Buffer.alloc(32, 3).toString('base64')}`;
  const secrets = ['env:ALARM_WEBHOOK_SECRET'] as const;
  const channels = [webhook({ name: 'duty', url: receiver.url, secrets, allow: { loopback: true } })];
  await stack.worker?.stop();
  await stack.startWorker({
    config: {
      policies: stack.policies,
      tools: [shopTool(stack.shopUrl)],
      notifications: { gatewayUrl: 'http://localhost:1', channels },
    },
    alarmLookEveryMs: 500,
    logger: pino({ level: 'error' }, { write: (line: string) => void said.push(line) }),
  });
}

/** Of every request: its type, and whose ledger it is about. */
function told({ seen }: HttpReceiver): readonly (readonly [string, string | undefined])[] {
  return seen.map(({ body }) => {
    const { type, data } = JSON.parse(body) as { type: string; data: { tenant?: string } };
    return [type, data.tenant] as const;
  });
}

test('a ledger whose last receipts are gone: no effect, an alarm, and the refusal is recorded when they are back', async () => {
  expect((await ended(admin, set('5', 5))).status).toBe('success');
  const said: string[] = [];
  const receiver = await openReceiver();
  // The first attempt to tell fails, and is made again.
  receiver.answers.push(status(503));
  await alarmingWorker(receiver, said);
  const proposal = set('5', 6);
  await lastReceiptGone(async () => {
    await expect(ended(admin, proposal)).rejects.toMatchObject({ code: 'LEDGER_BROKEN', retryable: true });
    expect(await qty('5')).toBe(5);
    expect(JSON.parse(said[0] ?? '{}')).toMatchObject({
      alarm: 'ledger_broken',
      code: 'LEDGER_BROKEN',
      msg: 'the ledger cannot take a receipt: nothing is admitted',
    });
    // However many actions meet it, people are told once.
    await Promise.all(
      ['6', '7'].map((sku) => expect(ended(admin, set(sku, 1))).rejects.toMatchObject({ retryable: true })),
    );
    await until(
      () => Promise.resolve(told(receiver)),
      (seen) => seen.length === 2,
    );
  });
  await until(
    () => Promise.resolve(told(receiver)),
    (seen) => seen.some(([type]) => type === 'ledger.broken.over'),
  );
  expect(told(receiver)).toEqual([
    ['ledger.broken', TENANT],
    ['ledger.broken', TENANT],
    ['ledger.broken.over', TENANT],
  ]);
  const ids = receiver.seen.map(({ headers }) => headers['webhook-id']);
  expect([ids[0] === ids[1], ids[1] === ids[2]]).toEqual([true, false]);
  await receiver.stop();
  const settled = await admin.outcome(proposal.actionId, { timeoutMs: 50_000 });
  expect(settled).toMatchObject({ status: 'denied', error: { code: 'LEDGER_BROKEN' }, receipt: { tenant: TENANT } });
  expect(await qty('5')).toBe(5);
  expect((await ended(admin, set('5', 7))).status).toBe('success');
});

test('a ledger that cannot be written: people are told all the same, once, and once more when it can be', async () => {
  const receiver = await openReceiver();
  await alarmingWorker(receiver, []);
  await readOnly(async () => {
    await expect(ended(admin, set('8', 1))).rejects.toMatchObject({ code: 'LEDGER_BROKEN', retryable: true });
    await until(
      () => Promise.resolve(told(receiver)),
      (seen) => seen.length > 0,
    );
    expect(told(receiver)).toEqual([['ledger.broken', undefined]]);
    expect(receiver.seen[0]?.body).toContain('Nothing is admitted, and no effect is made.');
  });
  await until(
    () => Promise.resolve(told(receiver)),
    (seen) => seen.some(([type]) => type === 'ledger.broken.over'),
  );
  expect(told(receiver)).toHaveLength(2);
  await receiver.stop();
  await stack.worker?.stop();
  await stack.startWorker();
});

test('the receipt of an action names the record of each step, and the trail has it with its grant', async () => {
  const { receipt } = await ended(admin, set('6', 6));
  const claims = (await stack.receipts()).find(({ seq }) => seq === receipt?.seq);
  expect(claims?.records?.map(({ step }) => step)).toEqual([
    'propose',
    'enforce',
    'capturePreState',
    'authorize',
    'execute',
    'capturePostState',
  ]);
  const reader = await stack.agent({ id: 'reader', roles: ['read_only_user'] });
  const denied = await ended(reader, set('6', 7));
  expect((await stack.receipts()).find(({ seq }) => seq === denied.receipt?.seq)?.records).toMatchObject([
    { step: 'propose' },
    { step: 'enforce' },
  ]);

  const round = await admin.temporal.workflow.execute<() => Promise<CheckpointRound>>('checkpointTrails', {
    workflowId: `checkpoint-${randomUUID()}`,
    taskQueue: stack.temporal.taskQueue,
  });
  expect(round).toMatchObject({ problems: [] });
  const lines = async function* (): AsyncGenerator<string> {
    for await (const line of exportLines(stack.ledger, TENANT)) yield JSON.stringify(line);
  };
  const report = await verifyTrail(lines(), { keys: trailKeysOf(stack.keyring) });
  expect(report).toMatchObject({ ok: true, withheld: 0, problems: [] });
  expect(report.covered).toBe(report.entries);
  for await (const { entry } of stack.ledger.trail.entries(TENANT, {
    after: report.entries - 2,
    upTo: report.entries - 1,
  })) {
    expect(JSON.parse(entry)).toMatchObject({
      kind: 'receipt',
      receipt: receipt?.seq,
      digest: receipt?.hash,
      grants: [{ jti: claims?.grant, usedAt: expect.any(String) as string }],
    });
  }
});

test('a Temporal server that is down: an error that says what to do, and the process lives', async () => {
  const address = `127.0.0.1:${await freePort()}`;
  await expect(Countersign.connect({ address })).rejects.toMatchObject({
    code: 'TEMPORAL_UNAVAILABLE',
    fix: expect.stringContaining('countersign dev') as string,
  });
});

test('no worker: the caller learns so in time, and the action is taken up later', async () => {
  await stack.worker?.stop();
  const proposal = set('4', 4);
  await expect(admin.perform(proposal, { timeoutMs: 1500 })).rejects.toMatchObject({
    code: 'TIMED_OUT',
    retryable: true,
  });
  expect(await qty('4')).toBe(10);
  await stack.startWorker();
  expect(await ended(admin, proposal)).toMatchObject({ status: 'success' });
  expect(await qty('4')).toBe(4);
});
