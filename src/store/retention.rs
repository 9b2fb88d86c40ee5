//! How long a site keeps tickets, files and events, and an org the names in its audit log; what would go, and the worker that
//! lets it go.

use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    db::{OrgTx, Worker},
    domain::{permissions::Permission, problem::Problem},
};

/// The shortest and the longest time, days; of the audit log no shorter than [`LEAST_AUDIT_LOG_DAYS`].
pub const DAYS: std::ops::RangeInclusive<i32> = 1..=36_500;
pub const LEAST_AUDIT_LOG_DAYS: i32 = 90;

/// How long a site keeps what, days; `None` for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct OfSite {
    /// Since the last change of a ticket that is neither resolved nor closed.
    pub open_days: Option<i32>,
    pub resolved_days: Option<i32>,
    pub closed_days: Option<i32>,
    pub files_days: Option<i32>,
    pub events_days: Option<i32>,
}

/// What is older than that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Due {
    /// Tickets with their messages and files.
    pub tickets: i64,
    /// Files, those of the tickets not counted.
    pub files: i64,
    /// Bytes of these files.
    pub file_bytes: i64,
    /// Changes of status, priority or assignee, those of the tickets not counted.
    pub events: i64,
}

/// Tells a setting that cannot be.
///
/// # Errors
/// `400 invalid_request` that names the field.
pub fn check(field: &str, days: Option<i32>, least: i32) -> Result<(), Problem> {
    let most = *DAYS.end();
    match days {
        Some(days) if !(least..=most).contains(&days) => {
            Err(Problem::invalid_field(field, format!("must be from {least} to {most} days, or null")))
        }
        _ => Ok(()),
    }
}

impl OfSite {
    fn check(&self) -> Result<(), Problem> {
        let Self { open_days, resolved_days, closed_days, files_days, events_days } = *self;
        let fields = [
            ("open_days", open_days),
            ("resolved_days", resolved_days),
            ("closed_days", closed_days),
            ("files_days", files_days),
            ("events_days", events_days),
        ];
        fields.into_iter().try_for_each(|(field, days)| check(field, days, *DAYS.start()))
    }
}

/// How long a site keeps what, and when last nothing was left that had to go.
///
/// # Errors
/// `5xx` only.
pub async fn of_site(tx: &mut OrgTx, site_id: Uuid) -> Result<(OfSite, Option<OffsetDateTime>), Problem> {
    #[derive(FromRow)]
    struct Row {
        #[sqlx(flatten)]
        of_site: OfSite,
        ended_at: Option<OffsetDateTime>,
    }
    let sql = "select open_days, resolved_days, closed_days, files_days, events_days, ended_at from vicket.retention
        where site_id = $1";
    let row: Option<Row> = sqlx::query_as(sql).bind(site_id).fetch_optional(tx.connection()).await?;
    Ok(row.map_or((OfSite::default(), None), |row| (row.of_site, row.ended_at)))
}

/// Says how long a site keeps what. It acts within a minute.
///
/// # Errors
/// `400 invalid_request` for what is no time.
pub async fn set_of_site(tx: &mut OrgTx, site_id: Uuid, of_site: &OfSite) -> Result<(), Problem> {
    of_site.check()?;
    let set = sqlx::query(
        "insert into vicket.retention (site_id, open_days, resolved_days, closed_days, files_days, events_days)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (org_id, site_id) do update set
          open_days = excluded.open_days, resolved_days = excluded.resolved_days, closed_days = excluded.closed_days,
          files_days = excluded.files_days, events_days = excluded.events_days",
    )
    .bind(site_id)
    .bind(of_site.open_days)
    .bind(of_site.resolved_days)
    .bind(of_site.closed_days)
    .bind(of_site.files_days)
    .bind(of_site.events_days)
    .execute(tx.connection())
    .await?;
    super::one_row(set.rows_affected())
}

