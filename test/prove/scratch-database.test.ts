/** What is made anew of a database never reaches beyond the scratch server, whatever its definitions call. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { makeScratchDatabase } from '../../src/prove/scratch/database.js';
import { neutral, openScratchServers, type ScratchServers } from '../../src/prove/scratch/servers.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';

let servers: ScratchServers;
let own: TestDatabase;
let folder: string;

beforeAll(async () => {
  const [databaseUrl, temporalAddress] = [inject('postgresUrl'), inject('temporalAddress')];
  servers = await openScratchServers({ databaseUrl, temporalAddress, env: neutral(process.env), log: () => {} });
  own = await createDatabase();
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-beyond-'));
});
afterAll(async () => {
  await servers?.stop();
  await own?.drop();
  await rm(folder, { recursive: true, force: true });
});

async function ownRows(): Promise<number> {
  const client = new pg.Client({ connectionString: own.url });
  await client.connect();
  try {
    await client.query('CREATE TABLE IF NOT EXISTS paid (id int)');
    return (await client.query('SELECT * FROM paid')).rows.length;
  } finally {
    await client.end();
  }
}

test.each([
  ['another server', () => `PERFORM dblink_exec('${own.url}', 'INSERT INTO paid VALUES (1)')`],
  ['a program', () => `COPY (SELECT 1) TO PROGRAM 'cat > ${path.join(folder, 'ran')}'`],
])('a trigger that calls %s does not reach it, and its table is left out with why', async (_, call) => {
  expect(await ownRows()).toBe(0);
  const statements = [
    'CREATE EXTENSION dblink',
    `CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN ${call()}; RETURN new; END $$`,
    'CREATE TABLE told (id int PRIMARY KEY, n int NOT NULL)',
    'CREATE TABLE quiet (id int PRIMARY KEY, n int NOT NULL)',
    'CREATE TRIGGER tell BEFORE INSERT OR UPDATE ON told FOR EACH ROW EXECUTE FUNCTION tell()',
  ];
  const made = await makeScratchDatabase(servers, {
    tool: 'shop-db',
    statements,
    rows: 2,
    secret: 'canary',
    marked: {},
  });
  try {
    expect(made.tables.map(({ table }) => table)).toEqual(['quiet']);
    expect(made.leftOut).toEqual([
      expect.stringContaining('CREATE EXTENSION dblink: permission denied'),
      expect.stringMatching(
        /^no rows for told: (function dblink_exec|permission denied to COPY to or from an external program)/,
      ),
    ]);
    expect(await ownRows()).toBe(0);
    expect(await readdir(folder)).toEqual([]);
    await made.change('UPDATE quiet SET n = 9');
    expect(await made.query('SELECT DISTINCT n FROM quiet')).toEqual([{ n: 9 }]);
  } finally {
    await made.close();
  }
});
