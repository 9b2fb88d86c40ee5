//! The queue: work that waits is a row, written in the transaction of the change that wants it. Processes claim it for the
//! time of a lease, with a fair share for each org; who is killed lets the lease end, and another claims it again.

use std::time::Duration;

use sqlx::{FromRow, postgres::types::PgInterval};
use uuid::Uuid;

use crate::{db::Worker, domain::problem::Problem};

/// What a task is of, as a kind of task that there is.
pub const MAIL: &str = "mail";
pub const INBOUND: &str = "inbound";

/// A task that was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromRow)]
pub struct Task {
    pub org_id: Uuid,
    pub id: Uuid,
    /// What it is about.
    pub subject_id: Uuid,
    /// How often it was claimed, this time included.
    pub attempts: i32,
}

/// Tasks by their ids, as statements take them.
fn ids(tasks: &[Task]) -> (Vec<Uuid>, Vec<Uuid>) {
    tasks.iter().map(|task| (task.org_id, task.id)).unzip()
}

fn interval(time: Duration) -> Result<PgInterval, Problem> {
    PgInterval::try_from(time).map_err(|_| Problem::internal("a lease that is no interval"))
}

/// Claims at most `most` tasks of a kind that are due, the same share of each org that has any, until `lease` ends.
///
/// # Errors
/// `5xx` only; then none is claimed, or they are until the lease ends.
pub async fn claim(worker: &Worker, kind: &str, most: i32, lease: Duration) -> Result<Vec<Task>, Problem> {
    let sql = "select org_id, id, subject_id, attempts from worker.claim($1, $2, $3)";
    worker.rows(sqlx::query_as(sql).bind(kind).bind(most).bind(interval(lease)?)).await
}

/// Keeps tasks that are still worked on for another `lease`.
///
/// # Errors
/// `5xx` only.
pub async fn renew(worker: &Worker, tasks: &[Task], lease: Duration) -> Result<(), Problem> {
    let (orgs, ids) = ids(tasks);
    worker.execute(sqlx::query("select worker.renew($1, $2, $3)").bind(orgs).bind(ids).bind(interval(lease)?)).await
}

/// Puts a task off for so many seconds, or gives it up.
///
/// # Errors
/// `5xx` only; then it is claimed again when its lease ends.
pub async fn retry(worker: &Worker, task: &Task, seconds: Option<f64>, why: &str) -> Result<(), Problem> {
    let query = sqlx::query("select worker.retry($1, $2, $3, $4)")
        .bind(vec![task.org_id])
        .bind(vec![task.id])
        .bind(vec![seconds])
        .bind(vec![why]);
    worker.execute(query).await
}

/// Ends tasks.
///
/// # Errors
/// `5xx` only; then they are claimed again when their lease ends.
pub async fn done(worker: &Worker, tasks: &[Task]) -> Result<(), Problem> {
    let (orgs, ids) = ids(tasks);
    worker.execute(sqlx::query("select worker.done($1, $2)").bind(orgs).bind(ids)).await
}
