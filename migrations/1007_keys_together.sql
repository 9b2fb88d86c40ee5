-- auth.enter_many: keys that are asked about together. While one question is under way, a server gathers what comes next, so
-- that under load one round trip proves the keys of many requests; none of them enters by it.
grant create on schema auth to vicket_definer;
set local role vicket_definer;

-- Of each pair of digests, in their order, what auth.enter says; an empty digest is no key's, and no origin's. Nothing is set:
-- an answer that is kept needs no context. The sub-selects keep from the planner how many there are, so that it makes one plan
-- for all: a look-up of each by index.
create function auth.enter_many(p_key_hashes bytea[], p_origin_hashes bytea[]) returns setof auth.site_entry
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select case when k.id is null then 'unknown' else 'entered' end, k.id, k.state, k.org_id, k.site_id, k.content_version,
      k.views_version, k.reads_per_minute, k.writes_per_minute, k.network_reads_per_minute, k.network_writes_per_minute,
      coalesce(k.listed, false),
      coalesce(k.listed, exists (select from vicket.site_origins o where o.origin_hash = asked.origin_hash))
    from unnest((select p_key_hashes), (select p_origin_hashes)) with ordinality as asked (key_hash, origin_hash, place)
    left join lateral (
      select k.id, k.state, k.org_id, k.site_id, s.content_version, s.views_version, s.reads_per_minute,
        s.writes_per_minute, s.network_reads_per_minute, s.network_writes_per_minute,
        exists (select from vicket.site_origins o
          where o.org_id = k.org_id and o.site_id = k.site_id and o.origin_hash = asked.origin_hash) as listed
      from vicket.site_keys k
      join vicket.sites s on s.org_id = k.org_id and s.id = k.site_id
      where k.key_hash = asked.key_hash and k.state in ('active', 'staged')
      limit 1
    ) k on true
    order by asked.place;
end $$;
comment on function auth.enter_many is
  'What auth.enter says of many keys, without entering. Definer: no request may read digests.';
grant execute on function auth.enter_many to vicket_gate_widget;

set local role vicket_owner;
revoke create on schema auth from vicket_definer;
reset role;
