-- role_permissions, and ctx.actor: who acts for an org, and what they may do there.
--
-- What an agent's request may do is asked of the credential whose hash is in the context, never of a plain setting:
-- injected SQL that moves app.org_id finds there only what the same person may do in that org, and an org that they do
-- not belong to shows nothing.

-- ---------------------------------------------------------------------------------------------------------------------
-- role_permissions
-- Why: the role matrix. Policies ask it through ctx.may, so a check that the server forgot is still refused.
set local role vicket_owner;

create table vicket.role_permissions (
  role text not null,
  permission text not null,
  constraint role_permissions_pkey primary key (role, permission),
  constraint role_permissions_role_known check (role in ('owner', 'admin', 'agent', 'viewer')),
  constraint role_permissions_shape check (permission ~ '^[a-z]+:[a-z_]+$')
);

-- Reference rows go in before FORCE, which would hide the table from its owner.
insert into vicket.role_permissions (role, permission)
  select 'owner', p
  from unnest(array[
    'org:edit', 'org:delete', 'billing:manage', 'member:invite', 'member:role_set',
    'site:create', 'site:edit', 'site:delete', 'apikey:rotate', 'machinekey:edit', 'audit:read',
    'article:read', 'article:write', 'article:publish',
    'ticket:read', 'ticket:write', 'ticket:assign', 'ticket:delete',
    'template:edit', 'status:read', 'status:edit', 'priority:read', 'priority:edit', 'team:edit'
  ]) as p;
insert into vicket.role_permissions (role, permission)
  select 'admin', permission
  from vicket.role_permissions
  where role = 'owner' and permission not in ('billing:manage', 'org:delete', 'site:delete');
insert into vicket.role_permissions (role, permission)
  select 'agent', p
  from unnest(array[
    'ticket:read', 'ticket:write', 'ticket:assign', 'status:read', 'priority:read', 'article:read', 'article:write'
  ]) as p;
insert into vicket.role_permissions (role, permission)
  select 'viewer', p
  from unnest(array['ticket:read', 'status:read', 'priority:read', 'article:read']) as p;

alter table vicket.role_permissions enable row level security;
alter table vicket.role_permissions force row level security;

create policy definer_reads on vicket.role_permissions
  for select to vicket_definer
  using (true);

grant select on vicket.role_permissions to vicket_definer;
-- Not granted: anything to a request role; ctx.may and ctx.memberships answer from it.

comment on table vicket.role_permissions is 'What each role may do. The same for every org: no tenant.';
comment on policy definer_reads on vicket.role_permissions is 'ctx.actor and what asks it.';

-- ---------------------------------------------------------------------------------------------------------------------
-- The context of agents. As in 0001: STABLE, and '' is nothing.
create function ctx.session_hash() returns bytea
  language sql stable parallel safe
  return decode(nullif(current_setting('app.session_hash', true), ''), 'hex');

create function ctx.machine_key_hash() returns bytea
  language sql stable parallel safe
  return decode(nullif(current_setting('app.machine_key_hash', true), ''), 'hex');

create function ctx.request_id() returns text
  language sql stable parallel safe
  return nullif(current_setting('app.request_id', true), '');

comment on function ctx.session_hash() is 'SHA-256 of the session token that opened this transaction.';
comment on function ctx.machine_key_hash() is 'SHA-256 of the machine key that opened this transaction.';
comment on function ctx.request_id() is 'The id of the request, for the audit log.';

grant execute on function ctx.session_hash(), ctx.machine_key_hash(), ctx.request_id() to vicket_definer;
grant execute on function ctx.org_id() to vicket_agent;
grant usage on schema vicket, ctx to vicket_agent;
grant usage on schema auth to vicket_gate_agent;
grant create on schema ctx to vicket_definer;
reset role;

set local role vicket_definer;

create function ctx.session_user_id(p_token_hash bytea) returns uuid
  language plpgsql stable parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select s.user_id
    from vicket.sessions s
    where s.token_hash = p_token_hash
      and s.last_used_at > now() - interval '14 days'
      and s.created_at > now() - interval '90 days'
  );
end $$;

-- Everything is NULL when nobody acts: no credential, one that has ended, or one whose holder is no member of this org.
create function ctx.actor(out user_id uuid, out machine_key_id uuid, out role text, out permissions text[])
  language plpgsql stable parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  given text[];
begin
  actor.user_id := ctx.session_user_id(ctx.session_hash());
  if actor.user_id is null then
    select k.created_by, k.id, k.permissions
      into actor.user_id, actor.machine_key_id, given
      from vicket.machine_keys k
      where k.key_hash = ctx.machine_key_hash()
        and k.org_id = ctx.org_id()
        and k.revoked_at is null
        and (k.expires_at is null or k.expires_at > now());
  end if;
  select m.role
    into actor.role
    from vicket.members m
    where m.org_id = ctx.org_id() and m.user_id = actor.user_id;
  if actor.role is null then
    actor.user_id := null;
    actor.machine_key_id := null;
    return;
  end if;
  actor.permissions := array(
    select p.permission
    from vicket.role_permissions p
    where p.role = actor.role and (given is null or p.permission = any (given))
    order by p.permission
  );
