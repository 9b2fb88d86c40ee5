//! What PostgreSQL answers, as a [`Problem`]. SQLSTATEs become codes here; a named constraint becomes one at the call that can
//! violate it ([`Problem::on_constraint`]).

use std::{
    borrow::Cow,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::domain::problem::Problem;

/// Statements of our own that PostgreSQL refused with 42501 since the process began: a bug or an attack.
static REFUSED_STATEMENTS: AtomicU64 = AtomicU64::new(0);
static MIXED_STATEMENTS: AtomicU64 = AtomicU64::new(0);

/// How often a statement that the driver prepared was gone, or its name another's, since the start: a pooler that mixes
/// them, or somebody's DEALLOCATE.
pub fn mixed_statements() -> u64 {
    MIXED_STATEMENTS.load(Ordering::Relaxed)
}

/// How many statements of our own PostgreSQL refused with 42501 (insufficient privilege) since the start.
pub fn refused_statements() -> u64 {
    REFUSED_STATEMENTS.load(Ordering::Relaxed)
}

impl Problem {
    /// Maps the violation of a named constraint to `problem`, and anything else as [`From`] does. For use at the call
    /// that can violate it: `.map_err(|e| Problem::on_constraint(e, "sites_slug_unique", || ...))`.
    pub fn on_constraint(error: sqlx::Error, constraint: &str, problem: impl FnOnce() -> Self) -> Self {
        let violated = error.as_database_error().and_then(|e| e.constraint()) == Some(constraint);
        if violated { problem() } else { error.into() }
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        let state = error.as_database_error().and_then(sqlx::error::DatabaseError::code).map(Cow::into_owned);
        match (&error, state.as_deref()) {
            // Cancelled by statement_timeout, lock_timeout, or a deadlock: a retry may go through.
            (_, Some("57014" | "55P03" | "40001" | "40P01")) => Self::overloaded(told(&error)),
            // Out of connections, memory or disk.
            (_, Some(state)) if state.starts_with("53") => Self::overloaded(told(&error)),
            // A statement that the driver prepared on this connection is gone, is another's, or answers otherwise since a
            // migration: the connection is of no more use, and another one is.
            (_, Some("26000" | "42P05")) => {
                MIXED_STATEMENTS.fetch_add(1, Ordering::Relaxed);
                Self::database_unavailable(told(&error))
            }
            // So may it be one to a primary that became a standby (25006, and 0A000 of a BEGIN that is to write).
            (_, Some("0A000" | "25006")) => Self::database_unavailable(told(&error)),
            // What a row was to belong to went away between two statements.
            (_, Some("23503")) => Self::not_found(),
            // Shutdown, crash, start-up, connection exceptions, errors of its disk.
            (_, Some(state)) if ["57P", "08", "58"].iter().any(|class| state.starts_with(class)) => {
                Self::database_unavailable(told(&error))
            }
            (_, Some("42501")) => {
                REFUSED_STATEMENTS.fetch_add(1, Ordering::Relaxed);
                let problem = Self::internal(format_args!("a statement of our own was refused: {}", told(&error)));
                Self { denied: true, ..problem }
            }
            (sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed, _) => {
                Self::database_unavailable(error)
            }
            _ => Self::internal(told(&error)),
        }
    }
}

/// What the log says. In what PostgreSQL says of bad data (class 22) that data may stand.
fn told(error: &sqlx::Error) -> String {
    let Some(said) = error.as_database_error() else { return error.to_string() };
    match said.code() {
        Some(state) if state.starts_with("22") => format!("bad data (SQLSTATE {state})"),
        Some(state) => format!("{} (SQLSTATE {state})", said.message()),
        None => said.message().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::problem::Code;

    #[test]
    fn a_lost_connection_is_503_and_says_when_to_retry() {
        let problem = Problem::from(sqlx::Error::Io(std::io::ErrorKind::BrokenPipe.into()));
        assert_eq!(problem.code, Code::DatabaseUnavailable);
        assert!(problem.retry_after.is_some());
    }

    #[test]
    fn an_unknown_database_error_is_a_500_that_hides_its_cause() {
        let problem = Problem::from(sqlx::Error::RowNotFound);
        assert_eq!(problem.code, Code::Internal);
        assert!(!problem.detail.contains("row"));
        assert!(problem.cause.is_some());
    }
}
