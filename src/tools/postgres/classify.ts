/** Classifies SQL: the kind of the statement, and what it would write and read. Pure: it does not use the database. */
import type { ActionType } from '../../action/decision.js';
import { words } from './grammar.js';
import { isAst, parseOne, refuseStatement, unwrap, type Ast } from './parser.js';
import { listOf, qualified, tableName, text, usesOf, type QualifiedName, type Uses, type WriteUse } from './uses.js';

export type RowVerb = 'insert' | 'update' | 'delete';
export type SchemaVerb =
  'create_table' | 'alter_table' | 'drop_table' | 'create_index' | 'drop_index' | 'truncate' | 'rename';

interface Classified {
  /** The statement alone, without a semicolon. */
  readonly text: string;
  readonly node: Ast;
  readonly actionType: ActionType;
  /** The operation: `sql.delete`, `sql.alter_table` … */
  readonly operation: string;
  readonly uses: Uses;
}

export interface SelectStatement extends Classified {
  readonly verb: 'select';
  /** Whether it explains a statement, which is not run. */
  readonly explains?: boolean;
}

/** A write of rows of one table. */
export interface RowStatement extends Classified {
  readonly verb: RowVerb;
  readonly target: QualifiedName;
  /** The name or alias of the target in the statement. */
  readonly alias: string;
  /** The columns that it sets. For an insert, those that it names; undefined when it names none. */
  readonly columns: readonly string[] | undefined;
  /** Whether it ends in a RETURNING clause. */
  readonly returning: boolean;
}

/**
 * A write that only a rehearsal can preview: an `INSERT … ON CONFLICT`, a `MERGE`, or a statement with WITH queries that write. What it
 * changes depends on rows that it does not name.
 */
export interface CompoundStatement extends Classified {
  readonly verb: 'compound';
  readonly writes: readonly TableWrite[];
  readonly returning: boolean;
}

/** One of the writes of a statement. */
export interface TableWrite {
  readonly type: WriteUse['type'];
  readonly target: QualifiedName;
  readonly node: Ast;
}

/** A change of a table's definition, or a truncate. */
export interface SchemaStatement extends Classified {
  readonly verb: SchemaVerb;
  /** The tables; for `drop_index` the indexes. A table that is created or renamed need not exist. */
  readonly targets: readonly QualifiedName[];
  /** Tables whose rows the statement removes. */
  readonly empties: readonly QualifiedName[];
}

export type Classification = SelectStatement | RowStatement | CompoundStatement | SchemaStatement;

/**
 * Classifies one statement.
 *
 * @throws CountersignError STATEMENT_REFUSED when it is not one statement, or not of a kind whose effect can be previewed exactly
 */
export function classify(sql: string): Classification {
  const { type, node, text: statement } = parseOne(sql);
  return type === 'ExplainStmt' ? explanation(node, statement) : classifyNode(type, node, statement);
}

function classifyNode(type: string, node: Ast, statement: string): Classification {
  const uses = usesOf(type, node);
  const base = { text: statement, node, uses };
  if (isCompound(uses, type)) return compoundStatement(base, type);
  checkParams(uses, type);
  switch (type) {
    case 'SelectStmt':
      return { ...base, verb: 'select', actionType: 'READ', operation: 'sql.select' };
    case 'InsertStmt':
      return rowStatement(base, 'insert', insertedColumns(node));
    case 'UpdateStmt':
      return rowStatement(base, 'update', updatedColumns(node));
    case 'DeleteStmt':
      return rowStatement(base, 'delete', undefined);
    default:
      return schemaStatement(base, type);
  }
}

function isCompound({ writes }: Uses, type: string): boolean {
  const [only] = writes;
  if (only === undefined) return false;
  return writes.length > 1 || only.type !== type || type === 'MergeStmt' || 'onConflictClause' in only.node;
}

