//! Customers whom their site vouches for: which tokens it takes, and what a session of theirs opens.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Method;
use ring::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::harness::{Answer, Options, Person, Running, Site, World, ticket};

const IDENTITY: &str = "/support/v1/identity";
const TICKETS: &str = "/support/v1/tickets";
const SECRET: &str = "a secret of this server for its tests, and no other";

async fn serve(world: &World) -> Running {
    world.serve_with(Options { limits: false, secret: Some(SECRET), ..Options::default() }).await
}

fn claims(site: &Site, subject: &str, email: &str) -> Value {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    json!({
        "sub": subject, "email": email, "name": "Ada Lovelace", "iat": now, "exp": now + 120, "aud": site.id,
        "jti": Uuid::new_v4(),
    })
}

fn signed(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

fn by_secret(secret: &str, claims: &Value) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    signed(&json!({"alg": "HS256", "typ": "JWT"}), claims, |message| hmac::sign(&key, message).as_ref().to_vec())
}

async fn secret_call(server: &Running, owner: &Person, site: &Site, method: Method, tail: &str) -> Answer {
    let path = format!("/v1/orgs/{}/sites/{}/identity-secret{tail}", site.org, site.slug);
    server.call_as(owner, method, &path, None).await
}

async fn make_secret(server: &Running, owner: &Person, site: &Site) -> String {
    let made = secret_call(server, owner, site, Method::POST, "").await;
    let secret = made.ok(201).json()["secret"].as_str().expect("shown once").to_owned();
    assert_eq!((secret.len(), &secret[..3]), (46, "is_"));
    secret
}

async fn trade(server: &Running, site: &Site, token: &str) -> Answer {
    server.post(&site.key, IDENTITY, &json!({"token": token})).await
}

async fn session(server: &Running, site: &Site, secret: &str, subject: &str, email: &str) -> String {
    let opened = trade(server, site, &by_secret(secret, &claims(site, subject, email))).await;
    let session = opened.ok(201).json()["session"].as_str().expect("a session").to_owned();
    assert_eq!((session.len(), &session[..3], opened.header("cache-control")), (46, "cs_", Some("no-store")));
    session
}

async fn as_customer(server: &Running, site: &Site, session: &str, method: Method, path: &str) -> Answer {
    server.call(method, path, &[("X-Vicket-Key", &site.key), ("X-Vicket-Customer", session)]).await
}

