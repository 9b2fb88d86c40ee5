-- People prove their addresses. An account is one a person, of all orgs; but whoever may invite can invite any address, open
-- the link in place of its owner, and choose a password. What is chosen so is good in that org alone: it is kept apart from
-- the account's own password, opens sessions of that org only, and neither hinders nor shows anything to others. Whoever reads
-- the address's mail proves it, chooses the account's password, and everything that others chose is over; the memberships stay
-- with whom they were meant for.
set local role vicket_owner;

alter table vicket.users add column proven_at timestamptz;
-- NULL: of all orgs of the person. Sessions that were open before are so.
alter table vicket.sessions add column org_ids uuid[];

create table vicket.unproven_accounts (
  org_id uuid not null,
  user_id uuid not null,
  name text not null,
  password_hash text not null,
  created_at timestamptz not null default now(),
  constraint unproven_accounts_pkey primary key (org_id, user_id),
  constraint unproven_accounts_member_fkey foreign key (org_id, user_id)
    references vicket.members (org_id, user_id) on delete cascade,
  constraint unproven_accounts_name_length check (char_length(name) between 1 and 200),
  constraint unproven_accounts_password_hash_shape check (password_hash like '$argon2id$%')
);
-- Who logs in is found by who they are.
create index unproven_accounts_user on vicket.unproven_accounts (user_id);

alter table vicket.unproven_accounts enable row level security, force row level security;
create policy definer_select on vicket.unproven_accounts for select to vicket_definer using (true);
create policy definer_insert on vicket.unproven_accounts for insert to vicket_definer
  with check (org_id = (select ctx.org_id()));
create policy definer_update on vicket.unproven_accounts for update to vicket_definer using (true) with check (true);
create policy definer_delete on vicket.unproven_accounts for delete to vicket_definer using (true);

grant select (proven_at), update (name, proven_at) on vicket.users to vicket_definer;
grant insert (org_ids) on vicket.sessions to vicket_definer;
grant select, insert (org_id, user_id, name, password_hash), update (password_hash), delete
  on vicket.unproven_accounts to vicket_definer;
-- Not granted: anything to a request role, a gate or a command.

comment on table vicket.unproven_accounts is
  'Passwords of people who joined by a link that was not mailed to them: good in that org alone, until they prove their address.';
comment on column vicket.users.proven_at is 'When somebody showed that they read mail of the address.';
comment on column vicket.users.password_hash is
  'argon2id in PHC form; compared by functions of the schema auth, returned by none. NULL while the account has none of its own: unproven_accounts. Personal data.';
comment on column vicket.sessions.org_ids is 'The orgs that it is good in; NULL for all of the person''s.';
comment on column vicket.unproven_accounts.name is 'As whoever joined called themself. Personal data.';
comment on column vicket.unproven_accounts.password_hash is 'As that of users, with the same salt. Personal data.';
comment on policy definer_select on vicket.unproven_accounts is 'Not narrowed: whoever logs in has no tenant yet.';
comment on policy definer_insert on vicket.unproven_accounts is 'auth.accept_invitation.';
comment on policy definer_update on vicket.unproven_accounts is 'Not narrowed: a password is a person''s. auth.change_password.';
comment on policy definer_delete on vicket.unproven_accounts is
  'Not narrowed: who proves an address ends what others chose, in any org.';
comment on policy definer_update on vicket.users is
  'Not narrowed: password, name and proof are a person''s, of no tenant (the only columns granted).';

grant create on schema vicket, ctx, auth, admin to vicket_definer;
set local role vicket_definer;

-- As it was, and: a session of some orgs is nobody's elsewhere.
create or replace function ctx.session_user_id(p_token_hash bytea) returns uuid
  language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  return (select s.user_id from vicket.sessions s where s.token_hash = p_token_hash
    and s.last_used_at > now() - interval '14 days' and s.created_at > now() - interval '90 days'
    and (s.org_ids is null or ctx.org_id() is null or ctx.org_id() = any (s.org_ids)));
end $$;

-- As it was, and: within the orgs of the session.
create or replace function ctx.memberships()
  returns table (org_id uuid, slug text, name text, created_at timestamptz, role text, permissions text[])
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  person constant uuid := ctx.session_user_id(ctx.digest('session'));
  within constant uuid[] := (select s.org_ids from vicket.sessions s where s.token_hash = ctx.digest('session'));
  who record;