/// What would go now, were that how long the site keeps what; of what the caller sees.
///
/// # Errors
/// `400 invalid_request` for what is no time.
pub async fn due_of_site(tx: &mut OrgTx, site_id: Uuid, of_site: &OfSite) -> Result<Due, Problem> {
    of_site.check()?;
    let due = sqlx::query_as(
        "with gone as (
          select t.id
          from vicket.tickets t
          where t.site_id = $1
            and t.updated_at < now() - make_interval(days => case t.status when 'resolved' then $3 when 'closed' then $4 else $2 end)
        ),
        files as (
          select a.size
          from vicket.attachments a
          where a.site_id = $1 and a.created_at < now() - make_interval(days => $5)
            and a.ticket_id not in (select g.id from gone g)
        )
        select (select count(*) from gone) as tickets,
          (select count(*) from files) as files,
          (select coalesce(sum(f.size), 0)::bigint from files f) as file_bytes,
          (select count(*) from vicket.ticket_events e
            where e.site_id = $1 and e.at < now() - make_interval(days => $6)
              and e.ticket_id not in (select g.id from gone g)) as events",
    )
    .bind(site_id)
    .bind(of_site.open_days)
    .bind(of_site.resolved_days)
    .bind(of_site.closed_days)
    .bind(of_site.files_days)
    .bind(of_site.events_days)
    .fetch_one(tx.connection())
    .await?;
    Ok(due)
}

/// How long the org keeps names in its audit log, days, and when last nothing was left to forget.
///
/// # Errors
/// `5xx` only.
pub async fn of_audit_log(tx: &mut OrgTx) -> Result<(Option<i32>, Option<OffsetDateTime>), Problem> {
    let sql = "select audit_log_days, ended_at from vicket.retention where site_id is null";
    Ok(sqlx::query_as(sql).fetch_optional(tx.connection()).await?.unwrap_or_default())
}

/// Says how long the org keeps names in its audit log.
///
/// # Errors
/// `400 invalid_request` for what is no time; `403 permission_required` without `ticket:delete`, which the policy asks for of
/// all that goes for good.
pub async fn set_of_audit_log(tx: &mut OrgTx, days: Option<i32>) -> Result<(), Problem> {
    if tx.actor().is_some_and(|actor| !actor.may(Permission::TicketDelete)) {
        return Err(Problem::permission_required(Permission::TicketDelete));
    }
    check("audit_log_days", days, LEAST_AUDIT_LOG_DAYS)?;
    let set = sqlx::query(
        "insert into vicket.retention (site_id, audit_log_days) values (null, $1)
        on conflict (org_id, site_id) do update set audit_log_days = excluded.audit_log_days",
    )
    .bind(days)
    .execute(tx.connection())
    .await?;
    super::one_row(set.rows_affected())
}

/// Entries of the audit log that would forget who and what, were that how long names are kept.
///
/// # Errors
/// `400 invalid_request` for what is no time.
pub async fn due_of_audit_log(tx: &mut OrgTx, days: Option<i32>) -> Result<i64, Problem> {
    check("audit_log_days", days, LEAST_AUDIT_LOG_DAYS)?;
    let sql = "select count(*) from vicket.audit_log l
        where l.at < now() - make_interval(days => $1) and l.action <> 'erased'
          and (l.actor is not null or l.object_id is not null)";
    Ok(sqlx::query_scalar(sql).bind(days).fetch_one(tx.connection()).await?)
}

/// One batch of what is not kept any longer.
#[derive(Debug, FromRow)]
pub struct Batch {
    pub org_id: Uuid,
    /// `None` for the org's audit log.
    pub site_id: Option<Uuid>,
    /// `tickets`, `files`, `events` or `audit_log`.
    pub what: String,
    pub removed: i64,
    /// Nothing is left that has to go.
    pub ended: bool,
    /// Why nothing was done; then it is put off, longer each time.
    pub error: Option<String>,
}

/// Lets go at most `most` rows of the site or org that waited longest; `None` when none waits.
///
/// # Errors
/// `5xx` only; then nothing was done.
pub async fn run(worker: &Worker, most: i32) -> Result<Option<Batch>, Problem> {
    worker.row(sqlx::query_as("select * from worker.run_retention_batch($1)").bind(most)).await
}
