//! Keys by which mail of a site is signed.

use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::tasks::Task;
use crate::{
    db::{OrgTx, Worker},
    domain::problem::{Code, Problem},
};

/// Keys that a site may have at once: the one in use, the next, and one that mail on its way still needs.
pub const MOST: usize = 3;

/// A key, without what signs.
#[derive(Clone, Debug, FromRow)]
pub struct DkimKey {
    pub selector: String,
    pub domain: String,
    /// As the DNS record has it.
    pub public_key: String,
    pub created_at: OffsetDateTime,
}

/// Of a site, the newest first.
///
/// # Errors
/// `5xx` only.
pub async fn of_site(tx: &mut OrgTx, site_id: Uuid) -> Result<Vec<DkimKey>, Problem> {
    let sql = "select k.selector, k.domain, k.public_key, k.created_at from vicket.dkim_keys k
        where k.site_id = $1 order by k.created_at desc, k.selector";
    Ok(sqlx::query_as(sql).bind(site_id).fetch_all(tx.connection()).await?)
}

/// Adds one.
///
/// # Errors
/// `422 unprocessable` when the site has as many as it may.
pub async fn add(tx: &mut OrgTx, site_id: Uuid, key: &DkimKey, sealed: &[u8]) -> Result<(), Problem> {
    sqlx::query(
        "insert into vicket.dkim_keys (site_id, selector, domain, public_key, sealed_key) values ($1, $2, $3, $4, $5)",
    )
    .bind(site_id)
    .bind(&key.selector)
    .bind(&key.domain)
    .bind(&key.public_key)
    .bind(sealed)
    .execute(tx.connection())
    .await?;
    // After the insert, which takes the org's turn.
    if of_site(tx, site_id).await?.len() > MOST {
        return Err(Problem::unprocessable("site", "has three keys already; remove one first"));
    }
    Ok(())
}

/// Removes one.
///
/// # Errors
/// `404 not_found`.
pub async fn remove(tx: &mut OrgTx, site_id: Uuid, selector: &str) -> Result<(), Problem> {
    let query = sqlx::query_scalar("select ctx.remove_dkim_key($1, $2)").bind(site_id).bind(selector);
    let gone: i64 = query.fetch_one(tx.connection()).await?;
    if gone > 0 { Ok(()) } else { Err(Problem::new(Code::NotFound, "The site has no such key.")) }
}

/// A key that a mail may be signed by.
#[derive(FromRow)]
pub struct SenderKey {
    /// Which of the mails, from 1.
    pub place: i64,
    pub site_id: Uuid,
    pub selector: String,
    pub domain: String,
    pub public_key: String,
    pub sealed_key: Vec<u8>,
}

/// The keys that these mails may be signed by, of each the newest first.
///
/// # Errors
/// `5xx` only.
pub async fn of_mails(worker: &Worker, tasks: &[Task]) -> Result<Vec<SenderKey>, Problem> {
    let (orgs, mails): (Vec<Uuid>, Vec<Uuid>) = tasks.iter().map(|task| (task.org_id, task.subject_id)).unzip();
    worker.rows(sqlx::query_as("select * from worker.sender_keys($1, $2)").bind(orgs).bind(mails)).await
}
