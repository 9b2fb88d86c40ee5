//! Saved replies over HTTP: made, listed, changed, deleted; by whom, and seen by whom.

use serde_json::json;

use super::People;
use crate::harness::World;

const PATH: &str = "/v1/orgs/acme/saved-replies";

#[tokio::test]
async fn a_saved_reply_is_made_listed_changed_and_deleted() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let new = json!({ "name": "On its way", "body": "Hello {customer}" });
    let made = server.post_as(&people.agent, PATH, new.clone()).await.ok(201).json();
    assert_eq!((&made["name"], &made["body"]), (&new["name"], &new["body"]));
    assert!(made["created_at"].is_string() && made["updated_at"].is_string() && made["updated_by"].is_string());
    server.post_as(&people.admin, PATH, new).await.refused(409, "name_taken");
    let first = json!({ "name": "About money", "body": "Dear {customer}" });
    server.post_as(&people.admin, PATH, first).await.ok(201);

    let page = server.get_as(&people.agent, &format!("{PATH}?limit=1")).await.ok(200).json();
    assert_eq!(page["data"][0]["name"], "About money");
    let cursor = page["next_cursor"].as_str().expect("a second page");
    let page = server.get_as(&people.agent, &format!("{PATH}?cursor={cursor}")).await.ok(200).json();
    assert_eq!((&page["data"][0], &page["next_cursor"]), (&made, &json!(null)));

    let one = format!("{PATH}/{}", made["id"].as_str().expect("an id"));
    assert_eq!(server.get_as(&people.agent, &one).await.ok(200).json(), made);
    let changed = server.patch_as(&people.owner, &one, json!({ "body": "Hi" })).await.ok(200).json();
    assert_eq!((&changed["name"], &changed["body"]), (&made["name"], &json!("Hi")));
    assert_ne!(changed["updated_by"], made["updated_by"]);
    server.patch_as(&people.owner, &one, json!({ "name": "About money" })).await.refused(409, "name_taken");
    server.patch_as(&people.owner, &one, json!({ "name": " " })).await.refused(400, "invalid_request");
    server.patch_as(&people.owner, &one, json!({ "title": "x" })).await.refused(400, "invalid_request");
    server.delete_as(&people.agent, &one).await.ok(204);
    for gone in [server.get_as(&people.agent, &one).await, server.delete_as(&people.agent, &one).await] {
        gone.refused(404, "not_found");
    }
}

#[tokio::test]
async fn a_saved_reply_is_its_orgs_and_not_a_viewers() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let new = json!({ "name": "Ours", "body": "Hello" });
    let made = server.post_as(&people.agent, PATH, new.clone()).await.ok(201).json();
    let id = made["id"].as_str().expect("an id");
    for path in [PATH.to_owned(), format!("{PATH}/{id}")] {
        let refused = server.get_as(&people.viewer, &path).await;
        assert!(refused.refused(403, "permission_required").text.contains("`reply:read`"));
        server.get_as(&people.rival, &path).await.refused(404, "not_found");
    }
    server.post_as(&people.viewer, PATH, new.clone()).await.refused(403, "permission_required");
    // The rival's own org has one of that name, too, and neither sees the other's.
    let theirs = "/v1/orgs/globex/saved-replies";
    assert_eq!(server.get_as(&people.rival, theirs).await.ok(200).json()["data"], json!([]));
    server.post_as(&people.rival, theirs, new).await.ok(201);
    server.get_as(&people.rival, &format!("{theirs}/{id}")).await.refused(404, "not_found");
    server.patch_as(&people.rival, &format!("{theirs}/{id}"), json!({ "body": "x" })).await.refused(404, "not_found");
    server.delete_as(&people.rival, &format!("{theirs}/{id}")).await.refused(404, "not_found");
    // A machine key may do what it was given.
    let (_, reader) = server.machine_key(&people.owner, &["reply:read"]).await;
    let (_, other) = server.machine_key(&people.owner, &["ticket:write"]).await;
    server.call_with(&reader, reqwest::Method::GET, PATH).await.ok(200);
    server
        .call_with(&reader, reqwest::Method::DELETE, &format!("{PATH}/{id}"))
        .await
        .refused(403, "permission_required");
    server.call_with(&other, reqwest::Method::GET, PATH).await.refused(403, "permission_required");
}
