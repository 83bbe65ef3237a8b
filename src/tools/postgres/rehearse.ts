/** Rehearses a change: makes it in a transaction that is rolled back, so that what it does is known before anybody decides on it. */
import type { ErrorView } from '../../action/errors.js';
import type { ActionType, Preview } from '../../action/decision.js';
import type { ChangedRows, Rehearsal } from '../../action/rehearsal.js';
import { timeoutSignal } from '../../timeout-signal.js';
import { assignedRows } from './assignment.js';
import { columnOrder, type Table } from './catalog.js';
import { changeDigest, rowsIn, shownRows } from './change.js';
import type { PostgresDatabase, Query, QueryResult } from './connection.js';
import { asFailure, isConnectionLost } from './failure.js';
import type { RehearsedPlan, RowPlan } from './plan.js';
import { assertTakenBack, CODE_SQL, type DatabaseCode } from './rehearsal-safety.js';
import { columnsOf, WRITES_SQL, writesFrom } from './touched-rows.js';
import { ambiguousJoin } from './preview.js';
import { counted } from './sql.js';
import { total, tryChange, type Trial, type TrialOptions } from './trial.js';
import { keyOf } from './rows.js';
import type { PostgresInput } from './input.js';
import { derived, frameColumns } from './verify.js';

export interface RehearsalLimits {
  /** The longest that a rehearsal waits for a lock. Milliseconds. */
  readonly lockTimeoutMs: number;
  /** The longest time of one of its statements. Milliseconds. */
  readonly timeoutMs: number;
  /** Functions that the operator says a rollback takes back. */
  readonly transactionalFunctions: ReadonlySet<string>;
}

export interface RehearseOptions extends Omit<TrialOptions, 'signal'> {
  readonly tool: string;
  /** The connection of the role that rehearses. */
  readonly database: PostgresDatabase;
  readonly limits: RehearsalLimits;
}

/** What a rehearsal found. */
export interface Rehearsed extends KnownBefore {
  readonly trial: Trial;
  readonly rehearsal: Rehearsal;
}

/** How many rows are shown to people. */
const SAMPLE = 10;

/**
 * @throws CountersignError STATEMENT_REFUSED when a rollback may not take everything back; INVALID_INPUT when the database refuses the
 *   change; TOO_MANY_ROWS; TOOL_UNAVAILABLE when others hold the rows for too long
 */
export async function rehearse(plan: RehearsedPlan, options: RehearseOptions, outer: AbortSignal): Promise<Rehearsed> {
  const { database, tool, limits } = options;
  const signal = timeoutSignal(outer, 4 * limits.timeoutMs);
  await assertReversible(plan, options, signal);
  const session = await database.session();
  let broken = true;
  try {
    const begin = [
      'BEGIN ISOLATION LEVEL REPEATABLE READ',
      database.settings(limits.timeoutMs),
      `SET LOCAL lock_timeout = ${limits.lockTimeoutMs}`,
      'SET CONSTRAINTS ALL IMMEDIATE',
      'SELECT pg_backend_pid()',
    ].join('; ');
    const before = plan.rows === undefined ? [] : queriesBefore(plan.rows, options.maxRows);
    const [begun, start, ...read] = await session.run([{ text: begin }, { text: WRITES_SQL }, ...before], signal);
    session.backend(Number(begun?.rows[0]?.[0]));
    await database.learnTypes(session, read);
    const trial = await tryChange(session, plan, writesFrom(start), { ...options, signal });
    broken = false;
    const known = plan.rows === undefined ? NOTHING_KNOWN : knownFrom(plan.rows, read);
    if (known.matches > trial.statement.count) throw ambiguousJoin(plan.targets);
    return { trial, rehearsal: rehearsalOf(trial), ...known };
  } catch (error) {
    broken = isConnectionLost(error) || signal.aborted;
    throw asFailure(error, { tool, phase: 'reading' });
  } finally {
    if (!broken) await session.run([{ text: 'ROLLBACK' }]).catch(() => (broken = true));
    session.release(broken);
  }
}

