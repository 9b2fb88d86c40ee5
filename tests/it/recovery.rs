//! PostgreSQL going away, coming back, and being too busy.

use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;

use crate::harness::{Options, World, ticket};

const LIST: &str = "/support/v1/help/articles";

#[tokio::test]
async fn connections_that_died_between_requests_cost_no_request() {
    let world = World::new().await;
    let server = world.serve().await;
    for _ in 0..3 {
        server.get(&world.site_a.key, LIST).await.ok(200);
        let ended = format!(
            "select count(pg_terminate_backend(pid, 1000)) from pg_stat_activity where datname = '{}' \
             and usename in ('vicket_gate_widget', 'vicket_gate_agent', 'vicket_worker')",
            world.database
        );
        assert!(world.look::<i64>(&ended).await > 0);
    }
    server.get(&world.site_a.key, LIST).await.ok(200);
    server.post(&world.site_a.key, "/support/v1/tickets", &ticket()).await.ok(201);
}

#[tokio::test]
async fn a_pool_of_blocked_statements_answers_overloaded_in_time_and_recovers() {
    let world = World::new().await;
    let server = world.serve_with(Options { connections: 1, limits: false, ..Options::default() }).await;
    let mut blocker = world.superuser.begin().await.expect("begin");
    sqlx::raw_sql(AssertSqlSafe("lock table vicket.articles")).execute(&mut *blocker).await.expect("locked");
    let since = Instant::now();
    let (one, other) = tokio::join!(server.get(&world.site_a.key, LIST), server.get(&world.site_a.key, LIST));
    for answer in [one, other] {
        answer.refused(503, "overloaded");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
    assert!(since.elapsed() < Duration::from_secs(6), "{:?}", since.elapsed());
    blocker.rollback().await.expect("unlocked");
    server.get(&world.site_a.key, LIST).await.ok(200);
}

#[tokio::test]
async fn isolation_that_breaks_later_makes_the_server_unready_within_seconds() {
    let world = World::new().await;
    let server = world.serve().await;
    server.get("", "/readyz").await.ok(200);
    world.arrange("alter table vicket.articles no force row level security").await;
    let since = Instant::now();
    while server.get("", "/readyz").await.status == 200 {
        assert!(since.elapsed() < Duration::from_secs(4), "still ready");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    server.get("", "/readyz").await.refused(503, "database_unavailable");
    server.get("", "/healthz").await.ok(200);
}
