//! What the parts of the matrix share: what it refers to, and how roles and tables are called.

use std::collections::BTreeSet;

/// What the matrix refers to.
#[derive(Default)]
pub struct Notes {
    pub names: BTreeSet<String>,
    /// Conditions that are too long for a line.
    pub long: Vec<String>,
}

/// As people call it: a role without the prefix that all have, and in bold who should be nowhere.
pub fn role(name: &str) -> String {
    match name.strip_prefix("vicket_") {
        Some(short) => short.to_owned(),
        None => format!("**{name}**"),
    }
}

/// A table of the schema that holds them all is called by its name.
pub fn table(name: &str) -> &str {
    name.strip_prefix("vicket.").unwrap_or(name)
}
