//! Answers kept in memory for one version of a site's content.
//!
//! Never a way in: every request enters its site first, and that one round trip proves its key, its origin and the
//! content version. An answer that was made for that very version may then be served without asking again. Each
//! change that a reader could see raises the version in its own transaction, so the next request misses what was kept.
//! View counts have a version of their own, which lists are kept for as well; an article's page shows its own count at
//! most [`COUNT_LATE`] after it was written.

use std::time::{Duration, Instant};

use bytes::Bytes;
use quick_cache::{Weighter, sync::Cache};
use uuid::Uuid;

use crate::{db::SiteTx, keys::Sha256Digest};

/// How long an article's page may show a view count that was raised meanwhile.
pub const COUNT_LATE: Duration = Duration::from_secs(5);

/// A representation ready to be sent.
#[derive(Clone)]
pub struct Answer {
    /// JSON in UTF-8.
    pub body: Bytes,
    /// Strong entity tag of `body`, quotes included.
    pub etag: String,
    /// The article that this is, for counting its view.
    pub article: Option<Uuid>,
}

impl Answer {
    pub fn new(body: Vec<u8>, article: Option<Uuid>) -> Self {
        let digest = Sha256Digest::of(&body).to_hex();
        Self { body: body.into(), etag: format!("\"{}\"", &digest[..32]), article }
    }
}

/// Which view counts an answer shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// Those of many articles, as they were at one version.
    Exact,
    /// Its own at the most, at most [`COUNT_LATE`] old.
    Late,
}

/// Which answer: of which site, at which versions, to which question.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Place {
    site_id: Uuid,
    content_version: i64,
    /// `None` for an answer whose counts may be late.
    views_version: Option<i64>,
    question: String,
}

impl Place {
    /// `question` is a path and its parameters in one canonical form.
    pub fn new(tx: &SiteTx, question: String, counts: Counts) -> Self {
        let entry = tx.entry();
        let views_version = (counts == Counts::Exact).then_some(entry.views_version);
        Self { site_id: entry.site_id, content_version: entry.content_version, views_version, question }
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<Place, (Answer, Instant)> for Weight {
    fn weight(&self, place: &Place, (answer, _): &(Answer, Instant)) -> u64 {
        // The fixed part is the entry's own overhead, roughly.
        (place.question.len() + answer.body.len() + 300) as u64
    }
}

/// The kept answers of this process, bounded in bytes; the least useful go first.
pub struct Kept {
    cache: Option<Cache<Place, (Answer, Instant), Weight>>,
}

impl Kept {
    /// Keeps at most about this many mebibytes; 0 keeps nothing.
    pub fn new(mebibytes: u64) -> Self {
        let bytes = mebibytes * 1024 * 1024;
        let cache = (bytes > 0).then(|| Cache::with_weighter(10_000, bytes, Weight));
        Self { cache }
    }

    pub fn find(&self, place: &Place) -> Option<Answer> {
        let (answer, made) = self.cache.as_ref()?.get(place)?;
        (place.views_version.is_some() || made.elapsed() < COUNT_LATE).then_some(answer)
    }

    pub fn keep(&self, place: Place, answer: &Answer) {
        if let Some(cache) = &self.cache {
            cache.insert(place, (answer.clone(), Instant::now()));
        }
    }
}
