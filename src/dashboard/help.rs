//! The help center: articles and FAQs, written in Markdown and shown as the server renders it.

use poem::Response;
use uuid::Uuid;

use super::{
    form::Form,
    page_context::{PageContext, Shell, form_page, html, to},
};
use crate::{
    db::{Access, OrgTx},
    domain::{
        markdown,
        problem::Problem,
        text::{ArticleBody, ArticleTitle, Checked, FaqAnswer, FaqQuestion, PageSlug},
    },
    store::{
        self,
        articles::agent::{self as articles, Article, NewArticle},
        faqs::agent::{self as faqs, Faq, NewFaq},
        order::List,
        paging::PageRequest,
        publishing::{Filter, Status},
        sites::Site,
    },
};

/// Entries of a list.
const PAGE: u32 = 100;

/// An article or a FAQ.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Article,
    Faq,
}

impl Kind {
    fn read(segment: &str) -> Result<Self, Problem> {
        match segment {
            "articles" => Ok(Self::Article),
            "faqs" => Ok(Self::Faq),
            _ => Err(Problem::not_found()),
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Article => "articles",
            Self::Faq => "faqs",
        }
    }

    fn is_faq(self) -> bool {
        self == Self::Faq
    }
}

/// One of either, as a list shows it.
struct Entry {
    id: Uuid,
    site: Option<String>,
    title: String,
    status: Status,
    body: String,
    slug: String,
}

impl From<Article> for Entry {
    fn from(row: Article) -> Self {
        let Article { id, site, title, status, body_markdown, slug, .. } = row;
        Self { id, site, title, status, body: body_markdown, slug }
    }
}

impl From<Faq> for Entry {
    fn from(row: Faq) -> Self {
        let Faq { id, site, question, status, answer_markdown, .. } = row;
        Self { id, site, title: question, status, body: answer_markdown, slug: String::new() }
    }
}

impl Entry {
    fn state(&self) -> &'static str {
        match self.status {
            Status::Draft => "draft",
            Status::Published => "published",
            Status::Archived => "archived",
        }
    }
}

#[derive(askama::Template)]
#[template(path = "help.html")]
struct HelpPage<'a> {
    shell: Shell,
    kind: Kind,
    entries: Vec<Entry>,
    next: Option<String>,
    query: &'a Form,
}

impl HelpPage<'_> {
    /// Whether the page shows the order, for somebody who may change it.
    fn orders(&self) -> bool {
        self.kind.is_faq() && self.query.some("q").is_none() && self.shell.may("article:write")
    }
}

pub async fn list(context: &PageContext, org: &str) -> Result<Response, Problem> {
    let kind = if context.query.get("kind") == "faqs" { Kind::Faq } else { Kind::Article };
    let filter = Filter { search: context.query.some("q"), ..Filter::default() };
    let page_request = PageRequest { limit: PAGE, cursor: context.query.some("cursor") };
    let (shell, (entries, next)) = context
        .see(org, "article:read", async |tx| match kind {
            Kind::Article => {
                let (rows, next) = articles::page(tx, page_request, &filter).await?;
                Ok((rows.into_iter().map(Entry::from).collect::<Vec<_>>(), next))
            }
            Kind::Faq => {
                let (rows, next) = faqs::page(tx, page_request, &filter).await?;
                Ok((rows.into_iter().map(Entry::from).collect(), next))
            }
        })
        .await?;
    let next = next.map(|next| context.query.more(&["kind", "q"], &next));
    html(&HelpPage { shell, kind, entries, next, query: &context.query })
}

#[derive(askama::Template)]
#[template(path = "help_edit.html")]
struct EditPage<'a> {
    shell: Shell,
    kind: Kind,
    /// `None` for a new one.
    entry: Option<Entry>,
    sites: Vec<Site>,
    form: &'a Form,
    /// Rendered and sanitised.
    preview: String,
}

pub async fn edit(context: &PageContext, org: &str, kind: &str, id: &str) -> Result<Response, Problem> {
    edit_with(context, org, Kind::read(kind)?, id, &Form::default()).await
}

async fn edit_with(context: &PageContext, org: &str, kind: Kind, id: &str, form: &Form) -> Result<Response, Problem> {
    let id: Option<Uuid> = match id {
        "new" => None,
        id => Some(id.parse().map_err(|_| Problem::not_found())?),
    };
    let (shell, (entry, sites)) = context
        .see(org, if id.is_none() { "article:write" } else { "article:read" }, async |tx| {
            let entry = match id {
                Some(id) => Some(one(tx, kind, id).await?),
                None => None,
            };
            Ok((entry, store::sites::list(tx).await?))
        })
        .await?;
    let kept = entry.as_ref().map_or_else(Form::default, |entry| {
        Form::of(&[("title", entry.title.clone()), ("slug", entry.slug.clone()), ("body", entry.body.clone())])
    });
    let shown = form.over(kept);
    let preview = markdown::render(shown.get("body"));
    form_page(&EditPage { shell, kind, entry, sites, form: &shown, preview }, form)
}

async fn one(tx: &mut OrgTx, kind: Kind, id: Uuid) -> Result<Entry, Problem> {
    match kind {
        Kind::Article => articles::by_id(tx, id).await.map(Entry::from),
        Kind::Faq => faqs::by_id(tx, id).await.map(Entry::from),
    }
}

