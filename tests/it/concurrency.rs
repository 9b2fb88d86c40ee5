//! Many callers on few connections, callers that go away, and rotations in the middle of it.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use sqlx::Row as _;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, sync::watch, task::JoinSet};
use vicket::{
    db::{Access, EntryRequest, Published, SiteTx, Verdict},
    domain::{keys::Sha256Digest, text::FormName},
    store,
};

use crate::harness::{Answer, Options, Running, Site, World, ticket};

const LIST: &str = "/support/v1/help/articles";

fn few(connections: u16, answer_cache_mib: u64) -> Options {
    Options { connections, limits: false, answer_cache_mib, ..Options::default() }
}

/// A list is that of `site`: its own article is there, and no other's.
#[track_caller]
fn belongs(answer: &Answer, site: &Site) {
    let page = answer.ok(200).json();
    let mut slugs: Vec<&str> =
        page["data"].as_array().expect("a list").iter().map(|a| a["slug"].as_str().expect("text")).collect();
    slugs.sort_unstable();
    assert_eq!(slugs, ["for-all-sites".to_owned(), format!("{}-published", site.slug)], "{answer:?}");
    assert!(answer.text.contains(&format!("For all sites of {}", site.org)), "{answer:?}");
}

/// Whether nothing is left inside a transaction, within a second.
async fn all_is_over(world: &World) {
    let sql = format!(
        "select count(*) from pg_stat_activity where datname = '{}' and usename = 'vicket_gate_widget' \
         and state like 'idle in transaction%'",
        world.database
    );
    for _ in 0..50 {
        if world.look::<i64>(&sql).await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("a backend is left inside a transaction");
}

#[tokio::test]
async fn two_sites_in_turn_on_one_connection_each_get_their_own_answers() {
    let world = World::new().await;
    for cache in [0, 8] {
        let server = world.serve_with(few(1, cache)).await;
        for _ in 0..10 {
            for site in [&world.site_a, &world.site_c, &world.site_b] {
                belongs(&server.get(&site.key, LIST).await, site);
            }
        }
        server.stop().await;
    }
}

async fn rotate(world: &World, site: &Site) -> Option<String> {
    let mut tx = world.org(site.org).await;
    let key = store::site_keys::rotate(&mut tx, site.id).await.expect("rotated");
    tx.commit().await.expect("commit");
    key.map(|key| key.reveal().to_owned())
}

#[tokio::test]
async fn answers_belong_to_their_callers_while_others_hang_up() {
    let world = Arc::new(World::new().await);
    let server = Arc::new(world.serve_with(few(2, 8)).await);
    let mut tasks = JoinSet::new();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for n in 0..200_u32 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let (world, server, random) = (Arc::clone(&world), Arc::clone(&server), seed);
        tasks.spawn(async move { one_of_many(&world, &server, n, random).await });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("no caller was surprised");
    }
    all_is_over(&world).await;
    for site in [&world.site_a, &world.site_b, &world.site_c] {
        belongs(&server.get(&site.key, LIST).await, site);
    }
}

