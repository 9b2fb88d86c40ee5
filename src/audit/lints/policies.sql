-- Policies.
select 'policy-public' as id, p.relation, p.object, 'is for PUBLIC' as what,
  format('alter policy %I on %s to ROLE;', p.name, p.of) as mend
from policy p where 0 = any (p.roles)
union all
select 'policy-tenantless', e.relation, e.object,
  'its ' || e.clause || ' does not demand ' || coalesce(t.org, 'org_id') || ' = (select ctx.org_id())',
  format('alter policy %I on %s %s (%I = (select ctx.org_id()) and (...));', e.name, e.of, lower(e.clause), coalesce(t.org, 'org_id'))
from expression e
join tab t on t.oid = e.relation
where e.permissive
  and exists (select from role where role.oid = any (e.roles) and role.kind in ('request', 'operator'))
  and not exists (
    select from conjunct c
    where c.oid = e.oid and c.clause = e.clause
      and c.text = format('(%s = ( SELECT ctx.org_id() AS org_id))', t.org)
  )
union all
select 'policy-siteless', e.relation, e.object,
  'its ' || e.clause || ' does not demand the site of the context',
  format('alter policy %I on %s %s (... and %I = (select ctx.site_id()));', e.name, e.of, lower(e.clause), t.site)
from expression e
join tab t on t.oid = e.relation
join role on role.name in ('vicket_widget', 'vicket_mail') and role.oid = any (e.roles)
where e.permissive and t.site is not null
  and not exists (
    select from conjunct c
    where c.oid = e.oid and c.clause = e.clause
      and c.text in (
        format('(%s = ( SELECT ctx.site_id() AS site_id))', t.site),
        format('((%1$s IS NULL) OR (%1$s = ( SELECT ctx.site_id() AS site_id)))', t.site)
      )
  )
union all
-- A table without site_id that customers read serves some sites of its org, and its policy says itself which of its rows.
select 'policy-siteless', e.relation, e.object,
  'its ' || e.clause || ' does not say which rows are for the site of the context',
  format('alter policy %I on %s %s (... and id = any (array(select ctx.template_ids())));', e.name, e.of, lower(e.clause))
from expression e
join tab t on t.oid = e.relation
join role on role.name = 'vicket_widget' and role.oid = any (e.roles)
where e.permissive and t.site is null and t.bare <> 'orgs'
  and not exists (
    select from conjunct c
    where c.oid = e.oid and c.clause = e.clause and c.text ~ '^\(\w+ = ANY \(ARRAY\( SELECT ctx\.\w+\(\) AS \w+\)\)\)$'
  )
union all
select 'policy-ticketless', e.relation, e.object, 'its ' || e.clause || ' does not demand the ticket of the token',
  format('alter policy %I on %s %s (... and ticket_id = (select ctx.ticket_id()));', e.name, e.of, lower(e.clause))
from expression e
join role on role.name = 'vicket_widget' and role.oid = any (e.roles)
join attribute a on a.relation = e.relation and a.name = 'ticket_id'
where e.permissive
  and not exists (
    select from conjunct c
    where c.oid = e.oid and c.clause = e.clause
      and (c.text = '(ticket_id = ( SELECT ctx.ticket_id() AS ticket_id))' or strpos(c.text, 'ctx.may_issue_token') > 0)
  )
union all
-- An object is reserved before there is a row that names its ticket.
select 'policy-ticketless', e.relation, e.object, 'its ' || e.clause || ' does not demand a token of a ticket',
  format('alter policy %I on %s %s (... and (select ctx.ticket_id()) is not null);', e.name, e.of, lower(e.clause))
from expression e
join role on role.name = 'vicket_widget' and role.oid = any (e.roles)
join attribute a on a.relation = e.relation and a.name = 'object_key'
where e.permissive
  and not exists (select from attribute t where t.relation = e.relation and t.name = 'ticket_id')
  and not exists (
    select from conjunct c
    where c.oid = e.oid and c.clause = e.clause and c.text = '(( SELECT ctx.ticket_id() AS ticket_id) IS NOT NULL)'
  )
