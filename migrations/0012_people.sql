-- sessions, machine_keys, invitations; what agents see and change of orgs, users and members.

-- ---------------------------------------------------------------------------------------------------------------------
-- sessions
-- Why: a person who logged in. Not a tenant row: one session serves all orgs of its user.
set local role vicket_owner;

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
create index sessions_last_used on vicket.sessions (last_used_at);

alter table vicket.sessions enable row level security;
alter table vicket.sessions force row level security;

create policy definer_all on vicket.sessions
  for all to vicket_definer
  using (true)
  with check (true);

grant select, insert (user_id, token_hash), update (last_used_at), delete on vicket.sessions to vicket_definer;
-- Not granted: anything to a request role or a gate.

comment on table vicket.sessions is 'Sessions of people, by the SHA-256 of their token: 14 days since the last use, 90 at most.';
comment on column vicket.sessions.last_used_at is 'Written in batches by the worker, when a minute has passed.';
comment on policy definer_all on vicket.sessions is 'auth.open_session and its kin, ctx.session_user_id, the worker.';

-- ---------------------------------------------------------------------------------------------------------------------
-- users, continued
-- A password's hash is compared where it lies and never leaves the database (auth.password_salt).
create policy definer_updates on vicket.users
  for update to vicket_definer
  using (true)
  with check (true);

grant select (password_hash), update (password_hash) on vicket.users to vicket_definer;

comment on column vicket.users.password_hash is 'argon2id in PHC form; compared by functions of the schema auth, returned by none.';
comment on policy definer_updates on vicket.users is 'auth.change_password and admin.set_password (password_hash is the only column granted).';

-- ---------------------------------------------------------------------------------------------------------------------
-- orgs, members, continued
-- An org is found by the digest of its slug, because the message that enters may hold digests only.
alter table vicket.orgs add column slug_hash bytea not null generated always as (sha256(slug::bytea)) stored;
create unique index orgs_slug_hash on vicket.orgs (slug_hash);
comment on column vicket.orgs.slug_hash is 'SHA-256 of slug: requests name an org by digest, so no caller''s text is in SQL.';

create policy agent_reads_own on vicket.orgs
  for select to vicket_agent
  using (id = (select ctx.org_id()) and (select ctx.is_member()));
create policy agent_edits on vicket.orgs
  for update to vicket_agent
  using (id = (select ctx.org_id()) and (select ctx.may('org:edit')))
  with check (id = (select ctx.org_id()) and (select ctx.may('org:edit')));
create policy agent_deletes on vicket.orgs
  for delete to vicket_agent
  using (id = (select ctx.org_id()) and (select ctx.may('org:delete')));

grant select (id, slug, name, created_at), update (name), delete on vicket.orgs to vicket_agent;
grant select (slug_hash) on vicket.orgs to vicket_definer;
-- Not granted: INSERT to vicket_agent (an org is made by `vicket org create`), UPDATE of slug to anyone.

comment on policy agent_reads_own on vicket.orgs is 'A member reads their org.';
comment on policy agent_edits on vicket.orgs is 'org:edit. The name only: a slug never changes.';
comment on policy agent_deletes on vicket.orgs is 'org:delete. Takes everything of the org with it, but for its audit log.';

create policy agent_reads on vicket.members
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy agent_sets_role on vicket.members
  for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('member:role_set')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('member:role_set')));
create policy agent_removes on vicket.members
  for delete to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('member:role_set')));
create policy definer_reads on vicket.members
  for select to vicket_definer
  using (true);
create policy definer_joins on vicket.members
  for insert to vicket_definer
  with check (true);

grant select (org_id, user_id, role, created_at), update (role), delete on vicket.members to vicket_agent;
grant select (org_id, user_id, role, created_at), insert (org_id, user_id, role) on vicket.members to vicket_definer;
-- Not granted: INSERT to vicket_agent: who joins accepts an invitation.

