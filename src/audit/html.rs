//! The report as one page that loads nothing: a matrix of tables, roles and commands, each cell with its policies.

use askama::Template;

use super::{report::Report, roles, text};

const STYLE: &str = include_str!("page.css");

#[derive(Template)]
#[template(path = "isolation.html")]
struct Page<'a> {
    report: &'a Report,
    roles: Vec<&'a str>,
    style: &'static str,
}

/// # Errors
/// When the template cannot be rendered.
pub fn page(report: &Report) -> Result<String, askama::Error> {
    Page { report, roles: report.roles(), style: STYLE }.render()
}
