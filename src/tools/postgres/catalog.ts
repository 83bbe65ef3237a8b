/** Reads tables from the database's catalog: columns, keys, and triggers, rules and cascades that run when a table is written. */
import { CountersignError } from '../../action/errors.js';
import { IS_RADAR_TRIGGER } from './radar/trigger-source.js';
import type { QualifiedName } from './uses.js';
import type { ValueType } from './values.js';

export interface Column {
  readonly name: string;
  /** The type for people, with length or precision: `numeric(10,2)`. */
  readonly type: string;
  /** The type for casts, without length or precision, because a cast to `varchar(3)` would truncate silently. */
  readonly bareType: string;
  readonly value: ValueType;
  readonly typmod: number;
  /** Whether its type is a domain, which may refuse values. */
  readonly domain: boolean;
  readonly generated: boolean;
  /** Whether it is GENERATED ALWAYS AS IDENTITY. */
  readonly identityAlways: boolean;
  /** Whether its default is another value each time: an identity, a sequence, a clock, a random value. */
  readonly volatileDefault: boolean;
}

export interface Trigger {
  readonly name: string;
  readonly on: readonly ('insert' | 'update' | 'delete' | 'truncate')[];
}

/** A foreign key to this table that deletes or changes rows there when a row here is deleted. */
export interface Cascade {
  readonly table: string;
  readonly sql: string;
  readonly action: 'cascade' | 'set null' | 'set default';
  readonly columns: readonly string[];
  readonly references: readonly string[];
}

export type TableKind = 'table' | 'partitioned' | 'view' | 'materialized view' | 'foreign table' | 'other';

export interface Table {
  /** The name in states, targets and messages, without the schema when that is the configured one. */
  readonly name: string;
  readonly schema: string;
  readonly relation: string;
  /** The quoted and qualified name. */
  readonly sql: string;
  readonly kind: TableKind;
  readonly columns: readonly Column[];
  /** The columns that identify a row: the primary key, or else the first unique index on columns that are never null. May be empty. */
  readonly key: readonly Column[];
  readonly triggers: readonly Trigger[];
  /** Rewrite rules, with the operations they are for. */
  readonly rules: readonly Trigger[];
  /** Whether row-level security applies to the tool's role. */
  readonly rowSecurity: boolean;
  readonly cascades: readonly Cascade[];
  /** Columns that foreign keys refer to whose rows change when the column is updated. */
  readonly cascadingColumns: readonly string[];
  /** Its own oid and those of its partitions. */
  readonly members: readonly string[];
  /** Whether another table inherits from it without being a partition, or a partition is a foreign table. */
  readonly mixed: boolean;
  /** The oids of the types of its columns. */
  readonly typeOids: readonly number[];
  readonly viewText: string | undefined;
}

/** One row of the result of TABLES_SQL. */
interface CatalogRow {
  readonly schema: string;
  readonly name: string;
  readonly sql: string;
  readonly kind: string;
  readonly rls: boolean;
  readonly columns: readonly {
    name: string;
    type: string;
    bare: string;
    /** An oid. The server prints it as a number or as a text. */
    base: number | string;
    oid: number | string;
    elem: number | string | null;
    typmod: number;
    generated: boolean;
    always: boolean;
    fresh: boolean;
  }[];
  readonly key: readonly string[] | null;
  readonly triggers: readonly { name: string; type: number }[];
  readonly rules: readonly { name: string; event: string }[];
  readonly cascades: readonly {
    schema: string;
    name: string;
    sql: string;
    action: string;
    columns: readonly string[];
    references: readonly string[];
  }[];
  readonly cascading: readonly string[];
  readonly members: readonly string[];
  readonly mixed: boolean;
  readonly view: string | null;
}

/** Defaults that are another value each time, by what they call. Functions of the database count when they are declared volatile. */
const VOLATILE_DEFAULT = String.raw`
  a.attidentity <> '' OR EXISTS (SELECT FROM pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.attgenerated = '' AND (
    pg_get_expr(d.adbin, d.adrelid) ~* '\m(nextval|now|random|random_normal|gen_random_uuid|uuidv4|uuidv7|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday|txid_current|pg_current_xact_id)\s*\('
    OR pg_get_expr(d.adbin, d.adrelid) ~ '\m(CURRENT_TIMESTAMP|CURRENT_DATE|CURRENT_TIME|LOCALTIME|LOCALTIMESTAMP)\M'
    OR EXISTS (SELECT FROM pg_depend e JOIN pg_proc p ON p.oid = e.refobjid WHERE e.classid = 'pg_attrdef'::regclass AND e.objid = d.oid
      AND e.refclassid = 'pg_proc'::regclass AND p.provolatile = 'v')))`;

/**
 * Returns one JSON text for each relation of the given schemas ($1) and names ($2). An identifying key has no JSON or array column, because
 * its text must be usable as a name. Functions of any type are named with their schema: in the schema of the tables, somebody may have made one that
 * fits the arguments better.
 */
