/** Translates the structured operations to SQL. */
import { CountersignError } from '../../action/errors.js';
import type { Json } from '../../action/json.js';
import { columnOf, storedColumns, type Column, type Table } from './catalog.js';
import type { Query } from './connection.js';
import type {
  DeleteInput,
  InsertInput,
  RestoreInput,
  SelectInput,
  UpdateInput,
  UpsertInput,
  ColumnCondition,
  RowCondition,
} from './input.js';
import { keyOf, splitKey, type Row } from './rows.js';
import { ANY_ORDER, keyCondition, Parameters, quote } from './sql.js';
import { toPostgres } from './values.js';

const OPERATORS = { eq: '=', ne: '<>', lt: '<', lte: '<=', gt: '>', gte: '>=', like: 'LIKE' } as const;

export function selectQuery(input: SelectInput, table: Table): Query {
  const parameters = new Parameters();
  const columns = input.columns?.map((name, at) => columnOf(table, name, `input.columns.${at}`)) ?? table.columns;
  const condition = conditions(input.where, table, parameters);
  const order = (input.orderBy ?? []).map(
    ({ column, direction }, at) =>
      `q.${quote(columnOf(table, column, `input.orderBy.${at}.column`).name)} ${direction}`,
  );
  // Rows that are equal in the requested order are ordered further, so that a limit always selects the same rows.
  const rest = table.key.length > 0 ? table.key.map((column) => `q.${quote(column.name)}`) : [ANY_ORDER];
  return {
    text:
      `SELECT ${columns.map((column) => `q.${quote(column.name)}`).join(', ')} FROM ${table.sql} q WHERE ${condition} ` +
      `ORDER BY ${[...order, ...rest].join(', ')} LIMIT ${input.limit}`,
    values: parameters.values,
  };
}

/** A query for the rows that match a condition, with all stored columns. */
export function matchingQuery(table: Table, input: UpdateInput | DeleteInput): Query {
  const parameters = new Parameters();
  const condition = rowsMeant(table, input, parameters);
  return { text: `SELECT ${storedList(table)} FROM ${table.sql} WHERE ${condition}`, values: parameters.values };
}

/** A query for the rows of these keys, with all stored columns. */
export function keyQuery(table: Table, keys: readonly string[]): Query {
  const parameters = new Parameters();
  const condition = keyCondition(table, keys, parameters);
  return { text: `SELECT ${storedList(table)} FROM ${table.sql} WHERE ${condition}`, values: parameters.values };
}

export function storedList(table: Table, prefix = ''): string {
  return storedColumns(table)
    .map((column) => `${prefix}${quote(column.name)}`)
    .join(', ');
}

export function updateStatement(table: Table, input: UpdateInput): Query {
  const parameters = new Parameters();
  const assignments = Object.entries(input.set).map(([name, value]) => {
    const column = columnOf(table, name, `input.set.${name}`);
    return `${quote(name)} = ${parameters.add(toPostgres(value, column.value, `input.set.${name}`))}`;
  });
  const condition = rowsMeant(table, input, parameters);
  return {
    text: `UPDATE ${table.sql} SET ${assignments.join(', ')} WHERE ${condition}${returningKeys(table)}`,
    values: parameters.values,
  };
}

export function deleteStatement(table: Table, input: DeleteInput): Query {
  const parameters = new Parameters();
  const condition = rowsMeant(table, input, parameters);
  return { text: `DELETE FROM ${table.sql} WHERE ${condition}${returningKeys(table)}`, values: parameters.values };
}

export function insertStatement(table: Table, input: InsertInput): Query {
  const names = unionOfColumns(input.rows);
  // A row that consists only of defaults still needs a column for the word DEFAULT.
  const columns =
    names.length === 0 ? table.columns.slice(0, 1) : names.map((name) => columnOf(table, name, 'input.rows'));
  const { tuples, parameters } = valuesOf(input.rows, columns);
  return {
    text: `INSERT INTO ${table.sql} (${list(columns)}) VALUES ${tuples}${returningKeys(table)}`,
    values: parameters.values,
  };
}

/** A statement that inserts the rows, and updates those that are found by the columns of `on`. */
export function upsertStatement(table: Table, input: UpsertInput): Query {
  const names = unionOfColumns(input.rows);
  const columns = names.map((name) => columnOf(table, name, 'input.rows'));
  const found = (input.on ?? table.key.map((column) => column.name)).map((name) => columnOf(table, name, 'input.on'));
  const missing = found.find((column) => !names.includes(column.name));
  if (missing !== undefined || found.length === 0) throw nothingToFindBy(table, missing);
  const rest = names.filter((name) => !found.some((column) => column.name === name));
  const set = (input.update ?? rest).map((name) => {
    const column = quote(columnOf(table, name, 'input.update').name);
    return `${column} = EXCLUDED.${column}`;
  });
  const { tuples, parameters } = valuesOf(input.rows, columns);
  const action = set.length === 0 ? 'NOTHING' : `UPDATE SET ${set.join(', ')}`;
  return {
    text: `INSERT INTO ${table.sql} (${list(columns)}) VALUES ${tuples} ON CONFLICT (${list(found)}) DO ${action}`,
    values: parameters.values,
  };
}

function nothingToFindBy(table: Table, missing: Column | undefined): CountersignError {
  const what = missing === undefined ? `${table.name} has no primary key` : `the rows do not give ${missing.name}`;
  return new CountersignError('INVALID_INPUT', `It is open which rows are there already: ${what}.`, {
    field: 'input.on',
    expected: 'the columns of a unique key, each with a value in every row',
    fix: 'Name the columns of a unique key in on, and give them in every row.',
  });
}

