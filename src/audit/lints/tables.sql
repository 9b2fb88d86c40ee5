-- Tables and what else holds rows.
select 'rls-off' as id, t.oid as relation, t.name as object, 'row-level security is off' as what,
  format('alter table %s enable row level security;', t.name) as mend
from tab t where not t.rls
union all
select 'rls-not-forced', t.oid, t.name, 'row-level security is not forced: the owner passes it',
  format('alter table %s force row level security;', t.name)
from tab t where not t.forced
union all
select 'rls-no-policy', t.oid, t.name, 'there is no policy',
  format('create policy NAME on %s for select to ROLE using (org_id = (select ctx.org_id()));', t.name)
from tab t
where not exists (select from policy p where p.relation = t.oid)
  -- Nobody is to reach a partition past its parent, or a month that was taken out of the audit log.
  and not t.is_partition and t.schema <> 'archive'
union all
select 'policies-unused', t.oid, t.name, 'policies exist, and row-level security is off',
  format('alter table %s enable row level security;', t.name)
from tab t where not t.rls and exists (select from policy p where p.relation = t.oid)
union all
select 'table-owner', r.oid, r.name, 'belongs to ' || pg_get_userbyid(r.owner) || ', not to vicket_owner',
  format('alter table %s owner to vicket_owner;', r.name)
from relation r where pg_get_userbyid(r.owner) <> 'vicket_owner' and r.kind <> 'S'
union all
select 'table-owner', null, 'schema ' || s.name, 'belongs to ' || pg_get_userbyid(s.nspowner) || ', not to vicket_owner',
  format('alter schema %I owner to vicket_owner;', s.name)
from schema s where s.name in ('vicket', 'ctx', 'auth', 'worker', 'admin', 'audit', 'archive')
  and pg_get_userbyid(s.nspowner) <> 'vicket_owner'
union all
-- Of people and of what roles may do, which no request role reaches, nobody is the tenant.
select 'tenant-missing', t.oid, t.name, 'a request role reaches it, and it has no org_id',
  format('alter table %s add column org_id uuid not null default ctx.org_id() references vicket.orgs (id);', t.name)
from tab t
where t.org is null and (
  exists (select from granted g where g.relation = t.oid and (g.kind in ('request', 'operator') or g.oid = 0))
  or exists (select from policy p join role on role.oid = any (p.roles)
    where p.relation = t.oid and role.kind in ('request', 'operator'))
)
union all
select 'tenant-nullable', t.oid, t.name, t.org || ' may be null',
  format('alter table %s alter column %I set not null;', t.name, t.org)
from tab t where t.org is not null and not t.org_not_null
union all
select 'trigger-disabled', t.oid, t.name, 'the trigger ' || g.tgname || ' is disabled',
  format('alter table %s enable trigger %I;', t.name, g.tgname)
from tab t join pg_trigger g on g.tgrelid = t.oid where g.tgenabled in ('D', 'R')
union all
select 'constraint-unvalidated', t.oid, t.name, 'the constraint ' || k.conname || ' was never validated',
  format('alter table %s validate constraint %I;', t.name, k.conname)
from tab t join pg_constraint k on k.conrelid = t.oid
where not k.convalidated and coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
union all
-- From 18 on a foreign key, or a check, may be there and hold nothing.
select 'constraint-unenforced', t.oid, t.name, 'the constraint ' || k.conname || ' is not enforced',
  format('alter table %s drop constraint %I, add constraint %2$I %s;', t.name, k.conname,
    replace(pg_get_constraintdef(k.oid), ' NOT ENFORCED', ''))
from tab t join pg_constraint k on k.conrelid = t.oid
where not coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
union all
select 'rule-present', t.oid, t.name, 'the rule ' || w.rulename || ' rewrites statements',
  format('drop rule %I on %s;', w.rulename, t.name)
from tab t join pg_rewrite w on w.ev_class = t.oid
union all
select distinct 'partition-reachable', t.oid, t.name, g.grantee || case t.schema
    when 'archive' then ' reaches a month that was detached' else ' reaches the partition past its parent' end,
  format('revoke all on %s from %I;', t.name, g.grantee)
from tab t join granted g on g.relation = t.oid
where t.schema = 'archive' or exists (select from pg_inherits i where i.inhrelid = t.oid)
union all
select 'view-owner-rights', r.oid, r.name, 'the view reads as its owner',
  format('alter view %s set (security_invoker = true);', r.name)
from relation r
where r.kind = 'v'
  and not exists (select from unnest(r.options) o (text) where lower(o.text) ~ '^security_invoker=(true|on|yes|1)$')
union all
select 'matview-present', r.oid, r.name, 'a materialized view has no row-level security',
  format('drop materialized view %s;', r.name)
from relation r where r.kind = 'm'
union all
select 'foreign-table-present', r.oid, r.name, 'a foreign table has no row-level security',
  format('drop foreign table %s;', r.name)
from relation r where r.kind = 'f'
union all
select distinct 'sequence-granted', r.oid, r.name, g.grantee || ' may ' || lower(g.privilege) || ' the sequence',
  format('revoke all on sequence %s from %s;', r.name, case g.oid when 0 then 'public' else quote_ident(g.grantee) end)
from relation r join granted g on g.relation = r.oid
where r.kind = 'S' and (g.oid = 0 or g.kind in ('request', 'login'))
union all
select 'large-object-present', null, 'large objects', count(*) || ' large objects, which no policy filters',
  'select lo_unlink(oid) from pg_largeobject_metadata;'
from pg_largeobject_metadata having count(*) > 0
union all
select 'publication-present', null, 'publication ' || p.pubname, 'publishes '
    || case when p.puballtables then 'all tables' else 'tables of ours' end || ', unfiltered by policies',
  format('drop publication %I;', p.pubname)
from pg_publication p
where p.puballtables
  or exists (select from pg_publication_rel r join tab t on t.oid = r.prrelid where r.prpubid = p.oid)
  or exists (select from pg_publication_namespace n join schema s on s.oid = n.pnnspid where n.pnpubid = p.oid)
union all
select 'audit-months', p.oid, 'vicket.audit_log', 'its last month is ' || to_char(m.newest, 'YYYY-MM') || ', and what is later has no partition of its own',
  'vicket migrate'
from tab p
cross join lateral (
  select max(to_date(right(t.bare, 7), 'YYYY_MM')) as newest
  from pg_inherits i join tab t on t.oid = i.inhrelid
  where i.inhparent = p.oid and t.bare ~ '^audit_log_\d{4}_\d{2}$'
) m
where p.schema = 'vicket' and p.bare = 'audit_log' and p.kind = 'p' and m.newest < now() + interval '1 month'
union all
select 'personal-data-unsaid', t.oid, t.name,
  'the comment of the column ' || a.name || ' does not say whether it holds personal data',
  format('comment on column %s.%I is %L;', t.name, a.name,
    concat_ws(' ', col_description(t.oid, a.number), 'No personal data.'))
from tab t
join attribute a on a.relation = t.oid
where t.schema = 'vicket' and not t.is_partition
  and a.type in ('text'::regtype, 'text[]'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'json'::regtype, 'jsonb'::regtype,
    'tsvector'::regtype)
  and coalesce(col_description(t.oid, a.number), '') !~ '(^|[.] )(No p|P)ersonal data[.:]'
union all
select 'audit-empty', null, 'schema vicket', 'there is no table in the schema vicket: nothing was examined', 'vicket migrate'
where not exists (select from tab t where t.schema = 'vicket')
