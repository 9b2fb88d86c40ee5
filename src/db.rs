//! The only way to the database: pools, the message that enters a tenant, COMMIT.
//!
//! Nothing else in the crate holds a pool, says BEGIN or sets the context. A request gets a [`SiteTx`]: a transaction
//! that already is the tenant. What makes that safe:
//!
//! * BEGIN, the resolver and SET LOCAL ROLE travel in one message, so there is no moment in which a connection is in a
//!   transaction and not yet a tenant, and the key is resolved in the same transaction as the work: a rotation acts
//!   on the next request.
//! * A connection goes back to its pool only after COMMIT or ROLLBACK has been answered. Whatever ends otherwise, a
//!   cancelled request included, has its connection closed: what a half-finished exchange left behind is never reused.
//! * The message is also the test of a pooled connection. When it fails on a dead one, nothing has been done yet, and
//!   it is tried on another.

use std::{str::FromStr as _, time::Duration};

use deadpool::managed::{self, Object, PoolError, RecycleResult, TimeoutType};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _,
    postgres::{PgConnectOptions, PgRow, PgSslMode},
};
use uuid::Uuid;

use crate::{
    keys::{Sha256Digest, TicketToken},
    problem::{Code, Problem},
};

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

/// What a request brings to the gate: digests only.
pub struct Knock {
    pub access: Access,
    pub key: Sha256Digest,
    /// Digest of the `Origin` header as it was sent.
    pub origin: Option<Sha256Digest>,
    /// Digest of the ticket token: sent by a customer, or of the one that this request issues.
    pub ticket: Option<Sha256Digest>,
}

/// What `auth.enter` answered about a known key.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key_id: Uuid,
    pub key_staged: bool,
    pub org_id: Uuid,
    pub site_id: Uuid,
    /// Grows with every change of what a reader of this site could see, but for view counts.
    pub content_version: i64,
    /// Grows with every batch of view counts that a reader of this site could see.
    pub views_version: i64,
    pub limits: SiteLimits,
    /// The request's origin is in the site's list.
    pub origin_listed: bool,
}

/// Requests a minute: of the whole site, and of one client network within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteLimits {
    pub reads: u32,
    pub writes: u32,
    pub network_reads: u32,
    pub network_writes: u32,
}

/// The answer of the gate.
pub enum Verdict {
    Entered(SiteTx),
    /// No such key is active or staged. Says whether some site lists the origin.
    Unknown {
        origin_known: bool,
    },
}

/// The gate of the support surface: the login `vicket_gate_widget`, which may do nothing but become a site.
pub struct WidgetGate {
    pool: Pool,
}

impl WidgetGate {
    pub fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// Begins a transaction and enters the site of the key, in one round trip.
    ///
    /// # Errors
    /// `503` when no connection is to be had; an unknown key is a verdict and no error.
    pub async fn enter(&self, knock: &Knock) -> Result<Verdict, Problem> {
        let (mut exchange, rows) = self.pool.send(&entering(knock)).await?;
        let row = rows.first().ok_or_else(|| Problem::internal("auth.enter answered no row"))?;
        if row.try_get::<&str, _>("verdict")? != "entered" {
            let origin_known = row.try_get("origin_known")?;
            end(&mut exchange, "ROLLBACK").await?;
            exchange.finish();
            return Ok(Verdict::Unknown { origin_known });
        }
        let entry = entry(row)?;
        Ok(Verdict::Entered(SiteTx { exchange, entry, access: knock.access, issued_token: None }))
    }

    /// Whether some site lists this origin: what a preflight, which carries no key, is answered by.
    ///
    /// # Errors
    /// `503` when no connection is to be had.
    pub async fn origin_known(&self, origin: Sha256Digest) -> Result<bool, Problem> {
        let message = format!("SELECT auth.origin_known('\\x{}')", origin.to_hex());
        let (exchange, rows) = self.pool.send(&message).await?;
        exchange.finish();
        let row = rows.first().ok_or_else(|| Problem::internal("auth.origin_known answered no row"))?;
        Ok(row.try_get(0)?)
    }

    /// The pool, for the start-up checks.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}

/// The one message that enters a site. Only hex digests that we computed ourselves stand in its text.
fn entering(knock: &Knock) -> String {
    let hex = |digest: Option<Sha256Digest>| digest.map(Sha256Digest::to_hex).unwrap_or_default();
    let begin = match knock.access {
        Access::Read => "BEGIN READ ONLY",
        Access::Write => "BEGIN READ WRITE",
    };
    format!(
        "{begin}; SELECT * FROM auth.enter('\\x{}', '\\x{}', '\\x{}'); SET LOCAL ROLE vicket_widget",
        knock.key.to_hex(),
        hex(knock.origin),
        hex(knock.ticket),
    )
}

fn entry(row: &PgRow) -> Result<Entry, sqlx::Error> {
    let figure = |column: &str| row.try_get::<i32, _>(column).map(i32::cast_unsigned);
    Ok(Entry {
        key_id: row.try_get("key_id")?,
        key_staged: row.try_get::<&str, _>("key_state")? == "staged",
        org_id: row.try_get("org_id")?,
        site_id: row.try_get("site_id")?,
        content_version: row.try_get("content_version")?,
        views_version: row.try_get("views_version")?,
        limits: SiteLimits {
            reads: figure("reads_per_minute")?,
            writes: figure("writes_per_minute")?,
            network_reads: figure("network_reads_per_minute")?,
            network_writes: figure("network_writes_per_minute")?,
        },
        origin_listed: row.try_get("origin_listed")?,
    })
}

async fn end(exchange: &mut Exchange, command: &'static str) -> Result<(), Problem> {
    sqlx::raw_sql(command).execute(exchange.connection()).await?;
    Ok(())
}

/// A transaction that already is a site: row-level security filters every statement by it. Dropped without
/// [`SiteTx::finish`], it closes its connection, which rolls back.
pub struct SiteTx {
    exchange: Exchange,
    entry: Entry,
    access: Access,
    issued_token: Option<TicketToken>,
}

impl SiteTx {
    /// What the gate said of this key.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    pub fn access(&self) -> Access {
        self.access
    }

