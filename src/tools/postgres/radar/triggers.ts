/** The triggers that say in the log who writes: the log itself knows no roles. */
import pg from 'pg';
import type { PostgresSession } from '../connection.js';
import { sqlState } from '../failure.js';
import type { CoveredTable, WatchedTables } from './watched.js';
import { locking } from './locking.js';
import { mayNot } from './slot.js';
import { TRIGGER_SOURCE } from './trigger-source.js';

const TRIGGER = 'countersign_radar';

function createFunction(name: string): string {
  return `CREATE OR REPLACE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql AS $radar$${TRIGGER_SOURCE}$radar$`;
}

/** ALWAYS: also for a session that plays the part of a replica. */
function createTrigger(table: string, called: string): string[] {
  return [
    `DROP TRIGGER IF EXISTS ${TRIGGER} ON ${table}`,
    `CREATE TRIGGER ${TRIGGER} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ${table} FOR EACH STATEMENT EXECUTE FUNCTION ${called}()`,
    `ALTER TABLE ${table} ENABLE ALWAYS TRIGGER ${TRIGGER}`,
  ];
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
  const attempt = async (statements: readonly string[], what: string): Promise<void> => {
    try {
      await locking(session, statements, signal);
    } catch (error) {
      if (sqlState(error) === '42501') throw mayNot(tool, what, `${statements.join('; ')};`, error);
      if (!['42P01', '55P03'].includes(sqlState(error) ?? '')) throw error;
      problems.push(`${what}: it has to wait for a lock, and is tried again. Until then nothing says who writes.`);
    }
  };
  await attempt([createFunction(called)], 'make the function that says who writes');
  for (const table of silent) await attempt(createTrigger(table, called), `make a trigger on ${table}`);
  return problems;
}
