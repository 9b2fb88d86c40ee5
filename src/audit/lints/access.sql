-- Who may do what with each table: a row for each table, role and command that a grant or a policy names.
named (relation, role, command) as (
  select g.relation, g.grantee, g.privilege from granted g where g.privilege in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
  union
  select p.relation, u.name, c.command
  from policy p
  cross join lateral unnest(p.role_names) u (name)
  join (values ('SELECT', 'r'), ('INSERT', 'a'), ('UPDATE', 'w'), ('DELETE', 'd')) as c (command, letter)
    on p.permissive and p.command in ('*', c.letter)
)
select t.name as relation, t.rls, t.forced, pg_get_userbyid(t.owner)::text as owner, n.role, n.command,
  (
    select case when bool_or(g.number = 0) then 'all columns'
      else string_agg(distinct a.name, ', ') end
    from granted g
    left join attribute a on a.relation = g.relation and a.number = g.number
    where g.relation = t.oid and g.grantee = n.role and g.privilege = n.command
  ) as granted_columns,
  coalesce((
    select jsonb_agg(
      jsonb_build_object('name', p.name, 'permissive', p.permissive, 'using', p.using_text, 'check', p.check_text)
      order by p.permissive desc, p.name)
    from policy p
    where p.relation = t.oid and n.role = any (p.role_names)
      and p.command in ('*', case n.command when 'SELECT' then 'r' when 'INSERT' then 'a' when 'UPDATE' then 'w' else 'd' end)
  ), '[]') as policies
from tab t
left join named n on n.relation = t.oid
order by t.name, n.role, case n.command when 'SELECT' then 1 when 'INSERT' then 2 when 'UPDATE' then 3 else 4 end
