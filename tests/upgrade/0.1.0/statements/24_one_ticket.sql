-- 24_one_ticket, as the server of the release sends it.
-- login: vicket_gate_agent

-- next message
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY

-- next message
-- parameters: '\xa29e487efcb4e9981c7d8adac873b37eaae5e3b1ec443b27e59f3f97cb5b8568', '\x', '\xe077ad278cb1abb29d87349c3ce5b1bc93e61acf794daccfee46f10c9ebd59d3', 'plans'
select * from auth.enter_org($1, $2, $3, $4)

-- next message
-- parameters: 'cfc83863-75f2-4795-89ea-df432f79a04f'
select t.id, s.slug as site, t.number, s.prefix || '-' || t.number as reference, t.subject, t.email, t.name,
              t.status_id, st.name as status, t.status as category, t.priority_id, p.name as priority, t.assignee_id, a.email as assignee,
              t.template_name as template, t.score, t.created_at, t.updated_at
            from vicket.tickets t
            join vicket.sites s on s.org_id = t.org_id and s.id = t.site_id
            join vicket.statuses st on st.org_id = t.org_id and st.id = t.status_id
            join vicket.priorities p on p.org_id = t.org_id and p.id = t.priority_id
            left join ctx.people() a on a.user_id = t.assignee_id where t.id = $1

-- next message
-- parameters: 'cfc83863-75f2-4795-89ea-df432f79a04f'
select label, value, points from vicket.ticket_answers where ticket_id = $1 order by position

-- next message
-- parameters: NULL, 'ffffffff-ffff-ffff-ffff-ffffffffffff', '51', '655360', 'cfc83863-75f2-4795-89ea-df432f79a04f'
select m.id, m.author, m.author_id, m.author_name, m.body, m.internal, m.created_at from (
              select m.*, sum(octet_length(m.body)) over (order by m.created_at desc, m.id desc) - octet_length(m.body) as newer
              from (
                select m.id, m.author, m.author_id, m.author_name, m.body, m.internal, m.created_at
                from vicket.ticket_messages m
                where m.ticket_id = $5 and (m.created_at, m.id) < (coalesce(timestamptz 'epoch' + $1 * interval '1 microsecond', 'infinity'), $2)
                order by m.created_at desc, m.id desc
                limit $3
              ) m
            ) m
            where m.newer <= $4
            order by m.created_at desc, m.id desc

-- next message
-- parameters: 'cfc83863-75f2-4795-89ea-df432f79a04f', '{4588a67e-3b7f-4b6b-871c-5e3851b93b90,2c7ae903-8eab-4cb1-8103-904650a9dedb}'
select a.id, a.message_id, a.name, a.size, a.content_type, a.created_at from vicket.attachments a where a.ticket_id = $1 and a.message_id = any ($2) order by a.created_at, a.id

-- next message
-- parameters: 'cfc83863-75f2-4795-89ea-df432f79a04f', NULL, NULL, '200'
select at, actor, kind, before, after
        from vicket.ticket_events
        where ticket_id = $1
          and at >= coalesce($2::timestamptz, '-infinity')
          and at < coalesce(timestamptz 'epoch' + $3 * interval '1 microsecond', 'infinity')
        order by at desc, id desc
        limit $4

-- next message
SET CONSTRAINTS ALL IMMEDIATE; COMMIT; RESET ALL; SELECT current_user OPERATOR(pg_catalog.=) session_user; RESET ROLE; SELECT auth.session_is_clean()
