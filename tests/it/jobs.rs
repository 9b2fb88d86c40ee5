//! What is too much to do at once: out of sight in the request that asks for it, then done in batches, each a transaction of
//! its own, that a killed process leaves to the next; and numbers and deletions that hold nobody up.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use vicket::{
    db::{Access, AgentVerdict, Pool, Start, Worker},
    domain::text::{SiteName, Slug, StatusName},
    store,
};

use crate::{
    harness::{Answer, DEPLOY, Person, Running, Site, World, connect, ticket},
    processes::vicket,
};

/// More than is done at once.
const MANY: i64 = 1_200;

/// Tickets of a site, with a message each.
async fn many(world: &World, site: &Site) {
    world
        .arrange(&format!(
            "insert into vicket.tickets (org_id, site_id, number, email, subject)
               select '{0}', '{1}', 1000 + n, 'ada@example.com', 'Help' from generate_series(1, {MANY}) n;
             insert into vicket.ticket_messages (org_id, site_id, ticket_id, body)
               select org_id, site_id, id, 'Help' from vicket.tickets where site_id = '{1}'",
            site.org_id, site.id
        ))
        .await;
}

fn worker(world: &World) -> Worker {
    Worker::new(Pool::new(&world.url("vicket_worker"), 2, &Start::WORKER).expect("a URL"))
}

async fn delete(server: &Running, person: &Person, path: &str) -> Answer {
    let request = server.request(Method::DELETE, path).header("Cookie", &person.cookie);
    Answer::of(request.header("Sec-Fetch-Site", "same-origin")).await
}

/// Runs batches to the end of the job; says how many there were, and looks at each that it goes on.
async fn to_the_end(world: &World, kind: &str) -> usize {
    let mut batches = 0;
    let mut done = -1;
    loop {
        // A process of its own each time: what one began another ends.
        let batch = store::jobs::run(&worker(world), 500).await.expect("a batch").expect("a job");
        assert_eq!(batch.kind, kind);
        assert!(batch.ended || batch.done > done, "{batch:?} after {done}");
        assert!(batch.done <= batch.total, "{batch:?}");
        done = batch.done;
        batches += 1;
        if batch.ended {
            // What outlives an org is to forget whom it names.
            let next = store::jobs::run(&worker(world), 500).await.expect("asked");
            assert_eq!(next.map(|batch| batch.kind).as_deref(), (kind == "remove_org").then_some("forget_org"));
            return batches;
        }
    }
}

#[tokio::test]
async fn a_large_site_is_out_of_sight_and_its_key_dead_at_once_and_its_rows_go_in_batches() {
    let world = World::new().await;
    many(&world, &world.site_a).await;
    let owner = world.person("acme", "owner").await;
    let server = world.serve().await;
    server.get(&world.site_a.key, "/support/v1/site").await.ok(200);
    delete(&server, &owner, "/v1/orgs/acme/sites/site-a").await.ok(204);
    server.get(&world.site_a.key, "/support/v1/site").await.refused(401, "key_invalid");
    let again = delete(&server, &owner, "/v1/orgs/acme/sites/site-a").await;
    again.refused(404, "not_found");
    // Its slug is free at once, and the other site is as it was.
    let made = Answer::of(
        server
            .request(Method::POST, "/v1/orgs/acme/sites")
            .header("Cookie", &owner.cookie)
            .header("Sec-Fetch-Site", "same-origin")
            .json(&json!({"slug": "site-a", "name": "Anew"})),
    )
    .await;
    made.ok(201);
    server.get(&world.site_b.key, "/support/v1/site").await.ok(200);
    drop(server);
    let old = format!("select count(*) from vicket.tickets where site_id = '{}'", world.site_a.id);
    to_the_end(&world, "remove_site").await;
    assert_eq!(world.look::<i64>(&old).await, 0);
    for table in ["sites", "site_keys", "articles", "ticket_messages"] {
        let column = if table == "sites" { "id" } else { "site_id" };
        let left = format!("select count(*) from vicket.{table} where {column} = '{}'", world.site_a.id);
        assert_eq!(world.look::<i64>(&left).await, 0, "{table}");
    }
    let entries: Vec<String> = sqlx::query_scalar(
        "select action from vicket.audit_log where object_kind = 'site' and object_id = 'site-a' order by seq",
    )
    .fetch_all(&world.superuser)
    .await
    .expect("the log");
    assert_eq!(entries, ["created", "deleted", "created"], "one entry says that it went, and who did it");
}

