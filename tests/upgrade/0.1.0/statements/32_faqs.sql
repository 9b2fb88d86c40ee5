-- 32_faqs, as the server of the release sends it.
-- login: vicket_gate_agent

-- next message
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY

-- next message
-- parameters: '\xa29e487efcb4e9981c7d8adac873b37eaae5e3b1ec443b27e59f3f97cb5b8568', '\x', '\xe077ad278cb1abb29d87349c3ce5b1bc93e61acf794daccfee46f10c9ebd59d3', 'plans'
select * from auth.enter_org($1, $2, $3, $4)

-- next message
-- parameters: NULL, NULL, NULL, NULL, NULL, '21'
select f.id, s.slug as site, f.question, f.answer_markdown, f.answer_html, f.position, f.status,
              f.created_at, f.created_by, f.updated_at, f.updated_by
            from vicket.faqs f
            left join vicket.sites s on s.org_id = f.org_id and s.id = f.site_id where ($1::bigint is null or (f.position, f.id) > ($1::integer, $2))
          and ($3::uuid is null or f.site_id = $3)
          and ($4::text is null or f.status = $4)
          and ($5::text is null or strpos(lower(f.question || ' ' || f.answer_markdown), lower($5)) > 0)
        order by f.position, f.id
        limit $6

-- next message
SET CONSTRAINTS ALL IMMEDIATE; COMMIT; RESET ALL; SELECT current_user OPERATOR(pg_catalog.=) session_user; RESET ROLE; SELECT auth.session_is_clean()
