-- Each lint, a bad object that trips it and a good one that does not. Run one by one as a superuser, and rolled back.

-- lint: audit-empty
-- bad
alter schema vicket rename to gone;
-- good
select;

-- lint: rls-off
-- bad
create table vicket.x (org_id uuid not null);
-- good
create table vicket.x (org_id uuid not null); alter table vicket.x enable row level security;

-- lint: rls-not-forced
-- bad
alter table vicket.tickets no force row level security;
-- good
create table vicket.x (org_id uuid not null); alter table vicket.x force row level security;

-- lint: rls-no-policy
-- bad
drop policy definer_select on vicket.role_permissions;
-- good
drop policy definer_select on vicket.articles;

-- lint: policies-unused
-- bad
alter table vicket.faqs disable row level security;
-- good
create table vicket.x (org_id uuid not null);

-- lint: table-owner
-- bad
create table vicket.x (org_id uuid not null);
-- good
create table vicket.x (org_id uuid not null); alter table vicket.x owner to vicket_owner;

-- lint: table-owner
-- bad
alter schema ctx owner to current_user;
-- good
alter schema ctx owner to vicket_owner;

-- lint: tenant-missing
-- bad
create table vicket.x (id uuid not null); grant select on vicket.x to vicket_agent;
-- good
create table vicket.x (id uuid not null); grant select on vicket.x to vicket_definer;

-- lint: tenant-nullable
-- bad
create table vicket.x (org_id uuid);
-- good
create table vicket.x (org_id uuid not null, site_id uuid);

-- lint: trigger-disabled
-- bad
alter table vicket.tickets disable trigger all;
-- good
alter table vicket.tickets enable trigger all;

-- lint: constraint-unvalidated
-- bad
alter table vicket.faqs add constraint x check (position < 1000000) not valid;
-- good
alter table vicket.faqs add constraint x check (position < 1000000);

-- lint: constraint-unenforced from 18
-- bad
alter table vicket.tickets drop constraint tickets_site_fkey;
alter table vicket.tickets add constraint tickets_site_fkey foreign key (org_id, site_id) references vicket.sites (org_id, id) not enforced;
-- good
alter table vicket.faqs add constraint x check (position < 1000000) not valid;

-- lint: constraint-unvalidated from 18
-- bad
create table vicket.x (org_id uuid); alter table vicket.x add constraint x not null org_id not valid;
-- good
alter table vicket.faqs add constraint x check (position < 1000000) not enforced;

-- lint: rule-present
-- bad
create rule x as on delete to vicket.faqs do instead nothing;
-- good
create view audit.x with (security_invoker = true) as select 1 as one;

-- lint: personal-data-unsaid
-- bad
comment on column vicket.tickets.subject is 'What it is about.';
-- good
comment on column vicket.tickets.subject is 'What it is about. Personal data: whatever a customer writes.';

-- lint: personal-data-unsaid
-- bad
alter table vicket.teams add column motto text;
-- good
alter table vicket.teams add column size integer;

-- lint: audit-months
-- bad
do $$ declare each text; begin
  for each in select inhrelid::regclass::text from pg_inherits where inhparent = 'vicket.audit_log'::regclass
    and inhrelid <> to_regclass('vicket.audit_log_' || to_char(now(), 'YYYY_MM')) loop
    execute 'drop table ' || each;
  end loop;
end $$;
-- good
do $$ declare each text; begin
  for each in select inhrelid::regclass::text from pg_inherits where inhparent = 'vicket.audit_log'::regclass
    and right(inhrelid::regclass::text, 7) > to_char(now() + interval '2 months', 'YYYY_MM') loop
    execute 'drop table ' || each;
  end loop;
end $$;

-- lint: partition-reachable
-- bad
create table vicket.x (org_id uuid not null) partition by hash (org_id);
create table vicket.x0 partition of vicket.x for values with (modulus 1, remainder 0);
grant select on vicket.x0 to vicket_agent;
-- good
create table vicket.x (org_id uuid not null) partition by hash (org_id);
create table vicket.x0 partition of vicket.x for values with (modulus 1, remainder 0);
grant select on vicket.x to vicket_agent;

-- lint: view-owner-rights
-- bad
create view vicket.x as select * from vicket.tickets;
-- good
create view vicket.x with (security_invoker = on) as select * from vicket.tickets;

