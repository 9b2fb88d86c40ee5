-- Administration commands: `vicket org`, `vicket site`, `vicket key`. They run as vicket_operator, whose policies are
-- bound to one org by the context; what stands above a single org goes through these functions.

set local role vicket_owner;
grant create on schema admin to vicket_definer;
reset role;
set local role vicket_definer;

-- Sets the org of this transaction; NULL when there is no such org.
create function admin.enter_org(p_slug text) returns uuid
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  found_id uuid := (select o.id from vicket.orgs o where o.slug = p_slug);
begin
  perform set_config('app.org_id', coalesce(found_id::text, ''), true);
  return found_id;
end $$;

create function admin.create_org(p_slug text, p_name text) returns uuid
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  new_id uuid := gen_random_uuid();
begin
  insert into vicket.orgs (id, slug, name) values (new_id, p_slug, p_name);
  return new_id;
end $$;

create function admin.orgs() returns table (slug text, name text, created_at timestamptz)
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return query select o.slug, o.name, o.created_at from vicket.orgs o order by o.slug;
end $$;

create function admin.create_user(p_email text, p_name text, p_password_hash text) returns uuid
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  new_id uuid := gen_random_uuid();
begin
  insert into vicket.users (id, email, name, password_hash) values (new_id, lower(p_email), p_name, p_password_hash);
  return new_id;
end $$;

comment on function admin.enter_org(text) is 'Sets the org of this transaction by slug; NULL when there is none.';
comment on function admin.create_org(text, text) is 'Creates an org; unique_violation on orgs_slug_unique when the slug is taken.';
comment on function admin.orgs() is 'All orgs, for vicket org list.';
comment on function admin.create_user(text, text, text) is 'Creates a user; unique_violation on users_email_unique when the e-mail is taken.';

grant execute on function
  admin.enter_org(text), admin.create_org(text, text), admin.orgs(), admin.create_user(text, text, text)
  to vicket_operator;

reset role;
set local role vicket_owner;
revoke create on schema admin from vicket_definer;
reset role;
