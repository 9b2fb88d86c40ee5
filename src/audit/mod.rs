//! `vicket audit`: isolation that a DBA can see, prove and try to break.
//!
//! * [`lints`]: what the catalog must not say. One SQL text, `lints/*.sql`, is what the command runs, what the server
//!   asks before it serves and for `/readyz`, and what `vicket migrate` installs as the views of the schema `audit`.
//! * [`bodies`]: what each function is, by the migrations' text.
//! * [`probe`]: rows of two orgs, and every statement of every role at them, rolled back.
//! * [`why`]: one row, one role, one context: which policy lets it pass, and which condition of the others does not hold.
//! * [`matrix`] and [`schema`]: the two files under review, `migrations/ISOLATION.md` and `SCHEMA.sql`; [`show`]: one table or
//!   function of them, as a database has it.
//! * [`report`]: findings, and who may do what with each table; [`format`]: as text, Markdown, JSON, SARIF or a page.
//!
//! Whether the audit would notice is the crate `vicket-proofs`' to say.

pub mod bodies;
pub mod conditions;
pub mod format;
mod html;
pub mod lints;
pub mod matrix;
mod names;
pub mod probe;
pub mod report;
mod roles;
mod sarif;
pub mod schema;
pub mod show;
mod sql;
mod text;
pub mod why;

use anyhow::Context as _;
use sqlx::{Connection as _, PgConnection};

use crate::db;

/// A connection that audits: it reads, and the planner does not compile what it reads with.
///
/// # Errors
/// When the database cannot be reached.
pub async fn connect(url: &str) -> anyhow::Result<PgConnection> {
    let options = db::connect_options(url).await?.application_name("vicket audit").options([
        ("default_transaction_read_only", "on"),
        ("jit", "off"),
        ("search_path", "pg_catalog"),
        ("statement_timeout", "30s"),
    ]);
    PgConnection::connect_with(&options).await.context("the database cannot be reached")
}
