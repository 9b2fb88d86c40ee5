//! The page of one ticket.

use crate::harness::{Options, Person, Running, World, ticket};

const MEBIBYTE: usize = 1024 * 1024;

/// A ticket's page, and its id.
async fn submit(running: &Running, world: &World) -> (String, String) {
    let made = running.post(&world.site_a.key, "/support/v1/tickets", &ticket()).await.ok(201).json();
    let id = made["id"].as_str().expect("an id").to_owned();
    (format!("/dashboard/acme/inbox/{id}"), id)
}

async fn shown(running: &Running, agent: &Person, path: &str) -> String {
    running.page(agent, path).await.ok(200).text.clone()
}

/// Where the link of this text leads, from a page of `path`.
fn link(page: &str, path: &str, text: &str) -> Option<String> {
    let (before, _) = page.split_once(&format!("\">{text}</a>"))?;
    let (_, href) = before.rsplit_once("href=\"")?;
    let href = href.replace("&#38;", "&");
    Some(if href.starts_with('?') { format!("{path}{href}") } else { href })
}

#[tokio::test]
async fn a_ticket_shows_its_newest_messages_and_a_link_to_earlier_ones() {
    let world = World::new().await;
    let running = world.serve_with(Options { limits: false, ..Options::default() }).await;
    let agent = world.person("acme", "agent").await;
    let (path, id) = submit(&running, &world).await;
    let page = shown(&running, &agent, &path).await;
    assert!(page.contains("Please help."), "{page}");
    assert_eq!(link(&page, &path, "Earlier messages"), None);

    world.converse(&id, 60, "'message ' || n || '.'").await;
    let page = shown(&running, &agent, &path).await;
    assert!(page.contains("message 60.") && page.contains("message 11."), "{page}");
    assert!(!page.contains("message 10.") && !page.contains("Newest messages"), "{page}");
    let earlier = link(&page, &path, "Earlier messages").expect("a link");
    let page = shown(&running, &agent, &earlier).await;
    assert!(page.contains("Please help.") && page.contains("message 10.") && !page.contains("message 11."), "{page}");
    assert_eq!(link(&page, &path, "Earlier messages"), None);
    assert_eq!(link(&page, &path, "Newest messages").as_ref(), Some(&path));

    // What goes wrong there is said there; what goes well leads to the newest messages.
    let refused = running.send(&agent, &earlier, &[("action", "reply"), ("reply", "")]).await;
    assert!(refused.ok(400).text.contains("message 10."), "{}", refused.text);
    let sent = running.send(&agent, &earlier, &[("action", "reply"), ("reply", "Like this.")]).await;
    assert_eq!(sent.ok(303).header("location"), Some(format!("{path}?done=sent").as_str()));
    running.page(&agent, &format!("{path}?cursor=x")).await.ok(400);
    // What a page of earlier messages has before its reader is not the newest: it claims nothing, and can be answered from.
    let seen = |page: &str| page.split_once("name=\"seen\" value=\"").map(|(_, rest)| rest.starts_with('"'));
    assert_eq!(seen(&shown(&running, &agent, &earlier).await), Some(true));
    assert_eq!(seen(&shown(&running, &agent, &path).await), Some(false));

    // The team's views are for who may share them.
    let inbox = "/dashboard/acme/inbox?status=any&unread=yes";
    let save = [("action", "save_view"), ("view_name", "Ours"), ("shared", "yes")];
    let refused = running.send(&agent, inbox, &save).await;
    assert!(refused.ok(403).text.contains("view:share"), "{}", refused.text);
    running.send(&world.person("acme", "admin").await, inbox, &save).await.ok(303);
    let page = running.page(&agent, inbox).await.text;
    assert!(page.contains(">Ours ") && !page.contains("delete_view"), "{page}");

    world.converse(&id, 938, "'more'").await;
    let refused = running.send(&agent, &path, &[("action", "note"), ("note", "Too much.")]).await;
    assert!(refused.ok(409).text.contains("all the messages that it takes"), "{}", refused.text);
}

#[tokio::test]
async fn no_page_of_a_ticket_is_larger_than_a_mebibyte() {
    let world = World::new().await;
    let running = world.serve_with(Options { limits: false, ..Options::default() }).await;
    let agent = world.person("acme", "agent").await;
    for longest in ["repeat('<', 20000)", "repeat(chr(1), 20000)"] {
        let (path, id) = submit(&running, &world).await;
        world.converse(&id, 60, longest).await;
        let (mut at, mut messages) = (path.clone(), 0);
        loop {
            let page = shown(&running, &agent, &at).await;
            println!("{longest}: {} bytes", page.len());
            assert!(page.len() <= MEBIBYTE, "{longest}: {} bytes", page.len());
            messages += page.matches("<article class=\"message").count();
            match link(&page, &path, "Earlier messages") {
                Some(earlier) => at = earlier,
                None => break,
            }
        }
        assert_eq!(messages, 61, "{longest}");
    }
}
