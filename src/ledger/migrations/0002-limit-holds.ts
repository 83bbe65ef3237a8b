/**
 * The functions that count. They run inside the statements of admission and settling, and take their time from the database alone,
 * after they have what they lock. Counters are always locked in one order (limit, key, kind, bytewise), so nobody waits in a circle;
 * a hold is changed only under the lock of its counter.
 */
import { sql, type Kysely } from 'kysely';
import { NOW, type Name } from './0002-limit-reading.js';

/** Needs the functions that read. */
export async function createHolding(db: Kysely<unknown>, name: Name): Promise<void> {
  await taking(db, name);
  await placing(db, name);
  await settling(db, name);
}

async function taking(db: Kysely<unknown>, name: Name): Promise<void> {
  const [counter, demand] = [name('limit_counters'), name('limit_demand')];

  // Takes what one demand asks of its counter in one statement, so that the row is locked for as short as can be, and returns the reading
  // from before. Null, and nothing taken, where that statement cannot do it: the long way finds out why.
  await sql`
    create function ${name('take')}(p_tenant text, d ${demand}, at bigint) returns jsonb language plpgsql as $$
    declare
      c ${counter};
      now_used numeric;
      now_held numeric;
      now_full bigint;
      now_slot bigint := case when d.width > 0 then at / d.width else 0 end;
    begin
      if d.kind = 'breaker' then
        select * into c from ${counter} as k
        where k.tenant = p_tenant and k."limit" = d."limit" and k.key = d.key and k.kind = d.kind;
        -- Closed is how breakers mostly are, and then a hold on one changes nothing in its row.
        if c.open_until is not null or c.held > 0 then return null; end if;
        if c.tenant is null then c := ${name('blank_counter')}(p_tenant, d, at); end if;
        return ${name('limit_reading')}(c, d, null, at);
      elsif d.kind = 'rate' then
        update ${counter} as k
        set full_at = greatest(k.full_at, at) + d.width, width = d.width, updated_at = clock_timestamp()
        where k.tenant = p_tenant and k."limit" = d."limit" and k.key = d.key and k.kind = d.kind
          and (k.full_at is null or k.full_at - at <= (d.max - 1) * d.width) and d.max >= 1
        returning k.full_at into now_full;
        if not found then return null; end if;
        now_used := ceil((now_full - d.width - at)::numeric / d.width);
        now_held := 0;
      elsif d.keep = 0 then
        update ${counter} as k
        set used = case when k.slot < now_slot then 0 else k.used end,
          held = case when k.slot < now_slot then 0 else k.held end + d.amount, slot = now_slot, updated_at = clock_timestamp()
        where k.tenant = p_tenant and k."limit" = d."limit" and k.key = d.key and k.kind = d.kind
          and k.width = d.width and k.keep = 0 and k.slot <= now_slot
          and case when k.slot < now_slot then 0 else k.used + k.held end + d.amount <= d.max
        returning k.used, k.held - d.amount into now_used, now_held;
        if not found then return null; end if;
      else
        return null;
      end if;
      return jsonb_build_object('limit', d."limit", 'key', d.key, 'kind', d.kind, 'max', d.max,
        'used', now_used, 'held', now_held, 'left', d.max - now_used - now_held, 'fits', true);
    end $$`.execute(db);
}

