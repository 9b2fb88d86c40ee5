//! Logging in and out, sessions and their ends, passwords, invitations.

mod account;

use reqwest::Method;
use serde_json::{Value, json};
use vicket::passwords;

use super::People;
use crate::harness::{Answer, Options, Person, Running, World};

const PASSWORD: &str = "correct horse battery staple";

/// A member of acme with a password.
async fn with_password(world: &World, role: &str) -> Person {
    let person = world.person("acme", role).await;
    let hash = passwords::hash(PASSWORD);
    world.arrange(&format!("update vicket.users set password_hash = '{hash}' where id = '{}'", person.id)).await;
    person
}

async fn log_in(server: &Running, email: &str, password: &str) -> Answer {
    let body = json!({ "email": email, "password": password });
    Answer::of(server.request(Method::POST, "/v1/auth/login").json(&body)).await
}

fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").expect("a cookie").split(';').next().expect("a pair").to_owned()
}

fn as_person(of: &Person, answer: &Answer) -> Person {
    let cookie = cookie(answer);
    let session = vicket::domain::keys::Sha256Digest::of(cookie.split_once('=').expect("a pair").1.as_bytes());
    Person { id: of.id, email: of.email.clone(), cookie, session }
}

#[tokio::test]
async fn logging_in_sets_a_cookie_that_says_who_is_asking_and_is_in_the_database_as_a_hash_only() {
    let world = World::new().await;
    let server = world.serve().await;
    let person = with_password(&world, "agent").await;
    let answer = log_in(&server, &person.email.to_uppercase(), PASSWORD).await;
    let me = answer.ok(200).json();
    assert_eq!((&me["email"], &me["kind"]), (&json!(person.email), &json!("user")));
    assert_eq!((&me["orgs"][0]["slug"], &me["orgs"][0]["role"]), (&json!("acme"), &json!("agent")));
    let set = answer.header("set-cookie").expect("a cookie");
    for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
        assert!(set.split("; ").any(|part| part == attribute), "{set}");
    }
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let person = as_person(&person, &answer);
    assert_eq!(server.get_as(&person, "/v1/auth/me").await.ok(200).json(), me);
    let token = person.cookie.split_once('=').expect("a pair").1;
    let stored = format!("select exists (select from vicket.sessions where token_hash = sha256('{token}'))");
    assert!(world.look::<bool>(&stored).await);
    let text = format!("select exists (select from vicket.sessions s where s::text like '%{token}%')");
    assert!(!world.look::<bool>(&text).await);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_are_one_answer() {
    let world = World::new().await;
    let server = world.serve().await;
    let person = with_password(&world, "agent").await;
    let wrong = log_in(&server, &person.email, "wrong horse").await;
    let unknown = log_in(&server, "nobody@nowhere.example", PASSWORD).await;
    let body = |answer: &Answer| {
        let mut body = answer.refused(401, "login_failed").json();
        body["request_id"].take();
        body
    };
    assert_eq!(body(&wrong), body(&unknown));
    let names = |answer: &Answer| answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&wrong), names(&unknown));
    log_in(&server, &person.email, PASSWORD).await.ok(200);
}

#[tokio::test]
async fn an_unknown_address_costs_the_same_work() {
    // Counted and not timed: one hash is made for each, with the parameters of a new password.
    let stranger = passwords::Salt::stored(None);
    let hasher = passwords::Hasher::default();
    let hash = hasher.hash(stranger, PASSWORD.to_owned()).await.expect("hashed");
    let parameters = |hash: &str| hash.split('$').take(4).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(parameters(&hash), parameters(&passwords::hash(PASSWORD)));
}

#[tokio::test]
async fn tries_to_log_in_are_limited_for_the_account_whether_there_is_one_or_not() {
    let world = World::new().await;
    let server = world.serve().await;
    let person = with_password(&world, "agent").await;
    for email in [person.email.as_str(), "nobody@nowhere.example"] {
        for _ in 0..10 {
            log_in(&server, email, "wrong horse").await.refused(401, "login_failed");
        }
        let refused = log_in(&server, email, PASSWORD).await;
        let body = refused.refused(429, "rate_limited").json();
        assert!(body["detail"].as_str().is_some_and(|text| text.contains("login-account")), "{body}");
        assert!(refused.header("retry-after").is_some());
    }
    // Ten more tries of anybody else use up the network's thirty.
    for n in 0..10 {
        log_in(&server, &format!("{n}@nowhere.example"), "wrong horse").await.refused(401, "login_failed");
    }
    let body = log_in(&server, "another@nowhere.example", "x").await.refused(429, "rate_limited").json();
    assert!(body["detail"].as_str().is_some_and(|text| text.contains("login-network")), "{body}");
}

