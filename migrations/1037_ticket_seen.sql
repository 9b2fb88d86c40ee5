-- ticket_seen: how far each member has read each conversation, who has a ticket open, and who writes. And of each ticket when
-- something was said last, and whether the customer waits for an answer: counted where the message is counted, so that neither
-- a submission nor a reply costs a statement more.
set local role vicket_owner;

create table vicket.ticket_seen (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null default ctx.site_id(),
  ticket_id uuid not null,
  user_id uuid not null default ctx.actor_user_id(),
  read_to timestamptz,
  seen_at timestamptz,
  typing_at timestamptz,
  changed_at timestamptz not null default clock_timestamp(),
  constraint ticket_seen_pkey primary key (org_id, site_id, ticket_id, user_id),
  constraint ticket_seen_ticket_fkey foreign key (org_id, site_id, ticket_id)
    references vicket.tickets (org_id, site_id, id) on delete cascade,
  constraint ticket_seen_member_fkey foreign key (org_id, user_id)
    references vicket.members (org_id, user_id) on delete cascade
);
create index ticket_seen_member on vicket.ticket_seen (org_id, user_id);
-- Signs of life move no index entry: what moves this one is news.
create index ticket_seen_changed on vicket.ticket_seen (org_id, changed_at desc);
create statistics vicket.ticket_seen_tenant (dependencies, ndistinct) on org_id, site_id from vicket.ticket_seen;

alter table vicket.ticket_seen enable row level security, force row level security;

