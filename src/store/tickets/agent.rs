//! One ticket as agents see it, with its timeline; what agents decide and answer. Which tickets are whose to see, and what
//! each member may do with them, policies say.

use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    super::{
        attachments,
        inbound_mails::{self, OfMessage},
        mails::{self, Delivery},
        paging::{self, Keyset, PageRequest},
        tags,
    },
    drafts,
    inbox::{self, Ticket},
    parts::{self, Part},
    public::Submission,
    thread::{self, NEWEST, ROOM, Said, Thread, newest},
};
use crate::{
    db::{Credential, OrgTx},
    domain::{
        permissions::Permission,
        problem::{Code, Problem},
        text::MessageBody,
    },
};

/// A message of a conversation, internal notes included.
#[derive(Debug, FromRow)]
pub struct Message {
    pub id: Uuid,
    /// Its own ticket: the one that it is read with, or one that is part of that.
    pub ticket_id: Uuid,
    pub author: String,
    pub author_id: Option<Uuid>,
    pub author_name: Option<String>,
    pub body: String,
    pub internal: bool,
    pub created_at: OffsetDateTime,
    /// What became of the mail to its customer; `None` without one.
    #[sqlx(skip)]
    pub delivery: Option<Delivery>,
    /// How it came, where it came by mail.
    #[sqlx(skip)]
    pub mail: Option<OfMessage>,
}

impl Said for Message {
    fn place(&self) -> Keyset {
        Keyset { figure: paging::micros(self.created_at), id: self.id }
    }

    fn texts(&self) -> [&str; 3] {
        let detail = self.delivery.as_ref().and_then(|delivery| delivery.detail.as_deref());
        [self.author_name.as_deref().unwrap_or_default(), &self.body, detail.unwrap_or_default()]
    }
}

/// A change of a ticket.
#[derive(Debug, FromRow)]
pub struct Event {
    pub at: OffsetDateTime,
    pub actor: String,
    pub kind: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// What a customer answered in a form, and what it was worth.
#[derive(Debug, FromRow)]
pub struct Answer {
    pub label: String,
    pub value: String,
    pub points: i32,
}

/// A ticket with what belongs to it.
#[derive(Debug)]
pub struct Whole {
    pub ticket: Ticket,
    /// A page of the conversation.
    pub thread: Thread<Message>,
    /// What changed while the page was written, oldest first: the newest [`EVENTS`] of it.
    pub events: Vec<Event>,
    pub answers: Vec<Answer>,
    /// The tickets that are part of it: the page holds their messages, too.
    pub parts: Vec<Part>,
}

/// Changes that go with a page of a conversation, at the most.
const EVENTS: i64 = 200;

/// The ticket of this id, with its answers and a page of its conversation. Each change is part of one page: of the one
/// with the message before it, or of the last one when there is no message before it.
///
/// # Errors
/// `400 invalid_cursor`, `404 not_found`.
pub async fn whole(tx: &mut OrgTx, id: Uuid, page_request: PageRequest<'_>) -> Result<Whole, Problem> {
    let (before, before_id) = thread::before(page_request)?;
    let ticket = inbox::ticket(tx, id).await?.ok_or_else(Problem::not_found)?;
    let answers: Vec<Answer> =
        sqlx::query_as("select label, value, points from vicket.ticket_answers where ticket_id = $1 order by position")
            .bind(id)
            .fetch_all(tx.connection())
            .await?;
    let answered: usize =
        answers.iter().map(|answer| thread::escaped(&answer.label) + thread::escaped(&answer.value)).sum();
    let room = ROOM.saturating_sub(answered);
    let parts = parts::of(tx, id).await?;
    let tickets: Vec<Uuid> = std::iter::once(id).chain(parts.iter().map(|part| part.id)).collect();
    let mut rows: Vec<Message> = sqlx::query_as(newest!(
        "m.id, m.ticket_id, m.author, m.author_id, m.author_name, m.body, m.internal, m.created_at",
        of "$5::uuid[]"
    ))
    .bind(before)
    .bind(before_id)
    .bind(page_request.fetch())
    .bind(i64::try_from(room).map_err(Problem::internal)?)
    .bind(&tickets)
    .fetch_all(tx.connection())
    .await?;
    deliver(tx, &mut rows).await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let files = attachments::of_messages(tx, &tickets, &ids).await?;
    let thread = Thread::of(page_request, rows, files, room);
    let since = thread.messages.first().filter(|_| thread.next.is_some()).map(|oldest| oldest.created_at);
    let mut events: Vec<Event> = sqlx::query_as(
        "select at, actor, kind, before, after
        from vicket.ticket_events
        where ticket_id = $1
          and at >= coalesce($2::timestamptz, '-infinity')
          and at < coalesce(timestamptz 'epoch' + $3 * interval '1 microsecond', 'infinity')
        order by at desc, id desc
        limit $4",
    )
    .bind(id)
    .bind(since)
    .bind(before)
    .bind(EVENTS)
    .fetch_all(tx.connection())
    .await?;
    events.reverse();
    Ok(Whole { ticket, thread, events, answers, parts })
}

/// Says of each message what became of its mail, and how it came by mail.
async fn deliver(tx: &mut OrgTx, messages: &mut [Message]) -> Result<(), Problem> {
    let answers: Vec<Uuid> = messages
        .iter()
        .filter(|message| message.author == "agent" && !message.internal)
        .map(|message| message.id)
        .collect();
    let deliveries = if answers.is_empty() { Vec::new() } else { mails::deliveries(tx, &answers).await? };
    let all: Vec<Uuid> = messages.iter().filter(|message| !message.internal).map(|message| message.id).collect();
    let came = if all.is_empty() { Vec::new() } else { inbound_mails::of_messages(tx, &all).await? };
    for message in messages {
        message.delivery = deliveries.iter().find(|delivery| delivery.message_id == message.id).cloned();
        message.mail = came.iter().find(|mail| mail.message_id == message.id).cloned();
    }
    Ok(())
}

/// How long a ticket is snoozed at the most.
const LONGEST_SNOOZE: time::Duration = time::Duration::days(366);

/// What an agent decides; what is `None` stays.
#[derive(Debug, Default, Clone, Copy)]
pub struct Change<'a> {
    /// A category, the name of a status, or its id.
    pub status: Option<&'a str>,
    /// The name of a priority, or its id.
    pub priority: Option<&'a str>,
    /// `Some(None)` takes it from whoever has it.
    pub assignee: Option<Option<Uuid>>,
    /// Until when it is out of sight; `Some(None)` wakes it.
    pub snooze: Option<Option<OffsetDateTime>>,
    /// Names or ids of tags that are put on it.
    pub add_tags: &'a [&'a str],
    /// Of tags that are taken off it.
    pub remove_tags: &'a [&'a str],
}

