//! One ticket: its conversation, what is decided about it, and the list that it was chosen from.

use poem::{Response, handler, http::StatusCode, web::Path};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    dashboard::{
        frame::{
            form::Form,
            org_context::{OrgContext, Shell},
            page::form_page,
            path::Row,
        },
        saved_replies::{Places, filled},
        tickets::{
            list::{CHOICES, Choices, List, page_of_thread, suffix},
            snooze,
            words::{colour, delivered, describe, folded, initials, of, presence, rendered, size, unproven},
        },
    },
    db::OrgTx,
    domain::{
        keys::Sha256Digest,
        permissions::Permission,
        problem::{Code, Problem},
        text::MessageBody,
    },
    store::{
        self,
        attachments::Attachment,
        inbound_mails::Unfiled,
        paging::PageRequest,
        statuses::Category,
        tickets::{
            agent::{Answer, Candidate, Change, Event, Message, NewAnswer, Whole},
            drafts,
            inbox::Ticket,
            merging::{self, Related},
            parts::Part,
            public::Submission,
            thread::{self, NEWEST, Thread},
        },
    },
};

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
    list: List,
    choices: Choices,
    /// Who may be given it.
    assignees: Vec<Candidate>,
    ticket: Ticket,
    timeline: Vec<Entry>,
    /// The query of the page with earlier messages.
    earlier: Option<String>,
    /// Whether later messages are on another page.
    is_past: bool,
    files: Vec<Attachment>,
    /// The tickets that are part of it.
    parts: Vec<Part>,
    /// Others of the same address.
    related: Vec<Related>,
    /// Mail that waits for a person.
    held: Vec<Unfiled>,
    answers: Vec<Answer>,
    /// Ids and names of the saved replies.
    replies: Vec<(Uuid, String)>,
    form: &'a Form,
    /// What follows the path of the inbox and of a ticket, that the list stays as it is.
    suffix: String,
    /// What makes it safe to send what is written here a second time.
    key: Uuid,
}

impl TicketPage<'_> {
    /// Whether it is this member's.
    fn has(&self, member: &Uuid) -> bool {
        self.ticket.assignee_id == Some(*member)
    }

    fn may_have_it(&self, member: &Uuid) -> bool {
        self.assignees.iter().any(|one| one.id == *member)
    }

    fn may_write(&self) -> bool {
        self.shell.may(Permission::TicketWrite)
    }

    fn has_tag(&self, tag: &Uuid) -> bool {
        self.ticket.tags.0.iter().any(|one| one.id == *tag)
    }

    /// Whether there is a tag that is not on it.
    fn has_more_tags(&self) -> bool {
        self.choices.tags.iter().any(|one| !self.has_tag(&one.id))
    }

    /// What is solved is not snoozed.
    fn may_snooze(&self) -> bool {
        !matches!(self.ticket.category, Category::Resolved | Category::Closed)
    }

    fn is_unsolved(&self) -> bool {
        matches!(self.ticket.category, Category::Open | Category::Pending)
    }

    fn is_closed(&self) -> bool {
        self.ticket.category == Category::Closed
    }

    /// Who asked, by their name or else their address.
    fn customer(&self) -> &str {
        self.ticket.name.as_deref().unwrap_or(&self.ticket.email)
    }

    /// Where a message is as it looked in the mail that it came by.
    fn mail_of(&self, message: &Message) -> String {
        format!("/dashboard/{}/inbox/{}/mail/{}", self.shell.org, message.ticket_id, message.id)
    }

    /// The ticket that a message is of, where it is part of this one.
    fn part_of(&self, message: &Message) -> Option<&Part> {
        self.parts.iter().find(|part| part.id == message.ticket_id)
    }

    /// Whether mails of another began as those of this one did.
    fn is_near(&self) -> bool {
        self.related.iter().any(|one| one.same_thread)
    }

    /// Whether this one may become part of another of its customer.
    fn may_merge_into(&self, one: &Related) -> bool {
        self.may_write()
            && self.ticket.merged_into.is_none()
            && one.merged_into.is_none()
            && one.category != Category::Closed
    }

    /// The newest message, where the page shows it: who answers beside earlier ones has not said that they saw the last.
    fn newest(&self) -> String {
        if self.is_past {
            return String::new();
        }
        let said = |entry: &Entry| match entry {
            Entry::Said(message) => Some(message.id),
            Entry::Changed(_) => None,
        };
        self.timeline.iter().rev().find_map(said).map_or_else(String::new, |id| id.to_string())
    }

    /// The colour of who wrote it: a customer's is that of their address, as in the list.
    fn hue(&self, message: &Message) -> u32 {
        if message.author == "agent" { colour(self.author(message)) } else { colour(&self.ticket.email) }
    }

    fn author<'a>(&'a self, message: &'a Message) -> &'a str {
        if message.author == "agent" { message.author_name.as_deref().unwrap_or("Support") } else { self.customer() }
    }
}

