-- mail_addresses, inbound_mails: whose mail it is that comes in, and that mail. A third gate: its login finds a site by the
-- digest of the address that mail was sent to, becomes vicket_mail for one transaction, and adds mail of that one site. It
-- reads nothing: a bug in what takes mail in crosses no tenant. What the mail says is read later, by the worker.
do $$ begin
  execute format('grant connect on database %I to vicket_gate_mail', current_database());
end $$;
set local role vicket_owner;
grant usage on schema vicket, ctx to vicket_mail;
grant usage on schema auth to vicket_gate_mail;
grant execute on function ctx.org_id, ctx.site_id to vicket_mail;
grant execute on function auth.session_is_clean to vicket_gate_mail;

-- Why: what mail may be sent to. A reply address is a participant's of one ticket, a return path one mail's; of those there is
-- only the digest, so that who reads the tables answers nobody's ticket.
create table vicket.mail_addresses (
  org_id uuid not null,
  site_id uuid not null,
  id uuid not null default gen_random_uuid(),
  kind text not null,
  digest bytea not null,
  address text,
  ticket_id uuid,
  user_id uuid,
  mail_id uuid,
  created_at timestamptz not null default now(),
  constraint mail_addresses_pkey primary key (org_id, site_id, id),
  constraint mail_addresses_site_fkey foreign key (org_id, site_id) references vicket.sites (org_id, id) on delete cascade,
  constraint mail_addresses_ticket_fkey foreign key (org_id, site_id, ticket_id)
    references vicket.tickets (org_id, site_id, id) on delete cascade,
  constraint mail_addresses_member_fkey foreign key (org_id, user_id)
    references vicket.members (org_id, user_id) on delete cascade,
  constraint mail_addresses_mail_fkey foreign key (org_id, mail_id) references vicket.mails (org_id, id) on delete cascade,
  constraint mail_addresses_kind_known check (kind in ('site', 'own', 'reply', 'bounce')),
  constraint mail_addresses_digest_length check (octet_length(digest) = 32),
  constraint mail_addresses_of_kind check (
    case kind when 'reply' then ticket_id is not null and num_nonnulls(address, mail_id) = 0
      when 'bounce' then num_nonnulls(ticket_id, mail_id) = 2 and num_nonnulls(address, user_id) = 0
      else address is not null and num_nonnulls(ticket_id, user_id, mail_id) = 0 end),
  constraint mail_addresses_length check (char_length(address) between 1 and 254)
);
-- Not led by a tenant: the digest is what tells it.
create unique index mail_addresses_digest on vicket.mail_addresses (digest);
create unique index mail_addresses_one on vicket.mail_addresses (org_id, site_id, kind) where kind in ('site', 'own');
create index mail_addresses_ticket on vicket.mail_addresses (org_id, ticket_id) where ticket_id is not null;
create index mail_addresses_member on vicket.mail_addresses (org_id, user_id) where user_id is not null;
create index mail_addresses_mail on vicket.mail_addresses (org_id, mail_id) where mail_id is not null;
create statistics vicket.mail_addresses_tenant (dependencies, ndistinct) on org_id, site_id from vicket.mail_addresses;

