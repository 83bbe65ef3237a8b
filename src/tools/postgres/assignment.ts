/** The values that columns are to hold, in the database's own form, so that what is read back can be compared exactly. */
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
 * Rows of values where the database's form is another than the input's: some known here, the others for the database to say. What
 * is not among them is as the input says.
 */
export interface Assignment {
  readonly rows: readonly Row[];
  readonly queries: readonly Query[];
  readonly cells: readonly Cell[];
}

/** A SELECT may have 1664 columns. */
const CELLS_PER_QUERY = 500;

/** From a structured input: every value given. */
export function assignValues(table: Table, rows: readonly Row[], field: string): Assignment {
  const cells: Cell[] = [];
  const known = rows.map((row, at) => {
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
  return { rows: known, cells, queries: queriesOf(cells) };
}

/** From raw SQL: those values that are the same for every row and each time. */
export function assignExpressions(rows: readonly ReadonlyMap<Column, SqlExpression>[]): Assignment {
  const cells = rows.flatMap((row, at) =>
    [...row].flatMap(([column, source]) => (source.constant ? [{ row: at, column, source }] : [])),
  );
  return { rows: rows.map(() => ({})), cells, queries: queriesOf(cells) };
}

/** As few queries as may be; their answers, one after the other, are the cells in order. */
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
    // An expression's placeholders are its own, so it does not share a text with others.
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

/** The rows, with what the database answered; undefined when all is as the input says. */
export function assignedRows(assignment: Assignment, answers: readonly QueryResult[]): readonly Row[] | undefined {
  const texts = answers.flatMap((answer) => answer.rows[0] ?? []);
  const rows = assignment.rows.map((row) => Object.entries(row));
  assignment.cells.forEach(({ row, column, source }, at) => {
    const stored = fromPostgres(texts[at] ?? null, column.value);
    if (!('given' in source) || canonical(stored) !== canonical(source.given)) rows[row]?.push([column.name, stored]);
  });
  return rows.some((entries) => entries.length > 0) ? rows.map((entries) => Object.fromEntries(entries)) : undefined;
}
