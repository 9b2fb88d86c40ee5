//! Publishable keys: what opens a site, what doesn't, and what rotating does to the next request.

use reqwest::Method;
use vicket::{
    domain::{
        keys::PublishableKey,
        problem::{Code, Problem},
    },
    store,
};

use crate::harness::{Answer, Running, Site, World, ticket};

const SITE: &str = "/support/v1/site";

/// Which of these keys work, in their order.
async fn work<const N: usize>(server: &Running, keys: [&str; N]) -> [bool; N] {
    let mut works = [false; N];
    for (key, works) in keys.into_iter().zip(&mut works) {
        let answer = server.get(key, SITE).await;
        *works = answer.status == 200;
        if !*works {
            answer.refused(401, "key_invalid");
        }
    }
    works
}

async fn stage(world: &World, site: &Site) -> Result<String, Problem> {
    let staged = world.administer(site.org, async |tx| store::site_keys::stage(tx, site.id).await).await?;
    Ok(staged.reveal().to_owned())
}

async fn rotate(world: &World, site: &Site) -> Result<Option<String>, Problem> {
    let made = world.administer(site.org, async |tx| store::site_keys::rotate(tx, site.id).await).await?;
    Ok(made.map(|key| key.reveal().to_owned()))
}

#[tokio::test]
async fn only_the_whole_key_opens_its_site_and_every_other_value_answers_alike() {
    let world = World::new().await;
    let server = world.serve().await;
    let key = world.site_a.key.as_str();
    assert_eq!((key.len(), &key[..3]), (46, "pk_"));
    server.get(key, SITE).await.ok(200);

    let absent = server.call(Method::GET, SITE, &[]).await;
    absent.refused(401, "key_missing");

    let revoked = rotate(&world, &world.site_b).await.map(|_| world.site_b.key.clone()).expect("rotated");
    let last = if key.ends_with('A') { "B" } else { "A" };
    let as_long = [
        PublishableKey::mint().reveal().to_owned(),
        revoked,
        format!("{}{last}", &key[..45]),
        format!("tk_{}", &key[3..]),
        format!("PK_{}", &key[3..]),
        "x".repeat(46),
    ];
    let others = [
        String::new(),
        key[..45].to_owned(),
        format!("{key}A"),
        format!("{key},{key}"),
        format!("Bearer {key}"),
        key[3..].to_owned(),
        "pk_your_publishable_key".to_owned(),
        "' or true --".to_owned(),
        "p".repeat(128),
        "p".repeat(129),
        "p".repeat(5000),
        "schlüssel".to_owned(),
    ];
    let mut answers = Vec::new();
    for value in as_long.iter().chain(&others) {
        let answer = server.call(Method::GET, SITE, &[("X-Vicket-Key", value)]).await;
        answer.refused(401, "key_invalid");
        answers.push(answer.comparable());
    }
    let twice = server.call(Method::GET, SITE, &[("X-Vicket-Key", key), ("X-Vicket-Key", key)]).await;
    twice.refused(401, "key_invalid");

    let (as_long, others) = answers.split_at(as_long.len());
    assert!(as_long.iter().all(|answer| *answer == twice.comparable()), "{as_long:#?}");
    assert!(others.iter().all(|answer| *answer == others[0]), "{others:#?}");
    // The hint on the length is the one difference.
    let detail = |(.., body): &(u16, Vec<(String, String)>, serde_json::Value)| {
        body["detail"].as_str().expect("text").to_owned()
    };
    assert!(!detail(&as_long[0]).contains("46"));
    assert_eq!(
        detail(&others[0]).strip_prefix(&detail(&as_long[0])),
        Some(" A publishable key has 46 characters; this one does not.")
    );
    for answer in [&absent, &twice] {
        assert_eq!(answer.header("www-authenticate"), Some("ApiKey header=\"X-Vicket-Key\""));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn the_database_has_the_hash_of_a_key_and_when_it_was_used() {
    let world = World::new().await;
    let server = world.serve().await;
    let Site { id, key, .. } = &world.site_a;
    let stored = format!("from vicket.site_keys where site_id = '{id}' and key_hash = sha256('{key}'::bytea)");
    assert!(world.look::<bool>(&format!("select last_used_at is null {stored}")).await);
    assert_eq!(world.look::<String>(&format!("select hint {stored}")).await, key[42..]);

    server.get(key, SITE).await.ok(200);
    server.app.usage.flush(&server.app.worker).await.expect("written");
    assert!(world.look::<bool>(&format!("select last_used_at > now() - interval '1 minute' {stored}")).await);
    let others = "select count(*) from vicket.site_keys where last_used_at is not null";
    assert_eq!(world.look::<i64>(others).await, 1);
}

#[tokio::test]
async fn rotating_staging_and_revoking_act_on_the_next_request() {
    let world = World::new().await;
    let server = world.serve().await;
    let site = &world.site_a;
    let first = site.key.as_str();
    assert_eq!(work(&server, [first]).await, [true]);

    let second = rotate(&world, site).await.expect("rotated").expect("a new key, since none was staged");
    assert_eq!(work(&server, [first, &second]).await, [false, true]);

    let third = stage(&world, site).await.expect("staged");
    assert_eq!(work(&server, [first, &second, &third]).await, [false, true, true]);
    server.post(&third, "/support/v1/tickets", &ticket()).await.ok(201);
    for (key, state) in [(&second, "active"), (&third, "staged")] {
        assert_eq!(server.get(key, "/support/v1/key/check").await.ok(200).json()["key"], state);
    }
    assert_eq!(rotate(&world, site).await.expect("rotated"), None, "the staged key was shown when it was staged");
    assert_eq!(work(&server, [first, &second, &third]).await, [false, false, true]);
    assert_eq!(server.get(&third, "/support/v1/key/check").await.ok(200).json()["key"], "active");

    let dropped = stage(&world, site).await.expect("staged");
    assert_eq!(work(&server, [&dropped]).await, [true]);
    world.administer(site.org, async |tx| store::site_keys::unstage(tx, site.id).await).await.expect("unstaged");
    assert_eq!(work(&server, [&third, &dropped]).await, [true, false]);

    let staged = stage(&world, site).await.expect("staged");
    world.administer(site.org, async |tx| store::site_keys::revoke(tx, site.id).await).await.expect("revoked");
    assert_eq!(work(&server, [&third, &staged]).await, [false, false]);

    let fresh = world.administer(site.org, async |tx| store::site_keys::create(tx, site.id).await).await;
    let fresh = fresh.expect("a site without a key may have one").reveal().to_owned();
    assert_eq!(work(&server, [&fresh, &world.site_b.key, &world.site_c.key]).await, [true; 3]);
}

#[tokio::test]
async fn a_site_has_one_active_and_one_staged_key() {
    fn code<T>(result: Result<T, Problem>) -> Code {
        result.err().expect("a refusal").code
    }

    let world = World::new().await;
    let server = world.serve().await;
    let site = &world.site_a;
    let create = async || world.administer(site.org, async |tx| store::site_keys::create(tx, site.id).await).await;
    let unstage = async || world.administer(site.org, async |tx| store::site_keys::unstage(tx, site.id).await).await;
    let revoke = async || world.administer(site.org, async |tx| store::site_keys::revoke(tx, site.id).await).await;

    assert_eq!(code(create().await), Code::KeyExists);
    assert_eq!(code(unstage().await), Code::NotFound);
    let staged = stage(&world, site).await.expect("staged");
    assert_eq!(code(stage(&world, site).await), Code::StagedKeyExists);
    assert_eq!(code(create().await), Code::KeyExists);
    // What was refused has changed nothing.
    assert_eq!(work(&server, [&site.key, &staged]).await, [true, true]);

    revoke().await.expect("revoked");
    assert_eq!(code(revoke().await), Code::NotFound);
    assert_eq!(code(stage(&world, site).await), Code::NoActiveKey);
    assert_eq!(code(rotate(&world, site).await), Code::NoActiveKey);
    create().await.expect("a key again");

    // Another org's site is none, whatever is done to it.
    let foreign = world.site_c.id;
    let foreign = world.administer("acme", async |tx| store::site_keys::rotate(tx, foreign).await).await;
    assert_eq!(code(foreign), Code::NoActiveKey);
    assert_eq!(work(&server, [&world.site_c.key]).await, [true]);
}

#[tokio::test]
async fn nothing_but_the_key_says_which_site() {
    let world = World::new().await;
    let server = world.serve().await;
    let (a, b) = (&world.site_a, &world.site_b);
    let (id, org_id) = (b.id.to_string(), b.org_id.to_string());
    let slug_of = |answer: Answer| answer.ok(200).json()["slug"].as_str().expect("text").to_owned();

    let query = format!("{SITE}?site=site-b&site_id={id}&org_id={org_id}&key={}&X-Vicket-Key={}", b.key, b.key);
    assert_eq!(slug_of(server.get(&a.key, &query).await), "site-a");
    let cookie = format!("vicket_session={}; X-Vicket-Key={}", b.key, b.key);
    let headers = [
        ("X-Vicket-Key", a.key.as_str()),
        ("X-Vicket-Site", "site-b"),
        ("X-Site-Id", &id),
        ("X-Org-Id", &org_id),
        ("Authorization", &format!("Bearer {}", b.key)),
        ("Cookie", &cookie),
        ("X-Forwarded-Host", "b.example"),
    ];
    assert_eq!(slug_of(server.call(Method::GET, SITE, &headers).await), "site-a");
    // Without the key none of them opens anything.
    server.call(Method::GET, &query, &headers[1..]).await.refused(401, "key_missing");
    server.get(&a.key, "/support/v1/sites/site-b/site").await.refused(404, "not_found");

    for (field, value) in [("site_id", &id), ("org_id", &org_id), ("site", &b.slug.to_owned()), ("key", &b.key)] {
        let mut body = ticket();
        body[field] = value.as_str().into();
        let answer = server.post(&a.key, "/support/v1/tickets", &body).await;
        answer.refused(400, "invalid_request");
        assert_eq!(answer.fields(), [field]);
    }
    assert_eq!(world.look::<i64>("select count(*) from vicket.tickets").await, 0);
    server.post(&a.key, &format!("/support/v1/tickets?site_id={id}"), &ticket()).await.ok(201);
    let of = format!("select count(*) from vicket.tickets where site_id = '{}'", a.id);
    assert_eq!(world.look::<i64>(&of).await, 1);
}
