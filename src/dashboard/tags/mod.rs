//! Tags: the list, and one to change. How one gets onto a ticket is the tickets' page's.

use poem::{Response, handler, web::Path};
use uuid::Uuid;

use crate::{
    dashboard::frame::{
        form::Form,
        org_context::{OrgContext, Shell},
        page::form_page,
        path::Row,
    },
    db::OrgTx,
    domain::{
        permissions::Permission,
        problem::Problem,
        text::{Checked, TagName},
    },
    store::{
        self,
        paging::PageRequest,
        tags::{Change, Colour, Tag},
    },
};

/// Tags of a page.
const PAGE: u32 = 100;
const READ: Permission = Permission::TicketRead;
const EDIT: Permission = Permission::TagEdit;

#[derive(askama::Template)]
#[template(path = "tags/tags.html")]
struct TagsPage<'a> {
    shell: Shell,
    tags: Vec<Tag>,
    next: Option<String>,
    form: &'a Form,
}

#[derive(askama::Template)]
#[template(path = "tags/tag.html")]
struct TagPage<'a> {
    shell: Shell,
    tag: Tag,
    form: &'a Form,
}

#[handler]
pub async fn list(context: OrgContext) -> Result<Response, Problem> {
    list_with(&context, &Form::default()).await
}

async fn list_with(context: &OrgContext, form: &Form) -> Result<Response, Problem> {
    let page_request = PageRequest { limit: PAGE, cursor: context.query.filled("cursor") };
    let (shell, (tags, next)) = context.read(READ, async |tx| store::tags::page(tx, page_request).await).await?;
    let next = next.map(|next| context.query.next_page(&[], &next));
    form_page(&TagsPage { shell, tags, next, form }, form)
}

#[handler]
pub async fn create(context: OrgContext) -> Result<Response, Problem> {
    let created = context
        .write(EDIT, async |tx| {
            let (name, colour) = name_and_colour(&context.form)?;
            store::tags::create(tx, &name, colour).await.map(drop)
        })
        .await;
    match created {
        Ok(()) => Ok(context.redirect("tags?done=saved")),
        Err(problem) => list_with(&context, &context.form.with_problem(problem)?).await,
    }
}

fn name_and_colour(form: &Form) -> Result<(TagName, Colour), Problem> {
    let mut checked = Checked::default();
    let name = form.take(&mut checked, "name");
    let colour = Colour::parse(form.get("colour"));
    let colour = checked.take("colour", colour.ok_or_else(|| "must be one of these".to_owned()));
    match (name, colour) {
        (Some(name), Some(colour)) => Ok((name, colour)),
        _ => Err(checked.problem()),
    }
}

#[handler]
pub async fn show(context: OrgContext, Path(Row { id }): Path<Row>) -> Result<Response, Problem> {
    show_with(&context, id, &Form::default()).await
}

async fn show_with(context: &OrgContext, id: Uuid, form: &Form) -> Result<Response, Problem> {
    let (shell, tag) = context.read(EDIT, async |tx| store::tags::by_id(tx, id).await).await?;
    let saved = Form::of(&[("name", tag.name.clone()), ("colour", tag.colour.as_str().to_owned())]);
    let shown = form.with_defaults(saved);
    form_page(&TagPage { shell, tag, form: &shown }, form)
}

#[handler]
pub async fn update(context: OrgContext, Path(Row { id }): Path<Row>) -> Result<Response, Problem> {
    match context.write(EDIT, async |tx| apply(tx, id, &context.form).await).await {
        Ok(done) => Ok(context.redirect(&format!("tags?done={done}"))),
        Err(problem) => show_with(&context, id, &context.form.with_problem(problem)?).await,
    }
}

async fn apply(tx: &mut OrgTx, id: Uuid, form: &Form) -> Result<&'static str, Problem> {
    match form.get("action") {
        "save" => {
            let (name, colour) = name_and_colour(form)?;
            let change = Change { name: Some(&name), colour: Some(colour) };
            store::tags::change(tx, id, &change).await.map(|_| "saved")
        }
        "delete" => {
            form.confirmed()?;
            store::tags::delete(tx, id).await.map(|()| "deleted")
        }
        _ => Err(Form::unknown_action()),
    }
}
