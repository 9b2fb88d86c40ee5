//! Where tickets can stand, as the org calls it.

use poem_openapi::{Enum, Object, OpenApi, param::Path, payload::Json, types::Example};
use uuid::Uuid;

use super::tags::Tag;
use crate::{
    auth::caller::Org,
    domain::{
        permissions::{StatusEdit, StatusRead},
        text::{Checked, StatusName, Text},
    },
    http::{
        answers::{self, Page},
        failure::Failure,
        paging::Paging,
        text::Input,
    },
    store::statuses::{self, Change},
};

pub struct StatusesApi;

/// What a status means for what happens to a ticket.
#[derive(Enum, Clone, Copy)]
#[oai(rename = "StatusCategory", rename_all = "snake_case")]
pub(super) enum Category {
    /// Waiting for an agent.
    Open,
    /// Waiting for the customer.
    Pending,
    /// Solved; a customer's reply opens it again.
    Resolved,
    /// Over; takes no replies.
    Closed,
    /// The org's own; customers are told `open`.
    Custom,
}

impl From<statuses::Category> for Category {
    fn from(category: statuses::Category) -> Self {
        match category {
            statuses::Category::Open => Self::Open,
            statuses::Category::Pending => Self::Pending,
            statuses::Category::Resolved => Self::Resolved,
            statuses::Category::Closed => Self::Closed,
            statuses::Category::Custom => Self::Custom,
        }
    }
}

impl From<Category> for statuses::Category {
    fn from(category: Category) -> Self {
        match category {
            Category::Open => Self::Open,
            Category::Pending => Self::Pending,
            Category::Resolved => Self::Resolved,
            Category::Closed => Self::Closed,
            Category::Custom => Self::Custom,
        }
    }
}

/// Where a ticket can stand.
#[derive(Object)]
#[oai(rename = "Status", example)]
struct StatusBody {
    /// Its id.
    id: Uuid,
    /// How the org calls it.
    name: String,
    /// What it means.
    category: Category,
    /// Its place in the order.
    position: i32,
    /// New tickets get it, and those that a reply reopens.
    default: bool,
}

impl From<statuses::Status> for StatusBody {
    fn from(row: statuses::Status) -> Self {
        Self {
            id: row.id,
            name: row.name,
            category: row.category.into(),
            position: row.position,
            default: row.is_default,
        }
    }
}

impl Example for StatusBody {
    fn example() -> Self {
        Self {
            id: Uuid::from_u128(0x4c1e_77ab_90d3_4f52_8b16_e0a9_3d74_52c8),
            name: "Waiting for the customer".to_owned(),
            category: Category::Pending,
            position: 3,
            default: false,
        }
    }
}

/// Where a ticket can stand to add.
#[derive(Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
struct NewStatus {
    /// How to call it.
    name: Input<StatusName>,
    /// What it means.
    category: Input<Category>,
    /// Its place in the order; the last one when absent.
    #[oai(validator(minimum(value = "-1000000"), maximum(value = "1000000")))]
    position: Option<Input<i32>>,
}

impl Example for NewStatus {
    fn example() -> Self {
        Self {
            name: Input::of(Text::known("Waiting for the customer")),
            category: Input::of(Category::Pending),
            position: None,
        }
    }
}

/// What changes; what is absent stays.
#[derive(Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
struct StatusChange {
    /// Its new name.
    name: Option<Input<StatusName>>,
    /// What it means from now on; its tickets go along.
    category: Option<Input<Category>>,
    /// Its new place.
    #[oai(validator(minimum(value = "-1000000"), maximum(value = "1000000")))]
    position: Option<Input<i32>>,
    /// `true` makes it the default in place of the one that is.
    default: Option<Input<bool>>,
}

impl Example for StatusChange {
    fn example() -> Self {
        Self { name: None, category: None, position: Some(Input::of(2)), default: None }
    }
}

#[OpenApi(prefix_path = "/v1/orgs/{org}", tag = "Tag::Tickets")]
impl StatusesApi {
    /// List statuses
    ///
    /// In their order.
    #[oai(path = "/statuses", method = "get", operation_id = "listStatuses")]
    async fn list(&self, org: Org<StatusRead>, paging: Paging) -> Result<answers::Ok<Page<StatusBody>>, Failure> {
        let page = org.run(async |tx| statuses::page(tx, paging.request()).await).await?;
        Ok(answers::Ok(Page::of(page, StatusBody::from)))
    }

    /// Add a status
    ///
    /// `name_taken` when there is one of this name.
    #[oai(path = "/statuses", method = "post", operation_id = "createStatus")]
    async fn create(
        &self,
        org: Org<StatusEdit>,
        body: Json<NewStatus>,
    ) -> Result<answers::Created<StatusBody>, Failure<409, 422>> {
        let mut checked = Checked::default();
        let name = checked.take("name", body.0.name);
        let category = checked.take("category", body.0.category);
        let position = checked.take_optional("position", body.0.position);
        let (Some(category), Some(name), true) = (category, name, checked.is_empty()) else {
            return Err(checked.problem().into());
        };
        let row = org.run(async |tx| statuses::create(tx, &name, category.into(), position).await).await?;
        Ok(answers::Created(row.into()))
    }

    /// Change a status
    ///
    /// Its tickets go with its category. The default is of the category `open`.
    #[oai(path = "/statuses/:id", method = "patch", operation_id = "updateStatus")]
    async fn update(
        &self,
        org: Org<StatusEdit>,
        /// The status's id.
        id: Path<Uuid>,
        body: Json<StatusChange>,
    ) -> Result<answers::Ok<StatusBody>, Failure<409, 422>> {
        let mut checked = Checked::default();
        let name = checked.take_optional("name", body.0.name);
        let category = checked.take_optional("category", body.0.category);
        let position = checked.take_optional("position", body.0.position);
        let default = checked.take_optional("default", body.0.default);
        checked.done()?;
        let change = Change {
            name: name.as_ref(),
            category: category.map(Into::into),
            position,
            make_default: default == Some(true),
        };
        let row = org.run(async |tx| statuses::change(tx, id.0, &change).await).await?;
        Ok(answers::Ok(row.into()))
    }

    /// Delete a status
    ///
    /// Its tickets move to the default, which cannot be deleted.
    #[oai(path = "/statuses/:id", method = "delete", operation_id = "deleteStatus")]
    async fn delete(
        &self,
        org: Org<StatusEdit>,
        /// The status's id.
        id: Path<Uuid>,
    ) -> Result<answers::NoContent, Failure<422>> {
        org.run(async |tx| statuses::delete(tx, id.0).await).await?;
        Ok(answers::NoContent)
    }
}
