//! Statuses, priorities and the order of rows in the dashboard: who may change them, and why some stay.

use crate::harness::{Person, Running, World};

const PAGE: &str = "/dashboard/acme/workflow";

impl Running {
    /// Sends a form with the token of a page that has one; its status.
    async fn send_to(&self, person: &Person, path: &str, fields: &[(&str, &str)]) -> u16 {
        let mut page = self.page(person, "/dashboard/acme/sites").await;
        if page.status != 200 {
            page = self.page(person, "/dashboard/globex/sites").await;
        }
        let token = super::token(&page.text);
        self.form(person, path, &[fields, &[("form_token", &token)]].concat()).await.status
    }
}

async fn id(world: &World, sql: &'static str) -> String {
    world.look::<uuid::Uuid>(sql).await.to_string()
}

const ORDER: &str = "select string_agg(s.name, ' ' order by s.position, s.id) from vicket.statuses s
    join vicket.orgs o on o.id = s.org_id where o.slug = 'acme'";

#[tokio::test]
async fn statuses_and_priorities_are_added_renamed_ordered_and_deleted_by_who_may() {
    let world = World::new().await;
    let running = world.serve().await;
    let (admin, agent) = (world.person("acme", "admin").await, world.person("acme", "agent").await);
    let rival = world.person("globex", "owner").await;
    let closed = id(
        &world,
        "select s.id from vicket.statuses s join vicket.orgs o on o.id = s.org_id where o.slug = 'acme' and s.name = 'Closed'",
    )
    .await;
    let open = id(
        &world,
        "select s.id from vicket.statuses s join vicket.orgs o on o.id = s.org_id where o.slug = 'acme' and s.name = 'Open'",
    )
    .await;
    let (statuses, priorities) = (format!("{PAGE}/statuses"), format!("{PAGE}/priorities"));
    let (new, change) = (format!("{statuses}/new"), format!("{statuses}/{closed}"));
    let save = [("action", "save"), ("name", "Triage"), ("category", "open")];

    assert_eq!(running.page(&agent, &new).await.status, 403);
    let seen = running.page(&agent, PAGE).await;
    assert!(seen.status == 200 && !seen.text.contains("Add status") && !seen.text.contains("Move up"), "{}", seen.text);
    for (path, fields) in [
        (&new, &save[..]),
        (&format!("{priorities}/new"), &save),
        (&change, &save),
        (&change, &[("action", "default")]),
        (&change, &[("action", "up")]),
        (&change, &[("action", "move"), ("over", &open)]),
        (&change, &[("action", "delete"), ("sure", "yes")]),
    ] {
        assert_eq!(running.send_to(&agent, path, fields).await, 403, "{path} {fields:?}");
        let theirs = path.replace("acme", "globex");
        assert_eq!(running.send_to(&rival, path, fields).await, 404, "{path} {fields:?}");
        if path == &change {
            assert_eq!(running.send_to(&rival, &theirs, fields).await, 404, "{theirs} {fields:?}");
        }
    }
    assert_eq!(world.look::<String>(ORDER).await, "Open Pending Resolved Closed");

    for (path, fields, status) in [
        (&new, &[("action", "save"), ("name", " "), ("category", "open")][..], 400),
        (&new, &[("action", "save"), ("name", "Triage"), ("category", "song")], 400),
        (&new, &[("action", "save"), ("name", "Open"), ("category", "open")], 409),
        (&new, &[("action", "delete"), ("sure", "yes")], 404),
        (&new, &save, 303),
        (&change, &[("action", "default")], 422),
        (&change, &[("action", "burn")], 400),
        (&change, &[("action", "delete")], 400),
        (&change, &[("action", "move"), ("over", "nowhere")], 404),
        (&format!("{statuses}/{open}"), &[("action", "delete"), ("sure", "yes")], 422),
        (&format!("{priorities}/new"), &[("action", "save"), ("name", "Now")], 303),
        (&format!("{priorities}/{open}"), &[("action", "save"), ("name", "Now")], 404),
    ] {
        assert_eq!(running.send_to(&admin, path, fields).await, status, "{path} {fields:?}");
    }
    let refused = running.send(&admin, &format!("{statuses}/{open}"), &[("action", "delete"), ("sure", "yes")]).await;
    assert!(refused.text.contains("The default stays; make another one the default first."), "{}", refused.text);
    for (action, order) in [
        (&[("action", "up")][..], "Open Pending Closed Resolved Triage"),
        (&[("action", "move"), ("over", &open)], "Closed Open Pending Resolved Triage"),
        (&[("action", "up")], "Closed Open Pending Resolved Triage"),
        (&[("action", "down")], "Open Closed Pending Resolved Triage"),
        (&[("action", "save"), ("name", "Over"), ("category", "closed")], "Open Over Pending Resolved Triage"),
        (&[("action", "delete"), ("sure", "yes")], "Open Pending Resolved Triage"),
    ] {
        assert_eq!(running.send_to(&admin, &change, action).await, 303, "{action:?}");
        assert_eq!(world.look::<String>(ORDER).await, order, "{action:?}");
    }
    let triage = id(&world, "select id from vicket.statuses where name = 'Triage'").await;
    assert_eq!(running.send_to(&admin, &format!("{statuses}/{triage}"), &[("action", "default")]).await, 303);
    let default = "select s.name from vicket.statuses s join vicket.orgs o on o.id = s.org_id
        where o.slug = 'acme' and s.is_default";
    assert_eq!(world.look::<String>(default).await, "Triage");
    assert_eq!(running.send_to(&admin, &format!("{statuses}/{triage}"), &[("action", "down")]).await, 303, "the last");
}

