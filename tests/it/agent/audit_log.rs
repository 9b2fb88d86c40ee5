//! The audit log: what stands in it, that nobody changes it, and that tampering shows.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use vicket::{
    domain::text::OrgName,
    store::{
        self,
        audit_log::{Chain, Standing},
    },
};

use super::People;
use crate::harness::World;

const LOG: &str = "/v1/orgs/acme/audit-log";

fn told(log: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let entries = log["data"].as_array().expect("a list").iter();
    entries
        .map(|entry| {
            format!("{} {} {}", text(&entry["actor"]["name"]), text(&entry["action"]), text(&entry["object"]["kind"]))
        })
        .collect()
}

#[tokio::test]
async fn every_change_stands_in_the_log_with_its_actor_and_what_it_was_before_and_after() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let (_, key) = server.machine_key(&people.owner, &["site:edit"]).await;
    let site = "/v1/orgs/acme/sites/site-a";
    server.patch_as(&people.admin, site, json!({ "name": "New name", "origins": ["https://x.example"] })).await.ok(200);
    let by_machine =
        server.request(Method::PATCH, site).bearer_auth(&key).json(&json!({ "limits": { "reads_per_minute": 7 } }));
    let by_machine = by_machine.header("X-Request-Id", "the-machine-did-it");
    crate::harness::Answer::of(by_machine).await.ok(200);
    server.call_as(&people.admin, Method::POST, &format!("{site}/key/rotate"), None).await.ok(200);
    let path = format!("/v1/orgs/acme/members/{}", people.agent.id);
    server.patch_as(&people.owner, &path, json!({ "role": "viewer" })).await.ok(200);
    world
        .administer("acme", async |tx| store::orgs::rename(tx, &OrgName::known("Acme by hand")).await)
        .await
        .expect("renamed");

    let log = server.get_as(&people.owner, &format!("{LOG}?limit=9")).await.ok(200).json();
    let (owner, admin) = (&people.owner.email, &people.admin.email);
    let expected = [
        "cli updated org".to_owned(),
        format!("{owner} updated member"),
        format!("{admin} created site_key"),
        format!("{admin} updated site_key"),
        "machine key robot updated site".to_owned(),
        format!("{admin} created origin"),
        format!("{admin} deleted origin"),
        format!("{admin} updated site"),
        format!("{owner} created machine_key"),
    ];
    assert_eq!(told(&log), expected);
    let data = &log["data"];
    assert_eq!((&data[1]["before"]["role"], &data[1]["after"]["role"]), (&json!("agent"), &json!("viewer")));
    assert_eq!((&data[3]["before"]["state"], &data[3]["after"]["state"]), (&json!("active"), &json!("revoked")));
    assert_eq!((&data[4]["request_id"], &data[4]["site"]), (&json!("the-machine-did-it"), &json!("site-a")));
    assert_eq!(data[4]["after"]["reads_per_minute"], 7);
    assert_eq!((&data[7]["before"]["name"], &data[7]["after"]["name"]), (&json!("site-a"), &json!("New name")));
    let seqs: Vec<_> = data.as_array().expect("a list").iter().filter_map(|entry| entry["seq"].as_i64()).collect();
    assert!(seqs.windows(2).all(|pair| pair[0] == pair[1] + 1), "{seqs:?}");

    let origins = server.get_as(&people.owner, &format!("{LOG}?object=origin&actor={admin}")).await.ok(200).json();
    assert_eq!(told(&origins), [format!("{admin} created origin"), format!("{admin} deleted origin")]);
    let cursor = log["next_cursor"].as_str().expect("more");
    let next = server.get_as(&people.owner, &format!("{LOG}?limit=9&cursor={cursor}")).await.ok(200).json();
    assert_eq!(next["data"][0]["seq"].as_i64(), seqs.last().map(|seq| seq - 1));
    server.get_as(&people.viewer, LOG).await.refused(403, "permission_required");
}

