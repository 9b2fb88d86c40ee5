//! Tickets: submitted with a key, read and answered with the ticket's own token.

use std::collections::{BTreeMap, HashMap};

use poem_openapi::{Enum, Object, OpenApi, param::Query, payload::Json, types::Example};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::{attachments::Attachment, identity::Opener, tags::Tag};
use crate::{
    auth::site_key::SiteKey,
    db::SiteTx,
    domain::{
        keys::Sha256Digest,
        problem::Problem,
        text::{Checked, EmailAddress, MESSAGE_LENGTH, MessageBody, NAME_LENGTH, SUBJECT_LENGTH, Text},
    },
    http::{
        answers::{self, Cached, Page},
        failure::Failure,
        headers::{CustomerHeader, IdempotencyKey, IfNoneMatch, MaybeCustomerHeader, TicketHeader},
        paging::Paging,
        text::{AnswerValue, Input, Nullable},
    },
    store::{
        self,
        identity::Customer,
        paging::PageRequest,
        templates::Filled,
        tickets::{mine, thread},
    },
};

pub struct TicketsApi;

/// What a customer submits.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
struct NewTicket {
    /// Where answers go. By a customer session it is the proven one, whatever is said here; else it is needed.
    email: Option<Input<EmailAddress>>,
    /// The customer's name.
    name: Option<Input<Text<NAME_LENGTH>>>,
    /// What it is about, in a line.
    subject: Input<Text<SUBJECT_LENGTH>>,
    /// What it is about, at length; plain text.
    message: Input<Text<MESSAGE_LENGTH>>,
    /// The ticket form that was filled in, one that the site offers.
    template_id: Option<Input<Uuid>>,
    /// The answers to the form's questions, by the question's id: text, the id of an option, `true` or `false`, or a day as
    /// `YYYY-MM-DD`.
    answers: Option<Input<HashMap<String, AnswerValue>>>,
}

/// A ticket that was submitted.
#[derive(Object)]
#[oai(example)]
struct SubmittedTicket {
    /// Its id.
    id: Uuid,
    /// Its number within the site.
    number: i64,
    /// Its reference, for people: its site's prefix, a hyphen and its number, such as `APP-21`; unique in the org.
    reference: String,
    /// Where it stands.
    status: TicketStatus,
    /// Its subject.
    subject: String,
    /// When it was submitted.
    created_at: OffsetDateTime,
    /// The id of its first message, to which files can be attached.
    message_id: Uuid,
    /// The ticket's token: `tk_` and 43 characters. Whoever holds it reads and answers this ticket. Shown once.
    token: String,
}

/// Where a ticket stands.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "snake_case")]
pub(super) enum TicketStatus {
    /// Waiting for an agent.
    Open,
    /// Waiting for the customer.
    Pending,
    /// Solved; a reply opens it again.
    Resolved,
    /// Over; takes no replies.
    Closed,
}

/// Who wrote a message.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "snake_case")]
enum Author {
    /// The customer.
    Customer,
    /// Somebody of the support team.
    Agent,
}

/// A ticket with a page of its conversation.
#[derive(Object)]
#[oai(example)]
pub(super) struct Thread {
    /// Its id.
    pub(super) id: Uuid,
    /// Its number within the site.
    pub(super) number: i64,
    /// Its reference, for people: its site's prefix, a hyphen and its number, such as `APP-21`; unique in the org.
    pub(super) reference: String,
    /// Its subject.
    pub(super) subject: String,
    /// Where it stands.
    pub(super) status: TicketStatus,
    /// When it was submitted.
    pub(super) created_at: OffsetDateTime,
    /// The newest messages, or those before `cursor`; the oldest of them first. Notes between agents are not in it.
    messages: Vec<Message>,
    /// Pass it as `cursor` for older messages; `null` when there are none.
    next_cursor: Nullable<String>,
}

/// A message of a conversation.
#[derive(Object)]
#[oai(example)]
pub(super) struct Message {
    /// Its id.
    id: Uuid,
    /// Who wrote it.
    author: Author,
    /// The writer's name, if known.
    author_name: Nullable<String>,
    /// The text: plain, as it was written. Escape it before it goes into a page.
    body: String,
    /// The same, sanitised: safe to insert into a page. An agent's text is Markdown, a customer's is plain; in both, lines end
    /// where they were ended, and addresses of pages are links.
    body_html: String,
    /// When it was written.
    created_at: OffsetDateTime,
    /// Its files, oldest first; `GET /support/v1/tickets/thread/attachments/{id}` reads one.
    attachments: Vec<Attachment>,
}

