-- mails: what was written to whom, one row a mail, in the transaction of what it tells of; a task says that it is to be sent.
-- No token of a link stands here, in no form: whoever sends a mail mints one, gives its digest when it opens the mail, and
-- puts the token into the text that leaves. So a dump, and whoever reads the tables, opens nobody's ticket.
set local role vicket_owner;

-- Where mail goes out, and until when that is known: without a server that sends, none is written.
create table vicket.mail_service (
  id boolean not null default true,
  domain text not null,
  on_until timestamptz not null,
  constraint mail_service_pkey primary key (id),
  constraint mail_service_one check (id),
  constraint mail_service_domain_length check (char_length(domain) between 1 and 253)
);

-- How often mail that anybody may cause went to an address. A digest of it, of the day and of what is counted says which.
create table vicket.mail_counts (
  digest bytea not null,
  day date not null,
  mails integer not null,
  constraint mail_counts_pkey primary key (digest),
  constraint mail_counts_digest_length check (octet_length(digest) = 32)
);
create index mail_counts_day on vicket.mail_counts (day);

create table vicket.mails (
  org_id uuid not null,
  site_id uuid,
  id uuid not null default gen_random_uuid(),
  kind text not null,
  ticket_id uuid,
  message_id uuid,
  user_id uuid,
  invitation_id uuid,
  recipient text not null,
  message_ref text not null,
  state text not null default 'queued',
  detail text,
  at timestamptz not null default clock_timestamp(),
  created_at timestamptz not null default clock_timestamp(),
  constraint mails_pkey primary key (org_id, id),
  constraint mails_ticket_fkey foreign key (org_id, site_id, ticket_id)
    references vicket.tickets (org_id, site_id, id) on delete cascade,
  constraint mails_message_fkey foreign key (org_id, site_id, message_id)
    references vicket.ticket_messages (org_id, site_id, id) on delete cascade,
  constraint mails_member_fkey foreign key (org_id, user_id) references vicket.members (org_id, user_id) on delete cascade,
  constraint mails_invitation_fkey foreign key (org_id, invitation_id)
    references vicket.invitations (org_id, id) on delete cascade,
  constraint mails_kind_known check (kind in (
    'ticket_received', 'ticket_answered', 'ticket_resolved', 'agent_assigned', 'agent_customer_answered', 'invitation')),
  constraint mails_state_known check (state in ('queued', 'sent', 'bounced', 'failed', 'suppressed')),
  constraint mails_of_one check (
    case when kind = 'invitation' then invitation_id is not null else num_nonnulls(site_id, ticket_id) = 2 end
    and (user_id is not null or kind not like 'agent\_%')),
  constraint mails_detail_length check (char_length(detail) <= 1000)
);
create index mails_of_ticket on vicket.mails (org_id, ticket_id, created_at) where ticket_id is not null;
create index mails_of_message on vicket.mails (org_id, message_id) where message_id is not null;
create index mails_of_member on vicket.mails (org_id, user_id) where user_id is not null;
create index mails_of_invitation on vicket.mails (org_id, invitation_id) where invitation_id is not null;
-- What a site sent last.
create index mails_of_site on vicket.mails (org_id, site_id, at desc) where state = 'sent';
create statistics vicket.mails_tenant (dependencies, ndistinct) on org_id, site_id from vicket.mails;

create table vicket.suppressions (
  org_id uuid not null,
  site_id uuid not null,
  id uuid not null default gen_random_uuid(),
  address text not null,
  reason text not null,
  at timestamptz not null default now(),
  constraint suppressions_pkey primary key (org_id, id),
  constraint suppressions_address_unique unique (org_id, site_id, address),
  constraint suppressions_site_fkey foreign key (org_id, site_id) references vicket.sites (org_id, id) on delete cascade,
  constraint suppressions_address_lower check (address = lower(address collate "C")),
  constraint suppressions_reason_length check (char_length(reason) between 1 and 1000)
);
create statistics vicket.suppressions_tenant (dependencies, ndistinct) on org_id, site_id from vicket.suppressions;

-- What a member is told by mail; without a row, all of it.
create table vicket.notifications (
  org_id uuid not null default ctx.org_id(),
  user_id uuid not null,
  assigned boolean not null default true,
  customer_answered boolean not null default true,
  constraint notifications_pkey primary key (org_id, user_id),
  constraint notifications_member_fkey foreign key (org_id, user_id)
    references vicket.members (org_id, user_id) on delete cascade
);

