//! What the worker writes: batches of what requests left behind, and expiry.

use std::collections::HashMap;

use time::{Date, OffsetDateTime};
use uuid::Uuid;

use crate::{
    db::Worker,
    domain::{keys::Sha256Digest, problem::Problem},
};

/// A site, as counts name it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SiteRef {
    pub org_id: Uuid,
    pub site_id: Uuid,
}

/// How often an origin was refused since the last batch.
#[derive(Clone, Copy, Debug)]
pub struct Refusals {
    pub times: i64,
    pub first: OffsetDateTime,
    pub last: OffsetDateTime,
}

/// When each of a key's origins was last seen; empty for requests without one.
pub type KeyOrigins = HashMap<(SiteRef, Uuid), HashMap<String, OffsetDateTime>>;
/// How often a site was searched for something that it has not, by day in UTC.
pub type MissedSearches = HashMap<SiteRef, HashMap<(Date, String), i64>>;

/// Adds gathered views to articles, by org and article.
///
/// # Errors
/// `5xx` only; then nothing was written.
pub async fn add_views(worker: &Worker, views: &HashMap<(Uuid, Uuid), i64>) -> Result<(), Problem> {
    let (org_ids, article_ids): (Vec<Uuid>, Vec<Uuid>) = views.keys().copied().unzip();
    let counts: Vec<i64> = views.values().copied().collect();
    let query = sqlx::query("select worker.add_views($1, $2, $3)").bind(org_ids).bind(article_ids).bind(counts);
    worker.execute(query).await
}

/// Writes when keys were last used, and from which origins.
///
/// # Errors
/// `5xx` only; then nothing was written.
pub async fn touch_keys(
    worker: &Worker,
    keys: &HashMap<(SiteRef, Uuid), OffsetDateTime>,
    origins: &KeyOrigins,
) -> Result<(), Problem> {
    let used = keys.iter().map(|((site, key), at)| (*site, *key, None, *at));
    let from = origins.iter().flat_map(|((site, key), origins)| {
        origins.iter().map(|(origin, at)| (*site, *key, Some(origin.as_str()), *at))
    });
    let rows: Vec<(SiteRef, Uuid, Option<&str>, OffsetDateTime)> = used.chain(from).collect();
    let org_ids: Vec<Uuid> = rows.iter().map(|(site, ..)| site.org_id).collect();
    let site_ids: Vec<Uuid> = rows.iter().map(|(site, ..)| site.site_id).collect();
    let key_ids: Vec<Uuid> = rows.iter().map(|(_, key, ..)| *key).collect();
    let origins: Vec<Option<&str>> = rows.iter().map(|(_, _, origin, _)| *origin).collect();
    let times: Vec<OffsetDateTime> = rows.iter().map(|(.., at)| *at).collect();
    let query = sqlx::query("select worker.touch_keys($1, $2, $3, $4, $5)")
        .bind(org_ids)
        .bind(site_ids)
        .bind(key_ids)
        .bind(origins)
        .bind(times);
    worker.execute(query).await
}

/// Counts searches that found nothing.
///
/// # Errors
/// `5xx` only; then nothing was written.
pub async fn add_missed_searches(worker: &Worker, missed: &MissedSearches) -> Result<(), Problem> {
    let rows: Vec<(SiteRef, Date, &str, i64)> = missed
        .iter()
        .flat_map(|(site, of_site)| of_site.iter().map(|((day, search), times)| (*site, *day, search.as_str(), *times)))
        .collect();
    let org_ids: Vec<Uuid> = rows.iter().map(|(site, ..)| site.org_id).collect();
    let site_ids: Vec<Uuid> = rows.iter().map(|(site, ..)| site.site_id).collect();
    let days: Vec<Date> = rows.iter().map(|(_, day, ..)| *day).collect();
    let searches: Vec<&str> = rows.iter().map(|(_, _, search, _)| *search).collect();
    let times: Vec<i64> = rows.iter().map(|(.., times)| *times).collect();
    let query = sqlx::query("select worker.add_missed_searches($1, $2, $3, $4, $5)")
        .bind(org_ids)
        .bind(site_ids)
        .bind(days)
        .bind(searches)
        .bind(times);
    worker.execute(query).await
}

