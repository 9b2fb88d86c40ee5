//! Articles as a support page reads them. A site's own article stands before one for all sites that has its slug.

use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::paging::{self, Keyset, PageRequest};
use crate::{
    db::{Call, Published},
    domain::problem::Problem,
};

/// An article in a list.
#[derive(Debug, FromRow)]
pub struct Summary {
    pub id: Uuid,
    pub slug: String,
    pub title: String,
    pub excerpt: String,
    pub view_count: i64,
    pub published_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    rank: i64,
}

impl Summary {
    /// Its place in a list of this order, for the cursor.
    fn place(&self, order: Order) -> Keyset {
        let figure = match order {
            Order::Newest => paging::micros(self.published_at),
            Order::Popular | Order::Relevant => self.rank,
        };
        Keyset { figure, id: self.id }
    }
}

/// An article to read.
#[derive(Debug, FromRow)]
pub struct Article {
    pub id: Uuid,
    pub slug: String,
    pub title: String,
    pub excerpt: String,
    pub view_count: i64,
    pub published_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    pub body_markdown: String,
    pub body_html: String,
}

/// The order of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    Newest,
    Popular,
    /// Best match of the search first.
    Relevant,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    pub page_request: PageRequest<'a>,
    pub order: Order,
    /// Full-text search, in the syntax that web search engines use; the last word may be the beginning of one.
    pub search: Option<&'a str>,
}

impl Order {
    /// As `auth.read_articles` and `auth.search_articles` have it.
    fn word(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Popular => "popular",
            Self::Relevant => "relevant",
        }
    }

    /// What its cursors begin with.
    fn tag(self) -> u8 {
        self.word().as_bytes()[0]
    }
}

const PAGE: &str =
    "select (r.entry).*, r.id, r.slug, r.title, r.excerpt, r.view_count, r.published_at, r.updated_at, r.rank
    from auth.read_articles($1, $2, $3, $4, $5, $6, $7) r";
const FOUND: &str =
    "select (r.entry).*, r.id, r.slug, r.title, r.excerpt, r.view_count, r.published_at, r.updated_at, r.rank
    from auth.search_articles($1, $2, $3, $4, $5, $6, $7) r";
const BY_SLUG: &str =
    "select (r.entry).*, r.id, r.slug, r.title, r.excerpt, r.view_count, r.published_at, r.updated_at,
      r.body_markdown, r.body_html
    from auth.read_article($1, $2, $3) r";

/// One page of published articles, and the cursor of the next.
///
/// # Errors
/// `400 invalid_cursor`.
pub async fn page(
    published: &mut Published<'_>,
    wanted: &Wanted<'_>,
) -> Result<(Vec<Summary>, Option<String>), Problem> {
    let tag = wanted.order.tag();
    let after = wanted.page_request.after(tag)?;
    let bind = |call: Call| {
        call.bind(wanted.order.word())
            .bind(after.map(|place| place.figure))
            .bind(after.map(|place| place.id))
            .bind(wanted.page_request.fetch())
            .bind(wanted.search.map(str::to_owned))
    };
    let call = if wanted.search.is_some() { FOUND } else { PAGE };
    let rows: Vec<Summary> = published.rows(call, bind).await?;
    Ok(wanted.page_request.into_page(rows, |last| paging::write(tag, last.place(wanted.order))))
}

/// The published article of this slug.
///
/// # Errors
/// `404 not_found`.
pub async fn by_slug(published: &mut Published<'_>, slug: &str) -> Result<Article, Problem> {
    let found = published.rows(BY_SLUG, |call| call.bind(slug.to_owned())).await?;
    found.into_iter().next().ok_or_else(Problem::not_found)
}
