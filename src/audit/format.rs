//! What a report is written as.

use super::{html, report::Report, sarif, text};

/// What a report is written as.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Format {
    /// For a terminal
    Text,
    /// For a program
    Json,
    /// For code scanning
    Sarif,
    /// One page without anything to load
    Html,
    /// For a pull request
    Markdown,
}

/// # Errors
/// When it cannot be written.
pub fn write(report: &Report, format: Format) -> anyhow::Result<String> {
    Ok(match format {
        Format::Text => text::text(report),
        Format::Markdown => text::markdown(report),
        Format::Json => serde_json::to_string_pretty(report)? + "\n",
        Format::Sarif => serde_json::to_string_pretty(&sarif::document(report))? + "\n",
        Format::Html => html::page(report)?,
    })
}
