//! How long a site keeps what, and an org the names in its audit log. What is asked to be a dry run changes nothing.

use poem_openapi::{Object, OpenApi, param::Path, payload::Json, types::Example};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::{sites::of_site, tags::Tag};
use crate::{
    auth::caller::Org,
    db::OrgTx,
    domain::{
        permissions::{AnyMember, OrgEdit, TicketDelete},
        problem::Problem,
    },
    http::{answers, failure::Failure, text::Nullable},
    store::{
        self,
        retention::{Due, OfSite},
    },
};

pub struct RetentionApi;

/// What is older than is kept, now.
#[derive(Object)]
struct WouldRemove {
    /// Tickets, with their messages and files.
    tickets: i64,
    /// Files of other tickets.
    files: i64,
    /// Bytes of these files.
    file_bytes: i64,
    /// Changes of status, priority or assignee of other tickets.
    events: i64,
}

impl From<Due> for WouldRemove {
    fn from(Due { tickets, files, file_bytes, events }: Due) -> Self {
        Self { tickets, files, file_bytes, events }
    }
}

/// How long a site keeps what, days; `null` for good.
#[derive(Object)]
#[oai(example)]
struct SiteRetention {
    /// A ticket that is neither resolved nor closed, since its last change.
    open_days: Nullable<i32>,
    /// A resolved ticket, since its last change.
    resolved_days: Nullable<i32>,
    /// A closed ticket, since its last change.
    closed_days: Nullable<i32>,
    /// A file, since it was added; its message stays.
    files_days: Nullable<i32>,
    /// Who changed status, priority or assignee of a ticket.
    events_days: Nullable<i32>,
    /// When the server last found nothing more to remove; `null` before that.
    last_run_at: Nullable<OffsetDateTime>,
    /// What would go now, of what the caller sees.
    would_remove: WouldRemove,
}

impl Example for SiteRetention {
    fn example() -> Self {
        Self {
            open_days: Nullable(None),
            resolved_days: Nullable(Some(730)),
            closed_days: Nullable(Some(365)),
            files_days: Nullable(Some(180)),
            events_days: Nullable(Some(365)),
            last_run_at: Nullable(Some(datetime!(2026-03-02 03:00 UTC))),
            would_remove: WouldRemove { tickets: 12, files: 3, file_bytes: 48_211, events: 40 },
        }
    }
}

/// How long a site is to keep what: all of it, so what is absent is kept for good.
#[derive(Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
struct SiteRetentionChange {
    /// A ticket that is neither resolved nor closed, days since its last change, 1 to 36,500.
    #[oai(validator(minimum(value = "1"), maximum(value = "36500")))]
    open_days: Option<i32>,
    /// A resolved ticket, days since its last change.
    #[oai(validator(minimum(value = "1"), maximum(value = "36500")))]
    resolved_days: Option<i32>,
    /// A closed ticket, days since its last change.
    #[oai(validator(minimum(value = "1"), maximum(value = "36500")))]
    closed_days: Option<i32>,
    /// A file, days since it was added; its message stays.
    #[oai(validator(minimum(value = "1"), maximum(value = "36500")))]
    files_days: Option<i32>,
    /// Who changed status, priority or assignee of a ticket, days.
    #[oai(validator(minimum(value = "1"), maximum(value = "36500")))]
    events_days: Option<i32>,
    /// Change nothing, and say what would go.
    dry_run: Option<bool>,
}

impl Example for SiteRetentionChange {
    fn example() -> Self {
        Self {
            open_days: None,
            resolved_days: Some(730),
            closed_days: Some(365),
            files_days: Some(180),
            events_days: Some(365),
            dry_run: Some(true),
        }
    }
}

/// How long an org keeps the names in its audit log.
#[derive(Object)]
#[oai(example)]
struct OrgRetention {
    /// Days until an entry forgets who did it and to what; `null` for good. That something happened, when, and the chain stay.
    audit_log_days: Nullable<i32>,
    /// When the server last found nothing more to forget; `null` before that.
    last_run_at: Nullable<OffsetDateTime>,
    /// Entries that would forget now; 0 for who may not read the audit log.
    would_forget: i64,
}

impl Example for OrgRetention {
    fn example() -> Self {
        Self { audit_log_days: Nullable(Some(730)), last_run_at: Nullable(None), would_forget: 211 }
    }
}

/// How long an org is to keep the names in its audit log.
#[derive(Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
struct OrgRetentionChange {
    /// Days, 90 to 36,500; absent for good.
    #[oai(validator(minimum(value = "90"), maximum(value = "36500")))]
    audit_log_days: Option<i32>,
    /// Change nothing, and say what would be forgotten.
    dry_run: Option<bool>,
}