/// The status that somebody names: by its category, its name, or its id.
async fn status_of(tx: &mut OrgTx, name: &str) -> Result<Uuid, Problem> {
    let found = sqlx::query_scalar(
        "select id from vicket.statuses
        where deleted_at is null and (id::text = $1 or lower(name) = lower($1) or category = $1)
        order by id::text = $1 desc, lower(name) = lower($1) desc, is_default desc, position, id
        limit 1",
    )
    .bind(name)
    .fetch_optional(tx.connection())
    .await?;
    found.ok_or_else(|| Problem::unprocessable("status", "the org has no such status"))
}

/// Says why somebody is not given a ticket.
pub(super) fn unassignable(error: sqlx::Error) -> Problem {
    let reason = match super::super::constraint(&error) {
        "tickets_assignee_fkey" => "the org has no such member",
        "tickets_assignee_writes" => "they only read tickets: a viewer takes care of none",
        "tickets_assignee_sees" => "they do not see this ticket: none of their teams has its site",
        _ => return error.into(),
    };
    Problem::unprocessable("assignee", reason)
}

/// Snoozes a ticket until a time.
///
/// # Errors
/// `404 not_found`; `422 unprocessable` for a time that is over or a year away, and for a ticket that is solved.
pub async fn snooze(tx: &mut OrgTx, id: Uuid, until: OffsetDateTime) -> Result<Whole, Problem> {
    let whole = change(tx, id, &Change { snooze: Some(Some(until)), ..Change::default() }).await?;
    if whole.ticket.snoozed_until.is_none() {
        return Err(Problem::unprocessable(
            "until",
            "the ticket is resolved or closed: nothing is to be done about it",
        ));
    }
    Ok(whole)
}

/// Somebody who may be given a ticket.
#[derive(Debug, FromRow)]
pub struct Candidate {
    pub id: Uuid,
    pub email: String,
    pub name: String,
}

