/** Analyzes raw SQL: derives a query for the rows that it would change, and the values that it would set. */
import type { Json } from '../../action/json.js';
import { CountersignError } from '../../action/errors.js';
import { columnOf, storedColumns, type Column, type Table } from './catalog.js';
import type { CompoundStatement, RowStatement, SelectStatement } from './classify.js';
import type { Query } from './connection.js';
import { isAst, print, printExpression, refuseStatement, selectOf, unwrap, type Ast } from './parser.js';
import { quote } from './sql.js';
import { listOf } from './uses.js';
import { looseParameter, type Parameter } from './values.js';

/** One value that a statement sets, as a separate expression. */
export interface SqlExpression {
  readonly text: string;
  readonly values: readonly Parameter[];
  /** Whether it is the same for every row and every evaluation. */
  readonly constant: boolean;
}

/** Checks that the given parameters are those that the statement uses. @throws CountersignError INVALID_INPUT */
export function checkParameters(numbers: readonly number[], params: readonly Json[]): void {
  const used = new Set(numbers);
  const missing = params.findIndex((_, at) => !used.has(at + 1));
  if (missing === -1 && Math.max(0, ...numbers) <= params.length) return;
  throw new CountersignError(
    'INVALID_INPUT',
    `The statement names ${used.size} parameters, and ${params.length} values are given.`,
    {
      field: 'input.params',
      expected: 'one value for each of $1, $2 … in the statement, and no other',
      fix: 'Give exactly the values that the statement names.',
    },
  );
}

export function statementText(statement: SelectStatement | CompoundStatement, params: readonly Json[]): Query {
  return { text: statement.text, values: params.map((value) => looseParameter(value)) };
}

/** The statement itself, which also returns the keys of the changed rows, after its own RETURNING columns. */
export function statementReturningKeys(statement: RowStatement, table: Table, params: readonly Json[]): Query {
  const values = params.map((value) => looseParameter(value));
  if (table.key.length === 0) return { text: statement.text, values };
  const keys = table.key.map((column) => `${quote(statement.alias)}.${quote(column.name)}`).join(', ');
  return {
    // On a line of its own, because the text may end in a comment.
    text: `${statement.text}\n${statement.returning ? ',' : 'RETURNING'} ${keys}`,
    values,
  };
}

/**
 * A query for the rows that an update or delete would change: the rows of its target that match its condition, with all stored columns. A
 * row that joins several times is returned once.
 */
export function matchingRows(statement: RowStatement, table: Table, params: readonly Json[]): Query {
  const { node } = statement;
  const joins = listOf(node['fromClause'] ?? node['usingClause']);
  if (joins.length === 0) return selectFrom(statement, storedColumns(table), params);
  const keys = selectFrom(statement, keyOrAll(table), params);
  const columns = storedColumns(table).map((column) => `r.${quote(column.name)}`);
  const key = keyOrAll(table).map((column) => `r.${quote(column.name)}`);
  return {
    text: `SELECT ${columns.join(', ')} FROM ${table.sql} r WHERE (${key.join(', ')}) IN (\n${keys.text}\n)`,
    ...(keys.values === undefined ? {} : { values: keys.values }),
  };
}

/** For an update with a join: a query with one row for each match of a target row. Undefined when there is no join. */
export function matches(statement: RowStatement, table: Table, params: readonly Json[]): Query | undefined {
  if (statement.verb !== 'update' || listOf(statement.node['fromClause']).length === 0) return undefined;
  return selectFrom(statement, keyOrAll(table), params);
}

/** The columns by which rows are told apart: the key, or all of them where there is none. */
function keyOrAll(table: Table): readonly Column[] {
  return table.key.length > 0 ? table.key : storedColumns(table);
}

function selectFrom(statement: RowStatement, columns: readonly Column[], params: readonly Json[]): Query {
  const { node, alias } = statement;
  const fields = columns.map((column) => ({
    ColumnRef: { fields: [{ String: { sval: alias } }, { String: { sval: column.name } }] },
  }));
  const tree = selectOf(fields, {
    fromClause: [{ RangeVar: node['relation'] }, ...listOf(node['fromClause'] ?? node['usingClause'])],
    ...(node['whereClause'] === undefined ? {} : { whereClause: node['whereClause'] }),
    ...(node['withClause'] === undefined ? {} : { withClause: node['withClause'] }),
  });
  return printed(tree, params);
}

/** A query for the rows that an `INSERT … SELECT` would insert; undefined for `VALUES`. */
export function insertedQuery(statement: RowStatement, params: readonly Json[]): Query | undefined {
  const source = statement.node['selectStmt'];
  if (source === undefined) return undefined;
  const [, select] = unwrap(source);
  if (isPlainValues(select)) return undefined;
  const clause = statement.node['withClause'];
  if (clause !== undefined && select['withClause'] !== undefined)
    throw refuseStatement('Two WITH clauses cannot be previewed.');
  return printed(clause === undefined ? select : { ...select, withClause: clause }, params);
}

