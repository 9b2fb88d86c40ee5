//! An attacker who writes SQL inside a site's transaction, as an injection would: it may do whatever `vicket_widget`
//! may, and still it reads and writes the site whose key opened the transaction.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Populated, attempt, begin_as, enter, gate, matrix::only_own_rows, populated, raw, refused, run, value};
use crate::harness::World;

/// A digest of no key.
const FORGED: &str = "00000000000000000000000000000000000000000000000000000000000000ff";

/// Settings that an attacker in `site_a` may write, and whether rows for all sites of the own org stay readable.
#[expect(clippy::type_complexity, reason = "a table of cases")]
fn forgeries(world: &World, token_of_b: &str) -> Vec<(&'static str, Vec<(&'static str, String)>, bool)> {
    let id = |id: Uuid| id.to_string();
    let (b, c) = (&world.site_b, &world.site_c);
    vec![
        ("the other site of the org", vec![("app.site_id", id(b.id))], true),
        (
            "the other site and a ticket of it",
            vec![("app.site_id", id(b.id)), ("app.ticket_hash", token_of_b.to_owned())],
            true,
        ),
        ("the other org", vec![("app.org_id", id(c.org_id))], false),
        ("a site of the other org without the org", vec![("app.site_id", id(c.id))], true),
        ("the other org and its site", vec![("app.org_id", id(c.org_id)), ("app.site_id", id(c.id))], false),
        ("a key that does not exist", vec![("app.key_hash", FORGED.to_owned())], false),
        (
            "the other org, its site and a key that does not exist",
            vec![("app.org_id", id(c.org_id)), ("app.site_id", id(c.id)), ("app.key_hash", FORGED.to_owned())],
            false,
        ),
        ("no key", vec![("app.key_hash", String::new())], false),
        ("nobody", vec![("app.org_id", String::new()), ("app.site_id", String::new())], false),
    ]
}

async fn set_local(connection: &mut PgConnection, settings: &[(&str, String)]) {
    for (name, value) in settings {
        raw(connection, &format!("set local {name} = '{value}'")).await;
    }
}

#[tokio::test]
async fn a_forged_context_shows_no_row_of_another_site_or_org_in_any_table() {
    let Populated { world, tickets } = populated().await;
    let gate = gate(&world);
    let mut tx = enter(&gate, &world.site_a.key, Some(&tickets[0].my_token)).await;
    let own = only_own_rows(&world, &world.site_a, tx.connection()).await;
    assert!(own >= 8, "only {own} rows of its own are seen, so that no other is would mean nothing");
    for (what, settings, org_wide) in forgeries(&world, &tickets[1].my_token.digest().to_hex()) {
        raw(tx.connection(), "savepoint forgery").await;
        set_local(tx.connection(), &settings).await;
        let seen = only_own_rows(&world, &world.site_a, tx.connection()).await;
        for table in ["vicket.sites", "vicket.tickets", "vicket.ticket_messages"] {
            let rows = value::<i64>(tx.connection(), &format!("select count(*) from {table}")).await;
            assert_eq!(rows, Ok(0), "{what}: {table}");
        }
        // Its own org, its article and its FAQ for all sites; these are the attacker's to read anyway.
        assert_eq!(seen, if org_wide { 3 } else { 0 }, "{what}");
        raw(tx.connection(), "rollback to savepoint forgery").await;
        let after = only_own_rows(&world, &world.site_a, tx.connection()).await;
        assert_eq!(after, own, "{what}: with its own context it reads what it read before");
    }
}

#[tokio::test]
async fn a_context_that_names_its_own_site_again_changes_nothing() {
    let Populated { world, tickets } = populated().await;
    let gate = gate(&world);
    let mut tx = enter(&gate, &world.site_a.key, Some(&tickets[0].my_token)).await;
    let own = only_own_rows(&world, &world.site_a, tx.connection()).await;
    let settings = [("app.org_id", world.site_a.org_id.to_string()), ("app.site_id", world.site_a.id.to_string())];
    set_local(tx.connection(), &settings).await;
    assert_eq!(only_own_rows(&world, &world.site_a, tx.connection()).await, own);
}

#[tokio::test]
async fn set_config_in_a_query_is_refused_where_the_database_is_hardened() {
    let Populated { world, .. } = populated().await;
    let gate = gate(&world);
    let mut tx = enter(&gate, &world.site_a.key, None).await;
    for sql in [
        format!("select set_config('app.site_id', '{}', true)", world.site_b.id),
        format!("select set_config('app.site_id', '{}', false)", world.site_b.id),
        format!("select id from vicket.sites where set_config('app.org_id', '{}', true) <> ''", world.site_c.org_id),
        "select pg_sleep(0)".to_owned(),
        "select pg_advisory_xact_lock(1)".to_owned(),
        "select query_to_xml('select 1', true, true, '')".to_owned(),
        "do $$ begin end $$".to_owned(),
    ] {
        assert_eq!(attempt(tx.connection(), &sql).await, refused("42501"), "{sql}");
    }
    // It is the function that is refused, not every function.
    let own: Result<String, _> = value(tx.connection(), "select current_setting('app.site_id')").await;
    assert_eq!(own, Ok(world.site_a.id.to_string()));
}

