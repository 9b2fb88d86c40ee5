//! The report for a terminal, and for a pull request.

use std::fmt::Write as _;

use super::{
    lints::Severity,
    probe::{Probes, Tally},
    report::{Access, Report, Table},
    roles::short,
};

/// What the letters of the matrix say.
const LEGEND: &str =
    "S I U D: SELECT, INSERT, UPDATE, DELETE with a grant and a policy; small letters: one without the other.";

pub fn text(report: &Report) -> String {
    let mut out =
        format!("{} on {}, PostgreSQL {}, as {}\n\n", report.program, report.database, report.server, report.login);
    let roles = report.roles();
    let header: Vec<String> = ["TABLE", "RLS", "FORCED", "POLICIES"]
        .into_iter()
        .chain(roles.iter().map(|role| short(role)))
        .chain(["VERDICT"])
        .map(str::to_uppercase)
        .collect();
    let mut lines = vec![header];
    lines.extend(report.tables.iter().map(|table| cells(table, &roles)));
    let widths: Vec<usize> =
        (0..lines[0].len()).map(|cell| lines.iter().map(|line| line[cell].len()).max().unwrap_or_default()).collect();
    for line in &lines {
        let padded: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(out, "{}", padded.join("  ").trim_end());
    }
    let _ = writeln!(out, "\n{LEGEND}\n");
    for finding in &report.findings {
        let _ = writeln!(
            out,
            "{} {}: {}: {}\n  why:  {}\n  mend: {}\n",
            finding.severity.as_str().to_uppercase(),
            finding.id,
            finding.object,
            finding.what,
            finding.why,
            finding.mend
        );
    }
    for unseen in &report.not_seen {
        let _ = writeln!(out, "not seen: {unseen}");
    }
    if let Some(probes) = &report.probes {
        out += "\n";
        out += &probed(probes);
    }
    let _ = writeln!(out, "{}", summary(report));
    out
}

/// What the probes did, a line a table.
fn probed(probes: &Probes) -> String {
    let mut out = format!(
        "{:<28} {:>6} {:>8} {:>10} {:>7} {:>9}\n",
        "PROBED", "TRIED", "REFUSED", "CONTAINED", "LEAKED", "OWN ROWS"
    );
    let mut line = |name: &str, tally: &Tally| {
        let _ = writeln!(
            out,
            "{name:<28} {:>6} {:>8} {:>10} {:>7} {:>9}",
            tally.tried, tally.refused, tally.contained, tally.leaked, tally.own_rows
        );
    };
    for (table, tally) in &probes.tables {
        line(table, tally);
    }
    line("all tables", &probes.total());
    line("the gates themselves", &probes.gates);
    line("what was open once", &probes.attacks);
    out += "\n";
    for leak in &probes.leaks {
        let _ = writeln!(out, "LEAK {}: {} {}\n  {}\n", leak.table, leak.subject, leak.what, leak.statement);
    }
    for failure in &probes.failures {
        let _ = writeln!(out, "NOT PROVED {failure}\n");
    }
    out
}

pub fn markdown(report: &Report) -> String {
    let roles = report.roles();
    let mut out = format!(
        "# Isolation of `{}`\n\n{}\n\n| table | RLS | forced | policies | {} | verdict |\n|---|---|---|---|{}---|\n",
        report.database,
        summary(report),
        roles.iter().map(|role| short(role)).collect::<Vec<_>>().join(" | "),
        "---|".repeat(roles.len())
    );
    for table in &report.tables {
        let _ = writeln!(out, "| {} |", cells(table, &roles).join(" | "));
    }
    let _ = writeln!(out, "\n{LEGEND}\n\n## Findings\n");
    if report.findings.is_empty() {
        out += "None.\n";
    }
    for finding in &report.findings {
        let _ = writeln!(
            out,
            "- **{}** `{}` {}: {}. {}\n\n  ```sql\n  {}\n  ```\n",
            finding.severity.as_str(),
            finding.id,
            finding.object,
            finding.what,
            finding.why,
            finding.mend
        );
    }
    if !report.not_seen.is_empty() {
        out += "\n## Not seen\n\n";
        for unseen in &report.not_seen {
            let _ = writeln!(out, "- {unseen}");
        }
    }
    out
}

pub fn summary(report: &Report) -> String {
    let examined = report.examined;
    format!(
        "{} tables, {} policies, {} functions and {} roles examined by {} lints in {} ms: {} errors, {} warnings, {} notices",
        examined.tables,
        examined.policies,
        examined.functions,
        examined.roles,
        examined.lints,
        report.milliseconds,
        report.count(Severity::Error),
        report.count(Severity::Warning),
        report.count(Severity::Notice)
    )
}

fn cells(table: &Table, roles: &[&str]) -> Vec<String> {
    let yes = |is: bool| if is { "yes" } else { "NO" }.to_owned();
    let mut cells = vec![table.name.clone(), yes(table.rls), yes(table.forced), table.policies().to_string()];
    cells.extend(roles.iter().map(|role| letters(table.of(role))));
    cells.push(table.verdict().to_owned());
    cells
}

fn letters<'a>(access: impl Iterator<Item = &'a Access>) -> String {
    let mut letters = ['-'; 4];
    for access in access {
        let (place, letter) = match access.command.as_str() {
            "SELECT" => (0, 'S'),
            "INSERT" => (1, 'I'),
            "UPDATE" => (2, 'U'),
            _ => (3, 'D'),
        };
        letters[place] = if access.effective() { letter } else { letter.to_ascii_lowercase() };
    }
    letters.iter().collect()
}