/// Who may be given this ticket, by e-mail: who may answer it and sees its site, as the trigger `ticket_guarded` has it.
///
/// # Errors
/// `404 not_found`; `400 invalid_cursor`.
pub async fn assignees(
    tx: &mut OrgTx,
    id: Uuid,
    page_request: PageRequest<'_>,
) -> Result<(Vec<Candidate>, Option<String>), Problem> {
    let site: Option<Uuid> = sqlx::query_scalar("select t.site_id from vicket.tickets t where t.id = $1")
        .bind(id)
        .fetch_optional(tx.connection())
        .await?;
    let rows: Vec<Candidate> = sqlx::query_as(
        "select m.user_id as id, p.email, p.name
        from vicket.members m
        join ctx.people() p on p.user_id = m.user_id
        where ($1::text is null or p.email > $1)
          and m.role <> 'viewer'
          and (m.role in ('owner', 'admin')
            or not exists (select from vicket.team_members t where t.user_id = m.user_id)
            or exists (
              select from vicket.team_members t
              join vicket.team_sites s on s.org_id = t.org_id and s.team_id = t.team_id
              where t.user_id = m.user_id and s.site_id = $3
            ))
        order by p.email
        limit $2",
    )
    .bind(page_request.after_text(b'm')?)
    .bind(page_request.fetch())
    .bind(site.ok_or_else(Problem::not_found)?)
    .fetch_all(tx.connection())
    .await?;
    Ok(page_request.into_page(rows, |one| paging::write_text(b'm', &one.email)))
}

/// Changes a ticket.
///
/// # Errors
/// `404 not_found`; those of [`apply`].
pub async fn change(tx: &mut OrgTx, id: Uuid, change: &Change<'_>) -> Result<Whole, Problem> {
    apply(tx, &[id], change).await?;
    whole(tx, id, NEWEST).await
}

/// Changes all of these tickets alike, or none.
///
/// # Errors
/// `404 not_found` when one of them is not there; `422 unprocessable` for a status, a priority or a member that is not there, or a
/// member who may not be given one of them; for a tag that is not there, or one too many.
pub async fn apply(tx: &mut OrgTx, tickets: &[Uuid], change: &Change<'_>) -> Result<(), Problem> {
    let status: Option<Uuid> = match change.status {
        None => None,
        Some(name) => Some(status_of(tx, name).await?),
    };
    let priority: Option<Uuid> = match change.priority {
        None => None,
        Some(name) => {
            let found = sqlx::query_scalar(
                "select id from vicket.priorities
                where deleted_at is null and (id::text = $1 or lower(name) = lower($1))
                order by id::text = $1 desc
                limit 1",
            )
            .bind(name)
            .fetch_optional(tx.connection())
            .await?;
            Some(found.ok_or_else(|| Problem::unprocessable("priority", "the org has no such priority"))?)
        }
    };
    if let Some(Some(until)) = change.snooze {
        let now = OffsetDateTime::now_utc();
        if until <= now || until > now + LONGEST_SNOOZE {
            return Err(Problem::unprocessable("until", "must be in the future, and within a year"));
        }
    }
    let add = tags::known(tx, "add_tags", change.add_tags).await?;
    let remove = tags::known(tx, "remove_tags", change.remove_tags).await?;
    let changed = sqlx::query(
        "update vicket.tickets set
          status_id = coalesce($2, status_id),
          priority_id = coalesce($3, priority_id),
          assignee_id = case when $4 then $5 else assignee_id end,
          snoozed_until = case when $6 then $7 else snoozed_until end
        where id = any ($1)",
    )
    .bind(tickets)
    .bind(status)
    .bind(priority)
    .bind(change.assignee.is_some())
    .bind(change.assignee.flatten())
    .bind(change.snooze.is_some())
    .bind(change.snooze.flatten())
    .execute(tx.connection())
    .await
    .map_err(unassignable)?;
    if changed.rows_affected() != tickets.len() as u64 {
        return Err(Problem::not_found());
    }
    tags::tag(tx, tickets, &add, &remove).await
}

/// Why a ticket is not made whose customer would be told of it.
const MAIL_BOUNDED: &str = "too many first mails today: three to an address, 500 of an org; make it without one";

