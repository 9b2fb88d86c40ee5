//! An audit log that can forget: people, orgs that are gone, old months; and the chain verifies.

use std::path::{Path, PathBuf};

use serde_json::json;
use vicket::{
    db::{Pool, Start, Worker},
    domain::text::OrgName,
    migrate::{self, Passwords},
    store::{
        self,
        audit_log::{Chain, Standing},
    },
};

use super::People;
use crate::{
    harness::{DEPLOY, World, connect, ticket, url},
    migrations::bare_database,
    processes::{text, vicket},
};

/// Runs a command; its output, or what it says against it.
fn command(world: &World, args: &[&str]) -> Result<String, String> {
    let output = vicket().env("VICKET_ADMIN_URL", world.url(DEPLOY)).args(args).output().expect("it runs");
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// The tables of which a row holds the text somewhere, in whatever column.
async fn holding(world: &World, sought: &str) -> Vec<String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select c.oid::regclass::text from pg_class c
        where c.relnamespace = 'vicket'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition order by 1",
    )
    .fetch_all(&world.superuser)
    .await
    .expect("tables");
    let mut holding = Vec::new();
    for table in tables {
        let rows = format!("select count(*) from {table} t where strpos(lower(t::text), lower('{sought}')) > 0");
        if world.look::<i64>(&rows).await > 0 {
            holding.push(table);
        }
    }
    holding
}

async fn verify(world: &World, org: &str) -> Chain {
    let mut tx = world.operator.begin().await.expect("begin");
    tx.enter_audit_log(org).await.expect("there is a log");
    store::audit_log::verify(&mut tx, None).await.expect("verified")
}

/// Runs what waits for the worker, to the end.
async fn work(world: &World) {
    let worker = Worker::new(Pool::new(&world.url("vicket_worker"), 1, &Start::WORKER).expect("a URL"));
    // A job whose row somebody else has locked for a moment is passed over.
    for _ in 0..100 {
        while store::jobs::run(&worker, 3).await.expect("a batch").is_some() {}
        if world.look::<i64>("select count(*) from vicket.jobs").await == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("a job does not end");
}

#[tokio::test]
async fn who_is_erased_is_in_no_row_any_more_and_the_chain_verifies() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let agent = &people.agent;
    // What names an agent: content, answers, changes of tickets, assignments.
    world.join(agent.id, "globex", "viewer").await;
    let article = json!({ "title": "By them", "body_markdown": "Text" });
    server.post_as(agent, "/v1/orgs/acme/articles", article).await.ok(201);
    let made = server.post(&world.site_a.key, "/support/v1/tickets", &ticket()).await.ok(201).json();
    let path = format!("/v1/orgs/acme/tickets/{}", made["id"].as_str().expect("an id"));
    server.post_as(agent, &format!("{path}/messages"), json!({ "body": "By them" })).await.ok(201);
    server.patch_as(&people.admin, &path, json!({ "assignee": agent.id })).await.ok(200);
    server.patch_as(agent, &path, json!({ "status": "resolved" })).await.ok(200);
    server.patch_as(&people.owner, "/v1/orgs/acme", json!({ "name": "Acme anew" })).await.ok(200);
    let named = holding(&world, &agent.email).await;
    assert_eq!(named, ["vicket.articles", "vicket.audit_log", "vicket.ticket_events", "vicket.users"]);
    let refused = command(&world, &["person", "erase", "acme", &agent.email]).expect_err("a member");
    assert!(refused.contains("is a member") && refused.contains("invalid_request"), "{refused}");

    command(&world, &["user", "remove", "acme", &agent.email]).expect("removed");
    let said = command(&world, &["person", "erase", "acme", &agent.email.to_uppercase()]).expect("erased");
    for line in
        ["articles by them\t1\t0", "answers by them\t1\t0", "changes of tickets by them or to them\t", "tickets\t0\t0"]
    {
        assert!(said.contains(line), "{line}: {said}");
    }
    // In the other org they still work.
    assert!(said.ends_with("accounts\t1\t1\n"), "{said}");
    assert_eq!(holding(&world, &agent.email).await, ["vicket.users"]);
    assert_eq!(
        holding(&world, &agent.id.to_string()).await,
        ["vicket.audit_log", "vicket.members", "vicket.sessions", "vicket.users"]
    );
    let here = format!(
        "select count(*) from vicket.audit_log l where org_id = '{}' and strpos(l::text, '{}') > 0",
        world.site_a.org_id, agent.id
    );
    assert_eq!(world.look::<i64>(&here).await, 0, "the other org's log is its own");
    let Chain::Whole(Standing { erased, .. }) = verify(&world, "acme").await else { panic!("not whole") };
    assert!(erased >= 3, "{erased}");
    assert!(matches!(verify(&world, "globex").await, Chain::Whole(Standing { erased: 0, .. })));
    let thread = server.get_as(&people.owner, &path).await.ok(200).text.clone();
    assert!(thread.contains("By them"), "what was said stays: {thread}");
    // What others did is still theirs, and an erased entry says so.
    let log = server.get_as(&people.owner, "/v1/orgs/acme/audit-log?limit=100").await.ok(200).json();
    let actors: Vec<&str> =
        log["data"].as_array().expect("a list").iter().filter_map(|entry| entry["actor"]["name"].as_str()).collect();
    assert!(actors.contains(&"erased") && actors.contains(&people.owner.email.as_str()), "{actors:?}");
    assert_eq!(log["data"][0]["action"], "erased");
    server.get_as(&people.owner, "/v1/orgs/acme/audit-log?object=person").await.ok(200).json();

    command(&world, &["user", "remove", "globex", &agent.email]).expect("removed");
    let said = command(&world, &["person", "erase", "globex", &agent.email]).expect("erased");
    assert!(said.ends_with("accounts\t1\t0\n"), "{said}");
    assert_eq!(holding(&world, &agent.id.to_string()).await, Vec::<String>::new());
    let again = command(&world, &["person", "erase", "globex", &agent.email]).expect("nothing to erase is no error");
    assert!(again.lines().all(|line| line.ends_with("\t0\t0")), "{again}");
}