-- Why: mail that came in, as it came, before anybody read it; and what became of it.
create table vicket.inbound_mails (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null default ctx.site_id(),
  id uuid not null default gen_random_uuid(),
  address_id uuid,
  recipient text not null,
  mail_from text not null,
  client text,
  helo text,
  message_digest bytea not null,
  content_digest bytea not null,
  raw bytea,
  received_at timestamptz not null default clock_timestamp(),
  state text not null default 'received',
  reason text,
  accepted boolean not null default false,
  ticket_id uuid,
  message_id uuid,
  author text,
  author_name text,
  subject text,
  verified boolean not null default false,
  automatic boolean not null default false,
  quoted_from integer,
  reopened boolean not null default false,
  constraint inbound_mails_pkey primary key (org_id, id),
  constraint inbound_mails_once unique (org_id, site_id, address_id, message_digest, content_digest),
  constraint inbound_mails_site_fkey foreign key (org_id, site_id) references vicket.sites (org_id, id) on delete cascade,
  constraint inbound_mails_address_fkey foreign key (org_id, site_id, address_id)
    references vicket.mail_addresses (org_id, site_id, id) on delete set null (address_id),
  constraint inbound_mails_ticket_fkey foreign key (org_id, site_id, ticket_id)
    references vicket.tickets (org_id, site_id, id) on delete cascade,
  constraint inbound_mails_message_fkey foreign key (org_id, site_id, message_id)
    references vicket.ticket_messages (org_id, site_id, id) on delete cascade,
  constraint inbound_mails_state_known check (state in ('received', 'filed', 'held', 'rejected', 'ignored', 'failed')),
  constraint inbound_mails_held_on_ticket check (state <> 'held' or ticket_id is not null),
  constraint inbound_mails_digest_length check (octet_length(message_digest) = 32 and octet_length(content_digest) = 32),
  constraint inbound_mails_raw_size check (octet_length(raw) <= 26214400),
  constraint inbound_mails_envelope_length check (
    char_length(recipient) <= 320 and char_length(mail_from) <= 320 and char_length(client) <= 64 and char_length(helo) <= 255)
);
create index inbound_mails_of_ticket on vicket.inbound_mails (org_id, ticket_id) where ticket_id is not null;
create index inbound_mails_of_message on vicket.inbound_mails (org_id, message_id) where message_id is not null;
create index inbound_mails_of_address on vicket.inbound_mails (org_id, site_id, address_id) where address_id is not null;
-- What came last, and how much in an hour; what is held.
create index inbound_mails_newest on vicket.inbound_mails (org_id, site_id, received_at desc);
create index inbound_mails_held on vicket.inbound_mails (org_id, site_id, received_at desc, id desc) where state = 'held';
-- What is kept as it came, and what goes after a month: not led by a tenant, the worker deletes whose ever it is.
create index inbound_mails_kept on vicket.inbound_mails (org_id, site_id, received_at)
  where raw is not null and state <> 'received';
create index inbound_mails_ended on vicket.inbound_mails (received_at) where state in ('ignored', 'rejected');
create index inbound_mails_failed on vicket.inbound_mails (org_id, site_id) where state = 'failed';
create statistics vicket.inbound_mails_tenant (dependencies, ndistinct) on org_id, site_id from vicket.inbound_mails;

alter table vicket.mail_addresses enable row level security, force row level security;
alter table vicket.inbound_mails enable row level security, force row level security;
-- Of queues there are two: mail that goes out, and mail that came in.
-- A wider one takes its place in this transaction.
-- squawk-ignore ban-drop-constraint
alter table vicket.tasks drop constraint tasks_kind_known;
alter table vicket.tasks add constraint tasks_kind_known check (kind = any (array['mail', 'inbound'])) not valid;
comment on column vicket.tasks.kind is 'mail: to be sent; inbound: to be read. No personal data.';
comment on column vicket.tasks.subject_id is
  'Of what it is about: of mail, vicket.mails; of inbound, vicket.inbound_mails. It goes with it, by trigger.';

grant create on schema vicket, ctx, auth to vicket_definer;
set local role vicket_definer;
-- The seal of this gate, as that of a key: whatever is set beside it, the site is that of the address whose digest is in the
-- context.
create function ctx.org_by_mail() returns uuid
  language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp
  as $$ begin return (select a.org_id from vicket.mail_addresses a where a.digest = ctx.digest('mail')); end $$;
create function ctx.site_by_mail() returns uuid
  language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp
  as $$ begin return (select a.site_id from vicket.mail_addresses a where a.digest = ctx.digest('mail')); end $$;
create function ctx.address_by_mail() returns uuid
  language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp
  as $$ begin return (select a.id from vicket.mail_addresses a where a.digest = ctx.digest('mail')); end $$;
