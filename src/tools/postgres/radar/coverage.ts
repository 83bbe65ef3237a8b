/** Which tables are watched, and whether the database publishes what is done to them and who does it. */
import pg from 'pg';
import type { PostgresSession } from '../connection.js';
import { sqlState } from '../failure.js';
import { runFixed } from './fixed-session.js';
import { locking } from './locking.js';
import { mayNot } from './slot.js';
import { TRIGGER_SOURCE } from './trigger-source.js';
import type { NamedTable } from './catalog-state.js';
import { ensureTriggers } from './triggers.js';
import type { CoveredTable, WatchedTables } from './watched.js';

export interface Coverage {
  /** `public.orders`. */
  readonly watched: readonly string[];
  /** Each with why and what to do. */
  readonly unseen: readonly string[];
  /** WatchedTables before, still there, and no longer published when it was looked at: somebody took them out. */
  readonly withdrawn: readonly string[];
  /** Every table that is to be watched and is there. */
  readonly tables: readonly NamedTable[];
}

/**
 * $1 schemas, $2 names (null: all of the schema), $3 publications, $4 the source of the trigger's function. A table without an identity that is
 * published for updates could no longer be updated by anybody, so what is published goes by that: by the rules of the server, to which a deferrable key is none,
 * nor an index that was dropped.
 */
const TABLES_SQL = `
WITH asked AS (
  SELECT DISTINCT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, c.relreplident FROM unnest($1::text[], $2::text[]) AS a (s, t)
  JOIN pg_namespace n ON n.nspname = a.s
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p') AND (c.relname = a.t OR (a.t IS NULL AND NOT (
    c.relispartition AND EXISTS (SELECT FROM pg_class r WHERE r.oid = pg_partition_root(c.oid) AND r.relnamespace = n.oid))))
), member AS (
  SELECT asked.oid AS root, t.relid AS oid, t.isleaf FROM asked CROSS JOIN LATERAL pg_partition_tree(asked.oid) t
  UNION SELECT asked.oid, asked.oid, asked.relkind = 'r' FROM asked
)
SELECT format('%s.%s', nspname, relname), asked.oid::text, format('%I.%I', nspname, relname), relpersistence = 'p',
  NOT EXISTS (SELECT FROM member m JOIN pg_class c ON c.oid = m.oid WHERE m.root = asked.oid AND m.isleaf AND c.relreplident <> 'f' AND NOT EXISTS (
    SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND i.indisunique AND i.indimmediate AND i.indpred IS NULL
      AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END)),
  (SELECT json_build_object('name', p.pubname, 'whole', r.prqual IS NULL AND r.prattrs IS NULL) FROM pg_publication_rel r
    JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = asked.oid AND p.pubname = ANY ($3::text[]) LIMIT 1)::text,
  to_json(ARRAY(SELECT format('%I.%I', n.nspname, c.relname) FROM member m JOIN pg_class c ON c.oid = m.oid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE m.root = asked.oid AND c.relkind IN ('r', 'p') AND NOT EXISTS (
      SELECT FROM pg_trigger g JOIN pg_proc f ON f.oid = g.tgfoid WHERE g.tgrelid = c.oid AND g.tgenabled = 'A' AND f.prosrc = $4)))::text
FROM asked ORDER BY 1`;

/** `publications`: for tables whose rows have an identity, and for the others, of which only inserts and truncates are seen. */
export interface Publications {
  readonly full: string;
  readonly inserts: string;
}

export function publicationsOf(slot: string): Publications {
  return { full: slot, inserts: `${slot}_inserts` };
}

/** Has the database publish what is to be watched. `before`: what was watched when it was looked at last. */
export async function ensureCoverage(
  session: PostgresSession,
  watched: WatchedTables,
  { slot, before }: { readonly slot: string; readonly before: readonly string[] },
  signal: AbortSignal,
): Promise<Coverage> {
  const publications = publicationsOf(slot);
  const missing = await ensurePublications(session, watched, publications, signal);
  const tables = await tablesOf(session, watched, publications, signal);
  const unseen = namedAndMissing(watched, tables);
  const published: string[] = [];
  for (const table of tables) {
    const { isPublished, problem } = await publish(session, watched, table, publications, signal);
    if (problem !== undefined) unseen.push(problem);
    if (isPublished) published.push(table.name);
  }
  if (watched.triggers) unseen.push(...(await ensureTriggers(session, watched, tables, signal)));
  const names = new Set(tables.map(({ name }) => name));
  const taken = new Set(tables.filter(({ publication }) => publication?.whole !== true).map(({ name }) => name));
  const withdrawn = missing ? before.filter((name) => names.has(name)) : before.filter((name) => taken.has(name));
  return { watched: published, unseen, withdrawn, tables };
}

