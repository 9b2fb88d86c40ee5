-- How our logins are authenticated: of the rules of pg_hba.conf the first that matches decides.
with rule as (
  select role.name as login, r.ordinality as place, r.line_number, r.type, r.address, r.netmask, r.auth_method,
    coalesce(array_to_string(r.options, ' '), '') as options
  from pg_hba_file_rules() with ordinality r
  join role on role.kind = 'login'
  where exists (
      select from unnest(r.user_name) u (name)
      where u.name in ('all', role.name)
        or u.name like '+%' and exists (
          select from membership m where m.member = role.oid and m.granted_name = substr(u.name, 2)
        )
        or u.name like '/%' and role.name ~ substr(u.name, 2)
    )
    and exists (
      select from unnest(r.database) d (name)
      where d.name in ('all', current_database()) or d.name like '/%' and current_database() ~ substr(d.name, 2)
    )
)
select 'login-password' as id, null::oid as relation, 'role ' || r.login as object,
  'pg_hba.conf lets it in without a certificate: '
    || string_agg(r.auth_method || ' (line ' || r.line_number || ')', ', ' order by r.place) as what,
  format('hostssl %I %s all cert, then host %1$I %2$s all reject -- in pg_hba.conf, before that line',
    current_database(), r.login) as mend
from rule r
where r.auth_method in ('scram-sha-256', 'md5', 'password', 'trust')
  and r.options !~ 'clientcert=verify-'
  and not exists (
    select from rule earlier
    where earlier.login = r.login and earlier.place < r.place
      and (earlier.type = r.type or earlier.type = 'host' and r.type <> 'local')
      and (earlier.address = 'all' or (earlier.address, earlier.netmask) is not distinct from (r.address, r.netmask))
  )
group by r.login
