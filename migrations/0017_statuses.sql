-- ticket_statuses, ticket_priorities: how an org calls where a ticket stands and how urgent it is.

-- ---------------------------------------------------------------------------------------------------------------------
-- ticket_statuses
-- Why: names are an org's own, categories are fixed, because what happens to a ticket depends on them: a reply reopens a
-- resolved one and is refused by a closed one. The default is of the category open: new and reopened tickets get it.
set local role vicket_owner;

create table vicket.ticket_statuses (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  name text not null,
  category text not null,
  position integer not null default 0,
  is_default boolean not null default false,
  created_at timestamptz not null default now(),
  constraint ticket_statuses_pkey primary key (org_id, id),
  constraint ticket_statuses_name_unique unique (org_id, name),
  constraint ticket_statuses_org_fkey foreign key (org_id) references vicket.orgs (id) on delete cascade,
  constraint ticket_statuses_name_length check (char_length(name) between 1 and 60 and name ~ '\S'),
  constraint ticket_statuses_category_known check (category in ('open', 'pending', 'resolved', 'closed', 'custom')),
  constraint ticket_statuses_default_open check (not is_default or category = 'open')
);

create unique index ticket_statuses_one_default on vicket.ticket_statuses (org_id) where is_default;

alter table vicket.ticket_statuses enable row level security;
alter table vicket.ticket_statuses force row level security;

create policy agent_reads on vicket.ticket_statuses
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('status:read')) or (select ctx.may('status:edit')) or (select ctx.may('ticket:read')))
  );
create policy agent_adds on vicket.ticket_statuses
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('status:edit')));
create policy agent_edits on vicket.ticket_statuses
  for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('status:edit')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('status:edit')));
create policy agent_deletes on vicket.ticket_statuses
  for delete to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('status:edit')));
create policy operator_all on vicket.ticket_statuses
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
create policy definer_reads on vicket.ticket_statuses
  for select to vicket_definer
  using (true);
create policy definer_begins on vicket.ticket_statuses
  for insert to vicket_definer
  with check (true);

grant select (org_id, id, name, category, position, is_default, created_at),
  insert (name, category, position),
  update (name, category, position, is_default),
  delete
  on vicket.ticket_statuses to vicket_agent;
grant select on vicket.ticket_statuses to vicket_operator;
grant select, insert (org_id, name, category, position, is_default) on vicket.ticket_statuses to vicket_definer;
-- Not granted: anything to vicket_widget: customers are told the category, which stands on the ticket.

comment on table vicket.ticket_statuses is 'Where a ticket can stand, as the org calls it, in fixed categories.';
comment on policy agent_reads on vicket.ticket_statuses is 'status:read; and who reads tickets reads what their status is called.';
comment on policy agent_adds on vicket.ticket_statuses is 'status:edit.';
comment on policy agent_edits on vicket.ticket_statuses is 'status:edit.';
comment on policy agent_deletes on vicket.ticket_statuses is 'status:edit; its tickets move to the default (trigger status_goes).';
comment on policy operator_all on vicket.ticket_statuses is 'Administration commands, after admin.enter_org.';
comment on policy definer_reads on vicket.ticket_statuses is 'The triggers that give a ticket its status.';
comment on policy definer_begins on vicket.ticket_statuses is 'What a new org begins with.';

-- ---------------------------------------------------------------------------------------------------------------------
-- ticket_priorities
-- Why: an ordered list of an org's own; a higher position is more urgent.
create table vicket.ticket_priorities (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  name text not null,
  position integer not null default 0,
  is_default boolean not null default false,
  created_at timestamptz not null default now(),
  constraint ticket_priorities_pkey primary key (org_id, id),
  constraint ticket_priorities_name_unique unique (org_id, name),
  constraint ticket_priorities_org_fkey foreign key (org_id) references vicket.orgs (id) on delete cascade,
  constraint ticket_priorities_name_length check (char_length(name) between 1 and 60 and name ~ '\S')
);

create unique index ticket_priorities_one_default on vicket.ticket_priorities (org_id) where is_default;

alter table vicket.ticket_priorities enable row level security;
alter table vicket.ticket_priorities force row level security;

create policy agent_reads on vicket.ticket_priorities
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('priority:read')) or (select ctx.may('priority:edit')) or (select ctx.may('ticket:read')))
  );
create policy agent_adds on vicket.ticket_priorities
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('priority:edit')));
create policy agent_edits on vicket.ticket_priorities
  for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('priority:edit')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('priority:edit')));
