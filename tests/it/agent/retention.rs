//! How long a site keeps what: who says, what would go, and that nothing else goes.

use serde_json::{Value, json};
use vicket::{
    db::{Pool, Start, Worker},
    store::{self, audit_log::Chain},
};

use super::People;
use crate::harness::{Running, World, ticket};

const SITE: &str = "/v1/orgs/acme/sites/site-a/retention";
const ORG: &str = "/v1/orgs/acme/retention";
const NONE: [&str; 5] = ["open_days", "resolved_days", "closed_days", "files_days", "events_days"];

/// Batches until nothing is left, each as a process of its own, beside those of the server that runs.
async fn work(world: &World) {
    for _ in 0..200 {
        let worker = Worker::new(Pool::new(&world.url("vicket_worker"), 1, &Start::WORKER).expect("a URL"));
        store::retention::run(&worker, 2).await.expect("a batch");
        if world.look::<i64>("select count(*) from vicket.retention where ended_at is null").await == 0 {
            return;
        }
    }
    panic!("it does not end");
}

/// Tickets of a site, so many days old, with this status; each with a file and an event.
async fn tickets(world: &World, site: &str, status: &str, days: &[i32]) {
    for age in days {
        world
            .arrange(&format!(
                "with made as (
                   insert into vicket.tickets (org_id, site_id, email, subject)
                     select org_id, id, 'ada@example.com', '{status}' from vicket.sites where slug = '{site}' returning *
                 ),
                 message as (
                   insert into vicket.ticket_messages (org_id, site_id, ticket_id, author, body)
                     select org_id, site_id, id, 'customer', 'Help' from made returning *
                 )
                 insert into vicket.attachments
                   (org_id, site_id, ticket_id, message_id, upload_id, name, content_type, size, content, created_at)
                   select org_id, site_id, ticket_id, id, gen_random_uuid(), 'a.txt', 'text/plain', 4, 'text',
                     now() - interval '{age} days' from message;
                 insert into vicket.ticket_events (org_id, site_id, ticket_id, at, actor, kind, after)
                   select org_id, site_id, id, now() - interval '{age} days', 'cli', 'status', 'x' from vicket.tickets t
                   where not exists (select from vicket.ticket_events e where e.ticket_id = t.id)"
            ))
            .await;
        world
            .arrange(&format!(
                "alter table vicket.tickets disable trigger user;
                 update vicket.tickets t set status = '{status}', updated_at = now() - interval '{age} days'
                   from vicket.sites s where s.id = t.site_id and s.slug = '{site}' and t.subject = '{status}'
                     and t.updated_at > now() - interval '1 hour';
                 alter table vicket.tickets enable trigger user"
            ))
            .await;
    }
}

async fn left(world: &World, table: &str, site: &str) -> i64 {
    let sql =
        format!("select count(*) from vicket.{table} t join vicket.sites s on s.id = t.site_id and s.slug = '{site}'");
    world.look(&sql).await
}

#[tokio::test]
async fn what_would_go_is_said_first_and_then_goes_and_nothing_else() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    for site in ["site-a", "site-b"] {
        tickets(&world, site, "closed", &[400, 366, 100]).await;
        tickets(&world, site, "resolved", &[400]).await;
        tickets(&world, site, "open", &[400]).await;
    }
    let kept = server.get_as(&people.viewer, SITE).await.ok(200).json();
    assert!(NONE.iter().all(|field| kept[field] == Value::Null), "{kept}");
    let nothing = json!({ "tickets": 0, "files": 0, "file_bytes": 0, "events": 0 });
    assert_eq!((&kept["would_remove"], &kept["last_run_at"]), (&nothing, &Value::Null));

    let wanted = json!({ "closed_days": 365, "files_days": 90, "events_days": 300, "dry_run": true });
    let dry = server.put_as(&people.owner, SITE, wanted.clone()).await.ok(200).json();
    assert_eq!(dry["would_remove"], json!({ "tickets": 2, "files": 3, "file_bytes": 12, "events": 2 }));
    work(&world).await;
    assert_eq!(server.get_as(&people.viewer, SITE).await.ok(200).json(), kept, "a dry run changes nothing");

    let mut wanted = wanted;
    wanted["dry_run"] = json!(false);
    server.put_as(&people.owner, SITE, wanted).await.ok(200);
    work(&world).await;
    assert_eq!(left(&world, "tickets", "site-a").await, 3);
    assert_eq!(left(&world, "ticket_messages", "site-a").await, 3, "those of the tickets that stay");
    assert_eq!(left(&world, "attachments", "site-a").await, 0);
    assert_eq!(left(&world, "ticket_events", "site-a").await, 1);
    for table in ["tickets", "ticket_messages", "attachments", "ticket_events"] {
        assert_eq!(left(&world, table, "site-b").await, 5, "{table}");
    }
    let after = server.get_as(&people.viewer, SITE).await.ok(200).json();
    assert_eq!(after["would_remove"], nothing);
    assert!(after["last_run_at"].is_string(), "{after}");
    let deleted = "select count(*) from vicket.audit_log where object_kind = 'ticket' and action = 'deleted' and actor = 'retention'";
    assert_eq!(world.look::<i64>(deleted).await, 2);
    let said = "select after ->> 'closed_days' from vicket.audit_log where object_kind = 'retention'";
    assert_eq!(world.look::<String>(said).await, "365");

    // Absent is for good; a day later nothing goes.
    server.put_as(&people.admin, SITE, json!({})).await.ok(200);
    tickets(&world, "site-a", "closed", &[500]).await;
    world.arrange("update vicket.retention set ended_at = null").await;
    work(&world).await;
    assert_eq!(left(&world, "tickets", "site-a").await, 4);
}

