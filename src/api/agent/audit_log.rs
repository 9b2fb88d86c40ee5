//! The audit log: who changed what, from what to what.

use poem_openapi::{Enum, Object, OpenApi, param::Query, types::Example};
use serde_json::json;
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::tags::Tag;
use crate::{
    auth::caller::Org,
    domain::{permissions::AuditRead, text::Text},
    http::{
        answers::{self, Page},
        failure::Failure,
        paging::Paging,
        text::{AnyObject, Nullable},
    },
    store::{
        self,
        audit_log::{Entry, Filter},
    },
};

pub struct AuditLogApi;

/// What was changed.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "snake_case")]
pub(super) enum ObjectKind {
    /// The org.
    Org,
    /// A member, or their role.
    Member,
    /// An invitation.
    Invitation,
    /// A site's settings.
    Site,
    /// An origin that a site lists.
    Origin,
    /// A publishable key.
    SiteKey,
    /// A machine key.
    MachineKey,
    /// An article.
    Article,
    /// A FAQ.
    Faq,
    /// A status.
    Status,
    /// A priority.
    Priority,
    /// A saved reply.
    SavedReply,
    /// A view of the team.
    SavedView,
    /// A tag.
    Tag,
    /// A team.
    Team,
    /// Who is in a team.
    TeamMember,
    /// Whose tickets a team sees.
    TeamSite,
    /// A ticket form.
    Template,
    /// Which sites offer a form.
    TemplateSite,
    /// A question of a form.
    TemplateQuestion,
    /// A threshold of a form.
    TemplateThreshold,
    /// A ticket: that it was deleted.
    Ticket,
    /// Somebody who was erased from the log.
    Person,
}

impl ObjectKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Org => "org",
            Self::Member => "member",
            Self::Invitation => "invitation",
            Self::Site => "site",
            Self::Origin => "origin",
            Self::SiteKey => "site_key",
            Self::MachineKey => "machine_key",
            Self::Article => "article",
            Self::Faq => "faq",
            Self::Status => "status",
            Self::Priority => "priority",
            Self::SavedReply => "saved_reply",
            Self::SavedView => "saved_view",
            Self::Tag => "tag",
            Self::Team => "team",
            Self::TeamMember => "team_member",
            Self::TeamSite => "team_site",
            Self::Template => "template",
            Self::TemplateSite => "template_site",
            Self::TemplateQuestion => "template_question",
            Self::TemplateThreshold => "template_threshold",
            Self::Ticket => "ticket",
            Self::Person => "person",
        }
    }
}

/// Who did something.
#[derive(Object)]
struct AuditActor {
    /// `user`, `machine_key`, or `cli` for the administration commands.
    kind: String,
    /// Their id; `null` for `cli`.
    id: Nullable<Uuid>,
    /// An e-mail address, `machine key NAME`, or `cli`; as it was then. `erased` when they were erased since, and then
    /// `id` is `null`.
    name: String,
}

/// What something was done to.
#[derive(Object)]
struct AuditObject {
    /// `org`, `member`, `invitation`, `site`, `origin`, `site_key`, `machine_key`, `article`, `faq` and the like.
    kind: String,
    /// Its id, slug, origin or hint. `erased` when it was erased since, and then `before` and `after` are `null`.
    id: String,
}

/// Something that happened.
#[derive(Object)]
#[oai(example)]
struct AuditEntry {
    /// Its number in the org's log, from 1, without gaps.
    seq: i64,
    /// When.
    at: OffsetDateTime,
    /// Who.
    actor: AuditActor,
    /// `created`, `updated` or `deleted`; `erased` when somebody was erased from entries before.
    action: String,
    /// What.
    object: AuditObject,
    /// The slug of the site that it belongs to, if it does and the site is still there.
    site: Nullable<String>,
    /// What it was before; `null` for what was created.
    before: Nullable<AnyObject>,
    /// What it was after; `null` for what was deleted.
    after: Nullable<AnyObject>,
    /// The id of the request that did it; `null` for `cli`.
    request_id: Nullable<String>,
}

impl From<Entry> for AuditEntry {
    fn from(row: Entry) -> Self {
        Self {
            seq: row.seq,
            at: row.at,
            actor: AuditActor { kind: row.actor_kind, id: Nullable(row.actor_id), name: row.actor },
            action: row.action,
            object: AuditObject { kind: row.object_kind, id: row.object_id },
            site: Nullable(row.site),
            before: Nullable(row.before.map(AnyObject)),
            after: Nullable(row.after.map(AnyObject)),
            request_id: Nullable(row.request_id),
        }
    }
}

impl Example for AuditEntry {
    fn example() -> Self {
        Self {
            seq: 17,
            at: datetime!(2026-02-01 16:05 UTC),
            actor: AuditActor {
                kind: "user".to_owned(),
                id: Nullable(Some(Uuid::from_u128(0x3f1b_5c7e_8d2a_4f60_9b1e_2c3d_4e5f_6a7b))),
                name: "olivia@acme.com".to_owned(),
            },
            action: "updated".to_owned(),
            object: AuditObject { kind: "site_key".to_owned(), id: "x7Qw".to_owned() },
            site: Nullable(Some("acme-app".to_owned())),
            before: Nullable(Some(AnyObject(json!({ "hint": "x7Qw", "state": "active" })))),
            after: Nullable(Some(AnyObject(json!({ "hint": "x7Qw", "state": "revoked" })))),
            request_id: Nullable(Some("0b8e3c2e-64f1-4a53-9f0c-3f0f5a2f1d11".to_owned())),
        }
    }
}

#[OpenApi(prefix_path = "/v1/orgs/{org}", tag = "Tag::Administration")]
impl AuditLogApi {
    /// Read the audit log
    ///
    /// Every change to the org, its members, sites, origins, keys, content and settings, the last one first. Nobody can change
    /// or delete an entry; each is chained to the one before. What names a person can be erased from it, and an entry says so.
    #[oai(path = "/audit-log", method = "get", operation_id = "listAuditLog")]
    async fn audit_log(
        &self,
        org: Org<AuditRead>,
        paging: Paging,
        /// Only changes of this kind of object.
        object: Query<Option<ObjectKind>>,
        /// Only changes by this actor: an e-mail address, `machine key NAME`, or `cli`.
        actor: Query<Option<Text<254>>>,
    ) -> Result<answers::Ok<Page<AuditEntry>>, Failure> {
        let filter = Filter { object_kind: object.0.map(ObjectKind::as_str), actor: actor.0.as_deref() };
        let page = org.run(async |tx| store::audit_log::page(tx, paging.request(), &filter).await).await?;
        Ok(answers::Ok(Page::of(page, AuditEntry::from)))
    }
}
