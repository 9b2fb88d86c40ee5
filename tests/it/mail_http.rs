//! Mail that a provider hands over by HTTP: only who has its secret, only to an address of ours, and committed before it is said.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac;
use serde_json::{Value, json};
use tokio::sync::Notify;
use vicket::intake::{Intake, secrets::Secrets};

use crate::harness::{Answer, Options, Running, Site, World, connect, url};

const RAW: &str = "a secret of raw, for tests";
const OLDER: &str = "an older one of raw, too";
const MAILGUN: &str = "key-of-mailgun-for-tests";
const POSTMARK: &str = "the password of postmark";
const ADA: &str = "ada@example.com";
const OURS: &str = "Help@a.example";
const OTHERS: &str = "help@c.example";
const MAIL: &str = "From: Ada <ada@example.com>\r\nTo: help@a.example\r\nSubject: Help\r\nMessage-ID: <1@example.com>\r\n\r\nIt broke.\r\n";

pub fn intake() -> Intake {
    Intake {
        replies: None,
        dns: None,
        authserv_ids: Vec::new(),
        domains: Vec::new(),
        own: Vec::new(),
        received: Notify::new(),
    }
}

/// Gives a site an address that mail may be sent to.
pub async fn address(world: &World, site: &Site, address: &str) {
    let (org, id, address) = (site.org_id, site.id, address.to_lowercase());
    world
        .arrange(&format!(
            "insert into vicket.mail_addresses (org_id, site_id, kind, digest, address)
             values ('{org}', '{id}', 'own', sha256('{address}'), '{address}')"
        ))
        .await;
}

/// What came in for a site, as it came: recipient, return path, bytes.
pub async fn kept(world: &World, site: &Site) -> Vec<(String, String, Vec<u8>)> {
    let sql =
        "select recipient, mail_from, raw from vicket.inbound_mails where site_id = $1 order by received_at, recipient";
    sqlx::query_as(sql).bind(site.id).fetch_all(&world.superuser).await.expect("mail")
}

struct Desk {
    world: World,
    server: Running,
}

impl Desk {
    async fn open() -> Self {
        Self::open_with(true).await
    }

    async fn open_with(limits: bool) -> Self {
        let world = World::new().await;
        address(&world, &world.site_a, OURS).await;
        address(&world, &world.site_c, OTHERS).await;
        let text = format!("raw {RAW}\nraw {OLDER}\nmailgun {MAILGUN}\npostmark {POSTMARK}\n");
        let secrets = Secrets::parse(&text).expect("secrets");
        let options = Options {
            intake: Some(intake()),
            inbound_secrets: Some(secrets),
            limits,
            metrics: true,
            ..Options::default()
        };
        let server = world.serve_with(options).await;
        Self { world, server }
    }

    async fn raw(&self, query: &str, signature: &str, body: impl Into<reqwest::Body>) -> Answer {
        let headers = [("content-type", "message/rfc822"), ("x-vicket-signature", signature)];
        self.server.post_text(&format!("/mail/v1/inbound/raw?{query}"), &headers, body).await
    }

    async fn signed(&self, query: &str, body: &[u8]) -> Answer {
        self.raw(query, &signature(RAW, now(), query, body), body.to_vec()).await
    }

    async fn mailgun(&self, form: &[(&str, &str)]) -> Answer {
        let body = ::url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.server.post_text("/mail/v1/inbound/mailgun", &headers, body).await
    }

    async fn postmark(&self, password: &str, body: &Value) -> Answer {
        let credentials = format!("Basic {}", STANDARD.encode(format!("vicket:{password}")));
        let headers = [("content-type", "application/json"), ("authorization", &credentials)];
        self.server.post_text("/mail/v1/inbound/postmark", &headers, body.to_string()).await
    }

    async fn kept(&self) -> usize {
        usize::try_from(self.world.look::<i64>("select count(*) from vicket.inbound_mails").await).expect("a count")
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn tag(secret: &str, text: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), text);
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn signature(secret: &str, time: u64, query: &str, body: &[u8]) -> String {
    let text = [format!("{time}.{query}.").as_bytes(), body].concat();
    format!("t={time},v1={}", tag(secret, &text))
}

fn query(recipients: &[&str]) -> String {
    let mut query = ::url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(recipients.iter().map(|recipient| ("recipient", recipient)));
    query.append_pair("sender", ADA).finish()
}

fn mailgun_form<'a>(time: &'a str, signature: &'a str, recipient: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("recipient", recipient),
        ("sender", ADA),
        ("subject", "Help"),
        ("body-mime", MAIL),
        ("timestamp", time),
        ("token", "a-token"),
        ("signature", signature),
    ]
}