#[handler]
pub async fn show(context: OrgContext, Path(Row { id }): Path<Row>) -> Result<Response, Problem> {
    show_with(&context, id, &Form::default()).await
}

async fn show_with(context: &OrgContext, id: Uuid, form: &Form) -> Result<Response, Problem> {
    let page_request = PageRequest { limit: thread::LIMIT, cursor: context.query.filled("cursor") };
    let (shell, (whole, related, drafts, held, list, choices, assignees, replies)) = context
        .read(Permission::TicketRead, async |tx| {
            let whole = store::tickets::agent::whole(tx, id, page_request).await?;
            let related = merging::related(tx, id).await?;
            let list = List::read(tx, &context.query, Some(id)).await?;
            let drafts = drafts::of_ticket(tx, id).await?;
            let held = match page_request.cursor {
                None => store::inbound_mails::held_of_ticket(tx, id).await?,
                Some(_) => Vec::new(),
            };
            let (assignees, _) = store::tickets::agent::assignees(tx, id, CHOICES).await?;
            let replies = store::saved_replies::choices(tx).await?;
            Ok((whole, related, drafts, held, list, Choices::read(tx).await?, assignees, replies))
        })
        .await?;
    let typed: Vec<(&str, String)> = drafts.into_iter().map(|draft| (draft.kind.as_str(), draft.body)).collect();
    let form = form.with_defaults(Form::of(&typed));
    let Whole { ticket, thread: Thread { messages, files, next }, events, answers, parts } = whole;
    let mut timeline: Vec<Entry> = messages.into_iter().map(Entry::Said).collect();
    timeline.extend(events.into_iter().map(Entry::Changed));
    timeline.sort_by_key(Entry::at);
    let page = TicketPage {
        shell,
        list,
        choices,
        assignees,
        ticket,
        timeline,
        earlier: next.map(|next| page_of_thread(&context.query, &next)),
        is_past: page_request.cursor.is_some(),
        files,
        parts,
        related,
        held,
        answers,
        replies,
        form: &form,
        suffix: suffix(&context.query),
        key: Uuid::new_v4(),
    };
    form_page(&page, &form)
}

#[handler]
pub async fn update(context: OrgContext, Path(Row { id }): Path<Row>) -> Result<Response, Problem> {
    let permission = match context.form.get("action") {
        "insert" => return insert(&context, id).await,
        "seen" => return seen(&context, id).await,
        "draft" => return draft(&context, id).await,
        "merge" => return merge(&context, id).await,
        "assign" => Permission::TicketAssign,
        "delete" => Permission::TicketDelete,
        "accept_mail" | "reject_mail" => Permission::MailEdit,
        _ => Permission::TicketWrite,
    };
    let suffix = suffix(&context.query);
    let accepts = context.form.get("action") == "accept_mail";
    let done = if suffix.is_empty() { "?done=".to_owned() } else { format!("{suffix}&done=") };
    match context.write(permission, async |tx| apply(tx, id, &context.form).await).await {
        Ok(("deleted", _)) => Ok(context.redirect(&format!("inbox{done}deleted"))),
        Ok((how, message)) => {
            if let Some(intake) = context.app.intake.as_ref().filter(|_| accepts) {
                intake.received.notify_one();
            }
            // Whoever has files to add to it asks for its id.
            let files = message.filter(|_| context.form.holds("files", "yes"));
            let of = files.map_or_else(String::new, |message| format!("&message={message}"));
            Ok(context.redirect(&format!("inbox/{id}{done}{how}{of}")))
        }
        Err(problem) => show_with(&context, id, &context.form.with_problem(problem)?).await,
    }
}

/// Says that the ticket is open before them, whether they write, and up to which message they have read.
async fn seen(context: &OrgContext, id: Uuid) -> Result<Response, Problem> {
    let form = &context.form;
    context
        .write(Permission::TicketRead, async |tx| {
            store::tickets::seen::seen(tx, id, form.holds("typing", "yes")).await?;
            match form.filled("read") {
                Some(_) => store::tickets::seen::read_to(tx, id, form.id("read")?).await,
                None => Ok(()),
            }
        })
        .await?;
    Ok(no_content())
}

