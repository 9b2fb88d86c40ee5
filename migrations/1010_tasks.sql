-- tasks: work that waits, a row each, written in the transaction of the change that wants it: no change without its task,
-- and no task without its change. Processes claim it in batches, with a fair share for each org, for the time of a lease;
-- whoever is killed lets the lease end, and another claims it again. What is done is no row: the table is as long as what
-- waits. What was given up stays, for people to see and to run again.
set local role vicket_owner;

create table vicket.tasks (
  org_id uuid not null default ctx.org_id(),
  site_id uuid,
  id uuid not null default gen_random_uuid(),
  kind text not null,
  subject_id uuid not null,
  run_at timestamptz not null default now(),
  attempts integer not null default 0,
  last_error text,
  dead_at timestamptz,
  created_at timestamptz not null default now(),
  constraint tasks_pkey primary key (org_id, id),
  constraint tasks_subject_unique unique (org_id, kind, subject_id),
  constraint tasks_org_fkey foreign key (org_id) references vicket.orgs (id) on delete cascade,
  constraint tasks_site_fkey foreign key (org_id, site_id) references vicket.sites (org_id, id) on delete cascade,
  constraint tasks_kind_known check (kind = any (array['mail'])),
  constraint tasks_last_error_length check (char_length(last_error) <= 1000)
);
-- Led by the kind: whoever claims looks for the next org that has any of it, and then for what is due there.
create index tasks_due on vicket.tasks (kind, org_id, run_at) where dead_at is null;
-- A site that goes finds its own.
create index tasks_of_site on vicket.tasks (org_id, site_id) where site_id is not null;
create statistics vicket.tasks_tenant (dependencies, ndistinct) on org_id, site_id from vicket.tasks;

alter table vicket.tasks enable row level security, force row level security;

