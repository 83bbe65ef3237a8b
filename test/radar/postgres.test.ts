/** What is written to a watched database past Countersign is found, once, and nothing else is; and nobody who writes is in its way. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RadarAlert } from '../../src/action/radar.js';
import { PostgresDatabase } from '../../src/tools/postgres/connection.js';
import { peek } from '../../src/tools/postgres/radar/slot.js';
import { webhook } from '../../src/notify/index.js';
import { encodeCredential } from '../../src/trust/index.js';
import { cli, errorOf, folder } from '../cli/support.js';
import { openReceiver } from '../notify/support.js';
import { createDatabase } from '../support/postgres.js';
import { ended, startStack, TENANT } from '../support/stack.js';
import { until } from '../support/until.js';
import { readerKilled } from './killed-reader.js';
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
const signal = new AbortController().signal;
const sql = (text: string) => database.pool.query(text);

/** The slot of a source, as the ledger remembers it. */
async function slotOf(source: string): Promise<string> {
  const { rows } = await world.ledger.pool.query<{ slot: string }>(
    `SELECT memory ->> 'slot' AS slot FROM countersign.radar_sources WHERE source = $1`,
    [source],
  );
  return rows[0]?.slot ?? '';
}

const TABLES = `CREATE TABLE orders (id int PRIMARY KEY, status text NOT NULL DEFAULT 'open');
  CREATE TABLE uncovered (id int PRIMARY KEY)`;

test('of 1,000 governed and 100 ungoverned writes by four kinds of writers, exactly the 100 are found', async () => {
  const database = await world.database();
  await database.pool.query(`${TABLES};
    CREATE FUNCTION leak() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO orders VALUES (new.id); RETURN new; END $$;
    CREATE TRIGGER leak AFTER INSERT ON uncovered FOR EACH ROW EXECUTE FUNCTION leak()`);
  const tool = database.tool({ name: 'thousand', tables: ['orders'] });
  const { found } = await world.watched(database, tool);
  const appUrl = await database.as('another_app');
  await database.pool.query('GRANT ALL ON orders, uncovered TO another_app');
  const app = new pg.Pool({ connectionString: appUrl, application_name: 'orders-service', max: 3 });
  const client = new pg.Client({ connectionString: database.url, application_name: 'psql' });
  await client.connect();
  try {
    const ungoverned = async (index: number): Promise<unknown> => {
      const id = 1_000_000 + index;
      switch (index % 4) {
        case 0:
          return client.query(`INSERT INTO orders VALUES (${id})`);
        case 1:
          return app.query('INSERT INTO uncovered VALUES ($1)', [id]);
        case 2:
          return client.query(
            `BEGIN; SET LOCAL session_replication_role = replica; INSERT INTO orders VALUES (${id}); COMMIT`,
          );
        default:
          return app.query('INSERT INTO orders VALUES ($1)', [id]);
      }
    };
    const lanes = Array.from({ length: 8 }, async (_, lane) => {
      for (let index = lane; index < 1000; index += 8) {
        await database.govern(tool, { op: 'insert', table: 'orders', rows: [{ id: index }] });
        if (index % 10 === 0) await ungoverned(index / 10);
      }
    });
    await Promise.all(lanes);
    await world.judged('thousand', database);
  } finally {
    await app.end();
    await client.end();
  }
  expect(found.map(({ reason }) => reason)).toEqual(Array.from({ length: 100 }, () => 'no_effect'));
  const by = (user: string, application: string): number =>
    found.filter(
      ({ writers }) => writers.length === 1 && writers[0]?.user === user && writers[0].application === application,
    ).length;
  expect([by('postgres', 'psql'), by('another_app', 'orders-service')]).toEqual([50, 50]);
  for (const { changes } of found) expect(changes).toEqual([{ table: 'public.orders', operation: 'insert', rows: 1 }]);
  expect(await database.pool.query('SELECT count(*)::int AS n FROM orders')).toMatchObject({ rows: [{ n: 1100 }] });
});

