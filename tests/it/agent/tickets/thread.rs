//! Long conversations as agents read and continue them.

use serde_json::{Value, json};

use super::{TICKETS, submit};
use crate::{
    agent::People,
    harness::{Answer, Options, Running, World},
};

const MEBIBYTE: usize = 1024 * 1024;

async fn server(world: &World) -> Running {
    world.serve_with(Options { limits: false, ..Options::default() }).await
}

fn bodies(page: &Value) -> Vec<&str> {
    let messages = page["messages"].as_array().expect("messages").iter();
    messages.map(|message| message["body"].as_str().expect("a body")).collect()
}

fn changes(page: &Value) -> Vec<&str> {
    let events = page["events"].as_array().expect("events").iter();
    events.map(|event| event["after"].as_str().expect("a name")).collect()
}

#[tokio::test]
async fn a_ticket_comes_with_a_page_of_its_messages_and_what_changed_meanwhile() {
    let world = World::new().await;
    let server = server(&world).await;
    let people = People::of(&world).await;
    let (id, _) = submit(&server, &world.site_a, "Help").await;
    let path = format!("{TICKETS}/{id}");
    let read = async |query: &str| server.get_as(&people.agent, &format!("{path}?{query}")).await;
    let change = async |priority: &str| {
        server.patch_as(&people.agent, &path, json!({ "priority": priority })).await.ok(200).json()
    };
    change("Low").await;
    world.converse(&id, 60, "'message ' || n").await;
    change("High").await;
    server
        .post_as(&people.agent, &format!("{path}/messages"), json!({ "body": "A note.", "internal": true }))
        .await
        .ok(201);
    let changed = change("Urgent").await;

    let newest = read("").await.ok(200).json();
    assert_eq!((bodies(&newest).len(), bodies(&newest)[49]), (50, "A note."));
    assert_eq!(bodies(&newest)[0], "message 12");
    assert_eq!(changes(&newest), ["High", "Urgent"]);
    assert_eq!((&changed["messages"], &changed["next_cursor"]), (&newest["messages"], &newest["next_cursor"]));
    let cursor = newest["next_cursor"].as_str().expect("more");
    let older = read(&format!("cursor={cursor}")).await.ok(200).json();
    assert_eq!((bodies(&older).len(), bodies(&older)[0], bodies(&older)[11]), (12, "Please help.", "message 11"));
    assert_eq!((changes(&older), &older["next_cursor"]), (vec!["Low"], &Value::Null));
    assert_eq!(bodies(&read("limit=100").await.ok(200).json()).len(), 62);
    assert_eq!(changes(&read("limit=100").await.ok(200).json()), ["Low", "High", "Urgent"]);

    // The newest 200 changes of a page.
    world
        .arrange(&format!(
            "insert into vicket.ticket_events (org_id, site_id, ticket_id, at, actor, kind, after)
              select org_id, site_id, id, now() + n * interval '1 microsecond', 'cli', 'priority', n::text
              from vicket.tickets, generate_series(1, 300) n where id = '{id}'"
        ))
        .await;
    let told = read("").await.ok(200).json();
    assert_eq!((changes(&told).len(), changes(&told)[0], changes(&told)[199]), (200, "101", "300"));

    for limit in ["0", "101", "x"] {
        read(&format!("limit={limit}")).await.refused(400, "invalid_request");
    }
    for cursor in ["x", "AAAA"] {
        read(&format!("cursor={cursor}")).await.refused(400, "invalid_cursor");
    }
}

