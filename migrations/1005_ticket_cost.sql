-- What a submission costs. The token, the ticket and its message may be one statement, what a ticket begins with is looked up
-- together, and who asks for the ticket of a token asks for the key in the same look.
set local role vicket_owner;
grant create on schema vicket, ctx to vicket_definer;

set local role vicket_definer;
-- VOLATILE: the statement that issues a token writes what the token opens, and a STABLE function would not see it there.
create or replace function ctx.ticket_id() returns uuid
  language plpgsql volatile parallel safe security definer set search_path = pg_catalog, pg_temp as $$
declare
  ticket uuid;
begin
  select t.ticket_id into ticket
    from vicket.site_keys k
    join vicket.ticket_tokens t on t.org_id = k.org_id and t.site_id = k.site_id
    where k.key_hash = ctx.digest('key') and t.token_hash = ctx.digest('ticket');
  return ticket;
end $$;

-- As it was, but for the key, which is looked up with what it asks.
create or replace function ctx.may_issue_token(p_ticket_id uuid) returns boolean
  language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform
    from vicket.site_keys k
    join vicket.tickets t on t.org_id = k.org_id and t.site_id = k.site_id
    where k.key_hash = ctx.digest('key') and t.id = p_ticket_id;
  return not found
    or exists (
      select from vicket.site_keys k
      join vicket.submissions s on s.org_id = k.org_id and s.site_id = k.site_id
      where k.key_hash = ctx.digest('key') and s.ticket_id = p_ticket_id
        and s.kind = 'ticket'
        and s.key_hash || s.request_hash = ctx.digest('submission')
        and s.created_at > now() - interval '24 hours'
    );
end $$;

-- What a ticket begins with, where nothing was said: the default status and priority, and the next number of the site,
-- without waiting for a submission that has not committed. Its number is taken by a lock that this one only tries, so it
-- takes the one after. Nobody holds a lock that another needs; a number is given once, and one that was rolled back
-- stays a gap. Those that are deleted are not given again (sites.last_number).
create function vicket.ticket_opened() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  numbered constant boolean := new.number is not null;
begin
  if new.site_id is null then
    return new; -- Outside a tenant: it is refused.
  end if;
  select
      coalesce(new.status_id, (
        select s.id from vicket.statuses s where s.org_id = new.org_id and s.is_default and s.deleted_at is null
      )),
      coalesce(new.priority_id, (select p.id from vicket.priorities p where p.org_id = new.org_id and p.is_default)),
      coalesce(new.number, 1 + greatest(
        0,
        (select s.last_number from vicket.sites s where s.org_id = new.org_id and s.id = new.site_id),
        (select max(t.number) from vicket.tickets t where t.org_id = new.org_id and t.site_id = new.site_id)
      ))
    into new.status_id, new.priority_id, new.number;
  while not numbered loop
    -- Two statements: what the lock's last holder committed, only a look that begins after it sees.
    if pg_try_advisory_xact_lock(hashtextextended(new.site_id::text, new.number)) then
      -- In the order of its index: the planner took another one, and read all tickets of the site.
      perform from (
          select t.number
          from vicket.tickets t
          where t.org_id = new.org_id and t.site_id = new.site_id and t.number >= new.number
          order by t.number
          limit 1
        ) next
        where next.number = new.number;
      exit when not found;
    end if;
    new.number := new.number + 1;
  end loop;
  return new;
end $$;
comment on function vicket.ticket_opened is
  'Trigger: numbers a ticket within its site; its status and priority are the defaults, unless said. Definer: customers may not read there.';
grant execute on function vicket.ticket_opened to vicket_owner;

set local role vicket_owner;
-- First, because it takes the strongest lock: no weaker one that is held has to grow into it.
drop trigger ticket_numbered on vicket.tickets;
-- Nothing else called it.
-- squawk-ignore ban-drop-function
drop function vicket.ticket_numbered();
create trigger ticket_opened before insert on vicket.tickets
  for each row execute function vicket.ticket_opened();
-- The default is of the category open, so most have nothing to lead.
create trigger status_said before insert on vicket.tickets
  for each row when (new.status <> 'open' or new.status_id is not null) execute function vicket.ticket_status_kept();
create or replace trigger status_kept before update of status, status_id, priority_id on vicket.tickets
  for each row execute function vicket.ticket_status_kept();
revoke create on schema vicket, ctx from vicket_definer;
reset role;
