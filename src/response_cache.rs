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

use crate::{
    codings::{Coding, Encodings},
    db::Entry,
    domain::keys::Sha256Digest,
};

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
    encodings: Encodings,
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
        Self { body: body.into(), etag, viewed: None, encodings: Encodings::default(), is_empty: false }
    }

    /// The page of an article: `body` shows `count` as its `view_count`.
    pub fn of_article(body: Vec<u8>, article: Uuid, count: i64) -> Self {
        let field = body.windows(COUNT_FIELD.len()).position(|window| window == COUNT_FIELD);
        let start = field.expect("an article's page has its view_count") + COUNT_FIELD.len();
        let length = body[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let range = start..start + length;
        let etag = format!("W/{}", etag(&[&body[..range.start], &body[range.end..]]));
        let viewed = Viewed { article, range, count, since: Arc::default() };
        Self { body: body.into(), etag, viewed: Some(viewed), encodings: Encodings::default(), is_empty: false }
    }

    /// As it is now, with the views that were counted since it was made.
    pub fn shown(&self) -> Shown {
        let since = self.viewed.as_ref().map_or(0, |viewed| viewed.since.load(Ordering::Relaxed));
        Shown { answer: self.clone(), since }
    }

    /// Counts a view when this is the page of an article, and says of which.
    pub fn view(&self) -> Option<Uuid> {
        let viewed = self.viewed.as_ref()?;
        viewed.since.fetch_add(1, Ordering::Relaxed);
        Some(viewed.article)
    }
}

/// A [`CachedResponse`] as it was at some moment.
#[derive(Clone)]
pub struct Shown {
    answer: CachedResponse,
    /// Views of an article.
    since: i64,
}

impl Shown {
    pub fn body(&self) -> Bytes {
        let body = &self.answer.body;
        match &self.answer.viewed {
            Some(Viewed { range, count, .. }) if self.since > 0 => {
                let count = (count + self.since).to_string();
                [&body[..range.start], count.as_bytes(), &body[range.end..]].concat().into()
            }
            _ => body.clone(),
        }
    }

    /// The body in a coding, with the views of a second ago at the earliest; `None` when it is better sent as it is.
    pub async fn encoded(&self, coding: Coding) -> Option<Bytes> {
        self.answer.encodings.find(coding, self.since, || self.body()).await
    }

    pub fn etag(&self) -> &str {
        &self.answer.etag
    }

    /// Bytes of the body, but for the digits that a count has got since.
    pub fn length(&self) -> usize {
        self.answer.body.len()
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
        // Encodings are made later and must not change what an entry weighs. The fixed part is its own overhead, roughly.
        (key.question.len() + answer.body.len() + Encodings::most(answer.body.len()) + 300) as u64
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

    /// What is kept, and what its encodings may take, bytes.
    pub fn bytes(&self) -> u64 {
        self.cache.as_ref().map_or(0, Cache::weight)
    }

    pub fn keep(&self, key: CacheKey, answer: &CachedResponse) {
        if let Some(cache) = &self.cache {
            cache.insert(key, (answer.clone(), Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An article's page of at least so many bytes.
    fn article(bytes: usize) -> CachedResponse {
        let body = format!("{{\"view_count\":9,\"text\":\"{}\"}}", "a word ".repeat(bytes / 7 + 1));
        CachedResponse::of_article(body.into_bytes(), Uuid::nil(), 9)
    }

    fn key(question: &str) -> CacheKey {
        CacheKey { site_id: Uuid::nil(), content_version: 1, views_version: None, question: question.to_owned() }
    }

    #[tokio::test]
    async fn encodings_weigh_before_they_are_made_and_have_a_place_in_the_bound() {
        let cache = ResponseCache::new(64);
        let page = article(20_000);
        cache.keep(key("one"), &page);
        let before = cache.bytes();
        let (body, mut encoded) = (page.shown().body().len(), 0);
        for coding in Coding::ALL {
            encoded += page.shown().encoded(coding).await.expect("it is worth it").len();
        }
        assert_eq!(cache.bytes(), before);
        assert!(before >= (body + encoded) as u64 && before >= 2 * body as u64, "{before} {body} {encoded}");
        for n in 0..4000 {
            cache.keep(key(&n.to_string()), &page);
        }
        assert!(cache.bytes() <= 64 * 1024 * 1024 && cache.bytes() > 500 * before, "{}", cache.bytes());
        // What is never encoded weighs as much as itself.
        let small = ResponseCache::new(64);
        small.keep(key("one"), &article(500));
        assert!((500..1000).contains(&small.bytes()), "{}", small.bytes());
    }

    #[tokio::test]
    async fn clones_share_encodings_and_a_view_is_one_for_all_of_them() {
        let page = article(2000);
        let before = page.clone().shown();
        let first = before.encoded(Coding::Gzip).await.expect("it is worth it");
        page.view();
        assert_eq!(before.body(), page.body, "as it was");
        assert_eq!(page.shown().body().len(), page.body.len() + 1, "10 now");
        let again = page.shown().encoded(Coding::Gzip).await.expect("it is worth it");
        assert_eq!(again.as_ptr(), first.as_ptr(), "the same bytes, for a second");
    }
}
