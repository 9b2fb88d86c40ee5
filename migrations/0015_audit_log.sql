-- audit_log: who changed what, when, from what to what. Written by triggers in the transaction of the change.

-- ---------------------------------------------------------------------------------------------------------------------
-- audit_log
-- Why: what happened to keys, origins, members, content and settings must be told apart from what somebody says
-- happened. Rows of an org are numbered without gaps and chained: each holds a hash of itself and of the one before,
-- so that a row that a superuser changes or takes away shows (`vicket audit log --verify`).
set local role vicket_owner;

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

-- No foreign key to orgs: the log outlives its org. Indexes: the primary key is also the order in which it is read.

alter table vicket.audit_log enable row level security;
alter table vicket.audit_log force row level security;

create policy agent_reads on vicket.audit_log
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('audit:read')));
create policy operator_reads on vicket.audit_log
  for select to vicket_operator
  using (org_id = (select ctx.org_id()));
create policy definer_appends on vicket.audit_log
  for insert to vicket_definer
  with check (true);

grant select on vicket.audit_log to vicket_agent, vicket_operator;
grant insert on vicket.audit_log to vicket_definer;
-- Not granted: INSERT to anyone but the trigger's owner; UPDATE and DELETE to anyone.

comment on table vicket.audit_log is 'What happened in each org: appended by triggers, numbered without gaps, chained by hash.';
comment on column vicket.audit_log.seq is 'Per org, from 1, without gaps.';
comment on column vicket.audit_log.hash is 'SHA-256 of prev_hash and of this row; see vicket.audit_appended.';
comment on policy agent_reads on vicket.audit_log is 'audit:read.';
comment on policy operator_reads on vicket.audit_log is 'vicket audit log.';
comment on policy definer_appends on vicket.audit_log is 'The audit triggers.';

create policy operator_reads on vicket.audit_heads
  for select to vicket_operator
  using (org_id = (select ctx.org_id()));
grant select on vicket.audit_heads to vicket_operator;
comment on policy operator_reads on vicket.audit_heads is 'vicket audit log --verify compares the end of the chain.';

create function vicket.audit_log_is_append_only() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception 'the audit log is append-only' using errcode = 'insufficient_privilege';
end $$;

comment on function vicket.audit_log_is_append_only() is 'Trigger: nobody changes or deletes what happened, not even the owner.';

create trigger append_only before update or delete or truncate on vicket.audit_log
  for each statement execute function vicket.audit_log_is_append_only();

grant create on schema vicket to vicket_definer;
reset role;

-- Arguments: the kind of object, the column that identifies it within its org, and the columns to record, by name: what
-- is not named, secrets and long texts, is not recorded. An update that changed none of them is no news.
set local role vicket_definer;

create function vicket.audited() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  kind constant text := tg_argv[0];
  id_column constant text := tg_argv[1];
  recorded constant text[] := string_to_array(tg_argv[2], ' ');
  old_row constant jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) end;
  new_row constant jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) end;
  whole constant jsonb := coalesce(new_row, old_row);
  tenant constant uuid := (case when kind = 'org' then whole ->> 'id' else whole ->> 'org_id' end)::uuid;
  who record := ctx.actor();
  -- Also when they are no member any more: whoever leaves an org did that.
  person uuid := coalesce(who.user_id, ctx.session_user_id(ctx.session_hash()));
  head record;
  entry vicket.audit_log;
begin
  -- What goes because something else went needs no entry of its own: the org, or whose machine key it was.
  if kind <> 'org' and not exists (select from vicket.orgs o where o.id = tenant) then
    return old;
  end if;
  -- Through the agents' gate somebody acts, always. What a foreign key takes along is the doing of the same statement.
  if person is null and ctx.needs_actor() and pg_trigger_depth() = 1 then
    raise exception 'nobody acts' using errcode = 'insufficient_privilege';
  end if;
  entry.before := (select jsonb_object_agg(f.key, f.value) from jsonb_each(old_row) f where f.key = any (recorded));
  entry.after := (select jsonb_object_agg(f.key, f.value) from jsonb_each(new_row) f where f.key = any (recorded));
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
  entry.action := case tg_op when 'INSERT' then 'created' when 'UPDATE' then 'updated' else 'deleted' end;
  entry.object_kind := kind;
  entry.object_id := whole ->> id_column;
  entry.site_id := (case when kind = 'site' then whole ->> 'id' else whole ->> 'site_id' end)::uuid;
  entry.request_id := ctx.request_id();
  entry.prev_hash := head.last_hash;
  entry.hash := sha256(entry.prev_hash || convert_to(
    jsonb_build_array(
      entry.org_id, entry.seq, extract(epoch from entry.at), entry.actor_kind, entry.actor_id, entry.actor, entry.action,
      entry.object_kind, entry.object_id, entry.site_id, entry.before, entry.after, entry.request_id
    )::text, 'UTF8'));
  insert into vicket.audit_log values (entry.*);
  update vicket.audit_heads h set last_seq = entry.seq, last_hash = entry.hash where h.org_id = tenant;
  return case when tg_op = 'DELETE' then old else new end;
end $$;

comment on function vicket.audited() is 'Trigger: appends what changed to the audit log, in the transaction of the change.';

grant execute on function vicket.audited() to vicket_owner;
reset role;

set local role vicket_owner;
revoke create on schema vicket from vicket_definer;

-- Who leaves an org, or deletes it, is asked while they still belong to it: before the row goes.
create trigger audited after insert or update on vicket.orgs
  for each row execute function vicket.audited('org', 'slug', 'slug name');
create trigger audited_end before delete on vicket.orgs
  for each row execute function vicket.audited('org', 'slug', 'slug name');
create trigger audited after insert or update on vicket.members
  for each row execute function vicket.audited('member', 'user_id', 'user_id role');
-- After the guard, by name: what it refuses never was.
create trigger member_leaves before delete on vicket.members
  for each row execute function vicket.audited('member', 'user_id', 'user_id role');
create trigger audited after insert or delete on vicket.invitations
  for each row execute function vicket.audited('invitation', 'id', 'email role expires_at');
create trigger audited after insert or update or delete on vicket.machine_keys
  for each row execute function vicket.audited('machine_key', 'id', 'name hint permissions created_by expires_at revoked_at');
create trigger audited
  after insert or delete or update of slug, name, reads_per_minute, writes_per_minute, network_reads_per_minute,
    network_writes_per_minute
  on vicket.sites
  for each row execute function vicket.audited('site', 'slug',
    'slug name reads_per_minute writes_per_minute network_reads_per_minute network_writes_per_minute');
create trigger audited after insert or delete on vicket.site_origins
  for each row execute function vicket.audited('origin', 'origin', 'origin');
create trigger audited after insert or delete or update of state on vicket.site_keys
  for each row execute function vicket.audited('site_key', 'hint', 'hint state');
-- The texts themselves are not recorded; that they changed shows in updated_at.
create trigger audited
  after insert or delete or update of slug, title, excerpt, body_markdown, body_html, status
  on vicket.articles
  for each row execute function vicket.audited('article', 'id', 'site_id slug title status updated_at');
create trigger audited
  after insert or delete or update of question, answer_markdown, answer_html, position, status
  on vicket.faqs
  for each row execute function vicket.audited('faq', 'id', 'site_id question position status updated_at');

reset role;