/// Makes the ticket part of another, whose page is the answer.
async fn merge(context: &OrgContext, id: Uuid) -> Result<Response, Problem> {
    let form = &context.form;
    let merged = async |tx: &mut OrgTx| {
        let into = form.id("into")?;
        merging::merge(tx, id, into).await.map(|_| into)
    };
    match context.write(Permission::TicketWrite, merged).await {
        Ok(into) => {
            let suffix = suffix(&context.query);
            let done = if suffix.is_empty() { "?done=merged".to_owned() } else { format!("{suffix}&done=merged") };
            Ok(context.redirect(&format!("inbox/{into}{done}")))
        }
        Err(problem) => show_with(context, id, &form.with_problem(problem)?).await,
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

/// Adds what was written to the conversation, once: a page has a key, and what is sent from it again, because nobody heard that it
/// had arrived, adds nothing. Whoever answers has read what is there.
async fn add(tx: &mut OrgTx, id: Uuid, form: &Form, kind: &str, status: Option<&str>) -> Result<Uuid, Problem> {
    let body = form.take_one::<MessageBody>(kind)?;
    let request = Sha256Digest::of_parts(&[kind.as_bytes(), body.as_str().as_bytes()]);
    let key = form.filled("key").map(|key| Submission { key: Sha256Digest::of(key.as_bytes()), request });
    let seen = form.filled("seen").map(str::parse).transpose().map_err(|_| Problem::not_found())?;
    let answer = NewAnswer { body: &body, internal: kind == "note", told: true, key, status, seen };
    let added = store::tickets::agent::answer(tx, id, &answer).await.map_err(|problem| match problem.code {
        Code::ConversationMoved => {
            let detail = format!("{} Yours is not sent yet: look, and send it again if it still fits.", problem.detail);
            Problem { detail: detail.into(), ..problem }
        }
        Code::IdempotencyConflict => {
            let detail = "What you sent before had arrived: it is in the conversation. Send again to add this, too.";
            Problem { detail: detail.into(), ..problem }
        }
        _ => problem,
    })?;
    store::tickets::seen::read_to(tx, id, added.id).await?;
    Ok(added.id)
}

/// Keeps what is typed and not sent, for whoever types it, on whatever device.
async fn draft(context: &OrgContext, id: Uuid) -> Result<Response, Problem> {
    let kind = if context.form.get("kind") == "note" { drafts::Kind::Note } else { drafts::Kind::Reply };
    context
        .write(Permission::TicketWrite, async |tx| {
            if context.form.filled("body").is_none() {
                return drafts::drop(tx, id, kind).await.map(|_| ());
            }
            let body = context.form.take_one::<MessageBody>("body")?;
            drafts::keep(tx, id, kind, &body).await.map(|_| ())
        })
        .await?;
    Ok(no_content())
}

fn no_content() -> Response {
    Response::builder().status(StatusCode::NO_CONTENT).finish()
}

/// What was done, as its page says, and which message was added.
async fn apply(tx: &mut OrgTx, id: Uuid, form: &Form) -> Result<(&'static str, Option<Uuid>), Problem> {
    let tags = form.filled("tag").map_or_else(Vec::new, |tag| vec![tag]);
    let change = match form.get("action") {
        "note" => return add(tx, id, form, "note", None).await.map(|message| ("noted", Some(message))),
        "reply" => return add(tx, id, form, "reply", None).await.map(|message| ("sent", Some(message))),
        "reply_resolve" => {
            let message = add(tx, id, form, "reply", Some("resolved")).await?;
            return Ok(("resolved", Some(message)));
        }
        how @ ("accept_mail" | "reject_mail") => {
            let accept = how == "accept_mail";
            store::inbound_mails::decide_of_ticket(tx, id, form.id("mail")?, accept).await?;
            return Ok((if accept { "accepted" } else { "rejected" }, None));
        }
        "delete" => {
            form.confirmed()?;
            return store::tickets::agent::delete(tx, id).await.map(|()| ("deleted", None));
        }
        "status" => Change { status: Some(form.get("status")), ..Change::default() },
        "priority" => Change { priority: Some(form.get("priority")), ..Change::default() },
        "assign" => {
            let assignee = match form.filled("assignee") {
                Some("me") => tx.actor().map(|actor| actor.id),
                other => {
                    let parsed = other.map(str::parse).transpose();
                    parsed.map_err(|_| Problem::invalid_field("assignee", "must be a member"))?
                }
            };
            Change { assignee: Some(assignee), ..Change::default() }
        }
        "snooze" => {
            let until = snooze::until(form, OffsetDateTime::now_utc())?;
            return store::tickets::agent::snooze(tx, id, until).await.map(|_| ("snoozed", None));
        }
        "unmerge" => {
            let part = if form.filled("part").is_some() { form.id("part")? } else { id };
            return merging::unmerge(tx, part).await.map(|_| ("unmerged", None));
        }
        "wake" => Change { snooze: Some(None), ..Change::default() },
        "tag" => Change { add_tags: &tags, ..Change::default() },
        "untag" => Change { remove_tags: &tags, ..Change::default() },
        _ => return Err(Form::unknown_action()),
    };
    store::tickets::agent::change(tx, id, &change).await.map(|_| ("saved", None))
}
