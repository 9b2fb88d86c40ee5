//! Articles as a support page reads them. A site's own article stands before one for all sites that has its slug.

use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::paging::{self, Keyset, PageRequest};
use crate::{db::SiteTx, domain::problem::Problem};

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
    /// Full-text search, in the syntax that web search engines use.
    pub search: Option<&'a str>,
}

// Three orders of one list, each by a key and the id, descending. `$1, $2` are the place that the cursor names and `$4`,
// when given, the full-text search. What the site has of its own and what serves all sites of the org are two branches,
// each in the order of an index, merged: together in one condition no index could serve their order. An article for all
// sites is hidden where the site has its own of that slug.
macro_rules! page_sql {
    (by $key:literal, after $after:literal, rank $rank:literal) => {
        concat!(
            "select p.id, p.slug, p.title, p.excerpt, p.view_count, p.published_at, p.updated_at, p.rank
            from (
              (", page_sql!(branch $key, $after, $rank, "a.site_id = (select ctx.site_id())"), ")
              union all
              (", page_sql!(branch $key, $after, $rank, "a.site_id is null and not exists (
                select from vicket.articles own where own.slug = a.slug and own.site_id = (select ctx.site_id())
              )"), ")
            ) p
            order by p.key desc, p.id desc
            limit $3"
        )
    };
    (branch $key:literal, $after:literal, $rank:literal, $whose:literal) => {
        concat!(
            "select a.id, a.slug, a.title, a.excerpt, a.view_count, a.published_at, a.updated_at, ", $rank, " as rank, ",
            $key, " as key
            from vicket.articles a
            where ", $whose, "
              and ($4::text is null or a.search @@ websearch_to_tsquery('pg_catalog.english', $4))
              and ($1::bigint is null or (", $key, ", a.id) < (", $after, ", $2))
            order by ", $key, " desc, a.id desc
            limit $3"
        )
    };
}

const NEWEST: &str = page_sql!(
    by "a.published_at",
    after "timestamptz 'epoch' + $1 * interval '1 microsecond'",
    rank "0::bigint"
);
const POPULAR: &str = page_sql!(by "a.popularity", after "$1", rank "a.popularity");
// A rank is a float4; scaled to a bigint it sorts the same way and survives a cursor.
const RELEVANT: &str = page_sql!(
    by "(ts_rank(a.search, websearch_to_tsquery('pg_catalog.english', $4)) * 1000000000)::bigint",
    after "$1",
    rank "(ts_rank(a.search, websearch_to_tsquery('pg_catalog.english', $4)) * 1000000000)::bigint"
);

const BY_SLUG: &str = "select a.id, a.slug, a.title, a.excerpt, a.view_count, a.published_at, a.updated_at,
      a.body_markdown, a.body_html
    from vicket.articles a
    where a.slug = $1
    order by a.site_id nulls last
    limit 1";

/// One page of published articles, and the cursor of the next.
///
/// # Errors
/// `400 invalid_cursor`.
pub async fn page(tx: &mut SiteTx, wanted: &Wanted<'_>) -> Result<(Vec<Summary>, Option<String>), Problem> {
    let (tag, sql) = match wanted.order {
        Order::Newest => (b'n', NEWEST),
        Order::Popular => (b'p', POPULAR),
        Order::Relevant => (b'r', RELEVANT),
    };
    let after = wanted.page_request.after(tag)?;
    let rows: Vec<Summary> = sqlx::query_as(sql)
        .bind(after.map(|place| place.figure))
        .bind(after.map(|place| place.id))
        .bind(wanted.page_request.fetch())
        .bind(wanted.search)
        .fetch_all(tx.connection())
        .await?;
    Ok(wanted.page_request.into_page(rows, |last| paging::write(tag, last.place(wanted.order))))
}

/// The published article of this slug.
///
/// # Errors
/// `404 not_found`.
pub async fn by_slug(tx: &mut SiteTx, slug: &str) -> Result<Article, Problem> {
    sqlx::query_as(BY_SLUG).bind(slug).fetch_optional(tx.connection()).await?.ok_or_else(Problem::not_found)
}
