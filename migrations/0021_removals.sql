-- How rows go, and jobs: what is too much to do at once.
--
-- DELETE is a privilege of whole tables, and whoever has it, or UPDATE or TRUNCATE of a whole table, may lock it
-- against everybody. So requests and commands have none: they ask ctx.remove, row by row, and the policies
-- `definer_delete` of each table decide, as policies of their own would. What has thousands of rows below it is
-- marked in that transaction, out of sight and its keys dead, and goes in small batches of the worker's: each a
-- transaction of its own, so that a kill loses nothing, and no lock is held for long.
set local role vicket_owner;

create table vicket.jobs (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  kind text not null,
  subject_id uuid not null,
  actor text not null default ctx.actor_name(),
  total bigint not null,
  done bigint not null default 0,
  created_at timestamptz not null default now(),
  worked_at timestamptz,
  constraint jobs_pkey primary key (org_id, id),
  constraint jobs_subject_unique unique (org_id, kind, subject_id),
  constraint jobs_kind_known check (
    kind in ('remove_org', 'remove_site', 'remove_status', 'remove_priority', 'move_status', 'forget_org'))
);
-- No foreign key: a job ends after its subject, and its org. An ended one is no row: the table is as short as what
-- waits.

alter table vicket.jobs enable row level security, force row level security;

create policy agent_select on vicket.jobs for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy operator_select on vicket.jobs for select to vicket_operator using (org_id = (select ctx.org_id()));
create policy definer_select on vicket.jobs for select to vicket_definer using (true);
create policy definer_insert on vicket.jobs for insert to vicket_definer with check (org_id = (select ctx.org_id()));
create policy definer_update on vicket.jobs for update to vicket_definer
  using (session_user = 'vicket_worker' or org_id = (select ctx.org_id()))
  with check (session_user = 'vicket_worker' or org_id = (select ctx.org_id()));
create policy definer_delete on vicket.jobs for delete to vicket_definer using (session_user = 'vicket_worker');

grant select (org_id, id, kind, subject_id, actor, total, done, created_at, worked_at) on vicket.jobs to vicket_agent, vicket_operator;
grant select, insert (kind, subject_id, actor, total), update (total, done, worked_at), delete on vicket.jobs to vicket_definer;
-- Not granted: any write to requests and commands.

comment on table vicket.jobs is 'What the worker does in batches, and how far it is.';
comment on column vicket.jobs.subject_id is 'Of the org, site, status or priority.';
comment on column vicket.jobs.actor is 'Who began it, as ctx.actor_name calls them.';
comment on column vicket.jobs.total is
  'Tickets when it began; articles count too while they go. Of forget_org, entries of the audit log.';
comment on policy agent_select on vicket.jobs is 'Members see what is under way in their org.';
comment on policy operator_select on vicket.jobs is 'Administration commands, after admin.enter_org.';
comment on policy definer_select on vicket.jobs is
  'Not narrowed: worker.run_job takes whichever waited longest; admin.jobs lists them.';
comment on policy definer_insert on vicket.jobs is 'ctx.remove_large, status_moved, org_gone.';
comment on policy definer_update on vicket.jobs is 'worker.run_job, of any org; status_moved, of one.';
comment on policy definer_delete on vicket.jobs is 'worker.run_job.';

set local role vicket_definer;
-- Says how many rows went: none is what a refusal looks like. p_of, p_text: what they belong to, and which of it.
create function ctx.remove(p_table text, p_ids uuid[], p_of uuid default null, p_text text default null) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  org constant uuid := ctx.org_id();
  gone bigint;
