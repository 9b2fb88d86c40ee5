-- 28_a_site_s_key, as the server of the release sends it.
-- login: vicket_gate_agent

-- next message
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY

-- next message
-- parameters: '\xa29e487efcb4e9981c7d8adac873b37eaae5e3b1ec443b27e59f3f97cb5b8568', '\x', '\xe077ad278cb1abb29d87349c3ce5b1bc93e61acf794daccfee46f10c9ebd59d3', 'plans'
select * from auth.enter_org($1, $2, $3, $4)

-- next message
-- parameters: 'site-7'
select id, slug, name, prefix, reads_per_minute, writes_per_minute, network_reads_per_minute, network_writes_per_minute, created_at, updated_at from vicket.sites where slug = $1

-- next message
-- parameters: 'e7016090-a565-429f-891e-cb6333721f02', 'active'
select id, hint, created_at, created_by, last_used_at from vicket.site_keys where site_id = $1 and state = $2

-- next message
-- parameters: 'e7016090-a565-429f-891e-cb6333721f02', 'staged'
select id, hint, created_at, created_by, last_used_at from vicket.site_keys where site_id = $1 and state = $2

-- next message
-- parameters: 'e7016090-a565-429f-891e-cb6333721f02', '08bebe39-78de-49f4-8e19-86bef22466b8'
select o.origin, o.last_used_at
        from vicket.site_key_origins o
        where o.site_id = $1 and o.key_id = $2
        order by o.last_used_at desc, o.origin
        limit 20

-- next message
SET CONSTRAINTS ALL IMMEDIATE; COMMIT; RESET ALL; SELECT current_user OPERATOR(pg_catalog.=) session_user; RESET ROLE; SELECT auth.session_is_clean()
