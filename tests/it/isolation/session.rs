//! What a request leaves for others of its login to see, and on its connection for the next tenant: nothing.

use sqlx::{PgConnection, Row as _};
use vicket::{
    db::{Access, Entry, EntryRequest, Published, SiteTx, Verdict, WidgetGate},
    domain::{
        keys::{Sha256Digest, TicketToken},
        problem::{Code, Problem},
    },
    store,
};

use super::{enter, gate, matrix::only_own_rows, raw, value};
use crate::harness::{Site, World, connect};

/// Gives PUBLIC back what the hardening took, as on a server where nobody could run it.
async fn unharden(world: &World) {
    world
        .arrange(
            "do $$
            declare
              taken record;
            begin
              for taken in
                select p.oid::regprocedure as signature
                from pg_proc p
                where p.pronamespace = 'pg_catalog'::regnamespace and p.proacl is not null
                  and not exists (select from aclexplode(p.proacl) a where a.grantee = 0)
                  and not exists (
                    select from pg_init_privs i where i.classoid = 'pg_proc'::regclass and i.objoid = p.oid
                  )
              loop
                execute format('grant execute on function %s to public', taken.signature);
              end loop;
            end $$;
            grant usage on language plpgsql to public",
        )
        .await;
}

/// What the login of `spy` is shown of its other sessions' statements.
async fn seen(spy: &mut PgConnection) -> String {
    let sql = "select coalesce(string_agg(query, E'\\n'), '') from pg_stat_activity
        where datname = current_database() and usename = session_user and pid <> pg_backend_pid()";
    value(spy, sql).await.expect("PUBLIC may look")
}

/// What a session is shown of the statements that it prepared.
async fn prepared(connection: &mut PgConnection) -> String {
    value(connection, "select coalesce(string_agg(statement, E'\\n'), '') from pg_prepared_statements")
        .await
        .expect("PUBLIC may look")
}

#[track_caller]
fn shows_none(text: &str, digests: &[Sha256Digest]) {
    for digest in digests {
        assert!(!text.to_lowercase().contains(&digest.to_hex()), "a digest stands in a statement's text: {text}");
    }
}

#[tokio::test]
async fn where_nobody_hardened_no_digest_of_a_customers_request_stands_in_a_statement() {
    let world = World::new().await;
    unharden(&world).await;
    let (gate, mut spy) = (gate(&world), world.gate().await);
    let token = TicketToken::mint();
    let origin = Sha256Digest::of(world.site_a.origin.as_bytes());
    let digests = [Sha256Digest::of(world.site_a.key.as_bytes()), token.digest(), origin];

    let mut tx = enter(&gate, &world.site_a.key, Some(&token)).await;
    let entering = seen(&mut spy).await;
    assert!(entering.contains("auth.enter"), "the spy sees nothing, so this proves nothing: {entering}");
    shows_none(&entering, &digests);
    store::tickets::public::mine(&mut tx).await.expect_err("a token of no ticket");
    shows_none(&seen(&mut spy).await, &digests);
    shows_none(&prepared(tx.connection()).await, &digests);
    tx.finish(Ok(())).await.expect("commit");
    shows_none(&seen(&mut spy).await, &digests);

    assert!(gate.origin_known(origin).await.expect("asked"));
    let asking = seen(&mut spy).await;
    assert!(asking.contains("auth.enter_many"), "{asking}");
    shows_none(&asking, &digests);
}

#[tokio::test]
async fn where_nobody_hardened_no_digest_of_an_agents_request_stands_in_a_statement() {
    let world = World::new().await;
    unharden(&world).await;
    let (gate, mut spy) = (world.agent_gate(), connect(&world.url("vicket_gate_agent")).await);
    let person = world.person("acme", "owner").await;
    let digests = [person.session, Sha256Digest::of(b"acme")];
    let mut tx = world.agent(&gate, &person, "acme").await;
    let entering = seen(&mut spy).await;
    assert!(entering.contains("auth.enter_"), "the spy sees nothing, so this proves nothing: {entering}");
    shows_none(&entering, &digests);
    shows_none(&prepared(tx.connection()).await, &digests);
    tx.commit().await.expect("commit");
    shows_none(&seen(&mut spy).await, &digests);
}

