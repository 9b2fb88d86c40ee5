//! What all processes together have counted of the limits, and what each is lent of them.

use sqlx::FromRow;

use crate::{
    db::Worker,
    domain::{keys::Sha256Digest, problem::Problem},
};

/// What a process wants of a bucket.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Of what is counted together.
    pub bucket: Sha256Digest,
    /// Milliseconds until the process's own window ends: that of all, when there is none.
    pub left_ms: i64,
    /// What the bucket may hold.
    pub limit: i64,
    /// What the process used before it asked.
    pub untold: i64,
    pub wanted: i64,
}

/// What it was lent.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct Lent {
    /// By all processes in this window, with `lent`.
    pub used: i64,
    pub lent: i64,
    /// Milliseconds until the window ends.
    pub left_ms: i64,
}

/// Lends of each bucket what is wanted, or what is left; one answer each, in their order.
///
/// # Errors
/// `5xx` only; then nothing was lent.
pub async fn draw(worker: &Worker, wanted: &[Wanted]) -> Result<Vec<Lent>, Problem> {
    let buckets: Vec<Vec<u8>> = wanted.iter().map(|one| one.bucket.as_bytes().to_vec()).collect();
    let column = |of: fn(&Wanted) -> i64| wanted.iter().map(of).collect::<Vec<i64>>();
    let query = sqlx::query_as("select used, lent, left_ms from worker.draw_limits($1, $2, $3, $4, $5)")
        .bind(buckets)
        .bind(column(|one| one.left_ms))
        .bind(column(|one| one.limit))
        .bind(column(|one| one.untold))
        .bind(column(|one| one.wanted));
    worker.rows(query).await
}
