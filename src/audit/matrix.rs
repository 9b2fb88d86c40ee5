//! `migrations/ISOLATION.md`: who may do what with each table and under which conditions, what runs with the rights of
//! vicket_definer and why, and who the roles are. Written from the catalog; whatever should not be so stands in **bold**.

mod access;
mod functions;
mod roles;

use std::collections::BTreeSet;

use sqlx::PgConnection;

use super::{names, sql};

const HEAD: &str = "Generated from the catalog: `just isolation` writes it, a test compares it. A weaker policy, a wider grant, another
    body is a changed line. What should not be so is **bold**. `vicket audit show` prints a table or function whole.";

const READING: &str = "Of each table its roles, and what each may do: `S`ELECT, `I`NSERT, `U`PDATE, `D`ELETE, then what a row must
    meet, all of it. `!`: a restrictive policy, met besides. `a | b`: either of two policies. `a -> b`: before and after a
    change. `[]`: the columns granted, where they are not all; `*`: granted on the table, columns of next year included. The
    operator is left out where its command meets the rows of `org` and deletes none; its columns, and vicket_definer's, are in
    SCHEMA.sql. A small letter has a policy without a grant, or a grant without one (`none`), and passes nothing. What is not
    here is not granted; row-level security is on and forced unless it says so. First, what the names stand for.";

/// The whole file.
///
/// # Errors
/// When the catalog cannot be read.
pub async fn write(connection: &mut PgConnection) -> anyhow::Result<String> {
    let mut notes = Notes::default();
    let matrix = access::write(&access::read(connection).await?, &mut notes);
    anyhow::ensure!(!notes.names.is_empty(), "there is no table of Vicket in this database");
    let (head, reading) = (sql::paragraph(HEAD), sql::paragraph(READING));
    let mut out = format!("# Isolation, as it is after all migrations\n\n{head}\n\n{reading}\n\n```text\n");
    // Where there is room, two in a line.
    let mut legend: Vec<String> = Vec::new();
    for (name, sql) in names::legend(&notes.names) {
        let entry = format!("{name:<9} {sql}");
        match legend.iter_mut().find(|line| COLUMN.max(line.chars().count() + 2) + entry.chars().count() <= sql::WIDTH) {
            Some(line) => *line = format!("{line:<COLUMN$}  {entry}"),
            None => legend.push(entry),
        }
    }
    out += &format!("{}\n\n{matrix}", legend.join("\n"));
    for (place, condition) in notes.long.iter().enumerate() {
        out += &format!("{}\n", sql::folded(&format!("#{} {condition}", place + 1), 3));
    }
    out += &functions::write(connection).await?;
    out += &roles::write(connection).await?;
    out += "```\n";
    Ok(out)
}

/// Where the second of two names in a line begins, or after it.
const COLUMN: usize = 56;

/// What the matrix refers to.
#[derive(Default)]
struct Notes {
    names: BTreeSet<String>,
    /// Conditions that are too long for a line.
    long: Vec<String>,
}

/// As people call it: a role without the prefix that all have, and in bold who should be nowhere.
fn role(name: &str) -> String {
    match name.strip_prefix("vicket_") {
        Some(short) => short.to_owned(),
        None => format!("**{name}**"),
    }
}

/// A table of the schema that holds them all is called by its name.
fn table(name: &str) -> &str {
    name.strip_prefix("vicket.").unwrap_or(name)
}

/// Requests' roles first, whoever should not be there last.
pub(super) fn rank(role: &str) -> (usize, &str) {
    const ORDER: [&str; 4] = ["vicket_widget", "vicket_agent", "vicket_operator", "vicket_definer"];
    (ORDER.into_iter().position(|known| known == role).unwrap_or(ORDER.len()), role)
}
