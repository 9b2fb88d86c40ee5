//! What a request costs in round trips, counted between the server and PostgreSQL.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use reqwest::Method;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::harness::{Answer, Options, Running, World, ticket};

/// A proxy that counts the messages after which a client waits for an answer: Sync and Query.
struct Proxy {
    port: u16,
    trips: Arc<AtomicU64>,
}

impl Proxy {
    async fn start(target: String) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let trips = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&trips);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&target).await.expect("PostgreSQL");
                let _ = client.set_nodelay(true);
                let _ = server.set_nodelay(true);
                let (from_client, mut to_client) = client.into_split();
                let (mut from_server, to_server) = server.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
                tokio::spawn(forward(from_client, to_server, Arc::clone(&counted)));
            }
        });
        Self { port, trips }
    }

    /// The trips of the last of several alike requests: statements are prepared by then.
    async fn cost<F: Future<Output = ()>>(&self, what: &str, request: impl Fn() -> F) -> u64 {
        request().await;
        request().await;
        let before = self.trips.load(Ordering::SeqCst);
        request().await;
        let cost = self.trips.load(Ordering::SeqCst) - before;
        println!("{what}: {cost} round trips");
        cost
    }
}

async fn forward(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    trips: Arc<AtomicU64>,
) -> std::io::Result<()> {
    // The first message has no tag.
    let mut tagged = false;
    loop {
        let tag = if tagged { Some(from.read_u8().await?) } else { None };
        let length = from.read_u32().await?;
        let mut body = vec![0; length as usize - 4];
        from.read_exact(&mut body).await?;
        if matches!(tag, Some(b'S' | b'Q')) {
            trips.fetch_add(1, Ordering::SeqCst);
        }
        let mut message: Vec<u8> = tag.into_iter().collect();
        message.extend_from_slice(&length.to_be_bytes());
        message.append(&mut body);
        to.write_all(&message).await?;
        tagged = true;
    }
}

async fn behind_proxy(world: &World, answer_cache_mib: u64) -> (Proxy, Running) {
    let url = |login| url::Url::parse(&world.url(login)).expect("a URL");
    let target = url("vicket_gate_widget");
    let proxy = Proxy::start(format!("{}:{}", target.host_str().expect("a host"), target.port().unwrap_or(5432))).await;
    let through = |login| {
        let mut url = url(login);
        url.set_host(Some("127.0.0.1")).expect("a host");
        url.set_port(Some(proxy.port)).expect("a port");
        url.into()
    };
    let options = Options { connections: 1, limits: false, answer_cache_mib, ..Options::default() };
    let server = world.serve_through(through("vicket_gate_widget"), through("vicket_gate_agent"), options).await;
    (proxy, server)
}

/// What may be answered from what is kept.
const KEPT: [&str; 5] = [
    "/support/v1/site",
    "/support/v1/help/articles",
    "/support/v1/help/articles/for-all-sites",
    "/support/v1/help/faqs",
    "/support/v1/templates",
];

#[tokio::test]
async fn a_kept_answer_costs_the_one_trip_that_proves_the_key() {
    let world = World::new().await;
    let (proxy, server) = behind_proxy(&world, 8).await;
    for path in KEPT {
        for method in [Method::GET, Method::HEAD] {
            let read = || async {
                let asked = server.request(method.clone(), path).header("X-Vicket-Key", &world.site_a.key);
                Answer::of(asked).await.ok(200);
            };
            assert_eq!(proxy.cost(&format!("kept, {method} {path}"), read).await, 1);
        }
    }
    let again = || async {
        let list = server.get(&world.site_a.key, KEPT[1]).await;
        let asked = server
            .request(Method::GET, KEPT[1])
            .header("X-Vicket-Key", &world.site_a.key)
            .header("If-None-Match", list.header("etag").expect("an ETag"));
        assert_eq!(Answer::of(asked).await.status, 304);
    };
    assert_eq!(proxy.cost("kept, and kept by the caller too", again).await, 2);
}

