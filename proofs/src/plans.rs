//! The plan guard: what PostgreSQL does for the server's hot statements on the rows of many tenants.
//!
//! The statements are the server's own, for they are run by its own functions: those of `store/`, in transactions that the
//! gates' logins entered, as the server's are. PostgreSQL itself says what it did (auto_explain, with what functions
//! and foreign keys run inside). Each operation runs often enough on one connection for a prepared statement to get the
//! plan that it keeps.
//!
//! It runs in a private PostgreSQL of its own, made from the migrations and thrown away.

pub mod operations;
mod tree;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::Path,
};

use anyhow::{Context as _, ensure};
use serde::Serialize;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::scratch::Scratch;
use tree::{Catalog, Place};

/// How much is made.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Size {
    pub sites: u32,
    /// Of all sites alike.
    pub rows: u32,
    /// Tickets more of the site that is asked for its rows, and a tenth as many articles.
    pub large: u32,
}

/// Sites of an org.
const SITES_AN_ORG: u32 = 5;
/// Pages that a statement may touch, however many rows its tenant has.
const PAGES: u64 = 1000;
/// Operations with a statement that is about all of a tenant's rows, or those of two weeks: they search texts, and count.
/// A tag's tickets are looked up, 2,000 at the most; a page of a customer's tickets looks at the messages of each.
const WHOLE: [&str; 8] = [
    "articles, searched",
    "inbox, searched",
    "inbox, a common word",
    "inbox, a tag",
    "inbox, a common tag",
    "my tickets",
    "views",
    "start page",
];