create policy agent_deletes on vicket.ticket_priorities
  for delete to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('priority:edit')));
create policy operator_all on vicket.ticket_priorities
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
create policy definer_reads on vicket.ticket_priorities
  for select to vicket_definer
  using (true);
create policy definer_begins on vicket.ticket_priorities
  for insert to vicket_definer
  with check (true);

grant select (org_id, id, name, position, is_default, created_at),
  insert (name, position),
  update (name, position, is_default),
  delete
  on vicket.ticket_priorities to vicket_agent;
grant select on vicket.ticket_priorities to vicket_operator;
grant select, insert (org_id, name, position, is_default) on vicket.ticket_priorities to vicket_definer;
-- Not granted: anything to vicket_widget: customers are not told how urgent they are.

comment on table vicket.ticket_priorities is 'How urgent a ticket can be, as the org calls it; a higher position is more urgent.';
comment on policy agent_reads on vicket.ticket_priorities is 'priority:read; and who reads tickets reads what their priority is called.';
comment on policy agent_adds on vicket.ticket_priorities is 'priority:edit.';
comment on policy agent_edits on vicket.ticket_priorities is 'priority:edit.';
comment on policy agent_deletes on vicket.ticket_priorities is 'priority:edit; its tickets move to the default (trigger priority_goes).';
comment on policy operator_all on vicket.ticket_priorities is 'Administration commands, after admin.enter_org.';
comment on policy definer_reads on vicket.ticket_priorities is 'The triggers that give a ticket its priority.';
comment on policy definer_begins on vicket.ticket_priorities is 'What a new org begins with.';

-- ---------------------------------------------------------------------------------------------------------------------
-- tickets, continued: status_id and priority_id name these; status stays the category, which is all that customers see.
alter table vicket.tickets
  add column status_id uuid,
  add column priority_id uuid,
  add column assignee_id uuid,
  drop constraint tickets_status_known,
  add constraint tickets_status_known check (status in ('open', 'pending', 'resolved', 'closed', 'custom')),
  add constraint tickets_status_fkey foreign key (org_id, status_id) references vicket.ticket_statuses (org_id, id),
  add constraint tickets_priority_fkey foreign key (org_id, priority_id) references vicket.ticket_priorities (org_id, id),
  add constraint tickets_assignee_fkey foreign key (org_id, assignee_id)
    references vicket.members (org_id, user_id) on delete set null (assignee_id);

create index tickets_status on vicket.tickets (org_id, status_id);
create index tickets_priority on vicket.tickets (org_id, priority_id);
create index tickets_assignee on vicket.tickets (org_id, assignee_id);
create index tickets_inbox on vicket.tickets (org_id, created_at desc, id desc);

comment on column vicket.tickets.status is 'The category of status_id; kept by trigger, and all that customers are told.';
comment on column vicket.tickets.assignee_id is 'The member who takes care of it.';

grant select (status_id, priority_id, assignee_id), update (status_id, priority_id) on vicket.tickets to vicket_definer;
comment on policy definer_reopens on vicket.tickets is
  'The reply trigger reopens a resolved ticket; a deleted status or priority gives its tickets to the default.';

grant create on schema vicket to vicket_definer;
reset role;
set local role vicket_definer;

-- What a new org begins with.
create function vicket.org_begins() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  insert into vicket.ticket_statuses (org_id, name, category, position, is_default)
    values (new.id, 'Open', 'open', 1, true), (new.id, 'Pending', 'pending', 2, false),
      (new.id, 'Resolved', 'resolved', 3, false), (new.id, 'Closed', 'closed', 4, false);
  insert into vicket.ticket_priorities (org_id, name, position, is_default)
    values (new.id, 'Low', 1, false), (new.id, 'Normal', 2, true), (new.id, 'High', 3, false), (new.id, 'Urgent', 4, false);
  return null;
end $$;

-- A ticket's status by name and by category never differ: whichever was set leads the other.
create function vicket.ticket_status_kept() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if new.status_id is null or tg_op = 'UPDATE' and new.status <> old.status and new.status_id = old.status_id then
    new.status_id := (
      select s.id
      from vicket.ticket_statuses s
      where s.org_id = new.org_id and (s.category = new.status or s.is_default)
      order by s.category = new.status desc, s.is_default desc, s.position, s.id
      limit 1
    );
  end if;
  new.status := coalesce(
    (select s.category from vicket.ticket_statuses s where s.org_id = new.org_id and s.id = new.status_id), new.status);
  if new.priority_id is null then
    new.priority_id := (select p.id from vicket.ticket_priorities p where p.org_id = new.org_id and p.is_default);
  end if;
  return new;
