//! Help articles over HTTP: lists, pages, search, reading, views, and what is kept in memory between two requests.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Method;
use uuid::Uuid;

use crate::harness::{Answer, Options, Running, Site, World, faq};

const LIST: &str = "/support/v1/help/articles";

/// Writes articles of a site, each with a publication time of its own or, `in_groups`, one that five share.
async fn many(world: &World, site: &Site, count: u32, in_groups: u32) {
    let Site { org_id, id, .. } = site;
    world
        .arrange(&format!(
            "insert into vicket.articles (org_id, site_id, slug, title, body_markdown, status, published_at, view_count)
            select '{org_id}', '{id}', 'many-' || lpad(n::text, 3, '0'), 'Number ' || n, 'parrot', 'published',
              timestamptz '2026-01-01Z' + n / {in_groups} * interval '1 microsecond', n / {in_groups}
            from generate_series(0, {count} - 1) n"
        ))
        .await;
}

/// Follows the cursors to the end; the slugs of each page.
async fn pages(server: &Running, key: &str, query: &str) -> Vec<Vec<String>> {
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        assert!(pages.len() < 200, "the pages have no end");
        let answer = server.get(key, &format!("{LIST}?{query}{cursor}")).await;
        pages.push(answer.each("slug"));
        match answer.json()["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return pages,
        }
    }
}

async fn cursor_of(server: &Running, key: &str, query: &str) -> String {
    let page = server.get(key, &format!("{LIST}?limit=1&{query}")).await.ok(200).json();
    page["next_cursor"].as_str().expect("there is more than one").to_owned()
}

#[tokio::test]
async fn a_list_has_the_published_articles_of_the_site_and_its_org_the_newest_first() {
    let world = World::new().await;
    let server = world.serve().await;
    let site = &world.site_a;
    world.publish("acme", Some(site.id), "later", "Later", "More.").await;
    world.publish("acme", Some(site.id), "gone", "Gone", "Put away.").await;
    world.arrange("update vicket.articles set status = 'archived' where slug = 'gone'").await;
    let an_hour_ago =
        "update vicket.articles set published_at = published_at - interval '1 hour' where site_id is null";
    world.arrange(an_hour_ago).await;

    let list = server.get(&site.key, LIST).await;
    assert_eq!(list.each("slug"), ["later", "site-a-published", "for-all-sites"]);
    assert_eq!(server.get(&site.key, &format!("{LIST}?sort=newest")).await.each("slug"), list.each("slug"));
    let page = list.json();
    assert!(page["next_cursor"].is_null());
    let article = page["data"][0].as_object().expect("an object");
    let members: Vec<&str> = article.keys().map(String::as_str).collect();
    assert_eq!(members, ["id", "slug", "title", "excerpt", "view_count", "published_at", "updated_at"]);
    assert_eq!((&article["excerpt"], &article["view_count"]), (&"More.".into(), &0.into()));
    assert!(article["id"].as_str().is_some_and(|id| Uuid::parse_str(id).is_ok_and(|id| id.get_version_num() == 4)));
    for time in ["published_at", "updated_at"] {
        assert!(article[time].as_str().is_some_and(|time| time.contains('T') && time.ends_with('Z')), "{page}");
    }

    let of_b = server.get(&world.site_b.key, LIST).await.each("slug");
    assert_eq!(of_b, ["site-b-published", "for-all-sites"]);
    let of_c = server.get(&world.site_c.key, LIST).await;
    assert_eq!(of_c.each("title"), ["Published on site-c", "For all sites of globex"]);
}

#[tokio::test]
async fn the_parameters_of_a_list_have_bounds() {
    let world = World::new().await;
    let server = world.serve().await;
    let key = &world.site_a.key;
    let long = format!("q={}", "ü".repeat(200));
    for query in
        ["", "limit=1", "limit=100", "sort=popular", "q=hello", &long, "unknown=parameter", "limit=20&sort=newest"]
    {
        server.get(key, &format!("{LIST}?{query}")).await.ok(200);
    }
    let too_long = format!("q={}", "ü".repeat(201));
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=1.5", "limit"),
        ("limit=ten", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("sort=oldest", "sort"),
        ("sort=NEWEST", "sort"),
        ("q=", "q"),
        ("q=%20%09", "q"),
        ("q=a%00b", "q"),
        ("q=a&q=b", "q"),
        (&too_long, "q"),
        ("cursor=", "cursor"),
    ] {
        let answer = server.get(key, &format!("{LIST}?{query}")).await;
        answer.refused(400, "invalid_request");
        assert_eq!(answer.fields(), [field], "{query}");
    }
}