async function placing(db: Kysely<unknown>, name: Name): Promise<void> {
  const [counter, demand, holds] = [name('limit_counters'), name('limit_demand'), name('holds')];

  // The grant and the holds of an action, all or none. The caller has the action's row locked, and it has no outcome. What can be
  // written before the counters are locked is: a counter may be the row that everybody waits for.
  await sql`
    create function ${name('place_holds')}(
      p_tenant text, p_action text, p_agent text, p_tool text, p_jti text, p_expires timestamptz, p_demands jsonb)
    returns jsonb language plpgsql as $$
    declare
      d ${demand};
      c ${counter};
      own ${holds};
      began bigint := ${NOW};
      at bigint;
      ds ${demand}[];
      cs ${counter}[];
      owns ${holds}[];
      ats bigint[];
      n integer := 0;
      -- A repeated admission: then there is something to compare with.
      known boolean := exists (select from ${holds} as h where h.tenant = p_tenant and h.action_id = p_action);
      issued boolean;
      reading jsonb;
      readings jsonb := '[]';
      fits boolean := true;
      probe boolean;
    begin
      insert into ${name('grants')} (jti, tenant, action_id, agent, tool, expires_at)
      values (p_jti, p_tenant, p_action, p_agent, p_tool, p_expires)
      on conflict (jti) do nothing;
      issued := found;

      if known then
        p_demands := p_demands || coalesce((
          select jsonb_agg(jsonb_build_object('limit', h."limit", 'key', h.key, 'kind', h.kind, 'stale', true))
          from ${holds} as h
          where h.tenant = p_tenant and h.action_id = p_action and h.status = 'held'
            -- What a used grant may have spent is not given back, whatever the action asks for now. The action's row is locked.
            and not exists (
              select from ${name('actions')} as a
              where a.tenant = p_tenant and a.action_id = p_action and a.uses > a.returned)
            and not exists (
              select from jsonb_to_recordset(p_demands) as asked("limit" text, key text, kind text)
              where asked."limit" = h."limit" and asked.key = h.key and asked.kind = h.kind)), '[]');
      elsif jsonb_array_length(p_demands) = 1 then
        d := jsonb_populate_record(null::${demand}, p_demands -> 0);
        insert into ${holds} (tenant, action_id, "limit", key, kind, amount, width, keep, slot, breaker, status, settled_at)
        values (p_tenant, p_action, d."limit", d.key, d.kind, case d.kind when 'rate' then 1 when 'breaker' then 0 else d.amount end,
          d.width, d.keep, case when d.width > 0 then began / d.width else 0 end,
          case when d.kind = 'breaker' then jsonb_strip_nulls(to_jsonb(d)) end,
          case when d.kind = 'rate' then 'consumed' else 'held' end, case when d.kind = 'rate' then clock_timestamp() end);
        reading := ${name('take')}(p_tenant, d, began);
        if reading is not null then
          return jsonb_build_object('fits', true, 'issued', issued, 'limits', jsonb_build_array(reading));
        end if;
      else
        insert into ${holds} (tenant, action_id, "limit", key, kind, amount, width, keep, slot, breaker, status, settled_at)
        select p_tenant, p_action, f."limit", f.key, f.kind, case f.kind when 'rate' then 1 when 'breaker' then 0 else f.amount end,
          f.width, f.keep, case when f.width > 0 then began / f.width else 0 end,
          case when f.kind = 'breaker' then jsonb_strip_nulls(to_jsonb(f)) end,
          case when f.kind = 'rate' then 'consumed' else 'held' end, case when f.kind = 'rate' then clock_timestamp() end
        from jsonb_populate_recordset(null::${demand}, p_demands) as f;
        -- The block, which costs something, is there to give back what was taken before the one that could not be.
        begin
          for d in
            select * from jsonb_populate_recordset(null::${demand}, p_demands)
            order by "limit" collate "C", key collate "C", kind collate "C"
          loop
            reading := ${name('take')}(p_tenant, d, began);
            if reading is null then raise exception 'the long way' using errcode = 'CS001'; end if;
            readings := readings || reading;
          end loop;
          return jsonb_build_object('fits', true, 'issued', issued, 'limits', readings);
        exception when sqlstate 'CS001' then
          readings := '[]';
        end;
      end if;

      for d in
        select * from jsonb_populate_recordset(null::${demand}, p_demands)
        order by "limit" collate "C", key collate "C", kind collate "C"
      loop
        c := null;
        if d.kind = 'breaker' then
          -- Closed is how breakers mostly are, and then a hold on one changes nothing in its row.
          select * into c from ${counter} as k
          where k.tenant = p_tenant and k."limit" = d."limit" and k.key = d.key and k.kind = d.kind;
        end if;
        if d.kind <> 'breaker' or c.open_until is not null or c.held > 0 then
          select * into c from ${counter} as k
          where k.tenant = p_tenant and k."limit" = d."limit" and k.key = d.key and k.kind = d.kind
          for update;
          if not found then
            c := ${name('blank_counter')}(p_tenant, d, ${NOW});
            insert into ${counter} (tenant, "limit", key, kind, width, keep, slot)
            values (c.tenant, c."limit", c.key, c.kind, c.width, c.keep, c.slot)
            on conflict do nothing;
            select * into c from ${counter} as k
            where k.tenant = p_tenant and k."limit" = d."limit" and k.key = d.key and k.kind = d.kind
            for update;
          end if;
        end if;
        at := ${NOW};
        if c.tenant is null then c := ${name('blank_counter')}(p_tenant, d, at); end if;
        own := null;
        if known then
          select * into own from ${holds} as h
          where h.tenant = p_tenant and h.action_id = p_action and h."limit" = d."limit" and h.key = d.key and h.kind = d.kind;
        end if;
        if d.stale is not true then
          reading := ${name('limit_reading')}(c, d, own, at);
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
        if issued then delete from ${name('grants')} where jti = p_jti; end if;
        if not known then delete from ${holds} where tenant = p_tenant and action_id = p_action; end if;
        return jsonb_build_object('fits', false, 'issued', false, 'limits', readings);
      end if;

      for i in 1 .. n loop
        d := ds[i];
        c := cs[i];
        own := owns[i];
        at := ats[i];
        probe := false;
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
          c := ${name('rolled')}(c, at);
          if own.status = 'held' and ${name('counts')}(c, own) then
            c := ${name('with_added')}(c, own.slot, 0, -own.amount);
          end if;
          if d.stale is not true then
            if c.width <> d.width or c.keep <> d.keep then
              update ${holds} as h
              set width = d.width, keep = d.keep, slot = case when d.width = 0 then 0 else at / d.width end
              where h.tenant = p_tenant and h."limit" = d."limit" and h.key = d.key and h.kind = d.kind
                and h.settled_at is null and ${name('counts')}(c, h);
              c := ${name('shaped')}(c, d.width, d.keep, at);
            end if;
            c := ${name('with_added')}(c, c.slot, 0, d.amount);
          end if;
        end if;

        if d.stale then
          update ${holds} as h set status = 'released', settled_at = clock_timestamp()
          where h.tenant = p_tenant and h.action_id = p_action and h."limit" = d."limit" and h.key = d.key and h.kind = d.kind;
        elsif known then
          insert into ${holds} as h (tenant, action_id, "limit", key, kind, amount, width, keep, slot, breaker, opened, status, settled_at)
          values (p_tenant, p_action, d."limit", d.key, d.kind, d.amount, c.width, c.keep, c.slot,
            case when d.kind = 'breaker' then jsonb_strip_nulls(to_jsonb(d)) end, case when probe then c.opened end,
            case when d.kind = 'rate' then 'consumed' else 'held' end, case when d.kind = 'rate' then clock_timestamp() end)
          on conflict (tenant, action_id, "limit", key, kind) do update set
            amount = excluded.amount, width = excluded.width, keep = excluded.keep, slot = excluded.slot,
            breaker = excluded.breaker, opened = excluded.opened, status = excluded.status,
            placed_at = excluded.placed_at, settled_at = excluded.settled_at;
        elsif probe or (d.kind in ('budget', 'count') and c.width > 0 and c.slot <> began / c.width) then
          update ${holds} as h set amount = d.amount, slot = c.slot, opened = case when probe then c.opened end
          where h.tenant = p_tenant and h.action_id = p_action and h."limit" = d."limit" and h.key = d.key and h.kind = d.kind;
        end if;
        continue when d.kind = 'breaker' and not probe and coalesce(own.amount, 0) = 0;
        update ${counter} as k
        set used = c.used, held = c.held, width = c.width, keep = c.keep, slot = c.slot, slots = c.slots, slot_used = c.slot_used,
          slot_held = c.slot_held, full_at = c.full_at, updated_at = clock_timestamp()
        where k.tenant = p_tenant and k."limit" = d."limit" and k.key = d.key and k.kind = d.kind;
      end loop;
      return jsonb_build_object('fits', true, 'issued', issued, 'limits', readings);
    end $$`.execute(db);
}

