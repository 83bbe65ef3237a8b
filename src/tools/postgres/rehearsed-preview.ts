/** The preview of a rehearsed change: what it really did, and why that is not what the input asks for, where it is not. */
import type { ActionType, Preview } from '../../action/decision.js';
import { CountersignError, type ErrorView } from '../../action/errors.js';
import type { ChangedRows } from '../../action/rehearsal.js';
import { actionTypeOf } from './action-type.js';
import { columnOrder, type Table } from './catalog.js';
import type { PostgresInput } from './input.js';
import type { ChangePlan, RehearsedPlan, RowPlan } from './plan.js';
import { actsWith, lower, SAMPLE, shortened } from './preview.js';
import type { RehearseOptions, Rehearsed } from './rehearse.js';
import { countRefusal, withRefusal } from './row-count.js';
import { keyOf, rowsIn } from './rows.js';
import { columnsOf } from './touched-rows.js';
import type { Trial } from './trial.js';
import { derived, frameColumns } from './verify.js';
import { total } from './written-tables.js';

export function rehearsedPreviewOf(
  plan: RehearsedPlan,
  input: PostgresInput,
  found: Rehearsed,
  options: RehearseOptions,
): Preview {
  const verb = plan.rows?.verb;
  const events = verb === undefined || verb === 'restore' ? (['insert', 'update', 'delete'] as const) : [verb];
  const warnings = plan.targets.flatMap((table) => actsWith(table, events));
  const preview = rehearsedPreview(plan, found, input.op, warnings);
  const names = plan.targets.map((table) => table.name);
  const rows = names.reduce((sum, name) => sum + total(found.rehearsal.tables[name] ?? NO_ROWS), 0);
  const refusal =
    countRefusal(names.join(', '), input, rows) ??
    rehearsalRefusal(plan, found, { input, actionType: actionTypeOf(input) }, options);
  return withRefusal(preview, refusal);
}

/** The preview of a rehearsed change: what it really did. */
function rehearsedPreview(
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
  const targets = lower([...first, ...names]);
  // As they are now: what is inserted is shown in the rehearsal, because some of its values differ each time.
  const sample = ordered.flatMap((name) => [...rowsIn(trial.before, name).values()]);
  const varies = Object.entries(rehearsal.varying).flatMap(([table, columns]) => {
    const named = columns.filter((column) => !column.startsWith('$'));
    return named.length === 0 ? [] : [`${named.join(', ')} of ${table} will have other values than in the rehearsal`];
  });
  return {
    rows,
    targets,
    reads: lower(plan.reads).filter((name) => !targets.includes(name)),
    schemaChange: false,
    sample: sample.slice(0, SAMPLE).map((row) => shortened(row)),
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

function describeRows(table: string, { inserted, updated, deleted }: ChangedRows): string {
  const parts = [
    inserted === 0 ? '' : `insert ${inserted} into`,
    updated === 0 ? '' : `update ${updated} of`,
    deleted === 0 ? '' : `delete ${deleted} from`,
  ];
  return `${parts.filter((part) => part !== '').join(' and ')} ${table}`;
}

/** Why the rehearsed change is not what the input asks for, such as a trigger that sets another value; undefined when it is. */
function rehearsalRefusal(
  { rows: plan }: RehearsedPlan,
  found: Rehearsed,
  { input, actionType }: { readonly input: PostgresInput; readonly actionType: ActionType },
  options: Pick<RehearseOptions, 'database' | 'maintainedColumns' | 'secretColumns'>,
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
  {
    database,
    maintainedColumns,
    secretColumns,
  }: Pick<RehearseOptions, 'database' | 'maintainedColumns' | 'secretColumns'>,
): string | undefined {
  // Rows that move to another key, or have none, cannot be compared with the input one by one.
  if (onlyRehearsed !== undefined) return undefined;
  const { before, after, statement, varying } = trial;
  // The statement returns the keys of its own rows; triggers may have changed more of them.
  const keys = new Set(database.objects(columnsOf(statement, -table.key.length)).map((row) => keyOf(table, row)));
  const pre = new Map([...rowsIn(before, table.name)].filter(([key]) => keys.has(key)));
  const post = rowsIn(after, table.name);
  const execution = { result: { assigned: assigned ?? [] }, created: { [table.name]: [...keys] } };
  const change = { verb, table: table.name, secret: secretColumns };
  const free = [...columns, ...(varying[table.name] ?? [])];
  const checks = [
    derived({ input, execution, rows: statement.count }, change, pre, post),
    ...(verb === 'update' ? [frameColumns({ ...change, columns: free }, pre, post, maintainedColumns)] : []),
  ];
  return checks.find(({ ok }) => !ok)?.detail;
}

export function rehearsedOtherwise(): CountersignError {
  return new CountersignError('STATE_CHANGED', 'The change no longer does what it did when it was first rehearsed.', {
    expected: 'a change that does the same each time',
    fix: 'Propose the action again. If it happens again, see which trigger acts differently each time.',
  });
}

export function notRehearsed(tool: string, plan: ChangePlan): CountersignError {
  const why = 'onlyRehearsed' in plan && plan.onlyRehearsed !== undefined ? `, because ${plan.onlyRehearsed}` : '';
  return new CountersignError(
    'CONSTRAINT_VIOLATED',
    `${tool}: the change must be rehearsed first${why}; nothing was done.`,
    {
      field: 'input',
      expected: 'a change that was rehearsed before it was decided on',
      fix: 'Propose the action again.',
    },
  );
}
