/** Effects that happen in part, on a real database that lies: each row that was not changed as expected is named. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Check } from '../../src/action/outcome.js';
import type { PostgresInput } from '../../src/tools/index.js';
import type { Tool } from '../../src/tools/tool.js';
import { act } from './conformance.js';
import { openShop, type Shop } from './shop.js';

let shop: Shop;
let tool: Tool<PostgresInput>;

beforeAll(async () => {
  shop = await openShop();
  tool = shop.tool();
  await shop.sql(`CREATE FUNCTION partly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.id IN (2, 4) THEN NEW.status := 'open'; END IF; RETURN NEW; END $$`);
  await shop.sql('CREATE TRIGGER partly BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION partly()');
});
afterAll(() => shop.stop());
beforeEach(async () => {
  await shop.sql('TRUNCATE orders CASCADE');
  await shop.sql(`INSERT INTO orders (id, customer_id, status) SELECT i, 1, 'open' FROM generate_series(1, 5) i`);
});

const derived = (checks: readonly Check[]): Check | undefined => checks.find(({ name }) => name === 'derived');
const ALL = { id: { gte: 1 } };
const WRONG = ['2', '4'].map((id) => `orders/${id}.status is "open", expected "closed"`).join('; ');

describe('of five rows, two are not as expected', () => {
  test('after an update that a trigger undid in part', async () => {
    const { checks } = await act(tool, { op: 'update', table: 'orders', set: { status: 'closed' }, where: ALL });
    expect(derived(checks)).toEqual({ name: 'derived', ok: false, detail: `3 of 5 rows are as expected; ${WRONG}` });
  });

  test('after raw SQL', async () => {
    const { checks } = await act(tool, { op: 'sql', sql: `UPDATE orders SET status = 'closed'` });
    expect(derived(checks)?.detail).toBe(`3 of 5 rows are as expected; ${WRONG}`);
  });

  test('after an insert', async () => {
    await shop.sql('TRUNCATE orders CASCADE');
    const rows = [1, 2, 3, 4, 5].map((id) => ({ id, customer_id: 1, status: 'closed' }));
    const { checks } = await act(tool, { op: 'insert', table: 'orders', rows });
    expect(derived(checks)?.detail).toBe(`3 of 5 rows are as expected; ${WRONG}`);
  });

  test('after a restore', async () => {
    const rows = [1, 2, 3, 4, 5].map((id) => ({ id, customer_id: 1, status: 'closed' }));
    const { checks } = await act(tool, { op: 'restore', table: 'orders', rows });
    expect(derived(checks)?.detail).toMatch(
      /^3 of 5 rows are as expected; orders: expected the row .*"id":"2".*; orders: .*"id":"4"/,
    );
  });

  test('after a delete, when somebody restored rows before they were read', async () => {
    const { input, preview, pre, execution } = await act(tool, { op: 'delete', table: 'orders', where: ALL });
    await shop.sql(`INSERT INTO orders (id, customer_id) VALUES (2, 1), (4, 1)`);
    const { signal } = new AbortController();
    const post = await tool.capture(input, { after: { pre, execution } }, { signal });
    const delta = { patch: [], operations: 0, latencyMs: 0 };
    expect(derived(tool.verify({ input, preview, pre, post, delta, execution }))?.detail).toBe(
      '3 of 5 rows are as expected; orders/2 is there, expected to be gone; orders/4 is there, expected to be gone',
    );
  });
});

test('of hundreds, five are named and the rest counted', async () => {
  await shop.sql(`INSERT INTO orders (id, customer_id, status) SELECT i, 1, 'open' FROM generate_series(6, 500) i`);
  const { input, preview, pre, execution } = await act(tool, {
    op: 'update',
    table: 'orders',
    set: { status: 'closed' },
    where: ALL,
  });
  const delta = { patch: [], operations: 0, latencyMs: 0 };
  const { detail = '' } = derived(tool.verify({ input, preview, pre, post: pre, delta, execution })) ?? {};
  expect(detail).toMatch(/^0 of 500 rows are as expected; orders\/1\.status .*; and 495 more$/);
  expect(detail.length).toBeLessThan(500);
});
