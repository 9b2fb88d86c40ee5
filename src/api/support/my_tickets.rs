//! The tickets of a customer whom their site vouched for, read and answered by their session; `tickets.rs` lists them.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};
use uuid::Uuid;

use super::{
    attachments::{self, AttachmentList},
    identity::Opener,
    tags::Tag,
    tickets::{self, Message, NewMessage, Thread},
};
use crate::{
    auth::site_key::SiteKey,
    domain::text::Text,
    http::{
        answers::{self, Cached},
        download::Download,
        failure::Failure,
        headers::{CustomerHeader, IdempotencyKey, IfNoneMatch},
        upload::Files,
    },
    state::App,
    store::{
        paging::PageRequest,
        tickets::{mine, thread},
    },
};

pub struct MyTicketsApi;

#[OpenApi(prefix_path = "/support/v1", tag = "Tag::Identity")]
impl MyTicketsApi {
    /// Read my ticket
    ///
    /// One of the customer's tickets, with the newest messages of its conversation; as `getTicketThread` by a ticket's token.
    #[oai(path = "/tickets/:id/thread", method = "get", operation_id = "getMyTicketThread")]
    async fn thread(
        &self,
        key: SiteKey,
        /// The customer session.
        #[oai(name = "X-Vicket-Customer")]
        customer: CustomerHeader,
        /// The ticket's id.
        id: Path<Uuid>,
        /// How many messages a page holds at the most; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `next_cursor` of the page with newer messages.
        cursor: Query<Option<Text<200>>>,
        /// The `ETag` of an earlier answer: 304 when nothing changed.
        #[oai(name = "If-None-Match")]
        if_none_match: IfNoneMatch,
    ) -> Result<Cached<Thread>, Failure<404>> {
        let mut tx = Opener::by_session(&key, customer, Some(id.0)).enter().await?;
        let page_request = PageRequest { limit: limit.0.unwrap_or(thread::LIMIT), cursor: cursor.0.as_deref() };
        let read = tickets::read_thread(&mut tx, page_request).await;
        let thread = tx.finish(read).await?;
        Ok(Cached::of(&Cached::representation(&thread), &if_none_match))
    }

    /// Mark my ticket read
    ///
    /// The customer has it open: none of its answers is `unread` from now on, until the next comes.
    #[oai(path = "/tickets/:id/read", method = "post", operation_id = "markMyTicketRead")]
    async fn read(
        &self,
        key: SiteKey,
        /// The customer session.
        #[oai(name = "X-Vicket-Customer")]
        customer: CustomerHeader,
        /// The ticket's id.
        id: Path<Uuid>,
    ) -> Result<answers::NoContent, Failure<404>> {
        let mut tx = Opener::by_session(&key, customer, Some(id.0)).enter().await?;
        let noted = mine::note_read(&mut tx).await;
        tx.finish(noted).await?;
        Ok(answers::NoContent)
    }

    /// Reply to my ticket
    ///
    /// As `replyToTicket` by a ticket's token.
    #[oai(path = "/tickets/:id/messages", method = "post", operation_id = "replyToMyTicket")]
    async fn reply(
        &self,
        key: SiteKey,
        /// The customer session.
        #[oai(name = "X-Vicket-Customer")]
        customer: CustomerHeader,
        /// The ticket's id.
        id: Path<Uuid>,
        /// Makes a repeat safe: any text of the client's, unique to this reply.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: IdempotencyKey,
        body: Json<NewMessage>,
    ) -> Result<answers::Created<Message>, Failure<404, 409>> {
        let (body, request) = body.0.check()?;
        let tx = Opener::by_session(&key, customer, Some(id.0)).enter().await?;
        Ok(answers::Created(tickets::add_reply(tx, &body, idempotency_key.of(request)).await?))
    }

    /// Attach files to my ticket
    ///
    /// As `uploadAttachments` by a ticket's token.
    #[oai(
        path = "/tickets/:id/messages/:message_id/attachments",
        method = "post",
        operation_id = "uploadMyAttachments"
    )]
    #[expect(clippy::too_many_arguments, reason = "its path names two things, and the session is one more")]
    async fn upload(
        &self,
        key: SiteKey,
        app: Data<&Arc<App>>,
        /// The customer session.
        #[oai(name = "X-Vicket-Customer")]
        customer: CustomerHeader,
        /// The ticket's id.
        id: Path<Uuid>,
        /// The message's id.
        message_id: Path<Uuid>,
        /// Makes a repeat safe: any text of the client's, unique to this upload.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: IdempotencyKey,
        sent: Files,
    ) -> Result<answers::Created<AttachmentList>, Failure<404, 409, 422>> {
        let opener = Opener::by_session(&key, customer, Some(id.0));
        let submission = idempotency_key.of(sent.digest());
        Ok(answers::Created(attachments::add(app.0, opener, message_id.0, sent, submission).await?))
    }

    /// Download a file of my ticket
    ///
    /// As `getAttachment` by a ticket's token.
    #[oai(path = "/tickets/:id/attachments/:file", method = "get", operation_id = "getMyAttachment")]
    async fn download(
        &self,
        key: SiteKey,
        app: Data<&Arc<App>>,
        /// The customer session.
        #[oai(name = "X-Vicket-Customer")]
        customer: CustomerHeader,
        /// The ticket's id.
        id: Path<Uuid>,
        /// The file's id.
        file: Path<Uuid>,
    ) -> Result<Download, Failure<404>> {
        let opener = Opener::by_session(&key, customer, Some(id.0));
        Ok(attachments::read(app.0, opener, file.0).await?)
    }
}
