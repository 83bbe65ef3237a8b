/** What a change of rows comes to: the rows of every table before and after it, compared without the values that differ each time. */
import { canonical, canonicalBytes, digest, type Digest, type Json, type JsonObject } from '../../action/json.js';
import type { ChangedRows, Rehearsal, RehearsedRow } from '../../action/rehearsal.js';
import type { State } from '../../action/snapshot.js';
import { differs, same } from '../expected-rows.js';
import type { Table } from './catalog.js';
import { rowsIn, type Row } from './rows.js';

/** The values of a table that differ each time the change is made. */
export type VaryingValues = Rehearsal['varying'];

/** A value that differs each time, so that only its presence is compared. */
const VARIES: Json = { $varies: true };
/** The most rows, and bytes of them, that are shown one by one. */
const MAX_SHOWN_ROWS = 20;
const MAX_SHOWN_BYTES = 8 * 1024;

interface TableChange {
  readonly name: string;
  readonly before: ReadonlyMap<string, Row>;
  readonly after: ReadonlyMap<string, Row>;
  readonly columns: ReadonlySet<string>;
  /** Whether the key of an inserted row differs each time, so that it cannot name the row. */
  readonly newKeys: boolean;
}

/** Stands among the varying columns of a table whose inserted rows get another key each time. */
export const NEW_KEYS = '$key';

/**
 * How many rows of each table a change wrote. In a table without a key, the states hold all rows that are equal to one that was written, and
 * those that are in both were not touched.
 */
export function changedRows(
  before: State,
  after: State,
  tables: readonly Table[],
): Readonly<Record<string, ChangedRows>> {
  return Object.fromEntries(
    tables.map(({ name, key }): [string, ChangedRows] => {
      const [old, now] = [rowsIn(before, name), rowsIn(after, name)];
      const kept = [...old.keys()].filter((identity) => now.has(identity)).length;
      return [name, { inserted: now.size - kept, updated: key.length > 0 ? kept : 0, deleted: old.size - kept }];
    }),
  );
}

/** A digest that is the same each time the same change is made. */
export function changeDigest(before: State, after: State, varying: VaryingValues): Digest {
  const tables = tablesIn(before, after, varying).map((table): [string, JsonObject] => {
    const changes = rowChanges(table);
    const named = changes.filter(({ floating }) => !floating).map(({ key, row }) => [key, row.after]);
    const added = changes.filter(({ floating }) => floating).map(({ row }) => canonical(row.after));
    return [table.name, { rows: Object.fromEntries(named) as JsonObject, added: added.sort() }];
  });
  return digest(Object.fromEntries(tables));
}

/** The changed rows for people; undefined when there are too many. */
export function shownRows(before: State, after: State, varying: VaryingValues): Rehearsal['rows'] {
  const tables = tablesIn(before, after, varying);
  if (
    tables.reduce((sum, table) => sum + new Set([...table.before.keys(), ...table.after.keys()]).size, 0) >
    MAX_SHOWN_ROWS
  )
    return undefined;
  const rows = Object.fromEntries(
    tables.map((table) => {
      const changed = Object.entries(namedRows(table)).filter(([, row]) => !isUnchanged(row));
      return [table.name, Object.fromEntries(changed)];
    }),
  );
  return canonicalBytes(rows) > MAX_SHOWN_BYTES ? undefined : rows;
}

/** How each row differs from how it was rehearsed; undefined when the rows are not known one by one. */
export function differencesFrom(
  rehearsal: Rehearsal,
  before: State,
  after: State,
  secret: ReadonlySet<string>,
): readonly string[][] | undefined {
  const { rows: rehearsed, varying } = rehearsal;
  if (rehearsed === undefined) return undefined;
  const actual = Object.fromEntries(tablesIn(before, after, varying).map((table) => [table.name, namedRows(table)]));
  return [...new Set([...Object.keys(rehearsed), ...Object.keys(actual)])].flatMap((table) => {
    const [expected, found] = [rehearsed[table] ?? {}, actual[table] ?? {}];
    const untouched = ([key, row]: [string, RehearsedRow]): boolean => !(key in expected) && isUnchanged(row);
    const others = Object.entries(found).filter((entry) => !untouched(entry));
    const keys = new Set([...Object.keys(expected), ...others.map(([key]) => key)]);
    return [...keys].map((key) => rowDifferences(`${table}/${key}`, expected[key], found[key], secret));
  });
}

function isUnchanged({ before, after }: RehearsedRow): boolean {
  return same(before ?? undefined, after ?? undefined);
}

/** The rows of a table by their key; inserted ones whose key differs each time are numbered. */
function namedRows(table: TableChange): Readonly<Record<string, RehearsedRow>> {
  const changes = rowChanges(table);
  const named = changes.filter(({ floating }) => !floating).map(({ key, row }): [string, RehearsedRow] => [key, row]);
  const added = changes.filter(({ floating }) => floating).map(({ row }) => row);
  added.sort((one, other) => (canonical(one.after) < canonical(other.after) ? -1 : 1));
  const numbered = added.map((row, at): [string, RehearsedRow] => [`new ${at + 1}`, row]);
  return Object.fromEntries([...named, ...numbered]);
}

function rowDifferences(
  place: string,
  expected: RehearsedRow | undefined,
  found: RehearsedRow | undefined,
  secret: ReadonlySet<string>,
): string[] {
  const [should, is] = [expected?.after ?? null, found?.after ?? null];
  if (should === null && is === null) return [];
  if (should === null)
    return [expected === undefined ? `${place} was changed too` : `${place} is there, expected to be gone`];
  if (is === null) return [`${place} is not as rehearsed`];
  const columns = [...new Set([...Object.keys(should), ...Object.keys(is)])];
  return columns
    .filter((column) => !same(should[column], is[column]))
    .map((column) => differs(place, column, should[column], is[column], secret));
}

interface RowChange {
  readonly key: string;
  readonly row: RehearsedRow;
  readonly floating: boolean;
}

function rowChanges({ before, after, columns, newKeys }: TableChange): readonly RowChange[] {
  const keys = [...new Set([...before.keys(), ...after.keys()])].sort();
  return keys.map((key) => {
    const [was, is] = [before.get(key), after.get(key)];
    const floating = newKeys && was === undefined;
    return { key, floating, row: { before: was ?? null, after: is === undefined ? null : masked(was, is, columns) } };
  });
}

function masked(before: Row | undefined, after: Row, varying: ReadonlySet<string>): JsonObject {
  return Object.fromEntries(
    Object.entries(after).map(([column, value]): [string, Json] => {
      const free = varying.has(column) && value !== null && !(before !== undefined && same(before[column], value));
      return [column, free ? VARIES : value];
    }),
  );
}

function tablesIn(before: State, after: State, varying: VaryingValues): readonly TableChange[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return names.map((name) => {
    const columns = new Set(Object.hasOwn(varying, name) ? varying[name] : undefined);
    return { name, before: rowsIn(before, name), after: rowsIn(after, name), columns, newKeys: columns.has(NEW_KEYS) };
  });
}
