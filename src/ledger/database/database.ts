/** The way to Postgres: the pool, prepared and pipelined statements, and what happens when a connection breaks. */
import { Kysely, PostgresDialect, sql, type RawBuilder } from 'kysely';
import pg from 'pg';
import { CountersignError } from '../../action/errors.js';
import { ledgerError, lostConnection } from './failure.js';
import type { LedgerTables } from './tables.js';

export interface DatabaseOptions {
  /** `postgres://user:password@host:port/database`. */
  readonly url: string;
  /** The Postgres schema that holds the ledger's tables. Default `countersign`. */
  readonly schema?: string;
  /** Most connections at once. Default 10. */
  readonly poolSize?: number;
  /** How long to wait for a connection, milliseconds. Default 5000. */
  readonly connectTimeoutMs?: number;
  /** How long one statement may take, waiting for locks included, milliseconds. Default 10000. */
  readonly statementTimeoutMs?: number;
}

/** A statement that each connection parses once, under this name. Its text may not vary. */
export interface PreparedStatement<Row> {
  readonly name: string;
  readonly query: RawBuilder<Row>;
}

/** One connection, for one transaction. Statements go out at once, without awaiting the ones before: several in one round trip. */
export interface TransactionSession {
  rows<Row>(statement: PreparedStatement<Row>): Promise<readonly Row[]>;
  run(command: 'begin' | 'commit'): Promise<void>;
}

/** A name that needs no quoting, so that people can type it in psql. */
const SCHEMA_PATTERN = /^[a-z_][a-z0-9_]{0,62}$/;

const DEFAULT_CONNECT_TIMEOUT_MS = 5000;

/**
 * The ledger asks for a few rows by their keys, in a few large statements: one plan is right for all of them, whatever the arguments,
 * and making it costs more than carrying it out (an admission takes 0.3 ms instead of 0.9). It must use the indexes also while the
 * tables are small, because it outlives that.
 */
const PLANNING = 'set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set jit = off';

/** When all connections broke at once, the first fresh one may be the third that the pool hands out. */
const ATTEMPTS = 3;

/**
 * The connection of a process to its Postgres: the process makes one, hands it to whatever keeps tables there, and closes it. `Tables` are
 * those that the holder knows; see `withTables`.
 */
export class Database<Tables = LedgerTables> {
  readonly schema: string;
  /** The server and database, without user and password. */
  readonly place: string;
  /** For statements that are not hot, and for migrations. Its errors are raw: use it inside `ask`. */
  readonly kysely: Kysely<Tables>;
  readonly #options: Required<Pick<DatabaseOptions, 'url' | 'connectTimeoutMs'>>;
  readonly #pool: pg.Pool;
  #closing: Promise<void> | undefined;

