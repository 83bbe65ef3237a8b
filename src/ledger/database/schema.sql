-- The ledger's tables and functions, as version 1 of them. The schema is written `countersign` here, and replaced by the one that is
-- configured. What was released is never edited: the next change is a file of its own.
--
-- What must hold is held by the database as far as it can: constraints make a chain of receipts linked and free of gaps, triggers make
-- what is settled final. A superuser can switch both off; the signatures of the receipts are there for that.

-- Where nothing is wrong a trigger costs a comparison: only a refusal runs this function.
create function countersign.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'the ledger refuses % of %', tg_op, tg_table_name using errcode = 'restrict_violation';
end $$;

-- Receipts: one chain for each tenant.

create table countersign.receipts (
  tenant text not null check (char_length(tenant) between 1 and 63 and tenant <> '*'),
  seq bigint not null check (seq >= 1),
  hash text not null check (hash ~ '^sha256:[0-9a-f]{64}$'),
  prev text,
  prev_seq bigint generated always as (seq - 1) stored,
  jws text not null,
  action_id text not null,
  at timestamptz not null default clock_timestamp(),
  primary key (tenant, seq),
  unique (tenant, seq, hash),
  check ((seq = 1) = (prev is null)),
  check (hash = 'sha256:' || encode(sha256(convert_to(jws, 'UTF8')), 'hex')),
  foreign key (tenant, prev_seq, prev) references countersign.receipts (tenant, seq, hash)
);

create index receipts_of_policy_changes on countersign.receipts (at) where action_id like 'command/policy.%';
create index receipts_of_pins on countersign.receipts (action_id text_pattern_ops) where action_id like 'command/pins.%';

-- The last receipt of each chain, updated with each receipt: room on its page keeps those updates out of the index.
create table countersign.chains (
  tenant text primary key,
  seq bigint not null default 0,
  hash text,
  check ((seq = 0) = (hash is null)),
  foreign key (tenant, seq, hash) references countersign.receipts (tenant, seq, hash)
) with (fillfactor = 20);

create trigger keep before update or delete or truncate on countersign.receipts
  for each statement execute function countersign.refuse_change();

create trigger keep before delete or truncate on countersign.chains
  for each statement execute function countersign.refuse_change();

create trigger final before update on countersign.chains
  for each row when (new.tenant <> old.tenant or new.seq <> old.seq + 1) execute function countersign.refuse_change();

-- Actions: one row for each action id, from its admission to its outcome, for good.

create table countersign.actions (
  tenant text not null check (char_length(tenant) between 1 and 63 and tenant <> '*'),
  action_id text not null check (char_length(action_id) between 1 and 128),
  digest text not null check (digest ~ '^sha256:[0-9a-f]{64}$'),
  agent text,
  -- The person who answers for the agent, as its credential said when the action was first admitted.
  owner text,
  tool text not null,
  environment text,
  -- Whether it changes nothing: its key explains no write.
  reads boolean not null default false,
  -- How many of its grants were used, and how many of those were returned because nothing was sent under them.
  uses integer not null default 0,
  returned integer not null default 0 check (returned between 0 and uses),
  -- How often the action was sent to its system, over all of its grants and runs: when first, when last, and since when at a stretch.
  sends integer not null default 0 check (sends >= 0),
  first_sent_at timestamptz,
  last_sent_at timestamptz,
  sending_since timestamptz,
  status text check (status in ('success', 'mismatch', 'failed', 'denied', 'expired', 'cancelled', 'unknown')),
  outcome json,
  -- What was proposed, written with the outcome, so that what was decided can be decided again after Temporal has forgotten it. `digest` says what
  -- of it identifies the action: whoever reads it compares.
  proposal json,
  receipt_seq bigint,
  receipt_hash text,
  created_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  -- When a person resolved what was unknown.
  resolved_at timestamptz check (resolved_at is null or (status is not null and status in ('success', 'mismatch', 'failed'))),
  -- Copied from the outcome when it is recorded, for the archive: reading it there would parse every outcome.
  effect text,
  policies text[],
  code text,
  reason text,
  summary text,
  via text[],
  primary key (tenant, action_id),
  check (num_nulls(status, outcome, receipt_seq, receipt_hash, ended_at) in (0, 5)),
  foreign key (tenant, receipt_seq, receipt_hash) references countersign.receipts (tenant, seq, hash)
) with (fillfactor = 70);

-- What is open is found without a look at what has ended. Each index serves its own queries and can be mistaken for no other one, also
-- while the tables are empty and all look alike to the planner: a plan made then may be used for long.
create index actions_open on countersign.actions (created_at, tenant, action_id) where status is null;

create index actions_unknown on countersign.actions (ended_at) where status = 'unknown';

create unique index actions_ended on countersign.actions (tenant, receipt_seq) where receipt_seq is not null;

-- An action that could be forgotten could be done again.
create trigger keep before delete or truncate on countersign.actions
  for each statement execute function countersign.refuse_change();

-- An outcome changes in one way only: from unknown to what a person found out. It is compared as text and never parsed here: a text with
-- \u0000 in it is JSON that Postgres cannot parse.
create trigger final before update on countersign.actions for each row when (
  row(new.tenant, new.action_id, new.digest) <> row(old.tenant, old.action_id, old.digest)
  or new.owner is distinct from old.owner
  or new.uses < old.uses
  or (old.status is null and new.resolved_at is not null)
  or ((old.status is not null or old.proposal is not null) and new.proposal::text is distinct from old.proposal::text)
  or (old.status is not null
    and (row(new.status, new.receipt_seq, new.receipt_hash, new.ended_at, new.uses, new.resolved_at)
        is distinct from row(old.status, old.receipt_seq, old.receipt_hash, old.ended_at, old.uses, old.resolved_at)
      or new.outcome::text is distinct from old.outcome::text)
    and (old.status = 'unknown' and old.resolved_at is null and new.resolved_at is not null
      and new.receipt_seq > old.receipt_seq and new.uses = old.uses) is not true)
) execute function countersign.refuse_change();

-- What a resolution replaced: its receipt stays in the chain, and must find its outcome.
create table countersign.resolved (
  tenant text not null,
  action_id text not null,
  outcome json not null,
  receipt_seq bigint not null,
  receipt_hash text not null,
  ended_at timestamptz not null,
  primary key (tenant, action_id),
  unique (tenant, receipt_seq),
  foreign key (tenant, action_id) references countersign.actions (tenant, action_id),
  foreign key (tenant, receipt_seq, receipt_hash) references countersign.receipts (tenant, seq, hash)
);

create trigger keep before update or delete or truncate on countersign.resolved
  for each statement execute function countersign.refuse_change();

-- Grants: used once. One that was used in vain can be returned, and still not be used again.

create table countersign.grants (
  jti text primary key check (char_length(jti) between 1 and 128),
  tenant text not null,
  action_id text not null,
  agent text not null,
  tool text not null,
  issued_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  used_at timestamptz,
  used_by text,
  -- Which attempt of that activity used it last. An earlier one that was taken for dead may come back, and sends nothing under it any more.
  attempt integer check (attempt >= 1),
  returned_at timestamptz check (returned_at is null or used_at is not null),
  -- The number of the entry that it has of its own in the audit trail.
  trail_seq bigint check (trail_seq is null or used_at is not null),
  check (num_nulls(used_at, used_by, attempt) in (0, 3)),
  foreign key (tenant, action_id) references countersign.actions (tenant, action_id)
) with (fillfactor = 70);

create index grants_of_action on countersign.grants (tenant, action_id);

-- A grant may be deleted: it is unknown then, and refused.
create trigger final before update on countersign.grants for each row when (
  (old.returned_at is not null
    and row(new.used_at, new.used_by, new.returned_at) is distinct from row(old.used_at, old.used_by, old.returned_at))
  or (old.used_at is not null
    and row(new.used_at, new.used_by) is distinct from row(old.used_at, old.used_by))
  or (old.trail_seq is not null and new.trail_seq is distinct from old.trail_seq)
  or row(new.jti, new.tenant, new.action_id, new.agent, new.tool, new.issued_at, new.expires_at)
    is distinct from row(old.jti, old.tenant, old.action_id, old.agent, old.tool, old.issued_at, old.expires_at)
) execute function countersign.refuse_change();

