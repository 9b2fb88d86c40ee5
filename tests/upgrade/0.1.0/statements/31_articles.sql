-- 31_articles, as the server of the release sends it.
-- login: vicket_gate_agent

-- next message
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY

-- next message
-- parameters: '\xa29e487efcb4e9981c7d8adac873b37eaae5e3b1ec443b27e59f3f97cb5b8568', '\x', '\xe077ad278cb1abb29d87349c3ce5b1bc93e61acf794daccfee46f10c9ebd59d3', 'plans'
select * from auth.enter_org($1, $2, $3, $4)

-- next message
-- parameters: NULL, NULL, NULL, NULL, NULL, '21'
select a.id, s.slug as site, a.slug, a.title, a.excerpt, a.body_markdown, a.body_html, a.status, a.view_count,
              a.published_at, a.created_at, a.created_by, a.updated_at, a.updated_by
            from vicket.articles a
            left join vicket.sites s on s.org_id = a.org_id and s.id = a.site_id where ($1::bigint is null
            or (a.created_at, a.id) < (timestamptz 'epoch' + $1 * interval '1 microsecond', $2))
          and ($3::uuid is null or a.site_id = $3)
          and ($4::text is null or a.status = $4)
          and ($5::text is null or a.search @@ websearch_to_tsquery('pg_catalog.english', $5))
        order by a.created_at desc, a.id desc
        limit $6

-- next message
SET CONSTRAINTS ALL IMMEDIATE; COMMIT; RESET ALL; SELECT current_user OPERATOR(pg_catalog.=) session_user; RESET ROLE; SELECT auth.session_is_clean()
