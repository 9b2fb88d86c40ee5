//! Published content, read by one statement in one round trip: it proves the key again, becomes the site's widget, reads, and is
//! over. No transaction is begun and none is left: what was set is gone with the statement (`migrations/1035_reads.sql`).

use sqlx::{FromRow, postgres::PgRow};

use super::{
    site::{Call, Entry, EntryRequest, Verdict},
    widget::WidgetGate,
};
use crate::domain::problem::Problem;

/// The published content of the site of a key that was good a moment ago.
pub struct Published<'a> {
    gate: &'a WidgetGate,
    entry_request: &'a EntryRequest,
    entry: Entry,
    /// What is said when the key was revoked meanwhile.
    unknown: fn() -> Problem,
}

impl<'a> Published<'a> {
    pub fn new(gate: &'a WidgetGate, entry_request: &'a EntryRequest, proved: Entry, unknown: fn() -> Problem) -> Self {
        Self { gate, entry_request, entry: proved, unknown }
    }

    /// What the gate said of the key when it was read, and before that when it was proved.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The rows that a call reads: on a replica that has all that the primary proved, where there is one, and else on the
    /// primary. For `store/` only, which asks once a request, so that all of an answer is of one moment.
    ///
    /// # Errors
    /// What is said of a key that was revoked meanwhile; those of the statement; `503` when no connection is to be had.
    pub async fn rows<T>(&mut self, call: &'static str, bind: impl Fn(Call) -> Call) -> Result<Vec<T>, Problem>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        match self.gate.read(self.entry_request, &self.entry, call, bind).await? {
            Verdict::Entered((entry, rows)) => {
                self.entry = entry;
                Ok(rows.iter().map(T::from_row).collect::<Result<_, _>>()?)
            }
            Verdict::Unknown { .. } => Err((self.unknown)()),
        }
    }
}
