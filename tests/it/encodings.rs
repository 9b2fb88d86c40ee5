//! What is sent encoded, to whom, and what browsers and caches are told of it; and what never is.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    dashboard::{ask, token},
    harness::{Answer, Options, Running, World, faq, ticket},
    support::attachments::multipart,
};

const LIST: &str = "/support/v1/help/articles";
const ARTICLE: &str = "/support/v1/help/articles/long";
const FAQS: &str = "/support/v1/help/faqs";
const THREAD: &str = "/support/v1/tickets/thread";
const CODINGS: [&str; 2] = ["gzip", "br"];

/// A site with much to read.
async fn filled() -> World {
    let world = World::new().await;
    let site = Some(world.site_a.id);
    for n in 0..10 {
        world.publish("acme", site, &format!("article-{n}"), &format!("The article {n}"), "It *says* this.").await;
    }
    let text = "Open the settings, choose a **theme**, and save. Änderungen wirken sofort.\n\n".repeat(30);
    world.publish("acme", site, "long", "A long one", &text).await;
    let mut tx = world.org("acme").await;
    for n in 0..10 {
        faq(&mut tx, site, &format!("How often do I ask question {n}?"), true).await;
    }
    tx.commit().await.expect("commit");
    world
}

async fn serve(world: &World, answer_cache_mib: u64) -> Running {
    world.serve_with(Options { answer_cache_mib, limits: false, ..Options::default() }).await
}

/// A ticket with a long thread: its id and token.
async fn long_ticket(world: &World, server: &Running, words: u32) -> (String, String) {
    let made = server.post(&world.site_a.key, "/support/v1/tickets", &ticket()).await.ok(201).json();
    let text = |field: &str| made[field].as_str().expect("text").to_owned();
    let id = text("id");
    world.converse(&id, 20, &format!("repeat('What I wrote. ', {words})")).await;
    (id, text("token"))
}

/// How many bytes the body had on its way.
fn sent(answer: &Answer) -> usize {
    answer.header("content-length").and_then(|length| length.parse().ok()).expect("a length")
}

fn without_count(answer: &Answer) -> Value {
    let mut body = answer.json();
    body.as_object_mut().expect("an object").remove("view_count");
    body
}

