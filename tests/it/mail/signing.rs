//! Mail of a site is from its own address, and signed for its domain, while the domain's DNS holds the key that the site was
//! given; and DNS is looked at for people.

use std::{path::PathBuf, sync::Arc, time::Duration};

use mail_auth::{AuthenticatedMessage, DkimResult};
use reqwest::Method;
use serde_json::{Value, json};
use vicket::{
    mail::{
        dns::Dns,
        doctor::Doctor,
        outbound::{Outgoing, signing::Signing},
    },
    master_secret::MasterSecret,
};

use super::{
    answer, mails, outgoing, settings,
    smtp::{Smtp, Taken},
    submit,
};
use crate::{
    harness::{DEPLOY, Options, Person, Running, World},
    processes::vicket,
};

const SECRET: &str = "a secret of the tests, of more than thirty-two characters";
const MAIL: &str = "/v1/orgs/acme/sites/site-a/mail";

/// A file of names that a test changes.
struct Zone(PathBuf);

impl Zone {
    fn new() -> Self {
        let zone = Self(std::env::temp_dir().join(format!("vicket-zone-{}", uuid::Uuid::new_v4())));
        zone.write("");
        zone
    }

    fn write(&self, lines: &str) {
        std::fs::write(&self.0, lines).expect("written");
    }
}

