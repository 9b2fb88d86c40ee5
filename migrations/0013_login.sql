-- How people and programs come in: what the agents' gate may execute. As in 0007, each entry is one row, always, and
-- never an error: a refused credential costs a ROLLBACK and no connection.
--
-- A password is never compared outside, and its hash never leaves: the server asks for the salt (auth.password_salt),
-- hashes what it was sent, and hands the result back to be compared here. A gate that was turned to a stranger's ends
-- therefore reads no password hash, and opens no session without the password.

set local role vicket_owner;
grant usage on schema auth to vicket_gate_agent;
grant create on schema auth, admin, worker to vicket_definer;
reset role;
set local role vicket_definer;

-- verdict: 'entered': the context is set; 'no_org': there is no such org, or the user is no member of it;
-- 'unknown': no such session, or it has ended. p_slug_hash is the SHA-256 of the org's slug, empty for no org.
create function auth.enter_session(
  p_token_hash bytea, p_slug_hash bytea, p_request_id bytea,
  out verdict text, out actor_id uuid, out email text, out name text,
  out org_id uuid, out role text, out permissions text[]
)
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  perform set_config('app.org_id', '', true), set_config('app.site_id', '', true),
    set_config('app.session_hash', '', true), set_config('app.machine_key_hash', '', true),
    set_config('app.request_id', convert_from(p_request_id, 'UTF8'), true);

  enter_session.actor_id := ctx.session_user_id(p_token_hash);
  if enter_session.actor_id is null then
    enter_session.verdict := 'unknown';
    return;
  end if;
  select u.email, u.name into enter_session.email, enter_session.name
    from vicket.users u where u.id = enter_session.actor_id;
  if p_slug_hash <> '' then
    select o.id, m.role,
        array(select p.permission from vicket.role_permissions p where p.role = m.role order by p.permission)
      into enter_session.org_id, enter_session.role, enter_session.permissions
      from vicket.orgs o
      join vicket.members m on m.org_id = o.id
      where o.slug_hash = p_slug_hash and m.user_id = enter_session.actor_id;
    if enter_session.org_id is null then
      enter_session.verdict := 'no_org';
      return;
    end if;
  end if;
  perform set_config('app.session_hash', encode(p_token_hash, 'hex'), true),
    set_config('app.org_id', coalesce(enter_session.org_id::text, ''), true);
  enter_session.verdict := 'entered';
end $$;

-- As auth.enter_session, for a machine key. Without an org in the request it enters its own.
create function auth.enter_machine_key(
  p_key_hash bytea, p_slug_hash bytea, p_request_id bytea,
  out verdict text, out actor_id uuid, out email text, out name text,
  out org_id uuid, out role text, out permissions text[]
)
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  who record;
begin
  perform set_config('app.org_id', '', true), set_config('app.site_id', '', true),
    set_config('app.session_hash', '', true), set_config('app.machine_key_hash', '', true),
    set_config('app.request_id', convert_from(p_request_id, 'UTF8'), true);

  select k.id, k.name, k.org_id
    into enter_machine_key.actor_id, enter_machine_key.name, enter_machine_key.org_id
    from vicket.machine_keys k
    where k.key_hash = p_key_hash
      and k.revoked_at is null
      and (k.expires_at is null or k.expires_at > now());
  if enter_machine_key.actor_id is null then
    enter_machine_key.verdict := 'unknown';
    return;
  end if;
  if p_slug_hash <> '' and not exists (
    select from vicket.orgs o where o.id = enter_machine_key.org_id and o.slug_hash = p_slug_hash
  ) then
    enter_machine_key.verdict := 'no_org';
    return;
  end if;
  perform set_config('app.machine_key_hash', encode(p_key_hash, 'hex'), true),
    set_config('app.org_id', enter_machine_key.org_id::text, true);
  who := ctx.actor();
  enter_machine_key.role := who.role;
  enter_machine_key.permissions := who.permissions;
  enter_machine_key.verdict := 'entered';
end $$;

-- Algorithm, parameters and salt of a person's password, without its hash; NULL for a stranger.
create function auth.password_salt(p_email text) returns text
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select substring(u.password_hash from '^(\$argon2id\$.+\$)[^$]+$')
    from vicket.users u
    where u.email = lower(p_email)
  );
end $$;

