//! Mail that came in: added by its gate as it came, read and filed by the worker, decided on by people where it is held.

use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    paging::{self, Keyset, PageRequest},
    tasks::Task,
};
use crate::{
    db::{MailTx, OrgTx, Worker},
    domain::{
        keys::Sha256Digest,
        problem::{Code, Problem},
    },
};

/// A mail as it came, for one recipient.
pub struct NewMail<'a> {
    pub recipient: &'a str,
    /// The return path; empty for `<>`.
    pub mail_from: &'a str,
    pub client: Option<&'a str>,
    pub helo: Option<&'a str>,
    pub message_digest: Sha256Digest,
    pub content_digest: Sha256Digest,
    /// Of the Message-ID that its conversation began with, by its own word.
    pub thread_digest: Sha256Digest,
    pub raw: &'a [u8],
}

/// Adds a mail to the address that the transaction entered with; false when it is there already.
///
/// # Errors
/// `5xx` only.
pub async fn add(tx: &mut MailTx, mail: &NewMail<'_>) -> Result<bool, Problem> {
    let sql = "insert into vicket.inbound_mails
          (address_id, recipient, mail_from, client, helo, message_digest, content_digest, thread_digest, raw)
        values (ctx.address_by_mail(), $1, $2, $3, $4, $5, $6, $7, $8)
        on conflict do nothing";
    let done = sqlx::query(sql)
        .bind(mail.recipient)
        .bind(mail.mail_from)
        .bind(mail.client)
        .bind(mail.helo)
        .bind(mail.message_digest.as_bytes().as_slice())
        .bind(mail.content_digest.as_bytes().as_slice())
        .bind(mail.thread_digest.as_bytes().as_slice())
        .bind(mail.raw)
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected() > 0)
}

/// A mail that is to be read.
#[derive(Debug, FromRow)]
pub struct Inbound {
    pub site_id: Uuid,
    pub state: String,
    /// A person accepted it.
    pub accepted: bool,
    pub recipient: String,
    pub mail_from: String,
    pub client: Option<String>,
    pub helo: Option<String>,
    pub raw: Vec<u8>,
    /// Of the address that it was sent to: `site`, `own`, `reply` or `bounce`.
    pub kind: String,
    pub ticket_id: Option<Uuid>,
    pub user_id: Option<Uuid>,
    pub mail_id: Option<Uuid>,
    /// The site gets more than it should in an hour.
    pub busy: bool,
}

/// The mail of a task; `None` when it is gone.
///
/// # Errors
/// `5xx` only.
pub async fn open(worker: &Worker, task: &Task) -> Result<Option<Inbound>, Problem> {
    let query = sqlx::query_as("select * from worker.open_inbound($1, $2)");
    worker.row(query.bind(task.org_id).bind(task.subject_id)).await
}

/// Who takes part in a ticket.
#[derive(Debug, FromRow)]
pub struct Thread {
    pub status: String,
    pub reference: String,
    /// The customer's address.
    pub email: String,
    /// The member whose address it was, or whose mail.
    pub user_id: Option<Uuid>,
    /// Their address, while they may answer.
    pub user_email: Option<String>,
    /// The mail that was asked for, and whom it went to.
    pub mail_id: Option<Uuid>,
    pub mailed_to: Option<String>,
}

/// A ticket of a site, and of those who take part in it the member, or the mail by the first half of its id.
///
/// # Errors
/// `5xx` only.
pub async fn thread(
    worker: &Worker,
    org_id: Uuid,
    site_id: Uuid,
    ticket_id: Uuid,
    (user_id, mail_half): (Option<Uuid>, Option<[u8; 8]>),
) -> Result<Option<Thread>, Problem> {
    let query = sqlx::query_as("select * from worker.mail_thread($1, $2, $3, $4, $5)")
        .bind(org_id)
        .bind(site_id)
        .bind(ticket_id)
        .bind(user_id)
        .bind(mail_half.map(|half| half.to_vec()));
    worker.row(query).await
}

/// A file of a mail: its bytes, or the key of the object that has them.
pub struct MailFile {
    pub name: String,
    pub content_type: &'static str,
    pub content: Option<Vec<u8>>,
    pub object_key: Option<String>,
    pub size: i64,
}

/// Keeps keys of objects for files that are about to be filed.
///
/// # Errors
/// `5xx` only.
pub async fn reserve(worker: &Worker, org_id: Uuid, site_id: Uuid, keys: &[String]) -> Result<(), Problem> {
    let query = sqlx::query("select worker.reserve_objects($1, $2, $3)");
    worker.execute(query.bind(org_id).bind(site_id).bind(keys)).await
}