export const TABLES_SQL = `
WITH RECURSIVE asked AS (
  SELECT c.oid, c.relname, c.relkind, n.nspname FROM unnest($1::text[], $2::text[]) AS a(s, t)
  JOIN pg_namespace n ON n.nspname = a.s JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = a.t
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
), base (start, oid, step) AS (
  SELECT DISTINCT a.atttypid, a.atttypid, 0 FROM pg_attribute a JOIN asked ON asked.oid = a.attrelid WHERE a.attnum > 0 AND NOT a.attisdropped
  UNION SELECT b.start, t.typbasetype, b.step + 1 FROM base b JOIN pg_type t ON t.oid = b.oid AND t.typtype = 'd'
), plain AS (SELECT DISTINCT ON (start) start, oid FROM base ORDER BY start, step DESC),
tree (root, oid) AS (
  SELECT oid, oid FROM asked UNION SELECT t.root, i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid
)
SELECT pg_catalog.json_build_object(
  'schema', asked.nspname, 'name', asked.relname, 'sql', pg_catalog.format('%I.%I', asked.nspname, asked.relname), 'kind', asked.relkind,
  'rls', asked.relkind IN ('r', 'p') AND row_security_active(asked.oid),
  'columns', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
      'bare', format_type(a.atttypid, -1), 'base', p.oid, 'oid', a.atttypid, 'elem', CASE WHEN t.typcategory = 'A' AND t.typdelim = ',' THEN t.typelem END,
      'typmod', a.atttypmod, 'generated', a.attgenerated <> '', 'always', a.attidentity = 'a',
      'fresh', ${VOLATILE_DEFAULT}) ORDER BY a.attnum), '[]')
    FROM pg_attribute a JOIN plain p ON p.start = a.atttypid JOIN pg_type t ON t.oid = p.oid
    WHERE a.attrelid = asked.oid AND a.attnum > 0 AND NOT a.attisdropped),
  'key', (SELECT (SELECT pg_catalog.json_agg(a.attname ORDER BY k.at) FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k(attnum, at)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE k.at <= i.indnkeyatts)
    FROM pg_index i WHERE i.indrelid = asked.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
      AND NOT EXISTS (SELECT FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k(attnum, at)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum JOIN pg_type t ON t.oid = a.atttypid
        WHERE k.at <= i.indnkeyatts AND (NOT a.attnotnull OR a.attgenerated <> '' OR t.typcategory = 'A' OR t.typname IN ('json', 'jsonb')))
    ORDER BY i.indisprimary DESC, i.indexrelid LIMIT 1),
  'triggers', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('name', g.tgname, 'type', g.tgtype) ORDER BY g.tgname), '[]')
    FROM pg_trigger g WHERE g.tgrelid IN (SELECT oid FROM tree WHERE root = asked.oid) AND NOT g.tgisinternal AND g.tgenabled IN ('O', 'A')
      AND NOT ${IS_RADAR_TRIGGER}),
  'rules', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('name', r.rulename, 'event', r.ev_type) ORDER BY r.rulename), '[]')
    FROM pg_rewrite r WHERE r.ev_class = asked.oid AND r.rulename <> '_RETURN' AND r.ev_enabled IN ('O', 'A')),
  'cascades', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('schema', n.nspname, 'name', c.relname, 'sql', pg_catalog.format('%I.%I', n.nspname, c.relname),
      'action', f.confdeltype,
      'columns', (SELECT pg_catalog.json_agg(a.attname ORDER BY k.at) FROM pg_catalog.unnest(f.conkey) WITH ORDINALITY AS k(attnum, at)
        JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.attnum),
      'references', (SELECT pg_catalog.json_agg(a.attname ORDER BY k.at) FROM pg_catalog.unnest(f.confkey) WITH ORDINALITY AS k(attnum, at)
        JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.attnum)) ORDER BY n.nspname, c.relname, f.conname), '[]')
    FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE f.contype = 'f' AND f.confrelid = asked.oid AND f.confdeltype IN ('c', 'n', 'd') AND f.conparentid = 0),
  'cascading', (SELECT coalesce(pg_catalog.json_agg(DISTINCT a.attname), '[]') FROM pg_constraint f, pg_catalog.unnest(f.confkey) AS k(attnum), pg_attribute a
    WHERE f.contype = 'f' AND f.confrelid = asked.oid AND f.confupdtype IN ('c', 'n', 'd') AND a.attrelid = f.confrelid AND a.attnum = k.attnum),
  'members', (SELECT pg_catalog.json_agg(tree.oid::text ORDER BY tree.oid) FROM tree WHERE root = asked.oid),
  'mixed', EXISTS (SELECT FROM tree JOIN pg_class c ON c.oid = tree.oid WHERE root = asked.oid AND tree.oid <> root
    AND (c.relkind = 'f' OR NOT c.relispartition)),
  'view', CASE WHEN asked.relkind = 'v' THEN pg_get_viewdef(asked.oid) END
)::text FROM asked`;

