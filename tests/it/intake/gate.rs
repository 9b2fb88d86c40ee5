//! The gate of mail: as `vicket_gate_mail`, what it may, and all that it may not.

use sqlx::{AssertSqlSafe, PgConnection};

use crate::harness::{Site, World, connect};

async fn attempt(connection: &mut PgConnection, sql: &str) -> Result<u64, String> {
    let run = |sql: &str| AssertSqlSafe(sql.to_owned());
    sqlx::raw_sql("savepoint attempt").execute(&mut *connection).await.expect("a savepoint");
    let done = sqlx::query(run(sql)).execute(&mut *connection).await;
    sqlx::raw_sql("rollback to savepoint attempt").execute(&mut *connection).await.expect("back");
    done.map(|done| done.rows_affected()).map_err(|error| {
        error.as_database_error().and_then(sqlx::error::DatabaseError::code).expect("a code").into_owned()
    })
}

async fn digest(world: &World, site: &Site) -> String {
    let sql = format!("select encode(digest, 'hex') from vicket.mail_addresses where site_id = '{}'", site.id);
    world.look(&sql).await
}

async fn enter(gate: &mut PgConnection, digest: &str) -> String {
    sqlx::raw_sql("begin").execute(&mut *gate).await.expect("begun");
    sqlx::query_scalar("select auth.enter_recipient(decode($1, 'hex'))")
        .bind(digest)
        .fetch_one(gate)
        .await
        .expect("an answer")
}

const ADD: &str =
    "insert into vicket.inbound_mails (address_id, recipient, mail_from, message_digest, content_digest, raw)
    values (ctx.address_by_mail(), 'a@b.example', '', sha256('1'), sha256('1'), 'x')";

#[tokio::test]
async fn an_address_enters_its_site_and_adds_mail_there_and_does_nothing_else() {
    let world = World::new().await;
    let (a, c) = (digest(&world, &world.site_a).await, digest(&world, &world.site_c).await);
    let mut gate = connect(&world.url("vicket_gate_mail")).await;
    assert_eq!(enter(&mut gate, &a).await, "entered");
    assert_eq!(attempt(&mut gate, ADD).await, Ok(1), "the twin of all that is refused below");
    let tables: Vec<String> = {
        let sql = "select array_agg(format('%I.%I', n.nspname, c.relname)) from pg_class c
            join pg_namespace n on n.oid = c.relnamespace
            where n.nspname = 'vicket' and c.relkind in ('r', 'p') and not c.relispartition";
        world.look(sql).await
    };
    assert!(tables.len() > 30);
    for table in &tables {
        for sql in [format!("select from {table}"), format!("delete from {table}"), format!("truncate {table}")] {
            assert_eq!(attempt(&mut gate, &sql).await, Err("42501".to_owned()), "{sql}");
        }
        if table != "vicket.inbound_mails" {
            let sql = format!("insert into {table} default values");
            assert_eq!(attempt(&mut gate, &sql).await, Err("42501".to_owned()), "{sql}");
        }
    }
    let (of_c, address_of_c): (String, String) = (
        world.look(&format!("select '{}'::text", world.site_c.id)).await,
        world.look(&format!("select id::text from vicket.mail_addresses where site_id = '{}'", world.site_c.id)).await,
    );
    let org_of_c = world.site_c.org_id;
    for (what, sql) in [
        (
            "names its site",
            ADD.replace("(address_id,", "(site_id, address_id,").replace("values (", &format!("values ('{of_c}', ")),
        ),
        (
            "names its org",
            ADD.replace("(address_id,", "(org_id, address_id,").replace("values (", &format!("values ('{org_of_c}', ")),
        ),
        ("names another address", ADD.replace("ctx.address_by_mail()", &format!("'{address_of_c}'"))),
        ("names none", ADD.replace("ctx.address_by_mail()", "null")),
        ("returns what it added", format!("{ADD} returning id")),
        (
            "says that it is filed",
            ADD.replace("(address_id,", "(state, address_id,").replace("values (", "values ('filed', "),
        ),
        ("changes what is there", "update vicket.inbound_mails set raw = 'y'".to_owned()),
        ("becomes an agent", "set local role vicket_agent".to_owned()),
        ("becomes the widget", "set local role vicket_widget".to_owned()),
        ("becomes the worker", "set local role vicket_worker".to_owned()),
        ("enters by a key", "select auth.enter('', '', '')".to_owned()),
        ("enters by a session", "select auth.enter_org('', '', '', '')".to_owned()),
        ("claims tasks", "select worker.claim('inbound', 1, '1 minute')".to_owned()),
    ] {
        assert_eq!(attempt(&mut gate, &sql).await, Err("42501".to_owned()), "{what}: {sql}");
    }
    // A context that an injected statement moved is no other site's.
    for (what, moved) in [
        ("the site", format!("set local app.site_id = '{of_c}'; set local app.org_id = '{org_of_c}'")),
        ("the address", format!("set local app.mail_hash = '{c}'")),
    ] {
        sqlx::raw_sql(AssertSqlSafe(format!("savepoint moved; {moved}"))).execute(&mut gate).await.expect("moved");
        assert_eq!(attempt(&mut gate, ADD).await, Err("42501".to_owned()), "{what}");
        sqlx::raw_sql("rollback to savepoint moved").execute(&mut gate).await.expect("back");
    }
    assert_eq!(attempt(&mut gate, ADD).await, Ok(1));
    sqlx::raw_sql("rollback").execute(&mut gate).await.expect("back");
    // Nobody's address, and the login by itself.
    assert_eq!(enter(&mut gate, &"00".repeat(32)).await, "unknown");
    assert_eq!(attempt(&mut gate, ADD).await, Err("42501".to_owned()));
    sqlx::raw_sql("rollback").execute(&mut gate).await.expect("back");
}

#[tokio::test]
async fn mail_of_a_site_is_read_by_its_own_people_and_never_as_it_came() {
    let world = World::new().await;
    let a = digest(&world, &world.site_a).await;
    let mut gate = connect(&world.url("vicket_gate_mail")).await;
    assert_eq!(enter(&mut gate, &a).await, "entered");
    sqlx::raw_sql(ADD).execute(&mut gate).await.expect("added");
    sqlx::raw_sql("commit").execute(&mut gate).await.expect("committed");
    let agents = world.agent_gate();
    for (org, seen) in [("acme", 1_i64), ("globex", 0)] {
        let owner = world.person(org, "owner").await;
        let mut tx = world.agent(&agents, &owner, org).await;
        let found: i64 = sqlx::query_scalar("select count(id) from vicket.inbound_mails")
            .fetch_one(tx.connection())
            .await
            .expect("read");
        assert_eq!(found, seen, "{org}");
        for column in ["raw", "client", "content_digest"] {
            let sql = format!("select {column} from vicket.inbound_mails");
            assert_eq!(attempt(tx.connection(), &sql).await, Err("42501".to_owned()), "{column}");
        }
        let digests = attempt(tx.connection(), "select digest from vicket.mail_addresses").await;
        assert_eq!(digests, Err("42501".to_owned()));
        tx.commit().await.expect("commit");
    }
}
