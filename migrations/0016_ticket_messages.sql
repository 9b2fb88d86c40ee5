-- ticket_messages: the conversation. Internal notes stand in the same table and are in no policy of the widget.
set local role vicket_owner;

create table vicket.ticket_messages (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null default ctx.site_id(),
  id uuid not null default gen_random_uuid(),
  ticket_id uuid not null,
  author text not null default 'customer',
  author_id uuid,
  author_name text,
  body text not null,
  internal boolean not null default false,
  created_at timestamptz not null default clock_timestamp(),
  search tsvector not null generated always as (to_tsvector('pg_catalog.simple', body)) stored,
  constraint ticket_messages_pkey primary key (org_id, site_id, id),
  constraint ticket_messages_of_ticket unique (org_id, site_id, ticket_id, id),
  constraint ticket_messages_ticket_fkey foreign key (org_id, site_id, ticket_id)
    references vicket.tickets (org_id, site_id, id) on delete cascade,
  constraint ticket_messages_author_known check (author in ('customer', 'agent')),
  constraint ticket_messages_author_name_length check (char_length(author_name) between 1 and 200),
  constraint ticket_messages_body_length check (char_length(body) between 1 and 20000),
  constraint ticket_messages_internal_author check (not internal or author = 'agent')
);
create index ticket_messages_in_order on vicket.ticket_messages (org_id, ticket_id, created_at, id);
create statistics vicket.ticket_messages_tenant (dependencies, ndistinct) on org_id, site_id from vicket.ticket_messages;

alter table vicket.ticket_messages enable row level security, force row level security;

create policy widget_insert on vicket.ticket_messages for insert to vicket_widget
  with check (
    org_id = (select ctx.org_id())
    and site_id = (select ctx.site_id())
    and ticket_id = (select ctx.ticket_id())
    and author = 'customer'
    and not internal
  );
create policy widget_select on vicket.ticket_messages for select to vicket_widget
  using (
    org_id = (select ctx.org_id())
    and site_id = (select ctx.site_id())
    and ticket_id = (select ctx.ticket_id())
    and not internal
  );
create policy widget_all_sealed on vicket.ticket_messages as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()))
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
create policy agent_select on vicket.ticket_messages for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy agent_insert on vicket.ticket_messages for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
    and author = 'agent'
  );
create policy operator_all on vicket.ticket_messages for all to vicket_operator
  using (org_id = (select ctx.org_id())) with check (org_id = (select ctx.org_id()));
create policy definer_select on vicket.ticket_messages for select to vicket_definer using (true);

grant select (org_id, site_id, id, ticket_id, author, author_name, body, created_at), insert (id, ticket_id, author_name, body)
  on vicket.ticket_messages to vicket_widget;
grant select (org_id, site_id, id, ticket_id, author, author_id, author_name, body, internal, created_at, search),
  insert (site_id, ticket_id, author, body, internal)
  on vicket.ticket_messages to vicket_agent;
grant select, insert (site_id, ticket_id, author, author_name, body, internal), update (author_id, author_name)
  on vicket.ticket_messages to vicket_operator;
grant select (org_id, site_id, id, ticket_id, internal) on vicket.ticket_messages to vicket_definer;
-- Not granted: author and internal to vicket_widget; who wrote it to agents (the trigger says); UPDATE of the text and
-- DELETE to anyone: what was said was said, and goes with its ticket.

comment on table vicket.ticket_messages is 'The conversation of a ticket, internal notes included.';
comment on column vicket.ticket_messages.internal is 'A note between agents; in no policy of the widget.';
comment on column vicket.ticket_messages.author_id is
  'The person who answered; NULL for customers, commands, and for who is gone.';
comment on column vicket.ticket_messages.search is 'Full-text document of the body, as it is written.';
comment on policy widget_insert on vicket.ticket_messages is
  'A customer answers the one ticket that the token in the context opens.';
comment on policy widget_select on vicket.ticket_messages is 'Never internal notes.';
comment on policy widget_all_sealed on vicket.ticket_messages is
  'Even an injected statement stays with the key in the context.';
comment on policy agent_select on vicket.ticket_messages is 'ticket:read; internal notes too; within one''s teams.';
comment on policy agent_insert on vicket.ticket_messages is 'ticket:write, as an agent; within one''s teams.';
comment on policy operator_all on vicket.ticket_messages is 'Administration commands, after admin.enter_org.';
comment on policy definer_select on vicket.ticket_messages is
  'Not narrowed: attachment_added tells notes from answers, whoever writes.';

set local role vicket_definer;
-- A customer's reply reopens a resolved ticket and is refused by a closed one, and by one that is full: writers of one
-- ticket wait for each other at its row, so what they count there is exact. The ticket that the same transaction inserted
-- has nothing to reopen.
create function vicket.customer_replied() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update vicket.tickets t
    set message_count = t.message_count + 1, message_bytes = t.message_bytes + octet_length(new.body)
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id and t.created_at = now();
  if found then
    return null;
  end if;
  update vicket.tickets t
    set status = case t.status when 'resolved' then 'open' else t.status end, updated_at = now(),
      message_count = t.message_count + 1, message_bytes = t.message_bytes + octet_length(new.body)
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id and t.status <> 'closed';
  if not found then
    raise exception 'the ticket is closed' using errcode = 'check_violation', constraint = 'ticket_not_closed';
  end if;
  return null;
end $$;

-- Who answered is what the credential says; an answer is news of its ticket, none to a closed one, and none that it has
-- no room for.
create function vicket.agent_answered() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
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
    set updated_at = now(), message_count = t.message_count + 1,
      message_bytes = t.message_bytes + octet_length(new.body)
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id;
  return new;
end $$;
comment on function vicket.customer_replied is
  'Trigger: a reply reopens a resolved ticket; a closed one refuses it (constraint ticket_not_closed), a full one too (ticket_full). Definer: no request may write there.';
comment on function vicket.agent_answered is
  'Trigger: says who answered; a closed ticket takes notes only (constraint ticket_not_closed), a full one nothing (ticket_full). Definer: no request may write there.';
grant execute on function vicket.customer_replied, vicket.agent_answered to vicket_owner;

set local role vicket_owner;
create trigger customer_replied after insert on vicket.ticket_messages
  for each row when (new.author = 'customer') execute function vicket.customer_replied();
create trigger agent_answered before insert on vicket.ticket_messages
  for each row when (new.author = 'agent') execute function vicket.agent_answered();
reset role;
