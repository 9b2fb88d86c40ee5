//! PostgreSQL going away, coming back, and being too busy.

use std::{
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use sqlx::AssertSqlSafe;

use vicket::dev::postgres::{Cluster, Durability, Programs};

use crate::{
    harness::{Answer, Options, World, ticket},
    processes::{ALONE, Dev, dev_file, free_port, serve},
};

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

#[tokio::test]
async fn a_server_that_is_told_to_stop_says_so_before_it_refuses_connections() {
    let world = World::new().await;
    let server = world.serve_with(Options { drain_delay: 2, ..Options::default() }).await;
    server.get("", "/readyz").await.ok(200);
    let (base, client) = (server.base.clone(), server.client.clone());
    let ended = tokio::spawn(server.stop());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let unready = Answer::of(client.get(format!("{base}/readyz"))).await;
    unready.refused(503, "database_unavailable");
    assert_eq!(unready.json()["reasons"], serde_json::json!(["draining"]));
    // And still serves.
    let request = client.get(format!("{base}{LIST}")).header("X-Vicket-Key", &world.site_a.key);
    Answer::of(request).await.ok(200);
    ended.await.expect("an orderly end");
    assert!(client.get(format!("{base}/readyz")).send().await.is_err(), "it goes on accepting");
}

#[tokio::test]
async fn a_standby_is_not_started_on_and_a_primary_that_becomes_one_is_not_ready() {
    let _alone = ALONE.lock().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("cluster-{}", std::process::id())).join("standby");
    let (dev_port, port) = (free_port(), free_port());
    let mut dev = Dev::start(&dir, dev_port, &[]);
    dev.is_ready(dev_port).await;
    dev.end("TERM").await;
    let made = dev_file(&dir);
    let location = std::fs::read_to_string(dir.join("postgres.location")).ok();
    let data = location.map_or_else(|| dir.clone(), |at| PathBuf::from(at.trim())).join("postgres");
    let programs = Programs::find().await.expect("programs");
    let cluster = Cluster::start(&programs, &dir, Durability::Durable).await.expect("started");
    let mut server = serve(&made, port, "warn", Stdio::null());
    server.is_ready(port).await;

    // Restored from its own log, it waits for more of it, as one does that has lost its primary.
    cluster.stop().await.expect("stopped");
    std::fs::write(data.join("standby.signal"), "").expect("written");
    let cluster = Cluster::start(&programs, &dir, Durability::Durable).await.expect("started again");
    let ready = async || Answer::of(reqwest::Client::new().get(format!("http://127.0.0.1:{port}/readyz"))).await;
    let since = Instant::now();
    let unready = loop {
        let answer = ready().await;
        if answer.status == 503 && answer.json()["reasons"] != serde_json::json!(["database"]) {
            break answer;
        }
        assert!(since.elapsed() < Duration::from_secs(10), "{answer:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    unready.refused(503, "database_unavailable");
    assert_eq!(unready.json()["reasons"], serde_json::json!(["not_primary"]));
    // What it reads it goes on serving; what would be written is tried again later, and is no fault of ours.
    let client = reqwest::Client::new();
    let key = made["sites"][0]["key"].as_str().expect("a key");
    let log_in = async || {
        let user = serde_json::json!({ "email": made["users"][0]["email"], "password": made["users"][0]["password"] });
        Answer::of(client.post(format!("http://127.0.0.1:{port}/v1/auth/login")).json(&user)).await
    };
    let submit = async || {
        let request = client.post(format!("http://127.0.0.1:{port}/support/v1/tickets")).header("X-Vicket-Key", key);
        Answer::of(request.json(&ticket())).await
    };
    Answer::of(client.get(format!("http://127.0.0.1:{port}{LIST}")).header("X-Vicket-Key", key)).await.ok(200);
    for written in [log_in().await, submit().await] {
        written.refused(503, "database_unavailable");
        assert!(written.header("retry-after").is_some(), "{written:?}");
    }
    let other = serve(&made, free_port(), "warn", Stdio::piped());
    let refused = { other }.0.take().expect("started").wait_with_output().expect("waited");
    let said = crate::processes::text(&refused.stderr);
    assert!(!refused.status.success() && said.contains("reaches a standby"), "{said}");

    // Promoted.
    cluster.stop().await.expect("stopped");
    std::fs::remove_file(data.join("standby.signal")).expect("removed");
    let cluster = Cluster::start(&programs, &dir, Durability::Durable).await.expect("started again");
    server.is_ready(port).await;
    log_in().await.ok(200);
    submit().await.ok(201);
    assert!(server.end("TERM").await.status.success());
    cluster.stop().await.expect("stopped");
    Cluster::remove(&dir).await.expect("removed");
}

/// As of a primary that became a standby under a connection, which a pooler or a proxy may keep alive.
#[tokio::test]
async fn a_connection_that_takes_no_writes_any_more_is_not_used_again() {
    let world = World::new().await;
    let server = world.serve().await;
    let demoted = "create or replace function auth.password_salt(p_email text) returns text language plpgsql as $$
        begin raise exception 'cannot execute INSERT in a read-only transaction' using errcode = '25006'; end $$";
    world.arrange(demoted).await;
    let connections = async || {
        let count = "select count(*) from pg_stat_activity where usename = 'vicket_gate_agent' and datname = ";
        world.look::<i64>(&format!("{count}'{}'", world.database)).await
    };
    let teams = server.call(reqwest::Method::GET, "/v1/orgs/acme/teams", &[("Authorization", "Bearer x")]).await;
    assert_eq!(teams.status, 401);
    let before = connections().await;
    assert!(before > 0);
    let user = serde_json::json!({ "email": "ada@example.com", "password": "whatever it is" });
    for _ in 0..before {
        let log_in = server.request(reqwest::Method::POST, "/v1/auth/login").json(&user);
        Answer::of(log_in).await.refused(503, "database_unavailable");
    }
    let since = Instant::now();
    while connections().await > 0 {
        assert!(since.elapsed() < Duration::from_secs(5), "they are kept");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn postgresql_that_stops_and_starts_again_needs_no_restart_and_loses_no_view() {
    let _alone = ALONE.lock().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("cluster-{}", std::process::id())).join("stops");
    let (dev_port, port) = (free_port(), free_port());
    let mut dev = Dev::start(&dir, dev_port, &[]);
    dev.is_ready(dev_port).await;
    dev.end("TERM").await;
    let made = dev_file(&dir);
    let programs = Programs::find().await.expect("programs");
    let cluster = Cluster::start(&programs, &dir, Durability::Durable).await.expect("started");
    let mut server = serve(&made, port, "warn", Stdio::null());
    server.is_ready(port).await;

    let client = reqwest::Client::new();
    let get = async |path: &str| {
        let key = made["sites"][0]["key"].as_str().expect("a key");
        Answer::of(client.get(format!("http://127.0.0.1:{port}{path}")).header("X-Vicket-Key", key)).await
    };
    let list = get(LIST).await.ok(200).json();
    let article = format!("{LIST}/{}", list["data"][0]["slug"].as_str().expect("a slug"));
    let views = get(&article).await.ok(200).json()["view_count"].as_i64().expect("a count");
    cluster.stop().await.expect("stopped");
    let away = get(&article).await;
    away.refused(503, "database_unavailable");
    assert!(away.header("retry-after").is_some(), "{away:?}");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    get("/readyz").await.refused(503, "database_unavailable");
    get("/healthz").await.ok(200);

    let cluster = Cluster::start(&programs, &dir, Durability::Durable).await.expect("started again");
    get(LIST).await.ok(200);
    let since = Instant::now();
    // The one view of before the stop; asking with HEAD or the list counts none.
    let counted = async || {
        let list = get(LIST).await.ok(200).json();
        list["data"][0]["view_count"].as_i64().expect("a count")
    };
    while counted().await < views + 1 {
        assert!(since.elapsed() < Duration::from_secs(5), "the view is lost");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(server.end("TERM").await.status.success());
    cluster.stop().await.expect("stopped");
    Cluster::remove(&dir).await.expect("removed");
}
