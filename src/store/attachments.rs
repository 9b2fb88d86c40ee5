//! Files on messages. Who sees a message sees its files; who wrote it adds some, for an hour. The policies say so, and
//! the trigger `attachment_added` keeps the limits; what is asked here beforehand is asked to give the good answer.

use bytes::Bytes;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::tickets::{self, public::Submission};
use crate::{
    db::{OrgTx, Session, SiteTx},
    domain::{
        files::File,
        keys::Sha256Digest,
        problem::{Code, Problem},
    },
};

/// A file of a message, without its bytes.
#[derive(Clone, Debug, FromRow)]
pub struct Attachment {
    pub id: Uuid,
    pub message_id: Uuid,
    pub name: String,
    pub size: i64,
    pub content_type: String,
    pub created_at: OffsetDateTime,
}

/// A file to add.
#[derive(Debug)]
pub struct NewAttachment {
    pub file: File,
    /// The key of the object that has been written for it; its bytes go into the row without one.
    pub object_key: Option<String>,
}

/// What an upload came to.
#[derive(Debug)]
pub struct Added {
    pub files: Vec<Attachment>,
    /// They were there: it is the same upload again.
    pub repeated: bool,
}

/// Where the bytes of a file are.
#[derive(Debug)]
pub enum Held {
    Here(Bytes),
    /// In the object store, under this key.
    Elsewhere(String),
}

/// What is asked of a message before files are added to it.
#[derive(FromRow)]
struct Writable {
    own: bool,
    recent: bool,
}

macro_rules! attachments {
    ($rest:literal) => {
        concat!(
            "select a.id, a.message_id, a.name, a.size, a.content_type, a.created_at from vicket.attachments a ",
            $rest
        )
    };
}

/// The files of these messages of the ticket that the token in the context opens, oldest first.
///
/// # Errors
/// `5xx` only.
pub async fn of_my_messages(tx: &mut SiteTx, message_ids: &[Uuid]) -> Result<Vec<Attachment>, Problem> {
    let rows = sqlx::query_as(attachments!("where a.message_id = any ($1) order by a.created_at, a.id"))
        .bind(message_ids)
        .fetch_all(tx.connection())
        .await?;
    Ok(rows)
}

