-- audit_log: who changed what, when, from what to what. Written by triggers in the transaction of the change, for
-- every noun that comes after this file. audit_heads: the end of each org's chain, whose row is the lock by which
-- changes take turns.
set local role vicket_owner;

-- Why: what happened to keys, origins, members, content and settings must be told apart from what somebody says
-- happened. Rows of an org are numbered without gaps and chained: each holds a hash of itself and of the one before,
-- so that a row that a superuser changes or takes away shows (`vicket audit log ORG --verify`).
create table vicket.audit_log (
  org_id uuid not null,
  seq bigint not null,
  at timestamptz not null,
  actor_kind text not null,
  actor_id uuid,
  actor text not null,
  action text not null,
  object_kind text not null,
  object_id text not null,
  site_id uuid,
  before jsonb,
  after jsonb,
  request_id text,
  prev_hash bytea not null,
  hash bytea not null,
  constraint audit_log_pkey primary key (org_id, seq),
  constraint audit_log_actor_kind_known check (actor_kind in ('user', 'machine_key', 'cli')),
  constraint audit_log_action_known check (action in ('created', 'updated', 'deleted')),
  constraint audit_log_hash_length check (octet_length(hash) = 32)
);
-- No foreign key to orgs: the log outlives its org. The primary key is also the order in which it is read.
create statistics vicket.audit_log_tenant (dependencies, ndistinct) on org_id, site_id from vicket.audit_log;

create table vicket.audit_heads (
  org_id uuid not null,
  last_seq bigint not null default 0,
  last_hash bytea not null default ''::bytea,
  constraint audit_heads_pkey primary key (org_id)
);

alter table vicket.audit_log enable row level security;
alter table vicket.audit_log force row level security;
alter table vicket.audit_heads enable row level security;
alter table vicket.audit_heads force row level security;

create policy agent_select on vicket.audit_log
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('audit:read')));
create policy operator_select on vicket.audit_log
  for select to vicket_operator
  using (org_id = (select ctx.org_id()));
create policy definer_insert on vicket.audit_log
  for insert to vicket_definer
  with check (true);
create policy operator_select on vicket.audit_heads
  for select to vicket_operator
  using (org_id = (select ctx.org_id()));
create policy definer_select on vicket.audit_heads
  for select to vicket_definer
  using (true);
create policy definer_insert on vicket.audit_heads
  for insert to vicket_definer
  with check (true);
create policy definer_update on vicket.audit_heads
  for update to vicket_definer
  using (true)
  with check (true);

grant select on vicket.audit_log to vicket_agent, vicket_operator;
grant insert on vicket.audit_log to vicket_definer;
grant select on vicket.audit_heads to vicket_operator;
grant select, insert (org_id), update (last_seq, last_hash) on vicket.audit_heads to vicket_definer;
-- Not granted: INSERT to anyone but the trigger's owner; UPDATE and DELETE of the log to anyone.

comment on table vicket.audit_log is
  'What happened in each org: appended by triggers, numbered without gaps, chained by hash.';
comment on table vicket.audit_heads is
  'The end of each org''s chain. Its row is the lock by which changes of one org take turns.';
comment on column vicket.audit_log.seq is 'Per org, from 1, without gaps.';
comment on column vicket.audit_log.hash is 'SHA-256 of prev_hash and of this row; see vicket.audited.';
comment on policy agent_select on vicket.audit_log is 'audit:read.';
comment on policy operator_select on vicket.audit_log is 'vicket audit log.';
comment on policy definer_insert on vicket.audit_log is
  'The audit triggers. Not narrowed: a new org''s first row comes before its context.';
comment on policy operator_select on vicket.audit_heads is 'vicket audit log --verify compares the end of the chain.';
comment on policy definer_select on vicket.audit_heads is 'The audit triggers. Not narrowed: as for the log.';
comment on policy definer_insert on vicket.audit_heads is 'The audit triggers. Not narrowed: as for the log.';
comment on policy definer_update on vicket.audit_heads is 'The audit triggers. Not narrowed: as for the log.';

create function vicket.audit_log_is_append_only() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'the audit log is append-only' using errcode = 'insufficient_privilege';
end $$;
create trigger append_only before update or delete or truncate on vicket.audit_log
  for each statement execute function vicket.audit_log_is_append_only();
reset role;

set local role vicket_definer;
-- `cli` is who has no credential: the administration commands. A request without one may write nothing.
create function ctx.actor_name() returns text
  language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $$
declare
  who record := ctx.actor();
begin
  if who.machine_key_id is not null then
    return (select 'machine key ' || k.name from vicket.machine_keys k
      where k.org_id = ctx.org_id() and k.id = who.machine_key_id);
  end if;
  return coalesce((select u.email from vicket.users u where u.id = who.user_id), 'cli');
end $$;

