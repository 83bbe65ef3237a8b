import type { PostgresInput, PostgresOptions } from '../../src/tools/index.js';
import { describeTool, type ToolScenario } from './conformance.js';
import { openShop, type Shop } from './shop.js';

let next = 1_000;

async function newOrder(shop: Shop): Promise<number> {
  const id = next++;
  await shop.sql(`INSERT INTO orders (id, customer_id, total) VALUES ($1, 1, 5)`, [id]);
  return id;
}

const READ = { op: 'select', table: 'orders', where: { status: 'open' } };
const INVALID = { op: 'update', table: 'orders', set: { status: 'x' } };

async function updating(options: Partial<PostgresOptions> = {}): Promise<ToolScenario<PostgresInput>> {
  const shop = await openShop();
  return {
    tool: shop.tool(options),
    read: READ,
    invalid: INVALID,
    write: async () => ({
      op: 'update',
      table: 'orders',
      set: { status: 'sent', total: '7.5' },
      where: { id: await newOrder(shop) },
    }),
    effects: async ({ where }) =>
      (await shop.sql(`SELECT 1 FROM orders WHERE id = $1 AND status = 'sent'`, [(where as { id: number }).id])).length,
    interfere: async ({ where }) => {
      await shop.sql(`UPDATE orders SET note = 'meanwhile' WHERE id = $1`, [(where as { id: number }).id]);
    },
    stop: () => shop.stop(),
  };
}

describeTool('postgres, updating a row', () => updating());
describeTool('postgres, updating a row that is rehearsed', () => updating({ rehearse: 'always' }));

describeTool('postgres, inserting rows', async () => {
  const shop = await openShop();
  return {
    tool: shop.tool(),
    read: { op: 'sql', sql: 'SELECT count(*) FROM orders' },
    invalid: { op: 'insert', table: 'orders', rows: [] },
    write: async () => ({
      op: 'insert',
      table: 'order_items',
      rows: [{ order_id: await newOrder(shop), line: 1, sku: 'a' }],
    }),
    effects: async ({ rows }) =>
      (await shop.sql(`SELECT 1 FROM order_items WHERE order_id = $1`, [(rows as { order_id: number }[])[0]?.order_id]))
        .length,
    stop: () => shop.stop(),
  };
});

describeTool('postgres, deleting a row with raw SQL', async () => {
  const shop = await openShop();
  return {
    tool: shop.tool(),
    read: { op: 'sql', sql: 'SELECT id, total FROM orders ORDER BY total DESC LIMIT 3' },
    invalid: { op: 'sql', sql: '' },
    write: async () => ({ op: 'sql', sql: 'DELETE FROM orders WHERE id = $1', params: [await newOrder(shop)] }),
    effects: async ({ params }) =>
      1 - (await shop.sql(`SELECT 1 FROM orders WHERE id = $1`, [(params as number[])[0]])).length,
    interfere: async ({ params }) => {
      await shop.sql(`UPDATE orders SET total = total + 1 WHERE id = $1`, [(params as number[])[0]]);
    },
    stop: () => shop.stop(),
  };
});