#[tokio::test]
async fn a_customer_who_is_erased_leaves_no_ticket_and_nobody_elses_goes() {
    let world = World::new().await;
    let server = world.serve().await;
    let mut of_another = ticket();
    of_another["email"] = json!("grace@example.com");
    for site in [&world.site_a, &world.site_b, &world.site_c] {
        server.post(&site.key, "/support/v1/tickets", &ticket()).await.ok(201);
        server.post(&site.key, "/support/v1/tickets", &of_another).await.ok(201);
    }
    let said = command(&world, &["person", "erase", "acme", " Ada@Example.com "]).expect("erased");
    assert!(said.contains("\ntickets\t2\t0\nmessages in them\t2\t0\n"), "{said}");
    let left = "select string_agg(o.slug || ' ' || t.email, ', ' order by o.slug, t.email)
        from vicket.tickets t join vicket.orgs o on o.id = t.org_id";
    assert_eq!(
        world.look::<String>(left).await,
        "acme grace@example.com, acme grace@example.com, globex ada@example.com, globex grace@example.com"
    );
    let entries = format!(
        "select count(*) from vicket.audit_log l where l.object_kind = 'ticket' and l.action = 'deleted' and org_id = '{}'",
        world.site_a.org_id
    );
    assert_eq!(world.look::<i64>(&entries).await, 2);
    assert!(matches!(verify(&world, "acme").await, Chain::Whole(_)));
    let nowhere = command(&world, &["person", "erase", "nowhere", "ada@example.com"]).expect_err("no such org");
    assert!(nowhere.contains("not_found"), "{nowhere}");
}

