//! The dashboard over HTTP, as a browser sends it: who may see and do what, forms of others, one reveal, escaping.

mod events;
mod first_run;
mod references;
mod saved_replies;
mod selection;
mod statuses;
mod templates;
mod tickets;
mod traces;

use reqwest::Method;

use crate::harness::{Answer, Person, Running, World};

/// The token in the forms of a page.
pub fn token(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"form_token\" value=\"").expect("the page has a form");
    rest[..64].to_owned()
}

/// A hidden field of a page.
fn hidden(page: &str, name: &str) -> String {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).expect("the page has the field");
    rest.split('"').next().expect("a value").to_owned()
}

/// A request that follows no redirection.
pub fn ask(running: &Running, method: Method, path: &str) -> reqwest::RequestBuilder {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    client.request(method, format!("{}{path}", running.base))
}

impl Running {
    pub async fn page(&self, person: &Person, path: &str) -> Answer {
        Answer::of(ask(self, Method::GET, path).header("cookie", &person.cookie)).await
    }

    /// Sends a form of ours as its page would.
    pub async fn send(&self, person: &Person, path: &str, fields: &[(&str, &str)]) -> Answer {
        let page = self.page(person, path).await;
        let token = token(&page.text);
        let fields: Vec<(&str, &str)> = fields.iter().copied().chain([("form_token", token.as_str())]).collect();
        self.form(person, path, &fields).await
    }

    async fn form(&self, person: &Person, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = ask(self, Method::POST, path).header("cookie", &person.cookie);
        let request = request.header("origin", &self.base).header("content-type", "application/x-www-form-urlencoded");
        Answer::of(request.body(body)).await
    }
}

#[tokio::test]
async fn a_key_is_in_one_answer_and_a_form_sent_again_shows_and_changes_nothing() {
    let world = World::new().await;
    let running = world.serve().await;
    let admin = world.person("acme", "admin").await;
    let path = "/dashboard/acme/sites/site-a/key";
    let before = running.page(&admin, path).await;
    let (token, present) = (token(&before.text), hidden(&before.text, "replaces"));
    let fields = [("form_token", token.as_str()), ("action", "rotate"), ("replaces", &present), ("sure", "yes")];
    let unsure = running.form(&admin, path, &fields[..3]).await;
    assert_eq!(unsure.status, 400, "{}", unsure.text);

    let revealed = running.form(&admin, path, &fields).await;
    assert_eq!(revealed.status, 200);
    let key = revealed.text.split("id=\"key\">").nth(1).expect("the key")[..46].to_owned();
    assert_eq!(revealed.header("cache-control"), Some("no-store"));
    running.get(&key, "/support/v1/site").await.ok(200);
    running.get(&world.site_a.key, "/support/v1/site").await.refused(401, "key_invalid");

    let again = running.form(&admin, path, &fields).await;
    assert_eq!(again.status, 409);
    running.get(&key, "/support/v1/site").await.ok(200);
    for page in [again.text, running.page(&admin, path).await.text] {
        assert!(!page.contains("pk_") || !page.contains(&key), "shown once more");
    }
}

#[tokio::test]
async fn roles_may_on_pages_what_they_may_over_http() {
    let world = World::new().await;
    let running = world.serve().await;
    let viewer = world.person("acme", "viewer").await;
    let agent = world.person("acme", "agent").await;
    let admin = world.person("acme", "admin").await;
    let site = "/dashboard/acme/sites/site-a";
    let form = [("action", "add"), ("origin", "https://new.example")];
    for person in [&viewer, &agent] {
        let page = running.page(person, site).await;
        assert!(page.status == 200 && !page.text.contains("Add origin"));
        let refused = running.send(person, site, &form).await;
        assert_eq!(refused.status, 403, "{}", refused.text);
        assert!(refused.text.contains("site:edit"));
    }
    assert_eq!(world.look::<i64>("select count(*) from vicket.site_origins where origin like '%new%'").await, 0);
    assert_eq!(running.send(&admin, site, &form).await.status, 303);
    assert_eq!(world.look::<i64>("select count(*) from vicket.site_origins where origin like '%new%'").await, 1);

    running.post(&world.site_a.key, "/support/v1/tickets", &crate::harness::ticket()).await.ok(201);
    let id: uuid::Uuid = world.look("select id from vicket.tickets").await;
    let ticket = format!("/dashboard/acme/inbox/{id}");
    assert_eq!(running.send(&viewer, &ticket, &[("action", "reply"), ("reply", "Hello")]).await.status, 403);
    assert_eq!(running.send(&agent, &ticket, &[("action", "reply"), ("reply", "Hello")]).await.status, 303);
    assert_eq!(running.send(&agent, &ticket, &[("action", "delete"), ("sure", "yes")]).await.status, 403);
}

