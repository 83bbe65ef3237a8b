/**
 * Which tables a transaction wrote, by the server's own counts. They include what triggers, cascades and rules wrote in addition to the
 * statement. The counts of earlier transactions of the session linger, so they are read before and after.
 */
import type { ChangedRows } from '../../action/rehearsal.js';

/** A table that a transaction wrote. Partitions have the name of the table that they belong to. */
export interface WrittenTable extends ChangedRows {
  readonly schema: string;
  readonly name: string;
  /** Whether the role may read its rows. */
  readonly readable: boolean;
}

/** By the oid of the table or partition that was written. */
export type WrittenTables = ReadonlyMap<string, WrittenTable & { readonly root: string }>;

/** One row of the array that `WRITTEN_TABLES` gives. */
export type WrittenRow = readonly [string, string, string, string, boolean, number, number, number];

/** An expression for a JSON array. It includes system tables, because a trigger that truncates or alters something writes to them. */
export const WRITTEN_TABLES = `(
  SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(c.oid::text, r.oid::text, n.nspname, r.relname, has_table_privilege(r.oid, 'SELECT'),
    pg_stat_get_xact_tuples_inserted(c.oid), pg_stat_get_xact_tuples_updated(c.oid), pg_stat_get_xact_tuples_deleted(c.oid))), '[]')
  FROM pg_class c JOIN pg_class r ON r.oid = coalesce(pg_partition_root(c.oid), c.oid) JOIN pg_namespace n ON n.oid = r.relnamespace
  WHERE c.relkind IN ('r', 'm')
    AND pg_stat_get_xact_tuples_inserted(c.oid) + pg_stat_get_xact_tuples_updated(c.oid) + pg_stat_get_xact_tuples_deleted(c.oid) > 0)`;

export function writtenFrom(rows: readonly WrittenRow[]): WrittenTables {
  const tables = rows.map(([oid, root, schema, name, readable, inserted, updated, deleted]) => {
    return [oid, { root, schema, name, readable, inserted, updated, deleted }] as const;
  });
  return new Map(tables);
}

/** The counts that were added since `before`. */
export function writtenSince(before: WrittenTables, after: WrittenTables): WrittenTables {
  const since = [...after].map(([oid, now]) => {
    const then = before.get(oid);
    const inserted = now.inserted - (then?.inserted ?? 0);
    const updated = now.updated - (then?.updated ?? 0);
    const deleted = now.deleted - (then?.deleted ?? 0);
    return [oid, { ...now, inserted, updated, deleted }] as const;
  });
  return new Map(since.filter(([, counts]) => total(counts) > 0));
}

/** The same by whole tables: the counts of partitions together. */
export function wholeTables(written: WrittenTables): readonly WrittenTable[] {
  const roots = new Map<string, WrittenTable>();
  for (const { root, ...table } of written.values()) roots.set(root, { ...table, ...sum([table, roots.get(root)]) });
  return [...roots.values()];
}

export function sum(counts: readonly (ChangedRows | undefined)[]): ChangedRows {
  const of = (kind: keyof ChangedRows): number => counts.reduce((all, one) => all + (one?.[kind] ?? 0), 0);
  return { inserted: of('inserted'), updated: of('updated'), deleted: of('deleted') };
}

export function total({ inserted, updated, deleted }: ChangedRows): number {
  return inserted + updated + deleted;
}
