//! Tickets of one customer that are put together, and which may belong together.

use poem_openapi::{Object, OpenApi, param::Path, payload::Json, types::Example};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::{
    statuses::Category,
    tags::Tag,
    ticket_parts::{self, EXAMPLE_ID},
    tickets::Ticket,
};
use crate::{
    auth::caller::Org,
    domain::permissions::{TicketRead, TicketWrite},
    http::{answers, failure::Failure, text::Nullable},
    store::{
        self,
        tickets::{merging, parts},
    },
};

pub struct MergingApi;

/// Which ticket another becomes part of.
#[derive(Object)]
#[oai(rename = "TicketMerge", deny_unknown_fields, example)]
struct MergeBody {
    /// The id of a ticket of the same site and address that is not closed, and no part itself.
    into: Uuid,
}

impl Example for MergeBody {
    fn example() -> Self {
        Self { into: EXAMPLE_ID }
    }
}

/// A ticket of the same address and site.
#[derive(Object)]
struct RelatedTicket {
    /// Its id.
    id: Uuid,
    /// Its reference.
    reference: String,
    /// Its subject.
    subject: String,
    /// How the org calls where it stands.
    status: String,
    /// What that means.
    category: Category,
    /// When something was said last.
    last_activity_at: OffsetDateTime,
    /// Mails of both say that they began with the same message: they may belong together.
    same_thread: bool,
    /// The reference of the one that it is part of.
    merged_into: Nullable<String>,
}

impl From<merging::Related> for RelatedTicket {
    fn from(row: merging::Related) -> Self {
        Self {
            id: row.id,
            reference: row.reference,
            subject: row.subject,
            status: row.status,
            category: row.category.into(),
            last_activity_at: row.last_activity_at,
            same_thread: row.same_thread,
            merged_into: Nullable(row.merged_into),
        }
    }
}

/// What may belong to a ticket.
#[derive(Object)]
#[oai(example)]
struct RelatedTickets {
    /// At most 20: first those whose mails began alike, then those of which something was said last.
    tickets: Vec<RelatedTicket>,
}

impl Example for RelatedTickets {
    fn example() -> Self {
        let parts::Part { id, reference, subject } = ticket_parts::example();
        let one = merging::Related {
            id,
            reference,
            subject,
            status: "Open".to_owned(),
            category: store::statuses::Category::Open,
            last_activity_at: datetime!(2026-02-01 16:20 UTC),
            merged_into: Some("APP-42".to_owned()),
            same_thread: true,
        };
        Self { tickets: vec![one.into()] }
    }
}

#[OpenApi(prefix_path = "/v1/orgs/{org}", tag = "Tag::Tickets")]
impl MergingApi {
    /// List related tickets
    ///
    /// Those of the same address at the same site, but for those that are part of it. `same_thread` marks those whose mails say that
    /// they began with the same message: a suggestion, by which nothing is put together.
    #[oai(path = "/tickets/:id/related", method = "get", operation_id = "listRelatedTickets")]
    async fn related(
        &self,
        org: Org<TicketRead>,
        /// The ticket's id.
        id: Path<Uuid>,
    ) -> Result<answers::Ok<RelatedTickets>, Failure> {
        let tickets = org.run(async |tx| merging::related(tx, id.0).await).await?;
        Ok(answers::Ok(RelatedTickets { tickets: tickets.into_iter().map(Into::into).collect() }))
    }

    /// Merge a ticket into another
    ///
    /// Of the same site and address. The other shows its conversation, and what was part of it; nothing is copied, and its customer reads
    /// and answers each as before. What they say in it opens the other, which waits at once where this one did. It is resolved, and
    /// nobody is told. The answer is the other.
    #[oai(path = "/tickets/:id/merge", method = "post", operation_id = "mergeTicket")]
    async fn merge(
        &self,
        org: Org<TicketWrite>,
        /// The id of the ticket that becomes part of the other.
        id: Path<Uuid>,
        body: Json<MergeBody>,
    ) -> Result<answers::Ok<Ticket>, Failure<409, 422>> {
        let whole = org.run(async |tx| merging::merge(tx, id.0, body.0.into).await).await?;
        Ok(answers::Ok(whole.into()))
    }

    /// Take back that a ticket was merged
    ///
    /// It stands where it stood before, if nobody changed that meanwhile; the other stays as it is. `not_found` when it is part of none.
    #[oai(path = "/tickets/:id/merge", method = "delete", operation_id = "unmergeTicket")]
    async fn unmerge(
        &self,
        org: Org<TicketWrite>,
        /// The ticket's id.
        id: Path<Uuid>,
    ) -> Result<answers::NoContent, Failure> {
        org.run(async |tx| merging::unmerge(tx, id.0).await.map(|_| ())).await?;
        Ok(answers::NoContent)
    }
}
