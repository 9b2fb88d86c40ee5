-- retention: how long a site keeps tickets, files and what happened to tickets, and an org the names in its audit log. What
-- is older goes in batches of the worker's, once a day. No row, and NULL: for good.
set local role vicket_owner;

create table vicket.retention (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  site_id uuid,
  open_days integer,
  resolved_days integer,
  closed_days integer,
  files_days integer,
  events_days integer,
  audit_log_days integer,
  updated_at timestamptz not null default now(),
  worked_at timestamptz,
  ended_at timestamptz,
  constraint retention_pkey primary key (org_id, id),
  constraint retention_site_unique unique nulls not distinct (org_id, site_id),
  constraint retention_org_fkey foreign key (org_id) references vicket.orgs (id) on delete cascade,
  constraint retention_site_fkey foreign key (org_id, site_id) references vicket.sites (org_id, id) on delete cascade,
  constraint retention_days_range check (
    least(open_days, resolved_days, closed_days, files_days, events_days) >= 1
    and greatest(open_days, resolved_days, closed_days, files_days, events_days, audit_log_days) <= 36500
  ),
  -- Long enough for whoever looks into what happened.
  constraint retention_audit_log_days_range check (audit_log_days >= 90),
  constraint retention_of_site_or_org check (
    case when site_id is null then num_nonnulls(open_days, resolved_days, closed_days, files_days, events_days) = 0
      else audit_log_days is null end
  )
);
create statistics vicket.retention_tenant (dependencies, ndistinct) on org_id, site_id from vicket.retention;

alter table vicket.retention enable row level security, force row level security;

create policy agent_select on vicket.retention for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy agent_insert on vicket.retention for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:delete'))
    and (site_id is not null or (select ctx.may('org:edit')))
  );
create policy agent_update on vicket.retention for update to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:delete'))
    and (site_id is not null or (select ctx.may('org:edit')))
  )
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:delete'))
    and (site_id is not null or (select ctx.may('org:edit')))
  );
create policy operator_select on vicket.retention for select to vicket_operator
  using (org_id = (select ctx.org_id()));
create policy definer_select on vicket.retention for select to vicket_definer
  using (session_user = 'vicket_worker');
create policy definer_update on vicket.retention for update to vicket_definer
  using (session_user = 'vicket_worker') with check (session_user = 'vicket_worker');
-- What the worker deletes that no request deletes.
create policy definer_delete on vicket.attachments for delete to vicket_definer
  using (session_user = 'vicket_worker');
create policy definer_select on vicket.ticket_events for select to vicket_definer
  using (session_user = 'vicket_worker' or org_id = (select ctx.org_id()));
create policy definer_delete on vicket.ticket_events for delete to vicket_definer
  using (session_user = 'vicket_worker');

grant select (org_id, id, site_id, open_days, resolved_days, closed_days, files_days, events_days, audit_log_days, updated_at,
    ended_at),
  insert (site_id, open_days, resolved_days, closed_days, files_days, events_days, audit_log_days),
  update (open_days, resolved_days, closed_days, files_days, events_days, audit_log_days)
  on vicket.retention to vicket_agent;
grant select on vicket.retention to vicket_operator;
grant select, update (worked_at, ended_at) on vicket.retention to vicket_definer;
grant select (id, created_at), delete on vicket.attachments to vicket_definer;
grant select (org_id, site_id, id, at), delete on vicket.ticket_events to vicket_definer;
grant select (updated_at) on vicket.tickets to vicket_definer;
-- Not granted: DELETE to requests, which say NULL; when it last ran, to be written by requests.

comment on table vicket.retention is
  'How long a site keeps what; the row without a site, how long an org keeps the names in its audit log.';
comment on column vicket.retention.open_days is
  'Days after its last change until a ticket goes that is neither resolved nor closed.';
comment on column vicket.retention.resolved_days is 'The same of a resolved ticket.';
comment on column vicket.retention.closed_days is 'The same of a closed ticket.';
comment on column vicket.retention.files_days is 'Days until a file goes from its message.';
comment on column vicket.retention.events_days is 'Days until it is forgotten who changed status, priority or assignee of a ticket.';
comment on column vicket.retention.audit_log_days is
  'Days until an entry of the audit log forgets who did it and to what; the chain still verifies.';
comment on column vicket.retention.worked_at is 'The last batch.';
comment on column vicket.retention.ended_at is 'When nothing was left that had to go; a day later it is looked for again.';
comment on policy agent_select on vicket.retention is 'Members see how long their org keeps what.';
comment on policy agent_insert on vicket.retention is 'ticket:delete; of the org''s own row org:edit, too.';
comment on policy agent_update on vicket.retention is 'ticket:delete; of the org''s own row org:edit, too.';
comment on policy operator_select on vicket.retention is 'Administration commands, after admin.enter_org.';
comment on policy definer_select on vicket.retention is 'worker.retain.';
comment on policy definer_update on vicket.retention is 'worker.retain.';
comment on policy definer_delete on vicket.attachments is 'worker.retain.';
comment on policy definer_select on vicket.ticket_events is 'worker.retain.';
comment on policy definer_delete on vicket.ticket_events is 'worker.retain.';

create function vicket.retention_changed() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.updated_at := now();
  new.ended_at := null;
  return new;
