//! The workflow: how the org calls statuses and priorities, in which order, and which are the defaults.

pub mod entry;

use poem::{Response, handler, web::Path};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    dashboard::{
        frame::{
            form::Form,
            org_context::{OrgContext, Shell},
            page::{form_page, html},
            path::RowOrNewOf,
        },
        priorities, statuses,
        workflow::entry::Entry,
    },
    db::OrgTx,
    domain::{permissions::Permission, problem::Problem},
    store::{self, order::List, orgs::AnswerSettings, paging::PageRequest},
};

const PAGE: u32 = 100;

/// Which of the two lists, as paths have it.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Statuses,
    Priorities,
}

/// What a path names.
type Target = Path<RowOrNewOf<Kind>>;

impl Kind {
    fn is_statuses(self) -> bool {
        self == Self::Statuses
    }

    fn path(self) -> &'static str {
        if self.is_statuses() { "statuses" } else { "priorities" }
    }

    fn noun(self) -> &'static str {
        if self.is_statuses() { "status" } else { "priority" }
    }

    fn may_read(self) -> Permission {
        if self.is_statuses() { Permission::StatusRead } else { Permission::PriorityRead }
    }

    fn may_edit(self) -> Permission {
        if self.is_statuses() { Permission::StatusEdit } else { Permission::PriorityEdit }
    }

    fn list(self) -> List {
        if self.is_statuses() { List::Statuses } else { List::Priorities }
    }

    async fn by_id(self, tx: &mut OrgTx, id: Uuid) -> Result<Entry, Problem> {
        match self {
            Self::Statuses => store::statuses::by_id(tx, id).await.map(Entry::from),
            Self::Priorities => store::priorities::by_id(tx, id).await.map(Entry::from),
        }
    }

    async fn save(self, tx: &mut OrgTx, id: Option<Uuid>, form: &Form) -> Result<(), Problem> {
        match self {
            Self::Statuses => statuses::save(tx, id, form).await,
            Self::Priorities => priorities::save(tx, id, form).await,
        }
    }

    async fn make_default(self, tx: &mut OrgTx, id: Uuid) -> Result<(), Problem> {
        match self {
            Self::Statuses => {
                let change = store::statuses::Change { make_default: true, ..Default::default() };
                store::statuses::change(tx, id, &change).await.map(drop)
            }
            Self::Priorities => {
                let change = store::priorities::Change { make_default: true, ..Default::default() };
                store::priorities::change(tx, id, &change).await.map(drop)
            }
        }
    }

    async fn delete(self, tx: &mut OrgTx, id: Uuid) -> Result<(), Problem> {
        match self {
            Self::Statuses => store::statuses::delete(tx, id).await,
            Self::Priorities => store::priorities::delete(tx, id).await,
        }
    }
}

#[derive(askama::Template)]
#[template(path = "workflow/list.html")]
struct ListPage {
    shell: Shell,
    lists: [(Kind, Vec<Entry>, Option<String>); 2],
    answers: AnswerSettings,
}

#[handler]
pub async fn list(context: OrgContext) -> Result<Response, Problem> {
    let of = |kind: Kind| PageRequest { limit: PAGE, cursor: context.query.filled(kind.path()) };
    let (shell, (statuses, priorities, answers)) = context
        .read(Permission::StatusRead, async |tx| {
            let statuses = store::statuses::page(tx, of(Kind::Statuses)).await?;
            let priorities = store::priorities::page(tx, of(Kind::Priorities)).await?;
            Ok((statuses, priorities, store::orgs::answer_settings(tx).await?))
        })
        .await?;
    let lists = [
        (Kind::Statuses, statuses.0.into_iter().map(Entry::from).collect(), statuses.1),
        (Kind::Priorities, priorities.0.into_iter().map(Entry::from).collect(), priorities.1),
    ];
    html(&ListPage { shell, lists, answers })
}

/// Says what follows an answer.
#[handler]
pub async fn set_answers(context: OrgContext) -> Result<Response, Problem> {
    let ticked = |name| Some(context.form.holds(name, "yes"));
    let (pending, assigns) = (ticked("sets_pending"), ticked("assigns"));
    context.write(Permission::OrgEdit, async |tx| store::orgs::set_answer_settings(tx, pending, assigns).await).await?;
    Ok(context.redirect("workflow?done=saved"))
}

#[derive(askama::Template)]
#[template(path = "workflow/edit.html")]
struct EditPage<'a> {
    shell: Shell,
    kind: Kind,
    /// `None` for a new one.
    entry: Option<Entry>,
    form: &'a Form,
}

#[handler]
pub async fn show(context: OrgContext, Path(RowOrNewOf { kind, id }): Target) -> Result<Response, Problem> {
    show_with(&context, kind, id, &Form::default()).await
}

async fn show_with(context: &OrgContext, kind: Kind, id: Option<Uuid>, form: &Form) -> Result<Response, Problem> {
    let permission = if id.is_some() { kind.may_read() } else { kind.may_edit() };
    let (shell, entry) = context
        .read(permission, async |tx| match id {
            None => Ok(None),
            Some(id) => kind.by_id(tx, id).await.map(Some),
        })
        .await?;
    let saved = entry.as_ref().map_or_else(Form::default, |entry| {
        Form::of(&[("name", entry.name.clone()), ("category", entry.category().to_owned())])
    });
    let shown = form.with_defaults(saved);
    form_page(&EditPage { shell, kind, entry, form: &shown }, form)
}

#[handler]
pub async fn update(context: OrgContext, Path(RowOrNewOf { kind, id }): Target) -> Result<Response, Problem> {
    match context.write(kind.may_edit(), async |tx| apply(tx, kind, id, &context.form).await).await {
        Ok(done) => Ok(context.redirect(&format!("workflow?done={done}"))),
        Err(problem) => show_with(&context, kind, id, &context.form.with_problem(problem)?).await,
    }
}

async fn apply(tx: &mut OrgTx, kind: Kind, id: Option<Uuid>, form: &Form) -> Result<&'static str, Problem> {
    match (form.get("action"), id) {
        ("save", id) => {
            kind.save(tx, id, form).await?;
            Ok(if id.is_some() { "saved" } else { "created" })
        }
        (_, None) => Err(Problem::not_found()),
        ("default", Some(id)) => kind.make_default(tx, id).await.map(|()| "saved"),
        ("up" | "down" | "move", Some(id)) => {
            store::order::reorder(tx, kind.list(), id, form.reorder()?).await?;
            Ok("moved")
        }
        ("delete", Some(id)) => {
            form.confirmed()?;
            kind.delete(tx, id).await.map(|()| "deleted")
        }
        _ => Err(Form::unknown_action()),
    }
}