-- The turn of an org is the row of its log's head, taken before any other row, so that two changes wait for each
-- other in one order. Who is no member of the org in the context has nothing to change there and takes no turn.
create function vicket.changes_take_turns() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
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

-- Arguments: the kind of object, the column that identifies it within its org, and the columns to record, by name:
-- what is not named, secrets and long texts, is not recorded. An update that changed none of them is no news.
create function vicket.audited() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  kind constant text := tg_argv[0];
  id_column constant text := tg_argv[1];
  recorded constant text[] := string_to_array(tg_argv[2], ' ');
  old_row constant jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) end;
  new_row constant jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) end;
  whole constant jsonb := coalesce(new_row, old_row);
  tenant constant uuid := (case when kind = 'org' then whole ->> 'id' else whole ->> 'org_id' end)::uuid;
  of_site constant uuid := (case when kind = 'site' then whole ->> 'id' else whole ->> 'site_id' end)::uuid;
  -- An org or a site that is too large to go at once is marked first.
  ends constant boolean := tg_op = 'DELETE' or new_row ->> 'deleted_at' is not null;
  who record := ctx.actor();
  -- Also when they are no member any more: whoever leaves an org did that.
  person uuid := coalesce(who.user_id, ctx.session_user_id(ctx.digest('session')));
  head record;
  entry vicket.audit_log;
begin
  -- What goes because something else went needs no entry of its own: the org, its site, or whose machine key it was.
  if tg_op <> 'INSERT' and old_row ->> 'deleted_at' is not null
    or kind <> 'org' and not exists (select from vicket.orgs o where o.id = tenant and o.deleted_at is null)
    or kind not in ('org', 'site') and ends and of_site is not null and not exists (
      select from vicket.sites s where s.org_id = tenant and s.id = of_site and s.deleted_at is null)
  then
    return coalesce(new, old);
  end if;
  -- Through the agents' gate somebody acts, always. What a foreign key takes along is the doing of the same statement.
  if person is null and ctx.needs_actor() and pg_trigger_depth() = 1 then
    raise exception 'nobody acts' using errcode = 'insufficient_privilege';
  end if;
  entry.before := (select jsonb_object_agg(f.key, f.value) from jsonb_each(old_row) f where f.key = any (recorded));
  if not ends then
    entry.after := (select jsonb_object_agg(f.key, f.value) from jsonb_each(new_row) f where f.key = any (recorded));
  end if;
  if tg_op = 'UPDATE' and entry.before = entry.after then
    return new;
  end if;

  insert into vicket.audit_heads (org_id) values (tenant) on conflict do nothing;
  select h.last_seq, h.last_hash
    into strict head
    from vicket.audit_heads h
    where h.org_id = tenant
    for update;

  entry.org_id := tenant;
  entry.seq := head.last_seq + 1;
  entry.at := clock_timestamp();
  entry.actor_kind := case
    when who.machine_key_id is not null then 'machine_key'
    when person is not null then 'user'
    when ctx.needs_actor() then 'machine_key'
    else 'cli'
  end;
  entry.actor_id := coalesce(who.machine_key_id, person);
  entry.actor := case
    when who.machine_key_id is null and person is not null
      then (select u.email from vicket.users u where u.id = person)
    when who.machine_key_id is null and ctx.needs_actor() then 'machine key that is gone'
    else ctx.actor_name()
  end;
  entry.action := case when ends then 'deleted' when tg_op = 'INSERT' then 'created' else 'updated' end;
  entry.object_kind := kind;
  entry.object_id := whole ->> id_column;
  entry.site_id := of_site;
  entry.request_id := nullif(current_setting('app.request_id', true), '');
  entry.prev_hash := head.last_hash;
  entry.hash := sha256(entry.prev_hash || convert_to(
    jsonb_build_array(
      entry.org_id, entry.seq, extract(epoch from entry.at), entry.actor_kind, entry.actor_id, entry.actor, entry.action,
      entry.object_kind, entry.object_id, entry.site_id, entry.before, entry.after, entry.request_id
    )::text, 'UTF8'));
  insert into vicket.audit_log values (entry.*);
  update vicket.audit_heads h set last_seq = entry.seq, last_hash = entry.hash where h.org_id = tenant;
  return coalesce(new, old);
end $$;

comment on function ctx.actor_name() is
  'Whoever acts, as people call them: an e-mail, `machine key NAME`, or `cli`. Definer: no request may read users.';
comment on function vicket.changes_take_turns() is
  'Trigger: administrative changes of one org wait for each other. Definer: no request may write there.';
comment on function vicket.audited() is
  'Trigger: appends what changed to the audit log, in the transaction of the change. Definer: no request may write there.';
grant execute on function ctx.actor_name() to vicket_agent, vicket_operator, vicket_owner;
grant execute on function vicket.changes_take_turns(), vicket.audited() to vicket_owner;
reset role;
