//! Files that are generated and committed: each has one command, and a test here that fails when it is stale.
//!
//! With `VICKET_BLESS=1` the tests write what they would have compared.

mod tables;

use std::{collections::BTreeSet, path::Path};

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use vicket::{
    audit::{self, lints, matrix, schema},
    http::openapi,
};

use crate::{
    harness::{DEPLOY, World, connect, url},
    migrations::bare_database,
    upgrade::{dump, restore},
};

/// Compares `text` with the committed file, or writes it.
fn compare(file: &str, text: &str, command: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("VICKET_BLESS").is_some() {
        std::fs::write(&path, text).expect("the checkout is writable");
        return;
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = committed.lines().zip(text.lines()).find(|(committed, generated)| committed != generated);
    assert!(committed == text, "{file} is stale; run: {command}\nfirst difference: {differs:?}");
}

#[test]
fn the_committed_openapi_documents_are_the_generated_ones() {
    let document = vicket::api::support::document().expect("a complete document");
    compare("openapi/support.v1.json", &document, "just openapi");
    let document = vicket::api::agent::document().expect("a complete document");
    compare("openapi/agent.v1.json", &document, "just openapi");
}

#[test]
fn the_committed_tables_of_operations_are_those_of_the_documents() {
    let file = "docs/api-endpoints.md";
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("the guide");
    let support = tables::support(&vicket::api::support::document().expect("a complete document"));
    let agent = tables::agent(&vicket::api::agent::document().expect("a complete document"));
    let text = tables::put(&text, "support operations", &support);
    compare(file, &tables::put(&text, "agent operations", &agent), "just docs");
}

/// Whoever reads a document sees of each error its own code, of each parameter and each body of files what one looks like, and
/// of each credential how it is sent.
#[test]
fn each_error_parameter_and_body_has_an_example() {
    let documents = [vicket::api::support::document(), vicket::api::agent::document()];
    let mut tokens = 0;
    for document in documents {
        let document: Value = serde_json::from_str(&document.expect("a complete document")).expect("JSON");
        let schemas = &document["components"]["schemas"];
        let mut codes = BTreeSet::new();
        for (path, method, operation) in openapi::operations(&document) {
            let call = format!("{method} {path}");
            for (status, response) in operation["responses"].as_object().expect("answers") {
                let Some(problem) = response["content"].get("application/problem+json") else { continue };
                let examples = problem["examples"].as_object().unwrap_or_else(|| panic!("{call} {status}: no example"));
                assert!(!examples.is_empty(), "{call} {status}");
                for (code, example) in examples {
                    let pointer = example["$ref"].as_str().and_then(|at| at.strip_prefix('#')).expect("a reference");
                    let value = &document.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}"))["value"];
                    assert_eq!(
                        (&value["code"], &value["status"]),
                        (&json!(code), &json!(status.parse::<u16>().unwrap()))
                    );
                    assert!(
                        response["description"].as_str().expect("text").contains(&format!("`{code}`")),
                        "{call} {code}"
                    );
                    codes.insert(code.clone());
                }
            }
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(!parameter["example"].is_null(), "{call}: no example of {}", parameter["name"]);
                assert_ne!(parameter["name"], "X-Vicket-Ticket", "{call}: a credential is no parameter");
            }
            let bodies = operation["requestBody"]["content"].as_object();
            for (media_type, body) in bodies.into_iter().flatten() {
                let named = body["schema"]["$ref"].as_str().and_then(|name| name.rsplit('/').next());
                let of_schema = named.map(|name| &schemas[name]["example"]);
                let has = !body["example"].is_null() || of_schema.is_some_and(|example| !example.is_null());
                assert!(has, "{call}: no example of {media_type}");
            }
            let security = operation["security"].as_array().expect("said of each");
            tokens +=
                security.iter().filter(|all| all["PublishableKey"].is_array() && all["TicketToken"].is_array()).count();
            for name in security.iter().flat_map(|all| all.as_object().expect("an object").keys()) {
                assert!(document["components"]["securitySchemes"][name].is_object(), "{call}: {name}");
            }
        }
        assert!(codes.len() > 12, "{codes:?}");
    }
    assert_eq!(tokens, 4, "what a ticket's token opens");
}

/// A connection as who deploys, which is all that the two files need.
async fn deployer(world: &World) -> PgConnection {
    audit::connect(&world.url(DEPLOY)).await.expect("the deploying login")
}