#[tokio::test]
async fn pages_neither_repeat_nor_skip_even_among_equals() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Options::default() }).await;
    let key = &world.site_b.key;
    many(&world, &world.site_b, 23, 5).await;
    for (order, count) in [("sort=newest", 25), ("sort=popular", 25), ("q=parrot", 23), ("q=parrot&sort=newest", 23)] {
        let whole = pages(&server, key, &format!("limit=100&{order}")).await.concat();
        assert_eq!(whole.len(), count, "{order}");
        for limit in [1, 4, 23, 25] {
            let pages = pages(&server, key, &format!("limit={limit}&{order}")).await;
            assert!(pages[..pages.len() - 1].iter().all(|page| page.len() == limit), "{order} by {limit}: {pages:?}");
            assert!(!pages[pages.len() - 1].is_empty(), "{order} by {limit} ends on an empty page");
            assert_eq!(pages.concat(), whole, "{order} by {limit}");
        }
        assert_eq!(pages(&server, key, order).await[0].len(), 20, "the default");
    }
}

#[tokio::test]
async fn a_cursor_belongs_to_its_order_and_anything_else_is_refused() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Options::default() }).await;
    let key = &world.site_a.key;
    many(&world, &world.site_a, 3, 1).await;
    let orders = ["sort=newest", "sort=popular", "q=parrot"];
    for order in orders {
        let cursor = cursor_of(&server, key, order).await;
        for asked in orders {
            let answer = server.get(key, &format!("{LIST}?{asked}&cursor={cursor}")).await;
            if asked == order {
                answer.ok(200);
            } else {
                answer.refused(400, "invalid_cursor");
            }
        }
        // A place in an order says nothing about whose list it is: the key decides what stands there.
        let of_c = server.get(&world.site_c.key, &format!("{LIST}?{order}&cursor={cursor}")).await.each("title");
        assert!(of_c.iter().all(|title| title.ends_with("site-c") || title.ends_with("globex")), "{of_c:?}");
    }

    let good = cursor_of(&server, key, "sort=newest").await;
    for cursor in
        ["x", "null", "1", "AAAA", "not base64!", "%FF", "'--", &good[1..], &format!("{good}A"), &format!("{good}=")]
    {
        let answer = server.get(key, &format!("{LIST}?cursor={cursor}")).await;
        answer.refused(400, "invalid_cursor");
    }
    // One that nobody was given, of a time that no calendar has.
    for figure in [i64::MIN, i64::MIN + 1, i64::MAX] {
        let mut bytes = vec![b'n'];
        bytes.extend(figure.to_be_bytes());
        bytes.extend([0; 16]);
        let forged = URL_SAFE_NO_PAD.encode(bytes);
        server.get(key, &format!("{LIST}?cursor={forged}")).await.refused(400, "invalid_cursor");
    }
}

#[tokio::test]
async fn the_popular_order_is_that_of_the_views() {
    let world = World::new().await;
    let server = world.serve().await;
    let key = &world.site_a.key;
    world.publish("acme", Some(world.site_a.id), "late", "Late", "Little read.").await;
    assert_eq!(server.get(key, &format!("{LIST}?sort=popular&limit=1")).await.each("slug").len(), 1);
    for (slug, times) in [("for-all-sites", 3), ("site-a-published", 1)] {
        for _ in 0..times {
            server.get(key, &format!("{LIST}/{slug}")).await.ok(200);
        }
    }
    server.app.usage.flush(&server.app.worker).await.expect("written");
    let popular = server.get(key, &format!("{LIST}?sort=popular")).await;
    assert_eq!(popular.each("slug"), ["for-all-sites", "site-a-published", "late"]);
    assert_eq!(popular.json()["data"][0]["view_count"], 3);
}

