import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { digest } from '../../src/action/json.js';
import type { Preview } from '../../src/action/decision.js';
import type { PostgresInput } from '../../src/tools/index.js';
import type { Tool } from '../../src/tools/tool.js';
import { act, expectCode, never } from './conformance.js';
import { openShop, type Shop } from './shop.js';

let shop: Shop;
let tool: Tool<PostgresInput>;

beforeAll(async () => {
  shop = await openShop();
  await shop.sql(`
    CREATE SCHEMA other;
    CREATE TABLE other.private (id int PRIMARY KEY, v text);
    INSERT INTO other.private VALUES (1, 'secret');
    CREATE FUNCTION nuke() RETURNS int LANGUAGE sql VOLATILE AS $$ DELETE FROM audit; SELECT 1 $$;
    CREATE FUNCTION liar() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
    CREATE FUNCTION other.far() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
    CREATE FUNCTION full_name(customers) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1.name';
    CREATE FUNCTION lower(int) RETURNS int LANGUAGE sql AS 'SELECT nuke()';
    CREATE FUNCTION op(text, text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM nuke(); RETURN true; END';
    CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = op);
    CREATE FUNCTION checked(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM nuke(); RETURN true; END';
    CREATE DOMAIN trap AS text CHECK (checked(VALUE));
    CREATE DOMAIN trap_above AS trap;
    CREATE TYPE trap_row AS (a trap);
    CREATE DOMAIN fine AS text CHECK (length(VALUE) < 100);
    CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE VIEW big_orders AS SELECT id, total FROM orders WHERE total > 100;
    CREATE VIEW secrets AS SELECT v FROM other.private;
    CREATE VIEW evil AS SELECT id, nuke() AS n FROM orders;
    CREATE VIEW evil_above AS SELECT id FROM evil;
    CREATE VIEW clocked AS SELECT id, now() AS seen FROM orders;
    CREATE MATERIALIZED VIEW totals AS SELECT sum(total) AS sum FROM orders;
    CREATE SEQUENCE counter;
    CREATE TABLE nokey (a int, b text);
    CREATE TABLE "Mixed Case" (id int PRIMARY KEY, "Quote "" d" text);
    CREATE TYPE money_box AS (amount int);
    CREATE TABLE boxes (id int PRIMARY KEY, box money_box);
    CREATE FUNCTION to_money_box(int) RETURNS money_box LANGUAGE sql AS 'SELECT ROW(nuke())::money_box';
    CREATE CAST (int AS money_box) WITH FUNCTION to_money_box(int);
  `);
  tool = shop.tool({ catalogMaxAgeMs: 60_000 });
});
afterAll(async () => {
  await shop.stop();
});

async function preview(sql: string, params: unknown[] = [], on = tool): Promise<Preview> {
  return await on.preview(on.input.parse({ op: 'sql', sql, params }), { signal: never() });
}

