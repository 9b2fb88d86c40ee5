-- Sites, origins and publishable keys, as agents see and change them.

set local role vicket_owner;

-- ---------------------------------------------------------------------------------------------------------------------
-- sites
create policy agent_reads on vicket.sites
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy agent_creates on vicket.sites
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('site:create')));
create policy agent_edits on vicket.sites
  for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('site:edit')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('site:edit')));
create policy agent_deletes on vicket.sites
  for delete to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('site:delete')));

grant select (org_id, id, slug, name, reads_per_minute, writes_per_minute, network_reads_per_minute,
    network_writes_per_minute, created_at, updated_at),
  insert (slug, name),
  update (name, reads_per_minute, writes_per_minute, network_reads_per_minute, network_writes_per_minute, updated_at),
  delete
  on vicket.sites to vicket_agent;
-- Not granted: org_id and id to any writer; the versions, which triggers raise.

comment on policy agent_reads on vicket.sites is 'Members see their org''s sites.';
comment on policy agent_creates on vicket.sites is 'site:create.';
comment on policy agent_edits on vicket.sites is 'site:edit.';
comment on policy agent_deletes on vicket.sites is 'site:delete.';

-- ---------------------------------------------------------------------------------------------------------------------
-- site_origins, refused_origins
create policy agent_reads on vicket.site_origins
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy agent_adds on vicket.site_origins
  for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and ((select ctx.may('site:edit')) or (select ctx.may('site:create')))
  );
create policy agent_removes on vicket.site_origins
  for delete to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('site:edit')));

grant select (org_id, site_id, origin, created_at), insert (site_id, origin), delete on vicket.site_origins to vicket_agent;
-- Not granted: UPDATE: an origin is added or removed.

comment on policy agent_reads on vicket.site_origins is 'Members see which pages may use a site''s key.';
comment on policy agent_adds on vicket.site_origins is 'site:edit; site:create for the list that a new site begins with.';
comment on policy agent_removes on vicket.site_origins is 'site:edit.';

create policy agent_reads on vicket.refused_origins
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('site:edit')));
create policy agent_clears on vicket.refused_origins
  for delete to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('site:edit')));

grant select (org_id, site_id, origin, times, first_seen, last_seen), delete on vicket.refused_origins to vicket_agent;
-- Not granted: INSERT and UPDATE: the worker counts.

comment on policy agent_reads on vicket.refused_origins is 'site:edit.';
comment on policy agent_clears on vicket.refused_origins is 'site:edit.';

-- ---------------------------------------------------------------------------------------------------------------------
-- site_keys
-- Who made a key is what the credential says, and nobody's to bind.
alter table vicket.site_keys alter column created_by set default ctx.actor_name();
revoke insert (created_by) on vicket.site_keys from vicket_operator;

create policy agent_reads on vicket.site_keys
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy agent_makes on vicket.site_keys
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('apikey:rotate')));
create policy agent_rotates on vicket.site_keys
  for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('apikey:rotate')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('apikey:rotate')));

grant select (org_id, site_id, id, hint, state, created_at, created_by, activated_at, revoked_at, last_used_at),
  insert (site_id, key_hash, hint, state, activated_at),
  update (state, activated_at, revoked_at)
  on vicket.site_keys to vicket_agent;
-- Not granted: key_hash to any reader; DELETE to anyone.

comment on policy agent_reads on vicket.site_keys is 'Members see when a key was made and last used; its hash is in no grant.';
comment on policy agent_makes on vicket.site_keys is 'apikey:rotate.';
comment on policy agent_rotates on vicket.site_keys is 'apikey:rotate.';

reset role;

-- What was revoked stays revoked, whoever writes.
set local role vicket_owner;

create function vicket.stays_revoked() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  if old.revoked_at is not null and new.revoked_at is distinct from old.revoked_at then
    raise exception 'a revoked key stays revoked' using errcode = 'check_violation', constraint = 'stays_revoked';
  end if;
  return new;
end $$;

comment on function vicket.stays_revoked() is 'Trigger: a revoked key cannot come back to life.';

create trigger stays_revoked before update of state, revoked_at on vicket.site_keys
  for each row execute function vicket.stays_revoked();
create trigger stays_revoked before update of revoked_at on vicket.machine_keys
  for each row execute function vicket.stays_revoked();

reset role;
