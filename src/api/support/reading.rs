//! How a read is answered: from what is kept for the content version that the gate named for this very request, else
//! from the tables.

use crate::{
    app::App,
    auth::site_key::SiteKey,
    db::SiteTx,
    kept::{Answer, Counts, Place},
    problem::Problem,
};

/// The operations that [`serve`] answers: no transaction begins before it is known that nothing is kept.
pub(super) const OPERATIONS: [&str; 5] = ["getSite", "listArticles", "getArticle", "listFaqs", "listTemplates"];

/// The kept answer to `question`, a path and its parameters in one canonical form, or the one that `make` makes.
pub(super) async fn serve(
    app: &App,
    key: &SiteKey,
    question: String,
    counts: Counts,
    make: impl AsyncFnOnce(&mut SiteTx) -> Result<Answer, Problem>,
) -> Result<Answer, Problem> {
    let place = Place::new(key.entry(), question.clone(), counts);
    if let Some(kept) = app.kept.find(&place) {
        return Ok(kept);
    }
    let mut tx = key.enter().await?;
    // The content may have changed since the gate was asked first.
    let place = Place::new(tx.entry(), question, counts);
    let made = make(&mut tx).await;
    let answer = tx.finish(made).await?;
    app.kept.keep(place, &answer);
    Ok(answer)
}
