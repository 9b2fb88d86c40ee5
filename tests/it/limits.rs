//! Rate limits over HTTP: exactly so many pass, whose they are, and what the headers say.

use std::process::Stdio;

use reqwest::Method;
use serde_json::json;
use vicket::store::{self, sites, sites::SiteChanges};

use crate::{
    harness::{Answer, Options, Running, Site, World, ticket},
    processes::{self, free_port},
};

const SITE: &str = "/support/v1/site";
const TICKETS: &str = "/support/v1/tickets";

/// A server behind a proxy on this machine, so that tests choose the client's address.
async fn behind_a_proxy(world: &World) -> Running {
    world.serve_with(Options { trusted_proxies: &["127.0.0.0/8"], ..Options::default() }).await
}

async fn set(world: &World, site: &Site, changes: SiteChanges) {
    world.administer(site.org, async |tx| sites::update(tx, site.slug, &changes).await).await.expect("set");
}

async fn read_from(server: &Running, site: &Site, address: &str) -> Answer {
    server.call(Method::GET, SITE, &[("X-Vicket-Key", &site.key), ("X-Forwarded-For", address)]).await
}

/// A bucket as the headers name it: its name, its quota, what remains.
type Bucket = (String, u32, u32);

/// Reads both headers, in the draft's form, and checks that they agree.
#[track_caller]
fn buckets(answer: &Answer) -> Vec<Bucket> {
    fn items<'a>(answer: &'a Answer, name: &str, parameters: [&str; 2]) -> Vec<(&'a str, [u32; 2])> {
        let value = answer.header(name).unwrap_or_else(|| panic!("no {name}: {answer:?}"));
        let item = |item: &'a str| {
            let mut parts = item.split(';');
            let name = parts.next()?.strip_prefix('"')?.strip_suffix('"')?;
            let mut figures = [0; 2];
            for (figure, parameter) in figures.iter_mut().zip(parameters) {
                *figure = parts.next()?.strip_prefix(parameter)?.strip_prefix('=')?.parse().ok()?;
            }
            parts.next().is_none().then_some((name, figures))
        };
        let read = |text| item(text).unwrap_or_else(|| panic!("not in the draft's form: {value}"));
        value.split(", ").map(read).collect()
    }
    let policies = items(answer, "ratelimit-policy", ["q", "w"]);
    let standings = items(answer, "ratelimit", ["r", "t"]);
    assert_eq!(policies.len(), standings.len());
    let both = policies.into_iter().zip(standings);
    both.map(|((name, [quota, window]), (same, [remaining, reset]))| {
        assert_eq!((name, window), (same, 60), "{answer:?}");
        assert!((1..=60).contains(&reset) && remaining <= quota, "{answer:?}");
        (name.to_owned(), quota, remaining)
    })
    .collect()
}

fn bucket(name: &str, quota: u32, remaining: u32) -> Bucket {
    (name.to_owned(), quota, remaining)
}

/// Asserts a 429 of this bucket.
#[track_caller]
fn limited(answer: &Answer, name: &str) {
    answer.refused(429, "rate_limited");
    let detail = answer.json()["detail"].as_str().expect("text").to_owned();
    assert!(detail.contains(&format!("`{name}`")), "{detail}");
    let wait: u32 = answer.header("retry-after").and_then(|wait| wait.parse().ok()).expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    assert!(buckets(answer).iter().any(|(of, _, remaining)| of == name && *remaining == 0), "{answer:?}");
}

