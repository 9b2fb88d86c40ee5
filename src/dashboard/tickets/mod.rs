//! The inbox: tickets to choose from, and one with its conversation and what is decided about it.

pub mod events;

use poem::{Response, handler, web::Path};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    dashboard::{
        frame::{
            form::Form,
            org_context::{OrgContext, Shell},
            page::{form_page, html, when},
            path::Row,
        },
        saved_replies::{Places, filled},
    },
    db::OrgTx,
    domain::{
        permissions::Permission,
        problem::{Code, Problem},
        text::MessageBody,
    },
    store::{
        self,
        attachments::Attachment,
        inbound_mails::OfMessage,
        mails::Delivery,
        members::{Member, Role},
        paging::PageRequest,
        priorities::Priority,
        sites::Site,
        statuses::Status,
        tickets::{
            agent::{Answer, Change, Event, Message, NewAnswer, Whole},
            inbox::{Assignee, Filter, Ticket},
            thread::{self, NEWEST, Thread},
        },
    },
};

/// Tickets of a page.
const PAGE: u32 = 40;
/// Members, statuses and priorities to choose from.
const CHOICES: PageRequest<'static> = PageRequest { limit: 100, cursor: None };

#[derive(askama::Template)]
#[template(path = "tickets/inbox.html")]
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

#[handler]
pub async fn list(context: OrgContext) -> Result<Response, Problem> {
    let query = &context.query;
    let status = query.filled("status").unwrap_or("open");
    let filter = Filter {
        site: query.filled("site"),
        status: Some(status).filter(|status| *status != "any"),
        priority: query.filled("priority"),
        assignee: query.filled("assignee").map(|of| match of {
            "me" => Assignee::Me,
            id => id.parse().map_or(Assignee::Nobody, Assignee::User),
        }),
        search: query.filled("q"),
        ..Filter::default()
    };
    let page_request = PageRequest { limit: PAGE, cursor: query.filled("cursor") };
    let (shell, ((tickets, next), statuses, priorities, members, sites)) = context
        .read(Permission::TicketRead, async |tx| {
            let tickets = store::tickets::inbox::page(tx, page_request, &filter).await?;
            let (statuses, priorities, members) = choices(tx).await?;
            Ok((tickets, statuses, priorities, members, store::sites::list(tx).await?))
        })
        .await?;
    let next = next.map(|next| query.next_page(&["q", "status", "priority", "assignee", "site"], &next));
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
#[template(path = "tickets/ticket.html")]
struct TicketPage<'a> {
    shell: Shell,
    ticket: Ticket,
    timeline: Vec<Entry>,
    /// The query of the page with earlier messages.
    earlier: Option<String>,
    /// Whether later messages are on another page.
    is_past: bool,
    files: Vec<Attachment>,
    answers: Vec<Answer>,
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

#[handler]
pub async fn show(context: OrgContext, Path(Row { id }): Path<Row>) -> Result<Response, Problem> {
    show_with(&context, id, &Form::default()).await
}

async fn show_with(context: &OrgContext, id: Uuid, form: &Form) -> Result<Response, Problem> {
    let page_request = PageRequest { limit: thread::LIMIT, cursor: context.query.filled("cursor") };
    let (shell, (whole, (statuses, priorities, members), replies)) = context
        .read(Permission::TicketRead, async |tx| {
            let whole = store::tickets::agent::whole(tx, id, page_request).await?;
            Ok((whole, choices(tx).await?, store::saved_replies::choices(tx).await?))
        })
        .await?;
    let Whole { ticket, thread: Thread { messages, files, next }, events, answers } = whole;
    let mut timeline: Vec<Entry> = messages.into_iter().map(Entry::Said).collect();
    timeline.extend(events.into_iter().map(Entry::Changed));
    timeline.sort_by_key(Entry::at);
    let earlier = next.map(|next| context.query.next_page(&[], &next));
    let is_past = page_request.cursor.is_some();
    let page = TicketPage {
        shell,
        ticket,
        timeline,
        earlier,
        is_past,
        files,
        answers,
        statuses,
        priorities,
        members,
        replies,
        form,
    };
    form_page(&page, form)
}

#[handler]
pub async fn update(context: OrgContext, Path(Row { id }): Path<Row>) -> Result<Response, Problem> {
    let permission = match context.form.get("action") {
        "insert" => return insert(&context, id).await,
        "assign" => Permission::TicketAssign,
        "delete" => Permission::TicketDelete,
        _ => Permission::TicketWrite,
    };
    match context.write(permission, async |tx| apply(tx, id, &context.form).await).await {
        Ok("deleted") => Ok(context.redirect("inbox?done=deleted")),
        Ok(done) => Ok(context.redirect(&format!("inbox/{id}?done={done}"))),
        Err(problem) => show_with(&context, id, &context.form.with_problem(problem)?).await,
    }
}

/// The page once more, with a saved reply after what was typed. Nothing is sent.
async fn insert(context: &OrgContext, id: Uuid) -> Result<Response, Problem> {
    let saved = context.form.get("saved").parse().unwrap_or_default();
    let (shell, (reply, whole)) = context
        .read(Permission::TicketWrite, async |tx| {
            let whole = store::tickets::agent::whole(tx, id, PageRequest { limit: 1, ..NEWEST }).await?;
            Ok((store::saved_replies::choice(tx, saved).await?, whole))
        })
        .await?;
    let Some(reply) = reply else {
        let gone = Problem::new(Code::Unprocessable, "This saved reply is gone. Choose another.");
        return show_with(context, id, &context.form.with_problem(gone)?).await;
    };
    let customer = whole.ticket.name.as_deref().unwrap_or(&whole.ticket.email);
    let text = filled(&reply.body, Places { customer, ticket: &whole.ticket.reference, agent: &shell.person });
    let typed = context.form.get("reply").trim_end();
    let text = if typed.is_empty() { text } else { format!("{typed}\n\n{text}") };
    let form = Form::of(&[("reply", text), ("saved", saved.to_string()), ("action", "insert".to_owned())]);
    show_with(context, id, &form).await
}

async fn apply(tx: &mut OrgTx, id: Uuid, form: &Form) -> Result<&'static str, Problem> {
    let change = match form.get("action") {
        kind @ ("reply" | "note") => {
            let body = form.take_one::<MessageBody>(kind)?;
            let answer = NewAnswer { body: &body, internal: kind == "note", key: None, status: None, seen: None };
            store::tickets::agent::answer(tx, id, &answer).await?;
            return Ok(if kind == "note" { "noted" } else { "sent" });
        }
        "delete" => {
            form.confirmed()?;
            return store::tickets::agent::delete(tx, id).await.map(|()| "deleted");
        }
        "status" => Change { status: Some(form.get("status")), ..Change::default() },
        "priority" => Change { priority: Some(form.get("priority")), ..Change::default() },
        "assign" => {
            let assignee = form.filled("assignee").map(str::parse).transpose();
            let assignee = assignee.map_err(|_| Problem::invalid_field("assignee", "must be a member"))?;
            Change { assignee: Some(assignee), ..Change::default() }
        }
        _ => return Err(Form::unknown_action()),
    };
    store::tickets::agent::change(tx, id, &change).await.map(|_| "saved")
}