#[tokio::test]
async fn a_change_that_is_rolled_back_and_a_change_that_is_none_leave_no_entry() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let count = "select count(*) from vicket.audit_log";
    let before: i64 = world.look(count).await;
    server.patch_as(&people.owner, "/v1/orgs/acme", json!({ "name": "acme" })).await.ok(200);
    server
        .delete_as(&people.owner, &format!("/v1/orgs/acme/members/{}", people.owner.id))
        .await
        .refused(409, "last_owner");
    let both = json!({ "name": "x", "origins": ["not an origin"] });
    server.patch_as(&people.owner, "/v1/orgs/acme/sites/site-a", both).await.refused(400, "invalid_request");
    assert_eq!(world.look::<i64>(count).await, before);
    server.patch_as(&people.owner, "/v1/orgs/acme", json!({ "name": "Acme" })).await.ok(200);
    assert_eq!(world.look::<i64>(count).await, before + 1);
}

#[tokio::test]
async fn nobody_writes_changes_or_deletes_what_happened() {
    let world = World::new().await;
    let people = People::of(&world).await;
    let gate = world.agent_gate();
    let statements = [
        "insert into vicket.audit_log (org_id, seq, at, actor_kind, actor, actor_salt, actor_digest, action, object_kind, object_id,
             object_salt, object_digest, prev_hash, hash)
           values (gen_random_uuid(), 1, now(), 'cli', 'x', '', '', 'created', 'org', 'x', '', '', '', sha256(''))",
        "update vicket.audit_log set actor = 'somebody else'",
        "delete from vicket.audit_log",
        "truncate vicket.audit_log",
        "update vicket.audit_heads set last_seq = 0",
        "delete from vicket.audit_heads",
    ];
    let code = |error: sqlx::Error| {
        error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default().into_owned()
    };
    for sql in statements {
        let mut owner = world.agent(&gate, &people.owner, "acme").await;
        let refused = sqlx::raw_sql(sql).execute(owner.connection()).await.map_err(code);
        assert_eq!(refused.err().as_deref(), Some("42501"), "an owner of the org: {sql}");
        let mut operator = world.org("acme").await;
        let refused = sqlx::raw_sql(sql).execute(operator.connection()).await.map_err(code);
        assert_eq!(refused.err().as_deref(), Some("42501"), "the operator: {sql}");
    }
    for sql in &statements[1..4] {
        let refused = sqlx::raw_sql(*sql).execute(&world.superuser).await.map_err(code);
        assert_eq!(refused.err().as_deref(), Some("42501"), "a superuser who forgot the trigger: {sql}");
    }
}

#[tokio::test]
async fn a_superuser_who_tampers_is_found_where_the_chain_breaks() {
    let world = World::new().await;
    let verify = async |world: &World| {
        let mut tx = world.org("acme").await;
        store::audit_log::verify(&mut tx, None).await.expect("verified")
    };
    let rows: i64 =
        world.look(&format!("select count(*) from vicket.audit_log where org_id = '{}'", world.site_a.org_id)).await;
    assert!(rows >= 10, "something happened: {rows}");
    let whole = Standing { entries: rows, erased: 0, detached: Vec::new() };
    assert_eq!(verify(&world).await, Chain::Whole(whole));
    let org = world.site_a.org_id;
    for (tampering, seq) in [
        ("update vicket.audit_log set actor = 'somebody else' where seq = 4 and org_id = '{org}'", 4),
        (
            "update vicket.audit_log set after = jsonb_set(after, '{slug}', '\"x\"') where seq = 3 and org_id = '{org}'",
            3,
        ),
        ("update vicket.audit_log set at = at + interval '1 microsecond' where seq = 5 and org_id = '{org}'", 5),
        ("delete from vicket.audit_log where seq = 6 and org_id = '{org}'", 7),
        ("delete from vicket.audit_log where seq = 1 and org_id = '{org}'", 2),
        ("delete from vicket.audit_log where seq = {rows} and org_id = '{org}'", rows),
        ("delete from vicket.audit_heads where org_id = '{org}'", rows),
    ] {
        let world = World::new().await;
        let tampering =
            tampering.replace("{org}", &world.site_a.org_id.to_string()).replace("{rows}", &rows.to_string());
        let disabled = format!(
            "alter table vicket.audit_log disable trigger user; {tampering};
             alter table vicket.audit_log enable trigger user"
        );
        sqlx::raw_sql(AssertSqlSafe(disabled)).execute(&world.superuser).await.expect("a superuser can");
        let found = verify(&world).await;
        assert!(matches!(found, Chain::Broken { seq: at, .. } if at == seq), "{tampering}: {found:?}");
    }
    assert_ne!(org, world.site_c.org_id);
}