#[tokio::test]
async fn a_deleted_org_leaves_a_chain_without_a_name() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    world.join(people.viewer.id, "globex", "viewer").await;
    server.post(&world.site_a.key, "/support/v1/tickets", &ticket()).await.ok(201);
    let invitation = json!({ "email": "joan@example.com", "role": "agent" });
    server.post_as(&people.owner, "/v1/orgs/acme/members", invitation).await.ok(201);
    server.delete_as(&people.owner, "/v1/orgs/acme").await.ok(204);
    let org = world.site_a.org_id.to_string();
    let of_acme =
        [people.owner.email.as_str(), people.admin.email.as_str(), people.agent.email.as_str(), "joan@example.com"];
    assert_eq!(holding(&world, "joan@example.com").await, ["vicket.audit_log"], "until the worker comes");
    work(&world).await;
    for sought in of_acme.into_iter().chain(["ada@example.com", "acme", "site-a", "https://a.example"]) {
        let expected: &[&str] = if sought == "acme" { &["vicket.users"] } else { &[] };
        // The one of them who is in another org has an address of this one.
        assert_eq!(holding(&world, sought).await, expected, "{sought}");
    }
    assert_eq!(holding(&world, &org).await, ["vicket.audit_heads", "vicket.audit_log"]);
    assert_eq!(world.look::<i64>("select count(*) from vicket.jobs").await, 0);
    // Whose org is another one too is still there, and so are those who never were here.
    for (person, there) in [(&people.viewer, 1), (&people.rival, 1), (&people.owner, 0), (&people.agent, 0)] {
        let found = format!("select count(*) from vicket.users where id = '{}'", person.id);
        assert_eq!(world.look::<i64>(&found).await, there, "{}", person.email);
    }
    server.get_as(&people.viewer, "/v1/orgs/globex").await.ok(200);
    let Chain::Whole(Standing { entries, erased, .. }) = verify(&world, &org).await else { panic!("not whole") };
    assert_eq!(erased, entries - 1, "all but the entry that says so");
    let said = command(&world, &["audit", "log", &org, "--verify"]).expect("by its id");
    assert!(said.contains(&format!("Of {erased} of them something was erased")), "{said}");
    let gone = command(&world, &["audit", "log", "acme", "--verify"]).expect_err("by its slug");
    assert!(gone.contains("There is no org"), "{gone}");
    assert!(matches!(verify(&world, "globex").await, Chain::Whole(Standing { erased: 0, .. })));
}

#[tokio::test]
async fn what_is_missing_and_not_said_to_be_erased_breaks_the_chain() {
    for (taken, seq) in [
        ("set actor_id = null, actor = null, actor_salt = null where seq = 2", 2),
        ("set object_id = null, before = null, after = null, object_salt = null where seq = 3", 3),
    ] {
        let world = World::new().await;
        // No trigger refuses it to a superuser: it takes away and changes nothing.
        let org = world.site_a.org_id;
        world.arrange(&format!("update vicket.audit_log {taken} and org_id = '{org}'")).await;
        let found = verify(&world, "acme").await;
        assert!(
            matches!(&found, Chain::Broken { seq: at, fault } if *at == seq && fault.contains("no entry says so")),
            "{found:?}"
        );
        assert!(matches!(verify(&world, "globex").await, Chain::Whole(_)));
    }
}

/// An Ed25519 key as files in PEM: the private and the public half.
fn key(world: &World, name: &str) -> (PathBuf, PathBuf) {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use ring::signature::{Ed25519KeyPair, KeyPair as _};
    let pair = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).expect("a key");
    let public = Ed25519KeyPair::from_pkcs8(pair.as_ref()).expect("a key").public_key().as_ref().to_vec();
    let info = [&b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"[..], &public].concat();
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", world.database));
    std::fs::create_dir_all(&dir).expect("a directory");
    let write = |label: &str, der: &[u8]| {
        let file = dir.join(format!("{name}.{}", label.split(' ').next().expect("a word")));
        std::fs::write(&file, format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der)))
            .expect("written");
        file
    };
    (write("PRIVATE KEY", pair.as_ref()), write("PUBLIC KEY", &info))
}

