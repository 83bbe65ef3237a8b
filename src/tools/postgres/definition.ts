/** Plans changes of a table's definition and truncates, and reads the definitions of the named tables from the catalog. */
import type { Json, JsonObject } from '../../action/json.js';
import type { State } from '../../action/snapshot.js';
import { parseName, type Table } from './catalog.js';
import type { SchemaStatement } from './classify.js';
import type { QueryResult, Query } from './connection.js';
import { definitionText } from './definition-text.js';
import { refuseStatement } from './parser.js';
import type { SqlScope } from './scope.js';
import { storedList } from './structured.js';
import type { QualifiedName } from './uses.js';

export interface DefinitionPlan {
  readonly kind: 'definition';
  readonly verb: SchemaStatement['verb'];
  readonly statement: Query;
  /** What it does, in plain words. */
  readonly text: string;
  /** The names in states of the tables whose definitions it may change. A table need not exist, before or after. */
  readonly tables: readonly string[];
  readonly existing: readonly Table[];
  /** Tables whose rows it removes. */
  readonly emptied: readonly Table[];
  readonly reads: readonly string[];
  /** The query that reads the definitions. Its result goes to `definitionsOf`. */
  readonly definitions: Query;
}

/** The name under which states contain definitions. A table has such a name only when somebody quotes it on purpose. */
export const DEFINITIONS = '$schema';

/** The name, below it, of a digest over all other tables of the schema. */
export const OTHERS = '$others';

/** The name under which states contain count and digest of the rows of tables that have more than are recorded one by one. */
export const ROWS = '$rows';

/**
 * Plans a change of definition.
 *
 * @param named the tables, when they are known from before the effect: after it a table or index may no longer exist
 * @throws CountersignError INVALID_INPUT or STATEMENT_REFUSED
 */
export async function definitionPlan(
  statement: SchemaStatement,
  scope: SqlScope,
  reads: readonly string[],
  signal: AbortSignal,
  named?: readonly QualifiedName[],
): Promise<DefinitionPlan> {
  const names = named ?? (await namedTables(statement, scope, signal));
  const existing = await scope.existing(names, 'input.sql', signal);
  const unsupported = existing.find((table) => table.kind !== 'table' && table.kind !== 'partitioned');
  if (unsupported !== undefined)
    throw refuseStatement(`${unsupported.name} is a ${unsupported.kind}; only tables are changed.`, 'a table');
  const mixed = existing.find((table) => table.mixed);
  if (mixed !== undefined) throw refuseStatement(`Other tables inherit from ${mixed.name} and would change with it.`);
  const tables = [...new Set(names.map((name) => scope.display(name)))].sort();
  return {
    kind: 'definition',
    verb: statement.verb,
    statement: { text: statement.text },
    text: definitionText(statement, (name) => scope.display(name)),
    tables,
    existing,
    emptied: existing.filter((table) => statement.empties.some((name) => scope.display(name) === table.name)),
    reads: reads.filter((name) => !tables.includes(name)),
    definitions: definitionsQuery(names, scope.schema),
  };
}

/** The tables that the statement changes. They must exist unless it creates them or says IF EXISTS. */
async function namedTables(
  statement: SchemaStatement,
  scope: SqlScope,
  signal: AbortSignal,
): Promise<readonly QualifiedName[]> {
  const { verb, targets, node } = statement;
  if (verb === 'drop_index') return await scope.tablesOfIndexes(targets, signal);
  const needed =
    verb === 'create_table' || node['missing_ok'] === true ? [] : verb === 'rename' ? targets.slice(0, 1) : targets;
  await scope.tables(needed, 'input.sql', signal);
  return targets;
}

/** A query for all rows of a table. */
export function rowsQuery(table: Table): Query {
  return { text: `SELECT ${storedList(table)} FROM ${table.sql}` };
}

/** The count of the rows of `t` and a digest over them. */
export const DIGEST_LIST = `count(*), md5(string_agg(md5(t::text), '' ORDER BY md5(t::text) COLLATE "C"))`;

/** A query for the count of all rows and a digest over them, where there are more than `most`; else the count is 0. */
export function rowsDigestQuery(table: Table, most: number): Query {
  return {
    text:
      `SELECT ${DIGEST_LIST} FROM ${table.sql} t ` +
      `WHERE (SELECT count(*) FROM (SELECT 1 FROM ${table.sql} LIMIT ${most + 1}) n) > ${most}`,
  };
}

/** What a state says of a table whose rows it holds by their digest. */
interface DigestedRows {
  readonly rows: number;
  readonly digest: string;
  /** The schema that the rows are copied into before they are removed. */
  readonly exportTo?: string;
}

/** The tables of a state whose rows it holds by their digest. */
export function digestedIn(state: State): ReadonlyMap<string, DigestedRows> {
  const entries = Object.entries((state[ROWS] ?? {}) as JsonObject);
  return new Map(entries.map(([table, rows]) => [table, rows as unknown as DigestedRows]));
}

