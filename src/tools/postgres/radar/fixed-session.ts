/** A session in which names mean what the server means by them, whatever functions somebody else has made. */
import type { PostgresSession, Query, QueryResult } from '../connection.js';

/**
 * Functions and tables are those of the server. In a schema where others may make functions, one that fits the arguments better would be called
 * instead, with the rights of the radar's role.
 */
export const FIXED_PATH = 'SET LOCAL search_path = pg_catalog, pg_temp';

/**
 * Runs the queries in one transaction, and one round trip.
 *
 * @param queries each one statement, without transactions of its own
 */
export async function runFixed(
  session: PostgresSession,
  queries: readonly Query[],
  signal: AbortSignal,
): Promise<readonly QueryResult[]> {
  // After an error, the COMMIT that is sent along rolls back.
  const results = await session.run([{ text: `BEGIN; ${FIXED_PATH}` }, ...queries, { text: 'COMMIT' }], signal);
  return results.slice(1, -1);
}