-- What people made of actions that ended for it, until what is done instead has begun. A workflow that is ended from outside between the two leaves
-- that to whoever looks after what was left behind. `request` is encrypted where values of the tool are redacted.
create table countersign.edits (
  tenant text not null,
  action_id text not null,
  task_queue text not null check (task_queue <> ''),
  request json not null,
  recorded_at timestamptz not null default clock_timestamp(),
  primary key (tenant, action_id),
  foreign key (tenant, action_id) references countersign.actions (tenant, action_id)
);

create index edits_due on countersign.edits (task_queue, recorded_at);

-- Controls: freezes, revocations, nonces.

create table countersign.freezes (
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
);

create index freezes_active on countersign.freezes (tenant) where lifted_at is null;

create trigger keep before delete or truncate on countersign.freezes
  for each statement execute function countersign.refuse_change();

create trigger final before update on countersign.freezes for each row when (
  old.lifted_at is not null
  or row(new.id, new.tenant, new.scope_kind, new.scope_value, new.reason, new.frozen_by, new.frozen_at)
    is distinct from row(old.id, old.tenant, old.scope_kind, old.scope_value, old.reason, old.frozen_by, old.frozen_at)
) execute function countersign.refuse_change();

create table countersign.revocations (
  tenant text not null check (tenant <> ''),
  jti text not null check (jti <> ''),
  reason text not null check (reason <> ''),
  revoked_by text not null check (revoked_by <> ''),
  revoked_at timestamptz not null default clock_timestamp(),
  primary key (tenant, jti)
);

create trigger keep before update or delete or truncate on countersign.revocations
  for each statement execute function countersign.refuse_change();

create table countersign.nonces (
  scope text not null,
  nonce text not null,
  taken_by text not null,
  expires_at timestamptz not null,
  primary key (scope, nonce)
);

create index nonces_expiry on countersign.nonces (expires_at);

create trigger keep before truncate on countersign.nonces for each statement execute function countersign.refuse_change();

create trigger final before update on countersign.nonces
  for each row when (new is distinct from old) execute function countersign.refuse_change();

-- The same margin as in the statement that forgets: what could still be used again is never forgotten.
create trigger live before delete on countersign.nonces for each row
when (old.expires_at > clock_timestamp() - interval '1 day') execute function countersign.refuse_change();

-- Content: policies and snapshots under their digests.

create table countersign.policies (
  digest text primary key check (digest ~ '^sha256:[0-9a-f]{64}$'),
  files json not null,
  stored_at timestamptz not null default clock_timestamp()
);

create trigger keep before update or delete or truncate on countersign.policies
  for each statement execute function countersign.refuse_change();

-- How policies are rolled out. One ledger is one deployment: at most one policy is active in it, and at most one shadows that one.

-- Every change, for good. `signed` is the workers' signature over it: a change that no worker signed is worth nothing to a worker.
create table countersign.policy_changes (
  seq bigint primary key check (seq >= 1),
  -- A signed command's id, or `publish:<digest>`: what is asked for again is the same change.
  id text not null unique check (id <> ''),
  kind text not null check (kind in ('publish', 'shadow', 'promote', 'rollback', 'retire')),
  digest text not null references countersign.policies (digest),
  replaced text references countersign.policies (digest) check (replaced <> digest),
  changed_by text not null check (changed_by <> ''),
  people text[] not null,
  reason text not null check (reason <> ''),
  evidence text check (evidence ~ '^sha256:[0-9a-f]{64}$'),
  -- What the people signed.
  statements text[] not null check (cardinality(statements) = cardinality(people)),
  signed text,
  at timestamptz not null default clock_timestamp(),
  check ((kind = 'publish') = (signed is null)),
  check ((kind = 'publish') = (cardinality(people) = 0))
);

create index policy_changes_of_digest on countersign.policy_changes (digest, seq);

create trigger keep before update or delete or truncate on countersign.policy_changes
  for each statement execute function countersign.refuse_change();

create table countersign.policy_states (
  digest text primary key references countersign.policies (digest),
  state text not null check (state in ('draft', 'shadow', 'active', 'retired')),
  seq bigint not null references countersign.policy_changes (seq)
);

create unique index policy_states_active on countersign.policy_states (state) where state = 'active';

create unique index policy_states_shadow on countersign.policy_states (state) where state = 'shadow';

create trigger keep before delete or truncate on countersign.policy_states
  for each statement execute function countersign.refuse_change();

create trigger final before update on countersign.policy_states
  for each row when (new.digest <> old.digest or new.seq <= old.seq) execute function countersign.refuse_change();

-- Makes a change, one after another. `p_seq` is the number that the caller signed for, and null for what nobody signs.
create function countersign.change_policy(
  p_seq bigint, p_id text, p_kind text, p_digest text, p_by text, p_people text[], p_reason text, p_evidence text, p_statements text[],
  p_signed text)
returns jsonb language plpgsql as $$
declare
  made bigint;
  next bigint;
  now_active text;
  now_shadow text;
  was text;
  left_place text;
begin
  -- Readers are not held up.
  lock table countersign.policy_changes in exclusive mode;
  select c.seq into made from countersign.policy_changes as c where c.id = p_id;
  if found then return jsonb_build_object('seq', made, 'made', false); end if;
  select coalesce(max(c.seq), 0) + 1 into next from countersign.policy_changes as c;
  select s.digest into now_active from countersign.policy_states as s where s.state = 'active';
  select s.digest into now_shadow from countersign.policy_states as s where s.state = 'shadow';
  -- One that lies further on leaves a gap: of a history that was cut back, whoever signs it knows the numbers that were taken.
  if p_seq < next then return jsonb_build_object('late', true); end if;
  next := coalesce(p_seq, next);
  select s.state into was from countersign.policy_states as s where s.digest = p_digest;
  if not (case p_kind
    when 'publish' then was is null
    when 'shadow' then was in ('draft', 'retired')
    when 'promote' then was is not null
    when 'rollback' then was in ('draft', 'shadow', 'retired') and exists (
      select from countersign.policy_changes as c where c.digest = p_digest and c.kind in ('promote', 'rollback'))
    when 'retire' then was in ('draft', 'shadow')
  end is true) then
    return jsonb_build_object('refused', true, 'state', was, 'active', now_active);
  end if;
  left_place := nullif(case when p_kind in ('promote', 'rollback') then now_active when p_kind = 'shadow' then now_shadow end, p_digest);
  insert into countersign.policy_changes (seq, id, kind, digest, replaced, changed_by, people, reason, evidence, statements, signed)
  values (next, p_id, p_kind, p_digest, left_place, p_by, p_people, p_reason, p_evidence, p_statements, p_signed);
  update countersign.policy_states set state = 'retired', seq = next where digest = left_place;
  insert into countersign.policy_states (digest, state, seq)
  values (p_digest, case p_kind when 'publish' then 'draft' when 'shadow' then 'shadow' when 'retire' then 'retired' else 'active' end, next)
  on conflict (digest) do update set state = excluded.state, seq = excluded.seq;
  return jsonb_build_object('seq', next, 'made', true);
end $$;

-- People's yes to a promotion that needs several. They are about the activation that was in force: after the next one they count no more.
create table countersign.policy_approvals (
  id text primary key check (id <> ''),
  candidate text not null references countersign.policies (digest),
  -- Number of the change that made the active policy active; 0 where none was.
  active_since bigint not null check (active_since >= 0),
  evidence text check (evidence ~ '^sha256:[0-9a-f]{64}$'),
  tenant text not null check (tenant <> ''),
  person text not null check (person <> ''),
  credentials text[] not null,
  statement text not null,
  given_at timestamptz not null default clock_timestamp()
);

create index policy_approvals_of_candidate on countersign.policy_approvals (candidate, active_since);

create trigger keep before update or delete or truncate on countersign.policy_approvals
  for each statement execute function countersign.refuse_change();

-- What backtests found. The bundles need not be stored: a folder can be tested before it is published.
create table countersign.policy_evidence (
  candidate text not null check (candidate ~ '^sha256:[0-9a-f]{64}$'),
  baseline text not null check (baseline ~ '^sha256:[0-9a-f]{64}$'),
  report text not null check (report ~ '^sha256:[0-9a-f]{64}$'),
  decisions bigint not null check (decisions >= 0),
  summary json not null check (octet_length(summary::text) <= 16384),
  found_by text not null check (found_by <> ''),
  signed text not null check (octet_length(signed) between 1 and 32768),
  at timestamptz not null default clock_timestamp(),
  primary key (candidate, baseline, report)
);