async fn pid(connection: &mut PgConnection) -> i32 {
    value(connection, "select pg_backend_pid()").await.expect("a number")
}

/// The process that serves the next tenant, who reads what is theirs.
async fn next(world: &World, gate: &WidgetGate, site: &Site) -> i32 {
    let mut tx = enter(gate, &site.key, None).await;
    let pid = pid(tx.connection()).await;
    assert!(only_own_rows(world, site, tx.connection()).await >= 6, "{}", site.slug);
    tx.finish(Ok(())).await.expect("commit");
    pid
}

#[tokio::test]
async fn a_connection_that_a_request_leaves_clean_serves_the_next_one() {
    let world = World::new().await;
    let gate = gate(&world);
    let first = next(&world, &gate, &world.site_a).await;
    assert_eq!(next(&world, &gate, &world.site_c).await, first, "after a commit");
    let tx = enter(&gate, &world.site_a.key, None).await;
    tx.finish::<()>(Err(Problem::not_found())).await.expect_err("rolled back");
    assert_eq!(next(&world, &gate, &world.site_c).await, first, "after a rollback");
}

#[tokio::test]
async fn a_connection_on_which_something_was_left_is_closed_whether_it_was_committed_or_not() {
    let world = World::new().await;
    unharden(&world).await;
    world.arrange(&format!("grant temporary on database {} to vicket_widget", world.database)).await;
    let gate = gate(&world);
    for left in [
        "create temporary table leak as select id from vicket.articles",
        "prepare leak as select id from vicket.articles",
        "declare leak cursor with hold for select id from vicket.articles",
        "listen leak",
        "set role vicket_widget",
        "select set_config('role', 'vicket_widget', false)",
    ] {
        for commits in [true, false] {
            // Only PREPARE outlives a ROLLBACK.
            if !commits && !left.starts_with("prepare") {
                continue;
            }
            let mut tx = enter(&gate, &world.site_a.key, None).await;
            let before = pid(tx.connection()).await;
            raw(tx.connection(), left).await;
            let closed = vicket::db::unclean_sessions();
            let ended = tx.finish(if commits { Ok(()) } else { Err(Problem::not_found()) }).await;
            assert_eq!(ended.is_ok(), commits, "{left}");
            assert_ne!(next(&world, &gate, &world.site_c).await, before, "{left}, commits: {commits}");
            assert!(vicket::db::unclean_sessions() > closed, "{left}: not counted");
        }
    }
}

#[tokio::test]
async fn what_a_request_set_for_its_session_is_gone_for_the_next_one() {
    let world = World::new().await;
    unharden(&world).await;
    let gate = gate(&world);
    let org = world.site_a.org_id;
    for (setting, planted) in [
        ("app.org_id", org.to_string()),
        ("app.anything", "planted".to_owned()),
        ("search_path", "vicket".to_owned()),
        ("statement_timeout", "0".to_owned()),
        ("default_transaction_read_only", "on".to_owned()),
        ("row_security", "off".to_owned()),
    ] {
        let asked = format!("select coalesce(current_setting('{setting}', true), '')");
        let outside = async || -> String {
            let sql: &'static str = Box::leak(asked.clone().into_boxed_str());
            gate.pool().catalog(sql).await.expect("asked")[0].get(0)
        };
        let before = outside().await;
        for sql in [
            format!("set session {setting} = '{planted}'"),
            format!("select set_config('{setting}', '{planted}', false)"),
        ] {
            let mut tx = enter(&gate, &world.site_a.key, None).await;
            let served = pid(tx.connection()).await;
            raw(tx.connection(), &sql).await;
            assert_eq!(
                value::<String>(tx.connection(), &asked).await.as_deref(),
                Ok(&*planted),
                "{sql}: nothing was planted"
            );
            tx.finish(Ok(())).await.expect("commit");
            assert_eq!(outside().await, before, "{sql}");
            assert_eq!(next(&world, &gate, &world.site_c).await, served, "{sql}");
        }
    }
}

