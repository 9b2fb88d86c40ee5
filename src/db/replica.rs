//! A standby that published content may be read from. It is asked after the primary proved the key, and only what it has of the
//! very content that the primary named, or newer, is read there: no lag is ever seen, and no key lives longer than on the primary.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::postgres::PgRow;

use super::{
    Pool,
    site::{self, Call, Entry, EntryRequest, Verdict},
};
use crate::domain::problem::{Code, Problem};

/// How long it may take to read there; a request waits no longer for it.
const TIME: Duration = Duration::from_secs(1);
/// How long it is left alone when it did not answer.
const REST_MS: u64 = 1_000;

#[derive(Clone)]
pub struct Replica {
    pool: Pool,
    began: Instant,
    /// Milliseconds since it began.
    rests_until: Arc<AtomicU64>,
}

impl Replica {
    pub fn new(pool: Pool) -> Self {
        Self { pool, began: Instant::now(), rests_until: Arc::default() }
    }

    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// What a call reads, where this server is as new as what was `proved`.
    pub async fn read(
        &self,
        entry_request: &EntryRequest,
        proved: &Entry,
        call: &'static str,
        bind: impl Fn(Call) -> Call,
    ) -> Option<(Entry, Vec<PgRow>)> {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if now < self.rests_until.load(Ordering::Relaxed) {
            return None;
        }
        let read = tokio::time::timeout(TIME, site::read(&self.pool, entry_request, call, bind)).await;
        match read.unwrap_or_else(|_| Err(Problem::database_unavailable("the replica did not answer in time"))) {
            Ok(Verdict::Entered((entry, rows))) if is_as_new(&entry, proved) => Some((entry, rows)),
            // It is behind, or does not even know the key yet.
            Ok(Verdict::Entered(_) | Verdict::Unknown { .. }) => None,
            Err(problem) => {
                self.rests_until.store(now + REST_MS, Ordering::Relaxed);
                if problem.code != Code::Overloaded {
                    tracing::warn!(cause = problem.cause.as_deref(), "the replica cannot be read from; the primary is");
                }
                None
            }
        }
    }
}

fn is_as_new(there: &Entry, proved: &Entry) -> bool {
    (there.org_id, there.site_id) == (proved.org_id, proved.site_id)
        && there.content_version >= proved.content_version
        && there.views_version >= proved.views_version
}