begin
  if person is not null then
    return query
      select o.id, o.slug, o.name, o.created_at, m.role, ctx.permissions_of(m.role)
      from vicket.members m
      join vicket.orgs o on o.id = m.org_id
      where m.user_id = person and (within is null or m.org_id = any (within))
      order by o.slug;
    return;
  end if;
  who := ctx.actor();
  return query
    select o.id, o.slug, o.name, o.created_at, who.role, who.permissions
    from vicket.orgs o
    where o.id = ctx.org_id() and who.role is not null;
end $$;

-- How a person is called in an org: as they called themself there, while their address is not proven. For vicket_definer's
-- functions alone, with whose rights it runs.
create function vicket.name_in(p_org_id uuid, p_user_id uuid) returns text
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return coalesce(
    (select a.name from vicket.unproven_accounts a where a.org_id = p_org_id and a.user_id = p_user_id),
    (select u.name from vicket.users u where u.id = p_user_id));
end $$;

create or replace function ctx.people() returns table (user_id uuid, email text, name text)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query
    select u.id, u.email, coalesce(a.name, u.name)
    from vicket.members m
    join vicket.users u on u.id = m.user_id
    left join vicket.unproven_accounts a on a.org_id = m.org_id and a.user_id = m.user_id
    where m.org_id = ctx.org_id() and (select ctx.is_member() or ctx.operates());
end $$;

-- Those of them who joined by a link that was not mailed to them, and have not proven their address since.
create function ctx.unproven_people() returns setof uuid
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select a.user_id
    from vicket.unproven_accounts a
    where a.org_id = ctx.org_id() and (select ctx.is_member() or ctx.operates());
end $$;

-- As it was, and: by the name that they have in this org.
create or replace function vicket.agent_answered() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  person constant uuid := ctx.actor_user_id();
begin
  if person is not null then
    new.author_id := person;
    new.author_name := vicket.name_in(new.org_id, person);
  end if;
  if not new.internal and exists (
    select from vicket.tickets t
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id and t.status = 'closed'
  ) then
    raise exception 'the ticket is closed' using errcode = 'check_violation', constraint = 'ticket_not_closed';
  end if;
  update vicket.tickets t
    set updated_at = now(), message_count = t.message_count + 1,
      message_bytes = t.message_bytes + octet_length(new.body)
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id;
  return new;
end $$;

-- As it was, and: nothing to an address that nobody proved to this org.
create or replace function vicket.member_mail(p_mail vicket.mails) returns void
  language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  who record := ctx.actor();
begin
  if p_mail.user_id is null or p_mail.user_id = who.user_id and who.machine_key_id is null
    or exists (
      select from vicket.unproven_accounts a where a.org_id = p_mail.org_id and a.user_id = p_mail.user_id)
    or exists (
      select from vicket.notifications n
      where n.org_id = p_mail.org_id and n.user_id = p_mail.user_id
        and not case p_mail.kind when 'agent_assigned' then n.assigned else n.customer_answered end)
  then
    return;
  end if;
  p_mail.recipient := (select u.email from vicket.users u where u.id = p_mail.user_id);
  perform vicket.write_mail(p_mail);
end $$;

-- As it was, and: whoever logged in by the password of some orgs is called as there.
create or replace function auth.enter_actor(p_session_hash bytea, p_machine_key_hash bytea, p_slug_hash bytea, p_request_id text)
  returns auth.org_entry language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  entry auth.org_entry;
  within uuid[];
begin
  perform set_config('app.org_id', '', true);
  if p_machine_key_hash = '' then
    entry.actor_id := ctx.session_user_id(p_session_hash);
    select u.email, u.name, s.org_ids into entry.email, entry.name, within
      from vicket.sessions s join vicket.users u on u.id = s.user_id
      where s.token_hash = p_session_hash and u.id = entry.actor_id;
    if within is not null then
      entry.name := coalesce(
        (select a.name from vicket.unproven_accounts a
          where a.user_id = entry.actor_id and a.org_id = any (within) order by a.created_at desc limit 1),
        entry.name);
    end if;
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

-- One salt a person: their account's, and that of each password of an org, so that one look compares with all.
create or replace function auth.password_salt(p_email text) returns text
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return (
    select substring(
      coalesce(u.password_hash, (select a.password_hash from vicket.unproven_accounts a where a.user_id = u.id limit 1))
      from '^(\$argon2id\$.+\$)[^$]+$')
    from vicket.users u
    where u.email = lower(p_email collate "C")
  );