/// A mail that becomes a message.
pub struct Filing<'a> {
    pub org_id: Uuid,
    pub site_id: Uuid,
    pub id: Uuid,
    /// A new one when `None`.
    pub ticket_id: Option<Uuid>,
    /// The member who answers; the customer when `None`.
    pub user_id: Option<Uuid>,
    pub author: &'a str,
    pub author_name: Option<&'a str>,
    pub subject: &'a str,
    pub body: &'a str,
    /// It reopens nothing, and nobody is told.
    pub quiet: bool,
    /// Its sender is told that it is here, where it is a new ticket.
    pub acknowledge: bool,
    pub files: Vec<MailFile>,
}

/// Files a mail: `filed`, `done` when it was already, or the constraint that it does not keep: `ticket_not_closed`, `ticket_full`.
///
/// # Errors
/// `5xx` only.
pub async fn file(worker: &Worker, filing: Filing<'_>) -> Result<String, Problem> {
    let Filing { org_id, site_id, id, ticket_id, user_id, .. } = filing;
    let (mut names, mut types, mut contents, mut keys, mut sizes) = (vec![], vec![], vec![], vec![], vec![]);
    for file in filing.files {
        names.push(file.name);
        types.push(file.content_type);
        contents.push(file.content);
        keys.push(file.object_key);
        sizes.push(file.size);
    }
    let sql =
        "select worker.file_mail($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) as outcome";
    let query = sqlx::query_as(sql)
        .bind(org_id)
        .bind(site_id)
        .bind(id)
        .bind(ticket_id)
        .bind(user_id)
        .bind(filing.author)
        .bind(filing.author_name)
        .bind(filing.subject)
        .bind(filing.body)
        .bind(filing.quiet)
        .bind(filing.acknowledge)
        .bind(names)
        .bind(types)
        .bind(contents)
        .bind(keys)
        .bind(sizes);
    let row: Option<(String,)> = worker.row(query).await?;
    row.map(|(outcome,)| outcome).ok_or_else(|| Problem::internal("a function that answers nothing"))
}

/// What is known of a mail once it is read.
pub struct Note<'a> {
    pub state: &'a str,
    pub reason: Option<&'a str>,
    pub ticket_id: Option<Uuid>,
    pub author: Option<&'a str>,
    pub author_name: Option<&'a str>,
    pub subject: Option<&'a str>,
    pub verified: bool,
    pub automatic: bool,
    pub quoted_from: Option<i32>,
    /// As it looked, sanitised.
    pub html: Option<&'a str>,
}

/// Writes what is known of a mail; one that was filed or rejected stays that.
///
/// # Errors
/// `5xx` only.
pub async fn note(worker: &Worker, task: &Task, site_id: Uuid, note: &Note<'_>) -> Result<(), Problem> {
    let query = sqlx::query("select worker.note_mail($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)")
        .bind(task.org_id)
        .bind(site_id)
        .bind(task.subject_id)
        .bind(note.state)
        .bind(note.reason)
        .bind(note.ticket_id)
        .bind(note.author)
        .bind(note.author_name)
        .bind(note.subject)
        .bind(note.verified)
        .bind(note.automatic)
        .bind(note.quoted_from);
    worker.execute(query).await?;
    let Some(html) = note.html else { return Ok(()) };
    let query = sqlx::query("select worker.keep_mail_html($1, $2, $3, $4)");
    worker.execute(query.bind(task.org_id).bind(site_id).bind(task.subject_id).bind(html)).await
}

/// Nothing could be made of a mail; it stays as it came.
///
/// # Errors
/// `5xx` only.
pub async fn give_up(worker: &Worker, task: &Task, why: &str) -> Result<(), Problem> {
    let query = sqlx::query("select worker.fail_inbound($1, $2, $3)");
    worker.execute(query.bind(task.org_id).bind(task.subject_id).bind(why)).await
}

/// A mail that was sent came back: for good, or not yet.
///
/// # Errors
/// `5xx` only.
pub async fn bounced(
    worker: &Worker,
    org_id: Uuid,
    site_id: Uuid,
    mail_id: Uuid,
    (for_good, said): (bool, &str),
) -> Result<(), Problem> {
    let query = sqlx::query("select worker.bounce_mail($1, $2, $3, $4, $5)");
    worker.execute(query.bind(org_id).bind(site_id).bind(mail_id).bind(for_good).bind(said)).await
}