impl Example for OrgRetentionChange {
    fn example() -> Self {
        Self { audit_log_days: Some(730), dry_run: Some(true) }
    }
}

async fn said(
    tx: &mut OrgTx,
    site_id: Uuid,
    of_site: OfSite,
    last_run_at: Option<OffsetDateTime>,
) -> Result<SiteRetention, Problem> {
    let would_remove = store::retention::due_of_site(tx, site_id, &of_site).await?.into();
    let OfSite { open_days, resolved_days, closed_days, files_days, events_days } = of_site;
    Ok(SiteRetention {
        open_days: Nullable(open_days),
        resolved_days: Nullable(resolved_days),
        closed_days: Nullable(closed_days),
        files_days: Nullable(files_days),
        events_days: Nullable(events_days),
        last_run_at: Nullable(last_run_at),
        would_remove,
    })
}

async fn said_of_org(
    tx: &mut OrgTx,
    days: Option<i32>,
    last_run_at: Option<OffsetDateTime>,
) -> Result<OrgRetention, Problem> {
    let would_forget = store::retention::due_of_audit_log(tx, days).await?;
    Ok(OrgRetention { audit_log_days: Nullable(days), last_run_at: Nullable(last_run_at), would_forget })
}

#[OpenApi(prefix_path = "/v1/orgs/{org}", tag = "Tag::Sites")]
impl RetentionApi {
    /// Read how long a site keeps what
    ///
    /// And what is older than that now: the server removes it within a day.
    #[oai(path = "/sites/:site/retention", method = "get", operation_id = "getSiteRetention")]
    async fn of_site(
        &self,
        org: Org<AnyMember>,
        /// The site's slug.
        site: Path<String>,
    ) -> Result<answers::Ok<SiteRetention>, Failure> {
        let work = async |tx: &mut OrgTx, site| {
            let (kept, last_run_at) = store::retention::of_site(tx, site).await?;
            said(tx, site, kept, last_run_at).await
        };
        Ok(answers::Ok(of_site(&org, &site, work).await?))
    }

    /// Say how long a site keeps what
    ///
    /// All of it at once. With `dry_run` nothing changes: ask that first. Then the server begins within a minute to remove what is
    /// older, in batches, and looks again every day. What was removed is in the audit log, and nowhere else.
    #[oai(path = "/sites/:site/retention", method = "put", operation_id = "setSiteRetention")]
    async fn set_of_site(
        &self,
        org: Org<TicketDelete>,
        /// The site's slug.
        site: Path<String>,
        body: Json<SiteRetentionChange>,
    ) -> Result<answers::Ok<SiteRetention>, Failure<409>> {
        let SiteRetentionChange { open_days, resolved_days, closed_days, files_days, events_days, dry_run } = body.0;
        let wanted = OfSite { open_days, resolved_days, closed_days, files_days, events_days };
        let work = async |tx: &mut OrgTx, site| {
            if dry_run != Some(true) {
                store::retention::set_of_site(tx, site, &wanted).await?;
            }
            let (_, last_run_at) = store::retention::of_site(tx, site).await?;
            said(tx, site, wanted, last_run_at).await
        };
        Ok(answers::Ok(of_site(&org, &site, work).await?))
    }

    /// Read how long names stay in the audit log
    ///
    /// And how many entries are older than that now.
    #[oai(path = "/retention", method = "get", operation_id = "getOrgRetention")]
    async fn of_org(&self, org: Org<AnyMember>) -> Result<answers::Ok<OrgRetention>, Failure> {
        let work = async |tx: &mut OrgTx| {
            let (days, last_run_at) = store::retention::of_audit_log(tx).await?;
            said_of_org(tx, days, last_run_at).await
        };
        Ok(answers::Ok(org.run(work).await?))
    }

    /// Say how long names stay in the audit log
    ///
    /// With `dry_run` nothing changes. Needs `ticket:delete`, too, unless it is one. What is forgotten cannot be had back; the chain of the log still verifies, and an entry says
    /// what was forgotten.
    #[oai(path = "/retention", method = "put", operation_id = "setOrgRetention")]
    async fn set_of_org(
        &self,
        org: Org<OrgEdit>,
        body: Json<OrgRetentionChange>,
    ) -> Result<answers::Ok<OrgRetention>, Failure<409>> {
        let OrgRetentionChange { audit_log_days, dry_run } = body.0;
        let work = async |tx: &mut OrgTx| {
            if dry_run != Some(true) {
                store::retention::set_of_audit_log(tx, audit_log_days).await?;
            }
            let (_, last_run_at) = store::retention::of_audit_log(tx).await?;
            said_of_org(tx, audit_log_days, last_run_at).await
        };
        Ok(answers::Ok(org.run(work).await?))
    }
}