comment on policy agent_reads on vicket.members is 'Members see who else works here.';
comment on policy agent_sets_role on vicket.members is 'member:role_set, within the owner rules (trigger member_guarded).';
comment on policy agent_removes on vicket.members is 'member:role_set, within the owner rules (trigger member_guarded).';
comment on policy definer_reads on vicket.members is 'ctx.actor, ctx.memberships, ctx.people.';
comment on policy definer_joins on vicket.members is 'auth.accept_invitation.';

-- ---------------------------------------------------------------------------------------------------------------------
-- invitations
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
  constraint invitations_email_lower check (email = lower(email)),
  constraint invitations_email_shape check (email ~ '^[^@\s]+@[^@\s]+$'),
  constraint invitations_email_length check (char_length(email) between 3 and 254),
  constraint invitations_role_known check (role in ('owner', 'admin', 'agent', 'viewer')),
  constraint invitations_hash_length check (octet_length(token_hash) = 32)
);

create index invitations_inviter on vicket.invitations (org_id, invited_by_id);
-- Not led by a tenant: the hash is what tells the tenant.
create unique index invitations_token on vicket.invitations (token_hash);

alter table vicket.invitations enable row level security;
alter table vicket.invitations force row level security;

create policy agent_reads on vicket.invitations
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('member:invite')));
create policy agent_invites on vicket.invitations
  for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('member:invite'))
    and ctx.may_grant(role)
  );
create policy agent_revokes on vicket.invitations
  for delete to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('member:invite'))
    and (ctx.may_grant(role) or expires_at <= now())
  );
create policy operator_all on vicket.invitations
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
create policy definer_reads on vicket.invitations
  for select to vicket_definer
  using (true);
create policy definer_uses on vicket.invitations
  for delete to vicket_definer
  using (true);

grant select (org_id, id, email, role, invited_by, created_at, expires_at), insert (email, role, token_hash), delete
  on vicket.invitations to vicket_agent, vicket_operator;
grant select (org_id, id, email, role, token_hash, invited_by_id, expires_at), delete on vicket.invitations to vicket_definer;
-- Not granted: token_hash to any reader but the definer; UPDATE to anyone: a new invitation is a new row.

comment on column vicket.invitations.invited_by_id is 'The member who invited: an invitation goes with them, and is worth what they may do when it is accepted. NULL for a command.';
comment on table vicket.invitations is 'Invitations that wait to be accepted, by the SHA-256 of their token.';
comment on policy agent_reads on vicket.invitations is 'member:invite.';
comment on policy agent_invites on vicket.invitations is 'member:invite, and a role that one may give.';
comment on policy agent_revokes on vicket.invitations is 'member:invite, and a role that one may give; one that has expired in any case.';
comment on policy operator_all on vicket.invitations is 'Administration commands, after admin.enter_org.';
comment on policy definer_reads on vicket.invitations is 'auth.invitation and auth.accept_invitation.';
comment on policy definer_uses on vicket.invitations is 'auth.accept_invitation: an invitation is good for one join.';

-- ---------------------------------------------------------------------------------------------------------------------
-- machine_keys
-- Why: programs that act for an org. A key may do what it was given and what its creator may do now, whichever is less,
-- and it goes with its creator's membership.
create table vicket.machine_keys (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  name text not null,
  key_hash bytea not null,
  hint text not null,
  permissions text[] not null,
  created_by uuid not null default ctx.actor_user_id(),
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz,
  parent_id uuid,
  constraint machine_keys_pkey primary key (org_id, id),
  constraint machine_keys_creator_fkey foreign key (org_id, created_by)
    references vicket.members (org_id, user_id) on delete cascade,
  constraint machine_keys_parent_fkey foreign key (org_id, parent_id)
    references vicket.machine_keys (org_id, id) on delete cascade,
  constraint machine_keys_name_length check (char_length(name) between 1 and 200 and name ~ '\S'),
  constraint machine_keys_hash_length check (octet_length(key_hash) = 32),
  constraint machine_keys_hint_length check (char_length(hint) = 4),
  constraint machine_keys_some_permission check (cardinality(permissions) > 0)
);

