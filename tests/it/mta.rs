//! With mail servers as an operator has them: Postfix takes what the server sends, and hands what customers write on to it by LMTP;
//! Dovecot keeps the customers' mailboxes. Needs root, as Postfix does.

mod servers;

use std::{
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mail_auth::{
    common::{crypto::Ed25519Key, headers::HeaderWriter as _},
    dkim::DkimSigner,
};
use mail_parser::MessageParser;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, connect, ticket},
    processes::{ALONE, Dev, dev_file, free_port, vicket},
};
use servers::{Mailbox, Servers};

/// Whose mailbox Dovecot has.
const ADA: &str = "ada@customer.example";
/// Who has none there.
const NOBODY: &str = "nobody@customer.example";
const TICKETS: &str = "/v1/orgs/acme/tickets";

/// `vicket dev` between those servers.
struct Desk {
    dir: PathBuf,
    port: u16,
    made: Value,
    cookie: String,
    pkcs8: Vec<u8>,
    servers: Servers,
    dev: Option<Dev>,
}

impl Desk {
    async fn start(name: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("mta-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        let pkcs8 = Ed25519Key::generate_pkcs8().expect("a key");
        let signer = Ed25519Key::from_pkcs8_maybe_unchecked_der(&pkcs8).expect("a key");
        let zone = format!(
            "s1._domainkey.customer.example TXT \"v=DKIM1; k=ed25519; p={}\"\n_dmarc.customer.example TXT v=DMARC1; p=reject\n",
            STANDARD.encode(signer.public_key())
        );
        let dns = dir.join("dns.txt");
        std::fs::write(&dns, zone).expect("written");
        let (smtp, port) = (free_port(), free_port());
        let arguments = [
            "--smtp-url",
            &format!("smtp://127.0.0.1:{smtp}"),
            "--dns-file",
            dns.to_str().expect("a path"),
            "--rate-limits",
            "off",
            "--mail-retry",
            "1",
        ];
        let mut command = vicket();
        command.arg("dev").arg("--data-dir").arg(dir.join("data")).args(["--port", &port.to_string()]).args(arguments);
        // Nobody reads what it says: a line of each request would fill the pipe, and the server wait for it.
        let child = command.env("VICKET_LOG", "warn").stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut dev = Dev(Some(child.expect("the program starts")));
        dev.is_ready(port).await;
        let made = dev_file(&dir.join("data"));
        let text = |pointer: &str| made.pointer(pointer).and_then(Value::as_str).expect(pointer).to_owned();
        let (lmtp, reply_domain) = (text("/mail/lmtp"), text("/mail/reply_domain"));
        let servers = Servers::start(smtp, &lmtp, &reply_domain, &[ADA]).await;
        let owner = json!({ "email": text("/users/0/email"), "password": text("/users/0/password") });
        let login = reqwest::Client::new().post(format!("http://127.0.0.1:{port}/v1/auth/login")).json(&owner);
        let login = Answer::of(login).await;
        login.ok(200);
        let cookie =
            login.header("set-cookie").and_then(|cookie| cookie.split(';').next()).expect("a cookie").to_owned();
        Self { dir, port, made, cookie, pkcs8, servers, dev: Some(dev) }
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let base = format!("http://127.0.0.1:{}", self.port);
        let mut request = reqwest::Client::new().request(method, format!("{base}{path}"));
        request = request.header("Cookie", &self.cookie).header("Origin", base);
        if let Some(body) = body {
            request = request.json(body);
        }
        Answer::of(request).await
    }

    /// A ticket of this address; its id.
    async fn submit(&self, email: &str) -> String {
        let key = self.made["sites"][0]["key"].as_str().expect("a key");
        let mut body = ticket();
        body["email"] = json!(email);
        let request = reqwest::Client::new().post(format!("http://127.0.0.1:{}/support/v1/tickets", self.port));
        let made = Answer::of(request.header("X-Vicket-Key", key).json(&body)).await.ok(201).json();
        made["id"].as_str().expect("an id").to_owned()
    }

    async fn answer(&self, ticket: &str, text: &str) {
        let path = format!("{TICKETS}/{ticket}/messages");
        self.call(Method::POST, &path, Some(&json!({ "body": text }))).await.ok(201);
    }

    async fn ticket(&self, id: &str) -> Value {
        self.call(Method::GET, &format!("{TICKETS}/{id}"), None).await.ok(200).json()
    }

    /// How many tickets the first site has.
    async fn tickets(&self) -> usize {
        let admin = self.made["databases"]["admin"].as_str().expect("a URL");
        let sql =
            "select count(*) from vicket.tickets t join vicket.sites s on s.org_id = t.org_id and s.id = t.site_id
            where s.slug = 'acme-app'";
        let count: i64 = sqlx::query_scalar(sql).fetch_one(&mut connect(admin).await).await.expect("a count");
        usize::try_from(count).expect("few")
    }

    /// What the server holds, KiB.
    fn memory(&self) -> usize {
        let server = self.dev.as_ref().and_then(|dev| dev.0.as_ref()).expect("running").id();
        let status = std::fs::read_to_string(format!("/proc/{server}/status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a figure");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// The message of a ticket whose text is this, once it is there.
    async fn message(&self, ticket: &str, text: &str) -> Value {
        let since = Instant::now();
        loop {
            let read = self.ticket(ticket).await;
            let messages = read["messages"]["data"].as_array().or_else(|| read["messages"].as_array()).cloned();
            let found = messages.unwrap_or_default();
            let found =
                found.into_iter().find(|message| message["body"].as_str().is_some_and(|body| body.contains(text)));
            if let Some(found) = found {
                return found;
            }
            assert!(since.elapsed() < Duration::from_secs(20), "no message {text:?}: {read:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// An answer to a message, as a mail client writes it, signed by its sender's domain or by nobody.
    fn reply(&self, to: &[u8], from: &str, text: &str, signed: bool) -> (String, Vec<u8>) {
        let read = MessageParser::default().parse(to).expect("a message");
        let address = read.reply_to().or_else(|| read.from()).and_then(|to| to.first()).and_then(|to| to.address());
        let address = address.expect("an address to answer to").to_owned();
        let id = read.message_id().expect("an id");
        let body = format!(
            "From: Ada <{from}>\r\nTo: {address}\r\nSubject: Re: {}\r\nDate: Mon, 30 Nov 2026 12:00:00 +0000\r\n\
             Message-ID: <{}@customer.example>\r\nIn-Reply-To: <{id}>\r\nReferences: <{id}>\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n",
            read.subject().unwrap_or_default(),
            uuid::Uuid::new_v4()
        );
        let mut message = Vec::new();
        if signed {
            let key = Ed25519Key::from_pkcs8_maybe_unchecked_der(&self.pkcs8).expect("a key");
            let signer = DkimSigner::from_key(key).domain("customer.example").selector("s1");
            let signer = signer.headers(["From", "To", "Subject", "Date", "Message-ID"]);
            message.extend_from_slice(signer.sign(body.as_bytes()).expect("signed").to_header().as_bytes());
        }
        message.extend_from_slice(body.as_bytes());
        (address, message)
    }

    async fn end(mut self) {
        if let Some(dev) = self.dev.take() {
            assert!(dev.end("TERM").await.status.success());
        }
        self.servers.end();
        let _ = vicket::dev::postgres::Cluster::remove(&self.dir.join("data")).await;
        std::fs::remove_dir_all(&self.dir).expect("removed");
    }
}

/// The mailbox, once it has so many messages.
async fn mails(mailbox: &mut Mailbox, count: usize) -> Vec<Vec<u8>> {
    let since = Instant::now();
    loop {
        let messages = mailbox.messages();
        if messages.len() >= count {
            assert_eq!(messages.len(), count);
            return messages;
        }
        assert!(since.elapsed() < Duration::from_secs(30), "{} mails instead of {count}", messages.len());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_conversation_goes_on_by_mail_in_one_ticket_and_in_one_thread_of_the_mailbox() {
    if !servers::are_installed() {
        return;
    }
    let _alone = ALONE.lock().await;
    let desk = Desk::start("conversation").await;
    let ticket = desk.submit(ADA).await;
    let mut mailbox = desk.servers.mailbox(ADA);
    mails(&mut mailbox, 1).await;
    desk.answer(&ticket, "Have you tried turning it off and on?").await;
    let received = mails(&mut mailbox, 2).await;

    // Their answer lands in the ticket, as theirs.
    let (to, reply) = desk.reply(&received[1], ADA, "I have, and it helped.", true);
    desk.servers.send(ADA, &to, &reply).await;
    let message = desk.message(&ticket, "I have, and it helped.").await;
    assert_eq!(message["author"], "customer", "{message}");
    assert_eq!(message["mail"], json!({ "from": ADA, "verified": true, "automatic": false }), "{message}");
    // What they sent stands in their mailbox, too, as clients keep it there.
    mailbox.append(&reply);

    desk.answer(&ticket, "Then we are happy.").await;
    mails(&mut mailbox, 4).await;
    let threads = mailbox.threads();
    assert_eq!(threads.len(), 1, "one conversation is one thread: {threads:?}");

    // The same message once more, as servers repeat what was not acknowledged: nothing is added.
    let before = desk.ticket(&ticket).await;
    desk.servers.send(ADA, &to, &reply).await;
    // One without proof of who sent it, to an address that holds: an agent decides.
    let (to, forged) = desk.reply(&received[1], ADA, "Send it to my new address.", false);
    desk.servers.send("mallory@evil.example", &to, &forged).await;
    let held = format!("/v1/orgs/acme/sites/{}/mail/held", desk.made["sites"][0]["slug"].as_str().expect("a slug"));
    let since = Instant::now();
    let waits = loop {
        let list = desk.call(Method::GET, &held, None).await.ok(200).json();
        if let Some(first) = list["data"].as_array().and_then(|list| list.first()) {
            break first.clone();
        }
        assert!(since.elapsed() < Duration::from_secs(20), "nothing is held");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!((&waits["ticket_id"], &waits["from"]), (&json!(ticket), &json!(ADA)), "{waits}");
    assert_eq!(
        desk.ticket(&ticket).await["messages"],
        before["messages"],
        "neither the repeat nor the forgery is there"
    );
    let accept = format!("{held}/{}/accept", waits["id"].as_str().expect("an id"));
    let accepted = desk.call(Method::POST, &accept, None).await;
    assert!(accepted.status < 300, "{accepted:?}");
    let message = desk.message(&ticket, "Send it to my new address.").await;
    assert_eq!(message["mail"]["verified"], false, "{message}");
    desk.end().await;
}

#[tokio::test]
async fn what_a_mailbox_refuses_later_comes_back_and_stands_at_the_message() {
    if !servers::are_installed() {
        return;
    }
    let _alone = ALONE.lock().await;
    let desk = Desk::start("bounce").await;
    let ticket = desk.submit(NOBODY).await;
    // Postfix takes it; the mailbox behind it does not exist.
    desk.answer(&ticket, "Are you there?").await;
    let since = Instant::now();
    let message = loop {
        let message = desk.message(&ticket, "Are you there?").await;
        if message["delivery"]["state"] == "bounced" || message["delivery"]["state"] == "suppressed" {
            break message;
        }
        assert!(since.elapsed() < Duration::from_secs(30), "no bounce: {message}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    println!("{}", message["delivery"]);
    let site = desk.made["sites"][0]["slug"].as_str().expect("a slug");
    let list =
        desk.call(Method::GET, &format!("/v1/orgs/acme/sites/{site}/mail/suppressions"), None).await.ok(200).json();
    let suppressed = list["data"].as_array().expect("a list");
    assert!(suppressed.iter().any(|one| one["address"] == NOBODY), "{list}");
    assert!(suppressed[0]["reason"].as_str().is_some_and(|reason| reason.contains("5.")), "{list}");
    desk.end().await;
}

/// Mail in and mail out at the same time, 250 of each, or 3,000 with VICKET_LOAD: offered at 50 of each a second, or as fast as it goes.
/// Prints what it took.
#[tokio::test]
async fn of_mail_that_comes_in_and_goes_out_at_once_none_is_lost_or_doubled_and_memory_stays() {
    if !servers::are_installed() {
        return;
    }
    let _alone = ALONE.lock().await;
    let desk = Desk::start("load").await;
    let seconds: usize = if std::env::var_os("VICKET_LOAD").is_some() { 60 } else { 5 };
    let site = desk.made["sites"][0]["slug"].as_str().expect("a slug");
    let page = desk.call(Method::GET, &format!("/v1/orgs/acme/sites/{site}/mail"), None).await.ok(200).json();
    let address = page["address"].as_str().expect("an address").to_owned();
    let mut tickets = Vec::new();
    for _ in 0..20 {
        tickets.push(desk.submit(ADA).await);
    }
    let before = desk.tickets().await;
    let began = Instant::now();
    let (mut every, mut early) = (tokio::time::interval(Duration::from_millis(100)), 0);
    let mut sent = 0;
    for round in 0..seconds * 10 {
        every.tick().await;
        let incoming = (0..5).map(|lane| {
            let number = round * 5 + lane;
            let message = format!(
                "From: Bob <bob-{number}@customer.example>\r\nTo: {address}\r\nSubject: Number {number}\r\n\
                 Message-ID: <load-{number}@customer.example>\r\n\r\nHello {number}.\r\n"
            );
            let (desk, address) = (&desk, &address);
            async move {
                desk.servers.send(&format!("bob-{number}@customer.example"), address, message.as_bytes()).await;
            }
        });
        let outgoing = (0..5).map(|lane| {
            let (desk, ticket) = (&desk, &tickets[(round * 5 + lane) % tickets.len()]);
            async move { desk.answer(ticket, "Here is an answer.").await }
        });
        tokio::join!(futures_util::future::join_all(incoming), futures_util::future::join_all(outgoing));
        sent += 5;
        if round == seconds * 10 / 3 {
            early = desk.memory();
        }
    }
    let handed = began.elapsed();
    // The answers are there, and one word that the tickets were received.
    let wanted = sent + 1;
    let since = Instant::now();
    while desk.servers.delivered(ADA) < wanted || desk.tickets().await < before + sent {
        let so_far = (desk.servers.delivered(ADA), desk.tickets().await - before);
        assert!(since.elapsed() < Duration::from_mins(2), "{so_far:?} of {sent}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let late = desk.memory();
    println!(
        "{sent} mails in and {sent} out: handed over in {handed:?}, the last filed and delivered {:?} later; \
         memory {early} KiB after a third, {late} KiB at the end",
        since.elapsed()
    );
    assert_eq!(desk.servers.delivered(ADA), wanted, "none twice");
    assert!(late < early + 48 * 1024, "memory grows: {early} KiB, {late} KiB");
    desk.end().await;
}
