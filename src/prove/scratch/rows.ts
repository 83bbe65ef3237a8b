/** Made-up rows for the tables of a scratch database: of the right types, in the order of their foreign keys. */
import pg from 'pg';
import type { Json } from '../../action/json.js';
import { isTextual, valueFor, type ColumnShape } from './values.js';

export interface FilledTable {
  /** As the catalog has it. */
  readonly schema: string;
  readonly table: string;
  /** Quoted and qualified. */
  readonly sql: string;
  readonly columns: readonly ColumnShape[];
  /** Names of the columns of the primary key. */
  readonly key: readonly string[];
  /** Whether foreign keys of other tables refer to it. */
  readonly referenced: boolean;
  /** The keys of its rows. */
  readonly rows: readonly Readonly<Record<string, string | number | boolean>>[];
}

interface FoundTable {
  readonly schema: string;
  readonly name: string;
  readonly sql: string;
  readonly columns: readonly ColumnShape[];
  readonly key: readonly string[] | null;
  readonly references: readonly {
    readonly columns: readonly string[];
    readonly table: string;
    readonly to: readonly string[];
  }[];
}

/** Every table that was made, with what a row of it has to be like. */
const TABLES_SQL = `
SELECT n.nspname AS schema, c.relname AS name, c.oid::regclass::text AS sql,
  (SELECT json_agg(json_build_object('name', a.attname, 'type', coalesce(bt.typname, t.typname), 'notNull', a.attnotnull,
      'length', CASE WHEN t.typname IN ('varchar', 'bpchar') AND a.atttypmod > 4 THEN a.atttypmod - 4 END,
      'given', a.attgenerated = '' AND a.attidentity = '' AND coalesce(pg_get_expr(d.adbin, d.adrelid), '') NOT LIKE 'nextval(%',
      'default', d.adbin IS NOT NULL, 'array', t.typelem <> 0 AND t.typlen = -1,
      'unique', EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND a.attnum = ANY (i.indkey::int2[])),
      'foreign', EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'f' AND a.attnum = ANY (k.conkey)),
      'labels', (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = coalesce(bt.oid, t.oid)),
      'checks', (SELECT json_agg(pg_get_constraintdef(k.oid)) FROM pg_constraint k
        WHERE (k.conrelid = c.oid AND k.contype = 'c' AND a.attnum = ANY (k.conkey)) OR (k.contypid = t.oid AND k.contype = 'c')))
      ORDER BY a.attnum)
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type bt ON t.typtype = 'd' AND bt.oid = t.typbasetype
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
  (SELECT json_agg(a.attname) FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey::int2[])
    WHERE i.indrelid = c.oid AND i.indisprimary) AS key,
  (SELECT coalesce(json_agg(json_build_object('table', k.confrelid::regclass::text,
      'columns', (SELECT json_agg(a.attname ORDER BY u.o) FROM unnest(k.conkey) WITH ORDINALITY u(n, o) JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n),
      'to', (SELECT json_agg(a.attname ORDER BY u.o) FROM unnest(k.confkey) WITH ORDINALITY u(n, o) JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n))), '[]')
    FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'f') AS references
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'countersign_prove')
  AND n.nspname NOT LIKE 'pg_toast%' ORDER BY 1, 2`;

interface Filling {
  readonly rows: number;
  readonly marked: Readonly<Record<string, string>>;
}

export async function fillTables(
  pool: pg.Pool,
  filling: Filling,
): Promise<{ readonly tables: readonly FilledTable[]; readonly leftOut: readonly string[] }> {
  const { rows: found } = await pool.query<FoundTable>(TABLES_SQL);
  const [tables, leftOut, failed] = [[] as FilledTable[], [] as string[], new Set<string>()];
  for (const one of inOrder(found)) {
    const needed = one.references.find(({ table }) => table !== one.sql && failed.has(table));
    try {
      if (one.key === null) throw new Error('it has no primary key');
      if (needed !== undefined) throw new Error(`${needed.table}, which it refers to, has no rows`);
      const rows = await fill(pool, one, filling);
      const referenced = found.some(({ references }) => references.some(({ table }) => table === one.sql));
      tables.push({
        schema: one.schema,
        table: one.name,
        sql: one.sql,
        columns: one.columns,
        key: one.key,
        referenced,
        rows,
      });
    } catch (error) {
      failed.add(one.sql);
      leftOut.push(`no rows for ${one.sql}: ${(error as Error).message}`);
    }
  }
  return { tables, leftOut };
}

/** Tables after those that they refer to. */
function inOrder(found: readonly FoundTable[]): readonly FoundTable[] {
  const byName = new Map(found.map((one) => [one.sql, one]));
  const ordered = new Set<FoundTable>();
  const enter = (one: FoundTable, above: readonly FoundTable[]): void => {
    if (ordered.has(one) || above.includes(one)) return;
    for (const { table } of one.references) {
      const other = byName.get(table);
      if (other !== undefined) enter(other, [...above, one]);
    }
    ordered.add(one);
  };
  for (const one of found) enter(one, []);
  return [...ordered];
}

async function fill(pool: pg.Pool, table: FoundTable, filling: Filling): Promise<FilledTable['rows']> {
  const { key, columns, references, sql } = table;
  const given = columns.filter(
    ({ name, given: wanted, default: standard }) =>
      wanted && (!standard || key?.includes(name) || name in filling.marked),
  );
  const parents = await Promise.all(
    references.map(async ({ table: other, to }) => {
      const list = to.map((name) => pg.escapeIdentifier(name)).join(', ');
      const { rows } = await pool.query<Record<string, Json>>(`SELECT ${list} FROM ${other} LIMIT ${filling.rows}`);
      return rows;
    }),
  );
  const made = Array.from({ length: filling.rows }, (_, index) => {
    const n = index + 1;
    const row = Object.fromEntries(
      given.map((column): [string, Json] => [column.name, madeUp(column, n, filling.marked)]),
    );
    for (const [at, { columns: own, to }] of references.entries()) {
      const parent = parents[at]?.[index % Math.max(1, parents[at]?.length ?? 1)];
      for (const [place, name] of own.entries()) if (name in row) row[name] = parent?.[to[place] ?? ''] ?? null;
    }
    return row;
  });
  const names = given.map(({ name }) => pg.escapeIdentifier(name)).join(', ');
  const statement =
    given.length === 0
      ? `INSERT INTO ${sql} DEFAULT VALUES`
      : `INSERT INTO ${sql} (${names}) SELECT ${names} FROM json_populate_recordset(NULL::${sql}, $1::json)`;
  await pool.query(statement, given.length === 0 ? [] : [JSON.stringify(made)]);
  const keys = (key ?? []).map((name) => pg.escapeIdentifier(name)).join(', ');
  const { rows } = await pool.query<{ row: FilledTable['rows'][number] }>(
    `SELECT to_json(k) AS row FROM (SELECT ${keys} FROM ${sql} ORDER BY ${keys}) k`,
  );
  return rows.map(({ row }) => row);
}

function madeUp(column: ColumnShape, n: number, marked: Filling['marked']): Json {
  const mark = isTextual(column.type) ? marked[column.name] : undefined;
  return mark ?? valueFor(column, n);
}
