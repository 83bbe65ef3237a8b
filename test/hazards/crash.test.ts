/** A worker killed with SIGKILL at each named point around the effect: one effect, a verified outcome, one receipt. */
import { randomUUID } from 'node:crypto';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test, type TestContext } from 'vitest';
import type { FaultPoint } from '../../activities/deps.js';
import { Countersign } from '../../src/client/countersign.js';
import { issueAgent } from '../../src/trust/index.js';
import type { WorkerOptions } from '../../src/worker/worker.js';
import { ended, shopTool, startStack, TENANT, type Stack } from '../support/stack.js';
import { openPayments, type Payments } from '../tools/http-payments.js';
import { paymentsTool, spawnWorker, type WorkerProcess } from '../support/worker-process.js';

let stack: Stack;
let folder: string;
let payments: Payments;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-crash-'));
  payments = await openPayments();
  stack = await startStack({
    schema:
      'CREATE TABLE orders (id serial PRIMARY KEY, item text NOT NULL); CREATE TABLE stock (sku text PRIMARY KEY, qty int NOT NULL)',
    tools: (url) => [shopTool(url), paymentsTool(payments.url)],
    worker: false,
  });
  process.env['WORKER_SERVICE_URL'] = payments.url;
  const permit = `permit (principal in Countersign::Role::"admin_user", action == Countersign::Action::"CALL_API", resource == Countersign::Tool::"payments");`;
  await writeFile(path.join(stack.policies, 'payments.cedar'), `@id("calls-are-permitted")\n${permit}`);
});
afterAll(async () => {
  delete process.env['WORKER_SERVICE_URL'];
  await payments?.stop();
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** As several are under way at once, each takes as long as they do together. */
const TIMEOUT_MS = 180_000;

/** On a task queue of its own: while one test waits until Temporal gives up what died, others go on. */
interface Dying {
  readonly admin: Countersign;
  /** A worker that will kill itself at that point. */
  readonly doomed: (point: FaultPoint) => Promise<WorkerProcess>;
  /** What the body says while another worker has taken its place. */
  readonly survived: (body: () => Promise<void>, config?: WorkerOptions['config']) => Promise<void>;
}

async function dying({ onTestFinished }: TestContext): Promise<Dying> {
  const temporal = { ...stack.temporal, taskQueue: randomUUID() };
  const agent = { id: 'agent-1', tenant: TENANT, roles: ['admin_user'], scopes: ['*'] };
  const admin = await Countersign.connect({ ...temporal, credential: await issueAgent(stack.keyring, agent) });
  onTestFinished(() => admin.close());
  return {
    admin,
    doomed: (point) =>
      spawnWorker({ ...stack, temporal }, stack.policies, `${point}:kill:${path.join(folder, randomUUID())}`),
    async survived(body, config) {
      const survivor = await stack.startWorker({ temporal, ...(config === undefined ? {} : { config }) });
      try {
        await body();
      } finally {
        await survivor.stop();
      }
    },
  };
}

async function receiptsOf(actionId: string): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const receipt of stack.ledger.receipts.list(TENANT))
    if (receipt.actionId === actionId) found.push(receipt.hash);
  return found;
}

const POINTS: readonly FaultPoint[] = [
  'ledger.before-admit',
  'ledger.after-use-grant',
  'execute.before-effect',
  'execute.after-effect',
  'ledger.before-settle',
  'ledger.after-settle',
];

test.concurrent.for(POINTS)('killed at %s', { timeout: TIMEOUT_MS }, async (point, context) => {
  const { admin, doomed, survived } = await dying(context);
  const sku = point;
  await stack.shop.query('INSERT INTO stock VALUES ($1, 10)', [sku]);
  const { died } = await doomed(point);
  const actionId = randomUUID();
  const sql = `UPDATE stock SET qty = qty - 1 WHERE sku = '${sku}'`;
  const answer = ended(admin, { actionId, tool: 'shop-db', input: { op: 'sql', sql } });
  expect(await died).toBe('SIGKILL');

  await survived(async () => {
    const outcome = await answer;
    expect(outcome.status).toBe('success');
    const { rows } = await stack.shop.query<{ qty: number }>('SELECT qty FROM stock WHERE sku = $1', [sku]);
    expect(rows[0]?.qty).toBe(9);
    expect(await receiptsOf(actionId)).toEqual([outcome.receipt?.hash]);
  });
});

