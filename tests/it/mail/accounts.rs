//! Mail of accounts: a link to choose a password, an address that is proven, and what the owner of an account hears of.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use vicket::passwords;

use super::{mails, outgoing, serve, smtp::Smtp, until};
use crate::harness::{Answer, Options, Person, Running, World};

const PASSWORD: &str = "correct horse battery";
const NEW: &str = "a better horse and battery";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
const SAFARI: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 15) Version/18 Safari/605.1";

async fn with_password(world: &World, org: &str, role: &str) -> Person {
    let person = world.person(org, role).await;
    let hash = passwords::hash(PASSWORD);
    world.arrange(&format!("update vicket.users set password_hash = '{hash}' where id = '{}'", person.id)).await;
    person
}

async fn post(server: &Running, path: &str, body: Value) -> Answer {
    Answer::of(server.request(Method::POST, path).json(&body)).await
}

async fn log_in_with(server: &Running, email: &str, password: &str, agent: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    Answer::of(server.request(Method::POST, "/v1/auth/login").header("User-Agent", agent).json(&body)).await
}

async fn ask(server: &Running, email: &str) -> Answer {
    post(server, "/v1/auth/password-reset", json!({"email": email})).await
}

async fn confirm(server: &Running, token: &str, password: &str) -> Answer {
    post(server, "/v1/auth/password-reset/confirm", json!({"token": token, "password": password})).await
}

fn link_of(plain: &str) -> String {
    let start =
        plain.find("/dashboard/login/password?token=vr_").expect(plain) + "/dashboard/login/password?token=".len();
    plain[start..start + 46].to_owned()
}

#[tokio::test]
async fn a_forgotten_password_is_chosen_anew_by_a_link_that_is_good_once() {
    let (world, smtp) = (World::new().await, Smtp::start().await);
    let server = serve(&world, &smtp.url()).await;
    let owner = with_password(&world, "acme", "owner").await;
    server.call_as(&owner, Method::GET, "/v1/auth/me", None).await.ok(200);

    ask(&server, &owner.email.to_uppercase()).await.ok(202);
    let mail = mails(&smtp, 1).await.remove(0);
    assert_eq!(
        (mail.to.as_str(), mail.header("Auto-Submitted").as_deref()),
        (owner.email.as_str(), Some("auto-generated"))
    );
    assert_eq!(mail.header("Subject").as_deref(), Some("A new password for Vicket"));
    let token = link_of(&mail.plain());
    assert!(
        !world
            .look::<bool>(&format!(
                "select exists (select from vicket.password_resets r where r::text like '%{token}%')"
            ))
            .await
    );

    // Programs that look through mail open links: that changes nothing.
    for _ in 0..2 {
        let page = server.call(Method::GET, &format!("/dashboard/login/password?token={token}"), &[]).await;
        assert!(page.ok(200).text.contains(&owner.email), "{}", page.text);
    }
    confirm(&server, &token, "short").await.refused(400, "invalid_request");
    confirm(&server, &token, &owner.email).await.refused(400, "invalid_request");
    confirm(&server, &token, NEW).await.ok(204);
    server.call_as(&owner, Method::GET, "/v1/auth/me", None).await.refused(401, "session_invalid");
    log_in_with(&server, &owner.email, PASSWORD, FIREFOX).await.refused(401, "login_failed");
    log_in_with(&server, &owner.email, NEW, FIREFOX).await.ok(200);
    let told = mails(&smtp, 2).await.remove(1);
    assert_eq!(told.header("Subject").as_deref(), Some("Your password was changed"));
    assert!(!told.plain().contains("vr_") && told.plain().contains("/dashboard/login/forgot"), "{}", told.plain());

    confirm(&server, &token, "yet another password").await.refused(404, "not_found");
    let page = server.call(Method::GET, &format!("/dashboard/login/password?token={token}"), &[]).await;
    assert!(!page.ok(200).text.contains(&owner.email) && page.text.contains("has expired"), "{}", page.text);
    assert_eq!(world.look::<i64>("select count(*) from vicket.account_mails").await, 0);
    server.stop().await;
}

