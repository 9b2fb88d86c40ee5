//! The page of members: their roles, and whoever is invited.

use poem::{Response, handler};

use crate::{
    dashboard::{
        frame::{
            form::Form,
            org_context::{MEMBER, OrgContext, Shell},
            page::form_page,
        },
        invitations,
    },
    db::OrgTx,
    domain::{permissions::Permission, problem::Problem},
    store::{
        self,
        mails::DeadLetter,
        members::{Invitation, Member, Role},
        paging::PageRequest,
    },
};

const ALL: PageRequest<'static> = PageRequest { limit: 100, cursor: None };
/// Roles as forms call them, the least first.
const ROLES: [(Role, &str); 4] =
    [(Role::Viewer, "viewer"), (Role::Agent, "agent"), (Role::Admin, "admin"), (Role::Owner, "owner")];

#[derive(askama::Template)]
#[template(path = "members/members.html")]
struct MembersPage<'a> {
    shell: Shell,
    members: Vec<Member>,
    invitations: Vec<Invitation>,
    /// Invitations whose mail was given up.
    dead: Vec<DeadLetter>,
    form: &'a Form,
    /// The link of the invitation that was just made, shown once.
    link: Option<String>,
}

#[handler]
pub async fn list(context: OrgContext) -> Result<Response, Problem> {
    list_with(&context, &Form::default(), None).await
}

async fn list_with(context: &OrgContext, form: &Form, link: Option<String>) -> Result<Response, Problem> {
    let (shell, (members, invitations, dead)) = context
        .read(MEMBER, async |tx| {
            let (members, _) = store::members::page(tx, ALL).await?;
            // Who may not invite reads none, as the policies have it.
            let (invitations, _) = store::members::invitations(tx, ALL).await?;
            let (dead, _) = store::mails::dead_letters(tx, None, ALL).await?;
            Ok((members, invitations, dead))
        })
        .await?;
    form_page(&MembersPage { shell, members, invitations, dead, form, link }, form)
}

#[handler]
pub async fn update(context: OrgContext) -> Result<Response, Problem> {
    let permission = match context.form.get("action") {
        "invite" | "uninvite" => Permission::MemberInvite,
        "retry" => Permission::MailEdit,
        _ => Permission::MemberRoleSet,
    };
    match context.write(permission, async |tx| apply(tx, &context).await).await {
        Ok(Some(link)) => list_with(&context, &Form::default(), Some(link)).await,
        Ok(None) => Ok(context.redirect("members?done=saved")),
        Err(problem) => list_with(&context, &context.form.with_problem(problem)?, None).await,
    }
}

/// The link of an invitation, when one was made.
async fn apply(tx: &mut OrgTx, context: &OrgContext) -> Result<Option<String>, Problem> {
    let form = &context.form;
    match form.get("action") {
        "invite" => return invitations::create(tx, form, role(form)?, &context.public_url).await.map(Some),
        "uninvite" => invitations::revoke(tx, form).await?,
        "role" => store::members::set_role(tx, form.id("id")?, role(form)?).await?,
        "retry" => store::mails::run_again(tx, None, form.id("id")?).await?,
        "remove" => {
            form.confirmed()?;
            store::members::remove(tx, form.id("id")?).await?;
        }
        _ => return Err(Form::unknown_action()),
    }
    Ok(None)
}

fn role(form: &Form) -> Result<Role, Problem> {
    let role = ROLES.iter().find(|(_, name)| *name == form.get("role")).map(|(role, _)| *role);
    role.ok_or_else(|| Problem::invalid_field("role", "must be owner, admin, agent or viewer"))
}

#[allow(clippy::trivially_copy_pass_by_ref)] // a template passes what its loop lends
fn role_name(role: &Role) -> &'static str {
    ROLES.iter().find(|(known, _)| known == role).map_or("", |(_, name)| name)
}
