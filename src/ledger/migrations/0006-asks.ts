/**
 * What people are asked and what they said, how they were told of it, and what the archive finds actions by. None of it is authority:
 * that is in what is signed, and on the receipts.
 */
import { sql, type Kysely, type RawBuilder } from 'kysely';

type Name = (object: string) => RawBuilder<unknown>;

const DIGEST = sql.lit('^sha256:[0-9a-f]{64}$');

export async function up(db: Kysely<unknown>, schema: string): Promise<void> {
  const name: Name = (object) => sql.id(schema, object);
  await createAsks(db, name);
  await createDecisions(db, name);
  await createDeliveries(db, name);
  await describeActions(db, name);
}

async function createAsks(db: Kysely<unknown>, name: Name): Promise<void> {
  // No foreign key to the action: an ask may be written a moment before it is admitted, and is on no list until then.
  await sql`
    create table ${name('asks')} (
      tenant text not null check (char_length(tenant) between 1 and 63 and tenant <> '*'),
      action_id text not null check (char_length(action_id) between 1 and 128),
      shown json not null,
      shown_digest text not null check (shown_digest ~ ${DIGEST}),
      decision json not null,
      policy_digest text not null,
      requirements json not null,
      environment text not null,
      tool text not null,
      operation text not null,
      action_type text not null,
      agent text not null,
      via text[] not null,
      -- Who may decide, and from how many seconds after it was first asked.
      roles text[] not null,
      role_after integer[] not null check (cardinality(role_after) = cardinality(roles)),
      summary text not null,
      reason text not null,
      -- What counted when it was asked, and did not suffice. Of decisions from before, nothing else counts.
      given json not null,
      revises text,
      first_asked_at timestamptz not null,
      asked_at timestamptz not null,
      expires_at timestamptz not null,
      closed_at timestamptz,
      primary key (tenant, action_id)
    ) with (fillfactor = 70)`.execute(db);
  await sql`
    create index asks_open on ${name('asks')} (tenant, expires_at, action_id) where closed_at is null`.execute(db);
  await sql`create index asks_revises on ${name('asks')} (tenant, revises) where revises is not null`.execute(db);

  // What tells whether a list is still as it was. Several rows, so that those who change it at once rarely wait for one another.
  await sql`
    create table ${name('ask_changes')} (
      tenant text not null,
      lane smallint not null,
      version bigint not null,
      primary key (tenant, lane)
    ) with (fillfactor = 20)`.execute(db);
}

async function createDecisions(db: Kysely<unknown>, name: Name): Promise<void> {
  await sql`
    create table ${name('decisions')} (
      tenant text not null check (char_length(tenant) between 1 and 63 and tenant <> '*'),
      -- Of the signed decision.
      digest text not null check (digest ~ ${DIGEST}),
      action_id text not null,
      shown_digest text not null,
      -- Without regard to case.
      person text not null,
      verdict text not null check (verdict in ('approve', 'deny', 'request_changes')),
      record json not null,
      -- Null where nothing had been asked.
      waited_seconds double precision check (waited_seconds >= 0),
      yeses_before integer not null check (yeses_before >= 0),
      hurried boolean not null,
      refused boolean not null,
      decided_at timestamptz not null,
      primary key (tenant, digest)
    )`.execute(db);
  await sql`create index decisions_of_action on ${name('decisions')} (tenant, action_id)`.execute(db);
  await sql`create index decisions_in_time on ${name('decisions')} (tenant, decided_at)`.execute(db);
  await sql`
    create index decisions_yes on ${name('decisions')} (tenant, person, decided_at)
    where verdict = 'approve' and not refused`.execute(db);
  await sql`
    create trigger keep before update or delete or truncate on ${name('decisions')}
    for each statement execute function ${name('refuse_change')}()`.execute(db);
}

async function createDeliveries(db: Kysely<unknown>, name: Name): Promise<void> {
  await sql`
    create table ${name('deliveries')} (
      tenant text not null check (char_length(tenant) between 1 and 63 and tenant <> '*'),
      delivery_id text not null check (char_length(delivery_id) between 1 and 255),
      action_id text not null,
      kind text not null check (kind in ('asked', 'reminded', 'escalated', 'decided', 'ended')),
      channel text not null check (channel <> ''),
      attempts integer not null check (attempts >= 1),
      status text not null check (status in ('delivered', 'failed')),
      detail text not null,
      at timestamptz not null,
      primary key (tenant, delivery_id)
    ) with (fillfactor = 80)`.execute(db);
  await sql`create index deliveries_of_action on ${name('deliveries')} (tenant, action_id)`.execute(db);
  await sql`
    create trigger keep before delete or truncate on ${name('deliveries')}
    for each statement execute function ${name('refuse_change')}()`.execute(db);
  await sql`
    create trigger final before update on ${name('deliveries')} for each row when (
      old.status = 'delivered'
      or row(new.tenant, new.delivery_id, new.action_id, new.kind, new.channel)
        <> row(old.tenant, old.delivery_id, old.action_id, old.kind, old.channel)
    ) execute function ${name('refuse_change')}()`.execute(db);
}

/** What the archive finds and counts actions by, copied from the outcome when it is recorded: reading it there would parse every outcome. */
async function describeActions(db: Kysely<unknown>, name: Name): Promise<void> {
  await sql`
    alter table ${name('actions')}
      add column effect text,
      add column policies text[],
      add column code text,
      add column reason text,
      add column summary text,
      add column via text[]`.execute(db);

  // A text with \u0000 in it is JSON that Postgres cannot parse: such an outcome is found by less.
  await sql`
    create function ${name('describe_outcome')}(outcome json, out effect text, out policies text[], out code text, out reason text,
      out summary text, out via text[]) language plpgsql as $$
    begin
      effect := outcome #>> '{decision,effect}';
      policies := case when effect is not null then
        array(select json_array_elements_text(coalesce(outcome #> '{decision,policies}', '[]')))
      end;
      code := outcome #>> '{error,code}';
      reason := left(outcome ->> 'reason', 1000);
      summary := left(outcome #>> '{facts,preview,summary}', 1000);
      via := case when outcome #> '{facts,agent,via}' is not null then
        array(select json_array_elements_text(outcome #> '{facts,agent,via}'))
      end;
    exception when untranslatable_character or invalid_text_representation then
      effect := null; policies := null; code := null; reason := null; summary := null; via := null;
    end $$`.execute(db);
  await sql`
    update ${name('actions')} as a
    set effect = d.effect, policies = d.policies, code = d.code, reason = d.reason, summary = d.summary, via = d.via
    from ${name('actions')} as o cross join lateral ${name('describe_outcome')}(o.outcome) as d
    where o.tenant = a.tenant and o.action_id = a.action_id and o.outcome is not null`.execute(db);
  await sql`drop function ${name('describe_outcome')}(json)`.execute(db);
}