#[tokio::test]
async fn a_ticket_is_submitted_to_the_keys_own_site_and_to_no_other() {
    let Populated { world, .. } = populated().await;
    let gate = gate(&world);
    let mut tx = enter(&gate, &world.site_a.key, None).await;
    let insert = "insert into vicket.tickets (email, subject) values ('eve@example.com', 'Hello')";
    for (what, settings, _) in forgeries(&world, FORGED) {
        if what == "nobody" {
            continue;
        }
        raw(tx.connection(), "savepoint forgery").await;
        set_local(tx.connection(), &settings).await;
        assert_eq!(attempt(tx.connection(), insert).await, refused("42501"), "{what}");
        raw(tx.connection(), "rollback to savepoint forgery").await;
    }
    for other in [&world.site_b, &world.site_c] {
        let bound = format!(
            "insert into vicket.tickets (org_id, site_id, email, subject)
             values ('{}', '{}', 'eve@example.com', 'Hello')",
            other.org_id, other.id
        );
        assert_eq!(attempt(tx.connection(), &bound).await, refused("42501"), "{}", other.slug);
    }
    assert_eq!(run(tx.connection(), insert).await, Ok(1));
    tx.finish(Ok(())).await.expect("commit");
    let whose: Uuid = world.look("select site_id from vicket.tickets where email = 'eve@example.com'").await;
    assert_eq!(whose, world.site_a.id);
}

#[tokio::test]
async fn after_a_transaction_its_connection_is_nobody_again() {
    let Populated { world, tickets } = populated().await;
    let mut connection = world.gate().await;
    for end in ["commit", "rollback"] {
        begin_as(&mut connection, &world.site_a.key, Some(&tickets[0].my_token)).await;
        assert!(only_own_rows(&world, &world.site_a, &mut connection).await >= 8);
        raw(&mut connection, end).await;
        for setting in ["org_id", "site_id", "key_hash", "ticket_hash"] {
            let left: Result<String, _> =
                value(&mut connection, &format!("select current_setting('app.{setting}', true)")).await;
            assert_eq!(left, Ok(String::new()), "app.{setting} after {end}");
        }
        raw(&mut connection, "begin; set local role vicket_widget").await;
        assert_eq!(only_own_rows(&world, &world.site_a, &mut connection).await, 0, "after {end}");
        raw(&mut connection, "rollback").await;
    }
}

#[tokio::test]
async fn what_was_set_for_the_whole_session_does_not_reach_the_next_request() {
    let Populated { world, tickets } = populated().await;
    let mut connection = world.gate().await;
    begin_as(&mut connection, &world.site_a.key, None).await;
    let planted = tickets[1].my_token.digest().to_hex();
    for (name, planted) in [
        ("org_id", world.site_c.org_id.to_string()),
        ("site_id", world.site_c.id.to_string()),
        ("key_hash", FORGED.to_owned()),
        ("ticket_hash", planted.clone()),
        ("submission_hash", format!("{planted}{planted}")),
    ] {
        raw(&mut connection, &format!("set session app.{name} = '{planted}'")).await;
    }
    raw(&mut connection, "commit").await;
    let planted: Result<String, _> = value(&mut connection, "select current_setting('app.org_id', true)").await;
    assert_eq!(planted, Ok(world.site_c.org_id.to_string()), "nothing was planted, so this proves nothing");

    begin_as(&mut connection, &world.site_b.key, None).await;
    assert!(only_own_rows(&world, &world.site_b, &mut connection).await >= 6);
    let visible: Result<i64, _> = value(&mut connection, "select count(*) from vicket.tickets").await;
    assert_eq!(visible, Ok(0), "a request without a token holds the token that an earlier request planted");
    for setting in ["ticket_hash", "submission_hash"] {
        let left: Result<String, _> =
            value(&mut connection, &format!("select current_setting('app.{setting}', true)")).await;
        assert_eq!(left, Ok(String::new()), "app.{setting} is what an earlier request planted");
    }
}

#[tokio::test]
async fn a_prepared_statement_that_alternates_between_two_sites_serves_each_its_own() {
    let Populated { world, .. } = populated().await;
    for mode in ["auto", "force_generic_plan", "force_custom_plan"] {
        let mut connection = world.gate().await;
        raw(&mut connection, &format!("set plan_cache_mode = {mode}")).await;
        begin_as(&mut connection, &world.site_a.key, None).await;
        raw(&mut connection, "prepare site as select id from vicket.sites").await;
        raw(
            &mut connection,
            "prepare articles as select array_agg(distinct site_id) from vicket.articles where site_id is not null",
        )
        .await;
        raw(&mut connection, "commit").await;
        for turn in 0..20 {
            let site = if turn % 2 == 0 { &world.site_a } else { &world.site_b };
            begin_as(&mut connection, &site.key, None).await;
            assert_eq!(value::<Uuid>(&mut connection, "execute site").await, Ok(site.id), "{mode}, {turn}");
            let of: Result<Vec<Uuid>, _> = value(&mut connection, "execute articles").await;
            assert_eq!(of, Ok(vec![site.id]), "{mode}, {turn}");
            // And the statement that the driver prepares once and keeps.
            assert_eq!(
                value::<Uuid>(&mut connection, "select id from vicket.sites").await,
                Ok(site.id),
                "{mode}, {turn}"
            );
            raw(&mut connection, "commit").await;
        }
    }
}