#[tokio::test]
async fn a_link_ends_after_its_minutes_and_with_the_other_ones_of_the_account() {
    let (world, smtp) = (World::new().await, Smtp::start().await);
    let server = serve(&world, &smtp.url()).await;
    let owner = with_password(&world, "acme", "owner").await;
    ask(&server, &owner.email).await.ok(202);
    let old = link_of(&mails(&smtp, 1).await.remove(0).plain());
    world.arrange("update vicket.password_resets set expires_at = now()").await;
    confirm(&server, &old, NEW).await.refused(404, "not_found");
    ask(&server, &owner.email).await.ok(202);
    ask(&server, &owner.email).await.ok(202);
    let sent = mails(&smtp, 3).await;
    let (one, other) = (link_of(&sent[1].plain()), link_of(&sent[2].plain()));
    assert_ne!(one, other);
    confirm(&server, &one, NEW).await.ok(204);
    confirm(&server, &other, PASSWORD).await.refused(404, "not_found");
    server.stop().await;
}

#[tokio::test]
async fn whether_an_address_has_an_account_cannot_be_asked_and_it_gets_five_links_a_day() {
    let (world, smtp) = (World::new().await, Smtp::start().await);
    let server = serve(&world, &smtp.url()).await;
    let owner = with_password(&world, "acme", "owner").await;
    let known = ask(&server, &owner.email).await;
    let stranger = ask(&server, "stranger@example.com").await;
    assert_eq!((known.ok(202).status, &known.text), (stranger.ok(202).status, &stranger.text));
    let names = |answer: &Answer| answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&known), names(&stranger));
    // The same is written for both, in one statement, and only then looked at.
    for _ in 0..6 {
        ask(&server, &owner.email).await.ok(202);
        ask(&server, "stranger@example.com").await.ok(202);
    }
    let sent = mails(&smtp, 5).await;
    assert!(sent.iter().all(|mail| mail.to == owner.email), "{sent:?}");
    until(&world, "select not exists (select from vicket.account_mails)").await;
    server.stop().await;
}

#[tokio::test]
async fn who_asks_too_often_is_told_to_wait() {
    let world = World::new().await;
    let server = world.serve_with(Options { mail: Some(outgoing("log:")), ..Options::default() }).await;
    let mut statuses = Vec::new();
    for _ in 0..11 {
        statuses.push(ask(&server, "ada@example.com").await.status);
    }
    assert_eq!((statuses[..10].iter().all(|status| *status == 202), statuses[10]), (true, 429), "{statuses:?}");
    // Of an address: another one has its own.
    ask(&server, "grace@example.com").await.ok(202);
    server.stop().await;
}

#[tokio::test]
async fn without_a_mail_server_the_page_says_who_can_help_and_nothing_is_written() {
    let world = World::new().await;
    let server = world.serve().await;
    let owner = with_password(&world, "acme", "owner").await;
    let page = server.call(Method::GET, "/dashboard/login/forgot", &[]).await;
    assert!(page.ok(200).text.contains("vicket user reset-password"), "{}", page.text);
    ask(&server, &owner.email).await.ok(202);
    for agent in [FIREFOX, SAFARI] {
        log_in_with(&server, &owner.email, PASSWORD, agent).await.ok(200);
    }
    assert_eq!(world.look::<i64>("select count(*) from vicket.account_mails").await, 0);
    let log_in = server.call(Method::GET, "/dashboard/login", &[]).await;
    assert!(log_in.ok(200).text.contains("/dashboard/login/forgot"));
    server.stop().await;
}

