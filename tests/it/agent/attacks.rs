//! What an attacker tried, and what it gets: permissions that spread, invitations that outlive their inviter, a context
//! that is emptied in mid-statement, other sessions' credentials, input that nobody expects.

use reqwest::Method;
use serde_json::json;
use sqlx::AssertSqlSafe;

use super::People;
use crate::harness::{Answer, Options, Running, World};

async fn invite_with(server: &Running, key: &str, role: &str) -> Answer {
    let body = json!({ "email": format!("{role}@evil.example"), "role": role });
    Answer::of(server.request(Method::POST, "/v1/orgs/acme/members").bearer_auth(key).json(&body)).await
}

async fn accept(server: &Running, token: &serde_json::Value) -> Answer {
    let body = json!({ "token": token, "name": "Eve", "password": "eve's password" });
    Answer::of(server.request(Method::POST, "/v1/auth/invitations/accept").json(&body)).await
}

#[tokio::test]
async fn a_machine_key_that_may_invite_or_set_roles_makes_nobody_more_than_itself() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let (_, inviter) = server.machine_key(&people.owner, &["member:invite"]).await;
    for role in ["owner", "admin", "agent", "viewer"] {
        invite_with(&server, &inviter, role).await.refused(403, "permission_required");
    }
    let viewers = ["member:invite", "ticket:read", "status:read", "priority:read", "article:read"];
    let (_, wider) = server.machine_key(&people.owner, &viewers).await;
    invite_with(&server, &wider, "viewer").await.ok(201);
    invite_with(&server, &wider, "agent").await.refused(403, "permission_required");
    let (_, setter) = server.machine_key(&people.owner, &["member:role_set"]).await;
    for (id, role) in [(people.viewer.id, "owner"), (people.viewer.id, "agent"), (people.admin.id, "viewer")] {
        let path = format!("/v1/orgs/acme/members/{id}");
        let request = server.request(Method::PATCH, &path).bearer_auth(&setter).json(&json!({ "role": role }));
        Answer::of(request).await.refused(403, "permission_required");
    }
}

#[tokio::test]
async fn an_invitation_is_worth_what_its_inviter_may_do_when_it_is_accepted() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let second = world.person("acme", "owner").await;
    let invite = async |by, email: &str, role: &str| {
        let body = json!({ "email": email, "role": role });
        server.post_as(by, "/v1/orgs/acme/members", body).await.ok(201).json()["token"].clone()
    };
    let of_removed = invite(&people.admin, "back@door.example", "admin").await;
    let of_demoted = invite(&second, "owner@door.example", "owner").await;
    let small = invite(&second, "viewer@door.example", "viewer").await;
    let path = |id| format!("/v1/orgs/acme/members/{id}");
    server.delete_as(&people.owner, &path(people.admin.id)).await.ok(204);
    server.patch_as(&people.owner, &path(second.id), json!({ "role": "admin" })).await.ok(200);
    accept(&server, &of_removed).await.refused(404, "not_found");
    accept(&server, &of_demoted).await.refused(404, "not_found");
    accept(&server, &small).await.ok(200);
}

#[tokio::test]
async fn an_invitation_is_no_second_way_to_guess_a_password() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let hash = vicket::passwords::hash("what the rival chose");
    world.arrange(&format!("update vicket.users set password_hash = '{hash}' where id = '{}'", people.rival.id)).await;
    // Of many orgs that invite one address, each guess is one of the account's tries to log in.
    let mut statuses = Vec::new();
    for number in 0..12 {
        let body = json!({ "email": people.rival.email, "role": "viewer" });
        let made = server.post_as(&people.owner, "/v1/orgs/acme/members", body).await.ok(201).json();
        let joined = accept(&server, &made["token"]).await;
        statuses.push(joined.status);
        if joined.status == 200 {
            // A wrong guess joins that org alone, and tells nothing of the account.
            assert_eq!(joined.json()["orgs"].as_array().map(Vec::len), Some(1), "{number}: {}", joined.text);
            server.delete_as(&people.owner, &format!("/v1/orgs/acme/members/{}", people.rival.id)).await.ok(204);
        } else {
            let id = made["id"].as_str().expect("an id");
            server.delete_as(&people.owner, &format!("/v1/orgs/acme/invitations/{id}")).await.ok(204);
        }
    }
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 10, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 2, "{statuses:?}");
}