/// One that may change things, and reads names as the one that audits.
async fn superuser(database: &str) -> PgConnection {
    let mut connection = connect(&url(None, database)).await;
    sqlx::raw_sql("set jit = off; set search_path = pg_catalog").execute(&mut connection).await.expect("settings");
    connection
}

async fn isolation(connection: &mut PgConnection) -> String {
    matrix::write(connection).await.expect("the catalog")
}

#[tokio::test]
async fn the_committed_isolation_is_what_the_catalog_says_and_can_be_read() {
    let world = World::new().await;
    let text = isolation(&mut deployer(&world).await).await;
    compare("migrations/ISOLATION.md", &text, "just isolation");
    // What a DBA reads to see how isolation holds: the five files that migrations/README.md names.
    let mut lines = text.lines().count();
    for line in text.lines() {
        assert!(line.chars().count() <= 120, "wider than 120 columns: {line}");
    }
    for file in ["README.md", "roles.sql", "0001_context.sql", "0019_saved_replies.sql"] {
        let path = format!("{}/migrations/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).expect("a file of the migrations");
        lines += text.lines().count();
        for line in text.lines() {
            assert!(line.chars().count() <= 120, "{file} is wider than 120 columns: {line}");
        }
    }
    assert!(lines <= 500, "{lines} lines are more than somebody reads at once");
}

const SHIPPED: &str = "src/audit/lints/shipped.sql";

/// Rows of objects, each without what parts it from the next.
fn rows(text: &str) -> BTreeSet<&str> {
    text.lines().map(|row| row.trim_end_matches(',')).collect()
}

/// The same without their digests.
fn names(text: &str) -> BTreeSet<&str> {
    text.lines().map(|row| row.rsplit_once(", ").expect("a digest at the end").0).collect()
}

#[tokio::test]
async fn the_committed_objects_are_those_that_the_migrations_make_whoever_reads_them() {
    let world = World::new().await;
    let made = lints::objects(&mut deployer(&world).await).await.expect("the catalog");
    for kind in ["policy", "trigger", "constraint", "unique index", "function"] {
        assert!(made.contains(&format!("    ('{kind}', '")), "no {kind}");
    }
    assert_eq!(made, lints::objects(&mut superuser(&world.database).await).await.expect("the catalog"));
    // The next test writes them.
    if std::env::var_os("VICKET_BLESS").is_none() {
        let committed = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(SHIPPED)).expect("a file");
        assert_eq!(names(&made), names(&committed), "{SHIPPED} is stale; run: just isolation");
        let new: Vec<_> = rows(&made).difference(&rows(&committed)).copied().collect();
        assert!(new.is_empty(), "{SHIPPED} is stale; run: just isolation\n{new:?}");
    }
}

/// What comes back from a backup is no less the migrations': parentheses that PostgreSQL writes otherwise are all that differs.
#[tokio::test]
async fn the_committed_objects_are_those_of_the_migrations_and_of_a_restored_dump_as_pg_dump_says() {
    let world = World::new().await;
    let made = lints::objects(&mut deployer(&world).await).await.expect("the catalog");
    let backup = bare_database().await;
    restore(&backup, &dump(&url(None, &world.database), &[]).await.expect("pg_dump")).await;
    let restored = lints::objects(&mut superuser(&backup).await).await.expect("the catalog");
    assert_eq!(names(&made), names(&restored));
    let all: Vec<&str> = rows(&made).union(&rows(&restored)).copied().collect();
    compare(SHIPPED, &format!("{}\n", all.join(",\n")), "just isolation");
}

#[tokio::test]
async fn the_committed_schema_is_what_the_catalog_says_and_makes_the_same_again() {
    let world = World::new().await;
    let mut connection = deployer(&world).await;
    let text = schema::write(&mut connection).await.expect("the catalog");
    compare("migrations/SCHEMA.sql", &text, "just isolation");
    assert!(!text.contains(DEPLOY), "the name of who deploys");

    let again = format!("{}_again", world.database);
    world.arrange(&format!("create database {again} template template0")).await;
    let mut made = superuser(&again).await;
    sqlx::raw_sql(AssertSqlSafe(text.as_str())).execute(&mut made).await.expect("SCHEMA.sql runs");
    let from_it = schema::write(&mut made).await.expect("the catalog");
    let differs = text.lines().zip(from_it.lines()).find(|(one, other)| one != other);
    assert!(text == from_it, "SCHEMA.sql does not make what it says: {differs:?}");
    // The views of the lints are not written in it.
    let but_views =
        |text: String| text.lines().filter(|line| !line.starts_with("audit.")).collect::<Vec<_>>().join("\n");
    assert_eq!(but_views(isolation(&mut connection).await), but_views(isolation(&mut made).await));
    made.close().await.expect("closing");
    world.arrange(&format!("drop database {again}")).await;
}

