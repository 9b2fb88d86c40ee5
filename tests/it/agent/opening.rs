//! Tickets that agents make: what they begin with, who is told, that a repeat makes no second one; by whom.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::{People, tickets::submit};
use crate::harness::{Answer, Options, Person, World};

const TICKETS: &str = "/v1/orgs/acme/tickets";

fn new(site: &str, more: &Value) -> Value {
    let mut body =
        json!({ "site": site, "email": "ada@example.com", "subject": "Your export", "message": "It **failed**." });
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn an_agent_makes_a_ticket_whose_customer_is_told_or_not_and_a_repeat_makes_none() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Default::default() }).await;
    let people = People::of(&world).await;
    world.arrange("select worker.serve_mail('mail.example.com')").await;
    server.post_as(&people.admin, "/v1/orgs/acme/tags", json!({ "name": "vip" })).await.ok(201);
    let make = async |person: &Person, key: &str, body: Value| {
        let request = server
            .request(Method::POST, TICKETS)
            .header("cookie", &person.cookie)
            .header("sec-fetch-site", "same-origin")
            .header("Idempotency-Key", key)
            .json(&body);
        Answer::of(request).await
    };
    let mails = async || -> String {
        world
            .look(
                "select coalesce(string_agg(kind || ' ' || recipient, ',' order by created_at), '') from vicket.mails",
            )
            .await
    };
    let said = json!({ "name": "Ada Lovelace", "priority": "urgent", "tags": ["VIP"] });
    let (one, two) =
        tokio::join!(make(&people.agent, "k1", new("site-a", &said)), make(&people.agent, "k1", new("site-a", &said)));
    let made = one.ok(201).json();
    assert_eq!(made, two.ok(201).json());
    let message = &made["messages"][0];
    assert_eq!(
        (&made["number"], &made["subject"], &made["priority"]["name"], &made["tags"][0]["name"]),
        (&json!(1), &json!("Your export"), &json!("Urgent"), &json!("vip"))
    );
    assert_eq!(
        (&message["author"], &message["author_id"], &message["body"], &message["delivery"]["state"]),
        (&json!("agent"), &json!(people.agent.id), &json!("It **failed**."), &json!("queued"))
    );
    // It stands as after an answer: the customer is who is waited for.
    assert_eq!(
        (&made["status"]["category"], &made["assignee"]["id"], &made["waiting"], &made["unread"]),
        (&json!("pending"), &json!(people.agent.id), &json!(false), &json!(false))
    );
    assert_eq!(mails().await, "ticket_opened ada@example.com");
    make(&people.agent, "k1", new("site-a", &json!({}))).await.refused(409, "idempotency_conflict");
    assert_ne!(make(&people.admin, "k1", new("site-a", &said)).await.ok(201).json()["id"], made["id"]);

    // Whoever called is not written to; what they said is a note, and waits for an answer.
    let kept = json!({ "notify": false, "status": "open", "assignee": people.admin.id });
    let kept = make(&people.agent, "k2", new("site-b", &kept)).await.ok(201).json();
    assert_eq!(
        (&kept["status"]["category"], &kept["assignee"]["id"], &kept["messages"][0]["delivery"]),
        (&json!("open"), &json!(people.admin.id), &Value::Null)
    );
    let note = make(&people.agent, "k3", new("site-a", &json!({ "internal": true }))).await.ok(201).json();
    assert_eq!(
        (&note["messages"][0]["internal"], &note["status"]["category"], &note["waiting"], &note["assignee"]),
        (&json!(true), &json!("open"), &json!(true), &Value::Null)
    );
    assert_eq!(
        mails().await,
        ["ticket_opened ada@example.com"; 2].join(",") + ",agent_assigned " + &people.admin.email
    );

    // Nobody's mail cannon: the fourth to an address on one day makes nothing.
    let tickets = async || -> i64 { world.look("select count(*) from vicket.tickets").await };
    make(&people.agent, "k4", new("site-a", &json!({}))).await.ok(201);
    let before = tickets().await;
    let bounded = make(&people.agent, "k5", new("site-a", &json!({ "email": "ADA@example.com" }))).await;
    assert_eq!(bounded.refused(422, "unprocessable").fields(), ["notify"]);
    assert_eq!(tickets().await, before);
    make(&people.agent, "k5", new("site-a", &json!({ "notify": false }))).await.ok(201);
    make(&people.agent, "k6", new("site-a", &json!({ "email": "bea@example.com" }))).await.ok(201);

    for (mut body, status, code, field) in [
        (new("site-a", &json!({ "email": "ada" })), 400, "invalid_request", "email"),
        (new("site-a", &json!({ "message": " " })), 400, "invalid_request", "message"),
        (new("gone", &json!({})), 422, "unprocessable", "site"),
        (new("site-c", &json!({})), 422, "unprocessable", "site"),
        (new("site-a", &json!({ "status": "nowhere" })), 422, "unprocessable", "status"),
        (new("site-a", &json!({ "priority": "nowhere" })), 422, "unprocessable", "priority"),
        (new("site-a", &json!({ "tags": ["nothing"] })), 422, "unprocessable", "tags"),
        (new("site-a", &json!({ "assignee": people.viewer.id })), 422, "unprocessable", "assignee"),
    ] {
        body["notify"] = json!(false);
        let refused = server.post_as(&people.agent, TICKETS, body).await;
        assert_eq!(refused.refused(status, code).fields(), [field]);
    }
    // What its customer answers there opens it, as any other.
    assert_eq!(submit(&server, &world.site_a, "Next").await.0.len(), 36);
}

