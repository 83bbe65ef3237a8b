/** Whoever changes how a watched table is defined, or what the radar sees by, is seen: with who it was where the database lets the radar know. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RadarAlert } from '../../src/action/radar.js';
import type { ObservedDefinition, Remembered } from '../../src/radar/source.js';
import type { PostgresOptions } from '../../src/tools/index.js';
import { EVENT_TRIGGERS, eventTriggerStatements } from '../../src/tools/postgres/radar/definition-source.js';
import { until } from '../support/until.js';
import { readerKilled } from './killed-reader.js';
import { radarWorld, type RadarWorld, type WatchedDatabase } from './world.js';

let world: RadarWorld;

beforeAll(async () => {
  world = await radarWorld();
});
afterAll(async () => {
  await world?.stop();
});

const ADMIN = { user: 'postgres', application: 'admin' };

interface Watched {
  readonly alerts: () => Promise<readonly RadarAlert[]>;
  /** Does something, and waits until the catalog was found to be another by that, and what was to be told of it is told. @returns what was told since */
  changing(act: string | (() => Promise<unknown>)): Promise<readonly RadarAlert[]>;
  close(): Promise<void>;
  /** As another worker goes on. */
  open(): Promise<void>;
}

async function watching(
  database: WatchedDatabase,
  options: Partial<PostgresOptions> & { name: string },
): Promise<Watched> {
  const { name } = options;
  const tool = database.tool({ tables: [name], ...options });
  let { radar } = await world.watched(database, tool);
  const catalog = async (): Promise<string> => {
    const { rows } = await world.ledger.pool.query<{ catalog: string | null }>(
      'SELECT catalog::text FROM countersign.radar_sources WHERE source = $1',
      [name],
    );
    return rows[0]?.catalog ?? '';
  };
  const alerts = async () => (await world.ledger.ledger.radarAlerts.list({ source: name })).toReversed();
  await until(catalog, (text) => text !== '');
  return {
    alerts,
    async changing(act) {
      const [before, told] = await Promise.all([catalog(), alerts()]);
      await (typeof act === 'string' ? database.pool.query(act) : act());
      await until(catalog, (now) => now !== before);
      await world.judged(name, database);
      return (await alerts()).slice(told.length);
    },
    close: () => radar.close(),
    async open() {
      ({ radar } = await database.watch(tool));
      await world.judged(name, database);
    },
  };
}

const said = ({ kind, reason, changes, writers }: RadarAlert) => [
  kind,
  reason,
  changes.map(({ table, operation }) => `${operation} ${table}`),
  writers,
];

