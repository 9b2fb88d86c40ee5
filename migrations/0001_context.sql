-- What isolation rests on: the context of a request, the role matrix, the seal, who acts, and every `enter*`, by which
-- a connection becomes a tenant. Each file after this holds a noun: its tables, and what each role may do with them.
do $$ begin
  execute format('revoke all on database %1$I from public; grant connect on database %1$I
    to vicket_gate_widget, vicket_gate_agent, vicket_worker, vicket_auditor', current_database());
end $$;
alter default privileges revoke execute on functions from public;
alter default privileges for role vicket_owner, vicket_definer revoke execute on functions from public;

create schema vicket authorization vicket_owner; -- tables
create schema ctx authorization vicket_owner;    -- what policies and requests ask of the context
create schema auth authorization vicket_owner;   -- how a gate becomes a tenant, how people log in
create schema worker authorization vicket_owner; -- background work, in batches
create schema admin authorization vicket_owner;  -- administration commands
set local role vicket_owner;
grant usage on schema vicket, ctx to vicket_widget, vicket_agent, vicket_operator, vicket_definer;
grant usage on schema auth to vicket_gate_widget, vicket_gate_agent, vicket_definer;
grant usage on schema worker to vicket_worker, vicket_definer;
grant usage on schema admin to vicket_operator, vicket_definer;
grant create on schema vicket, ctx, auth, worker, admin to vicket_definer; -- until 0023_audit.sql: it makes its own

-- The context, transaction-local. After a transaction a setting is '' and not NULL: hence nullif. STABLE: an IMMUTABLE
-- helper in a prepared statement served one site's row to another. Policies say (select ctx.x()), which is asked once.
create function ctx.org_id() returns uuid language sql stable parallel safe
  as $$ select nullif(pg_catalog.current_setting('app.org_id', true), '')::uuid $$;
create function ctx.site_id() returns uuid language sql stable parallel safe
  as $$ select nullif(pg_catalog.current_setting('app.site_id', true), '')::uuid $$;
-- The digest that opened this transaction: of a key, ticket, submission, session, machine_key or invitation.
create function ctx.digest(p_of text) returns bytea language sql stable parallel safe
  as $$ select pg_catalog.decode(nullif(pg_catalog.current_setting('app.' || p_of || '_hash', true), ''), 'hex') $$;
-- Whether an administration command asks, whose login alone may take this role; and whether somebody must act, by the
-- login, which no statement can change: a context that was emptied must not pass for a command.
create function ctx.operates() returns boolean language sql stable parallel safe
  as $$ select pg_catalog.current_setting('role') = 'vicket_operator' $$;
create function ctx.needs_actor() returns boolean language sql stable parallel safe
  as $$ select session_user = 'vicket_gate_agent' $$;
grant execute on function ctx.org_id, ctx.site_id, ctx.digest, ctx.operates, ctx.needs_actor
  to vicket_widget, vicket_agent, vicket_operator, vicket_definer;

-- The role matrix, as rows: policies ask it, so that a check which the server forgot is refused all the same.
create table vicket.role_permissions (
  role text not null,
  permission text not null,
  constraint role_permissions_pkey primary key (role, permission),
  constraint role_permissions_role_known check (role in ('owner', 'admin', 'agent', 'viewer')),
  constraint role_permissions_shape check (permission ~ '^[a-z]+:[a-z_]+$')
);
insert into vicket.role_permissions (role, permission)
  select m.role, unnest(string_to_array(m.permissions, ' ')) from (values
    ('viewer', 'ticket:read status:read priority:read article:read'),
    ('agent', 'ticket:read ticket:write ticket:assign status:read priority:read article:read article:write '
      'reply:read reply:edit'),
    ('owner', 'org:edit org:delete billing:manage member:invite member:role_set site:create site:edit site:delete '
      'apikey:rotate machinekey:edit audit:read article:read article:write article:publish ticket:read ticket:write '
      'ticket:assign ticket:delete template:edit status:read status:edit priority:read priority:edit team:edit '
      'reply:read reply:edit')) as m (role, permissions);
insert into vicket.role_permissions (role, permission)
  select 'admin', o.permission from vicket.role_permissions o
  where o.role = 'owner' and o.permission not in ('billing:manage', 'org:delete', 'site:delete');
alter table vicket.role_permissions enable row level security, force row level security;
create policy definer_select on vicket.role_permissions for select to vicket_definer using (true);
grant select on vicket.role_permissions to vicket_definer;
comment on table vicket.role_permissions is 'What each role may do, in every org: no tenant.';
comment on policy definer_select on vicket.role_permissions is 'Not narrowed: belongs to nobody. ctx.permissions_of.';

-- The seal. A plain setting stops no injected statement, so a RESTRICTIVE policy on each table of the widget demands
-- the tenant of the key whose digest is in the context: one would have to know another site's key. Revoked keys count:
-- whether a key is good is asked once, by auth.enter, or a rotation in mid-request would turn a good answer empty.
set local role vicket_definer;
create function ctx.site_by_key() returns uuid
  language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp
  as $$ begin return (select k.site_id from vicket.site_keys k where k.key_hash = ctx.digest('key')); end $$;
create function ctx.org_by_key() returns uuid
  language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp
  as $$ begin return (select k.org_id from vicket.site_keys k where k.key_hash = ctx.digest('key')); end $$;
comment on function ctx.site_by_key is 'The site of the key in the context. Definer: no request may read digests.';
comment on function ctx.org_by_key is 'The org of the key in the context. Definer: no request may read digests.';
grant execute on function ctx.site_by_key, ctx.org_by_key to vicket_widget;

-- Who acts, by the credential whose digest is in the context, never by a plain setting: an injected statement that
-- moves app.org_id finds there what the same person may do in that org. All is NULL when nobody acts.
create function ctx.permissions_of(p_role text) returns text[]
  language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $$
begin
  return array(select p.permission from vicket.role_permissions p where p.role = p_role order by p.permission);
end $$;
-- Whose session it is, until it ends. For vicket_definer's functions alone, with whose rights it runs.
create function ctx.session_user_id(p_token_hash bytea) returns uuid
  language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  return (select s.user_id from vicket.sessions s where s.token_hash = p_token_hash
    and s.last_used_at > now() - interval '14 days' and s.created_at > now() - interval '90 days');
end $$;
create function ctx.actor(out user_id uuid, out machine_key_id uuid, out role text, out permissions text[])
  language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $$
declare
  person uuid := ctx.session_user_id(ctx.digest('session'));
  machine_key uuid;
  given text[];
begin
  if person is null then
    select k.created_by, k.id, k.permissions into person, machine_key, given from vicket.machine_keys k
      where k.key_hash = ctx.digest('machine_key') and k.org_id = ctx.org_id()
        and k.revoked_at is null and (k.expires_at is null or k.expires_at > now());
  end if;
  select m.user_id, machine_key, m.role,
      array(select p from unnest(ctx.permissions_of(m.role)) p where given is null or p = any (given))
    into actor.user_id, actor.machine_key_id, actor.role, actor.permissions
    from vicket.members m where m.org_id = ctx.org_id() and m.user_id = person;
end $$;
comment on function ctx.permissions_of is 'What a role may do, sorted. Definer: the matrix is granted to nobody.';
comment on function ctx.actor is 'Who acts here, and what they may do now. Definer: no request may read digests.';
-- vicket_owner: what a foreign key takes along, and its triggers, run as the owner of the table.
grant execute on function ctx.permissions_of, ctx.actor to vicket_agent, vicket_operator, vicket_owner;
set local role vicket_owner;
create function ctx.may(p_permission text) returns boolean language sql stable parallel safe
  as $$ select coalesce(p_permission = any ((ctx.actor()).permissions), false) or ctx.operates() $$;
create function ctx.may_all(p_permissions text[]) returns boolean language sql stable parallel safe
  as $$ select coalesce(p_permissions <@ (ctx.actor()).permissions, false) or ctx.operates() $$;
-- Nobody hands out more than they have.
create function ctx.may_grant(p_role text) returns boolean language sql stable parallel safe
  as $$ select ctx.may_all(ctx.permissions_of(p_role)) $$;
create function ctx.is_member() returns boolean language sql stable parallel safe
  as $$ select (ctx.actor()).role is not null $$;
create function ctx.actor_user_id() returns uuid language sql stable parallel safe
  as $$ select (ctx.actor()).user_id $$;
grant execute on function ctx.may, ctx.may_all, ctx.may_grant, ctx.is_member, ctx.actor_user_id
  to vicket_agent, vicket_operator, vicket_definer;

-- A key enters its site. One row, always, and never an error: a refused key costs no connection. auth.enter proves one
-- by itself, in one trip; auth.enter_site takes the role too. All of the context is set, so that nothing is left of
-- whoever was here before. The request's origin, by its SHA-256: listed by this site; known to some site.
create type auth.site_entry as (
  verdict text, key_id uuid, key_state text, org_id uuid, site_id uuid, content_version bigint, views_version bigint,
  reads_per_minute integer, writes_per_minute integer, network_reads_per_minute integer,
  network_writes_per_minute integer, origin_listed boolean, origin_known boolean
);
create type auth.org_entry as (
  verdict text, actor_id uuid, email text, name text, org_id uuid, role text, permissions text[]
);
set local role vicket_definer;
create function auth.enter(p_key_hash bytea, p_origin_hash bytea, p_ticket_hash bytea) returns auth.site_entry
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  entry auth.site_entry;
begin
  select 'entered', k.id, k.state, k.org_id, k.site_id, s.content_version, s.views_version, s.reads_per_minute,
      s.writes_per_minute, s.network_reads_per_minute, s.network_writes_per_minute, o.listed, o.listed
    into entry
    from vicket.site_keys k
    join vicket.sites s on s.org_id = k.org_id and s.id = k.site_id
    cross join lateral (select exists (select from vicket.site_origins o
      where o.org_id = k.org_id and o.site_id = k.site_id and o.origin_hash = p_origin_hash)) as o (listed)
    where k.key_hash = p_key_hash and k.state in ('active', 'staged');
  if not found then
    entry.verdict := 'unknown';
    entry.origin_listed := false;
    entry.origin_known := exists (select from vicket.site_origins o where o.origin_hash = p_origin_hash);
    p_key_hash := '';
    p_ticket_hash := '';
  end if;
  perform set_config('app.org_id', coalesce(entry.org_id::text, ''), true),
    set_config('app.site_id', coalesce(entry.site_id::text, ''), true),
    set_config('app.key_hash', encode(p_key_hash, 'hex'), true),
    set_config('app.ticket_hash', encode(p_ticket_hash, 'hex'), true), set_config('app.submission_hash', '', true),
    set_config('app.session_hash', '', true), set_config('app.machine_key_hash', '', true),
    set_config('app.invitation_hash', '', true), set_config('app.request_id', '', true);
  return entry;
end $$;

-- A session or a machine key, whichever digest is not empty, enters the org of a slug's digest; without one a session
-- is above any org, and a machine key enters its own. 'no_org': there is none, or not theirs; 'unknown': no credential.
create function auth.enter_actor(p_session_hash bytea, p_machine_key_hash bytea, p_slug_hash bytea, p_request_id text)
  returns auth.org_entry language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  entry auth.org_entry;
begin
  if p_machine_key_hash = '' then
    entry.actor_id := ctx.session_user_id(p_session_hash);
    select u.email, u.name into entry.email, entry.name from vicket.users u where u.id = entry.actor_id;
  elsif p_session_hash = '' then
    select k.id, k.name, k.org_id into entry.actor_id, entry.name, entry.org_id from vicket.machine_keys k
      where k.key_hash = p_machine_key_hash and k.revoked_at is null and (k.expires_at is null or k.expires_at > now());
  end if;
  if p_slug_hash <> '' then
    entry.org_id := (select o.id from vicket.orgs o where o.slug_hash = p_slug_hash and o.deleted_at is null
      and (entry.org_id is null or o.id = entry.org_id));
  end if;
  perform set_config('app.org_id', coalesce(entry.org_id::text, ''), true), set_config('app.site_id', '', true),
    set_config('app.key_hash', '', true), set_config('app.ticket_hash', '', true),
    set_config('app.submission_hash', '', true), set_config('app.session_hash', encode(p_session_hash, 'hex'), true),
    set_config('app.machine_key_hash', encode(p_machine_key_hash, 'hex'), true),
    set_config('app.invitation_hash', '', true), set_config('app.request_id', p_request_id, true);
  select a.role, a.permissions into entry.role, entry.permissions from ctx.actor() a;
  entry.verdict := case when entry.actor_id is null then 'unknown'
    when p_slug_hash <> '' and entry.role is null then 'no_org' else 'entered' end;
  if entry.verdict <> 'entered' then
    entry.org_id := null;
    perform set_config('app.org_id', '', true), set_config('app.session_hash', '', true),
      set_config('app.machine_key_hash', '', true);
  end if;
  return entry;
end $$;
-- A command enters an org by its slug; p_gone: or one that is gone, of which there is a log, by its id. Else NULL.
create function admin.enter_org(p_org text, p_gone boolean default false) returns uuid
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  org constant uuid := coalesce((select o.id from vicket.orgs o where o.slug = p_org and o.deleted_at is null),
    (select h.org_id from vicket.audit_heads h where p_gone and h.org_id::text = lower(p_org)));
begin
  perform set_config('app.org_id', coalesce(org::text, ''), true);
  return org;
end $$;
comment on function auth.enter is 'Proves a key, sets its site. Definer: no request may read digests.';
comment on function auth.enter_actor is
  'Proves a session or machine key, sets its org. Definer: no request may read digests.';
comment on function admin.enter_org is 'Sets the org of a command. Definer: commands are bound to one org.';
grant execute on function auth.enter to vicket_gate_widget;
grant execute on function auth.enter_actor to vicket_gate_agent;
grant execute on function admin.enter_org to vicket_operator;

set local role vicket_owner;
-- As the gate, whose role they take for the rest of the transaction: inside a definer function no role can be taken.
create function auth.enter_site(p_key_hash bytea, p_origin_hash bytea, p_ticket_hash bytea) returns auth.site_entry
  language plpgsql volatile as $$
declare
  entry constant auth.site_entry := auth.enter(p_key_hash, p_origin_hash, p_ticket_hash);
begin
  if entry.verdict operator(pg_catalog.=) 'entered' then set local role vicket_widget; end if;
  return entry;
end $$;
create function auth.enter_org(p_session_hash bytea, p_machine_key_hash bytea, p_slug_hash bytea, p_request_id text)
  returns auth.org_entry language plpgsql volatile as $$
declare
  entry constant auth.org_entry := auth.enter_actor(p_session_hash, p_machine_key_hash, p_slug_hash, p_request_id);
begin
  if entry.verdict operator(pg_catalog.=) 'entered' then set local role vicket_agent; end if;
  return entry;
end $$;
grant execute on function auth.enter_site to vicket_gate_widget;
grant execute on function auth.enter_org to vicket_gate_agent;
reset role;
