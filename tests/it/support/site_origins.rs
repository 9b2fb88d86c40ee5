//! Origins and CORS: which page may use a key, what it may read, and what is done for a page that may not: nothing.

use reqwest::Method;
use serde_json::{Value, json};
use vicket::{
    domain::origins::Origin,
    store::{self, sites},
};

use crate::harness::{Answer, Options, Running, Site, World, ticket};

const SITE: &str = "/support/v1/site";
const TICKETS: &str = "/support/v1/tickets";
const ARTICLE: &str = "/support/v1/help/articles/site-a-published";
const CHECK: &str = "/support/v1/key/check";
const UNLISTED: &str = "https://evil.example";

/// The headers that a readable answer has, besides `Vary`, and no others of CORS.
#[track_caller]
fn readable_by(answer: &Answer, origin: &str) {
    let mut cors = answer.cors();
    cors.sort_unstable();
    assert_eq!(cors, ["access-control-allow-origin", "access-control-expose-headers"], "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
    let exposed = ["x-request-id", "etag", "retry-after", "ratelimit", "ratelimit-policy", "content-disposition"];
    assert_eq!(answer.list("access-control-expose-headers"), exposed);
    assert!(answer.list("vary").contains(&"origin".to_owned()), "{answer:?}");
}

#[track_caller]
fn unreadable(answer: &Answer) {
    assert_eq!(answer.cors(), [""; 0], "{answer:?}");
    assert!(answer.list("vary").contains(&"origin".to_owned()), "{answer:?}");
}

async fn get(server: &Running, key: &str, origin: &str, path: &str) -> Answer {
    server.call(Method::GET, path, &[("X-Vicket-Key", key), ("Origin", origin)]).await
}

async fn preflight(server: &Running, origin: &str, path: &str) -> Answer {
    let asks = [
        ("Origin", origin),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "content-type,x-vicket-key"),
    ];
    server.call(Method::OPTIONS, path, &asks).await
}

async fn list_origin(world: &World, site: &Site, origin: &str) {
    let origin = Origin::parse(origin).expect("an origin");
    world.administer(site.org, async |tx| sites::add_origin(tx, site.id, &origin).await).await.expect("listed");
}

async fn unlist_origin(world: &World, site: &Site, origin: &str) {
    let origin = Origin::parse(origin).expect("an origin");
    world.administer(site.org, async |tx| sites::remove_origin(tx, site.id, &origin).await).await.expect("unlisted");
}

async fn refused_origins(world: &World, server: &Running, site: &Site) -> Vec<sites::RefusedOrigin> {
    server.app.usage.flush(&server.app.worker).await.expect("written");
    world.administer(site.org, async |tx| sites::refused_origins(tx, site.id).await).await.expect("read")
}

