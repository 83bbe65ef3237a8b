/** Keys for the people whom recorded values are about: made when first needed, and erased for good. */
import { sql } from 'kysely';
import type { Json } from '../../action/json.js';
import type { Database } from '../database/database.js';

export interface SubjectKey {
  readonly generation: number;
  /** As whoever made it encrypted it. */
  readonly wrapped: Json;
}

export interface EraseRequest {
  readonly tenant: string;
  /** As the key is kept under. */
  readonly subject: string;
  readonly by: string;
  readonly reason: string;
}

/** Every method may throw CountersignError LEDGER_UNAVAILABLE (retryable). */
export class SubjectKeys {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The subject's key; of all who make one at once, one is kept. */
  async current(tenant: string, subject: string, make: () => Promise<Json>): Promise<SubjectKey> {
    const found = await this.#current(tenant, subject);
    if (found !== undefined) return found;
    const wrapped = JSON.stringify(await make());
    await this.#database.rows({
      name: 'make_subject_key',
      query: sql`
        insert into ${this.#table} (tenant, subject, generation, wrapped)
        select ${tenant}, ${subject}, coalesce(max(k.generation), 0) + 1, ${wrapped}::json
        from ${this.#table} as k where k.tenant = ${tenant} and k.subject = ${subject}
        on conflict do nothing`,
    });
    return (await this.#current(tenant, subject)) ?? this.current(tenant, subject, make);
  }

  /** Undefined where it was erased. */
  async at(tenant: string, subject: string, generation: number): Promise<SubjectKey | undefined> {
    const rows = await this.#database.rows({
      name: 'subject_key_at',
      query: sql<SubjectKey>`
        select generation, wrapped from ${this.#table}
        where tenant = ${tenant} and subject = ${subject} and generation = ${generation} and erased_at is null`,
    });
    return rows[0];
  }

  /** @returns whether there was a key */
  async erase({ tenant, subject, by, reason }: EraseRequest): Promise<boolean> {
    const rows = await this.#database.rows({
      name: 'erase_subject_key',
      query: sql<{ generation: number }>`
        update ${this.#table}
        set wrapped = null, erased_at = clock_timestamp(), erased_by = ${by}, reason = ${reason}
        where tenant = ${tenant} and subject = ${subject} and erased_at is null
        returning generation`,
    });
    return rows.length > 0;
  }

  async #current(tenant: string, subject: string): Promise<SubjectKey | undefined> {
    const rows = await this.#database.rows({
      name: 'current_subject_key',
      query: sql<SubjectKey>`
        select generation, wrapped from ${this.#table}
        where tenant = ${tenant} and subject = ${subject} and erased_at is null`,
    });
    return rows[0];
  }

  get #table() {
    return this.#database.table('subject_keys' as never);
  }
}
