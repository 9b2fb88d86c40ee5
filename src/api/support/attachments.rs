//! Files on a ticket, added and read with the ticket's own token.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::{identity::Opener, tags::Tag};
use crate::{
    auth::site_key::SiteKey,
    db::SiteTx,
    domain::problem::{Code, Problem},
    http::{
        answers,
        download::Download,
        failure::Failure,
        headers::{IdempotencyKey, TicketHeader},
        text::Nullable,
        upload::Files,
    },
    limits::{Bucket, Counted, Network, Policy},
    objects,
    state::App,
    store::{self, attachments::NewAttachment, tickets::public::Submission},
};

pub struct AttachmentsApi;

/// A file on a message.
#[derive(Object)]
pub(super) struct Attachment {
    /// Its id; `GET /support/v1/tickets/thread/attachments/{id}` reads it.
    id: Uuid,
    /// Its name, plain text. Escape it before it goes into a page.
    name: String,
    /// Its size in bytes.
    size: i64,
    /// What it is by its content: `image/png`, `image/jpeg`, `image/gif`, `image/webp`, `application/pdf`, `text/plain`, or
    /// `application/octet-stream` for anything else.
    content_type: String,
    /// When it was added.
    created_at: OffsetDateTime,
}

/// The files that were added.
#[derive(Object)]
#[oai(example)]
pub(super) struct AttachmentList {
    /// The files, in the order in which they were sent.
    data: Vec<Attachment>,
    /// Always `null`: one answer holds them all.
    next_cursor: Nullable<String>,
}

impl From<store::attachments::Attachment> for Attachment {
    fn from(row: store::attachments::Attachment) -> Self {
        Self { id: row.id, name: row.name, size: row.size, content_type: row.content_type, created_at: row.created_at }
    }
}

impl Example for Attachment {
    fn example() -> Self {
        Self {
            id: Uuid::from_u128(0xc61a_88d5_2b0f_4f8e_9d37_10e4_5a9b_72cc),
            name: "screenshot.png".to_owned(),
            size: 48_211,
            content_type: "image/png".to_owned(),
            created_at: datetime!(2026-03-02 10:16 UTC),
        }
    }
}

impl Example for AttachmentList {
    fn example() -> Self {
        Self { data: vec![Attachment::example()], next_cursor: Nullable(None) }
    }
}

/// What an upload takes of what its network may add in a day.
struct Upload {
    counted: Counted,
}

impl Upload {
    /// # Errors
    /// `413 quota_exceeded`; then `tx` is to be rolled back, and nothing was taken.
    async fn count(app: &App, network: Network, tx: &mut SiteTx, sent: &Files) -> Result<Self, Problem> {
        let mib = store::attachments::network_upload_mib_per_day(tx).await?;
        let kib: usize = sent.0.iter().map(|file| file.content.len().div_ceil(1024)).sum();
        let kib = u32::try_from(kib).unwrap_or(u32::MAX);
        let site = Some(tx.entry().site_id);
        let bucket = Bucket { policy: Policy::NetworkUploads, site, network: Some(network) };
        let counted = app.limits.spend(bucket, mib.saturating_mul(1024), kib).await;
        match counted.standings.iter().find(|standing| standing.exceeded) {
            None => Ok(Self { counted }),
            Some(standing) => {
                let left = standing.remaining / 1024;
                let detail = format!("Your network may add {mib} MiB of files a day here, and {left} MiB are left.");
                let retry_after = Some(standing.reset_seconds());
                Err(Problem { retry_after, ..Problem::new(Code::QuotaExceeded, detail) })
            }
        }
    }

    /// It added nothing.
    fn give_back(&mut self, app: &App) {
        app.limits.give_back(&mut self.counted, 0);
    }
}

