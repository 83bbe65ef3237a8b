-- Canaries: approval requests that nobody proposed and that should be refused, to see whether people look. One has a row here and one among the
-- approval requests, and none anywhere else: no action, no grant, no hold, no receipt of an outcome, and no decision in `decisions`.

create table countersign.canaries (
  tenant text not null check (char_length(tenant) between 1 and 63 and tenant <> '*'),
  action_id text not null check (char_length(action_id) between 1 and 128),
  -- What its pre-state's digest is of, so that the decision on it can be shown to have been on a canary.
  nonce text not null check (nonce <> ''),
  shown_digest text not null check (shown_digest ~ '^sha256:[0-9a-f]{64}$'),
  -- The rules that ask for people, and the roles that may decide.
  rules text[] not null check (cardinality(rules) > 0),
  roles text[] not null,
  -- Whoever sent it, or null where it was due; and why.
  sent_by text check (sent_by <> ''),
  reason text not null check (reason <> ''),
  sent_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  ending text check (ending in ('decided', 'expired', 'withdrawn')),
  ended_at timestamptz,
  verdict text check (verdict in ('approve', 'deny', 'request_changes')),
  -- The decision, as it was signed.
  record json,
  waited_seconds double precision check (waited_seconds >= 0),
  -- Whoever decided, in lower case: what is counted of a person.
  decided_by text check (decided_by <> ''),
  primary key (tenant, action_id),
  check (num_nulls(ending, ended_at) in (0, 2)),
  check (case when ending = 'decided' then num_nulls(verdict, record, waited_seconds, decided_by) = 0 else num_nonnulls(verdict, record, waited_seconds, decided_by) = 0 end)
);

-- Which schedule canaries are drawn by, for each task queue: that of the worker which started last.
create table countersign.canary_schedules (
  task_queue text primary key check (task_queue <> ''),
  schedule jsonb not null,
  put_by text not null,
  put_at timestamptz not null default clock_timestamp(),
  -- A worker that was to draw by it, and has another.
  other_by text,
  other_at timestamptz,
  check (num_nulls(other_by, other_at) in (0, 2))
);

create index canaries_in_time on countersign.canaries (tenant, sent_at);

create trigger keep before delete or truncate on countersign.canaries
  for each statement execute function countersign.refuse_change();
create trigger final before update on countersign.canaries for each row when (
  old.ending is not null
  or row(new.tenant, new.action_id, new.nonce, new.shown_digest, new.rules, new.roles, new.sent_by, new.reason, new.sent_at, new.expires_at)
    is distinct from
    row(old.tenant, old.action_id, old.nonce, old.shown_digest, old.rules, old.roles, old.sent_by, old.reason, old.sent_at, old.expires_at)
) execute function countersign.refuse_change();

-- An id that a canary had is no action's: no grant can be issued under it, whatever a worker makes of a decision on the canary.
create function countersign.refuse_canary() returns trigger language plpgsql as $$
begin
  if exists (select from countersign.canaries as c where c.tenant = new.tenant and c.action_id = new.action_id) then
    raise exception 'the ledger issues no grant for a canary' using errcode = 'restrict_violation', table = 'canaries';
  end if;
  return new;
end $$;
create trigger canary before insert on countersign.grants for each row execute function countersign.refuse_canary();

create trigger trail after insert on countersign.canaries for each row
  execute function countersign.trail_row('canary_sent', 'action_id', 'ending', 'ended_at', 'verdict', 'record', 'waited_seconds', 'decided_by');
create trigger trail_ended after update on countersign.canaries
  for each row when (old.ending is null and new.ending is not null) execute function countersign.trail_row('canary_ended', 'action_id');

alter function countersign.trail_evidence(text, text, text, bigint) rename to trail_evidence_before_canaries;

create function countersign.trail_evidence(p_tenant text, p_kind text, p_subject text, p_receipt bigint)
returns text language sql stable set timezone = 'UTC' as $$
  select case
    when p_kind = 'canary_sent' then (
      select countersign.trail_text(to_jsonb(c) - '{ending,ended_at,verdict,record,waited_seconds,decided_by}'::text[])
      from countersign.canaries as c where c.tenant = p_tenant and c.action_id = p_subject)
    when p_kind = 'canary_ended' then (
      select countersign.trail_text(to_jsonb(c)) from countersign.canaries as c where c.tenant = p_tenant and c.action_id = p_subject)
    else countersign.trail_evidence_before_canaries(p_tenant, p_kind, p_subject, p_receipt)
  end
$$;
