/**
 * The part of SQL that can be classified: every node type and field that may occur in a statement. Anything else is refused, so that a
 * construct that was overlooked, or that a later PostgreSQL adds, is never executed unchecked.
 */

/**
 * What a field contains. `value`: a plain value. `names`: a list of names that the code for its node reads. `nodes`: a node or a list of
 * nodes. Anything else: the node type of an object that the tree contains without its type.
 */
export type FieldKind = 'value' | 'names' | 'nodes' | NodeType;

type Fields = Readonly<Record<string, FieldKind>>;

const QUERY = {
  SelectStmt: {
    distinctClause: 'nodes',
    targetList: 'nodes',
    fromClause: 'nodes',
    whereClause: 'nodes',
    groupClause: 'nodes',
    groupDistinct: 'value',
    havingClause: 'nodes',
    windowClause: 'nodes',
    valuesLists: 'nodes',
    sortClause: 'nodes',
    limitOffset: 'nodes',
    limitCount: 'nodes',
    limitOption: 'value',
    withClause: 'WithClause',
    op: 'value',
    all: 'value',
    larg: 'SelectStmt',
    rarg: 'SelectStmt',
  },
  InsertStmt: {
    relation: 'RangeVar',
    cols: 'nodes',
    selectStmt: 'nodes',
    returningClause: 'ReturningClause',
    withClause: 'WithClause',
    override: 'value',
    onConflictClause: 'OnConflictClause',
  },
  OnConflictClause: { action: 'value', infer: 'InferClause', targetList: 'nodes', whereClause: 'nodes' },
  InferClause: { indexElems: 'nodes', whereClause: 'nodes', conname: 'value' },
  MergeStmt: {
    relation: 'RangeVar',
    sourceRelation: 'nodes',
    joinCondition: 'nodes',
    mergeWhenClauses: 'nodes',
    returningClause: 'ReturningClause',
    withClause: 'WithClause',
  },
  MergeWhenClause: {
    matchKind: 'value',
    commandType: 'value',
    override: 'value',
    condition: 'nodes',
    targetList: 'nodes',
    values: 'nodes',
  },
  UpdateStmt: {
    relation: 'RangeVar',
    targetList: 'nodes',
    whereClause: 'nodes',
    fromClause: 'nodes',
    returningClause: 'ReturningClause',
    withClause: 'WithClause',
  },
  DeleteStmt: {
    relation: 'RangeVar',
    usingClause: 'nodes',
    whereClause: 'nodes',
    returningClause: 'ReturningClause',
    withClause: 'WithClause',
  },
  ReturningClause: { exprs: 'nodes' },
  WithClause: { ctes: 'nodes', recursive: 'value' },
  CommonTableExpr: { ctename: 'value', aliascolnames: 'names', ctematerialized: 'value', ctequery: 'nodes' },
  RangeVar: { schemaname: 'value', relname: 'value', inh: 'value', relpersistence: 'value', alias: 'Alias' },
  Alias: { aliasname: 'value', colnames: 'names' },
  RangeSubselect: { lateral: 'value', subquery: 'nodes', alias: 'Alias' },
  RangeFunction: {
    lateral: 'value',
    ordinality: 'value',
    is_rowsfrom: 'value',
    functions: 'nodes',
    alias: 'Alias',
    coldeflist: 'nodes',
  },
  JoinExpr: {
    jointype: 'value',
    isNatural: 'value',
    larg: 'nodes',
    rarg: 'nodes',
    usingClause: 'names',
    join_using_alias: 'Alias',
    quals: 'nodes',
    alias: 'Alias',
    rtindex: 'value',
  },
  ResTarget: { name: 'value', indirection: 'nodes', val: 'nodes' },
  SortBy: { node: 'nodes', sortby_dir: 'value', sortby_nulls: 'value', useOp: 'names' },
  GroupingSet: { kind: 'value', content: 'nodes' },
  WindowDef: {
    name: 'value',
    refname: 'value',
    partitionClause: 'nodes',
    orderClause: 'nodes',
    frameOptions: 'value',
    startOffset: 'nodes',
    endOffset: 'nodes',
  },
  List: { items: 'nodes' },
} as const satisfies Record<string, Readonly<Record<string, string>>>;