/// A customer's reply.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
pub(super) struct NewMessage {
    /// The text, plain.
    body: Input<Text<MESSAGE_LENGTH>>,
}

impl NewTicket {
    /// The ticket to create, and the digest of the request that an Idempotency-Key stands for.
    /// `customer` is whose session submits it.
    fn check(self, customer: Option<Customer>) -> Result<(store::tickets::public::NewTicket, Sha256Digest), Problem> {
        let mut checked = Checked::default();
        let typed = checked.take_optional("email", self.email);
        let mut name = checked.take_optional("name", self.name);
        let email = match customer {
            Some(customer) => {
                name = name.or(customer.name);
                Some(customer.email)
            }
            None if typed.is_none() && checked.is_empty() => {
                checked.fault("email", "is needed".to_owned());
                None
            }
            None => typed,
        };
        let subject = checked.take("subject", self.subject);
        let message = checked.take("message", self.message);
        let template_id = checked.take_optional("template_id", self.template_id);
        let answers = checked.take_optional("answers", self.answers);
        let (Some(email), Some(subject), Some(message), true) = (email, subject, message, checked.is_empty()) else {
            return Err(checked.problem());
        };
        // Values are checked as they are parsed; the map takes any text for a question's id.
        if answers.iter().flatten().any(|(question, _)| question.contains('\0')) {
            return Err(Problem::invalid_field("answers", "must not contain U+0000"));
        }
        let answers: BTreeMap<String, String> =
            answers.unwrap_or_default().into_iter().map(|(question, value)| (question, value.0)).collect();
        let form = match template_id {
            Some(template_id) => Some(Filled { template_id, answers }),
            None if answers.is_empty() => None,
            None => return Err(Problem::unprocessable("answers", "answers need the `template_id` of their form")),
        };
        let new = store::tickets::public::NewTicket { email, name, subject, message, form };
        let name = new.name.as_deref();
        let form = new.form.as_ref().map(|form| format!("{} {:?}", form.template_id, form.answers)).unwrap_or_default();
        let digest = Sha256Digest::of_parts(&[
            b"ticket",
            new.email.as_bytes(),
            if name.is_some() { b"named" } else { b"" },
            name.unwrap_or_default().as_bytes(),
            new.subject.as_bytes(),
            new.message.as_bytes(),
            form.as_bytes(),
        ]);
        Ok((new, digest))
    }
}

impl NewMessage {
    /// The text, and the digest of the request that an Idempotency-Key stands for.
    pub(super) fn check(self) -> Result<(MessageBody, Sha256Digest), Problem> {
        let mut checked = Checked::default();
        let Some(body) = checked.take("body", self.body) else { return Err(checked.problem()) };
        let request = Sha256Digest::of_parts(&[b"message", body.as_bytes()]);
        Ok((body, request))
    }
}

impl TicketStatus {
    pub(super) fn read(status: &str) -> Result<Self, Problem> {
        match status {
            // What the team calls otherwise is, for its customer, being worked on.
            "open" | "custom" => Ok(Self::Open),
            "pending" => Ok(Self::Pending),
            "resolved" => Ok(Self::Resolved),
            "closed" => Ok(Self::Closed),
            other => Err(Problem::internal(format_args!("a ticket has the status {other}"))),
        }
    }
}

impl Message {
    /// With those of the ticket's files that are its own.
    fn of(rendered: store::tickets::public::Rendered, files: &[store::attachments::Attachment]) -> Self {
        let store::tickets::public::Rendered { message: row, html } = rendered;
        Self {
            id: row.id,
            author: if row.author == "agent" { Author::Agent } else { Author::Customer },
            author_name: Nullable(row.author_name),
            body: row.body,
            body_html: html,
            created_at: row.created_at,
            attachments: files.iter().filter(|file| file.message_id == row.id).cloned().map(Into::into).collect(),
        }
    }
}

impl Example for NewTicket {
    fn example() -> Self {
        Self {
            email: Some(Input::of(EmailAddress::known("ada@example.com"))),
            name: Some(Input::of(Text::known("Ada Lovelace"))),
            subject: Input::of(Text::known("I cannot export my data")),
            message: Input::of(Text::known("The export button stays grey, whatever I select.")),
            template_id: None,
            answers: None,
        }
    }
}

impl Example for NewMessage {
    fn example() -> Self {
        Self { body: Input::of(Text::known("It works now, thank you!")) }
    }
}

const EXAMPLE_ID: Uuid = Uuid::from_u128(0x9b2d_4f0e_1c57_4e0a_b7a5_60d1_4c3e_8f21);
const EXAMPLE_MESSAGE_ID: Uuid = Uuid::from_u128(0x51f7_0c2b_96d3_4c58_8f0a_2e66_d7b1_3c90);
const EXAMPLE_TIME: OffsetDateTime = datetime!(2026-03-02 10:15 UTC);

