/** A worker killed with SIGKILL at each named point around the effect: one effect, a verified outcome, one receipt. */
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { FaultPoint } from '../../activities/deps.js';
import type { CountersignError } from '../../src/action/errors.js';
import type { Outcome } from '../../src/action/outcome.js';
import type { BatchAnswer } from '../../src/client/batch.js';
import type { Countersign, ProposalInput } from '../../src/client/countersign.js';
import { ended, shopTool, startStack, TENANT, type Stack } from '../support/stack.js';
import { openPayments, type Payments } from '../tools/http-payments.js';
import { paymentsTool, spawnWorker } from '../support/worker-process.js';

let stack: Stack;
let payments: Payments;
let admin: Countersign;

beforeAll(async () => {
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
  admin = await stack.agent();
});
afterAll(async () => {
  delete process.env['WORKER_SERVICE_URL'];
  await payments?.stop();
  await stack?.stop();
});

const POINTS = [
  'ledger.before-admit',
  'ledger.after-use-grant',
  'execute.before-effect',
  'execute.after-effect',
  'ledger.before-settle',
  'ledger.after-settle',
] as const satisfies readonly FaultPoint[];
const SENDS = 'ledger.after-count-send';
const BATCH = 'decideBatch.end';

interface Asked {
  readonly actionId: string;
  readonly answer: Promise<Outcome>;
}

const asked = new Map<string, Asked>();
let refund: ProposalInput & { readonly actionId: string };
let refunded: Promise<Outcome>;
/** How often the service was called when each of the first two workers had died. */
const sends: number[] = [];
/** What there was of the batch, of each row and of each action's receipts when the first worker had died. */
let atFirstDeath: object;
let batch: Promise<BatchAnswer>;
let lateBatch: Promise<BatchAnswer>;

const skus = ['batch-1', 'batch-2', 'batch-3'];
const takeOne = (sku: string) => ({
  actionId: sku,
  tool: 'shop-db',
  input: { op: 'sql', sql: `UPDATE stock SET qty = qty - 1 WHERE sku = '${sku}'` },
});
const LATE = [
  takeOne('batch-4'),
  { actionId: 'batch-5', tool: 'shop-db', input: { op: 'insert', table: 'orders', rows: [{ item: 'late' }] } },
];

/** Its caller waits longer than workers take that die one after another. */
async function outcomeOf(proposal: ProposalInput): Promise<Outcome> {
  const answer = await admin.perform(proposal, { timeoutMs: 240_000 });
  if (answer.status === 'pending') throw new Error(`pending: ${answer.reason}`);
  return answer;
}

const seenSends = (): number => payments.seen.filter(({ method }) => method === 'POST').length;

