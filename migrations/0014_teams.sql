-- teams, team_members, team_sites: which sites' tickets a member sees. A member of teams sees those of their teams'
-- sites; a member of no team, an owner and an admin see all. Policies of tickets ask ctx.sees_all_sites and
-- ctx.team_site_ids, once a statement; both run as whoever asks, so that the policies here decide what they read.
set local role vicket_owner;

create table vicket.teams (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  name text not null,
  created_at timestamptz not null default now(),
  constraint teams_pkey primary key (org_id, id),
  constraint teams_name_unique unique (org_id, name),
  constraint teams_org_fkey foreign key (org_id) references vicket.orgs (id) on delete cascade,
  constraint teams_name_length check (char_length(name) between 1 and 100 and name ~ '\S')
);

-- Why: who is in a team. Goes with the membership.
create table vicket.team_members (
  org_id uuid not null default ctx.org_id(),
  team_id uuid not null,
  user_id uuid not null,
  constraint team_members_pkey primary key (org_id, team_id, user_id),
  constraint team_members_team_fkey foreign key (org_id, team_id) references vicket.teams (org_id, id) on delete cascade,
  constraint team_members_member_fkey foreign key (org_id, user_id)
    references vicket.members (org_id, user_id) on delete cascade
);
create index team_members_user on vicket.team_members (org_id, user_id);

-- Why: whose tickets a team sees.
create table vicket.team_sites (
  org_id uuid not null default ctx.org_id(),
  team_id uuid not null,
  site_id uuid not null,
  constraint team_sites_pkey primary key (org_id, team_id, site_id),
  constraint team_sites_team_fkey foreign key (org_id, team_id) references vicket.teams (org_id, id) on delete cascade,
  constraint team_sites_site_fkey foreign key (org_id, site_id) references vicket.sites (org_id, id) on delete cascade
);
create index team_sites_site on vicket.team_sites (org_id, site_id);
create statistics vicket.team_sites_tenant (dependencies, ndistinct) on org_id, site_id from vicket.team_sites;

alter table vicket.teams enable row level security, force row level security;
alter table vicket.team_members enable row level security, force row level security;
alter table vicket.team_sites enable row level security, force row level security;

create policy agent_select on vicket.teams for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy agent_insert on vicket.teams for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('team:edit')));
create policy agent_update on vicket.teams for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('team:edit')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('team:edit')));
create policy definer_select on vicket.teams for select to vicket_definer using (org_id = (select ctx.org_id()));
create policy definer_delete on vicket.teams for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('team:edit')));

create policy agent_select on vicket.team_members for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy agent_insert on vicket.team_members for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('team:edit')));
create policy definer_select on vicket.team_members for select to vicket_definer using (org_id = (select ctx.org_id()));
create policy definer_delete on vicket.team_members for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('team:edit')));

create policy agent_select on vicket.team_sites for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy agent_insert on vicket.team_sites for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('team:edit')));
create policy definer_select on vicket.team_sites for select to vicket_definer using (org_id = (select ctx.org_id()));
create policy definer_delete on vicket.team_sites for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('team:edit')));

grant select (org_id, id, name, created_at), insert (name), update (name) on vicket.teams to vicket_agent;
grant select (org_id, team_id, user_id), insert (team_id, user_id) on vicket.team_members to vicket_agent;
grant select (org_id, team_id, site_id), insert (team_id, site_id) on vicket.team_sites to vicket_agent;
grant select (org_id, id), delete on vicket.teams to vicket_definer;
grant select (org_id, team_id, user_id), delete on vicket.team_members to vicket_definer;
grant select (org_id, team_id, site_id), delete on vicket.team_sites to vicket_definer;
-- Not granted: anything to vicket_widget and vicket_operator (teams are made in the dashboard); DELETE to requests
-- (ctx.remove).

comment on table vicket.teams is 'Groups of members that take care of some sites.';
comment on table vicket.team_members is 'Who is in a team; goes with the membership.';
comment on table vicket.team_sites is 'Whose tickets a team sees.';
comment on policy agent_select on vicket.teams is 'Members see the teams.';
comment on policy definer_select on vicket.teams is 'ctx.remove.';
comment on policy definer_delete on vicket.teams is 'ctx.remove: team:edit.';
comment on policy agent_select on vicket.team_members is 'Members see the teams.';
comment on policy definer_select on vicket.team_members is 'ctx.remove.';
comment on policy definer_delete on vicket.team_members is 'ctx.remove: team:edit.';
comment on policy agent_select on vicket.team_sites is 'Members see the teams.';
comment on policy definer_select on vicket.team_sites is 'ctx.remove.';
comment on policy definer_delete on vicket.team_sites is 'ctx.remove: team:edit.';

create function ctx.sees_all_sites() returns boolean
  language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  who record := ctx.actor();
begin
  return who.role in ('owner', 'admin')
    or ctx.operates()
    or who.role is not null and not exists (
      select from vicket.team_members m where m.org_id = ctx.org_id() and m.user_id = who.user_id
    );
end $$;
create function ctx.team_site_ids() returns setof uuid
  language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select s.site_id
    from vicket.team_members m
    join vicket.team_sites s on s.org_id = m.org_id and s.team_id = m.team_id
    where m.org_id = ctx.org_id() and m.user_id = ctx.actor_user_id();
end $$;
comment on function ctx.sees_all_sites is
  'Whether whoever acts sees the tickets of every site: an owner, an admin, a member of no team, a command.';
comment on function ctx.team_site_ids is 'The sites of the teams of whoever acts.';
grant execute on function ctx.sees_all_sites, ctx.team_site_ids to vicket_agent, vicket_definer;

create trigger serialize_org_writes before insert or update or delete on vicket.teams
  for each statement execute function vicket.serialize_org_writes();
create trigger serialize_org_writes before insert or update or delete on vicket.team_members
  for each statement execute function vicket.serialize_org_writes();
create trigger serialize_org_writes before insert or update or delete on vicket.team_sites
  for each statement execute function vicket.serialize_org_writes();
create trigger audited after insert or update or delete on vicket.teams
  for each row execute function vicket.audited('team', 'id', 'name');
create trigger audited after insert or delete on vicket.team_members
  for each row execute function vicket.audited('team_member', 'team_id', 'user_id');
create trigger audited after insert or delete on vicket.team_sites
  for each row execute function vicket.audited('team_site', 'team_id', 'site_id');
reset role;
