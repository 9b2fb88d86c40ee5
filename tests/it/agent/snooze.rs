//! Snoozed tickets: out of sight until their time, or until their customer writes; by whom.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    People,
    tickets::{reply, submit},
};
use crate::harness::{Options, Person, Running, World};

const TICKETS: &str = "/v1/orgs/acme/tickets";

fn within(duration: Duration) -> Value {
    json!({ "until": (OffsetDateTime::now_utc() + duration).format(&Rfc3339).expect("a time") })
}

/// The subjects of the tickets of a query.
async fn found(server: &Running, person: &Person, query: &str) -> Vec<String> {
    let page = server.get_as(person, &format!("{TICKETS}?{query}")).await.ok(200).json();
    let rows = page["data"].as_array().expect("a list").iter();
    rows.map(|row| row["subject"].as_str().expect("a subject").to_owned()).collect()
}

/// How many are mine, nobody's, waiting, unread, snoozed.
async fn counts(server: &Running, person: &Person) -> [i64; 5] {
    let views = server.get_as(person, "/v1/orgs/acme/views").await.ok(200).json();
    ["mine", "unassigned", "waiting", "unread", "snoozed"].map(|name| views[name].as_i64().expect("a count"))
}

#[tokio::test]
async fn a_snoozed_ticket_waits_for_nobody_until_its_time_or_its_customers_word() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Default::default() }).await;
    let people = People::of(&world).await;
    let (id, token) = submit(&server, &world.site_a, "One").await;
    submit(&server, &world.site_a, "Two").await;
    let path = format!("{TICKETS}/{id}/snooze");
    assert_eq!(counts(&server, &people.agent).await, [0, 2, 2, 2, 0]);
    let slept = server.post_as(&people.agent, &path, within(Duration::hours(3))).await.ok(200).json();
    assert_eq!((slept["snoozed_until"].is_string(), &slept["waiting"]), (true, &json!(false)));
    assert_eq!((&slept["events"][0]["kind"], &slept["events"][0]["before"]), (&json!("snooze"), &Value::Null));
    assert!(slept["events"][0]["after"].as_str().is_some_and(|text| OffsetDateTime::parse(text, &Rfc3339).is_ok()));
    assert_eq!(counts(&server, &people.agent).await, [0, 1, 1, 1, 1]);
    let view = |name: &str, snoozed: bool| json!({ "name": name, "filter": { "site": "site-a", "snoozed": snoozed } });
    for (name, snoozed) in [("Awake", false), ("Asleep", true)] {
        server.post_as(&people.agent, "/v1/orgs/acme/views", view(name, snoozed)).await.ok(201);
    }
    let views = server.get_as(&people.agent, "/v1/orgs/acme/views").await.ok(200).json();
    assert_eq!((&views["data"][0]["count"], &views["data"][1]["count"]), (&json!(1), &json!(1)));
    for (query, subjects) in [
        ("waiting=true", &["Two"][..]),
        ("snoozed=true", &["One"]),
        ("snoozed=false", &["Two"]),
        ("unresolved=true", &["Two", "One"]),
        ("snoozed=true&q=one", &["One"]),
        ("snoozed=true&q=%232", &[]),
    ] {
        assert_eq!(found(&server, &people.viewer, query).await, subjects, "{query}");
    }
    // A note wakes nobody; its customer does at once.
    let note = json!({ "body": "Ask Omar.", "internal": true });
    server.post_as(&people.admin, &format!("{TICKETS}/{id}/messages"), note).await.ok(201);
    assert_eq!(counts(&server, &people.agent).await[4], 1);
    reply(&server, &world.site_a, &token, "Still there?").await.ok(201);
    assert_eq!(found(&server, &people.viewer, "waiting=true").await, ["One", "Two"]);
    let whole = server.get_as(&people.agent, &format!("{TICKETS}/{id}")).await.ok(200).json();
    let last = whole["events"].as_array().and_then(|events| events.last()).expect("an event");
    assert_eq!(
        (&whole["snoozed_until"], &last["kind"], &last["actor"]),
        (&Value::Null, &json!("snooze"), &json!("customer"))
    );

    // It is back when its time is over, without anything that would wake it; and that is news.
    server.post_as(&people.agent, &path, within(Duration::days(2))).await.ok(200);
    let news = "select cardinality(marks)::bigint from worker.news_of_orgs(array(select id from vicket.orgs where slug = 'acme'))";
    world.arrange("alter table vicket.tickets disable trigger user").await;
    world.arrange("update vicket.tickets set updated_at = now() - interval '1 hour'").await;
    let before: i64 = world.look(news).await;
    world.arrange("update vicket.tickets set snoozed_until = now() - interval '1 second' where subject = 'One'").await;
    world.arrange("alter table vicket.tickets enable trigger user").await;
    assert_eq!(world.look::<i64>(news).await, before + 1);
    assert_eq!(counts(&server, &people.agent).await[2..], [2, 2, 0]);
    assert_eq!(found(&server, &people.viewer, "snoozed=true").await, [""; 0]);
    let whole = server.get_as(&people.agent, &format!("{TICKETS}/{id}")).await.ok(200).json();
    assert_eq!((&whole["snoozed_until"], &whole["waiting"]), (&Value::Null, &json!(true)));

    // It is woken by hand, and by being solved.
    server.post_as(&people.agent, &path, within(Duration::days(2))).await.ok(200);
    server.delete_as(&people.agent, &path).await.ok(204);
    server.delete_as(&people.agent, &path).await.ok(204);
    assert_eq!(counts(&server, &people.agent).await[4], 0);
    server.post_as(&people.agent, &path, within(Duration::days(2))).await.ok(200);
    let solved = server.patch_as(&people.agent, &format!("{TICKETS}/{id}"), json!({ "status": "resolved" })).await;
    assert_eq!(solved.ok(200).json()["snoozed_until"], Value::Null);
    for until in [within(Duration::hours(1)), within(Duration::hours(-1)), within(Duration::days(400))] {
        let refused = server.post_as(&people.agent, &path, until).await;
        assert_eq!(refused.refused(422, "unprocessable").fields(), ["until"]);
    }
    assert_eq!(world.look::<i64>("select count(snoozed_until) from vicket.tickets").await, 0);
    server.post_as(&people.agent, &path, json!({ "until": "tomorrow" })).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn who_may_not_answer_a_ticket_neither_snoozes_nor_wakes_it() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Default::default() }).await;
    let people = People::of(&world).await;
    let (id, _) = submit(&server, &world.site_b, "One").await;
    let path = format!("{TICKETS}/{id}/snooze");
    let day = || within(Duration::days(1));
    let (_, writer) = server.machine_key(&people.admin, &["ticket:write"]).await;
    let (_, assigner) = server.machine_key(&people.admin, &["ticket:assign", "ticket:read"]).await;
    let team = json!({ "name": "A", "members": [people.agent.id], "sites": ["site-a"] });
    server.post_as(&people.admin, "/v1/orgs/acme/teams", team).await.ok(201);
    server.post_as(&people.admin, &path, day()).await.ok(200);
    server.post_as(&people.agent, &path, day()).await.refused(404, "not_found");
    server.delete_as(&people.agent, &path).await.refused(404, "not_found");
    server.post_as(&people.rival, &path, day()).await.refused(404, "not_found");
    server.delete_as(&people.rival, &path).await.refused(404, "not_found");
    server.post_as(&people.viewer, &path, day()).await.refused(403, "permission_required");
    server.delete_as(&people.viewer, &path).await.refused(403, "permission_required");
    server.call_with(&assigner, Method::DELETE, &path).await.refused(403, "permission_required");
    server.call_with(&writer, Method::DELETE, &path).await.ok(204);
    // In SQL: a trigger asks for the permission, as one UPDATE may be allowed for another's sake.
    let gate = world.agent_gate();
    let snooze = "update vicket.tickets set snoozed_until = now() + interval '1 day'";
    for (person, outcome) in [(&people.agent, Ok(0)), (&people.viewer, Ok(0)), (&people.admin, Ok(1))] {
        let mut tx = world.agent(&gate, person, "acme").await;
        let done = sqlx::query(AssertSqlSafe(snooze)).execute(tx.connection()).await.map(|done| done.rows_affected());
        assert_eq!(done.map_err(|error| error.to_string()), outcome, "{}", person.email);
    }
}
