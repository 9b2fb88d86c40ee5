//! What whoever looks is told by mail in this org.

use poem::{Response, handler};

use crate::{
    dashboard::frame::{
        form::Form,
        org_context::{MEMBER, OrgContext, Shell},
        page::html,
    },
    domain::problem::Problem,
    store::mails::{self, Notifications},
};

#[derive(askama::Template)]
#[template(path = "notifications/notifications.html")]
struct NotificationsPage {
    shell: Shell,
    chosen: Notifications,
}

#[handler]
pub async fn show(context: OrgContext) -> Result<Response, Problem> {
    let (shell, chosen) = context.read(MEMBER, mails::notifications).await?;
    html(&NotificationsPage { shell, chosen })
}

#[handler]
pub async fn update(context: OrgContext) -> Result<Response, Problem> {
    let form: &Form = &context.form;
    let ticked = |name| Some(form.holds(name, "yes"));
    let (assigned, customer_answered) = (ticked("assigned"), ticked("customer_answered"));
    context.write(MEMBER, async |tx| mails::choose_notifications(tx, assigned, customer_answered).await).await?;
    Ok(context.redirect("notifications?done=saved"))
}
