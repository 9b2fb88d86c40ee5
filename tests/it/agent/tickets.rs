//! The inbox: tickets, statuses, priorities, teams.

mod thread;

use serde_json::{Value, json};

use super::People;
use crate::harness::{Answer, Running, Site, World, ticket};

const TICKETS: &str = "/v1/orgs/acme/tickets";

/// A ticket that a customer submitted; its id and its token.
pub(super) async fn submit(server: &Running, site: &Site, subject: &str) -> (String, String) {
    let mut body = ticket();
    body["subject"] = subject.into();
    let made = server.post(&site.key, "/support/v1/tickets", &body).await.ok(201).json();
    let text = |field: &str| made[field].as_str().expect("text").to_owned();
    (text("id"), text("token"))
}

/// What the customer of a ticket says.
pub(super) async fn reply(server: &Running, site: &Site, token: &str, body: &str) -> Answer {
    let request = server
        .request(reqwest::Method::POST, "/support/v1/tickets/thread/messages")
        .header("X-Vicket-Key", &site.key)
        .header("X-Vicket-Ticket", token)
        .json(&json!({ "body": body }));
    Answer::of(request).await
}

async fn thread(server: &Running, site: &Site, token: &str) -> Value {
    let headers = [("X-Vicket-Key", site.key.as_str()), ("X-Vicket-Ticket", token)];
    server.call(reqwest::Method::GET, "/support/v1/tickets/thread", &headers).await.ok(200).json()
}

fn subjects(page: &Value) -> Vec<String> {
    let rows = page["data"].as_array().expect("a list").iter();
    rows.map(|row| row["subject"].as_str().expect("a subject").to_owned()).collect()
}

#[tokio::test]
async fn a_ticket_is_answered_noted_assigned_and_moved_and_its_timeline_says_so() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let (id, token) = submit(&server, &world.site_a, "Help").await;
    let path = format!("{TICKETS}/{id}");
    let fresh = server.get_as(&people.viewer, &path).await.ok(200).json();
    assert_eq!((&fresh["status"]["name"], &fresh["priority"]["name"]), (&json!("Open"), &json!("Normal")));
    assert_eq!((&fresh["site"], &fresh["customer"]["email"]), (&json!("site-a"), &json!("ada@example.com")));
    assert_eq!((&fresh["assignee"], &fresh["score"]), (&Value::Null, &Value::Null));

    let messages = format!("{path}/messages");
    let answer = json!({ "body": "It is on its way." });
    server.post_as(&people.viewer, &messages, answer.clone()).await.refused(403, "permission_required");
    let answered = server.post_as(&people.agent, &messages, answer).await.ok(201).json();
    assert_eq!((&answered["author"], &answered["author_id"]), (&json!("agent"), &json!(people.agent.id)));
    let note = json!({ "body": "The customer is important.", "internal": true });
    server.post_as(&people.agent, &messages, note).await.ok(201);
    let seen = thread(&server, &world.site_a, &token).await;
    assert_eq!(seen["messages"].as_array().map(Vec::len), Some(2), "a note is not for customers: {seen}");

    let change = json!({ "status": "pending", "priority": "urgent", "assignee": people.agent.id });
    let changed = server.patch_as(&people.agent, &path, change).await.ok(200).json();
    assert_eq!((&changed["status"]["category"], &changed["priority"]["name"]), (&json!("pending"), &json!("Urgent")));
    assert_eq!(changed["assignee"]["email"], people.agent.email);
    assert_eq!(thread(&server, &world.site_a, &token).await["status"], "pending");
    let taken = server.patch_as(&people.agent, &path, json!({ "assignee": null })).await.ok(200).json();
    assert_eq!((&taken["assignee"], &taken["priority"]["name"]), (&Value::Null, &json!("Urgent")));
    let told: Vec<_> = taken["events"].as_array().expect("events").iter().map(|event| event["kind"].clone()).collect();
    assert_eq!(told, ["status", "assignee", "priority", "assignee"], "the answer set pending and assigned");
    let first = &taken["events"][0];
    assert_eq!((&first["actor"], &first["before"]), (&json!(people.agent.email), &json!("Open")));
    assert_eq!(taken["messages"].as_array().map(Vec::len), Some(3));

    for (field, value) in [("status", json!("lost")), ("priority", json!("lost")), ("assignee", json!(people.rival.id))]
    {
        let refused = server.patch_as(&people.agent, &path, json!({ field: value })).await;
        assert_eq!(refused.refused(422, "unprocessable").json()["errors"][0]["field"], field);
    }
    server.delete_as(&people.agent, &path).await.refused(403, "permission_required");
    server.delete_as(&people.admin, &path).await.ok(204);
    server.get_as(&people.admin, &path).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_closed_ticket_takes_notes_only_and_a_reply_reopens_a_resolved_one() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let (id, token) = submit(&server, &world.site_a, "Help").await;
    let path = format!("{TICKETS}/{id}");
    let messages = format!("{path}/messages");
    server.patch_as(&people.agent, &path, json!({ "status": "closed" })).await.ok(200);
    server.post_as(&people.agent, &messages, json!({ "body": "x" })).await.refused(409, "ticket_closed");
    server.post_as(&people.agent, &messages, json!({ "body": "x", "internal": true })).await.ok(201);
    server.patch_as(&people.agent, &path, json!({ "status": "resolved" })).await.ok(200);
    reply(&server, &world.site_a, &token, "It came back.").await.ok(201);
    let reopened = server.get_as(&people.agent, &path).await.ok(200).json();
    assert_eq!(reopened["status"]["name"], "Open");
    let last = reopened["events"].as_array().and_then(|events| events.last()).expect("an event").clone();
    assert_eq!((&last["actor"], &last["after"]), (&json!("customer"), &json!("Open")));
}

