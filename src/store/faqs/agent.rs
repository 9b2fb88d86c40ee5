//! FAQs as agents write them: drafts, published, archived.

use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::{
    paging::{self, Keyset, PageRequest},
    publishing::{self, Filter, Status},
    sites,
};
use crate::{
    db::OrgTx,
    domain::{
        markdown,
        problem::Problem,
        text::{FaqAnswer, FaqQuestion},
    },
};

/// A FAQ, as agents see it.
#[derive(Debug, FromRow)]
pub struct Faq {
    pub id: Uuid,
    /// `None`: for all sites of the org.
    pub site: Option<String>,
    pub question: String,
    pub answer_markdown: String,
    pub answer_html: String,
    pub position: i32,
    pub status: Status,
    pub created_at: OffsetDateTime,
    pub created_by: String,
    pub updated_at: OffsetDateTime,
    pub updated_by: String,
}

macro_rules! faqs {
    ($rest:literal) => {
        concat!(
            "select f.id, s.slug as site, f.question, f.answer_markdown, f.answer_html, f.position, f.status,
              f.created_at, f.created_by, f.updated_at, f.updated_by
            from vicket.faqs f
            left join vicket.sites s on s.org_id = f.org_id and s.id = f.site_id ",
            $rest
        )
    };
}

/// The FAQs of the org in their order, those for all sites first.
///
/// # Errors
/// `400 invalid_cursor`; `422 unprocessable` for a site that is not there.
pub async fn page(
    tx: &mut OrgTx,
    page_request: PageRequest<'_>,
    filter: &Filter<'_>,
) -> Result<(Vec<Faq>, Option<String>), Problem> {
    let site = sites::id_of(tx, filter.site).await?;
    let after = page_request.after(b'f')?;
    // Ascending, by place and id, as the support page shows them.
    let rows: Vec<Faq> = sqlx::query_as(faqs!(
        "where ($1::bigint is null or (f.position, f.id) > ($1::integer, $2))
          and ($3::uuid is null or f.site_id = $3)
          and ($4::text is null or f.status = $4)
          and ($5::text is null or strpos(lower(f.question || ' ' || f.answer_markdown), lower($5)) > 0)
        order by f.position, f.id
        limit $6"
    ))
    .bind(after.map(|place| place.figure.clamp(i64::from(i32::MIN), i64::from(i32::MAX))))
    .bind(after.map(|place| place.id))
    .bind(site)
    .bind(filter.status)
    .bind(filter.search)
    .bind(page_request.fetch())
    .fetch_all(tx.connection())
    .await?;
    Ok(page_request.into_page(rows, |row| paging::write(b'f', Keyset { figure: i64::from(row.position), id: row.id })))
}

/// The FAQ of this id.
///
/// # Errors
/// `404 not_found`.
pub async fn by_id(tx: &mut OrgTx, id: Uuid) -> Result<Faq, Problem> {
    let row = sqlx::query_as(faqs!("where f.id = $1")).bind(id).fetch_optional(tx.connection()).await?;
    row.ok_or_else(Problem::not_found)
}

/// A FAQ to write; a draft.
#[derive(Debug)]
pub struct NewFaq<'a> {
    /// The site's slug; `None` for all sites of the org.
    pub site: Option<&'a str>,
    pub question: &'a FaqQuestion,
    /// Empty when `None`.
    pub answer_markdown: Option<&'a FaqAnswer>,
    /// After the last one of its site when `None`.
    pub position: Option<i32>,
}

/// Writes a FAQ.
///
/// # Errors
/// `422 unprocessable` for a site that is not there.
pub async fn create(tx: &mut OrgTx, new: &NewFaq<'_>) -> Result<Faq, Problem> {
    let site = sites::id_of(tx, new.site).await?;
    let answer = new.answer_markdown.map_or("", FaqAnswer::as_str);
    let id: Uuid = sqlx::query_scalar(
        "insert into vicket.faqs (site_id, question, answer_markdown, answer_html, position)
        values (
          $1, $2, $3, $4,
          coalesce($5, (
            select least(max(f.position)::bigint + 1, 2147483647)::integer
            from vicket.faqs f
            where f.site_id is not distinct from $1
          ), 1)
        )
        returning id",
    )
    .bind(site)
    .bind(new.question.as_str())
    .bind(answer)
    .bind(markdown::render(answer))
    .bind(new.position)
    .fetch_one(tx.connection())
    .await?;
    by_id(tx, id).await
}

/// Changes of a FAQ; what is `None` stays.
#[derive(Debug, Default)]
pub struct Change<'a> {
    pub question: Option<&'a FaqQuestion>,
    pub answer_markdown: Option<&'a FaqAnswer>,
    pub position: Option<i32>,
    /// Only as it was at this time.
    pub seen: Option<OffsetDateTime>,
}

/// Changes a FAQ; a published one shows it in the next request.
///
/// # Errors
/// `404 not_found`; `409 edit_conflict` after another's change; `422 unprocessable` for a published one without an answer.
pub async fn change(tx: &mut OrgTx, id: Uuid, change: &Change<'_>) -> Result<Faq, Problem> {
    let changed = sqlx::query(
        "update vicket.faqs set
          question = coalesce($2, question),
          answer_markdown = coalesce($3, answer_markdown),
          answer_html = coalesce($4, answer_html),
          position = coalesce($5, position)
        where id = $1 and ($6::timestamptz is null or updated_at = $6)",
    )
    .bind(id)
    .bind(change.question.map(FaqQuestion::as_str))
    .bind(change.answer_markdown.map(FaqAnswer::as_str))
    .bind(change.answer_markdown.map(|answer| markdown::render(answer)))
    .bind(change.position)
    .bind(change.seen)
    .execute(tx.connection())
    .await
    .map_err(body_needed)?;
    if changed.rows_affected() == 0 && change.seen.is_some() {
        by_id(tx, id).await?;
        return Err(publishing::edited("FAQ"));
    }
    super::super::one_row(changed.rows_affected())?;
    by_id(tx, id).await
}

/// Publishes a FAQ, takes it back to the drafts, or archives it.
///
/// # Errors
/// `404 not_found`; `422 unprocessable` when one without an answer is to be published.
pub async fn set_status(tx: &mut OrgTx, id: Uuid, status: Status) -> Result<Faq, Problem> {
    let changed = sqlx::query("update vicket.faqs set status = $2 where id = $1")
        .bind(id)
        .bind(status)
        .execute(tx.connection())
        .await
        .map_err(body_needed)?;
    super::super::one_row(changed.rows_affected())?;
    by_id(tx, id).await
}

/// Deletes a FAQ.
///
/// # Errors
/// `404 not_found`.
pub async fn delete(tx: &mut OrgTx, id: Uuid) -> Result<(), Problem> {
    super::super::one_row(super::super::remove(tx, "faqs", &[id]).await?)
}

fn body_needed(error: sqlx::Error) -> Problem {
    Problem::on_constraint(error, "faqs_published_answer", || {
        Problem::unprocessable("answer_markdown", "must not be blank in a published FAQ")
    })
}
