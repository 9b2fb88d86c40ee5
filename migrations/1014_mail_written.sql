-- Who writes mail, and who sends it. Triggers write it, in the transaction of what it tells of, where a server sends at all;
-- only what came through a gate: neither commands nor the worker's batches tell anybody.
set local role vicket_owner;
grant create on schema vicket, ctx, auth, worker to vicket_definer;

-- An invitation that goes by mail has a link of its own, beside the one that whoever invites was shown.
alter table vicket.invitations add column mailed_token_hash bytea;
alter table vicket.invitations
  add constraint invitations_mailed_hash_length check (octet_length(mailed_token_hash) = 32) not valid;
-- Not led by a tenant, as that of token_hash.
-- squawk-ignore require-concurrent-index-creation
create unique index invitations_mailed_token on vicket.invitations (mailed_token_hash);
create policy definer_update on vicket.invitations for update to vicket_definer
  using (session_user = 'vicket_worker') with check (session_user = 'vicket_worker');
grant select (mailed_token_hash), update (mailed_token_hash) on vicket.invitations to vicket_definer;
comment on policy definer_update on vicket.invitations is 'worker.open_mails: the token of a link.';

set local role vicket_definer;
-- What ids of messages end with; NULL when no server sends.
create function vicket.mail_domain() returns text
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return (select s.domain from vicket.mail_service s where s.on_until > now());
end $$;

-- Writes a mail, and the task to send it. For vicket_definer's triggers alone, with whose rights it runs.
create function vicket.write_mail(p_mail vicket.mails) returns void
  language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  new_id constant uuid := gen_random_uuid();
begin
  insert into vicket.mails (org_id, site_id, id, kind, ticket_id, message_id, user_id, invitation_id, recipient, message_ref)
    values (p_mail.org_id, p_mail.site_id, new_id, p_mail.kind, p_mail.ticket_id, p_mail.message_id, p_mail.user_id,
      p_mail.invitation_id, p_mail.recipient,
      '<m.' || replace(gen_random_uuid()::text, '-', '') || '@' || vicket.mail_domain() || '>');
  insert into vicket.tasks (org_id, site_id, kind, subject_id) values (p_mail.org_id, p_mail.site_id, 'mail', new_id);
end $$;

-- Whether there is room for one more of this today. Counts it.
create function vicket.count_mail(p_what text, p_address text, p_most integer) returns boolean
  language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  delete from vicket.mail_counts c
    where c.digest in (
      select old.digest from vicket.mail_counts old
      where old.day < current_date
      limit 4
      for update skip locked
    );
  insert into vicket.mail_counts as c (digest, day, mails)
    values (
      sha256(convert_to(concat_ws(' ', current_date, p_what, lower(p_address collate "C")), 'UTF8')), current_date, 1)
    on conflict (digest) do update set mails = c.mails + 1 where c.mails < p_most;
  return found;
end $$;

-- That a ticket is here. Anybody may name any address: so it holds nothing of what they wrote, once a day for an address
-- and site, and three times for an address.
create function vicket.ticket_mailed() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  mail vicket.mails;
begin
  if session_user = 'vicket_gate_widget' and vicket.mail_domain() is not null
    and vicket.count_mail('site ' || new.site_id, new.email, 1) and vicket.count_mail('received', new.email, 3)
  then
    mail.org_id := new.org_id;
    mail.site_id := new.site_id;
    mail.kind := 'ticket_received';
    mail.ticket_id := new.id;
    mail.recipient := new.email;
    perform vicket.write_mail(mail);
  end if;
  return null;
end $$;

-- Tells a member of a ticket, where they want to be told and it was somebody else.
create function vicket.member_mail(p_mail vicket.mails) returns void
  language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  who record := ctx.actor();
begin
  if p_mail.user_id is null or p_mail.user_id = who.user_id and who.machine_key_id is null
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

create function vicket.message_mailed() returns trigger
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
    mail.kind := 'ticket_answered';
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

