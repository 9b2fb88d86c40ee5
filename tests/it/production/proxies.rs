//! Behind nginx and Caddy, as the page sets them up: whose address counts, what passes, what is not held back, and that no
//! request is lost while the servers are replaced one after the other.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::{Client, Response, StatusCode};
use serde_json::Value;

use super::{
    Dir, PAGE, Running, free_ports, logins,
    proxy::{Proxy, client, url},
    serve,
};
use crate::{
    harness::{Answer, World, ticket},
    processes::Dev,
    support::attachments::multipart,
};

const LIST: &str = "/support/v1/help/articles";
const MIB: usize = 1024 * 1024;

/// Two servers of one database behind a proxy.
struct Front {
    // Ends before its directory goes.
    _proxy: Running,
    dir: Dir,
    world: World,
    port: u16,
    ports: [u16; 2],
}

impl Front {
    async fn of(proxy: Proxy) -> (Self, [Dev; 2]) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let world = World::new().await;
        let dir = Dir::new();
        let [port, one, two] = free_ports();
        let servers = [start(&world, one, &dir).await, start(&world, two, &dir).await];
        let proxy = proxy.start(&dir, port, [one, two]).await;
        (Self { _proxy: proxy, dir, world, port, ports: [one, two] }, servers)
    }

    fn key(&self) -> &str {
        &self.world.site_a.key
    }

    fn url(&self, path: &str) -> String {
        url(self.port, path)
    }

    async fn limits(&self, network_reads: u32) {
        let most = 1_000_000;
        let sql = format!(
            "update vicket.sites set reads_per_minute = {most}, writes_per_minute = {most}, \
             network_writes_per_minute = {most}, network_reads_per_minute = {network_reads}"
        );
        self.world.arrange(&sql).await;
    }

    async fn ticket(&self, client: &Client) -> Value {
        let request = client.post(self.url("/support/v1/tickets")).header("X-Vicket-Key", self.key()).json(&ticket());
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 201);
        answer.json().await.expect("JSON")
    }

    async fn upload(&self, client: &Client, made: &Value, bytes: usize) -> Response {
        let (content_type, body) = multipart(&[("log.txt", &vec![b'a'; bytes])]);
        let text = |field: &str| made[field].as_str().expect("text").to_owned();
        let path = format!("/support/v1/tickets/thread/messages/{}/attachments", text("message_id"));
        let request = client.post(self.url(&path)).header("X-Vicket-Key", self.key());
        let request = request.header("X-Vicket-Ticket", text("token")).header("Content-Type", content_type);
        request.body(body).send().await.expect("an answer")
    }
}

async fn start(world: &World, port: u16, dir: &Dir) -> Dev {
    let urls = logins(world);
    serve(urls.each_ref().map(String::as_str), port, &dir.0.join("servers")).await
}

