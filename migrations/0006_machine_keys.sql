-- machine_keys: programs that act for an org. A key may do what it was given and what its creator may do now,
-- whichever is less, and it goes with its creator's membership.
set local role vicket_owner;

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
-- Not led by a tenant: the digest is what tells the tenant.
create unique index machine_keys_hash on vicket.machine_keys (key_hash);
-- Nor this: worker.touch_machine_keys has ids of many orgs.
create index machine_keys_id on vicket.machine_keys (id);

alter table vicket.machine_keys enable row level security, force row level security;

create policy agent_select on vicket.machine_keys for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('machinekey:edit')));
create policy agent_insert on vicket.machine_keys for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('machinekey:edit'))
    and created_by = (select ctx.actor_user_id())
    and ctx.may_all(permissions)
  );
create policy agent_update on vicket.machine_keys for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('machinekey:edit')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('machinekey:edit')));
create policy operator_all on vicket.machine_keys for all to vicket_operator
  using (org_id = (select ctx.org_id())) with check (org_id = (select ctx.org_id()));
create policy definer_select on vicket.machine_keys for select to vicket_definer using (true);
create policy definer_update on vicket.machine_keys for update to vicket_definer
  using (session_user = 'vicket_worker') with check (session_user = 'vicket_worker');

grant select (org_id, id, name, hint, permissions, created_by, created_at, expires_at, revoked_at, last_used_at, parent_id),
  insert (name, key_hash, hint, permissions, expires_at),
  update (revoked_at)
  on vicket.machine_keys to vicket_agent;
grant select (org_id, id, name, hint, permissions, created_by, created_at, expires_at, revoked_at, last_used_at, parent_id),
  insert (name, key_hash, hint, permissions, expires_at, created_by),
  update (revoked_at)
  on vicket.machine_keys to vicket_operator;
grant select (org_id, id, name, key_hash, permissions, created_by, expires_at, revoked_at, last_used_at), update (last_used_at)
  on vicket.machine_keys to vicket_definer;
-- Not granted: key_hash to any reader but the definer; permissions and expires_at to any UPDATE; DELETE to anyone (a
-- revoked key stays listed until its creator leaves).

comment on table vicket.machine_keys is 'Secret keys of programs (sk_), as SHA-256. The plaintext is in no table.';
comment on column vicket.machine_keys.permissions is
  'What the key was given; ctx.actor takes away what its creator may not do now.';
comment on column vicket.machine_keys.created_by is
  'The member whose permissions bound this key; it goes with their membership.';
comment on column vicket.machine_keys.parent_id is 'The machine key that made it: it ends with that one.';
comment on policy agent_insert on vicket.machine_keys is
  'machinekey:edit; in one''s own name, and no permission that one lacks.';
comment on policy agent_update on vicket.machine_keys is 'machinekey:edit (revoked_at is the only column granted).';
comment on policy operator_all on vicket.machine_keys is 'Administration commands, after admin.enter_org.';
comment on policy definer_select on vicket.machine_keys is
  'Not narrowed: a key is found by its digest before there is a context.';
comment on policy definer_update on vicket.machine_keys is
  'worker.touch_machine_keys (last_used_at is the only column granted).';

-- What was revoked stays revoked, whoever writes.
create function vicket.stays_revoked() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if old.revoked_at is not null and new.revoked_at is distinct from old.revoked_at then
    raise exception 'a revoked key stays revoked' using errcode = 'check_violation', constraint = 'stays_revoked';
  end if;
  return new;
end $$;

-- A machine key that was made by another ends with it, at the latest.
create function vicket.machine_key_bounded() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
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

create trigger serialize_org_writes before insert or update of revoked_at or delete on vicket.machine_keys
  for each statement execute function vicket.serialize_org_writes();
create trigger bounded before insert on vicket.machine_keys
  for each row execute function vicket.machine_key_bounded();
create trigger bounded_end after update of revoked_at on vicket.machine_keys
  for each row when (old.revoked_at is null and new.revoked_at is not null)
  execute function vicket.machine_key_bounded();
create trigger stays_revoked before update of revoked_at on vicket.machine_keys
  for each row execute function vicket.stays_revoked();
create trigger audited after insert or update or delete on vicket.machine_keys
  for each row execute function vicket.audited('machine_key', 'id', 'name hint permissions created_by expires_at revoked_at');

set local role vicket_definer;
create function worker.touch_machine_keys(p_key_ids uuid[], p_times timestamptz[]) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
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
comment on function worker.touch_machine_keys is
  'When machine keys were last used. Definer: the worker reads no table.';
grant execute on function worker.touch_machine_keys to vicket_worker;
reset role;
