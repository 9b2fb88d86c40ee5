//! `vicket migrate --check`: what would run, which locks it takes, and that nothing of it stays.

use std::time::Duration;

use vicket::{
    migrate::{
        Patience,
        check::{self, Check, Mode},
    },
    migrations::files::Files,
};

use super::{
    changes::{QUICK, migrate, with},
    execute, said, superuser, vicket,
};
use crate::harness::{DEPLOY, World, empty_database, url};

async fn look(database: &str, files: &Files, mode: Mode) -> Check {
    check::check(&url(Some(DEPLOY), database), files, &QUICK, mode).await.expect("checked")
}

/// All that a migration could leave: names of relations, columns, policies, functions and constraints, and the ledger.
async fn state(database: &str) -> Vec<String> {
    sqlx::query_scalar(
        "select 'c ' || attrelid::regclass || attname || attnotnull from pg_attribute a
          join pg_class c on c.oid = a.attrelid where c.relnamespace <> 'pg_toast'::regnamespace
        union all select 'p ' || polrelid::regclass || polname from pg_policy
        union all select 'f ' || oid::regprocedure from pg_proc
        union all select 'k ' || conname || convalidated from pg_constraint
        union all select 'r ' || rolname from pg_roles where rolname like 'vicket%'
        union all select 'd ' || description from pg_description
        union all select 'm ' || to_jsonb(m)::text from _sqlx_migrations m
        order by 1",
    )
    .fetch_all(&mut superuser(database).await)
    .await
    .expect("the catalog")
}