#[tokio::test]
async fn a_lock_that_a_request_took_for_its_session_is_let_go() {
    let world = World::new().await;
    unharden(&world).await;
    let gate = gate(&world);
    let mut tx = enter(&gate, &world.site_a.key, None).await;
    raw(tx.connection(), "select pg_advisory_lock(7), pg_advisory_lock_shared(8)").await;
    let held = format!(
        "select count(*) from pg_locks l join pg_database d on d.oid = l.database
        where l.locktype = 'advisory' and d.datname = '{}'",
        world.database
    );
    assert_eq!(world.look::<i64>(&held).await, 2);
    tx.finish(Ok(())).await.expect("commit");
    assert_eq!(world.look::<i64>(&held).await, 0);
}

/// What the driver calls the statement of [`store::site_origins::listed`].
async fn name_of_listed(tx: &mut SiteTx) -> String {
    let sql = "select name from pg_prepared_statements where starts_with(statement, 'select origin from')";
    value(tx.connection(), sql).await.expect("prepared by the driver")
}

#[tokio::test]
async fn a_statement_that_takes_the_name_of_one_of_the_servers_own_serves_nobody_else() {
    let world = World::new().await;
    let gate = gate(&world);
    for commits in [true, false] {
        let mut tx = enter(&gate, &world.site_a.key, None).await;
        store::site_origins::listed(&mut tx).await.expect("origins");
        let name = name_of_listed(&mut tx).await;
        let forged = format!(
            "deallocate \"{name}\";
            prepare \"{name}\" as select 'https://forged.example'::text"
        );
        raw(tx.connection(), &forged).await;
        let listed = store::site_origins::listed(&mut tx).await.expect("a row");
        assert_eq!(listed[0].as_str(), "https://forged.example", "nothing was planted");
        let _: Result<(), _> = tx.finish(if commits { Ok(()) } else { Err(Problem::not_found()) }).await;

        let mut tx = enter(&gate, &world.site_c.key, None).await;
        let listed = store::site_origins::listed(&mut tx).await.expect("origins");
        assert_eq!(listed[0].as_str(), world.site_c.origin);
        tx.finish(Ok(())).await.expect("commit");
    }
}

#[tokio::test]
async fn a_read_of_published_content_leaves_nothing_and_no_digest_of_it_stands_in_a_statement() {
    let world = World::new().await;
    unharden(&world).await;
    let (gate, mut spy) = (gate(&world), world.gate().await);
    for site in [&world.site_a, &world.site_c, &world.site_a] {
        let (entry_request, proved) = (to_read(&site.key, Some(site.origin)), prove(&gate, site).await);
        let own = read_own(&gate, &entry_request, &proved).await.expect("the site");
        assert_eq!(own.slug, site.slug);
        let text = seen(&mut spy).await;
        assert!(text.contains("auth.read_site"), "the spy sees nothing, so this proves nothing: {text}");
        shows_none(&text, &[entry_request.key, entry_request.origin.expect("sent")]);
        let sql = "select current_user::text, current_setting('transaction_read_only'),
            coalesce(string_agg(current_setting('app.' || name, true), ''), '')
            from unnest(array['org_id', 'site_id', 'key_hash', 'ticket_hash', 'session_hash']) name";
        let rows = gate.pool().catalog(sql).await.expect("the pool works");
        let left: (String, String) = (rows[0].get(0), rows[0].get(2));
        assert_eq!(left, ("vicket_gate_widget".to_owned(), String::new()));
    }
    // What it took is no role to keep: the same connection may write for the next request.
    let mut tx = enter(&gate, &world.site_c.key, None).await;
    let read_only: String =
        value(tx.connection(), "select current_setting('transaction_read_only')").await.expect("on");
    assert_eq!(read_only, "off");
    tx.finish(Ok(())).await.expect("commit");
}

