-- members, invitations: who works for which org, as what, and who is asked to.
set local role vicket_owner;

create table vicket.members (
  org_id uuid not null default ctx.org_id(),
  user_id uuid not null,
  role text not null,
  created_at timestamptz not null default now(),
  constraint members_pkey primary key (org_id, user_id),
  constraint members_org_fkey foreign key (org_id) references vicket.orgs (id) on delete cascade,
  constraint members_user_fkey foreign key (user_id) references vicket.users (id) on delete cascade,
  constraint members_role_known check (role in ('owner', 'admin', 'agent', 'viewer'))
);
-- A user's orgs, and a user's deletion.
create index members_user on vicket.members (user_id, org_id);

-- Why: how a person joins. The token is shown once, to whoever invites, and is good for one join within seven days.
create table vicket.invitations (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  email text not null,
  role text not null,
  token_hash bytea not null,
  invited_by text not null default ctx.actor_name(),
  invited_by_id uuid default ctx.actor_user_id(),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null default now() + interval '7 days',
  constraint invitations_pkey primary key (org_id, id),
  constraint invitations_email_unique unique (org_id, email),
  constraint invitations_org_fkey foreign key (org_id) references vicket.orgs (id) on delete cascade,
  constraint invitations_inviter_fkey foreign key (org_id, invited_by_id)
    references vicket.members (org_id, user_id) on delete cascade,
  constraint invitations_email_lower check (email = lower(email collate "C")),
  constraint invitations_email_shape check (email ~ '^[^@\s]+@[^@\s]+$'),
  constraint invitations_email_length check (char_length(email) between 3 and 254),
  constraint invitations_role_known check (role in ('owner', 'admin', 'agent', 'viewer')),
  constraint invitations_hash_length check (octet_length(token_hash) = 32)
);
create index invitations_inviter on vicket.invitations (org_id, invited_by_id);
-- Not led by a tenant: the digest is what tells the tenant.
create unique index invitations_token on vicket.invitations (token_hash);

alter table vicket.members enable row level security, force row level security;
alter table vicket.invitations enable row level security, force row level security;

create policy agent_select on vicket.members for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy agent_update on vicket.members for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('member:role_set')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('member:role_set')));
create policy operator_all on vicket.members for all to vicket_operator
  using (org_id = (select ctx.org_id())) with check (org_id = (select ctx.org_id()));
create policy definer_select on vicket.members for select to vicket_definer using (true);
create policy definer_insert on vicket.members for insert to vicket_definer with check (org_id = (select ctx.org_id()));
create policy definer_delete on vicket.members for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and ((select ctx.may('member:role_set')) or (select ctx.may('org:delete'))));

create policy agent_select on vicket.invitations for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('member:invite')));
create policy agent_insert on vicket.invitations for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('member:invite')) and ctx.may_grant(role));
create policy operator_all on vicket.invitations for all to vicket_operator
  using (org_id = (select ctx.org_id())) with check (org_id = (select ctx.org_id()));
create policy definer_select on vicket.invitations for select to vicket_definer using (true);
create policy definer_delete on vicket.invitations for delete to vicket_definer
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('member:invite'))
    and (ctx.may_grant(role) or expires_at <= now())
  );
create policy definer_delete_accepted on vicket.invitations for delete to vicket_definer
  using (token_hash = (select ctx.digest('invitation')));

grant select (org_id, user_id, role, created_at), update (role) on vicket.members to vicket_agent;
grant select, insert (user_id, role), update (role) on vicket.members to vicket_operator;
grant select (org_id, user_id, role, created_at), insert (org_id, user_id, role), delete on vicket.members to vicket_definer;
grant select (org_id, id, email, role, invited_by, created_at, expires_at), insert (email, role, token_hash)
  on vicket.invitations to vicket_agent, vicket_operator;
grant update (invited_by) on vicket.invitations to vicket_operator;
grant select (org_id, id, email, role, token_hash, invited_by_id, expires_at), delete on vicket.invitations to vicket_definer;
-- Not granted: INSERT of members to agents (who joins accepts an invitation); DELETE to requests and commands
-- (ctx.remove); token_hash to any reader but the definer; UPDATE of invitations to anyone: a new one is a new row.

