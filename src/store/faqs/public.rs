//! FAQs as a support page reads them.

use sqlx::FromRow;
use uuid::Uuid;

use crate::{db::SiteTx, domain::problem::Problem};

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
pub async fn all(tx: &mut SiteTx) -> Result<Vec<Faq>, Problem> {
    let rows = sqlx::query_as(
        "select f.id, f.question, f.answer_markdown, f.answer_html, f.position
        from vicket.faqs f
        order by f.position, f.id
        limit $1",
    )
    .bind(MAX_FAQS)
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}
