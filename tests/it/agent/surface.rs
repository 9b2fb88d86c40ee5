//! What holds for every call of the agent surface: credentials never mix, forged pages get nothing, and what belongs to
//! somebody else is not there.

use reqwest::Method;
use serde_json::{Value, json};

use super::People;
use crate::harness::{Answer, World};

#[tokio::test]
async fn a_publishable_key_opens_nothing_here_and_a_session_nothing_on_the_support_surface() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let with_key = |request: reqwest::RequestBuilder| request.header("X-Vicket-Key", &world.site_a.key);
    let get = |path: &str| server.request(Method::GET, path);
    Answer::of(with_key(get("/v1/orgs"))).await.refused(400, "credentials_mixed");
    let both = with_key(get("/v1/orgs").header("Cookie", &people.owner.cookie));
    Answer::of(both).await.refused(400, "credentials_mixed");
    let bearer = get("/v1/orgs").bearer_auth(&world.site_a.key);
    Answer::of(bearer).await.refused(401, "machine_key_invalid");
    let cookie = get("/v1/orgs").header("Cookie", format!("vicket_session={}", world.site_a.key));
    Answer::of(cookie).await.refused(401, "session_invalid");
    Answer::of(get("/v1/orgs")).await.refused(401, "session_required");
    let session = get("/support/v1/site").header("Cookie", &people.owner.cookie);
    Answer::of(session).await.refused(401, "key_missing");
    // A session beside a key changes nothing there.
    let beside = with_key(get("/support/v1/site")).header("Cookie", &people.rival.cookie);
    assert_eq!(Answer::of(beside).await.ok(200).json()["slug"], "site-a");
}

#[tokio::test]
async fn an_unsafe_call_with_a_cookie_must_come_from_our_own_page() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let rename = |headers: &[(&'static str, &str)]| {
        let mut request = server.request(Method::PATCH, "/v1/orgs/acme").json(&json!({ "name": "Renamed" }));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(request.header("Cookie", &people.owner.cookie))
    };
    rename(&[]).await.refused(403, "csrf_failed");
    for origin in ["https://evil.example", "null", "http://localhost"] {
        rename(&[("Origin", origin)]).await.refused(403, "csrf_failed");
    }
    for site in ["cross-site", "same-site", "none"] {
        rename(&[("Sec-Fetch-Site", site)]).await.refused(403, "csrf_failed");
    }
    assert_eq!(world.look::<String>("select name from vicket.orgs where slug = 'acme'").await, "acme");
    rename(&[("Origin", &server.base)]).await.ok(200);
    rename(&[("Sec-Fetch-Site", "same-origin")]).await.ok(200);
    // A read changes nothing, and no page of another origin can read its answer: there is no CORS header.
    let read = server.request(Method::GET, "/v1/orgs/acme").header("Cookie", &people.owner.cookie);
    let read = Answer::of(read.header("Origin", "https://evil.example")).await;
    assert!(read.ok(200).headers.keys().all(|name| !name.as_str().starts_with("access-control-")));
    let preflight = server
        .request(Method::OPTIONS, "/v1/orgs/acme")
        .header("Origin", "https://a.example")
        .header("Access-Control-Request-Method", "PATCH");
    let preflight = Answer::of(preflight).await;
    assert!(preflight.refused(405, "method_not_allowed").header("access-control-allow-origin").is_none());
    // Logging somebody in from a foreign page is refused too; without a browser it is not.
    let login = |origin: Option<&str>| {
        let request = server.request(Method::POST, "/v1/auth/login").json(&json!({ "email": "a", "password": "b" }));
        Answer::of(match origin {
            Some(origin) => request.header("Origin", origin),
            None => request,
        })
    };
    login(Some("https://evil.example")).await.refused(403, "csrf_failed");
    login(Some(&server.base)).await.refused(401, "login_failed");
    login(None).await.refused(401, "login_failed");
}

#[tokio::test]
async fn behind_a_proxy_our_own_page_is_that_of_the_public_url() {
    let world = World::new().await;
    let server = world
        .serve_with(crate::harness::Options { public_url: Some("https://support.acme.com"), ..Default::default() })
        .await;
    let people = People::of(&world).await;
    let rename = |origin: &str| {
        let request = server.request(Method::PATCH, "/v1/orgs/acme").json(&json!({ "name": "Renamed" }));
        Answer::of(request.header("Cookie", format!("__Host-{}", people.owner.cookie)).header("Origin", origin))
    };
    rename("https://support.acme.com").await.ok(200);
    // A cookie that a neighbouring host can plant is none there.
    let planted = server.call(Method::GET, "/v1/auth/me", &[("Cookie", &people.owner.cookie)]).await;
    planted.refused(401, "session_required");
    let base = server.base.clone();
    rename(&base).await.refused(403, "csrf_failed");
}

