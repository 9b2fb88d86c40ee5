//! Mail on its ticket's page: as it looked, and what waits for a person.

use crate::harness::Answer;

use super::{ADA, Desk, PROVEN, message, reply_to};

const HTML: &str = "From: Bob <bob@example.org>\nSubject: Printer\nMessage-ID: <1@example.org>\nMIME-Version: 1.0\n\
    Content-Type: multipart/related; boundary=x\n\n--x\nContent-Type: text/html\n\n\
    <p onclick=\"a()\">It is <b>on fire</b>.<script>a()</script><style>p{}</style></p><img src=\"cid:logo@x\">\
    <img src=\"https://tracker.example/pixel.gif\">\n\
    --x\nContent-Type: image/gif\nContent-ID: <logo@x>\nContent-Disposition: inline; filename=\"logo.gif\"\n\
    Content-Transfer-Encoding: base64\n\nR0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs=\n--x--\n";

fn policy(frame: &Answer) -> &str {
    frame.header("content-security-policy").expect("a policy")
}

#[tokio::test]
async fn a_mail_is_shown_as_it_looked_and_runs_and_loads_nothing() {
    let desk = Desk::open().await;
    desk.client().await.hand("bob@example.org", &desk.address, HTML).await;
    desk.read().await;
    let id: uuid::Uuid = desk.world.look("select id from vicket.tickets").await;
    let message: uuid::Uuid = desk.world.look("select id from vicket.ticket_messages").await;
    let page = desk.server.page(&desk.owner, &format!("/dashboard/acme/inbox/{id}")).await;
    let frame = format!("/dashboard/acme/inbox/{id}/mail/{message}");
    assert!(page.ok(200).text.contains(&format!("src=\"{frame}\"")), "{}", page.text);
    assert!(policy(&page).contains("frame-src 'self'") && policy(&page).contains("frame-ancestors 'none'"));

    let shown = desk.server.page(&desk.owner, &frame).await;
    let html = &shown.ok(200).text;
    assert!(html.contains("<p>It is <b>on fire</b>.</p><img src=\"data:image/gif;base64,R0lGOD"), "{html}");
    assert!(html.contains("https://tracker.example/pixel.gif"), "kept, for who asks for it: {html}");
    for gone in ["onclick", "<script", "p{}", "cid:"] {
        assert!(!html.contains(gone), "{gone}: {html}");
    }
    assert!(policy(&shown).starts_with("sandbox allow-popups") && policy(&shown).contains("img-src data:;"));
    assert!(!policy(&shown).contains("allow-scripts") && !policy(&shown).contains("allow-same-origin"));
    assert_eq!(shown.header("referrer-policy"), Some("no-referrer"));
    let asked = desk.server.page(&desk.owner, &format!("{frame}?pictures=yes")).await;
    assert!(policy(asked.ok(200)).contains("img-src data: https:;"));

    // A message that came otherwise has none; nobody else's is there.
    let (other, _) = desk.asked().await;
    let plain: uuid::Uuid =
        desk.world.look(&format!("select id from vicket.ticket_messages where ticket_id = '{other}'")).await;
    for nowhere in
        [format!("/dashboard/acme/inbox/{other}/mail/{plain}"), format!("/dashboard/acme/inbox/{other}/mail/{message}")]
    {
        assert_eq!(desk.server.page(&desk.owner, &nowhere).await.status, 404, "{nowhere}");
    }
    let rival = desk.world.person("globex", "owner").await;
    for theirs in [frame.clone(), frame.replace("acme", "globex")] {
        assert_eq!(desk.server.page(&rival, &theirs).await.status, 404, "{theirs}");
    }
}

#[tokio::test]
async fn what_is_held_is_decided_in_its_ticket() {
    let desk = Desk::open().await;
    let (id, received) = desk.asked().await;
    let mut client = desk.client().await;
    client.hand(ADA, &reply_to(&received), &message("", "Forged.")).await;
    let stranger = message(PROVEN, "A stranger.").replace(ADA, "eve@example.com");
    client.hand("eve@example.com", &reply_to(&received), &stranger).await;
    desk.read().await;
    let path = format!("/dashboard/acme/inbox/{id}");
    let page = desk.server.page(&desk.owner, &path).await;
    assert!(
        page.ok(200).text.contains("Held mail from eve@example.com") && page.text.contains("Accept"),
        "{}",
        page.text
    );
    // Who only answers sees that it waits.
    let agent = desk.world.person("acme", "agent").await;
    let seen = desk.server.page(&agent, &path).await;
    assert!(seen.ok(200).text.contains("Held mail from eve") && !seen.text.contains("accept_mail"), "{}", seen.text);
    let held = async |from: &str| -> String {
        let sql = format!("select id from vicket.inbound_mails where state = 'held' and author = '{from}'");
        desk.world.look::<uuid::Uuid>(&sql).await.to_string()
    };
    let (stranger, forged) = (held("eve@example.com").await, held(ADA).await);
    assert_eq!(desk.server.send(&agent, &path, &[("action", "accept_mail"), ("mail", &stranger)]).await.status, 403);
    desk.server.send(&desk.owner, &path, &[("action", "accept_mail"), ("mail", &stranger)]).await.ok(303);
    desk.server.send(&desk.owner, &path, &[("action", "reject_mail"), ("mail", &forged)]).await.ok(303);
    desk.read().await;
    let page = desk.server.page(&desk.owner, &path).await;
    assert!(page.ok(200).text.contains("A stranger.") && !page.text.contains("Held mail"), "{}", page.text);
    assert!(!page.text.contains("Forged."));
    let again = desk.server.send(&desk.owner, &path, &[("action", "accept_mail"), ("mail", &forged)]).await;
    assert_eq!(again.status, 404, "it is not held any more");
}
