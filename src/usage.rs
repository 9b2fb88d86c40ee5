//! What requests leave behind besides their answer: views, searches that found nothing, when keys and sessions were last
//! used and from where, refused origins.
//!
//! Gathered in memory, off the read path, and written in batches by the worker login every two seconds and once more
//! at shutdown. A batch that could not be written stays and is tried again. Memory is bounded: past a bound, further
//! news of that kind are dropped until the next batch.

mod searches;

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, Hash, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use time::{Date, OffsetDateTime};
use uuid::Uuid;

use crate::{
    db::Worker,
    domain::{keys::Sha256Digest, problem::Problem},
    store::{
        self,
        usage::{KeyOrigins, MissedSearches, Refusals, SiteRef},
    },
};
use searches::{SETTLES_AFTER, Typing};

/// How long news stay in memory at the most.
pub const FLUSH_EVERY: Duration = Duration::from_secs(2);
/// Rounds of [`FLUSH_EVERY`] between two purges of expired idempotency keys.
const ROUNDS_PER_PURGE: u32 = 30;
/// How many different articles, keys or origins are gathered between two batches.
const MAX_ENTRIES: usize = 50_000;
/// Refused origins gathered of one site between two batches: what the table keeps of it.
const MAX_ORIGINS_PER_SITE: usize = 200;
/// Characters of an origin that are kept.
const ORIGIN_LENGTH: usize = 255;
/// Searches without result gathered of one site between two batches, and characters of one that are kept.
const MAX_SEARCHES_PER_SITE: usize = 1_000;
const SEARCH_LENGTH: usize = 100;

#[derive(Default)]
struct Pending {
    views: HashMap<(Uuid, Uuid), i64>,
    typing: Typing,
    missed: MissedSearches,
    keys: HashMap<(SiteRef, Uuid), OffsetDateTime>,
    key_origins: KeyOrigins,
    origins: HashMap<SiteRef, HashMap<String, Refusals>>,
    sessions: HashMap<Sha256Digest, OffsetDateTime>,
    machine_keys: HashMap<Uuid, OffsetDateTime>,
}

/// What is to be written of this process.
#[derive(Default)]
pub struct UsageBuffer {
    pending: Mutex<Pending>,
    searchers: RandomState,
    /// Batches that could not be written since the start.
    failures: AtomicU64,
}

impl UsageBuffer {
    /// An article was read.
    pub fn viewed(&self, org_id: Uuid, article_id: Uuid) {
        let mut pending = self.lock();
        add_view(&mut pending.views, (org_id, article_id), 1);
    }

    /// Views of an article that the database does not have yet.
    pub fn pending_views(&self, org_id: Uuid, article_id: Uuid) -> i64 {
        self.lock().views.get(&(org_id, article_id)).copied().unwrap_or_default()
    }

    /// Somebody searched, and found something or nothing. How it was written makes no difference: neither capitals nor white
    /// space. What they go on typing from there is one search, which counts when it has settled.
    pub fn searched(&self, site: SiteRef, searcher: impl Hash, search: &str, found: bool) {
        let words: Vec<&str> = search.split_whitespace().collect();
        let search: String = words.join(" ").to_lowercase().chars().take(SEARCH_LENGTH).collect();
        if search.is_empty() {
            return;
        }
        let searcher = self.searchers.hash_one(searcher);
        let mut pending = self.lock();
        if let Some(settled) = pending.typing.searched(site, searcher, search, found) {
            add_missed(&mut pending.missed, site, (OffsetDateTime::now_utc().date(), settled), 1);
        }
    }

    /// A key was good. `origin` is one that its site lists, or empty for a request that has none.
    pub fn key_used(&self, site: SiteRef, key_id: Uuid, origin: Option<&str>) {
        let mut pending = self.lock();
        used(&mut pending.keys, (site, key_id));
        let Some(origin) = origin.filter(|origin| origin.len() <= ORIGIN_LENGTH) else { return };
        let known = &mut pending.key_origins;
        if known.len() < MAX_ENTRIES || known.contains_key(&(site, key_id)) {
            let origins = known.entry((site, key_id)).or_default();
            match origins.get_mut(origin) {
                Some(at) => *at = OffsetDateTime::now_utc(),
                None => drop(origins.insert(origin.to_owned(), OffsetDateTime::now_utc())),
            }
        }
    }

    /// A session, by its token's digest, was good.
    pub fn session_used(&self, token: Sha256Digest) {
        used(&mut self.lock().sessions, token);
    }

    /// A machine key was good.
    pub fn machine_key_used(&self, id: Uuid) {
        used(&mut self.lock().machine_keys, id);
    }

    /// A good key was tried from an origin that its site does not list.
    pub fn origin_refused(&self, site: SiteRef, origin: &str) {
        let now = OffsetDateTime::now_utc();
        let origin = origin.chars().take(ORIGIN_LENGTH).collect();
        add_refusals(&mut self.lock().origins, site, origin, Refusals { times: 1, first: now, last: now });
    }

