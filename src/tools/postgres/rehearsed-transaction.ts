/**
 * The transaction of a rehearsed change. It rehearses once more, which tells that the rows are still those that were captured and that the
 * change would still do the same; then it makes the change and checks once more what it did, before it commits.
 */
import { digest, type Digest } from '../../action/json.js';
import type { State } from '../../action/snapshot.js';
import { violated } from './affected-tables.js';
import { assignedRows } from './assignment.js';
import { changeDigest, changedRows } from './change.js';
import { keysIn, rowsIn } from './rows.js';
import type { Execution, ExecuteContext } from '../tool.js';
import type { PostgresSession, QueryResult } from './connection.js';
import { EffectTransaction, type ExecuteOptions, type Time } from './effect-transaction.js';
import type { RehearsedPlan } from './plan.js';
import {
  columnsOf,
  identified,
  rowsOf,
  rowsWrittenBy,
  WRITES_SQL,
  writesFrom,
  writtenAndLocked,
  type IdentifiedRows,
} from './touched-rows.js';
import { tryChange, type Trial } from './trial.js';
import { total, wholeTables, writtenSince } from './written-tables.js';

export class RehearsedTransaction extends EffectTransaction {
  readonly #plan: RehearsedPlan;
  readonly #rehearsal: Digest;

  constructor(
    { plan, input, rehearsal }: { readonly plan: RehearsedPlan; readonly input: Digest; readonly rehearsal: Digest },
    context: ExecuteContext,
    options: ExecuteOptions,
    time: Time,
  ) {
    super(input, context, options, time);
    this.#plan = plan;
    this.#rehearsal = rehearsal;
  }

  protected get opening() {
    return { locks: [], queries: [{ text: WRITES_SQL }, ...(this.#plan.rows?.assignment?.queries ?? [])] };
  }

  protected async make(session: PostgresSession, [start, ...assigned]: readonly QueryResult[]): Promise<Execution> {
    this.checkLimit();
    const trial = await tryChange(session, this.#plan, writesFrom(start), {
      ...this.options,
      signal: this.time.signal,
    });
    if (digest(trial.before) !== this.context.preDigest) throw this.stateChanged();
    this.#checkSame(trial.before, trial.after, trial);
    const rows = Object.values(trial.changes).reduce((sum, change) => sum + total(change), 0);
    if (rows !== this.context.rows) throw otherwise(`it changed ${rows} rows instead of ${this.context.rows}`);

    const [before, statement, end] = await this.send(session, [
      { text: WRITES_SQL },
      this.#plan.statement,
      { text: `SET CONSTRAINTS ALL IMMEDIATE; ${WRITES_SQL}` },
    ]);
    const writes = writesFrom(end);
    const sideEffects: Record<string, number> = {};
    for (const table of wholeTables(writtenSince(writesFrom(before).tables, writes.tables))) {
      const name = this.options.scope.display(table);
      if (this.options.sideEffectTables.has(name)) sideEffects[name] = total(table);
      else if (!Object.hasOwn(trial.before, name)) throw otherwise(`it wrote rows of ${name}`);
    }
    const after = await this.#stateAfter(session, trial, writes.ids);
    this.#checkSame(trial.before, after, trial);
    return this.#execution(trial, after, sideEffects, statement, assigned);
  }

  #checkSame(before: State, after: State, { varying }: Trial): void {
    if (changeDigest(before, after, varying) !== this.#rehearsal) throw otherwise('it left other rows');
  }

  /** The rows that the change touched, as they are inside the transaction. */
  async #stateAfter(session: PostgresSession, trial: Trial, ids: readonly string[]): Promise<State> {
    const { database, maxRows } = this.options;
    const queries = trial.tables.flatMap((table) => [
      rowsWrittenBy(table, ids, 2 * maxRows + 1),
      rowsOf(table, [...keysIn(trial.before, table.name), ...keysIn(trial.after, table.name)]),
    ]);
    const results = await this.send(session, queries);
    const rows = trial.tables.map((table, at): [string, State[string]] => {
      const { written } = writtenAndLocked(table, results[2 * at], database);
      const still: IdentifiedRows = identified(table, results[2 * at + 1], database);
      // In a table without a key, a row is found by its content; one that was not rehearsed has another.
      const unexpected = [...written].filter(([identity]) => table.key.length > 0 || !still.has(identity));
      return [table.name, Object.fromEntries([...still, ...unexpected])];
    });
    return Object.fromEntries(rows);
  }

  #execution(
    { before, tables }: Trial,
    after: State,
    sideEffects: Readonly<Record<string, number>>,
    statement: QueryResult | undefined,
    assigned: readonly QueryResult[],
  ): Execution {
    const { hidden, rows: plan } = this.#plan;
    const changes = Object.entries(changedRows(before, after, tables)).map(([name, change]) => [name, total(change)]);
    const created = Object.keys(after).map((name): [string, readonly string[]] => {
      const known = rowsIn(before, name);
      return [name, keysIn(after, name).filter((key) => !known.has(key))];
    });
    const stored = plan?.assignment === undefined ? undefined : assignedRows(plan.assignment, assigned);
    const returned =
      statement !== undefined && hidden !== undefined && statement.fields.length > hidden
        ? columnsOf(statement, 0, statement.fields.length - hidden)
        : undefined;
    const execution = {
      result: this.resultOf(statement?.count ?? 0, stored, returned),
      affectedRows: { ...(Object.fromEntries(changes) as Record<string, number>), ...sideEffects },
      created: Object.fromEntries(created),
    };
    return this.recordable(execution, this.context.rows, Object.keys(after).join(', '));
  }
}

function otherwise(how: string): Error {
  return violated(
    `The change did not do what it did in the rehearsal: ${how}.`,
    'the rows that were rehearsed, in every table',
    'See which trigger acts differently each time; a column that may differ belongs in maintainedColumns.',
  );
}
