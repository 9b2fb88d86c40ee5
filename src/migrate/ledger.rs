//! The ledger: which files ran here, and what the schema is called that they made.
//!
//! It is sqlx's own table, in its own form. A file outside a transaction that has begun and not ended stands there with
//! `success` false; how many of its statements are done is in `statements_done`, a column of ours.

use anyhow::{Context as _, bail};
use sqlx::{AssertSqlSafe, FromRow, PgConnection, migrate::Migration};

use super::files::{FIRST_CHANGE, Files, name};

pub const TABLE: &str = "public._sqlx_migrations";

/// The comment of the ledger, which any login may read: how a server that may read no table learns what schema it is on.
pub const COMMENT: &str = "select obj_description(c.oid, 'pg_class')
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relname = '_sqlx_migrations' and c.relkind = 'r'";

/// What a database of an earlier commit is told.
const UNRELEASED: &str = "this database was made by an unreleased version of Vicket, whose migrations are not those of \
                          0.1.0: make a new, empty database and migrate that (`vicket dev --fresh` does)";

/// A schema by its newest file and the baseline under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    pub version: i64,
    pub baseline: String,
}

impl Schema {
    /// As the ledger's comment has it.
    pub fn comment(&self) -> String {
        format!("Schema {} on baseline {}. The numbered files that `vicket migrate` ran.", self.version, self.baseline)
    }

    /// What a comment says.
    pub fn read(comment: &str) -> Option<Self> {
        let rest = comment.strip_prefix("Schema ")?;
        let (version, rest) = rest.split_once(" on baseline ")?;
        let (baseline, _) = rest.split_once('.')?;
        Some(Self { version: version.parse().ok()?, baseline: baseline.to_owned() })
    }

    /// Why a server that needs this schema cannot work on the one whose comment this is. A newer one is fine: the server
    /// of a release works on the schema of the next.
    pub fn refuses(&self, comment: Option<&str>) -> Option<String> {
        match comment.and_then(Self::read) {
            None => Some(format!("the database has no schema that this server knows: run `vicket migrate` ({self})")),
            Some(found) if found.baseline != self.baseline => Some(UNRELEASED.to_owned()),
            Some(found) if found.version < self.version => Some(format!(
                "the database's schema is {}, older than this server needs: run `vicket migrate` ({self})",
                found.version
            )),
            Some(_) => None,
        }
    }
}

impl std::fmt::Display for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "needed: {}", self.version)
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_read_from_its_comment() {
        let schema = Schema { version: 1003, baseline: "0123456789abcdef".to_owned() };
        assert_eq!(Schema::read(&schema.comment()), Some(schema));
        assert_eq!(Schema::read("Tables."), None);
    }

    #[test]
    fn a_server_refuses_what_is_older_or_another_and_takes_what_is_newer() {
        let schema = |version: i64| Schema { version, baseline: "00".to_owned() };
        let said = |found: &Schema| schema(1003).refuses(Some(&found.comment()));
        assert_eq!((said(&schema(1003)), said(&schema(1004))), (None, None));
        assert!(said(&schema(1002)).is_some_and(|why| why.contains("is 1002, older than")));
        let other = Schema { baseline: "11".to_owned(), ..schema(1003) };
        assert!(said(&other).is_some_and(|why| why.contains("unreleased")));
        assert!(schema(1).refuses(None).is_some_and(|why| why.contains("no schema")));
    }
}
