/** Nonces: what may be used once, by one taker, for good. */
import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { Database } from '../database/database.js';

export interface UseNonceRequest {
  readonly scope: string;
  readonly nonce: string;
  readonly expiresAt: Date;
  /** Names a taker that may come again, the same on each of its attempts. Default: every call is a taker of its own. */
  readonly by?: string;
}

export class Nonces {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Takes a nonce, for good: of all callers who ever use it, one gets true, and gets it again when it comes again. It is forgotten a day
   * after `expiresAt` at the earliest, and one that is over by the database's clock is never taken, so forgetting opens nothing.
   *
   * @throws CountersignError LEDGER_UNAVAILABLE (retryable)
   */
  async use({ scope, nonce, expiresAt, by = `call ${randomUUID()}` }: UseNonceRequest): Promise<boolean> {
    // The update changes nothing: it lets the taker who comes again, such as this call after a lost reply, know the nonce as its own.
    // Whoever comes with one that is over gets nothing, so that what is forgotten cannot be taken again.
    const rows = await this.#database.rows({
      name: 'use_nonce',
      query: sql<{ nonce: string }>`
        with forgotten as (
          delete from ${this.#database.table('nonces')} as n
          using (
            select scope, nonce from ${this.#database.table('nonces')}
            where expires_at < clock_timestamp() - interval '25 hours'
            limit 20
            for update skip locked
          ) as old
          where n.scope = old.scope and n.nonce = old.nonce
        )
        insert into ${this.#database.table('nonces')} as n (scope, nonce, taken_by, expires_at)
        select ${scope}, ${nonce}, ${by}, ${expiresAt}
        where ${expiresAt}::timestamptz > clock_timestamp()
        on conflict (scope, nonce) do update set taken_by = n.taken_by where n.taken_by = excluded.taken_by
        returning n.nonce`,
    });
    return rows.length === 1;
  }
}
