import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import pg from 'pg';
import { digest, type Json } from '../../src/action/json.js';
import type { PostgresInput } from '../../src/tools/index.js';
import type { Tool } from '../../src/tools/tool.js';
import { act, expectCode, failureOf, never } from './conformance.js';
import { openShop, type Shop } from './shop.js';

let shop: Shop;
let tool: Tool<PostgresInput>;

beforeAll(async () => {
  shop = await openShop();
  // As in production, the catalog is cached, and the cache is cleared when a definition changes.
  tool = shop.tool({ catalogMaxAgeMs: 60_000 });
});
afterAll(async () => {
  await shop.stop();
});
beforeEach(async () => {
  await shop.sql(`DROP TABLE IF EXISTS stock, stock2, fresh, lines; CREATE TABLE stock (id int PRIMARY KEY, sku text, qty int DEFAULT 0);
    CREATE INDEX stock_sku ON stock (sku); INSERT INTO stock VALUES (1, 'a', 1), (2, 'b', 2)`);
  await tool.close();
  tool = shop.tool({ catalogMaxAgeMs: 60_000 });
});

const sql = (text: string): object => ({ op: 'sql', sql: text });

describe('changes of definition', () => {
  test.each<[string, string, number, readonly string[]]>([
    [
      'a new table',
      'CREATE TABLE fresh (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a text NOT NULL, b int REFERENCES stock)',
      0,
      ['fresh'],
    ],
    ['a new table that exists', 'CREATE TABLE IF NOT EXISTS stock (id int)', 0, ['stock']],
    ['a new column', `ALTER TABLE stock ADD COLUMN note text DEFAULT 'x' NOT NULL`, 0, ['stock']],
    [
      'several changes',
      `ALTER TABLE stock ALTER qty SET NOT NULL, ALTER qty SET DEFAULT 5, ALTER sku TYPE varchar(10), ADD CONSTRAINT positive CHECK (qty >= 0)`,
      0,
      ['stock'],
    ],
    ['a column less', 'ALTER TABLE stock DROP COLUMN qty', 0, ['stock']],
    ['no default', 'ALTER TABLE stock ALTER qty DROP DEFAULT', 0, ['stock']],
    ['a unique constraint', 'ALTER TABLE stock ADD UNIQUE (sku)', 0, ['stock']],
    ['an index', 'CREATE UNIQUE INDEX by_sku ON stock (lower(sku)) WHERE qty > 0', 0, ['stock']],
    ['an index without a name', 'CREATE INDEX ON stock (qty)', 0, ['stock']],
    ['an index less', 'DROP INDEX stock_sku', 0, ['stock']],
    ['a new name of a column', 'ALTER TABLE stock RENAME COLUMN qty TO quantity', 0, ['stock']],
    ['a new name of a table', 'ALTER TABLE stock RENAME TO stock2', 0, ['stock', 'stock2']],
    ['all rows gone', 'TRUNCATE stock', 2, ['stock']],
    ['the table gone', 'DROP TABLE stock', 2, ['stock']],
    ['a table gone that is not there', 'DROP TABLE IF EXISTS lines', 0, ['lines']],
  ])('%s: previewed, made and verified', async (_, statement, rows, targets) => {
    const performed = await act(tool, sql(statement));
    expect(performed.preview).toMatchObject({ rows, targets, schemaChange: !statement.startsWith('TRUNCATE') });
    expect(performed.checks.map((one) => one.name)).toEqual(['derived', 'frame.tables', 'frame.affectedTables']);
    expect(performed.checks.filter((one) => !one.ok)).toEqual([]);
  });

  test.each([
    ['ALTER TABLE stock RENAME TO people', 'rename stock to people'],
    ['ALTER TABLE stock RENAME COLUMN qty TO quantity', 'rename column qty of stock to quantity'],
    ['CREATE TABLE fresh (id int)', 'create table fresh'],
    ['DROP TABLE stock', 'drop table stock (2 rows)'],
    ['TRUNCATE stock', 'truncate stock (2 rows)'],
    ['CREATE UNIQUE INDEX by_sku ON stock (sku)', 'create unique index by_sku on stock'],
    ['CREATE INDEX ON stock (qty)', 'create index on stock'],
    ['DROP INDEX stock_sku', 'drop index stock_sku'],
    [
      'ALTER TABLE stock ADD COLUMN note text, DROP COLUMN sku, ALTER qty SET DEFAULT 5, ALTER qty TYPE bigint',
      'alter table stock: add column note, drop column sku, set the default of qty, change the type of qty',
    ],
    [
      'ALTER TABLE stock ALTER qty SET NOT NULL, ALTER sku DROP NOT NULL, ADD CONSTRAINT positive CHECK (qty >= 0), ADD UNIQUE (sku)',
      'alter table stock: refuse null in qty, allow null in sku, add constraint positive, add a constraint',
    ],
  ])('%s is told in plain words: %s', async (statement, summary) => {
    expect((await tool.preview(tool.input.parse(sql(statement)), { signal: never() })).summary).toBe(summary);
  });

  test('the snapshot shows columns, constraints and indexes, and digests the other tables', async () => {
    const { pre, post } = await act(tool, sql('ALTER TABLE stock ADD COLUMN note text'));
    const definition = (state: typeof pre) => (state['$schema'] as { stock: { columns: Record<string, Json> } }).stock;
    expect(definition(pre)).toMatchObject({
      columns: {
        id: { type: 'integer', notNull: true },
        sku: { type: 'text', notNull: false },
        qty: { type: 'integer', default: '0' },
      },
      constraints: { stock_pkey: 'PRIMARY KEY (id)' },
      indexes: { stock_sku: 'CREATE INDEX stock_sku ON public.stock USING btree (sku)' },
    });
    expect(Object.keys(definition(post).columns)).toContain('note');
    expect((pre['$schema'] as { $others: string }).$others).toMatch(/^md5:/);
  });

  test('right after a change the tool knows the new columns', async () => {
    await act(tool, { op: 'select', table: 'stock' });
    await act(tool, sql('ALTER TABLE stock ADD COLUMN note text'));
    const performed = await act(tool, { op: 'update', table: 'stock', set: { note: 'seen' }, where: { id: 1 } });
    expect(performed.checks.filter((one) => !one.ok)).toEqual([]);
  });

  test.each([
    'DROP TABLE stock',
    'ALTER TABLE stock RENAME TO stock2',
    'DROP INDEX stock_sku',
    'ALTER TABLE stock DROP COLUMN qty',
  ])(
    '%s, executed again under its key, gives the recorded execution although there is nothing left to do it to',
    async (statement) => {
      const first = await act(tool, sql(statement));
      const context = {
        idempotencyKey: first.key,
        preDigest: digest(first.pre),
        constraints: [],
        rows: first.preview.rows,
        signal: never(),
        heartbeat: () => {},
      };
      // Executed by another worker, which may have cached the table, and by one that never read it.
      expect(await tool.execute(first.input, context)).toEqual(first.execution);
      expect(await shop.tool().execute(first.input, context)).toEqual(first.execution);
      const other = { ...context, idempotencyKey: `${first.key} other` };
      expect(['INVALID_INPUT', 'STATE_CHANGED', 'TOOL_FAILED']).toContain(
        (await failureOf(tool.execute(first.input, other))).code,
      );
    },
  );

  test('changes by others take effect at once, although the catalog is cached', async () => {
    await act(tool, { op: 'select', table: 'stock' });
    await shop.sql('ALTER TABLE stock ADD COLUMN late int');
    const performed = await act(tool, { op: 'update', table: 'stock', set: { late: 1 }, where: { id: 1 } });
    expect(performed.checks.filter((one) => !one.ok)).toEqual([]);
    await shop.sql('ALTER TABLE stock DROP COLUMN late');
    await act(tool, { op: 'select', table: 'stock' });
    const error = await expectCode(
      act(tool, { op: 'update', table: 'stock', set: { late: 1 }, where: { id: 1 } }),
      'INVALID_INPUT',
    );
    expect(error.field).toBe('input.set.late');
  });

  test('rows added since the capture stop a truncate, even when they are committed after it starts', async () => {
    await expectCode(
      act(tool, sql('TRUNCATE stock'), { between: async () => void (await shop.sql(`INSERT INTO stock VALUES (3)`)) }),
      'STATE_CHANGED',
    );
    const holder = new pg.Client({ connectionString: shop.url });
    await holder.connect();
    await holder.query('BEGIN');
    const between = async (): Promise<void> => void (await holder.query('INSERT INTO stock VALUES (4)'));
    const attempt = failureOf(act(tool, sql('TRUNCATE stock'), { between }));
    await shop.blocked();
    await holder.query('COMMIT');
    expect((await attempt).code).toBe('STATE_CHANGED');
    await holder.end();
    expect(await shop.sql('SELECT count(*)::int AS n FROM stock')).toEqual([{ n: 4 }]);
  });

  test('a definition that changed since the capture stops the next change', async () => {
    const between = async (): Promise<void> => void (await shop.sql('ALTER TABLE stock ADD COLUMN other int'));
    await expectCode(act(tool, sql('ALTER TABLE stock DROP COLUMN qty'), { between }), 'STATE_CHANGED');
    expect(await shop.sql('SELECT qty FROM stock WHERE id = 1')).toEqual([{ qty: 1 }]);
  });

  test('a table without a key can be emptied, its rows recorded by number', async () => {
    await shop.sql(`CREATE TABLE lines (a int); INSERT INTO lines VALUES (2), (1)`);
    const performed = await act(tool, sql('TRUNCATE lines'));
    expect(performed.pre['lines']).toEqual({ '1': { a: 1 }, '2': { a: 2 } });
    expect(performed.checks.filter((one) => !one.ok)).toEqual([]);
  });

  test.each([
    ['a table that is not there', 'ALTER TABLE nothing ADD COLUMN a int'],
    ['a table to drop that is not there', 'DROP TABLE nothing'],
    ['an index that is not there', 'DROP INDEX nothing'],
    ['another schema', 'CREATE TABLE pg_catalog.fresh (id int)'],
    ['the record of effects', 'DROP TABLE countersign_effects.effects'],
  ])('%s is refused', async (_, statement) => {
    const error = await expectCode(
      tool.preview(tool.input.parse(sql(statement)), { signal: never() }),
      'INVALID_INPUT',
    );
    expect(error.expected).toBeTruthy();
  });

  test("what the database refuses is rolled back: another table's foreign key keeps the table", async () => {
    await shop.sql('CREATE TABLE lines (id int PRIMARY KEY, stock_id int REFERENCES stock)');
    const error = await expectCode(act(tool, sql('DROP TABLE stock')), 'TOOL_FAILED');
    expect(error.message).toContain('rolled back');
    expect(await shop.sql('SELECT count(*)::int AS n FROM stock')).toEqual([{ n: 2 }]);
  });

  test('an event trigger that writes rows elsewhere is detected: rolled back', async () => {
    await shop.sql(`CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit (what) VALUES ('ddl'); END $$;
      CREATE EVENT TRIGGER on_ddl ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION on_ddl()`);
    try {
      const error = await expectCode(act(tool, sql('ALTER TABLE stock ADD COLUMN note text')), 'CONSTRAINT_VIOLATED');
      expect(error.message).toContain('audit (1)');
    } finally {
      await shop.sql('DROP EVENT TRIGGER on_ddl; DROP FUNCTION on_ddl');
    }
    expect(
      await shop.sql(`SELECT 1 FROM information_schema.columns WHERE table_name = 'stock' AND column_name = 'note'`),
    ).toEqual([]);
  });

  test('an event trigger that changes another table is detected by verification', async () => {
    await shop.sql(`CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NOT EXISTS (SELECT FROM information_schema.columns WHERE table_name = 'audit' AND column_name = 'sneaked') THEN
          ALTER TABLE audit ADD COLUMN sneaked int; END IF; END $$;
      CREATE EVENT TRIGGER on_ddl ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION on_ddl()`);
    try {
      const performed = await act(tool, sql('CREATE INDEX ON stock (qty)'));
      expect(performed.checks.filter((one) => !one.ok)).toEqual([
        { name: 'frame.tables', ok: false, detail: 'a table that is not named changed its definition' },
      ]);
    } finally {
      await shop.sql('DROP EVENT TRIGGER on_ddl; DROP FUNCTION on_ddl');
    }
  });
});

