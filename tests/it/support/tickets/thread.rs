//! Threads without end: read in pages, bounded in what they take and in what they answer.

use reqwest::Method;
use serde_json::{Value, json};

use super::{MESSAGES, THREAD, TICKETS, reply, text, without_limits};
use crate::harness::{Answer, Running, Site, World, ticket};

/// What an answer is not larger than.
const MEBIBYTE: usize = 1024 * 1024;

/// A ticket's id and its token.
async fn submit(server: &Running, site: &Site) -> (String, String) {
    let made = server.post(&site.key, TICKETS, &ticket()).await.ok(201).json();
    (text(&made["id"]), text(&made["token"]))
}

async fn page(server: &Running, site: &Site, token: &str, query: &str) -> Answer {
    let headers = [("X-Vicket-Key", site.key.as_str()), ("X-Vicket-Ticket", token)];
    server.call(Method::GET, &format!("{THREAD}?{query}"), &headers).await
}

fn bodies(page: &Value) -> Vec<String> {
    page["messages"].as_array().expect("messages").iter().map(|message| text(&message["body"])).collect()
}

/// The pages of a thread, the newest first.
async fn pages(server: &Running, site: &Site, token: &str, limit: u32) -> Vec<Answer> {
    let mut pages = vec![page(server, site, token, &format!("limit={limit}")).await];
    while let Some(cursor) = pages.last().expect("a page").ok(200).json()["next_cursor"].as_str() {
        pages.push(page(server, site, token, &format!("limit={limit}&cursor={cursor}")).await);
    }
    pages
}

#[tokio::test]
async fn a_thread_is_read_in_pages_the_newest_messages_first() {
    let world = World::new().await;
    let server = without_limits(&world).await;
    let site = &world.site_a;
    let (id, token) = submit(&server, site).await;
    let only = page(&server, site, &token, "").await.ok(200).json();
    assert_eq!((bodies(&only).len(), &only["next_cursor"]), (1, &Value::Null));
    world.converse(&id, 120, "'message ' || n").await;
    world
        .arrange("update vicket.ticket_messages set author = 'agent', internal = true where body = 'message 118'")
        .await;
    let mut all = vec!["Please help.".to_owned()];
    all.extend((1..=120).filter(|n| *n != 118).map(|n| format!("message {n}")));

    let first = page(&server, site, &token, "").await.ok(200).json();
    assert_eq!(bodies(&first), all[70..], "50, when nothing is said, and no note");
    for (limit, lengths) in
        [(50, vec![50, 50, 20]), (100, vec![100, 20]), (60, vec![60, 60]), (7, [vec![7; 17], vec![1]].concat())]
    {
        let pages: Vec<Vec<String>> =
            pages(&server, site, &token, limit).await.iter().map(|page| bodies(&page.json())).collect();
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), lengths, "{limit}");
        assert_eq!(pages.into_iter().rev().flatten().collect::<Vec<_>>(), all, "{limit}");
    }

    // What is said meanwhile moves no message to another page.
    let cursor = text(&first["next_cursor"]);
    let older = page(&server, site, &token, &format!("cursor={cursor}")).await;
    let message = reply(&server, site, &token, None, &json!({"body": "One more thing."})).await.ok(201).json();
    let again = page(&server, site, &token, &format!("cursor={cursor}")).await;
    assert_eq!(older.text, again.text);
    assert_eq!(page(&server, site, &token, "limit=1").await.json()["messages"], json!([message]));

    let etag = again.header("etag").expect("an ETag").to_owned();
    let headers = [("X-Vicket-Key", site.key.as_str()), ("X-Vicket-Ticket", &token), ("If-None-Match", &etag)];
    server.call(Method::GET, &format!("{THREAD}?cursor={cursor}"), &headers).await.ok(304);
    server.call(Method::GET, THREAD, &headers).await.ok(200);
}

