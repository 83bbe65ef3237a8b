/** The options of the `postgres` tool, and what is checked of them. */
import type { ClientConfig } from 'pg';
import { CountersignError } from '../../action/errors.js';
import { displayName, parseName } from './catalog.js';
import type { RehearsalMode, RehearsalOptions } from './rehearsal-options.js';
import type { ExportOptions } from './exports.js';
import type { FrameOptions } from './sample.js';
import type { PostgresRadarOptions } from './radar/options.js';

/** Which database it is, what of it agents may reach, and how its changes are looked at. */
export interface PostgresOptions {
  /** The name of the tool in proposals. */
  readonly name: string;
  /** The environment of the database in policies: `production`, `staging` … */
  readonly environment: string;
  /** The URL of the database: `postgres://user:password@host:port/database`. Either this or `connection` is required. */
  readonly url?: string;
  /** The settings of node-postgres: host, port, user, password (also a function), database, ssl. */
  readonly connection?: ClientConfig;
  /** The schema of names without one. Default `public`. */
  readonly schema?: string;
  /** The only tables that the tool covers: `orders`, or `sales.orders` for another schema. Default: every table of the schema. */
  readonly tables?: readonly string[];
  /** The most rows that one action may change or return. Default 10,000. */
  readonly maxRows?: number;
  /** The longest time of one statement, and of one execution. Milliseconds, default 30,000. */
  readonly timeoutMs?: number;
  /** Tables, such as an audit log, that triggers and foreign keys may write in addition to the action's own. Default none. */
  readonly sideEffectTables?: readonly string[];
  /** Columns that triggers maintain, such as `updated_at`. They may change with any update. Default none. */
  readonly maintainedColumns?: readonly string[];
  /**
   * Columns, of any table, whose values people are not shown: in the inbox, on the command line, in messages and in the checks. History and
   * ledger hold them. Default none.
   */
  readonly secretColumns?: readonly string[];
  /**
   * When a change of rows is tried in a transaction that is rolled back, before it is decided on: `always`; `when-asked`: when the input says
   * `rehearse: true`, and for changes that only a rehearsal can preview (upserts, MERGE, WITH queries that write, cascades, changed keys,
   * tables without a key); `never`: then these changes are refused. Default `when-asked`.
   */
  readonly rehearse?: RehearsalMode;
  /** How it rehearses: with which role, and for how long. */
  readonly rehearsal?: RehearsalOptions;
  /**
   * Takes samples of other rows before and after an action, for the check `frame.sample`. This costs two short reads for each action.
   * Default: no sample.
   */
  readonly frame?: FrameOptions;
  /** Functions of the database that the operator declares free of effects, so raw SQL may call them: `full_name`, `tools.slug`. Default none. */
  readonly readOnlyFunctions?: readonly string[];
  /**
   * Extensions whose functions raw SQL may call where the extension declares all their overloads IMMUTABLE or STABLE: `pg_trgm`, `postgis`.
   * Not `tablefunc` and `xml2`, whose functions run queries that they are given as text. Default none.
   */
  readonly trustedExtensions?: readonly string[];
  /**
   * Where a TRUNCATE or DROP of a table with more than `maxRows` rows copies the rows, in its own transaction, before it removes them.
   * Default: they are not copied, and only their count and a digest are recorded.
   */
  readonly exports?: ExportOptions;
  /** Watches the covered tables for writes that no action made (docs/radar.md). Default: they are not watched. */
  readonly radar?: PostgresRadarOptions;
  /** The schema for the keys of effects. It is created when missing, and no action may touch it. Default `countersign_effects`. */
  readonly effectsSchema?: string;
  /** The most connections in the pool. Default 10. */
  readonly maxConnections?: number;
  /** How long the catalog (columns, triggers, functions) is cached. Milliseconds, default 5,000. */
  readonly catalogMaxAgeMs?: number;
  /** The task queue, when the steps of this tool must run on another worker. */
  readonly taskQueue?: string;
}

/** The tables that actions can name and triggers may write, as targets name them. Undefined where the tool covers a whole schema. */
export function coveredTables({
  tables,
  sideEffectTables = [],
  schema = 'public',
}: PostgresOptions): readonly string[] | undefined {
  return tables && [...tables, ...sideEffectTables].map((name) => displayName(parseName(name), schema).toLowerCase());
}

export function clientOf({ name, url, connection }: PostgresOptions): ClientConfig {
  if ((url === undefined) === (connection === undefined)) {
    throw new CountersignError('CONFIG_INVALID', `The tool ${name} needs the address of its database.`, {
      field: 'url',
      expected: 'either url or connection',
      fix: 'Give one of the two.',
    });
  }
  if (url === undefined) return connection ?? {};
  // The error of the URL parser would quote the URL with its password.
  if (!URL.canParse(url) || !/^postgres(ql)?:$/.test(new URL(url).protocol)) {
    throw new CountersignError(
      'CONFIG_INVALID',
      `The address of the tool ${name}'s database is not a URL of PostgreSQL.`,
      {
        field: 'url',
        expected: 'postgres://user:password@host:port/database',
        fix: 'Correct the address; special characters in a password are percent-encoded.',
      },
    );
  }
  return { connectionString: url };
}

/**
 * Checks that no action can reach the tool's own schemas: whoever can write to the effects can forge that one happened, and to the exports,
 * that there is a copy.
 */
export function checkSchemas(
  { name, tables = [], exports }: PostgresOptions,
  schema: string,
  effectsSchema: string,
): void {
  const own = { effectsSchema, ...(exports === undefined ? {} : { 'exports.schema': exports.schema }) };
  for (const [field, at] of Object.entries(own)) {
    if (schema !== at && !tables.some((table) => table.startsWith(`${at}.`))) continue;
    throw new CountersignError('CONFIG_INVALID', `The tool ${name} could reach its own records in ${at}.`, {
      field,
      expected: 'a schema that neither schema nor tables name',
      fix: 'Use a schema of its own.',
    });
  }
}