union all
-- A status or priority that is marked still names its tickets until they are moved; an org that is, nobody enters.
select 'policy-marked', e.relation, e.object,
  'its ' || e.clause || case e.command when 'w' then ' lets what is marked as deleted be changed' else ' shows what is marked as deleted' end,
  format('alter policy %I on %s %s (... and deleted_at is null);', e.name, e.of, lower(e.clause))
from expression e
join tab t on t.oid = e.relation
join attribute a on a.relation = e.relation and a.name = 'deleted_at'
where e.permissive and e.clause = 'USING' and t.bare <> 'orgs'
  and exists (select from role where role.oid = any (e.roles) and role.name in ('vicket_agent', 'vicket_operator'))
  and (e.command = 'w' or e.command in ('r', '*') and t.site is not null)
  and not exists (select from conjunct c where c.oid = e.oid and c.clause = e.clause and c.text = '(deleted_at IS NULL)')
union all
select 'policy-voice', e.relation, e.object, 'its ' || e.clause || ' does not demand ' || v.demand,
  format('alter policy %I on %s %s (... and %s);', e.name, e.of, lower(e.clause), v.demand)
from expression e
join role on role.kind = 'request' and role.oid = any (e.roles)
join (values
  ('author', 'an author', '^\(author = ''\?''::text\)$', 'a', 'vicket_(widget|agent)'),
  ('internal', 'not internal', '^\(NOT internal\)$', 'r|a|w|\*', 'vicket_widget'),
  -- What hangs on a message is for whose eyes the message is, and is added by whoever wrote it.
  ('message_id', 'a message that may be read', '\mmessage_id\)? IN \(', 'r|a', 'vicket_widget'),
  ('message_id', 'a message of whoever adds', '\mmessage_id\)? IN \(', 'a', 'vicket_agent')
) as v (name, demand, pattern, commands, roles) on role.name ~ v.roles and e.command ~ v.commands
join attribute a on a.relation = e.relation and a.name = v.name
where e.permissive
  and not exists (select from conjunct c where c.oid = e.oid and c.clause = e.clause and c.text ~ v.pattern)
union all
-- vicket_definer's functions choose their rows themselves.
select 'policy-tautology', e.relation, e.object, 'its ' || e.clause || ' is always true: ' || e.text,
  format('alter policy %I on %s %s (org_id = (select ctx.org_id()));', e.name, e.of, lower(e.clause))
from expression e
where exists (
    select from unnest(e.roles) u (oid)
    where not exists (select from role where role.oid = u.oid and role.kind = 'definer')
  )
  and (e.text ~* '^\(*true\)*$' or e.text ~* '\mor \(*true\M' or e.text ~* '\mtrue\)* or\M'
    or e.text ~ '\((\d+|''[^'']*''::text|\w+) = \1\)')
union all
-- A function of the row cannot be asked once a statement; ctx.may and its kin of the context must be.
select 'policy-per-row', e.relation, e.object, 'its ' || e.clause || ' reads the context once a row',
  format('alter policy %I on %s %s (org_id = (select ctx.org_id()));', e.name, e.of, lower(e.clause))
from expression e
where regexp_replace(e.text, 'SELECT (ctx\.\w+|current_setting)\((''[^'']*''::text(, (true|false))?)?\)', '', 'g')
  ~ '(ctx\.\w+|current_setting)\((''[^'']*''::text(, (true|false))?)?\)'
union all
select 'policy-cast', e.relation, e.object, 'its ' || e.clause || ' casts ' || c.name,
  format('alter policy %I on %s %s (%I = (select ctx.%I()));', e.name, e.of, lower(e.clause), c.name, c.name)