impl Drop for Zone {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn serve(world: &World, smtp: &Smtp, zone: &Zone) -> Running {
    let dns = Arc::new(Dns::open(Some(&zone.0)).expect("a zone"));
    let secret = Arc::new(MasterSecret::of_lines(SECRET).expect("a secret"));
    let mail = Outgoing { signing: Some(Signing::new(secret, Arc::clone(&dns))), ..outgoing(&smtp.url()) };
    let doctor = Doctor {
        dns,
        sender_domain: Some("mail.example".to_owned()),
        smtp_host: None,
        reply_domain: Some("reply.example".to_owned()),
        public_host: Some("desk.example".to_owned()),
    };
    let options = Options {
        mail: Some(mail),
        doctor: Some(Arc::new(doctor)),
        secret: Some(SECRET),
        limits: false,
        ..Options::default()
    };
    world.serve_with(options).await
}

async fn holds(taken: &Taken, zone: &Zone) -> bool {
    let message = taken.text.replace('\n', "\r\n");
    let read = AuthenticatedMessage::parse_with_opts(message.as_bytes(), None, true).expect("a message");
    let source = Dns::open(Some(&zone.0)).expect("a zone").source();
    let outputs = source.authenticator().expect("one").verify_dkim(source.answers(&read)).await;
    outputs.len() == 1 && outputs[0].result() == &DkimResult::Pass
}

fn line(key: &Value) -> String {
    let part = |part: &str| key["record"][part].as_str().expect("text").to_owned();
    format!("{} {} {}\n", part("name"), part("type"), part("value"))
}

async fn with_address(server: &Running, owner: &Person) {
    let body = json!({"mail": {"from_name": "Acme Help", "from_address": "help@own.example"}});
    settings(server, owner, "site-a", body).await.ok(200);
}

#[tokio::test]
async fn mail_is_from_a_sites_own_address_and_signed_while_its_dns_holds_the_sites_key() {
    let (world, smtp, zone) = (World::new().await, Smtp::start().await, Zone::new());
    let server = serve(&world, &smtp, &zone).await;
    let owner = world.person("acme", "owner").await;
    let path = format!("{MAIL}/dkim");
    let refused = server.call_as(&owner, Method::POST, &path, None).await;
    refused.refused(422, "unprocessable");
    with_address(&server, &owner).await;
    let key = server.call_as(&owner, Method::POST, &path, None).await.ok(201).json();
    assert_eq!(key["domain"], "own.example");
    // What signs is in no answer and, unsealed, in no table.
    assert!(!key.to_string().contains("sealed") && !key.to_string().contains("PRIVATE"), "{key}");

    let ticket = submit(&server, &world.site_a.key, "ada@example.com").await;
    let before = mails(&smtp, 1).await.remove(0);
    assert_eq!(before.header("From").as_deref(), Some("\"Acme Help\" <vicket@mail.example>"));
    assert!(before.header("DKIM-Signature").is_none() && before.header("Reply-To").is_some());

    zone.write(&line(&key));
    answer(&server, &owner, &ticket, "It works.").await;
    let signed = mails(&smtp, 2).await.remove(1);
    assert_eq!(signed.header("From").as_deref(), Some("\"Acme Help\" <help@own.example>"));
    assert!(holds(&signed, &zone).await, "{}", signed.text);
    let signature = signed.header("DKIM-Signature").expect("one");
    assert!(signature.contains("d=own.example") && !signature.to_lowercase().contains("message-id"), "{signature}");
    assert!(!holds(&Taken { text: signed.text.replace("It works.", "It fails."), ..signed.clone() }, &zone).await);
    let state = server.call_as(&owner, Method::GET, MAIL, None).await.ok(200).json();
    assert_eq!((&state["from_address"], &state["reply_to"]), (&json!("help@own.example"), &Value::Null));

    // A rotation: one more, and the newest that DNS holds signs.
    let next = server.call_as(&owner, Method::POST, &path, None).await.ok(201).json();
    answer(&server, &owner, &ticket, "Still.").await;
    let still = mails(&smtp, 3).await.remove(2);
    let selector = |key: &Value| format!("s={}", key["selector"].as_str().expect("text"));
    assert!(still.header("DKIM-Signature").is_some_and(|it| it.contains(&selector(&key))), "{}", still.text);
    zone.write(&format!("{}{}", line(&key), line(&next)));
    answer(&server, &owner, &ticket, "Now by the next.").await;
    let rotated = mails(&smtp, 4).await.remove(3);
    assert!(rotated.header("DKIM-Signature").is_some_and(|it| it.contains(&selector(&next))), "{}", rotated.text);
    assert!(holds(&rotated, &zone).await);
    let old = format!("{path}/{}", key["selector"].as_str().expect("text"));
    server.call_as(&owner, Method::DELETE, &old, None).await.ok(204);
    server.call_as(&owner, Method::DELETE, &old, None).await.refused(404, "not_found");
    let left = server.call_as(&owner, Method::GET, &path, None).await.ok(200).json();
    assert_eq!(left["data"].as_array().expect("keys").len(), 1);
    for _ in 0..2 {
        server.call_as(&owner, Method::POST, &path, None).await.ok(201);
    }
    server.call_as(&owner, Method::POST, &path, None).await.refused(422, "unprocessable");

    // Gone from DNS, it is as before.
    zone.write("");
    answer(&server, &owner, &ticket, "And back.").await;
    let back = mails(&smtp, 5).await.remove(4);
    assert!(
        back.header("DKIM-Signature").is_none()
            && back.header("From").is_some_and(|it| it.contains("vicket@mail.example"))
    );
    server.stop().await;
}

#[tokio::test]
async fn a_key_of_one_site_proves_nothing_for_another_and_is_nobody_elses_to_see() {
    let (world, smtp, zone) = (World::new().await, Smtp::start().await, Zone::new());
    let server = serve(&world, &smtp, &zone).await;
    let (owner, rival) = (world.person("acme", "owner").await, world.person("globex", "owner").await);
    with_address(&server, &owner).await;
    let path = format!("{MAIL}/dkim");
    let key = server.call_as(&owner, Method::POST, &path, None).await.ok(201).json();
    zone.write(&line(&key));
    // Globex names Acme's address, and has a key of its own; what DNS holds is Acme's.
    let theirs = "/v1/orgs/globex/sites/site-c";
    let body = json!({"mail": {"from_name": "Not Acme", "from_address": "help@own.example"}});
    server.call_as(&rival, Method::PATCH, theirs, Some(&body)).await.ok(200);
    server.call_as(&rival, Method::POST, &format!("{theirs}/mail/dkim"), None).await.ok(201);
    submit(&server, &world.site_c.key, "ada@example.com").await;
    let mail = mails(&smtp, 1).await.remove(0);
    assert!(mail.header("DKIM-Signature").is_none(), "{}", mail.text);
    assert!(mail.header("From").is_some_and(|from| from.contains("vicket@mail.example")), "{}", mail.text);
    server.call_as(&rival, Method::GET, &path, None).await.refused(404, "not_found");
    let theirs = server.call_as(&rival, Method::GET, &format!("{theirs}/mail/dkim"), None).await.ok(200).json();
    assert!(!theirs.to_string().contains(key["selector"].as_str().expect("text")), "{theirs}");
    let removal = format!("/v1/orgs/globex/sites/site-c/mail/dkim/{}", key["selector"].as_str().expect("text"));
    server.call_as(&rival, Method::DELETE, &removal, None).await.refused(404, "not_found");
    let agent = world.person("acme", "agent").await;
    server.call_as(&agent, Method::GET, &path, None).await.refused(403, "permission_required");
    server.call_as(&agent, Method::POST, &path, None).await.refused(403, "permission_required");
    assert_eq!(world.look::<i64>("select count(*) from vicket.dkim_keys").await, 2);
    server.stop().await;
}

#[tokio::test]
async fn dns_is_looked_at_in_the_api_the_dashboard_and_by_the_command() {
    let (world, smtp, zone) = (World::new().await, Smtp::start().await, Zone::new());
    let server = serve(&world, &smtp, &zone).await;
    let owner = world.person("acme", "owner").await;
    with_address(&server, &owner).await;
    let key = server.call_as(&owner, Method::POST, &format!("{MAIL}/dkim"), None).await.ok(201).json();
    zone.write("mail.example TXT v=spf1 +all\n");
    let looked = server.call_as(&owner, Method::GET, &format!("{MAIL}/dns"), None).await.ok(200).json();
    let states: Vec<_> = looked["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|one| {
            format!(
                "{} {} {}",
                one["check"].as_str().expect("text"),
                one["name"].as_str().expect("text"),
                one["state"].as_str().expect("text")
            )
        })
        .collect();
    let selector = key["selector"].as_str().expect("text");
    assert_eq!(
        states,
        [
            "spf mail.example wrong".to_owned(),
            "dmarc _dmarc.mail.example missing".to_owned(),
            format!("dkim {selector}._domainkey.own.example missing"),
            "dmarc _dmarc.own.example missing".to_owned(),
            "mx reply.example missing".to_owned(),
        ]
    );
    assert_eq!(looked["findings"][2]["record"], key["record"]);
    let page =
        server.call(Method::GET, "/dashboard/acme/sites/site-a/mail?look=dns", &[("Cookie", &owner.cookie)]).await;
    let value = key["record"]["value"].as_str().expect("text");
    assert!(page.ok(200).text.contains("It lets anybody send mail") && page.text.contains(value), "{}", page.text);

