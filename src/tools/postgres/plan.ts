/** Plans an input for this database: the statement, the rows that it matches, and everything that must be checked. */
import { CountersignError } from '../../action/errors.js';
import type { State } from '../../action/snapshot.js';
import { assignExpressions, assignValues, type Assignment } from './assignment.js';
import { columnOf, parseName, type Table } from './catalog.js';
import { classify, type Classification, type RowStatement, type RowVerb } from './classify.js';
import type { Query } from './connection.js';
import type { PostgresInput } from './input.js';
import { definedTables, definitionPlan, type DefinitionPlan } from './definition.js';
import * as raw from './raw.js';
import { requireKey, type Row } from './rows.js';
import { assignedByRows, assignedByStatement, NOTHING_ASSIGNED, type AssignedColumns } from './assigned-columns.js';
import type { SqlScope } from './scope.js';
import * as structured from './structured.js';

/** The plan of a read. */
export interface ReadPlan {
  readonly kind: 'read';
  readonly query: Query;
  readonly reads: readonly string[];
  /** Whether the order of the rows is the same each time. */
  readonly ordered: boolean;
  /** Whether the result depends on the clock. */
  readonly clock: boolean;
  /** The most rows that it returns, where the input says so, and the query for one row more, which tells whether there are more. */
  readonly page?: { readonly limit: number; readonly withOneMore: Query };
  /** Whether it is an EXPLAIN, which cannot stand within another query. */
  readonly explains?: boolean;
}

/** The plan of a change of rows of one table. */
export interface RowPlan {
  readonly kind: 'rows';
  readonly verb: RowVerb | 'restore';
  readonly table: Table;
  readonly reads: readonly string[];
  /** The statement. It returns the key of every changed row, after its own RETURNING columns. */
  readonly statement: Query;
  /** The rows that it matches now. For an insert, those that already have a given key; undefined when no key is given. */
  readonly matching: Query | undefined;
  /** One row for each combination in which the join of an update matches a row. */
  readonly matches: Query | undefined;
  /** Queries that fail if the server would refuse the statement or a value. */
  readonly examination: readonly Query[];
  /** The rows that an `INSERT … SELECT` inserts, and their columns when they are named. */
  readonly source: Query | undefined;
  readonly sourceColumns: readonly string[] | undefined;
  /** The given rows of an insert or restore, for people. */
  readonly given: readonly Row[];
  /** The columns that an update sets. */
  readonly columns: readonly string[];
  readonly assignment: Assignment | undefined;
  readonly assigned: AssignedColumns;
  readonly clock: boolean;
  /** Why queries cannot tell what it changes, so that it must be rehearsed; undefined when they can. */
  readonly onlyRehearsed: string | undefined;
  /** Whether foreign keys may change rows of other tables with it. */
  readonly cascades: boolean;
}

/** The plan of a change whose rows are found by rehearsing it. */
export interface RehearsedPlan {
  readonly kind: 'rehearsed';
  readonly statement: Query;
  /** How many columns of the statement's result are not the agent's, at its end; undefined when none of them is. */
  readonly hidden: number | undefined;
  /** The tables that the statement names as written. */
  readonly targets: readonly Table[];
  readonly reads: readonly string[];
  /** What the statement sets, by table. */
  readonly assigned: ReadonlyMap<string, AssignedColumns>;
  /** The plan by queries, of a change of one table. */
  readonly rows: RowPlan | undefined;
  readonly onlyRehearsed: string | undefined;
}

export type ChangePlan = ReadPlan | RowPlan | RehearsedPlan | DefinitionPlan;

/**
 * Plans an input.
 *
 * @param pre the captured pre-state, when the effect has already happened
 * @throws CountersignError INVALID_INPUT, STATEMENT_REFUSED or TOOL_UNAVAILABLE
 */
