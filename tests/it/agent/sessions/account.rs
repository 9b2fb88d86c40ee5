//! One's own account, over HTTP and on its page: where one is logged in, one's name, one's password.

use super::*;

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
const SESSIONS: &str = "/v1/auth/sessions";

async fn from(server: &Running, of: &Person, agent: &str) -> Person {
    let body = json!({ "email": of.email, "password": PASSWORD });
    let request = server.request(Method::POST, "/v1/auth/login").header("User-Agent", agent).json(&body);
    as_person(of, Answer::of(request).await.ok(200))
}

async fn listed(server: &Running, person: &Person) -> Vec<Value> {
    let page = server.get_as(person, SESSIONS).await.ok(200).json();
    page["data"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn people_see_where_they_are_logged_in_and_end_what_is_theirs_and_nothing_else() {
    let world = World::new().await;
    let server = world.serve().await;
    let ada = with_password(&world, "agent").await;
    let other = with_password(&world, "owner").await;
    let (here, there) = (from(&server, &ada, BROWSER).await, from(&server, &ada, "curl/8.5").await);
    let mine = listed(&server, &here).await;
    let devices: Vec<_> = mine.iter().filter_map(|one| one["device"].as_str()).collect();
    assert!(devices.iter().any(|device| device.starts_with("Firefox on Linux, ")), "{mine:?}");
    assert!(devices.iter().any(|device| device.starts_with("curl, ")), "{mine:?}");
    let current: Vec<_> = mine.iter().filter(|one| one["current"] == true).collect();
    assert!(current.len() == 1 && current[0]["device"].as_str().is_some_and(|it| it.starts_with("Fire")), "{mine:?}");
    assert!(!mine.iter().any(|one| one.to_string().contains("hash")), "{mine:?}");

    let id_of = |list: &[Value], device: &str| {
        let one = list.iter().find(|one| one["device"].as_str().is_some_and(|it| it.starts_with(device)));
        format!("{SESSIONS}/{}", one.expect("one")["id"].as_str().expect("an id"))
    };
    let of_there = id_of(&mine, "curl");
    // Nobody else, of whatever role, ends it or sees it.
    server.call_as(&other, Method::DELETE, &of_there, None).await.refused(404, "not_found");
    assert!(listed(&server, &other).await.iter().all(|one| !of_there.ends_with(one["id"].as_str().expect("an id"))));
    server.get_as(&there, "/v1/auth/me").await.ok(200);
    server.call_as(&here, Method::DELETE, &of_there, None).await.ok(204);
    server.get_as(&there, "/v1/auth/me").await.refused(401, "session_invalid");
    server.call_as(&here, Method::DELETE, &of_there, None).await.refused(404, "not_found");
    server.get_as(&here, "/v1/auth/me").await.ok(200);
    server.call_as(&here, Method::DELETE, &format!("{SESSIONS}/1"), None).await.refused(404, "not_found");

    // One that has expired is none.
    let old = "update vicket.sessions set last_used_at = now() - interval '15 days' where device is null";
    world.arrange(old).await;
    assert_eq!(listed(&server, &here).await.len(), 1);
}

#[tokio::test]
async fn people_change_their_name_in_all_their_orgs_once_their_address_is_proven() {
    let world = World::new().await;
    let server = world.serve().await;
    let owner = world.person("acme", "owner").await;
    let ada = with_password(&world, "agent").await;
    world.join(ada.id, "globex", "viewer").await;
    let rename = async |person: &Person, name: &str| {
        server.call_as(person, Method::PATCH, "/v1/auth/me", Some(&json!({"name": name}))).await
    };
    assert_eq!(rename(&ada, "Ada Lovelace").await.ok(200).json()["name"], "Ada Lovelace");
    let seen = server.get_as(&owner, "/v1/orgs/acme/members").await.ok(200).text.clone();
    assert!(seen.contains("Ada Lovelace"), "{seen}");
    for name in ["", "   ", &"x".repeat(201), "a\u{0}b"] {
        assert_eq!(rename(&ada, name).await.status, 400, "{name:?}");
    }

    // Who joined by a link that was shown to the inviter has proven nothing: the name of the account is not theirs to change,
    // and what its owner has open elsewhere not theirs to see.
    let invited = json!({"email": "bob@example.com", "role": "agent"});
    let link = server.call_as(&owner, Method::POST, "/v1/orgs/acme/members", Some(&invited)).await.ok(201).json();
    let joining = json!({"token": link["token"], "name": "Bob", "password": "what somebody chose"});
    let request = server.request(Method::POST, "/v1/auth/invitations/accept").json(&joining);
    let bob = as_person(&ada, Answer::of(request).await.ok(200));
    rename(&bob, "Robert").await.refused(422, "unprocessable");
    let id = "(select id from vicket.users where email = 'bob@example.com')";
    world
        .arrange(&format!(
            "insert into vicket.sessions (user_id, token_hash, device) values ({id}, sha256('x'), 'elsewhere')"
        ))
        .await;
    let seen = listed(&server, &bob).await;
    assert!(seen.len() == 1 && seen[0]["current"] == true && seen[0]["device"].is_null(), "{seen:?}");
    let elsewhere: uuid::Uuid = world.look("select id from vicket.sessions where device = 'elsewhere'").await;
    let path = format!("{SESSIONS}/{elsewhere}");
    server.call_as(&bob, Method::DELETE, &path, None).await.refused(404, "not_found");
    world.arrange(&format!("update vicket.sessions set org_ids = null where user_id = {id}")).await;
    rename(&bob, "Robert").await.ok(200);
    server.call_as(&bob, Method::DELETE, &path, None).await.ok(204);
}

#[tokio::test]
async fn the_page_of_the_account_does_the_same() {
    let world = World::new().await;
    let server = world.serve().await;
    let ada = with_password(&world, "viewer").await;
    let (here, there) = (from(&server, &ada, BROWSER).await, from(&server, &ada, "curl/8.5").await);
    let path = "/dashboard/acme/account";
    let page = server.page(&here, path).await;
    let text = page.ok(200).text.clone();
    assert!(text.contains("<strong>Firefox on Linux, ") && text.contains("<strong>curl, "), "{text}");
    assert_eq!(text.matches("this one").count(), 1);
    assert_eq!(server.send(&here, path, &[("action", "name"), ("name", "Ada <b>")]).await.status, 303);
    assert!(server.page(&here, path).await.text.contains("Ada &#60;b&#62;"));
    assert_eq!(server.send(&here, path, &[("action", "name"), ("name", " ")]).await.status, 400);

    let change = async |current: &str, new: &str| {
        let fields = [("action", "password"), ("current_password", current), ("new_password", new)];
        server.send(&here, path, &fields).await
    };
    let refused = change("wrong horse", "a better horse and battery").await;
    assert!(refused.status == 422 && refused.text.contains("is not your password"), "{}", refused.text);
    assert!(!refused.text.contains("wrong horse"), "what was typed is not sent back");
    assert_eq!(change(PASSWORD, "short").await.status, 400);
    server.get_as(&there, "/v1/auth/me").await.ok(200);
    assert_eq!(change(PASSWORD, "a better horse and battery").await.status, 303);
    server.get_as(&there, "/v1/auth/me").await.refused(401, "session_invalid");
    log_in(&server, &ada.email, PASSWORD).await.refused(401, "login_failed");

    let again = as_person(&ada, log_in(&server, &ada.email, "a better horse and battery").await.ok(200));
    let id: uuid::Uuid = world
        .look(&format!("select id from vicket.sessions where user_id = '{}' order by created_at desc limit 1", ada.id))
        .await;
    let end = [("action", "end"), ("id", &id.to_string())];
    assert_eq!(server.send(&here, path, &end).await.status, 303);
    server.get_as(&again, "/v1/auth/me").await.refused(401, "session_invalid");
    assert_eq!(server.send(&here, path, &end).await.status, 404);
    assert_eq!(server.send(&here, path, &[("action", "end_all")]).await.status, 400, "it asks whether one is sure");
    let left = server.send(&here, path, &[("action", "end_all"), ("sure", "yes")]).await;
    assert_eq!((left.status, left.header("location")), (303, Some("/dashboard/login")));
    server.get_as(&here, "/v1/auth/me").await.refused(401, "session_invalid");
}
