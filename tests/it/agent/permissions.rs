//! The role matrix, tried: every role and permission over HTTP and in SQL as the gate. What is expected stands here, not
//! in the database that is asked.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use vicket::{db::OrgTx, domain::permissions::Permission};

use super::People;
use crate::harness::World;

/// Every permission, and which roles have it: owner, admin, agent, viewer.
pub const MATRIX: &[(&str, [bool; 4])] = &[
    ("apikey:rotate", [true, true, false, false]),
    ("article:publish", [true, true, false, false]),
    ("article:read", [true, true, true, true]),
    ("article:write", [true, true, true, false]),
    ("audit:read", [true, true, false, false]),
    ("billing:manage", [true, false, false, false]),
    ("machinekey:edit", [true, true, false, false]),
    ("mail:edit", [true, true, false, false]),
    ("mail:read", [true, true, false, false]),
    ("member:invite", [true, true, false, false]),
    ("member:role_set", [true, true, false, false]),
    ("org:delete", [true, false, false, false]),
    ("org:edit", [true, true, false, false]),
    ("priority:edit", [true, true, false, false]),
    ("priority:read", [true, true, true, true]),
    ("reply:edit", [true, true, true, false]),
    ("reply:read", [true, true, true, false]),
    ("site:create", [true, true, false, false]),
    ("site:delete", [true, false, false, false]),
    ("site:edit", [true, true, false, false]),
    ("status:edit", [true, true, false, false]),
    ("status:read", [true, true, true, true]),
    ("tag:edit", [true, true, false, false]),
    ("team:edit", [true, true, false, false]),
    ("template:edit", [true, true, false, false]),
    ("ticket:assign", [true, true, true, false]),
    ("ticket:delete", [true, true, false, false]),
    ("ticket:read", [true, true, true, true]),
    ("ticket:write", [true, true, true, false]),
    ("view:share", [true, true, false, false]),
];

fn has(role: &str, permission: &str) -> bool {
    let column = ["owner", "admin", "agent", "viewer"].iter().position(|known| *known == role).expect("a role");
    MATRIX.iter().find(|(known, _)| *known == permission).expect("a permission of the contract").1[column]
}