/** Returns the relations of a schema ($1), for messages. */
export const RELATIONS_SQL = `
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm') ORDER BY c.relname LIMIT 50`;

/** Returns the tables of indexes, by the schemas ($1) and names ($2) of the indexes. */
export const INDEXES_SQL = `
SELECT DISTINCT tn.nspname, t.relname FROM unnest($1::text[], $2::text[]) AS a(s, t) JOIN pg_namespace n ON n.nspname = a.s
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = a.t JOIN pg_index i ON i.indexrelid = c.oid
JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace ORDER BY 1, 2`;

const KINDS: Readonly<Record<string, TableKind>> = {
  r: 'table',
  p: 'partitioned',
  v: 'view',
  m: 'materialized view',
  f: 'foreign table',
};
const ACTIONS: Readonly<Record<string, Cascade['action']>> = { c: 'cascade', n: 'set null', d: 'set default' };
/** Bits of pg_trigger.tgtype. */
const TRIGGER_EVENTS = [
  [4, 'insert'],
  [8, 'delete'],
  [16, 'update'],
  [32, 'truncate'],
] as const;
const RULE_EVENTS: Readonly<Record<string, Trigger['on']>> = { '2': ['update'], '3': ['insert'], '4': ['delete'] };

/** Makes tables from the result of TABLES_SQL. */
export function tablesFrom(texts: readonly (string | null)[], configured: string): readonly Table[] {
  return texts.map((text) => tableFrom(JSON.parse(text ?? '{}') as CatalogRow, configured));
}

function tableFrom(row: CatalogRow, configured: string): Table {
  const columns = row.columns.map((column) => ({
    name: column.name,
    type: column.type,
    bareType: column.bare,
    value: { oid: Number(column.base), element: column.elem === null ? undefined : Number(column.elem) },
    typmod: column.typmod,
    domain: Number(column.oid) !== Number(column.base),
    generated: column.generated,
    identityAlways: column.always,
    volatileDefault: column.fresh,
  }));
  return {
    name: displayName({ schema: row.schema, name: row.name }, configured),
    schema: row.schema,
    relation: row.name,
    sql: row.sql,
    kind: KINDS[row.kind] ?? 'other',
    columns,
    key: (row.key ?? []).flatMap((name) => columns.filter((column) => column.name === name)),
    triggers: distinctByName(row.triggers).map(({ name, type }) => ({
      name,
      on: TRIGGER_EVENTS.filter(([bit]) => (type & bit) !== 0).map(([, event]) => event),
    })),
    rules: row.rules.map(({ name, event }) => ({ name, on: RULE_EVENTS[event] ?? [] })),
    rowSecurity: row.rls,
    cascades: row.cascades.map((cascade) => ({
      table: displayName(cascade, configured),
      sql: cascade.sql,
      action: ACTIONS[cascade.action] ?? 'cascade',
      columns: cascade.columns,
      references: cascade.references,
    })),
    cascadingColumns: row.cascading,
    members: row.members,
    mixed: row.mixed,
    typeOids: [...new Set(row.columns.map((column) => Number(column.oid)))],
    viewText: row.view ?? undefined,
  };
}

export function displayName({ schema, name }: QualifiedName, configured: string): string {
  return schema === undefined || schema === configured ? name : `${schema}.${name}`;
}

/** Parses a name such as `orders` or `sales.orders`. */
export function parseName(name: string): QualifiedName {
  const dot = name.indexOf('.');
  return dot === -1 ? { name } : { schema: name.slice(0, dot), name: name.slice(dot + 1) };
}

/**
 * Finds the column of a name.
 *
 * @throws CountersignError INVALID_INPUT
 */
export function columnOf(table: Table, name: string, field: string): Column {
  const column = table.columns.find((candidate) => candidate.name === name);
  if (column !== undefined) return column;
  throw new CountersignError('INVALID_INPUT', `${table.name} has no column ${JSON.stringify(name)}.`, {
    field,
    expected: `one of ${table.columns.map((candidate) => candidate.name).join(', ')}`,
    fix: 'Use a column that exists.',
  });
}

/** The columns that states contain. Generated columns are left out, because they follow from the others. */
export function storedColumns(table: Table): readonly Column[] {
  return table.columns.filter((column) => !column.generated);
}

/** Removes duplicates by name, because partitions have the triggers of their parent under the same names. */
function distinctByName<T extends { readonly name: string }>(items: readonly T[]): readonly T[] {
  return [...new Map(items.map((item) => [item.name, item])).values()];
}

/** The names of the columns of each table as people know it: the key first, the others in the table's order. */
export function columnOrder(tables: readonly Table[]): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(
    tables.map(({ name, key, columns }) => [name, [...new Set([...key, ...columns].map((column) => column.name))]]),
  );
}