/** A statement that inserts the rows, and overwrites those whose key exists. */
export function restoreStatement(table: Table, input: RestoreInput): Query {
  const columns = unionOfColumns(input.rows).map((name) => columnOf(table, name, 'input.rows'));
  const { tuples, parameters } = valuesOf(input.rows, columns);
  const isKey = (column: Column): boolean => table.key.some((key) => key.name === column.name);
  const changed = columns.filter((column) => !isKey(column) && !column.identityAlways);
  const set = (changed.length > 0 ? changed : table.key)
    .map((column) => `${quote(column.name)} = EXCLUDED.${quote(column.name)}`)
    .join(', ');
  return {
    text:
      `INSERT INTO ${table.sql} (${list(columns)}) OVERRIDING SYSTEM VALUE VALUES ${tuples} ` +
      `ON CONFLICT (${list(table.key)}) DO UPDATE SET ${set}${returningKeys(table)}`,
    values: parameters.values,
  };
}

/**
 * The keys of those rows whose whole key is given. A row with a default in its key has no key yet.
 *
 * @throws CountersignError INVALID_INPUT when `required` and a row has none, or two rows have the same
 */
export function givenKeys(table: Table, rows: readonly Row[], required: boolean): readonly string[] {
  const whole = rows.filter((row) => table.key.every((column) => (row[column.name] ?? null) !== null));
  const names = table.key.map((column) => column.name).join(', ');
  if (table.key.length === 0) return [];
  if (required && whole.length < rows.length) {
    throw new CountersignError('INVALID_INPUT', `A row lacks its key (${names}).`, {
      field: 'input.rows',
      expected: `${names} in every row`,
      fix: 'Give the key of every row.',
    });
  }
  const keys = whole.map((row) => keyOf(table, row));
  if (new Set(keys).size < keys.length) {
    throw new CountersignError('INVALID_INPUT', `Two rows have the same key (${names}).`, {
      field: 'input.rows',
      expected: 'each key once',
      fix: 'Remove one of the two.',
    });
  }
  return keys;
}

function rowsMeant(table: Table, input: UpdateInput | DeleteInput, parameters: Parameters): string {
  if (input.op === 'delete' && input.keys !== undefined) {
    const invalidKey = input.keys.find((key) => splitKey(table.key, key).length !== table.key.length);
    if (invalidKey === undefined) return keyCondition(table, input.keys, parameters);
    throw new CountersignError('INVALID_INPUT', `${JSON.stringify(invalidKey)} is not a key of ${table.name}.`, {
      field: 'input.keys',
      expected: `the values of ${table.key.map((column) => column.name).join(', ')}, joined with commas`,
      fix: 'Give keys as captured states name them.',
    });
  }
  return conditions(input.where, table, parameters);
}

function conditions(where: RowCondition | undefined, table: Table, parameters: Parameters): string {
  const { $or: some, $not: none, ...columns } = where ?? {};
  const within = (part: RowCondition): string => `(${conditions(part, table, parameters)})`;
  const all = Object.entries(columns).flatMap(([name, columnCondition]) => {
    const condition = columnCondition as ColumnCondition;
    const field = `input.where.${name}`;
    const column = columnOf(table, name, field);
    const value = (item: Json): string => parameters.add(toPostgres(item, column.value, field));
    if (condition === null) return [`${quote(name)} IS NULL`];
    if (typeof condition !== 'object') return [`${quote(name)} = ${value(condition)}`];
    const { in: list, isNull, ...operators } = condition;
    return [
      ...(list === undefined ? [] : [`${quote(name)} IN (${list.map((item) => value(item)).join(', ')})`]),
      ...(isNull === undefined ? [] : [`${quote(name)} IS ${isNull ? '' : 'NOT '}NULL`]),
      ...Object.entries(operators).flatMap(([operator, operand]) =>
        operand === undefined
          ? []
          : [`${quote(name)} ${OPERATORS[operator as keyof typeof OPERATORS]} ${value(operand)}`],
      ),
    ];
  });
  if (some !== undefined) all.push(`(${some.map(within).join(' OR ')})`);
  if (none !== undefined) all.push(`NOT ${within(none)}`);
  return all.length === 0 ? 'true' : all.join(' AND ');
}

function unionOfColumns(rows: readonly Row[]): readonly string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row)))];
}

function valuesOf(rows: readonly Row[], columns: readonly Column[]): { tuples: string; parameters: Parameters } {
  if (rows.length * columns.length > 65_535) {
    throw new CountersignError(
      'INVALID_INPUT',
      `${rows.length} rows of ${columns.length} columns are too many values.`,
      {
        field: 'input.rows',
        expected: 'at most 65535 values',
        fix: 'Split the action.',
      },
    );
  }
  const parameters = new Parameters();
  const tuples = rows.map((row, at) => {
    const values = columns.map((column) => {
      const value = Object.hasOwn(row, column.name) ? row[column.name] : undefined;
      if (value === undefined) return 'DEFAULT';
      return parameters.add(toPostgres(value, column.value, `input.rows.${at}.${column.name}`));
    });
    return `(${values.join(', ')})`;
  });
  return { tuples: tuples.join(', '), parameters };
}

function list(columns: readonly Column[]): string {
  return columns.map((column) => quote(column.name)).join(', ');
}

function returningKeys(table: Table): string {
  return table.key.length === 0 ? '' : ` RETURNING ${list(table.key)}`;
}