end $$;

create function ctx.may(p_permission text) returns boolean
  language plpgsql stable parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return coalesce(p_permission = any ((ctx.actor()).permissions), false);
end $$;

create function ctx.may_all(p_permissions text[]) returns boolean
  language plpgsql stable parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return coalesce(p_permissions <@ (ctx.actor()).permissions, false);
end $$;

create function ctx.is_member() returns boolean
  language plpgsql stable parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return (ctx.actor()).role is not null;
end $$;

-- Nobody hands out what they do not have: a role is given, changed or taken by who has all of its permissions. So only
-- an owner deals with owners, and a machine key that may invite makes nobody more than it is itself.
create function ctx.may_grant(p_role text) returns boolean
  language plpgsql stable parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return ctx.may_all(array(select p.permission from vicket.role_permissions p where p.role = p_role));
end $$;

-- Whether this session came through the agents' gate, where nobody acts without a credential. By the login, which no
-- statement can change: a context that was emptied must not pass for an administration command.
create function ctx.needs_actor() returns boolean
  language plpgsql stable parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return session_user = 'vicket_gate_agent';
end $$;

create function ctx.actor_user_id() returns uuid
  language plpgsql stable parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return (ctx.actor()).user_id;
end $$;

-- `cli` is who has no credential: the administration commands. A request without one may write nothing.
create function ctx.actor_name() returns text
  language plpgsql stable parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  who record := ctx.actor();
begin
  if who.machine_key_id is not null then
    return (
      select 'machine key ' || k.name
      from vicket.machine_keys k
      where k.org_id = ctx.org_id() and k.id = who.machine_key_id
    );
  end if;
  return coalesce((select u.email from vicket.users u where u.id = who.user_id), 'cli');
end $$;

-- All orgs of a person; the one of a machine key.
create function ctx.memberships()
  returns table (org_id uuid, slug text, name text, created_at timestamptz, role text, permissions text[])
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  person uuid := ctx.session_user_id(ctx.session_hash());
  who record;
begin
  if person is not null then
    return query
      select o.id, o.slug, o.name, o.created_at, m.role,
        array(select p.permission from vicket.role_permissions p where p.role = m.role order by p.permission)
      from vicket.members m
      join vicket.orgs o on o.id = m.org_id
      where m.user_id = person
      order by o.slug;
    return;
  end if;
  who := ctx.actor();
  return query
    select o.id, o.slug, o.name, o.created_at, who.role, who.permissions
    from vicket.orgs o
    where o.id = ctx.org_id() and who.role is not null;
end $$;

-- Through a function: vicket.users has no tenant, so no policy on it could say whom a request may see without joining
-- members.
create function ctx.people() returns table (user_id uuid, email text, name text)
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    select u.id, u.email, u.name
    from vicket.members m
    join vicket.users u on u.id = m.user_id
    where m.org_id = ctx.org_id() and (select ctx.is_member());
end $$;

comment on function ctx.session_user_id(bytea) is 'The user of a session that has not ended; NULL otherwise.';
comment on function ctx.actor() is 'Who acts in this org, by the credential in the context, and what they may do now.';
comment on function ctx.may(text) is 'Whether whoever acts has this permission in this org now. What policies ask.';
comment on function ctx.may_all(text[]) is 'Whether whoever acts has all of these permissions in this org now.';
comment on function ctx.is_member() is 'Whether whoever acts belongs to this org.';
comment on function ctx.may_grant(text) is 'Whether whoever acts has all permissions of this role, and so may give or take it.';
comment on function ctx.needs_actor() is 'Whether this session came through the agents'' gate, where nobody acts without a credential.';
comment on function ctx.actor_user_id() is 'The person who acts, or who created the machine key that acts.';
comment on function ctx.actor_name() is 'How to call whoever acts: an e-mail, `machine key NAME`, or `cli`.';
comment on function ctx.memberships() is 'The orgs of whoever acts, with their role and permissions.';
comment on function ctx.people() is 'Ids, e-mails and names of this org''s members.';

grant execute on function ctx.may(text), ctx.may_all(text[]), ctx.is_member(), ctx.may_grant(text), ctx.actor_user_id(),
  ctx.actor_name(), ctx.memberships(), ctx.people()
  to vicket_agent;
grant execute on function ctx.actor_name(), ctx.actor_user_id() to vicket_operator;

reset role;
set local role vicket_owner;
revoke create on schema ctx from vicket_definer;
reset role;