end $$;

-- Opens a session, of all orgs by the account's password, or of those whose password it is. By the account's, from where it was
-- not used before (p_device_hash), its owner hears of it: p_device says from where. An account that was used from nowhere yet
-- has no earlier place that this one could be told from.
create function auth.log_in(
  p_email text, p_password_hash text, p_token_hash bytea, p_device_hash bytea, p_device text, p_language text
) returns boolean
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
  insert into vicket.sessions (user_id, token_hash, org_ids) values (person.id, p_token_hash, within);
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
create or replace function auth.open_session(p_email text, p_password_hash text, p_token_hash bytea) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  return auth.log_in(p_email, p_password_hash, p_token_hash, null::bytea, null::text, 'en');
end $$;

-- As it was; a session of some orgs ends those of these orgs alone.
create or replace function auth.close_session(p_token_hash bytea, p_all boolean) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  within constant uuid[] := (select s.org_ids from vicket.sessions s where s.token_hash = p_token_hash);
begin
  delete from vicket.sessions s
    where s.token_hash = p_token_hash
      or p_all and s.user_id = ctx.session_user_id(p_token_hash) and (within is null or s.org_ids <@ within);
end $$;

-- As it was: by the account's password what others chose ends too, and its owner hears of it; by that of some orgs it changes
-- in those.
create or replace function auth.change_password(p_token_hash bytea, p_old_hash text, p_new_hash text) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  person constant uuid := ctx.session_user_id(p_token_hash);
  within constant uuid[] := (select s.org_ids from vicket.sessions s where s.token_hash = p_token_hash);
  address text;
begin
  if within is not null then
    update vicket.unproven_accounts a
      set password_hash = p_new_hash
      where a.user_id = person and a.org_id = any (within) and a.password_hash = p_old_hash;
    if not found then
      return false;
    end if;
    delete from vicket.sessions s where s.user_id = person and s.token_hash <> p_token_hash and s.org_ids <@ within;
    return true;
  end if;
  update vicket.users u
    set password_hash = p_new_hash
    where u.id = person and u.password_hash = p_old_hash
    returning u.email into address;
  if not found then
    return false;
  end if;
  delete from vicket.sessions s where s.user_id = person and s.token_hash <> p_token_hash;
  delete from vicket.unproven_accounts a where a.user_id = person;
  delete from vicket.password_resets r where r.user_id = person;
  perform vicket.write_account_mail('password_changed', address, null, 'en');
  return true;
end $$;

-- The account is whose address it is: their password, and nothing that was open or chosen before.
create function vicket.take_over(p_user_id uuid, p_password_hash text) returns void
  language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  update vicket.users u
    set password_hash = p_password_hash, proven_at = coalesce(u.proven_at, now())
    where u.id = p_user_id;
  delete from vicket.unproven_accounts a where a.user_id = p_user_id;
  delete from vicket.sessions s where s.user_id = p_user_id;
  delete from vicket.password_resets r where r.user_id = p_user_id;
end $$;

-- Chooses a password by the link of a mail, once, and proves the address; says whether it did.
create function auth.reset_password(p_token_hash bytea, p_password_hash text, p_language text) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  person uuid;
begin
  delete from vicket.password_resets r
    where r.token_hash = p_token_hash and r.expires_at > now()
    returning r.user_id into person;
  if person is null then
    return false;
  end if;
  perform vicket.take_over(person, p_password_hash);
  perform vicket.write_account_mail(
    'password_changed', (select u.email from vicket.users u where u.id = person), null, p_language);
  return true;
end $$;

-- A link to prove the address of whoever has this session, by mail to it.
create function auth.ask_address_proof(p_token_hash bytea, p_language text) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  address constant text := (select u.email from vicket.users u where u.id = ctx.session_user_id(p_token_hash));
begin
  if address is not null then
    perform vicket.write_account_mail('address_proof', address, null, p_language);
  end if;
end $$;

-- As it was, and alike whether the address has an account. By a link that was mailed, the account is whose address it is: its
-- password, while nobody proved it before. By any other, or by another password than that of an account that is proven, what is
-- chosen here is good in this org alone.
create or replace function auth.accept_invitation(
  p_token_hash bytea, p_name text, p_password_hash text, p_session_hash bytea, p_request_id text
) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  salt constant text := '^(\$argon2id\$.+\$)[^$]+$';
  invited record;
  inviter_may text[];
  person record;
  whole boolean;
  taken_over boolean := false;