/// Whether a ticket may be given to them: a viewer cannot work on it.
fn may_work(member: &Member) -> bool {
    member.role != Role::Viewer
}

/// Whether a file came with a message.
fn of(file: &Attachment, message: &Message) -> bool {
    file.message_id == message.id
}

/// Whom a message by mail says it is from.
fn unproven(mail: &OfMessage) -> String {
    format!("It says that it is from {}; nothing proves that.", mail.author.as_deref().unwrap_or("nobody"))
}

/// What its sender wrote, and what that quotes, where a message came by mail and ends with a quote.
fn folded(message: &Message) -> Option<(&str, &str)> {
    let at = usize::try_from(message.mail.as_ref()?.quoted_from?).ok()?;
    let (byte, _) = message.body.char_indices().nth(at)?;
    let (above, quoted) = message.body.split_at(byte);
    (!above.trim().is_empty()).then_some((above.trim_end(), quoted))
}

/// What became of the mail of a message, in words.
pub fn delivered(delivery: &Delivery) -> String {
    let said = delivery.detail.as_deref().unwrap_or("no reason given");
    match delivery.state.as_str() {
        "queued" if delivery.detail.is_some() => format!("Mail: not sent yet, it is tried again: {said}"),
        "queued" => "Mail: to be sent".to_owned(),
        "sent" if said.starts_with("delayed: ") => format!("Mail: sent, and {said}"),
        "sent" => format!("Mail: sent {}", when(&delivery.at)),
        "suppressed" => format!("Mail: not sent, because earlier mail to this address was refused: {said}"),
        "failed" => format!("Mail: not delivered, given up: {said}"),
        _ => format!("Mail: not delivered: {said}"),
    }
}

/// What changed, in words.
fn describe(event: &Event) -> String {
    let after = event.after.as_deref();
    match (event.kind.as_str(), event.before.as_deref(), after) {
        ("assignee", _, Some(after)) => format!("assigned it to {after}"),
        ("assignee", Some(before), None) => format!("unassigned {before}"),
        (kind, Some(before), Some(after)) => format!("changed the {kind} from {before} to {after}"),
        (kind, _, _) => format!("changed the {kind} to {}", after.unwrap_or("none")),
    }
}
