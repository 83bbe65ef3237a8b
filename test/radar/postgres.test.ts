/** What is written to a watched database past Countersign is found, and nothing else is. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../support/until.js';
import { radarWorld, type RadarWorld, type WatchedDatabase } from './world.js';

let world: RadarWorld;

beforeAll(async () => {
  world = await radarWorld();
});
afterAll(async () => {
  await world?.stop();
});

const TABLES = `CREATE TABLE orders (id int PRIMARY KEY, status text NOT NULL DEFAULT 'open');
  CREATE TABLE uncovered (id int PRIMARY KEY)`;

/** Until the radar watches: what is written before is not its matter. */
async function watching(source: string): Promise<void> {
  await until(
    () => world.ledger.ledger.radar.sources(),
    (all) =>
      all.some(
        (one) => one.source === source && one.state === 'watching' && one.position !== '' && one.watched.length > 0,
      ),
  );
}

/** Until everything that was committed by now is judged. */
async function judged(source: string, { pool }: WatchedDatabase): Promise<void> {
  const { rows } = await pool.query<{ lsn: string }>('SELECT pg_current_wal_lsn() AS lsn');
  await until(
    async () => {
      const standing = (await world.ledger.ledger.radar.sources()).find((one) => one.source === source);
      const { rows: reached } = await pool.query<{ reached: boolean }>('SELECT $1::pg_lsn >= $2::pg_lsn AS reached', [
        standing?.position === '' ? '0/0' : standing?.position,
        rows[0]?.lsn,
      ]);
      return reached[0]?.reached;
    },
    (reached) => reached === true,
  );
}

test('of 1,000 governed and 100 ungoverned writes by four kinds of writers, exactly the 100 are found', async () => {
  const database = await world.database();
  await database.pool.query(`${TABLES};
    CREATE FUNCTION leak() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO orders VALUES (new.id); RETURN new; END $$;
    CREATE TRIGGER leak AFTER INSERT ON uncovered FOR EACH ROW EXECUTE FUNCTION leak()`);
  const tool = database.tool({ name: 'thousand', tables: ['orders'] });
  const { found } = await database.watch(tool);
  await watching('thousand');
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
    await judged('thousand', database);
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
