/** A part that is down: a clear refusal, no effect, nothing lost, and the process lives. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Countersign } from '../../src/client/countersign.js';
import { freePort } from '../../src/dev/free-port.js';
import { issueAgent } from '../../src/trust/index.js';
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
