-- The audit trail: one hash chain of entries for each tenant, and one under `*` for what is about every tenant. Triggers write it, within the
-- statement that writes what an entry is about, so that neither can be there without the other and nobody waits for a round trip more.
--
-- An entry is a text, hashed as it is: SHA-256 over a zero byte and its UTF-8, which is the hash of a leaf in RFC 6962. It names the hash of the
-- entry before. It holds digests, numbers and ids; what they are digests of stays in its own table, and can be erased there.

create table countersign.trail (
  tenant text not null check (tenant <> ''),
  seq bigint not null check (seq >= 1),
  kind text not null check (kind <> ''),
  -- What it is about: an action's id, a freeze's number.
  subject text not null,
  -- Of the receipt, where it is about one.
  receipt_seq bigint,
  -- Of the grant, where it is about one: no grant has two.
  grant_jti text,
  entry text not null,
  hash text not null check (hash = 'sha256:' || encode(sha256('\x00'::bytea || convert_to(entry, 'UTF8')), 'hex')),
  primary key (tenant, seq),
  check ((kind = 'receipt') = (receipt_seq is not null)),
  check ((kind = 'grant_used') = (grant_jti is not null))
);

create unique index trail_receipts on countersign.trail (tenant, receipt_seq) where receipt_seq is not null;

create unique index trail_grants on countersign.trail (tenant, grant_jti) where grant_jti is not null;

create index trail_subjects on countersign.trail (tenant, subject, seq);

create trigger keep before update or delete or truncate on countersign.trail
  for each statement execute function countersign.refuse_change();

-- What workers signed: the Merkle root (RFC 6962) over the first `size` entries.
create table countersign.trail_checkpoints (
  tenant text not null,
  size bigint not null check (size >= 1),
  -- The size of the one before; 0 for the first. Of several that go on from the same one, the first is it.
  prev_size bigint not null check (prev_size between 0 and size - 1),
  jws text not null,
  -- The roots of the complete subtrees, largest first: from them the next one goes on, without the entries before.
  peaks text[] not null,
  at timestamptz not null default clock_timestamp(),
  primary key (tenant, size),
  unique (tenant, prev_size),
  foreign key (tenant, size) references countersign.trail (tenant, seq)
);

create trigger keep before update or delete or truncate on countersign.trail_checkpoints
  for each statement execute function countersign.refuse_change();

-- Where checkpoints were put outside of this database.
create table countersign.trail_anchors (
  tenant text not null,
  size bigint not null,
  anchor text not null check (anchor <> ''),
  -- What the place said: a commit, the status of an answer.
  detail text not null,
  at timestamptz not null default clock_timestamp(),
  primary key (tenant, size, anchor),
  foreign key (tenant, size) references countersign.trail_checkpoints (tenant, size)
);

create trigger keep before update or delete or truncate on countersign.trail_anchors
  for each statement execute function countersign.refuse_change();

create function countersign.trail_time(at timestamptz) returns text language sql immutable as $$
  select to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- Appends an entry, and returns its number. The lock is the last that a statement takes: triggers run when it has done everything else.
create function countersign.append_trail(
  p_tenant text, p_kind text, p_at timestamptz, p_subject text, p_digest text, p_receipt bigint, p_more jsonb, p_grant text default null)
returns bigint language plpgsql as $$
declare
  last_seq bigint;
  last_hash text;
  body text;
begin
  perform pg_advisory_xact_lock(1668178290, hashtext(p_tenant));
  select t.seq, t.hash into last_seq, last_hash from countersign.trail as t where t.tenant = p_tenant order by t.seq desc limit 1;
  last_seq := coalesce(last_seq, 0) + 1;
  body := (jsonb_build_object('v', 1, 'tenant', p_tenant, 'seq', last_seq, 'prev', last_hash, 'kind', p_kind,
    'at', countersign.trail_time(p_at), 'subject', p_subject, 'digest', p_digest) || p_more)::text;
  insert into countersign.trail (tenant, seq, kind, subject, receipt_seq, grant_jti, entry, hash)
  values (p_tenant, last_seq, p_kind, p_subject, p_receipt, p_grant, body,
    'sha256:' || encode(sha256('\x00'::bytea || convert_to(body, 'UTF8')), 'hex'));
  return last_seq;
end $$;

-- A grant as entries have it.
create function countersign.trail_grant(g countersign.grants) returns jsonb language sql immutable as $$
  select jsonb_strip_nulls(jsonb_build_object('jti', g.jti, 'issuedAt', countersign.trail_time(g.issued_at),
    'expiresAt', countersign.trail_time(g.expires_at), 'usedAt', countersign.trail_time(g.used_at),
    'returnedAt', countersign.trail_time(g.returned_at)))
$$;

-- A receipt, with the grants of the action that it ends: when each was issued, used and returned, or the entry that says so already.
create function countersign.trail_receipt() returns trigger language plpgsql as $$
begin
  -- A receipt that ends no action, such as that for a command, or for the refusal of another proposal under an action's id, has no grants to tell.
  if not exists (
    select from countersign.actions as a where a.tenant = new.tenant and a.action_id = new.action_id and a.receipt_seq = new.seq
  ) then
    perform countersign.append_trail(
      new.tenant, 'receipt', new.at, new.action_id, new.hash, new.seq, jsonb_build_object('receipt', new.seq));
    return null;
  end if;
  perform countersign.append_trail(new.tenant, 'receipt', new.at, new.action_id, new.hash, new.seq, jsonb_build_object(
    'receipt', new.seq,
    'grants', coalesce((
      select jsonb_agg(
        case when g.trail_seq is null then countersign.trail_grant(g)
          else jsonb_strip_nulls(jsonb_build_object('jti', g.jti, 'entry', g.trail_seq, 'returnedAt', countersign.trail_time(g.returned_at)))
        end order by g.issued_at, g.jti)
      from countersign.grants as g where g.tenant = new.tenant and g.action_id = new.action_id), '[]')));
  return null;
