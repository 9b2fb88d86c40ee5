-- 12_one_file, as the server of the release sends it.
-- login: vicket_gate_widget

-- next message
BEGIN READ ONLY

-- next message
-- parameters: '\x72caec1ad1bc152d0d0c1c6531af600ef8a720b2d2b47ba607da72c60d673e95', '\xc69607d8cfb85bdb2b82d1bdacd361a0395eb20b9c55012e1364ee84286e9d22', '\x15242062c956ce51f9ab6e7c1a5a0119176480b31dec26392f866c0281a65eb2'
select * from auth.enter_site($1, $2, $3)

-- next message
-- parameters: '80dbc999-57f5-48b1-8743-34965be49c95', NULL
select a.id, a.message_id, a.name, a.size, a.content_type, a.created_at from vicket.attachments a where a.id = $1 and ($2::uuid is null or a.ticket_id = $2)

-- next message
-- parameters: '80dbc999-57f5-48b1-8743-34965be49c95'
select a.content, a.object_key from vicket.attachments a where a.id = $1

-- next message
SET CONSTRAINTS ALL IMMEDIATE; COMMIT; RESET ALL; SELECT current_user OPERATOR(pg_catalog.=) session_user; RESET ROLE; SELECT auth.session_is_clean()
