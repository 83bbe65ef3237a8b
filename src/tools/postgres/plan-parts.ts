/** What the plans of structured inputs and of raw SQL have in common. */
import { CountersignError } from '../../action/errors.js';
import { NOTHING_ASSIGNED } from './assigned-columns.js';
import type { Table } from './catalog.js';
import type { Query } from './connection.js';
import type { RehearsedPlan, RowPlan } from './plan.js';
import type { Row } from './rows.js';

/** A change of rows of which nothing more is known. */
export const NOTHING_MORE = {
  kind: 'rows',
  reads: [] as readonly string[],
  matching: undefined,
  matches: undefined,
  examination: [] as readonly Query[],
  source: undefined,
  sourceColumns: undefined,
  given: [] as readonly Row[],
  columns: [] as readonly string[],
  assignment: undefined,
  assigned: NOTHING_ASSIGNED,
  clock: false,
  onlyRehearsed: undefined as string | undefined,
  cascades: false as boolean,
} as const;

/** A plan of a statement of which only a rehearsal can tell what it changes. */
export function compound(
  statement: Query,
  { targets, assigned }: Pick<RehearsedPlan, 'targets' | 'assigned'>,
): RehearsedPlan {
  return {
    kind: 'rehearsed',
    statement,
    hidden: undefined,
    targets,
    reads: [],
    assigned,
    rows: undefined,
    onlyRehearsed: 'which rows it changes depends on rows that it does not name',
  };
}

/** The plan of a change of rows, to be rehearsed. */
export function rehearsed(plan: RowPlan | RehearsedPlan, returns: boolean): RehearsedPlan {
  if (plan.kind === 'rehearsed') return plan;
  return {
    kind: 'rehearsed',
    statement: plan.statement,
    hidden: returns ? plan.table.key.length : undefined,
    targets: [plan.table],
    reads: plan.reads,
    assigned: new Map([[plan.table.name, plan.assigned]]),
    rows: plan,
    onlyRehearsed: plan.onlyRehearsed,
  };
}

export function withoutKey(table: Table): string | undefined {
  return table.key.length > 0 ? undefined : `${table.name} has no primary key`;
}

export function movesRows(table: Table, columns: readonly string[]): string | undefined {
  const moved = table.key.some((column) => columns.includes(column.name));
  return moved ? `it changes the key of rows of ${table.name}` : withoutKey(table);
}

export function cascadesFrom(table: Table, columns: readonly string[]): boolean {
  return table.cascadingColumns.some((name) => columns.includes(name));
}

/** Checks that rows of the table can be written and read back one by one. @throws CountersignError INVALID_INPUT */
export function requireWritable(table: Table, field: string): void {
  if (table.kind !== 'table' && table.kind !== 'partitioned') {
    throw new CountersignError('INVALID_INPUT', `${table.name} is a ${table.kind}; only tables are written.`, {
      field,
      expected: 'a table',
      fix: 'Write to the table itself.',
    });
  }
  if (table.mixed) {
    throw new CountersignError(
      'INVALID_INPUT',
      `Other tables inherit from ${table.name}, so its keys do not name rows.`,
      {
        field,
        expected: 'a table without children other than partitions of this database',
        fix: 'Write to the table that holds the rows.',
      },
    );
  }
}

export function sorted(names: ReadonlySet<string>, without: readonly string[] = []): readonly string[] {
  return [...names].filter((name) => !without.includes(name)).sort();
}
