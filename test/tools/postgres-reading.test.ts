/** How an agent finds out what there is, and how much of it it was given. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PostgresInput } from '../../src/tools/index.js';
import type { Tool } from '../../src/tools/tool.js';
import { act, expectCode, failureOf, never } from './conformance.js';
import { openShop, type Shop } from './shop.js';

let shop: Shop;
let tool: Tool<PostgresInput>;

beforeAll(async () => {
  shop = await openShop();
  await shop.sql(`
    COMMENT ON TABLE orders IS 'What customers bought';
    COMMENT ON COLUMN orders.note IS 'For the packer';
    CREATE SCHEMA hr; CREATE TABLE hr.salaries (id int PRIMARY KEY, customer_id int REFERENCES customers);
    ANALYZE customers`);
  tool = shop.tool();
});
afterAll(() => shop?.stop());

async function resultOf(
  raw: object,
  of = tool,
): Promise<{ rows: Record<string, unknown>[]; [field: string]: unknown }> {
  return (await act(of, raw)).execution.result as never;
}

describe('the operation describe', () => {
  test('tells tables, columns, keys, comments and estimates', async () => {
    const { rows } = await resultOf({ op: 'describe' });
    expect(rows.map(({ table }) => table)).toEqual(['audit', 'customers', 'order_items', 'orders']);
    expect(rows[1]).toMatchObject({ kind: 'table', estimatedRows: 5, key: ['id'], foreignKeys: null, comment: null });
    expect(rows[2]).toMatchObject({
      key: ['order_id', 'line'],
      foreignKeys: [{ columns: ['order_id'], references: 'orders' }],
    });
    expect(rows[3]).toMatchObject({ comment: 'What customers bought', estimatedRows: null });
    expect((rows[3] as { columns: unknown[] }).columns).toEqual([
      expect.objectContaining({ name: 'id', type: 'bigint', nullable: false, generated: false }),
      expect.objectContaining({ name: 'customer_id', type: 'integer', nullable: true }),
      expect.objectContaining({ name: 'status', type: 'text', default: `'open'::text` }),
      expect.objectContaining({ name: 'total', type: 'numeric(12,2)' }),
      expect.objectContaining({ name: 'note', type: 'character varying(20)', comment: 'For the packer' }),
      expect.objectContaining({ name: 'placed_at', type: 'timestamp with time zone' }),
    ]);
  });

  test('names no table that the tool does not cover, by foreign keys neither', async () => {
    const narrow = shop.tool({ tables: ['order_items', 'hr.salaries'] });
    const { rows } = await resultOf({ op: 'describe' }, narrow);
    expect(rows.map(({ table }) => table)).toEqual(['hr.salaries', 'order_items']);
    expect(JSON.stringify(rows)).not.toMatch(/"(customers|orders)"/);
    const customers = narrow.input.parse({ op: 'describe', tables: ['customers'] });
    await expectCode(narrow.preview(customers, { signal: never() }), 'INVALID_INPUT');
  });

  test('is a read of the tables that are asked for', async () => {
    const input = tool.input.parse({ op: 'describe', tables: ['orders'] });
    expect(tool.actionType(input)).toBe('READ');
    expect(tool.operation(input)).toBe('describe');
    expect((await resultOf({ op: 'describe', tables: ['orders'] })).rows).toHaveLength(1);
  });
});

describe('$or and $not', () => {
  const ids = async (where: object): Promise<number[]> =>
    (await resultOf({ op: 'select', table: 'orders', columns: ['id'], where })).rows.map(({ id }) => Number(id));

  test.each<[string, object, number[]]>([
    ['one of several', { $or: [{ id: 1 }, { id: { in: [3, 5] } }] }, [1, 3, 5]],
    ['beside other conditions', { status: 'open', $or: [{ id: { lt: 3 } }, { id: { gt: 19 } }] }, [2, 20]],
    [
      'conjunctions within',
      {
        $or: [
          { id: 4, status: 'paid' },
          { id: 4, status: 'open' },
        ],
      },
      [4],
    ],
    ['not', { id: { lte: 3 }, $not: { status: 'open' } }, [1, 3]],
    ['not one of several', { id: { lte: 4 }, $not: { $or: [{ id: 1 }, { id: 2 }] } }, [3, 4]],
    ['not not', { id: { lte: 2 }, $not: { $not: { id: 2 } } }, [2]],
    ['a null is neither', { id: { lte: 3 }, $not: { note: 'x' } }, []],
  ])('%s', async (_, where, expected) => {
    expect(await ids(where)).toEqual(expected);
  });

  test.each([
    { $or: [] },
    { $or: [{}] },
    { $or: [{ id: 1 }, {}] },
    { $not: {} },
    { $not: { $or: [{ $not: {} }] } },
    { $or: { id: 1 } },
  ])('%j could mean every row, or is malformed: the schema refuses it', (where) => {
    expect(tool.input.safeParse({ op: 'delete', table: 'orders', where }).success).toBe(false);
  });

  test('a column that there is not is named', async () => {
    const input = tool.input.parse({ op: 'select', table: 'orders', where: { $or: [{ nope: 1 }] } });
    const error = await expectCode(tool.preview(input, { signal: never() }), 'INVALID_INPUT');
    expect(error.field).toContain('nope');
  });
});

describe('a select that does not return all there is', () => {
  test.each([
    [undefined, 20, undefined],
    [20, 20, undefined],
    [19, 19, true],
    [1, 1, true],
  ])('with limit %s returns %i rows and says truncated: %s', async (limit, rowCount, truncated) => {
    const result = await resultOf({ op: 'select', table: 'orders', ...(limit === undefined ? {} : { limit }) });
    expect(result.rows).toHaveLength(rowCount);
    expect(result['truncated']).toBe(truncated);
    const rest = { limit, more: expect.stringContaining('after the last one') as string };
    expect(result).toMatchObject({ rowCount, ...(truncated === undefined ? {} : rest) });
  });
});

describe('an explanation', () => {
  test.each([
    ['of a select', 'EXPLAIN SELECT * FROM orders WHERE id = 1', /orders/],
    ['of a write, which is not made', 'EXPLAIN (COSTS off) DELETE FROM customers', /Delete on customers/],
    ['as JSON', `EXPLAIN (FORMAT json) UPDATE orders SET status = 'void'`, /ModifyTable/],
  ])('%s is a read', async (_name, sql, plan) => {
    const before = await shop.sql('SELECT count(*) FROM customers');
    const { rows } = await resultOf({ op: 'sql', sql });
    expect(JSON.stringify(rows)).toMatch(plan);
    const preview = await tool.preview(tool.input.parse({ op: 'sql', sql }), { signal: never() });
    expect(preview).toMatchObject({
      targets: [],
      sample: [],
      summary: expect.stringContaining('explain how') as string,
    });
    expect(await shop.sql('SELECT count(*) FROM customers')).toEqual(before);
  });

  test.each([
    ['of a function that is not known', `EXPLAIN SELECT pg_sleep(1)`, 'STATEMENT_REFUSED'],
    ['of a table that the tool does not cover', 'EXPLAIN SELECT * FROM hr.salaries', 'INVALID_INPUT'],
    ['of a write to such a table', 'EXPLAIN DELETE FROM hr.salaries', 'INVALID_INPUT'],
  ] as const)('%s is refused', async (_name, sql, code) => {
    const refused = await failureOf(tool.preview(tool.input.parse({ op: 'sql', sql }), { signal: never() }));
    expect(refused.code).toBe(code);
  });
});

describe('functions of extensions', () => {
  const SIMILAR = `SELECT name FROM customers WHERE similarity(name, 'Customer 3') > 0.9`;
  beforeAll(async () => {
    await shop.sql(`CREATE EXTENSION pg_trgm; CREATE EXTENSION citext; CREATE SCHEMA tools;
      CREATE EXTENSION fuzzystrmatch SCHEMA tools; CREATE EXTENSION hstore SCHEMA tools;
      CREATE FUNCTION tools.hstore(int) RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN DELETE FROM public.audit; RETURN 1; END'`);
  });
  const trusting = (...trustedExtensions: string[]) => shop.tool({ trustedExtensions });

  test.each([
    ['that is immutable', SIMILAR, [{ name: 'Customer 3' }]],
    ['that is stable', 'SELECT show_limit() AS n', [{ n: 0.3 }]],
    ['of another schema', `SELECT tools.levenshtein('abc', 'abd') AS n`, [{ n: 1 }]],
    ['behind an operator', `SELECT count(*)::int AS n FROM customers WHERE name % 'Customer 3'`, [{ n: 5 }]],
  ])('one %s is read by a tool that trusts its extension', async (_name, sql, rows) => {
    expect((await resultOf({ op: 'sql', sql }, trusting('pg_trgm', 'fuzzystrmatch'))).rows).toEqual(rows);
  });

  test.each([
    ['an extension that is not trusted', SIMILAR, ['citext']],
    ['no extension that is trusted', SIMILAR, []],
    ['a function that its extension declares volatile', 'SELECT set_limit(0.5)', ['pg_trgm']],
    ['a name that somebody else has overloaded', `SELECT tools.hstore('a', 'b')`, ['hstore']],
    ['a function of another schema without its name', `SELECT levenshtein('a', 'b')`, ['fuzzystrmatch']],
  ])('%s stays refused', async (_name, sql, extensions) => {
    const input = tool.input.parse({ op: 'sql', sql });
    const refused = await failureOf(trusting(...extensions).preview(input, { signal: never() }));
    expect(refused.code).toBe('STATEMENT_REFUSED');
  });

  test.each(['tablefunc', 'xml2'])('%s, whose functions run queries, is not trusted', (extension) => {
    expect(() => trusting('pg_trgm', extension)).toThrow(extension);
  });

  test("the server's version is read without any", async () => {
    expect((await resultOf({ op: 'sql', sql: 'SELECT version() AS v' })).rows[0]?.['v']).toMatch(/^PostgreSQL/);
  });
});
