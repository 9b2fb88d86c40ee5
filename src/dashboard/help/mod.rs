//! The help center: articles and FAQs, written in Markdown and shown as the server renders it.

pub mod entry;

use poem::{Response, handler, web::Path};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    dashboard::{
        articles, faqs,
        frame::{
            form::Form,
            org_context::{OrgContext, Shell},
            page::{form_page, html},
            path::RowOrNewOf,
        },
        help::entry::Entry,
    },
    db::OrgTx,
    domain::{
        markdown,
        permissions::Permission,
        problem::{Code, Problem},
    },
    store::{
        self,
        order::List,
        paging::PageRequest,
        publishing::{Filter, Status},
        sites::Site,
    },
};

/// Entries of a list.
const PAGE: u32 = 100;

/// Which of the two lists, as paths have it.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Articles,
    Faqs,
}

/// What a path names.
type Target = Path<RowOrNewOf<Kind>>;

impl Kind {
    fn path(self) -> &'static str {
        if self.is_faqs() { "faqs" } else { "articles" }
    }

    fn is_faqs(self) -> bool {
        self == Self::Faqs
    }

    async fn page(
        self,
        tx: &mut OrgTx,
        page_request: PageRequest<'_>,
        filter: &Filter<'_>,
    ) -> Result<(Vec<Entry>, Option<String>), Problem> {
        match self {
            Self::Articles => {
                let (rows, next) = store::articles::agent::page(tx, page_request, filter).await?;
                Ok((rows.into_iter().map(Entry::from).collect(), next))
            }
            Self::Faqs => {
                let (rows, next) = store::faqs::agent::page(tx, page_request, filter).await?;
                Ok((rows.into_iter().map(Entry::from).collect(), next))
            }
        }
    }

    async fn by_id(self, tx: &mut OrgTx, id: Uuid) -> Result<Entry, Problem> {
        match self {
            Self::Articles => store::articles::agent::by_id(tx, id).await.map(Entry::from),
            Self::Faqs => store::faqs::agent::by_id(tx, id).await.map(Entry::from),
        }
    }

    async fn save(self, tx: &mut OrgTx, id: Option<Uuid>, form: &Form) -> Result<Uuid, Problem> {
        match self {
            Self::Articles => articles::save(tx, id, form).await,
            Self::Faqs => faqs::save(tx, id, form).await,
        }
    }

    async fn set_status(self, tx: &mut OrgTx, id: Uuid, status: Status) -> Result<(), Problem> {
        match self {
            Self::Articles => articles::set_status(tx, id, status).await,
            Self::Faqs => faqs::set_status(tx, id, status).await,
        }
    }

    async fn delete(self, tx: &mut OrgTx, id: Uuid) -> Result<(), Problem> {
        match self {
            Self::Articles => store::articles::agent::delete(tx, id).await,
            Self::Faqs => store::faqs::agent::delete(tx, id).await,
        }
    }
}

#[derive(askama::Template)]
#[template(path = "help/list.html")]
struct ListPage<'a> {
    shell: Shell,
    kind: Kind,
    entries: Vec<Entry>,
    next: Option<String>,
    query: &'a Form,
}

impl ListPage<'_> {
    /// Whether the page shows the order, for somebody who may change it.
    fn orders(&self) -> bool {
        self.kind.is_faqs() && self.query.filled("q").is_none() && self.shell.may(Permission::ArticleWrite)
    }
}

#[handler]
pub async fn list(context: OrgContext) -> Result<Response, Problem> {
    let query = &context.query;
    let kind = if query.get("kind") == "faqs" { Kind::Faqs } else { Kind::Articles };
    let filter = Filter { search: query.filled("q"), ..Filter::default() };
    let page_request = PageRequest { limit: PAGE, cursor: query.filled("cursor") };
    let (shell, (entries, next)) =
        context.read(Permission::ArticleRead, async |tx| kind.page(tx, page_request, &filter).await).await?;
    let next = next.map(|next| query.next_page(&["kind", "q"], &next));
    html(&ListPage { shell, kind, entries, next, query })
}