describe('functions that could do more than compute', () => {
  test.each([
    ['a function of the database', 'SELECT nuke()'],
    ['one that says it is stable: that is only a promise', 'SELECT liar()'],
    ['one in a condition of a write', 'DELETE FROM orders WHERE id = nuke()'],
    ['one in the value of a write', 'UPDATE orders SET total = nuke()'],
    ['one in a default', 'ALTER TABLE orders ALTER total SET DEFAULT nuke()'],
    ['one called as a column', 'SELECT c.full_name FROM customers c'],
    ['one called as a column of a value', `SELECT ('1'::text).pg_sleep`],
    ['one that overloads a harmless one', 'SELECT lower(1)'],
    ['one of another schema', 'SELECT other.far()'],
    ['reading files', `SELECT pg_read_file('/etc/passwd')`],
    ['listing files', `SELECT * FROM pg_ls_dir('/')`],
    ['large objects', `SELECT lo_import('/etc/passwd')`],
    ['sleeping', 'SELECT pg_sleep(100)'],
    ['ending other sessions', 'SELECT pg_terminate_backend(pid) FROM (VALUES (1)) v (pid)'],
    ['cancelling', 'SELECT pg_cancel_backend(1)'],
    ['advisory locks', 'SELECT pg_advisory_lock(1)'],
    ['sequences', `SELECT nextval('counter')`],
    ['sequences in a write', `INSERT INTO audit (what) VALUES (nextval('counter')::text)`],
    ['settings', `SELECT set_config('search_path', 'other', true)`],
    ['reading settings', `SELECT current_setting('data_directory')`],
    ['running text as a query', `SELECT query_to_xml('DELETE FROM orders', true, true, '')`],
    ['dumping a table by name', `SELECT table_to_xml('other.private', true, true, '')`],
    ['the definition of functions', `SELECT pg_get_functiondef('nuke'::regproc)`],
    ['notifying', `SELECT pg_notify('x', 'y')`],
    ['reloading the server', 'SELECT pg_reload_conf()'],
    ['chance in a condition', 'DELETE FROM orders WHERE random() < 0.5'],
    ['chance in a read', 'SELECT gen_random_uuid()'],
    ['chance in a subquery of a value', 'UPDATE orders SET total = (SELECT random())'],
    ['an operator of the database', `SELECT 'a' === 'b'`],
    ['the same, qualified', `SELECT 'a' OPERATOR(public.===) 'b'`],
    ['an operator for sorting', `SELECT 'a'::text ORDER BY 1 USING ===`],
    ['a type that checks by a function', `SELECT 'x'::trap`],
    ['the same, as a call', `SELECT trap('x')`],
    ['a type that is cast by a function', 'SELECT 5::money_box'],
    ['the same, as a call', 'SELECT money_box(5)'],
    ['an array of such a type, by its other name', `SELECT '{5}'::int[]::_money_box`],
    ['a row with such a value', 'SELECT ROW(1, 5)::boxes'],
    ['an array of a type that checks, by its other name', `SELECT '{x}'::_trap`],
    ['a type over a type that checks', `SELECT 'x'::trap_above`],
    ['a row with a type that checks', `SELECT json_populate_record(NULL::trap_row, '{"a": "x"}')`],
    ['a table of such a type', 'UPDATE boxes SET id = id'],
    ['a view that calls one', 'SELECT * FROM evil'],
    ['a view over such a view', 'SELECT * FROM evil_above'],
    ['a function that nobody knows', 'SELECT no_such_function()'],
    ['system catalogs behind a function', `SELECT pg_stat_get_activity(NULL)`],
  ])('%s is refused', async (_, sql) => {
    const error = await expectCode(preview(sql), 'STATEMENT_REFUSED');
    expect(error.fix).toBeTruthy();
  });

  test('the functions of the server that only compute are allowed', async () => {
    const sql = `SELECT upper(name), length(name), coalesce(email, 'x') || '!', now() - interval '1 day' < now(), round(avg(1.5), 1),
      to_char(1.5, '9.9'), date_trunc('day', timestamp '2024-01-01'), extract(year FROM date '2024-01-01'), jsonb_build_object('a', 1) -> 'a',
      string_agg(name, ',' ORDER BY name), count(*) OVER (), row_number() OVER (ORDER BY name), 'good'::mood, 'x'::fine, name LIKE 'C%',
      substring(name FROM 1 FOR 2), position('u' IN name), trim(name), '{1,2}'::int[] @> ARRAY[1], id::text, md5(name), greatest(1, 2)
      FROM customers GROUP BY id, name, email`;
    expect(await preview(sql)).toMatchObject({ rows: 5, reads: ['customers'], targets: [] });
    expect(await preview('SELECT * FROM generate_series(1, 3) g, unnest(ARRAY[1, 2]) u')).toMatchObject({
      rows: 6,
      reads: [],
    });
  });

  test('a new value may differ at each evaluation, because it is set once', async () => {
    const performed = await act(tool, {
      op: 'sql',
      sql: `INSERT INTO audit (what) VALUES (gen_random_uuid()::text), (now()::text), (random()::text)`,
    });
    expect(performed.preview).toMatchObject({
      rows: 3,
      sample: [{ what: '(gen_random_uuid())::text' }, { what: '(now())::text' }, {}],
    });
    expect(performed.checks.filter((one) => !one.ok)).toEqual([]);
  });

  test('a function that the operator declares free of effects is allowed, by name or with its schema', async () => {
    const trusted = shop.tool({ readOnlyFunctions: ['liar', 'other.far', 'public.full_name'] });
    expect(await preview('SELECT liar(), other.far(), c.full_name FROM customers c', [], trusted)).toMatchObject({
      rows: 5,
    });
  });

  test('a function that writes although it was declared free of effects is stopped by the read-only transaction', async () => {
    const fooled = shop.tool({ readOnlyFunctions: ['nuke'] });
    await shop.sql(`INSERT INTO audit (what) VALUES ('still here')`);
    await expectCode(preview('SELECT nuke()', [], fooled), 'STATEMENT_REFUSED');
    await expectCode(
      act(fooled, { op: 'sql', sql: 'UPDATE orders SET total = 1 WHERE id = 1 AND nuke() = 1' }),
      'STATEMENT_REFUSED',
    );
    expect(await shop.sql(`SELECT 1 FROM audit WHERE what = 'still here'`)).toHaveLength(1);
  });
});