async fn one_of_many(world: &World, server: &Running, n: u32, random: u64) {
    let sites = [&world.site_a, &world.site_b, &world.site_c];
    let site = sites[(random % 3) as usize];
    match n % 7 {
        0 => belongs(&server.get(&site.key, LIST).await, site),
        1 => {
            let slug = server.get(&site.key, &format!("{LIST}/for-all-sites")).await;
            assert!(slug.ok(200).text.contains(&format!("For all sites of {}", site.org)), "{slug:?}");
        }
        2 => {
            let faqs = server.get(&site.key, "/support/v1/help/faqs").await;
            assert!(faqs.ok(200).text.contains(&format!("A question of {}?", site.slug)), "{faqs:?}");
            for other in sites.iter().filter(|other| other.slug != site.slug) {
                assert!(!faqs.text.contains(other.slug), "{faqs:?}");
            }
        }
        3 => assert_eq!(server.get(&site.key, "/support/v1/site").await.ok(200).json()["slug"], site.slug),
        4 => {
            let mut body = ticket();
            body["message"] = format!("{n} for {}", site.slug).into();
            let made = server.post(&site.key, "/support/v1/tickets", &body).await.ok(201).json();
            let thread = server
                .request(reqwest::Method::GET, "/support/v1/tickets/thread")
                .header("X-Vicket-Key", &site.key)
                .header("X-Vicket-Ticket", made["token"].as_str().expect("a token"));
            let thread = Answer::of(thread).await.ok(200).json();
            assert_eq!(thread["messages"][0]["body"], body["message"]);
        }
        5 if random.is_multiple_of(2) => {
            server.get("pk_bad", LIST).await.refused(401, "key_invalid");
        }
        5 => {
            let asked = server
                .request(reqwest::Method::GET, LIST)
                .header("X-Vicket-Key", &site.key)
                .header("Origin", "https://unlisted.example");
            Answer::of(asked).await.refused(403, "origin_not_allowed");
        }
        _ => {
            let address = server.base.strip_prefix("http://").expect("http");
            let mut stream = TcpStream::connect(address).await.expect("connected");
            let head = format!("GET {LIST} HTTP/1.1\r\nHost: x\r\nX-Vicket-Key: {}\r\n\r\n", site.key);
            stream.write_all(head.as_bytes()).await.expect("sent");
            tokio::time::sleep(Duration::from_millis(random % 21)).await;
        }
    }
}

/// Polls `work` at most this often, and drops it: whether it was done by then.
async fn abandoned<T>(work: impl Future<Output = T>, most: u32) -> bool {
    let mut work = Box::pin(work);
    let mut polls = 0;
    poll_fn(|context| {
        if polls == most {
            return Poll::Ready(false);
        }
        polls += 1;
        match work.as_mut().poll(context) {
            Poll::Pending if polls == most => Poll::Ready(false),
            polled => polled.map(|_| true),
        }
    })
    .await
}

#[tokio::test]
async fn a_request_abandoned_at_any_point_leaves_no_connection_inside_a_site() {
    let world = World::new().await;
    let server = world.serve_with(few(1, 0)).await;
    let gate = &server.app.gate;
    let entry_request = |site: &Site| EntryRequest {
        access: Access::Read,
        key: Sha256Digest::of(site.key.as_bytes()),
        origin: None,
        ticket: None,
    };
    let entry_a = entry_request(&world.site_a);
    let Ok(Verdict::Entered(proved)) = gate.prove(&entry_a).await else { panic!("the key is good") };
    // On a busy machine PostgreSQL may have answered before the first poll has ended, so that nothing is left to abandon.
    let mut done = [0, 0, 0];
    for most in (0..5).flat_map(|_| 0..=60) {
        if most == 0 && done.iter().all(|done| (1..60).contains(done)) {
            break;
        }
        if most == 0 {
            done = [0, 0, 0];
        }
        for (lane, done) in done.iter_mut().enumerate() {
            let finished = match lane {
                0 => abandoned(gate.prove(&entry_a), most).await,
                1 => {
                    let whole = async {
                        let Ok(Verdict::Entered(mut tx)) = gate.enter(&entry_a).await else { panic!("not entered") };
                        let origins = store::site_origins::listed(&mut tx).await;
                        tx.finish(origins).await.expect("commit");
                    };
                    abandoned(whole, most).await
                }
                _ => {
                    let read = async {
                        let mut published =
                            Published::new(gate, &entry_a, proved.clone(), vicket::domain::problem::Problem::not_found);
                        assert_eq!(store::sites::own(&mut published).await.expect("read").slug, world.site_a.slug);
                    };
                    abandoned(read, most).await
                }
            };
            *done += u32::from(finished);
            let rows = gate
                .pool()
                .catalog("select current_user::text, coalesce(current_setting('app.site_id', true), '')")
                .await
                .expect("the pool works");
            let (user, site): (String, String) = (rows[0].get(0), rows[0].get(1));
            assert_eq!((user.as_str(), site.as_str()), ("vicket_gate_widget", ""), "{lane}, after {most} polls");
            let Ok(Verdict::Entered(tx)) = gate.enter(&entry_request(&world.site_c)).await else {
                panic!("not entered after {most} polls");
            };
            assert_eq!(tx.entry().site_id, world.site_c.id, "{lane}, after {most} polls");
            tx.finish(Ok(())).await.expect("commit");
        }
    }
    assert!(done.iter().all(|done| (1..60).contains(done)), "{done:?}: none was abandoned, or all were");
    all_is_over(&world).await;
}