#[derive(askama::Template)]
#[template(path = "help/edit.html")]
struct EditPage<'a> {
    shell: Shell,
    kind: Kind,
    /// `None` for a new one.
    entry: Option<Entry>,
    sites: Vec<Site>,
    form: &'a Form,
    /// Rendered and sanitised.
    preview: String,
    /// What the form changes: as it was read, or by who was told that another changed it, as it is now.
    version: String,
    /// What stands in the form is not saved.
    unsaved: bool,
}

#[handler]
pub async fn show(context: OrgContext, Path(RowOrNewOf { kind, id }): Target) -> Result<Response, Problem> {
    show_with(&context, kind, id, &Form::default()).await
}

async fn show_with(context: &OrgContext, kind: Kind, id: Option<Uuid>, form: &Form) -> Result<Response, Problem> {
    let permission = if id.is_some() { Permission::ArticleRead } else { Permission::ArticleWrite };
    let (shell, (entry, sites)) = context
        .read(permission, async |tx| {
            let entry = match id {
                Some(id) => Some(kind.by_id(tx, id).await?),
                None => None,
            };
            Ok((entry, store::sites::list(tx).await?))
        })
        .await?;
    let saved = entry.as_ref().map_or_else(Form::default, |entry| {
        Form::of(&[("title", entry.title.clone()), ("slug", entry.slug.clone()), ("body", entry.body.clone())])
    });
    let shown = form.with_defaults(saved);
    let rendered = markdown::render(shown.get("body"));
    let version = match form.filled("version") {
        Some(sent) if form.code != Some(Code::EditConflict) => sent.to_owned(),
        _ => entry.as_ref().map(Entry::version).unwrap_or_default(),
    };
    let unsaved = form.filled("action").is_some();
    form_page(&EditPage { shell, kind, entry, sites, form: &shown, preview: rendered, version, unsaved }, form)
}

/// What the editor's text will look like: the fragment alone.
#[handler]
pub async fn preview(context: OrgContext) -> Result<Response, Problem> {
    context.require(Permission::ArticleRead).await?;
    let body = markdown::render(context.form.get("body"));
    Ok(Response::builder().content_type("text/html; charset=utf-8").body(body))
}

#[handler]
pub async fn update(context: OrgContext, Path(RowOrNewOf { kind, id }): Target) -> Result<Response, Problem> {
    let permission = match context.form.get("action") {
        "preview" => return show_with(&context, kind, id, &context.form).await,
        "publish" | "unpublish" | "archive" => Permission::ArticlePublish,
        _ => Permission::ArticleWrite,
    };
    let path = kind.path();
    match context.write(permission, async |tx| apply(tx, kind, id, &context.form).await).await {
        Ok((done @ ("deleted" | "moved"), _)) => Ok(context.redirect(&format!("help?kind={path}&done={done}"))),
        Ok((done, id)) => Ok(context.redirect(&format!("help/{path}/{id}?done={done}"))),
        Err(problem) => show_with(&context, kind, id, &context.form.with_problem(problem)?).await,
    }
}

async fn apply(tx: &mut OrgTx, kind: Kind, id: Option<Uuid>, form: &Form) -> Result<(&'static str, Uuid), Problem> {
    let action = form.get("action");
    let id = match (action, id) {
        ("save" | "publish", id) => kind.save(tx, id, form).await?,
        (_, Some(id)) => id,
        (_, None) => return Err(Problem::not_found()),
    };
    let done = match action {
        "save" => "saved",
        "publish" => {
            kind.set_status(tx, id, Status::Published).await?;
            "published"
        }
        "unpublish" => {
            kind.set_status(tx, id, Status::Draft).await?;
            "unpublished"
        }
        "archive" => {
            kind.set_status(tx, id, Status::Archived).await?;
            "archived"
        }
        "up" | "down" | "move" if kind.is_faqs() => {
            store::order::reorder(tx, List::Faqs, id, form.reorder()?).await?;
            "moved"
        }
        "delete" => {
            form.confirmed()?;
            kind.delete(tx, id).await?;
            "deleted"
        }
        _ => return Err(Form::unknown_action()),
    };
    Ok((done, id))
}
