//! Invitations, as the page of members has them.

use crate::{
    dashboard::frame::form::Form,
    db::OrgTx,
    domain::{problem::Problem, text::EmailAddress},
    store::{self, members::Role},
};

/// Invites somebody; the link to send to them.
///
/// # Errors
/// `400 invalid_request`, and those of the store.
pub async fn create(tx: &mut OrgTx, form: &Form, role: Role, public_url: &str) -> Result<String, Problem> {
    let email = form.take_one::<EmailAddress>("email")?;
    let (_, token) = store::members::invite(tx, &email, role).await?;
    Ok(store::members::link(public_url, &token))
}

/// # Errors
/// `404 not_found`.
pub async fn revoke(tx: &mut OrgTx, form: &Form) -> Result<(), Problem> {
    store::members::revoke_invitations(tx, Some(form.id("id")?)).await
}
