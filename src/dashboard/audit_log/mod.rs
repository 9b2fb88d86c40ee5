//! The audit log: who changed what.

use poem::{Response, handler};

use crate::{
    dashboard::frame::{
        form::Form,
        org_context::{OrgContext, Shell},
        page::html,
    },
    domain::{permissions::Permission, problem::Problem},
    store::{
        self,
        audit_log::{Entry, Filter},
        paging::PageRequest,
    },
};

/// Entries of a page.
const PAGE: u32 = 50;

#[derive(askama::Template)]
#[template(path = "audit_log/audit_log.html")]
struct AuditLogPage<'a> {
    shell: Shell,
    entries: Vec<Entry>,
    next: Option<String>,
    query: &'a Form,
}

#[handler]
pub async fn list(context: OrgContext) -> Result<Response, Problem> {
    let query = &context.query;
    let filter = Filter { object_kind: query.filled("kind"), actor: query.filled("actor") };
    let page_request = PageRequest { limit: PAGE, cursor: query.filled("cursor") };
    let (shell, (entries, next)) =
        context.read(Permission::AuditRead, async |tx| store::audit_log::page(tx, page_request, &filter).await).await?;
    let next = next.map(|next| query.next_page(&["actor", "kind"], &next));
    html(&AuditLogPage { shell, entries, next, query })
}
