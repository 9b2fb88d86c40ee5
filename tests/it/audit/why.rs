//! `vicket audit why`: what it says of a row is what each role gets, condition by condition, and it says nothing else of it.

use crate::{
    harness::{DEPLOY, Person, World, ticket, url},
    processes::{text, vicket},
};
use uuid::Uuid;

/// Runs it as a superuser: whether it succeeded, and what it wrote where.
fn run(world: &World, args: &[&str]) -> (bool, String, String) {
    let mut command = vicket();
    let command = command.env("VICKET_ADMIN_URL", url(None, &world.database)).args(["audit", "why"]);
    let output = command.args(args).output().expect("it runs");
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

/// The explanation, which must succeed.
fn why(world: &World, args: &[&str]) -> serde_json::Value {
    let (fine, out, err) = run(world, &[args, &["--format", "json"]].concat());
    assert!(fine, "{args:?}: {out}{err}");
    let explanation: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(explanation["agrees"], true, "{explanation:#}");
    explanation
}

/// The conditions of a policy: what each says of the row, and the start of it that tells it from the others.
fn conditions(explanation: &serde_json::Value, policy: &str) -> Vec<String> {
    let found = explanation["policies"].as_array().expect("policies").iter().find(|found| found["name"] == policy);
    let of = found.unwrap_or_else(|| panic!("{policy}: {explanation:#}"))["conditions"].as_array().expect("conditions");
    let one = |condition: &serde_json::Value| {
        let sql = condition["sql"].as_str().expect("text");
        let holds = &condition["holds"];
        let holds = holds.as_str().or_else(|| holds["error"].as_str()).expect("a truth, or an error");
        format!("{holds} {}", &sql[..sql.len().min(10)])
    };
    of.iter().map(one).collect()
}

/// Admitted, and what became of the statement itself.
fn verdict(explanation: &serde_json::Value) -> (bool, String) {
    let tried = explanation["tried"].as_str().map_or_else(|| explanation["tried"].to_string(), str::to_owned);
    (explanation["admitted"].as_bool().expect("a verdict"), tried)
}

fn reached() -> (bool, String) {
    (true, "reached".to_owned())
}

fn hidden() -> (bool, String) {
    (false, "notreached".to_owned())
}

fn refused() -> (bool, String) {
    (false, r#"{"refused":"42501"}"#.to_owned())
}

async fn article(world: &World, slug: &str) -> String {
    world.look::<Uuid>(&format!("select id from vicket.articles where slug = '{slug}'")).await.to_string()
}

#[tokio::test]
async fn an_article_is_explained_condition_by_condition_for_its_site_for_another_and_as_a_draft() {
    let world = World::new().await;
    let published = article(&world, "site-a-published").await;
    let ask = |id: &str, more: &[&str]| why(&world, &[&["--table", "articles", "--id", id], more].concat());

    let own = ask(&published, &["--site", "acme/site-a"]);
    assert_eq!(verdict(&own), reached());
    assert_eq!(own["because"], serde_json::json!([]));
    let org = "true (org_id = ";
    let all_true = [org, "true ((site_id ", "true (status = "];
    assert_eq!(conditions(&own, "widget_select"), all_true);
    assert_eq!(conditions(&own, "widget_all_sealed"), [org, "true ((site_id "]);
    assert_eq!(own["policies"].as_array().expect("policies").len(), 2, "those of the widget that SELECT asks: {own:#}");

    // By id, and by a slug that only one site has.
    for site in ["site-b", &world.site_b.id.to_string()] {
        let other_site = ask(&published, &["--site", site]);
        assert_eq!(verdict(&other_site), hidden());
        let not_this_site = [org, "false ((site_id ", "true (status = "];
        assert_eq!(conditions(&other_site, "widget_select"), not_this_site);
        assert_eq!(conditions(&other_site, "widget_all_sealed"), [org, "false ((site_id "]);
        assert_eq!(other_site["because"].as_array().expect("reasons").len(), 2, "{other_site:#}");
    }

    let other_org = ask(&published, &["--site", "globex/site-c"]);
    assert_eq!(verdict(&other_org), hidden());
    let nothing_of_it = ["false (org_id = ", "false ((site_id ", "true (status = "];
    assert_eq!(conditions(&other_org, "widget_select"), nothing_of_it);

    let draft = ask(&article(&world, "site-a-draft").await, &["--site", "acme/site-a"]);
    assert_eq!(verdict(&draft), hidden());
    let unpublished = [org, "true ((site_id ", "false (status = "];
    assert_eq!(conditions(&draft, "widget_select"), unpublished);
    let because = draft["because"].as_array().expect("reasons");
    assert_eq!(because.len(), 1, "{because:?}");
    assert_eq!(
        because[0],
        "no permissive policy for SELECT passes: widget_select: (status = 'published'::text) is false"
    );

    let nobody = ask(&published, &[]);
    assert_eq!(verdict(&nobody), hidden());
    assert!(
        conditions(&nobody, "widget_all_sealed").iter().all(|condition| condition.starts_with("null ")),
        "{nobody:#}"
    );

    // A key cannot change anything: no policy, no grant.
    let update = ask(&published, &["--site", "acme/site-a", "--command", "update"]);
    assert_eq!(verdict(&update), refused());
    assert_eq!(update["because"], serde_json::json!(["no UPDATE", "no policy lets this role UPDATE"]));
}

#[tokio::test]
async fn the_seal_refuses_a_context_that_was_moved_without_its_key() {
    let world = World::new().await;
    let published = article(&world, "site-a-published").await;
    // A site without a key has none in the context either.
    world.arrange("update vicket.site_keys set state = 'revoked', revoked_at = now() where site_id = (select id from vicket.sites where slug = 'site-b')").await;
    for (key_of, seal) in [("none", "null "), ("globex/site-c", "false "), ("acme/site-b", "null ")] {
        let injected =
            why(&world, &["--table", "articles", "--id", &published, "--site", "acme/site-a", "--key-of", key_of]);
        assert_eq!(verdict(&injected), hidden(), "{key_of}");
        assert!(conditions(&injected, "widget_select").iter().all(|condition| condition.starts_with("true ")));
        assert!(
            conditions(&injected, "widget_all_sealed").iter().all(|condition| condition.starts_with(seal)),
            "{injected:#}"
        );
        let because = injected["because"].as_array().expect("reasons");
        assert!(because.len() == 1 && because[0].as_str().is_some_and(|why| why.contains("restrictive policy")));
    }
}

/// A ticket of `site_a` whose subject, address and message are told from everything else.
async fn planted(world: &World) -> String {
    let server = world.serve().await;
    let mut body = ticket();
    body["subject"] = "Marzipan-1".into();
    body["email"] = "marzipan-2@example.com".into();
    body["message"] = "Marzipan-3".into();
    let answer = server.post(&world.site_a.key, "/support/v1/tickets", &body).await;
    let id = answer.ok(201).json()["id"].as_str().expect("an id").to_owned();
    server.stop().await;
    id
}

/// Puts somebody into a team of `site_b`.
async fn bind_to_site_b(world: &World, person: &Person) {
    world
        .arrange(&format!(
            "with team as (insert into vicket.teams (org_id, name) select org_id, 'B' from vicket.sites where slug = 'site-b' returning org_id, id),
              joined as (insert into vicket.team_members (org_id, team_id, user_id) select org_id, id, '{}' from team)
            insert into vicket.team_sites (org_id, team_id, site_id) select org_id, id, '{}' from team",
            person.id, world.site_b.id
        ))
        .await;
}

#[tokio::test]
async fn a_ticket_is_explained_for_customers_agents_keys_and_commands_and_nothing_of_it_is_shown() {
    let world = World::new().await;
    let id = planted(&world).await;
    let (owner, viewer, nobody) = (
        world.person("acme", "owner").await,
        world.person("acme", "viewer").await,
        world.person("globex", "owner").await,
    );
    let bound = world.person("acme", "agent").await;
    bind_to_site_b(&world, &bound).await;
    let ask = |more: &[&str]| why(&world, &[&["--table", "vicket.tickets", "--id", &id], more].concat());
    let agent = |person: &Person, more: &[&str]| ask(&[&["--org", "acme", "--user", &person.email], more].concat());
    let first = |explanation: &serde_json::Value, policy: &str| -> Vec<String> {
        conditions(explanation, policy).iter().map(|one| one.split(' ').next().expect("a truth").to_owned()).collect()
    };

    let stranger = ask(&["--site", "acme/site-a"]);
    assert_eq!(verdict(&stranger), hidden());
    assert_eq!(first(&stranger, "widget_select"), ["true", "true", "null"], "no token");
    assert_eq!(verdict(&ask(&["--site", "acme/site-a", "--ticket", &id])), reached());
    let other_site = ask(&["--site", "acme/site-b", "--ticket", &id]);
    assert_eq!(verdict(&other_site), hidden(), "{other_site:#}");

    assert_eq!(verdict(&agent(&owner, &[])), reached());
    assert_eq!(first(&agent(&owner, &[]), "agent_select"), ["true", "true", "true"]);
    assert_eq!(first(&agent(&bound, &[]), "agent_select"), ["true", "true", "false"], "in a team of another site");
    assert_eq!(verdict(&agent(&bound, &[])), hidden());
    let no_member = agent(&nobody, &[]);
    assert_eq!(
        (verdict(&no_member), first(&no_member, "agent_select")),
        (hidden(), vec!["true".into(), "false".into(), "null".into()])
    );
    let no_credential = ask(&["--role", "agent", "--org", "acme"]);
    assert_eq!(
        (verdict(&no_credential), first(&no_credential, "agent_select")),
        (hidden(), vec!["true".into(), "false".into(), "null".into()])
    );

    // Tried to the row and no further.
    assert_eq!(verdict(&agent(&owner, &["--command", "update"])), reached());
    let update = agent(&viewer, &["--command", "update"]);
    assert_eq!(
        (verdict(&update), first(&update, "agent_update")),
        (hidden(), vec!["true".into(), "false".into(), "true".into()])
    );
    // Nobody has DELETE: who deletes asks ctx.remove.
    assert!(!verdict(&agent(&owner, &["--command", "delete"])).0);
    assert_eq!(verdict(&agent(&viewer, &[])), reached());
    assert_eq!(verdict(&ask(&["--role", "operator", "--org", "acme"])), reached());
    assert_eq!(verdict(&ask(&["--role", "operator", "--org", "globex"])), hidden());
    world
        .arrange(&format!(
            "insert into vicket.machine_keys (org_id, name, key_hash, hint, permissions, created_by)
            select org_id, 'reader', sha256('x'), 'abcd', '{{ticket:read}}', '{}' from vicket.sites where slug = 'site-a'",
            owner.id
        ))
        .await;
    let key: Uuid = world.look("select id from vicket.machine_keys").await;
    let machine = |more: &[&str]| ask(&[&["--org", "acme", "--machine-key", &key.to_string()], more].concat());
    assert_eq!(verdict(&machine(&[])), reached());
    assert_eq!(verdict(&machine(&["--command", "update"])), hidden());

    let left: (i64, i64) = (
        world.look("select count(*) from vicket.tickets").await,
        world.look("select count(*) from vicket.sessions").await,
    );
    assert_eq!(left, (1, 4), "the ticket, and the sessions of the four");
    // Nothing of the row, in either form, when it is there to see and when it is not.
    for context in [
        &["--site", "acme/site-a", "--ticket", &id][..],
        &["--site", "acme/site-b"],
        &["--org", "acme", "--user", &owner.email],
    ] {
        for format in ["text", "json"] {
            for table in ["tickets", "ticket_messages"] {
                let named = if table == "tickets" { id.clone() } else { format!("ticket_id={id}") };
                let (fine, out, err) =
                    run(&world, &[&["--table", table, "--id", &named, "--format", format], context].concat());
                assert!(fine && out.contains("agent_select") | out.contains("widget_select"), "{out}{err}");
                assert!(!(out.clone() + &err).to_lowercase().contains("marzipan"), "{out}{err}");
                assert!(!out.contains(&world.site_a.id.to_string()) && !out.contains(&id), "{out}");
            }
        }
    }
    let (_, out, _) = run(&world, &["--table", "tickets", "--id", &id, "--site", "acme/site-a"]);
    let expected = "SELECT of a row of vicket.tickets as vicket_widget\ncontext: site acme/site-a, key of acme/site-a, no ticket's token\n";
    assert!(out.starts_with(expected), "{out}");
    assert!(out.contains("\nREFUSED\n  no permissive policy for SELECT passes: widget_select: (id = "), "{out}");
    assert!(out.ends_with("Tried as vicket_widget, the statement reached no row.\n"), "{out}");
}

#[tokio::test]
async fn what_a_condition_selects_elsewhere_is_what_the_role_sees_there() {
    let world = World::new().await;
    let id = planted(&world).await;
    let message: Uuid = world.look("select id from vicket.ticket_messages").await;
    world
        .arrange(&format!(
            "insert into vicket.attachments (org_id, site_id, ticket_id, message_id, upload_id, name, content_type, size, content)
            select org_id, site_id, ticket_id, id, id, 'note.txt', 'text/plain', 1, 'x' from vicket.ticket_messages;
            update vicket.ticket_messages set internal = true, author = 'agent' where id = '{message}'"
        ))
        .await;
    let file: Uuid = world.look("select id from vicket.attachments").await;
    let explained =
        why(&world, &["--table", "attachments", "--id", &file.to_string(), "--site", "acme/site-a", "--ticket", &id]);
    let of = conditions(&explained, "widget_select");
    assert_eq!(verdict(&explained), hidden());
    // The message is there, and the widget must not see it.
    assert!(
        of.len() == 4 && of[3] == "false (message_i" && of[..3].iter().all(|one| one.starts_with("true ")),
        "{of:?}"
    );
}

#[tokio::test]
async fn a_table_without_row_level_security_or_without_policies_says_so() {
    let world = World::new().await;
    let published = article(&world, "site-a-published").await;
    let ask = |more: &[&str]| why(&world, &[&["--table", "articles", "--id", &published], more].concat());
    world.arrange("alter table vicket.articles disable row level security").await;
    let off = ask(&["--site", "globex/site-c"]);
    assert_eq!((verdict(&off), &off["in_force"]), (reached(), &false.into()));
    assert_eq!(off["row_security"], "OFF: no policy is asked");
    world
        .arrange("alter table vicket.articles enable row level security; drop policy widget_select on vicket.articles")
        .await;
    let none = ask(&["--site", "acme/site-a"]);
    assert_eq!(verdict(&none), hidden());
    assert_eq!(none["because"], serde_json::json!(["no policy lets this role SELECT"]));
    world.arrange("revoke select on vicket.articles from vicket_widget").await;
    world.arrange("do $$ declare c record; begin for c in select attname from pg_attribute where attrelid = 'vicket.articles'::regclass and attnum > 0
      loop execute format('revoke select (%I) on vicket.articles from vicket_widget', c.attname); end loop; end $$").await;
    let ungranted = ask(&["--site", "acme/site-a"]);
    assert_eq!((verdict(&ungranted), &ungranted["grant"]), (refused(), &"no SELECT".into()));
}

#[tokio::test]
async fn an_explanation_that_postgresql_does_not_share_is_a_failure() {
    let world = World::new().await;
    let published = article(&world, "site-a-published").await;
    let args = ["--table", "articles", "--id", &published, "--site", "acme/site-a"];
    // The copy that is asked about has no place in the table.
    world.arrange("alter policy widget_all_sealed on vicket.articles using (ctid is not null)").await;
    let (fine, out, err) = run(&world, &args);
    assert!(!fine && out.contains("  42703  (ctid IS NOT NULL)"), "{out}");
    assert!(err.contains("does not do what grants and policies say: the statement reached the row"), "{err}");
    // An error that the statement shares is an explanation.
    world.arrange("alter policy widget_all_sealed on vicket.articles using (1 / length(left(slug, 0)) = 1)").await;
    let broken = why(&world, &args);
    assert_eq!(verdict(&broken), (false, r#"{"refused":"22012"}"#.to_owned()));
    assert_eq!(conditions(&broken, "widget_all_sealed"), ["22012 ((1 / leng"]);
}

#[tokio::test]
async fn what_cannot_be_explained_is_an_error_that_says_why() {
    let world = World::new().await;
    let published = article(&world, "site-a-published").await;
    let unknown = Uuid::new_v4().to_string();
    for (args, said) in [
        (
            &["--table", "articels", "--id", &published][..],
            "there is no table `articels`; there are account_mails, articles, ",
        ),
        (&["--table", "pg_catalog.pg_authid", "--id", "1"], "there is no table `pg_catalog.pg_authid`"),
        (&["--table", "articles", "--id", &unknown], "there is no such row in vicket.articles, for nobody"),
        (&["--table", "articles", "--id", "x' or true --"], "invalid input syntax for type uuid"),
        (&["--table", "articles", "--id", "title\" or true --=x"], "has no column"),
        (
            &["--table", "articles", "--id", "status=draft"],
            "this names several rows of vicket.articles: give org_id, id",
        ),
        (&["--table", "members", "--id", &unknown], "its rows are named by --id org_id=.. --id user_id=.."),
        (&["--table", "articles", "--id", &published, "--site", "acme/none"], "there is no site `acme/none`"),
        (&["--table", "articles", "--id", &published, "--org", "none", "--role", "operator"], "there is no org `none`"),
        (&["--table", "articles", "--id", &published, "--org", "acme", "--user", "x@y.z"], "there is no user `x@y.z`"),
        (
            &["--table", "articles", "--id", &published, "--org", "acme", "--machine-key", &unknown],
            "there is no such machine key",
        ),
        (
            &["--table", "articles", "--id", &published, "--site", "acme/site-a", "--ticket", &unknown],
            "no token opens the ticket",
        ),
        (&["--table", "articles", "--id", &published, "--org", "acme"], "the context of the widget is a site"),
        (
            &["--table", "articles", "--id", &published, "--site", "acme/site-a", "--role", "agent"],
            "agents and commands have --org",
        ),
    ] {
        let (fine, out, err) = run(&world, args);
        assert!(!fine && out.is_empty() && err.contains(said), "{args:?}: {out}{err}");
    }
    // A login that policies hold too does not know what is hidden from it.
    for login in [DEPLOY, "vicket_gate_widget"] {
        let output = vicket()
            .env("VICKET_ADMIN_URL", world.url(login))
            .args(["audit", "why", "--table", "articles", "--id", &published, "--site", "acme/site-a"])
            .output()
            .expect("it runs");
        let err = text(&output.stderr);
        assert!(
            !output.status.success() && err.contains(&format!("{login} is itself subject to row-level security")),
            "{err}"
        );
    }
}
