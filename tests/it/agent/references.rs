//! References of tickets, `APP-21`: the prefix of a site, where references stand, and how they are found.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::People;
use crate::{
    harness::{Answer, DEPLOY, Running, Site, World, ticket},
    processes::{text, vicket},
};

const SITES: &str = "/v1/orgs/acme/sites";
const TICKETS: &str = "/v1/orgs/acme/tickets";

async fn submit(server: &Running, site: &Site, subject: &str) -> Value {
    let mut body = ticket();
    body["subject"] = subject.into();
    server.post(&site.key, "/support/v1/tickets", &body).await.ok(201).json()
}

async fn thread(server: &Running, site: &Site, token: &Value) -> Answer {
    let headers = [("X-Vicket-Key", site.key.as_str()), ("X-Vicket-Ticket", token.as_str().expect("a token"))];
    server.call(Method::GET, "/support/v1/tickets/thread", &headers).await
}

#[tokio::test]
async fn a_reference_stands_beside_the_number_wherever_a_ticket_is_shown_and_follows_the_prefix() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let first = submit(&server, &world.site_a, "One").await;
    assert_eq!((&first["number"], &first["reference"]), (&json!(1), &json!("SITE-1")));
    assert_eq!(submit(&server, &world.site_a, "Two").await["reference"], "SITE-2");
    assert_eq!(submit(&server, &world.site_b, "Three").await["reference"], "SITEB-1");
    assert_eq!(submit(&server, &world.site_c, "Four").await["reference"], "SITE-1", "another org has its own");

    let path = format!("{TICKETS}/{}", first["id"].as_str().expect("an id"));
    let shown = async || {
        let mut seen = vec![thread(&server, &world.site_a, &first["token"]).await.ok(200).json()["reference"].clone()];
        seen.push(server.get_as(&people.viewer, &path).await.ok(200).json()["reference"].clone());
        let pending = json!({ "status": "pending" });
        seen.push(server.patch_as(&people.agent, &path, pending).await.ok(200).json()["reference"].clone());
        let list = server.get_as(&people.viewer, TICKETS).await.ok(200).json();
        seen.extend(list["data"].as_array().expect("a list").iter().map(|row| row["reference"].clone()));
        seen
    };
    assert_eq!(shown().await, ["SITE-1", "SITE-1", "SITE-1", "SITEB-1", "SITE-2", "SITE-1"]);
    let kept = thread(&server, &world.site_a, &first["token"]).await.header("etag").expect("a tag").to_owned();
    server.patch_as(&people.admin, &format!("{SITES}/site-a"), json!({ "prefix": "app" })).await.ok(200);
    assert_eq!(shown().await, ["APP-1", "APP-1", "APP-1", "SITEB-1", "APP-2", "APP-1"]);
    let renewed = thread(&server, &world.site_a, &first["token"]).await;
    assert_ne!(renewed.header("etag"), Some(kept.as_str()), "a browser asks again");
    // A repeat is told the reference of now.
    let again = async || {
        let request = server.request(Method::POST, "/support/v1/tickets").header("X-Vicket-Key", &world.site_a.key);
        Answer::of(request.header("Idempotency-Key", "once").json(&ticket())).await.ok(201).json()["reference"].clone()
    };
    assert_eq!((again().await, again().await), (json!("APP-3"), json!("APP-3")));
}

