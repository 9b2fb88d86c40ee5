//! Saved replies: the list, and one to change. How one gets into an answer is the tickets' page's.

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
        text::{Checked, MessageBody, SavedReplyName},
    },
    store::{
        self,
        paging::PageRequest,
        saved_replies::{Change, Reply},
    },
};

/// Saved replies of a page.
const PAGE: u32 = 100;
const READ: Permission = Permission::ReplyRead;
const EDIT: Permission = Permission::ReplyEdit;

#[derive(askama::Template)]
#[template(path = "saved_replies/saved_replies.html")]
struct SavedRepliesPage<'a> {
    shell: Shell,
    replies: Vec<Reply>,
    next: Option<String>,
    form: &'a Form,
}

#[derive(askama::Template)]
#[template(path = "saved_replies/saved_reply.html")]
struct SavedReplyPage<'a> {
    shell: Shell,
    reply: Reply,
    form: &'a Form,
}

#[handler]
pub async fn list(context: OrgContext) -> Result<Response, Problem> {
    list_with(&context, &Form::default()).await
}

async fn list_with(context: &OrgContext, form: &Form) -> Result<Response, Problem> {
    let page_request = PageRequest { limit: PAGE, cursor: context.query.filled("cursor") };
    let (shell, (replies, next)) =
        context.read(READ, async |tx| store::saved_replies::page(tx, page_request).await).await?;
    let next = next.map(|next| context.query.next_page(&[], &next));
    form_page(&SavedRepliesPage { shell, replies, next, form }, form)
}

#[handler]
pub async fn create(context: OrgContext) -> Result<Response, Problem> {
    let created = context
        .write(EDIT, async |tx| {
            let (name, body) = name_and_body(&context.form)?;
            store::saved_replies::create(tx, &name, &body).await.map(drop)
        })
        .await;
    match created {
        Ok(()) => Ok(context.redirect("replies?done=saved")),
        Err(problem) => list_with(&context, &context.form.with_problem(problem)?).await,
    }
}

fn name_and_body(form: &Form) -> Result<(SavedReplyName, MessageBody), Problem> {
    let mut checked = Checked::default();
    let name = form.take(&mut checked, "name");
    let body = form.take(&mut checked, "body");
    match (name, body) {
        (Some(name), Some(body)) => Ok((name, body)),
        _ => Err(checked.problem()),
    }
}

#[handler]
pub async fn show(context: OrgContext, Path(Row { id }): Path<Row>) -> Result<Response, Problem> {
    show_with(&context, id, &Form::default()).await
}

async fn show_with(context: &OrgContext, id: Uuid, form: &Form) -> Result<Response, Problem> {
    let (shell, reply) = context.read(READ, async |tx| store::saved_replies::by_id(tx, id).await).await?;
    let shown = form.with_defaults(Form::of(&[("name", reply.name.clone()), ("body", reply.body.clone())]));
    form_page(&SavedReplyPage { shell, reply, form: &shown }, form)
}

#[handler]
pub async fn update(context: OrgContext, Path(Row { id }): Path<Row>) -> Result<Response, Problem> {
    match context.write(EDIT, async |tx| apply(tx, id, &context.form).await).await {
        Ok(done) => Ok(context.redirect(&format!("replies?done={done}"))),
        Err(problem) => show_with(&context, id, &context.form.with_problem(problem)?).await,
    }
}

async fn apply(tx: &mut OrgTx, id: Uuid, form: &Form) -> Result<&'static str, Problem> {
    match form.get("action") {
        "save" => {
            let (name, body) = name_and_body(form)?;
            let change = Change { name: Some(&name), body: Some(&body) };
            store::saved_replies::change(tx, id, &change).await.map(|_| "saved")
        }
        "delete" => {
            form.confirmed()?;
            store::saved_replies::delete(tx, id).await.map(|()| "deleted")
        }
        _ => Err(Form::unknown_action()),
    }
}

/// What the places in a saved reply are filled with.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// `{customer}`
    pub customer: &'a str,
    /// `{ticket}`
    pub ticket: &'a str,
    /// `{agent}`
    pub agent: &'a str,
}

/// A saved reply's text with its places filled in; once, so that no customer's name is taken for a place.
pub fn filled(body: &str, places: Places) -> String {
    let mut text = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        let known = [("{customer}", places.customer), ("{ticket}", places.ticket), ("{agent}", places.agent)]
            .into_iter()
            .find(|(place, _)| from.starts_with(place));
        let (written, length) = known.map_or(("{", 1), |(place, value)| (value, place.len()));
        text.push_str(written);
        rest = &from[length..];
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_in_once() {
        let places = Places { customer: "{agent} Ada", ticket: "APP-7", agent: "Bo" };
        let filled = |body: &str| filled(body, places);
        assert_eq!(filled("Hi {customer},\n{ticket} is done. {agent}"), "Hi {agent} Ada,\nAPP-7 is done. Bo");
        for plain in ["", "{", "{{", "{unknown} {", "ü{ü}"] {
            assert_eq!(filled(plain), plain);
        }
        assert_eq!(filled("{{customer}}"), "{{agent} Ada}");
    }
}
