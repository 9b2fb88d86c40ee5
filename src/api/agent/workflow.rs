//! Statuses and priorities of tickets, as the org calls them.

use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::Example,
};
use uuid::Uuid;

use super::{
    Tag,
    listing::{Done, Failure, Made, Page, Reading, Removing, Shown, Writing},
};
use crate::{
    auth::agent::Agent,
    domain::text::{Checked, Text},
    http::text::Input,
    store::{self, paging::PageRequest, statuses::Change},
};

pub struct StatusesApi;
pub struct PrioritiesApi;

/// The longest name, characters.
const NAME_LENGTH: usize = 60;

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

impl From<crate::store::statuses::Category> for Category {
    fn from(category: crate::store::statuses::Category) -> Self {
        match category {
            crate::store::statuses::Category::Open => Self::Open,
            crate::store::statuses::Category::Pending => Self::Pending,
            crate::store::statuses::Category::Resolved => Self::Resolved,
            crate::store::statuses::Category::Closed => Self::Closed,
            crate::store::statuses::Category::Custom => Self::Custom,
        }
    }
}

impl From<Category> for crate::store::statuses::Category {
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

impl From<crate::store::statuses::Status> for StatusBody {
    fn from(row: crate::store::statuses::Status) -> Self {
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
    name: Input<Text<NAME_LENGTH>>,
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
    name: Option<Input<Text<NAME_LENGTH>>>,
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

#[OpenApi(prefix_path = "/v1", tag = "Tag::Tickets")]
impl StatusesApi {
    /// List statuses
    ///
    /// In their order.
    #[oai(path = "/orgs/:org/statuses", method = "get", operation_id = "listStatuses")]
    async fn list(
        &self,
        agent: Agent,
        /// The org's slug.
        #[oai(name = "org")]
        _org: Path<String>,
        /// How many entries a page holds; 20 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<Text<400>>>,
    ) -> Result<Shown<Page<StatusBody>>, Failure<Reading>> {
        let page_request = PageRequest::of(limit.0, cursor.0.as_ref());
        let page = agent.run(async |tx| store::statuses::page(tx, page_request).await).await?;
        Ok(Shown(Page::of(page, StatusBody::from)))
    }

    /// Add a status
    ///
    /// `name_taken` when there is one of this name.
    #[oai(path = "/orgs/:org/statuses", method = "post", operation_id = "createStatus")]
    async fn create(
        &self,
        agent: Agent,
        /// The org's slug.
        #[oai(name = "org")]
        _org: Path<String>,
        body: Json<NewStatus>,
    ) -> Result<Made<StatusBody>, Failure<Writing>> {
        let mut checked = Checked::default();
        let name = checked.take("name", body.0.name);
        let category = checked.take("category", body.0.category);
        let position = checked.take_optional("position", body.0.position);
        let (Some(category), Some(name), true) = (category, name, checked.is_empty()) else {
            return Err(checked.problem().into());
        };
        let row = agent.run(async |tx| store::statuses::create(tx, &name, category.into(), position).await).await?;
        Ok(Made(row.into()))
    }

    /// Change a status
    ///
    /// Its tickets go with its category. The default is of the category `open`.
    #[oai(path = "/orgs/:org/statuses/:id", method = "patch", operation_id = "updateStatus")]
    async fn update(
        &self,
        agent: Agent,
        /// The org's slug.
        #[oai(name = "org")]
        _org: Path<String>,
        /// The status's id.
        id: Path<Uuid>,
        body: Json<StatusChange>,
    ) -> Result<Shown<StatusBody>, Failure<Writing>> {
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
        let row = agent.run(async |tx| store::statuses::change(tx, id.0, &change).await).await?;
        Ok(Shown(row.into()))
    }

    /// Delete a status
    ///
    /// Its tickets move to the default, which cannot be deleted.
    #[oai(path = "/orgs/:org/statuses/:id", method = "delete", operation_id = "deleteStatus")]
    async fn delete(
        &self,
        agent: Agent,
        /// The org's slug.
        #[oai(name = "org")]
        _org: Path<String>,
        /// The status's id.
        id: Path<Uuid>,
    ) -> Result<Done, Failure<Removing>> {
        agent.run(async |tx| store::statuses::delete(tx, id.0).await).await?;
        Ok(Done)
    }
}

/// How urgent a ticket can be.
#[derive(Object)]
#[oai(rename = "Priority", example)]
struct PriorityBody {
    /// Its id.
    id: Uuid,
    /// How the org calls it.
    name: String,
    /// Its place in the order, the least urgent first.
    position: i32,
    /// New tickets get it.
    default: bool,
}

impl From<crate::store::priorities::Priority> for PriorityBody {
    fn from(row: crate::store::priorities::Priority) -> Self {
        Self { id: row.id, name: row.name, position: row.position, default: row.is_default }
    }
}

impl Example for PriorityBody {
    fn example() -> Self {
        Self {
            id: Uuid::from_u128(0x7a90_2c4d_61be_4d08_9f35_b8c2_04e7_16da),
            name: "High".to_owned(),
            position: 3,
            default: false,
        }
    }
}

/// How urgent a ticket can be to add.
#[derive(Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
struct NewPriority {
    /// How to call it.
    name: Input<Text<NAME_LENGTH>>,
    /// Its place in the order; the last one when absent.
    #[oai(validator(minimum(value = "-1000000"), maximum(value = "1000000")))]
    position: Option<Input<i32>>,
}

impl Example for NewPriority {
    fn example() -> Self {
        Self { name: Input::of(Text::known("High")), position: None }
    }
}

/// What changes; what is absent stays.
#[derive(Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
struct PriorityChange {
    /// Its new name.
    name: Option<Input<Text<NAME_LENGTH>>>,
    /// Its new place.
    #[oai(validator(minimum(value = "-1000000"), maximum(value = "1000000")))]
    position: Option<Input<i32>>,
    /// `true` makes it the default in place of the one that is.
    default: Option<Input<bool>>,
}

impl Example for PriorityChange {
    fn example() -> Self {
        Self { name: None, position: Some(Input::of(2)), default: None }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Tickets")]
impl PrioritiesApi {
    /// List priorities
    ///
    /// In their order, the least urgent first.
    #[oai(path = "/orgs/:org/priorities", method = "get", operation_id = "listPriorities")]
    async fn list(
        &self,
        agent: Agent,
        /// The org's slug.
        #[oai(name = "org")]
        _org: Path<String>,
        /// How many entries a page holds; 20 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<Text<400>>>,
    ) -> Result<Shown<Page<PriorityBody>>, Failure<Reading>> {
        let page_request = PageRequest::of(limit.0, cursor.0.as_ref());
        let page = agent.run(async |tx| store::priorities::page(tx, page_request).await).await?;
        Ok(Shown(Page::of(page, PriorityBody::from)))
    }

    /// Add a priority
    ///
    /// `name_taken` when there is one of this name.
    #[oai(path = "/orgs/:org/priorities", method = "post", operation_id = "createPriority")]
    async fn create(
        &self,
        agent: Agent,
        /// The org's slug.
        #[oai(name = "org")]
        _org: Path<String>,
        body: Json<NewPriority>,
    ) -> Result<Made<PriorityBody>, Failure<Writing>> {
        let mut checked = Checked::default();
        let name = checked.take("name", body.0.name);
        let position = checked.take_optional("position", body.0.position);
        let (Some(name), true) = (name, checked.is_empty()) else {
            return Err(checked.problem().into());
        };
        let row = agent.run(async |tx| store::priorities::create(tx, &name, position).await).await?;
        Ok(Made(row.into()))
    }

    /// Change a priority
    ///
    /// Its name, its place in the order, or that it is the default.
    #[oai(path = "/orgs/:org/priorities/:id", method = "patch", operation_id = "updatePriority")]
    async fn update(
        &self,
        agent: Agent,
        /// The org's slug.
        #[oai(name = "org")]
        _org: Path<String>,
        /// The priority's id.
        id: Path<Uuid>,
        body: Json<PriorityChange>,
    ) -> Result<Shown<PriorityBody>, Failure<Writing>> {
        let mut checked = Checked::default();
        let name = checked.take_optional("name", body.0.name);
        let position = checked.take_optional("position", body.0.position);
        let default = checked.take_optional("default", body.0.default);
        checked.done()?;
        let change = store::priorities::Change { name: name.as_ref(), position, make_default: default == Some(true) };
        let row = agent.run(async |tx| store::priorities::change(tx, id.0, &change).await).await?;
        Ok(Shown(row.into()))
    }

    /// Delete a priority
    ///
    /// Its tickets move to the default, which cannot be deleted.
    #[oai(path = "/orgs/:org/priorities/:id", method = "delete", operation_id = "deletePriority")]
    async fn delete(
        &self,
        agent: Agent,
        /// The org's slug.
        #[oai(name = "org")]
        _org: Path<String>,
        /// The priority's id.
        id: Path<Uuid>,
    ) -> Result<Done, Failure<Removing>> {
        agent.run(async |tx| store::priorities::delete(tx, id.0).await).await?;
        Ok(Done)
    }
}
