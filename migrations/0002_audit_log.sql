-- audit_log: who changed what, when, from what to what. Written by triggers in the transaction of the change, for
-- every noun that comes after this file. audit_heads: the end of each org's chain, whose row is the lock by which
-- changes take turns. audit_checkpoints: what was signed of months that are no longer here.
set local role vicket_owner;

-- Why: what happened to keys, origins, members, content and settings must be told apart from what somebody says
-- happened. Rows of an org are numbered without gaps and chained: each holds a hash of itself and of the one before,
-- so that a row that a superuser changes or takes away shows (`vicket audit log ORG --verify`).
--
-- And it must be able to forget. What may say who somebody is, the actor and what was changed from what to what, is in
-- the chain by a digest of it and of 122 random bits, its salt. Without the salt nobody can tell what the digest was
-- of, not even by trying all addresses; so value and salt are taken away, the digest stays, and the chain verifies.
create table vicket.audit_log (
  org_id uuid not null,
  seq bigint not null,
  at timestamptz not null,
  actor_kind text not null,
  actor_id uuid,
  actor text,
  actor_salt bytea,
  actor_digest bytea not null,
  action text not null,
  object_kind text not null,
  object_id text,
  before jsonb,
  after jsonb,
  object_salt bytea,
  object_digest bytea not null,
  site_id uuid,
  request_id text,
  prev_hash bytea not null,
  hash bytea not null,
  constraint audit_log_pkey primary key (org_id, seq, at),
  constraint audit_log_actor_kind_known check (actor_kind in ('user', 'machine_key', 'cli')),
  constraint audit_log_action_known check (action in ('created', 'updated', 'deleted', 'erased')),
  constraint audit_log_actor_whole
    check (case when actor_salt is null then num_nonnulls(actor_id, actor) = 0 else actor is not null end),
  constraint audit_log_object_whole
    check (case when object_salt is null then num_nonnulls(object_id, before, after) = 0 else object_id is not null end),
  constraint audit_log_hash_length check (octet_length(hash) = 32)
) partition by range (at);
-- No foreign key to orgs: the log outlives its org. The primary key is also the order in which it is read.

create table vicket.audit_heads (
  org_id uuid not null,
  last_seq bigint not null default 0,
  last_hash bytea not null default ''::bytea,
  last_at timestamptz not null default '-infinity',
  constraint audit_heads_pkey primary key (org_id)
);

create table vicket.audit_checkpoints (
  org_id uuid not null default ctx.org_id(),
  month date not null,
  first_seq bigint not null,
  last_seq bigint not null,
  last_hash bytea not null,
  detached_at timestamptz not null default now(),
  public_key bytea not null,
  signature bytea not null,
  constraint audit_checkpoints_pkey primary key (org_id, month),
  constraint audit_checkpoints_order check (first_seq <= last_seq),
  constraint audit_checkpoints_hash_length check (octet_length(last_hash) = 32),
  constraint audit_checkpoints_key_length check (octet_length(public_key) = 32),
  constraint audit_checkpoints_signature_length check (octet_length(signature) = 64)
);

alter table vicket.audit_log enable row level security, force row level security;
alter table vicket.audit_heads enable row level security, force row level security;
alter table vicket.audit_checkpoints enable row level security, force row level security;

create policy agent_select on vicket.audit_log for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('audit:read')));
create policy operator_select on vicket.audit_log for select to vicket_operator using (org_id = (select ctx.org_id()));
create policy definer_select on vicket.audit_log for select to vicket_definer
  using (session_user = 'vicket_worker' or org_id = (select ctx.org_id()) and (select ctx.operates()));
create policy definer_insert on vicket.audit_log for insert to vicket_definer with check (true);
create policy definer_update on vicket.audit_log for update to vicket_definer
  using (session_user = 'vicket_worker' or org_id = (select ctx.org_id()) and (select ctx.operates()))
  with check (actor_salt is null or object_salt is null);
create policy operator_select on vicket.audit_heads for select to vicket_operator
  using (org_id = (select ctx.org_id()));
create policy definer_select on vicket.audit_heads for select to vicket_definer using (true);
create policy definer_insert on vicket.audit_heads for insert to vicket_definer with check (true);
create policy definer_update on vicket.audit_heads for update to vicket_definer using (true) with check (true);
create policy operator_select on vicket.audit_checkpoints for select to vicket_operator
  using (org_id = (select ctx.org_id()));
create policy operator_insert on vicket.audit_checkpoints for insert to vicket_operator
  with check (org_id = (select ctx.org_id()));

