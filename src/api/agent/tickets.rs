//! The inbox: tickets of all sites that the caller sees, one of them with its timeline, answers and notes.

use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::{Example, MaybeUndefined},
};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::{
    attachments::Attachment,
    bulk::{BulkBody, Done, UndoBody, Undone},
    new_ticket::NewTicketBody,
    statuses::Category,
    tags::Tag,
    ticket_parts::{self, EXAMPLE_ID, Part, TicketReference, other},
    ticket_tags::{self, Tag as TicketTag},
};
use crate::{
    auth::caller::Org,
    db::OrgTx,
    domain::{
        keys::Sha256Digest,
        permissions::{Permission, TicketDelete, TicketRead, TicketWrite},
        problem::Problem,
        text::{AssigneeName, Checked, MESSAGE_LENGTH, TagName, Text},
    },
    http::{
        answers::{self, Page},
        failure::Failure,
        headers::IdempotencyKey,
        paging::Paging,
        text::{Input, Nullable},
    },
    store::{
        self,
        paging::PageRequest,
        tickets::{
            agent::{self, Whole},
            bulk, drafts,
            inbox::{self, Assignee, Filter},
            opening, seen, thread,
        },
    },
};

pub struct TicketsApi;

const ASSIGN: Permission = Permission::TicketAssign;

/// Where a ticket stands, or how urgent it is, by name.
#[derive(Object)]
struct Named {
    /// Its id.
    id: Uuid,
    /// How the org calls it.
    name: String,
}

/// Where a ticket stands.
#[derive(Object)]
struct TicketStatus {
    /// Its id.
    id: Uuid,
    /// How the org calls it.
    name: String,
    /// What it means.
    category: Category,
}

/// A member who takes care of a ticket.
#[derive(Object)]
struct TicketAssignee {
    /// Their user id.
    id: Uuid,
    /// Their e-mail address.
    email: String,
}

/// A member who may be given a ticket.
#[derive(Object)]
#[oai(rename = "TicketCandidate", example)]
struct Candidate {
    /// Their user id.
    id: Uuid,
    /// Their e-mail address.
    email: String,
    /// Their name.
    name: String,
}

impl From<agent::Candidate> for Candidate {
    fn from(agent::Candidate { id, email, name }: agent::Candidate) -> Self {
        Self { id, email, name }
    }
}

impl Example for Candidate {
    fn example() -> Self {
        Self { id: other(3), email: "agnes@acme.com".to_owned(), name: "Agnes Agent".to_owned() }
    }
}

/// Who submitted a ticket.
#[derive(Object)]
struct Customer {
    /// Where answers go.
    email: String,
    /// Their name, if they gave one.
    name: Nullable<String>,
}

/// What a list and one ticket begin with.
#[derive(Object)]
struct TicketHead {
    /// Its id.
    id: Uuid,
    /// The slug of its site.
    site: String,
    /// Its number within the site.
    number: i64,
    /// Its reference: its site's prefix, a hyphen and its number, such as `APP-21`; unique in the org. It changes when the site's
    /// prefix does.
    reference: String,
    /// Its subject.
    subject: String,
    /// Who submitted it.
    customer: Customer,
    /// Where it stands.
    status: TicketStatus,
    /// How urgent it is.
    priority: Named,
    /// Who takes care of it.
    assignee: Nullable<TicketAssignee>,
    /// The ticket that it is part of: that shows its conversation, too.
    merged_into: Nullable<TicketReference>,
    /// What is on it, by name.
    tags: Vec<TicketTag>,
    /// When something was said last, notes included: the order of the inbox.
    last_activity_at: OffsetDateTime,
    /// It is open and not snoozed, and what the customer said last has no answer yet. Notes are none.
    waiting: bool,
    /// Until when it is snoozed: out of sight, unless its customer writes; `null` when it is not, or no more.
    snoozed_until: Nullable<OffsetDateTime>,
    /// The caller has typed something for it and not sent it: `GET /v1/orgs/{org}/tickets/{id}/drafts/reply`, or `note`.
    draft: bool,
    /// Something was said that the caller has not read, as `PUT /v1/orgs/{org}/tickets/{id}/seen` says.
    unread: bool,
    /// The other members who have it open now.
    viewers: Vec<TicketViewer>,
}

/// Another member who has a ticket open now.
#[derive(Object)]
pub(super) struct TicketViewer {
    /// Their user id.
    id: Uuid,
    /// Their name.
    name: String,
    /// Whether they are writing.
    typing: bool,
}

impl From<seen::Viewer> for TicketViewer {
    fn from(row: seen::Viewer) -> Self {
        Self { id: row.user_id, name: row.name, typing: row.typing }
    }
}

/// A ticket in the inbox.
#[derive(Object)]
#[oai(example)]
struct TicketSummary {
    #[oai(flatten)]
    head: TicketHead,
    /// The beginning of what was said last, notes included, on one line: 140 characters at the most.
    snippet: Nullable<String>,
    /// The points of its answers; `null` without a form.
    score: Nullable<i32>,
    /// When it was submitted.
    created_at: OffsetDateTime,
    /// When something last happened to it.
    updated_at: OffsetDateTime,
}

