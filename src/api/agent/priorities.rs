//! How urgent tickets can be, as the org calls it.

use poem_openapi::{Object, OpenApi, param::Path, payload::Json, types::Example};
use uuid::Uuid;

use super::tags::Tag;
use crate::{
    auth::caller::Org,
    domain::{
        permissions::{PriorityEdit, PriorityRead},
        text::{Checked, PriorityName, Text},
    },
    http::{
        answers::{self, Page},
        failure::Failure,
        paging::Paging,
        text::Input,
    },
    store::priorities::{self, Change},
};

pub struct PrioritiesApi;

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

impl From<priorities::Priority> for PriorityBody {
    fn from(row: priorities::Priority) -> Self {
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
    name: Input<PriorityName>,
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
    name: Option<Input<PriorityName>>,
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

#[OpenApi(prefix_path = "/v1/orgs/{org}", tag = "Tag::Tickets")]
impl PrioritiesApi {
    /// List priorities
    ///
    /// In their order, the least urgent first.
    #[oai(path = "/priorities", method = "get", operation_id = "listPriorities")]
    async fn list(&self, org: Org<PriorityRead>, paging: Paging) -> Result<answers::Ok<Page<PriorityBody>>, Failure> {
        let page = org.run(async |tx| priorities::page(tx, paging.request()).await).await?;
        Ok(answers::Ok(Page::of(page, PriorityBody::from)))
    }

    /// Add a priority
    ///
    /// `name_taken` when there is one of this name.
    #[oai(path = "/priorities", method = "post", operation_id = "createPriority")]
    async fn create(
        &self,
        org: Org<PriorityEdit>,
        body: Json<NewPriority>,
    ) -> Result<answers::Created<PriorityBody>, Failure<409, 422>> {
        let mut checked = Checked::default();
        let name = checked.take("name", body.0.name);
        let position = checked.take_optional("position", body.0.position);
        let (Some(name), true) = (name, checked.is_empty()) else {
            return Err(checked.problem().into());
        };
        let row = org.run(async |tx| priorities::create(tx, &name, position).await).await?;
        Ok(answers::Created(row.into()))
    }

    /// Change a priority
    ///
    /// Its name, its place in the order, or that it is the default.
    #[oai(path = "/priorities/:id", method = "patch", operation_id = "updatePriority")]
    async fn update(
        &self,
        org: Org<PriorityEdit>,
        /// The priority's id.
        id: Path<Uuid>,
        body: Json<PriorityChange>,
    ) -> Result<answers::Ok<PriorityBody>, Failure<409, 422>> {
        let mut checked = Checked::default();
        let name = checked.take_optional("name", body.0.name);
        let position = checked.take_optional("position", body.0.position);
        let default = checked.take_optional("default", body.0.default);
        checked.done()?;
        let change = Change { name: name.as_ref(), position, make_default: default == Some(true) };
        let row = org.run(async |tx| priorities::change(tx, id.0, &change).await).await?;
        Ok(answers::Ok(row.into()))
    }

    /// Delete a priority
    ///
    /// Its tickets move to the default, which cannot be deleted.
    #[oai(path = "/priorities/:id", method = "delete", operation_id = "deletePriority")]
    async fn delete(
        &self,
        org: Org<PriorityEdit>,
        /// The priority's id.
        id: Path<Uuid>,
    ) -> Result<answers::NoContent, Failure<422>> {
        org.run(async |tx| priorities::delete(tx, id.0).await).await?;
        Ok(answers::NoContent)
    }
}
