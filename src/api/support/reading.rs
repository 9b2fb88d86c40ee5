//! How a read is answered: from what is kept for the content version that this very transaction saw, else from the
//! tables.

use crate::{
    app::App,
    db::SiteTx,
    kept::{Answer, Counts, Place},
    problem::Problem,
};

/// The kept answer to `question`, a path and its parameters in one canonical form, or the one that `make` makes. The
/// transaction is finished either way.
pub(super) async fn serve(
    app: &App,
    mut tx: SiteTx,
    question: String,
    counts: Counts,
    make: impl AsyncFnOnce(&mut SiteTx) -> Result<Answer, Problem>,
) -> Result<Answer, Problem> {
    let place = Place::new(&tx, question, counts);
    if let Some(kept) = app.kept.find(&place) {
        return tx.finish(Ok(kept)).await;
    }
    let made = make(&mut tx).await;
    let answer = tx.finish(made).await?;
    app.kept.keep(place, &answer);
    Ok(answer)
}