comment on table vicket.members is 'Who works for which org, and as what.';
comment on table vicket.invitations is 'Invitations that wait to be accepted, by the SHA-256 of their token.';
comment on column vicket.invitations.invited_by_id is
  'The member who invited: it goes with them, and is worth what they may do when it is accepted. NULL for a command.';
comment on policy agent_select on vicket.members is 'Members see who else works here.';
comment on policy agent_update on vicket.members is 'member:role_set, within the owner rules (trigger member_guarded).';
comment on policy operator_all on vicket.members is 'Administration commands, after admin.enter_org.';
comment on policy definer_select on vicket.members is
  'Not narrowed: ctx.actor is what the context is asked of; a person''s orgs are many.';
comment on policy definer_insert on vicket.members is 'auth.accept_invitation, auth.begin_first_org.';
comment on policy definer_delete on vicket.members is
  'ctx.remove: member:role_set, within the owner rules; all of them, with their org.';
comment on policy agent_insert on vicket.invitations is 'member:invite, and a role that one may give.';
comment on policy operator_all on vicket.invitations is 'Administration commands, after admin.enter_org.';
comment on policy definer_select on vicket.invitations is
  'Not narrowed: an invitation is found by its digest before there is a context.';
comment on policy definer_delete on vicket.invitations is
  'ctx.remove: a role that one may give; one that has expired in any case.';
comment on policy definer_delete_accepted on vicket.invitations is 'auth.accept_invitation: good for one join.';

-- The owner rules: an org always has an owner, nobody changes their own role, and nobody gives or takes a role that
-- may more than they do, so that only an owner makes, changes or removes an owner. Changes of one org take turns, so
-- that two demotions at once cannot both find another owner.
create function vicket.member_guarded() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  who record := ctx.actor();
  leaves constant boolean := tg_op = 'DELETE';
begin
  if tg_op = 'UPDATE' and new.role = old.role then
    return new;
  end if;
  -- The org itself goes, and its members with it. Asked apart: an agent, who changes roles, may not read deleted_at.
  if leaves then
    if not exists (select from vicket.orgs o where o.id = old.org_id and o.deleted_at is null) then
      return old;
    end if;
  end if;
  if old.role = 'owner' and not exists (
    select from vicket.members m
    where m.org_id = old.org_id and m.role = 'owner' and m.user_id <> old.user_id
  ) then
    raise exception 'the org would be without an owner'
      using errcode = 'check_violation', constraint = 'members_last_owner';
  end if;
  if who.user_id is null then
    if ctx.needs_actor() then
      raise exception 'nobody acts' using errcode = 'insufficient_privilege';
    end if;
    return case when leaves then old else new end;
  end if;
  if not leaves and who.user_id = old.user_id then
    raise exception 'nobody changes their own role'
      using errcode = 'check_violation', constraint = 'members_not_oneself';
  end if;
  if not ctx.may_grant(old.role) or not leaves and not ctx.may_grant(new.role) then
    raise exception 'a role beyond one''s own'
      using errcode = 'check_violation', constraint = 'members_beyond_oneself';
  end if;
  return case when leaves then old else new end;
end $$;

create trigger serialize_org_writes before update or delete on vicket.members
  for each statement execute function vicket.serialize_org_writes();
create trigger member_guarded before update of role or delete on vicket.members
  for each row execute function vicket.member_guarded();
create trigger audited after insert or update on vicket.members
  for each row execute function vicket.audited('member', 'user_id', 'user_id role');
-- Who leaves is asked while they still belong to it: before the row goes. After the guard, by name: what it refuses
-- never was.
create trigger member_leaves before delete on vicket.members
  for each row execute function vicket.audited('member', 'user_id', 'user_id role');
create trigger serialize_org_writes before insert or update or delete on vicket.invitations
  for each statement execute function vicket.serialize_org_writes();
create trigger audited after insert or delete on vicket.invitations
  for each row execute function vicket.audited('invitation', 'id', 'email role expires_at');

set local role vicket_definer;
-- All orgs of a person; the one of a machine key.
create function ctx.memberships()
  returns table (org_id uuid, slug text, name text, created_at timestamptz, role text, permissions text[])
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  person constant uuid := ctx.session_user_id(ctx.digest('session'));
  who record;