/// Statements that need a permission each, and nothing else that an owner has not. What is in braces is of this world.
const STATEMENTS: &[(&str, &str)] = &[
    ("org:edit", "update vicket.orgs set name = 'x'"),
    ("view:share", "insert into vicket.saved_views (shared, name, filter) values (true, 'x', '{}')"),
    ("org:delete", "select 1 where ctx.remove_large('orgs', ctx.org_id())"),
    (
        "member:invite",
        "insert into vicket.invitations (email, role, token_hash) values ('a@b.c', 'agent', sha256('x'))",
    ),
    ("member:invite", "select id from vicket.invitations"),
    ("member:invite", "select generate_series(1, ctx.remove('invitations', array(select id from vicket.invitations)))"),
    ("member:role_set", "update vicket.members set role = 'viewer' where role = 'agent' and user_id = '{spare}'"),
    (
        "member:role_set",
        "select generate_series(1, ctx.remove('members', array(select user_id from vicket.members where user_id = '{spare}')))",
    ),
    ("site:create", "insert into vicket.sites (slug, name) values ('new', 'New')"),
    ("site:edit", "update vicket.sites set name = 'x'"),
    ("site:edit", "insert into vicket.site_origins (site_id, origin) values ('{site}', 'https://x.example')"),
    (
        "site:edit",
        "select generate_series(1, ctx.remove('site_origins', '{}', site_id, origin)) from vicket.site_origins",
    ),
    ("site:edit", "select origin from vicket.refused_origins"),
    ("site:edit", "select generate_series(1, ctx.remove('refused_origins', '{}', id)) from vicket.sites"),
    ("site:delete", "select 1 from vicket.sites where ctx.remove_large('sites', id)"),
    ("apikey:rotate", "update vicket.site_keys set state = 'revoked', revoked_at = now()"),
    (
        "apikey:rotate",
        "insert into vicket.site_keys (site_id, key_hash, hint, state) values ('{site}', sha256('x'), 'hint', 'staged')",
    ),
    (
        "machinekey:edit",
        "insert into vicket.machine_keys (name, key_hash, hint, permissions) values ('x', sha256('x'), 'hint', array['ticket:read'])",
    ),
    ("machinekey:edit", "select id from vicket.machine_keys"),
    ("machinekey:edit", "update vicket.machine_keys set revoked_at = now()"),
    ("mail:read", "select address from vicket.suppressions"),
    ("mail:read", "select last_error from vicket.tasks"),
    ("mail:edit", "select generate_series(1, ctx.remove('suppressions', array(select id from vicket.suppressions)))"),
    ("mail:edit", "select 1 from vicket.tasks where ctx.run_again(id) > 0"),
    ("audit:read", "select seq from vicket.audit_log"),
    ("article:read", "select id from vicket.articles"),
    ("article:read", "select id from vicket.faqs"),
    ("article:write", "insert into vicket.articles (slug, title) values ('new', 'New')"),
    ("article:write", "update vicket.articles set title = 'x'"),
    ("article:write", "select generate_series(1, ctx.remove('articles', array(select id from vicket.articles)))"),
    ("article:write", "insert into vicket.faqs (question) values ('New?')"),
    ("article:write", "update vicket.faqs set question = 'x'"),
    ("article:write", "select generate_series(1, ctx.remove('faqs', array(select id from vicket.faqs)))"),
    ("ticket:read", "select id from vicket.tickets"),
    ("ticket:read", "select id from vicket.ticket_messages"),
    (
        "ticket:write",
        "update vicket.tickets set priority_id = (select id from vicket.priorities where name = 'Urgent')",
    ),
    (
        "ticket:write",
        "insert into vicket.ticket_messages (site_id, ticket_id, author, body) select site_id, id, 'agent', 'x' from vicket.tickets",
    ),
    ("ticket:write", "insert into vicket.tickets (site_id, email, subject) values ('{site}', 'a@b.example', 'x')"),
    ("ticket:write", "update vicket.tickets set snoozed_until = now() + interval '1 day'"),
    ("ticket:assign", "update vicket.tickets set assignee_id = ctx.actor_user_id()"),
    ("ticket:delete", "select generate_series(1, ctx.remove('tickets', array(select id from vicket.tickets)))"),
    ("status:read", "select id from vicket.statuses"),
    ("status:edit", "insert into vicket.statuses (name, category) values ('New', 'open')"),
    ("status:edit", "update vicket.statuses set position = 9"),
    ("status:edit", "select 1 from vicket.statuses where not is_default and ctx.remove_large('statuses', id)"),
    ("priority:read", "select id from vicket.priorities"),
    ("priority:edit", "insert into vicket.priorities (name) values ('New')"),
    ("priority:edit", "update vicket.priorities set position = 9"),
    ("priority:edit", "select 1 from vicket.priorities where not is_default and ctx.remove_large('priorities', id)"),
    ("tag:edit", "insert into vicket.tags (name) values ('New')"),
    ("tag:edit", "update vicket.tags set colour = 'red'"),
    ("tag:edit", "select 1 from vicket.tags where ctx.remove_tag(id)"),
    ("ticket:read", "select id from vicket.tags"),
    (
        "ticket:write",
        "insert into vicket.ticket_tags (site_id, ticket_id, tag_id) select t.site_id, t.id, g.id from vicket.tickets t, vicket.tags g",
    ),
    (
        "ticket:write",
        "insert into vicket.ticket_merges (site_id, ticket_id, into_id)
         select t.site_id, t.id, w.id from vicket.tickets t join vicket.tickets w on w.site_id = t.site_id and w.id > t.id",
    ),
    ("team:edit", "insert into vicket.teams (name) values ('New')"),
    ("template:edit", "insert into vicket.templates (name) values ('New')"),
    ("reply:read", "select body from vicket.saved_replies"),
    ("reply:edit", "insert into vicket.saved_replies (name, body) values ('New', 'Hi')"),
    ("reply:edit", "update vicket.saved_replies set body = 'x'"),
    (
        "reply:edit",
        "select generate_series(1, ctx.remove('saved_replies', array(select id from vicket.saved_replies)))",
    ),
    ("article:read", "select search from vicket.missed_searches"),
    ("article:publish", "update vicket.articles set status = 'archived'"),
    ("article:publish", "update vicket.faqs set status = 'archived'"),
];

