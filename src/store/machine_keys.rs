//! Machine keys: made once, listed, revoked. What one may do now is the database's to say (`ctx.actor`).

use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::cursor::{self, Place, Span};
use crate::{db::OrgTx, keys::MachineKey, problem::Problem};

/// What may be shown of a machine key.
#[derive(Debug, FromRow)]
pub struct MachineKeyRow {
    pub id: Uuid,
    pub name: String,
    pub hint: String,
    pub permissions: Vec<String>,
    pub created_by: String,
    pub created_at: OffsetDateTime,
    pub expires_at: Option<OffsetDateTime>,
    pub revoked_at: Option<OffsetDateTime>,
    pub last_used_at: Option<OffsetDateTime>,
}

macro_rules! columns {
    ($from:literal) => {
        concat!(
            "select k.id, k.name, k.hint, k.permissions, p.email as created_by, k.created_at, k.expires_at, k.revoked_at,
              k.last_used_at
            from ",
            $from,
            " k join ctx.people() p on p.user_id = k.created_by "
        )
    };
}

/// The machine keys of the org, revoked ones too, the newest first.
///
/// # Errors
/// `400 invalid_cursor`.
pub async fn page(tx: &mut OrgTx, span: Span<'_>) -> Result<(Vec<MachineKeyRow>, Option<String>), Problem> {
    let after = span.after(b'k')?;
    let sql = concat!(
        columns!("vicket.machine_keys"),
        "where $1::bigint is null
          or (k.created_at, k.id) < (timestamptz 'epoch' + $1 * interval '1 microsecond', $2)
        order by k.created_at desc, k.id desc
        limit $3"
    );
    let rows: Vec<MachineKeyRow> = sqlx::query_as(sql)
        .bind(after.map(|place| place.figure))
        .bind(after.map(|place| place.id))
        .bind(span.fetch())
        .fetch_all(tx.connection())
        .await?;
    Ok(span.cut(rows, |key| cursor::write(b'k', Place { figure: cursor::micros(key.created_at), id: key.id })))
}

/// Creates a machine key in the name of whoever acts.
///
/// # Errors
/// `5xx` only: the caller has checked that whoever acts has these permissions.
pub async fn create(
    tx: &mut OrgTx,
    name: &str,
    permissions: &[String],
    expires_at: Option<OffsetDateTime>,
) -> Result<(MachineKeyRow, MachineKey), Problem> {
    let key = MachineKey::mint();
    let id: Uuid = sqlx::query_scalar(
        "insert into vicket.machine_keys (name, key_hash, hint, permissions, expires_at)
        values ($1, $2, $3, $4, $5)
        returning id",
    )
    .bind(name)
    .bind(key.digest().as_bytes().as_slice())
    .bind(key.hint())
    .bind(permissions)
    .bind(expires_at)
    .fetch_one(tx.connection())
    .await?;
    let row = sqlx::query_as(concat!(columns!("vicket.machine_keys"), "where k.id = $1"))
        .bind(id)
        .fetch_one(tx.connection())
        .await?;
    Ok((row, key))
}

/// Kills a machine key: its next request is refused.
///
/// # Errors
/// `404 not_found` when there is no such key, or it is dead already.
pub async fn revoke(tx: &mut OrgTx, id: Uuid) -> Result<(), Problem> {
    let revoked = sqlx::query("update vicket.machine_keys set revoked_at = now() where id = $1 and revoked_at is null")
        .bind(id)
        .execute(tx.connection())
        .await?;
    super::one_row(revoked.rows_affected())
}