/** What queries tell of a change of one table before it is made. */
interface KnownBefore {
  /** How many rows the statement must change; undefined when no query tells. */
  readonly expected: number | undefined;
  /** How often its join matches a row. */
  readonly matches: number;
  /** The values of the input in the database's form, where they differ from it. */
  readonly assigned: ReturnType<typeof assignedRows>;
}

const NOTHING_KNOWN: KnownBefore = { expected: undefined, matches: 0, assigned: undefined };

/** The queries whose results `knownFrom` takes. */
function queriesBefore({ matching, matches, assignment }: RowPlan, maxRows: number): readonly Query[] {
  const count = (query: Query | undefined): Query => (query === undefined ? NO_COUNT : counted(query, maxRows + 1));
  return [count(matching), count(matches), ...(assignment?.queries ?? [])];
}

const NO_COUNT: Query = { text: 'SELECT 0' };

function knownFrom(plan: RowPlan, [matching, matches, ...stored]: readonly QueryResult[]): KnownBefore {
  const isNew = plan.verb === 'insert' || plan.verb === 'restore';
  const given = plan.source === undefined ? plan.given.length : undefined;
  return {
    expected: isNew ? given : Number(matching?.rows[0]?.[0]),
    matches: Number(matches?.rows[0]?.[0]),
    assigned: plan.assignment === undefined ? undefined : assignedRows(plan.assignment, stored),
  };
}

async function assertReversible(
  { targets }: RehearsedPlan,
  { database, limits }: RehearseOptions,
  signal: AbortSignal,
): Promise<void> {
  const plain = targets.every(
    ({ triggers, rules, cascades, cascadingColumns }) =>
      triggers.length + rules.length + cascades.length + cascadingColumns.length === 0,
  );
  if (plain) return;
  const [result] = await database.read([{ text: CODE_SQL }], signal);
  const code = JSON.parse(result?.rows[0]?.[0] ?? '{"functions":[],"tables":[]}') as DatabaseCode;
  const changed = targets.map(({ schema, relation }) => ({ schema, name: relation }));
  assertTakenBack(code, changed, limits.transactionalFunctions);
}

function rehearsalOf({ before, after, changes, sideEffects, varying }: Trial): Rehearsal {
  const rows = shownRows(before, after, varying);
  const beside = Object.entries(sideEffects).map(([name, updated]) => [name, { inserted: 0, updated, deleted: 0 }]);
  return {
    tables: { ...changes, ...(Object.fromEntries(beside) as Rehearsal['tables']) },
    digest: changeDigest(before, after, varying),
    varying,
    ...(rows === undefined ? {} : { rows }),
  };
}

/** The preview of a rehearsed change: what it really did. */
export function rehearsedPreview(
  plan: RehearsedPlan,
  { trial, rehearsal }: Rehearsed,
  operation: string,
  warnings: readonly string[],
): Preview {
  const names = Object.keys(rehearsal.tables);
  const first = plan.targets.map((table) => table.name);
  const ordered = [
    ...first.filter((name) => names.includes(name)),
    ...names.filter((name) => !first.includes(name)).sort(),
  ];
  const described = ordered.flatMap((name) => {
    const changed = rehearsal.tables[name] ?? NO_ROWS;
    return total(changed) === 0 ? [] : [describeRows(name, changed)];
  });
  // What may be written beside the action is counted in the rehearsal, not among its rows.
  const rows = Object.values(trial.changes).reduce((sum, change) => sum + total(change), 0);
  const targets = [...new Set([...first, ...names].map((name) => name.toLowerCase()))].sort();
  const sample = ordered.flatMap((name) => [...rowsIn(rows === 0 ? {} : sampleState(trial, name), name).values()]);
  const varies = Object.entries(rehearsal.varying).flatMap(([table, columns]) => {
    const named = columns.filter((column) => !column.startsWith('$'));
    return named.length === 0 ? [] : [`${named.join(', ')} of ${table} will have other values than in the rehearsal`];
  });
  return {
    rows,
    targets,
    reads: plan.reads
      .map((name) => name.toLowerCase())
      .filter((name) => !targets.includes(name))
      .sort(),
    schemaChange: false,
    sample: sample.slice(0, SAMPLE),
    ...(trial.tables.length === 0 ? {} : { columns: columnOrder(inOrderOf(ordered, trial.tables)) }),
    summary: described.length === 0 ? `${operation}: no row of ${first.join(', ')} changes` : described.join(', '),
    rehearsal,
    ...(warnings.length + varies.length === 0 ? {} : { warnings: [...warnings, ...varies] }),
  };
}

