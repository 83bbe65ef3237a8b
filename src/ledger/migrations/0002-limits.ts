/**
 * Limits: counters, the holds that actions have on them, nonces, revocations; and the one way in which an outcome may change, from
 * `unknown` to what a person found out. The functions that count are in the files beside this one.
 */
import { sql, type Kysely } from 'kysely';
import { createHolding } from './0002-limit-holds.js';
import { createReading, type Name } from './0002-limit-reading.js';

export async function up(db: Kysely<unknown>, schema: string): Promise<void> {
  const name: Name = (object) => sql.id(schema, object);
  await createLimits(db, name);
  await createReading(db, name);
  await createHolding(db, name);
  await createNoncesAndRevocations(db, name);
  await letUnknownBeResolved(db, name);

  // What is open is found without a look at what has ended. Each of these serves its own queries and can be mistaken for no other
  // index, also while the tables are empty and all look alike to the planner: a plan made then may be used for long.
  await sql`create index actions_open on ${name('actions')} (created_at, tenant, action_id) where status is null`.execute(
    db,
  );
  await sql`alter table ${name('actions')} drop constraint actions_tenant_receipt_seq_key`.execute(db);
  await sql`
    create unique index actions_ended on ${name('actions')} (tenant, receipt_seq) where receipt_seq is not null`.execute(
    db,
  );
  await sql`create index grants_of_action on ${name('grants')} (tenant, action_id)`.execute(db);
}

async function createLimits(db: Kysely<unknown>, name: Name): Promise<void> {
  const kinds = sql.raw(`('budget', 'count', 'rate', 'concurrency', 'breaker')`);

  // All that a decision needs of a limit is in one row, so that its cost does not grow with the actions that were counted.
  // Times are microseconds since 1970. Room on the pages keeps the updates out of the index.
  await sql`
    create table ${name('limit_counters')} (
      tenant text not null,
      "limit" text not null,
      key text not null,
      kind text not null check (kind in ${kinds}),
      -- What is in the window (budget, count: sums; breaker: bad results), and what is reserved (breaker: probes on their way).
      used numeric not null default 0 check (used >= 0),
      held numeric not null default 0 check (held >= 0),
      -- The window's shape: how long a slot is (0: one slot for good), how many older than the newest count, and the newest.
      width bigint not null default 0 check (width >= 0),
      keep smallint not null default 0 check (keep >= 0),
      slot bigint not null default 0,
      -- The slots one by one, oldest first, where there is more than one: used and held of each; bad and good of a breaker's.
      slots bigint[],
      slot_used numeric[],
      slot_held numeric[],
      -- A rate: when all its tokens are there again, if none is taken until then.
      full_at bigint,
      -- A breaker that is not closed: the end of its rest, how often it opened, the probes that went well since.
      open_until bigint,
      opened integer not null default 0,
      proved integer not null default 0,
      updated_at timestamptz not null default clock_timestamp(),
      primary key (tenant, "limit", key, kind)
    ) with (fillfactor = 50)`.execute(db);

  // No foreign key to the action: the functions that write here are called in statements that hold the action's row.
  await sql`
    create table ${name('holds')} (
      tenant text not null,
      action_id text not null,
      "limit" text not null,
      key text not null,
      kind text not null check (kind in ${kinds}),
      -- What is reserved; once consumed, what was spent. A breaker's: 1 for a probe, else 0.
      amount numeric not null check (amount >= 0),
      -- Where in the counter's window it stands, if the counter still has that slot in that shape.
      width bigint not null default 0,
      keep smallint not null default 0,
      slot bigint not null default 0,
      -- A breaker's demand, by which its result is judged, and how often it had opened.
      breaker jsonb,
      opened integer,
      status text not null check (status in ('held', 'kept', 'consumed', 'released')),
      placed_at timestamptz not null default clock_timestamp(),
      settled_at timestamptz,
      primary key (tenant, action_id, "limit", key, kind),
      check ((status in ('held', 'kept')) = (settled_at is null))
    ) with (fillfactor = 70)`.execute(db);
  await sql`create index holds_live on ${name('holds')} (tenant, "limit", key, kind) where settled_at is null`.execute(
    db,
  );

  // A counter that could be forgotten could be spent again.
  const refuse = sql`execute function ${name('refuse_change')}()`;
  await sql`create trigger keep before delete or truncate on ${name('limit_counters')} for each statement ${refuse}`.execute(
    db,
  );
  await sql`create trigger keep before truncate on ${name('holds')} for each statement ${refuse}`.execute(db);
}

