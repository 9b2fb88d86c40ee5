//! Tickets over HTTP: what may be submitted, what a repeat does, and who reads and answers a thread.

mod thread;

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Value, json};
use vicket::{dev::content, store};

use crate::harness::{Answer, Options, Running, Site, World, ticket};

const TICKETS: &str = "/support/v1/tickets";
const THREAD: &str = "/support/v1/tickets/thread";
const MESSAGES: &str = "/support/v1/tickets/thread/messages";

async fn without_limits(world: &World) -> Running {
    world.serve_with(Options { limits: false, ..Options::default() }).await
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// Submits with an Idempotency-Key.
async fn submit(server: &Running, site: &Site, idempotency_key: &str, body: &Value) -> Answer {
    let request = server.request(Method::POST, TICKETS).header("X-Vicket-Key", &site.key);
    Answer::of(request.header("Idempotency-Key", idempotency_key.as_bytes()).json(body)).await
}

/// A ticket's token.
async fn token(server: &Running, site: &Site) -> String {
    text(&server.post(&site.key, TICKETS, &ticket()).await.ok(201).json()["token"])
}

async fn thread(server: &Running, site: &Site, token: &str) -> Answer {
    server.call(Method::GET, THREAD, &[("X-Vicket-Key", &site.key), ("X-Vicket-Ticket", token)]).await
}

async fn reply(server: &Running, site: &Site, token: &str, idempotency_key: Option<&str>, body: &Value) -> Answer {
    let request = server.request(Method::POST, MESSAGES).header("X-Vicket-Key", &site.key);
    let request = request.header("X-Vicket-Ticket", token).json(body);
    Answer::of(match idempotency_key {
        Some(key) => request.header("Idempotency-Key", key),
        None => request,
    })
    .await
}

async fn count(world: &World, table: &str) -> i64 {
    world.look(&format!("select count(*) from vicket.{table}")).await
}

#[tokio::test]
async fn a_ticket_is_numbered_within_its_site_and_shows_its_token_once() {
    let world = World::new().await;
    let server = world.serve().await;
    let made = server.post(&world.site_a.key, TICKETS, &ticket()).await;
    assert_eq!(made.ok(201).header("cache-control"), Some("no-store"));
    let made = made.json();
    let members: Vec<&str> = made.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(members, ["id", "number", "reference", "status", "subject", "created_at", "message_id", "token"]);
    assert_eq!((&made["status"], &made["subject"]), (&"open".into(), &"Help".into()));
    let token = text(&made["token"]);
    assert_eq!((token.len(), &token[..3]), (46, "tk_"));
    let hashed = format!("select count(*) from vicket.ticket_tokens where token_hash = sha256('{token}'::bytea)");
    assert_eq!(world.look::<i64>(&hashed).await, 1);
    assert!(!thread(&server, &world.site_a, &token).await.ok(200).text.contains("tk_"));

    for (site, number) in [(&world.site_a, 2), (&world.site_b, 1), (&world.site_c, 1), (&world.site_a, 3)] {
        let made = server.post(&site.key, TICKETS, &ticket()).await.ok(201).json();
        assert_eq!(made["number"], number, "{}", site.slug);
    }
}

#[tokio::test]
async fn a_ticket_begins_with_the_defaults_and_counts_its_message_and_what_is_said_of_its_status_leads() {
    let world = World::new().await;
    let server = world.serve().await;
    server.post(&world.site_a.key, TICKETS, &ticket()).await.ok(201);
    let begun =
        "select concat_ws(' ', t.status, s.name, p.name, t.message_count, t.message_bytes - octet_length(m.body))
        from vicket.tickets t
        join vicket.ticket_messages m on m.ticket_id = t.id
        join vicket.statuses s on s.id = t.status_id
        join vicket.priorities p on p.id = t.priority_id";
    assert_eq!(world.look::<String>(begun).await, "open Open Normal 1 0");

    let (org, site) = (world.site_a.org_id, world.site_a.id);
    let resolved = format!("(select id from vicket.statuses where org_id = '{org}' and category = 'resolved')");
    // A category that is said chooses the status, a status its category, and of both the status leads.
    for (columns, values, is) in [
        ("status", "'pending'".to_owned(), "pending Pending"),
        ("status", "'custom'".to_owned(), "open Open"),
        ("status_id", resolved.clone(), "resolved Resolved"),
        ("status, status_id", format!("'closed', {resolved}"), "resolved Resolved"),
        ("number", "41".to_owned(), "open Open"),
    ] {
        world
            .arrange(&format!(
                "insert into vicket.tickets (org_id, site_id, email, subject, {columns})
                 values ('{org}', '{site}', 'said@example.com', 'Hello', {values})"
            ))
            .await;
        let said = "select t.status || ' ' || s.name from vicket.tickets t join vicket.statuses s on s.id = t.status_id
            order by t.number desc limit 1";
        assert_eq!(world.look::<String>(said).await, is, "{columns}");
    }
    let made = server.post(&world.site_a.key, TICKETS, &ticket()).await.ok(201).json();
    assert_eq!(made["number"], 42, "after the number that was said");
}

#[tokio::test]
async fn the_longest_input_is_taken_and_one_character_more_is_not() {
    let world = World::new().await;
    let server = without_limits(&world).await;
    let key = &world.site_a.key;
    let email = |length: usize| format!("{}@example.com", "a".repeat(length - "@example.com".len()));
    let mut accepted = 0;
    for (field, longest, too_long) in [
        ("email", email(254), email(255)),
        ("name", "ü".repeat(200), "ü".repeat(201)),
        ("name", "n".repeat(200), "n".repeat(201)),
        ("subject", "漢".repeat(200), "漢".repeat(201)),
        ("message", "😀".repeat(20_000), "😀".repeat(20_001)),
        ("message", "m".repeat(20_000), "m".repeat(20_001)),
    ] {
        let mut body = ticket();
        body[field] = longest.into();
        server.post(key, TICKETS, &body).await.ok(201);
        accepted += 1;
        body[field] = too_long.into();
        let refused = server.post(key, TICKETS, &body).await;
        refused.refused(400, "invalid_request");
        assert_eq!(refused.fields(), [field]);
    }
    assert_eq!(count(&world, "tickets").await, accepted);

    let token = token(&server, &world.site_a).await;
    let long = "ß".repeat(20_000);
    let made = reply(&server, &world.site_a, &token, None, &json!({"body": long})).await.ok(201).json();
    assert_eq!(made["body"], long);
    let refused = reply(&server, &world.site_a, &token, None, &json!({"body": format!("{long}ß")})).await;
    refused.refused(400, "invalid_request");
    assert_eq!(refused.fields(), ["body"]);
}

#[tokio::test]
async fn unacceptable_input_is_named_field_by_field_and_nothing_is_written() {
    let world = World::new().await;
    let server = without_limits(&world).await;
    let key = &world.site_a.key;
    let mut cases = vec![
        ("email", json!("nobody")),
        ("email", json!("ada@localhost")),
        ("email", json!("ada@example.com\r\nBcc: eve@example.com")),
        ("name", json!(" ")),
        ("name", json!("a\u{0}b")),
        ("template_id", json!("not-a-uuid")),
        ("template_id", json!(5)),
        ("answers", json!("text")),
        ("answers", json!({"question": 5})),
        ("site_id", json!(world.site_b.id)),
        ("status", json!("closed")),
        ("number", json!(1)),
        ("Subject", json!("Help")),
        ("", json!(1)),
        ("field`\u{0}`", json!(1)),
    ];
    for field in ["email", "subject", "message"] {
        for value in
            [json!(null), json!(5), json!(true), json!([]), json!({}), json!(["a"]), json!(""), json!(" \n\u{2003}\t")]
        {
            cases.push((field, value));
        }
        cases.push((field, json!("a\u{0}b@example.com")));
    }
    for value in [json!(5), json!(false), json!([]), json!({})] {
        cases.push(("name", value));
    }
    for (field, value) in cases {
        let mut body = ticket();
        body[field] = value.clone();
        let answer = server.post(key, TICKETS, &body).await;
        answer.refused(400, "invalid_request");
        assert_eq!(
            answer.fields(),
            [field.replace('\0', "\\0").split('`').next().expect("one")],
            "{value}: {answer:?}"
        );
    }
    for field in ["email", "subject", "message"] {
        let mut body = ticket();
        body.as_object_mut().expect("an object").remove(field);
        let answer = server.post(key, TICKETS, &body).await;
        answer.refused(400, "invalid_request");
        assert_eq!(answer.fields(), [field]);
    }
    let several = json!({"email": "nobody", "name": "", "subject": 5, "template_id": "x"});
    let answer = server.post(key, TICKETS, &several).await;
    answer.refused(400, "invalid_request");
    assert_eq!(answer.fields(), ["email", "name", "subject", "message", "template_id"]);

    for body in [json!([]), json!("text"), json!(5), json!(null), json!([ticket()])] {
        server.post(key, TICKETS, &body).await.refused(400, "invalid_request");
    }
    // Well-formed, but of something that is not there.
    for (field, value) in [("template_id", json!(world.site_a.id)), ("answers", json!({"question": "answer"}))] {
        let mut body = ticket();
        body[field] = value;
        let answer = server.post(key, TICKETS, &body).await;
        answer.refused(422, "unprocessable");
        assert_eq!(answer.fields(), [field]);
    }
    for table in ["tickets", "ticket_messages", "ticket_tokens", "submissions"] {
        assert_eq!(count(&world, table).await, 0, "{table}");
    }

    let token = token(&server, &world.site_a).await;
    for body in [json!({}), json!({"body": " "}), json!({"body": 5}), json!({"body": null}), json!({"body": "a\u{0}"})]
    {
        let answer = reply(&server, &world.site_a, &token, None, &body).await;
        answer.refused(400, "invalid_request");
        assert_eq!(answer.fields(), ["body"], "{body}");
    }
    for field in ["internal", "author", "author_name", "ticket_id"] {
        let answer = reply(&server, &world.site_a, &token, None, &json!({"body": "Hello", field: "agent"})).await;
        answer.refused(400, "invalid_request");
        assert_eq!(answer.fields(), [field]);
    }
    assert_eq!(count(&world, "ticket_messages").await, 1);

    // What a form leaves empty may be left out or null.
    for (field, value) in
        [("name", json!(null)), ("template_id", json!(null)), ("answers", json!(null)), ("answers", json!({}))]
    {
        let mut body = ticket();
        body[field] = value;
        server.post(key, TICKETS, &body).await.ok(201);
    }
    server.post(key, TICKETS, &json!({"email": "a@b.example", "subject": "s", "message": "m"})).await.ok(201);
    assert_eq!(world.look::<i64>("select count(*) from vicket.tickets where name is null").await, 2);
}

#[tokio::test]
async fn only_json_of_a_bounded_size_is_read() {
    let world = World::new().await;
    let server = without_limits(&world).await;
    let key = world.site_a.key.as_str();
    let body = ticket().to_string();
    let typed = |content_type| vec![("X-Vicket-Key", key), ("Content-Type", content_type)];

    for content_type in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
        server.post_text(TICKETS, &typed(content_type), body.clone()).await.ok(201);
    }
    for content_type in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx", "json", "a/b/c"]
    {
        server.post_text(TICKETS, &typed(content_type), body.clone()).await.refused(415, "unsupported_media_type");
    }
    server.post_text(TICKETS, &[("X-Vicket-Key", key)], body.clone()).await.refused(415, "unsupported_media_type");

    for broken in
        ["", "{", "{\"email\":", "nonsense", "{'email': 1}", &format!("{body}{body}"), &body.replace('}', ",}")]
    {
        server.post_text(TICKETS, &typed("application/json"), broken.to_owned()).await.refused(400, "invalid_request");
    }
    let not_utf8 = [&body.as_bytes()[..body.len() - 2], b"\xff\xfe\"}"].concat();
    server.post_text(TICKETS, &typed("application/json"), not_utf8).await.refused(400, "invalid_request");

    // 128 KiB to the byte, by white space, and one more.
    let cap = 128 * 1024;
    let padded = |length: usize| format!("{}{body}", " ".repeat(length - body.len()));
    server.post_text(TICKETS, &typed("application/json"), padded(cap)).await.ok(201);
    server.post_text(TICKETS, &typed("application/json"), padded(cap + 1)).await.refused(413, "body_too_large");
    let head = format!(
        "POST {TICKETS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Vicket-Key: {key}\r\nContent-Type: application/json\r\n"
    );
    let declared = format!("{head}Content-Length: 99999999999\r\n\r\n{{");
    server.raw(declared.as_bytes()).await.refused(413, "body_too_large");
    let chunked = |length: usize| {
        let text = padded(length);
        let chunks: Vec<String> = text
            .as_bytes()
            .chunks(16 * 1024)
            .map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), std::str::from_utf8(chunk).expect("ASCII")))
            .collect();
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunks.concat())
    };
    server.raw(chunked(cap).as_bytes()).await.ok(201);
    server.raw(chunked(cap + 1).as_bytes()).await.refused(413, "body_too_large");
    assert_eq!(count(&world, "tickets").await, 5);
}