/// Writes when sessions were last used.
///
/// # Errors
/// `5xx` only; then nothing was written.
pub async fn touch_sessions(worker: &Worker, sessions: &HashMap<Sha256Digest, OffsetDateTime>) -> Result<(), Problem> {
    let digests: Vec<Vec<u8>> = sessions.keys().map(|digest| digest.as_bytes().to_vec()).collect();
    let times: Vec<OffsetDateTime> = sessions.values().copied().collect();
    worker.execute(sqlx::query("select worker.touch_sessions($1, $2)").bind(digests).bind(times)).await
}

/// Writes when machine keys were last used.
///
/// # Errors
/// `5xx` only; then nothing was written.
pub async fn touch_machine_keys(worker: &Worker, keys: &HashMap<Uuid, OffsetDateTime>) -> Result<(), Problem> {
    let (ids, times): (Vec<Uuid>, Vec<OffsetDateTime>) = keys.iter().unzip();
    worker.execute(sqlx::query("select worker.touch_machine_keys($1, $2)").bind(ids).bind(times)).await
}

/// Counts refused origins.
///
/// # Errors
/// `5xx` only; then nothing was written.
pub async fn add_refused_origins(
    worker: &Worker,
    origins: &HashMap<SiteRef, HashMap<String, Refusals>>,
) -> Result<(), Problem> {
    let rows: Vec<(SiteRef, &str, Refusals)> = origins
        .iter()
        .flat_map(|(site, refused)| refused.iter().map(|(origin, refusals)| (*site, origin.as_str(), *refusals)))
        .collect();
    let org_ids: Vec<Uuid> = rows.iter().map(|(site, ..)| site.org_id).collect();
    let site_ids: Vec<Uuid> = rows.iter().map(|(site, ..)| site.site_id).collect();
    let texts: Vec<&str> = rows.iter().map(|(_, origin, _)| *origin).collect();
    let times: Vec<i64> = rows.iter().map(|(.., refusals)| refusals.times).collect();
    let first: Vec<OffsetDateTime> = rows.iter().map(|(.., refusals)| refusals.first).collect();
    let last: Vec<OffsetDateTime> = rows.iter().map(|(.., refusals)| refusals.last).collect();
    let query = sqlx::query("select worker.add_refused_origins($1, $2, $3, $4, $5, $6)")
        .bind(org_ids)
        .bind(site_ids)
        .bind(texts)
        .bind(times)
        .bind(first)
        .bind(last);
    worker.execute(query).await
}

/// Keys of objects that are to be removed from the object store, at most `most`.
///
/// # Errors
/// `5xx` only.
pub async fn objects_due(worker: &Worker, most: i32) -> Result<Vec<String>, Problem> {
    worker.list(sqlx::query_scalar("select * from worker.objects_due($1)").bind(most)).await
}

/// Takes objects that are gone off the list.
///
/// # Errors
/// `5xx` only.
pub async fn objects_removed(worker: &Worker, keys: &[String]) -> Result<(), Problem> {
    worker.execute(sqlx::query("select worker.objects_removed($1)").bind(keys)).await
}

/// Deletes idempotency keys older than 24 hours, sessions that have ended, of customers too, and searches older than 30 days, at most 10,000
/// of each a call.
///
/// # Errors
/// `5xx` only.
pub async fn purge_expired(worker: &Worker) -> Result<(), Problem> {
    worker.execute(sqlx::query("select worker.purge(10000)")).await?;
    worker.execute(sqlx::query("select worker.purge_customer_sessions(10000)")).await
}
