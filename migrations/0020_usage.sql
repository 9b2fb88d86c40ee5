-- missed_searches: what customers look for and the help center has not; and what expires, of any noun. Gathered by
-- the worker, as views are: whoever writes the help center learns what is missing.
set local role vicket_owner;

create table vicket.missed_searches (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null,
  day date not null,
  search text not null,
  times bigint not null,
  last_at timestamptz not null default clock_timestamp(),
  constraint missed_searches_pkey primary key (org_id, site_id, day, search),
  constraint missed_searches_site_fkey foreign key (org_id, site_id) references vicket.sites (org_id, id) on delete cascade,
  constraint missed_searches_length check (char_length(search) between 1 and 100)
);
-- Not led by a tenant: the worker purges whatever is old.
create index missed_searches_day on vicket.missed_searches (day);
create statistics vicket.missed_searches_tenant (dependencies, ndistinct) on org_id, site_id from vicket.missed_searches;

alter table vicket.missed_searches enable row level security, force row level security;

create policy agent_select on vicket.missed_searches for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('article:read')));
create policy definer_select on vicket.missed_searches for select to vicket_definer using (true);
create policy definer_insert on vicket.missed_searches for insert to vicket_definer with check (true);
create policy definer_update on vicket.missed_searches for update to vicket_definer
  using (session_user = 'vicket_worker') with check (session_user = 'vicket_worker');
create policy definer_delete on vicket.missed_searches for delete to vicket_definer
  using (session_user = 'vicket_worker' or org_id = (select ctx.org_id()) and (select ctx.may('site:delete')));

grant select (org_id, site_id, day, search, times) on vicket.missed_searches to vicket_agent;
grant select (org_id, site_id, day, search, times, last_at), insert (org_id, site_id, day, search, times),
  update (times, last_at), delete
  on vicket.missed_searches to vicket_definer;
-- Not granted: anything to vicket_widget, which never asks what others searched for.

comment on table vicket.missed_searches is
  'Searches that found no article, for 30 days: at most 1,000 a site and day, the most frequent, then the last.';
comment on column vicket.missed_searches.day is 'In UTC.';
comment on column vicket.missed_searches.search is 'In lower case, white space made one; its first 100 characters.';
comment on policy definer_select on vicket.missed_searches is
  'Not narrowed: worker.add_missed_searches counts for many orgs at once.';
comment on policy definer_insert on vicket.missed_searches is
  'Not narrowed: worker.add_missed_searches counts for many orgs at once.';
comment on policy definer_update on vicket.missed_searches is 'worker.add_missed_searches.';
comment on policy definer_delete on vicket.missed_searches is
  'worker.add_missed_searches, worker.purge, worker.run_job; ctx.remove with their site.';

set local role vicket_definer;
-- Sites first, in order: whoever deletes one locks it before its rows.
create function worker.add_missed_searches(
  p_org_ids uuid[], p_site_ids uuid[], p_days date[], p_searches text[], p_times bigint[]
) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform from vicket.sites s
    where (s.org_id, s.id) in (select u.org_id, u.site_id from unnest(p_org_ids, p_site_ids) as u (org_id, site_id))
    order by s.org_id, s.id
    for key share;
  insert into vicket.missed_searches as m (org_id, site_id, day, search, times)
    select missed.org_id, missed.site_id, missed.day, missed.search, missed.times
    from unnest(p_org_ids, p_site_ids, p_days, p_searches, p_times) as missed (org_id, site_id, day, search, times)
    where exists (select from vicket.sites s where s.org_id = missed.org_id and s.id = missed.site_id)
    order by missed.org_id, missed.site_id, missed.day, missed.search
    on conflict (org_id, site_id, day, search) do update
      set times = m.times + excluded.times, last_at = excluded.last_at;
  delete from vicket.missed_searches m
    using (
      select k.org_id, k.site_id, k.day, k.search,
        row_number() over (partition by k.org_id, k.site_id, k.day order by k.times desc, k.last_at desc, k.search) as place
      from vicket.missed_searches k
      where (k.org_id, k.site_id, k.day) in (
        select u.org_id, u.site_id, u.day from unnest(p_org_ids, p_site_ids, p_days) as u (org_id, site_id, day)
      )
    ) ranked
    where ranked.place > 1000
      and m.org_id = ranked.org_id and m.site_id = ranked.site_id and m.day = ranked.day and m.search = ranked.search;
end $$;

-- Idempotency keys after 24 hours, sessions that have ended, searches after 30 days: at most p_most rows of each a
-- call, so that no call is long; returns how many went.
create function worker.purge(p_most integer) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  gone bigint;
  of_all bigint := 0;
begin
  delete from vicket.submissions s
    using (
      select e.org_id, e.site_id, e.key_hash
      from vicket.submissions e
      where e.created_at <= now() - interval '24 hours'
      order by e.created_at
      limit p_most
      for update skip locked
    ) expired
    where s.org_id = expired.org_id and s.site_id = expired.site_id and s.key_hash = expired.key_hash;
  get diagnostics gone = row_count;
  of_all := of_all + gone;
  delete from vicket.sessions s
    where s.id in (
      select e.id
      from vicket.sessions e
      where e.created_at <= now() - interval '14 days'
        and (e.last_used_at <= now() - interval '14 days' or e.created_at <= now() - interval '90 days')
      order by e.created_at
      limit p_most
    );
  get diagnostics gone = row_count;
  of_all := of_all + gone;
  delete from vicket.missed_searches m
    where (m.org_id, m.site_id, m.day, m.search) in (
      select e.org_id, e.site_id, e.day, e.search
      from vicket.missed_searches e
      where e.day < (now() at time zone 'UTC')::date - 30
      order by e.day
      limit p_most
    );
  get diagnostics gone = row_count;
  return of_all + gone;
end $$;
comment on function worker.add_missed_searches is
  'Counts searches that found nothing; keeps 1,000 a site and day. Definer: the worker reads no table.';
comment on function worker.purge is 'Deletes what has expired; returns how many. Definer: the worker reads no table.';
grant execute on function worker.add_missed_searches, worker.purge to vicket_worker;
reset role;
