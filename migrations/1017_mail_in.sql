-- What mail that goes out is answered to, and what becomes of mail that came in. The worker takes one mail at a time and enters
-- its site: what it then writes is of that org and site, by the policies.
set local role vicket_owner;
grant create on schema vicket, ctx, worker, admin to vicket_definer;

create policy definer_insert on vicket.tickets for insert to vicket_definer
  with check (session_user = 'vicket_worker' and org_id = (select ctx.org_id()) and site_id = (select ctx.site_id()));
create policy definer_insert on vicket.ticket_messages for insert to vicket_definer
  with check (session_user = 'vicket_worker' and org_id = (select ctx.org_id()) and site_id = (select ctx.site_id()));
create policy definer_insert on vicket.attachments for insert to vicket_definer
  with check (session_user = 'vicket_worker' and org_id = (select ctx.org_id()) and site_id = (select ctx.site_id()));
comment on policy definer_insert on vicket.tickets is 'worker.file_mail, of the site of the mail.';
comment on policy definer_insert on vicket.ticket_messages is 'worker.file_mail, of the site of the mail.';
comment on policy definer_insert on vicket.attachments is 'worker.file_mail, of the site of the mail.';
grant insert (org_id, site_id, id, email, name, subject) on vicket.tickets to vicket_definer;
grant insert (org_id, site_id, id, ticket_id, author, author_id, author_name, body) on vicket.ticket_messages to vicket_definer;
grant insert (org_id, site_id, ticket_id, message_id, upload_id, name, content_type, size, content, object_key)
  on vicket.attachments to vicket_definer;
grant update (message_ref) on vicket.mails to vicket_definer;

set local role vicket_definer;
-- Of mails that were claimed, those of tickets: their site, and whose mail it is.
create function worker.mail_participants(p_org_ids uuid[], p_mail_ids uuid[])
  returns table (place bigint, site_id uuid, ticket_id uuid, user_id uuid)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query
    select asked.place, m.site_id, m.ticket_id, m.user_id
    from unnest((select p_org_ids), (select p_mail_ids)) with ordinality as asked (org_id, id, place)
    join vicket.mails m on m.org_id = asked.org_id and m.id = asked.id
    where m.ticket_id is not null;
end $$;

-- What they may be answered to, and come back to, from now on; and their Message-IDs, which are said once: a mail that was
-- addressed before keeps the one that it has. NULL: none.
create function worker.address_mails(
  p_org_ids uuid[], p_mail_ids uuid[], p_refs text[], p_reply_digests bytea[], p_bounce_digests bytea[]
)
  returns table (place bigint, message_ref text)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  update vicket.mails m
    set message_ref = asked.ref
    from unnest((select p_org_ids), (select p_mail_ids), (select p_refs)) as asked (org_id, id, ref)
    where m.org_id = asked.org_id and m.id = asked.id and asked.ref is not null
      -- A random one is shorter.
      and char_length(m.message_ref) < char_length(asked.ref)
      and m.message_ref ~ '^<m[.][0-9a-f]{32}@';
  insert into vicket.mail_addresses (org_id, site_id, kind, digest, ticket_id, user_id, mail_id)
    select m.org_id, m.site_id, a.kind, a.digest, m.ticket_id, a.user_id, a.mail_id
    from unnest((select p_org_ids), (select p_mail_ids), (select p_reply_digests), (select p_bounce_digests))
      as asked (org_id, id, reply, bounce)
    join vicket.mails m on m.org_id = asked.org_id and m.id = asked.id and m.ticket_id is not null
    cross join lateral (
      values ('reply', asked.reply, m.user_id, null::uuid), ('bounce', asked.bounce, null, m.id)
    ) a (kind, digest, user_id, mail_id)
    where a.digest is not null
    on conflict (digest) do nothing;
  return query
    select asked.place, m.message_ref
    from unnest((select p_org_ids), (select p_mail_ids)) with ordinality as asked (org_id, id, place)
    join vicket.mails m on m.org_id = asked.org_id and m.id = asked.id;
end $$;