  /** Opens nothing yet: the first statement does. @throws CountersignError CONFIG_INVALID */
  constructor(options: DatabaseOptions) {
    this.schema = checkSchema(options.schema ?? 'countersign');
    this.place = placeOf(options.url);
    const connectTimeoutMs = options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS;
    this.#options = { url: options.url, connectTimeoutMs };
    const statementTimeoutMs = options.statementTimeoutMs ?? 10_000;
    this.#pool = new pg.Pool({
      connectionString: options.url,
      max: options.poolSize ?? 10,
      connectionTimeoutMillis: connectTimeoutMs,
      // 0 means no limit, to the server and to pg alike.
      statement_timeout: statementTimeoutMs,
      idle_in_transaction_session_timeout: statementTimeoutMs,
      // The server's own limit comes first; this one is for a server that no longer speaks.
      query_timeout: statementTimeoutMs === 0 ? 0 : statementTimeoutMs + connectTimeoutMs,
      keepAlive: true,
      // Also what makes pg give a connection up, not only a statement, when `query_timeout` is over.
      pipeline: true,
      fallback_application_name: 'countersign',
    });
    // A connection that breaks between statements is seen by the next one; unheard, the event would end the process.
    this.#pool.on('error', () => {});
    this.#pool.on('connect', (client) => {
      client.on('error', () => {});
      // Ahead of the first statement, without a round trip of its own. Where it is refused the ledger is slower, and as right.
      client.query(PLANNING).catch(() => {});
    });
    this.kysely = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: this.#pool }) }).withSchema(this.schema);
  }

  /** The qualified name of a table, for raw statements. */
  table(name: keyof Tables & string): RawBuilder<unknown> {
    return sql.id(this.schema, name);
  }

  /** The same database, for a part that keeps other tables in the same schema. */
  withTables<Other>(): Database<Other> {
    // The type parameter is about statements that are still to be written; nothing in this object depends on it.
    return this as unknown as Database<Other>;
  }

  /**
   * Does something with the database; once more on a fresh connection when the one it had broke. The work must bear repeating.
   *
   * @throws CountersignError LEDGER_UNAVAILABLE (retryable), INVALID_TEXT, INTERNAL
   */
  async ask<T>(work: (kysely: Kysely<Tables>) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      // Retryable, because it is this process that ends: another one can still ask.
      if (this.#closing !== undefined)
        throw new CountersignError('LEDGER_UNAVAILABLE', 'The ledger is closed.', { retryable: true });
      try {
        return await work(this.kysely);
      } catch (error) {
        if (attempt < ATTEMPTS && lostConnection(error)) continue;
        throw ledgerError(error, this.place);
      }
    }
  }

  /** Runs one prepared statement that bears repeating. One round trip. @throws as `ask` */
  rows<Row>(statement: PreparedStatement<Row>): Promise<readonly Row[]> {
    const query = this.#prepare(statement);
    return this.ask(async () => (await this.#pool.query<pg.QueryResultRow & Row>(query)).rows);
  }

  /**
   * Gives the work a connection of its own for a transaction. What it began and did not commit is rolled back. The work must bear
   * repeating.
   *
   * @throws as `ask`; CountersignErrors of the work pass through
   */
  transaction<T>(work: (session: TransactionSession) => Promise<T>): Promise<T> {
    return this.ask(() => this.#session(work));
  }

  async #session<T>(work: (session: TransactionSession) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    let open = false;
    let broken = false;
    try {
      return await work({
        rows: async <Row>(statement: PreparedStatement<Row>) =>
          (await client.query<pg.QueryResultRow & Row>(this.#prepare(statement))).rows,
        run: async (command) => {
          open = true;
          await client.query(command);
          if (command === 'commit') open = false;
        },
      });
    } finally {
      if (open) {
        await client.query('rollback').catch(() => {
          broken = true;
        });
      }
      client.release(broken);
    }
  }

  /**
   * Gives the work connections of their own without a limit on statements, which setting tables up needs, and closes them.
   *
   * @throws as `ask`; CountersignErrors of the work pass through
   */
  async unlimited<T>(work: (kysely: Kysely<unknown>) => Promise<T>): Promise<T> {
    const pool = new pg.Pool({
      connectionString: this.#options.url,
      max: 2,
      connectionTimeoutMillis: this.#options.connectTimeoutMs,
      fallback_application_name: 'countersign setup',
    });
    pool.on('error', () => {});
    pool.on('connect', (client) => client.on('error', () => {}));
    const kysely = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) });
    try {
      return await this.ask(() => work(kysely));
    } finally {
      await pool.end();
    }
  }

  /** Waits for statements under way, then closes every connection. Safe to call twice. */
  close(): Promise<void> {
    this.#closing ??= this.#pool.end();
    return this.#closing;
  }

  #prepare<Row>(statement: PreparedStatement<Row>): pg.QueryConfig<unknown[]> {
    const compiled = statement.query.compile(this.kysely);
    return { name: statement.name, text: compiled.sql, values: [...compiled.parameters] };
  }
}

function checkSchema(schema: string): string {
  if (SCHEMA_PATTERN.test(schema)) return schema;
  throw new CountersignError('CONFIG_INVALID', `"${schema}" cannot be the ledger's schema.`, {
    field: 'ledger.schema',
    expected: 'lower-case letters, digits and _, at most 63',
    fix: 'Choose such a name.',
  });
}

/** No error here may repeat the address: it holds the password. */
function placeOf(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw badUrl();
  }
  if (parsed.protocol !== 'postgres:' && parsed.protocol !== 'postgresql:') throw badUrl();
  // An unescaped "#" in a password would make a part of it the host or the port.
  if (parsed.hash !== '') throw badUrl();
  const host = parsed.searchParams.get('host') ?? decodeURIComponent(parsed.hostname);
  const port = parsed.searchParams.get('port') ?? parsed.port;
  return `${host === '' ? 'localhost' : host}:${port === '' ? '5432' : port}${parsed.pathname}`;
}

function badUrl(): CountersignError {
  return new CountersignError('CONFIG_INVALID', 'The address of the ledger is not a Postgres URL.', {
    field: 'ledger.url',
    expected: 'postgres://user:password@host:port/database',
    fix: 'Correct it; in user and password, write reserved characters as %XX.',
  });
}
