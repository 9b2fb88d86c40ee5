//! Figures of an org's last fourteen days, over the tickets that whoever asks may see.

use sqlx::FromRow;
use time::Date;

use crate::{db::OrgTx, domain::problem::Problem};

/// A day, in UTC.
#[derive(Debug, FromRow)]
pub struct Day {
    pub day: Date,
    /// Tickets that were submitted.
    pub opened: i64,
    /// Tickets that were moved to a status that ends them.
    pub solved: i64,
}

/// A site, and its tickets.
#[derive(Debug, FromRow)]
pub struct Busy {
    pub slug: String,
    pub name: String,
    pub tickets: i64,
}

/// The last fourteen days, today last.
///
/// # Errors
/// `5xx` only.
pub async fn days(tx: &mut OrgTx) -> Result<Vec<Day>, Problem> {
    let rows = sqlx::query_as(
        "with opened as (
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
        order by d.day",
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// Half of the last thousand tickets that were answered at all were first answered within this many seconds; `None` when
/// none was. A thousand, so that it costs the same in every org.
///
/// # Errors
/// `5xx` only.
pub async fn first_reply(tx: &mut OrgTx) -> Result<Option<f64>, Problem> {
    let seconds = sqlx::query_scalar(
        "select percentile_cont(0.5) within group (order by extract(epoch from first.at - t.created_at))
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
        ) first",
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(seconds)
}

/// The sites with the most tickets of the last fourteen days, five at the most.
///
/// # Errors
/// `5xx` only.
pub async fn busiest(tx: &mut OrgTx) -> Result<Vec<Busy>, Problem> {
    let rows = sqlx::query_as(
        "select s.slug, s.name, n.tickets
        from (
          select t.site_id, count(*) as tickets
          from vicket.tickets t
          where t.created_at >= now() - interval '14 days'
          group by 1
        ) n
        join vicket.sites s on s.id = n.site_id
        order by n.tickets desc, s.slug
        limit 5",
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// What customers searched for and did not find.
#[derive(Debug, FromRow)]
pub struct Missed {
    pub search: String,
    pub times: i64,
}

/// The most frequent searches of the last fourteen days that found no article, ten at the most.
///
/// # Errors
/// `5xx` only.
pub async fn missed(tx: &mut OrgTx) -> Result<Vec<Missed>, Problem> {
    let rows = sqlx::query_as(
        "select m.search, sum(m.times)::bigint as times
        from vicket.missed_searches m
        where m.day > (now() at time zone 'UTC')::date - 14
        group by m.search
        order by 2 desc, 1
        limit 10",
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}