#[tokio::test]
async fn a_key_that_dies_between_its_proof_and_its_entry_is_refused() {
    let world = World::new().await;
    let server = world.serve_with(few(1, 8)).await;
    let entry_request = |site: &Site| EntryRequest {
        access: Access::Read,
        key: Sha256Digest::of(site.key.as_bytes()),
        origin: None,
        ticket: None,
    };
    let enter = async || match server.app.gate.enter(&entry_request(&world.site_c)).await {
        Ok(Verdict::Entered(tx)) => tx,
        _ => panic!("the other site's key is good"),
    };
    let leave = async |tx: SiteTx| tx.finish(Ok(())).await.expect("commit");
    let a_while = || tokio::time::sleep(Duration::from_millis(200));
    // There is one connection, and who waits for it gets it in turn: first the request, to prove its key; then another
    // one, which keeps it; then the request again, to enter.
    let first = enter().await;
    let (answer, ()) = tokio::join!(server.get(&world.site_a.key, LIST), async {
        a_while().await;
        let (second, ()) = tokio::join!(enter(), async {
            a_while().await;
            leave(first).await;
        });
        rotate(&world, &world.site_a).await;
        leave(second).await;
    });
    answer.refused(401, "key_invalid");
    let (answer, ()) = {
        let first = enter().await;
        tokio::join!(server.get(&world.site_b.key, LIST), async {
            a_while().await;
            leave(first).await;
        })
    };
    belongs(&answer, &world.site_b);
}

#[tokio::test]
async fn no_request_that_starts_after_a_rotation_is_served_with_the_old_key() {
    let world = World::new().await;
    let server = Arc::new(world.serve_with(few(4, 8)).await);
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    let ended = Arc::new(AtomicU32::new(0));
    let (rotated, is_rotated) = watch::channel(false);
    for n in 0..50 {
        let (server, key) = (Arc::clone(&server), world.site_a.key.clone());
        let (count, mut is_rotated) = (Arc::clone(&ended), is_rotated.clone());
        tasks.spawn(async move {
            tokio::time::sleep_until((began + Duration::from_millis(5 * n)).into()).await;
            if n >= 40 {
                is_rotated.wait_for(|rotated| *rotated).await.expect("rotated");
            }
            let started = Instant::now();
            let answer = server.get(&key, LIST).await;
            count.fetch_add(1, Ordering::SeqCst);
            (started, Instant::now(), answer)
        });
    }
    while ended.load(Ordering::SeqCst) < 5 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let before = Instant::now();
    rotate(&world, &world.site_a).await.expect("a new key");
    let after = Instant::now();
    rotated.send_replace(true);
    let (mut good, mut dead) = (0, 0);
    while let Some(done) = tasks.join_next().await {
        let (started, ended, answer) = done.expect("an answer");
        if answer.status == 200 {
            assert!(started < after, "served with a dead key");
        } else {
            answer.refused(401, "key_invalid");
            assert!(ended > before, "refused with a good key");
        }
        good += u32::from(ended < before);
        dead += u32::from(started > after);
    }
    assert!(good > 0 && dead > 0, "the requests did not straddle the rotation: {good} before, {dead} after");
}

#[tokio::test]
async fn a_rotation_acts_on_every_server_of_the_database_at_once() {
    let world = World::new().await;
    let (one, other) = (world.serve().await, world.serve().await);
    for server in [&one, &other] {
        belongs(&server.get(&world.site_a.key, LIST).await, &world.site_a);
    }
    let new = rotate(&world, &world.site_a).await.expect("a new key");
    for server in [&one, &other] {
        server.get(&world.site_a.key, LIST).await.refused(401, "key_invalid");
        belongs(&server.get(&new, LIST).await, &world.site_a);
    }
}