begin
  case p_table
    when 'articles' then
      delete from vicket.articles t where t.org_id = org and t.id = any (p_ids);
    when 'faqs' then
      delete from vicket.faqs t where t.org_id = org and t.id = any (p_ids);
    when 'invitations' then
      delete from vicket.invitations t where t.org_id = org and t.id = any (p_ids);
    when 'members' then
      delete from vicket.members t where t.org_id = org and t.user_id = any (p_ids);
    when 'refused_origins' then
      delete from vicket.refused_origins t
        where t.org_id = org and t.site_id = p_of and (p_text is null or t.origin = p_text);
    when 'saved_replies' then
      delete from vicket.saved_replies t where t.org_id = org and t.id = any (p_ids);
    when 'site_origins' then
      delete from vicket.site_origins t where t.org_id = org and t.site_id = p_of and t.origin = p_text;
    when 'team_members' then
      delete from vicket.team_members t where t.org_id = org and t.team_id = p_of and t.user_id = any (p_ids);
    when 'team_sites' then
      delete from vicket.team_sites t where t.org_id = org and t.team_id = p_of and t.site_id = any (p_ids);
    when 'teams' then
      delete from vicket.teams t where t.org_id = org and t.id = any (p_ids);
    when 'template_questions' then
      delete from vicket.template_questions t where t.org_id = org and t.template_id = p_of;
    when 'template_sites' then
      delete from vicket.template_sites t where t.org_id = org and t.template_id = p_of;
    when 'template_thresholds' then
      delete from vicket.template_thresholds t where t.org_id = org and t.template_id = p_of;
    when 'templates' then
      delete from vicket.templates t where t.org_id = org and t.id = any (p_ids);
    when 'tickets' then
      delete from vicket.tickets t where t.org_id = org and t.id = any (p_ids);
  end case;
  get diagnostics gone = row_count;
  return gone;
end $$;

-- A site that is marked, by at most p_most rows: first what is many. Articles before their site, in order: as
-- worker.add_views takes them. Says how many went; none is left when it is none.
create function worker.shrink_site(p_org_id uuid, p_site_id uuid, p_most integer) returns bigint
  language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  gone bigint;
begin
  delete from vicket.tickets t
    where t.org_id = p_org_id and t.site_id = p_site_id and t.id in (
      select d.id from vicket.tickets d where d.org_id = p_org_id and d.site_id = p_site_id order by d.number limit p_most
    );
  get diagnostics gone = row_count;
  if gone = 0 then
    delete from vicket.articles a
      where a.org_id = p_org_id and a.site_id = p_site_id and a.id in (
        select d.id from vicket.articles d
        where d.org_id = p_org_id and d.site_id = p_site_id
        order by d.id
        limit p_most
        for update
      );
    get diagnostics gone = row_count;
  end if;
  if gone = 0 then
    delete from vicket.missed_searches m
      where m.org_id = p_org_id and m.site_id = p_site_id and (m.day, m.search) in (
        select d.day, d.search from vicket.missed_searches d
        where d.org_id = p_org_id and d.site_id = p_site_id
        order by d.day, d.search
        limit p_most
      );
    get diagnostics gone = row_count;
  end if;
  return gone;
end $$;

-- For an org, a site, a status or a priority: at once when at most 1,000 tickets and articles go or move, else
-- marked, and the rest is a job. Says whether there was such a row, and 42501 to whoever may not.
create function ctx.remove_large(p_table text, p_id uuid) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  at_once constant integer := 1000;
  org constant uuid := ctx.org_id();
  permission constant text := case p_table
    when 'orgs' then 'org:delete' when 'sites' then 'site:delete'
    when 'statuses' then 'status:edit' when 'priorities' then 'priority:edit'
  end;
  of_sites constant uuid[] := case p_table
    when 'sites' then array[p_id]
    when 'orgs' then array(select s.id from vicket.sites s where s.org_id = org)
  end;
  total bigint;
  each uuid;
