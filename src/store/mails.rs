//! Mail: what the process that sends it asks of the database; what an org sees of it. Triggers write it
//! (`migrations/1014_mail_written.sql`).

use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    paging::{self, Keyset, PageRequest},
    tasks::Task,
};
use crate::{
    db::{OrgTx, Worker},
    domain::{
        keys::{InvitationToken, Sha256Digest, TicketToken},
        problem::{Code, Problem},
    },
};

/// What a mail tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Kind {
    /// A customer: their ticket is here.
    TicketReceived,
    /// A customer: an agent wrote to them first.
    TicketOpened,
    /// A customer: an agent answered.
    TicketAnswered,
    /// A customer: their ticket is resolved.
    TicketResolved,
    /// A member: a ticket is theirs now.
    AgentAssigned,
    /// A member: the customer of a ticket of theirs answered.
    AgentCustomerAnswered,
    /// Somebody: they are invited to an org.
    Invitation,
}

/// A mail that is to be sent, with all that it says.
#[derive(Debug, FromRow)]
pub struct Open {
    /// Which of the tasks that were asked about it is of, from 1.
    pub place: i64,
    pub kind: Kind,
    pub recipient: String,
    /// Its Message-ID, with its brackets.
    pub message_ref: String,
    /// Those of earlier mail of the same ticket to the same recipient, the oldest first.
    pub earlier: Vec<String>,
    /// `en`, `de`, `fr` or `es`.
    pub language: String,
    pub org_slug: String,
    pub org_name: String,
    pub site_name: Option<String>,
    pub from_name: Option<String>,
    pub from_address: Option<String>,
    pub support_url: Option<String>,
    pub reference: Option<String>,
    pub ticket_id: Option<Uuid>,
    /// What its customer wrote, for members only; or an agent, of a ticket that they made.
    pub subject: Option<String>,
    /// How its customer is called: for members only.
    pub customer: Option<String>,
    /// Who wrote the message that it tells of.
    pub author: Option<String>,
    /// That message.
    pub body: Option<String>,
    pub invited_by: Option<String>,
    /// The DNS of its site's own address holds a key of the site: mail is from it, and signed.
    #[sqlx(skip)]
    pub from_proven: bool,
}

/// The tokens of the links of a mail: whichever it is that it has.
pub struct Tokens {
    pub ticket: TicketToken,
    pub invitation: InvitationToken,
}

impl Tokens {
    pub fn mint() -> Self {
        Self { ticket: TicketToken::mint(), invitation: InvitationToken::mint() }
    }
}

/// Of tasks that were claimed, the mails that are to be sent; the others are gone, or suppressed. The token at the same place
/// opens a mail's ticket or invitation from now on.
///
/// # Errors
/// `5xx` only.
pub async fn open(worker: &Worker, tasks: &[Task], tokens: &[Tokens]) -> Result<Vec<Open>, Problem> {
    let (orgs, mails): (Vec<Uuid>, Vec<Uuid>) = tasks.iter().map(|task| (task.org_id, task.subject_id)).unzip();
    let tickets: Vec<Vec<u8>> = tokens.iter().map(|tokens| tokens.ticket.digest().as_bytes().to_vec()).collect();
    let invitations: Vec<Vec<u8>> =
        tokens.iter().map(|tokens| tokens.invitation.digest().as_bytes().to_vec()).collect();
    let query = sqlx::query_as("select * from worker.open_mails($1, $2, $3, $4)");
    worker.rows(query.bind(orgs).bind(mails).bind(tickets).bind(invitations)).await
}

/// Whose mail of a ticket it is.
#[derive(Debug, FromRow)]
pub struct Participant {
    /// Among the tasks, from 1.
    pub place: i64,
    pub site_id: Uuid,
    pub ticket_id: Uuid,
    /// The member; the customer when `None`.
    pub user_id: Option<Uuid>,
}

/// Of tasks that were claimed, the mails of tickets.
///
/// # Errors
/// `5xx` only.
pub async fn participants(worker: &Worker, tasks: &[Task]) -> Result<Vec<Participant>, Problem> {
    let (orgs, mails): (Vec<Uuid>, Vec<Uuid>) = tasks.iter().map(|task| (task.org_id, task.subject_id)).unzip();
    worker.rows(sqlx::query_as("select * from worker.mail_participants($1, $2)").bind(orgs).bind(mails)).await
}

