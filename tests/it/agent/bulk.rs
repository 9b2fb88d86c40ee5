//! Many tickets changed at once, and taken back; by whom.

use reqwest::Method;
use serde_json::{Value, json};

use super::{People, tickets::submit};
use crate::harness::{Answer, Options, World};

const BULK: &str = "/v1/orgs/acme/tickets/bulk";
const UNDO: &str = "/v1/orgs/acme/tickets/bulk/undo";

/// What stands in the database of all tickets, by subject.
const STATE: &str = "select string_agg(concat_ws(' ', t.subject, t.status, p.name, u.email, t.snoozed_until is not null, (
      select string_agg(g.name, '+' order by g.name)
      from vicket.ticket_tags x join vicket.tags g on g.id = x.tag_id where x.ticket_id = t.id
    )), ', ' order by t.subject)
  from vicket.tickets t join vicket.priorities p on p.id = t.priority_id left join vicket.users u on u.id = t.assignee_id";

#[tokio::test]
async fn a_selection_is_changed_at_once_and_taken_back_but_for_what_somebody_changed_since() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Default::default() }).await;
    let people = People::of(&world).await;
    for name in ["bug", "vip"] {
        server.post_as(&people.admin, "/v1/orgs/acme/tags", json!({ "name": name })).await.ok(201);
    }
    let mut ids = Vec::new();
    for (site, subject) in [(&world.site_a, "A"), (&world.site_a, "B"), (&world.site_b, "C")] {
        ids.push(submit(&server, site, subject).await.0);
    }
    let ticket = |n: usize| format!("/v1/orgs/acme/tickets/{}", ids[n]);
    server.patch_as(&people.admin, &ticket(0), json!({ "add_tags": ["bug"], "priority": "Low" })).await.ok(200);
    let first: String = world.look(STATE).await;
    assert_eq!(first, "A open Low f bug, B open Normal f, C open Normal f");

    let unknown = uuid::Uuid::new_v4().to_string();
    let all: Vec<&String> = ids.iter().chain([&ids[0], &unknown]).collect();
    let until = time::OffsetDateTime::now_utc() + time::Duration::days(1);
    let until = until.format(&time::format_description::well_known::Rfc3339).expect("a time");
    let change = json!({
        "tickets": all, "priority": "urgent", "assignee": people.agent.id, "add_tags": ["VIP", "bug"], "snoozed_until": until
    });
    let done = server.post_as(&people.agent, BULK, change).await.ok(200).json();
    let agent = &people.agent.email;
    let changed =
        format!("A open Urgent {agent} t bug+vip, B open Urgent {agent} t bug+vip, C open Urgent {agent} t bug+vip");
    assert_eq!(world.look::<String>(STATE).await, changed);
    assert_eq!((done["changed"].as_array().map(Vec::len), &done["not_found"]), (Some(3), &json!([unknown])));
    let of = |id: &str| done["changed"].as_array().and_then(|all| all.iter().find(|one| one["id"] == id)).expect("one");
    assert_eq!((of(&ids[0])["added_tags"].as_array().map(Vec::len), &of(&ids[0])["assignee"]), (Some(1), &Value::Null));
    // Each has it in its timeline.
    let events = "select count(*) from vicket.ticket_events where kind = 'tag' and actor like 'agent%'";
    assert_eq!(world.look::<i64>(events).await, 5);

    // Something else happened to one: it stays. What is gone meanwhile does not come back.
    server.patch_as(&people.admin, &ticket(1), json!({ "status": "pending" })).await.ok(200);
    let undone = server.post_as(&people.agent, UNDO, json!({ "tickets": done["changed"] })).await.ok(200).json();
    assert_eq!(undone["restored"].as_array().map(Vec::len), Some(2));
    assert_eq!((&undone["changed_since"], &undone["not_found"]), (&json!([ids[1]]), &json!([])));
    let last = format!("A open Low f bug, B pending Urgent {agent} t bug+vip, C open Normal f");
    assert_eq!(world.look::<String>(STATE).await, last);
    // A second time there is nothing that is as it was then.
    let again = server.post_as(&people.agent, UNDO, json!({ "tickets": done["changed"] })).await.ok(200).json();
    assert_eq!((&again["restored"], again["changed_since"].as_array().map(Vec::len)), (&json!([]), Some(3)));

    // All or none: of those that are seen.
    let off = json!({ "tickets": ids, "remove_tags": ["bug"], "status": "resolved" });
    let done = server.post_as(&people.agent, BULK, off).await.ok(200).json();
    let bug: String = world.look("select id::text from vicket.tags where name = 'bug'").await;
    server.delete_as(&people.admin, &format!("/v1/orgs/acme/tags/{bug}")).await.ok(204);
    let undone = server.post_as(&people.agent, UNDO, json!({ "tickets": done["changed"] })).await.ok(200).json();
    assert_eq!(undone["restored"].as_array().map(Vec::len), Some(3));
    let last = format!("A open Low f, B pending Urgent {agent} t vip, C open Normal f");
    assert_eq!(world.look::<String>(STATE).await, last);
    let many: Vec<String> = (0..101).map(|_| unknown.clone()).collect();
    for (body, status, code) in [
        (json!({ "tickets": [], "status": "open" }), 400, "invalid_request"),
        (json!({ "tickets": many, "status": "open" }), 400, "invalid_request"),
        (json!({ "tickets": ids, "colour": "red" }), 400, "invalid_request"),
        (json!({ "tickets": ids, "status": "nowhere" }), 422, "unprocessable"),
        (json!({ "tickets": ids, "status": "closed", "assignee": people.viewer.id }), 422, "unprocessable"),
        (json!({ "tickets": ids, "status": "closed", "snoozed_until": "2001-01-01T00:00:00Z" }), 422, "unprocessable"),
    ] {
        server.post_as(&people.agent, BULK, body).await.refused(status, code);
    }
    assert_eq!(world.look::<String>(STATE).await, last);
}

