import type { PostgresInput, PostgresOptions } from '../../src/tools/index.js';
import { describeTool, type PuttingOff, type ToolScenario } from './conformance.js';
import { openShop, type Shop } from './shop.js';

let next = 1_000;

async function newOrder(shop: Shop): Promise<number> {
  const id = next++;
  await shop.sql(`INSERT INTO orders (id, customer_id, total) VALUES ($1, 1, 5)`, [id]);
  return id;
}

/** More rows than one page has. */
const CUT = { op: 'select', table: 'customers', limit: 2 };

/** Every change of that row conflicts with another transaction. A sequence forgets nothing when a statement is rolled back. */
async function conflicting(shop: Shop, table: string, column: string, value: unknown): Promise<PuttingOff> {
  const name = `conflict_${next++}`;
  await shop.sql(`CREATE SEQUENCE ${name}`);
  await shop.sql(`CREATE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF (TG_OP = 'DELETE' AND OLD.${column} = ${Number(value)}) OR (TG_OP <> 'DELETE' AND NEW.${column} = ${Number(value)}) THEN
      PERFORM nextval('${name}');
      RAISE EXCEPTION 'another transaction' USING ERRCODE = 'serialization_failure';
    END IF;
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW; END $$`);
  await shop.sql(
    `CREATE TRIGGER ${name} BEFORE INSERT OR UPDATE OR DELETE ON ${table} FOR EACH ROW EXECUTE FUNCTION ${name}()`,
  );
  const times = async () => {
    const [row] = await shop.sql(`SELECT last_value, is_called FROM ${name}`);
    return row?.['is_called'] === true ? Number(row['last_value']) : 0;
  };
  return { times, perSend: 4 };
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
    cut: CUT,
    unmatched: { op: 'update', table: 'orders', set: { status: 'sent' }, where: { id: 999_999 } },
    putOff: ({ where }) => conflicting(shop, 'orders', 'id', (where as { id: number }).id),
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
    cut: CUT,
    putOff: ({ rows }) => conflicting(shop, 'order_items', 'order_id', (rows as { order_id: number }[])[0]?.order_id),
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
    cut: CUT,
    unmatched: { op: 'sql', sql: 'DELETE FROM orders WHERE id = 999999' },
    putOff: ({ params }) => conflicting(shop, 'orders', 'id', (params as number[])[0]),
    stop: () => shop.stop(),
  };
});