#[tokio::test]
async fn reads_are_sent_as_a_client_can_read_them_and_are_known_by_their_tags_in_any_coding() {
    let world = filled().await;
    let server = serve(&world, 8).await;
    let site = &world.site_a;
    let (_, token) = long_ticket(&world, &server, 3).await;
    for path in [LIST, ARTICLE, FAQS, THREAD] {
        let ask = async |method: Method, accepted: &str, known: &str| {
            let headers = [
                ("X-Vicket-Key", site.key.as_str()),
                ("X-Vicket-Ticket", &token),
                ("Origin", site.origin),
                ("Accept-Encoding", accepted),
                ("If-None-Match", known),
            ];
            server.call(method, path, &headers).await
        };
        let plain = ask(Method::GET, "identity", "").await;
        let plain_tag = plain.ok(200).header("etag").expect("a tag");
        assert_eq!((plain.header("content-encoding"), sent(&plain)), (None, plain.text.len()), "{path}");
        let vary = plain.list("vary");
        for name in ["origin", "x-vicket-key", "x-vicket-ticket", "accept-encoding"] {
            assert_eq!(vary.iter().filter(|varies| *varies == name).count(), 1, "{path} {name}: {vary:?}");
        }
        for coding in CODINGS {
            let whole = ask(Method::GET, coding, "").await;
            assert_eq!(whole.ok(200).header("content-encoding"), Some(coding), "{path}");
            assert!(sent(&whole) < plain.text.len() / 2, "{path} {coding}: {} of {}", sent(&whole), plain.text.len());
            assert_eq!(without_count(&whole), without_count(&plain), "{path} {coding}");
            for name in ["access-control-allow-origin", "cache-control", "content-type"] {
                assert_eq!(whole.header(name), plain.header(name), "{path} {name}");
            }
            // Two codings are other bytes: no strong tag names both.
            let tag = whole.header("etag").expect("a tag");
            assert_eq!(tag, format!("W/{}", plain_tag.trim_start_matches("W/")));

            let head = ask(Method::HEAD, coding, "").await;
            for name in ["content-encoding", "content-length", "etag", "content-type", "cache-control"] {
                assert_eq!(head.header(name), whole.header(name), "{path} {coding} {name}");
            }
            assert_eq!((head.list("vary"), head.text.as_str()), (vary.clone(), ""));
            for known in [plain_tag, tag, "*"] {
                for (accepted, current) in [(coding, tag), ("identity", plain_tag)] {
                    for method in [Method::GET, Method::HEAD] {
                        let unchanged = ask(method, accepted, known).await;
                        assert_eq!((unchanged.ok(304).header("etag"), unchanged.text.as_str()), (Some(current), ""));
                        assert_eq!(unchanged.header("content-encoding"), None);
                        assert_eq!(unchanged.list("vary"), vary, "{path} {accepted} {known}");
                    }
                }
            }
        }
        let both = ask(Method::GET, "gzip;q=0.9, br;q=0.9", "").await;
        assert_eq!(both.header("content-encoding"), Some("br"));
        for other in ["", "deflate, zstd", "gzip;q=0, br;q=0", "*;q=0", "gzip;q=nonsense", "ü", "identity;q=0"] {
            let answer = ask(Method::GET, other, "").await;
            assert_eq!((answer.ok(200).header("content-encoding"), answer.header("etag")), (None, Some(plain_tag)));
            assert_eq!(without_count(&answer), without_count(&plain), "{other}");
        }
    }
    // What fits a packet, and refusals.
    let every = "gzip, br";
    let small =
        server.call(Method::GET, "/support/v1/site", &[("X-Vicket-Key", &site.key), ("Accept-Encoding", every)]).await;
    assert!(sent(small.ok(200)) < 1024 && small.header("content-encoding").is_none());
    assert!(!small.header("etag").expect("a tag").starts_with("W/"));
    assert!(small.list("vary").contains(&"accept-encoding".to_owned()));
    for (key, path, status) in [("pk_none", LIST, 401), (&site.key, "/support/v1/help/articles/none", 404)] {
        let refused = server.call(Method::GET, path, &[("X-Vicket-Key", key), ("Accept-Encoding", every)]).await;
        assert_eq!((refused.status, refused.header("content-encoding")), (status, None));
        refused.code();
    }
}

#[tokio::test]
async fn an_article_that_is_read_encoded_counts_as_read_and_shows_how_often() {
    let world = filled().await;
    let key = world.site_a.key.as_str();
    let mut views = 0;
    for answer_cache_mib in [8, 0] {
        let server = serve(&world, answer_cache_mib).await;
        let ask = async |method: Method, accepted: &str, known: &str| {
            let headers = [("X-Vicket-Key", key), ("Accept-Encoding", accepted), ("If-None-Match", known)];
            server.call(method, ARTICLE, &headers).await
        };
        let read = async |accepted: &str| {
            let page = ask(Method::GET, accepted, "").await;
            assert_eq!(page.ok(200).header("content-encoding").unwrap_or("identity"), accepted);
            page.json()["view_count"].as_i64().expect("a count")
        };
        for round in 0..4 {
            for accepted in ["identity", "gzip", "br"] {
                let shown = read(accepted).await;
                // Once made, an encoding is that of a second ago at the earliest, and never one of views to come.
                if accepted == "identity" || round == 0 || answer_cache_mib == 0 {
                    assert_eq!(shown, views, "{accepted}");
                }
                assert!(shown <= views, "{accepted}: {shown} of {views}");
                views += 1;
            }
        }
        tokio::time::sleep(Duration::from_millis(1100)).await;
        for accepted in CODINGS {
            assert_eq!(read(accepted).await, views, "{accepted}");
            views += 1;
        }
        // To ask whether it changed is to read it; to look at its head is not.
        ask(Method::HEAD, "br", "").await.ok(200);
        ask(Method::GET, "br", "*").await.ok(304);
        views += 1;
        assert_eq!(read("identity").await, views);
        views += 1;
        server.stop().await;
    }
}