-- Opens a session when p_password_hash is that of the person; says whether it did.
create function auth.open_session(p_email text, p_password_hash text, p_token_hash bytea) returns boolean
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  insert into vicket.sessions (user_id, token_hash)
    select u.id, p_token_hash
    from vicket.users u
    where u.email = lower(p_email) and u.password_hash = p_password_hash;
  return found;
end $$;

create function auth.close_session(p_token_hash bytea) returns void
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  delete from vicket.sessions s where s.token_hash = p_token_hash;
end $$;

create function auth.close_sessions(p_token_hash bytea) returns void
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  delete from vicket.sessions s where s.user_id = ctx.session_user_id(p_token_hash);
end $$;

-- Changes the password of the session's user when p_old_hash is that of the present one, and closes their other
-- sessions; says whether it did.
create function auth.change_password(p_token_hash bytea, p_old_hash text, p_new_hash text) returns boolean
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  person uuid := ctx.session_user_id(p_token_hash);
begin
  update vicket.users u
    set password_hash = p_new_hash
    where u.id = person and u.password_hash = p_old_hash;
  if not found then
    return false;
  end if;
  delete from vicket.sessions s where s.user_id = person and s.token_hash <> p_token_hash;
  return true;
end $$;

-- What an invitation says. known: there is a user of that e-mail, whose password must be given.
create function auth.invitation(
  p_token_hash bytea, out email text, out org_slug text, out org_name text, out role text, out known boolean
)
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  select i.email, o.slug, o.name, i.role, exists (select from vicket.users u where u.email = i.email)
    into invitation.email, invitation.org_slug, invitation.org_name, invitation.role, invitation.known
    from vicket.invitations i
    join vicket.orgs o on o.id = i.org_id
    where i.token_hash = p_token_hash and i.expires_at > now();
end $$;

-- Makes the invited person a member, and a user if they are none, and opens a session for them. Somebody who invites
-- holds the token too: where the e-mail has an account, only its password accepts.
-- Answers 'joined', 'unknown' (no such invitation) or 'wrong_password'.
create function auth.accept_invitation(
  p_token_hash bytea, p_name text, p_password_hash text, p_session_hash bytea, p_request_id bytea
) returns text
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  invited record;
  person uuid;
begin
  perform set_config('app.org_id', '', true), set_config('app.site_id', '', true),
    set_config('app.session_hash', '', true), set_config('app.machine_key_hash', '', true),
    set_config('app.request_id', convert_from(p_request_id, 'UTF8'), true);
  select i.org_id, i.id, i.email, i.role, i.invited_by_id
    into invited
    from vicket.invitations i
    where i.token_hash = p_token_hash and i.expires_at > now();
  if not found then
    return 'unknown';
  end if;
  -- It is worth what whoever invited may do now.
  if invited.invited_by_id is not null and (
    not exists (
      select from vicket.members m
      join vicket.role_permissions p on p.role = m.role and p.permission = 'member:invite'
      where m.org_id = invited.org_id and m.user_id = invited.invited_by_id
    )
    or exists (
      select p.permission from vicket.role_permissions p where p.role = invited.role
      except
      select p.permission
      from vicket.members m
      join vicket.role_permissions p on p.role = m.role
      where m.org_id = invited.org_id and m.user_id = invited.invited_by_id
    )
  ) then
    return 'unknown';
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
      set_config('app.org_id', invited.org_id::text, true);
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

comment on function auth.enter_session(bytea, bytea, bytea) is
  'Resolves a session by its SHA-256 and sets the context of this transaction. One row; never raises.';
comment on function auth.enter_machine_key(bytea, bytea, bytea) is
  'Resolves a machine key by its SHA-256 and sets the context of this transaction. One row; never raises.';
comment on function auth.password_salt(text) is 'Algorithm, parameters and salt of a password, never its hash.';
comment on function auth.open_session(text, text, bytea) is 'Opens a session when the password''s hash is right; says whether it did.';
comment on function auth.close_session(bytea) is 'Logs out.';
comment on function auth.close_sessions(bytea) is 'Logs the session''s user out everywhere.';
comment on function auth.change_password(bytea, text, text) is 'Changes a password and closes the other sessions; says whether it did.';
comment on function auth.invitation(bytea) is 'What an invitation says, to the holder of its token.';
comment on function auth.accept_invitation(bytea, text, text, bytea, bytea) is 'Joins, and logs in: joined, unknown or wrong_password.';