/// Runs a statement in a savepoint that is rolled back; how many rows it saw or touched, or its SQLSTATE.
async fn try_out(tx: &mut OrgTx, sql: &str) -> Result<u64, String> {
    sqlx::raw_sql("savepoint trial").execute(tx.connection()).await.expect("a savepoint");
    let outcome = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(tx.connection()).await;
    sqlx::raw_sql("rollback to savepoint trial").execute(tx.connection()).await.expect("rolled back");
    let code = |error: sqlx::Error| {
        error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default().into_owned()
    };
    outcome.map(|done| done.rows_affected()).map_err(code)
}

/// Rows for every statement to find.
async fn arranged(world: &World, people: &People) -> String {
    let spare = world.person("acme", "agent").await.id.to_string();
    world
        .arrange(&format!(
            "insert into vicket.invitations (org_id, email, role, token_hash, invited_by)
             select id, 'guest@example.com', 'agent', sha256(slug::bytea), 'cli' from vicket.orgs;
             insert into vicket.refused_origins (org_id, site_id, origin, times, first_seen, last_seen)
             select org_id, id, 'https://elsewhere.example', 1, now(), now() from vicket.sites;
             insert into vicket.missed_searches (org_id, site_id, day, search, times)
             select org_id, id, current_date, 'reset password', 1 from vicket.sites;
             insert into vicket.saved_replies (org_id, name, body, updated_by)
             select id, 'Hello', 'Hi', 'cli' from vicket.orgs;
             insert into vicket.tags (org_id, name) select id, 'billing' from vicket.orgs;
             insert into vicket.tickets (org_id, site_id, email, subject)
             select org_id, id, 'ada@example.com', 'Help' from vicket.sites, generate_series(1, 2);
             insert into vicket.ticket_messages (org_id, site_id, ticket_id, body)
             select org_id, site_id, id, 'Help' from vicket.tickets;
             insert into vicket.suppressions (org_id, site_id, address, reason)
             select org_id, id, 'gone@example.com', '550 no such mailbox' from vicket.sites;
             insert into vicket.mails (org_id, site_id, kind, ticket_id, recipient, message_ref)
             select org_id, site_id, 'ticket_received', id, email, '<m.1@example.com>' from vicket.tickets;
             insert into vicket.tasks (org_id, site_id, kind, subject_id, dead_at)
             select org_id, site_id, 'mail', id, now() from vicket.mails;
             insert into vicket.machine_keys (org_id, name, key_hash, hint, permissions, created_by)
             select org_id, 'robot', sha256(user_id::text::bytea), 'hint', array['ticket:read'], user_id
             from vicket.members where user_id in ('{}', '{}')",
            people.owner.id, people.rival.id
        ))
        .await;
    spare
}

#[tokio::test]
async fn in_sql_as_the_gate_each_role_can_do_what_the_matrix_says_and_nothing_else() {
    let world = World::new().await;
    let people = People::of(&world).await;
    let spare = arranged(&world, &people).await;
    let gate = world.agent_gate();
    let mut tried = 0;
    for (role, person) in people.roles() {
        let mut tx = world.agent(&gate, person, "acme").await;
        for (permission, _) in MATRIX {
            let may: bool = sqlx::query_scalar("select ctx.may($1)")
                .bind(permission)
                .fetch_one(tx.connection())
                .await
                .expect("granted");
            assert_eq!(may, has(role, permission), "{role}: {permission}");
            tried += 1;
        }
        for (permission, sql) in STATEMENTS {
            let sql = sql.replace("{spare}", &spare).replace("{site}", &world.site_a.id.to_string());
            let outcome = try_out(&mut tx, &sql).await;
            if has(role, permission) {
                assert!(outcome.as_ref().is_ok_and(|rows| *rows > 0), "{role} has {permission}: {sql}: {outcome:?}");
            } else {
                let refused = outcome == Ok(0) || outcome == Err("42501".to_owned());
                assert!(refused, "{role} lacks {permission}: {sql}: {outcome:?}");
            }
            tried += 1;
        }
    }
    println!("{tried} trials of four roles in SQL");
    assert!(tried >= 4 * (28 + 50), "only {tried}");
}