#[tokio::test]
async fn logging_out_ends_this_session_and_logging_out_everywhere_all_of_them() {
    let world = World::new().await;
    let server = world.serve().await;
    let person = with_password(&world, "agent").await;
    let first = as_person(&person, &log_in(&server, &person.email, PASSWORD).await);
    let second = as_person(&person, &log_in(&server, &person.email, PASSWORD).await);
    let bystander = world.person("acme", "viewer").await;
    let out = server.call_as(&first, Method::POST, "/v1/auth/logout", None).await;
    assert!(out.ok(204).header("set-cookie").is_some_and(|cookie| cookie.contains("Max-Age=0")));
    server.get_as(&first, "/v1/auth/me").await.refused(401, "session_invalid");
    server.get_as(&second, "/v1/auth/me").await.ok(200);
    server.call_as(&second, Method::POST, "/v1/auth/logout-all", None).await.ok(204);
    server.get_as(&second, "/v1/auth/me").await.refused(401, "session_invalid");
    server.get_as(&person, "/v1/auth/me").await.refused(401, "session_invalid");
    server.get_as(&bystander, "/v1/auth/me").await.ok(200);
}

#[tokio::test]
async fn a_session_ends_14_days_after_its_last_use_and_90_days_after_its_beginning() {
    let world = World::new().await;
    let server = world.serve().await;
    let person = world.person("acme", "agent").await;
    let aged = async |column: &str, days: &str| {
        world
            .arrange(&format!(
                "update vicket.sessions set {column} = now() - interval '{days}' where user_id = '{}'",
                person.id
            ))
            .await;
        server.get_as(&person, "/v1/auth/me").await
    };
    aged("last_used_at", "13 days 23 hours").await.ok(200);
    aged("last_used_at", "14 days").await.refused(401, "session_invalid");
    aged("last_used_at", "1 minute").await.ok(200);
    aged("created_at", "89 days 23 hours").await.ok(200);
    aged("created_at", "90 days").await.refused(401, "session_invalid");
}

#[tokio::test]
async fn using_a_session_moves_its_end() {
    let world = World::new().await;
    let server = world.serve().await;
    let person = world.person("acme", "agent").await;
    let of = format!("where user_id = '{}'", person.id);
    world.arrange(&format!("update vicket.sessions set last_used_at = now() - interval '13 days' {of}")).await;
    server.get_as(&person, "/v1/auth/me").await.ok(200);
    server.app.usage.flush(&server.app.worker).await.expect("written");
    let fresh = format!("select last_used_at > now() - interval '1 minute' from vicket.sessions {of}");
    assert!(world.look::<bool>(&fresh).await);
}

#[tokio::test]
async fn changing_the_password_needs_the_present_one_and_ends_the_other_sessions() {
    let world = World::new().await;
    let server = world.serve().await;
    let person = with_password(&world, "agent").await;
    let other = as_person(&person, &log_in(&server, &person.email, PASSWORD).await);
    let change = async |current: &str, new: &str| {
        let body = json!({ "current_password": current, "new_password": new });
        server.post_as(&person, "/v1/auth/password", body).await
    };
    change("wrong horse", "another password").await.refused(401, "login_failed");
    let short = change(PASSWORD, "short").await.refused(400, "invalid_request").json();
    assert_eq!(short["errors"][0]["field"], "new_password");
    server.get_as(&other, "/v1/auth/me").await.ok(200);
    change(PASSWORD, "another password").await.ok(204);
    server.get_as(&person, "/v1/auth/me").await.ok(200);
    server.get_as(&other, "/v1/auth/me").await.refused(401, "session_invalid");
    log_in(&server, &person.email, PASSWORD).await.refused(401, "login_failed");
    log_in(&server, &person.email, "another password").await.ok(200);
}

async fn invite(server: &Running, by: &Person, email: &str, role: &str) -> Value {
    server.post_as(by, "/v1/orgs/acme/members", json!({ "email": email, "role": role })).await.ok(201).json()
}

