//! PgBouncer between the server and PostgreSQL: what is served through it, what is refused, and that nothing which one
//! tenant leaves reaches another.
//!
//! `VICKET_PGBOUNCER` names the program, else the system's is taken. Without one the tests are left out, which CI does not
//! accept; and with one that gives prepared statements no names of their own all but the refusal is, which they say.
//! `.ci/pgbouncer/build` makes a newer one.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, Connection as _};
use vicket::{
    db::{AgentGate, Pool, Start},
    domain::text::{OrgName, SiteName, Slug},
};

use crate::{
    harness::{Answer, Options, World, article, connect, ticket},
    processes::{ALONE, free_port},
};

const THREAD: &str = "/support/v1/tickets/thread";
const LIST: &str = "/support/v1/help/articles";
/// From this version on each client's prepared statements have names of their own.
const KEEPS_NAMES: (u32, u32) = (1, 21);

static DIRECTORIES: AtomicUsize = AtomicUsize::new(0);

pub fn program() -> PathBuf {
    std::env::var_os("VICKET_PGBOUNCER").map_or_else(
        || if Path::new("/usr/sbin/pgbouncer").exists() { "/usr/sbin/pgbouncer".into() } else { "pgbouncer".into() },
        PathBuf::from,
    )
}

/// As it says itself: `PgBouncer 1.24.1`. `None` leaves the test out.
fn version() -> Option<(u32, u32)> {
    let output = match Command::new(program()).arg("--version").output() {
        Ok(output) => output,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "pgbouncer is missing: {error}");
            println!("left out: pgbouncer is not installed, and VICKET_PGBOUNCER does not name it: {error}");
            return None;
        }
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut numbers = said.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok());
    Some((numbers.next().expect("a version"), numbers.next().expect("a version")))
}

/// Whether there is one that can be served through.
pub fn keeps_names() -> bool {
    match version() {
        Some(version) if version < KEEPS_NAMES => {
            println!("left out: PgBouncer {version:?} is not served through");
            false
        }
        version => version.is_some(),
    }
}

/// A PgBouncer before a world's database, with two connections to it for each login.
struct Bouncer {
    child: Child,
    direct: String,
    dir: PathBuf,
    port: u16,
}

impl Bouncer {
    async fn start(world: &World, settings: &str) -> Self {
        Self::start_on(world.url("vicket_worker"), free_port(), settings).await
    }

