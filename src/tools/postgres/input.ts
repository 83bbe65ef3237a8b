/** The input of the `postgres` tool: five structured operations, and raw SQL. */
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

/** A conjunction: every column must meet its condition. A plain value means equal, null means IS NULL. */
const where = z.record(name, condition);
/** Values of any type. In a `json` column, `{"$json": "<text>"}` stands for JSON with numbers that would lose precision. */
const row = z.record(name, z.json());

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
});

const update = z
  .strictObject({
    op: z.literal('update'),
    table: name,
    set: row.refine((set) => Object.keys(set).length > 0, { message: 'at least one column' }),
    where: where.optional(),
    /** Confirms that every row is meant. Allowed only with an empty `where`. */
    all: z.literal(true).optional(),
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
  })
  .superRefine(sayWhichRows);

/** Restores whole rows by primary key: existing ones are overwritten, missing ones are inserted. `compensate` proposes it. */
const restore = z.strictObject({
  op: z.literal('restore'),
  table: name,
  rows: z.array(row).min(1).max(10_000),
});

const sql = z.strictObject({
  op: z.literal('sql'),
  /** One statement. It refers to the values in `params` as $1, $2 … */
  sql: z.string().min(1).max(100_000),
  params: z.array(z.json()).max(1_000).default([]),
});

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

export const postgresInput = z.discriminatedUnion('op', [select, insert, update, remove, restore, sql]);

export type PostgresInput = z.infer<typeof postgresInput>;
export type SelectInput = Extract<PostgresInput, { op: 'select' }>;
export type InsertInput = Extract<PostgresInput, { op: 'insert' }>;
export type UpdateInput = Extract<PostgresInput, { op: 'update' }>;
export type DeleteInput = Extract<PostgresInput, { op: 'delete' }>;
export type RestoreInput = Extract<PostgresInput, { op: 'restore' }>;
export type RowCondition = z.infer<typeof where>;
