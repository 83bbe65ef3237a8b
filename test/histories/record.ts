/** Records one history of every path an action can take, from real runs. Run it when a path is new; keep the old ones. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, test } from 'vitest';
import type { Countersign, PendingAction } from '../../src/client/countersign.js';
import { findTemporal } from '../../src/dev/index.js';
import { ended, pending, shopTool, startStack, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';

const folder = path.dirname(fileURLToPath(import.meta.url));

let stack: Stack;
let admin: Countersign;

beforeAll(async () => {
  stack = await startStack({
    schema: `
      CREATE TABLE customers (id int PRIMARY KEY, plan text NOT NULL);
      INSERT INTO customers SELECT n, 'free' FROM generate_series(1, 300) n;
      CREATE TABLE users (id int PRIMARY KEY);
      INSERT INTO users VALUES (1);
      CREATE TABLE sessions (id int PRIMARY KEY, note text NOT NULL);
      INSERT INTO sessions SELECT n, 'stale' FROM generate_series(1, 150) n;
      CREATE TABLE stock (sku text PRIMARY KEY, qty int NOT NULL CHECK (qty >= 0));
      INSERT INTO stock VALUES ('a', 10);
      CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.qty := OLD.qty; RETURN NEW; END $$;
      CREATE TRIGGER undo BEFORE UPDATE ON stock FOR EACH ROW WHEN (NEW.qty = 5) EXECUTE FUNCTION undo();
      CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(20); RETURN NEW; END $$;
      CREATE TRIGGER slow BEFORE UPDATE ON stock FOR EACH ROW WHEN (NEW.qty = 6) EXECUTE FUNCTION slow();
    `,
    tools: (url) => [
      shopTool(url),
      { ...shopTool(url), name: 'far-db', taskQueue: 'far' },
      shopTool('postgres://nobody@127.0.0.1:1/none', { name: 'down-db' }),
    ],
  });
  admin = await stack.agent();
});
afterAll(() => stack?.stop());

async function record(name: string, actionId: string, client = admin): Promise<void> {
  const workflowId = `${TENANT}/${actionId}`;
  await client.temporal.workflow.getHandle(workflowId).result();
  const { namespace } = client.temporal.options;
  const { path: temporal } = await findTemporal({ env: process.env, log: () => {} });
  const { stdout } = await promisify(execFile)(
    temporal,
    ['workflow', 'show', '--output', 'json', '--workflow-id', workflowId, '--namespace', namespace, '--address', stack.temporal.address],
    { maxBuffer: 64 * 1024 * 1024 },
  );
  await writeFile(path.join(folder, `${name}.json`), `${JSON.stringify(JSON.parse(stdout, withoutTraces))}\n`);
}

/** Stack traces name folders of the machine that recorded. Replay does not read them. */
function withoutTraces(key: string, value: unknown): unknown {
  return key === 'stackTrace' ? '' : value;
}

const update = (actionId: string, more: object = {}) => ({
  actionId,
  tool: 'shop-db',
  input: { op: 'update', table: 'customers', set: { plan: actionId }, where: { id: 1 } },
  ...more,
});
const purge = (actionId: string) => ({
  actionId,
  tool: 'shop-db',
  input: { op: 'delete', table: 'sessions', where: { note: 'stale' } },
});
const setStock = (actionId: string, qty: number) => ({
  actionId,
  tool: 'shop-db',
  input: { op: 'update', table: 'stock', set: { qty }, where: { sku: 'a' } },
});

async function waiting(actionId: string): Promise<PendingAction> {
  return pending(admin, purge(actionId));
}

test('allowed', async () => {
  await ended(admin, update('allowed', { expect: 'post.customers["1"].plan == "allowed"' }));
  await record('allowed', 'allowed');
});

test('read', async () => {
  await ended(admin, { actionId: 'read', tool: 'shop-db', input: { op: 'select', table: 'customers', limit: 2 } });
  await record('read', 'read');
});

test('denied by policy', async () => {
  await ended(admin, { actionId: 'denied', tool: 'shop-db', input: { op: 'delete', table: 'users', where: { id: 1 } } });
  await record('denied', 'denied');
});

test('refused because nobody vouches for the agent', async () => {
  await admin.temporal.workflow.start('trustedAction', {
    workflowId: `${TENANT}/stranger`,
    taskQueue: stack.temporal.taskQueue,
    args: [{ proposal: update('stranger'), digest: `sha256:${'0'.repeat(64)}`, proof: 'forged' }],
  });
  await record('unverified', 'stranger');
});

test('mismatch', async () => {
  await ended(admin, setStock('mismatch', 5));
  await record('mismatch', 'mismatch');
});

test('failed', async () => {
  await ended(admin, setStock('failed', -1));
  await record('failed', 'failed');
});

test('an expectation that takes long is awaited in a regular activity', async () => {
  await ended(admin, update('long', { expect: { cel: 'post.customers["1"].plan == "long"', withinMs: 5000 } }));
  await record('long-expectation', 'long');
});

test('a system that is down', async () => {
  await ended(admin, { ...update('down'), tool: 'down-db' });
  await record('tool-down', 'down');
});

test('a tool with workers of its own', async () => {
  const far = await stack.startWorker({ temporal: { ...stack.temporal, taskQueue: 'far' } });
  await ended(admin, { ...update('far'), tool: 'far-db' });
  await record('elsewhere', 'far');
  await far.stop();
});

test('cancelled while people think', async () => {
  const action = await waiting('cancelled');
  await admin.cancel(action.actionId);
  await record('cancelled-pending', 'cancelled');
});

test('cancelled during the effect', async () => {
  const answer = ended(admin, setStock('slow', 6));
  await until(
    () => admin.view('slow').catch(() => undefined),
    (view) => view?.phase === 'executing',
  );
  await admin.cancel('slow');
  await answer;
  await record('cancelled-executing', 'slow');
});

test('denied by a person', async () => {
  await stack.decide(await waiting('no'), await stack.approver('dora', ['dba']), 'deny', 'not today');
  await record('approval-denied', 'no');
});

test('nobody decides in time', async () => {
  const brief = (text: string): string => text.replaceAll('@approval("dba")', '@approval("dba, ttl=1s")');
  await stack.withPolicy('production.cedar', brief, async () => {
    await waiting('expired');
    await record('approval-expired', 'expired');
  });
});

test('stale, asked again, and approved by a signal', async () => {
  const dba = await stack.approver('dora', ['dba']);
  const action = await waiting('stale');
  await stack.shop.query("UPDATE sessions SET note = 'active' WHERE id <= 20");
  await stack.decide(action, dba);
  await until(
    () => admin.view('stale'),
    ({ refusedApprovals, phase }) => refusedApprovals.length > 0 && phase === 'pending',
  );
  await stack.decide(action, dba);
  await record('stale-then-approved', 'stale');
});

test('an action recorded before', async () => {
  await ended(admin, update('recorded'));
  await stack.afterRetention(async (client) => {
    await ended(client, update('recorded'));
    await record('recorded', 'recorded', client);
  });
});
