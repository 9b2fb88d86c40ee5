//! Mail that goes out: written in the transaction of what it tells of, sent once, and never a stranger's cannon. Through the
//! public API, with a mail server of the test's own.

mod accounts;
mod signing;
pub mod smtp;

use std::{
    collections::{HashMap, HashSet},
    process::Stdio,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};
use vicket::mail::outbound::{Outgoing, sender::Sender, transport::Transport};

use crate::{
    harness::{Answer, Options, Person, Running, World, ticket},
    processes::{ALONE, free_port, serve_with},
};
use smtp::{Smtp, Taken};

const TICKETS: &str = "/support/v1/tickets";

pub fn outgoing(url: &str) -> Outgoing {
    Outgoing {
        transport: Transport::parse(url).expect("a URL"),
        sender: Sender {
            from: "Vicket <vicket@mail.example>".parse().expect("a mailbox"),
            domains: vec!["acme.example".to_owned()],
            public_url: "https://desk.example".to_owned(),
        },
        first_wait: Duration::from_millis(100),
        replies: None,
        signing: None,
    }
}

async fn serve(world: &World, url: &str) -> Running {
    world.serve_with(Options { mail: Some(outgoing(url)), limits: false, ..Options::default() }).await
}

/// Waits until so many mails were taken, and a while longer whether there are more.
async fn mails(smtp: &Smtp, count: usize) -> Vec<Taken> {
    let since = Instant::now();
    while smtp.taken().len() < count {
        assert!(since.elapsed() < Duration::from_secs(20), "{count} mails were expected: {:#?}", smtp.taken());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    let taken = smtp.taken();
    assert_eq!(taken.len(), count, "{taken:#?}");
    taken
}

/// Waits until a look at the database says so.
async fn until(world: &World, sql: &str) {
    let since = Instant::now();
    while !world.look::<bool>(sql).await {
        assert!(since.elapsed() < Duration::from_secs(20), "{sql}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn submit(server: &Running, key: &str, email: &str) -> Value {
    let mut body = ticket();
    body["email"] = json!(email);
    let answer = server.post(key, TICKETS, &body).await;
    answer.ok(201).json()
}

async fn settings(server: &Running, person: &Person, site: &str, body: Value) -> Answer {
    server.call_as(person, Method::PATCH, &format!("/v1/orgs/acme/sites/{site}"), Some(&body)).await
}

async fn answer(server: &Running, person: &Person, ticket: &Value, body: &str) -> Value {
    let path = format!("/v1/orgs/acme/tickets/{}/messages", ticket["id"].as_str().expect("an id"));
    let answered = server.call_as(person, Method::POST, &path, Some(&json!({"body": body}))).await;
    answered.ok(201).json()
}

async fn message(server: &Running, person: &Person, ticket: &Value) -> Value {
    let path = format!("/v1/orgs/acme/tickets/{}", ticket["id"].as_str().expect("an id"));
    let read = server.call_as(person, Method::GET, &path, None).await.ok(200).json();
    read["messages"].as_array().expect("messages").last().expect("one").clone()
}

fn token(text: &str) -> String {
    let start = text.find("#vicket-ticket=tk_").expect("a link") + "#vicket-ticket=".len();
    text[start..start + 46].to_owned()
}

#[tokio::test]
async fn a_customer_is_told_and_the_link_of_each_mail_opens_the_ticket() {
    let (world, smtp) = (World::new().await, Smtp::start().await);
    let server = serve(&world, &smtp.url()).await;
    let owner = world.person("acme", "owner").await;
    let mail = json!({"from_name": "Acme Help", "from_address": "help@acme.example"});
    let body = json!({"support_url": "https://acme.example/support", "language": "de", "mail": mail});
    let site = settings(&server, &owner, "site-a", body).await.ok(200).json();
    assert_eq!((&site["support_url"], &site["language"]), (&json!("https://acme.example/support"), &json!("de")));

    let made = submit(&server, &world.site_a.key, "ada@example.com").await;
    let received = mails(&smtp, 1).await.remove(0);
    assert_eq!((received.from.as_str(), received.to.as_str()), ("vicket@mail.example", "ada@example.com"));
    assert_eq!(received.header("From").as_deref(), Some("\"Acme Help\" <help@acme.example>"));
    assert_eq!(
        received.header("Subject").expect("one"),
        format!("[{}] Ihre Anfrage ist angekommen", made["reference"].as_str().expect("text"))
    );
    assert_eq!(received.header("Auto-Submitted").as_deref(), Some("auto-replied"));
    assert_eq!(received.header("X-Auto-Response-Suppress").as_deref(), Some("All"));
    // Nothing of what was submitted: not the subject, not the name, not the message.
    for theirs in ["Help\n", "Ada", "Please help"] {
        assert!(
            !received.plain().contains(theirs)
                && !received.text.split("\n\n").skip(1).any(|part| part.contains(theirs)),
            "{}",
            received.text
        );
    }
    assert!(received.plain().contains("https://acme.example/support#vicket-ticket=tk_"), "{}", received.plain());

    let first = answer(&server, &owner, &made, "It works <now>.").await;
    assert_eq!(first["delivery"]["state"], "queued", "{first}");
    let answered = mails(&smtp, 2).await.remove(1);
    assert!(answered.plain().contains("It works <now>."), "{}", answered.plain());
    assert!(answered.header("Auto-Submitted").is_none());
    let ids: Vec<Option<String>> = [&received, &answered].map(|mail| mail.header("Message-ID")).to_vec();
    assert!(ids[0] != ids[1] && answered.header("In-Reply-To") == ids[0] && answered.header("References") == ids[0]);
    assert!(ids[0].as_ref().is_some_and(|id| id.starts_with("<m.") && id.ends_with("@mail.example>")), "{ids:?}");
    until(&world, "select count(*) = 2 from vicket.mails where state = 'sent'").await;
    let told = message(&server, &owner, &made).await;
    assert_eq!(
        (&told["delivery"]["state"], &told["delivery"]["detail"]),
        (&json!("sent"), &json!("250 taken")),
        "{told}"
    );
    let page = format!("/dashboard/acme/inbox/{}", made["id"].as_str().expect("an id"));
    let page = server.call(Method::GET, &page, &[("Cookie", &owner.cookie)]).await;
    assert!(page.text.contains("Mail: sent"), "{}", page.text);

    let path = format!("/v1/orgs/acme/tickets/{}", made["id"].as_str().expect("an id"));
    server.call_as(&owner, Method::PATCH, &path, Some(&json!({"status": "resolved"}))).await.ok(200);
    let resolved = mails(&smtp, 3).await.remove(2);
    assert_eq!(resolved.header("Auto-Submitted").as_deref(), Some("auto-generated"));
    let references = format!("{} {}", ids[0].as_deref().expect("one"), ids[1].as_deref().expect("one"));
    assert_eq!(resolved.header("References"), Some(references));

    // Each link has a token of its own, and each opens this ticket, beside the one of the page that was closed.
    let links: HashSet<String> = [&received, &answered, &resolved].map(|mail| token(&mail.plain())).into();
    assert_eq!(links.len(), 3);
    for link in links.iter().map(String::as_str).chain(made["token"].as_str()) {
        let headers = [("X-Vicket-Key", world.site_a.key.as_str()), ("X-Vicket-Ticket", link)];
        let thread = server.call(Method::GET, "/support/v1/tickets/thread", &headers).await;
        assert_eq!(thread.ok(200).json()["id"], made["id"]);
        // What a dump holds opens nothing.
        for table in ["mails", "tasks", "ticket_tokens"] {
            assert!(
                !world
                    .look::<bool>(&format!(
                        "select exists (select from vicket.{table} t where t::text like '%{link}%')"
                    ))
                    .await
            );
        }
    }
    assert_eq!(world.look::<i64>("select count(*) from vicket.tasks").await, 0);
    server.stop().await;
}

#[tokio::test]
async fn members_are_told_what_they_chose_and_not_what_they_did_themselves() {
    let (world, smtp) = (World::new().await, Smtp::start().await);
    let server = serve(&world, &smtp.url()).await;
    let (owner, agent) = (world.person("acme", "owner").await, world.person("acme", "agent").await);
    let mut body = ticket();
    body["subject"] = json!("Help\r\nBcc: victim@example.com");
    body["name"] = json!("Ada\nBcc: victim@example.com");
    let made = server.post(&world.site_a.key, TICKETS, &body).await;
    // Where such a subject is refused, there is nothing to try.
    let made =
        if made.status == 201 { made.json() } else { submit(&server, &world.site_a.key, "ada@example.com").await };
    mails(&smtp, 1).await;
    let path = format!("/v1/orgs/acme/tickets/{}", made["id"].as_str().expect("an id"));
    let assign = async |by: &Person, to: &Person| {
        server.call_as(by, Method::PATCH, &path, Some(&json!({"assignee": to.id}))).await.ok(200);
    };
    assign(&owner, &owner).await;
    assign(&owner, &agent).await;
    let assigned = mails(&smtp, 2).await.remove(1);
    assert_eq!(assigned.to, agent.email);
    assert!(assigned.header("Subject").expect("one").contains("Assigned to you"), "{}", assigned.text);
    assert!(assigned.header("Bcc").is_none() && !assigned.text.to_lowercase().contains("\nbcc:"), "{}", assigned.text);
    assert!(
        assigned
            .plain()
            .contains(&format!("https://desk.example/dashboard/acme/inbox/{}", made["id"].as_str().expect("an id")))
    );

    let reply = async || {
        let token = made["token"].as_str().expect("a token");
        let headers = [
            ("X-Vicket-Key", world.site_a.key.as_str()),
            ("X-Vicket-Ticket", token),
            ("Content-Type", "application/json"),
        ];
        server.post_text("/support/v1/tickets/thread/messages", &headers, r#"{"body": "Not yet."}"#).await.ok(201);
    };
    reply().await;
    let told = mails(&smtp, 3).await.remove(2);
    assert!(told.to == agent.email && told.plain().contains("Not yet."), "{}", told.text);

    let all = server.call_as(&agent, Method::GET, "/v1/orgs/acme/notifications", None).await.ok(200).json();
    assert_eq!(all, json!({"assigned": true, "customer_answered": true}));
    let less = json!({"customer_answered": false});
    let chosen = server.call_as(&agent, Method::PATCH, "/v1/orgs/acme/notifications", Some(&less)).await.ok(200).json();
    assert_eq!(chosen, json!({"assigned": true, "customer_answered": false}));
    reply().await;
    assign(&owner, &owner).await;
    assign(&owner, &agent).await;
    assert!(mails(&smtp, 4).await.remove(3).plain().contains("assigned to you"));
    // Of an org, each its own.
    let other = server.call_as(&owner, Method::GET, "/v1/orgs/acme/notifications", None).await.ok(200).json();
    assert_eq!(other, all);

    let invited = json!({"email": "grace@example.com", "role": "agent"});
    let shown = server.call_as(&owner, Method::POST, "/v1/orgs/acme/members", Some(&invited)).await.ok(201).json();
    let invitation = mails(&smtp, 5).await.remove(4);
    assert_eq!(invitation.to, "grace@example.com");
    let plain = invitation.plain();
    let link = plain.split("https://desk.example/invitation#").nth(1).expect("a link");
    let mailed = &link[..46];
    assert_ne!(mailed, shown["token"].as_str().expect("a token"));
    let accept = json!({"token": mailed, "name": "Grace", "password": "a horse and a battery"});
    let joined = server.request(Method::POST, "/v1/auth/invitations/accept").json(&accept);
    Answer::of(joined).await.ok(200);
    // It was one invitation, with two links.
    let accept = json!({"token": shown["token"], "name": "Grace", "password": "a horse and a battery"});
    let again = Answer::of(server.request(Method::POST, "/v1/auth/invitations/accept").json(&accept)).await;
    again.refused(404, "not_found");
    server.stop().await;
}

#[tokio::test]
async fn a_form_that_anybody_may_fill_in_is_no_cannon() {
    let (world, smtp) = (World::new().await, Smtp::start().await);
    let server = serve(&world, &smtp.url()).await;
    // A fourth site, so that three a day is the bound and not the number of sites.
    let owner = world.person("acme", "owner").await;
    server.call_as(&owner, Method::POST, "/v1/orgs/acme/sites", Some(&json!({"name": "Fourth"}))).await.ok(201);
    let key = server.call_as(&owner, Method::POST, "/v1/orgs/acme/sites/fourth/key", None).await.ok(201).json();
    let fourth = key["key"].as_str().expect("a key").to_owned();
    for key in [&world.site_a.key, &world.site_a.key, &world.site_a.key] {
        submit(&server, key, "victim@example.com").await;
    }
    mails(&smtp, 1).await;
    for key in [&world.site_b.key, &world.site_c.key, &fourth, &world.site_b.key, &fourth] {
        submit(&server, key, "Victim@Example.com").await;
    }
    mails(&smtp, 3).await;
    // Others are not affected, and nobody can see from the table who was meant.
    submit(&server, &fourth, "other@example.com").await;
    mails(&smtp, 4).await;
    assert!(
        !world.look::<bool>("select exists (select from vicket.mail_counts c where c::text ilike '%victim%')").await
    );
    // What an agent answers is theirs to send.
    server.stop().await;
}

#[tokio::test]
async fn what_is_refused_is_suppressed_until_somebody_clears_it() {
    let (world, smtp) = (World::new().await, Smtp::start().await);
    let server = serve(&world, &smtp.url()).await;
    let (owner, agent) = (world.person("acme", "owner").await, world.person("acme", "agent").await);
    let stranger = world.person("globex", "owner").await;
    let made = submit(&server, &world.site_a.key, "ada@example.com").await;
    mails(&smtp, 1).await;
    smtp.answer("ada@", "550 5.1.1 no such mailbox");
    answer(&server, &owner, &made, "Hello?").await;
    until(&world, "select exists (select from vicket.mails where state = 'bounced')").await;
    let told = message(&server, &owner, &made).await;
    assert_eq!(told["delivery"]["state"], "bounced", "{told}");
    assert!(
        told["delivery"]["detail"]
            .as_str()
            .is_some_and(|said| said.contains("550") && said.contains("no such mailbox")),
        "{told}"
    );

    smtp.answer("ada@", "250 ok");
    answer(&server, &owner, &made, "Hello again?").await;
    until(&world, "select exists (select from vicket.mails where state = 'suppressed')").await;
    assert_eq!(message(&server, &owner, &made).await["delivery"]["state"], "suppressed");
    mails(&smtp, 1).await;

    let path = "/v1/orgs/acme/sites/site-a/mail/suppressions";
    let list = server.call_as(&owner, Method::GET, path, None).await.ok(200).json();
    assert_eq!(list["data"][0]["address"], "ada@example.com", "{list}");
    server.call_as(&agent, Method::GET, path, None).await.refused(403, "permission_required");
    server.call_as(&stranger, Method::GET, path, None).await.refused(404, "not_found");
    let of_other = "/v1/orgs/globex/sites/site-c/mail/suppressions";
    assert_eq!(server.call_as(&stranger, Method::GET, of_other, None).await.ok(200).json()["data"], json!([]));
    let page = server.call(Method::GET, "/dashboard/acme/sites/site-a/mail", &[("Cookie", &owner.cookie)]).await;
    assert!(page.ok(200).text.contains("ada@example.com") && page.text.contains("no such mailbox"), "{}", page.text);
    let one = format!("{path}/{}", list["data"][0]["id"].as_str().expect("an id"));
    let elsewhere = one.replace("/acme/sites/site-a/", "/globex/sites/site-c/");
    server.call_as(&stranger, Method::DELETE, &elsewhere, None).await.refused(404, "not_found");
    server.call_as(&owner, Method::DELETE, &one.replace("site-a", "site-b"), None).await.refused(404, "not_found");
    server.call_as(&owner, Method::DELETE, &one, None).await.ok(204);
    let log = server.call_as(&owner, Method::GET, "/v1/orgs/acme/audit-log", None).await.ok(200).json();
    assert_eq!(
        (&log["data"][0]["action"], &log["data"][0]["object"]["kind"]),
        (&json!("deleted"), &json!("suppression")),
        "{log}"
    );
    answer(&server, &owner, &made, "And now?").await;
    mails(&smtp, 2).await;
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_now_is_tried_again_and_what_was_given_up_can_be_sent_again() {
    let (world, smtp) = (World::new().await, Smtp::start().await);
    let server = serve(&world, &smtp.url()).await;
    let owner = world.person("acme", "owner").await;
    smtp.answer("ada@", "451 4.3.0 come back later");
    let made = submit(&server, &world.site_a.key, "ada@example.com").await;
    until(&world, "select exists (select from vicket.tasks where attempts >= 3 and last_error like '451%')").await;
    smtp.answer("ada@", "250 ok");
    let received = mails(&smtp, 1).await.remove(0);
    assert_eq!(received.to, "ada@example.com");

    smtp.answer("ada@", "451 4.3.0 come back later");
    answer(&server, &owner, &made, "Hello?").await;
    // As after three days.
    until(&world, "select exists (select from vicket.tasks where attempts >= 1)").await;
    world.arrange("update vicket.tasks set attempts = 30").await;
    until(&world, "select exists (select from vicket.tasks where dead_at is not null)").await;
    let told = message(&server, &owner, &made).await;
    assert_eq!(told["delivery"]["state"], "failed", "{told}");
    let path = "/v1/orgs/acme/sites/site-a/mail/dead-letters";
    let list = server.call_as(&owner, Method::GET, path, None).await.ok(200).json();
    let letter = &list["data"][0];
    assert_eq!((&letter["kind"], &letter["ticket_id"]), (&json!("ticket_answered"), &made["id"]), "{list}");
    assert!(letter["error"].as_str().is_some_and(|said| said.starts_with("451")), "{list}");
    let of_site = server.call_as(&owner, Method::GET, "/v1/orgs/acme/sites/site-a/mail", None).await.ok(200).json();
    assert_eq!((&of_site["dead_letters"], &of_site["sends"]), (&json!(1), &json!(true)), "{of_site}");

    smtp.answer("ada@", "250 ok");
    let again = format!("{path}/{}/retry", letter["id"].as_str().expect("an id"));
    let stranger = world.person("globex", "owner").await;
    let elsewhere = again.replace("/acme/sites/site-a/", "/globex/sites/site-c/");
    server.call_as(&stranger, Method::POST, &elsewhere, None).await.refused(404, "not_found");
    server.call_as(&owner, Method::POST, &again, None).await.ok(204);
    mails(&smtp, 2).await;
    server.call_as(&owner, Method::POST, &again, None).await.refused(404, "not_found");
    let log = server.call_as(&owner, Method::GET, "/v1/orgs/acme/audit-log", None).await.ok(200).json();
    assert_eq!(
        (&log["data"][0]["action"], &log["data"][0]["object"]["kind"]),
        (&json!("updated"), &json!("dead_letter")),
        "{log}"
    );
    // The button of the page does the same.
    smtp.answer("ada@", "451 4.3.0 come back later");
    answer(&server, &owner, &made, "Are you there?").await;
    until(&world, "select exists (select from vicket.tasks where attempts >= 1)").await;
    world.arrange("update vicket.tasks set attempts = 30").await;
    until(&world, "select exists (select from vicket.tasks where dead_at is not null)").await;
    smtp.answer("ada@", "250 ok");
    let id: String = world.look("select id::text from vicket.tasks where dead_at is not null").await;
    let (page, fields) = ("/dashboard/acme/sites/site-a/mail", [("action", "retry"), ("id", id.as_str())]);
    assert_eq!(server.send(&owner, page, &fields).await.status, 303);
    mails(&smtp, 3).await;
    assert_eq!(server.send(&owner, page, &fields).await.status, 404);
    server.stop().await;
}

#[tokio::test]
async fn without_a_server_that_sends_nothing_is_written() {
    let world = World::new().await;
    let server = world.serve().await;
    let owner = world.person("acme", "owner").await;
    let made = submit(&server, &world.site_a.key, "ada@example.com").await;
    let answered = answer(&server, &owner, &made, "Hello.").await;
    assert_eq!(answered["delivery"], Value::Null);
    for table in ["mails", "tasks", "mail_counts"] {
        assert_eq!(world.look::<i64>(&format!("select count(*) from vicket.{table}")).await, 0, "{table}");
    }
    // Nor three days after the last one.
    world
        .arrange(
            "insert into vicket.mail_service (domain, on_until) values ('mail.example', now() - interval '1 second')",
        )
        .await;
    answer(&server, &owner, &made, "Hello?").await;
    assert_eq!(world.look::<i64>("select count(*) from vicket.mails").await, 0);
    let of_site = server.call_as(&owner, Method::GET, "/v1/orgs/acme/sites/site-a/mail", None).await.ok(200).json();
    assert_eq!((&of_site["sends"], &of_site["from_address"]), (&json!(false), &Value::Null), "{of_site}");
    server.stop().await;
}

#[tokio::test]
async fn a_folder_gets_a_file_a_message_that_begins_with_its_envelope() {
    let world = World::new().await;
    let dir = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("mail-{}", uuid::Uuid::new_v4()));
    let server = serve(&world, &format!("file://{}", dir.display())).await;
    submit(&server, &world.site_a.key, "ada@example.com").await;
    until(&world, "select exists (select from vicket.mails where state = 'sent')").await;
    let files: Vec<_> = std::fs::read_dir(&dir).expect("a folder").map(|file| file.expect("a file").path()).collect();
    assert!(files.len() == 1 && files[0].extension().is_some_and(|ending| ending == "eml"), "{files:?}");
    let text = std::fs::read_to_string(&files[0]).expect("text");
    assert!(text.starts_with("Return-Path: <vicket@mail.example>\r\nDelivered-To: ada@example.com\r\n"), "{text}");
    let _ = std::fs::remove_dir_all(&dir);
    server.stop().await;
}

/// Prints how long a mail waits until it is on its way.
#[tokio::test]
async fn mail_is_picked_up() {
    let (world, smtp) = (World::new().await, Smtp::start().await);
    let server = serve(&world, &smtp.url()).await;
    let mut waits = Vec::new();
    for number in 0..40 {
        submit(&server, &world.site_a.key, &format!("ada-{number}@example.com")).await;
        let since = Instant::now();
        while smtp.taken().len() <= number {
            tokio::time::sleep(Duration::from_millis(2)).await;
            assert!(since.elapsed() < Duration::from_secs(10), "not sent");
        }
        waits.push(since.elapsed());
    }
    waits.sort_unstable();
    println!("from the answer to the next server: median {:?}, p95 {:?}", waits[20], waits[37]);
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_is_killed_while_mail_goes_out_loses_none() {
    // 1,000 of them with VICKET_LOAD.
    let mails: usize = if std::env::var_os("VICKET_LOAD").is_some() { 1_000 } else { 300 };
    let _alone = ALONE.lock().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (world, smtp) = (World::new().await, Smtp::start().await);
    let variables = || {
        [
            ("VICKET_WIDGET_URL", world.url("vicket_gate_widget")),
            ("VICKET_AGENT_URL", world.url("vicket_gate_agent")),
            ("VICKET_WORKER_URL", world.url("vicket_worker")),
            ("VICKET_SMTP_URL", smtp.url()),
            ("VICKET_MAIL_FROM", "Vicket <vicket@mail.example>".to_owned()),
        ]
    };
    // Mail that waits: written by a server that says that it sends and whose mail server does not answer.
    let nowhere = serve(&world, &format!("smtp://127.0.0.1:{}", free_port())).await;
    for number in 0..mails {
        submit(&nowhere, &world.site_a.key, &format!("ada-{number}@example.com")).await;
    }
    nowhere.stop().await;
    world.arrange("update vicket.tasks set run_at = now(), attempts = 0").await;
    assert_eq!(world.look::<i64>("select count(*) from vicket.tasks").await, i64::try_from(mails).expect("few"));

    let mut kills = 0;
    for share in [60, 140, 220].map(|of_300| mails * of_300 / 300) {
        let port = free_port();
        let mut server = serve_with(&variables(), port, "warn", Stdio::null());
        let since = Instant::now();
        while smtp.taken().len() < share {
            assert!(since.elapsed() < Duration::from_mins(1), "only {}", smtp.taken().len());
            assert!(server.0.as_mut().expect("running").try_wait().expect("waited").is_none(), "it ended instead");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.end("KILL").await;
        kills += 1;
    }
    let _last = serve_with(&variables(), free_port(), "warn", Stdio::null());
    let since = Instant::now();
    while world.look::<i64>("select count(*) from vicket.tasks").await > 0 {
        assert!(since.elapsed() < Duration::from_mins(1), "mail waits");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let taken = smtp.taken();
    let mut ids: HashMap<String, HashSet<String>> = HashMap::new();
    for mail in &taken {
        ids.entry(mail.to.clone()).or_default().insert(mail.header("Message-ID").expect("one"));
    }
    assert_eq!(ids.len(), mails, "none is lost");
    assert!(ids.values().all(|of_one| of_one.len() == 1), "a repeat has the same Message-ID");
    println!("{kills} kills, {} mails taken of {mails}: {} repeats", taken.len(), taken.len() - mails);
    // At the most what was under way.
    assert!(taken.len() - mails <= kills * 8 * 2, "{}", taken.len());
}
