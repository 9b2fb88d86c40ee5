//! Who listens to which org, and the one task of the process that looks for them whether anything is new: each half second, by
//! one statement for all orgs that are listened to, and not at all while nobody listens.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, Semaphore, SemaphorePermit, watch};
use uuid::Uuid;

use crate::{db::Worker, store};

/// How often is looked.
const EVERY: Duration = Duration::from_millis(500);
/// Of all who are woken at once, so many ask the database at the same time.
const AT_ONCE: usize = 2;

/// What is listened to.
pub struct News {
    orgs: Mutex<HashMap<Uuid, watch::Sender<()>>>,
    /// Somebody began to listen.
    begun: Notify,
    asking: Semaphore,
}

impl Default for News {
    fn default() -> Self {
        Self { orgs: Mutex::default(), begun: Notify::new(), asking: Semaphore::new(AT_ONCE) }
    }
}

impl News {
    /// Listens to an org: the receiver changes when something there did.
    pub fn listen(&self, org_id: Uuid) -> watch::Receiver<()> {
        let mut orgs = self.orgs.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = orgs.entry(org_id).or_insert_with(|| watch::channel(()).0).subscribe();
        self.begun.notify_one();
        receiver
    }

    /// A turn to ask the database what is new.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.asking.acquire().await.ok()
    }

    /// The orgs that somebody listens to; others are forgotten.
    fn listened(&self) -> Vec<Uuid> {
        let mut orgs = self.orgs.lock().unwrap_or_else(PoisonError::into_inner);
        orgs.retain(|_, sender| sender.receiver_count() > 0);
        orgs.keys().copied().collect()
    }

    fn wake(&self, org_id: Uuid) {
        let orgs = self.orgs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = orgs.get(&org_id) {
            sender.send_replace(());
        }
    }
}

/// Looks for news until `stop` turns true.
pub async fn run(news: Arc<News>, worker: Arc<Worker>, mut stop: watch::Receiver<bool>) {
    // Of each org what was new the last time.
    let mut known: HashMap<Uuid, HashSet<i64>> = HashMap::new();
    loop {
        let listened = news.listened();
        known.retain(|org_id, _| listened.contains(org_id));
        let pause = async {
            if listened.is_empty() {
                news.begun.notified().await;
            } else {
                tokio::time::sleep(EVERY).await;
            }
        };
        tokio::select! {
            () = pause => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let listened = news.listened();
        if listened.is_empty() {
            continue;
        }
        match store::news::of_orgs(&worker, &listened).await {
            Ok(orgs) => {
                for (org_id, marks) in orgs {
                    let marks: HashSet<i64> = marks.into_iter().collect();
                    // Who has just begun to listen looked for themself a moment ago, and looks once more.
                    if known.get(&org_id).is_none_or(|before| !marks.is_subset(before)) {
                        news.wake(org_id);
                    }
                    known.insert(org_id, marks);
                }
            }
            Err(problem) => tracing::warn!(cause = problem.cause.as_deref(), "nobody could be told what is new"),
        }
    }
}