export async function planFor(
  input: PostgresInput,
  scope: SqlScope,
  signal: AbortSignal,
  pre?: State,
): Promise<ChangePlan> {
  if (input.op === 'sql') return await planSql(classify(input.sql), input.params, scope, signal, pre);
  if (input.op === 'describe') {
    const query = await scope.describe(input.tables?.map(parseName), signal);
    return { kind: 'read', query, reads: [], ordered: true, clock: false };
  }
  const [table] = await scope.tables([parseName(input.table)], 'input.table', signal);
  if (table === undefined) throw new CountersignError('INTERNAL', 'The table that was found is gone.');
  if (input.op === 'select') {
    const reads = await scope.readable([table], signal);
    const query = structured.selectQuery(input, table);
    const { limit } = input;
    const withOneMore = structured.selectQuery({ ...input, limit: limit + 1 }, table);
    const page = { limit, withOneMore };
    return { kind: 'read', query, reads: sorted(reads.names), ordered: true, clock: reads.clock, page };
  }
  requireWritable(table, 'input.table');
  if (input.op === 'upsert') {
    const [statement, assigned] = [structured.upsertStatement(table, input), assignedByRows(input.rows)];
    return compound(statement, { targets: [table], assigned: new Map([[table.name, assigned]]) });
  }
  const base = { ...NOTHING_MORE, table, verb: input.op };
  switch (input.op) {
    case 'insert': {
      for (const row of input.rows) for (const name of Object.keys(row)) columnOf(table, name, 'input.rows');
      const keys = structured.givenKeys(table, input.rows, false);
      return {
        ...base,
        statement: structured.insertStatement(table, input),
        matching: keys.length === 0 ? undefined : structured.keyQuery(table, keys),
        given: input.rows,
        assignment: assignValues(table, input.rows, 'input.rows'),
        assigned: assignedByRows(input.rows),
        onlyRehearsed: withoutKey(table),
      };
    }
    case 'restore': {
      requireKey(table, 'input.table');
      const names = new Set(input.rows.map((row) => Object.keys(row).sort().join('\n')));
      if (names.size > 1) throw unevenRows();
      return {
        ...base,
        statement: structured.restoreStatement(table, input),
        matching: structured.keyQuery(table, structured.givenKeys(table, input.rows, true)),
        given: input.rows,
        assignment: assignValues(table, input.rows, 'input.rows'),
        assigned: assignedByRows(input.rows),
      };
    }
    case 'update':
      return {
        ...base,
        statement: structured.updateStatement(table, input),
        matching: structured.matchingQuery(table, input),
        columns: Object.keys(input.set),
        assignment: assignValues(table, [input.set], 'input.set'),
        onlyRehearsed: movesRows(table, Object.keys(input.set)),
        cascades: cascadesFrom(table, Object.keys(input.set)),
      };
    case 'delete':
      return {
        ...base,
        statement: structured.deleteStatement(table, input),
        matching: structured.matchingQuery(table, input),
        onlyRehearsed: withoutKey(table),
        cascades: table.cascades.length > 0,
      };
  }
}

type Params = Extract<PostgresInput, { op: 'sql' }>['params'];

async function planSql(
  statement: Classification,
  params: Params,
  scope: SqlScope,
  signal: AbortSignal,
  pre: State | undefined,
): Promise<ChangePlan> {
  raw.checkParameters(statement.uses.params, params);
  const read = await scope.tables(statement.uses.tables, 'input.sql', signal);
  const reads = await scope.readable(read, signal);
  const clock = reads.clock || statement.uses.clockInOutput;
  switch (statement.verb) {
    case 'select':
      await scope.checkUses(statement.uses, read, signal);
      return {
        kind: 'read',
        query: raw.statementText(statement, params),
        reads: sorted(reads.names),
        ordered: false,
        clock,
        explains: statement.explains ?? false,
      };
    case 'insert':
    case 'update':
    case 'delete': {
      const [table] = await scope.tables([statement.target], 'input.sql', signal);
      if (table === undefined) throw new CountersignError('INTERNAL', 'The table that was found is gone.');
      await scope.checkUses(statement.uses, [table, ...read], signal);
      requireWritable(table, 'input.sql');
      return planRows(statement, table, params, sorted(reads.names, [table.name]), clock);
    }
    case 'compound': {
      const names = statement.writes.map((write) => write.target);
      const tables = await scope.tables(names, 'input.sql', signal);
      await scope.checkUses(statement.uses, [...tables, ...read], signal);
      for (const table of tables) requireWritable(table, 'input.sql');
      const assigned = new Map<string, AssignedColumns>();
      for (const [at, table] of tables.entries()) {
        const write = statement.writes[at];
        if (write !== undefined)
          assigned.set(table.name, both(assigned.get(table.name), assignedByStatement(write, table)));
      }
      const targets = [...new Map(tables.map((table) => [table.name, table])).values()];
      const hidden = statement.returning ? 0 : undefined;
      const reachable = sorted(
        reads.names,
        targets.map((table) => table.name),
      );
      return { ...compound(raw.statementText(statement, params), { targets, assigned }), hidden, reads: reachable };
    }
    default:
      await scope.checkUses(statement.uses, read, signal);
      return await definitionPlan(statement, scope, sorted(reads.names), signal, definedTables(pre));
  }
}

function planRows(
  statement: RowStatement,
  table: Table,
  params: Params,
  reads: readonly string[],
  clock: boolean,
): RowPlan {
  const returningKeys = raw.statementReturningKeys(statement, table, params);
  const base = {
    ...NOTHING_MORE,
    table,
    verb: statement.verb,
    reads,
    statement: returningKeys,
    examination: raw.examination(returningKeys),
    assigned: assignedByStatement({ type: STATEMENT_TYPES[statement.verb], node: statement.node }, table),
    clock,
    onlyRehearsed: withoutKey(table),
  };
  switch (statement.verb) {
    case 'insert': {
      const source = raw.insertedQuery(statement, params);
      if (source !== undefined) return { ...base, source, sourceColumns: statement.columns };
      const rows = raw.insertedExpressions(statement, table, params);
      return { ...base, given: rows.map((row) => shown(row)), assignment: assignExpressions(rows) };
    }
    case 'update': {
      for (const name of statement.columns ?? []) columnOf(table, name, 'input.sql');
      const values = raw.updatedExpressions(statement, table, params);
      return {
        ...base,
        matching: raw.matchingRows(statement, table, params),
        matches: raw.matches(statement, table, params),
        columns: statement.columns ?? [],
        assignment: assignExpressions([values]),
        onlyRehearsed: movesRows(table, statement.columns ?? []),
        cascades: cascadesFrom(table, statement.columns ?? []),
      };
    }
    case 'delete':
      return {
        ...base,
        matching: raw.matchingRows(statement, table, params),
        cascades: table.cascades.length > 0,
      };
  }
}