test('a key that no grant stands for explains nothing, and neither does one that was used before', async () => {
  await sql('CREATE TABLE forged (id int PRIMARY KEY)');
  const tool = database.tool({ name: 'forged', tables: ['forged'] });
  await world.watched(database, tool);
  const key = await database.govern(tool, { op: 'insert', table: 'forged', rows: [{ id: 1 }] });
  const effects = 'countersign_effects.effects';
  await sql(
    `BEGIN; INSERT INTO forged VALUES (2); INSERT INTO ${effects} (key, status) VALUES ('countersign:acme/none', 'done'); COMMIT`,
  );
  await sql(`DELETE FROM ${effects} WHERE key = '${key}'`);
  await sql(
    `BEGIN; INSERT INTO forged VALUES (3); INSERT INTO ${effects} (key, status) VALUES ('${key}', 'done'); COMMIT`,
  );
  await sql(`INSERT INTO ${effects} (key, status) VALUES ('no name', 'done'), ('countersign:acme/void', 'void')`);
  await sql('BEGIN; INSERT INTO forged VALUES (4); UPDATE forged SET id = 40 WHERE id = 1; ROLLBACK');
  await sql('BEGIN; SAVEPOINT s; INSERT INTO forged VALUES (5); ROLLBACK TO s; COMMIT');
  await sql('UPDATE forged SET id = 7 WHERE id = 700');
  await world.judged('forged', database);
  expect(
    (await alertsOf('forged')).map(({ reason, effectKey, changes }) => [reason, effectKey, changes.length]),
  ).toEqual([
    ['unknown_effect', 'countersign:acme/none', 1],
    ['effect_used_twice', key, 1],
    ['unknown_effect', 'no name', 0],
  ]);
});

test('a declared writer is known by the role that logged in, whatever it sets later and whatever others claim', async () => {
  await sql('CREATE TABLE declared (id int PRIMARY KEY); CREATE TABLE "Odd ""name"";--" ("i d" int PRIMARY KEY)');
  const name = 'Odd "name";--';
  const tool = database.tool({
    name: 'declared',
    tables: ['declared', name],
    radar: { everyMs: 100, writers: { roles: ['importer'], applications: ['nightly'] } },
  });
  const importer = new pg.Client({ connectionString: await database.as('importer') });
  const other = new pg.Client({ connectionString: await database.as('other"role') });
  await sql(`GRANT ALL ON declared, "Odd ""name"";--" TO importer, "other""role"`);
  await world.watched(database, tool);
  await Promise.all([importer.connect(), other.connect()]);
  try {
    await importer.query('INSERT INTO declared VALUES (1)');
    await sql(`SET application_name = 'nightly'; INSERT INTO declared VALUES (2); SET application_name = 'admin'`);
    await database.pool.query('GRANT importer TO "other""role"');
    await other.query('SET ROLE importer; INSERT INTO declared VALUES (3)');
    // Whoever claims to be another is still who they are.
    await other.query(
      `BEGIN; SELECT pg_logical_emit_message(true, 'countersign.radar', '{"user":"importer","application":""}'); DELETE FROM declared; COMMIT`,
    );
    await importer.query('INSERT INTO "Odd ""name"";--" VALUES (1)');
    await sql('TRUNCATE "Odd ""name"";--", declared');
  } finally {
    await Promise.all([importer.end(), other.end()]);
  }
  await world.judged('declared', database);
  const found = await alertsOf('declared');
  expect(found.map(({ changes }) => changes)).toEqual([
    [{ table: 'public.declared', operation: 'insert', rows: 1 }],
    [{ table: 'public.declared', operation: 'delete', rows: 3 }],
    [
      { table: `public.${name}`, operation: 'truncate' },
      { table: 'public.declared', operation: 'truncate' },
    ],
  ]);
  expect(found[0]?.writers).toEqual([{ user: 'other"role', application: '' }]);
  expect(found[1]?.writers).toContainEqual({ user: 'other"role', application: '' });
});

