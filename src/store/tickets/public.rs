//! Tickets as their customers write and read them. The token in the context is what opens one, or a customer's session that
//! named one of theirs: `ctx.ticket_id()` in the policies is that ticket, and no statement here takes it from a request.

use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::templates::{self, Filled};
use crate::{
    db::SiteTx,
    domain::{
        keys::{Sha256Digest, TicketToken},
        markdown,
        problem::{Code, Problem},
        text::{EmailAddress, MessageBody, PersonName, TicketSubject},
    },
};

/// What a customer submits, checked.
#[derive(Debug)]
pub struct NewTicket {
    pub email: EmailAddress,
    pub name: Option<PersonName>,
    pub subject: TicketSubject,
    pub message: MessageBody,
    /// The form that was filled in.
    pub form: Option<Filled>,
}

/// An `Idempotency-Key` and the request that it stands for, as digests.
#[derive(Clone, Copy, Debug)]
pub struct Submission {
    pub key: Sha256Digest,
    pub request: Sha256Digest,
}

/// A ticket as its customer sees it.
#[derive(Debug, FromRow)]
pub struct Ticket {
    pub id: Uuid,
    pub number: i64,
    pub reference: String,
    pub subject: String,
    pub status: String,
    pub created_at: OffsetDateTime,
}

/// A ticket that was submitted.
#[derive(Debug)]
pub struct Submitted {
    pub ticket: Ticket,
    /// Of its first message.
    pub message_id: Uuid,
}

/// A public message.
#[derive(Debug, FromRow)]
pub struct Message {
    pub id: Uuid,
    pub author: String,
    pub author_name: Option<String>,
    pub body: String,
    pub created_at: OffsetDateTime,
}

impl Message {
    /// Its text as HTML that a page may insert: of an agent, Markdown; of a customer, plain text.
    pub fn html(&self) -> String {
        if self.author == "agent" { markdown::message(&self.body) } else { markdown::plain(&self.body) }
    }
}

/// A message of a page, with its text as HTML, which the page has to have room for, too.
#[derive(Debug)]
pub struct Rendered {
    pub message: Message,
    pub html: String,
}

impl From<Message> for Rendered {
    fn from(message: Message) -> Self {
        Self { html: message.html(), message }
    }
}

/// The ids that a submission goes by: new ones, or those of the same submission before.
pub(in crate::store) struct Claim {
    pub repeated: bool,
    pub ticket_id: Uuid,
    /// Of the message, or of the upload.
    pub message_id: Uuid,
}

const INSERT_TOKEN: &str = "insert into vicket.ticket_tokens (ticket_id, token_hash) values ($1, $2)";
/// The token, then what it opens: each policy asks for the ticket of the token. Nothing where the site wants an identity and there
/// is none, which the policy of the ticket would refuse as an attack.
const INSERT_TICKET: &str = "with token as (
      insert into vicket.ticket_tokens (ticket_id, token_hash) select $1, $2 where (select ctx.may_submit($3))
      returning true
    ), message as (
      insert into vicket.ticket_messages (id, ticket_id, author_name, body)
      select $6, $1, $4, $7 from token
      returning true
    ), ticket as (
      insert into vicket.tickets (id, email, name, subject)
      select $1, $3, $4, $5 from message
      returning org_id, site_id, id, number, subject, status, created_at
    )
    select t.id, t.number, s.prefix || '-' || t.number as reference, t.subject, t.status, t.created_at
    from ticket t
    join vicket.sites s on s.org_id = t.org_id and s.id = t.site_id";

/// Creates a ticket with its first message and issues `token` for it; the transaction was entered with the token's
/// digest. A repeated submission gets the ticket of then, which `token` opens from now on too.
///
/// # Errors
/// `401 identity_required`; `409 idempotency_conflict`; `422 unprocessable` for answers that do not fit the form.
pub async fn create(
    tx: &mut SiteTx,
    new: &NewTicket,
    submission: Option<Submission>,
    token: &TicketToken,
) -> Result<Submitted, Problem> {
    let Claim { repeated, ticket_id, message_id } = match submission {
        Some(submission) => claim(tx, "ticket", submission).await?,
        None => Claim { repeated: false, ticket_id: Uuid::new_v4(), message_id: Uuid::new_v4() },
    };
    // A repeat is answered as then, whatever became of the form.
    let answers = match &new.form {
        Some(form) if !repeated => Some((form.template_id, templates::check(tx, form).await?)),
        _ => None,
    };
    let digest = token.digest();
    if repeated {
        sqlx::query(INSERT_TOKEN).bind(ticket_id).bind(digest.as_bytes().as_slice()).execute(tx.connection()).await?;
        return Ok(Submitted { ticket: mine(tx).await?, message_id });
    }
    let ticket = sqlx::query_as(INSERT_TICKET)
        .bind(ticket_id)
        .bind(digest.as_bytes().as_slice())
        .bind(new.email.as_str())
        .bind(new.name.as_deref())
        .bind(new.subject.as_str())
        .bind(message_id)
        .bind(new.message.as_str())
        .fetch_optional(tx.connection())
        .await?
        .ok_or_else(|| {
            let detail = "This site takes tickets from customers whom it knows. Log in there first.";
            Problem::new(Code::IdentityRequired, detail)
        })?;
    if let Some((template_id, answers)) = &answers {
        templates::score(tx, ticket_id, *template_id, answers).await?;
    }
    Ok(Submitted { ticket, message_id })
}

