//! What every answer has in common, and what hostile input gets: a problem that says nothing about the inside.

use std::collections::HashSet;

use reqwest::Method;

use crate::harness::{Answer, Options, World, ticket};

const SITE: &str = "/support/v1/site";
const TICKETS: &str = "/support/v1/tickets";
const LIST: &str = "/support/v1/help/articles";

#[tokio::test]
async fn an_unknown_path_is_404_and_a_wrong_method_is_405_with_the_right_ones() {
    let world = World::new().await;
    let server = world.serve().await;
    let key = ("X-Vicket-Key", world.site_a.key.as_str());
    for path in [
        "/nothing",
        "/support",
        "/support/v2/site",
        "/support/v1",
        "/support/v1/",
        "/support/v1/site/",
        "/support/v1/Site",
        "/support/v1//site",
        "/support/v1/help/articles/",
        "/support/v1/help/articles/a/b",
        "/support/v1/tickets/1",
        "/supportx/v1/site",
        "/openapi/../healthz/x",
        "/.env",
    ] {
        for headers in [&[key][..], &[]] {
            let answer = server.call(Method::GET, path, headers).await;
            answer.refused(404, "not_found");
            assert!(answer.header("content-type").is_some_and(|kind| kind == "application/problem+json"));
        }
    }
    let patch = Method::PATCH;
    for (path, methods, allow) in [
        (SITE, [Method::POST, Method::PUT, patch.clone(), Method::DELETE], "get, head, options"),
        (LIST, [Method::POST, Method::PUT, patch.clone(), Method::DELETE], "get, head, options"),
        (TICKETS, [Method::PUT, Method::TRACE, patch.clone(), Method::DELETE], "get, head, post, options"),
        ("/support/v1/identity", [Method::GET, Method::HEAD, patch.clone(), Method::DELETE], "post, options"),
        (
            "/support/v1/tickets/thread",
            [Method::POST, Method::PUT, patch.clone(), Method::DELETE],
            "get, head, options",
        ),
        (
            "/support/v1/tickets/thread/messages",
            [Method::GET, Method::PUT, patch.clone(), Method::DELETE],
            "post, options",
        ),
        ("/healthz", [Method::POST, Method::OPTIONS, patch.clone(), Method::DELETE], "get, head"),
        ("/openapi/support.json", [Method::POST, Method::PUT, patch, Method::TRACE], "get, head"),
    ] {
        for method in methods {
            let head = method == Method::HEAD;
            let answer = server.call(method, path, &[key]).await;
            if head {
                assert_eq!((answer.status, answer.text.as_str()), (405, ""));
            } else {
                answer.refused(405, "method_not_allowed");
            }
            let expected: HashSet<String> = allow.split(", ").map(str::to_owned).collect();
            assert_eq!(answer.list("allow").into_iter().collect::<HashSet<_>>(), expected, "{path}");
        }
    }
}

#[tokio::test]
async fn a_sane_request_id_is_the_answers_and_any_other_is_replaced() {
    let world = World::new().await;
    let server = world.serve().await;
    let ask = async |id: &str| {
        let answer = server.call(Method::GET, SITE, &[("X-Request-Id", id)]).await;
        // That the body's is the header's is checked with the code.
        answer.refused(401, "key_missing");
        answer.header("x-request-id").expect("one").to_owned()
    };
    for sane in ["a", "0b8e3c2e-64f1-4a53-9f0c-3f0f5a2f1d11", "Abc_1.2-3", &"x".repeat(128)] {
        assert_eq!(ask(sane).await, sane);
    }
    let mut made = HashSet::new();
    for other in ["", &"x".repeat(129), "two words", "<script>", "a\"b", "ü", "a;b", "a/b", "{}", "a,b"] {
        let id = ask(other).await;
        assert!(uuid::Uuid::parse_str(&id).is_ok(), "{other} became {id}");
        assert!(made.insert(id));
    }
    let healthy = server.call(Method::GET, "/healthz", &[("X-Request-Id", "mine")]).await;
    assert_eq!(healthy.ok(200).header("x-request-id"), Some("mine"));
}

