//! What people read is what the program does: the tables of `docs/`, and the commands of README and docs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use clap::{CommandFactory as _, Parser as _};
use reqwest::Method;
use vicket::{api::support, cli::Cli, domain::problem::Code};

use crate::{
    harness::{Answer, World, ticket},
    migrations::changes::{QUICK, migrate, with},
};

#[test]
fn the_role_matrix_is_documented_as_it_is() {
    let rows = rows("docs/api-authentication.md", "## Roles and permissions");
    let documented: Vec<(String, [bool; 4])> =
        rows.iter().map(|row| (code(&row[0]), [1, 2, 3, 4].map(|role| row[role] == "yes"))).collect();
    let known: Vec<(String, [bool; 4])> =
        crate::agent::MATRIX.iter().map(|(permission, roles)| ((*permission).to_owned(), *roles)).collect();
    assert_eq!(documented, known, "left: docs/api-authentication.md; right: what the database is tested against");
}

#[tokio::test]
async fn the_page_on_retention_has_every_table_and_the_columns_that_hold_personal_data() {
    let world = World::new().await;
    let known: Vec<(String, Vec<String>)> = sqlx::query_as(
        "select c.relname::text, array(
            select a.attname::text from pg_attribute a
            where a.attrelid = c.oid and a.attnum > 0 and col_description(c.oid, a.attnum) ~ '(^|[.] )Personal data[.:]'
            order by 1)
        from pg_class c
        where c.relnamespace = 'vicket'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        order by 1",
    )
    .fetch_all(&world.superuser)
    .await
    .expect("the catalog");
    let columns = |text: &str| text.split(", ").filter(|name| !name.is_empty()).map(code).collect::<Vec<_>>();
    let rows = rows("docs/retention.md", "# What is kept, and how long");
    let documented: Vec<_> = rows.iter().map(|row| (code(&row[0]), columns(&row[2]))).collect();
    assert_eq!(documented, known, "left: docs/retention.md; right: the catalog");
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
fn an_endpoint_has_the_statuses_of_its_codes_and_of_those_that_every_call_has() {
    let document: serde_json::Value = serde_json::from_str(&support::document().expect("complete")).expect("JSON");
    let text = read("docs/api-endpoints.md");
    let (_, common) = text.split_once("Every call may also answer").expect("the codes of every call");
    let common = common.split("\n\n").next().unwrap_or_default().split(". Every").next().unwrap_or_default();
    for row in rows("docs/api-endpoints.md", "## The support surface") {
        let call = code(&row[0]);
        let (method, path) = call.split_once(' ').expect("a method and a path");
        let statuses = |text: &str| -> BTreeSet<String> {
            let names = text.split('`').skip(1).step_by(2);
            let known = |name: &str| Code::ALL.iter().find(|code| code.as_str() == name).expect("a code").status();
            names.map(|name| known(name).to_string()).collect()
        };
        // What a row says after "never" is taken from the codes of every call.
        let (own, never) = row[3].split_once("never ").unwrap_or((&row[3], ""));
        let named: BTreeSet<String> = &(&statuses(common) | &statuses(own)) - &statuses(never);
        let responses = document["paths"][path][method.to_lowercase()]["responses"].as_object().expect("responses");
        let answered: BTreeSet<String> = responses.keys().filter(|status| status.as_str() >= "400").cloned().collect();
        assert_eq!(answered, named, "{call}; left: the document; right: the table");
    }
}

#[tokio::test]
async fn what_stands_beside_the_surface_answers_without_a_credential() {
    let world = World::new().await;
    let server = world.serve().await;
    let rows = rows("docs/api-endpoints.md", "## Beside it");
    assert!(rows.len() >= 4, "{rows:?}");
    for row in rows {
        let call = code(&row[0]);
        let (method, path) = call.split_once(' ').expect("a method and a path");
        assert_eq!(method, "GET");
        Answer::of(server.request(Method::GET, path)).await.ok(200);
    }
}