const EXPRESSION = {
  ColumnRef: { fields: 'names' },
  A_Star: {},
  // The value of a constant looks like a node but is none.
  A_Const: { ival: 'names', fval: 'names', boolval: 'names', sval: 'names', bsval: 'names', isnull: 'value' },
  String: { sval: 'value' },
  Integer: { ival: 'value' },
  ParamRef: { number: 'value' },
  A_Expr: { kind: 'value', name: 'names', lexpr: 'nodes', rexpr: 'nodes' },
  BoolExpr: { boolop: 'value', args: 'nodes' },
  NullTest: { arg: 'nodes', nulltesttype: 'value', argisrow: 'value' },
  BooleanTest: { arg: 'nodes', booltesttype: 'value' },
  FuncCall: {
    funcname: 'names',
    args: 'nodes',
    agg_order: 'nodes',
    agg_filter: 'nodes',
    over: 'WindowDef',
    agg_within_group: 'value',
    agg_star: 'value',
    agg_distinct: 'value',
    func_variadic: 'value',
    funcformat: 'value',
  },
  NamedArgExpr: { arg: 'nodes', name: 'value', argnumber: 'value' },
  TypeCast: { arg: 'nodes', typeName: 'TypeName' },
  TypeName: { names: 'names', typmods: 'nodes', typemod: 'value', arrayBounds: 'names' },
  CollateClause: { arg: 'nodes', collname: 'names' },
  CaseExpr: { arg: 'nodes', args: 'nodes', defresult: 'nodes' },
  CaseWhen: { expr: 'nodes', result: 'nodes' },
  CoalesceExpr: { args: 'nodes' },
  MinMaxExpr: { op: 'value', args: 'nodes' },
  SQLValueFunction: { op: 'value', typmod: 'value' },
  SubLink: { subLinkType: 'value', testexpr: 'nodes', operName: 'names', subselect: 'nodes' },
  A_ArrayExpr: { elements: 'nodes' },
  RowExpr: { args: 'nodes', row_format: 'value', colnames: 'names' },
  A_Indirection: { arg: 'nodes', indirection: 'nodes' },
  A_Indices: { is_slice: 'value', lidx: 'nodes', uidx: 'nodes' },
  GroupingFunc: { args: 'nodes' },
  SetToDefault: {},
  MultiAssignRef: { source: 'nodes', colno: 'value', ncolumns: 'value' },
} as const satisfies Record<string, Readonly<Record<string, string>>>;

const SCHEMA = {
  CreateStmt: { relation: 'RangeVar', tableElts: 'nodes', oncommit: 'value', if_not_exists: 'value' },
  ColumnDef: {
    colname: 'value',
    typeName: 'TypeName',
    is_local: 'value',
    is_not_null: 'value',
    raw_default: 'nodes',
    collClause: 'CollateClause',
    constraints: 'nodes',
  },
  Constraint: {
    contype: 'value',
    conname: 'value',
    deferrable: 'value',
    initdeferred: 'value',
    is_enforced: 'value',
    skip_validation: 'value',
    initially_valid: 'value',
    is_no_inherit: 'value',
    raw_expr: 'nodes',
    generated_when: 'value',
    generated_kind: 'value',
    nulls_not_distinct: 'value',
    keys: 'names',
    including: 'names',
    pktable: 'RangeVar',
    fk_attrs: 'names',
    pk_attrs: 'names',
    fk_matchtype: 'value',
    fk_upd_action: 'value',
    fk_del_action: 'value',
    fk_del_set_cols: 'names',
  },
  AlterTableStmt: { relation: 'RangeVar', cmds: 'nodes', objtype: 'value', missing_ok: 'value' },
  AlterTableCmd: { subtype: 'value', name: 'value', def: 'nodes', behavior: 'value', missing_ok: 'value' },
  IndexStmt: {
    idxname: 'value',
    relation: 'RangeVar',
    accessMethod: 'value',
    indexParams: 'nodes',
    indexIncludingParams: 'nodes',
    whereClause: 'nodes',
    unique: 'value',
    nulls_not_distinct: 'value',
    if_not_exists: 'value',
  },
  IndexElem: {
    name: 'value',
    expr: 'nodes',
    collation: 'names',
    opclass: 'names',
    ordering: 'value',
    nulls_ordering: 'value',
  },
  DropStmt: { objects: 'names', removeType: 'value', behavior: 'value', missing_ok: 'value' },
  TruncateStmt: { relations: 'nodes', behavior: 'value' },
  RenameStmt: {
    renameType: 'value',
    relationType: 'value',
    relation: 'RangeVar',
    subname: 'value',
    newname: 'value',
    behavior: 'value',
    missing_ok: 'value',
  },
} as const satisfies Record<string, Readonly<Record<string, string>>>;