impl From<inbox::Ticket> for TicketHead {
    fn from(row: inbox::Ticket) -> Self {
        let assignee = row.assignee_id.zip(row.assignee).map(|(id, email)| TicketAssignee { id, email });
        let merged_into = row.merged_into_id.zip(row.merged_into);
        let merged_into = merged_into.map(|(id, reference)| TicketReference { id, reference });
        Self {
            id: row.id,
            site: row.site,
            number: row.number,
            reference: row.reference,
            subject: row.subject,
            customer: Customer { email: row.email, name: Nullable(row.name) },
            status: TicketStatus { id: row.status_id, name: row.status, category: row.category.into() },
            priority: Named { id: row.priority_id, name: row.priority },
            assignee: Nullable(assignee),
            merged_into: Nullable(merged_into),
            tags: row.tags.0.into_iter().map(Into::into).collect(),
            last_activity_at: row.last_activity_at,
            waiting: row.waiting,
            snoozed_until: Nullable(row.snoozed_until),
            draft: row.draft,
            unread: row.unread,
            viewers: row.viewers.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<inbox::Ticket> for TicketSummary {
    fn from(mut row: inbox::Ticket) -> Self {
        let (score, created_at, updated_at) = (Nullable(row.score), row.created_at, row.updated_at);
        let snippet = Nullable(row.snippet.take());
        Self { head: row.into(), snippet, score, created_at, updated_at }
    }
}

/// Who wrote a message.
#[derive(Enum, Clone, Copy)]
#[oai(rename = "AgentMessageAuthor", rename_all = "snake_case")]
enum Author {
    /// The customer.
    Customer,
    /// Somebody of the support team.
    Agent,
}

/// Where the mail of a message is.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "snake_case")]
enum DeliveryState {
    /// To be sent, or sent again.
    Queued,
    /// The next server took it; that is all that is known.
    Sent,
    /// It was refused for good.
    Bounced,
    /// It was tried for three days.
    Failed,
    /// Not sent: earlier mail to this address was refused.
    Suppressed,
}

/// What became of the mail of a message.
#[derive(Object)]
pub(super) struct Delivery {
    /// Where it is.
    state: DeliveryState,
    /// What the next server said last.
    detail: Nullable<String>,
    /// Since when.
    at: OffsetDateTime,
}

impl From<store::mails::Delivery> for Delivery {
    fn from(row: store::mails::Delivery) -> Self {
        let state = match row.state.as_str() {
            "sent" => DeliveryState::Sent,
            "bounced" => DeliveryState::Bounced,
            "failed" => DeliveryState::Failed,
            "suppressed" => DeliveryState::Suppressed,
            _ => DeliveryState::Queued,
        };
        Self { state, detail: Nullable(row.detail), at: row.at }
    }
}

/// How a message came by mail.
#[derive(Object)]
struct MessageMail {
    /// The address that it says it is from.
    from: Nullable<String>,
    /// Whether that is proven: DMARC says that the address's domain stands for it.
    verified: bool,
    /// Whether a machine sent it: it reopened nothing, and nobody was told.
    automatic: bool,
}

impl From<store::inbound_mails::OfMessage> for MessageMail {
    fn from(row: store::inbound_mails::OfMessage) -> Self {
        Self { from: Nullable(row.author), verified: row.verified, automatic: row.automatic }
    }
}

/// A message of a conversation.
#[derive(Object)]
#[oai(rename = "TicketMessage", example)]
struct Message {
    /// Its id.
    id: Uuid,
    /// Its own ticket, where that is another, which is part of this one: its files are read there.
    merged_from: Nullable<TicketReference>,
    /// Who wrote it.
    author: Author,
    /// The writer's user id; `null` for customers and for who is gone.
    author_id: Nullable<Uuid>,
    /// The writer's name, if known.
    author_name: Nullable<String>,
    /// The text: plain, as it was written. Escape it before it goes into a page.
    body: String,
    /// A note that the customer never sees.
    internal: bool,
    /// When it was written.
    created_at: OffsetDateTime,
    /// Its files, oldest first; `GET /v1/orgs/{org}/tickets/{id}/attachments/{attachment_id}` reads one.
    attachments: Vec<Attachment>,
    /// What became of the mail that tells the customer of it; `null` when none was written.
    delivery: Nullable<Delivery>,
    /// How it came by mail; `null` when it did not.
    mail: Nullable<MessageMail>,
}

impl Message {
    /// With those of the ticket's files that are its own.
    fn of(
        row: agent::Message,
        files: &[store::attachments::Attachment],
        parts: &[store::tickets::parts::Part],
    ) -> Self {
        let part = parts.iter().find(|part| part.id == row.ticket_id);
        Self {
            id: row.id,
            merged_from: Nullable(part.map(|part| TicketReference { id: part.id, reference: part.reference.clone() })),
            author: if row.author == "agent" { Author::Agent } else { Author::Customer },
            author_id: Nullable(row.author_id),
            author_name: Nullable(row.author_name),
            body: row.body,
            internal: row.internal,
            created_at: row.created_at,
            attachments: files.iter().filter(|file| file.message_id == row.id).cloned().map(Into::into).collect(),
            delivery: Nullable(row.delivery.map(Into::into)),
            mail: Nullable(row.mail.map(Into::into)),
        }
    }
}

impl Example for Message {
    fn example() -> Self {
        Self {
            id: other(4),
            merged_from: Nullable(Some(TicketReference { id: other(6), reference: "APP-43".to_owned() })),
            author: Author::Agent,
            author_id: Nullable(Some(other(3))),
            author_name: Nullable(Some("Agnes Agent".to_owned())),
            body: "Thank you for telling us. Could you look into the spam folder?".to_owned(),
            internal: false,
            created_at: datetime!(2026-02-01 16:05 UTC),
            attachments: vec![Attachment::example()],
            delivery: Nullable(Some(Delivery::example())),
            mail: Nullable(Some(MessageMail {
                from: Nullable(Some("agnes@acme.com".to_owned())),
                verified: true,
                automatic: false,
            })),
        }
    }
}

impl Example for Delivery {
    fn example() -> Self {
        Self {
            state: DeliveryState::Sent,
            detail: Nullable(Some("250 queued as 4F2A1".to_owned())),
            at: datetime!(2026-02-01 16:05 UTC),
        }
    }
}

/// A change of a ticket.
#[derive(Object)]
struct TicketEvent {
    /// When.
    at: OffsetDateTime,
    /// Who: an e-mail address, `machine key NAME`, `customer` or `cli`.
    actor: String,
    /// `status`, `priority`, `assignee`, `tag`, `snooze`, `merge` (another became part of it) or `merged` (it became part of another).
    kind: String,
    /// What it was, by name as it was then; a tag that was taken off; until when it was to be snoozed; the reference of a ticket that
    /// is no part any more.
    before: Nullable<String>,
    /// What it became; a tag that was put on; until when it is snoozed; the reference of the other ticket.
    after: Nullable<String>,
}

/// What a customer answered in a form, and what it was worth.
#[derive(Object)]
struct TicketAnswer {
    /// The question.
    label: String,
    /// The answer.
    value: String,
    /// Its points: a line of the score.
    points: i32,
}

/// A ticket with a page of its conversation.
#[derive(Object)]
#[oai(example)]
pub(super) struct Ticket {
    #[oai(flatten)]
    head: TicketHead,
    /// The form that was filled in, as it was called then.
    template: Nullable<String>,
    /// The points of its answers; `null` without a form.
    score: Nullable<i32>,
    /// What the customer answered, line by line: why it is as urgent as it is.
    answers: Vec<TicketAnswer>,
    /// The tickets that are part of it, by number: `messages` has theirs, too.
    parts: Vec<Part>,
    /// The newest messages, or those before `cursor`, notes included; the oldest of them first.
    messages: Vec<Message>,
    /// Pass it as `cursor` for older messages; `null` when there are none.
    next_cursor: Nullable<String>,
    /// What changed besides, from the first of these messages to the next page of newer ones; oldest first. Of more than 200
    /// changes the newest 200.
    events: Vec<TicketEvent>,
    /// When it was submitted.
    created_at: OffsetDateTime,
    /// When something last happened to it.
    updated_at: OffsetDateTime,
}

impl Ticket {
    fn of(
        mut ticket: inbox::Ticket,
        (answers, parts): (Vec<TicketAnswer>, Vec<Part>),
        (messages, next): (Vec<Message>, Option<String>),
        events: Vec<TicketEvent>,
    ) -> Self {
        let template = Nullable(ticket.template.take());
        let TicketSummary { head, score, created_at, updated_at, .. } = ticket.into();
        let next_cursor = Nullable(next);
        Self { head, template, score, answers, parts, messages, next_cursor, events, created_at, updated_at }
    }
}

impl From<Whole> for Ticket {
    fn from(Whole { ticket, thread, events, answers, parts }: Whole) -> Self {
        let thread::Thread { messages, files, next } = thread;
        let event = |event: agent::Event| TicketEvent {
            at: event.at,
            actor: event.actor,
            kind: event.kind,
            before: Nullable(event.before),
            after: Nullable(event.after),
        };
        let answer =
            |answer: agent::Answer| TicketAnswer { label: answer.label, value: answer.value, points: answer.points };
        Self::of(
            ticket,
            (answers.into_iter().map(answer).collect(), parts.iter().cloned().map(Into::into).collect()),
            (messages.into_iter().map(|message| Message::of(message, &files, &parts)).collect(), next),
            events.into_iter().map(event).collect(),
        )
    }
}

fn example() -> inbox::Ticket {
    inbox::Ticket {
        id: EXAMPLE_ID,
        site: "acme-app".to_owned(),
        number: 42,
        reference: "APP-42".to_owned(),
        subject: "The export never arrives".to_owned(),
        email: "ada@example.com".to_owned(),
        name: Some("Ada Lovelace".to_owned()),
        status_id: other(1),
        status: "Open".to_owned(),
        category: store::statuses::Category::Open,
        priority_id: other(2),
        priority: "High".to_owned(),
        assignee_id: Some(other(3)),
        assignee: Some("agnes@acme.com".to_owned()),
        merged_into_id: Some(other(7)),
        merged_into: Some("APP-40".to_owned()),
        tags: sqlx::types::Json(vec![ticket_tags::example()]),
        template: Some("Something is broken".to_owned()),
        score: Some(8),
        created_at: datetime!(2026-02-01 15:58 UTC),
        updated_at: datetime!(2026-02-01 16:05 UTC),
        last_activity_at: datetime!(2026-02-01 16:05 UTC),
        snippet: Some("Thank you for telling us. Could you look into the spam folder?".to_owned()),
        waiting: false,
        unread: true,
        snoozed_until: Some(datetime!(2026-02-03 08:00 UTC)),
        back: false,
        draft: false,
        viewers: vec![seen::Viewer {
            ticket_id: EXAMPLE_ID,
            user_id: other(5),
            name: "Omar Owner".to_owned(),
            typing: true,
        }],
    }
}

impl Example for TicketSummary {
    fn example() -> Self {
        example().into()
    }
}

impl Example for Ticket {
    fn example() -> Self {
        let assigned = TicketEvent {
            at: datetime!(2026-02-01 16:00 UTC),
            actor: "agnes@acme.com".to_owned(),
            kind: "assignee".to_owned(),
            before: Nullable(None),
            after: Nullable(Some("agnes@acme.com".to_owned())),
        };
        let answer = TicketAnswer { label: "How bad is it?".to_owned(), value: "I cannot work".to_owned(), points: 8 };
        let parts = vec![ticket_parts::example().into()];
        Self::of(example(), (vec![answer], parts), (vec![Message::example()], None), vec![assigned])
    }
}

/// What changes of a ticket; what is absent stays.
#[derive(Object)]
#[oai(rename = "TicketChange", deny_unknown_fields, skip_serializing_if_is_none, example)]
struct TicketChangeBody {
    /// Where it stands: the name of a status, its id, or a category.
    status: Option<Input<Text<60>>>,
    /// How urgent it is: the name of a priority, or its id.
    priority: Option<Input<Text<60>>>,
    /// The user id of who takes care of it, one who may be given it (`listTicketAssignees`); `null` for nobody. Needs
    /// `ticket:assign`.
    assignee: MaybeUndefined<Uuid>,
    /// Names or ids of tags that are put on it; it has 30 at the most.
    #[oai(validator(max_items = 30))]
    add_tags: Option<Input<Vec<TagName>>>,
    /// Names or ids of tags that are taken off it.
    #[oai(validator(max_items = 30))]
    remove_tags: Option<Input<Vec<TagName>>>,
}

impl Example for TicketChangeBody {
    fn example() -> Self {
        Self {
            status: Some(Input::of(Text::known("Pending"))),
            priority: None,
            assignee: MaybeUndefined::Undefined,
            add_tags: Some(Input::of(vec![Text::known("billing")])),
            remove_tags: None,
        }
    }
}

/// Until when a ticket is to be out of sight.
#[derive(Object)]
#[oai(rename = "TicketSnooze", deny_unknown_fields, example)]
struct SnoozeBody {
    /// Within a year.
    until: Input<OffsetDateTime>,
}

impl Example for SnoozeBody {
    fn example() -> Self {
        Self { until: Input::of(datetime!(2026-02-03 08:00 UTC)) }
    }
}

/// An answer, or a note.
#[derive(Object)]
#[oai(rename = "NewTicketMessage", deny_unknown_fields, skip_serializing_if_is_none, example)]
struct NewMessageBody {
    /// The text, plain.
    body: Input<Text<MESSAGE_LENGTH>>,
    /// A note that the customer never sees; an answer when absent.
    internal: Option<Input<bool>>,
    /// Where the ticket stands after it: the name of a status, its id, or a category. Without it an open ticket that is answered
    /// becomes pending, if the org says so.
    status: Option<Input<Text<60>>>,
    /// The id of the newest message that its writer had before them. When the customer or another member said something since,
    /// an answer is refused: `conversation_moved`. Without it an answer is sent whatever was said.
    seen: Option<Uuid>,
}

impl Example for NewMessageBody {
    fn example() -> Self {
        Self {
            body: Input::of(Text::known("It is on its way.")),
            internal: Some(Input::of(false)),
            status: None,
            seen: Some(other(4)),
        }
    }
}

/// What is to become of a draft.
#[derive(Enum, Clone, Copy)]
#[oai(rename = "TicketDraftKind", rename_all = "snake_case")]
enum DraftKind {
    /// An answer to the customer.
    Reply,
    /// A note that the customer never sees.
    Note,
}

impl From<DraftKind> for drafts::Kind {
    fn from(kind: DraftKind) -> Self {
        match kind {
            DraftKind::Reply => Self::Reply,
            DraftKind::Note => Self::Note,
        }
    }
}

/// A text that the caller has typed for a ticket and not sent.
#[derive(Object)]
#[oai(rename = "TicketDraft", example)]
struct Draft {
    /// What is to become of it.
    kind: DraftKind,
    /// The text, as far as it was typed.
    body: String,
    /// When it was kept.
    updated_at: OffsetDateTime,
}

impl From<drafts::Draft> for Draft {
    fn from(row: drafts::Draft) -> Self {
        let kind = match row.kind {
            drafts::Kind::Reply => DraftKind::Reply,
            drafts::Kind::Note => DraftKind::Note,
        };
        Self { kind, body: row.body, updated_at: row.updated_at }
    }
}

impl Example for Draft {
    fn example() -> Self {
        Self {
            kind: DraftKind::Reply,
            body: "Thank you for telling us. Could you".to_owned(),
            updated_at: datetime!(2026-02-01 16:04 UTC),
        }
    }
}

/// A draft to keep.
#[derive(Object)]
#[oai(rename = "NewTicketDraft", deny_unknown_fields, example)]
struct DraftBody {
    /// The text, as far as it was typed.
    body: Input<Text<MESSAGE_LENGTH>>,
}

impl Example for DraftBody {
    fn example() -> Self {
        Self { body: Input::of(Text::known("Thank you for telling us. Could you")) }
    }
}

/// That somebody has a ticket open.
#[derive(Object)]
#[oai(rename = "TicketSeen", deny_unknown_fields, skip_serializing_if_is_none, example)]
struct SeenBody {
    /// The id of the newest message that they have read; what they have read stays when it is absent.
    read_to: Option<Uuid>,
    /// Whether they are writing an answer; not when absent.
    typing: Option<Input<bool>>,
}

impl Example for SeenBody {
    fn example() -> Self {
        Self { read_to: Some(other(4)), typing: Some(Input::of(false)) }
    }
}

/// Who else is at a ticket.
#[derive(Object)]
#[oai(example)]
struct TicketViewers {
    /// The other members who have it open now, by name.
    viewers: Vec<TicketViewer>,
}

impl Example for TicketViewers {
    fn example() -> Self {
        Self { viewers: example().viewers.into_iter().map(Into::into).collect() }
    }
}

/// The texts of names.
fn names(names: &[TagName]) -> Vec<&str> {
    names.iter().map(Text::as_str).collect()
}

/// What a body says of what may be `null`.
#[expect(clippy::option_option, reason = "absent, null, or a value")]
fn stated<T>(said: MaybeUndefined<T>) -> Option<Option<T>> {
    match said {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}

/// Refuses who may give tickets to nobody.
fn assigns(tx: &OrgTx) -> Result<(), Problem> {
    if tx.actor().is_some_and(|actor| actor.may(ASSIGN)) { Ok(()) } else { Err(Problem::permission_required(ASSIGN)) }
}

/// Reads `assignee`.
fn assignee(name: &AssigneeName) -> Assignee {
    match name.as_str() {
        "me" => Assignee::Me,
        id => id.parse().map_or(Assignee::Nobody, Assignee::User),
    }
}

#[OpenApi(prefix_path = "/v1/orgs/{org}", tag = "Tag::Tickets")]
impl TicketsApi {
    /// List tickets
    ///
    /// The inbox, first the ticket of which something was said last; one of which something is said while one pages moves to the
    /// first page. A member of teams sees the tickets of their teams' sites; a member of no team, an owner and an admin see all.
    #[oai(path = "/tickets", method = "get", operation_id = "listTickets")]
    #[expect(clippy::too_many_arguments, reason = "one a parameter of the call")]
    async fn tickets(
        &self,
        org: Org<TicketRead>,
        paging: Paging,
        /// Only those of the site of this slug.
        site: Query<Option<Text<63>>>,
        /// Only those of this status: its name, or a category.
        status: Query<Option<Text<60>>>,
        /// Only those of this priority, by name.
        priority: Query<Option<Text<60>>>,
        /// Only those of this member: a user id, `me`, or `none`.
        #[oai(name = "assignee")]
        of: Query<Option<AssigneeName>>,
        /// Only those that have this tag, by its name or id; given several times, those that have all of them.
        #[oai(validator(max_items = 10))]
        tag: Query<Option<Vec<TagName>>>,
        /// Words of the subject, the address, the name or the conversation, in any order; the last one may lack its end. `"in this
        /// order"`, `-without`, `this or that`. A reference, `APP-21` or `app-21`, finds its ticket too, and `21` those of that
        /// number; `#21` finds nothing else. The references of a prefix that was changed are none.
        q: Query<Option<Text<200>>>,
        /// Only those whose customer waits for an answer.
        waiting: Query<Option<bool>>,
        /// Only those that the caller has not read.
        unread: Query<Option<bool>>,
        /// Only those that are neither resolved nor closed.
        unresolved: Query<Option<bool>>,
        /// Only those that are snoozed, or, when `false`, only those that are not.
        snoozed: Query<Option<bool>>,
    ) -> Result<answers::Ok<Page<TicketSummary>>, Failure<422>> {
        let filter = Filter {
            site: site.0.as_deref(),
            status: status.0.as_deref(),
            priority: priority.0.as_deref(),
            assignee: of.0.as_ref().map(assignee),
            tags: &names(tag.0.as_deref().unwrap_or_default()),
            waiting: waiting.0.unwrap_or_default(),
            unread: unread.0.unwrap_or_default(),
            unresolved: unresolved.0.unwrap_or_default(),
            snoozed: snoozed.0,
            search: q.0.as_deref(),
        };
        let page = org.run(async |tx| inbox::page(tx, paging.request(), &filter).await).await?;
        Ok(answers::Ok(Page::of(page, TicketSummary::from)))
    }

    /// Make a ticket
    ///
    /// For a customer who called, or whom the caller writes to first. It begins with the caller's message, which the customer gets by
    /// mail and can answer, or with a note. Where it stands and whose it is follows as from an answer, unless the body says so.
    /// At most three such mails a day go to an address, and 500 from an org: `unprocessable` of `notify`. With an `Idempotency-Key`
    /// a repeat of the same request by the same caller within 24 hours answers the same ticket.
    #[oai(path = "/tickets", method = "post", operation_id = "createTicket")]
    async fn create(
        &self,
        org: Org<TicketWrite>,
        /// Makes a repeat safe: any text of the client's, unique to this ticket.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: IdempotencyKey,
        body: Json<NewTicketBody>,
    ) -> Result<answers::Created<Ticket>, Failure<409, 422>> {
        let said = body.0.check()?;
        let tags = said.tags();
        let new = said.ticket(&tags, idempotency_key);
        let ticket = org
            .run(async |tx| {
                if said.assignee.is_some() {
                    assigns(tx)?;
                }
                opening::open(tx, &new).await
            })
            .await?;
        Ok(answers::Created(ticket.into()))
    }

    /// Read a ticket
    ///
    /// With the newest messages of its conversation, notes included, what changed meanwhile, and what the customer answered in
    /// a form; `next_cursor` leads to older messages, and to what changed among them. A page holds fewer messages than `limit`
    /// when they are long: an answer is 1 MiB at the most.
    #[oai(path = "/tickets/:id", method = "get", operation_id = "getTicket")]
    async fn ticket(
        &self,
        org: Org<TicketRead>,
        /// The ticket's id.
        id: Path<Uuid>,
        /// How many messages a page holds at the most; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `next_cursor` of the page with newer messages.
        cursor: Query<Option<Text<200>>>,
    ) -> Result<answers::Ok<Ticket>, Failure> {
        let page_request = PageRequest { limit: limit.0.unwrap_or(thread::LIMIT), cursor: cursor.0.as_deref() };
        let ticket = org.run(async |tx| agent::whole(tx, id.0, page_request).await).await?;
        Ok(answers::Ok(ticket.into()))
    }

    /// Say that one has a ticket open
    ///
    /// To be said every ten seconds while it is: other members see that the caller is there, for half a minute, and that they
    /// write, for ten seconds. With `read_to` the ticket is unread no more, until something else is said. The answer says who
    /// else is there. A machine key says it for its creator.
    #[oai(path = "/tickets/:id/seen", method = "put", operation_id = "seeTicket")]
    async fn see(
        &self,
        org: Org<TicketRead>,
        /// The ticket's id.
        id: Path<Uuid>,
        body: Json<SeenBody>,
    ) -> Result<answers::Ok<TicketViewers>, Failure<422>> {
        let mut checked = Checked::default();
        let typing = checked.take_optional("typing", body.0.typing).unwrap_or_default();
        checked.done()?;
        let viewers = org
            .run(async |tx| {
                seen::seen(tx, id.0, typing).await?;
                if let Some(message) = body.0.read_to {
                    seen::read_to(tx, id.0, message).await?;
                }
                seen::viewers(tx, &[id.0]).await
            })
            .await?;
        Ok(answers::Ok(TicketViewers { viewers: viewers.into_iter().map(Into::into).collect() }))
    }

    /// Change a ticket
    ///
    /// Status, priority, tags, and who takes care of it; the last needs `ticket:assign` besides. The answer has the newest messages.
    #[oai(path = "/tickets/:id", method = "patch", operation_id = "updateTicket")]
    async fn update(
        &self,
        org: Org<TicketWrite>,
        /// The ticket's id.
        id: Path<Uuid>,
        body: Json<TicketChangeBody>,
    ) -> Result<answers::Ok<Ticket>, Failure<409, 422>> {
        let mut checked = Checked::default();
        let status = checked.take_optional("status", body.0.status);
        let priority = checked.take_optional("priority", body.0.priority);
        let add = checked.take_optional("add_tags", body.0.add_tags).unwrap_or_default();
        let remove = checked.take_optional("remove_tags", body.0.remove_tags).unwrap_or_default();
        checked.done()?;
        let (add, remove) = (names(&add), names(&remove));
        let assignee = stated(body.0.assignee);
        let change = agent::Change {
            status: status.as_deref(),
            priority: priority.as_deref(),
            assignee,
            add_tags: &add,
            remove_tags: &remove,
            ..agent::Change::default()
        };
        let ticket = org
            .run(async |tx| {
                if assignee.is_some() {
                    assigns(tx)?;
                }
                agent::change(tx, id.0, &change).await
            })
            .await?;
        Ok(answers::Ok(ticket.into()))
    }

    /// Change many tickets
    ///
    /// At most 100, all alike, in one transaction. Those that the caller does not see are told in `not_found`, and the others are
    /// changed; when one of these cannot be changed so (a member who may not be given it, a 31st tag), none is. `changed` says what
    /// they were: `undoTickets` takes it.
    #[oai(path = "/tickets/bulk", method = "post", operation_id = "updateTickets")]
    async fn bulk(&self, org: Org<TicketWrite>, body: Json<BulkBody>) -> Result<answers::Ok<Done>, Failure<422>> {
        let mut checked = Checked::default();
        let status = checked.take_optional("status", body.0.status);
        let priority = checked.take_optional("priority", body.0.priority);
        let add = checked.take_optional("add_tags", body.0.add_tags).unwrap_or_default();
        let remove = checked.take_optional("remove_tags", body.0.remove_tags).unwrap_or_default();
        checked.done()?;
        let (add, remove) = (names(&add), names(&remove));
        let change = agent::Change {
            status: status.as_deref(),
            priority: priority.as_deref(),
            assignee: stated(body.0.assignee),
            snooze: stated(body.0.snoozed_until),
            add_tags: &add,
            remove_tags: &remove,
        };
        let done = org
            .run(async |tx| {
                if change.assignee.is_some() {
                    assigns(tx)?;
                }
                bulk::change(tx, &body.0.tickets, &change).await
            })
            .await?;
        Ok(answers::Ok(done.into()))
    }

    /// Take back a change of many tickets
    ///
    /// Those to which something else happened since stay as they are. A status, a priority or a tag that is gone meanwhile does not
    /// come back; mail that was written is not taken back.
    #[oai(path = "/tickets/bulk/undo", method = "post", operation_id = "undoTickets")]
    async fn undo(&self, org: Org<TicketWrite>, body: Json<UndoBody>) -> Result<answers::Ok<Undone>, Failure<422>> {
        let before: Vec<bulk::Before> = body.0.tickets.into_iter().map(Into::into).collect();
        let undone = org.run(async |tx| bulk::undo(tx, &before).await).await?;
        Ok(answers::Ok(undone.into()))
    }

    /// Snooze a ticket
    ///
    /// It is out of sight until then: it does not count as waiting, nor in the views that there always are. It is back when the time
    /// is over, and at once when its customer writes. One that is resolved or closed is not snoozed.
    #[oai(path = "/tickets/:id/snooze", method = "post", operation_id = "snoozeTicket")]
    async fn snooze(
        &self,
        org: Org<TicketWrite>,
        /// The ticket's id.
        id: Path<Uuid>,
        body: Json<SnoozeBody>,
    ) -> Result<answers::Ok<Ticket>, Failure<422>> {
        let mut checked = Checked::default();
        let Some(until) = checked.take("until", body.0.until) else {
            return Err(checked.problem().into());
        };
        let ticket = org.run(async |tx| agent::snooze(tx, id.0, until).await).await?;
        Ok(answers::Ok(ticket.into()))
    }

    /// Wake a ticket
    ///
    /// Whether it is snoozed or not.
    #[oai(path = "/tickets/:id/snooze", method = "delete", operation_id = "wakeTicket")]
    async fn wake(
        &self,
        org: Org<TicketWrite>,
        /// The ticket's id.
        id: Path<Uuid>,
    ) -> Result<answers::NoContent, Failure> {
        let wake = agent::Change { snooze: Some(None), ..agent::Change::default() };
        org.run(async |tx| agent::apply(tx, &[id.0], &wake).await).await?;
        Ok(answers::NoContent)
    }

    /// List who may be given a ticket
    ///
    /// Members who may answer it and see its site, by e-mail.
    #[oai(path = "/tickets/:id/assignees", method = "get", operation_id = "listTicketAssignees")]
    async fn assignees(
        &self,
        org: Org<TicketRead>,
        /// The ticket's id.
        id: Path<Uuid>,
        paging: Paging<600>,
    ) -> Result<answers::Ok<Page<Candidate>>, Failure> {
        let page = org.run(async |tx| agent::assignees(tx, id.0, paging.request()).await).await?;
        Ok(answers::Ok(Page::of(page, Candidate::from)))
    }

    /// Delete a ticket
    ///
    /// With its conversation; its customer's token opens nothing any more.
    #[oai(path = "/tickets/:id", method = "delete", operation_id = "deleteTicket")]
    async fn delete(
        &self,
        org: Org<TicketDelete>,
        /// The ticket's id.
        id: Path<Uuid>,
    ) -> Result<answers::NoContent, Failure<409>> {
        org.run(async |tx| agent::delete(tx, id.0).await).await?;
        Ok(answers::NoContent)
    }

    /// Answer a ticket
    ///
    /// Or note something that its customer never sees. A closed ticket takes notes only: `ticket_closed`. One that has 1,000
    /// messages, notes included, or 4 MiB of text takes nothing: `ticket_full`. What the caller had typed of it is forgotten. With
    /// an `Idempotency-Key` a repeat of the same request by the same caller within 24 hours answers the same message. The org says
    /// whether an answer sets the ticket pending, and assigns one of nobody to the member who answers (`updateOrg`).
    #[oai(path = "/tickets/:id/messages", method = "post", operation_id = "answerTicket")]
    async fn answer(
        &self,
        org: Org<TicketWrite>,
        /// The ticket's id.
        id: Path<Uuid>,
        /// Makes a repeat safe: any text of the client's, unique to this answer.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: IdempotencyKey,
        body: Json<NewMessageBody>,
    ) -> Result<answers::Created<Message>, Failure<409, 422>> {
        let mut checked = Checked::default();
        let text = checked.take("body", body.0.body);
        let internal = checked.take_optional("internal", body.0.internal);
        let status = checked.take_optional("status", body.0.status);
        let (Some(text), true) = (text, checked.is_empty()) else {
            return Err(checked.problem().into());
        };
        let internal = internal.unwrap_or_default();
        let flag: &[u8] = if internal { b"note" } else { b"reply" };
        let after = status.as_ref().map_or(&b""[..], |status| status.as_bytes());
        let key = idempotency_key.of(Sha256Digest::of_parts(&[flag, text.as_bytes(), after]));
        let answer =
            agent::NewAnswer { body: &text, internal, told: true, key, status: status.as_deref(), seen: body.0.seen };
        let (message, files) = org
            .run(async |tx| {
                let message = agent::answer(tx, id.0, &answer).await?;
                // A repeat may find files that came after the first time.
                let files = store::attachments::of_messages(tx, &[id.0], &[message.id]).await?;
                Ok((message, files))
            })
            .await?;
        Ok(answers::Created(Message::of(message, &files, &[])))
    }

    /// Read a draft
    ///
    /// What the caller has typed for a ticket and not sent; nobody else reads it. Without one `not_found`.
    #[oai(path = "/tickets/:id/drafts/:kind", method = "get", operation_id = "getTicketDraft")]
    async fn draft(
        &self,
        org: Org<TicketWrite>,
        /// The ticket's id.
        id: Path<Uuid>,
        /// What is to become of it.
        kind: Path<DraftKind>,
    ) -> Result<answers::Ok<Draft>, Failure> {
        let kind = drafts::Kind::from(kind.0);
        let all = org.run(async |tx| drafts::of_ticket(tx, id.0).await).await?;
        let found = all.into_iter().find(|draft| draft.kind == kind).ok_or_else(Problem::not_found)?;
        Ok(answers::Ok(found.into()))
    }

    /// Keep a draft
    ///
    /// In place of the one that was kept before. It goes when an answer, or a note, is sent, and with the ticket.
    #[oai(path = "/tickets/:id/drafts/:kind", method = "put", operation_id = "keepTicketDraft")]
    async fn keep_draft(
        &self,
        org: Org<TicketWrite>,
        /// The ticket's id.
        id: Path<Uuid>,
        /// What is to become of it.
        kind: Path<DraftKind>,
        body: Json<DraftBody>,
    ) -> Result<answers::Ok<Draft>, Failure> {
        let mut checked = Checked::default();
        let Some(text) = checked.take("body", body.0.body) else {
            return Err(checked.problem().into());
        };
        let draft = org.run(async |tx| drafts::keep(tx, id.0, kind.0.into(), &text).await).await?;
        Ok(answers::Ok(draft.into()))
    }

    /// Forget a draft
    ///
    /// Without one `not_found`.
    #[oai(path = "/tickets/:id/drafts/:kind", method = "delete", operation_id = "forgetTicketDraft")]
    async fn forget_draft(
        &self,
        org: Org<TicketWrite>,
        /// The ticket's id.
        id: Path<Uuid>,
        /// What is to become of it.
        kind: Path<DraftKind>,
    ) -> Result<answers::NoContent, Failure> {
        let work = async |tx: &mut OrgTx| {
            if drafts::drop(tx, id.0, kind.0.into()).await? { Ok(()) } else { Err(Problem::not_found()) }
        };
        org.run(work).await?;
        Ok(answers::NoContent)
    }
}