end $$;

create function vicket.status_goes() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if not exists (select from vicket.orgs o where o.id = old.org_id) then
    return old;
  end if;
  if old.is_default then
    raise exception 'the default stays' using errcode = 'check_violation', constraint = 'ticket_statuses_default_stays';
  end if;
  update vicket.tickets t
    set status_id = (select s.id from vicket.ticket_statuses s where s.org_id = old.org_id and s.is_default)
    where t.org_id = old.org_id and t.status_id = old.id;
  return old;
end $$;

-- A status that moves to another category takes its tickets with it.
create function vicket.status_moved() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  update vicket.tickets t
    set status = new.category
    where t.org_id = new.org_id and t.status_id = new.id and t.status <> new.category;
  return null;
end $$;

create function vicket.priority_goes() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if not exists (select from vicket.orgs o where o.id = old.org_id) then
    return old;
  end if;
  if old.is_default then
    raise exception 'the default stays' using errcode = 'check_violation', constraint = 'ticket_priorities_default_stays';
  end if;
  update vicket.tickets t
    set priority_id = (select p.id from vicket.ticket_priorities p where p.org_id = old.org_id and p.is_default)
    where t.org_id = old.org_id and t.priority_id = old.id;
  return old;
end $$;

comment on function vicket.org_begins() is 'Trigger: the statuses and priorities that a new org begins with.';
comment on function vicket.ticket_status_kept() is 'Trigger: status is the category of status_id; what is not said is the default.';
comment on function vicket.status_goes() is 'Trigger: tickets of a status that is deleted move to the default, which stays.';
comment on function vicket.status_moved() is 'Trigger: a status of another category takes its tickets with it.';
comment on function vicket.priority_goes() is 'Trigger: tickets of a priority that is deleted move to the default, which stays.';

grant execute on function vicket.org_begins(), vicket.ticket_status_kept(), vicket.status_goes(), vicket.status_moved(),
  vicket.priority_goes()
  to vicket_owner;

-- Orgs and tickets that are there already. As the definer, whose policies show all rows; the owner sees none.
insert into vicket.ticket_statuses (org_id, name, category, position, is_default)
  select o.id, s.name, s.category, s.position, s.is_default
  from vicket.orgs o,
    (values ('Open', 'open', 1, true), ('Pending', 'pending', 2, false), ('Resolved', 'resolved', 3, false),
      ('Closed', 'closed', 4, false)) as s (name, category, position, is_default);
insert into vicket.ticket_priorities (org_id, name, position, is_default)
  select o.id, p.name, p.position, p.is_default
  from vicket.orgs o,
    (values ('Low', 1, false), ('Normal', 2, true), ('High', 3, false), ('Urgent', 4, false))
      as p (name, position, is_default);
update vicket.tickets t
  set status_id = (select s.id from vicket.ticket_statuses s where s.org_id = t.org_id and s.category = t.status),
    priority_id = (select p.id from vicket.ticket_priorities p where p.org_id = t.org_id and p.is_default);

reset role;
set local role vicket_owner;
revoke create on schema vicket from vicket_definer;

-- Which fails when a ticket was not touched.
alter table vicket.tickets
  alter column status_id set not null,
  alter column priority_id set not null;

create trigger org_begins after insert on vicket.orgs
  for each row execute function vicket.org_begins();
create trigger status_kept before insert or update of status, status_id, priority_id on vicket.tickets
  for each row execute function vicket.ticket_status_kept();
create trigger status_goes before delete on vicket.ticket_statuses
  for each row execute function vicket.status_goes();
create trigger status_moved after update of category on vicket.ticket_statuses
  for each row execute function vicket.status_moved();
create trigger priority_goes before delete on vicket.ticket_priorities
  for each row execute function vicket.priority_goes();
create trigger changes_take_turns before insert or update or delete on vicket.ticket_statuses
  for each statement execute function vicket.changes_take_turns();
create trigger changes_take_turns before insert or update or delete on vicket.ticket_priorities
  for each statement execute function vicket.changes_take_turns();
create trigger audited after insert or update or delete on vicket.ticket_statuses
  for each row execute function vicket.audited('status', 'id', 'name category position is_default');
create trigger audited after insert or update or delete on vicket.ticket_priorities
  for each row execute function vicket.audited('priority', 'id', 'name position is_default');

reset role;
