//! The report as one page that loads nothing: a matrix of tables, roles and commands, each cell with its policies.

use maud::{DOCTYPE, Markup, html};

use super::{
    report::{Access, Report, Table},
    text,
};

const STYLE: &str = include_str!("page.css");

pub fn page(report: &Report) -> String {
    let roles = report.roles();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Isolation of " (report.database) }
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "Isolation of " code { (report.database) } }
                    p { "PostgreSQL " (report.server) ", read as " code { (report.login) } ". " (text::summary(report)) "." }
                }
                @if report.findings.is_empty() {
                    p.clean { "No lint found anything." }
                } @else {
                    section {
                        h2 { "Findings" }
                        @for finding in &report.findings {
                            article class={ "finding " (finding.severity.as_str()) } {
                                h3 { span.severity { (finding.severity.as_str()) } " " (finding.object) ": " (finding.what) }
                                p { (finding.why) " " code { (finding.id) } }
                                pre { (finding.mend) }
                            }
                        }
                    }
                }
                section {
                    h2 { "Who may do what" }
                    p { "A cell opens to the columns that were granted and the policies that a row must pass." }
                    div.wide {
                        table {
                            thead {
                                tr {
                                    th scope="col" { "table" }
                                    th scope="col" { "row-level security" }
                                    @for role in &roles { th scope="col" { (text::short(role)) } }
                                    th scope="col" { "verdict" }
                                }
                            }
                            tbody { @for table in &report.tables { (row(table, &roles)) } }
                        }
                    }
                }
                @if !report.not_seen.is_empty() {
                    section {
                        h2 { "Not seen" }
                        p { "This login may not read these, so nothing is said of them." }
                        ul { @for unseen in &report.not_seen { li { (unseen) } } }
                    }
                }
            }
        }
    }
    .into_string()
}

fn row(table: &Table, roles: &[&str]) -> Markup {
    html! {
        tr {
            th scope="row" { (table.name) }
            td class=[(!table.rls || !table.forced).then_some("error")] {
                @match (table.rls, table.forced) {
                    (true, true) => "forced",
                    (true, false) => "not forced",
                    (false, _) => "OFF",
                }
            }
            @for role in roles {
                td { @for access in table.of(role) { (cell(access)) } }
            }
            td class={ "verdict " (table.verdict()) } { (table.verdict()) }
        }
    }
}

fn cell(access: &Access) -> Markup {
    html! {
        details.access.partial[!access.effective()] {
            summary { (access.command.to_lowercase()) }
            div.card {
                p {
                    @match &access.columns {
                        Some(columns) => { "granted: " (columns) }
                        None => "not granted",
                    }
                }
                @if access.policies.is_empty() { p { "no policy" } }
                @for policy in &access.policies {
                    p {
                        strong { (policy.name) }
                        @if policy.permissive { " lets pass" } @else { " also demands" }
                    }
                    @if let Some(using) = &policy.using { pre { "using " (using) } }
                    @if let Some(check) = &policy.check { pre { "with check " (check) } }
                }
            }
        }
    }
}
