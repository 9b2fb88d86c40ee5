//! Articles as agents write them: drafts, published, archived. What a role may do is the policies' to say, who changed what
//! and when the triggers'; Markdown is rendered and sanitised here, once, when it is written.

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
        problem::{Code, Problem},
        slugs,
        text::{ArticleBody, ArticleTitle, PageSlug},
    },
};

/// The longest slug of an article, characters.
pub const SLUG_LENGTH: usize = 120;

/// Slugs that are tried before giving up: `how-to`, `how-to-2` and so on.
const TRIES: u32 = 50;

/// An article, as agents see it.
#[derive(Debug, FromRow)]
pub struct Article {
    pub id: Uuid,
    /// `None`: for all sites of the org.
    pub site: Option<String>,
    pub slug: String,
    pub title: String,
    pub excerpt: String,
    pub body_markdown: String,
    pub body_html: String,
    pub status: Status,
    pub view_count: i64,
    pub published_at: Option<OffsetDateTime>,
    pub created_at: OffsetDateTime,
    pub created_by: String,
    pub updated_at: OffsetDateTime,
    pub updated_by: String,
}

macro_rules! articles {
    ($rest:literal) => {
        concat!(
            "select a.id, s.slug as site, a.slug, a.title, a.excerpt, a.body_markdown, a.body_html, a.status, a.view_count,
              a.published_at, a.created_at, a.created_by, a.updated_at, a.updated_by
            from vicket.articles a
            left join vicket.sites s on s.org_id = a.org_id and s.id = a.site_id ",
            $rest
        )
    };
}

/// The articles of the org, the last made first.
///
/// # Errors
/// `400 invalid_cursor`; `422 unprocessable` for a site that is not there.
pub async fn page(
    tx: &mut OrgTx,
    page_request: PageRequest<'_>,
    filter: &Filter<'_>,
) -> Result<(Vec<Article>, Option<String>), Problem> {
    let site = sites::id_of(tx, filter.site).await?;
    let after = page_request.after(b'd')?;
    let rows: Vec<Article> = sqlx::query_as(articles!(
        "where ($1::bigint is null
            or (a.created_at, a.id) < (timestamptz 'epoch' + $1 * interval '1 microsecond', $2))
          and ($3::uuid is null or a.site_id = $3)
          and ($4::text is null or a.status = $4)
          and ($5::text is null or a.search @@ websearch_to_tsquery('pg_catalog.english', $5))
        order by a.created_at desc, a.id desc
        limit $6"
    ))
    .bind(after.map(|place| place.figure))
    .bind(after.map(|place| place.id))
    .bind(site)
    .bind(filter.status)
    .bind(filter.search)
    .bind(page_request.fetch())
    .fetch_all(tx.connection())
    .await?;
    Ok(page_request
        .into_page(rows, |row| paging::write(b'd', Keyset { figure: paging::micros(row.created_at), id: row.id })))
}

/// The article of this id.
///
/// # Errors
/// `404 not_found`.
pub async fn by_id(tx: &mut OrgTx, id: Uuid) -> Result<Article, Problem> {
    let row = sqlx::query_as(articles!("where a.id = $1")).bind(id).fetch_optional(tx.connection()).await?;
    row.ok_or_else(Problem::not_found)
}

/// An article to write; a draft.
#[derive(Debug)]
pub struct NewArticle<'a> {
    /// The site's slug; `None` for all sites of the org.
    pub site: Option<&'a str>,
    pub title: &'a ArticleTitle,
    /// Empty when `None`.
    pub body_markdown: Option<&'a ArticleBody>,
    /// Derived from the title when `None`.
    pub slug: Option<&'a PageSlug>,
}

