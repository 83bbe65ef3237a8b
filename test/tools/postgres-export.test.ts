import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { digest } from '../../src/action/json.js';
import type { ExportOptions, PostgresInput, PostgresOptions } from '../../src/tools/index.js';
import type { Tool } from '../../src/tools/tool.js';
import { startProxy } from '../ledger/proxy.js';
import { act, expectCode, never, type PerformedAction } from './conformance.js';
import { openShop, type Shop } from './shop.js';

let shop: Shop;

beforeAll(async () => {
  shop = await openShop();
});
afterAll(async () => {
  await shop.sql('DROP OWNED BY archivist; DROP ROLE archivist');
  await shop.stop();
});
beforeEach(async () => {
  await shop.sql(`DROP TABLE IF EXISTS big, wide, small; DROP SCHEMA IF EXISTS kept CASCADE; CREATE SCHEMA kept;
    CREATE TABLE big (id int PRIMARY KEY, v text, twice int GENERATED ALWAYS AS (id * 2) STORED);
    INSERT INTO big (id, v) SELECT n, 'v' || n FROM generate_series(1, 300) n;
    CREATE TABLE wide (a int, b jsonb); INSERT INTO wide SELECT n % 7, '{"x": 1}' FROM generate_series(1, 50) n;
    CREATE TABLE small (id int PRIMARY KEY); INSERT INTO small VALUES (1), (2)`);
});

function exporting(options: Partial<PostgresOptions> = {}): Tool<PostgresInput> {
  return shop.tool({ maxRows: 10, exports: { schema: 'kept' }, ...options });
}

const sql = (text: string): object => ({ op: 'sql', sql: text });

async function copies(): Promise<readonly string[]> {
  const found = await shop.sql(
    `SELECT relname FROM pg_class WHERE relnamespace = 'kept'::regnamespace AND relkind = 'r'`,
  );
  return found.map(({ relname }) => String(relname)).sort();
}

function failed({ checks }: Pick<PerformedAction<PostgresInput>, 'checks'>): unknown {
  return checks.filter(({ ok }) => !ok);
}

async function rowsOf(table: string): Promise<unknown> {
  return (await shop.sql(`SELECT count(*)::int AS n FROM ${table}`))[0]?.['n'];
}

describe('rows that are removed and too many to be recorded one by one', () => {
  test.each(['TRUNCATE big, wide, small', 'DROP TABLE big, wide, small'])(
    '%s: are in the copies that the result names, and the check says so',
    async (statement) => {
      const performed = await act(exporting(), sql(statement));
      expect(performed.preview.warnings).toEqual([
        'the rows of big are copied into the schema kept before they are removed',
        'the rows of wide are copied into the schema kept before they are removed',
      ]);
      const [big, wide] = await copies();
      expect(big).toMatch(/^big_[0-9a-f]{16}$/);
      expect(performed.execution).toMatchObject({
        result: {
          exports: [
            { table: 'big', to: `kept.${big}`, rows: 300 },
            { table: 'wide', to: `kept.${wide}`, rows: 50 },
          ],
        },
      });
      expect(failed(performed)).toEqual([]);
      expect(performed.checks.find(({ name }) => name === 'export')?.detail).toBe(
        `300 rows of big are in kept.${big}; 50 rows of wide are in kept.${wide}`,
      );
      expect(await shop.sql(`SELECT * FROM kept.${big} WHERE id > 298 ORDER BY id`)).toEqual([
        { id: 299, v: 'v299', twice: 598 },
        { id: 300, v: 'v300', twice: 600 },
      ]);
      expect(await copies()).toHaveLength(2);
      expect(await shop.sql(`SELECT obj_description('kept.${big}'::regclass) AS told`)).toEqual([
        { told: `The rows of big, which ${performed.key} removed.` },
      ]);
    },
  );

  test('200,000 of them are copied and compared', async () => {
    await shop.sql(`INSERT INTO big (id, v) SELECT n, repeat('v', 50) FROM generate_series(301, 200000) n`);
    const all = `SELECT count(*)::int AS n, md5(string_agg(t::text, ',' ORDER BY id)) AS content`;
    const before = await shop.sql(`${all} FROM big t`);
    const performed = await act(exporting({ maxRows: 10_000 }), sql('TRUNCATE big'));
    expect(performed.preview).toMatchObject({ rows: 200_000, sample: { length: 10 } });
    expect(failed(performed)).toEqual([]);
    const [copy] = await copies();
    expect(await shop.sql(`${all} FROM kept.${copy} t`)).toEqual(before);
    expect(await rowsOf('big')).toBe(0);
  });

  test('a partitioned table is copied with its partitions', async () => {
    await shop.sql(`DROP TABLE big; CREATE TABLE big (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
      CREATE TABLE big_1 PARTITION OF big FOR VALUES FROM (0) TO (20); CREATE TABLE big_2 PARTITION OF big FOR VALUES FROM (20) TO (90);
      INSERT INTO big SELECT n, 'v' FROM generate_series(1, 60) n`);
    const performed = await act(exporting(), sql('TRUNCATE big'));
    expect(failed(performed)).toEqual([]);
    expect(await rowsOf(`kept.${(await copies())[0]}`)).toBe(60);
  });

  test('what is recorded row by row needs no copy', async () => {
    const performed = await act(exporting(), sql('TRUNCATE small'));
    expect(performed.checks.map(({ name }) => name)).not.toContain('export');
    expect(performed.execution.result).toEqual({ done: 'truncate' });
    expect(await copies()).toEqual([]);
  });

  test('a copy that is gone or changed when it is read back is no success', async () => {
    const tool = exporting();
    const { input, pre, preview, execution } = await act(tool, sql('TRUNCATE big'));
    const [copy] = await copies();
    const again = async () => {
      const post = await tool.capture(input, { after: { pre, execution }, preview }, { signal: never() });
      const delta = { patch: [], operations: 0, latencyMs: 0 };
      return failed({ checks: tool.verify({ input, preview, pre, post, delta, execution }) });
    };
    await shop.sql(`UPDATE kept.${copy} SET v = 'other' WHERE id = 7`);
    const changed = `the copy of big, kept.${copy}, does not hold its 300 rows`;
    expect(await again()).toEqual([{ name: 'export', ok: false, detail: changed }]);
    await shop.sql(`DROP TABLE kept.${copy}`);
    expect(await again()).toEqual([{ name: 'export', ok: false, detail: 'there is no copy of big' }]);
  });
});

