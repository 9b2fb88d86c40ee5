//! Changes after the baseline, beside traffic: what waits gives up and tries again, what fails takes nothing with it that
//! was there before, and what was killed goes on.
//!
//! There is no such file yet: these tests hand the runner theirs.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::{sync::oneshot, task::JoinHandle};
use vicket::{
    migrate::{self, Passwords, Patience, Report},
    migrations::files::{self, Files},
};

use super::{execute, superuser};
use crate::harness::{DEPLOY, Options, World, empty_database, ticket, url};

/// Files after all that there are, in this order.
pub fn with(changes: &[(&str, &str)]) -> Files {
    changes.iter().fold(Files::embedded(), |files, (name, sql)| files.with(name, sql).expect("a change"))
}

pub const QUICK: Patience = Patience {
    lock: Duration::from_millis(200),
    statement: Duration::from_secs(30),
    tries: 40,
    pause: Duration::from_millis(20),
};

pub async fn migrate(database: &str, files: &Files, patience: Patience) -> anyhow::Result<Report> {
    migrate::run_files(&url(Some(DEPLOY), database), &Passwords::default(), files, &patience).await
}

/// A migration beside the test, as another process would be.
struct Other {
    ended: JoinHandle<Option<anyhow::Result<Report>>>,
    kill: oneshot::Sender<()>,
}

impl Other {
    fn start(database: &str, files: &Files, patience: Patience) -> Self {
        let (database, files) = (database.to_owned(), files.clone());
        let (kill, killed) = oneshot::channel();
        let ended = tokio::task::spawn_blocking(move || {
            tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
                tokio::select! {
                    outcome = migrate(&database, &files, patience) => Some(outcome),
                    Ok(()) = killed => None,
                }
            })
        });
        Self { ended, kill }
    }

    async fn ended(self) -> anyhow::Result<Report> {
        self.ended.await.expect("no panic").expect("not killed")
    }

    /// Its connections close as those of a killed process do: with nothing said.
    async fn killed(self) {
        self.kill.send(()).expect("it runs");
        assert!(self.ended.await.expect("no panic").is_none());
    }

    fn runs(&self) -> bool {
        !self.ended.is_finished()
    }
}

async fn one<T>(connection: &mut PgConnection, sql: &str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_one(connection)
        .await
        .unwrap_or_else(|e| panic!("{sql}: {e}"))
}

/// Versions from 9000 on, and whether each has ended.
async fn ledger(database: &str) -> Vec<(i64, bool)> {
    sqlx::query_as("select version, success from _sqlx_migrations where version >= 9000 order by 1")
        .fetch_all(&mut superuser(database).await)
        .await
        .expect("the ledger")
}

async fn has_column(database: &str, column: &str) -> bool {
    let sql = format!(
        "select exists (select from pg_attribute where attrelid = 'vicket.tickets'::regclass and attname = '{column}')"
    );
    one(&mut superuser(database).await, &sql).await
}

/// Waits until the condition holds.
async fn until(database: &str, condition: &str) {
    let mut looking = superuser(database).await;
    let began = Instant::now();
    while !one::<bool>(&mut looking, condition).await {
        assert!(began.elapsed() < Duration::from_secs(20), "never: {condition}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const A_COLUMN: (&str, &str) = ("9000_a_column.sql", "alter table vicket.tickets add column a integer;");
const AN_INDEX: (&str, &str) = (
    "9001_an_index.sql",
    "-- vicket: no transaction
    create index concurrently if not exists tickets_of_test on vicket.tickets (org_id, site_id, a);
    comment on index vicket.tickets_of_test is 'For a test.';
    analyze vicket.tickets;",
);
/// Waits of a migration for others, and whether it is the one of this database that makes an index.
const INDEX_WAITS: &str = "select exists (select from pg_locks l join pg_stat_activity a using (pid)
    where not l.granted and l.locktype = 'virtualxid' and a.datname = current_database())";
const IS_VALID: &str = "select coalesce((select indisvalid from pg_index where indexrelid = to_regclass('vicket.tickets_of_test')), false)";
const IS_INVALID: &str = "select exists (select from pg_index
    where indexrelid = to_regclass('vicket.tickets_of_test') and not indisvalid)";

/// A change of two tables, and a request that reads them in the other order and waited first: PostgreSQL would end that one.
#[tokio::test]
async fn of_a_change_and_a_request_that_wait_for_each_other_the_change_gives_up() {
    let database = empty_database().await;
    let both = (
        "9000_two_tables.sql",
        "alter table vicket.tickets add column a integer;
        do $$ declare began constant timestamptz := clock_timestamp();
          begin while clock_timestamp() < began + interval '300 ms' loop end loop; end $$;
        alter table vicket.ticket_messages add column a integer;",
    );
    migrate(&database, &Files::embedded(), QUICK).await.expect("the baseline");
    let mut request = superuser(&database).await;
    execute(&mut request, "begin; select from vicket.ticket_messages").await;
    let other = Other::start(&database, &with(&[both]), Patience::default());
    until(
        &database,
        "select exists (select from pg_locks l join pg_database d on d.oid = l.database
        where d.datname = current_database() and l.relation = 'vicket.tickets'::regclass and l.mode = 'AccessExclusiveLock' and l.granted)",
    )
    .await;
    execute(&mut request, "select from vicket.tickets; commit").await;
    other.ended().await.expect("it tried again");
    assert!(has_column(&database, "a").await);
}

