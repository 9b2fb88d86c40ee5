//! Tags, new tickets, snoozing and selections, as pages have them: all of it without a script.

use uuid::Uuid;

use crate::harness::{Options, World, ticket};

const INBOX: &str = "/dashboard/acme/inbox";

#[tokio::test]
async fn tags_are_made_put_on_and_looked_for() {
    let world = World::new().await;
    let running = world.serve_with(Options { limits: false, ..Options::default() }).await;
    let admin = world.person("acme", "admin").await;
    let agent = world.person("acme", "agent").await;
    let rival = world.person("globex", "owner").await;
    let page = "/dashboard/acme/tags";
    assert!(!running.page(&agent, page).await.ok(200).text.contains("Make tag"));
    let form = [("name", "VIP <b>"), ("colour", "teal")];
    let token = super::token(&running.page(&agent, "/dashboard/acme/sites").await.text);
    running.form(&agent, page, &[form[0], form[1], ("form_token", &token)]).await.ok(403);
    running.page(&rival, page).await.ok(404);
    running.send(&admin, page, &form).await.ok(303);
    assert!(running.send(&admin, page, &form).await.ok(409).text.contains("There is a tag of this name already."));
    assert!(running.send(&admin, page, &[("name", "x"), ("colour", "pink")]).await.ok(400).text.contains("colour"));
    let list = running.page(&admin, page).await.text;
    assert!(list.contains("t-teal\" dir=\"auto\">VIP &#60;b&#62;</span>"), "{list}");
    let tag: Uuid = world.look("select id from vicket.tags").await;

    running.post(&world.site_a.key, "/support/v1/tickets", &ticket()).await.ok(201);
    let id: Uuid = world.look("select id from vicket.tickets").await;
    let (path, tag) = (format!("{INBOX}/{id}"), tag.to_string());
    assert!(running.page(&agent, &path).await.text.contains("Put on a tag"));
    running.send(&agent, &path, &[("action", "tag"), ("tag", &tag)]).await.ok(303);
    let shown = running.page(&agent, &path).await.text;
    assert!(shown.contains("put on the tag VIP &#60;b&#62;") && shown.contains("Take off VIP"), "{shown}");
    for (query, found) in
        [("tag=VIP+%3Cb%3E", true), ("tag=vip+%3CB%3E", true), (&format!("tag={tag}"), true), ("tag=x", false)]
    {
        let list = running.page(&agent, &format!("{INBOX}?status=any&{query}")).await.text;
        assert_eq!(list.contains("data-row"), found, "{query}: {list}");
    }
    // A view keeps the tag's id, and finds its tickets when the tag is called otherwise.
    let save = [("action", "save_view"), ("view_name", "Important")];
    running.send(&agent, &format!("{INBOX}?status=any&tag=VIP+%3Cb%3E"), &save).await.ok(303);
    let one = format!("{page}/{tag}");
    running.send(&admin, &one, &[("action", "save"), ("name", "vip"), ("colour", "red")]).await.ok(303);
    let list = running.page(&agent, INBOX).await.text;
    assert!(list.contains("Important <span class=\"count\">1</span>"), "{list}");
    running.send(&agent, &path, &[("action", "untag"), ("tag", &tag)]).await.ok(303);
    assert!(running.page(&agent, &path).await.text.contains("took off the tag vip"));
    running.page(&agent, &one).await.ok(403);
    running.send(&admin, &one, &[("action", "delete")]).await.ok(400);
    running.send(&admin, &one, &[("action", "delete"), ("sure", "yes")]).await.ok(303);
    assert_eq!(world.look::<i64>("select count(*) from vicket.tags").await, 0);
}

