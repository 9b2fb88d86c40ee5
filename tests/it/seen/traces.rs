//! Spans as a collector gets them: whose child each is, what it says, and from whom a trace is taken over.

use reqwest::{Client, Method};

use super::{Span, Watched, attribute};
use crate::harness::{Answer, World, ticket};

const LIST: &str = "/support/v1/help/articles";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The span of the request with this id.
fn request<'a>(spans: &'a [Span], id: &str) -> &'a Span {
    let found = spans.iter().find(|span| attribute(span, "vicket.request_id").as_deref() == Some(id));
    found.unwrap_or_else(|| panic!("no span of {id} among {}: {spans:#?}", spans.len()))
}

/// What hangs below a span, in the order in which it began.
fn children<'a>(spans: &'a [Span], parent: &Span) -> Vec<&'a Span> {
    let mut children: Vec<&Span> = spans.iter().filter(|span| span.parent_span_id == parent.span_id).collect();
    children.sort_by_key(|span| span.start_time_unix_nano);
    children
}

#[tokio::test]
async fn statements_hang_below_their_request_and_its_trace_is_that_of_a_trusted_proxy_only() {
    let world = World::new().await;
    let settings =
        [("VICKET_TRUSTED_PROXIES", "127.0.0.1"), ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")];
    let server = Watched::of(&world, true, &settings).await;
    let agent = world.person("acme", "agent").await;
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    let from = |address: &str| Client::builder().local_address(address.parse().ok()).build().expect("a client");
    let (proxy, stranger) = (from("127.0.0.1"), from("127.0.0.2"));
    let ask = async |client: &Client, method: Method, path: &str, id: &str| {
        let request = client
            .request(method, format!("{}{path}", server.base))
            .header("X-Vicket-Key", &world.site_a.key)
            .header("X-Request-Id", id)
            .header("traceparent", &traceparent);
        Answer::of(if id == "of-a-ticket" { request.json(&ticket()) } else { request }).await
    };
    ask(&proxy, Method::GET, LIST, "of-a-proxy").await.ok(200);
    ask(&stranger, Method::GET, LIST, "of-a-stranger").await.ok(200);
    ask(&proxy, Method::POST, "/support/v1/tickets", "of-a-ticket").await.ok(201);
    let twice = proxy.get(format!("{}/healthz", server.base)).header("X-Request-Id", "of-two-traces");
    Answer::of(twice.header("traceparent", &traceparent).header("traceparent", &traceparent)).await.ok(200);
    let unsampled = proxy.get(format!("{}{LIST}", server.base)).header("X-Request-Id", "of-an-unsampled-trace");
    let unsampled = unsampled.header("traceparent", format!("00-{TRACE}-{PARENT}-00"));
    Answer::of(unsampled.header("X-Vicket-Key", &world.site_a.key)).await.ok(200);
    let teams = proxy.get(format!("{}/v1/orgs/acme/teams", server.base)).header("Cookie", &agent.cookie);
    Answer::of(teams.header("X-Request-Id", "of-an-agent")).await.ok(200);
    let seen = server.end().await;
    let spans = seen.spans();

    let of_proxy = request(&spans, "of-a-proxy");
    assert_eq!((hex(&of_proxy.trace_id), hex(&of_proxy.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
    assert_eq!(of_proxy.name, format!("GET {LIST}"));
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.route", LIST),
        ("http.response.status_code", "200"),
        ("vicket.org_id", &world.site_a.org_id.to_string()),
        ("vicket.site_id", &world.site_a.id.to_string()),
    ] {
        assert_eq!(attribute(of_proxy, name).as_deref(), Some(value), "{name}");
    }
    assert!(attribute(of_proxy, "vicket.key_id").is_some() && attribute(of_proxy, "vicket.user_id").is_none());
    let below = children(&spans, of_proxy);
    let names: Vec<&str> = below.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["SELECT", "wait for a connection", "SELECT"], "proof, then what was not kept");
    let proof = attribute(below[0], "db.query.text").expect("the text of a statement");
    assert_eq!(proof, "select * from auth.enter_many($1, $2)");
    for span in &below {
        assert_eq!(span.trace_id, of_proxy.trace_id);
        assert!(of_proxy.start_time_unix_nano <= span.start_time_unix_nano, "{span:?}");
        assert!(span.end_time_unix_nano <= of_proxy.end_time_unix_nano, "{span:?}");
        assert!(span.end_time_unix_nano > span.start_time_unix_nano, "{span:?}");
    }

    for id in ["of-a-stranger", "of-two-traces", "of-an-agent"] {
        let alone = request(&spans, id);
        assert!(alone.parent_span_id.is_empty() && hex(&alone.trace_id) != TRACE, "{id}");
    }
    let of_ticket = children(&spans, request(&spans, "of-a-ticket"));
    assert!(of_ticket.iter().any(|span| span.name == "INSERT" || span.name == "SELECT"));
    let of_agent = request(&spans, "of-an-agent");
    assert_eq!(attribute(of_agent, "vicket.user_id"), Some(agent.id.to_string()));
    assert_eq!(of_agent.name, "GET /v1/orgs/{org}/teams");
    let unsampled = Some("of-an-unsampled-trace");
    assert!(spans.iter().all(|span| attribute(span, "vicket.request_id").as_deref() != unsampled));
    // Nothing else makes spans, whatever libraries do: each is a request or hangs below one.
    let requests: Vec<&[u8]> = spans
        .iter()
        .filter(|span| attribute(span, "vicket.request_id").is_some())
        .map(|span| span.span_id.as_slice())
        .collect();
    assert!(
        spans
            .iter()
            .all(|span| requests.contains(&span.span_id.as_slice())
                || requests.contains(&span.parent_span_id.as_slice()))
    );
    assert!(seen.traces.iter().any(|body| String::from_utf8_lossy(body).contains("deployment.environment.name")));
}

#[tokio::test]
async fn a_collector_that_is_away_costs_no_request_and_one_line() {
    let world = World::new().await;
    let settings =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:hunter2@127.0.0.1:1"), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    let server = Watched::of(&world, false, &settings).await;
    for _ in 0..3 {
        let read =
            reqwest::Client::new().get(format!("{}{LIST}", server.base)).header("X-Vicket-Key", &world.site_a.key);
        Answer::of(read).await.ok(200);
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    server.logs("traces cannot be sent").await;
    let log = server.end().await.log;
    assert_eq!(log.matches("traces cannot be sent").count(), 1, "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}
