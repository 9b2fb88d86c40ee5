//! How a read is answered: from what is kept for the content version that the gate named for this very request, else
//! from the tables.

use crate::{
    auth::site_key::SiteKey,
    db::SiteTx,
    domain::problem::Problem,
    response_cache::{CacheKey, CachedResponse, ViewCounts},
    state::App,
};

/// The operations that [`serve`] answers: no transaction begins before it is known that nothing is kept.
pub(super) const OPERATIONS: [&str; 5] = ["getSite", "listArticles", "getArticle", "listFaqs", "listTemplates"];

/// The kept answer to `question`, a path and its parameters in one canonical form, or the one that `make` makes.
pub(super) async fn serve(
    app: &App,
    key: &SiteKey,
    question: String,
    counts: ViewCounts,
    make: impl AsyncFnOnce(&mut SiteTx) -> Result<CachedResponse, Problem>,
) -> Result<CachedResponse, Problem> {
    let place = CacheKey::new(key.entry(), question.clone(), counts);
    if let Some(kept) = app.cache.find(&place) {
        return Ok(kept);
    }
    let mut tx = key.enter_published().await?;
    // The content may have changed since the gate was asked first.
    let place = CacheKey::new(tx.entry(), question, counts);
    let made = make(&mut tx).await;
    let answer = tx.finish(made).await?;
    app.cache.keep(place, &answer);
    Ok(answer)
}
