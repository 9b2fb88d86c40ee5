//! The one error type, and its `application/problem+json` form (RFC 9457).
//!
//! Everything that a caller may be told is a [`Code`] with a stable name; everything else is a `cause`, which is logged
//! once at the boundary and never sent. SQLSTATEs become codes here; a named constraint becomes one at the call that
//! can violate it ([`Problem::on_constraint`]).

use std::{
    borrow::Cow,
    sync::atomic::{AtomicU64, Ordering},
};

use serde::Serialize;

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

macro_rules! codes {
    ($($variant:ident = $status:literal $code:literal $title:literal,)*) => {
        /// What went wrong, as callers see it: a stable name, an HTTP status, a title.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $($variant,)* }

        impl Code {
            /// Every code, in the order of its status.
            pub const ALL: &[Code] = &[$(Code::$variant,)*];

            pub fn status(self) -> u16 {
                match self { $(Code::$variant => $status,)* }
            }

            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $code,)* }
            }

            pub fn title(self) -> &'static str {
                match self { $(Code::$variant => $title,)* }
            }
        }
    };
}

codes! {
    InvalidRequest = 400 "invalid_request" "The request is not valid",
    InvalidCursor = 400 "invalid_cursor" "The cursor is not one of this list",
    CredentialsMixed = 400 "credentials_mixed" "The request has credentials of two kinds",
    KeyMissing = 401 "key_missing" "A publishable key is needed",
    KeyInvalid = 401 "key_invalid" "The publishable key is not valid",
    SessionRequired = 401 "session_required" "A session or a machine key is needed",
    SessionInvalid = 401 "session_invalid" "The session is not valid",
    LoginFailed = 401 "login_failed" "The log-in failed",
    MachineKeyInvalid = 401 "machine_key_invalid" "The machine key is not valid",
    OriginNotAllowed = 403 "origin_not_allowed" "This origin may not use the key",
    PermissionRequired = 403 "permission_required" "A permission is missing",
    SecretKeyInBrowser = 403 "secret_key_in_browser" "A machine key must not be in a browser",
    CsrfFailed = 403 "csrf_failed" "The request does not come from our own page",
    NotFound = 404 "not_found" "Not found",
    MethodNotAllowed = 405 "method_not_allowed" "The method is not allowed here",
    KeyExists = 409 "key_exists" "The site has an active key",
    StagedKeyExists = 409 "staged_key_exists" "The site has a staged key",
    RotationConflict = 409 "rotation_conflict" "Another rotation came first",
    NoActiveKey = 409 "no_active_key" "The site has no active key",
    SlugTaken = 409 "slug_taken" "The slug is taken",
    NameTaken = 409 "name_taken" "The name is taken",
    EditConflict = 409 "edit_conflict" "Another change came first",
    EmailTaken = 409 "email_taken" "The e-mail address is taken",
    LastOwner = 409 "last_owner" "An org always has an owner",
    IdempotencyConflict = 409 "idempotency_conflict" "The Idempotency-Key was used for another request",
    TicketClosed = 409 "ticket_closed" "The ticket is closed",
    BodyTooLarge = 413 "body_too_large" "The body is too large",
    UnsupportedMediaType = 415 "unsupported_media_type" "The body is of another media type",
    Unprocessable = 422 "unprocessable" "The request names something that cannot be",
    RateLimited = 429 "rate_limited" "Too many requests",
    Internal = 500 "internal_error" "Something went wrong on our side",
    Overloaded = 503 "overloaded" "The server is busy",
    DatabaseUnavailable = 503 "database_unavailable" "The database cannot be reached",
}

/// One field of the input that is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Its name in the body or the query.
    pub field: String,
    /// What to do about it, for people.
    pub message: String,
}

