//! Who has a ticket open, who writes an answer, and how far each member has read. A member's rows are their own, of the tickets
//! that they may see: policies say so.

use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{db::OrgTx, domain::problem::Problem};

/// Another member who has a ticket open: it was before them in the last half minute.
#[derive(Clone, Debug, FromRow)]
pub struct Viewer {
    pub ticket_id: Uuid,
    pub user_id: Uuid,
    pub name: String,
    /// Whether they typed in the last ten seconds.
    pub typing: bool,
}

/// Says that whoever asks has this ticket open now, and whether they write. It is to be said again every ten seconds or so.
///
/// # Errors
/// `404 not_found`.
pub async fn seen(tx: &mut OrgTx, ticket_id: Uuid, typing: bool) -> Result<(), Problem> {
    let done = sqlx::query(
        "insert into vicket.ticket_seen as s (site_id, ticket_id, seen_at, typing_at)
        select t.site_id, t.id, now(), case when $2 then now() end from vicket.tickets t where t.id = $1
        on conflict (org_id, site_id, ticket_id, user_id) do update
          set seen_at = excluded.seen_at, typing_at = excluded.typing_at,
            changed_at = case
              when s.seen_at > now() - interval '30 seconds'
                and coalesce(s.typing_at > now() - interval '10 seconds', false) = (excluded.typing_at is not null)
              then s.changed_at else clock_timestamp() end",
    )
    .bind(ticket_id)
    .bind(typing)
    .execute(tx.connection())
    .await?;
    super::super::one_row(done.rows_affected())
}

/// Says that whoever asks has read this ticket up to this message. Up to its newest one, they have read all of it.
///
/// # Errors
/// `404 not_found`; `422 unprocessable` for a message that is not one of the ticket.
pub async fn read_to(tx: &mut OrgTx, ticket_id: Uuid, message_id: Uuid) -> Result<(), Problem> {
    let row: Option<(Option<OffsetDateTime>, Option<Uuid>, OffsetDateTime)> = sqlx::query_as(
        "select
          (select m.created_at from vicket.ticket_messages m where m.ticket_id = any (w.ids) and m.id = $2),
          (
            select l.id
            from unnest(w.ids) as of (ticket_id)
            cross join lateral (
              select m.id, m.created_at from vicket.ticket_messages m
              where m.org_id = t.org_id and m.ticket_id = of.ticket_id
              order by m.created_at desc, m.id desc
              limit 1
            ) l
            order by l.created_at desc, l.id desc
            limit 1
          ),
          t.last_activity_at
        from vicket.tickets t
        cross join lateral (
          select array(
            select t.id
            union all
            select g.ticket_id from vicket.ticket_merges g where g.org_id = t.org_id and g.into_id = t.id
          ) as ids
        ) w
        where t.id = $1",
    )
    .bind(ticket_id)
    .bind(message_id)
    .fetch_optional(tx.connection())
    .await?;
    let (said_at, newest, last_activity_at) = row.ok_or_else(Problem::not_found)?;
    let said_at = said_at.ok_or_else(|| Problem::unprocessable("read_to", "the ticket has no such message"))?;
    sqlx::query(
        "insert into vicket.ticket_seen as s (site_id, ticket_id, read_to)
        select t.site_id, t.id, $2 from vicket.tickets t where t.id = $1
        on conflict (org_id, site_id, ticket_id, user_id) do update
          set read_to = excluded.read_to, changed_at = clock_timestamp()
          where s.read_to is null or s.read_to < excluded.read_to",
    )
    .bind(ticket_id)
    .bind(if newest == Some(message_id) { last_activity_at } else { said_at })
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The other members who have one of these tickets open, by name.
///
/// # Errors
/// `5xx` only.
pub async fn viewers(tx: &mut OrgTx, tickets: &[Uuid]) -> Result<Vec<Viewer>, Problem> {
    Ok(sqlx::query_as(
        "select s.ticket_id, s.user_id, p.name, coalesce(s.typing_at > now() - interval '10 seconds', false) as typing
        from vicket.tickets t
        join vicket.ticket_seen s on s.org_id = t.org_id and s.site_id = t.site_id and s.ticket_id = t.id
        join ctx.people() p on p.user_id = s.user_id
        where t.id = any ($1)
          and s.seen_at > now() - interval '30 seconds'
          and s.user_id <> (select ctx.actor_user_id())
        order by p.name, p.user_id",
    )
    .bind(tickets)
    .fetch_all(tx.connection())
    .await?)
}