#[OpenApi(prefix_path = "/support/v1", tag = "Tag::Tickets")]
impl AttachmentsApi {
    /// Attach files
    ///
    /// Adds files to a message that the customer wrote in the last hour: the ticket's first, whose id submitting it answers,
    /// or a reply. At the most 10 MiB a file, 25 MiB a request, 10 files a message and 100 MiB a ticket, and what the site's
    /// settings allow a client network in a day (100 MiB), the site and its org to keep; none may be empty.
    /// With an `Idempotency-Key` a repeat answers the same files.
    #[oai(
        path = "/tickets/thread/messages/:message_id/attachments",
        method = "post",
        operation_id = "uploadAttachments"
    )]
    async fn upload(
        &self,
        key: SiteKey,
        app: Data<&Arc<App>>,
        /// The ticket's token.
        #[oai(name = "X-Vicket-Ticket")]
        _ticket: TicketHeader,
        /// The message's id.
        message_id: Path<Uuid>,
        /// Makes a repeat safe: any text of the client's, unique to this upload.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: IdempotencyKey,
        sent: Files,
    ) -> Result<answers::Created<AttachmentList>, Failure<404, 409, 422>> {
        let submission = idempotency_key.of(sent.digest());
        let opener = Opener::by_token(&key);
        Ok(answers::Created(add(app.0, opener, message_id.0, sent, submission).await?))
    }

    /// Download a file
    ///
    /// A file of the ticket that the token opens, whatever it is as a download: fetch it with the key and the token, then save
    /// it, or show an image from a blob.
    #[oai(path = "/tickets/thread/attachments/:id", method = "get", operation_id = "getAttachment")]
    async fn download(
        &self,
        key: SiteKey,
        app: Data<&Arc<App>>,
        /// The ticket's token.
        #[oai(name = "X-Vicket-Ticket")]
        _ticket: TicketHeader,
        /// The file's id.
        id: Path<Uuid>,
    ) -> Result<Download, Failure<404>> {
        Ok(read(app.0, Opener::by_token(&key), id.0).await?)
    }
}

/// Adds files to a message of the ticket that is opened, in a transaction or two.
pub(super) async fn add(
    app: &App,
    opener: Opener<'_>,
    message_id: Uuid,
    sent: Files,
    submission: Option<Submission>,
) -> Result<AttachmentList, Problem> {
    let mut tx = opener.enter().await?;
    let mut upload = match Upload::count(app, opener.network(), &mut tx, &sent).await {
        Ok(upload) => upload,
        Err(refusal) => return tx.finish(Err(refusal)).await,
    };
    let mut keys = Vec::new();
    if let Some(objects) = &app.objects {
        // No transaction is open while the store is written to.
        let repeatable = submission.is_some();
        let reserved = store::attachments::reserve_mine(&mut tx, message_id, sent.0.len(), repeatable).await;
        keys = tx.finish(reserved).await.inspect_err(|_| upload.give_back(app))?;
        objects.put_all(&keys, &sent.0).await.inspect_err(|_| upload.give_back(app))?;
        tx = opener.enter().await?;
    }
    let files = NewAttachment::of(sent.0, &keys);
    let added = store::attachments::add_mine(&mut tx, message_id, &files, submission).await;
    let added = tx.finish(added).await;
    if let Some(objects) = &app.objects {
        objects.settle(&keys, &added);
    }
    if !added.as_ref().is_ok_and(|added| !added.repeated) {
        upload.give_back(app);
    }
    let data = added?.files.into_iter().map(Attachment::from).collect();
    Ok(AttachmentList { data, next_cursor: Nullable(None) })
}

/// A file of the ticket that is opened.
pub(super) async fn read(app: &App, opener: Opener<'_>, id: Uuid) -> Result<Download, Problem> {
    let mut tx = opener.enter().await?;
    let found = async {
        let file = store::attachments::my_own(&mut tx, id).await?;
        let reservation = app.downloads.take(opener.network(), file.size.unsigned_abs())?;
        Ok((store::attachments::my_content(&mut tx, &file).await?, file, reservation))
    };
    let found = found.await;
    let (held, file, reservation) = tx.finish(found).await?;
    let content = objects::fetch(app.objects.as_ref(), held).await?;
    Ok(Download { name: file.name, content_type: file.content_type, content, reservation })
}