describe('tables', () => {
  test.each([
    ['another schema', 'SELECT * FROM other.private'],
    ['another schema in a subquery of a write', 'DELETE FROM orders WHERE id IN (SELECT id FROM other.private)'],
    ['a system catalog', 'SELECT * FROM pg_catalog.pg_authid'],
    ['a system catalog without its schema', 'SELECT * FROM pg_class'],
    ['the information schema', 'SELECT * FROM information_schema.tables'],
    ['the record of effects', 'DELETE FROM countersign_effects.effects'],
    ['a table that does not exist', 'SELECT * FROM nothing'],
    ['a view as target', 'DELETE FROM big_orders'],
    ['a column that does not exist', 'UPDATE orders SET nothing = 1'],
    ['a column that does not exist, read', 'SELECT nothing FROM orders'],
    ['a value that does not fit', `SELECT 'x'::int`],
  ])('%s is refused with a fix', async (_, sql) => {
    const error = await expectCode(preview(sql), 'INVALID_INPUT');
    expect(error.field).toMatch(/^input/);
    expect(error.expected).toBeTruthy();
    expect(error.fix).toBeTruthy();
  });

  test.each([
    ['a sequence', 'SELECT * FROM counter'],
    ['a composite type', 'SELECT * FROM money_box'],
  ])('%s is not a table', async (_, sql) => {
    const error = await expectCode(preview(sql), 'STATEMENT_REFUSED');
    expect(error.message).toContain('is not a plain table or view');
  });

  test('the refusal of an unknown table names the tables that the tool covers', async () => {
    const narrow = shop.tool({ tables: ['orders', 'customers', 'ghosts'] });
    const error = await expectCode(preview('SELECT * FROM ghosts', [], narrow), 'INVALID_INPUT');
    expect(error.expected).toBe('one of customers, orders');
    const outside = await expectCode(preview('SELECT * FROM audit', [], narrow), 'INVALID_INPUT');
    expect(outside.expected).toBe('one of customers, ghosts, orders');
  });

  test('a covered table of another schema has its qualified name', async () => {
    const wide = shop.tool({ tables: ['orders', 'other.private'] });
    const sql = 'UPDATE other.private SET v = $1 WHERE id = 1 AND EXISTS (SELECT FROM orders)';
    const performed = await act(wide, { op: 'sql', sql, params: ['new'] });
    expect(performed.preview).toMatchObject({ targets: ['other.private'], reads: ['orders'] });
    expect(Object.keys(performed.pre)).toEqual(['other.private']);
    expect(performed.checks.filter((one) => !one.ok)).toEqual([]);
    await act(wide, { op: 'update', table: 'other.private', set: { v: 'secret' }, where: { id: 1 } });
  });

  test('views are read together with the tables behind them, even those that the tool does not cover', async () => {
    expect(await preview('SELECT * FROM big_orders')).toMatchObject({ rows: 10, reads: ['big_orders', 'orders'] });
    expect(await preview('SELECT * FROM secrets')).toMatchObject({ rows: 1, reads: ['other.private', 'secrets'] });
    expect(await preview('SELECT * FROM totals')).toMatchObject({ rows: 1, reads: ['totals'] });
    const structured = await tool.preview(tool.input.parse({ op: 'select', table: 'big_orders' }), { signal: never() });
    expect(structured).toMatchObject({ rows: 10, reads: ['big_orders', 'orders'] });
    await expectCode(
      tool.preview(tool.input.parse({ op: 'select', table: 'evil' }), { signal: never() }),
      'STATEMENT_REFUSED',
    );
  });

  test('names in capitals and with quotes work, and cannot break out', async () => {
    const table = 'Mixed Case';
    const inserted = await act(tool, {
      op: 'insert',
      table,
      rows: [{ id: 1, 'Quote " d': `'; DROP TABLE orders; --` }],
    });
    expect(inserted.preview.targets).toEqual(['mixed case']);
    expect(inserted.checks.filter((one) => !one.ok)).toEqual([]);
    const updated = await act(tool, { op: 'sql', sql: `UPDATE "Mixed Case" x SET "Quote "" d" = 'b' WHERE x.id = 1` });
    expect(updated.checks.filter((one) => !one.ok)).toEqual([]);
    for (const hostile of ['orders; DROP TABLE orders', 'orders"; --', 'orders\n', '"orders"']) {
      await expectCode(
        tool.preview(tool.input.parse({ op: 'select', table: hostile }), { signal: never() }),
        'INVALID_INPUT',
      );
    }
    expect(await shop.sql('SELECT count(*)::int AS n FROM orders')).toEqual([{ n: 20 }]);
  });
});

