/** The one transaction of an execution: checks the pre-state, runs the statement, checks what it did and records the key. */
import pg from 'pg';
import { CountersignError } from '../../action/errors.js';
import { canonicalBytes, digest, type Digest, type Json } from '../../action/json.js';
import type { State } from '../../action/snapshot.js';
import type { Execution, ExecuteContext } from '../tool.js';
import { assignedRows } from './assignment.js';
import { stateFrom, stateQueries, tooManyRows, type Reader } from './capture.js';
import type { QueryResult, Query, PostgresSession } from './connection.js';
import type { DefinitionPlan } from './definition.js';
import type { Effects } from './effects.js';
import { isConnectionLost, sqlState } from './failure.js';
import type { RowPlan } from './plan.js';
import { keyOf } from './rows.js';
import {
  checkDefinition,
  checkRows,
  AFFECTED_TABLES_SQL,
  affectedTablesFrom,
  affectedTablesSince,
  violated,
  type AffectedTables,
} from './affected-tables.js';

export interface ExecuteOptions extends Reader {
  readonly tool: string;
  readonly effects: Effects;
  readonly sideEffectTables: ReadonlySet<string>;
  readonly timeoutMs: number;
}

export interface Order {
  readonly plan: RowPlan | DefinitionPlan;
  /** Digest of the input. A key belongs to one input only. */
  readonly input: Digest;
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

export class Transaction {
  readonly #order: Order;
  readonly #context: ExecuteContext;
  readonly #options: ExecuteOptions;
  readonly #time: Time;

  constructor(order: Order, context: ExecuteContext, options: ExecuteOptions, time: Time) {
    this.#order = order;
    this.#context = context;
    this.#options = options;
    this.#time = time;
  }

  /** Runs the transaction in three round trips: the pre-state; the statement and what it wrote; the key and the commit. */
  async run(): Promise<Execution> {
    const session = await this.#options.database.session();
    try {
      const execution = await this.#inside(session);
      session.release();
      return execution;
    } catch (error) {
      const broken = isConnectionLost(error) || error instanceof CommitLost || this.#time.signal.aborted;
      // Also after a cancellation, so that the locks are released before the caller continues.
      if (!isConnectionLost(error) && !(error instanceof CommitLost))
        await session.run([{ text: 'ROLLBACK' }]).catch(() => {});
      session.release(broken);
      if (this.#time.signal.aborted && !(error instanceof CountersignError) && !(error instanceof CommitLost))
        throw this.#time.signal.reason;
      throw error;
    }
  }

  async #inside(session: PostgresSession): Promise<Execution> {
    const { plan, input } = this.#order;
    const { maxRows, effects } = this.#options;
    const state = stateQueries(plan, maxRows);
    const assign = plan.kind === 'rows' ? (plan.assignment?.queries ?? []) : [];
    const [begun, ...read] = await this.#send(session, [{ text: this.#begin() }, ...state, ...assign]);
    const [pid, status, recordedInput, execution, affectedRows] = begun?.rows[0] ?? [];
    session.backend(Number(pid));
    const recorded = effects.recorded(status, recordedInput, execution);
    if (recorded !== undefined) {
      await session.run([{ text: 'ROLLBACK' }]);
      return effects.again(recorded, input);
    }
    await this.#options.database.learnTypes(session, read);
    const pre = stateFrom(plan, read.slice(0, state.length), this.#options);
    this.#checkBefore(pre);
    const statement = await this.#send(session, [
      plan.statement,
      { text: `SET CONSTRAINTS ALL IMMEDIATE; ${AFFECTED_TABLES_SQL}` },
    ]);
    await this.#options.database.learnTypes(session, statement);
    const done = this.#check(plan, pre, statement, affectedTablesFrom(affectedRows), read.slice(state.length));
    this.#time.signal.throwIfAborted();
    await this.#commit(session, effects.recordText(this.#context.idempotencyKey, input, done));
    return done;
  }

  #begin(): string {
    const { plan } = this.#order;
    const key = pg.escapeLiteral(this.#context.idempotencyKey);
    const lock =
      plan.kind === 'definition' && plan.existing.length > 0
        ? // Taken before the snapshot, because a truncate removes rows that the snapshot does not see.
          [`LOCK TABLE ${plan.existing.map((table) => table.sql).join(', ')} IN ${lockMode(plan)} MODE`]
        : [];
    return [
      'BEGIN ISOLATION LEVEL REPEATABLE READ',
      this.#options.database.settings(this.#time.timeoutMs),
      // Otherwise deferred triggers would run at the commit, where they are not noticed.
      'SET CONSTRAINTS ALL IMMEDIATE',
      ...lock,
      `SELECT pg_backend_pid(), e.status, e.input, e.execution::text, (${AFFECTED_TABLES_SQL}) ` +
        `FROM (VALUES (${key})) AS k (key) LEFT JOIN ${this.#options.effects.table} e ON e.key = k.key`,
    ].join('; ');
  }