describe('without a copy nothing is removed', () => {
  test.each<[string, string, string]>([
    ['the schema is gone', 'DROP SCHEMA kept', 'CREATE SCHEMA kept'],
    [
      'a trigger takes a row out of each new table',
      `CREATE FUNCTION robs() RETURNS event_trigger LANGUAGE plpgsql AS $$ DECLARE made regclass; BEGIN
         SELECT objid INTO made FROM pg_event_trigger_ddl_commands() WHERE object_type = 'table';
         EXECUTE format('DELETE FROM %s WHERE id = 17', made); END $$;
       CREATE EVENT TRIGGER robs ON ddl_command_end WHEN TAG IN ('CREATE TABLE AS') EXECUTE FUNCTION robs()`,
      'DROP EVENT TRIGGER robs; DROP FUNCTION robs',
    ],
    [
      'a trigger writes elsewhere when a table is made',
      `CREATE FUNCTION notes() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit (what) VALUES ('made'); END $$;
       CREATE EVENT TRIGGER notes ON ddl_command_end WHEN TAG IN ('CREATE TABLE AS') EXECUTE FUNCTION notes()`,
      'DROP EVENT TRIGGER notes; DROP FUNCTION notes',
    ],
    [
      'row-level security hides rows by now',
      `ALTER TABLE big ENABLE ROW LEVEL SECURITY; CREATE POLICY seen ON big USING (id < 250); 
       ALTER TABLE big FORCE ROW LEVEL SECURITY`,
      'ALTER TABLE big DISABLE ROW LEVEL SECURITY',
    ],
  ])('%s', async (_, hinder, undo) => {
    const archivist = await asArchivist();
    const attempt = act(archivist, sql('TRUNCATE big, small'), { between: async () => void (await shop.sql(hinder)) });
    const error = await attempt.then(
      () => undefined,
      (reason: unknown) => reason as { code: string },
    );
    await shop.sql(undo);
    expect(['CONSTRAINT_VIOLATED', 'TOOL_FAILED', 'INVALID_INPUT']).toContain(error?.code);
    expect([await rowsOf('big'), await rowsOf('small')]).toEqual([300, 2]);
    expect(await copies()).toEqual([]);
  });

  test.each<[string, Partial<PostgresOptions>, string, string]>([
    ['too many rows', { exports: { schema: 'kept', maxRows: 299 } }, '', 'TOO_MANY_ROWS'],
    [
      'rows that the tool does not see',
      {},
      'ALTER TABLE big ENABLE ROW LEVEL SECURITY; ALTER TABLE big FORCE ROW LEVEL SECURITY; CREATE POLICY seen ON big USING (id < 250)',
      'STATEMENT_REFUSED',
    ],
  ])('%s: refused before people are asked', async (_, options, prepare, code) => {
    const archivist = await asArchivist(options);
    if (prepare !== '') await shop.sql(prepare);
    const preview = await archivist.preview(archivist.input.parse(sql('TRUNCATE big')), { signal: never() });
    expect(preview.refusal).toMatchObject({ code, fix: expect.stringContaining('operator') });
  });

  test('a schema that is missing or closed is told at the start and before people are asked, with the SQL that opens it', async () => {
    const archivist = await asArchivist({ exports: { schema: 'vault' } });
    const expected = { code: 'TOOL_FAILED', field: 'exports.schema' };
    await expect(archivist.check?.({ signal: never() })).rejects.toMatchObject(expected);
    const error = await expectCode(
      archivist.preview(archivist.input.parse(sql('TRUNCATE big')), { signal: never() }),
      'TOOL_FAILED',
    );
    await shop.sql(error.fix?.replace('Have an administrator run: ', '').replace('<role>', 'archivist') ?? '');
    await archivist.check?.({ signal: never() });
    await shop.sql('DROP SCHEMA vault');
  });

  test('whether there will be a copy is decided on: a tool that would make none by now removes nothing', async () => {
    const [withCopy, without] = [exporting(), shop.tool({ maxRows: 10 })];
    const input = withCopy.input.parse(sql('TRUNCATE big'));
    const preview = await withCopy.preview(input, { signal: never() });
    const pre = await withCopy.capture(input, { preview }, { signal: never() });
    const context = { idempotencyKey: randomUUID(), preDigest: digest(pre), constraints: [], rows: preview.rows };
    const execution = without.execute(input, { ...context, signal: never(), heartbeat: () => {} });
    await expectCode(execution, 'STATE_CHANGED');
    expect(await rowsOf('big')).toBe(300);
  });
});

