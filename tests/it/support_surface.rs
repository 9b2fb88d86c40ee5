//! The calls of the support surface, each as a support page makes it.

use crate::harness::{World, ticket};

#[tokio::test]
async fn a_key_reads_its_sites_published_articles_and_its_orgs() {
    let world = World::new().await;
    let server = world.serve().await;
    let page = server.get(&world.site_a.key, "/support/v1/help/articles").await.ok(200).json();
    let mut slugs: Vec<&str> =
        page["data"].as_array().expect("a list").iter().map(|a| a["slug"].as_str().expect("text")).collect();
    slugs.sort_unstable();
    assert_eq!(slugs, ["for-all-sites", "site-a-published"]);
}

#[tokio::test]
async fn a_ticket_is_submitted_read_and_answered_with_its_token() {
    let world = World::new().await;
    let server = world.serve().await;
    let made = server.post(&world.site_a.key, "/support/v1/tickets", &ticket()).await.ok(201).json();
    assert_eq!(made["number"], 1);
    let token = made["token"].as_str().expect("a token");
    assert_eq!(token.len(), 46);
    let thread = server
        .request(reqwest::Method::GET, "/support/v1/tickets/thread")
        .header("X-Vicket-Key", &world.site_a.key)
        .header("X-Vicket-Ticket", token);
    let thread = crate::harness::Answer::of(thread).await.ok(200).json();
    assert_eq!(thread["messages"][0]["body"], "Please help.");
}