#[tokio::test]
async fn every_permission_of_the_matrix_is_one_that_an_owner_can_be_refused_in_nothing() {
    let world = World::new().await;
    let people = People::of(&world).await;
    let gate = world.agent_gate();
    let mut tx = world.agent(&gate, &people.owner, "acme").await;
    let actor = tx.actor().expect("somebody").permissions.clone();
    let actor: Vec<_> = actor.into_iter().map(Permission::as_str).collect();
    let expected: Vec<_> = MATRIX.iter().map(|(permission, _)| *permission).collect();
    assert_eq!(actor, expected, "what the database knows and what the contract says");
    let none: bool =
        sqlx::query_scalar("select ctx.may('ticket:fly')").fetch_one(tx.connection()).await.expect("granted");
    assert!(!none);
}

#[tokio::test]
async fn a_statement_without_where_touches_the_own_org_only() {
    let world = World::new().await;
    let people = People::of(&world).await;
    arranged(&world, &people).await;
    let gate = world.agent_gate();
    let mut tx = world.agent(&gate, &people.owner, "acme").await;
    for (sql, table) in [
        ("update vicket.sites set name = 'x'", "sites"),
        (
            "select generate_series(1, ctx.remove('site_origins', '{}', site_id, origin)) from vicket.site_origins",
            "site_origins",
        ),
        ("select generate_series(1, ctx.remove('refused_origins', '{}', id)) from vicket.sites", "refused_origins"),
        ("update vicket.saved_replies set body = 'x'", "saved_replies"),
        (
            "select generate_series(1, ctx.remove('saved_replies', array(select id from vicket.saved_replies)))",
            "saved_replies",
        ),
        (
            "select generate_series(1, ctx.remove('invitations', array(select id from vicket.invitations)))",
            "invitations",
        ),
        (
            "select generate_series(1, ctx.remove('suppressions', array(select id from vicket.suppressions)))",
            "suppressions",
        ),
        ("select 1 from vicket.tasks where ctx.run_again(id) > 0", "tasks"),
        ("update vicket.machine_keys set revoked_at = now()", "machine_keys"),
        ("update vicket.site_keys set state = 'revoked', revoked_at = now()", "site_keys"),
        ("update vicket.tickets set assignee_id = ctx.actor_user_id()", "tickets"),
        ("select generate_series(1, ctx.remove('tickets', array(select id from vicket.tickets)))", "tickets"),
        ("update vicket.priorities set position = 9", "priorities"),
        ("update vicket.articles set title = 'x'", "articles"),
        ("select generate_series(1, ctx.remove('faqs', array(select id from vicket.faqs)))", "faqs"),
        ("select 1 from vicket.sites where ctx.remove_large('sites', id)", "sites"),
    ] {
        let count = async |org: uuid::Uuid| -> i64 {
            world.look(&format!("select count(*) from vicket.{table} where org_id = '{org}'")).await
        };
        let (own, foreign) = (count(world.site_a.org_id).await, count(world.site_c.org_id).await);
        assert!(own > 0 && foreign > 0, "{table}: nothing to tell apart");
        assert_eq!(try_out(&mut tx, sql).await, Ok(own.unsigned_abs()), "{sql}");
    }
    tx.commit().await.expect("commit");
}