alter table vicket.mail_service enable row level security, force row level security;
alter table vicket.mail_counts enable row level security, force row level security;
alter table vicket.mails enable row level security, force row level security;
alter table vicket.suppressions enable row level security, force row level security;
alter table vicket.notifications enable row level security, force row level security;

create policy definer_select on vicket.mail_service for select to vicket_definer using (true);
create policy definer_insert on vicket.mail_service for insert to vicket_definer with check (true);
create policy definer_update on vicket.mail_service for update to vicket_definer
  using (session_user = 'vicket_worker') with check (session_user = 'vicket_worker');

create policy definer_select on vicket.mail_counts for select to vicket_definer using (true);
create policy definer_insert on vicket.mail_counts for insert to vicket_definer with check (true);
create policy definer_update on vicket.mail_counts for update to vicket_definer using (true) with check (true);
create policy definer_delete on vicket.mail_counts for delete to vicket_definer using (true);

create policy agent_select on vicket.mails for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('mail:read')) or (select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy operator_select on vicket.mails for select to vicket_operator using (org_id = (select ctx.org_id()));
create policy definer_select on vicket.mails for select to vicket_definer
  using (session_user = 'vicket_worker' or org_id = (select ctx.org_id()));
create policy definer_insert on vicket.mails for insert to vicket_definer with check (org_id = (select ctx.org_id()));
create policy definer_update on vicket.mails for update to vicket_definer
  using (session_user = 'vicket_worker' or org_id = (select ctx.org_id()) and (select ctx.may('mail:edit')))
  with check (session_user = 'vicket_worker' or org_id = (select ctx.org_id()) and (select ctx.may('mail:edit')));

create policy agent_select on vicket.suppressions for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('mail:read'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy operator_select on vicket.suppressions for select to vicket_operator
  using (org_id = (select ctx.org_id()));
create policy definer_select on vicket.suppressions for select to vicket_definer
  using (session_user = 'vicket_worker' or org_id = (select ctx.org_id()));
create policy definer_insert on vicket.suppressions for insert to vicket_definer with check (true);
create policy definer_update on vicket.suppressions for update to vicket_definer
  using (session_user = 'vicket_worker') with check (session_user = 'vicket_worker');
create policy definer_delete on vicket.suppressions for delete to vicket_definer
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('mail:edit'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );

create policy agent_select on vicket.notifications for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()) and user_id = (select ctx.actor_user_id()));
create policy definer_select on vicket.notifications for select to vicket_definer
  using (org_id = (select ctx.org_id()));
create policy definer_insert on vicket.notifications for insert to vicket_definer
  with check (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy definer_update on vicket.notifications for update to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()))
  with check (org_id = (select ctx.org_id()) and (select ctx.is_member()));

-- What mail says of a ticket.
grant select (email, name, subject) on vicket.tickets to vicket_definer;
grant select (author_name, body) on vicket.ticket_messages to vicket_definer;
grant select (name) on vicket.orgs to vicket_definer;
grant select (invited_by) on vicket.invitations to vicket_definer;

grant select, insert (domain, on_until), update (domain, on_until) on vicket.mail_service to vicket_definer;
grant select, insert, update (mails), delete on vicket.mail_counts to vicket_definer;
grant select (org_id, site_id, id, kind, ticket_id, message_id, state, detail, at, created_at) on vicket.mails to vicket_agent;
grant select (org_id, site_id, kind, ticket_id, recipient, state, detail, at, created_at) on vicket.mails to vicket_operator;
grant select,
  insert (org_id, site_id, id, kind, ticket_id, message_id, user_id, invitation_id, recipient, message_ref),
  update (state, detail, at)
  on vicket.mails to vicket_definer;
grant select on vicket.suppressions to vicket_agent, vicket_operator;
grant select, insert (org_id, site_id, address, reason), update (reason, at), delete on vicket.suppressions to vicket_definer;
grant select on vicket.notifications to vicket_agent;
grant select, insert (org_id, user_id, assigned, customer_answered), update (assigned, customer_answered)
  on vicket.notifications to vicket_definer;