/// Writes an article. A slug that was derived and is in use gets a number.
///
/// # Errors
/// `409 slug_taken` for a slug that was given; `422 unprocessable` for a site that is not there.
pub async fn create(tx: &mut OrgTx, new: &NewArticle<'_>) -> Result<Article, Problem> {
    let site = sites::id_of(tx, new.site).await?;
    let base = new.slug.map_or_else(|| slugs::of(new.title, SLUG_LENGTH), |slug| slug.as_str().to_owned());
    let body = new.body_markdown.map_or("", ArticleBody::as_str);
    let html = markdown::render(body);
    let tries = if new.slug.is_some() { 1 } else { TRIES };
    for number in 1..=tries {
        let slug = if number == 1 { base.clone() } else { slugs::numbered(&base, number, SLUG_LENGTH) };
        let made: Option<Uuid> = sqlx::query_scalar(
            "insert into vicket.articles (site_id, slug, title, excerpt, body_markdown, body_html)
            values ($1, $2, $3, $4, $5, $6)
            on conflict do nothing
            returning id",
        )
        .bind(site)
        .bind(slug)
        .bind(new.title.as_str())
        .bind(markdown::excerpt(body))
        .bind(body)
        .bind(&html)
        .fetch_optional(tx.connection())
        .await?;
        if let Some(id) = made {
            return by_id(tx, id).await;
        }
    }
    Err(slug_taken())
}

fn slug_taken() -> Problem {
    Problem::new(Code::SlugTaken, "There is an article of that slug already.")
}

/// Changes of an article; what is `None` stays.
#[derive(Debug, Default)]
pub struct Change<'a> {
    pub title: Option<&'a ArticleTitle>,
    pub body_markdown: Option<&'a ArticleBody>,
    pub slug: Option<&'a PageSlug>,
    /// Only as it was at this time.
    pub seen: Option<OffsetDateTime>,
}

/// Changes an article; a published one shows it in the next request.
///
/// # Errors
/// `404 not_found`; `409 slug_taken`, or `edit_conflict` after another's change; `422 unprocessable` for a published one without a body.
pub async fn change(tx: &mut OrgTx, id: Uuid, change: &Change<'_>) -> Result<Article, Problem> {
    let changed = sqlx::query(
        "update vicket.articles set
          title = coalesce($2, title),
          slug = coalesce($3, slug),
          body_markdown = coalesce($4, body_markdown),
          body_html = coalesce($5, body_html),
          excerpt = coalesce($6, excerpt)
        where id = $1 and ($7::timestamptz is null or updated_at = $7)",
    )
    .bind(id)
    .bind(change.title.map(ArticleTitle::as_str))
    .bind(change.slug.map(PageSlug::as_str))
    .bind(change.body_markdown.map(ArticleBody::as_str))
    .bind(change.body_markdown.map(|body| markdown::render(body)))
    .bind(change.body_markdown.map(|body| markdown::excerpt(body)))
    .bind(change.seen)
    .execute(tx.connection())
    .await
    .map_err(|error| match super::super::constraint(&error) {
        "articles_slug_unique" => slug_taken(),
        _ => body_needed(error),
    })?;
    if changed.rows_affected() == 0 && change.seen.is_some() {
        by_id(tx, id).await?;
        return Err(publishing::edited("article"));
    }
    super::super::one_row(changed.rows_affected())?;
    by_id(tx, id).await
}

/// Publishes an article, takes it back to the drafts, or archives it.
///
/// # Errors
/// `404 not_found`; `422 unprocessable` when one without a body is to be published.
pub async fn set_status(tx: &mut OrgTx, id: Uuid, status: Status) -> Result<Article, Problem> {
    let changed = sqlx::query("update vicket.articles set status = $2 where id = $1")
        .bind(id)
        .bind(status)
        .execute(tx.connection())
        .await
        .map_err(body_needed)?;
    super::super::one_row(changed.rows_affected())?;
    by_id(tx, id).await
}

/// Deletes an article.
///
/// # Errors
/// `404 not_found`.
pub async fn delete(tx: &mut OrgTx, id: Uuid) -> Result<(), Problem> {
    super::super::one_row(super::super::remove(tx, "articles", &[id]).await?)
}

fn body_needed(error: sqlx::Error) -> Problem {
    Problem::on_constraint(error, "articles_published_body", || {
        Problem::unprocessable("body_markdown", "must not be blank in a published article")
    })
}