#[tokio::test]
async fn every_limit_is_documented_with_the_quota_that_answers_state() {
    let world = World::new().await;
    let server = world.serve().await;
    let key = &world.site_a.key;
    let preflight = server
        .request(Method::OPTIONS, "/support/v1/site")
        .header("Origin", world.site_a.origin)
        .header("Access-Control-Request-Method", "GET");
    let login = serde_json::json!({ "email": "ada@example.com", "password": "wrong" });
    let agent = world.person("acme", "agent").await;
    // Once to be known, and then counted as oneself.
    server.call(Method::GET, "/v1/orgs/acme/teams", &[("Cookie", &agent.cookie)]).await.ok(200);
    let answers = [
        server.call(Method::GET, "/v1/orgs/acme/teams", &[("Cookie", &agent.cookie)]).await,
        server.get(key, "/support/v1/site").await,
        server.post(key, "/support/v1/tickets", &ticket()).await,
        server.get(key, "/support/v1/key/check").await,
        server.get("no key", "/support/v1/site").await,
        Answer::of(preflight).await,
        Answer::of(server.request(Method::POST, "/v1/auth/login").json(&login)).await,
    ];
    let mut stated = BTreeMap::new();
    for policy in answers.iter().flat_map(|answer| answer.header("ratelimit-policy").expect("limits").split(", ")) {
        let (name, rest) = policy.trim_start_matches('"').split_once("\";q=").expect("a policy");
        let quota = rest.strip_suffix(";w=60").expect("a minute's window");
        stated.insert(name.to_owned(), quota.parse::<u32>().expect("a quota"));
    }
    let mut documented = rows("docs/api-authentication.md", "## Limits");
    documented.extend(rows("docs/api-authentication.md", "## Sessions"));
    let documented: BTreeMap<String, u32> =
        documented.iter().map(|row| (code_in(&row[0]), row[1].replace(',', "").parse().expect("a quota"))).collect();
    assert_eq!(stated, documented, "left: RateLimit-Policy; right: docs/api-authentication.md");
}

#[test]
fn every_setting_is_in_the_readme_with_its_default_and_no_other_is() {
    let mut settings = BTreeMap::new();
    gather_settings(&Cli::command(), &mut settings);
    let rows = rows("README.md", "## Settings");
    let documented: BTreeMap<String, String> = rows.iter().map(|row| (code(&row[0]), code(&row[2]))).collect();
    assert_eq!(rows.len(), documented.len(), "a setting stands twice");
    for (name, default) in &settings {
        let stated = documented.get(name).unwrap_or_else(|| panic!("README.md lacks {name}"));
        assert!(default.as_ref().is_none_or(|default| default == stated), "{name}: {default:?}, README: {stated}");
    }
    let others = ["src/commands/serve.rs", "src/dev/postgres/programs.rs", "tests/it/harness.rs"].map(read).concat();
    for name in documented.keys().filter(|name| !settings.contains_key(*name)) {
        assert!(others.contains(&format!("(\"{name}\")")), "nobody reads {name}");
    }
}

/// The variables of the command line; what is `None` has no default to state.
fn gather_settings(command: &clap::Command, settings: &mut BTreeMap<String, Option<String>>) {
    for argument in command.get_arguments() {
        if let Some(name) = argument.get_env().and_then(|name| name.to_str()) {
            let defaults = argument.get_default_values();
            let default = match defaults.first() {
                Some(default) => default.to_str().map(str::to_owned),
                None => argument.is_required_set().then(|| "required".to_owned()),
            };
            settings.insert(name.to_owned(), default);
        }
    }
    for command in command.get_subcommands() {
        gather_settings(command, settings);
    }
}

const GUIDES: [&str; 12] = [
    "README.md",
    "docs/api-authentication.md",
    "docs/api-endpoints.md",
    "docs/frontend.md",
    "docs/audit.md",
    "docs/migrations.md",
    "docs/database.md",
    "docs/production.md",
    "docs/observability.md",
    "docs/retention.md",
    "docs/mail-in.md",
    "migrations/README.md",
];

