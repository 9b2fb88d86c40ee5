//! The program as a process: what it prints, how it ends, what it leaves.

use std::{
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use vicket::dev::postgres::Cluster;

use crate::harness::{DEPLOY, World};

/// One at a time: each may start a PostgreSQL of its own.
pub static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
const LIST: &str = "/support/v1/help/articles";

pub fn vicket() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vicket"));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("VICKET_") && !name.starts_with("VICKET_PG_")) {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port").local_addr().expect("bound").port()
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
}

/// `vicket serve` on a database that `vicket dev` made.
pub fn serve(dev: &serde_json::Value, port: u16, log: &str, log_to: Stdio) -> Dev {
    let url = |login: &str| dev["databases"][login].as_str().expect("a URL").to_owned();
    let urls = [
        ("VICKET_WIDGET_URL", url("widget")),
        ("VICKET_AGENT_URL", url("agent")),
        ("VICKET_WORKER_URL", url("worker")),
    ];
    serve_with(&urls, port, log, log_to)
}

/// `vicket serve` with these variables.
pub fn serve_with(variables: &[(&str, String)], port: u16, log: &str, log_to: Stdio) -> Dev {
    let mut command = vicket();
    command
        .envs(variables.iter().map(|(name, value)| (*name, value.as_str())))
        .env("VICKET_LISTEN", format!("127.0.0.1:{port}"))
        .env("VICKET_LOG", log)
        .arg("serve")
        .stderr(log_to);
    Dev(Some(command.spawn().expect("the program starts")))
}

/// Ends the process, even when its test fails.
pub struct Dev(pub Option<Child>);

impl Dev {
    pub fn start(dir: &Path, port: u16, extra: &[&str]) -> Self {
        let child =
            vicket().arg("dev").arg("--data-dir").arg(dir).args(["--port", &port.to_string()]).args(extra).spawn();
        Self(Some(child.expect("the program starts")))
    }

    pub async fn is_ready(&mut self, port: u16) {
        let since = Instant::now();
        let child = self.0.as_mut().expect("running");
        while !matches!(reqwest::get(format!("http://127.0.0.1:{port}/readyz")).await, Ok(answer) if answer.status() == 200)
        {
            if child.try_wait().expect("waited").is_some() {
                let mut said = String::new();
                if let Some(mut stderr) = child.stderr.take() {
                    let _ = stderr.read_to_string(&mut said);
                }
                panic!("it ended instead: {said}");
            }
            assert!(since.elapsed() < Duration::from_secs(40), "not ready");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        println!("ready after {:?}", since.elapsed());
    }

    pub async fn end(mut self, with: &str) -> Output {
        let child = self.0.take().expect("running");
        signal(&child, with);
        tokio::task::spawn_blocking(|| child.wait_with_output().expect("waited")).await.expect("waited")
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn dev_file(dir: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(dir.join("dev.json")).expect("dev.json")).expect("JSON")
}

async fn lists(dev: &serde_json::Value, port: u16) -> u16 {
    let key = dev["sites"][0]["key"].as_str().expect("a key");
    let request = reqwest::Client::new().get(format!("http://127.0.0.1:{port}{LIST}")).header("X-Vicket-Key", key);
    request.send().await.expect("an answer").status().as_u16()
}

fn postmaster(dir: &Path) -> Option<u32> {
    let location = std::fs::read_to_string(dir.join("postgres.location")).ok();
    let base = location.map_or_else(|| dir.to_owned(), |at| PathBuf::from(at.trim()));
    std::fs::read_to_string(base.join("postgres/postmaster.pid")).ok()?.lines().next()?.parse().ok()
}

#[tokio::test]
async fn dev_keeps_its_data_shows_its_keys_once_survives_a_kill_and_starts_over_when_asked() {
    let _alone = ALONE.lock().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("cluster-{}", std::process::id())).join("dev");
    let port = free_port();

    let mut dev = Dev::start(&dir, port, &[]);
    dev.is_ready(port).await;
    let first = dev_file(&dir);
    let mode = std::fs::metadata(dir.join("dev.json")).expect("dev.json").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mode = std::fs::metadata(dir.join("secret.key")).expect("a secret").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let lmtp = first["mail"]["lmtp"].as_str().expect("an address");
    let mut greeting = [0; 4];
    let mut stream = tokio::net::TcpStream::connect(lmtp).await.expect("a listener");
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut greeting).await.expect("a greeting");
    assert_eq!((&greeting, first["mail"]["reply_domain"].is_string()), (b"220 ", true));
    for login in ["admin", "widget", "agent", "mail", "worker"] {
        assert!(first["databases"][login].as_str().is_some_and(|url| url.starts_with("postgres://")), "{login}");
    }
    for member in ["email", "password", "org", "role"] {
        assert!(first["users"][0][member].is_string(), "{member}");
    }
    for member in ["org", "slug", "id", "key"] {
        assert!(first["sites"][0][member].is_string(), "{member}");
    }
    assert!(first["base_url"].is_string() && first["sites"][0]["origins"].is_array());
    assert_eq!(lists(&first, port).await, 200);

