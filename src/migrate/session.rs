//! A migration's connection: how long it waits for others, and what it does when others are in its way.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use sqlx::{Connection as _, PgConnection, migrate::Migrate as _, postgres::PgConnectOptions};

use crate::db;

/// Made again by every migration; what `--check` tries begins with them too.
pub const ROLES: &str =
    concat!(include_str!("../../migrations/roles.sql"), include_str!("../../migrations/logins.sql"));

/// How long a change waits for others, and others for it.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// `lock_timeout` of a change. While it waits, whoever comes later waits behind it: a request gives up after 2 s without a
    /// connection, so this must be well below. And below half of PostgreSQL's `deadlock_timeout`: of a change that has one
    /// table and waits for another, and a request that does so the other way round, the change must be the one to give up.
    pub lock: Duration,
    /// `statement_timeout` of a change. What takes longer under locks belongs into the other lane.
    pub statement: Duration,
    /// How often a change is tried.
    pub tries: u32,
    /// Between the first two tries; it doubles, up to ten seconds.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            lock: Duration::from_millis(400),
            statement: Duration::from_mins(1),
            tries: 30,
            pause: Duration::from_millis(250),
        }
    }
}

/// How long another migration of this database is waited for at a time. Short, because whoever waits has a snapshot, and
/// an index that is made concurrently waits for those.
const TURN: Duration = Duration::from_millis(100);
/// Tries where migrations of several databases meet at the cluster's roles.
const RACES: u32 = 20;

pub async fn options(url: &str) -> anyhow::Result<PgConnectOptions> {
    Ok(db::connect_options(url).await?.application_name("vicket migrate"))
}

/// A connection of which no setting of the login's or the database's says how long it may work.
pub async fn connect(options: &PgConnectOptions) -> anyhow::Result<PgConnection> {
    let mut connection = PgConnection::connect_with(options).await.context("the database cannot be reached")?;
    let version: String = sqlx::query_scalar("show server_version_num").fetch_one(&mut connection).await?;
    let number: u32 = version.parse()?;
    anyhow::ensure!(number >= 150_000, "PostgreSQL 15 or newer is needed; this is {}", number / 10_000);
    sqlx::raw_sql("set statement_timeout = 0; set lock_timeout = 0; set idle_in_transaction_session_timeout = 0")
        .execute(&mut connection)
        .await?;
    Ok(connection)
}

/// Waits until no other migration of this database runs. The turn ends with the connection, and not before the server has
/// noticed: what a killed migration left running is waited for.
pub async fn take_turn(connection: &mut PgConnection) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut said = began;
    loop {
        let mut tx = connection.begin().await?;
        bound(&mut tx, TURN, Duration::ZERO).await?;
        let locked = tx.lock().await.map_err(anyhow::Error::from);
        let ended = if locked.is_ok() { tx.commit().await } else { tx.rollback().await };
        match locked {
            Err(error) if is_of(&error, &["55P03"]) => {}
            outcome => {
                ended?;
                return outcome;
            }
        }
        if began.elapsed() < TURN * 3 || said.elapsed() > Duration::from_secs(30) {
            tracing::info!("another migration of this database runs; waiting for its end");
            said = Instant::now();
        }
        tokio::time::sleep(TURN * 3).await;
    }
}

/// `lock_timeout`, never above two fifths of `deadlock_timeout`, and `statement_timeout` of a transaction; zero is none.
pub async fn bound(connection: &mut PgConnection, lock: Duration, statement: Duration) -> sqlx::Result<()> {
    sqlx::query(
        "select set_config('statement_timeout', $2::text, true), set_config('lock_timeout', least($1, greatest(setting::bigint * 2 / 5, 1))::text, true)
        from pg_settings where name = 'deadlock_timeout'",
    )
    .bind(millis(lock).cast_signed())
    .bind(millis(statement).cast_signed())
    .execute(connection)
    .await
    .map(drop)
}

pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Does the work, again when migrations of other databases of the cluster were in its way: "tuple concurrently updated", a
/// role that another made first, a deadlock.
pub async fn unraced(
    connection: &mut PgConnection,
    work: impl AsyncFn(&mut PgConnection) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match work(connection).await {
            Err(error) if attempt < RACES && is_of(&error, &["XX000", "23505", "42710", "40P01"]) => {
                let apart = u64::from(std::process::id() % 37);
                tokio::time::sleep(Duration::from_millis(20 * u64::from(attempt) + apart)).await;
            }
            outcome => return outcome,
        }
    }
}

/// Whether PostgreSQL answered one of these SQLSTATEs.
pub fn is_of(error: &anyhow::Error, states: &[&str]) -> bool {
    use sqlx::migrate::MigrateError;
    error.chain().any(|cause| {
        let database = match cause.downcast_ref::<sqlx::Error>() {
            Some(error) => error.as_database_error(),
            None => match cause.downcast_ref::<MigrateError>() {
                Some(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
                    error.as_database_error()
                }
                _ => None,
            },
        };
        database.and_then(sqlx::error::DatabaseError::code).is_some_and(|code| states.contains(&code.as_ref()))
    })
}
