//! The chain of an org's audit log, computed anew.

use sqlx::FromRow;

use super::checkpoint::{self, Checkpoint, PublicKey};
use crate::{db::OrgTx, domain::problem::Problem};

/// How an org's chain stands.
#[derive(Debug, PartialEq, Eq)]
pub enum Chain {
    /// Every row hashes to what it says, from the last checkpoint to the end that is written down.
    Whole(Standing),
    /// The first row that does not fit, and what is wrong there.
    Broken { seq: i64, fault: String },
}

/// What a whole chain consists of.
#[derive(Debug, PartialEq, Eq)]
pub struct Standing {
    /// Entries that are here.
    pub entries: i64,
    /// Those of them of which something was erased; for each, a later entry says so.
    pub erased: i64,
    /// Of the months that were detached, the oldest first.
    pub detached: Vec<Checkpoint>,
}

#[derive(FromRow)]
struct Counts {
    entries: i64,
    erased: i64,
}

/// Recomputes the chain, with no function of the database that a tamperer could have replaced but the built-in ones.
/// Checkpoints must be signed by `key`; without one, by the key that stands beside each.
///
/// # Errors
/// `5xx` only.
pub async fn verify(tx: &mut OrgTx, key: Option<&PublicKey>) -> Result<Chain, Problem> {
    let detached = checkpoint::all(tx).await?;
    if let Some((seq, fault)) = checkpoint::fault(&detached, key) {
        return Ok(Chain::Broken { seq, fault });
    }
    let (seq, hash) = detached.last().map_or((0, &[][..]), |last| (last.last_seq, last.last_hash.as_slice()));
    let broken: Option<(i64, String)> = sqlx::query_as(
        "with rows as (
          select l.seq, l.prev_hash, l.hash, l.actor_salt, l.object_salt,
            lag(l.seq, 1, $1::bigint) over (order by l.seq) as prev_seq,
            lag(l.hash, 1, $2::bytea) over (order by l.seq) as expected_prev,
            sha256(l.prev_hash || convert_to(
              jsonb_build_array(
                l.org_id, l.seq, extract(epoch from l.at), l.actor_kind, encode(l.actor_digest, 'hex'), l.action,
                l.object_kind, encode(l.object_digest, 'hex'), l.site_id, l.request_id
              )::text, 'UTF8')) as expected,
            l.actor_salt is null or l.actor_digest =
              sha256(l.actor_salt || convert_to(jsonb_build_array(l.actor_id, l.actor)::text, 'UTF8')) as actor_fits,
            l.object_salt is null or l.object_digest =
              sha256(l.object_salt || convert_to(jsonb_build_array(l.object_id, l.before, l.after)::text, 'UTF8'))
              as object_fits
          from vicket.audit_log l
        ),
        -- What was erased, by those who erased it.
        erased as (
          select range_agg((l.after ->> 'actor')::int8multirange) as actor,
            range_agg((l.after ->> 'object')::int8multirange) as object
          from vicket.audit_log l
          where l.action = 'erased'
        ),
        faults as (
          select seq, 'rows before it are missing' as fault, 1 as weight from rows where seq <> prev_seq + 1
          union all
          select seq, 'it was changed', 2 from rows where hash <> expected or not actor_fits or not object_fits
          union all
          select seq, 'it does not follow the row before it', 3 from rows where prev_hash <> expected_prev
          union all
          select r.seq, 'something of it was erased, and no entry says so', 4
          from rows r, erased e
          where r.actor_salt is null and not coalesce(r.seq <@ e.actor, false)
            or r.object_salt is null and not coalesce(r.seq <@ e.object, false)
          union all
          select h.last_seq, 'the end of the chain is missing or is not the one that was written', 5
          from vicket.audit_heads h
          where not exists (select from rows r where r.seq = h.last_seq and r.hash = h.last_hash)
            and (h.last_seq, h.last_hash) <> ($1::bigint, $2::bytea)
            or exists (select from rows r where r.seq > h.last_seq)
          union all
          select greatest((select max(seq) from rows), $1::bigint), 'the end of the chain is not written down', 6
          where not exists (select from vicket.audit_heads) and ($1::bigint > 0 or exists (select from rows))
        )
        select seq, fault from faults order by seq, weight limit 1",
    )
    .bind(seq)
    .bind(hash)
    .fetch_optional(tx.connection())
    .await?;
    if let Some((seq, fault)) = broken {
        return Ok(Chain::Broken { seq, fault });
    }
    let Counts { entries, erased } = sqlx::query_as(
        "select count(*) as entries, count(*) filter (where l.actor_salt is null or l.object_salt is null) as erased
        from vicket.audit_log l",
    )
    .fetch_one(tx.connection())
    .await?;
    // An org's own beginning is in its log.
    if entries == 0 && detached.is_empty() {
        return Ok(Chain::Broken { seq: 1, fault: "all of it is missing".to_owned() });
    }
    Ok(Chain::Whole(Standing { entries, erased, detached }))
}
