//! An article or a FAQ, as the help center's pages show it.

use uuid::Uuid;

use crate::{domain::problem::Problem, store::publishing::Status};

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
}

impl Entry {
    pub fn state(&self) -> &'static str {
        match self.status {
            Status::Draft => "draft",
            Status::Published => "published",
            Status::Archived => "archived",
        }
    }
}

/// A problem whose field is called as the form calls it, and not as the noun has it.
pub fn with_form_field(mut problem: Problem, field: &str) -> Problem {
    for error in problem.errors.iter_mut().filter(|error| error.field == field) {
        "body".clone_into(&mut error.field);
    }
    problem
}
