//! The tickets that are part of one.

use sqlx::FromRow;
use uuid::Uuid;

use crate::{db::OrgTx, domain::problem::Problem};

/// A ticket that is part of another.
#[derive(Debug, Clone, FromRow)]
pub struct Part {
    pub id: Uuid,
    pub reference: String,
    pub subject: String,
}

/// What is part of a ticket, by number.
///
/// # Errors
/// `5xx` only.
pub async fn of(tx: &mut OrgTx, id: Uuid) -> Result<Vec<Part>, Problem> {
    Ok(sqlx::query_as(
        "select t.id, s.prefix || '-' || t.number as reference, t.subject
        from vicket.ticket_merges g
        join vicket.tickets t on t.org_id = g.org_id and t.site_id = g.site_id and t.id = g.ticket_id
        join vicket.sites s on s.org_id = t.org_id and s.id = t.site_id
        where g.into_id = $1
        order by t.number",
    )
    .bind(id)
    .fetch_all(tx.connection())
    .await?)
}