#[tokio::test]
async fn search_finds_published_words_with_the_operators_of_search_engines() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Options::default() }).await;
    let key = &world.site_a.key;
    let site = Some(world.site_a.id);
    world.publish("acme", site, "exporting", "Exporting data", "Press the green button.").await;
    world
        .publish("acme", site, "importing", "Importing", "The button imports data, it never exports. Green it is.")
        .await;
    world.publish("acme", Some(world.site_b.id), "export-b", "Exporting on B", "Export.").await;
    world.publish("globex", None, "export-globex", "Exporting for all of globex", "Export.").await;
    let both = ["exporting", "importing"];
    let cases: [(&str, &[&str]); 13] = [
        // The title weighs more than the text.
        ("export", &both),
        ("EXPORTS", &both),
        ("\"green button\"", &["exporting"]),
        ("green -importing", &["exporting"]),
        ("exporting nonsense", &[]),
        ("nonsense or import", &["importing"]),
        ("hello", &["site-a-published"]),
        ("\"button imports\"", &["importing"]),
        ("acme", &["for-all-sites"]),
        ("globex", &[]),
        ("draft", &[]),
        ("the", &[]),
        ("site-b", &[]),
    ];
    for (q, expected) in cases {
        let asked = server.request(Method::GET, LIST).query(&[("q", q)]).header("X-Vicket-Key", key);
        assert_eq!(Answer::of(asked).await.each("slug"), expected, "{q}");
    }
    for q in [
        "'; drop table vicket.articles; --",
        "' or '1'='1",
        "export' and pg_sleep(5)::text = '",
        "a & | ! ( ) <-> :* \\",
        "\"unclosed",
        "-",
        "--",
        "or or or",
        "\\",
        "$1 %s {}",
        "'''",
        "\u{202e}\u{fffd}\u{1f600}",
        "<script>alert(1)</script>",
    ] {
        let asked = server.request(Method::GET, LIST).query(&[("q", q)]).header("X-Vicket-Key", key);
        let found = Answer::of(asked).await.each("slug");
        assert!(found.iter().all(|slug| both.contains(&slug.as_str())), "{q} found {found:?}");
    }
    assert!(world.look::<i64>("select count(*) from vicket.articles").await > 0);
}

#[tokio::test]
async fn a_search_takes_beginnings_of_words_one_wrong_letter_and_the_sites_language() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Options::default() }).await;
    let (key, site) = (&world.site_a.key, Some(world.site_a.id));
    world.publish("acme", site, "exporting", "Exporting your data", "Press the green button twice.").await;
    world.publish("acme", site, "more-exports", "Further exports", "Of invoices.").await;
    world.publish("acme", Some(world.site_b.id), "zebras", "Zebras of B", "Zebras.").await;
    let mut tx = world.org("acme").await;
    faq(&mut tx, site, "Which invoices may I download?", true).await;
    faq(&mut tx, site, "Is there a hidden draft?", false).await;
    faq(&mut tx, Some(world.site_b.id), "How do zebras sleep?", true).await;
    tx.commit().await.expect("commit");
    let search = async |path: &str, q: &str| {
        let asked = server.request(Method::GET, path).query(&[("q", q)]).header("X-Vicket-Key", key);
        Answer::of(asked).await
    };
    let both = ["exporting", "more-exports"];
    let cases: [(&str, &[&str], Option<&str>); 14] = [
        ("ex", &both, None),
        ("exp", &both, None),
        ("expor", &both, None),
        ("exporti", &["exporting"], None),
        ("data expor", &["exporting"], None),
        ("exp data", &[], None),
        ("\"exp\"", &[], None),
        ("green -exp", &["exporting"], None),
        ("exportin data", &["exporting"], Some("exporting data")),
        ("datta", &["exporting"], Some("data")),
        ("daat", &["exporting"], Some("data")),
        ("grean buttn", &["exporting"], Some("green button")),
        ("graan", &[], None),
        // A word that another site has, and one of a draft.
        ("zebas", &[], None),
    ];
    for (q, expected, searched_for) in cases {
        let found = search(LIST, q).await;
        let mut slugs = found.each("slug");
        slugs.sort();
        assert_eq!(slugs, expected, "{q}");
        assert_eq!(found.json()["searched_for"].as_str(), searched_for, "{q}");
    }
    // The pages of a corrected search go on with what it was corrected to.
    let slugs: Vec<String> = pages(&server, key, "q=xports&limit=1").await.concat();
    assert_eq!(slugs.len(), 2, "{slugs:?}");

    let faqs = "/support/v1/help/faqs";
    for (q, expected) in
        [("invoi", 1), ("downloading", 1), ("invioce", 1), ("invoices hidden", 0), ("zebras", 0), ("hidden", 0)]
    {
        assert_eq!(search(faqs, q).await.each("id").len(), expected, "{q}");
    }

    // By the dictionary of the site's language, what was written before included.
    world.publish("acme", site, "rechnungen", "Rechnungen", "Die Rechnungen stehen in den Einstellungen.").await;
    let german = ["Rechnung", "einstellung"];
    for q in german {
        assert_eq!(search(LIST, &format!("{q} stehend")).await.each("slug"), [""; 0], "{q}");
    }
    let admin = world.person("acme", "admin").await;
    let change = serde_json::json!({ "language": "de" });
    let path = format!("/v1/orgs/acme/sites/{}", world.site_a.slug);
    server.patch_as(&admin, &path, change).await.ok(200);
    for q in german {
        assert_eq!(search(LIST, &format!("{q} stehend")).await.each("slug"), ["rechnungen"], "{q}");
    }
    let words = "select count(*) from vicket.articles where words is null";
    assert_eq!(world.look::<i64>(words).await, 0);
}