#[tokio::test]
async fn a_site_has_so_many_reads_and_writes_and_no_other_site_feels_it() {
    let world = World::new().await;
    let server = world.serve().await;
    let (a, b, c) = (&world.site_a, &world.site_b, &world.site_c);
    set(&world, a, SiteChanges { reads: Some(5), writes: Some(3), ..SiteChanges::default() }).await;
    for left in (0..5).rev() {
        // A HEAD is a read, and so is what turns out not to be there.
        let (method, path, status) = match left {
            3 => (Method::HEAD, SITE, 200),
            2 => (Method::GET, "/support/v1/help/articles/nothing", 404),
            _ => (Method::GET, SITE, 200),
        };
        let answer = server.call(method, path, &[("X-Vicket-Key", &a.key)]).await;
        let expected = [bucket("network-reads", 300, 295 + left), bucket("site-reads", 5, left)];
        assert_eq!(buckets(answer.ok(status)), expected);
    }
    for _ in 0..2 {
        limited(&server.get(&a.key, SITE).await, "site-reads");
    }
    for left in (0..3).rev() {
        let answer = server.post(&a.key, TICKETS, &ticket()).await;
        let expected = [bucket("network-writes", 10, 7 + left), bucket("site-writes", 3, left)];
        assert_eq!(buckets(answer.ok(201)), expected);
    }
    limited(&server.post(&a.key, TICKETS, &ticket()).await, "site-writes");
    assert_eq!(world.look::<i64>("select count(*) from vicket.tickets").await, 3);

    for site in [b, c] {
        let expected = [bucket("network-reads", 300, 299), bucket("site-reads", 6000, 5999)];
        assert_eq!(buckets(server.get(&site.key, SITE).await.ok(200)), expected);
        let expected = [bucket("network-writes", 10, 9), bucket("site-writes", 60, 59)];
        assert_eq!(buckets(server.post(&site.key, TICKETS, &ticket()).await.ok(201)), expected);
    }
}

/// What `vicket dev` would write of this world, for [`processes::serve`].
fn described(world: &World) -> serde_json::Value {
    let url = |login: &str| world.url(login);
    let databases =
        json!({"widget": url("vicket_gate_widget"), "agent": url("vicket_gate_agent"), "worker": url("vicket_worker")});
    json!({ "databases": databases })
}

/// Sends `requests` of them, one after another to each server in turn, and says how many were `status`.
async fn answered(
    ports: &[u16],
    requests: usize,
    status: u16,
    request: impl Fn(&str) -> reqwest::RequestBuilder,
) -> usize {
    let mut answered = 0;
    for port in ports.iter().cycle().take(requests) {
        let answer = request(&format!("http://127.0.0.1:{port}")).send().await.expect("an answer");
        let is = answer.status().as_u16();
        assert!(is == status || is == 429, "{is}");
        answered += usize::from(is == status);
    }
    answered
}

#[tokio::test]
async fn two_processes_have_one_limit_together_exact_to_a_tenth_of_it() {
    let world = World::new().await;
    let dev = described(&world);
    let ports = [free_port(), free_port()];
    let mut servers = ports.map(|port| processes::serve(&dev, port, "warn", Stdio::piped()));
    for (server, port) in servers.iter_mut().zip(ports) {
        server.is_ready(port).await;
    }
    let client = reqwest::Client::new();
    let site = &world.site_a;
    set(&world, site, SiteChanges { reads: Some(200), network_writes: Some(20), ..SiteChanges::default() }).await;
    let read = |base: &str| client.get(format!("{base}{SITE}")).header("X-Vicket-Key", &site.key);
    let reads = answered(&ports, 600, 200, read).await;
    assert!((200..=220).contains(&reads), "{reads} reads of 200");
    let write = |base: &str| client.post(format!("{base}{TICKETS}")).header("X-Vicket-Key", &site.key).json(&ticket());
    let writes = answered(&ports, 60, 201, write).await;
    assert!((20..=22).contains(&writes), "{writes} tickets of 20");
    // Whoever comes to one of them only has all of it, and the other site its own.
    let (one, other) = (&ports[..1], &world.site_b);
    set(&world, other, SiteChanges { reads: Some(50), ..SiteChanges::default() }).await;
    let read = |base: &str| client.get(format!("{base}{SITE}")).header("X-Vicket-Key", &other.key);
    assert_eq!(answered(one, 90, 200, read).await, 50);
    let log_in = |base: &str| {
        client.post(format!("{base}/v1/auth/login")).json(&json!({"email": "x@example.com", "password": "wrong wrong"}))
    };
    let tries = answered(&ports, 30, 401, log_in).await;
    assert!((10..=11).contains(&tries), "{tries} tries of 10");
    println!("of two processes: {reads} reads of 200, {writes} tickets of 20, {tries} log-ins of 10");
    for server in servers {
        let output = server.end("TERM").await;
        assert!(output.stderr.is_empty(), "{}", processes::text(&output.stderr));
    }
}

