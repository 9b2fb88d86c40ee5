//! Orgs: those of the caller, and one of them.

use poem_openapi::{Enum, Object, OpenApi, payload::Json, types::Example};
use time::{OffsetDateTime, macros::datetime};

use super::tags::Tag;
use crate::{
    auth::caller::{Caller, Org},
    db::OrgTx,
    domain::{
        permissions::{AnyMember, OrgDelete, OrgEdit},
        problem::Problem,
        text::{Checked, NAME_LENGTH, Text},
    },
    http::{
        answers::{self, Page},
        failure::Failure,
        paging::Paging,
        text::Input,
    },
    store::{
        self,
        members::{self, Membership},
        orgs::{AnswerSettings, FileQuota},
    },
};

pub struct OrgsApi;
pub struct OrgApi;

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
#[oai(rename = "Org", skip_serializing_if_is_none, example)]
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
    /// An open ticket that is answered becomes pending; absent in a list of orgs.
    answer_sets_pending: Option<bool>,
    /// A ticket of nobody becomes that of the member who answers it, if they may assign; absent in a list of orgs.
    answer_assigns: Option<bool>,
    /// What it keeps; absent in a list of orgs.
    files: Option<OrgFiles>,
}

/// Files that an org keeps, and may.
#[derive(Object)]
struct OrgFiles {
    /// Bytes of all files of its sites.
    bytes: i64,
    /// How much that may be, MiB; beyond it an upload is refused: `413 quota_exceeded`. Who runs the server sets it.
    quota_mib: u32,
}

impl OrgBody {
    fn with((row, files, answers): (Membership, FileQuota, AnswerSettings)) -> Self {
        let files = OrgFiles { bytes: files.bytes, quota_mib: files.quota_mib.cast_unsigned() };
        let (answer_sets_pending, answer_assigns) = (Some(answers.sets_pending), Some(answers.assigns));
        Self { files: Some(files), answer_sets_pending, answer_assigns, ..row.into() }
    }
}

impl From<Membership> for OrgBody {
    fn from(row: Membership) -> Self {
        Self {
            slug: row.slug,
            name: row.name,
            created_at: row.created_at,
            role: row.role.into(),
            permissions: row.permissions,
            answer_sets_pending: None,
            answer_assigns: None,
            files: None,
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
            answer_sets_pending: Some(true),
            answer_assigns: Some(true),
            files: Some(OrgFiles { bytes: 48_211, quota_mib: 10_240 }),
        }
    }
}

/// What changes of an org.
#[derive(Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
struct OrgChange {
    /// Its new name.
    name: Option<Input<Text<NAME_LENGTH>>>,
    /// Whether an open ticket that is answered becomes pending.
    answer_sets_pending: Option<Input<bool>>,
    /// Whether a ticket of nobody becomes that of the member who answers it.
    answer_assigns: Option<Input<bool>>,
}

impl Example for OrgChange {
    fn example() -> Self {
        Self {
            name: Some(Input::of(Text::known("Acme Inc."))),
            answer_sets_pending: Some(Input::of(false)),
            answer_assigns: None,
        }
    }
}

/// The org, and what only whoever asks for it alone is told.
async fn whole(tx: &mut OrgTx) -> Result<(Membership, FileQuota, AnswerSettings), Problem> {
    let row = store::members::own_org(tx).await?;
    Ok((row, store::orgs::file_quota(tx).await?, store::orgs::answer_settings(tx).await?))
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Orgs")]
impl OrgsApi {
    /// List one's orgs
    ///
    /// The orgs that the caller belongs to, by slug.
    #[oai(path = "/orgs", method = "get", operation_id = "listOrgs")]
    async fn orgs(&self, caller: Caller, paging: Paging) -> Result<answers::Ok<Page<OrgBody>>, Failure> {
        let page = caller.run(async |tx| store::members::memberships(tx, paging.request()).await).await?;
        Ok(answers::Ok(Page::of(page, OrgBody::from)))
    }
}

#[OpenApi(prefix_path = "/v1/orgs/{org}", tag = "Tag::Orgs")]
impl OrgApi {
    /// Read an org
    ///
    /// The org, with the caller's role and permissions in it, what follows an answer, and what it keeps of files.
    #[oai(path = "/", method = "get", operation_id = "getOrg")]
    async fn org(&self, org: Org<AnyMember>) -> Result<answers::Ok<OrgBody>, Failure> {
        Ok(answers::Ok(OrgBody::with(org.run(whole).await?)))
    }

    /// Change an org
    ///
    /// Its name, and what follows an answer; a slug never changes.
    #[oai(path = "/", method = "patch", operation_id = "updateOrg")]
    async fn update(
        &self,
        org: Org<OrgEdit>,
        body: Json<OrgChange>,
    ) -> Result<answers::Ok<OrgBody>, Failure<409, 422>> {
        let mut checked = Checked::default();
        let name = checked.take_optional("name", body.0.name);
        let sets_pending = checked.take_optional("answer_sets_pending", body.0.answer_sets_pending);
        let assigns = checked.take_optional("answer_assigns", body.0.answer_assigns);
        checked.done()?;
        let changed = org
            .run(async |tx| {
                if let Some(name) = &name {
                    store::orgs::rename(tx, name).await?;
                }
                if sets_pending.is_some() || assigns.is_some() {
                    store::orgs::set_answer_settings(tx, sets_pending, assigns).await?;
                }
                whole(tx).await
            })
            .await?;
        Ok(answers::Ok(OrgBody::with(changed)))
    }

    /// Delete an org
    ///
    /// With its sites, their keys and content, its tickets and memberships. What was written to its audit log stays in
    /// the database.
    #[oai(path = "/", method = "delete", operation_id = "deleteOrg")]
    async fn delete(&self, org: Org<OrgDelete>) -> Result<answers::NoContent, Failure<409>> {
        org.run(async |tx| store::orgs::delete(tx).await).await?;
        Ok(answers::NoContent)
    }
}
