//! Sites and their publishable keys over HTTP.

use reqwest::Method;
use serde_json::json;

use super::People;
use crate::harness::World;

const SITES: &str = "/v1/orgs/acme/sites";

#[tokio::test]
async fn a_site_is_made_changed_and_deleted_and_each_change_acts_on_the_next_request() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let made = server.post_as(&people.admin, SITES, json!({ "name": "Größe & Co" })).await.ok(201).json();
    assert_eq!((&made["slug"], &made["origins"]), (&json!("grosse-co"), &json!([])));
    server.post_as(&people.admin, SITES, json!({ "name": "Grosse Co" })).await.refused(409, "slug_taken");
    let path = format!("{SITES}/grosse-co");
    let key = server.call_as(&people.admin, Method::POST, &format!("{path}/key"), None).await.ok(201).json();
    let key = key["key"].as_str().expect("a key");
    let from = async |origin: &str| {
        server.call(Method::GET, "/support/v1/site", &[("X-Vicket-Key", key), ("Origin", origin)]).await
    };
    from("https://new.example").await.refused(403, "origin_not_allowed");
    let change = json!({
        "name": "Co",
        "origins": ["https://NEW.example:443", "http://localhost:3000"],
        "limits": { "reads_per_minute": 3 },
    });
    let changed = server.patch_as(&people.admin, &path, change).await.ok(200).json();
    assert_eq!(changed["origins"], json!(["http://localhost:3000", "https://new.example"]));
    assert_eq!((&changed["name"], &changed["limits"]["reads_per_minute"]), (&json!("Co"), &json!(3)));
    assert_eq!(changed["limits"]["writes_per_minute"], 60, "what is absent stays");
    assert_eq!(from("https://new.example").await.ok(200).json()["name"], "Co");
    from("http://localhost:3000").await.ok(200);
    from("http://localhost:3000").await.ok(200);
    from("http://localhost:3000").await.refused(429, "rate_limited");
    let fewer =
        server.patch_as(&people.admin, &path, json!({ "origins": ["http://localhost:3000"] })).await.ok(200).json();
    assert_eq!(fewer["origins"], json!(["http://localhost:3000"]));
    from("https://new.example").await.refused(403, "origin_not_allowed");
    server.delete_as(&people.admin, &path).await.refused(403, "permission_required");
    server.delete_as(&people.owner, &path).await.ok(204);
    from("http://localhost:3000").await.refused(401, "key_invalid");
    server.get_as(&people.owner, &path).await.refused(404, "not_found");
}

#[tokio::test]
async fn what_is_wrong_with_a_site_is_named_and_nothing_is_written() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let fields = async |body: serde_json::Value| {
        let body = server.post_as(&people.owner, SITES, body).await.refused(400, "invalid_request").json();
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["field"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let before: i64 = world.look("select count(*) from vicket.sites").await;
    assert_eq!(fields(json!({})).await, ["name"]);
    assert_eq!(fields(json!({ "name": " ", "slug": "Not A Slug" })).await, ["name", "slug"]);
    let origins = json!(["https://a.example/path", "https://*.example", "http://a.example", "https://fine.example"]);
    assert_eq!(fields(json!({ "name": "x", "origins": origins })).await, ["origins[0]", "origins[1]", "origins[2]"]);
    assert_eq!(fields(json!({ "name": "x", "color": "red" })).await, ["color"]);
    assert_eq!(world.look::<i64>("select count(*) from vicket.sites").await, before);
    let limits = json!({ "limits": { "reads_per_minute": 10_000_001 } });
    server.patch_as(&people.owner, &format!("{SITES}/site-a"), limits).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn the_key_of_a_site_goes_through_its_life_and_its_text_is_in_one_answer_each() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let path = format!("{SITES}/site-a/key");
    let post = async |what: &str| server.call_as(&people.admin, Method::POST, &format!("{path}{what}"), None).await;
    let works = async |key: &str| server.get(key, "/support/v1/site").await.status == 200;
    let first = world.site_a.key.clone();

    let shown = server.get_as(&people.viewer, &path).await.ok(200).json();
    assert_eq!((&shown["state"], &shown["created_by"]), (&json!("active"), &json!("cli")));
    assert_eq!(shown["hint"].as_str(), Some(&first[first.len() - 4..]));
    assert_eq!((shown.get("key"), &shown["staged"]), (None, &json!(null)));
    post("").await.refused(409, "key_exists");

    let staged = post("/stage").await;
    assert_eq!(staged.header("cache-control"), Some("no-store"));
    let staged = staged.ok(201).json();
    let second = staged["key"].as_str().expect("a key").to_owned();
    assert_eq!(staged["staged"]["hint"].as_str(), Some(&second[second.len() - 4..]));
    post("/stage").await.refused(409, "staged_key_exists");
    assert!(works(&first).await && works(&second).await);
    server.delete_as(&people.admin, &format!("{path}/staged")).await.ok(204);
    assert!(works(&first).await && !works(&second).await);
    server.delete_as(&people.admin, &format!("{path}/staged")).await.refused(404, "not_found");

    let second = post("/stage").await.ok(201).json()["key"].as_str().expect("a key").to_owned();
    let promoted = post("/rotate").await.ok(200).json();
    assert_eq!((promoted.get("key"), &promoted["created_by"]), (None, &json!(people.admin.email)));
    assert!(!works(&first).await && works(&second).await);
    let third = post("/rotate").await.ok(200).json()["key"].as_str().expect("a key").to_owned();
    assert!(!works(&second).await && works(&third).await);

    server.delete_as(&people.admin, &path).await.ok(204);
    assert!(!works(&third).await);
    let none = server.get_as(&people.viewer, &path).await.ok(200).json();
    assert_eq!((&none["state"], &none["hint"]), (&json!("none"), &json!(null)));
    post("/rotate").await.refused(409, "no_active_key");
    post("/stage").await.refused(409, "no_active_key");
    let fourth = post("").await.ok(201).json()["key"].as_str().expect("a key").to_owned();
    assert!(works(&fourth).await);
    server.app.usage.flush(&server.app.worker).await.expect("written");
    let used = server.get_as(&people.viewer, &path).await;
    assert!(used.ok(200).json()["last_used_at"].is_string() && !used.text.contains(&fourth));
    let log = server.get_as(&people.owner, "/v1/orgs/acme/audit-log?limit=100").await.ok(200).text.clone();
    for key in [&first, &second, &third, &fourth] {
        assert!(!log.contains(key.as_str()));
    }
}

#[tokio::test]
async fn of_two_rotations_over_http_at_once_one_wins_and_the_other_conflicts() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let mut conflicts = 0;
    for _ in 0..10 {
        let rotate = || server.call_as(&people.owner, Method::POST, "/v1/orgs/acme/sites/site-a/key/rotate", None);
        let (one, two) = tokio::join!(rotate(), rotate());
        let won: Vec<_> = [&one, &two].into_iter().filter(|answer| answer.status == 200).collect();
        assert!(!won.is_empty(), "{} {}", one.text, two.text);
        let last = won.iter().filter_map(|answer| answer.json()["key"].as_str().map(str::to_owned));
        let mut alive = 0;
        for key in last {
            alive += usize::from(server.get(&key, "/support/v1/site").await.status == 200);
        }
        assert_eq!(alive, 1, "one active key, whoever won");
        for answer in [&one, &two].into_iter().filter(|answer| answer.status != 200) {
            answer.refused(409, "rotation_conflict");
            conflicts += 1;
        }
    }
    println!("{conflicts} of 10 pairs met");
}

