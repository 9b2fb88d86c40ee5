//! The inbox: tickets to choose from, and one with its conversation and what is decided about it.

use poem::Response;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    form::Form,
    page_context::{PageContext, Shell, form_page, html, to},
    saved_replies::{Places, filled},
};
use crate::{
    db::OrgTx,
    domain::{
        problem::{Code, Problem},
        text::{Checked, MessageBody},
    },
    store::{
        self,
        attachments::Attachment,
        members::{Member, Role},
        paging::PageRequest,
        priorities::Priority,
        sites::Site,
        statuses::Status,
        tickets::agent::{Assignee, Event, Filter, Message, Ticket, Whole},
    },
};

/// Tickets of a page.
const PAGE: u32 = 40;
/// Members, statuses and priorities to choose from.
const CHOICES: PageRequest<'static> = PageRequest { limit: 100, cursor: None };

#[derive(askama::Template)]
#[template(path = "inbox.html")]
struct InboxPage<'a> {
    shell: Shell,
    tickets: Vec<Ticket>,
    /// The query of the next page.
    next: Option<String>,
    statuses: Vec<Status>,
    priorities: Vec<Priority>,
    members: Vec<Member>,
    sites: Vec<Site>,
    query: &'a Form,
    status: &'a str,
}

impl InboxPage<'_> {
    fn is_status(&self, name: &str) -> bool {
        self.status == name
    }
}

/// Whether a status is called as its category, which the list of choices has already.
fn is_category(name: &str) -> bool {
    ["open", "pending", "resolved", "closed"].contains(&name.to_lowercase().as_str())
}

pub async fn list(context: &PageContext, org: &str) -> Result<Response, Problem> {
    let query = &context.query;
    let status = query.some("status").unwrap_or("open");
    let filter = Filter {
        site: query.some("site"),
        status: Some(status).filter(|status| *status != "any"),
        priority: query.some("priority"),
        assignee: query.some("assignee").map(|of| match of {
            "me" => Assignee::Me,
            id => id.parse().map_or(Assignee::Nobody, Assignee::User),
        }),
        search: query.some("q"),
    };
    let page_request = PageRequest { limit: PAGE, cursor: query.some("cursor") };
    let (shell, ((tickets, next), statuses, priorities, members, sites)) = context
        .see(org, "ticket:read", async |tx| {
            let tickets = store::tickets::agent::page(tx, page_request, &filter).await?;
            let (statuses, priorities, members) = choices(tx).await?;
            Ok((tickets, statuses, priorities, members, store::sites::list(tx).await?))
        })
        .await?;
    let next = next.map(|next| query.more(&["q", "status", "priority", "assignee", "site"], &next));
    html(&InboxPage { shell, tickets, next, statuses, priorities, members, sites, query, status })
}

async fn choices(tx: &mut OrgTx) -> Result<(Vec<Status>, Vec<Priority>, Vec<Member>), Problem> {
    let (statuses, _) = store::statuses::page(tx, CHOICES).await?;
    let (priorities, _) = store::priorities::page(tx, CHOICES).await?;
    let (members, _) = store::members::page(tx, CHOICES).await?;
    Ok((statuses, priorities, members))
}

/// What was said, or what changed.
enum Entry {
    Said(Message),
    Changed(Event),
}

impl Entry {
    fn at(&self) -> OffsetDateTime {
        match self {
            Self::Said(message) => message.created_at,
            Self::Changed(event) => event.at,
        }
    }
}

#[derive(askama::Template)]
#[template(path = "ticket.html")]
struct TicketPage<'a> {
    shell: Shell,
    ticket: Ticket,
    timeline: Vec<Entry>,
    files: Vec<Attachment>,
    answers: Vec<store::tickets::agent::Answer>,
    statuses: Vec<Status>,
    priorities: Vec<Priority>,
    members: Vec<Member>,
    /// Ids and names of the saved replies.
    replies: Vec<(Uuid, String)>,
    form: &'a Form,
}

impl TicketPage<'_> {
    /// Whether it is this member's.
    fn has(&self, member: &Uuid) -> bool {
        self.ticket.assignee_id == Some(*member)
    }
}

pub async fn show(context: &PageContext, org: &str, id: &str) -> Result<Response, Problem> {
    show_with(context, org, id, &Form::default()).await
}

async fn show_with(context: &PageContext, org: &str, id: &str, form: &Form) -> Result<Response, Problem> {
    let id: Uuid = id.parse().map_err(|_| Problem::not_found())?;
    let (shell, (whole, (statuses, priorities, members), replies)) = context
        .see(org, "ticket:read", async |tx| {
            let whole = store::tickets::agent::whole(tx, id).await?;
            Ok((whole, choices(tx).await?, store::saved_replies::choices(tx).await?))
        })
        .await?;
    let Whole { ticket, messages, files, events, answers } = whole;
    let mut timeline: Vec<Entry> = messages.into_iter().map(Entry::Said).collect();
    timeline.extend(events.into_iter().map(Entry::Changed));
    timeline.sort_by_key(Entry::at);
    let page = TicketPage { shell, ticket, timeline, files, answers, statuses, priorities, members, replies, form };
    form_page(&page, form)
}