    let second = Dev::start(&dir, free_port(), &[]).0.take().expect("started").wait_with_output().expect("waited");
    assert!(!second.status.success(), "two on one data dir");
    let taken =
        Dev::start(&dir.join("other"), port, &[]).0.take().expect("started").wait_with_output().expect("waited");
    assert!(!taken.status.success());
    assert!(text(&taken.stderr).contains("cannot listen"), "{}", text(&taken.stderr));
    assert_eq!(lists(&first, port).await, 200, "the first goes on");

    let ended = dev.end("TERM").await;
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    assert!(text(&ended.stdout).contains(first["sites"][0]["key"].as_str().expect("a key")));
    assert_eq!(postmaster(&dir), None, "PostgreSQL is stopped too");

    let mut dev = Dev::start(&dir, port, &[]);
    dev.is_ready(port).await;
    assert_eq!(dev_file(&dir)["sites"], first["sites"]);
    assert_eq!(lists(&first, port).await, 200);
    let ended = dev.end("INT").await;
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    let said = text(&ended.stdout) + &text(&ended.stderr);
    assert!(said.contains("not shown again") && !said.contains("pk_"), "{said}");

    let mut dev = Dev::start(&dir, port, &[]);
    dev.is_ready(port).await;
    dev.end("KILL").await;
    let mut dev = Dev::start(&dir, port, &[]);
    dev.is_ready(port).await;
    assert_eq!(lists(&first, port).await, 200);
    dev.end("TERM").await;

    let mut dev = Dev::start(&dir, port, &["--fresh"]);
    dev.is_ready(port).await;
    let fresh = dev_file(&dir);
    assert_ne!(fresh["sites"][0]["key"], first["sites"][0]["key"]);
    assert_eq!((lists(&fresh, port).await, lists(&first, port).await), (200, 401));
    dev.end("TERM").await;
    Cluster::remove(&dir).await.expect("removed");
}