#[tokio::test]
async fn the_inbox_is_filtered_searched_and_its_pages_stay_while_tickets_arrive() {
    let world = World::new().await;
    let server = world.serve_with(crate::harness::Options { limits: false, ..Default::default() }).await;
    let people = People::of(&world).await;
    let mut ids = Vec::new();
    for n in 0..6 {
        let site = if n % 2 == 0 { &world.site_a } else { &world.site_b };
        ids.push(submit(&server, site, &format!("Parrot {n}")).await.0);
    }
    submit(&server, &world.site_c, "A rival's parrot").await;
    server.patch_as(&people.agent, &format!("{TICKETS}/{}", ids[0]), json!({ "status": "resolved" })).await.ok(200);
    let assigned = json!({ "assignee": people.agent.id, "priority": "High" });
    server.patch_as(&people.agent, &format!("{TICKETS}/{}", ids[1]), assigned).await.ok(200);
    let note = json!({ "body": "pining for the fjords", "internal": true });
    server.post_as(&people.agent, &format!("{TICKETS}/{}/messages", ids[2]), note).await.ok(201);
    let list =
        async |query: &str| subjects(&server.get_as(&people.agent, &format!("{TICKETS}?{query}")).await.ok(200).json());
    assert_eq!(list("").await.len(), 6);
    assert_eq!(list("site=site-a").await, ["Parrot 2", "Parrot 4", "Parrot 0"], "a note is news");
    assert_eq!(list("status=resolved").await, ["Parrot 0"]);
    assert_eq!(list("status=Resolved&site=site-b").await, [""; 0]);
    assert_eq!(list("assignee=me").await, ["Parrot 1"]);
    assert_eq!(list(&format!("assignee={}", people.agent.id)).await, ["Parrot 1"]);
    assert_eq!(list("assignee=none").await.len(), 5);
    assert_eq!(list("priority=high").await, ["Parrot 1"]);
    assert_eq!(list("q=fjords").await, ["Parrot 2"]);
    assert_eq!(list("q=parrot+3").await, ["Parrot 3"]);
    assert_eq!(list("q=ada@example.com").await.len(), 6);
    assert_eq!(list("q=%232").await, ["Parrot 2", "Parrot 3"], "the second of each site");
    server.get_as(&people.agent, &format!("{TICKETS}?assignee=you")).await.refused(400, "invalid_request");
    server.get_as(&people.agent, &format!("{TICKETS}?site=site-c")).await.refused(422, "unprocessable");

    let first = server.get_as(&people.agent, &format!("{TICKETS}?limit=3")).await.ok(200).json();
    submit(&server, &world.site_a, "Late").await;
    let cursor = first["next_cursor"].as_str().expect("more");
    let second = server.get_as(&people.agent, &format!("{TICKETS}?limit=3&cursor={cursor}")).await.ok(200).json();
    assert_eq!([subjects(&first), subjects(&second)].concat(), [2, 5, 4, 3, 1, 0].map(|n| format!("Parrot {n}")));
    assert_eq!(second["next_cursor"], Value::Null);
}