#[test]
fn every_command_of_readme_and_docs_parses() {
    let mut parsed = 0;
    for file in GUIDES {
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
    for file in GUIDES {
        let text = read(file);
        let beside = root().join(file);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !link.contains("://") {
                let (target, heading) = link.split_once('#').unwrap_or((link, ""));
                let target = beside.parent().expect("a directory").join(target);
                assert!(target.exists(), "{file} links to {link}");
                let is = |line: &str| {
                    line.starts_with('#')
                        && line.trim_start_matches(['#', ' ']).to_lowercase().replace(' ', "-") == heading
                };
                let found = heading.is_empty() || fs::read_to_string(&target).is_ok_and(|text| text.lines().any(is));
                assert!(found, "{file} links to {link}");
            }
        }
    }
}

#[tokio::test]
async fn the_changes_that_are_shown_are_those_that_squawk_reads_and_they_run() {
    let guide = read("docs/migrations.md");
    let fixtures = root().join(".ci/migrations/fixtures/good");
    let mut changes: Vec<(String, String)> = fs::read_dir(fixtures)
        .expect("the fixtures")
        .map(|entry| entry.expect("a file").path())
        .map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), path))
        .map(|(name, path)| (name, fs::read_to_string(path).expect("text")))
        .collect();
    changes.sort();
    assert!(changes.len() >= 5);
    for (name, sql) in &changes {
        assert!(
            guide.contains(&format!("`{name}`:\n\n```sql\n{sql}```\n")),
            "docs/migrations.md lacks {name} as it is"
        );
    }
    let world = World::new().await;
    let server = world.serve().await;
    server.post(&world.site_a.key, "/support/v1/tickets", &ticket()).await.ok(201);
    // After whatever changes there are.
    let later: Vec<(String, &str)> =
        changes.iter().map(|(name, sql)| (format!("9{}", &name[1..]), sql.as_str())).collect();
    let later: Vec<(&str, &str)> = later.iter().map(|(name, sql)| (name.as_str(), *sql)).collect();
    let report = migrate(&world.database, &with(&later), QUICK).await.expect("migrated");
    assert_eq!(report.ran.len(), changes.len());
    assert_eq!(world.look::<i64>("select count(*) from vicket.tickets where due_at is null").await, 0);
    // What this program, which knows nothing of them, writes.
    server.post(&world.site_a.key, "/support/v1/tickets", &ticket()).await.ok(201);
}

/// `vicket ...` in code blocks and in code spans, without what precedes it (settings of the environment, `cargo run --`).
/// Blocks of settings hold no commands.
fn commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let (mut in_block, mut of_settings) = (false, false);
    for line in text.lines() {
        if let Some(language) = line.strip_prefix("```") {
            in_block = !in_block;
            of_settings = in_block && ["ini", "nginx", "caddyfile"].contains(&language);
            continue;
        }
        if of_settings {
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
    // What the shell does with the output is no argument.
    let arguments = words.iter().position(|word| word == ">").unwrap_or(words.len());
    words.truncate(arguments);
    words
}

/// With the URLs that the command would take from the environment.
fn with_urls(mut words: Vec<String>) -> Vec<String> {
    let (place, flags): (usize, &[&str]) = match words.get(1).map(String::as_str) {
        Some("serve") => (2, &["--widget-url=x", "--agent-url=x", "--worker-url=x"]),
        // Before the subcommand, whose flag it is not.
        Some("migrate" | "org" | "site" | "key" | "user" | "person" | "machine-key" | "audit") => {
            (2, &["--admin-url=x"])
        }
        Some("mail") if words.get(2).is_some_and(|word| word == "reparse") => (3, &["--admin-url=x"]),
        _ => (words.len(), &[]),
    };
    words.splice(place..place, flags.iter().map(|flag| (*flag).to_owned()));
    words
}

/// The cells of the first table after `heading`.
pub fn rows(file: &str, heading: &str) -> Vec<Vec<String>> {
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

/// The text of the first code span.
fn code_in(cell: &str) -> String {
    cell.split('`').nth(1).unwrap_or_default().to_owned()
}

pub fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The blocks of code, each with its language.
pub fn blocks(page: &str) -> Vec<(&str, String)> {
    let mut blocks: Vec<(&str, String)> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(language) if !inside => {
                blocks.push((language, String::new()));
                inside = true;
            }
            Some(_) => inside = false,
            None if inside => {
                let (_, block) = blocks.last_mut().expect("a block began");
                block.push_str(line);
                block.push('\n');
            }
            None => {}
        }
    }
    blocks
}