#[tokio::test]
async fn a_ticket_is_made_once_and_snoozed_and_a_selection_is_changed_and_taken_back() {
    let world = World::new().await;
    let running = world.serve_with(Options { limits: false, ..Options::default() }).await;
    let agent = world.person("acme", "agent").await;
    let viewer = world.person("acme", "viewer").await;
    let page = "/dashboard/acme/new-ticket";
    running.page(&viewer, page).await.ok(403);
    let new = |subject: &'static str, key: &'static str| {
        [
            ("site", "site-a"),
            ("email", "ada@example.com"),
            ("name", ""),
            ("subject", subject),
            ("message", "She **called**."),
            ("how", "note"),
            ("priority", ""),
            ("assignee", ""),
            ("key", key),
        ]
    };
    let bad = running.send(&agent, page, &new("", "k")).await;
    assert!(bad.ok(400).text.contains("She **called**.</textarea>"), "{}", bad.text);
    let made = running.send(&agent, page, &new("Call", "k")).await;
    let path = made.ok(303).header("location").expect("a page").split('?').next().expect("a path").to_owned();
    assert_eq!(running.send(&agent, page, &new("Call", "k")).await.ok(303).header("location"), made.header("location"));
    running.send(&agent, page, &new("Other", "k")).await.ok(409);
    let shown = running.page(&agent, &path).await.text;
    assert!(shown.contains("Internal note") && shown.contains("<strong>called</strong>"), "{shown}");

    // It is snoozed by the clock of who looks, and out of the list.
    let snooze = |until: &'static str| [("action", "snooze"), ("until", until), ("offset", "60"), ("day", "")];
    assert!(running.send(&agent, &path, &snooze("day")).await.ok(400).text.contains("must be a day"));
    running.send(&agent, &path, &snooze("tomorrow")).await.ok(303);
    let morning = "select (snoozed_until at time zone 'UTC')::time = '08:00' from vicket.tickets";
    assert!(world.look::<bool>(morning).await);
    let shown = running.page(&agent, &path).await.text;
    assert!(shown.contains("Snoozed until") && shown.contains("snoozed it until"), "{shown}");
    for (query, listed) in [("", false), ("?snoozed=yes&status=any", true), ("?snoozed=any", true), ("?q=call", true)] {
        assert_eq!(running.page(&agent, &format!("{INBOX}{query}")).await.text.contains("data-row"), listed, "{query}");
    }
    running.send(&agent, &path, &[("action", "wake")]).await.ok(303);
    world.arrange("update vicket.tickets set snoozed_until = clock_timestamp()").await;
    assert!(running.page(&agent, INBOX).await.text.contains(">Back</span>"));

    // A selection.
    running.send(&agent, page, &new("Second", "k2")).await.ok(303);
    let ids: String = world.look("select string_agg(id::text, ' ' order by subject) from vicket.tickets").await;
    let ids: Vec<&str> = ids.split(' ').collect();
    let some = |more: &[(&'static str, &'static str)]| {
        let mut fields = vec![("action", "bulk"), ("ticket", ids[0]), ("ticket", ids[1])];
        fields.extend_from_slice(more);
        fields
    };
    assert!(!running.page(&viewer, INBOX).await.text.contains("form=\"bulk\""));
    let nothing = running.send(&agent, INBOX, &some(&[])).await;
    assert!(nothing.ok(400).text.contains("Choose what becomes"), "{}", nothing.text);
    let none = running.send(&agent, INBOX, &[("action", "bulk"), ("set_status", "resolved")]).await;
    assert!(none.ok(400).text.contains("Tick a ticket."), "{}", none.text);
    let done = running.send(&agent, INBOX, &some(&[("set_status", "resolved"), ("set_assignee", "me")])).await;
    assert!(done.ok(200).text.contains("2 tickets changed."), "{}", done.text);
    let resolved = "select count(*) from vicket.tickets where status = 'resolved' and assignee_id is not null";
    assert_eq!(world.look::<i64>(resolved).await, 2);
    let before: Vec<String> = done
        .text
        .split("name=\"before\" value=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().expect("a value").replace("&#43;", "+"))
        .collect();
    running.send(&agent, &format!("{INBOX}/{}", ids[1]), &[("action", "status"), ("status", "closed")]).await.ok(303);
    let mut fields = vec![("action", "undo")];
    fields.extend(before.iter().map(|one| ("before", one.as_str())));
    let undone = running.send(&agent, INBOX, &fields).await;
    let text = "1 ticket as before. 1 ticket changed by somebody else since: left alone.";
    assert!(undone.ok(200).text.contains(text), "{}", undone.text);
    assert_eq!(world.look::<String>("select status from vicket.tickets where subject = 'Call'").await, "open");
    running.send(&agent, INBOX, &[("action", "undo"), ("before", "x")]).await.ok(400);
    running.page(&viewer, INBOX).await.ok(200);
    let token = super::token(&running.page(&viewer, "/dashboard/acme/sites").await.text);
    let forged = [("action", "bulk"), ("ticket", ids[0]), ("set_status", "closed"), ("form_token", &token)];
    running.form(&viewer, INBOX, &forged).await.ok(403);
}