begin
  if not coalesce(ctx.may(permission), false) then
    raise exception '% is needed', permission using errcode = 'insufficient_privilege';
  end if;
  -- No longer than is needed to know that it is too much.
  total := case p_table
    when 'statuses' then (
      select count(*) from (select from vicket.tickets t where t.org_id = org and t.status_id = p_id limit at_once + 1) t)
    when 'priorities' then (
      select count(*) from (select from vicket.tickets t where t.org_id = org and t.priority_id = p_id limit at_once + 1) t)
    else (
      select count(*) from (
        select from vicket.tickets t where t.org_id = org and t.site_id = any (of_sites) limit at_once + 1
      ) t) + (
      select count(*) from (
        select from vicket.articles a
        where a.org_id = org and (p_table = 'orgs' or a.site_id = any (of_sites))
        limit at_once + 1
      ) a)
  end;
  if total <= at_once and p_table in ('orgs', 'sites') then
    -- Articles before their site, in order: as worker.add_views takes them.
    perform from vicket.articles a
      where a.org_id = org and (p_table = 'orgs' or a.site_id = any (of_sites))
      order by a.id
      for share;
  end if;

  case p_table
    when 'orgs' then
      update vicket.orgs o set deleted_at = now() where o.id = org and o.id = p_id and o.deleted_at is null;
    when 'sites' then
      update vicket.sites s set deleted_at = now() where s.org_id = org and s.id = p_id and s.deleted_at is null;
    when 'statuses' then
      update vicket.statuses s set deleted_at = now() where s.org_id = org and s.id = p_id and s.deleted_at is null;
    when 'priorities' then
      update vicket.priorities p set deleted_at = now() where p.org_id = org and p.id = p_id and p.deleted_at is null;
  end case;
  if not found then
    return false;
  end if;
  if p_table in ('orgs', 'sites') then
    update vicket.sites s set deleted_at = now() where s.org_id = org and s.id = any (of_sites) and s.deleted_at is null;
    update vicket.site_keys k
      set state = 'revoked', revoked_at = now()
      where k.org_id = org and k.site_id = any (of_sites) and k.state <> 'revoked';
    delete from vicket.site_origins o where o.org_id = org and o.site_id = any (of_sites);
  end if;

  if total > at_once then
    insert into vicket.jobs (kind, subject_id, total)
      values (
        case p_table when 'orgs' then 'remove_org' when 'sites' then 'remove_site'
          when 'statuses' then 'remove_status' else 'remove_priority' end,
        p_id,
        (select count(*) from vicket.tickets t
          where t.org_id = org and case p_table
            when 'orgs' then true
            when 'sites' then t.site_id = p_id
            when 'statuses' then t.status_id = p_id
            else t.priority_id = p_id
          end)
      );
    if p_table = 'orgs' then
      delete from vicket.members m where m.org_id = org;
    end if;
    return true;
  end if;

  case p_table
    when 'statuses' then
      update vicket.tickets t
        set status_id = (select s.id from vicket.statuses s where s.org_id = org and s.is_default)
        where t.org_id = org and t.status_id = p_id;
      delete from vicket.statuses s where s.org_id = org and s.id = p_id;
    when 'priorities' then
      update vicket.tickets t
        set priority_id = (select p.id from vicket.priorities p where p.org_id = org and p.is_default)
        where t.org_id = org and t.priority_id = p_id;
      delete from vicket.priorities p where p.org_id = org and p.id = p_id;
    else
      delete from vicket.articles a where a.org_id = org and (p_table = 'orgs' or a.site_id = any (of_sites));
      foreach each in array of_sites loop
        delete from vicket.sites s where s.org_id = org and s.id = each;
      end loop;
      if p_table = 'orgs' then
        delete from vicket.orgs o where o.id = org;
      end if;
  end case;
  return true;
end $$;

-- A status of another category takes its tickets with it.
create function vicket.status_moved() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  waiting constant bigint := (
    select count(*) from vicket.tickets t
    where t.org_id = new.org_id and t.status_id = new.id and t.status <> new.category
  );
begin
  if waiting > 1000 then
    insert into vicket.jobs as j (kind, subject_id, total)
      values ('move_status', new.id, waiting)
      on conflict (org_id, kind, subject_id) do update set total = j.done + waiting;
  else
    update vicket.tickets t
      set status = new.category
      where t.org_id = new.org_id and t.status_id = new.id and t.status <> new.category;
  end if;
  return null;
end $$;

-- Of an org that is gone, p_most entries after p_done: who did it and to what, and the accounts of people who are in
-- no other org. The first call says so in the log.
create function worker.forget_org(p_org_id uuid, p_done bigint, p_total bigint, p_most integer) returns bigint
  language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  last constant bigint := least(p_done + p_most, p_total);
  everything constant text := int8multirange(int8range(1, p_total, '[]'))::text;
  people constant uuid[] := array(
    select l.actor_id
    from vicket.audit_log l
    where l.org_id = p_org_id and l.seq > p_done and l.seq <= last and l.actor_kind = 'user'
    union
    select l.object_id::uuid
    from vicket.audit_log l
    where l.org_id = p_org_id and l.seq > p_done and l.seq <= last and l.object_kind = 'member'
  );
  entry vicket.audit_log;