/// Forgets mail as it came that is not kept any longer; says how much.
///
/// # Errors
/// `5xx` only.
pub async fn forget(worker: &Worker, most: i32) -> Result<i64, Problem> {
    let row: Option<(i64,)> = worker.row(sqlx::query_as("select worker.forget_mail($1)").bind(most)).await?;
    Ok(row.map_or(0, |(gone,)| gone))
}

/// What became of mail that is a message.
#[derive(Clone, Debug, FromRow)]
pub struct OfMessage {
    pub message_id: Uuid,
    /// The address that it says it is from.
    pub author: Option<String>,
    pub verified: bool,
    pub automatic: bool,
    pub quoted_from: Option<i32>,
    /// Whether there is HTML to show.
    pub has_html: bool,
}

/// The mail of these messages, as far as they came by mail.
///
/// # Errors
/// `5xx` only.
pub async fn of_messages(tx: &mut OrgTx, messages: &[Uuid]) -> Result<Vec<OfMessage>, Problem> {
    let sql = "select i.message_id, i.author, i.verified, i.automatic, i.quoted_from, i.html is not null as has_html
        from vicket.inbound_mails i
        where i.message_id = any($1)";
    Ok(sqlx::query_as(sql).bind(messages).fetch_all(tx.connection()).await?)
}

/// A message of a ticket as it looked in the mail that it came by: sanitised HTML.
///
/// # Errors
/// `404 not_found` without such a message, or where it was text.
pub async fn html(tx: &mut OrgTx, ticket_id: Uuid, message_id: Uuid) -> Result<String, Problem> {
    let sql =
        "select i.html from vicket.inbound_mails i where i.ticket_id = $1 and i.message_id = $2 and i.html is not null";
    let found = sqlx::query_scalar(sql).bind(ticket_id).bind(message_id).fetch_optional(tx.connection()).await?;
    found.ok_or_else(Problem::not_found)
}

/// The mail of a ticket that waits for a person, the newest first: as much as there is room for.
///
/// # Errors
/// `5xx` only.
pub async fn held_of_ticket(tx: &mut OrgTx, ticket_id: Uuid) -> Result<Vec<Unfiled>, Problem> {
    let sql = "select i.id, i.ticket_id, i.author, i.subject, i.reason, i.received_at as at
        from vicket.inbound_mails i
        where i.ticket_id = $1 and i.state = 'held'
        order by i.received_at desc, i.id desc
        limit 10";
    Ok(sqlx::query_as(sql).bind(ticket_id).fetch_all(tx.connection()).await?)
}

/// A mail that is in no conversation: it waits for a person, or triggered nothing.
#[derive(Debug, FromRow)]
pub struct Unfiled {
    pub id: Uuid,
    pub ticket_id: Option<Uuid>,
    pub author: Option<String>,
    pub subject: Option<String>,
    pub reason: Option<String>,
    pub at: OffsetDateTime,
}

/// A site's mail of a state, the newest first. The state is in the text: each has an index of its own.
macro_rules! of_state {
    ($state:literal) => {
        concat!(
            "select i.id, i.ticket_id, i.author, i.subject, i.reason, i.received_at as at
            from vicket.inbound_mails i
            where i.site_id = $1 and i.state = '",
            $state,
            "' and ($2::bigint is null or (i.received_at, i.id) < (timestamptz 'epoch' + $2 * interval '1 microsecond', $3))
            order by i.received_at desc, i.id desc
            limit $4"
        )
    };
}

/// A site's mail that is held, the newest first.
///
/// # Errors
/// `400 invalid_cursor`.
pub async fn held(
    tx: &mut OrgTx,
    site_id: Uuid,
    page_request: PageRequest<'_>,
) -> Result<(Vec<Unfiled>, Option<String>), Problem> {
    unfiled(tx, of_state!("held"), b'h', site_id, page_request).await
}

/// A site's mail that triggered nothing, of thirty days, the newest first.
///
/// # Errors
/// `400 invalid_cursor`.
pub async fn ignored(
    tx: &mut OrgTx,
    site_id: Uuid,
    page_request: PageRequest<'_>,
) -> Result<(Vec<Unfiled>, Option<String>), Problem> {
    unfiled(tx, of_state!("ignored"), b'g', site_id, page_request).await
}

