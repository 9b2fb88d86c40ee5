//! Keys that are proved together: each answer is its own, whatever becomes of the others, and as exact as if each asked alone.

use std::{
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;
use vicket::{
    db::{Access, EntryRequest, Verdict},
    domain::keys::Sha256Digest,
    store,
};

use crate::{
    harness::{Options, Running, World},
    processes,
};

const LIST: &str = "/support/v1/help/articles";

fn asking(key: &str, origin: Option<&str>) -> EntryRequest {
    let digest = |text: &str| Sha256Digest::of(text.as_bytes());
    EntryRequest { access: Access::Read, key: digest(key), origin: origin.map(digest), ticket: None }
}

/// `auth.enter_many` as it is, but that its calls are counted, one key makes it fail, and another makes it slow.
async fn spied_on(world: &World) {
    world
        .arrange(
            "create sequence public.trips;
            alter function auth.enter_many rename to enter_many_itself;
            create function auth.enter_many(p_key_hashes bytea[], p_origin_hashes bytea[])
              returns setof auth.site_entry language plpgsql security definer as $$
            begin
              perform nextval('public.trips');
              if sha256('pk_poison') = any (p_key_hashes) then raise 'poisoned'; end if;
              if sha256('pk_slow') = any (p_key_hashes) then perform pg_sleep(2); end if;
              return query select * from auth.enter_many_itself(p_key_hashes, p_origin_hashes);
            end $$;
            grant execute on function auth.enter_many to vicket_gate_widget",
        )
        .await;
}

async fn trips(world: &World) -> i64 {
    world.look("select last_value - 1 + is_called::int from public.trips").await
}

/// What the gate said of a key: the site that it opened, or the code of a failure.
async fn said(server: Arc<Running>, asked: EntryRequest) -> Result<Option<(uuid::Uuid, bool)>, String> {
    match server.app.gate.prove(&asked).await {
        Ok(Verdict::Entered(entry)) => Ok(Some((entry.site_id, entry.origin_listed))),
        Ok(Verdict::Unknown { .. }) => Ok(None),
        Err(problem) => Err(problem.code.as_str().to_owned()),
    }
}

#[tokio::test]
async fn whoever_asks_at_the_same_time_shares_a_round_trip_and_gets_their_own_answer() {
    let world = World::new().await;
    let server = Arc::new(world.serve_with(Options { limits: false, ..Options::default() }).await);
    // Not before: a server refuses to start on a function that is not the migrations'.
    spied_on(&world).await;
    let sites = [&world.site_a, &world.site_b, &world.site_c];
    // Alone, nobody waits for others: a trip each.
    let before = trips(&world).await;
    for site in sites {
        assert_eq!(said(Arc::clone(&server), asking(&site.key, None)).await, Ok(Some((site.id, false))));
    }
    assert_eq!(trips(&world).await - before, 3);

    let before = trips(&world).await;
    let mut askers = JoinSet::new();
    for n in 0..300 {
        let site = sites[n % 3];
        let other = sites[(n + 1) % 3];
        let (asked, expected) = match n % 5 {
            0 => (asking(&site.key, Some(site.origin)), Some((site.id, true))),
            1 => (asking(&site.key, Some("https://unlisted.example")), Some((site.id, false))),
            2 => (asking(&format!("pk_{n}"), Some(site.origin)), None),
            _ => (asking(&other.key, None), Some((other.id, false))),
        };
        let answer = said(Arc::clone(&server), asked);
        askers.spawn(async move {
            // Some go away before they are answered.
            if n % 7 == 0 {
                let _ = tokio::time::timeout(Duration::from_micros(50), answer).await;
                return;
            }
            assert_eq!(answer.await, Ok(expected), "{n}");
        });
    }
    while let Some(done) = askers.join_next().await {
        done.expect("each got its own answer");
    }
    let shared = trips(&world).await - before;
    println!("300 keys in {shared} round trips");
    assert!(shared < 100, "300 keys took {shared} round trips");
}

#[tokio::test]
async fn one_that_fails_or_is_slow_does_not_keep_the_others() {
    let world = World::new().await;
    let server = Arc::new(world.serve_with(Options { limits: false, ..Options::default() }).await);
    // Not before: a server refuses to start on a function that is not the migrations'.
    spied_on(&world).await;
    for (key, own) in [("pk_poison", Err("internal_error".to_owned())), ("pk_slow", Ok(None))] {
        let mut others = JoinSet::new();
        let bad = tokio::spawn(said(Arc::clone(&server), asking(key, None)));
        let mut before_it = 0;
        for _ in 0..40 {
            let answer = said(Arc::clone(&server), asking(&world.site_a.key, None));
            let (id, slow) = (world.site_a.id, bad.abort_handle());
            others.spawn(async move {
                assert_eq!(answer.await, Ok(Some((id, false))));
                slow.is_finished()
            });
            // Some travel with it, others come while it is under way.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        while let Some(overtaken) = others.join_next().await {
            before_it += u32::from(!overtaken.expect("answered as always"));
        }
        assert_eq!(bad.await.expect("it ended"), own, "{key}");
        // Who travels with a slow one is as slow; who comes later is not.
        assert!(key != "pk_slow" || before_it > 20, "{before_it} of 40 were answered before the slow one");
    }
}

/// The keys of a site as whoever rotates them has told everybody.
struct Keys {
    current: String,
    retired: Vec<String>,
}

#[derive(Default)]
struct Counts {
    served: AtomicU64,
    refused: AtomicU64,
    /// With the current key when they were sent, with a retired one when they arrived.
    overtaken: AtomicU64,
    wrong: AtomicU64,
    last_wrong: AtomicU64,
}

/// No request that was sent after a rotation had been committed is served under the old key, by whichever process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_at_full_load_refuse_an_old_key_from_the_commit_of_its_rotation_on() {
    let _alone = processes::ALONE.lock().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let world = World::new().await;
    world.arrange("update vicket.sites set reads_per_minute = 10000000, network_reads_per_minute = 10000000").await;
    let mut variables: Vec<(&str, String)> = [
        ("VICKET_WIDGET_URL", "vicket_gate_widget"),
        ("VICKET_AGENT_URL", "vicket_gate_agent"),
        ("VICKET_WORKER_URL", "vicket_worker"),
    ]
    .map(|(name, login)| (name, world.url(login)))
    .to_vec();
    // A network that presents wrong keys is refused for that: each request is of another.
    variables.push(("VICKET_TRUSTED_PROXIES", "127.0.0.0/8".to_owned()));
    let ports = [processes::free_port(), processes::free_port()];
    let mut servers = ports.map(|port| processes::serve_with(&variables, port, "warn", Stdio::null()));
    for (server, port) in servers.iter_mut().zip(ports) {
        server.is_ready(port).await;
    }

    let keys = Arc::new(Mutex::new(Keys { current: world.site_a.key.clone(), retired: Vec::new() }));
    let (counts, over) = (Arc::new(Counts::default()), Arc::new(AtomicBool::new(false)));
    let mut callers = JoinSet::new();
    for n in 0..16_usize {
        let (keys, counts, over) = (Arc::clone(&keys), Arc::clone(&counts), Arc::clone(&over));
        let url = format!("http://127.0.0.1:{}{LIST}", ports[n % 2]);
        callers.spawn(async move {
            let client = reqwest::Client::new();
            let mut turn = n;
            while !over.load(Ordering::Relaxed) {
                turn += 1;
                let (key, is_retired) = {
                    let keys = keys.lock().expect("not poisoned");
                    let retired = keys.retired.last().filter(|_| turn.is_multiple_of(2));
                    (retired.unwrap_or(&keys.current).clone(), retired.is_some())
                };
                let from = format!("10.{}.{}.1", n, turn % 250);
                let asked = client.get(&url).header("X-Vicket-Key", &key).header("X-Forwarded-For", from);
                let status = asked.send().await.expect("answered").status();
                let count = match (status.as_u16(), is_retired) {
                    (200, false) => &counts.served,
                    (401, true) => &counts.refused,
                    (401, false) => {
                        // Committed, and not told yet.
                        let since = Instant::now();
                        while keys.lock().expect("not poisoned").current == key {
                            assert!(since.elapsed() < Duration::from_secs(5), "the current key is refused");
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                        &counts.overtaken
                    }
                    (status, _) => {
                        counts.last_wrong.store(status.into(), Ordering::Relaxed);
                        &counts.wrong
                    }
                };
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let mut rotations = 0;
    let since = Instant::now();
    let few = || counts.served.load(Ordering::Relaxed).min(counts.refused.load(Ordering::Relaxed)) < 300;
    while rotations < 40 || few() && since.elapsed() < Duration::from_secs(30) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut tx = world.org("acme").await;
        let key = store::site_keys::rotate(&mut tx, world.site_a.id).await.expect("rotated").expect("a new key");
        tx.commit().await.expect("committed");
        let mut keys = keys.lock().expect("not poisoned");
        let old = std::mem::replace(&mut keys.current, key.reveal().to_owned());
        keys.retired.push(old);
        rotations += 1;
    }
    over.store(true, Ordering::Relaxed);
    while let Some(done) = callers.join_next().await {
        done.expect("a caller ended well");
    }
    let [served, refused, overtaken, wrong] =
        [&counts.served, &counts.refused, &counts.overtaken, &counts.wrong].map(|count| count.load(Ordering::Relaxed));
    println!("{rotations} rotations: {served} served, {refused} refused, {overtaken} overtaken, {wrong} wrong");
    let status = counts.last_wrong.load(Ordering::Relaxed);
    assert_eq!(wrong, 0, "an old key was served, or something else went wrong: {status}");
    assert!(served >= 300 && refused >= 300, "so few prove nothing");
}
