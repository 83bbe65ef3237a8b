/** What somebody with a login in the watched database tries, so that the radar does not see what they write. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { RadarAlert } from '../../src/action/radar.js';
import { idempotencyKey } from '../../src/action/idempotency-key.js';
import type { Observed } from '../../src/radar/source.js';
import { PostgresDatabase } from '../../src/tools/postgres/connection.js';
import { transactionsOf, type Decoded } from '../../src/tools/postgres/radar/decode.js';
import { peek } from '../../src/tools/postgres/radar/slot.js';
import { admission, newTenant, useOf } from '../ledger/support.js';
import { ROOT } from '../support/root.js';
import { until } from '../support/until.js';
import { radarWorld, type RadarWorld, type WatchedDatabase } from './world.js';

let world: RadarWorld;
let database: WatchedDatabase;

beforeAll(async () => {
  world = await radarWorld();
  database = await world.database();
});
afterAll(async () => {
  await world?.stop();
});

const alertsOf = async (source: string): Promise<readonly RadarAlert[]> =>
  (await world.ledger.ledger.radarAlerts.list({ source })).toReversed();
const sql = (text: string) => database.pool.query(text);

async function slotOf(source: string): Promise<string> {
  const { rows } = await world.ledger.pool.query<{ slot: string }>(
    `SELECT memory ->> 'slot' AS slot FROM countersign.radar_sources WHERE source = $1`,
    [source],
  );
  return rows[0]?.slot ?? '';
}

/** Until what was defined when it began is known: a change is seen against that. */
async function known(source: string): Promise<void> {
  await until(
    () =>
      world.ledger.pool.query('SELECT FROM countersign.radar_sources WHERE source = $1 AND catalog IS NOT NULL', [
        source,
      ]),
    ({ rowCount }) => rowCount === 1,
  );
}

async function loginOf(role: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: await database.as(role) });
  await client.connect();
  return client;
}

test('many messages beside every transaction do not stop it', async () => {
  await sql('CREATE TABLE flooded (id int PRIMARY KEY)');
  const tool = database.tool({ name: 'flooded', tables: ['flooded'] });
  await world.watched(database, tool);
  const nobody = await loginOf('flooder');
  try {
    await nobody.query(`SELECT count(pg_logical_emit_message(false, 'x', i::text)) FROM generate_series(1, 50000) i`);
  } finally {
    await nobody.end();
  }
  await sql('INSERT INTO flooded VALUES (1)');
  await world.judged('flooded', database);
  expect((await alertsOf('flooded')).map(({ reason }) => reason)).toEqual(['no_effect']);
});

test('whoever takes the log away from its slot is told of', async () => {
  await sql('CREATE TABLE swallowed (id int PRIMARY KEY)');
  const tool = database.tool({ name: 'swallowed', tables: ['swallowed'] });
  const { radar } = await world.watched(database, tool);
  await world.judged('swallowed', database);
  await radar.close();
  await sql('INSERT INTO swallowed VALUES (1)');
  const slot = await slotOf('swallowed');
  await until(
    () =>
      sql(
        `SELECT count(*)::int AS n FROM pg_logical_slot_get_binary_changes('${slot}', NULL, NULL, 'proto_version', '1', 'publication_names', '${slot}')`,
      ),
    ({ rows }) => rows[0].n > 0,
  );
  await database.watch(tool);
  await world.judged('swallowed', database);
  expect((await alertsOf('swallowed')).map(({ kind }) => kind)).toEqual(['gap']);
});

