//! `vicket audit why`: which policy lets one row pass for a role in a context, and which condition of the others does not
//! hold. Nothing of the row is said but whether each condition is true of it.
//!
//! Only who passes row-level security can tell a hidden row from one that is not there, so the login is a superuser or has
//! BYPASSRLS. It copies the row into a setting of its transaction, and each condition is asked of that copy as the request's
//! role: what a condition selects from other tables is what the role may see there. Then the statement itself is tried as
//! the role, and has to agree. Everything is rolled back.

mod context;
mod question;
mod row;

use std::fmt::Write as _;

use anyhow::{Context as _, ensure};
use serde::Serialize;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{conditions, probe};
pub use context::Acting;
pub use question::{Command, Question, RoleName, Shape};
use row::Table;
pub use row::{Tried, Truth};

#[derive(Clone, Debug, Serialize)]
pub struct Condition {
    /// As the catalog prints it.
    pub sql: String,
    pub holds: Truth,
}

/// A policy that is asked of this role's statement, with the conditions that its USING joins with AND.
#[derive(Clone, Debug, Serialize)]
pub struct Policy {
    pub name: String,
    pub permissive: bool,
    /// The statement that it is asked for: who changes a row must see it too.
    pub asked_for: Command,
    pub passes: bool,
    pub conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    pub table: String,
    pub command: Command,
    pub role: &'static str,
    pub context: Acting,
    pub row_security: String,
    /// Whether policies are asked at all.
    pub in_force: bool,
    pub granted: bool,
    pub grant: String,
    pub policies: Vec<Policy>,
    /// By grant and policies.
    pub admitted: bool,
    pub because: Vec<String>,
    pub tried: Tried,
    /// Whether what was tried is what grant and policies say.
    pub agrees: bool,
}

/// Explains, in a transaction that is rolled back.
///
/// # Errors
/// When the login may not see the row, when there is no such table, row or context, and when the connection is lost.
pub async fn explain(connection: &mut PgConnection, question: &Question) -> anyhow::Result<Explanation> {
    let mut tx = connection.begin().await?;
    let outcome = explained(&mut tx, question).await;
    tx.rollback().await.context("the transaction could not be rolled back")?;
    outcome
}

async fn explained(tx: &mut PgConnection, question: &Question) -> anyhow::Result<Explanation> {
    let role = question.role()?;
    let command = question.command;
    // A session for who has none is written, and UPDATE and DELETE are no statements of a transaction that reads.
    let mode = if question.user.is_some() || command != Command::Select { "read write" } else { "read only" };
    let bounds = "set local statement_timeout = '10s'; set local lock_timeout = '1s'; set local row_security = on";
    sqlx::raw_sql(AssertSqlSafe(format!("set transaction {mode}; {bounds}"))).execute(&mut *tx).await?;
    sees_all(tx, role.name()).await?;
    let table = Table::named(tx, &question.table, role.name()).await?;
    let row = table.row(tx, &question.id).await?;
    let acting = context::find(tx, question, role).await?;
    let found = table.policies(tx, role.name(), command).await?;

    acting.enter(tx).await?;
    probe::become_role(tx, Some(role.name()))
        .await
        .with_context(|| format!("this login may not become {}", role.name()))?;
    let mut policies = Vec::new();
    for (asked_for, name, permissive, using) in found {
        let mut asked = Vec::new();
        for sql in using.as_deref().map(conditions::top_level).unwrap_or_default() {
            asked.push(Condition { sql: sql.to_owned(), holds: table.ask(tx, sql).await? });
        }
        // Without USING a restrictive policy refuses no row, and a permissive one lets none pass.
        let passes = asked.iter().all(|condition| condition.holds == Truth::True) && (using.is_some() || !permissive);
        policies.push(Policy { name, permissive, asked_for, passes, conditions: asked });
    }
    let tried = table.attempt(tx, &row, command).await?;
    let (granted, grant) = table.grant(command, &row);
    let because = reasons(&table, command, granted, &grant, &policies);
    let admitted = because.is_empty();
    let expected = if admitted { Tried::Reached } else { Tried::NotReached };
    let fails_in = |code: &String| {
        let conditions = policies.iter().flat_map(|policy| &policy.conditions);
        conditions.into_iter().any(|condition| condition.holds == Truth::Error(code.clone()))
    };
    let agrees = match &tried {
        Tried::Refused(code) => code == "42501" && !granted || table.in_force() && fails_in(code),
        reached => granted && *reached == expected,
    };
    Ok(Explanation {
        table: table.name.clone(),
        command,
        role: role.name(),
        context: acting,
        row_security: table.security().to_owned(),
        in_force: table.in_force(),
        granted,
        grant,
        policies,
        admitted,
        because,
        tried,
        agrees,
    })
}