#[tokio::test]
async fn another_org_is_not_there() {
    let world = World::new().await;
    let running = world.serve().await;
    let rival = world.person("globex", "owner").await;
    let own = world.person("acme", "owner").await;
    running.post(&world.site_a.key, "/support/v1/tickets", &crate::harness::ticket()).await.ok(201);
    let id: uuid::Uuid = world.look("select id from vicket.tickets").await;
    let pages = [
        "",
        "help",
        "help/articles/new",
        "members",
        "audit",
        "machine-keys",
        "teams",
        "templates",
        "templates/new",
        "workflow",
        "workflow/statuses/new",
        "inbox",
        "replies",
        "sites",
        "sites/site-a",
        "sites/site-a/key",
        "events",
        &format!("inbox/{id}"),
    ]
    .map(str::to_owned);
    for page in pages {
        let theirs = running.page(&rival, &format!("/dashboard/acme/{page}")).await;
        let nowhere = running.page(&rival, &format!("/dashboard/nowhere/{page}")).await;
        assert_eq!((theirs.status, nowhere.status), (404, 404), "{page}");
        if page != "events" {
            assert_eq!(running.page(&own, &format!("/dashboard/acme/{page}")).await.status, 200, "{page}");
        }
    }
    let start = running.page(&own, "/dashboard/acme").await.text;
    assert!(start.contains("Tickets opened</span><strong>1<"), "{start}");
    assert!(running.page(&rival, "/dashboard/globex").await.text.contains("Tickets opened</span><strong>0<"));
    // Through one's own org neither.
    assert_eq!(running.page(&rival, &format!("/dashboard/globex/inbox/{id}")).await.status, 404);
    let form = [("action", "reply"), ("reply", "Hello")];
    let page = running.page(&rival, "/dashboard/globex/sites").await;
    let with_token = [form[0], form[1], ("form_token", &token(&page.text))];
    assert_eq!(running.form(&rival, &format!("/dashboard/globex/inbox/{id}"), &with_token).await.status, 404);
    assert_eq!(world.look::<i64>("select count(*) from vicket.ticket_messages").await, 1);
}

#[tokio::test]
async fn a_form_of_another_page_or_of_another_log_in_does_nothing() {
    let world = World::new().await;
    let running = world.serve().await;
    let owner = world.person("acme", "owner").await;
    let admin = world.person("acme", "admin").await;
    let path = "/dashboard/acme/sites";
    let token = token(&running.page(&owner, path).await.text);
    let body = format!("name=New&form_token={token}");
    let send = |person: &Person, headers: &[(&str, &str)]| {
        let mut request = ask(&running, Method::POST, path).header("cookie", &person.cookie);
        request = request.header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(request.body(body.clone()))
    };
    for foreign in
        [&[("origin", "https://evil.example")][..], &[("origin", "null")], &[("sec-fetch-site", "same-site")], &[]]
    {
        let answer = send(&owner, foreign).await;
        assert_eq!(answer.status, 403, "{foreign:?}");
    }
    assert_eq!(send(&admin, &[("origin", &running.base)]).await.status, 403, "the token of another log-in");
    assert_eq!(world.look::<i64>("select count(*) from vicket.sites where slug = 'new'").await, 0);
    assert_eq!(send(&owner, &[("sec-fetch-site", "same-origin")]).await.status, 303);
    assert_eq!(world.look::<i64>("select count(*) from vicket.sites where slug = 'new'").await, 1);
}

