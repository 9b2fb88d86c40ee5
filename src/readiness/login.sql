-- What a login of the server must not be, whatever it is called: read by the login itself. One column, the finding.
with login as (
  select r.* from pg_roles r where r.rolname = session_user
)
select 'is a superuser: row-level security does not apply to it' from login where rolsuper
union all
select 'has BYPASSRLS: row-level security does not apply to it' from login where rolbypassrls
union all
select 'inherits the privileges of its roles: it must be NOINHERIT' from login where rolinherit
union all
select 'may create roles' from login where rolcreaterole
union all
select 'owns ' || c.oid::regclass::text
from login join pg_class c on c.relowner = login.oid
where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relnamespace <> 'pg_catalog'::regnamespace
union all
select 'owns the database' from login join pg_database d on d.datdba = login.oid
where d.datname = current_database()
