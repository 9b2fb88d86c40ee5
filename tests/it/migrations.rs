//! `vicket migrate` and the refusal to start: as a login that is no superuser, again and again, many at once, and never
//! onto a database whose isolation would not hold.
//!
//! Roles belong to the cluster, which all tests share: what a test spoils is a role of its own, or a cluster of its own.

pub mod changes;
mod check;
mod refused;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use vicket::{
    cli::{LogFormat, Tuning},
    commands::serve::{self, Settings},
    db,
    dev::postgres::{Cluster, Durability, Programs},
    limits::Limits,
    migrate::{self, Passwords},
    objects::Place,
};

use crate::harness::{DEPLOY, connect, empty_database, url};

static COUNT: AtomicU32 = AtomicU32::new(0);

fn name(kind: &str) -> String {
    format!("{kind}_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

async fn execute(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn superuser(database: &str) -> PgConnection {
    connect(&url(None, database)).await
}

/// A database without anything of ours, owned by the deploying login. PUBLIC never gets in, which other tests' audits would
/// find; a migration of one where it does is that of the clusters of their own.
pub async fn bare_database() -> String {
    let database = name("vicket_bare");
    let mut superuser = superuser("postgres").await;
    for statement in [
        format!("create database {database} owner {DEPLOY} allow_connections false"),
        format!("revoke connect on database {database} from public"),
        format!("alter database {database} allow_connections true"),
    ] {
        execute(&mut superuser, &statement).await;
    }
    database
}

fn migrate_on_a_thread(url: String, passwords: Passwords) -> std::thread::JoinHandle<anyhow::Result<migrate::Report>> {
    std::thread::spawn(move || {
        tokio::runtime::Runtime::new().expect("a runtime").block_on(migrate::run(&url, &passwords))
    })
}

/// How many tables, policies and functions there are, which a second migration must not change.
async fn size(database: &str) -> (i64, i64, i64) {
    sqlx::query_as(
        "select (select count(*) from pg_class where relnamespace = 'vicket'::regnamespace and relkind = 'r'),
          (select count(*) from pg_policy),
          (select count(*) from pg_proc where proowner = 'vicket_definer'::regrole)",
    )
    .fetch_one(&mut superuser(database).await)
    .await
    .expect("the catalog")
}

fn vicket(command: &str, environment: &[(&str, String)]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_vicket"));
    program.arg(command).envs(environment.iter().map(|(name, value)| (name, value)));
    program
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn a_login_that_is_no_superuser_migrates_from_nothing_and_again() {
    let database = bare_database().await;
    let url = url(Some(DEPLOY), &database);
    let first = migrate::run(&url, &Passwords::default()).await.expect("migrated");
    assert!(first.version >= 9, "{first:?}");
    // Nobody hardened this database, and the report says so.
    assert!(!first.hardened && first.open.iter().any(|open| open.contains("set_config")), "{first:?}");
    let before = size(&database).await;
    assert!(before.0 >= 13 && before.1 >= 40 && before.2 >= 20, "{before:?}");
    let second = migrate::run(&url, &Passwords::default()).await.expect("migrated again");
    assert_eq!((second.version, size(&database).await), (first.version, before));
}

#[tokio::test]
async fn a_superuser_hardens_what_the_deploying_login_could_not_and_the_report_had_named_all_of_it() {
    let database = bare_database().await;
    let before = migrate::run(&url(Some(DEPLOY), &database), &Passwords::default()).await.expect("migrated");
    let mut superuser = superuser(&database).await;
    let of_public = "select array(select distinct p.proname::text
        from pg_proc p cross join aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee = 0)";
    let had: Vec<String> = sqlx::query_scalar(of_public).fetch_one(&mut superuser).await.expect("the catalog");
    migrate::harden(&mut superuser).await.expect("hardened");
    let has: Vec<String> = sqlx::query_scalar(of_public).fetch_one(&mut superuser).await.expect("the catalog");
    let revoked: Vec<_> = had.iter().filter(|name| !has.contains(name)).collect();
    assert!(revoked.len() >= 60, "{revoked:?}");
    for name in revoked {
        assert!(before.open.iter().any(|open| open.contains(name.as_str())), "{name}: {:?}", before.open);
    }
    let report = migrate::run(&url(Some(DEPLOY), &database), &Passwords::default()).await.expect("migrated again");
    assert!(report.hardened && report.open.is_empty(), "{report:?}");
}

#[tokio::test]
async fn six_migrations_at_once_of_two_fresh_databases_all_succeed() {
    let databases = [bare_database().await, bare_database().await];
    let tasks: Vec<_> = (0..6)
        .map(|n| {
            let url = url(Some(DEPLOY), &databases[n % 2]);
            migrate_on_a_thread(url, Passwords::default())
        })
        .collect();
    for task in tasks {
        let report = task.join().expect("no panic");
        assert!(report.as_ref().is_ok_and(|report| report.version >= 9), "{report:?}");
    }
    assert_eq!(size(&databases[0]).await, size(&databases[1]).await);
}

#[tokio::test]
async fn six_processes_that_migrate_one_fresh_database_at_once_all_succeed() {
    let database = bare_database().await;
    let environment = [("VICKET_ADMIN_URL", url(Some(DEPLOY), &database))];
    let processes: Vec<_> = (0..6)
        .map(|_| {
            let mut program = vicket("migrate", &environment);
            program.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            program.spawn().expect("started")
        })
        .collect();
    for process in processes {
        let output = process.wait_with_output().expect("ended");
        assert!(output.status.success(), "{}", said(&output));
    }
    assert!(size(&database).await.0 >= 13);
}

/// Where a test may spoil roles; stop it, then remove the directory.
pub async fn cluster_of_its_own(purpose: &str) -> (Cluster, PathBuf) {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cluster-of-{purpose}"));
    let _ = Cluster::remove(&dir).await;
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("the target directory is writable");
    let programs = Programs::find().await.expect("PostgreSQL's programs");
    let cluster = Cluster::start(&programs, &dir, Durability::Throwaway).await.expect("PostgreSQL starts");
    (cluster, dir)
}

#[tokio::test]
async fn six_migrations_at_once_of_a_fresh_cluster_make_the_roles_once_and_set_the_passwords() {
    let (cluster, dir) = cluster_of_its_own("migrations").await;
    let mut superuser = connect(&cluster.superuser_url("postgres")).await;
    execute(&mut superuser, "create role deployer login createrole password 'deploying'").await;
    execute(&mut superuser, "create database fresh owner deployer").await;
    let login = |name: &str, password: &str| format!("postgres://{name}:{password}@127.0.0.1:{}/fresh", cluster.port());
    let passwords = |word: &str| Passwords {
        widget: Some(format!("{word}-widget")),
        agent: Some(format!("{word}-agent")),
        mail: Some(format!("{word}-mail")),
        worker: Some(format!("{word}-worker")),
    };
    let tasks: Vec<_> =
        (0..6).map(|_| migrate_on_a_thread(login("deployer", "deploying"), passwords("first"))).collect();
    for task in tasks {
        let report = task.join().expect("no panic");
        assert!(report.is_ok(), "{report:?}");
    }
    drop(connect(&login("vicket_gate_widget", "first-widget")).await);
    // As `vicket migrate` is called to change one password; the others stay.
    let output = vicket(
        "migrate",
        &[("VICKET_ADMIN_URL", login("deployer", "deploying")), ("VICKET_WIDGET_PASSWORD", "second-widget".to_owned())],
    )
    .output()
    .expect("ended");
    assert!(output.status.success() && !said(&output).contains("second-widget"), "{}", said(&output));
    drop(connect(&login("vicket_gate_widget", "second-widget")).await);
    drop(connect(&login("vicket_gate_agent", "first-agent")).await);
    let old = db::connect_options(&login("vicket_gate_widget", "first-widget")).await.expect("a URL");
    let refused = PgConnection::connect_with(&old).await.map(drop).expect_err("the old password");
    assert_eq!(refused.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref(), Some("28P01"));
    let stored: Vec<String> =
        sqlx::query_scalar("select rolpassword from pg_authid where rolname ~ '^vicket_(gate|worker)'")
            .fetch_all(&mut superuser)
            .await
            .expect("the catalog");
    assert_eq!(stored.len(), 4);
    assert!(stored.iter().all(|stored| stored.starts_with("SCRAM-SHA-256$")), "{stored:?}");
    superuser.close().await.expect("closing");
    cluster.stop().await.expect("stopped");
    let _ = Cluster::remove(&dir).await;
    let _ = std::fs::remove_dir_all::<PathBuf>(dir);
}

/// What breaks isolation, and what is said of it.
const BREACHES: [(&str, &str); 6] = [
    (
        "create or replace function ctx.is_member() returns boolean language sql stable parallel safe
           as $$ select (ctx.actor()) is not null $$",
        "function-body: ctx.is_member(): its body is not the one of the migrations",
    ),
    ("alter function ctx.org_by_key() security invoker", "function-body: ctx.org_by_key(): is plpgsql stable"),
    ("alter table vicket.tickets no force row level security", "rls-not-forced: vicket.tickets"),
    ("alter table vicket.faqs disable row level security", "rls-off: vicket.faqs"),
    ("create table vicket.x (org_id uuid not null)", "rls-off: vicket.x"),
    ("drop policy definer_select on vicket.role_permissions", "rls-no-policy: vicket.role_permissions"),
];

#[tokio::test]
async fn a_migration_and_a_server_refuse_a_database_without_isolation_and_name_the_table() {
    for (breach, finding) in BREACHES {
        let database = empty_database().await;
        let admin = url(Some(DEPLOY), &database);
        migrate::run(&admin, &Passwords::default()).await.expect("the twin: before the breach");
        check(|login| url(Some(login), &database)).await.expect("the twin: before the breach");
        execute(&mut superuser(&database).await, breach).await;
        let error = migrate::run(&admin, &Passwords::default()).await.expect_err(breach).to_string();
        assert!(error.contains(finding), "{breach}: {error}");
        let error = check(|login| url(Some(login), &database)).await.expect_err(breach).to_string();
        assert!(error.contains("refusing to start") && error.contains(finding), "{breach}: {error}");
    }
}

/// The start-up checks through the logins of these URLs.
pub(crate) async fn check(url: impl Fn(&str) -> String) -> anyhow::Result<()> {
    let tuning = Tuning {
        widget_connections: 1,
        agent_connections: 1,
        max_clients: 10,
        max_clients_per_network: None,
        drain_delay: 0,
        answer_cache_mib: 0,
        metrics_listen: None,
        log_format: LogFormat::Text,
    };
    let app = serve::build(Settings {
        widget_url: url("vicket_gate_widget"),
        widget_read_url: None,
        agent_url: url("vicket_gate_agent"),
        worker_url: url("vicket_worker"),
        trusted_proxies: Vec::new(),
        public_url: None,
        limits: Limits::off(),
        attachments: Place::Database,
        mail_url: None,
        intake: None,
        inbound_secrets: None,
        secret: None,
        mail: None,
        doctor: None,
        shown_mail: None,
        traces: vicket::telemetry::traces::Traces::default(),
        tuning,
    })?;
    serve::check(&app).await
}

#[tokio::test]
async fn a_server_refuses_a_gate_that_could_do_more_than_become_the_widget() {
    let (cluster, dir) = cluster_of_its_own("gates").await;
    let mut superuser = connect(&cluster.superuser_url("postgres")).await;
    let password = || Some("gate-password".to_owned());
    let passwords = Passwords { widget: password(), agent: password(), mail: password(), worker: password() };
    migrate::run(&cluster.superuser_url("postgres"), &passwords).await.expect("migrated");
    let url = |login: &str| format!("postgres://{login}:gate-password@127.0.0.1:{}/postgres", cluster.port());
    let environment = [
        ("VICKET_WIDGET_URL", url("vicket_gate_widget")),
        ("VICKET_AGENT_URL", url("vicket_gate_agent")),
        ("VICKET_WORKER_URL", url("vicket_worker")),
        ("VICKET_LISTEN", "127.0.0.1:0".to_owned()),
    ];
    for (change, undo, finding) in [
        ("alter role {} superuser", "alter role {} nosuperuser", "is a superuser"),
        ("alter role {} bypassrls", "alter role {} nobypassrls", "has BYPASSRLS"),
        ("alter role {} inherit", "alter role {} noinherit", "must be NOINHERIT"),
        ("alter role {} createrole", "alter role {} nocreaterole", "may create roles"),
        ("grant vicket_agent to {}", "revoke vicket_agent from {}", "is a member of vicket_agent"),
        ("revoke vicket_widget from {}", "grant vicket_widget to {}", "is no member of vicket_widget"),
        (
            "create table public.theirs (x int); alter table public.theirs owner to {}",
            "drop table public.theirs",
            "owns public.theirs",
        ),
    ] {
        check(url).await.expect("the twin: before the change");
        execute(&mut superuser, &change.replace("{}", "vicket_gate_widget")).await;
        let error = check(url).await.expect_err(change).to_string();
        let output = vicket("serve", &environment).output().expect("ended");
        execute(&mut superuser, &undo.replace("{}", "vicket_gate_widget")).await;
        assert!(error.contains("the widget's gate (VICKET_WIDGET_URL)") && error.contains(finding), "{error}");
        assert!(!output.status.success() && said(&output).contains(finding), "{}", said(&output));
        assert!(!said(&output).contains("gate-password"), "{}", said(&output));
    }
    superuser.close().await.expect("closing");
    cluster.stop().await.expect("stopped");
    let _ = Cluster::remove(&dir).await;
    let _ = std::fs::remove_dir_all(dir);
}
