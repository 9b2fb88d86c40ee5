//! From the last release to this commit, with rows and under traffic.
//!
//! `tests/upgrade/VERSION` holds what is kept of each release: a dump with the rows of a few orgs, and the statements of its
//! server, request by request. `just release-dump VERSION` makes them ([`release`]); they are not changed later.

mod recording;
mod release;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use vicket::{dev::postgres::Programs, migrate::Patience};

use crate::{
    harness::{DEPLOY, connect, url},
    migrations::{
        bare_database,
        changes::{migrate, with},
    },
};
use recording::{Client, Request};

/// Loops of traffic beside each other.
const LOOPS: usize = 2;

/// What a release after this one could bring: each lane, and each kind of lock.
const CHANGES: [(&str, &str); 3] = [
    (
        "9000_reminders.sql",
        "set local role vicket_owner;
        alter table vicket.tickets add column due_at timestamptz;
        alter table vicket.tickets add constraint tickets_due_check check (due_at > created_at) not valid;
        alter table vicket.ticket_messages add column read_at timestamptz;
        alter table vicket.articles add column reviewed_at timestamptz;
        create table vicket.reminders (
          org_id uuid not null default ctx.org_id() references vicket.orgs,
          id uuid not null default gen_random_uuid(),
          at timestamptz not null,
          constraint reminders_pkey primary key (org_id, id)
        );
        alter table vicket.reminders enable row level security;
        alter table vicket.reminders force row level security;
        create policy operator_select on vicket.reminders
          for select to vicket_operator
          using (org_id = (select ctx.org_id()));
        grant select (org_id, id, at) on vicket.reminders to vicket_operator;
        reset role;",
    ),
    (
        "9001_reminders_at_work.sql",
        "-- vicket: no transaction
        create index concurrently if not exists tickets_due on vicket.tickets (org_id, site_id, due_at);
        alter table vicket.tickets validate constraint tickets_due_check;
        analyze vicket.tickets;",
    ),
    (
        "9002_status_of_reminders.sql",
        "set local role vicket_owner;
        alter table vicket.reminders add column done boolean not null default false;
        alter table vicket.tickets add column reminders integer not null default 0;
        reset role;",
    ),
];

/// Moves every time of the kept rows by as much as the dump is old: a session of then would have ended long ago. Partitions
/// stay, since their rows belong to their months.
const TO_NOW: &str = "
    set session_replication_role = replica;
    do $$
    declare
      timed record;
    begin
      for timed in
        select c.oid::regclass as tab,
          string_agg(format('%1$I = %1$I + (%2$s - timestamptz ''2026-01-15 12:00:00+00'')', a.attname,
            case a.atttypid when 'date'::regtype then 'date_trunc(''day'', now()) + interval ''12 hours''' else 'now()' end
            ), ', ') as sets
        from pg_attribute a join pg_class c on c.oid = a.attrelid
        where c.relnamespace = 'vicket'::regnamespace and c.relkind = 'r' and not c.relispartition
          and a.atttypid in ('timestamptz'::regtype, 'date'::regtype) and not a.attisdropped and a.attgenerated = ''
        group by c.oid
      loop
        execute format('update %s set %s', timed.tab, timed.sets);
      end loop;
    end $$;
    reset session_replication_role";

/// What is kept of the newest release.
fn newest() -> PathBuf {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgrade");
    let version = |path: &PathBuf| -> Vec<u32> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.split('.').map(|part| part.parse().unwrap_or_default()).collect()
    };
    let releases = std::fs::read_dir(&kept).expect("tests/upgrade").map(|entry| entry.expect("an entry").path());
    releases.filter(|path| path.is_dir()).max_by_key(version).expect("a release is kept: just release-dump VERSION")
}