/// What the editor's text will look like: the fragment alone.
pub async fn preview(context: &PageContext, org: &str) -> Result<Response, Problem> {
    context.enter(Access::Read, org, "article:read").await?.finish(Ok(())).await?;
    let body = markdown::render(context.form.get("body"));
    Ok(Response::builder().content_type("text/html; charset=utf-8").body(body))
}

pub async fn change(context: &PageContext, org: &str, kind: &str, id: &str) -> Result<Response, Problem> {
    let kind = Kind::read(kind)?;
    let permission = match context.form.get("action") {
        "publish" | "unpublish" | "archive" => "article:publish",
        _ => "article:write",
    };
    if context.form.get("action") == "preview" {
        return edit_with(context, org, kind, id, &context.form).await;
    }
    let parsed = match id {
        "new" => None,
        id => Some(id.parse().map_err(|_| Problem::not_found())?),
    };
    let path = kind.path();
    match context.act(org, permission, async |tx| apply(tx, kind, parsed, &context.form).await).await {
        Ok((done @ ("deleted" | "moved"), _)) => Ok(to(&format!("/dashboard/{org}/help?kind={path}&done={done}"))),
        Ok((done, id)) => Ok(to(&format!("/dashboard/{org}/help/{path}/{id}?done={done}"))),
        Err(problem) => edit_with(context, org, kind, id, &context.form.again(problem)?).await,
    }
}

async fn apply(tx: &mut OrgTx, kind: Kind, id: Option<Uuid>, form: &Form) -> Result<(&'static str, Uuid), Problem> {
    let action = form.get("action");
    let id = match (action, id) {
        ("save" | "publish", id) => save(tx, kind, id, form).await?,
        (_, Some(id)) => id,
        (_, None) => return Err(Problem::not_found()),
    };
    let status = match action {
        "save" => return Ok(("saved", id)),
        "publish" => Status::Published,
        "unpublish" => Status::Draft,
        "archive" => Status::Archived,
        "up" | "down" | "move" if kind.is_faq() => {
            store::order::reorder(tx, List::Faqs, id, form.step()?).await?;
            return Ok(("moved", id));
        }
        "delete" if form.get("sure") != "yes" => {
            return Err(Problem::invalid_field("sure", "Tick the box to say that you mean it"));
        }
        "delete" => {
            match kind {
                Kind::Article => articles::delete(tx, id).await?,
                Kind::Faq => faqs::delete(tx, id).await?,
            }
            return Ok(("deleted", id));
        }
        _ => return Err(Problem::invalid_field("action", "is none that this page has")),
    };
    match kind {
        Kind::Article => drop(articles::set_status(tx, id, status).await.map_err(placed)?),
        Kind::Faq => drop(faqs::set_status(tx, id, status).await.map_err(placed)?),
    }
    let done = match status {
        Status::Published => "published",
        Status::Draft => "unpublished",
        Status::Archived => "archived",
    };
    Ok((done, id))
}

async fn save(tx: &mut OrgTx, kind: Kind, id: Option<Uuid>, form: &Form) -> Result<Uuid, Problem> {
    let saved = match kind {
        Kind::Article => save_article(tx, id, form).await,
        Kind::Faq => save_faq(tx, id, form).await,
    };
    saved.map_err(placed)
}

async fn save_article(tx: &mut OrgTx, id: Option<Uuid>, form: &Form) -> Result<Uuid, Problem> {
    let mut checked = Checked::default();
    let title = form.take::<ArticleTitle>(&mut checked, "title");
    let slug = form.some("slug").and_then(|slug| checked.text::<PageSlug>("slug", slug));
    let body = checked.text::<ArticleBody>("body", form.get("body"));
    let (Some(title), Some(body), true) = (title, body, checked.is_empty()) else {
        return Err(checked.problem());
    };
    let (site, slug) = (form.some("site"), slug.as_ref());
    let saved = match id {
        None => articles::create(tx, &NewArticle { site, title: &title, body_markdown: Some(&body), slug }).await,
        Some(id) => {
            let change = articles::Change { title: Some(&title), body_markdown: Some(&body), slug };
            articles::change(tx, id, &change).await
        }
    };
    saved.map(|row| row.id)
}

async fn save_faq(tx: &mut OrgTx, id: Option<Uuid>, form: &Form) -> Result<Uuid, Problem> {
    let mut checked = Checked::default();
    let question = form.take::<FaqQuestion>(&mut checked, "title");
    let answer = checked.text::<FaqAnswer>("body", form.get("body"));
    let (Some(question), Some(answer), true) = (question, answer, checked.is_empty()) else {
        return Err(checked.problem());
    };
    let saved = match id {
        None => {
            let site = form.some("site");
            let new = NewFaq { site, question: &question, answer_markdown: Some(&answer), position: None };
            faqs::create(tx, &new).await
        }
        Some(id) => {
            let change = faqs::Change { question: Some(&question), answer_markdown: Some(&answer), position: None };
            faqs::change(tx, id, &change).await
        }
    };
    saved.map(|row| row.id)
}

/// A problem whose field is called as the form calls it.
fn placed(mut problem: Problem) -> Problem {
    for error in &mut problem.errors {
        if matches!(error.field.as_str(), "body_markdown" | "answer_markdown") {
            "body".clone_into(&mut error.field);
        }
    }
    problem
}
