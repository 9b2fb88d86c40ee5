//! Publishable keys: create, stage, rotate, revoke. The unique indexes hold one active and one staged key a site,
//! whatever races; each change checks that it touched the row it meant to.

use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    db::OrgTx,
    domain::{
        keys::PublishableKey,
        problem::{Code, Problem},
    },
};

/// What may be shown of a key.
#[derive(Debug, FromRow)]
pub struct KeyRow {
    pub id: Uuid,
    pub hint: String,
    pub created_at: OffsetDateTime,
    pub created_by: String,
    pub last_used_at: Option<OffsetDateTime>,
}

/// A site's keys: at most one of each.
#[derive(Debug)]
pub struct SiteKeys {
    pub active: Option<KeyRow>,
    pub staged: Option<KeyRow>,
}

/// The active and the staged key of a site.
///
/// # Errors
/// `5xx` only.
pub async fn of_site(tx: &mut OrgTx, site_id: Uuid) -> Result<SiteKeys, Problem> {
    Ok(SiteKeys { active: one(tx, site_id, "active").await?, staged: one(tx, site_id, "staged").await? })
}

async fn one(tx: &mut OrgTx, site_id: Uuid, state: &str) -> Result<Option<KeyRow>, Problem> {
    let row = sqlx::query_as(
        "select id, hint, created_at, created_by, last_used_at from vicket.site_keys where site_id = $1 and state = $2",
    )
    .bind(site_id)
    .bind(state)
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// From where a key was used.
#[derive(Debug, FromRow)]
pub struct UsedFrom {
    /// One that the site listed then; empty for requests without one.
    pub origin: String,
    pub last_used_at: OffsetDateTime,
}

/// From where a key was used, the last first.
///
/// # Errors
/// `5xx` only.
pub async fn used_from(tx: &mut OrgTx, site_id: Uuid, key_id: Uuid) -> Result<Vec<UsedFrom>, Problem> {
    let rows = sqlx::query_as(
        "select o.origin, o.last_used_at
        from vicket.site_key_origins o
        where o.site_id = $1 and o.key_id = $2
        order by o.last_used_at desc, o.origin
        limit 20",
    )
    .bind(site_id)
    .bind(key_id)
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// Creates the site's key.
///
/// # Errors
/// `409 key_exists`.
pub async fn create(tx: &mut OrgTx, site_id: Uuid) -> Result<PublishableKey, Problem> {
    insert(tx, site_id, "active").await.map_err(|error| {
        Problem::on_constraint(error, "site_keys_one_active", || {
            Problem::new(Code::KeyExists, "The site has an active key. Rotate it, or revoke it first.")
        })
    })
}

/// Creates the next key, which works at once beside the active one.
///
/// # Errors
/// `409 staged_key_exists`, `409 no_active_key`.
pub async fn stage(tx: &mut OrgTx, site_id: Uuid) -> Result<PublishableKey, Problem> {
    active_id(tx, site_id).await?;
    insert(tx, site_id, "staged").await.map_err(|error| {
        Problem::on_constraint(error, "site_keys_one_staged", || {
            Problem::new(Code::StagedKeyExists, "The site has a staged key. Rotate to it, or drop it first.")
        })
    })
}

/// Kills the active key and promotes the staged one; without a staged one, a new key takes over and is returned.
///
/// # Errors
/// `409 no_active_key`; `409 rotation_conflict` when another rotation came first.
pub async fn rotate(tx: &mut OrgTx, site_id: Uuid) -> Result<Option<PublishableKey>, Problem> {
    let old = active_id(tx, site_id).await?;
    let staged = one(tx, site_id, "staged").await?;
    // Of two rotations that read the same active key, the second waits here for the first and then finds it revoked.
    let killed = sqlx::query(
        "update vicket.site_keys set state = 'revoked', revoked_at = now()
        where site_id = $1 and id = $2 and state = 'active'",
    )
    .bind(site_id)
    .bind(old)
    .execute(tx.connection())
    .await?;
    if killed.rows_affected() == 0 {
        return Err(conflict());
    }
    let Some(staged) = staged else {
        let made = insert(tx, site_id, "active").await;
        return made.map(Some).map_err(|error| Problem::on_constraint(error, "site_keys_one_active", conflict));
    };
    let promoted = sqlx::query(
        "update vicket.site_keys set state = 'active', activated_at = now()
        where site_id = $1 and id = $2 and state = 'staged'",
    )
    .bind(site_id)
    .bind(staged.id)
    .execute(tx.connection())
    .await
    .map_err(|error| Problem::on_constraint(error, "site_keys_one_active", conflict))?;
    if promoted.rows_affected() == 0 {
        return Err(conflict());
    }
    Ok(None)
}

/// Kills the active key, and a staged one with it.
///
/// # Errors
/// `404 not_found` when the site has neither; `409 rotation_conflict` when a rotation came first.
pub async fn revoke(tx: &mut OrgTx, site_id: Uuid) -> Result<(), Problem> {
    kill(tx, site_id, &["active", "staged"]).await
}

/// Kills the staged key only.
///
/// # Errors
/// `404 not_found` when the site has none; `409 rotation_conflict` when one was staged meanwhile.
pub async fn unstage(tx: &mut OrgTx, site_id: Uuid) -> Result<(), Problem> {
    kill(tx, site_id, &["staged"]).await
}

async fn kill(tx: &mut OrgTx, site_id: Uuid, states: &[&str]) -> Result<(), Problem> {
    let killed = sqlx::query(
        "update vicket.site_keys set state = 'revoked', revoked_at = now() where site_id = $1 and state = any($2)",
    )
    .bind(site_id)
    .bind(states)
    .execute(tx.connection())
    .await?;
    if killed.rows_affected() > 0 {
        return Ok(());
    }
    // The statement may have waited for a rotation and then found its key revoked, with the new one not yet in sight.
    let keys = of_site(tx, site_id).await?;
    let appeared = (states.contains(&"active") && keys.active.is_some()) || keys.staged.is_some();
    Err(if appeared { conflict() } else { Problem::new(Code::NotFound, "The site has no such key.") })
}

fn conflict() -> Problem {
    Problem::new(
        Code::RotationConflict,
        "Another change of the key came first. Look at the key, and try again if need be.",
    )
}

async fn active_id(tx: &mut OrgTx, site_id: Uuid) -> Result<Uuid, Problem> {
    let active = one(tx, site_id, "active").await?;
    active.map(|key| key.id).ok_or_else(|| Problem::new(Code::NoActiveKey, "The site has no active key. Create one."))
}

async fn insert(tx: &mut OrgTx, site_id: Uuid, state: &str) -> Result<PublishableKey, sqlx::Error> {
    let key = PublishableKey::mint();
    sqlx::query(
        "insert into vicket.site_keys (site_id, key_hash, hint, state, activated_at)
        values ($1, $2, $3, $4, case when $4 = 'active' then now() end)",
    )
    .bind(site_id)
    .bind(key.digest().as_bytes().as_slice())
    .bind(key.hint())
    .bind(state)
    .execute(tx.connection())
    .await?;
    Ok(key)
}
