/** The records of effects, as they are read by others than the effect itself, and forgotten once the ledger no longer needs them. */
import pg from 'pg';
import type { EffectRecords } from '../tool.js';
import type { Effects } from './effects.js';
import type { PostgresDatabase, PostgresSession } from './connection.js';
import { asFailure, isConnectionLost, isMissingTable, sqlState } from './failure.js';

export function effectRecords(database: PostgresDatabase, effects: Effects, tool: string): EffectRecords {
  const { table } = effects;
  return {
    since: (since, { signal }) => effects.list(since, signal),
    async older({ olderThanMs, after = '', limit }, { signal }) {
      const text = `SELECT key FROM ${table} WHERE key > $1 AND at < now() - $2::float8 * interval '1 millisecond' ORDER BY key LIMIT ${limit}`;
      try {
        const [result] = await database.read([{ text, values: [after, String(olderThanMs)] }], signal);
        return (result?.rows ?? []).map(([key]) => String(key));
      } catch (error) {
        if (isMissingTable((error as Error).cause ?? error)) return [];
        throw error;
      }
    },
    async forget(keys, { signal }) {
      if (keys.length === 0) return 0;
      const named = keys.map((key) => pg.escapeLiteral(key)).join(', ');
      const session = await database.session();
      try {
        const [result] = await session.run(
          [
            {
              text: `WITH gone AS (DELETE FROM ${table} WHERE key IN (${named}) RETURNING key) SELECT count(*) FROM gone`,
            },
          ],
          signal,
        );
        session.release();
        return Number(result?.rows[0]?.[0]);
      } catch (error) {
        release(session, error);
        // The role needs no more than to read and add records.
        if (sqlState(error) === '42501') return undefined;
        throw asFailure(error, { tool, phase: 'writing' });
      }
    },
  };
}

function release(session: PostgresSession, error: unknown): void {
  session.release(isConnectionLost(error));
}
