//! Members, invitations, and the audit log.

use poem::Response;
use uuid::Uuid;

use super::{
    form::Form,
    visit::{Shell, Visit, form_page, html, to},
};
use crate::{
    api::text::{Checked, EmailAddress},
    db::OrgTx,
    problem::Problem,
    store::{
        self,
        audit_log::{Entry, Filter},
        cursor::Span,
        members::{Invitation, Member, Role},
    },
};

const ALL: Span<'static> = Span { limit: 100, cursor: None };
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

pub async fn list(visit: &Visit, org: &str) -> Result<Response, Problem> {
    list_with(visit, org, &Form::default(), None).await
}

async fn list_with(visit: &Visit, org: &str, form: &Form, link: Option<String>) -> Result<Response, Problem> {
    let (shell, (members, invitations)) = visit
        .see(org, "member", async |tx| {
            let (members, _) = store::members::page(tx, ALL).await?;
            // Who may not invite reads none, as the policies have it.
            let (invitations, _) = store::members::invitations(tx, ALL).await?;
            Ok((members, invitations))
        })
        .await?;
    form_page(&MembersPage { shell, members, invitations, form, link }, form)
}

pub async fn change(visit: &Visit, org: &str) -> Result<Response, Problem> {
    let permission = match visit.form.get("action") {
        "invite" | "uninvite" => "member:invite",
        _ => "member:role_set",
    };
    match visit.act(org, permission, async |tx| apply(tx, visit).await).await {
        Ok(Some(link)) => list_with(visit, org, &Form::default(), Some(link)).await,
        Ok(None) => Ok(to(&format!("/dashboard/{org}/members?done=saved"))),
        Err(problem) => list_with(visit, org, &visit.form.again(problem)?, None).await,
    }
}

/// The link of an invitation, when one was made.
async fn apply(tx: &mut OrgTx, visit: &Visit) -> Result<Option<String>, Problem> {
    let form = &visit.form;
    let id = || form.get("id").parse::<Uuid>().map_err(|_| Problem::not_found());
    match form.get("action") {
        "invite" => {
            let mut checked = Checked::default();
            let Some(EmailAddress(email)) = form.take::<EmailAddress>(&mut checked, "email") else {
                return Err(checked.problem());
            };
            let (_, token) = store::members::invite(tx, &email, role(form)?).await?;
            Ok(Some(store::members::link(&visit.public_url, &token)))
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

pub async fn audit(visit: &Visit, org: &str) -> Result<Response, Problem> {
    let filter = Filter { object_kind: visit.query.some("kind"), actor: visit.query.some("actor") };
    let span = Span { limit: PAGE, cursor: visit.query.some("cursor") };
    let (shell, (entries, next)) =
        visit.see(org, "audit:read", async |tx| store::audit_log::page(tx, span, &filter).await).await?;
    let next = next.map(|next| visit.query.more(&["actor", "kind"], &next));
    html(&AuditPage { shell, entries, next, query: &visit.query })
}
