//! Tickets that agents make: for a customer who called, or whom they write to first.

use uuid::Uuid;

use super::{
    super::sites,
    agent::{self, Change, NewAnswer, Whole},
    public::Submission,
    thread::NEWEST,
};
use crate::{
    db::OrgTx,
    domain::{
        problem::{Code, Problem},
        text::{EmailAddress, MessageBody, PersonName, TicketSubject},
    },
};

/// A ticket to make.
#[derive(Debug)]
pub struct NewTicket<'a> {
    /// The site's slug.
    pub site: &'a str,
    /// Whose ticket it is.
    pub email: &'a EmailAddress,
    pub name: Option<&'a PersonName>,
    pub subject: &'a TicketSubject,
    /// What it begins with: whoever makes it says so.
    pub message: &'a MessageBody,
    /// As a note that the customer never sees.
    pub internal: bool,
    /// Whether the customer is told by mail; never of a note.
    pub notify: bool,
    /// What else is decided about it.
    pub change: Change<'a>,
    /// What makes a repeat safe.
    pub key: Option<Submission>,
}

/// Makes a ticket. Where it stands and whose it is follows as from an answer, unless it is said. A repeat with the same key is
/// answered by the ticket of then.
///
/// # Errors
/// `409 idempotency_conflict`; `422 unprocessable` for a site that is not there or is none of their teams', for what
/// [`agent::change`] refuses, and for mail to an address that was written to too often today.
pub async fn open(tx: &mut OrgTx, new: &NewTicket<'_>) -> Result<Whole, Problem> {
    let site = sites::id_of(tx, Some(new.site)).await?;
    let none = || Problem::unprocessable("site", "none of your teams has this site");
    let mut id = Uuid::new_v4();
    if let Some(key) = new.key {
        let (verdict, ticket): (String, Option<Uuid>) =
            sqlx::query_as("select verdict, ticket_id from ctx.claim_opening($1, $2, $3)")
                .bind(site)
                .bind(key.key.as_bytes().as_slice())
                .bind(key.request.as_bytes().as_slice())
                .fetch_one(tx.connection())
                .await?;
        id = match (verdict.as_str(), ticket) {
            ("new", Some(ticket)) => ticket,
            ("repeat", Some(ticket)) => return agent::whole(tx, ticket, NEWEST).await,
            ("no_site", _) => return Err(none()),
            _ => {
                return Err(Problem::new(
                    Code::IdempotencyConflict,
                    "This Idempotency-Key was used for a different request in the last 24 hours. Use a new one.",
                ));
            }
        };
    }
    let made = sqlx::query(
        "insert into vicket.tickets (site_id, id, email, name, subject)
        select $1, $2, $3, $4, $5
        where (select ctx.sees_all_sites()) or $1 = any (array(select ctx.team_site_ids()))",
    )
    .bind(site)
    .bind(id)
    .bind(new.email.as_str())
    .bind(new.name.map(PersonName::as_str))
    .bind(new.subject.as_str())
    .execute(tx.connection())
    .await?;
    if made.rows_affected() == 0 {
        return Err(none());
    }
    let Change { status, .. } = new.change;
    agent::apply(tx, &[id], &Change { status: None, ..new.change }).await.map_err(|mut problem| {
        // Of a ticket to make they have another name.
        for error in problem.errors.iter_mut().filter(|error| error.field == "add_tags") {
            "tags".clone_into(&mut error.field);
        }
        problem
    })?;
    let said = NewAnswer {
        body: new.message,
        internal: new.internal,
        told: new.notify && !new.internal,
        key: None,
        status,
        seen: None,
    };
    agent::answer(tx, id, &said).await?;
    agent::whole(tx, id, NEWEST).await
}
