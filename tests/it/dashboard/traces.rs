//! What customers leave behind, as the dashboard shows it: searches without result, and where a key is used.

use reqwest::Method;

use super::Running;
use crate::harness::World;

async fn flush(running: &Running) {
    running.app.usage.flush(&running.app.worker).await.expect("written");
}

#[tokio::test]
async fn a_search_that_finds_nothing_shows_on_the_start_page_of_its_org() {
    let world = World::new().await;
    world.publish("acme", Some(world.site_a.id), "refunds", "Refunds", "How to get a refund.").await;
    let running = world.serve().await;
    let key = &world.site_a.key;
    // The second and third are answered from memory.
    for q in ["SSO%20%3Cb%3E", "SSO%20%3Cb%3E", "sso++%3Cb%3E", "refund"] {
        running.get(key, &format!("/support/v1/help/articles?q={q}")).await.ok(200);
    }
    running.get(key, "/support/v1/help/articles?q=refund&sort=popular").await.ok(200);
    running.call(Method::HEAD, "/support/v1/help/articles?q=only-looked", &[("x-vicket-key", key)]).await;
    running.get(&world.site_c.key, "/support/v1/help/articles?q=globex-only").await.ok(200);
    flush(&running).await;

    let found = "select string_agg(search || ' ' || times, ',' order by search) from vicket.missed_searches";
    assert_eq!(world.look::<String>(found).await, "globex-only 1,sso <b> 3");
    let viewer = world.person("acme", "viewer").await;
    let start = running.page(&viewer, "/dashboard/acme").await.text;
    assert!(start.contains("sso &#60;b&#62;") && !start.contains("globex-only"), "{start}");
    let rival = world.person("globex", "viewer").await;
    let theirs = running.page(&rival, "/dashboard/globex").await.text;
    assert!(theirs.contains("globex-only") && !theirs.contains("sso"), "{theirs}");
}

#[tokio::test]
async fn a_site_keeps_its_most_frequent_searches_for_thirty_days() {
    let world = World::new().await;
    let running = world.serve().await;
    let (org, site) = (world.site_a.org_id, world.site_a.id);
    world
        .arrange(&format!(
            "insert into vicket.missed_searches (org_id, site_id, day, search, times)
             select '{org}', '{site}', (now() at time zone 'UTC')::date, 'n' || n, n from generate_series(1, 1050) n;
             insert into vicket.missed_searches (org_id, site_id, day, search, times)
             values ('{org}', '{site}', (now() at time zone 'UTC')::date - 31, 'old', 9),
               ('{org}', '{site}', (now() at time zone 'UTC')::date - 30, 'late', 9)"
        ))
        .await;
    running.get(&world.site_a.key, "/support/v1/help/articles?q=n1").await.ok(200);
    flush(&running).await;
    let of_today = "select count(*) || ' ' || min(times) from vicket.missed_searches
        where day = (now() at time zone 'UTC')::date";
    assert_eq!(world.look::<String>(of_today).await, "1000 51");
    // A flood of searches that are asked once drives out none that is asked more often, nor what is asked next.
    world
        .arrange(
            "update vicket.missed_searches set times = 1, last_at = now() - interval '1 minute' where search <> 'n9'",
        )
        .await;
    running.get(&world.site_a.key, "/support/v1/help/articles?q=zzz").await.ok(200);
    flush(&running).await;
    let kept = "select count(*) || ' ' || count(*) filter (where search = 'zzz') from vicket.missed_searches
        where day = (now() at time zone 'UTC')::date";
    assert_eq!(world.look::<String>(kept).await, "1000 1");
    vicket::store::usage::purge_expired(&running.app.worker).await.expect("purged");
    let others = "select string_agg(search, ',') from vicket.missed_searches
        where day < (now() at time zone 'UTC')::date";
    assert_eq!(world.look::<String>(others).await, "late");
}

#[tokio::test]
async fn who_rotates_a_key_sees_from_where_it_is_used() {
    let world = World::new().await;
    let running = world.serve().await;
    let site = &world.site_a;
    let path = "/dashboard/acme/sites/site-a/key";
    let viewer = world.person("acme", "viewer").await;
    assert!(!running.page(&viewer, path).await.text.contains(site.origin));
    let key = ("x-vicket-key", site.key.as_str());
    let asks: [&[(&str, &str)]; 3] =
        [&[key, ("origin", site.origin)], &[key], &[key, ("origin", "https://not-listed.example")]];
    for headers in asks {
        running.call(Method::GET, "/support/v1/site", headers).await;
    }
    flush(&running).await;
    let page = running.page(&viewer, path).await.text;
    assert!(page.contains(site.origin) && page.contains("no page: a server or a tool"), "{page}");
    assert!(!page.contains("not-listed"), "{page}");
    assert_eq!(world.look::<i64>("select count(*) from vicket.site_key_origins").await, 2);

    // A site that goes takes them along.
    world.arrange(&format!("delete from vicket.sites where id = '{}'", site.id)).await;
    assert_eq!(world.look::<i64>("select count(*) from vicket.site_key_origins").await, 0);
}
