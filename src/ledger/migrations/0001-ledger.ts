/**
 * The first shape of the ledger: actions, grants, chains of receipts, freezes, policies, snapshots.
 *
 * What must hold is held by the database as far as it can: constraints make a chain of receipts gap-free and linked, triggers make
 * what is settled final. A superuser can switch both off; the receipts' signatures are there for that.
 */
import { sql, type Kysely, type RawBuilder } from 'kysely';

const DIGEST = sql.lit('^sha256:[0-9a-f]{64}$');

export async function up(db: Kysely<unknown>, schema: string): Promise<void> {
  const name = (object: string): RawBuilder<unknown> => sql.id(schema, object);

  await sql`
    create function ${name('refuse_change')}() returns trigger language plpgsql as $$
    begin
      raise exception 'the ledger refuses % of %', tg_op, tg_table_name using errcode = 'restrict_violation';
    end $$`.execute(db);

  await sql`
    create table ${name('receipts')} (
      tenant text not null check (char_length(tenant) between 1 and 63 and tenant <> '*'),
      seq bigint not null check (seq >= 1),
      hash text not null check (hash ~ ${DIGEST}),
      prev text,
      prev_seq bigint generated always as (seq - 1) stored,
      jws text not null,
      action_id text not null,
      at timestamptz not null default clock_timestamp(),
      primary key (tenant, seq),
      unique (tenant, seq, hash),
      check ((seq = 1) = (prev is null)),
      check (hash = 'sha256:' || encode(sha256(convert_to(jws, 'UTF8')), 'hex')),
      foreign key (tenant, prev_seq, prev) references ${name('receipts')} (tenant, seq, hash)
    )`.execute(db);

  // One row per tenant, updated with each receipt: room on its page keeps those updates out of the index.
  await sql`
    create table ${name('chains')} (
      tenant text primary key,
      seq bigint not null default 0,
      hash text,
      check ((seq = 0) = (hash is null)),
      foreign key (tenant, seq, hash) references ${name('receipts')} (tenant, seq, hash)
    ) with (fillfactor = 20)`.execute(db);

  await sql`
    create table ${name('actions')} (
      tenant text not null check (char_length(tenant) between 1 and 63 and tenant <> '*'),
      action_id text not null check (char_length(action_id) between 1 and 128),
      digest text not null check (digest ~ ${DIGEST}),
      agent text,
      tool text not null,
      environment text,
      uses integer not null default 0,
      status text check (status in ('success', 'mismatch', 'failed', 'denied', 'expired', 'cancelled', 'unknown')),
      outcome json,
      receipt_seq bigint,
      receipt_hash text,
      created_at timestamptz not null default clock_timestamp(),
      ended_at timestamptz,
      primary key (tenant, action_id),
      unique (tenant, receipt_seq),
      check (num_nulls(status, outcome, receipt_seq, receipt_hash, ended_at) in (0, 5)),
      foreign key (tenant, receipt_seq, receipt_hash) references ${name('receipts')} (tenant, seq, hash)
    ) with (fillfactor = 70)`.execute(db);

  await sql`
    create table ${name('grants')} (
      jti text primary key check (char_length(jti) between 1 and 128),
      tenant text not null,
      action_id text not null,
      agent text not null,
      tool text not null,
      issued_at timestamptz not null default clock_timestamp(),
      expires_at timestamptz not null,
      used_at timestamptz,
      used_by text,
      check (num_nulls(used_at, used_by) in (0, 2)),
      foreign key (tenant, action_id) references ${name('actions')} (tenant, action_id)
    ) with (fillfactor = 70)`.execute(db);

  await sql`
    create table ${name('freezes')} (
      id integer generated always as identity primary key,
      tenant text not null check (tenant <> ''),
      scope_kind text not null check (scope_kind in ('all', 'tenant', 'agent', 'tool', 'target')),
      scope_value text check (scope_value <> ''),
      reason text not null check (reason <> ''),
      frozen_by text not null check (frozen_by <> ''),
      frozen_at timestamptz not null default clock_timestamp(),
      lifted_at timestamptz,
      lifted_by text check (lifted_by <> ''),
      lift_reason text,
      check ((scope_kind = 'all') = (scope_value is null)),
      check (num_nulls(lifted_at, lifted_by) in (0, 2)),
      check (lift_reason is null or lifted_at is not null)
    )`.execute(db);
  await sql`create index freezes_active on ${name('freezes')} (tenant) where lifted_at is null`.execute(db);

  await sql`
    create table ${name('policies')} (
      digest text primary key check (digest ~ ${DIGEST}),
      files json not null,
      stored_at timestamptz not null default clock_timestamp()
    )`.execute(db);

  await sql`
    create table ${name('snapshots')} (
      tenant text not null,
      digest text not null check (digest ~ ${DIGEST}),
      body json not null,
      stored_at timestamptz not null default clock_timestamp(),
      primary key (tenant, digest)
    )`.execute(db);

  await guard(db, name);
}

/** The triggers. Where nothing is wrong they cost a comparison: only a refusal runs the function. */
async function guard(db: Kysely<unknown>, name: (object: string) => RawBuilder<unknown>): Promise<void> {
  const refuse = sql`execute function ${name('refuse_change')}()`;
  const keep = (table: string, operations: RawBuilder<unknown>): Promise<unknown> =>
    sql`create trigger keep before ${operations} on ${name(table)} for each statement ${refuse}`.execute(db);
  const final = (table: string, changed: RawBuilder<unknown>): Promise<unknown> =>
    sql`create trigger final before update on ${name(table)} for each row when (${changed}) ${refuse}`.execute(db);

  await keep('receipts', sql`update or delete or truncate`);
  await keep('policies', sql`update or delete or truncate`);
  // Snapshots hold what was read from real systems, and may have to be forgotten: they can be deleted, but not rewritten.
  await keep('snapshots', sql`update`);

  await keep('chains', sql`delete or truncate`);
  await final('chains', sql`new.tenant <> old.tenant or new.seq <> old.seq + 1`);

  // An action that could be forgotten could be done again.
  await keep('actions', sql`delete or truncate`);
  await final(
    'actions',
    sql`
      row(new.tenant, new.action_id, new.digest) <> row(old.tenant, old.action_id, old.digest)
      or new.uses < old.uses
      or (old.status is not null and (
        row(new.status, new.receipt_seq, new.receipt_hash, new.ended_at, new.uses)
          is distinct from row(old.status, old.receipt_seq, old.receipt_hash, old.ended_at, old.uses)
        or new.outcome::text is distinct from old.outcome::text))`,
  );

  // A grant may be deleted: it is unknown then, and refused.
  await final(
    'grants',
    sql`
      old.used_at is not null
      or row(new.jti, new.tenant, new.action_id, new.agent, new.tool, new.expires_at)
        is distinct from row(old.jti, old.tenant, old.action_id, old.agent, old.tool, old.expires_at)`,
  );

  await keep('freezes', sql`delete or truncate`);
  await final(
    'freezes',
    sql`
      old.lifted_at is not null
      or row(new.id, new.tenant, new.scope_kind, new.scope_value, new.reason, new.frozen_by, new.frozen_at)
        is distinct from row(old.id, old.tenant, old.scope_kind, old.scope_value, old.reason, old.frozen_by, old.frozen_at)`,
  );
}
