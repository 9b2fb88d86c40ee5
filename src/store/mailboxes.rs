//! Mailboxes that are read by IMAP: how far, and by which process.

use std::time::Duration;

use sqlx::{FromRow, postgres::types::PgInterval};
use uuid::Uuid;

use crate::{
    db::Worker,
    domain::{keys::Sha256Digest, problem::Problem},
};

/// How far a mailbox was read.
#[derive(Debug, FromRow)]
pub struct Cursor {
    /// What the server said for how long its UIDs are the same; nothing before it was read.
    pub uid_validity: Option<i64>,
    pub last_uid: i64,
}

fn interval(lease: Duration) -> Result<PgInterval, Problem> {
    PgInterval::try_from(lease).map_err(Problem::internal)
}

/// Holds a mailbox for a time; `None` while another process does. Without time it is let go of.
///
/// # Errors
/// `5xx` only.
pub async fn hold(
    worker: &Worker,
    mailbox: Sha256Digest,
    holder: Uuid,
    lease: Duration,
) -> Result<Option<Cursor>, Problem> {
    let query = sqlx::query_as("select * from worker.hold_mailbox($1, $2, $3)")
        .bind(mailbox.as_bytes().to_vec())
        .bind(holder)
        .bind(interval(lease)?);
    worker.row(query).await
}

/// Says how far it was read, and holds it on; false when another process does.
///
/// # Errors
/// `5xx` only.
pub async fn advance(
    worker: &Worker,
    mailbox: Sha256Digest,
    holder: Uuid,
    (uid_validity, last_uid): (u32, u32),
    lease: Duration,
) -> Result<bool, Problem> {
    let query = sqlx::query_as("select worker.move_mailbox($1, $2, $3, $4, $5)")
        .bind(mailbox.as_bytes().to_vec())
        .bind(holder)
        .bind(i64::from(uid_validity))
        .bind(i64::from(last_uid))
        .bind(interval(lease)?);
    let row: Option<(bool,)> = worker.row(query).await?;
    Ok(row.is_some_and(|(held,)| held))
}
