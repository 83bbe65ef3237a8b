/** What an agent may ask of the `postgres` tool: structured operations, and raw SQL. */
import { z } from 'zod';

const name = z.string().min(1).max(127);
const scalar = z.union([z.string(), z.number(), z.boolean()]);

const condition = z.union([
  scalar,
  z.null(),
  z
    .strictObject({
      in: z.array(scalar).min(1).max(10_000).optional(),
      eq: scalar.optional(),
      ne: scalar.optional(),
      lt: scalar.optional(),
      lte: scalar.optional(),
      gt: scalar.optional(),
      gte: scalar.optional(),
      like: z.string().optional(),
      isNull: z.boolean().optional(),
    })
    .refine((operators) => Object.keys(operators).length > 0, {
      message: 'at least one of in, eq, ne, lt, lte, gt, gte, like, isNull',
    }),
]);

/**
 * A conjunction: every column must meet its condition, and so must `$or` (one of these at least) and `$not` (not this). A plain value means
 * equal, null means IS NULL. What is neither true nor false, because a column is null, does not count as true.
 */
const where: z.ZodType<RowCondition> = z.lazy(() =>
  z.object({ $or: z.array(part).min(1).max(100).optional(), $not: part.optional() }).catchall(condition),
);
/** An empty part would mean every row. */
const part = where.refine((conditions) => Object.keys(conditions).length > 0, { message: 'at least one condition' });
/** A value of any type. For a `json` column `{"$json": "<text>"}` carries JSON that a JSON number could not carry exactly. */
const row = z.record(name, z.json());

/** Whether it is tried in a transaction that is rolled back, before it is decided on, where the tool does not do so anyway. */
const rehearse = z.boolean();

const count = z.number().int().min(0).max(1_000_000);

/** How many rows a change must be of: exactly so many, or at least `min` and at most `max`. Default at least one. */
const rowCount = z.union([
  count,
  z
    .strictObject({ min: count.optional(), max: count.optional() })
    .refine(({ min = 0, max = Infinity }) => min <= max, { message: 'min at most max' }),
]);

const select = z.strictObject({
  op: z.literal('select'),
  table: name,
  /** The columns to return. Default: all. */
  columns: z.array(name).min(1).max(1_600).optional(),
  where: where.optional(),
  orderBy: z
    .array(z.strictObject({ column: name, direction: z.enum(['asc', 'desc']).default('asc') }))
    .min(1)
    .max(16)
    .optional(),
  limit: z.number().int().min(1).max(1_000).default(100),
});

const insert = z.strictObject({
  op: z.literal('insert'),
  table: name,
  /** The rows to insert. A column that is left out gets its default. */
  rows: z.array(row).min(1).max(10_000),
  rehearse: rehearse.optional(),
});

/** Inserts rows, and updates those that are there already. */
const upsert = z
  .strictObject({
    op: z.literal('upsert'),
    table: name,
    rows: z.array(row).min(1).max(10_000),
    /** The columns of the unique key by which a row is found. Default: the primary key. */
    on: z.array(name).min(1).max(32).optional(),
    /** The columns that a row which is there already gets from the given row. Default: all given ones that are not in `on`. */
    update: z.array(name).max(1_600).optional(),
    rehearse: rehearse.optional(),
  })
  .refine(({ rows: [first = {}, ...others] }) => others.every((one) => sameColumns(first, one)), {
    path: ['rows'],
    message: 'the same columns in every row',
  });

const update = z
  .strictObject({
    op: z.literal('update'),
    table: name,
    set: row.refine((set) => Object.keys(set).length > 0, { message: 'at least one column' }),
    where: where.optional(),
    /** Confirms that every row is meant. Allowed only with an empty `where`. */
    all: z.literal(true).optional(),
    rows: rowCount.optional(),
    rehearse: rehearse.optional(),
  })
  .superRefine(sayWhichRows);

const remove = z
  .strictObject({
    op: z.literal('delete'),
    table: name,
    where: where.optional(),
    /** Exactly these rows, instead of `where`, by their keys in captured states: `41`, or `eu,41` for two columns. */
    keys: z.array(z.string()).min(1).max(10_000).optional(),
    all: z.literal(true).optional(),
    rows: rowCount.optional(),
    rehearse: rehearse.optional(),
  })
  .superRefine(sayWhichRows);

/** Restores whole rows by primary key: existing ones are overwritten, missing ones are inserted. `compensate` proposes it. */
const restore = z.strictObject({
  op: z.literal('restore'),
  table: name,
  rows: z.array(row).min(1).max(10_000),
  rehearse: rehearse.optional(),
});

/** What there is to read and write: tables, columns, keys. */
const describe = z.strictObject({
  op: z.literal('describe'),
  /** Default: every table that the tool covers. */
  tables: z.array(name).min(1).max(1_000).optional(),
});

const sql = z.strictObject({
  op: z.literal('sql'),
  /** One statement. It refers to the values in `params` as $1, $2 … */
  sql: z.string().min(1).max(100_000),
  params: z.array(z.json()).max(1_000).default([]),
  /** Of a change of rows. */
  rows: rowCount.optional(),
  rehearse: rehearse.optional(),
});

function sameColumns(one: object, other: object): boolean {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((column) => Object.hasOwn(other, column));
}

/** Refuses an `update` or `delete` of every row that is not confirmed, because a forgotten condition is an expensive mistake. */
function sayWhichRows(
  input: { where?: object | undefined; keys?: unknown[] | undefined; all?: true | undefined },
  context: z.RefinementCtx,
): void {
  const named = Object.keys(input.where ?? {}).length > 0;
  const ways = [named, input.keys !== undefined, input.all === true].filter(Boolean).length;
  if (ways === 1) return;
  const message =
    ways === 0
      ? 'names no row: give a condition, or set all: true if every row is meant'
      : 'contradicts itself: give one of where, keys and all: true';
  context.addIssue({ code: 'custom', path: ['where'], message });
}

export const postgresInput = z.discriminatedUnion('op', [
  describe,
  select,
  insert,
  upsert,
  update,
  remove,
  restore,
  sql,
]);

/** What an agent asks of a `postgres` tool: one of its operations, by `op`. docs/postgres-tool.md has an example of each. */
export type PostgresInput = z.infer<typeof postgresInput>;
export type SelectInput = Extract<PostgresInput, { op: 'select' }>;
export type InsertInput = Extract<PostgresInput, { op: 'insert' }>;
export type UpsertInput = Extract<PostgresInput, { op: 'upsert' }>;
export type UpdateInput = Extract<PostgresInput, { op: 'update' }>;
export type DeleteInput = Extract<PostgresInput, { op: 'delete' }>;
export type RestoreInput = Extract<PostgresInput, { op: 'restore' }>;
export type RowCount = z.infer<typeof rowCount>;
export type ColumnCondition = z.infer<typeof condition>;
export interface RowCondition {
  readonly $or?: readonly RowCondition[] | undefined;
  readonly $not?: RowCondition | undefined;
  readonly [column: string]: ColumnCondition | RowCondition | readonly RowCondition[] | undefined;
}