#[tokio::test]
async fn who_does_not_answer_a_sites_tickets_makes_none_there() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Default::default() }).await;
    let people = People::of(&world).await;
    let team = json!({ "name": "A", "members": [people.agent.id], "sites": ["site-a"] });
    server.post_as(&people.admin, "/v1/orgs/acme/teams", team).await.ok(201);
    let none = json!({});
    server.post_as(&people.agent, TICKETS, new("site-a", &none)).await.ok(201);
    let elsewhere = server.post_as(&people.agent, TICKETS, new("site-b", &none)).await;
    assert_eq!(elsewhere.refused(422, "unprocessable").fields(), ["site"]);
    server.post_as(&people.admin, TICKETS, new("site-b", &none)).await.ok(201);
    let refused = server.post_as(&people.viewer, TICKETS, new("site-a", &none)).await;
    assert!(refused.refused(403, "permission_required").text.contains("`ticket:write`"));
    server.post_as(&people.rival, TICKETS, new("site-a", &none)).await.refused(404, "not_found");
    // A machine key may what it was given: a ticket of nobody, and nobody's else.
    let with = async |key: &str, body: Value| {
        Answer::of(server.request(Method::POST, TICKETS).bearer_auth(key).json(&body)).await
    };
    let (_, writer) = server.machine_key(&people.admin, &["ticket:write", "ticket:read"]).await;
    let (_, reader) = server.machine_key(&people.admin, &["ticket:read"]).await;
    assert_eq!(with(&writer, new("site-a", &none)).await.ok(201).json()["assignee"], Value::Null);
    let given = new("site-a", &json!({ "assignee": people.agent.id }));
    assert!(with(&writer, given).await.refused(403, "permission_required").text.contains("`ticket:assign`"));
    with(&reader, new("site-a", &none)).await.refused(403, "permission_required");

    // In SQL neither, and no claim of a key names another's site.
    let gate = world.agent_gate();
    let run = async |person: &Person, sql: &str| {
        let mut tx = world.agent(&gate, person, "acme").await;
        let done = sqlx::query(AssertSqlSafe(sql)).execute(tx.connection()).await;
        done.map(|done| done.rows_affected())
            .map_err(|error| error.as_database_error().and_then(|error| error.code().map(String::from)))
    };
    let insert = |site: &crate::harness::Site| {
        format!("insert into vicket.tickets (site_id, email, subject) values ('{}', 'a@b.example', 'x')", site.id)
    };
    let denied = Err(Some("42501".to_owned()));
    assert_eq!(run(&people.agent, &insert(&world.site_a)).await, Ok(1));
    assert_eq!(run(&people.agent, &insert(&world.site_b)).await, denied);
    assert_eq!(run(&people.agent, &insert(&world.site_c)).await, denied);
    assert_eq!(run(&people.viewer, &insert(&world.site_a)).await, denied);
    let org = format!(
        "insert into vicket.tickets (org_id, site_id, email, subject) values ('{}', '{}', 'a@b.example', 'x')",
        world.site_c.org_id, world.site_c.id
    );
    assert_eq!(run(&people.admin, &org).await, denied);
    let claim = async |person: &Person, site: &crate::harness::Site| -> String {
        let mut tx = world.agent(&gate, person, "acme").await;
        let sql = "select verdict from ctx.claim_opening($1, sha256('k'), sha256('r'))";
        sqlx::query_scalar(sql).bind(site.id).fetch_one(tx.connection()).await.expect("granted")
    };
    assert_eq!(claim(&people.agent, &world.site_a).await, "new");
    assert_eq!(claim(&people.agent, &world.site_b).await, "no_site");
    assert_eq!(claim(&people.viewer, &world.site_a).await, "no_site");
    assert_eq!(claim(&people.admin, &world.site_c).await, "no_site");
}
