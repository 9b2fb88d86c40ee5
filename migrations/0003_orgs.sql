-- orgs: the tenants. Every other row belongs to one.
set local role vicket_owner;

create table vicket.orgs (
  id uuid not null default gen_random_uuid(),
  slug text not null,
  slug_hash bytea not null generated always as (sha256(slug::bytea)) stored,
  name text not null,
  created_at timestamptz not null default now(),
  deleted_at timestamptz,
  constraint orgs_pkey primary key (id),
  constraint orgs_slug_shape check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  constraint orgs_name_length check (char_length(name) between 1 and 200 and name ~ '\S')
);
-- A slug is global by nature: it stands in URLs before any tenant is known.
create unique index orgs_slug_unique on vicket.orgs (slug) where deleted_at is null;
create unique index orgs_slug_hash on vicket.orgs (slug_hash) where deleted_at is null;

alter table vicket.orgs enable row level security, force row level security;

create policy widget_select on vicket.orgs for select to vicket_widget using (id = (select ctx.org_id()));
create policy widget_all_sealed on vicket.orgs as restrictive for all to vicket_widget
  using (id = (select ctx.org_by_key())) with check (id = (select ctx.org_by_key()));
create policy agent_select on vicket.orgs for select to vicket_agent
  using (id = (select ctx.org_id()) and (select ctx.is_member()));
create policy agent_update on vicket.orgs for update to vicket_agent
  using (id = (select ctx.org_id()) and (select ctx.may('org:edit')))
  with check (id = (select ctx.org_id()) and (select ctx.may('org:edit')));
create policy operator_all on vicket.orgs for all to vicket_operator
  using (id = (select ctx.org_id())) with check (id = (select ctx.org_id()));
create policy definer_select on vicket.orgs for select to vicket_definer using (true);
create policy definer_insert on vicket.orgs for insert to vicket_definer with check (true);
create policy definer_update on vicket.orgs for update to vicket_definer
  using (id = (select ctx.org_id()) and (select ctx.may('org:delete')))
  with check (id = (select ctx.org_id()) and (select ctx.may('org:delete')));
create policy definer_delete on vicket.orgs for delete to vicket_definer
  using (id = (select ctx.org_id()) and (select ctx.may('org:delete')));
create policy definer_delete_marked on vicket.orgs for delete to vicket_definer
  using (deleted_at is not null and session_user = 'vicket_worker');

grant select (id, name) on vicket.orgs to vicket_widget;
grant select (id, slug, name, created_at), update (name) on vicket.orgs to vicket_agent;
grant select, update (name) on vicket.orgs to vicket_operator;
grant select (id, slug, slug_hash, name, created_at, deleted_at), insert (id, slug, name), update (deleted_at), delete
  on vicket.orgs to vicket_definer;
-- Not granted: INSERT and DELETE to requests and commands (admin.create_org, ctx.remove), UPDATE of slug to anyone.

comment on table vicket.orgs is 'Tenants. The tenant column of this one table is id.';
comment on column vicket.orgs.slug is 'In URLs and on the command line; never changes.';
comment on column vicket.orgs.slug_hash is
  'SHA-256 of slug: requests name an org by digest, so no caller''s text is in SQL.';
comment on column vicket.orgs.deleted_at is
  'Set when an org that is too large to go at once was deleted: nobody is a member any more.';
comment on policy widget_select on vicket.orgs is 'The support page shows its org''s name.';
comment on policy widget_all_sealed on vicket.orgs is 'Even an injected statement stays with the key in the context.';
comment on policy agent_select on vicket.orgs is 'A member reads their org.';
comment on policy agent_update on vicket.orgs is 'org:edit. The name only.';
comment on policy operator_all on vicket.orgs is 'Administration commands, after admin.enter_org.';
comment on policy definer_select on vicket.orgs is
  'Not narrowed: an org is found by its slug before there is a context.';
comment on policy definer_insert on vicket.orgs is
  'Not narrowed: a new org has no context. admin.create_org, auth.begin_first_org.';
comment on policy definer_update on vicket.orgs is
  'ctx.remove marks a large org (deleted_at is the only column granted).';
comment on policy definer_delete on vicket.orgs is 'ctx.remove.';
comment on policy definer_delete_marked on vicket.orgs is 'worker.run_job ends what ctx.remove began.';

create trigger serialize_org_writes before update or delete on vicket.orgs
  for each statement execute function vicket.serialize_org_writes();
create trigger audited after insert or update on vicket.orgs
  for each row execute function vicket.audited('org', 'slug', 'slug name');
-- Who deletes an org is asked while they still belong to it: before the row goes.
create trigger audited_end before delete on vicket.orgs
  for each row execute function vicket.audited('org', 'slug', 'slug name');

set local role vicket_definer;
create function admin.create_org(p_slug text, p_name text) returns uuid
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  new_id constant uuid := gen_random_uuid();
begin
  insert into vicket.orgs (id, slug, name) values (new_id, p_slug, p_name);
  return new_id;
end $$;
-- Those that are gone too, by the id that their audit log goes on with.
create function admin.orgs() returns table (id uuid, slug text, name text, created_at timestamptz)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select coalesce(h.org_id, o.id), o.slug, o.name, o.created_at
    from vicket.audit_heads h
    full join (select l.id, l.slug, l.name, l.created_at from vicket.orgs l where l.deleted_at is null) o on o.id = h.org_id
    order by o.slug, 1;
end $$;
comment on function admin.create_org is 'Creates an org. Definer: commands are bound to one org.';
comment on function admin.orgs is
  'All orgs, the ids of those that are gone too. Definer: commands are bound to one org.';
grant execute on function admin.create_org, admin.orgs to vicket_operator;
reset role;
