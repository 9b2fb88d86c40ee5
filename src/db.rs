//! The only way to the database: pools, the message that enters a tenant, COMMIT.
//!
//! Nothing else in the crate holds a pool, says BEGIN or sets the context. A request gets a [`SiteTx`] or an [`OrgTx`]: a
//! transaction that already is the tenant. What makes that safe:
//!
//! * BEGIN, the resolver and SET LOCAL ROLE travel in one message, so there is no moment in which a connection is in a
//!   transaction and not yet a tenant, and the key is resolved in the same transaction as the work: a rotation acts
//!   on the next request.
//! * A connection goes back to its pool only after COMMIT or ROLLBACK has been answered. Whatever ends otherwise, a
//!   cancelled request included, has its connection closed: what a half-finished exchange left behind is never reused.
//! * The message is also the test of a pooled connection. When it fails on a dead one, nothing has been done yet, and
//!   it is tried on another.

mod org;
mod site;

use std::{str::FromStr as _, time::Duration};

use deadpool::managed::{self, Object, PoolError, RecycleResult, TimeoutType};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection,
    postgres::{PgConnectOptions, PgRow, PgSslMode},
};

use crate::problem::{Code, Problem};

pub use org::{Actor, AgentGate, AgentKnock, AgentVerdict, Credential, Operator, OrgTx};
pub use site::{Entry, Knock, SiteLimits, SiteTx, Verdict, WidgetGate};

/// How long a request waits for a free connection before it is answered `503 overloaded`.
const WAIT: Duration = Duration::from_secs(2);
/// How long a new connection may take.
const CONNECT: Duration = Duration::from_secs(3);
/// How long the entering message may take. More than `statement_timeout` of the gates: what is later has no answer to
/// wait for, because the network lost the connection.
const ENTER: Duration = Duration::from_secs(8);
/// A connection that was idle for longer is not used again: something between here and PostgreSQL may have dropped it.
const IDLE: Duration = Duration::from_mins(5);

struct Connections {
    options: PgConnectOptions,
}

impl managed::Manager for Connections {
    type Type = PgConnection;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect_with(&self.options).await
    }

    async fn recycle(&self, _: &mut PgConnection, metrics: &managed::Metrics) -> RecycleResult<sqlx::Error> {
        if metrics.last_used() > IDLE {
            return Err(managed::RecycleError::message("idle for too long"));
        }
        Ok(())
    }
}

/// A pool of one login.
pub struct Pool {
    pool: managed::Pool<Connections>,
}

impl Pool {
    /// A pool of at most `size` connections as the login that `url` names. Connects when first asked.
    ///
    /// # Errors
    /// When `url` is not a PostgreSQL URL.
    pub fn new(url: &str, size: usize) -> anyhow::Result<Self> {
        let options = connect_options(url)?;
        let pool = managed::Pool::builder(Connections { options })
            .max_size(size)
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(CONNECT))
            .runtime(deadpool::Runtime::Tokio1)
            .build()?;
        Ok(Self { pool })
    }

    async fn get(&self) -> Result<Object<Connections>, Problem> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Timeout(TimeoutType::Wait) => Problem::overloaded("no connection became free in time"),
            PoolError::Timeout(_) => Problem::database_unavailable("no connection could be made in time"),
            PoolError::Backend(error) => match Problem::from(error) {
                // A login that is refused is the operator's to mend and, to a caller, a database that is away.
                problem if problem.code == Code::Internal => {
                    Problem::database_unavailable(problem.cause.unwrap_or_default())
                }
                problem => problem,
            },
            other => Problem::internal(other),
        })
    }

    /// Sends `message` on a pooled connection, on another when a pooled one turns out to be dead. The message must be
    /// one that does nothing when its connection dies.
    async fn send(&self, message: &str) -> Result<(Exchange, Vec<PgRow>), Problem> {
        let mut attempts = 0;
        loop {
            let mut exchange = Exchange::new(self.get().await?);
            let sending = sqlx::raw_sql(AssertSqlSafe(message)).fetch_all(exchange.connection());
            let sent = tokio::time::timeout(ENTER, sending).await;
            match sent.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))) {
                Ok(rows) => return Ok((exchange, rows)),
                Err(error) => {
                    drop(exchange);
                    let problem = Problem::from(error);
                    attempts += 1;
                    if problem.code != Code::DatabaseUnavailable || attempts >= 3 {
                        return Err(problem);
                    }
                    // One dead connection means that PostgreSQL went away under all of them.
                    self.pool.retain(|_, _| false);
                }
            }
        }
    }

    /// Connects once, to see whether it can be done.
    async fn probe(&self) -> anyhow::Result<()> {
        match self.get().await {
            Ok(connection) => {
                Exchange::new(connection).finish();
                Ok(())
            }
            Err(problem) => Err(anyhow::anyhow!("{} ({})", problem.detail, problem.cause.unwrap_or_default())),
        }
    }

    /// Lets every idle connection go and refuses new requests.
    pub fn close(&self) {
        self.pool.close();
    }
}

