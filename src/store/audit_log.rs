//! The audit log: read by whoever may, verified by the administration command. Written by triggers only.

use serde_json::Value;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::cursor::{self, Place, Span};
use crate::{db::OrgTx, problem::Problem};

/// What happened, once.
#[derive(Debug, FromRow)]
pub struct Entry {
    pub seq: i64,
    pub at: OffsetDateTime,
    pub actor_kind: String,
    pub actor_id: Option<Uuid>,
    pub actor: String,
    pub action: String,
    pub object_kind: String,
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
    span: Span<'_>,
    filter: &Filter<'_>,
) -> Result<(Vec<Entry>, Option<String>), Problem> {
    let rows: Vec<Entry> = sqlx::query_as(
        "select l.seq, l.at, l.actor_kind, l.actor_id, l.actor, l.action, l.object_kind, l.object_id, s.slug as site,
          l.before, l.after, l.request_id
        from vicket.audit_log l
        left join vicket.sites s on s.id = l.site_id
        where ($1::bigint is null or l.seq < $1)
          and ($2::text is null or l.object_kind = $2)
          and ($3::text is null or l.actor = $3)
        order by l.seq desc
        limit $4",
    )
    .bind(span.after(b'a')?.map(|place| place.figure))
    .bind(filter.object_kind)
    .bind(filter.actor)
    .bind(span.fetch())
    .fetch_all(tx.connection())
    .await?;
    Ok(span.cut(rows, |entry| cursor::write(b'a', Place { figure: entry.seq, id: Uuid::nil() })))
}

/// How an org's chain stands.
#[derive(Debug, PartialEq, Eq)]
pub enum Chain {
    /// Every row hashes to what it says, to the end that is written down.
    Whole { rows: i64 },
    /// The first row that does not fit, and what is wrong there.
    Broken { seq: i64, fault: String },
}

/// Recomputes the chain, with no function of the database that a tamperer could have replaced but the built-in ones.
///
/// # Errors
/// `5xx` only.
pub async fn verify(tx: &mut OrgTx) -> Result<Chain, Problem> {
    let broken: Option<(i64, String)> = sqlx::query_as(
        "with rows as (
          select l.seq, l.prev_hash, l.hash,
            lag(l.seq, 1, 0::bigint) over (order by l.seq) as prev_seq,
            lag(l.hash, 1, ''::bytea) over (order by l.seq) as expected_prev,
            sha256(l.prev_hash || convert_to(
              jsonb_build_array(
                l.org_id, l.seq, extract(epoch from l.at), l.actor_kind, l.actor_id, l.actor, l.action,
                l.object_kind, l.object_id, l.site_id, l.before, l.after, l.request_id
              )::text, 'UTF8')) as expected
          from vicket.audit_log l
        ),
        faults as (
          select seq, 'rows before it are missing' as fault, 1 as weight from rows where seq <> prev_seq + 1
          union all
          select seq, 'it was changed', 2 from rows where hash <> expected
          union all
          select seq, 'it does not follow the row before it', 3 from rows where prev_hash <> expected_prev
          union all
          select h.last_seq, 'the end of the chain is missing or is not the one that was written', 4
          from vicket.audit_heads h
          where not exists (select from rows r where r.seq = h.last_seq and r.hash = h.last_hash)
            and h.last_seq > 0
            or exists (select from rows r where r.seq > h.last_seq)
          union all
          select max(seq), 'the end of the chain is not written down', 5
          from rows
          where not exists (select from vicket.audit_heads)
          having count(*) > 0
        )
        select seq, fault from faults order by seq, weight limit 1",
    )
    .fetch_optional(tx.connection())
    .await?;
    if let Some((seq, fault)) = broken {
        return Ok(Chain::Broken { seq, fault });
    }
    let rows = sqlx::query_scalar("select count(*) from vicket.audit_log").fetch_one(tx.connection()).await?;
    // An org's own beginning is in its log.
    if rows == 0 {
        return Ok(Chain::Broken { seq: 1, fault: "all of it is missing".to_owned() });
    }
    Ok(Chain::Whole { rows })
}
