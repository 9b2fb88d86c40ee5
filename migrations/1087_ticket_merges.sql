-- Tickets that are part of another: its conversation shows theirs, and nothing is copied or moved. Both are of one site and of one
-- customer, who sees each with its own token as before; what they say in one is news of the other. Taking it back is one row less.
set local role vicket_owner;

create table vicket.ticket_merges (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null default ctx.site_id(),
  ticket_id uuid not null,
  into_id uuid not null,
  status_id uuid,
  constraint ticket_merges_pkey primary key (org_id, site_id, ticket_id),
  constraint ticket_merges_ticket_fkey foreign key (org_id, site_id, ticket_id)
    references vicket.tickets (org_id, site_id, id) on delete cascade,
  constraint ticket_merges_into_fkey foreign key (org_id, site_id, into_id)
    references vicket.tickets (org_id, site_id, id) on delete cascade,
  constraint ticket_merges_of_another check (ticket_id <> into_id)
);
create index ticket_merges_into on vicket.ticket_merges (org_id, into_id);
create statistics vicket.ticket_merges_tenant (dependencies, ndistinct) on org_id, site_id from vicket.ticket_merges;

alter table vicket.ticket_merges enable row level security, force row level security;

create policy agent_select on vicket.ticket_merges for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy agent_insert on vicket.ticket_merges for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy definer_select on vicket.ticket_merges for select to vicket_definer using (org_id = (select ctx.org_id()));
create policy definer_update on vicket.ticket_merges for update to vicket_definer
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  )
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy definer_delete on vicket.ticket_merges for delete to vicket_definer
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );

grant select (org_id, site_id, ticket_id, into_id), insert (site_id, ticket_id, into_id) on vicket.ticket_merges to vicket_agent;
grant select (org_id, site_id, ticket_id, into_id, status_id), update (into_id, status_id), delete on vicket.ticket_merges
  to vicket_definer;
-- Not granted: DELETE to requests (ctx.unmerge); anything to vicket_widget: customers see each of their tickets by itself.

comment on table vicket.ticket_merges is 'Which tickets are part of which other of the same customer.';
comment on column vicket.ticket_merges.status_id is 'Where it stood before, and stands again when that is taken back, unless the status is gone.';
comment on policy agent_select on vicket.ticket_merges is 'ticket:read; within one''s teams.';
comment on policy agent_insert on vicket.ticket_merges is 'ticket:write; within one''s teams.';
comment on policy definer_select on vicket.ticket_merges is 'ctx.unmerge; the triggers of tickets and of what is said in them.';
comment on policy definer_update on vicket.ticket_merges is 'ticket_merged: ticket:write; within one''s teams.';
comment on policy definer_delete on vicket.ticket_merges is 'ctx.unmerge: ticket:write; within one''s teams.';

grant create on schema ctx, vicket to vicket_definer;
set local role vicket_definer;
-- What was part of the ticket goes along with it, so that nothing is part of a part.
create function vicket.ticket_merged() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  source record;
  target record;
  waits boolean;
