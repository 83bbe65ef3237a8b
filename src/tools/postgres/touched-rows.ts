/**
 * Finds the very rows that a transaction wrote, also by triggers and foreign keys. Postgres marks each version of a row with the transaction
 * that made it (`xmin`) and the one that ended it (`xmax`). After a rollback to a savepoint, the old versions are visible again and still
 * carry the mark.
 */
import { CountersignError } from '../../action/errors.js';
import type { Json } from '../../action/json.js';
import { storedColumns, type Table } from './catalog.js';
import type { PostgresDatabase, Query, QueryResult } from './connection.js';
import { keyOf, type Row } from './rows.js';
import { keyCondition, Parameters, quote } from './sql.js';
import { WRITTEN_TABLES, writtenFrom, type WrittenRow, type WrittenTables } from './written-tables.js';

/** What the server knows of the transaction's writes. */
export interface Writes {
  /** The ids of the transaction and its subtransactions. */
  readonly ids: readonly string[];
  /** From the transaction's start until now, microseconds since the epoch. */
  readonly clock: readonly [bigint, bigint];
  readonly tables: WrittenTables;
}

/** Returns one JSON text, which `writesFrom` reads. */
export const WRITES_SQL = `
SELECT pg_catalog.json_build_object(
  'ids', (SELECT coalesce(pg_catalog.json_agg(transactionid::text), '[]') FROM pg_locks
    WHERE locktype = 'transactionid' AND pid = pg_backend_pid() AND granted AND mode = 'ExclusiveLock'),
  'from', (extract(epoch FROM transaction_timestamp()) * 1000000)::bigint::text, 'to', (extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text,
  'tables', ${WRITTEN_TABLES}
)::text`;

export function writesFrom(result: QueryResult | undefined): Writes {
  const found = JSON.parse(result?.rows[0]?.[0] ?? '{}') as {
    ids: string[];
    from: string;
    to: string;
    tables: WrittenRow[];
  };
  return { ids: found.ids, clock: [BigInt(found.from), BigInt(found.to)], tables: writtenFrom(found.tables) };
}

/** The rows that these transactions made, and those that they only locked: `written` is false of these. */
export function rowsWrittenBy(table: Table, ids: readonly string[], limit: number): Query {
  return {
    text:
      `SELECT (t.xmin = ANY($1::xid[])), ${rowList(table)} FROM ${table.sql} t ` +
      `WHERE t.xmin = ANY($1::xid[]) OR t.xmax = ANY($1::xid[]) LIMIT ${limit}`,
    values: [[...ids]],
  };
}

/** After a rollback: the rows that these transactions had updated, deleted or locked. */
export function rowsEndedBy(table: Table, ids: readonly string[], limit: number): Query {
  return {
    text: `SELECT ${rowList(table)} FROM ${table.sql} t WHERE t.xmax = ANY($1::xid[]) LIMIT ${limit}`,
    values: [[...ids]],
  };
}

/** The rows of these identities. */
export function rowsOf(table: Table, identities: readonly string[]): Query {
  const parameters = new Parameters();
  if (table.key.length > 0) {
    const condition = keyCondition(table, identities, parameters);
    return { text: `SELECT ${rowList(table)} FROM ${table.sql} t WHERE ${condition}`, values: parameters.values };
  }
  const contents = [...new Set(identities.map((identity) => identity.replace(/#\d+$/, '')))];
  return {
    text: `SELECT ${rowList(table)} FROM ${table.sql} t WHERE md5(t::text) = ANY(${parameters.add(contents)}::text[])`,
    values: parameters.values,
  };
}

/** The stored columns of a row; for a table without a key, with a digest of the whole row. */
function rowList(table: Table): string {
  const columns = storedColumns(table).map((column) => `t.${quote(column.name)}`);
  return [...columns, ...(table.key.length > 0 ? [] : ['md5(t::text)'])].join(', ');
}

export type IdentifiedRows = ReadonlyMap<string, Row>;

/**
 * The rows of a result by their identity: the text of the key or, in a table without one, a digest of the whole row. Of equal rows the
 * second is `digest#2`, and so on.
 */
export function identified(table: Table, result: QueryResult | undefined, database: PostgresDatabase): IdentifiedRows {
  const rows = new Map<string, Row>();
  if (result === undefined) return rows;
  if (table.key.length > 0) {
    for (const row of database.objects(result)) rows.set(keyOf(table, row), row);
    return rows;
  }
  const width = storedColumns(table).length;
  const contents = result.rows.map((row) => row[width] ?? '');
  const seen = new Map<string, number>();
  for (const [at, row] of database.objects(columnsOf(result, 0, width)).entries()) {
    const content = contents[at] ?? '';
    const count = (seen.get(content) ?? 0) + 1;
    seen.set(content, count);
    rows.set(count === 1 ? content : `${content}#${count}`, row);
  }
  return rows;
}

/** Splits the result of `rowsWrittenBy` into the rows that were written and those that were only locked. */
export function writtenAndLocked(
  table: Table,
  result: QueryResult | undefined,
  database: PostgresDatabase,
): { readonly written: IdentifiedRows; readonly locked: IdentifiedRows } {
  const only = (flag: string): QueryResult | undefined =>
    result && columnsOf({ ...result, rows: result.rows.filter(([written]) => written === flag) }, 1);
  return {
    written: identified(table, only('t'), database),
    locked: identified(table, only('f'), database),
  };
}

export function columnsOf(result: QueryResult, from: number, to?: number): QueryResult {
  return { ...result, fields: result.fields.slice(from, to), rows: result.rows.map((row) => row.slice(from, to)) };
}

/** Refuses a table whose rows cannot be told apart: with children of its own, or of another server. */
export function requireIdentifiable(table: Table): void {
  if ((table.kind === 'table' || table.kind === 'partitioned') && !table.mixed) return;
  throw new CountersignError(
    'INVALID_INPUT',
    `The change would write ${table.name}, whose rows cannot be told apart.`,
    {
      field: 'input',
      expected: 'changes of tables without children other than partitions of this database',
      fix: 'Ask the operator to add the table to sideEffectTables, if it may be written beside the action.',
    },
  );
}

/** Whether a value is a time of the given span, so that a clock has most likely made it. */
export function isWithin(value: Json | undefined, [from, to]: Writes['clock']): boolean {
  if (typeof value !== 'string') return false;
  const match = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?Z?)?$/.exec(value);
  if (match === null) return false;
  const [, day, time, fraction = ''] = match;
  const seconds = Date.parse(`${day}T${time ?? '00:00:00'}Z`);
  if (Number.isNaN(seconds)) return false;
  const at = BigInt(seconds) * 1000n + BigInt(fraction.padEnd(6, '0'));
  if (time !== undefined) return at >= from && at <= to;
  const dayLength = 86_400_000_000n;
  return at / dayLength >= from / dayLength && at / dayLength <= to / dayLength;
}
