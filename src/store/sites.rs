//! Sites: what a support page is told of its own, and what administration does with them.

use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    identity::{self, IdentitySettings},
    paging::{self, PageRequest},
};
use crate::{
    db::{OrgTx, Published, SiteLimits},
    domain::{
        origins::Origin,
        problem::{Code, FieldError, Problem},
        references::Prefix,
        text::{CheckedText, EmailAddress, PageUrl, SiteName, Slug},
    },
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
pub async fn own(published: &mut Published<'_>) -> Result<OwnSite, Problem> {
    let sql =
        "select (r.entry).*, r.name, r.slug, r.org_name, r.article_count, r.faq_count from auth.read_site($1, $2) r";
    published.rows(sql, |call| call).await?.into_iter().next().ok_or_else(Problem::not_found)
}

/// A site as administration sees it.
#[derive(Debug, FromRow)]
pub struct Site {
    pub id: Uuid,
    pub slug: String,
    pub name: String,
    /// What the references of its tickets begin with.
    pub prefix: String,
    pub reads_per_minute: i32,
    pub writes_per_minute: i32,
    pub network_reads_per_minute: i32,
    pub network_writes_per_minute: i32,
    /// How much all its files may be, MiB.
    pub file_quota_mib: i32,
    /// Files that customers of one network may add in a day, MiB.
    pub network_upload_mib_per_day: i32,
    /// Where customers read their tickets.
    pub support_url: Option<String>,
    /// Of its mail.
    pub language: Language,
    /// Whom its mail is from.
    pub mail_from_name: Option<String>,
    pub mail_from_address: Option<String>,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
}

/// A language of mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Language {
    En,
    De,
    Fr,
    Es,
}

/// A site with the origins that it lists.
#[derive(Debug)]
pub struct SiteWithOrigins {
    pub site: Site,
    pub origins: Vec<String>,
    /// Bytes of files that it keeps.
    pub file_bytes: i64,
    /// Whose signatures it takes.
    pub identity: IdentitySettings,
}

/// The most origins that a site may list.
pub const MAX_ORIGINS: i64 = 100;
/// The largest limit, requests a minute.
pub const MAX_PER_MINUTE: u32 = 10_000_000;
/// The largest quota of files, MiB, and the largest of a network's in a day.
pub const MAX_QUOTA_MIB: u32 = 10_000_000;
pub const MAX_UPLOAD_MIB: u32 = 1_000_000;

/// Changes of a site; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct SiteChanges {
    pub name: Option<SiteName>,
    /// Its tickets have other references from then on, the old ones among them.
    pub prefix: Option<Prefix>,
    /// The whole list.
    pub origins: Option<Vec<Origin>>,
    pub reads: Option<u32>,
    pub writes: Option<u32>,
    pub network_reads: Option<u32>,
    pub network_writes: Option<u32>,
    pub file_quota_mib: Option<u32>,
    pub network_upload_mib: Option<u32>,
    /// `Some(None)` takes it away, of these.
    pub support_url: Option<Option<String>>,
    pub language: Option<Language>,
    pub mail_from_name: Option<Option<SiteName>>,
    pub mail_from_address: Option<Option<EmailAddress>>,
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
            "id, slug, name, prefix, reads_per_minute, writes_per_minute, network_reads_per_minute, ",
            "network_writes_per_minute, file_quota_mib, network_upload_mib_per_day, support_url, language, mail_from_name, ",
            "mail_from_address, created_at, updated_at ",
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

/// The sites of the org, by slug.
///
/// # Errors
/// `400 invalid_cursor`.
pub async fn page(
    tx: &mut OrgTx,
    page_request: PageRequest<'_>,
) -> Result<(Vec<SiteWithOrigins>, Option<String>), Problem> {
    let sql =
        concat!("select ", columns!("from vicket.sites where $1::text is null or slug > $1 order by slug limit $2"));
    let rows: Vec<Site> = sqlx::query_as(sql)
        .bind(page_request.after_text(b's')?)
        .bind(page_request.fetch())
        .fetch_all(tx.connection())
        .await?;
    let (sites, next) = page_request.into_page(rows, |site| paging::write_text(b's', &site.slug));
    let ids: Vec<Uuid> = sites.iter().map(|site| site.id).collect();
    let listed: Vec<(Uuid, String)> =
        sqlx::query_as("select site_id, origin from vicket.site_origins where site_id = any($1) order by origin")
            .bind(&ids)
            .fetch_all(tx.connection())
            .await?;
    let kept: Vec<(Uuid, i64)> = sqlx::query_as(
        "select site_id, sum(bytes)::bigint from vicket.stored_bytes where site_id = any($1) group by site_id",
    )
    .bind(&ids)
    .fetch_all(tx.connection())
    .await?;
    let identities = identity::settings(tx, &ids).await?;
    let with = |site: Site| {
        let origins = listed.iter().filter(|(id, _)| *id == site.id).map(|(_, origin)| origin.clone()).collect();
        let file_bytes = kept.iter().find(|(id, _)| *id == site.id).map_or(0, |(_, bytes)| *bytes);
        let identity = identities.iter().find(|(id, _)| *id == site.id).map(|(_, identity)| identity.clone());
        SiteWithOrigins { site, origins, file_bytes, identity: identity.unwrap_or_default() }
    };
    Ok((sites.into_iter().map(with).collect(), next))
}