/** How many rows of a table a state holds, one by one or as a digest. */
export function rowCountIn(state: State, table: string): number {
  const digested = digestedIn(state).get(table);
  if (digested !== undefined) return digested.rows;
  return Object.hasOwn(state, table) ? Object.keys(state[table] ?? {}).length : 0;
}

function definitionsQuery(names: readonly QualifiedName[], schema: string): Query {
  const schemas = names.map((name) => name.schema ?? schema);
  return { text: DEFINITIONS_SQL, values: [schemas, names.map((name) => name.name), schema] };
}

/**
 * Returns one JSON text. $1 and $2 are the schemas and names of the tables. $3 is the configured schema; its other tables are digested by
 * names and types only, because the text of their constraints may contain the name of a renamed table.
 */
const DEFINITIONS_SQL = `
WITH asked AS (SELECT s, t FROM unnest($1::text[], $2::text[]) AS a(s, t)),
found AS (
  SELECT c.oid, n.nspname, c.relname, c.relkind, c.relrowsecurity FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN asked ON asked.s = n.nspname AND asked.t = c.relname WHERE c.relkind IN ('r', 'p')
), other AS (
  SELECT c.oid, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $3 AND c.relkind IN ('r', 'p', 'v', 'm') AND c.oid NOT IN (SELECT oid FROM found)
    AND NOT EXISTS (SELECT FROM asked WHERE asked.s = n.nspname AND asked.t = c.relname)
)
SELECT pg_catalog.json_build_object(
  'tables', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('schema', nspname, 'name', relname, 'definition', pg_catalog.json_build_object(
    'columns', (SELECT coalesce(pg_catalog.json_object_agg(a.attname, pg_catalog.json_build_object('type', format_type(a.atttypid, a.atttypmod),
        'notNull', a.attnotnull, 'default', pg_get_expr(d.adbin, d.adrelid), 'identity', nullif(a.attidentity::text, ''),
        'generated', nullif(a.attgenerated::text, '')) ORDER BY a.attnum), '{}')
      FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE a.attrelid = found.oid AND a.attnum > 0 AND NOT a.attisdropped),
    'constraints', (SELECT coalesce(pg_catalog.json_object_agg(conname, pg_get_constraintdef(oid) ORDER BY conname), '{}')
      FROM pg_constraint WHERE conrelid = found.oid AND contype <> 'n'),
    'indexes', (SELECT coalesce(pg_catalog.json_object_agg(c.relname, pg_get_indexdef(c.oid) ORDER BY c.relname), '{}')
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = found.oid),
    'triggers', (SELECT coalesce(pg_catalog.json_object_agg(tgname, pg_get_triggerdef(oid) ORDER BY tgname), '{}')
      FROM pg_trigger WHERE tgrelid = found.oid AND NOT tgisinternal)
  )) ORDER BY nspname, relname), '[]') FROM found),
  'others', (SELECT md5(coalesce(string_agg(line, E'\\n' ORDER BY line COLLATE "C"), '')) FROM (
    SELECT relname || ' ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull AS line
      FROM other JOIN pg_attribute a ON a.attrelid = other.oid WHERE a.attnum > 0 AND NOT a.attisdropped
    UNION ALL SELECT relname || ' constraint ' || k.conname FROM other JOIN pg_constraint k ON k.conrelid = other.oid
    UNION ALL SELECT other.relname || ' index ' || c.relname FROM other JOIN pg_index i ON i.indrelid = other.oid JOIN pg_class c ON c.oid = i.indexrelid
    UNION ALL SELECT relname || ' trigger ' || g.tgname FROM other JOIN pg_trigger g ON g.tgrelid = other.oid AND NOT g.tgisinternal
  ) lines)
)::text`;

/** Builds `{$schema: {orders: {columns, constraints, indexes, triggers}, $others: digest}}`, with null for a table that does not exist. */
export function definitionsOf(plan: DefinitionPlan, result: QueryResult | undefined, scope: SqlScope): JsonObject {
  const read = JSON.parse(result?.rows[0]?.[0] ?? '{}') as {
    readonly tables: readonly { readonly schema: string; readonly name: string; readonly definition: Json }[];
    readonly others: string;
  };
  const found = new Map(read.tables.map((table) => [scope.display(table), table.definition]));
  const definitions = plan.tables.map((name): [string, Json] => [name, found.get(name) ?? null]);
  return Object.fromEntries([[DEFINITIONS, Object.fromEntries([...definitions, [OTHERS, `md5:${read.others}`]])]]);
}

/** The tables whose definitions a state contains. */
export function definedTables(state: State | undefined): readonly QualifiedName[] | undefined {
  const definitions = state?.[DEFINITIONS];
  if (typeof definitions !== 'object' || definitions === null) return undefined;
  return Object.keys(definitions)
    .filter((name) => name !== OTHERS)
    .map((name) => parseName(name));
}
