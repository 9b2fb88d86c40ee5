//! The only way to the database: pools, the message that enters a tenant, COMMIT.
//!
//! Nothing else in the crate holds a pool, says BEGIN or sets the context. A request gets a [`SiteTx`] or an [`OrgTx`]:
//! a transaction that already is the tenant. What makes that safe:
//!
//! * After BEGIN one statement resolves the credential and takes the role. The key is resolved in the same transaction
//!   as the work, so a rotation acts on the next request; before it, the login may do nothing.
//! * Digests are bound parameters, never text of a statement, which other sessions of the login may be shown.
//! * A connection goes back to its pool only when COMMIT or ROLLBACK has been answered, and PostgreSQL has said in the
//!   same message that nothing is left on the session. Whatever ends otherwise, a cancelled request included, has its
//!   connection closed: what was left behind on it meets no other tenant.
//! * The first message is also the test of a pooled connection. When it fails on a dead one, nothing has been done yet,
//!   and it is tried on another.

mod diagnosis;
mod error;
mod mail;
mod org;
mod pooler;
mod proof;
mod published;
mod replica;
mod servers;
mod session;
mod site;
mod turns;
mod widget;
mod worker;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use deadpool::managed::{self, Object, PoolError, RecycleResult, TimeoutType};
use futures_util::TryStreamExt as _;
use sqlx::{
    AssertSqlSafe, Either, Postgres, Row as _,
    postgres::{PgArguments, PgConnectOptions, PgRow},
    query::Query,
};

use crate::{
    domain::problem::{Code, Problem},
    telemetry::{meters::PoolMeters, request},
};
use servers::Servers;
use turns::{Tenant, Turn, Turns};

pub use error::refused_statements;
pub use mail::{MailGate, MailTx};
pub use org::{Actor, AgentEntryRequest, AgentGate, AgentVerdict, Credential, Operator, OrgTx};
pub use published::Published;
pub use session::Session;
pub use site::{Call, Entry, EntryRequest, SiteLimits, SiteTx, Verdict};
pub use widget::{KeyedGate, WidgetGate};
pub use worker::Worker;

/// How long a request waits for a free connection before it is answered `503 overloaded`.
const WAIT: Duration = Duration::from_secs(2);
/// How long a new connection may take.
const CONNECT: Duration = Duration::from_secs(3);
/// How long entering may take. More than `statement_timeout` of the gates: what is later has no answer to
/// wait for, because the network lost the connection.
const ENTER: Duration = Duration::from_secs(8);
/// A connection that was idle for longer is not used again: something between here and PostgreSQL may have dropped it.
const IDLE: Duration = Duration::from_mins(5);

/// What ends the transactions of a login: one message each, one round trip.
struct Endings {
    /// Begins with [`COMMITTED`] statements, of which the last is COMMIT.
    commit: &'static str,
    roll_back: &'static str,
    /// Whether they end with PostgreSQL's word on the session.
    checked: bool,
}

/// In a transaction that has failed COMMIT is answered as if nothing were wrong, though it rolls back. SET CONSTRAINTS
/// before it fails there, and does nothing else that COMMIT would not do.
const COMMITTED: usize = 2;
/// Of a gate: then the session's settings and role are those of its start again, and PostgreSQL says whether anything else
/// is left on it that the next tenant would meet. All of it is one message, for which a pooler, too, has one connection.
const OF_A_GATE: Endings = Endings {
    commit: "SET CONSTRAINTS ALL IMMEDIATE; COMMIT; RESET ALL; SELECT current_user OPERATOR(pg_catalog.=) session_user; \
             RESET ROLE; SELECT auth.session_is_clean()",
    roll_back: "ROLLBACK; RESET ALL; SELECT current_user OPERATOR(pg_catalog.=) session_user; \
                RESET ROLE; SELECT auth.session_is_clean()",
    checked: true,
};
/// Rows of PostgreSQL's word on the session, each of which must be true.
const WORDS: usize = 2;
/// Of the deploying login, whose sessions end with their command.
const OF_A_COMMAND: Endings =
    Endings { commit: "SET CONSTRAINTS ALL IMMEDIATE; COMMIT", roll_back: "ROLLBACK", checked: false };