#[tokio::test]
async fn a_listed_origin_is_served_and_any_other_is_refused_with_nothing_done() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Options::default() }).await;
    let site = &world.site_a;
    let made = server.request(Method::POST, TICKETS).header("X-Vicket-Key", &site.key).header("Origin", site.origin);
    let made = Answer::of(made.json(&ticket())).await;
    readable_by(made.ok(201), site.origin);
    let token = made.json()["token"].as_str().expect("text").to_owned();
    let read = get(&server, &site.key, site.origin, ARTICLE).await;
    readable_by(read.ok(200), site.origin);
    let etag = read.header("etag").expect("an ETag").to_owned();
    let again = [("X-Vicket-Key", site.key.as_str()), ("Origin", site.origin), ("If-None-Match", &etag)];
    readable_by(server.call(Method::GET, ARTICLE, &again).await.ok(304), site.origin);
    readable_by(server.call(Method::HEAD, ARTICLE, &again).await.ok(304), site.origin);
    // Without an Origin there is no page to keep out.
    server.get(&site.key, ARTICLE).await.ok(200);
    // The HEAD among them looked and did not read.
    let views = 3;

    let variants = [
        UNLISTED,
        "null",
        "http://a.example",
        "https://a.example:443",
        "https://a.example:8443",
        "https://A.example",
        "HTTPS://a.example",
        "https://a.example/",
        "https://a.example.",
        "https://www.a.example",
        "https://a.example.evil.example",
        "https://evil-a.example",
        "https://evil.example?https://a.example",
        "https://user@a.example",
        "https://a.exampl",
        "https://a.example https://evil.example",
        "https://a.example,https://b.example",
        "https://*.example",
        "*",
        "a.example",
        "https://\u{430}.example",
        "file://",
        "",
        world.site_b.origin,
        world.site_c.origin,
    ];
    for origin in variants {
        get(&server, &site.key, origin, ARTICLE).await.refused(403, "origin_not_allowed");
        let headers = [("X-Vicket-Key", site.key.as_str()), ("Origin", origin), ("X-Vicket-Ticket", &token)];
        let headers = [&headers[..], &[("Content-Type", "application/json")]].concat();
        let reply = json!({"body": "Hello"});
        for (path, body) in [(TICKETS, ticket()), ("/support/v1/tickets/thread/messages", reply), (TICKETS, json!({}))]
        {
            let answer = server.post_text(path, &headers, body.to_string()).await;
            answer.refused(403, "origin_not_allowed");
            unreadable(&answer);
        }
        // Not even whether there is such a path is said.
        for path in ["/support/v1/tickets/thread", "/support/v1/nothing", "/support/v1/help/articles?limit=0"] {
            let answer = server.call(Method::GET, path, &headers).await;
            answer.refused(403, "origin_not_allowed");
            unreadable(&answer);
        }
    }
    let refused = refused_origins(&world, &server, site).await;
    for origin in variants {
        let times = refused.iter().find(|refused| refused.origin == origin).map(|refused| refused.times);
        assert_eq!(times, Some(7), "{origin:?}");
    }
    // Of several, none is the page's.
    let twice = [("X-Vicket-Key", site.key.as_str()), ("Origin", site.origin), ("Origin", UNLISTED)];
    server.call(Method::GET, ARTICLE, &twice).await.refused(403, "origin_not_allowed");
    assert_eq!(world.look::<i64>("select count(*) from vicket.tickets").await, 1);
    assert_eq!(world.look::<i64>("select count(*) from vicket.ticket_messages").await, 1);
    assert_eq!(world.look::<i64>("select sum(view_count)::bigint from vicket.articles").await, views);
    assert!(refused_origins(&world, &server, &world.site_b).await.is_empty());
}

#[tokio::test]
async fn refused_origins_are_counted_once_each_bounded_and_gone_once_listed() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Options::default() }).await;
    let site = &world.site_a;
    let long = format!("https://{}.example", "l".repeat(300));
    for origin in [UNLISTED, UNLISTED, &long, UNLISTED] {
        get(&server, &site.key, origin, SITE).await.refused(403, "origin_not_allowed");
    }
    // A page asks why, which is all that browsers send of it with its key.
    get(&server, &site.key, "https://asking.example", CHECK).await.ok(200);
    // These are no news: listed, without a good key, and a preflight, which has none.
    get(&server, &site.key, site.origin, SITE).await.ok(200);
    get(&server, "pk_unknown", "https://other.example", SITE).await.refused(401, "key_invalid");
    preflight(&server, "https://trying.example", SITE).await.ok(204);

    let refused = refused_origins(&world, &server, site).await;
    let counted: Vec<(&str, i64)> = refused.iter().map(|refused| (refused.origin.as_str(), refused.times)).collect();
    assert_eq!(counted, [("https://asking.example", 1), (UNLISTED, 3), (&long[..255], 1)]);
    let refused = &refused[1..];
    assert!(refused[0].first_seen < refused[0].last_seen);
    get(&server, &site.key, UNLISTED, SITE).await.refused(403, "origin_not_allowed");
    let later = refused_origins(&world, &server, site).await;
    assert_eq!((later[0].times, later[0].first_seen), (4, refused[0].first_seen));

    // The least recent go.
    for n in 0..205 {
        get(&server, &site.key, &format!("https://{n}.example"), SITE).await.refused(403, "origin_not_allowed");
        if n % 100 == 0 {
            server.app.usage.flush(&server.app.worker).await.expect("written");
        }
    }
    let most = refused_origins(&world, &server, site).await;
    assert_eq!((most.len(), most[0].origin.as_str()), (200, "https://204.example"));
    assert!(most.iter().all(|refused| refused.origin != UNLISTED && refused.origin != "https://4.example"));
    list_origin(&world, site, "https://204.example").await;
    assert_eq!(refused_origins(&world, &server, site).await[0].origin, "https://203.example");
    assert!(refused_origins(&world, &server, &world.site_b).await.is_empty());
}

