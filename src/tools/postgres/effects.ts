/**
 * The table of effects, which makes an effect happen once: its key is committed in the effect's own transaction, so a second attempt finds
 * the key or fails on it. A key that is marked void can never take effect.
 */
import pg from 'pg';
import { CountersignError } from '../../action/errors.js';
import type { Digest } from '../../action/json.js';
import type { Execution, LookUp, RecordedEffectKey } from '../tool.js';
import type { PostgresDatabase, PostgresSession, Query, QueryResult } from './connection.js';
import { asFailure, isConnectionLost, isMissingTable, sqlState } from './failure.js';

export const DEFAULT_EFFECTS_SCHEMA = 'countersign_effects';

/** The DDL for an administrator, when the tool's own role may not create a schema. The role needs SELECT and INSERT on the table. */
export function effectsDdl(schema = DEFAULT_EFFECTS_SCHEMA): string {
  return `${createSchema(schema)};\n${createTable(schema)};`;
}

/** The DDL for the default schema. */
export const EFFECTS_DDL = effectsDdl();

function createSchema(schema: string): string {
  return `CREATE SCHEMA IF NOT EXISTS ${pg.escapeIdentifier(schema)}`;
}

function createTable(schema: string): string {
  return (
    `CREATE TABLE IF NOT EXISTS ${tableOf(schema)} (\n` +
    `  key text PRIMARY KEY,\n` +
    `  status text NOT NULL CHECK (status IN ('done', 'void')),\n` +
    `  input text,\n` +
    `  execution jsonb,\n` +
    `  at timestamptz NOT NULL DEFAULT now()\n` +
    `)`
  );
}

function tableOf(schema: string): string {
  return `${pg.escapeIdentifier(schema)}.effects`;
}

/** The advisory lock (any number) for creating the table, which is not safe to do twice at the same time, even with IF NOT EXISTS. */
const CREATION_LOCK = 7_203_117_441;
/** How long a look-up waits for an attempt that is about to commit. Milliseconds. */
const LOOK_UP_LOCK_MS = 5_000;

/** How many records are read at once. */
const PAGE = 500;

/** The record of a key. */
export type RecordedEffect =
  | { readonly status: 'done'; readonly input: string | null; readonly execution: Execution }
  | { readonly status: 'void' };

export class Effects {
  readonly #database: PostgresDatabase;
  readonly #schema: string;
  readonly #tool: string;

  constructor(database: PostgresDatabase, schema: string, tool: string) {
    this.#database = database;
    this.#schema = schema;
    this.#tool = tool;
  }

  get table(): string {
    return tableOf(this.#schema);
  }

  /** The text of the statement that records the key, to be sent together with COMMIT. */
  recordText(key: string, input: Digest, execution: Execution): string {
    const values = [key, 'done', input, JSON.stringify(execution)].map((value) => pg.escapeLiteral(value));
    return `INSERT INTO ${this.table} (key, status, input, execution) VALUES (${values.join(', ')})`;
  }

  /** Reads a record from its columns; undefined when there is none. */
  recorded(
    status: string | null | undefined,
    input: string | null | undefined,
    execution: string | null | undefined,
  ): RecordedEffect | undefined {
    if (status === 'void') return { status };
    if (status !== 'done') return undefined;
    return { status, input: input ?? null, execution: JSON.parse(execution ?? '{}') as Execution };
  }

  /**
   * The execution of an earlier attempt with the key.
   *
   * @throws CountersignError TOOL_FAILED when the key is void, or was used for another input
   */
  again(recorded: RecordedEffect, input: Digest): Execution {
    const fix = 'Propose the action again under another id.';
    if (recorded.status === 'void') {
      throw new CountersignError('TOOL_FAILED', `${this.#tool}: this key was declared void before it took effect.`, {
        fix,
      });
    }
    if (recorded.input === null || recorded.input === input) return recorded.execution;
    throw new CountersignError('TOOL_FAILED', `${this.#tool}: this key was used for another input.`, {
      expected: 'one input for each idempotency key',
      fix,
    });
  }

  /** Reads the record of a key without making it final. Undefined when there is none, or when the database is unavailable. */
  async find(key: string, signal: AbortSignal): Promise<RecordedEffect | undefined> {
    const text = `SELECT status, input, execution::text FROM ${this.table} WHERE key = $1`;
    const [result] = await this.#database.read([{ text, values: [key] }], signal).catch(() => []);
    const [status, input, execution] = result?.rows[0] ?? [];
    return this.recorded(status, input, execution);
  }

  /** The effects that happened since then, oldest first, in pages. None where the table is missing. */
  async *list(since: Date, signal: AbortSignal): AsyncGenerator<RecordedEffectKey> {
    // With microseconds, so that pages join exactly.
    const at = `to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
    let [time, key] = [since.toISOString(), ''];
    for (;;) {
      const text = `SELECT key, ${at} FROM ${this.table} WHERE status = 'done' AND (at, key) > ($1::timestamptz, $2) ORDER BY at, key LIMIT ${PAGE}`;
      const [result] = await this.#read({ text, values: [time, key] }, signal);
      const rows = result?.rows ?? [];
      for (const [foundKey, foundAt] of rows) {
        [time, key] = [foundAt ?? time, foundKey ?? key];
        yield { key, at: new Date(time) };
      }
      if (rows.length < PAGE) return;
    }
  }

  async #read(query: Query, signal: AbortSignal): Promise<readonly QueryResult[]> {
    try {
      return await this.#database.read([query], signal);
    } catch (error) {
      if (isMissingTable(error) || isMissingTable((error as Error).cause)) return [];
      throw error;
    }
  }

  /** Whether the error says that another attempt recorded the key first. */
  isKeyTaken(error: unknown): boolean {
    if (sqlState(error) !== '23505') return false;
    const { schema, table } = error as pg.DatabaseError;
    return schema === this.#schema && table === 'effects';
  }

  /** Creates the table if it is missing. @throws CountersignError TOOL_FAILED, with the SQL to run, when the role may not */
  async ensure(): Promise<void> {
    const session = await this.#database.session();
    try {
      await session.run([{ text: `BEGIN; SELECT pg_advisory_xact_lock(${CREATION_LOCK})` }]);
      const [existing] = await session.run([
        {
          text: 'SELECT to_regnamespace($1) IS NOT NULL, to_regclass($2) IS NOT NULL',
          values: [pg.escapeIdentifier(this.#schema), this.table],
        },
      ]);
      const [schemaExists, tableExists] = existing?.rows[0] ?? [];
      // Created only when missing, because even IF NOT EXISTS requires the privilege to create.
      if (schemaExists !== 't') await session.run([{ text: createSchema(this.#schema) }]);
      if (tableExists !== 't') await session.run([{ text: createTable(this.#schema) }]);
      await session.run([{ text: 'COMMIT' }]);
      session.release();
    } catch (error) {
      await this.#abandon(session, error);
      // Somebody who did not take the lock created it in the meantime.
      if (['42P06', '42P07', '23505'].includes(sqlState(error) ?? '')) return;
      if (sqlState(error) !== '42501') throw asFailure(error, { tool: this.#tool, phase: 'writing' });
      throw new CountersignError(
        'TOOL_FAILED',
        `${this.#tool}: the table ${this.table} is missing and its role may not create it.`,
        {
          expected: `the table ${this.table}, with SELECT and INSERT granted to the tool's role`,
          fix: `Have an administrator run:\n${effectsDdl(this.#schema)}`,
          cause: error,
        },
      );
    }
  }