#[tokio::test]
async fn a_forgotten_password_is_chosen_anew_by_pages_without_script() {
    let (world, smtp) = (World::new().await, Smtp::start().await);
    let server = serve(&world, &smtp.url()).await;
    let owner = with_password(&world, "acme", "owner").await;
    let form = async |path: &str, fields: &[(&str, &str)]| {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let headers = [
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Sec-Fetch-Site", "same-origin"),
            ("Accept-Language", "de"),
        ];
        server.post_text(path, &headers, body).await
    };
    let bad = form("/dashboard/login/forgot", &[("email", "nobody")]).await;
    assert_eq!(bad.status, 400, "{}", bad.text);
    let asked = form("/dashboard/login/forgot", &[("email", &owner.email)]).await;
    let stranger = form("/dashboard/login/forgot", &[("email", "stranger@example.com")]).await;
    assert!(asked.ok(200).text.contains("If that address has an account"), "{}", asked.text);
    assert_eq!(asked.text.len(), stranger.ok(200).text.len());
    let mail = mails(&smtp, 1).await.remove(0);
    assert!(mail.header("Subject").is_some_and(|subject| subject.starts_with("Neues Passwort")), "{}", mail.text);
    let token = link_of(&mail.plain());
    let short = form("/dashboard/login/password", &[("token", &token), ("password", "short")]).await;
    assert!(short.status == 400 && short.text.contains("10 to 200"), "{}", short.text);
    let done = form("/dashboard/login/password", &[("token", &token), ("password", NEW)]).await;
    assert!(done.ok(200).text.contains("Your password is set"), "{}", done.text);
    log_in_with(&server, &owner.email, NEW, FIREFOX).await.ok(200);
    server.stop().await;
}

#[tokio::test]
async fn a_log_in_from_where_an_account_was_not_used_is_told_to_its_owner_once() {
    let (world, smtp) = (World::new().await, Smtp::start().await);
    let server = serve(&world, &smtp.url()).await;
    let owner = with_password(&world, "acme", "owner").await;
    for _ in 0..2 {
        log_in_with(&server, &owner.email, PASSWORD, FIREFOX).await.ok(200);
    }
    log_in_with(&server, &owner.email, "a wrong password", SAFARI).await.refused(401, "login_failed");
    for _ in 0..2 {
        log_in_with(&server, &owner.email, PASSWORD, SAFARI).await.ok(200);
    }
    let mail = mails(&smtp, 1).await.remove(0);
    assert_eq!(mail.header("Subject").as_deref(), Some("A log-in from a new device"));
    assert!(mail.to == owner.email && mail.plain().contains("Safari on macOS, 127.0.0.0/24"), "{}", mail.plain());
    server.stop().await;
}

async fn invite(server: &Running, by: &Person, org: &str, email: &str) -> Value {
    let body = json!({"email": email, "role": "agent"});
    server.call_as(by, Method::POST, &format!("/v1/orgs/{org}/members"), Some(&body)).await.ok(201).json()
}

async fn accept(server: &Running, token: &str, password: &str) -> Answer {
    post(server, "/v1/auth/invitations/accept", json!({"token": token, "name": "Ada", "password": password})).await
}

fn orgs(me: &Answer) -> Vec<String> {
    let me = me.ok(200).json();
    let orgs = me["orgs"].as_array().expect("orgs").iter();
    orgs.map(|org| org["slug"].as_str().expect("text").to_owned()).collect()
}

#[tokio::test]
async fn whoever_reads_the_mail_of_an_address_takes_over_what_others_chose_for_it() {
    let (world, smtp) = (World::new().await, Smtp::start().await);
    let server = serve(&world, &smtp.url()).await;
    let (owner, rival) = (world.person("acme", "owner").await, world.person("globex", "owner").await);
    // The rival opens the link in place of whom it is for.
    let squatted = invite(&server, &rival, "globex", "ada@example.com").await;
    let intruder = accept(&server, squatted["token"].as_str().expect("a token"), "what the rival chose").await;
    assert_eq!(orgs(&intruder), ["globex"]);
    let cookie = intruder.header("Set-Cookie").expect("a cookie").split(';').next().expect("one").to_owned();
    mails(&smtp, 1).await;
    // Acme's invitation reaches her by mail.
    invite(&server, &owner, "acme", "ada@example.com").await;
    let invitation = mails(&smtp, 2).await.remove(1);
    let link = invitation.plain();
    let token = &link.split("/invitation#").nth(1).expect("a link")[..46];
    assert_eq!(orgs(&accept(&server, token, PASSWORD).await), ["acme", "globex"]);
    let gone = server.call(Method::GET, "/v1/auth/me", &[("Cookie", &cookie)]).await;
    gone.refused(401, "session_invalid");
    log_in_with(&server, "ada@example.com", "what the rival chose", FIREFOX).await.refused(401, "login_failed");
    assert_eq!(orgs(&log_in_with(&server, "ada@example.com", PASSWORD, FIREFOX).await), ["acme", "globex"]);
    // Once it is proven no link of an invitation changes it: a second rival gets what they may get.
    let members = "/v1/orgs/globex/members?limit=100";
    let listed = server.call_as(&rival, Method::GET, members, None).await.ok(200).json();
    let ada = listed["data"].as_array().expect("members").iter().find(|one| one["email"] == "ada@example.com");
    let ada = ada.expect("a member");
    assert_eq!((&ada["address_proven"], &ada["name"]), (&json!(true), &json!("Ada")));
    let path = format!("/v1/orgs/globex/members/{}", ada["id"].as_str().expect("an id"));
    server.call_as(&rival, Method::DELETE, &path, None).await.ok(204);
    let again = invite(&server, &rival, "globex", "ada@example.com").await;
    assert_eq!(
        orgs(&accept(&server, again["token"].as_str().expect("a token"), "another of theirs").await),
        ["globex"]
    );
    assert_eq!(orgs(&log_in_with(&server, "ada@example.com", PASSWORD, FIREFOX).await), ["acme", "globex"]);
    server.stop().await;
}

