//! The logins, and what they land on when somebody gets out of a role.

use super::{Populated, attempt, begin_as, populated, raw, refused, run, tables, value};
use crate::harness::{World, connect};

const LOGINS: [&str; 4] = ["vicket_gate_widget", "vicket_gate_agent", "vicket_gate_mail", "vicket_worker"];

/// Every table refuses this connection's role, as it is, to say even whether it has a row.
async fn reads_no_table(world: &World, who: &str, connection: &mut sqlx::PgConnection) {
    let tables = tables(world).await;
    assert!(tables.len() >= 15, "only {} tables: the catalog was not read", tables.len());
    for table in tables {
        for what in ["1", "count(*)", "*"] {
            let sql = format!("select {what} from {}", table.name);
            assert_eq!(attempt(connection, &sql).await, refused("42501"), "{who}: {sql}");
        }
    }
}

#[tokio::test]
async fn no_login_of_the_server_has_a_power_that_passes_row_level_security() {
    let world = World::new().await;
    let powers = "select array_remove(array[
          case when rolsuper then 'superuser' end, case when rolbypassrls then 'bypassrls' end,
          case when rolinherit then 'inherit' end, case when rolcreaterole then 'createrole' end,
          case when rolcreatedb then 'createdb' end, case when rolreplication then 'replication' end
        ], null)
        from pg_roles where rolname = session_user";
    for login in LOGINS {
        let mut connection = connect(&world.url(login)).await;
        assert_eq!(value::<Vec<String>>(&mut connection, powers).await, Ok(Vec::new()), "{login}");
        let is: Result<String, _> = value(&mut connection, "select session_user::text").await;
        assert_eq!(is, Ok(login.to_owned()));
    }
    let of_a_superuser: Vec<String> = world.look(powers).await;
    assert!(of_a_superuser.contains(&"superuser".to_owned()), "{of_a_superuser:?}: the question finds nothing");
}

#[tokio::test]
async fn a_login_that_took_no_role_reads_no_table() {
    let Populated { world, .. } = populated().await;
    for login in LOGINS {
        let mut connection = connect(&world.url(login)).await;
        raw(&mut connection, "begin").await;
        reads_no_table(&world, login, &mut connection).await;
    }
    // The same login with its role and a key does.
    let mut connection = world.gate().await;
    begin_as(&mut connection, &world.site_a.key, None).await;
    assert_eq!(value::<i64>(&mut connection, "select count(*) from vicket.sites").await, Ok(1));
}

#[tokio::test]
async fn whoever_resets_the_role_inside_a_request_lands_on_a_login_that_reads_nothing() {
    let Populated { world, tickets } = populated().await;
    let mut connection = world.gate().await;
    for escape in [
        "reset role",
        "set role none",
        "set local role none",
        "set role vicket_gate_widget",
        "reset all; reset role",
        "set session authorization default",
        "reset session authorization",
    ] {
        begin_as(&mut connection, &world.site_a.key, Some(&tickets[0].my_token)).await;
        assert_eq!(value::<i64>(&mut connection, "select count(*) from vicket.tickets").await, Ok(1));
        raw(&mut connection, escape).await;
        let is: Result<String, _> = value(&mut connection, "select current_user::text").await;
        assert_eq!(is, Ok("vicket_gate_widget".to_owned()), "{escape}");
        reads_no_table(&world, escape, &mut connection).await;
        raw(&mut connection, "rollback").await;
    }
}

#[tokio::test]
async fn rolling_back_to_before_the_role_lands_on_a_login_that_reads_nothing() {
    let Populated { world, .. } = populated().await;
    let mut connection = world.gate().await;
    let enter = format!("select auth.enter(sha256('{}'), '', '')", world.site_a.key);
    for (what, before, context) in [
        ("before the key", format!("savepoint early; {enter}"), ""),
        ("after the key", format!("{enter}; savepoint early"), &*world.site_a.id.to_string()),
    ] {
        raw(&mut connection, &format!("begin; {before}; set local role vicket_widget")).await;
        assert_eq!(value::<i64>(&mut connection, "select count(*) from vicket.sites").await, Ok(1), "{what}");
        raw(&mut connection, "rollback to savepoint early").await;
        let left: Result<String, _> = value(&mut connection, "select current_setting('app.site_id', true)").await;
        assert_eq!(left.as_deref(), Ok(context), "{what}");
        reads_no_table(&world, what, &mut connection).await;
        raw(&mut connection, "rollback").await;
    }
}