  /** Checks that the table is there, or can be made, and that the role may use it. @throws CountersignError TOOL_FAILED, TOOL_UNAVAILABLE */
  async check(signal: AbortSignal): Promise<void> {
    const usable = await this.#usable(signal);
    if (usable === true) return;
    if (usable === undefined) return await this.ensure();
    throw new CountersignError('TOOL_FAILED', `${this.#tool}: its role may not use the table ${this.table}.`, {
      expected: `USAGE on the schema, and SELECT and INSERT on ${this.table}`,
      fix: `Have an administrator run: GRANT USAGE ON SCHEMA ${pg.escapeIdentifier(this.#schema)} TO <role>; GRANT SELECT, INSERT ON ${this.table} TO <role>;`,
    });
  }

  /** Whether the role may use the table; undefined when there is none. */
  async #usable(signal: AbortSignal): Promise<boolean | undefined> {
    const text = `SELECT has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = 'effects'`;
    const [result] = await this.#database.read([{ text, values: [this.#schema] }], signal);
    const [usable] = result?.rows[0] ?? [];
    return usable === undefined ? undefined : usable === 't';
  }

  /** Looks up whether the effect of a key happened. If it did not, the key is made void first, so that no late attempt can commit it. */
  async lookUp(key: string): Promise<LookUp> {
    const session = await this.#database.session();
    try {
      const literal = pg.escapeLiteral(key);
      const [, record] = await session.run([
        {
          // This waits for an attempt that has recorded the key but not committed yet.
          text:
            `BEGIN; SET LOCAL lock_timeout = ${LOOK_UP_LOCK_MS}; SET LOCAL statement_timeout = ${2 * LOOK_UP_LOCK_MS}; ` +
            `INSERT INTO ${this.table} (key, status) VALUES (${literal}, 'void') ON CONFLICT (key) DO NOTHING; COMMIT`,
        },
        { text: `SELECT status, input, execution::text FROM ${this.table} WHERE key = $1`, values: [key] },
      ]);
      session.release();
      const [status, input, execution] = record?.rows[0] ?? [];
      const recorded = this.recorded(status, input, execution);
      if (recorded?.status === 'done') return { happened: 'yes', execution: recorded.execution };
      return recorded === undefined
        ? { happened: 'unknown', reason: 'The record of the key vanished.' }
        : { happened: 'no' };
    } catch (error) {
      await this.#abandon(session, error);
      if (isMissingTable(error)) {
        await this.ensure();
        return await this.lookUp(key);
      }
      if (['55P03', '57014'].includes(sqlState(error) ?? '')) {
        return { happened: 'unknown', reason: 'Another attempt holds the key and has not ended yet.' };
      }
      throw asFailure(error, { tool: this.#tool, phase: 'reading' });
    }
  }

  async #abandon(session: PostgresSession, error: unknown): Promise<void> {
    const lost = isConnectionLost(error);
    if (!lost) await session.run([{ text: 'ROLLBACK' }]).catch(() => {});
    session.release(lost);
  }
}