/// The settings that a login's sessions begin with, and return to by RESET ALL. The server sends them with each connection,
/// where they come before what the login's own settings say: a login may change those, and an injected statement with it.
pub struct Start(&'static [(&'static str, &'static str)]);

/// What a session could be set to so that the server's statements fail, or wait.
const ANY: [(&str, &str); 5] = [
    ("role", "none"),
    ("search_path", "pg_catalog"),
    ("row_security", "on"),
    ("default_transaction_read_only", "off"),
    ("local_preload_libraries", ""),
];

impl Start {
    /// Bounds as migrations/logins.sql has them. A page of a list is the first rows of an index: PostgreSQL, which takes the
    /// conditions of policies for much narrower than they are, would rather read all rows of a site by bitmaps and sort them;
    /// and all rows of all sites, while they are few.
    pub const WIDGET: Self = Self(&[
        ("statement_timeout", "5s"),
        ("lock_timeout", "3s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("enable_bitmapscan", "off"),
        ("enable_seqscan", "off"),
    ]);
    pub const AGENT: Self =
        Self(&[("statement_timeout", "10s"), ("lock_timeout", "3s"), ("idle_in_transaction_session_timeout", "10s")]);
    pub const MAIL: Self =
        Self(&[("statement_timeout", "20s"), ("lock_timeout", "3s"), ("idle_in_transaction_session_timeout", "10s")]);
    pub const WORKER: Self =
        Self(&[("statement_timeout", "30s"), ("lock_timeout", "5s"), ("idle_in_transaction_session_timeout", "30s")]);

    fn of(&self, options: PgConnectOptions) -> PgConnectOptions {
        options.options(ANY).options(self.0.iter().copied())
    }
}

/// Connections that were closed since the process began, because a request had left something on their session.
static UNCLEAN_SESSIONS: AtomicU64 = AtomicU64::new(0);

/// How many connections of the gates were closed since the start, because a request had left something on their
/// session, or it could not be said: an injected statement, or a bug.
pub fn unclean_sessions() -> u64 {
    UNCLEAN_SESSIONS.load(Ordering::Relaxed)
}

struct Connections {
    servers: Servers,
}

impl managed::Manager for Connections {
    type Type = Session;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Session, sqlx::Error> {
        // It is rare, and what it holds on the way would else be room in the future of each request, which is moved about.
        Box::pin(self.servers.connect(CONNECT)).await.map(Session::new)
    }

    async fn recycle(&self, _: &mut Session, metrics: &managed::Metrics) -> RecycleResult<sqlx::Error> {
        if metrics.last_used() > IDLE {
            return Err(managed::RecycleError::message("idle for too long"));
        }
        Ok(())
    }
}

/// A pool of one login.
#[derive(Clone)]
pub struct Pool {
    pool: managed::Pool<Connections>,
    turns: Arc<Turns>,
    endings: &'static Endings,
    /// What [`error::mixed_statements`] was when no pooler was found that mixes them.
    trusted_at: Arc<AtomicU64>,
    meters: PoolMeters,
}

impl Pool {
    /// A pool of at most `size` connections as the login that `url` names. Connects when first asked.
    ///
    /// # Errors
    /// When `url` is not a PostgreSQL URL.
    pub fn new(url: &str, size: usize, start: &Start) -> anyhow::Result<Self> {
        Self::of(Servers::of(url)?.with(|options| start.of(options)), size, &OF_A_GATE)
    }

    fn of(servers: Servers, size: usize, endings: &'static Endings) -> anyhow::Result<Self> {
        let pool = managed::Pool::builder(Connections { servers })
            .max_size(size)
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(CONNECT))
            .runtime(deadpool::Runtime::Tokio1)
            .build()?;
        let trusted_at = Arc::new(AtomicU64::new(u64::MAX));
        Ok(Self { pool, turns: Turns::new(size), endings, trusted_at, meters: PoolMeters::default() })
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

    /// A connection that nobody has tried, when it is the tenant's turn.
    async fn lease(&self, tenant: Tenant) -> Result<ConnectionLease, Problem> {
        let (began, span) = (Instant::now(), request::span().wait());
        let connected = async {
            let turn = tokio::time::timeout(WAIT, self.turns.turn(tenant)).await;
            let turn = turn.map_err(|_| Problem::overloaded("no connection became free in time"))?;
            Ok((self.get().await?, turn))
        };
        let connected = connected.await;
        let waited = began.elapsed();
        self.meters.wait.observe(waited.as_secs_f64());
        request::note(|known| known.in_pool += waited);
        if let Err(Problem { code, .. }) = &connected {
            span.fail(code.as_str());
        }
        span.end();
        let (connection, turn) = connected?;
        Ok(ConnectionLease { connection: Some(connection), endings: self.endings, _turn: turn })
    }

    /// Does `first` on a pooled connection, on another when a pooled one turns out to be dead. It must be something
    /// that does nothing when its connection dies. It has the lease, so that one that fails is dropped, and closed,
    /// there.
    async fn start<T, F>(
        &self,
        tenant: Tenant,
        first: impl Fn(ConnectionLease) -> F,
    ) -> Result<(ConnectionLease, T), Problem>
    where
        F: Future<Output = Result<(ConnectionLease, T), sqlx::Error>>,
    {
        let mut attempts = 0;
        loop {
            let started = tokio::time::timeout(ENTER, first(self.lease(tenant).await?)).await;
            match started.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))) {
                Ok(started) => return Ok(started),
                Err(error) => {
                    let problem = Problem::from(error);
                    attempts += 1;
                    if problem.code != Code::DatabaseUnavailable || attempts >= 3 {
                        return Err(problem);
                    }
                    // One dead connection means that PostgreSQL went away under all of them.
                    self.forget();
                }
            }
        }
    }

    /// Asks what changes nothing, outside a transaction; says how long it took, from the connection on. Asked again, within one:
    /// a pooler closes a connection that is left there, and so the one on which what it believes to be prepared is not.
    async fn ask<'q>(
        &self,
        tenant: Tenant,
        question: impl Fn() -> Query<'q, Postgres, PgArguments>,
    ) -> Result<(Vec<PgRow>, Duration), Problem> {
        let again = AtomicBool::new(false);
        let asked = self.start(tenant, |mut lease| async {
            let began = Instant::now();
            let _entering = self.entering();
            let within = again.swap(true, Ordering::Relaxed);
            if within {
                sqlx::raw_sql("BEGIN READ ONLY").execute(lease.connection()).await?;
            }
            let rows = question().fetch_all(lease.connection()).await?;
            if within {
                sqlx::raw_sql("COMMIT").execute(lease.connection()).await?;
            }
            Ok((lease, (rows, began.elapsed())))
        });
        let (lease, answer) = asked.await?;
        lease.finish();
        Ok(answer)
    }

    /// Times how long it takes to enter, until it is dropped.
    fn entering(&self) -> Entering<'_> {
        Entering { began: Instant::now(), pool: self }
    }

    /// Begins a transaction, by a message that says BEGIN and nothing that depends on a request.
    async fn begin(&self, message: &'static str) -> Result<ConnectionLease, Problem> {
        let begun = self.start(NOBODY, |mut lease| async move {
            sqlx::raw_sql(message).execute(lease.connection()).await?;
            Ok((lease, ()))
        });
        begun.await.map(|(lease, ())| lease)
    }

    /// Connects once, to see whether it can be done.
    async fn probe(&self) -> anyhow::Result<()> {
        match self.get().await {
            Ok(_) => Ok(()),
            Err(problem) => Err(anyhow::anyhow!("{} ({})", problem.detail, problem.cause.unwrap_or_default())),
        }
    }

    /// How it stands, for the metrics.
    pub fn status(&self) -> PoolStatus {
        let (used, waiting) = self.turns.counts();
        let deadpool::Status { size, max_size, .. } = self.pool.status();
        PoolStatus { used, idle: size.saturating_sub(used), most: max_size, waiting, meters: self.meters.clone() }
    }

    /// Lets every idle connection go: the next request asks anew who answers there.
    pub fn forget(&self) {
        self.pool.retain(|_, _| false);
    }

    /// Lets every idle connection go and refuses new requests.
    pub fn close(&self) {
        self.pool.close();
    }
}