#[tokio::test]
async fn changes_run_once_in_both_lanes_and_stand_in_the_ledger() {
    let database = empty_database().await;
    let a_check =
        ("9002_a_check.sql", "alter table vicket.tickets add constraint tickets_a_check check (a > 0) not valid;");
    let validated = (
        "9003_a_check_of_all.sql",
        "-- vicket: no transaction\nalter table vicket.tickets validate constraint tickets_a_check;",
    );
    let files = with(&[A_COLUMN, AN_INDEX, a_check, validated]);
    let first = migrate(&database, &files, QUICK).await.expect("migrated");
    assert_eq!(first.ran, ["9000_a_column", "9001_an_index", "9002_a_check", "9003_a_check_of_all"]);
    assert_eq!(first.version, 9003);
    assert_eq!(ledger(&database).await, [(9000, true), (9001, true), (9002, true), (9003, true)]);
    let mut looking = superuser(&database).await;
    assert!(one::<bool>(&mut looking, IS_VALID).await);
    assert!(
        one::<bool>(&mut looking, "select convalidated from pg_constraint where conname = 'tickets_a_check'").await
    );
    let comment: String = one(&mut looking, "select obj_description('_sqlx_migrations'::regclass)").await;
    assert!(comment.starts_with("Schema 9003 on baseline "), "{comment}");
    let second = migrate(&database, &files, QUICK).await.expect("migrated again");
    assert_eq!((second.ran, second.version), (Vec::new(), 9003));
}

#[tokio::test]
async fn an_empty_database_gets_the_baseline_and_then_the_changes() {
    let database = super::bare_database().await;
    let report = migrate(&database, &with(&[A_COLUMN, AN_INDEX]), QUICK).await.expect("migrated");
    assert_eq!(report.ran.len(), Files::embedded().baseline().len() + Files::embedded().changes().len() + 2);
    assert!(has_column(&database, "a").await);
}

#[tokio::test]
async fn a_change_that_fails_or_breaks_isolation_takes_nothing_with_it_but_itself() {
    for (bad, said) in [
        ("alter table vicket.tickets add column b integer; select 1 / 0;", "division by zero"),
        (
            "alter table vicket.tickets add column b integer; create table vicket.b (org_id uuid not null);",
            "rls-off: vicket.b",
        ),
    ] {
        let database = empty_database().await;
        let files = with(&[A_COLUMN, ("9001_bad.sql", bad), ("9002_more.sql", "select 1")]);
        let error = migrate(&database, &files, QUICK).await.expect_err(bad);
        let error = format!("{error:#}");
        assert!(error.contains(said) && error.contains("9001_bad; the files before it stay"), "{error}");
        assert_eq!(ledger(&database).await, [(9000, true)]);
        assert_eq!((has_column(&database, "a").await, has_column(&database, "b").await), (true, false));
        // Mended, as the next attempt would be.
        let mended = with(&[A_COLUMN, ("9001_bad.sql", "alter table vicket.tickets add column b integer;")]);
        assert_eq!(migrate(&database, &mended, QUICK).await.expect("migrated").ran, ["9001_bad"]);
    }
}