#[tokio::test]
async fn who_may_delete_tickets_says_how_long_they_stay_and_nobody_else() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let wanted = json!({ "closed_days": 1 });
    for person in [&people.agent, &people.viewer] {
        server.put_as(person, SITE, wanted.clone()).await.refused(403, "permission_required");
        server.put_as(person, ORG, json!({ "audit_log_days": 90 })).await.refused(403, "permission_required");
        server.get_as(person, ORG).await.ok(200);
    }
    for path in [SITE, ORG] {
        server.get_as(&people.rival, path).await.refused(404, "not_found");
        server.put_as(&people.rival, path, json!({})).await.refused(404, "not_found");
    }
    for bad in
        [json!({ "closed_days": 0 }), json!({ "files_days": 36_501 }), json!({ "closed_days": "x" }), json!({ "x": 1 })]
    {
        server.put_as(&people.owner, SITE, bad).await.refused(400, "invalid_request");
    }
    for bad in [89, 36_501] {
        server.put_as(&people.owner, ORG, json!({ "audit_log_days": bad })).await.refused(400, "invalid_request");
    }
    assert_eq!(world.look::<i64>("select count(*) from vicket.retention").await, 0);
}

async fn entries(server: &Running, people: &People) -> Value {
    server.get_as(&people.owner, "/v1/orgs/acme/audit-log?limit=100").await.ok(200).json()["data"].clone()
}

#[tokio::test]
async fn the_audit_log_forgets_names_and_still_verifies() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    server.post_as(&people.agent, "/v1/orgs/acme/saved-replies", json!({ "name": "x", "body": "y" })).await.ok(201);
    server.put_as(&people.owner, ORG, json!({ "audit_log_days": 90 })).await.ok(200);
    work(&world).await;
    assert_eq!(server.get_as(&people.owner, ORG).await.ok(200).json()["would_forget"], 0);
    // Older entries cannot be made: their times are in the chain. So the least time is none.
    world
        .arrange(
            "alter table vicket.retention drop constraint retention_audit_log_days_range;
             update vicket.retention set audit_log_days = 0, ended_at = null where site_id is null",
        )
        .await;
    let before = entries(&server, &people).await.as_array().map(Vec::len).expect("a list");
    let named = "select count(*) from vicket.audit_log l join vicket.orgs o on o.id = l.org_id and o.slug = 'acme'
        where l.action <> 'erased' and (l.actor is not null or l.object_id is not null or l.after is not null)";
    let all: i64 = world.look(named).await;
    work(&world).await;
    assert_eq!(world.look::<i64>(named).await, 0);
    let others = "select count(*) from vicket.audit_log l join vicket.orgs o on o.id = l.org_id and o.slug = 'globex'
        where l.actor is null";
    assert_eq!(world.look::<i64>(others).await, 0, "another org's log is as it was");
    let after = entries(&server, &people).await;
    assert!(after.as_array().is_some_and(|after| after.len() > before), "each batch says so: {after}");
    assert_eq!(after[0]["action"], "erased");
    let mut tx = world.org("acme").await;
    let chain = store::audit_log::verify(&mut tx, None).await.expect("verified");
    assert!(matches!(chain, Chain::Whole(ref standing) if standing.erased == all), "{chain:?}");
}

#[tokio::test]
async fn the_page_counts_before_it_saves() {
    let world = World::new().await;
    let server = world.serve().await;
    let owner = world.person("acme", "owner").await;
    let viewer = world.person("acme", "viewer").await;
    tickets(&world, "site-a", "closed", &[400]).await;
    let page = "/dashboard/acme/sites/site-a/retention";
    let checked = server.send(&owner, page, &[("action", "check"), ("closed_days", "365")]).await;
    assert!(checked.text.contains("messages and files: 1;") && checked.text.contains("Save these days"));
    assert_eq!(world.look::<i64>("select count(*) from vicket.retention").await, 0);
    let wrong = server.send(&owner, page, &[("action", "check"), ("closed_days", "x")]).await;
    assert_eq!(wrong.status, 400);
    assert_eq!(server.send(&owner, page, &[("action", "save"), ("closed_days", "365")]).await.status, 303);
    assert_eq!(world.look::<i32>("select closed_days from vicket.retention").await, 365);
    assert_eq!(server.send(&owner, page, &[("action", "save_audit_log"), ("audit_log_days", "89")]).await.status, 400);
    assert_eq!(server.send(&owner, page, &[("action", "save_audit_log"), ("audit_log_days", "90")]).await.status, 303);
    let seen = server.page(&viewer, page).await;
    assert!(
        seen.status == 200 && seen.text.contains("365 days") && !seen.text.contains("<button name"),
        "{}",
        seen.text
    );
    server.post(&world.site_a.key, "/support/v1/tickets", &ticket()).await.ok(201);
}
