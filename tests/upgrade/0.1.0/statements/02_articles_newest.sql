-- 02_articles_newest, as the server of the release sends it.
-- login: vicket_gate_widget

-- next message
BEGIN READ ONLY

-- next message
-- parameters: '\x72caec1ad1bc152d0d0c1c6531af600ef8a720b2d2b47ba607da72c60d673e95', '\xc69607d8cfb85bdb2b82d1bdacd361a0395eb20b9c55012e1364ee84286e9d22', '\x15242062c956ce51f9ab6e7c1a5a0119176480b31dec26392f866c0281a65eb2'
select * from auth.enter_site($1, $2, $3)

-- next message
-- parameters: NULL, NULL, '21', NULL
select p.id, p.slug, p.title, p.excerpt, p.view_count, p.published_at, p.updated_at, p.rank
            from (
              (select a.id, a.slug, a.title, a.excerpt, a.view_count, a.published_at, a.updated_at, 0::bigint as rank, a.published_at as key
            from vicket.articles a
            where a.site_id = (select ctx.site_id())
              and ($4::text is null or a.search @@ websearch_to_tsquery('pg_catalog.english', $4))
              and ($1::bigint is null or (a.published_at, a.id) < (timestamptz 'epoch' + $1 * interval '1 microsecond', $2))
            order by a.published_at desc, a.id desc
            limit $3)
              union all
              (select a.id, a.slug, a.title, a.excerpt, a.view_count, a.published_at, a.updated_at, 0::bigint as rank, a.published_at as key
            from vicket.articles a
            where a.site_id is null and not exists (
                select from vicket.articles own where own.slug = a.slug and own.site_id = (select ctx.site_id())
              )
              and ($4::text is null or a.search @@ websearch_to_tsquery('pg_catalog.english', $4))
              and ($1::bigint is null or (a.published_at, a.id) < (timestamptz 'epoch' + $1 * interval '1 microsecond', $2))
            order by a.published_at desc, a.id desc
            limit $3)
            ) p
            order by p.key desc, p.id desc
            limit $3

-- next message
SET CONSTRAINTS ALL IMMEDIATE; COMMIT; RESET ALL; SELECT current_user OPERATOR(pg_catalog.=) session_user; RESET ROLE; SELECT auth.session_is_clean()