    let doctor = || {
        let mut command = vicket();
        command.args(["mail", "doctor", "acme/site-a", "--dns-file"]).arg(&zone.0);
        command.env("VICKET_ADMIN_URL", world.url(DEPLOY)).env("VICKET_MAIL_FROM", "vicket@mail.example");
        command.env("VICKET_REPLY_DOMAIN", "reply.example").env("VICKET_PUBLIC_URL", "https://desk.example");
        let output = command.output().expect("it ran");
        (
            output.status.code(),
            String::from_utf8(output.stdout).expect("text"),
            String::from_utf8(output.stderr).expect("text"),
        )
    };
    let (code, out, err) = doctor();
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(out.contains("set:   reply.example MX 10 desk.example.") && out.contains(value), "{out}");
    assert!(err.contains("5 of 5 are not as they should be"), "{err}");
    zone.write(&format!(
        "mail.example TXT v=spf1 mx -all\n_dmarc.mail.example TXT v=DMARC1; p=none\n_dmarc.own.example TXT v=DMARC1; p=none\n\
         reply.example MX 10 desk.example\ndesk.example A 192.0.2.1\n{}",
        line(&key)
    ));
    let (code, out, err) = doctor();
    assert_eq!((code, out.lines().filter(|line| line.starts_with("good")).count()), (Some(0), 5), "{out}{err}");
    server.stop().await;
}

#[tokio::test]
async fn metrics_say_what_became_of_mail_and_what_waits() {
    let (world, smtp) = (World::new().await, Smtp::start().await);
    smtp.answer("gone", "550 5.1.1 no such mailbox");
    smtp.answer("later", "451 4.2.0 later");
    let mail = Outgoing { first_wait: Duration::from_mins(10), ..outgoing(&smtp.url()) };
    let server =
        world.serve_with(Options { mail: Some(mail), limits: false, metrics: true, ..Options::default() }).await;
    for email in ["ada@example.com", "gone@example.com", "later@example.com"] {
        submit(&server, &world.site_a.key, email).await;
    }
    super::until(&world, "select count(*) = 2 from vicket.mails where state in ('sent', 'bounced')").await;
    super::until(&world, "select exists (select from vicket.tasks where last_error is not null)").await;
    let text = server.scrape().await;
    for line in [
        "vicket_mails_total{outcome=\"sent\"} 1",
        "vicket_mails_total{outcome=\"bounced\"} 1",
        "vicket_mails_total{outcome=\"later\"} 1",
        "vicket_mails_waiting 1",
        "vicket_mail_dead_letters 0",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(text.contains("vicket_mail_oldest_waiting_seconds "), "{text}");
    server.stop().await;
}
