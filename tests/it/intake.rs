//! Mail that comes in: a reply lands in its ticket, and nobody's word is taken for another's. By the real listener, with what the
//! server sent as the mail that is answered.

mod client;
mod domains;
mod gate;
mod killed;
mod looks;
mod merges;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;
use vicket::{
    intake::Intake,
    mail::{
        outbound::{Outgoing, sender::Sender, transport::Transport},
        reply::Replies,
    },
    master_secret::MasterSecret,
};

use crate::{
    harness::{Options, Person, Running, World, ticket},
    mail::smtp::{Smtp, Taken},
};
use client::Client;

const SECRET: &str = "a secret of the tests of more than thirty-two characters";
const REPLY_DOMAIN: &str = "reply.example";
const ADA: &str = "ada@example.com";
/// What a server that is believed says of a message.
const PROVEN: &str = "Authentication-Results: mx.test; dmarc=pass header.from=example.com\n";

fn replies() -> Arc<Replies> {
    let secret = MasterSecret::of_lines(SECRET).expect("a secret");
    Arc::new(Replies::new(Arc::new(secret), Some(REPLY_DOMAIN.to_owned())))
}

fn intake() -> Intake {
    Intake {
        replies: Some(replies()),
        dns: None,
        authserv_ids: vec!["mx.test".to_owned()],
        domains: vec!["acme.example".to_owned()],
        own: vec!["vicket@mail.example".to_owned()],
        received: Notify::new(),
    }
}

struct Desk {
    world: World,
    smtp: Smtp,
    server: Running,
    owner: Person,
    /// Of site-a.
    address: String,
}

impl Desk {
    async fn open() -> Self {
        Self::open_with(|options| options).await
    }

