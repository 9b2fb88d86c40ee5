//! Counting with the other processes of the database: what they all took stands in `vicket.limit_windows`, an unlogged table,
//! of which each is lent a part at a time. One statement asks for all buckets that wait; requests that come meanwhile wait
//! for the next one.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot};

use super::{
    policy::{Ask, Bucket},
    windows::{Draw, Lease, Windows},
};
use crate::{
    db::Worker,
    domain::keys::Sha256Digest,
    store::limit_windows::{self, Wanted},
};

/// Requests that wait for a lease; more are counted by this process alone.
const WAITING: usize = 8_192;
/// Buckets of one statement.
const AT_ONCE: usize = 512;
/// How long the database may take. A request waits for no longer, and is then counted by this process alone.
const TIME: Duration = Duration::from_millis(250);
/// How long it is not asked again, when it did not answer.
const REST: Duration = Duration::from_secs(1);

/// By which requests ask.
pub(super) struct Asking(mpsc::Sender<Waiting>);

struct Waiting {
    ask: Ask,
    answered: oneshot::Sender<()>,
}

impl Asking {
    /// Returns when `ask` can be tried again.
    pub async fn ask(&self, ask: Ask) {
        let (answered, answer) = oneshot::channel();
        if self.0.try_send(Waiting { ask, answered }).is_ok() {
            // Dropped when the server stops.
            let _ = answer.await;
        }
    }
}

/// What asks the database for the requests of this process.
pub struct Sharing {
    windows: Arc<Windows>,
    waiting: mpsc::Receiver<Waiting>,
    rests_until: Option<Instant>,
}

/// The two ends: what requests ask by, and what answers them.
pub(super) fn channel(windows: Arc<Windows>) -> (Asking, Sharing) {
    let (sender, waiting) = mpsc::channel(WAITING);
    (Asking(sender), Sharing { windows, waiting, rests_until: None })
}

impl Sharing {
    /// Asks for whoever waits, until it is dropped.
    pub async fn run(mut self, worker: Arc<Worker>) {
        let mut waiting = Vec::new();
        while self.waiting.recv_many(&mut waiting, AT_ONCE).await > 0 {
            self.answer(&worker, &waiting).await;
            for one in waiting.drain(..) {
                // Whoever does not wait any more was cancelled.
                let _ = one.answered.send(());
            }
        }
    }

    async fn answer(&mut self, worker: &Worker, waiting: &[Waiting]) {
        let now = Instant::now();
        if self.rests_until.is_some_and(|until| now < until) {
            for one in waiting {
                self.windows.alone(&one.ask);
            }
            return;
        }
        let mut draws: HashMap<Bucket, Draw> = HashMap::new();
        for draw in waiting.iter().filter_map(|one| self.windows.due(now, one.ask)) {
            draws
                .entry(draw.ask.bucket)
                .and_modify(|known| known.wanted = known.wanted.max(draw.wanted))
                .or_insert(draw);
        }
        if draws.is_empty() {
            return;
        }
        let draws: Vec<Draw> = draws.into_values().collect();
        let wanted: Vec<Wanted> = draws.iter().map(wanted).collect();
        let problem = match tokio::time::timeout(TIME, limit_windows::draw(worker, &wanted)).await {
            Ok(Ok(lent)) if lent.len() == draws.len() => {
                let now = Instant::now();
                for (draw, lent) in draws.iter().zip(lent) {
                    let of = |number: i64| u32::try_from(number.max(0)).unwrap_or(u32::MAX);
                    let left = Duration::from_millis(u64::try_from(lent.left_ms).unwrap_or_default());
                    self.windows.lent(now, draw, Lease { used: of(lent.used), lent: of(lent.lent), left });
                }
                return;
            }
            Ok(Ok(_)) => "the answer is of other buckets".to_owned(),
            Ok(Err(problem)) => problem.cause.unwrap_or_else(|| problem.detail.into_owned()),
            Err(_) => format!("no answer in {} ms", TIME.as_millis()),
        };
        tracing::warn!(cause = problem, "limits could not be counted with other processes; this one counts alone");
        self.rests_until = Some(Instant::now() + REST);
        for draw in &draws {
            self.windows.alone(&draw.ask);
        }
    }
}

fn wanted(draw: &Draw) -> Wanted {
    let Draw { ask, age, untold, wanted, .. } = *draw;
    let length = ask.bucket.policy.window();
    let left = length.saturating_sub(age);
    Wanted {
        bucket: digest(ask.bucket),
        left_ms: i64::try_from(left.as_millis()).unwrap_or(i64::MAX),
        limit: ask.limit.into(),
        untold: untold.into(),
        wanted: wanted.into(),
    }
}

/// What the bucket is called in the table, which holds no address.
fn digest(bucket: Bucket) -> Sha256Digest {
    let Bucket { policy, site, network } = bucket;
    let network = network.map(|network| network.to_string()).unwrap_or_default();
    let site = site.unwrap_or_default();
    Sha256Digest::of_parts(&[policy.name().as_bytes(), site.as_bytes(), network.as_bytes()])
}