-- A mail that came in, with what the address that it was sent to is; no row when it is gone or done.
create function worker.open_inbound(p_org_id uuid, p_id uuid)
  returns table (
    site_id uuid, state text, accepted boolean, recipient text, mail_from text, client text, helo text, raw bytea,
    kind text, ticket_id uuid, user_id uuid, mail_id uuid, busy boolean
  )
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query
    select i.site_id, i.state, i.accepted, i.recipient, i.mail_from, i.client, i.helo, i.raw, coalesce(a.kind, 'own'),
      a.ticket_id, a.user_id, a.mail_id,
      -- A site that gets more than so much in an hour answers nobody by itself.
      (
        select count(*) > 500
        from (
          select from vicket.inbound_mails l
          where l.org_id = i.org_id and l.site_id = i.site_id and l.received_at > now() - interval '1 hour'
          order by l.received_at desc
          limit 501
        ) lately
      )
    from vicket.inbound_mails i
    left join vicket.mail_addresses a on a.org_id = i.org_id and a.site_id = i.site_id and a.id = i.address_id
    where i.org_id = p_org_id and i.id = p_id and i.raw is not null;
end $$;

-- Who takes part in a ticket: its customer; and the member whose address, or whose mail by the first half of its id, it was.
create function worker.mail_thread(p_org_id uuid, p_site_id uuid, p_ticket_id uuid, p_user_id uuid, p_mail_half bytea)
  returns table (status text, reference text, email text, user_id uuid, user_email text, mail_id uuid, mailed_to text)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query
    select t.status, s.prefix || '-' || t.number, t.email, u.id,
      -- Only who may answer: whoever left, or may not any more, is a stranger.
      case when 'ticket:write' = any (ctx.permissions_of(p.role)) then u.email end, m.id, m.recipient
    from vicket.tickets t
    join vicket.sites s on s.org_id = t.org_id and s.id = t.site_id
    left join vicket.mails m
      on m.org_id = t.org_id and m.ticket_id = t.id and substring(uuid_send(m.id) from 1 for 8) = p_mail_half
    left join vicket.members p on p.org_id = t.org_id and p.user_id = coalesce(p_user_id, m.user_id)
    left join vicket.users u on u.id = coalesce(p_user_id, m.user_id)
    where t.org_id = p_org_id and t.site_id = p_site_id and t.id = p_ticket_id;
end $$;

-- Keys for objects of files that are about to be filed.
create function worker.reserve_objects(p_org_id uuid, p_site_id uuid, p_keys text[]) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into vicket.object_removals (org_id, site_id, object_key)
    select p_org_id, p_site_id, k from unnest(p_keys) k;
end $$;

-- Writes what a mail says as a message: of a new ticket, of its customer, or of a member. Says which, or why not.
create function worker.file_mail(
  p_org_id uuid, p_site_id uuid, p_id uuid, p_ticket_id uuid, p_user_id uuid, p_author text, p_author_name text, p_subject text,
  p_body text, p_quiet boolean, p_acknowledge boolean, p_names text[], p_types text[], p_contents bytea[], p_object_keys text[],
  p_sizes bigint[]
) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  ticket uuid := p_ticket_id;
  message constant uuid := gen_random_uuid();
  mail vicket.mails;
  left_out text[] := array_fill(null::text, array[cardinality(p_names)]);
  was text;
  quiet boolean := p_quiet;
  refused text;
  at integer;
