-- The server: its built-ins, extensions, settings and age.
select 'builtin-dangerous' as id, null::oid as relation, p.oid::regprocedure::text as object,
  (select string_agg(role.name, ', ' order by role.name) from role where has_function_privilege(role.oid, p.oid, 'execute'))
    || ' may execute it' as what,
  format('revoke execute on function %s from public;', p.oid::regprocedure) as mend
from pg_proc p
where p.pronamespace = 'pg_catalog'::regnamespace
  and p.proname in ('pg_read_file', 'pg_read_binary_file', 'pg_ls_dir', 'pg_stat_file', 'lo_import', 'lo_export', 'pg_reload_conf',
    'pg_rotate_logfile', 'pg_create_logical_replication_slot', 'pg_create_physical_replication_slot',
    'pg_replication_origin_create', 'pg_switch_wal', 'pg_promote', 'pg_file_write')
  and exists (select from role where role.kind in ('request', 'login', 'auditor', 'operator') and has_function_privilege(role.oid, p.oid, 'execute'))
  -- These check for themselves who calls; REPLICATION is a lint of its own.
  and p.proname not like 'pg\_create\_%slot'
union all
-- What hardening.sql revokes, and what each is to whoever got a statement in.
select 'builtin-open', null, f.family,
  'PUBLIC may execute ' || string_agg(distinct p.proname::text, ', ' order by p.proname::text) || ': ' || f.gives,
  'psql "$SUPERUSER_URL" -f migrations/hardening.sql'
from (values
  ('context', '^set_config$', 'a query may change context and role between two of its rows; the seals hold'),
  ('tables as XML', '^(query|table|schema|database|cursor)_to_xml', 'a text becomes a statement of the same role'),
  ('text search over any query', '^ts_(stat|rewrite)$', 'a text becomes a statement of the same role'),
  ('notifications and sleep', '^(pg_notify|pg_sleep(_for|_until)?)$', 'it signals to other sessions, and holds a connection'),
  ('advisory locks', '^pg_(try_)?advisory_', 'it holds what others wait for, past its transaction'),
  ('large objects', '^(lo_(creat|create|from_bytea|open|put|get|unlink|truncate|truncate64)|loread|lowrite)$',
    'it keeps data outside of tables and policies'),
  ('write-ahead log', '^pg_logical_emit_message$', 'it writes what no rollback takes back'),
  ('other sessions', '^pg_(stat_get_activity|stat_get_backend_.*|lock_status|terminate_backend|cancel_backend)$',
    'it sees statements, addresses and locks of the same login''s sessions, and ends them; credentials are in no statement''s text'),
  ('row addresses', '^currtid2$', 'it learns of a row''s versions past the policies')
) as f (family, pattern, gives)
join pg_proc p on p.pronamespace = 'pg_catalog'::regnamespace and p.proname ~ f.pattern
where exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee = 0)
group by f.family, f.gives
union all
select 'builtin-open', null, 'anonymous blocks', 'PUBLIC may use the language plpgsql: a statement may be a program (DO)',
  'psql "$SUPERUSER_URL" -f migrations/hardening.sql'
from pg_language l
where l.lanname = 'plpgsql'
  and exists (select from aclexplode(coalesce(l.lanacl, acldefault('l', l.lanowner))) a where a.grantee = 0)
union all
-- The hardening is each database's own, and a login may change its password and come again by another. A database that
-- names vicket_auditor was laid out by `vicket migrate`: its own audit speaks of it.
select 'database-open', null, 'database ' || d.datname, d.who || ' may connect, and has there what the hardening takes away here',
  format('revoke connect on database %I from %s;', d.datname, d.who)
from (
  select d.datname, string_agg(coalesce(role.name, 'public'), ', ' order by role.name) as who
  from pg_database d
  cross join lateral aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
  left join role on role.oid = a.grantee
  where d.datallowconn and d.datname <> current_database() and a.privilege_type = 'CONNECT'
    and (
      a.grantee = 0
      or role.kind = 'login' and not exists (
        select from aclexplode(d.datacl) other join role auditor on auditor.oid = other.grantee where auditor.kind = 'auditor'
      )
    )
  group by d.datname
) d
union all
-- CVE-2023-2455, -39418, CVE-2024-10976 (policies) and CVE-2025-8713 (statistics) are fixed in these and later minors.
select 'server-minor', null, 'PostgreSQL ' || split_part(s.setting, ' ', 1), 'is below ' || w.wanted || ', which mends holes in row-level security',
  'install the latest minor of this major'
from pg_settings s
join pg_settings n on n.name = 'server_version_num'
join (values (15, '15.14'), (16, '16.10'), (17, '17.6')) as w (major, wanted)
  on w.major = n.setting::integer / 10000 and n.setting::integer % 10000 < split_part(w.wanted, '.', 2)::integer
where s.name = 'server_version'
union all
select 'extension-reaches-out', null, 'extension ' || e.extname, w.why, format('drop extension %I;', e.extname)
from pg_extension e
join (values
  ('dblink', 'opens connections of its own'), ('postgres_fdw', 'opens connections of its own'), ('file_fdw', 'reads files'),
  ('adminpack', 'writes files'), ('pageinspect', 'reads pages past the policies'), ('pg_walinspect', 'reads the log past the policies'),
  ('pgrowlocks', 'reads tables past the policies'), ('pgstattuple', 'reads tables past the policies'), ('lo', 'keeps large objects'),
  ('plpython3u', 'runs code outside the database''s rules'), ('plperlu', 'runs code outside the database''s rules'),
  ('pltclu', 'runs code outside the database''s rules'), ('http', 'opens connections of its own'), ('pg_net', 'opens connections of its own')
) as w (name, why) on w.name = e.extname
union all
select 'server-setting', null, s.name, 'is ' || s.setting || ': ' || w.why, format('alter system set %s = %L;', s.name, w.wanted)
from pg_settings s
join (values
  ('row_security', 'on', 'statements fail instead of being filtered'),
  ('lo_compat_privileges', 'off', 'large objects have no privileges'),
  ('allow_system_table_mods', 'off', 'catalogs may be written'),
  ('session_replication_role', 'origin', 'triggers and foreign keys are off'),
  ('log_statement', 'none', 'digests of credentials are in the server''s log'),
  ('log_min_duration_statement', '-1', 'digests of credentials are in the server''s log'),
  ('max_prepared_transactions', '0', 'a transaction that is prepared keeps its locks past its session'),
  ('password_encryption', 'scram-sha-256', 'passwords are kept as MD5')
) as w (name, wanted, why) on w.name = s.name and s.setting <> w.wanted
where s.name not in ('log_statement', 'log_min_duration_statement')
  or s.name = 'log_statement' and s.setting in ('mod', 'all')
  or s.name = 'log_min_duration_statement' and s.setting = '0'