impl Example for SubmittedTicket {
    fn example() -> Self {
        Self {
            id: EXAMPLE_ID,
            number: 42,
            reference: "APP-42".to_owned(),
            status: TicketStatus::Open,
            subject: "I cannot export my data".to_owned(),
            created_at: EXAMPLE_TIME,
            message_id: EXAMPLE_MESSAGE_ID,
            // Shorter than a real one, so that a copy of it is told apart by its length.
            token: "tk_example".to_owned(),
        }
    }
}

impl Example for Message {
    fn example() -> Self {
        Self {
            id: EXAMPLE_MESSAGE_ID,
            author: Author::Customer,
            author_name: Nullable(Some("Ada Lovelace".to_owned())),
            body: "The export button stays grey, whatever I select.".to_owned(),
            body_html: "<p>The export button stays grey, whatever I select.</p>\n".to_owned(),
            created_at: EXAMPLE_TIME,
            attachments: vec![Attachment::example()],
        }
    }
}

impl Example for Thread {
    fn example() -> Self {
        Self {
            id: EXAMPLE_ID,
            number: 42,
            reference: "APP-42".to_owned(),
            subject: "I cannot export my data".to_owned(),
            status: TicketStatus::Open,
            created_at: EXAMPLE_TIME,
            messages: vec![Message::example()],
            next_cursor: Nullable(None),
        }
    }
}

/// A ticket in a customer's list.
#[derive(Object)]
#[oai(rename = "MyTicket", example)]
struct MyTicket {
    /// Its id.
    id: Uuid,
    /// Its number within the site.
    number: i64,
    /// Its reference, for people, such as `APP-21`.
    reference: String,
    /// Its subject.
    subject: String,
    /// Where it stands.
    status: TicketStatus,
    /// When it was submitted.
    created_at: OffsetDateTime,
    /// When the customer or the team last wrote.
    last_activity_at: OffsetDateTime,
    /// Answers of the team since the customer last opened it.
    unread: i64,
}

impl MyTicket {
    fn of(row: mine::Listed) -> Result<Self, Problem> {
        Ok(Self {
            id: row.id,
            number: row.number,
            reference: row.reference,
            subject: row.subject,
            status: TicketStatus::read(&row.status)?,
            created_at: row.created_at,
            last_activity_at: row.last_activity_at,
            unread: row.unread,
        })
    }
}

impl Example for MyTicket {
    fn example() -> Self {
        let Thread { id, number, reference, subject, status, created_at, .. } = Thread::example();
        Self { id, number, reference, subject, status, created_at, last_activity_at: created_at, unread: 1 }
    }
}

#[OpenApi(prefix_path = "/support/v1", tag = "Tag::Tickets")]
impl TicketsApi {
    /// Submit a ticket
    ///
    /// Creates a ticket on the key's site and shows its token, once. With an `Idempotency-Key` a repeat of the same
    /// request within 24 hours answers the same ticket with a further token of its own. A site may want an identity: then it
    /// takes tickets from customer sessions only, and answers others `identity_required`.
    #[oai(path = "/tickets", method = "post", operation_id = "submitTicket")]
    async fn submit(
        &self,
        key: SiteKey,
        /// Makes a repeat safe: any text of the client's, unique to this submission.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: IdempotencyKey,
        /// The customer session, if there is one: the ticket is theirs, and in their list.
        #[oai(name = "X-Vicket-Customer")]
        customer: MaybeCustomerHeader,
        body: Json<NewTicket>,
    ) -> Result<answers::Created<SubmittedTicket>, Failure<409, 422>> {
        let mut tx = key.enter().await?;
        let entered = match customer.0 {
            Some(session) => store::identity::enter(&mut tx, session, None).await.map(Some),
            None => Ok(None),
        };
        let checked = entered.and_then(|customer| body.0.check(customer));
        let (new, request) = match checked {
            Ok(checked) => checked,
            Err(refusal) => return Ok(tx.finish(Err(refusal)).await?),
        };
        let token = tx.take_issued_token().ok_or_else(|| Problem::internal("entered without a token to issue"))?;
        let created = store::tickets::public::create(&mut tx, &new, idempotency_key.of(request), &token).await;
        let store::tickets::public::Submitted { ticket, message_id } = tx.finish(created).await?;
        Ok(answers::Created(SubmittedTicket {
            id: ticket.id,
            number: ticket.number,
            reference: ticket.reference,
            status: TicketStatus::read(&ticket.status)?,
            subject: ticket.subject,
            created_at: ticket.created_at,
            message_id,
            token: token.reveal().to_owned(),
        }))
    }

