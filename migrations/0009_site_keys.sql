-- site_keys, site_key_origins: the publishable keys, as hashes, and from where they are used. A key is found by the
-- SHA-256 of the whole header value, never by its prefix. Revoked rows stay: the seal of a request in flight still
-- maps its key to its site.
set local role vicket_owner;

create table vicket.site_keys (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null,
  id uuid not null default gen_random_uuid(),
  key_hash bytea not null,
  hint text not null,
  state text not null,
  created_at timestamptz not null default now(),
  created_by text not null default ctx.actor_name(),
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
-- Not led by a tenant: the digest is what tells the tenant. No request role writes here.
create unique index site_keys_hash on vicket.site_keys (key_hash);
create statistics vicket.site_keys_tenant (dependencies, ndistinct) on org_id, site_id from vicket.site_keys;

-- Why: before a key dies one wants to know who uses it. Only origins that the site lists can be here.
create table vicket.site_key_origins (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null,
  key_id uuid not null,
  origin text not null,
  last_used_at timestamptz not null,
  constraint site_key_origins_pkey primary key (org_id, site_id, key_id, origin),
  constraint site_key_origins_key_fkey foreign key (org_id, site_id, key_id)
    references vicket.site_keys (org_id, site_id, id) on delete cascade,
  constraint site_key_origins_length check (char_length(origin) <= 255)
);
create statistics vicket.site_key_origins_tenant (dependencies, ndistinct) on org_id, site_id from vicket.site_key_origins;

alter table vicket.site_keys enable row level security, force row level security;
alter table vicket.site_key_origins enable row level security, force row level security;

create policy agent_select on vicket.site_keys for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy agent_insert on vicket.site_keys for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('apikey:rotate')));
create policy agent_update on vicket.site_keys for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('apikey:rotate')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('apikey:rotate')));
create policy operator_all on vicket.site_keys for all to vicket_operator
  using (org_id = (select ctx.org_id())) with check (org_id = (select ctx.org_id()));
create policy definer_select on vicket.site_keys for select to vicket_definer using (true);
create policy definer_update_used on vicket.site_keys for update to vicket_definer
  using (session_user = 'vicket_worker') with check (session_user = 'vicket_worker');
create policy definer_update_revoked on vicket.site_keys for update to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('site:delete')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('site:delete')) and state = 'revoked');

create policy agent_select on vicket.site_key_origins for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy definer_select on vicket.site_key_origins for select to vicket_definer using (true);
create policy definer_insert on vicket.site_key_origins for insert to vicket_definer with check (true);
create policy definer_update on vicket.site_key_origins for update to vicket_definer
  using (session_user = 'vicket_worker') with check (session_user = 'vicket_worker');

grant select (org_id, site_id, id, hint, state, created_at, created_by, activated_at, revoked_at, last_used_at),
  insert (site_id, key_hash, hint, state, activated_at),
  update (state, activated_at, revoked_at)
  on vicket.site_keys to vicket_agent, vicket_operator;
grant update (created_by) on vicket.site_keys to vicket_operator;
grant select (org_id, site_id, id, key_hash, state, last_used_at), update (last_used_at, state, revoked_at)
  on vicket.site_keys to vicket_definer;
grant select (org_id, site_id, key_id, origin, last_used_at) on vicket.site_key_origins to vicket_agent;
grant select (org_id, site_id, key_id, origin, last_used_at), insert (org_id, site_id, key_id, origin, last_used_at),
  update (last_used_at)
  on vicket.site_key_origins to vicket_definer;
-- Not granted: key_hash to any reader but the definer; who made a key to anyone (the credential says); DELETE to
-- anyone (a site takes its keys with it).

