//! What a search finds: what its words say, and where that is nothing, what they say with one letter of a word corrected.

use crate::{
    db::Published,
    domain::{problem::Problem, spelling},
    response_cache::{CacheKey, CachedResponse, ViewCounts},
    state::App,
    store::{
        self,
        articles::public::{Summary, Wanted},
        faqs::public::Faq,
        paging::PageRequest,
    },
};

/// What the cursors of a corrected search begin with: no cursor of base64url does.
const CORRECTED: char = '~';

/// A page of what a search found.
pub(super) struct Found {
    pub rows: Vec<Summary>,
    pub next: Option<String>,
    /// The corrected search, where that is what found them.
    pub searched_for: Option<String>,
}

/// A page of articles, all or found.
///
/// # Errors
/// `400 invalid_cursor`.
pub(super) async fn articles(app: &App, published: &mut Published<'_>, wanted: &Wanted<'_>) -> Result<Found, Problem> {
    let PageRequest { limit, cursor } = wanted.page_request;
    let search = wanted.search;
    let further = cursor.and_then(|cursor| cursor.strip_prefix(CORRECTED)).filter(|_| search.is_some());
    if further.is_none() {
        let (rows, next) = store::articles::public::page(published, wanted).await?;
        if !rows.is_empty() || cursor.is_some() || search.is_none() {
            return Ok(Found { rows, next, searched_for: None });
        }
    }
    let Some(corrected) = corrected(app, published, search.unwrap_or_default()).await? else {
        return Ok(Found { rows: Vec::new(), next: None, searched_for: None });
    };
    let page_request = PageRequest { limit, cursor: further };
    let wanted = Wanted { page_request, search: Some(&corrected), ..*wanted };
    let (rows, next) = store::articles::public::page(published, &wanted).await?;
    let next = next.map(|cursor| format!("{CORRECTED}{cursor}"));
    let searched_for = (!rows.is_empty()).then_some(corrected);
    Ok(Found { rows, next, searched_for })
}

/// The FAQs that a search finds.
///
/// # Errors
/// `5xx` only.
pub(super) async fn faqs(app: &App, published: &mut Published<'_>, search: &str) -> Result<Vec<Faq>, Problem> {
    let found = store::faqs::public::found(published, search).await?;
    if !found.is_empty() {
        return Ok(found);
    }
    match corrected(app, published, search).await? {
        Some(corrected) => store::faqs::public::found(published, &corrected).await,
        None => Ok(found),
    }
}

/// The search as it was meant, by the words that the site's help center has. They are kept as an answer is: for the site, for the
/// version of its content.
async fn corrected(app: &App, published: &mut Published<'_>, search: &str) -> Result<Option<String>, Problem> {
    let place = |published: &Published<'_>| CacheKey::new(published.entry(), "words".to_owned(), ViewCounts::Own);
    let kept = if let Some(kept) = app.cache.find(&place(published)) {
        kept
    } else {
        let words = store::help_words::all(published).await?;
        let kept = CachedResponse::new(words.join("\n").into_bytes());
        app.cache.keep(place(published), &kept);
        kept
    };
    let words = kept.shown().body();
    let words: Vec<&str> = std::str::from_utf8(&words).unwrap_or_default().lines().collect();
    Ok(spelling::respelt(search, &words))
}
