/** Which columns a statement sets itself, and which of them get another value each time. */
import type { Table } from './catalog.js';
import type { WriteUse } from './uses.js';
import { CLOCK, listOf, qualified, text } from './uses.js';
import { FRESH } from './allowed-functions.js';
import { isAst, unwrap, type Ast } from './parser.js';

export interface AssignedColumns {
  /** Columns that the statement sets in every row that it inserts, so that their default has no say. */
  readonly given: ReadonlySet<string>;
  /** Columns that it sets to a value that differs each time, such as `now()` or `gen_random_uuid()`. */
  readonly fresh: ReadonlySet<string>;
}

export const NOTHING_ASSIGNED: AssignedColumns = { given: new Set(), fresh: new Set() };

/** The columns that every one of these rows gives. */
export function assignedByRows(rows: readonly object[]): AssignedColumns {
  const [first = {}, ...others] = rows;
  const given = Object.keys(first).filter((name) => others.every((row) => Object.hasOwn(row, name)));
  return { given: new Set(given), fresh: new Set() };
}

/** The columns that a parsed write sets. */
export function assignedByStatement({ type, node }: WriteUse, table: Table): AssignedColumns {
  switch (type) {
    case 'InsertStmt':
      return union([insertedBy(node, table), updatedBy(node['onConflictClause'])]);
    case 'UpdateStmt':
      return updatedBy(node);
    case 'MergeStmt': {
      const clauses = listOf(node['mergeWhenClauses']).map((clause) => unwrap(clause)[1]);
      const inserts = clauses.filter((clause) => clause['commandType'] === 'CMD_INSERT');
      const updates = clauses.filter((clause) => clause['commandType'] === 'CMD_UPDATE').map(updatedBy);
      const merged = inserts.map((clause) => mergedBy(clause, table));
      const { given, fresh } = union([...merged, ...updates]);
      // What one clause leaves to the default, no clause gives.
      const always = [...given].filter((name) => merged.every((insert) => insert.given.has(name)));
      return { given: new Set(always), fresh };
    }
    case 'DeleteStmt':
      return NOTHING_ASSIGNED;
  }
}

function insertedBy(node: Ast, table: Table): AssignedColumns {
  const names = namesOf(node['cols']) ?? table.columns.map((column) => column.name);
  if (node['selectStmt'] === undefined) return NOTHING_ASSIGNED;
  const [, select] = unwrap(node['selectStmt']);
  const lists = listOf(select['valuesLists']).map((list) => listOf(unwrap(list)[1]['items']));
  if (lists.length > 0) return byPosition(names, lists);
  const output = listOf(select['targetList']).map((target) => unwrap(target)[1]['val']);
  const spread = output.length === 0 || output.some((value) => isStar(value));
  // The columns of a star or a set operation are not told apart, so the names are taken as given, and any clock makes all differ.
  if (!spread) return byPosition(names, [output]);
  return { given: new Set(names), fresh: new Set(isFresh(select) ? names : []) };
}

function mergedBy(clause: Ast, table: Table): AssignedColumns {
  const names = namesOf(clause['targetList']) ?? table.columns.map((column) => column.name);
  return byPosition(names, [listOf(clause['values'])]);
}

function byPosition(names: readonly string[], lists: readonly (readonly unknown[])[]): AssignedColumns {
  const given = names.filter((_, at) => lists.every((list) => at < list.length && !isDefault(list[at])));
  const fresh = names.filter((_, at) => lists.some((list) => isFresh(list[at])));
  return { given: new Set(given), fresh: new Set(fresh) };
}

function updatedBy(node: unknown): AssignedColumns {
  if (!isAst(node)) return NOTHING_ASSIGNED;
  const inner = isAst(node['OnConflictClause']) ? node['OnConflictClause'] : node;
  const targets = listOf(inner['targetList']).map((target) => unwrap(target)[1]);
  return { given: new Set(), fresh: new Set(targets.filter(({ val }) => isFresh(val)).map(({ name }) => text(name))) };
}

function namesOf(targets: unknown): readonly string[] | undefined {
  const names = listOf(targets).map((target) => text(unwrap(target)[1]['name']));
  return names.length === 0 ? undefined : names;
}

function union(all: readonly AssignedColumns[]): AssignedColumns {
  return {
    given: new Set(all.flatMap(({ given }) => [...given])),
    fresh: new Set(all.flatMap(({ fresh }) => [...fresh])),
  };
}

function isDefault(value: unknown): boolean {
  return isAst(value) && 'SetToDefault' in value;
}

function isStar(value: unknown): boolean {
  return isAst(value) && JSON.stringify(value).includes('"A_Star"');
}

/** Whether an expression calls a clock or a random function anywhere. */
function isFresh(value: unknown): boolean {
  if (Array.isArray(value)) return value.some((item) => isFresh(item));
  if (!isAst(value)) return false;
  return Object.entries(value).some(([field, item]) => {
    if (field === 'SQLValueFunction' && isAst(item)) return /TIME|DATE/.test(text(item['op']));
    if (field === 'FuncCall' && isAst(item) && isFreshFunction(item)) return true;
    return isFresh(item);
  });
}

function isFreshFunction(call: Ast): boolean {
  const { name } = qualified(call['funcname'], 'function');
  return CLOCK.has(name) || FRESH.has(name);
}