create function vicket.ticket_change_mailed() returns trigger
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
  if new.status = 'resolved' and old.status <> 'resolved' then
    mail.kind := 'ticket_resolved';
    mail.user_id := null;
    mail.recipient := new.email;
    perform vicket.write_mail(mail);
  end if;
  return null;
end $$;

create function vicket.invitation_mailed() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  mail vicket.mails;
begin
  if session_user = 'vicket_gate_agent' and vicket.mail_domain() is not null
    and vicket.count_mail('invitation', new.email, 3)
  then
    mail.org_id := new.org_id;
    mail.kind := 'invitation';
    mail.invitation_id := new.id;
    mail.recipient := new.email;
    perform vicket.write_mail(mail);
  end if;
  return null;
end $$;

-- Mail that is gone is not sent, and is nothing that could be run again.
create function vicket.mails_gone() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from vicket.tasks t using gone_rows g where t.org_id = g.org_id and t.kind = 'mail' and t.subject_id = g.id;
  return null;
end $$;

-- Says how many it was, as ctx.remove does.
create function ctx.run_again(p_id uuid) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  mail uuid;
begin
  update vicket.tasks t
    set dead_at = null, run_at = now(), attempts = 0
    where t.org_id = ctx.org_id() and t.id = p_id and t.dead_at is not null
      and (ctx.sees_all_sites() or t.site_id = any (array(select ctx.team_site_ids())))
    returning t.subject_id into mail;
  update vicket.mails m
    set state = 'queued', at = clock_timestamp()
    where m.org_id = ctx.org_id() and m.id = mail;
  return case when mail is null then 0 else 1 end;
end $$;

-- What whoever acts is told by mail; for a person, not for their machine keys. Says of how many.
create function ctx.choose_notifications(p_assigned boolean, p_customer_answered boolean) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  who record := ctx.actor();
begin
  if who.user_id is null or who.machine_key_id is not null then
    return 0;
  end if;
  insert into vicket.notifications as n (org_id, user_id, assigned, customer_answered)
    values (ctx.org_id(), who.user_id, coalesce(p_assigned, true), coalesce(p_customer_answered, true))
    on conflict (org_id, user_id) do update
      set assigned = coalesce(p_assigned, n.assigned), customer_answered = coalesce(p_customer_answered, n.customer_answered);
  return 1;
end $$;

-- A server sends mail, and it names the domain of the ids.
create function worker.serve_mail(p_domain text) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into vicket.mail_service as s (domain, on_until)
    values (p_domain, now() + interval '3 days')
    on conflict (id) do update set domain = excluded.domain, on_until = excluded.on_until;
end $$;

