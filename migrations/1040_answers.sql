-- What follows an answer, as the org says; who may be given a ticket; and which replies open one again.
set local role vicket_owner;

alter table vicket.orgs
  add column answer_sets_pending boolean not null default true,
  add column answer_assigns boolean not null default true;
comment on column vicket.orgs.answer_sets_pending is 'Whether an open ticket that is answered becomes pending.';
comment on column vicket.orgs.answer_assigns is 'Whether a ticket of nobody becomes that of the member who answers it.';
comment on policy agent_update on vicket.orgs is 'org:edit. The name, and what follows an answer.';
grant select (answer_sets_pending, answer_assigns), update (answer_sets_pending, answer_assigns) on vicket.orgs to vicket_agent;
create or replace trigger audited after insert or update on vicket.orgs
  for each row execute function vicket.audited('org', 'slug', 'slug name answer_sets_pending answer_assigns');

-- As it was, and: nobody is given a ticket that they could not work on. A trigger asks, because it may have been given before
-- their teams changed, and then it stays theirs.
create or replace function vicket.ticket_guarded() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  given text;
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
  if new.assignee_id is not null and new.assignee_id is distinct from old.assignee_id then
    given := (select m.role from vicket.members m where m.org_id = new.org_id and m.user_id = new.assignee_id);
    if given is not null and not 'ticket:write' = any (ctx.permissions_of(given)) then
      raise exception 'they only read tickets' using errcode = 'check_violation', constraint = 'tickets_assignee_writes';
    end if;
    if given not in ('owner', 'admin')
      and exists (select from vicket.team_members m where m.org_id = new.org_id and m.user_id = new.assignee_id)
      and not exists (
        select from vicket.team_members m
        join vicket.team_sites s on s.org_id = m.org_id and s.team_id = m.team_id
        where m.org_id = new.org_id and m.user_id = new.assignee_id and s.site_id = new.site_id
      )
    then
      raise exception 'their teams do not see it' using errcode = 'check_violation', constraint = 'tickets_assignee_sees';
    end if;
  end if;
  new.updated_at := now();
  return new;
end $$;

grant create on schema vicket to vicket_definer;
set local role vicket_definer;
-- As it was, and: a reply opens a pending ticket, too.
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
      last_activity_at = clock_timestamp(), unanswered = t.unanswered or not quiet
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id and (t.status <> 'closed' or quiet);
  if not found then
    raise exception 'the ticket is closed' using errcode = 'check_violation', constraint = 'ticket_not_closed';
  end if;
  return null;
end $$;
comment on function vicket.customer_replied is
  'Trigger: a reply opens a resolved or a pending ticket; a closed one refuses it (constraint ticket_not_closed), a full one too (ticket_full). Definer: no request may write there.';

set local role vicket_owner;
revoke create on schema vicket from vicket_definer;
reset role;