begin
  if p_done = 0 then
    entry.org_id := p_org_id;
    entry.actor_kind := 'cli';
    entry.actor := 'cli';
    entry.action := 'erased';
    entry.object_kind := 'org';
    entry.object_id := p_org_id;
    entry.after := jsonb_build_object('actor', everything, 'object', everything);
    perform vicket.append_audit(entry);
  end if;
  update vicket.audit_log l
    set actor_id = null, actor = null, actor_salt = null, object_id = null, before = null, after = null, object_salt = null
    where l.org_id = p_org_id and l.seq > p_done and l.seq <= last;
  delete from vicket.users u
    where u.id = any (people) and not exists (select from vicket.members m where m.user_id = u.id);
  return last - p_done;
end $$;

-- One batch of the job that waited longest, of at most p_most rows; no row when there is none. Another process takes
-- another job.
create function worker.run_job(
  p_most integer, out org_id uuid, out kind text, out subject_id uuid, out total bigint, out done bigint, out ended boolean
) returns setof record
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  job vicket.jobs;
  moved bigint;
  place uuid;
begin
  select j.* into job
    from vicket.jobs j
    order by j.worked_at nulls first, j.created_at
    limit 1
    for update skip locked;
  if not found then
    return;
  end if;
  perform set_config('app.org_id', job.org_id::text, true), set_config('app.actor', job.actor, true);
  run_job.ended := false;
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
        run_job.ended := true;
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
        run_job.ended := true;
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
      run_job.ended := moved = 0;
    when 'remove_site' then
      moved := worker.shrink_site(job.org_id, job.subject_id, p_most);
      if moved = 0 then
        delete from vicket.sites s where s.org_id = job.org_id and s.id = job.subject_id;
        run_job.ended := true;
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
          run_job.ended := true;
        end if;
      end if;
    when 'forget_org' then
      moved := worker.forget_org(job.org_id, job.done, job.total, p_most);
      run_job.ended := job.done + moved >= job.total;
  end case;
  run_job.org_id := job.org_id;
  run_job.kind := job.kind;
  run_job.subject_id := job.subject_id;
  run_job.done := job.done + moved;
  run_job.total := greatest(job.total, run_job.done);
  if run_job.ended then
    delete from vicket.jobs j where j.org_id = job.org_id and j.id = job.id;
  else
    update vicket.jobs j
      set done = run_job.done, total = run_job.total, worked_at = clock_timestamp()
      where j.org_id = job.org_id and j.id = job.id;
  end if;
  return next;
end $$;

create function admin.jobs()
  returns table (org text, kind text, subject_id uuid, actor text, total bigint, done bigint, created_at timestamptz)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query
    select coalesce(o.slug, j.org_id::text), j.kind, j.subject_id, j.actor, j.total, j.done, j.created_at
    from vicket.jobs j
    left join vicket.orgs o on o.id = j.org_id
    order by j.created_at;
end $$;

comment on function ctx.remove is 'Deletes rows; says how many. Definer: with DELETE a request could lock a table.';
comment on function ctx.remove_large is
  'Deletes an org, site, status or priority, at once or as a job; says whether it was there. Definer: with DELETE a request could lock a table.';
comment on function vicket.status_moved is
  'Trigger: a status of another category takes its tickets with it. Definer: no request may write there.';
comment on function worker.forget_org is
  'Erases a batch of a deleted org''s audit log; says how many entries. For worker.run_job.';
comment on function worker.shrink_site is 'Deletes a batch of what a site has; says how many. For worker.run_job.';
comment on function worker.run_job is 'One batch of one job. Definer: the worker reads no table.';
comment on function admin.jobs is 'All jobs under way. Definer: commands are bound to one org.';
grant execute on function ctx.remove, ctx.remove_large to vicket_agent, vicket_operator;
grant execute on function vicket.status_moved to vicket_owner;
grant execute on function worker.run_job to vicket_worker;
grant execute on function admin.jobs to vicket_operator;

set local role vicket_owner;
-- What outlives an org is its audit log, which is then to forget whom it names. Orgs are deleted by
-- vicket_definer's functions, with whose rights this runs.
create function vicket.org_gone() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  insert into vicket.jobs (kind, subject_id, actor, total)
    select 'forget_org', old.id, 'cli', h.last_seq from vicket.audit_heads h where h.org_id = old.id;
  return null;
end $$;

create trigger status_moved after update of category on vicket.statuses
  for each row execute function vicket.status_moved();
create trigger org_gone after delete on vicket.orgs
  for each row execute function vicket.org_gone();
reset role;