/// Runs one of PostgreSQL's own programs, whose input is `input`.
async fn program(name: &str, arguments: &[&str], input: &[u8]) -> anyhow::Result<String> {
    let own = Programs::find().await?.bin.join(name);
    // A server can be had without its client programs: then those of PATH, which say themselves if they are too old.
    let mut command = if own.is_file() { Command::new(own) } else { Command::new(name) };
    command.args(arguments).env("PGTZ", "UTC").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("{name} is one of PostgreSQL's client programs"))?;
    let mut stdin = child.stdin.take().context("piped")?;
    let input = input.to_owned();
    let writing = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &input));
    let output = child.wait_with_output()?;
    // A program that ended early says why itself.
    let _ = writing.join();
    anyhow::ensure!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// A dump as `pg_dump` prints it, without what differs from one run or machine to the next.
pub async fn dump(superuser_url: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let text = program("pg_dump", &[&["--dbname", superuser_url], arguments].concat(), b"").await?;
    let of_the_run = |line: &&str| {
        !["\\restrict ", "\\unrestrict ", "-- Dumped "].iter().any(|beginning| line.starts_with(beginning))
    };
    Ok(text.lines().filter(of_the_run).flat_map(|line| [line, "\n"]).collect())
}

pub async fn restore(database: &str, dump: &str) {
    let arguments = ["-q", "-X", "-1", "-v", "ON_ERROR_STOP=1", "-d", &url(None, database)];
    program("psql", &arguments, dump.as_bytes()).await.expect("restored");
}

/// A database of the kept release, owned by the deploying login.
async fn restored(release: &Path) -> String {
    let database = bare_database().await;
    let dump = release::read(&release.join("dump.sql.gz")).expect("the dump");
    restore(&database, &dump).await;
    let mut superuser = connect(&url(None, &database)).await;
    // What stands at the database itself is in no dump of its inside.
    let access = format!(
        "revoke all on database {database} from public;
        grant connect on database {database} to vicket_gate_widget, vicket_gate_agent, vicket_worker, vicket_auditor"
    );
    for statement in [access.as_str(), TO_NOW, "analyze"] {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut superuser).await.expect(statement);
    }
    superuser.close().await.expect("closed");
    database
}

/// Sends the requests over and over until it is told to stop; says how many were answered, and what failed.
async fn traffic(
    database: String,
    requests: Arc<Vec<Request>>,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
) -> Vec<String> {
    let mut client = Client::new(move |login| url(Some(login), &database));
    let mut failed = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        for request in requests.iter() {
            match client.send(request).await {
                Ok(()) => drop(answered.fetch_add(1, Ordering::Relaxed)),
                Err(error) => failed.push(format!("{}: {error:#}", request.name)),
            }
            if stop.load(Ordering::Relaxed) || failed.len() > 20 {
                return failed;
            }
        }
    }
    failed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_last_release_under_traffic_becomes_this_one_and_no_request_fails() {
    let release = newest();
    let requests = Arc::new(recording::read(&release.join("statements")).expect("the statements"));
    assert!(requests.len() >= 30, "{} requests", requests.len());
    let database = restored(&release).await;
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let loops: Vec<_> = (0..LOOPS)
        .map(|_| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            tokio::spawn(traffic(database.clone(), Arc::clone(&requests), stop, answered))
        })
        .collect();
    let round = |rounds: usize| LOOPS * rounds * requests.len();
    let until = async |count: usize| {
        while answered.load(Ordering::Relaxed) < count && loops.iter().all(|one| !one.is_finished()) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    // Every statement is prepared, and has the plan that it keeps, before anything changes.
    until(round(6)).await;
    let before = answered.load(Ordering::Relaxed);
    let report = migrate(&database, &with(&CHANGES), Patience::default()).await;
    let meanwhile = answered.load(Ordering::Relaxed);
    // The same connections go on, on the new schema.
    until(meanwhile + round(2)).await;
    stop.store(true, Ordering::Relaxed);
    let mut failed = Vec::new();
    for one in loops {
        failed.extend(one.await.expect("no panic"));
    }
    assert_eq!(failed, [""; 0], "of {} requests", answered.load(Ordering::Relaxed));
    println!("{} requests, {} of them while it migrated", answered.load(Ordering::Relaxed), meanwhile - before);
    let report = report.expect("migrated");
    assert!(report.ran.ends_with(&CHANGES.map(|(name, _)| name.trim_end_matches(".sql").to_owned())), "{report:?}");
    assert!(meanwhile > before, "no traffic while the migration ran");
    assert!(answered.load(Ordering::Relaxed) >= meanwhile + round(2), "the traffic stopped");

    // New connections, too.
    let mut client = Client::new(|login| url(Some(login), &database));
    for request in requests.iter() {
        client.send(request).await.unwrap_or_else(|error| panic!("{}: {error:#}", request.name));
    }
}

