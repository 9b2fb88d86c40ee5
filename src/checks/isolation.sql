-- Findings of isolation, read from the catalog by any login. Columns: subject ('login', 'role' or 'table'), finding.
with login as (
  select r.* from pg_catalog.pg_roles r where r.rolname = session_user
),
request_roles as (
  select r.* from pg_catalog.pg_roles r where r.rolname in ('vicket_widget', 'vicket_agent')
),
reachable as (
  -- Every table of ours, and every other one that a request role, a gate or PUBLIC was granted anything on.
  select c.oid, c.oid::regclass::text as name, c.relrowsecurity, c.relforcerowsecurity, c.relowner
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p')
    and n.nspname not in ('pg_catalog', 'information_schema')
    and n.nspname not like 'pg\_toast%' and n.nspname not like 'pg\_temp%'
    and (
      n.nspname = 'vicket'
      or exists (
        select from pg_catalog.aclexplode(c.relacl) a
        where a.grantee = 0
          or a.grantee in (
            select oid from pg_catalog.pg_roles
            where rolname in ('vicket_widget', 'vicket_agent', 'vicket_gate_widget', 'vicket_gate_agent', 'vicket_worker')
          )
      )
    )
)
select 'login' as subject, 'is a superuser: row-level security does not apply to it' as finding from login where rolsuper
union all
select 'login', 'has BYPASSRLS: row-level security does not apply to it' from login where rolbypassrls
union all
select 'login', 'inherits the privileges of its roles: it must be NOINHERIT' from login where rolinherit
union all
select 'login', 'may create roles' from login where rolcreaterole
union all
select 'login', 'owns ' || c.oid::regclass::text
from login join pg_catalog.pg_class c on c.relowner = login.oid
where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relnamespace <> 'pg_catalog'::regnamespace
union all
select 'login', 'owns the database' from login join pg_catalog.pg_database d on d.datdba = login.oid
where d.datname = current_database()
union all
select 'role', 'the role ' || rolname || ' is a superuser or has BYPASSRLS' from request_roles where rolsuper or rolbypassrls
union all
select 'role', 'the role ' || r.rolname || ' is a member of ' || m.roleid::regrole::text || '; it must be a member of none'
from request_roles r join pg_catalog.pg_auth_members m on m.member = r.oid
union all
select 'role', 'the role ' || r.rolname || ' owns ' || c.oid::regclass::text
from request_roles r join pg_catalog.pg_class c on c.relowner = r.oid
union all
select 'table', 'the table ' || name || ' lacks ROW LEVEL SECURITY' from reachable where not relrowsecurity
union all
select 'table', 'the table ' || name || ' lacks FORCE ROW LEVEL SECURITY' from reachable where not relforcerowsecurity
union all
select 'table', 'the table ' || name || ' has no policy' from reachable
where not exists (select from pg_catalog.pg_policy p where p.polrelid = reachable.oid)
union all
select 'table', 'there is no table in the schema vicket; run `vicket migrate`'
where not exists (select from reachable)
