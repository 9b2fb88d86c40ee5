-- Snoozed tickets: out of sight until a time, or until their customer writes. Nothing wakes them: whoever asks compares the time, so
-- that a ticket is back the moment it is due, whatever jobs do.
set local role vicket_owner;

alter table vicket.tickets add column snoozed_until timestamptz;
comment on column vicket.tickets.snoozed_until is
  'Until when it is out of sight; NULL when it is not. One that is over tells that it came back.';
grant select (snoozed_until), update (snoozed_until) on vicket.tickets to vicket_agent, vicket_definer;

-- What is solved is not snoozed, and needs no place among what is.
create function vicket.ticket_snoozed() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if new.status in ('resolved', 'closed') then
    new.snoozed_until := null;
  end if;
  -- Neither a customer's reply nor an administration command acts for a member.
  if not ctx.needs_actor() then
    return new;
  end if;
  if new.snoozed_until is distinct from old.snoozed_until and not ctx.may('ticket:write') then
    raise exception 'ticket:write is needed' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
comment on function vicket.ticket_snoozed is 'Trigger: snoozing needs ticket:write; what is solved is not snoozed.';

grant create on schema vicket to vicket_definer;
set local role vicket_definer;
create function vicket.snooze_noted() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  who constant text := case
    when ctx.digest('key') is not null then 'customer'
    when session_user = 'vicket_worker' then current_setting('app.actor', true)
    else ctx.actor_name()
  end;
begin
  -- That one is forgotten which was over is nothing that happened.
  if greatest(old.snoozed_until, new.snoozed_until) > now() then
    insert into vicket.ticket_events (org_id, site_id, ticket_id, actor, kind, before, after)
      values (new.org_id, new.site_id, new.id, coalesce(nullif(who, ''), 'cli'), 'snooze',
        to_char(old.snoozed_until at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
        to_char(new.snoozed_until at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'));
  end if;
  return null;
end $$;

-- As it was, and: a reply wakes a ticket.
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
    set status = case when t.status in ('resolved', 'pending') and not quiet then 'open' else t.status end, updated_at = now(),
      message_count = t.message_count + 1, message_bytes = t.message_bytes + octet_length(new.body),
      last_activity_at = clock_timestamp(), unanswered = t.unanswered or not quiet,
      snoozed_until = case when quiet then t.snoozed_until end
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id and (t.status <> 'closed' or quiet);
  if not found then
    raise exception 'the ticket is closed' using errcode = 'check_violation', constraint = 'ticket_not_closed';
  end if;
  return null;
end $$;
comment on function vicket.snooze_noted is
  'Trigger: notes in the timeline that a ticket sleeps, or wakes. Definer: no request may write there.';
comment on function vicket.customer_replied is
  'Trigger: a reply opens a resolved or a pending ticket, and wakes one that is snoozed; a closed one refuses it (constraint ticket_not_closed), a full one too (ticket_full). Definer: no request may write there.';
grant execute on function vicket.snooze_noted to vicket_owner;

set local role vicket_owner;
revoke create on schema vicket from vicket_definer;
-- By their names after status_kept, which says what the status is, and after ticket_guarded.
create trigger ticket_snoozed before update of status, status_id, snoozed_until on vicket.tickets
  for each row execute function vicket.ticket_snoozed();
create trigger ticket_snooze_noted after update on vicket.tickets
  for each row when (old.snoozed_until is distinct from new.snoozed_until) execute function vicket.snooze_noted();
reset role;
