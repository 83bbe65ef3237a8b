/** What people made of actions, until it has begun. Recorded with the outcome of the action that ended for it: `SettleRequest.edit`. */
import { sql } from 'kysely';
import type { Json } from '../../action/json.js';
import type { Database } from '../database/database.js';

export interface DueEdit {
  readonly tenant: string;
  /** The action that was edited. */
  readonly actionId: string;
  /** How what is done instead is begun; as it was recorded. */
  readonly request: Json;
}

/** How many are looked at at once. */
const MOST = 100;

/** Every method may throw CountersignError LEDGER_UNAVAILABLE (retryable). */
export class Edits {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Those recorded at least `olderThanMs` ago, oldest first, at most 100. Their workflow has begun them, or was ended before it could. */
  async due(taskQueue: string, olderThanMs: number): Promise<readonly DueEdit[]> {
    const rows = await this.#database.rows({
      name: 'due_edits',
      query: sql<{ tenant: string; action_id: string; request: Json }>`
        select tenant, action_id, request from ${this.#database.table('edits')}
        where task_queue = ${taskQueue} and recorded_at <= statement_timestamp() - ${olderThanMs}::float8 * interval '1 millisecond'
        order by recorded_at limit ${sql.lit(MOST)}`,
    });
    return rows.map(({ tenant, action_id: actionId, request }) => ({ tenant, actionId, request }));
  }

  /** What the action was made into has begun, or never can: nothing of it is kept here any more. */
  async begun(tenant: string, actionId: string): Promise<void> {
    await this.#database.rows({
      name: 'begun_edit',
      query: sql`delete from ${this.#database.table('edits')} where tenant = ${tenant} and action_id = ${actionId}`,
    });
  }
}
