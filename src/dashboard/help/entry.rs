//! An article or a FAQ, as the help center's pages show it.

use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use crate::{dashboard::frame::form::Form, domain::problem::Problem, store::publishing::Status};

pub struct Entry {
    pub id: Uuid,
    pub site: Option<String>,
    /// A FAQ's question.
    pub title: String,
    pub status: Status,
    /// A FAQ's answer.
    pub body: String,
    /// Empty of a FAQ.
    pub slug: String,
    pub updated_at: OffsetDateTime,
}

impl Entry {
    /// What a form says it changed.
    pub fn version(&self) -> String {
        self.updated_at.format(&Rfc3339).unwrap_or_default()
    }

    pub fn state(&self) -> &'static str {
        match self.status {
            Status::Draft => "draft",
            Status::Published => "published",
            Status::Archived => "archived",
        }
    }
}

/// When what the form changes was read; `None` where it does not say.
///
/// # Errors
/// `400 invalid_request` for what is no time.
pub fn seen(form: &Form) -> Result<Option<OffsetDateTime>, Problem> {
    let read = |sent| OffsetDateTime::parse(sent, &Rfc3339);
    let seen = form.filled("version").map(read).transpose();
    seen.map_err(|_| Problem::invalid_field("version", "is not that of this page"))
}

/// A problem whose field is called as the form calls it, and not as the noun has it.
pub fn with_form_field(mut problem: Problem, field: &str) -> Problem {
    for error in problem.errors.iter_mut().filter(|error| error.field == field) {
        "body".clone_into(&mut error.field);
    }
    problem
}
