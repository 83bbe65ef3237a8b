/** A worker killed with SIGKILL at each named point around the effect: one effect, a verified outcome, one receipt. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { FaultPoint } from '../../activities/deps.js';
import type { Countersign } from '../../src/client/countersign.js';
import { ended, startStack, STARTER, TENANT, type Stack } from '../support/stack.js';
import { openPayments, type Payments } from '../tools/http-payments.js';
import { spawnWorker } from '../support/worker-process.js';

let stack: Stack;
let admin: Countersign;
let folder: string;
let payments: Payments;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-crash-'));
  stack = await startStack({
    schema:
      'CREATE TABLE orders (id serial PRIMARY KEY, item text NOT NULL); CREATE TABLE stock (sku text PRIMARY KEY, qty int NOT NULL)',
    worker: false,
  });
  admin = await stack.agent();
  payments = await openPayments();
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

const POINTS: readonly FaultPoint[] = [
  'ledger.before-admit',
  'ledger.after-use-grant',
  'execute.before-effect',
  'execute.after-effect',
  'ledger.before-settle',
  'ledger.after-settle',
];

test.each(POINTS)('killed at %s', async (point) => {
  const sku = point;
  await stack.shop.query('INSERT INTO stock VALUES ($1, 10)', [sku]);
  const doomed = await spawnWorker(stack, STARTER, `${point}:kill:${path.join(folder, point)}`);
  const proposal = {
    actionId: randomUUID(),
    tool: 'shop-db',
    input: { op: 'sql', sql: `UPDATE stock SET qty = qty - 1 WHERE sku = '${sku}'` },
  };
  const answer = ended(admin, proposal);
  expect(await doomed.died).toBe('SIGKILL');

  const survivor = await spawnWorker(stack, STARTER);
  try {
    const outcome = await answer;
    expect(outcome.status).toBe('success');
    const { rows } = await stack.shop.query<{ qty: number }>('SELECT qty FROM stock WHERE sku = $1', [sku]);
    expect(rows[0]?.qty).toBe(9);
    const receipts = [];
    for await (const receipt of stack.ledger.receipts.list(TENANT))
      if (receipt.actionId === proposal.actionId) receipts.push(receipt);
    expect(receipts).toHaveLength(1);
    expect(receipts[0]?.hash).toBe(outcome.receipt?.hash);
  } finally {
    await survivor.kill();
  }
});

test('killed between two sends, again and again: what dead workers counted stays counted', async () => {
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
  for (const worker of ['first', 'second']) {
    const doomed = await spawnWorker(
      stack,
      stack.policies,
      `ledger.after-count-send:kill:${path.join(folder, worker)}`,
    );
    expect(await doomed.died).toBe('SIGKILL');
    expect(sends()).toBe(1);
  }
  const survivor = await spawnWorker(stack, stack.policies);
  try {
    // The look-up says that nothing happened: the service refuses the key from then on.
    expect((await answer).status).toBe('failed');
    // The fourth of four was made, and there is no fifth, also not for who asks again.
    expect(sends()).toBe(2);
    expect((await ended(admin, proposal)).status).toBe('failed');
    expect(sends()).toBe(2);
    expect(payments.journal).toEqual([]);
  } finally {
    await survivor.kill();
  }
});
