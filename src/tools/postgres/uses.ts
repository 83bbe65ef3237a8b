/** Finds everything that a statement uses: tables, functions, operators, types and parameters. */
import { fieldsOf, reasonAgainst, words, type NodeType } from './grammar.js';
import { isAst, POSITION, refuseStatement, unwrap, type Ast } from './parser.js';

/** A name as the statement writes it. */
export interface QualifiedName {
  readonly schema?: string;
  readonly name: string;
}

/**
 * The place of an expression. `value`: a column is set to it, and it is evaluated once for each row. `condition`: it selects rows.
 * `output`: a select returns it. `source`: the query of an insert, whose VALUES are values and everything else is output.
 */
export type SqlPosition = 'value' | 'condition' | 'output' | 'source';

export interface FunctionUse extends QualifiedName {
  readonly place: SqlPosition;
  /** Whether it is written `expression.name`, which is a column or else a call of the function `name`. */
  readonly attribute: boolean;
  /** Whether it has one argument, so that it may be a cast to the type of that name. */
  readonly maybeCast: boolean;
}

/** A statement that writes, alone or in a WITH query. */
export interface WriteUse {
  readonly type: 'InsertStmt' | 'UpdateStmt' | 'DeleteStmt' | 'MergeStmt';
  readonly node: Ast;
}

export interface Uses {
  /** The statements that write: the outer one first. Several can be made exactly only when they are rehearsed. */
  readonly writes: readonly WriteUse[];
  /** The tables and views that are read. The target of a write is included only when it is read as well. */
  readonly tables: readonly QualifiedName[];
  readonly functions: readonly FunctionUse[];
  readonly operators: readonly QualifiedName[];
  readonly types: readonly QualifiedName[];
  /** The number of every parameter, once for each place where it is used. */
  readonly params: readonly number[];
  /** Whether the output of a select depends on the clock. */
  readonly clockInOutput: boolean;
}

/** Functions that depend on the server's clock. */
export const CLOCK = words(`now transaction_timestamp statement_timestamp clock_timestamp timeofday age`);

/** The deepest nesting that is walked. The limit of the parser is higher. */
const MAX_DEPTH = 600;

interface SqlScope {
  readonly place: SqlPosition;
  /** The names of the WITH queries in scope. */
  readonly ctes: ReadonlySet<string>;
  readonly depth: number;
}

/**
 * Collects everything that a statement uses.
 *
 * @throws CountersignError STATEMENT_REFUSED when it contains a construct outside the classified grammar
 */
export function usesOf(type: string, node: Ast): Uses {
  const walk = new Walk();
  walk.enter(type, node, {
    place: placeIn(type),
    ctes: new Set(),
    depth: 0,
  });
  return walk.uses;
}

class Walk {
  readonly uses = {
    writes: [] as WriteUse[],
    tables: [] as QualifiedName[],
    functions: [] as FunctionUse[],
    operators: [] as QualifiedName[],
    types: [] as QualifiedName[],
    params: [] as number[],
    clockInOutput: false,
  };

  enter(type: string, node: Ast, outer: SqlScope): void {
    const fields = fieldsOf(type);
    if (fields === undefined) throw against(type);
    if (outer.depth > MAX_DEPTH)
      throw refuseStatement('The statement nests too deeply.', `at most ${MAX_DEPTH} levels`);
    const scope = this.#scopeWithin(node, { ...outer, depth: outer.depth + 1 });
    if (isWrite(type)) this.uses.writes.push({ type, node });
    this.#note(type, node, scope);
    for (const [field, content] of Object.entries(node)) {
      if (POSITION.test(field)) continue;
      const kind = fields[field];
      if (kind === undefined) throw against(type, field);
      if (kind === 'names' || (type === 'MultiAssignRef' && node['colno'] !== 1)) continue;
      if (kind === 'value') {
        if (typeof content === 'object') throw against(type, field);
        continue;
      }
      const inner = { ...scope, place: placeOf(type, field, node, scope.place) };
      if (kind === 'nodes') this.#nodes(content, inner);
      else if (isAst(content)) this.#unwrapped(type, kind, content, inner, outer);
      else throw against(type, field);
    }
  }

