-- saved_replies: texts that agents put into an answer instead of writing them once more. Of the org, for who answers.
set local role vicket_owner;

create table vicket.saved_replies (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  name text not null,
  body text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  updated_by text not null default ctx.actor_name(),
  constraint saved_replies_pkey primary key (org_id, id),
  constraint saved_replies_name_unique unique (org_id, name),
  constraint saved_replies_org_fkey foreign key (org_id) references vicket.orgs (id) on delete cascade,
  constraint saved_replies_name_length check (char_length(name) between 1 and 100 and name ~ '\S'),
  constraint saved_replies_body_length check (char_length(body) between 1 and 20000 and body ~ '\S')
);

alter table vicket.saved_replies enable row level security, force row level security;

create policy agent_select on vicket.saved_replies for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('reply:read')));
create policy agent_insert on vicket.saved_replies for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('reply:edit')));
create policy agent_update on vicket.saved_replies for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('reply:edit')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('reply:edit')));
create policy operator_all on vicket.saved_replies for all to vicket_operator
  using (org_id = (select ctx.org_id())) with check (org_id = (select ctx.org_id()));
create policy definer_select on vicket.saved_replies for select to vicket_definer
  using (org_id = (select ctx.org_id()));
create policy definer_delete on vicket.saved_replies for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('reply:edit')));

grant select (org_id, id, name, body, created_at, updated_at, updated_by), insert (name, body), update (name, body)
  on vicket.saved_replies to vicket_agent;
grant select (org_id, id, updated_by), update (updated_by) on vicket.saved_replies to vicket_operator;
grant select (org_id, id), delete on vicket.saved_replies to vicket_definer;
-- Not granted: who and when; DELETE to requests (ctx.remove); anything to vicket_widget.

comment on table vicket.saved_replies is 'Texts that agents put into an answer.';
comment on column vicket.saved_replies.body is 'Plain text; {customer}, {ticket} and {agent} are filled in on use.';
comment on column vicket.saved_replies.updated_by is 'Who changed it last (ctx.actor_name); by trigger, as updated_at.';
comment on policy agent_select on vicket.saved_replies is 'reply:read: whoever answers.';
comment on policy operator_all on vicket.saved_replies is 'vicket person erase.';
comment on policy definer_select on vicket.saved_replies is 'ctx.remove.';
comment on policy definer_delete on vicket.saved_replies is 'ctx.remove: reply:edit.';

create function vicket.saved_reply_touched() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.updated_at := clock_timestamp();
  new.updated_by := ctx.actor_name();
  return new;
end $$;

create trigger touched before update of name, body on vicket.saved_replies
  for each row execute function vicket.saved_reply_touched();
create trigger serialize_org_writes before insert or update or delete on vicket.saved_replies
  for each statement execute function vicket.serialize_org_writes();
create trigger audited after insert or delete or update of name, body on vicket.saved_replies
  for each row execute function vicket.audited('saved_reply', 'id', 'name updated_at');
reset role;