comment on table vicket.site_keys is 'Publishable keys as SHA-256. The plaintext is in no table.';
comment on table vicket.site_key_origins is 'From which of the site''s origins a key was used, and when last.';
comment on column vicket.site_keys.key_hash is 'SHA-256 of the whole header value, 32 bytes.';
comment on column vicket.site_keys.hint is 'The last four characters of the key, to recognise it by.';
comment on column vicket.site_keys.state is
  'active, staged (works beside the active one until a rotation promotes it) or revoked.';
comment on column vicket.site_keys.last_used_at is 'Written in batches by the worker; a few seconds late.';
comment on column vicket.site_key_origins.origin is 'Empty for requests without one: servers and tools.';
comment on policy agent_select on vicket.site_keys is
  'Members see when a key was made and last used; its hash is in no grant.';
comment on policy operator_all on vicket.site_keys is 'Administration commands, after admin.enter_org.';
comment on policy definer_select on vicket.site_keys is
  'Not narrowed: auth.enter and the seal find a key by its digest.';
comment on policy definer_update_used on vicket.site_keys is 'worker.touch_keys.';
comment on policy definer_update_revoked on vicket.site_keys is
  'ctx.remove: the keys of a large site are dead before its rows are gone.';
comment on policy agent_select on vicket.site_key_origins is 'Members see where a key was last used.';
comment on policy definer_select on vicket.site_key_origins is
  'Not narrowed: worker.touch_keys writes for many orgs at once.';
comment on policy definer_insert on vicket.site_key_origins is
  'Not narrowed: worker.touch_keys writes for many orgs at once.';
comment on policy definer_update on vicket.site_key_origins is 'worker.touch_keys.';

create trigger serialize_org_writes before insert or update of state or delete on vicket.site_keys
  for each statement execute function vicket.serialize_org_writes();
create trigger stays_revoked before update of state, revoked_at on vicket.site_keys
  for each row execute function vicket.stays_revoked();
create trigger audited after insert or delete or update of state on vicket.site_keys
  for each row execute function vicket.audited('site_key', 'hint', 'hint state');

set local role vicket_definer;
-- The keys, and of each the origin where p_origins has one. Keys first, in order: so two processes that flush at once
-- cannot deadlock, and whoever deletes a site locks them before what hangs on them.
create function worker.touch_keys(
  p_org_ids uuid[], p_site_ids uuid[], p_key_ids uuid[], p_origins text[], p_times timestamptz[]
) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform from vicket.site_keys k
    where (k.org_id, k.site_id, k.id) in (
      select u.org_id, u.site_id, u.key_id from unnest(p_org_ids, p_site_ids, p_key_ids) as u (org_id, site_id, key_id)
    )
    order by k.org_id, k.site_id, k.id
    for no key update of k;
  update vicket.site_keys k
    set last_used_at = greatest(k.last_used_at, used.at)
    from (
      select u.org_id, u.site_id, u.key_id, max(u.at) as at
      from unnest(p_org_ids, p_site_ids, p_key_ids, p_times) as u (org_id, site_id, key_id, at)
      group by u.org_id, u.site_id, u.key_id
    ) used
    where k.org_id = used.org_id and k.site_id = used.site_id and k.id = used.key_id;
  insert into vicket.site_key_origins as o (org_id, site_id, key_id, origin, last_used_at)
    select used.org_id, used.site_id, used.key_id, used.origin, used.at
    from unnest(p_org_ids, p_site_ids, p_key_ids, p_origins, p_times) as used (org_id, site_id, key_id, origin, at)
    where used.origin is not null and exists (
      select from vicket.site_keys k
      where k.org_id = used.org_id and k.site_id = used.site_id and k.id = used.key_id
    )
    order by used.org_id, used.site_id, used.key_id, used.origin
    on conflict (org_id, site_id, key_id, origin) do update
      set last_used_at = greatest(o.last_used_at, excluded.last_used_at);
end $$;
comment on function worker.touch_keys is
  'When keys were last used, and from which origins. Definer: the worker reads no table.';
grant execute on function worker.touch_keys to vicket_worker;
reset role;