begin
  perform set_config('app.org_id', p_org_id::text, true), set_config('app.site_id', p_site_id::text, true),
    set_config('app.actor', case when p_user_id is null then 'customer' else '' end, true);
  -- Whoever else has the same mail waits here, and then finds it filed.
  perform from vicket.inbound_mails i
    where i.org_id = p_org_id and i.site_id = p_site_id and i.id = p_id and i.state in ('received', 'held') and i.message_id is null
    for update;
  if not found then
    return 'done';
  end if;
  if ticket is not null then
    select t.status into was
      from vicket.tickets t
      where t.org_id = p_org_id and t.site_id = p_site_id and t.id = ticket
      for no key update;
    if was = 'resolved' and not quiet then
      quiet := (
        select count(*) >= 5
        from vicket.inbound_mails i
        where i.org_id = p_org_id and i.ticket_id = ticket and i.reopened and i.received_at > now() - interval '1 hour'
      );
    end if;
  end if;
  perform set_config('app.quiet', case when quiet then 'on' else '' end, true);
  loop
    at := 0;
    begin
      if p_ticket_id is null then
        ticket := gen_random_uuid();
        insert into vicket.tickets (org_id, site_id, id, email, name, subject)
          values (p_org_id, p_site_id, ticket, p_author, p_author_name, p_subject);
      end if;
      insert into vicket.ticket_messages (org_id, site_id, id, ticket_id, author, author_id, author_name, body)
        select p_org_id, p_site_id, message, ticket, case when p_user_id is null then 'customer' else 'agent' end, p_user_id,
          coalesce((select u.name from vicket.users u where u.id = p_user_id), p_author_name),
          left(p_body || coalesce(E'\n' || string_agg(
            E'\n[Not attached: ' || p_names[n] || ', ' || left_out[n] || ']', '' order by n), ''), 20000)
        from generate_subscripts(left_out, 1) n
        where left_out[n] is not null;
      for n in 1 .. cardinality(p_names) loop
        at := n;
        continue when left_out[n] is not null;
        insert into vicket.attachments
            (org_id, site_id, ticket_id, message_id, upload_id, name, content_type, size, content, object_key)
          values (p_org_id, p_site_id, ticket, message, p_id, p_names[n], p_types[n], p_sizes[n], p_contents[n],
            p_object_keys[n]);
      end loop;
      exit;
    exception when check_violation then
      get stacked diagnostics refused = constraint_name;
      if at = 0 then
        return refused;
      end if;
      left_out[at] := case refused
        when 'attachments_of_message' then 'a message has 10 files at the most'
        when 'attachments_of_ticket' then 'a ticket has 100 MiB of files at the most'
        when 'attachments_of_site' then 'this site keeps as many files as it may'
        when 'attachments_of_org' then 'this org keeps as many files as it may'
        else 'it was refused' end;
    end;
  end loop;
  update vicket.inbound_mails i
    set state = 'filed', ticket_id = ticket, message_id = message, reopened = coalesce(was = 'resolved' and not quiet, false)
    where i.org_id = p_org_id and i.site_id = p_site_id and i.id = p_id;
  if not p_quiet and vicket.mail_domain() is not null then
    mail.org_id := p_org_id;
    mail.site_id := p_site_id;
    mail.ticket_id := ticket;
    if p_ticket_id is null then
      mail.kind := 'ticket_received';
      mail.recipient := p_author;
      if p_acknowledge and vicket.count_mail('site ' || p_site_id, p_author, 1) and vicket.count_mail('received', p_author, 3)
      then
        perform vicket.write_mail(mail);
      end if;
    elsif p_user_id is null then
      mail.kind := 'agent_customer_answered';
      mail.message_id := message;
      mail.user_id := (
        select t.assignee_id from vicket.tickets t where t.org_id = p_org_id and t.site_id = p_site_id and t.id = ticket
      );
      perform vicket.member_mail(mail);
    else
      mail.kind := 'ticket_answered';
      mail.message_id := message;
      mail.recipient := (
        select t.email from vicket.tickets t where t.org_id = p_org_id and t.site_id = p_site_id and t.id = ticket
      );
      perform vicket.write_mail(mail);
    end if;
  end if;
  return 'filed';
end $$;

-- What is known of a mail once it is read, and what it is from now on; what was filed stays filed.
create function worker.note_mail(
  p_org_id uuid, p_site_id uuid, p_id uuid, p_state text, p_reason text, p_ticket_id uuid, p_author text, p_author_name text,
  p_subject text, p_verified boolean, p_automatic boolean, p_quoted_from integer
) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update vicket.inbound_mails i
    set state = case when i.state in ('filed', 'rejected') then i.state else p_state end, reason = left(p_reason, 1000),
      ticket_id = coalesce(i.ticket_id, p_ticket_id), author = p_author, author_name = p_author_name, subject = p_subject,
      verified = p_verified, automatic = p_automatic, quoted_from = p_quoted_from
    where i.org_id = p_org_id and i.site_id = p_site_id and i.id = p_id;
  -- Who looks at the inbox sees that something happened.
  update vicket.tickets t
    set updated_at = now()
    where p_state = 'held' and t.org_id = p_org_id and t.site_id = p_site_id and t.id = p_ticket_id;