#[tokio::test]
async fn documents_files_and_what_agents_read_are_encoded() {
    let world = filled().await;
    let server = serve(&world, 8).await;
    let owner = world.person("acme", "owner").await;
    let reply = json!({ "name": "Long", "body": "Dear customer, we looked into it. ".repeat(60) });
    server.call_as(&owner, Method::POST, "/v1/orgs/acme/saved-replies", Some(&reply)).await.ok(201);
    // Long enough to be encoded where it keeps nobody waiting.
    let (id, _) = long_ticket(&world, &server, 300).await;
    let ticket = format!("/v1/orgs/acme/tickets/{id}");
    for (path, varies) in [
        ("/openapi/support.json", None),
        ("/openapi/agent.json", None),
        ("/docs/support", None),
        ("/dashboard/assets/dashboard.css", None),
        ("/dashboard/assets/desk.js", None),
        ("/dashboard/assets/editors.js", None),
        ("/dashboard/assets/idiomorph-0.8.0.min.js", None),
        ("/v1/orgs/acme/saved-replies", Some("authorization")),
        (&ticket, Some("cookie")),
        ("/dashboard/acme/audit", Some("cookie")),
    ] {
        let ask = async |method: Method, accepted: &str, known: &str| {
            let headers = [("Cookie", owner.cookie.as_str()), ("Accept-Encoding", accepted), ("If-None-Match", known)];
            server.call(method, path, &headers).await
        };
        let plain = ask(Method::GET, "identity", "").await;
        assert_eq!(plain.ok(200).header("content-encoding"), None, "{path}");
        // A page's token is another each time.
        let text = |page: &Answer| {
            let has_form = page.text.contains("name=\"form_token\"");
            if has_form { page.text.replace(&token(&page.text), "TOKEN") } else { page.text.clone() }
        };
        for coding in CODINGS {
            let whole = ask(Method::GET, coding, "").await;
            assert_eq!(whole.ok(200).header("content-encoding"), Some(coding), "{path}");
            assert_eq!(text(&whole), text(&plain), "{path}");
            assert!(sent(&whole) < plain.text.len() / 2, "{path} {coding}: {} of {}", sent(&whole), plain.text.len());
            for answer in [&whole, &plain] {
                let vary = answer.list("vary");
                assert!(vary.contains(&"accept-encoding".to_owned()), "{path}: {vary:?}");
                assert!(varies.is_none_or(|name| vary.contains(&name.to_owned())), "{path}: {vary:?}");
            }
            let head = ask(Method::HEAD, coding, "").await;
            assert_eq!(head.ok(200).header("content-encoding"), Some(coding), "{path}");
            if let (Some(tag), Some(plain_tag)) = (whole.header("etag"), plain.header("etag")) {
                assert_eq!(tag, format!("W/{plain_tag}"), "{path}");
                for known in [tag, plain_tag] {
                    assert_eq!(ask(Method::GET, coding, known).await.ok(304).header("etag"), Some(tag), "{path}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_shows_a_secret_once_or_is_a_file_or_goes_on_is_never_encoded() {
    let world = filled().await;
    let server = serve(&world, 8).await;
    let owner = world.person("acme", "owner").await;
    let every = ("Accept-Encoding", "gzip, br");
    let as_it_is = |answer: &Answer| {
        assert!(answer.text.len() >= 1024, "too short to be encoded anyway: {answer:?}");
        assert_eq!(answer.header("content-encoding"), None, "{answer:?}");
        assert!(!answer.list("vary").contains(&"accept-encoding".to_owned()), "{answer:?}");
    };
    let path = "/dashboard/acme/sites/site-a/key";
    let page = server.page(&owner, path).await;
    let (_, replaces) = page.text.split_once("name=\"replaces\" value=\"").expect("the key");
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("form_token", token(&page.text).as_str()), ("action", "stage"), ("replaces", &replaces[..36])])
        .finish();
    let own = [("Cookie", owner.cookie.as_str()), ("Origin", &server.base), every];
    let of_forms = ("Content-Type", "application/x-www-form-urlencoded");
    let revealed = server.post_text(path, &[&own[..], &[of_forms]].concat(), form).await;
    assert!(revealed.ok(200).text.contains("id=\"key\">pk_"), "{revealed:?}");
    as_it_is(&revealed);

    // Whatever else answers a POST, too: a name is given back beside the secret.
    let machine_key = json!({ "name": "robot", "permissions": ["ticket:read"] }).to_string();
    let of_json = ("Content-Type", "application/json");
    let made = server.post_text("/v1/orgs/acme/machine-keys", &[&own[..], &[of_json]].concat(), machine_key).await;
    assert!(made.ok(201).text.contains("sk_") && made.header("content-encoding").is_none());
    let reply = json!({ "name": "Long", "body": "Dear customer. ".repeat(100) }).to_string();
    let made = server.post_text("/v1/orgs/acme/saved-replies", &[&own[..], &[of_json]].concat(), reply).await;
    as_it_is(made.ok(201));

    let made = server.post(&world.site_a.key, "/support/v1/tickets", &ticket()).await.ok(201).json();
    let text = |field: &str| made[field].as_str().expect("text").to_owned();
    let (content_type, body) = multipart(&[("log.txt", "a line\n".repeat(1000).as_bytes())]);
    let (key, of_ticket) = (("X-Vicket-Key", world.site_a.key.as_str()), text("token"));
    let customer = [key, ("X-Vicket-Ticket", of_ticket.as_str()), every];
    let files = format!("{THREAD}/messages/{}/attachments", text("message_id"));
    let added = server.post_text(&files, &[&customer[..], &[("Content-Type", &content_type)]].concat(), body).await;
    let file = added.ok(201).json()["data"][0]["id"].as_str().expect("an id").to_owned();
    let download = server.call(Method::GET, &format!("{THREAD}/attachments/{file}"), &customer).await;
    assert_eq!(sent(download.ok(200)), 7000);
    as_it_is(&download);

    let events = ask(&server, Method::GET, "/dashboard/acme/events").header("cookie", &owner.cookie);
    let mut events = events.header(every.0, every.1).send().await.expect("a stream");
    assert_eq!((events.status().as_u16(), events.headers().get("content-encoding")), (200, None));
    let greeting = events.chunk().await.expect("a sound stream").expect("not the end");
    assert_eq!(&greeting[..], b"retry: 3000\n\n");
}

#[tokio::test]
async fn what_a_person_reads_is_not_encoded_for_the_pages_of_others_who_could_measure_it() {
    let world = filled().await;
    let server = serve(&world, 8).await;
    let owner = world.person("acme", "owner").await;
    let (id, _) = long_ticket(&world, &server, 3).await;
    for path in ["/dashboard/acme/inbox".to_owned(), format!("/v1/orgs/acme/tickets/{id}")] {
        let ask = async |said: &[(&str, &str)]| {
            let headers = [("Cookie", owner.cookie.as_str()), ("Accept-Encoding", "br")];
            server.call(Method::GET, &path, &[&headers[..], said].concat()).await
        };
        for own in [&[][..], &[("Sec-Fetch-Site", "none")], &[("Sec-Fetch-Site", "same-origin")]] {
            assert_eq!(ask(own).await.ok(200).header("content-encoding"), Some("br"), "{path} {own:?}");
        }
        for foreign in ["cross-site", "same-site"] {
            let answer = ask(&[("Sec-Fetch-Site", foreign)]).await;
            assert_eq!(answer.ok(200).header("content-encoding"), None, "{path} {foreign}");
        }
        assert_eq!(ask(&[("Origin", "https://evil.example")]).await.header("content-encoding"), None);
    }
    // A publishable key is no cookie: pages elsewhere are whom it is for.
    let site = &world.site_a;
    let page = [("X-Vicket-Key", site.key.as_str()), ("Origin", site.origin), ("Sec-Fetch-Site", "cross-site")];
    let list = server.call(Method::GET, LIST, &[&page[..], &[("Accept-Encoding", "br")]].concat()).await;
    assert_eq!(list.ok(200).header("content-encoding"), Some("br"));

    // And what would be worth guessing stands in no two pages alike.
    let path = "/dashboard/acme/sites";
    let (one, two) = (token(&server.page(&owner, path).await.text), token(&server.page(&owner, path).await.text));
    assert!(one[..32] != two[..32] && one[32..] != two[32..], "{one} {two}");
    for (token, name, status) in
        [(&one, "One", 303), (&two, "Two", 303), (&format!("{}{}", &one[..32], &two[32..]), "Three", 403)]
    {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("form_token", token.as_str()), ("name", name)])
            .finish();
        let request = ask(&server, Method::POST, path).header("cookie", &owner.cookie).header("origin", &server.base);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        assert_eq!(Answer::of(request).await.status, status, "{name}");
    }
}
