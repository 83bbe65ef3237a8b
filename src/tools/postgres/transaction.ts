/** The transaction of a change whose rows queries tell: checks the pre-state, runs the statement and checks what it did. */
import { digest, type Digest } from '../../action/json.js';
import type { CountersignError } from '../../action/errors.js';
import type { State } from '../../action/snapshot.js';
import type { Execution, ExecuteContext } from '../tool.js';
import { assignedRows } from './assignment.js';
import { stateFrom, stateQueries } from './capture.js';
import type { QueryResult, PostgresSession } from './connection.js';
import { rowCountIn, type DefinitionPlan } from './definition.js';
import { EffectTransaction, type ExecuteOptions, type Time } from './effect-transaction.js';
import { Exporting, type ExportedTable } from './exports.js';
import type { RowPlan } from './plan.js';
import { keyOf } from './rows.js';
import { columnsOf } from './touched-rows.js';
import { checkDefinition, checkRows, AFFECTED_TABLES_SQL, affectedTablesFrom, violated } from './affected-tables.js';
import { writtenSince, type WrittenTables } from './written-tables.js';

/** Three round trips: the pre-state; the statement and what it wrote; the key and the commit. */
export class Transaction extends EffectTransaction {
  readonly #plan: RowPlan | DefinitionPlan;

  constructor(
    { plan, input }: { readonly plan: RowPlan | DefinitionPlan; readonly input: Digest },
    context: ExecuteContext,
    options: ExecuteOptions,
    time: Time,
  ) {
    super(input, context, options, time);
    this.#plan = plan;
  }

  protected get opening() {
    const plan = this.#plan;
    const locks =
      plan.kind === 'definition' && plan.existing.length > 0
        ? // Taken before the snapshot, because a truncate removes rows that the snapshot does not see.
          [`LOCK TABLE ${plan.existing.map((table) => table.sql).join(', ')} IN ${lockMode(plan)} MODE`]
        : [];
    // Then rows that row-level security hides are an error: no copy would hold them.
    if (this.options.exports !== undefined && plan.kind === 'definition') locks.push('SET LOCAL row_security = off');
    const assign = plan.kind === 'rows' ? (plan.assignment?.queries ?? []) : [];
    return { locks, queries: [{ text: AFFECTED_TABLES_SQL }, ...stateQueries(plan, this.options.maxRows), ...assign] };
  }

  protected async make(session: PostgresSession, [affected, ...read]: readonly QueryResult[]): Promise<Execution> {
    const plan = this.#plan;
    const states = stateQueries(plan, this.options.maxRows).length;
    const pre = stateFrom(plan, read.slice(0, states), this.options);
    if (digest(pre) !== this.context.preDigest) throw this.stateChanged();
    this.checkLimit();
    const exporting = await this.#export(session, pre);
    const results = await this.send(session, [
      plan.statement,
      { text: `SET CONSTRAINTS ALL IMMEDIATE; ${AFFECTED_TABLES_SQL}` },
    ]);
    await this.options.database.learnTypes(session, results);
    const before = affectedTablesFrom(affected);
    if (plan.kind === 'definition') return this.#checkDefinition(plan, results, before, exporting);
    return this.#checkRows(plan, pre, results, before, read.slice(states));
  }

  /** Copies the rows that are removed and not recorded one by one. */
  async #export(session: PostgresSession, pre: State): Promise<readonly ExportedTable[]> {
    const plan = this.#plan;
    if (plan.kind !== 'definition') return [];
    const removed = plan.emptied.reduce((sum, table) => sum + rowCountIn(pre, table.name), 0);
    if (removed !== this.context.rows) throw this.#otherCount(removed);
    const exporting = new Exporting(pre, plan.emptied, this.context.idempotencyKey);
    if (exporting.exported.length > 0) exporting.check(await this.send(session, exporting.statements));
    return exporting.exported;
  }

  #checkDefinition(
    plan: DefinitionPlan,
    [, counts]: readonly QueryResult[],
    before: WrittenTables,
    exported: readonly ExportedTable[],
  ): Execution {
    const { scope, sideEffectTables } = this.options;
    const copies = new Set(exported.map(({ to }) => to));
    const affectedRows = checkDefinition(plan, writtenSince(before, affectedTablesFrom(counts)), scope, {
      sideEffectTables,
      copies,
    });
    return { result: { done: plan.verb, ...(exported.length === 0 ? {} : { exports: [...exported] }) }, affectedRows };
  }

  #checkRows(
    plan: RowPlan,
    pre: State,
    results: readonly QueryResult[],
    before: WrittenTables,
    assigned: readonly QueryResult[],
  ): Execution {
    const [statement, counts] = results;
    const since = writtenSince(before, affectedTablesFrom(counts));
    const expected = { rows: this.context.rows, sideEffectTables: this.options.sideEffectTables };
    const { scope, database } = this.options;
    if (statement === undefined || statement.count !== expected.rows) throw this.#otherCount(statement?.count ?? 0);
    const width = plan.table.key.length;
    const keys = database.objects(columnsOf(statement, -width)).map((row) => keyOf(plan.table, row));
    const isNew = plan.verb === 'insert' || plan.verb === 'restore';
    if (!isNew) checkSameRows(plan, keys, Object.keys(pre[plan.table.name] ?? {}));
    const affectedRows = checkRows(plan, since, scope, expected);
    const captured = new Set(Object.keys(pre[plan.table.name] ?? {}));
    const returned = statement.fields.length > width ? columnsOf(statement, 0, -width) : undefined;
    const stored = plan.assignment === undefined ? undefined : assignedRows(plan.assignment, assigned);
    const created = keys.filter((key) => !captured.has(key));
    const execution = {
      result: this.resultOf(statement.count, stored, returned),
      affectedRows,
      ...(isNew ? { created: Object.fromEntries([[plan.table.name, created]]) } : {}),
    };
    return this.recordable(execution, statement.count, plan.table.name);
  }

  #otherCount(count: number): CountersignError {
    const { rows } = this.context;
    return violated(
      `The statement changed ${count} rows.`,
      `exactly ${rows} rows, as previewed`,
      'Propose the action again.',
    );
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

function lockMode(plan: DefinitionPlan): string {
  return plan.verb === 'create_index' ? 'SHARE' : 'ACCESS EXCLUSIVE';
}
