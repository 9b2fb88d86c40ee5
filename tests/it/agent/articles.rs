//! Articles and FAQs as agents write them.

use reqwest::Method;
use serde_json::{Value, json};

use super::People;
use crate::harness::{Running, World};

const ARTICLES: &str = "/v1/orgs/acme/articles";
const FAQS: &str = "/v1/orgs/acme/faqs";

fn path(of: &str, made: &Value, verb: &str) -> String {
    format!("{of}/{}{verb}", made["id"].as_str().expect("an id"))
}

async fn readable(server: &Running, key: &str, slug: &str) -> bool {
    server.get(key, &format!("/support/v1/help/articles/{slug}")).await.status == 200
}

#[tokio::test]
async fn an_article_goes_from_draft_to_published_to_archived_and_each_step_shows_in_the_next_request() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let (a, b) = (&world.site_a.key, &world.site_b.key);
    let body = json!({ "title": "Über uns & mehr", "body_markdown": "Hello **you** <script>", "site": "site-a" });
    let made = server.post_as(&people.agent, ARTICLES, body).await.ok(201).json();
    assert_eq!((&made["slug"], &made["status"]), (&json!("uber-uns-mehr"), &json!("draft")));
    assert_eq!((&made["site"], &made["created_by"]), (&json!("site-a"), &json!(people.agent.email)));
    assert_eq!(made["published_at"], Value::Null);
    let html = made["body_html"].as_str().expect("HTML");
    assert!(html.contains("<strong>you</strong>") && !html.contains("<script"), "{html}");
    assert!(!readable(&server, a, "uber-uns-mehr").await);

    let publish = |verb: &str| path(ARTICLES, &made, verb);
    let publish_as = async |person, verb: &str| server.call_as(person, Method::POST, &publish(verb), None).await;
    publish_as(&people.agent, "/publish").await.refused(403, "permission_required");
    assert!(!readable(&server, a, "uber-uns-mehr").await);
    let published = publish_as(&people.admin, "/publish").await.ok(200).json();
    assert_eq!((&published["status"], &published["updated_by"]), (&json!("published"), &json!(people.admin.email)));
    assert!(published["published_at"].is_string());
    assert!(readable(&server, a, "uber-uns-mehr").await && !readable(&server, b, "uber-uns-mehr").await);

    let change = json!({ "title": "About us", "body_markdown": "Changed." });
    let changed = server.patch_as(&people.agent, &publish(""), change).await.ok(200).json();
    assert_eq!((&changed["slug"], &changed["updated_by"]), (&json!("uber-uns-mehr"), &json!(people.agent.email)));
    let read = server.get(a, "/support/v1/help/articles/uber-uns-mehr").await.ok(200).json();
    assert_eq!((&read["title"], &read["body_markdown"]), (&json!("About us"), &json!("Changed.")));
    assert_eq!(read["published_at"], published["published_at"], "it was published then");

    publish_as(&people.admin, "/unpublish").await.ok(200);
    assert!(!readable(&server, a, "uber-uns-mehr").await);
    let again = publish_as(&people.admin, "/publish").await.ok(200).json();
    assert_eq!(again["published_at"], published["published_at"], "first published");
    assert_eq!(publish_as(&people.admin, "/archive").await.ok(200).json()["status"], "archived");
    assert!(!readable(&server, a, "uber-uns-mehr").await);
    server.delete_as(&people.viewer, &publish("")).await.refused(403, "permission_required");
    server.delete_as(&people.agent, &publish("")).await.ok(204);
    server.get_as(&people.viewer, &publish("")).await.refused(404, "not_found");
}

