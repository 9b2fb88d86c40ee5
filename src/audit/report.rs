//! The report: what was examined, who may do what with each table, what was found.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use super::{
    lints::{self, Finding, Severity},
    probe::Probes,
    roles,
};

/// One policy, as the catalog says it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Policy {
    pub name: String,
    pub permissive: bool,
    pub using: Option<String>,
    pub check: Option<String>,
}

/// What one role may do with one table by one command.
#[derive(Clone, Debug, Serialize)]
pub struct Access {
    pub role: String,
    pub command: String,
    /// The columns granted; `None` when nothing is.
    pub columns: Option<String>,
    pub policies: Vec<Policy>,
}

impl Access {
    /// Whether rows can pass: a grant and a permissive policy.
    pub fn effective(&self) -> bool {
        self.columns.is_some() && self.policies.iter().any(|policy| policy.permissive)
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Table {
    pub name: String,
    pub owner: String,
    pub rls: bool,
    pub forced: bool,
    pub access: Vec<Access>,
    /// The worst that was found about it.
    pub worst: Option<Severity>,
}

impl Table {
    pub fn verdict(&self) -> &'static str {
        self.worst.map_or("ok", Severity::as_str)
    }

    pub fn policies(&self) -> usize {
        let names = |access: &Access| access.policies.iter().map(|policy| policy.name.clone()).collect::<Vec<_>>();
        self.access.iter().flat_map(names).collect::<BTreeSet<_>>().len()
    }

    pub fn of<'a>(&'a self, role: &'a str) -> impl Iterator<Item = &'a Access> {
        self.access.iter().filter(move |access| access.role == role)
    }
}

/// How much was looked at. An audit that examined nothing has failed.
#[derive(Clone, Copy, Debug, Serialize, sqlx::FromRow)]
pub struct Examined {
    pub tables: i64,
    pub policies: i64,
    pub functions: i64,
    pub roles: i64,
    pub lints: i64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub program: &'static str,
    pub version: &'static str,
    pub database: String,
    pub server: String,
    pub login: String,
    pub examined: Examined,
    pub tables: Vec<Table>,
    pub findings: Vec<Finding>,
    /// What this login may not read, so that nothing was said of it.
    pub not_seen: Vec<String>,
    pub milliseconds: u64,
    /// What the live probes found, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probes: Option<Probes>,
    /// Every lint, for formats that list their rules.
    #[serde(skip)]
    pub rules: Vec<(String, String, String)>,
}

const EXAMINED: &str = "select
    (select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p') and not c.relispartition and n.nspname = 'vicket') as tables,
    (select count(*) from pg_policy p join pg_class c on c.oid = p.polrelid) as policies,
    (select count(*) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
      where n.nspname !~ '^pg_' and n.nspname <> 'information_schema') as functions,
    (select count(*) from pg_roles where rolname like 'vicket\\_%') as roles,
    0::bigint as lints";

/// What only some logins may read. Of the lints only `login-password` needs it; a DBA may expect that it was looked at.
const NOT_SEEN: &str = "select 'password hashes (pg_authid): whether one is MD5' where not has_table_privilege('pg_authid', 'select')
    union all
    select 'pg_hba.conf (pg_hba_file_rules): who may connect from where, and whether our logins come by password (login-password)'
    where not has_function_privilege('pg_hba_file_rules()', 'execute')
    union all
    select 'settings that need pg_read_all_settings, those of files and libraries'
    where not (pg_has_role('pg_read_all_settings', 'usage') or (select rolsuper from pg_roles where rolname = current_user))
    union all
    select 'the database ' || datname || ' of the same cluster: audit it by itself'
    from pg_database where datallowconn and datname not in (current_database(), 'template1')";

type AccessRow =
    (String, bool, bool, String, Option<String>, Option<String>, Option<String>, sqlx::types::Json<Vec<Policy>>);

/// Reads the catalog.
///
/// # Errors
/// When it cannot be read, or when there is nothing to examine.
pub async fn read(connection: &mut PgConnection) -> anyhow::Result<Report> {
    let began = Instant::now();
    let mut findings = lints::findings(connection).await?;
    findings.extend(lints::authentication(connection).await?.unwrap_or_default());
    let rules: Vec<(String, String, String)> = sqlx::query_as(lints::CATALOGUE).fetch_all(&mut *connection).await?;
    let mut tables: Vec<Table> = Vec::new();
    let rows: Vec<AccessRow> = sqlx::query_as(lints::ACCESS).fetch_all(&mut *connection).await?;
    for (name, rls, forced, owner, role, command, columns, policies) in rows {
        if tables.last().is_none_or(|table| table.name != name) {
            let worst = findings
                .iter()
                .filter(|finding| finding.relation.as_deref() == Some(&name))
                .map(|finding| finding.severity)
                .max();
            tables.push(Table { name, owner, rls, forced, access: Vec::new(), worst });
        }
        if let (Some(table), Some(role), Some(command)) = (tables.last_mut(), role, command) {
            table.access.push(Access { role, command, columns, policies: policies.0 });
        }
    }
    let mut examined: Examined = sqlx::query_as(EXAMINED).fetch_one(&mut *connection).await?;
    examined.lints = i64::try_from(rules.len())?;
    anyhow::ensure!(
        examined.tables > 0 && examined.policies > 0,
        "there is no table of Vicket in this database: nothing was examined"
    );
    let (database, server, login): (String, String, String) =
        sqlx::query_as("select current_database()::text, current_setting('server_version'), session_user::text")
            .fetch_one(&mut *connection)
            .await?;
    let not_seen = sqlx::query_scalar(NOT_SEEN).fetch_all(connection).await?;
    Ok(Report {
        program: "vicket audit",
        version: env!("CARGO_PKG_VERSION"),
        database,
        server,
        login,
        examined,
        tables,
        findings,
        not_seen,
        milliseconds: u64::try_from(began.elapsed().max(Duration::from_millis(1)).as_millis())?,
        probes: None,
        rules,
    })
}

impl Report {
    /// Findings at or above `severity`.
    pub fn at_least(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity >= severity).count()
    }

    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// The roles that any table names: those of requests first, whoever should not be there last.
    pub fn roles(&self) -> Vec<&str> {
        let mut named: Vec<&str> =
            self.tables.iter().flat_map(|table| table.access.iter().map(|access| access.role.as_str())).collect();
        named.sort_unstable_by_key(|role| roles::rank(role));
        named.dedup();
        named
    }
}