/// What an agent says.
#[derive(Debug)]
pub struct NewAnswer<'a> {
    pub body: &'a MessageBody,
    /// A note that the customer never sees.
    pub internal: bool,
    /// Whether its customer is told of it by mail; never of a note.
    pub told: bool,
    /// What makes a repeat safe.
    pub key: Option<Submission>,
    /// Where the ticket stands after it: a category, the name of a status, or its id. `None` for what the org says.
    pub status: Option<&'a str>,
    /// The newest message that its writer had before them; `None` to send it whatever was said meanwhile.
    pub seen: Option<Uuid>,
}

/// Answers a ticket, or notes something that its customer never sees; what its writer had typed of it is forgotten. An answer sets
/// the ticket pending and assigns it, as the org says and as far as its writer may. A repeat with the same key is answered by the
/// message of then, and does nothing else.
///
/// # Errors
/// `404 not_found`; `409 conversation_moved` for an answer to a conversation that went on; `409 ticket_closed` for an answer to a
/// closed one; `409 ticket_full`; `409 idempotency_conflict`; `422 unprocessable` for a message that is not one of the ticket.
pub async fn answer(tx: &mut OrgTx, ticket_id: Uuid, new: &NewAnswer<'_>) -> Result<Message, Problem> {
    let mut id = Uuid::new_v4();
    if let Some(key) = new.key {
        let claim = claim(tx, ticket_id, key).await?;
        if claim.repeated {
            return message(tx, ticket_id, claim.message_id).await;
        }
        id = claim.message_id;
    }
    if let Some(seen) = new.seen.filter(|_| !new.internal) {
        unmoved(tx, ticket_id, seen).await?;
    }
    let added: Option<Message> = sqlx::query_as(
        "insert into vicket.ticket_messages (site_id, id, ticket_id, author, body, internal, told)
        select t.site_id, $4, t.id, 'agent', $2, $3, $5 from vicket.tickets t where t.id = $1
        returning id, ticket_id, author, author_id, author_name, body, internal, created_at",
    )
    .bind(ticket_id)
    .bind(new.body.as_str())
    .bind(new.internal)
    .bind(id)
    .bind(new.told)
    .fetch_optional(tx.connection())
    .await
    .map_err(|error| match super::super::constraint(&error) {
        "ticket_not_closed" => Problem::new(Code::TicketClosed, "A closed ticket takes notes only. Open it first."),
        "mail_bounded" => Problem::unprocessable("notify", MAIL_BOUNDED),
        "ticket_full" => {
            Problem::new(Code::TicketFull, "This ticket has all the messages that it takes, notes included.")
        }
        _ => error.into(),
    })?;
    let mut added = added.ok_or_else(Problem::not_found)?;
    // What a program says is not what its creator has typed.
    if tx.actor().is_some_and(|actor| matches!(actor.credential, Credential::Session(_))) {
        drafts::drop(tx, ticket_id, if new.internal { drafts::Kind::Note } else { drafts::Kind::Reply }).await?;
    }
    follow(tx, ticket_id, new).await?;
    deliver(tx, std::slice::from_mut(&mut added)).await?;
    Ok(added)
}

/// What follows an answer, in one change of the ticket: where it stands, and whose it is. Whose, only of a member; a program is
/// nobody's colleague.
async fn follow(tx: &mut OrgTx, ticket_id: Uuid, new: &NewAnswer<'_>) -> Result<(), Problem> {
    let status = match new.status {
        Some(name) => Some(status_of(tx, name).await?),
        None => None,
    };
    if new.internal && status.is_none() {
        return Ok(());
    }
    let assigns = !new.internal
        && tx.actor().is_some_and(|actor| {
            matches!(actor.credential, Credential::Session(_)) && actor.may(Permission::TicketAssign)
        });
    sqlx::query(
        "update vicket.tickets t set
          status_id = coalesce(
            $2,
            case when o.answer_sets_pending and t.status = 'open' and not $4 then (
              select s.id from vicket.statuses s
              where s.deleted_at is null and s.category = 'pending'
              order by s.is_default desc, s.position, s.id
              limit 1
            ) end,
            t.status_id),
          assignee_id = case
            when o.answer_assigns and $3 then coalesce(t.assignee_id, (select ctx.actor_user_id())) else t.assignee_id end
        from vicket.orgs o
        where o.id = t.org_id and t.id = $1
          and ($2 <> t.status_id or o.answer_sets_pending and t.status = 'open' and not $4
            or o.answer_assigns and $3 and t.assignee_id is null)",
    )
    .bind(ticket_id)
    .bind(status)
    .bind(assigns)
    .bind(new.internal)
    .execute(tx.connection())
    .await?;
    Ok(())
}