describe('where the radar may make event triggers', () => {
  let database: WatchedDatabase;
  const sql = (text: string) => database.pool.query(text);

  beforeAll(async () => {
    database = await world.database();
  });

  test('who changes a definition is told, once', async () => {
    const changed = [
      ['ALTER TABLE added ADD COLUMN note text', 'added', ['ALTER TABLE public.added']],
      // A session that plays the part of a replica.
      [
        'BEGIN; SET LOCAL session_replication_role = replica; ALTER TABLE as_replica ADD COLUMN note text; COMMIT',
        'as_replica',
        ['ALTER TABLE public.as_replica'],
      ],
      ['ALTER TABLE renamed RENAME TO other', 'renamed', ['ALTER TABLE public.other']],
      // A rule takes its writes elsewhere.
      ['CREATE RULE away AS ON DELETE TO ruled DO INSTEAD NOTHING', 'ruled', ['CREATE RULE away on public.ruled']],
      // A policy hides rows.
      ['CREATE POLICY few ON hidden USING (false)', 'hidden', ['CREATE POLICY few on public.hidden']],
      [
        `CREATE TRIGGER t BEFORE UPDATE ON triggered FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
         DROP TRIGGER t ON triggered; ALTER TABLE triggered ALTER id SET DEFAULT 7`,
        'triggered',
        ['CREATE TRIGGER t on public.triggered', 'DROP TRIGGER t on public.triggered', 'ALTER TABLE public.triggered'],
      ],
      ['DROP TABLE dropped', 'dropped', ['DROP TABLE public.dropped']],
    ] as const;
    const tables = changed.map(([, name]) => name);
    for (const name of tables) await sql(`CREATE TABLE ${name} (id int PRIMARY KEY)`);
    const watched = await watching(database, { name: 'changed', tables });
    for (const [text, , changes] of changed) {
      const told = await watched.changing(text);
      expect(told.map(said), `after ${text}`).toEqual([['definition', 'definition_changed', changes, [ADMIN]]]);
      expect(told[0]?.transaction).toMatch(/^\d+$/);
    }
    // Whoever goes on knows of them.
    await watched.close();
    await watched.open();
    expect(await watched.alerts()).toHaveLength(changed.length);
  });

  test.each(['before', 'after'] as const)(
    'whoever goes on after a worker that died %s it recorded what the log said tells it once',
    async (point) => {
      const name = `died_${point}`;
      await sql(`CREATE TABLE ${name} (id int PRIMARY KEY)`);
      const options = { name, tables: [name], radar: { everyMs: 100 } };
      const watched = await watching(database, options);
      await watched.close();
      await sql(`ALTER TABLE ${name} ADD COLUMN note text`);
      const dying = { ...options, environment: 'test', url: database.url };
      expect(await readerKilled(world.ledger.url, point, dying)).toBe('SIGKILL');
      expect(await watched.alerts()).toHaveLength(point === 'before' ? 0 : 1);
      // The catalog is found to be another by whoever goes on.
      expect(await watched.changing(() => watched.open())).toHaveLength(point === 'before' ? 1 : 0);
      const changes = [`ALTER TABLE public.${name}`];
      const told = ['definition', 'definition_changed', changes, [ADMIN]];
      expect((await watched.alerts()).map(said)).toEqual([told]);
      // The same again is another change.
      await watched.changing(`ALTER TABLE ${name} DROP COLUMN note`);
      await watched.changing(`ALTER TABLE ${name} ADD COLUMN note text`);
      expect((await watched.alerts()).map(said)).toEqual([told, told, told]);
    },
  );

  test('a declared writer may change a definition, and not what the radar sees by', async () => {
    await sql('CREATE TABLE migrated (id int PRIMARY KEY)');
    const url = await database.as('migrator');
    await sql('ALTER TABLE migrated OWNER TO migrator');
    const watched = await watching(database, {
      name: 'migrated',
      radar: { everyMs: 100, writers: { roles: ['migrator'] } },
    });
    const migrator = new pg.Client({ connectionString: url });
    await migrator.connect();
    try {
      expect(await watched.changing(() => migrator.query('ALTER TABLE migrated ADD COLUMN note text'))).toEqual([]);
      // Put back within the same transaction, with a false name for the write between: that explains the write alone.
      await migrator.query(`BEGIN; ALTER TABLE migrated DISABLE TRIGGER countersign_radar; INSERT INTO migrated VALUES (1);
        SELECT pg_logical_emit_message(true, 'countersign.radar', '{"user":"migrator","application":""}');
        ALTER TABLE migrated ENABLE ALWAYS TRIGGER countersign_radar; COMMIT`);
    } finally {
      await migrator.end();
    }
    const told = await until(watched.alerts, (alerts) => alerts.length > 0);
    expect(told.map(said)).toEqual([
      [
        'definition',
        'guard_changed',
        ['change of what the radar made public.migrated'],
        [{ user: 'migrator', application: '' }],
      ],
    ]);
  });

  test('what the radar sees by is put right, and who touched it is told', async () => {
    await sql('CREATE TABLE guarded (id int PRIMARY KEY)');
    const watched = await watching(database, { name: 'guarded' });
    const { rows } = await sql(
      `SELECT pubname FROM pg_publication WHERE pubname LIKE 'countersign_guarded_%' ORDER BY 1`,
    );
    const [publication] = rows.map((row: { pubname: string }) => row.pubname);
    const silent = `CREATE OR REPLACE FUNCTION countersign_effects.note_writer() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$`;
    for (const [text, changes] of [
      ['DROP TRIGGER countersign_radar ON guarded', ['DROP TRIGGER countersign_radar on public.guarded']],
      [silent, ['CREATE FUNCTION countersign_effects.note_writer()']],
      [
        `ALTER PUBLICATION ${publication} DROP TABLE guarded; ALTER PUBLICATION ${publication} ADD TABLE guarded`,
        [`ALTER PUBLICATION public.guarded in publication ${publication}`],
      ],
    ] as const) {
      const told = await watched.changing(text);
      const guards = told.filter(({ kind }) => kind === 'definition');
      expect(guards.map(said), `after ${text}`).toEqual([['definition', 'guard_changed', changes, [ADMIN]]]);
      // What was not published meanwhile is a gap of its own.
      const gaps = told.filter(({ kind }) => kind === 'gap').map(({ detail }) => detail.includes('public.guarded'));
      expect(gaps).toEqual(text.startsWith('ALTER PUBLICATION') ? [true] : []);
      await sql('INSERT INTO guarded SELECT count(*) FROM guarded');
      await world.judged('guarded', database);
      expect((await watched.alerts()).at(-1)?.writers).toEqual([ADMIN]);
    }
  });

  test('whoever switches the event triggers off is not known, and what they do is', async () => {
    await sql('CREATE TABLE switched (id int PRIMARY KEY)');
    const watched = await watching(database, { name: 'switched' });
    const off = await watched.changing(
      'BEGIN; SET LOCAL event_triggers = off; ALTER TABLE switched ADD COLUMN note text NOT NULL; COMMIT',
    );
    expect(off.map(said)).toEqual([['definition', 'definition_changed', ['definition public.switched'], []]]);
    expect(off[0]?.detail).toMatch(
      /^public\.switched: its definition was changed: now column note text not null.*: nobody says who did it\.$/,
    );
    const dropped = await watched.changing('DROP EVENT TRIGGER countersign_radar_ddl');
    expect(dropped.map(said)).toEqual([['definition', 'guard_changed', ['change of what the radar made events'], []]]);
    const again = await watched.changing('ALTER TABLE switched DROP COLUMN note');
    expect(again.map(said)).toEqual([['definition', 'definition_changed', ['ALTER TABLE public.switched'], [ADMIN]]]);
  });

  test('of partitions, what is done to one is told, also that it is truncated by itself', async () => {
    await sql(`CREATE TABLE parted (id int, region int, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
      CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1); CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2)`);
    const watched = await watching(database, { name: 'parted' });
    await sql('INSERT INTO parted VALUES (1, 1), (2, 2); TRUNCATE parted_1; TRUNCATE parted');
    await world.judged('parted', database);
    expect((await watched.alerts()).map(({ changes }) => changes)).toEqual([
      // Of several statements that are sent together, one transaction is made.
      [
        { table: 'public.parted', operation: 'insert', rows: 2 },
        { table: 'public.parted', operation: 'truncate' },
      ],
    ]);
    await sql('TRUNCATE parted_1');
    await world.judged('parted', database);
    expect((await watched.alerts()).at(-1)).toMatchObject({
      changes: [{ table: 'public.parted_1', operation: 'truncate' }],
      writers: [ADMIN],
    });
    for (const [text, changes] of [
      ['ALTER TABLE parted_1 ADD CHECK (id > 0)', ['ALTER TABLE public.parted_1']],
      ['CREATE TABLE parted_3 PARTITION OF parted FOR VALUES IN (3)', ['CREATE TABLE public.parted_3']],
      ['ALTER TABLE parted DETACH PARTITION parted_3', ['ALTER TABLE public.parted']],
      ['DROP TABLE parted_2', ['DROP TABLE public.parted_2']],
    ] as const) {
      const told = await watched.changing(text);
      expect(told.map(said), `after ${text}`).toEqual([['definition', 'definition_changed', changes, [ADMIN]]]);
    }
  });

  test('what concerns nothing that is watched is not told, nor what another radar of the same database makes', async () => {
    await sql('CREATE TABLE shared (id int PRIMARY KEY); CREATE TABLE elsewhere (id int PRIMARY KEY)');
    const watched = await watching(database, { name: 'shared' });
    const whole = await watching(database, { name: 'whole', tables: ['shared'] });
    await sql(`ALTER TABLE elsewhere ADD COLUMN note text; CREATE TEMP TABLE shared_copy AS SELECT 1 AS n; DROP TABLE shared_copy;
      CREATE INDEX ON shared (id); GRANT SELECT ON shared TO PUBLIC; ANALYZE shared; CREATE FUNCTION nothing() RETURNS int LANGUAGE sql AS 'SELECT 1'`);
    await sql('VACUUM FULL shared');
    for (const one of [watched, whole]) {
      await world.judged('shared', database);
      await world.judged('whole', database);
      // Whoever goes on looks at the catalog at once.
      await one.close();
      await one.open();
    }
    const changed = whole.changing(() => watched.changing('ALTER TABLE shared ALTER id SET DEFAULT 1'));
    expect(await changed).toHaveLength(1);
    expect((await watched.alerts()).map(said)).toEqual((await whole.alerts()).map(said));
  });
});

