//! The administration commands run as vicket_operator, bound to one org by its context: a statement that forgot its
//! WHERE touches that org only.

use uuid::Uuid;

use super::{Populated, attempt, granted, populated, refused, run, tables, value};
use crate::harness::{DEPLOY, World, connect};

#[tokio::test]
async fn a_statement_without_where_touches_the_own_org_only() {
    let Populated { world, .. } = populated().await;
    let (mut tried, mut touched) = (0, 0);
    for (slug, org) in [("acme", world.site_a.org_id), ("globex", world.site_c.org_id)] {
        let mut tx = world.org(slug).await;
        assert_eq!(value(tx.connection(), "select current_user::text").await, Ok("vicket_operator".to_owned()));
        for table in tables(&world).await {
            let name = &table.name;
            let may = format!("select has_table_privilege('vicket_operator', '{name}', 'delete')");
            let may_delete: bool = world.look(&may).await;
            let select = granted(&world, "vicket_operator", &table, "select").await;
            let update = granted(&world, "vicket_operator", &table, "update").await;
            let column = |of: &[String]| of.first().unwrap_or(&table.columns[0]).clone();
            for (sql, allowed) in [
                (format!("select {} from {name}", column(&select)), !select.is_empty()),
                (format!("update {name} set {0} = {0}", column(&update)), !update.is_empty()),
                (format!("delete from {name}"), may_delete),
            ] {
                let expected = if allowed {
                    let of =
                        table.org_column().unwrap_or_else(|| panic!("{name} serves the operator without a tenant"));
                    let own: i64 = world.look(&format!("select count(*) from {name} where {of} = '{org}'")).await;
                    let all: i64 = world.look(&format!("select count(*) from {name}")).await;
                    assert!(0 < own && own < all, "{name}: arrange rows of both orgs in `populated`");
                    touched += 1;
                    Ok(own.unsigned_abs())
                } else {
                    refused("42501")
                };
                assert_eq!(attempt(tx.connection(), &sql).await, expected, "{slug}: {sql}");
                tried += 1;
            }
            assert_eq!(attempt(tx.connection(), &format!("truncate {name} cascade")).await, refused("42501"));
        }
    }
    println!("{tried} statements tried as the operator, {touched} of them granted");
    assert!(tried >= 2 * 14 * 3 && touched >= 2 * 17, "only {tried} and {touched}");
}

#[tokio::test]
async fn outside_an_org_the_operator_sees_and_touches_nothing() {
    let Populated { world, .. } = populated().await;
    let mut tx = world.operator.begin().await.expect("begin");
    for sql in [
        "select from vicket.orgs",
        "update vicket.articles set title = title",
        "select generate_series(1, ctx.remove('articles', array(select id from vicket.articles)))",
        "select from vicket.sites where ctx.remove_large('sites', id)",
    ] {
        assert_eq!(attempt(tx.connection(), sql).await, Ok(0), "{sql}");
    }
    for sql in [
        "insert into vicket.sites (slug, name) values ('x', 'x')",
        "insert into vicket.orgs (slug, name) values ('x', 'x')",
    ] {
        assert_eq!(attempt(tx.connection(), sql).await, refused("42501"), "{sql}");
    }
    assert_eq!(attempt(tx.connection(), "select admin.create_org('initech', 'Initech')").await, Ok(1));
}

#[tokio::test]
async fn what_belongs_to_another_org_is_refused_like_what_does_not_exist() {
    let Populated { world, tickets: [of_a, _, of_c] } = populated().await;
    let mut tx = world.org("acme").await;
    let sites = [world.site_a.id, world.site_c.id];
    let note = "insert into vicket.ticket_messages (site_id, ticket_id, author, body)
        select s.id, '{}', 'agent', 'x' from vicket.sites s where s.slug = 'site-a'";
    for (sql, [own, foreign]) in [
        ("insert into vicket.articles (site_id, slug, title) values ('{}', 'x', 'x')", sites),
        ("insert into vicket.site_origins (site_id, origin) values ('{}', 'https://x.example')", sites),
        ("insert into vicket.tickets (site_id, email, subject) values ('{}', 'a@b.c', 'x')", sites),
        (note, [of_a.mine, of_c.mine]),
    ] {
        let with = |id: Uuid| sql.replace("{}", &id.to_string());
        assert_eq!(attempt(tx.connection(), &with(own)).await, Ok(1), "the twin: {sql}");
        let foreign = attempt(tx.connection(), &with(foreign)).await;
        assert_eq!(foreign, refused("23503"), "{sql}");
        assert_eq!(foreign, attempt(tx.connection(), &with(Uuid::new_v4())).await, "{sql}: an oracle");
    }
}

#[tokio::test]
async fn a_slug_that_another_org_uses_is_free() {
    let world = World::new().await;
    let mut tx = world.org("acme").await;
    for sql in [
        "insert into vicket.sites (slug, name) values ('site-c', 'x')",
        "insert into vicket.articles (slug, title) values ('site-c-published', 'x')",
    ] {
        assert_eq!(run(tx.connection(), sql).await, Ok(1), "{sql}");
        assert_eq!(attempt(tx.connection(), sql).await, refused("23505"), "now it is taken: {sql}");
    }
}

#[tokio::test]
async fn the_owner_of_the_tables_is_subject_to_their_policies() {
    let Populated { world, .. } = populated().await;
    let mut connection = connect(&world.url(DEPLOY)).await;
    // The deploying login itself is a member of vicket_definer too, whose policies show every row.
    assert_eq!(run(&mut connection, "set role vicket_owner").await, Ok(0));
    for table in tables(&world).await.iter().filter(|table| table.name.starts_with("vicket.")) {
        let sql = format!("select from {}", table.name);
        assert_eq!(run(&mut connection, &sql).await, Ok(0), "{sql}");
    }
}
