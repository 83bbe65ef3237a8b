/** Small pieces of SQL text. Names are quoted; values are always parameters. */
import pg from 'pg';
import type { Table } from './catalog.js';
import type { Query } from './connection.js';
import { splitKey } from './rows.js';
import type { Parameter } from './values.js';

export const quote = pg.escapeIdentifier;

/** Collects the parameters of one text. */
export class Parameters {
  readonly values: Parameter[] = [];

  /** The placeholder of a new parameter. */
  add(value: Parameter): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }
}

/** A condition that holds for the rows of these keys. */
export function keyCondition(table: Table, keys: readonly string[], parameters: Parameters): string {
  const parts = keys.map((key) => splitKey(table.key, key));
  const arrays = table.key.map((column, at) => {
    const placeholder = parameters.add(parts.map((part) => part[at] ?? null));
    return `${placeholder}::${column.bareType}[]`;
  });
  const names = table.key.map((column) => quote(column.name));
  return arrays.length === 1
    ? `${names[0]} = ANY(${arrays[0]})`
    : `(${names.join(', ')}) IN (SELECT * FROM unnest(${arrays.join(', ')}))`;
}

/** The rows of a query that yields a table's rows, at most `limit` of them, in the order of the key. */
export function ordered(query: Query, table: Table, limit: number): Query {
  const order = table.key.length > 0 ? table.key.map((column) => `q.${quote(column.name)}`).join(', ') : ANY_ORDER;
  return { ...query, text: `SELECT * FROM (\n${query.text}\n) q ORDER BY ${order} LIMIT ${limit}` };
}

/** The order of rows without a key: by all that they are. */
export const ANY_ORDER = 'q::text COLLATE "C"';

/** How many rows a query yields, counted up to `limit`. */
export function counted(query: Query, limit: number): Query {
  return { ...query, text: `SELECT count(*) FROM (SELECT 1 FROM (\n${query.text}\n) q LIMIT ${limit}) n` };
}