create policy agent_select on vicket.ticket_seen for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy agent_insert on vicket.ticket_seen for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and user_id = (select ctx.actor_user_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy agent_update on vicket.ticket_seen for update to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and user_id = (select ctx.actor_user_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  )
  with check (
    org_id = (select ctx.org_id())
    and user_id = (select ctx.actor_user_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy definer_select on vicket.ticket_seen for select to vicket_definer using (org_id = (select ctx.org_id()));
create policy definer_insert on vicket.ticket_seen for insert to vicket_definer with check (org_id = (select ctx.org_id()));
create policy definer_update on vicket.ticket_seen for update to vicket_definer
  using (org_id = (select ctx.org_id())) with check (org_id = (select ctx.org_id()));

grant select (org_id, site_id, ticket_id, user_id, read_to, seen_at, typing_at, changed_at),
  insert (site_id, ticket_id, read_to, seen_at, typing_at), update (read_to, seen_at, typing_at, changed_at)
  on vicket.ticket_seen to vicket_agent;
grant select (org_id, site_id, ticket_id, user_id, read_to), insert (org_id, site_id, ticket_id, user_id, read_to),
  update (read_to)
  on vicket.ticket_seen to vicket_definer;
-- Not granted: whose row it is, to requests; DELETE to anyone: it goes with its ticket and with its member.

comment on table vicket.ticket_seen is 'How far members have read which tickets, and which they have open now.';
comment on column vicket.ticket_seen.user_id is 'The member, who alone writes it.';
comment on column vicket.ticket_seen.read_to is 'They have read what was said until then; NULL for nothing.';
comment on column vicket.ticket_seen.seen_at is
  'When the ticket was last open before them: half a minute later it no longer is. NULL when it never was.';
comment on column vicket.ticket_seen.typing_at is
  'When they last typed an answer: ten seconds later they no longer do. NULL when they stopped.';
comment on column vicket.ticket_seen.changed_at is
  'When others could see something new in it: that they came, began or stopped typing, or have read on.';
comment on policy agent_select on vicket.ticket_seen is 'ticket:read: who is at a ticket that one sees; within one''s teams.';
comment on policy agent_insert on vicket.ticket_seen is 'One''s own, of tickets that one sees.';
comment on policy agent_update on vicket.ticket_seen is 'One''s own, of tickets that one sees.';
comment on policy definer_select on vicket.ticket_seen is 'agent_answered: whoever answers has read it.';
comment on policy definer_insert on vicket.ticket_seen is 'agent_answered: whoever answers has read it.';
comment on policy definer_update on vicket.ticket_seen is 'agent_answered: whoever answers has read it.';

alter table vicket.tickets
  add column last_activity_at timestamptz not null default now(),
  add column unanswered boolean not null default true;
comment on column vicket.tickets.last_activity_at is 'When something was said last, notes included; by trigger.';
comment on column vicket.tickets.unanswered is
  'Whether the customer said something after the last answer; by trigger. Notes answer nothing, nor does mail of a machine ask.';
grant select (last_activity_at, unanswered) on vicket.tickets to vicket_agent, vicket_definer;
grant update (last_activity_at, unanswered) on vicket.tickets to vicket_definer;

grant create on schema vicket to vicket_definer;
grant select (author, created_at) on vicket.ticket_messages to vicket_definer;
set local role vicket_definer;
-- Of the tickets that there are. No trigger asks for these columns.
update vicket.tickets t
  set last_activity_at = said.at, unanswered = coalesce(said.author = 'customer', true)
  from (
    select m.org_id, m.site_id, m.ticket_id, max(m.created_at) as at,
      (array_agg(m.author order by m.created_at desc, m.id desc) filter (where not m.internal))[1] as author
    from vicket.ticket_messages m
    group by 1, 2, 3
  ) said
  where t.org_id = said.org_id and t.site_id = said.site_id and t.id = said.ticket_id;

-- As it was, and: says that something was said, and that it has no answer. By the clock, not by the beginning of the
-- transaction: of two writers the one who waited for the row is the later one.
create or replace function vicket.customer_replied() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  quiet constant boolean := session_user = 'vicket_worker' and current_setting('app.quiet', true) = 'on';
begin
  update vicket.tickets t
    set message_count = t.message_count + 1, message_bytes = t.message_bytes + octet_length(new.body)
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id and t.created_at = now();
  if found then
    return null;
  end if;
  update vicket.tickets t
    set status = case when t.status = 'resolved' and not quiet then 'open' else t.status end, updated_at = now(),
      message_count = t.message_count + 1, message_bytes = t.message_bytes + octet_length(new.body),
      last_activity_at = clock_timestamp(), unanswered = t.unanswered or not quiet
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id and (t.status <> 'closed' or quiet);
  if not found then
    raise exception 'the ticket is closed' using errcode = 'check_violation', constraint = 'ticket_not_closed';
  end if;
  return null;
end $$;

-- As it was, and: an answer is one, and whoever gives it has read what was said before it; of a machine key, nobody has.
create or replace function vicket.agent_answered() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  who record := ctx.actor();
  said timestamptz;
begin
  if who.user_id is not null then
    new.author_id := who.user_id;
    new.author_name := vicket.name_in(new.org_id, who.user_id);
  end if;
  if not new.internal and exists (
    select from vicket.tickets t
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id and t.status = 'closed'
  ) then
    raise exception 'the ticket is closed' using errcode = 'check_violation', constraint = 'ticket_not_closed';
  end if;
  update vicket.tickets t
    set updated_at = now(), message_count = t.message_count + 1,
      message_bytes = t.message_bytes + octet_length(new.body), last_activity_at = clock_timestamp(),
      unanswered = t.unanswered and new.internal
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id
    returning t.last_activity_at into said;
  if said is not null and who.machine_key_id is null then
    insert into vicket.ticket_seen as s (org_id, site_id, ticket_id, user_id, read_to)
      select new.org_id, new.site_id, new.ticket_id, m.user_id, said
      from vicket.members m
      where m.org_id = new.org_id and m.user_id = new.author_id
      on conflict (org_id, site_id, ticket_id, user_id) do update set read_to = excluded.read_to;
  end if;
  return new;
end $$;

set local role vicket_owner;
revoke select (author, created_at) on vicket.ticket_messages from vicket_definer;
revoke create on schema vicket from vicket_definer;
reset role;