function compoundStatement(base: Base, type: string): CompoundStatement {
  const writes = base.uses.writes.map((write) => ({ ...write, target: targetOf(write.node) }));
  const deletes = writes.some(({ type: kind, node }) => kind === 'DeleteStmt' || mergeDeletes(node));
  const alone = writes.length === 1 && writes[0]?.type === type;
  const operation = !alone ? 'sql.with' : type === 'MergeStmt' ? 'sql.merge' : 'sql.upsert';
  const returning = type === 'SelectStmt' || base.node['returningClause'] !== undefined;
  return { ...base, verb: 'compound', actionType: deletes ? 'DELETE' : 'WRITE', operation, writes, returning };
}

function mergeDeletes(node: Ast): boolean {
  return listOf(node['mergeWhenClauses']).some((clause) => unwrap(clause)[1]['commandType'] === 'CMD_DELETE');
}

/** Options of EXPLAIN that do not run the statement. */
const EXPLAIN_OPTIONS = words(`costs verbose format summary settings generic_plan buffers memory`);

/** An EXPLAIN of a statement that could be proposed itself. It is a read even of a write, which is only planned. */
function explanation(node: Ast, statement: string): SelectStatement {
  const options = listOf(node['options']).map((option) => text(unwrap(option)[1]['defname']));
  const foreign = options.find((option) => !EXPLAIN_OPTIONS.has(option));
  if (foreign !== undefined) {
    throw refuseStatement(
      `EXPLAIN with ${foreign} may run the statement that it explains.`,
      `EXPLAIN alone, or with ${[...EXPLAIN_OPTIONS].join(', ')}`,
      'Leave the option out.',
    );
  }
  const [type, explained] = unwrap(node['query']);
  const inner = classifyNode(type, explained, statement);
  if ('targets' in inner) throw refuseStatement('Only the plan of rows can be explained, not of a change of schema.');
  const written = inner.uses.writes.map((write) => targetOf(write.node));
  return {
    text: statement,
    node,
    verb: 'select',
    actionType: 'READ',
    operation: 'sql.explain',
    explains: true,
    uses: { ...inner.uses, tables: [...inner.uses.tables, ...written] },
  };
}

/** Refuses a parameter that is used twice: its type depends on its place, so preview and execution might read different values. */
function checkParams(uses: Uses, type: string): void {
  if (type === 'SelectStmt' || new Set(uses.params).size === uses.params.length) return;
  throw refuseStatement(
    'A parameter stands in two places.',
    'each parameter once',
    'Give the value twice, as two parameters.',
  );
}

type Base = Pick<Classified, 'text' | 'node' | 'uses'>;

function rowStatement(base: Base, verb: RowVerb, columns: readonly string[] | undefined): RowStatement {
  const target = targetOf(base.node);
  const relation = relationOf(base.node);
  const alias = isAst(relation['alias']) ? text(relation['alias']['aliasname']) : target.name;
  return {
    ...base,
    verb,
    actionType: verb === 'delete' ? 'DELETE' : 'WRITE',
    operation: `sql.${verb}`,
    target,
    alias,
    columns,
    returning: base.node['returningClause'] !== undefined,
  };
}

function targetOf(node: Ast): QualifiedName {
  const relation = relationOf(node);
  if (relation['inh'] !== true) throw refuseStatement('ONLY leaves rows of the table out.', 'the table without ONLY');
  return tableName(relation);
}

function insertedColumns(node: Ast): readonly string[] | undefined {
  const columns = listOf(node['cols']).map((column) => assigned(column));
  return columns.length === 0 ? undefined : columns;
}

function updatedColumns(node: Ast): readonly string[] {
  return listOf(node['targetList']).map((column) => assigned(column));
}

function assigned(target: unknown): string {
  return text(unwrap(target)[1]['name']);
}