async fn whose_address_counts(front: &Front) {
    // In each of two processes.
    front.limits(5).await;
    let list = async |client: &Client, forged: Option<String>| {
        let mut request = client.get(front.url(LIST)).header("X-Vicket-Key", front.key());
        if let Some(forged) = forged {
            request = request.header("X-Forwarded-For", forged);
        }
        request.send().await.expect("an answer").status()
    };
    let (greedy, other) = (client(front.port, [127, 1, 1, 1]), client(front.port, [127, 2, 2, 2]));
    let mut refused = 0;
    for n in 0..30 {
        refused += usize::from(list(&greedy, Some(format!("203.0.{n}.7"))).await == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(refused >= 18, "a forged address counted: {refused} of 30 were refused");
    assert_eq!(
        list(&other, None).await,
        StatusCode::OK,
        "another network pays for the first: the proxy's address counted"
    );
    // Nor may it be used up in another's name.
    for _ in 0..30 {
        list(&greedy, Some("127.3.3.3".to_owned())).await;
    }
    assert_eq!(list(&client(front.port, [127, 3, 3, 3]), None).await, StatusCode::OK);
    front.limits(1_000_000).await;
}

async fn what_passes(front: &Front) {
    let client = client(front.port, [127, 4, 4, 4]);
    let made = front.ticket(&client).await;
    for bytes in [10 * MIB, 10 * MIB, 5 * MIB - 1024] {
        let answer = front.upload(&client, &made, bytes).await;
        assert_eq!(answer.status(), 201, "{bytes} bytes");
    }
    // All of it at once is the server's most; what is over is refused by the server, whose answer says why.
    let over = front.upload(&client, &front.ticket(&client).await, 26 * MIB).await;
    assert_eq!(over.status(), 413);
    let said: Value = over.json().await.expect("a problem");
    assert_eq!(said["code"], "body_too_large");
}

async fn news_is_not_held_back(front: &Front) {
    let person = front.world.person("acme", "agent").await;
    let client = client(front.port, [127, 5, 5, 5]);
    // Under HTTPS the cookie is named so.
    let cookie = person.cookie.replace("vicket_session=", "__Host-vicket_session=");
    let request = client.get(front.url("/dashboard/acme/events")).header("Cookie", cookie);
    let mut stream = request.send().await.expect("an answer");
    assert_eq!(stream.status(), 200);
    let next = async |stream: &mut Response| {
        let chunk = tokio::time::timeout(Duration::from_secs(15), stream.chunk()).await.expect("held back");
        String::from_utf8_lossy(&chunk.expect("a sound stream").expect("it goes on")).into_owned()
    };
    assert_eq!(next(&mut stream).await, "retry: 3000\n\n");
    front.ticket(&client).await;
    assert_eq!(next(&mut stream).await, "event: change\ndata: {}\n\n");
}

/// It comes as the server encoded it for this client, and not once more.
async fn what_is_encoded_passes(front: &Front) {
    let client = client(front.port, [127, 7, 7, 7]);
    for (accepted, coding) in [("br, gzip", Some("br")), ("gzip", Some("gzip")), ("identity", None)] {
        let request = client.get(front.url("/openapi/support.json")).header("Accept-Encoding", accepted);
        let answer = Answer::of(request).await;
        assert_eq!(answer.ok(200).header("content-encoding"), coding, "{accepted}");
        assert_eq!(answer.json()["openapi"].as_str().map(|version| &version[..2]), Some("3."), "{accepted}");
        assert!(answer.list("vary").contains(&"accept-encoding".to_owned()), "{accepted}");
    }
    let request = client.get(front.url("/dashboard/acme/nothing/like/that")).header("Accept-Encoding", "gzip");
    let refused = Answer::of(request).await;
    assert!(refused.status >= 400 && refused.header("content-encoding").is_none(), "{refused:?}");
    assert!(refused.text.contains("<!doctype html>"), "{refused:?}");
}

/// Reads and writes without a pause, until told to stop; how many, and what failed.
async fn traffic(front: &Front, done: Arc<AtomicBool>, count: Arc<AtomicUsize>) -> Vec<String> {
    let client = client(front.port, [127, 6, 6, 6]);
    let mut failed = Vec::new();
    while !done.load(Ordering::Relaxed) {
        for write in [false, true] {
            let (path, expected) = if write { ("/support/v1/tickets", 201) } else { (LIST, 200) };
            let mut request =
                if write { client.post(front.url(path)).json(&ticket()) } else { client.get(front.url(path)) };
            request = request.header("X-Vicket-Key", front.key());
            match request.send().await {
                Ok(answer) if answer.status() == expected => {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                Ok(answer) => failed.push(format!("{path}: {}", answer.status())),
                Err(error) => failed.push(format!("{path}: {error:?}")),
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    failed
}

async fn no_request_is_lost(front: &Front, servers: [Dev; 2]) {
    let (done, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let replace = async {
        let mut replaced = Vec::new();
        for (old, port) in servers.into_iter().zip(front.ports) {
            let before = count.load(Ordering::Relaxed);
            let began = Instant::now();
            let ended = old.end("TERM").await;
            assert!(ended.status.success());
            assert!(began.elapsed() >= Duration::from_secs(2), "it did not drain");
            assert!(count.load(Ordering::Relaxed) > before + 20, "nothing was asked meanwhile");
            // For a while there is one only.
            tokio::time::sleep(Duration::from_secs(1)).await;
            let new = start(&front.world, port, &front.dir).await;
            // Until whoever passes over it for two seconds comes again.
            tokio::time::sleep(Duration::from_millis(2500)).await;
            replaced.push(new);
        }
        done.store(true, Ordering::Relaxed);
        replaced
    };
    let traffic = |_| traffic(front, Arc::clone(&done), Arc::clone(&count));
    let (failed, _replaced) = tokio::join!(futures_util::future::join_all((0..3).map(traffic)), replace);
    let failed = failed.concat();
    println!("{} requests while both servers were replaced", count.load(Ordering::Relaxed));
    let some = &failed[..failed.len().min(5)];
    assert!(failed.is_empty(), "{} failed, and {} not: {some:?}", failed.len(), count.load(Ordering::Relaxed));
}

#[tokio::test]
async fn nginx_of_the_page() {
    all_of(Proxy::Nginx).await;
}

#[tokio::test]
async fn caddy_of_the_page() {
    all_of(Proxy::Caddy).await;
}

async fn all_of(proxy: Proxy) {
    if !proxy.is_installed() {
        return;
    }
    let (front, servers) = Front::of(proxy).await;
    whose_address_counts(&front).await;
    what_passes(&front).await;
    what_is_encoded_passes(&front).await;
    news_is_not_held_back(&front).await;
    no_request_is_lost(&front, servers).await;
}

/// What the page and the proxies' blocks build on.
#[test]
fn the_times_that_the_page_states_are_those_of_the_server() {
    for (file, stands, page) in [
        (include_str!("../../../src/server/life.rs"), "IDLE: Duration = Duration::from_secs(30)", "less than 30 s"),
        (
            include_str!("../../../src/http/router.rs"),
            "HANDLER_TIME: Duration = Duration::from_secs(30)",
            "answers within 30",
        ),
        (include_str!("../../../src/http/request.rs"), "UPLOAD_TIME: Duration = Duration::from_mins(2)", "two minutes"),
        (
            include_str!("../../../src/server/mod.rs"),
            "DRAIN_TIME: Duration = Duration::from_secs(20)",
            "in flight 20 s",
        ),
        (
            include_str!("../../../src/dashboard/tickets/events.rs"),
            "KEEP_ALIVE: Duration = Duration::from_secs(10)",
            "every ten seconds",
        ),
    ] {
        assert!(file.contains(stands), "{stands} is not so any more: docs/production.md says \"{page}\"");
        assert!(PAGE.contains(page), "docs/production.md does not say \"{page}\"");
    }
}
