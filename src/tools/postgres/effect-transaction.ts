/** The one transaction of an execution: it takes a session, makes the effect, records the key with it and commits, or rolls all back. */
import pg from 'pg';
import { CountersignError } from '../../action/errors.js';
import { canonicalBytes, type Digest, type Json } from '../../action/json.js';
import type { Execution, ExecuteContext } from '../tool.js';
import { violated } from './affected-tables.js';
import type { assignedRows } from './assignment.js';
import { tooManyRows, type Reader } from './capture.js';
import type { QueryResult, Query, PostgresSession } from './connection.js';
import type { Effects } from './effects.js';
import { isConnectionLost, sqlState } from './failure.js';

export interface ExecuteOptions extends Reader {
  readonly tool: string;
  readonly effects: Effects;
  readonly sideEffectTables: ReadonlySet<string>;
  readonly maintainedColumns: ReadonlySet<string>;
  readonly timeoutMs: number;
}

/** The largest result of RETURNING. A larger one is left out. */
const MAX_RETURNED_BYTES = 64 * 1024;
/** The largest record for verifying the effect. An action that needs a larger one is refused. */
const MAX_RECORD_BYTES = 1024 * 1024;

/** The connection was lost during the commit. */
export class CommitLost extends Error {}

/** The time left for all attempts together. It ends early when the action is cancelled. */
export interface Time {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export abstract class EffectTransaction {
  /** Digest of the input. A key belongs to one input only. */
  readonly #input: Digest;
  protected readonly context: ExecuteContext;
  protected readonly options: ExecuteOptions;
  protected readonly time: Time;

  constructor(input: Digest, context: ExecuteContext, options: ExecuteOptions, time: Time) {
    this.#input = input;
    this.context = context;
    this.options = options;
    this.time = time;
  }

  /** Runs the transaction. */
  async run(): Promise<Execution> {
    const session = await this.options.database.session();
    try {
      const execution = await this.#inside(session);
      session.release();
      return execution;
    } catch (error) {
      const broken = isConnectionLost(error) || error instanceof CommitLost || this.time.signal.aborted;
      // Also after a cancellation, so that the locks are released before the caller continues.
      if (!isConnectionLost(error) && !(error instanceof CommitLost))
        await session.run([{ text: 'ROLLBACK' }]).catch(() => {});
      session.release(broken);
      if (this.time.signal.aborted && !(error instanceof CountersignError) && !(error instanceof CommitLost))
        throw this.time.signal.reason;
      throw error;
    }
  }

  /** What is sent with the beginning: statements before the snapshot is taken, and queries after it. */
  protected abstract readonly opening: { readonly locks: readonly string[]; readonly queries: readonly Query[] };

  /** Makes the effect. `opened` has the results of the opening's queries. */
  protected abstract make(session: PostgresSession, opened: readonly QueryResult[]): Promise<Execution>;

  protected async send(session: PostgresSession, queries: readonly Query[]): Promise<readonly QueryResult[]> {
    this.context.heartbeat();
    return await session.run(queries, this.time.signal);
  }

  protected stateChanged(): CountersignError {
    return new CountersignError(
      'STATE_CHANGED',
      'The rows are no longer what was captured and decided on; nothing was done.',
      {
        expected: 'the captured state, unchanged until the execution',
        fix: 'Propose the action again.',
      },
    );
  }

  /** @throws CountersignError CONSTRAINT_VIOLATED when the change is of more rows than policy allows */
  protected checkLimit(): void {
    const { rows } = this.context;
    const most = limitOf(this.context, 'maxRows');
    if (most === undefined || rows <= most) return;
    throw violated(
      `The action is on ${rows} rows.`,
      `at most ${most} rows, as policy demands`,
      'Narrow the condition.',
    );
  }

  /** What the execution returns: the count, the values in the database's form, and the rows that the agent asked for. */
  protected resultOf(
    count: number,
    assigned: ReturnType<typeof assignedRows>,
    returned: QueryResult | undefined,
  ): Record<string, Json> {
    const result: Record<string, Json> = { rowCount: count };
    if (assigned !== undefined) result['assigned'] = assigned;
    if (returned === undefined) return result;
    const rows = this.options.database.objects(returned);
    if (canonicalBytes(rows) <= MAX_RETURNED_BYTES) result['rows'] = rows;
    else Object.assign(result, { truncated: true, limitBytes: MAX_RETURNED_BYTES, more: 'Select the rows.' });
    return result;
  }

  /** @throws CountersignError TOO_MANY_ROWS when the record for verifying the effect would be too large */
  protected recordable(execution: Execution, count: number, tables: string): Execution {
    if (canonicalBytes(execution) <= MAX_RECORD_BYTES) return execution;
    throw tooManyRows(String(count), tables, this.options.maxRows);
  }

  async #inside(session: PostgresSession): Promise<Execution> {
    const { effects, database } = this.options;
    const { locks, queries } = this.opening;
    const key = pg.escapeLiteral(this.context.idempotencyKey);
    const begin = [
      'BEGIN ISOLATION LEVEL REPEATABLE READ',
      database.settings(this.time.timeoutMs),
      // Otherwise deferred triggers would run at the commit, where they are not noticed.
      'SET CONSTRAINTS ALL IMMEDIATE',
      ...locks,
      `SELECT pg_backend_pid(), e.status, e.input, e.execution::text ` +
        `FROM (VALUES (${key})) AS k (key) LEFT JOIN ${effects.table} e ON e.key = k.key`,
    ].join('; ');
    const [begun, ...opened] = await this.send(session, [{ text: begin }, ...queries]);
    const [pid, status, recordedInput, execution] = begun?.rows[0] ?? [];
    session.backend(Number(pid));
    const recorded = effects.recorded(status, recordedInput, execution);
    if (recorded !== undefined) {
      await session.run([{ text: 'ROLLBACK' }]);
      return effects.again(recorded, this.#input);
    }
    await database.learnTypes(session, opened);
    const done = await this.make(session, opened);
    this.time.signal.throwIfAborted();
    await this.#commit(session, effects.recordText(this.context.idempotencyKey, this.#input, done));
    return done;
  }

  async #commit(session: PostgresSession, record: string): Promise<void> {
    this.context.heartbeat();
    try {
      const [committed] = await session.run([{ text: `${record}; COMMIT` }]);
      if (committed?.command !== 'COMMIT')
        throw new CountersignError('TOOL_FAILED', 'The transaction was rolled back.');
    } catch (error) {
      // These errors come before the commit. Any other error may have come after it.
      if (error instanceof CountersignError || /^(22|23|25|40|42|55|57014)/.test(sqlState(error) ?? '')) throw error;
      throw new CommitLost('The commit was lost.', { cause: error });
    }
  }
}

/** The lowest value of a constraint that policy set. */
export function limitOf(context: ExecuteContext, name: string): number | undefined {
  const values = context.constraints.flatMap((constraint) => {
    if (constraint.name !== name) return [];
    if (typeof constraint.value === 'number') return [constraint.value];
    throw new CountersignError('CONSTRAINT_VIOLATED', `The constraint ${name} is not a number.`, {
      field: name,
      expected: 'a number',
      fix: 'Correct the policy.',
    });
  });
  return values.length === 0 ? undefined : Math.min(...values);
}
