//! The tickets of a customer, as their session lists them. One that is named is read and answered as by its token
//! (`public.rs`): `ctx.ticket_id()` is that one, if it is theirs.

use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::paging::{self, Keyset, PageRequest};
use crate::{db::SiteTx, domain::problem::Problem};

/// A ticket in a customer's list.
#[derive(Debug, FromRow)]
pub struct Listed {
    pub id: Uuid,
    pub number: i64,
    pub reference: String,
    pub subject: String,
    pub status: String,
    pub created_at: OffsetDateTime,
    /// When something was said last, notes between agents aside.
    pub last_activity_at: OffsetDateTime,
    /// Answers since they last opened it.
    pub unread: i64,
}

/// Those of the customer whose session is in the context, the newest first.
///
/// # Errors
/// `400 invalid_cursor`.
pub async fn page(tx: &mut SiteTx, page_request: PageRequest<'_>) -> Result<(Vec<Listed>, Option<String>), Problem> {
    let place = page_request.after(b'm')?;
    let rows: Vec<Listed> = sqlx::query_as(
        "select t.id, t.number, s.prefix || '-' || t.number as reference, t.subject, t.status, t.created_at,
          coalesce(a.last_at, t.created_at) as last_activity_at, a.unread
        from vicket.tickets t
        join vicket.sites s on s.org_id = t.org_id and s.id = t.site_id
        cross join lateral ctx.activity_of_mine(t.id) a
        where t.customer_id = (select ctx.customer_id())
          and ($1::bigint is null or (t.created_at, t.id) < (timestamptz 'epoch' + $1 * interval '1 microsecond', $2))
        order by t.created_at desc, t.id desc
        limit $3",
    )
    .bind(place.map(|place| place.figure))
    .bind(place.map(|place| place.id))
    .bind(page_request.fetch())
    .fetch_all(tx.connection())
    .await?;
    Ok(page_request
        .into_page(rows, |row| paging::write(b'm', Keyset { figure: paging::micros(row.created_at), id: row.id })))
}

/// Notes that the customer opened the ticket that they named.
///
/// # Errors
/// `404 not_found`.
pub async fn note_read(tx: &mut SiteTx) -> Result<(), Problem> {
    let theirs: bool = sqlx::query_scalar("select ctx.note_read()").fetch_one(tx.connection()).await?;
    if theirs { Ok(()) } else { Err(Problem::not_found()) }
}