/// Options of a login: no prepared statement is shared between logins, and nothing is logged at each statement.
///
/// # Errors
/// When `url` is not a PostgreSQL URL. The message does not repeat the URL, which may hold a password.
pub fn connect_options(url: &str) -> anyhow::Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| anyhow::anyhow!("not a PostgreSQL URL (postgres://login:password@host:port/database)"))?;
    let local = matches!(options.get_host(), "localhost" | "127.0.0.1" | "::1") || options.get_host().starts_with('/');
    let plain = local && !url.contains("sslmode");
    let options = if plain { options.ssl_mode(PgSslMode::Disable) } else { options };
    Ok(options.application_name("vicket").disable_statement_logging())
}

/// A connection in use. Goes back to its pool only when [`Exchange::finish`] said that it is clean.
struct Exchange {
    connection: Option<Object<Connections>>,
}

impl Exchange {
    fn new(connection: Object<Connections>) -> Self {
        Self { connection: Some(connection) }
    }

    fn connection(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("an exchange holds its connection until it is finished")
    }

    /// The connection is outside any transaction and goes back to its pool.
    fn finish(mut self) {
        drop(self.connection.take());
    }

    async fn roll_back(mut self) -> Result<(), Problem> {
        sqlx::raw_sql("ROLLBACK").execute(self.connection()).await?;
        self.finish();
        Ok(())
    }

    /// Commits when `result` is good, rolls back when it is not, and passes it on. The connection is reused only when
    /// PostgreSQL has answered.
    async fn end<T>(mut self, result: Result<T, Problem>) -> Result<T, Problem> {
        let command = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = sqlx::raw_sql(command).execute(self.connection()).await.map_err(Problem::from);
        if ended.is_ok() {
            self.finish();
        }
        match (result, ended) {
            (Ok(_), Err(problem)) => Err(problem),
            (result, _) => result,
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(Object::take(connection));
        }
    }
}

/// What a transaction may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    Read,
    Write,
}

/// The login of background work: EXECUTE on a few functions of the schema `worker`, and no table.
pub struct Worker {
    pool: Pool,
}

impl Worker {
    pub fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// Runs one statement of background work on a connection of the worker.
    ///
    /// # Errors
    /// Those of the statement, and `503` when no connection is to be had.
    pub async fn execute(
        &self,
        query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> Result<(), Problem> {
        let mut exchange = Exchange::new(self.pool.get().await?);
        query.execute(exchange.connection()).await?;
        exchange.finish();
        Ok(())
    }

    /// One column of text of one statement of background work.
    ///
    /// # Errors
    /// Those of the statement, and `503` when no connection is to be had.
    pub async fn list(
        &self,
        query: sqlx::query::QueryScalar<'_, sqlx::Postgres, String, sqlx::postgres::PgArguments>,
    ) -> Result<Vec<String>, Problem> {
        let mut exchange = Exchange::new(self.pool.get().await?);
        let rows = query.fetch_all(exchange.connection()).await?;
        exchange.finish();
        Ok(rows)
    }

    /// The pool, for the start-up checks.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}

impl Pool {
    /// Reads rows from the catalog as this login, outside any tenant.
    ///
    /// # Errors
    /// `503` when the database cannot be reached.
    pub async fn catalog(&self, sql: &'static str) -> Result<Vec<PgRow>, Problem> {
        // To compile a statement of the catalog takes longer than to run it.
        let (exchange, rows) = self.send(&format!("BEGIN READ ONLY; SET LOCAL jit = off; {sql}; COMMIT")).await?;
        exchange.finish();
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_url_is_refused_without_repeating_it() {
        let error = connect_options("mysql//user:hunter2@host").err().map(|e| e.to_string());
        assert!(error.is_some_and(|text| text.contains("postgres://") && !text.contains("hunter2")));
    }
}