  #unwrapped(owner: string, kind: NodeType, content: Ast, inner: SqlScope, outer: SqlScope): void {
    if (kind === 'WithClause')
      return this.#with(content, {
        ...outer,
        place: outer.place === 'output' || outer.place === 'source' ? 'output' : 'condition',
        depth: outer.depth + 1,
      });
    // The classifier checks the target of a write. The table of a foreign key is read.
    if (kind === 'RangeVar' && owner !== 'Constraint') return this.#target(content, inner);
    return this.enter(kind, content, inner);
  }

  /** Each WITH query sees those before it; with RECURSIVE, all of them. */
  #with(clause: Ast, outer: SqlScope): void {
    for (const field of Object.keys(clause)) {
      if (!POSITION.test(field) && fieldsOf('WithClause')?.[field] === undefined) throw against('WithClause', field);
    }
    const ctes = listOf(clause['ctes']).map((cte) => unwrap(cte));
    const visible = new Set(outer.ctes);
    if (clause['recursive'] === true) for (const [, cte] of ctes) visible.add(text(cte['ctename']));
    for (const [type, cte] of ctes) {
      const [query] = unwrap(cte['ctequery']);
      this.enter(type, cte, { ...outer, ...(isWrite(query) ? { place: placeIn(query) } : {}), ctes: new Set(visible) });
      visible.add(text(cte['ctename']));
    }
  }

  #scopeWithin(node: Ast, outer: SqlScope): SqlScope {
    const clause = node['withClause'];
    if (!isAst(clause)) return outer;
    const names = listOf(clause['ctes']).map((cte) => text(unwrap(cte)[1]['ctename']));
    return { ...outer, ctes: new Set([...outer.ctes, ...names]) };
  }

  #nodes(content: unknown, scope: SqlScope): void {
    for (const item of Array.isArray(content) ? content : [content]) {
      // libpg_query prints a missing list item as {}.
      if (isAst(item) && Object.keys(item).length === 0) continue;
      const [type, node] = unwrap(item);
      this.enter(type, node, scope);
    }
  }

  #target(node: Ast, scope: SqlScope): void {
    const fields = fieldsOf('RangeVar') ?? {};
    for (const field of Object.keys(node)) {
      if (!POSITION.test(field) && fields[field] === undefined) throw against('RangeVar', field);
    }
    if (isAst(node['alias'])) this.enter('Alias', node['alias'], scope);
  }

  #note(type: string, node: Ast, scope: SqlScope): void {
    switch (type) {
      case 'RangeVar': {
        const table = tableName(node);
        if (table.schema === undefined && scope.ctes.has(table.name)) return;
        this.uses.tables.push(table);
        return;
      }
      case 'FuncCall': {
        const called = qualified(node['funcname'], 'function');
        const maybeCast = listOf(node['args']).length === 1;
        this.uses.functions.push({ ...called, place: scope.place, attribute: false, maybeCast });
        if (CLOCK.has(called.name) && scope.place === 'output') this.uses.clockInOutput = true;
        return;
      }
      case 'SQLValueFunction':
        if (/TIME|DATE/.test(text(node['op'])) && scope.place === 'output') this.uses.clockInOutput = true;
        return;
      case 'ColumnRef':
        return this.#attributes(listOf(node['fields']).slice(1), scope.place);
      case 'A_Indirection':
        return this.#attributes(listOf(node['indirection']), scope.place);
      case 'A_Expr':
        return this.#operator(node['name']);
      case 'SortBy':
        return this.#operator(node['useOp']);
      case 'SubLink':
        return this.#operator(node['operName']);
      case 'TypeName':
        this.uses.types.push(qualified(node['names'], 'type'));
        return;
      case 'ParamRef':
        this.uses.params.push(Number(node['number'] ?? 0));
        return;
      default:
        return;
    }
  }

  /** `a.b` calls the function b when a has no column b, even on plain values: `('x'::text).pg_sleep`. */
  #attributes(names: readonly unknown[], place: SqlPosition): void {
    for (const item of names) {
      const [type, node] = unwrap(item);
      if (type !== 'String') continue;
      this.uses.functions.push({ name: text(node['sval']), place, attribute: true, maybeCast: false });
    }
  }

  #operator(names: unknown): void {
    if (names !== undefined) this.uses.operators.push(qualified(names, 'operator'));
  }
}

function isWrite(type: string): type is WriteUse['type'] {
  return type === 'InsertStmt' || type === 'UpdateStmt' || type === 'DeleteStmt' || type === 'MergeStmt';
}

/** The place of what a statement holds, unless its fields say otherwise. */
function placeIn(type: string): SqlPosition {
  return type === 'SelectStmt' || type === 'InsertStmt' ? 'output' : 'condition';
}

/** Fields whose expressions are values that columns are set to. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  UpdateStmt: ['targetList'],
  OnConflictClause: ['targetList'],
  MergeWhenClause: ['targetList', 'values'],
};

function placeOf(type: string, field: string, node: Ast, outer: SqlPosition): SqlPosition {
  if (VALUES[type]?.includes(field) === true) return 'value';
  if (type === 'InsertStmt' && field === 'selectStmt') return 'source';
  if (type === 'Constraint') return node['contype'] === 'CONSTR_DEFAULT' ? 'value' : 'condition';
  if (type === 'AlterTableCmd') return node['subtype'] === 'AT_ColumnDefault' ? 'value' : 'condition';
  if (type === 'SubLink' || type === 'RangeSubselect') return outer === 'output' ? 'output' : 'condition';
  if (/^(whereClause|havingClause|quals|agg_filter|condition|joinCondition|indexElems)$/.test(field))
    return 'condition';
  if (outer === 'source') return field === 'valuesLists' ? 'value' : 'output';
  return outer;
}

/** The name of a RangeVar. */
export function tableName(node: Ast): QualifiedName {
  const schema = node['schemaname'];
  return { ...(typeof schema === 'string' ? { schema } : {}), name: text(node['relname']) };
}

/** Converts `[a]` or `[schema, a]` to a name. */
export function qualified(names: unknown, what: string): QualifiedName {
  const parts = listOf(names).map((item) => {
    const [type, node] = unwrap(item);
    return type === 'String' ? text(node['sval']) : '';
  });
  const [first, second] = parts;
  if (parts.length === 1 && first) return { name: first };
  if (parts.length === 2 && first && second) return { schema: first, name: second };
  throw refuseStatement(`The name of a ${what} has an unknown form.`);
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function against(type: string, field?: string): Error {
  const { reason, fix } = reasonAgainst(type, field);
  return refuseStatement(`The statement is refused: ${reason}.`, undefined, fix);
}