-- lint: matview-present
-- bad
create materialized view vicket.x as select 1 as one;
-- good
create view vicket.x with (security_invoker) as select 1 as one;

-- lint: foreign-table-present
-- bad
create foreign data wrapper x; create server x foreign data wrapper x; create foreign table vicket.x (org_id uuid) server x;
-- good
create foreign data wrapper x; create server x foreign data wrapper x;

-- lint: sequence-granted
-- bad
create sequence vicket.x; grant select on sequence vicket.x to vicket_widget;
-- good
create sequence vicket.x; grant usage on sequence vicket.x to vicket_definer;

-- lint: large-object-present
-- bad
select lo_create(0);
-- good
select lo_unlink(lo_create(0));

-- lint: publication-present
-- bad
create publication x for table vicket.tickets;
-- good
create publication x;

-- lint: publication-present
-- bad
create publication x for tables in schema vicket;
-- good
create schema other; create publication x; drop schema other;

-- lint: policy-public
-- bad
create policy x on vicket.tickets for select using (org_id = (select ctx.org_id()));
-- good
create policy x on vicket.tickets for select to vicket_operator using (org_id = (select ctx.org_id()));

-- lint: policy-tenantless
-- bad
create policy x on vicket.articles for select to vicket_widget using (status = 'published');
-- good
create policy x on vicket.articles for select to vicket_widget using (status = 'published' and org_id = (select ctx.org_id()));

-- lint: policy-tenantless
-- bad
create policy x on vicket.articles for select to vicket_operator using (org_id = (select ctx.org_id()) or site_id is null);
-- good
create policy x on vicket.articles for select to vicket_operator using ((site_id is null or status = 'a) or (') and org_id = (select ctx.org_id()));

-- lint: policy-tenantless
-- bad
create policy x on vicket.articles for insert to vicket_agent with check (id is not null and (true or org_id = (select ctx.org_id())));
-- good
create policy x on vicket.articles for select to vicket_definer using (true);

-- lint: policy-siteless
-- bad
create policy x on vicket.faqs for select to vicket_widget using (org_id = (select ctx.org_id()));
-- good
create policy x on vicket.faqs for select to vicket_widget using (org_id = (select ctx.org_id()) and (site_id is null or site_id = (select ctx.site_id())));

-- lint: policy-siteless
-- bad
alter policy widget_select on vicket.templates using (org_id = (select ctx.org_id()));
-- good
alter policy widget_select on vicket.templates using (id = any (array(select ctx.template_ids())) and org_id = (select ctx.org_id()));

-- lint: policy-voice
-- bad
create policy x on vicket.ticket_messages for insert to vicket_agent with check (org_id = (select ctx.org_id()));
-- good
create policy x on vicket.ticket_messages for insert to vicket_agent with check (author = 'agent' and org_id = (select ctx.org_id()));

-- lint: policy-voice
-- bad
create policy x on vicket.ticket_messages for select to vicket_widget using (ticket_id = (select ctx.ticket_id()));
-- good
create policy x on vicket.ticket_messages for select to vicket_widget using (ticket_id = (select ctx.ticket_id()) and not internal);

-- lint: policy-ticketless
-- bad
create policy x on vicket.ticket_messages for select to vicket_widget using (site_id = (select ctx.site_id()) and not internal);
-- good
create policy x on vicket.ticket_messages for select to vicket_widget using (ticket_id = (select ctx.ticket_id()) and not internal);

-- lint: policy-voice
-- bad
create policy x on vicket.attachments for select to vicket_widget using (ticket_id = (select ctx.ticket_id()));
-- good
create policy x on vicket.attachments for select to vicket_widget
  using (ticket_id = (select ctx.ticket_id()) and message_id in (select m.id from vicket.ticket_messages m));

-- lint: policy-tautology
-- bad
create policy x on vicket.faqs for select to vicket_agent using (true);
-- good
create policy x on vicket.faqs for select to vicket_definer using (true);

-- lint: policy-tautology
-- bad
alter policy operator_all on vicket.faqs using (org_id = (select ctx.org_id()) or 1 = 1);
-- good
alter policy operator_all on vicket.faqs using (org_id = (select ctx.org_id()) and position = 1);

-- lint: policy-tautology
-- bad
alter policy operator_all on vicket.faqs using (org_id = org_id);
-- good
alter policy operator_all on vicket.faqs using (org_id = (select ctx.org_id()) and site_id = id);