test('the name of a table is a name, whatever is in it', async () => {
  const own = await world.database();
  await own.pool.query('CREATE SCHEMA odd');
  const attacker = new pg.Client({ connectionString: await own.as('namer') });
  await own.pool.query('GRANT ALL ON SCHEMA odd TO namer');
  await attacker.connect();
  const name = `a$step$||chr(34);END IF;ALTER ROLE namer SUPERUSER;END--`;
  try {
    await attacker.query(`CREATE TABLE odd.${pg.escapeIdentifier(name)} (id int PRIMARY KEY)`);
    await attacker.query(`CREATE TABLE odd."$make$" (id int PRIMARY KEY)`);
    const tool = own.tool({ name: 'named', schema: 'odd' });
    await world.watched(own, tool);
    await attacker.query(`INSERT INTO odd.${pg.escapeIdentifier(name)} VALUES (1)`);
    await world.judged('named', own);
    const { rows } = await own.pool.query(`SELECT rolsuper FROM pg_roles WHERE rolname = 'namer'`);
    expect(rows).toEqual([{ rolsuper: false }]);
    expect((await alertsOf('named')).map(({ writers }) => writers)).toEqual([[{ user: 'namer', application: '' }]]);
  } finally {
    await attacker.end();
  }
});

test('a function that is named like one of the server is not called by the radar', async () => {
  const own = await world.database();
  await own.pool.query(`CREATE TABLE shadowed (id int PRIMARY KEY); GRANT CREATE ON SCHEMA public TO public`);
  const attacker = new pg.Client({ connectionString: await own.as('shadow') });
  await attacker.connect();
  try {
    const tool = own.tool({ name: 'shadowed', tables: ['shadowed'] });
    await attacker.query(`CREATE TABLE trace (who text); GRANT INSERT ON trace TO PUBLIC;
      CREATE FUNCTION to_jsonb(pg_catalog.pg_replication_slots) RETURNS jsonb LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO public.trace VALUES (current_user); RETURN '{}'; END $$;
      CREATE FUNCTION format(text, name, name) RETURNS text LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO public.trace VALUES (current_user); RETURN pg_catalog.format($1, $2::text, $3::text); END $$`);
    await world.watched(own, tool);
    await world.judged('shadowed', own);
    expect((await own.pool.query('SELECT DISTINCT who FROM trace')).rows).toEqual([]);
  } finally {
    await attacker.end();
  }
});

test('nor by the tool, which would take its word for what a table is called', async () => {
  const own = await world.database();
  await own.pool.query(`CREATE TABLE named_so (id int PRIMARY KEY, n int); INSERT INTO named_so VALUES (1, 1);
    CREATE TABLE victim (id int PRIMARY KEY, n int); INSERT INTO victim VALUES (1, 1)`);
  await own.pool.query(
    `CREATE FUNCTION format(text, name, name) RETURNS text LANGUAGE sql AS $$ SELECT 'public.victim' $$`,
  );
  const tool = own.tool({ name: 'named-so', tables: ['named_so'] });
  await own.govern(tool, { op: 'update', table: 'named_so', set: { n: 2 }, where: { id: 1 } });
  const { rows } = await own.pool.query('SELECT (SELECT n FROM victim) AS victim, (SELECT n FROM named_so) AS named');
  expect(rows).toEqual([{ victim: 1, named: 2 }]);
});

test('tables whose key cannot name a row in the log can still be written by everybody', async () => {
  await sql(`CREATE TABLE later (id int PRIMARY KEY DEFERRABLE, n int);
    CREATE TABLE lost (id int NOT NULL, n int);
    CREATE UNIQUE INDEX lost_id ON lost (id);
    ALTER TABLE lost REPLICA IDENTITY USING INDEX lost_id;
    DROP INDEX lost_id;
    CREATE TABLE none (id int PRIMARY KEY, n int);
    ALTER TABLE none REPLICA IDENTITY NOTHING;
    INSERT INTO later VALUES (1, 1); INSERT INTO lost VALUES (1, 1); INSERT INTO none VALUES (1, 1)`);
  const tool = database.tool({ name: 'identity', tables: ['later', 'lost', 'none'] });
  await world.watched(database, tool);
  for (const table of ['later', 'lost', 'none']) await sql(`UPDATE ${table} SET n = 2`);
  const [standing] = (await world.ledger.ledger.radar.sources()).filter(({ source }) => source === 'identity');
  expect(standing?.unseen.map((one) => one.split(':')[0])).toEqual(['public.later', 'public.lost', 'public.none']);
});

