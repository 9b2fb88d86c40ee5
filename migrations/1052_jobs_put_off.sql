-- A batch that fails is put off, longer each time, and its error is kept: what fails of one org holds up no other's. Until now
-- the one that waited longest was taken again and again.
set local role vicket_owner;
alter table vicket.jobs
  add column run_at timestamptz not null default now(),
  add column attempts integer not null default 0,
  add column last_error text;
alter table vicket.retention
  add column run_at timestamptz not null default now(),
  add column attempts integer not null default 0,
  add column last_error text;
comment on column vicket.jobs.run_at is 'When it is due.';
comment on column vicket.jobs.attempts is 'Batches that failed since one did not.';
comment on column vicket.jobs.last_error is 'Why the last one failed. Personal data.';
comment on column vicket.retention.run_at is 'When it is due.';
comment on column vicket.retention.attempts is 'Batches that failed since one did not.';
comment on column vicket.retention.last_error is 'Why the last one failed. Personal data.';
grant update (run_at, attempts, last_error) on vicket.jobs, vicket.retention to vicket_definer;
alter policy definer_select on vicket.retention using (true);
comment on policy definer_select on vicket.retention is
  'Not narrowed: worker.run_retention_batch takes whichever waited longest; admin.list_jobs lists what fails.';

grant create on schema worker, admin to vicket_definer;
set local role vicket_definer;

create function worker.run_job_batch(p_most integer, out org_id uuid, out kind text, out subject_id uuid, out total bigint,
  out done bigint, out ended boolean, out error text) returns setof record
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  clock constant timestamptz := clock_timestamp();
  job vicket.jobs;
  moved bigint := 0;
  place uuid;
begin
  select j.* into job
    from vicket.jobs j
    where j.run_at <= clock
    order by j.worked_at nulls first, j.created_at
    limit 1
    for update skip locked;
  if not found then
    return;
  end if;
  perform set_config('app.org_id', job.org_id::text, true), set_config('app.actor', job.actor, true);
  run_job_batch.ended := false;
  begin
    case job.kind
      when 'remove_status' then
        update vicket.tickets t
          set status_id = (select s.id from vicket.statuses s where s.org_id = job.org_id and s.is_default)
          where t.org_id = job.org_id and t.id in (
            select d.id from vicket.tickets d where d.org_id = job.org_id and d.status_id = job.subject_id limit p_most
          );
        get diagnostics moved = row_count;
        if moved = 0 then
          delete from vicket.statuses s where s.org_id = job.org_id and s.id = job.subject_id;
          run_job_batch.ended := true;
        end if;
      when 'remove_priority' then
        update vicket.tickets t
          set priority_id = (select p.id from vicket.priorities p where p.org_id = job.org_id and p.is_default)
          where t.org_id = job.org_id and t.id in (
            select d.id from vicket.tickets d where d.org_id = job.org_id and d.priority_id = job.subject_id limit p_most
          );
        get diagnostics moved = row_count;
        if moved = 0 then
          delete from vicket.priorities p where p.org_id = job.org_id and p.id = job.subject_id;
          run_job_batch.ended := true;
        end if;
      when 'move_status' then
        update vicket.tickets t
          set status = s.category
          from vicket.statuses s
          where s.org_id = job.org_id and s.id = job.subject_id
            and t.org_id = job.org_id and t.id in (
              select d.id from vicket.tickets d
              where d.org_id = job.org_id and d.status_id = job.subject_id and d.status <> s.category
              limit p_most
            );
        get diagnostics moved = row_count;
        run_job_batch.ended := moved = 0;
      when 'remove_site' then
        moved := worker.shrink_site(job.org_id, job.subject_id, p_most);
        if moved = 0 then
          delete from vicket.sites s where s.org_id = job.org_id and s.id = job.subject_id;
          run_job_batch.ended := true;
        end if;
      when 'remove_org' then
        place := (select s.id from vicket.sites s where s.org_id = job.org_id order by s.id limit 1);
        if place is not null then
          moved := worker.shrink_site(job.org_id, place, p_most);
          if moved = 0 then
            delete from vicket.sites s where s.org_id = job.org_id and s.id = place;
            moved := 1;
          end if;
        else
          delete from vicket.articles a
            where a.org_id = job.org_id and a.id in (
              select d.id from vicket.articles d where d.org_id = job.org_id order by d.id limit p_most for update
            );
          get diagnostics moved = row_count;
          if moved = 0 then
            delete from vicket.orgs o where o.id = job.org_id;
            run_job_batch.ended := true;
          end if;
        end if;
      when 'forget_org' then
        moved := worker.forget_org(job.org_id, job.done, job.total, p_most);
        run_job_batch.ended := job.done + moved >= job.total;
    end case;
  exception when others or query_canceled then
    -- As if this batch had not been begun.
    run_job_batch.error := left(sqlerrm, 1000);
    run_job_batch.ended := false;
    moved := 0;
  end;
  run_job_batch.org_id := job.org_id;
  run_job_batch.kind := job.kind;
  run_job_batch.subject_id := job.subject_id;
  run_job_batch.done := job.done + moved;
  run_job_batch.total := greatest(job.total, run_job_batch.done);
  if run_job_batch.ended then
    delete from vicket.jobs j where j.org_id = job.org_id and j.id = job.id;
  elsif run_job_batch.error is null then
    update vicket.jobs j
      set done = run_job_batch.done, total = run_job_batch.total, worked_at = clock_timestamp(), attempts = 0, last_error = null
      where j.org_id = job.org_id and j.id = job.id;
  else
    update vicket.jobs j
      set run_at = clock_timestamp() + least(2 ^ least(job.attempts, 20), 3600) * interval '1 second', worked_at = clock_timestamp(),
        attempts = job.attempts + 1, last_error = run_job_batch.error
      where j.org_id = job.org_id and j.id = job.id;
  end if;
  return next;
