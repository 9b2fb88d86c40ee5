//! Articles, FAQs and tickets as administration writes them. Markdown is rendered and sanitised here, once,
//! when it is written; a read only selects.

use uuid::Uuid;

use crate::{
    db::OrgTx,
    domain::{markdown, problem::Problem},
};

/// An article to write. `site_id: None` serves all sites of the org.
#[derive(Debug)]
pub struct NewArticle<'a> {
    pub site_id: Option<Uuid>,
    pub slug: &'a str,
    pub title: &'a str,
    pub body_markdown: &'a str,
    pub published: bool,
}

/// Writes an article, with its HTML and its excerpt.
///
/// # Errors
/// `5xx` only: the caller has checked what it writes.
pub async fn insert_article(tx: &mut OrgTx, new: &NewArticle<'_>) -> Result<(), Problem> {
    sqlx::query(
        "insert into vicket.articles (site_id, slug, title, excerpt, body_markdown, body_html, status, published_at)
        values ($1, $2, $3, $4, $5, $6, $7, case when $7 = 'published' then now() end)",
    )
    .bind(new.site_id)
    .bind(new.slug)
    .bind(new.title)
    .bind(markdown::excerpt(new.body_markdown))
    .bind(new.body_markdown)
    .bind(markdown::render(new.body_markdown))
    .bind(status(new.published))
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// A FAQ to write. `site_id: None` serves all sites of the org.
#[derive(Debug)]
pub struct NewFaq<'a> {
    pub site_id: Option<Uuid>,
    pub question: &'a str,
    pub answer_markdown: &'a str,
    pub position: i32,
    pub published: bool,
}

/// Writes a FAQ, with its HTML.
///
/// # Errors
/// `5xx` only: the caller has checked what it writes.
pub async fn insert_faq(tx: &mut OrgTx, new: &NewFaq<'_>) -> Result<(), Problem> {
    sqlx::query(
        "insert into vicket.faqs (site_id, question, answer_markdown, answer_html, position, status)
        values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(new.site_id)
    .bind(new.question)
    .bind(new.answer_markdown)
    .bind(markdown::render(new.answer_markdown))
    .bind(new.position)
    .bind(status(new.published))
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// A ticket to write in a customer's name.
#[derive(Debug)]
pub struct NewTicket<'a> {
    pub site_id: Uuid,
    pub email: &'a str,
    pub name: &'a str,
    pub subject: &'a str,
    pub message: &'a str,
}

/// Writes a ticket with its first message; returns its id.
///
/// # Errors
/// `5xx` only: the caller has checked what it writes.
pub async fn insert_ticket(tx: &mut OrgTx, new: &NewTicket<'_>) -> Result<Uuid, Problem> {
    let id: Uuid = sqlx::query_scalar(
        "insert into vicket.tickets (site_id, email, name, subject) values ($1, $2, $3, $4) returning id",
    )
    .bind(new.site_id)
    .bind(new.email)
    .bind(new.name)
    .bind(new.subject)
    .fetch_one(tx.connection())
    .await?;
    sqlx::query("insert into vicket.ticket_messages (site_id, ticket_id, author, author_name, body) values ($1, $2, 'customer', $3, $4)")
        .bind(new.site_id)
        .bind(id)
        .bind(new.name)
        .bind(new.message)
        .execute(tx.connection())
        .await?;
    Ok(id)
}

/// An answer of an agent to a ticket, or an internal note.
///
/// # Errors
/// `5xx` only.
pub async fn insert_agent_message(
    tx: &mut OrgTx,
    site_id: Uuid,
    ticket_id: Uuid,
    author_name: &str,
    body: &str,
    internal: bool,
) -> Result<(), Problem> {
    sqlx::query(
        "insert into vicket.ticket_messages (site_id, ticket_id, author, author_name, body, internal)
        values ($1, $2, 'agent', $3, $4, $5)",
    )
    .bind(site_id)
    .bind(ticket_id)
    .bind(author_name)
    .bind(body)
    .bind(internal)
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Sets the status of a ticket: `open`, `pending`, `resolved` or `closed`.
///
/// # Errors
/// `404 not_found`.
pub async fn set_ticket_status(tx: &mut OrgTx, site_id: Uuid, ticket_id: Uuid, status: &str) -> Result<(), Problem> {
    let changed =
        sqlx::query("update vicket.tickets set status = $3, updated_at = now() where site_id = $1 and id = $2")
            .bind(site_id)
            .bind(ticket_id)
            .bind(status)
            .execute(tx.connection())
            .await?;
    match changed.rows_affected() {
        0 => Err(Problem::not_found()),
        _ => Ok(()),
    }
}

fn status(published: bool) -> &'static str {
    if published { "published" } else { "draft" }
}
