//! Sites: what a support page is told of its own, and what administration does with them.

use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    db::{OrgTx, SiteLimits, SiteTx},
    origins::Origin,
    problem::{Code, Problem},
};

/// What a support page needs to draw itself.
#[derive(Debug, FromRow)]
pub struct OwnSite {
    pub name: String,
    pub slug: String,
    pub org_name: String,
    pub article_count: i64,
    pub faq_count: i64,
}

/// The site of the key.
///
/// # Errors
/// `404 not_found` when the site went away meanwhile.
pub async fn own(tx: &mut SiteTx) -> Result<OwnSite, Problem> {
    sqlx::query_as(
        "select s.name, s.slug, o.name as org_name,
          (select count(*) from vicket.articles a
            where a.site_id is not null
              or not exists (select from vicket.articles own where own.slug = a.slug and own.site_id is not null)
          ) as article_count,
          (select count(*) from vicket.faqs) as faq_count
        from vicket.sites s
        join vicket.orgs o on o.id = s.org_id",
    )
    .fetch_optional(tx.connection())
    .await?
    .ok_or_else(Problem::not_found)
}

/// A site as administration sees it.
#[derive(Debug, FromRow)]
pub struct Site {
    pub id: Uuid,
    pub slug: String,
    pub name: String,
    pub reads_per_minute: i32,
    pub writes_per_minute: i32,
    pub network_reads_per_minute: i32,
    pub network_writes_per_minute: i32,
    pub created_at: OffsetDateTime,
}

/// Changes of a site; what is `None` stays.
#[derive(Debug, Default)]
pub struct SiteChanges {
    pub name: Option<String>,
    pub reads: Option<u32>,
    pub writes: Option<u32>,
    pub network_reads: Option<u32>,
    pub network_writes: Option<u32>,
}

impl Site {
    pub fn limits(&self) -> SiteLimits {
        SiteLimits {
            reads: self.reads_per_minute.cast_unsigned(),
            writes: self.writes_per_minute.cast_unsigned(),
            network_reads: self.network_reads_per_minute.cast_unsigned(),
            network_writes: self.network_writes_per_minute.cast_unsigned(),
        }
    }
}

macro_rules! columns {
    ($tail:literal) => {
        concat!(
            "id, slug, name, reads_per_minute, writes_per_minute, network_reads_per_minute, ",
            "network_writes_per_minute, created_at ",
            $tail
        )
    };
}

/// All sites of the org, by slug.
///
/// # Errors
/// `5xx` only.
pub async fn list(tx: &mut OrgTx) -> Result<Vec<Site>, Problem> {
    let sql = concat!("select ", columns!("from vicket.sites order by slug"));
    Ok(sqlx::query_as(sql).fetch_all(tx.connection()).await?)
}

/// The site of this slug.
///
/// # Errors
/// `404 not_found`.
pub async fn by_slug(tx: &mut OrgTx, slug: &str) -> Result<Site, Problem> {
    let sql = concat!("select ", columns!("from vicket.sites where slug = $1"));
    sqlx::query_as(sql)
        .bind(slug)
        .fetch_optional(tx.connection())
        .await?
        .ok_or_else(|| Problem::new(Code::NotFound, format!("The org has no site `{slug}`.")))
}

/// Creates a site.
///
/// # Errors
/// `409 slug_taken`; `400 invalid_request` when the slug or the name is not acceptable.
pub async fn create(tx: &mut OrgTx, slug: &str, name: &str) -> Result<Site, Problem> {
    super::orgs::check_slug(slug)?;
    super::orgs::check_name(name)?;
    let sql = concat!("insert into vicket.sites (slug, name) values ($1, $2) returning ", columns!(""));
    sqlx::query_as(sql).bind(slug).bind(name).fetch_one(tx.connection()).await.map_err(|error| {
        Problem::on_constraint(error, "sites_slug_unique", || {
            Problem::new(Code::SlugTaken, format!("The org has a site `{slug}` already."))
        })
    })
}

