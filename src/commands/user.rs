//! `vicket user`.

use super::{checked, operator, said, when};
use crate::{
    cli::{AdminArgs, RoleName, UserCommand},
    db::OrgTx,
    domain::keys::InvitationToken,
    passwords,
    store::{
        self,
        members::{self, Role},
    },
};

/// # Errors
/// Those of the command, in words.
pub async fn run(admin: &AdminArgs, command: UserCommand) -> anyhow::Result<()> {
    let operator = operator(admin).await?;
    match command {
        UserCommand::Invite { org, email, role, public_url } => {
            let email = checked("email", &email)?;
            let mut tx = operator.enter(&org).await.map_err(said)?;
            let (invitation, token) = members::invite(&mut tx, &email, role.into()).await.map_err(said)?;
            tx.commit().await.map_err(said)?;
            println!("{}", members::link(public_url.as_deref().unwrap_or("http://localhost:8080"), &token));
            eprintln!("Shown once: send it to {}. It is good until {}.", invitation.email, when(invitation.expires_at));
        }
        UserCommand::List => {
            let mut tx = operator.begin().await.map_err(said)?;
            for user in store::orgs::users(&mut tx).await.map_err(said)? {
                println!("{}\t{}\t{}\t{}", user.email, user.name, when(user.created_at), user.orgs);
            }
        }
        UserCommand::SetRole { org, email, role } => {
            let mut tx = operator.enter(&org).await.map_err(said)?;
            let id = member(&mut tx, &email).await?;
            members::set_role(&mut tx, id, role.into()).await.map_err(said)?;
            tx.commit().await.map_err(said)?;
            eprintln!("Acts on the next request of {email}.");
        }
        UserCommand::Remove { org, email } => {
            let mut tx = operator.enter(&org).await.map_err(said)?;
            let id = member(&mut tx, &email).await?;
            members::remove(&mut tx, id).await.map_err(said)?;
            tx.commit().await.map_err(said)?;
            eprintln!("{email} works no longer for `{org}`; their machine keys of it are dead.");
        }
        UserCommand::ResetPassword { email } => {
            // As unguessable as an invitation, and made the same way.
            let fresh = InvitationToken::mint();
            let (_, fresh) = fresh.reveal().split_at(3);
            let mut tx = operator.begin().await.map_err(said)?;
            let known = store::orgs::set_password(&mut tx, &email, &passwords::hash(fresh)).await.map_err(said)?;
            anyhow::ensure!(known, "there is no user {email}");
            tx.commit().await.map_err(said)?;
            println!("{fresh}");
            eprintln!("Shown once. {email} is logged out everywhere.");
        }
    }
    Ok(())
}

async fn member(tx: &mut OrgTx, email: &str) -> anyhow::Result<uuid::Uuid> {
    let found = members::by_email(tx, email).await.map_err(said)?;
    found.map(|member| member.id).ok_or_else(|| anyhow::anyhow!("{email} is no member of this org [not_found]"))
}

impl From<RoleName> for Role {
    fn from(role: RoleName) -> Self {
        match role {
            RoleName::Owner => Self::Owner,
            RoleName::Admin => Self::Admin,
            RoleName::Agent => Self::Agent,
            RoleName::Viewer => Self::Viewer,
        }
    }
}
