-- What customers leave behind: searches that found nothing, and from which origins a key is used. Gathered by the worker, as
-- views are; whoever writes the help center learns what is missing, whoever rotates a key learns whom it will hit.

set local role vicket_owner;

-- ---------------------------------------------------------------------------------------------------------------------
-- missed_searches
-- Why: what customers look for and the help center has not.
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

-- Not led by a tenant: the worker purges whatever is old. Not unique.
create index missed_searches_day on vicket.missed_searches (day);

alter table vicket.missed_searches enable row level security;
alter table vicket.missed_searches force row level security;

create policy agent_reads on vicket.missed_searches
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('article:read')));
create policy definer_counts on vicket.missed_searches
  for all to vicket_definer
  using (true)
  with check (true);

grant select (org_id, site_id, day, search, times) on vicket.missed_searches to vicket_agent;
grant select (org_id, site_id, day, search, times, last_at), insert (org_id, site_id, day, search, times),
  update (times, last_at), delete
  on vicket.missed_searches to vicket_definer;
-- Not granted: anything to vicket_widget, which never asks what others searched for.

comment on table vicket.missed_searches is 'Searches that found no article, for 30 days: at most 1,000 a site and day, the most frequent, then the last.';
comment on column vicket.missed_searches.day is 'In UTC.';
comment on column vicket.missed_searches.search is 'In lower case, white space made one; its first 100 characters.';
comment on policy agent_reads on vicket.missed_searches is 'article:read.';
comment on policy definer_counts on vicket.missed_searches is 'worker.add_missed_searches, worker.purge_missed_searches.';

-- ---------------------------------------------------------------------------------------------------------------------
-- site_key_origins
-- Why: before a key dies one wants to know who uses it. Only origins that the site lists can be here, so their list is
-- as short as that one.
create table vicket.site_key_origins (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null,
  key_id uuid not null,
  origin text not null,
  last_used_at timestamptz not null,
  constraint site_key_origins_pkey primary key (org_id, site_id, key_id, origin),
  constraint site_key_origins_key_fkey foreign key (org_id, site_id, key_id)
    references vicket.site_keys (org_id, site_id, id) on delete cascade,
  constraint site_key_origins_length check (char_length(origin) <= 255)
);

alter table vicket.site_key_origins enable row level security;
alter table vicket.site_key_origins force row level security;

create policy agent_reads on vicket.site_key_origins
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy definer_touches on vicket.site_key_origins
  for all to vicket_definer
  using (true)
  with check (true);

grant select (org_id, site_id, key_id, origin, last_used_at) on vicket.site_key_origins to vicket_agent;
grant select (org_id, site_id, key_id, origin, last_used_at), insert (org_id, site_id, key_id, origin, last_used_at),
  update (last_used_at)
  on vicket.site_key_origins to vicket_definer;

comment on table vicket.site_key_origins is 'From which of the site''s origins a key was used, and when last.';
comment on column vicket.site_key_origins.origin is 'Empty for requests without one: servers and tools.';
comment on policy agent_reads on vicket.site_key_origins is 'Members see where a key was last used.';
comment on policy definer_touches on vicket.site_key_origins is 'worker.touch_key_origins.';

-- ---------------------------------------------------------------------------------------------------------------------
grant create on schema worker to vicket_definer;
reset role;
set local role vicket_definer;

create function worker.add_missed_searches(
  p_org_ids uuid[], p_site_ids uuid[], p_days date[], p_searches text[], p_times bigint[]
) returns void
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
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

-- At most p_most rows a call; returns how many went.
create function worker.purge_missed_searches(p_most integer) returns bigint
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  gone bigint;
begin
  delete from vicket.missed_searches m
    where (m.org_id, m.site_id, m.day, m.search) in (
      select e.org_id, e.site_id, e.day, e.search
      from vicket.missed_searches e
      where e.day < (now() at time zone 'UTC')::date - 30
      limit p_most
    );
  get diagnostics gone = row_count;
  return gone;
end $$;

create function worker.touch_key_origins(
  p_org_ids uuid[], p_site_ids uuid[], p_key_ids uuid[], p_origins text[], p_times timestamptz[]
) returns void
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  insert into vicket.site_key_origins as o (org_id, site_id, key_id, origin, last_used_at)
    select used.org_id, used.site_id, used.key_id, used.origin, used.at
    from unnest(p_org_ids, p_site_ids, p_key_ids, p_origins, p_times) as used (org_id, site_id, key_id, origin, at)
    where exists (
      select from vicket.site_keys k
      where k.org_id = used.org_id and k.site_id = used.site_id and k.id = used.key_id
    )
    order by used.org_id, used.site_id, used.key_id, used.origin
    on conflict (org_id, site_id, key_id, origin) do update
      set last_used_at = greatest(o.last_used_at, excluded.last_used_at);
end $$;

comment on function worker.add_missed_searches(uuid[], uuid[], date[], text[], bigint[]) is
  'Counts searches that found nothing; keeps 1,000 a site and day: the most frequent, then the last.';
comment on function worker.purge_missed_searches(integer) is 'Deletes those of more than 30 days ago; returns how many.';
comment on function worker.touch_key_origins(uuid[], uuid[], uuid[], text[], timestamptz[]) is
  'Writes from which origins keys were last used.';

grant execute on function
  worker.add_missed_searches(uuid[], uuid[], date[], text[], bigint[]),
  worker.purge_missed_searches(integer),
  worker.touch_key_origins(uuid[], uuid[], uuid[], text[], timestamptz[])
  to vicket_worker;

reset role;
set local role vicket_owner;
revoke create on schema worker from vicket_definer;
reset role;