comment on function ctx.org_by_mail is 'The org of the address in the context. Definer: no request may read digests.';
comment on function ctx.site_by_mail is 'The site of the address in the context. Definer: no request may read digests.';
comment on function ctx.address_by_mail is 'The address in the context. Definer: no request may read digests.';
grant execute on function ctx.org_by_mail, ctx.site_by_mail, ctx.address_by_mail to vicket_mail;

-- The address that mail was sent to, by its digest, enters its site. One answer, and never an error. All of the context is
-- set, so that nothing is left of whoever was here before.
create function auth.enter_mail(p_recipient_hash bytea) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  found_address record;
begin
  select a.org_id, a.site_id into found_address
    from vicket.mail_addresses a
    join vicket.sites s on s.org_id = a.org_id and s.id = a.site_id and s.deleted_at is null
    join vicket.orgs o on o.id = a.org_id and o.deleted_at is null
    where a.digest = p_recipient_hash;
  perform set_config('app.org_id', coalesce(found_address.org_id::text, ''), true),
    set_config('app.site_id', coalesce(found_address.site_id::text, ''), true),
    set_config('app.mail_hash', case when found_address.org_id is null then '' else encode(p_recipient_hash, 'hex') end, true),
    set_config('app.key_hash', '', true), set_config('app.ticket_hash', '', true),
    set_config('app.submission_hash', '', true), set_config('app.session_hash', '', true),
    set_config('app.machine_key_hash', '', true), set_config('app.invitation_hash', '', true),
    set_config('app.request_id', '', true);
  return case when found_address.org_id is null then 'unknown' else 'entered' end;
end $$;
comment on function auth.enter_mail is
  'Sets the site of an address that mail was sent to. Definer: no request may read digests.';
grant execute on function auth.enter_mail to vicket_gate_mail;

set local role vicket_owner;
-- As the gate, whose role it takes for the rest of the transaction.
create function auth.enter_recipient(p_recipient_hash bytea) returns text
  language plpgsql volatile as $$
declare
  verdict constant text := auth.enter_mail(p_recipient_hash);
begin
  if verdict operator(pg_catalog.=) 'entered' then set local role vicket_mail; end if;
  return verdict;
end $$;
grant execute on function auth.enter_recipient to vicket_gate_mail;

create policy agent_select on vicket.mail_addresses for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('mail:read'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
    and ticket_id is null
  );
create policy definer_select on vicket.mail_addresses for select to vicket_definer using (true);
create policy definer_insert on vicket.mail_addresses for insert to vicket_definer with check (true);
create policy definer_delete on vicket.mail_addresses for delete to vicket_definer
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('mail:edit'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );

create policy mail_insert on vicket.inbound_mails for insert to vicket_mail
  with check (
    org_id = (select ctx.org_id())
    and site_id = (select ctx.site_id())
    and address_id = (select ctx.address_by_mail())
  );
create policy mail_all_sealed on vicket.inbound_mails as restrictive for all to vicket_mail
  using (org_id = (select ctx.org_by_mail()) and site_id = (select ctx.site_by_mail()))
  with check (org_id = (select ctx.org_by_mail()) and site_id = (select ctx.site_by_mail()));
