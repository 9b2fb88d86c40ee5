//! What members have typed into an answer or a note and not sent. A draft is its writer's: policies show it to nobody else.

use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    db::OrgTx,
    domain::{problem::Problem, text::MessageBody},
};

/// What is to become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Kind {
    /// An answer to the customer.
    Reply,
    /// A note that the customer never sees.
    Note,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reply => "reply",
            Self::Note => "note",
        }
    }
}

/// A text that was typed and not sent.
#[derive(Debug, FromRow)]
pub struct Draft {
    pub kind: Kind,
    pub body: String,
    pub updated_at: OffsetDateTime,
}

/// What whoever asks has typed for this ticket: an answer, a note, or both.
///
/// # Errors
/// `5xx` only.
pub async fn of_ticket(tx: &mut OrgTx, ticket_id: Uuid) -> Result<Vec<Draft>, Problem> {
    Ok(sqlx::query_as(
        "select d.kind, d.body, d.updated_at
        from vicket.tickets t
        join vicket.ticket_drafts d on d.org_id = t.org_id and d.site_id = t.site_id and d.ticket_id = t.id
          and d.user_id = (select ctx.actor_user_id())
        where t.id = $1
        order by d.kind desc",
    )
    .bind(ticket_id)
    .fetch_all(tx.connection())
    .await?)
}

/// Keeps what was typed, in place of what was kept before.
///
/// # Errors
/// `404 not_found`.
pub async fn keep(tx: &mut OrgTx, ticket_id: Uuid, kind: Kind, body: &MessageBody) -> Result<Draft, Problem> {
    sqlx::query_as(
        "insert into vicket.ticket_drafts (site_id, ticket_id, kind, body)
        select t.site_id, t.id, $2, $3 from vicket.tickets t where t.id = $1
        on conflict (org_id, site_id, ticket_id, user_id, kind) do update set body = excluded.body, updated_at = now()
        returning kind, body, updated_at",
    )
    .bind(ticket_id)
    .bind(kind.as_str())
    .bind(body.as_str())
    .fetch_optional(tx.connection())
    .await?
    .ok_or_else(Problem::not_found)
}

/// Forgets what was typed; says whether there was anything.
///
/// # Errors
/// `5xx` only.
pub async fn drop(tx: &mut OrgTx, ticket_id: Uuid, kind: Kind) -> Result<bool, Problem> {
    let query = sqlx::query_scalar("select ctx.remove_draft($1, $2)").bind(ticket_id).bind(kind.as_str());
    Ok(query.fetch_one(tx.connection()).await?)
}