async fn accept(server: &Running, token: &str, password: &str) -> Answer {
    let body = json!({ "token": token, "name": "New Person", "password": password });
    Answer::of(server.request(Method::POST, "/v1/auth/invitations/accept").json(&body)).await
}

#[tokio::test]
async fn an_invitation_makes_a_member_of_its_role_once_and_logs_them_in() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let made = invite(&server, &people.admin, "New@Example.com", "agent").await;
    let token = made["token"].as_str().expect("a token");
    assert!(made["link"].as_str().is_some_and(|link| link.ends_with(&format!("#{token}"))), "{made}");
    let listed = server.get_as(&people.admin, "/v1/orgs/acme/invitations").await.ok(200).json();
    assert_eq!(listed["data"][0]["email"], "new@example.com");
    assert_eq!(listed["data"][0]["invited_by"], people.admin.email);
    assert!(!listed.to_string().contains(token), "shown once");

    let short = accept(&server, token, "short").await.refused(400, "invalid_request").json();
    assert_eq!(short["errors"][0]["field"], "password");
    let joined = accept(&server, token, PASSWORD).await;
    let me = joined.ok(200).json();
    assert_eq!((&me["email"], &me["orgs"][0]["role"]), (&json!("new@example.com"), &json!("agent")));
    let person = as_person(&people.agent, &joined);
    server.get_as(&person, "/v1/orgs/acme").await.ok(200);
    accept(&server, token, PASSWORD).await.refused(404, "not_found");
    log_in(&server, "new@example.com", PASSWORD).await.ok(200);
}

#[tokio::test]
async fn an_invitation_gives_whoever_holds_its_link_nothing_of_an_account_without_its_password() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Options::default() }).await;
    let people = People::of(&world).await;
    let hash = passwords::hash(PASSWORD);
    world.arrange(&format!("update vicket.users set password_hash = '{hash}' where id = '{}'", people.rival.id)).await;
    let orgs = |me: &Value| -> Vec<Value> {
        me["orgs"].as_array().expect("orgs").iter().map(|org| org["slug"].clone()).collect()
    };
    let made = invite(&server, &people.owner, &people.rival.email, "viewer").await;
    let token = made["token"].as_str().expect("a token");
    // The inviter holds the token too, and must not become somebody of another org by it.
    let joined = accept(&server, token, "what the inviter chose").await;
    let me = joined.ok(200).json();
    assert_eq!(orgs(&me), ["acme"]);
    // Nothing tells whether there was an account: not the name, which is the one that was sent.
    assert_eq!(me["name"], "New Person");
    let intruder = as_person(&people.agent, &joined);
    server.get_as(&intruder, "/v1/orgs/acme").await.ok(200);
    server.get_as(&intruder, "/v1/orgs/globex").await.refused(404, "not_found");
    server.get_as(&intruder, "/v1/orgs/globex/members").await.refused(404, "not_found");
    let again = log_in(&server, &people.rival.email, "what the inviter chose").await;
    assert_eq!(orgs(&again.ok(200).json()), ["acme"]);
    let again = as_person(&people.agent, &again);
    server.get_as(&again, "/v1/orgs/globex").await.refused(404, "not_found");
    // Whose account it is goes on as before, and whoever came in so cannot log them out.
    let theirs = log_in(&server, &people.rival.email, PASSWORD).await;
    assert_eq!(orgs(&theirs.ok(200).json()), ["acme", "globex"]);
    let theirs = as_person(&people.agent, &theirs);
    Answer::of(
        server
            .request(Method::POST, "/v1/auth/logout-all")
            .header("Cookie", &again.cookie)
            .header("Sec-Fetch-Site", "same-origin"),
    )
    .await
    .ok(204);
    server.get_as(&again, "/v1/auth/me").await.refused(401, "session_invalid");
    server.get_as(&intruder, "/v1/auth/me").await.refused(401, "session_invalid");
    server.get_as(&theirs, "/v1/orgs/globex").await.ok(200);
    // The org that invited sees that nobody proved the address.
    let members = server.get_as(&people.owner, "/v1/orgs/acme/members?limit=100").await.ok(200).json();
    let member = |email: &str| {
        let members = members["data"].as_array().expect("members");
        members.iter().find(|member| member["email"] == email).expect("a member").clone()
    };
    assert_eq!(
        (&member(&people.rival.email)["address_proven"], &member(&people.rival.email)["name"]),
        (&json!(false), &json!("New Person"))
    );
    assert_eq!(member(&people.owner.email)["address_proven"], true);
    let elsewhere = server.get_as(&theirs, "/v1/orgs/globex/members?limit=100").await.ok(200).json();
    assert!(!elsewhere.to_string().contains("New Person"), "{elsewhere}");
}

