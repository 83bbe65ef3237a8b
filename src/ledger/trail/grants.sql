-- Grants of actions that take long to conclude. What an action's receipt would bring into the trail is entered without waiting for it: a grant that
-- was used, and whose action has no outcome yet. A round enters them, so that an action pays for it only when it is slow; the receipt then names the
-- entry and does not repeat it. The lock on the action's row keeps the two apart: whoever settles the action writes that row first, and whoever enters
-- its grants holds it until the entry is committed.

-- The text that the entry of a grant has the digest of: all that is known of it once it was used, and does not change after.
create function countersign.trail_grant_text(g countersign.grants) returns text language sql stable set timezone = 'UTC' as $$
  select countersign.trail_text(to_jsonb(g) - '{returned_at,trail_seq,attempt}'::text[])
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