/// Changes a site's settings; they act on the next request.
///
/// # Errors
/// `404 not_found`; `400 invalid_request` when a value is not acceptable.
pub async fn update(tx: &mut OrgTx, slug: &str, changes: &SiteChanges) -> Result<Site, Problem> {
    const MOST: u32 = 10_000_000;
    if let Some(name) = &changes.name {
        super::orgs::check_name(name)?;
        // A statement of its own, so that a change of limits alone does not invalidate kept answers.
        sqlx::query("update vicket.sites set name = $2, updated_at = now() where slug = $1")
            .bind(slug)
            .bind(name)
            .execute(tx.connection())
            .await?;
    }
    let figure = |field: &str, value: Option<u32>| match value {
        Some(value) if value > MOST => Err(Problem::invalid_field(field, format!("at most {MOST} a minute"))),
        value => Ok(value.map(u32::cast_signed)),
    };
    let sql = concat!(
        "update vicket.sites set
          reads_per_minute = coalesce($2, reads_per_minute),
          writes_per_minute = coalesce($3, writes_per_minute),
          network_reads_per_minute = coalesce($4, network_reads_per_minute),
          network_writes_per_minute = coalesce($5, network_writes_per_minute),
          updated_at = now()
        where slug = $1
        returning ",
        columns!("")
    );
    sqlx::query_as(sql)
        .bind(slug)
        .bind(figure("reads", changes.reads)?)
        .bind(figure("writes", changes.writes)?)
        .bind(figure("network_reads", changes.network_reads)?)
        .bind(figure("network_writes", changes.network_writes)?)
        .fetch_optional(tx.connection())
        .await?
        .ok_or_else(|| Problem::new(Code::NotFound, format!("The org has no site `{slug}`.")))
}

/// Deletes a site with everything that belongs to it.
///
/// # Errors
/// `404 not_found`.
pub async fn delete(tx: &mut OrgTx, slug: &str) -> Result<(), Problem> {
    let deleted = sqlx::query("delete from vicket.sites where slug = $1").bind(slug).execute(tx.connection()).await?;
    match deleted.rows_affected() {
        0 => Err(Problem::new(Code::NotFound, format!("The org has no site `{slug}`."))),
        _ => Ok(()),
    }
}

/// Lists an origin for a site; listing one twice changes nothing.
///
/// # Errors
/// `5xx` only.
pub async fn add_origin(tx: &mut OrgTx, site_id: Uuid, origin: &Origin) -> Result<(), Problem> {
    sqlx::query("insert into vicket.site_origins (site_id, origin) values ($1, $2) on conflict do nothing")
        .bind(site_id)
        .bind(origin.as_str())
        .execute(tx.connection())
        .await?;
    // It is no longer one that is refused.
    sqlx::query("delete from vicket.refused_origins where site_id = $1 and origin = $2")
        .bind(site_id)
        .bind(origin.as_str())
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Takes an origin off a site's list.
///
/// # Errors
/// `404 not_found` when it was not listed.
pub async fn remove_origin(tx: &mut OrgTx, site_id: Uuid, origin: &Origin) -> Result<(), Problem> {
    let deleted = sqlx::query("delete from vicket.site_origins where site_id = $1 and origin = $2")
        .bind(site_id)
        .bind(origin.as_str())
        .execute(tx.connection())
        .await?;
    match deleted.rows_affected() {
        0 => Err(Problem::new(Code::NotFound, format!("The site does not list `{origin}`."))),
        _ => Ok(()),
    }
}

/// The origins that a site lists, in order of their text.
///
/// # Errors
/// `5xx` only.
pub async fn origins(tx: &mut OrgTx, site_id: Uuid) -> Result<Vec<String>, Problem> {
    let rows = sqlx::query_scalar("select origin from vicket.site_origins where site_id = $1 order by origin")
        .bind(site_id)
        .fetch_all(tx.connection())
        .await?;
    Ok(rows)
}

/// An origin that tried the site's key and is not listed.
#[derive(Debug, FromRow)]
pub struct RefusedOrigin {
    pub origin: String,
    pub times: i64,
    pub first_seen: OffsetDateTime,
    pub last_seen: OffsetDateTime,
}

/// The refused origins of a site, the most recent first.
///
/// # Errors
/// `5xx` only.
pub async fn refused_origins(tx: &mut OrgTx, site_id: Uuid) -> Result<Vec<RefusedOrigin>, Problem> {
    let rows = sqlx::query_as(
        "select origin, times, first_seen, last_seen from vicket.refused_origins
        where site_id = $1 order by last_seen desc, origin",
    )
    .bind(site_id)
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}