#[tokio::test]
async fn no_page_of_a_ticket_is_larger_than_a_mebibyte() {
    let world = World::new().await;
    let server = server(&world).await;
    let people = People::of(&world).await;
    for (longest, count) in [("repeat(chr(1), 20000)", 100), ("repeat(chr(128512), 20000)", 50)] {
        let (id, _) = submit(&server, &world.site_a, "Help").await;
        world.converse(&id, count, longest).await;
        // Forms, and changes, as long as they may be.
        world
            .arrange(&format!(
                "insert into vicket.ticket_events (org_id, site_id, ticket_id, actor, kind, before, after)
                  select org_id, site_id, id, repeat('a', 254), 'assignee', repeat('b', 254), repeat('c', 254)
                  from vicket.tickets, generate_series(1, 300) where id = '{id}'"
            ))
            .await;
        let (mut messages, mut query) = (0, "limit=100".to_owned());
        loop {
            let page: Answer = server.get_as(&people.agent, &format!("{TICKETS}/{id}?{query}")).await;
            let size = page.ok(200).text.len();
            println!("{longest}: {size} bytes");
            assert!(size <= MEBIBYTE, "{longest}: {size} bytes");
            let page = page.json();
            messages += bodies(&page).len();
            match page["next_cursor"].as_str() {
                Some(cursor) => query = format!("limit=100&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(messages, count as usize + 1);
    }
}

#[tokio::test]
async fn a_full_ticket_takes_neither_answers_nor_notes() {
    let world = World::new().await;
    let server = server(&world).await;
    let people = People::of(&world).await;
    let say = async |id: &str, body: &str, internal: bool| {
        let path = format!("{TICKETS}/{id}/messages");
        server.post_as(&people.agent, &path, json!({ "body": body, "internal": internal })).await
    };
    for internal in [false, true] {
        let (id, _) = submit(&server, &world.site_a, "Many").await;
        world.converse(&id, 998, "'message ' || n").await;
        say(&id, "The last one.", internal).await.ok(201);
        say(&id, "An answer.", false).await.refused(409, "ticket_full");
        say(&id, "A note.", true).await.refused(409, "ticket_full");
        // What is decided about it is no message.
        let path = format!("{TICKETS}/{id}");
        server.patch_as(&people.agent, &path, json!({ "status": "resolved" })).await.ok(200);

        let (id, _) = submit(&server, &world.site_a, "Long").await;
        world.converse(&id, 209, "repeat('x', 20000)").await;
        world.converse(&id, 1, "repeat('x', 4 * 1024 * 1024 - 12 - 209 * 20000 - 4)").await;
        say(&id, "12345", internal).await.refused(409, "ticket_full");
        say(&id, "1234", internal).await.ok(201);
        say(&id, "1", internal).await.refused(409, "ticket_full");
    }
}

#[tokio::test]
async fn of_an_answer_and_a_reply_at_once_the_last_place_is_for_one() {
    let world = World::new().await;
    let server = server(&world).await;
    let people = People::of(&world).await;
    for round in 0..5 {
        let (id, token) = submit(&server, &world.site_a, "Help").await;
        world.converse(&id, 998, "'message ' || n").await;
        let path = format!("{TICKETS}/{id}/messages");
        let answer = server.post_as(&people.agent, &path, json!({ "body": "An answer." }));
        let reply = server
            .request(reqwest::Method::POST, "/support/v1/tickets/thread/messages")
            .header("X-Vicket-Key", &world.site_a.key)
            .header("X-Vicket-Ticket", &token)
            .json(&json!({ "body": "A reply." }));
        let (answer, reply) = tokio::join!(answer, Answer::of(reply));
        let mut codes = [answer.status, reply.status];
        codes.sort_unstable();
        assert_eq!(codes, [201, 409], "round {round}");
        let counted: i32 = world.look(&format!("select message_count from vicket.tickets where id = '{id}'")).await;
        assert_eq!(counted, 1000);
    }
}

#[tokio::test]
async fn what_a_ticket_counts_is_written_by_no_request_or_command() {
    let world = World::new().await;
    let server = server(&world).await;
    let people = People::of(&world).await;
    submit(&server, &world.site_a, "Help").await;
    let gate = world.agent_gate();
    for column in ["message_count", "message_bytes"] {
        let sql = format!("update vicket.tickets set {column} = 0");
        for mut tx in [world.agent(&gate, &people.admin, "acme").await, world.org("acme").await] {
            let refused = sqlx::query(sqlx::AssertSqlSafe(sql.as_str())).execute(tx.connection()).await;
            let refused = refused.expect_err("refused").into_database_error().expect("by PostgreSQL");
            assert_eq!(refused.code().as_deref(), Some("42501"), "{column}");
        }
    }
}