#[tokio::test]
async fn who_joined_by_a_link_proves_their_address_in_the_dashboard_and_is_told_nothing_by_mail_before() {
    let (world, smtp) = (World::new().await, Smtp::start().await);
    let server = serve(&world, &smtp.url()).await;
    let owner = world.person("acme", "owner").await;
    let shown = invite(&server, &owner, "acme", "ada@example.com").await;
    mails(&smtp, 1).await;
    let joined = accept(&server, shown["token"].as_str().expect("a token"), PASSWORD).await;
    let id = joined.ok(200).json()["id"].clone();
    let cookie = joined.header("Set-Cookie").expect("a cookie").split(';').next().expect("one").to_owned();
    // A ticket of hers holds what a customer wrote: not to an address that nobody proved.
    let ticket = super::submit(&server, &world.site_a.key, "customer@example.com").await;
    mails(&smtp, 2).await;
    let path = format!("/v1/orgs/acme/tickets/{}", ticket["id"].as_str().expect("an id"));
    let assign = async |to: &Value| {
        server.call_as(&owner, Method::PATCH, &path, Some(&json!({"assignee": to}))).await.ok(200);
    };
    assign(&id).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(smtp.taken().len(), 2);

    let profile = server.call(Method::GET, "/dashboard/acme/notifications", &[("Cookie", &cookie)]).await;
    assert!(profile.ok(200).text.contains("Your address is not proven"), "{}", profile.text);
    let asking = server.request(Method::POST, "/v1/auth/address-proof").header("Cookie", &cookie);
    Answer::of(asking.header("Sec-Fetch-Site", "same-origin")).await.ok(202);
    let proof = mails(&smtp, 3).await.remove(2);
    assert_eq!(
        (proof.to.as_str(), proof.header("Subject").as_deref()),
        ("ada@example.com", Some("Prove your address"))
    );
    confirm(&server, &link_of(&proof.plain()), NEW).await.ok(204);
    server.call(Method::GET, "/v1/auth/me", &[("Cookie", &cookie)]).await.refused(401, "session_invalid");
    let proven = log_in_with(&server, "ada@example.com", NEW, FIREFOX).await;
    let cookie = proven.header("Set-Cookie").expect("a cookie").split(';').next().expect("one").to_owned();
    let profile = server.call(Method::GET, "/dashboard/acme/notifications", &[("Cookie", &cookie)]).await;
    assert!(!profile.ok(200).text.contains("not proven"), "{}", profile.text);
    mails(&smtp, 4).await;
    assign(&Value::Null).await;
    assign(&id).await;
    assert_eq!(mails(&smtp, 5).await.remove(4).to, "ada@example.com");
    server.stop().await;
}