/** @returns whether one of the publications was missing, or published less */
async function ensurePublications(
  session: PostgresSession,
  { effectsSchema, tool }: WatchedTables,
  { full, inserts }: Publications,
  signal: AbortSignal,
): Promise<boolean> {
  const [found] = await runFixed(
    session,
    [
      {
        text: `SELECT p.pubname FROM pg_publication p WHERE p.pubname = $1 AND pubinsert AND pubupdate AND pubdelete AND pubtruncate AND EXISTS (
            SELECT FROM pg_publication_rel r WHERE r.prpubid = p.oid AND r.prrelid = to_regclass($3))
          UNION ALL SELECT pubname FROM pg_publication WHERE pubname = $2 AND pubinsert AND pubtruncate`,
        values: [full, inserts, `${pg.escapeIdentifier(effectsSchema)}.effects`],
      },
    ],
    signal,
  );
  const there = new Set((found?.rows ?? []).map(([name]) => name));
  const via = 'publish_via_partition_root = true';
  const effects = `${pg.escapeIdentifier(effectsSchema)}.effects (key, status)`;
  const wanted = [
    {
      name: full,
      sql: `CREATE PUBLICATION ${full} FOR TABLE ${effects} WITH (publish = 'insert, update, delete, truncate', ${via})`,
    },
    { name: inserts, sql: `CREATE PUBLICATION ${inserts} WITH (publish = 'insert, truncate', ${via})` },
  ].filter(({ name }) => !there.has(name));
  for (const { name, sql } of wanted) {
    try {
      await locking(session, [`DROP PUBLICATION IF EXISTS ${name}`, sql], signal);
    } catch (error) {
      if (sqlState(error) === '42501') throw mayNot(tool, 'publish tables', `${sql};`, error);
      throw error;
    }
  }
  return wanted.length > 0;
}

/** What is to be watched and is there. */
export async function tablesOf(
  session: PostgresSession,
  { tables, schema, except }: WatchedTables,
  { full, inserts }: Publications,
  signal: AbortSignal,
): Promise<readonly CoveredTable[]> {
  const names = tables === undefined ? [{ schema, name: null }] : tables.map((name) => qualified(name, schema));
  const [result] = await runFixed(
    session,
    [
      {
        text: TABLES_SQL,
        values: [names.map((one) => one.schema), names.map(({ name }) => name), [full, inserts], TRIGGER_SOURCE],
      },
    ],
    signal,
  );
  return (result?.rows ?? [])
    .map(([name, oid, sql, persistent, identified, publication, silent]) => ({
      name: name ?? '',
      oid: oid ?? '',
      sql: sql ?? '',
      persistent: persistent === 't',
      identified: identified === 't',
      publication:
        publication === null ? undefined : (JSON.parse(publication ?? 'null') as CoveredTable['publication']),
      silent: JSON.parse(silent ?? '[]') as string[],
    }))
    .filter(({ name }) => tables !== undefined || !except.has(name));
}

/** `problem`: what of the table is not seen, and why. */
async function publish(
  session: PostgresSession,
  { tool }: WatchedTables,
  { name, sql, persistent, identified, publication }: CoveredTable,
  { full, inserts }: Publications,
  signal: AbortSignal,
): Promise<{ readonly isPublished: boolean; readonly problem?: string }> {
  if (!persistent) {
    const fix = `Make it logged: ALTER TABLE ${sql} SET LOGGED;`;
    return { isPublished: false, problem: `${name}: it is unlogged, so the log says nothing of it. ${fix}` };
  }
  const wanted = identified ? full : inserts;
  if (publication?.whole !== true || publication.name !== wanted) {
    const leave = publication === undefined ? [] : [`ALTER PUBLICATION ${publication.name} DROP TABLE ${sql}`];
    const enter = `ALTER PUBLICATION ${wanted} ADD TABLE ${sql}`;
    try {
      await locking(session, [...leave, enter], signal);
    } catch (error) {
      if (sqlState(error) === '42501') throw mayNot(tool, `publish ${name}`, `${enter};`, error);
      // It is gone, or somebody holds it for longer than may be waited for: the next look sees.
      if (!['42P01', '55P03', '42710'].includes(sqlState(error) ?? '')) throw error;
      return { isPublished: false, problem: `${name}: it could not be published yet. It is tried again.` };
    }
  }
  if (identified) return { isPublished: true };
  const fix = `Give it one, or run: ALTER TABLE ${sql} REPLICA IDENTITY FULL;`;
  const why = 'it has no primary key by which the log could name a row (one that is DEFERRABLE does not count)';
  return { isPublished: true, problem: `${name}: updates and deletes are not seen, because ${why}. ${fix}` };
}

function namedAndMissing({ tables = [], schema }: WatchedTables, found: readonly CoveredTable[]): string[] {
  const names = new Set(found.map(({ name }) => name));
  return tables
    .map((name) => qualified(name, schema))
    .map((one) => `${one.schema}.${one.name}`)
    .filter((name) => !names.has(name))
    .map((name) => `${name}: there is no such table.`);
}

/** Whether a table of this name is to be watched, were it there. */
export function isAsked({ tables, schema, except }: WatchedTables, name: string): boolean {
  if (tables === undefined) return name.startsWith(`${schema}.`) && !except.has(name);
  return tables.map((table) => qualified(table, schema)).some((one) => `${one.schema}.${one.name}` === name);
}

function qualified(name: string, schema: string): { readonly schema: string; readonly name: string } {
  const dot = name.indexOf('.');
  return dot === -1 ? { schema, name } : { schema: name.slice(0, dot), name: name.slice(dot + 1) };
}
