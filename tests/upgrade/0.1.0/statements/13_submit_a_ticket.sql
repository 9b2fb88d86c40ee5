-- 13_submit_a_ticket, as the server of the release sends it.
-- login: vicket_gate_widget

-- next message
BEGIN READ WRITE

-- next message
-- parameters: '\x72caec1ad1bc152d0d0c1c6531af600ef8a720b2d2b47ba607da72c60d673e95', '\xc69607d8cfb85bdb2b82d1bdacd361a0395eb20b9c55012e1364ee84286e9d22', '\x{hex 64 1}'
select * from auth.enter_site($1, $2, $3)

-- next message
-- parameters: 'ticket', '\x{hex 64 2}', '\x{hex 64 2}'
-- answers: uuid 3, uuid 4
select verdict, ticket_id, message_id from ctx.claim_submission($1, $2, $3)

-- next message
-- parameters: '{uuid 3}', '\x{hex 64 1}'
insert into vicket.ticket_tokens (ticket_id, token_hash) values ($1, $2)

-- next message
-- parameters: '{uuid 3}', 'ada@example.com', 'Ada', 'Help', '{uuid 4}', 'Please help.'
with ticket as (
      insert into vicket.tickets (id, email, name, subject)
      values ($1, $2, $3, $4)
      returning org_id, site_id, id, number, subject, status, created_at
    ), message as (
      insert into vicket.ticket_messages (id, ticket_id, author_name, body)
      values ($5, $1, $3, $6)
    )
    select t.id, t.number, s.prefix || '-' || t.number as reference, t.subject, t.status, t.created_at
    from ticket t
    join vicket.sites s on s.org_id = t.org_id and s.id = t.site_id

-- next message
SET CONSTRAINTS ALL IMMEDIATE; COMMIT; RESET ALL; SELECT current_user OPERATOR(pg_catalog.=) session_user; RESET ROLE; SELECT auth.session_is_clean()
