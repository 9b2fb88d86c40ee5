//! What must hold before the server serves: the schema is the one that it needs, the logins are as worthless as they should
//! be, and no lint of [`crate::audit`] finds an error. Asked at start and by `/readyz`, of the catalog, as the logins
//! themselves.

use std::{
    sync::{Arc, LazyLock, PoisonError},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use sqlx::Row as _;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::{
    audit::lints::{FINDINGS, Severity},
    db::Pool,
    domain::problem::{Code, Problem},
    migrations::{files::Files, ledger, schema::Schema},
    state::App,
};

/// The schema that this program needs.
static NEEDED: LazyLock<Schema> = LazyLock::new(|| Files::embedded().schema());

/// What the lints find, whatever schemas the login's settings name first: definitions are compared as PostgreSQL writes them.
static LINTS: LazyLock<String> = LazyLock::new(|| format!("SET LOCAL search_path = pg_catalog; {}", FINDINGS.as_str()));

/// One row a finding about the login that asks.
const LOGIN: &str = include_str!("readiness/login.sql");

/// One row a role that this login is a member of.
const MEMBERSHIPS: &str = "select roleid::regrole::text from pg_catalog.pg_auth_members
    where member = (select oid from pg_catalog.pg_roles where rolname = session_user)";

const WIDGET: &str = "the widget's gate (VICKET_WIDGET_URL)";
const REPLICA: &str = "the widget's gate on the replica (VICKET_WIDGET_READ_URL)";
const AGENT: &str = "the agents' gate (VICKET_AGENT_URL)";
const WORKER: &str = "the worker (VICKET_WORKER_URL)";
const MAIL: &str = "the gate of mail (VICKET_MAIL_URL)";

/// Why the server cannot serve.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reason {
    /// The database cannot be reached.
    Database,
    /// A login reaches a standby.
    NotPrimary,
    /// A pooler does not keep transactions, or mixes prepared statements.
    Pooler,
    /// The schema is older than this program needs, or another.
    SchemaVersion,
    /// A login may do more than it should, or a lint finds an error.
    Isolation,
    /// It was told to stop.
    Draining,
}

impl Reason {
    pub const ALL: [Self; 6] =
        [Self::Database, Self::NotPrimary, Self::Pooler, Self::SchemaVersion, Self::Isolation, Self::Draining];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::SchemaVersion => "schema_version",
            Self::Isolation => "isolation",
            Self::NotPrimary => "not_primary",
            Self::Pooler => "pooler",
            Self::Draining => "draining",
        }
    }
}

/// What does not hold.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Finding {
    pub reason: Reason,
    pub what: String,
}

/// All findings: what stands in the way of each login, or else the schema, or else of each login and of the catalog, which
/// says the same to all of them. Of another schema the lints could say nothing that is worth reading.
///
/// # Errors
/// `503` when the database cannot be reached.
pub async fn all(app: &App) -> Result<Vec<Finding>, Problem> {
    let in_the_way = in_the_way(app).await?;
    if in_the_way.is_empty() { Ok(isolation(app).await?.0) } else { Ok(in_the_way) }
}

/// What keeps each login from its database, for a start that found out only that something does.
pub async fn unreachable(app: &App) -> Vec<Finding> {
    let found = join_all(logins(app).into_iter().map(|(pool, name)| unreached(pool, name))).await;
    found.into_iter().flatten().collect()
}

fn logins(app: &App) -> Vec<(&Pool, &'static str)> {
    let mut logins = vec![(app.gate.pool(), WIDGET), (app.agents.pool(), AGENT), (app.worker.pool(), WORKER)];
    logins.extend(app.mail_gate.as_ref().map(|gate| (gate.pool(), MAIL)));
    logins
}

async fn unreached(pool: &Pool, name: &str) -> Option<Finding> {
    let what = pool.diagnosis().await?;
    Some(Finding { reason: Reason::Database, what: format!("{name}: {what}") })
}

