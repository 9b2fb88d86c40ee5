//! References of tickets, `APP-21`, on the pages for people, and the prefix that they begin with.

use crate::harness::World;

const SITES: &str = "/dashboard/acme/sites";
const SITE: &str = "/dashboard/acme/sites/site-a";

#[tokio::test]
async fn a_ticket_is_called_by_its_reference_and_found_by_it() {
    let world = World::new().await;
    let running = world.serve().await;
    let agent = world.person("acme", "agent").await;
    for site in [&world.site_a, &world.site_b] {
        running.post(&site.key, "/support/v1/tickets", &crate::harness::ticket()).await.ok(201);
    }
    let inbox = async |query: &str| running.page(&agent, &format!("/dashboard/acme/inbox?{query}")).await.text;
    let page = inbox("").await;
    assert!(page.contains("SITE-1 ·") && page.contains("SITEB-1 ·") && !page.contains("#1 "), "{page}");
    for (search, [a, b]) in [
        ("SITE-1", [true, false]),
        ("siteb-1", [false, true]),
        ("1", [true, true]),
        ("%231", [true, true]),
        ("SITE-2", [false, false]),
        ("NONE-1", [false, false]),
    ] {
        let page = inbox(&format!("q={search}")).await;
        assert_eq!([page.contains("SITE-1 ·"), page.contains("SITEB-1 ·")], [a, b], "{search}: {page}");
    }
    let id: uuid::Uuid =
        world.look(&format!("select id from vicket.tickets where site_id = '{}'", world.site_b.id)).await;
    let page = running.page(&agent, &format!("/dashboard/acme/inbox/{id}")).await.text;
    assert!(page.contains("SITEB-1 Help") && page.contains("SITEB-1 · site-b"), "{page}");
}

#[tokio::test]
async fn a_prefix_is_shown_set_and_refused_beside_its_field() {
    let world = World::new().await;
    let running = world.serve().await;
    let admin = world.person("acme", "admin").await;
    let agent = world.person("acme", "agent").await;
    let page = running.page(&admin, SITE).await.text;
    assert!(page.contains("SITE-1, SITE-2") && page.contains(r#"name="prefix" type="text" value="SITE""#), "{page}");
    let seen = running.page(&agent, SITE).await.text;
    assert!(seen.contains("SITE-1, SITE-2") && !seen.contains(r#"name="prefix""#), "{seen}");

    let form = |prefix| [("action", "prefix"), ("prefix", prefix)];
    let prefix = async || world.look::<String>("select prefix from vicket.sites where slug = 'site-a'").await;
    for (bad, status, said) in [
        ("S1", 400, "Ticket prefix must be 2 to 8 letters A-Z."),
        ("", 400, "Ticket prefix is required."),
        ("siteb", 409, "Ticket prefix is that of another site of the org."),
    ] {
        let refused = running.send(&admin, SITE, &form(bad)).await;
        assert_eq!(refused.status, status, "{bad}: {}", refused.text);
        assert!(refused.text.contains(said), "{bad}: {}", refused.text);
        assert!(refused.text.contains(&format!(r#"name="prefix" type="text" value="{bad}""#)), "{}", refused.text);
    }
    assert_eq!(prefix().await, "SITE");
    let token = super::token(&running.page(&agent, SITES).await.text);
    let [action, wanted] = form("APP");
    assert_eq!(running.form(&agent, SITE, &[action, wanted, ("form_token", &token)]).await.status, 403);
    assert_eq!(prefix().await, "SITE");
    assert_eq!(running.send(&admin, SITE, &form("app")).await.status, 303);
    assert_eq!(prefix().await, "APP");

    // Of a new site.
    let made = running.send(&admin, SITES, &[("name", "Acme Shop"), ("prefix", "buy")]).await;
    assert_eq!(made.status, 303, "{}", made.text);
    let made = running.send(&admin, SITES, &[("name", "Acme Kiosk"), ("prefix", "")]).await;
    assert_eq!(made.status, 303, "{}", made.text);
    let list = running.page(&admin, SITES).await.text;
    assert!(list.contains("acme-shop · BUY ·") && list.contains("acme-kiosk · KIOS ·"), "{list}");
    for (bad, status, said) in
        [("X", 400, "must be 2 to 8 letters A-Z"), ("Buy", 409, "is that of another site of the org")]
    {
        let refused = running.send(&admin, SITES, &[("name", "Third"), ("prefix", bad)]).await;
        assert_eq!(refused.status, status, "{}", refused.text);
        assert!(refused.text.contains(said) && refused.text.contains(r#"value="Third""#), "{}", refused.text);
    }
    assert_eq!(world.look::<i64>("select count(*) from vicket.sites where slug = 'third'").await, 0);
}
