//! How a read is answered: from what is kept for the content version that the gate named for this very request, else
//! from the tables.

use crate::{
    auth::site_key::SiteKey,
    db::SiteTx,
    domain::problem::{Code, Problem},
    response_cache::{CacheKey, CachedResponse, ViewCounts},
    single_flight::Joined,
    state::App,
};

/// The operations that [`serve`] answers.
const OPERATIONS: [&str; 5] = ["getSite", "listArticles", "getArticle", "listFaqs", "listTemplates"];

/// Whether the key is to be proved before a transaction begins for this operation: something may be kept, or a replica asked.
pub(super) fn asks_first(app: &App, operation: &str) -> bool {
    OPERATIONS.contains(&operation) && (app.cache.keeps() || app.gate.replica().is_some())
}

/// The kept answer to `question`, a path and its parameters in one canonical form, or the one that `make` makes. Whoever asks
/// the same meanwhile, of the same versions, gets that one, too.
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
    let flight = match app.flights.join(place) {
        Joined::First(flight) => Some(flight),
        Joined::Other(other) => match other.landed().await {
            Some(made) => return made,
            None => None,
        },
    };
    let made = async {
        let mut tx = key.enter_published().await?;
        // The content may have changed since the gate was asked first.
        let place = CacheKey::new(tx.entry(), question, counts);
        let made = make(&mut tx).await;
        let answer = tx.finish(made).await?;
        app.cache.keep(place, &answer);
        Ok(answer)
    };
    let made: Result<_, Problem> = made.await;
    if let Some(flight) = flight {
        match &made {
            Ok(answer) => flight.land(Ok(answer.clone())),
            // Who waited for a database that did not answer is not to wait for it again.
            Err(problem) if matches!(problem.code, Code::Overloaded | Code::DatabaseUnavailable) => {
                flight.land(Err(problem.clone()));
            }
            // Any other failure may be its maker's alone, whose key was revoked meanwhile: each finds out for itself.
            Err(_) => {}
        }
    }
    made
}