#[tokio::test]
async fn a_prefix_is_proposed_unique_in_its_org_and_changeable() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let make = async |body: Value| server.post_as(&people.admin, SITES, body).await;
    for (slug, proposed) in [
        ("acme-app", "APP"),
        ("app", "APPB"),
        ("app-2", "APPC"),
        ("acme", "ACME"),
        ("2024", "XX"),
        ("a1", "AX"),
        ("support-portal", "SUPP"),
    ] {
        let made = make(json!({ "name": "x", "slug": slug })).await.ok(201).json();
        assert_eq!(made["prefix"], proposed, "{slug}");
    }
    assert_eq!(make(json!({ "name": "Shop", "prefix": "shop" })).await.ok(201).json()["prefix"], "SHOP");

    let before: i64 = world.look("select count(*) from vicket.sites").await;
    let taken = |answer: &Answer| {
        let problem = answer.refused(409, "name_taken").json();
        assert_eq!(problem["errors"][0]["field"], "prefix", "{problem}");
    };
    taken(&make(json!({ "name": "Another", "prefix": "Shop" })).await);
    assert_eq!(world.look::<i64>("select count(*) from vicket.sites").await, before);
    make(json!({ "name": "Shop", "prefix": "NEW" })).await.refused(409, "slug_taken");
    let rivals = "/v1/orgs/globex/sites";
    let theirs = server.post_as(&people.rival, rivals, json!({ "name": "Shop", "prefix": "SHOP" })).await;
    assert_eq!(theirs.ok(201).json()["prefix"], "SHOP", "free in another org");

    let shop = format!("{SITES}/shop");
    let change = async |prefix: Value| server.patch_as(&people.admin, &shop, json!({ "prefix": prefix })).await;
    taken(&change(json!("app")).await);
    assert_eq!(server.get_as(&people.viewer, &shop).await.ok(200).json()["prefix"], "SHOP");
    assert_eq!(change(json!("SHOP")).await.ok(200).json()["prefix"], "SHOP", "its own is free to it");
    assert_eq!(change(json!("Buy")).await.ok(200).json()["prefix"], "BUY");
    assert_eq!(change(Value::Null).await.ok(200).json()["prefix"], "BUY", "what is absent stays");
    server.patch_as(&people.agent, &shop, json!({ "prefix": "SELL" })).await.refused(403, "permission_required");
    for bad in
        [json!("A"), json!("ABCDEFGHI"), json!("A1"), json!(""), json!("A B"), json!("ÄB"), json!("AB\n"), json!(7)]
    {
        for answer in [change(bad.clone()).await, make(json!({ "name": "Bad", "prefix": bad })).await] {
            let problem = answer.refused(400, "invalid_request").json();
            assert_eq!(problem["errors"][0]["field"], "prefix", "{bad}: {problem}");
        }
    }
    assert_eq!(world.look::<i64>("select count(*) from vicket.sites where slug = 'bad'").await, 0);
    let recorded = "select count(*) from vicket.audit_log
        where object_kind = 'site' and before ->> 'prefix' = 'SHOP' and after ->> 'prefix' = 'BUY'";
    assert_eq!(world.look::<i64>(recorded).await, 1);
    // What is given up, or whose site is gone, is free again.
    make(json!({ "name": "Store", "prefix": "SHOP" })).await.ok(201);
    server.delete_as(&people.owner, &shop).await.ok(204);
    make(json!({ "name": "Kiosk", "prefix": "BUY" })).await.ok(201);
}

#[tokio::test]
async fn proposals_go_on_when_many_sites_are_called_alike() {
    let world = World::new().await;
    let mut tx = world.org("acme").await;
    let insert = "insert into vicket.sites (slug, name) select 'shop-' || n, 'x' from generate_series(1, 800) as n";
    sqlx::query(AssertSqlSafe(insert)).execute(tx.connection()).await.expect("made");
    let prefixes: Vec<String> =
        sqlx::query_scalar("select prefix from vicket.sites where slug like 'shop-%' order by substr(slug, 6)::int")
            .fetch_all(tx.connection())
            .await
            .expect("read");
    assert_eq!(prefixes.iter().collect::<BTreeSet<_>>().len(), 800);
    let some = [0, 1, 25, 26, 27, 676].map(|n| prefixes[n].as_str());
    assert_eq!(some, ["SHOP", "SHOPB", "SHOPZ", "SHOPBA", "SHOPBB", "SHOPBAA"]);
}