fn is(answer: &Answer, taken: u32, duplicates: u32) {
    assert_eq!(answer.ok(200).json(), json!({ "taken": taken, "duplicates": duplicates }));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_signed_message_is_kept_as_it_came_for_each_recipient_and_a_repeat_is_known() {
    let desk = Desk::open().await;
    let mail = [MAIL.as_bytes(), b"\xff\0 and more\r\n"].concat();
    let to = query(&[OURS, OTHERS]);
    is(&desk.signed(&to, &mail).await, 2, 0);
    is(&desk.signed(&to, &mail).await, 0, 2);
    // While a secret is changed, either is good, and either may stand first.
    let both = format!("{},v1={}", signature("a secret of nobody's here", now(), &to, &mail), "00");
    desk.raw(&to, &both, mail.clone()).await.refused(401, "signature_invalid");
    let older = signature(OLDER, now(), &to, &mail);
    is(&desk.raw(&to, &older, mail.clone()).await, 0, 2);
    let (time, good) = older.split_once(',').expect("two fields");
    is(&desk.raw(&to, &format!("{time},v1=00ff,{good}"), mail.clone()).await, 0, 2);

    let of = |recipient: &str| vec![(recipient.to_owned(), ADA.to_owned(), mail.clone())];
    assert_eq!(kept(&desk.world, &desk.world.site_a).await, of(OURS));
    assert_eq!(kept(&desk.world, &desk.world.site_c).await, of(OTHERS));
    assert!(kept(&desk.world, &desk.world.site_b).await.is_empty());
    let scraped = desk.server.scrape().await;
    for line in ["vicket_mail_in_total{outcome=\"received\"} 2", "vicket_mail_in_total{outcome=\"duplicate\"} 6"] {
        assert!(scraped.contains(line), "{line}: {scraped}");
    }
    assert!(scraped.contains("route=\"/mail/v1/inbound/{provider}\""), "{scraped}");
    // It becomes what mail becomes that came another way.
    for _ in 0..100 {
        if desk.world.look::<i64>("select count(*) from vicket.inbound_mails where state = 'filed'").await == 2 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it is not filed");
}

#[tokio::test]
async fn what_is_forged_or_old_is_refused_and_leaves_nothing() {
    let desk = Desk::open().await;
    let (to, mail, time) = (query(&[OURS]), MAIL.as_bytes(), now());
    let good = signature(RAW, time, &to, mail);
    let tag_of_good = good.split_once("v1=").expect("a tag").1;
    let other_query = query(&[OTHERS]);
    for (what, query, signature, body) in [
        ("no signature", &to, String::new(), mail),
        ("no time", &to, format!("v1={tag_of_good}"), mail),
        ("no tag", &to, format!("t={time}"), mail),
        ("another time", &to, format!("t={},v1={tag_of_good}", time + 1), mail),
        ("another recipient", &other_query, good.clone(), mail),
        ("another body", &to, good.clone(), b"From: x\r\n\r\nanother"),
        ("another provider's secret", &to, self::signature(MAILGUN, time, &to, mail), mail),
        ("old", &to, self::signature(RAW, time - 301, &to, mail), mail),
        ("of the future", &to, self::signature(RAW, time + 400, &to, mail), mail),
        ("half a tag", &to, format!("t={time},v1={}", &tag_of_good[..32]), mail),
    ] {
        let answer = desk.raw(query, &signature, body).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "signature_invalid"), "{what}: {answer:?}");
        assert_eq!(answer.header("www-authenticate"), Some("Signature realm=\"mail\""), "{what}");
    }
    assert_eq!(desk.kept().await, 0);
    // Nearly too old is not too old; nor does a clock that is a little ahead matter.
    is(&desk.raw(&to, &signature(RAW, time - 290, &to, mail), mail).await, 1, 0);
    is(&desk.raw(&to, &signature(RAW, time + 290, &to, mail), mail).await, 0, 1);
}

