/** Brings the ledger's schema to the shape that this version needs. */
import { Kysely, Migrator, PostgresDialect, sql, type Migration } from 'kysely';
import pg from 'pg';
import { CountersignError } from '../action/errors.js';
import type { Database } from './database.js';
import { up as ledger } from './migrations/0001-ledger.js';
import { up as limits } from './migrations/0002-limits.js';
import { up as returns } from './migrations/0003-returned-grants.js';
import { up as passkeys } from './migrations/0004-passkeys.js';
import { up as standing } from './migrations/0005-standing.js';
import { up as asks } from './migrations/0006-asks.js';
import { up as gateway } from './migrations/0007-gateway.js';

type Up = (db: Kysely<unknown>, schema: string) => Promise<void>;

/** In order, by name. What was released is never edited: the next change is a new one. */
const MIGRATIONS: Readonly<Record<string, Up>> = {
  '0001-ledger': ledger,
  '0002-limits': limits,
  '0003-returned-grants': returns,
  '0004-passkeys': passkeys,
  '0005-standing': standing,
  '0006-asks': asks,
  '0007-gateway': gateway,
};

/**
 * Runs what is pending, in one transaction, while others who try wait (Kysely's Migrator holds an advisory lock). Has connections
 * of its own, because neither that wait nor a migration of large tables may run into the statement timeout.
 *
 * @returns the names of the migrations that this call ran
 * @throws CountersignError LEDGER_UNAVAILABLE; CONFIG_INVALID when the database's encoding is not UTF8, or a newer Countersign set
 *   the schema up
 */
export async function migrate(database: Database, url: string, connectTimeoutMs: number): Promise<readonly string[]> {
  const pool = new pg.Pool({
    connectionString: url,
    max: 2,
    connectionTimeoutMillis: connectTimeoutMs,
    fallback_application_name: 'countersign setup',
  });
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  const kysely = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) });
  try {
    return await database.ask(async () => {
      await checkEncoding(kysely, database.place);
      const { error, results = [] } = await migrator(kysely, database.schema).migrateToLatest();
      if (error !== undefined) throw migrationError(error, database);
      return results.map((result) => result.migrationName);
    });
  } finally {
    await pool.end();
  }
}

/** The names of the migrations that have not run. @throws CountersignError LEDGER_UNAVAILABLE */
export function pendingMigrations(database: Database): Promise<readonly string[]> {
  return database.ask(async (kysely) => {
    const all = await migrator(kysely, database.schema).getMigrations();
    return all.filter((migration) => migration.executedAt === undefined).map((migration) => migration.name);
  });
}

function migrator<T>(db: Kysely<T>, schema: string): Migrator {
  const migrations: Record<string, Migration> = {};
  for (const [name, up] of Object.entries(MIGRATIONS)) {
    migrations[name] = { up: (db: Kysely<unknown>) => up(db, schema) };
  }
  return new Migrator({
    db,
    provider: { getMigrations: () => Promise.resolve(migrations) },
    migrationTableSchema: schema,
    migrationTableName: 'migrations',
    migrationLockTableName: 'migrations_lock',
  });
}

async function checkEncoding(kysely: Kysely<unknown>, place: string): Promise<void> {
  const { rows } = await sql<{ server_encoding: string }>`show server_encoding`.execute(kysely);
  const encoding = rows[0]?.server_encoding;
  if (encoding === 'UTF8') return;
  throw new CountersignError('CONFIG_INVALID', `The database ${place} has the encoding ${encoding}.`, {
    field: 'ledger.url',
    expected: 'a database with the encoding UTF8',
    fix: "Create one: create database countersign encoding 'UTF8' template template0.",
  });
}

function migrationError(error: unknown, database: Database): unknown {
  if (!(error instanceof Error) || !error.message.startsWith('corrupted migrations')) return error;
  return new CountersignError(
    'CONFIG_INVALID',
    `The schema "${database.schema}" at ${database.place} was set up by another version: ${error.message}`,
    { field: 'ledger.schema', fix: 'Use the version of Countersign that set it up, or a newer one.', cause: error },
  );
}
