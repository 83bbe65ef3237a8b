/** The state that an action can change: read alike for the snapshot before, inside the execution, and after. */
import { assertJson } from '../../action/json.js';
import { CountersignError } from '../../action/errors.js';
import type { State } from '../../action/snapshot.js';
import type { Execution } from '../tool.js';
import { definitionsOf, rowsQuery } from './definition.js';
import type { QueryResult, PostgresDatabase, Query } from './connection.js';
import type { ChangePlan, RowPlan } from './plan.js';
import { stateOf } from './rows.js';
import type { SqlScope } from './scope.js';
import { ordered } from './sql.js';
import { keyQuery } from './structured.js';

export interface Reader {
  readonly database: PostgresDatabase;
  readonly scope: SqlScope;
  readonly maxRows: number;
}

/** The queries whose answers `stateFrom` takes. */
export function stateQueries(plan: ChangePlan, maxRows: number): readonly Query[] {
  switch (plan.kind) {
    case 'read':
      return [];
    case 'rows':
      return plan.matching === undefined ? [] : [ordered(plan.matching, plan.table, maxRows + 1)];
    case 'definition':
      return [plan.definitions, ...plan.emptied.map((table) => ordered(rowsQuery(table), table, maxRows + 1))];
  }
}

/** @throws CountersignError TOO_MANY_ROWS */
export function stateFrom(plan: ChangePlan, answers: readonly QueryResult[], reader: Reader): State {
  const state = stateOfPlan(plan, answers, reader);
  assertJson(state, 'state');
  return state;
}

function stateOfPlan(plan: ChangePlan, answers: readonly QueryResult[], reader: Reader): State {
  const [first, ...others] = answers;
  switch (plan.kind) {
    case 'read':
      return {};
    case 'rows':
      return stateOf(plan.table, first === undefined ? [] : bounded(first, plan.table.name, reader));
    case 'definition': {
      const rows = plan.emptied.map((table, at) => {
        const answer = others[at];
        return stateOf(table, answer === undefined ? [] : bounded(answer, table.name, reader));
      });
      // Not by assignment: a table may have any name.
      return Object.fromEntries(
        [definitionsOf(plan, first, reader.scope), ...rows].flatMap((part) => Object.entries(part)),
      );
    }
  }
}

function bounded(
  answer: QueryResult,
  table: string,
  { database, maxRows }: Reader,
): ReturnType<PostgresDatabase['objects']> {
  if (answer.rows.length > maxRows) throw tooManyRows(`more than ${maxRows}`, table, maxRows);
  return database.objects(answer);
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
 * After the effect: the rows captured before and those that came into being, wherever they are now, and the rows that the condition
 * means now.
 */
export async function captureAfter(
  plan: ChangePlan,
  after: { readonly pre: State; readonly execution?: Execution },
  reader: Reader,
  signal: AbortSignal,
): Promise<State> {
  if (plan.kind !== 'rows') {
    const queries = stateQueries(plan, reader.maxRows);
    return stateFrom(plan, queries.length === 0 ? [] : await reader.database.read(queries, signal), reader);
  }
  const queries = [
    ...keyQueries(plan, after),
    ...(plan.matching === undefined ? [] : [ordered(plan.matching, plan.table, reader.maxRows)]),
  ];
  const answers = queries.length === 0 ? [] : await reader.database.read(queries, signal);
  const state = stateOf(
    plan.table,
    answers.flatMap((answer) => reader.database.objects(answer)),
  );
  assertJson(state, 'state');
  return state;
}

function keyQueries(
  plan: RowPlan,
  { pre, execution }: { readonly pre: State; readonly execution?: Execution },
): readonly Query[] {
  const { name } = plan.table;
  const before = Object.hasOwn(pre, name) ? Object.keys(pre[name] ?? {}) : [];
  const created =
    execution?.created !== undefined && Object.hasOwn(execution.created, name) ? (execution.created[name] ?? []) : [];
  const keys = [...new Set([...before, ...created])];
  return keys.length === 0 ? [] : [keyQuery(plan.table, keys)];
}