test('a partition of a table in another schema is one of its own schema', async () => {
  const own = await world.database();
  await own.pool
    .query(`CREATE SCHEMA inner_parts; CREATE TABLE inner_parts.root (id int PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE TABLE part PARTITION OF inner_parts.root DEFAULT; CREATE TABLE here (id int PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE TABLE here_part PARTITION OF here DEFAULT`);
  await world.watched(own, own.tool({ name: 'parts', radar: { everyMs: 100 } }));
  const [standing] = (await world.ledger.ledger.radar.sources()).filter(({ source }) => source === 'parts');
  expect(standing?.watched).toEqual(['public.here', 'public.part']);
  await own.pool.query('INSERT INTO inner_parts.root VALUES (1)');
  await world.judged('parts', own);
  expect((await alertsOf('parts')).map(({ changes }) => changes)).toEqual([
    [{ table: 'public.part', operation: 'insert', rows: 1 }],
  ]);
});

test('rows that are deleted while their table has the name of the table of effects are seen', async () => {
  const own = await world.database();
  await own.pool.query('CREATE TABLE masked (id int PRIMARY KEY); INSERT INTO masked VALUES (1), (2)');
  const tool = own.tool({ name: 'masked', tables: ['masked'] });
  await world.watched(own, tool);
  await own.pool.query(`BEGIN; SET LOCAL event_triggers = off;
    ALTER TABLE countersign_effects.effects RENAME TO other;
    ALTER TABLE masked SET SCHEMA countersign_effects; ALTER TABLE countersign_effects.masked RENAME TO effects;
    DELETE FROM countersign_effects.effects;
    ALTER TABLE countersign_effects.effects RENAME TO masked; ALTER TABLE countersign_effects.masked SET SCHEMA public;
    ALTER TABLE countersign_effects.other RENAME TO effects; COMMIT`);
  await world.judged('masked', own);
  const writes = (await alertsOf('masked')).filter(({ kind }) => kind === 'write');
  expect(writes.map(({ changes }) => changes.map(({ operation, rows }) => [operation, rows]))).toEqual([
    [['delete', 2]],
  ]);
});

test('a key of one database explains nothing in another', async () => {
  const [one, other] = [await world.database(), await world.database()];
  const table = 'CREATE TABLE keyed (id int PRIMARY KEY)';
  await Promise.all([one.pool.query(table), other.pool.query(table)]);
  const tool = one.tool({ name: 'keyed-one', tables: ['keyed'] });
  const second = other.tool({ name: 'keyed-other', tables: ['keyed'] });
  const tools = new Set(['keyed-one', 'keyed-other']);
  await Promise.all([one.watch(tool, { tools }), other.watch(second, { tools })]);
  await until(
    async () => (await world.ledger.ledger.radar.sources()).filter(({ source }) => tools.has(source)),
    (found) =>
      found.length === 2 && found.every(({ state, lagBytes }) => state === 'watching' && lagBytes !== undefined),
  );
  const key = await one.govern(tool, { op: 'insert', table: 'keyed', rows: [{ id: 1 }] });
  await world.judged('keyed-one', one);
  await other.pool.query(
    `BEGIN; INSERT INTO keyed VALUES (2); INSERT INTO countersign_effects.effects (key, status) VALUES ('${key}', 'done'); COMMIT`,
  );
  await world.judged('keyed-other', other);
  expect(await alertsOf('keyed-one')).toEqual([]);
  expect((await alertsOf('keyed-other')).map(({ reason }) => reason)).toEqual(['effect_used_twice']);
});