#[tokio::test]
async fn faqs_take_each_others_place_within_their_org() {
    let world = World::new().await;
    let running = world.serve().await;
    let (agent, viewer) = (world.person("acme", "agent").await, world.person("acme", "viewer").await);
    let rival = world.person("globex", "owner").await;
    let new = "/dashboard/acme/help/faqs/new";
    for question in ["One", "Two", "Three"] {
        let fields = [("action", "save"), ("title", question), ("body", "It is.")];
        assert_eq!(running.send(&agent, new, &fields).await.status, 303);
    }
    let theirs = [("action", "save"), ("title", "Theirs"), ("body", "It is.")];
    assert_eq!(running.send_to(&rival, "/dashboard/globex/help/faqs/new", &theirs).await, 303);
    let order = "select string_agg(question, ' ' order by position, id) from vicket.faqs
        where question in ('One', 'Two', 'Three')";
    let (one, three) = (
        id(&world, "select id from vicket.faqs where question = 'One'").await,
        id(&world, "select id from vicket.faqs where question = 'Three'").await,
    );
    let other = id(&world, "select id from vicket.faqs where question = 'Theirs'").await;
    let position = "select position::bigint from vicket.faqs where question = 'Theirs'";
    let before = world.look::<i64>(position).await;
    let path = format!("/dashboard/acme/help/faqs/{three}");
    let over = |over: &'static str| [("action", "move"), ("over", over)];
    assert_eq!(running.send_to(&viewer, &path, &[("action", "up")]).await, 403);
    assert_eq!(running.send_to(&agent, &path, &[("action", "move"), ("over", &other)]).await, 404);
    assert_eq!(running.send_to(&agent, &path, &over("nowhere")).await, 404);
    assert_eq!(running.send_to(&rival, &path.replace("acme", "globex"), &[("action", "up")]).await, 404);
    assert_eq!(world.look::<String>(order).await, "One Two Three");
    assert_eq!(running.send_to(&agent, &path, &[("action", "move"), ("over", &one)]).await, 303);
    assert_eq!(world.look::<String>(order).await, "Three One Two");
    assert_eq!(world.look::<i64>(position).await, before, "another org's stay where they are");
}