#[tokio::test]
async fn injected_sql_that_moves_the_context_finds_what_the_same_person_may_see_there() {
    let world = World::new().await;
    let people = People::of(&world).await;
    let gate = world.agent_gate();
    let mut tx = world.agent(&gate, &people.owner, "acme").await;
    let globex = world.site_c.org_id;
    // Where the database is hardened, set_config is nobody's; SET is everybody's, and is no less than it.
    let moved = format!("set local app.org_id = '{globex}'");
    sqlx::raw_sql(AssertSqlSafe(moved)).execute(tx.connection()).await.expect("SET has no privilege");
    for sql in [
        "select id from vicket.sites",
        "select 1 from vicket.sites where ctx.remove_large('sites', id)",
        "update vicket.orgs set name = 'x'",
    ] {
        assert_eq!(try_out(&mut tx, sql).await, Ok(0), "{sql}");
    }
    let forged = "insert into vicket.sites (slug, name) values ('x', 'x')";
    assert_eq!(try_out(&mut tx, forged).await, Err("42501".to_owned()));
    for forged in ["app.user_id", "app.site_id", "app.key_hash"] {
        let forged = format!("set local {forged} = '{}'", people.rival.id);
        let _ = sqlx::raw_sql(AssertSqlSafe(forged)).execute(tx.connection()).await;
    }
    assert_eq!(try_out(&mut tx, "select id from vicket.sites").await, Ok(0));
    // As the gate itself there is nothing at all.
    sqlx::raw_sql("reset role").execute(tx.connection()).await.expect("reset");
    assert_eq!(try_out(&mut tx, "select id from vicket.sites").await, Err("42501".to_owned()));
}

/// A path of the document with this world's names in it.
fn filled(path: &str) -> String {
    path.replace("{org}", "acme").replace("{site}", "site-a").replace("{id}", "6f2c1c1e-9a4e-4f6e-8a3a-0d9f3d5e7b21")
}

#[tokio::test]
async fn over_http_each_role_may_do_what_the_document_says_and_is_refused_the_rest_by_name() {
    let (mut tried, mut refused) = (0, 0);
    let document: Value = serde_json::from_str(&vicket::api::agent::document().expect("complete")).expect("JSON");
    for role in 0..4 {
        // A world of its own, since what is allowed is done. Deletions come last, the org's after all.
        let world = World::new().await;
        let server = world.serve().await;
        let people = People::of(&world).await;
        let (role, person) = people.roles()[role];
        let mut operations = Vec::new();
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for (method, operation) in methods.as_object().expect("methods") {
                operations.push((method == "delete", path.matches('/').count(), path, method, operation));
            }
        }
        operations.sort_by_key(|(delete, depth, ..)| (*delete, std::cmp::Reverse(*depth)));
        for (.., path, method, operation) in operations {
            let permission = operation["x-permission"].as_str().expect("every operation says what it needs");
            if !permission.contains(':') {
                continue;
            }
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
            let body = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str().map(|name| {
                let name = name.rsplit('/').next().expect("a name");
                document["components"]["schemas"][name]["example"].clone()
            });
            let answer = server.call_as(person, method.clone(), &filled(path), body.as_ref()).await;
            let what = format!("{role}: {method} {path}: {} {}", answer.status, answer.text);
            if has(role, permission) {
                assert!(![401, 403, 500].contains(&answer.status), "has {permission}: {what}");
            } else {
                let detail = answer.refused(403, "permission_required").json()["detail"].to_string();
                assert!(detail.contains(&format!("`{permission}`")), "lacks {permission}: {what}");
                refused += 1;
            }
            tried += 1;
        }
    }
    println!("{tried} calls of four roles over HTTP, {refused} of them refused");
    assert!(tried >= 4 * 20 && refused >= 2 * 20, "only {tried} and {refused}");
}

#[tokio::test]
async fn what_the_document_asks_for_is_a_permission_of_the_matrix_and_unlisted_ones_are_no_ones() {
    let document: Value = serde_json::from_str(&vicket::api::agent::document().expect("complete")).expect("JSON");
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let needs = operation["x-permission"].as_str().expect("every operation says what it needs");
            let known = MATRIX.iter().any(|(permission, _)| *permission == needs);
            assert!(known || ["none", "credential", "session", "member"].contains(&needs), "{method} {path}: {needs}");
            assert_eq!(needs == "none", operation["security"] == json!([]), "{method} {path}");
        }
    }
}