#[tokio::test]
async fn a_database_that_does_not_count_leaves_each_process_its_own_limit() {
    let world = World::new().await;
    let server = world.serve().await;
    let site = &world.site_a;
    set(&world, site, SiteChanges { reads: Some(50), ..SiteChanges::default() }).await;
    world.arrange("revoke execute on function worker.draw_limits from vicket_worker").await;
    for _ in 0..50 {
        server.get(&site.key, SITE).await.ok(200);
    }
    limited(&server.get(&site.key, SITE).await, "site-reads");
}

#[tokio::test]
async fn what_is_counted_together_names_nobody_and_goes_when_its_time_is_over() {
    let world = World::new().await;
    let server = behind_a_proxy(&world).await;
    let site = &world.site_a;
    set(&world, site, SiteChanges { network_reads: Some(10), ..SiteChanges::default() }).await;
    for _ in 0..10 {
        read_from(&server, site, "203.0.113.77").await.ok(200);
    }
    assert_eq!(
        world.look::<i64>("select count(*) from vicket.limit_windows").await,
        1,
        "and the site's own was not asked"
    );
    assert_eq!(world.look::<i64>("select used from vicket.limit_windows").await, 10);
    let text = "select count(*) from vicket.limit_windows w where w::text like '%203.0%'";
    assert_eq!(world.look::<i64>(text).await, 0);
    // Another's request, once the minute is over.
    world.arrange("update vicket.limit_windows set ends_at = now() - interval '1 s'").await;
    for _ in 0..2 {
        read_from(&server, site, "198.51.100.1").await.ok(200);
    }
    assert_eq!(world.look::<i64>("select count(*) from vicket.limit_windows").await, 1, "its own alone");
    assert_eq!(world.look::<i64>("select used from vicket.limit_windows").await, 2);
}

#[tokio::test]
async fn one_network_cannot_use_up_the_site() {
    let world = World::new().await;
    let server = behind_a_proxy(&world).await;
    let site = &world.site_a;
    let changes =
        SiteChanges { reads: Some(10), network_reads: Some(4), network_writes: Some(2), ..SiteChanges::default() };
    set(&world, site, changes).await;
    // Whatever address of its network it takes, and whatever it claims to forward for others.
    for n in 1..=4 {
        read_from(&server, site, &format!("198.51.100.{n}, 203.0.113.{n}")).await.ok(200);
    }
    for n in 1..=30 {
        let answer = read_from(&server, site, &format!("10.0.{n}.1, 203.0.113.{}", n + 100)).await;
        limited(&answer, "network-reads");
    }
    // Its writes are counted for themselves.
    let write = async |address: &str| {
        let request = server.request(Method::POST, TICKETS).header("X-Vicket-Key", &site.key);
        Answer::of(request.header("X-Forwarded-For", address).json(&ticket())).await
    };
    for _ in 0..2 {
        write("203.0.113.9").await.ok(201);
    }
    limited(&write("203.0.113.200").await, "network-writes");
    write("203.0.112.9").await.ok(201);

    // The refused requests have left six of the site's ten to the others: the neighbouring /24, two IPv6 /56.
    for (address, left) in
        [("203.0.112.255", 5), ("2001:db8:0:100::1", 4), ("[2001:db8:0:1ff:ffff::1]:443", 3), ("2001:db8:0:200::1", 2)]
    {
        let expected = if address.starts_with('[') { 2 } else { 3 };
        let answer = read_from(&server, site, address).await;
        let expected = [bucket("network-reads", 4, expected), bucket("site-reads", 10, left)];
        assert_eq!(buckets(answer.ok(200)), expected, "{address}");
    }
    for _ in 0..2 {
        read_from(&server, site, "192.0.2.1").await.ok(200);
    }
    // The site's own limit costs the network that meets it nothing.
    let answer = read_from(&server, site, "192.0.2.1").await;
    limited(&answer, "site-reads");
    assert_eq!(buckets(&answer), [bucket("network-reads", 4, 2), bucket("site-reads", 10, 0)]);
}

