-- tags, ticket_tags: what an org calls its tickets, and which ticket is called what. Whoever works on a ticket puts tags on it and
-- takes them off; which there are is a setting.
set local role vicket_owner;

create table vicket.tags (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  name text not null,
  colour text not null default 'grey',
  constraint tags_pkey primary key (org_id, id),
  constraint tags_org_fkey foreign key (org_id) references vicket.orgs (id) on delete cascade,
  constraint tags_name_length check (char_length(name) between 1 and 60 and name ~ '\S'),
  constraint tags_colour_known check (colour in ('grey', 'red', 'orange', 'yellow', 'green', 'teal', 'blue', 'purple'))
);
create unique index tags_name_unique on vicket.tags (org_id, lower(name));

create table vicket.ticket_tags (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null default ctx.site_id(),
  ticket_id uuid not null,
  tag_id uuid not null,
  constraint ticket_tags_pkey primary key (org_id, site_id, ticket_id, tag_id),
  constraint ticket_tags_ticket_fkey foreign key (org_id, site_id, ticket_id)
    references vicket.tickets (org_id, site_id, id) on delete cascade,
  constraint ticket_tags_tag_fkey foreign key (org_id, tag_id) references vicket.tags (org_id, id) on delete cascade
);
-- The tickets of a tag.
create index ticket_tags_of_tag on vicket.ticket_tags (org_id, tag_id, ticket_id);
create statistics vicket.ticket_tags_tenant (dependencies, ndistinct) on org_id, site_id from vicket.ticket_tags;

alter table vicket.tags enable row level security, force row level security;
alter table vicket.ticket_tags enable row level security, force row level security;

create policy agent_select on vicket.tags for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')) or (select ctx.may('tag:edit')))
  );
create policy agent_insert on vicket.tags for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('tag:edit')));
create policy agent_update on vicket.tags for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('tag:edit')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('tag:edit')));
create policy definer_select on vicket.tags for select to vicket_definer using (org_id = (select ctx.org_id()));
create policy definer_delete on vicket.tags for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('tag:edit')));

create policy agent_select on vicket.ticket_tags for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy agent_insert on vicket.ticket_tags for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy definer_select on vicket.ticket_tags for select to vicket_definer using (org_id = (select ctx.org_id()));
create policy definer_delete on vicket.ticket_tags for delete to vicket_definer
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );

grant select (org_id, id, name, colour), insert (name, colour), update (name, colour) on vicket.tags to vicket_agent;
grant select (org_id, id, name), delete on vicket.tags to vicket_definer;
grant select (org_id, site_id, ticket_id, tag_id), insert (site_id, ticket_id, tag_id) on vicket.ticket_tags to vicket_agent;
grant select (org_id, site_id, ticket_id, tag_id), delete on vicket.ticket_tags to vicket_definer;
-- What was just noted.
grant select (ticket_id) on vicket.ticket_events to vicket_definer;
-- Not granted: UPDATE of what is on a ticket: it is put on, or taken off; DELETE to requests (ctx.remove_tag, ctx.untag);
-- anything to vicket_widget: customers see no tags.

comment on table vicket.tags is 'What an org calls its tickets.';
comment on column vicket.tags.name is 'Unique in the org, in whichever letters. No personal data.';
comment on column vicket.tags.colour is 'Of a small palette. No personal data.';
comment on table vicket.ticket_tags is 'Which tags are on which tickets.';
comment on column vicket.saved_views.filter is
  'What it shows: site, status, priority, assignee, tags, q, waiting, unread, unresolved. Words of q may name somebody. Personal data.';
comment on policy agent_select on vicket.tags is 'Whoever sees tickets, and whoever edits tags.';
comment on policy agent_insert on vicket.tags is 'tag:edit.';
comment on policy agent_update on vicket.tags is 'tag:edit.';
comment on policy definer_select on vicket.tags is 'ctx.remove_tag; ticket_tagged, for the timeline.';
comment on policy definer_delete on vicket.tags is 'ctx.remove_tag: tag:edit.';
comment on policy agent_select on vicket.ticket_tags is 'ticket:read; within one''s teams.';
comment on policy agent_insert on vicket.ticket_tags is 'ticket:write; within one''s teams.';
comment on policy definer_select on vicket.ticket_tags is 'ctx.untag; ticket_tagged, which counts.';
comment on policy definer_delete on vicket.ticket_tags is 'ctx.untag: ticket:write; within one''s teams.';