-- Of mails that were claimed, those that are to be sent, with all that they say; each with its place among the questions. The
-- digest at that place opens its ticket or invitation from now on, beside those that do already.
create function worker.open_mails(
  p_org_ids uuid[], p_mail_ids uuid[], p_ticket_hashes bytea[], p_invitation_hashes bytea[]
)
  returns table (
    place bigint, kind text, recipient text, message_ref text, earlier text[], language text, org_slug text, org_name text,
    site_name text, from_name text, from_address text, support_url text, reference text, ticket_id uuid, subject text,
    customer text, author text, body text, invited_by text
  )
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  update vicket.mails m
    set state = 'suppressed', detail = s.reason, at = clock_timestamp()
    from unnest((select p_org_ids), (select p_mail_ids)) as asked (org_id, id), vicket.suppressions s
    where m.org_id = asked.org_id and m.id = asked.id and m.state = 'queued' and m.user_id is null
      and s.org_id = m.org_id and s.site_id = m.site_id and s.address = lower(m.recipient collate "C");
  insert into vicket.ticket_tokens (org_id, site_id, ticket_id, token_hash)
    select m.org_id, m.site_id, m.ticket_id, asked.token_hash
    from unnest((select p_org_ids), (select p_mail_ids), (select p_ticket_hashes)) as asked (org_id, id, token_hash)
    join vicket.mails m on m.org_id = asked.org_id and m.id = asked.id
    where m.state = 'queued' and m.ticket_id is not null and m.user_id is null;
  update vicket.invitations i
    set mailed_token_hash = asked.token_hash
    from unnest((select p_org_ids), (select p_mail_ids), (select p_invitation_hashes)) as asked (org_id, id, token_hash)
    join vicket.mails m on m.org_id = asked.org_id and m.id = asked.id
    where m.state = 'queued' and i.org_id = m.org_id and i.id = m.invitation_id;
  return query
    select asked.place, m.kind, m.recipient, m.message_ref,
      array(
        select e.message_ref from vicket.mails e
        where e.org_id = m.org_id and e.ticket_id = m.ticket_id and e.recipient = m.recipient and e.created_at < m.created_at
        order by e.created_at
      ),
      coalesce(s.language, 'en'), o.slug, o.name, s.name, s.mail_from_name, s.mail_from_address, s.support_url,
      s.prefix || '-' || t.number, t.id, t.subject, coalesce(t.name, t.email), a.author_name, a.body, i.invited_by
    from unnest((select p_org_ids), (select p_mail_ids)) with ordinality as asked (org_id, id, place)
    join vicket.mails m on m.org_id = asked.org_id and m.id = asked.id
    join vicket.orgs o on o.id = m.org_id and o.deleted_at is null
    left join vicket.sites s on s.org_id = m.org_id and s.id = m.site_id
    left join vicket.tickets t on t.org_id = m.org_id and t.site_id = m.site_id and t.id = m.ticket_id
    left join vicket.ticket_messages a on a.org_id = m.org_id and a.site_id = m.site_id and a.id = m.message_id
    left join vicket.invitations i on i.org_id = m.org_id and i.id = m.invitation_id
    where m.state = 'queued' and s.deleted_at is null and (i.id is null or i.expires_at > now())
    order by asked.place;
end $$;

-- What became of mails: sent, bounced or suppressed, which ends their tasks; queued, and tried again after so many seconds;
-- or failed, for people to see. What bounced is not sent to again, nor what p_suppress says. One write, in one transaction.
create function worker.settle_mails(
  p_org_ids uuid[], p_task_ids uuid[], p_mail_ids uuid[], p_states text[], p_details text[], p_seconds double precision[],
  p_suppress boolean[]
) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  waits constant boolean[] := array(select s in ('queued', 'failed') from unnest(p_states) with ordinality u (s, n) order by n);
begin
  with settled as (
    update vicket.mails m
      set state = told.state, detail = left(told.detail, 1000), at = clock_timestamp()
      from unnest((select p_org_ids), (select p_mail_ids), (select p_states), (select p_details), (select p_suppress))
        as told (org_id, id, state, detail, suppress)
      where m.org_id = told.org_id and m.id = told.id
      returning m.org_id, m.site_id, m.ticket_id, m.user_id, m.recipient, m.state, m.detail, told.suppress
  ), refused as (
    insert into vicket.suppressions as s (org_id, site_id, address, reason)
      select distinct on (t.org_id, t.site_id, lower(t.recipient collate "C"))
        t.org_id, t.site_id, lower(t.recipient collate "C"), t.detail
      from settled t
      where t.suppress and t.site_id is not null and t.user_id is null
      on conflict (org_id, site_id, address) do update set reason = excluded.reason, at = now()
  )
  -- Who looks at the inbox sees that something happened.
  update vicket.tickets t
    set updated_at = now()
    from settled s
    where t.org_id = s.org_id and t.site_id = s.site_id and t.id = s.ticket_id and s.state in ('bounced', 'failed');
  perform worker.done(
    array(select u.o from unnest(p_org_ids, waits) with ordinality u (o, w, n) where not u.w order by n),
    array(select u.t from unnest(p_task_ids, waits) with ordinality u (t, w, n) where not u.w order by n));
  perform worker.retry(
    array(select u.o from unnest(p_org_ids, waits) with ordinality u (o, w, n) where u.w order by n),
    array(select u.t from unnest(p_task_ids, waits) with ordinality u (t, w, n) where u.w order by n),
    array(select case p_states[n] when 'queued' then u.s end
      from unnest(p_seconds, waits) with ordinality u (s, w, n) where u.w order by n),
    array(select u.d from unnest(p_details, waits) with ordinality u (d, w, n) where u.w order by n));
