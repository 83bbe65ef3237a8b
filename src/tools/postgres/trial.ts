/** Tries a change inside an open transaction and takes it back, to find out everything that it does. */
import { CountersignError } from '../../action/errors.js';
import { assertJson, type Json } from '../../action/json.js';
import type { ChangedRows } from '../../action/rehearsal.js';
import type { State } from '../../action/snapshot.js';
import { tooManyRows, type Reader } from './capture.js';
import { TABLES_SQL, tablesFrom, type Table } from './catalog.js';
import { changedRows, NEW_KEYS, type VaryingValues } from './change.js';
import type { PostgresSession, QueryResult } from './connection.js';
import type { RehearsedPlan } from './plan.js';
import type { Row } from './rows.js';
import {
  identified,
  isWithin,
  requireIdentifiable,
  rowsEndedBy,
  rowsOf,
  rowsWrittenBy,
  WRITES_SQL,
  writesFrom,
  writtenAndLocked,
  type IdentifiedRows,
  type Writes,
} from './touched-rows.js';
import { total, wholeTables, writtenSince, type WrittenTable } from './written-tables.js';

export interface TrialOptions extends Reader {
  /** Tables that triggers and foreign keys may write beside the action. Their rows are counted and not compared. */
  readonly sideEffectTables: ReadonlySet<string>;
  /** Columns that triggers maintain. */
  readonly maintainedColumns: ReadonlySet<string>;
  readonly signal: AbortSignal;
}

/** What a change did. */
export interface Trial {
  readonly before: State;
  readonly after: State;
  readonly tables: readonly Table[];
  readonly changes: Readonly<Record<string, ChangedRows>>;
  /** How many rows of each of the `sideEffectTables` were written. */
  readonly sideEffects: Readonly<Record<string, number>>;
  readonly varying: VaryingValues;
  readonly statement: QueryResult;
}

const SAVEPOINT = 'countersign_trial';
/** Types of dates and times. */
const CLOCK_TYPES: ReadonlySet<number> = new Set([1082, 1114, 1184]);

/**
 * Tries the change after a savepoint and rolls it back. The transaction must be REPEATABLE READ.
 *
 * @param start what the server counted of the session before
 * @throws CountersignError INVALID_INPUT, TOO_MANY_ROWS, CONSTRAINT_VIOLATED; errors of the database
 */
export async function tryChange(
  session: PostgresSession,
  plan: RehearsedPlan,
  start: Writes,
  options: TrialOptions,
): Promise<Trial> {
  const { database, signal, sideEffectTables } = options;
  const [, statement, end] = await session.run(
    [{ text: `SAVEPOINT ${SAVEPOINT}` }, plan.statement, { text: `SET CONSTRAINTS ALL IMMEDIATE; ${WRITES_SQL}` }],
    signal,
  );
  if (statement === undefined) throw new CountersignError('INTERNAL', 'The statement gave no result.');
  const writes = writesFrom(end);
  const written = wholeTables(writtenSince(start.tables, writes.tables));
  const beside = written.filter((table) => sideEffectTables.has(options.scope.display(table)));
  const own = written.filter((table) => !beside.includes(table));
  checkCovered(own, plan, options);
  checkSize(own, options.maxRows);
  const tables = await tablesOf(own, plan, session, options);
  for (const table of tables) requireIdentifiable(table);

  const limit = 2 * options.maxRows + 1;
  const images = await session.run(
    tables.map((table) => rowsWrittenBy(table, writes.ids, limit)),
    signal,
  );
  await database.learnTypes(session, images);
  const now = tables.map((table, at) => writtenAndLocked(table, images[at], database));
  const old = await session.run(
    [
      { text: `ROLLBACK TO ${SAVEPOINT}; SET CONSTRAINTS ALL IMMEDIATE` },
      ...tables.flatMap((table, at) => [
        rowsEndedBy(table, writes.ids, limit),
        rowsOf(table, [...(now[at]?.written.keys() ?? [])]),
      ]),
    ],
    signal,
  );
  const then = tables.map((table, at) => ({
    ended: identified(table, old[2 * at + 1], database),
    same: identified(table, old[2 * at + 2], database),
  }));
  const states = await Promise.all(
    tables.map(async (table, at) => {
      const [is, was] = [now[at], then[at]];
      if (is === undefined || was === undefined) throw new CountersignError('INTERNAL', 'A table has no rows.');
      return table.key.length > 0
        ? keyedStates(is, was, own[at])
        : await unkeyedStates(table, is.written, was, session, options);
    }),
  );
  const before = stateFrom(
    tables,
    states.map(([was]) => was),
  );
  const after = stateFrom(
    tables,
    states.map(([, is]) => is),
  );
  return {
    before,
    after,
    tables,
    changes: changedRows(before, after, tables),
    sideEffects: Object.fromEntries(beside.map((table) => [options.scope.display(table), total(table)])),
    varying: varyingValues(tables, states, plan, writes.clock, options.maintainedColumns),
    statement,
  };
}

type States = readonly [before: IdentifiedRows, after: IdentifiedRows];

interface Ended {
  /** The rows whose former version ended with the change. */
  readonly ended: IdentifiedRows;
  /** The former versions of the rows that were written, where there are any. */
  readonly same: IdentifiedRows;
}

