/** People's passkeys, and the counters that they were used with: what shows that a second copy of an authenticator exists. */
import { sql, type Kysely, type RawBuilder } from 'kysely';

const BASE64URL = sql.lit('^[A-Za-z0-9_-]+$');

export async function up(db: Kysely<unknown>, schema: string): Promise<void> {
  const name = (object: string): RawBuilder<unknown> => sql.id(schema, object);
  const refuse = sql`execute function ${name('refuse_change')}()`;

  await sql`
    create table ${name('passkeys')} (
      tenant text not null check (char_length(tenant) between 1 and 63 and tenant <> '*'),
      credential_id text not null check (char_length(credential_id) <= 1364 and credential_id ~ ${BASE64URL}),
      person text not null check (person <> ''),
      public_key text not null check (char_length(public_key) <= 1366 and public_key ~ ${BASE64URL}),
      counter bigint not null check (counter >= 0),
      transports text[] not null,
      statement text not null check (statement ~ '^sha256:[0-9a-f]{64}$'),
      enrolled_at timestamptz not null default clock_timestamp(),
      retired_at timestamptz,
      retired_by text,
      retire_reason text,
      primary key (tenant, credential_id),
      check ((retired_at is null) = (retired_by is null) and (retired_at is null) = (retire_reason is null))
    )`.execute(db);
  await sql`create index passkeys_of_person on ${name('passkeys')} (tenant, lower(person))`.execute(db);
  // A passkey may be deleted: it is unknown then, and refused.
  await sql`
    create trigger final before update on ${name('passkeys')} for each row when (
      old.retired_at is not null
      or row(new.tenant, new.credential_id, new.person, new.public_key, new.counter, new.transports, new.statement, new.enrolled_at)
        is distinct from
        row(old.tenant, old.credential_id, old.person, old.public_key, old.counter, old.transports, old.statement, old.enrolled_at)
    ) ${refuse}`.execute(db);

  await sql`
    create table ${name('passkey_uses')} (
      tenant text not null,
      credential_id text not null,
      counter bigint not null check (counter > 0),
      challenge text not null check (challenge <> ''),
      used_at timestamptz not null default clock_timestamp(),
      primary key (tenant, credential_id, counter),
      foreign key (tenant, credential_id) references ${name('passkeys')} (tenant, credential_id) on delete cascade
    )`.execute(db);
  await sql`
    create trigger final before update on ${name('passkey_uses')} for each row when (new is distinct from old) ${refuse}`.execute(
    db,
  );
}
