//! What the seal must hold where nobody hardened, where no policy stands behind a function, and after a key is dead.

use sqlx::AssertSqlSafe;
use uuid::Uuid;
use vicket::domain::keys::{PublishableKey, Sha256Digest};

use super::{Populated, attempt, enter, gate, populated, raw, refused, run, value};
use crate::harness::{World, article};

/// Lets the widget call set_config, as on a server where nobody hardened.
async fn soften(world: &World) {
    world.arrange("grant execute on function pg_catalog.set_config(text, text, boolean) to public").await;
}

#[tokio::test]
async fn a_statement_that_rewrites_the_context_is_refused_where_hardened_and_sealed_where_not() {
    let Populated { world, tickets: [_, _, of_c] } = populated().await;
    let gate = gate(&world);
    let victim = &world.site_c;
    let rewrite = format!(
        "with moved as materialized (
          select set_config('app.org_id', '{}', true), set_config('app.site_id', '{}', true),
            set_config('app.ticket_hash', '{}', true)
        )
        select a.id from moved, vicket.articles a union all select t.id from moved, vicket.tickets t",
        victim.org_id,
        victim.id,
        of_c.my_token.digest().to_hex()
    );
    let mut tx = enter(&gate, &world.site_a.key, None).await;
    assert_eq!(attempt(tx.connection(), &rewrite).await, refused("42501"));
    drop(tx);
    soften(&world).await;
    let mut tx = enter(&gate, &world.site_a.key, None).await;
    let seen: Vec<Uuid> =
        sqlx::query_scalar(AssertSqlSafe(rewrite)).fetch_all(tx.connection()).await.expect("set_config is everybody's");
    let foreign: i64 = sqlx::query_scalar("select count(*) from vicket.articles where org_id = $1 and id = any($2)")
        .bind(victim.org_id)
        .bind(&seen)
        .fetch_one(&world.superuser)
        .await
        .expect("looking");
    assert_eq!((foreign, seen.contains(&of_c.mine)), (0, false));
    assert_eq!(value(tx.connection(), "select ctx.site_id()").await, Ok(victim.id), "the rewriting itself worked");
}

#[tokio::test]
async fn an_idempotency_key_is_claimed_for_the_own_site_whatever_the_context_says() {
    let Populated { world, tickets: [_, of_b, _] } = populated().await;
    let gate = gate(&world);
    let claim = |request: &str| {
        format!("select verdict from ctx.claim_submission('ticket', sha256('{}'), sha256('{request}'))", of_b.mine)
    };
    let mut tx = enter(&gate, &world.site_b.key, None).await;
    assert_eq!(value(tx.connection(), &claim("request")).await, Ok("repeat".to_owned()), "the twin");
    assert_eq!(value(tx.connection(), &claim("other")).await, Ok("conflict".to_owned()), "the twin");
    drop(tx);
    for request in ["request", "other"] {
        let mut tx = enter(&gate, &world.site_a.key, None).await;
        raw(tx.connection(), &format!("set local app.site_id = '{}'", world.site_b.id)).await;
        assert_eq!(
            value(tx.connection(), &claim(request)).await,
            Ok("new".to_owned()),
            "site B's claims are not asked"
        );
    }
}

#[tokio::test]
async fn a_revoked_key_still_seals_its_request_in_flight_and_enters_no_more() {
    let world = World::new().await;
    let gate = gate(&world);
    let mut in_flight = enter(&gate, &world.site_a.key, None).await;
    let mut tx = world.org("acme").await;
    vicket::store::site_keys::revoke(&mut tx, world.site_a.id).await.expect("revoked");
    article(&mut tx, Some(world.site_a.id), "late", "Late", "Published meanwhile.", true).await;
    tx.commit().await.expect("commit");
    assert_eq!(value(in_flight.connection(), "select ctx.site_by_key()").await, Ok(world.site_a.id));
    assert_eq!(attempt(in_flight.connection(), "select from vicket.articles").await, Ok(3));
    drop(in_flight);
    let mut connection = world.gate().await;
    let enters = |key: &str| {
        let digest = Sha256Digest::of(key.as_bytes()).to_hex();
        format!("select verdict from auth.enter('\\x{digest}', '', '')")
    };
    for key in [&world.site_a.key, PublishableKey::mint().reveal()] {
        raw(&mut connection, "begin").await;
        assert_eq!(value(&mut connection, &enters(key)).await, Ok("unknown".to_owned()));
        raw(&mut connection, "set local role vicket_widget").await;
        assert_eq!(run(&mut connection, "select from vicket.articles").await, Ok(0));
        raw(&mut connection, "rollback").await;
    }
    assert_eq!(value(&mut connection, &enters(&world.site_b.key)).await, Ok("entered".to_owned()), "the twin");
}