#[tokio::test]
async fn a_gate_becomes_its_own_request_role_and_nobody_else() {
    let world = World::new().await;
    let superuser: String = world.look("select session_user::text").await;
    for (gate, own) in [
        ("vicket_gate_widget", "vicket_widget"),
        ("vicket_gate_agent", "vicket_agent"),
        ("vicket_gate_mail", "vicket_mail"),
    ] {
        let mut connection = connect(&world.url(gate)).await;
        raw(&mut connection, "begin").await;
        for start in ["reset role".to_owned(), format!("set local role {own}")] {
            raw(&mut connection, &start).await;
            for other in [
                "vicket_widget",
                "vicket_agent",
                "vicket_mail",
                "vicket_owner",
                "vicket_definer",
                "vicket_operator",
                "vicket_auditor",
                "vicket_worker",
                "vicket_gate_widget",
                "vicket_gate_agent",
                "vicket_gate_mail",
                crate::harness::DEPLOY,
                superuser.as_str(),
            ] {
                let expected = if [gate, own].contains(&other) { Ok(0) } else { refused("42501") };
                let sql = format!("set local role \"{other}\"");
                assert_eq!(attempt(&mut connection, &sql).await, expected, "{gate} after {start}: {sql}");
            }
            for other in ["vicket_owner", superuser.as_str()] {
                let sql = format!("set session authorization \"{other}\"");
                assert_eq!(attempt(&mut connection, &sql).await, refused("42501"), "{gate} after {start}: {sql}");
            }
        }
    }
}

#[tokio::test]
async fn the_worker_executes_its_functions_and_reads_no_table() {
    let Populated { world, .. } = populated().await;
    world.arrange("update vicket.submissions set created_at = now() - interval '25 hours'").await;
    let mut worker = connect(&world.url("vicket_worker")).await;
    raw(&mut worker, "begin").await;
    reads_no_table(&world, "the worker", &mut worker).await;
    for sql in [
        "select admin.orgs()",
        "select auth.enter('', '', '')",
        "select auth.session_is_clean()",
        "select ctx.org_id()",
        "select ctx.site_by_key()",
    ] {
        assert_eq!(attempt(&mut worker, sql).await, refused("42501"), "{sql}");
    }
    let there: i64 = world.look("select count(*) from vicket.submissions").await;
    assert_eq!(value::<i64>(&mut worker, "select worker.purge(1000)").await, Ok(there));
    raw(&mut worker, "commit").await;
    assert!(there > 0 && world.look::<i64>("select count(*) from vicket.submissions").await == 0);
}

#[tokio::test]
async fn functions_answer_only_the_login_that_they_are_for() {
    let world = World::new().await;
    let functions = [
        ("select worker.purge(1)", "vicket_worker"),
        ("select auth.enter('', '', '')", "vicket_gate_widget"),
        ("select auth.enter_site('', '', '')", "vicket_gate_widget"),
        ("select auth.enter_actor('', '', '', '')", "vicket_gate_agent"),
        ("select auth.enter_org('', '', '', '')", "vicket_gate_agent"),
        ("select auth.enter_mail('')", "vicket_gate_mail"),
        ("select auth.enter_recipient('')", "vicket_gate_mail"),
        ("select * from admin.orgs()", "the operator"),
        ("select admin.enter_org('acme')", "the operator"),
    ];
    for login in LOGINS {
        let mut connection = connect(&world.url(login)).await;
        raw(&mut connection, "begin").await;
        for (sql, whose) in functions {
            let outcome = attempt(&mut connection, sql).await;
            if whose == login {
                assert!(outcome.is_ok(), "{login}: {sql}: {outcome:?}");
            } else {
                assert_eq!(outcome, refused("42501"), "{login}: {sql}");
            }
        }
    }
    let mut operator = world.operator.begin().await.expect("begin");
    assert_eq!(run(operator.connection(), "select * from admin.orgs()").await, Ok(2));
}
