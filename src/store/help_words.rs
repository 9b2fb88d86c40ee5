//! The words that the help center of a site has.

use sqlx::FromRow;

use crate::{db::Published, domain::problem::Problem};

/// Articles of the site, articles for all sites, and FAQs whose words count, the newest of each.
const MAX_DOCUMENTS: i64 = 500;
/// Words of a site.
const MAX_WORDS: i64 = 20_000;

#[derive(FromRow)]
struct Word {
    word: String,
}

/// The words of the published articles and FAQs as they are written, the most frequent first.
///
/// # Errors
/// `5xx` only.
pub async fn all(published: &mut Published<'_>) -> Result<Vec<String>, Problem> {
    let sql = "select (r.entry).*, r.word from auth.read_words($1, $2, $3, $4) r";
    let words: Vec<Word> = published.rows(sql, |call| call.bind(MAX_DOCUMENTS).bind(MAX_WORDS)).await?;
    Ok(words.into_iter().map(|row| row.word).collect())
}
