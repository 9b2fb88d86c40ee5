//! Articles, as agents write them.

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::Example,
};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::{publishing::Status, tags::Tag};
use crate::{
    auth::caller::{Caller, Org},
    domain::{
        permissions::{ArticlePublish, ArticleRead, ArticleWrite},
        text::{ArticleBody, ArticleTitle, Checked, PageSlug, Prose, Text},
    },
    http::{
        answers::{self, Page},
        failure::Failure,
        paging::Paging,
        text::{Input, Nullable},
    },
    store::{
        articles::agent::{self, Change, NewArticle},
        publishing::{self, Filter},
    },
};

pub struct ArticlesApi;

const EXAMPLE_ID: Uuid = Uuid::from_u128(0x7c9e_6679_7425_40de_944b_e07f_c1f9_0ae7);

/// What a list and one article begin with.
#[derive(Object)]
#[oai(rename = "ArticleHead")]
struct Head {
    /// Its id.
    id: Uuid,
    /// The slug of its site; `null` for all sites of the org.
    site: Nullable<String>,
    /// Its name in URLs.
    slug: String,
    /// Its title, plain text.
    title: String,
    /// Its beginning, plain text.
    excerpt: String,
}

/// What they end with.
#[derive(Object)]
#[oai(rename = "ArticleTail")]
struct Tail {
    /// Where it stands.
    status: Status,
    /// How often it was read; a few seconds late.
    view_count: i64,
    /// When it was first published.
    published_at: Nullable<OffsetDateTime>,
    /// When it was made.
    created_at: OffsetDateTime,
    /// Who made it.
    created_by: String,
    /// When it was last changed.
    updated_at: OffsetDateTime,
    /// Who changed it last.
    updated_by: String,
}

/// An article in a list.
#[derive(Object)]
#[oai(rename = "ArticleSummary", example)]
struct Summary {
    #[oai(flatten)]
    head: Head,
    #[oai(flatten)]
    tail: Tail,
}

/// An article with its text.
#[derive(Object)]
#[oai(example)]
struct Article {
    #[oai(flatten)]
    head: Head,
    /// The text, Markdown.
    body_markdown: String,
    /// The text rendered and sanitised.
    body_html: String,
    #[oai(flatten)]
    tail: Tail,
}

impl From<agent::Article> for Summary {
    fn from(row: agent::Article) -> Self {
        let Article { head, tail, .. } = row.into();
        Self { head, tail }
    }
}

impl From<agent::Article> for Article {
    fn from(row: agent::Article) -> Self {
        let head =
            Head { id: row.id, site: Nullable(row.site), slug: row.slug, title: row.title, excerpt: row.excerpt };
        let tail = Tail {
            status: row.status.into(),
            view_count: row.view_count,
            published_at: Nullable(row.published_at),
            created_at: row.created_at,
            created_by: row.created_by,
            updated_at: row.updated_at,
            updated_by: row.updated_by,
        };
        Self { head, body_markdown: row.body_markdown, body_html: row.body_html, tail }
    }
}

fn example() -> agent::Article {
    agent::Article {
        id: EXAMPLE_ID,
        site: Some("acme-app".to_owned()),
        slug: "getting-started".to_owned(),
        title: "Getting started".to_owned(),
        excerpt: "Create an account, and open your first project.".to_owned(),
        body_markdown: "Create an account, and **open your first project**.".to_owned(),
        body_html: "<p>Create an account, and <strong>open your first project</strong>.</p>\n".to_owned(),
        status: publishing::Status::Published,
        view_count: 128,
        published_at: Some(datetime!(2026-01-15 09:30 UTC)),
        created_at: datetime!(2026-01-14 08:00 UTC),
        created_by: "agnes@acme.com".to_owned(),
        updated_at: datetime!(2026-02-01 16:05 UTC),
        updated_by: "adam@acme.com".to_owned(),
    }
}

impl Example for Summary {
    fn example() -> Self {
        example().into()
    }
}

impl Example for Article {
    fn example() -> Self {
        example().into()
    }
}

/// An article to write.
#[derive(Object)]
#[oai(rename = "NewArticle", deny_unknown_fields, skip_serializing_if_is_none, example)]
struct NewArticleBody {
    /// Its title.
    title: Input<ArticleTitle>,
    /// The text, Markdown; may be empty until it is published.
    body_markdown: Option<Input<ArticleBody>>,
    /// The slug of its site; for all sites of the org when `null` or absent.
    site: Option<Input<Text<63>>>,
    /// Its name in URLs; made of the title when absent, with a number where that is in use.
    slug: Option<Input<PageSlug>>,
}

impl Example for NewArticleBody {
    fn example() -> Self {
        Self {
            title: Input::of(Text::known("Getting started")),
            body_markdown: Some(Input::of(Prose::known("Create an account, and **open your first project**."))),
            site: None,
            slug: None,
        }
    }
}

/// What changes of an article; what is absent stays.
#[derive(Object)]
#[oai(rename = "ArticleChange", deny_unknown_fields, skip_serializing_if_is_none, example)]
struct ArticleChangeBody {
    /// Its new title. The slug stays.
    title: Option<Input<ArticleTitle>>,
    /// The new text, Markdown.
    body_markdown: Option<Input<ArticleBody>>,
    /// Its new name in URLs; links to the old one break.
    slug: Option<Input<PageSlug>>,
}

impl Example for ArticleChangeBody {
    fn example() -> Self {
        Self { title: Some(Input::of(Text::known("Getting started, again"))), body_markdown: None, slug: None }
    }
}

