-- 11_one_file, as the server of the release sends it.
-- login: vicket_gate_widget

-- next message
BEGIN READ ONLY

-- next message
-- parameters: '\x72caec1ad1bc152d0d0c1c6531af600ef8a720b2d2b47ba607da72c60d673e95', '\xc69607d8cfb85bdb2b82d1bdacd361a0395eb20b9c55012e1364ee84286e9d22', '\xdbe51f16e5c395859acc42aeea7041e0cf4fa07a98af3a6232ad7db31f02a523'
select * from auth.enter_site($1, $2, $3)

-- next message
-- parameters: 'c94e11d0-d5b1-4c28-86b8-b1f79ba5756e', NULL
select a.id, a.message_id, a.name, a.size, a.content_type, a.created_at from vicket.attachments a where a.id = $1 and ($2::uuid is null or a.ticket_id = $2)

-- next message
-- parameters: 'c94e11d0-d5b1-4c28-86b8-b1f79ba5756e'
select a.content, a.object_key from vicket.attachments a where a.id = $1

-- next message
SET CONSTRAINTS ALL IMMEDIATE; COMMIT; RESET ALL; SELECT auth.session_is_clean()