#[tokio::test]
async fn a_repeated_submission_is_the_same_ticket_with_a_further_token() {
    let world = World::new().await;
    let server = without_limits(&world).await;
    let site = &world.site_a;
    let first = submit(&server, site, "once", &ticket()).await.ok(201).json();
    // The same request, however it is written.
    let mut null_answers = ticket();
    null_answers["answers"] = json!({});
    let mut tokens = HashSet::from([text(&first["token"])]);
    for body in [ticket(), null_answers] {
        let again = submit(&server, site, "once", &body).await.ok(201).json();
        for member in ["id", "number", "reference", "subject", "status", "created_at"] {
            assert_eq!(again[member], first[member], "{member}");
        }
        tokens.insert(text(&again["token"]));
    }
    assert_eq!(tokens.len(), 3);
    for token in &tokens {
        assert_eq!(thread(&server, site, token).await.ok(200).json()["id"], first["id"]);
    }
    assert_eq!((count(&world, "tickets").await, count(&world, "ticket_messages").await), (1, 1));

    for (field, value) in
        [("email", json!("eve@example.com")), ("name", json!(null)), ("subject", json!("Hel")), ("message", json!("p"))]
    {
        let mut other = ticket();
        other[field] = value;
        submit(&server, site, "once", &other).await.refused(409, "idempotency_conflict");
    }
    // Text that moves from one field to the next is another request.
    submit(&server, site, "border", &json!({"email": "a@b.example", "subject": "ab", "message": "c"})).await.ok(201);
    let moved = json!({"email": "a@b.example", "subject": "a", "message": "bc"});
    submit(&server, site, "border", &moved).await.refused(409, "idempotency_conflict");
    // A key that was used for a ticket is not free for a reply.
    let token = text(&first["token"]);
    reply(&server, site, &token, Some("once"), &json!({"body": "Hello"})).await.refused(409, "idempotency_conflict");
    // A request that was refused has not used its key up.
    submit(&server, site, "later", &json!({"email": "nobody"})).await.refused(400, "invalid_request");
    submit(&server, site, "later", &ticket()).await.ok(201);

    // Another site has keys of its own; without a key a repeat is another ticket.
    let other =
        submit(&server, &world.site_b, "once", &json!({"email": "a@b.example", "subject": "s", "message": "m"})).await;
    assert_eq!(other.ok(201).json()["number"], 1);
    let plain = server.post(&site.key, TICKETS, &ticket()).await.ok(201).json();
    assert_ne!(plain["id"], first["id"]);
}