/// What ISOLATION.md says once `sql` has run, and did not say before; rolled back.
async fn changed(connection: &mut PgConnection, before: &str, sql: &str) -> String {
    let mut tx = connection.begin().await.expect("begin");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *tx).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let after = isolation(&mut tx).await;
    tx.rollback().await.expect("rolled back");
    let new: Vec<&str> = after.lines().filter(|line| !before.lines().any(|known| known == *line)).collect();
    new.join("\n")
}

/// A table of this test, beside those of the migrations.
const ODD: &str = "create table vicket.odd (org_id uuid not null, site_id uuid, id uuid, secret text, word text);
    alter table vicket.odd owner to vicket_owner, enable row level security, force row level security;
    create policy one on vicket.odd for select to vicket_widget
      using (org_id = (select ctx.org_id()) and (site_id is null or site_id = (select ctx.site_id())) and word = 'a');
    create policy seal on vicket.odd as restrictive to vicket_widget
      using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()))
      with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
    create policy two on vicket.odd for update to vicket_agent
      using (org_id = (select ctx.org_id()) and ((select ctx.may('a:b')) or (select ctx.may('a:c'))))
      with check (org_id = (select ctx.org_id()) and (select ctx.may('a:b')));
    create policy three on vicket.odd for delete to vicket_agent using (word = 'a');
    create policy four on vicket.odd for delete to vicket_agent using ((select ctx.is_member()));
    create policy five on vicket.odd to vicket_operator using (org_id = (select ctx.org_id()));
    grant select (org_id, site_id, id, word) on vicket.odd to vicket_widget;
    grant update (word), delete on vicket.odd to vicket_agent;
    grant select, insert (id) on vicket.odd to vicket_operator;
    grant select on vicket.odd to vicket_definer;\n";

