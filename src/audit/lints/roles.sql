-- Roles.
select 'role-missing' as id, null::oid as relation, 'role ' || p.name as object, 'does not exist' as what, 'vicket migrate' as mend
from project_role p where not exists (select from role where role.name = p.name)
union all
select 'role-missing', null, 'role ' || e.member, 'is no member of ' || e.granted, format('grant %s to %s;', e.granted, e.member)
from (values ('vicket_widget', 'vicket_gate_widget'), ('vicket_agent', 'vicket_gate_agent'), ('vicket_mail', 'vicket_gate_mail')) as e (granted, member)
where not exists (select from membership m where m.granted_name = e.granted and m.member_name = e.member and m.may_set)
union all
select 'role-attributes', null, 'role ' || r.rolname, 'has ' || a.name, format('alter role %I no%s;', r.rolname, a.name)
from role
join pg_roles r on r.oid = role.oid
cross join lateral (values ('superuser', r.rolsuper), ('bypassrls', r.rolbypassrls), ('createrole', r.rolcreaterole),
  ('createdb', r.rolcreatedb), ('replication', r.rolreplication)) as a (name, has)
where a.has
union all
select 'login-shape', null, 'role ' || r.rolname, 'inherits what its roles may do: it must be NOINHERIT', format('alter role %I noinherit;', r.rolname)
from role join pg_roles r on r.oid = role.oid
where role.kind = 'login' and r.rolinherit
union all
select 'login-shape', null, 'role ' || r.rolname, 'may log in: only the gates and the worker may', format('alter role %I nologin;', r.rolname)
from role join pg_roles r on r.oid = role.oid
where role.kind <> 'login' and r.rolcanlogin
union all
-- The deploying login is a member of what it administers; a DBA may be one of vicket_auditor.
select 'role-membership', null, 'role ' || m.member_name,
  'is a member of ' || m.granted_name
    || case when m.of_gate and m.may_inherit then ', and has by itself what that role may' else '' end
    || case when m.of_gate and m.admin then ', and may make others one' else '' end,
  case
    when m.of_gate and not m.admin and m.by is not null
      then format('grant %I to %I with inherit false, set true granted by %I;', m.granted_name, m.member_name, m.by)
    else format('revoke %I from %I%s;', m.granted_name, m.member_name, ' granted by ' || quote_ident(m.by))
  end
from (
  select m.*, (m.granted_name, m.member_name) in (('vicket_widget', 'vicket_gate_widget'), ('vicket_agent', 'vicket_gate_agent'), ('vicket_mail', 'vicket_gate_mail'))
    as of_gate
  from membership m
) m
left join project_role g on g.name = m.granted_name
left join project_role p on p.name = m.member_name
where (g.name is not null or p.name is not null)
  and (m.may_set or m.may_inherit or m.admin and p.name is not null)
  and not (
    m.of_gate and not m.admin and not m.may_inherit
    or p.name is null and g.kind in ('owner', 'definer', 'operator', 'auditor')
  )
union all
-- From 16 on the creator of a role may grant it and no other may, CREATEROLE or not: that is the deploying login.
select 'role-admin', null, 'role ' || m.member_name, 'may make anybody a member of ' || m.granted_name,
  format('revoke %I from %I%s;', m.granted_name, m.member_name, ' granted by ' || quote_ident(m.by))
from membership m
join project_role g on g.name = m.granted_name
join pg_roles r on r.oid = m.member
where m.admin and not r.rolsuper
  and m.member_name not in (select name from project_role)
  and m.member not in (select d.datdba from pg_database d)
union all
-- A context, a role or a search path, set for one of our roles or for all, of what a login cannot set for itself.
select 'role-settings', null, coalesce('role ' || c.role, 'database ' || c.database, 'all roles'),
  'sets ' || c.entry || coalesce(' in the database ' || case when c.role is not null then c.database end, ''),
  c.reset
from set_for c
where (c.role is null or c.role in (select name from role))
  and (c.database is null or c.database = current_database())
  and c.entry ~* '^(app\.|(role|search_path|row_security|session_authorization|session_replication_role|local_preload_libraries|session_preload_libraries)=)'
  and not c.by_itself
union all
-- A login may change its own settings: what it has is compared by value with what logins.sql gives it.
select 'login-settings', null, 'role ' || b.login, 'does not set ' || w.entry || coalesce(', but ' || changed.entry, ''),
  format('alter role %I set %I = %L;', b.login, split_part(w.entry, '=', 1), split_part(w.entry, '=', 2))
from bound b
cross join lateral unnest(b.settings) as w (entry)
left join setting changed
  on changed.role = b.login and changed.database is null and split_part(changed.entry, '=', 1) = split_part(w.entry, '=', 1)
where b.login in (select name from role) and changed.entry is distinct from w.entry and not exists (select from newer)
union all
select 'login-settings', null, 'role ' || c.role, 'sets ' || c.entry || coalesce(' in the database ' || c.database, ''), c.reset
from set_for c
join bound b on b.login = c.role
where c.by_itself and not exists (select from newer)
  and not (c.database is null and split_part(c.entry, '=', 1) in (select split_part(w.entry, '=', 1) from unnest(b.settings) w (entry)))
union all
select 'role-owns', null, 'role ' || role.name, 'owns ' || o.what, format('reassign owned by %s to vicket_owner;', role.name)
from role
join (
  select c.relowner as owner, c.oid::regclass::text as what from pg_class c where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
  union all
  select p.proowner, p.oid::regprocedure::text from pg_proc p
  union all
  select n.nspowner, 'schema ' || n.nspname from pg_namespace n
  union all
  select d.datdba, 'database ' || d.datname from pg_database d
) o on o.owner = role.oid
where role.kind in ('request', 'operator', 'login', 'auditor')