    /// List my tickets
    ///
    /// Those that the customer submitted by a session of this site, the newest first.
    #[oai(path = "/tickets", method = "get", operation_id = "listMyTickets", tag = "Tag::Identity")]
    async fn list(
        &self,
        key: SiteKey,
        /// The customer session.
        #[oai(name = "X-Vicket-Customer")]
        customer: CustomerHeader,
        paging: Paging,
        /// The `ETag` of an earlier answer: 304 when nothing changed.
        #[oai(name = "If-None-Match")]
        if_none_match: IfNoneMatch,
    ) -> Result<Cached<Page<MyTicket>>, Failure> {
        let mut tx = Opener::by_session(&key, customer, None).enter().await?;
        let page = mine::page(&mut tx, paging.request()).await;
        let (rows, next) = tx.finish(page).await?;
        let rows = rows.into_iter().map(MyTicket::of).collect::<Result<Vec<_>, _>>()?;
        Ok(Cached::of(&Cached::representation(&Page::of((rows, next), |row| row)), &if_none_match))
    }

    /// Read a ticket
    ///
    /// The ticket that the token opens, with the newest messages of its conversation; `next_cursor` leads to older ones. A
    /// page holds fewer messages than `limit` when they are long: an answer is 1 MiB at the most. A token that is absent,
    /// unknown or of another site answers `404`, all alike.
    #[oai(path = "/tickets/thread", method = "get", operation_id = "getTicketThread")]
    async fn thread(
        &self,
        key: SiteKey,
        /// The ticket's token.
        #[oai(name = "X-Vicket-Ticket")]
        _ticket: TicketHeader,
        /// How many messages a page holds at the most; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `next_cursor` of the page with newer messages.
        cursor: Query<Option<Text<200>>>,
        /// The `ETag` of an earlier answer: 304 when nothing changed.
        #[oai(name = "If-None-Match")]
        if_none_match: IfNoneMatch,
    ) -> Result<Cached<Thread>, Failure<404>> {
        let mut tx = key.enter().await?;
        let page_request = PageRequest { limit: limit.0.unwrap_or(thread::LIMIT), cursor: cursor.0.as_deref() };
        let read = read_thread(&mut tx, page_request).await;
        let thread = tx.finish(read).await?;
        Ok(Cached::of(&Cached::representation(&thread), &if_none_match))
    }

    /// Reply to a ticket
    ///
    /// Adds the customer's message to the ticket that the token opens. A resolved ticket opens again; a closed one
    /// answers `409`, and so does one that has 1,000 messages or 4 MiB of text: `ticket_full`. With an `Idempotency-Key` a
    /// repeat answers the same message.
    #[oai(path = "/tickets/thread/messages", method = "post", operation_id = "replyToTicket")]
    async fn reply(
        &self,
        key: SiteKey,
        /// The ticket's token.
        #[oai(name = "X-Vicket-Ticket")]
        _ticket: TicketHeader,
        /// Makes a repeat safe: any text of the client's, unique to this reply.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: IdempotencyKey,
        body: Json<NewMessage>,
    ) -> Result<answers::Created<Message>, Failure<404, 409>> {
        let (body, request) = body.0.check()?;
        let tx = key.enter().await?;
        Ok(answers::Created(add_reply(tx, &body, idempotency_key.of(request)).await?))
    }
}

/// Adds the customer's message to the ticket that the transaction opens.
pub(super) async fn add_reply(
    mut tx: SiteTx,
    body: &MessageBody,
    submission: Option<store::tickets::public::Submission>,
) -> Result<Message, Problem> {
    let replied = async {
        let message = store::tickets::public::reply(&mut tx, body, submission).await?;
        // A repeat may find files that came after the first time.
        let files = store::attachments::of_my_messages(&mut tx, &[message.id]).await?;
        Ok(Message::of(message.into(), &files))
    };
    let replied = replied.await;
    tx.finish(replied).await
}

pub(super) async fn read_thread(tx: &mut SiteTx, page_request: PageRequest<'_>) -> Result<Thread, Problem> {
    let ticket = store::tickets::public::mine(tx).await?;
    let thread::Thread { messages, files, next } = thread::mine(tx, page_request).await?;
    Ok(Thread {
        id: ticket.id,
        number: ticket.number,
        reference: ticket.reference,
        subject: ticket.subject,
        status: TicketStatus::read(&ticket.status)?,
        created_at: ticket.created_at,
        messages: messages.into_iter().map(|message| Message::of(message, &files)).collect(),
        next_cursor: Nullable(next),
    })
}