/// One request for each answer that is no success.
async fn refusals(server: &Running, key: &str, origin: &str) -> Vec<(u16, Answer)> {
    let json = ("Content-Type", "application/json");
    let mine = [("X-Vicket-Key", key), ("Origin", origin)];
    let with = |more: (&'static str, &'static str)| [&mine[..], &[more]].concat();
    let large = " ".repeat(128 * 1024 + 1);
    vec![
        (400, server.call(Method::GET, "/support/v1/help/articles?limit=0", &mine).await),
        (400, server.call(Method::GET, "/support/v1/help/articles?cursor=x", &mine).await),
        (400, server.post_text(TICKETS, &with(json), "{").await),
        (404, server.call(Method::GET, "/support/v1/nothing", &mine).await),
        (404, server.call(Method::GET, "/support/v1/help/articles/nothing", &mine).await),
        (404, server.call(Method::GET, "/support/v1/tickets/thread", &mine).await),
        (405, server.call(Method::DELETE, SITE, &mine).await),
        (405, server.call(Method::OPTIONS, SITE, &mine).await),
        (413, server.post_text(TICKETS, &with(json), large).await),
        (415, server.post_text(TICKETS, &with(("Content-Type", "text/plain")), "{}").await),
        (422, {
            let mut body = ticket();
            body["answers"] = json!({"question": "answer"});
            server.post_text(TICKETS, &with(json), body.to_string()).await
        }),
    ]
}

#[tokio::test]
async fn a_listed_page_can_read_every_refusal() {
    let world = World::new().await;
    let server = world.serve().await;
    let site = &world.site_a;
    for (status, answer) in refusals(&server, &site.key, site.origin).await {
        assert_eq!(answer.status, status, "{answer:?}");
        readable_by(&answer, site.origin);
    }
    // A 401 belongs to no site: any page that some site lists may read it, and no other.
    for (name, key) in [("key_invalid", "pk_unknown"), ("key_invalid", ""), ("key_missing", "")] {
        let ask = async |origin: &str| {
            let headers = [("Origin", origin), ("X-Vicket-Key", key)];
            let headers = if name == "key_missing" { &headers[..1] } else { &headers[..] };
            server.call(Method::GET, SITE, headers).await
        };
        for site in [&world.site_a, &world.site_b, &world.site_c] {
            let answer = ask(site.origin).await;
            answer.refused(401, name);
            readable_by(&answer, site.origin);
        }
        for origin in [UNLISTED, "null", "https://a.example/", ""] {
            let answer = ask(origin).await;
            answer.refused(401, name);
            unreadable(&answer);
        }
    }
    let slow = sites::SiteChanges { network_reads: Some(1), ..sites::SiteChanges::default() };
    world.administer("acme", async |tx| sites::update(tx, "site-a", &slow).await).await.expect("set");
    let limited = get(&server, &site.key, site.origin, SITE).await;
    limited.refused(429, "rate_limited");
    readable_by(&limited, site.origin);
    unreadable(&get(&server, &site.key, UNLISTED, SITE).await);
}