#[tokio::test]
async fn every_answer_forbids_sniffing_and_framing() {
    let world = World::new().await;
    let server = world.serve().await;
    let key = ("X-Vicket-Key", world.site_a.key.as_str());
    for (path, status) in [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/docs/support", 200),
        ("/openapi/support.json", 200),
        ("/nothing", 404),
        (SITE, 200),
        (TICKETS, 401),
        ("/support/v1/identity", 405),
        ("/support/v1/help/articles?limit=0", 400),
    ] {
        let answer = server.call(Method::GET, path, &[key]).await;
        assert_eq!(answer.ok(status).header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        let policy = answer.header("content-security-policy").expect("one");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"), "{path}: {policy}");
        assert!(answer.header("x-request-id").is_some(), "{path}");
    }
    let made = server.post(&world.site_a.key, TICKETS, &ticket()).await;
    assert_eq!(made.ok(201).header("x-content-type-options"), Some("nosniff"));

    assert_eq!(server.call(Method::GET, "/healthz", &[]).await.text, "ok\n");
    let ready = server.call(Method::GET, "/readyz", &[]).await.ok(200).json();
    assert_eq!((&ready["status"], &ready["refused_statements"]), (&"ready".into(), &0.into()));
    let document = server.call(Method::GET, "/openapi/support.json", &[]).await;
    assert_eq!(document.ok(200).json()["paths"]["/support/v1/site"]["get"]["operationId"], "getSite");
    let etag = document.header("etag").expect("an ETag");
    server.call(Method::GET, "/openapi/support.json", &[("If-None-Match", etag)]).await.ok(304);
    let docs = server.call(Method::GET, "/docs/support", &[]).await;
    assert!(docs.text.contains("getSite") && !docs.text.contains("src=\"http"), "the page needs the internet");
}

/// Nothing of what lies behind may be in an answer.
fn says_nothing_of_the_inside(answer: &Answer) {
    assert!(answer.status < 500, "{answer:?}");
    let text = answer.text.to_ascii_lowercase();
    for word in [
        "sqlstate",
        "sqlx",
        "postgres",
        "constraint",
        "relation",
        "syntax error",
        "insert into",
        "row-level",
        "vicket_",
        "pg_",
        "22021",
        "22p02",
        "23514",
        "42501",
        "_pkey",
        "_check",
        "src/",
        ".rs",
        "panicked",
        "poem",
        "serde",
    ] {
        assert!(!text.contains(word), "{word}: {answer:?}");
    }
    if answer.status >= 400 {
        answer.code();
    }
}

#[tokio::test]
async fn hostile_paths_queries_and_headers_get_a_client_error_or_an_answer() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Options::default() }).await;
    let key = &world.site_a.key;
    let a_lot = "x".repeat(30_000);
    let targets = [
        format!("{LIST}/%00"),
        format!("{LIST}/a%00b"),
        format!("{LIST}/%FF%FE"),
        format!("{LIST}/%C0%AF"),
        format!("{LIST}/%ED%A0%80"),
        format!("{LIST}/%"),
        format!("{LIST}/%zz"),
        format!("{LIST}/..%2F..%2Fetc%2Fpasswd"),
        format!("{LIST}/../../site"),
        format!("{LIST}/'%20or%20''='"),
        format!("{LIST}/%F0%9F%98%80"),
        format!("{LIST}/{a_lot}"),
        format!("{LIST}?q=%00"),
        format!("{LIST}?q=%FF"),
        format!("{LIST}?q=%ED%A0%80"),
        format!("{LIST}?q=%"),
        format!("{LIST}?%FF=1&limit=1"),
        format!("{LIST}?limit=1&limit=2"),
        format!("{LIST}?limit=%31%00"),
        format!("{LIST}?limit=18446744073709551616"),
        format!("{LIST}?cursor=%00"),
        format!("{LIST}?sort=%00"),
        format!("{LIST}?{}", "&".repeat(10_000)),
        format!("{LIST}?q={a_lot}"),
        format!("{LIST}?q[]=a&q[x]=b"),
        format!("{SITE}?{a_lot}"),
        "/support/v1/%73ite".to_owned(),
        "/support/v1/site;x=1".to_owned(),
        "/support/v1/site%00".to_owned(),
        "/%00".to_owned(),
        "//support/v1/site".to_owned(),
        format!("http://other.example{SITE}"),
        "*".to_owned(),
    ];
    let head = |method: &str, target: &str| format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    for target in &targets {
        for key in [key.as_str(), "pk_unknown"] {
            let request = format!("{}X-Vicket-Key: {key}\r\n\r\n", head("GET", target));
            says_nothing_of_the_inside(&server.raw(request.as_bytes()).await);
        }
    }
    let headers: [&[u8]; 16] = [
        b"If-None-Match: \xff\xfe",
        b"If-None-Match: ,,,,\"",
        b"X-Vicket-Ticket: \xff\xfe",
        b"X-Vicket-Ticket: \x09",
        b"Origin: \xff\xfe",
        b"Origin: https://[::1",
        b"X-Forwarded-For: \xff, 1.2.3.4.5, [::",
        b"X-Request-Id: \xff",
        b"Cookie: \xff=\xff",
        b"Accept: \xff",
        b"Content-Type: \xff",
        b"Host: \xff",
        b"Range: bytes=0-1",
        b"Expect: 200-ok",
        b"Transfer-Encoding: chunked",
        b"Upgrade: h2c",
    ];
    for header in headers {
        let start = format!("{}X-Vicket-Key: {key}\r\n", head("GET", "/support/v1/tickets/thread"));
        let answer = server.raw(&[start.as_bytes(), header, b"\r\n\r\n"].concat()).await;
        // What is no HTTP at all is refused below us, without a body.
        if !answer.text.is_empty() {
            says_nothing_of_the_inside(&answer);
        }
        assert!(answer.status < 500, "{answer:?}");
    }
    let long = format!("{}X-Vicket-Key: {key}\r\nX-Long: {a_lot}\r\n\r\n", head("GET", SITE));
    server.raw(long.as_bytes()).await.ok(200);
    let many: String = (0..50).map(|n| format!("X-Many-{n}: {n}\r\n")).collect();
    server.raw(format!("{}X-Vicket-Key: {key}\r\n{many}\r\n", head("GET", SITE)).as_bytes()).await.ok(200);
    server.get(key, SITE).await.ok(200);
}

