-- What every lint looks at, read from pg_catalog, which every search path has, by any login. The lints of the other files
-- fill `found`.
with project_role (name, kind) as (
  values
    ('vicket_owner', 'owner'), ('vicket_definer', 'definer'),
    ('vicket_widget', 'request'), ('vicket_agent', 'request'), ('vicket_mail', 'request'), ('vicket_operator', 'operator'),
    ('vicket_gate_widget', 'login'), ('vicket_gate_agent', 'login'), ('vicket_gate_mail', 'login'),
    ('vicket_worker', 'login'),
    ('vicket_auditor', 'auditor')
),
role as (
  select r.oid, p.name, p.kind from project_role p join pg_roles r on r.rolname = p.name
),
-- The bounds of a request, line by line as logins.sql sets them: were these others, no migration would pass.
bound (login, settings) as (
  values
    ('vicket_gate_widget', array['statement_timeout=5s', 'lock_timeout=3s', 'idle_in_transaction_session_timeout=10s', 'enable_bitmapscan=off', 'enable_seqscan=off']),
    ('vicket_gate_agent', array['statement_timeout=10s', 'lock_timeout=3s', 'idle_in_transaction_session_timeout=10s']),
    ('vicket_gate_mail', array['statement_timeout=20s', 'lock_timeout=3s', 'idle_in_transaction_session_timeout=10s']),
    ('vicket_worker', array['statement_timeout=30s', 'lock_timeout=5s', 'idle_in_transaction_session_timeout=30s'])
),
schema as (
  select n.oid, n.nspname::text as name, n.nspowner, n.nspacl
  from pg_namespace n
  where n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
),
-- What belongs to an extension is the extension's; the lints of extensions look at these as a whole.
extended as (
  select d.classid, d.objid from pg_depend d where d.deptype = 'e'
),
relation as (
  select c.oid, s.name as schema, c.relname::text as bare, format('%I.%I', s.name, c.relname) as name,
    c.relkind as kind, c.relowner as owner, c.relacl as acl, c.relrowsecurity as rls, c.relforcerowsecurity as forced,
    c.relispartition as is_partition, c.reloptions as options
  from pg_class c
  join schema s on s.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    and not exists (select from extended e where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = c.oid)
    -- The ledger of migrations is granted to nobody and holds nobody's data.
    and not (s.name = 'public' and c.relname = '_sqlx_migrations' and c.relacl is null)
),
-- The column that says whose a row is: `id` of the orgs and sites themselves.
tab as (
  select r.*, org.attname as org, org.attnum as org_number, org.attnotnull as org_not_null,
    site.attname as site, site.attnum as site_number, site.attnotnull as site_not_null
  from relation r
  left join pg_attribute org
    on org.attrelid = r.oid and not org.attisdropped
      and org.attname = case when r.schema = 'vicket' and r.bare = 'orgs' then 'id' else 'org_id' end
  left join pg_attribute site
    on site.attrelid = r.oid and not site.attisdropped
      and site.attname = case when r.schema = 'vicket' and r.bare = 'sites' then 'id' else 'site_id' end
  where r.kind in ('r', 'p')
),
attribute as (
  select r.oid as relation, r.name as of, a.attname::text as name, a.attnum as number, a.attacl as acl, a.atttypid as type
  from relation r
  join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
),
-- One row a relation, grantee and privilege; number is 0 for the whole relation, else the column's.
granted as (
  select g.relation, g.of, g.number, g.privilege, g.grantable, g.grantee as oid, coalesce(p.rolname::text, 'PUBLIC') as grantee,
    role.kind
  from (
    select r.oid as relation, r.name as of, 0 as number, a.privilege_type as privilege, a.is_grantable as grantable, a.grantee,
      r.owner
    from relation r cross join lateral aclexplode(r.acl) a
    union all
    select t.relation, t.of, t.number, a.privilege_type, a.is_grantable, a.grantee, r.owner
    from attribute t join relation r on r.oid = t.relation cross join lateral aclexplode(t.acl) a
  ) g
  left join pg_roles p on p.oid = g.grantee
  left join role on role.oid = g.grantee
  where g.grantee <> g.owner
),
policy as (
  select p.oid, r.oid as relation, r.name as of, p.polname::text as name,
    format('%s: %I', r.name, p.polname) as object, p.polpermissive as permissive, p.polcmd as command,
    pg_get_expr(p.polqual, p.polrelid) as using_text,
    pg_get_expr(p.polwithcheck, p.polrelid) as check_text,
    p.polroles as roles,
    (select array_agg(coalesce(x.rolname::text, 'PUBLIC')) from unnest(p.polroles) u (oid)
      left join pg_roles x on x.oid = u.oid) as role_names
  from pg_policy p
  join relation r on r.oid = p.polrelid
),
expression as (
  select p.*, e.clause, e.text
  from policy p
  cross join lateral (values ('USING', p.using_text), ('WITH CHECK', p.check_text)) as e (clause, text)
  where e.text is not null
),
-- The conditions that an expression joins with AND at its top: each must hold. Something below an OR is none of them.
letter as (
  select e.oid, e.clause, c.place, c.letter,
    sum(case c.letter when '(' then 1 when ')' then -1 else 0 end)
      over (partition by e.oid, e.clause order by c.place)
      + case c.letter when ')' then 1 else 0 end as depth
  from expression e
  cross join lateral regexp_split_to_table(
    regexp_replace(e.text, '''[^'']*''', '''?''', 'g'), '') with ordinality as c (letter, place)
),
skeleton as (
  select l.oid, l.clause, string_agg(l.letter, '' order by l.place) filter (where l.depth < 2) as text
  from letter l group by l.oid, l.clause
),
conjunct as (
  select g.oid, g.clause, string_agg(g.letter, '' order by g.place) as text
  from (
    select l.*, sum((l.depth < 2)::integer) over (partition by l.oid, l.clause order by l.place) as piece
    from letter l join skeleton s using (oid, clause)
    where s.text ~ '^\(.* AND .*\)$' and s.text !~ ' OR '
  ) g
  where g.depth >= 2
  group by g.oid, g.clause, g.piece
  union all
  select s.oid, s.clause, s.text from skeleton s where s.text ~ '^\(.* AND .*\)$' and s.text !~ ' OR '
  union all
  select l.oid, l.clause, string_agg(l.letter, '' order by l.place)
  from letter l join skeleton s using (oid, clause)
  where s.text !~ '^\(.* AND .*\)$' and s.text !~ ' OR '
  group by l.oid, l.clause
),
func as (
  select p.oid, s.name as schema, p.proname::text as bare, oidvectortypes(p.proargtypes) as arguments,
    p.oid::regprocedure::text as name, p.prosecdef as definer, p.proowner as owner,
    p.proconfig as settings, p.provolatile as volatility, p.proleakproof as leakproof, p.prosrc as source,
    l.lanname::text as language, l.lanpltrusted as trusted,
    -- As src/audit/bodies.rs reads it from the migrations.
    concat(
      l.lanname,
      case p.provolatile when 'i' then ' immutable' when 's' then ' stable' else ' volatile' end,
      case p.proparallel when 's' then ' parallel safe' when 'r' then ' parallel restricted' end,
      case when p.proisstrict then ' strict' end,
      case when p.proleakproof then ' leakproof' end,
      case when p.prosecdef then ' security definer' end,
      (select string_agg(' set ' || c.entry, '' order by c.entry collate "C") from unnest(p.proconfig) c (entry))
    ) as shape,
    coalesce(p.proacl, acldefault('f', p.proowner)) as acl
  from pg_proc p
  join schema s on s.oid = p.pronamespace
  join pg_language l on l.oid = p.prolang
  where not exists (select from extended e where e.classid = 'pg_catalog.pg_proc'::regclass and e.objid = p.oid)
),
setting (role, database, entry) as (
  select r.rolname::text, d.datname::text, c.entry
  from pg_db_role_setting s
  left join pg_roles r on r.oid = s.setrole
  left join pg_database d on d.oid = s.setdatabase
  cross join lateral unnest(s.setconfig) as c (entry)
),
-- Each with what takes it away, and whether a login could have set it for itself: anything but what is a superuser's.
set_for as (
  select s.*,
    exists (select from bound b where b.login = s.role) and s.entry !~* '^(app\.|session_authorization=)'
      and coalesce(p.context, '') not like 'superuser%' as by_itself,
    format('alter %s reset %s;', coalesce('role ' || quote_ident(s.role)
        || coalesce(' in database ' || quote_ident(s.database), ''), 'database ' || quote_ident(s.database), 'role all'),
      split_part(s.entry, '=', 1)) as reset
  from setting s
  left join pg_settings p on p.name = split_part(s.entry, '=', 1)
),
membership as (
  select m.roleid as granted, m.member, pg_get_userbyid(m.roleid)::text as granted_name,
    pg_get_userbyid(m.member)::text as member_name, m.admin_option as admin,
    -- From 16 on each grant has options of its own, whatever its member's attributes say, and there may be several, by several
    -- grantors: a creator's lets it grant the role and neither inherit from it nor become it.
    coalesce((to_jsonb(m) ->> 'set_option')::boolean, true) as may_set,
    coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, p.rolinherit) as may_inherit,
    case when to_jsonb(m) ? 'set_option' then pg_get_userbyid(m.grantor)::text end as by
  from pg_auth_members m
  join pg_roles p on p.oid = m.member
),
-- What the migrations make besides functions' bodies, each as PostgreSQL writes it, where no search path finds our schemas.
-- Partitions are made as time goes by and are their parent's.
object (kind, relation, of, name, definition) as (
  select 'policy', p.relation, p.of, p.name,
    concat_ws(' ', case when p.permissive then 'permissive' else 'restrictive' end, p.command,
      'to ' || (select string_agg(r, ', ' order by r collate "C") from unnest(p.role_names) r), 'using ' || p.using_text, 'with check ' || p.check_text)
  from policy p
  union all
  select 'trigger', t.tgrelid, r.name, t.tgname::text, pg_get_triggerdef(t.oid)
  from pg_trigger t join relation r on r.oid = t.tgrelid
  where not t.tgisinternal and t.tgparentid = 0 and not r.is_partition
  union all
  select 'constraint', k.conrelid, r.name, k.conname::text, regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', '')
  from pg_constraint k join relation r on r.oid = k.conrelid
  where k.contype in ('c', 'f', 'p', 'u', 'x') and k.conparentid = 0 and not r.is_partition
  union all
  select 'unique index', i.indrelid, r.name, c.relname::text, pg_get_indexdef(i.indexrelid)
  from pg_index i join relation r on r.oid = i.indrelid join pg_class c on c.oid = i.indexrelid
  where i.indisunique and not r.is_partition and not exists (select from pg_constraint k where k.conindid = i.indexrelid)
  union all
  select 'function', null, f.schema, format('%I(%s)', f.bare, f.arguments),
    concat_ws(' returns ', pg_get_function_arguments(f.oid), pg_get_function_result(f.oid))
  from func f
),