#[tokio::test]
async fn slugs_are_derived_and_unique_within_a_site_and_within_the_org() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let write = async |body: Value| server.post_as(&people.agent, ARTICLES, body).await;
    let slug = async |body: Value| write(body).await.ok(201).json()["slug"].as_str().expect("a slug").to_owned();
    assert_eq!(slug(json!({ "title": "How to", "site": "site-a" })).await, "how-to");
    assert_eq!(slug(json!({ "title": "How to!", "site": "site-a" })).await, "how-to-2");
    assert_eq!(slug(json!({ "title": "How to?", "site": "site-a" })).await, "how-to-3");
    assert_eq!(slug(json!({ "title": "How to", "site": "site-b" })).await, "how-to");
    assert_eq!(slug(json!({ "title": "How to" })).await, "how-to");
    assert_eq!(slug(json!({ "title": "How to", "site": null })).await, "how-to-2");
    write(json!({ "title": "x", "slug": "how-to", "site": "site-a" })).await.refused(409, "slug_taken");
    write(json!({ "title": "x", "slug": "How To" })).await.refused(400, "invalid_request");
    let unknown = write(json!({ "title": "x", "site": "site-c" })).await;
    assert_eq!(unknown.refused(422, "unprocessable").json()["errors"][0]["field"], "site");
    let other = write(json!({ "title": "Other", "site": "site-a" })).await.ok(201).json();
    let taken = server.patch_as(&people.agent, &path(ARTICLES, &other, ""), json!({ "slug": "how-to" })).await;
    taken.refused(409, "slug_taken");
    let moved = server.patch_as(&people.agent, &path(ARTICLES, &other, ""), json!({ "slug": "elsewhere" })).await;
    assert_eq!(moved.ok(200).json()["slug"], "elsewhere");
    // Ten at once get ten slugs.
    let at_once = tokio::join!(
        slug(json!({ "title": "At once" })),
        slug(json!({ "title": "At once" })),
        slug(json!({ "title": "At once" })),
        slug(json!({ "title": "At once" })),
    );
    let distinct: std::collections::HashSet<_> = [at_once.0, at_once.1, at_once.2, at_once.3].into();
    assert_eq!(distinct.len(), 4);
}

#[tokio::test]
async fn publishing_needs_a_body() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    for (of, text, made) in [
        (ARTICLES, "body_markdown", json!({ "title": "Empty", "body_markdown": " \n" })),
        (FAQS, "answer_markdown", json!({ "question": "Empty?" })),
    ] {
        let made = server.post_as(&people.admin, of, made).await.ok(201).json();
        let publish = async || server.call_as(&people.admin, Method::POST, &path(of, &made, "/publish"), None).await;
        let refused = publish().await.refused(422, "unprocessable").json();
        assert_eq!(refused["errors"][0]["field"], text);
        server.patch_as(&people.admin, &path(of, &made, ""), json!({ text: "Full." })).await.ok(200);
        publish().await.ok(200);
        let emptied = server.patch_as(&people.admin, &path(of, &made, ""), json!({ text: "" })).await;
        assert_eq!(emptied.refused(422, "unprocessable").json()["errors"][0]["field"], text);
    }
}

#[tokio::test]
async fn content_is_listed_filtered_and_searched_page_by_page() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    for n in 0..5 {
        let site = if n % 2 == 0 { json!("site-a") } else { Value::Null };
        let article = json!({ "title": format!("Parrot {n}"), "body_markdown": "It is resting.", "site": site });
        server.post_as(&people.agent, ARTICLES, article).await.ok(201);
        let faq = json!({ "question": format!("Is parrot {n} dead?"), "site": site });
        server.post_as(&people.agent, FAQS, faq).await.ok(201);
    }
    for of in [ARTICLES, FAQS] {
        let list = async |query: &str| {
            let page = server.get_as(&people.viewer, &format!("{of}?{query}")).await.ok(200).json();
            (page["data"].as_array().expect("a list").clone(), page["next_cursor"].as_str().map(str::to_owned))
        };
        let (all, _) = list("limit=100").await;
        // Two of each site and one for all sites were there.
        assert_eq!(all.len(), 5 + 5, "{of}");
        assert_eq!(list("q=parrot").await.0.len(), 5);
        assert_eq!(list("q=parrot&site=site-a&status=draft").await.0.len(), 3);
        assert_eq!(list("status=published").await.0.len(), 3);
        assert_eq!(list("status=archived").await.0.len(), 0);
        let (mut paged, mut query) = (Vec::new(), "limit=3".to_owned());
        loop {
            let (rows, next) = list(&query).await;
            paged.extend(rows);
            let Some(next) = next else { break };
            query = format!("limit=3&cursor={next}");
        }
        assert_eq!(paged, all, "{of}");
        server.get_as(&people.viewer, &format!("{of}?site=site-c")).await.refused(422, "unprocessable");
        server.get_as(&people.viewer, &format!("{of}?status=lost")).await.refused(400, "invalid_request");
        server.get_as(&people.viewer, &format!("{of}?cursor=x")).await.refused(400, "invalid_cursor");
    }
}