#[tokio::test]
async fn hostile_bodies_get_a_client_error_or_a_ticket() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Options::default() }).await;
    let headers = [("X-Vicket-Key", world.site_a.key.as_str()), ("Content-Type", "application/json")];
    let with = |subject: &str| format!(r#"{{"email":"a@b.example","subject":{subject},"message":"m"}}"#);
    let nested = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
    let objects = |n: usize| format!("{}1{}", "{\"a\":".repeat(n), "}".repeat(n));
    let refused = [
        with(r#""\ud800""#),
        with(r#""\udc00\ud800""#),
        with(r#""\u0000""#),
        with(r#""a\u0000b""#),
        with(r#""\x41""#),
        with("\"\u{1}\""),
        with("1e999"),
        with("-0"),
        with(&"9".repeat(5000)),
        with("NaN"),
        with("\"unclosed"),
        with(&nested(127)),
        with(&nested(5000)),
        with(&objects(100)),
        nested(60_000),
        objects(20_000),
        "[".repeat(100_000),
        "\u{feff}{}".to_owned(),
        "\0".to_owned(),
        "{}".to_owned(),
        r#"{"email":"a@b.example","subject":"s","message":"m","__proto__":{}}"#.to_owned(),
        r#"{"email":"a@b.example","subject":"s","message":"m","template_id":"00000000-0000-0000-0000-00000000000g"}"#
            .to_owned(),
        r#"{"email":"a'b\"; drop table x;--@b","subject":"s","message":"m"}"#.to_owned(),
        format!("{{{}}}", (0..5000).map(|n| format!("\"f{n}\":{n}")).collect::<Vec<_>>().join(",")),
        format!(r#"{{"email":"a@b.example","subject":"s","message":"m","answers":{}}}"#, objects(100)),
    ];
    for body in refused {
        let shown: String = body.chars().take(60).collect();
        let answer = server.post_text(TICKETS, &headers, body).await;
        says_nothing_of_the_inside(&answer);
        assert_eq!(answer.code(), "invalid_request", "{shown}");
        assert!(answer.text.len() < 4000, "{shown} is answered by {} bytes", answer.text.len());
    }
    let taken = [
        with(r#""\ud83d\ude00 '; drop table vicket.tickets; --""#),
        with("\"\u{202e}\u{feff}\u{fffd}\u{10ffff}\""),
        with(r#""%00 \\x00 $1 {} ${jndi:ldap://x} <script>""#),
        with(r#""a","subject":"b""#),
        format!("\n\t {} \r\n", with("\"padded\"")),
    ];
    let count = taken.len();
    for body in taken {
        server.post_text(TICKETS, &headers, body).await.ok(201);
    }
    assert_eq!(world.look::<i64>("select count(*) from vicket.tickets").await, i64::try_from(count).expect("few"));
}