test('prepared transactions, savepoints, copies, merges and cascades say who wrote', async () => {
  await sql(
    `CREATE TABLE ways (id int PRIMARY KEY, n int); CREATE TABLE ways_of (id int PRIMARY KEY, way int REFERENCES ways ON DELETE CASCADE)`,
  );
  const tool = database.tool({ name: 'ways', tables: ['ways', 'ways_of'] });
  await world.watched(database, tool);
  const client = await loginOf('wayfarer');
  await sql('GRANT ALL ON ways, ways_of TO wayfarer');
  try {
    await client.query(
      'BEGIN; SAVEPOINT a; INSERT INTO ways VALUES (1); ROLLBACK TO a; INSERT INTO ways VALUES (2); RELEASE a; COMMIT',
    );
    await client.query(
      `MERGE INTO ways w USING (VALUES (2), (3)) s (id) ON w.id = s.id WHEN MATCHED THEN UPDATE SET n = 1 WHEN NOT MATCHED THEN INSERT VALUES (s.id, 1)`,
    );
    await client.query('INSERT INTO ways_of VALUES (1, 3)');
    await client.query('DELETE FROM ways WHERE id = 3');
  } finally {
    await client.end();
  }
  await world.judged('ways', database);
  const found = await alertsOf('ways');
  expect(
    found.map(({ changes }) => changes.map(({ table, operation, rows }) => `${operation} ${rows} ${table}`)),
  ).toEqual([
    ['insert 1 public.ways'],
    ['update 1 public.ways', 'insert 1 public.ways'],
    ['insert 1 public.ways_of'],
    ['delete 1 public.ways', 'delete 1 public.ways_of'],
  ]);
  for (const { writers } of found) expect(writers).toEqual([{ user: 'wayfarer', application: '' }]);
});

test('a key of what only reads explains no write', async () => {
  await sql('CREATE TABLE read_only (id int PRIMARY KEY)');
  const tool = database.tool({ name: 'read-only', tables: ['read_only'] });
  await world.watched(database, tool);
  const names = { tenant: newTenant(), actionId: 'a-read' };
  const request = admission(names, { tool: tool.name, reads: true });
  await world.ledger.ledger.actions.admit(request);
  await world.ledger.ledger.grants.use(useOf(request));
  await sql(`BEGIN; INSERT INTO read_only VALUES (1);
    INSERT INTO countersign_effects.effects (key, status) VALUES ('${idempotencyKey(names)}', 'done'); COMMIT`);
  await world.judged('read-only', database);
  expect((await alertsOf('read-only')).map(({ reason }) => reason)).toEqual(['unknown_effect']);
});

test('a transaction of many statements, messages and names is read in a few rows and told in one alert', async () => {
  const own = await world.database();
  await own.pool.query('CREATE TABLE busy (id int PRIMARY KEY)');
  const tool = own.tool({
    name: 'busy',
    tables: ['busy'],
    radar: { everyMs: 100, writers: { roles: ['importer'] } },
  });
  const { radar } = await world.watched(own, tool);
  await world.judged('busy', own);
  await radar.close();
  const slot = await slotOf('busy');
  await own.pool.query('DO $$ BEGIN FOR i IN 1..11000 LOOP INSERT INTO busy VALUES (i); END LOOP; END $$');
  const rows = await readOf(own, slot);
  expect(rows.length).toBeLessThan(20);
  // Whoever hides among names that are declared is among those that are not read.
  await own.pool
    .query(`BEGIN; SELECT count(pg_logical_emit_message(true, 'countersign.radar', format('{"user":"importer","application":"%s"}', i)))
      FROM generate_series(1, 12000) i;
    DELETE FROM busy WHERE id = 1; COMMIT`);
  expect((await readOf(own, slot)).length).toBeLessThan(10_100);
  await own.watch(tool);
  await world.judged('busy', own);
  const found = await alertsOf('busy');
  expect(found.map(({ changes }) => changes)).toEqual([
    [{ table: 'public.busy', operation: 'insert', rows: 11_000 }],
    [{ table: 'public.busy', operation: 'delete', rows: 1 }],
  ]);
  expect(found[1]?.writers).toHaveLength(100);
  expect(found[1]?.detail).toMatch(/Not listed: \d+ more writers\.$/);
});