// Alone, because its caller waits for a minute at most, and two workers die first.
test(
  'killed between two sends, again and again: what dead workers counted stays counted',
  { timeout: TIMEOUT_MS },
  async (context) => {
    const { admin, doomed, survived } = await dying(context);
    payments.before = ({ method }, _request, response) => {
      if (method !== 'POST') return false;
      response.writeHead(429, { 'retry-after': '1' }).end();
      return true;
    };
    const sends = () => payments.seen.filter(({ method }) => method === 'POST').length;
    const { id } = payments.newOrder();
    const actionId = randomUUID();
    const proposal = { actionId, tool: 'payments', input: { op: 'refund', path: { id }, body: { amount: 5 } } };
    const answer = ended(admin, proposal);
    // The first sends once and dies over the second; the next dies over the third, which is the first that it would have made.
    for (let workers = 0; workers < 2; workers++) {
      expect(await (await doomed('ledger.after-count-send')).died).toBe('SIGKILL');
      expect(sends()).toBe(1);
    }
    await survived(async () => {
      // The look-up says that nothing happened: the service refuses the key from then on.
      expect((await answer).status).toBe('failed');
      // The fourth of four was made, and there is no fifth, also not for who asks again.
      expect(sends()).toBe(2);
      expect((await ended(admin, proposal)).status).toBe('failed');
      expect(sends()).toBe(2);
      expect(payments.journal).toEqual([]);
    });
  },
);

describe.concurrent('killed between the decision on a batch and its actions', { timeout: TIMEOUT_MS }, () => {
  test('each is done once', async (context) => {
    const { admin, doomed, survived } = await dying(context);
    const skus = ['batch-1', 'batch-2', 'batch-3'];
    await stack.shop.query('INSERT INTO stock SELECT unnest($1::text[]), 10', [skus]);
    const proposals = skus.map((sku) => ({
      actionId: sku,
      tool: 'shop-db',
      input: { op: 'sql', sql: `UPDATE stock SET qty = qty - 1 WHERE sku = '${sku}'` },
    }));
    const { died } = await doomed('decideBatch.end');
    const answer = admin.performAll(proposals);
    expect(await died).toBe('SIGKILL');
    for (const actionId of skus) await expect(admin.view(actionId)).rejects.toMatchObject({ code: 'NOT_FOUND' });

    await survived(async () => {
      const { begun, actions } = await answer;
      expect([begun, ...actions.map(({ status }) => status)]).toEqual([true, 'success', 'success', 'success']);
      const { rows } = await stack.shop.query('SELECT DISTINCT qty FROM stock WHERE sku = ANY ($1)', [skus]);
      expect(rows).toEqual([{ qty: 9 }]);
      for (const actionId of skus) expect(await receiptsOf(actionId)).toHaveLength(1);
    });
  });

  test('where one of them is denied by now: none is begun', async (context) => {
    const { admin, doomed, survived } = await dying(context);
    await stack.shop.query("INSERT INTO stock VALUES ('batch-4', 10)");
    const proposals = [
      { actionId: 'batch-4', input: { op: 'sql', sql: "UPDATE stock SET qty = qty - 1 WHERE sku = 'batch-4'" } },
      { actionId: 'batch-5', input: { op: 'insert', table: 'orders', rows: [{ item: 'late' }] } },
    ].map((one) => ({ ...one, tool: 'shop-db' }));
    const { died } = await doomed('decideBatch.end');
    const answer = admin.performAll(proposals);
    expect(await died).toBe('SIGKILL');

    const stricter = path.join(folder, 'stricter');
    await cp(stack.policies, stricter, { recursive: true });
    const forbid = 'forbid (principal, action, resource) when { context.operation == "insert" };';
    await writeFile(path.join(stricter, 'stricter.cedar'), `@id("nothing-is-inserted")\n${forbid}`);
    const noneIsBegun = async (): Promise<void> => {
      const { begun, actions } = await answer;
      expect([begun, actions]).toMatchObject([
        false,
        [
          { status: 'not_begun', decided: { effect: 'allow' } },
          { status: 'not_begun', decided: { effect: 'deny' } },
        ],
      ]);
      for (const { actionId } of proposals) {
        await expect(admin.view(actionId)).rejects.toMatchObject({ code: 'NOT_FOUND' });
        expect(await receiptsOf(actionId)).toEqual([]);
      }
      const { rows } = await stack.shop.query("SELECT qty FROM stock WHERE sku = 'batch-4'");
      expect(rows).toEqual([{ qty: 10 }]);
    };
    await survived(noneIsBegun, { policies: stricter, tools: [shopTool(stack.shopUrl)] });
  });
});
