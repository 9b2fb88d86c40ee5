//! Files on a ticket, as agents add and read them; those of notes too.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::tags::Tag;
use crate::{
    auth::caller::Org,
    domain::permissions::{TicketRead, TicketWrite},
    http::{
        answers::{self, Page},
        download::Download,
        failure::Failure,
        upload::Files,
    },
    objects,
    state::App,
    store::{self, attachments::NewAttachment},
};

pub struct AttachmentsApi;

/// A file on a message.
#[derive(Object)]
#[oai(rename = "TicketAttachment", example)]
pub(super) struct Attachment {
    /// Its id; `GET /v1/orgs/{org}/tickets/{id}/attachments/{attachment_id}` reads it.
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
            created_at: datetime!(2026-02-01 15:59 UTC),
        }
    }
}

#[OpenApi(prefix_path = "/v1/orgs/{org}", tag = "Tag::Tickets")]
impl AttachmentsApi {
    /// Attach files
    ///
    /// Adds files to an answer or a note that the caller wrote in the last hour; those of a note are never the customer's to
    /// see. At the most 10 MiB a file, 25 MiB a request, 10 files a message and 100 MiB a ticket; none may be empty.
    #[oai(
        path = "/tickets/:id/messages/:message_id/attachments",
        method = "post",
        operation_id = "uploadTicketAttachments"
    )]
    async fn upload(
        &self,
        org: Org<TicketWrite>,
        app: Data<&Arc<App>>,
        /// The ticket's id.
        id: Path<Uuid>,
        /// The message's id.
        message_id: Path<Uuid>,
        sent: Files,
    ) -> Result<answers::Created<Page<Attachment>>, Failure<409, 422>> {
        let (ticket_id, message_id) = (id.0, message_id.0);
        let mut keys = Vec::new();
        if let Some(objects) = &app.objects {
            // No transaction is open while the store is written to.
            let count = sent.0.len();
            keys = org.run(async |tx| store::attachments::reserve(tx, ticket_id, message_id, count).await).await?;
            objects.put_all(&keys, &sent.0).await?;
        }
        let files = NewAttachment::of(sent.0, &keys);
        let added = org.run(async |tx| store::attachments::add(tx, ticket_id, message_id, &files).await).await;
        if let Some(objects) = &app.objects {
            objects.settle(&keys, &added);
        }
        Ok(answers::Created(Page::of((added?.files, None), Attachment::from)))
    }

    /// Download a file
    ///
    /// Of a message or a note of this ticket; whatever it is, as a download.
    #[oai(path = "/tickets/:id/attachments/:attachment_id", method = "get", operation_id = "getTicketAttachment")]
    async fn download(
        &self,
        org: Org<TicketRead>,
        app: Data<&Arc<App>>,
        /// The ticket's id.
        id: Path<Uuid>,
        /// The file's id.
        attachment_id: Path<Uuid>,
    ) -> Result<Download, Failure> {
        let found = org
            .run(async |tx| {
                let file = store::attachments::one(tx, id.0, attachment_id.0).await?;
                let reservation = app.downloads.take(org.info().network, file.size.unsigned_abs())?;
                Ok((store::attachments::content(tx, &file).await?, file, reservation))
            })
            .await?;
        let (held, file, reservation) = found;
        let content = objects::fetch(app.objects.as_ref(), held).await?;
        Ok(Download { name: file.name, content_type: file.content_type, content, reservation })
    }
}
