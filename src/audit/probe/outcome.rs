//! What the probes found.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// What became of the statements on one table.
#[derive(Clone, Default, Debug, Serialize)]
pub struct Tally {
    pub tried: usize,
    /// PostgreSQL said no.
    pub refused: usize,
    /// It ran, and reached nothing that it must not.
    pub contained: usize,
    pub leaked: usize,
    /// Rows of their own that subjects saw.
    pub own_rows: i64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Leak {
    pub table: String,
    pub subject: String,
    pub statement: String,
    pub what: String,
}

#[derive(Clone, Default, Debug, Serialize)]
pub struct Probes {
    pub tables: BTreeMap<String, Tally>,
    pub leaks: Vec<Leak>,
    /// What could not be tried, which is as bad: it proves nothing.
    pub failures: Vec<String>,
    /// Statements of the gates' own logins.
    pub gates: Tally,
    /// Ways in that were open once.
    pub attacks: Tally,
    /// Which subject saw rows of its own in which table: who sees nothing at all would contain everything.
    #[serde(skip)]
    pub(super) seen: BTreeSet<(&'static str, String)>,
    /// Which subject reached what is its own by which attack.
    #[serde(skip)]
    pub(super) reached: BTreeSet<(&'static str, &'static str)>,
}

impl Probes {
    pub fn clean(&self) -> bool {
        self.leaks.is_empty() && self.failures.is_empty()
    }

    pub fn total(&self) -> Tally {
        self.tables.values().fold(Tally::default(), |sum, tally| Tally {
            tried: sum.tried + tally.tried,
            refused: sum.refused + tally.refused,
            contained: sum.contained + tally.contained,
            leaked: sum.leaked + tally.leaked,
            own_rows: sum.own_rows + tally.own_rows,
        })
    }
}
