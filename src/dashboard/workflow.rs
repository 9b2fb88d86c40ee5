//! Statuses and priorities: how the org calls them, in which order, and which are the defaults.

use poem::Response;
use uuid::Uuid;

use super::{
    form::Form,
    page_context::{PageContext, Shell, form_page, html, to},
};
use crate::{
    db::OrgTx,
    domain::{
        problem::Problem,
        text::{Checked, StatusName},
    },
    store::{
        self,
        order::List,
        paging::PageRequest,
        priorities::Priority,
        statuses::{Category, Change, Status},
    },
};

const PAGE: u32 = 100;

/// What each category means, as its choice says.
const CATEGORIES: [(Category, &str, &str); 5] = [
    (Category::Open, "open", "waiting for an agent"),
    (Category::Pending, "pending", "waiting for the customer"),
    (Category::Resolved, "resolved", "solved; a reply opens it again"),
    (Category::Closed, "closed", "over; takes no replies"),
    (Category::Custom, "custom", "your own; customers are told that it is open"),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Status,
    Priority,
}

impl Kind {
    fn read(segment: &str) -> Result<Self, Problem> {
        match segment {
            "statuses" => Ok(Self::Status),
            "priorities" => Ok(Self::Priority),
            _ => Err(Problem::not_found()),
        }
    }

    fn is_status(self) -> bool {
        self == Self::Status
    }

    fn path(self) -> &'static str {
        if self.is_status() { "statuses" } else { "priorities" }
    }

    fn noun(self) -> &'static str {
        if self.is_status() { "status" } else { "priority" }
    }

    fn may_read(self) -> &'static str {
        if self.is_status() { "status:read" } else { "priority:read" }
    }

    fn may_edit(self) -> &'static str {
        if self.is_status() { "status:edit" } else { "priority:edit" }
    }

    fn list(self) -> List {
        if self.is_status() { List::Statuses } else { List::Priorities }
    }
}

/// One of either.
struct Entry {
    id: Uuid,
    name: String,
    /// Of a status.
    category: Option<Category>,
    is_default: bool,
}

impl From<Status> for Entry {
    fn from(row: Status) -> Self {
        Self { id: row.id, name: row.name, category: Some(row.category), is_default: row.is_default }
    }
}

impl From<Priority> for Entry {
    fn from(row: Priority) -> Self {
        Self { id: row.id, name: row.name, category: None, is_default: row.is_default }
    }
}

impl Entry {
    fn category(&self) -> &'static str {
        CATEGORIES.iter().find(|(category, ..)| Some(*category) == self.category).map_or("", |(_, word, _)| word)
    }

    fn means(&self) -> &'static str {
        CATEGORIES.iter().find(|(category, ..)| Some(*category) == self.category).map_or("", |(.., means)| means)
    }
}

#[derive(askama::Template)]
#[template(path = "workflow.html")]
struct WorkflowPage {
    shell: Shell,
    lists: [(Kind, Vec<Entry>, Option<String>); 2],
}

pub async fn list(context: &PageContext, org: &str) -> Result<Response, Problem> {
    let of = |kind: Kind| PageRequest { limit: PAGE, cursor: context.query.some(kind.path()) };
    let (shell, (statuses, priorities)) = context
        .see(org, "status:read", async |tx| {
            let statuses = store::statuses::page(tx, of(Kind::Status)).await?;
            Ok((statuses, store::priorities::page(tx, of(Kind::Priority)).await?))
        })
        .await?;
    let lists = [
        (Kind::Status, statuses.0.into_iter().map(Entry::from).collect(), statuses.1),
        (Kind::Priority, priorities.0.into_iter().map(Entry::from).collect(), priorities.1),
    ];
    html(&WorkflowPage { shell, lists })
}

#[derive(askama::Template)]
#[template(path = "workflow_edit.html")]
struct EditPage<'a> {
    shell: Shell,
    kind: Kind,
    /// `None` for a new one.
    entry: Option<Entry>,
    form: &'a Form,
}

fn read(id: &str) -> Result<Option<Uuid>, Problem> {
    match id {
        "new" => Ok(None),
        id => id.parse().map(Some).map_err(|_| Problem::not_found()),
    }
}

pub async fn edit(context: &PageContext, org: &str, kind: &str, id: &str) -> Result<Response, Problem> {
    edit_with(context, org, Kind::read(kind)?, read(id)?, &Form::default()).await
}