#[tokio::test]
async fn a_forwarded_address_counts_only_from_a_configured_proxy() {
    let figure = SiteChanges { network_reads: Some(3), ..SiteChanges::default() };
    for trusted_proxies in [&[][..], &["192.0.2.0/24"]] {
        // What one server counted, another goes on counting: each of these has a database of its own.
        let world = World::new().await;
        let site = &world.site_a;
        set(&world, site, figure.clone()).await;
        let server = world.serve_with(Options { trusted_proxies, ..Options::default() }).await;
        for n in 0..3 {
            read_from(&server, site, &format!("203.0.{n}.1")).await.ok(200);
        }
        limited(&read_from(&server, site, "203.0.99.1").await, "network-reads");
    }
    let world = World::new().await;
    let site = &world.site_a;
    set(&world, site, figure).await;
    let server = behind_a_proxy(&world).await;
    for n in 0..5 {
        read_from(&server, site, &format!("203.0.{n}.1")).await.ok(200);
    }
}

#[tokio::test]
async fn a_changed_figure_acts_at_once_and_a_rotated_key_resets_nothing() {
    let world = World::new().await;
    let server = world.serve().await;
    let site = &world.site_a;
    let reads =
        async |figure: u32| set(&world, site, SiteChanges { reads: Some(figure), ..SiteChanges::default() }).await;
    for _ in 0..4 {
        server.get(&site.key, SITE).await.ok(200);
    }
    reads(4).await;
    limited(&server.get(&site.key, SITE).await, "site-reads");
    reads(6).await;
    assert_eq!(buckets(server.get(&site.key, SITE).await.ok(200))[1], bucket("site-reads", 6, 1));

    let rotated = world.administer("acme", async |tx| store::site_keys::rotate(tx, site.id).await).await;
    let rotated = rotated.expect("rotated").expect("a new key");
    let staged = world.administer("acme", async |tx| store::site_keys::stage(tx, site.id).await).await.expect("staged");
    assert_eq!(buckets(server.get(rotated.reveal(), SITE).await.ok(200))[1], bucket("site-reads", 6, 0));
    for key in [&rotated, &staged] {
        limited(&server.get(key.reveal(), SITE).await, "site-reads");
    }
    reads(0).await;
    limited(&server.get(rotated.reveal(), SITE).await, "site-reads");
    reads(7).await;
    server.get(staged.reveal(), SITE).await.ok(200);
}

#[tokio::test]
async fn bad_keys_are_limited_for_their_network_and_leave_a_good_key_alone() {
    let world = World::new().await;
    let server = behind_a_proxy(&world).await;
    let guess = async |n: u32, address: &str| {
        let key = format!("pk_{n:043}");
        let headers = [("X-Forwarded-For", address), ("X-Vicket-Key", key.as_str())];
        // An absent key is as bad as a wrong one.
        server.call(Method::GET, SITE, if n.is_multiple_of(3) { &headers[..1] } else { &headers[..] }).await
    };
    read_from(&server, &world.site_a, "203.0.113.1").await.ok(200);
    for n in 1..=300 {
        let answer = guess(n, &format!("203.0.113.{}", n % 250)).await;
        assert_eq!(answer.status, 401, "{answer:?}");
        assert_eq!(buckets(&answer), [bucket("refused", 300, 300 - n)]);
    }
    for n in [301, 303] {
        limited(&guess(n, "203.0.113.7").await, "refused");
    }
    // The network's good key goes on, with nothing of its own used up, and so does everybody else.
    let answer = read_from(&server, &world.site_a, "203.0.113.1").await;
    assert_eq!(buckets(answer.ok(200))[0], bucket("network-reads", 300, 298));
    read_from(&server, &world.site_b, "203.0.114.1").await.ok(200);
    guess(1, "203.0.114.1").await.refused(401, "key_invalid");
}