    async fn open_with(change: impl FnOnce(Options) -> Options) -> Self {
        let (world, smtp) = (World::new().await, Smtp::start().await);
        let outgoing = Outgoing {
            transport: Transport::parse(&smtp.url()).expect("a URL"),
            sender: Sender {
                from: "Vicket <vicket@mail.example>".parse().expect("a mailbox"),
                domains: Vec::new(),
                public_url: "https://desk.example".to_owned(),
            },
            first_wait: Duration::from_millis(100),
            replies: Some(replies()),
            signing: None,
        };
        let options = Options { mail: Some(outgoing), intake: Some(intake()), limits: false, ..Options::default() };
        let server = world.serve_with(change(options)).await;
        let owner = world.person("acme", "owner").await;
        let mut desk = Self { world, smtp, server, owner, address: String::new() };
        let page = desk.mail_page().await;
        page["address"].as_str().expect("an address").clone_into(&mut desk.address);
        desk
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> crate::harness::Answer {
        self.server.call_as(&self.owner, method, &format!("/v1/orgs/acme{path}"), body).await
    }

    async fn mail_page(&self) -> Value {
        self.call(Method::GET, "/sites/site-a/mail", None).await.ok(200).json()
    }

    async fn held(&self) -> Vec<Value> {
        let page = self.call(Method::GET, "/sites/site-a/mail/held", None).await.ok(200).json();
        page["data"].as_array().expect("a list").clone()
    }

    async fn ticket(&self, id: &str) -> Value {
        self.call(Method::GET, &format!("/tickets/{id}"), None).await.ok(200).json()
    }

    async fn messages(&self, id: &str) -> Vec<Value> {
        self.ticket(id).await["messages"].as_array().expect("messages").clone()
    }

    async fn client(&self) -> Client {
        Client::lmtp(self.server.mail[0]).await
    }

    async fn until(&self, sql: &str) {
        let since = Instant::now();
        while !self.world.look::<bool>(sql).await {
            assert!(since.elapsed() < Duration::from_secs(20), "{sql}: {:?}", self.states().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Until nothing that came in waits.
    async fn read(&self) {
        self.until("select not exists (select from vicket.tasks where kind = 'inbound')").await;
    }

    /// What became of each mail, in their order.
    async fn states(&self) -> Vec<String> {
        let sql = "select coalesce(array_agg(state || coalesce(': ' || reason, '') order by received_at), '{}')
            from vicket.inbound_mails";
        self.world.look(sql).await
    }

    /// A mail that the server sent to an address, the newest.
    async fn sent_to(&self, to: &str, count: usize) -> Taken {
        let since = Instant::now();
        loop {
            let taken: Vec<Taken> = self.smtp.taken().into_iter().filter(|mail| mail.to == to).collect();
            if taken.len() >= count {
                return taken.into_iter().last().expect("one");
            }
            assert!(since.elapsed() < Duration::from_secs(20), "no mail to {to}: {:#?}", self.smtp.taken());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A ticket of Ada's, by the support page; its id, and the mail that she got.
    async fn asked(&self) -> (String, Taken) {
        let mut body = ticket();
        body["email"] = json!(ADA);
        let made = self.server.post(&self.world.site_a.key, "/support/v1/tickets", &body).await.ok(201).json();
        let received = self.sent_to(ADA, 1).await;
        (made["id"].as_str().expect("an id").to_owned(), received)
    }

    async fn answer(&self, id: &str, body: &str) {
        let path = format!("/tickets/{id}/messages");
        self.call(Method::POST, &path, Some(&json!({"body": body}))).await.ok(201);
    }

    async fn set_status(&self, id: &str, category: &str) {
        let body = json!({"status": category});
        self.call(Method::PATCH, &format!("/tickets/{id}"), Some(&body)).await.ok(200);
    }
}

/// The address in brackets, or alone.
fn bare(header: &str) -> String {
    header.rsplit('<').next().unwrap_or_default().trim_end_matches('>').to_owned()
}

fn reply_to(mail: &Taken) -> String {
    bare(&mail.header("Reply-To").expect("a Reply-To"))
}

/// A message of Ada's, that a server vouches for when `head` says so.
fn message(head: &str, body: &str) -> String {
    let id = uuid::Uuid::new_v4();
    format!("{head}From: Ada <{ADA}>\nTo: x@example.org\nSubject: Re: Help\nMessage-ID: <{id}@example.com>\n\n{body}\n")
}

#[tokio::test]
async fn a_customers_reply_lands_in_the_ticket_and_an_answer_has_the_same_thread() {
    let desk = Desk::open().await;
    let (id, received) = desk.asked().await;
    let to = reply_to(&received);
    let (local, domain) = to.split_once('@').expect("an address");
    assert!(local.starts_with("r.") && local.len() <= 64 && domain == REPLY_DOMAIN, "{to}");
    assert!(received.from.starts_with("b.") && received.from.ends_with("@reply.example"), "{}", received.from);
    let own = received.header("Message-ID").expect("one");
    assert!(own.starts_with("<m.") && own.ends_with("@mail.example>") && own.len() > 70, "{own}");

    let body = format!("It still fails.\n\nOn Monday Vicket wrote:\n> {}\n", "We look into it.");
    desk.client().await.hand(ADA, &to.to_uppercase(), &message(PROVEN, &body)).await;
    desk.read().await;
    let messages = desk.messages(&id).await;
    let last = messages.last().expect("one");
    assert_eq!((messages.len(), &last["author"]), (2, &json!("customer")), "{:?}", desk.states().await);
    assert!(last["body"].as_str().expect("text").starts_with("It still fails."), "{last}");
    assert_eq!(last["mail"], json!({"from": ADA, "verified": true, "automatic": false}));
    assert_eq!(messages[0]["mail"], Value::Null, "a message that did not come by mail");

    // Answered: the same reply address, and one thread for her program.
    desk.answer(&id, "Try again.").await;
    let answered = desk.sent_to(ADA, 2).await;
    assert_eq!(reply_to(&answered), to);
    assert!(answered.header("References").expect("some").contains(&own));
    // By the id alone, to the address of the site.
    let head = format!("{PROVEN}In-Reply-To: {}\n", answered.header("Message-ID").expect("one"));
    desk.client().await.hand(ADA, &desk.address, &message(&head, "Now it works.")).await;
    desk.read().await;
    assert_eq!(desk.messages(&id).await.len(), 4, "{:?}", desk.states().await);
    let page = desk.mail_page().await;
    assert!(page["last_received_at"].is_string() && page["held"] == 0, "{page}");
}

#[tokio::test]
async fn mail_to_the_address_of_a_site_makes_a_ticket_with_its_files_and_lists_what_is_left_out() {
    let desk = Desk::open().await;
    let mail = "From: Bob <bob@example.org>\nSubject: Printer\nMessage-ID: <1@example.org>\nMIME-Version: 1.0\n\
        Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain\n\nIt is on fire.\n\
        --x\nContent-Type: image/png; name=\"fire.txt\"\nContent-Disposition: attachment; filename=\"fire.txt\"\n\n\
        all is plain text\n--x\nContent-Type: text/plain\nContent-Disposition: attachment; filename=\"empty.txt\"\n\n--x--\n";
    desk.client().await.hand("bob@example.org", &desk.address, mail).await;
    desk.read().await;
    let tickets = desk.call(Method::GET, "/tickets", None).await.ok(200).json();
    let made = &tickets["data"][0];
    assert_eq!(
        (&made["subject"], &made["customer"]["email"]),
        (&json!("Printer"), &json!("bob@example.org")),
        "{:?}",
        desk.states().await
    );
    let id = made["id"].as_str().expect("an id");
    let message = desk.messages(id).await.remove(0);
    let body = message["body"].as_str().expect("text");
    assert!(body.starts_with("It is on fire.") && body.contains("[Not attached: empty.txt, it is empty]"), "{body}");
    assert_eq!(message["mail"], json!({"from": "bob@example.org", "verified": false, "automatic": false}));
    let files = message["attachments"].as_array().expect("files");
    // By what it is, not by what it says.
    assert_eq!(
        (files.len(), &files[0]["name"], &files[0]["content_type"]),
        (1, &json!("fire.txt"), &json!("text/plain"))
    );
    let told = desk.sent_to("bob@example.org", 1).await;
    assert!(!told.text.contains("fire"), "nothing of what was written goes to an address that nobody proved");
}

#[tokio::test]
async fn who_is_not_proven_or_not_whom_the_address_is_of_is_held_until_a_person_decides() {
    let desk = Desk::open().await;
    let (id, received) = desk.asked().await;
    let to = reply_to(&received);
    desk.set_status(&id, "resolved").await;
    let mut client = desk.client().await;
    // A forged From; a stranger whose From is proven; what a server that nobody believes says.
    client.hand(ADA, &to, &message("", "Forged.")).await;
    let stranger = message(PROVEN, "A stranger.").replace(ADA, "eve@example.com");
    client.hand("eve@example.com", &to, &stranger).await;
    client.hand(ADA, &to, &message(&PROVEN.replace("mx.test", "mx.evil"), "Claimed.")).await;
    desk.read().await;
    assert_eq!(desk.messages(&id).await.len(), 1);
    assert_eq!(desk.ticket(&id).await["status"]["category"], "resolved");
    let held = desk.held().await;
    assert_eq!(held.len(), 3, "{:?}", desk.states().await);
    for one in &held {
        assert!(one["ticket_id"] == json!(id) && one["reason"].is_string() && one["at"].is_string(), "{one}");
    }
    let of = |text: &str| {
        let found = held.iter().find(|one| one["reason"].as_str().expect("text").contains(text));
        found.expect("held")["id"].as_str().expect("an id").to_owned()
    };
    // One is accepted, one rejected; each once.
    let (stranger, forged) = (of("not from whom"), of("not verified"));
    let decide = async |id: &str, what: &str| {
        desk.call(Method::POST, &format!("/sites/site-a/mail/held/{id}/{what}"), None).await.status
    };
    assert_eq!(decide(&stranger, "accept").await, 204);
    assert_eq!(decide(&forged, "reject").await, 204);
    assert_eq!(decide(&forged, "accept").await, 404);
    assert_eq!(decide(&stranger, "reject").await, 404);
    desk.read().await;
    let messages = desk.messages(&id).await;
    let last = messages.last().expect("one");
    assert_eq!((messages.len(), last["body"].as_str()), (2, Some("A stranger.")), "{:?}", desk.states().await);
    assert_eq!(last["mail"], json!({"from": "eve@example.com", "verified": true, "automatic": false}));
    assert_eq!(desk.held().await.len(), 1);
    // Who only answers tickets does not decide, and another org's people find nothing.
    let agent = desk.world.person("acme", "agent").await;
    let path =
        format!("/v1/orgs/acme/sites/site-a/mail/held/{}/accept", desk.held().await[0]["id"].as_str().expect("an id"));
    assert_eq!(desk.server.call_as(&agent, Method::POST, &path, None).await.status, 403);
    let other = desk.world.person("globex", "owner").await;
    assert_eq!(desk.server.call_as(&other, Method::POST, &path, None).await.status, 404);
}

#[tokio::test]
async fn a_member_answers_by_mail_and_a_stranger_with_their_address_does_not() {
    let desk = Desk::open().await;
    let (id, _) = desk.asked().await;
    let agent = desk.world.person("acme", "agent").await;
    let body = json!({"assignee": agent.id});
    desk.call(Method::PATCH, &format!("/tickets/{id}"), Some(&body)).await.ok(200);
    let told = desk.sent_to(&agent.email, 1).await;
    let to = reply_to(&told);
    assert_ne!(to, reply_to(&desk.sent_to(ADA, 1).await), "an address is one participant's");
    let proven = PROVEN.replace("example.com", "acme.example");
    let answer = |head: &str, body: &str| message(head, body).replace(ADA, &agent.email);
    let mut client = desk.client().await;
    client.hand(&agent.email, &to, &answer("", "Forged in a member's name.")).await;
    client.hand(ADA, &to, &message(PROVEN, "The customer, at a member's address.")).await;
    client.hand(&agent.email, &to, &answer(&format!("{proven}Auto-Submitted: auto-replied\n"), "On holiday.")).await;
    desk.read().await;
    assert_eq!((desk.messages(&id).await.len(), desk.held().await.len()), (1, 3), "{:?}", desk.states().await);
    client.hand(&agent.email, &to, &answer(&proven, "Have you tried it twice?")).await;
    desk.read().await;
    let last = desk.messages(&id).await.pop().expect("one");
    assert_eq!((&last["author"], &last["body"]), (&json!("agent"), &json!("Have you tried it twice?")));
    let sent = desk.sent_to(ADA, 2).await;
    assert!(sent.plain().contains("Have you tried it twice?"), "{}", sent.text);
    // Whoever may not answer any more is a stranger.
    desk.world.arrange(&format!("update vicket.members set role = 'viewer' where user_id = '{}'", agent.id)).await;
    client.hand(&agent.email, &to, &answer(&proven, "And now?")).await;
    desk.read().await;
    assert_eq!((desk.messages(&id).await.len(), desk.held().await.len()), (2, 4), "{:?}", desk.states().await);
}

#[tokio::test]
async fn what_a_machine_sent_is_kept_and_shown_and_triggers_nothing() {
    let desk = Desk::open().await;
    let (id, received) = desk.asked().await;
    let to = reply_to(&received);
    desk.set_status(&id, "resolved").await;
    desk.sent_to(ADA, 2).await;
    let mut client = desk.client().await;
    let automatic = format!("{PROVEN}Auto-Submitted: auto-replied\n");
    client.hand(ADA, &to, &message(&automatic, "I am away.")).await;
    desk.read().await;
    let messages = desk.messages(&id).await;
    assert_eq!(messages.last().expect("one")["mail"]["automatic"], true, "{:?}", desk.states().await);
    assert_eq!(desk.ticket(&id).await["status"]["category"], "resolved");
    // A newsletter makes a ticket, and is told nothing; nor is mail of ours that comes back in.
    let letter = "From: News <news@example.net>\nList-Id: <news.example.net>\nSubject: News\n\nBuy.\n";
    client.hand("news@example.net", &desk.address, letter).await;
    client.hand("vicket@mail.example", &desk.address, &letter.replace("news@example.net", "vicket@mail.example")).await;
    client.hand("x@reply.example", &desk.address, &letter.replace("news@example.net", &to)).await;
    desk.read().await;
    let states = desk.states().await;
    assert!(states[1] == "filed" && states[2..].iter().all(|state| state.starts_with("ignored")), "{states:?}");
    // It is listed, for who may read the site's mail.
    let list = "/v1/orgs/acme/sites/site-a/mail/ignored?limit=1";
    let shown = desk.call(Method::GET, "/sites/site-a/mail/ignored?limit=1", None).await.ok(200).json();
    let rest = format!("/sites/site-a/mail/ignored?cursor={}", shown["next_cursor"].as_str().expect("a cursor"));
    let rest = desk.call(Method::GET, &rest, None).await.ok(200).json();
    let from = |page: &Value| page["data"][0]["from"].clone();
    assert_eq!((from(&rest), rest["data"].as_array().map(Vec::len)), (json!("vicket@mail.example"), Some(1)));
    assert!(shown["data"][0]["reason"].is_string(), "{shown}");
    let page = desk.server.page(&desk.owner, "/dashboard/acme/sites/site-a/mail").await.text;
    assert!(page.contains("Came by itself") && page.contains("vicket@mail.example</strong>: News"), "{page}");
    for (org, role, code) in [("globex", "owner", "not_found"), ("acme", "agent", "permission_required")] {
        let other = desk.world.person(org, role).await;
        let status = if code == "permission_required" { 403 } else { 404 };
        desk.server.call_as(&other, Method::GET, list, None).await.refused(status, code);
    }
    // What a rule passes on is a person's, where the sender is proven: it reopens.
    let passed_on = message(&format!("{PROVEN}Auto-Submitted: auto-forwarded\n"), "It is back.");
    client.hand(ADA, &to, &passed_on).await;
    desk.read().await;
    assert_eq!(desk.ticket(&id).await["status"]["category"], "open", "{:?}", desk.states().await);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let told: Vec<String> = desk.smtp.taken().into_iter().map(|mail| mail.to).collect();
    assert_eq!(told, [ADA, ADA], "nobody else was told anything");
}

#[tokio::test]
async fn a_ticket_is_reopened_five_times_an_hour_and_a_closed_one_never() {
    let desk = Desk::open().await;
    let (id, received) = desk.asked().await;
    let to = reply_to(&received);
    let mut client = desk.client().await;
    for round in 1..=6 {
        desk.set_status(&id, "resolved").await;
        client.hand(ADA, &to, &message(PROVEN, &format!("Round {round}."))).await;
        desk.read().await;
        let status = if round <= 5 { "open" } else { "resolved" };
        assert_eq!(desk.ticket(&id).await["status"]["category"], status, "round {round}");
    }
    assert_eq!(desk.messages(&id).await.len(), 7);
    desk.set_status(&id, "closed").await;
    client.hand(ADA, &to, &message(PROVEN, "One more thing.")).await;
    desk.read().await;
    assert_eq!(desk.messages(&id).await.len(), 7);
    let tickets = desk.call(Method::GET, "/tickets", None).await.ok(200).json();
    let made = &tickets["data"][0];
    assert!(made["id"] != json!(id) && made["customer"]["email"] == ADA, "a new ticket: {made}");
}

#[tokio::test]
async fn a_bounce_counts_by_its_return_path_alone() {
    let desk = Desk::open().await;
    let (id, received) = desk.asked().await;
    desk.answer(&id, "Try again.").await;
    let answered = desk.sent_to(ADA, 2).await;
    let report = |status: &str, action: &str| {
        format!(
            "From: MAILER-DAEMON@mx.example.com\nSubject: Undelivered\nMIME-Version: 1.0\n\
            Content-Type: multipart/report; report-type=delivery-status; boundary=x\n\n--x\n\nSorry.\n\
            --x\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.com\n\n\
            Final-Recipient: rfc822; {ADA}\nAction: {action}\nStatus: {status}\n\
            Diagnostic-Code: smtp; 550 {status} <{ADA}>: no such user\n\n--x--\n"
        )
    };
    let state = async || {
        let messages = desk.messages(&id).await;
        let delivery = &messages.last().expect("one")["delivery"];
        (
            delivery["state"].as_str().unwrap_or_default().to_owned(),
            delivery["detail"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let suppressed = async || desk.mail_page().await["suppressions"].clone();
    let mut client = desk.client().await;
    // To the site, by nobody: it changes nothing. To a return path that nobody made: there is no such address.
    client.hand("", &desk.address, &report("5.1.1", "failed")).await;
    desk.read().await;
    assert_eq!((state().await.0.as_str(), suppressed().await), ("sent", json!(0)));
    client.say("MAIL FROM:<>").await;
    let forged = format!("b.{}@reply.example", "a".repeat(56));
    assert!(client.say(&format!("RCPT TO:<{forged}>")).await.starts_with("550"));
    client.say("RSET").await;
    // Not yet, and then for good.
    client.hand("", &answered.from, &report("4.4.1", "delayed")).await;
    desk.read().await;
    assert!(
        matches!(state().await, (state, said) if state == "sent" && said.starts_with("delayed: ")),
        "{:?}",
        state().await
    );
    assert_eq!(suppressed().await, json!(0));
    client.hand("", &answered.from, &report("5.1.1", "failed")).await;
    desk.read().await;
    assert!(
        matches!(state().await, (state, said) if state == "bounced" && said.starts_with("550 5.1.1")),
        "{:?}",
        state().await
    );
    assert_eq!(suppressed().await, json!(1));
    desk.answer(&id, "And now?").await;
    desk.until("select exists (select from vicket.mails where state = 'suppressed')").await;
    assert_ne!(received.from, answered.from, "a return path is one mail's");
}

#[tokio::test]
async fn a_mail_that_comes_twice_is_one_and_is_counted() {
    let desk = Desk::open_with(|options| Options { metrics: true, ..options }).await;
    let (id, received) = desk.asked().await;
    let to = reply_to(&received);
    let mut client = desk.client().await;
    let mail = message(PROVEN, "Once.");
    for hop in ["a", "b", "c"] {
        client.hand(ADA, &to, &format!("Received: by {hop}\n{mail}")).await;
    }
    // Another text by the same id is another mail.
    client.hand(ADA, &to, &mail.replace("Once.", "Twice.")).await;
    client.say("MAIL FROM:<>").await;
    client.say("RCPT TO:<nobody@elsewhere.example>").await;
    desk.read().await;
    assert_eq!(desk.messages(&id).await.len(), 3, "{:?}", desk.states().await);
    let metrics = desk.server.scrape().await;
    for line in [
        "vicket_mail_in_total{outcome=\"received\"} 2",
        "vicket_mail_in_total{outcome=\"duplicate\"} 2",
        "vicket_mail_in_total{outcome=\"filed\"} 2",
        "vicket_mail_in_total{outcome=\"refused\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[tokio::test]
async fn an_address_of_its_own_is_one_of_a_domain_that_the_operator_lists_and_of_one_site() {
    let desk = Desk::open().await;
    let set = async |org: &str, site: &str, person: &Person, address: Value| {
        let path = format!("/v1/orgs/{org}/sites/{site}/mail");
        desk.server.call_as(person, Method::PATCH, &path, Some(&json!({"address": address}))).await
    };
    let form = "/dashboard/acme/sites/site-a/mail";
    for address in ["help@elsewhere.example", "no address@acme.example"] {
        assert_eq!(set("acme", "site-a", &desk.owner, json!(address)).await.status, 422, "{address}");
        let fields = [("action", "address"), ("address", address)];
        let refused = desk.server.send(&desk.owner, form, &fields).await;
        assert_eq!(refused.status, 422, "{address}: {}", refused.text);
    }
    let fields = [("action", "address"), ("address", "desk@acme.example")];
    assert_eq!(desk.server.send(&desk.owner, form, &fields).await.status, 303);
    let page = set("acme", "site-a", &desk.owner, json!("Help@acme.example")).await.ok(200).json();
    assert_eq!(page["address"], "Help@acme.example");
    let other = desk.world.person("globex", "owner").await;
    let refused = set("globex", "site-c", &other, json!("help@acme.example")).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    let mut client = desk.client().await;
    client.hand(ADA, "help@ACME.example", &message("", "To the address of its own.")).await;
    desk.read().await;
    assert_eq!(desk.states().await, ["filed"]);
    assert_eq!(
        desk.world
            .look::<i64>(
                "select count(*) from vicket.tickets t join vicket.sites s on s.id = t.site_id where s.slug = 'site-a'"
            )
            .await,
        1
    );
    // Taken away, it is nobody's; the one below the reply domain is there again.
    let page = set("acme", "site-a", &desk.owner, Value::Null).await.ok(200).json();
    assert_eq!(page["address"], json!(desk.address));
    client.say("MAIL FROM:<>").await;
    assert!(client.say("RCPT TO:<help@acme.example>").await.starts_with("550"));
}

#[tokio::test]
async fn a_server_that_is_spoken_for_is_believed_only_in_trials() {
    let zone = std::env::temp_dir().join(format!("vicket-intake-{}.zone", std::process::id()));
    std::fs::write(
        &zone,
        "example.com TXT \"v=spf1 ip4:192.0.2.1 -all\"\n_dmarc.example.com TXT \"v=DMARC1; p=reject\"\n",
    )
    .expect("written");
    let dns = vicket::mail::dns::Dns::open(Some(&zone)).expect("a zone");
    let with = |options: Options| {
        let intake = Intake { dns: Some(Arc::new(dns)), ..intake() };
        Options { intake: Some(intake), ..options }
    };
    let desk = Desk::open_with(with).await;
    let (id, received) = desk.asked().await;
    let to = reply_to(&received);
    let mut client = desk.client().await;
    assert!(client.say("XCLIENT ADDR=192.0.2.9 HELO=mail.evil.example").await.starts_with("220"));
    client.say("LHLO mx.test").await;
    client.hand(ADA, &to, &message("", "From elsewhere.")).await;
    let mut client = desk.client().await;
    client.say("XCLIENT ADDR=192.0.2.1 HELO=mail.example.com").await;
    client.say("LHLO mx.test").await;
    client.hand(ADA, &to, &message("", "From there.")).await;
    desk.read().await;
    let messages = desk.messages(&id).await;
    assert_eq!((messages.len(), desk.held().await.len()), (2, 1), "{:?}", desk.states().await);
    assert_eq!(messages[1]["body"], "From there.");
    let _ = std::fs::remove_file(zone);
    // Without such a file there is no such command.
    let plain = Desk::open().await;
    assert!(plain.client().await.say("XCLIENT ADDR=192.0.2.1").await.starts_with("500"));
}

#[tokio::test]
async fn nobody_is_mailed_because_somebody_wrote_in_their_name() {
    let desk = Desk::open().await;
    let mut client = desk.client().await;
    for number in 0..8 {
        let mail = format!("From: Victim <victim@example.org>\nSubject: SPAM {number}\n\nBUY THIS {number}\n");
        client.hand("eve@example.net", &desk.address, &mail).await;
    }
    desk.read().await;
    assert_eq!(desk.world.look::<i64>("select count(*) from vicket.tickets").await, 8, "all of it is there");
    let told = desk.sent_to("victim@example.org", 1).await;
    assert!(!told.text.contains("SPAM") && !told.plain().contains("BUY"), "{}", told.text);
    tokio::time::sleep(Duration::from_millis(600)).await;
    let count = desk.smtp.taken().iter().filter(|mail| mail.to == "victim@example.org").count();
    assert_eq!(count, 1, "once an address, site and day");
}

#[tokio::test]
async fn a_mail_that_is_tried_again_keeps_its_id_and_what_it_is_answered_at_whatever_becomes_of_the_secret() {
    let desk = Desk::open().await;
    desk.smtp.answer(ADA, "451 later");
    let mut body = ticket();
    body["email"] = json!(ADA);
    desk.server.post(&desk.world.site_a.key, "/support/v1/tickets", &body).await.ok(201);
    desk.until("select exists (select from vicket.tasks where attempts >= 2)").await;
    let id: String = desk.world.look("select message_ref from vicket.mails").await;
    assert!(id.len() > 70, "{id}");
    desk.smtp.answer(ADA, "250 fine");
    let received = desk.sent_to(ADA, 1).await;
    assert_eq!(received.header("Message-ID"), Some(id));
    let addresses = "select count(*) from vicket.mail_addresses where ticket_id is not null";
    assert_eq!(
        desk.world.look::<i64>(addresses).await,
        2,
        "a reply address and a return path, however often it is tried"
    );
    // Nothing that opens a ticket stands in a table.
    let token = reply_to(&received);
    let token = token.split('@').next().expect("a part");
    let kept: bool = desk
        .world
        .look(&format!("select exists (select from vicket.mail_addresses a where to_jsonb(a)::text like '%{token}%')"))
        .await;
    assert!(!kept);
}
