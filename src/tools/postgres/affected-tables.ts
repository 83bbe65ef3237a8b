/** Checks what a change that was not rehearsed wrote, by the server's own counts. */
import { CountersignError } from '../../action/errors.js';
import type { ChangedRows } from '../../action/rehearsal.js';
import type { QueryResult } from './connection.js';
import type { DefinitionPlan } from './definition.js';
import type { RowPlan } from './plan.js';
import type { SqlScope } from './scope.js';
import {
  sum,
  total,
  WRITTEN_TABLES,
  writtenFrom,
  type WrittenRow,
  type WrittenTable,
  type WrittenTables,
} from './written-tables.js';

/** Returns one JSON text, which `affectedTablesFrom` reads. */
export const AFFECTED_TABLES_SQL = `SELECT ${WRITTEN_TABLES}::text`;

export function affectedTablesFrom(result: QueryResult | undefined): WrittenTables {
  return writtenFrom(JSON.parse(result?.rows[0]?.[0] ?? '[]') as readonly WrittenRow[]);
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
  affectedRows: WrittenTables,
  scope: SqlScope,
  expected: ExpectedChange,
): Readonly<Record<string, number>> {
  const members = new Set(plan.table.members);
  const target = sum([...affectedRows].filter(([oid]) => members.has(oid)).map(([, counts]) => counts));
  const others = [...affectedRows].filter(([oid]) => !members.has(oid)).map(([, counts]) => counts);
  const beside = countsByName(others, (table) => scope.display(table));
  checkOthers(beside, expected, plan.table.name);
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
  return Object.fromEntries([[plan.table.name, expected.rows], ...beside]);
}

/** Checks that a change of definition wrote rows of its own, of its copies and of system tables only. @throws CountersignError CONSTRAINT_VIOLATED */
export function checkDefinition(
  plan: DefinitionPlan,
  affectedRows: WrittenTables,
  scope: SqlScope,
  { copies, ...expected }: Pick<ExpectedChange, 'sideEffectTables'> & { readonly copies: ReadonlySet<string> },
): Readonly<Record<string, number>> {
  const nameOf = (oid: string, table: WrittenTable): string =>
    plan.existing.find(({ members }) => members.includes(oid))?.name ?? scope.display(table);
  const written = [...affectedRows]
    .filter(([, { schema }]) => !/^pg_(catalog|toast)/.test(schema))
    .map(([oid, table]) => ({ ...table, display: nameOf(oid, table) }))
    .filter(({ display }) => !copies.has(display));
  const counts = countsByName(written, ({ display }) => display);
  const beside = [...counts].filter(([name]) => !plan.tables.includes(name));
  checkOthers(new Map(beside), expected, plan.tables.join(', '));
  return Object.fromEntries(counts);
}

/** The rows that were written, by the name of the table. */
function countsByName<T extends ChangedRows>(
  written: readonly T[],
  nameOf: (table: T) => string,
): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const table of written) counts.set(nameOf(table), (counts.get(nameOf(table)) ?? 0) + total(table));
  return counts;
}

function checkOthers(
  others: ReadonlyMap<string, number>,
  expected: Pick<ExpectedChange, 'sideEffectTables'>,
  named: string,
): void {
  const uncalled = [...others]
    .filter(([name]) => !expected.sideEffectTables.has(name))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  if (uncalled.length === 0) return;
  const what = uncalled.map(([name, rows]) => `${name} (${rows})`).join(', ');
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

export function violated(message: string, expected: string, fix: string): CountersignError {
  return new CountersignError('CONSTRAINT_VIOLATED', `${message} It was rolled back.`, {
    field: 'input',
    expected,
    fix,
  });
}