async fn write(server: &Running, site: &Site, session: &str, path: &str, body: &Value) -> Answer {
    let request = server.request(Method::POST, path).header("X-Vicket-Key", &site.key).json(body);
    Answer::of(request.header("X-Vicket-Customer", session)).await
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

#[tokio::test]
async fn a_session_opens_that_persons_tickets_of_that_site_and_nothing_else() {
    let world = World::new().await;
    let server = serve(&world).await;
    let (owner, site, other) = (world.person("acme", "owner").await, &world.site_a, &world.site_b);
    let secret = make_secret(&server, &owner, site).await;
    let secret_of_other = make_secret(&server, &owner, other).await;
    let ada = session(&server, site, &secret, "user-1", "ada@acme.example").await;
    let bob = session(&server, site, &secret, "user-2", "bob@acme.example").await;
    // The same person of the company, at its other site: somebody else here.
    let ada_there = session(&server, other, &secret_of_other, "user-1", "ada@acme.example").await;

    // The address is the proven one, whatever is typed; without one none is needed.
    let made = write(&server, site, &ada, TICKETS, &ticket()).await.ok(201).json();
    let untyped = json!({"subject": "Second", "message": "And this."});
    write(&server, site, &ada, TICKETS, &untyped).await.ok(201);
    write(&server, site, &bob, TICKETS, &untyped).await.ok(201);
    assert_eq!(server.post(&site.key, TICKETS, &untyped).await.refused(400, "invalid_request").fields(), ["email"]);
    server
        .post(&site.key, TICKETS, &json!({"email": "ada@acme.example", "subject": "By hand", "message": "x"}))
        .await
        .ok(201);
    let emails: Vec<String> =
        world.look("select array_agg(email || ' ' || coalesce(name, '') order by number) from vicket.tickets").await;
    assert_eq!(
        emails,
        ["ada@acme.example Ada", "ada@acme.example Ada Lovelace", "bob@acme.example Ada Lovelace", "ada@acme.example "]
    );

    let list = as_customer(&server, site, &ada, Method::GET, TICKETS).await;
    assert_eq!(list.each("subject"), ["Second", "Help"], "a typed address proves nobody");
    let first = as_customer(&server, site, &ada, Method::GET, &format!("{TICKETS}?limit=1")).await;
    assert_eq!(first.each("subject"), ["Second"]);
    let cursor = text(&first.json()["next_cursor"]);
    let next = as_customer(&server, site, &ada, Method::GET, &format!("{TICKETS}?limit=1&cursor={cursor}")).await;
    assert_eq!((next.each("subject"), &next.json()["next_cursor"]), (vec!["Help".to_owned()], &Value::Null));
    assert_eq!(as_customer(&server, site, &bob, Method::GET, TICKETS).await.each("subject"), ["Second"]);
    assert_eq!(as_customer(&server, other, &ada_there, Method::GET, TICKETS).await.each("subject").len(), 0);

    // Theirs is read and answered; anybody else's is not there.
    let id = text(&made["id"]);
    let (thread, messages) = (format!("{TICKETS}/{id}/thread"), format!("{TICKETS}/{id}/messages"));
    assert_eq!(as_customer(&server, site, &ada, Method::GET, &thread).await.ok(200).json()["subject"], "Help");
    write(&server, site, &ada, &messages, &json!({"body": "One more thing."})).await.ok(201);
    let nobodys = as_customer(&server, site, &bob, Method::GET, &format!("{TICKETS}/{}/thread", Uuid::new_v4())).await;
    let bobs = as_customer(&server, site, &bob, Method::GET, &thread).await;
    assert_eq!(bobs.refused(404, "not_found").comparable(), nobodys.comparable());
    as_customer(&server, other, &ada_there, Method::GET, &thread).await.refused(404, "not_found");
    write(&server, site, &bob, &messages, &json!({"body": "x"})).await.refused(404, "not_found");
    let read = format!("{TICKETS}/{id}/read");
    as_customer(&server, site, &bob, Method::POST, &read).await.refused(404, "not_found");
    // A token beside it opens no other ticket than the one that is named.
    let headers =
        [("X-Vicket-Key", &*site.key), ("X-Vicket-Customer", &bob), ("X-Vicket-Ticket", &text(&made["token"]))];
    server.call(Method::GET, &thread, &headers).await.refused(404, "not_found");

    // Answers are new until the ticket was opened; notes are neither told nor counted.
    world.arrange(&format!(
        "insert into vicket.ticket_messages (org_id, site_id, ticket_id, author, author_name, body, internal, created_at)
        select t.org_id, t.site_id, t.id, 'agent', 'Olivia', m.body, m.internal, now() + interval '1 hour'
        from vicket.tickets t, (values ('An answer.', false), ('A note.', true)) m (body, internal) where t.id = '{id}'"
    )).await;
    let unread = async || {
        let list = as_customer(&server, site, &ada, Method::GET, TICKETS).await.ok(200).json();
        list["data"][1]["unread"].as_i64().expect("a figure")
    };
    assert_eq!(unread().await, 1);
    world
        .arrange("update vicket.ticket_messages set created_at = now() - interval '1 second' where author = 'agent'")
        .await;
    as_customer(&server, site, &ada, Method::POST, &read).await.ok(204);
    assert_eq!(unread().await, 0);
    let said = as_customer(&server, site, &ada, Method::GET, &thread).await;
    assert_eq!(said.status, 200);
    assert!(said.text.contains("An answer.") && !said.text.contains("A note."));

    // A file of theirs.
    let upload = format!("{TICKETS}/{id}/messages/{}/attachments", text(&made["message_id"]));
    let form = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nhello\r\n--b--\r\n";
    let send = async |session: &str| {
        let kind = ("Content-Type", "multipart/form-data; boundary=b");
        let headers = [("X-Vicket-Key", &*site.key), ("X-Vicket-Customer", session), kind];
        server.post_text(&upload, &headers, form).await
    };
    send(&bob).await.refused(404, "not_found");
    let file = text(&send(&ada).await.ok(201).json()["data"][0]["id"]);
    let file = format!("{TICKETS}/{id}/attachments/{file}");
    assert_eq!(as_customer(&server, site, &ada, Method::GET, &file).await.ok(200).text, "hello");
    as_customer(&server, site, &bob, Method::GET, &file).await.refused(404, "not_found");

    // Ended, expired, of another site, made up, absent: one answer.
    let ended = as_customer(&server, site, &bob, Method::POST, "/support/v1/identity/end").await;
    ended.ok(204);
    let ended = as_customer(&server, site, &bob, Method::GET, TICKETS).await;
    ended.refused(401, "customer_session_invalid");
    for bad in ["", "cs_", ada_there.as_str(), &format!("cs_{}", "x".repeat(43)), &"x".repeat(200)] {
        let refused = as_customer(&server, site, bad, Method::GET, TICKETS).await;
        assert_eq!(refused.refused(401, "customer_session_invalid").comparable(), ended.comparable(), "{bad}");
        write(&server, site, bad, TICKETS, &ticket()).await.refused(401, "customer_session_invalid");
    }
    server.get(&site.key, TICKETS).await.refused(401, "customer_session_invalid");
    as_customer(&server, site, &ada, Method::GET, TICKETS).await.ok(200);
    let aged =
        |hours: u32| format!("update vicket.customer_sessions set created_at = now() - interval '{hours} hours'");
    world.arrange(&aged(11)).await;
    as_customer(&server, site, &ada, Method::GET, TICKETS).await.ok(200);
    world.arrange(&aged(13)).await;
    as_customer(&server, site, &ada, Method::GET, TICKETS).await.refused(401, "customer_session_invalid");
    vicket::store::usage::purge_expired(&server.app.worker).await.expect("purged");
    assert_eq!(world.look::<i64>("select count(*) from vicket.customer_sessions").await, 0);
}

#[tokio::test]
async fn a_token_is_taken_once_and_only_as_the_site_says() {
    let world = World::new().await;
    let server = serve(&world).await;
    let (owner, site) = (world.person("acme", "owner").await, &world.site_a);
    let mine = || claims(site, "user-1", "ada@acme.example");
    let nothing = trade(&server, site, &by_secret("is_nothing", &mine())).await;
    nothing.refused(401, "identity_invalid");
    let secret = make_secret(&server, &owner, site).await;
    let secret_of_other = make_secret(&server, &owner, &world.site_b).await;
    let refused = async |token: &str, why: &str| {
        let answer = trade(&server, site, token).await;
        assert_eq!(answer.refused(401, "identity_invalid").comparable(), nothing.comparable(), "{why}");
    };
    let with = |name: &str, value: Value| {
        let mut claims = mine();
        claims[name] = value;
        by_secret(&secret, &claims)
    };
    let now = OffsetDateTime::now_utc().unix_timestamp();
    trade(&server, site, &with("iat", json!(now - 170))).await.ok(201);
    refused(&with("iat", json!(now - 200)), "longer than five minutes").await;
    refused(&with("iat", json!(now + 90)), "of the future").await;
    refused(&with("exp", json!(now - 70)), "expired").await;
    refused(&with("aud", json!(world.site_b.id)), "of another site").await;
    refused(&with("jti", Value::Null), "no name").await;
    refused(&with("email", json!("ada")), "no address").await;
    refused(&by_secret(&secret_of_other, &mine()), "another site's secret").await;
    refused(&signed(&json!({"alg": "none"}), &mine(), |_| Vec::new()), "unsigned").await;
    refused("a.b.c", "no token").await;
    let once = by_secret(&secret, &mine());
    let (one, two) = tokio::join!(trade(&server, site, &once), trade(&server, site, &once));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 401], "of two at once one opens a session");
    refused(&once, "used").await;
    server.post(&site.key, IDENTITY, &json!({})).await.refused(400, "invalid_request");
    server.post(&site.key, IDENTITY, &json!({"token": "x".repeat(9000)})).await.refused(400, "invalid_request");

    // Staged beside the active one, then rotated: as keys are.
    let staged = secret_call(&server, &owner, site, Method::POST, "/stage").await.ok(201).json();
    let next = text(&staged["secret"]);
    secret_call(&server, &owner, site, Method::POST, "/stage").await.refused(409, "staged_key_exists");
    secret_call(&server, &owner, site, Method::POST, "").await.refused(409, "key_exists");
    for good in [&secret, &next] {
        trade(&server, site, &by_secret(good, &mine())).await.ok(201);
    }
    let rotated = secret_call(&server, &owner, site, Method::POST, "/rotate").await.ok(200).json();
    assert_eq!((rotated.get("secret"), rotated["active"]["hint"].as_str()), (None, Some(&next[42..])));
    refused(&by_secret(&secret, &mine()), "rotated").await;
    trade(&server, site, &by_secret(&next, &mine())).await.ok(201);
    let third = secret_call(&server, &owner, site, Method::POST, "/rotate").await.ok(200).json();
    let third = text(&third["secret"]);
    refused(&by_secret(&next, &mine()), "rotated").await;
    trade(&server, site, &by_secret(&third, &mine())).await.ok(201);
    secret_call(&server, &owner, site, Method::DELETE, "/staged").await.refused(404, "not_found");
    secret_call(&server, &owner, site, Method::DELETE, "").await.ok(204);
    refused(&by_secret(&third, &mine()), "revoked").await;
    secret_call(&server, &owner, site, Method::POST, "/rotate").await.refused(409, "no_active_key");
    let shown = secret_call(&server, &owner, site, Method::GET, "").await.ok(200).json();
    assert_eq!((&shown["active"], &shown["staged"]), (&Value::Null, &Value::Null));
    // What they were is nowhere, sealed or not.
    assert_eq!(
        world.look::<i64>("select count(sealed_secret) from vicket.identity_secrets where state = 'revoked'").await,
        0
    );
    let agent = world.person("acme", "agent").await;
    secret_call(&server, &agent, site, Method::POST, "").await.refused(403, "permission_required");
    secret_call(&server, &agent, site, Method::GET, "").await.ok(200);
    // A server without a secret of its own can seal none.
    let bare = world.serve().await;
    secret_call(&bare, &owner, site, Method::POST, "").await.refused(422, "unprocessable");
    trade(&bare, &world.site_b, &by_secret(&secret_of_other, &claims(&world.site_b, "u", "a@b.example")))
        .await
        .refused(401, "identity_invalid");
    trade(&server, &world.site_b, &by_secret(&secret_of_other, &claims(&world.site_b, "u", "a@b.example")))
        .await
        .ok(201);
}

