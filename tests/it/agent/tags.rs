//! Tags over HTTP and in SQL: made, put on tickets, looked for; by whom, and seen by whom.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::{People, tickets::submit};
use crate::harness::{Options, Person, Running, World};

const TAGS: &str = "/v1/orgs/acme/tags";
const TICKETS: &str = "/v1/orgs/acme/tickets";

/// The names of what is on a ticket, or in a list.
fn names(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().map(|one| one["name"].as_str().expect("a name")).collect()
}

/// The subjects of the tickets of a query.
async fn found(server: &Running, person: &Person, query: &str) -> Vec<String> {
    let page = server.get_as(person, &format!("{TICKETS}?{query}")).await.ok(200).json();
    let rows = page["data"].as_array().expect("a list").iter();
    rows.map(|row| row["subject"].as_str().expect("a subject").to_owned()).collect()
}

#[tokio::test]
async fn a_tag_is_made_listed_changed_and_deleted_by_who_may() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let made = server.post_as(&people.admin, TAGS, json!({ "name": "Billing", "colour": "teal" })).await.ok(201).json();
    assert_eq!((&made["name"], &made["colour"]), (&json!("Billing"), &json!("teal")));
    server.post_as(&people.owner, TAGS, json!({ "name": "bILLING" })).await.refused(409, "name_taken");
    let grey = server.post_as(&people.owner, TAGS, json!({ "name": "app" })).await.ok(201).json();
    assert_eq!(grey["colour"], "grey");
    for body in [json!({ "name": " " }), json!({ "name": "x".repeat(61) }), json!({ "name": "x", "colour": "pink" })] {
        server.post_as(&people.owner, TAGS, body).await.refused(400, "invalid_request");
    }
    let page = server.get_as(&people.viewer, &format!("{TAGS}?limit=1")).await.ok(200).json();
    assert_eq!(names(&page["data"]), ["app"]);
    let cursor = page["next_cursor"].as_str().expect("a second page");
    let page = server.get_as(&people.viewer, &format!("{TAGS}?cursor={cursor}")).await.ok(200).json();
    assert_eq!((&page["data"], &page["next_cursor"]), (&json!([made]), &Value::Null));

    let one = format!("{TAGS}/{}", made["id"].as_str().expect("an id"));
    assert_eq!(server.get_as(&people.agent, &one).await.ok(200).json(), made);
    server.patch_as(&people.admin, &one, json!({ "name": "APP" })).await.refused(409, "name_taken");
    let changed = server.patch_as(&people.admin, &one, json!({ "name": "billing" })).await.ok(200).json();
    assert_eq!((&changed["name"], &changed["colour"]), (&json!("billing"), &json!("teal")));

    // Who only works with them changes none; another org sees none, and has its own of that name.
    for person in [&people.agent, &people.viewer] {
        let refused = server.post_as(person, TAGS, json!({ "name": "x" })).await;
        assert!(refused.refused(403, "permission_required").text.contains("`tag:edit`"));
        server.patch_as(person, &one, json!({ "name": "x" })).await.refused(403, "permission_required");
        server.delete_as(person, &one).await.refused(403, "permission_required");
    }
    let theirs = one.replace("acme", "globex");
    for path in [&one, &theirs] {
        server.get_as(&people.rival, path).await.refused(404, "not_found");
        server.patch_as(&people.rival, path, json!({ "name": "x" })).await.refused(404, "not_found");
        server.delete_as(&people.rival, path).await.refused(404, "not_found");
    }
    server.post_as(&people.rival, "/v1/orgs/globex/tags", json!({ "name": "billing" })).await.ok(201);
    // A machine key may do what it was given.
    let (_, editor) = server.machine_key(&people.owner, &["tag:edit"]).await;
    let (_, reader) = server.machine_key(&people.owner, &["ticket:read"]).await;
    server.call_with(&reader, Method::GET, &one).await.ok(200);
    server.call_with(&reader, Method::DELETE, &one).await.refused(403, "permission_required");
    server.call_with(&editor, Method::DELETE, &one).await.ok(204);
    server.delete_as(&people.owner, &one).await.refused(404, "not_found");
    let log = server.get_as(&people.admin, "/v1/orgs/acme/audit-log?limit=100").await.ok(200).json();
    let of_tags = log["data"].as_array().expect("entries").iter().filter(|entry| entry["object"]["kind"] == "tag");
    assert_eq!(of_tags.count(), 4, "two made, one changed, one deleted");
}