from expression e
join tab t on t.oid = e.relation
cross join lateral (values (t.org::text), (t.site::text)) as c (name)
where e.text ~ ('(\(' || c.name || '\)|\m' || c.name || ')::')
union all
select 'policy-unsealed', t.oid, t.name, 'no restrictive policy for all commands binds vicket_widget to its key''s '
    || case when t.site is null then 'org' else 'org and site' end,
  format('create policy widget_all_sealed on %s as restrictive for all to vicket_widget'
    || ' using (%2$I = (select ctx.org_by_key())%3$s) with check (%2$I = (select ctx.org_by_key())%3$s);', t.name,
    coalesce(t.org, 'org_id'), case when t.site is null then '' else format(' and %I = (select ctx.site_by_key())', t.site) end)
from tab t
where exists (select from granted g where g.relation = t.oid and g.grantee = 'vicket_widget')
  and not exists (
    select from expression e
    join role on role.name = 'vicket_widget' and e.roles = array[role.oid]
    join conjunct c on c.oid = e.oid and c.clause = e.clause
    where e.relation = t.oid and not e.permissive and e.command = '*'
    group by e.oid
    having count(distinct e.clause)
        filter (where c.text = format('(%s = ( SELECT ctx.org_by_key() AS org_by_key))', t.org)) = 2
      and (
        t.bare = 'orgs'
        or count(distinct e.clause) filter (
          where c.text = format('(%s = ( SELECT ctx.site_by_key() AS site_by_key))', t.site)
            or c.text = format('((%1$s IS NULL) OR (%1$s = ( SELECT ctx.site_by_key() AS site_by_key)))', t.site)
            -- What serves several sites of its org says itself which.
            or t.site is null and c.text ~ '^\(\w+ = ANY \(ARRAY\( SELECT ctx\.\w+\(\) AS \w+\)\)\)$'
        ) = 2
      )
  )
union all
select 'policy-unsealed', t.oid, t.name, 'no restrictive policy for all commands binds vicket_mail to the org and site of its address',
  format('create policy mail_all_sealed on %s as restrictive for all to vicket_mail'
    || ' using (%2$I = (select ctx.org_by_mail()) and %3$I = (select ctx.site_by_mail()))'
    || ' with check (%2$I = (select ctx.org_by_mail()) and %3$I = (select ctx.site_by_mail()));', t.name,
    coalesce(t.org, 'org_id'), coalesce(t.site, 'site_id'))
from tab t
where exists (select from granted g where g.relation = t.oid and g.grantee = 'vicket_mail')
  and not exists (
    select from expression e
    join role on role.name = 'vicket_mail' and e.roles = array[role.oid]
    join conjunct c on c.oid = e.oid and c.clause = e.clause
    where e.relation = t.oid and not e.permissive and e.command = '*'
    group by e.oid
    having count(distinct e.clause) filter (where c.text = format('(%s = ( SELECT ctx.org_by_mail() AS org_by_mail))', t.org)) = 2
      and count(distinct e.clause)
        filter (where c.text = format('(%s = ( SELECT ctx.site_by_mail() AS site_by_mail))', t.site)) = 2
  )
union all
select 'policy-actorless', e.relation, e.object, 'its ' || e.clause || ' does not ask who acts',
  format('alter policy %I on %s %s (... and (select ctx.may(''noun:verb'')));', e.name, e.of, lower(e.clause))
from expression e
join role on role.name = 'vicket_agent' and role.oid = any (e.roles)
where e.permissive
  and not exists (
    select from conjunct c
    where c.oid = e.oid and c.clause = e.clause
      and (c.text = '( SELECT ctx.is_member() AS is_member)' and e.command = 'r'
        -- One of several permissions; nothing else may stand beside them.
        or c.text ~ '^\(+ ?SELECT ctx\.may\(''\?''::text\) AS may\)( OR \( SELECT ctx\.may\(''\?''::text\) AS may\))*\)?$')
  )
union all
-- Whoever is in teams sees their teams' sites: of customers' rows, each policy of agents must say so.
select 'policy-teamless', e.relation, e.object, 'its ' || e.clause || ' shows agents the tickets of sites that are not their teams''',
  format('alter policy %I on %s %s (... and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids()))));', e.name, e.of, lower(e.clause))
