/** What the ledger keeps under its digest: snapshots of captured state, and policy bundles. */
import { sql, type RawBuilder } from 'kysely';
import { CountersignError } from '../../action/errors.js';
import { canonical, digestText, type Digest, type Json } from '../../action/json.js';
import type { Database } from '../database/database.js';

/** Every method may throw CountersignError LEDGER_UNAVAILABLE (retryable). */
export class Content {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Keeps a captured state under its digest. Idempotent. @throws CountersignError INVALID_JSON when the digest is not the body's */
  async putSnapshot(tenant: string, digest: Digest, body: Json): Promise<void> {
    const text = canonical(body);
    if (digestText(text) !== digest) {
      throw new CountersignError('INVALID_JSON', 'The snapshot is not what its digest says.', {
        field: 'digest',
        expected: "the digest of the body's canonical text",
        fix: 'Digest the state that is stored.',
      });
    }
    await this.#put('put_snapshot', { tenant, digest, body: text }, sql`body::text <> ${text}`);
  }

  /** Keeps what a captured state was encrypted to under the digest of the state, which only whoever can decrypt it can compare. Idempotent. */
  async putSealedSnapshot(tenant: string, digest: Digest, sealed: Json): Promise<void> {
    const { key } = sealed as { readonly key?: Json };
    const row = { tenant, digest, body: canonical(sealed) };
    await this.#put('put_sealed_snapshot', row, sql`body ->> 'key' is distinct from ${key ?? null}::text`);
  }

  /** @param other whether what is there is of no use to whoever stores it now, such as under a key that was erased since */
  async #put(
    name: string,
    { tenant, digest, body }: { readonly tenant: string; readonly digest: Digest; readonly body: string },
    other: RawBuilder<unknown>,
  ): Promise<void> {
    const snapshots = this.#database.table('snapshots');
    await this.#database.rows({
      name,
      // Whoever stores it again needs it: it is not forgotten meanwhile.
      query: sql`
        with gone as (
          delete from ${snapshots} where tenant = ${tenant} and digest = ${digest} and ${other} returning 1
        )
        insert into ${snapshots} (tenant, digest, body)
        select ${tenant}, ${digest}, ${body}::json from (select count(*) from gone) as removed
        on conflict (tenant, digest) do update set stored_at = clock_timestamp()`,
    });
  }

  async getSnapshot(tenant: string, digest: Digest): Promise<Json | undefined> {
    const row = await this.#database.ask((kysely) =>
      kysely
        .selectFrom('snapshots')
        .select('body')
        .where('tenant', '=', tenant)
        .where('digest', '=', digest)
        .executeTakeFirst(),
    );
    return row?.body;
  }

  /** Keeps a policy bundle, file name to text, under its digest. Idempotent. @throws CountersignError POLICY_INVALID when other files are kept under it */
  async putPolicy(digest: Digest, files: Readonly<Record<string, string>>): Promise<void> {
    const text = canonical(files);
    const written = await this.#database.ask((kysely) =>
      kysely
        .insertInto('policies')
        .values({ digest, files: text })
        .onConflict((conflict) => conflict.doNothing())
        .returning('digest')
        .executeTakeFirst(),
    );
    if (written !== undefined) return;
    const kept = await this.getPolicy(digest);
    if (kept !== undefined && canonical(kept) === text) return;
    throw new CountersignError('POLICY_INVALID', `Other files are kept under the policy digest ${digest}.`, {
      field: 'digest',
      expected: 'the digest of these files',
      fix: 'Digest the files that are stored.',
    });
  }

  async getPolicy(digest: Digest): Promise<Readonly<Record<string, string>> | undefined> {
    const row = await this.#database.ask((kysely) =>
      kysely.selectFrom('policies').select('files').where('digest', '=', digest).executeTakeFirst(),
    );
    return row?.files;
  }
}