#[tokio::test]
async fn a_site_takes_the_keys_that_it_lists_and_may_want_an_identity() {
    let world = World::new().await;
    let server = serve(&world).await;
    let (owner, site) = (world.person("acme", "owner").await, &world.site_a);
    let path = "/v1/orgs/acme/sites/site-a";
    let patch =
        async |identity: Value| server.call_as(&owner, Method::PATCH, path, Some(&json!({"identity": identity}))).await;
    let random = ring::rand::SystemRandom::new();
    let pair =
        |_| Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&random).expect("made").as_ref()).expect("a key");
    let (pair, other) = (pair(1), pair(2));
    let jwk =
        |pair: &Ed25519KeyPair| json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(pair.public_key())});
    let mine = || claims(site, "user-1", "ada@acme.example");
    let by = |pair: &Ed25519KeyPair| {
        signed(&json!({"alg": "EdDSA"}), &mine(), |message| pair.sign(message).as_ref().to_vec())
    };
    let saved = patch(json!({"jwks": {"keys": [jwk(&pair)]}})).await.ok(200).json();
    assert_eq!(saved["identity"], json!({"jwks": {"keys": [jwk(&pair)]}, "require": false}));
    let opened = trade(&server, site, &by(&pair)).await.ok(201).json();
    assert_eq!((&opened["email"], &opened["name"]), (&"ada@acme.example".into(), &"Ada Lovelace".into()));
    trade(&server, site, &by(&other)).await.refused(401, "identity_invalid");
    // The public key is no secret.
    trade(&server, site, &by_secret(&URL_SAFE_NO_PAD.encode(pair.public_key()), &mine()))
        .await
        .refused(401, "identity_invalid");

    let mut private = jwk(&pair);
    private["d"] = "AAAA".into();
    for (bad, field) in [
        (private, None),
        (json!({"kty": "oct", "k": "AAAA"}), None),
        (json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}), Some("identity.jwks.keys[0]")),
        (json!({"kty": "EC", "crv": "P-384", "x": "AAAA", "y": "AAAA"}), Some("identity.jwks.keys[0]")),
    ] {
        let refused = patch(json!({"jwks": {"keys": [bad]}})).await;
        refused.refused(400, "invalid_request");
        assert!(field.is_none_or(|field| refused.fields() == [field]), "{refused:?}");
    }

    let session = text(&opened["session"]);
    server.post(&site.key, TICKETS, &ticket()).await.ok(201);
    assert_eq!(patch(json!({"require": true})).await.ok(200).json()["identity"]["require"], true);
    server.post(&site.key, TICKETS, &ticket()).await.refused(401, "identity_required");
    write(&server, site, &session, TICKETS, &ticket()).await.ok(201);
    server.post(&world.site_b.key, TICKETS, &ticket()).await.ok(201);
    // A customer whose address changed: the sessions that are open have the new one.
    let mut moved = mine();
    moved["email"] = "ada@new.example".into();
    trade(&server, site, &signed(&json!({"alg": "EdDSA"}), &moved, |message| pair.sign(message).as_ref().to_vec()))
        .await
        .ok(201);
    write(&server, site, &session, TICKETS, &ticket()).await.ok(201);
    let last = "select email from vicket.tickets where customer_id is not null order by number desc limit 1";
    assert_eq!(world.look::<String>(last).await, "ada@new.example");
    let gone = patch(json!({"jwks": null, "require": false})).await.ok(200).json();
    assert_eq!(gone["identity"], json!({"jwks": null, "require": false}));
    trade(&server, site, &by(&pair)).await.refused(401, "identity_invalid");
    server.post(&site.key, TICKETS, &ticket()).await.ok(201);
    let viewer = world.person("acme", "viewer").await;
    let refused = server.call_as(&viewer, Method::PATCH, path, Some(&json!({"identity": {"require": true}}))).await;
    refused.refused(403, "permission_required");
    assert_eq!(world.look::<i64>("select count(*) from vicket.audit_log where object_kind = 'site_identity'").await, 3);
}