/// Whether this login sees every row, which nobody else can explain.
async fn sees_all(tx: &mut PgConnection, role: &str) -> anyhow::Result<()> {
    let (login, passes): (String, bool) =
        sqlx::query_as("select rolname::text, rolsuper or rolbypassrls from pg_roles where rolname = current_user")
            .fetch_one(tx)
            .await?;
    ensure!(
        passes,
        "{login} is itself subject to row-level security, and cannot tell a row that is hidden from one that is not there. \
         Give the URL of a superuser, or of a login with BYPASSRLS that may read the tables and become {role}"
    );
    Ok(())
}

/// Why the row does not pass; nothing when it does.
fn reasons(table: &Table, command: Command, granted: bool, grant: &str, policies: &[Policy]) -> Vec<String> {
    let mut reasons = Vec::new();
    if !granted {
        reasons.push(grant.to_owned());
    }
    if !table.in_force() {
        return reasons;
    }
    let fails = |policy: &Policy| {
        let failing = policy.conditions.iter().filter(|condition| condition.holds != Truth::True);
        let failing: Vec<String> =
            failing.map(|condition| format!("{} is {}", condition.sql, condition.holds.as_str())).collect();
        let why = if policy.conditions.is_empty() { "it has no USING".to_owned() } else { failing.join(", and ") };
        format!("{}: {why}", policy.name)
    };
    for asked_for in command.asks() {
        let of =
            |permissive: bool| policies.iter().filter(move |p| p.asked_for == *asked_for && p.permissive == permissive);
        if !of(true).any(|policy| policy.passes) {
            match of(true).map(fails).collect::<Vec<_>>() {
                none if none.is_empty() => reasons.push(format!("no policy lets this role {}", asked_for.as_str())),
                all => {
                    reasons.push(format!("no permissive policy for {} passes: {}", asked_for.as_str(), all.join("; ")));
                }
            }
        }
        let sealed = of(false).filter(|policy| !policy.passes).map(fails);
        reasons.extend(
            sealed.map(|failing| format!("a restrictive policy for {} refuses: {failing}", asked_for.as_str())),
        );
    }
    reasons
}

impl Explanation {
    /// # Errors
    /// When grants and policies say one thing, and PostgreSQL does another.
    pub fn judge(&self) -> anyhow::Result<()> {
        ensure!(self.agrees, "PostgreSQL does not do what grants and policies say: the statement {}", self.outcome());
        Ok(())
    }

    fn outcome(&self) -> String {
        match &self.tried {
            Tried::Reached => "reached the row".to_owned(),
            Tried::NotReached => "reached no row".to_owned(),
            Tried::Refused(code) => format!("was refused with {code}"),
        }
    }

    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, shape: Shape) -> anyhow::Result<String> {
        Ok(match shape {
            Shape::Text => self.text(),
            Shape::Json => serde_json::to_string_pretty(self)? + "\n",
        })
    }

    fn text(&self) -> String {
        let mut out = format!("{} of a row of {} as {}\n", self.command.as_str(), self.table, self.role);
        let _ = writeln!(out, "context: {}", self.context.said());
        let _ = writeln!(out, "grant: {}", self.grant);
        let _ = writeln!(out, "row-level security: {}\n", self.row_security);
        for policy in &self.policies {
            let kind = if policy.permissive { "permissive" } else { "restrictive" };
            let verdict = if policy.passes { "passes" } else { "does not pass" };
            let _ = writeln!(out, "{kind} {}, for {}: {verdict}", policy.name, policy.asked_for.as_str());
            for condition in &policy.conditions {
                let _ = writeln!(out, "  {:<5}  {}", condition.holds.as_str(), condition.sql);
            }
        }
        let _ = writeln!(out, "\n{}", if self.admitted { "ADMITTED" } else { "REFUSED" });
        for reason in &self.because {
            let _ = writeln!(out, "  {reason}");
        }
        let _ = writeln!(out, "Tried as {}, the statement {}.", self.role, self.outcome());
        out
    }
}
