//! Saved replies: the list, and one to change. How one gets into an answer is the inbox's.

use poem::Response;
use uuid::Uuid;

use super::{
    form::Form,
    page_context::{PageContext, Shell, form_page, to},
};
use crate::{
    db::OrgTx,
    domain::{
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
const READ: &str = "reply:read";
const EDIT: &str = "reply:edit";

#[derive(askama::Template)]
#[template(path = "replies.html")]
struct RepliesPage<'a> {
    shell: Shell,
    replies: Vec<Reply>,
    next: Option<String>,
    form: &'a Form,
}

#[derive(askama::Template)]
#[template(path = "reply.html")]
struct ReplyPage<'a> {
    shell: Shell,
    reply: Reply,
    form: &'a Form,
}

pub async fn list(context: &PageContext, org: &str) -> Result<Response, Problem> {
    list_with(context, org, &Form::default()).await
}

async fn list_with(context: &PageContext, org: &str, form: &Form) -> Result<Response, Problem> {
    let page_request = PageRequest { limit: PAGE, cursor: context.query.some("cursor") };
    let (shell, (replies, next)) =
        context.see(org, READ, async |tx| store::saved_replies::page(tx, page_request).await).await?;
    let next = next.map(|next| context.query.more(&[], &next));
    form_page(&RepliesPage { shell, replies, next, form }, form)
}

pub async fn create(context: &PageContext, org: &str) -> Result<Response, Problem> {
    let made = context
        .act(org, EDIT, async |tx| {
            let (name, body) = read(&context.form)?;
            store::saved_replies::create(tx, &name, &body).await.map(drop)
        })
        .await;
    match made {
        Ok(()) => Ok(to(&format!("/dashboard/{org}/replies?done=saved"))),
        Err(problem) => list_with(context, org, &context.form.again(problem)?).await,
    }
}

fn read(form: &Form) -> Result<(SavedReplyName, MessageBody), Problem> {
    let mut checked = Checked::default();
    let name = form.take(&mut checked, "name");
    let body = form.take(&mut checked, "body");
    match (name, body) {
        (Some(name), Some(body)) => Ok((name, body)),
        _ => Err(checked.problem()),
    }
}

pub async fn show(context: &PageContext, org: &str, id: &str) -> Result<Response, Problem> {
    show_with(context, org, id, &Form::default()).await
}

async fn show_with(context: &PageContext, org: &str, id: &str, form: &Form) -> Result<Response, Problem> {
    let id: Uuid = id.parse().map_err(|_| Problem::not_found())?;
    let (shell, reply) = context.see(org, READ, async |tx| store::saved_replies::by_id(tx, id).await).await?;
    let shown = form.over(Form::of(&[("name", reply.name.clone()), ("body", reply.body.clone())]));
    form_page(&ReplyPage { shell, reply, form: &shown }, form)
}

pub async fn change(context: &PageContext, org: &str, id: &str) -> Result<Response, Problem> {
    let reply: Uuid = id.parse().map_err(|_| Problem::not_found())?;
    match context.act(org, EDIT, async |tx| apply(tx, reply, &context.form).await).await {
        Ok(done) => Ok(to(&format!("/dashboard/{org}/replies?done={done}"))),
        Err(problem) => show_with(context, org, id, &context.form.again(problem)?).await,
    }
}

async fn apply(tx: &mut OrgTx, id: Uuid, form: &Form) -> Result<&'static str, Problem> {
    match form.get("action") {
        "save" => {
            let (name, body) = read(form)?;
            let change = Change { name: Some(&name), body: Some(&body) };
            store::saved_replies::change(tx, id, &change).await.map(|_| "saved")
        }
        "delete" if form.get("sure") == "yes" => store::saved_replies::delete(tx, id).await.map(|()| "deleted"),
        "delete" => Err(Problem::invalid_field("sure", "Tick the box to say that you mean it")),
        _ => Err(Problem::invalid_field("action", "is none that this page has")),
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