-- lint: policy-per-row
-- bad
create policy x on vicket.faqs for select to vicket_widget using (org_id = ctx.org_id());
-- good
create policy x on vicket.faqs for select to vicket_widget using (org_id = (select ctx.org_id()));

-- lint: policy-per-row
-- bad
create policy x on vicket.faqs for select to vicket_widget using (org_id::text = current_setting('app.org_id', true));
-- good
create policy x on vicket.faqs for select to vicket_widget using (org_id::text = (select current_setting('app.org_id', true)));

-- lint: policy-cast
-- bad
create policy x on vicket.faqs for select to vicket_widget using (org_id::text = (select current_setting('app.org_id', true)));
-- good
create policy x on vicket.faqs for select to vicket_widget using (org_id = (select current_setting('app.org_id', true)::uuid) and position::text = '1');

-- lint: policy-unsealed
-- bad
drop policy widget_all_sealed on vicket.tickets;
-- good
create table vicket.x (org_id uuid not null); grant select on vicket.x to vicket_agent;

-- lint: policy-unsealed
-- bad
alter policy widget_all_sealed on vicket.articles using (org_id = (select ctx.org_by_key()));
-- good
alter policy widget_all_sealed on vicket.articles using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));

-- lint: policy-actorless
-- bad
create policy x on vicket.sites for select to vicket_agent using (org_id = (select ctx.org_id()));
-- good
create policy x on vicket.sites for select to vicket_agent using (org_id = (select ctx.org_id()) and (select ctx.is_member()));

-- lint: policy-actorless
-- bad
create policy x on vicket.sites for delete to vicket_agent using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
-- good
create policy x on vicket.sites for delete to vicket_agent using (org_id = (select ctx.org_id()) and ((select ctx.may('site:edit')) or (select ctx.may('site:create'))));

-- lint: policy-teamless
-- bad
create policy x on vicket.ticket_messages for select to vicket_agent using (org_id = (select ctx.org_id()) and (select ctx.may('ticket:read')));
-- good
create policy x on vicket.ticket_messages for select to vicket_agent using (org_id = (select ctx.org_id()) and (select ctx.may('ticket:read'))
  and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids()))));

