-- Grants of actions that take long to conclude. What an action's receipt would bring into the trail is entered without waiting for it: a grant that
-- was used, and whose action has no outcome yet. A round enters them, so that an action pays for it only when it is slow; the receipt then names the
-- entry and does not repeat it. The lock on the action's row keeps the two apart: whoever settles the action writes that row first, and whoever enters
-- its grants holds it until the entry is committed.

-- The number of the entry that the grant has of its own.
alter table countersign.grants add column trail_seq bigint check (trail_seq is null or used_at is not null);

drop trigger final on countersign.grants;
create trigger final before update on countersign.grants for each row when (
  (old.returned_at is not null
    and row(new.used_at, new.used_by, new.returned_at) is distinct from row(old.used_at, old.used_by, old.returned_at))
  or (old.used_at is not null
    and row(new.used_at, new.used_by) is distinct from row(old.used_at, old.used_by))
  or (old.trail_seq is not null and new.trail_seq is distinct from old.trail_seq)
  or row(new.jti, new.tenant, new.action_id, new.agent, new.tool, new.issued_at, new.expires_at)
    is distinct from row(old.jti, old.tenant, old.action_id, old.agent, old.tool, old.issued_at, old.expires_at)
) execute function countersign.refuse_change();

-- Of an entry that is about one grant, which: no grant has two.
alter table countersign.trail add column grant_jti text check ((kind = 'grant_used') = (grant_jti is not null));

create unique index trail_grants on countersign.trail (tenant, grant_jti) where grant_jti is not null;

drop function countersign.append_trail(text, text, timestamptz, text, text, bigint, jsonb);

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

-- A receipt, with the grants of its action: when each was issued, used and returned, or the entry that says so already.
create or replace function countersign.trail_receipt() returns trigger language plpgsql as $$
begin
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

-- The text that the entry of a grant has the digest of: all that is known of it once it was used.
create function countersign.trail_grant_text(g countersign.grants) returns text language sql stable set timezone = 'UTC' as $$
  select countersign.trail_text(to_jsonb(g) - '{returned_at,trail_seq}'::text[])
$$;

-- Enters those of a tenant's grants that were used, have no entry, and whose action has no outcome. Returns how many. Rows that somebody else has locked are
-- left to the next round: nobody is waited for but other writers of this trail, and of two that enter the same grant one does.
create function countersign.enter_grants(p_tenant text, p_jtis text[]) returns integer language plpgsql as $$
declare
  used countersign.grants;
  number bigint;
  entered integer := 0;
begin
  for used in
    select g.* from countersign.grants as g
    join countersign.actions as a on a.tenant = g.tenant and a.action_id = g.action_id
    where g.tenant = p_tenant and g.jti = any (p_jtis) and g.used_at is not null and g.trail_seq is null and a.status is null
    order by g.used_at, g.jti
    for no key update skip locked
  loop
    number := countersign.append_trail(used.tenant, 'grant_used', clock_timestamp(), used.action_id,
      countersign.trail_digest(countersign.trail_grant_text(used)), null,
      jsonb_build_object('grants', jsonb_build_array(countersign.trail_grant(used))), used.jti);
    update countersign.grants as g set trail_seq = number where g.jti = used.jti;
    entered := entered + 1;
  end loop;
  return entered;
end $$;

alter function countersign.trail_evidence(text, text, text, bigint) rename to trail_evidence_before_grants;

create function countersign.trail_evidence(p_tenant text, p_kind text, p_subject text, p_receipt bigint, p_grant text)
returns text language sql stable as $$
  select case
    when p_kind = 'grant_used' then (
      select countersign.trail_grant_text(g) from countersign.grants as g where g.tenant = p_tenant and g.jti = p_grant)
    else countersign.trail_evidence_before_grants(p_tenant, p_kind, p_subject, p_receipt)
  end
$$;
