//! The page's backup, as its login makes it, and what is restored of it when the database is gone.

use std::{path::Path, process::Command};

use sqlx::{AssertSqlSafe, Connection as _};
use vicket::dev::postgres::Programs;

use super::{Dir, block, put};
use crate::{
    harness::{DEPLOY, World, connect, url},
    processes::text,
};

/// What there is of each table that a tenant has rows in, and who may connect.
async fn look(superuser: &str) -> (Vec<(String, i64)>, Vec<String>) {
    let mut connection = connect(superuser).await;
    let mut rows = Vec::new();
    for table in ["orgs", "sites", "site_keys", "articles", "faqs", "tickets", "audit_log"] {
        let sql = format!("select count(*) from vicket.{table}");
        let count = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut connection).await.expect("counted");
        rows.push((table.to_owned(), count));
    }
    let sql = "select a.grantee::regrole::text || ' ' || a.privilege_type from pg_database d, aclexplode(d.datacl) a
        where d.datname = current_database() order by 1";
    let may = sqlx::query_scalar(sql).fetch_all(&mut connection).await.expect("looked");
    connection.close().await.expect("closed");
    (rows, may)
}

#[tokio::test]
async fn what_was_backed_up_is_restored_and_is_as_isolated_as_before() {
    let world = World::new().await;
    let (dir, database) = (Dir::new(), world.database.clone());
    let (superuser, postgres) = (url(None, &database), url(None, "postgres"));
    let programs = Programs::find().await.expect("PostgreSQL's programs");
    // As after hardening, which the page speaks of.
    world.arrange("revoke execute on function pg_catalog.set_config(text, text, boolean) from public").await;

    // A name of its own: logins are of the cluster, which other tests have, too.
    let login = format!("vicket_backup_{}", std::process::id());
    let sql = put(
        block("sql", "create role vicket_backup"),
        &[("vicket_backup", &login), ("database vicket", &format!("database {database}"))],
    );
    let backed_up_as = {
        let mut as_backup = url::Url::parse(&url(Some(DEPLOY), &database)).expect("a URL");
        as_backup.set_username(&login).expect("a login");
        as_backup.set_password(Some("choose-five")).expect("a password");
        String::from(as_backup)
    };
    let vicket = Path::new(env!("CARGO_BIN_EXE_vicket")).parent().expect("a directory");
    let path = format!("{}:{}:{}", programs.bin.display(), vicket.display(), std::env::var("PATH").unwrap_or_default());
    let shell = |script: &str| {
        let mut bash = Command::new("bash");
        bash.env("PATH", &path).current_dir(&dir.0).args(["-euxc", script]).output().expect("bash runs")
    };
    let dump =
        put(block("sh", "pg_dump"), &[("postgres://vicket_backup:choose-five@127.0.0.1:5432/vicket", &backed_up_as)]);

    // Without the grants that the page gives, it stops: they are needed, each of them.
    world.arrange(&format!("create role {login} login bypassrls password 'choose-five'")).await;
    world.arrange(&format!("grant connect on database {database} to {login}")).await;
    assert!(!shell(&dump).status.success());
    world.arrange(&format!("drop owned by {login}; drop role {login}")).await;

    world.arrange(&sql).await;
    let made = shell(&dump);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let before = look(&superuser).await;
    assert!(before.0.iter().filter(|(_, rows)| *rows > 0).count() >= 5, "{before:?}");

    // It is gone.
    world.superuser.close().await;
    let mut connection = connect(&postgres).await;
    let drop = format!("drop database {database} with (force)");
    sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut connection).await.expect("dropped");

    let restored = shell(&put(
        block("sh", "pg_restore"),
        &[
            ("postgres://postgres:choose-six@127.0.0.1:5432/postgres", &postgres),
            ("postgres://vicket_deploy:choose-one@127.0.0.1:5432/vicket", &world.url(DEPLOY)),
        ],
    ));
    let said = format!("{}{}", text(&restored.stdout), text(&restored.stderr));
    assert!(restored.status.success(), "{said}");
    assert_eq!(look(&superuser).await, before);

    let end = format!("drop role {login}");
    let mut of_it = connect(&superuser).await;
    sqlx::raw_sql(AssertSqlSafe(format!("drop owned by {login}"))).execute(&mut of_it).await.expect("revoked");
    of_it.close().await.expect("closed");
    sqlx::raw_sql(AssertSqlSafe(end)).execute(&mut connection).await.expect("dropped");
}