    /// For `store/` only: every statement goes through here.
    pub fn connection(&mut self) -> &mut PgConnection {
        self.exchange.connection()
    }

    /// Keeps the token whose digest this transaction entered with, for the ticket that it may insert.
    #[must_use]
    pub fn issuing(mut self, token: Option<TicketToken>) -> Self {
        self.issued_token = token;
        self
    }

    /// The token that this transaction may issue; once.
    pub fn take_issued_token(&mut self) -> Option<TicketToken> {
        self.issued_token.take()
    }

    /// Commits when `result` is good, rolls back when it is not, and passes it on. The connection is reused only when
    /// PostgreSQL has answered.
    ///
    /// # Errors
    /// Those of `result`; `5xx` when the commit itself fails.
    pub async fn finish<T>(mut self, result: Result<T, Problem>) -> Result<T, Problem> {
        let ended = end(&mut self.exchange, if result.is_ok() { "COMMIT" } else { "ROLLBACK" }).await;
        match (result, ended) {
            (Ok(value), Ok(())) => {
                self.exchange.finish();
                Ok(value)
            }
            (Ok(_), Err(problem)) => Err(problem),
            (Err(problem), ended) => {
                if ended.is_ok() {
                    self.exchange.finish();
                }
                Err(problem)
            }
        }
    }
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
        let (exchange, rows) = self.send(sql).await?;
        exchange.finish();
        Ok(rows)
    }
}

/// A transaction of the administration commands: `vicket_operator`, bound to one org when it entered one.
pub struct OrgTx {
    tx: sqlx::Transaction<'static, sqlx::Postgres>,
}

/// The deploying login, for the commands that administer without a browser.
pub struct Operator {
    pool: sqlx::PgPool,
}

impl Operator {
    /// Connects as the deploying login.
    ///
    /// # Errors
    /// When the URL is none or nobody answers.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        let pool = sqlx::postgres::PgPoolOptions::new()
            .max_connections(2)
            .acquire_timeout(Duration::from_secs(5))
            .connect_with(connect_options(url)?)
            .await?;
        Ok(Self { pool })
    }

    /// A transaction above any org: only the functions of the schema `admin`.
    ///
    /// # Errors
    /// `503` when the database cannot be reached.
    pub async fn begin(&self) -> Result<OrgTx, Problem> {
        let mut tx = self.pool.begin().await?;
        sqlx::raw_sql("SET LOCAL ROLE vicket_operator").execute(&mut *tx).await?;
        Ok(OrgTx { tx })
    }

    /// A transaction within the org of this slug.
    ///
    /// # Errors
    /// `404 not_found` when there is no such org.
    pub async fn enter(&self, org_slug: &str) -> Result<OrgTx, Problem> {
        let mut tx = self.begin().await?;
        tx.enter(org_slug).await?;
        Ok(tx)
    }
}

impl OrgTx {
    /// Binds the transaction to the org of this slug.
    ///
    /// # Errors
    /// `404 not_found` when there is no such org.
    pub async fn enter(&mut self, org_slug: &str) -> Result<(), Problem> {
        let entered: Option<Uuid> =
            sqlx::query_scalar("select admin.enter_org($1)").bind(org_slug).fetch_one(self.connection()).await?;
        match entered {
            Some(_) => Ok(()),
            None => Err(Problem::new(Code::NotFound, format!("There is no org `{org_slug}`."))),
        }
    }

    /// For `store/` only: every statement goes through here.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// Commits; dropped without it, the transaction rolls back.
    ///
    /// # Errors
    /// When PostgreSQL does not commit.
    pub async fn commit(self) -> Result<(), Problem> {
        Ok(self.tx.commit().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entering_message_holds_digests_and_no_callers_text() {
        let message = entering(&Knock {
            access: Access::Read,
            key: Sha256Digest::of(b"'; drop table x; --"),
            origin: Some(Sha256Digest::of(b"https://a.example")),
            ticket: None,
        });
        assert!(message.starts_with("BEGIN READ ONLY; SELECT * FROM auth.enter('\\x"));
        assert!(!message.contains("drop") && !message.contains("example"));
    }

    #[test]
    fn a_bad_url_is_refused_without_repeating_it() {
        let error = connect_options("mysql//user:hunter2@host").err().map(|e| e.to_string());
        assert!(error.is_some_and(|text| text.contains("postgres://") && !text.contains("hunter2")));
    }
}
