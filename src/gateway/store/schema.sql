-- What any number of gateways share, beside the ledger's tables: API keys of agents, sessions of people, and logins that have begun.
-- Of every secret there is only its SHA-256, so that whoever reads these tables can be nobody by it. The schema is written
-- `countersign` here, and replaced by the one that is configured.

create function countersign.refuse_gateway_change() returns trigger language plpgsql as $$
begin
  raise exception 'the gateway refuses % of %', tg_op, tg_table_name using errcode = 'restrict_violation';
end $$;

create table countersign.api_keys (
  id text primary key check (id ~ '^[a-z0-9]{16}$'),
  secret_hash text not null unique check (secret_hash ~ '^[0-9a-f]{64}$'),
  tenant text not null check (char_length(tenant) between 1 and 63 and tenant <> '*'),
  agent text not null check (char_length(agent) between 1 and 63),
  roles text[] not null,
  scopes text[] not null check (cardinality(scopes) > 0),
  owner text,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  last_used_at timestamptz,
  revoked_at timestamptz
);

create index api_keys_tenant on countersign.api_keys (tenant, created_at);

-- Whoever has a key keeps what it stands for: another one is another key.
create trigger final before update on countersign.api_keys for each row when (
  (old.revoked_at is not null and new.revoked_at is distinct from old.revoked_at)
  or new.expires_at > old.expires_at
  or row(new.id, new.secret_hash, new.tenant, new.agent, new.roles, new.scopes, new.owner, new.created_at)
    is distinct from row(old.id, old.secret_hash, old.tenant, old.agent, old.roles, old.scopes, old.owner, old.created_at)
) execute function countersign.refuse_gateway_change();

create table countersign.sessions (
  id_hash text primary key check (id_hash ~ '^[0-9a-f]{64}$'),
  tenant text not null check (char_length(tenant) between 1 and 63 and tenant <> '*'),
  person json not null,
  jti text not null check (jti ~ '^[!-~]{1,64}$'),
  -- Id of the statement that will enrol the passkey that is being made: taken once.
  enrolment uuid,
  enrolment_until timestamptz,
  authenticated_at timestamptz not null default clock_timestamp(),
  last_seen_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  ended_at timestamptz,
  check (num_nulls(enrolment, enrolment_until) in (0, 2))
) with (fillfactor = 70);

create index sessions_expiry on countersign.sessions (expires_at);

create trigger final before update on countersign.sessions for each row when (
  (old.ended_at is not null and new.ended_at is distinct from old.ended_at)
  or row(new.id_hash, new.tenant, new.person::text, new.jti, new.authenticated_at)
    is distinct from row(old.id_hash, old.tenant, old.person::text, old.jti, old.authenticated_at)
) execute function countersign.refuse_gateway_change();

create table countersign.logins (
  state_hash text primary key check (state_hash ~ '^[0-9a-f]{64}$'),
  -- Of the cookie of the browser that began it, and alone may end it.
  browser_hash text not null check (browser_hash ~ '^[0-9a-f]{64}$'),
  nonce text not null,
  code_verifier text not null,
  return_to text not null check (return_to like '/%' and return_to not like '//%'),
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null
);

create index logins_expiry on countersign.logins (expires_at);
