-- The first org and its owner, by whoever opens the dashboard of a server that has neither. Afterwards people come by
-- invitation only, and orgs by `vicket org create`.

set local role vicket_owner;
grant create on schema auth to vicket_definer;
reset role;
set local role vicket_definer;

-- Whether there is neither an org nor a user. Where a command made an org, a command invites its owner: a stranger must
-- not be able to come before them.
create function auth.first_run() returns boolean
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return not exists (select from vicket.orgs) and not exists (select from vicket.users);
end $$;

-- Makes the first org and its owner, and opens a session for them; says whether it did.
-- Of two at once the second waits for the first, since both make the org of one id; then it finds that it is late.
create function auth.begin_first_org(
  p_slug text, p_org_name text, p_email text, p_name text, p_password_hash text, p_session_hash bytea, p_request_id bytea
) returns boolean
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  first_org constant uuid := '00000000-0000-4000-8000-000000000001';
  person constant uuid := gen_random_uuid();
begin
  perform set_config('app.org_id', '', true), set_config('app.site_id', '', true),
    set_config('app.session_hash', '', true), set_config('app.machine_key_hash', '', true),
    set_config('app.request_id', convert_from(p_request_id, 'UTF8'), true);
  if not auth.first_run() then
    return false;
  end if;
  begin
    insert into vicket.users (id, email, name, password_hash) values (person, lower(p_email), p_name, p_password_hash);
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

comment on function auth.first_run() is 'Whether there is neither an org nor a user yet.';
comment on function auth.begin_first_org(text, text, text, text, text, bytea, bytea) is
  'Makes the first org, its owner and a session of theirs; says whether it did. Never a second one.';

grant execute on function auth.first_run(), auth.begin_first_org(text, text, text, text, text, bytea, bytea)
  to vicket_gate_agent;

reset role;
set local role vicket_owner;
revoke create on schema auth from vicket_definer;
reset role;