grant select (org_id, seq, at, actor_kind, actor_id, actor, action, object_kind, object_id, before, after, site_id, request_id)
  on vicket.audit_log to vicket_agent;
grant select on vicket.audit_log to vicket_operator;
grant select, insert, update (actor_id, actor, actor_salt, object_id, before, after, object_salt)
  on vicket.audit_log to vicket_definer;
grant select on vicket.audit_heads to vicket_operator;
grant select, insert (org_id), update (last_seq, last_hash, last_at) on vicket.audit_heads to vicket_definer;
grant select, insert (month, first_seq, last_seq, last_hash, public_key, signature) on vicket.audit_checkpoints to vicket_operator;
-- Not granted: salts and digests to agents; INSERT to anyone but the trigger's owner; DELETE to anyone.

comment on table vicket.audit_log is
  'What happened in each org: appended by triggers, numbered without gaps, chained by hash.';
comment on table vicket.audit_checkpoints is
  'Months of the log that were taken out of it, one row an org, each signed: where the chain stood.';
comment on table vicket.audit_heads is
  'The end of each org''s chain. Its row is the lock by which changes of one org take turns.';
comment on column vicket.audit_log.seq is 'Per org, from 1, without gaps.';
comment on column vicket.audit_log.at is 'Never before that of the row before; the log is partitioned by it, a month each.';
comment on column vicket.audit_log.actor is 'As people call them; NULL once they are erased, as are actor_id and actor_salt.';
comment on column vicket.audit_log.actor_digest is 'SHA-256 of actor_salt, actor_id and actor; see vicket.append_audit.';
comment on column vicket.audit_log.object_id is 'NULL once it is erased, as are before, after and object_salt.';
comment on column vicket.audit_log.object_digest is 'SHA-256 of object_salt, object_id, before and after.';
comment on column vicket.audit_log.hash is 'SHA-256 of prev_hash and of this row, its digests for what may be erased.';
comment on column vicket.audit_checkpoints.last_hash is 'Of the row last_seq: the prev_hash of the first that is still here.';
comment on column vicket.audit_checkpoints.public_key is 'Ed25519. Who verifies should bring their own, from elsewhere.';
comment on column vicket.audit_checkpoints.signature is 'Ed25519, of the text that `vicket audit log --verify` prints.';
comment on policy operator_select on vicket.audit_log is 'vicket audit log.';
comment on policy definer_select on vicket.audit_log is 'admin.erase_person, of one org; worker.run_job, of one that was deleted.';
comment on policy definer_update on vicket.audit_log is 'The same; they can only take away (trigger only_forgets).';
comment on policy operator_select on vicket.audit_checkpoints is 'vicket audit log --verify.';
comment on policy operator_insert on vicket.audit_checkpoints is 'vicket audit detach.';
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
-- What is erased is taken away and replaced by nothing; all else stays as it was.
create function vicket.audit_log_only_forgets() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  kept vicket.audit_log := old;
begin
  if new.actor_salt is null then
    kept.actor_id := null;
    kept.actor := null;
    kept.actor_salt := null;
  end if;
  if new.object_salt is null then
    kept.object_id := null;
    kept.before := null;
    kept.after := null;
    kept.object_salt := null;
  end if;
  if new is distinct from kept then
    raise exception 'the audit log is append-only' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
create trigger append_only before delete on vicket.audit_log
  for each row execute function vicket.audit_log_is_append_only();
create trigger never_truncated before truncate on vicket.audit_log
  for each statement execute function vicket.audit_log_is_append_only();
create trigger only_forgets before update on vicket.audit_log
  for each row execute function vicket.audit_log_only_forgets();

-- The partitions: a month each, the first with all before it, up to 13 months from now, and one for whatever is later,
-- so that nothing fails where nobody migrated for so long. Each is named for its last month. `vicket migrate` calls it
-- every time. Nobody has rights on a partition: rows are reached through the log alone.
create function vicket.add_audit_months() returns void
  language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  first_moment constant text := 'YYYY-MM-01 00:00:00"+00"';
  present constant date := date_trunc('month', now() at time zone 'UTC')::date;
  newest date := (
    select max(to_date(right(c.relname, 7), 'YYYY_MM'))
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'vicket.audit_log'::regclass and c.relname ~ '^audit_log_\d{4}_\d{2}$'
  );
  month date;
  made text;
  bounds text;