#[tokio::test]
async fn a_preflight_is_answered_for_any_listed_origin_and_the_request_itself_decides() {
    let world = World::new().await;
    let server = world.serve().await;
    for path in [SITE, TICKETS, ARTICLE, "/support/v1/nothing"] {
        for site in [&world.site_a, &world.site_b, &world.site_c] {
            let answer = preflight(&server, site.origin, path).await;
            assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{answer:?}");
            assert_eq!(answer.header("access-control-allow-origin"), Some(site.origin));
            let methods = answer.list("access-control-allow-methods");
            assert!(methods.contains(&"get".to_owned()) && methods.contains(&"post".to_owned()), "{methods:?}");
            let headers = [
                "x-vicket-key",
                "x-vicket-ticket",
                "x-vicket-customer",
                "idempotency-key",
                "content-type",
                "if-none-match",
            ];
            assert_eq!(answer.list("access-control-allow-headers"), headers);
            assert_eq!(answer.header("access-control-max-age"), Some("7200"));
            assert_eq!(answer.header("access-control-allow-credentials"), None);
            assert!(answer.list("vary").contains(&"origin".to_owned()), "{answer:?}");
        }
        for origin in [UNLISTED, "null", "https://a.example/", "http://a.example", "https://A.example", "*", ""] {
            let answer = preflight(&server, origin, path).await;
            assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{answer:?}");
            unreadable(&answer);
        }
    }
    // Listed by another site: its preflight succeeds, the request is refused.
    let answer = get(&server, &world.site_a.key, world.site_c.origin, SITE).await;
    answer.refused(403, "origin_not_allowed");
    unreadable(&answer);
}

#[tokio::test]
async fn a_change_of_the_list_acts_on_the_next_request() {
    let world = World::new().await;
    let server = world.serve().await;
    let site = &world.site_a;
    let origin = "https://new.example:8443";
    let known = async || {
        let preflight = !preflight(&server, origin, SITE).await.ok(204).cors().is_empty();
        let unauthorised = get(&server, "pk_unknown", origin, SITE).await;
        unauthorised.refused(401, "key_invalid");
        assert_eq!(!unauthorised.cors().is_empty(), preflight);
        preflight
    };
    for _ in 0..2 {
        get(&server, &site.key, origin, SITE).await.refused(403, "origin_not_allowed");
        assert!(!known().await);
        list_origin(&world, site, origin).await;
        readable_by(get(&server, &site.key, origin, SITE).await.ok(200), origin);
        assert!(known().await);
        get(&server, &world.site_b.key, origin, SITE).await.refused(403, "origin_not_allowed");
        list_origin(&world, &world.site_b, origin).await;
        get(&server, &world.site_b.key, origin, SITE).await.ok(200);

        unlist_origin(&world, site, origin).await;
        let answer = get(&server, &site.key, origin, SITE).await;
        answer.refused(403, "origin_not_allowed");
        unreadable(&answer);
        // The other site lists it still.
        assert!(known().await);
        get(&server, &world.site_b.key, origin, SITE).await.ok(200);
        unlist_origin(&world, &world.site_b, origin).await;
    }
    get(&server, &site.key, site.origin, SITE).await.ok(200);
}