async function createNoncesAndRevocations(db: Kysely<unknown>, name: Name): Promise<void> {
  const refuse = sql`execute function ${name('refuse_change')}()`;

  await sql`
    create table ${name('nonces')} (
      scope text not null,
      nonce text not null,
      taken_by text not null,
      expires_at timestamptz not null,
      primary key (scope, nonce)
    )`.execute(db);
  await sql`create index nonces_expiry on ${name('nonces')} (expires_at)`.execute(db);
  await sql`create trigger keep before truncate on ${name('nonces')} for each statement ${refuse}`.execute(db);
  await sql`
    create trigger final before update on ${name('nonces')} for each row when (new is distinct from old) ${refuse}`.execute(
    db,
  );
  // The same margin as in the statement that forgets: what could still be used again is never forgotten.
  await sql`
    create trigger live before delete on ${name('nonces')} for each row
    when (old.expires_at > clock_timestamp() - interval '1 day') ${refuse}`.execute(db);

  await sql`
    create table ${name('revocations')} (
      tenant text not null check (tenant <> ''),
      jti text not null check (jti <> ''),
      reason text not null check (reason <> ''),
      revoked_by text not null check (revoked_by <> ''),
      revoked_at timestamptz not null default clock_timestamp(),
      primary key (tenant, jti)
    )`.execute(db);
  await sql`
    create trigger keep before update or delete or truncate on ${name('revocations')} for each statement ${refuse}`.execute(
    db,
  );
}

async function letUnknownBeResolved(db: Kysely<unknown>, name: Name): Promise<void> {
  const refuse = sql`execute function ${name('refuse_change')}()`;

  // What stood there before, because its receipt stays in the chain and must find its outcome.
  await sql`
    create table ${name('resolved')} (
      tenant text not null,
      action_id text not null,
      outcome json not null,
      receipt_seq bigint not null,
      receipt_hash text not null,
      ended_at timestamptz not null,
      primary key (tenant, action_id),
      unique (tenant, receipt_seq),
      foreign key (tenant, action_id) references ${name('actions')} (tenant, action_id),
      foreign key (tenant, receipt_seq, receipt_hash) references ${name('receipts')} (tenant, seq, hash)
    )`.execute(db);
  await sql`
    create trigger keep before update or delete or truncate on ${name('resolved')} for each statement ${refuse}`.execute(
    db,
  );

  await sql`
    alter table ${name('actions')}
      add column resolved_at timestamptz,
      add check (resolved_at is null or (status is not null and status in ('success', 'mismatch', 'failed')))`.execute(
    db,
  );
  await sql`drop trigger final on ${name('actions')}`.execute(db);
  // The outcome is compared as text, and never parsed here: a text with \u0000 in it is JSON that Postgres cannot parse.
  await sql`
    create trigger final before update on ${name('actions')} for each row when (
      row(new.tenant, new.action_id, new.digest) <> row(old.tenant, old.action_id, old.digest)
      or new.uses < old.uses
      or (old.status is null and new.resolved_at is not null)
      or (old.status is not null
        and (row(new.status, new.receipt_seq, new.receipt_hash, new.ended_at, new.uses, new.resolved_at)
            is distinct from row(old.status, old.receipt_seq, old.receipt_hash, old.ended_at, old.uses, old.resolved_at)
          or new.outcome::text is distinct from old.outcome::text)
        and (old.status = 'unknown' and old.resolved_at is null and new.resolved_at is not null
          and new.receipt_seq > old.receipt_seq and new.uses = old.uses) is not true)
    ) ${refuse}`.execute(db);
}
