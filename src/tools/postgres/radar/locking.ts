/** Changes of definitions that never hold up those who write. */
import pg from 'pg';
import type { PostgresSession } from '../connection.js';
import { FIXED_PATH } from './fixed-session.js';

/** Milliseconds. */
const LOCK_MS = 1_000;

/** Runs statements in one transaction that waits for locks for a moment only. */
export async function locking(
  session: PostgresSession,
  statements: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const text = ['BEGIN', FIXED_PATH, `SET LOCAL lock_timeout = ${LOCK_MS}`, ...statements, 'COMMIT'].join('; ');
  try {
    await session.run([{ text }], signal);
  } catch (error) {
    await session.run([{ text: 'ROLLBACK' }]).catch(() => {});
    throw error;
  }
}

/**
 * The same as statements that do nothing where the condition holds by then. Radars of one database do it one after another: none makes anew
 * what another has just made, which would look as if somebody had touched it.
 */
export function unless(condition: string, statements: readonly string[]): readonly string[] {
  // Names of tables are in them, and whoever makes a table names it: a quote of dollars could end in one.
  const steps = statements.map((statement) => `EXECUTE ${pg.escapeLiteral(statement)};`).join(' ');
  return [
    `SELECT pg_advisory_xact_lock(hashtextextended('countersign radar', 0))`,
    `DO ${pg.escapeLiteral(`BEGIN IF NOT (${condition}) THEN ${steps} END IF; END`)}`,
  ];
}
