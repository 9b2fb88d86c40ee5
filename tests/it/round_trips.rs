//! What a request costs in round trips, counted between the server and PostgreSQL.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::harness::{Options, Running, World, ticket};

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
    let mut url = url::Url::parse(&world.url("vicket_gate_widget")).expect("a URL");
    let target = format!("{}:{}", url.host_str().expect("a host"), url.port().unwrap_or(5432));
    let proxy = Proxy::start(target).await;
    url.set_host(Some("127.0.0.1")).expect("a host");
    url.set_port(Some(proxy.port)).expect("a port");
    let options = Options { connections: 1, limits: false, answer_cache_mib, ..Options::default() };
    let server = world.serve_through(url.into(), options).await;
    (proxy, server)
}

#[tokio::test]
async fn a_read_enters_asks_and_commits_a_refused_key_only_enters_and_rolls_back_a_ticket_costs_four() {
    let world = World::new().await;
    let (proxy, server) = behind_proxy(&world, 0).await;
    let key = &world.site_a.key;
    let list = || async {
        server.get(key, "/support/v1/help/articles").await.ok(200);
    };
    assert_eq!(proxy.cost("an article list", list).await, 3);
    let refused = || async {
        server.get(&format!("pk_{}", "x".repeat(43)), "/support/v1/help/articles").await.refused(401, "key_invalid");
    };
    assert_eq!(proxy.cost("a refused key", refused).await, 2);
    let submitted = || async {
        server.post(key, "/support/v1/tickets", &ticket()).await.ok(201);
    };
    assert_eq!(proxy.cost("a ticket", submitted).await, 4);
}

#[tokio::test]
async fn a_kept_answer_enters_and_commits_and_asks_nothing() {
    let world = World::new().await;
    let (proxy, server) = behind_proxy(&world, 8).await;
    let list = || async {
        server.get(&world.site_a.key, "/support/v1/help/articles").await.ok(200);
    };
    assert_eq!(proxy.cost("a kept article list", list).await, 2);
}