/// On the way from a connection to a tenant.
struct Entering<'a> {
    began: Instant,
    pool: &'a Pool,
}

impl Drop for Entering<'_> {
    fn drop(&mut self) {
        self.pool.meters.enter.observe(self.began.elapsed().as_secs_f64());
    }
}

/// How a pool stands.
#[derive(Clone, Debug)]
pub struct PoolStatus {
    /// Connections that somebody uses, that nobody uses, and that there may be.
    pub used: usize,
    pub idle: usize,
    pub most: usize,
    /// Who waits for one.
    pub waiting: usize,
    pub meters: PoolMeters,
}

/// How the server that a URL asks for is reached now, for connections that no pool makes.
///
/// # Errors
/// When `url` is not a PostgreSQL URL, or of several servers none is the one.
pub async fn connect_options(url: &str) -> anyhow::Result<PgConnectOptions> {
    Servers::of(url)?.options(CONNECT).await.context("the database cannot be reached")
}

/// A connection in use. Goes back to its pool only when [`ConnectionLease::finish`] said that it is clean.
struct ConnectionLease {
    connection: Option<Object<Connections>>,
    endings: &'static Endings,
    /// Given back after the connection.
    _turn: Turn,
}

/// Who asks about no tenant: log-ins, preflights, checks, background work.
const NOBODY: Tenant = None;