    /// How many things wait to be written: articles, keys, sites, sessions.
    pub fn backlog(&self) -> usize {
        let Pending { views, typing, missed, keys, key_origins, origins, sessions, machine_keys } = &*self.lock();
        let of_sites = typing.len() + missed.len() + origins.len() + key_origins.len();
        views.len() + keys.len() + sessions.len() + machine_keys.len() + of_sites
    }

    /// How many batches could not be written since the start; each was tried again.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Writes what was gathered. What could not be written is kept for the next call.
    ///
    /// # Errors
    /// The first of the errors that kept something from being written.
    pub async fn flush(&self, worker: &Worker) -> Result<(), Problem> {
        self.flush_settled(worker, Duration::ZERO).await
    }

    /// As [`Self::flush`], but for searches that somebody may still be typing on, as nothing followed for less than this.
    async fn flush_settled(&self, worker: &Worker, after: Duration) -> Result<(), Problem> {
        let Pending { views, typing: _, missed, keys, key_origins, origins, sessions, machine_keys } = {
            let mut pending = self.lock();
            for (site, search) in pending.typing.settled(after) {
                add_missed(&mut pending.missed, site, (OffsetDateTime::now_utc().date(), search), 1);
            }
            let typing = std::mem::take(&mut pending.typing);
            std::mem::replace(&mut *pending, Pending { typing, ..Pending::default() })
        };
        let mut outcome = Ok(());
        if !views.is_empty()
            && let Err(problem) = store::usage::add_views(worker, &views).await
        {
            let mut pending = self.lock();
            for (article, count) in views {
                add_view(&mut pending.views, article, count);
            }
            outcome = outcome.and(Err(problem));
        }
        if !(keys.is_empty() && key_origins.is_empty())
            && let Err(problem) = store::usage::touch_keys(worker, &keys, &key_origins).await
        {
            let mut pending = self.lock();
            keep(&mut pending.keys, keys);
            for (key, origins) in key_origins {
                keep(pending.key_origins.entry(key).or_default(), origins);
            }
            outcome = outcome.and(Err(problem));
        }
        if !missed.is_empty()
            && let Err(problem) = store::usage::add_missed_searches(worker, &missed).await
        {
            let mut pending = self.lock();
            for (site, searches) in missed {
                for (search, times) in searches {
                    add_missed(&mut pending.missed, site, search, times);
                }
            }
            outcome = outcome.and(Err(problem));
        }
        if !sessions.is_empty()
            && let Err(problem) = store::usage::touch_sessions(worker, &sessions).await
        {
            keep(&mut self.lock().sessions, sessions);
            outcome = outcome.and(Err(problem));
        }
        if !machine_keys.is_empty()
            && let Err(problem) = store::usage::touch_machine_keys(worker, &machine_keys).await
        {
            keep(&mut self.lock().machine_keys, machine_keys);
            outcome = outcome.and(Err(problem));
        }
        if !origins.is_empty()
            && let Err(problem) = store::usage::add_refused_origins(worker, &origins).await
        {
            let mut pending = self.lock();
            for (site, refused) in origins {
                for (origin, refusals) in refused {
                    add_refusals(&mut pending.origins, site, origin, refusals);
                }
            }
            outcome = outcome.and(Err(problem));
        }
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes that something was used now, unless too many others were.
fn used<K: Eq + Hash>(used: &mut HashMap<K, OffsetDateTime>, what: K) {
    if used.len() < MAX_ENTRIES || used.contains_key(&what) {
        used.insert(what, OffsetDateTime::now_utc());
    }
}

/// Puts back what could not be written, where nothing newer is.
fn keep<K: Eq + Hash>(pending: &mut HashMap<K, OffsetDateTime>, kept: HashMap<K, OffsetDateTime>) {
    for (what, at) in kept {
        pending.entry(what).or_insert(at);
    }
}

fn add_view(views: &mut HashMap<(Uuid, Uuid), i64>, article: (Uuid, Uuid), count: i64) {
    if views.len() < MAX_ENTRIES || views.contains_key(&article) {
        *views.entry(article).or_default() += count;
    }
}

fn add_missed(missed: &mut MissedSearches, site: SiteRef, search: (Date, String), times: i64) {
    if missed.len() >= MAX_ENTRIES && !missed.contains_key(&site) {
        return;
    }
    let of_site = missed.entry(site).or_default();
    if of_site.len() < MAX_SEARCHES_PER_SITE || of_site.contains_key(&search) {
        *of_site.entry(search).or_default() += times;
    }
}

fn add_refusals(
    origins: &mut HashMap<SiteRef, HashMap<String, Refusals>>,
    site: SiteRef,
    origin: String,
    refusals: Refusals,
) {
    if origins.len() >= MAX_ENTRIES && !origins.contains_key(&site) {
        return;
    }
    let of_site = origins.entry(site).or_default();
    if of_site.len() >= MAX_ORIGINS_PER_SITE && !of_site.contains_key(&origin) {
        let oldest = of_site.iter().min_by_key(|(_, refusals)| refusals.last).map(|(origin, _)| origin.clone());
        oldest.and_then(|oldest| of_site.remove(&oldest));
    }
    let sum = of_site.entry(origin).or_insert(Refusals { times: 0, ..refusals });
    sum.times += refusals.times;
    sum.first = sum.first.min(refusals.first);
    sum.last = sum.last.max(refusals.last);
}

/// Flushes every [`FLUSH_EVERY`] and purges expired idempotency keys, until `stop` turns true; then flushes once more.
pub async fn run(usage: Arc<UsageBuffer>, worker: Arc<Worker>, mut stop: tokio::sync::watch::Receiver<bool>) {
    let mut round = 0_u32;
    let mut failing = false;
    loop {
        let stopping = tokio::time::timeout(FLUSH_EVERY, stop.wait_for(|stop| *stop)).await.is_ok();
        let after = if stopping { Duration::ZERO } else { SETTLES_AFTER };
        let mut flushed = usage.flush_settled(&worker, after).await;
        if stopping && flushed.is_err() {
            // There is no next round, and what failed may have been a connection that died with an earlier PostgreSQL.
            flushed = usage.flush(&worker).await;
        }
        // Said once for each outage, not every two seconds.
        match &flushed {
            Err(problem) if !failing || stopping => {
                tracing::error!(cause = problem.cause.as_deref(), "usage could not be written; they are kept");
            }
            _ => {}
        }
        failing = flushed.is_err();
        usage.failures.fetch_add(u64::from(failing), Ordering::Relaxed);
        if stopping {
            return;
        }
        round += 1;
        if round.is_multiple_of(ROUNDS_PER_PURGE)
            && let Err(problem) = store::usage::purge_expired(&worker).await
        {
            tracing::error!(cause = problem.cause.as_deref(), "expired idempotency keys could not be purged");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> SiteRef {
        SiteRef { org_id: Uuid::new_v4(), site_id: Uuid::new_v4() }
    }

    #[test]
    fn repeated_views_and_refusals_are_summed() {
        let usage = UsageBuffer::default();
        let (org, article, site) = (Uuid::new_v4(), Uuid::new_v4(), site());
        for _ in 0..3 {
            usage.viewed(org, article);
            usage.origin_refused(site, "https://evil.example");
        }
        let pending = usage.lock();
        assert_eq!(pending.views[&(org, article)], 3);
        assert_eq!(pending.origins[&site]["https://evil.example"].times, 3);
    }

    #[test]
    fn a_site_cannot_fill_the_memory_with_made_up_origins() {
        let usage = UsageBuffer::default();
        let site = site();
        for n in 0..1000 {
            usage.origin_refused(site, &format!("https://{n}.example"));
        }
        let pending = usage.lock();
        let kept = &pending.origins[&site];
        assert_eq!(kept.len(), MAX_ORIGINS_PER_SITE);
        assert!(kept.contains_key("https://999.example") && !kept.contains_key("https://0.example"), "the oldest go");
    }

    #[test]
    fn searches_are_counted_as_people_mean_them_and_cannot_fill_the_memory() {
        let usage = UsageBuffer::default();
        let site = site();
        for search in ["Reset  password ", "reset password", "  ", "RESET\tPASSWORD"] {
            usage.searched(site, 1, search, false);
        }
        let settled = usage.lock().typing.settled(Duration::ZERO);
        assert_eq!(settled, vec![(site, "reset password".to_owned()); 3]);
        for n in 0..3 * MAX_SEARCHES_PER_SITE {
            usage.searched(site, 1, &format!("{n:05}{}", "ü".repeat(1000)), false);
        }
        let kept = &usage.lock().missed[&site];
        assert_eq!(kept.len(), MAX_SEARCHES_PER_SITE);
        assert!(kept.keys().all(|(_, search)| search.chars().count() == SEARCH_LENGTH));
    }

    #[test]
    fn a_key_is_used_from_origins_that_its_site_lists_or_from_none() {
        let usage = UsageBuffer::default();
        let (site, key) = (site(), Uuid::new_v4());
        for origin in [Some("https://a.example"), Some(""), None, Some("https://a.example")] {
            usage.key_used(site, key, origin);
        }
        let pending = usage.lock();
        let mut origins: Vec<_> = pending.key_origins[&(site, key)].keys().collect();
        origins.sort_unstable();
        assert_eq!(origins, ["", "https://a.example"]);
    }

    #[test]
    fn a_long_origin_is_cut() {
        let usage = UsageBuffer::default();
        let site = site();
        usage.origin_refused(site, &"ü".repeat(5000));
        assert!(usage.lock().origins[&site].keys().all(|origin| origin.chars().count() == ORIGIN_LENGTH));
    }
}