#[tokio::test]
async fn tags_are_put_on_tickets_taken_off_and_looked_for_within_ones_teams() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Default::default() }).await;
    let people = People::of(&world).await;
    let mut tags = Vec::new();
    for name in ["billing", "bug", "vip"] {
        tags.push(server.post_as(&people.admin, TAGS, json!({ "name": name })).await.ok(201).json()["id"].clone());
    }
    let (id, _) = submit(&server, &world.site_a, "One").await;
    let (other, _) = submit(&server, &world.site_a, "Two").await;
    let (elsewhere, _) = submit(&server, &world.site_b, "Elsewhere").await;
    let change = async |person: &Person, id: &str, change: Value| {
        server.patch_as(person, &format!("{TICKETS}/{id}"), change).await
    };
    let before: String = world.look("select max(updated_at)::text from vicket.tickets").await;
    let both = change(&people.agent, &id, json!({ "add_tags": ["VIP", tags[0], "vip"] })).await.ok(200).json();
    assert_eq!(names(&both["tags"]), ["billing", "vip"]);
    assert_ne!(world.look::<String>("select max(updated_at)::text from vicket.tickets").await, before, "it is news");
    let swapped =
        change(&people.agent, &id, json!({ "add_tags": ["bug", "vip"], "remove_tags": [tags[0], "bug"] })).await;
    assert_eq!(names(&swapped.ok(200).json()["tags"]), ["bug", "vip"], "taken off first");
    let whole = server.get_as(&people.viewer, &format!("{TICKETS}/{id}")).await.ok(200).json();
    let events: Vec<(&Value, &Value)> = whole["events"]
        .as_array()
        .expect("events")
        .iter()
        .filter(|event| event["kind"] == "tag" && event["actor"] == json!(people.agent.email))
        .map(|event| (&event["before"], &event["after"]))
        .collect();
    let on = |name: &str| (Value::Null, json!(name));
    let expected = [on("billing"), on("vip"), (json!("billing"), Value::Null), on("bug")];
    assert_eq!(events, expected.iter().map(|(before, after)| (before, after)).collect::<Vec<_>>());

    change(&people.admin, &other, json!({ "add_tags": ["bug"] })).await.ok(200);
    change(&people.admin, &elsewhere, json!({ "add_tags": ["bug", "vip"] })).await.ok(200);
    let unknown = change(&people.admin, &id, json!({ "add_tags": ["nonsense"] })).await;
    assert_eq!(unknown.refused(422, "unprocessable").fields(), ["add_tags"]);
    // All of those that are asked for.
    let vip = tags[2].as_str().expect("an id");
    for (query, subjects) in [
        ("tag=BUG".to_owned(), &["Elsewhere", "Two", "One"][..]),
        (format!("tag=bug&tag={vip}"), &["Elsewhere", "One"]),
        ("tag=bug&tag=vip&site=site-a".to_owned(), &["One"]),
        ("tag=bug&q=two".to_owned(), &["Two"]),
        ("tag=bug&q=%231".to_owned(), &["Elsewhere", "One"]),
        ("tag=bug&tag=billing".to_owned(), &[]),
        ("tag=nonsense".to_owned(), &[]),
    ] {
        assert_eq!(found(&server, &people.viewer, &query).await, subjects, "{query}");
    }
    // What is on thousands of tickets is looked for among the newest.
    world
        .arrange(&format!(
            "with made as (
               insert into vicket.tickets (org_id, site_id, number, email, subject)
               select '{org}', '{site}', 1000 + n, 'ada@example.com', 'Many' from generate_series(1, 2100) n returning id
             )
             insert into vicket.ticket_tags (org_id, site_id, ticket_id, tag_id)
             select '{org}', '{site}', made.id, tag.id from made, vicket.tags tag where tag.name in ('bug', 'vip')",
            org = world.site_b.org_id,
            site = world.site_b.id
        ))
        .await;
    let many = found(&server, &people.viewer, "tag=bug&tag=vip").await;
    assert_eq!((many.len(), many[0].as_str()), (20, "Many"));
    let view = json!({ "name": "Bugs", "filter": { "tags": ["bug"], "site": "site-a" } });
    server.post_as(&people.agent, "/v1/orgs/acme/views", view).await.ok(201);
    let gone = json!({ "name": "Gone", "filter": { "tags": ["bug", "nonsense"] } });
    server.post_as(&people.agent, "/v1/orgs/acme/views", gone).await.ok(201);
    let views = server.get_as(&people.agent, "/v1/orgs/acme/views").await.ok(200).json();
    let counts: Vec<&Value> = views["data"].as_array().expect("views").iter().map(|view| &view["count"]).collect();
    assert_eq!((counts, &views["data"][0]["filter"]["tags"]), (vec![&json!(0), &json!(0)], &json!(["bug"])));
    // Counted among the 2,000 of which something was said last; with fewer, all are.
    world.arrange("delete from vicket.tickets where subject = 'Many'").await;
    let views = server.get_as(&people.agent, "/v1/orgs/acme/views").await.ok(200).json();
    let counts: Vec<&Value> = views["data"].as_array().expect("views").iter().map(|view| &view["count"]).collect();
    assert_eq!(counts, [&json!(2), &json!(0)]);

    // Who only reads puts none on, nor another org, nor who is in another team; whose key lacks the permission neither.
    change(&people.viewer, &id, json!({ "add_tags": ["vip"] })).await.refused(403, "permission_required");
    change(&people.rival, &id, json!({ "add_tags": ["vip"] })).await.refused(404, "not_found");
    let team = json!({ "name": "A", "members": [people.agent.id], "sites": ["site-a"] });
    server.post_as(&people.admin, "/v1/orgs/acme/teams", team).await.ok(201);
    change(&people.agent, &elsewhere, json!({ "add_tags": ["billing"] })).await.refused(404, "not_found");
    assert_eq!(found(&server, &people.agent, "tag=bug").await, ["Two", "One"]);
    let gate = world.agent_gate();
    let run = async |person: &Person, sql: String| {
        let mut tx = world.agent(&gate, person, "acme").await;
        let done = sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql)).fetch_one(tx.connection()).await;
        done.map_err(|error| error.as_database_error().and_then(|error| error.code().map(String::from)))
    };
    let put = |site: &crate::harness::Site, ticket: &str| {
        format!(
            "with put as (insert into vicket.ticket_tags (site_id, ticket_id, tag_id) values ('{}', '{ticket}', {}) returning 1)
            select count(*) from put",
            site.id,
            tags[0].to_string().replace('"', "'")
        )
    };
    let denied = Err(Some("42501".to_owned()));
    assert_eq!(run(&people.agent, put(&world.site_b, &elsewhere)).await, denied);
    assert_eq!(run(&people.viewer, put(&world.site_a, &id)).await, denied);
    assert_eq!(run(&people.agent, put(&world.site_a, &id)).await, Ok(1));
    let off = |ticket: &str| format!("select ctx.untag(array['{ticket}']::uuid[], array(select id from vicket.tags))");
    assert_eq!(run(&people.agent, off(&elsewhere)).await, Ok(0));
    assert_eq!(run(&people.viewer, off(&id)).await, Ok(0));
    assert_eq!(run(&people.agent, off(&id)).await, Ok(2));
    let seen = "select count(*) from vicket.ticket_tags".to_owned();
    assert_eq!(run(&people.agent, seen.clone()).await, Ok(3));
    assert_eq!(run(&people.admin, seen).await, Ok(5));

    // A tag that is deleted comes off, and nobody took it off; the one that is gone with its ticket neither.
    server.delete_as(&people.admin, &format!("{TAGS}/{vip}")).await.ok(204);
    let whole = server.get_as(&people.viewer, &format!("{TICKETS}/{id}")).await.ok(200).json();
    assert_eq!(names(&whole["tags"]), ["bug"]);
    assert_eq!(whole["events"].as_array().map(Vec::len), Some(4));
    server.delete_as(&people.admin, &format!("{TICKETS}/{id}")).await.ok(204);
    // A ticket has thirty at the most.
    for n in 0..29 {
        server.post_as(&people.admin, TAGS, json!({ "name": format!("tag {n}") })).await.ok(201);
    }
    let thirty: Vec<String> = (0..29).map(|n| format!("tag {n}")).collect();
    let full = change(&people.admin, &elsewhere, json!({ "add_tags": thirty })).await.ok(200).json();
    assert_eq!(names(&full["tags"]).len(), 30);
    let more = change(&people.admin, &elsewhere, json!({ "add_tags": ["billing"] })).await;
    assert_eq!(more.refused(422, "unprocessable").fields(), ["add_tags"]);
}