const STATEMENT_TYPES = { insert: 'InsertStmt', update: 'UpdateStmt', delete: 'DeleteStmt' } as const;

/** A plan of a statement of which only a rehearsal can tell what it changes. */
function compound(statement: Query, { targets, assigned }: Pick<RehearsedPlan, 'targets' | 'assigned'>): RehearsedPlan {
  return {
    kind: 'rehearsed',
    statement,
    hidden: undefined,
    targets,
    reads: [],
    assigned,
    rows: undefined,
    onlyRehearsed: 'which rows it changes depends on rows that it does not name',
  };
}

/** The plan of a change of rows, to be rehearsed. */
export function rehearsed(plan: RowPlan | RehearsedPlan, returns: boolean): RehearsedPlan {
  if (plan.kind === 'rehearsed') return plan;
  return {
    kind: 'rehearsed',
    statement: plan.statement,
    hidden: returns ? plan.table.key.length : undefined,
    targets: [plan.table],
    reads: plan.reads,
    assigned: new Map([[plan.table.name, plan.assigned]]),
    rows: plan,
    onlyRehearsed: plan.onlyRehearsed,
  };
}

function withoutKey(table: Table): string | undefined {
  return table.key.length > 0 ? undefined : `${table.name} has no primary key`;
}

function movesRows(table: Table, columns: readonly string[]): string | undefined {
  const moved = table.key.some((column) => columns.includes(column.name));
  return moved ? `it changes the key of rows of ${table.name}` : withoutKey(table);
}

function cascadesFrom(table: Table, columns: readonly string[]): boolean {
  return table.cascadingColumns.some((name) => columns.includes(name));
}

function both(one: AssignedColumns = NOTHING_ASSIGNED, other: AssignedColumns): AssignedColumns {
  if (one === NOTHING_ASSIGNED) return other;
  const given = [...one.given].filter((name) => other.given.has(name));
  return { given: new Set(given), fresh: new Set([...one.fresh, ...other.fresh]) };
}

/** A row of `VALUES`, for people. A value that is not plain is shown as SQL. */
function shown(row: Awaited<ReturnType<typeof raw.insertedExpressions>>[number]): Row {
  return Object.fromEntries(
    [...row].map(([column, { text, values }]) => {
      const value = values[0];
      const plain = text === '$1' && (value === null || typeof value === 'string');
      const literal = /^'((?:[^']|'')*)'$/.exec(text)?.[1]?.replaceAll("''", "'");
      return [column.name, plain ? value : (literal ?? text)];
    }),
  );
}

const NOTHING_MORE = {
  kind: 'rows',
  reads: [] as readonly string[],
  matching: undefined,
  matches: undefined,
  examination: [] as readonly Query[],
  source: undefined,
  sourceColumns: undefined,
  given: [] as readonly Row[],
  columns: [] as readonly string[],
  assignment: undefined,
  assigned: NOTHING_ASSIGNED,
  clock: false,
  onlyRehearsed: undefined as string | undefined,
  cascades: false as boolean,
} as const;

/** Checks that rows of the table can be written and read back one by one. @throws CountersignError INVALID_INPUT */
function requireWritable(table: Table, field: string): void {
  if (table.kind !== 'table' && table.kind !== 'partitioned') {
    throw new CountersignError('INVALID_INPUT', `${table.name} is a ${table.kind}; only tables are written.`, {
      field,
      expected: 'a table',
      fix: 'Write to the table itself.',
    });
  }
  if (table.mixed) {
    throw new CountersignError(
      'INVALID_INPUT',
      `Other tables inherit from ${table.name}, so its keys do not name rows.`,
      {
        field,
        expected: 'a table without children other than partitions of this database',
        fix: 'Write to the table that holds the rows.',
      },
    );
  }
}

function unevenRows(): CountersignError {
  return new CountersignError('INVALID_INPUT', 'The rows to restore do not have the same columns.', {
    field: 'input.rows',
    expected: 'the same columns in every row',
    fix: 'Give whole rows, as they were captured.',
  });
}

function sorted(names: ReadonlySet<string>, without: readonly string[] = []): readonly string[] {
  return [...names].filter((name) => !without.includes(name)).sort();
}