/// What stands in the way of each login, or else the schema: in a few milliseconds.
///
/// # Errors
/// `503` when all connections are in use, or the database went away meanwhile.
async fn in_the_way(app: &App) -> Result<Vec<Finding>, Problem> {
    let mut in_the_way = Vec::new();
    let mut away = Ok(());
    for ((pool, name), looked) in logins(app).into_iter().zip(join_all(logins(app).into_iter().map(before_login)).await)
    {
        match looked {
            Ok(found) => in_the_way.extend(found),
            Err(problem) if problem.code == Code::Overloaded => away = Err(problem),
            Err(problem) => match unreached(pool, name).await {
                Some(found) => in_the_way.push(found),
                None => away = Err(problem),
            },
        }
    }
    if !in_the_way.is_empty() {
        in_the_way.sort();
        return Ok(in_the_way);
    }
    away?;
    let rows = app.gate.pool().catalog(ledger::COMMENT).await?;
    let comment: Option<&str> = rows.first().map(|row| row.try_get(0)).transpose()?.flatten();
    if let Some(what) = NEEDED.refuses(comment) {
        return Ok(vec![Finding { reason: Reason::SchemaVersion, what }]);
    }
    Ok(Vec::new())
}

/// What stands between a login and its primary.
async fn before_login((pool, name): (&Pool, &str)) -> Result<Option<Finding>, Problem> {
    if let Some(what) = pool.pooler().await? {
        return Ok(Some(Finding { reason: Reason::Pooler, what: format!("{name}: {what}") }));
    }
    if is_standby(pool).await? {
        // A primary that became one keeps its connections; a new one may reach the primary that took its place.
        pool.forget();
        let what = format!("{name} reaches a standby, which takes no writes: promote it, or name the primary");
        return Ok(Some(Finding { reason: Reason::NotPrimary, what }));
    }
    Ok(None)
}

/// What each login may do that it should not, and what the lints find: in some hundred milliseconds.
///
/// # Errors
/// `503` when the database cannot be reached.
async fn isolation(app: &App) -> Result<(Vec<Finding>, Counts), Problem> {
    let mut counts = Counts::default();
    let mut findings = of_login(app.gate.pool(), WIDGET, &["vicket_widget"]).await?;
    findings.extend(of_login(app.agents.pool(), AGENT, &["vicket_agent"]).await?);
    findings.extend(of_login(app.worker.pool(), WORKER, &[]).await?);
    if let Some(gate) = &app.mail_gate {
        findings.extend(of_login(gate.pool(), MAIL, &["vicket_mail"]).await?);
    }
    // One that is away stands in nobody's way: the primary is read from.
    if let Some(replica) = app.gate.replica()
        && let Ok(found) = of_login(replica, REPLICA, &["vicket_widget"]).await
    {
        findings.extend(found);
    }
    for row in app.gate.pool().catalog(LINTS.as_str()).await? {
        let severity: &str = row.try_get("severity")?;
        if severity == Severity::Warning.as_str() {
            counts.warnings += 1;
        }
        if severity == Severity::Error.as_str() {
            let (id, object, what): (&str, &str, &str) =
                (row.try_get("id")?, row.try_get("object")?, row.try_get("what")?);
            findings.push(format!("{id}: {object}: {what}"));
        }
    }
    findings.sort();
    findings.dedup();
    counts.errors = findings.len();
    Ok((findings.into_iter().map(|what| Finding { reason: Reason::Isolation, what }).collect(), counts))
}

/// How many findings there are about isolation.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Counts {
    pub errors: usize,
    pub warnings: usize,
}

/// How long an answer about what stands in the way is repeated, and an older one about isolation is not asked for again.
const FRESH: Duration = Duration::from_secs(2);
/// An older answer about isolation is worth nothing: a new one is waited for.
const STALE: Duration = Duration::from_mins(1);

/// Whether the server can serve now, for whoever asks again and again. What is quick is asked for; isolation is looked at beside
/// that, and what is known of it is not older than the time between two questions and [`FRESH`], or it is waited for.
pub struct Watch {
    app: Arc<App>,
    in_the_way: Mutex<Option<Known>>,
    isolation: Arc<std::sync::Mutex<Option<Known>>>,
    /// Of the last look that said.
    counts: Arc<std::sync::Mutex<Counts>>,
    /// Held by whoever looks at isolation.
    looking: Arc<Mutex<()>>,
}

/// When it was asked, and what was found.
type Known = (Instant, Vec<Reason>);

fn known_for(time: Duration, known: Option<&Known>) -> Option<Vec<Reason>> {
    known.filter(|(asked, _)| asked.elapsed() < time).map(|(_, reasons)| reasons.clone())
}

