//! Tickets that are part of another of the same customer: its conversation shows theirs, and nothing is copied. And which may belong
//! together: those of one address, first those whose mails say that they began alike. Only a person puts them together.

use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    super::statuses::Category,
    agent::{self, Whole},
    inbox,
    thread::NEWEST,
};
use crate::{
    db::OrgTx,
    domain::problem::{Code, Problem},
};

/// A ticket of the same address and site as another.
#[derive(Debug, FromRow)]
pub struct Related {
    pub id: Uuid,
    pub reference: String,
    pub subject: String,
    pub status: String,
    pub category: Category,
    pub last_activity_at: OffsetDateTime,
    /// The reference of the one that it is part of.
    pub merged_into: Option<String>,
    /// Mails of both say that they began alike.
    pub same_thread: bool,
}

/// How many related tickets are told.
const RELATED: i64 = 20;

/// Places that an address is looked up in: beyond, an address is one that everybody writes about.
const PLACES: i32 = 2_000;

/// Makes a ticket part of another, and with it what was part of it; says what that is now.
///
/// # Errors
/// `404 not_found`; `409 ticket_closed` for another that is closed; `422 unprocessable` for another that is not there, of another
/// site or customer, or part of a third; for a ticket that is part of one already; for one too many.
pub async fn merge(tx: &mut OrgTx, id: Uuid, into: Uuid) -> Result<Whole, Problem> {
    let refused = |reason: &'static str| Problem::unprocessable("into", reason);
    let done = sqlx::query(
        "insert into vicket.ticket_merges (site_id, ticket_id, into_id)
        select t.site_id, t.id, w.id
        from vicket.tickets t
        join vicket.tickets w on w.org_id = t.org_id and w.site_id = t.site_id and w.id = $2
        where t.id = $1",
    )
    .bind(id)
    .bind(into)
    .execute(tx.connection())
    .await
    .map_err(|error| match super::super::constraint(&error) {
        "ticket_merges_pkey" => refused("the ticket is part of another already: take that back first"),
        "ticket_merges_of_another" => refused("a ticket is no part of itself"),
        "ticket_merges_of_one_customer" => refused("the tickets are not of the same address"),
        "ticket_merges_of_whole" => refused("it is itself part of another: choose that one"),
        "ticket_merges_most" => refused("a ticket has at most 20 others"),
        "ticket_not_closed" => {
            Problem::new(Code::TicketClosed, "Nothing becomes part of a closed ticket. Open it first.")
        }
        _ => error.into(),
    })?;
    if done.rows_affected() == 0 {
        inbox::ticket(tx, id).await?.ok_or_else(Problem::not_found)?;
        return Err(refused("the site of the ticket has no such ticket"));
    }
    agent::whole(tx, into, NEWEST).await
}

/// Takes back that a ticket is part of another: it stands where it stood before. Says of which it was.
///
/// # Errors
/// `404 not_found` when it is part of none.
pub async fn unmerge(tx: &mut OrgTx, id: Uuid) -> Result<Uuid, Problem> {
    let into: Option<Uuid> = sqlx::query_scalar("select ctx.unmerge($1)").bind(id).fetch_one(tx.connection()).await?;
    into.ok_or_else(Problem::not_found)
}

/// The other tickets of a ticket's address at its site, but for those that are part of it: those whose mails began alike, then those
/// of which something was said last.
///
/// # Errors
/// `404 not_found`.
pub async fn related(tx: &mut OrgTx, id: Uuid) -> Result<Vec<Related>, Problem> {
    let row: Option<(Uuid, String)> = sqlx::query_as("select t.site_id, t.email from vicket.tickets t where t.id = $1")
        .bind(id)
        .fetch_optional(tx.connection())
        .await?;
    let (site, email) = row.ok_or_else(Problem::not_found)?;
    let near: Vec<Uuid> = sqlx::query_scalar(
        "select distinct b.ticket_id
        from vicket.inbound_mails a
        join vicket.inbound_mails b
          on b.org_id = a.org_id and b.site_id = a.site_id and b.thread_digest = a.thread_digest and b.ticket_id is not null
        where a.ticket_id = $1 and b.ticket_id <> $1
        limit 200",
    )
    .bind(id)
    .fetch_all(tx.connection())
    .await?;
    // As one phrase, whatever is in it.
    let phrase = format!("\"{}\"", email.replace('"', " "));
    let mut named = inbox::listed(tx, &phrase, PLACES).await?.unwrap_or_default();
    named.extend(&near);
    Ok(sqlx::query_as(
        "select o.id, s.prefix || '-' || o.number as reference, o.subject, st.name as status, o.status as category,
          o.last_activity_at, s.prefix || '-' || w.number as merged_into, o.same_thread
        from (
          select o.org_id, o.site_id, o.id, o.number, o.subject, o.status, o.status_id, o.last_activity_at, o.id = any ($3) as same_thread
          from vicket.tickets o
          where o.id = any ($2) and o.id <> $1 and o.site_id = $4 and lower(o.email collate \"C\") = lower($5 collate \"C\")
            and not exists (
              select from vicket.ticket_merges g
              where g.org_id = o.org_id and g.site_id = o.site_id and g.ticket_id = o.id and g.into_id = $1
            )
          order by o.id = any ($3) desc, o.last_activity_at desc, o.id
          limit $6
        ) o
        join vicket.sites s on s.org_id = o.org_id and s.id = o.site_id
        join vicket.statuses st on st.org_id = o.org_id and st.id = o.status_id
        left join lateral (
          select w.number
          from vicket.ticket_merges g
          join vicket.tickets w on w.org_id = g.org_id and w.site_id = g.site_id and w.id = g.into_id
          where g.org_id = o.org_id and g.site_id = o.site_id and g.ticket_id = o.id
          limit 1
        ) w on true
        order by o.same_thread desc, o.last_activity_at desc, o.id",
    )
    .bind(id)
    .bind(named)
    .bind(near)
    .bind(site)
    .bind(email)
    .bind(RELATED)
    .fetch_all(tx.connection())
    .await?)
}