end $$;

create trigger trail after insert on countersign.receipts for each row execute function countersign.trail_receipt();

-- A row as the text that an entry has the digest of. Columns that are added later are null in rows of before, and left out.
create function countersign.trail_text(r jsonb) returns text language sql immutable as $$
  select jsonb_strip_nulls(r)::text
$$;

create function countersign.trail_digest(r text) returns text language sql immutable as $$
  select 'sha256:' || encode(sha256(convert_to(r, 'UTF8')), 'hex')
$$;

-- Any other row. Arguments: the kind of entry, the column with the subject, and columns that a later entry is about.
create function countersign.trail_row() returns trigger language plpgsql set timezone = 'UTC' as $$
declare
  r jsonb := to_jsonb(new);
begin
  perform countersign.append_trail(coalesce(r ->> 'tenant', '*'), tg_argv[0], clock_timestamp(), r ->> tg_argv[1],
    countersign.trail_digest(countersign.trail_text(r - coalesce(tg_argv[2:], '{}'))), null, '{}');
  return null;
end $$;

create trigger trail after insert on countersign.freezes
  for each row execute function countersign.trail_row('freeze', 'id', 'lifted_at', 'lifted_by', 'lift_reason');
create trigger trail_lifted after update on countersign.freezes
  for each row when (old.lifted_at is null and new.lifted_at is not null) execute function countersign.trail_row('unfreeze', 'id');
create trigger trail after insert on countersign.revocations
  for each row execute function countersign.trail_row('revocation', 'jti');
create trigger trail after insert on countersign.policy_changes
  for each row execute function countersign.trail_row('policy_change', 'seq');
create trigger trail after insert on countersign.policy_approvals
  for each row execute function countersign.trail_row('policy_approval', 'id');
create trigger trail after insert on countersign.standing_approvals
  for each row execute function countersign.trail_row('standing_approval', 'id');
create trigger trail after insert on countersign.role_delegations
  for each row execute function countersign.trail_row('role_delegation', 'id');
create trigger trail after insert on countersign.passkeys
  for each row execute function countersign.trail_row('passkey_enrolled', 'credential_id', 'counter', 'retired_at', 'retired_by', 'retire_reason');
create trigger trail_retired after update on countersign.passkeys
  for each row when (old.retired_at is null and new.retired_at is not null)
  execute function countersign.trail_row('passkey_retired', 'credential_id', 'counter');

-- A person's decision: the digest of what they signed. The decision itself is not kept as it was signed.
create function countersign.trail_decision() returns trigger language plpgsql as $$
begin
  perform countersign.append_trail(new.tenant, 'decision', clock_timestamp(), new.action_id, new.digest, null,
    jsonb_build_object('verdict', new.verdict, 'shown', new.shown_digest, 'refused', new.refused));
  return null;
end $$;

create trigger trail after insert on countersign.decisions for each row execute function countersign.trail_decision();

-- The text that an entry's digest is of, as it can be made from its table today; null where it is not there (any more).
create function countersign.trail_evidence(p_tenant text, p_kind text, p_subject text, p_receipt bigint)
returns text language sql stable set timezone = 'UTC' as $$
  select case p_kind
    when 'receipt' then (select r.jws from countersign.receipts as r where r.tenant = p_tenant and r.seq = p_receipt)
    when 'freeze' then (
      select countersign.trail_text(to_jsonb(f) - '{lifted_at,lifted_by,lift_reason}'::text[])
      from countersign.freezes as f where f.id = p_subject::integer)
    when 'unfreeze' then (select countersign.trail_text(to_jsonb(f)) from countersign.freezes as f where f.id = p_subject::integer)
    when 'revocation' then (
      select countersign.trail_text(to_jsonb(r)) from countersign.revocations as r where r.tenant = p_tenant and r.jti = p_subject)
    when 'policy_change' then (
      select countersign.trail_text(to_jsonb(c)) from countersign.policy_changes as c where c.seq = p_subject::bigint)
    when 'policy_approval' then (select countersign.trail_text(to_jsonb(a)) from countersign.policy_approvals as a where a.id = p_subject)
    when 'standing_approval' then (
      select countersign.trail_text(to_jsonb(s)) from countersign.standing_approvals as s where s.tenant = p_tenant and s.id = p_subject)
    when 'role_delegation' then (
      select countersign.trail_text(to_jsonb(d)) from countersign.role_delegations as d where d.tenant = p_tenant and d.id = p_subject)
    when 'passkey_enrolled' then (
      select countersign.trail_text(to_jsonb(k) - '{counter,retired_at,retired_by,retire_reason}'::text[])
      from countersign.passkeys as k where k.tenant = p_tenant and k.credential_id = p_subject)
    when 'passkey_retired' then (
      select countersign.trail_text(to_jsonb(k) - '{counter}'::text[])
      from countersign.passkeys as k where k.tenant = p_tenant and k.credential_id = p_subject)
  end
$$;

-- What was recorded before there was a trail: its receipts, in their order.
do $$
declare
  r record;
begin
  for r in select tenant, seq, hash, action_id, at from countersign.receipts order by tenant, seq loop
    perform countersign.append_trail(r.tenant, 'receipt', r.at, r.action_id, r.hash, r.seq,
      jsonb_build_object('receipt', r.seq, 'grants', '[]'::jsonb));
  end loop;
end $$;