-- Not granted: anything to the widget, whose changes write mail by trigger and learn nothing of it; recipients and
-- references of mail to agents; any write of mail to requests; what an address was sent to anyone.

comment on table vicket.mail_service is 'The server that sends mail, if there is one: of no tenant, one row.';
comment on table vicket.mail_counts is
  'Mail to an address on a day that anybody could cause, over all orgs; a digest says which. Of no tenant.';
comment on table vicket.mails is 'Mail that was written, and what became of it. It goes with what it tells of.';
comment on table vicket.suppressions is 'Addresses that mail of a site does not reach: it is not sent there.';
comment on table vicket.notifications is 'What members are told by mail, as they chose.';
comment on column vicket.mail_service.domain is 'Of the ids of messages. No personal data.';
comment on column vicket.mail_service.on_until is
  'Servers that send say so again and again; three days after the last one, nothing is written any more.';
comment on column vicket.mails.kind is 'No personal data.';
comment on column vicket.mails.recipient is 'Personal data.';
comment on column vicket.mails.message_ref is 'Its Message-ID, the same however often it is sent. No personal data.';
comment on column vicket.mails.state is
  'queued; sent: the next server took it; bounced: it refused; failed: tried for three days; suppressed. No personal data.';
comment on column vicket.mails.detail is 'What the next server said. Personal data.';
comment on column vicket.mails.at is 'When the state became what it is.';
comment on column vicket.suppressions.address is 'Personal data.';
comment on column vicket.suppressions.reason is 'What was said when mail was refused. Personal data.';

comment on policy definer_select on vicket.mail_service is 'Not narrowed: of no tenant. The triggers that write mail.';
comment on policy definer_insert on vicket.mail_service is 'worker.serve_mail. Not narrowed: of no tenant.';
comment on policy definer_update on vicket.mail_service is 'worker.serve_mail.';
comment on policy definer_select on vicket.mail_counts is 'vicket.count_mail. Not narrowed: of no tenant.';
comment on policy definer_insert on vicket.mail_counts is 'vicket.count_mail. Not narrowed: of no tenant.';
comment on policy definer_update on vicket.mail_counts is 'vicket.count_mail. Not narrowed: of no tenant.';
comment on policy definer_delete on vicket.mail_counts is 'vicket.count_mail, of days that are over. Not narrowed: of no tenant.';
comment on policy agent_select on vicket.mails is 'mail:read, or who reads the ticket; within one''s teams.';
comment on policy operator_select on vicket.mails is 'vicket person export.';
comment on policy definer_select on vicket.mails is 'worker.open_mails and settle_mails, of any org; ctx.run_again, of one.';
comment on policy definer_insert on vicket.mails is 'The triggers that write mail.';
comment on policy definer_update on vicket.mails is 'worker.open_mails and settle_mails, of any org; ctx.run_again, of one.';
comment on policy agent_select on vicket.suppressions is 'mail:read; within one''s teams.';
comment on policy operator_select on vicket.suppressions is 'vicket person export and erase.';
comment on policy definer_select on vicket.suppressions is 'worker.open_mails, of any org; ctx.remove, of one.';
comment on policy definer_insert on vicket.suppressions is 'Not narrowed: worker.settle_mails, of any org.';
comment on policy definer_update on vicket.suppressions is 'worker.settle_mails, of an address that is suppressed already.';
comment on policy definer_delete on vicket.suppressions is 'ctx.remove: mail:edit; within one''s teams.';
comment on policy agent_select on vicket.notifications is 'One''s own.';
comment on policy definer_select on vicket.notifications is 'vicket.member_mail, ctx.choose_notifications.';
comment on policy definer_insert on vicket.notifications is 'ctx.choose_notifications, of whoever acts.';
comment on policy definer_update on vicket.notifications is 'ctx.choose_notifications, of whoever acts.';

create trigger serialize_org_writes before delete on vicket.suppressions
  for each statement execute function vicket.serialize_org_writes();
create trigger audited after delete on vicket.suppressions
  for each row execute function vicket.audited('suppression', 'id', 'address reason');
create trigger audited after update of dead_at on vicket.tasks
  for each row when (old.dead_at is not null and new.dead_at is null)
  execute function vicket.audited('dead_letter', 'id', 'kind dead_at');
reset role;