#[tokio::test]
async fn each_change_is_tried_and_rolled_back_and_its_locks_are_named() {
    let world = World::new().await;
    let files = with(&[
        ("9000_column.sql", "alter table vicket.tickets add column a integer;"),
        (
            "9001_table.sql",
            "set local role vicket_owner;
            create table vicket.notes (org_id uuid not null, id uuid not null, primary key (org_id, id));
            alter table vicket.notes enable row level security;
            alter table vicket.notes force row level security;
            create policy operator_select on vicket.notes for select to vicket_operator
              using (org_id = (select ctx.org_id()));
            alter table vicket.notes add constraint notes_org_fkey foreign key (org_id) references vicket.orgs (id);
            reset role;",
        ),
        (
            "9002_index.sql",
            "-- vicket: no transaction\ncreate index concurrently if not exists x on vicket.tickets (org_id, a);",
        ),
        ("9003_again.sql", "alter table vicket.tickets alter column a set default 1;"),
    ]);
    let before = state(&world.database).await;
    let check = look(&world.database, &files, Mode::Try).await;
    assert_eq!(state(&world.database).await, before);
    assert!(check.pending() && !check.fails(), "{check:?}");
    let locks = |change: usize| -> Vec<(&str, &str, &str, bool)> {
        let locks = check.changes[change].locks.iter();
        locks.map(|lock| (lock.object.as_str(), lock.mode.as_str(), lock.stops, lock.held_before)).collect()
    };
    assert_eq!(locks(0), [("vicket.tickets", "AccessExclusiveLock", "reads and writes", false)]);
    assert_eq!(locks(1), [("vicket.orgs", "ShareRowExclusiveLock", "writes", false)]);
    assert!(locks(2)[0].1.starts_with("ShareUpdateExclusiveLock; waits for transactions"), "{:?}", locks(2));
    assert_eq!(locks(2)[0].2, "nothing but vacuum and other changes");
    assert_eq!(locks(3), [("vicket.tickets", "AccessExclusiveLock", "reads and writes", true)]);
    let tried: Vec<bool> = check.changes.iter().map(|change| change.milliseconds.is_some()).collect();
    assert_eq!(tried, [true, true, false, true]);
    let text = check.text();
    for line in
        ["Changes that would run: 4", "9000_column", "  create index concurrently if not exists x", "--dry takes none"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
    // What was said is what comes.
    assert_eq!(migrate(&world.database, &files, QUICK).await.expect("migrated").ran.len(), 4);
    let check = look(&world.database, &files, Mode::Try).await;
    assert!(!check.pending() && check.text().contains("Nothing is pending"), "{check:?}");
}

#[tokio::test]
async fn a_dry_look_waits_for_no_lock_and_a_trial_not_long() {
    let database = empty_database().await;
    let files = with(&[
        ("9000_column.sql", "alter table vicket.tickets add column a integer;"),
        ("9001_more.sql", "alter table vicket.tickets add column b integer;"),
    ]);
    let mut blocker = superuser(&database).await;
    execute(&mut blocker, "begin; lock table vicket.tickets in access share mode").await;
    let dry = look(&database, &files, Mode::Dry).await;
    assert_eq!((dry.changes.len(), dry.changes[0].milliseconds), (2, None));
    assert!(!dry.text().contains("--dry takes none"));
    let patience = Patience { lock: Duration::from_millis(700), ..QUICK };
    let tried = check::check(&url(Some(DEPLOY), &database), &files, &patience, Mode::Try).await.expect("checked");
    assert!(tried.pending() && !tried.fails(), "{tried:?}");
    let text = tried.text();
    assert!(text.contains("9000_column: others were in its way: AccessExclusiveLock on vicket.tickets"), "{text}");
    assert!(text.contains("9001_more: not tried, it comes after 9000_column"), "{text}");
}

#[tokio::test]
async fn a_change_that_would_fail_or_break_isolation_is_named() {
    for (bad, why) in [
        ("select 1 / 0;", "9000_bad: would fail: "),
        ("create table vicket.b (org_id uuid not null);", "rls-off: vicket.b"),
    ] {
        let database = empty_database().await;
        let before = state(&database).await;
        let check = look(&database, &with(&[("9000_bad.sql", bad)]), Mode::Try).await;
        assert!(check.fails() && check.text().contains(why), "{}", check.text());
        assert_eq!(state(&database).await, before);
    }
}

#[tokio::test]
async fn of_a_file_that_has_begun_the_rest_is_listed() {
    let database = empty_database().await;
    let files = with(&[(
        "9000_two.sql",
        "-- vicket: no transaction
        create index concurrently if not exists x on vicket.tickets (org_id);
        create index concurrently if not exists y on vicket.tickets (nothing);",
    )]);
    migrate(&database, &files, QUICK).await.expect_err("no such column");
    let check = look(&database, &files, Mode::Try).await;
    assert_eq!(check.changes[0].statements, ["create index concurrently if not exists y on vicket.tickets (nothing)"]);
}

#[tokio::test]
async fn the_command_ends_with_0_for_nothing_3_for_something_and_1_for_what_cannot_be() {
    let run = |database: &str, more: &[&str]| {
        let output = vicket("migrate", &[("VICKET_ADMIN_URL", url(Some(DEPLOY), database))])
            .arg("--check")
            .args(more)
            .output()
            .expect("ended");
        (output.status.code(), said(&output))
    };
    let bare = super::bare_database().await;
    let (code, text) = run(&bare, &[]);
    assert!(code == Some(3) && text.contains("The database is empty: the baseline would be made"), "{text}");
    let nothing: i64 = sqlx::query_scalar("select count(*) from pg_namespace where nspname in ('vicket', 'ctx')")
        .fetch_one(&mut superuser(&bare).await)
        .await
        .expect("the catalog");
    assert_eq!(nothing, 0);
    let migrated = empty_database().await;
    let (code, text) = run(&migrated, &["--dry"]);
    assert!(code == Some(0) && text.contains("Nothing is pending"), "{text}");
    let (code, text) = run(&migrated, &["--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert!(code == Some(0) && json["version"] == json["newest"] && json["changes"] == serde_json::json!([]), "{text}");
    execute(&mut superuser(&migrated).await, "update _sqlx_migrations set checksum = 'x' where version = 1").await;
    let (code, text) = run(&migrated, &[]);
    assert!(code == Some(1) && text.contains("unreleased version"), "{text}");
}
