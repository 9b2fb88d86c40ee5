//! Machine keys: what they may do, and when they stop.

use reqwest::Method;
use serde_json::json;

use super::People;
use crate::harness::{Answer, World};

const KEYS: &str = "/v1/orgs/acme/machine-keys";

#[tokio::test]
async fn a_machine_key_is_shown_once_and_does_what_it_was_given_in_its_org() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let (id, key) = server.machine_key(&people.admin, &["org:edit", "site:edit"]).await;
    assert!(vicket::domain::keys::MachineKey::is_well_formed(&key));
    let me = server.call_with(&key, Method::GET, "/v1/auth/me").await.ok(200).json();
    assert_eq!((&me["kind"], &me["id"], &me["email"]), (&json!("machine_key"), &json!(id), &json!(null)));
    assert_eq!(me["orgs"][0]["permissions"], json!(["org:edit", "site:edit"]));
    let patch = |path: &str| server.request(Method::PATCH, path).bearer_auth(&key).json(&json!({ "name": "Renamed" }));
    Answer::of(patch("/v1/orgs/acme")).await.ok(200);
    Answer::of(patch("/v1/orgs/globex")).await.refused(404, "not_found");
    server.call_with(&key, Method::DELETE, "/v1/orgs/acme/sites/site-a").await.refused(403, "permission_required");
    server.app.usage.flush(&server.app.worker).await.expect("written");
    let listed = server.get_as(&people.owner, KEYS).await;
    let row = &listed.ok(200).json()["data"][0];
    assert_eq!((&row["name"], &row["created_by"]), (&json!("robot"), &json!(people.admin.email)));
    assert_eq!(row["hint"].as_str(), Some(&key[key.len() - 4..]));
    assert!(row["last_used_at"].is_string());
    assert!(!listed.text.contains(&key));
    server.get_as(&people.agent, KEYS).await.refused(403, "permission_required");
}

#[tokio::test]
async fn a_machine_key_gets_no_permission_that_its_creator_lacks() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let create = async |permissions: serde_json::Value| {
        server.post_as(&people.admin, KEYS, json!({ "name": "robot", "permissions": permissions })).await
    };
    let refused = create(json!(["site:edit", "site:delete"])).await.refused(403, "permission_required").json();
    assert!(refused["detail"].as_str().is_some_and(|text| text.contains("`site:delete`")), "{refused}");
    create(json!(["site:fly"])).await.refused(422, "unprocessable");
    create(json!([])).await.refused(400, "invalid_request");
    create(json!(["site:edit"])).await.ok(201);
    let past = json!({ "name": "robot", "permissions": ["site:edit"], "expires_at": "2020-01-01T00:00:00Z" });
    server.post_as(&people.admin, KEYS, past).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn a_machine_key_never_has_more_than_its_creator_has_now() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let (_, key) = server.machine_key(&people.admin, &["org:edit", "ticket:read"]).await;
    let role = async |role: &str| {
        let path = format!("/v1/orgs/acme/members/{}", people.admin.id);
        server.patch_as(&people.owner, &path, json!({ "role": role })).await.ok(200);
        server.call_with(&key, Method::GET, "/v1/auth/me").await.ok(200).json()["orgs"][0]["permissions"].clone()
    };
    assert_eq!(role("viewer").await, json!(["ticket:read"]));
    let rename = server.request(Method::PATCH, "/v1/orgs/acme").bearer_auth(&key).json(&json!({ "name": "x" }));
    Answer::of(rename).await.refused(403, "permission_required");
    assert_eq!(role("owner").await, json!(["org:edit", "ticket:read"]));
    // Who comes back does not find their old keys alive.
    server.delete_as(&people.owner, &format!("/v1/orgs/acme/members/{}", people.admin.id)).await.ok(204);
    server.call_with(&key, Method::GET, "/v1/auth/me").await.refused(401, "machine_key_invalid");
    world.join(people.admin.id, "acme", "owner").await;
    server.call_with(&key, Method::GET, "/v1/auth/me").await.refused(401, "machine_key_invalid");
}

#[tokio::test]
async fn a_machine_key_that_was_revoked_or_has_expired_is_refused_like_one_that_never_was() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let (id, revoked) = server.machine_key(&people.owner, &["org:edit"]).await;
    let (other, expired) = server.machine_key(&people.owner, &["org:edit"]).await;
    server.delete_as(&people.owner, &format!("{KEYS}/{id}")).await.ok(204);
    server.delete_as(&people.owner, &format!("{KEYS}/{id}")).await.refused(404, "not_found");
    world.arrange(&format!("update vicket.machine_keys set expires_at = now() where id = '{other}'")).await;
    let unknown = vicket::domain::keys::MachineKey::mint();
    let mut bodies = Vec::new();
    for key in [&revoked, &expired, &unknown.reveal().to_owned(), &"sk_nonsense".to_owned(), &world.site_a.key] {
        let mut body =
            server.call_with(key, Method::GET, "/v1/orgs/acme").await.refused(401, "machine_key_invalid").json();
        body["request_id"].take();
        bodies.push(body);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:?}");
    let listed = server.get_as(&people.owner, KEYS).await.ok(200).json();
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(2), "a dead key stays in the list");
}

#[tokio::test]
async fn a_machine_key_in_a_browser_is_refused_and_is_no_session() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let (_, key) = server.machine_key(&people.owner, &["org:edit"]).await;
    let get = |path: &str| server.request(Method::GET, path);
    let in_browser = get("/v1/orgs/acme").bearer_auth(&key).header("Origin", &server.base);
    Answer::of(in_browser).await.refused(403, "secret_key_in_browser");
    let as_cookie = get("/v1/orgs/acme").header("Cookie", format!("vicket_session={key}"));
    Answer::of(as_cookie).await.refused(401, "session_invalid");
    let as_site_key = get("/support/v1/site").header("X-Vicket-Key", &key);
    Answer::of(as_site_key).await.refused(401, "key_invalid");
    let both = get("/v1/orgs/acme").bearer_auth(&key).header("Cookie", &people.owner.cookie);
    Answer::of(both).await.refused(400, "credentials_mixed");
    for path in ["/v1/auth/logout", "/v1/auth/logout-all"] {
        server.call_with(&key, Method::POST, path).await.refused(401, "session_required");
    }
    server.call_with(&key, Method::GET, "/v1/orgs/acme").await.ok(200);
}