/// What a mail is to be answered to.
pub struct Addressing {
    pub task: Task,
    /// Its Message-ID, unless it has one already.
    pub message_ref: String,
    pub reply: Option<Sha256Digest>,
    pub bounce: Option<Sha256Digest>,
}

/// Mail to these addresses is of these mails from now on. Their Message-IDs, each with its place, from 1.
///
/// # Errors
/// `5xx` only.
pub async fn address(worker: &Worker, mails: &[Addressing]) -> Result<Vec<(i64, String)>, Problem> {
    let digests = |of: fn(&Addressing) -> Option<Sha256Digest>| -> Vec<Option<Vec<u8>>> {
        mails.iter().map(|mail| of(mail).map(|digest| digest.as_bytes().to_vec())).collect()
    };
    let query = sqlx::query_as("select * from worker.address_mails($1, $2, $3, $4, $5)")
        .bind(mails.iter().map(|mail| mail.task.org_id).collect::<Vec<_>>())
        .bind(mails.iter().map(|mail| mail.task.subject_id).collect::<Vec<_>>())
        .bind(mails.iter().map(|mail| mail.message_ref.as_str()).collect::<Vec<_>>())
        .bind(digests(|mail| mail.reply))
        .bind(digests(|mail| mail.bounce));
    worker.rows(query).await
}

/// What became of a mail.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The next server took it, and said so.
    Sent(String),
    /// It refused it for good: nothing is sent to that address any more.
    Bounced(String),
    /// Not now: again after so many seconds.
    Later { why: String, seconds: f64 },
    /// Given up.
    Failed(String),
    /// Not sent, on purpose.
    Suppressed(String),
}

impl Outcome {
    /// As metrics call it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Sent(_) => "sent",
            Self::Bounced(_) => "bounced",
            Self::Later { .. } => "later",
            Self::Failed(_) => "failed",
            Self::Suppressed(_) => "suppressed",
        }
    }
}

/// Writes what became of mails, all or nothing.
///
/// # Errors
/// `5xx` only.
pub async fn settle(worker: &Worker, outcomes: &[(Task, Outcome)]) -> Result<(), Problem> {
    let (orgs, tasks): (Vec<Uuid>, Vec<Uuid>) = outcomes.iter().map(|(task, _)| (task.org_id, task.id)).unzip();
    let mails: Vec<Uuid> = outcomes.iter().map(|(task, _)| task.subject_id).collect();
    let (mut states, mut details, mut seconds, mut suppress) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (_, outcome) in outcomes {
        let (state, detail) = match outcome {
            Outcome::Sent(said) => ("sent", said),
            Outcome::Bounced(said) => ("bounced", said),
            Outcome::Later { why, .. } => ("queued", why),
            Outcome::Failed(why) => ("failed", why),
            Outcome::Suppressed(why) => ("suppressed", why),
        };
        states.push(state);
        details.push(detail.as_str());
        seconds.push(if let Outcome::Later { seconds, .. } = outcome { Some(*seconds) } else { None });
        suppress.push(matches!(outcome, Outcome::Bounced(_)));
    }
    let query = sqlx::query("select worker.settle_mails($1, $2, $3, $4, $5, $6, $7)")
        .bind(orgs)
        .bind(tasks)
        .bind(mails)
        .bind(states)
        .bind(details)
        .bind(seconds)
        .bind(suppress);
    worker.execute(query).await
}

/// Says that a server sends mail: from now on it is written, and for three days after the last time that one says so.
///
/// # Errors
/// `5xx` only.
pub async fn serve(worker: &Worker, domain: &str) -> Result<(), Problem> {
    worker.execute(sqlx::query("select worker.serve_mail($1)").bind(domain)).await
}

/// Mail of orgs that waits.
#[derive(Clone, Copy, Debug, Default, FromRow)]
pub struct Waiting {
    pub mails: i64,
    pub oldest_seconds: f64,
    /// Dead letters.
    pub given_up: i64,
}