-- lint: policy-teamless
-- bad
alter policy agent_insert on vicket.object_removals with check (org_id = (select ctx.org_id()) and (select ctx.may('ticket:write')));
-- good
alter policy agent_insert on vicket.object_removals with check (((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  and org_id = (select ctx.org_id()) and (select ctx.may('ticket:write')));

-- lint: policy-ticketless
-- bad
alter policy widget_insert on vicket.object_removals with check (org_id = (select ctx.org_id()) and site_id = (select ctx.site_id()));
-- good
alter policy widget_insert on vicket.object_removals with check ((select ctx.ticket_id()) is not null and org_id = (select ctx.org_id())
  and site_id = (select ctx.site_id()));

-- lint: policy-marked
-- bad
alter policy agent_select on vicket.sites using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
-- good
alter policy agent_select on vicket.sites using (deleted_at is null and org_id = (select ctx.org_id()) and (select ctx.is_member()));

-- lint: policy-marked
-- bad
alter policy agent_update on vicket.statuses using (org_id = (select ctx.org_id()) and (select ctx.may('status:edit')));
-- good
alter policy agent_select on vicket.statuses using (org_id = (select ctx.org_id()) and (select ctx.may('status:read')));

-- lint: policy-escalation
-- bad
alter policy agent_insert on vicket.invitations with check (org_id = (select ctx.org_id()) and (select ctx.may('member:invite')));
-- good
alter policy agent_insert on vicket.invitations with check (ctx.may_grant(role) and org_id = (select ctx.org_id()));

-- lint: policy-escalation
-- bad
alter policy agent_insert on vicket.machine_keys with check (org_id = (select ctx.org_id()) and ctx.may_all(permissions));
grant insert (created_by) on vicket.machine_keys to vicket_agent;
-- good
grant insert (created_by) on vicket.machine_keys to vicket_agent;

-- lint: policy-without-grant
-- bad
create policy x on vicket.users for select to vicket_agent using (id = (select ctx.actor_user_id()));
-- good
create policy x on vicket.users for select to vicket_definer using (true);

-- lint: grant-without-policy
-- bad
grant delete on vicket.users to vicket_agent;
-- good
grant select (email) on vicket.tickets to vicket_widget;

-- lint: grant-truncate
-- bad
grant truncate on vicket.faqs to vicket_agent;
-- good
grant delete on vicket.faqs to vicket_agent;

-- lint: grant-lock
-- bad
grant delete on vicket.tickets to vicket_agent;
-- good
grant update (subject), select, insert on vicket.tickets to vicket_agent;

-- lint: grant-lock
-- bad
grant update on vicket.faqs to public;
-- good
grant update, delete on vicket.faqs to vicket_operator, vicket_definer;

-- lint: grant-lock from 17
-- bad
grant maintain on vicket.faqs to vicket_agent;
-- good
grant maintain on vicket.faqs to vicket_operator;

-- lint: grant-truncate from 17
-- bad
grant maintain on vicket.faqs to vicket_auditor;
-- good
grant select (id) on vicket.faqs to vicket_auditor;

-- lint: grant-lock
-- bad
grant truncate on vicket.faqs to vicket_gate_widget;
-- good
grant references on vicket.faqs to vicket_gate_widget;

-- lint: grant-public
-- bad
grant select (id) on vicket.faqs to public;
-- good
grant select (id) on vicket.faqs to vicket_agent;

-- lint: grant-public
-- bad
grant usage on schema ctx to public;
-- good
grant usage on schema ctx to vicket_agent;

-- lint: grant-login
-- bad
grant select (id) on vicket.tickets to vicket_worker;
-- good
grant select on audit.findings to vicket_auditor;

-- lint: grant-login
-- bad
grant usage on schema vicket to vicket_gate_widget;
-- good
grant usage on schema auth to vicket_gate_widget;

-- lint: grant-widget-writes
-- bad
grant update (name) on vicket.tickets to vicket_widget;
-- good
grant insert (name) on vicket.tickets to vicket_widget;

-- lint: grant-mail-reads
-- bad
grant select (id) on vicket.inbound_mails to vicket_mail;
-- good
grant insert (recipient) on vicket.inbound_mails to vicket_mail;

-- lint: grant-tenant-column
-- bad
grant update (site_id) on vicket.articles to vicket_operator;
-- good
grant update (site_id) on vicket.articles to vicket_definer;

-- lint: grant-tenant-column
-- bad
grant insert on vicket.faqs to vicket_agent;
-- good
grant insert (site_id) on vicket.faqs to vicket_agent;

-- lint: grant-option
-- bad
grant select (id) on vicket.faqs to vicket_agent with grant option;
-- good
grant select (id) on vicket.faqs to vicket_agent;

-- lint: grant-create
-- bad
grant create on schema vicket to vicket_widget;
-- good
grant create on schema vicket to vicket_owner;

-- lint: grant-create
-- bad
grant create on schema public to public;
-- good
grant usage on schema public to public;

-- lint: grant-create
-- bad
do $$ begin execute format('grant create on database %I to vicket_agent', current_database()); end $$;
-- good
do $$ begin execute format('grant create on database %I to vicket_owner', current_database()); end $$;

-- lint: grant-temp
-- bad
do $$ begin execute format('grant temporary on database %I to public', current_database()); end $$;
-- good
do $$ begin execute format('grant temporary on database %I to vicket_owner', current_database()); end $$;

-- lint: grant-connect
-- bad
do $$ begin execute format('grant connect on database %I to public', current_database()); end $$;
-- good
do $$ begin execute format('grant connect on database %I to vicket_auditor', current_database()); end $$;

-- lint: secret-selectable
-- bad
grant select (key_hash) on vicket.site_keys to vicket_agent;
-- good
grant select (hint) on vicket.site_keys to vicket_agent;

-- lint: default-privileges
-- bad
alter default privileges for role vicket_owner in schema vicket grant select on tables to vicket_widget;
-- good
alter default privileges for role vicket_owner in schema vicket grant select on tables to pg_monitor;

-- lint: default-privileges
-- bad
alter default privileges for role vicket_definer grant execute on functions to public;
-- good
alter default privileges for role vicket_definer revoke execute on functions from public;

-- lint: definer-search-path
-- bad
alter function ctx.ticket_id() reset search_path;
-- good
alter function ctx.org_id() reset search_path;

-- lint: definer-search-path
-- bad
alter function ctx.ticket_id() set search_path = public, pg_catalog;
-- good
alter function ctx.ticket_id() set search_path = pg_catalog, pg_temp;

-- lint: definer-owner
-- bad
alter function ctx.ticket_id() owner to vicket_owner;
-- good
alter function ctx.org_id() owner to vicket_owner;

-- lint: definer-language
-- bad
create function ctx.x() returns integer language sql security definer set search_path = pg_catalog, pg_temp return 1;
-- good
create function ctx.x() returns integer language sql return 1;

-- lint: definer-dynamic
-- bad
create function ctx.x(t text) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$ begin execute t; end $$;
-- good
create function ctx.x(t text) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$ begin perform 'may execute'; end $$;

-- lint: function-public
-- bad
grant execute on function ctx.org_id() to public;
-- good
grant execute on function ctx.org_id() to vicket_agent;

-- lint: function-grant
-- bad
grant execute on function auth.enter(bytea, bytea, bytea) to vicket_worker;
-- good
grant execute on function ctx.site_id() to vicket_agent;

-- lint: function-body
-- bad
create or replace function ctx.may(p_permission text) returns boolean
  language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp
as $$
begin
  return true;
end $$;
-- good
do $$ begin execute pg_get_functiondef('ctx.may(text)'::regprocedure); end $$;

-- lint: function-body
-- bad
alter function ctx.people() security invoker;
-- good
alter function ctx.people() security definer;

-- lint: function-body
-- bad
alter function ctx.org_by_key() volatile;
-- good
alter function ctx.org_by_key() stable;

-- lint: function-body
-- bad
alter function ctx.site_id() set app.site_id = 'x';
-- good
alter function ctx.site_id() reset all;

-- lint: function-body
-- bad
create or replace function ctx.org_id() returns uuid language sql stable parallel safe
  return nullif(current_setting('app.org_id', true), '')::uuid;
-- good
comment on view audit.findings is 'Migration 99999.'; alter function ctx.org_id() volatile;

-- lint: function-unknown
-- bad
create function ctx.may(p_permission text, p_really boolean) returns boolean language sql as 'select true';
-- good
create function public.x() returns boolean language sql as 'select true';

-- lint: function-unknown
-- bad
alter function ctx.is_member() rename to was_member;
-- good
alter function ctx.is_member() rename to was_member; alter function ctx.was_member() rename to is_member;

-- lint: function-missing
-- bad
drop function ctx.may(text) cascade;
-- good
create function ctx.x() returns boolean language sql as 'select true';

-- lint: function-newer
-- bad
comment on view audit.findings is 'Findings. Migration 99999, text 00000000.';
-- good
comment on view audit.findings is 'Findings. Migration 1, text 00000000.';

-- lint: object-missing
-- bad
drop policy definer_delete on vicket.teams;
-- good
create policy x on vicket.teams for select to vicket_operator using (org_id = (select ctx.org_id()));

-- lint: object-missing
-- bad
drop trigger audited on vicket.tickets;
-- good
create trigger x before update on vicket.tickets for each row execute function vicket.ticket_guarded();

-- lint: object-missing
-- bad
alter table vicket.tickets drop constraint tickets_subject_length;
-- good
alter table vicket.tickets add constraint x check (number > 0);

-- lint: object-missing
-- bad
drop index vicket.site_keys_one_active;
-- good
create index x on vicket.site_keys (org_id, site_id, state);

-- lint: object-changed
-- bad
alter policy definer_delete on vicket.teams using (true);
-- good
comment on policy definer_delete on vicket.teams is 'Another comment.';

-- lint: object-changed
-- bad
drop trigger audited on vicket.tickets; create trigger audited after delete on vicket.tickets
  for each row execute function vicket.audited('ticket', 'id', 'number');
-- good
drop trigger audited on vicket.tickets; create trigger audited after delete on vicket.tickets
  referencing old table as gone_rows for each statement execute function vicket.audited('ticket', 'id', 'site_id number status');

-- lint: object-changed
-- bad
alter policy definer_delete on vicket.teams to vicket_owner;
-- good
create table vicket.x (org_id uuid not null) partition by hash (org_id);
create table vicket.x0 partition of vicket.x for values with (modulus 1, remainder 0);
create trigger x before insert on vicket.x0 for each row execute function vicket.ticket_guarded();

-- lint: object-unknown
-- bad
create policy x on vicket.teams for select to vicket_operator using (org_id = (select ctx.org_id()));
-- good
drop policy definer_delete on vicket.teams;

-- lint: object-unknown
-- bad
create trigger x before update on vicket.tickets for each row execute function vicket.ticket_guarded();
-- good
create table vicket.x (org_id uuid not null) partition by hash (org_id);
create table vicket.x0 partition of vicket.x for values with (modulus 1, remainder 0);
create trigger x before insert on vicket.x0 for each row execute function vicket.ticket_guarded();

-- lint: function-body
-- bad
create or replace function ctx.remove(p_table text, p_ids uuid[], p_of uuid default null, p_text text default 'x') returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$ begin return 0; end $$;
-- good
comment on function ctx.may(text) is 'Another comment.';

-- lint: context-immutable
-- bad
alter function ctx.org_id() immutable;
-- good
alter function ctx.org_id() volatile;

-- lint: context-immutable
-- bad
create function vicket.x() returns text language sql immutable return current_setting('app.org_id', true);
-- good
create function vicket.x() returns text language sql immutable return 'constant';

-- lint: function-leakproof
-- bad
alter function ctx.org_id() leakproof;
-- good
alter function ctx.org_id() not leakproof;

-- lint: function-untrusted
-- bad
create function vicket.x(text) returns integer language internal strict as 'textlen';
-- good
create function vicket.x(text) returns integer language sql return length($1);

-- lint: role-missing
-- bad
alter role vicket_auditor rename to vicket_reader;
-- good
select;

-- lint: role-missing
-- bad
revoke vicket_widget from vicket_gate_widget granted by vicket_test_deploy;
-- good
revoke vicket_widget from vicket_gate_widget granted by vicket_test_deploy; grant vicket_widget to vicket_gate_widget;

-- lint: role-attributes
-- bad
alter role vicket_widget bypassrls;
-- good
alter role vicket_widget nobypassrls connection limit 10;

-- lint: role-attributes
-- bad
alter role vicket_gate_agent createrole;
-- good
alter role vicket_gate_agent valid until 'infinity';

-- lint: login-shape
-- bad
alter role vicket_gate_widget inherit;
-- good
alter role vicket_widget noinherit;

-- lint: login-shape
-- bad
alter role vicket_agent login;
-- good
alter role vicket_worker login;

-- lint: role-membership
-- bad
grant vicket_agent to vicket_gate_widget;
-- good
create role a_dba; grant vicket_auditor to a_dba;

-- lint: role-membership
-- bad
grant pg_read_all_data to vicket_worker;
-- good
create role a_dba; grant pg_read_all_data to a_dba;

-- lint: role-membership from 16
-- bad
grant vicket_widget to vicket_gate_widget with inherit true;
-- good
grant vicket_widget to vicket_gate_widget with inherit false, set true;

-- lint: role-membership from 16
-- bad
grant vicket_agent to vicket_gate_agent with admin true;
-- good
grant vicket_agent to vicket_gate_agent with admin false;

-- lint: role-membership from 16
-- bad
grant vicket_agent to vicket_gate_widget with admin true, inherit false, set false;
-- good
grant vicket_agent to vicket_gate_widget with admin false, inherit false, set false;

-- lint: role-admin
-- bad
create role anybody login createrole; grant vicket_owner to anybody with admin option;
-- good
create role anybody login createrole; grant vicket_owner to anybody;

-- lint: role-admin from 16
-- bad
create role anybody login; grant vicket_gate_widget to anybody with admin true, inherit false, set false;
-- good
grant vicket_gate_widget to vicket_test_deploy with admin true, inherit false, set false;

-- lint: role-membership
-- bad
create role anybody login; grant vicket_widget to anybody;
-- good
create role anybody login createrole; grant vicket_owner, vicket_definer, vicket_operator to anybody;

-- lint: role-settings
-- bad
alter role vicket_gate_widget set app.org_id = '00000000-0000-0000-0000-000000000000';
-- good
alter role vicket_gate_widget set statement_timeout = '5s'; alter role vicket_gate_widget set log_statement = 'none';

-- lint: role-settings
-- bad
do $$ begin execute format('alter database %I set search_path = vicket', current_database()); end $$;
-- good
do $$ begin execute format('alter database %I set timezone = ''UTC''', current_database()); end $$;

-- lint: role-settings
-- bad
alter role all set row_security = off;
-- good
create role anybody; alter role anybody set search_path = public;

-- lint: login-settings
-- bad
alter role vicket_gate_widget set role = 'vicket_widget';
-- good
alter role vicket_gate_widget set app.org_id = '00000000-0000-0000-0000-000000000000';

-- lint: login-settings
-- bad
alter role vicket_gate_agent set statement_timeout = 0;
-- good
alter role vicket_gate_agent set statement_timeout = '10s';

-- lint: login-settings
-- bad
alter role vicket_worker reset lock_timeout;
-- good
alter role vicket_auditor set lock_timeout = '1s';

-- lint: login-settings
-- bad
alter role vicket_gate_widget set default_transaction_read_only = on;
-- good
alter role vicket_widget set default_transaction_read_only = on;

-- lint: login-settings
-- bad
alter role vicket_gate_widget in database postgres set idle_in_transaction_session_timeout = 0;
-- good
alter database postgres set idle_in_transaction_session_timeout = 0;

-- lint: role-owns
-- bad
alter function ctx.org_id() owner to vicket_agent;
-- good
alter function ctx.org_id() owner to vicket_definer;

-- lint: fk-tenantless
-- bad
create unique index y on vicket.tickets (id); create table vicket.x (org_id uuid not null, ticket_id uuid references vicket.tickets (id));
-- good
create table vicket.x (org_id uuid not null, site_id uuid not null, ticket_id uuid,
  foreign key (org_id, site_id, ticket_id) references vicket.tickets (org_id, site_id, id));

-- lint: fk-tenantless
-- bad
create unique index y on vicket.tickets (org_id, id);
create table vicket.x (org_id uuid not null, site_id uuid not null, ticket_id uuid,
  foreign key (org_id, ticket_id) references vicket.tickets (org_id, id));
-- good
create table vicket.x (org_id uuid not null references vicket.orgs (id), user_id uuid references vicket.users (id));

-- lint: fk-set-null
-- bad
create table vicket.x (org_id uuid not null, user_id uuid,
  foreign key (org_id, user_id) references vicket.members (org_id, user_id) on delete set null);
-- good
create table vicket.x (org_id uuid not null, user_id uuid,
  foreign key (org_id, user_id) references vicket.members (org_id, user_id) on delete set null (user_id));

-- lint: unique-global
-- bad
create unique index x on vicket.tickets (email);
-- good
create unique index x on vicket.tickets (org_id, email);

-- lint: unique-global
-- bad
alter table vicket.invitations drop constraint invitations_hash_length;
-- good
create unique index x on vicket.audit_heads (last_hash);

-- lint: index-tenantless
-- bad
create table vicket.x (org_id uuid not null, id uuid primary key);
-- good
create table vicket.x (org_id uuid not null, id uuid, primary key (org_id, id));

-- lint: builtin-dangerous
-- bad
grant execute on function pg_read_file(text) to vicket_worker;
-- good
grant execute on function pg_read_file(text) to pg_monitor;

-- lint: builtin-open
-- bad
grant execute on function set_config(text, text, boolean) to public;
-- good
grant execute on function set_config(text, text, boolean) to vicket_definer;

-- lint: builtin-open
-- bad
grant usage on language plpgsql to public;
-- good
grant usage on language plpgsql to vicket_definer;

-- lint: builtin-open
-- bad
do $$ declare f text; begin
  for f in select oid::regprocedure from pg_proc where proname = 'pg_logical_emit_message' loop
    execute format('grant execute on function %s to public', f);
  end loop;
end $$;
-- good
do $$ declare f text; begin
  for f in select oid::regprocedure from pg_proc where proname = 'pg_logical_emit_message' loop
    execute format('grant execute on function %s to pg_monitor', f);
  end loop;
end $$;

-- lint: builtin-open
-- bad
grant execute on function pg_stat_get_backend_client_addr(integer) to public;
-- good
grant execute on function pg_stat_get_backend_client_addr(integer) to pg_monitor;

-- lint: database-open
-- bad
grant connect on database postgres to public;
-- good
grant connect on database postgres to pg_monitor; grant temporary on database postgres to public;

-- lint: database-open
-- bad
grant connect on database template1 to vicket_gate_widget;
-- good
grant connect on database template1 to vicket_gate_widget, vicket_auditor;

-- lint: extension-reaches-out
-- bad
create extension dblink;
-- good
create extension pgcrypto;

-- lint: server-setting
-- bad
set local row_security = off;
-- good
set local row_security = on;

-- lint: server-setting
-- bad
set local log_statement = 'all';
-- good
set local log_statement = 'ddl';
