//! Rate limits over HTTP: exactly so many pass, whose they are, and what the headers say.

use reqwest::Method;
use serde_json::json;
use vicket::store::{self, sites, sites::SiteChanges};

use crate::harness::{Answer, Options, Running, Site, World, ticket};

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
    let world = World::new().await;
    let site = &world.site_a;
    set(&world, site, SiteChanges { network_reads: Some(3), ..SiteChanges::default() }).await;
    for trusted_proxies in [&[][..], &["192.0.2.0/24"]] {
        let server = world.serve_with(Options { trusted_proxies, ..Options::default() }).await;
        for n in 0..3 {
            read_from(&server, site, &format!("203.0.{n}.1")).await.ok(200);
        }
        limited(&read_from(&server, site, "203.0.99.1").await, "network-reads");
        server.stop().await;
    }
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
