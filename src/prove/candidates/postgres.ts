/** What agents could propose to a database: of one row and of many, of rows and of definitions. */
import type { Json, JsonObject } from '../../action/json.js';
import type { FilledTable } from '../scratch/rows.js';
import { isTextual, valueFor, type ColumnShape } from '../scratch/values.js';
import type { Candidate } from './candidate.js';

/** More tables would give more of the same. */
const MOST_TABLES = 6;

/** Beyond what the rows were filled with, so that a new row has values of its own. */
const BEYOND = 100_000;

/** Those that do least come first. */
export function postgresCandidates(tool: string, tables: readonly FilledTable[]): readonly Candidate[] {
  const several = tables.slice(0, MOST_TABLES);
  return [
    ...several.flatMap((table) => updateOf(tool, table)),
    ...several.map((table) => insertOf(tool, table)),
    ...several.filter(({ referenced }) => !referenced).map((table) => removalOf(tool, table)),
    ...several.map((table) => selectOf(tool, table)),
    ...several.flatMap((table) => updateOfAll(tool, table)),
    ...several.map((table) => definitionOf(tool, table)),
  ];
}

/** As agents name it. */
function nameOf({ schema, table }: Pick<FilledTable, 'schema' | 'table'>): string {
  return schema === 'public' ? table : `${schema}.${table}`;
}

function updateOf(tool: string, table: FilledTable): readonly Candidate[] {
  const column = settable(table);
  if (column === undefined) return [];
  const name = nameOf(table);
  return [
    {
      tool,
      what: `update of one row of ${name}`,
      actionType: 'WRITE',
      input: (n) => ({
        op: 'update',
        table: name,
        set: { [column.name]: newValue(column, n) },
        where: rowAt(table, n),
      }),
    },
  ];
}

function updateOfAll(tool: string, table: FilledTable): readonly Candidate[] {
  const column = settable(table);
  if (column === undefined) return [];
  const name = nameOf(table);
  return [
    {
      tool,
      what: `update of all ${table.rows.length} rows of ${name}`,
      actionType: 'WRITE',
      input: (n) => ({ op: 'update', table: name, set: { [column.name]: newValue(column, n) }, all: true }),
    },
  ];
}

function insertOf(tool: string, table: FilledTable): Candidate {
  const name = nameOf(table);
  const given = table.columns.filter(
    (column) => column.given && (!column.default || table.key.includes(column.name)) && !column.foreign,
  );
  return {
    tool,
    what: `insert into ${name}`,
    actionType: 'WRITE',
    input: (n) => ({
      op: 'insert',
      table: name,
      rows: [Object.fromEntries(given.map((column): [string, Json] => [column.name, valueFor(column, BEYOND + n)]))],
    }),
  };
}

function removalOf(tool: string, table: FilledTable): Candidate {
  const name = nameOf(table);
  return {
    tool,
    what: `delete of one row of ${name}`,
    actionType: 'DELETE',
    input: (n) => ({ op: 'delete', table: name, where: rowAt(table, table.rows.length - 1 - n) }),
  };
}

function selectOf(tool: string, table: FilledTable): Candidate {
  const name = nameOf(table);
  return {
    tool,
    what: `select from ${name}`,
    actionType: 'READ',
    input: (n) => ({ op: 'select', table: name, where: rowAt(table, n), limit: 1 }),
  };
}

function definitionOf(tool: string, table: FilledTable): Candidate {
  return {
    tool,
    what: `ALTER TABLE of ${nameOf(table)}`,
    actionType: 'WRITE',
    input: (n) => ({ op: 'sql', sql: `ALTER TABLE ${table.sql} ADD COLUMN countersign_prove_${n} int`, params: [] }),
  };
}

function rowAt({ rows }: FilledTable, n: number): JsonObject {
  return rows[((n % rows.length) + rows.length) % rows.length] ?? {};
}

/** A column that an update may set to whatever it wants: texts without a check first. */
function settable({ columns, key }: FilledTable): ColumnShape | undefined {
  const free = columns.filter(
    ({ name, given, unique, foreign, array, length }) =>
      given && !unique && !foreign && !array && !key.includes(name) && (length === null || length >= 12),
  );
  const byChoice = (wanted: (column: ColumnShape) => boolean): ColumnShape | undefined => free.find(wanted);
  return (
    byChoice(({ type, checks, labels }) => isTextual(type) && checks === null && labels === null) ??
    byChoice(({ type, checks }) => /^(int4|int8|numeric|float8)$/.test(type) && checks === null) ??
    byChoice(
      ({ type, checks }) => /^(int2|int4|int8|numeric|float8|timestamptz|date)$/.test(type) && checks !== null,
    ) ??
    byChoice(({ type }) => /^(jsonb|timestamptz|timestamp|date|interval)$/.test(type))
  );
}

function newValue(column: ColumnShape, n: number): Json {
  return isTextual(column.type) ? `set ${n}` : valueFor(column, 1_000 + n);
}
