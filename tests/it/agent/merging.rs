//! Tickets that become part of another of the same customer, and are taken out again: over HTTP, in SQL, and for the customer, who sees
//! each by itself.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::{
    People,
    tickets::{reply, submit},
};
use crate::harness::{Options, Person, Running, World, ticket};

const TICKETS: &str = "/v1/orgs/acme/tickets";

async fn whole(server: &Running, person: &Person, id: &str) -> Value {
    server.get_as(person, &format!("{TICKETS}/{id}")).await.ok(200).json()
}

/// What was said in a ticket, with the reference of the one that it was said in where that is another.
fn said(ticket: &Value) -> Vec<(String, Option<&str>)> {
    let messages = ticket["messages"].as_array().expect("messages").iter();
    let body = |message: &Value| message["body"].as_str().expect("a body").chars().take(12).collect();
    messages.map(|message| (body(message), message["merged_from"]["reference"].as_str())).collect()
}

/// The references of a list.
fn references(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().map(|one| one["reference"].as_str().expect("a reference")).collect()
}

async fn unresolved(server: &Running, person: &Person) -> Vec<String> {
    let page = server.get_as(person, &format!("{TICKETS}?unresolved=true")).await.ok(200).json();
    references(&page["data"]).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_ticket_becomes_part_of_another_which_shows_it_and_is_taken_out_again() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Default::default() }).await;
    let people = People::of(&world).await;
    let (one, _) = submit(&server, &world.site_a, "One").await;
    let (two, token) = submit(&server, &world.site_a, "Two").await;
    let (three, _) = submit(&server, &world.site_a, "Three").await;
    let path = |id: &str| format!("{TICKETS}/{id}/merge");
    let into = |id: &str| json!({ "into": id });
    let agent = &people.agent;
    let mut named = Vec::new();
    for id in [&one, &two, &three] {
        named.push(whole(&server, agent, id).await["reference"].as_str().expect("a reference").to_owned());
    }
    let [first, second, third] = named.as_slice() else { unreachable!("three") };
    let [first, second, third] = [first, second, third].map(String::as_str);

    // The first is answered: nobody waits there, until the second, where somebody does, becomes part of it.
    let answer = json!({ "body": "We look into it." });
    server.post_as(agent, &format!("{TICKETS}/{one}/messages"), answer).await.ok(201);
    let merged = server.post_as(agent, &path(&two), into(&one)).await.ok(200).json();
    assert_eq!((&merged["reference"], &merged["waiting"]), (&json!(first), &json!(true)));
    assert_eq!((references(&merged["parts"]), &merged["parts"][0]["subject"]), (vec![second], &json!("Two")));
    let all = said(&merged);
    assert_eq!(all.iter().map(|(_, from)| *from).collect::<Vec<_>>(), [None, Some(second), None]);
    let last =
        merged["events"].as_array().expect("events").iter().find(|event| event["kind"] == "merge").expect("an event");
    assert_eq!((&last["after"], &last["before"]), (&json!(second), &Value::Null));
    let part = whole(&server, agent, &two).await;
    assert_eq!((&part["merged_into"]["reference"], &part["merged_into"]["id"]), (&json!(first), &json!(one)));
    assert_eq!((&part["status"]["category"], &part["waiting"]), (&json!("resolved"), &json!(false)));
    assert_eq!(unresolved(&server, agent).await, [first, third]);

    // The customer reads each by itself, and what they say in the part is news of the whole.
    let seen = merged["messages"][2]["id"].clone();
    server.put_as(agent, &format!("{TICKETS}/{one}/seen"), json!({ "read_to": seen })).await.ok(200);
    assert_eq!(whole(&server, agent, &one).await["unread"], json!(false));
    server
        .post_as(agent, &format!("{TICKETS}/{one}/messages"), json!({ "body": "Done.", "status": "resolved" }))
        .await
        .ok(201);
    reply(&server, &world.site_a, &token, "Not yet.").await.ok(201);
    let after = whole(&server, agent, &one).await;
    assert_eq!(
        (&after["status"]["category"], &after["waiting"], &after["unread"]),
        (&json!("open"), &json!(true), &json!(true))
    );
    assert_eq!(said(&after).last(), Some(&("Not yet.".to_owned(), Some(second))));
    assert_eq!(whole(&server, agent, &two).await["status"]["category"], json!("resolved"));
    assert_eq!(unresolved(&server, agent).await, [first, third]);
    let headers = [("X-Vicket-Key", world.site_a.key.as_str()), ("X-Vicket-Ticket", token.as_str())];
    let thread = server.call(Method::GET, "/support/v1/tickets/thread", &headers).await.ok(200).json();
    assert_eq!(thread["messages"].as_array().map(Vec::len), Some(2));

    // Whoever answers has what was said in the part before them, or is told that it went on.
    let with = |seen: &Value| json!({ "body": "Now?", "seen": seen });
    let messages = format!("{TICKETS}/{one}/messages");
    server.post_as(agent, &messages, with(&seen)).await.refused(409, "conversation_moved");
    let newest = after["messages"].as_array().expect("messages").last().expect("one")["id"].clone();
    server.put_as(agent, &format!("{TICKETS}/{one}/seen"), json!({ "read_to": newest })).await.ok(200);
    assert_eq!(whole(&server, agent, &one).await["unread"], json!(false));
    server.post_as(agent, &messages, with(&newest)).await.ok(201);

    // Pages go through all of it.
    let mut pages = Vec::new();
    let mut query = "limit=2".to_owned();
    loop {
        let page = server.get_as(agent, &format!("{TICKETS}/{one}?{query}")).await.ok(200).json();
        pages.splice(0..0, said(&page).into_iter().map(|(body, _)| body));
        match page["next_cursor"].as_str() {
            Some(next) => query = format!("limit=2&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(pages[2..], ["We look into", "Done.", "Not yet.", "Now?"]);

    // What is part of it goes along, and stands where it stood when it is taken out.
    let merged = server.post_as(agent, &path(&one), into(&three)).await.ok(200).json();
    assert_eq!(references(&merged["parts"]), [first, second]);
    server.post_as(agent, &path(&two), into(&three)).await.refused(422, "unprocessable");
    server.delete_as(agent, &path(&two)).await.ok(204);
    server.delete_as(agent, &path(&two)).await.refused(404, "not_found");
    let two_now = whole(&server, agent, &two).await;
    assert_eq!(
        (&two_now["status"]["category"], &two_now["waiting"], &two_now["merged_into"]),
        (&json!("open"), &json!(true), &Value::Null)
    );
    let kinds: Vec<&str> =
        two_now["events"].as_array().expect("events").iter().filter_map(|event| event["kind"].as_str()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "merged").count(), 2);
    assert_eq!(references(&whole(&server, agent, &three).await["parts"]), [first]);
    // It is the whole's own again when the other is deleted.
    server.delete_as(&people.admin, &format!("{TICKETS}/{three}")).await.ok(204);
    assert_eq!(whole(&server, agent, &one).await["merged_into"], Value::Null);
}

#[tokio::test]
async fn only_tickets_of_one_site_and_customer_are_put_together_and_by_who_answers_them() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Default::default() }).await;
    let people = People::of(&world).await;
    let (one, _) = submit(&server, &world.site_a, "One").await;
    let (two, token) = submit(&server, &world.site_a, "Two").await;
    let (elsewhere, _) = submit(&server, &world.site_b, "Elsewhere").await;
    let mut body = ticket();
    body["email"] = "eve@example.com".into();
    let other = server.post(&world.site_a.key, "/support/v1/tickets", &body).await.ok(201).json();
    let other = other["id"].as_str().expect("an id");
    let path = format!("{TICKETS}/{two}/merge");
    let into = |id: &str| json!({ "into": id });
    let nothing = "00000000-0000-4000-8000-000000000000";
    for (id, why) in [
        (two.as_str(), "no part of itself"),
        (other, "not of the same address"),
        (elsewhere.as_str(), "no such ticket"),
        (nothing, "no such ticket"),
    ] {
        let refused = server.post_as(&people.agent, &path, into(id)).await;
        assert!(refused.refused(422, "unprocessable").text.contains(why), "{id}");
    }
    server.post_as(&people.agent, &path.replace(&two, nothing), into(&one)).await.refused(404, "not_found");
    server.post_as(&people.agent, &path, json!({ "into": "x" })).await.refused(400, "invalid_request");
    server.post_as(&people.viewer, &path, into(&one)).await.refused(403, "permission_required");
    server.post_as(&people.rival, &path, into(&one)).await.refused(404, "not_found");
    server.delete_as(&people.viewer, &path).await.refused(403, "permission_required");
    let related = format!("{TICKETS}/{two}/related");
    server.get_as(&people.rival, &related).await.refused(404, "not_found");
    server.patch_as(&people.agent, &format!("{TICKETS}/{one}"), json!({ "status": "closed" })).await.ok(200);
    server.post_as(&people.agent, &path, into(&one)).await.refused(409, "ticket_closed");
    server.patch_as(&people.agent, &format!("{TICKETS}/{one}"), json!({ "status": "open" })).await.ok(200);
    // Those of the same address are told, but for what is part of it.
    let told = server.get_as(&people.viewer, &related).await.ok(200).json();
    let subjects = |told: &Value| -> Vec<String> {
        let rows = told["tickets"].as_array().expect("tickets").iter();
        rows.map(|row| format!("{} {}", row["subject"].as_str().expect("a subject"), row["same_thread"])).collect()
    };
    assert_eq!(subjects(&told), ["One false"]);
    server.post_as(&people.agent, &path, into(&one)).await.ok(200);
    let told = server.get_as(&people.viewer, &format!("{TICKETS}/{one}/related")).await.ok(200).json();
    assert_eq!(subjects(&told), [""; 0]);
    let told = server.get_as(&people.viewer, &related).await.ok(200).json();
    assert_eq!(subjects(&told), ["One false"]);
    // A whole that is closed takes nothing that is said in its part.
    server.patch_as(&people.agent, &format!("{TICKETS}/{one}"), json!({ "status": "closed" })).await.ok(200);
    reply(&server, &world.site_a, &token, "Hello?").await.refused(409, "ticket_closed");
    server.patch_as(&people.agent, &format!("{TICKETS}/{one}"), json!({ "status": "open" })).await.ok(200);
    reply(&server, &world.site_a, &token, "Hello?").await.ok(201);

    // In SQL, past all that the server asks: another team's tickets are put together and taken apart by nobody else.
    let team = json!({ "name": "B", "members": [people.agent.id], "sites": ["site-b"] });
    server.post_as(&people.admin, "/v1/orgs/acme/teams", team).await.ok(201);
    let gate = world.agent_gate();
    let run = async |person: &Person, sql: &str| {
        let mut tx = world.agent(&gate, person, "acme").await;
        let done = sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql.to_owned())).fetch_one(tx.connection()).await;
        done.map_err(|error| error.as_database_error().and_then(|error| error.code().map(String::from)))
    };
    let put = format!(
        "with put as (insert into vicket.ticket_merges (site_id, ticket_id, into_id) values ('{}', '{one}', '{two}') returning 1)
        select count(*) from put",
        world.site_a.id
    );
    let denied = Err(Some("42501".to_owned()));
    for person in [&people.agent, &people.viewer] {
        assert_eq!(run(person, &put).await, denied);
        let apart = format!("select count(ctx.unmerge('{two}'))");
        assert_eq!(run(person, &apart).await, Ok(0));
    }
    // Of who may, the trigger refuses what makes a circle.
    assert_eq!(run(&people.admin, &put).await, Err(Some("23514".to_owned())));
    let seen = "select count(*) from vicket.ticket_merges";
    assert_eq!([run(&people.agent, seen).await, run(&people.admin, seen).await], [Ok(0), Ok(1)]);
    assert_eq!(run(&people.admin, &format!("select count(ctx.unmerge('{two}'))")).await, Ok(1));
}
