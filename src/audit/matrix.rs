//! `migrations/ISOLATION.md`: who may do what with each table and under which conditions, what runs with the rights of
//! vicket_definer and why, and who the roles are. Written from the catalog; whatever should not be so stands in **bold**.

mod access;
mod functions;
mod notes;
mod roles;

use sqlx::PgConnection;

use super::{names, sql};
use notes::Notes;

const HEAD: &str = "Generated from the catalog: `just isolation` writes it, a test compares it. A weaker policy, a wider grant,
    another body is a changed line. What should not be so is **bold**. `vicket audit show` prints a table or function whole.";

const READING: &str = "Of each table its roles, and what each may do: `S`ELECT, `I`NSERT, `U`PDATE, `D`ELETE, then what a row must
    meet, all of it. `!`: a restrictive policy, met besides. `a | b`: either of two policies. `a -> b`: before and after a
    change. `[]`: the columns granted, where they are not all. `*`: granted on the table, columns of next year included. The
    operator is left out where its command meets the rows of `org` and deletes none; its columns, and those that
    vicket_definer's functions are granted, are in SCHEMA.sql. A small letter has a policy without a grant, or a grant without a
    policy (`none`), and passes nothing. What is not here is not granted; row-level security is on and forced unless it says so.
    Names:";

/// The whole file.
///
/// # Errors
/// When the catalog cannot be read.
pub async fn write(connection: &mut PgConnection) -> anyhow::Result<String> {
    let mut notes = Notes::default();
    let matrix = access::write(&access::read(connection).await?, &mut notes);
    anyhow::ensure!(!notes.names.is_empty(), "there is no table of Vicket in this database");
    let (head, reading) = (sql::paragraph(HEAD), sql::paragraph(READING));
    let mut out = format!(
        "# Isolation, as it is after all migrations\n\n{head}\n\n## Who may do what with which rows\n\n{reading}\n\n```text\n"
    );
    for (name, sql) in names::legend(&notes.names) {
        out += &format!("{}\n", sql::folded(&format!("{name:<9} {sql}"), 10));
    }
    out += &format!("\n{matrix}");
    for (place, condition) in notes.long.iter().enumerate() {
        out += &format!("{}\n", sql::folded(&format!("#{} {condition}", place + 1), 3));
    }
    out += "```\n";
    out += &functions::write(connection).await?;
    out += &roles::write(connection).await?;
    Ok(out)
}
