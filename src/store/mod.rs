//! Every SQL statement, one file a noun. Functions take the transaction that a credential gave (`SiteTx` for a
//! publishable key, `OrgTx` for an agent or an administration command) and never name a site of their own: row-level security
//! filters by the context of that transaction.

pub mod account_mails;
pub mod articles;
pub mod attachments;
pub mod audit_log;
pub mod dkim_keys;
pub mod erasure;
pub mod faqs;
pub mod help_words;
pub mod identity;
pub mod inbound_mails;
pub mod jobs;
pub mod limit_windows;
pub mod machine_keys;
pub mod mailboxes;
pub mod mails;
pub mod members;
pub mod news;
pub mod order;
pub mod orgs;
pub mod paging;
pub mod personal_data;
pub mod priorities;
pub mod publishing;
pub mod retention;
pub mod saved_replies;
pub mod saved_views;
pub mod site_keys;
pub mod site_origins;
pub mod sites;
pub mod stats;
pub mod statuses;
pub mod tags;
pub mod tasks;
pub mod teams;
pub mod templates;
pub mod tickets;
pub mod usage;
pub mod users;

use sqlx::types::Uuid;

use crate::{db::OrgTx, domain::problem::Problem};

/// Deletes rows of a table by their ids, as far as whoever asks may; says how many went. No request may DELETE: see
/// `migrations/0021_removals.sql`.
async fn remove(tx: &mut OrgTx, table: &str, ids: &[Uuid]) -> Result<u64, sqlx::Error> {
    remove_of(tx, table, ids, None, None).await
}

/// As [`remove`], of what belongs to `of`: a team, a form or a site; there of one `text`.
async fn remove_of(
    tx: &mut OrgTx,
    table: &str,
    ids: &[Uuid],
    of: Option<Uuid>,
    text: Option<&str>,
) -> Result<u64, sqlx::Error> {
    let gone: i64 = sqlx::query_scalar("select ctx.remove($1, $2, $3, $4)")
        .bind(table)
        .bind(ids)
        .bind(of)
        .bind(text)
        .fetch_one(tx.connection())
        .await?;
    Ok(gone.unsigned_abs())
}

/// Deletes what may have thousands of rows below it, at once or in the background; says whether it was there.
async fn remove_large(tx: &mut OrgTx, table: &str, id: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select ctx.remove_large($1, $2)").bind(table).bind(id).fetch_one(tx.connection()).await
}

/// A statement that was to change one row: none is what a refusal looks like under row-level security.
fn one_row(affected: u64) -> Result<(), Problem> {
    if affected == 0 { Err(Problem::not_found()) } else { Ok(()) }
}

/// The constraint that a statement would have violated; empty for any other error.
fn constraint(error: &sqlx::Error) -> &str {
    error.as_database_error().and_then(sqlx::error::DatabaseError::constraint).unwrap_or_default()
}