#[tokio::test]
async fn of_what_is_typed_bit_by_bit_only_the_last_is_a_search_without_result() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Options::default() }).await;
    let (key, mut tx) = (&world.site_a.key, world.org("acme").await);
    faq(&mut tx, None, "Which invoices may I download?", true).await;
    tx.commit().await.expect("commit");
    for q in ["pri", "pric", "pricin", "pricing", "invoi", "xxinvoi", "sso", "sso"] {
        server.get(key, &format!("{LIST}?q={q}")).await.ok(200);
    }
    server.app.usage.flush(&server.app.worker).await.expect("written");
    let found = "select string_agg(search || ' ' || times, ',' order by search) from vicket.missed_searches";
    assert_eq!(world.look::<String>(found).await, "pricing 1,sso 2,xxinvoi 1");
}

#[tokio::test]
async fn a_sites_own_article_stands_before_one_for_all_sites_of_its_slug() {
    let world = World::new().await;
    let server = world.serve().await;
    let (a, b) = (&world.site_a, &world.site_b);
    let title = async |site: &Site| {
        let by_slug = server.get(&site.key, &format!("{LIST}/shared")).await.ok(200).json();
        let by_slug = by_slug["title"].as_str().expect("text").to_owned();
        for query in ["", "?sort=popular", "?q=shared"] {
            let list = server.get(&site.key, &format!("{LIST}{query}")).await;
            let shared: Vec<String> =
                list.each("title").into_iter().filter(|title| title.starts_with("Shared")).collect();
            assert_eq!(shared, std::slice::from_ref(&by_slug), "{query}");
        }
        by_slug
    };
    world.publish("acme", None, "shared", "Shared by all", "Shared.").await;
    world.publish("acme", Some(a.id), "shared", "Shared, as A has it", "Shared.").await;
    assert_eq!(title(a).await, "Shared, as A has it");
    assert_eq!(title(b).await, "Shared by all");
    assert_eq!(server.get(&a.key, "/support/v1/site").await.ok(200).json()["article_count"], 3);
    // A draft hides nothing.
    world.arrange("update vicket.articles set status = 'draft' where title = 'Shared, as A has it'").await;
    assert_eq!(title(a).await, "Shared by all");
}

#[tokio::test]
async fn an_article_is_read_with_its_text_as_markdown_and_as_harmless_html() {
    let world = World::new().await;
    let server = world.serve().await;
    let markdown = "Hello *you*.\n\n<script>alert(1)</script>\n\n<img src=x onerror=alert(2)>\n\n\
                    [click](javascript:alert(3)) [fine](https://example.com/a)\n\n<b onclick=\"alert(4)\">b</b>";
    world.publish("acme", Some(world.site_a.id), "hostile", "<script>title</script>", markdown).await;
    let article = server.get(&world.site_a.key, &format!("{LIST}/hostile")).await;
    assert_eq!(article.header("content-type"), Some("application/json"));
    let article = article.ok(200).json();
    let members: Vec<&str> = article.as_object().expect("an object").keys().map(String::as_str).collect();
    let summary = ["id", "slug", "title", "excerpt", "view_count", "published_at", "updated_at"];
    assert_eq!(members, [&summary[..], &["body_markdown", "body_html"]].concat());
    assert_eq!(article["body_markdown"], markdown);
    assert_eq!(article["title"], "<script>title</script>", "titles are plain text");
    let html = article["body_html"].as_str().expect("text");
    assert!(html.contains("<em>you</em>") && html.contains("href=\"https://example.com/a\""), "{html}");
    for tag in ["<script", "<img", "<b ", "href=\"javascript"] {
        assert!(!html.contains(tag), "{html}");
    }
}