from expression e
join tab t on t.oid = e.relation
join role on role.name = 'vicket_agent' and role.oid = any (e.roles)
where e.permissive
  and (t.name = 'vicket.tickets' or exists (select from attribute a where a.relation = t.oid and a.name in ('ticket_id', 'object_key')))
  and not exists (
    select from conjunct c
    where c.oid = e.oid and c.clause = e.clause
      and c.text = '(( SELECT ctx.sees_all_sites() AS sees_all_sites) OR (site_id = ANY (ARRAY( SELECT ctx.team_site_ids() AS team_site_ids))))'
  )
union all
-- Nobody hands out what they do not have.
select 'policy-escalation', e.relation, e.object,
  'its ' || e.clause || ' does not bound ' || b.name || ', which agents may insert, by what they have themselves',
  format('alter policy %I on %s %s (... and %s(%I));', e.name, e.of, lower(e.clause), b.bound, b.name)
from expression e
join role on role.name = 'vicket_agent' and role.oid = any (e.roles)
join (values ('role', 'ctx.may_grant', 'w|a|d'), ('permissions', 'ctx.may_all', 'a')) as b (name, bound, commands) on true
join attribute a on a.relation = e.relation and a.name = b.name
where e.permissive and e.command ~ b.commands
  and exists (select from granted g where g.relation = e.relation and g.oid = role.oid and g.privilege = 'INSERT' and g.number in (0, a.number))
  and not exists (
    select from conjunct c where c.oid = e.oid and c.clause = e.clause and strpos(c.text, b.bound) > 0
  )
union all
select 'policy-escalation', e.relation, e.object,
  'its ' || e.clause || ' lets agents act in the name of others: ' || a.name || ' is not (select ctx.actor_user_id())',
  format('alter policy %I on %s %s (... and %I = (select ctx.actor_user_id()));', e.name, e.of, lower(e.clause), a.name)
from expression e
join role on role.name = 'vicket_agent' and role.oid = any (e.roles)
join attribute a on a.relation = e.relation
join pg_attrdef d on d.adrelid = e.relation and d.adnum = a.number
where e.permissive and e.command = 'a' and pg_get_expr(d.adbin, d.adrelid) = 'ctx.actor_user_id()'
  and exists (select from granted g where g.relation = e.relation and g.oid = role.oid and g.privilege = 'INSERT' and g.number in (0, a.number))
  and not exists (
    select from conjunct c
    where c.oid = e.oid and c.clause = e.clause
      and c.text = format('(%s = ( SELECT ctx.actor_user_id() AS actor_user_id))', a.name)
  )
union all
-- A policy for all commands serves a grant of any.
select distinct 'policy-without-grant', p.relation, p.object, u.name || ' has no such privilege on the table: the policy serves nobody',
  format('drop policy %I on %s;', p.name, p.of)
from policy p
cross join lateral unnest(p.role_names) u (name)
where p.permissive and u.name <> 'PUBLIC'
  and not exists (
    select from granted g
    where g.relation = p.relation and g.grantee in (u.name, 'PUBLIC')
      and g.privilege = any (case p.command when 'r' then array['SELECT'] when 'a' then array['INSERT'] when 'w' then array['UPDATE']
        when 'd' then array['DELETE'] else array['SELECT', 'INSERT', 'UPDATE', 'DELETE'] end)
  )
union all
select distinct 'grant-without-policy', t.oid, t.name, g.grantee || ' may ' || lower(g.privilege) || ', and no permissive policy lets a row pass',
  format('revoke %s on %s from %s;', lower(g.privilege), t.name, g.grantee)
from tab t
join granted g on g.relation = t.oid and g.privilege in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
where t.rls
  and not exists (
    select from policy p
    where p.relation = t.oid and p.permissive
      and (0 = any (p.roles) or g.oid = any (p.roles))
      and p.command in ('*', case g.privilege when 'SELECT' then 'r' when 'INSERT' then 'a' when 'UPDATE' then 'w' else 'd' end)
  )