begin
  -- Nobody else decides it: what is restored was decided before.
  if session_user <> 'vicket_gate_agent' then
    return null;
  end if;
  -- In one order, so that those who merge at once wait for each other.
  perform from vicket.tickets t
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id in (new.ticket_id, new.into_id)
    order by t.id
    for no key update;
  select s.prefix || '-' || t.number as reference, t.email, t.status, t.status_id, t.unanswered, t.last_activity_at
    into strict source
    from vicket.tickets t join vicket.sites s on s.org_id = t.org_id and s.id = t.site_id
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id;
  select s.prefix || '-' || t.number as reference, t.email, t.status into strict target
    from vicket.tickets t join vicket.sites s on s.org_id = t.org_id and s.id = t.site_id
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.into_id;
  if lower(source.email collate "C") <> lower(target.email collate "C") then
    raise exception 'they are not of one customer'
      using errcode = 'check_violation', constraint = 'ticket_merges_of_one_customer';
  end if;
  if target.status = 'closed' then
    raise exception 'the ticket is closed' using errcode = 'check_violation', constraint = 'ticket_not_closed';
  end if;
  if exists (
    select from vicket.ticket_merges g
    where g.org_id = new.org_id and g.site_id = new.site_id and g.ticket_id = new.into_id)
  then
    raise exception 'the other is part of a third' using errcode = 'check_violation', constraint = 'ticket_merges_of_whole';
  end if;
  update vicket.ticket_merges g
    set into_id = new.into_id
    where g.org_id = new.org_id and g.site_id = new.site_id and g.into_id = new.ticket_id;
  update vicket.ticket_merges g
    set status_id = source.status_id
    where g.org_id = new.org_id and g.site_id = new.site_id and g.ticket_id = new.ticket_id;
  if (
    select count(*) > 20
    from vicket.ticket_merges g
    where g.org_id = new.org_id and g.site_id = new.site_id and g.into_id = new.into_id)
  then
    raise exception 'a ticket has at most 20 others' using errcode = 'check_violation', constraint = 'ticket_merges_most';
  end if;
  insert into vicket.ticket_events (org_id, site_id, ticket_id, actor, kind, after)
    select new.org_id, new.site_id, e.ticket_id, coalesce(nullif(ctx.actor_name(), ''), 'cli'), e.kind, e.reference
    from (values (new.ticket_id, 'merged', target.reference), (new.into_id, 'merge', source.reference))
      e (ticket_id, kind, reference);
  -- Who waited there waits here.
  waits := source.status = 'open' and source.unanswered;
  update vicket.tickets t
    set status = case when t.status = 'closed' then t.status else 'resolved' end, updated_at = now()
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id;
  update vicket.tickets t
    set status = case when waits and t.status in ('pending', 'resolved') then 'open' else t.status end,
      unanswered = t.unanswered or waits, last_activity_at = greatest(t.last_activity_at, source.last_activity_at),
      snoozed_until = case when not waits then t.snoozed_until end, updated_at = now()
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.into_id;
  return null;
end $$;

-- Takes back that a ticket is part of another; says of which it was.
create function ctx.unmerge(p_ticket_id uuid) returns uuid
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  was vicket.ticket_merges;
begin
  delete from vicket.ticket_merges g
    using vicket.tickets t
    where t.org_id = ctx.org_id() and t.id = p_ticket_id and g.org_id = t.org_id and g.site_id = t.site_id and g.ticket_id = t.id
    returning g.* into was;
  if was.into_id is null then
    return null;
  end if;
  insert into vicket.ticket_events (org_id, site_id, ticket_id, actor, kind, before)
    select was.org_id, was.site_id, e.ticket_id, coalesce(nullif(ctx.actor_name(), ''), 'cli'), e.kind,
      s.prefix || '-' || t.number
    from (values (was.ticket_id, 'merged', was.into_id), (was.into_id, 'merge', was.ticket_id)) e (ticket_id, kind, other)
    join vicket.tickets t on t.org_id = was.org_id and t.site_id = was.site_id and t.id = e.other
    join vicket.sites s on s.org_id = t.org_id and s.id = t.site_id;
  update vicket.tickets t
    set updated_at = now(),
      status_id = coalesce((
        select s.id from vicket.statuses s
        where t.status = 'resolved' and s.org_id = was.org_id and s.id = was.status_id and s.deleted_at is null
      ), t.status_id)
    where t.org_id = was.org_id and t.site_id = was.site_id and t.id = was.ticket_id;
  update vicket.tickets t
    set updated_at = now()
    where t.org_id = was.org_id and t.site_id = was.site_id and t.id = was.into_id;
  return was.into_id;
end $$;

-- As it was, and: what is said in a ticket that is part of another opens and wakes that one.
create or replace function vicket.customer_replied() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  quiet constant boolean := session_user = 'vicket_worker' and current_setting('app.quiet', true) = 'on';
  whole uuid;
