/** The kill switch: a freeze reaches what is approved, what waits and what runs, on every worker. The database judges. */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Countersign } from '../../src/client/countersign.js';
import type { Freeze, FreezeScope } from '../../src/action/freeze.js';
import { delegate, issueAgent } from '../../src/trust/index.js';
import { LedgerFreezeWatch } from '../../src/worker/freeze-watch.js';
import { ended, pending, startStack, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';
import { spawnWorker, type WorkerProcess } from '../support/worker-process.js';

let stack: Stack;
let admin: Countersign;
/** Beside the one of this process. */
let other: WorkerProcess | undefined;

beforeAll(async () => {
  stack = await startStack({
    schema: `
      CREATE TABLE stock (id int PRIMARY KEY, qty int NOT NULL);
      INSERT INTO stock SELECT n, 10 FROM generate_series(1, 300) n;
      CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;
      CREATE TRIGGER wait BEFORE UPDATE ON stock FOR EACH ROW WHEN (NEW.qty = 6) EXECUTE FUNCTION wait();`,
    limits: `
limits:
  under-way: { kind: concurrency, scope: tenant, max: 100 }
`,
    worker: false,
  });
  admin = await stack.agent();
  [other] = await Promise.all([spawnWorker(stack, stack.policies), stack.startWorker()]);
});
afterEach(async () => {
  for (const { id } of await stack.ledger.controls.freezes({ activeOnly: true }))
    await stack.ledger.controls.unfreeze(id, { by: 'test' });
});
afterAll(async () => {
  await other?.kill();
  await stack?.stop();
});

const set = (id: number, qty: number) => ({
  actionId: randomUUID(),
  tool: 'shop-db',
  input: { op: 'update', table: 'stock', set: { qty }, where: { id } },
});

function freeze(scope: FreezeScope, tenant = TENANT): Promise<Freeze> {
  return stack.ledger.controls.freeze({ tenant, scope, reason: 'incident', by: 'nina' });
}

async function sleeping(): Promise<number> {
  const { rowCount } = await stack.shop.query("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
  return rowCount ?? 0;
}

async function unchanged(): Promise<boolean> {
  const { rowCount } = await stack.shop.query('SELECT 1 FROM stock WHERE qty = 6');
  return rowCount === 0;
}

test('effects that run on two workers are stopped within a second, nothing of them happened, and nothing is held', async () => {
  const proposals = Array.from({ length: 8 }, (_, i) => set(i + 1, 6));
  const answers = proposals.map(async (proposal) => {
    const outcome = await ended(admin, proposal);
    return { outcome, at: performance.now() };
  });
  await until(sleeping, (count) => count === 8);
  const handles = proposals.map(({ actionId }) => admin.temporal.workflow.getHandle(`${TENANT}/${actionId}`));
  const running = await Promise.all(handles.map(async (handle) => (await handle.describe()).raw.pendingActivities));
  // So the test means something: each of the two worker processes has some of them.
  expect(new Set(running.flatMap((activities) => activities?.map((one) => one.lastWorkerIdentity))).size).toBe(2);

  const start = performance.now();
  const { id } = await freeze({ kind: 'tool', value: 'shop-db' });
  for (const { outcome, at } of await Promise.all(answers)) {
    expect(outcome).toMatchObject({ status: 'cancelled', error: { code: 'FROZEN' } });
    expect(outcome.reason).toContain(`freeze ${id}`);
    // A second is what is promised, and a minute is what they would take; a busy machine adds to it what it adds to everything.
    expect(at - start).toBeLessThan(20_000);
  }
  expect(await sleeping()).toBe(0);
  expect(await unchanged()).toBe(true);
  expect(await stack.spent('under-way')).toEqual({ used: 0, held: 0 });
});

test('a freeze of something else lets a running effect go on', async () => {
  const proposal = set(20, 6);
  const answer = ended(admin, proposal);
  await until(sleeping, (count) => count === 1);
  await freeze({ kind: 'tool', value: 'other-db' });
  await freeze({ kind: 'all' }, 'globex');
  await freeze({ kind: 'agent', value: 'agent' });
  const stopper = await freeze({ kind: 'target', value: 'STOCK' });
  // The last one is seen together with the others: had they stopped it, they would be named.
  expect((await answer).reason).toContain(`freeze ${stopper.id}`);
});

test('effects that are over at once are not watched: the ledger is asked for long ones alone, and again when it did not answer', async () => {
  let asked = 0;
  let down = true;
  const watch = new LedgerFreezeWatch({
    freezes: async (options) => {
      asked++;
      if (down) throw new Error('the ledger is away');
      return stack.ledger.controls.freezes(options);
    },
  });
  const subject = { tenant: TENANT, agent: 'agent-1', tool: 'shop-db', targets: ['stock'] };
  for (let i = 0; i < 100; i++) watch.begin(subject).end();
  const long = watch.begin(subject);
  const others = watch.begin({ ...subject, tenant: 'globex' });
  expect(asked).toBe(0);
  await until(
    async () => asked,
    (times) => times >= 2,
  );
  const { id } = await freeze({ kind: 'tenant', value: TENANT });
  down = false;
  await until(
    async () => long.signal.aborted,
    (aborted) => aborted,
  );
  expect(long.freeze?.id).toBe(id);
  expect(others.signal.aborted).toBe(false);
  watch.close();
});

test('what people have approved, and what waits for them, is stopped', async () => {
  const dba = await stack.approver('dora', ['dba']);
  const action = await pending(admin, {
    actionId: randomUUID(),
    tool: 'shop-db',
    input: { op: 'update', table: 'stock', set: { qty: 5 }, all: true },
  });
  await freeze({ kind: 'all' }, '*');
  await stack.decide(action, dba);
  expect(await action.outcome()).toMatchObject({ status: 'denied', error: { code: 'FROZEN' } });
});

test('a freeze of an agent stops those to whom it delegated, also while their effects run, and no namesake', async () => {
  const whole = { roles: ['admin_user'], scopes: ['*'] };
  const parent = await issueAgent(stack.keyring, { id: 'parent', tenant: TENANT, ...whole });
  const child = await delegate(parent, { id: 'child', ...whole });
  const grandchild = await stack.agentWith(await delegate(child, { id: 'grandchild', ...whole }));
  const namesake = await stack.agent({ id: 'parent2' });

  const running = ended(grandchild, set(30, 6));
  await until(sleeping, (count) => count === 1);
  await freeze({ kind: 'agent', value: 'parent/child' });
  expect(await running).toMatchObject({ status: 'cancelled', error: { code: 'FROZEN' } });
  expect(await ended(grandchild, set(31, 1))).toMatchObject({ status: 'denied', error: { code: 'FROZEN' } });
  expect((await ended(await stack.agentWith(parent), set(32, 1))).status).toBe('success');

  await freeze({ kind: 'agent', value: 'parent' });
  expect(await ended(await stack.agentWith(parent), set(33, 1))).toMatchObject({ error: { code: 'FROZEN' } });
  expect((await ended(namesake, set(34, 1))).status).toBe('success');
});
