-- 30_ticket_forms_with_points, as the server of the release sends it.
-- login: vicket_gate_agent

-- next message
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY

-- next message
-- parameters: '\xa29e487efcb4e9981c7d8adac873b37eaae5e3b1ec443b27e59f3f97cb5b8568', '\x', '\xe077ad278cb1abb29d87349c3ce5b1bc93e61acf794daccfee46f10c9ebd59d3', 'plans'
select * from auth.enter_org($1, $2, $3, $4)

-- next message
-- parameters: NULL, '21', NULL
select t.id, t.name, t.description, t.updated_at
        from vicket.templates t
        where ($1::text is null or t.name > $1)
          and ($3::text is null or exists (
            select from vicket.template_sites ts
            join vicket.sites s on s.org_id = ts.org_id and s.id = ts.site_id
            where ts.org_id = t.org_id and ts.template_id = t.id and s.slug = $3
          ))
        order by t.name
        limit $2

-- next message
-- parameters: '{cf8e5e1a-e0d9-47ec-8709-3413cd2b266a,b6064f94-d6ab-493f-8d3f-a3bc94f2636f,7f32e8a9-b289-4a08-8275-0bcc849c0847}'
select template_id, id, label, type, required, position, points from vicket.template_questions
        where template_id = any ($1) order by position, id

-- next message
-- parameters: '{cf8e5e1a-e0d9-47ec-8709-3413cd2b266a,b6064f94-d6ab-493f-8d3f-a3bc94f2636f,7f32e8a9-b289-4a08-8275-0bcc849c0847}'
select question_id, id, label, points from vicket.template_options
        where template_id = any ($1) order by position, id

-- next message
-- parameters: '{cf8e5e1a-e0d9-47ec-8709-3413cd2b266a,b6064f94-d6ab-493f-8d3f-a3bc94f2636f,7f32e8a9-b289-4a08-8275-0bcc849c0847}'
select h.template_id, h.points, p.name as priority
        from vicket.template_thresholds h
        join vicket.priorities p on p.org_id = h.org_id and p.id = h.priority_id
        where h.template_id = any ($1)
        order by h.points

-- next message
-- parameters: '{cf8e5e1a-e0d9-47ec-8709-3413cd2b266a,b6064f94-d6ab-493f-8d3f-a3bc94f2636f,7f32e8a9-b289-4a08-8275-0bcc849c0847}'
select ts.template_id, s.slug
        from vicket.template_sites ts
        join vicket.sites s on s.org_id = ts.org_id and s.id = ts.site_id
        where ts.template_id = any ($1)
        order by s.slug

-- next message
SET CONSTRAINTS ALL IMMEDIATE; COMMIT; RESET ALL; SELECT current_user OPERATOR(pg_catalog.=) session_user; RESET ROLE; SELECT auth.session_is_clean()