begin
  if person is not null then
    return query
      select o.id, o.slug, o.name, o.created_at, m.role, ctx.permissions_of(m.role)
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

create function ctx.people() returns table (user_id uuid, email text, name text)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query
    select u.id, u.email, u.name
    from vicket.members m
    join vicket.users u on u.id = m.user_id
    where m.org_id = ctx.org_id() and (select ctx.is_member() or ctx.operates());
end $$;

-- What an invitation says. known: there is a user of that e-mail, whose password must be given.
create function auth.invitation(
  p_token_hash bytea, out email text, out org_slug text, out org_name text, out role text, out known boolean
)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  select i.email, o.slug, o.name, i.role, exists (select from vicket.users u where u.email = i.email)
    into invitation.email, invitation.org_slug, invitation.org_name, invitation.role, invitation.known
    from vicket.invitations i
    join vicket.orgs o on o.id = i.org_id
    where i.token_hash = p_token_hash and i.expires_at > now();
end $$;

-- Makes the invited person a member, and a user if they are none, and opens a session for them. Somebody who invites
-- holds the token too: where the e-mail has an account, only its password accepts. Answers 'joined', 'unknown' (no
-- such invitation) or 'wrong_password'.
create function auth.accept_invitation(
  p_token_hash bytea, p_name text, p_password_hash text, p_session_hash bytea, p_request_id text
) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  invited record;
  inviter_may text[];
  person uuid;
begin
  perform auth.enter_actor(''::bytea, ''::bytea, ''::bytea, p_request_id);
  select i.org_id, i.id, i.email, i.role, i.invited_by_id
    into invited
    from vicket.invitations i
    where i.token_hash = p_token_hash and i.expires_at > now();
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
      set_config('app.invitation_hash', encode(p_token_hash, 'hex'), true);
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

-- The first org and its owner, by whoever opens the dashboard of a server that has neither. Where a command made an
-- org, a command invites its owner: a stranger must not be able to come before them.
create function auth.first_run() returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return not exists (select from vicket.orgs) and not exists (select from vicket.users);
end $$;
-- Of two at once the second waits for the first, since both make the org of one id; then it finds that it is late.
create function auth.begin_first_org(
  p_slug text, p_org_name text, p_email text, p_name text, p_password_hash text, p_session_hash bytea, p_request_id text
) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  first_org constant uuid := '00000000-0000-4000-8000-000000000001';
  person constant uuid := gen_random_uuid();
begin
  perform auth.enter_actor(''::bytea, ''::bytea, ''::bytea, p_request_id);
  if not auth.first_run() then
    return false;
  end if;
  begin
    insert into vicket.users (id, email, name, password_hash) values (person, lower(p_email collate "C"), p_name, p_password_hash);
    insert into vicket.sessions (user_id, token_hash) values (person, p_session_hash);
    perform set_config('app.session_hash', encode(p_session_hash, 'hex'), true),
      set_config('app.org_id', first_org::text, true);
    insert into vicket.orgs (id, slug, name) values (first_org, p_slug, p_org_name);
    insert into vicket.members (org_id, user_id, role) values (first_org, person, 'owner');
  exception when unique_violation then
    return false;
  end;
  return true;
end $$;

comment on function ctx.memberships is
  'The orgs of whoever acts, with their role and permissions. Definer: no request may read users.';
comment on function ctx.people is 'Ids, e-mails and names of this org''s members. Definer: no request may read users.';
comment on function auth.invitation is
  'What an invitation says, to the holder of its token. Definer: no request may read digests.';
comment on function auth.accept_invitation is
  'Joins, and logs in: joined, unknown or wrong_password. Definer: no request may read digests.';
comment on function auth.first_run is 'Whether there is neither an org nor a user. Definer: no request may read users.';
comment on function auth.begin_first_org is
  'Makes the first org and its owner; says whether it did. Never a second one. Definer: no request may read users.';
grant execute on function ctx.memberships to vicket_agent;
grant execute on function ctx.people to vicket_agent, vicket_operator;
grant execute on function auth.invitation, auth.accept_invitation, auth.first_run, auth.begin_first_org
  to vicket_gate_agent;
reset role;
