/** The triggers that say in the log who writes: the log itself knows no roles. */
import pg from 'pg';
import type { PostgresSession } from '../connection.js';
import { sqlState } from '../failure.js';
import type { CoveredTable, WatchedTables } from './watched.js';
import { locking, unless } from './locking.js';
import { mayNot } from './slot.js';
import { IS_RADAR_TRIGGER, RADAR_TRIGGER, TRIGGER_SOURCE } from './trigger-source.js';

/** With the rights of its owner, so that writing to the log can be taken from everybody else. */
function createFunction(name: string): string {
  return `CREATE OR REPLACE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $radar$${TRIGGER_SOURCE}$radar$`;
}

function hasFunction(name: string): string {
  return `EXISTS (SELECT FROM pg_proc f WHERE f.oid = to_regprocedure(${pg.escapeLiteral(`${name}()`)}) AND f.prosecdef AND f.prosrc = $radar$${TRIGGER_SOURCE}$radar$)`;
}

/** ALWAYS: also for a session that plays the part of a replica. */
function createTrigger(table: string, called: string): string[] {
  return [
    `DROP TRIGGER IF EXISTS ${RADAR_TRIGGER} ON ${table}`,
    `CREATE TRIGGER ${RADAR_TRIGGER} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ${table} FOR EACH STATEMENT EXECUTE FUNCTION ${called}()`,
    `ALTER TABLE ${table} ENABLE ALWAYS TRIGGER ${RADAR_TRIGGER}`,
  ];
}

function hasTrigger(table: string): string {
  return `EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = ${pg.escapeLiteral(table)}::regclass AND g.tgenabled = 'A' AND ${IS_RADAR_TRIGGER})`;
}

/** @returns the tables that have no trigger yet, and why */
export async function ensureTriggers(
  session: PostgresSession,
  { effectsSchema, tool }: WatchedTables,
  tables: readonly CoveredTable[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const silent = tables.flatMap((table) => (table.persistent ? table.silent : []));
  if (silent.length === 0) return [];
  const called = `${pg.escapeIdentifier(effectsSchema)}.note_writer`;
  const problems: string[] = [];
  const attempt = async (has: string, statements: readonly string[], what: string): Promise<void> => {
    try {
      await locking(session, unless(has, statements), signal);
    } catch (error) {
      if (sqlState(error) === '42501') throw mayNot(tool, what, `${statements.join('; ')};`, error);
      if (!['42P01', '55P03'].includes(sqlState(error) ?? '')) throw error;
      problems.push(`${what}: it has to wait for a lock, and is tried again. Until then nothing says who writes.`);
    }
  };
  await attempt(hasFunction(called), [createFunction(called)], 'make the function that says who writes');
  for (const table of silent)
    await attempt(hasTrigger(table), createTrigger(table, called), `make a trigger on ${table}`);
  return problems;
}