/// The site of this slug, with the origins that it lists.
///
/// # Errors
/// `404 not_found`.
pub async fn with_origins(tx: &mut OrgTx, slug: &str) -> Result<SiteWithOrigins, Problem> {
    let site = by_slug(tx, slug).await?;
    let identity = identity::settings(tx, &[site.id]).await?.pop().map(|(_, identity)| identity).unwrap_or_default();
    Ok(SiteWithOrigins {
        origins: origins(tx, site.id).await?,
        file_bytes: file_bytes(tx, site.id).await?,
        identity,
        site,
    })
}

/// Bytes of files that a site keeps.
///
/// # Errors
/// `5xx` only.
pub async fn file_bytes(tx: &mut OrgTx, site_id: Uuid) -> Result<i64, Problem> {
    let sql = "select coalesce(sum(bytes), 0)::bigint from vicket.stored_bytes where site_id = $1";
    Ok(sqlx::query_scalar(sql).bind(site_id).fetch_one(tx.connection()).await?)
}

/// The site of this slug.
///
/// # Errors
/// `404 not_found`.
pub async fn by_slug(tx: &mut OrgTx, slug: &str) -> Result<Site, Problem> {
    // What can be no slug is none, and need not be text that PostgreSQL takes.
    if Slug::parse(slug.to_owned()).is_err() {
        return Err(no_site(tx, slug));
    }
    let sql = concat!("select ", columns!("from vicket.sites where slug = $1"));
    let site = sqlx::query_as(sql).bind(slug).fetch_optional(tx.connection()).await?;
    site.ok_or_else(|| no_site(tx, slug))
}

/// One body for whatever is not there; only a person at a terminal is told which name it was.
fn no_site(tx: &OrgTx, slug: &str) -> Problem {
    match tx.actor() {
        Some(_) => Problem::not_found(),
        None => Problem::new(Code::NotFound, format!("The org has no site `{slug}`.")),
    }
}

/// Creates a site. The database proposes a prefix where none is given.
///
/// # Errors
/// `409 slug_taken`, `409 name_taken` for the prefix.
pub async fn create(tx: &mut OrgTx, slug: &Slug, name: &SiteName, prefix: Option<&Prefix>) -> Result<Site, Problem> {
    let sql = concat!("insert into vicket.sites (slug, name, prefix) values ($1, $2, $3) returning ", columns!(""));
    let made = sqlx::query_as(sql)
        .bind(slug.as_str())
        .bind(name.as_str())
        .bind(prefix.map(Prefix::as_str))
        .fetch_one(tx.connection())
        .await;
    made.map_err(|error| match super::constraint(&error) {
        "sites_slug_unique" => {
            Problem::new(Code::SlugTaken, format!("The org has a site `{}` already.", slug.as_str()))
        }
        _ => prefix_taken(error),
    })
}

/// Whose prefix it is nobody is told: who may edit one site need not see the others' settings.
fn prefix_taken(error: sqlx::Error) -> Problem {
    Problem::on_constraint(error, "sites_prefix_unique", || Problem {
        errors: vec![FieldError {
            field: "prefix".to_owned(),
            message: "is that of another site of the org".to_owned(),
        }],
        ..Problem::new(Code::NameTaken, "Another site of the org has this prefix. Choose another.")
    })
}

