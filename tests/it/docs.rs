//! What people read is what the program does: the tables of `docs/`, and the commands of README and docs.

use std::{collections::BTreeSet, fs, path::Path};

use clap::Parser as _;
use vicket::{api::support, config::Cli, problem::Code};

#[test]
fn every_operation_is_documented_with_its_credential_and_no_other_is() {
    let document: serde_json::Value = serde_json::from_str(&support::document().expect("complete")).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let mut offered = BTreeSet::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().expect("methods") {
            let keyed = operation["security"][0]["PublishableKey"].is_array();
            let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
            let with_ticket = parameters.iter().any(|parameter| parameter["name"] == "X-Vicket-Ticket");
            let credential = match (keyed, with_ticket) {
                (true, false) => "key",
                (true, true) => "key and ticket token",
                _ => "none",
            };
            let answers = operation["responses"].as_object().expect("responses").keys();
            let success: Vec<&str> = answers.map(String::as_str).filter(|status| *status < "400").collect();
            let call = format!("{} {path}", method.to_uppercase());
            offered.insert((call, credential.to_owned(), success.join(", ")));
        }
    }
    let rows = rows("docs/api-endpoints.md", "## The support surface");
    let documented = rows.into_iter().map(|row| (code(&row[0]), row[1].clone(), row[2].clone())).collect();
    assert_eq!(offered, documented, "left: the document; right: docs/api-endpoints.md");
}

#[test]
fn every_code_is_documented_with_its_status_and_no_other_is() {
    let known: BTreeSet<(String, u16)> =
        Code::ALL.iter().map(|code| (code.as_str().to_owned(), code.status())).collect();
    let rows = rows("docs/api-endpoints.md", "## Error codes");
    for row in &rows {
        assert!(row.len() == 4 && !row[2].is_empty() && !row[3].is_empty(), "{row:?}");
    }
    let documented: BTreeSet<(String, u16)> =
        rows.iter().map(|row| (code(&row[0]), row[1].parse().expect("a status"))).collect();
    assert_eq!(known, documented, "left: Code::ALL; right: docs/api-endpoints.md");
    assert_eq!(rows.len(), documented.len(), "a code stands twice");
}

#[test]
fn codes_that_an_endpoint_names_exist_and_their_status_is_in_the_document() {
    let document: serde_json::Value = serde_json::from_str(&support::document().expect("complete")).expect("JSON");
    for row in rows("docs/api-endpoints.md", "## The support surface") {
        let call = code(&row[0]);
        let (method, path) = call.split_once(' ').expect("a method and a path");
        for name in row[3].split('`').skip(1).step_by(2) {
            let known = Code::ALL.iter().find(|code| code.as_str() == name);
            let status = known.unwrap_or_else(|| panic!("{call}: no such code: {name}")).status().to_string();
            let responses = &document["paths"][path][method.to_lowercase()]["responses"];
            assert!(responses[status.as_str()].is_object(), "{call} never answers {status} {name}");
        }
    }
}

#[test]
fn every_command_of_readme_and_docs_parses() {
    let mut parsed = 0;
    for file in ["README.md", "docs/api-authentication.md", "docs/api-endpoints.md"] {
        for command in commands(&read(file)) {
            let tried = Cli::try_parse_from(with_urls(words(&command)));
            if let Err(error) = tried {
                use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
                assert!(matches!(error.kind(), DisplayHelp | DisplayVersion), "{file}: {command}\n{error}");
            }
            parsed += 1;
        }
    }
    assert!(parsed >= 15, "only {parsed} commands were found");
}

#[test]
fn links_to_files_lead_somewhere() {
    for file in ["README.md", "docs/api-authentication.md", "docs/api-endpoints.md"] {
        let text = read(file);
        let beside = root().join(file);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !link.contains("://") {
                let target = beside.parent().expect("a directory").join(link);
                assert!(target.exists(), "{file} links to {link}");
            }
        }
    }
}

/// `vicket ...` in code blocks and in code spans, without what precedes it (settings of the environment, `cargo run --`).
fn commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut in_block = false;
    for line in text.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
            continue;
        }
        let spans: Vec<&str> = if in_block { vec![line] } else { line.split('`').skip(1).step_by(2).collect() };
        for span in spans {
            let span = span.split(" #").next().unwrap_or_default().trim();
            if let Some(arguments) = span.strip_prefix("cargo run -- ") {
                commands.push(format!("vicket {arguments}"));
            } else if let Some((settings, arguments)) = span.split_once("vicket ")
                && settings.split_whitespace().all(|word| word.contains('='))
                && (in_block || names_all(arguments))
            {
                commands.push(format!("vicket {arguments}"));
            }
        }
    }
    commands
}

/// In prose a command may be named without its arguments (`vicket migrate`, `vicket site add-origin`): those that take
/// a site are complete only with it.
fn names_all(arguments: &str) -> bool {
    arguments.contains('/') || arguments.contains("--help")
}

/// Splits as a shell does, as far as our commands need it; `N` stands for a number.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (place, part) in command.split('\'').enumerate() {
        if place % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(|word| if word == "N" { "1" } else { word }.to_owned()));
        }
    }
    words
}

/// With the URLs that the command would take from the environment.
fn with_urls(mut words: Vec<String>) -> Vec<String> {
    let (place, flags): (usize, &[&str]) = match words.get(1).map(String::as_str) {
        Some("serve") => (2, &["--widget-url=x", "--agent-url=x", "--worker-url=x"]),
        // Before the subcommand, whose flag it is not.
        Some("migrate" | "org" | "site" | "key") => (2, &["--admin-url=x"]),
        _ => (words.len(), &[]),
    };
    words.splice(place..place, flags.iter().map(|flag| (*flag).to_owned()));
    words
}

/// The cells of the first table after `heading`.
fn rows(file: &str, heading: &str) -> Vec<Vec<String>> {
    let text = read(file);
    let (_, after) = text.split_once(heading).unwrap_or_else(|| panic!("{file} lacks {heading}"));
    let table = after.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| {
        let line = line.trim().trim_start_matches('|');
        line.strip_suffix('|').unwrap_or(line).split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    table.skip(2).map(cells).collect()
}

/// The text of a code span.
fn code(cell: &str) -> String {
    cell.trim_matches('`').to_owned()
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