#[tokio::test]
async fn a_key_check_says_in_what_an_origin_differs_and_never_lists_the_others() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Options::default() }).await;
    let site = &world.site_a;
    list_origin(&world, site, "https://www.shop.example:8443").await;
    list_origin(&world, site, "http://localhost:3000").await;
    let nothing: [&str; 0] = [];
    let none = server.get(&site.key, CHECK).await.ok(200).json();
    assert_eq!((&none["works"], &none["origin"], &none["origin_listed"]), (&true.into(), &Value::Null, &Value::Null));
    assert_eq!((&none["key"], &none["differs"]), (&"active".into(), &json!(nothing)));

    let good = get(&server, &site.key, site.origin, CHECK).await;
    readable_by(good.ok(200), site.origin);
    let good = good.json();
    assert_eq!(
        (&good["works"], &good["origin_listed"], &good["differs"]),
        (&true.into(), &true.into(), &json!(nothing))
    );

    let cases: [(&str, &[&str]); 16] = [
        ("http://a.example", &["scheme"]),
        ("https://a.example:8443", &["port"]),
        ("http://a.example:8080", &["scheme", "port"]),
        ("https://www.a.example", &["www"]),
        ("http://www.a.example", &["scheme", "www"]),
        ("https://shop.example:8443", &["www"]),
        ("https://www.shop.example", &["port"]),
        ("http://localhost", &["port"]),
        ("https://a.example/", &["trailing_slash"]),
        ("http://a.example/", &["scheme", "trailing_slash"]),
        // About other hosts nothing is said but that they are others.
        ("https://a.example.evil.example", &["host"]),
        ("http://evil.example:99", &["host"]),
        ("null", &["host"]),
        ("*", &["host"]),
        ("", &["host"]),
        (world.site_b.origin, &["host"]),
    ];
    for (origin, differs) in cases {
        let answer = get(&server, &site.key, origin, CHECK).await;
        readable_by(answer.ok(200), origin);
        let check = answer.json();
        assert_eq!((&check["works"], &check["origin_listed"]), (&false.into(), &false.into()), "{origin}");
        assert_eq!((&check["differs"], &check["origin"]), (&json!(differs), &origin.into()), "{origin}");
        let detail = check["detail"].as_str().expect("text").to_owned();
        let rest = answer.text.replace(&json!(origin).to_string(), "").replace(&json!(detail).to_string(), "");
        assert!(!rest.contains("a.example") && !rest.contains("shop") && !rest.contains("localhost"), "{rest}");
        // What is advised is made of what was sent: a site that lists others advises the same.
        let advice = |detail: &str| {
            let at = detail.find("Add ").or_else(|| detail.find("It cannot be added")).expect("advice");
            (detail[..at].to_owned(), detail[at..].to_owned())
        };
        let (said, advised) = advice(&detail);
        assert!(!said.contains("example") && !said.contains("localhost"), "{said}");
        let elsewhere = get(&server, &world.site_c.key, origin, CHECK).await.ok(200).json();
        assert_eq!(advice(elsewhere["detail"].as_str().expect("text")).1, advised);
        let asked = preflight(&server, origin, CHECK).await;
        assert_eq!(asked.header("access-control-allow-origin"), Some(origin));
        assert!(asked.list("access-control-allow-headers").contains(&"x-vicket-key".to_owned()));
    }
    let staged = world.administer("acme", async |tx| store::site_keys::stage(tx, site.id).await).await.expect("staged");
    let check = get(&server, staged.reveal(), UNLISTED, CHECK).await.ok(200).json();
    assert_eq!((&check["key"], &check["works"]), (&"staged".into(), &false.into()));
    // A key that is not known is told from no page's list.
    for origin in [site.origin, UNLISTED] {
        let answer = get(&server, "pk_unknown", origin, CHECK).await;
        answer.refused(401, "key_invalid");
        readable_by(&answer, origin);
    }
    server.call(Method::GET, CHECK, &[("Origin", UNLISTED)]).await.refused(401, "key_missing");
    // Who asked with the key, so that people can allow it.
    let mut asked: Vec<&str> = cases.iter().map(|(origin, _)| *origin).chain([UNLISTED]).collect();
    asked.sort_unstable();
    let refused = refused_origins(&world, &server, site).await;
    let mut shown: Vec<&str> = refused.iter().map(|refused| refused.origin.as_str()).collect();
    shown.sort_unstable();
    assert_eq!(shown, asked);
}