/// The files of these messages of a ticket, oldest first.
///
/// # Errors
/// `5xx` only.
pub async fn of_messages(tx: &mut OrgTx, tickets: &[Uuid], message_ids: &[Uuid]) -> Result<Vec<Attachment>, Problem> {
    let rows = sqlx::query_as(attachments!(
        "where a.ticket_id = any ($1) and a.message_id = any ($2) order by a.created_at, a.id"
    ))
    .bind(tickets)
    .bind(message_ids)
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// One file of the ticket that the token in the context opens.
///
/// # Errors
/// `404 not_found`.
pub async fn my_own(tx: &mut SiteTx, id: Uuid) -> Result<Attachment, Problem> {
    find(tx.connection(), id, None).await
}

/// One file of this ticket.
///
/// # Errors
/// `404 not_found`.
pub async fn one(tx: &mut OrgTx, ticket_id: Uuid, id: Uuid) -> Result<Attachment, Problem> {
    find(tx.connection(), id, Some(ticket_id)).await
}

async fn find(connection: &mut Session, id: Uuid, ticket_id: Option<Uuid>) -> Result<Attachment, Problem> {
    sqlx::query_as(attachments!("where a.id = $1 and ($2::uuid is null or a.ticket_id = $2)"))
        .bind(id)
        .bind(ticket_id)
        .fetch_optional(connection)
        .await?
        .ok_or_else(Problem::not_found)
}

/// The bytes of a file that [`my_own`] found.
///
/// # Errors
/// `404 not_found`.
pub async fn my_content(tx: &mut SiteTx, file: &Attachment) -> Result<Held, Problem> {
    held(tx.connection(), file.id).await
}

/// The bytes of a file that [`one`] found.
///
/// # Errors
/// `404 not_found`.
pub async fn content(tx: &mut OrgTx, file: &Attachment) -> Result<Held, Problem> {
    held(tx.connection(), file.id).await
}

async fn held(connection: &mut Session, id: Uuid) -> Result<Held, Problem> {
    let row: Option<(Option<Vec<u8>>, Option<String>)> =
        sqlx::query_as("select a.content, a.object_key from vicket.attachments a where a.id = $1")
            .bind(id)
            .fetch_optional(connection)
            .await?;
    match row {
        Some((Some(content), _)) => Ok(Held::Here(content.into())),
        Some((None, Some(object_key))) => Ok(Held::Elsewhere(object_key)),
        Some((None, None)) => Err(Problem::internal("an attachment is held nowhere")),
        None => Err(Problem::not_found()),
    }
}

/// The ticket and whether its customer may add files to this message of it.
async fn my_message(tx: &mut SiteTx, message_id: Uuid) -> Result<(tickets::public::Ticket, Writable), Problem> {
    let ticket = tickets::public::mine(tx).await?;
    let message = sqlx::query_as(
        "select m.author = 'customer' as own, m.created_at > now() - interval '1 hour' as recent
        from vicket.ticket_messages m where m.id = $1",
    )
    .bind(message_id)
    .fetch_optional(tx.connection())
    .await?;
    Ok((ticket, message.ok_or_else(Problem::not_found)?))
}

impl Writable {
    fn check(&self) -> Result<(), Problem> {
        match self {
            Self { own: false, .. } => Err(Problem::unprocessable("message_id", "somebody else wrote this message")),
            Self { recent: false, .. } => Err(Problem::unprocessable(
                "message_id",
                "files can be added for an hour after a message was written; write another",
            )),
            _ => Ok(()),
        }
    }
}

fn closed() -> Problem {
    Problem::new(Code::TicketClosed, "This ticket is closed and takes no files.")
}

/// Adds files to a message of the customer's. A repeated submission gets the files of then.
///
/// # Errors
/// `404 not_found`, `409 ticket_closed`, `409 idempotency_conflict`, `413 quota_exceeded`, `422 unprocessable`.
pub async fn add_mine(
    tx: &mut SiteTx,
    message_id: Uuid,
    files: &[NewAttachment],
    submission: Option<Submission>,
) -> Result<Added, Problem> {
    let mut upload_id = Uuid::new_v4();
    let (ticket, message) = my_message(tx, message_id).await?;
    if let Some(submission) = submission {
        // The same files on another message are another upload.
        let request = Sha256Digest::of_parts(&[submission.request.as_bytes(), message_id.as_bytes()]);
        let submission = Submission { request, ..submission };
        let claim = tickets::public::claim(tx, "attachments", submission).await?;
        if claim.repeated {
            return Ok(Added { files: of_upload(tx.connection(), claim.message_id).await?, repeated: true });
        }
        upload_id = claim.message_id;
    }
    message.check()?;
    for file in files {
        sqlx::query(
            "insert into vicket.attachments (ticket_id, message_id, upload_id, name, content_type, size, content, object_key)
            values ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(ticket.id)
        .bind(message_id)
        .bind(upload_id)
        .bind(&file.file.name)
        .bind(file.file.content_type)
        .bind(file.size()?)
        .bind(file.inline())
        .bind(&file.object_key)
        .execute(tx.connection())
        .await
        .map_err(limit)?;
    }
    Ok(Added { files: of_upload(tx.connection(), upload_id).await?, repeated: false })
}

/// Adds files to a message that whoever asks wrote.
///
/// # Errors
/// `404 not_found`, `409 ticket_closed`, `413 quota_exceeded`, `422 unprocessable`.
pub async fn add(tx: &mut OrgTx, ticket_id: Uuid, message_id: Uuid, files: &[NewAttachment]) -> Result<Added, Problem> {
    let upload_id = Uuid::new_v4();
    let site_id = agents_message(tx, ticket_id, message_id).await?;
    for file in files {
        sqlx::query(
            "insert into vicket.attachments
              (site_id, ticket_id, message_id, upload_id, name, content_type, size, content, object_key)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(site_id)
        .bind(ticket_id)
        .bind(message_id)
        .bind(upload_id)
        .bind(&file.file.name)
        .bind(file.file.content_type)
        .bind(file.size()?)
        .bind(file.inline())
        .bind(&file.object_key)
        .execute(tx.connection())
        .await
        .map_err(limit)?;
    }
    Ok(Added { files: of_upload(tx.connection(), upload_id).await?, repeated: false })
}

/// What customers of one network may add to the key's site in a day, MiB.
///
/// # Errors
/// `404 not_found` when the site went away meanwhile.
pub async fn network_upload_mib_per_day(tx: &mut SiteTx) -> Result<u32, Problem> {
    let figure: Option<i32> = sqlx::query_scalar("select network_upload_mib_per_day from vicket.sites")
        .fetch_optional(tx.connection())
        .await?;
    figure.map(i32::cast_unsigned).ok_or_else(Problem::not_found)
}

/// The site of a message that whoever asks may add files to.
async fn agents_message(tx: &mut OrgTx, ticket_id: Uuid, message_id: Uuid) -> Result<Uuid, Problem> {
    let message: Option<(Uuid, bool, bool)> = sqlx::query_as(
        "select m.site_id, m.author = 'agent' and m.author_id is not distinct from ctx.actor_user_id(),
          m.created_at > now() - interval '1 hour'
        from vicket.ticket_messages m where m.id = $1 and m.ticket_id = $2",
    )
    .bind(message_id)
    .bind(ticket_id)
    .fetch_optional(tx.connection())
    .await?;
    let (site_id, own, recent) = message.ok_or_else(Problem::not_found)?;
    Writable { own, recent }.check()?;
    Ok(site_id)
}

async fn of_upload(connection: &mut Session, upload_id: Uuid) -> Result<Vec<Attachment>, Problem> {
    let rows = sqlx::query_as(attachments!("where a.upload_id = $1 order by a.created_at, a.id"))
        .bind(upload_id)
        .fetch_all(connection)
        .await?;
    Ok(rows)
}

/// Keys for the objects of as many files of the customer's, who may add them to this message.
///
/// # Errors
/// `404 not_found`, `409 ticket_closed`, `422 unprocessable`.
pub async fn reserve_mine(
    tx: &mut SiteTx,
    message_id: Uuid,
    count: usize,
    repeatable: bool,
) -> Result<Vec<String>, Problem> {
    let (ticket, message) = my_message(tx, message_id).await?;
    // A repeat is answered as the first time, also when it comes too late for a new one.
    if !repeatable {
        message.check()?;
        if ticket.status == "closed" {
            return Err(closed());
        }
    }
    let keys = object_keys(tx.entry().org_id, tx.entry().site_id, count);
    sqlx::query("insert into vicket.object_removals (object_key) select unnest($1::text[])")
        .bind(&keys)
        .execute(tx.connection())
        .await?;
    Ok(keys)
}

/// As [`reserve_mine`], for whoever asks.
///
/// # Errors
/// `404 not_found`, `422 unprocessable`.
pub async fn reserve(tx: &mut OrgTx, ticket_id: Uuid, message_id: Uuid, count: usize) -> Result<Vec<String>, Problem> {
    let site_id = agents_message(tx, ticket_id, message_id).await?;
    let org_id: Uuid = sqlx::query_scalar("select ctx.org_id()").fetch_one(tx.connection()).await?;
    let keys = object_keys(org_id, site_id, count);
    sqlx::query("insert into vicket.object_removals (site_id, object_key) select $1, unnest($2::text[])")
        .bind(site_id)
        .bind(&keys)
        .execute(tx.connection())
        .await?;
    Ok(keys)
}

/// Keys that nobody can guess. Each is reserved before its object is written, so that one without a row is removed.
fn object_keys(org_id: Uuid, site_id: Uuid, count: usize) -> Vec<String> {
    (0..count).map(|_| format!("{org_id}/{site_id}/{}", Uuid::new_v4())).collect()
}

impl NewAttachment {
    /// Files as they were sent, each with the key of its object when they are kept in the object store.
    pub fn of(files: Vec<File>, keys: &[String]) -> Vec<Self> {
        let keys = keys.iter().cloned().map(Some).chain(std::iter::repeat(None));
        files.into_iter().zip(keys).map(|(file, object_key)| Self { file, object_key }).collect()
    }

    fn size(&self) -> Result<i64, Problem> {
        i64::try_from(self.file.content.len()).map_err(Problem::internal)
    }

    fn inline(&self) -> Option<&[u8]> {
        self.object_key.is_none().then_some(&*self.file.content)
    }
}

/// What the trigger refuses.
fn limit(error: sqlx::Error) -> Problem {
    match super::constraint(&error) {
        "ticket_not_closed" => closed(),
        "attachments_of_message" => Problem::unprocessable("file", "a message has 10 files at the most"),
        "attachments_of_ticket" => Problem::unprocessable("file", "a ticket has 100 MiB of files at the most"),
        "attachments_of_site" => Problem::new(Code::QuotaExceeded, "This site keeps as many files as it may."),
        "attachments_of_org" => Problem::new(Code::QuotaExceeded, "This org keeps as many files as it may."),
        _ => error.into(),
    }
}