create policy agent_select on vicket.tasks for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('mail:read'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy definer_select on vicket.tasks for select to vicket_definer using (true);
create policy definer_insert on vicket.tasks for insert to vicket_definer with check (org_id = (select ctx.org_id()));
create policy definer_update on vicket.tasks for update to vicket_definer
  using (session_user = 'vicket_worker' or org_id = (select ctx.org_id()) and (select ctx.may('mail:edit')))
  with check (session_user = 'vicket_worker' or org_id = (select ctx.org_id()) and (select ctx.may('mail:edit')));
create policy definer_delete on vicket.tasks for delete to vicket_definer using (true);

grant select (org_id, site_id, id, kind, subject_id, attempts, last_error, dead_at, created_at) on vicket.tasks to vicket_agent;
grant select, insert (org_id, site_id, kind, subject_id), update (run_at, attempts, last_error, dead_at), delete
  on vicket.tasks to vicket_definer;
-- Not granted: anything to the widget, whose changes leave tasks by trigger; any write to requests.

comment on table vicket.tasks is 'Work that waits, and what was given up. What is done is no row.';
comment on column vicket.tasks.kind is 'mail: to be sent. No personal data.';
comment on column vicket.tasks.subject_id is 'Of what it is about: of mail, vicket.mails. It goes with it, by trigger.';
comment on column vicket.tasks.run_at is
  'When it is due; while somebody works on it, when their lease ends. By the clock of the database.';
comment on column vicket.tasks.attempts is 'How often it was claimed since it was last run by hand.';
comment on column vicket.tasks.last_error is 'What the last one who tried was told. Personal data.';
comment on column vicket.tasks.dead_at is 'When it was given up.';
comment on policy agent_select on vicket.tasks is 'mail:read, what was given up; within one''s teams.';
comment on policy definer_select on vicket.tasks is
  'Not narrowed: worker.claim and its kin, of any org; the trigger mails_gone, whoever deletes.';
comment on policy definer_insert on vicket.tasks is 'The triggers that write mail.';
comment on policy definer_update on vicket.tasks is 'worker.claim, renew and retry, of any org; ctx.run_again, of one.';
comment on policy definer_delete on vicket.tasks is 'Not narrowed: worker.done; the trigger mails_gone, whoever deletes.';

grant create on schema ctx, worker to vicket_definer;
set local role vicket_definer;
-- Claims tasks that are due, p_most at the most, for p_lease. Orgs that have any are found by a look at the index each,
-- beginning anywhere, a thousand at the most; each gets the same share, so that what one org has waiting delays no other.
create function worker.claim(p_kind text, p_most integer, p_lease interval)
  returns table (org_id uuid, id uuid, subject_id uuid, attempts integer, created_at timestamptz)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  clock constant timestamptz := clock_timestamp();
  anywhere constant uuid := gen_random_uuid();
  orgs uuid[];
  share integer;
begin
  orgs := array(
    with recursive
      upward (org_id, due) as (
        select null::uuid, false
        union all
        select next.org_id, next.run_at <= clock
        from upward a
        cross join lateral (
          select t.org_id, t.run_at
          from vicket.tasks t
          where t.kind = p_kind and t.dead_at is null and t.org_id > coalesce(a.org_id, anywhere)
          order by t.org_id, t.run_at
          limit 1
        ) next
      ),
      rest (org_id, due) as (
        select null::uuid, false
        union all
        select next.org_id, next.run_at <= clock
        from rest b
        cross join lateral (
          select t.org_id, t.run_at
          from vicket.tasks t
          where t.kind = p_kind and t.dead_at is null and t.org_id <= anywhere
            and t.org_id > coalesce(b.org_id, '00000000-0000-0000-0000-000000000000')
          order by t.org_id, t.run_at
          limit 1
        ) next
      )
    select w.org_id
    from (
      (select a.org_id, a.due from upward a limit 1000) union all (select b.org_id, b.due from rest b limit 1000)
    ) w
    where w.due
    limit p_most
  );
  share := ceil(p_most::numeric / greatest(cardinality(orgs), 1));
  return query
    with due as materialized (
      select o.org_id, d.id
      from unnest((select orgs)) o (org_id)
      cross join lateral (
        select t.id
        from vicket.tasks t
        where t.org_id = o.org_id and t.kind = p_kind and t.dead_at is null and t.run_at <= clock
        order by t.run_at
        limit share
        for update skip locked
      ) d
      limit p_most
    )
    update vicket.tasks t
      set run_at = clock + p_lease, attempts = t.attempts + 1
      from due
      where t.org_id = due.org_id and t.id = due.id
      returning t.org_id, t.id, t.subject_id, t.attempts, t.created_at;
end $$;

-- Who still works on tasks keeps them.
create function worker.renew(p_org_ids uuid[], p_ids uuid[], p_lease interval) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update vicket.tasks t
    set run_at = clock_timestamp() + p_lease
    from unnest((select p_org_ids), (select p_ids)) as mine (org_id, id)
    where t.org_id = mine.org_id and t.id = mine.id and t.dead_at is null;
end $$;

create function worker.done(p_org_ids uuid[], p_ids uuid[]) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from vicket.tasks t
    using unnest((select p_org_ids), (select p_ids)) as done (org_id, id)
    where t.org_id = done.org_id and t.id = done.id;
end $$;

-- Each is due again after so many seconds; NULL gives it up.
create function worker.retry(p_org_ids uuid[], p_ids uuid[], p_seconds double precision[], p_errors text[]) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update vicket.tasks t
    set run_at = clock_timestamp() + coalesce(failed.seconds, 0) * interval '1 second',
      last_error = left(failed.error, 1000),
      dead_at = case when failed.seconds is null then now() end
    from unnest((select p_org_ids), (select p_ids), (select p_seconds), (select p_errors)) as failed (org_id, id, seconds, error)
    where t.org_id = failed.org_id and t.id = failed.id;
end $$;

comment on function worker.claim is
  'Claims tasks of a kind for a time, a fair share of each org. Definer: the worker reads no table.';
comment on function worker.renew is 'Lengthens leases. Definer: the worker reads no table.';
comment on function worker.done is 'Deletes tasks that are done. Definer: the worker reads no table.';
comment on function worker.retry is 'Puts tasks off, or gives them up. Definer: the worker reads no table.';
grant execute on function worker.claim, worker.renew, worker.done, worker.retry to vicket_worker;

set local role vicket_owner;
revoke create on schema ctx, worker from vicket_definer;
reset role;