function inOrderOf(names: readonly string[], tables: readonly Table[]): readonly Table[] {
  return names.flatMap((name) => tables.filter((table) => table.name === name));
}

const NO_ROWS: ChangedRows = { inserted: 0, updated: 0, deleted: 0 };

/** The rows as they are now. Inserted rows are shown in the rehearsal, because some of their values differ each time. */
function sampleState({ before }: Trial, name: string): Trial['before'] {
  return { [name]: before[name] ?? {} };
}

function describeRows(table: string, { inserted, updated, deleted }: ChangedRows): string {
  const parts = [
    inserted === 0 ? '' : `insert ${inserted} into`,
    updated === 0 ? '' : `update ${updated} of`,
    deleted === 0 ? '' : `delete ${deleted} from`,
  ];
  return `${parts.filter((part) => part !== '').join(' and ')} ${table}`;
}

/** Why the rehearsed change is not what the input asks for, such as a trigger that sets another value; undefined when it is. */
export function rehearsalRefusal(
  { rows: plan }: RehearsedPlan,
  found: Rehearsed,
  { input, actionType }: { readonly input: PostgresInput; readonly actionType: ActionType },
  options: Pick<RehearseOptions, 'database' | 'maintainedColumns'>,
): ErrorView | undefined {
  const detail =
    unnamedDeletion(found.trial, actionType) ??
    (plan === undefined ? undefined : (otherCount(plan, found) ?? differenceFromInput(plan, found, input, options)));
  if (detail === undefined) return undefined;
  return {
    code: 'REHEARSAL_DIFFERS',
    message: `The rehearsal did something else than the input says: ${detail}.`,
    field: 'input',
    expected: 'rows that hold what the input sets, and nothing else in them changed',
    fix: 'See which trigger or rule acts on the rows. A column that triggers maintain belongs in maintainedColumns.',
  };
}

/** Policies that protect tables from deletion look at the action type, which follows from the input alone. */
function unnamedDeletion({ changes }: Trial, actionType: ActionType): string | undefined {
  if (actionType === 'DELETE') return undefined;
  const lost = Object.entries(changes).find(([, { deleted, inserted }]) => deleted > inserted);
  return lost && `it deleted rows of ${lost[0]}, and it is no delete`;
}

function otherCount(plan: RowPlan, { expected, trial }: Rehearsed): string | undefined {
  const { count } = trial.statement;
  if (expected === undefined || expected === count) return undefined;
  return `it changed ${count} of ${expected} rows of ${plan.table.name}`;
}

/** How the rows of the statement itself differ from what the input says. */
function differenceFromInput(
  { table, verb, columns, onlyRehearsed }: RowPlan,
  { trial, assigned }: Rehearsed,
  input: PostgresInput,
  { database, maintainedColumns }: Pick<RehearseOptions, 'database' | 'maintainedColumns'>,
): string | undefined {
  // Rows that move to another key, or have none, cannot be compared with the input one by one.
  if (onlyRehearsed !== undefined) return undefined;
  const { before, after, statement, varying } = trial;
  // The statement returns the keys of its own rows; triggers may have changed more of them.
  const keys = new Set(database.objects(columnsOf(statement, -table.key.length)).map((row) => keyOf(table, row)));
  const pre = new Map([...rowsIn(before, table.name)].filter(([key]) => keys.has(key)));
  const post = rowsIn(after, table.name);
  const execution = { result: { assigned: assigned ?? [] }, created: { [table.name]: [...keys] } };
  const change = { verb, table: table.name };
  const free = [...columns, ...(varying[table.name] ?? [])];
  const checks = [
    derived({ input, execution, rows: statement.count }, change, pre, post),
    ...(verb === 'update' ? [frameColumns({ ...change, columns: free }, pre, post, maintainedColumns)] : []),
  ];
  return checks.find(({ ok }) => !ok)?.detail;
}
