//! Members, invitations, and the audit log.

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
        text::{Checked, EmailAddress},
    },
    store::{
        self,
        audit_log::{Entry, Filter},
        members::{Invitation, Member, Role},
        paging::PageRequest,
    },
};

const ALL: PageRequest<'static> = PageRequest { limit: 100, cursor: None };
/// Entries of a page of the audit log.
const PAGE: u32 = 50;

#[derive(askama::Template)]
#[template(path = "members.html")]
struct MembersPage<'a> {
    shell: Shell,
    members: Vec<Member>,
    invitations: Vec<Invitation>,
    form: &'a Form,
    /// The link of the invitation that was just made, shown once.
    link: Option<String>,
}

pub async fn list(context: &PageContext, org: &str) -> Result<Response, Problem> {
    list_with(context, org, &Form::default(), None).await
}

async fn list_with(context: &PageContext, org: &str, form: &Form, link: Option<String>) -> Result<Response, Problem> {
    let (shell, (members, invitations)) = context
        .see(org, "member", async |tx| {
            let (members, _) = store::members::page(tx, ALL).await?;
            // Who may not invite reads none, as the policies have it.
            let (invitations, _) = store::members::invitations(tx, ALL).await?;
            Ok((members, invitations))
        })
        .await?;
    form_page(&MembersPage { shell, members, invitations, form, link }, form)
}

pub async fn change(context: &PageContext, org: &str) -> Result<Response, Problem> {
    let permission = match context.form.get("action") {
        "invite" | "uninvite" => "member:invite",
        _ => "member:role_set",
    };
    match context.act(org, permission, async |tx| apply(tx, context).await).await {
        Ok(Some(link)) => list_with(context, org, &Form::default(), Some(link)).await,
        Ok(None) => Ok(to(&format!("/dashboard/{org}/members?done=saved"))),
        Err(problem) => list_with(context, org, &context.form.again(problem)?, None).await,
    }
}

/// The link of an invitation, when one was made.
async fn apply(tx: &mut OrgTx, context: &PageContext) -> Result<Option<String>, Problem> {
    let form = &context.form;
    let id = || form.get("id").parse::<Uuid>().map_err(|_| Problem::not_found());
    match form.get("action") {
        "invite" => {
            let mut checked = Checked::default();
            let Some(email) = form.take::<EmailAddress>(&mut checked, "email") else {
                return Err(checked.problem());
            };
            let (_, token) = store::members::invite(tx, &email, role(form)?).await?;
            Ok(Some(store::members::link(&context.public_url, &token)))
        }
        "uninvite" => store::members::revoke_invitations(tx, Some(id()?)).await.map(|()| None),
        "role" => store::members::set_role(tx, id()?, role(form)?).await.map(|()| None),
        "remove" if form.get("sure") == "yes" => store::members::remove(tx, id()?).await.map(|()| None),
        "remove" => Err(Problem::invalid_field("sure", "Tick the box to say that you mean it")),
        _ => Err(Problem::invalid_field("action", "is none that this page has")),
    }
}

fn role(form: &Form) -> Result<Role, Problem> {
    match form.get("role") {
        "owner" => Ok(Role::Owner),
        "admin" => Ok(Role::Admin),
        "agent" => Ok(Role::Agent),
        "viewer" => Ok(Role::Viewer),
        _ => Err(Problem::invalid_field("role", "must be owner, admin, agent or viewer")),
    }
}

/// A role's name.
fn name(role: &Role) -> &'static str {
    match role {
        Role::Owner => "owner",
        Role::Admin => "admin",
        Role::Agent => "agent",
        Role::Viewer => "viewer",
    }
}

#[derive(askama::Template)]
#[template(path = "audit.html")]
struct AuditPage<'a> {
    shell: Shell,
    entries: Vec<Entry>,
    next: Option<String>,
    query: &'a Form,
}

pub async fn audit(context: &PageContext, org: &str) -> Result<Response, Problem> {
    let filter = Filter { object_kind: context.query.some("kind"), actor: context.query.some("actor") };
    let page_request = PageRequest { limit: PAGE, cursor: context.query.some("cursor") };
    let (shell, (entries, next)) =
        context.see(org, "audit:read", async |tx| store::audit_log::page(tx, page_request, &filter).await).await?;
    let next = next.map(|next| context.query.more(&["actor", "kind"], &next));
    html(&AuditPage { shell, entries, next, query: &context.query })
}
