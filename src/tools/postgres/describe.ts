/** The operation `describe`: which tables the tool covers and what they hold, so that an agent need not guess. */
import type { Query } from './connection.js';

/** One row for each table, ordered by name. Other tables are not even named, by foreign keys neither. `names` are display names. */
export function describeQuery(
  { schema, tables }: { readonly schema: string; readonly tables: ReadonlySet<string> | undefined },
  names: readonly string[] | undefined,
): Query {
  const covered = tables === undefined ? null : [...tables];
  return { text: DESCRIBE_SQL, values: [schema, covered, names === undefined ? null : [...names]] };
}

/** $1 the schema whose tables are named without one; $2 the tables that are covered, null for all of the schema; $3 those that are asked for. */
const DESCRIBE_SQL = `
WITH covered AS (
  SELECT c.oid, c.relkind, c.reltuples, named.name
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL (SELECT CASE WHEN n.nspname = $1::text THEN c.relname::text ELSE n.nspname || '.' || c.relname END) AS named (name)
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
    AND ($2::text[] IS NULL AND n.nspname = $1::text OR named.name = ANY ($2::text[]))
    AND has_any_column_privilege(c.oid, 'SELECT')
)
SELECT t.name AS "table",
  CASE t.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
    ELSE 'foreign table' END AS kind,
  CASE WHEN t.reltuples < 0 THEN NULL ELSE t.reltuples::float8 END AS "estimatedRows",
  obj_description(t.oid, 'pg_class') AS comment,
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'nullable', NOT a.attnotnull,
      'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END, 'generated', a.attgenerated <> '' OR a.attidentity = 'a',
      'comment', col_description(t.oid, a.attnum)) ORDER BY a.attnum)
    FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
  (SELECT pg_catalog.json_agg(a.attname ORDER BY k.at) FROM pg_constraint p
    CROSS JOIN LATERAL pg_catalog.unnest(p.conkey) WITH ORDINALITY AS k (num, at) JOIN pg_attribute a ON a.attrelid = p.conrelid AND a.attnum = k.num
    WHERE p.conrelid = t.oid AND p.contype = 'p') AS key,
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_object('columns', (SELECT pg_catalog.json_agg(a.attname ORDER BY k.at) FROM pg_catalog.unnest(f.conkey) WITH ORDINALITY AS k (num, at)
        JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.num), 'references', r.name) ORDER BY f.conname)
    FROM pg_constraint f JOIN covered r ON r.oid = f.confrelid WHERE f.conrelid = t.oid AND f.contype = 'f') AS "foreignKeys"
FROM covered t WHERE $3::text[] IS NULL OR t.name = ANY ($3::text[])
ORDER BY t.name COLLATE "C"`;
