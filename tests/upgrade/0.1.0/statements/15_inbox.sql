-- 15_inbox, as the server of the release sends it.
-- login: vicket_gate_agent

-- next message
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY

-- next message
-- parameters: '\xa29e487efcb4e9981c7d8adac873b37eaae5e3b1ec443b27e59f3f97cb5b8568', '\x', '\xe077ad278cb1abb29d87349c3ce5b1bc93e61acf794daccfee46f10c9ebd59d3', 'plans'
select * from auth.enter_org($1, $2, $3, $4)

-- next message
-- parameters: NULL, NULL, NULL, NULL, NULL, NULL, 'f', NULL, NULL, NULL, '21'
select t.id, s.slug as site, t.number, s.prefix || '-' || t.number as reference, t.subject, t.email, t.name,
              t.status_id, st.name as status, t.status as category, t.priority_id, p.name as priority, t.assignee_id, a.email as assignee,
              t.template_name as template, t.score, t.created_at, t.updated_at
            from (
          select i.org_id, i.site_id, i.id, i.number, i.subject, i.email, i.name, i.status, i.status_id, i.priority_id,
            i.assignee_id, i.template_name, i.score, i.created_at, i.updated_at
          from vicket.tickets i
          where ($1::bigint is null
              or (i.created_at, i.id) < (timestamptz 'epoch' + $1 * interval '1 microsecond', $2))
            and ($3::uuid is null or i.site_id = $3)
            and ($4::text is null or i.status = $4
              or i.status_id in (select f.id from vicket.statuses f where lower(f.name) = lower($4)))
            and ($5::text is null
              or i.priority_id in (select f.id from vicket.priorities f where lower(f.name) = lower($5)))
            and ($6::uuid is null or i.assignee_id = $6)
            and (not $7 or i.assignee_id is null)
            and ($8::bigint is null and $9::text is null
              or i.number = $8
                and ($10::text is null or i.site_id = (select f.id from vicket.sites f where f.prefix = $10))
              or $9::text is not null and (
                i.search @@ websearch_to_tsquery('pg_catalog.simple', $9)
                or i.id in (
                  select m.ticket_id from vicket.ticket_messages m
                  where m.search @@ websearch_to_tsquery('pg_catalog.simple', $9)
                )
              ))
          order by i.created_at desc, i.id desc
          limit $11
        ) t
            join vicket.sites s on s.org_id = t.org_id and s.id = t.site_id
            join vicket.statuses st on st.org_id = t.org_id and st.id = t.status_id
            join vicket.priorities p on p.org_id = t.org_id and p.id = t.priority_id
            left join ctx.people() a on a.user_id = t.assignee_id order by t.created_at desc, t.id desc

-- next message
SET CONSTRAINTS ALL IMMEDIATE; COMMIT; RESET ALL; SELECT current_user OPERATOR(pg_catalog.=) session_user; RESET ROLE; SELECT auth.session_is_clean()