#[tokio::test]
async fn a_large_org_has_no_member_at_once_and_goes_with_all_its_sites() {
    let world = World::new().await;
    many(&world, &world.site_a).await;
    let owner = world.person("acme", "owner").await;
    let gate = world.agent_gate();
    let mut tx = world.agent(&gate, &owner, "acme").await;
    store::orgs::delete(&mut tx).await.expect("an owner may");
    tx.commit().await.expect("commit");
    assert!(matches!(world.enter(&gate, &owner, "acme", Access::Read).await, AgentVerdict::NoOrg));
    assert!(to_the_end(&world, "remove_org").await > 3);
    for table in ["sites", "articles", "tickets", "members", "statuses"] {
        let left = format!("select count(*) from vicket.{table} where org_id = '{}'", world.site_a.org_id);
        assert_eq!(world.look::<i64>(&left).await, 0, "{table}");
    }
    assert_eq!(world.look::<i64>("select count(*) from vicket.orgs").await, 1, "the other org is as it was");
    assert!(world.look::<i64>("select count(*) from vicket.articles").await > 0);
}

#[tokio::test]
async fn the_tickets_of_a_status_that_goes_or_moves_follow_in_batches() {
    let world = World::new().await;
    many(&world, &world.site_a).await;
    let owner = world.person("acme", "owner").await;
    let gate = world.agent_gate();
    let mut tx = world.agent(&gate, &owner, "acme").await;
    let status =
        store::statuses::create(&mut tx, &StatusName::known("Waiting"), store::statuses::Category::Pending, None)
            .await
            .expect("made");
    sqlx::query("update vicket.tickets set status_id = $1")
        .bind(status.id)
        .execute(tx.connection())
        .await
        .expect("set");
    tx.commit().await.expect("commit");
    let of = |category: &str| format!("select count(*) from vicket.tickets where status = '{category}'");
    assert_eq!(world.look::<i64>(&of("pending")).await, MANY);

    let mut tx = world.agent(&gate, &owner, "acme").await;
    let change = store::statuses::Change { category: Some(store::statuses::Category::Resolved), ..Default::default() };
    store::statuses::change(&mut tx, status.id, &change).await.expect("moved");
    tx.commit().await.expect("commit");
    assert_eq!(to_the_end(&world, "move_status").await, 4);
    assert_eq!(world.look::<i64>(&of("resolved")).await, MANY);

    let mut tx = world.agent(&gate, &owner, "acme").await;
    store::statuses::delete(&mut tx, status.id).await.expect("deleted");
    store::statuses::by_id(&mut tx, status.id).await.expect_err("it is out of sight");
    // Its name is free at once.
    store::statuses::create(&mut tx, &StatusName::known("Waiting"), store::statuses::Category::Pending, None)
        .await
        .expect("made");
    tx.commit().await.expect("commit");
    assert_eq!(to_the_end(&world, "remove_status").await, 4);
    assert_eq!(world.look::<i64>(&of("open")).await, MANY);
    let whose = format!(
        "select count(*) from vicket.ticket_events where kind = 'status' and after = 'Open' and actor = '{}'",
        owner.email
    );
    assert_eq!(world.look::<i64>(&whose).await, MANY, "the timeline says who did it");
}

