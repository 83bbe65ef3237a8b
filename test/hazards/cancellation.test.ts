/** Cancelled at every point: before the effect it never happens; during it, the truth is found out. The database judges. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Countersign } from '../../src/client/countersign.js';
import { ended, pending, startStack, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';

let stack: Stack;
let admin: Countersign;

beforeAll(async () => {
  stack = await startStack({
    schema: `
      CREATE TABLE stock (sku text PRIMARY KEY, qty int NOT NULL);
      INSERT INTO stock SELECT 'sku-' || n, 10 FROM generate_series(1, 200) n;
      CREATE TABLE gate (open boolean NOT NULL);
      CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;
      CREATE TRIGGER wait BEFORE UPDATE ON stock FOR EACH ROW WHEN (NEW.qty = 6) EXECUTE FUNCTION wait();`,
  });
  admin = await stack.agent();
});
afterAll(() => stack?.stop());

const set = (sku: string, qty: number) => ({
  actionId: randomUUID(),
  tool: 'shop-db',
  input: { op: 'update', table: 'stock', set: { qty }, where: { sku } },
});

async function qty(sku: string): Promise<number | undefined> {
  const { rows } = await stack.shop.query<{ qty: number }>('SELECT qty FROM stock WHERE sku = $1', [sku]);
  return rows[0]?.qty;
}

test('before any worker took it up, it ends as cancelled and nothing was done', async () => {
  await stack.worker?.stop();
  const proposal = set('sku-1', 1);
  const answer = ended(admin, proposal);
  const handle = admin.temporal.workflow.getHandle(`${TENANT}/${proposal.actionId}`);
  await until(
    () =>
      handle.cancel().then(
        () => true,
        () => false,
      ),
    Boolean,
  );
  await stack.startWorker();
  const outcome = await answer;
  expect(outcome).toMatchObject({ status: 'cancelled', error: { code: 'CANCELLED' } });
  expect(outcome.receipt).toBeDefined();
  expect(await qty('sku-1')).toBe(10);
});

test('while people think, it ends as cancelled and a later approval changes nothing', async () => {
  const action = await pending(admin, {
    ...set('sku-2', 1),
    input: { op: 'update', table: 'stock', set: { qty: 1 }, all: true },
  });
  await admin.cancel(action.actionId);
  expect(await action.outcome()).toMatchObject({ status: 'cancelled' });
  await expect(stack.decide(action, await stack.approver('dora', ['dba']))).rejects.toMatchObject({
    code: expect.stringMatching(/NOT_FOUND|NOT_PENDING/) as string,
  });
  expect(await qty('sku-2')).toBe(10);
});

test('during the effect, the database is told to stop, rolls back, and the action ends as cancelled', async () => {
  const proposal = set('sku-3', 6);
  const answer = ended(admin, proposal);
  await until(
    async () => (await stack.shop.query("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")).rowCount,
    (sleeping) => sleeping === 1,
  );
  await admin.cancel(proposal.actionId);
  const outcome = await answer;
  expect(outcome).toMatchObject({ status: 'cancelled', error: { code: 'CANCELLED' } });
  expect(await qty('sku-3')).toBe(10);
  await until(
    async () => (await stack.shop.query("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")).rowCount,
    (sleeping) => sleeping === 0,
  );
});

test('after it ended, the outcome stays what it was', async () => {
  const proposal = set('sku-4', 4);
  expect((await ended(admin, proposal)).status).toBe('success');
  await admin.cancel(proposal.actionId).catch(() => {});
  expect(await ended(admin, proposal)).toMatchObject({ status: 'success' });
  expect(await qty('sku-4')).toBe(4);
});
