//! The files of `migrations/` as data: what stands in them, what a database says of those that ran there. The runner is
//! [`crate::migrate`].

pub mod files;
pub mod ledger;
pub mod schema;
pub mod statements;

use sqlx::migrate::Migration;

/// `1000_what`, as the file is called.
pub fn name(file: &Migration) -> String {
    format!("{:04}_{}", file.version, file.description.replace(' ', "_"))
}
