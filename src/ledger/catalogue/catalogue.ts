/** What the workers of a task queue can do, as they published it when they started: gateways, which have no tools, offer it to MCP clients. */
import { sql } from 'kysely';
import type { CatalogueTool } from '../../action/catalogue.js';
import { canonical } from '../../action/json.js';
import type { Database } from '../database/database.js';

/** Every method may throw CountersignError LEDGER_UNAVAILABLE (retryable). */
export class Catalogue {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Replaces what the workers of the task queue published before. */
  async publish(taskQueue: string, tools: readonly CatalogueTool[]): Promise<void> {
    const text = canonical(tools);
    await this.#database.ask((kysely) =>
      kysely
        .insertInto('catalogues')
        .values({ task_queue: taskQueue, tools: text })
        .onConflict((conflict) => conflict.column('task_queue').doUpdateSet({ tools: text }))
        .execute(),
    );
  }

  /** Another text whenever what is published has changed. */
  async fingerprint(taskQueue: string): Promise<string> {
    const row = await this.#database.ask((kysely) =>
      kysely
        .selectFrom('catalogues')
        .select(sql<string>`md5(tools::text)`.as('fingerprint'))
        .where('task_queue', '=', taskQueue)
        .executeTakeFirst(),
    );
    return row?.fingerprint ?? '';
  }

  /** Empty until a worker has started. */
  async tools(taskQueue: string): Promise<readonly CatalogueTool[]> {
    const row = await this.#database.ask((kysely) =>
      kysely.selectFrom('catalogues').select('tools').where('task_queue', '=', taskQueue).executeTakeFirst(),
    );
    return row?.tools ?? [];
  }
}
