-- priorities: an ordered list of an org's own; a higher position is more urgent.
set local role vicket_owner;

create table vicket.priorities (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  name text not null,
  position integer not null default 0,
  is_default boolean not null default false,
  created_at timestamptz not null default now(),
  deleted_at timestamptz,
  constraint priorities_pkey primary key (org_id, id),
  constraint priorities_org_fkey foreign key (org_id) references vicket.orgs (id) on delete cascade,
  constraint priorities_name_length check (char_length(name) between 1 and 60 and name ~ '\S')
);
create unique index priorities_name_unique on vicket.priorities (org_id, name) where deleted_at is null;
create unique index priorities_one_default on vicket.priorities (org_id) where is_default;

alter table vicket.priorities enable row level security, force row level security;

create policy agent_select on vicket.priorities for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('priority:read')) or (select ctx.may('priority:edit')) or (select ctx.may('ticket:read')))
  );
create policy agent_insert on vicket.priorities for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('priority:edit')));
create policy agent_update on vicket.priorities for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('priority:edit')) and deleted_at is null)
  with check (org_id = (select ctx.org_id()) and (select ctx.may('priority:edit')));
create policy operator_all on vicket.priorities for all to vicket_operator
  using (org_id = (select ctx.org_id())) with check (org_id = (select ctx.org_id()));
create policy definer_select on vicket.priorities for select to vicket_definer using (true);
create policy definer_insert on vicket.priorities for insert to vicket_definer with check (true);
create policy definer_update on vicket.priorities for update to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('priority:edit')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('priority:edit')));
create policy definer_delete on vicket.priorities for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('priority:edit')));
create policy definer_delete_marked on vicket.priorities for delete to vicket_definer
  using (deleted_at is not null and session_user = 'vicket_worker');

grant select (org_id, id, name, position, is_default, created_at, deleted_at),
  insert (name, position),
  update (name, position, is_default)
  on vicket.priorities to vicket_agent;
grant select on vicket.priorities to vicket_operator;
grant select, insert (org_id, name, position, is_default), update (deleted_at), delete
  on vicket.priorities to vicket_definer;
-- Not granted: anything to vicket_widget: customers are not told how urgent they are. DELETE to requests.

comment on table vicket.priorities is
  'How urgent a ticket can be, as the org calls it; a higher position is more urgent.';
comment on column vicket.priorities.deleted_at is
  'Set while its many tickets move to the default; its name is free.';
comment on policy agent_select on vicket.priorities is
  'priority:read; and who reads tickets reads what their priority is called.';
comment on policy operator_all on vicket.priorities is 'Administration commands, after admin.enter_org.';
comment on policy definer_select on vicket.priorities is
  'Not narrowed: the triggers of tickets, whoever writes them; worker.run_job.';
comment on policy definer_insert on vicket.priorities is
  'Not narrowed: what a new org begins with, before it has a context.';
comment on policy definer_update on vicket.priorities is
  'ctx.remove marks one that many tickets have (the only column granted).';
comment on policy definer_delete on vicket.priorities is 'ctx.remove: priority:edit.';
comment on policy definer_delete_marked on vicket.priorities is 'worker.run_job ends what ctx.remove began.';

create trigger default_stays before delete or update of deleted_at on vicket.priorities
  for each row execute function vicket.default_stays();
create trigger serialize_org_writes before insert or update or delete on vicket.priorities
  for each statement execute function vicket.serialize_org_writes();
create trigger audited after insert or update or delete on vicket.priorities
  for each row execute function vicket.audited('priority', 'id', 'name position is_default');
reset role;
