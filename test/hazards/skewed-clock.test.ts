/**
 * A worker whose clock is wrong refuses nobody for it: what it refused, another worker may take up, and the action would have receipts that
 * contradict each other. The ledger's clock counts.
 */
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import type { Countersign } from '../../src/client/countersign.js';
import { ended, startStack, TENANT, type Stack } from '../support/stack.js';

let stack: Stack;
let agent: Countersign;

beforeAll(async () => {
  stack = await startStack({
    schema: `CREATE TABLE stock (id int PRIMARY KEY, qty int NOT NULL);
      INSERT INTO stock SELECT n, 0 FROM generate_series(1, 50) n`,
  });
  agent = await stack.agent();
});
afterEach(() => void vi.useRealTimers());
afterAll(() => stack?.stop());

/** Of this process, in which the worker runs too; Postgres and Temporal keep the time. */
function clockOffBy(minutes: number): void {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + minutes * 60_000 });
}

async function receiptsOf(actionId: string): Promise<readonly string[]> {
  const own = (await stack.receipts()).filter((claims) => claims.actionId === actionId);
  return own.map(({ tenant, status }) => `${tenant}: ${status}`);
}

let row = 0;
test.each([-10, -60, -24 * 60])('%i minutes off: the agent is told what its one receipt says', async (minutes) => {
  const actionId = `skewed-${++row}`;
  clockOffBy(minutes);
  const input = { op: 'update', table: 'stock', set: { qty: 1 }, where: { id: row } };
  const { status, error, facts } = await ended(agent, { actionId, tool: 'shop-db', input });
  vi.useRealTimers();
  // The grant that such a worker signs has expired by the ledger's clock: nothing is done under it.
  expect({ status, code: error?.code }).toEqual({ status: 'failed', code: 'GRANT_EXPIRED' });
  expect(await receiptsOf(actionId)).toEqual([`${TENANT}: failed`]);
  // Policy decides by the ledger's clock too.
  expect(Math.abs(Date.parse(facts?.now ?? '') - Date.now())).toBeLessThan(120_000);
});

test('a credential that has expired by both clocks is refused in nobody’s name', async () => {
  clockOffBy(-60);
  const expired = await stack.agent({ id: 'expired', ttlSeconds: 60 });
  vi.useRealTimers();
  const actionId = 'expired-1';
  const input = { op: 'update', table: 'stock', set: { qty: 2 }, where: { id: 50 } };
  const outcome = await ended(expired, { actionId, tool: 'shop-db', input });
  expect(outcome).toMatchObject({ status: 'denied', error: { code: 'AGENT_UNVERIFIED' } });
  expect(await receiptsOf(actionId)).toEqual(['_unauthenticated: denied']);
});
