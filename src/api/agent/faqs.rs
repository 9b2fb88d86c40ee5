//! FAQs, as agents write them.

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::Example,
};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::{publishing::Status, tags::Tag};
use crate::{
    auth::caller::{Caller, Org},
    domain::{
        permissions::{ArticlePublish, ArticleRead, ArticleWrite},
        text::{Checked, FaqAnswer, FaqQuestion, Prose, Text},
    },
    http::{
        answers::{self, Page},
        failure::Failure,
        paging::Paging,
        text::{Input, Nullable},
    },
    store::{
        faqs::agent::{self, Change, NewFaq},
        publishing::{self, Filter},
    },
};

pub struct FaqsApi;

/// A frequently asked question.
#[derive(Object)]
#[oai(example)]
struct Faq {
    /// Its id.
    id: Uuid,
    /// The slug of its site; `null` for all sites of the org.
    site: Nullable<String>,
    /// The question, plain text.
    question: String,
    /// The answer, Markdown.
    answer_markdown: String,
    /// The answer rendered and sanitised.
    answer_html: String,
    /// Its place on the page, ascending.
    position: i32,
    /// Where it stands.
    status: Status,
    /// When it was made.
    created_at: OffsetDateTime,
    /// Who made it.
    created_by: String,
    /// When it was last changed.
    updated_at: OffsetDateTime,
    /// Who changed it last.
    updated_by: String,
}

impl From<agent::Faq> for Faq {
    fn from(row: agent::Faq) -> Self {
        Self {
            id: row.id,
            site: Nullable(row.site),
            question: row.question,
            answer_markdown: row.answer_markdown,
            answer_html: row.answer_html,
            position: row.position,
            status: row.status.into(),
            created_at: row.created_at,
            created_by: row.created_by,
            updated_at: row.updated_at,
            updated_by: row.updated_by,
        }
    }
}

impl Example for Faq {
    fn example() -> Self {
        Self {
            id: Uuid::from_u128(0x1f0c_55e2_9d1b_4b6a_8a57_03bd_c1a4_7f20),
            site: Nullable(None),
            question: "Can I change my plan later?".to_owned(),
            answer_markdown: "Yes, at **any** time.".to_owned(),
            answer_html: "<p>Yes, at <strong>any</strong> time.</p>\n".to_owned(),
            position: 1,
            status: Status::Published,
            created_at: datetime!(2026-01-14 08:00 UTC),
            created_by: "agnes@acme.com".to_owned(),
            updated_at: datetime!(2026-02-01 16:05 UTC),
            updated_by: "adam@acme.com".to_owned(),
        }
    }
}

/// A FAQ to write.
#[derive(Object)]
#[oai(rename = "NewFaq", deny_unknown_fields, skip_serializing_if_is_none, example)]
struct NewFaqBody {
    /// The question.
    question: Input<FaqQuestion>,
    /// The answer, Markdown; may be empty until it is published.
    answer_markdown: Option<Input<FaqAnswer>>,
    /// The slug of its site; for all sites of the org when `null` or absent.
    site: Option<Input<Text<63>>>,
    /// Its place on the page, ascending; after the last one when absent.
    #[oai(validator(minimum(value = "-1000000"), maximum(value = "1000000")))]
    position: Option<Input<i32>>,
}

impl Example for NewFaqBody {
    fn example() -> Self {
        Self {
            question: Input::of(Text::known("Can I change my plan later?")),
            answer_markdown: Some(Input::of(Prose::known("Yes, at **any** time."))),
            site: None,
            position: None,
        }
    }
}

/// What changes of a FAQ; what is absent stays.
#[derive(Object)]
#[oai(rename = "FaqChange", deny_unknown_fields, skip_serializing_if_is_none, example)]
struct FaqChangeBody {
    /// The new question.
    question: Option<Input<FaqQuestion>>,
    /// The new answer, Markdown.
    answer_markdown: Option<Input<FaqAnswer>>,
    /// Its new place.
    #[oai(validator(minimum(value = "-1000000"), maximum(value = "1000000")))]
    position: Option<Input<i32>>,
}

impl Example for FaqChangeBody {
    fn example() -> Self {
        Self { question: None, answer_markdown: None, position: Some(Input::of(3)) }
    }
}

/// Moves a FAQ to where it is to stand.
async fn move_to(org: &Caller, id: Uuid, status: publishing::Status) -> Result<answers::Ok<Faq>, Failure<422>> {
    let faq = org.run(async |tx| agent::set_status(tx, id, status).await).await?;
    Ok(answers::Ok(faq.into()))
}

