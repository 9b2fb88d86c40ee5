-- 25_change_a_ticket, as the server of the release sends it.
-- login: vicket_gate_agent

-- next message
BEGIN READ WRITE

-- next message
-- parameters: '\xa29e487efcb4e9981c7d8adac873b37eaae5e3b1ec443b27e59f3f97cb5b8568', '\x', '\xe077ad278cb1abb29d87349c3ce5b1bc93e61acf794daccfee46f10c9ebd59d3', 'plans'
select * from auth.enter_org($1, $2, $3, $4)

-- next message
-- parameters: 'pending'
select id from vicket.statuses
                where deleted_at is null and (id::text = $1 or lower(name) = lower($1) or category = $1)
                order by id::text = $1 desc, lower(name) = lower($1) desc, is_default desc, position, id
                limit 1

-- next message
-- parameters: 'a2c6421e-ab20-48b9-8624-442e1ec7d1e6', '453a6266-3418-482e-84f4-e40625d851b0', NULL, 'f', NULL
update vicket.tickets set
          status_id = coalesce($2, status_id),
          priority_id = coalesce($3, priority_id),
          assignee_id = case when $4 then $5 else assignee_id end
        where id = $1

-- next message
-- parameters: 'a2c6421e-ab20-48b9-8624-442e1ec7d1e6'
select t.id, s.slug as site, t.number, s.prefix || '-' || t.number as reference, t.subject, t.email, t.name,
              t.status_id, st.name as status, t.status as category, t.priority_id, p.name as priority, t.assignee_id, a.email as assignee,
              t.template_name as template, t.score, t.created_at, t.updated_at
            from vicket.tickets t
            join vicket.sites s on s.org_id = t.org_id and s.id = t.site_id
            join vicket.statuses st on st.org_id = t.org_id and st.id = t.status_id
            join vicket.priorities p on p.org_id = t.org_id and p.id = t.priority_id
            left join ctx.people() a on a.user_id = t.assignee_id where t.id = $1

-- next message
-- parameters: 'a2c6421e-ab20-48b9-8624-442e1ec7d1e6'
select id, author, author_id, author_name, body, internal, created_at
        from vicket.ticket_messages where ticket_id = $1 order by created_at, id

-- next message
-- parameters: 'a2c6421e-ab20-48b9-8624-442e1ec7d1e6'
select a.id, a.message_id, a.name, a.size, a.content_type, a.created_at from vicket.attachments a where a.ticket_id = $1 order by a.created_at, a.id

-- next message
-- parameters: 'a2c6421e-ab20-48b9-8624-442e1ec7d1e6'
select at, actor, kind, before, after from vicket.ticket_events where ticket_id = $1 order by at, id

-- next message
-- parameters: 'a2c6421e-ab20-48b9-8624-442e1ec7d1e6'
select label, value, points from vicket.ticket_answers where ticket_id = $1 order by position

-- next message
SET CONSTRAINTS ALL IMMEDIATE; COMMIT; RESET ALL; SELECT current_user OPERATOR(pg_catalog.=) session_user; RESET ROLE; SELECT auth.session_is_clean()
