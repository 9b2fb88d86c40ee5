-- Background work: counts that requests gathered, written in batches off their path, and expiry. The login
-- vicket_worker may execute these and read no table. Arrays of one call have one length; rows that are gone meanwhile
-- are skipped.

set local role vicket_owner;
grant create on schema worker to vicket_definer;
reset role;
set local role vicket_definer;

create function worker.add_views(p_org_ids uuid[], p_article_ids uuid[], p_counts bigint[]) returns void
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  -- Rows are locked in order, so that two processes that flush at once cannot deadlock.
  perform from vicket.articles a
    join unnest(p_org_ids, p_article_ids) as seen (org_id, article_id)
      on a.org_id = seen.org_id and a.id = seen.article_id
    order by a.org_id, a.id
    for no key update of a;
  update vicket.articles a
    set view_count = a.view_count + seen.views
    from unnest(p_org_ids, p_article_ids, p_counts) as seen (org_id, article_id, views)
    where a.org_id = seen.org_id and a.id = seen.article_id;
end $$;

create function worker.touch_keys(p_org_ids uuid[], p_site_ids uuid[], p_key_ids uuid[], p_times timestamptz[]) returns void
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform from vicket.site_keys k
    join unnest(p_org_ids, p_site_ids, p_key_ids) as used (org_id, site_id, key_id)
      on k.org_id = used.org_id and k.site_id = used.site_id and k.id = used.key_id
    order by k.org_id, k.site_id, k.id
    for no key update of k;
  update vicket.site_keys k
    set last_used_at = greatest(k.last_used_at, used.at)
    from unnest(p_org_ids, p_site_ids, p_key_ids, p_times) as used (org_id, site_id, key_id, at)
    where k.org_id = used.org_id and k.site_id = used.site_id and k.id = used.key_id;
end $$;

-- At most 200 a site: the least recent go.
create function worker.add_refused_origins(
  p_org_ids uuid[], p_site_ids uuid[], p_origins text[], p_times bigint[], p_first timestamptz[], p_last timestamptz[]
) returns void
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  insert into vicket.refused_origins as r (org_id, site_id, origin, times, first_seen, last_seen)
    select seen.org_id, seen.site_id, left(seen.origin, 255), seen.times, seen.first_seen, seen.last_seen
    from unnest(p_org_ids, p_site_ids, p_origins, p_times, p_first, p_last)
      as seen (org_id, site_id, origin, times, first_seen, last_seen)
    where exists (select from vicket.sites s where s.org_id = seen.org_id and s.id = seen.site_id)
    order by seen.org_id, seen.site_id, seen.origin
    on conflict (org_id, site_id, origin) do update
      set times = r.times + excluded.times, last_seen = greatest(r.last_seen, excluded.last_seen);
  delete from vicket.refused_origins r
    using (
      select o.org_id, o.site_id, o.origin,
        row_number() over (partition by o.org_id, o.site_id order by o.last_seen desc, o.origin) as place
      from vicket.refused_origins o
      where (o.org_id, o.site_id) in (select u.org_id, u.site_id from unnest(p_org_ids, p_site_ids) as u (org_id, site_id))
    ) ranked
    where ranked.place > 200
      and r.org_id = ranked.org_id and r.site_id = ranked.site_id and r.origin = ranked.origin;
end $$;

-- Idempotency keys live 24 hours. At most p_most rows a call, so that no call is long; returns how many went.
create function worker.purge_expired(p_most integer) returns bigint
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  gone bigint;
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
  return gone;
end $$;

comment on function worker.add_views(uuid[], uuid[], bigint[]) is 'Adds gathered views to articles.';
comment on function worker.touch_keys(uuid[], uuid[], uuid[], timestamptz[]) is 'Writes when keys were last used.';
comment on function worker.add_refused_origins(uuid[], uuid[], text[], bigint[], timestamptz[], timestamptz[]) is
  'Counts origins that were refused; keeps the 200 most recent a site.';
comment on function worker.purge_expired(integer) is 'Deletes idempotency keys older than 24 hours; returns how many.';

grant execute on function
  worker.add_views(uuid[], uuid[], bigint[]),
  worker.touch_keys(uuid[], uuid[], uuid[], timestamptz[]),
  worker.add_refused_origins(uuid[], uuid[], text[], bigint[], timestamptz[], timestamptz[]),
  worker.purge_expired(integer)
  to vicket_worker;

reset role;
set local role vicket_owner;
revoke create on schema worker from vicket_definer;
reset role;
