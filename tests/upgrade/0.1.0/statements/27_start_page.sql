-- 27_start_page, as the server of the release sends it.
-- login: vicket_gate_agent

-- next message
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY

-- next message
-- parameters: '\xa29e487efcb4e9981c7d8adac873b37eaae5e3b1ec443b27e59f3f97cb5b8568', '\x', '\xe077ad278cb1abb29d87349c3ce5b1bc93e61acf794daccfee46f10c9ebd59d3', 'plans'
select * from auth.enter_org($1, $2, $3, $4)

-- next message
-- parameters: 
with opened as (
          select (t.created_at at time zone 'UTC')::date as day, count(*) as times
          from vicket.tickets t
          where t.created_at >= now() - interval '14 days'
          group by 1
        ),
        solved as (
          select (e.at at time zone 'UTC')::date as day, count(distinct e.ticket_id) as times
          from vicket.ticket_events e
          where e.at >= now() - interval '14 days' and e.kind = 'status'
            and e.after in (select s.name from vicket.statuses s where s.category in ('resolved', 'closed'))
          group by 1
        )
        select d.day::date as day, coalesce(opened.times, 0) as opened, coalesce(solved.times, 0) as solved
        from generate_series(
          (now() at time zone 'UTC')::date - 13, (now() at time zone 'UTC')::date, interval '1 day'
        ) as d (day)
        left join opened on opened.day = d.day::date
        left join solved on solved.day = d.day::date
        order by d.day

-- next message
-- parameters: 
select s.slug, s.name, n.tickets
        from (
          select t.site_id, count(*) as tickets
          from vicket.tickets t
          where t.created_at >= now() - interval '14 days'
          group by 1
        ) n
        join vicket.sites s on s.id = n.site_id
        order by n.tickets desc, s.slug
        limit 5

-- next message
-- parameters: 
select m.search, sum(m.times)::bigint as times
        from vicket.missed_searches m
        where m.day > (now() at time zone 'UTC')::date - 14
        group by m.search
        order by 2 desc, 1
        limit 10

-- next message
-- parameters: 
select percentile_cont(0.5) within group (order by extract(epoch from first.at - t.created_at))
        from (
          select i.org_id, i.site_id, i.id, i.created_at
          from vicket.tickets i
          order by i.created_at desc, i.id desc
          limit 1000
        ) t
        cross join lateral (
          select m.created_at as at
          from vicket.ticket_messages m
          where m.org_id = t.org_id and m.site_id = t.site_id and m.ticket_id = t.id
            and m.author = 'agent' and not m.internal
          order by m.created_at, m.id
          limit 1
        ) first

-- next message
SET CONSTRAINTS ALL IMMEDIATE; COMMIT; RESET ALL; SELECT current_user OPERATOR(pg_catalog.=) session_user; RESET ROLE; SELECT auth.session_is_clean()