create trigger keep before update or delete or truncate on countersign.policy_evidence
  for each statement execute function countersign.refuse_change();

-- What each worker runs, as it last said. It decides nothing; but the workers' signature over the change that a worker follows, beside its
-- number, shows others that there was this change, whatever the history says.
create table countersign.policy_workers (
  worker text primary key check (worker <> ''),
  task_queue text not null,
  source text not null check (source in ('folder', 'ledger')),
  active text,
  shadow text,
  problem text,
  change bigint,
  signed text,
  -- How far the clock of its machine is ahead of this database's. Milliseconds.
  clock_ahead_ms double precision,
  seen_at timestamptz not null default clock_timestamp(),
  check ((change is null) = (signed is null))
) with (fillfactor = 50);

-- Where the policy in shadow decided otherwise than the active one: counted, with a few examples. It decides nothing.
create table countersign.policy_divergences (
  candidate text not null,
  baseline text not null,
  -- Digest of everything up to the counts.
  key text not null,
  tenant text not null,
  kind text not null check (kind in ('effect', 'requirements', 'constraints', 'error')),
  tool text not null,
  agent text not null,
  live_effect text not null,
  live_rules text[] not null,
  shadow_effect text not null,
  shadow_rules text[] not null,
  count bigint not null check (count > 0),
  examples jsonb not null,
  first_at timestamptz not null default clock_timestamp(),
  last_at timestamptz not null default clock_timestamp(),
  primary key (candidate, baseline, key)
) with (fillfactor = 70);

create table countersign.policy_shadow_counts (
  candidate text not null,
  baseline text not null,
  evaluated bigint not null default 0,
  diverged bigint not null default 0,
  errors bigint not null default 0,
  -- Diverged, and not listed because the list is full.
  unlisted bigint not null default 0,
  -- Never evaluated, because the worker had too much to do.
  dropped bigint not null default 0,
  total_ms double precision not null default 0,
  max_ms double precision not null default 0,
  updated_at timestamptz not null default clock_timestamp(),
  primary key (candidate, baseline)
) with (fillfactor = 50);

-- Adds what a worker has counted in a while. A list is bounded: 1000 kinds of divergence, and five examples of each.
create function countersign.note_shadow(p_candidate text, p_baseline text, p_counts jsonb, p_divergences jsonb)
returns void language plpgsql as $$
declare
  d jsonb;
  not_listed bigint := 0;
begin
  for d in select value from jsonb_array_elements(p_divergences) order by value ->> 'key' loop
    update countersign.policy_divergences as p
    set count = p.count + (d ->> 'count')::bigint, last_at = clock_timestamp(),
      examples = case when jsonb_array_length(p.examples) < 5 then (
        select jsonb_agg(e) from (select e from jsonb_array_elements(p.examples || (d -> 'examples')) as e limit 5) as few)
        else p.examples end
    where p.candidate = p_candidate and p.baseline = p_baseline and p.key = d ->> 'key';
    continue when found;
    if (select count(*) from countersign.policy_divergences as p where p.candidate = p_candidate and p.baseline = p_baseline) >= 1000 then
      not_listed := not_listed + (d ->> 'count')::bigint;
      continue;
    end if;
    insert into countersign.policy_divergences as p (candidate, baseline, key, tenant, kind, tool, agent, live_effect, live_rules,
      shadow_effect, shadow_rules, count, examples)
    values (p_candidate, p_baseline, d ->> 'key', d ->> 'tenant', d ->> 'kind', d ->> 'tool', d ->> 'agent', d ->> 'liveEffect',
      array(select jsonb_array_elements_text(d -> 'liveRules')), d ->> 'shadowEffect',
      array(select jsonb_array_elements_text(d -> 'shadowRules')), (d ->> 'count')::bigint, d -> 'examples')
    on conflict (candidate, baseline, key) do update set count = p.count + excluded.count, last_at = clock_timestamp();
  end loop;
  insert into countersign.policy_shadow_counts as c (candidate, baseline, evaluated, diverged, errors, unlisted, dropped, total_ms, max_ms)
  values (p_candidate, p_baseline, (p_counts ->> 'evaluated')::bigint, (p_counts ->> 'diverged')::bigint, (p_counts ->> 'errors')::bigint,
    not_listed, (p_counts ->> 'dropped')::bigint, (p_counts ->> 'totalMs')::float8, (p_counts ->> 'maxMs')::float8)
  on conflict (candidate, baseline) do update
  set evaluated = c.evaluated + excluded.evaluated, diverged = c.diverged + excluded.diverged, errors = c.errors + excluded.errors,
    unlisted = c.unlisted + excluded.unlisted, dropped = c.dropped + excluded.dropped, total_ms = c.total_ms + excluded.total_ms,
    max_ms = greatest(c.max_ms, excluded.max_ms), updated_at = clock_timestamp();
end $$;

create table countersign.snapshots (
  tenant text not null,
  digest text not null check (digest ~ '^sha256:[0-9a-f]{64}$'),
  body json not null,
  stored_at timestamptz not null default clock_timestamp(),
  primary key (tenant, digest)
);

-- Snapshots hold what was read from real systems, and may have to be forgotten: they can be deleted, but not rewritten. When one was stored last
-- may be noted, so that it is not forgotten while it is in use.
create trigger keep before update on countersign.snapshots for each row when (
  row(new.tenant, new.digest, new.body::text) is distinct from row(old.tenant, old.digest, old.body::text)
) execute function countersign.refuse_change();


-- Keys for the people whom recorded values are about, each encrypted under a key that the ledger never has. `subject` is a digest under that key
-- too, so that this names nobody. What was digested and encrypted under a key that is erased can be neither tried out nor read any more.

create table countersign.subject_keys (
  tenant text not null check (tenant <> ''),
  subject text not null check (subject ~ '^[A-Za-z0-9_-]{43}$'),
  -- After an erasure, what is recorded of the same person anew has another key.
  generation integer not null check (generation >= 1),
  wrapped json,
  created_at timestamptz not null default clock_timestamp(),
  erased_at timestamptz,
  erased_by text check (erased_by <> ''),
  reason text check (reason <> ''),
  primary key (tenant, subject, generation),
  check (num_nulls(erased_at, erased_by, reason) in (0, 3) and (wrapped is null) = (erased_at is not null))
);

create unique index subject_keys_current on countersign.subject_keys (tenant, subject) where erased_at is null;

create trigger keep before delete or truncate on countersign.subject_keys
  for each statement execute function countersign.refuse_change();

create trigger final before update on countersign.subject_keys for each row when (
  old.erased_at is not null or new.erased_at is null
  or row(new.tenant, new.subject, new.generation, new.created_at)
    is distinct from row(old.tenant, old.subject, old.generation, old.created_at)
) execute function countersign.refuse_change();

-- Limits. All that a decision needs of a limit is in one row, so that its cost does not grow with the actions that were counted.
-- Times are microseconds since 1970. Room on the pages keeps the updates out of the index.

create table countersign.limit_counters (
  tenant text not null,
  "limit" text not null,
  key text not null,
  kind text not null check (kind in ('budget', 'count', 'rate', 'concurrency', 'breaker')),
  -- What is in the window (budget, count: sums; breaker: bad results), and what is reserved (breaker: probes on their way).
  used numeric not null default 0 check (used >= 0),
  held numeric not null default 0 check (held >= 0),
  -- The window's shape: how long a slot is (0: one slot for good), how many older than the newest count, and the newest.
  width bigint not null default 0 check (width >= 0),
  keep smallint not null default 0 check (keep >= 0),
  -- The time zone in which slots of whole days begin at midnight. Empty: UTC.
  zone text not null default '',
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
) with (fillfactor = 50);

create index limit_counters_tripped on countersign.limit_counters (open_until) where open_until is not null;

-- A counter that could be forgotten could be spent again: one may go only while a new one would be the same.
create trigger keep before truncate on countersign.limit_counters
  for each statement execute function countersign.refuse_change();