#[tokio::test]
async fn the_last_release_becomes_what_a_fresh_database_is_as_pg_dump_says() {
    let database = restored(&newest()).await;
    migrate(&database, &with(&CHANGES), Patience::default()).await.expect("migrated");
    let fresh = bare_database().await;
    migrate(&fresh, &with(&CHANGES), Patience::default()).await.expect("migrated");
    forget_months_before(&database, &fresh).await;
    let (upgraded, made) = (schema(&database).await, schema(&fresh).await);
    // The first month of a database begins with what was before it.
    let bounds = |line: &String| !line.contains("ATTACH PARTITION vicket.audit_log_");
    let of = |schema: Vec<String>| -> Vec<String> { schema.into_iter().filter(bounds).collect() };
    let (upgraded, made) = (of(upgraded), of(made));
    let differs = upgraded.iter().zip(&made).find(|(upgraded, made)| upgraded != made);
    assert!(upgraded == made, "left: the upgraded schema, right: a fresh one: {differs:?}");
    assert_eq!(ledger(&database).await, ledger(&fresh).await);
}

/// A database that lived in months before this one has partitions of them, which a fresh one has not.
async fn forget_months_before(lived: &str, fresh: &str) {
    let months = "select c.relname from pg_class c where c.relkind = 'r' and c.relname ~ '^audit_log_[0-9]{4}_[0-9]{2}$' order by 1";
    let mut made: PgConnection = connect(&url(None, fresh)).await;
    let made: Vec<String> = sqlx::query_scalar(months).fetch_all(&mut made).await.expect("months");
    let mut superuser: PgConnection = connect(&url(None, lived)).await;
    let had: Vec<String> = sqlx::query_scalar(months).fetch_all(&mut superuser).await.expect("months");
    for month in had.iter().filter(|month| *month < &made[0]) {
        let drop = format!("drop table vicket.{month}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(drop)).execute(&mut superuser).await.expect("dropped");
    }
}

/// The schema of a database, line by line, as a restored dump of it has it: the first restoring rewrites expressions (nested
/// ANDs become one), and a later one nothing more.
async fn schema(database: &str) -> Vec<String> {
    let only = ["--schema-only"];
    let copy = bare_database().await;
    let dumped = dump(&url(None, database), &only).await.expect("dumped");
    restore(&copy, &dumped).await;
    dump(&url(None, &copy), &only).await.expect("dumped").lines().map(str::to_owned).collect()
}

async fn ledger(database: &str) -> Vec<(i64, String, bool, Vec<u8>)> {
    let mut superuser: PgConnection = connect(&url(None, database)).await;
    sqlx::query_as("select version, description, success, checksum from _sqlx_migrations order by 1")
        .fetch_all(&mut superuser)
        .await
        .expect("the ledger")
}

/// That the traffic of the test above could fail: a change that breaks the release before is noticed.
#[tokio::test]
async fn a_change_that_the_last_release_cannot_bear_fails_its_statements() {
    let release = newest();
    let requests = recording::read(&release.join("statements")).expect("the statements");
    let database = restored(&release).await;
    let mut client = Client::new(|login| url(Some(login), &database));
    let request = requests.iter().find(|request| request.name.contains("one_article")).expect("one article");
    client.send(request).await.expect("the twin: before the change");
    let mut deploy = connect(&url(Some(DEPLOY), &database)).await;
    sqlx::raw_sql("alter table vicket.articles rename column excerpt to summary")
        .execute(&mut deploy)
        .await
        .expect("renamed");
    let error = format!("{:#}", client.send(request).await.expect_err("the column is gone"));
    assert!(error.contains("excerpt"), "{error}");
}
