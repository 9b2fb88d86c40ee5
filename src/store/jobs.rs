//! What is too much to do at once: deletions and moves that the worker does in batches, and how far they are.

use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    db::{OrgTx, Worker},
    domain::problem::Problem,
};

/// One batch of one job.
#[derive(Debug, FromRow)]
pub struct Batch {
    pub org_id: Uuid,
    /// `remove_org`, `remove_site`, `remove_status`, `remove_priority`, `move_status` or `forget_org`.
    pub kind: String,
    pub subject_id: Uuid,
    /// Rows: tickets for the most part; of `forget_org`, entries of the audit log.
    pub total: i64,
    pub done: i64,
    /// The job is done, and gone.
    pub ended: bool,
    /// Why nothing was done; then the job is put off, longer each time.
    pub error: Option<String>,
}

/// Does a batch of at most `most` rows of the job that waited longest; `None` when none waits.
///
/// # Errors
/// `5xx` only; then nothing was done.
pub async fn run(worker: &Worker, most: i32) -> Result<Option<Batch>, Problem> {
    worker.row(sqlx::query_as("select * from worker.run_job_batch($1)").bind(most)).await
}

/// A job under way, or what of retention fails.
#[derive(Debug, FromRow)]
pub struct Job {
    /// The org's slug.
    pub org: String,
    pub kind: String,
    pub subject_id: Uuid,
    /// Who began it.
    pub actor: String,
    pub total: i64,
    pub done: i64,
    pub created_at: OffsetDateTime,
    /// Batches that failed since one did not.
    pub attempts: i32,
    /// When it is due.
    pub run_at: OffsetDateTime,
    /// Why the last one failed.
    pub last_error: Option<String>,
}

/// The jobs of all orgs, for the administration commands, the oldest first.
///
/// # Errors
/// `5xx` only.
pub async fn list(tx: &mut OrgTx) -> Result<Vec<Job>, Problem> {
    Ok(sqlx::query_as("select * from admin.list_jobs()").fetch_all(tx.connection()).await?)
}
