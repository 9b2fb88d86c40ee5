//! FAQs as a support page reads them.

use sqlx::FromRow;
use uuid::Uuid;

use crate::{db::Published, domain::problem::Problem};

#[derive(Debug, FromRow)]
pub struct Faq {
    pub id: Uuid,
    pub question: String,
    pub answer_markdown: String,
    pub answer_html: String,
    pub position: i32,
}

/// How many FAQs one answer holds at the most: a page of questions, not an archive.
pub const MAX_FAQS: i64 = 500;

/// The published FAQs, in the order that people chose.
///
/// # Errors
/// `5xx` only.
pub async fn all(published: &mut Published<'_>) -> Result<Vec<Faq>, Problem> {
    let sql = "select (r.entry).*, r.id, r.question, r.answer_markdown, r.answer_html, r.position
        from auth.read_faqs($1, $2, $3) r";
    published.rows(sql, |call| call.bind(MAX_FAQS)).await
}

/// The published FAQs that a search finds, the best match first.
///
/// # Errors
/// `5xx` only.
pub async fn found(published: &mut Published<'_>, search: &str) -> Result<Vec<Faq>, Problem> {
    let sql = "select (r.entry).*, r.id, r.question, r.answer_markdown, r.answer_html, r.position
        from auth.search_faqs($1, $2, $3, $4) r";
    published.rows(sql, |call| call.bind(MAX_FAQS).bind(search.to_owned())).await
}