#[tokio::test]
async fn a_read_that_is_not_kept_costs_one_trip_more_and_the_rest_begin_entry_and_end_around_its_statements() {
    let world = World::new().await;
    let (proxy, server) = behind_proxy(&world, 0).await;
    let key = &world.site_a.key;
    for path in KEPT {
        let read = || async {
            server.get(key, path).await.ok(200);
        };
        assert_eq!(proxy.cost(&format!("where none is kept, {path}: the proof and the read"), read).await, 1 + 1);
    }
    let submitted = || async {
        server.post(key, "/support/v1/tickets", &ticket()).await.ok(201);
    };
    assert_eq!(proxy.cost("a ticket: one statement", submitted).await, 3 + 1);
    let person = world.person("acme", "owner").await;
    let read = || async {
        let asked = server.request(Method::GET, "/v1/orgs/acme/teams").header("Cookie", &person.cookie);
        Answer::of(asked).await.ok(200);
    };
    assert_eq!(proxy.cost("an agent's read: one statement", read).await, 3 + 1);
}

#[tokio::test]
async fn what_many_ask_for_at_once_is_read_from_the_tables_once() {
    let world = World::new().await;
    let (proxy, server) = behind_proxy(&world, 8).await;
    let server = Arc::new(server);
    // Prepared on the one connection.
    server.get(&world.site_b.key, KEPT[1]).await.ok(200);
    let before = proxy.trips.load(Ordering::SeqCst);
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (server, key) = (Arc::clone(&server), world.site_a.key.clone());
        readers.spawn(async move { server.get(&key, KEPT[1]).await.ok(200).text.clone() });
    }
    let mut answers = std::collections::BTreeSet::new();
    while let Some(answer) = readers.join_next().await {
        answers.insert(answer.expect("answered"));
    }
    assert_eq!(answers.len(), 1, "all got the same");
    assert!(answers.first().is_some_and(|list| list.contains("Published on site-a")));
    // Besides proofs, which are shared: the read, once.
    let trips = proxy.trips.load(Ordering::SeqCst) - before;
    println!("50 readers of what is not kept: {trips} round trips");
    assert!(trips < 50, "50 readers took {trips} round trips");
}

#[tokio::test]
async fn what_is_refused_before_its_handler_costs_one_trip_and_opens_no_transaction() {
    let world = World::new().await;
    let (proxy, server) = behind_proxy(&world, 8).await;
    let unknown = format!("pk_{}", "x".repeat(43));
    let refused = || async {
        server.get(&unknown, KEPT[1]).await.refused(401, "key_invalid");
    };
    assert_eq!(proxy.cost("a refused key", refused).await, 1);
    let foreign = || async {
        let asked = server
            .request(Method::GET, KEPT[1])
            .header("X-Vicket-Key", &world.site_a.key)
            .header("Origin", "https://unlisted.example");
        Answer::of(asked).await.refused(403, "origin_not_allowed");
    };
    assert_eq!(proxy.cost("an origin that is not listed", foreign).await, 1);
    let nowhere = || async {
        server.get(&world.site_a.key, "/support/v1/nowhere").await.refused(404, "not_found");
    };
    assert_eq!(proxy.cost("a path that is none", nowhere).await, 1);
    let preflight = || async {
        let asked = server
            .request(Method::OPTIONS, KEPT[1])
            .header("Origin", world.site_a.origin)
            .header("Access-Control-Request-Method", "GET");
        assert_eq!(Answer::of(asked).await.status, 204);
    };
    assert_eq!(proxy.cost("a preflight", preflight).await, 1);
    // A write, too: nothing is read from who has no good key.
    let submitted = || async {
        server.post(&unknown, "/support/v1/tickets", &ticket()).await.refused(401, "key_invalid");
    };
    assert_eq!(proxy.cost("a ticket with a refused key", submitted).await, 1);
}