/// How much mail waits, in all orgs.
///
/// # Errors
/// `5xx` only.
pub async fn waiting(worker: &Worker) -> Result<Waiting, Problem> {
    let query = sqlx::query_as("select mails, oldest_seconds, given_up from worker.mail_waiting()");
    Ok(worker.row(query).await?.unwrap_or_default())
}

/// What became of the mail that tells of a message.
#[derive(Clone, Debug, FromRow)]
pub struct Delivery {
    pub message_id: Uuid,
    /// `queued`, `sent`, `bounced`, `failed` or `suppressed`.
    pub state: String,
    pub detail: Option<String>,
    pub at: OffsetDateTime,
}

/// The deliveries to the customer of these messages, as far as they were mailed.
///
/// # Errors
/// `5xx` only.
pub async fn deliveries(tx: &mut OrgTx, messages: &[Uuid]) -> Result<Vec<Delivery>, Problem> {
    let sql = "select m.message_id, m.state, m.detail, m.at from vicket.mails m
        where m.message_id = any($1) and m.kind in ('ticket_opened', 'ticket_answered')";
    Ok(sqlx::query_as(sql).bind(messages).fetch_all(tx.connection()).await?)
}

/// What became of invitations that were mailed; `message_id` is the invitation's. Nothing of them for who may not read mail.
///
/// # Errors
/// `5xx` only.
pub async fn deliveries_of_invitations(tx: &mut OrgTx, invitations: &[Uuid]) -> Result<Vec<Delivery>, Problem> {
    let sql = "select m.invitation_id as message_id, m.state, m.detail, m.at from vicket.mails m
        where m.invitation_id = any($1)";
    Ok(sqlx::query_as(sql).bind(invitations).fetch_all(tx.connection()).await?)
}

/// The mail of a site in figures.
#[derive(Debug, FromRow)]
pub struct OfSite {
    pub last_sent_at: Option<OffsetDateTime>,
    pub waiting: i64,
    pub dead: i64,
    pub suppressed: i64,
}

/// # Errors
/// `5xx` only.
pub async fn of_site(tx: &mut OrgTx, site_id: Uuid) -> Result<OfSite, Problem> {
    let sql = "select
          (select max(m.at) from vicket.mails m where m.site_id = $1 and m.state = 'sent') as last_sent_at,
          (select count(*) from vicket.tasks t where t.site_id = $1 and t.kind = 'mail' and t.dead_at is null) as waiting,
          (select count(*) from vicket.tasks t where t.site_id = $1 and t.kind = 'mail' and t.dead_at is not null) as dead,
          (select count(*) from vicket.suppressions s where s.site_id = $1) as suppressed";
    Ok(sqlx::query_as(sql).bind(site_id).fetch_one(tx.connection()).await?)
}

/// An address that mail of a site does not reach.
#[derive(Debug, FromRow)]
pub struct Suppression {
    pub id: Uuid,
    pub address: String,
    pub reason: String,
    pub at: OffsetDateTime,
}

/// A site's suppressions, the newest first.
///
/// # Errors
/// `400 invalid_cursor`.
pub async fn suppressions(
    tx: &mut OrgTx,
    site_id: Uuid,
    page_request: PageRequest<'_>,
) -> Result<(Vec<Suppression>, Option<String>), Problem> {
    let after = page_request.after(b'u')?;
    let rows: Vec<Suppression> = sqlx::query_as(
        "select s.id, s.address, s.reason, s.at
        from vicket.suppressions s
        where s.site_id = $1
          and ($2::bigint is null or (s.at, s.id) < (timestamptz 'epoch' + $2 * interval '1 microsecond', $3))
        order by s.at desc, s.id desc
        limit $4",
    )
    .bind(site_id)
    .bind(after.map(|place| place.figure))
    .bind(after.map(|place| place.id))
    .bind(page_request.fetch())
    .fetch_all(tx.connection())
    .await?;
    Ok(page_request.into_page(rows, |row| paging::write(b'u', Keyset { figure: paging::micros(row.at), id: row.id })))
}