/// Changes a site's settings; they act on the next request.
///
/// # Errors
/// `404 not_found`; `409 name_taken` for the prefix; `400 invalid_request` when a value is not acceptable.
pub async fn update(tx: &mut OrgTx, slug: &str, changes: &SiteChanges) -> Result<SiteWithOrigins, Problem> {
    if Slug::parse(slug.to_owned()).is_err() {
        return Err(no_site(tx, slug));
    }
    // First of all, because it takes the org's turn: what is read from here on nobody changes meanwhile.
    sqlx::query("update vicket.sites set updated_at = now() where slug = $1")
        .bind(slug)
        .execute(tx.connection())
        .await?;
    let site = by_slug(tx, slug).await?;
    if let Some(name) = &changes.name {
        // A statement of its own, so that a change of limits alone does not invalidate kept answers.
        let renamed = sqlx::query("update vicket.sites set name = $2, updated_at = now() where id = $1")
            .bind(site.id)
            .bind(name.as_str())
            .execute(tx.connection())
            .await?;
        super::one_row(renamed.rows_affected())?;
    }
    if let Some(prefix) = &changes.prefix {
        let changed = sqlx::query("update vicket.sites set prefix = $2, updated_at = now() where id = $1")
            .bind(site.id)
            .bind(prefix.as_str())
            .execute(tx.connection())
            .await
            .map_err(prefix_taken)?;
        super::one_row(changed.rows_affected())?;
    }
    set_limits(tx, site.id, changes).await?;
    set_mail(tx, site.id, changes).await?;
    if let Some(wanted) = &changes.origins {
        let kept = origins(tx, site.id).await?;
        for gone in kept.iter().filter(|origin| !wanted.iter().any(|wanted| wanted.as_str() == origin.as_str())) {
            super::one_row(take_off(tx, site.id, gone).await?)?;
        }
        for origin in wanted.iter().filter(|wanted| !kept.iter().any(|origin| origin == wanted.as_str())) {
            insert_origin(tx, site.id, origin).await?;
        }
        few_enough(tx, site.id).await?;
    }
    with_origins(tx, slug).await
}

async fn set_mail(tx: &mut OrgTx, site_id: Uuid, changes: &SiteChanges) -> Result<(), Problem> {
    let SiteChanges { support_url, language, mail_from_name, mail_from_address, .. } = changes;
    if support_url.is_none() && language.is_none() && mail_from_name.is_none() && mail_from_address.is_none() {
        return Ok(());
    }
    if let Some(Some(page)) = support_url {
        PageUrl::parse(page.clone()).map_err(|fault| Problem::invalid_field("support_url", fault))?;
    }
    let changed = sqlx::query(
        "update vicket.sites set
          support_url = case when $2 then $3 else support_url end,
          language = coalesce($4, language),
          mail_from_name = case when $5 then $6 else mail_from_name end,
          mail_from_address = case when $7 then $8 else mail_from_address end,
          updated_at = now()
        where id = $1",
    )
    .bind(site_id)
    .bind(support_url.is_some())
    .bind(support_url.as_ref().and_then(Option::as_deref))
    .bind(language)
    .bind(mail_from_name.is_some())
    .bind(mail_from_name.as_ref().and_then(Option::as_deref))
    .bind(mail_from_address.is_some())
    .bind(mail_from_address.as_ref().and_then(Option::as_deref))
    .execute(tx.connection())
    .await?;
    super::one_row(changed.rows_affected())
}

async fn set_limits(tx: &mut OrgTx, site_id: Uuid, changes: &SiteChanges) -> Result<(), Problem> {
    let SiteChanges { reads, writes, network_reads, network_writes, file_quota_mib, network_upload_mib, .. } = *changes;
    let figures = [reads, writes, network_reads, network_writes, file_quota_mib, network_upload_mib];
    if figures.iter().all(Option::is_none) {
        return Ok(());
    }
    let at_most = |field: &str, value: Option<u32>, most: u32, of: &str| match value {
        Some(value) if value > most => Err(Problem::invalid_field(field, format!("at most {most} {of}"))),
        value => Ok(value.map(u32::cast_signed)),
    };
    let figure = |field: &str, value: Option<u32>| at_most(field, value, MAX_PER_MINUTE, "a minute");
    let changed = sqlx::query(
        "update vicket.sites set
          reads_per_minute = coalesce($2, reads_per_minute),
          writes_per_minute = coalesce($3, writes_per_minute),
          network_reads_per_minute = coalesce($4, network_reads_per_minute),
          network_writes_per_minute = coalesce($5, network_writes_per_minute),
          file_quota_mib = coalesce($6, file_quota_mib),
          network_upload_mib_per_day = coalesce($7, network_upload_mib_per_day),
          updated_at = now()
        where id = $1",
    )
    .bind(site_id)
    .bind(figure("reads", reads)?)
    .bind(figure("writes", writes)?)
    .bind(figure("network_reads", network_reads)?)
    .bind(figure("network_writes", network_writes)?)
    .bind(at_most("file_quota_mib", file_quota_mib, MAX_QUOTA_MIB, "MiB")?)
    .bind(at_most("network_upload_mib", network_upload_mib, MAX_UPLOAD_MIB, "MiB a day")?)
    .execute(tx.connection())
    .await?;
    super::one_row(changed.rows_affected())
}

