//! A ticket that an agent makes: for a customer who called, or whom they write to first.

use poem::{Response, handler};
use uuid::Uuid;

use crate::{
    dashboard::{
        frame::{
            form::Form,
            org_context::{OrgContext, Shell},
            page::form_page,
        },
        tickets::list::Choices,
    },
    db::OrgTx,
    domain::{
        keys::Sha256Digest,
        permissions::Permission,
        problem::Problem,
        text::{Checked, EmailAddress, MessageBody, PersonName, Slug, TicketSubject},
    },
    store::{
        self,
        sites::Site,
        tickets::{
            agent::Change,
            opening::{self, NewTicket},
            public::Submission,
        },
    },
};

const WRITE: Permission = Permission::TicketWrite;

#[derive(askama::Template)]
#[template(path = "tickets/opening.html")]
struct OpeningPage<'a> {
    shell: Shell,
    sites: Vec<Site>,
    choices: Choices,
    form: &'a Form,
    /// What makes it safe to send this page a second time.
    key: String,
}

#[handler]
pub async fn show(context: OrgContext) -> Result<Response, Problem> {
    show_with(&context, &Form::default()).await
}

async fn show_with(context: &OrgContext, form: &Form) -> Result<Response, Problem> {
    let (shell, (sites, choices)) =
        context.read(WRITE, async |tx| Ok((store::sites::list(tx).await?, Choices::read(tx).await?))).await?;
    let key = form.filled("key").map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
    form_page(&OpeningPage { shell, sites, choices, form, key }, form)
}

#[handler]
pub async fn create(context: OrgContext) -> Result<Response, Problem> {
    match context.write(WRITE, async |tx| open(tx, &context.form).await).await {
        Ok(id) => Ok(context.redirect(&format!("inbox/{id}?done=created"))),
        Err(problem) => show_with(&context, &context.form.with_problem(problem)?).await,
    }
}

async fn open(tx: &mut OrgTx, form: &Form) -> Result<Uuid, Problem> {
    let mut checked = Checked::default();
    let site: Option<Slug> = form.take(&mut checked, "site");
    let email: Option<EmailAddress> = form.take(&mut checked, "email");
    let name: Option<PersonName> = form.filled("name").and_then(|_| form.take(&mut checked, "name"));
    let subject: Option<TicketSubject> = form.take(&mut checked, "subject");
    let message: Option<MessageBody> = form.take(&mut checked, "message");
    let assignee = form.filled("assignee").map(str::parse::<Uuid>).transpose();
    let assignee = checked.take("assignee", assignee.map_err(|_| "must be a member".to_owned())).flatten();
    let (Some(site), Some(email), Some(subject), Some(message), true) =
        (site, email, subject, message, checked.is_empty())
    else {
        return Err(checked.problem());
    };
    if assignee.is_some() && !tx.actor().is_some_and(|actor| actor.may(Permission::TicketAssign)) {
        return Err(Problem::permission_required(Permission::TicketAssign));
    }
    let tags = form.all("tag");
    // A page is sent once; one that was changed after it had arrived says that it had.
    let sent = form.pairs().filter(|(name, _)| *name != "form_token").flat_map(|(name, value)| [name, value]);
    let request = Sha256Digest::of_parts(&sent.map(str::as_bytes).collect::<Vec<_>>());
    let new = NewTicket {
        site: &site,
        email: &email,
        name: name.as_ref(),
        subject: &subject,
        message: &message,
        internal: form.holds("how", "note"),
        notify: form.holds("how", "mail"),
        change: Change {
            priority: form.filled("priority"),
            assignee: assignee.map(Some),
            add_tags: &tags,
            ..Change::default()
        },
        key: form.filled("key").map(|key| Submission { key: Sha256Digest::of(key.as_bytes()), request }),
    };
    Ok(opening::open(tx, &new).await?.ticket.id)
}