-- There is no foreign key to the action: the functions that write here are called in statements that hold the action's row.
create table countersign.holds (
  tenant text not null,
  action_id text not null,
  "limit" text not null,
  key text not null,
  kind text not null check (kind in ('budget', 'count', 'rate', 'concurrency', 'breaker')),
  -- What is reserved; once consumed, what was spent. A breaker's: 1 for a probe, else 0.
  amount numeric not null check (amount >= 0),
  -- Where in the counter's window it stands, if the counter still has that slot in that shape.
  width bigint not null default 0,
  keep smallint not null default 0,
  zone text not null default '',
  slot bigint not null default 0,
  -- A breaker's demand, by which its result is judged, and how often it had opened.
  breaker jsonb,
  opened integer,
  status text not null check (status in ('held', 'kept', 'consumed', 'released')),
  placed_at timestamptz not null default clock_timestamp(),
  settled_at timestamptz,
  primary key (tenant, action_id, "limit", key, kind),
  check ((status in ('held', 'kept')) = (settled_at is null))
) with (fillfactor = 70);

create index holds_live on countersign.holds (tenant, "limit", key, kind) where settled_at is null;

create trigger keep before truncate on countersign.holds for each statement execute function countersign.refuse_change();

-- A LimitDemand, with its window as slots and all times in microseconds. `max` is a rate's capacity and a breaker's probes. `stale` marks
-- a hold that the action has and does not ask for any more.
create type countersign.limit_demand as (
  "limit" text, key text, kind text, amount numeric, max numeric, width bigint, keep smallint, zone text,
  minimum numeric, ratio numeric, open_for bigint, over boolean, stale boolean
);

-- How a counter's window moves on, and how something is put into it. These are pure: whoever calls them writes the row.

-- The slot of an instant: a multiple of the width since 1970, by the clock on the wall of the zone, so that a day on which the clock changes is one
-- slot of 23 or 25 hours.
create function countersign.slot_of(at bigint, width bigint, zone text) returns bigint language sql immutable as $$
  select case
    when width = 0 then 0
    when coalesce(zone, '') = '' then at / width
    else (extract(epoch from ((timestamp 'epoch' + interval '1 microsecond' * at) at time zone 'UTC') at time zone zone) * 1000000)::bigint / width
  end
$$;

-- When a slot begins. Where the clock on the wall shows that time twice, it is the first time.
create function countersign.slot_begins(slot bigint, width bigint, zone text) returns bigint language plpgsql immutable as $$
declare
  hour constant bigint := 3600000000;
  begins bigint;
begin
  if coalesce(zone, '') = '' then return slot * width; end if;
  begins := (extract(epoch from (timestamp 'epoch' + interval '1 microsecond' * (slot * width)) at time zone zone) * 1000000)::bigint;
  return case when countersign.slot_of(begins - hour, width, zone) >= slot then begins - hour else begins end;
end $$;

create function countersign.rolled(c countersign.limit_counters, at bigint) returns countersign.limit_counters language plpgsql immutable as $$
declare
  -- A clock that was set back does not bring an old window back.
  newest bigint := case when c.width = 0 then 0 else greatest(c.slot, countersign.slot_of(at, c.width, c.zone)) end;
begin
  if c.keep > 0 then
    while c.slots[1] < newest - c.keep loop
      c.used := c.used - c.slot_used[1];
      if c.kind <> 'breaker' then c.held := c.held - c.slot_held[1]; end if;
      c.slots := c.slots[2:];
      c.slot_used := c.slot_used[2:];
      c.slot_held := c.slot_held[2:];
    end loop;
  elsif newest > c.slot then
    c.used := 0;
    c.held := 0;
  end if;
  c.slot := newest;
  return c;
end $$;

-- Whether a new counter would be the same: its window is over, all its tokens are there again, nothing is held at once. What counts for good and
-- breakers are never over.
create function countersign.counter_over(c countersign.limit_counters) returns boolean language sql stable as $$
  select case c.kind
    when 'rate' then coalesce(c.full_at, 0) < now_us
    when 'concurrency' then c.held = 0
    when 'breaker' then false
    else c.width > 0 and countersign.slot_of(now_us, c.width, c.zone) > c.slot + c.keep
  end
  from (select (extract(epoch from clock_timestamp()) * 1000000)::bigint as now_us) as clock
$$;

create trigger live before delete on countersign.limit_counters
  for each row when (not countersign.counter_over(old)) execute function countersign.refuse_change();

-- A limit whose window was changed forgets nothing: what was in the old window is put into the newest slot of the new one.
create function countersign.shaped(c countersign.limit_counters, new_width bigint, new_keep smallint, new_zone text, at bigint)
returns countersign.limit_counters language plpgsql immutable as $$
begin
  c := countersign.rolled(c, at);
  if c.width <> new_width or c.keep <> new_keep or c.zone <> coalesce(new_zone, '') then
    c.width := new_width;
    c.keep := new_keep;
    c.zone := coalesce(new_zone, '');
    c.slot := countersign.slot_of(at, new_width, new_zone);
    if new_keep = 0 then
      c.slots := null;
      c.slot_used := null;
      c.slot_held := null;
    else
      c.slot_held := array[case when c.kind = 'breaker' then (select coalesce(sum(n), 0) from unnest(c.slot_held) n) else c.held end];
      c.slot_used := array[c.used];
      c.slots := array[c.slot];
    end if;
  end if;
  return c;
end $$;

create function countersign.with_added(c countersign.limit_counters, to_slot bigint, more_used numeric, more_held numeric)
returns countersign.limit_counters language plpgsql immutable as $$
declare
  i integer;
begin
  if c.keep > 0 then
    i := array_position(c.slots, to_slot);
    if i is null then
      c.slots := c.slots || to_slot;
      c.slot_used := c.slot_used || more_used;
      c.slot_held := c.slot_held || more_held;
    else
      c.slot_used[i] := c.slot_used[i] + more_used;
      c.slot_held[i] := c.slot_held[i] + more_held;
    end if;
  end if;
  c.used := c.used + more_used;
  if c.kind <> 'breaker' then c.held := c.held + more_held; end if;
  return c;
end $$;

-- Whether the window that a hold was placed in is still counted. When it is over, the hold is in no sum any more.
create function countersign.counts(c countersign.limit_counters, h countersign.holds) returns boolean language plpgsql immutable as $$
begin
  return h.width = c.width and h.keep = c.keep and h.zone = c.zone
    and case when c.keep = 0 then h.slot = c.slot else h.slot = any (c.slots) end;
end $$;

-- A LimitReading. What the action itself holds does not stand against it; what it holds already fits.
create function countersign.limit_reading(c countersign.limit_counters, d countersign.limit_demand, own countersign.holds, at bigint)
returns jsonb language plpgsql immutable as $$
declare
  room numeric;
  fits boolean;
  retry numeric;
  freed numeric := 0;
  state text;
begin
  if d.kind = 'rate' then
    -- The generic cell rate algorithm (ITU-T I.371): one time says how many tokens are missing.
    retry := greatest(coalesce(c.full_at, 0) - at, 0) - (d.max - 1) * d.width;
    c.used := ceil(greatest(coalesce(c.full_at, 0) - at, 0)::numeric / d.width);
    c.held := 0;
    room := d.max - c.used;
    fits := own.status is not null or retry <= 0;
    if d.max < 1 then retry := null; end if;
  elsif d.kind = 'breaker' then
    c := countersign.shaped(c, d.width, d.keep, d.zone, at);
    state := case when c.open_until is null then 'closed' when at < c.open_until then 'open' else 'half_open' end;
    if own.status = 'held' then c.held := c.held - own.amount; end if;
    room := case state when 'closed' then d.max when 'open' then 0 else d.max - c.held end;
    fits := room >= 1;
    if state = 'open' then retry := c.open_until - at; end if;
  else
    c := countersign.rolled(c, at);
    if own.status = 'held' and countersign.counts(c, own) then
      c := countersign.with_added(c, own.slot, 0, -own.amount);
    end if;
    c := countersign.shaped(c, d.width, d.keep, d.zone, at);
    room := d.max - c.used - c.held;
    fits := d.amount <= room or d.amount = 0 or (own.status is not distinct from 'held' and own.amount = d.amount);
    if fits is not true and d.amount <= d.max and d.width > 0 then
      if d.keep = 0 then
        retry := countersign.slot_begins(c.slot + 1, d.width, d.zone) - at;
      else
        for i in 1 .. cardinality(c.slots) loop
          freed := freed + c.slot_used[i] + c.slot_held[i];
          retry := (c.slots[i] + d.keep + 1) * d.width - at;
          exit when d.amount <= room + freed;
        end loop;
      end if;
    end if;
  end if;
  return jsonb_strip_nulls(jsonb_build_object(
    'limit', d."limit", 'key', d.key, 'kind', d.kind, 'max', d.max, 'used', c.used, 'held', c.held,
    'left', greatest(room, 0), 'fits', fits is true, 'state', state,
    'retryAfterMs', case when fits is not true and retry is not null then ceil(greatest(retry, 0) / 1000) end));
