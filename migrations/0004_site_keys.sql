-- site_keys: the publishable keys, as hashes.

-- ---------------------------------------------------------------------------------------------------------------------
-- site_keys
-- Why: a key is found by the SHA-256 of the whole header value, never by its prefix. Revoked rows stay: the seal of a
-- request in flight still maps its key to its site.
set local role vicket_owner;

create table vicket.site_keys (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null,
  id uuid not null default gen_random_uuid(),
  key_hash bytea not null,
  hint text not null,
  state text not null,
  created_at timestamptz not null default now(),
  created_by text not null,
  activated_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz,
  constraint site_keys_pkey primary key (org_id, site_id, id),
  constraint site_keys_site_fkey foreign key (org_id, site_id) references vicket.sites (org_id, id) on delete cascade,
  constraint site_keys_hash_length check (octet_length(key_hash) = 32),
  constraint site_keys_hint_length check (char_length(hint) = 4),
  constraint site_keys_state_known check (state in ('active', 'staged', 'revoked')),
  constraint site_keys_revoked_at check ((state = 'revoked') = (revoked_at is not null))
);

-- One active key per site, and one staged: held here, whatever the code does.
create unique index site_keys_one_active on vicket.site_keys (org_id, site_id) where state = 'active';
create unique index site_keys_one_staged on vicket.site_keys (org_id, site_id) where state = 'staged';
-- Not led by a tenant: the hash is what tells the tenant. No request role writes here.
create unique index site_keys_hash on vicket.site_keys (key_hash);

alter table vicket.site_keys enable row level security;
alter table vicket.site_keys force row level security;

create policy operator_all on vicket.site_keys
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
create policy definer_reads on vicket.site_keys
  for select to vicket_definer
  using (true);
create policy definer_touches on vicket.site_keys
  for update to vicket_definer
  using (true)
  with check (true);

grant select (org_id, site_id, id, hint, state, created_at, created_by, activated_at, revoked_at, last_used_at),
  insert (site_id, key_hash, hint, state, created_by, activated_at),
  update (state, activated_at, revoked_at)
  on vicket.site_keys to vicket_operator;
grant select (org_id, site_id, id, key_hash, state, last_used_at), update (last_used_at) on vicket.site_keys to vicket_definer;
-- Not granted: key_hash to any reader but the definer, DELETE to anyone (a site takes its keys with it).

comment on table vicket.site_keys is 'Publishable keys as SHA-256. The plaintext is in no table.';
comment on column vicket.site_keys.key_hash is 'SHA-256 of the whole header value, 32 bytes.';
comment on column vicket.site_keys.hint is 'The last four characters of the key, to recognise it by.';
comment on column vicket.site_keys.state is 'active, staged (works beside the active one until a rotation promotes it) or revoked.';
comment on column vicket.site_keys.last_used_at is 'Written in batches by the worker; a few seconds late.';
comment on policy operator_all on vicket.site_keys is 'Administration commands, after admin.enter_org.';
comment on policy definer_reads on vicket.site_keys is 'auth.enter and the seal look a key up by its hash.';
comment on policy definer_touches on vicket.site_keys is 'worker.touch_keys (last_used_at is the only column granted).';

reset role;
