/** Changes of definitions that never hold up those who write. */
import type { PostgresSession } from '../connection.js';

/** Milliseconds. */
const LOCK_MS = 1_000;

/** Runs statements in one transaction that waits for locks for a moment only. */
export async function locking(
  session: PostgresSession,
  statements: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const text = ['BEGIN', `SET LOCAL lock_timeout = ${LOCK_MS}`, ...statements, 'COMMIT'].join('; ');
  try {
    await session.run([{ text }], signal);
  } catch (error) {
    await session.run([{ text: 'ROLLBACK' }]).catch(() => {});
    throw error;
  }
}