    /// Another one on the same port.
    async fn restart(&mut self, settings: &str) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let other = Self::start_on(self.direct.clone(), self.port, settings).await;
        *self = other;
    }

    async fn start_on(direct_url: String, port: u16, settings: &str) -> Self {
        let dir = std::env::temp_dir().join(format!(
            "vicket-pgbouncer-{}-{}",
            std::process::id(),
            DIRECTORIES.fetch_add(1, Ordering::Relaxed)
        ));
        std::fs::create_dir_all(&dir).expect("a directory");
        let direct = url::Url::parse(&direct_url).expect("a URL");
        let users: String = ["vicket_gate_widget", "vicket_gate_agent", "vicket_worker"]
            .map(|login| format!("\"{login}\" \"{}\"\n", direct.password().expect("a password")))
            .concat();
        std::fs::write(dir.join("users"), users).expect("written");
        let ini = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = plain\nauth_file = {}\nlogfile = {}\ndefault_pool_size = 2\nignore_startup_parameters = extra_float_digits, options\n\
             query_wait_timeout = 15\n{settings}\n",
            direct.port().expect("a port"),
            dir.join("users").display(),
            dir.join("log").display(),
        );
        std::fs::write(dir.join("ini"), ini).expect("written");
        let mut command = Command::new(program());
        command.arg(dir.join("ini")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if nix::unistd::geteuid().is_root() {
            // It does not run as root.
            use std::os::unix::{fs::PermissionsExt as _, process::CommandExt as _};
            std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o777)).expect("a mode");
            command.uid(65534).gid(65534);
        }
        let bouncer = Self { child: command.spawn().expect("pgbouncer starts"), direct: direct_url, dir, port };
        let since = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(since.elapsed() < Duration::from_secs(10), "{}", bouncer.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bouncer
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// The same URL, through the pooler.
    fn through(&self, url: &str) -> String {
        let mut url = url::Url::parse(url).expect("a URL");
        url.set_port(Some(self.port)).expect("a port");
        url.into()
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// What the start-up checks say of a login of this URL.
async fn found(url: &str) -> Option<&'static str> {
    Pool::new(url, 2, &Start::WIDGET).expect("a URL").pooler().await.expect("it can be reached")
}

#[tokio::test]
async fn a_pooler_that_mixes_statements_or_splits_transactions_is_found_before_it_serves() {
    let Some(version) = version() else { return };
    let world = World::new().await;
    let direct = world.url("vicket_gate_widget");
    for _ in 0..3 {
        assert_eq!(found(&direct).await, None, "no pooler");
    }
    let mode = async |settings: &str| {
        let bouncer = Bouncer::start(&world, settings).await;
        // Others have been here, too.
        let url = bouncer.through(&direct);
        let mut earlier = connect(&url).await;
        let _: Result<i32, _> = sqlx::query_scalar("select 1").fetch_one(&mut earlier).await;
        earlier.close().await.expect("closed");
        found(&url).await
    };
    assert_eq!(mode("pool_mode = session").await, None);
    let splits = mode("pool_mode = statement").await.expect("found");
    assert!(splits.contains("does not keep a transaction") && splits.contains("pool_mode"), "{splits}");
    let mut mixing = vec!["pool_mode = transaction"];
    if version >= KEEPS_NAMES {
        mixing = vec![
            "pool_mode = transaction\nmax_prepared_statements = 0",
            "pool_mode = transaction\nmax_prepared_statements = 0\nserver_round_robin = 1",
        ];
        assert_eq!(mode("pool_mode = transaction\nmax_prepared_statements = 200").await, None);
    } else {
        println!("PgBouncer {version:?} gives prepared statements no names of their own: only the refusal is tried");
    }
    for settings in mixing {
        let mixes = mode(settings).await.expect("found");
        assert!(mixes.contains("mixes") && mixes.contains("max_prepared_statements"), "{mixes}");
    }
}

#[tokio::test]
async fn the_server_does_not_start_behind_a_pooler_that_mixes_statements() {
    let Some(version) = version() else { return };
    let _alone = ALONE.lock().await;
    let world = World::new().await;
    let settings = if version >= KEEPS_NAMES { "max_prepared_statements = 0" } else { "" };
    let bouncer = Bouncer::start(&world, &format!("pool_mode = transaction\n{settings}")).await;
    let through = |login: &str| bouncer.through(&world.url(login));
    let output = crate::processes::vicket()
        .env("VICKET_WIDGET_URL", through("vicket_gate_widget"))
        .env("VICKET_AGENT_URL", through("vicket_gate_agent"))
        .env("VICKET_WORKER_URL", through("vicket_worker"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .output()
        .expect("it runs");
    let said = crate::processes::text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("refusing to start: ") && said.contains("max_prepared_statements"), "{said}");
    assert!(!said.contains("test-only"), "{said}");
}

/// What an injected statement may leave on a session outlives the server's connection to a pooler.
#[tokio::test]
async fn what_a_request_leaves_on_a_session_is_gone_for_whoever_the_pooler_gives_it_to() {
    if !keeps_names() {
        return;
    }
    let world = World::new().await;
    // Else an injected statement could not leave some of it.
    world.arrange("grant usage on language plpgsql to public").await;
    world.arrange(&format!("grant temporary on database {} to public", world.database)).await;
    let settings = "pool_mode = transaction\nmax_prepared_statements = 200\ndefault_pool_size = 1";
    let bouncer = Bouncer::start(&world, settings).await;
    let url = bouncer.through(&world.url("vicket_gate_agent"));
    let gate = AgentGate::new(Pool::new(&url, 2, &Start::AGENT).expect("a URL"));
    let person = world.person("acme", "owner").await;
    for (left, looks_for) in [
        ("prepare leak as select 1", "select count(*) from pg_prepared_statement() s where s.from_sql"),
        ("declare leak cursor with hold for select 1", "select count(*) from pg_cursor() c where c.is_holdable"),
        ("listen leak", "select count(*) from pg_listening_channels()"),
        ("reset role; create temporary table leak (one int)", "select count(*) from pg_class where relname = 'leak'"),
        (
            "set app.org_id = 'leak'",
            "select count(*) from (values (current_setting('app.org_id', true))) v (s) where s = 'leak'",
        ),
        ("set session role vicket_agent", "select (current_user <> session_user)::int::bigint"),
    ] {
        // The twin: without the server's word after COMMIT, the next client meets it.
        leave(&url, &format!("begin; set local role vicket_agent; {left}; commit")).await;
        assert!(met(&url, looks_for).await > 0, "{left}: nothing is left, so this proves nothing");
        let ended = "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity where datname = current_database() \
                     and usename = 'vicket_gate_agent'";
        assert_eq!(world.look::<i64>(ended).await, 1, "one connection to PostgreSQL");

        let mut tx = world.agent(&gate, &person, "acme").await;
        sqlx::raw_sql(left).execute(tx.connection()).await.expect(left);
        tx.commit().await.expect("committed");
        assert_eq!(met(&url, looks_for).await, 0, "{left}: the next client meets it");
        // And it serves.
        world.agent(&gate, &person, "acme").await.commit().await.expect(left);
    }
}

/// PgBouncer goes on believing in what it prepared, on a connection where it is gone.
#[tokio::test]
async fn what_was_prepared_and_is_gone_costs_no_request_and_a_pooler_that_begins_to_mix_is_a_reason() {
    if !keeps_names() {
        return;
    }
    let world = World::new().await;
    let settings = "pool_mode = transaction\nmax_prepared_statements = 200\ndefault_pool_size = 1";
    let mut bouncer = Bouncer::start(&world, settings).await;
    let through = |port: u16, login: &str| {
        let mut url = url::Url::parse(&world.url(login)).expect("a URL");
        url.set_port(Some(port)).expect("a port");
        String::from(url)
    };
    let port = bouncer.port;
    let options = Options { limits: false, ..Options::default() };
    let server =
        world.serve_through(through(port, "vicket_gate_widget"), through(port, "vicket_gate_agent"), options).await;
    let own = async || {
        let answer = server.get(&world.site_a.key, LIST).await;
        (answer.status == 200).then(|| assert!(answer.text.contains("Published on site-a"), "{answer:?}"));
        answer.status
    };
    // The first is read from the tables, the second is a kept answer that is asked about.
    for _ in 0..2 {
        assert_eq!(own().await, 200);
    }
    for _ in 0..3 {
        let mut other = connect(&through(port, "vicket_gate_widget")).await;
        sqlx::raw_sql("begin; deallocate all; commit").execute(&mut other).await.expect("gone");
        other.close().await.expect("closed");
        assert_eq!(own().await, 200);
    }

    bouncer.restart("pool_mode = transaction\nmax_prepared_statements = 0").await;
    let since = Instant::now();
    let mut reasons = serde_json::Value::Null;
    while reasons != serde_json::json!(["pooler"]) {
        assert!(since.elapsed() < Duration::from_secs(15), "{reasons}");
        // Those that are kept share a statement, and these each have theirs.
        let threads = (0..8).map(|_| async { server.get(&world.site_a.key, THREAD).await.status });
        let (lists, threads) = tokio::join!(
            futures_util::future::join_all((0..8).map(|_| own())),
            futures_util::future::join_all(threads)
        );
        assert!(lists.iter().all(|status| [200, 500, 503].contains(status)), "{lists:?}");
        assert!(threads.iter().all(|status| [404, 500, 503].contains(status)), "{threads:?}");
        let ready = server.get("", "/readyz").await;
        reasons = ready.json()["reasons"].clone();
    }
    bouncer.restart(settings).await;
    let since = Instant::now();
    while server.get("", "/readyz").await.status != 200 {
        assert!(since.elapsed() < Duration::from_secs(15), "still not ready");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(own().await, 200);
}

/// What the next client of the pooler finds. A session that is about to end may do so under it: the server tries another
/// then, as this does.
async fn met(url: &str, looks_for: &'static str) -> i64 {
    use sqlx::{Executor as _, Row as _};
    for _ in 0..3 {
        match connect(url).await.fetch_one(sqlx::raw_sql(looks_for)).await {
            Ok(row) => return row.get(0),
            Err(error) => given_an_ended_one(&error, looks_for),
        }
    }
    panic!("{looks_for}: no answer")
}

/// A client that leaves things behind.
async fn leave(url: &str, sql: &str) {
    for _ in 0..3 {
        match sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connect(url).await).await {
            Ok(_) => return,
            Err(error) => given_an_ended_one(&error, sql),
        }
    }
    panic!("{sql}: no answer")
}

/// The pooler may not know yet that a connection to PostgreSQL has ended when it gives it to the next client.
fn given_an_ended_one(error: &sqlx::Error, sql: &str) {
    match error {
        sqlx::Error::Database(ended) if ended.code().as_deref() == Some("08P01") => {}
        sqlx::Error::Io(_) => {}
        error => panic!("{sql}: {error}"),
    }
}

/// Two servers, two connections to PostgreSQL, many tenants, and what dies in between: no answer holds another's row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_two_connections_two_servers_serve_many_tenants_their_own_rows_whatever_is_killed() {
    if !keeps_names() {
        return;
    }
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().expect(name));
    let (tenants, seconds) = (number("VICKET_POOLER_TENANTS", 40), number("VICKET_POOLER_SECONDS", 6));
    let world = World::new().await;
    let mut keys = Vec::new();
    let orgs = usize::try_from(tenants / 2).expect("few");
    for org in 0..orgs {
        let slug = format!("org-{org}");
        let mut tx = world.operator.begin().await.expect("begin");
        vicket::store::orgs::create(&mut tx, &Slug::known(&slug), &OrgName::known(&slug)).await.expect("an org");
        tx.enter(&slug).await.expect("entered");
        for site in ["one", "two"] {
            let name = format!("{slug}-{site}");
            let made = vicket::store::sites::create(&mut tx, &Slug::known(&name), &SiteName::known(&name), None)
                .await
                .expect("a site");
            let key = vicket::store::site_keys::create(&mut tx, made.id).await.expect("a key");
            article(&mut tx, Some(made.id), &format!("of-{name}"), &name, "Hello.", true).await;
            keys.push((name, key.reveal().to_owned()));
        }
        tx.commit().await.expect("commit");
    }
    let bouncer = Bouncer::start(&world, "pool_mode = transaction\nmax_prepared_statements = 200").await;
    let through = |login: &str| bouncer.through(&world.url(login));
    let serve = async || {
        // No kept answers: each is read from the tables.
        let options = Options { limits: false, answer_cache_mib: 0, connections: 6, ..Options::default() };
        world.serve_through(through("vicket_gate_widget"), through("vicket_gate_agent"), options).await
    };
    let servers = [serve().await, serve().await];
    let (stop, keys) = (Arc::new(AtomicBool::new(false)), Arc::new(keys));
    let (read, written) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..12_usize {
        let (stop, keys, read, written) =
            (Arc::clone(&stop), Arc::clone(&keys), Arc::clone(&read), Arc::clone(&written));
        let (base, http) = (servers[client % 2].base.clone(), servers[client % 2].client.clone());
        clients.spawn(async move {
            let mut turn = client;
            while !stop.load(Ordering::Relaxed) {
                turn += 7;
                let (name, key) = &keys[turn % keys.len()];
                let request = http.get(format!("{base}{LIST}")).header("X-Vicket-Key", key);
                if turn % 11 == 0 {
                    // Gone in the middle of it.
                    let hurry = Duration::from_micros((turn as u64 * 97) % 4000);
                    let _ = tokio::time::timeout(hurry, request.send()).await;
                    continue;
                }
                if turn % 5 == 0 {
                    let post = http.post(format!("{base}/support/v1/tickets")).header("X-Vicket-Key", key);
                    let mut body = ticket();
                    body["subject"] = name.as_str().into();
                    let answer = Answer::of(post.json(&body)).await;
                    if answer.status == 201 {
                        written.fetch_add(1, Ordering::Relaxed);
                        assert_eq!(answer.json()["subject"], name.as_str());
                    } else {
                        assert_eq!(answer.status, 503, "{answer:?}");
                    }
                    continue;
                }
                let answer = Answer::of(request).await;
                if answer.status != 200 {
                    assert_eq!(answer.status, 503, "{answer:?}");
                    continue;
                }
                let org = &name[..name.rfind('-').expect("a dash")];
                let list = answer.json();
                let titles: Vec<&str> = list["data"]
                    .as_array()
                    .expect("a list")
                    .iter()
                    .map(|a| a["title"].as_str().expect("text"))
                    .collect();
                assert_eq!(titles, [name.as_str()], "an answer to {name} of {org}");
                read.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let (since, mut killed) = (Instant::now(), 0);
    while since.elapsed() < Duration::from_secs(seconds) {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let kill = format!(
            "select count(pg_terminate_backend(pid)) from (select pid from pg_stat_activity where datname = '{}' \
             and usename = 'vicket_gate_widget' order by random() limit 1) s",
            world.database
        );
        killed += world.look::<i64>(&kill).await;
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(done) = clients.join_next().await {
        done.expect("only own rows");
    }
    let (read, written) = (read.load(Ordering::Relaxed), written.load(Ordering::Relaxed));
    println!("{} tenants: {read} lists, {written} tickets, {killed} connections killed", keys.len());
    assert!(read > 50 && written > 10 && killed > 5, "{read} lists, {written} tickets, {killed} kills");
    // Each ticket is its site's: the subject says whose key it came by.
    let strays = "select count(*) from vicket.tickets t join vicket.sites s on s.id = t.site_id and s.org_id = t.org_id
        where t.subject <> s.slug";
    assert_eq!(world.look::<i64>(strays).await, 0);
    assert!(world.look::<i64>("select count(*) from vicket.tickets").await >= i64::try_from(written).expect("few"));
    // Nothing is broken once nothing is killed: every tenant is served by both.
    for (name, key) in keys.iter() {
        for server in &servers {
            assert_eq!(server.get(key, LIST).await.ok(200).json()["data"][0]["title"], name.as_str());
        }
    }
    servers[0].get("", "/readyz").await.ok(200);
    assert!(
        world
            .look::<i64>(&format!(
                "select count(*) from pg_stat_activity where datname = '{}' and usename = 'vicket_gate_widget'",
                world.database
            ))
            .await
            <= 2,
        "two connections"
    );
}