#[tokio::test]
async fn a_selection_reaches_what_its_maker_may_change_and_nothing_else() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Default::default() }).await;
    let people = People::of(&world).await;
    let (one, _) = submit(&server, &world.site_a, "A").await;
    let (elsewhere, _) = submit(&server, &world.site_b, "B").await;
    let (theirs, _) = submit(&server, &world.site_c, "C").await;
    let team = json!({ "name": "A", "members": [people.agent.id], "sites": ["site-a"] });
    server.post_as(&people.admin, "/v1/orgs/acme/teams", team).await.ok(201);
    let change = json!({ "tickets": [one, elsewhere, theirs], "status": "pending" });
    let done = server.post_as(&people.agent, BULK, change.clone()).await.ok(200).json();
    let mut missing = [json!(elsewhere), json!(theirs)];
    missing.sort_by_key(ToString::to_string);
    assert_eq!(done["not_found"], json!(missing));
    let pending = "select string_agg(subject, ',') from vicket.tickets where status = 'pending'";
    assert_eq!(world.look::<String>(pending).await, "A");
    let mut forged = done["changed"][0].clone();
    forged["id"] = json!(elsewhere);
    let undo = json!({ "tickets": [done["changed"][0], forged] });
    for path in [BULK, UNDO] {
        let body = if path == BULK { &change } else { &undo };
        server.post_as(&people.viewer, path, body.clone()).await.refused(403, "permission_required");
        server.post_as(&people.rival, path, body.clone()).await.refused(404, "not_found");
    }
    // A machine key changes no hands without the permission for it, neither there nor back.
    let (_, writer) = server.machine_key(&people.admin, &["ticket:write", "ticket:read"]).await;
    let (_, reader) = server.machine_key(&people.admin, &["ticket:read"]).await;
    let with = async |key: &str, path: &str, body: Value| {
        Answer::of(server.request(Method::POST, path).bearer_auth(key).json(&body)).await
    };
    with(&reader, BULK, change.clone()).await.refused(403, "permission_required");
    let given = json!({ "tickets": [one], "assignee": people.agent.id });
    let refused = with(&writer, BULK, given.clone()).await;
    assert!(refused.refused(403, "permission_required").text.contains("`ticket:assign`"));
    let done = server.post_as(&people.agent, BULK, given).await.ok(200).json();
    let refused = with(&writer, UNDO, json!({ "tickets": done["changed"] })).await;
    assert!(refused.refused(403, "permission_required").text.contains("`ticket:assign`"));
    with(&writer, BULK, json!({ "tickets": [one], "status": "open" })).await.ok(200);
    let undone = server.post_as(&people.agent, UNDO, undo).await.ok(200).json();
    assert_eq!((&undone["changed_since"], &undone["not_found"]), (&json!([one]), &json!([elsewhere])));
}