end $$;

create function worker.run_retention_batch(p_most integer, out org_id uuid, out site_id uuid, out what text, out removed bigint,
  out ended boolean, out error text) returns setof record
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  clock constant timestamptz := clock_timestamp();
  rule vicket.retention;
  entry vicket.audit_log;
  entries int8multirange;
begin
  select r.* into rule
    from vicket.retention r
    where r.run_at <= clock and (r.ended_at is null or r.ended_at <= now() - interval '1 day')
    order by r.worked_at nulls first
    limit 1
    for update skip locked;
  if not found then
    return;
  end if;
  perform set_config('app.org_id', rule.org_id::text, true), set_config('app.actor', 'retention', true);
  run_retention_batch.org_id := rule.org_id;
  run_retention_batch.site_id := rule.site_id;
  run_retention_batch.removed := 0;
  begin
    if rule.site_id is null then
      run_retention_batch.what := 'audit_log';
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
      run_retention_batch.what := 'tickets';
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
      if run_retention_batch.removed = 0 then
        run_retention_batch.what := 'files';
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
      if run_retention_batch.removed = 0 then
        run_retention_batch.what := 'events';
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
  exception when others or query_canceled then
    run_retention_batch.error := left(sqlerrm, 1000);
    run_retention_batch.removed := 0;
  end;
  run_retention_batch.ended := run_retention_batch.removed = 0 and run_retention_batch.error is null;
  update vicket.retention r
    set worked_at = clock_timestamp(),
      ended_at = case when run_retention_batch.ended then now() when run_retention_batch.error is not null then rule.ended_at end,
      attempts = case when run_retention_batch.error is null then 0 else rule.attempts + 1 end,
      run_at = case
        when run_retention_batch.error is null then rule.run_at
        else clock_timestamp() + least(2 ^ least(rule.attempts, 20), 3600) * interval '1 second'
      end,
      last_error = run_retention_batch.error
    where r.org_id = rule.org_id and r.id = rule.id;
  return next;
end $$;

-- What servers call that know no errors.
create or replace function worker.run_job(p_most integer, out org_id uuid, out kind text, out subject_id uuid, out total bigint,
  out done bigint, out ended boolean) returns setof record
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query select b.org_id, b.kind, b.subject_id, b.total, b.done, b.ended from worker.run_job_batch(p_most) b;
end $$;
create or replace function worker.retain(p_most integer, out org_id uuid, out site_id uuid, out what text, out removed bigint,
  out ended boolean) returns setof record
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query select b.org_id, b.site_id, b.what, b.removed, b.ended from worker.run_retention_batch(p_most) b;
end $$;

-- What is under way, and what of retention fails.
create function admin.list_jobs() returns table (org text, kind text, subject_id uuid, actor text, total bigint, done bigint,
  created_at timestamptz, attempts integer, run_at timestamptz, last_error text)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query
    select coalesce(o.slug, w.org_id::text), w.kind, w.subject_id, w.actor, w.total, w.done, w.created_at, w.attempts, w.run_at,
      w.last_error
    from (
      select j.org_id, j.kind, j.subject_id, j.actor, j.total, j.done, j.created_at, j.attempts, j.run_at, j.last_error
      from vicket.jobs j
      union all
      select r.org_id, 'retention', coalesce(r.site_id, r.org_id), 'retention', 0, 0, r.updated_at, r.attempts, r.run_at, r.last_error
      from vicket.retention r
      where r.attempts > 0
    ) w
    left join vicket.orgs o on o.id = w.org_id
    order by w.created_at;
end $$;
comment on function worker.run_job_batch is
  'One batch of one job; one that fails is put off. Definer: the worker reads no table.';
comment on function worker.run_retention_batch is
  'Deletes a batch of what a site or org does not keep any longer; one that fails is put off. Definer: the worker reads no table.';
comment on function admin.list_jobs is 'All jobs under way, and retention that fails. Definer: commands are bound to one org.';
grant execute on function worker.run_job_batch, worker.run_retention_batch to vicket_worker;
grant execute on function admin.list_jobs to vicket_operator;

set local role vicket_owner;
revoke create on schema worker, admin from vicket_definer;
reset role;