#[OpenApi(prefix_path = "/v1/orgs/{org}", tag = "Tag::Help")]
impl FaqsApi {
    /// List FAQs
    ///
    /// The org's FAQs in their order, drafts and archived ones too. With `q` those that contain it.
    #[oai(path = "/faqs", method = "get", operation_id = "listFaqs")]
    async fn faqs(
        &self,
        org: Org<ArticleRead>,
        paging: Paging,
        /// Only those of the site of this slug.
        site: Query<Option<Text<63>>>,
        /// Only those that stand here.
        status: Query<Option<Status>>,
        /// What question or answer contain.
        q: Query<Option<Text<200>>>,
    ) -> Result<answers::Ok<Page<Faq>>, Failure<422>> {
        let filter = Filter { site: site.0.as_deref(), status: status.0.map(Into::into), search: q.0.as_deref() };
        let page = org.run(async |tx| agent::page(tx, paging.request(), &filter).await).await?;
        Ok(answers::Ok(Page::of(page, Faq::from)))
    }

    /// Write a FAQ
    ///
    /// A draft, until it is published.
    #[oai(path = "/faqs", method = "post", operation_id = "createFaq")]
    async fn create(
        &self,
        org: Org<ArticleWrite>,
        body: Json<NewFaqBody>,
    ) -> Result<answers::Created<Faq>, Failure<409, 422>> {
        let mut checked = Checked::default();
        let question = checked.take("question", body.0.question);
        let answer_markdown = checked.take_optional("answer_markdown", body.0.answer_markdown);
        let site = checked.take_optional("site", body.0.site);
        let position = checked.take_optional("position", body.0.position);
        let (Some(question), true) = (question, checked.is_empty()) else {
            return Err(checked.problem().into());
        };
        let new =
            NewFaq { site: site.as_deref(), question: &question, answer_markdown: answer_markdown.as_ref(), position };
        let faq = org.run(async |tx| agent::create(tx, &new).await).await?;
        Ok(answers::Created(faq.into()))
    }

    /// Read a FAQ
    ///
    /// With its answer, wherever it stands.
    #[oai(path = "/faqs/:id", method = "get", operation_id = "getFaq")]
    async fn faq(
        &self,
        org: Org<ArticleRead>,
        /// The FAQ's id.
        id: Path<Uuid>,
    ) -> Result<answers::Ok<Faq>, Failure> {
        let faq = org.run(async |tx| agent::by_id(tx, id.0).await).await?;
        Ok(answers::Ok(faq.into()))
    }

    /// Change a FAQ
    ///
    /// A published one shows the change in the next request, so its answer must not become blank.
    #[oai(path = "/faqs/:id", method = "patch", operation_id = "updateFaq")]
    async fn update(
        &self,
        org: Org<ArticleWrite>,
        /// The FAQ's id.
        id: Path<Uuid>,
        body: Json<FaqChangeBody>,
    ) -> Result<answers::Ok<Faq>, Failure<409, 422>> {
        let mut checked = Checked::default();
        let question = checked.take_optional("question", body.0.question);
        let answer_markdown = checked.take_optional("answer_markdown", body.0.answer_markdown);
        let position = checked.take_optional("position", body.0.position);
        checked.done()?;
        let change =
            Change { question: question.as_ref(), answer_markdown: answer_markdown.as_ref(), position, seen: None };
        let faq = org.run(async |tx| agent::change(tx, id.0, &change).await).await?;
        Ok(answers::Ok(faq.into()))
    }

    /// Delete a FAQ
    ///
    /// For good, wherever it stands.
    #[oai(path = "/faqs/:id", method = "delete", operation_id = "deleteFaq")]
    async fn delete(
        &self,
        org: Org<ArticleWrite>,
        /// The FAQ's id.
        id: Path<Uuid>,
    ) -> Result<answers::NoContent, Failure<409>> {
        org.run(async |tx| agent::delete(tx, id.0).await).await?;
        Ok(answers::NoContent)
    }

    /// Publish a FAQ
    ///
    /// Customers see it in the next request. Its answer must not be blank.
    #[oai(path = "/faqs/:id/publish", method = "post", operation_id = "publishFaq")]
    async fn publish(
        &self,
        org: Org<ArticlePublish>,
        /// The FAQ's id.
        id: Path<Uuid>,
    ) -> Result<answers::Ok<Faq>, Failure<422>> {
        move_to(&org, *id, publishing::Status::Published).await
    }

    /// Take a FAQ back
    ///
    /// It becomes a draft; customers no longer see it in the next request.
    #[oai(path = "/faqs/:id/unpublish", method = "post", operation_id = "unpublishFaq")]
    async fn unpublish(
        &self,
        org: Org<ArticlePublish>,
        /// The FAQ's id.
        id: Path<Uuid>,
    ) -> Result<answers::Ok<Faq>, Failure<422>> {
        move_to(&org, *id, publishing::Status::Draft).await
    }

    /// Archive a FAQ
    ///
    /// Puts it away; customers no longer see it in the next request.
    #[oai(path = "/faqs/:id/archive", method = "post", operation_id = "archiveFaq")]
    async fn archive(
        &self,
        org: Org<ArticlePublish>,
        /// The FAQ's id.
        id: Path<Uuid>,
    ) -> Result<answers::Ok<Faq>, Failure<422>> {
        move_to(&org, *id, publishing::Status::Archived).await
    }
}