/// Deletes a site with everything that belongs to it.
///
/// # Errors
/// `404 not_found`.
pub async fn delete(tx: &mut OrgTx, slug: &str) -> Result<(), Problem> {
    let site = by_slug(tx, slug).await?;
    if super::remove_large(tx, "sites", site.id).await? { Ok(()) } else { Err(no_site(tx, slug)) }
}

/// Lists an origin for a site; listing one twice changes nothing.
///
/// # Errors
/// `400 invalid_request` beyond [`MAX_ORIGINS`].
pub async fn add_origin(tx: &mut OrgTx, site_id: Uuid, origin: &Origin) -> Result<(), Problem> {
    insert_origin(tx, site_id, origin).await?;
    few_enough(tx, site_id).await
}

async fn few_enough(tx: &mut OrgTx, site_id: Uuid) -> Result<(), Problem> {
    let listed: i64 = sqlx::query_scalar("select count(*) from vicket.site_origins where site_id = $1")
        .bind(site_id)
        .fetch_one(tx.connection())
        .await?;
    if listed > MAX_ORIGINS {
        return Err(Problem::invalid_field("origins", format!("a site lists at most {MAX_ORIGINS} origins")));
    }
    Ok(())
}

async fn insert_origin(tx: &mut OrgTx, site_id: Uuid, origin: &Origin) -> Result<(), Problem> {
    sqlx::query("insert into vicket.site_origins (site_id, origin) values ($1, $2) on conflict do nothing")
        .bind(site_id)
        .bind(origin.as_str())
        .execute(tx.connection())
        .await?;
    // It is no longer one that is refused.
    super::remove_of(tx, "refused_origins", &[], Some(site_id), Some(origin.as_str())).await?;
    Ok(())
}

/// Takes an origin off a site's list.
///
/// # Errors
/// `404 not_found` when it was not listed.
pub async fn remove_origin(tx: &mut OrgTx, site_id: Uuid, origin: &Origin) -> Result<(), Problem> {
    match take_off(tx, site_id, origin.as_str()).await? {
        0 => Err(Problem::new(Code::NotFound, format!("The site does not list `{origin}`."))),
        _ => Ok(()),
    }
}

async fn take_off(tx: &mut OrgTx, site_id: Uuid, origin: &str) -> Result<u64, Problem> {
    Ok(super::remove_of(tx, "site_origins", &[], Some(site_id), Some(origin)).await?)
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

/// A page of the refused origins of a site, the most recent first.
///
/// # Errors
/// `400 invalid_cursor`.
pub async fn refused_page(
    tx: &mut OrgTx,
    site_id: Uuid,
    page_request: PageRequest<'_>,
) -> Result<(Vec<RefusedOrigin>, Option<String>), Problem> {
    // The cursor is the origin itself: the list is short, and its order changes while it is read.
    let rows: Vec<RefusedOrigin> = sqlx::query_as(
        "select origin, times, first_seen, last_seen
        from vicket.refused_origins
        where site_id = $1
          and ($2::text is null or (last_seen, origin) < (
            (select r.last_seen from vicket.refused_origins r where r.site_id = $1 and r.origin = $2), $2))
        order by last_seen desc, origin desc
        limit $3",
    )
    .bind(site_id)
    .bind(page_request.after_text(b'r')?)
    .bind(page_request.fetch())
    .fetch_all(tx.connection())
    .await?;
    Ok(page_request.into_page(rows, |refused| paging::write_text(b'r', &refused.origin)))
}

/// Forgets the refused origins of a site.
///
/// # Errors
/// `5xx` only.
pub async fn clear_refused(tx: &mut OrgTx, site_id: Uuid) -> Result<(), Problem> {
    super::remove_of(tx, "refused_origins", &[], Some(site_id), None).await?;
    Ok(())
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

/// The site of this slug, which a body or a parameter names: one that is not there is the caller's mistake.
pub(super) async fn id_of(tx: &mut OrgTx, slug: Option<&str>) -> Result<Option<Uuid>, Problem> {
    let Some(slug) = slug else { return Ok(None) };
    let found = sqlx::query_scalar("select id from vicket.sites where slug = $1")
        .bind(slug)
        .fetch_optional(tx.connection())
        .await?;
    found.map(Some).ok_or_else(|| Problem::unprocessable("site", "the org has no such site"))
}