describe('where the radar may not make event triggers', () => {
  let database: WatchedDatabase;
  let url: string;
  const sql = (text: string) => database.pool.query(text);

  beforeAll(async () => {
    database = await world.database();
    url = await database.as('keeper');
    await sql('ALTER ROLE keeper REPLICATION');
    await sql(
      `DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO keeper', current_database()); END $$; GRANT ALL ON SCHEMA public TO keeper`,
    );
  });

  test('that somebody did it is told all the same, with what it is now; and the status says what is not seen', async () => {
    await sql('CREATE TABLE kept (id int PRIMARY KEY); ALTER TABLE kept OWNER TO keeper');
    const watched = await watching(database, { name: 'kept', url });
    const [standing] = (await world.ledger.ledger.radar.sources()).filter(({ source }) => source === 'kept');
    expect(standing?.unseen).toEqual([
      expect.stringMatching(/^definitions: that one was changed is seen .* and not who did it/),
    ]);

    const [changed, ...none] = await watched.changing('ALTER TABLE kept ADD COLUMN note text');
    expect(none).toEqual([]);
    expect(changed?.detail).toContain('now column note text: nobody says who did it.');
    const touched = await watched.changing(`BEGIN; ALTER TABLE kept DISABLE TRIGGER countersign_radar;
      ALTER TABLE kept ENABLE ALWAYS TRIGGER countersign_radar; COMMIT`);
    expect(touched.map(said)).toEqual([
      ['definition', 'guard_changed', ['change of what the radar made public.kept'], []],
    ]);
    await watched.close();
    await sql('ALTER TABLE kept DROP COLUMN note');
    await watched.open();
    const later = await until(watched.alerts, (alerts) => alerts.length === 3);
    expect(later.at(-1)?.detail).toContain('its definition is another than when it was looked at last');
    // An administrator lets it know who, and whoever goes on uses that.
    await watched.close();
    for (const statement of eventTriggerStatements('countersign_effects.note_definition')) await sql(statement);
    expect(await watched.changing(() => watched.open())).toEqual([]);
    expect((await watched.changing('ALTER TABLE kept ADD COLUMN more text')).map(said)).toEqual([
      ['definition', 'definition_changed', ['ALTER TABLE public.kept'], [ADMIN]],
    ]);
    const drops = Object.values(EVENT_TRIGGERS).map((name) => `DROP EVENT TRIGGER ${name};`);
    const unwatched = await watched.changing(`BEGIN; ALTER TABLE kept ADD COLUMN last text; ${drops.join(' ')} COMMIT`);
    expect(unwatched.map(({ reason }) => reason)).toEqual(['definition_changed', 'guard_changed']);
    // What was told of the table a moment ago was told of that change.
    const gone = await watched.changing('DROP TABLE kept');
    expect(gone.map(({ detail }) => detail)).toEqual(['public.kept is gone: nobody says who did it.']);
    const back = await watched.changing('CREATE TABLE kept (id int PRIMARY KEY); ALTER TABLE kept OWNER TO keeper');
    expect(back).toEqual([]);
  });

  test('of two tables that are gone at the same time, each is told', async () => {
    const tables = ['gone', 'gone_too'];
    for (const table of tables) await sql(`CREATE TABLE ${table} (id int); ALTER TABLE ${table} OWNER TO keeper`);
    const watched = await watching(database, { name: 'gone', tables, url });
    const told = await watched.changing(`DROP TABLE ${tables.join(', ')}`);
    expect(told.map(({ detail }) => detail).toSorted()).toEqual(
      tables.map((table) => `public.${table} is gone: nobody says who did it.`),
    );
  });

  test('what two readers find who begin with the same is named the same, and made again later it is another', async () => {
    await sql('CREATE TABLE twofold (id int PRIMARY KEY); ALTER TABLE twofold OWNER TO keeper');
    const watched = await watching(database, { name: 'twofold', url });
    await watched.close();
    const { rows } = await world.ledger.pool.query<Remembered>(
      `SELECT memory, catalog FROM countersign.radar_sources WHERE source = 'twofold'`,
    );
    const remembered = rows[0] as Remembered;
    const tool = database.tool({ name: 'twofold', tables: ['twofold'], url });
    const { signal } = new AbortController();
    const found = async (): Promise<readonly ObservedDefinition[]> => {
      const reader = tool.radar?.open(remembered);
      if (reader === undefined) throw new Error('the tool has no radar');
      try {
        const { definitions } = await until(
          () => reader.read(signal),
          (observed) => observed.definitions.length > 0,
        );
        return definitions;
      } finally {
        await reader.close();
      }
    };
    await sql('ALTER TABLE twofold ADD COLUMN note text');
    const [first, second] = [await found(), await found()];
    expect(second.map(({ position }) => position)).toEqual(first.map(({ position }) => position));
    expect(first).toHaveLength(1);
    await sql('ALTER TABLE twofold ADD COLUMN more text');
    expect((await found())[0]?.position).not.toBe(first[0]?.position);

    await watched.changing(() => watched.open());
    const once = 'ALTER TABLE twofold ADD COLUMN again text';
    await watched.changing(once);
    await watched.changing('ALTER TABLE twofold DROP COLUMN again');
    await watched.changing(once);
    expect(new Set((await watched.alerts()).map(({ position }) => position)).size).toBe(4);
  });
});
