//! Help articles: listed, searched, read. Published ones only; a read counts a view.

use std::sync::Arc;

use poem::{http::Method, web::Data};
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    types::{Example, ToJSON as _},
};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::{
    reading::serve,
    search::{self, Found},
    tags::Tag,
};
use crate::{
    auth::site_key::SiteKey,
    domain::{problem::Problem, text::Text},
    http::{answers::Cached, failure::Failure, headers::IfNoneMatch, text::Nullable},
    response_cache::{CachedResponse, ViewCounts},
    state::App,
    store::{
        self,
        articles::public::{Order, Wanted},
        paging::PageRequest,
        usage::SiteRef,
    },
};

pub struct ArticlesApi;

/// An article in a list.
#[derive(Object)]
struct ArticleSummary {
    /// Its id.
    id: Uuid,
    /// Its name in URLs; `GET /support/v1/help/articles/{slug}` reads it.
    slug: String,
    /// Its title, plain text.
    title: String,
    /// Its beginning, plain text, at most 200 characters.
    excerpt: String,
    /// How often it was read; a few seconds late.
    view_count: i64,
    /// When it was first published.
    published_at: OffsetDateTime,
    /// When it was last changed.
    updated_at: OffsetDateTime,
}

/// A page of articles.
#[derive(Object)]
#[oai(example)]
struct ArticlePage {
    /// The articles.
    data: Vec<ArticleSummary>,
    /// Pass it as `cursor` for the next page; `null` on the last one.
    next_cursor: Nullable<String>,
    /// What was searched for in place of `q`, which found nothing: a word that differs from it in one letter. Else `null`.
    searched_for: Nullable<String>,
}

/// An article to read.
#[derive(Object)]
#[oai(example)]
struct Article {
    /// Its id.
    id: Uuid,
    /// Its name in URLs.
    slug: String,
    /// Its title, plain text.
    title: String,
    /// Its beginning, plain text, at most 200 characters.
    excerpt: String,
    /// How often it was read; a second late at the most, where several processes serve half a minute.
    view_count: i64,
    /// When it was first published.
    published_at: OffsetDateTime,
    /// When it was last changed.
    updated_at: OffsetDateTime,
    /// The text as it was written, Markdown.
    body_markdown: String,
    /// The text rendered and sanitised: safe to insert into a page.
    body_html: String,
}

/// The order of a list of articles.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "snake_case")]
enum Sort {
    /// The last published first.
    Newest,
    /// The most read first.
    Popular,
}

impl From<store::articles::public::Summary> for ArticleSummary {
    fn from(row: store::articles::public::Summary) -> Self {
        Self {
            id: row.id,
            slug: row.slug,
            title: row.title,
            excerpt: row.excerpt,
            view_count: row.view_count,
            published_at: row.published_at,
            updated_at: row.updated_at,
        }
    }
}

impl From<store::articles::public::Article> for Article {
    fn from(row: store::articles::public::Article) -> Self {
        Self {
            id: row.id,
            slug: row.slug,
            title: row.title,
            excerpt: row.excerpt,
            view_count: row.view_count,
            published_at: row.published_at,
            updated_at: row.updated_at,
            body_markdown: row.body_markdown,
            body_html: row.body_html,
        }
    }
}

const EXAMPLE_ID: Uuid = Uuid::from_u128(0x7c9e_6679_7425_40de_944b_e07f_c1f9_0ae7);

impl Example for ArticlePage {
    fn example() -> Self {
        let article = ArticleSummary {
            id: EXAMPLE_ID,
            slug: "getting-started".to_owned(),
            title: "Getting started".to_owned(),
            excerpt: "Create an account, invite your team, and open your first project.".to_owned(),
            view_count: 128,
            published_at: datetime!(2026-01-15 09:30 UTC),
            updated_at: datetime!(2026-02-01 16:05 UTC),
        };
        Self { data: vec![article], next_cursor: Nullable(None), searched_for: Nullable(None) }
    }
}

impl Example for Article {
    fn example() -> Self {
        Self {
            id: EXAMPLE_ID,
            slug: "getting-started".to_owned(),
            title: "Getting started".to_owned(),
            excerpt: "Create an account, invite your team, and open your first project.".to_owned(),
            view_count: 128,
            published_at: datetime!(2026-01-15 09:30 UTC),
            updated_at: datetime!(2026-02-01 16:05 UTC),
            body_markdown: "Create an account, **invite your team**, and open your first project.".to_owned(),
            body_html: "<p>Create an account, <strong>invite your team</strong>, and open your first project.</p>\n"
                .to_owned(),
        }
    }
}

