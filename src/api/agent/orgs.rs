//! Orgs: those of the caller, and one of them.

use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::Example,
};
use time::{OffsetDateTime, macros::datetime};

use super::{
    Tag,
    listing::{Doing, Done, Failure, Looking, Page, Reading, Shown, Writing},
};
use crate::{
    auth::agent::Agent,
    domain::text::{Checked, NAME_LENGTH, Text},
    http::text::Input,
    store::{
        self,
        members::{self, Membership},
        paging::PageRequest,
    },
};

pub struct OrgsApi;

/// What a member may do, in one word.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Debug)]
#[oai(rename_all = "snake_case")]
pub(super) enum Role {
    /// Everything.
    Owner,
    /// Everything but billing, deleting the org and deleting sites.
    Admin,
    /// Tickets and drafts.
    Agent,
    /// Reads.
    Viewer,
}

impl From<members::Role> for Role {
    fn from(role: members::Role) -> Self {
        match role {
            members::Role::Owner => Self::Owner,
            members::Role::Admin => Self::Admin,
            members::Role::Agent => Self::Agent,
            members::Role::Viewer => Self::Viewer,
        }
    }
}

impl From<Role> for members::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Owner => Self::Owner,
            Role::Admin => Self::Admin,
            Role::Agent => Self::Agent,
            Role::Viewer => Self::Viewer,
        }
    }
}

/// An org, as the caller stands in it.
#[derive(Object)]
#[oai(rename = "Org", example)]
pub(super) struct OrgBody {
    /// Its name in URLs; never changes.
    slug: String,
    /// Its name.
    name: String,
    /// When it was made.
    created_at: OffsetDateTime,
    /// The caller's role.
    role: Role,
    /// What the caller may do there now.
    permissions: Vec<String>,
}

impl From<Membership> for OrgBody {
    fn from(row: Membership) -> Self {
        Self {
            slug: row.slug,
            name: row.name,
            created_at: row.created_at,
            role: row.role.into(),
            permissions: row.permissions,
        }
    }
}

impl Example for OrgBody {
    fn example() -> Self {
        Self {
            slug: "acme".to_owned(),
            name: "Acme".to_owned(),
            created_at: datetime!(2026-01-05 08:00 UTC),
            role: Role::Agent,
            permissions: ["article:read", "article:write", "ticket:read", "ticket:write"].map(str::to_owned).to_vec(),
        }
    }
}

/// What changes of an org.
#[derive(Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
struct OrgChange {
    /// Its new name.
    name: Option<Input<Text<NAME_LENGTH>>>,
}

impl Example for OrgChange {
    fn example() -> Self {
        Self { name: Some(Input::of(Text::known("Acme Inc."))) }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Orgs")]
impl OrgsApi {
    /// List one's orgs
    ///
    /// The orgs that the caller belongs to, by slug.
    #[oai(path = "/orgs", method = "get", operation_id = "listOrgs")]
    async fn orgs(
        &self,
        agent: Agent,
        /// How many entries a page holds; 20 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<Text<400>>>,
    ) -> Result<Shown<Page<OrgBody>>, Failure<Looking>> {
        let page_request = PageRequest::of(limit.0, cursor.0.as_ref());
        let page = agent.run(async |tx| store::members::memberships(tx, page_request).await).await?;
        Ok(Shown(Page::of(page, OrgBody::from)))
    }

    /// Read an org
    ///
    /// The org, with the caller's role and permissions in it.
    #[oai(path = "/orgs/:org", method = "get", operation_id = "getOrg")]
    async fn org(
        &self,
        agent: Agent,
        /// The org's slug.
        #[oai(name = "org")]
        _org: Path<String>,
    ) -> Result<Shown<OrgBody>, Failure<Reading>> {
        let org = agent.run(async |tx| store::members::own_org(tx).await).await?;
        Ok(Shown(org.into()))
    }

    /// Change an org
    ///
    /// Its name; a slug never changes.
    #[oai(path = "/orgs/:org", method = "patch", operation_id = "updateOrg")]
    async fn update(
        &self,
        agent: Agent,
        /// The org's slug.
        #[oai(name = "org")]
        _org: Path<String>,
        body: Json<OrgChange>,
    ) -> Result<Shown<OrgBody>, Failure<Writing>> {
        let mut checked = Checked::default();
        let name = checked.take_optional("name", body.0.name);
        checked.done()?;
        let org = agent
            .run(async |tx| {
                if let Some(name) = &name {
                    store::orgs::rename(tx, name).await?;
                }
                store::members::own_org(tx).await
            })
            .await?;
        Ok(Shown(org.into()))
    }

    /// Delete an org
    ///
    /// With its sites, their keys and content, its tickets and memberships. What was written to its audit log stays in
    /// the database.
    #[oai(path = "/orgs/:org", method = "delete", operation_id = "deleteOrg")]
    async fn delete(
        &self,
        agent: Agent,
        /// The org's slug.
        #[oai(name = "org")]
        _org: Path<String>,
    ) -> Result<Done, Failure<Doing>> {
        agent.run(async |tx| store::orgs::delete(tx).await).await?;
        Ok(Done)
    }
}