async function settling(db: Kysely<unknown>, name: Name): Promise<void> {
  const [counter, demand, holds] = [name('limit_counters'), name('limit_demand'), name('holds')];

  // The caller has the action's row locked and its outcome written. What is not held any more is left alone.
  await sql`
    create function ${name('settle_holds')}(p_tenant text, p_action text, p_disposition text, p_result text, p_amounts jsonb)
    returns integer language plpgsql as $$
    declare
      id record;
      d ${demand};
      c ${counter};
      h ${holds};
      at bigint;
      spent numeric;
      results numeric;
      n integer := 0;
    begin
      for id in
        select o."limit", o.key, o.kind from ${holds} as o
        where o.tenant = p_tenant and o.action_id = p_action and o.status in ('held', 'kept')
        order by o."limit" collate "C", o.key collate "C", o.kind collate "C"
      loop
        n := n + 1;
        select * into c from ${counter} as k
        where k.tenant = p_tenant and k."limit" = id."limit" and k.key = id.key and k.kind = id.kind
        for update;
        if not found then
          -- A breaker's row comes with its first result.
          insert into ${counter} (tenant, "limit", key, kind) values (p_tenant, id."limit", id.key, id.kind) on conflict do nothing;
          select * into c from ${counter} as k
          where k.tenant = p_tenant and k."limit" = id."limit" and k.key = id.key and k.kind = id.kind
          for update;
        end if;
        select * into h from ${holds} as o
        where o.tenant = p_tenant and o.action_id = p_action and o."limit" = id."limit" and o.key = id.key and o.kind = id.kind;
        at := ${NOW};

        if p_disposition = 'keep' and id.kind <> 'breaker' then
          update ${holds} as o set status = 'kept'
          where o.tenant = p_tenant and o.action_id = p_action and o."limit" = id."limit" and o.key = id.key and o.kind = id.kind;
          continue;
        end if;
        if id.kind = 'breaker' then
          c.held := c.held - h.amount;
          if p_result is not null then
            d := jsonb_populate_record(null::${demand}, h.breaker);
            c := ${name('shaped')}(c, d.width, d.keep, at);
            if c.open_until is null then
              c := ${name('with_added')}(c, c.slot, case p_result when 'bad' then 1 else 0 end, case p_result when 'bad' then 0 else 1 end);
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
          if ${name('counts')}(c, h) then c := ${name('with_added')}(c, h.slot, spent, -h.amount); end if;
        end if;

        update ${counter} as k
        set used = c.used, held = c.held, width = c.width, keep = c.keep, slot = c.slot, slots = c.slots, slot_used = c.slot_used,
          slot_held = c.slot_held, open_until = c.open_until, opened = c.opened, proved = c.proved, updated_at = clock_timestamp()
        where k.tenant = p_tenant and k."limit" = id."limit" and k.key = id.key and k.kind = id.kind;
        update ${holds} as o
        set status = case when id.kind = 'breaker' then case when p_result is null then 'released' else 'consumed' end
            when p_disposition = 'release' then 'released' else 'consumed' end,
          amount = case when id.kind = 'budget' and p_disposition = 'consume' then spent else o.amount end,
          settled_at = clock_timestamp()
        where o.tenant = p_tenant and o.action_id = p_action and o."limit" = id."limit" and o.key = id.key and o.kind = id.kind;
      end loop;
      return n;
    end $$`.execute(db);
}