#[tokio::test]
async fn a_change_gives_up_its_place_in_the_queue_and_no_request_fails() {
    let world = World::new().await;
    let server =
        world.serve_with(Options { connections: 2, limits: false, answer_cache_mib: 0, ..Options::default() }).await;
    let mut blocker = superuser(&world.database).await;
    // Whoever reads for long: harmless to requests, but not to what queues behind a change.
    execute(&mut blocker, "begin; lock table vicket.articles in access share mode").await;
    let change = ("9000_a_column.sql", "alter table vicket.articles add column a integer;");
    // As it is in production.
    let migration = Other::start(&world.database, &with(&[change]), Patience::default());
    let traffic = async {
        let (mut answered, began) = (0, Instant::now());
        while began.elapsed() < Duration::from_secs(5) {
            let list = || server.get(&world.site_a.key, "/support/v1/help/articles");
            let answers = tokio::join!(list(), list(), list(), list());
            for answer in [answers.0, answers.1, answers.2, answers.3] {
                answer.ok(200);
                answered += 1;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        answered
    };
    assert!(traffic.await > 20);
    assert!(migration.runs());
    blocker.close().await.expect("closed");
    let report = migration.ended().await.expect("migrated");
    assert_eq!(report.ran, ["9000_a_column"]);
    server.get(&world.site_a.key, "/support/v1/help/articles").await.ok(200);
}

#[tokio::test]
async fn a_lock_that_is_never_to_be_had_ends_in_a_sentence_that_names_it_and_its_holder() {
    let world = World::new().await;
    let mut agent = crate::harness::connect(&world.url("vicket_gate_agent")).await;
    execute(&mut agent, "begin; set local role vicket_agent; select from vicket.tickets").await;
    let pid: i32 = one(&mut agent, "select pg_backend_pid()").await;
    let files =
        with(&[("9000_first.sql", "select 1"), ("9001_a.sql", "alter table vicket.tickets add column a integer;")]);
    let patience = Patience { lock: Duration::from_millis(600), tries: 2, ..QUICK };
    let error = migrate(&world.database, &files, patience).await.expect_err("locked out");
    let error = format!("{error:#}");
    assert!(error.contains("each of 2 tries"), "{error}");
    assert!(error.contains(&format!("AccessExclusiveLock on vicket.tickets, held by session {pid}")), "{error}");
    assert_eq!(ledger(&world.database).await, [(9000, true)]);
    execute(&mut agent, "rollback").await;
    migrate(&world.database, &files, patience).await.expect("the twin: nobody in its way");
    // Where nobody hardened the database, the holder has a name.
    let database = super::bare_database().await;
    migrate(&database, &Files::embedded(), QUICK).await.expect("migrated");
    let mut holder = superuser(&database).await;
    execute(&mut holder, "begin; lock table vicket.tickets in access share mode").await;
    let said: String = one(&mut holder, "select format('session %s (%s', pg_backend_pid(), session_user)").await;
    let error = format!("{:#}", migrate(&database, &files, patience).await.expect_err("locked out"));
    assert!(error.contains(&said), "{said}: {error}");
}

#[tokio::test]
async fn an_index_whose_making_was_killed_is_dropped_and_made_anew() {
    let database = empty_database().await;
    let files = with(&[A_COLUMN, AN_INDEX]);
    let mut reader = superuser(&database).await;
    execute(&mut reader, "begin isolation level repeatable read; select 1").await;
    let killed = Other::start(&database, &files, QUICK);
    until(&database, INDEX_WAITS).await;
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()
        and query like 'create index concurrently%'";
    execute(&mut superuser(&database).await, kill).await;
    let error = killed.ended().await.expect_err("killed");
    assert!(format!("{error:#}").contains("statement 1 of 3"), "{error:#}");
    assert!(one::<bool>(&mut superuser(&database).await, IS_INVALID).await);
    assert_eq!(ledger(&database).await, [(9000, true), (9001, false)]);
    // A server of this release would not start on what is half there.
    let comment: String =
        one(&mut superuser(&database).await, "select obj_description('_sqlx_migrations'::regclass)").await;
    assert!(comment.starts_with("Schema 9000 "), "{comment}");
    execute(&mut reader, "commit").await;
    assert_eq!(migrate(&database, &files, QUICK).await.expect("resumed").ran, ["9001_an_index"]);
    assert!(one::<bool>(&mut superuser(&database).await, IS_VALID).await);
    assert_eq!(ledger(&database).await, [(9000, true), (9001, true)]);
}

#[tokio::test]
async fn what_a_killed_migration_left_running_is_waited_for() {
    let database = empty_database().await;
    let files = with(&[A_COLUMN, AN_INDEX]);
    let mut reader = superuser(&database).await;
    execute(&mut reader, "begin isolation level repeatable read; select 1").await;
    let killed = Other::start(&database, &files, QUICK);
    until(&database, INDEX_WAITS).await;
    killed.killed().await;
    let second = Other::start(&database, &files, QUICK);
    tokio::time::sleep(Duration::from_millis(800)).await;
    // Its session goes on, and with it its turn.
    assert!(second.runs() && one::<bool>(&mut superuser(&database).await, INDEX_WAITS).await);
    execute(&mut reader, "commit").await;
    let report = second.ended().await.expect("migrated");
    assert_eq!(report.ran, ["9001_an_index"]);
    assert!(one::<bool>(&mut superuser(&database).await, IS_VALID).await);
}

#[tokio::test]
async fn statements_that_are_done_are_not_done_again_unless_the_file_was_mended() {
    let database = empty_database().await;
    let made = "create index concurrently if not exists tickets_of_test on vicket.tickets (org_id)";
    let file = |last: &str| {
        let sql = format!("-- vicket: no transaction\n{made};\n{last}");
        with(&[("9000_indexes.sql", sql.as_str())])
    };
    let broken = file("create index concurrently if not exists tickets_of_none on vicket.tickets (nothing)");
    let error = migrate(&database, &broken, QUICK).await.expect_err("no such column");
    assert!(format!("{error:#}").contains("statement 2 of 2"), "{error:#}");
    let done: i32 =
        one(&mut superuser(&database).await, "select statements_done from _sqlx_migrations where version = 9000").await;
    assert_eq!(done, 1);
    // Were the first done again, it would be there again.
    execute(&mut superuser(&database).await, "drop index vicket.tickets_of_test").await;
    migrate(&database, &broken, QUICK).await.expect_err("no such column");
    assert!(!one::<bool>(&mut superuser(&database).await, IS_VALID).await);
    migrate(&database, &file("analyze vicket.tickets"), QUICK).await.expect("mended");
    assert!(one::<bool>(&mut superuser(&database).await, IS_VALID).await);
    assert_eq!(ledger(&database).await, [(9000, true)]);
}

#[tokio::test]
async fn a_unique_index_that_the_rows_refuse_leaves_no_half_of_itself() {
    let world = World::new().await;
    let server = world.serve().await;
    for _ in 0..2 {
        server.post(&world.site_a.key, "/support/v1/tickets", &ticket()).await.ok(201);
    }
    let files = with(&[(
        "9000_one_ticket_each.sql",
        "-- vicket: no transaction
        create unique index concurrently if not exists tickets_of_test on vicket.tickets (org_id, email)",
    )]);
    let error = migrate(&world.database, &files, QUICK).await.expect_err("two of one");
    assert!(format!("{error:#}").contains("could not create unique index"), "{error:#}");
    assert!(world.look::<bool>("select to_regclass('vicket.tickets_of_test') is null").await);
    server.post(&world.site_a.key, "/support/v1/tickets", &ticket()).await.ok(201);
}

#[tokio::test]
async fn six_migrations_at_once_take_turns_in_both_lanes() {
    let database = empty_database().await;
    let files = with(&[A_COLUMN, AN_INDEX, ("9002_more.sql", "alter table vicket.tickets add column b integer;")]);
    let six: Vec<_> = (0..6).map(|_| Other::start(&database, &files, QUICK)).collect();
    let mut ran = Vec::new();
    for one in six {
        ran.extend(one.ended().await.expect("migrated").ran);
    }
    ran.sort();
    assert_eq!(ran, ["9000_a_column", "9001_an_index", "9002_more"]);
}

#[tokio::test]
async fn rows_are_changed_under_a_policy_for_the_time_and_counted() {
    let world = World::new().await;
    let server = world.serve().await;
    server.post(&world.site_a.key, "/support/v1/tickets", &ticket()).await.ok(201);
    let change = |policy: &str| {
        format!(
            "set local role vicket_owner;
            alter table vicket.tickets add column lower_email text;
            {policy}
            do $$
            declare
              changed bigint;
            begin
              update vicket.tickets set lower_email = lower(email);
              get diagnostics changed = row_count;
              if changed = 0 then
                raise exception 'no row was changed: FORCE shows the owner none';
              end if;
            end $$;
            {}
            reset role;",
            if policy.is_empty() { "" } else { "drop policy owner_for_the_time on vicket.tickets;" }
        )
    };
    let blind = with(&[("9000_lower.sql", change("").as_str())]);
    let error = migrate(&world.database, &blind, QUICK).await.expect_err("FORCE");
    assert!(format!("{error:#}").contains("no row was changed"), "{error:#}");
    let policy = "create policy owner_for_the_time on vicket.tickets to vicket_owner using (true) with check (true);";
    let seeing = with(&[("9000_lower.sql", change(policy).as_str())]);
    migrate(&world.database, &seeing, QUICK).await.expect("migrated");
    assert_eq!(world.look::<i64>("select count(*) from vicket.tickets where lower_email = 'ada@example.com'").await, 1);
}

#[test]
fn a_file_that_the_runner_cannot_read_is_refused_before_anything_runs() {
    let files = with(&[("9000_bad.sql", "-- vicket: no transaction\nupdate vicket.tickets set subject = subject")]);
    let error = format!("{:#}", files.check().expect_err("no such statement"));
    assert!(error.contains("9000_bad") && error.contains("outside a transaction a statement is"), "{error}");
    assert!(files::NO_TRANSACTION.starts_with("-- vicket"));
}