#[tokio::test]
async fn an_idempotency_key_is_forgotten_after_24_hours() {
    let world = World::new().await;
    let server = without_limits(&world).await;
    let site = &world.site_a;
    let first = submit(&server, site, "daily", &ticket()).await.ok(201).json();
    let age = async |by: &str| {
        world.arrange(&format!("update vicket.submissions set created_at = created_at - interval '{by}'")).await;
    };
    age("23 hours 59 minutes").await;
    assert_eq!(submit(&server, site, "daily", &ticket()).await.ok(201).json()["id"], first["id"]);
    age("2 minutes").await;
    let second = submit(&server, site, "daily", &ticket()).await.ok(201).json();
    assert_ne!(second["id"], first["id"]);
    assert_eq!(submit(&server, site, "daily", &ticket()).await.ok(201).json()["id"], second["id"]);
    thread(&server, site, &text(&first["token"])).await.ok(200);
    age("25 hours").await;
    let mut other = ticket();
    other["subject"] = "Something else".into();
    submit(&server, site, "daily", &other).await.ok(201);
    age("25 hours").await;
    store::usage::purge_expired(&server.app.worker).await.expect("purged");
    assert_eq!(count(&world, "submissions").await, 0);
    assert_eq!(count(&world, "tickets").await, 3);
}

