-- Tickets that agents make, for customers who called or whom they write to first. The first message is the agent's, or a note. Its
-- customer is told of it by mail where the agent says so, within bounds: any address may be named here, too.
set local role vicket_owner;

alter table vicket.ticket_messages add column told boolean not null default true;
comment on column vicket.ticket_messages.told is 'Whether its customer is told of it by mail, where an agent wrote it.';

create policy agent_insert on vicket.tickets for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy agent_insert on vicket.tickets is 'ticket:write; within one''s teams.';
grant insert (site_id, id, email, name, subject) on vicket.tickets to vicket_agent;
grant insert (told) on vicket.ticket_messages to vicket_agent;

grant create on schema ctx, vicket to vicket_definer;
set local role vicket_definer;
-- As it was, and: who is told of a ticket that an agent makes, is told as of an answer, three times a day for an address and 500
-- times for an org.
create or replace function vicket.message_mailed() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  mail vicket.mails;
  ticket record;
begin
  if session_user not in ('vicket_gate_widget', 'vicket_gate_agent') or vicket.mail_domain() is null then
    return null;
  end if;
  select t.email, t.assignee_id, t.created_at into ticket
    from vicket.tickets t
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id;
  mail.org_id := new.org_id;
  mail.site_id := new.site_id;
  mail.ticket_id := new.ticket_id;
  mail.message_id := new.id;
  if new.author = 'agent' then
    if not new.told then
      return null;
    end if;
    mail.kind := 'ticket_answered';
    if ticket.created_at = now() then
      mail.kind := 'ticket_opened';
      if not (vicket.count_mail('opened', ticket.email, 3) and vicket.count_mail('opened by', new.org_id::text, 500)) then
        raise exception 'too much mail today' using errcode = 'check_violation', constraint = 'mail_bounded';
      end if;
    end if;
    mail.recipient := ticket.email;
    perform vicket.write_mail(mail);
  -- What a ticket begins with is no answer.
  elsif ticket.created_at <> now() then
    mail.kind := 'agent_customer_answered';
    mail.user_id := ticket.assignee_id;
    perform vicket.member_mail(mail);
  end if;
  return null;
end $$;

-- As ctx.claim_answer, of who makes a ticket: a key is theirs, and of one site. 'no_site' when it is none whose tickets they answer.
create function ctx.claim_opening(
  p_site_id uuid, p_key_hash bytea, p_request_hash bytea, out verdict text, out ticket_id uuid, out message_id uuid
)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  who record := ctx.actor();
  org constant uuid := ctx.org_id();
  own constant bytea := sha256(
    p_key_hash || convert_to(concat_ws(' ', 'opening', coalesce(who.machine_key_id, who.user_id)), 'UTF8'));
  kept record;
begin
  if not ctx.may('ticket:write')
    or not (ctx.sees_all_sites() or p_site_id in (select ctx.team_site_ids()))
    or not exists (select from vicket.sites s where s.org_id = org and s.id = p_site_id)
  then
    claim_opening.verdict := 'no_site';
    return;
  end if;
  claim_opening.ticket_id := gen_random_uuid();
  claim_opening.message_id := gen_random_uuid();
  insert into vicket.submissions as s (org_id, site_id, key_hash, request_hash, kind, ticket_id, message_id)
    values (org, p_site_id, own, p_request_hash, 'ticket', claim_opening.ticket_id, claim_opening.message_id)
    on conflict (org_id, site_id, key_hash) do update
      set request_hash = excluded.request_hash, ticket_id = excluded.ticket_id, message_id = excluded.message_id,
        created_at = now()
      where s.created_at <= now() - interval '24 hours';
  if found then
    claim_opening.verdict := 'new';
    return;
  end if;
  select s.request_hash, s.ticket_id, s.message_id into strict kept
    from vicket.submissions s
    where s.org_id = org and s.site_id = p_site_id and s.key_hash = own;
  claim_opening.verdict := case when kept.request_hash = p_request_hash then 'repeat' else 'conflict' end;
  claim_opening.ticket_id := kept.ticket_id;
  claim_opening.message_id := kept.message_id;
end $$;
comment on function ctx.claim_opening is
  'Claims the Idempotency-Key of a ticket that an agent makes: new, repeat (with the ids of then), conflict or no_site. Definer: no request may read digests.';
grant execute on function ctx.claim_opening to vicket_agent;

set local role vicket_owner;
revoke create on schema ctx, vicket from vicket_definer;
reset role;