describe('one action makes one copy', () => {
  test.each(['TRUNCATE big', 'DROP TABLE big'])(
    '%s, whose reply was lost, and again under its key',
    async (statement) => {
      const proxy = await startProxy(shop.url);
      const tool = exporting({ url: proxy.url, catalogMaxAgeMs: 60_000 });
      await tool.check?.({ signal: never() });
      const first = await act(tool, sql(statement), { between: async () => proxy.loseReplyTo('COMMIT') });
      expect(proxy.cuts).toBe(1);
      expect(failed(first)).toEqual([]);
      const context = { idempotencyKey: first.key, preDigest: digest(first.pre), constraints: [], rows: 300 };
      const second = await exporting().execute(first.input, { ...context, signal: never(), heartbeat: () => {} });
      expect(second).toEqual(first.execution);
      expect(await copies()).toHaveLength(1);
      await tool.close();
      await proxy.close();
    },
  );

  test('two attempts at once', async () => {
    const tool = exporting();
    await tool.check?.({ signal: never() });
    const input = tool.input.parse(sql('TRUNCATE big'));
    const preview = await tool.preview(input, { signal: never() });
    const pre = await tool.capture(input, { preview }, { signal: never() });
    const context = { idempotencyKey: randomUUID(), preDigest: digest(pre), constraints: [], rows: preview.rows };
    const attempt = () => tool.execute(input, { ...context, signal: never(), heartbeat: () => {} });
    const [one, other] = await Promise.all([attempt(), attempt()]);
    expect(one).toEqual(other);
    expect(await copies()).toHaveLength(1);
  });
});

test.each<[string, ExportOptions, Partial<PostgresOptions>]>([
  ['exports.schema', { schema: 'ke pt' }, {}],
  ['exports.schema', { schema: 'public' }, {}],
  ['exports.schema', { schema: 'kept' }, { tables: ['big', 'kept.big_1'] }],
  ['exports.maxRows', { schema: 'kept', maxRows: 0 }, {}],
  ['exports.maxRows', { schema: 'kept', maxRows: 1_000_001 }, {}],
])('a setting that cannot be is refused: %s of %o', (field, exports, more) => {
  expect(() => exporting({ exports, ...more })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID', field }));
});

/** A tool with a role that owns the tables and is no superuser, so that row-level security may apply to it. */
async function asArchivist(options: Partial<PostgresOptions> = {}): Promise<Tool<PostgresInput>> {
  await shop.sql(`DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'archivist') THEN
      CREATE ROLE archivist LOGIN PASSWORD 'archivist-secret'; END IF; END $$;
    ALTER TABLE big OWNER TO archivist; ALTER TABLE small OWNER TO archivist; GRANT USAGE, CREATE ON SCHEMA kept TO archivist;
    GRANT USAGE, CREATE ON SCHEMA public TO archivist; GRANT INSERT, SELECT ON audit TO archivist`);
  const effects = exporting();
  await effects.check?.({ signal: never() });
  await shop.sql(
    `GRANT USAGE ON SCHEMA countersign_effects TO archivist; GRANT SELECT, INSERT ON countersign_effects.effects TO archivist`,
  );
  const url = new URL(shop.url);
  url.username = 'archivist';
  url.password = 'archivist-secret';
  return exporting({ url: url.href, ...options });
}
