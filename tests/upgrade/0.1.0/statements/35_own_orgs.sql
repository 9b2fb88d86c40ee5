-- 35_own_orgs, as the server of the release sends it.
-- login: vicket_gate_agent

-- next message
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY

-- next message
-- parameters: '\xa29e487efcb4e9981c7d8adac873b37eaae5e3b1ec443b27e59f3f97cb5b8568', '\x', '\xe077ad278cb1abb29d87349c3ce5b1bc93e61acf794daccfee46f10c9ebd59d3', 'plans'
select * from auth.enter_org($1, $2, $3, $4)

-- next message
-- parameters: NULL, '21'
select slug, name, created_at, role, permissions
        from ctx.memberships()
        where $1::text is null or slug > $1
        order by slug
        limit $2

-- next message
SET CONSTRAINTS ALL IMMEDIATE; COMMIT; RESET ALL; SELECT current_user OPERATOR(pg_catalog.=) session_user; RESET ROLE; SELECT auth.session_is_clean()