pub async fn change(context: &PageContext, org: &str, id: &str) -> Result<Response, Problem> {
    let ticket: Uuid = id.parse().map_err(|_| Problem::not_found())?;
    let permission = match context.form.get("action") {
        "insert" => return insert(context, org, id).await,
        "assign" => "ticket:assign",
        "delete" => "ticket:delete",
        _ => "ticket:write",
    };
    match context.act(org, permission, async |tx| apply(tx, ticket, &context.form).await).await {
        Ok("deleted") => Ok(to(&format!("/dashboard/{org}/inbox?done=deleted"))),
        Ok(done) => Ok(to(&format!("/dashboard/{org}/inbox/{ticket}?done={done}"))),
        Err(problem) => show_with(context, org, id, &context.form.again(problem)?).await,
    }
}

/// The page once more, with a saved reply after what was typed. Nothing is sent.
async fn insert(context: &PageContext, org: &str, id: &str) -> Result<Response, Problem> {
    let ticket: Uuid = id.parse().map_err(|_| Problem::not_found())?;
    let saved = context.form.get("saved").parse().unwrap_or_default();
    let (shell, (reply, whole)) = context
        .see(org, "ticket:write", async |tx| {
            let whole = store::tickets::agent::whole(tx, ticket).await?;
            Ok((store::saved_replies::choice(tx, saved).await?, whole))
        })
        .await?;
    let Some(reply) = reply else {
        let gone = Problem::new(Code::Unprocessable, "This saved reply is gone. Choose another.");
        return show_with(context, org, id, &context.form.again(gone)?).await;
    };
    let customer = whole.ticket.name.as_deref().unwrap_or(&whole.ticket.email);
    let text = filled(&reply.body, Places { customer, ticket: &whole.ticket.reference, agent: &shell.person });
    let typed = context.form.get("reply").trim_end();
    let text = if typed.is_empty() { text } else { format!("{typed}\n\n{text}") };
    let form = Form::of(&[("reply", text), ("saved", saved.to_string()), ("action", "insert".to_owned())]);
    show_with(context, org, id, &form).await
}

async fn apply(tx: &mut OrgTx, ticket: Uuid, form: &Form) -> Result<&'static str, Problem> {
    let change = store::tickets::agent::Change::default();
    match form.get("action") {
        kind @ ("reply" | "note") => {
            let mut checked = Checked::default();
            let Some(body) = form.take::<MessageBody>(&mut checked, kind) else {
                return Err(checked.problem());
            };
            store::tickets::agent::answer(tx, ticket, &body, kind == "note").await?;
            Ok(if kind == "note" { "noted" } else { "sent" })
        }
        "status" => {
            let change = store::tickets::agent::Change { status: Some(form.get("status")), ..change };
            store::tickets::agent::change(tx, ticket, &change).await.map(|_| "saved")
        }
        "priority" => {
            let change = store::tickets::agent::Change { priority: Some(form.get("priority")), ..change };
            store::tickets::agent::change(tx, ticket, &change).await.map(|_| "saved")
        }
        "assign" => {
            let assignee = match form.some("assignee") {
                None => None,
                Some(id) => Some(id.parse().map_err(|_| Problem::invalid_field("assignee", "must be a member"))?),
            };
            let change = store::tickets::agent::Change { assignee: Some(assignee), ..change };
            store::tickets::agent::change(tx, ticket, &change).await.map(|_| "saved")
        }
        "delete" if form.get("sure") == "yes" => store::tickets::agent::delete(tx, ticket).await.map(|()| "deleted"),
        "delete" => Err(Problem::invalid_field("sure", "Tick the box to say that you mean it")),
        _ => Err(Problem::invalid_field("action", "is none that this page has")),
    }
}

/// Whether a ticket may be given to them: a viewer cannot work on it.
fn works(member: &Member) -> bool {
    member.role != Role::Viewer
}

/// Whether a file came with a message.
fn of(file: &Attachment, message: &Message) -> bool {
    file.message_id == message.id
}

/// What changed, in words.
fn told(event: &Event) -> String {
    let after = event.after.as_deref();
    match (event.kind.as_str(), event.before.as_deref(), after) {
        ("assignee", _, Some(after)) => format!("assigned it to {after}"),
        ("assignee", Some(before), None) => format!("took it from {before}"),
        (kind, Some(before), Some(after)) => format!("changed the {kind} from {before} to {after}"),
        (kind, _, _) => format!("changed the {kind} to {}", after.unwrap_or("none")),
    }
}