#[tokio::test]
async fn repeats_at_once_make_one_ticket_and_one_message() {
    let world = World::new().await;
    let server = without_limits(&world).await;
    let site = &world.site_a;
    let at_once = async |path: &str, token: &str, body: &Value| {
        let requests: Vec<_> = (0..8)
            .map(|_| {
                let request = server.request(Method::POST, path).header("X-Vicket-Key", &site.key).json(body);
                let request = request.header("X-Vicket-Ticket", token).header("Idempotency-Key", "hasty");
                tokio::spawn(Answer::of(request))
            })
            .collect();
        let mut answers = Vec::new();
        for request in requests {
            answers.push(request.await.expect("an answer").ok(201).json());
        }
        let ids: HashSet<String> = answers.iter().map(|answer| text(&answer["id"])).collect();
        assert_eq!(ids.len(), 1, "{answers:?}");
        answers
    };
    let made = at_once(TICKETS, "none", &ticket()).await;
    let tokens: HashSet<String> = made.iter().map(|ticket| text(&ticket["token"])).collect();
    assert_eq!(tokens.len(), 8);
    assert_eq!((count(&world, "tickets").await, count(&world, "ticket_messages").await), (1, 1));
    for token in &tokens {
        thread(&server, site, token).await.ok(200);
    }
    world.arrange("delete from vicket.submissions").await;
    at_once(MESSAGES, &text(&made[0]["token"]), &json!({"body": "Again."})).await;
    assert_eq!(count(&world, "ticket_messages").await, 2);
}