/// An error that a caller may see.
#[derive(Debug, thiserror::Error)]
#[error("{}: {detail}", code.as_str())]
pub struct Problem {
    pub code: Code,
    /// One or two sentences for people; never SQL, names of constraints, paths or secrets.
    pub detail: Cow<'static, str>,
    pub errors: Vec<FieldError>,
    /// Seconds until a retry makes sense.
    pub retry_after: Option<u64>,
    /// The methods that a 405 names.
    pub allow: Option<String>,
    /// For the log only.
    pub cause: Option<String>,
    /// PostgreSQL refused a statement of ours (42501): a bug, an attack, or a permission that was lost meanwhile.
    pub denied: bool,
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            allow: None,
            cause: None,
            denied: false,
        }
    }

    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "There is nothing here, or nothing that these credentials may see.")
    }

    /// `400 invalid_request` that names one field.
    pub fn invalid_field(field: &str, message: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError { field: field.to_owned(), message: message.into() }])
    }

    /// `400 invalid_request` for these fields.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        let detail = format!("Not acceptable: {}. See `errors`.", fields.join(", "));
        Self { errors, ..Self::new(Code::InvalidRequest, detail) }
    }

    /// `403 permission_required` that names the permission.
    pub fn permission_required(permission: &str) -> Self {
        Self::new(Code::PermissionRequired, format!("This needs the permission `{permission}` in this org."))
    }

    /// `422 unprocessable`: well-formed, but it names something that cannot be.
    pub fn unprocessable(field: &str, message: impl Into<String>) -> Self {
        Self::unprocessable_fields(vec![FieldError { field: field.to_owned(), message: message.into() }])
    }

    /// `422 unprocessable` for these fields.
    pub fn unprocessable_fields(errors: Vec<FieldError>) -> Self {
        Self {
            errors,
            ..Self::new(
                Code::Unprocessable,
                "The request names something that does not exist or does not fit. See `errors`.",
            )
        }
    }

    /// A 500 whose cause goes to the log and to nobody else.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        let detail = "The request could not be completed. The request id finds the reason in the server's log.";
        Self { cause: Some(cause.to_string()), ..Self::new(Code::Internal, detail) }
    }

    pub fn overloaded(cause: impl std::fmt::Display) -> Self {
        Self {
            retry_after: Some(1),
            cause: Some(cause.to_string()),
            ..Self::new(Code::Overloaded, "No capacity is free right now. Try again shortly.")
        }
    }

    pub fn database_unavailable(cause: impl std::fmt::Display) -> Self {
        Self {
            retry_after: Some(2),
            cause: Some(cause.to_string()),
            ..Self::new(Code::DatabaseUnavailable, "The database cannot be reached right now. Try again shortly.")
        }
    }

    /// Maps the violation of a named constraint to `problem`, and anything else as [`From`] does. For use at the call
    /// that can violate it: `.map_err(|e| Problem::on_constraint(e, "sites_slug_unique", || ...))`.
    pub fn on_constraint(error: sqlx::Error, constraint: &str, problem: impl FnOnce() -> Self) -> Self {
        let violated = error.as_database_error().and_then(|e| e.constraint()) == Some(constraint);
        if violated { problem() } else { error.into() }
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        let state = error.as_database_error().and_then(|e| e.code()).map(Cow::into_owned);
        match (&error, state.as_deref()) {
            // Cancelled by statement_timeout, lock_timeout, or a deadlock: a retry may go through.
            (_, Some("57014" | "55P03" | "40001" | "40P01" | "53300")) => Self::overloaded(error),
            // A statement that the driver prepared on this connection is gone, is another's, or answers otherwise since a
            // migration: the connection is of no more use, and another one is.
            (_, Some("26000" | "42P05")) => {
                MIXED_STATEMENTS.fetch_add(1, Ordering::Relaxed);
                Self::database_unavailable(error)
            }
            (_, Some("0A000")) => Self::database_unavailable(error),
            // What a row was to belong to went away between two statements.
            (_, Some("23503")) => Self::not_found(),
            // Shutdown, crash, start-up, connection exceptions.
            (_, Some(state)) if state.starts_with("57P") || state.starts_with("08") => {
                Self::database_unavailable(error)
            }
            (_, Some("42501")) => {
                REFUSED_STATEMENTS.fetch_add(1, Ordering::Relaxed);
                let problem = Self::internal(format_args!("a statement of our own was refused: {error}"));
                Self { denied: true, ..problem }
            }
            (sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed, _) => {
                Self::database_unavailable(error)
            }
            _ => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_snake_case_and_stands_once() {
        let names: std::collections::HashSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for name in names {
            assert!(name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_'), "{name}");
        }
    }

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
