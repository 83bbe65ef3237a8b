/** Rehearses a change: makes it in a transaction that is rolled back, so that what it does is known before anybody decides on it. */
import type { Rehearsal } from '../../action/rehearsal.js';
import { timeoutSignal } from '../../timeout-signal.js';
import { assignedRows } from './assignment.js';
import { changeDigest, shownRows } from './change.js';
import type { PostgresDatabase, Query, QueryResult } from './connection.js';
import { asFailure, isConnectionLost } from './failure.js';
import type { RehearsedPlan, RowPlan } from './plan.js';
import { ambiguousJoin } from './preview.js';
import { assertTakenBack } from './rehearsal-safety.js';
import { counted } from './sql.js';
import { WRITES_SQL, writesFrom } from './touched-rows.js';
import { tryChange, type Trial, type TrialOptions } from './trial.js';

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
  /** Columns whose values no message may quote. */
  readonly secretColumns: ReadonlySet<string>;
}

/** What a rehearsal found. */
export interface Rehearsed extends KnownBefore {
  readonly trial: Trial;
  readonly rehearsal: Rehearsal;
}

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
  { scope, limits }: RehearseOptions,
  signal: AbortSignal,
): Promise<void> {
  const plain = targets.every(
    ({ triggers, rules, cascades, cascadingColumns }) =>
      triggers.length + rules.length + cascades.length + cascadingColumns.length === 0,
  );
  if (plain) return;
  const changed = targets.map(({ schema, relation }) => ({ schema, name: relation }));
  assertTakenBack(await scope.code(signal), changed, limits.transactionalFunctions);
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
