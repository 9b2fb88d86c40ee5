//! The one error type, and its `application/problem+json` form (RFC 9457).
//!
//! Everything that a caller may be told is a [`Code`] with a stable name; everything else is a `cause`, which is logged
//! once at the boundary and never sent.

use std::borrow::Cow;

use serde::Serialize;

use crate::domain::permissions::Permission;

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
    IdentityInvalid = 401 "identity_invalid" "The identity token is not valid",
    IdentityRequired = 401 "identity_required" "An identity is needed",
    CustomerSessionInvalid = 401 "customer_session_invalid" "The customer session is not valid",
    SessionRequired = 401 "session_required" "A session or a machine key is needed",
    SessionInvalid = 401 "session_invalid" "The session is not valid",
    LoginFailed = 401 "login_failed" "The log-in failed",
    MachineKeyInvalid = 401 "machine_key_invalid" "The machine key is not valid",
    SignatureInvalid = 401 "signature_invalid" "The signature is not valid",
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
    ConversationMoved = 409 "conversation_moved" "The conversation went on",
    TicketFull = 409 "ticket_full" "The ticket is full",
    BodyTooLarge = 413 "body_too_large" "The body is too large",
    QuotaExceeded = 413 "quota_exceeded" "No more files are kept",
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
#[derive(Clone, Debug, thiserror::Error)]
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

    /// `401 customer_session_invalid`: absent, unknown, ended or of another site, all alike.
    pub fn customer_session_invalid() -> Self {
        Self::new(
            Code::CustomerSessionInvalid,
            "The customer session in X-Vicket-Customer is unknown here, or it ended. Open one by POST /support/v1/identity.",
        )
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
    pub fn permission_required(permission: Permission) -> Self {
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
}
