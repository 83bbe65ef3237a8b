/** Sessions in the ledger: one row each, known by the hash of what the cookie holds. The ledger's clock alone ends them. */
import { sql } from 'kysely';
import type { Auth } from '../../action/principal.js';
import type { Database } from '../../ledger/index.js';
import type { GatewayTables } from '../store/tables.js';

/** Who is logged in, as it was at the login. */
export interface SessionPerson {
  readonly id: string;
  readonly name: string;
  readonly tenant: string;
  readonly roles: readonly string[];
  readonly auth: Auth;
  /** The ID token, for the provider's logout. */
  readonly idToken?: string;
}

interface SessionRecord {
  readonly person: SessionPerson;
  readonly jti: string;
  readonly authenticatedAt: Date;
}

interface NewSession {
  readonly idHash: string;
  readonly person: SessionPerson;
  readonly jti: string;
  /** When the provider says that the person proved who they are. Absent: now. */
  readonly authenticatedAt?: Date | undefined;
  readonly maxSeconds: number;
  /** Hash of the session that the browser had before: it ends. */
  readonly replaces?: string | undefined;
}

/** Use is noted this often at most, so that reading a page is rarely a write. */
const NOTED_EVERY_SECONDS = 60;

/** How long ended sessions are kept, for whoever looks into what happened. */
const KEPT = '7 days';

export class SessionStore {
  readonly #database: Database<GatewayTables>;

  constructor(database: Database) {
    this.#database = database.withTables<GatewayTables>();
  }

  /**
   * Begins a session and ends the one before.
   *
   * @returns false, and nothing was begun, when the person's authority was revoked
   * @throws CountersignError LEDGER_UNAVAILABLE
   */
  async begin({ idHash, person, jti, authenticatedAt, maxSeconds, replaces }: NewSession): Promise<boolean> {
    const table = this.#database.table('sessions');
    const rows = await this.#database.rows({
      name: 'begin_session',
      query: sql<{ id_hash: string }>`
        with forgotten as (
          delete from ${table} as s
          using (
            select id_hash from ${table} where expires_at < clock_timestamp() - ${KEPT}::interval
            limit 20 for update skip locked
          ) as old
          where s.id_hash = old.id_hash
        ), replaced as (
          update ${table} set ended_at = clock_timestamp() where id_hash = ${replaces ?? ''} and ended_at is null
        )
        insert into ${table} as s (id_hash, tenant, person, jti, authenticated_at, expires_at)
        select ${idHash}, ${person.tenant}, ${JSON.stringify(person)}::json, ${jti},
          least(coalesce(${authenticatedAt ?? null}::timestamptz, clock_timestamp()), clock_timestamp()),
          clock_timestamp() + make_interval(secs => ${maxSeconds})
        where not exists (
          select 1 from ${this.#database.table('revocations')} where tenant = ${person.tenant} and jti = ${jti}
        )
        -- The same call again, after a lost reply.
        on conflict (id_hash) do update set last_seen_at = clock_timestamp()
        returning s.id_hash`,
    });
    return rows.length === 1;
  }

  /**
   * The session, unless it has ended, was idle for too long, or is of somebody whose authority was revoked.
   *
   * @throws CountersignError LEDGER_UNAVAILABLE
   */
  async find(
    idHash: string,
    { idleSeconds, touch }: { readonly idleSeconds: number; readonly touch: boolean },
  ): Promise<SessionRecord | undefined> {
    const table = this.#database.table('sessions');
    const notedEvery = Math.min(NOTED_EVERY_SECONDS, idleSeconds / 10);
    const rows = await this.#database.rows({
      name: 'find_session',
      query: sql<{ person: SessionPerson; jti: string; authenticated_at: Date }>`
        with live as (
          select id_hash, person, jti, authenticated_at, last_seen_at from ${table} as s
          where id_hash = ${idHash} and ended_at is null and expires_at > clock_timestamp()
            and last_seen_at > clock_timestamp() - make_interval(secs => ${idleSeconds})
            and not exists (
              select 1 from ${this.#database.table('revocations')} as r where r.tenant = s.tenant and r.jti = s.jti
            )
        ), noted as (
          update ${table} as s set last_seen_at = clock_timestamp() from live
          where s.id_hash = live.id_hash and ${touch}::boolean
            and live.last_seen_at < clock_timestamp() - make_interval(secs => ${notedEvery})
        )
        select person, jti, authenticated_at from live`,
    });
    const row = rows[0];
    return row === undefined
      ? undefined
      : { person: row.person, jti: row.jti, authenticatedAt: new Date(row.authenticated_at) };
  }

  /** @throws CountersignError LEDGER_UNAVAILABLE */
  async end(idHash: string): Promise<void> {
    await this.#database.rows({
      name: 'end_session',
      query: sql`
        update ${this.#database.table('sessions')} set ended_at = clock_timestamp()
        where id_hash = ${idHash} and ended_at is null`,
    });
  }

  /** Keeps the id of the signed command that will enrol the session's next passkey; an earlier one counts no more. */
  async beginEnrolment(idHash: string, statementId: string, seconds: number): Promise<void> {
    await this.#database.rows({
      name: 'begin_enrolment',
      query: sql`
        update ${this.#database.table('sessions')}
        set enrolment = ${statementId}::uuid, enrolment_until = clock_timestamp() + make_interval(secs => ${seconds})
        where id_hash = ${idHash} and ended_at is null`,
    });
  }

  /** Takes it, once. */
  async takeEnrolment(idHash: string): Promise<string | undefined> {
    const table = this.#database.table('sessions');
    const rows = await this.#database.rows({
      name: 'take_enrolment',
      query: sql<{ enrolment: string }>`
        update ${table} as s set enrolment = null, enrolment_until = null
        from (select id_hash, enrolment from ${table} where id_hash = ${idHash} for update) as begun
        where s.id_hash = begun.id_hash and s.ended_at is null and s.enrolment_until > clock_timestamp()
        returning begun.enrolment`,
    });
    return rows[0]?.enrolment;
  }
}