create policy agent_select on vicket.inbound_mails for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('mail:read')) or (select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy operator_select on vicket.inbound_mails for select to vicket_operator using (org_id = (select ctx.org_id()));
create policy definer_select on vicket.inbound_mails for select to vicket_definer
  using (session_user = 'vicket_worker' or org_id = (select ctx.org_id()));
create policy definer_update on vicket.inbound_mails for update to vicket_definer
  using (session_user = 'vicket_worker' or org_id = (select ctx.org_id()) and (select ctx.may('mail:edit')))
  with check (session_user = 'vicket_worker' or org_id = (select ctx.org_id()) and (select ctx.may('mail:edit')));
create policy definer_delete on vicket.inbound_mails for delete to vicket_definer
  using (session_user = 'vicket_worker' or org_id = (select ctx.org_id()) and (select ctx.operates()));

grant select (org_id, site_id, id, kind, address, ticket_id, created_at) on vicket.mail_addresses to vicket_agent;
grant select, insert (org_id, site_id, kind, digest, address, ticket_id, user_id, mail_id), delete
  on vicket.mail_addresses to vicket_definer;
grant insert (address_id, recipient, mail_from, client, helo, message_digest, content_digest, raw)
  on vicket.inbound_mails to vicket_mail;
grant select (org_id, site_id, id, received_at, state, reason, ticket_id, message_id, author, author_name, subject, verified,
    automatic, quoted_from)
  on vicket.inbound_mails to vicket_agent;
grant select (org_id, site_id, id, received_at, state, recipient, mail_from, ticket_id, author, author_name, subject)
  on vicket.inbound_mails to vicket_operator;
grant select, update (raw, state, reason, accepted, ticket_id, message_id, author, author_name, subject, verified, automatic,
    quoted_from, reopened), delete
  on vicket.inbound_mails to vicket_definer;
-- Not granted: SELECT of anything to vicket_mail; mail as it came, its client and digests to requests; UPDATE and DELETE of mail
-- to requests (ctx.decide_mail; it goes with its ticket); digests of addresses to agents.

comment on table vicket.mail_addresses is
  'What mail of a site may be sent to: its own addresses, and by their digests reply addresses and return paths.';
comment on table vicket.inbound_mails is 'Mail that came in, as it came, and what became of it. It goes with its ticket.';
comment on column vicket.mail_addresses.kind is
  'site: made with it, below the reply domain; own: chosen; reply: a participant''s of a ticket; bounce: a mail''s return path. No personal data.';
comment on column vicket.mail_addresses.digest is
  'SHA-256 of the address in lower case; below the reply domain, of what stands before the @.';
comment on column vicket.mail_addresses.address is
  'What customers may write to: below the reply domain without it, else whole. NULL of reply addresses and return paths. No personal data.';
comment on column vicket.mail_addresses.user_id is 'The member whose reply address it is; NULL for the customer''s.';
comment on column vicket.inbound_mails.recipient is 'The address that it was sent to. Personal data.';
comment on column vicket.inbound_mails.mail_from is 'Its return path; empty for none. Personal data.';
comment on column vicket.inbound_mails.client is 'The client that it came from, where the server before this one says so. Personal data.';
comment on column vicket.inbound_mails.helo is 'What that client called itself. Personal data.';
comment on column vicket.inbound_mails.raw is 'As it came; NULL once it is not kept any longer. Personal data.';
comment on column vicket.inbound_mails.message_digest is 'Of its Message-ID, or of the rest where it has none.';
comment on column vicket.inbound_mails.content_digest is
  'Of From, Date, Subject and what stands below the head: not of the traces that servers on the way write.';
comment on column vicket.inbound_mails.state is
  'received: not read yet; filed: a message of a ticket; held: waits for a person; rejected by one; ignored: changes nothing; failed. No personal data.';
comment on column vicket.inbound_mails.reason is 'Why it is what it is, for people. No personal data.';
comment on column vicket.inbound_mails.accepted is 'A person accepted it: it is filed whoever wrote it.';
comment on column vicket.inbound_mails.author is 'The address that it says it is from. Personal data.';
comment on column vicket.inbound_mails.author_name is 'The name beside it. Personal data.';
comment on column vicket.inbound_mails.subject is 'Personal data.';
comment on column vicket.inbound_mails.verified is 'Whether that it is from there is proven.';
comment on column vicket.inbound_mails.automatic is 'Whether a machine sent it.';
comment on column vicket.inbound_mails.quoted_from is 'The character of the message at which what it quotes begins.';
comment on column vicket.inbound_mails.reopened is 'Whether it reopened its ticket.';
comment on policy agent_select on vicket.mail_addresses is 'mail:read, those of the site itself; within one''s teams.';
comment on policy definer_select on vicket.mail_addresses is
  'Not narrowed: auth.enter_mail and the seal find a site by a digest; the worker''s functions.';
comment on policy definer_insert on vicket.mail_addresses is
  'Not narrowed: site_addressed, whoever makes a site; worker.address_mails; ctx.set_mail_address.';
comment on policy definer_delete on vicket.mail_addresses is 'ctx.set_mail_address: mail:edit; within one''s teams.';
comment on policy mail_insert on vicket.inbound_mails is 'Mail of the site, and to the address, that the context names.';
comment on policy mail_all_sealed on vicket.inbound_mails is
  'Even an injected statement stays with the address in the context.';
comment on policy agent_select on vicket.inbound_mails is 'mail:read, or who reads tickets; within one''s teams.';
comment on policy operator_select on vicket.inbound_mails is 'vicket person export and erase; vicket mail reparse.';
comment on policy definer_select on vicket.inbound_mails is
  'worker.open_inbound and its kin, of any org; ctx.decide_mail and admin.*, of one.';
comment on policy definer_update on vicket.inbound_mails is
  'worker.file_mail and its kin, of any org; ctx.decide_mail and admin.reparse_mail, of one.';
comment on policy definer_delete on vicket.inbound_mails is 'worker.forget_mail, of any org; admin.forget_mail, of one.';

set local role vicket_definer;
create function vicket.mail_received() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into vicket.tasks (org_id, site_id, kind, subject_id) values (new.org_id, new.site_id, 'inbound', new.id);
  return null;
end $$;
create function vicket.inbound_gone() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from vicket.tasks t using gone_rows g where t.org_id = g.org_id and t.kind = 'inbound' and t.subject_id = g.id;
  return null;
end $$;
-- The address that each site has below the reply domain: nobody guesses it, and whoever has it may write to the site.
create function vicket.site_addressed() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  local_part constant text := 's.' || replace(gen_random_uuid()::text, '-', '');
begin
  insert into vicket.mail_addresses (org_id, site_id, kind, digest, address)
    values (new.org_id, new.id, 'site', sha256(convert_to(local_part, 'UTF8')), local_part);
  return null;
end $$;
comment on function vicket.mail_received is 'Trigger: mail that came in is to be read. Definer: no request may write there.';
comment on function vicket.inbound_gone is 'Trigger: mail that is gone is not read. Definer: no request may write there.';
comment on function vicket.site_addressed is
  'Trigger: a site has an address below the reply domain. Definer: no request may write there.';
grant execute on function vicket.mail_received, vicket.inbound_gone, vicket.site_addressed to vicket_owner;
-- Of the sites that there are.
with made as (
  select s.org_id, s.id as site_id, 's.' || replace(gen_random_uuid()::text, '-', '') as address from vicket.sites s
)
insert into vicket.mail_addresses (org_id, site_id, kind, digest, address)
  select m.org_id, m.site_id, 'site', sha256(convert_to(m.address, 'UTF8')), m.address from made m;
do $$ begin
  if exists (select from vicket.sites s where not exists (
    select from vicket.mail_addresses a where a.org_id = s.org_id and a.site_id = s.id))
  then
    raise exception 'a site has no address';
  end if;
end $$;

set local role vicket_owner;
create trigger mail_received after insert on vicket.inbound_mails
  for each row execute function vicket.mail_received();
create trigger inbound_gone after delete on vicket.inbound_mails
  referencing old table as gone_rows for each statement execute function vicket.inbound_gone();
create trigger site_addressed after insert on vicket.sites
  for each row execute function vicket.site_addressed();
create trigger audited after update of state on vicket.inbound_mails
  for each row when (old.state = 'held' and new.state = 'rejected')
  execute function vicket.audited('held_mail', 'id', 'author state');
create trigger audited_accepted after update of accepted on vicket.inbound_mails
  for each row when (not old.accepted and new.accepted)
  execute function vicket.audited('held_mail', 'id', 'author accepted');
create trigger audited after insert on vicket.mail_addresses
  for each row when (new.kind = 'own') execute function vicket.audited('mail_address', 'id', 'address');
create trigger audited_gone after delete on vicket.mail_addresses
  for each row when (old.kind = 'own') execute function vicket.audited('mail_address', 'id', 'address');
revoke create on schema vicket, ctx, auth from vicket_definer;
reset role;
