//! Files on tickets: who adds them, who reads them, how they leave, where they are kept.

mod bucket;
mod kept;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Options, Person, Running, Site, World, ticket};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nnot much of a picture";

/// A multipart body and its Content-Type.
pub fn multipart(files: &[(&str, &[u8])]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, content) in files {
        // As browsers write it: quotes and line ends in names are percent-encoded.
        let name = name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
        body.extend(
            format!(
                "--limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
                 Content-Type: image/png\r\n\r\n"
            )
            .bytes(),
        );
        body.extend(*content);
        body.extend(b"\r\n");
    }
    body.extend(b"--limit--\r\n");
    ("multipart/form-data; boundary=limit".to_owned(), body)
}

/// A ticket with its first message, as its customer holds it.
struct Customer<'a> {
    server: &'a Running,
    key: String,
    token: String,
    ticket: String,
    message: String,
}

impl<'a> Customer<'a> {
    async fn of(server: &'a Running, site: &Site) -> Self {
        let made = server.post(&site.key, "/support/v1/tickets", &ticket()).await.ok(201).json();
        let text = |field: &str| made[field].as_str().expect("text").to_owned();
        let (ticket, token, message) = (text("id"), text("token"), text("message_id"));
        Self { server, key: site.key.clone(), token, ticket, message }
    }

    async fn call(&self, method: Method, path: &str) -> Answer {
        let headers = [("X-Vicket-Key", self.key.as_str()), ("X-Vicket-Ticket", &self.token)];
        self.server.call(method, &format!("/support/v1/tickets/thread{path}"), &headers).await
    }

    async fn upload_with(&self, message: &str, idempotency_key: Option<&str>, files: &[(&str, &[u8])]) -> Answer {
        let (content_type, body) = multipart(files);
        let path = format!("/support/v1/tickets/thread/messages/{message}/attachments");
        let mut headers = vec![
            ("X-Vicket-Key", self.key.as_str()),
            ("X-Vicket-Ticket", &self.token),
            ("Content-Type", &content_type),
        ];
        headers.extend(idempotency_key.map(|key| ("Idempotency-Key", key)));
        self.server.post_text(&path, &headers, body).await
    }

    async fn upload(&self, files: &[(&str, &[u8])]) -> Answer {
        self.upload_with(&self.message, None, files).await
    }

    /// The id of one file that was added.
    async fn file(&self, name: &str, content: &[u8]) -> String {
        id(&self.upload(&[(name, content)]).await.ok(201).json()["data"][0])
    }

    async fn download(&self, id: &str) -> Answer {
        self.call(Method::GET, &format!("/attachments/{id}")).await
    }

    async fn thread(&self) -> Value {
        self.call(Method::GET, "").await.ok(200).json()
    }
}

fn id(value: &Value) -> String {
    value["id"].as_str().expect("an id").to_owned()
}

impl Running {
    async fn upload_as(&self, person: &Person, path: &str, files: &[(&str, &[u8])]) -> Answer {
        let (content_type, body) = multipart(files);
        let headers =
            [("Cookie", person.cookie.as_str()), ("Origin", &self.base), ("Content-Type", content_type.as_str())];
        self.post_text(path, &headers, body).await
    }
}

async fn serve(world: &World) -> Running {
    world.serve_with(Options { limits: false, ..Options::default() }).await
}