end $$;

create function countersign.blank_counter(p_tenant text, d countersign.limit_demand, at bigint)
returns countersign.limit_counters language plpgsql immutable as $$
declare
  c countersign.limit_counters;
begin
  c.tenant := p_tenant;
  c."limit" := d."limit";
  c.key := d.key;
  c.kind := d.kind;
  c.used := 0;
  c.held := 0;
  c.width := coalesce(d.width, 0);
  c.keep := coalesce(d.keep, 0);
  c.zone := coalesce(d.zone, '');
  c.slot := countersign.slot_of(at, c.width, c.zone);
  c.opened := 0;
  c.proved := 0;
  return c;
end $$;

create function countersign.read_limits(p_tenant text, p_action text, p_demands jsonb)
returns jsonb language plpgsql stable as $$
declare
  d countersign.limit_demand;
  c countersign.limit_counters;
  own countersign.holds;
  at bigint := (extract(epoch from clock_timestamp()) * 1000000)::bigint;
  readings jsonb := '[]';
begin
  for d in select * from jsonb_populate_recordset(null::countersign.limit_demand, p_demands) loop
    select * into c from countersign.limit_counters as k
    where k.tenant = p_tenant and k."limit" = d."limit" and k.key = d.key and k.kind = d.kind;
    if not found then c := countersign.blank_counter(p_tenant, d, at); end if;
    select * into own from countersign.holds as h
    where h.tenant = p_tenant and h.action_id = p_action and h."limit" = d."limit" and h.key = d.key and h.kind = d.kind;
    readings := readings || countersign.limit_reading(c, d, own, at);
  end loop;
  return readings;
end $$;

-- The functions that count. They run inside the statements of admission and settling, and take their time from the database alone, after
-- they have what they lock. Counters are always locked in one order (limit, key, kind, bytewise), so that nobody waits in a circle; a hold is
-- changed only under the lock of its counter.

-- Takes what one demand asks of its counter in one statement, so that the row is locked for as short as can be, and returns the reading
-- from before. Null, and nothing taken, where that statement cannot do it: the long way finds out why.
create function countersign.take(p_tenant text, d countersign.limit_demand, at bigint) returns jsonb language plpgsql as $$
declare
  c countersign.limit_counters;
  now_used numeric;
  now_held numeric;
  now_full bigint;
  now_slot bigint := countersign.slot_of(at, d.width, d.zone);
begin
  if d.kind = 'breaker' then
    select * into c from countersign.limit_counters as k
    where k.tenant = p_tenant and k."limit" = d."limit" and k.key = d.key and k.kind = d.kind;
    -- Closed is how breakers mostly are, and then a hold on one changes nothing in its row.
    if c.open_until is not null or c.held > 0 then return null; end if;
    if c.tenant is null then c := countersign.blank_counter(p_tenant, d, at); end if;
    return countersign.limit_reading(c, d, null, at);
  elsif d.kind = 'rate' then
    update countersign.limit_counters as k
    set full_at = greatest(k.full_at, at) + d.width, width = d.width, updated_at = clock_timestamp()
    where k.tenant = p_tenant and k."limit" = d."limit" and k.key = d.key and k.kind = d.kind
      and (k.full_at is null or k.full_at - at <= (d.max - 1) * d.width) and d.max >= 1
    returning k.full_at into now_full;
    if not found then return null; end if;
    now_used := ceil((now_full - d.width - at)::numeric / d.width);
    now_held := 0;
  elsif d.keep = 0 then
    update countersign.limit_counters as k
    set used = case when k.slot < now_slot then 0 else k.used end,
      held = case when k.slot < now_slot then 0 else k.held end + d.amount, slot = now_slot, updated_at = clock_timestamp()
    where k.tenant = p_tenant and k."limit" = d."limit" and k.key = d.key and k.kind = d.kind
      and k.width = d.width and k.keep = 0 and k.zone = coalesce(d.zone, '') and k.slot <= now_slot
      and case when k.slot < now_slot then 0 else k.used + k.held end + d.amount <= d.max
    returning k.used, k.held - d.amount into now_used, now_held;
    if not found then return null; end if;
  else
    return null;
  end if;
  return jsonb_build_object('limit', d."limit", 'key', d.key, 'kind', d.kind, 'max', d.max,
    'used', now_used, 'held', now_held, 'left', d.max - now_used - now_held, 'fits', true);
end $$;

-- The grant and the holds of an action, all or none. The caller has the action's row locked, and it has no outcome. What can be written
-- before the counters are locked is: a counter may be the row that everybody waits for.
create function countersign.place_holds(
  p_tenant text, p_action text, p_agent text, p_tool text, p_jti text, p_expires timestamptz, p_demands jsonb)
returns jsonb language plpgsql as $$
declare
  d countersign.limit_demand;
  c countersign.limit_counters;
  own countersign.holds;
  began bigint := (extract(epoch from clock_timestamp()) * 1000000)::bigint;
  at bigint;
  ds countersign.limit_demand[];
  cs countersign.limit_counters[];
  owns countersign.holds[];
  ats bigint[];
  n integer := 0;
  -- A repeated admission: then there is something to compare with.
  known boolean := exists (select from countersign.holds as h where h.tenant = p_tenant and h.action_id = p_action);
  -- Of the admissions in this transaction.
  is_first boolean := coalesce(current_setting('cs.has_placed', true), '') = '';
  issued boolean;
  reading jsonb;
  readings jsonb := '[]';
  fits boolean := true;
  probe boolean;
  gives_back boolean := false;