#[tokio::test]
async fn with_the_password_of_an_account_its_owner_joins_with_all_their_orgs() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let hash = passwords::hash(PASSWORD);
    world.arrange(&format!("update vicket.users set password_hash = '{hash}' where id = '{}'", people.rival.id)).await;
    let made = invite(&server, &people.owner, &people.rival.email, "viewer").await;
    let me = accept(&server, made["token"].as_str().expect("a token"), PASSWORD).await.ok(200).json();
    let orgs: Vec<_> = me["orgs"].as_array().expect("orgs").iter().map(|org| org["slug"].clone()).collect();
    assert_eq!(orgs, ["acme", "globex"]);
}

#[tokio::test]
async fn a_password_that_others_chose_for_an_address_is_in_nobodys_way_and_one_of_ones_own_serves_both_orgs() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Options::default() }).await;
    let people = People::of(&world).await;
    // Globex comes first, with a password of its own, for somebody whom Acme wants.
    let invite_to_globex = json!({ "email": "ada@example.com", "role": "agent" });
    let squatted =
        server.post_as(&people.rival, "/v1/orgs/globex/members", invite_to_globex.clone()).await.ok(201).json();
    accept(&server, squatted["token"].as_str().expect("a token"), "what globex chose").await.ok(200);
    let wanted = invite(&server, &people.owner, "ada@example.com", "agent").await;
    let joined = accept(&server, wanted["token"].as_str().expect("a token"), PASSWORD).await;
    let me = joined.ok(200).json();
    assert_eq!((me["orgs"].as_array().expect("orgs").len(), &me["orgs"][0]["slug"]), (1, &json!("acme")));
    let ada = as_person(&people.agent, &joined);
    server.get_as(&ada, "/v1/orgs/acme").await.ok(200);
    server.get_as(&ada, "/v1/orgs/globex").await.refused(404, "not_found");
    let orgs = async |password: &str| {
        let me = log_in(&server, "ada@example.com", password).await.ok(200).json();
        let orgs = me["orgs"].as_array().expect("orgs").iter();
        orgs.map(|org| org["slug"].as_str().expect("text").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(orgs(PASSWORD).await, ["acme"]);
    assert_eq!(orgs("what globex chose").await, ["globex"]);
    // A person who joins both by links, with one password, has one log-in for both.
    let member = server.get_as(&people.rival, "/v1/orgs/globex/members?limit=100").await.ok(200).json();
    let id = member["data"].as_array().expect("members").iter().find(|one| one["email"] == "ada@example.com");
    let path = format!("/v1/orgs/globex/members/{}", id.expect("a member")["id"].as_str().expect("an id"));
    server.delete_as(&people.rival, &path).await.ok(204);
    log_in(&server, "ada@example.com", "what globex chose").await.refused(401, "login_failed");
    let again = server.post_as(&people.rival, "/v1/orgs/globex/members", invite_to_globex).await.ok(201).json();
    accept(&server, again["token"].as_str().expect("a token"), PASSWORD).await.ok(200);
    assert_eq!(orgs(PASSWORD).await, ["acme", "globex"]);
    // And changes it in both.
    let session = as_person(&people.agent, &log_in(&server, "ada@example.com", PASSWORD).await);
    let body = json!({"current_password": PASSWORD, "new_password": "another password"});
    server.post_as(&session, "/v1/auth/password", body).await.ok(204);
    assert_eq!(orgs("another password").await, ["acme", "globex"]);
    log_in(&server, "ada@example.com", PASSWORD).await.refused(401, "login_failed");
}

#[tokio::test]
async fn an_invitation_that_was_revoked_or_has_expired_is_good_for_nothing() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let revoked = invite(&server, &people.owner, "a@example.com", "agent").await;
    let path = format!("/v1/orgs/acme/invitations/{}", revoked["id"].as_str().expect("an id"));
    server.delete_as(&people.owner, &path).await.ok(204);
    server.delete_as(&people.owner, &path).await.refused(404, "not_found");
    let expired = invite(&server, &people.owner, "b@example.com", "agent").await;
    world.arrange("update vicket.invitations set expires_at = now()").await;
    for made in [&revoked, &expired] {
        accept(&server, made["token"].as_str().expect("a token"), PASSWORD).await.refused(404, "not_found");
    }
    assert_eq!(server.get_as(&people.owner, "/v1/orgs/acme/invitations").await.ok(200).json()["data"], json!([]));
    // One that has expired does not stand in the way of the next.
    let again = invite(&server, &people.owner, "b@example.com", "agent").await;
    server
        .post_as(&people.owner, "/v1/orgs/acme/members", json!({"email": "b@example.com", "role": "agent"}))
        .await
        .refused(409, "email_taken");
    accept(&server, again["token"].as_str().expect("a token"), PASSWORD).await.ok(200);
    server.delete_as(&people.owner, "/v1/orgs/acme/invitations").await.ok(204);
}