#[tokio::test]
async fn statuses_and_priorities_are_an_orgs_own_and_deleting_one_moves_its_tickets_to_the_default() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let (id, token) = submit(&server, &world.site_a, "Help").await;
    let path = format!("{TICKETS}/{id}");
    for (of, body, named) in [
        ("statuses", json!({ "name": "With engineering", "category": "custom" }), "status"),
        ("priorities", json!({ "name": "On fire" }), "priority"),
    ] {
        let of = format!("/v1/orgs/acme/{of}");
        let all = server.get_as(&people.viewer, &of).await.ok(200).json();
        assert_eq!(all["data"].as_array().map(Vec::len), Some(4), "what a new org begins with: {all}");
        let default =
            all["data"].as_array().expect("a list").iter().find(|row| row["default"] == true).expect("one").clone();
        server.post_as(&people.agent, &of, body.clone()).await.refused(403, "permission_required");
        let made = server.post_as(&people.admin, &of, body.clone()).await.ok(201).json();
        server.post_as(&people.admin, &of, body.clone()).await.refused(409, "name_taken");
        let one = format!("{of}/{}", made["id"].as_str().expect("an id"));
        let moved = server.patch_as(&people.agent, &path, json!({ named: made["name"] })).await.ok(200).json();
        assert_eq!(moved[named]["name"], made["name"]);
        assert_eq!(thread(&server, &world.site_a, &token).await["status"], "open", "customers are not told names");
        server.patch_as(&people.admin, &one, json!({ "name": "Renamed" })).await.ok(200);
        server
            .delete_as(&people.admin, &format!("{of}/{}", default["id"].as_str().expect("an id")))
            .await
            .refused(422, "unprocessable");
        server.delete_as(&people.admin, &one).await.ok(204);
        let back = server.get_as(&people.agent, &path).await.ok(200).json();
        assert_eq!(back[named]["id"], default["id"]);
        server.delete_as(&people.admin, &one).await.refused(404, "not_found");
    }
    // Another default: new tickets get it; it must be of the category open.
    let statuses = "/v1/orgs/acme/statuses";
    let made =
        server.post_as(&people.admin, statuses, json!({ "name": "New", "category": "open" })).await.ok(201).json();
    let one = format!("{statuses}/{}", made["id"].as_str().expect("an id"));
    assert_eq!(server.patch_as(&people.admin, &one, json!({ "default": true })).await.ok(200).json()["default"], true);
    let (id, _) = submit(&server, &world.site_a, "Help").await;
    let fresh = server.get_as(&people.agent, &format!("{TICKETS}/{id}")).await.ok(200).json();
    assert_eq!(fresh["status"]["name"], "New");
    server.patch_as(&people.admin, &one, json!({ "category": "closed" })).await.refused(422, "unprocessable");
}

#[tokio::test]
async fn a_member_of_teams_sees_the_tickets_of_their_teams_sites_over_http_and_in_sql() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let (of_a, _) = submit(&server, &world.site_a, "On a").await;
    let (of_b, _) = submit(&server, &world.site_b, "On b").await;
    let sees = async |person| subjects(&server.get_as(person, TICKETS).await.ok(200).json());
    assert_eq!(sees(&people.agent).await, ["On b", "On a"], "who is in no team sees all");

    let teams = "/v1/orgs/acme/teams";
    let team = json!({ "name": "App", "members": [people.agent.id, people.admin.id], "sites": ["site-a"] });
    server.post_as(&people.agent, teams, team.clone()).await.refused(403, "permission_required");
    let made = server.post_as(&people.admin, teams, team).await.ok(201).json();
    assert_eq!(made["sites"], json!(["site-a"]));
    let one = format!("{teams}/{}", made["id"].as_str().expect("an id"));
    assert_eq!(sees(&people.agent).await, ["On a"]);
    for person in [&people.admin, &people.owner, &people.viewer] {
        assert_eq!(sees(person).await.len(), 2, "owners, admins and who is in no team see all");
    }
    let foreign = format!("{TICKETS}/{of_b}");
    server.get_as(&people.agent, &foreign).await.refused(404, "not_found");
    server.patch_as(&people.agent, &foreign, json!({ "status": "closed" })).await.refused(404, "not_found");
    server
        .post_as(&people.agent, &format!("{foreign}/messages"), json!({ "body": "x" }))
        .await
        .refused(404, "not_found");
    server.patch_as(&people.agent, &format!("{TICKETS}/{of_a}"), json!({ "status": "closed" })).await.ok(200);

    let gate = world.agent_gate();
    let mut tx = world.agent(&gate, &people.agent, "acme").await;
    for table in ["tickets", "ticket_messages"] {
        let sites: Vec<uuid::Uuid> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select distinct site_id from vicket.{table}")))
                .fetch_all(tx.connection())
                .await
                .expect("granted");
        assert_eq!(sites, [world.site_a.id], "{table}");
    }
    let all = sqlx::query("update vicket.tickets set assignee_id = ctx.actor_user_id()").execute(tx.connection()).await;
    assert_eq!(all.expect("granted").rows_affected(), 1, "a bulk statement stays within the team's sites");
    tx.finish::<()>(Err(vicket::domain::problem::Problem::not_found())).await.expect_err("rolled back");

    for (field, value) in [("members", json!([people.rival.id])), ("sites", json!(["site-c"]))] {
        let refused = server.patch_as(&people.admin, &one, json!({ field: value })).await;
        assert_eq!(refused.refused(422, "unprocessable").json()["errors"][0]["field"], field);
    }
    server.patch_as(&people.admin, &one, json!({ "sites": ["site-b"] })).await.ok(200);
    assert_eq!(sees(&people.agent).await, ["On b"]);
    server.delete_as(&people.admin, &one).await.ok(204);
    assert_eq!(sees(&people.agent).await.len(), 2);
}

#[tokio::test]
async fn whoever_leaves_is_taken_off_their_tickets() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let (id, _) = submit(&server, &world.site_a, "Help").await;
    let path = format!("{TICKETS}/{id}");
    server.patch_as(&people.agent, &path, json!({ "assignee": people.agent.id })).await.ok(200);
    server.delete_as(&people.admin, &format!("/v1/orgs/acme/members/{}", people.agent.id)).await.ok(204);
    assert_eq!(server.get_as(&people.admin, &path).await.ok(200).json()["assignee"], Value::Null);
}