#[tokio::test]
async fn a_limit_or_a_cursor_that_is_none_is_refused() {
    let world = World::new().await;
    let server = without_limits(&world).await;
    let site = &world.site_a;
    let (id, token) = submit(&server, site).await;
    world.converse(&id, 3, "'message ' || n").await;
    for limit in ["0", "101", "-1", "x", "", "1.5"] {
        page(&server, site, &token, &format!("limit={limit}")).await.refused(400, "invalid_request");
    }
    for name in ["one", "two"] {
        world.publish("acme", Some(site.id), name, name, "Text.").await;
    }
    let of_articles = server.get(&site.key, "/support/v1/help/articles?limit=1").await.ok(200).json();
    let next = text(&page(&server, site, &token, "limit=1").await.json()["next_cursor"]);
    for cursor in ["x", "AAAA", "not%20base64", &text(&of_articles["next_cursor"]), &next[1..]] {
        page(&server, site, &token, &format!("cursor={cursor}")).await.refused(400, "invalid_cursor");
    }
    // A cursor of another ticket is a place in time, and shows nothing of it.
    let (_, other) = submit(&server, site).await;
    assert_eq!(bodies(&page(&server, site, &other, &format!("cursor={next}")).await.ok(200).json()), [""; 0]);
}

#[tokio::test]
async fn no_page_of_a_thread_is_larger_than_a_mebibyte() {
    let world = World::new().await;
    let server = without_limits(&world).await;
    let site = &world.site_a;
    // As SQL: a character, and of how many messages of 20,000 of them.
    for (longest, count) in [
        ("repeat(chr(1), 20000)", 100),
        ("repeat('\"', 20000)", 100),
        ("repeat(chr(128512), 20000)", 50),
        ("repeat('[](/)', 4000)", 100),
        ("repeat('x', 20000)", 100),
    ] {
        let (id, token) = submit(&server, site).await;
        world.converse(&id, count, longest).await;
        let pages = pages(&server, site, &token, 100).await;
        let sizes: Vec<usize> = pages.iter().map(|page| page.text.len()).collect();
        println!("{longest}: {} messages in pages of {sizes:?} bytes", count + 1);
        assert!(sizes.iter().all(|size| *size <= MEBIBYTE), "{longest}: {sizes:?}");
        assert!(pages.len() > 1 && sizes[0] > 200_000, "pages are filled: {sizes:?}");
        let messages: usize = pages.iter().map(|page| bodies(&page.json()).len()).sum();
        assert_eq!(messages, count as usize + 1, "{longest}: each message is in one page");
    }

    // Files, as many and with as long names as there may be.
    let (id, token) = submit(&server, site).await;
    world.converse(&id, 100, "'message ' || n").await;
    world
        .arrange(&format!(
            "insert into vicket.attachments (org_id, site_id, ticket_id, message_id, upload_id, name, content_type, size, content)
              select m.org_id, m.site_id, m.ticket_id, m.id, m.id, repeat('\"', 255), 'text/plain', 1, 'x'
              from vicket.ticket_messages m, generate_series(1, 10) where m.ticket_id = '{id}'"
        ))
        .await;
    let pages = pages(&server, site, &token, 100).await;
    let sizes: Vec<usize> = pages.iter().map(|page| page.text.len()).collect();
    println!("files: pages of {sizes:?} bytes");
    assert!(pages.len() > 1 && sizes.iter().all(|size| *size <= MEBIBYTE), "{sizes:?}");
    for page in &pages {
        for message in page.json()["messages"].as_array().expect("messages") {
            assert_eq!(message["attachments"].as_array().map(Vec::len), Some(10), "{message}");
        }
    }
    let messages: usize = pages.iter().map(|page| bodies(&page.json()).len()).sum();
    assert_eq!(messages, 101);
}

