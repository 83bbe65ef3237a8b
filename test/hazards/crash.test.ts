/** A worker killed with SIGKILL at each named point around the effect: one effect, a verified outcome, one receipt. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { FaultPoint } from '../../activities/deps.js';
import type { Countersign } from '../../src/client/countersign.js';
import { ended, startStack, STARTER, TENANT, type Stack } from '../support/stack.js';
import { spawnWorker } from '../support/worker-process.js';

let stack: Stack;
let admin: Countersign;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-crash-'));
  stack = await startStack({
    schema:
      'CREATE TABLE orders (id serial PRIMARY KEY, item text NOT NULL); CREATE TABLE stock (sku text PRIMARY KEY, qty int NOT NULL)',
    worker: false,
  });
  admin = await stack.agent();
});
afterAll(async () => {
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
