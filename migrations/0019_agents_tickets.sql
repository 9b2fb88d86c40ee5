-- Tickets and their conversation, as agents see and change them; what changed on a ticket.

set local role vicket_owner;

-- ---------------------------------------------------------------------------------------------------------------------
-- tickets, ticket_messages, continued
alter table vicket.tickets
  add column search tsvector not null generated always as (
    to_tsvector('pg_catalog.simple', subject || ' ' || email || ' ' || coalesce(name, ''))
  ) stored;
alter table vicket.ticket_messages
  add column author_id uuid,
  add column search tsvector not null generated always as (to_tsvector('pg_catalog.simple', body)) stored;
comment on column vicket.tickets.search is 'Full-text document: subject, e-mail and name, as they are written.';
comment on column vicket.ticket_messages.search is 'Full-text document of the body, as it is written.';
comment on column vicket.ticket_messages.author_id is 'The person who answered; NULL for customers, commands, and for who is gone.';

create policy agent_reads on vicket.tickets
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')) or (select ctx.may('ticket:assign'))
      or (select ctx.may('ticket:delete')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy agent_changes on vicket.tickets
  for update to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:write')) or (select ctx.may('ticket:assign')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  )
  with check (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:write')) or (select ctx.may('ticket:assign')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy agent_deletes on vicket.tickets
  for delete to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:delete'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );

grant select (org_id, site_id, id, number, email, name, subject, status, status_id, priority_id, assignee_id, created_at,
    updated_at, search),
  update (status_id, priority_id, assignee_id),
  delete
  on vicket.tickets to vicket_agent;
-- Not granted: INSERT (customers submit); what the customer wrote to UPDATE.

comment on policy agent_reads on vicket.tickets is 'ticket:read, and who may do more; within one''s teams.';
comment on policy agent_changes on vicket.tickets is 'ticket:write, and ticket:assign for the assignee (trigger ticket_guarded); within one''s teams.';
comment on policy agent_deletes on vicket.tickets is 'ticket:delete; within one''s teams.';

create policy agent_reads on vicket.ticket_messages
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy agent_answers on vicket.ticket_messages
  for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
    and author = 'agent'
  );

grant select (org_id, site_id, id, ticket_id, author, author_id, author_name, body, internal, created_at, search),
  insert (site_id, ticket_id, author, body, internal)
  on vicket.ticket_messages to vicket_agent;
-- Not granted: who wrote it: the trigger says; UPDATE and DELETE: what was said was said.

comment on policy agent_reads on vicket.ticket_messages is 'ticket:read; internal notes too; within one''s teams.';
comment on policy agent_answers on vicket.ticket_messages is 'ticket:write, as an agent; within one''s teams.';

-- ---------------------------------------------------------------------------------------------------------------------
-- ticket_events
-- Why: what happened to a ticket besides what was said: the other half of its timeline.
create table vicket.ticket_events (
  org_id uuid not null,
  site_id uuid not null,
  id uuid not null default gen_random_uuid(),
  ticket_id uuid not null,
  at timestamptz not null default clock_timestamp(),
  actor text not null,
  kind text not null,
  before text,
  after text,
  constraint ticket_events_pkey primary key (org_id, site_id, id),
  constraint ticket_events_ticket_fkey foreign key (org_id, site_id, ticket_id)
    references vicket.tickets (org_id, site_id, id) on delete cascade,
  constraint ticket_events_kind_known check (kind in ('status', 'priority', 'assignee'))
);

create index ticket_events_in_order on vicket.ticket_events (org_id, site_id, ticket_id, at, id);

alter table vicket.ticket_events enable row level security;
alter table vicket.ticket_events force row level security;

create policy agent_reads on vicket.ticket_events
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy definer_notes on vicket.ticket_events
  for insert to vicket_definer
  with check (true);

grant select on vicket.ticket_events to vicket_agent;
grant insert (org_id, site_id, ticket_id, actor, kind, before, after) on vicket.ticket_events to vicket_definer;
-- Not granted: any write to a request role; anything to vicket_widget.

comment on table vicket.ticket_events is 'Changes of a ticket''s status, priority and assignee, by name, as they were then.';
comment on column vicket.ticket_events.actor is 'An e-mail, `machine key NAME`, `cli`, or `customer`.';
comment on policy agent_reads on vicket.ticket_events is 'ticket:read; within one''s teams.';
comment on policy definer_notes on vicket.ticket_events is 'The trigger ticket_changed.';

grant create on schema vicket to vicket_definer;
reset role;
set local role vicket_definer;

-- One UPDATE may change what needs two permissions; a policy cannot tell them apart, a trigger can.
create function vicket.ticket_guarded() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  -- Neither a customer's reply nor an administration command acts for a member.
  if not ctx.needs_actor() then
    return new;
  end if;
  -- Whoever leaves the org is taken off their tickets by the foreign key.
  if new.assignee_id is distinct from old.assignee_id and not ctx.may('ticket:assign')
    and exists (select from vicket.members m where m.org_id = old.org_id and m.user_id = coalesce(old.assignee_id, new.assignee_id))
  then
    raise exception 'ticket:assign is needed' using errcode = 'insufficient_privilege';
  end if;
  if (new.status_id, new.priority_id) is distinct from (old.status_id, old.priority_id)
    and not (ctx.may('ticket:write') or ctx.may('status:edit') or ctx.may('priority:edit'))
  then
    raise exception 'ticket:write is needed' using errcode = 'insufficient_privilege';
  end if;
  new.updated_at := now();
  return new;
end $$;

create function vicket.ticket_changed() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  who constant text := case when ctx.key_hash() is not null then 'customer' else ctx.actor_name() end;
begin
  if new.status_id <> old.status_id then
    insert into vicket.ticket_events (org_id, site_id, ticket_id, actor, kind, before, after)
      select new.org_id, new.site_id, new.id, who, 'status',
        (select s.name from vicket.ticket_statuses s where s.org_id = old.org_id and s.id = old.status_id),
        (select s.name from vicket.ticket_statuses s where s.org_id = new.org_id and s.id = new.status_id);
  end if;
  if new.priority_id <> old.priority_id then
    insert into vicket.ticket_events (org_id, site_id, ticket_id, actor, kind, before, after)
      select new.org_id, new.site_id, new.id, who, 'priority',
        (select p.name from vicket.ticket_priorities p where p.org_id = old.org_id and p.id = old.priority_id),
        (select p.name from vicket.ticket_priorities p where p.org_id = new.org_id and p.id = new.priority_id);
  end if;
  if new.assignee_id is distinct from old.assignee_id then
    insert into vicket.ticket_events (org_id, site_id, ticket_id, actor, kind, before, after)
      select new.org_id, new.site_id, new.id, who, 'assignee',
        (select u.email from vicket.users u where u.id = old.assignee_id),
        (select u.email from vicket.users u where u.id = new.assignee_id);
  end if;
  return null;
end $$;

-- Who answered is what the credential says; an answer is news of its ticket, and none to a closed one.
create function vicket.agent_answered() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  person constant uuid := ctx.actor_user_id();
begin
  if person is not null then
    new.author_id := person;
    new.author_name := (select u.name from vicket.users u where u.id = person);
  end if;
  if not new.internal and exists (
    select from vicket.tickets t
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id and t.status = 'closed'
  ) then
    raise exception 'the ticket is closed' using errcode = 'check_violation', constraint = 'ticket_not_closed';
  end if;
  update vicket.tickets t
    set updated_at = now()
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id;
  return new;
end $$;

comment on function vicket.ticket_guarded() is 'Trigger: the assignee needs ticket:assign, status and priority ticket:write.';
comment on function vicket.ticket_changed() is 'Trigger: notes changes of a ticket in its timeline.';
comment on function vicket.agent_answered() is 'Trigger: says who answered; a closed ticket takes notes only (constraint ticket_not_closed).';

grant execute on function vicket.ticket_guarded(), vicket.ticket_changed(), vicket.agent_answered() to vicket_owner;
reset role;

set local role vicket_owner;
revoke create on schema vicket from vicket_definer;

create trigger ticket_guarded before update of status_id, priority_id, assignee_id on vicket.tickets
  for each row execute function vicket.ticket_guarded();
create trigger ticket_changed after update on vicket.tickets
  for each row when (
    (old.status_id, old.priority_id, old.assignee_id) is distinct from (new.status_id, new.priority_id, new.assignee_id)
  )
  execute function vicket.ticket_changed();
create trigger agent_answered before insert on vicket.ticket_messages
  for each row when (new.author = 'agent') execute function vicket.agent_answered();

reset role;