#[tokio::test]
async fn a_slug_that_cannot_be_read_answers_as_one_that_does_not_exist() {
    let world = World::new().await;
    for answer_cache_mib in [0, 8] {
        let server = world.serve_with(Options { answer_cache_mib, ..Options::default() }).await;
        let read = async |site: &Site, slug: &str| server.get(&site.key, &format!("{LIST}/{slug}")).await;
        // Each is there for those who may read it, and was read by them before.
        read(&world.site_b, "site-b-published").await.ok(200);
        read(&world.site_c, "site-c-published").await.ok(200);
        let nonexistent = read(&world.site_a, "no-such-article").await;
        nonexistent.refused(404, "not_found");
        for slug in [
            "site-b-published",
            "site-c-published",
            "site-a-draft",
            "site-b-draft",
            "SITE-A-PUBLISHED",
            "%27%20or%201=1",
        ] {
            let answer = read(&world.site_a, slug).await;
            assert_eq!(answer.comparable(), nonexistent.comparable(), "{slug}");
        }
        // The slug of the org's article for all sites is the same in both orgs, and each reads its own.
        for (site, title) in [(&world.site_a, "For all sites of acme"), (&world.site_c, "For all sites of globex")] {
            assert_eq!(read(site, "for-all-sites").await.ok(200).json()["title"], title);
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn reading_counts_a_view_and_changes_nothing_else() {
    let world = World::new().await;
    let server = world.serve().await;
    let key = &world.site_a.key;
    let path = format!("{LIST}/site-a-published");
    let before = server.get(key, &path).await.ok(200).json();
    server.get(key, &path).await.ok(200);
    let head = server.call(Method::HEAD, &path, &[("X-Vicket-Key", key)]).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    server.get(key, LIST).await.ok(200);
    server.get(key, &format!("{LIST}/site-a-draft")).await.refused(404, "not_found");
    server.get("pk_unknown", &path).await.refused(401, "key_invalid");
    // An orderly end writes what was gathered.
    server.stop().await;

    let server = world.serve().await;
    let after = server.get(key, &path).await.ok(200).json();
    assert_eq!((&before["view_count"], &after["view_count"]), (&0.into(), &2.into()));
    assert_eq!(before["updated_at"], after["updated_at"]);
    assert_eq!(world.look::<i64>("select sum(view_count)::bigint from vicket.articles").await, 2);
}

#[tokio::test]
async fn a_batch_of_views_shows_in_the_next_list_and_leaves_the_content_version_as_it_was() {
    let world = World::new().await;
    let server = world.serve().await;
    let key = &world.site_a.key;
    let versions =
        "select content_version::text || ' ' || (views_version > 1)::text from vicket.sites where slug = 'site-a'";
    let before: String = world.look(versions).await;
    let list = server.get(key, LIST).await;
    server.get(key, &format!("{LIST}/site-a-published")).await.ok(200);
    server.app.usage.flush(&server.app.worker).await.expect("written");
    let counted = server.get(key, LIST).await;
    assert_ne!(list.ok(200).header("etag"), counted.ok(200).header("etag"));
    let data = counted.json()["data"].clone();
    let counts: Vec<_> = data.as_array().expect("a list").iter().map(|article| article["view_count"].clone()).collect();
    assert!(counts.contains(&1.into()), "{data}");
    assert_eq!(world.look::<String>(versions).await, before.replace("false", "true"));
}

#[tokio::test]
async fn publishing_and_unpublishing_show_in_the_very_next_request() {
    let world = World::new().await;
    let (a, b, c) = (&world.site_a, &world.site_b, &world.site_c);
    for answer_cache_mib in [0, 8] {
        let server = world.serve_with(Options { answer_cache_mib, limits: false, ..Options::default() }).await;
        let seen = async |site: &Site, slug: &str| {
            let listed = server.get(&site.key, LIST).await.each("slug").contains(&slug.to_owned());
            let found = server.get(&site.key, &format!("{LIST}?q=hello+or+sites+or+yet")).await.each("slug");
            assert_eq!(found.contains(&slug.to_owned()), listed);
            let read = server.get(&site.key, &format!("{LIST}/{slug}")).await;
            assert_eq!(read.status == 200, listed, "{read:?}");
            listed
        };
        let set = async |slug: &str, org: &Site, status: &str| {
            let org_id = org.org_id;
            let sql = format!(
                "update vicket.articles set status = '{status}', published_at = now()
                where org_id = '{org_id}' and slug = '{slug}'"
            );
            world.arrange(&sql).await;
        };
        let count =
            async |site: &Site| server.get(&site.key, "/support/v1/site").await.ok(200).json()["article_count"].clone();
        for _ in 0..2 {
            assert!(seen(a, "site-a-published").await && !seen(a, "site-a-draft").await);
            assert_eq!(count(a).await, 2);
            set("site-a-draft", a, "published").await;
            assert!(seen(a, "site-a-draft").await && !seen(b, "site-a-draft").await);
            assert_eq!(count(a).await, 3);
            set("site-a-draft", a, "draft").await;
            assert!(!seen(a, "site-a-draft").await);

            // One for all sites shows, and goes, on all of them; the other org's stays.
            assert!(seen(a, "for-all-sites").await && seen(b, "for-all-sites").await);
            set("for-all-sites", a, "archived").await;
            assert!(
                !seen(a, "for-all-sites").await && !seen(b, "for-all-sites").await && seen(c, "for-all-sites").await
            );
            set("for-all-sites", a, "published").await;
            assert!(seen(a, "for-all-sites").await && seen(b, "for-all-sites").await);
        }

        // What is deleted is gone as fast, and a changed text is the new one.
        world.publish("acme", Some(b.id), "brief", "Brief", "hello").await;
        assert!(seen(b, "brief").await);
        world.arrange("update vicket.articles set body_markdown = 'anew' where slug = 'brief'").await;
        let brief = server.get(&b.key, &format!("{LIST}/brief")).await.ok(200).json();
        assert_eq!(brief["body_markdown"], "anew");
        world.arrange("delete from vicket.articles where slug = 'brief'").await;
        server.get(&b.key, &format!("{LIST}/brief")).await.refused(404, "not_found");
        let faqs = server.get(&b.key, "/support/v1/help/faqs").await.each("question").len();
        world
            .arrange("update vicket.faqs set status = 'published' where question = 'A draft question of site-b?'")
            .await;
        assert_eq!(server.get(&b.key, "/support/v1/help/faqs").await.each("question").len(), faqs + 1);
        world.arrange("update vicket.faqs set status = 'draft' where question = 'A draft question of site-b?'").await;
        assert_eq!(server.get(&b.key, "/support/v1/help/faqs").await.each("question").len(), faqs);

        // So are names.
        for (table, member, name) in
            [("sites", "name", "Renamed"), ("orgs", "org_name", "Acme again"), ("orgs", "org_name", "acme")]
        {
            server.get(&b.key, "/support/v1/site").await.ok(200);
            let id = if table == "sites" { b.id } else { b.org_id };
            world.arrange(&format!("update vicket.{table} set name = '{name}' where id = '{id}'")).await;
            assert_eq!(server.get(&b.key, "/support/v1/site").await.ok(200).json()[member], name);
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_read_has_an_etag_and_is_304_to_who_has_it() {
    let world = World::new().await;
    let server = world.serve().await;
    let key = &world.site_a.key;
    for path in [
        "/support/v1/site",
        LIST,
        &format!("{LIST}/site-a-published"),
        "/support/v1/help/faqs",
        "/support/v1/key/check",
    ] {
        let whole = server.get(key, path).await;
        let etag = whole.ok(200).header("etag").expect("an ETag").to_owned();
        // That of an article's page is weak: it leaves the count of views out.
        let strong = etag.strip_prefix("W/").unwrap_or(&etag).to_owned();
        assert_eq!(strong != etag, path.ends_with("-published"), "{path}: {etag}");
        assert!(strong.len() > 2 && strong.starts_with('"') && strong.ends_with('"'), "{etag}");
        let ask = async |method: Method, known: &str| {
            server.call(method, path, &[("X-Vicket-Key", key), ("If-None-Match", known)]).await
        };
        for known in [etag.clone(), format!("W/{strong}"), format!("\"other\", {etag}"), "*".to_owned()] {
            let answer = ask(Method::GET, &known).await;
            assert_eq!((answer.status, answer.text.as_str()), (304, ""), "{path} {known}");
            assert_eq!(answer.header("etag"), Some(etag.as_str()));
            for name in ["cache-control", "vary"] {
                assert_eq!(answer.header(name), whole.header(name), "{path}");
            }
        }
        for known in ["\"other\"", "", "ä", strong.trim_matches('"'), "\"", &strong.to_uppercase().replace('A', "a0")]
        {
            ask(Method::GET, known).await.ok(200);
        }
        let head = ask(Method::HEAD, "\"other\"").await;
        assert_eq!((head.status, head.text.as_str(), head.header("etag")), (200, "", Some(etag.as_str())));

        assert_eq!(whole.header("cache-control"), Some("private, max-age=0, must-revalidate"));
        let vary = whole.list("vary");
        assert!(vary.contains(&"origin".to_owned()) && vary.contains(&"x-vicket-key".to_owned()), "{vary:?}");
    }
    // A change is another representation, and one site's is not the other's.
    let list = server.get(key, LIST).await;
    let etag = list.header("etag").expect("an ETag");
    world.publish("acme", Some(world.site_a.id), "more", "More", "More.").await;
    let changed = server.call(Method::GET, LIST, &[("X-Vicket-Key", key), ("If-None-Match", etag)]).await;
    assert_ne!(changed.ok(200).header("etag"), Some(etag));
    let other = [("X-Vicket-Key", world.site_b.key.as_str()), ("If-None-Match", changed.header("etag").expect("one"))];
    server.call(Method::GET, LIST, &other).await.ok(200);
}

#[tokio::test]
async fn what_is_kept_for_one_site_is_never_answered_to_another() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Options::default() }).await;
    // The same questions, the same slugs, by keys in turn, so that each finds what the one before left.
    for site in [&world.site_a, &world.site_b, &world.site_c] {
        world.publish(site.org, Some(site.id), "common", &format!("Common on {}", site.slug), site.slug).await;
    }
    let questions =
        ["/support/v1/site", "/support/v1/help/faqs", LIST, &format!("{LIST}/common"), &format!("{LIST}?q=common")];
    let mut first = Vec::new();
    for round in 0..6 {
        for (index, site) in [&world.site_a, &world.site_b, &world.site_c].into_iter().enumerate() {
            for (question, path) in questions.into_iter().enumerate() {
                let answer = server.get(&site.key, path).await.ok(200).text.clone();
                // An article's page counts its own views.
                let answer = answer.replace(&format!("\"view_count\":{round},"), "\"view_count\":0,");
                let others = ["site-a", "site-b", "site-c"].into_iter().filter(|other| *other != site.slug);
                assert!(others.into_iter().all(|other| !answer.contains(other)), "{path} of {}: {answer}", site.slug);
                assert!(answer.contains(site.slug), "{path}: {answer}");
                if round == 0 {
                    first.push(answer);
                } else {
                    assert_eq!(answer, first[index * questions.len() + question]);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_kept_answer_belongs_to_one_question() {
    let world = World::new().await;
    let server = world.serve().await;
    let key = &world.site_a.key;
    many(&world, &world.site_a, 3, 1).await;
    let cursor = cursor_of(&server, key, "q=parrot+number").await;
    server.get(key, &format!("{LIST}?q=parrot+number&cursor={cursor}")).await.ok(200);
    // The same text, with the border between cursor and search elsewhere.
    server.get(key, &format!("{LIST}?q=number&cursor={cursor}+parrot")).await.refused(400, "invalid_cursor");
    server.get(key, &format!("{LIST}?sort=newest&q=number+")).await.ok(200);
    server.get(key, &format!("{LIST}?sort=newest&cursor=-+number")).await.refused(400, "invalid_cursor");
}
