-- People see where they are logged in and end what they do not know, and change their own name.
set local role vicket_owner;
alter table vicket.sessions add column device text;
comment on column vicket.sessions.device is
  'Browser, system and network at the log-in, as its mail says it; NULL of whoever joined. Personal data.';
grant insert (device) on vicket.sessions to vicket_definer;
grant create on schema auth to vicket_definer;

set local role vicket_definer;
create or replace function auth.log_in(p_email text, p_password_hash text, p_token_hash bytea, p_device_hash bytea, p_device text,
  p_language text) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  person record;
  within uuid[];
  anywhere boolean;
begin
  select u.id, u.email, coalesce(u.password_hash = p_password_hash, false) as whole into person
    from vicket.users u
    where u.email = lower(p_email collate "C");
  if not found then
    return false;
  end if;
  if not person.whole then
    within := (
      select array_agg(a.org_id) from vicket.unproven_accounts a
      where a.user_id = person.id and a.password_hash = p_password_hash
    );
    if within is null then
      return false;
    end if;
  end if;
  insert into vicket.sessions (user_id, token_hash, org_ids, device) values (person.id, p_token_hash, within, left(p_device, 200));
  if not person.whole or p_device_hash is null then
    return true;
  end if;
  delete from vicket.known_devices d where d.user_id = person.id and d.last_used_at < now() - interval '180 days';
  anywhere := exists (select from vicket.known_devices d where d.user_id = person.id);
  update vicket.known_devices d set last_used_at = now() where d.user_id = person.id and d.digest = p_device_hash;
  if not found then
    insert into vicket.known_devices (user_id, digest) values (person.id, p_device_hash) on conflict do nothing;
    if anywhere then
      perform vicket.write_account_mail('new_device', person.email, p_device, p_language);
    end if;
  end if;
  return true;
end $$;

-- Whoever has only proven a password of some orgs sees, ends and changes nothing outside of them.
create function auth.my_sessions(p_token_hash bytea)
  returns table (id uuid, device text, created_at timestamptz, last_used_at timestamptz, is_this boolean)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  person constant uuid := ctx.session_user_id(p_token_hash);
  within constant uuid[] := (select s.org_ids from vicket.sessions s where s.token_hash = p_token_hash);
begin
  return query
    select s.id, s.device, s.created_at, s.last_used_at, s.token_hash = p_token_hash
    from vicket.sessions s
    where s.user_id = person and (within is null or s.org_ids <@ within)
      and s.last_used_at > now() - interval '14 days' and s.created_at > now() - interval '90 days'
    order by s.last_used_at desc, s.id
    limit 200;
end $$;

create function auth.end_session(p_token_hash bytea, p_id uuid) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  person constant uuid := ctx.session_user_id(p_token_hash);
  within constant uuid[] := (select s.org_ids from vicket.sessions s where s.token_hash = p_token_hash);
begin
  delete from vicket.sessions s
    where s.id = p_id and s.user_id = person and (within is null or s.org_ids <@ within);
  return found;
end $$;

create function auth.rename_person(p_token_hash bytea, p_name text) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  person constant uuid := ctx.session_user_id(p_token_hash);
  within constant uuid[] := (select s.org_ids from vicket.sessions s where s.token_hash = p_token_hash);
begin
  update vicket.users u set name = p_name where u.id = person and within is null;
  return found;
end $$;

comment on function auth.my_sessions is 'Where whoever has this session is logged in. Definer: no request may read users.';
comment on function auth.end_session is 'Ends one of one''s own sessions; says whether it did. Definer: no request may read users.';
comment on function auth.rename_person is
  'Changes one''s own name, of a proven account; says whether it did. Definer: no request may read users.';
grant execute on function auth.my_sessions, auth.end_session, auth.rename_person to vicket_gate_agent;

set local role vicket_owner;
revoke create on schema auth from vicket_definer;
reset role;
