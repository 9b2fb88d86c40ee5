-- users, sessions: people who log in. A person may work for several orgs and one session serves them all, so neither
-- has a tenant: no request role touches them, and the functions here never show a digest or a password's hash.
set local role vicket_owner;

create table vicket.users (
  id uuid not null default gen_random_uuid(),
  email text not null,
  name text not null,
  password_hash text,
  created_at timestamptz not null default now(),
  constraint users_pkey primary key (id),
  constraint users_email_unique unique (email),
  constraint users_email_lower check (email = lower(email collate "C")),
  constraint users_email_length check (char_length(email) between 3 and 254),
  constraint users_name_length check (char_length(name) between 1 and 200),
  constraint users_password_hash_shape check (password_hash like '$argon2id$%')
);

create table vicket.sessions (
  id uuid not null default gen_random_uuid(),
  user_id uuid not null,
  token_hash bytea not null,
  created_at timestamptz not null default now(),
  last_used_at timestamptz not null default now(),
  constraint sessions_pkey primary key (id),
  constraint sessions_user_fkey foreign key (user_id) references vicket.users (id) on delete cascade,
  constraint sessions_hash_length check (octet_length(token_hash) = 32)
);
create unique index sessions_token on vicket.sessions (token_hash);
create index sessions_user on vicket.sessions (user_id);
-- What the worker purges is found by when it began; an index on last_used_at would be rewritten with every use.
create index sessions_created on vicket.sessions (created_at);

alter table vicket.users enable row level security, force row level security;
alter table vicket.sessions enable row level security, force row level security;

create policy definer_select on vicket.users for select to vicket_definer using (true);
create policy definer_insert on vicket.users for insert to vicket_definer with check (true);
create policy definer_update on vicket.users for update to vicket_definer using (true) with check (true);
create policy definer_delete on vicket.users for delete to vicket_definer
  using (session_user = 'vicket_worker' or (select ctx.operates()));
create policy definer_select on vicket.sessions for select to vicket_definer using (true);
create policy definer_insert on vicket.sessions for insert to vicket_definer with check (true);
create policy definer_update on vicket.sessions for update to vicket_definer
  using (session_user = 'vicket_worker') with check (session_user = 'vicket_worker');
create policy definer_delete on vicket.sessions for delete to vicket_definer using (true);

grant select (id, email, name, password_hash, created_at), insert (id, email, name, password_hash), update (password_hash),
  delete on vicket.users to vicket_definer;
grant select, insert (user_id, token_hash), update (last_used_at), delete on vicket.sessions to vicket_definer;
-- Not granted: anything to a request role, a gate or a command.

comment on table vicket.users is 'People who log in. Not tenant rows: reached through definer functions only.';
comment on table vicket.sessions is
  'Sessions of people, by the SHA-256 of their token: 14 days since the last use, 90 at most.';
comment on column vicket.users.email is 'Lower case, unique across orgs.';
comment on column vicket.users.password_hash is
  'argon2id in PHC form; compared by functions of the schema auth, returned by none.';
comment on column vicket.sessions.last_used_at is 'Written in batches by the worker, when a minute has passed.';
comment on policy definer_select on vicket.users is 'Not narrowed: whoever logs in has no tenant yet.';
comment on policy definer_insert on vicket.users is 'Not narrowed: whoever joins has no tenant yet.';
comment on policy definer_update on vicket.users is
  'Not narrowed: a password is a person''s, of no tenant (the only column granted).';
comment on policy definer_delete on vicket.users is
  'worker.forget_org, admin.erase_person: whoever is in no org any more.';
comment on policy definer_select on vicket.sessions is
  'Not narrowed: a session is found by its digest before there is a context.';
comment on policy definer_insert on vicket.sessions is 'Not narrowed: whoever logs in has no context yet.';
comment on policy definer_update on vicket.sessions is
  'worker.touch_sessions (last_used_at is the only column granted).';
comment on policy definer_delete on vicket.sessions is 'Not narrowed: logging out, a new password, worker.purge.';
reset role;

-- A password is never compared outside, and its hash never leaves: the server asks for the salt, hashes what it was
-- sent, and hands the result back to be compared here. A gate that was turned to a stranger's ends reads no
-- password's hash.
set local role vicket_definer;
create function auth.password_salt(p_email text) returns text
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return (
    select substring(u.password_hash from '^(\$argon2id\$.+\$)[^$]+$') from vicket.users u where u.email = lower(p_email collate "C")
  );
end $$;
create function auth.open_session(p_email text, p_password_hash text, p_token_hash bytea) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into vicket.sessions (user_id, token_hash)
    select u.id, p_token_hash
    from vicket.users u
    where u.email = lower(p_email collate "C") and u.password_hash = p_password_hash;
  return found;
end $$;
-- Logs out; everywhere, when p_all.
create function auth.close_session(p_token_hash bytea, p_all boolean) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from vicket.sessions s
    where s.token_hash = p_token_hash or p_all and s.user_id = ctx.session_user_id(p_token_hash);
end $$;
-- When p_old_hash is that of the present one; closes the other sessions of that person.
create function auth.change_password(p_token_hash bytea, p_old_hash text, p_new_hash text) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  person constant uuid := ctx.session_user_id(p_token_hash);
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

create function admin.create_user(p_email text, p_name text, p_password_hash text) returns uuid
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  new_id constant uuid := gen_random_uuid();
begin
  insert into vicket.users (id, email, name, password_hash) values (new_id, lower(p_email collate "C"), p_name, p_password_hash);
  return new_id;
end $$;
create function admin.users() returns table (email text, name text, created_at timestamptz, orgs text)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
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
-- Logs the person out everywhere; says whether there is such a person.
create function admin.set_password(p_email text, p_password_hash text) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update vicket.users u set password_hash = p_password_hash where u.email = lower(p_email collate "C");
  if not found then
    return false;
  end if;
  delete from vicket.sessions s using vicket.users u where u.id = s.user_id and u.email = lower(p_email collate "C");
  return true;
end $$;

create function worker.touch_sessions(p_token_hashes bytea[], p_times timestamptz[]) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
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

comment on function auth.password_salt is
  'Algorithm, parameters and salt of a password; NULL for a stranger. Definer: no request may read users.';
comment on function auth.open_session is
  'Opens a session when the password''s hash is right; says whether it did. Definer: no request may read users.';
comment on function auth.close_session is 'Logs out, here or everywhere. Definer: no request may read users.';
comment on function auth.change_password is
  'Changes a password, says whether it did. Definer: no request may read users.';
comment on function admin.create_user is 'Creates a user. Definer: commands are bound to one org.';
comment on function admin.users is 'All users, with their orgs. Definer: commands are bound to one org.';
comment on function admin.set_password is
  'Sets a password, says whether there is such a person. Definer: commands are bound to one org.';
comment on function worker.touch_sessions is
  'When sessions were last used, once a minute each. Definer: the worker reads no table.';
grant execute on function auth.password_salt, auth.open_session, auth.close_session, auth.change_password
  to vicket_gate_agent;
grant execute on function admin.create_user, admin.users, admin.set_password to vicket_operator;
grant execute on function worker.touch_sessions to vicket_worker;
reset role;
