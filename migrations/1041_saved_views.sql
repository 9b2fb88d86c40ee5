-- saved_views: filters of the inbox by name, of one member or of the team.
set local role vicket_owner;

create table vicket.saved_views (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  user_id uuid not null default ctx.actor_user_id(),
  shared boolean not null default false,
  owner_id uuid generated always as (case when not shared then user_id end) stored,
  name text not null,
  filter jsonb not null,
  position integer not null default 0,
  constraint saved_views_pkey primary key (org_id, id),
  constraint saved_views_name_unique unique nulls not distinct (org_id, owner_id, name),
  constraint saved_views_org_fkey foreign key (org_id) references vicket.orgs (id) on delete cascade,
  constraint saved_views_owner_fkey foreign key (org_id, owner_id)
    references vicket.members (org_id, user_id) on delete cascade,
  constraint saved_views_name_length check (char_length(name) between 1 and 100 and name ~ '\S'),
  constraint saved_views_filter_shape check (jsonb_typeof(filter) = 'object' and octet_length(filter::text) <= 4000)
);

alter table vicket.saved_views enable row level security, force row level security;

create policy agent_select on vicket.saved_views for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and (select ctx.is_member())
    and (shared or user_id = (select ctx.actor_user_id()))
  );
create policy agent_insert on vicket.saved_views for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and user_id = (select ctx.actor_user_id())
    and (select ctx.may('ticket:read'))
    and (not shared or (select ctx.may('view:share')))
  );
create policy agent_update on vicket.saved_views for update to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:read'))
    and (shared or user_id = (select ctx.actor_user_id()))
    and (not shared or (select ctx.may('view:share')))
  )
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:read'))
    and (shared or user_id = (select ctx.actor_user_id()))
    and (not shared or (select ctx.may('view:share')))
  );
create policy definer_select on vicket.saved_views for select to vicket_definer using (org_id = (select ctx.org_id()));
create policy definer_delete on vicket.saved_views for delete to vicket_definer
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:read'))
    and (shared or user_id = (select ctx.actor_user_id()))
    and (not shared or (select ctx.may('view:share')))
  );

grant select (org_id, id, user_id, shared, name, filter, position), insert (shared, name, filter, position),
  update (name, filter, position)
  on vicket.saved_views to vicket_agent;
grant select (org_id, id), delete on vicket.saved_views to vicket_definer;
-- Not granted: whose it is; DELETE to requests (ctx.remove_view).

comment on table vicket.saved_views is 'Filters of the inbox by name.';
comment on column vicket.saved_views.user_id is 'Who made it.';
comment on column vicket.saved_views.owner_id is 'Whose it is, with whom it goes; NULL for the team''s.';
comment on column vicket.saved_views.name is 'No personal data.';
comment on column vicket.saved_views.filter is
  'What it shows: site, status, priority, assignee, q, waiting, unread, unresolved. Words of q may name somebody. Personal data.';
comment on column vicket.saved_views.position is 'In the list; then by name.';
comment on policy agent_select on vicket.saved_views is 'One''s own, and the team''s.';
comment on policy agent_insert on vicket.saved_views is 'One''s own; the team''s by view:share.';
comment on policy agent_update on vicket.saved_views is 'One''s own; the team''s by view:share.';
comment on policy definer_select on vicket.saved_views is 'ctx.remove_view.';
comment on policy definer_delete on vicket.saved_views is 'ctx.remove_view: one''s own; the team''s by view:share.';

-- One permission more. FORCE shows the owner no rows: hence a policy for the time.
create policy owner_insert on vicket.role_permissions for insert to vicket_owner with check (true);
insert into vicket.role_permissions (role, permission) values ('owner', 'view:share'), ('admin', 'view:share');
drop policy owner_insert on vicket.role_permissions;

grant create on schema ctx to vicket_definer;
set local role vicket_definer;
create function ctx.remove_view(p_id uuid) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from vicket.saved_views v where v.org_id = ctx.org_id() and v.id = p_id;
  return found;
end $$;
comment on function ctx.remove_view is
  'Deletes a view; says whether there was one. Definer: with DELETE a request could lock a table.';
grant execute on function ctx.remove_view to vicket_agent;

set local role vicket_owner;
revoke create on schema ctx from vicket_definer;
-- What the team's views are is a setting; one's own are nobody else's business.
create trigger audited after insert or update on vicket.saved_views
  for each row when (new.shared) execute function vicket.audited('saved_view', 'id', 'name position');
create trigger audited_end after delete on vicket.saved_views
  for each row when (old.shared) execute function vicket.audited('saved_view', 'id', 'name position');
create trigger serialize_org_writes before insert or update or delete on vicket.saved_views
  for each statement execute function vicket.serialize_org_writes();
reset role;
