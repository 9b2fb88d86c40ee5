//! Answers kept in memory for one version of a site's content.
//!
//! Never a way in: every request enters its site first, and that one round trip proves its key, its origin and the
//! content version. An answer that was made for that very version may then be served without asking again. Each
//! change that a reader could see raises the version in its own transaction, so the next request misses what was kept.

use bytes::Bytes;
use quick_cache::{Weighter, sync::Cache};
use uuid::Uuid;

use crate::{db::SiteTx, keys::Sha256Digest};

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

/// Which answer: of which site, at which version, to which question.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Place {
    site_id: Uuid,
    content_version: i64,
    question: String,
}

impl Place {
    /// `question` is a path and its parameters in one canonical form.
    pub fn new(tx: &SiteTx, question: String) -> Self {
        let entry = tx.entry();
        Self { site_id: entry.site_id, content_version: entry.content_version, question }
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<Place, Answer> for Weight {
    fn weight(&self, place: &Place, answer: &Answer) -> u64 {
        // The fixed part is the entry's own overhead, roughly.
        (place.question.len() + answer.body.len() + 300) as u64
    }
}

/// The kept answers of this process, bounded in bytes; the least useful go first.
pub struct Kept {
    cache: Option<Cache<Place, Answer, Weight>>,
}

impl Kept {
    /// Keeps at most about this many mebibytes; 0 keeps nothing.
    pub fn new(mebibytes: u64) -> Self {
        let bytes = mebibytes * 1024 * 1024;
        let cache = (bytes > 0).then(|| Cache::with_weighter(10_000, bytes, Weight));
        Self { cache }
    }

    pub fn find(&self, place: &Place) -> Option<Answer> {
        self.cache.as_ref()?.get(place)
    }

    pub fn keep(&self, place: Place, answer: &Answer) {
        if let Some(cache) = &self.cache {
            cache.insert(place, answer.clone());
        }
    }
}
