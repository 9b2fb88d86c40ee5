//! Answers kept in memory for one version of a site's content.
//!
//! Never a way in: every request asks the gate first, and that one round trip proves its key, its origin and the
//! content version. An answer that was made for that very version may then be served without asking again. Each
//! change that a reader could see raises the version in its own transaction, so the next request misses what was kept.
//! View counts have a version of their own, which lists are kept for as well; an article's page adds what this process
//! counted since, and is made anew after [`COUNT_LATE`], for what others counted.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use quick_cache::{Weighter, sync::Cache};
use uuid::Uuid;

use crate::{db::Entry, domain::keys::Sha256Digest};

/// How long an article's page is kept: views that other processes counted show after this time at the latest.
pub const COUNT_LATE: Duration = Duration::from_secs(30);
/// How a page shows its count. In JSON the quotes cannot stand inside a text.
const COUNT_FIELD: &[u8] = b"\"view_count\":";

/// A representation ready to be sent.
#[derive(Clone)]
pub struct CachedResponse {
    /// JSON in UTF-8.
    body: Bytes,
    /// Entity tag, quotes included. That of an article's page is weak and leaves its count out, so that a reader who
    /// comes back is told that nothing changed.
    pub etag: String,
    viewed: Option<Viewed>,
    /// It is of a list, and the list has nothing on it.
    pub is_empty: bool,
}

/// An article's page, and the views of it.
#[derive(Clone)]
struct Viewed {
    article: Uuid,
    /// Where the count stands in the body.
    range: Range<usize>,
    count: i64,
    /// Views that this process counted since the page was made.
    since: Arc<AtomicI64>,
}

impl CachedResponse {
    pub fn new(body: Vec<u8>) -> Self {
        let etag = etag(&[&body]);
        Self { body: body.into(), etag, viewed: None, is_empty: false }
    }

    /// The page of an article: `body` shows `count` as its `view_count`.
    pub fn of_article(body: Vec<u8>, article: Uuid, count: i64) -> Self {
        let field = body.windows(COUNT_FIELD.len()).position(|window| window == COUNT_FIELD);
        let start = field.expect("an article's page has its view_count") + COUNT_FIELD.len();
        let length = body[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let range = start..start + length;
        let etag = format!("W/{}", etag(&[&body[..range.start], &body[range.end..]]));
        let viewed = Viewed { article, range, count, since: Arc::default() };
        Self { body: body.into(), etag, viewed: Some(viewed), is_empty: false }
    }

    /// The body, with the views that were counted since it was made.
    pub fn body(&self) -> Bytes {
        let since = self.viewed.as_ref().map(|viewed| (viewed, viewed.since.load(Ordering::Relaxed)));
        match since {
            Some((Viewed { range, count, .. }, since)) if since > 0 => {
                let count = (count + since).to_string();
                [&self.body[..range.start], count.as_bytes(), &self.body[range.end..]].concat().into()
            }
            _ => self.body.clone(),
        }
    }

    /// Counts a view when this is the page of an article, and says of which.
    pub fn view(&self) -> Option<Uuid> {
        let viewed = self.viewed.as_ref()?;
        viewed.since.fetch_add(1, Ordering::Relaxed);
        Some(viewed.article)
    }
}

fn etag(parts: &[&[u8]]) -> String {
    format!("\"{}\"", &Sha256Digest::of_parts(parts).to_hex()[..32])
}

/// Which view counts an answer shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ViewCounts {
    /// Those of many articles, as they were at one version.
    Exact,
    /// None, or its own, which it keeps up itself.
    Own,
}

/// Which answer: of which site, at which versions, to which question.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CacheKey {
    site_id: Uuid,
    content_version: i64,
    /// `None` for an answer that shows no others' counts.
    views_version: Option<i64>,
    question: String,
}

impl CacheKey {
    /// `question` is a path and its parameters in one canonical form.
    pub fn new(entry: &Entry, question: String, counts: ViewCounts) -> Self {
        let views_version = (counts == ViewCounts::Exact).then_some(entry.views_version);
        Self { site_id: entry.site_id, content_version: entry.content_version, views_version, question }
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<CacheKey, (CachedResponse, Instant)> for Weight {
    fn weight(&self, key: &CacheKey, (answer, _): &(CachedResponse, Instant)) -> u64 {
        // The fixed part is the entry's own overhead, roughly.
        (key.question.len() + answer.body.len() + 300) as u64
    }
}

/// The kept answers of this process, bounded in bytes; the least useful go first.
pub struct ResponseCache {
    cache: Option<Cache<CacheKey, (CachedResponse, Instant), Weight>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl ResponseCache {
    /// Keeps at most about this many mebibytes; 0 keeps nothing.
    pub fn new(mebibytes: u64) -> Self {
        let bytes = mebibytes * 1024 * 1024;
        let cache = (bytes > 0).then(|| Cache::with_weighter(10_000, bytes, Weight));
        Self { cache, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    /// Whether anything is kept at all.
    pub fn keeps(&self) -> bool {
        self.cache.is_some()
    }

    pub fn find(&self, key: &CacheKey) -> Option<CachedResponse> {
        let found = self.cache.as_ref().and_then(|cache| cache.get(key));
        let found = found.filter(|(_, made)| key.views_version.is_some() || made.elapsed() < COUNT_LATE);
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found.map(|(answer, _)| answer)
    }

    /// How often an answer was found, and was not, since the start.
    pub fn finds(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }

    /// What is kept, bytes.
    pub fn bytes(&self) -> u64 {
        self.cache.as_ref().map_or(0, Cache::weight)
    }

    pub fn keep(&self, key: CacheKey, answer: &CachedResponse) {
        if let Some(cache) = &self.cache {
            cache.insert(key, (answer.clone(), Instant::now()));
        }
    }
}
