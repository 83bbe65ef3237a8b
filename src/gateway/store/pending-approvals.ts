/** How many actions wait for people, over all tenants: a figure for the operator. */
import { sql } from 'kysely';
import type { Database } from '../../ledger/database.js';

/** Counting more would only take longer. */
const MOST = 100_000;

export class PendingApprovals {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** @throws CountersignError LEDGER_UNAVAILABLE */
  async count(): Promise<number> {
    const [row] = await this.#database.rows({
      name: 'gateway_pending_approvals',
      query: sql<{ count: number }>`
        select count(*)::int as count from (
          select from ${this.#database.table('asks')} where closed_at is null limit ${sql.lit(MOST)}
        ) as waiting`,
    });
    return row?.count ?? 0;
  }
}
