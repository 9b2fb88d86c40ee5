//! Machine keys: made once, listed, revoked. What one may do now is the database's to say (`ctx.actor`).

use sqlx::FromRow;
use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

use super::{
    members::{self, Member},
    paging::{self, Keyset, PageRequest},
};
use crate::{
    db::OrgTx,
    domain::{
        keys::MachineKey,
        permissions::Permission,
        problem::Problem,
        text::{Checked, MachineKeyName},
    },
};

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

/// A machine key to make.
#[derive(Debug)]
pub struct NewMachineKey<'a> {
    pub name: &'a MachineKeyName,
    /// One at least, as somebody named them.
    pub permissions: &'a [String],
    pub expires_at: Option<OffsetDateTime>,
    /// Whose permissions bound it: `None` for whoever acts, whose name administration has to give.
    pub creator: Option<&'a Member>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select k.id, k.name, k.hint, k.permissions, p.email as created_by, k.created_at, k.expires_at, k.revoked_at,
              k.last_used_at
            from vicket.machine_keys k
            join ctx.people() p on p.user_id = k.created_by ",
            $rest
        )
    };
}

/// The machine keys of the org, revoked ones too, the newest first.
///
/// # Errors
/// `400 invalid_cursor`.
pub async fn page(
    tx: &mut OrgTx,
    page_request: PageRequest<'_>,
) -> Result<(Vec<MachineKeyRow>, Option<String>), Problem> {
    let after = page_request.after(b'k')?;
    let sql = select!(
        "where $1::bigint is null
          or (k.created_at, k.id) < (timestamptz 'epoch' + $1 * interval '1 microsecond', $2)
        order by k.created_at desc, k.id desc
        limit $3"
    );
    let rows: Vec<MachineKeyRow> = sqlx::query_as(sql)
        .bind(after.map(|place| place.figure))
        .bind(after.map(|place| place.id))
        .bind(page_request.fetch())
        .fetch_all(tx.connection())
        .await?;
    Ok(page_request
        .into_page(rows, |key| paging::write(b'k', Keyset { figure: paging::micros(key.created_at), id: key.id })))
}

/// What is wrong with the permissions and the end of a key, whoever makes it; [`create`] asks it, too. For who wants to name
/// every fault at once.
pub fn check(checked: &mut Checked, permissions: &[String], expires_at: Option<OffsetDateTime>) {
    if permissions.is_empty() {
        checked.fault("permissions", "must be at least one: a key without any can do nothing".to_owned());
    }
    match expires_at {
        Some(at) if at <= OffsetDateTime::now_utc() => {
            checked.fault("expires_at", "must be in the future".to_owned());
        }
        Some(at) if at.checked_to_offset(UtcOffset::UTC).is_none_or(|at| at.year() > 9999) => {
            checked.fault("expires_at", "must be before the year 10000".to_owned());
        }
        _ => {}
    }
}

/// Creates a machine key.
///
/// # Errors
/// `400 invalid_request` without a permission, or with an end that is over or beyond the year 9999; `422 unprocessable`
/// for a permission that there is not; `403 permission_required` for one that its creator has not.
pub async fn create(tx: &mut OrgTx, new: &NewMachineKey<'_>) -> Result<(MachineKeyRow, MachineKey), Problem> {
    let mut checked = Checked::default();
    check(&mut checked, new.permissions, new.expires_at);
    checked.done()?;
    let mut permissions = Vec::new();
    for text in new.permissions {
        let permission = Permission::parse(text)
            .ok_or_else(|| Problem::unprocessable("permissions", format!("there is no permission `{text}`")))?;
        let held = match new.creator {
            None => tx.actor().is_some_and(|actor| actor.may(permission)),
            Some(creator) => members::role_may(tx, creator.role, permission.as_str()).await?,
        };
        if !held {
            return Err(Problem::permission_required(permission));
        }
        permissions.push(permission.as_str());
    }
    permissions.sort_unstable();
    permissions.dedup();
    let key = MachineKey::mint();
    let sql = match new.creator {
        None => {
            "insert into vicket.machine_keys (name, key_hash, hint, permissions, expires_at)
            values ($1, $2, $3, $4, $5)
            returning id"
        }
        Some(_) => {
            "insert into vicket.machine_keys (name, key_hash, hint, permissions, expires_at, created_by)
            values ($1, $2, $3, $4, $5, $6)
            returning id"
        }
    };
    let digest = key.digest();
    let query = sqlx::query_scalar(sql)
        .bind(new.name.as_str())
        .bind(digest.as_bytes().as_slice())
        .bind(key.hint())
        .bind(permissions)
        .bind(new.expires_at);
    let query = if let Some(creator) = new.creator { query.bind(creator.id) } else { query };
    let id: Uuid = query.fetch_one(tx.connection()).await?;
    let row = sqlx::query_as(select!("where k.id = $1")).bind(id).fetch_one(tx.connection()).await?;
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