end $$;
create trigger retention_changed
  before update of open_days, resolved_days, closed_days, files_days, events_days, audit_log_days on vicket.retention
  for each row execute function vicket.retention_changed();
create trigger serialize_org_writes
  before insert or update of open_days, resolved_days, closed_days, files_days, events_days, audit_log_days
  on vicket.retention
  for each statement execute function vicket.serialize_org_writes();
create trigger audited
  after insert or update of open_days, resolved_days, closed_days, files_days, events_days, audit_log_days
  on vicket.retention
  for each row execute function vicket.audited(
    'retention', 'id', 'open_days resolved_days closed_days files_days events_days audit_log_days');

grant create on schema ctx, worker to vicket_definer;
set local role vicket_definer;
-- As it was, and: the worker says for whom, or why, it works.
create or replace function ctx.actor_name() returns text
  language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $$
declare
  who record := ctx.actor();
begin
  if who.machine_key_id is not null then
    return (select 'machine key ' || k.name from vicket.machine_keys k
      where k.org_id = ctx.org_id() and k.id = who.machine_key_id);
  end if;
  return coalesce(
    (select u.email from vicket.users u where u.id = who.user_id),
    case when session_user = 'vicket_worker' then nullif(current_setting('app.actor', true), '') end,
    'cli');
end $$;
comment on function ctx.actor_name is
  'Whoever acts, as people call them: an e-mail, `machine key NAME`, `retention`, or `cli`. Definer: no request may read users.';

-- One batch, of at most p_most rows, of the site or org that waited longest and was not looked at for a day; no row when
-- there is none. Another process takes another one.
create function worker.retain(
  p_most integer, out org_id uuid, out site_id uuid, out what text, out removed bigint, out ended boolean
) returns setof record
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  rule vicket.retention;
  entry vicket.audit_log;
  entries int8multirange;
begin
  select r.* into rule
    from vicket.retention r
    where r.ended_at is null or r.ended_at <= now() - interval '1 day'
    order by r.worked_at nulls first
    limit 1
    for update skip locked;
  if not found then
    return;
  end if;
  perform set_config('app.org_id', rule.org_id::text, true), set_config('app.actor', 'retention', true);
  retain.org_id := rule.org_id;
  retain.site_id := rule.site_id;
  retain.removed := 0;
  if rule.site_id is null then
    retain.what := 'audit_log';
    entries := (
      select range_agg(int8range(old.seq, old.seq, '[]'))
      from (
        select l.seq
        from vicket.audit_log l
        where l.org_id = rule.org_id and l.at < now() - make_interval(days => rule.audit_log_days)
          and (l.actor_salt is not null or l.object_salt is not null)
          -- What says of others that they forgot must not forget that; it names nobody.
          and l.action <> 'erased'
        order by l.seq
        limit p_most
      ) old
    );
    if entries is not null then
      entry.org_id := rule.org_id;
      entry.actor_kind := 'cli';
      entry.actor := 'retention';
      entry.action := 'erased';
      entry.object_kind := 'org';
      entry.object_id := rule.org_id;
      entry.after := jsonb_build_object('actor', entries::text, 'object', entries::text);
      perform vicket.append_audit(entry);
      update vicket.audit_log l
        set actor_id = null, actor = null, actor_salt = null, object_id = null, before = null, after = null, object_salt = null
        where l.org_id = rule.org_id and l.seq <@ entries;
      get diagnostics removed = row_count;
    end if;
  else
    retain.what := 'tickets';
    delete from vicket.tickets t
      where t.org_id = rule.org_id and t.site_id = rule.site_id and t.id in (
        select d.id
        from vicket.tickets d
        where d.org_id = rule.org_id and d.site_id = rule.site_id
          and d.updated_at < now() - make_interval(days => case d.status
            when 'resolved' then rule.resolved_days when 'closed' then rule.closed_days else rule.open_days end)
        order by d.updated_at
        limit p_most
      );
    get diagnostics removed = row_count;
    if retain.removed = 0 then
      retain.what := 'files';
      delete from vicket.attachments a
        where a.org_id = rule.org_id and a.site_id = rule.site_id and a.id in (
          select d.id
          from vicket.attachments d
          where d.org_id = rule.org_id and d.site_id = rule.site_id
            and d.created_at < now() - make_interval(days => rule.files_days)
          limit p_most
        );
      get diagnostics removed = row_count;
    end if;
    if retain.removed = 0 then
      retain.what := 'events';
      delete from vicket.ticket_events e
        where e.org_id = rule.org_id and e.site_id = rule.site_id and e.id in (
          select d.id
          from vicket.ticket_events d
          where d.org_id = rule.org_id and d.site_id = rule.site_id
            and d.at < now() - make_interval(days => rule.events_days)
          order by d.at
          limit p_most
        );
      get diagnostics removed = row_count;
    end if;
  end if;
  retain.ended := retain.removed = 0;
  update vicket.retention r
    set worked_at = clock_timestamp(), ended_at = case when retain.ended then now() end
    where r.org_id = rule.org_id and r.id = rule.id;
  return next;
end $$;
comment on function worker.retain is
  'Deletes a batch of what a site or org does not keep any longer. Definer: the worker reads no table.';
grant execute on function worker.retain to vicket_worker;

set local role vicket_owner;
revoke create on schema ctx, worker from vicket_definer;
reset role;