#[tokio::test]
async fn preflights_and_key_checks_have_limits_of_their_own() {
    let world = World::new().await;
    let server = behind_a_proxy(&world).await;
    let site = &world.site_a;
    let preflight = async |address: &str| {
        let asks = [("Origin", site.origin), ("Access-Control-Request-Method", "GET"), ("X-Forwarded-For", address)];
        server.call(Method::OPTIONS, SITE, &asks).await
    };
    for left in (0..600).rev() {
        assert_eq!(buckets(preflight("203.0.113.1").await.ok(204)), [bucket("preflights", 600, left)]);
    }
    limited(&preflight("203.0.113.2").await, "preflights");
    preflight("203.0.114.1").await.ok(204);

    let check = async |site: &Site, address: &str| {
        let headers =
            [("X-Vicket-Key", site.key.as_str()), ("Origin", "https://x.example"), ("X-Forwarded-For", address)];
        server.call(Method::GET, "/support/v1/key/check", &headers).await
    };
    for left in (0..30).rev() {
        assert_eq!(buckets(check(site, "203.0.113.1").await.ok(200)), [bucket("key-checks", 30, left)]);
    }
    limited(&check(&world.site_b, "203.0.113.3").await, "key-checks");
    check(site, "203.0.114.1").await.ok(200);
    // Neither has used up what the page itself needs.
    let answer = read_from(&server, site, "203.0.113.1").await;
    assert_eq!(buckets(answer.ok(200)), [bucket("network-reads", 300, 299), bucket("site-reads", 6000, 5999)]);
}

#[tokio::test]
async fn every_answer_says_where_the_limits_stand() {
    let world = World::new().await;
    let server = world.serve().await;
    let site = &world.site_a;
    let key = ("X-Vicket-Key", site.key.as_str());
    let json = ("Content-Type", "application/json");
    let call = async |method: Method, path: &str, more: &[(&str, &str)]| {
        server.call(method, path, &[&[key][..], more].concat()).await
    };
    let post = async |content_type: &'static str, body: String| {
        server.post_text(TICKETS, &[key, ("Content-Type", content_type)], body).await
    };
    let reads = ["network-reads", "site-reads"];
    let writes = ["network-writes", "site-writes"];
    let articles = "/support/v1/help/articles";
    let answers: Vec<(u16, &[&str], Answer)> = vec![
        (200, &reads, call(Method::GET, SITE, &[]).await),
        (304, &reads, call(Method::GET, SITE, &[("If-None-Match", "*")]).await),
        (400, &reads, call(Method::GET, &format!("{articles}?limit=0"), &[]).await),
        (404, &reads, call(Method::GET, &format!("{articles}/nothing"), &[]).await),
        (404, &reads, call(Method::GET, "/support/v1/nothing", &[]).await),
        (405, &reads, call(Method::PUT, SITE, &[]).await),
        // A page that may not use the key is counted for its network only, as the site is not to pay for it.
        (403, &reads[..1], call(Method::GET, SITE, &[("Origin", "https://x.example")]).await),
        (201, &writes, post("application/json", ticket().to_string()).await),
        (400, &writes, post("application/json", "{".to_owned()).await),
        (413, &writes, post("application/json", " ".repeat(128 * 1024 + 1)).await),
        (415, &writes, post("text/plain", "{}".to_owned()).await),
        (422, &writes, {
            let mut body = ticket();
            body["template_id"] = json!(site.id);
            post("application/json", body.to_string()).await
        }),
        (401, &["refused"], server.get("pk_unknown", SITE).await),
        (401, &["refused"], server.call(Method::GET, SITE, &[]).await),
        (404, &["refused"], server.get("pk_unknown", "/support/v1/nothing").await),
        (200, &["key-checks"], call(Method::GET, "/support/v1/key/check", &[]).await),
        (204, &["preflights"], {
            let asks = [("Origin", "https://x.example"), ("Access-Control-Request-Method", "GET")];
            server.call(Method::OPTIONS, SITE, &asks).await
        }),
    ];
    for (status, names, answer) in answers {
        assert_eq!(answer.status, status, "{answer:?}");
        let buckets = buckets(&answer);
        let named: Vec<&str> = buckets.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(named, names, "{answer:?}");
    }
    let closed = [key, json, ("X-Vicket-Ticket", "tk_unknown")];
    let answer =
        server.post_text("/support/v1/tickets/thread/messages", &closed, json!({"body": "x"}).to_string()).await;
    answer.refused(404, "not_found");
    assert_eq!(buckets(&answer).len(), 2);
}

