import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { Ledger } from '../../src/ledger/index.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { admission, recordOutcome, settlement, times } from './support.js';

const ALL = ['0001-ledger', '0002-trail', '0003-radar', '0004-canaries', '0005-trail-grants'];

describe('setting the ledger up', () => {
  let database: TestDatabase;
  const opened: Ledger[] = [];
  const connect = async (schema: string): Promise<Ledger> => {
    const ledger = await Ledger.connect({ url: database.url, schema });
    opened.push(ledger);
    return ledger;
  };

  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(async () => {
    await Promise.all(opened.map((ledger) => ledger.close()));
    await database.drop();
  });

  test('runs every migration once, and nothing the second time', async () => {
    const ledger = await connect('twice');
    expect(await ledger.pendingMigrations()).toEqual(ALL);
    expect(await ledger.migrate()).toEqual(ALL);
    expect(await ledger.migrate()).toEqual([]);
    expect(await ledger.pendingMigrations()).toEqual([]);
  });

  test('five workers that set up the same schema at once do it once, and all can work', async () => {
    for (const schema of ['race_a', 'race_b', 'race_c']) {
      const ledgers = await times(5, () => connect(schema));
      const ran = await Promise.all(ledgers.map((ledger) => ledger.migrate()));
      expect(ran.flat()).toEqual(ALL);
      const admitted = await Promise.all(
        ledgers.map((ledger, index) => ledger.actions.admit(admission({ tenant: 'acme', actionId: `a-${index}` }))),
      );
      expect(admitted).toMatchObject(ledgers.map(() => ({ kind: 'admitted' })));
    }
  });

  test('two schemas in one database know nothing of each other', async () => {
    const [one, other] = [await connect('one'), await connect('other')];
    await Promise.all([one.migrate(), other.migrate()]);
    await recordOutcome(one, settlement({ tenant: 'acme', actionId: 'a-1' }));
    expect(await other.actions.find('acme', 'a-1')).toBeUndefined();
    expect(await other.receipts.tenants()).toEqual([]);
  });

  test('a ledger that was not set up says how to, on every call', async () => {
    const ledger = await connect('absent');
    const refused = { code: 'LEDGER_UNAVAILABLE', retryable: true, fix: 'Run `countersign setup`.' };
    await expect(ledger.actions.find('acme', 'a-1')).rejects.toMatchObject(refused);
    await expect(ledger.actions.admit(admission({ tenant: 'acme', actionId: 'a-1' }))).rejects.toMatchObject(refused);
    await expect(recordOutcome(ledger, settlement({ tenant: 'acme', actionId: 'a-1' }))).rejects.toMatchObject(refused);
    await expect(ledger.controls.freezes()).rejects.toMatchObject(refused);
    await expect(ledger.receipts.list('acme')[Symbol.asyncIterator]().next()).rejects.toMatchObject(refused);
    expect(await ledger.health()).toMatchObject({ pending: ALL, writable: true, schema: 'absent' });
  });

  test('a schema that a newer version set up is left alone', async () => {
    const ledger = await connect('newer');
    await ledger.migrate();
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query(
      `insert into newer.ledger_versions (name, timestamp) values ('9999-from-the-future', now()::text)`,
    );
    await client.end();
    await expect(ledger.migrate()).rejects.toMatchObject({ code: 'CONFIG_INVALID', field: 'ledger.schema' });
  });

  test('a failed migration leaves nothing behind', async () => {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query('create schema taken; create table taken.policies (mine int)');
    const ledger = await connect('taken');
    await expect(ledger.migrate()).rejects.toMatchObject({ code: 'INTERNAL' });
    const { rows } = await client.query(
      `select table_name from information_schema.tables where table_schema = 'taken' order by 1`,
    );
    expect(rows.map((row) => row.table_name)).toEqual(['ledger_versions', 'ledger_versions_lock', 'policies']);
    await client.query('drop table taken.policies');
    expect(await ledger.migrate()).toEqual(ALL);
    await client.end();
  });

  test('a database that cannot hold all of Unicode is refused', async () => {
    const admin = new pg.Client({ connectionString: inject('postgresUrl') });
    await admin.connect();
    const name = `latin_${process.pid}`;
    await admin.query(`create database ${name} encoding 'LATIN1' locale_provider libc locale 'C' template template0`);
    const url = new URL(database.url);
    url.pathname = `/${name}`;
    const ledger = await Ledger.connect({ url: url.href });
    await expect(ledger.migrate()).rejects.toMatchObject({ code: 'CONFIG_INVALID', field: 'ledger.url' });
    await ledger.close();
    await admin.query(`drop database ${name} with (force)`);
    await admin.end();
  });

  test.each(['Public', 'a-b', '1a', '', 'a"; drop schema public; --', 'x'.repeat(64)])(
    'a schema named %j is refused before anything is sent',
    async (schema) => {
      await expect(Ledger.connect({ url: database.url, schema })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    },
  );
});
