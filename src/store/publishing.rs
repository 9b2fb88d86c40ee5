//! Where content stands, articles and FAQs alike, and which of it a list shows.

use crate::domain::problem::{Code, Problem};

/// Where content stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Status {
    Draft,
    Published,
    Archived,
}

/// Which content a list shows; what is `None` is any.
#[derive(Debug, Default)]
pub struct Filter<'a> {
    /// The site's slug. Content for all sites is not listed with it.
    pub site: Option<&'a str>,
    pub status: Option<Status>,
    /// Full-text search for articles, a part of the text for FAQs.
    pub search: Option<&'a str>,
}

/// `409 edit_conflict`: somebody else changed it since it was read.
pub fn edited(what: &str) -> Problem {
    Problem::new(Code::EditConflict, format!("Somebody changed the {what} meanwhile. Nothing was saved."))
}