#[tokio::test]
async fn a_site_is_administered_from_the_command_line() {
    let _alone = ALONE.lock().await;
    let world = World::new().await;
    let server = world.serve().await;
    let run = |args: &[&str]| vicket().env("VICKET_ADMIN_URL", world.url(DEPLOY)).args(args).output().expect("it runs");
    let good = |args: &[&str]| {
        let output = run(args);
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    good(&["org", "create", "initech"]);
    assert!(good(&["org", "list"]).contains("initech"));
    good(&["site", "create", "initech/help", "--origin", "https://help.example"]);
    let printed = good(&["key", "create", "initech/help"]);
    let key = printed.strip_suffix('\n').expect("a newline").to_owned();
    assert!(key.len() == 46 && key.starts_with("pk_"), "{printed:?}");
    server.get(&key, LIST).await.ok(200);
    for shown in [good(&["key", "show", "initech/help"]), good(&["site", "show", "initech/help"])] {
        assert!(shown.contains(&key[42..]) && !shown.contains(&key), "{shown}");
    }
    let new = good(&["key", "rotate", "initech/help"]);
    server.get(&key, LIST).await.refused(401, "key_invalid");
    server.get(new.trim(), LIST).await.ok(200);
    for bad in [
        &["key", "create", "initech/help"][..],
        &["key", "show", "initech/none"],
        &["site", "list", "nobody"],
        &["site", "add-origin", "initech/help", "https://*.example"],
    ] {
        let output = run(bad);
        assert_eq!(output.status.code(), Some(1), "{bad:?}");
        let said = text(&output.stderr);
        assert!(output.stdout.is_empty() && said.starts_with("vicket: ") && said.trim().lines().count() == 1, "{said}");
    }
}

#[test]
fn serve_beyond_this_machine_wants_to_know_under_which_url() {
    let run = |public_url: &[&str]| {
        let url = "postgres://nobody@127.0.0.1:1/none";
        let mut command = vicket();
        command.args(["serve", "--listen", "0.0.0.0:0", "--widget-url", url, "--agent-url", url, "--worker-url", url]);
        let output = command.args(public_url).output().expect("the program runs");
        assert!(!output.status.success());
        text(&output.stderr)
    };
    let refused = run(&[]);
    assert!(refused.contains("VICKET_PUBLIC_URL"), "{refused}");
    let twin = run(&["--public-url", "https://support.example.com"]);
    assert!(!twin.contains("VICKET_PUBLIC_URL") && twin.contains("nobody listens there"), "{twin}");
}

#[tokio::test]
async fn serve_says_of_each_login_why_it_cannot_be_used_and_what_to_do() {
    let world = World::new().await;
    let url = |login: &str| world.url(login);
    let said = |variables: [(&str, String); 3]| {
        let output = vicket().args(["serve", "--listen", "127.0.0.1:0"]).envs(variables).output().expect("it runs");
        let said = text(&output.stderr);
        assert!(!output.status.success() && !said.contains("test-only") && !said.contains("hunter2"), "{said}");
        said
    };
    let no_database = url("vicket_gate_agent").replace(&world.database, "no_such_database");
    let closed = url("vicket_worker")
        .replace(&format!(":{}/", url::Url::parse(&url("x")).expect("a URL").port().expect("a port")), ":1/");
    let nobody = url("vicket_gate_widget").replace("vicket_gate_widget:test-only", "vicket_nobody:hunter2");
    let log = said([("VICKET_WIDGET_URL", nobody), ("VICKET_AGENT_URL", no_database), ("VICKET_WORKER_URL", closed)]);
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 3, "{log}");
    for (name, state, advice) in [
        ("VICKET_WIDGET_URL", "(SQLSTATE 28", "vicket migrate"),
        ("VICKET_AGENT_URL", "(SQLSTATE 3D000)", "name the database"),
        ("VICKET_WORKER_URL", "nobody listens there", "host and port"),
    ] {
        let line = lines.iter().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name}: {log}"));
        assert!(line.contains(state) && line.contains(advice), "{line}");
    }
    // One that could do its work alone is not spoken of.
    let closed = said([
        ("VICKET_WIDGET_URL", url("vicket_gate_widget")),
        ("VICKET_AGENT_URL", url("vicket_gate_agent")),
        ("VICKET_WORKER_URL", "postgres://x:hunter2@127.0.0.1:1/x".to_owned()),
    ]);
    assert!(closed.contains("VICKET_WORKER_URL") && closed.lines().count() == 1, "{closed}");
}

#[test]
fn serve_names_the_variable_that_is_missing_and_help_shows_no_value() {
    let output = vicket().arg("serve").output().expect("it runs");
    assert!(!output.status.success());
    for name in ["VICKET_WIDGET_URL", "VICKET_AGENT_URL", "VICKET_WORKER_URL"] {
        assert!(text(&output.stderr).contains(name), "{}", text(&output.stderr));
    }
    for command in [&["serve", "--help"][..], &["migrate", "--help"], &["key", "--help"], &["dev", "--help"]] {
        let mut help = vicket();
        for name in ["VICKET_WIDGET_URL", "VICKET_AGENT_URL", "VICKET_WORKER_URL", "VICKET_ADMIN_URL"] {
            help.env(name, "postgres://login:hunter2@host/db");
        }
        let output = help.env("VICKET_WIDGET_PASSWORD", "hunter2").args(command).output().expect("it runs");
        assert!(output.status.success() && !text(&output.stdout).contains("hunter2"), "{}", text(&output.stdout));
    }
}

#[tokio::test]
async fn serve_finishes_the_request_in_flight_when_it_is_told_to_stop() {
    let _alone = ALONE.lock().await;
    let world = World::new().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let databases = serde_json::json!({"databases": {
        "widget": world.url("vicket_gate_widget"),
        "agent": world.url("vicket_gate_agent"),
        "worker": world.url("vicket_worker"),
    }});
    let port = free_port();
    let mut server = serve(&databases, port, "warn", Stdio::null());
    server.is_ready(port).await;
    let mut blocker = world.superuser.begin().await.expect("begin");
    sqlx::raw_sql("lock table vicket.articles").execute(&mut *blocker).await.expect("locked");
    let client = reqwest::Client::new();
    let request = client.get(format!("http://127.0.0.1:{port}{LIST}")).header("X-Vicket-Key", &world.site_a.key);
    let in_flight = tokio::spawn(request.send());
    tokio::time::sleep(Duration::from_millis(500)).await;
    let ending = tokio::spawn(server.end("TERM"));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!ending.is_finished() && !in_flight.is_finished(), "it did not wait for the request");
    blocker.rollback().await.expect("unlocked");
    assert_eq!(in_flight.await.expect("joined").expect("an answer").status().as_u16(), 200);
    assert!(ending.await.expect("joined").status.success());
}
