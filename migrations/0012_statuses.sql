-- statuses: how an org calls where a ticket stands. Names are an org's own, categories are fixed, because what
-- happens to a ticket depends on them: a reply reopens a resolved one and is refused by a closed one. The default is
-- of the category open: new and reopened tickets get it.
set local role vicket_owner;

create table vicket.statuses (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  name text not null,
  category text not null,
  position integer not null default 0,
  is_default boolean not null default false,
  created_at timestamptz not null default now(),
  deleted_at timestamptz,
  constraint statuses_pkey primary key (org_id, id),
  constraint statuses_org_fkey foreign key (org_id) references vicket.orgs (id) on delete cascade,
  constraint statuses_name_length check (char_length(name) between 1 and 60 and name ~ '\S'),
  constraint statuses_category_known check (category in ('open', 'pending', 'resolved', 'closed', 'custom')),
  constraint statuses_default_open check (not is_default or category = 'open')
);
create unique index statuses_name_unique on vicket.statuses (org_id, name) where deleted_at is null;
create unique index statuses_one_default on vicket.statuses (org_id) where is_default;

alter table vicket.statuses enable row level security, force row level security;

create policy agent_select on vicket.statuses for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('status:read')) or (select ctx.may('status:edit')) or (select ctx.may('ticket:read')))
  );
create policy agent_insert on vicket.statuses for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('status:edit')));
create policy agent_update on vicket.statuses for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('status:edit')) and deleted_at is null)
  with check (org_id = (select ctx.org_id()) and (select ctx.may('status:edit')));
create policy operator_all on vicket.statuses for all to vicket_operator
  using (org_id = (select ctx.org_id())) with check (org_id = (select ctx.org_id()));
create policy definer_select on vicket.statuses for select to vicket_definer using (true);
create policy definer_insert on vicket.statuses for insert to vicket_definer with check (true);
create policy definer_update on vicket.statuses for update to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('status:edit')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('status:edit')));
create policy definer_delete on vicket.statuses for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('status:edit')));
create policy definer_delete_marked on vicket.statuses for delete to vicket_definer
  using (deleted_at is not null and session_user = 'vicket_worker');

grant select (org_id, id, name, category, position, is_default, created_at, deleted_at),
  insert (name, category, position),
  update (name, category, position, is_default)
  on vicket.statuses to vicket_agent;
grant select on vicket.statuses to vicket_operator;
grant select, insert (org_id, name, category, position, is_default), update (deleted_at), delete
  on vicket.statuses to vicket_definer;
-- Not granted: anything to vicket_widget: customers are told the category, which stands on the ticket. DELETE to
-- requests.

comment on table vicket.statuses is 'Where a ticket can stand, as the org calls it, in fixed categories.';
comment on column vicket.statuses.deleted_at is
  'Set while its many tickets move to the default; its name is free.';
comment on policy agent_select on vicket.statuses is
  'status:read; and who reads tickets reads what their status is called.';
comment on policy operator_all on vicket.statuses is 'Administration commands, after admin.enter_org.';
comment on policy definer_select on vicket.statuses is
  'Not narrowed: the triggers of tickets, whoever writes them; worker.run_job.';
comment on policy definer_insert on vicket.statuses is
  'Not narrowed: what a new org begins with, before it has a context.';
comment on policy definer_update on vicket.statuses is
  'ctx.remove marks one that many tickets have (the only column granted).';
comment on policy definer_delete on vicket.statuses is 'ctx.remove: status:edit.';
comment on policy definer_delete_marked on vicket.statuses is 'worker.run_job ends what ctx.remove began.';

-- What a new org begins with.
create function vicket.seed_org_defaults() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  insert into vicket.statuses (org_id, name, category, position, is_default)
    values (new.id, 'Open', 'open', 1, true), (new.id, 'Pending', 'pending', 2, false),
      (new.id, 'Resolved', 'resolved', 3, false), (new.id, 'Closed', 'closed', 4, false);
  insert into vicket.priorities (org_id, name, position, is_default)
    values (new.id, 'Low', 1, false), (new.id, 'Normal', 2, true), (new.id, 'High', 3, false), (new.id, 'Urgent', 4, false);
  return null;
end $$;

-- The default of statuses and of priorities stays, but for its org's end.
create function vicket.default_stays() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if old.is_default and exists (select from vicket.orgs o where o.id = old.org_id and o.deleted_at is null) then
    raise exception 'the default stays' using errcode = 'check_violation', constraint = tg_table_name || '_default_stays';
  end if;
  return coalesce(new, old);
end $$;

create trigger seed_org_defaults after insert on vicket.orgs
  for each row execute function vicket.seed_org_defaults();
create trigger default_stays before delete or update of deleted_at on vicket.statuses
  for each row execute function vicket.default_stays();
create trigger serialize_org_writes before insert or update or delete on vicket.statuses
  for each statement execute function vicket.serialize_org_writes();
create trigger audited after insert or update or delete on vicket.statuses
  for each row execute function vicket.audited('status', 'id', 'name category position is_default');
reset role;