#[tokio::test]
async fn a_read_of_published_content_can_write_nothing_and_a_revoked_key_reads_nothing() {
    let world = World::new().await;
    let gate = gate(&world);
    let proved = prove(&gate, &world.site_a).await;
    // A body that a mistake could give it: as the widget it may insert a ticket, in a read it may not.
    let insert = "insert into vicket.tickets (email, subject) values ('ada@example.com', 'Written by a read')";
    let body = |entering: &str| {
        format!(
            "create or replace function auth.read_site(p_key_hash bytea, p_origin_hash bytea)
              returns setof auth.read_site language plpgsql volatile as $$
            declare answer auth.read_site;
            begin
              answer.entry := {entering};
              return next answer;
              if (answer.entry).verdict = 'entered' then {insert}; end if;
            end $$"
        )
    };
    let written = "select count(*) from vicket.tickets where subject = 'Written by a read'";
    world.arrange(&body("auth.enter_reading(p_key_hash, p_origin_hash)")).await;
    let refused = read_own(&gate, &to_read(&world.site_a.key, None), &proved).await.expect_err("a read writes nothing");
    assert!(refused.cause.is_some_and(|cause| cause.contains("25006")), "read_only_sql_transaction");
    assert_eq!(world.look::<i64>(written).await, 0);
    // Where it does not say that it only reads, the very statement writes: it is that which refuses.
    world.arrange(&body("auth.enter_site(p_key_hash, p_origin_hash, decode(repeat('00', 32), 'hex'))")).await;
    assert_eq!(
        read_own(&gate, &to_read(&world.site_a.key, None), &proved).await.map(drop).expect_err("no row").code,
        Code::NotFound
    );
    assert_eq!(world.look::<i64>(written).await, 1);

    let world = World::new().await;
    let gate = super::gate(&world);
    let (good, proved) = (to_read(&world.site_a.key, None), prove(&gate, &world.site_a).await);
    assert_eq!(read_own(&gate, &good, &proved).await.expect("the site").slug, world.site_a.slug);
    assert_eq!(
        read_own(&gate, &to_read("pk_of_nobody", None), &proved).await.map(drop).expect_err("nobody's").code,
        Code::KeyInvalid
    );
    world.arrange("update vicket.site_keys set state = 'revoked', revoked_at = now()").await;
    assert_eq!(read_own(&gate, &good, &proved).await.map(drop).expect_err("revoked").code, Code::KeyInvalid);
}

fn to_read(key: &str, origin: Option<&str>) -> EntryRequest {
    let origin = origin.map(|origin| Sha256Digest::of(origin.as_bytes()));
    EntryRequest { access: Access::Read, key: Sha256Digest::of(key.as_bytes()), origin, ticket: None }
}

async fn prove(gate: &WidgetGate, site: &Site) -> Entry {
    match gate.prove(&to_read(&site.key, None)).await {
        Ok(Verdict::Entered(entry)) => entry,
        _ => panic!("the key is good"),
    }
}

/// The site of a key, as a request reads it that needs no transaction.
async fn read_own(
    gate: &WidgetGate,
    entry_request: &EntryRequest,
    proved: &Entry,
) -> Result<store::sites::OwnSite, Problem> {
    let unknown = || Problem::new(Code::KeyInvalid, "revoked");
    store::sites::own(&mut Published::new(gate, entry_request, proved.clone(), unknown)).await
}

#[tokio::test]
async fn a_connection_whose_statements_were_taken_away_is_replaced() {
    let world = World::new().await;
    let gate = gate(&world);
    let mut tx = enter(&gate, &world.site_a.key, None).await;
    let before = pid(tx.connection()).await;
    raw(tx.connection(), "deallocate all").await;
    tx.finish(Ok(())).await.expect("commit");
    assert_ne!(next(&world, &gate, &world.site_c).await, before);

    // One that is needed later is missed later, and its connection serves nobody after that.
    let mut tx = enter(&gate, &world.site_a.key, None).await;
    let before = pid(tx.connection()).await;
    store::site_origins::listed(&mut tx).await.expect("origins");
    let name = name_of_listed(&mut tx).await;
    raw(tx.connection(), &format!("deallocate \"{name}\"")).await;
    tx.finish(Ok(())).await.expect("commit");
    let mut tx = enter(&gate, &world.site_c.key, None).await;
    let missed = store::site_origins::listed(&mut tx).await.map(drop);
    let missed = tx.finish(missed).await.expect_err("its statement is gone");
    assert_eq!(missed.code, Code::DatabaseUnavailable);
    assert_ne!(next(&world, &gate, &world.site_c).await, before);
}