test('a transaction of 30,000 rows is one alert, and a few rows on the way', async () => {
  await sql(`CREATE TABLE many (id int, region int, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
    CREATE TABLE many_1 PARTITION OF many FOR VALUES IN (1)`);
  const tool = database.tool({ name: 'many', tables: ['many'] });
  const { radar } = await world.watched(database, tool);
  await radar.close();
  await sql('INSERT INTO many SELECT i, 1 FROM generate_series(1, 30000) i');
  await sql('DELETE FROM many_1 WHERE id = 1');
  const slot = await slotOf('many');
  const reading = new PostgresDatabase({
    tool: 'many',
    client: { connectionString: database.url },
    schema: 'public',
    timeoutMs: 60_000,
    maxConnections: 1,
  });
  const session = await reading.session();
  const { rows } = await until(
    () =>
      database.pool.query<{ lsn: string; all: boolean }>(
        'SELECT pg_current_wal_flush_lsn() AS lsn, pg_current_wal_flush_lsn() = pg_current_wal_insert_lsn() AS all',
      ),
    (flushed) => flushed.rows[0]?.all === true,
  );
  const said = await peek(
    session,
    { slot, upTo: rows[0]?.lsn ?? '', publications: [slot, `${slot}_inserts`], effects: 'countersign_effects.effects' },
    signal,
  );
  session.release();
  await reading.close();
  expect(said.length).toBeLessThan(20);
  expect(said.find(({ kind }) => kind === 'I')?.count).toBe(30_000);
  await database.watch(tool);
  await world.judged('many', database);
  expect((await alertsOf('many')).map(({ changes }) => changes)).toEqual([
    [{ table: 'public.many', operation: 'insert', rows: 30_000 }],
    [{ table: 'public.many', operation: 'delete', rows: 1 }],
  ]);
});

test('a table without a key can still be written by everybody, and it is said what is not seen of it', async () => {
  await sql('CREATE TABLE keyless (n int); CREATE UNLOGGED TABLE forgotten (id int PRIMARY KEY)');
  const tool = database.tool({ name: 'keyless', tables: ['keyless', 'forgotten', 'absent'] });
  await world.watched(database, tool);
  await sql('INSERT INTO keyless VALUES (1); UPDATE keyless SET n = 2; INSERT INTO forgotten VALUES (1)');
  await world.judged('keyless', database);
  expect((await alertsOf('keyless')).map(({ changes }) => changes)).toEqual([
    [{ table: 'public.keyless', operation: 'insert', rows: 1 }],
  ]);
  const [standing] = (await world.ledger.ledger.radar.sources()).filter(({ source }) => source === 'keyless');
  expect(standing?.watched).toEqual(['public.keyless']);
  expect(standing?.unseen.map((one) => one.split(':')[0])).toEqual([
    'public.absent',
    'public.forgotten',
    'public.keyless',
  ]);
  expect(standing?.unseen[2]).toContain('ALTER TABLE public.keyless REPLICA IDENTITY FULL;');
});

test('what people see of an action on a watched table does not change', async () => {
  await sql('CREATE TABLE seen (id int PRIMARY KEY, n int NOT NULL); INSERT INTO seen VALUES (1, 1)');
  const plain = database.tool({ name: 'plain', tables: ['seen'] });
  const input = plain.input.parse({ op: 'update', table: 'seen', set: { n: 2 }, where: { id: 1 }, rehearse: true });
  const before = await plain.preview(input, { signal });
  await world.watched(database, database.tool({ name: 'seen', tables: ['seen'] }));
  const { rows } = await sql(`SELECT tgenabled FROM pg_trigger WHERE tgrelid = 'seen'::regclass`);
  expect(rows).toEqual([{ tgenabled: 'A' }]);
  expect(await plain.preview(input, { signal })).toEqual(before);
});

test('where somebody drops the slot, or too much is held back, the gap is an alert with its beginning and end', async () => {
  await sql('CREATE TABLE gaps (id int PRIMARY KEY, filler text)');
  const tool = database.tool({ name: 'gaps', tables: ['gaps'], radar: { everyMs: 100, maxLagBytes: 1024 ** 2 } });
  const first = await world.watched(database, tool);
  await first.radar.close();
  const slot = await slotOf('gaps');
  await sql(`SELECT pg_drop_replication_slot('${slot}')`);
  await sql('INSERT INTO gaps VALUES (1)');
  const second = await database.watch(tool);
  await until(
    () => alertsOf('gaps'),
    (alerts) => alerts.length === 1,
  );
  await world.judged('gaps', database);
  await second.radar.close();
  // 2 MB that do not compress.
  await sql(
    `INSERT INTO gaps SELECT i, (SELECT string_agg(md5(i::text || j), '') FROM generate_series(1, 30) j) FROM generate_series(2, 2000) i`,
  );
  await database.watch(tool);
  await until(
    () => alertsOf('gaps'),
    (alerts) => alerts.length === 2,
  );
  await world.judged('gaps', database);
  await sql('INSERT INTO gaps VALUES (-1)');
  await world.judged('gaps', database);
  const found = await alertsOf('gaps');
  expect(found.map(({ kind }) => kind)).toEqual(['gap', 'gap', 'write']);
  expect(found[0]?.detail).toMatch(
    /^Nobody knows what was written between [\dA-F]+\/[\dA-F]+ and the new beginning after [\dA-F]+\/[\dA-F]+: somebody dropped the slot\.$/,
  );
  expect(found[1]?.detail).toContain('maxLagBytes is 1048576: the slot was dropped rather than the disk filled');
});