begin
  if newest < present then
    -- It holds what came after the newest month, and nothing else: it becomes the partition of the months since.
    made := 'audit_log_' || to_char(present, 'YYYY_MM');
    alter table vicket.audit_log detach partition vicket.audit_log_later;
    execute format('alter table vicket.audit_log_later rename to %I', made);
    execute format('alter table vicket.audit_log attach partition vicket.%I for values from (%L) to (%L)', made,
      to_char(newest + interval '1 month', first_moment), to_char(present + interval '1 month', first_moment));
    newest := present;
  end if;
  for month in
    select m::date
    from generate_series(
      coalesce(newest + interval '1 month', present), present + interval '13 months', interval '1 month'
    ) m
    union all
    select null where to_regclass('vicket.audit_log_later') is null
  loop
    made := coalesce('audit_log_' || to_char(month, 'YYYY_MM'), 'audit_log_later');
    bounds := case
      when month is null then 'default'
      when newest is null then format('for values from (minvalue) to (%L)', to_char(month + interval '1 month', first_moment))
      else format('for values from (%L) to (%L)', to_char(month, first_moment),
        to_char(month + interval '1 month', first_moment))
    end;
    -- Made beside the log, then attached: so readers and writers go on.
    execute format('create table vicket.%I (like vicket.audit_log including defaults including constraints)', made);
    execute format('alter table vicket.%I enable row level security', made);
    execute format('alter table vicket.%I force row level security', made);
    execute format('create trigger never_truncated before truncate on vicket.%I
      for each statement execute function vicket.audit_log_is_append_only()', made);
    execute format('alter table vicket.audit_log attach partition vicket.%I %s', made, bounds);
    newest := coalesce(month, newest);
  end loop;
end $$;
comment on function vicket.add_audit_months is
  'Makes the partitions of the audit log for the next 13 months, where they are missing.';
select vicket.add_audit_months();

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
create function vicket.serialize_org_writes() returns trigger
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

-- Numbers, dates, salts and chains entries, all of one org, in their order. For vicket_definer's functions alone, with
-- whose rights it runs. The head is read and written once: a row that one transaction writes a thousand times is slow.
create function vicket.append_audit(variadic p_entries vicket.audit_log[]) returns void
  language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  org constant uuid := p_entries[1].org_id;
  request_id constant text := nullif(current_setting('app.request_id', true), '');
  entries vicket.audit_log[];
  entry vicket.audit_log;
  head record;
begin
  if p_entries = '{}' then
    return;
  end if;
  insert into vicket.audit_heads (org_id) values (org) on conflict do nothing;
  select h.last_seq, h.last_hash, h.last_at
    into strict head
    from vicket.audit_heads h
    where h.org_id = org
    for update;
  foreach entry in array p_entries loop
    entry.seq := head.last_seq + 1;
    -- Whatever the clock does: the rows of an org's month follow each other.
    entry.at := greatest(clock_timestamp(), head.last_at);
    entry.request_id := request_id;
    entry.actor_salt := uuid_send(gen_random_uuid());
    entry.actor_digest := sha256(
      entry.actor_salt || convert_to(jsonb_build_array(entry.actor_id, entry.actor)::text, 'UTF8'));
    entry.object_salt := uuid_send(gen_random_uuid());
    entry.object_digest := sha256(
      entry.object_salt || convert_to(jsonb_build_array(entry.object_id, entry.before, entry.after)::text, 'UTF8'));
    entry.prev_hash := head.last_hash;
    entry.hash := sha256(entry.prev_hash || convert_to(
      jsonb_build_array(
        entry.org_id, entry.seq, extract(epoch from entry.at), entry.actor_kind, encode(entry.actor_digest, 'hex'),
        entry.action, entry.object_kind, encode(entry.object_digest, 'hex'), entry.site_id, entry.request_id
      )::text, 'UTF8'));
    head.last_seq := entry.seq;
    head.last_hash := entry.hash;
    head.last_at := entry.at;
    entries := entries || entry;
  end loop;
  insert into vicket.audit_log select e.* from unnest(entries) e;
  update vicket.audit_heads h
    set last_seq = head.last_seq, last_hash = head.last_hash, last_at = head.last_at
    where h.org_id = org;
end $$;

-- What happened to one row, without who did it; NULL is no news. Arguments: the trigger's, the rows as JSON.
create function vicket.audit_entry(
  p_kind text, p_id_column text, p_recorded text[], p_old jsonb, p_new jsonb
) returns vicket.audit_log
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  whole constant jsonb := coalesce(p_new, p_old);
  -- An org or a site that is too large to go at once is marked first.
  ends constant boolean := p_new is null or p_new ->> 'deleted_at' is not null;
  entry vicket.audit_log;
begin
  entry.org_id := (case when p_kind = 'org' then whole ->> 'id' else whole ->> 'org_id' end)::uuid;
  entry.site_id := (case when p_kind = 'site' then whole ->> 'id' else whole ->> 'site_id' end)::uuid;
  -- What goes because something else went needs no entry of its own: the org, its site, or whose machine key it was.
  if p_old ->> 'deleted_at' is not null
    or p_kind <> 'org' and not exists (select from vicket.orgs o where o.id = entry.org_id and o.deleted_at is null)
    or p_kind not in ('org', 'site') and ends and entry.site_id is not null and not exists (
      select from vicket.sites s where s.org_id = entry.org_id and s.id = entry.site_id and s.deleted_at is null)
  then
    return null;
  end if;
  entry.before := (select jsonb_object_agg(f.key, f.value) from jsonb_each(p_old) f where f.key = any (p_recorded));
  if not ends then
    entry.after := (select jsonb_object_agg(f.key, f.value) from jsonb_each(p_new) f where f.key = any (p_recorded));
  end if;
  if entry.before = entry.after then
    return null;
  end if;
  entry.action := case when ends then 'deleted' when p_old is null then 'created' else 'updated' end;
  entry.object_kind := p_kind;
  entry.object_id := whole ->> p_id_column;
  return entry;
end $$;

-- Arguments: the kind of object, the column that identifies it within its org, and the columns to record, by name:
-- what is not named, secrets and long texts, is not recorded. An update that changed none of them is no news.
-- For each row; or, where rows go by the thousand, for each statement that deletes, with its rows as gone_rows.
create function vicket.audited() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  recorded constant text[] := string_to_array(tg_argv[2], ' ');
  entries vicket.audit_log[];
  entry vicket.audit_log;
  who record;
  person uuid;
  actor text;
  org uuid;
begin
  if tg_level = 'STATEMENT' then
    entries := array(
      select e
      from gone_rows g
      cross join lateral vicket.audit_entry(tg_argv[0], tg_argv[1], recorded, to_jsonb(g), null) e
      where e.org_id is not null
    );
  else
    entry := vicket.audit_entry(tg_argv[0], tg_argv[1], recorded,
      case when tg_op <> 'INSERT' then to_jsonb(old) end, case when tg_op <> 'DELETE' then to_jsonb(new) end);
    if entry.org_id is not null then
      entries := array[entry];
    end if;
  end if;
  if entries is null or entries = '{}' then
    return coalesce(new, old);
  end if;

  who := ctx.actor();
  -- Also when they are no member any more: whoever leaves an org did that.
  person := coalesce(who.user_id, ctx.session_user_id(ctx.digest('session')));
  -- Through the agents' gate somebody acts, always. What a foreign key takes along is the doing of the same statement.
  if person is null and ctx.needs_actor() and pg_trigger_depth() = 1 then
    raise exception 'nobody acts' using errcode = 'insufficient_privilege';
  end if;
  actor := case
    when who.machine_key_id is null and person is not null
      then (select u.email from vicket.users u where u.id = person)
    when who.machine_key_id is null and ctx.needs_actor() then 'machine key that is gone'
    else ctx.actor_name()
  end;
  for i in 1 .. cardinality(entries) loop
    entries[i].actor_kind := case
      when who.machine_key_id is not null then 'machine_key'
      when person is not null then 'user'
      when ctx.needs_actor() then 'machine_key'
      else 'cli'
    end;
    entries[i].actor_id := coalesce(who.machine_key_id, person);
    entries[i].actor := actor;
  end loop;
  for org in select distinct e.org_id from unnest(entries) e loop
    perform vicket.append_audit(variadic array(select e from unnest(entries) e where e.org_id = org));
  end loop;
  return coalesce(new, old);
end $$;

comment on function ctx.actor_name is
  'Whoever acts, as people call them: an e-mail, `machine key NAME`, or `cli`. Definer: no request may read users.';
comment on function vicket.serialize_org_writes is
  'Trigger: administrative changes of one org wait for each other. Definer: no request may write there.';
comment on function vicket.append_audit is 'Appends entries to their org''s chain.';
comment on function vicket.audit_entry is 'What the audit log says of a change, but for who made it; NULL is no news.';
comment on function vicket.audited is
  'Trigger: appends what changed to the audit log, in the transaction of the change. Definer: no request may write there.';
grant execute on function ctx.actor_name to vicket_agent, vicket_operator, vicket_owner;
grant execute on function vicket.serialize_org_writes, vicket.audited to vicket_owner;
reset role;

-- Where months go that are taken out: nobody but their owner reaches it, and row-level security shows not even them a row.
create schema archive authorization vicket_owner;
set local role vicket_owner;
comment on schema archive is 'Months of the audit log after `vicket audit detach`: to be dumped, kept as long as is needed, and dropped.';
reset role;
