//! What a scraper reads: every figure moves with what it counts, no label has more values than the program has names, and the
//! listener has no other page and serves nobody else.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use reqwest::Method;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use uuid::Uuid;

use crate::harness::{Answer, Options, Running, World, ticket};

const LIST: &str = "/support/v1/help/articles";

/// The series of a page in the text format, by name and labels, with what they are; of those that are not whole numbers, the whole
/// part. Every line of it must be one that Prometheus reads.
fn series(page: &str) -> BTreeMap<String, u64> {
    let (mut found, mut types) = (BTreeMap::new(), BTreeMap::new());
    let mut described = BTreeSet::new();
    for line in page.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').expect("a text");
            assert!(described.insert(name.to_owned()) && !text.is_empty(), "{line}");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a type");
            assert!(["counter", "gauge", "histogram"].contains(&kind) && described.contains(name), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            types.insert(name.to_owned(), kind.to_owned());
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?}"));
            let name = series.split('{').next().unwrap_or_default();
            let of = |name: &str| types.get(name).is_some_and(|kind| kind != "histogram");
            let part = ["_bucket", "_sum", "_count"].iter().filter_map(|end| name.strip_suffix(end));
            let of_histogram = part.into_iter().any(|name| types.get(name).is_some_and(|kind| kind == "histogram"));
            assert!(of(name) || of_histogram, "{line} comes before its type");
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let whole = value.split('.').next().unwrap_or_default().parse().expect("a number");
            assert!(found.insert(series.to_owned(), whole).is_none(), "{line} twice");
        }
    }
    assert_eq!(described.len(), types.len());
    found
}

/// The names of a page's metrics, as their types stand in it.
fn names(page: &str) -> BTreeSet<String> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|rest| rest.split(' ').next().unwrap_or_default().to_owned()).collect()
}

async fn measured(world: &World) -> Running {
    world.serve_with(Options { metrics: true, ..Options::default() }).await
}

#[tokio::test]
async fn requests_are_counted_by_surface_route_method_and_status() {
    let world = World::new().await;
    let server = measured(&world).await;
    let agent = world.person("acme", "agent").await;
    let key = &world.site_a.key;
    for _ in 0..3 {
        server.get(key, LIST).await.ok(200);
    }
    server.get(key, &format!("{LIST}/for-all-sites")).await.ok(200);
    server.get("pk_none", LIST).await.refused(401, "key_invalid");
    server.post(key, "/support/v1/tickets", &ticket()).await.ok(201);
    server.call_as(&agent, Method::GET, &format!("/v1/orgs/acme/tickets/{}", Uuid::new_v4()), None).await.ok(404);
    server.call_as(&agent, Method::GET, "/dashboard/acme/inbox", None).await.ok(200);
    server.call(Method::GET, "/healthz", &[]).await.ok(200);
    server.call(Method::GET, "/nowhere", &[]).await.ok(404);
    server.call(Method::DELETE, LIST, &[("X-Vicket-Key", key)]).await.ok(405);
    let page = server.scrape().await;
    let series = series(&page);
    let count = |surface: &str, route: &str, method: &str, status: u16| {
        let labels = format!("surface=\"{surface}\",route=\"{route}\",method=\"{method}\",status=\"{status}\"");
        series.get(&format!("vicket_http_requests_total{{{labels}}}")).copied()
    };
    assert_eq!(count("support", LIST, "GET", 200), Some(3), "{page}");
    assert_eq!(count("support", LIST, "GET", 401), Some(1));
    assert_eq!(count("support", LIST, "DELETE", 405), Some(1));
    assert_eq!(count("support", &format!("{LIST}/{{slug}}"), "GET", 200), Some(1), "{page}");
    assert_eq!(count("support", "/support/v1/tickets", "POST", 201), Some(1));
    assert_eq!(count("agent", "/v1/orgs/{org}/tickets/{id}", "GET", 404), Some(1), "{page}");
    assert_eq!(count("dashboard", "/dashboard/{org}/inbox", "GET", 200), Some(1));
    assert_eq!(count("none", "/healthz", "GET", 200), Some(1));
    assert_eq!(count("none", "unmatched", "GET", 404), Some(1));
    let timed = format!("vicket_http_request_duration_seconds_count{{surface=\"support\",route=\"{LIST}\"}}");
    assert_eq!(series.get(&timed), Some(&5));
    server.stop().await;
}

