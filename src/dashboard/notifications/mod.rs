//! What whoever looks is told by mail in this org.

use poem::{Response, handler};

use crate::{
    auth::login,
    dashboard::frame::{
        form::Form,
        org_context::{MEMBER, OrgContext, Shell},
        page::html,
    },
    db::OrgTx,
    domain::problem::Problem,
    store::{
        self,
        mails::{self, Notifications},
        members,
    },
};

#[derive(askama::Template)]
#[template(path = "notifications/notifications.html")]
struct NotificationsPage {
    shell: Shell,
    chosen: Notifications,
    /// The address of whoever looks is proven.
    proven: bool,
    /// This server sends mail.
    sends: bool,
}

#[handler]
pub async fn show(context: OrgContext) -> Result<Response, Problem> {
    let work = async |tx: &mut OrgTx| Ok((mails::notifications(tx).await?, !members::is_unproven(tx).await?));
    let (shell, (chosen, proven)) = context.read(MEMBER, work).await?;
    html(&NotificationsPage { shell, chosen, proven, sends: context.app.mail.is_some() })
}

#[handler]
pub async fn update(context: OrgContext) -> Result<Response, Problem> {
    let form: &Form = &context.form;
    if form.get("action") == "prove" {
        let (shell, ()) = context.read(MEMBER, async |_: &mut OrgTx| Ok(())).await?;
        login::limited(&context.app, context.network, &shell.email).await.1?;
        store::users::ask_address_proof(&context.app.agents, context.session()?, context.visitor.language).await?;
        return Ok(context.redirect("notifications?done=linked"));
    }
    let ticked = |name| Some(form.holds(name, "yes"));
    let (assigned, customer_answered) = (ticked("assigned"), ticked("customer_answered"));
    context.write(MEMBER, async |tx| mails::choose_notifications(tx, assigned, customer_answered).await).await?;
    Ok(context.redirect("notifications?done=saved"))
}