#[tokio::test]
async fn two_people_who_accept_one_invitation_at_once_are_one_member() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let made = invite(&server, &people.owner, "a@example.com", "agent").await;
    let token = made["token"].as_str().expect("a token");
    let (one, two) = tokio::join!(accept(&server, token, PASSWORD), accept(&server, token, PASSWORD));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses[0], 200, "{} {}", one.text, two.text);
    assert!([401, 404, 503].contains(&statuses[1]), "{} {}", one.text, two.text);
    let members = "select count(*) from vicket.members m join vicket.users u on u.id = m.user_id
        where u.email = 'a@example.com'";
    assert_eq!(world.look::<i64>(members).await, 1);
}

/// What makes two spellings one account is the same here and there: `İ` in small letters is two characters to one, and one
/// to the other.
#[tokio::test]
async fn an_address_has_one_normal_form_in_rust_and_in_sql() {
    let world = World::new().await;
    let all: String = ('\u{1}'..=char::MAX).collect();
    let small: String = sqlx::query_scalar("select lower($1 collate \"C\")")
        .bind(&all)
        .fetch_one(&world.superuser)
        .await
        .expect("small letters");
    assert!(small == all.to_ascii_lowercase());
    let lower: Vec<String> = sqlx::query_scalar(
        "select proname || ': ' || prosrc from pg_proc
        where pronamespace in ('auth'::regnamespace, 'ctx'::regnamespace, 'admin'::regnamespace) and prosrc ~ 'lower\\((p_)?email\\)'",
    )
    .fetch_all(&world.superuser)
    .await
    .expect("bodies");
    assert_eq!(lower, [""; 0], "each says whose small letters");
}

#[tokio::test]
async fn a_new_password_is_long_and_none_that_is_guessed_first() {
    let world = World::new().await;
    let server = world.serve().await;
    let person = with_password(&world, "agent").await;
    let email = &person.email;
    let change = async |new: &str| {
        let body = json!({"current_password": PASSWORD, "new_password": new});
        let request = server.request(Method::POST, "/v1/auth/password").header("Cookie", &person.cookie);
        Answer::of(request.header("Origin", &server.base).json(&body)).await
    };
    let name = email.split('@').next().expect("a name").to_owned();
    for bad in [
        "aaaaaaaa",
        "password1",
        "aaaaaaaaaaaa",
        "ababababab",
        "Password123",
        "1234567890",
        email,
        &email.to_uppercase(),
        &name,
    ] {
        change(bad).await.refused(400, "invalid_request");
    }
    change("a better horse and battery").await.ok(204);
}

#[tokio::test]
async fn tries_from_elsewhere_do_not_lock_out_who_logged_in_from_here() {
    let world = World::new().await;
    let server = world.serve_with(Options { trusted_proxies: &["127.0.0.0/8"], ..Options::default() }).await;
    let email = with_password(&world, "agent").await.email;
    let log_in = async |password: &str, address: &str| {
        let request = server.request(Method::POST, "/v1/auth/login").header("X-Forwarded-For", address);
        Answer::of(request.json(&json!({"email": email, "password": password}))).await
    };
    log_in(PASSWORD, "192.0.2.1").await.ok(200);
    // Ten with the good one, and then nobody elsewhere may try.
    for n in 0..9 {
        log_in("wrong", &format!("198.51.{n}.1")).await.refused(401, "login_failed");
    }
    log_in(PASSWORD, "203.0.113.1").await.refused(429, "rate_limited");
    log_in(PASSWORD, "192.0.2.9").await.ok(200);
}
