//! Databases that are not this program's: of an earlier commit, of a later release, or behind the server.

use std::time::{Duration, Instant};

use vicket::migrations::{files::Files, schema::Schema};

use super::{
    changes::{QUICK, migrate, with},
    check as server_starts, execute, superuser,
};
use crate::harness::{World, empty_database, url};

const UNRELEASED: &str = "this database was made by an unreleased version of Vicket";

#[tokio::test]
async fn a_database_of_an_earlier_commit_is_refused_with_what_to_do() {
    for earlier in [
        "update _sqlx_migrations set checksum = sha384('another text') where version = 1",
        "update _sqlx_migrations set description = 'what was once called so' where version = 1",
        "update _sqlx_migrations set version = 998 where version = 1",
        "delete from _sqlx_migrations where version = 1",
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (999, 'more', true, '', 0)",
    ] {
        let database = empty_database().await;
        migrate(&database, &Files::embedded(), QUICK).await.expect("the twin: as it was made");
        execute(&mut superuser(&database).await, earlier).await;
        // Would be seen if anything ran before the refusal.
        execute(&mut superuser(&database).await, "drop view audit.findings").await;
        let error = migrate(&database, &Files::embedded(), QUICK).await.expect_err(earlier).to_string();
        assert!(error.contains(UNRELEASED) && error.contains("make a new, empty database"), "{earlier}: {error}");
        assert!(!error.contains('\n'), "one sentence: {error}");
        let left: bool = sqlx::query_scalar("select to_regclass('audit.findings') is null")
            .fetch_one(&mut superuser(&database).await)
            .await
            .expect("the catalog");
        assert!(left, "{earlier}: something ran");
    }
}

#[tokio::test]
async fn a_database_that_is_ahead_is_refused_and_one_whose_change_differs_too() {
    let database = empty_database().await;
    let newer = with(&[("9000_a.sql", "select 1")]);
    migrate(&database, &newer, QUICK).await.expect("migrated");
    let error = migrate(&database, &Files::embedded(), QUICK).await.expect_err("ahead").to_string();
    assert!(error.contains("the database is ahead of this program: 9000 (a)"), "{error}");
    let other = with(&[("9000_a.sql", "select 2")]);
    let error = migrate(&database, &other, QUICK).await.expect_err("another text").to_string();
    assert!(error.contains("9000_a ran here with another text"), "{error}");
    let gone = with(&[("9001_b.sql", "select 1")]);
    let error = migrate(&database, &gone, QUICK).await.expect_err("a hole").to_string();
    assert!(error.contains("9000 (a) ran here and is no file of this program"), "{error}");
    migrate(&database, &newer, QUICK).await.expect("the twin: the program that made it");
}

/// The ledger's comment as a database would have it that is at this schema.
async fn pretend(database: &str, schema: &Schema) {
    execute(&mut superuser(database).await, &format!("comment on table _sqlx_migrations is '{}'", schema.comment()))
        .await;
}

#[tokio::test]
async fn a_server_refuses_an_older_schema_and_another_and_works_on_a_newer_one() {
    let database = empty_database().await;
    let ours = Files::embedded().schema();
    let start = async || server_starts(|login| url(Some(login), &database)).await;
    start().await.expect("the twin: its own schema");
    pretend(&database, &Schema { version: ours.version + 1, ..ours.clone() }).await;
    start().await.expect("the next release's schema");
    pretend(&database, &Schema { version: ours.version - 1, ..ours.clone() }).await;
    let error = start().await.expect_err("older").to_string();
    assert!(
        error.contains("refusing to start: the database's schema is") && error.contains("vicket migrate"),
        "{error}"
    );
    pretend(&database, &Schema { baseline: "00".to_owned(), ..ours }).await;
    let error = start().await.expect_err("another").to_string();
    assert!(error.contains(UNRELEASED), "{error}");
    execute(&mut superuser(&database).await, "drop table _sqlx_migrations").await;
    let error = start().await.expect_err("none").to_string();
    assert!(error.contains("no schema that this server knows"), "{error}");
}

#[tokio::test]
async fn readiness_names_the_schema_as_its_reason_and_isolation_as_another() {
    let world = World::new().await;
    let server = world.serve().await;
    let ours = Files::embedded().schema();
    let reasons = async |status: u16| {
        let since = Instant::now();
        loop {
            let answer = server.get("", "/readyz").await;
            if answer.status == status {
                return answer.json()["reasons"].clone();
            }
            assert!(since.elapsed() < Duration::from_secs(5), "{answer:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    assert_eq!(reasons(200).await, serde_json::Value::Null);
    pretend(&world.database, &Schema { version: 0, ..ours.clone() }).await;
    assert_eq!(reasons(503).await, serde_json::json!(["schema_version"]));
    server.get("", "/readyz").await.refused(503, "database_unavailable");
    pretend(&world.database, &ours).await;
    reasons(200).await;
    world.arrange("alter table vicket.articles no force row level security").await;
    assert_eq!(reasons(503).await, serde_json::json!(["isolation"]));
}
