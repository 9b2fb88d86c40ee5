//! Every SQL statement, one file a noun. Functions take the transaction that a credential gave (`SiteTx` for a
//! publishable key, `OrgTx` for an agent or an administration command) and never name a site of their own: row-level security
//! filters by the context of that transaction.

pub mod articles;
pub mod attachments;
pub mod audit_log;
pub mod content;
pub mod cursor;
pub mod faqs;
pub mod figures;
pub mod help;
pub mod inbox;
pub mod keys;
pub mod logins;
pub mod machine_keys;
pub mod members;
pub mod order;
pub mod orgs;
pub mod origins;
pub mod replies;
pub mod sites;
pub mod slugs;
pub mod teams;
pub mod templates;
pub mod tickets;
pub mod worker;
pub mod workflow;

use crate::problem::Problem;

/// A statement that was to change one row: none is what a refusal looks like under row-level security.
fn one_row(affected: u64) -> Result<(), Problem> {
    if affected == 0 { Err(Problem::not_found()) } else { Ok(()) }
}

/// The constraint that a statement would have violated; empty for any other error.
fn constraint(error: &sqlx::Error) -> &str {
    error.as_database_error().and_then(sqlx::error::DatabaseError::constraint).unwrap_or_default()
}