end $$;

comment on function vicket.mail_domain is 'Of the server that sends mail; NULL when there is none.';
comment on function vicket.write_mail is 'Writes a mail and its task.';
comment on function vicket.count_mail is 'Counts mail that anybody may cause; says whether there is room.';
comment on function vicket.member_mail is 'Writes mail to a member, as they chose.';
comment on function vicket.ticket_mailed is
  'Trigger: tells a customer that their ticket is here, within bounds. Definer: no request may write there.';
comment on function vicket.message_mailed is
  'Trigger: tells a customer what was answered, and who takes care that the customer answered. Definer: no request may write there.';
comment on function vicket.ticket_change_mailed is
  'Trigger: tells a member what they were assigned, and a customer that it is resolved. Definer: no request may write there.';
comment on function vicket.invitation_mailed is 'Trigger: sends an invitation. Definer: no request may write there.';
comment on function vicket.mails_gone is 'Trigger: mail that is gone is not sent. Definer: no request may write there.';
comment on function ctx.run_again is
  'Runs again what was given up; says how many it was. Definer: no request may write there.';
comment on function ctx.choose_notifications is
  'What a person is told by mail; says of how many. Definer: no request may write there.';
comment on function worker.serve_mail is 'Says that mail is sent, for three days. Definer: the worker reads no table.';
comment on function worker.open_mails is
  'What claimed mails say, and a token for the link of each. Definer: the worker reads no table.';
comment on function worker.settle_mails is 'What became of mails. Definer: the worker reads no table.';
grant execute on function vicket.ticket_mailed, vicket.message_mailed, vicket.ticket_change_mailed, vicket.invitation_mailed,
  vicket.mails_gone to vicket_owner;
grant execute on function ctx.run_again, ctx.choose_notifications to vicket_agent;
grant execute on function worker.serve_mail, worker.open_mails, worker.settle_mails to vicket_worker;

-- As they were, and: the link that was mailed opens an invitation too; suppressions are cleared.
create or replace function auth.invitation(
  p_token_hash bytea, out email text, out org_slug text, out org_name text, out role text, out known boolean
)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  select i.email, o.slug, o.name, i.role, exists (select from vicket.users u where u.email = i.email)
    into invitation.email, invitation.org_slug, invitation.org_name, invitation.role, invitation.known
    from vicket.invitations i
    join vicket.orgs o on o.id = i.org_id
    where (i.token_hash = p_token_hash or i.mailed_token_hash = p_token_hash) and i.expires_at > now();
end $$;
create or replace function auth.accept_invitation(
  p_token_hash bytea, p_name text, p_password_hash text, p_session_hash bytea, p_request_id text
) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  invited record;
  inviter_may text[];
  person uuid;
begin
  perform auth.enter_actor(''::bytea, ''::bytea, ''::bytea, p_request_id);
  select i.org_id, i.id, i.email, i.role, i.invited_by_id, i.token_hash
    into invited
    from vicket.invitations i
    where (i.token_hash = p_token_hash or i.mailed_token_hash = p_token_hash) and i.expires_at > now();
  if not found then
    return 'unknown';
  end if;
  -- It is worth what whoever invited may do now.
  if invited.invited_by_id is not null then
    inviter_may := (
      select ctx.permissions_of(m.role) from vicket.members m
      where m.org_id = invited.org_id and m.user_id = invited.invited_by_id
    );
    if inviter_may is null or not 'member:invite' = any (inviter_may)
      or not ctx.permissions_of(invited.role) <@ inviter_may
    then
      return 'unknown';
    end if;
  end if;
  if exists (
    select from vicket.users u where u.email = invited.email and u.password_hash is distinct from p_password_hash
  ) then
    return 'wrong_password';
  end if;
  begin
    insert into vicket.users (id, email, name, password_hash)
      values (gen_random_uuid(), invited.email, p_name, p_password_hash)
      on conflict (email) do nothing;
    select u.id into person
      from vicket.users u
      where u.email = invited.email and u.password_hash = p_password_hash;
    if person is null then
      raise exception 'the account was made meanwhile' using errcode = 'serialization_failure';
    end if;
    insert into vicket.sessions (user_id, token_hash) values (person, p_session_hash);
    perform set_config('app.session_hash', encode(p_session_hash, 'hex'), true),
      set_config('app.org_id', invited.org_id::text, true),
      set_config('app.invitation_hash', encode(invited.token_hash, 'hex'), true);
    -- Of two that accept at once the second waits here, and then finds nothing.
    delete from vicket.invitations i where i.org_id = invited.org_id and i.id = invited.id;
    if not found then
      raise exception 'the invitation was accepted meanwhile' using errcode = 'no_data_found';
    end if;
    insert into vicket.members (org_id, user_id, role)
      values (invited.org_id, person, invited.role)
      on conflict (org_id, user_id) do nothing;
  exception when no_data_found then
    return 'unknown';
  end;
  return 'joined';