end $$;

-- Nothing could be made of a mail.
create function worker.fail_inbound(p_org_id uuid, p_id uuid, p_reason text) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update vicket.inbound_mails i
    set state = 'failed', reason = left(p_reason, 1000)
    where i.org_id = p_org_id and i.id = p_id and i.state = 'received';
end $$;

-- What came back, of a mail of the site: for good, so that nothing is sent there any more; or not yet.
create function worker.bounce_mail(p_org_id uuid, p_site_id uuid, p_mail_id uuid, p_for_good boolean, p_said text) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  mail vicket.mails;
begin
  update vicket.mails m
    set state = case when p_for_good then 'bounced' else m.state end, detail = left(p_said, 1000), at = clock_timestamp()
    where m.org_id = p_org_id and m.site_id = p_site_id and m.id = p_mail_id and m.state in ('sent', 'bounced')
      and (p_for_good or m.state = 'sent')
    returning * into mail;
  if mail.id is null or not p_for_good then
    return;
  end if;
  insert into vicket.suppressions as s (org_id, site_id, address, reason)
    select mail.org_id, mail.site_id, lower(mail.recipient collate "C"), mail.detail
    where mail.user_id is null
    on conflict (org_id, site_id, address) do update set reason = excluded.reason, at = now();
  update vicket.tickets t
    set updated_at = now()
    where t.org_id = mail.org_id and t.site_id = mail.site_id and t.id = mail.ticket_id;
end $$;

-- Mail as it came goes with the files of its site, and what became nothing a month after it came; p_most at the most.
create function worker.forget_mail(p_most integer) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  gone bigint;
begin
  update vicket.inbound_mails i
    set raw = null
    from (
      select o.org_id, o.site_id, o.id
      from vicket.retention r
      join vicket.inbound_mails o on o.org_id = r.org_id and o.site_id = r.site_id
      where r.files_days is not null and o.received_at < now() - make_interval(days => r.files_days)
        and o.raw is not null and o.state <> 'received'
      limit p_most
    ) old
    where i.org_id = old.org_id and i.site_id = old.site_id and i.id = old.id;
  get diagnostics gone = row_count;
  delete from vicket.inbound_mails i
    using (
      select o.org_id, o.site_id, o.id
      from vicket.inbound_mails o
      where o.state in ('ignored', 'rejected') and o.received_at < now() - interval '30 days'
      limit p_most
    ) old
    where i.org_id = old.org_id and i.site_id = old.site_id and i.id = old.id;
  return gone;
end $$;

-- A person decides on a mail that is held. Says how many it was, as ctx.remove does.
create function ctx.decide_mail(p_site_id uuid, p_id uuid, p_accept boolean) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  decided bigint;
begin
  update vicket.inbound_mails i
    set accepted = p_accept, state = case when p_accept then i.state else 'rejected' end
    where i.org_id = ctx.org_id() and i.site_id = p_site_id and i.id = p_id and i.state = 'held' and not i.accepted
      and (ctx.sees_all_sites() or i.site_id = any (array(select ctx.team_site_ids())));
  get diagnostics decided = row_count;
  if decided > 0 and p_accept then
    insert into vicket.tasks (org_id, site_id, kind, subject_id)
      values (ctx.org_id(), p_site_id, 'inbound', p_id)
      on conflict do nothing;
  end if;
  return decided;
end $$;

-- The address of its own that a site has; NULL takes it away. Says how many it has then, which is none where another has it.
create function ctx.set_mail_address(p_site_id uuid, p_address text) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from vicket.mail_addresses a
    where a.org_id = ctx.org_id() and a.site_id = p_site_id and a.kind = 'own' and a.address is distinct from p_address;
  insert into vicket.mail_addresses (org_id, site_id, kind, digest, address)
    select s.org_id, s.id, 'own', sha256(convert_to(lower(p_address collate "C"), 'UTF8')), p_address
    from vicket.sites s
    where s.org_id = ctx.org_id() and s.id = p_site_id and p_address is not null and ctx.may('mail:edit')
      and (ctx.sees_all_sites() or s.id = any (array(select ctx.team_site_ids())))
    on conflict do nothing;
  return (
    select count(*)
    from vicket.mail_addresses a
    where a.org_id = ctx.org_id() and a.site_id = p_site_id and a.kind = 'own' and a.address = p_address
  );
