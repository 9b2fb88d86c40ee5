//! The support surface as a support page uses it: its site, its questions and answers, a ticket from start to end.

use crate::harness::{Answer, World, faq, ticket};

#[tokio::test]
async fn a_ticket_is_submitted_read_and_answered_with_its_token() {
    let world = World::new().await;
    let server = world.serve().await;
    let made = server.post(&world.site_a.key, "/support/v1/tickets", &ticket()).await.ok(201).json();
    assert_eq!(made["number"], 1);
    let token = made["token"].as_str().expect("a token");
    let with_token = |request: reqwest::RequestBuilder| {
        request.header("X-Vicket-Key", &world.site_a.key).header("X-Vicket-Ticket", token)
    };
    let reply = server.request(reqwest::Method::POST, "/support/v1/tickets/thread/messages");
    let reply = with_token(reply).json(&serde_json::json!({"body": "And another thing."}));
    Answer::of(reply).await.ok(201);
    let thread = Answer::of(with_token(server.request(reqwest::Method::GET, "/support/v1/tickets/thread"))).await;
    let thread = thread.ok(200).json();
    assert_eq!(thread["messages"][0]["body"], "Please help.");
    assert_eq!(thread["messages"][1]["body"], "And another thing.");
}

#[tokio::test]
async fn a_site_says_what_its_page_needs_to_draw_itself() {
    let world = World::new().await;
    let server = world.serve().await;
    let site = server.get(&world.site_a.key, "/support/v1/site").await.ok(200).json();
    let expected = serde_json::json!({
        "name": "site-a", "slug": "site-a", "org_name": "acme", "article_count": 2, "faq_count": 2,
        "limits": {"email": 254, "name": 200, "subject": 200, "message": 20_000,
            "files": {
                "max_files": 10,
                "max_bytes": 10_485_760,
                "max_message_bytes": 26_214_400,
                "types": ["image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf", "text/plain"],
            }},
    });
    assert_eq!(site, expected);
    let other = server.get(&world.site_c.key, "/support/v1/site").await.ok(200).json();
    assert_eq!((&other["slug"], &other["org_name"]), (&"site-c".into(), &"globex".into()));
}

#[tokio::test]
async fn faqs_come_in_their_order_rendered_and_without_drafts() {
    let world = World::new().await;
    let server = world.serve().await;
    world
        .administer("acme", async |tx| {
            for question in ["Third?", "First?", "Second?"] {
                faq(tx, Some(world.site_b.id), question, true).await;
            }
            Ok(())
        })
        .await
        .expect("written");
    for (question, position) in [("First?", -5), ("Second?", 7), ("Third?", 8)] {
        world.arrange(&format!("update vicket.faqs set position = {position} where question = '{question}'")).await;
    }
    world.arrange("update vicket.faqs set status = 'archived' where question = 'A question of site-c?'").await;

    let of_b = server.get(&world.site_b.key, "/support/v1/help/faqs").await;
    let questions = of_b.each("question");
    assert_eq!([&questions[0], &questions[3], &questions[4]], ["First?", "Second?", "Third?"]);
    // Two share a position; which of them comes first is theirs.
    let mut between = questions[1..3].to_vec();
    between.sort_unstable();
    assert_eq!(between, ["A question for all sites of acme?", "A question of site-b?"]);
    let page = of_b.json();
    assert!(page["next_cursor"].is_null());
    let first = page["data"][0].as_object().expect("an object");
    let members: Vec<&str> = first.keys().map(String::as_str).collect();
    assert_eq!(members, ["id", "question", "answer_markdown", "answer_html", "position"]);
    assert_eq!(
        (&first["answer_markdown"], &first["answer_html"]),
        (&"*Yes.*".into(), &"<p><em>Yes.</em></p>\n".into())
    );

    let questions = server.get(&world.site_c.key, "/support/v1/help/faqs").await.each("question");
    assert_eq!(questions, ["A question for all sites of globex?"]);
}
