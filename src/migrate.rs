//! `vicket migrate`: roles, schema, policies, passwords, hardening.
//!
//! Everything happens in one transaction, which the lints of [`crate::audit`] end: a migration that leaves an error is not
//! committed. Roles belong to the cluster, so several migrations of
//! different databases may race on them; what PostgreSQL answers then is retried.

use std::time::Duration;

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, migrate::Migrator};

use crate::{
    audit::lints::{self, Severity},
    db,
};

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");
const ROLES: &str = include_str!("../migrations/roles.sql");
const HARDENING: &str = include_str!("../migrations/hardening.sql");

/// The numbered migrations: version and text.
pub(crate) fn texts() -> impl Iterator<Item = (i64, &'static str)> {
    MIGRATOR.iter().map(|migration| (migration.version, migration.sql.as_str()))
}

/// Passwords of the logins; what is `None` stays as it is.
#[derive(Default)]
pub struct Passwords {
    pub widget: Option<String>,
    pub agent: Option<String>,
    pub worker: Option<String>,
}

/// What a migration did.
#[derive(Debug)]
pub struct Report {
    /// Migrations that the database has now.
    pub version: i64,
    /// Whether what only a superuser may revoke is revoked.
    pub hardened: bool,
    /// What is still open to PUBLIC, other databases of the cluster among it, when not hardened.
    pub open: Vec<String>,
}

/// Migrates the database that `url` names, as its owner with CREATEROLE (a superuser works too). May run again, and
/// from several processes at once.
///
/// # Errors
/// When a statement fails, when the database is ahead of this program, or when isolation would not hold afterwards;
/// then nothing is changed.
pub async fn run(url: &str, passwords: &Passwords) -> anyhow::Result<Report> {
    let mut connection =
        PgConnection::connect_with(&db::connect_options(url)?).await.context("the database cannot be reached")?;
    check_version(&mut connection).await?;
    let mut attempt = 0;
    loop {
        attempt += 1;
        match apply(&mut connection, passwords).await {
            Ok(()) => break,
            Err(error) if attempt < 20 && is_race(&error) => {
                tokio::time::sleep(Duration::from_millis(20 * attempt + u64::from(std::process::id() % 37))).await;
            }
            Err(error) => return Err(error),
        }
    }
    let superuser: bool = sqlx::query_scalar("select rolsuper from pg_roles where rolname = current_user")
        .fetch_one(&mut connection)
        .await?;
    if superuser {
        harden(&mut connection).await?;
    }
    let open = open(&mut connection).await?;
    let version: Option<i64> =
        sqlx::query_scalar("select max(version) from _sqlx_migrations").fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(Report { version: version.unwrap_or_default(), hardened: open.is_empty(), open })
}

/// Runs the hardening that needs a superuser.
///
/// # Errors
/// When `connection` is not a superuser's.
pub async fn harden(connection: &mut PgConnection) -> anyhow::Result<()> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let hardened = async {
            let mut tx = connection.begin().await?;
            sqlx::raw_sql(HARDENING).execute(&mut *tx).await?;
            tx.commit().await?;
            anyhow::Ok(())
        };
        match hardened.await {
            Err(error) if attempt < 20 && is_race(&error) => {
                tokio::time::sleep(Duration::from_millis(20 * attempt)).await
            }
            outcome => return outcome,
        }
    }
}

async fn check_version(connection: &mut PgConnection) -> anyhow::Result<()> {
    let version: String = sqlx::query_scalar("show server_version_num").fetch_one(connection).await?;
    let number: u32 = version.parse()?;
    anyhow::ensure!(number >= 150_000, "PostgreSQL 15 or newer is needed; this is {}", number / 10_000);
    Ok(())
}

async fn apply(connection: &mut PgConnection, passwords: &Passwords) -> anyhow::Result<()> {
    let mut tx = connection.begin().await?;
    sqlx::raw_sql(ROLES).execute(&mut *tx).await.context("the roles could not be made")?;
    MIGRATOR.run(&mut *tx).await?;
    for (login, password) in [
        ("vicket_gate_widget", &passwords.widget),
        ("vicket_gate_agent", &passwords.agent),
        ("vicket_worker", &passwords.worker),
    ] {
        if let Some(password) = password {
            set_password(&mut tx, login, password).await?;
        }
    }
    lints::install(&mut tx).await.context("the views of the schema audit could not be made")?;
    sqlx::raw_sql("set local jit = off").execute(&mut *tx).await?;
    let findings: Vec<String> = lints::findings(&mut tx)
        .await?
        .into_iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| format!("{}: {}: {}", finding.id, finding.object, finding.what))
        .collect();
    anyhow::ensure!(findings.is_empty(), "isolation would not hold; nothing was changed:\n  {}", findings.join("\n  "));
    tx.commit().await?;
    Ok(())
}

/// Sets a password by its SCRAM verifier, so that its text is in no statement and no server log.
async fn set_password(connection: &mut PgConnection, login: &'static str, password: &str) -> anyhow::Result<()> {
    let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
    let statement: String = sqlx::query_scalar("select format('alter role %I password %L', $1::text, $2::text)")
        .bind(login)
        .bind(verifier)
        .fetch_one(&mut *connection)
        .await?;
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

/// Several migrations at once, of this database or of others in the cluster: "tuple concurrently updated", a role
/// that another made first, a deadlock.
fn is_race(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let database = match cause.downcast_ref::<sqlx::Error>() {
            Some(error) => error.as_database_error(),
            None => match cause.downcast_ref::<sqlx::migrate::MigrateError>() {
                Some(
                    sqlx::migrate::MigrateError::Execute(error)
                    | sqlx::migrate::MigrateError::ExecuteMigration(error, _),
                ) => error.as_database_error(),
                _ => None,
            },
        };
        database
            .and_then(|error| error.code())
            .is_some_and(|code| matches!(code.as_ref(), "XX000" | "23505" | "42710" | "42P06" | "42P07" | "40P01"))
    })
}

/// What the hardening would take away and is still open, here and in the cluster's other databases, by the lints that say so.
async fn open(connection: &mut PgConnection) -> anyhow::Result<Vec<String>> {
    let found = lints::findings(connection).await?.into_iter();
    let open = found.filter(|finding| ["builtin-open", "database-open"].contains(&finding.id.as_str()));
    Ok(open.map(|finding| format!("{}: {}", finding.object, finding.what)).collect())
}
