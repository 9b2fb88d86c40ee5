//! `vicket migrate`: roles, schema, policies, passwords, hardening.
//!
//! Three lanes ([`files`] says which file goes where):
//!
//! * **The baseline**, onto an empty database: all of it in one transaction.
//! * **A change**: a transaction of its own, which waits a moment for its locks, gives up, and tries again, so that it never
//!   stands long before the traffic that it must wait for.
//! * **A change outside a transaction**: statement by statement, each of which stops nothing and may be repeated, so that
//!   a run that was killed goes on where it was.
//!
//! The lints of [`crate::audit`] end each of them: what leaves an error is not committed, or not marked as done. One
//! migration at a time runs on a database. Roles belong to the cluster, so migrations of different databases may race on
//! them; what PostgreSQL answers then is retried.

mod change;
pub mod check;
mod judge;
mod session;
mod waits;

use std::time::Duration;

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, migrate::Migrate as _};

use crate::{
    audit::lints,
    migrations::{
        files::Files,
        ledger::{self, TABLE},
        name,
    },
};
use judge::{Moment, judge};
pub use session::Patience;
use session::{ROLES, bound, connect, is_of, options, take_turn, unraced};
use waits::Watch;

const HARDENING: &str = include_str!("../migrations/hardening.sql");

/// Passwords of the logins; what is `None` stays as it is.
#[derive(Default)]
pub struct Passwords {
    pub widget: Option<String>,
    pub agent: Option<String>,
    pub mail: Option<String>,
    pub worker: Option<String>,
}

/// What a migration did.
#[derive(Debug)]
pub struct Report {
    /// The newest file that the database has now.
    pub version: i64,
    /// The files that ran.
    pub ran: Vec<String>,
    /// Whether what only a superuser may revoke is revoked.
    pub hardened: bool,
    /// What is still open to PUBLIC, other databases of the cluster among it, when not hardened.
    pub open: Vec<String>,
}

/// Migrates the database that `url` names, as its owner with CREATEROLE (a superuser works too). May run again, and
/// from several processes at once.
///
/// # Errors
/// When the database is ahead of this program or was made by another, then nothing is changed; when a file fails, or
/// isolation would not hold after it, then the files before it stay. Of a database that this run makes, that is asked after the last file.
pub async fn run(url: &str, passwords: &Passwords) -> anyhow::Result<Report> {
    run_files(url, passwords, &Files::embedded(), &Patience::default()).await
}

/// As [`run`], with these files.
///
/// # Errors
/// As [`run`].
pub async fn run_files(url: &str, passwords: &Passwords, files: &Files, patience: &Patience) -> anyhow::Result<Report> {
    files.check()?;
    let options = options(url).await?;
    let mut connection = connect(&options).await?;
    // Before anything is touched.
    ledger::pending(files, &ledger::read(&mut connection).await?)?;
    make_roles(&mut connection).await?;
    take_turn(&mut connection).await?;
    let rows = ledger::read(&mut connection).await?;
    let pending = ledger::pending(files, &rows)?;
    let mut ran = Vec::new();
    if pending.baseline {
        make_baseline(&mut connection, files, passwords).await?;
        ran.extend(files.baseline().iter().map(name));
    }
    if !pending.changes.is_empty() {
        let mut watch = Watch::of(&mut connection, &options).await.context("a second connection is needed")?;
        for file in pending.changes {
            let moment = judge::moment(file, files, pending.baseline);
            change::run(&mut connection, &mut watch, file, (files, moment), patience)
                .await
                .with_context(|| format!("{}; the files before it stay", name(file)))?;
            ran.push(name(file));
        }
        watch.close().await?;
    }
    add_audit_months(&mut connection, patience).await?;
    settle_again(&mut connection, files, passwords).await?;
    let superuser: bool = sqlx::query_scalar("select rolsuper from pg_roles where rolname = current_user")
        .fetch_one(&mut connection)
        .await?;
    if superuser {
        harden(&mut connection).await?;
    }
    let open = open(&mut connection).await?;
    // Ends the turn.
    connection.close().await?;
    Ok(Report { version: files.schema().version, ran, hardened: open.is_empty(), open })
}

