//! How much a network may add in a day, and a site and an org may keep; what that is, and who says.

use serde_json::json;
use vicket::store::{self, sites, sites::SiteChanges};

use super::{Customer, multipart};
use crate::harness::{Answer, Options, Running, Site, World};

const PART: usize = 600 * 1024;

async fn allow(world: &World, site: &Site, changes: SiteChanges) {
    world.administer(site.org, async |tx| sites::update(tx, site.slug, &changes).await).await.expect("set");
}

/// A file of [`PART`] bytes, and another each time.
async fn add(customer: &Customer<'_>, letter: char) -> Answer {
    customer.upload(&[("a.txt", letter.to_string().repeat(PART).as_bytes())]).await
}

#[tokio::test]
async fn a_site_keeps_so_much_and_no_more_and_another_its_own() {
    let world = World::new().await;
    let server = super::serve(&world).await;
    let site = &world.site_a;
    allow(&world, site, SiteChanges { file_quota_mib: Some(1), ..SiteChanges::default() }).await;
    let (one, two) = (Customer::of(&server, site).await, Customer::of(&server, site).await);
    add(&one, 'a').await.ok(201);
    let refused = add(&two, 'b').await;
    assert!(refused.refused(413, "quota_exceeded").text.contains("This site"), "{refused:?}");
    assert_eq!(world.look::<i64>("select count(*) from vicket.attachments").await, 1);
    let other = Customer::of(&server, &world.site_b).await;
    add(&other, 'c').await.ok(201);

    // What is there is shown, before and after the worker has added it up.
    let owner = world.person("acme", "owner").await;
    let files = async || {
        server.get_as(&owner, &format!("/v1/orgs/acme/sites/{}", site.slug)).await.ok(200).json()["files"].clone()
    };
    let expected = json!({ "bytes": PART, "quota_mib": 1, "network_mib_per_day": 100 });
    assert_eq!(files().await, expected);
    let more = json!({ "files": { "quota_mib": 2 } });
    server.patch_as(&owner, &format!("/v1/orgs/acme/sites/{}", site.slug), more).await.ok(200);
    add(&two, 'b').await.ok(201);
    let rows = "select count(*) from vicket.stored_bytes";
    assert_eq!(world.look::<i64>(rows).await, 3);
    store::usage::purge_expired(&server.app.worker).await.expect("purged");
    assert_eq!(world.look::<i64>(rows).await, 2, "one a site");
    assert_eq!(files().await["bytes"], 2 * PART);
    // A ticket takes its files with it.
    server.delete_as(&owner, &format!("/v1/orgs/acme/tickets/{}", one.ticket)).await.ok(204);
    assert_eq!(files().await["bytes"], PART);
    server.delete_as(&owner, &format!("/v1/orgs/acme/tickets/{}", two.ticket)).await.ok(204);
    store::usage::purge_expired(&server.app.worker).await.expect("purged");
    assert_eq!(files().await["bytes"], 0);
    assert_eq!(world.look::<i64>(rows).await, 1, "none of a site that keeps nothing");
}

#[tokio::test]
async fn an_org_keeps_so_much_in_all_its_sites_and_who_runs_the_server_says_how_much() {
    let world = World::new().await;
    let server = super::serve(&world).await;
    world.administer("acme", async |tx| store::orgs::set_file_quota(tx, 1).await).await.expect("set");
    add(&Customer::of(&server, &world.site_a).await, 'a').await.ok(201);
    let refused = add(&Customer::of(&server, &world.site_b).await, 'b').await;
    assert!(refused.refused(413, "quota_exceeded").text.contains("This org"), "{refused:?}");
    add(&Customer::of(&server, &world.site_c).await, 'c').await.ok(201);
    let owner = world.person("acme", "owner").await;
    let org = server.get_as(&owner, "/v1/orgs/acme").await.ok(200).json();
    assert_eq!(org["files"], json!({ "bytes": PART, "quota_mib": 1 }));
    assert_eq!(server.get_as(&owner, "/v1/orgs").await.ok(200).json()["data"][0].get("files"), None);
    // Its own members may not allow themselves more.
    server
        .patch_as(&owner, "/v1/orgs/acme", json!({ "files": { "quota_mib": 9 } }))
        .await
        .refused(400, "invalid_request");
    let page = server.page(&owner, "/dashboard/acme/sites").await.text;
    assert!(page.contains("600.0 KiB of 1 MiB"), "{page}");
}

async fn add_from(
    server: &Running,
    customer: &Customer<'_>,
    address: &str,
    idempotency_key: &str,
    letter: char,
) -> Answer {
    let (content_type, body) = multipart(&[("a.txt", letter.to_string().repeat(PART).as_bytes())]);
    let path = format!("/support/v1/tickets/thread/messages/{}/attachments", customer.message);
    let headers = [
        ("X-Vicket-Key", customer.key.as_str()),
        ("X-Vicket-Ticket", &customer.token),
        ("X-Forwarded-For", address),
        ("Idempotency-Key", idempotency_key),
        ("Content-Type", &content_type),
    ];
    server.post_text(&path, &headers, body).await
}

#[tokio::test]
async fn a_network_adds_so_much_a_day_and_what_was_not_added_is_not_counted() {
    let world = World::new().await;
    let server = world.serve_with(Options { trusted_proxies: &["127.0.0.0/8"], ..Options::default() }).await;
    let site = &world.site_a;
    let changes = SiteChanges { network_upload_mib: Some(1), network_writes: Some(1000), ..SiteChanges::default() };
    allow(&world, site, changes).await;
    let customer = Customer::of(&server, site).await;
    let from = async |address: &str, key: &str, letter: char| add_from(&server, &customer, address, key, letter).await;
    // Refused, since its ticket is another's, or its message is none; and repeated: none of it counts.
    let strange = Customer { message: uuid::Uuid::new_v4().to_string(), ..Customer::of(&server, site).await };
    for n in 0..3 {
        add_from(&server, &strange, "203.0.113.1", &format!("x{n}"), 'x').await.refused(404, "not_found");
    }
    let first = from("203.0.113.1", "one", 'a').await.ok(201).text.clone();
    for address in ["203.0.113.9", "203.0.113.2"] {
        assert_eq!(
            from(address, "one", 'a').await.refused(413, "quota_exceeded").header("retry-after").map(str::len),
            Some(5)
        );
    }
    assert_eq!(from("198.51.100.1", "one", 'a').await.ok(201).text, first, "repeated from elsewhere");
    from("198.51.100.1", "two", 'b').await.ok(201);
    let refused = from("198.51.100.1", "three", 'c').await;
    assert!(refused.refused(413, "quota_exceeded").text.contains("may add 1 MiB of files a day"), "{refused:?}");
    assert_eq!(world.look::<i64>("select count(*) from vicket.attachments").await, 2);
}
