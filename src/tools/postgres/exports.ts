/**
 * Copies of the rows that a TRUNCATE or DROP removes, where they are too many to be recorded one by one. A copy is made in the transaction
 * of the effect and compared with the captured state before anything is removed, so that there is no removal without its copy.
 */
import { createHash } from 'node:crypto';
import pg from 'pg';
import { CountersignError, type ErrorView } from '../../action/errors.js';
import type { Json, JsonObject } from '../../action/json.js';
import type { Check } from '../../action/outcome.js';
import type { State } from '../../action/snapshot.js';
import { check, same } from '../expected-rows.js';
import type { Execution } from '../tool.js';
import type { PostgresDatabase, Query, QueryResult } from './connection.js';
import { parseName, type Table } from './catalog.js';
import { DIGEST_LIST, digestedIn } from './definition.js';
import { quote } from './sql.js';

/** Where rows are copied before they are removed, and how many at most. */
export interface ExportOptions {
  /** The schema that the copies are made in. It must be there, and agents must not reach it. */
  readonly schema: string;
  /** The most rows that one action may export. From 1 to 1,000,000, default 1,000,000. */
  readonly maxRows?: number;
}

export type ExportSettings = Required<ExportOptions>;

/** A copy, as the result of the execution names it. */
export interface ExportedTable extends JsonObject {
  readonly table: string;
  /** `schema.name` of the copy. */
  readonly to: string;
  readonly rows: number;
  readonly digest: string;
}

/** A copy as it was read back. */
interface ReadCopy extends JsonObject {
  readonly to: string;
  readonly rows: number;
  readonly digest: string;
}

/** The name under which states after the effect hold the copies as they were read back. */
const EXPORTS = '$exports';
const MOST_ROWS = 1_000_000;
/** The longest part of a table's name that the name of its copy begins with. The server cuts names after 63 bytes. */
const NAME_PART = 40;

/** @throws CountersignError CONFIG_INVALID */
export function exportSettings(tool: string, options: ExportOptions | undefined): ExportSettings | undefined {
  if (options === undefined) return undefined;
  const { schema, maxRows = MOST_ROWS } = options;
  const refused = (field: string, expected: string): CountersignError =>
    new CountersignError('CONFIG_INVALID', `The tool ${tool}: exports.${field} must be ${expected}.`, {
      field: `exports.${field}`,
      expected,
      fix: `Correct exports.${field}.`,
    });
  if (!/^[A-Za-z_]\w{0,62}$/.test(schema)) throw refused('schema', 'a name of letters, digits and underscores');
  if (!(Number.isInteger(maxRows) && maxRows >= 1 && maxRows <= MOST_ROWS))
    throw refused('maxRows', `a whole number from 1 to ${MOST_ROWS}`);
  return { schema, maxRows };
}

/** Why the rows of these tables cannot be exported; undefined when they can. */
export function exportRefusal(
  { maxRows }: ExportSettings,
  emptied: readonly Table[],
  exported: number,
): ErrorView | undefined {
  const hidden = emptied.find((table) => table.rowSecurity);
  if (hidden !== undefined) {
    return {
      code: 'STATEMENT_REFUSED',
      message: `Row-level security hides rows of ${hidden.name} from this tool, so that they would be removed without a copy.`,
      field: 'input.sql',
      expected: 'tables whose rows the tool sees all',
      fix: "Ask the operator for a role that row-level security doesn't apply to.",
    };
  }
  if (exported <= maxRows) return undefined;
  return {
    code: 'TOO_MANY_ROWS',
    message: `${exported} rows would be exported before they are removed, of at most ${maxRows}.`,
    field: 'input.sql',
    expected: `at most ${maxRows} rows`,
    fix: "Delete rows in several steps first, or ask the operator to raise the tool's exports.maxRows.",
  };
}

/** Checks that the role may make copies. @throws CountersignError TOOL_FAILED, TOOL_UNAVAILABLE */
export async function checkExports(
  { schema }: ExportSettings,
  { tool, database }: { readonly tool: string; readonly database: PostgresDatabase },
  signal: AbortSignal,
): Promise<void> {
  const text = `SELECT has_schema_privilege(oid, 'USAGE') AND has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = $1`;
  const [result] = await database.read([{ text, values: [schema] }], signal);
  if (result?.rows[0]?.[0] === 't') return;
  const name = quote(schema);
  throw new CountersignError(
    'TOOL_FAILED',
    `${tool}: its role may not make tables in the schema ${schema} of exports.`,
    {
      field: 'exports.schema',
      expected: `the schema ${schema}, with USAGE and CREATE granted to the tool's role`,
      fix: `Have an administrator run: CREATE SCHEMA IF NOT EXISTS ${name}; GRANT USAGE, CREATE ON SCHEMA ${name} TO <role>;`,
    },
  );
}

/** The copies that an execution makes of the tables that the state holds by their digest. */
export class Exporting {
  readonly #copies: readonly { readonly exported: ExportedTable; readonly source: Table; readonly sql: string }[];
  readonly #key: string;