create index machine_keys_creator on vicket.machine_keys (org_id, created_by);
create index machine_keys_parent on vicket.machine_keys (org_id, parent_id);
-- Not led by a tenant: the hash is what tells the tenant.
create unique index machine_keys_hash on vicket.machine_keys (key_hash);

alter table vicket.machine_keys enable row level security;
alter table vicket.machine_keys force row level security;

create policy agent_reads on vicket.machine_keys
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('machinekey:edit')));
create policy agent_creates on vicket.machine_keys
  for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('machinekey:edit'))
    and created_by = (select ctx.actor_user_id())
    and ctx.may_all(permissions)
  );
create policy agent_revokes on vicket.machine_keys
  for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('machinekey:edit')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('machinekey:edit')));
create policy operator_all on vicket.machine_keys
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
create policy definer_reads on vicket.machine_keys
  for select to vicket_definer
  using (true);
create policy definer_touches on vicket.machine_keys
  for update to vicket_definer
  using (true)
  with check (true);

grant select (org_id, id, name, hint, permissions, created_by, created_at, expires_at, revoked_at, last_used_at),
  insert (name, key_hash, hint, permissions, expires_at),
  update (revoked_at)
  on vicket.machine_keys to vicket_agent;
grant select (org_id, id, name, hint, permissions, created_by, created_at, expires_at, revoked_at, last_used_at),
  insert (name, key_hash, hint, permissions, expires_at, created_by),
  update (revoked_at)
  on vicket.machine_keys to vicket_operator;
grant select (org_id, id, name, key_hash, permissions, created_by, expires_at, revoked_at, last_used_at, parent_id),
  update (last_used_at, revoked_at)
  on vicket.machine_keys to vicket_definer;
-- Not granted: key_hash to any reader but the definer; permissions and expires_at to any UPDATE; DELETE to anyone (a
-- revoked key stays listed until its creator leaves).

comment on table vicket.machine_keys is 'Secret keys of programs (sk_), as SHA-256. The plaintext is in no table.';
comment on column vicket.machine_keys.permissions is 'What the key was given; ctx.actor takes away what its creator may not do now.';
comment on column vicket.machine_keys.created_by is 'The member whose permissions bound this key; it goes with their membership.';
comment on policy agent_reads on vicket.machine_keys is 'machinekey:edit.';
comment on policy agent_creates on vicket.machine_keys is 'machinekey:edit; in one''s own name, and no permission that one lacks.';
comment on policy agent_revokes on vicket.machine_keys is 'machinekey:edit (revoked_at is the only column granted).';
comment on policy operator_all on vicket.machine_keys is 'Administration commands, after admin.enter_org.';
comment on policy definer_reads on vicket.machine_keys is 'auth.enter_machine_key and ctx.actor look a key up by its hash.';
comment on column vicket.machine_keys.parent_id is 'The machine key that made it: it ends with that one.';
comment on policy definer_touches on vicket.machine_keys is 'worker.touch_machine_keys; a revoked key takes those that it made with it.';

-- ---------------------------------------------------------------------------------------------------------------------
-- audit_heads: see 0015. Made here because changes of one org take turns on it.
create table vicket.audit_heads (
  org_id uuid not null,
  last_seq bigint not null default 0,
  last_hash bytea not null default ''::bytea,
  constraint audit_heads_pkey primary key (org_id)
);

alter table vicket.audit_heads enable row level security;
alter table vicket.audit_heads force row level security;

create policy definer_appends on vicket.audit_heads
  for all to vicket_definer
  using (true)
  with check (true);

grant select, insert (org_id), update (last_seq, last_hash) on vicket.audit_heads to vicket_definer;
-- Not granted: anything to a request role; DELETE to anyone.

comment on table vicket.audit_heads is 'The end of each org''s chain of audit rows. Its row is the lock by which changes of one org take turns.';
comment on policy definer_appends on vicket.audit_heads is 'The audit trigger, and the lock of member_guarded.';