#[tokio::test]
async fn an_invitation_is_in_the_language_of_the_org_and_says_when_it_could_not_be_delivered() {
    let (world, smtp) = (World::new().await, Smtp::start().await);
    let server = serve(&world, &smtp.url()).await;
    let owner = world.person("acme", "owner").await;
    world.arrange("update vicket.sites set language = 'de' where slug in ('site-a', 'site-b')").await;
    smtp.answer("gone", "550 5.1.1 no such mailbox");
    invite(&server, &owner, "acme", "grace@example.com").await;
    let invitation = mails(&smtp, 1).await.remove(0);
    assert!(invitation.header("Subject").expect("one").starts_with("Einladung zu"), "{}", invitation.text);
    invite(&server, &owner, "acme", "gone@example.com").await;
    until(&world, "select exists (select from vicket.mails where state = 'bounced')").await;
    let listed = server.call_as(&owner, Method::GET, "/v1/orgs/acme/invitations", None).await.ok(200).json();
    let states: Vec<_> =
        listed["data"].as_array().expect("some").iter().map(|one| one["delivery"]["state"].clone()).collect();
    assert_eq!(states, ["bounced", "sent"], "{listed}");
    let page = server.call(Method::GET, "/dashboard/acme/members", &[("Cookie", &owner.cookie)]).await;
    assert!(page.ok(200).text.contains("Mail: not delivered: 550 5.1.1 no such mailbox"), "{}", page.text);

    // Given up after three days: a dead letter of the org, which can be sent again.
    world
        .arrange(
            "insert into vicket.tasks (org_id, kind, subject_id, attempts, last_error, dead_at)
            select org_id, 'mail', id, 26, '451 later', now() from vicket.mails where state = 'bounced';
            update vicket.mails set state = 'failed', recipient = 'back@example.com' where state = 'bounced'",
        )
        .await;
    let path = "/v1/orgs/acme/mail/dead-letters";
    let dead = server.call_as(&owner, Method::GET, path, None).await.ok(200).json();
    assert_eq!(
        (&dead["data"][0]["kind"], &dead["data"][0]["error"]),
        (&json!("invitation"), &json!("451 later")),
        "{dead}"
    );
    let page = server.call(Method::GET, "/dashboard/acme/members", &[("Cookie", &owner.cookie)]).await;
    assert!(page.ok(200).text.contains("451 later"), "{}", page.text);
    let (agent, rival) = (world.person("acme", "agent").await, world.person("globex", "owner").await);
    server.call_as(&agent, Method::GET, path, None).await.refused(403, "permission_required");
    let elsewhere = server.call_as(&rival, Method::GET, "/v1/orgs/globex/mail/dead-letters", None).await.ok(200).json();
    assert_eq!(elsewhere["data"], json!([]));
    let retry = format!("{path}/{}/retry", dead["data"][0]["id"].as_str().expect("an id"));
    let foreign = retry.replace("/acme/", "/globex/");
    server.call_as(&rival, Method::POST, &foreign, None).await.refused(404, "not_found");
    server.call_as(&owner, Method::POST, &retry, None).await.ok(204);
    assert_eq!(mails(&smtp, 2).await.remove(1).to, "back@example.com");
    server.stop().await;
}

#[tokio::test]
async fn what_an_agent_writes_is_rendered_and_what_could_harm_is_not() {
    let (world, smtp) = (World::new().await, Smtp::start().await);
    let server = serve(&world, &smtp.url()).await;
    let owner = world.person("acme", "owner").await;
    let ticket = super::submit(&server, &world.site_a.key, "ada@example.com").await;
    mails(&smtp, 1).await;
    let body =
        "**Bold** and [a page](https://example.com/a)\n\n<img src=x onerror=alert(1)> [bad](javascript:alert(1))";
    super::answer(&server, &owner, &ticket, body).await;
    let mail = mails(&smtp, 2).await.remove(1);
    let message = mail_parser::MessageParser::default().parse(mail.text.as_bytes()).expect("a message");
    let html = message.body_html(0).expect("HTML");
    assert!(html.contains("<strong>Bold</strong>") && html.contains("href=\"https://example.com/a\""), "{html}");
    assert!(!html.contains("<img") && !html.contains("href=\"javascript"), "{html}");
    assert!(mail.plain().contains("**Bold** and [a page](https://example.com/a)"), "{}", mail.plain());
    server.stop().await;
}
