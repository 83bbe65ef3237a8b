/** What a rehearsed action would change, table by table: those that the action names first, and below them what changes with it. */
import type { Shown } from '../../../action/outcome.js';
import type { ChangedRows, RehearsedRow } from '../../../action/rehearsal.js';
import { inOrder } from '../../../presentation/column-order.js';
import type { Changes, RowChange } from './changes.js';

export interface TableChanges {
  readonly table: string;
  readonly counts: ChangedRows;
  /** Undefined when there are too many rows to show. */
  readonly changes: Changes | undefined;
}

/** Undefined when nothing was rehearsed. */
export function rehearsedChanges({ preview, proposal }: Shown): readonly TableChanges[] | undefined {
  const { rehearsal, columns = {} } = preview;
  if (rehearsal === undefined) return undefined;
  const named = typeof proposal.input['table'] === 'string' ? proposal.input['table'] : undefined;
  // The tool names the tables of the statement first in the order of columns.
  const order = [...(named === undefined ? [] : [named]), ...Object.keys(columns)];
  return inOrder(Object.keys(rehearsal.tables), order).map((table) => {
    const rows = rehearsal.rows?.[table];
    return {
      table,
      counts: rehearsal.tables[table] ?? { inserted: 0, updated: 0, deleted: 0 },
      changes: rows === undefined ? undefined : changesOf(Object.values(rows), columns[table] ?? []),
    };
  });
}

function changesOf(rehearsed: readonly RehearsedRow[], order: readonly string[]): Changes | undefined {
  const rows = rehearsed.map(({ before, after }): RowChange => {
    if (before === null) return { kind: 'add', ...(after === null ? {} : { after }) };
    return after === null ? { kind: 'remove', before } : { kind: 'change', before, after };
  });
  if (rows.length === 0) return undefined;
  const names = [...new Set(rows.flatMap(({ before, after }) => Object.keys({ ...before, ...after })))];
  const both = rows.filter(({ kind }) => kind === 'change');
  const differs = (name: string): boolean =>
    both.some(({ before, after }) => JSON.stringify(before?.[name]) !== JSON.stringify(after?.[name]));
  return {
    kind: rows.every(({ kind }) => kind === rows[0]?.kind) ? (rows[0]?.kind ?? 'change') : 'change',
    rows,
    columns: inOrder(names, order),
    changed: new Set(names.filter(differs)),
    more: 0,
    foreseen: true,
  };
}

/** `3 rows deleted, 1 added`. */
export function countsText({ inserted, updated, deleted }: ChangedRows): string {
  const parts = [
    [deleted, 'removed'],
    [updated, 'changed'],
    [inserted, 'added'],
  ] as const;
  const said = parts
    .filter(([rows]) => rows > 0)
    .map(([rows, what]) => `${rows} ${rows === 1 ? 'row' : 'rows'} ${what}`);
  return said.length === 0 ? 'no row' : said.join(', ');
}
