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
select 'builtin-open', null, f.family, 'open to PUBLIC: ' || string_agg(distinct p.proname::text, ', ' order by p.proname::text),
  'psql "$SUPERUSER_URL" -f migrations/hardening.sql'
from (values
  ('context', '^set_config$'),
  ('tables as XML', '^(query|table|schema|database|cursor)_to_xml'),
  ('text search over any query', '^ts_stat$'),
  ('notifications and sleep', '^(pg_notify|pg_sleep(_for|_until)?)$'),
  ('advisory locks', '^pg_(try_)?advisory_'),
  ('large objects', '^(lo_(creat|create|from_bytea|open|put|get|unlink|truncate|truncate64)|loread|lowrite)$'),
  ('other sessions', '^pg_(stat_get_activity|stat_get_backend_activity|terminate_backend|cancel_backend)$')
) as f (family, pattern)
join pg_proc p on p.pronamespace = 'pg_catalog'::regnamespace and p.proname ~ f.pattern
where exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee = 0)
group by f.family
union all
select 'builtin-open', null, 'anonymous blocks', 'open to PUBLIC: DO, language plpgsql', 'psql "$SUPERUSER_URL" -f migrations/hardening.sql'
from pg_language l
where l.lanname = 'plpgsql'
  and exists (select from aclexplode(coalesce(l.lanacl, acldefault('l', l.lanowner))) a where a.grantee = 0)
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
  ('password_encryption', 'scram-sha-256', 'passwords are kept as MD5')
) as w (name, wanted, why) on w.name = s.name and s.setting <> w.wanted
where s.name not in ('log_statement', 'log_min_duration_statement')
  or s.name = 'log_statement' and s.setting in ('mod', 'all')
  or s.name = 'log_min_duration_statement' and s.setting = '0'
