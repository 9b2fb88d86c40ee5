-- 14_reply, as the server of the release sends it.
-- login: vicket_gate_widget

-- next message
BEGIN READ WRITE

-- next message
-- parameters: '\x72caec1ad1bc152d0d0c1c6531af600ef8a720b2d2b47ba607da72c60d673e95', '\xc69607d8cfb85bdb2b82d1bdacd361a0395eb20b9c55012e1364ee84286e9d22', '\x15242062c956ce51f9ab6e7c1a5a0119176480b31dec26392f866c0281a65eb2'
select * from auth.enter_site($1, $2, $3)

-- next message
-- parameters: 
select t.id, t.number, s.prefix || '-' || t.number as reference, t.subject, t.status, t.created_at
        from vicket.tickets t
        join vicket.sites s on s.org_id = t.org_id and s.id = t.site_id

-- next message
-- parameters: 'message', '\x{hex 64 1}', '\x{hex 64 2}'
-- answers: uuid 3
select verdict, ticket_id, message_id from ctx.claim_submission($1, $2, $3)

-- next message
-- parameters: '{uuid 3}', 'Thanks.'
insert into vicket.ticket_messages (id, ticket_id, author_name, body)
        select $1, t.id, t.name, $2 from vicket.tickets t
        returning id, author, author_name, body, created_at

-- next message
SET CONSTRAINTS ALL IMMEDIATE; COMMIT; RESET ALL; SELECT current_user OPERATOR(pg_catalog.=) session_user; RESET ROLE; SELECT auth.session_is_clean()