#[tokio::test]
async fn what_customers_write_is_text_and_pages_may_load_nothing_of_others() {
    let world = World::new().await;
    let running = world.serve().await;
    let agent = world.person("acme", "agent").await;
    let evil = "<img src=x onerror=alert(1)>\"'</textarea><script>alert(1)</script>";
    let body = serde_json::json!({ "email": "ada@example.com", "name": evil, "subject": evil, "message": evil });
    running.post(&world.site_a.key, "/support/v1/tickets", &body).await.ok(201);
    let id: uuid::Uuid = world.look("select id from vicket.tickets").await;
    for path in ["/dashboard/acme/inbox".to_owned(), format!("/dashboard/acme/inbox/{id}")] {
        let page = running.page(&agent, &path).await;
        assert!(page.text.contains("&#60;img src=x"), "{}", page.text);
        assert!(!page.text.contains("<img") && !page.text.contains("<script>"), "{path}");
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("x-frame-options"), Some("DENY"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
    }
    let quoted = "/dashboard/acme/inbox?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&status=any";
    assert!(!running.page(&agent, quoted).await.text.contains("<script>"));
}

#[tokio::test]
async fn whoever_is_not_logged_in_is_asked_to_and_comes_back() {
    let world = World::new().await;
    let running = world.serve().await;
    let nobody = Answer::of(ask(&running, Method::GET, "/dashboard/acme/inbox?status=any")).await;
    assert_eq!(nobody.status, 303);
    assert_eq!(nobody.header("location"), Some("/dashboard/login?next=%2Fdashboard%2Facme%2Finbox%3Fstatus%3Dany"));
    let log_in = async |email: &str, password: &str| {
        let fields = [("email", email), ("password", password), ("next", "//evil.example")];
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = ask(&running, Method::POST, "/dashboard/login").header("origin", &running.base);
        Answer::of(request.header("content-type", "application/x-www-form-urlencoded").body(body)).await
    };
    let wrong = log_in("nobody@example.com", "wrong password").await;
    assert_eq!(wrong.status, 401);
    assert!(wrong.text.contains("value=\"nobody@example.com\"") && !wrong.text.contains("wrong password"));

    // A cookie that outlived its session does not keep its browser out.
    let stale = async |token: &str| {
        let fields = [("email", "nobody@example.com"), ("password", "wrong password"), ("form_token", token)];
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = ask(&running, Method::POST, "/dashboard/login").header("origin", &running.base);
        let request = request.header("cookie", "vicket_session=ended");
        Answer::of(request.header("content-type", "application/x-www-form-urlencoded").body(body)).await.status
    };
    let page =
        Answer::of(ask(&running, Method::GET, "/dashboard/login").header("cookie", "vicket_session=ended")).await;
    assert_eq!((stale(&token(&page.text)).await, stale("none").await), (401, 403));
}

#[tokio::test]
async fn a_machine_key_is_in_one_answer_and_never_more_than_who_made_it() {
    let world = World::new().await;
    let running = world.serve().await;
    let (owner, admin) = (world.person("acme", "owner").await, world.person("acme", "admin").await);
    let path = "/dashboard/acme/machine-keys";
    for role in ["viewer", "agent"] {
        let person = world.person("acme", role).await;
        assert_eq!(running.page(&person, path).await.status, 403, "{role}");
        let start = running.page(&person, "/dashboard/acme/sites").await;
        assert!(!start.text.contains("machine-keys"), "{role} is offered it");
        let fields =
            [("form_token", token(&start.text)), ("action", "create".to_owned()), ("name", "Export".to_owned())];
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(running.form(&person, path, &fields).await.status, 403, "{role}");
    }
    let before = running.page(&owner, path).await.text;
    let (token, newest) = (token(&before), hidden(&before, "newest"));
    let fields = |extra: &[(&'static str, &'static str)]| {
        let own = [("form_token", token.clone()), ("newest", newest.clone())];
        let extra = extra.iter().map(|(name, value)| (*name, (*value).to_owned()));
        own.into_iter().chain(extra).collect::<Vec<_>>()
    };
    let send = async |person: &Person, fields: Vec<(&str, String)>| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        running.form(person, path, &fields).await
    };
    let whole = [("action", "create"), ("name", "Export"), ("permission", "ticket:read"), ("last_day", "2999-12-31")];
    for (fault, status) in [
        (&[("action", "create"), ("name", "Export")][..], 400),
        (&[("action", "create"), ("name", " "), ("permission", "ticket:read")], 400),
        (&[("action", "create"), ("name", "Export"), ("permission", "ticket:read"), ("last_day", "2020-01-01")], 400),
        (&[("action", "create"), ("name", "Export"), ("permission", "no:such")], 422),
    ] {
        assert_eq!(send(&owner, fields(fault)).await.status, status, "{fault:?}");
    }
    assert_eq!(world.look::<i64>("select count(*) from vicket.machine_keys").await, 0);

    let revealed = send(&owner, fields(&whole)).await;
    assert_eq!((revealed.status, revealed.header("cache-control")), (200, Some("no-store")));
    let (_, rest) = revealed.text.split_once("id=\"key\">").expect("the key");
    let key = rest.split('<').next().expect("its end").to_owned();
    let use_it = async || {
        let request =
            ask(&running, Method::GET, "/v1/orgs/acme/tickets").header("authorization", format!("Bearer {key}"));
        Answer::of(request).await.status
    };
    assert_eq!(use_it().await, 200);
    let again = send(&owner, fields(&whole)).await;
    assert_eq!(again.status, 409);
    let listed = running.page(&owner, path).await.text;
    assert!(listed.contains("Export") && listed.contains("1 Jan 3000, 00:00 UTC"), "{listed}");
    assert!(!again.text.contains(&key) && !listed.contains(&key), "shown once more");
    assert_eq!(world.look::<i64>("select count(*) from vicket.machine_keys").await, 1);

    // An admin gives no permission that only owners have, and nobody of another org revokes.
    let page = running.page(&admin, path).await.text;
    let newest = hidden(&page, "newest");
    let lacking = [("action", "create"), ("name", "Delete"), ("permission", "org:delete"), ("newest", newest.as_str())];
    assert!(!page.contains("value=\"org:delete\"") && page.contains("value=\"ticket:read\""));
    assert_eq!(running.send(&admin, path, &lacking).await.status, 403);
    let id = hidden(&listed, "id");
    let revoke = [("action", "revoke"), ("id", id.as_str()), ("sure", "yes")];
    let rival = world.person("globex", "owner").await;
    assert_eq!(running.send(&rival, "/dashboard/globex/machine-keys", &revoke).await.status, 404);
    assert_eq!(running.send(&owner, path, &revoke[..2]).await.status, 400);
    assert_eq!(use_it().await, 200);
    assert_eq!(running.send(&owner, path, &revoke).await.status, 303);
    assert_eq!(use_it().await, 401);
}