#[tokio::test]
async fn whatever_is_asked_for_makes_no_more_series() {
    let world = World::new().await;
    let server = measured(&world).await;
    let agent = world.person("acme", "agent").await;
    let ask = async |n: usize| {
        let id = Uuid::new_v4();
        for path in [
            format!("/{n}"),
            format!("/support/v1/{n}"),
            format!("/support/v1/help/articles/{n}"),
            format!("/v1/orgs/acme/tickets/{id}"),
            format!("/v1/orgs/org-{n}/teams"),
            format!("/v1/orgs/{n}/{n}/{n}"),
            format!("/dashboard/org-{n}/inbox/{id}"),
            format!("/dashboard/org-{n}/nothing/{n}"),
        ] {
            let method = Method::from_bytes(format!("M{n}").as_bytes()).expect("a method");
            server.call_as(&agent, method, &path, None).await;
            server.call(Method::GET, &path, &[("Cookie", &agent.cookie), ("X-Request-Id", &id.to_string())]).await;
            let with_key = [("X-Vicket-Key", world.site_a.key.as_str()), ("Origin", world.site_a.origin)];
            server.call(Method::GET, &path, &with_key).await;
        }
    };
    ask(0).await;
    let before = series(&server.scrape().await).len();
    for n in 1..12 {
        ask(n).await;
    }
    let page = server.scrape().await;
    let known: BTreeSet<String> = series(&page).keys().cloned().collect();
    assert_eq!(known.len(), before, "{page}");
    // What a tenant is known by stands in no label.
    let ids = [world.site_a.org_id, world.site_a.id, agent.id].map(|id| id.to_string());
    for told in ids.iter().map(String::as_str).chain(["acme", "site-a", "a.example", "127.0.0", "org-", "M1"]) {
        assert!(!page.contains(told), "{told}: {page}");
    }
    let labels: BTreeSet<&str> = known
        .iter()
        .filter_map(|series| series.split_once('{'))
        .flat_map(|(_, labels)| labels.trim_end_matches('}').split("\","))
        .filter_map(|label| label.split('=').next())
        .collect();
    let allowed = "budget kind le method outcome policy pool reason route severity state status surface version";
    assert!(labels.iter().all(|label| allowed.split(' ').any(|known| known == *label)), "{labels:?}");
    server.stop().await;
}

#[tokio::test]
async fn every_figure_moves_with_what_it_counts() {
    let world = World::new().await;
    let server = world
        .serve_with(Options { metrics: true, connections: 1, connections_per_network: 4, ..Options::default() })
        .await;
    let agent = world.person("acme", "agent").await;
    let key = &world.site_a.key;
    let now = async |name: &str| {
        let series = series(&server.scrape().await);
        series.get(name).copied().unwrap_or_else(|| panic!("{name} is not there: {series:#?}"))
    };
    let (hits, misses) = ("vicket_answer_cache_hits_total", "vicket_answer_cache_misses_total");
    assert_eq!((now(hits).await, now(misses).await), (0, 0));
    for _ in 0..3 {
        server.get(key, LIST).await.ok(200);
    }
    assert_eq!((now(hits).await, now(misses).await), (2, 1));
    assert!(now("vicket_answer_cache_bytes").await > 100);
    assert!(now("vicket_db_enter_seconds_count{pool=\"widget\"}").await >= 4);
    assert!(now("vicket_db_pool_wait_seconds_count{pool=\"widget\"}").await >= 4);
    assert_eq!(now("vicket_db_pool_connections_max{pool=\"widget\"}").await, 1);
    assert!(now("vicket_client_connections").await >= 1);

    let listening = server.request(Method::GET, "/dashboard/acme/events").header("Cookie", &agent.cookie);
    let mut listening = listening.send().await.expect("a stream");
    listening.chunk().await.expect("a greeting");
    assert_eq!(now("vicket_event_streams").await, 1);
    drop(listening);
    let ended = async || {
        while now("vicket_event_streams").await > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), ended()).await.expect("the stream's end is noticed");

    let mut blocker = world.superuser.begin().await.expect("begin");
    sqlx::raw_sql("lock table vicket.teams").execute(&mut *blocker).await.expect("locked");
    let teams = || server.call_as(&agent, Method::GET, "/v1/orgs/acme/teams", None);
    let looks = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let page = series(&server.scrape().await);
        blocker.rollback().await.expect("unlocked");
        page
    };
    let (one, other, page) = tokio::join!(teams(), teams(), looks);
    one.ok(200);
    other.ok(200);
    assert_eq!(page["vicket_db_pool_connections{pool=\"agent\",state=\"used\"}"], 1);
    assert_eq!(page["vicket_db_pool_waiting{pool=\"agent\"}"], 1);
    assert_eq!(now("vicket_db_pool_connections{pool=\"agent\",state=\"used\"}").await, 0);
    assert_eq!(now("vicket_db_pool_connections{pool=\"agent\",state=\"idle\"}").await, 1);

    for guess in 0..302 {
        server.get(&format!("pk_{guess}"), LIST).await;
    }
    assert_eq!(now("vicket_limit_refusals_total{policy=\"refused\"}").await, 2);
    let refused = now("vicket_refused_statements_total").await;
    world.arrange("revoke select on vicket.teams from vicket_agent").await;
    teams().await.ok(500);
    assert!(now("vicket_refused_statements_total").await > refused);
    world.arrange("alter table vicket.articles no force row level security").await;
    let findings = async || {
        while now("vicket_isolation_findings{severity=\"error\"}").await == 0 {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), findings()).await.expect("isolation is looked at");
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(now("vicket_not_ready{reason=\"isolation\"}").await, 1);
    assert_eq!(now("vicket_not_ready{reason=\"database\"}").await, 0);
    server.stop().await;
}

