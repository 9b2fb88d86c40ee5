//! The mutation score: weakens a scratch database in every way that its catalog offers, one thing at a time, and demands that
//! a lint or a probe notices. What survives is a hole in the audit, not in the schema.
//!
//! It runs in a private PostgreSQL of its own, made from the migrations and thrown away. Everything happens in one
//! transaction, each mutant between savepoints.

mod mutants;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde::Serialize;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use vicket::audit::{
    lints::{self, Finding, Severity},
    probe::{self, Planted, Probes, Table},
};

use crate::scratch::Scratch;
pub use mutants::Mutant;

/// Lints that notice whatever changes.
const DIGESTS: [&str; 2] = ["function-body", "object-changed"];

/// Fewer would say that the catalog was not read whole; docs/audit.md states it.
const AT_LEAST: usize = 2000;

#[derive(Clone, Debug, Serialize)]
pub struct Survivor {
    pub kind: &'static str,
    pub sql: String,
}

#[derive(Clone, Default, Debug, Serialize)]
pub struct Score {
    /// What share of the mutants was tried.
    pub one_in: u16,
    pub total: usize,
    pub killed_by_lints: usize,
    pub killed_by_probes: usize,
    pub survivors: Vec<Survivor>,
    /// By kind: how many there were.
    pub kinds: BTreeMap<&'static str, usize>,
}

impl Score {
    /// A line a kind, what survived, and the sum.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for (kind, count) in &self.kinds {
            let _ = writeln!(out, "{count:>5}  {kind}");
        }
        for survivor in &self.survivors {
            let _ = writeln!(out, "SURVIVED {}: {}", survivor.kind, survivor.sql);
        }
        let _ = writeln!(
            out,
            "{} of {} mutants killed: {} by lints, {} by probes{}",
            self.killed_by_lints + self.killed_by_probes,
            self.total,
            self.killed_by_lints,
            self.killed_by_probes,
            if self.one_in == 1 { String::new() } else { format!("; one in {} was tried", self.one_in) }
        );
        out
    }

    /// # Errors
    /// When a mutant survived, or when there were too few.
    pub fn judge(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.total >= AT_LEAST / usize::from(self.one_in),
            "only {} mutants: the catalog was not read",
            self.total
        );
        anyhow::ensure!(self.survivors.is_empty(), "{} of {} mutants survived", self.survivors.len(), self.total);
        Ok(())
    }
}

/// Makes the scratch database, and scores one mutant in `one_in` (1 is all of them), of every kind that has as many.
///
/// # Errors
/// When it cannot be made, and when it is not clean before anything is weakened.
pub async fn run(one_in: u16) -> anyhow::Result<Score> {
    let scratch = Scratch::start().await?;
    let outcome = async {
        let mut connection = PgConnection::connect(&scratch.superuser_url()).await?;
        let score = score(&mut connection, one_in).await?;
        connection.close().await?;
        anyhow::Ok(score)
    }
    .await;
    scratch.end().await?;
    outcome
}

/// Scores the database of this superuser's connection. Everything is rolled back.
///
/// # Errors
/// When it is not clean before anything is weakened.
pub async fn score(connection: &mut PgConnection, one_in: u16) -> anyhow::Result<Score> {
    sqlx::raw_sql("set jit = off; set search_path = pg_catalog").execute(&mut *connection).await?;
    let mut tx = connection.begin().await?;
    probe::begin(&mut tx).await?;
    let mutants = mutants::of(&mut tx).await?;
    let tables = probe::tables(&mut tx).await?;
    let planted = probe::plant(&mut tx, &tables).await?;
    let sound = lints::findings(&mut tx).await?;
    let worst = sound.iter().find(|finding| finding.severity == Severity::Error);
    anyhow::ensure!(worst.is_none(), "the scratch database has a finding before anything is weakened: {worst:?}");
    let known: BTreeSet<String> = sound.iter().map(named).collect();
    let mut score = Score { one_in, ..Score::default() };
    // In the order of their kinds, so that each kind has its share.
    for mutant in mutants.into_iter().step_by(one_in.into()) {
        sqlx::raw_sql("savepoint mutant").execute(&mut *tx).await?;
        // What cannot be done, a NOT NULL of a primary key dropped, is no weakening.
        if sqlx::raw_sql(AssertSqlSafe(mutant.sql.as_str())).execute(&mut *tx).await.is_ok() {
            score.total += 1;
            *score.kinds.entry(mutant.kind).or_default() += 1;
            if linted(&mut tx, &mutant, &known).await? {
                score.killed_by_lints += 1;
            } else if probed(&mut tx, &mutant, &tables, &planted).await? {
                score.killed_by_probes += 1;
            } else {
                score.survivors.push(Survivor { kind: mutant.kind, sql: mutant.sql });
            }
        }
        sqlx::raw_sql("rollback to savepoint mutant; release savepoint mutant").execute(&mut *tx).await?;
    }
    tx.rollback().await?;
    Ok(score)
}

/// Whether a lint finds what it did not find before.
async fn linted(tx: &mut PgConnection, mutant: &Mutant, known: &BTreeSet<String>) -> anyhow::Result<bool> {
    let (first, others): (Vec<_>, Vec<_>) = lints::PARTS.iter().partition(|(name, _)| *name == mutant.lints);
    for (name, _) in first.into_iter().chain(others) {
        let found = lints::findings_of(tx, name).await?;
        let tells = |finding: &&Finding| !(mutant.probed && DIGESTS.contains(&finding.id.as_str()));
        let fresh = |finding: &Finding| finding.severity > Severity::Notice && !known.contains(&named(finding));
        if found.iter().filter(tells).any(fresh) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn named(finding: &Finding) -> String {
    format!("{} {} {}", finding.id, finding.object, finding.what)
}

/// Whether a probe leaks, at the mutant's table or at any, or a way in is open again.
async fn probed(tx: &mut PgConnection, mutant: &Mutant, tables: &[Table], planted: &Planted) -> anyhow::Result<bool> {
    let mut probes = Probes::default();
    for table in tables.iter().filter(|table| mutant.table.as_ref().is_none_or(|name| *name == table.name)) {
        probe::probe(tx, table, planted, &mut probes).await?;
        if !probes.leaks.is_empty() {
            return Ok(true);
        }
    }
    if mutant.table.is_none() {
        probe::attacks(tx, planted, &mut probes).await?;
    }
    Ok(!probes.leaks.is_empty())
}
