//! The lints: one SQL text for the command, the start-up checks and the views that a DBA reads in psql.

use std::sync::LazyLock;

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, PgConnection};

use super::bodies;

/// What every lint looks at.
const PRELUDE: &str = include_str!("lints/prelude.sql");

/// The lints by subject, each of which can be asked by itself.
pub const PARTS: [(&str, &str); 8] = [
    ("tables", include_str!("lints/tables.sql")),
    ("policies", include_str!("lints/policies.sql")),
    ("grants", include_str!("lints/grants.sql")),
    ("functions", include_str!("lints/functions.sql")),
    ("objects", include_str!("lints/objects.sql")),
    ("roles", include_str!("lints/roles.sql")),
    ("structure", include_str!("lints/structure.sql")),
    ("server", include_str!("lints/server.sql")),
];

/// What the catalog says that it must not: `id, severity, object, what, why, mend, relation`, the worst first. Any login
/// may run it.
pub static FINDINGS: LazyLock<String> = LazyLock::new(|| asking(&PARTS.map(|(_, lints)| lints).join("union all\n")));

/// A lint that `vicket audit` asks where its login may: how PostgreSQL authenticates our logins is for few to see.
static AUTHENTICATION: LazyLock<String> = LazyLock::new(|| asking(include_str!("lints/authentication.sql")));

/// What the migrations make, generated from the catalog: [`objects`].
const SHIPPED: &str = include_str!("lints/shipped.sql");

/// What `lints/shipped.sql` is, of a database that the migrations have just made, and of what a dump of it is restored to: rows
/// of VALUES.
///
/// # Errors
/// When the catalog cannot be read.
pub async fn objects(connection: &mut PgConnection) -> anyhow::Result<String> {
    let sql = format!(
        "{PRELUDE}row (text) as (
          select format('    (%L, %L, %L, %L)', kind, of, name, left(encode(sha256(convert_to(definition, 'UTF8')), 'hex'), 32))
          from object where of <> 'audit' and of not like 'audit.%'
        )
        select string_agg(text, E',\\n' order by text collate \"C\") || E'\\n' from row"
    );
    Ok(sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await?)
}

/// The statement that asks these lints.
fn asking(lints: &str) -> String {
    let rows = bodies::rows();
    let (_, last) = bodies::migrated();
    let catalogue = include_str!("lints/catalogue.sql");
    let select = include_str!("lints/findings.sql");
    format!(
        "{PRELUDE}release (last) as (values ({last}::bigint)),
migrated (schema, name, arguments, shape, digest) as (
  values
{rows}
),
shipped (kind, of, name, digest) as (
  values
{SHIPPED}),
newer (last) as (
  {}),
found (id, relation, object, what, mend) as (
{lints}),
lint (id, severity, why) as (
{catalogue})
{select}",
        include_str!("lints/newer.sql"),
    )
}

/// Who may do what with each table, and by which policies.
pub const ACCESS: &str = concat!(include_str!("lints/prelude.sql"), include_str!("lints/access.sql"));

/// Every lint: `id, severity, why`.
pub const CATALOGUE: &str = concat!(
    "select id, severity, why from (\n",
    include_str!("lints/catalogue.sql"),
    ") as lint (id, severity, why) order by id"
);

/// The views of the schema `audit`, and what each shows.
pub fn views() -> [(&'static str, &'static str, &'static str); 3] {
    [
        ("findings", &FINDINGS, "What the catalog says that it must not, the worst first; empty is good"),
        ("access", ACCESS, "Who may do what with each table, and by which policies"),
        ("lints", CATALOGUE, "Every lint: how bad a finding is, and why"),
    ]
}

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; isolation does not rest on it.
    Notice,
    /// Isolation holds, by less than it should.
    Warning,
    /// Isolation does not hold, or would not after one more mistake. The server refuses to start.
    Error,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl std::str::FromStr for Severity {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text {
            "notice" => Ok(Self::Notice),
            "warning" => Ok(Self::Warning),
            "error" => Ok(Self::Error),
            other => Err(anyhow::anyhow!("no severity: {other}")),
        }
    }
}

/// What one lint says of one object.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Finding {
    /// Of the lint, a heading of docs/audit.md.
    pub id: String,
    pub severity: Severity,
    pub object: String,
    pub what: String,
    pub why: String,
    /// The SQL, or the command, that mends it.
    pub mend: String,
    /// The table that it is about, where it is about one.
    pub relation: Option<String>,
}

type FindingRow = (String, String, String, String, String, String, Option<String>);

/// All findings, the worst first.
///
/// # Errors
/// When the catalog cannot be read.
pub async fn findings(connection: &mut PgConnection) -> anyhow::Result<Vec<Finding>> {
    read(sqlx::query_as(FINDINGS.as_str()).fetch_all(connection).await?)
}

/// The findings of one of [`PARTS`].
///
/// # Errors
/// When the catalog cannot be read.
pub async fn findings_of(connection: &mut PgConnection, part: &str) -> anyhow::Result<Vec<Finding>> {
    let (_, lints) = PARTS.iter().find(|(name, _)| *name == part).with_context(|| format!("no lints of {part}"))?;
    read(sqlx::query_as(AssertSqlSafe(asking(lints))).fetch_all(connection).await?)
}

/// How our logins are authenticated; `None` where this login may not see it.
///
/// # Errors
/// When the catalog cannot be read.
pub async fn authentication(connection: &mut PgConnection) -> anyhow::Result<Option<Vec<Finding>>> {
    let seen: bool = sqlx::query_scalar("select has_function_privilege('pg_hba_file_rules()', 'execute')")
        .fetch_one(&mut *connection)
        .await?;
    if !seen {
        return Ok(None);
    }
    read(sqlx::query_as(AUTHENTICATION.as_str()).fetch_all(connection).await?).map(Some)
}

fn read(rows: Vec<FindingRow>) -> anyhow::Result<Vec<Finding>> {
    rows.into_iter()
        .map(|(id, severity, object, what, why, mend, relation)| {
            Ok(Finding { id, severity: severity.parse()?, object, what, why, mend, relation })
        })
        .collect()
}

/// Installs the views, where they are not those of this program. In the transaction of a migration.
///
/// # Errors
/// When a statement fails.
pub async fn install(connection: &mut PgConnection) -> anyhow::Result<()> {
    let (_, last) = bodies::migrated();
    for (name, sql, comment) in views() {
        // The lints read the number: a program that knows fewer migrations does not judge the functions of later ones.
        let comment = format!("{comment}. Migration {last}, text {:08x}.", crc32fast::hash(sql.as_bytes()));
        let installed: Option<String> = sqlx::query_scalar(
            "select obj_description(c.oid, 'pg_class') from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where n.nspname = 'audit' and c.relname = $1 and c.relkind = 'v'",
        )
        .bind(name)
        .fetch_optional(&mut *connection)
        .await?
        .flatten();
        if installed.as_deref() == Some(comment.as_str()) {
            continue;
        }
        let statements = format!(
            "set local role vicket_owner;
            drop view if exists audit.{name};
            create view audit.{name} with (security_invoker = true) as\n{sql};
            comment on view audit.{name} is '{comment}';
            grant select on audit.{name} to vicket_auditor;
            reset role"
        );
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut *connection).await?;
    }
    Ok(())
}