describe('what raw SQL would change', () => {
  test.each([
    [`UPDATE orders SET status = 'x' WHERE total > 150`, 5],
    [`UPDATE orders o SET status = c.tier FROM customers c WHERE c.id = o.customer_id AND c.id = 1`, 4],
    [
      `DELETE FROM orders USING customers c, LATERAL (SELECT c.id AS k) l WHERE l.k = orders.customer_id AND c.name = 'Customer 2'`,
      4,
    ],
    [
      `WITH rich AS (SELECT customer_id FROM orders GROUP BY 1 HAVING sum(total) > 490) DELETE FROM orders WHERE customer_id IN (SELECT customer_id FROM rich)`,
      4,
    ],
    [`DELETE FROM orders WHERE (customer_id, status) IN (SELECT 1, 'open' UNION SELECT 2, 'paid')`, 4],
    [`UPDATE orders SET (status, note) = (SELECT name, 'n' FROM customers WHERE id = 1) WHERE id BETWEEN 3 AND 5`, 3],
    [`DELETE FROM orders WHERE note IS NOT DISTINCT FROM NULL AND id % 2 = 1`, 10],
    [`UPDATE orders SET total = total * 2 WHERE placed_at < now() - interval '1 day'`, 20],
    [`INSERT INTO audit (what) SELECT name FROM customers`, 5],
    [`WITH c AS (SELECT * FROM customers) INSERT INTO audit (what) SELECT name FROM c WHERE id > 2`, 3],
    [`INSERT INTO audit (what) VALUES ('a'), ('b')`, 2],
    [`INSERT INTO orders DEFAULT VALUES`, 1],
    [`INSERT INTO audit (what) VALUES ('a'), ('b'), ('c') ORDER BY 1 LIMIT 2`, 2],
    [`INSERT INTO orders (status, note) VALUES ('a', DEFAULT), ('b', upper('x'))`, 2],
    [`DELETE FROM orders WHERE false`, 0],
  ])('%s: exactly the rows of the preview', async (sql, rows) => {
    const input = { op: 'sql', sql };
    const shown = await preview(sql);
    expect(shown.rows).toBe(rows);
    expect(digest(await preview(sql))).toBe(digest(shown));
    const performed = await act(tool, input);
    expect(performed.execution.result).toMatchObject({ rowCount: rows });
    expect(performed.checks.filter((one) => !one.ok)).toEqual([]);
    // Restores everything for the next case.
    const undo = tool.compensate?.(performed.input, performed.pre, performed.post);
    if (undo !== undefined) await act(tool, undo);
    expect(await shop.sql('SELECT count(*)::int AS n, sum(total)::text AS s FROM orders')).toEqual([
      { n: 20, s: '2100.00' },
    ]);
  });

  test('an update whose join matches a row twice is refused, because the resulting value is arbitrary', async () => {
    await shop.sql(`CREATE TABLE offers (order_id int, price int); INSERT INTO offers VALUES (1, 5), (1, 6), (2, 7)`);
    const sql = 'UPDATE orders SET total = price FROM offers WHERE offers.order_id = orders.id';
    await expectCode(preview(sql), 'STATEMENT_REFUSED');
    expect(await preview(`${sql} AND price <> 6`)).toMatchObject({ rows: 2, reads: ['offers'], targets: ['orders'] });
    await expectCode(
      act(
        tool,
        { op: 'sql', sql: 'DELETE FROM orders USING offers WHERE offers.order_id = orders.id AND false' },
        { rows: 1 },
      ),
      'CONSTRAINT_VIOLATED',
    );
  });

  test('parameters are values and never part of the text', async () => {
    const sql = 'SELECT $1::text AS a, $2::int + 1 AS b, $3::jsonb AS c, $4::int[] AS d, $5::text AS e';
    const performed = await act(tool, {
      op: 'sql',
      sql,
      params: [`'; DROP TABLE orders; --`, 41, { x: [1] }, [1, 2], null],
    });
    expect(performed.execution.result).toEqual({
      rowCount: 1,
      rows: [{ a: `'; DROP TABLE orders; --`, b: 42, c: { x: [1] }, d: [1, 2], e: null }],
    });
  });

  test.each([
    ['too few', 'SELECT $1::int, $2::int', [1]],
    ['too many', 'SELECT $1::int', [1, 2]],
    ['a gap', 'SELECT $2::int', [1, 2]],
    ['none', 'SELECT $1::int', []],
  ])('parameters that do not fit (%s) are refused', async (_, sql, params) => {
    const error = await expectCode(preview(sql, params), 'INVALID_INPUT');
    expect(error.field).toBe('input.params');
  });

  test('parameters in a part that is previewed separately keep their values', async () => {
    const sql =
      'UPDATE orders SET note = $2, status = $1 FROM customers c WHERE c.id = customer_id AND c.name = $4 AND orders.id < $3';
    const performed = await act(tool, { op: 'sql', sql, params: ['s', 'n', 10, 'Customer 1'] });
    expect(performed.preview.rows).toBe(1);
    expect(performed.execution.result).toMatchObject({ assigned: [{ note: 'n', status: 's' }] });
    expect(performed.checks.filter((one) => !one.ok)).toEqual([]);
    await act(tool, tool.compensate?.(performed.input, performed.pre, performed.post));
  });

  test('what the statement returns comes back beside the keys', async () => {
    const performed = await act(tool, {
      op: 'sql',
      sql: `INSERT INTO audit (what) VALUES ('r') RETURNING what, id + 0 AS id -- done`,
    });
    const [row] = (performed.execution.result as { rows: { id: string }[] }).rows;
    expect(performed.execution.created).toEqual({ audit: [row?.id] });
    expect(row).toMatchObject({ what: 'r' });
  });

  test('a read that depends on the clock has no sample, so that its preview is the same each time', async () => {
    for (const sql of ['SELECT now(), id FROM orders', 'SELECT * FROM clocked']) {
      const shown = await preview(sql);
      expect(shown).toMatchObject({ rows: 20, sample: [] });
      expect(digest(await preview(sql))).toBe(digest(shown));
    }
    const inserted = `INSERT INTO audit (what) SELECT name || now() FROM customers`;
    expect(digest(await preview(inserted))).toBe(digest(await preview(inserted)));
  });

  test('columns of the same name are numbered', async () => {
    expect((await preview('SELECT 1 AS a, 2 AS a, 3')).sample).toEqual([{ a: 1, 'a (2)': 2, '?column?': 3 }]);
  });

  test('at most ten shortened rows are shown, in the order of the key', async () => {
    await shop.sql(
      `CREATE TABLE long (id int PRIMARY KEY, t text); INSERT INTO long SELECT i, repeat('x', 5000) FROM generate_series(1, 30) i`,
    );
    const { sample, rows } = await preview(`DELETE FROM long WHERE id > 5`);
    expect(rows).toBe(25);
    expect(sample.map((row) => row['id'])).toEqual([6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    expect(sample[0]?.['t']).toBe(`${'x'.repeat(200)}… (5000 characters)`);
  });
});

describe('a statement that the server would refuse is refused by the preview', () => {
  test.each([
    ['a value of another type', `UPDATE orders SET total = 'much' WHERE id = 1`],
    ['an expression of another type', 'UPDATE orders SET total = status WHERE id = 1'],
    ['an unknown column in an expression', 'UPDATE orders SET total = nothing + 1 WHERE id = 1'],
    ['too many values', 'INSERT INTO audit (what) VALUES (1, 2)'],
    ['too many columns of a query', 'INSERT INTO audit (what) SELECT id, name FROM customers'],
    ['an unknown column to return', 'DELETE FROM orders WHERE id = 1 RETURNING nothing'],
    ['a value that is always generated', 'INSERT INTO audit (id, what) VALUES (1, 2)'],
  ])('%s', async (_, sql) => {
    const error = await expectCode(preview(sql), 'INVALID_INPUT');
    expect(error.field).toBe('input');
    // The failure leaves nothing on the connection, so the same statement gives the same error again.
    expect((await expectCode(preview(sql), 'INVALID_INPUT')).message).toBe(error.message);
  });

  test('rows of an insert from a query are shown under the names of their columns', async () => {
    expect(await preview('INSERT INTO audit (what) SELECT name FROM customers WHERE id = 1')).toMatchObject({
      rows: 1,
      sample: [{ what: 'Customer 1' }],
      targets: ['audit'],
      reads: ['customers'],
    });
  });
});

describe('large numbers of rows', () => {
  test('a delete of a million rows is counted for policy and refused for capture, quickly', async () => {
    await shop.sql(
      `CREATE TABLE many (id int PRIMARY KEY); INSERT INTO many SELECT generate_series(1, 1000000); ANALYZE many`,
    );
    const input = tool.input.parse({ op: 'delete', table: 'many', all: true });
    expect(await tool.preview(input, { signal: never() })).toMatchObject({
      rows: 1_000_000,
      summary: 'delete 1000000 rows from many',
    });
    const started = performance.now();
    const error = await expectCode(tool.capture(input, {}, { signal: never() }), 'TOO_MANY_ROWS');
    expect(performance.now() - started).toBeLessThan(5_000);
    expect(error.message).toContain('more than 10000 rows of many');
    await shop.sql('INSERT INTO many VALUES (1000001)');
    await expectCode(tool.preview(input, { signal: never() }), 'TOO_MANY_ROWS');
    await expectCode(preview('SELECT * FROM many'), 'TOO_MANY_ROWS');
    expect(await preview('SELECT * FROM many LIMIT 10000')).toMatchObject({ rows: 10_000 });
    const truncate = tool.input.parse({ op: 'sql', sql: 'TRUNCATE many' });
    expect(await tool.capture(truncate, {}, { signal: never() })).toMatchObject({
      $rows: { many: { rows: 1_000_001 } },
    });
  });

  test('a read beyond the ceiling that policy set returns nothing', async () => {
    const constraints = [{ name: 'maxRows', value: 3, policy: 'few' }];
    await expectCode(act(tool, { op: 'select', table: 'orders' }, { constraints }), 'CONSTRAINT_VIOLATED');
    const few = await act(tool, { op: 'select', table: 'orders', limit: 3 }, { constraints });
    expect(few.execution.result).toMatchObject({ rowCount: 3 });
  });
});
