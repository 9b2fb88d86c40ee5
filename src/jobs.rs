//! Background work in batches: what was deleted or moved and is too much for one request, and what is not kept any longer.
//! Each batch is a transaction of its own, so a process that is killed loses nothing, and several processes share what waits. One
//! that fails is put off, longer each time, and holds up nobody else's.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{
    db::Worker,
    domain::problem::Problem,
    store,
    telemetry::meters::{JobKind, Meters},
};

/// How often an idle process looks for work.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two batches, in which others have the disk.
const PAUSE: Duration = Duration::from_millis(20);
/// Rows of a batch: a fraction of a second. Fewer when one took too long, a ticket of a thousand messages is a row.
const MAX_ROWS: i32 = 500;

/// Runs jobs until `stop` turns true.
pub async fn run(worker: Arc<Worker>, meters: Arc<Meters>, mut stop: watch::Receiver<bool>) {
    let mut most = MAX_ROWS;
    let mut wait = LOOK_EVERY;
    while tokio::time::timeout(wait, stop.wait_for(|stop| *stop)).await.is_err() {
        wait = LOOK_EVERY;
        match batch(&worker, &meters, most).await {
            Ok(Turn::Nothing) => most = MAX_ROWS,
            Ok(Turn::Done) => {
                wait = PAUSE;
                most = (most * 2).min(MAX_ROWS);
            }
            Ok(Turn::Failed) => {
                wait = PAUSE;
                most = (most / 4).max(1);
                meters.job_failures.inc();
            }
            Err(problem) => {
                most = (most / 4).max(1);
                meters.job_failures.inc();
                tracing::warn!(cause = problem.cause.as_deref(), most, "a batch of a job failed; it is tried again");
            }
        }
    }
}

/// What a look for work came to.
enum Turn {
    Nothing,
    Done,
    /// It is put off.
    Failed,
}

/// A batch of a job, or where there is none, of what is not kept any longer.
async fn batch(worker: &Worker, meters: &Meters, most: i32) -> Result<Turn, Problem> {
    if let Some(store::jobs::Batch { org_id, kind, subject_id, total, done, ended, error }) =
        store::jobs::run(worker, most).await?
    {
        if let Some(error) = error {
            tracing::warn!(%org_id, kind, %subject_id, error, "a batch of a job failed; it is put off");
            return Ok(Turn::Failed);
        }
        let left = meters.job_rows_left.get_or_create_owned(&JobKind { kind: kind.clone() });
        left.set(if ended { 0 } else { (total - done).max(0) });
        if ended {
            tracing::info!(%org_id, kind, %subject_id, done, "a job has ended");
        } else {
            tracing::debug!(%org_id, kind, %subject_id, done, total, "a batch of a job is done");
        }
        return Ok(Turn::Done);
    }
    let Some(store::retention::Batch { org_id, site_id, what, removed, ended, error }) =
        store::retention::run(worker, most).await?
    else {
        return Ok(Turn::Nothing);
    };
    if let Some(error) = error {
        tracing::warn!(%org_id, ?site_id, what, error, "what is not kept any longer could not be removed; it is put off");
        return Ok(Turn::Failed);
    }
    if !ended {
        tracing::info!(%org_id, ?site_id, what, removed, "removed what is not kept any longer");
    }
    Ok(Turn::Done)
}
