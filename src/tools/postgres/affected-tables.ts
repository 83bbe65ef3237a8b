/**
 * Reads what a transaction really wrote, by the server's own counts. They include what triggers, cascades and rules wrote in addition to
 * the statement. The counts of earlier transactions of the session linger, so they are read before and after.
 */
import { CountersignError } from '../../action/errors.js';
import type { ChangedRows } from '../../action/rehearsal.js';
import type { QueryResult } from './connection.js';
import type { DefinitionPlan } from './definition.js';
import type { RowPlan } from './plan.js';
import type { SqlScope } from './scope.js';

interface Counted extends ChangedRows {
  readonly schema: string;
  readonly name: string;
}

/** The counts by the oid of the table. */
export type AffectedTables = ReadonlyMap<string, Counted>;

/** Returns one JSON text. It includes system tables, because a trigger that truncates or alters something writes to them. */
export const AFFECTED_TABLES_SQL = `
SELECT coalesce(json_agg(json_build_array(oid::text, (SELECT nspname FROM pg_namespace n WHERE n.oid = relnamespace), relname,
  pg_stat_get_xact_tuples_inserted(oid), pg_stat_get_xact_tuples_updated(oid), pg_stat_get_xact_tuples_deleted(oid))), '[]')::text
FROM pg_class WHERE relkind IN ('r', 'm') AND
  pg_stat_get_xact_tuples_inserted(oid) + pg_stat_get_xact_tuples_updated(oid) + pg_stat_get_xact_tuples_deleted(oid) > 0`;

export function affectedTablesFrom(text: string | null | undefined): AffectedTables {
  const rows = JSON.parse(text ?? '[]') as [string, string, string, number, number, number][];
  return new Map(
    rows.map(([oid, schema, name, inserted, updated, deleted]) => [oid, { schema, name, inserted, updated, deleted }]),
  );
}

/** The counts that were added since `before`. */
export function affectedTablesSince(before: AffectedTables, answer: QueryResult | undefined): AffectedTables {
  const after = affectedTablesFrom(answer?.rows[0]?.[0]);
  const since = [...after].map(([oid, now]): [string, Counted] => {
    const then = before.get(oid);
    return [
      oid,
      {
        ...now,
        inserted: now.inserted - (then?.inserted ?? 0),
        updated: now.updated - (then?.updated ?? 0),
        deleted: now.deleted - (then?.deleted ?? 0),
      },
    ];
  });
  return new Map(since.filter(([, { inserted, updated, deleted }]) => inserted + updated + deleted > 0));
}

export interface ExpectedChange {
  readonly rows: number;
  readonly sideEffectTables: ReadonlySet<string>;
}

/**
 * Checks that a change of rows wrote the expected number of rows of its table and nothing else.
 *
 * @returns the number of written rows by table, to be recorded
 * @throws CountersignError CONSTRAINT_VIOLATED
 */
export function checkRows(
  plan: RowPlan,
  affectedRows: AffectedTables,
  scope: SqlScope,
  expected: ExpectedChange,
): Readonly<Record<string, number>> {
  const members = new Set(plan.table.members);
  const target = sum([...affectedRows].filter(([oid]) => members.has(oid)).map(([, counts]) => counts));
  checkOthers(
    [...affectedRows].filter(([oid]) => !members.has(oid)),
    scope,
    expected,
    plan.table.name,
  );
  if (!isAsExpected(plan.verb, target, expected.rows)) {
    const counted = `${target.inserted} inserted, ${target.updated} updated, ${target.deleted} deleted`;
    const off = target.inserted + target.updated + target.deleted === 0;
    throw violated(
      `The ${plan.verb} of ${expected.rows} rows wrote other rows of ${plan.table.name}: ${counted}.`,
      `exactly ${expected.rows} rows of ${plan.table.name}`,
      off
        ? 'Have track_counts switched on: the server counted nothing.'
        : 'See which trigger or rule acts on the table.',
    );
  }
  const others = [...affectedRows].filter(([oid]) => !members.has(oid)).map(([, counts]) => counts);
  return Object.fromEntries([
    [plan.table.name, expected.rows],
    ...others.map((counts): [string, number] => [scope.display(counts), total(counts)]),
  ]);
}

/** Checks that a change of definition wrote rows of its own, of its copies and of system tables only. @throws CountersignError CONSTRAINT_VIOLATED */
export function checkDefinition(
  plan: DefinitionPlan,
  affectedRows: AffectedTables,
  scope: SqlScope,
  { copies, ...expected }: Pick<ExpectedChange, 'sideEffectTables'> & { readonly copies: ReadonlySet<string> },
): Readonly<Record<string, number>> {
  const members = new Set(plan.existing.flatMap((table) => table.members));
  const users = [...affectedRows].filter(
    ([, counts]) => !/^pg_(catalog|toast)/.test(counts.schema) && !copies.has(scope.display(counts)),
  );
  const beside = users.filter(([oid, counts]) => !members.has(oid) && !plan.tables.includes(scope.display(counts)));
  checkOthers(beside, scope, expected, plan.tables.join(', '));
  return Object.fromEntries(users.map(([, counts]) => [scope.display(counts), total(counts)]));
}

function checkOthers(
  others: readonly [string, Counted][],
  scope: SqlScope,
  expected: Pick<ExpectedChange, 'sideEffectTables'>,
  named: string,
): void {
  const uncalled = others
    .map(([, counts]) => ({ name: scope.display(counts), rows: total(counts) }))
    .filter(({ name }) => !expected.sideEffectTables.has(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  if (uncalled.length === 0) return;
  const what = uncalled.map(({ name, rows }) => `${name} (${rows})`).join(', ');
  throw violated(
    `The statement also wrote rows of ${what}, which the action does not name.`,
    `writes to ${named} alone`,
    'See which trigger, rule or foreign key acts; or ask the operator to add the table to sideEffectTables.',
  );
}

/** Whether the counts fit the statement. A row that moves to another partition counts as a deletion and an insertion. */
function isAsExpected(verb: RowPlan['verb'], { inserted, updated, deleted }: ChangedRows, rows: number): boolean {
  switch (verb) {
    case 'insert':
      return inserted === rows && updated === 0 && deleted === 0;
    case 'update':
      return updated + deleted === rows && inserted === deleted;
    case 'delete':
      return deleted === rows && inserted === 0 && updated === 0;
    case 'restore':
      return inserted + updated === rows && deleted <= inserted;
  }
}

function sum(counts: readonly ChangedRows[]): ChangedRows {
  return counts.reduce(
    (all, one) => ({
      inserted: all.inserted + one.inserted,
      updated: all.updated + one.updated,
      deleted: all.deleted + one.deleted,
    }),
    { inserted: 0, updated: 0, deleted: 0 },
  );
}

export function total({ inserted, updated, deleted }: ChangedRows): number {
  return inserted + updated + deleted;
}

export function violated(message: string, expected: string, fix: string): CountersignError {
  return new CountersignError('CONSTRAINT_VIOLATED', `${message} It was rolled back.`, {
    field: 'input',
    expected,
    fix,
  });
}
