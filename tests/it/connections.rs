//! Connections: those that say nothing, those of one network, those that a stop finds at work, and requests that a proxy and
//! we could read differently.

use std::{
    io::ErrorKind,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use crate::harness::{Options, Running, World};

fn address(server: &Running) -> SocketAddr {
    server.base.trim_start_matches("http://").parse().expect("an address")
}

/// Seconds until the server closes the connection on which this was sent.
async fn closed_after(server: &Running, sent: &'static [u8]) -> f64 {
    let mut stream = TcpStream::connect(address(server)).await.expect("connected");
    let began = Instant::now();
    stream.write_all(sent).await.expect("sent");
    let mut heard = Vec::new();
    let outcome =
        tokio::time::timeout(Duration::from_mins(1), stream.read_to_end(&mut heard)).await.expect("it is closed");
    assert!(outcome.is_ok_and(|length| length < 512), "{sent:?}");
    began.elapsed().as_secs_f64()
}

#[tokio::test]
async fn who_sends_no_whole_head_is_closed_after_ten_seconds_in_both_protocols() {
    let world = World::new().await;
    let server = world.serve().await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    let sent: [&'static [u8]; 6] =
        [b"", b"P", &preface[..12], settings, b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"GET /hea"];
    let closed = futures_util::future::join_all(sent.map(|bytes| closed_after(&server, bytes))).await;
    for (bytes, seconds) in sent.iter().zip(closed) {
        assert!((9.0..40.0).contains(&seconds), "{seconds} s after {:?}", String::from_utf8_lossy(bytes));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_network_has_a_share_of_the_connections_and_the_one_that_leaves_makes_room() {
    let world = World::new().await;
    let server = world.serve_with(Options { connections_per_network: 3, ..Options::default() }).await;
    let silent = async || TcpStream::connect(address(&server)).await.expect("connected");
    let mut there = vec![silent().await, silent().await];
    assert_eq!(
        server.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.status,
        200,
        "the third"
    );
    there.push(silent().await);
    let mut fourth = silent().await;
    let read = tokio::time::timeout(Duration::from_secs(5), fourth.read(&mut [0; 16])).await.expect("closed at once");
    assert!(matches!(&read, Ok(0)) || read.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    drop(there.pop());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(
        server.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.status,
        200,
        "there is room"
    );
    server.stop().await;
}

/// Asks over and over on one connection until an answer says that it was the last, or the server cannot be reached; `Err` for
/// a request that was sent and not answered.
async fn busy(to: SocketAddr, answered: Arc<AtomicUsize>) -> Result<(), String> {
    let mut buffer = vec![0; 4096];
    let mut stream = TcpStream::connect(to).await.map_err(|error| error.to_string())?;
    loop {
        let sent = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let read = match sent {
            Ok(()) => stream.read(&mut buffer).await,
            Err(error) => Err(error),
        };
        let count = answered.load(Ordering::Relaxed);
        let length = read.map_err(|error| format!("{error} after {count}"))?;
        let answer = String::from_utf8_lossy(&buffer[..length]).to_lowercase();
        if !answer.starts_with("http/1.1 200") {
            return Err(format!("{answer:?} after {count}"));
        }
        answered.fetch_add(1, Ordering::Relaxed);
        if answer.contains("connection: close") {
            return Ok(());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_cuts_no_busy_client_off() {
    let world = World::new().await;
    let server = world.serve().await;
    let to = address(&server);
    let answered = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..16 {
        clients.spawn(busy(to, Arc::clone(&answered)));
    }
    while answered.load(Ordering::Relaxed) < 200 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.stop().await;
    let outcomes = clients.join_all().await;
    let cut: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(cut.is_empty(), "{} of 16 after {}: {cut:?}", cut.len(), answered.load(Ordering::Relaxed));
}

/// A connection that becomes free goes first to an org that holds less than half, whoever waited longer.
#[tokio::test]
async fn an_org_that_waits_comes_before_the_one_that_has_all_connections() {
    let world = World::new().await;
    let (acme, globex) = (world.person("acme", "agent").await, world.person("globex", "agent").await);
    let gate = world.agent_gate();
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(world.agent(&gate, &acme, "acme").await);
    }
    let order = Mutex::new(Vec::new());
    let waits = async |person, org| {
        let tx = world.agent(&gate, person, org).await;
        order.lock().expect("no panic").push(org);
        tx.finish(Ok(())).await.expect("ended");
    };
    let leave = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        held.pop().expect("one of three").finish(Ok(())).await.expect("ended");
    };
    tokio::join!(waits(&acme, "acme"), waits(&acme, "acme"), waits(&globex, "globex"), leave);
    assert_eq!(order.into_inner().expect("no panic"), ["globex", "acme", "acme"]);
}

#[tokio::test]
async fn what_a_proxy_could_read_differently_is_refused() {
    let world = World::new().await;
    let server = world.serve().await;
    let ask = async |head: &str| server.raw(format!("{head}Connection: close\r\n\r\n").as_bytes()).await;
    ask("GET /healthz HTTP/1.1\r\nHost: a\r\n").await.ok(200);
    ask("GET /healthz HTTP/1.0\r\n").await.ok(200);
    for head in [
        "GET /healthz HTTP/1.1\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: a\r\n",
    ] {
        ask(head).await.refused(400, "invalid_request");
    }
    let key = &world.site_a.key;
    let body = r#"{"email":"ada@example.com","subject":"Hello","message":"Hello?"}"#;
    let post = async |coding: &str| {
        let head = format!(
            "POST /support/v1/tickets HTTP/1.1\r\nHost: a\r\nX-Vicket-Key: {key}\r\nContent-Type: application/json\r\nConnection: close\r\n"
        );
        server.raw(format!("{head}{coding}\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).as_bytes()).await
    };
    post("Transfer-Encoding: chunked\r\n").await.ok(201);
    post("Transfer-Encoding: Chunked\r\n").await.ok(201);
    for coding in
        ["Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"]
    {
        post(coding).await.refused(400, "invalid_request");
    }
    server.stop().await;
}