end $$;

-- Reads mail of the org again: one, or all that is no message. Says how many.
create function admin.reparse_mail(p_id uuid default null) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  again bigint;
begin
  insert into vicket.tasks as t (org_id, site_id, kind, subject_id)
    select i.org_id, i.site_id, 'inbound', i.id
    from vicket.inbound_mails i
    where i.org_id = ctx.org_id() and i.raw is not null
      and case when p_id is null then i.state in ('received', 'ignored', 'failed') else i.id = p_id end
    on conflict (org_id, kind, subject_id) do update set dead_at = null, run_at = now(), attempts = 0
      where t.dead_at is not null;
  get diagnostics again = row_count;
  return again;
end $$;

-- Mail of the org that somebody sent. Says how many.
create function admin.forget_mail(p_address text) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  gone bigint;
begin
  delete from vicket.inbound_mails i
    where i.org_id = ctx.org_id() and p_address in (lower(i.author collate "C"), lower(i.mail_from collate "C"));
  get diagnostics gone = row_count;
  return gone;
end $$;

-- As it was, and: mail that a machine sent, or too much of it, reopens nothing, and is kept on a closed ticket.
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
      message_count = t.message_count + 1, message_bytes = t.message_bytes + octet_length(new.body)
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id and (t.status <> 'closed' or quiet);
  if not found then
    raise exception 'the ticket is closed' using errcode = 'check_violation', constraint = 'ticket_not_closed';
  end if;
  return null;
end $$;

comment on function worker.mail_participants is 'Whose mail it is that goes out. Definer: the worker reads no table.';
comment on function worker.address_mails is
  'What mail that goes out is answered to. Definer: the worker reads no table.';
comment on function worker.open_inbound is 'A mail that came in. Definer: the worker reads no table.';
comment on function worker.mail_thread is 'Who takes part in the ticket of a mail. Definer: the worker reads no table.';
comment on function worker.reserve_objects is 'Keys for files of a mail. Definer: the worker reads no table.';
comment on function worker.file_mail is 'Writes a mail as a message of a ticket. Definer: the worker reads no table.';
comment on function worker.note_mail is 'What became of a mail. Definer: the worker reads no table.';
comment on function worker.fail_inbound is 'Gives a mail up. Definer: the worker reads no table.';
comment on function worker.bounce_mail is 'What became of a mail that was sent. Definer: the worker reads no table.';
comment on function worker.forget_mail is 'Forgets mail as it came. Definer: the worker reads no table.';
comment on function ctx.decide_mail is
  'Accepts or rejects mail that is held; says how many it was. Definer: no request may write there.';
comment on function ctx.set_mail_address is
  'Says the address of a site, and how many it has then. Definer: no request may write there.';
comment on function admin.reparse_mail is 'Reads mail again; says how many. Definer: commands may not write there.';
comment on function admin.forget_mail is 'Deletes mail of a person; says how many. Definer: commands may not write there.';
comment on function vicket.customer_replied is
  'Trigger: a reply reopens a resolved ticket; a closed one refuses it (constraint ticket_not_closed), a full one too (ticket_full). Definer: no request may write there.';
grant execute on function worker.mail_participants, worker.address_mails, worker.open_inbound, worker.mail_thread,
  worker.reserve_objects, worker.file_mail, worker.note_mail, worker.fail_inbound, worker.bounce_mail, worker.forget_mail to vicket_worker;
grant execute on function ctx.decide_mail, ctx.set_mail_address to vicket_agent;
grant execute on function admin.reparse_mail, admin.forget_mail to vicket_operator;

set local role vicket_owner;
revoke create on schema vicket, ctx, worker, admin from vicket_definer;
reset role;