end $$;
create or replace function ctx.remove(p_table text, p_ids uuid[], p_of uuid default null, p_text text default null) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  org constant uuid := ctx.org_id();
  gone bigint;
begin
  case p_table
    when 'articles' then
      delete from vicket.articles t where t.org_id = org and t.id = any (p_ids);
    when 'faqs' then
      delete from vicket.faqs t where t.org_id = org and t.id = any (p_ids);
    when 'invitations' then
      delete from vicket.invitations t where t.org_id = org and t.id = any (p_ids);
    when 'members' then
      delete from vicket.members t where t.org_id = org and t.user_id = any (p_ids);
    when 'refused_origins' then
      delete from vicket.refused_origins t
        where t.org_id = org and t.site_id = p_of and (p_text is null or t.origin = p_text);
    when 'saved_replies' then
      delete from vicket.saved_replies t where t.org_id = org and t.id = any (p_ids);
    when 'site_origins' then
      delete from vicket.site_origins t where t.org_id = org and t.site_id = p_of and t.origin = p_text;
    when 'suppressions' then
      delete from vicket.suppressions t where t.org_id = org and (p_of is null or t.site_id = p_of) and t.id = any (p_ids);
    when 'team_members' then
      delete from vicket.team_members t where t.org_id = org and t.team_id = p_of and t.user_id = any (p_ids);
    when 'team_sites' then
      delete from vicket.team_sites t where t.org_id = org and t.team_id = p_of and t.site_id = any (p_ids);
    when 'teams' then
      delete from vicket.teams t where t.org_id = org and t.id = any (p_ids);
    when 'template_questions' then
      delete from vicket.template_questions t where t.org_id = org and t.template_id = p_of;
    when 'template_sites' then
      delete from vicket.template_sites t where t.org_id = org and t.template_id = p_of;
    when 'template_thresholds' then
      delete from vicket.template_thresholds t where t.org_id = org and t.template_id = p_of;
    when 'templates' then
      delete from vicket.templates t where t.org_id = org and t.id = any (p_ids);
    when 'tickets' then
      delete from vicket.tickets t where t.org_id = org and t.id = any (p_ids);
  end case;
  get diagnostics gone = row_count;
  return gone;
end $$;

set local role vicket_owner;
create trigger ticket_mailed after insert on vicket.tickets
  for each row execute function vicket.ticket_mailed();
create trigger ticket_change_mailed after update on vicket.tickets
  for each row when (old.assignee_id is distinct from new.assignee_id or old.status is distinct from new.status)
  execute function vicket.ticket_change_mailed();
create trigger message_mailed after insert on vicket.ticket_messages
  for each row when (not new.internal) execute function vicket.message_mailed();
create trigger invitation_mailed after insert on vicket.invitations
  for each row execute function vicket.invitation_mailed();
create trigger mails_gone after delete on vicket.mails
  referencing old table as gone_rows for each statement execute function vicket.mails_gone();
revoke create on schema vicket, ctx, auth, worker from vicket_definer;
reset role;
