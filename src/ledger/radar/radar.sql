-- The radar: what was written to the tools' systems past every action, and how far each system was looked at.

-- One row for each tool that is watched. One worker reads it at a time: it renews its lease with each round.
create table countersign.radar_sources (
  source text primary key check (source <> ''),
  kind text not null,
  reader text not null,
  -- Goes up when another reader takes it: what one remembers of it is good for its term.
  term bigint not null default 1,
  lease_until timestamptz not null,
  state text not null check (state in ('watching', 'off')),
  problem text,
  system text not null default '',
  position text not null default '',
  lag_bytes bigint,
  watched text[] not null default '{}',
  unseen text[] not null default '{}',
  -- What the source needs to know after a restart: its slot, its last page.
  memory jsonb,
  -- The same for what seldom changes: how what is watched was defined.
  catalog jsonb,
  -- When its last look was recorded.
  looked_at timestamptz,
  seen_at timestamptz not null default clock_timestamp()
);

create table countersign.radar_alerts (
  id bigint generated always as identity primary key,
  source text not null check (source <> ''),
  kind text not null check (kind in ('write', 'definition', 'gap')),
  system text not null,
  position text not null,
  at timestamptz not null,
  reason text not null,
  detail text not null,
  transaction text,
  changes jsonb not null,
  writers jsonb not null,
  effect_key text,
  found_at timestamptz not null default clock_timestamp(),
  acknowledged_at timestamptz,
  acknowledged_by text check (acknowledged_by <> ''),
  acknowledged_tenant text check (acknowledged_tenant <> ''),
  note text check (note <> ''),
  -- The digest of the signed command.
  acknowledged_command text check (acknowledged_command <> ''),
  told_at timestamptz,
  unique (source, system, position),
  check (num_nulls(acknowledged_at, acknowledged_by, acknowledged_tenant, note, acknowledged_command) in (0, 5))
);

create index radar_alerts_open on countersign.radar_alerts (source, id) where acknowledged_at is null;
create index radar_alerts_untold on countersign.radar_alerts (source, id) where told_at is null;

create trigger keep before delete or truncate on countersign.radar_alerts
  for each statement execute function countersign.refuse_change();

-- Two things are added to an alert, each once: that people were told, and that one of them has looked.
create trigger final before update on countersign.radar_alerts for each row when (
  to_jsonb(new) - '{acknowledged_at,acknowledged_by,acknowledged_tenant,note,acknowledged_command,told_at}'::text[]
    is distinct from to_jsonb(old) - '{acknowledged_at,acknowledged_by,acknowledged_tenant,note,acknowledged_command,told_at}'::text[]
  or (old.told_at is not null and new.told_at is distinct from old.told_at)
  or (old.acknowledged_at is not null
    and row(new.acknowledged_at, new.acknowledged_by, new.acknowledged_tenant, new.note, new.acknowledged_command)
      is distinct from row(old.acknowledged_at, old.acknowledged_by, old.acknowledged_tenant, old.note, old.acknowledged_command))
) execute function countersign.refuse_change();

-- Which transaction an effect's key explained: it explains no other, also of another system.
create table countersign.radar_effects (
  source text not null,
  system text not null,
  key text not null,
  position text not null,
  at timestamptz not null default clock_timestamp(),
  primary key (source, system, key)
);

create index radar_effects_age on countersign.radar_effects (at);

create index radar_effects_key on countersign.radar_effects (key);

create trigger trail after insert on countersign.radar_alerts
  for each row execute function countersign.trail_row('radar_alert', 'id', 'acknowledged_at', 'acknowledged_by', 'acknowledged_tenant', 'note',
    'acknowledged_command', 'told_at');
create trigger trail_acknowledged after update on countersign.radar_alerts
  for each row when (old.acknowledged_at is null and new.acknowledged_at is not null)
  execute function countersign.trail_row('radar_acknowledged', 'id', 'told_at');

alter function countersign.trail_evidence(text, text, text, bigint) rename to trail_evidence_of_actions;

-- The text that an entry's digest is of, as it can be made from its table today; null where it is not there (any more).
create function countersign.trail_evidence(p_tenant text, p_kind text, p_subject text, p_receipt bigint)
returns text language sql stable set timezone = 'UTC' as $$
  select case p_kind
    when 'radar_alert' then (
      select countersign.trail_text(to_jsonb(a) - '{acknowledged_at,acknowledged_by,acknowledged_tenant,note,acknowledged_command,told_at}'::text[])
      from countersign.radar_alerts as a where a.id = p_subject::bigint)
    when 'radar_acknowledged' then (
      select countersign.trail_text(to_jsonb(a) - '{told_at}'::text[]) from countersign.radar_alerts as a where a.id = p_subject::bigint)
    else countersign.trail_evidence_of_actions(p_tenant, p_kind, p_subject, p_receipt)
  end
$$;