/// Moves an article to where it is to stand.
async fn move_to(org: &Caller, id: Uuid, status: publishing::Status) -> Result<answers::Ok<Article>, Failure<422>> {
    let article = org.run(async |tx| agent::set_status(tx, id, status).await).await?;
    Ok(answers::Ok(article.into()))
}

#[OpenApi(prefix_path = "/v1/orgs/{org}", tag = "Tag::Help")]
impl ArticlesApi {
    /// List articles
    ///
    /// The org's articles, drafts and archived ones too, the last made first. With `q` those that a full-text search finds.
    #[oai(path = "/articles", method = "get", operation_id = "listArticles")]
    async fn articles(
        &self,
        org: Org<ArticleRead>,
        paging: Paging,
        /// Only those of the site of this slug.
        site: Query<Option<Text<63>>>,
        /// Only those that stand here.
        status: Query<Option<Status>>,
        /// What to search for, in the syntax of web search engines.
        q: Query<Option<Text<200>>>,
    ) -> Result<answers::Ok<Page<Summary>>, Failure<422>> {
        let filter = Filter { site: site.0.as_deref(), status: status.0.map(Into::into), search: q.0.as_deref() };
        let page = org.run(async |tx| agent::page(tx, paging.request(), &filter).await).await?;
        Ok(answers::Ok(Page::of(page, Summary::from)))
    }

    /// Write an article
    ///
    /// A draft, until it is published. Its slug is made of its title.
    #[oai(path = "/articles", method = "post", operation_id = "createArticle")]
    async fn create(
        &self,
        org: Org<ArticleWrite>,
        body: Json<NewArticleBody>,
    ) -> Result<answers::Created<Article>, Failure<409, 422>> {
        let mut checked = Checked::default();
        let title = checked.take("title", body.0.title);
        let body_markdown = checked.take_optional("body_markdown", body.0.body_markdown);
        let site = checked.take_optional("site", body.0.site);
        let slug = checked.take_optional("slug", body.0.slug);
        let (Some(title), true) = (title, checked.is_empty()) else {
            return Err(checked.problem().into());
        };
        let new = NewArticle {
            site: site.as_deref(),
            title: &title,
            body_markdown: body_markdown.as_ref(),
            slug: slug.as_ref(),
        };
        let article = org.run(async |tx| agent::create(tx, &new).await).await?;
        Ok(answers::Created(article.into()))
    }

    /// Read an article
    ///
    /// With its text, wherever it stands.
    #[oai(path = "/articles/:id", method = "get", operation_id = "getArticle")]
    async fn article(
        &self,
        org: Org<ArticleRead>,
        /// The article's id.
        id: Path<Uuid>,
    ) -> Result<answers::Ok<Article>, Failure> {
        let article = org.run(async |tx| agent::by_id(tx, id.0).await).await?;
        Ok(answers::Ok(article.into()))
    }

    /// Change an article
    ///
    /// A published one shows the change in the next request, so its text must not become blank.
    #[oai(path = "/articles/:id", method = "patch", operation_id = "updateArticle")]
    async fn update(
        &self,
        org: Org<ArticleWrite>,
        /// The article's id.
        id: Path<Uuid>,
        body: Json<ArticleChangeBody>,
    ) -> Result<answers::Ok<Article>, Failure<409, 422>> {
        let mut checked = Checked::default();
        let title = checked.take_optional("title", body.0.title);
        let body_markdown = checked.take_optional("body_markdown", body.0.body_markdown);
        let slug = checked.take_optional("slug", body.0.slug);
        checked.done()?;
        let change =
            Change { title: title.as_ref(), body_markdown: body_markdown.as_ref(), slug: slug.as_ref(), seen: None };
        let article = org.run(async |tx| agent::change(tx, id.0, &change).await).await?;
        Ok(answers::Ok(article.into()))
    }

    /// Delete an article
    ///
    /// For good, wherever it stands.
    #[oai(path = "/articles/:id", method = "delete", operation_id = "deleteArticle")]
    async fn delete(
        &self,
        org: Org<ArticleWrite>,
        /// The article's id.
        id: Path<Uuid>,
    ) -> Result<answers::NoContent, Failure<409>> {
        org.run(async |tx| agent::delete(tx, id.0).await).await?;
        Ok(answers::NoContent)
    }

    /// Publish an article
    ///
    /// Customers see it in the next request. Its text must not be blank.
    #[oai(path = "/articles/:id/publish", method = "post", operation_id = "publishArticle")]
    async fn publish(
        &self,
        org: Org<ArticlePublish>,
        /// The article's id.
        id: Path<Uuid>,
    ) -> Result<answers::Ok<Article>, Failure<422>> {
        move_to(&org, *id, publishing::Status::Published).await
    }

    /// Take an article back
    ///
    /// It becomes a draft; customers no longer see it in the next request.
    #[oai(path = "/articles/:id/unpublish", method = "post", operation_id = "unpublishArticle")]
    async fn unpublish(
        &self,
        org: Org<ArticlePublish>,
        /// The article's id.
        id: Path<Uuid>,
    ) -> Result<answers::Ok<Article>, Failure<422>> {
        move_to(&org, *id, publishing::Status::Draft).await
    }

    /// Archive an article
    ///
    /// Puts it away; customers no longer see it in the next request.
    #[oai(path = "/articles/:id/archive", method = "post", operation_id = "archiveArticle")]
    async fn archive(
        &self,
        org: Org<ArticlePublish>,
        /// The article's id.
        id: Path<Uuid>,
    ) -> Result<answers::Ok<Article>, Failure<422>> {
        move_to(&org, *id, publishing::Status::Archived).await
    }
}