#[tokio::test]
async fn an_address_that_is_none_is_named_and_the_others_have_it() {
    let desk = Desk::open().await;
    let answer = desk.signed(&query(&["nobody@a.example"]), MAIL.as_bytes()).await;
    answer.refused(422, "unprocessable");
    assert_eq!(answer.json()["errors"][0]["field"], "recipient", "{answer:?}");
    assert_eq!(desk.kept().await, 0);
    // A line that is hidden in one is none, and no error of ours.
    for hidden in ["help@a.example\r\nx", "a\0@a.example", "no-address", ""] {
        desk.signed(&query(&[hidden]), MAIL.as_bytes()).await.refused(422, "unprocessable");
    }
    let some = desk.signed(&query(&["nobody@a.example", OURS]), MAIL.as_bytes()).await;
    some.refused(422, "unprocessable");
    assert_eq!(some.json()["errors"].as_array().map(Vec::len), Some(1), "{some:?}");
    assert_eq!(kept(&desk.world, &desk.world.site_a).await.len(), 1);
    for wrong in [
        "sender=a",
        "recipient=help%40a.example",
        "recipient=a&sender=b&other=c",
        &format!("sender=%0D&recipient={OURS}"),
    ] {
        desk.signed(wrong, MAIL.as_bytes()).await.refused(400, "invalid_request");
    }
    desk.signed(&query(&[OURS]), b"").await.refused(400, "invalid_request");
}

#[tokio::test]
async fn a_message_has_twenty_five_mebibytes_at_the_most() {
    let desk = Desk::open().await;
    let most = 25 * 1024 * 1024;
    let mut mail = MAIL.as_bytes().to_vec();
    mail.resize(most, b'x');
    is(&desk.signed(&query(&[OURS]), &mail).await, 1, 0);
    mail.push(b'x');
    desk.signed(&query(&[OURS]), &mail).await.refused(413, "body_too_large");
    assert_eq!(desk.kept().await, 1);
    assert_eq!(desk.server.app.incoming.taken().0, 0, "what was refused takes no memory");
}

#[tokio::test]
async fn who_has_no_secret_here_is_not_found_and_what_is_no_post_is_not_allowed() {
    let desk = Desk::open().await;
    for path in
        ["/mail/v1/inbound/ses", "/mail/v1/inbound/", "/mail/v1/inbound", "/mail/v1", "/mail/v1/inbound/raw/mime"]
    {
        desk.server.post_text(path, &[], "x").await.refused(404, "not_found");
    }
    let get = desk.server.call(reqwest::Method::GET, "/mail/v1/inbound/raw", &[]).await;
    get.refused(405, "method_not_allowed");
    assert_eq!(get.header("allow"), Some("POST"));
    let without = desk.world.serve_with(Options { intake: Some(intake()), ..Options::default() }).await;
    let (to, mail) = (query(&[OURS]), MAIL.as_bytes());
    let headers = [("x-vicket-signature", &*signature(RAW, now(), &to, mail))];
    let path = format!("/mail/v1/inbound/raw?{to}");
    without.post_text(&path, &headers, MAIL).await.refused(404, "not_found");
}

#[tokio::test]
async fn mailgun_hands_over_a_form_and_is_told_what_it_need_not_try_again() {
    let desk = Desk::open().await;
    let time = now().to_string();
    let good = tag(MAILGUN, format!("{time}a-token").as_bytes());
    is(&desk.mailgun(&mailgun_form(&time, &good, OURS)).await, 1, 0);
    is(&desk.mailgun(&mailgun_form(&time, &good, OURS)).await, 0, 1);
    assert_eq!(
        kept(&desk.world, &desk.world.site_a).await,
        [(OURS.to_owned(), ADA.to_owned(), MAIL.as_bytes().to_vec())]
    );
    let unknown = desk.mailgun(&mailgun_form(&time, &good, "nobody@a.example")).await;
    unknown.refused(406, "unprocessable");

    // Its other form, to the path that it wants.
    let part =
        |name: &str, value: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let body: String = mailgun_form(&time, &good, OTHERS).iter().map(|(name, value)| part(name, value)).collect();
    let headers = [("content-type", "multipart/form-data; boundary=b")];
    is(&desk.server.post_text("/mail/v1/inbound/mailgun/mime", &headers, body + "--b--\r\n").await, 1, 0);
    assert_eq!(kept(&desk.world, &desk.world.site_c).await[0].2, MAIL.as_bytes());

    let old = (now() - 301).to_string();
    let old_tag = tag(MAILGUN, format!("{old}a-token").as_bytes());
    for (time, tag) in [(&old, &old_tag), (&time, &old_tag), (&time, &tag(RAW, format!("{time}a-token").as_bytes()))] {
        desk.mailgun(&mailgun_form(time, tag, OURS)).await.refused(401, "signature_invalid");
    }
    desk.mailgun(&[("recipient", OURS)]).await.refused(401, "signature_invalid");
    // It took the message apart: that is the URL's mistake, and it tries again.
    let mut parsed = mailgun_form(&time, &good, OURS);
    parsed.retain(|(name, _)| *name != "body-mime");
    desk.mailgun(&parsed).await.refused(422, "unprocessable");
}