#[tokio::test]
async fn of_two_rotations_at_once_one_wins_and_the_other_conflicts() {
    let world = World::new().await;
    let site = &world.site_a;
    let (mut first, mut second) = (world.org(site.org).await, world.org(site.org).await);
    store::site_keys::rotate(&mut first, site.id).await.expect("rotated");
    let waiting = format!(
        "select count(*) from pg_stat_activity where datname = '{}' and wait_event_type = 'Lock'",
        world.database
    );
    let (lost, ()) = tokio::join!(store::site_keys::rotate(&mut second, site.id), async {
        // The second has read the active key and waits for the first, which has not committed.
        let since = Instant::now();
        while world.look::<i64>(&waiting).await == 0 {
            assert!(since.elapsed() < Duration::from_secs(2), "the rotations did not overlap");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        first.commit().await.expect("commit");
    });
    assert_eq!(lost.expect_err("the second loses").code.as_str(), "rotation_conflict");
    drop(second);
    let active = format!("select count(*) from vicket.site_keys where site_id = '{}' and state = 'active'", site.id);
    assert_eq!(world.look::<i64>(&active).await, 1);
}

#[tokio::test]
async fn of_two_changes_made_of_the_same_form_the_later_conflicts_and_a_name_in_use_is_no_slug() {
    use store::templates::{Change, change, create};
    let world = World::new().await;
    let (gate, person) = (world.agent_gate(), world.person("acme", "admin").await);
    let named = |name: &str, seen| Change { name: Some(FormName::known(name)), seen, ..Change::default() };
    let mut tx = world.agent(&gate, &person, "acme").await;
    let form = create(&mut tx, &named("Form", None)).await.expect("made");
    create(&mut tx, &named("Other", None)).await.expect("made");
    tx.commit().await.expect("commit");
    let seen: time::OffsetDateTime = world.look("select updated_at from vicket.templates where name = 'Form'").await;

    let mut tx = world.agent(&gate, &person, "acme").await;
    change(&mut tx, form, &named("First", Some(seen))).await.expect("it is as it was seen");
    tx.commit().await.expect("commit");
    for (stale, name, code) in [(Some(seen), "Second", "edit_conflict"), (None, "Other", "name_taken")] {
        let mut tx = world.agent(&gate, &person, "acme").await;
        let lost = change(&mut tx, form, &named(name, stale)).await.expect_err(name);
        assert_eq!(lost.code.as_str(), code);
    }
    assert_eq!(world.look::<i64>("select count(*) from vicket.templates where name = 'First'").await, 1);
}

#[tokio::test]
async fn staging_deploying_and_rotating_loses_no_request() {
    let world = World::new().await;
    let server = Arc::new(world.serve_with(few(2, 8)).await);
    let mut tx = world.org("acme").await;
    let staged = store::site_keys::stage(&mut tx, world.site_a.id).await.expect("staged").reveal().to_owned();
    tx.commit().await.expect("commit");
    let over = Arc::new(AtomicBool::new(false));
    let traffic = {
        let (server, staged, over) = (Arc::clone(&server), staged.clone(), Arc::clone(&over));
        tokio::spawn(async move {
            let mut answers = Vec::new();
            while !over.load(Ordering::SeqCst) {
                answers.push(server.get(&staged, LIST).await);
            }
            answers
        })
    };
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(rotate(&world, &world.site_a).await.is_none(), "the staged key takes over");
    tokio::time::sleep(Duration::from_millis(150)).await;
    over.store(true, Ordering::SeqCst);
    let answers = traffic.await.expect("traffic");
    assert!(answers.len() > 3);
    for answer in &answers {
        belongs(answer, &world.site_a);
    }
    server.get(&world.site_a.key, LIST).await.refused(401, "key_invalid");
}

#[tokio::test]
async fn tickets_submitted_at_once_are_numbered_without_gap_or_repeat() {
    let world = World::new().await;
    let server = Arc::new(world.serve_with(few(4, 8)).await);
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let (server, key) = (Arc::clone(&server), world.site_a.key.clone());
        tasks.spawn(async move {
            let mut numbers = Vec::new();
            for _ in 0..25 {
                let made = server.post(&key, "/support/v1/tickets", &ticket()).await.ok(201).json();
                numbers.push(made["number"].as_i64().expect("number"));
            }
            numbers
        });
    }
    let mut numbers = tasks.join_all().await.concat();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=200).collect::<Vec<_>>());
}
