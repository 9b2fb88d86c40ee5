//! The ledger: which files ran here, and what the schema is called that they made.
//!
//! It is sqlx's own table, in its own form. A file outside a transaction that has begun and not ended stands there with
//! `success` false; how many of its statements are done is in `statements_done`, a column of ours.

use anyhow::{Context as _, bail};
use sqlx::{AssertSqlSafe, FromRow, PgConnection, migrate::Migration};

use super::{
    files::{FIRST_CHANGE, Files},
    name,
    schema::{Schema, UNRELEASED},
};

pub const TABLE: &str = "public._sqlx_migrations";

/// The comment of the ledger, which any login may read: how a server that may read no table learns what schema it is on.
pub const COMMENT: &str = "select obj_description(c.oid, 'pg_class')
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relname = '_sqlx_migrations' and c.relkind = 'r'";

/// A file that ran, or began to.
#[derive(Clone, Debug, FromRow)]
pub struct Row {
    pub version: i64,
    pub description: String,
    pub success: bool,
    pub checksum: Vec<u8>,
    /// Of a file outside a transaction.
    pub statements_done: Option<i32>,
}

impl Row {
    fn is(&self, file: &Migration) -> bool {
        self.version == file.version && self.description == file.description && self.checksum == *file.checksum
    }
}

/// The ledger's rows by version; none when there is no ledger.
///
/// # Errors
/// When it cannot be read.
pub async fn read(connection: &mut PgConnection) -> anyhow::Result<Vec<Row>> {
    let exists: bool =
        sqlx::query_scalar("select to_regclass($1) is not null").bind(TABLE).fetch_one(&mut *connection).await?;
    if !exists {
        return Ok(Vec::new());
    }
    // The last column comes with the first file that needs it.
    let rows = format!(
        "select version, description, success, checksum, (to_jsonb(m) ->> 'statements_done')::integer as statements_done
        from {TABLE} m
        order by version"
    );
    sqlx::query_as(AssertSqlSafe(rows)).fetch_all(connection).await.context("the ledger of migrations cannot be read")
}

/// What a database lacks.
#[derive(Debug)]
pub struct Pending<'a> {
    /// The database is empty: it gets all of it.
    pub baseline: bool,
    pub changes: Vec<&'a Migration>,
}

impl Pending<'_> {
    pub fn is_empty(&self) -> bool {
        !self.baseline && self.changes.is_empty()
    }
}

/// What of the files the database of this ledger lacks.
///
/// # Errors
/// One sentence that says what to do, when the files are not those that made the database.
pub fn pending<'a>(files: &'a Files, rows: &[Row]) -> anyhow::Result<Pending<'a>> {
    let (made, changed): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.version < FIRST_CHANGE);
    let baseline = made.is_empty();
    let same = made.len() == files.baseline().len()
        && made.iter().zip(files.baseline()).all(|(row, file)| row.success && row.is(file));
    if (!baseline && !same) || (baseline && !changed.is_empty()) {
        bail!(UNRELEASED);
    }
    let newest = files.schema().version;
    for row in &changed {
        match files.changes().iter().find(|file| file.version == row.version) {
            // What has not ended may have been mended meanwhile.
            Some(file) if row.is(file) || !row.success => {}
            Some(file) => bail!(
                "{} ran here with another text than this program has: it was that of an unreleased version; restore a backup of \
                 before it, or run the program that made it",
                name(file)
            ),
            None if row.version > newest => bail!(
                "the database is ahead of this program: {} ({}) is of a newer version of Vicket, and this one ends at {newest}; \
                 migrate with that version or a later one",
                row.version,
                row.description
            ),
            None => bail!(
                "{} ({}) ran here and is no file of this program: it was that of an unreleased version; restore a backup of before \
                 it, or run the program that made it",
                row.version,
                row.description
            ),
        }
    }
    let done = |file: &Migration| changed.iter().any(|row| row.version == file.version && row.success);
    Ok(Pending { baseline, changes: files.changes().iter().filter(|file| !done(file)).collect() })
}

/// Says in the ledger's comment up to which file all of them ran.
///
/// # Errors
/// When a statement fails.
pub async fn say_schema(connection: &mut PgConnection, files: &Files) -> anyhow::Result<()> {
    let pending = pending(files, &read(connection).await?)?;
    let before = pending.changes.first().map(|file| file.version);
    let done = files.baseline().iter().chain(files.changes()).map(|file| file.version);
    let version = done.take_while(|version| before.is_none_or(|before| *version < before)).last().unwrap_or_default();
    let comment = Schema { version, baseline: files.digest() }.comment();
    let said: Option<String> = sqlx::query_scalar(COMMENT).fetch_optional(&mut *connection).await?.flatten();
    if said.as_deref() != Some(comment.as_str()) {
        // Of our own making: numbers, hex digits and words.
        let statement = format!("comment on table {TABLE} is '{comment}'");
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await?;
    }
    Ok(())
}