test('what a server writes again after it went back to an earlier state is judged', () => {
  const at = new Date('2026-05-01T12:00:00Z');
  const begin = Buffer.alloc(21);
  begin.write('B');
  begin.writeBigUInt64BE(0x100n, 1);
  begin.writeBigInt64BE((BigInt(at.getTime()) - 946_684_800_000n) * 1000n, 9);
  const commit = Buffer.alloc(26);
  commit.write('C');
  commit.writeBigUInt64BE(0x200n, 10);
  const row = (kind: string, detail: Buffer | null, relation: string | null = null): Decoded => {
    return { xid: '7', kind, relation, detail: detail?.toString('hex') ?? null, count: 1, place: null };
  };
  const rows = [row('B', begin), row('I', null, '00000001'), row('C', commit)];
  const judged = (ms: number) => transactionsOf(rows, { lsn: 0x300n, at: new Date(at.getTime() + ms) }).writes.length;
  expect([judged(1), judged(-1)]).toEqual([0, 1]);
});

test('a message that names a declared writer hides no change of a definition', async () => {
  const own = await world.database();
  const writers = { roles: ['migrator'] };
  await own.pool.query(`CREATE TABLE defined (id int PRIMARY KEY, n int);
    CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
    CREATE TRIGGER guard BEFORE UPDATE ON defined FOR EACH ROW EXECUTE FUNCTION guard()`);
  const said = `SELECT pg_logical_emit_message(true, 'countersign.radar.ddl', json_build_object('user', 'migrator', 'application', '',
    'tag', 'ALTER TABLE', 'type', 'table', 'identity', 'public.defined', 'relation', 'defined'::regclass::oid::text)::text)`;
  const tool = own.tool({ name: 'defined', tables: ['defined'], radar: { everyMs: 100, writers } });
  await world.watched(own, tool);
  const found = (most: number) =>
    until(
      () => alertsOf('defined'),
      (alerts) => alerts.length >= most,
    );
  // Where there are event triggers, what is said beside it names who it was.
  await own.pool.query(
    `BEGIN; ${said}; CREATE OR REPLACE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN old; END $$; COMMIT`,
  );
  expect((await found(1))[0]?.writers).toContainEqual({ user: 'postgres', application: 'admin' });
});

test('where there are no event triggers nothing that is said of definitions is believed', async () => {
  const own = await world.database();
  const url = await own.as('definer');
  await own.pool.query(`ALTER ROLE definer REPLICATION; GRANT ALL ON SCHEMA public TO definer;
    DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO definer', current_database()); END $$;
    CREATE TABLE believed (id int PRIMARY KEY); ALTER TABLE believed OWNER TO definer`);
  const tool = own.tool({
    name: 'believed',
    tables: ['believed'],
    url,
    radar: { everyMs: 100, writers: { roles: ['migrator'] } },
  });
  await world.watched(own, tool);
  await known('believed');
  await own.pool
    .query(`BEGIN; SELECT pg_logical_emit_message(true, 'countersign.radar.ddl', json_build_object('user', 'migrator', 'application', '',
      'tag', 'ALTER TABLE', 'type', 'table', 'identity', 'public.believed', 'relation', 'believed'::regclass::oid::text)::text);
    ALTER TABLE believed ADD COLUMN note text; COMMIT`);
  const [alert] = await until(
    () => alertsOf('believed'),
    (alerts) => alerts.length > 0,
  );
  expect(alert?.detail).toContain('now column note text: nobody says who did it.');
});