#[tokio::test]
async fn an_idempotency_key_is_one_visible_ascii_text_of_at_most_255_characters() {
    let world = World::new().await;
    let server = without_limits(&world).await;
    let site = &world.site_a;
    for good in ["x", &"k".repeat(255), "!~\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}"] {
        submit(&server, site, good, &ticket()).await.ok(201);
    }
    let token = token(&server, site).await;
    for bad in ["", &"k".repeat(256), "schlüssel", "two words", "tab\tbed"] {
        for (path, body) in [(TICKETS, ticket()), (MESSAGES, json!({"body": "Hello"}))] {
            let request = server.request(Method::POST, path).header("X-Vicket-Key", &site.key).json(&body);
            let request = request.header("X-Vicket-Ticket", &token).header("Idempotency-Key", bad.as_bytes());
            let answer = Answer::of(request).await;
            answer.refused(400, "invalid_request");
            assert_eq!(answer.fields(), ["Idempotency-Key"], "{bad}");
        }
    }
    let twice = server.request(Method::POST, TICKETS).header("X-Vicket-Key", &site.key).json(&ticket());
    let twice = Answer::of(twice.header("Idempotency-Key", "a").header("Idempotency-Key", "a")).await;
    twice.refused(400, "invalid_request");
    assert_eq!((count(&world, "tickets").await, count(&world, "ticket_messages").await), (4, 4));
}

#[tokio::test]
async fn a_repeated_reply_is_the_same_message() {
    let world = World::new().await;
    let server = without_limits(&world).await;
    let site = &world.site_a;
    let made = submit(&server, site, "ticket", &ticket()).await.ok(201).json();
    let token_again = text(&submit(&server, site, "ticket", &ticket()).await.ok(201).json()["token"]);
    let token_of_made = text(&made["token"]);
    let body = json!({"body": "Any news?"});

    let first = reply(&server, site, &token_of_made, Some("once"), &body).await.ok(201).json();
    for token in [&token_of_made, &token_again] {
        assert_eq!(reply(&server, site, token, Some("once"), &body).await.ok(201).json(), first);
    }
    let other = json!({"body": "Any news yet?"});
    reply(&server, site, &token_of_made, Some("once"), &other).await.refused(409, "idempotency_conflict");
    submit(&server, site, "once", &ticket()).await.refused(409, "idempotency_conflict");
    assert_ne!(reply(&server, site, &token_of_made, Some("twice"), &body).await.ok(201).json()["id"], first["id"]);
    assert_ne!(reply(&server, site, &token_of_made, None, &body).await.ok(201).json()["id"], first["id"]);
    assert_eq!(count(&world, "ticket_messages").await, 4);

    // The same words to another ticket are another request, not a message that went nowhere.
    let second = token(&server, site).await;
    reply(&server, site, &second, Some("once"), &body).await.refused(409, "idempotency_conflict");
    // Another site's customer has the key for himself.
    let elsewhere = token(&server, &world.site_b).await;
    let elsewhere = reply(&server, &world.site_b, &elsewhere, Some("once"), &body).await.ok(201).json();
    assert_ne!(elsewhere["id"], first["id"]);

    world.arrange("update vicket.submissions set created_at = created_at - interval '25 hours'").await;
    assert_ne!(reply(&server, site, &token_of_made, Some("once"), &body).await.ok(201).json()["id"], first["id"]);
}