-- One permission more. FORCE shows the owner no rows: hence a policy for the time.
create policy owner_insert on vicket.role_permissions for insert to vicket_owner with check (true);
insert into vicket.role_permissions (role, permission) values ('owner', 'tag:edit'), ('admin', 'tag:edit');
drop policy owner_insert on vicket.role_permissions;

grant create on schema ctx, vicket to vicket_definer;
set local role vicket_definer;
-- Deletes a tag, which comes off its tickets; says whether there was one.
create function ctx.remove_tag(p_id uuid) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from vicket.tags t where t.org_id = ctx.org_id() and t.id = p_id;
  return found;
end $$;

-- Takes tags off tickets; says how many came off.
create function ctx.untag(p_ticket_ids uuid[], p_tag_ids uuid[]) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  gone bigint;
begin
  delete from vicket.ticket_tags g
    using vicket.tickets t
    where t.org_id = ctx.org_id() and t.id = any ((select p_ticket_ids)::uuid[])
      and g.org_id = t.org_id and g.site_id = t.site_id and g.ticket_id = t.id and g.tag_id = any ((select p_tag_ids)::uuid[]);
  get diagnostics gone = row_count;
  return gone;
end $$;

-- What is put on tickets and taken off them is part of their timeline, and news. A tag that is deleted is not taken off by
-- somebody: by then it has no name, and nothing is noted.
create function vicket.ticket_tagged() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  puts constant boolean := tg_op = 'INSERT';
begin
  if puts and exists (
    select from vicket.ticket_tags t
    where (t.org_id, t.site_id, t.ticket_id) in (select c.org_id, c.site_id, c.ticket_id from changed_rows c)
    group by t.ticket_id
    having count(*) > 30
  ) then
    raise exception 'a ticket has at most 30 tags' using errcode = 'check_violation', constraint = 'ticket_tags_most';
  end if;
  with noted as (
    insert into vicket.ticket_events (org_id, site_id, ticket_id, actor, kind, before, after)
      select c.org_id, c.site_id, c.ticket_id, coalesce(nullif(ctx.actor_name(), ''), 'cli'), 'tag',
        case when not puts then g.name end, case when puts then g.name end
      from changed_rows c
      join vicket.tags g on g.org_id = c.org_id and g.id = c.tag_id
      join vicket.tickets t on t.org_id = c.org_id and t.site_id = c.site_id and t.id = c.ticket_id
      order by g.name
      returning org_id, site_id, ticket_id
  )
  update vicket.tickets t
    set updated_at = now()
    from (select distinct n.org_id, n.site_id, n.ticket_id from noted n) n
    where t.org_id = n.org_id and t.site_id = n.site_id and t.id = n.ticket_id;
  return null;
end $$;
comment on function ctx.remove_tag is
  'Deletes a tag; says whether there was one. Definer: with DELETE a request could lock a table.';
comment on function ctx.untag is
  'Takes tags off tickets; says how many came off. Definer: with DELETE a request could lock a table.';
comment on function vicket.ticket_tagged is
  'Trigger: notes tags in the timeline; a ticket has 30 (ticket_tags_most). Definer: no request may write there.';
grant execute on function ctx.remove_tag, ctx.untag to vicket_agent;
grant execute on function vicket.ticket_tagged to vicket_owner;

set local role vicket_owner;
revoke create on schema ctx, vicket from vicket_definer;
create trigger ticket_tagged after insert on vicket.ticket_tags
  referencing new table as changed_rows for each statement execute function vicket.ticket_tagged();
create trigger ticket_untagged after delete on vicket.ticket_tags
  referencing old table as changed_rows for each statement execute function vicket.ticket_tagged();
create trigger serialize_org_writes before insert or update or delete on vicket.tags
  for each statement execute function vicket.serialize_org_writes();
create trigger audited after insert or delete or update of name, colour on vicket.tags
  for each row execute function vicket.audited('tag', 'id', 'name colour');
reset role;