#[tokio::test]
async fn what_was_committed_is_answered_so_even_when_the_connection_is_of_no_more_use() {
    let world = World::new().await;
    let gate = gate(&world);
    let submit = async |email: &str| {
        let mut tx = enter(&gate, &world.site_a.key, None).await;
        let served = pid(tx.connection()).await;
        raw(
            tx.connection(),
            &format!("insert into vicket.tickets (email, subject) values ('{email}@example.com', 'Hello')"),
        )
        .await;
        (tx, served)
    };
    let (mut tx, served) = submit("unclean").await;
    raw(tx.connection(), "prepare leak as select 1").await;
    assert!(tx.finish(Ok(())).await.is_ok());
    assert_ne!(next(&world, &gate, &world.site_c).await, served);

    let (tx, served) = submit("unasked").await;
    world.arrange("revoke execute on function auth.session_is_clean() from vicket_gate_widget").await;
    assert!(tx.finish(Ok(())).await.is_ok());
    world.arrange("grant execute on function auth.session_is_clean() to vicket_gate_widget").await;
    assert_ne!(next(&world, &gate, &world.site_c).await, served);

    let there: Vec<String> = world.look("select array_agg(email order by email) from vicket.tickets").await;
    assert_eq!(there, ["unasked@example.com", "unclean@example.com"]);
}

#[tokio::test]
async fn a_transaction_that_has_failed_is_not_answered_as_committed() {
    let world = World::new().await;
    let gate = gate(&world);
    let mut tx = enter(&gate, &world.site_a.key, None).await;
    raw(tx.connection(), "insert into vicket.tickets (email, subject) values ('lost@example.com', 'Hello')").await;
    assert_eq!(super::run(tx.connection(), "select 1 / 0").await, super::refused("22012"));
    let ended = tx.finish(Ok(())).await.expect_err("nothing was committed");
    assert_eq!(ended.code, Code::Internal);
    assert_eq!(world.look::<i64>("select count(*) from vicket.tickets").await, 0);
    next(&world, &gate, &world.site_c).await;
}

/// The settings of the context that are not empty, by name.
async fn context(connection: &mut PgConnection) -> Vec<String> {
    let sql = "select coalesce(array_agg(name order by name), '{}') from unnest(array[
          'org_id', 'site_id', 'key_hash', 'ticket_hash', 'submission_hash',
          'session_hash', 'machine_key_hash', 'request_id'
        ]) as name
        where nullif(current_setting('app.' || name, true), '') is not null";
    value(connection, sql).await.expect("names")
}