begin
  perform set_config('cs.has_placed', 'yes', true);
  insert into countersign.grants (jti, tenant, action_id, agent, tool, expires_at)
  values (p_jti, p_tenant, p_action, p_agent, p_tool, p_expires)
  on conflict (jti) do nothing;
  issued := found;

  if known then
    p_demands := p_demands || coalesce((
      select jsonb_agg(jsonb_build_object('limit', h."limit", 'key', h.key, 'kind', h.kind, 'stale', true))
      from countersign.holds as h
      where h.tenant = p_tenant and h.action_id = p_action and h.status = 'held'
        -- What a used grant may have spent is not given back, whatever the action asks for now. The action's row is locked.
        and not exists (
          select from countersign.actions as a
          where a.tenant = p_tenant and a.action_id = p_action and a.uses > a.returned)
        and not exists (
          select from jsonb_to_recordset(p_demands) as asked("limit" text, key text, kind text)
          where asked."limit" = h."limit" and asked.key = h.key and asked.kind = h.kind)), '[]');
    -- What it gives back may come before what others of this transaction have locked: it is admitted in one of its own.
    if not is_first and p_demands @? '$[*] ? (@.stale == true)' then raise exception 'not with others' using errcode = 'CS002'; end if;
  elsif jsonb_array_length(p_demands) = 1 then
    d := jsonb_populate_record(null::countersign.limit_demand, p_demands -> 0);
    insert into countersign.holds (tenant, action_id, "limit", key, kind, amount, width, keep, zone, slot, breaker, status, settled_at)
    values (p_tenant, p_action, d."limit", d.key, d.kind, case d.kind when 'rate' then 1 when 'breaker' then 0 else d.amount end,
      d.width, d.keep, coalesce(d.zone, ''), countersign.slot_of(began, d.width, d.zone),
      case when d.kind = 'breaker' then jsonb_strip_nulls(to_jsonb(d)) end,
      case when d.kind = 'rate' then 'consumed' else 'held' end, case when d.kind = 'rate' then clock_timestamp() end);
    reading := countersign.take(p_tenant, d, began);
    if reading is not null then
      return jsonb_build_object('fits', true, 'issued', issued, 'limits', jsonb_build_array(reading));
    end if;
  else
    insert into countersign.holds (tenant, action_id, "limit", key, kind, amount, width, keep, zone, slot, breaker, status, settled_at)
    select p_tenant, p_action, f."limit", f.key, f.kind, case f.kind when 'rate' then 1 when 'breaker' then 0 else f.amount end,
      f.width, f.keep, coalesce(f.zone, ''), countersign.slot_of(began, f.width, f.zone),
      case when f.kind = 'breaker' then jsonb_strip_nulls(to_jsonb(f)) end,
      case when f.kind = 'rate' then 'consumed' else 'held' end, case when f.kind = 'rate' then clock_timestamp() end
    from jsonb_populate_recordset(null::countersign.limit_demand, p_demands) as f;
    -- The block, which costs something, is there to give back what was taken before the one that could not be.
    begin
      for d in
        select * from jsonb_populate_recordset(null::countersign.limit_demand, p_demands)
        order by "limit" collate "C", key collate "C", kind collate "C"
      loop
        reading := countersign.take(p_tenant, d, began);
        if reading is null then raise exception 'the long way' using errcode = 'CS001'; end if;
        readings := readings || reading;
      end loop;
      return jsonb_build_object('fits', true, 'issued', issued, 'limits', readings);
    exception when sqlstate 'CS001' then
      readings := '[]';
    end;
  end if;

  for d in
    select * from jsonb_populate_recordset(null::countersign.limit_demand, p_demands)
    order by "limit" collate "C", key collate "C", kind collate "C"
  loop
    c := null;
    if d.kind = 'breaker' then
      -- Closed is how breakers mostly are, and then a hold on one changes nothing in its row.
      select * into c from countersign.limit_counters as k
      where k.tenant = p_tenant and k."limit" = d."limit" and k.key = d.key and k.kind = d.kind;
    end if;
    if d.kind <> 'breaker' or c.open_until is not null or c.held > 0 then
      select * into c from countersign.limit_counters as k
      where k.tenant = p_tenant and k."limit" = d."limit" and k.key = d.key and k.kind = d.kind
      for update;
      if not found then
        c := countersign.blank_counter(p_tenant, d, (extract(epoch from clock_timestamp()) * 1000000)::bigint);
        insert into countersign.limit_counters (tenant, "limit", key, kind, width, keep, zone, slot)
        values (c.tenant, c."limit", c.key, c.kind, c.width, c.keep, c.zone, c.slot)
        on conflict do nothing;
        select * into c from countersign.limit_counters as k
        where k.tenant = p_tenant and k."limit" = d."limit" and k.key = d.key and k.kind = d.kind
        for update;
      end if;
    end if;
    at := (extract(epoch from clock_timestamp()) * 1000000)::bigint;
    if c.tenant is null then c := countersign.blank_counter(p_tenant, d, at); end if;
    own := null;
    if known then
      select * into own from countersign.holds as h
      where h.tenant = p_tenant and h.action_id = p_action and h."limit" = d."limit" and h.key = d.key and h.kind = d.kind;
    end if;
    if d.stale is not true then
      reading := countersign.limit_reading(c, d, own, at);
      readings := readings || reading;
      fits := fits and (d.over is true or coalesce((reading ->> 'fits')::boolean, false));
    end if;
    n := n + 1;
    ds[n] := d;
    cs[n] := c;
    owns[n] := own;
    ats[n] := at;
  end loop;

  if fits is not true then
    if issued then delete from countersign.grants where jti = p_jti; end if;
    if not known then delete from countersign.holds where tenant = p_tenant and action_id = p_action; end if;
    return jsonb_build_object('fits', false, 'issued', false, 'limits', readings);
  end if;

  for i in 1 .. n loop
    d := ds[i];
    c := cs[i];
    own := owns[i];
    at := ats[i];
    probe := false;
    gives_back := gives_back or d.stale is true or (own.status = 'held' and own.amount > d.amount) is true;
    if d.kind = 'rate' then
      -- Taken once, whatever becomes of the action.
      continue when own.status is not null or d.stale;
      c.full_at := greatest(coalesce(c.full_at, 0), at) + d.width;
      c.width := d.width;
      c.slot := 0;
      d.amount := 1;
    elsif d.kind = 'breaker' then
      if own.status = 'held' then c.held := c.held - own.amount; end if;
      probe := d.stale is not true and coalesce(at >= c.open_until, false);
      if probe then c.held := c.held + 1; end if;
      d.amount := case when probe then 1 else 0 end;
    else
      continue when d.stale is not true and own.status = 'held' and own.amount = d.amount;
      c := countersign.rolled(c, at);
      if own.status = 'held' and countersign.counts(c, own) then
        c := countersign.with_added(c, own.slot, 0, -own.amount);
      end if;
      if d.stale is not true then
        if c.width <> d.width or c.keep <> d.keep or c.zone <> coalesce(d.zone, '') then
          update countersign.holds as h
          set width = d.width, keep = d.keep, zone = coalesce(d.zone, ''), slot = countersign.slot_of(at, d.width, d.zone)
          where h.tenant = p_tenant and h."limit" = d."limit" and h.key = d.key and h.kind = d.kind
            and h.settled_at is null and countersign.counts(c, h);
          c := countersign.shaped(c, d.width, d.keep, d.zone, at);
        end if;
        c := countersign.with_added(c, c.slot, 0, d.amount);
      end if;
    end if;

    if d.stale then
      update countersign.holds as h set status = 'released', settled_at = clock_timestamp()
      where h.tenant = p_tenant and h.action_id = p_action and h."limit" = d."limit" and h.key = d.key and h.kind = d.kind;
    elsif known then
      insert into countersign.holds as h (tenant, action_id, "limit", key, kind, amount, width, keep, zone, slot, breaker, opened, status, settled_at)
      values (p_tenant, p_action, d."limit", d.key, d.kind, d.amount, c.width, c.keep, c.zone, c.slot,
        case when d.kind = 'breaker' then jsonb_strip_nulls(to_jsonb(d)) end, case when probe then c.opened end,
        case when d.kind = 'rate' then 'consumed' else 'held' end, case when d.kind = 'rate' then clock_timestamp() end)
      on conflict (tenant, action_id, "limit", key, kind) do update set
        amount = excluded.amount, width = excluded.width, keep = excluded.keep, zone = excluded.zone, slot = excluded.slot,
        breaker = excluded.breaker, opened = excluded.opened, status = excluded.status,
        placed_at = excluded.placed_at, settled_at = excluded.settled_at;
    elsif probe or (d.kind in ('budget', 'count') and c.width > 0 and c.slot <> countersign.slot_of(began, c.width, c.zone)) then
      update countersign.holds as h set amount = d.amount, slot = c.slot, opened = case when probe then c.opened end
      where h.tenant = p_tenant and h.action_id = p_action and h."limit" = d."limit" and h.key = d.key and h.kind = d.kind;
    end if;
    continue when d.kind = 'breaker' and not probe and coalesce(own.amount, 0) = 0;
    update countersign.limit_counters as k
    set used = c.used, held = c.held, width = c.width, keep = c.keep, zone = c.zone, slot = c.slot, slots = c.slots, slot_used = c.slot_used,
      slot_held = c.slot_held, full_at = c.full_at, updated_at = clock_timestamp()
    where k.tenant = p_tenant and k."limit" = d."limit" and k.key = d.key and k.kind = d.kind;
  end loop;
  -- Nothing may be done any more under a grant for which what is given back was held. None of them is used: else it would be held still, or the one
  -- who uses it waits for the action's row.
  if gives_back then
    delete from countersign.grants as g
    where g.tenant = p_tenant and g.action_id = p_action and g.jti <> p_jti and g.used_at is null;
  end if;
  return jsonb_build_object('fits', true, 'issued', issued, 'limits', readings);
end $$;

