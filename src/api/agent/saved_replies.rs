//! Saved replies: texts that agents put into an answer.

use poem_openapi::{Object, OpenApi, param::Path, payload::Json, types::Example};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::tags::Tag;
use crate::{
    auth::caller::Org,
    domain::{
        permissions::{ReplyEdit, ReplyRead},
        text::{Checked, MessageBody, SavedReplyName, Text},
    },
    http::{
        answers::{self, Page},
        failure::Failure,
        paging::Paging,
        text::Input,
    },
    store::saved_replies::{self, Change, Reply},
};

pub struct SavedRepliesApi;

/// A text that agents put into an answer.
#[derive(Object)]
#[oai(example)]
struct SavedReply {
    /// Its id.
    id: Uuid,
    /// Its name.
    name: String,
    /// The text, plain. `{customer}`, `{ticket}` and `{agent}` in it are filled in when it is put into an answer.
    body: String,
    /// When it was made.
    created_at: OffsetDateTime,
    /// When it was last changed.
    updated_at: OffsetDateTime,
    /// Who changed it last.
    updated_by: String,
}

impl From<Reply> for SavedReply {
    fn from(Reply { id, name, body, created_at, updated_at, updated_by }: Reply) -> Self {
        Self { id, name, body, created_at, updated_at, updated_by }
    }
}

impl Example for SavedReply {
    fn example() -> Self {
        Self {
            id: Uuid::from_u128(0x8d4e_1b06_73fa_4c95_b2e8_50a7_c91d_364f),
            name: "On its way".to_owned(),
            body: "Hello {customer},\n\nwe are looking into {ticket}.\n\n{agent}".to_owned(),
            created_at: datetime!(2026-01-05 08:00 UTC),
            updated_at: datetime!(2026-02-01 16:05 UTC),
            updated_by: "agnes@acme.com".to_owned(),
        }
    }
}

/// A reply to save.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
struct NewSavedReply {
    /// Its name.
    name: Input<SavedReplyName>,
    /// The text, plain, with `{customer}`, `{ticket}` and `{agent}` where they are to stand.
    body: Input<MessageBody>,
}

impl Example for NewSavedReply {
    fn example() -> Self {
        Self {
            name: Input::of(Text::known("On its way")),
            body: Input::of(Text::known("Hello {customer}, we are looking into {ticket}.")),
        }
    }
}

/// What changes of a saved reply; what is absent stays.
#[derive(Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
struct SavedReplyChange {
    /// Its new name.
    name: Option<Input<SavedReplyName>>,
    /// The new text.
    body: Option<Input<MessageBody>>,
}

impl Example for SavedReplyChange {
    fn example() -> Self {
        Self { name: Some(Input::of(Text::known("We are at it"))), body: None }
    }
}

#[OpenApi(prefix_path = "/v1/orgs/{org}", tag = "Tag::Tickets")]
impl SavedRepliesApi {
    /// List saved replies
    ///
    /// By name, with their texts.
    #[oai(path = "/saved-replies", method = "get", operation_id = "listSavedReplies")]
    async fn list(&self, org: Org<ReplyRead>, paging: Paging<600>) -> Result<answers::Ok<Page<SavedReply>>, Failure> {
        let page = org.run(async |tx| saved_replies::page(tx, paging.request()).await).await?;
        Ok(answers::Ok(Page::of(page, SavedReply::from)))
    }

    /// Save a reply
    ///
    /// `name_taken` when there is one of this name.
    #[oai(path = "/saved-replies", method = "post", operation_id = "createSavedReply")]
    async fn create(
        &self,
        org: Org<ReplyEdit>,
        body: Json<NewSavedReply>,
    ) -> Result<answers::Created<SavedReply>, Failure<409>> {
        let mut checked = Checked::default();
        let (name, text) = (checked.take("name", body.0.name), checked.take("body", body.0.body));
        let (Some(name), Some(text)) = (name, text) else { return Err(checked.problem().into()) };
        let reply = org.run(async |tx| saved_replies::create(tx, &name, &text).await).await?;
        Ok(answers::Created(reply.into()))
    }

    /// Read a saved reply
    ///
    /// With its text.
    #[oai(path = "/saved-replies/:id", method = "get", operation_id = "getSavedReply")]
    async fn reply(
        &self,
        org: Org<ReplyRead>,
        /// The saved reply's id.
        id: Path<Uuid>,
    ) -> Result<answers::Ok<SavedReply>, Failure> {
        let reply = org.run(async |tx| saved_replies::by_id(tx, id.0).await).await?;
        Ok(answers::Ok(reply.into()))
    }

    /// Change a saved reply
    ///
    /// Answers that were sent stay as they are.
    #[oai(path = "/saved-replies/:id", method = "patch", operation_id = "updateSavedReply")]
    async fn update(
        &self,
        org: Org<ReplyEdit>,
        /// The saved reply's id.
        id: Path<Uuid>,
        body: Json<SavedReplyChange>,
    ) -> Result<answers::Ok<SavedReply>, Failure<409>> {
        let mut checked = Checked::default();
        let name = checked.take_optional("name", body.0.name);
        let text = checked.take_optional("body", body.0.body);
        checked.done()?;
        let change = Change { name: name.as_ref(), body: text.as_ref() };
        let reply = org.run(async |tx| saved_replies::change(tx, id.0, &change).await).await?;
        Ok(answers::Ok(reply.into()))
    }

    /// Delete a saved reply
    ///
    /// Answers that were sent stay as they are.
    #[oai(path = "/saved-replies/:id", method = "delete", operation_id = "deleteSavedReply")]
    async fn delete(
        &self,
        org: Org<ReplyEdit>,
        /// The saved reply's id.
        id: Path<Uuid>,
    ) -> Result<answers::NoContent, Failure> {
        org.run(async |tx| saved_replies::delete(tx, id.0).await).await?;
        Ok(answers::NoContent)
    }
}
