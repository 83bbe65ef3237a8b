/** People's passkeys: enrolled by their own signed statement, retired for good, and watched for copies. */
import { sql, type Selectable } from 'kysely';
import { CountersignError } from '../../action/errors.js';
import { passkeyNotFound } from '../../action/errors-not-found.js';
import { assertJson, type Digest } from '../../action/json.js';
import type { StoredPasskey } from '../../action/passkey.js';
import type { Database } from '../database/database.js';
import type { LedgerTables } from '../database/tables.js';

/** A person's passkeys in use at once. */
const MOST = 20;

/**
 * Decisions that one authenticator signed in a row may be verified in another order, by workers that know nothing of each other: a
 * counter below one that is younger than this is no sign of a copy.
 */
const OUT_OF_ORDER = '10 minutes';

export interface AddPasskey {
  readonly tenant: string;
  readonly person: string;
  readonly credentialId: string;
  readonly publicKey: string;
  readonly counter: number;
  readonly transports: readonly string[];
  /** Digest of the person's signed statement that enrols it. */
  readonly statement: Digest;
}

export interface RetirePasskey {
  readonly tenant: string;
  readonly credentialId: string;
  readonly by: string;
  readonly reason: string;
}

export class Passkeys {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Idempotent. A passkey that was retired cannot come back.
   *
   * @throws CountersignError PASSKEY_INVALID when it was enrolled before, or the person has 20
   */
  async add(request: AddPasskey): Promise<StoredPasskey> {
    const { tenant, person, credentialId, publicKey, counter, transports, statement } = request;
    assertJson({ person, transports }, 'passkey');
    const row = await this.#database.ask(async (kysely) => {
      const made = await sql<PasskeyRow>`
        insert into ${this.#database.table('passkeys')} (tenant, credential_id, person, public_key, counter, transports, statement)
        select ${tenant}, ${credentialId}, ${person}, ${publicKey}, ${counter}, ${[...transports]}::text[], ${statement}
        where (
          select count(*) from ${this.#database.table('passkeys')}
          where tenant = ${tenant} and lower(person) = lower(${person}) and retired_at is null
        ) < ${MOST}
        on conflict do nothing
        returning *`.execute(kysely);
      return made.rows[0];
    });
    if (row !== undefined) return toPasskey(row);
    const kept = await this.#row(tenant, credentialId);
    if (kept?.statement === statement && kept.public_key === publicKey) return toPasskey(kept);
    if (kept !== undefined) {
      throw new CountersignError('PASSKEY_INVALID', 'The passkey was enrolled before.', {
        field: 'passkey',
        expected: 'a passkey that was never enrolled here',
        fix: 'Make a new one.',
      });
    }
    throw new CountersignError('PASSKEY_INVALID', `${person} has ${MOST} passkeys already.`, {
      field: 'passkey',
      expected: `at most ${MOST} in use`,
      fix: 'Retire one that is not used any more.',
    });
  }

  /** From the next decision on it is good for nothing. Idempotent. @throws CountersignError NOT_FOUND, INVALID_TEXT */
  async retire({ tenant, credentialId, by, reason }: RetirePasskey): Promise<StoredPasskey> {
    assertJson({ by, reason }, 'retire');
    await this.#database.ask((kysely) =>
      kysely
        .updateTable('passkeys')
        .set({ retired_at: sql`clock_timestamp()`, retired_by: by, retire_reason: reason })
        .where('tenant', '=', tenant)
        .where('credential_id', '=', credentialId)
        .where('retired_at', 'is', null)
        .execute(),
    );
    const passkey = await this.find(tenant, credentialId);
    if (passkey !== undefined) return passkey;
    throw passkeyNotFound('credentialId');
  }

  /** Those in use, the oldest first. The spelling of the person's id counts in letters, not in case. */
  async list(tenant: string, person: string): Promise<readonly StoredPasskey[]> {
    const rows = await this.#database.ask((kysely) =>
      kysely
        .selectFrom('passkeys')
        .selectAll()
        .where('tenant', '=', tenant)
        .where(sql<string>`lower(person)`, '=', person.toLowerCase())
        .where('retired_at', 'is', null)
        .orderBy('enrolled_at')
        .orderBy('credential_id')
        .execute(),
    );
    return rows.map(toPasskey);
  }

  /** Also one that was retired. */
  async find(tenant: string, credentialId: string): Promise<StoredPasskey | undefined> {
    const row = await this.#row(tenant, credentialId);
    return row === undefined ? undefined : toPasskey(row);
  }

  /**
   * Compares the counter of a verified assertion with what the passkey was used with, and keeps it (WebAuthn, 6.1.1). Asking again about
   * the same challenge and counter gives the same answer, whatever came since. An authenticator that does not count always says 0.
   *
   * @returns `cloned` when the counter was used for another challenge, or is not above what was used more than ten minutes ago or at
   *   enrolment; also when there is no such passkey
   */
  async used(use: {
    readonly tenant: string;
    readonly credentialId: string;
    readonly challenge: string;
    readonly counter: number;
  }): Promise<'ok' | 'cloned'> {
    const { tenant, credentialId, counter } = use;
    const rows = counter === 0 ? await this.#uncounted(tenant, credentialId) : await this.#counted(use);
    return rows.length === 1 ? 'ok' : 'cloned';
  }

  #uncounted(tenant: string, credentialId: string): Promise<readonly unknown[]> {
    return this.#database.rows({
      name: 'passkey_uncounted',
      query: sql`
        select 1 from ${this.#database.table('passkeys')} as p
        where tenant = ${tenant} and credential_id = ${credentialId} and counter = 0
          and not exists (
            select from ${this.#database.table('passkey_uses')} as u
            where u.tenant = p.tenant and u.credential_id = p.credential_id
          )`,
    });
  }

  #counted({ tenant, credentialId, challenge, counter }: Parameters<Passkeys['used']>[0]): Promise<readonly unknown[]> {
    const uses = this.#database.table('passkey_uses');
    // The update changes nothing: it lets the same assertion, verified again or by two workers at once, know its use as its own.
    return this.#database.rows({
      name: 'passkey_counted',
      query: sql`
        insert into ${uses} as u (tenant, credential_id, counter, challenge)
        select p.tenant, p.credential_id, ${counter}::bigint, ${challenge}
        from ${this.#database.table('passkeys')} as p
        where p.tenant = ${tenant} and p.credential_id = ${credentialId}
          and (
            (${counter}::bigint > p.counter and ${counter}::bigint > coalesce((
              select max(s.counter) from ${uses} as s
              where s.tenant = p.tenant and s.credential_id = p.credential_id
                and s.used_at < clock_timestamp() - ${sql.lit(OUT_OF_ORDER)}::interval
            ), 0))
            or exists (
              select from ${uses} as s
              where s.tenant = p.tenant and s.credential_id = p.credential_id and s.counter = ${counter}::bigint
            )
          )
        on conflict (tenant, credential_id, counter) do update set challenge = u.challenge where u.challenge = excluded.challenge
        returning 1`,
    });
  }

  #row(tenant: string, credentialId: string): Promise<PasskeyRow | undefined> {
    return this.#database.ask((kysely) =>
      kysely
        .selectFrom('passkeys')
        .selectAll()
        .where('tenant', '=', tenant)
        .where('credential_id', '=', credentialId)
        .executeTakeFirst(),
    );
  }
}

type PasskeyRow = Selectable<LedgerTables['passkeys']>;

function toPasskey(row: PasskeyRow): StoredPasskey {
  const { retired_at: at, retired_by: by, retire_reason: reason } = row;
  return {
    tenant: row.tenant,
    person: row.person,
    credentialId: row.credential_id,
    publicKey: row.public_key,
    counter: Number(row.counter),
    transports: row.transports,
    enrolledAt: row.enrolled_at.toISOString(),
    ...(at === null || by === null || reason === null ? {} : { retired: { at: at.toISOString(), by, reason } }),
  };
}
