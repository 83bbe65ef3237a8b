/** The `postgres` tool on another database: the same tables and rules, and none of its own address and roles. */
import pg from 'pg';
import { withoutUndefined } from '../../action/json.js';
import type { Elsewhere, Place } from '../elsewhere.js';
import type { Tool } from '../tool.js';
import { parseName } from './catalog.js';
import { DEFINITIONS_SQL } from './definitions-sql.js';
import { clientOf, type PostgresOptions } from './options.js';
import type { Parts } from './parts.js';

/** @param make makes the tool */
export function elsewhere(
  options: PostgresOptions,
  parts: Parts,
  make: (options: PostgresOptions) => Tool,
): Elsewhere<Tool> {
  return {
    needs: 'database',
    isOwn: (url) => sameDatabase(url, options),
    at: (place) => make(movedTo(place, options)),
    async definitions(signal) {
      const names = options.tables && [...options.tables, ...(options.sideEffectTables ?? [])].map(parseName);
      const schemas = names?.map(({ schema }) => schema ?? parts.schema) ?? [];
      const values = [
        parts.schema,
        String(names === undefined),
        schemas,
        names?.map(({ name }) => name) ?? [],
      ] as const;
      const [found] = await parts.database.read([{ text: DEFINITIONS_SQL, values: [...values] }], signal);
      // The statements name what is in the configured schema without it.
      const path = `SET search_path = ${pg.escapeIdentifier(parts.schema)}`;
      return [path, ...(found?.rows ?? []).flatMap(([statement]) => statement ?? [])];
    },
  };
}

/** Every option is named: one that is added later stays behind until somebody says that it leads nowhere. */
function movedTo({ url, alsoWritten = [] }: Place, options: PostgresOptions): PostgresOptions {
  const { rehearsal, sideEffectTables = [] } = options;
  const { connection: _role, ...limits } = rehearsal ?? {};
  return {
    name: options.name,
    environment: options.environment,
    url,
    ...withoutUndefined({
      schema: options.schema,
      tables: options.tables,
      maxRows: options.maxRows,
      timeoutMs: options.timeoutMs,
      maintainedColumns: options.maintainedColumns,
      secretColumns: options.secretColumns,
      rehearse: options.rehearse,
      frame: options.frame,
      readOnlyFunctions: options.readOnlyFunctions,
      trustedExtensions: options.trustedExtensions,
      exports: options.exports,
      effectsSchema: options.effectsSchema,
      maxConnections: options.maxConnections,
      catalogMaxAgeMs: options.catalogMaxAgeMs,
    }),
    ...(rehearsal === undefined ? {} : { rehearsal: limits }),
    sideEffectTables: [...sideEffectTables, ...alsoWritten],
  };
}

/** By what is written: host, port and name. */
function sameDatabase(url: string, options: PostgresOptions): boolean {
  const { connectionString, host, port, database } = clientOf(options);
  const own = connectionString === undefined ? { host, port, database } : placeOf(connectionString);
  const other = placeOf(url);
  return (
    (own.host ?? 'localhost') === other.host &&
    (own.port ?? 5432) === other.port &&
    (own.database === undefined || own.database === other.database)
  );
}

function placeOf(url: string): { host: string; port: number; database: string } {
  const { hostname, port, pathname } = new URL(url);
  return { host: hostname, port: Number(port || 5432), database: decodeURIComponent(pathname.slice(1)) };
}