describe('a table with more rows than are recorded', () => {
  test.each([
    ['TRUNCATE big, small', { big: 300, small: 2 }],
    ['DROP TABLE big, small', { big: 300, small: 2 }],
  ])('%s: counted, shown by a sample, and kept by a digest', async (sql) => {
    await shop.sql(`DROP TABLE IF EXISTS big, small;
      CREATE TABLE big (id int PRIMARY KEY, v text); INSERT INTO big SELECT n, 'v' FROM generate_series(1, 300) n;
      CREATE TABLE small (id int PRIMARY KEY); INSERT INTO small VALUES (1), (2)`);
    const narrow = shop.tool({ maxRows: 10 });
    const { preview, pre, post, checks, input } = await act(narrow, { op: 'sql', sql });
    expect(preview).toMatchObject({ rows: 302, targets: ['big', 'small'], sample: { length: 10 } });
    expect(preview.warnings?.join()).toContain('the rows of big are recorded by their count and digest only');
    expect(pre).toMatchObject({
      $rows: { big: { rows: 300, digest: expect.stringMatching(/^md5:[0-9a-f]{32}$/) } },
      small: { 1: { id: 1 }, 2: { id: 2 } },
    });
    expect(post).not.toHaveProperty('$rows');
    expect(checks.filter(({ ok }) => !ok)).toEqual([]);
    expect(narrow.compensate?.(input, pre, post)).toBeUndefined();
  });

  test('is not emptied when a row of it changed since it was looked at', async () => {
    await shop.sql(`DROP TABLE IF EXISTS big; CREATE TABLE big (id int PRIMARY KEY, v text);
      INSERT INTO big SELECT n, 'v' FROM generate_series(1, 300) n`);
    const between = async (): Promise<void> => {
      await shop.sql(`UPDATE big SET v = 'other' WHERE id = 299`);
    };
    await expectCode(act(shop.tool({ maxRows: 10 }), { op: 'sql', sql: 'TRUNCATE big' }, { between }), 'STATE_CHANGED');
    expect(await shop.sql('SELECT count(*)::int AS n FROM big')).toEqual([{ n: 300 }]);
  });
});