test('where reads are so far apart that each looks at the catalog, what was changed is told', async () => {
  const own = await world.database();
  await own.pool.query('CREATE TABLE seldom (id int PRIMARY KEY)');
  const tool = own.tool({ name: 'seldom', tables: ['seldom'] });
  const reader = tool.radar?.open({ memory: undefined, catalog: undefined });
  const { signal } = new AbortController();
  let now = performance.now();
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => (now += 60_000));
  const reads = async (wanted: (observed: Observed) => boolean): Promise<Observed | undefined> => {
    for (let tries = 0; tries < 10; tries++) {
      // Before each, so that the log is flushed up to here.
      await own.pool.query(`SET synchronous_commit = on; SELECT pg_logical_emit_message(true, 'mark', '')`);
      const observed = (await reader?.read(signal)) as Observed;
      await reader?.confirm(observed, signal);
      if (wanted(observed)) return observed;
    }
    return undefined;
  };
  try {
    expect(await reads(({ catalog }) => catalog !== undefined)).toBeDefined();
    await own.pool.query('BEGIN; SET LOCAL event_triggers = off; ALTER TABLE seldom ADD COLUMN note text; COMMIT');
    const told = await reads(({ definitions }) => definitions.length > 0);
    expect(told?.definitions[0]?.detail).toContain('now column note text');
  } finally {
    clock.mockRestore();
    await reader?.close();
  }
});

test('values that are written anew by a change of their column are told of', async () => {
  await sql('CREATE TABLE rewritten (id int PRIMARY KEY, n int)');
  const tool = database.tool({ name: 'rewritten', tables: ['rewritten'] });
  await world.watched(database, tool);
  await known('rewritten');
  await sql('BEGIN; SET LOCAL event_triggers = off; ALTER TABLE rewritten ALTER n TYPE int USING 7; COMMIT');
  const [alert] = await until(
    () => alertsOf('rewritten'),
    (alerts) => alerts.length > 0,
  );
  expect(alert?.detail).toContain('its columns were defined anew as they were: every value of them may be another');
});

test('writing into the log can be left to the radar, and everybody still writes', async () => {
  const own = await world.database();
  await own.pool.query('CREATE TABLE sealed (id int PRIMARY KEY)');
  const tool = own.tool({ name: 'sealed', tables: ['sealed'] });
  await world.watched(own, tool);
  const client = new pg.Client({ connectionString: await own.as('sealed_app') });
  await own.pool.query('GRANT INSERT ON sealed TO sealed_app');
  const page = await readFile(path.join(ROOT, 'docs/radar.md'), 'utf8');
  const shown = page.split('```sql messages.sql\n')[1]?.split('```')[0] ?? '';
  expect(shown).toContain('FROM PUBLIC');
  await own.pool.query(shown.replaceAll('shop_radar', 'CURRENT_USER'));
  await client.connect();
  try {
    await client.query('INSERT INTO sealed VALUES (1)');
    await expect(client.query(`SELECT pg_logical_emit_message(true, 'countersign.radar', '{}')`)).rejects.toMatchObject(
      { code: '42501' },
    );
  } finally {
    await client.end();
  }
  await world.judged('sealed', own);
  expect((await alertsOf('sealed')).map(({ writers }) => writers)).toEqual([[{ user: 'sealed_app', application: '' }]]);
});

async function readOf({ url, pool }: WatchedDatabase, slot: string): Promise<readonly Decoded[]> {
  const reading = new PostgresDatabase({
    tool: 'reading',
    client: { connectionString: url },
    schema: 'public',
    timeoutMs: 60_000,
    maxConnections: 1,
  });
  const session = await reading.session();
  try {
    const { rows } = await until(
      () =>
        pool.query(
          'SELECT pg_current_wal_flush_lsn() AS lsn, pg_current_wal_flush_lsn() = pg_current_wal_insert_lsn() AS everything',
        ),
      (flushed) => flushed.rows[0].everything === true,
    );
    const request = {
      slot,
      upTo: String(rows[0].lsn),
      publications: [slot, `${slot}_inserts`],
      effects: 'countersign_effects.effects',
    };
    return await peek(session, request, new AbortController().signal);
  } finally {
    session.release();
    await reading.close();
  }
}
