/** Captures the state that an action can change, in the same way before, during and after the execution. */
import { assertJson, type Json } from '../../action/json.js';
import { CountersignError } from '../../action/errors.js';
import type { State } from '../../action/snapshot.js';
import type { Execution } from '../tool.js';
import { definitionsOf, ROWS, rowsDigestQuery, rowsQuery } from './definition.js';
import { exportsAfter, type ExportSettings } from './exports.js';
import type { QueryResult, PostgresDatabase, Query } from './connection.js';
import { parseName } from './catalog.js';
import type { ChangePlan, RehearsedPlan, RowPlan } from './plan.js';
import { identified, rowsOf } from './touched-rows.js';
import { createdIn, keysIn, stateOf } from './rows.js';
import type { SqlScope } from './scope.js';
import { ordered } from './sql.js';
import { keyQuery } from './structured.js';

export interface Reader {
  readonly database: PostgresDatabase;
  readonly scope: SqlScope;
  readonly maxRows: number;
  /** Where rows go that are removed and too many to be recorded one by one. */
  readonly exports?: ExportSettings | undefined;
}

/** The plan of an action whose state queries tell, without a rehearsal. */
export type QueriedPlan = Exclude<ChangePlan, RehearsedPlan>;

/** The queries whose results `stateFrom` takes. */
export function stateQueries(plan: QueriedPlan, maxRows: number): readonly Query[] {
  switch (plan.kind) {
    case 'read':
      return [];
    case 'rows':
      return plan.matching === undefined ? [] : [ordered(plan.matching, plan.table, maxRows + 1)];
    case 'definition':
      return [
        plan.definitions,
        ...plan.emptied.flatMap((table) => [
          ordered(rowsQuery(table), table, maxRows + 1),
          rowsDigestQuery(table, maxRows),
        ]),
      ];
  }
}

/** Builds the state from the results of `stateQueries`. @throws CountersignError TOO_MANY_ROWS */
export function stateFrom(plan: QueriedPlan, results: readonly QueryResult[], reader: Reader): State {
  const state = stateOfPlan(plan, results, reader);
  assertJson(state, 'state');
  return state;
}

function stateOfPlan(plan: QueriedPlan, results: readonly QueryResult[], reader: Reader): State {
  const [first, ...others] = results;
  switch (plan.kind) {
    case 'read':
      return {};
    case 'rows':
      return stateOf(plan.table, first === undefined ? [] : bounded(first, plan.table.name, reader));
    case 'definition': {
      const rows: ReturnType<typeof stateOf>[] = [];
      const digests: [string, Json][] = [];
      for (const [at, table] of plan.emptied.entries()) {
        const [result, whole] = [others[2 * at], others[2 * at + 1]];
        const isLarge = (result?.rows.length ?? 0) > reader.maxRows;
        rows.push(stateOf(table, result === undefined || isLarge ? [] : reader.database.objects(result)));
        const [count, digest] = whole?.rows[0] ?? [];
        // Whether there will be a copy is part of what is decided on.
        const to = reader.exports === undefined ? {} : { exportTo: reader.exports.schema };
        if (isLarge) digests.push([table.name, { rows: Number(count), digest: `md5:${digest}`, ...to }]);
      }
      const large = digests.length === 0 ? {} : { [ROWS]: Object.fromEntries(digests) };
      // Built from entries, because a table may have any name, even `__proto__`.
      return Object.fromEntries(
        [definitionsOf(plan, first, reader.scope), large, ...rows].flatMap((part) => Object.entries(part)),
      );
    }
  }
}

function bounded(
  result: QueryResult,
  table: string,
  { database, maxRows }: Reader,
): ReturnType<PostgresDatabase['objects']> {
  if (result.rows.length > maxRows) throw tooManyRows(`more than ${maxRows}`, table, maxRows);
  return database.objects(result);
}

export function tooManyRows(count: string, table: string, maxRows: number): CountersignError {
  return new CountersignError(
    'TOO_MANY_ROWS',
    `The action touches ${count} rows of ${table}; at most ${maxRows} are recorded.`,
    {
      field: 'input',
      expected: `at most ${maxRows} rows`,
      fix: "Narrow the condition and act in several steps, or ask the operator to raise the tool's maxRows.",
    },
  );
}

/**
 * Captures the state after the effect: the rows captured before, the rows that were created, and the rows that match the condition now.
 */
export async function captureAfter(
  plan: QueriedPlan,
  after: { readonly pre: State; readonly execution?: Execution },
  reader: Reader,
  signal: AbortSignal,
): Promise<State> {
  if (plan.kind !== 'rows') {
    const queries = stateQueries(plan, reader.maxRows);
    const state = stateFrom(plan, queries.length === 0 ? [] : await reader.database.read(queries, signal), reader);
    return { ...state, ...(await exportsAfter(after.execution, reader.database, signal)) };
  }
  const queries = [
    ...keyQueries(plan, after),
    ...(plan.matching === undefined ? [] : [ordered(plan.matching, plan.table, reader.maxRows)]),
  ];
  const results = queries.length === 0 ? [] : await reader.database.read(queries, signal);
  const state = stateOf(
    plan.table,
    results.flatMap((result) => reader.database.objects(result)),
  );
  assertJson(state, 'state');
  return state;
}

/** Captures the rows of a rehearsed change after the effect: those of the pre-state, and those that were created. */
export async function captureRehearsed(
  { pre, execution }: { readonly pre: State; readonly execution?: Execution },
  { database, scope }: Reader,
  signal: AbortSignal,
): Promise<State> {
  const names = [...new Set([...Object.keys(pre), ...Object.keys(execution?.created ?? {})])];
  const tables = await scope.tables(names.map(parseName), 'input', signal);
  const queries = tables.map((table) =>
    rowsOf(table, [...keysIn(pre, table.name), ...createdIn(execution, table.name)]),
  );
  const results = queries.length === 0 ? [] : await database.read(queries, signal);
  const rows = tables.map((table, at) => [table.name, Object.fromEntries(identified(table, results[at], database))]);
  const state: unknown = Object.fromEntries(rows);
  assertJson(state, 'state');
  return state as State;
}

function keyQueries(
  plan: RowPlan,
  { pre, execution }: { readonly pre: State; readonly execution?: Execution },
): readonly Query[] {
  const { name } = plan.table;
  const keys = [...new Set([...keysIn(pre, name), ...createdIn(execution, name)])];
  return keys.length === 0 ? [] : [keyQuery(plan.table, keys)];
}