begin
  perform auth.enter_actor(''::bytea, ''::bytea, ''::bytea, p_request_id);
  select i.org_id, i.id, i.email, i.role, i.invited_by_id, i.token_hash,
      coalesce(i.mailed_token_hash = p_token_hash, false) as mailed
    into invited
    from vicket.invitations i
    where (i.token_hash = p_token_hash or i.mailed_token_hash = p_token_hash) and i.expires_at > now();
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
  begin
    insert into vicket.users (id, email, name, password_hash)
      values (gen_random_uuid(), invited.email, p_name, null)
      on conflict (email) do nothing;
    select u.id, u.password_hash, u.proven_at into person from vicket.users u where u.email = invited.email for update;
    -- Whoever else joined by this address meanwhile brought a salt that this hash was not made with.
    if exists (
      select from (
        select person.password_hash union all
        select a.password_hash from vicket.unproven_accounts a where a.user_id = person.id
      ) known (hash)
      where substring(known.hash from salt) is distinct from substring(p_password_hash from salt) and known.hash is not null
    ) then
      raise exception 'the account was made meanwhile' using errcode = 'serialization_failure';
    end if;
    whole := coalesce(person.password_hash = p_password_hash, false);
    if invited.mailed and (whole or person.proven_at is null) then
      if whole then
        update vicket.users u set proven_at = coalesce(u.proven_at, now()) where u.id = person.id;
      else
        taken_over := person.password_hash is not null;
        perform vicket.take_over(person.id, p_password_hash);
        update vicket.users u set name = p_name where u.id = person.id;
        whole := true;
      end if;
    end if;
    insert into vicket.sessions (user_id, token_hash, org_ids)
      values (person.id, p_session_hash, case when not whole then
        (select array_agg(a.org_id) from vicket.unproven_accounts a
          where a.user_id = person.id and a.password_hash = p_password_hash and a.org_id <> invited.org_id) || invited.org_id end);
    perform set_config('app.session_hash', encode(p_session_hash, 'hex'), true),
      set_config('app.org_id', invited.org_id::text, true),
      set_config('app.invitation_hash', encode(invited.token_hash, 'hex'), true);
    -- Of two that accept at once the second waits here, and then finds nothing.
    delete from vicket.invitations i where i.org_id = invited.org_id and i.id = invited.id;
    if not found then
      raise exception 'the invitation was accepted meanwhile' using errcode = 'no_data_found';
    end if;
    insert into vicket.members (org_id, user_id, role)
      values (invited.org_id, person.id, invited.role)
      on conflict (org_id, user_id) do nothing;
    if not whole then
      -- A member already, by another password: this one opens nothing of theirs.
      if not found then
        raise exception 'they are a member already' using errcode = 'no_data_found';
      end if;
      insert into vicket.unproven_accounts (org_id, user_id, name, password_hash)
        values (invited.org_id, person.id, p_name, p_password_hash);
    end if;
    if taken_over then
      perform vicket.write_account_mail('password_changed', invited.email, null, 'en');
    end if;
  exception when no_data_found then
    return 'unknown';
  end;
  return 'joined';
end $$;

-- As it was; and what others chose for that address is over. Who runs the server says whose it is.
create or replace function admin.set_password(p_email text, p_password_hash text) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  person constant uuid := (select u.id from vicket.users u where u.email = lower(p_email collate "C"));
begin
  if person is null then
    return false;
  end if;
  perform vicket.take_over(person, p_password_hash);
  return true;
end $$;

comment on function vicket.name_in is 'How a person is called in an org.';
comment on function vicket.take_over is 'An account''s password, by whoever its address is: all else is over.';
comment on function ctx.unproven_people is
  'Members of this org who have not proven their address. Definer: no request may read users.';
comment on function auth.log_in is
  'Opens a session when the password''s hash is right, and tells of a new device; says whether it did. Definer: no request may read users.';
comment on function auth.reset_password is
  'Chooses a password by the link of a mail, once; says whether it did. Definer: no request may read digests.';
comment on function auth.ask_address_proof is
  'Mails whoever has the session a link that proves their address. Definer: no request may read users.';
grant execute on function ctx.unproven_people to vicket_agent, vicket_operator;
grant execute on function auth.log_in, auth.reset_password, auth.ask_address_proof to vicket_gate_agent;

set local role vicket_owner;
revoke create on schema vicket, ctx, auth, admin from vicket_definer;
reset role;