#[tokio::test]
async fn a_thread_has_the_conversation_in_order_and_never_internal_notes() {
    let world = World::new().await;
    let server = world.serve().await;
    let site = &world.site_a;
    let made = server.post(&site.key, TICKETS, &ticket()).await.ok(201).json();
    let (id, token) = (text(&made["id"]).parse().expect("a UUID"), text(&made["token"]));
    let agent = async |body: &'static str, internal: bool| {
        let write = async |tx: &mut vicket::db::OrgTx| {
            content::insert_agent_message(tx, site.id, id, "Grace", body, internal).await
        };
        world.administer("acme", write).await.expect("written");
    };
    agent("Have you tried turning it off?", false).await;
    agent("This customer is a nuisance.", true).await;
    reply(&server, site, &token, None, &json!({"body": "Yes. <script>alert(1)</script>"})).await.ok(201);
    agent("And on again?", false).await;

    let answer = thread(&server, site, &token).await;
    assert!(!answer.text.contains("nuisance") && !answer.text.contains("internal"), "{answer:?}");
    let read = answer.ok(200).json();
    let members: Vec<&str> = read.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(members, ["id", "number", "reference", "subject", "status", "created_at", "messages", "next_cursor"]);
    for member in ["id", "number", "reference", "subject", "status", "created_at"] {
        assert_eq!(read[member], made[member], "{member}");
    }
    let messages = read["messages"].as_array().expect("a list");
    let said: Vec<(String, String, String)> = messages
        .iter()
        .map(|message| (text(&message["author"]), text(&message["author_name"]), text(&message["body"])))
        .collect();
    let expected = [
        ("customer", "Ada", "Please help."),
        ("agent", "Grace", "Have you tried turning it off?"),
        ("customer", "Ada", "Yes. <script>alert(1)</script>"),
        ("agent", "Grace", "And on again?"),
    ];
    assert_eq!(said, expected.map(|(author, name, body)| (author.to_owned(), name.to_owned(), body.to_owned())));
    let members: Vec<&str> = messages[1].as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(members, ["id", "author", "author_name", "body", "body_html", "created_at", "attachments"]);
    assert_eq!(messages[1]["attachments"], json!([]));

    // What was read is read again only when it changed.
    let etag = answer.header("etag").expect("an ETag").to_owned();
    let headers = [("X-Vicket-Key", site.key.as_str()), ("X-Vicket-Ticket", &token), ("If-None-Match", &etag)];
    server.call(Method::GET, THREAD, &headers).await.ok(304);
    agent("Still between us.", true).await;
    server.call(Method::GET, THREAD, &headers).await.ok(304);
    agent("Hello?", false).await;
    server.call(Method::GET, THREAD, &headers).await.ok(200);
    assert!(answer.list("vary").contains(&"x-vicket-ticket".to_owned()));

    // A customer without a name is one, and another customer's thread is another.
    let nameless =
        server.post(&site.key, TICKETS, &json!({"email": "a@b.example", "subject": "s", "message": "m"})).await;
    let nameless = thread(&server, site, &text(&nameless.ok(201).json()["token"])).await.ok(200).json();
    assert_eq!(
        (nameless["messages"].as_array().map(Vec::len), &nameless["messages"][0]["author_name"]),
        (Some(1), &Value::Null)
    );
}