struct Claim {
    repeated: bool,
    message_id: Uuid,
}

/// Claims an idempotency key: of whoever answers, and of this ticket.
async fn claim(tx: &mut OrgTx, ticket_id: Uuid, key: Submission) -> Result<Claim, Problem> {
    let (verdict, message_id): (String, Option<Uuid>) =
        sqlx::query_as("select verdict, message_id from ctx.claim_answer($1, $2, $3)")
            .bind(ticket_id)
            .bind(key.key.as_bytes().as_slice())
            .bind(key.request.as_bytes().as_slice())
            .fetch_one(tx.connection())
            .await?;
    match (verdict.as_str(), message_id) {
        ("no_ticket", _) => Err(Problem::not_found()),
        ("new" | "repeat", Some(message_id)) => Ok(Claim { repeated: verdict == "repeat", message_id }),
        _ => Err(Problem::new(
            Code::IdempotencyConflict,
            "This Idempotency-Key was used for a different request in the last 24 hours. Use a new one.",
        )),
    }
}

/// A message of a ticket.
async fn message(tx: &mut OrgTx, ticket_id: Uuid, id: Uuid) -> Result<Message, Problem> {
    let mut found: Message = sqlx::query_as(
        "select m.id, m.ticket_id, m.author, m.author_id, m.author_name, m.body, m.internal, m.created_at
        from vicket.tickets t
        join vicket.ticket_messages m on m.org_id = t.org_id and m.site_id = t.site_id and m.ticket_id = t.id and m.id = $2
        where t.id = $1",
    )
    .bind(ticket_id)
    .bind(id)
    .fetch_optional(tx.connection())
    .await?
    .ok_or_else(Problem::not_found)?;
    deliver(tx, std::slice::from_mut(&mut found)).await?;
    Ok(found)
}

/// Refuses an answer to a conversation that went on after `seen`: the customer said something, or another member did. Whoever
/// writes to the ticket waits from here on.
async fn unmoved(tx: &mut OrgTx, ticket_id: Uuid, seen: Uuid) -> Result<(), Problem> {
    sqlx::query("select from vicket.tickets t where t.id = $1 for no key update")
        .bind(ticket_id)
        .execute(tx.connection())
        .await?;
    let later: Option<(bool, Option<String>, Option<String>)> = sqlx::query_as(
        "select l.id is not null, l.author, l.author_name
        from vicket.tickets t
        cross join lateral (
          select array(
            select t.id
            union all
            select g.ticket_id from vicket.ticket_merges g where g.org_id = t.org_id and g.into_id = t.id
          ) as ids
        ) w
        join vicket.ticket_messages m on m.org_id = t.org_id and m.site_id = t.site_id and m.ticket_id = any (w.ids) and m.id = $2
        left join lateral (
          select l.id, l.author, l.author_name
          from vicket.ticket_messages l
          where l.org_id = t.org_id and l.ticket_id = any (w.ids) and (l.created_at, l.id) > (m.created_at, m.id) and not l.internal
            and (l.author = 'customer' or l.author_id is distinct from (select ctx.actor_user_id()))
          order by l.created_at desc, l.id desc
          limit 1
        ) l on true
        where t.id = $1",
    )
    .bind(ticket_id)
    .bind(seen)
    .fetch_optional(tx.connection())
    .await?;
    match later {
        Some((false, ..)) => Ok(()),
        Some((true, author, name)) => {
            let detail = match (author.as_deref(), name) {
                (Some("agent"), Some(name)) => format!("{name} answered while you wrote."),
                (Some("agent"), None) => "Somebody answered while you wrote.".to_owned(),
                (_, Some(name)) => format!("{name} wrote while you did."),
                _ => "The customer wrote while you did.".to_owned(),
            };
            Err(Problem::new(Code::ConversationMoved, detail))
        }
        None => {
            inbox::ticket(tx, ticket_id).await?.ok_or_else(Problem::not_found)?;
            Err(Problem::unprocessable("seen", "the ticket has no such message"))
        }
    }
}

/// Deletes a ticket with its conversation.
///
/// # Errors
/// `404 not_found`.
pub async fn delete(tx: &mut OrgTx, id: Uuid) -> Result<(), Problem> {
    super::super::one_row(super::super::remove(tx, "tickets", &[id]).await?)
}
