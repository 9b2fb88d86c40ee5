//! How a read is answered: from what is kept for the content version that the gate named for this very request, else
//! from the tables, by one statement.

use crate::{
    auth::site_key::SiteKey,
    db::Published,
    domain::problem::{Code, Problem},
    response_cache::{CacheKey, CachedResponse, ViewCounts},
    single_flight::Joined,
    state::App,
};

/// The operations that [`serve`] answers.
const OPERATIONS: [&str; 5] = ["getSite", "listArticles", "getArticle", "listFaqs", "listTemplates"];

/// Whether an operation works in no transaction: the key is proved, with whoever's is at the same time, and what is not kept is
/// read by a statement that enters for itself.
pub(super) fn needs_none(operation: &str) -> bool {
    OPERATIONS.contains(&operation) || operation == "openCustomerSession"
}

/// The kept answer to `question`, a path and its parameters in one canonical form, or the one that `make` makes. Whoever asks
/// the same meanwhile, of the same versions, gets that one, too.
pub(super) async fn serve(
    app: &App,
    key: &SiteKey,
    question: String,
    counts: ViewCounts,
    make: impl AsyncFnOnce(&mut Published<'_>) -> Result<CachedResponse, Problem>,
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
        let mut published = key.published();
        let answer = make(&mut published).await?;
        // The content may have changed since the gate was asked first.
        app.cache.keep(CacheKey::new(published.entry(), question, counts), &answer);
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
