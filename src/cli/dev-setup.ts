/** What `countersign dev` prepares on its servers before the worker starts. */
import { rm, writeFile } from 'node:fs/promises';
import pg from 'pg';
import { asCountersignError } from '../action/errors.js';
import { onShutdown, type PostgresServer } from '../dev/index.js';
import { setUpTables } from '../gateway/store/set-up.js';
import { Database } from '../ledger/index.js';
import { shellQuoted } from './shell-quote.js';

/** Returns the migrations that ran. */
export async function prepareLedger(url: string): Promise<readonly string[]> {
  const database = new Database({ url, poolSize: 2 });
  try {
    return await setUpTables(database);
  } finally {
    await database.close();
  }
}

/**
 * A database for tools on the embedded Postgres, beside the ledger's. On a server of somebody else's none is made: its own address
 * is returned.
 */
export async function createAppDatabase({ url, external }: PostgresServer, name: string): Promise<string> {
  if (external) return url;
  const client = new pg.Client({ connectionString: url });
  try {
    await client.connect();
    const { rowCount } = await client.query('select from pg_database where datname = $1', [name]);
    if (rowCount === 0) await client.query(`create database ${pg.escapeIdentifier(name)}`);
  } catch (error) {
    throw asCountersignError(error, 'LEDGER_UNAVAILABLE');
  } finally {
    await client.end();
  }
  const own = new URL(url);
  own.pathname = `/${name}`;
  return own.href;
}

/** A file for `source`, readable by its owner only: it holds the ledger's password. Gone again when the servers are. */
export async function writeEnvironment(file: string, exports: Readonly<Record<string, string>>): Promise<string> {
  const lines = Object.entries(exports).map(([name, value]) => `export ${name}=${shellQuoted(value)}\n`);
  await rm(file, { force: true });
  await writeFile(file, lines.join(''), { mode: 0o600 });
  onShutdown('the environment file', () => rm(file, { force: true }));
  return file;
}