function schemaStatement(base: Base, type: string): SchemaStatement {
  if (base.uses.params.length > 0)
    throw refuseStatement('A change of schema takes no parameters.', 'the values in the text');
  switch (type) {
    case 'CreateStmt': {
      const relation = relationOf(base.node);
      if (relation['relpersistence'] !== 'p')
        throw refuseStatement('Only permanent tables can be created.', 'CREATE TABLE');
      return schema(base, 'create_table', 'WRITE', [tableName(relation)]);
    }
    case 'IndexStmt':
      return schema(base, 'create_index', 'WRITE', [tableName(relationOf(base.node))]);
    case 'AlterTableStmt':
      return alterTable(base);
    case 'RenameStmt':
      return rename(base);
    case 'DropStmt':
      return drop(base);
    case 'TruncateStmt': {
      noCascade(base.node, 'TRUNCATE');
      const tables = listOf(base.node['relations']).map((relation) => {
        const [, node] = unwrap(relation);
        if (node['inh'] !== true) throw refuseStatement('ONLY leaves rows of the table out.', 'the table without ONLY');
        return tableName(node);
      });
      return { ...schema(base, 'truncate', 'DELETE', tables), empties: tables };
    }
    default:
      throw refuseStatement(`A ${type} cannot be classified.`);
  }
}

function schema(
  base: Base,
  verb: SchemaVerb,
  actionType: ActionType,
  targets: readonly QualifiedName[],
): SchemaStatement {
  return { ...base, verb, actionType, operation: `sql.${verb}`, targets, empties: [] };
}

const ALTERATIONS = words(`
  AT_AddColumn AT_DropColumn AT_ColumnDefault AT_SetNotNull AT_DropNotNull AT_AlterColumnType AT_AddConstraint
  AT_DropConstraint AT_ValidateConstraint
`);

function alterTable(base: Base): SchemaStatement {
  if (base.node['objtype'] !== 'OBJECT_TABLE') throw refuseStatement('Only tables can be altered.', 'ALTER TABLE');
  let destroys = false;
  for (const command of listOf(base.node['cmds'])) {
    const [, node] = unwrap(command);
    if (!ALTERATIONS.has(text(node['subtype']))) {
      throw refuseStatement(
        `ALTER TABLE with ${text(node['subtype'])} is not classified.`,
        'ADD, DROP or ALTER of a column or a constraint',
      );
    }
    noCascade(node, 'DROP');
    // Dropping a column deletes its data, and changing its type may lose some.
    destroys ||= node['subtype'] === 'AT_DropColumn';
  }
  return schema(base, 'alter_table', destroys ? 'DELETE' : 'WRITE', [tableName(relationOf(base.node))]);
}

function rename(base: Base): SchemaStatement {
  const from = tableName(relationOf(base.node));
  switch (base.node['renameType']) {
    case 'OBJECT_COLUMN':
      if (base.node['relationType'] === 'OBJECT_TABLE') return schema(base, 'rename', 'WRITE', [from]);
      break;
    case 'OBJECT_TABLE':
      return schema(base, 'rename', 'WRITE', [from, { ...from, name: text(base.node['newname']) }]);
  }
  throw refuseStatement('Only tables and their columns can be renamed.', 'ALTER TABLE … RENAME');
}

function drop(base: Base): SchemaStatement {
  noCascade(base.node, 'DROP');
  const names = listOf(base.node['objects']).map((object) => {
    const [, node] = unwrap(object);
    return qualified(node['items'], 'table or index');
  });
  switch (base.node['removeType']) {
    case 'OBJECT_TABLE':
      return { ...schema(base, 'drop_table', 'DELETE', names), empties: names };
    case 'OBJECT_INDEX':
      return schema(base, 'drop_index', 'DELETE', names);
    default:
      throw refuseStatement('Only tables and indexes can be dropped.', 'DROP TABLE or DROP INDEX');
  }
}

function noCascade(node: Ast, what: string): void {
  if (node['behavior'] !== 'DROP_CASCADE') return;
  throw refuseStatement(
    `${what} … CASCADE reaches what is not named.`,
    'the statement without CASCADE',
    'Name each table in an action of its own.',
  );
}

function relationOf(node: Ast): Ast {
  return isAst(node['relation']) ? node['relation'] : {};
}