#[tokio::test]
async fn a_server_without_limits_has_none() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Options::default() }).await;
    let site = &world.site_a;
    let figures = SiteChanges {
        reads: Some(1),
        network_reads: Some(1),
        writes: Some(1),
        network_writes: Some(1),
        ..SiteChanges::default()
    };
    set(&world, site, figures).await;
    for _ in 0..3 {
        let answer = server.get(&site.key, SITE).await;
        assert_eq!(answer.ok(200).header("ratelimit"), None);
        assert_eq!(answer.header("ratelimit-policy"), None);
        server.post(&site.key, TICKETS, &ticket()).await.ok(201);
    }
}

/// A request whose body is announced and never sent; the answer, and the seconds until it came.
async fn unsent(server: &Running, path: &str, headers: &str) -> (Answer, f64) {
    let began = std::time::Instant::now();
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100000\r\n{headers}\r\n");
    let answer = server.raw(head.as_bytes()).await;
    (answer, began.elapsed().as_secs_f64())
}

const JSON: &str = "Content-Type: application/json\r\n";

#[tokio::test]
async fn nothing_is_read_from_who_has_no_good_credential_or_nothing_left() {
    let world = World::new().await;
    let server = world.serve().await;
    let agent = world.person("acme", "agent").await;
    let origin = format!("Origin: {}\r\n", server.base);
    let at_once = |(answer, seconds): (Answer, f64), status, code: &str| {
        answer.refused(status, code);
        assert!(seconds < 9.0, "{seconds} s");
    };
    at_once(
        unsent(&server, "/v1/orgs/acme/teams", &format!("{JSON}Cookie: vicket_session=vs_x\r\n")).await,
        401,
        "session_invalid",
    );
    at_once(unsent(&server, "/v1/orgs/acme/teams", JSON).await, 401, "session_required");
    at_once(unsent(&server, TICKETS, &format!("{JSON}X-Vicket-Key: pk_x\r\n")).await, 401, "key_invalid");
    // The twin: from who has one, it is waited for.
    let headers = format!("{JSON}{origin}Cookie: {}\r\n", agent.cookie);
    let (answer, seconds) = unsent(&server, "/v1/orgs/acme/teams", &headers).await;
    answer.refused(400, "invalid_request");
    assert!((9.0..40.0).contains(&seconds), "{seconds} s");

    let site = &world.site_a;
    set(&world, site, SiteChanges { network_writes: Some(1), ..SiteChanges::default() }).await;
    server.post(&site.key, TICKETS, &ticket()).await.ok(201);
    at_once(unsent(&server, TICKETS, &format!("{JSON}X-Vicket-Key: {}\r\n", site.key)).await, 429, "rate_limited");
    set(&world, site, SiteChanges { network_writes: Some(2), ..SiteChanges::default() }).await;
    server.post(&site.key, TICKETS, &ticket()).await.ok(201);
}

