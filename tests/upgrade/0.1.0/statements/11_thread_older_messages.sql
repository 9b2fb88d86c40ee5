-- 11_thread_older_messages, as the server of the release sends it.
-- login: vicket_gate_widget

-- next message
BEGIN READ ONLY

-- next message
-- parameters: '\x72caec1ad1bc152d0d0c1c6531af600ef8a720b2d2b47ba607da72c60d673e95', '\xc69607d8cfb85bdb2b82d1bdacd361a0395eb20b9c55012e1364ee84286e9d22', '\x15242062c956ce51f9ab6e7c1a5a0119176480b31dec26392f866c0281a65eb2'
select * from auth.enter_site($1, $2, $3)

-- next message
-- parameters: '1900000000000000', 'a2c6421e-ab20-48b9-8624-442e1ec7d1e6', '51', '655360'
select m.id, m.author, m.author_name, m.body, m.created_at from (
              select m.*, sum(octet_length(m.body)) over (order by m.created_at desc, m.id desc) - octet_length(m.body) as newer
              from (
                select m.id, m.author, m.author_name, m.body, m.created_at
                from vicket.ticket_messages m
                where (m.created_at, m.id) < (coalesce(timestamptz 'epoch' + $1 * interval '1 microsecond', 'infinity'), $2)
                order by m.created_at desc, m.id desc
                limit $3
              ) m
            ) m
            where m.newer <= $4
            order by m.created_at desc, m.id desc

-- next message
-- parameters: '{e8f8eae9-dafc-4c1f-849a-4f8461e85a10}'
select a.id, a.message_id, a.name, a.size, a.content_type, a.created_at from vicket.attachments a where a.message_id = any ($1) order by a.created_at, a.id

-- next message
SET CONSTRAINTS ALL IMMEDIATE; COMMIT; RESET ALL; SELECT current_user OPERATOR(pg_catalog.=) session_user; RESET ROLE; SELECT auth.session_is_clean()