/// Clears a suppression: mail is sent there again.
///
/// # Errors
/// `404 not_found`.
pub async fn clear_suppression(tx: &mut OrgTx, site_id: Uuid, id: Uuid) -> Result<(), Problem> {
    super::one_row(super::remove_of(tx, "suppressions", &[id], Some(site_id), None).await?)
}

/// Mail that was given up.
#[derive(Debug, FromRow)]
pub struct DeadLetter {
    pub id: Uuid,
    /// What it was to tell.
    pub kind: Kind,
    pub error: Option<String>,
    pub attempts: i32,
    pub at: OffsetDateTime,
    pub ticket_id: Option<Uuid>,
}

/// A site's dead letters, the newest first; without one those of the org itself: invitations.
///
/// # Errors
/// `400 invalid_cursor`.
pub async fn dead_letters(
    tx: &mut OrgTx,
    site_id: Option<Uuid>,
    page_request: PageRequest<'_>,
) -> Result<(Vec<DeadLetter>, Option<String>), Problem> {
    let after = page_request.after(b'd')?;
    let rows: Vec<DeadLetter> = sqlx::query_as(
        "select t.id, m.kind, t.last_error as error, t.attempts, t.dead_at as at, m.ticket_id
        from vicket.tasks t
        join vicket.mails m on m.org_id = t.org_id and m.id = t.subject_id
        where (t.site_id = $1 or $1 is null and t.site_id is null) and t.kind = 'mail' and t.dead_at is not null
          and ($2::bigint is null or (t.dead_at, t.id) < (timestamptz 'epoch' + $2 * interval '1 microsecond', $3))
        order by t.dead_at desc, t.id desc
        limit $4",
    )
    .bind(site_id)
    .bind(after.map(|place| place.figure))
    .bind(after.map(|place| place.id))
    .bind(page_request.fetch())
    .fetch_all(tx.connection())
    .await?;
    Ok(page_request.into_page(rows, |row| paging::write(b'd', Keyset { figure: paging::micros(row.at), id: row.id })))
}

/// Sends a dead letter of a site again, or without one a dead letter of the org itself.
///
/// # Errors
/// `404 not_found`.
pub async fn run_again(tx: &mut OrgTx, site_id: Option<Uuid>, id: Uuid) -> Result<(), Problem> {
    let sql = "select t.id from vicket.tasks t
        where (t.site_id = $1 or $1 is null and t.site_id is null) and t.id = $2 and t.dead_at is not null";
    let there: Option<Uuid> = sqlx::query_scalar(sql).bind(site_id).bind(id).fetch_optional(tx.connection()).await?;
    let again: i64 = match there {
        None => 0,
        Some(id) => sqlx::query_scalar("select ctx.run_again($1)").bind(id).fetch_one(tx.connection()).await?,
    };
    if again > 0 { Ok(()) } else { Err(Problem::not_found()) }
}

/// What a member is told by mail.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct Notifications {
    /// A ticket that somebody else gave them.
    pub assigned: bool,
    /// A customer's answer to a ticket of theirs.
    pub customer_answered: bool,
}

/// Of whoever asks.
///
/// # Errors
/// `5xx` only.
pub async fn notifications(tx: &mut OrgTx) -> Result<Notifications, Problem> {
    let sql = "select n.assigned, n.customer_answered from vicket.notifications n";
    let chosen = sqlx::query_as(sql).fetch_optional(tx.connection()).await?;
    Ok(chosen.unwrap_or(Notifications { assigned: true, customer_answered: true }))
}

/// Chooses what whoever asks is told; what is `None` stays.
///
/// # Errors
/// `401 session_required` for a machine key, which has no mail.
pub async fn choose_notifications(
    tx: &mut OrgTx,
    assigned: Option<bool>,
    customer_answered: Option<bool>,
) -> Result<Notifications, Problem> {
    let sql = "select ctx.choose_notifications($1, $2)";
    let chosen: i64 = sqlx::query_scalar(sql).bind(assigned).bind(customer_answered).fetch_one(tx.connection()).await?;
    if chosen == 0 {
        return Err(Problem::new(Code::SessionRequired, "Who is told what is a person's own: send a session."));
    }
    notifications(tx).await
}