#[tokio::test]
async fn files_are_added_listed_and_read_by_the_tickets_customer() {
    let world = World::new().await;
    let server = world.serve().await;
    let customer = Customer::of(&server, &world.site_a).await;
    let added = customer.upload(&[("screen.png", PNG), ("notes.txt", b"It broke.")]).await.ok(201).json();
    assert_eq!(added["next_cursor"], Value::Null);
    let fields = |file: &Value| (file["name"].clone(), file["size"].clone(), file["content_type"].clone());
    assert_eq!(fields(&added["data"][0]), (json!("screen.png"), json!(PNG.len()), json!("image/png")));
    assert_eq!(fields(&added["data"][1]), (json!("notes.txt"), json!(9), json!("text/plain")));

    let thread = customer.thread().await;
    assert_eq!(thread["messages"][0]["id"], customer.message);
    assert_eq!(thread["messages"][0]["attachments"], added["data"]);
    let read = customer.download(&id(&added["data"][1])).await;
    assert_eq!(read.ok(200).text, "It broke.");
    let head = customer.call(Method::HEAD, &format!("/attachments/{}", id(&added["data"][1]))).await;
    assert_eq!((head.ok(200).text.as_str(), head.header("content-length")), ("", Some("9")));

    let reply = server
        .request(Method::POST, "/support/v1/tickets/thread/messages")
        .header("X-Vicket-Key", &customer.key)
        .header("X-Vicket-Ticket", &customer.token)
        .json(&json!({ "body": "One more." }));
    let reply = Answer::of(reply).await.ok(201).json();
    assert_eq!(reply["attachments"], json!([]));
    customer.upload_with(&id(&reply), None, &[("b.txt", b"b")]).await.ok(201);
    let thread = customer.thread().await;
    assert_eq!(thread["messages"][1]["attachments"][0]["name"], "b.txt");
}

