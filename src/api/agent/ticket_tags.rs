//! What an org calls its tickets.

use poem_openapi::{Enum, Object, OpenApi, param::Path, payload::Json, types::Example};
use uuid::Uuid;

use super::tags::Tag as Group;
use crate::{
    auth::caller::Org,
    domain::{
        permissions::{TagEdit, TicketRead},
        text::{Checked, TagName, Text},
    },
    http::{
        answers::{self, Page},
        failure::Failure,
        paging::Paging,
        text::Input,
    },
    store::tags::{self, Change},
};

pub struct TicketTagsApi;

/// What a tag is drawn in.
#[derive(Enum, Clone, Copy)]
#[oai(rename = "TagColour", rename_all = "snake_case")]
enum Colour {
    Grey,
    Red,
    Orange,
    Yellow,
    Green,
    Teal,
    Blue,
    Purple,
}

impl From<tags::Colour> for Colour {
    fn from(colour: tags::Colour) -> Self {
        match colour {
            tags::Colour::Grey => Self::Grey,
            tags::Colour::Red => Self::Red,
            tags::Colour::Orange => Self::Orange,
            tags::Colour::Yellow => Self::Yellow,
            tags::Colour::Green => Self::Green,
            tags::Colour::Teal => Self::Teal,
            tags::Colour::Blue => Self::Blue,
            tags::Colour::Purple => Self::Purple,
        }
    }
}

impl From<Colour> for tags::Colour {
    fn from(colour: Colour) -> Self {
        match colour {
            Colour::Grey => Self::Grey,
            Colour::Red => Self::Red,
            Colour::Orange => Self::Orange,
            Colour::Yellow => Self::Yellow,
            Colour::Green => Self::Green,
            Colour::Teal => Self::Teal,
            Colour::Blue => Self::Blue,
            Colour::Purple => Self::Purple,
        }
    }
}

/// What an org calls some of its tickets.
#[derive(Object)]
#[oai(example)]
pub(super) struct Tag {
    /// Its id.
    id: Uuid,
    /// Its name, which no other tag of the org has in whichever letters.
    name: String,
    /// What it is drawn in.
    colour: Colour,
}

impl From<tags::Tag> for Tag {
    fn from(row: tags::Tag) -> Self {
        Self { id: row.id, name: row.name, colour: row.colour.into() }
    }
}

/// A tag for examples.
pub(super) fn example() -> tags::Tag {
    tags::Tag {
        id: Uuid::from_u128(0x2c90_7ae4_53d1_4b6f_9e08_d174_6a3b_f592),
        name: "billing".to_owned(),
        colour: tags::Colour::Teal,
    }
}

impl Example for Tag {
    fn example() -> Self {
        example().into()
    }
}

/// A tag to make.
#[derive(Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
struct NewTag {
    /// Its name.
    name: Input<TagName>,
    /// What it is drawn in; grey when absent.
    colour: Option<Input<Colour>>,
}

impl Example for NewTag {
    fn example() -> Self {
        Self { name: Input::of(Text::known("billing")), colour: Some(Input::of(Colour::Teal)) }
    }
}

/// What changes of a tag; what is absent stays.
#[derive(Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
struct TagChange {
    /// Its new name.
    name: Option<Input<TagName>>,
    /// What it is drawn in from now on.
    colour: Option<Input<Colour>>,
}

impl Example for TagChange {
    fn example() -> Self {
        Self { name: Some(Input::of(Text::known("invoices"))), colour: None }
    }
}

#[OpenApi(prefix_path = "/v1/orgs/{org}", tag = "Group::Tickets")]
impl TicketTagsApi {
    /// List tags
    ///
    /// By name.
    #[oai(path = "/tags", method = "get", operation_id = "listTags")]
    async fn list(&self, org: Org<TicketRead>, paging: Paging) -> Result<answers::Ok<Page<Tag>>, Failure> {
        let page = org.run(async |tx| tags::page(tx, paging.request()).await).await?;
        Ok(answers::Ok(Page::of(page, Tag::from)))
    }

    /// Make a tag
    ///
    /// `name_taken` when the org has one of this name, in whichever letters.
    #[oai(path = "/tags", method = "post", operation_id = "createTag")]
    async fn create(&self, org: Org<TagEdit>, body: Json<NewTag>) -> Result<answers::Created<Tag>, Failure<409>> {
        let mut checked = Checked::default();
        let name = checked.take("name", body.0.name);
        let colour = checked.take_optional("colour", body.0.colour).map_or_else(Default::default, Into::into);
        let (Some(name), true) = (name, checked.is_empty()) else {
            return Err(checked.problem().into());
        };
        let tag = org.run(async |tx| tags::create(tx, &name, colour).await).await?;
        Ok(answers::Created(tag.into()))
    }

    /// Read a tag
    ///
    /// Its name and colour.
    #[oai(path = "/tags/:id", method = "get", operation_id = "getTag")]
    async fn tag(
        &self,
        org: Org<TicketRead>,
        /// The tag's id.
        id: Path<Uuid>,
    ) -> Result<answers::Ok<Tag>, Failure> {
        let tag = org.run(async |tx| tags::by_id(tx, id.0).await).await?;
        Ok(answers::Ok(tag.into()))
    }

    /// Change a tag
    ///
    /// On all its tickets. Views that name it by its old name find nothing more; those that name its id stay as they are.
    #[oai(path = "/tags/:id", method = "patch", operation_id = "updateTag")]
    async fn update(
        &self,
        org: Org<TagEdit>,
        /// The tag's id.
        id: Path<Uuid>,
        body: Json<TagChange>,
    ) -> Result<answers::Ok<Tag>, Failure<409>> {
        let mut checked = Checked::default();
        let name = checked.take_optional("name", body.0.name);
        let colour = checked.take_optional("colour", body.0.colour).map(Into::into);
        checked.done()?;
        let change = Change { name: name.as_ref(), colour };
        let tag = org.run(async |tx| tags::change(tx, id.0, &change).await).await?;
        Ok(answers::Ok(tag.into()))
    }

    /// Delete a tag
    ///
    /// It comes off its tickets, whose timelines keep that it was on them.
    #[oai(path = "/tags/:id", method = "delete", operation_id = "deleteTag")]
    async fn delete(
        &self,
        org: Org<TagEdit>,
        /// The tag's id.
        id: Path<Uuid>,
    ) -> Result<answers::NoContent, Failure> {
        org.run(async |tx| tags::delete(tx, id.0).await).await?;
        Ok(answers::NoContent)
    }
}
