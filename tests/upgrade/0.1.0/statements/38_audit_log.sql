-- 38_audit_log, as the server of the release sends it.
-- login: vicket_gate_agent

-- next message
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY

-- next message
-- parameters: '\xa29e487efcb4e9981c7d8adac873b37eaae5e3b1ec443b27e59f3f97cb5b8568', '\x', '\xe077ad278cb1abb29d87349c3ce5b1bc93e61acf794daccfee46f10c9ebd59d3', 'plans'
select * from auth.enter_org($1, $2, $3, $4)

-- next message
-- parameters: NULL, NULL, NULL, '21'
select l.seq, l.at, l.actor_kind, l.actor_id, coalesce(l.actor, 'erased') as actor, l.action, l.object_kind,
          coalesce(l.object_id, 'erased') as object_id, s.slug as site, l.before, l.after, l.request_id
        from vicket.audit_log l
        left join vicket.sites s on s.id = l.site_id
        -- Months to come are not looked at.
        where l.at < now() + interval '1 day'
          and ($1::bigint is null or l.seq < $1)
          and ($2::text is null or l.object_kind = $2)
          and ($3::text is null or l.actor = $3)
        order by l.seq desc
        limit $4

-- next message
SET CONSTRAINTS ALL IMMEDIATE; COMMIT; RESET ALL; SELECT current_user OPERATOR(pg_catalog.=) session_user; RESET ROLE; SELECT auth.session_is_clean()
