/**
 * The database that a tool acts on in the scratch world: made of definitions, filled with made-up rows, with a journal of its own. Definitions may
 * lead elsewhere: a trigger that calls another server, a foreign table, a program. So all of it is made, filled and changed by roles that are no
 * superusers, to whom the server gives nothing of the kind.
 */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { CountersignError } from '../../action/errors.js';
import { JOURNAL_SQL, journalTrigger } from './journal.js';
import { scratchName, type ScratchServers } from './servers.js';
import { fillTables, type FilledTable } from './rows.js';

export interface ScratchDatabase {
  /** Of the tool's own role, whose password is the canary. */
  readonly toolUrl: string;
  readonly tables: readonly FilledTable[];
  /** What could not be made or filled, in words. */
  readonly leftOut: readonly string[];
  /** Removes it. */
  close(): Promise<void>;
  /** As a role of its own: what somebody else does to the rows. */
  change(text: string, values?: readonly unknown[]): Promise<void>;
  /** As the administrator: what is seen of it, and what is done to its definitions. */
  query<Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<readonly Row[]>;
}

interface ScratchDatabaseOptions {
  readonly tool: string;
  /** In their order; what fails is tried again after the others. */
  readonly statements: readonly string[];
  /** Rows in each table. */
  readonly rows: number;
  /** The password of the tool's role. */
  readonly secret: string;
  /** Values that columns of these names get, where they are texts. */
  readonly marked: Readonly<Record<string, string>>;
}

/** How often what failed is tried again: a function may need a table, and a table a function. */
const PASSES = 3;

/** @throws CountersignError CONFIG_INVALID where no table could be made and filled */
export async function makeScratchDatabase(
  servers: ScratchServers,
  options: ScratchDatabaseOptions,
): Promise<ScratchDatabase> {
  const name = scratchName(options.tool);
  const url = await servers.createDatabase(name);
  const [role, maker] = ['tool', 'maker'].map(
    (who) => `countersign_prove_${who}_${randomBytes(5).toString('hex')}`,
  ) as [string, string];
  const password = randomBytes(18).toString('base64url');
  const urlOf = (user: string, secret: string): string =>
    Object.assign(new URL(url), { username: user, password: secret }).href;
  const [pool, making] = [url, urlOf(maker, password)].map(
    (connectionString) => new pg.Pool({ connectionString, max: 2 }),
  ) as [pg.Pool, pg.Pool];
  for (const one of [pool, making]) one.on('error', () => {});
  const end = async (): Promise<void> => {
    await Promise.all([pool.end(), making.end()]);
    await servers.administer(`DROP DATABASE IF EXISTS ${pg.escapeIdentifier(name)} WITH (FORCE)`);
    for (const one of [role, maker]) await servers.administer(`DROP ROLE IF EXISTS ${one}`);
  };
  try {
    await pool.query(`CREATE ROLE ${maker} LOGIN NOSUPERUSER PASSWORD ${pg.escapeLiteral(password)};
      GRANT CREATE ON DATABASE ${pg.escapeIdentifier(name)} TO ${maker}; GRANT ALL ON SCHEMA public TO ${maker}`);
    const leftOut = await makeDefinitions(making, options.statements);
    const filled = await fillTables(making, options);
    if (filled.tables.length === 0) throw nothingMade(options.tool, [...leftOut, ...filled.leftOut]);
    await pool.query(JOURNAL_SQL);
    for (const { sql } of filled.tables) await pool.query(journalTrigger(sql));
    await pool.query(`CREATE ROLE ${role} LOGIN NOSUPERUSER PASSWORD ${pg.escapeLiteral(options.secret)}`);
    await pool.query(rightsOf(role, name, filled.tables, maker));
    await pool.query('ANALYZE');
    return {
      toolUrl: urlOf(role, options.secret),
      tables: filled.tables,
      leftOut: [...leftOut, ...filled.leftOut],
      close: end,
      change: async (text, values = []) => {
        await making.query(text, [...values]);
      },
      query: async <Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []) =>
        (await pool.query<Row>(text, [...values])).rows,
    };
  } catch (error) {
    await end().catch(() => {});
    throw error;
  }
}

async function makeDefinitions(pool: pg.Pool, statements: readonly string[]): Promise<readonly string[]> {
  const client = await pool.connect();
  try {
    await client.query('SET check_function_bodies = off');
    let [waiting, failed] = [statements, [] as { statement: string; why: string }[]];
    for (let pass = 0; pass < PASSES && waiting.length > 0; pass++) {
      failed = [];
      for (const statement of waiting) {
        await client
          .query(statement)
          .catch((error: unknown) => failed.push({ statement, why: (error as Error).message }));
      }
      waiting = failed.map(({ statement }) => statement);
    }
    return failed.map(({ statement, why }) => `${statement.slice(0, 80).replaceAll(/\s+/g, ' ')}: ${why}`);
  } finally {
    // It may have a search path of its own now.
    client.release(true);
  }
}

/** It owns the tables, so that changes of their definitions can be tried too; the journal is not its own. */
function rightsOf(role: string, database: string, tables: readonly FilledTable[], maker: string): string {
  const schemas = [...new Set(tables.map(({ schema }) => pg.escapeIdentifier(schema)))];
  return [
    `GRANT CREATE ON DATABASE ${pg.escapeIdentifier(database)} TO ${role}`,
    ...schemas.flatMap((schema) => [
      `GRANT USAGE, CREATE ON SCHEMA ${schema} TO ${role}`,
      `GRANT USAGE ON ALL SEQUENCES IN SCHEMA ${schema} TO ${role}`,
    ]),
    ...tables.flatMap(({ sql }) => [`ALTER TABLE ${sql} OWNER TO ${role}`, `GRANT ALL ON ${sql} TO ${maker}`]),
  ].join('; ');
}

function nothingMade(tool: string, leftOut: readonly string[]): CountersignError {
  return new CountersignError('CONFIG_INVALID', `No table of the tool ${tool} could be made and filled anew.`, {
    field: tool,
    expected: 'definitions of at least one table with a primary key',
    fix: `Give them with --schema ${tool}=FILE (pg_dump --schema-only). ${leftOut.slice(0, 3).join('; ')}`,
  });
}