#[tokio::test]
async fn teams_are_made_filled_and_deleted_by_who_may() {
    let world = World::new().await;
    let running = world.serve().await;
    let (admin, agent) = (world.person("acme", "admin").await, world.person("acme", "agent").await);
    let list = "/dashboard/acme/teams";
    assert!(!running.page(&agent, list).await.text.contains("Create a team"));
    assert_eq!(running.send(&agent, list, &[("name", "App")]).await.status, 403);
    assert_eq!(running.send(&admin, list, &[("name", " ")]).await.status, 400);
    let made = running.send(&admin, list, &[("name", "App")]).await;
    assert_eq!(made.status, 303);
    assert_eq!(running.send(&admin, list, &[("name", "App")]).await.status, 409);
    let team = made.header("location").expect("the team").trim_end_matches("?done=created").to_owned();

    let member: uuid::Uuid = world
        .look(
            "select user_id from vicket.members m join vicket.orgs o on o.id = m.org_id where o.slug = 'acme' limit 1",
        )
        .await;
    let stranger: uuid::Uuid = {
        world.person("globex", "viewer").await;
        world.look("select user_id from vicket.members m join vicket.orgs o on o.id = m.org_id where o.slug = 'globex' limit 1").await
    };
    let (member, stranger) = (member.to_string(), stranger.to_string());
    let save = |who: &'_ str| {
        [("action", "save"), ("name", "App support"), ("site", "site-a"), ("member", who)]
            .map(|(a, b)| (a, b.to_owned()))
    };
    let send = async |person: &Person, fields: &[(&str, String)]| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        running.send(person, &team, &fields).await.status
    };
    let filled = "select count(*) from vicket.team_members";
    assert_eq!(send(&agent, &save(&member)).await, 403);
    assert_eq!(send(&admin, &save(&stranger)).await, 422);
    assert_eq!(send(&admin, &save("nobody")).await, 404);
    assert_eq!(world.look::<i64>(filled).await, 0);
    assert_eq!(send(&admin, &save(&member)).await, 303);
    assert_eq!(world.look::<i64>(filled).await, 1);
    assert_eq!(world.look::<i64>("select count(*) from vicket.team_sites").await, 1);
    let page = running.page(&admin, &team).await.text;
    assert!(
        page.contains(&format!("value=\"{member}\" checked")) && page.contains("value=\"site-a\" checked"),
        "{page}"
    );
    // Somebody who is no member of the team's org sees and changes nothing, by whichever path.
    let rival = world.person("globex", "owner").await;
    let through_own = team.replace("acme", "globex");
    assert_eq!(running.page(&rival, &team).await.status, 404);
    assert_eq!(running.page(&rival, &through_own).await.status, 404);
    let fields = [("form_token", token(&running.page(&rival, "/dashboard/globex/teams").await.text))];
    let delete = [("form_token", fields[0].1.as_str()), ("action", "delete"), ("sure", "yes")];
    assert_eq!(running.form(&rival, &through_own, &delete).await.status, 404);
    assert_eq!(running.send(&admin, &team, &delete[1..2]).await.status, 400);
    assert_eq!(running.send(&admin, &team, &delete[1..]).await.status, 303);
    assert_eq!(world.look::<i64>("select count(*) from vicket.teams").await, 0);
}

