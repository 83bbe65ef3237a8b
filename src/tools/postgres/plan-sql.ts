/** Plans raw SQL. */
import { CountersignError } from '../../action/errors.js';
import type { State } from '../../action/snapshot.js';
import { assignedByStatement, NOTHING_ASSIGNED, type AssignedColumns } from './assigned-columns.js';
import { assignExpressions } from './assignment.js';
import { columnOf, type Table } from './catalog.js';
import type { Classification, CompoundStatement, RowStatement } from './classify.js';
import { definedTables, definitionPlan } from './definition.js';
import type { PostgresInput } from './input.js';
import type { ChangePlan, RehearsedPlan, RowPlan } from './plan.js';
import { cascadesFrom, compound, movesRows, NOTHING_MORE, requireWritable, sorted, withoutKey } from './plan-parts.js';
import * as raw from './raw.js';
import type { Row } from './rows.js';
import type { Reads, SqlScope } from './scope.js';

type Params = Extract<PostgresInput, { op: 'sql' }>['params'];

export async function planSql(
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
    case 'compound':
      return await planCompound(statement, params, { read, reads }, scope, signal);
    default:
      await scope.checkUses(statement.uses, read, signal);
      return await definitionPlan(statement, scope, sorted(reads.names), signal, definedTables(pre));
  }
}

async function planCompound(
  statement: CompoundStatement,
  params: Params,
  { read, reads }: { readonly read: readonly Table[]; readonly reads: Reads },
  scope: SqlScope,
  signal: AbortSignal,
): Promise<RehearsedPlan> {
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