/** One process is killed in the middle of seven things, each at another point; of the next two, which take its place, each in the middle of what comes then. */
beforeAll(async () => {
  await stack.shop.query('INSERT INTO stock SELECT unnest($1::text[]), 10', [[...POINTS, ...skus, 'batch-4']]);
  payments.before = ({ method }, _request, response) => {
    if (method !== 'POST') return false;
    response.writeHead(429, { 'retry-after': '1' }).end();
    return true;
  };
  refund = {
    actionId: randomUUID(),
    tool: 'payments',
    input: { op: 'refund', path: { id: payments.newOrder().id }, body: { amount: 5 } },
  };

  const first = await spawnWorker(stack, stack.policies, undefined, { stopsAt: [BATCH, ...POINTS] });
  batch = admin.performAll(skus.map(takeOne), { timeoutMs: 240_000 });
  await first.stopsAt(BATCH);
  // In the order in which an action comes to the points: each is the first at its own.
  for (const point of POINTS) {
    const actionId = randomUUID();
    asked.set(point, { actionId, answer: outcomeOf({ ...takeOne(point), actionId }) });
    await first.stopsAt(point);
  }
  await first.kill();
  const begun = await Promise.all(
    skus.map((actionId) =>
      admin.view(actionId).then(
        () => 'begun',
        ({ code }: CountersignError) => code,
      ),
    ),
  );
  const receipts = await Promise.all(POINTS.map((point) => receiptsOf(asked.get(point)?.actionId ?? '')));
  atFirstDeath = { begun, qty: await Promise.all(POINTS.map(qtyOf)), receipts: receipts.map(({ length }) => length) };

  // Another one takes its place, and dies too when it has sent once, over the second.
  const second = await spawnWorker(stack, stack.policies, undefined, { stopsAt: [] });
  await Promise.all([batch, ...[...asked.values()].map(({ answer }) => answer)]);
  await second.stopAlsoAt(SENDS);
  refunded = outcomeOf(refund);
  await second.stopsAt(SENDS);
  await second.kill();
  sends.push(seenSends());

  // The next dies over the third, which is the first that it would have made.
  const third = await spawnWorker(stack, stack.policies, undefined, { stopsAt: [SENDS, BATCH] });
  lateBatch = admin.performAll(LATE, { timeoutMs: 240_000 });
  await Promise.all([third.stopsAt(SENDS), third.stopsAt(BATCH)]);
  await third.kill();
  sends.push(seenSends());

  // The last has a stricter policy.
  const forbid = 'forbid (principal, action, resource) when { context.operation == "insert" };';
  await writeFile(path.join(stack.policies, 'stricter.cedar'), `@id("nothing-is-inserted")\n${forbid}`);
  await stack.startWorker();
}, 300_000);

async function receiptsOf(actionId: string): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const receipt of stack.ledger.receipts.list(TENANT))
    if (receipt.actionId === actionId) found.push(receipt.hash);
  return found;
}

async function qtyOf(sku: string): Promise<number | undefined> {
  const { rows } = await stack.shop.query<{ qty: number }>('SELECT qty FROM stock WHERE sku = $1', [sku]);
  return rows[0]?.qty;
}

test('each died where it was to, of which nothing more was done', () => {
  expect(atFirstDeath).toEqual({
    begun: skus.map(() => 'NOT_FOUND'),
    qty: [10, 10, 10, 9, 9, 9],
    receipts: [0, 0, 0, 0, 0, 1],
  });
});

test.for(POINTS)('killed at %s', async (point) => {
  const { actionId, answer } = asked.get(point) as Asked;
  const outcome = await answer;
  expect(outcome.status).toBe('success');
  expect(await qtyOf(point)).toBe(9);
  expect(await receiptsOf(actionId)).toEqual([outcome.receipt?.hash]);
});

test('killed between two sends, again and again: what dead workers counted stays counted', async () => {
  expect(sends).toEqual([1, 1]);
  // The look-up says that nothing happened: the service refuses the key from then on.
  expect((await refunded).status).toBe('failed');
  // The fourth of four was made, and there is no fifth, also not for who asks again.
  expect(seenSends()).toBe(2);
  expect((await ended(admin, refund)).status).toBe('failed');
  expect(seenSends()).toBe(2);
  expect(payments.journal).toEqual([]);
});

test('killed between the decision on a batch and its actions: each is done once', async () => {
  const { begun, actions } = await batch;
  expect([begun, ...actions.map(({ status }) => status)]).toEqual([true, 'success', 'success', 'success']);
  const { rows } = await stack.shop.query('SELECT DISTINCT qty FROM stock WHERE sku = ANY ($1)', [skus]);
  expect(rows).toEqual([{ qty: 9 }]);
  for (const actionId of skus) expect(await receiptsOf(actionId)).toHaveLength(1);
});

test('killed there, where one of the batch is denied by now: none is begun', async () => {
  const { begun, actions } = await lateBatch;
  expect([begun, actions]).toMatchObject([
    false,
    [
      { status: 'not_begun', decided: { effect: 'allow' } },
      { status: 'not_begun', decided: { effect: 'deny' } },
    ],
  ]);
  for (const { actionId } of LATE) {
    await expect(admin.view(actionId)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await receiptsOf(actionId)).toEqual([]);
  }
  expect(await qtyOf('batch-4')).toBe(10);
});
