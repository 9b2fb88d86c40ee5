//! `migrations/ISOLATION.md`: who may do what with each table and under which conditions, what runs with the rights of
//! vicket_definer and why, and who the roles are. Written from the catalog; whatever should not be so stands in **bold**.

mod access;
mod functions;
mod notes;
mod roles;

use sqlx::PgConnection;

use super::{names, sql};
use notes::Notes;

const READING: &str = "Generated from the catalog by `just isolation`: a weaker policy, a wider grant, another body is a changed line. What should not be so is **bold**. Of each table its roles by their first letters, `w:` the widget, what each may do, `S`ELECT, `I`NSERT, `U`PDATE, `D`ELETE, and what a row must meet; ` / `: the next table. `!`: a restrictive policy. `a | b`, `a/b`: either. `(a -> b)`: before and after a change. `[]`: the columns
    granted, if not all, or all `-` them; `*`: all, next year's too. The operator is left out where it meets `org` and
    deletes none; its columns, and vicket_definer's, are in SCHEMA.sql. A small letter lacks its grant, or its policy
    (`none`), and passes nothing. Nothing else is granted; row-level security is on and forced unless it says so.";

/// The whole file.
///
/// # Errors
/// When the catalog cannot be read.
pub async fn write(connection: &mut PgConnection) -> anyhow::Result<String> {
    let mut notes = Notes::default();
    let matrix = access::write(&access::read(connection).await?, &mut notes);
    anyhow::ensure!(!notes.names.is_empty(), "there is no table of Vicket in this database");
    let reading = sql::paragraph(READING);
    let mut out = format!("# Isolation, as it is after all migrations\n{reading}\n\n```text\n");
    let mut legend: Vec<String> =
        names::legend(&notes.names).into_iter().map(|(name, sql)| format!("{name}: {sql}")).collect();
    while !legend.is_empty() {
        // Beside one the longest of the next ones that have room there.
        let mut line = legend.remove(0);
        let fitting = |line: &str, legend: &[String]| {
            let room = sql::WIDTH.saturating_sub(width(line) + GAP.len());
            let fits = legend.iter().enumerate().filter(|(_, one)| width(one) <= room);
            fits.max_by_key(|(place, one)| (width(one), usize::MAX - place)).map(|(place, _)| place)
        };
        while let Some(place) = fitting(&line, &legend) {
            line += GAP;
            line += &legend.remove(place);
        }
        out += &format!("{line}\n");
    }
    out += &format!("\n{matrix}");
    for (place, condition) in notes.long.iter().enumerate() {
        out += &format!("{}\n", sql::folded(&format!("#{} {condition}", place + 1), 3));
    }
    out += &functions::write(connection).await?;
    out += &roles::write(connection).await?;
    out += "```\n";
    Ok(out)
}

/// What parts the names of a line.
const GAP: &str = "   ";

fn width(text: &str) -> usize {
    text.chars().count()
}