#[tokio::test]
async fn where_the_database_is_not_hardened_emptying_the_context_in_mid_statement_gains_nothing() {
    let world = World::new().await;
    world.arrange("grant execute on function pg_catalog.set_config(text, text, boolean) to vicket_agent").await;
    let people = People::of(&world).await;
    let second = world.person("acme", "owner").await;
    let gate = world.agent_gate();
    let emptied = "set_config('app.session_hash', '', true)";
    for sql in [
        format!(
            "update vicket.members set role = case when user_id = '{0}' then 'owner' else role end
            where user_id in ('{1}', '{0}') returning {emptied}",
            people.viewer.id, people.agent.id
        ),
        format!("select generate_series(1, ctx.remove('members', array['{}'::uuid]) + length({emptied}))", second.id),
        format!("select generate_series(1, ctx.remove('members', array['{}'::uuid])) where {emptied} = ''", second.id),
        format!(
            "insert into vicket.invitations (email, role, token_hash) values ('a@b.c', 'viewer', sha256('x')) returning {emptied}"
        ),
    ] {
        let mut tx = world.agent(&gate, &people.admin, "acme").await;
        let outcome = sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(tx.connection()).await;
        let code = outcome.map(|done| done.rows_affected()).map_err(|error| {
            error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default().into_owned()
        });
        if sql.starts_with("insert") {
            // The row itself is what it may insert; what must not happen is that the log names somebody else.
            let actor: Option<String> = sqlx::query_scalar(
                "select actor from vicket.audit_log where object_kind = 'invitation' order by seq desc limit 1",
            )
            .fetch_optional(tx.connection())
            .await
            .unwrap_or_default();
            assert_ne!(actor.as_deref(), Some("cli"), "{code:?}");
        } else {
            let refused = matches!(&code, Err(code) if ["42501", "23514"].contains(&code.as_str()));
            // Whoever emptied it first is nobody, to whom no row goes.
            assert!(refused || sql.ends_with("= ''") && code == Ok(0), "{sql}: {code:?}");
        }
    }
    let owners = "select count(*) from vicket.members m join vicket.orgs o on o.id = m.org_id
        where o.slug = 'acme' and m.role = 'owner'";
    assert_eq!(world.look::<i64>(owners).await, 2);
    assert_eq!(world.look::<i64>("select count(*) from vicket.audit_log where actor = 'cli' and object_kind = 'member' and action = 'deleted'").await, 0);
    world.arrange("revoke execute on function pg_catalog.set_config(text, text, boolean) from vicket_agent").await;
}

#[tokio::test]
async fn where_the_database_is_hardened_a_gate_sees_and_ends_no_other_session() {
    let world = World::new().await;
    for login in ["vicket_gate_agent", "vicket_gate_widget", "vicket_worker"] {
        let mut gate = crate::harness::connect(&world.url(login)).await;
        for sql in [
            "select query from pg_stat_activity",
            "select pg_stat_get_backend_activity(1)",
            "select pg_terminate_backend(1)",
            "select pg_cancel_backend(1)",
            "select from pg_locks",
            "select pg_stat_get_backend_client_addr(1)",
            "select pg_logical_emit_message(false, 'x', 'x')",
        ] {
            let refused = sqlx::raw_sql(sql).execute(&mut gate).await.expect_err(sql);
            assert_eq!(
                refused.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref(),
                Some("42501"),
                "{login}: {sql}"
            );
        }
    }
    assert!(world.look::<bool>("select count(*) > 0 from pg_stat_activity").await, "the twin: a superuser does");
}

#[tokio::test]
async fn a_context_moved_to_another_org_takes_no_turn_there() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let gate = world.agent_gate();
    let mut tx = world.agent(&gate, &people.viewer, "acme").await;
    let moved = format!("set local app.org_id = '{}'", world.site_c.org_id);
    sqlx::raw_sql(AssertSqlSafe(moved)).execute(tx.connection()).await.expect("SET has no privilege");
    sqlx::raw_sql("update vicket.members set role = 'viewer' where false")
        .execute(tx.connection())
        .await
        .expect("granted");
    let change = server.patch_as(&people.rival, "/v1/orgs/globex/sites/site-c", json!({ "name": "Mine" }));
    tokio::time::timeout(std::time::Duration::from_secs(2), change).await.expect("nobody waits").ok(200);
    drop(tx);
}

#[tokio::test]
async fn changes_of_one_org_at_once_wait_for_each_other_and_never_deadlock() {
    let world = World::new().await;
    let server = world.serve_with(Options { connections: 8, limits: false, ..Options::default() }).await;
    let people = People::of(&world).await;
    let owner = &people.owner;
    let site = "/v1/orgs/acme/sites/site-a";
    let faq = server.post_as(owner, "/v1/orgs/acme/faqs", json!({ "question": "Why?" })).await.ok(201).json();
    let faq = format!("/v1/orgs/acme/faqs/{}", faq["id"].as_str().expect("an id"));
    for round in 0..8 {
        let name = json!({ "name": format!("Name {round}") });
        let origins = |n: u32| json!({ "origins": [format!("https://{n}-{round}.example"), "https://a.example"] });
        let (key, rotate, stage) = (format!("{site}/key"), format!("{site}/key/rotate"), format!("{site}/key/stage"));
        let (one, two) = (origins(1), origins(2));
        let (position, limits) =
            (json!({ "position": round }), json!({ "limits": { "reads_per_minute": 5000 + round } }));
        let answers = tokio::join!(
            server.call_as(owner, Method::PATCH, "/v1/orgs/acme", Some(&name)),
            server.call_as(owner, Method::PATCH, site, Some(&one)),
            server.call_as(owner, Method::PATCH, site, Some(&two)),
            server.call_as(owner, Method::PATCH, site, Some(&limits)),
            server.call_as(owner, Method::POST, &stage, None),
            server.call_as(owner, Method::POST, &rotate, None),
            server.call_as(owner, Method::DELETE, &key, None),
            server.call_as(owner, Method::PATCH, &faq, Some(&position)),
        );
        for answer in [&answers.0, &answers.1, &answers.2, &answers.3, &answers.7] {
            answer.ok(200);
        }
        for answer in [&answers.4, &answers.5, &answers.6] {
            assert!(answer.status < 500, "{}", answer.text);
        }
        // One list or the other, and no mixture that nobody asked for.
        let listed = server.get_as(owner, site).await.ok(200).json()["origins"].clone();
        assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
        server.call_as(owner, Method::POST, &key, None).await;
    }
}