  /** @param key of the effect. The names of the copies are derived from it, so that no second attempt makes other ones. */
  constructor(pre: State, emptied: readonly Table[], key: string) {
    const digested = digestedIn(pre);
    this.#key = key;
    this.#copies = emptied.flatMap((source) => {
      const { exportTo, rows = 0, digest = '' } = digested.get(source.name) ?? {};
      if (exportTo === undefined) return [];
      const name = copyName(source, key);
      const exported = { table: source.name, to: `${exportTo}.${name}`, rows, digest };
      return [{ exported, source, sql: `${quote(exportTo)}.${quote(name)}` }];
    });
  }

  get exported(): readonly ExportedTable[] {
    return this.#copies.map(({ exported }) => exported);
  }

  /** The statements that make the copies, each followed by the query whose result `check` takes. */
  get statements(): readonly Query[] {
    return this.#copies.flatMap(({ exported, source, sql }) => {
      const comment = pg.escapeLiteral(`The rows of ${exported.table}, which ${this.#key} removed.`);
      const make = `CREATE TABLE ${sql} AS SELECT * FROM ${source.sql}; COMMENT ON TABLE ${sql} IS ${comment}`;
      return [{ text: make }, copyDigest(sql)];
    });
  }

  /** @throws CountersignError CONSTRAINT_VIOLATED when a copy does not hold the rows of the captured state */
  check(results: readonly QueryResult[]): void {
    for (const [at, { exported }] of this.#copies.entries()) {
      const copied = digestFrom(results[2 * at + 1]);
      if (same(copied, { rows: exported.rows, digest: exported.digest })) continue;
      throw new CountersignError(
        'CONSTRAINT_VIOLATED',
        `The copy of ${exported.table} does not hold its rows as they were captured. It was rolled back.`,
        {
          field: 'input.sql',
          expected: `a copy of ${exported.rows} rows with the digest ${exported.digest}`,
          fix: 'See which event trigger acts on new tables.',
        },
      );
    }
  }
}

/** Reads back the copies that an execution says it made: `{$exports: {big: {to, rows, digest}}}`, with null for one that is gone. */
export async function exportsAfter(
  execution: Execution | undefined,
  database: PostgresDatabase,
  signal: AbortSignal,
): Promise<State> {
  const exported = exportedBy(execution);
  if (exported.length === 0) return {};
  const sqls = exported.map(({ to }) => {
    const { schema = '', name } = parseName(to);
    return `${quote(schema)}.${quote(name)}`;
  });
  const [there] = await database.read(
    [
      {
        text: 'SELECT to_regclass(n) IS NOT NULL FROM unnest($1::text[]) WITH ORDINALITY AS u(n, at) ORDER BY at',
        values: [sqls],
      },
    ],
    signal,
  );
  const found = sqls.filter((_, at) => there?.rows[at]?.[0] === 't');
  const results =
    found.length === 0
      ? []
      : await database.read(
          found.map((sql) => copyDigest(sql)),
          signal,
        );
  const read = exported.map(({ table, to }, at): [string, Json] => {
    const result = results[found.indexOf(sqls[at] ?? '')];
    return [table, result === undefined ? null : { to, ...digestFrom(result) }];
  });
  return Object.fromEntries([[EXPORTS, Object.fromEntries(read)]]);
}

/** Checks that the copies hold what was removed. No check where no copy was to be made. */
export function verifyExports(pre: State, post: State): readonly Check[] {
  const due = [...digestedIn(pre)].filter(([, { exportTo }]) => exportTo !== undefined);
  if (due.length === 0) return [];
  const copies = (post[EXPORTS] ?? {}) as Readonly<Record<string, ReadCopy | null>>;
  const told: string[] = [];
  const problems = due.flatMap(([table, { rows, digest }]) => {
    const copy = Object.hasOwn(copies, table) ? copies[table] : undefined;
    if (copy === undefined || copy === null) return [`there is no copy of ${table}`];
    told.push(`${rows} rows of ${table} are in ${copy.to}`);
    if (copy.rows === rows && copy.digest === digest) return [];
    return [`the copy of ${table}, ${copy.to}, does not hold its ${rows} rows`];
  });
  return [problems.length === 0 ? { name: 'export', ok: true, detail: told.join('; ') } : check('export', problems)];
}

function exportedBy(execution: Execution | undefined): readonly ExportedTable[] {
  const result = (execution?.result ?? {}) as { readonly exports?: readonly ExportedTable[] };
  return result.exports ?? [];
}

function copyName({ relation, name }: Table, key: string): string {
  const part = relation.replaceAll(/\W/g, '_').slice(0, NAME_PART);
  return `${part}_${createHash('sha256').update(`${key}\n${name}`).digest('hex').slice(0, 16)}`;
}

function copyDigest(sql: string): Query {
  return { text: `SELECT ${DIGEST_LIST} FROM ${sql} t` };
}

function digestFrom(result: QueryResult | undefined): { readonly rows: number; readonly digest: string } {
  const [count, digest] = result?.rows[0] ?? [];
  return { rows: Number(count), digest: `md5:${digest}` };
}