#[tokio::test]
async fn what_is_weaker_is_another_line_of_the_isolation_and_what_must_not_be_is_bold() {
    let world = World::new().await;
    let mut connection = superuser(&world.database).await;
    sqlx::raw_sql(ODD).execute(&mut connection).await.expect("a table");
    let before = isolation(&mut connection).await;
    for line in [
        "odd  w: S org site? (word = 'a') !key [- secret]   a: U org (a:b/c -> a:b) [word]; D (word = 'a') | member",
        "   d: s* none",
    ] {
        // Wherever its lines are broken.
        assert!(before.replace("\n  ", " ").replace("     d: ", "   d: ").contains(line), "{line}\n{before}");
    }
    let long = "create policy six on vicket.odd for insert to vicket_agent with check
        (word in (select o.word from vicket.odd o where o.secret = 'a' and o.word = 'b'));
        grant insert (word, secret) on vicket.odd to vicket_agent;";
    let made =
        "create function ctx.odd() returns boolean language plpgsql security definer as 'begin return true; end';";
    let mut silent = Vec::new();
    for (sql, said) in [
        ("alter table vicket.odd disable row level security", "**row-level security is off**"),
        ("alter table vicket.odd no force row level security", "**row-level security is not forced**"),
        ("alter table vicket.odd owner to vicket_operator", "**owned by vicket_operator**"),
        ("alter policy one on vicket.odd to public", "**PUBLIC**: s org site? (word = 'a')"),
        ("grant select on vicket.odd to public", "**PUBLIC**: s* none"),
        ("grant select on vicket.odd to vicket_gate_widget", "**vicket_gate_widget**: s* none"),
        ("grant truncate on vicket.odd to vicket_agent", "; **TRUNCATE**"),
        ("grant delete on vicket.odd to vicket_agent with grant option", "; **with grant option**"),
        ("grant select on vicket.odd to vicket_widget", "w: S* org site? (word = 'a') !key"),
        ("grant update (org_id) on vicket.odd to vicket_agent", "[org_id word]"),
        ("alter policy one on vicket.odd using (true)", "w: S true !key"),
        (
            "alter table vicket.odd add published boolean; alter policy one on vicket.odd using (published)",
            "S (published) !key",
        ),
        (
            "drop policy one on vicket.odd; create policy one on vicket.odd for select to vicket_widget",
            "S (false) !key",
        ),
        ("drop policy seal on vicket.odd", "w: S org site? (word = 'a') [- secret]"),
        (
            "alter policy seal on vicket.odd with check (true)",
            "!key [- secret]; i none !true; u none (!key -> !true)",
        ),
        (
            "alter policy seal on vicket.odd using (org_id = (select ctx.org_by_key()))",
            "!key-org [- secret]; i none !key; u none (!key-org -> !key)",
        ),
        ("alter policy four on vicket.odd using (true)", "'a') | true"),
        (long, "a: I #"),
        (long, " [secret word]; U "),
        (long, " word in (select o.word from vicket.odd o where o.secret = 'a' and o.word = 'b')"),
        ("create view vicket.odder as select * from vicket.odd", "**a view without security_invoker**"),
        ("create materialized view vicket.odder as select 1 as one", "**a materialized view**"),
        ("create sequence vicket.odder", "**a sequence**"),
        (made, "**PUBLIC**"),
        (made, "**owned by postgres** **without"),
        (made, "search_path** **no"),
        ("grant execute on function ctx.org_id() to public", "**executable by PUBLIC**"),
        (
            "comment on function ctx.org_by_key() is 'The org. Definer: it reads keys.'",
            "it reads keys: org_by_key ",
        ),
        ("alter function ctx.org_id() immutable", "**immutable**"),
        ("alter function ctx.org_id() leakproof", "**leakproof**"),
        ("alter function ctx.org_by_key() set work_mem = '1GB'", "(work_mem=1GB)"),
        (
            "create or replace function ctx.org_by_key() returns uuid language plpgsql stable parallel safe security definer
               set search_path = pg_catalog, pg_temp as 'begin return null; end'",
            "ticket_id =",
        ),
        ("grant delete on vicket.odd to vicket_operator", "o: S*IuD org"),
        ("drop policy five on vicket.odd", "o: s*i none"),
        ("grant create on schema ctx to vicket_agent", "**agent: CREATE**"),
        ("grant create on schema public to vicket_agent", "public (**agent: CREATE**)"),
        (
            "alter default privileges for role vicket_owner grant select on tables to vicket_agent",
            "**SELECT on what vicket_owner makes: vicket_agent**",
        ),
        ("alter role vicket_agent bypassrls", "agent: **bypassrls** no login"),
        ("alter role vicket_gate_agent inherit", "gate_agent: a login that **inherits**"),
        ("grant vicket_agent to vicket_gate_widget", "agent, widget; enable_bitmapscan=off"),
    ] {
        // Whatever line it goes on in.
        let new = changed(&mut connection, &before, sql).await.replace("\n  ", " ");
        if !new.contains(said) {
            silent.push(format!("{sql}\nlacks {said}:\n{new}"));
        }
    }
    assert!(silent.is_empty(), "{}", silent.join("\n\n"));
    let partitions = "create table vicket.even (org_id uuid, at date) partition by range (at);
        create table vicket.even_1 partition of vicket.even for values from ('2026-01-01') to ('2026-02-01');
        alter table vicket.even owner to vicket_owner, enable row level security, force row level security;
        alter table vicket.even_1 owner to vicket_owner, enable row level security, force row level security;";
    let new = changed(&mut connection, &before, partitions).await;
    assert!(new.contains("even  nobody") && !new.contains("even_1"), "a partition goes with its parent: {new}");
    let reached = format!("{partitions} grant select on vicket.even_1 to vicket_agent");
    let new = changed(&mut connection, &before, &reached).await;
    assert!(new.contains("even_1  a: s* none"), "{new}");
}

#[tokio::test]
async fn every_kind_of_policy_that_asks_something_else_is_another_line() {
    let world = World::new().await;
    let mut connection = superuser(&world.database).await;
    let before = isolation(&mut connection).await;
    // One for each set of roles, command, kind and clause, asking what no row meets.
    let other: Vec<String> = sqlx::query_scalar(
        "select distinct on (p.polroles, p.polcmd, p.polpermissive, clause)
          format('alter policy %I on %s %s (false)', p.polname, p.polrelid::regclass, clause)
        from pg_policy p cross join lateral (values ('using', p.polqual), ('with check', p.polwithcheck)) c (clause, expression)
        where expression is not null",
    )
    .fetch_all(&mut connection)
    .await
    .expect("the policies");
    assert!(other.len() >= 12, "{other:?}");
    for sql in other {
        let new = changed(&mut connection, &before, &sql).await;
        assert!(!new.is_empty(), "{sql}");
    }
}
