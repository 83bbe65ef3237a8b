/** Brings tables to the shape that this version needs: SQL files, each run once. */
import { readFile } from 'node:fs/promises';
import { Migrator, sql, type Kysely, type Migration } from 'kysely';
import { CountersignError } from '../../action/errors.js';
import type { Database } from './database.js';

/** The tables of one part, which are set up apart from those of any other. */
export interface TableSet {
  /** The table in which it is kept what was run. */
  readonly versions: string;
  /**
   * SQL files by name, run in the order of their names. In them the schema is written `countersign`. What was released is never edited: the
   * next change is a file of its own.
   */
  readonly migrations: Readonly<Record<string, URL>>;
}

/**
 * Runs what is pending, in one transaction, while others who try wait (Kysely's Migrator holds an advisory lock). It has connections
 * of its own, because neither that wait nor a migration of large tables may run into the statement timeout.
 *
 * @returns the names of the migrations that this call ran
 * @throws CountersignError LEDGER_UNAVAILABLE; CONFIG_INVALID when the database's encoding is not UTF8, or a newer Countersign set
 *   the schema up
 */
export function migrate<T>(database: Database<T>, tables: TableSet): Promise<readonly string[]> {
  return database.unlimited(async (kysely) => {
    await checkEncoding(kysely, database.place);
    const { error, results = [] } = await migrator(kysely, database.schema, tables).migrateToLatest();
    if (error !== undefined) throw migrationError(error, database);
    return results.map((result) => result.migrationName);
  });
}

/** The names of the migrations that have not run. @throws CountersignError LEDGER_UNAVAILABLE */
export function pendingMigrations<T>(database: Database<T>, tables: TableSet): Promise<readonly string[]> {
  return database.ask(async (kysely) => {
    const all = await migrator(kysely, database.schema, tables).getMigrations();
    return all.filter((migration) => migration.executedAt === undefined).map((migration) => migration.name);
  });
}

/** Whoever works on tables of another version fails at every request, one by one. @throws CountersignError LEDGER_UNAVAILABLE */
export function assertSetUp(pending: readonly string[]): void {
  if (pending.length === 0) return;
  throw new CountersignError(
    'LEDGER_UNAVAILABLE',
    `The ledger is not set up for this version: ${pending.join(', ')} to run.`,
    { field: 'COUNTERSIGN_LEDGER_URL', expected: 'a ledger that is up to date', fix: 'Run `countersign setup`.' },
  );
}

function migrator<T>(db: Kysely<T>, schema: string, tables: TableSet): Migrator {
  const migrations: Record<string, Migration> = {};
  for (const [name, file] of Object.entries(tables.migrations)) {
    migrations[name] = {
      up: async (kysely: Kysely<unknown>) => {
        const text = await readFile(file, 'utf8');
        await sql.raw(text.replaceAll(/\bcountersign\./g, `"${schema}".`)).execute(kysely);
      },
    };
  }
  return new Migrator({
    db,
    provider: { getMigrations: () => Promise.resolve(migrations) },
    migrationTableSchema: schema,
    migrationTableName: tables.versions,
    migrationLockTableName: `${tables.versions}_lock`,
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

function migrationError(error: unknown, database: { readonly schema: string; readonly place: string }): unknown {
  if (!(error instanceof Error) || !error.message.startsWith('corrupted migrations')) return error;
  return new CountersignError(
    'CONFIG_INVALID',
    `The schema "${database.schema}" at ${database.place} was set up by another version: ${error.message}`,
    { field: 'ledger.schema', fix: 'Use the version of Countersign that set it up, or a newer one.', cause: error },
  );
}
