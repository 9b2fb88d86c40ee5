-- 36_teams, as the server of the release sends it.
-- login: vicket_gate_agent

-- next message
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY

-- next message
-- parameters: '\xa29e487efcb4e9981c7d8adac873b37eaae5e3b1ec443b27e59f3f97cb5b8568', '\x', '\xe077ad278cb1abb29d87349c3ce5b1bc93e61acf794daccfee46f10c9ebd59d3', 'plans'
select * from auth.enter_org($1, $2, $3, $4)

-- next message
-- parameters: NULL, '21'
select t.id, t.name,
              array(select m.user_id from vicket.team_members m where m.team_id = t.id order by m.user_id) as members,
              array(
                select s.slug from vicket.team_sites ts join vicket.sites s on s.org_id = ts.org_id and s.id = ts.site_id
                where ts.team_id = t.id order by s.slug
              ) as sites
            from vicket.teams t where $1::text is null or t.name > $1 order by t.name limit $2

-- next message
SET CONSTRAINTS ALL IMMEDIATE; COMMIT; RESET ALL; SELECT current_user OPERATOR(pg_catalog.=) session_user; RESET ROLE; SELECT auth.session_is_clean()
