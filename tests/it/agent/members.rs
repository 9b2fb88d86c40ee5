//! Members, and the rules of owners: held by the database, whatever the server asks.

use serde_json::json;

use super::People;
use crate::harness::World;

fn path(id: uuid::Uuid) -> String {
    format!("/v1/orgs/acme/members/{id}")
}

#[tokio::test]
async fn members_are_listed_by_address_page_by_page() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let all = server.get_as(&people.viewer, "/v1/orgs/acme/members").await.ok(200).json();
    let emails: Vec<_> = all["data"].as_array().expect("a list").iter().map(|member| member["email"].clone()).collect();
    assert_eq!(emails.len(), 4);
    assert!(emails.windows(2).all(|pair| pair[0].as_str() < pair[1].as_str()));
    let mut paged = Vec::new();
    let mut path = "/v1/orgs/acme/members?limit=3".to_owned();
    loop {
        let page = server.get_as(&people.viewer, &path).await.ok(200).json();
        paged.extend(page["data"].as_array().expect("a list").iter().map(|member| member["email"].clone()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/orgs/acme/members?limit=3&cursor={cursor}");
    }
    assert_eq!(paged, emails);
    server.get_as(&people.viewer, "/v1/orgs/acme/members?cursor=x").await.refused(400, "invalid_cursor");
    server.get_as(&people.viewer, "/v1/orgs/acme/members?limit=101").await.refused(400, "invalid_request");
}

#[tokio::test]
async fn a_demotion_and_a_removal_act_on_the_next_request() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let rename = async || server.patch_as(&people.admin, "/v1/orgs/acme", json!({ "name": "Acme Inc." })).await;
    rename().await.ok(200);
    let changed = server.patch_as(&people.owner, &path(people.admin.id), json!({ "role": "viewer" })).await;
    assert_eq!(changed.ok(200).json()["role"], "viewer");
    let refused = rename().await.refused(403, "permission_required").json();
    assert!(refused["detail"].as_str().is_some_and(|text| text.contains("`org:edit`")), "{refused}");
    server.delete_as(&people.owner, &path(people.admin.id)).await.ok(204);
    server.get_as(&people.admin, "/v1/orgs/acme").await.refused(404, "not_found");
    assert_eq!(server.get_as(&people.admin, "/v1/orgs").await.ok(200).json()["data"], json!([]));
    server.delete_as(&people.owner, &path(people.admin.id)).await.refused(404, "not_found");
}

#[tokio::test]
async fn an_org_is_never_without_an_owner() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    for role in ["admin", "viewer"] {
        server
            .patch_as(&people.owner, &path(people.owner.id), json!({ "role": role }))
            .await
            .refused(409, "last_owner");
    }
    server.delete_as(&people.owner, &path(people.owner.id)).await.refused(409, "last_owner");
    server.patch_as(&people.owner, &path(people.admin.id), json!({ "role": "owner" })).await.ok(200);
    // Now there are two, and nobody demotes themself even so; but one may leave.
    server
        .patch_as(&people.owner, &path(people.owner.id), json!({ "role": "admin" }))
        .await
        .refused(403, "permission_required");
    server.delete_as(&people.owner, &path(people.owner.id)).await.ok(204);
    server.delete_as(&people.admin, &path(people.admin.id)).await.refused(409, "last_owner");
}

#[tokio::test]
async fn only_an_owner_makes_changes_removes_or_invites_an_owner() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    world.person("acme", "owner").await;
    let (admin, owner) = (&people.admin, &people.owner);
    server
        .patch_as(admin, &path(people.agent.id), json!({ "role": "owner" }))
        .await
        .refused(403, "permission_required");
    server.patch_as(admin, &path(owner.id), json!({ "role": "viewer" })).await.refused(403, "permission_required");
    server.delete_as(admin, &path(owner.id)).await.refused(403, "permission_required");
    let invitation = json!({ "email": "a@example.com", "role": "owner" });
    server.post_as(admin, "/v1/orgs/acme/members", invitation.clone()).await.refused(403, "permission_required");
    // The twins.
    server.patch_as(admin, &path(people.agent.id), json!({ "role": "admin" })).await.ok(200);
    server.post_as(owner, "/v1/orgs/acme/members", invitation).await.ok(201);
    server.patch_as(owner, &path(people.agent.id), json!({ "role": "owner" })).await.ok(200);
    server.delete_as(owner, &path(people.agent.id)).await.ok(204);
    // An admin revokes everybody's invitations but that of an owner.
    server.delete_as(admin, "/v1/orgs/acme/invitations").await.ok(204);
    let left = server.get_as(owner, "/v1/orgs/acme/invitations").await.ok(200).json();
    assert_eq!(left["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn of_two_owners_who_demote_each_other_at_once_one_stays() {
    let world = World::new().await;
    let server = world.serve().await;
    let (one, two) = (world.person("acme", "owner").await, world.person("acme", "owner").await);
    for _ in 0..10 {
        world.arrange("update vicket.members set role = 'owner'").await;
        let (first, second) = (path(two.id), path(one.id));
        let (of_two, of_one) = tokio::join!(
            server.patch_as(&one, &first, json!({ "role": "admin" })),
            server.patch_as(&two, &second, json!({ "role": "admin" })),
        );
        let mut statuses = [of_two.status, of_one.status];
        statuses.sort_unstable();
        assert_eq!(statuses[0], 200, "{} {}", of_two.text, of_one.text);
        assert!([403, 409].contains(&statuses[1]), "{} {}", of_two.text, of_one.text);
        let owners = "select count(*) from vicket.members where role = 'owner'";
        assert_eq!(world.look::<i64>(owners).await, 1);
    }
}

#[tokio::test]
async fn somebody_of_two_orgs_is_in_each_what_they_are_there() {
    let world = World::new().await;
    let server = world.serve().await;
    let person = world.person("acme", "viewer").await;
    world.join(person.id, "globex", "owner").await;
    let orgs = server.get_as(&person, "/v1/orgs").await.ok(200).json();
    let roles: Vec<_> = orgs["data"].as_array().expect("a list").iter().map(|org| org["role"].clone()).collect();
    assert_eq!(roles, ["viewer", "owner"]);
    server.patch_as(&person, "/v1/orgs/globex", json!({ "name": "Globex" })).await.ok(200);
    server.patch_as(&person, "/v1/orgs/acme", json!({ "name": "Acme" })).await.refused(403, "permission_required");
}

#[tokio::test]
async fn deleting_an_org_takes_everything_but_its_audit_log() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    server.delete_as(&people.admin, "/v1/orgs/acme").await.refused(403, "permission_required");
    server.delete_as(&people.owner, "/v1/orgs/acme").await.ok(204);
    server.get_as(&people.owner, "/v1/orgs/acme").await.refused(404, "not_found");
    server.get(&world.site_a.key, "/support/v1/site").await.refused(401, "key_invalid");
    server.get(&world.site_c.key, "/support/v1/site").await.ok(200);
    let last = format!(
        "select actor || ' ' || action || ' ' || object_kind from vicket.audit_log where org_id = '{}' order by seq desc",
        world.site_a.org_id
    );
    assert_eq!(world.look::<String>(&last).await, format!("{} deleted org", people.owner.email));
    server.get_as(&people.rival, "/v1/orgs/globex").await.ok(200);
}