/** Whether it is plain `VALUES`. With a limit or an order of its own, it counts as a query. */
function isPlainValues(select: Ast): boolean {
  const more = ['limitCount', 'limitOffset', 'sortClause', 'withClause'];
  return select['valuesLists'] !== undefined && more.every((field) => select[field] === undefined);
}

/** The expressions of `INSERT … VALUES`, by row and column. A column that gets its default is left out. */
export function insertedExpressions(
  statement: RowStatement,
  table: Table,
  params: readonly Json[],
): readonly ReadonlyMap<Column, SqlExpression>[] {
  const source = statement.node['selectStmt'];
  if (source === undefined) return [new Map()];
  const columns = statement.columns === undefined ? table.columns : wholeColumns(statement.node['cols'], table);
  return listOf(unwrap(source)[1]['valuesLists']).map((list) => {
    const items = listOf(unwrap(list)[1]['items']);
    return expressions(
      items.map((item, at) => [columns[at], item]),
      params,
    );
  });
}

/** The named columns; undefined for a column of which only a part is set, such as `a[1]`. */
function wholeColumns(targets: unknown, table: Table): readonly (Column | undefined)[] {
  return listOf(targets).map((target) => {
    const [, node] = unwrap(target);
    const column = columnOf(table, String(node['name']), 'input.sql');
    return node['indirection'] === undefined ? column : undefined;
  });
}

/** The expressions of an update's SET, by column. */
export function updatedExpressions(
  statement: RowStatement,
  table: Table,
  params: readonly Json[],
): ReadonlyMap<Column, SqlExpression> {
  const targets = listOf(statement.node['targetList']);
  const columns = wholeColumns(targets, table);
  return expressions(
    targets.map((target, at) => [columns[at], unwrap(target)[1]['val']]),
    params,
  );
}

function expressions(
  items: readonly (readonly [Column | undefined, unknown])[],
  params: readonly Json[],
): ReadonlyMap<Column, SqlExpression> {
  const found = new Map<Column, SqlExpression>();
  for (const [column, item] of items) {
    if (column === undefined || !isAst(item) || mentions(item, PARTS_OF_A_STATEMENT)) continue;
    const { tree, values } = renumber(item, params);
    const constant = !mentions(item, VARYING);
    found.set(column, { text: constant ? printExpression(tree) : shownExpression(tree), values, constant });
  }
  return found;
}

/** Prints an expression for people only, so that one that cannot be printed exactly does not make the statement refused. */
function shownExpression(tree: unknown): string {
  try {
    return printExpression(tree);
  } catch {
    return 'an expression';
  }
}

const PARTS_OF_A_STATEMENT: ReadonlySet<string> = new Set(['SetToDefault', 'MultiAssignRef']);
const VARYING: ReadonlySet<string> = new Set(['ColumnRef', 'FuncCall', 'SubLink', 'SQLValueFunction']);

function mentions(value: unknown, types: ReadonlySet<string>): boolean {
  if (Array.isArray(value)) return value.some((item) => mentions(item, types));
  if (!isAst(value)) return false;
  return Object.entries(value).some(([key, item]) => types.has(key) || mentions(item, types));
}

function printed(tree: Ast, params: readonly Json[]): Query {
  const renumbered = renumber(tree, params);
  return { text: print('SelectStmt', renumbered.tree as Ast), values: renumbered.values };
}

/** Renumbers the parameters of a part of a statement, because the server requires consecutive numbers. */
function renumber(tree: unknown, params: readonly Json[]): { tree: unknown; values: readonly Parameter[] } {
  const values: Parameter[] = [];
  const numbers = new Map<number, number>();
  const copy = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map((item) => copy(item));
    if (!isAst(value)) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [
        key,
        key === 'ParamRef' && isAst(item) ? numbered(item) : copy(item),
      ]),
    );
  };
  const numbered = (node: Ast): Ast => {
    const old = Number(node['number'] ?? 0);
    const existing = numbers.get(old);
    if (existing !== undefined) return { ...node, number: existing };
    values.push(looseParameter(params[old - 1] ?? null));
    numbers.set(old, values.length);
    return { ...node, number: values.length };
  };
  return { tree: copy(tree), values };
}

/** Queries by which the server checks the statement with its types, without running it, so that errors come before people are asked. */
export function examination(statement: Query): readonly Query[] {
  return [
    { text: `PREPARE countersign_examination AS ${statement.text}` },
    { text: 'DEALLOCATE countersign_examination' },
  ];
}