test('a table that is taken out of the publication is a gap, and is put back', async () => {
  await sql('CREATE TABLE hidden (id int PRIMARY KEY)');
  const tool = database.tool({ name: 'hidden', tables: ['hidden'] });
  const first = await world.watched(database, tool);
  await first.radar.close();
  await sql(`ALTER PUBLICATION ${await slotOf('hidden')} DROP TABLE hidden; INSERT INTO hidden VALUES (1)`);
  const second = await database.watch(tool);
  await world.judged('hidden', database);
  await sql('INSERT INTO hidden VALUES (2)');
  await world.judged('hidden', database);
  await sql(`ALTER PUBLICATION ${await slotOf('hidden')} SET TABLE hidden WHERE (id < 0)`);
  await sql('INSERT INTO hidden VALUES (3)');
  // It is looked at when a worker begins, and every few seconds.
  await second.radar.close();
  await database.watch(tool);
  await world.judged('hidden', database);
  const found = await alertsOf('hidden');
  const seen = found.filter(({ kind }) => kind !== 'definition');
  expect(seen.map(({ kind }) => kind)).toEqual(['gap', 'write', 'gap']);
  expect(seen[0]?.detail).toContain('changes of public.hidden may not have been published');
  // Who did it is known, where the radar may make event triggers.
  expect(found.length - seen.length).toBe(2);
});

test('a database whose log says nothing of rows turns the radar off, with why and what to do; actions go on', async () => {
  const plain = await createDatabase();
  const pool = new pg.Pool({ connectionString: plain.url });
  try {
    await pool.query('CREATE TABLE orders (id int PRIMARY KEY)');
    const tool = database.tool({ name: 'replica', url: plain.url, tables: ['orders'] });
    const { radar } = await database.watch(tool);
    const [off] = await until(
      async () => (await world.ledger.ledger.radar.sources()).filter(({ source }) => source === 'replica'),
      ([one]) => one?.state === 'off' && one.problem?.startsWith('The radar of') === true,
    );
    expect(off?.problem).toBe(
      `The radar of replica cannot read the database's log: wal_level is replica. Have an administrator run: ALTER SYSTEM SET wal_level = 'logical'; and restart the server.`,
    );
    await expect(tool.radar?.stands(signal)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await database.govern(tool, { op: 'insert', table: 'orders', rows: [{ id: 1 }] });
    expect((await pool.query('SELECT id FROM orders')).rows).toEqual([{ id: 1 }]);
    await radar.close();
    await tool.close();
  } finally {
    await pool.end();
    await plain.drop();
  }
});

test('doctor says what to bound where nothing bounds the log, and a role that may not read it is told what it lacks', async () => {
  const tool = database.tool({ name: 'standing', tables: [] });
  const standing = await tool.radar?.stands(signal);
  expect(standing).toMatchObject({ ok: true });
  const url = await database.as('reader');
  const poor = database.tool({ name: 'poor', tables: [], radar: { url } });
  await expect(poor.radar?.stands(signal)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    fix: 'Have an administrator run: ALTER ROLE <role> REPLICATION;',
  });
});

test('of two workers one reads; when it is killed before or after it recorded, the other loses nothing and tells nothing twice', async () => {
  await sql('CREATE TABLE killed (id int PRIMARY KEY)');
  const options = { name: 'killed', tables: ['killed'], radar: { everyMs: 100 } };
  const tool = database.tool(options);
  const first = await world.watched(database, tool);
  await first.radar.close();
  for (const [id, point] of [
    [1, 'before'],
    [2, 'after'],
  ] as const) {
    await sql(`INSERT INTO killed VALUES (${id})`);
    expect(await readerKilled(world.ledger.url, point, { ...options, environment: 'test', url: database.url })).toBe(
      'SIGKILL',
    );
    expect(await alertsOf('killed')).toHaveLength(point === 'before' ? id - 1 : id);
    const { radar, found } = await database.watch(tool);
    await world.judged('killed', database);
    expect(await alertsOf('killed')).toHaveLength(id);
    // What the one that died had recorded is not counted again.
    expect(found).toHaveLength(point === 'before' ? 1 : 0);
    await radar.close();
  }
});

