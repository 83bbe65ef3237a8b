/** Sessions with the database: a pool that opens when first needed, one snapshot for reads together, and cancellation on the server. */
import pg from 'pg';
import { CountersignError } from '../../action/errors.js';
import { asFailure, isConnectionLost } from './failure.js';
import { fromPostgres, isUnknownType, type Parameter, type ValueType } from './values.js';
import type { Json } from '../../action/json.js';

export interface Query {
  readonly text: string;
  readonly values?: readonly Parameter[];
}

/** The result of a query: rows as the server's text, in the order of `fields`. */
export interface QueryResult {
  readonly fields: readonly { readonly name: string; readonly oid: number }[];
  readonly rows: readonly (readonly (string | null)[])[];
  /** The number of rows returned or changed. */
  readonly count: number;
  readonly command: string;
}

export interface PostgresConnectionOptions {
  readonly tool: string;
  readonly client: pg.ClientConfig;
  readonly schema: string;
  readonly timeoutMs: number;
  readonly maxConnections: number;
}

/** The longest time to connect. Milliseconds. */
const CONNECT_MS = 10_000;

/** How much longer than the server's own timeout a result may take before the connection counts as lost. Milliseconds. */
const SILENCE_MS = 2_000;

/** Keeps pg from decoding values, because values.ts does so exactly. */
const AS_TEXT = { getTypeParser: () => (text: string) => text };

export class PostgresDatabase {
  readonly #options: PostgresConnectionOptions;
  #pool: pg.Pool | undefined;
  /** Element types of all array types, and the oids that were looked for. */
  readonly #elements = new Map<number, number>();
  readonly #known = new Set<number>();
  #loaded = false;

  constructor(options: PostgresConnectionOptions) {
    this.#options = options;
  }

