//! What a gate may do to itself, which PostgreSQL allows every login; what finds it, and what puts it back. In a cluster of
//! its own: roles and pg_hba.conf are the cluster's.

use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use vicket::{
    audit::lints,
    db::{Pool, Start},
    migrate::{self, Passwords},
};

use crate::{harness::connect, migrations::cluster_of_its_own};

async fn attempt(connection: &mut PgConnection, sql: &str) -> Result<(), String> {
    match sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(error.as_database_error().and_then(sqlx::error::DatabaseError::code).expect("a SQLSTATE").into_owned())
        }
    }
}

async fn found(connection: &mut PgConnection, id: &str) -> Vec<String> {
    let findings = lints::findings(connection).await.expect("the catalog").into_iter();
    findings.filter(|finding| finding.id == id).map(|f| format!("{}: {}", f.object, f.what)).collect()
}

#[tokio::test]
async fn what_a_gate_changes_of_itself_is_found_and_a_migration_puts_it_back() {
    let (cluster, dir) = cluster_of_its_own("logins").await;
    let mut superuser = connect(&cluster.superuser_url("postgres")).await;
    for sql in ["create role deployer login createrole password 'deploying'", "create database ours owner deployer"] {
        assert_eq!(attempt(&mut superuser, sql).await, Ok(()));
    }
    let url = |login: &str, password: &str| format!("postgres://{login}:{password}@127.0.0.1:{}/ours", cluster.port());
    let migrated = || async {
        let password = || Some("ours".to_owned());
        let passwords = Passwords { widget: password(), agent: password(), mail: password(), worker: password() };
        migrate::run(&url("deployer", "deploying"), &passwords).await.expect("migrated")
    };
    let report = migrated().await;
    for open in
        ["database postgres: public may connect", "database template1: public may connect", "pg_logical_emit_message"]
    {
        assert!(!report.hardened && report.open.iter().any(|said| said.contains(open)), "{open}: {report:?}");
    }
    let mut superuser = connect(&cluster.superuser_url("ours")).await;
    migrate::harden(&mut superuser).await.expect("hardened");
    assert!(migrated().await.hardened, "and nothing is open");

    let mut gate = connect(&url("vicket_gate_widget", "ours")).await;
    for (sql, outcome) in [
        ("alter role vicket_gate_widget set statement_timeout = 0", Ok(())),
        ("alter role vicket_gate_widget set default_transaction_read_only = on", Ok(())),
        ("alter role vicket_gate_widget in database ours set lock_timeout = 0", Ok(())),
        ("alter role vicket_gate_widget set role = 'vicket_widget'", Ok(())),
        ("alter role vicket_gate_widget set row_security = off", Ok(())),
        ("alter role vicket_gate_widget set search_path = vicket", Ok(())),
        ("alter role vicket_gate_widget password 'theirs'", Ok(())),
        // Within a request's role only RESET ROLE leads there, and a reading request may not.
        ("set role vicket_widget; alter role vicket_gate_widget set lock_timeout = 0", Err("42501")),
        ("reset role; begin read only; alter role vicket_gate_widget password 'theirs'", Err("25006")),
        ("rollback; alter role vicket_gate_widget createdb", Err("42501")),
        ("alter role vicket_gate_widget set app.org_id = 'x'", Err("42501")),
        ("alter role vicket_gate_agent set statement_timeout = 0", Err("42501")),
        ("alter role vicket_gate_agent password 'theirs'", Err("42501")),
    ] {
        assert_eq!(attempt(&mut gate, sql).await, outcome.map_err(str::to_owned), "{sql}");
    }
    let role = "role vicket_gate_widget";
    assert_eq!(
        found(&mut superuser, "login-settings").await,
        [
            format!("{role}: does not set statement_timeout=5s, but statement_timeout=0"),
            format!("{role}: sets default_transaction_read_only=on"),
            format!("{role}: sets lock_timeout=0 in the database ours"),
            format!("{role}: sets role=vicket_widget"),
            format!("{role}: sets row_security=off"),
            format!("{role}: sets search_path=vicket"),
        ]
    );
    // One statement takes no server out of rotation: what it would change is what the server sends.
    let server = |login: &str| url(login, if login == "vicket_gate_widget" { "theirs" } else { "ours" });
    crate::migrations::check(server).await.expect("ready");
    let pool = Pool::new(&server("vicket_gate_widget"), 1, &Start::WIDGET).expect("a URL");
    let mut plain = connect(&server("vicket_gate_widget")).await;
    for (asked, sent, changed) in [
        ("show statement_timeout", "5s", "0"),
        ("show lock_timeout", "3s", "0"),
        ("show idle_in_transaction_session_timeout", "10s", "10s"),
        ("show default_transaction_read_only", "off", "on"),
        ("show row_security", "on", "off"),
        ("show role", "none", "vicket_widget"),
    ] {
        let row = &pool.catalog(asked).await.expect("asked")[0];
        assert_eq!(row.get::<&str, _>(0), sent, "{asked}");
        let row = sqlx::raw_sql(asked).fetch_one(&mut plain).await.expect("asked");
        assert_eq!(row.get::<&str, _>(0), changed, "{asked}: nothing was changed");
    }
    sqlx::Connection::close(plain).await.expect("closing");
    migrated().await;
    assert_eq!(found(&mut superuser, "login-settings").await, Vec::<String>::new());
    let settings: Vec<String> = sqlx::query_scalar(
        "select unnest(setconfig) from pg_db_role_setting where setrole = 'vicket_gate_widget'::regrole order by 1",
    )
    .fetch_all(&mut superuser)
    .await
    .expect("the catalog");
    let bounds = ["idle_in_transaction_session_timeout=10s", "lock_timeout=3s", "statement_timeout=5s"];
    assert_eq!(settings, [&["enable_bitmapscan=off", "enable_seqscan=off"], &bounds[..]].concat());
    drop(connect(&url("vicket_gate_widget", "ours")).await);

    // By what a login is let in, only a superuser sees.
    assert_eq!(lints::authentication(&mut gate).await.expect("the catalog"), None);
    let hba: String = sqlx::query_scalar("show hba_file").fetch_one(&mut superuser).await.expect("a path");
    let logins = "vicket_gate_widget,vicket_gate_agent,vicket_gate_mail,vicket_worker";
    let by_certificate = format!("hostssl all {logins} all cert\nhost all {logins} all reject\n");
    for (rules, found) in [
        ("host all all all scram-sha-256\n".to_owned(), 4),
        (format!("{by_certificate}host all all all scram-sha-256\n"), 0),
        (format!("host all all all scram-sha-256\n{by_certificate}"), 4),
        // Without TLS, the rule of certificates does not match.
        (format!("hostssl all {logins} all cert\nhost all all all scram-sha-256\n"), 4),
        (format!("hostssl all {logins} all scram-sha-256 clientcert=verify-full\nhost all postgres all md5\n"), 0),
        ("host ours +vicket_agent samenet trust\nhost theirs all all md5\nlocal all all peer\n".to_owned(), 1),
    ] {
        std::fs::write(&hba, &rules).expect("the cluster is ours");
        let findings = lints::authentication(&mut superuser).await.expect("the catalog").expect("a superuser sees");
        assert_eq!(findings.len(), found, "{rules}: {findings:#?}");
        assert!(findings.iter().all(|finding| finding.id == "login-password"), "{findings:#?}");
    }
    for connection in [superuser, gate] {
        sqlx::Connection::close(connection).await.expect("closing");
    }
    cluster.stop().await.expect("stopped");
    let _ = vicket::dev::postgres::Cluster::remove(&dir).await;
    let _ = std::fs::remove_dir_all(dir);
}
