/**
 * What any number of gateways share: API keys of agents, sessions of people, and logins that have begun. Of every secret there is only
 * its SHA-256, so that whoever reads these tables can be nobody by it.
 */
import { sql, type Kysely, type RawBuilder } from 'kysely';

const HASH = sql.lit('^[0-9a-f]{64}$');

export async function up(db: Kysely<unknown>, schema: string): Promise<void> {
  const name = (object: string): RawBuilder<unknown> => sql.id(schema, object);

  await sql`
    create table ${name('api_keys')} (
      id text primary key check (id ~ '^[a-z0-9]{16}$'),
      secret_hash text not null unique check (secret_hash ~ ${HASH}),
      tenant text not null check (char_length(tenant) between 1 and 63 and tenant <> '*'),
      agent text not null check (char_length(agent) between 1 and 63),
      roles text[] not null,
      scopes text[] not null check (cardinality(scopes) > 0),
      owner text,
      created_at timestamptz not null default clock_timestamp(),
      expires_at timestamptz not null,
      last_used_at timestamptz,
      revoked_at timestamptz
    )`.execute(db);
  await sql`create index api_keys_tenant on ${name('api_keys')} (tenant, created_at)`.execute(db);
  // Whoever has a key keeps what it stands for: another one is another key.
  await sql`
    create trigger final before update on ${name('api_keys')} for each row when (
      (old.revoked_at is not null and new.revoked_at is distinct from old.revoked_at)
      or new.expires_at > old.expires_at
      or row(new.id, new.secret_hash, new.tenant, new.agent, new.roles, new.scopes, new.owner, new.created_at)
        is distinct from row(old.id, old.secret_hash, old.tenant, old.agent, old.roles, old.scopes, old.owner, old.created_at)
    ) execute function ${name('refuse_change')}()`.execute(db);

  await sql`
    create table ${name('sessions')} (
      id_hash text primary key check (id_hash ~ ${HASH}),
      tenant text not null check (char_length(tenant) between 1 and 63 and tenant <> '*'),
      person json not null,
      jti text not null check (jti ~ '^[!-~]{1,64}$'),
      -- Id of the statement that will enrol the passkey that is being made: taken once.
      enrolment uuid,
      enrolment_until timestamptz,
      authenticated_at timestamptz not null default clock_timestamp(),
      last_seen_at timestamptz not null default clock_timestamp(),
      expires_at timestamptz not null,
      ended_at timestamptz,
      check (num_nulls(enrolment, enrolment_until) in (0, 2))
    ) with (fillfactor = 70)`.execute(db);
  await sql`create index sessions_expiry on ${name('sessions')} (expires_at)`.execute(db);
  await sql`
    create trigger final before update on ${name('sessions')} for each row when (
      (old.ended_at is not null and new.ended_at is distinct from old.ended_at)
      or row(new.id_hash, new.tenant, new.person::text, new.jti, new.authenticated_at)
        is distinct from row(old.id_hash, old.tenant, old.person::text, old.jti, old.authenticated_at)
    ) execute function ${name('refuse_change')}()`.execute(db);

  await sql`
    create table ${name('logins')} (
      state_hash text primary key check (state_hash ~ ${HASH}),
      -- Of the cookie of the browser that began it, and alone may end it.
      browser_hash text not null check (browser_hash ~ ${HASH}),
      nonce text not null,
      code_verifier text not null,
      return_to text not null check (return_to like '/%' and return_to not like '//%'),
      created_at timestamptz not null default clock_timestamp(),
      expires_at timestamptz not null
    )`.execute(db);
  await sql`create index logins_expiry on ${name('logins')} (expires_at)`.execute(db);
}
