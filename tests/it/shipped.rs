//! What the program is when it is shipped: secrets from files, a health check without a shell, manual pages, completions.

mod image;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use clap::CommandFactory as _;
use vicket::cli::Cli;

use crate::{
    harness::{DEPLOY, World, connect},
    processes::{ALONE, Dev, free_port, text, vicket},
};

/// A directory for one test, removed with it.
struct Dir(PathBuf);

impl Dir {
    fn new(test: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("shipped-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    fn secret(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, format!("{content}\n")).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).expect("a mode");
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn health(port: u16, arguments: &[&str]) -> Output {
    let listen = format!("0.0.0.0:{port}");
    vicket().env("VICKET_LISTEN", listen).arg("health").args(arguments).output().expect("it runs")
}

#[tokio::test]
async fn serve_takes_its_urls_from_files_and_credentials_and_health_says_how_it_is() {
    let _alone = ALONE.lock().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let world = World::new().await;
    let dir = Dir::new("serve");
    let widget = dir.secret("widget", &world.url("vicket_gate_widget"));
    dir.secret("VICKET_AGENT_URL", &world.url("vicket_gate_agent"));
    dir.secret("VICKET_WORKER_URL", &world.url("vicket_worker"));
    let port = free_port();
    let serve = |widget: &Path, extra: &[&str]| {
        let mut command = vicket();
        command
            .env("VICKET_WIDGET_URL_FILE", widget)
            .env("CREDENTIALS_DIRECTORY", &dir.0)
            .args(["serve", "--listen", &format!("127.0.0.1:{port}")])
            .args(extra)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Dev(Some(command.spawn().expect("the program starts")))
    };

    let none = health(port, &[]);
    assert_eq!(none.status.code(), Some(1), "nobody listens");
    assert!(text(&none.stderr).contains("/readyz cannot be asked"), "{}", text(&none.stderr));

    let mut server = serve(&widget, &["--drain-delay", "3"]);
    server.is_ready(port).await;
    for file in ["cmdline", "environ"] {
        let pid = server.0.as_ref().expect("running").id();
        let seen = text(&fs::read(format!("/proc/{pid}/{file}")).expect("readable"));
        assert!(seen.contains("serve") || seen.contains("VICKET_WIDGET_URL_FILE"), "{seen}");
        assert!(!seen.contains("postgres://"), "a secret stands in /proc/{pid}/{file}: {seen}");
    }
    let ready = health(port, &[]);
    assert!(ready.status.success() && text(&ready.stdout).contains("\"ready\""), "{ready:?}");
    assert_eq!(text(&health(port, &["--live"]).stdout), "ok\n");

    let ending = tokio::spawn(server.end("TERM"));
    let since = Instant::now();
    let said = loop {
        let asked = health(port, &[]);
        if !asked.status.success() {
            break text(&asked.stderr);
        }
        assert!(since.elapsed() < Duration::from_secs(4), "it was told to stop, and is ready");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(said.contains("answered 503") && said.contains("draining"), "{said}");
    assert!(health(port, &["--live"]).status.success(), "it lives, and must not be killed for it");
    assert!(ending.await.expect("joined").status.success());

    let refused = serve(&dir.0.join("missing"), &[]).0.take().expect("started").wait().expect("waited");
    assert_eq!(refused.code(), Some(2), "as for any wrong setting");
}

#[tokio::test]
async fn migrate_sets_passwords_that_stand_in_files() {
    let world = World::new().await;
    let dir = Dir::new("migrate");
    let admin = dir.secret("admin", &world.url(DEPLOY));
    let migrate = |password: &str| {
        let password = dir.secret("password", password);
        let mut command = vicket();
        command.env("VICKET_ADMIN_URL_FILE", &admin).env("VICKET_WORKER_PASSWORD_FILE", &password).arg("migrate");
        let output = command.output().expect("it runs");
        fs::remove_file(password).expect("removed");
        output
    };
    let refused = migrate("");
    let said = text(&refused.stderr);
    assert!(said.contains("VICKET_WORKER_PASSWORD_FILE") && said.contains("is empty"), "{said}");
    assert!(!refused.status.success());
    // That of all tests, which share the login.
    let url = url::Url::parse(&world.url("vicket_worker")).expect("a URL");
    let set_before = world.look::<String>("select rolpassword from pg_authid where rolname = 'vicket_worker'").await;
    let done = migrate(url.password().expect("a password"));
    assert!(done.status.success(), "{}", text(&done.stderr));
    let set = world.look::<String>("select rolpassword from pg_authid where rolname = 'vicket_worker'").await;
    assert!(set != set_before && set.starts_with("SCRAM-SHA-256$"), "the same password under another salt");
    connect(url.as_str()).await;
}

/// Of every command, also those within others: `vicket`, `vicket-org-create`.
fn pages(command: &clap::Command, prefix: &str, found: &mut Vec<String>) {
    let name =
        if prefix.is_empty() { command.get_name().to_owned() } else { format!("{prefix}-{}", command.get_name()) };
    for command in command.get_subcommands() {
        pages(command, &name, found);
    }
    found.push(format!("{name}.1"));
}

#[test]
fn every_command_has_a_manual_page_that_shows_nothing_of_the_environment() {
    let dir = Dir::new("man");
    let mut man = vicket();
    man.env("VICKET_WIDGET_URL", "postgres://login:hunter2@host/db").arg("man");
    let one = man.output().expect("it runs");
    assert!(text(&one.stdout).contains(".TH vicket 1") && text(&one.stdout).contains("CREDENTIALS_DIRECTORY"));
    let wrote = man.arg(dir.0.join("pages")).output().expect("it runs");
    assert!(wrote.status.success(), "{}", text(&wrote.stderr));
    let mut expected = Vec::new();
    pages(&Cli::command(), "", &mut expected);
    expected.sort();
    let mut written: Vec<String> = fs::read_dir(dir.0.join("pages"))
        .expect("written")
        .map(|entry| entry.expect("a page").file_name().into_string().expect("UTF-8"))
        .collect();
    written.sort();
    assert_eq!(written, expected);
    let serve = fs::read_to_string(dir.0.join("pages/vicket-serve.1")).expect("a page");
    assert!(serve.contains("VICKET_WIDGET_URL") && !serve.contains("hunter2"), "{serve}");
}

#[test]
fn a_shell_completes_commands_and_flags() {
    let complete = |line: &str, word: &str| {
        let script = format!(
            "set -e; eval \"$(vicket completions bash)\"; COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _vicket vicket '{word}' ''; echo \"${{COMPREPLY[@]}}\""
        );
        let vicket = Path::new(env!("CARGO_BIN_EXE_vicket")).parent().expect("a directory");
        let path = format!("{}:{}", vicket.display(), std::env::var("PATH").unwrap_or_default());
        let output = Command::new("bash").env("PATH", path).args(["-c", &script]).output().expect("bash runs");
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).trim().to_owned()
    };
    assert_eq!(complete("vicket ser", "ser"), "serve");
    assert_eq!(complete("vicket serve --drain", "--drain"), "--drain-delay");
    assert_eq!(complete("vicket key ro", "ro"), "rotate");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = vicket().args(["completions", shell]).output().expect("it runs");
        assert!(output.status.success() && text(&output.stdout).contains("vicket"), "{shell}");
    }
}
