//! Where articles and FAQs stand.

use poem_openapi::Enum;

use crate::store::publishing;

/// Where content stands.
#[derive(Enum, Clone, Copy)]
#[oai(rename = "ContentStatus", rename_all = "snake_case")]
pub(super) enum Status {
    /// Only agents see it.
    Draft,
    /// Customers see it.
    Published,
    /// Put away; only agents see it.
    Archived,
}

impl From<publishing::Status> for Status {
    fn from(status: publishing::Status) -> Self {
        match status {
            publishing::Status::Draft => Self::Draft,
            publishing::Status::Published => Self::Published,
            publishing::Status::Archived => Self::Archived,
        }
    }
}

impl From<Status> for publishing::Status {
    fn from(status: Status) -> Self {
        match status {
            Status::Draft => Self::Draft,
            Status::Published => Self::Published,
            Status::Archived => Self::Archived,
        }
    }
}
