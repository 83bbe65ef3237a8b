/** Determines the values that columns should have, in the database's own form, so that what is read back can be compared exactly. */
import { canonical, type Json } from '../../action/json.js';
import type { Column, Table } from './catalog.js';
import { columnOf } from './catalog.js';
import type { QueryResult, Query } from './connection.js';
import type { SqlExpression } from './raw.js';
import type { Row } from './rows.js';
import { Parameters } from './sql.js';
import { fromPostgres, storedForm, toPostgres, type Parameter } from './values.js';

interface Cell {
  readonly row: number;
  readonly column: Column;
  /** A value with its parameter, or an expression with parameters of its own. */
  readonly source: { readonly given: Json; readonly value: Parameter } | SqlExpression;
}

/**
 * The values whose form in the database differs from the input. Some are known already; queries compute the others. Values that are not
 * included are as in the input.
 */
export interface Assignment {
  readonly rows: readonly Row[];
  readonly queries: readonly Query[];
  readonly cells: readonly Cell[];
}

/** How many values one query computes. A SELECT may have at most 1664 columns. */
const CELLS_PER_QUERY = 500;

/** The assignment of a structured input, whose values are all given. */
export function assignValues(table: Table, rows: readonly Row[], field: string): Assignment {
  const cells: Cell[] = [];
  const knownForms = rows.map((row, at) => {
    const entries: [string, Json][] = [];
    for (const [name, value] of Object.entries(row)) {
      const column = columnOf(table, name, field);
      const stored = column.domain ? undefined : storedForm(value, column.value, column.typmod);
      if (stored === undefined) {
        const source = { given: value, value: toPostgres(value, column.value, `${field}.${name}`) };
        cells.push({ row: at, column, source });
      } else if (stored !== value) {
        entries.push([name, stored]);
      }
    }
    return Object.fromEntries(entries);
  });
  return { rows: knownForms, cells, queries: queriesOf(cells) };
}

/** The assignment of raw SQL: those values that are the same for every row and every evaluation. */
export function assignExpressions(rows: readonly ReadonlyMap<Column, SqlExpression>[]): Assignment {
  const cells = rows.flatMap((row, at) =>
    [...row].flatMap(([column, source]) => (source.constant ? [{ row: at, column, source }] : [])),
  );
  return { rows: rows.map(() => ({})), cells, queries: queriesOf(cells) };
}

/** As few queries as possible. Their results, one after the other, are the cells in order. */
function queriesOf(cells: readonly Cell[]): readonly Query[] {
  const queries: Query[] = [];
  let parameters = new Parameters();
  let casts: string[] = [];
  const flush = (): void => {
    if (casts.length > 0) queries.push({ text: `SELECT ${casts.join(', ')}`, values: parameters.values });
    parameters = new Parameters();
    casts = [];
  };
  for (const { source, column } of cells) {
    // An expression has placeholders of its own, so it needs a query of its own.
    const alone = 'text' in source && source.values.length > 0;
    if (alone || casts.length === CELLS_PER_QUERY) flush();
    if (alone) {
      queries.push({ text: `SELECT CAST(${source.text} AS ${column.type})`, values: source.values });
    } else {
      casts.push(`CAST(${'text' in source ? source.text : parameters.add(source.value)} AS ${column.type})`);
    }
  }
  flush();
  return queries;
}

/** The rows with the computed values; undefined when everything is as in the input. */
export function assignedRows(assignment: Assignment, results: readonly QueryResult[]): readonly Row[] | undefined {
  const texts = results.flatMap((result) => result.rows[0] ?? []);
  const rows = assignment.rows.map((row) => Object.entries(row));
  assignment.cells.forEach(({ row, column, source }, at) => {
    const stored = fromPostgres(texts[at] ?? null, column.value);
    if (!('given' in source) || canonical(stored) !== canonical(source.given)) rows[row]?.push([column.name, stored]);
  });
  return rows.some((entries) => entries.length > 0) ? rows.map((entries) => Object.fromEntries(entries)) : undefined;
}