impl Watch {
    pub fn new(app: Arc<App>) -> Self {
        let (isolation, counts) = (Arc::default(), Arc::default());
        Self { app, in_the_way: Mutex::default(), isolation, counts, looking: Arc::default() }
    }

    /// How many findings there are about isolation, as the last look said that [`Watch::reasons`] led to.
    pub fn counts(&self) -> Counts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why it cannot serve, each once; the log says more.
    pub async fn reasons(&self) -> Vec<Reason> {
        let mut in_the_way = self.in_the_way.lock().await;
        let reasons = if let Some(reasons) = known_for(FRESH, in_the_way.as_ref()) {
            reasons
        } else {
            let reasons = said(self::in_the_way(&self.app).await);
            *in_the_way = Some((Instant::now(), reasons.clone()));
            reasons
        };
        drop(in_the_way);
        if !reasons.is_empty() {
            return reasons;
        }
        let last = || self.isolation.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(reasons) = known_for(FRESH, last().as_ref()) {
            return reasons;
        }
        if let Ok(turn) = Arc::clone(&self.looking).try_lock_owned() {
            let (app, isolation) = (Arc::clone(&self.app), Arc::clone(&self.isolation));
            tokio::spawn(look(app, isolation, Arc::clone(&self.counts), turn));
        }
        // That the database was away says nothing of isolation, which is looked at anew once it is back.
        let known = known_for(STALE, last().as_ref()).filter(|reasons| *reasons != [Reason::Database]);
        if let Some(reasons) = known {
            return reasons;
        }
        drop(self.looking.lock().await);
        // Who looked left nothing: a bug of ours, and no reason to say that isolation holds.
        known_for(STALE, last().as_ref()).unwrap_or_else(|| vec![Reason::Isolation])
    }
}

/// Looks at isolation, and leaves what was found.
async fn look(
    app: Arc<App>,
    isolation: Arc<std::sync::Mutex<Option<Known>>>,
    counts: Arc<std::sync::Mutex<Counts>>,
    turn: OwnedMutexGuard<()>,
) {
    let found = self::isolation(&app).await.map(|(findings, counted)| {
        *counts.lock().unwrap_or_else(PoisonError::into_inner) = counted;
        findings
    });
    let busy = matches!(&found, Err(problem) if problem.code == Code::Overloaded);
    let reasons = said(found);
    let mut known = isolation.lock().unwrap_or_else(PoisonError::into_inner);
    // A busy server could not look: what it knew before still stands.
    let last = known.take().filter(|_| busy).map(|(_, reasons)| reasons);
    *known = Some((Instant::now(), last.unwrap_or(reasons)));
    drop((known, turn));
}

/// The reasons, each once, and in the log what was found.
fn said(found: Result<Vec<Finding>, Problem>) -> Vec<Reason> {
    match found {
        Ok(findings) => {
            for finding in &findings {
                tracing::error!(reason = finding.reason.as_str(), finding = finding.what, "not ready");
            }
            let mut reasons: Vec<Reason> = findings.iter().map(|finding| finding.reason).collect();
            reasons.dedup();
            reasons
        }
        // A busy server is a ready one: taking it out would only move its load.
        Err(problem) if problem.code == Code::Overloaded => Vec::new(),
        Err(problem) => {
            tracing::error!(cause = problem.cause.as_deref(), "not ready");
            vec![Reason::Database]
        }
    }
}

async fn is_standby(pool: &Pool) -> Result<bool, Problem> {
    let rows = pool.catalog("select pg_catalog.pg_is_in_recovery()").await?;
    Ok(rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or_default())
}

/// Findings as one login sees them: its own shape, and that it may become `roles` and nothing else.
async fn of_login(pool: &Pool, name: &str, roles: &[&str]) -> Result<Vec<String>, Problem> {
    let mut findings: Vec<String> = Vec::new();
    for row in pool.catalog(LOGIN).await? {
        findings.push(format!("{name} {}", row.try_get::<&str, _>(0)?));
    }
    let members: Vec<String> =
        pool.catalog(MEMBERSHIPS).await?.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    for extra in members.iter().filter(|role| !roles.contains(&role.as_str())) {
        findings.push(format!("{name} is a member of {extra}; it may become {} only", roles.join(", ")));
    }
    for missing in roles.iter().filter(|role| !members.iter().any(|member| member == *role)) {
        findings.push(format!("{name} is no member of {missing}; run `vicket migrate`"));
    }
    Ok(findings)
}