  async #send(session: PostgresSession, queries: readonly Query[]): Promise<readonly QueryResult[]> {
    this.#context.heartbeat();
    return await session.run(queries, this.#time.signal);
  }

  #checkBefore(pre: State): void {
    const { preDigest, rows } = this.#context;
    if (digest(pre) !== preDigest) {
      throw new CountersignError(
        'STATE_CHANGED',
        'The rows are no longer what was captured and decided on; nothing was done.',
        {
          expected: 'the captured state, unchanged until the execution',
          fix: 'Propose the action again.',
        },
      );
    }
    const most = limitOf(this.#context, 'maxRows');
    if (most !== undefined && rows > most) {
      throw violated(
        `The action is on ${rows} rows.`,
        `at most ${most} rows, as policy demands`,
        'Narrow the condition.',
      );
    }
  }

  #check(
    plan: RowPlan | DefinitionPlan,
    pre: State,
    results: readonly QueryResult[],
    before: AffectedTables,
    assigned: readonly QueryResult[],
  ): Execution {
    const [statement, counts] = results;
    const since = affectedTablesSince(before, counts);
    const expected = { rows: this.#context.rows, sideEffectTables: this.#options.sideEffectTables };
    const { scope, database } = this.#options;
    if (plan.kind === 'definition') {
      const removed = plan.emptied.reduce((sum, table) => sum + Object.keys(pre[table.name] ?? {}).length, 0);
      if (removed !== expected.rows) throw this.#otherCount(removed);
      return { result: { done: plan.verb }, affectedRows: checkDefinition(plan, since, scope, expected) };
    }
    if (statement === undefined || statement.count !== expected.rows) throw this.#otherCount(statement?.count ?? 0);
    const width = plan.table.key.length;
    const keys = database.objects(part(statement, -width)).map((row) => keyOf(plan.table, row));
    const isNew = plan.verb === 'insert' || plan.verb === 'restore';
    if (!isNew) checkSameRows(plan, keys, Object.keys(pre[plan.table.name] ?? {}));
    const affectedRows = checkRows(plan, since, scope, expected);
    const captured = new Set(Object.keys(pre[plan.table.name] ?? {}));
    const returned = statement.fields.length > width ? database.objects(part(statement, 0, -width)) : undefined;
    const result: Record<string, Json> = { rowCount: statement.count };
    const stored = plan.assignment === undefined ? undefined : assignedRows(plan.assignment, assigned);
    if (stored !== undefined) result['assigned'] = stored;
    if (returned !== undefined)
      result['rows'] = canonicalBytes(returned) <= MAX_RETURNED_BYTES ? returned : 'too large';
    const created = keys.filter((key) => !captured.has(key));
    const execution = {
      result,
      affectedRows,
      ...(isNew ? { created: Object.fromEntries([[plan.table.name, created]]) } : {}),
    };
    if (canonicalBytes(execution) <= MAX_RECORD_BYTES) return execution;
    throw tooManyRows(String(statement.count), plan.table.name, this.#options.maxRows);
  }

  #otherCount(count: number): CountersignError {
    const { rows } = this.#context;
    return violated(
      `The statement changed ${count} rows.`,
      `exactly ${rows} rows, as previewed`,
      'Propose the action again.',
    );
  }

  async #commit(session: PostgresSession, record: string): Promise<void> {
    this.#context.heartbeat();
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

function checkSameRows(plan: RowPlan, changed: readonly string[], captured: readonly string[]): void {
  const expected = new Set(captured);
  const other = changed.find((key) => !expected.has(key));
  if (other === undefined && changed.length === expected.size) return;
  throw violated(
    `The statement changed other rows of ${plan.table.name} than those captured${other === undefined ? '' : `, such as ${other}`}.`,
    'the captured rows and no other',
    'Write the condition so that it means the same rows each time.',
  );
}

function part(result: QueryResult, from: number, to?: number): QueryResult {
  return { ...result, fields: result.fields.slice(from, to), rows: result.rows.map((row) => row.slice(from, to)) };
}

function lockMode(plan: DefinitionPlan): string {
  return plan.verb === 'create_index' ? 'SHARE' : 'ACCESS EXCLUSIVE';
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