async fn make_roles(connection: &mut PgConnection) -> anyhow::Result<()> {
    let work = async |connection: &mut PgConnection| {
        let mut tx = connection.begin().await?;
        sqlx::raw_sql(ROLES).execute(&mut *tx).await.context("the roles could not be made")?;
        tx.commit().await?;
        anyhow::Ok(())
    };
    unraced(connection, work).await
}

/// All of an empty database, or nothing.
async fn make_baseline(connection: &mut PgConnection, files: &Files, passwords: &Passwords) -> anyhow::Result<()> {
    let work = async |connection: &mut PgConnection| {
        let mut tx = connection.begin().await?;
        tx.ensure_migrations_table(TABLE).await?;
        for file in files.baseline() {
            tx.apply(TABLE, file).await?;
        }
        let moment = if files.changes().is_empty() { last(files) } else { Moment::Between };
        settle(&mut tx, files, passwords, moment).await.context("nothing was changed")?;
        tx.commit().await?;
        anyhow::Ok(())
    };
    unraced(connection, work).await
}

/// The partitions of the audit log for the months to come, of which this run may be the first to need some. Beside traffic,
/// like a change.
async fn add_audit_months(connection: &mut PgConnection, patience: &Patience) -> anyhow::Result<()> {
    let mut pause = patience.pause;
    for attempt in 1.. {
        let mut tx = connection.begin().await?;
        bound(&mut tx, patience.lock, patience.statement).await?;
        let sql = "set local role vicket_owner; select vicket.add_audit_months(); reset role";
        match sqlx::raw_sql(sql).execute(&mut *tx).await.map_err(anyhow::Error::from) {
            Ok(_) => return Ok(tx.commit().await?),
            Err(error) if attempt < patience.tries && is_of(&error, &["55P03", "40P01"]) => {
                tx.rollback().await?;
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(10));
            }
            Err(error) => return Err(error.context("the audit log's months to come could not be made")),
        }
    }
    Ok(())
}

/// What every migration ends with, whatever was pending.
async fn settle_again(connection: &mut PgConnection, files: &Files, passwords: &Passwords) -> anyhow::Result<()> {
    let work = async |connection: &mut PgConnection| {
        let mut tx = connection.begin().await?;
        settle(&mut tx, files, passwords, last(files)).await?;
        tx.commit().await?;
        anyhow::Ok(())
    };
    unraced(connection, work).await
}

/// Passwords, the views of the schema `audit`, the name of the schema, and whether isolation holds.
async fn settle(
    connection: &mut PgConnection,
    files: &Files,
    passwords: &Passwords,
    moment: Moment,
) -> anyhow::Result<()> {
    for (login, password) in [
        ("vicket_gate_widget", &passwords.widget),
        ("vicket_gate_agent", &passwords.agent),
        ("vicket_gate_mail", &passwords.mail),
        ("vicket_worker", &passwords.worker),
    ] {
        if let Some(password) = password {
            set_password(connection, login, password).await?;
        }
    }
    lints::install(connection).await.context("the views of the schema audit could not be made")?;
    ledger::say_schema(connection, files).await?;
    judge(connection, moment).await
}

/// After all files.
fn last(files: &Files) -> Moment {
    if files.known() { Moment::Last } else { Moment::Between }
}

/// Runs the hardening that needs a superuser.
///
/// # Errors
/// When `connection` is not a superuser's.
pub async fn harden(connection: &mut PgConnection) -> anyhow::Result<()> {
    let work = async |connection: &mut PgConnection| {
        let mut tx = connection.begin().await?;
        sqlx::raw_sql(HARDENING).execute(&mut *tx).await?;
        tx.commit().await?;
        anyhow::Ok(())
    };
    unraced(connection, work).await
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

/// What the hardening would take away and is still open, here and in the cluster's other databases, by the lints that say so.
async fn open(connection: &mut PgConnection) -> anyhow::Result<Vec<String>> {
    let found = lints::findings(connection).await?.into_iter();
    let open = found.filter(|finding| ["builtin-open", "database-open"].contains(&finding.id.as_str()));
    Ok(open.map(|finding| format!("{}: {}", finding.object, finding.what)).collect())
}
