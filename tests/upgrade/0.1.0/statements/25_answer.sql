-- 25_answer, as the server of the release sends it.
-- login: vicket_gate_agent

-- next message
BEGIN READ WRITE

-- next message
-- parameters: '\xa29e487efcb4e9981c7d8adac873b37eaae5e3b1ec443b27e59f3f97cb5b8568', '\x', '\xe077ad278cb1abb29d87349c3ce5b1bc93e61acf794daccfee46f10c9ebd59d3', 'plans'
select * from auth.enter_org($1, $2, $3, $4)

-- next message
-- parameters: 'a2c6421e-ab20-48b9-8624-442e1ec7d1e6', 'Like this.', 'f'
insert into vicket.ticket_messages (site_id, ticket_id, author, body, internal)
        select t.site_id, t.id, 'agent', $2, $3 from vicket.tickets t where t.id = $1
        returning id, author, author_id, author_name, body, internal, created_at

-- next message
SET CONSTRAINTS ALL IMMEDIATE; COMMIT; RESET ALL; SELECT current_user OPERATOR(pg_catalog.=) session_user; RESET ROLE; SELECT auth.session_is_clean()
