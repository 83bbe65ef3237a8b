/** Rows in states: by table and by the text of their key. */
import type { Json, JsonObject } from '../../action/json.js';
import { CountersignError } from '../../action/errors.js';
import type { State } from '../../action/snapshot.js';
import type { Execution } from '../tool.js';
import type { Column, Table } from './catalog.js';

export type Row = { readonly [column: string]: Json };

/** The text that identifies a row: the values of its key, joined by commas. Commas and backslashes in several values are escaped. */
export function keyOf(table: Table, row: Row): string {
  const parts = table.key.map((column) => keyPart(row[column.name] ?? null));
  return parts.length === 1 ? (parts[0] ?? '') : parts.map((part) => part.replace(/[\\,]/g, '\\$&')).join(',');
}

function keyPart(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Splits the text of a key into its values, for parameters. */
export function splitKey(columns: readonly Column[], key: string): readonly string[] {
  if (columns.length === 1) return [key];
  const parts = [''];
  for (let at = 0; at < key.length; at++) {
    const char = key.charAt(at);
    if (char === ',') parts.push('');
    else parts[parts.length - 1] += char === '\\' ? key.charAt(++at) : char;
  }
  return parts;
}

/** Builds `{table: {key: row}}`. The rows of a table without a key are numbered. */
export function stateOf(table: Table, rows: readonly Row[]): { readonly [table: string]: JsonObject } {
  const named = rows.map((row, at) => [table.key.length > 0 ? keyOf(table, row) : String(at + 1), row]);
  return Object.fromEntries([[table.name, Object.fromEntries(named) as JsonObject]]);
}

/**
 * Refuses to write to a table without a key: the written rows could not be found again, verified or undone.
 *
 * @throws CountersignError INVALID_INPUT
 */
export function requireKey(table: Table, field: string): void {
  if (table.key.length > 0) return;
  throw new CountersignError('INVALID_INPUT', `${table.name} has no primary key, so its rows could not be read back.`, {
    field,
    expected: 'a table with a primary key, or a unique index on columns that are NOT NULL',
    fix: `Have a primary key added: ALTER TABLE ${table.sql} ADD PRIMARY KEY (…).`,
  });
}

/** The rows of a table in a state, by their key. */
export function rowsIn(state: State, table: string): ReadonlyMap<string, Row> {
  const rows = Object.hasOwn(state, table) ? state[table] : undefined;
  return new Map(typeof rows === 'object' && rows !== null ? (Object.entries(rows) as [string, Row][]) : []);
}

export function keysIn(state: State, table: string): readonly string[] {
  return [...rowsIn(state, table).keys()];
}

/** The keys of the rows of a table that an execution created. */
export function createdIn(execution: Execution | undefined, table: string): readonly string[] {
  const created = execution?.created ?? {};
  return Object.hasOwn(created, table) ? (created[table] ?? []) : [];
}
