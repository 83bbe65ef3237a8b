/** Builds parts of SQL texts. Names are quoted, and values are always parameters. */
import pg from 'pg';
import type { Table } from './catalog.js';
import type { Query } from './connection.js';
import { splitKey } from './rows.js';
import type { Parameter } from './values.js';

export const quote = pg.escapeIdentifier;

/** Collects the parameters of an SQL text. */
export class Parameters {
  readonly values: Parameter[] = [];

  /** Adds a parameter and returns its placeholder. */
  add(value: Parameter): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }
}

/** A condition that matches the rows of these keys. */
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

/** Orders a query for rows of a table by their key, and limits it to `limit` rows. */
export function ordered(query: Query, table: Table, limit: number): Query {
  const order = table.key.length > 0 ? table.key.map((column) => `q.${quote(column.name)}`).join(', ') : ANY_ORDER;
  return { ...query, text: `SELECT * FROM (\n${query.text}\n) q ORDER BY ${order} LIMIT ${limit}` };
}

/** The order of rows without a key: by the text of the whole row. */
export const ANY_ORDER = 'q::text COLLATE "C"';

/** A query that counts the rows of another query, up to `limit`. */
export function counted(query: Query, limit: number): Query {
  return { ...query, text: `SELECT count(*) FROM (SELECT 1 FROM (\n${query.text}\n) q LIMIT ${limit}) n` };
}
