//! Published content read from a standby: as new as on the primary or not at all, no key longer alive, and the primary where the
//! standby is behind, away, or promoted. And URLs of several servers.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection};
use vicket::dev::postgres::{Cluster, Durability, Programs};

use crate::{
    harness::{Answer, connect},
    processes::{ALONE, Dev, dev_file, free_port, serve_with},
};

const LIST: &str = "/support/v1/help/articles";

/// A primary with the demo's data, and a standby that follows it.
struct Pair {
    dirs: [PathBuf; 2],
    primary: Cluster,
    standby: Cluster,
    /// What `vicket dev` wrote of the primary.
    made: Value,
}

fn data(dir: &Path) -> PathBuf {
    let location = std::fs::read_to_string(dir.join("postgres.location")).ok();
    location.map_or_else(|| dir.to_owned(), |at| PathBuf::from(at.trim())).join("postgres")
}

impl Pair {
    async fn start(name: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let base = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("cluster-{}", std::process::id()));
        let dirs = ["primary", "standby"].map(|role| base.join(format!("{name}-{role}")));
        let port = free_port();
        let mut dev = Dev::start(&dirs[0], port, &[]);
        dev.is_ready(port).await;
        dev.end("TERM").await;
        let made = dev_file(&dirs[0]);
        let programs = Programs::find().await.expect("programs");
        // A cluster of its own, whose files then become a copy of the primary's.
        Cluster::start(&programs, &dirs[1], Durability::Durable).await.expect("made").stop().await.expect("stopped");
        let (from, to) = (data(&dirs[0]), data(&dirs[1]));
        let copied = Command::new("sh")
            .args(["-c", "rm -rf \"$2\" && cp -a \"$1\" \"$2\"", "sh"])
            .args([&from, &to])
            .status()
            .expect("sh runs");
        assert!(copied.success());
        let primary = Cluster::start(&programs, &dirs[0], Durability::Durable).await.expect("started");
        let url = url::Url::parse(&primary.superuser_url("postgres")).expect("a URL");
        let follow = format!(
            "primary_conninfo = 'host=127.0.0.1 port={} user=postgres password={}'\n",
            primary.port(),
            url.password().expect("a password")
        );
        let settings = to.join("postgresql.auto.conf");
        let before = std::fs::read_to_string(&settings).unwrap_or_default();
        std::fs::write(settings, before + &follow).expect("written");
        std::fs::write(to.join("standby.signal"), "").expect("written");
        let standby = Cluster::start(&programs, &dirs[1], Durability::Durable).await.expect("followed");
        let pair = Self { dirs, primary, standby, made };
        pair.caught_up().await;
        pair
    }

    /// A URL of a login, with these servers, and whatever is added.
    fn url(&self, login: &str, ports: &[u16], more: &str) -> String {
        let url = self.made["databases"][login].as_str().expect("a URL");
        let mut url = url::Url::parse(url).expect("a URL");
        url.set_port(Some(1)).expect("a port");
        let hosts: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        format!("{}{more}", url.as_str().replace("127.0.0.1:1", &hosts.join(",")))
    }

    async fn admin(&self, port: u16) -> PgConnection {
        let database =
            self.made["databases"]["admin"].as_str().and_then(|url| url.rsplit('/').next().map(str::to_owned));
        let url = self.primary.superuser_url(&database.expect("a database"));
        connect(&url.replace(&format!(":{}/", self.primary.port()), &format!(":{port}/"))).await
    }

    async fn caught_up(&self) {
        let (mut here, mut there) = (self.admin(self.primary.port()).await, self.admin(self.standby.port()).await);
        let at: String = look(&mut here, "select pg_current_wal_lsn()::text").await;
        let since = Instant::now();
        while !look::<bool>(&mut there, &format!("select coalesce(pg_last_wal_replay_lsn() >= '{at}', false)")).await {
            assert!(since.elapsed() < Duration::from_secs(20), "the standby does not follow");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn remove(self) {
        let Self { dirs, primary, standby, .. } = self;
        standby.stop().await.expect("stopped");
        primary.stop().await.expect("stopped");
        for dir in dirs {
            Cluster::remove(&dir).await.expect("removed");
        }
    }
}

async fn look<T>(connection: &mut PgConnection, sql: &str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(connection).await.expect(sql)
}

async fn run(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.expect(sql);
}

async fn get(port: u16, key: &str, path: &str) -> Answer {
    Answer::of(reqwest::Client::new().get(format!("http://127.0.0.1:{port}{path}")).header("X-Vicket-Key", key)).await
}

/// Reads of the tables there, so far. A session tells what it did when a statement ends a second later.
async fn reads_at(connection: &mut PgConnection) -> i64 {
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    look(
        connection,
        "select coalesce(sum(idx_scan + seq_scan), 0)::bigint from pg_stat_user_tables where relname = 'articles'",
    )
    .await
}

#[tokio::test]
async fn a_replica_answers_when_it_is_as_new_and_the_primary_when_it_is_not_and_promotion_loses_nothing() {
    let _alone = ALONE.lock().await;
    let pair = Pair::start("replica").await;
    let (primary, standby) = (pair.primary.port(), pair.standby.port());
    let both = [primary, standby];
    let port = free_port();
    let rw = "?target_session_attrs=read-write";
    let environment = [
        // The standby first: what is wanted is found behind it.
        ("VICKET_WIDGET_URL", pair.url("widget", &[standby, primary], rw)),
        ("VICKET_AGENT_URL", pair.url("agent", &both, rw)),
        ("VICKET_WORKER_URL", pair.url("worker", &both, rw)),
        ("VICKET_WIDGET_READ_URL", pair.url("widget", &[standby], "")),
        ("VICKET_ANSWER_CACHE_MIB", "0".to_owned()),
    ];
    let mut server = serve_with(&environment, port, "warn", Stdio::null());
    server.is_ready(port).await;
    let key = pair.made["sites"][0]["key"].as_str().expect("a key").to_owned();
    let (mut here, mut there) = (pair.admin(primary).await, pair.admin(standby).await);
    // As many as a fast machine asks for.
    let figures = "update vicket.sites set reads_per_minute = 1000000, network_reads_per_minute = 1000000, \
                   writes_per_minute = 1000000, network_writes_per_minute = 1000000";
    run(&mut here, figures).await;
    pair.caught_up().await;

    // Read there.
    let before = (reads_at(&mut here).await, reads_at(&mut there).await);
    for _ in 0..20 {
        get(port, &key, LIST).await.ok(200);
    }
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    get(port, &key, LIST).await.ok(200);
    let after = (reads_at(&mut here).await, reads_at(&mut there).await);
    assert!(after.1 > before.1, "nothing was read on the standby: {before:?} {after:?}");
    println!("reads of articles, primary and standby: {before:?} -> {after:?}");

    // What is published shows in the next request, though the standby does not have it.
    run(&mut there, "select pg_wal_replay_pause()").await;
    run(&mut here, "update vicket.articles set title = 'Anew ' || title where status = 'published'").await;
    let list = get(port, &key, LIST).await.ok(200).json();
    assert!(list["data"][0]["title"].as_str().is_some_and(|title| title.starts_with("Anew ")), "{list}");
    // And a key that was revoked is dead, though the standby knows it as good.
    let other = &pair.made["sites"][1];
    let others = other["key"].as_str().expect("a key");
    get(port, others, LIST).await.ok(200);
    let site = other["id"].as_str().expect("an id");
    run(
        &mut here,
        &format!("update vicket.site_keys set state = 'revoked', revoked_at = now() where site_id = '{site}'"),
    )
    .await;
    get(port, others, LIST).await.refused(401, "key_invalid");
    run(&mut there, "select pg_wal_replay_resume()").await;
    pair.caught_up().await;

    // Away: the primary answers.
    let dir = pair.dirs[1].clone();
    let programs = Programs::find().await.expect("programs");
    pair.standby.stop().await.expect("stopped");
    for _ in 0..10 {
        get(port, &key, LIST).await.ok(200);
    }
    let standby = Cluster::start(&programs, &dir, Durability::Durable).await.expect("started again");
    let pair = Pair { standby, ..pair };
    assert_eq!(pair.standby.port(), both[1], "the same port");
    pair.caught_up().await;

    // Promoted under load: requests fail while there is no primary, and none is wrong, before, meanwhile or after.
    let load = tokio::spawn({
        let key = key.clone();
        async move {
            let (mut good, mut away) = (0, 0);
            let since = Instant::now();
            let ticket = json!({ "email": "ada@example.com", "subject": "Help", "message": "Under load" });
            let client = reqwest::Client::new();
            while since.elapsed() < Duration::from_secs(8) {
                let read = get(port, &key, LIST).await;
                let write = client.post(format!("http://127.0.0.1:{port}/support/v1/tickets"));
                let write = Answer::of(write.header("X-Vicket-Key", &key).json(&ticket)).await;
                for answer in [&read, &write] {
                    match answer.status {
                        200 | 201 => good += 1,
                        503 => away += 1,
                        _ => panic!("{answer:?}"),
                    }
                }
            }
            (good, away)
        }
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut there = pair.admin(both[1]).await;
    let Pair { dirs, primary, standby, made } = pair;
    primary.stop().await.expect("stopped");
    let promoted: bool = look(&mut there, "select pg_promote()").await;
    assert!(promoted);
    let (good, away) = load.await.expect("no wrong answer");
    println!("while the standby was promoted: {good} answered, {away} 503");
    assert!(good > 20);
    get(port, &key, LIST).await.ok(200);
    server.is_ready(port).await;
    assert!(server.end("TERM").await.status.success());
    let primary = Cluster::start(&programs, &dirs[0], Durability::Durable).await.expect("started again");
    Pair { dirs, primary, standby, made }.remove().await;
}