-- The caller has the action's row locked and its outcome written. What is not held any more is left alone.
create function countersign.settle_holds(p_tenant text, p_action text, p_disposition text, p_result text, p_amounts jsonb)
returns integer language plpgsql as $$
declare
  id record;
  d countersign.limit_demand;
  c countersign.limit_counters;
  h countersign.holds;
  at bigint;
  spent numeric;
  results numeric;
  n integer := 0;
begin
  for id in
    select o."limit", o.key, o.kind from countersign.holds as o
    where o.tenant = p_tenant and o.action_id = p_action and o.status in ('held', 'kept')
    order by o."limit" collate "C", o.key collate "C", o.kind collate "C"
  loop
    n := n + 1;
    select * into c from countersign.limit_counters as k
    where k.tenant = p_tenant and k."limit" = id."limit" and k.key = id.key and k.kind = id.kind
    for update;
    if not found then
      -- A breaker's row comes with its first result.
      insert into countersign.limit_counters (tenant, "limit", key, kind) values (p_tenant, id."limit", id.key, id.kind) on conflict do nothing;
      select * into c from countersign.limit_counters as k
      where k.tenant = p_tenant and k."limit" = id."limit" and k.key = id.key and k.kind = id.kind
      for update;
    end if;
    select * into h from countersign.holds as o
    where o.tenant = p_tenant and o.action_id = p_action and o."limit" = id."limit" and o.key = id.key and o.kind = id.kind;
    at := (extract(epoch from clock_timestamp()) * 1000000)::bigint;

    if p_disposition = 'keep' and id.kind <> 'breaker' then
      update countersign.holds as o set status = 'kept'
      where o.tenant = p_tenant and o.action_id = p_action and o."limit" = id."limit" and o.key = id.key and o.kind = id.kind;
      continue;
    end if;
    if id.kind = 'breaker' then
      c.held := c.held - h.amount;
      if p_result is not null then
        d := jsonb_populate_record(null::countersign.limit_demand, h.breaker);
        c := countersign.shaped(c, d.width, d.keep, d.zone, at);
        if c.open_until is null then
          c := countersign.with_added(c, c.slot, case p_result when 'bad' then 1 else 0 end, case p_result when 'bad' then 0 else 1 end);
          results := c.used + (select sum(good) from unnest(c.slot_held) good);
          if results >= d.minimum and c.used >= d.ratio * results then
            c.open_until := at + d.open_for;
            c.opened := c.opened + 1;
            c.proved := 0;
          end if;
        elsif h.opened = c.opened then
          -- Only the probes of this half-open time tell; what was on its way since before does not.
          if p_result = 'bad' then
            c.open_until := at + d.open_for;
            c.opened := c.opened + 1;
            c.proved := 0;
          elsif c.proved + 1 < d.max then
            c.proved := c.proved + 1;
          else
            c.open_until := null;
            c.proved := 0;
            c.used := 0;
            c.slots := null;
            c.slot_used := null;
            c.slot_held := null;
          end if;
        end if;
      end if;
    else
      spent := case when p_disposition = 'release' or id.kind = 'concurrency' then 0
        when id.kind = 'budget' then coalesce((p_amounts ->> id."limit")::numeric, h.amount) else h.amount end;
      if countersign.counts(c, h) then c := countersign.with_added(c, h.slot, spent, -h.amount); end if;
    end if;

    update countersign.limit_counters as k
    set used = c.used, held = c.held, width = c.width, keep = c.keep, zone = c.zone, slot = c.slot, slots = c.slots, slot_used = c.slot_used,
      slot_held = c.slot_held, open_until = c.open_until, opened = c.opened, proved = c.proved, updated_at = clock_timestamp()
    where k.tenant = p_tenant and k."limit" = id."limit" and k.key = id.key and k.kind = id.kind;
    update countersign.holds as o
    set status = case when id.kind = 'breaker' then case when p_result is null then 'released' else 'consumed' end
        when p_disposition = 'release' then 'released' else 'consumed' end,
      amount = case when id.kind = 'budget' and p_disposition = 'consume' then spent else o.amount end,
      settled_at = clock_timestamp()
    where o.tenant = p_tenant and o.action_id = p_action and o."limit" = id."limit" and o.key = id.key and o.kind = id.kind;
  end loop;
  return n;
end $$;

-- History in rules: the marks by which an action is found by those that come after it. A mark is a digest of what a history fact counts, and where.
-- There are none where no policy declares such facts. What became of an action is read from its row.

create table countersign.history_marks (
  tenant text not null,
  mark text not null check (mark ~ '^sha256:[0-9a-f]{64}$'),
  action_id text not null,
  -- When the action was authorized, for the last time.
  at timestamptz not null default clock_timestamp(),
  primary key (tenant, mark, action_id)
);

-- All that a decision reads: the newest actions of a mark.
create index history_marks_in_time on countersign.history_marks (tenant, mark, at);

-- What could be forgotten could be done again.
create trigger keep before delete or truncate on countersign.history_marks
  for each statement execute function countersign.refuse_change();

-- What earlier actions came to: a HistoryReading for each HistoryQuery, in their order. Bounded: of each mark, the newest 200 actions are looked at; with
-- more of them in the window, as many as can be counted are possible. Volatile, so that it sees what was committed before its caller got its locks.
create function countersign.read_history(p_tenant text, p_action text, p_queries jsonb) returns jsonb language plpgsql volatile as $$
declare
  q record;
  counts record;
  readings jsonb := '[]';
begin
  for q in
    select * from jsonb_to_recordset(p_queries) as x(fact text, certain text[], possible text[], "withinMs" bigint, outcomes text[])
  loop
    with seen as materialized (
      select k.mark, n.action_id
      from unnest(q.possible) as k(mark)
      cross join lateral (
        select m.action_id from countersign.history_marks as m
        where m.tenant = p_tenant and m.mark = k.mark and m.at > clock_timestamp() - q."withinMs" * interval '1 millisecond'
        order by m.at desc
        limit 201
      ) as n
    ),
    earlier as (
      select s.action_id, bool_or(s.mark = any (q.certain)) as certain
      from seen as s where s.action_id <> p_action group by s.action_id
    )
    select
      count(*) filter (where e.certain and a.status = any (q.outcomes)) as done,
      count(*) filter (where e.certain and a.status is null) as under_way,
      case when exists (select from seen as s group by s.mark having count(*) > 200) then 100 else
        count(*) filter (where a.status is null or a.status = 'unknown' or a.status = any (q.outcomes)
          -- The effect was made, whatever came of it.
          or (a.status = 'mismatch' and 'success' = any (q.outcomes)))
      end as possible
    into counts
    from earlier as e join countersign.actions as a on a.tenant = p_tenant and a.action_id = e.action_id;
    readings := readings || jsonb_build_object('fact', q.fact, 'done', least(counts.done, 100), 'underWay', least(counts.under_way, 100),
      'possible', least(counts.possible, 100));
  end loop;
  return readings;
end $$;

-- As place_holds, for an action whose decision relied on earlier actions, or on which later ones may rely. What it relied on is read again under locks, which
-- are taken in one order and before any counter: whoever leaves a mark excludes whoever asks how many may have left it, and so of two actions that
-- each would stop the other, one is first. Without demands, holds are left as they are.
create function countersign.place_with_history(
  p_tenant text, p_action text, p_agent text, p_tool text, p_jti text, p_expires timestamptz, p_demands jsonb, p_checks jsonb, p_marks text[])
returns jsonb language plpgsql as $$
declare
  l record;
  readings jsonb;
  placed jsonb;