#[tokio::test]
async fn a_search_finds_a_reference_in_any_case_a_number_of_all_sites_and_words_besides() {
    let world = World::new().await;
    let server = world.serve_with(crate::harness::Options { limits: false, ..Default::default() }).await;
    let people = People::of(&world).await;
    for (site, subject) in [
        (&world.site_a, "A one"),
        (&world.site_a, "A two"),
        (&world.site_b, "B one"),
        (&world.site_b, "B two"),
        (&world.site_a, "Order 2, after COVID-19"),
        // In the other org the same prefix and the same numbers.
        (&world.site_c, "C one"),
        (&world.site_c, "C two"),
    ] {
        submit(&server, site, subject).await;
    }
    let as_who = async |person, query: &str| {
        let page = server.get_as(person, &format!("{TICKETS}?q={query}")).await.ok(200).json();
        let rows = page["data"].as_array().expect("a list").iter();
        rows.map(|row| row["subject"].as_str().expect("a subject").to_owned()).collect::<Vec<_>>()
    };
    let found = async |query: &str| as_who(&people.viewer, query).await;
    for query in ["SITE-2", "site-2", "Site-2", "%23SITE-2", "+SITE-02+"] {
        assert_eq!(found(query).await, ["A two"], "{query}");
    }
    assert_eq!(found("siteb-2").await, ["B two"]);
    assert_eq!(found("2").await, ["Order 2, after COVID-19", "B two", "A two"], "and what has the word");
    assert_eq!(found("%232").await, ["B two", "A two"], "the second of each site");
    for nothing in ["SITE-4", "SITEC-2", "SIT-2", "4", "%234", "SITE-99999999999999999999", "%2399999999999999999999"] {
        assert_eq!(found(nothing).await, [""; 0], "{nothing}");
    }
    // A word that looks like a reference is one when a site has that prefix, and a word all the same.
    assert_eq!(found("covid-19").await, ["Order 2, after COVID-19"]);
    world.arrange("update vicket.tickets set number = 19 where subject = 'B one'").await;
    server.patch_as(&people.admin, &format!("{SITES}/site-b"), json!({ "prefix": "COVID" })).await.ok(200);
    assert_eq!(found("covid-19").await, ["Order 2, after COVID-19", "B one"]);
    assert_eq!(found("SITEB-2").await, [""; 0], "the old one is none");
    assert_eq!(found("COVID-2").await, ["B two"]);

    // Whoever may not see a ticket does not find it.
    let team = json!({ "name": "A", "members": [people.agent.id], "sites": ["site-a"] });
    assert_eq!(as_who(&people.agent, "COVID-2").await, ["B two"]);
    server.post_as(&people.admin, "/v1/orgs/acme/teams", team).await.ok(201);
    assert_eq!(as_who(&people.agent, "COVID-2").await, [""; 0]);
    assert_eq!(as_who(&people.agent, "%232").await, ["A two"]);
    assert_eq!(as_who(&people.agent, "SITE-2").await, ["A two"]);
}

#[tokio::test]
async fn a_prefix_is_set_and_shown_on_the_command_line() {
    let world = World::new().await;
    let run = |args: &[&str]| vicket().env("VICKET_ADMIN_URL", world.url(DEPLOY)).args(args).output().expect("it runs");
    let fine = |args: &[&str]| {
        let output = run(args);
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    let refused = |args: &[&str], why: &str| {
        let output = run(args);
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains(why), "{args:?}: {said}");
    };
    fine(&["site", "create", "acme/acme-app"]);
    fine(&["site", "create", "acme/shop", "--prefix", "buy"]);
    let listed = fine(&["site", "list", "acme"]);
    assert!(listed.contains("acme/acme-app\tacme-app\tAPP\t") && listed.contains("acme/shop\tshop\tBUY\t"), "{listed}");
    assert!(fine(&["site", "show", "acme/shop"]).contains("prefix    BUY: "));
    assert!(fine(&["site", "update", "acme/shop", "--prefix", "Sell"]).contains("prefix    SELL: "));
    refused(&["site", "update", "acme/shop", "--prefix", "APP"], "name_taken");
    refused(&["site", "update", "acme/shop", "--prefix", "S1"], "prefix: `S1` must be 2 to 8 letters A-Z");
    refused(&["site", "create", "acme/kiosk", "--prefix", "app"], "name_taken");
    refused(&["site", "create", "acme/kiosk", "--prefix", "X"], "must be 2 to 8 letters A-Z");
    assert_eq!(world.look::<i64>("select count(*) from vicket.sites where slug = 'kiosk'").await, 0);
    assert!(fine(&["site", "show", "acme/shop"]).contains("prefix    SELL: "));
}