#[tokio::test]
async fn a_method_that_a_page_has_not_is_told_which_it_has() {
    let world = World::new().await;
    let running = world.serve().await;
    let owner = world.person("acme", "owner").await;
    let token = token(&running.page(&owner, "/dashboard/acme/sites").await.text);
    for path in ["", "/acme", "/acme/help", "/acme/events", "/acme/audit", "/acme/templates"] {
        let answer = running.form(&owner, &format!("/dashboard{path}"), &[("form_token", &token)]).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{path}");
    }
    for path in ["/dashboard/logout", "/dashboard/acme/help/preview"] {
        let answer = running.page(&owner, path).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{path}");
    }
    let put = ask(&running, Method::PUT, "/dashboard/acme/sites").header("cookie", &owner.cookie);
    let put = Answer::of(put).await;
    assert_eq!((put.status, put.header("allow")), (405, Some("GET, HEAD, POST")));
    assert_eq!(running.form(&owner, "/dashboard/acme/nothing", &[("form_token", &token)]).await.status, 404);
}

#[tokio::test]
async fn a_path_that_can_name_nothing_is_not_there_and_slashes_too_many_do_no_harm() {
    let world = World::new().await;
    let running = world.serve().await;
    let owner = world.person("acme", "owner").await;
    for path in [
        "inbox/nonsense",
        "inbox/new",
        "sites/%00",
        "sites/%00/key",
        "sites/Site%20A",
        "help/songs/new",
        "help/faqs/nonsense",
        "workflow/colours/new",
        "teams/%FF",
        "templates/nonsense",
        "sites/site-a/key/more",
    ] {
        let answer = running.page(&owner, &format!("/dashboard/acme/{path}")).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.header("cache-control") == Some("no-store") && answer.text.contains("Go to the dashboard"));
    }
    for path in ["/dashboard/acme/sites/", "/dashboard//acme//sites", "/dashboard/acme/sites/site%2Da"] {
        let answer = running.page(&owner, path).await;
        assert_eq!((answer.status, answer.header("vary")), (200, Some("Cookie")), "{path}");
    }
    let head = ask(&running, Method::HEAD, "/dashboard/acme/sites").header("cookie", &owner.cookie);
    let head = Answer::of(head).await;
    assert!(head.status == 200 && head.text.is_empty() && head.header("content-security-policy").is_some());
}

#[tokio::test]
async fn an_article_or_faq_that_another_changed_is_saved_over_only_knowingly() {
    let world = World::new().await;
    let server = world.serve().await;
    let owner = world.person("acme", "owner").await;
    let other = world.person("acme", "admin").await;
    for kind in ["articles", "faqs"] {
        let new = format!("/dashboard/acme/help/{kind}/new");
        let fields = [("action", "save"), ("title", "How to begin"), ("body", "First.")];
        let made = server.send(&owner, &new, &fields).await;
        let path = made.header("location").expect("a page").split('?').next().expect("a path").to_owned();
        let version = |page: &str| {
            let (_, rest) = page.split_once("name=\"version\" value=\"").expect("a version");
            rest.split_once('"').expect("its end").0.to_owned()
        };
        let read = version(&server.page(&owner, &path).await.ok(200).text);
        let save = async |person, version: &str, body: &str| {
            let slug = if kind == "faqs" { "" } else { "how-to-begin" };
            let fields =
                [("action", "save"), ("title", "How to begin"), ("slug", slug), ("body", body), ("version", version)];
            server.send(person, &path, &fields).await
        };
        assert_eq!(save(&other, &read, "Second.").await.status, 303, "{kind}");
        let told = save(&owner, &read, "Third.").await;
        assert!(told.status == 409 && told.text.contains("Somebody changed this since"), "{kind}: {}", told.text);
        // Nothing that was typed is lost, and what the other wrote neither.
        assert!(told.text.contains("Third.") && !told.text.contains(&read), "{kind}: {}", told.text);
        assert!(server.page(&owner, &path).await.text.contains("Second."), "{kind}");
        assert_eq!(save(&owner, "yesterday", "Third.").await.status, 400, "{kind}");
        // Knowing it, they may; and what is wrong otherwise leaves them as far as they were.
        let now = version(&told.text);
        let fields = [("action", "save"), ("title", " "), ("body", "Third."), ("version", &now)];
        let refused = server.send(&owner, &path, &fields).await;
        assert_eq!((refused.status, version(&refused.text)), (400, now.clone()), "{kind}");
        assert_eq!(save(&owner, &now, "Third.").await.status, 303, "{kind}");
        assert!(server.page(&other, &path).await.text.contains("Third."), "{kind}");
    }
}
