//! The audit log: read by whoever may; verified, and parted from old months, by administration commands. Written by
//! triggers only.

mod chain;
mod checkpoint;
mod months;

use std::collections::HashMap;

use serde_json::Value;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::paging::{self, Keyset, PageRequest};
use crate::{db::OrgTx, domain::problem::Problem};
pub use chain::{Chain, Standing, verify};
pub use checkpoint::{Checkpoint, PublicKey, SigningKey};
pub use months::{Detached, Month, detach, oldest};

/// What happened, once.
#[derive(Debug, FromRow)]
pub struct Entry {
    pub seq: i64,
    pub at: OffsetDateTime,
    pub actor_kind: String,
    pub actor_id: Option<Uuid>,
    /// `erased` once it is.
    pub actor: String,
    pub action: String,
    pub object_kind: String,
    /// `erased` once it is; then there is no `before` and `after`.
    pub object_id: String,
    pub site: Option<String>,
    pub before: Option<Value>,
    pub after: Option<Value>,
    pub request_id: Option<String>,
}

/// Which entries are wanted; what is `None` is any.
#[derive(Debug, Default)]
pub struct Filter<'a> {
    pub object_kind: Option<&'a str>,
    pub actor: Option<&'a str>,
}

/// The org's audit log, the last entry first.
///
/// # Errors
/// `400 invalid_cursor`.
pub async fn page(
    tx: &mut OrgTx,
    page_request: PageRequest<'_>,
    filter: &Filter<'_>,
) -> Result<(Vec<Entry>, Option<String>), Problem> {
    let rows: Vec<Entry> = sqlx::query_as(
        "select l.seq, l.at, l.actor_kind, l.actor_id, coalesce(l.actor, 'erased') as actor, l.action, l.object_kind,
          coalesce(l.object_id, 'erased') as object_id, s.slug as site, l.before, l.after, l.request_id
        from vicket.audit_log l
        left join vicket.sites s on s.id = l.site_id
        -- Months to come are not looked at.
        where l.at < now() + interval '1 day'
          and ($1::bigint is null or l.seq < $1)
          and ($2::text is null or l.object_kind = $2)
          and ($3::text is null or l.actor = $3)
        order by l.seq desc
        limit $4",
    )
    .bind(page_request.after(b'a')?.map(|place| place.figure))
    .bind(filter.object_kind)
    .bind(filter.actor)
    .bind(page_request.fetch())
    .fetch_all(tx.connection())
    .await?;
    Ok(page_request.into_page(rows, |entry| paging::write(b'a', Keyset { figure: entry.seq, id: Uuid::nil() })))
}

/// What people call these ids, as far as whoever asks sees them; and the org's people, by their e-mail address.
///
/// # Errors
/// `5xx` only.
pub async fn names(tx: &mut OrgTx, ids: &[Uuid]) -> Result<HashMap<String, String>, Problem> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select p.user_id::text, p.name from ctx.people() p
        union all select p.email, p.name from ctx.people() p
        union all select s.id::text, s.slug from vicket.sites s where s.id = any($1)
        union all select s.id::text, s.name from vicket.statuses s where s.id = any($1)
        union all select p.id::text, p.name from vicket.priorities p where p.id = any($1)
        union all select t.id::text, t.name from vicket.teams t where t.id = any($1)
        union all select t.id::text, t.name from vicket.templates t where t.id = any($1)
        union all select t.id::text, t.name from vicket.tags t where t.id = any($1)
        union all select a.id::text, a.title from vicket.articles a where a.id = any($1)",
    )
    .bind(ids)
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().collect())
}