#[tokio::test]
async fn input_that_nobody_expects_is_refused_and_never_a_500() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let owner = &people.owner;
    let sites = "/v1/orgs/acme/sites";
    for (method, path) in [
        (Method::GET, format!("{sites}/%00")),
        (Method::DELETE, format!("{sites}/%00/key")),
        (Method::DELETE, format!("{sites}/a%00b")),
        (Method::GET, format!("{sites}/{}", "x".repeat(3000))),
        (Method::GET, "/v1/orgs/%00".to_owned()),
        (Method::GET, "/v1/orgs/acme/articles/%00".to_owned()),
    ] {
        server.call_as(owner, method, &path, None).await.refused(404, "not_found");
    }
    server.patch_as(owner, &format!("{sites}/a%00b"), json!({ "name": "x" })).await.refused(404, "not_found");
    for expires_at in ["9999-12-31T23:59:59-23:59", "+10000-01-01T00:00:00Z", "2020-01-01T00:00:00Z", "tomorrow"] {
        let body = json!({ "name": "x", "permissions": ["org:edit"], "expires_at": expires_at });
        let refused = server.post_as(owner, "/v1/orgs/acme/machine-keys", body).await;
        refused.refused(400, "invalid_request");
    }
    for list in [
        "members",
        "sites",
        "invitations",
        "articles",
        "faqs",
        "tickets",
        "statuses",
        "teams",
        "templates",
        "machine-keys",
        "audit-log",
        "priorities",
    ] {
        for cursor in ["AAAA", "bm90IG9uZQ", "__________8", "b8AA", &"A".repeat(300)] {
            let answer = server.get_as(owner, &format!("/v1/orgs/acme/{list}?cursor={cursor}")).await;
            assert!([200, 400].contains(&answer.status), "{list} {cursor}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn a_machine_key_that_another_made_ends_with_it() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let body = json!({ "name": "parent", "permissions": ["machinekey:edit", "org:edit"], "expires_at": "2099-01-01T00:00:00Z" });
    let parent = server.post_as(&people.owner, "/v1/orgs/acme/machine-keys", body).await.ok(201).json();
    let (id, key) = (parent["id"].as_str().expect("an id"), parent["key"].as_str().expect("a key"));
    let body = json!({ "name": "child", "permissions": ["org:edit"] });
    let child = server.request(Method::POST, "/v1/orgs/acme/machine-keys").bearer_auth(key).json(&body);
    let child = Answer::of(child).await.ok(201).json();
    assert_eq!(child["expires_at"], "2099-01-01T00:00:00Z", "not later than the one that made it");
    let child = child["key"].as_str().expect("a key");
    server.call_with(child, Method::GET, "/v1/orgs/acme").await.ok(200);
    server.delete_as(&people.owner, &format!("/v1/orgs/acme/machine-keys/{id}")).await.ok(204);
    server.call_with(child, Method::GET, "/v1/orgs/acme").await.refused(401, "machine_key_invalid");
}

#[tokio::test]
async fn the_log_names_a_machine_key_that_deletes_its_org_and_an_empty_log_is_no_whole_one() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let (_, key) = server.machine_key(&people.owner, &["org:delete"]).await;
    server.call_with(&key, Method::DELETE, "/v1/orgs/acme").await.ok(204);
    let last = format!(
        "select actor_kind || ' ' || actor from vicket.audit_log where org_id = '{}' order by seq desc limit 1",
        world.site_a.org_id
    );
    assert_eq!(world.look::<String>(&last).await, "machine_key machine key robot");
    world
        .arrange(&format!(
            "alter table vicket.audit_log disable trigger user;
            delete from vicket.audit_log where org_id = '{0}'; delete from vicket.audit_heads where org_id = '{0}'",
            world.site_c.org_id
        ))
        .await;
    let mut tx = world.org("globex").await;
    let found = vicket::store::audit_log::verify(&mut tx, None).await.expect("verified");
    assert!(matches!(found, vicket::store::audit_log::Chain::Broken { seq: 1, .. }), "{found:?}");
}