#[tokio::test]
async fn who_enters_leaves_nothing_of_the_context_of_who_was_there_before() {
    let world = World::new().await;
    let person = world.person("acme", "owner").await;
    // No login may do both; the functions run as their owner, whoever calls.
    let mut connection = connect(&crate::harness::url(None, &world.database)).await;
    let customer = |key: &str| {
        let (key, ticket) = (Sha256Digest::of(key.as_bytes()).to_hex(), Sha256Digest::of(b"ticket").to_hex());
        format!("select from auth.enter('\\x{key}', '', '\\x{ticket}')")
    };
    let agent = |session: Sha256Digest, machine_key: &str, org: &str| {
        let (session, org) = (session.to_hex(), Sha256Digest::of(org.as_bytes()).to_hex());
        format!("select from auth.enter_actor('\\x{session}', '{machine_key}', '\\x{org}', 'request')")
    };
    let nobody = Sha256Digest::of(b"nobody");
    let of_customer = ["key_hash", "org_id", "site_id", "ticket_hash"];
    let of_agent = ["org_id", "request_id", "session_hash"];
    for (what, sql, expected) in [
        ("a key", customer(&world.site_a.key), &of_customer[..]),
        ("an unknown key", customer("nobody"), &[]),
        ("a session", agent(person.session, "", "acme"), &of_agent[..]),
        ("a session in another's org", agent(person.session, "", "globex"), &["request_id"]),
        ("an unknown session", agent(nobody, "", "acme"), &["request_id"]),
        ("two credentials", agent(person.session, "\\xff", "acme"), &["request_id"]),
    ] {
        raw(&mut connection, "begin").await;
        for before in [
            "org_id",
            "site_id",
            "key_hash",
            "ticket_hash",
            "submission_hash",
            "session_hash",
            "machine_key_hash",
            "request_id",
        ] {
            raw(&mut connection, &format!("set local app.{before} = '00000000-0000-4000-8000-000000000000'")).await;
        }
        assert_eq!(context(&mut connection).await.len(), 8);
        raw(&mut connection, &sql).await;
        assert_eq!(context(&mut connection).await, expected, "{what}");
        raw(&mut connection, "rollback").await;
    }
}

#[tokio::test]
async fn a_gate_that_enters_has_its_role_to_the_end_of_the_transaction_and_no_longer() {
    let world = World::new().await;
    let person = world.person("acme", "owner").await;
    let (key, session, org) = (
        Sha256Digest::of(world.site_a.key.as_bytes()).to_hex(),
        person.session.to_hex(),
        Sha256Digest::of(b"acme").to_hex(),
    );
    let mut nobody = session.clone();
    nobody.replace_range(0..2, if nobody.starts_with("00") { "11" } else { "00" });
    for (login, role, enters, fails) in [
        (
            "vicket_gate_widget",
            "vicket_widget",
            format!("select verdict from auth.enter_site('\\x{key}', '', '')"),
            "select verdict from auth.enter_site('\\x00', '', '')".to_owned(),
        ),
        (
            "vicket_gate_agent",
            "vicket_agent",
            format!("select verdict from auth.enter_org('\\x{session}', '', '\\x{org}', 'request')"),
            format!("select verdict from auth.enter_org('\\x{nobody}', '', '\\x{org}', 'request')"),
        ),
    ] {
        let mut connection = connect(&world.url(login)).await;
        let who = "select current_user::text";
        raw(&mut connection, "begin read only").await;
        assert_eq!(value(&mut connection, &fails).await, Ok("unknown".to_owned()), "{login}");
        assert_eq!(value(&mut connection, who).await, Ok(login.to_owned()), "the twin");
        assert_eq!(value(&mut connection, &enters).await, Ok("entered".to_owned()), "{login}");
        assert_eq!(value(&mut connection, who).await, Ok(role.to_owned()));
        assert_eq!(value::<i64>(&mut connection, "select count(*) from vicket.orgs").await, Ok(1), "{login}");
        // In the role itself nobody enters a second time.
        assert_eq!(value::<String>(&mut connection, &enters).await, Err("42501".to_owned()), "{login}");
        raw(&mut connection, "commit").await;
        assert_eq!(value(&mut connection, who).await, Ok(login.to_owned()));
        let left: Result<String, _> = value(&mut connection, "select current_setting('app.org_id', true)").await;
        assert_eq!(left, Ok(String::new()));
        assert_eq!(value(&mut connection, "select auth.session_is_clean()").await, Ok(true), "{login}");
    }
    let mut tx = world.agent(&world.agent_gate(), &person, "acme").await;
    assert_eq!(value(tx.connection(), "select current_user::text").await, Ok("vicket_agent".to_owned()));
    drop(tx);
    let entered = world.enter(&world.agent_gate(), &person, "globex", Access::Read).await;
    assert!(matches!(entered, vicket::db::AgentVerdict::NoOrg));
}