#[tokio::test]
async fn postmark_hands_over_json_by_its_password() {
    let desk = Desk::open().await;
    let mail = format!("Return-Path: <bounces@example.com>\r\n{MAIL}");
    let body = |raw: &str, to: &str| json!({ "From": ADA, "To": "elsewhere@example.com", "OriginalRecipient": to, "RawEmail": raw, "TextBody": "It broke." });
    is(&desk.postmark(POSTMARK, &body(&mail, OURS)).await, 1, 0);
    is(&desk.postmark(POSTMARK, &body(&mail, OURS)).await, 0, 1);
    is(&desk.postmark(POSTMARK, &body(MAIL, OTHERS)).await, 1, 0);
    let of_a = kept(&desk.world, &desk.world.site_a).await;
    assert_eq!(of_a, [(OURS.to_owned(), "bounces@example.com".to_owned(), mail.clone().into_bytes())]);
    assert_eq!(kept(&desk.world, &desk.world.site_c).await[0].1, ADA, "where no return path is known, its author");
    desk.postmark(POSTMARK, &body(&mail, "nobody@a.example")).await.refused(403, "unprocessable");
    let mut parsed = body(&mail, OURS);
    parsed.as_object_mut().expect("an object").remove("RawEmail");
    desk.postmark(POSTMARK, &parsed).await.refused(422, "unprocessable");
    desk.postmark(POSTMARK, &json!([])).await.refused(400, "invalid_request");
    for wrong in ["", "the password of postmarK", RAW] {
        let answer = desk.postmark(wrong, &body(&mail, OURS)).await;
        answer.refused(401, "signature_invalid");
        assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"mail\""));
    }
    assert_eq!(desk.kept().await, 2);
}

#[tokio::test]
async fn who_guesses_too_often_is_not_read_any_more_and_who_signs_is_not_counted() {
    let desk = Desk::open().await;
    let (to, mail) = (query(&[OURS]), MAIL.as_bytes());
    for _ in 0..310 {
        desk.signed(&to, mail).await.ok(200);
    }
    let mut refused = 0;
    let last = loop {
        let answer = desk.raw(&to, "t=1,v1=00", mail).await;
        if answer.status != 401 {
            break answer;
        }
        refused += 1;
        assert!(refused <= 300, "it goes on");
    };
    last.refused(429, "rate_limited");
    assert!(last.header("retry-after").is_some());
    assert!(refused >= 270, "{refused}");
    desk.signed(&to, mail).await.refused(429, "rate_limited");
}

#[tokio::test]
async fn without_the_database_it_is_to_come_again_and_then_is_kept() {
    let desk = Desk::open().await;
    let (to, database) = (query(&[OURS]), &desk.world.database);
    is(&desk.signed(&to, MAIL.as_bytes()).await, 1, 0);
    let mut superuser = connect(&url(None, "postgres")).await;
    let allow = async |connection: &mut sqlx::PgConnection, may: bool| {
        let sql = format!("alter database {database} allow_connections {may}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(connection).await.expect("arranged");
    };
    allow(&mut superuser, false).await;
    desk.world
        .arrange("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'vicket_gate_mail' and datname = current_database()")
        .await;
    let other = MAIL.replace("<1@", "<2@");
    let away = desk.signed(&to, other.as_bytes()).await;
    away.refused(503, "database_unavailable");
    assert!(away.header("retry-after").is_some());
    allow(&mut superuser, true).await;
    assert_eq!(desk.kept().await, 1);
    for _ in 0..100 {
        let again = desk.signed(&to, other.as_bytes()).await;
        if again.status == 200 {
            is(&again, 1, 0);
            assert_eq!(desk.kept().await, 2);
            return;
        }
        again.refused(503, "database_unavailable");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the database is back, and the mail is not taken");
}
