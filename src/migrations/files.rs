//! The numbered files of `migrations/`: the baseline, which an empty database gets whole, and the changes after it.

use std::borrow::Cow;

use anyhow::ensure;
use sha2::{Digest as _, Sha256};
use sqlx::{
    AssertSqlSafe, SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

use super::{schema::Schema, statements};
use crate::domain::keys;

/// Files below are the baseline, release 0.1.0. From here on each is a change to databases with rows and traffic.
pub const FIRST_CHANGE: i64 = 1000;
/// The first line of a change whose statements run one by one, outside a transaction.
pub const NO_TRANSACTION: &str = "-- vicket: no transaction";

static EMBEDDED: Migrator = sqlx::migrate!("./migrations");

/// The numbered files that this program was built with: version and text.
pub(crate) fn texts() -> impl Iterator<Item = (i64, &'static str)> {
    EMBEDDED.iter().map(|file| (file.version, file.sql.as_str()))
}

/// What the runner runs, as data: the files of this program, or those and more.
#[derive(Clone, Debug)]
pub struct Files {
    baseline: Vec<Migration>,
    changes: Vec<Migration>,
    /// Whether this program knows what they make.
    known: bool,
}

impl Files {
    /// The files that this program was built with.
    pub fn embedded() -> Self {
        let (baseline, mut changes): (Vec<_>, Vec<_>) =
            EMBEDDED.iter().cloned().partition(|file| file.version < FIRST_CHANGE);
        for change in &mut changes {
            change.no_tx = is_outside(change.sql.as_str());
        }
        Self { baseline, changes, known: true }
    }

    /// With a change more, `1000_what.sql` and its text, as a later release would have it.
    ///
    /// # Errors
    /// When the name is no such name, or its number is not above all others.
    pub fn with(mut self, name: &str, sql: &str) -> anyhow::Result<Self> {
        let parts = name.strip_suffix(".sql").and_then(|name| name.split_once('_'));
        let number = parts.and_then(|(number, what)| Some((number.parse::<i64>().ok()?, what)));
        let Some((version, what)) = number.filter(|(version, _)| *version >= FIRST_CHANGE) else {
            anyhow::bail!("a change is named like 1000_what.sql, and not {name}")
        };
        ensure!(self.changes.last().is_none_or(|last| last.version < version), "{name} is not the newest");
        let description = Cow::Owned(what.replace('_', " "));
        let text = AssertSqlSafe(sql.to_owned()).into_sql_str();
        let change = Migration::new(version, description, MigrationType::Simple, text, is_outside(sql));
        self.changes.push(change);
        Ok(self.draft())
    }

    /// As what is being changed: what the lints compare with, `src/audit/lints/shipped.sql`, is generated from the outcome.
    #[must_use]
    pub fn draft(self) -> Self {
        Self { known: false, ..self }
    }

    /// Whether the lints may compare the outcome with what this program knows of it.
    pub fn known(&self) -> bool {
        self.known
    }

    pub fn baseline(&self) -> &[Migration] {
        &self.baseline
    }

    pub fn changes(&self) -> &[Migration] {
        &self.changes
    }

    /// The schema that all files make.
    pub fn schema(&self) -> Schema {
        let newest = self.changes.last().or(self.baseline.last());
        Schema { version: newest.map_or(0, |file| file.version), baseline: self.digest() }
    }

    /// Which baseline it is.
    pub fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for file in &self.baseline {
            digest.update(file.version.to_be_bytes());
            digest.update(&file.checksum);
        }
        keys::hex(&digest.finalize()[..8])
    }

    /// That every change can be read by the runner: those outside a transaction hold only statements that may be repeated.
    ///
    /// # Errors
    /// With the first that cannot.
    pub fn check(&self) -> anyhow::Result<()> {
        for change in self.changes.iter().filter(|change| change.no_tx) {
            statements::of(change)?;
        }
        Ok(())
    }
}

fn is_outside(sql: &str) -> bool {
    sql.lines().next().is_some_and(|line| line.trim_end() == NO_TRANSACTION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_of_the_baseline_or_a_change_that_the_runner_can_read() {
        let files = Files::embedded();
        assert!(files.baseline().len() > 5);
        files.check().expect("every change");
        let versions: Vec<i64> = files.baseline().iter().chain(files.changes()).map(|file| file.version).collect();
        assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
    }

    #[test]
    fn a_change_has_a_number_above_all_others() {
        let files = Files::embedded().with("9000_a.sql", "select 1").expect("a change");
        assert_eq!(files.schema().version, 9000);
        for bad in ["0999_a.sql", "9000_b.sql", "8999_b.sql", "9001.sql", "9001_b.txt", "x_b.sql"] {
            assert!(files.clone().with(bad, "select 1").is_err(), "{bad}");
        }
    }

    #[test]
    fn the_first_line_says_which_lane() {
        let outside =
            |sql: &str| Files::embedded().with("9000_a.sql", sql).expect("a change").changes().last().cloned();
        assert!(outside("-- vicket: no transaction\nanalyze vicket.orgs;").is_some_and(|change| change.no_tx));
        assert!(outside("-- A line.\n-- vicket: no transaction\n").is_some_and(|change| !change.no_tx));
    }
}
