//! The report as SARIF 2.1.0, for code scanning.

use serde_json::{Value, json};

use super::report::Report;

/// A finding is about the database and not about a file, so its place is an object's name; the file is the committed state of
/// the catalog, because code scanning shows nothing without one.
pub fn document(report: &Report) -> Value {
    let rules: Vec<Value> = report
        .rules
        .iter()
        .map(|(id, severity, why)| {
            json!({
                "id": id,
                "shortDescription": { "text": why },
                "help": { "text": format!("docs/audit.md, `{id}`") },
                "defaultConfiguration": { "level": level(severity) },
            })
        })
        .collect();
    let results: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            json!({
                "ruleId": finding.id,
                "level": level(finding.severity.as_str()),
                "message": { "text": format!("{}: {}. {} Mend: {}", finding.object, finding.what, finding.why, finding.mend) },
                "locations": [{
                    "physicalLocation": {
                        "artifactLocation": { "uri": "migrations/ISOLATION.md" },
                        "region": { "startLine": 1 },
                    },
                    "logicalLocations": [{ "fullyQualifiedName": finding.object }],
                }],
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": report.program, "version": report.version, "rules": rules } },
            "results": results,
        }],
    })
}

fn level(severity: &str) -> &str {
    if severity == "notice" { "note" } else { severity }
}
