/** What an action would change, or has changed, as rows to compare: read out of what people sign, never guessed beyond it. */
import type { Preview } from '../../../action/decision.js';
import { inOrder, rowInOrder } from '../../../presentation/column-order.js';
import type { Shown } from '../../../action/outcome.js';
import type { JsonObject } from '../../../action/json.js';
import type { Delta, PatchOperation, Snapshot } from '../../../action/snapshot.js';

type Columns = NonNullable<Preview['columns']>;

/** One row or object, as it is and as it would be. */
export interface RowChange {
  readonly kind: 'change' | 'remove' | 'add' | 'read';
  readonly before?: JsonObject;
  /** Absent where it is not known beforehand. */
  readonly after?: JsonObject;
}

export interface Changes {
  readonly kind: RowChange['kind'];
  readonly rows: readonly RowChange[];
  /** In the order they are shown in: the table's, where the tool tells it; else what changes comes right after what names the row. */
  readonly columns: readonly string[];
  /** Those whose values change. */
  readonly changed: ReadonlySet<string>;
  /** How many more rows there are than are shown. */
  readonly more: number;
  /** False where only the system itself can tell what a row will be. */
  readonly foreseen: boolean;
}

/** Of an action that waits: from the sample and the input that its digest is over. Undefined without a sample. */
export function changesAhead({ preview, proposal, operation, actionType, tool }: Shown): Changes | undefined {
  const { sample, rows } = preview;
  if (sample.length === 0) return undefined;
  const kind = kindOf(operation, actionType);
  const set = kind === 'change' && tool.kind === 'postgres' ? assigned(proposal.input) : undefined;
  const changes = sample.map((row): RowChange => {
    if (kind === 'add') return { kind, after: row };
    if (kind === 'change') return { kind, before: row, ...(set === undefined ? {} : { after: { ...row, ...set } }) };
    return { kind, before: row };
  });
  const changed = new Set(Object.keys(set ?? {}));
  return {
    kind,
    rows: changes,
    columns: ordered(changes, changed, preview.columns),
    changed,
    more: Math.max(0, rows - sample.length),
    foreseen: kind !== 'change' || set !== undefined,
  };
}

/** `update`, `sql.delete`, `insert` … as the tools name them. */
function kindOf(operation: string, actionType: Shown['actionType']): RowChange['kind'] {
  const verb = operation.split('.').at(-1) ?? '';
  if (actionType === 'READ') return 'read';
  if (actionType === 'DELETE' || verb === 'delete' || verb === 'truncate') return 'remove';
  if (verb === 'insert') return 'add';
  return 'change';
}

/** The new values of a structured update. Those of SQL are known to the database alone. */
function assigned(input: JsonObject): JsonObject | undefined {
  const { op, set } = input;
  if (op !== 'update' || typeof set !== 'object' || set === null || Array.isArray(set)) return undefined;
  return set as JsonObject;
}

function ordered(
  rows: readonly RowChange[],
  changed: ReadonlySet<string>,
  columns: Columns | undefined,
): readonly string[] {
  const all = [...new Set(rows.flatMap(({ before, after }) => Object.keys({ ...before, ...after })))];
  if (columns !== undefined) return inOrder(all, Object.values(columns).flat());
  const [first, ...rest] = all;
  if (first === undefined) return [];
  if (changed.has(first))
    return [...all.filter((name) => changed.has(name)), ...all.filter((name) => !changed.has(name))];
  return [first, ...rest.filter((name) => changed.has(name)), ...rest.filter((name) => !changed.has(name))];
}

/** One value that changed, with where it is. */
export interface ValueChange {
  /** The object: `orders 1200`. */
  readonly object: string;
  /** Within it; empty for the whole object. */
  readonly field: string;
  readonly kind: 'change' | 'remove' | 'add';
  readonly before?: unknown;
  readonly after?: unknown;
}

/** Of an action that has ended: from the recorded patch. */
export function changesMade(
  { patch }: Delta,
  pre: Snapshot | undefined,
  columns: Columns = {},
): readonly ValueChange[] {
  const made = patch.map((operation) => valueChange(operation, pre, columns));
  if (Object.keys(columns).length === 0) return made;
  const firstOf = new Map(made.map(({ object }, at) => [object, at] as const).toReversed());
  // The objects stay where they are; of one object, its fields come in the table's order.
  const placed = made.map((change, at) => ({
    change,
    place: firstOf.get(change.object) ?? 0,
    rank: (columns[tokens(patch[at]?.path ?? '')[0] ?? ''] ?? []).indexOf(change.field),
  }));
  return placed.toSorted((a, b) => a.place - b.place || a.rank - b.rank).map(({ change }) => change);
}

function valueChange(
  { op, path, value, from }: PatchOperation,
  pre: Snapshot | undefined,
  columns: Columns,
): ValueChange {
  const [table = '', key = '', ...field] = tokens(path);
  const place = { object: `${table} ${key}`.trim(), field: field.join('.') };
  const whole = (row: unknown): unknown => (field.length === 0 ? wholeRow(row, columns[table]) : row);
  switch (op) {
    case 'add':
      return { ...place, kind: 'add', after: whole(value) };
    case 'remove':
      return { ...place, kind: 'remove', before: whole(valueAt(pre, path)) };
    case 'replace':
    case 'test':
      return { ...place, kind: 'change', before: whole(valueAt(pre, path)), after: whole(value) };
    case 'move':
    case 'copy':
      return { ...place, kind: 'change', before: valueAt(pre, from ?? ''), after: valueAt(pre, from ?? '') };
  }
}

function wholeRow(row: unknown, known: readonly string[] | undefined): unknown {
  if (known === undefined || typeof row !== 'object' || row === null || Array.isArray(row)) return row;
  return rowInOrder(row as JsonObject, known);
}

/** RFC 6901. */
function tokens(pointer: string): readonly string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** Before the effect. Not inside lists, where earlier changes may have moved it. */
function valueAt(pre: Snapshot | undefined, pointer: string): unknown {
  let value: unknown = pre?.state;
  for (const key of tokens(pointer)) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, key))
      return undefined;
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  return value;
}

interface Figure {
  readonly label: string;
  readonly amount: string;
}

const MONEY = /^(amount|total|price|sum|value|refund)(_?(cents|minor))?$/i;
const UNIT = /^(currency|unit)$/i;

/** Amounts with a currency beside them anywhere in the input, word for word: nobody here knows whether they are cents. */
export function money(input: unknown, depth = 0): readonly Figure[] {
  if (typeof input !== 'object' || input === null || depth > 8) return [];
  const entries = Object.entries(input);
  const unit = entries.find(([name, value]) => UNIT.test(name) && typeof value === 'string')?.[1] as string | undefined;
  const own = entries.flatMap(([name, value]): Figure[] => {
    const amount = typeof value === 'number' || (typeof value === 'string' && /^-?\d+([.,]\d+)?$/.test(value));
    if (!amount || unit === undefined || !MONEY.test(name)) return [];
    return [{ label: name, amount: `${String(value)} ${unit}` }];
  });
  return [...own, ...entries.flatMap(([, value]) => money(value, depth + 1))].slice(0, 8);
}
