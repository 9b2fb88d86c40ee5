//! The audit log: who changed what.

mod words;

use poem::{Response, handler};

use crate::{
    dashboard::frame::{
        form::Form,
        org_context::{OrgContext, Shell},
        page::html,
    },
    db::OrgTx,
    domain::{permissions::Permission, problem::Problem},
    store::{self, audit_log::Filter, paging::PageRequest},
};

use words::Line;

/// Entries of a page.
const PAGE: u32 = 50;

#[derive(askama::Template)]
#[template(path = "audit_log/audit_log.html")]
struct AuditLogPage<'a> {
    shell: Shell,
    lines: Vec<Line>,
    next: Option<String>,
    query: &'a Form,
}

#[handler]
pub async fn list(context: OrgContext) -> Result<Response, Problem> {
    let query = &context.query;
    let filter = Filter { object_kind: query.filled("kind"), actor: query.filled("actor") };
    let page_request = PageRequest { limit: PAGE, cursor: query.filled("cursor") };
    let work = async |tx: &mut OrgTx| {
        let (entries, next) = store::audit_log::page(tx, page_request, &filter).await?;
        let names = store::audit_log::names(tx, &words::ids(&entries)).await?;
        Ok((entries, next, names))
    };
    let (shell, (entries, next, names)) = context.read(Permission::AuditRead, work).await?;
    let lines = entries.into_iter().map(|entry| Line::new(entry, &names)).collect();
    let next = next.map(|next| query.next_page(&["actor", "kind"], &next));
    html(&AuditLogPage { shell, lines, next, query })
}
