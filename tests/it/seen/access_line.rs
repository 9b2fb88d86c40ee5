//! The line that each request leaves: what stands in it, once, in both formats; of a stream at its end.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::Watched;
use crate::harness::{Answer, World, ticket};

const LIST: &str = "/support/v1/help/articles";
/// What every line has.
const ALWAYS: [&str; 11] =
    ["id", "method", "route", "path", "status", "network", "received", "sent", "ms", "pool_ms", "db_ms"];
const WHO: [&str; 4] = ["org_id", "site_id", "key_id", "user_id"];

/// The line of the request with this id, as text.
fn line<'a>(log: &'a str, id: &str) -> &'a str {
    let mut lines = log.lines().filter(|line| line.contains(&format!("\"{id}\"")));
    let found = lines.next().unwrap_or_else(|| panic!("{id} left no line:\n{log}"));
    assert_eq!(lines.next(), None, "{id} left another line");
    found
}

#[tokio::test]
async fn a_line_says_once_who_asked_for_what_and_what_it_cost() {
    let world = World::new().await;
    let server =
        Watched::of(&world, false, &[("VICKET_LOG_FORMAT", "json"), ("VICKET_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let person = world.person("acme", "owner").await;
    let client = reqwest::Client::new();
    let ask = |method: Method, path: &str, id: &str| {
        let request = client.request(method, format!("{}{path}", server.base)).header("X-Request-Id", id);
        request.header("X-Forwarded-For", "203.0.113.77").header("Origin", &server.base)
    };
    let key = |request: reqwest::RequestBuilder| request.header("X-Vicket-Key", &world.site_a.key);
    let mut plain = client.get(format!("{}{LIST}", server.base)).header("X-Request-Id", "of-a-page");
    plain = plain.header("X-Forwarded-For", "203.0.113.77");
    let read = Answer::of(key(plain)).await;
    let body = ticket();
    let sent = client.post(format!("{}/support/v1/tickets", server.base)).header("X-Request-Id", "of-a-ticket");
    let made = Answer::of(key(sent).json(&body)).await;
    let machine = serde_json::json!({ "name": "robot", "permissions": ["team:edit"] });
    let made_key = ask(Method::POST, "/v1/orgs/acme/machine-keys", "of-a-person").header("Cookie", &person.cookie);
    let machine_key = Answer::of(made_key.json(&machine)).await.ok(201).json();
    let by_machine = client.get(format!("{}/v1/orgs/acme/teams", server.base)).header("X-Request-Id", "of-a-machine");
    let secret = machine_key["key"].as_str().expect("a key");
    Answer::of(by_machine.bearer_auth(secret)).await.ok(200);
    Answer::of(ask(Method::HEAD, "/openapi/agent.json", "of-a-head")).await.ok(200);
    let encoded = ask(Method::GET, "/openapi/agent.json", "of-fewer-bytes").header("Accept-Encoding", "br");
    let encoded = Answer::of(encoded).await;
    Answer::of(ask(Method::GET, &format!("/v1/orgs/{secret}?q={secret}"), "of-a-slip")).await.ok(401);
    Answer::of(ask(Method::GET, &format!("/api{LIST}/{secret}"), "of-nothing")).await.ok(404);

    let events = ask(Method::GET, "/dashboard/acme/events", "of-a-stream").header("Cookie", &person.cookie);
    let mut events = events.send().await.expect("a stream");
    let greeting = events.chunk().await.expect("a greeting").expect("not the end");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!server.log().contains("of-a-stream"), "it goes on");
    drop(events);
    server.logs("of-a-stream").await;

    let mut blocker = world.superuser.begin().await.expect("begin");
    sqlx::raw_sql("lock table vicket.teams").execute(&mut *blocker).await.expect("locked");
    let given_up = ask(Method::GET, "/v1/orgs/acme/teams", "of-who-left").header("Cookie", &person.cookie);
    assert!(given_up.timeout(Duration::from_millis(600)).send().await.is_err());
    server.logs("of-who-left").await;
    blocker.rollback().await.expect("unlocked");

    let log = server.end().await.log;
    let of = |id: &str| -> Value {
        let text = line(&log, id);
        let line: Value = serde_json::from_str(text).expect("JSON");
        for name in ALWAYS.iter().chain(&WHO) {
            let count = text.matches(&format!("\"{name}\":")).count();
            assert!(count == 1 || count == 0 && WHO.contains(name), "{name} stands {count} times: {text}");
        }
        line
    };
    let page = of("of-a-page");
    let (org, site) = (world.site_a.org_id.to_string(), world.site_a.id.to_string());
    let site_key: uuid::Uuid = world.look(&format!("select id from vicket.site_keys where site_id = '{site}'")).await;
    assert_eq!((&page["message"], &page["status"], &page["method"]), (&"answered".into(), &200.into(), &"GET".into()));
    assert_eq!(
        (&page["org_id"], &page["site_id"], &page["key_id"]),
        (&org.clone().into(), &site.into(), &site_key.to_string().into())
    );
    assert_eq!(
        (&page["network"], &page["route"], &page["path"]),
        (&"203.0.113.0/24".into(), &LIST.into(), &LIST.into())
    );
    assert_eq!((&page["received"], &page["sent"]), (&0.into(), &read.ok(200).text.len().into()));
    let figure = |line: &Value, name: &str| line[name].as_f64().expect("a figure");
    assert!(figure(&page, "pool_ms") > 0.0 && figure(&page, "db_ms") > 0.0, "{page}");
    assert!(figure(&page, "pool_ms") + figure(&page, "db_ms") <= figure(&page, "ms") + 0.01, "{page}");

    let ticket_line = of("of-a-ticket");
    assert_eq!(ticket_line["received"], body.to_string().len(), "{ticket_line}");
    assert_eq!(
        (&ticket_line["sent"], &ticket_line["network"]),
        (&made.ok(201).text.len().into(), &"127.0.0.0/24".into())
    );
    let by_person = of("of-a-person");
    assert_eq!((&by_person["org_id"], &by_person["user_id"]), (&org.clone().into(), &person.id.to_string().into()));
    assert!(by_person["key_id"].is_null() && by_person["site_id"].is_null());
    let by_machine = of("of-a-machine");
    assert_eq!((&by_machine["org_id"], &by_machine["key_id"]), (&org.clone().into(), &machine_key["id"]));
    assert!(by_machine["user_id"].is_null());
    assert_eq!(of("of-a-head")["sent"], 0);
    let fewer = of("of-fewer-bytes")["sent"].to_string();
    assert_eq!(encoded.ok(200).header("content-length"), Some(fewer.as_str()));
    assert_eq!(of("of-a-slip")["path"], "/v1/orgs/{org}");
    assert_eq!(
        (&of("of-nothing")["route"], &of("of-nothing")["path"]),
        (&"unmatched".into(), &format!("/*{LIST}/*").into())
    );

    let stream = of("of-a-stream");
    assert!(stream["sent"].as_u64().expect("bytes") >= greeting.len() as u64, "{stream}");
    assert!(figure(&stream, "ms") > 4_000.0, "{stream}");
    assert_eq!((&stream["org_id"], &stream["user_id"]), (&org.into(), &person.id.to_string().into()));
    let left = of("of-who-left");
    assert_eq!((&left["message"], &left["status"]), (&"abandoned".into(), &499.into()));
    assert!(figure(&left, "db_ms") > 300.0, "{left}");
}

#[tokio::test]
async fn a_line_for_people_has_the_same_fields_once() {
    let world = World::new().await;
    let server = Watched::of(&world, false, &[]).await;
    let client = reqwest::Client::new();
    let read = client.get(format!("{}{LIST}", server.base)).header("X-Vicket-Key", &world.site_a.key);
    Answer::of(read.header("X-Request-Id", "of-a-page")).await.ok(200);
    let log = server.end().await.log;
    let line = line(&log, "of-a-page");
    for name in ALWAYS.iter().chain(&["org_id", "site_id", "key_id"]) {
        let count = line.split([' ', '{']).filter(|part| part.starts_with(&format!("{name}="))).count();
        assert_eq!(count, 1, "{name}: {line}");
    }
    assert!(!line.contains("user_id") && !line.contains("limit="), "{line}");
}