#[tokio::test]
async fn two_processes_take_no_job_twice() {
    let world = World::new().await;
    many(&world, &world.site_a).await;
    let owner = world.person("acme", "owner").await;
    let gate = world.agent_gate();
    let mut tx = world.agent(&gate, &owner, "acme").await;
    store::sites::delete(&mut tx, "site-a").await.expect("an owner may");
    tx.commit().await.expect("commit");
    let mut one = connect(&world.url("vicket_worker")).await;
    let mut tx = one.begin().await.expect("begin");
    let taken: Option<String> =
        sqlx::query_scalar("select kind from worker.run_job(500)").fetch_optional(&mut *tx).await.expect("a batch");
    assert_eq!(taken.as_deref(), Some("remove_site"));
    assert!(store::jobs::run(&worker(&world), 500).await.expect("asked").is_none(), "it is the other's");
    // Killed before it committed: nothing was done, and the job waits.
    drop(tx);
    drop(one);
    to_the_end(&world, "remove_site").await;
}

async fn submit(connection: &mut PgConnection, site: &Site) -> i64 {
    let sql = format!(
        "insert into vicket.tickets (org_id, site_id, email, subject)
        values ('{}', '{}', 'ada@example.com', 'Help') returning number",
        site.org_id, site.id
    );
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await.expect("numbered")
}

#[tokio::test]
async fn a_submission_that_stalls_holds_up_no_other_and_a_number_that_was_rolled_back_is_a_gap() {
    let world = World::new().await;
    let server = world.serve().await;
    let post = async || {
        server.post(&world.site_a.key, "/support/v1/tickets", &ticket()).await.ok(201).json()["number"].as_i64()
    };
    assert_eq!(post().await, Some(1));
    let mut stalled = connect(&crate::harness::url(None, &world.database)).await;
    let mut tx = stalled.begin().await.expect("begin");
    assert_eq!(submit(&mut tx, &world.site_a).await, 2);
    let began = Instant::now();
    assert_eq!(post().await, Some(3));
    assert!(began.elapsed() < Duration::from_secs(2), "it waited for the one that stalls");
    tx.rollback().await.expect("rolled back");
    assert_eq!(post().await, Some(4), "2 is a gap, and is not given to somebody else");
    // The highest number is gone with its ticket, and is not given again.
    world.arrange("delete from vicket.tickets where number = 4").await;
    assert_eq!(post().await, Some(5));
}

#[tokio::test]
async fn a_sites_deletion_and_its_counters_do_not_wait_for_each_other_in_a_circle() {
    let world = World::new().await;
    let owner = world.person("acme", "owner").await;
    let gate = world.agent_gate();
    for turn in 0..4 {
        let slug = format!("turn-{turn}");
        let mut tx = world.agent(&gate, &owner, "acme").await;
        let site =
            store::sites::create(&mut tx, &Slug::known(&slug), &SiteName::known(&slug), None).await.expect("a site");
        store::site_keys::create(&mut tx, site.id).await.expect("a key");
        tx.commit().await.expect("commit");
        for article in 0..5 {
            world.publish("acme", Some(site.id), &format!("a-{article}"), "A", "Text.").await;
        }
        let ids: Vec<uuid::Uuid> = sqlx::query_scalar("select id from vicket.articles where site_id = $1")
            .bind(site.id)
            .fetch_all(&world.superuser)
            .await
            .expect("articles");
        assert_eq!(ids.len(), 5);
        let orgs = vec![world.site_a.org_id; ids.len()];
        let mut counter = connect(&world.url("vicket_worker")).await;
        let counted = async {
            for _ in 0..20 {
                sqlx::query("select worker.add_views($1, $2, $3)")
                    .bind(&orgs)
                    .bind(&ids)
                    .bind(vec![1_i64; ids.len()])
                    .execute(&mut counter)
                    .await
                    .expect("views are counted, or there is nothing to count");
                sqlx::query("select worker.add_missed_searches(array[$1], array[$2], array[current_date], array['x'], array[1::bigint])")
                    .bind(world.site_a.org_id)
                    .bind(site.id)
                    .execute(&mut counter)
                    .await
                    .expect("searches are counted, or there is nothing to count");
            }
        };
        let deleted = async {
            let mut tx = world.agent(&gate, &owner, "acme").await;
            store::sites::delete(&mut tx, &slug).await.expect("deleted");
            tx.commit().await.expect("commit");
        };
        tokio::join!(counted, deleted);
    }
}