/// The ticket that the token in the context opens.
///
/// # Errors
/// `404 not_found` when it opens none of this site.
pub async fn mine(tx: &mut SiteTx) -> Result<Ticket, Problem> {
    sqlx::query_as(
        "select t.id, t.number, s.prefix || '-' || t.number as reference, t.subject, t.status, t.created_at
        from vicket.tickets t
        join vicket.sites s on s.org_id = t.org_id and s.id = t.site_id
        where t.id = (select ctx.ticket_id())",
    )
    .fetch_optional(tx.connection())
    .await?
    .ok_or_else(Problem::not_found)
}

/// Adds the customer's message to the ticket that the token in the context opens; reopens a resolved one.
///
/// # Errors
/// `404 not_found`, `409 ticket_closed`, `409 ticket_full`, `409 idempotency_conflict`.
pub async fn reply(tx: &mut SiteTx, body: &MessageBody, submission: Option<Submission>) -> Result<Message, Problem> {
    let mut message_id = Uuid::new_v4();
    if let Some(submission) = submission {
        let ticket = mine(tx).await?;
        // The same text on another ticket is another reply.
        let request = Sha256Digest::of_parts(&[submission.request.as_bytes(), ticket.id.as_bytes()]);
        let submission = Submission { request, ..submission };
        let claim = claim(tx, "message", submission).await?;
        if claim.repeated {
            return message(tx, claim.message_id).await;
        }
        message_id = claim.message_id;
    }
    // None means no such token, and no ticket of a customer.
    let inserted = sqlx::query_as(
        "insert into vicket.ticket_messages (id, ticket_id, author_name, body)
        select $1, t.id, t.name, $2 from vicket.tickets t where t.id = (select ctx.ticket_id())
        returning id, author, author_name, body, created_at",
    )
    .bind(message_id)
    .bind(body.as_str())
    .fetch_optional(tx.connection())
    .await
    .map_err(|error| match super::super::constraint(&error) {
        "ticket_not_closed" => Problem::new(Code::TicketClosed, "This ticket is closed. Submit a new one."),
        "ticket_full" => {
            Problem::new(Code::TicketFull, "This ticket has all the messages that it takes. Submit a new one.")
        }
        _ => error.into(),
    })?;
    inserted.ok_or_else(Problem::not_found)
}

async fn message(tx: &mut SiteTx, id: Uuid) -> Result<Message, Problem> {
    sqlx::query_as(
        "select m.id, m.author, m.author_name, m.body, m.created_at from vicket.ticket_messages m where m.id = $1",
    )
    .bind(id)
    .fetch_optional(tx.connection())
    .await?
    .ok_or_else(Problem::not_found)
}

/// Claims an idempotency key. The database chooses the ids: those of a new ticket, or of the ticket that the token opens.
///
/// # Errors
/// `404 not_found` without a ticket to answer; `409 idempotency_conflict`.
pub(in crate::store) async fn claim(tx: &mut SiteTx, kind: &str, submission: Submission) -> Result<Claim, Problem> {
    let (verdict, ticket_id, message_id): (String, Option<Uuid>, Option<Uuid>) =
        sqlx::query_as("select verdict, ticket_id, message_id from ctx.claim_submission($1, $2, $3)")
            .bind(kind)
            .bind(submission.key.as_bytes().as_slice())
            .bind(submission.request.as_bytes().as_slice())
            .fetch_one(tx.connection())
            .await?;
    match (verdict.as_str(), ticket_id, message_id) {
        ("no_ticket", ..) => Err(Problem::not_found()),
        ("new" | "repeat", Some(ticket_id), Some(message_id)) => {
            Ok(Claim { repeated: verdict == "repeat", ticket_id, message_id })
        }
        _ => Err(Problem::new(
            Code::IdempotencyConflict,
            "This Idempotency-Key was used for a different request in the last 24 hours. Use a new one.",
        )),
    }
}