test('a worker watches beside its actions: what went past it reaches people, the trail, the page and the command line', async () => {
  const receiver = await openReceiver();
  process.env['RADAR_HOOK'] = `whsec_${randomBytes(32).toString('base64')}`;
  await sql('CREATE TABLE refunds (id int PRIMARY KEY, amount int NOT NULL)');
  const tools = [database.tool({ environment: 'production', tables: ['refunds'] })];
  const stack = await startStack({ schema: '', tools: () => tools, worker: false });
  const { address, namespace, taskQueue } = stack.temporal;
  const env = {
    COUNTERSIGN_LEDGER_URL: stack.ledgerUrl,
    TEMPORAL_ADDRESS: address,
    TEMPORAL_NAMESPACE: namespace,
    COUNTERSIGN_TASK_QUEUE: taskQueue,
  };
  try {
    const hook = webhook({ url: receiver.url, secrets: ['env:RADAR_HOOK'], allow: { loopback: true } });
    const notifications = { gatewayUrl: 'https://gateway.example', channels: [hook] };
    await stack.startWorker({ config: { policies: stack.policies, tools, notifications } });
    await until(
      () => stack.ledger.radar.sources(),
      ([one]) => one?.lagBytes !== undefined,
    );
    const input = { op: 'insert', table: 'refunds', rows: [{ id: 1, amount: 7 }] };
    expect(await ended(await stack.agent(), { tool: 'shop-db', input })).toMatchObject({ status: 'success' });
    await sql('UPDATE refunds SET amount = 8');
    const [alert] = await until(
      () => stack.ledger.radarAlerts.list(),
      (alerts) => alerts.length > 0,
    );
    expect(await stack.ledger.radarAlerts.list()).toHaveLength(1);
    expect(alert).toMatchObject({
      id: 1,
      source: 'shop-db',
      detail: 'update of 1 row of public.refunds: no action made it.',
    });

    await until(
      async () => receiver.seen,
      (seen) => seen.length > 0,
    );
    const { type, data } = JSON.parse(receiver.seen[0]?.body ?? '') as { type: string; data: Record<string, unknown> };
    expect([type, data['title'], data['link']]).toEqual([
      'radar.unexplained',
      'Writes past Countersign: 1 on shop-db',
      'https://gateway.example/radar',
    ]);

    expect(await cli(['radar', 'list', '--json'], { env })).toMatchObject({ code: 1 });
    expect((await cli(['radar', 'status'], { env })).stdout).toMatch(/^✓ shop-db \(postgres\) {2}watching/);
    const acknowledge = async (id: string, who: string, role: string) => {
      const as = encodeCredential(await stack.approver(who, [role]));
      return cli(['radar', 'ack', id, '--note', 'a slip', '--as', as, '--json'], { env });
    };
    expect(await acknowledge('2', 'ann', 'platform-operator')).toMatchObject({ code: 2 });
    expect(errorOf(await acknowledge('1', 'otto', 'operator'))).toMatchObject({ code: 'ROLE_REQUIRED' });
    const done = await acknowledge('1', 'ann', 'platform-operator');
    expect(done.json()).toMatchObject({
      alerts: [{ id: 1, acknowledged: { by: 'ann' } }],
      receipt: { tenant: TENANT },
    });
    expect(await cli(['radar', 'list'], { env })).toMatchObject({ code: 0, stdout: 'nothing is unexplained\n' });

    const cwd = await folder();
    await cli(['trail', 'export', '--tenant', '*', '--out', 'all.jsonl'], { cwd, env });
    const exported = await readFile(path.join(cwd, 'all.jsonl'), 'utf8');
    const kinds = exported.split('\n').flatMap((line) => {
      const { entry, evidence } = JSON.parse(line === '' ? '{}' : line) as { entry?: string; evidence?: string };
      return entry === undefined
        ? []
        : [[(JSON.parse(entry) as { kind: string }).kind, evidence?.includes('public.refunds')]];
    });
    expect(kinds).toEqual([
      ['radar_alert', true],
      ['radar_acknowledged', true],
    ]);
  } finally {
    await stack.stop();
    await receiver.stop();
  }
});