begin
  for l in
    select hashtextextended(p_tenant || E'\n' || k.mark, 0) as id, bool_or(k.leaves) as leaves
    from (
      select m as mark, true as leaves from unnest(p_marks) as m
      union all
      -- What has ended as asked stays so: of that alone, nobody need be kept away.
      select jsonb_array_elements_text(c -> 'possible'), false from jsonb_array_elements(p_checks) as c where c ? 'possibleIn'
    ) as k
    group by 1
    order by 1
  loop
    if l.leaves then perform pg_advisory_xact_lock(l.id); else perform pg_advisory_xact_lock_shared(l.id); end if;
  end loop;

  readings := countersign.read_history(p_tenant, p_action, p_checks);
  if exists (
    select from jsonb_array_elements(p_checks) with ordinality as c(asked, n)
    join jsonb_array_elements(readings) with ordinality as r(reading, n) using (n)
    where ((r.reading ->> 'done')::integer between (c.asked -> 'doneIn' ->> 0)::integer and (c.asked -> 'doneIn' ->> 1)::integer) is false
      or ((r.reading ->> 'possible')::integer between (c.asked -> 'possibleIn' ->> 0)::integer and (c.asked -> 'possibleIn' ->> 1)::integer) is false
  ) then
    return jsonb_build_object('fits', false, 'issued', false, 'limits', '[]'::jsonb, 'changed', readings);
  end if;

  if p_demands is null then
    insert into countersign.grants (jti, tenant, action_id, agent, tool, expires_at)
    values (p_jti, p_tenant, p_action, p_agent, p_tool, p_expires)
    on conflict (jti) do nothing;
    placed := jsonb_build_object('fits', true, 'issued', found, 'limits', '[]'::jsonb);
  else
    placed := countersign.place_holds(p_tenant, p_action, p_agent, p_tool, p_jti, p_expires, p_demands);
  end if;
  if (placed ->> 'fits')::boolean then
    insert into countersign.history_marks (tenant, mark, action_id)
    select p_tenant, m, p_action from unnest(p_marks) as m
    on conflict (tenant, mark, action_id) do update set at = excluded.at;
  end if;
  return placed;
end $$;

-- People: what they are asked, what they said, what they give in advance, and their passkeys. None of the first two is authority: that is
-- in what is signed, and on the receipts.

-- There is no foreign key to the action: a request may be written a moment before it is admitted, and is on no list until then.
create table countersign.approval_requests (
  tenant text not null check (char_length(tenant) between 1 and 63 and tenant <> '*'),
  action_id text not null check (char_length(action_id) between 1 and 128),
  shown json not null,
  shown_digest text not null check (shown_digest ~ '^sha256:[0-9a-f]{64}$'),
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
) with (fillfactor = 70);

create index approval_requests_open on countersign.approval_requests (tenant, expires_at, action_id) where closed_at is null;

create index approval_requests_revises on countersign.approval_requests (tenant, revises) where revises is not null;

-- What tells whether a list is still as it was. Several rows, so that those who change it at once rarely wait for one another.
create table countersign.approval_request_changes (
  tenant text not null,
  part smallint not null,
  version bigint not null,
  primary key (tenant, part)
) with (fillfactor = 20);

create table countersign.decisions (
  tenant text not null check (char_length(tenant) between 1 and 63 and tenant <> '*'),
  -- Of the signed decision.
  digest text not null check (digest ~ '^sha256:[0-9a-f]{64}$'),
  action_id text not null,
  shown_digest text not null,
  -- Without regard to case.
  person text not null,
  verdict text not null check (verdict in ('approve', 'deny', 'request_changes')),
  record json not null,
  -- Null where nothing had been asked.
  waited_seconds double precision check (waited_seconds >= 0),
  prior_approvals integer not null check (prior_approvals >= 0),
  over_rate_limit boolean not null,
  refused boolean not null,
  decided_at timestamptz not null,
  primary key (tenant, digest)
);

create index decisions_of_action on countersign.decisions (tenant, action_id);

create index decisions_in_time on countersign.decisions (tenant, decided_at);

create index decisions_yes on countersign.decisions (tenant, person, decided_at)
where verdict = 'approve' and not refused;

create trigger keep before update or delete or truncate on countersign.decisions
for each statement execute function countersign.refuse_change();

-- A row is never changed: it ends by its time, or with the revocation of its id or of a credential of whoever gave it. `statement` is what
-- the giver signed: a row that nobody signed is worth nothing to a worker.
create table countersign.standing_approvals (
  tenant text not null check (tenant <> ''),
  id text not null check (id <> ''),
  agent text not null check (agent <> ''),
  tool text not null check (tool <> ''),
  operation text,
  environment text,
  max_rows bigint check (max_rows >= 0),
  actions bigint check (actions >= 0),
  amounts json,
  roles text[] not null,
  until timestamptz not null,

  given_by text not null check (given_by <> ''),
  credentials text[] not null check (cardinality(credentials) > 0),
  reason text not null check (reason <> ''),
  statement text not null,
  digest text not null check (digest ~ '^sha256:[0-9a-f]{64}$' and digest = 'sha256:' || encode(sha256(convert_to(statement, 'UTF8')), 'hex')),
  given_at timestamptz not null default clock_timestamp(),
  primary key (tenant, id)
);

create index standing_approvals_of_agent on countersign.standing_approvals (tenant, agent, until);

create trigger keep before update or delete or truncate on countersign.standing_approvals
  for each statement execute function countersign.refuse_change();

create table countersign.role_delegations (
  tenant text not null check (tenant <> ''),
  id text not null check (id <> ''),
  person text not null check (person <> ''),
  role text not null check (role <> ''),
  since timestamptz not null,
  until timestamptz not null,

  given_by text not null check (given_by <> ''),
  credentials text[] not null check (cardinality(credentials) > 0),
  reason text not null check (reason <> ''),
  statement text not null,
  digest text not null check (digest ~ '^sha256:[0-9a-f]{64}$' and digest = 'sha256:' || encode(sha256(convert_to(statement, 'UTF8')), 'hex')),
  given_at timestamptz not null default clock_timestamp(),
  primary key (tenant, id),
  check (until > since)
);

-- Directories rarely tell Ann@x from ann@x.
create index role_delegations_of_person on countersign.role_delegations (tenant, lower(person), until);

create trigger keep before update or delete or truncate on countersign.role_delegations
  for each statement execute function countersign.refuse_change();

create table countersign.passkeys (
  tenant text not null check (char_length(tenant) between 1 and 63 and tenant <> '*'),
  credential_id text not null check (char_length(credential_id) <= 1364 and credential_id ~ '^[A-Za-z0-9_-]+$'),
  person text not null check (person <> ''),
  public_key text not null check (char_length(public_key) <= 1366 and public_key ~ '^[A-Za-z0-9_-]+$'),
  counter bigint not null check (counter >= 0),
  transports text[] not null,
  statement text not null check (statement ~ '^sha256:[0-9a-f]{64}$'),
  enrolled_at timestamptz not null default clock_timestamp(),
  retired_at timestamptz,
  retired_by text,
  retire_reason text,
  primary key (tenant, credential_id),
  check ((retired_at is null) = (retired_by is null) and (retired_at is null) = (retire_reason is null))
);

create index passkeys_of_person on countersign.passkeys (tenant, lower(person));

-- A passkey may be deleted: it is unknown then, and refused.
create trigger final before update on countersign.passkeys for each row when (
  old.retired_at is not null
  or row(new.tenant, new.credential_id, new.person, new.public_key, new.counter, new.transports, new.statement, new.enrolled_at)
    is distinct from
    row(old.tenant, old.credential_id, old.person, old.public_key, old.counter, old.transports, old.statement, old.enrolled_at)
) execute function countersign.refuse_change();

-- The counters that passkeys were used with: what shows that a second copy of an authenticator exists.
create table countersign.passkey_uses (
  tenant text not null,
  credential_id text not null,
  counter bigint not null check (counter > 0),
  challenge text not null check (challenge <> ''),
  used_at timestamptz not null default clock_timestamp(),
  primary key (tenant, credential_id, counter),
  foreign key (tenant, credential_id) references countersign.passkeys (tenant, credential_id) on delete cascade
);

create trigger final before update on countersign.passkey_uses
  for each row when (new is distinct from old) execute function countersign.refuse_change();

-- How people were told of what waits for them.

create table countersign.deliveries (
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
) with (fillfactor = 80);

create index deliveries_of_action on countersign.deliveries (tenant, action_id);

create trigger keep before delete or truncate on countersign.deliveries
for each statement execute function countersign.refuse_change();

create trigger final before update on countersign.deliveries for each row when (
  old.status = 'delivered'
  or row(new.tenant, new.delivery_id, new.action_id, new.kind, new.channel)
    <> row(old.tenant, old.delivery_id, old.action_id, old.kind, old.channel)
) execute function countersign.refuse_change();

-- What the workers of a task queue can do, for gateways, which have no tools. It says nothing of what anybody may do.

create table countersign.catalogues (
  task_queue text primary key check (task_queue <> ''),
  tools json not null
);