/// One statement, worst of its runs.
#[derive(Clone, Default, Debug, Serialize)]
pub struct Statement {
    pub sql: String,
    pub runs: usize,
    pub indexes: BTreeSet<String>,
    /// What was computed once, before any row: the context, and what policies ask of it.
    pub init_plans: u64,
    /// Rows of tenants that were read and left out.
    pub removed: u64,
    /// Pages, from memory or not.
    pub pages: u64,
    /// By what they are about.
    pub faults: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Operation {
    pub name: &'static str,
    pub role: &'static str,
    pub statements: Vec<Statement>,
}

impl Operation {
    pub fn faults(&self) -> usize {
        self.statements.iter().map(|statement| statement.faults.len()).sum()
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Plans {
    pub size: Size,
    /// Rows that were made, of all tables.
    pub rows: i64,
    pub operations: Vec<Operation>,
}

impl Plans {
    /// A line an operation, and what is wrong.
    pub fn text(&self) -> String {
        let mut out = format!("{} rows, {} sites\n\n", self.rows, self.size.sites);
        let _ = writeln!(
            out,
            "{:<28} {:<14} {:>10} {:>9} {:>7} {:>7} {:>7}  VERDICT",
            "OPERATION", "ROLE", "STATEMENTS", "INITPLANS", "INDEXES", "REMOVED", "PAGES"
        );
        for operation in &self.operations {
            let most =
                |figure: fn(&Statement) -> u64| operation.statements.iter().map(figure).max().unwrap_or_default();
            let indexes: BTreeSet<&String> =
                operation.statements.iter().flat_map(|statement| &statement.indexes).collect();
            let verdict = if operation.faults() == 0 { "ok" } else { "FAULT" };
            let _ = writeln!(
                out,
                "{:<28} {:<14} {:>10} {:>9} {:>7} {:>7} {:>7}  {verdict}",
                operation.name,
                operation.role,
                operation.statements.len(),
                most(|statement| statement.init_plans),
                indexes.len(),
                most(|statement| statement.removed),
                most(|statement| statement.pages),
            );
        }
        out += "\nINITPLANS, REMOVED (rows read and left out) and PAGES: the most of one statement, in one run.\n";
        for operation in &self.operations {
            for statement in operation.statements.iter().filter(|statement| !statement.faults.is_empty()) {
                let _ = writeln!(out, "\nFAULT {} ({}): {}", operation.name, operation.role, statement.sql);
                for fault in statement.faults.values() {
                    let _ = writeln!(out, "  {fault}");
                }
            }
        }
        out
    }

    /// # Errors
    /// When a plan has a fault, and when there are too few to have proved anything.
    pub fn judge(&self) -> anyhow::Result<()> {
        let statements: usize = self.operations.iter().map(|operation| operation.statements.len()).sum();
        ensure!(statements >= 40, "only {statements} statements were seen: the server's log was not read");
        let faults: usize = self.operations.iter().map(Operation::faults).sum();
        ensure!(faults == 0, "{faults} faults in the plans of {statements} statements");
        Ok(())
    }
}

/// Makes the scratch database, `change`s it, and looks at the plans.
///
/// # Errors
/// When it cannot be made, and when an operation fails.
pub async fn run(size: Size, change: &str) -> anyhow::Result<Plans> {
    let scratch = Scratch::start().await?;
    let outcome = guarded(&scratch, size, change).await;
    scratch.end().await?;
    outcome
}

async fn guarded(scratch: &Scratch, size: Size, change: &str) -> anyhow::Result<Plans> {
    let mut connection = PgConnection::connect(&scratch.superuser_url()).await?;
    let rows = seed(&mut connection, size).await?;
    sqlx::raw_sql(AssertSqlSafe(change)).execute(&mut connection).await.context("changing the scratch database")?;
    sqlx::raw_sql(
        "load 'auto_explain';
        alter database scratch set session_preload_libraries = 'auto_explain';
        alter database scratch set auto_explain.log_min_duration = 0;
        alter database scratch set auto_explain.log_analyze = on;
        alter database scratch set auto_explain.log_buffers = on;
        alter database scratch set auto_explain.log_timing = off;
        alter database scratch set auto_explain.log_nested_statements = on;
        alter database scratch set auto_explain.log_format = 'json'",
    )
    .execute(&mut connection)
    .await
    .context("plans are read with auto_explain, a module of PostgreSQL's own (its contrib package)")?;
    let catalog = Catalog::read(&mut connection).await?;
    let mut operations = Vec::new();
    operations::run(scratch, &mut connection, &mut |name, role, from| {
        let text = log_from(&scratch.log(), from)?;
        let mut statements = statements(&text, &catalog, role)?;
        bound(name, &mut statements);
        operations.push(Operation { name, role, statements });
        Ok(())
    })
    .await?;
    connection.close().await?;
    Ok(Plans { size, rows, operations })
}

/// Finds what touches too many pages.
fn bound(operation: &str, statements: &mut [Statement]) {
    for statement in statements.iter_mut().filter(|statement| statement.pages > PAGES) {
        if !WHOLE.contains(&operation) {
            let fault = format!("{} pages were touched, {PAGES} are the most", statement.pages);
            statement.faults.insert("pages".to_owned(), fault);
        }
    }
}

/// Rows of every tenant, and how many there are.
///
/// # Errors
/// When a statement fails.
pub async fn seed(connection: &mut PgConnection, size: Size) -> anyhow::Result<i64> {
    let orgs = (size.sites / SITES_AN_ORG).max(2);
    let settings = format!(
        "set seed.orgs = {orgs}; set seed.sites = {}; set seed.rows = {}; set seed.large = {}; set seed.large_site = '{}'; set jit = off",
        size.sites,
        size.rows / size.sites,
        size.large,
        operations::SITE
    );
    sqlx::raw_sql(AssertSqlSafe(settings)).execute(&mut *connection).await?;
    for statement in include_str!("plans/seed.sql").split(";\n") {
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut *connection)
            .await
            .with_context(|| statement.to_owned())?;
    }
    let rows = "select sum(c.reltuples)::bigint from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'vicket' and c.relkind = 'r' and c.reltuples > 0";
    Ok(sqlx::query_scalar(rows).fetch_one(connection).await?)
}

fn log_from(log: &Path, from: u64) -> anyhow::Result<String> {
    use std::io::{Read as _, Seek as _};
    let mut file = std::fs::File::open(log).with_context(|| log.display().to_string())?;
    file.seek(std::io::SeekFrom::Start(from))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The plans that the log has, by statement. PostgreSQL writes a tab before each further line of an entry, and after an entry
/// of what runs inside a function the line that says which.
fn statements(log: &str, catalog: &Catalog, role: &str) -> anyhow::Result<Vec<Statement>> {
    let mut statements: BTreeMap<String, Statement> = BTreeMap::new();
    let mut lines = log.lines().peekable();
    while let Some(line) = lines.next() {
        ensure!(!line.contains(" ERROR:  ") && !line.contains(" FATAL:  "), "the server logged {line}");
        if !line.contains(" LOG:  duration: ") || !line.ends_with(" plan:") {
            continue;
        }
        let mut json = String::new();
        while let Some(line) = lines.next_if(|line| line.starts_with('\t')) {
            json += line;
            json.push('\n');
        }
        let place = match lines.peek() {
            Some(next) if next.contains(" CONTEXT:  ") => Place::Within,
            _ if role == "vicket_widget" => Place::Widget,
            _ => Place::Agent,
        };
        let entry: serde_json::Value = serde_json::from_str(&json).with_context(|| format!("a plan: {json}"))?;
        let seen = tree::look(&entry["Plan"], catalog, place);
        let sql = named(entry["Query Text"].as_str().context("a plan without its statement")?);
        let statement = statements.entry(sql.clone()).or_insert_with(|| Statement { sql, ..Statement::default() });
        statement.runs += 1;
        statement.init_plans = statement.init_plans.max(seen.init_plans);
        statement.removed = statement.removed.max(seen.removed);
        // The first run on a connection reads the catalog, too, which grows with no tenant.
        statement.pages = if statement.runs <= 2 { seen.pages } else { statement.pages.max(seen.pages) };
        statement.indexes.extend(seen.indexes);
        for (about, fault) in seen.faults {
            statement.faults.entry(about).or_insert(fault);
        }
    }
    Ok(statements.into_values().collect())
}

/// A statement in one line.
fn named(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_that_touches_too_many_pages_has_a_fault_unless_it_is_about_all_of_a_tenants_rows() {
        let of = |pages| Statement { pages, ..Statement::default() };
        let mut statements = [of(PAGES), of(PAGES + 1)];
        bound("start page", &mut statements);
        assert!(statements.iter().all(|statement| statement.faults.is_empty()));
        bound("inbox", &mut statements);
        assert!(statements[0].faults.is_empty());
        assert_eq!(statements[1].faults["pages"], "1001 pages were touched, 1000 are the most");
    }
}