fn jobs_shown(world: &World) -> String {
    let output = vicket().env("VICKET_ADMIN_URL", world.url(DEPLOY)).args(["org", "jobs"]).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test]
async fn what_fails_of_one_org_is_put_off_and_holds_up_no_other() {
    let world = World::new().await;
    let (acme, globex) = (world.person("acme", "owner").await, world.person("globex", "owner").await);
    many(&world, &world.site_a).await;
    many(&world, &world.site_c).await;
    let server = world.serve().await;
    delete(&server, &acme, "/v1/orgs/acme/sites/site-a").await.ok(204);
    delete(&server, &globex, "/v1/orgs/globex/sites/site-c").await.ok(204);
    drop(server);
    let (site_a, site_b) = (&world.site_a, &world.site_b);
    let stuck = format!(
        "create function public.stuck() returns trigger language plpgsql as $$ begin raise exception 'it is\nstuck'; end $$;
         create trigger stuck before delete on vicket.tickets for each row
           when (old.site_id in ('{}', '{}')) execute function public.stuck()",
        site_a.id, site_b.id
    );
    world.arrange(&stuck).await;

    let worker = worker(&world);
    let run = async || store::jobs::run(&worker, 500).await.expect("a batch").expect("a job");
    let first = run().await;
    assert_eq!((first.org_id, first.error.as_deref(), first.ended), (site_a.org_id, Some("it is\nstuck"), false));
    // Others go on meanwhile: theirs is at its end after few batches, however often the first was due again.
    let mut of_globex = 0;
    loop {
        let batch = run().await;
        assert_eq!(batch.error.is_some(), batch.org_id == site_a.org_id, "{batch:?}");
        of_globex += i32::from(batch.error.is_none());
        if batch.ended {
            break;
        }
    }
    assert!(of_globex >= 3, "{of_globex}");
    let left = "select count(*) from vicket.tickets t where t.site_id = '";
    assert_eq!(world.look::<i64>(&format!("{left}{}'", world.site_c.id)).await, 0);
    assert_eq!(world.look::<i64>(&format!("{left}{}'", site_a.id)).await, MANY);

    // Retention is no other: the site whose tickets stay is put off, and that of the next org has its turn.
    many(&world, site_b).await;
    world
        .arrange(&format!(
            "update vicket.tickets set updated_at = now() - interval '9 days' where site_id = '{0}';
             insert into vicket.retention (org_id, site_id, open_days) values ('{1}', '{0}', 2);
             insert into vicket.retention (org_id, audit_log_days) values ('{2}', 90);
             update vicket.jobs set run_at = now() + interval '1 hour'",
            site_b.id, site_b.org_id, world.site_c.org_id
        ))
        .await;
    let keep = async || store::retention::run(&worker, 500).await.expect("a batch");
    let turns = [keep().await.expect("a turn"), keep().await.expect("a turn")];
    let failed: Vec<_> = turns.iter().filter(|turn| turn.error.is_some()).map(|turn| turn.site_id).collect();
    assert_eq!(failed, [Some(site_b.id)], "{turns:?}");
    assert!(turns.iter().any(|turn| turn.ended && turn.site_id.is_none()), "{turns:?}");

    // It is seen, on a line each, and needs nobody's hand when it can go on.
    let shown = jobs_shown(&world);
    let lines: Vec<&str> = shown.lines().filter(|line| line.contains("failed ")).collect();
    assert!(lines.len() == 2 && lines.iter().all(|line| line.ends_with("it is\\nstuck")), "{shown}");
    world.arrange("drop function public.stuck cascade; update vicket.jobs set run_at = now(); update vicket.retention set run_at = now()").await;
    while keep().await.is_some_and(|turn| turn.site_id.is_some()) {}
    assert_eq!(world.look::<i64>(&format!("{left}{}'", site_b.id)).await, 0);
    while !run().await.ended {}
    assert_eq!(world.look::<i64>(&format!("{left}{}'", site_a.id)).await, 0);
    assert_eq!(jobs_shown(&world), "");
}