/// Makes what the log holds a month that has ended.
pub async fn a_month_ends(world: &World, month: &str) {
    let month = month.replace('-', "_");
    world
        .arrange(&format!(
            "do $$
            declare
              present constant text := 'audit_log_' || to_char(now() at time zone 'UTC', 'YYYY_MM');
              ends constant timestamptz := clock_timestamp();
              bound constant text := (select substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \\((.*)\\)')
                from pg_class c where c.oid = ('vicket.' || present)::regclass);
            begin
              execute format('alter table vicket.audit_log detach partition vicket.%I', present);
              execute format('alter table vicket.%I rename to audit_log_{month}', present);
              execute format('alter table vicket.audit_log attach partition vicket.audit_log_{month} for values from (minvalue) to (%L)', ends);
              execute format('create table vicket.%I partition of vicket.audit_log for values from (%L) to (%s)', present, ends, bound);
              execute format('alter table vicket.%I owner to vicket_owner', present);
              execute format('alter table vicket.%I enable row level security', present);
              execute format('alter table vicket.%I force row level security', present);
              execute format('create trigger never_truncated before truncate on vicket.%I
                for each statement execute function vicket.audit_log_is_append_only()', present);
            end $$"
        ))
        .await;
}

#[tokio::test]
async fn an_old_month_is_detached_with_a_signature_and_the_rest_verifies() {
    let world = World::new().await;
    let (private, public) = key(&world, "ours");
    let (_, foreign) = key(&world, "theirs");
    let file = |path: &Path| path.to_str().expect("plain").to_owned();
    let month: String = world.look("select to_char(now() at time zone 'UTC' - interval '1 month', 'YYYY-MM')").await;
    a_month_ends(&world, &month).await;
    let detach = |month: &str| command(&world, &["audit", "detach", month, "--signing-key", &file(&private)]);
    let present: String = world.look("select to_char(now() at time zone 'UTC', 'YYYY-MM')").await;
    for (month, why) in [(present.as_str(), "has not ended"), ("2001-01", "is not in the log"), ("January", "YYYY-MM")]
    {
        let said = detach(month).expect_err(why);
        assert!(said.contains(why), "{month}: {said}");
    }
    let bad =
        command(&world, &["audit", "detach", &month, "--signing-key", &file(&public)]).expect_err("no private key");
    assert!(bad.contains("no private key"), "{bad}");

    let Chain::Whole(before) = verify(&world, "acme").await else { panic!("not whole") };
    let said = detach(&month).expect("detached");
    let table = format!("archive.audit_log_{}", month.replace('-', "_"));
    assert!(said.contains(&table) && said.contains("of 2 orgs"), "{said}");
    assert_eq!(world.look::<i64>("select count(*) from vicket.audit_log").await, 0);
    assert!(world.look::<i64>(&format!("select count(*) from {table}")).await > before.entries);

    // Whole with nothing there, and with what came later.
    let rename = || world.administer("acme", async |tx| store::orgs::rename(tx, &OrgName::known("Acme anew")).await);
    assert!(matches!(verify(&world, "acme").await, Chain::Whole(Standing { entries: 0, .. })));
    rename().await.expect("renamed");
    let check = |key: &Path| command(&world, &["audit", "log", "acme", "--verify", "--public-key", &file(key)]);
    let said = check(&public).expect("whole");
    assert!(said.starts_with("acme: 1 entries, the chain is whole\n"), "{said}");
    assert!(
        said.contains(&format!("Entries 1 to {} were detached ({month}), signed with SHA256:", before.entries)),
        "{said}"
    );
    let said = command(&world, &["audit", "log", "acme", "--verify"]).expect("whole");
    assert!(said.contains("--public-key compares"), "{said}");
    let said = check(&foreign).expect_err("another's");
    assert!(said.contains("was signed with another key"), "{said}");

    // Nobody reaches what was detached; it is no finding, and a grant on it is one.
    let owner = format!("set role vicket_owner; select 1 / (1 - count(*)) from {table}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(owner))
        .execute(&mut connect(&world.url(DEPLOY)).await)
        .await
        .expect("no row for the owner");
    let findings = "select coalesce(string_agg(id || ': ' || object || ' ' || what, '; '), 'none') from audit.findings
        where severity = 'error'";
    assert_eq!(world.look::<String>(findings).await, "none");
    world.arrange(&format!("grant select on {table} to vicket_agent")).await;
    let reachable =
        format!("select count(*) from audit.findings where id = 'partition-reachable' and object = '{table}'");
    assert_eq!(world.look::<i64>(&reachable).await, 1);

    for (tampering, why) in [
        ("update vicket.audit_checkpoints set last_seq = last_seq - 1", "is not what was signed"),
        ("update vicket.audit_checkpoints set last_hash = sha256('x')", "is not what was signed"),
        ("delete from vicket.audit_checkpoints", "rows before it are missing"),
    ] {
        world.arrange(tampering).await;
        let Chain::Broken { fault, .. } = verify(&world, "acme").await else { panic!("{tampering}") };
        assert!(fault.contains(why), "{tampering}: {fault}");
    }
}

#[tokio::test]
async fn a_broken_chain_is_not_signed() {
    let world = World::new().await;
    let (private, _) = key(&world, "ours");
    a_month_ends(&world, "2026-01").await;
    let org = world.site_c.org_id;
    world
        .arrange(&format!(
            "alter table vicket.audit_log disable trigger user;
            update vicket.audit_log set actor = 'somebody else' where seq = 2 and org_id = '{org}';
            alter table vicket.audit_log enable trigger user"
        ))
        .await;
    let said = command(&world, &["audit", "detach", "2026-01", "--signing-key", private.to_str().expect("plain")]);
    let said = said.expect_err("broken");
    assert!(said.contains(&format!("the chain of {org} breaks at entry 2: it was changed")), "{said}");
    assert_eq!(world.look::<i64>("select count(*) from vicket.audit_checkpoints").await, 0);
    assert!(world.look::<i64>("select count(*) from vicket.audit_log").await > 0);
}

#[tokio::test]
async fn where_nobody_migrated_for_months_nothing_fails_and_the_next_migration_makes_them() {
    let database = bare_database().await;
    let deploy = url(Some(DEPLOY), &database);
    let migrated = async || migrate::run(&deploy, &Passwords::default()).await.expect("migrated");
    migrated().await;
    let mut superuser = connect(&url(None, &database)).await;
    let ended = "do $$
        declare each text;
        begin
          for each in select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
            where i.inhparent = 'vicket.audit_log'::regclass and c.relname <> 'audit_log_later' loop
            execute format('alter table vicket.audit_log detach partition vicket.%I', each);
            execute format('drop table vicket.%I', each);
          end loop;
        end $$;
        create table vicket.audit_log_2020_03 partition of vicket.audit_log for values from (minvalue) to ('2020-04-01 00:00:00+00');
        alter table vicket.audit_log_2020_03 owner to vicket_owner;
        alter table vicket.audit_log_2020_03 enable row level security;
        alter table vicket.audit_log_2020_03 force row level security;
        create trigger never_truncated before truncate on vicket.audit_log_2020_03
          for each statement execute function vicket.audit_log_is_append_only()";
    sqlx::raw_sql(ended).execute(&mut superuser).await.expect("arranged");
    let late: i64 = sqlx::query_scalar("select count(*) from audit.findings where id = 'audit-months'")
        .fetch_one(&mut superuser)
        .await
        .expect("findings");
    assert_eq!(late, 1, "the audit says that months are missing");
    sqlx::raw_sql("set role vicket_operator; select admin.create_org('acme', 'Acme'); reset role")
        .execute(&mut superuser)
        .await
        .expect("an entry");
    let places = "select string_agg(distinct tableoid::regclass::text, ',') from vicket.audit_log";
    let place: String = sqlx::query_scalar(places).fetch_one(&mut superuser).await.expect("a place");
    assert_eq!(place, "vicket.audit_log_later");
    migrated().await;
    let present: String =
        sqlx::query_scalar("select 'vicket.audit_log_' || to_char(now() at time zone 'UTC', 'YYYY_MM')")
            .fetch_one(&mut superuser)
            .await
            .expect("now");
    let place: String = sqlx::query_scalar(places).fetch_one(&mut superuser).await.expect("a place");
    assert_eq!(place, present);
    let (partitions, findings): (i64, i64) = sqlx::query_as(
        "select (select count(*) from pg_inherits where inhparent = 'vicket.audit_log'::regclass),
          (select count(*) from audit.findings where severity = 'error' or id = 'audit-months')",
    )
    .fetch_one(&mut superuser)
    .await
    .expect("the catalog");
    assert_eq!((partitions, findings), (16, 0), "2020-03, the present month, thirteen to come, and what is later");
}

#[tokio::test]
async fn what_an_org_knows_of_a_person_is_written_out_whole_and_of_nobody_else() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let submit = async |site: &crate::harness::Site, email: &str, text: &str| {
        let body = json!({ "email": email, "name": "Ada", "subject": "Help", "message": text });
        server.post(&site.key, "/support/v1/tickets", &body).await.ok(201).json()
    };
    let made = submit(&world.site_a, "Ada@example.com", "Mine, in acme").await;
    submit(&world.site_b, "ada@example.com", "Mine, elsewhere").await;
    submit(&world.site_a, "grace@example.com", "Another\u{2019}s").await;
    submit(&world.site_c, "ada@example.com", "In globex").await;
    let path = format!("/v1/orgs/acme/tickets/{}", made["id"].as_str().expect("an id"));
    server
        .post_as(&people.agent, &format!("{path}/messages"), json!({ "body": "A note", "internal": true }))
        .await
        .ok(201);
    world
        .arrange(
            "insert into vicket.attachments (org_id, site_id, ticket_id, message_id, upload_id, name, content_type, size, content)
             select m.org_id, m.site_id, m.ticket_id, m.id, gen_random_uuid(), 'a.txt', 'text/plain', 4, 'text'
             from vicket.ticket_messages m where m.body = 'Mine, in acme'",
        )
        .await;
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("person-{}", uuid::Uuid::new_v4()));
    let dir_text = dir.to_str().expect("text");
    let said = command(&world, &["person", "export", "acme", " ada@EXAMPLE.com", dir_text]).expect("exported");
    assert!(said.contains("tickets\t2\nmessages\t3\nfiles\t1\n"), "{said}");
    let text = std::fs::read_to_string(dir.join("person.json")).expect("written");
    let whole: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(whole["tickets"][0]["messages"][0]["body"], "Mine, in acme");
    assert_eq!(whole["tickets"][0]["messages"][1]["internal"], true);
    let file = &whole["tickets"][0]["files"][0];
    assert_eq!(std::fs::read_to_string(dir.join(file["path"].as_str().expect("a path"))).expect("the file"), "text");
    for others in ["grace", "globex", "Another"] {
        assert!(!text.contains(others), "{others}: {text}");
    }
    let mode =
        |path: &Path| std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).expect("there").permissions());
    assert_eq!((mode(&dir) & 0o777, mode(&dir.join("person.json")) & 0o777), (0o700, 0o600));
    let again = command(&world, &["person", "export", "acme", "ada@example.com", dir_text]).expect_err("it is there");
    assert!(again.contains("cannot make"), "{again}");

    // Who works there: what they did.
    let other = dir.join("agent");
    let said = command(&world, &["person", "export", "acme", &people.agent.email, other.to_str().expect("text")]);
    assert!(said.as_ref().is_ok_and(|said| said.contains("tickets\t0\n") && said.contains("answers\t1\n")), "{said:?}");

    let certificate = dir.join("erased.json");
    let erase = ["person", "erase", "acme", "ada@example.com", "--certificate", certificate.to_str().expect("text")];
    command(&world, &erase).expect("erased");
    let text = std::fs::read_to_string(&certificate).expect("written");
    let said: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let tickets = said["counts"].as_array().expect("a list").iter().find(|count| count["what"] == "tickets");
    assert_eq!(tickets, Some(&json!({ "what": "tickets", "before": 2, "after": 0 })));
    assert!(!text.contains("ada@example.com"), "{text}");
    assert_eq!(
        world.look::<i64>("select count(*) from vicket.tickets").await,
        2,
        "the other person's, the other org's"
    );
    let empty = dir.join("empty");
    let said = command(&world, &["person", "export", "acme", "ada@example.com", empty.to_str().expect("text")]);
    assert!(said.is_ok_and(|said| said.contains("tickets\t0\n")));
    std::fs::remove_dir_all(&dir).expect("removed");
}