  /** The same database for another role. */
  as(client: pg.ClientConfig): PostgresDatabase {
    return new PostgresDatabase({ ...this.#options, client });
  }

  /**
   * Runs the queries in one READ ONLY snapshot and one round trip.
   *
   * @param timeoutMs of each query; the tool's unless given
   * @throws CountersignError, as asFailure makes them; TOOL_UNAVAILABLE when the signal aborts
   */
  async read(
    queries: readonly Query[],
    signal: AbortSignal,
    timeoutMs = this.#options.timeoutMs,
  ): Promise<readonly QueryResult[]> {
    const session = await this.session();
    try {
      const begin = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ${this.settings(timeoutMs)}`;
      const all = [{ text: begin }, ...queries, { text: 'COMMIT' }];
      const results = await session.run(all, signal);
      await this.learnTypes(session, results.slice(1, -1));
      session.release();
      return results.slice(1, -1);
    } catch (error) {
      // After an error, the COMMIT that was sent along has rolled back. A session that broke or was cancelled is not reused.
      session.release(isConnectionLost(error) || signal.aborted);
      if (signal.aborted) throw cancelled(this.#options.tool, error);
      throw asFailure(error, { tool: this.#options.tool, phase: 'reading' });
    }
  }

  /** Takes a connection from the pool. @throws CountersignError TOOL_UNAVAILABLE */
  async session(): Promise<PostgresSession> {
    this.#pool ??= this.#open();
    try {
      return new PostgresSession(await this.#pool.connect(), (pid) => this.#cancel(pid));
    } catch (error) {
      throw asFailure(error, { tool: this.#options.tool, phase: 'reading' });
    }
  }

  /**
   * The SQL that fixes every setting on which the meaning of a text depends. It applies to this transaction only, so that a pooler may
   * share the session. Strings are standard, as in the parser, and values have the forms that values.ts reads.
   */
  settings(timeoutMs: number): string {
    const ms = Math.max(1, Math.floor(timeoutMs));
    return [
      `SET LOCAL search_path = ${pg.escapeIdentifier(this.#options.schema)}, pg_temp`,
      `SET LOCAL statement_timeout = ${ms}`,
      `SET LOCAL lock_timeout = ${ms}`,
      `SET LOCAL idle_in_transaction_session_timeout = ${ms}`,
      'SET LOCAL standard_conforming_strings = on',
      'SET LOCAL transform_null_equals = off',
      `SET LOCAL timezone = 'UTC'`,
      'SET LOCAL datestyle = ISO',
      'SET LOCAL intervalstyle = iso_8601',
      'SET LOCAL bytea_output = hex',
      'SET LOCAL extra_float_digits = 1',
    ].join('; ');
  }

  /** Converts rows to JSON objects. Repeated names of columns are numbered: `id`, `id (2)`. */
  objects(result: QueryResult): readonly { readonly [column: string]: Json }[] {
    const names = numbered(result.fields.map((field) => field.name));
    const types = result.fields.map((field) => this.#type(field.oid));
    return result.rows.map((row) =>
      // fromEntries, unlike assignment, makes an own property for a column of any name.
      Object.fromEntries(row.map((text, at) => [names[at] ?? '', fromPostgres(text, types[at] ?? { oid: 0 })])),
    );
  }

  #type(oid: number): ValueType {
    return { oid, element: this.#elements.get(oid) };
  }

  /** Loads the array types in the results, which `objects` needs. */
  async learnTypes(session: PostgresSession, results: readonly QueryResult[]): Promise<void> {
    const oids = results.flatMap((result) => result.fields.map((field) => field.oid));
    if (this.#loaded && !oids.some((oid) => isUnknownType(oid, this.#known))) return;
    const [types] = await session.run([
      { text: `SELECT oid, typelem FROM pg_type WHERE typcategory = 'A' AND typdelim = ','` },
    ]);
    for (const [oid, element] of types?.rows ?? []) this.#elements.set(Number(oid), Number(element));
    for (const oid of oids) this.#known.add(oid);
    this.#loaded = true;
  }

  #open(): pg.Pool {
    const pool = new pg.Pool({
      application_name: 'countersign',
      ...this.#options.client,
      types: AS_TEXT,
      pipeline: true,
      keepAlive: true,
      max: this.#options.maxConnections,
      connectionTimeoutMillis: CONNECT_MS,
      // The server ends what takes too long. This timeout is for a network that loses the server's message.
      query_timeout: this.#options.timeoutMs + SILENCE_MS,
      allowExitOnIdle: true,
    });
    // When the server ends an idle connection, the pool opens another one when needed.
    pool.on('error', () => {});
    return pool;
  }

  /** Cancels on a separate connection, because the pool may be exhausted. It ignores failures, because timeouts end the query too. */
  async #cancel(pid: number): Promise<void> {
    const client = new pg.Client({
      ...this.#options.client,
      connectionTimeoutMillis: CONNECT_MS,
      query_timeout: CONNECT_MS,
    });
    client.on('error', () => {});
    try {
      await client.connect();
      await client.query('SELECT pg_cancel_backend($1)', [pid]);
    } catch {
      // The caller destroys the session, and with it the transaction.
    } finally {
      await client.end().catch(() => {});
    }
  }

  async close(): Promise<void> {
    const pool = this.#pool;
    this.#pool = undefined;
    await pool?.end();
  }
}

/** A connection, in exclusive use until it is released. */
export class PostgresSession {
  readonly #client: pg.PoolClient;
  readonly #cancel: (pid: number) => Promise<void>;
  readonly #ignore = (): void => {};
  #cancelling: Promise<void> | undefined;
  #pid: number;

  constructor(client: pg.PoolClient, cancel: (pid: number) => Promise<void>) {
    this.#client = client;
    this.#cancel = cancel;
    this.#pid = pidOf(client);
    // A broken connection fails its queries. Without a listener, its error would end the process.
    client.on('error', this.#ignore);
  }

  /** Sets the backend that serves the transaction. Behind a pooler, it is not the one that was announced when connecting. */
  backend(pid: number): void {
    this.#pid = pid;
  }

  /**
   * Sends the queries together and waits for all results. Then the first error is thrown; in a transaction, the queries after it did
   * nothing. When the signal aborts, the server is told to cancel.
   *
   * A text without values may contain several statements; its result is that of the last one.
   */
  async run(queries: readonly Query[], signal?: AbortSignal): Promise<readonly QueryResult[]> {
    const stop = (): void => {
      this.#cancelling ??= this.#cancel(this.#pid);
    };
    if (signal?.aborted === true) throw signal.reason;
    signal?.addEventListener('abort', stop);
    try {
      const results = await Promise.allSettled(queries.map((query) => this.#send(query)));
      const failed = results.find((result) => result.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
      return results.map((result) => (result as PromiseFulfilledResult<QueryResult>).value);
    } finally {
      signal?.removeEventListener('abort', stop);
      // A cancellation that is still in progress could hit the next statement.
      await this.#cancelling;
    }
  }

  async #send({ text, values }: Query): Promise<QueryResult> {
    const result: unknown = await this.#client.query({
      text,
      ...(values === undefined ? {} : { values: [...values] }),
      rowMode: 'array',
    });
    const last = (Array.isArray(result) ? result.at(-1) : result) as pg.QueryArrayResult<(string | null)[]>;
    return {
      fields: last.fields.map((field) => ({ name: field.name, oid: field.dataTypeID })),
      rows: last.rows,
      count: last.rowCount ?? 0,
      command: last.command,
    };
  }

  /** Returns the connection to the pool, or ends it when it is broken. */
  release(broken = false): void {
    this.#client.off('error', this.#ignore);
    // A connection that is being ended may still emit an error.
    if (broken) this.#client.on('error', () => {});
    this.#client.release(broken);
  }
}

function pidOf(client: pg.PoolClient): number {
  return (client as unknown as { readonly processID: number }).processID;
}

function numbered(names: readonly string[]): readonly string[] {
  const counts = new Map<string, number>();
  return names.map((name) => {
    const times = (counts.get(name) ?? 0) + 1;
    counts.set(name, times);
    return times === 1 ? name : `${name} (${times})`;
  });
}

function cancelled(tool: string, cause: unknown): CountersignError {
  return new CountersignError('TOOL_UNAVAILABLE', `${tool}: reading was stopped because its time was over.`, {
    fix: 'Try again; touch fewer rows if it happens again.',
    retryable: true,
    cause,
  });
}