#[tokio::test]
async fn a_file_leaves_as_a_download_whatever_it_calls_itself() {
    let world = World::new().await;
    let server = world.serve().await;
    let customer = Customer::of(&server, &world.site_a).await;
    let html: &[u8] = b"<!doctype html><script>alert(1)</script>";
    let svg: &[u8] = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>";
    for (name, content, expected) in [
        ("evil.html", html, "application/octet-stream"),
        ("picture.png", html, "application/octet-stream"),
        ("picture.svg", svg, "application/octet-stream"),
        ("evil.html", PNG, "image/png"),
        ("notes", b"plain", "text/plain; charset=utf-8"),
    ] {
        let read = customer.download(&customer.file(name, content).await).await;
        assert_eq!(read.ok(200).header("content-type"), Some(expected), "{name}");
        assert_eq!(read.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(read.header("cache-control"), Some("private, no-store"));
        let policy = read.header("content-security-policy").expect("a policy");
        assert_eq!(policy, "default-src 'none'; frame-ancestors 'none'; sandbox");
        assert!(read.header("content-disposition").is_some_and(|value| value.starts_with("attachment; ")));
    }

    let read = customer.download(&customer.file("naïve \"f\".html\r\nX: y", PNG).await).await;
    let disposition = "attachment; filename=\"na_ve _22f_22.html_0D_0AX: y\"; \
                       filename*=UTF-8''na%C3%AFve%20%2522f%2522.html%250D%250AX%3A%20y";
    assert_eq!(read.ok(200).header("content-disposition"), Some(disposition));
    assert_eq!(read.header("x"), None);
    let read = customer.download(&customer.file("../../etc/passwd", b"x").await).await;
    assert_eq!(
        read.ok(200).header("content-disposition"),
        Some("attachment; filename=\"passwd\"; filename*=UTF-8''passwd")
    );
}

#[tokio::test]
async fn a_page_of_the_site_may_read_the_download_and_its_name() {
    let world = World::new().await;
    let server = world.serve().await;
    let customer = Customer::of(&server, &world.site_a).await;
    let file = customer.file("a.txt", b"a").await;
    let path = format!("/support/v1/tickets/thread/attachments/{file}");
    let from = |origin| {
        let headers =
            [("X-Vicket-Key", customer.key.clone()), ("X-Vicket-Ticket", customer.token.clone()), ("Origin", origin)];
        let (server, path) = (&server, &path);
        async move {
            let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
            server.call(Method::GET, path, &headers).await
        }
    };
    let read = from(world.site_a.origin.to_owned()).await;
    assert_eq!(read.ok(200).header("access-control-allow-origin"), Some(world.site_a.origin));
    assert!(read.list("access-control-expose-headers").contains(&"content-disposition".to_owned()));
    let refused = from(world.site_b.origin.to_owned()).await;
    assert!(refused.refused(403, "origin_not_allowed").cors().is_empty());
}

#[tokio::test]
async fn a_file_is_nobodys_but_its_tickets() {
    let world = World::new().await;
    let server = serve(&world).await;
    let customer = Customer::of(&server, &world.site_a).await;
    let file = customer.file("secret.txt", b"secret").await;
    let nothing = customer.download(&uuid::Uuid::new_v4().to_string()).await;
    nothing.refused(404, "not_found");

    let of_same_site = Customer::of(&server, &world.site_a).await;
    let of_other_site = Customer::of(&server, &world.site_b).await;
    let of_other_org = Customer::of(&server, &world.site_c).await;
    // The rival's key with the customer's token, and the other way round.
    let mixed = Customer { token: customer.token.clone(), ..Customer::of(&server, &world.site_b).await };
    let stolen = Customer { token: of_other_org.token.clone(), ..Customer::of(&server, &world.site_a).await };
    let unknown = Customer { token: "tk_x".to_owned(), ..Customer::of(&server, &world.site_a).await };
    for stranger in [&of_same_site, &of_other_site, &of_other_org, &mixed, &stolen, &unknown] {
        let read = stranger.download(&file).await;
        assert_eq!(read.comparable(), nothing.comparable());
        let added = stranger.upload_with(&customer.message, None, &[("x.txt", b"x")]).await;
        added.refused(404, "not_found");
    }
    assert_eq!(customer.thread().await["messages"][0]["attachments"].as_array().map(Vec::len), Some(1));
    assert_eq!(customer.download(&file).await.ok(200).text, "secret");
}

#[tokio::test]
async fn agents_read_and_add_files_within_their_org_and_notes_files_stay_among_them() {
    let world = World::new().await;
    let server = serve(&world).await;
    let (agent, viewer) = (world.person("acme", "agent").await, world.person("acme", "viewer").await);
    let (other, rival) = (world.person("acme", "agent").await, world.person("globex", "owner").await);
    let customer = Customer::of(&server, &world.site_a).await;
    let theirs = customer.file("theirs.txt", b"theirs").await;
    let ticket = format!("/v1/orgs/acme/tickets/{}", customer.ticket);

    let mut messages = Vec::new();
    for (body, internal) in [("An answer.", false), ("A note.", true)] {
        let body = json!({ "body": body, "internal": internal });
        let made = server.call_as(&agent, Method::POST, &format!("{ticket}/messages"), Some(&body)).await;
        assert_eq!(made.ok(201).json()["attachments"], json!([]));
        messages.push(id(&made.json()));
    }
    let uploads = |message: &str| format!("{ticket}/messages/{message}/attachments");
    let answers = server.upload_as(&agent, &uploads(&messages[0]), &[("answer.png", PNG)]).await.ok(201).json();
    let notes = server.upload_as(&agent, &uploads(&messages[1]), &[("note.txt", b"note")]).await.ok(201).json();
    let (answers, notes) = (id(&answers["data"][0]), id(&notes["data"][0]));

    // Whoever sees the ticket reads all files.
    let whole = server.call_as(&viewer, Method::GET, &ticket, None).await.ok(200).json();
    let names: Vec<_> =
        whole["messages"].as_array().expect("messages").iter().map(|m| &m["attachments"][0]["name"]).collect();
    assert_eq!(names, ["theirs.txt", "answer.png", "note.txt"]);
    for (file, content) in [(&theirs, "theirs"), (&notes, "note")] {
        let path = format!("{ticket}/attachments/{file}");
        let read = server.call_as(&viewer, Method::GET, &path, None).await;
        assert_eq!(read.ok(200).text, content);
        assert_eq!(read.header("cache-control"), Some("private, no-store"));
        server.call_as(&rival, Method::GET, &path, None).await.refused(404, "not_found");
        let in_own_org = path.replace("/acme/", "/globex/");
        server.call_as(&rival, Method::GET, &in_own_org, None).await.refused(404, "not_found");
    }
    // Under another ticket of the same org it is not found either.
    let another = Customer::of(&server, &world.site_b).await;
    let path = format!("/v1/orgs/acme/tickets/{}/attachments/{theirs}", another.ticket);
    server.call_as(&agent, Method::GET, &path, None).await.refused(404, "not_found");

    // The customer sees the answer's and never the note's.
    let thread = customer.thread().await;
    assert_eq!(thread["messages"].as_array().map(Vec::len), Some(2));
    assert_eq!(thread["messages"][1]["attachments"][0]["id"], answers);
    customer.download(&answers).await.ok(200);
    let hidden = customer.download(&notes).await;
    let nothing = customer.download(&uuid::Uuid::new_v4().to_string()).await;
    assert_eq!(hidden.refused(404, "not_found").comparable(), nothing.comparable());
    customer.upload_with(&messages[1], None, &[("x.txt", b"x")]).await.refused(404, "not_found");
    // What an agent said is not the customer's to add to, nor another agent's, nor the other way round.
    let refused = customer.upload_with(&messages[0], None, &[("x.txt", b"x")]).await;
    assert_eq!(refused.refused(422, "unprocessable").fields(), ["message_id"]);
    for (person, message, status, code) in [
        (&other, &messages[0], 422, "unprocessable"),
        (&agent, &customer.message, 422, "unprocessable"),
        (&viewer, &messages[0], 403, "permission_required"),
        (&rival, &messages[0], 404, "not_found"),
    ] {
        server.upload_as(person, &uploads(message), &[("x.txt", b"x")]).await.refused(status, code);
    }
}

#[tokio::test]
async fn what_was_said_an_hour_ago_or_on_a_closed_ticket_takes_no_files() {
    let world = World::new().await;
    let server = serve(&world).await;
    let agent = world.person("acme", "agent").await;
    let customer = Customer::of(&server, &world.site_a).await;
    let ticket = format!("/v1/orgs/acme/tickets/{}", customer.ticket);
    let made = |internal: bool| {
        let body = json!({ "body": "x", "internal": internal });
        let (server, agent, path) = (&server, &agent, format!("{ticket}/messages"));
        async move { id(&server.call_as(agent, Method::POST, &path, Some(&body)).await.ok(201).json()) }
    };
    let (answer, note) = (made(false).await, made(true).await);
    let path = |message: &str| format!("{ticket}/messages/{message}/attachments");

    let close = json!({ "status": "closed" });
    server.call_as(&agent, Method::PATCH, &ticket, Some(&close)).await.ok(200);
    customer.upload(&[("x.txt", b"x")]).await.refused(409, "ticket_closed");
    server.upload_as(&agent, &path(&answer), &[("x.txt", b"x")]).await.refused(409, "ticket_closed");
    server.upload_as(&agent, &path(&note), &[("x.txt", b"x")]).await.ok(201);
    let open = json!({ "status": "open" });
    server.call_as(&agent, Method::PATCH, &ticket, Some(&open)).await.ok(200);
    customer.upload(&[("x.txt", b"x")]).await.ok(201);

    world.arrange("update vicket.ticket_messages set created_at = now() - interval '61 minutes'").await;
    let late = customer.upload(&[("x.txt", b"x")]).await;
    assert_eq!(late.refused(422, "unprocessable").fields(), ["message_id"]);
    let late = server.upload_as(&agent, &path(&note), &[("x.txt", b"x")]).await;
    assert_eq!(late.refused(422, "unprocessable").fields(), ["message_id"]);
}

#[tokio::test]
async fn a_repeated_upload_adds_nothing_and_another_under_its_key_is_a_conflict() {
    let world = World::new().await;
    let server = serve(&world).await;
    let customer = Customer::of(&server, &world.site_a).await;
    let upload = async |name| customer.upload_with(&customer.message, Some("once"), &[(name, b"a")]).await;
    let first = upload("a.txt").await.ok(201).json();
    customer.upload(&[("b.txt", b"b")]).await.ok(201);
    world.arrange("update vicket.ticket_messages set created_at = now() - interval '61 minutes'").await;
    assert_eq!(upload("a.txt").await.ok(201).json(), first);
    upload("c.txt").await.refused(409, "idempotency_conflict");
    assert_eq!(customer.thread().await["messages"][0]["attachments"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn files_have_limits_and_form() {
    let world = World::new().await;
    let server = serve(&world).await;
    let customer = Customer::of(&server, &world.site_a).await;
    let large = vec![b'x'; 10 * 1024 * 1024];
    let larger = vec![b'x'; 10 * 1024 * 1024 + 1];
    customer.upload(&[("x", &larger)]).await.refused(413, "body_too_large");
    customer.upload(&[("x", &large)]).await.ok(201);
    customer.upload(&[("x", &large), ("y", &large), ("z", &large)]).await.refused(413, "body_too_large");
    customer.upload(&[("x", b"")]).await.refused(422, "unprocessable");
    customer.upload(&[]).await.refused(400, "invalid_request");
    let one: (&str, &[u8]) = ("x", b"x");
    assert_eq!(customer.upload(&[one; 11]).await.refused(422, "unprocessable").fields(), ["file"]);
    assert_eq!(customer.upload(&[one; 10]).await.refused(422, "unprocessable").fields(), ["file"], "one is there");
    assert_eq!(customer.thread().await["messages"][0]["attachments"].as_array().map(Vec::len), Some(1), "all or none");
    customer.upload(&[one; 9]).await.ok(201);

    // 100 MiB a ticket, whatever the message.
    let id = &customer.ticket;
    world
        .arrange(&format!(
            "begin;
            alter table vicket.attachments disable trigger user;
            insert into vicket.attachments
              (org_id, site_id, ticket_id, message_id, upload_id, name, content_type, size, object_key)
              select m.org_id, m.site_id, m.ticket_id, m.id, gen_random_uuid(), 'x', 'text/plain', 10485760,
                m.org_id || '/' || m.site_id || '/' || n
              from vicket.ticket_messages m, generate_series(1, 8) n where m.ticket_id = '{id}';
            alter table vicket.attachments enable trigger user;
            commit"
        ))
        .await;
    let reply = server
        .request(Method::POST, "/support/v1/tickets/thread/messages")
        .header("X-Vicket-Key", &customer.key)
        .header("X-Vicket-Ticket", &customer.token)
        .json(&json!({ "body": "More." }));
    let reply = self::id(&Answer::of(reply).await.ok(201).json());
    let full = customer.upload_with(&reply, None, &[("x", &large)]).await;
    assert_eq!(full.refused(422, "unprocessable").fields(), ["file"]);
    customer.upload_with(&reply, None, &[("x", &large[..large.len() - 9])]).await.ok(201);
}

#[tokio::test]
async fn a_body_that_is_no_upload_is_refused_for_what_it_is() {
    let world = World::new().await;
    let server = serve(&world).await;
    let customer = Customer::of(&server, &world.site_a).await;
    let path = format!("/support/v1/tickets/thread/messages/{}/attachments", customer.message);
    let send = |content_type: &'static str, body: &'static str| {
        let headers = [
            ("X-Vicket-Key", customer.key.clone()),
            ("X-Vicket-Ticket", customer.token.clone()),
            ("Content-Type", content_type.to_owned()),
        ];
        let (server, path) = (&server, &path);
        async move {
            let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
            server.post_text(path, &headers, body).await
        }
    };
    send("application/json", "{}").await.refused(415, "unsupported_media_type");
    send("multipart/form-data", "x").await.refused(415, "unsupported_media_type");
    for body in [
        "",
        "no boundary",
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\ncut off",
        "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nno name\r\n--b--\r\n",
        "--b\r\nContent-Disposition: form-data; name=\"other\"; filename=\"a\"\r\n\r\nx\r\n--b--\r\n",
    ] {
        send("multipart/form-data; boundary=b", body).await.refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn an_upload_counts_as_a_write() {
    let world = World::new().await;
    let server = world.serve().await;
    let customer = Customer::of(&server, &world.site_a).await;
    for _ in 1..10 {
        customer.upload(&[("x", b"x")]).await.ok(201);
    }
    customer.upload(&[("x", b"x")]).await.refused(429, "rate_limited");
    customer.thread().await;
}