const GRAMMAR = { ...QUERY, ...EXPRESSION, ...SCHEMA };

export type NodeType = keyof typeof GRAMMAR;

/** The fields that a node type may have; undefined when the type is not classified. */
export function fieldsOf(type: string): Fields | undefined {
  return Object.hasOwn(GRAMMAR, type) ? (GRAMMAR as Readonly<Record<string, Fields>>)[type] : undefined;
}

/** Why some constructs are refused, for people and agents. Others get a general sentence. */
const REASONS: Readonly<Record<string, string>> = {
  CopyStmt: 'COPY moves rows, files or programs past every check',
  DoStmt: 'DO runs code that cannot be examined',
  CallStmt: 'CALL runs a procedure that cannot be examined',
  PrepareStmt: 'PREPARE hides what EXECUTE will do',
  ExecuteStmt: 'EXECUTE runs what was prepared elsewhere',
  ExplainStmt: 'EXPLAIN explains statements, not other explanations',
  VariableSetStmt: 'SET changes what later statements mean',
  VariableShowStmt: 'SHOW reads settings, not data',
  TransactionStmt: 'the tool controls transactions itself',
  LockStmt: 'LOCK stops other work without an effect of its own',
  ListenStmt: 'LISTEN has no meaning in an action',
  NotifyStmt: 'NOTIFY reaches other processes and cannot be read back',
  VacuumStmt: 'VACUUM and ANALYZE are maintenance, not actions',
  GrantStmt: 'privileges are not for agents to change',
  GrantRoleStmt: 'roles are not for agents to change',
  CreateRoleStmt: 'roles are not for agents to change',
  CreateFunctionStmt: 'a function could do anything later',
  CreateTrigStmt: 'a trigger could do anything later',
  RuleStmt: 'a rule could do anything later',
  CreateExtensionStmt: 'an extension could do anything later',
  CreateTableAsStmt: 'CREATE TABLE AS mixes a change of schema with rows',
  'SelectStmt.intoClause': 'SELECT INTO creates a table',
  'SelectStmt.lockingClause': 'FOR UPDATE and FOR SHARE lock rows without an effect of their own',
  RangeTableSample: 'TABLESAMPLE picks other rows each time',
  CurrentOfExpr: 'there are no cursors',
  'IndexStmt.concurrent': 'CREATE INDEX CONCURRENTLY cannot be rolled back',
  'DropStmt.concurrent': 'DROP INDEX CONCURRENTLY cannot be rolled back',
  'TruncateStmt.restart_seqs': 'RESTART IDENTITY resets sequences, which cannot be captured',
  'TypeName.pct_type': '%TYPE names a type indirectly',
  'TypeName.setof': 'SETOF is not a column type',
  'RangeVar.catalogname': 'another database cannot be reached',
};

const FIXES: Readonly<Record<string, string>> = {
  'SelectStmt.lockingClause': 'Leave the clause out: execution checks that the rows did not change.',
  'IndexStmt.concurrent': 'Leave CONCURRENTLY out.',
  'DropStmt.concurrent': 'Leave CONCURRENTLY out.',
  'TruncateStmt.restart_seqs': 'Leave RESTART IDENTITY out.',
};

export function reasonAgainst(type: string, field?: string): { reason: string; fix: string | undefined } {
  const key = field === undefined ? type : `${type}.${field}`;
  return { reason: REASONS[key] ?? `${key} is not a construct that can be classified`, fix: FIXES[key] };
}

/** Splits a text into a set of words. */
export function words(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/));
}