begin
  update vicket.tickets t
    set message_count = t.message_count + 1, message_bytes = t.message_bytes + octet_length(new.body)
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id and t.created_at = now();
  if found then
    return null;
  end if;
  whole := (
    select g.into_id from vicket.ticket_merges g
    where g.org_id = new.org_id and g.site_id = new.site_id and g.ticket_id = new.ticket_id
  );
  update vicket.tickets t
    set status = case when t.status in ('resolved', 'pending') and not quiet and whole is null then 'open' else t.status end,
      updated_at = now(), message_count = t.message_count + 1, message_bytes = t.message_bytes + octet_length(new.body),
      last_activity_at = clock_timestamp(), unanswered = t.unanswered or not quiet,
      snoozed_until = case when quiet then t.snoozed_until end
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id
      and (t.status <> 'closed' or quiet or whole is not null);
  if found and whole is not null then
    update vicket.tickets t
      set status = case when t.status in ('resolved', 'pending') and not quiet then 'open' else t.status end, updated_at = now(),
        last_activity_at = clock_timestamp(), unanswered = t.unanswered or not quiet,
        snoozed_until = case when quiet then t.snoozed_until end
      where t.org_id = new.org_id and t.site_id = new.site_id and t.id = whole and (t.status <> 'closed' or quiet);
  end if;
  if not found then
    raise exception 'the ticket is closed' using errcode = 'check_violation', constraint = 'ticket_not_closed';
  end if;
  return null;
end $$;

-- As it was, and: a customer is not told that a ticket is resolved because it is part of another.
create or replace function vicket.ticket_change_mailed() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  mail vicket.mails;
begin
  if session_user <> 'vicket_gate_agent' or vicket.mail_domain() is null then
    return null;
  end if;
  mail.org_id := new.org_id;
  mail.site_id := new.site_id;
  mail.ticket_id := new.id;
  if new.assignee_id is distinct from old.assignee_id then
    mail.kind := 'agent_assigned';
    mail.user_id := new.assignee_id;
    perform vicket.member_mail(mail);
  end if;
  if new.status = 'resolved' and old.status <> 'resolved' and not exists (
    select from vicket.ticket_merges g
    where g.org_id = new.org_id and g.site_id = new.site_id and g.ticket_id = new.id)
  then
    mail.kind := 'ticket_resolved';
    mail.user_id := null;
    mail.recipient := new.email;
    perform vicket.write_mail(mail);
  end if;
  return null;
end $$;

-- As it was, and: what a customer says in a ticket that is part of another is for whoever takes care of that one.
create or replace function vicket.member_mail(p_mail vicket.mails) returns void
  language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  who record := ctx.actor();
  whole record;
begin
  if p_mail.kind = 'agent_customer_answered' then
    select t.assignee_id into whole
      from vicket.ticket_merges g
      join vicket.tickets t on t.org_id = g.org_id and t.site_id = g.site_id and t.id = g.into_id
      where g.org_id = p_mail.org_id and g.site_id = p_mail.site_id and g.ticket_id = p_mail.ticket_id;
    if found then
      p_mail.user_id := whole.assignee_id;
    end if;
  end if;
  if p_mail.user_id is null or p_mail.user_id = who.user_id and who.machine_key_id is null
    or exists (
      select from vicket.unproven_accounts a where a.org_id = p_mail.org_id and a.user_id = p_mail.user_id)
    or exists (
      select from vicket.notifications n
      where n.org_id = p_mail.org_id and n.user_id = p_mail.user_id
        and not case p_mail.kind when 'agent_assigned' then n.assigned else n.customer_answered end)
  then
    return;
  end if;
  p_mail.recipient := (select u.email from vicket.users u where u.id = p_mail.user_id);
  perform vicket.write_mail(p_mail);
end $$;

comment on function vicket.ticket_merged is
  'Trigger: a ticket becomes part of another that is not closed, of the same customer and of no third, which has 20 at the most (constraints ticket_not_closed, ticket_merges_of_one_customer, ticket_merges_of_whole, ticket_merges_most). Definer: no request may write there.';
comment on function ctx.unmerge is
  'Takes back that a ticket is part of another; says of which it was. Definer: with DELETE a request could lock a table.';
comment on function vicket.customer_replied is
  'Trigger: a reply opens a resolved or a pending ticket, or the one that it is part of, and wakes one that is snoozed; a closed one refuses it (constraint ticket_not_closed), a full one too (ticket_full). Definer: no request may write there.';
grant execute on function vicket.ticket_merged to vicket_owner;
grant execute on function ctx.unmerge to vicket_agent;

set local role vicket_owner;
revoke create on schema ctx, vicket from vicket_definer;
create trigger ticket_merged after insert on vicket.ticket_merges
  for each row execute function vicket.ticket_merged();
reset role;