/// Messages and bytes of a ticket: as the ticket counts them, and as they are.
async fn counted(world: &World, id: &str) -> (i64, i64) {
    let counted: String = world
        .look(&format!("select message_count || ' ' || message_bytes from vicket.tickets where id = '{id}'"))
        .await;
    let are: String = world
        .look(&format!(
            "select count(*) || ' ' || sum(octet_length(body)) from vicket.ticket_messages where ticket_id = '{id}'"
        ))
        .await;
    assert_eq!(counted, are);
    let (messages, bytes) = counted.split_once(' ').expect("two figures");
    (messages.parse().expect("a figure"), bytes.parse().expect("a figure"))
}

#[tokio::test]
async fn a_ticket_takes_a_thousand_messages_and_no_more() {
    let world = World::new().await;
    let server = without_limits(&world).await;
    let site = &world.site_a;
    let (id, token) = submit(&server, site).await;
    assert_eq!(counted(&world, &id).await, (1, 12), "the first message counts");
    world.converse(&id, 998, "'message ' || n").await;
    let body = json!({"body": "The last one."});
    reply(&server, site, &token, Some("the-last-one"), &body).await.ok(201);
    assert_eq!(counted(&world, &id).await.0, 1000);
    for idempotency_key in [None, Some("one-more")] {
        let refused = reply(&server, site, &token, idempotency_key, &json!({"body": "One more."})).await;
        refused.refused(409, "ticket_full");
        assert!(!refused.text.contains("constraint"), "{}", refused.text);
    }
    // A repeat of what was accepted before is no new message; reading goes on, and so do other tickets.
    reply(&server, site, &token, Some("the-last-one"), &body).await.ok(201);
    assert_eq!(counted(&world, &id).await.0, 1000);
    assert_eq!(pages(&server, site, &token, 100).await.len(), 10);
    let (_, other) = submit(&server, site).await;
    reply(&server, site, &other, None, &body).await.ok(201);

    // A closed ticket says that it is closed.
    world.arrange(&format!("update vicket.tickets set status = 'closed' where id = '{id}'")).await;
    reply(&server, site, &token, None, &body).await.refused(409, "ticket_closed");
}

#[tokio::test]
async fn a_ticket_takes_four_mebibytes_of_text_and_no_more() {
    let world = World::new().await;
    let server = without_limits(&world).await;
    let site = &world.site_a;
    let (id, token) = submit(&server, site).await;
    world.converse(&id, 52, "repeat(chr(128512), 20000)").await;
    world.converse(&id, 2, "repeat('x', ((4 * 1024 * 1024 - 12 - 52 * 80000 - 10) / 2)::integer)").await;
    assert_eq!(counted(&world, &id).await, (55, 4 * 1024 * 1024 - 10));
    reply(&server, site, &token, None, &json!({"body": "üüüüüx"})).await.refused(409, "ticket_full");
    reply(&server, site, &token, None, &json!({"body": "üüüüü"})).await.ok(201);
    assert_eq!(counted(&world, &id).await, (56, 4 * 1024 * 1024));
    reply(&server, site, &token, None, &json!({"body": "x"})).await.refused(409, "ticket_full");
}

#[tokio::test]
async fn of_two_replies_at_once_the_last_place_is_for_one() {
    let world = World::new().await;
    let server = without_limits(&world).await;
    let site = &world.site_a;
    for round in 0..5 {
        let (id, token) = submit(&server, site).await;
        world.converse(&id, 998, "'message ' || n").await;
        let send = async || {
            let request = server.request(Method::POST, MESSAGES).header("X-Vicket-Key", &site.key);
            Answer::of(request.header("X-Vicket-Ticket", &token).json(&json!({"body": "Me first."}))).await
        };
        let (one, other, third) = tokio::join!(send(), send(), send());
        let mut codes = [one.status, other.status, third.status];
        codes.sort_unstable();
        assert_eq!(codes, [201, 409, 409], "round {round}");
        assert_eq!(counted(&world, &id).await.0, 1000);
    }
}