grant create on schema vicket to vicket_definer;
reset role;

-- ---------------------------------------------------------------------------------------------------------------------
-- The owner rules: an org always has an owner, nobody changes their own role, and nobody gives or takes a role that
-- may more than they do, so that only an owner makes, changes or removes an owner.
-- Changes of one org take turns, so that two demotions at once cannot both find another owner.
set local role vicket_definer;

-- The turn of an org is the row of its audit log's head, taken before any other row, so that two changes wait for each
-- other in one order. Who is no member of the org in the context has nothing to change there and takes no turn.
create function vicket.changes_take_turns() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if ctx.org_id() is null or ctx.needs_actor() and not ctx.is_member() then
    return null;
  end if;
  insert into vicket.audit_heads (org_id)
    select o.id from vicket.orgs o where o.id = ctx.org_id()
    on conflict do nothing;
  perform from vicket.audit_heads h where h.org_id = ctx.org_id() for update;
  return null;
end $$;

create function vicket.member_guarded() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  who record := ctx.actor();
  leaves boolean := tg_op = 'DELETE';
begin
  if tg_op = 'UPDATE' and new.role = old.role then
    return new;
  end if;
  -- The org itself goes, and its members with it.
  if leaves and not exists (select from vicket.orgs o where o.id = old.org_id) then
    return old;
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

-- A machine key that was made by another ends with it, at the latest.
create function vicket.machine_key_bounded() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'INSERT' then
    new.parent_id := (ctx.actor()).machine_key_id;
    new.expires_at := least(
      new.expires_at,
      (select k.expires_at from vicket.machine_keys k where k.org_id = new.org_id and k.id = new.parent_id));
    return new;
  end if;
  update vicket.machine_keys k
    set revoked_at = new.revoked_at
    where k.org_id = new.org_id and k.parent_id = new.id and k.revoked_at is null;
  return null;
end $$;

comment on function vicket.changes_take_turns() is 'Trigger: administrative changes of one org wait for each other.';
comment on function vicket.member_guarded() is
  'Trigger: members_last_owner, members_not_oneself, members_beyond_oneself.';
comment on function vicket.machine_key_bounded() is 'Trigger: a machine key ends with the one that made it.';

grant execute on function vicket.changes_take_turns(), vicket.member_guarded(), vicket.machine_key_bounded()
  to vicket_owner;
reset role;

set local role vicket_owner;
revoke create on schema vicket from vicket_definer;

create trigger changes_take_turns before update or delete on vicket.orgs
  for each statement execute function vicket.changes_take_turns();
create trigger changes_take_turns before update or delete on vicket.members
  for each statement execute function vicket.changes_take_turns();
create trigger changes_take_turns before insert or update or delete on vicket.invitations
  for each statement execute function vicket.changes_take_turns();
create trigger changes_take_turns before insert or update of revoked_at or delete on vicket.machine_keys
  for each statement execute function vicket.changes_take_turns();
create trigger changes_take_turns before insert or update or delete on vicket.sites
  for each statement execute function vicket.changes_take_turns();
create trigger changes_take_turns before insert or delete on vicket.site_origins
  for each statement execute function vicket.changes_take_turns();
create trigger changes_take_turns before insert or update of state or delete on vicket.site_keys
  for each statement execute function vicket.changes_take_turns();
create trigger changes_take_turns before insert or update of slug, title, excerpt, body_markdown, body_html, status or delete
  on vicket.articles
  for each statement execute function vicket.changes_take_turns();
create trigger changes_take_turns before insert or update or delete on vicket.faqs
  for each statement execute function vicket.changes_take_turns();
create trigger bounded before insert on vicket.machine_keys
  for each row execute function vicket.machine_key_bounded();
create trigger bounded_end after update of revoked_at on vicket.machine_keys
  for each row when (old.revoked_at is null and new.revoked_at is not null)
  execute function vicket.machine_key_bounded();
create trigger member_guarded before update of role or delete on vicket.members
  for each row execute function vicket.member_guarded();

reset role;