#[tokio::test]
async fn who_is_not_logged_in_sends_eight_kib_at_the_most() {
    let world = World::new().await;
    let server = world.serve().await;
    let log_in = async |padding: usize| {
        let body = json!({"email": "nobody@example.com", "password": "p".repeat(padding)});
        Answer::of(server.request(Method::POST, "/v1/auth/login").json(&body)).await
    };
    log_in(9 * 1024).await.refused(413, "body_too_large");
    log_in(12).await.refused(401, "login_failed");
    let form = async |cookie: Option<&str>, padding: usize| {
        let request = server.request(Method::POST, "/dashboard/login").header("Origin", &server.base);
        let request = cookie.into_iter().fold(request, |request, cookie| request.header("Cookie", cookie));
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        Answer::of(request.body(format!("email=nobody%40example.com&password={}", "p".repeat(padding)))).await.status
    };
    assert_eq!(form(None, 9 * 1024).await, 413);
    assert_eq!(form(Some("vicket_session=vs_made_up"), 9 * 1024).await, 413);
    assert_ne!(form(None, 12).await, 413);
}

#[tokio::test]
async fn made_up_sessions_and_machine_keys_are_limited_for_their_network_and_leave_good_ones_alone() {
    let world = World::new().await;
    let server = behind_a_proxy(&world).await;
    let agent = world.person("acme", "agent").await;
    let ask = async |cookie: &str, address: &str| {
        let headers = [("Cookie", cookie), ("X-Forwarded-For", address)];
        server.call(Method::GET, "/v1/orgs/acme/tickets", &headers).await
    };
    ask(&agent.cookie, "192.0.2.1").await.ok(200);
    for n in 0..300 {
        ask(&format!("vicket_session=vs_{n}"), "192.0.2.1").await.refused(401, "session_invalid");
    }
    limited(&ask("vicket_session=vs_x", "192.0.2.9").await, "refused");
    ask("vicket_session=vs_x", "198.51.100.1").await.refused(401, "session_invalid");
    ask(&agent.cookie, "192.0.2.1").await.ok(200);
    // A byte that is none of an address is no reason to count the proxy in its client's place.
    let headers = b"GET /v1/orgs/acme/tickets HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: vicket_session=vs_y\r\nX-Forwarded-For: \xff, 192.0.2.7\r\n\r\n";
    limited(&server.raw(headers).await, "refused");
}

#[tokio::test]
async fn a_session_has_so_many_calls_a_minute_and_its_colleagues_have_theirs() {
    let world = World::new().await;
    let server = world.serve().await;
    let (one, other) = (world.person("acme", "viewer").await, world.person("acme", "agent").await);
    let ask = async |cookie: &str| server.call(Method::GET, "/v1/auth/me", &[("Cookie", cookie)]).await;
    let first = ask(&one.cookie).await;
    first.ok(200);
    // More than a window's worth, for a machine that is slow enough to see the next window begin.
    let mut passed = 1;
    let refused = loop {
        let answer = ask(&one.cookie).await;
        if answer.status == 429 || passed > 5_000 {
            break answer;
        }
        passed += 1;
    };
    limited(&refused, "credential");
    assert!(passed >= 1_200, "{passed}");
    ask(&other.cookie).await.ok(200);
}

#[tokio::test]
async fn a_site_is_counted_for_what_could_be_taken_and_its_networks_for_all_that_they_send() {
    let world = World::new().await;
    let server = behind_a_proxy(&world).await;
    let site = &world.site_a;
    set(&world, site, SiteChanges { writes: Some(2), network_writes: Some(4), ..SiteChanges::default() }).await;
    let send = async |body: &str, address: &str| {
        let request = server.request(Method::POST, TICKETS).header("X-Vicket-Key", &site.key);
        let request = request.header("X-Forwarded-For", address).header("Content-Type", "application/json");
        Answer::of(request.body(body.to_owned())).await
    };
    let good = ticket().to_string();
    for body in ["{", r#"{"email": 1}"#, "{}", "[]"] {
        let answer = send(body, "192.0.2.1").await;
        assert!(matches!(answer.status, 400 | 422), "{answer:?}");
        assert!(buckets(&answer).contains(&bucket("site-writes", 2, 2)), "{answer:?}");
    }
    limited(&send(&good, "192.0.2.1").await, "network-writes");
    send(&good, "198.51.100.1").await.ok(201);
    send(&good, "198.51.100.1").await.ok(201);
    limited(&send(&good, "203.0.113.1").await, "site-writes");
}