#[tokio::test]
async fn a_faq_is_written_ordered_published_and_deleted() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let write = async |body: Value| server.post_as(&people.agent, FAQS, body).await.ok(201).json();
    let first = write(json!({ "question": "First?", "answer_markdown": "*Yes.*", "site": "site-a" })).await;
    let second = write(json!({ "question": "Second?", "answer_markdown": "No.", "site": "site-a" })).await;
    assert!(second["position"].as_i64() > first["position"].as_i64());
    assert_eq!(first["answer_html"], "<p><em>Yes.</em></p>\n");
    for faq in [&first, &second] {
        server
            .call_as(&people.agent, Method::POST, &path(FAQS, faq, "/publish"), None)
            .await
            .refused(403, "permission_required");
        server.call_as(&people.admin, Method::POST, &path(FAQS, faq, "/publish"), None).await.ok(200);
    }
    server.patch_as(&people.agent, &path(FAQS, &second, ""), json!({ "position": -1 })).await.ok(200);
    let shown = server.get(&world.site_a.key, "/support/v1/help/faqs").await.ok(200).json();
    assert_eq!(shown["data"][0]["question"], "Second?");
    server.call_as(&people.admin, Method::POST, &path(FAQS, &second, "/archive"), None).await.ok(200);
    let shown = server.get(&world.site_a.key, "/support/v1/help/faqs").await.ok(200).json();
    assert!(!shown.to_string().contains("Second?"));
    server.delete_as(&people.agent, &path(FAQS, &second, "")).await.ok(204);
    server.get_as(&people.agent, &path(FAQS, &second, "")).await.refused(404, "not_found");
}

#[tokio::test]
async fn content_of_another_org_is_not_there_and_changes_of_ones_own_are_in_the_log() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    for (table, of) in [("articles", ARTICLES), ("faqs", FAQS)] {
        let foreign: uuid::Uuid = world
            .look(&format!("select id from vicket.{table} where org_id = '{}' limit 1", world.site_c.org_id))
            .await;
        let foreign = json!({ "id": foreign });
        for verb in ["/publish", "/unpublish", "/archive"] {
            server
                .call_as(&people.owner, Method::POST, &path(of, &foreign, verb), None)
                .await
                .refused(404, "not_found");
        }
        server.get_as(&people.owner, &path(of, &foreign, "")).await.refused(404, "not_found");
        server.patch_as(&people.owner, &path(of, &foreign, ""), json!({})).await.refused(404, "not_found");
        server.delete_as(&people.owner, &path(of, &foreign, "")).await.refused(404, "not_found");
    }
    let made = server
        .post_as(&people.owner, ARTICLES, json!({ "title": "Logged", "body_markdown": "x" }))
        .await
        .ok(201)
        .json();
    server.call_as(&people.owner, Method::POST, &path(ARTICLES, &made, "/publish"), None).await.ok(200);
    server.delete_as(&people.owner, &path(ARTICLES, &made, "")).await.ok(204);
    let log = server.get_as(&people.owner, "/v1/orgs/acme/audit-log?object=article&limit=3").await.ok(200).json();
    let told: Vec<_> = log["data"].as_array().expect("a list").iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(told, ["deleted", "updated", "created"]);
    assert_eq!(
        (&log["data"][1]["before"]["status"], &log["data"][1]["after"]["status"]),
        (&json!("draft"), &json!("published"))
    );
}
