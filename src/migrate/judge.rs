//! Whether isolation holds after a file, by the lints of [`crate::audit`].

use sqlx::{PgConnection, migrate::Migration};

use crate::{
    audit::lints::{self, Severity},
    migrations::files::Files,
};

/// Which lints may judge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// More files are to come, and nobody uses the database before: what they all make is judged.
    Unused,
    /// More files are to come, or they are not yet what this program knows.
    Between,
    /// The schema is what this program knows.
    Last,
}

/// What these lints compare with what all files make, so that it is judged after the last.
const OF_THE_LAST: [&str; 6] =
    ["function-body", "function-missing", "function-unknown", "object-changed", "object-missing", "object-unknown"];

/// # Errors
/// When a lint finds an error.
pub async fn judge(connection: &mut PgConnection, moment: Moment) -> anyhow::Result<()> {
    if moment == Moment::Unused {
        return Ok(());
    }
    sqlx::raw_sql("set local jit = off; set local search_path = pg_catalog").execute(&mut *connection).await?;
    let findings: Vec<String> = lints::findings(connection)
        .await?
        .into_iter()
        .filter(|finding| finding.severity == Severity::Error)
        .filter(|finding| moment == Moment::Last || !OF_THE_LAST.contains(&finding.id.as_str()))
        .map(|finding| format!("{}: {}: {}", finding.id, finding.object, finding.what))
        .collect();
    anyhow::ensure!(findings.is_empty(), "isolation would not hold:\n  {}", findings.join("\n  "));
    Ok(())
}

/// Whether more files than this one are to come, or they are not what this program knows. `fresh`: this run made the database.
pub fn moment(file: &Migration, files: &Files, fresh: bool) -> Moment {
    if files.schema().version != file.version && fresh {
        Moment::Unused
    } else if files.known() && files.schema().version == file.version {
        Moment::Last
    } else {
        Moment::Between
    }
}
