/** The functions that read limits: the type of a demand, how a counter's window moves on, and where it stands for a demand. */
import { sql, type Kysely, type RawBuilder } from 'kysely';

export type Name = (object: string) => RawBuilder<unknown>;

/** Microseconds since 1970. */
export const NOW = sql.raw('(extract(epoch from clock_timestamp()) * 1000000)::bigint');

export async function createReading(db: Kysely<unknown>, name: Name): Promise<void> {
  // A LimitDemand, with its window as slots and all times in microseconds. `max` is a rate's capacity and a breaker's probes.
  // `stale` marks a hold that the action has and does not ask for any more.
  await sql`
    create type ${name('limit_demand')} as (
      "limit" text, key text, kind text, amount numeric, max numeric, width bigint, keep smallint,
      minimum numeric, ratio numeric, open_for bigint, over boolean, stale boolean
    )`.execute(db);
  await windows(db, name);
  await reading(db, name);
}

/** How a counter's window moves on, and how something is put into it. Pure: whoever calls them writes the row. */
async function windows(db: Kysely<unknown>, name: Name): Promise<void> {
  const counter = name('limit_counters');

  await sql`
    create function ${name('rolled')}(c ${counter}, at bigint) returns ${counter} language plpgsql immutable as $$
    declare
      -- A clock that was set back does not bring an old window back.
      newest bigint := case when c.width = 0 then 0 else greatest(c.slot, at / c.width) end;
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
    end $$`.execute(db);

  // A limit whose window was changed forgets nothing: what was in the old window is put into the newest slot of the new one.
  await sql`
    create function ${name('shaped')}(c ${counter}, new_width bigint, new_keep smallint, at bigint)
    returns ${counter} language plpgsql immutable as $$
    begin
      c := ${name('rolled')}(c, at);
      if c.width <> new_width or c.keep <> new_keep then
        c.width := new_width;
        c.keep := new_keep;
        c.slot := case when new_width = 0 then 0 else at / new_width end;
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
    end $$`.execute(db);

  await sql`
    create function ${name('with_added')}(c ${counter}, to_slot bigint, more_used numeric, more_held numeric)
    returns ${counter} language plpgsql immutable as $$
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
    end $$`.execute(db);

  // Whether the window that a hold was placed in is still counted. When it is over, the hold is in no sum any more.
  await sql`
    create function ${name('counts')}(c ${counter}, h ${name('holds')}) returns boolean language plpgsql immutable as $$
    begin
      return h.width = c.width and h.keep = c.keep
        and case when c.keep = 0 then h.slot = c.slot else h.slot = any (c.slots) end;
    end $$`.execute(db);
}

async function reading(db: Kysely<unknown>, name: Name): Promise<void> {
  const [counter, demand, holds] = [name('limit_counters'), name('limit_demand'), name('holds')];

  // A LimitReading. What the action itself holds does not stand against it; what it holds already fits.
  await sql`
    create function ${name('limit_reading')}(c ${counter}, d ${demand}, own ${holds}, at bigint)
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
        c := ${name('shaped')}(c, d.width, d.keep, at);
        state := case when c.open_until is null then 'closed' when at < c.open_until then 'open' else 'half_open' end;
        if own.status = 'held' then c.held := c.held - own.amount; end if;
        room := case state when 'closed' then d.max when 'open' then 0 else d.max - c.held end;
        fits := room >= 1;
        if state = 'open' then retry := c.open_until - at; end if;
      else
        c := ${name('rolled')}(c, at);
        if own.status = 'held' and ${name('counts')}(c, own) then
          c := ${name('with_added')}(c, own.slot, 0, -own.amount);
        end if;
        c := ${name('shaped')}(c, d.width, d.keep, at);
        room := d.max - c.used - c.held;
        fits := d.amount <= room or d.amount = 0 or (own.status is not distinct from 'held' and own.amount = d.amount);
        if fits is not true and d.amount <= d.max and d.width > 0 then
          if d.keep = 0 then
            retry := (c.slot + 1) * d.width - at;
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
    end $$`.execute(db);

  await sql`
    create function ${name('blank_counter')}(p_tenant text, d ${demand}, at bigint) returns ${counter} language plpgsql immutable as $$
    declare
      c ${counter};
    begin
      c.tenant := p_tenant;
      c."limit" := d."limit";
      c.key := d.key;
      c.kind := d.kind;
      c.used := 0;
      c.held := 0;
      c.width := coalesce(d.width, 0);
      c.keep := coalesce(d.keep, 0);
      c.slot := case when c.width = 0 then 0 else at / c.width end;
      c.opened := 0;
      c.proved := 0;
      return c;
    end $$`.execute(db);

  await sql`
    create function ${name('read_limits')}(p_tenant text, p_action text, p_demands jsonb)
    returns jsonb language plpgsql stable as $$
    declare
      d ${demand};
      c ${counter};
      own ${holds};
      at bigint := ${NOW};
      readings jsonb := '[]';
    begin
      for d in select * from jsonb_populate_recordset(null::${demand}, p_demands) loop
        select * into c from ${counter} as k
        where k.tenant = p_tenant and k."limit" = d."limit" and k.key = d.key and k.kind = d.kind;
        if not found then c := ${name('blank_counter')}(p_tenant, d, at); end if;
        select * into own from ${holds} as h
        where h.tenant = p_tenant and h.action_id = p_action and h."limit" = d."limit" and h.key = d.key and h.kind = d.kind;
        readings := readings || ${name('limit_reading')}(c, d, own, at);
      end loop;
      return readings;
    end $$`.execute(db);
}
