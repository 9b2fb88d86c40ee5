-- Keys and indexes.
select 'fk-tenantless' as id, t.oid as relation, t.name as object,
  'the foreign key ' || k.conname || ' does not pair the ' || c.name || ' of both rows' as what,
  format('alter table %s drop constraint %I, add constraint %2$I foreign key (org_id%3$s, ...) references %4$s (org_id%3$s, ...);',
    t.name, k.conname, case when c.name = 'sites' then ', site_id' else '' end, target.name) as mend
from tab t
join pg_constraint k on k.conrelid = t.oid and k.contype = 'f' and k.conparentid = 0
join tab target on target.oid = k.confrelid
cross join lateral (
  values ('orgs', t.org_number, target.org_number),
    -- Where both rows belong to one site, it is the same.
    ('sites', case when t.site_not_null and target.site_not_null then t.site_number end, target.site_number)
) as c (name, here, there)
where c.here is not null and c.there is not null
  and not exists (
    select from unnest(k.conkey, k.confkey) as pair (here, there) where pair.here = c.here and pair.there = c.there
  )
union all
select 'fk-set-null', t.oid, t.name, 'the foreign key ' || k.conname || ' sets ' || a.name || ' to ' || case k.confdeltype when 'n' then 'null' else 'its default' end,
  format('alter table %s drop constraint %I, add constraint %2$I foreign key (...) references ... on delete set null (COLUMN);', t.name, k.conname)
from tab t
join pg_constraint k on k.conrelid = t.oid and k.contype = 'f' and k.confdeltype in ('n', 'd')
join attribute a on a.relation = t.oid and a.number in (t.org_number, t.site_number)
  and a.number = any (coalesce(nullif(k.confdelsetcols, '{}'), k.conkey))
union all
-- A digest of 32 bytes says nothing of other tenants by being taken.
select distinct 'unique-global', t.oid, t.name, 'the unique index ' || x.relname || ' tells ' || g.grantee || ' what other orgs have',
  format('drop index %s; create unique index %I on %s (org_id, ...);', x.oid::regclass, x.relname, t.name)
from tab t
join pg_index i on i.indrelid = t.oid and (i.indisunique or i.indisexclusion)
join pg_class x on x.oid = i.indexrelid
join granted g on g.relation = t.oid and g.kind = 'request' and g.privilege in ('INSERT', 'UPDATE')
  and (g.number = 0 or 0 = any (i.indkey::smallint[]) or g.number = any (i.indkey::smallint[]))
where t.org is not null and not t.org_number = any (i.indkey::smallint[])
  and not exists (
    select from attribute a
    join pg_constraint k on k.conrelid = t.oid and k.contype = 'c'
    where a.relation = t.oid and i.indnatts = 1 and a.number = i.indkey[0] and a.type = 'pg_catalog.bytea'::regtype
      and strpos(pg_get_constraintdef(k.oid), 'octet_length(' || a.name || ') = 32') > 0
  )
union all
select 'index-tenantless', t.oid, t.name, 'no index is led by ' || t.org,
  format('create index on %s (%I);', t.name, t.org)
from tab t
where t.org is not null
  and not exists (select from pg_index i where i.indrelid = t.oid and i.indkey[0] = t.org_number and i.indisvalid and i.indpred is null)