async fn edit_with(
    context: &PageContext,
    org: &str,
    kind: Kind,
    id: Option<Uuid>,
    form: &Form,
) -> Result<Response, Problem> {
    let permission = if id.is_some() { kind.may_read() } else { kind.may_edit() };
    let (shell, entry) = context
        .see(org, permission, async |tx| match (id, kind) {
            (None, _) => Ok(None),
            (Some(id), Kind::Status) => store::statuses::by_id(tx, id).await.map(|row| Some(row.into())),
            (Some(id), Kind::Priority) => store::priorities::by_id(tx, id).await.map(|row| Some(row.into())),
        })
        .await?;
    let kept = entry.as_ref().map_or_else(Form::default, |entry: &Entry| {
        Form::of(&[("name", entry.name.clone()), ("category", entry.category().to_owned())])
    });
    let shown = form.over(kept);
    form_page(&EditPage { shell, kind, entry, form: &shown }, form)
}

pub async fn change(context: &PageContext, org: &str, kind: &str, id: &str) -> Result<Response, Problem> {
    let (kind, id) = (Kind::read(kind)?, read(id)?);
    match context.act(org, kind.may_edit(), async |tx| apply(tx, kind, id, &context.form).await).await {
        Ok(done) => Ok(to(&format!("/dashboard/{org}/workflow?done={done}"))),
        Err(problem) => edit_with(context, org, kind, id, &context.form.again(told(problem))?).await,
    }
}

async fn apply(tx: &mut OrgTx, kind: Kind, id: Option<Uuid>, form: &Form) -> Result<&'static str, Problem> {
    let action = form.get("action");
    let Some(id) = id else {
        return match action {
            "save" => create(tx, kind, form).await.map(|()| "created"),
            _ => Err(Problem::not_found()),
        };
    };
    match action {
        "save" => {
            let (name, category) = typed(kind, form)?;
            write(tx, kind, id, &Change { name: Some(&name), category, ..Change::default() }).await?;
            Ok("saved")
        }
        "default" => {
            write(tx, kind, id, &Change { make_default: true, ..Change::default() }).await?;
            Ok("saved")
        }
        "up" | "down" | "move" => {
            store::order::reorder(tx, kind.list(), id, form.step()?).await?;
            Ok("moved")
        }
        "delete" if form.get("sure") != "yes" => {
            Err(Problem::invalid_field("sure", "Tick the box to say that you mean it"))
        }
        "delete" => {
            match kind {
                Kind::Status => store::statuses::delete(tx, id).await?,
                Kind::Priority => store::priorities::delete(tx, id).await?,
            }
            Ok("deleted")
        }
        _ => Err(Problem::invalid_field("action", "is none that this page has")),
    }
}

async fn create(tx: &mut OrgTx, kind: Kind, form: &Form) -> Result<(), Problem> {
    let (name, category) = typed(kind, form)?;
    match category {
        Some(category) => drop(store::statuses::create(tx, &name, category, None).await?),
        None => drop(store::priorities::create(tx, &name, None).await?),
    }
    Ok(())
}

async fn write(tx: &mut OrgTx, kind: Kind, id: Uuid, change: &Change<'_>) -> Result<(), Problem> {
    match kind {
        Kind::Status => store::statuses::change(tx, id, change).await.map(drop),
        Kind::Priority => {
            let Change { name, position, make_default, .. } = *change;
            store::priorities::change(tx, id, &store::priorities::Change { name, position, make_default })
                .await
                .map(drop)
        }
    }
}

/// The name, and the category of a status.
fn typed(kind: Kind, form: &Form) -> Result<(StatusName, Option<Category>), Problem> {
    let mut checked = Checked::default();
    let name = form.take::<StatusName>(&mut checked, "name");
    let word = form.get("category");
    let category = CATEGORIES.iter().find(|(_, known, _)| *known == word).map(|(category, ..)| *category);
    if kind.is_status() && category.is_none() {
        checked.fault("category", "must be one of these".to_owned());
    }
    match name {
        Some(name) if checked.is_empty() => Ok((name, category.filter(|_| kind.is_status()))),
        _ => Err(checked.problem()),
    }
}

/// What is wrong with the row itself, which no field of the form is.
fn told(mut problem: Problem) -> Problem {
    if let [error] = problem.errors.as_slice()
        && error.field == "id"
    {
        let message = problem.errors.remove(0).message;
        problem.detail = (message[..1].to_uppercase() + &message[1..] + ".").into();
    }
    problem
}