grant execute on function
  auth.enter_session(bytea, bytea, bytea), auth.enter_machine_key(bytea, bytea, bytea), auth.password_salt(text),
  auth.open_session(text, text, bytea), auth.close_session(bytea), auth.close_sessions(bytea),
  auth.change_password(bytea, text, text), auth.invitation(bytea),
  auth.accept_invitation(bytea, text, text, bytea, bytea)
  to vicket_gate_agent;

-- Administration of people.
create function admin.users() returns table (email text, name text, created_at timestamptz, orgs text)
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    select u.email, u.name, u.created_at,
      coalesce(
        (select string_agg(o.slug || ' (' || m.role || ')', ', ' order by o.slug)
          from vicket.members m
          join vicket.orgs o on o.id = m.org_id
          where m.user_id = u.id),
        '')
    from vicket.users u
    order by u.email;
end $$;

-- As ctx.people, for who has no credential.
create function admin.people() returns table (user_id uuid, email text, name text)
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    select u.id, u.email, u.name
    from vicket.members m
    join vicket.users u on u.id = m.user_id
    where m.org_id = ctx.org_id();
end $$;

create function admin.role_may(p_role text, p_permission text) returns boolean
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return exists (
    select from vicket.role_permissions p where p.role = p_role and p.permission = p_permission
  );
end $$;

-- Sets a password and logs the person out everywhere; says whether there is such a person.
create function admin.set_password(p_email text, p_password_hash text) returns boolean
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  update vicket.users u set password_hash = p_password_hash where u.email = lower(p_email);
  if not found then
    return false;
  end if;
  delete from vicket.sessions s using vicket.users u where u.id = s.user_id and u.email = lower(p_email);
  return true;
end $$;

comment on function admin.users() is 'All users with their orgs, for vicket user list.';
comment on function admin.people() is 'Ids, e-mails and names of the members of the org of this transaction.';
comment on function admin.role_may(text, text) is 'Whether a role has a permission.';
comment on function admin.set_password(text, text) is 'Sets a password and closes all sessions of its user.';

grant execute on function admin.users(), admin.people(), admin.role_may(text, text), admin.set_password(text, text) to vicket_operator;

-- Background work.
create function worker.touch_sessions(p_token_hashes bytea[], p_times timestamptz[]) returns void
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform from vicket.sessions s
    where s.token_hash = any (p_token_hashes)
    order by s.id
    for no key update;
  update vicket.sessions s
    set last_used_at = used.at
    from unnest(p_token_hashes, p_times) as used (token_hash, at)
    where s.token_hash = used.token_hash and s.last_used_at < used.at - interval '1 minute';
end $$;

create function worker.touch_machine_keys(p_key_ids uuid[], p_times timestamptz[]) returns void
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform from vicket.machine_keys k
    where k.id = any (p_key_ids)
    order by k.org_id, k.id
    for no key update;
  update vicket.machine_keys k
    set last_used_at = greatest(k.last_used_at, used.at)
    from unnest(p_key_ids, p_times) as used (key_id, at)
    where k.id = used.key_id;
end $$;

-- Sessions that have ended, at most p_most a call.
create function worker.purge_ended(p_most integer) returns bigint
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  gone bigint;
begin
  delete from vicket.sessions s
    where s.id in (
      select e.id
      from vicket.sessions e
      where e.last_used_at <= now() - interval '14 days' or e.created_at <= now() - interval '90 days'
      limit p_most
    );
  get diagnostics gone = row_count;
  return gone;
end $$;

comment on function worker.touch_sessions(bytea[], timestamptz[]) is 'Writes when sessions were last used, once a minute each.';
comment on function worker.touch_machine_keys(uuid[], timestamptz[]) is 'Writes when machine keys were last used.';
comment on function worker.purge_ended(integer) is 'Deletes sessions that have ended; returns how many.';

grant execute on function
  worker.touch_sessions(bytea[], timestamptz[]), worker.touch_machine_keys(uuid[], timestamptz[]),
  worker.purge_ended(integer)
  to vicket_worker;

reset role;
set local role vicket_owner;
revoke create on schema auth, admin, worker from vicket_definer;
reset role;
