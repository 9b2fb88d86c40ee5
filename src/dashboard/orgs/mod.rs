//! The way from `/dashboard` to an org.

use poem::{Response, handler};

use crate::{
    dashboard::frame::{
        page::{html, redirect},
        page_context::PageContext,
    },
    db::Access,
    domain::problem::Problem,
    store::{self, members::Membership, paging::PageRequest},
};

#[derive(askama::Template)]
#[template(path = "orgs/orgs.html")]
struct OrgsPage {
    orgs: Vec<Membership>,
}

/// To the org of whoever has one, else a choice.
#[handler]
pub async fn home(context: &PageContext) -> Result<Response, Problem> {
    let mut tx = context.caller(None)?.enter(&context.app, Access::Read, &mut Vec::new()).await?;
    let orgs = store::members::memberships(&mut tx, PageRequest { limit: 100, cursor: None }).await;
    let (orgs, _) = tx.finish(orgs).await?;
    match orgs.as_slice() {
        [org] => Ok(redirect(&format!("/dashboard/{}", org.slug))),
        _ => html(&OrgsPage { orgs }),
    }
}