impl ConnectionLease {
    fn connection(&mut self) -> &mut Session {
        self.connection.as_mut().expect("an lease holds its connection until it is finished")
    }

    /// The connection is outside any transaction, nothing is left on its session, and it goes back to its pool.
    fn finish(mut self) {
        drop(self.connection.take());
    }

    async fn roll_back(self) -> Result<(), Problem> {
        let message = self.endings.roll_back;
        self.close_with(message, 1).await
    }

    /// Commits when `result` is good, rolls back when it is not, and passes it on.
    async fn end<T>(self, result: Result<T, Problem>) -> Result<T, Problem> {
        match result {
            Ok(done) => {
                let message = self.endings.commit;
                self.close_with(message, COMMITTED).await?;
                Ok(done)
            }
            // Nobody would answer, or what the driver has prepared on this connection is gone.
            Err(problem) if problem.code == Code::DatabaseUnavailable => Err(problem),
            Err(problem) => {
                let _: Result<(), Problem> = self.roll_back().await;
                Err(problem)
            }
        }
    }

    /// As [`ConnectionLease::end`] for what has changed nothing: nobody needs to know how the end was answered but whoever uses
    /// the connection next, who waits for that.
    fn end_later<T>(self, result: Result<T, Problem>) -> Result<T, Problem> {
        if matches!(&result, Err(problem) if problem.code == Code::DatabaseUnavailable) {
            return result;
        }
        // Without a runtime the server is ending, and the connection is closed.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(self.roll_back());
        }
        result
    }

    /// Sends an ending. It is good when its first `needed` statements are: what was committed stays so, whatever
    /// becomes of the rest, which only tells whether the connection is used again.
    async fn close_with(mut self, ending: &'static str, needed: usize) -> Result<(), Problem> {
        let (mut answered, mut words, mut good, mut failed) = (0, 0, true, None);
        let mut answers = sqlx::raw_sql(ending).fetch_many(self.connection());
        loop {
            match answers.try_next().await {
                Ok(Some(Either::Left(_))) => answered += 1,
                Ok(Some(Either::Right(row))) => {
                    words += 1;
                    good &= row.try_get::<bool, _>(0).unwrap_or_default();
                }
                Ok(None) => break,
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        drop(answers);
        let clean = !self.endings.checked || good && words == WORDS;
        match failed {
            None if clean => {
                self.finish();
                return Ok(());
            }
            Some(error) if answered < needed => return Err(error.into()),
            None => tracing::warn!("a request left something on its session; the connection is closed"),
            Some(error) => {
                tracing::warn!(%error, "what a request left on its session is not known; the connection is closed");
            }
        }
        UNCLEAN_SESSIONS.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for ConnectionLease {
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

impl Pool {
    /// Reads rows from the catalog as this login, outside any tenant.
    ///
    /// # Errors
    /// `503` when the database cannot be reached.
    pub async fn catalog(&self, sql: &'static str) -> Result<Vec<PgRow>, Problem> {
        // To compile a statement of the catalog takes longer than to run it.
        let message = format!("BEGIN READ ONLY; SET LOCAL jit = off; {sql}; COMMIT");
        let asked = self.start(NOBODY, |mut lease| async {
            let rows = sqlx::raw_sql(AssertSqlSafe(message.as_str())).fetch_all(lease.connection()).await?;
            Ok((lease, rows))
        });
        let (lease, rows) = asked.await?;
        lease.finish();
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_begins_with_the_bounds_that_the_migrations_give_its_login() {
        let logins = include_str!("../migrations/logins.sql");
        for (login, start) in [
            ("vicket_gate_widget", Start::WIDGET),
            ("vicket_gate_agent", Start::AGENT),
            ("vicket_gate_mail", Start::MAIL),
            ("vicket_worker", Start::WORKER),
        ] {
            let bounds: Vec<String> = start.0.iter().map(|(name, value)| format!("'{name}={value}'")).collect();
            let line = format!("('{login}', array[{}])", bounds.join(", "));
            assert!(logins.contains(&line), "{line}");
        }
    }
}