#[tokio::test]
async fn refused_origins_are_listed_for_who_may_edit_the_site_and_listing_one_takes_it_off() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let path = format!("{SITES}/site-a/refused-origins");
    for (origin, times) in [("https://one.example", 1), ("https://two.example", 3)] {
        for _ in 0..times {
            let headers = [("X-Vicket-Key", world.site_a.key.as_str()), ("Origin", origin)];
            server.call(Method::GET, "/support/v1/site", &headers).await.refused(403, "origin_not_allowed");
        }
    }
    server.app.usage.flush(&server.app.worker).await.expect("written");
    let all = server.get_as(&people.admin, &path).await.ok(200).json();
    assert_eq!(all["data"].as_array().map(Vec::len), Some(2));
    assert_eq!((&all["data"][0]["origin"], &all["data"][0]["times"]), (&json!("https://two.example"), &json!(3)));
    let first = server.get_as(&people.admin, &format!("{path}?limit=1")).await.ok(200).json();
    let cursor = first["next_cursor"].as_str().expect("a second page");
    let second = server.get_as(&people.admin, &format!("{path}?limit=1&cursor={cursor}")).await.ok(200).json();
    assert_eq!((&second["data"][0]["origin"], &second["next_cursor"]), (&json!("https://one.example"), &json!(null)));
    let list = json!({ "origins": ["https://a.example", "https://two.example"] });
    server.patch_as(&people.admin, &format!("{SITES}/site-a"), list).await.ok(200);
    let left = server.get_as(&people.admin, &path).await.ok(200).json();
    assert_eq!(left["data"].as_array().map(Vec::len), Some(1));
    server.get_as(&people.agent, &path).await.refused(403, "permission_required");
    server.delete_as(&people.admin, &path).await.ok(204);
    assert_eq!(server.get_as(&people.admin, &path).await.ok(200).json()["data"], json!([]));

    // A browser stops at the preflight, which carries no key. What its page sends then is the question why.
    let browser = "https://three.example";
    let preflight = [("Origin", browser), ("Access-Control-Request-Method", "GET")];
    let refused = server.call(Method::OPTIONS, "/support/v1/site", &preflight).await;
    assert_eq!(refused.header("access-control-allow-origin"), None);
    for (key, origin) in [(&world.site_a.key, browser), (&world.site_a.key, world.site_a.origin)] {
        let headers = [("X-Vicket-Key", key.as_str()), ("Origin", origin)];
        server.call(Method::GET, "/support/v1/key/check", &headers).await.ok(200);
    }
    server.app.usage.flush(&server.app.worker).await.expect("written");
    let asked = server.get_as(&people.admin, &path).await.ok(200).json();
    assert_eq!(asked["data"].as_array().map(Vec::len), Some(1), "{asked}");
    assert_eq!((&asked["data"][0]["origin"], &asked["data"][0]["times"]), (&json!(browser), &json!(1)));
}

#[tokio::test]
async fn the_page_that_tests_a_setup_takes_an_address_as_people_copy_it_and_offers_only_what_can_be_listed() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    for (address, said, offered) in [
        ("https://a.example/help?x=1%23top", "The key works from this origin.", None),
        ("https://new.example/help/", "A browser sends https://new.example from there.", Some("https://new.example")),
        ("localhost:5173/help", "A browser sends http://localhost:5173 from there.", Some("http://localhost:5173")),
        ("http://new.example/", "write https://new.example", None),
        ("file:///home/ada/help.html", "A browser sends null from there.", None),
        ("https://", "That is no address of a page", None),
    ] {
        let page = server.get_as(&people.admin, &format!("/dashboard/acme/sites/site-a?test={address}")).await;
        let text = page.ok(200).text.clone();
        assert!(text.contains(said), "{address}: {text}");
        assert_eq!(text.contains(">Allow "), offered.is_some(), "{address}");
        if let Some(origin) = offered {
            assert!(text.contains(&format!("Allow {origin}<")), "{address}");
        }
    }
}