#[tokio::test]
async fn the_listener_of_metrics_has_one_page_bounds_and_no_place_on_the_main_port() {
    let world = World::new().await;
    let server = measured(&world).await;
    let at = server.metrics.expect("a listener");
    let ask = async |method: Method, path: &str| {
        Answer::of(server.client.request(method, format!("http://{at}{path}"))).await.status
    };
    assert_eq!(ask(Method::GET, "/metrics").await, 200);
    assert_eq!(ask(Method::HEAD, "/metrics?collect[]=x").await, 200);
    assert_eq!(ask(Method::POST, "/metrics").await, 405);
    for path in ["/", "/metrics/", "/healthz", LIST, "/v1/orgs"] {
        assert_eq!(ask(Method::GET, path).await, 404, "{path}");
    }
    server.call(Method::GET, "/metrics", &[]).await.ok(404);
    // Sixteen at once, and whoever says nothing is closed.
    let mut silent = Vec::new();
    for _ in 0..16 {
        silent.push(TcpStream::connect(at).await.expect("connected"));
    }
    let mut late = TcpStream::connect(at).await.expect("connected");
    late.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.expect("sent");
    let mut heard = Vec::new();
    let at_once = tokio::time::timeout(Duration::from_secs(1), late.read_to_end(&mut heard)).await;
    assert!(at_once.is_err() && heard.is_empty(), "there was a place");
    let later = tokio::time::timeout(Duration::from_secs(30), late.read_to_end(&mut heard)).await;
    assert!(later.is_ok() && heard.starts_with(b"HTTP/1.1 200"), "the silent ones kept their places");
    server.stop().await;
}

#[tokio::test]
async fn every_metric_is_documented_with_its_labels_and_alerts_name_what_there_is() {
    let world = World::new().await;
    let server = world
        .serve_with(Options { metrics: true, mail: Some(crate::mail::outgoing("log:")), ..Options::default() })
        .await;
    server.get(&world.site_a.key, LIST).await.ok(200);
    let person = world.person("acme", "owner").await;
    // A job, of more rows than go at once, and a refusal, so that they have series.
    let tickets = format!(
        "insert into vicket.tickets (org_id, site_id, number, email, subject)
        select '{}', '{}', 1000 + n, 'ada@example.com', 'Help' from generate_series(1, 1200) n",
        world.site_b.org_id, world.site_b.id
    );
    world.arrange(&tickets).await;
    server.call_as(&person, Method::DELETE, "/v1/orgs/acme/sites/site-b", None).await.ok(204);
    for guess in 0..301 {
        server.get(&format!("pk_{guess}"), LIST).await;
    }
    let since = Instant::now();
    let mut page = server.scrape().await;
    while !page.contains("vicket_job_rows_left{") {
        assert!(since.elapsed() < Duration::from_secs(20), "no job: {page}");
        tokio::time::sleep(Duration::from_millis(100)).await;
        page = server.scrape().await;
    }
    let rows = crate::docs::rows("docs/observability.md", "## Metrics");
    let spans = |cell: &str| -> BTreeSet<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let documented: BTreeMap<String, BTreeSet<String>> =
        rows.iter().map(|row| (row[0].trim_matches('`').to_owned(), spans(&row[1]))).collect();
    assert_eq!(documented.len(), rows.len(), "a metric stands twice");
    let known = names(&page);
    assert_eq!(
        documented.keys().cloned().collect::<BTreeSet<_>>(),
        known,
        "left: docs/observability.md; right: /metrics"
    );
    for (name, labels) in &documented {
        let ends = ["{", "_bucket{", "_count{"];
        let series = page.lines().find(|line| ends.iter().any(|end| line.starts_with(&format!("{name}{end}"))));
        // Up to the last brace: a route has some of its own.
        let labels_of =
            series.and_then(|line| line.split_once('{')?.1.rsplit_once('}')).map_or("", |(labels, _)| labels);
        let stated: BTreeSet<String> = labels_of
            .split("\",")
            .filter_map(|label| label.split_once('='))
            .map(|(label, _)| label.to_owned())
            .collect();
        let stated: BTreeSet<String> = stated.into_iter().filter(|label| label != "le").collect();
        assert_eq!(&stated, labels, "{name}; left: /metrics; right: docs/observability.md");
    }

    let guide = crate::docs::read("docs/observability.md");
    let (_, rules) = guide.split_once("```yaml\n").expect("rules");
    let (rules, _) = rules.split_once("```").expect("their end");
    let asked: BTreeSet<&str> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: "))
        .flat_map(|expression| expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .filter(|word| word.starts_with("vicket_") || word.starts_with("process_"))
        .collect();
    assert!(asked.len() >= 12, "{asked:?}");
    for name in asked {
        assert!(
            known.contains(name.strip_suffix("_bucket").unwrap_or(name)),
            "an alert asks for {name}, which is none"
        );
    }
    let alerts: BTreeSet<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    for row in crate::docs::rows("docs/observability.md", "## What to be woken by") {
        assert!(alerts.contains(row[0].trim_matches('`')), "{row:?}");
    }
    server.stop().await;
}
