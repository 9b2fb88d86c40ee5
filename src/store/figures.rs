//! Figures of an org's last thirty days, over the tickets that whoever asks may see.

use sqlx::FromRow;
use time::Date;

use crate::{db::OrgTx, problem::Problem};

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

/// The last thirty days, today last.
///
/// # Errors
/// `5xx` only.
pub async fn days(tx: &mut OrgTx) -> Result<Vec<Day>, Problem> {
    let rows = sqlx::query_as(
        "with opened as (
          select (t.created_at at time zone 'UTC')::date as day, count(*) as times
          from vicket.tickets t
          where t.created_at >= now() - interval '30 days'
          group by 1
        ),
        solved as (
          select (e.at at time zone 'UTC')::date as day, count(distinct e.ticket_id) as times
          from vicket.ticket_events e
          where e.at >= now() - interval '30 days' and e.kind = 'status'
            and e.after in (select s.name from vicket.ticket_statuses s where s.category in ('resolved', 'closed'))
          group by 1
        )
        select d.day::date as day, coalesce(opened.times, 0) as opened, coalesce(solved.times, 0) as solved
        from generate_series(
          (now() at time zone 'UTC')::date - 29, (now() at time zone 'UTC')::date, interval '1 day'
        ) as d (day)
        left join opened on opened.day = d.day::date
        left join solved on solved.day = d.day::date
        order by d.day",
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// Half of the tickets of the last thirty days that were answered were first answered within this many seconds; `None`
/// when none was.
///
/// # Errors
/// `5xx` only.
pub async fn first_reply(tx: &mut OrgTx) -> Result<Option<f64>, Problem> {
    let seconds = sqlx::query_scalar(
        "select percentile_cont(0.5) within group (order by extract(epoch from first.at - t.created_at))
        from vicket.tickets t
        join (
          select m.site_id, m.ticket_id, min(m.created_at) as at
          from vicket.ticket_messages m
          where m.author = 'agent' and not m.internal and m.created_at >= now() - interval '30 days'
          group by 1, 2
        ) first on first.site_id = t.site_id and first.ticket_id = t.id
        where t.created_at >= now() - interval '30 days'",
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(seconds)
}

/// The sites with the most tickets of the last thirty days, five at the most.
///
/// # Errors
/// `5xx` only.
pub async fn busiest(tx: &mut OrgTx) -> Result<Vec<Busy>, Problem> {
    let rows = sqlx::query_as(
        "select s.slug, s.name, n.tickets
        from (
          select t.site_id, count(*) as tickets
          from vicket.tickets t
          where t.created_at >= now() - interval '30 days'
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