#[tokio::test]
async fn what_belongs_to_another_org_answers_like_what_does_not_exist() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let stranger = world.person("acme", "nobody").await;
    let body = |answer: &Answer| {
        let mut body = answer.refused(404, "not_found").json();
        body["request_id"].take();
        let mut headers: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
        headers.sort_unstable();
        (body, headers)
    };
    for (method, there, nowhere) in [
        (Method::GET, "/v1/orgs/globex", "/v1/orgs/initech"),
        (Method::PATCH, "/v1/orgs/globex", "/v1/orgs/initech"),
        (Method::DELETE, "/v1/orgs/globex", "/v1/orgs/initech"),
        (Method::GET, "/v1/orgs/globex/sites/site-c", "/v1/orgs/initech/sites/site-c"),
        (Method::GET, "/v1/orgs/acme/sites/site-c", "/v1/orgs/acme/sites/site-x"),
        (Method::POST, "/v1/orgs/acme/sites/site-c/key/rotate", "/v1/orgs/acme/sites/site-x/key/rotate"),
        (Method::DELETE, "/v1/orgs/acme/sites/site-c", "/v1/orgs/acme/sites/site-x"),
        (Method::GET, "/v1/orgs/globex/audit-log", "/v1/orgs/initech/audit-log"),
    ] {
        let send = (method == Method::PATCH).then(|| json!({ "name": "x" }));
        let foreign = server.call_as(&people.owner, method.clone(), there, send.as_ref()).await;
        let missing = server.call_as(&people.owner, method.clone(), nowhere, send.as_ref()).await;
        assert_eq!(body(&foreign), body(&missing), "{method} {there}");
        server.call_as(&stranger, method, there, send.as_ref()).await.refused(404, "not_found");
    }
    let (rival, nobody) = (people.rival.id, uuid::Uuid::new_v4());
    for id in [rival, nobody] {
        let path = format!("/v1/orgs/acme/members/{id}");
        server.patch_as(&people.owner, &path, json!({ "role": "viewer" })).await.refused(404, "not_found");
        server.delete_as(&people.owner, &path).await.refused(404, "not_found");
    }
    // The twins: the rival's own.
    server.get_as(&people.rival, "/v1/orgs/globex/sites/site-c").await.ok(200);
    server.get_as(&people.rival, "/v1/orgs/globex/audit-log").await.ok(200);
}

#[tokio::test]
async fn the_frameworks_refusals_have_the_one_shape_of_errors_here_too() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let own = |request: reqwest::RequestBuilder| {
        request.header("Cookie", &people.owner.cookie).header("Origin", &server.base)
    };
    Answer::of(own(server.request(Method::GET, "/v1/nothing"))).await.refused(404, "not_found");
    let wrong = Answer::of(own(server.request(Method::PUT, "/v1/orgs/acme"))).await;
    let allow = wrong.refused(405, "method_not_allowed").header("allow").expect("Allow").to_owned();
    assert!(["GET", "PATCH", "DELETE", "HEAD"].iter().all(|method| allow.contains(method)), "{allow}");
    let patch = |body: &'static str| own(server.request(Method::PATCH, "/v1/orgs/acme")).body(body);
    Answer::of(patch("{}")).await.refused(415, "unsupported_media_type");
    let json = |body: &'static str| patch(body).header("Content-Type", "application/json");
    Answer::of(json("{")).await.refused(400, "invalid_request");
    Answer::of(json("[]")).await.refused(400, "invalid_request");
    Answer::of(json(r#"{"name": "\u0000"}"#)).await.refused(400, "invalid_request");
    let large = own(server.request(Method::PATCH, "/v1/orgs/acme")).header("Content-Type", "application/json");
    Answer::of(large.body("x".repeat(1024 * 1024 + 1))).await.refused(413, "body_too_large");
    let bad = server.call_as(&people.owner, Method::DELETE, "/v1/orgs/acme/members/not-a-uuid", None).await;
    bad.refused(404, "not_found");
    Answer::of(json("{}")).await.ok(200);
    let head = Answer::of(own(server.request(Method::HEAD, "/v1/orgs/acme"))).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
}

#[tokio::test]
async fn a_permission_that_is_lost_in_mid_request_is_answered_as_such_and_not_as_an_error() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    // The request has passed the gate and waits for the site's row; then its sender is demoted. Its first statement was
    // admitted before, its second is refused by a policy, and with it the whole.
    let mut blocker = world.superuser.begin().await.expect("begin");
    sqlx::raw_sql("select from vicket.sites where slug = 'site-a' for update")
        .execute(&mut *blocker)
        .await
        .expect("locked");
    let both = json!({ "name": "x", "origins": ["https://x.example"] });
    let path = "/v1/orgs/acme/sites/site-a";
    let waiting = server.patch_as(&people.admin, path, both.clone());
    let demote = async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        let admin = people.admin.id;
        world
            .arrange(&format!(
                "begin; set local session_replication_role = replica;
                update vicket.members set role = 'viewer' where user_id = '{admin}'; commit"
            ))
            .await;
        blocker.rollback().await.expect("released");
    };
    let (answer, ()) = tokio::join!(waiting, demote);
    answer.refused(403, "permission_required");
    let site = server.get_as(&people.admin, path).await.ok(200).json();
    assert_eq!((&site["name"], &site["origins"]), (&json!("site-a"), &json!(["https://a.example"])));
    server.patch_as(&people.owner, path, both).await.ok(200);
}

#[tokio::test]
async fn the_document_of_the_agent_surface_is_served_and_can_be_read() {
    let world = World::new().await;
    let server = world.serve().await;
    let document = Answer::of(server.request(Method::GET, "/openapi/agent.json")).await;
    let document: Value = document.ok(200).json();
    assert_eq!(document["info"]["title"], "Vicket agent API");
    let page = Answer::of(server.request(Method::GET, "/docs/agent")).await;
    assert!(page.ok(200).text.contains("Vicket agent API"));
    for path in ["/invitation", "/invitation.js", "/invitation.css"] {
        let file = Answer::of(server.request(Method::GET, path)).await;
        let policy = file.ok(200).header("content-security-policy").expect("a policy").to_owned();
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
    }
}