#[OpenApi(prefix_path = "/support/v1", tag = "Tag::Help")]
impl ArticlesApi {
    /// List or search articles
    ///
    /// The published articles of the site, and of its org for all sites. With `q` a full-text search in the syntax of
    /// web search engines (`"exact phrase"`, `-not`, `or`), by the dictionary of the site's language, best match first unless
    /// `sort` says otherwise. The last word may be the beginning of one, and where nothing is found, one letter of a word may be
    /// wrong. A site's own article hides one for all sites with the same slug.
    #[oai(path = "/help/articles", method = "get", operation_id = "listArticles")]
    #[expect(clippy::too_many_arguments, reason = "one a parameter of the call")]
    async fn articles(
        &self,
        key: SiteKey,
        app: Data<&Arc<App>>,
        /// How many articles a page holds; 20 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<Text<200>>>,
        /// What to search for.
        q: Query<Option<Text<200>>>,
        /// The order; `newest` when absent, best match first when absent with `q`.
        sort: Query<Option<Sort>>,
        /// The `ETag` of an earlier answer: 304 when nothing changed.
        #[oai(name = "If-None-Match")]
        if_none_match: IfNoneMatch,
        method: Method,
    ) -> Result<Cached<ArticlePage>, Failure> {
        let sought = q.0.map(crate::domain::text::Text::into_string);
        let cursor = cursor.0.map(crate::domain::text::Text::into_string);
        let order = match (sort.0, &sought) {
            (Some(Sort::Popular), _) => Order::Popular,
            (None, Some(_)) => Order::Relevant,
            (Some(Sort::Newest) | None, _) => Order::Newest,
        };
        let limit = limit.0.unwrap_or(20);
        // Debug quotes both texts: no two questions are written alike, whatever a caller puts into them.
        let question = format!("articles {order:?} {limit} {cursor:?} {sought:?}");
        let site = SiteRef { org_id: key.entry().org_id, site_id: key.entry().site_id };
        let answer = serve(&app, &key, question, ViewCounts::Exact, async |published| {
            let page_request = PageRequest { limit, cursor: cursor.as_deref() };
            let wanted = Wanted { page_request, order, search: sought.as_deref() };
            let Found { rows, next, searched_for } = search::articles(&app, published, &wanted).await?;
            // Whether a search found nothing at all, for whoever writes the help center.
            let missed = match &sought {
                Some(sought) if rows.is_empty() => search::faqs(&app, published, sought).await?.is_empty(),
                _ => rows.is_empty(),
            };
            let data = rows.into_iter().map(ArticleSummary::from).collect();
            let (next_cursor, searched_for) = (Nullable(next), Nullable(searched_for));
            let mut page = Cached::representation(&ArticlePage { data, next_cursor, searched_for });
            page.is_empty = missed;
            Ok(page)
        })
        .await?;
        if let (true, None, Some(sought)) = (method == Method::GET, &cursor, &sought) {
            app.usage.searched(site, key.network(), sought, !answer.is_empty);
        }
        Ok(Cached::of(&answer, &if_none_match))
    }

    /// Read an article
    ///
    /// One published article, with its text as Markdown and as sanitised HTML. Counts a view.
    #[oai(path = "/help/articles/:slug", method = "get", operation_id = "getArticle")]
    async fn article(
        &self,
        key: SiteKey,
        app: Data<&Arc<App>>,
        /// The article's slug.
        slug: Path<String>,
        /// The `ETag` of an earlier answer: 304 when nothing changed.
        #[oai(name = "If-None-Match")]
        if_none_match: IfNoneMatch,
        method: Method,
    ) -> Result<Cached<Article>, Failure<404>> {
        let slug = slug.0;
        if slug.contains('\0') {
            return Err(Problem::invalid_field("slug", "must not contain U+0000").into());
        }
        let org_id = key.entry().org_id;
        let answer = serve(&app, &key, format!("article {slug}"), ViewCounts::Own, async |published| {
            let mut article = Article::from(store::articles::public::by_slug(published, &slug).await?);
            article.view_count += app.usage.pending_views(org_id, article.id);
            Ok(CachedResponse::of_article(article.to_json_string().into_bytes(), article.id, article.view_count))
        })
        .await?;
        let read = Cached::of(&answer, &if_none_match);
        // A HEAD looks, it does not read.
        if method == Method::GET
            && let Some(article) = answer.view()
        {
            app.usage.viewed(org_id, article);
        }
        Ok(read)
    }
}