#[tokio::test]
async fn a_token_opens_its_ticket_on_its_site_and_any_other_opens_nothing() {
    let world = World::new().await;
    let server = without_limits(&world).await;
    let (a, b, c) = (&world.site_a, &world.site_b, &world.site_c);
    let token_a = token(&server, a).await;
    let (token_b, token_c) = (token(&server, b).await, token(&server, c).await);
    let body = json!({"body": "Let me in."});
    for (site, token) in [(a, &token_a), (b, &token_b), (c, &token_c)] {
        thread(&server, site, token).await.ok(200);
        reply(&server, site, token, None, &body).await.ok(201);
    }
    let messages = count(&world, "ticket_messages").await;
    let status = "select count(*) from vicket.ticket_messages where body = 'Let me in.'";

    let absent = server.call(Method::GET, THREAD, &[("X-Vicket-Key", &a.key)]).await;
    absent.refused(404, "not_found");
    let absent_reply = server.post(&a.key, MESSAGES, &body).await;
    absent_reply.refused(404, "not_found");
    let unknown = format!("tk_{}", "A".repeat(43));
    let shortened = token_a[..45].to_owned();
    let lengthened = format!("{token_a}A");
    let as_hash = "0".repeat(64);
    let long = "t".repeat(2000);
    for bad in [
        &token_b,
        &token_c,
        &unknown,
        &shortened,
        &lengthened,
        &as_hash,
        &long,
        &a.key,
        &String::new(),
        &"ü".to_owned(),
    ] {
        let answer = thread(&server, a, bad).await;
        assert_eq!(answer.comparable(), absent.comparable(), "{bad}");
        for idempotency_key in [None, Some("k")] {
            let answer = reply(&server, a, bad, idempotency_key, &body).await;
            assert_eq!(answer.comparable(), absent_reply.comparable(), "{bad}");
        }
    }
    // The right token with another site's key, that of the same org's other site too.
    for site in [b, c] {
        assert_eq!(thread(&server, site, &token_a).await.comparable(), absent.comparable());
        assert_eq!(reply(&server, site, &token_a, None, &body).await.comparable(), absent_reply.comparable());
    }
    let twice = [("X-Vicket-Key", a.key.as_str()), ("X-Vicket-Ticket", &token_a), ("X-Vicket-Ticket", &token_a)];
    assert_eq!(server.call(Method::GET, THREAD, &twice).await.comparable(), absent.comparable());
    // A token is no key, and without one opens nothing.
    server.call(Method::GET, THREAD, &[("X-Vicket-Ticket", &token_a)]).await.refused(401, "key_missing");
    thread(
        &server,
        &Site {
            key: token_a.clone(),
            ..Site { org: a.org, slug: a.slug, org_id: a.org_id, id: a.id, key: String::new(), origin: a.origin }
        },
        &token_a,
    )
    .await
    .refused(401, "key_invalid");
    assert_eq!(count(&world, "ticket_messages").await, messages);
    assert_eq!(world.look::<i64>(status).await, 3);

    // A ticket that was deleted takes its tokens with it.
    world.arrange(&format!("delete from vicket.tickets where site_id = '{}'", a.id)).await;
    assert_eq!(thread(&server, a, &token_a).await.comparable(), absent.comparable());
}

#[tokio::test]
async fn a_reply_reopens_a_resolved_ticket_and_is_refused_by_a_closed_one() {
    let world = World::new().await;
    let server = without_limits(&world).await;
    let site = &world.site_a;
    let made = server.post(&site.key, TICKETS, &ticket()).await.ok(201).json();
    let (id, token) = (text(&made["id"]).parse().expect("a UUID"), text(&made["token"]));
    let body = json!({"body": "One more thing."});
    let mut messages = 1;
    for (before, after) in [("open", "open"), ("pending", "open"), ("resolved", "open")] {
        let set = async |tx: &mut vicket::db::OrgTx| content::set_ticket_status(tx, site.id, id, before).await;
        world.administer("acme", set).await.expect("set");
        assert_eq!(thread(&server, site, &token).await.ok(200).json()["status"], before);
        let message = reply(&server, site, &token, Some(before), &body).await;
        assert_eq!(message.ok(201).header("cache-control"), Some("no-store"));
        let message = message.json();
        assert_eq!(
            (&message["author"], &message["author_name"], &message["body"]),
            (&"customer".into(), &"Ada".into(), &body["body"])
        );
        messages += 1;
        let read = thread(&server, site, &token).await.ok(200).json();
        assert_eq!((&read["status"], read["messages"].as_array().map(Vec::len)), (&after.into(), Some(messages)));
    }
    let set = async |tx: &mut vicket::db::OrgTx| content::set_ticket_status(tx, site.id, id, "closed").await;
    world.administer("acme", set).await.expect("set");
    for idempotency_key in [None, Some("new")] {
        reply(&server, site, &token, idempotency_key, &body).await.refused(409, "ticket_closed");
    }
    // A repeat of what was accepted before is no new message.
    reply(&server, site, &token, Some("resolved"), &body).await.ok(201);
    let read = thread(&server, site, &token).await.ok(200).json();
    assert_eq!((&read["status"], read["messages"].as_array().map(Vec::len)), (&"closed".into(), Some(messages)));
}