function keyedStates(
  { written, locked }: { readonly written: IdentifiedRows; readonly locked: IdentifiedRows },
  { ended, same }: Ended,
  counts: WrittenTable | undefined,
): States {
  const before = new Map([...[...ended].filter(([key]) => !locked.has(key)), ...same]);
  const gone = [...before.keys()].filter((key) => !written.has(key)).length;
  const made = [...written.keys()].filter((key) => !before.has(key)).length;
  // A row that another transaction locks at the same time carries a mark that is not ours alone.
  const unseen = (counts?.deleted ?? 0) - Math.max(0, (counts?.inserted ?? 0) - made) - gone;
  if (unseen > 0) throw lockedByOthers();
  return [before, written];
}

/** The states of a table without a key: all rows that are equal to one that was written or removed, before and after. */
async function unkeyedStates(
  table: Table,
  written: IdentifiedRows,
  { ended }: Ended,
  session: PostgresSession,
  { database, signal }: TrialOptions,
): Promise<States> {
  const [rows] = await session.run([rowsOf(table, [...written.keys(), ...ended.keys()])], signal);
  const before = identified(table, rows, database);
  const counts = new Map<string, number>();
  const contents = new Map<string, Row>();
  const count = (all: IdentifiedRows, by: number): void => {
    for (const [identity, row] of all) {
      const content = identity.replace(/#\d+$/, '');
      contents.set(content, row);
      counts.set(content, (counts.get(content) ?? 0) + by);
    }
  };
  count(before, 1);
  count(ended, -1);
  count(written, 1);
  const after = [...counts].flatMap(([content, times]) =>
    Array.from({ length: Math.max(0, times) }, (_, at) => {
      const identity = at === 0 ? content : `${content}#${at + 1}`;
      return [identity, contents.get(content) ?? {}] as const;
    }),
  );
  return [before, new Map(after)];
}

function stateFrom(tables: readonly Table[], rows: readonly IdentifiedRows[]): State {
  const state = Object.fromEntries(tables.map((table, at) => [table.name, Object.fromEntries(rows[at] ?? [])]));
  assertJson(state, 'state');
  return state;
}

/**
 * The columns whose new values differ each time: those that the statement or a default takes from a clock, a sequence or at random, those
 * that the operator says triggers maintain, and those that hold the time of this transaction.
 */
function varyingValues(
  tables: readonly Table[],
  states: readonly States[],
  plan: RehearsedPlan,
  clock: Writes['clock'],
  maintained: ReadonlySet<string>,
): VaryingValues {
  const found = tables.map((table, at): [string, readonly string[]] => {
    const [before = new Map(), after = new Map()] = states[at] ?? [];
    const made = [...after.keys()].some((identity) => !before.has(identity));
    const assigned = plan.assigned.get(table.name);
    const columns = table.columns.filter((column) => {
      if (assigned?.fresh.has(column.name) === true || maintained.has(column.name)) return true;
      if (made && column.volatileDefault && assigned?.given.has(column.name) !== true) return true;
      if (!CLOCK_TYPES.has(column.value.oid)) return false;
      const isNew = (identity: string, value: Json | undefined): boolean =>
        value !== before.get(identity)?.[column.name] && isWithin(value, clock);
      return [...after].some(([identity, row]) => isNew(identity, row[column.name]));
    });
    const names = columns.map((column) => column.name);
    const identity = table.key.length > 0 ? table.key : table.columns;
    const newKeys = made && identity.some((column) => names.includes(column.name));
    return [table.name, newKeys ? [...names, NEW_KEYS] : names];
  });
  return Object.fromEntries(found.filter(([, names]) => names.length > 0));
}

/** The written tables from the catalog, in the order of `written`. */
async function tablesOf(
  written: readonly WrittenTable[],
  plan: RehearsedPlan,
  session: PostgresSession,
  { scope, database, signal }: TrialOptions,
): Promise<readonly Table[]> {
  const known = new Map(plan.targets.map((table) => [table.name, table]));
  const others = written.filter((table) => !known.has(scope.display(table)));
  if (others.length > 0) {
    const query = { text: TABLES_SQL, values: [others.map(({ schema }) => schema), others.map(({ name }) => name)] };
    const results = await session.run([query], signal);
    await database.learnTypes(session, results);
    const texts = (results[0]?.rows ?? []).map((row) => row[0] ?? null);
    for (const table of tablesFrom(texts, scope.schema)) known.set(table.name, table);
  }
  return written.map((table) => {
    const found = known.get(scope.display(table));
    if (found === undefined) throw new CountersignError('INTERNAL', `The table ${scope.display(table)} is gone.`);
    return found;
  });
}

/** Refuses a change that also writes tables that the tool does not cover, or whose rows its role may not read. */
function checkCovered(written: readonly WrittenTable[], plan: RehearsedPlan, { scope }: TrialOptions): void {
  const named = new Set(plan.targets.map((table) => table.name));
  const refused = written
    .filter((table) => !named.has(scope.display(table)) && !(table.readable && scope.covers(table)))
    .map((table) => `${scope.display(table)} (${total(table)})`)
    .sort();
  if (refused.length === 0) return;
  throw new CountersignError('INVALID_INPUT', `The change would also write rows of ${refused.join(', ')}.`, {
    field: 'input',
    expected: 'changes of tables that the tool covers',
    fix: 'See which trigger or foreign key acts; or ask the operator to add the tables to tables, or to sideEffectTables.',
  });
}

function checkSize(written: readonly WrittenTable[], maxRows: number): void {
  const rows = written.reduce((sum, table) => sum + total(table), 0);
  if (rows > maxRows) throw tooManyRows(String(rows), written.map(({ name }) => name).join(', '), maxRows);
}

function lockedByOthers(): CountersignError {
  return new CountersignError('TOOL_UNAVAILABLE', 'Others lock the rows of the change, so it cannot be told apart.', {
    fix: 'Try again; nothing was changed.',
    retryable: true,
  });
}