async fn unfiled(
    tx: &mut OrgTx,
    sql: &'static str,
    list: u8,
    site_id: Uuid,
    page_request: PageRequest<'_>,
) -> Result<(Vec<Unfiled>, Option<String>), Problem> {
    let after = page_request.after(list)?;
    let rows: Vec<Unfiled> = sqlx::query_as(sql)
        .bind(site_id)
        .bind(after.map(|place| place.figure))
        .bind(after.map(|place| place.id))
        .bind(page_request.fetch())
        .fetch_all(tx.connection())
        .await?;
    Ok(page_request.into_page(rows, |row| paging::write(list, Keyset { figure: paging::micros(row.at), id: row.id })))
}

/// Decides on a mail that is held.
///
/// # Errors
/// `404 not_found` when it is not held, or not any more.
pub async fn decide(tx: &mut OrgTx, site_id: Uuid, id: Uuid, accept: bool) -> Result<(), Problem> {
    let query = sqlx::query_scalar("select ctx.decide_mail($1, $2, $3)").bind(site_id).bind(id).bind(accept);
    let decided: i64 = query.fetch_one(tx.connection()).await?;
    if decided > 0 { Ok(()) } else { Err(Problem::not_found()) }
}

/// As [`decide`], of mail that waits at a ticket.
///
/// # Errors
/// `404 not_found`.
pub async fn decide_of_ticket(tx: &mut OrgTx, ticket_id: Uuid, id: Uuid, accept: bool) -> Result<(), Problem> {
    let sql = "select i.site_id from vicket.inbound_mails i where i.ticket_id = $1 and i.id = $2 and i.state = 'held'";
    let site: Option<Uuid> = sqlx::query_scalar(sql).bind(ticket_id).bind(id).fetch_optional(tx.connection()).await?;
    decide(tx, site.ok_or_else(Problem::not_found)?, id, accept).await
}

/// How mail comes in to a site.
#[derive(Debug, FromRow)]
pub struct OfSite {
    /// What stands before the reply domain.
    pub local: Option<String>,
    /// An address of its own.
    pub own: Option<String>,
    pub last_received_at: Option<OffsetDateTime>,
    pub held: i64,
    /// Of which nothing could be made.
    pub failed: i64,
}

impl OfSite {
    /// The address that makes tickets; its own where it has one.
    pub fn address(&self, reply_domain: Option<&str>) -> Option<String> {
        self.own.clone().or_else(|| Some(format!("{}@{}", self.local.as_deref()?, reply_domain?)))
    }
}

/// # Errors
/// `5xx` only.
pub async fn of_site(tx: &mut OrgTx, site_id: Uuid) -> Result<OfSite, Problem> {
    let sql = "select
          (select a.address from vicket.mail_addresses a where a.site_id = $1 and a.kind = 'site') as local,
          (select a.address from vicket.mail_addresses a where a.site_id = $1 and a.kind = 'own') as own,
          (select max(i.received_at) from vicket.inbound_mails i where i.site_id = $1) as last_received_at,
          (select count(*) from vicket.inbound_mails i where i.site_id = $1 and i.state = 'held') as held,
          (select count(*) from vicket.inbound_mails i where i.site_id = $1 and i.state = 'failed') as failed";
    Ok(sqlx::query_as(sql).bind(site_id).fetch_one(tx.connection()).await?)
}

/// Gives a site an address of its own, or takes it away.
///
/// # Errors
/// `422 unprocessable` when another site has it.
pub async fn set_address(tx: &mut OrgTx, site_id: Uuid, address: Option<&str>) -> Result<(), Problem> {
    let query = sqlx::query_scalar("select ctx.set_mail_address($1, $2)").bind(site_id).bind(address);
    let set: i64 = query.fetch_one(tx.connection()).await?;
    if address.is_none() || set > 0 {
        Ok(())
    } else {
        Err(Problem::unprocessable("address", "mail to this address cannot be this site's"))
    }
}

/// Reads mail of the org again: one, or all that is no message. Says how many.
///
/// # Errors
/// `404 not_found` when there is none.
pub async fn reparse(tx: &mut OrgTx, id: Option<Uuid>) -> Result<i64, Problem> {
    let again: i64 = sqlx::query_scalar("select admin.reparse_mail($1)").bind(id).fetch_one(tx.connection()).await?;
    match id {
        Some(id) if again == 0 => Err(Problem::new(
            Code::NotFound,
            format!("There is no mail {id} that is kept as it came, or it waits already."),
        )),
        _ => Ok(again),
    }
}
