//! docs/production.md as it stands: each of its blocks is run by one of these, with this machine's ports, files and logins in
//! place of the page's.

mod backup;
mod pooler;
mod proxies;
mod proxy;
mod sizes;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::{
    docs::blocks,
    harness::World,
    processes::{Dev, free_port, vicket},
};

const PAGE: &str = include_str!("../../docs/production.md");
const HOST: &str = "support.example.com";

static DIRECTORIES: AtomicUsize = AtomicUsize::new(0);

/// The one block of a language that has this in it.
fn block(language: &str, part: &str) -> String {
    let mut found = blocks(PAGE).into_iter().filter(|(is, text)| *is == language && text.contains(part));
    let (_, text) = found.next().unwrap_or_else(|| panic!("no block of {language} has {part}"));
    assert!(found.next().is_none(), "two blocks of {language} have {part}");
    text
}

/// A block with what is this machine's in place of what the page says: each must be there.
fn put(mut text: String, places: &[(&str, &str)]) -> String {
    for (page, here) in places {
        assert!(text.contains(page), "the page lacks {page}: {text}");
        text = text.replace(page, here);
    }
    text
}

#[test]
fn every_block_has_a_test_that_runs_it() {
    let known: Vec<(&str, &str)> = vec![
        ("nginx", "upstream vicket"),
        ("caddyfile", "reverse_proxy"),
        ("ini", "[pgbouncer]"),
        ("sql", "create role vicket_backup"),
        ("sh", "pg_dump"),
        ("sh", "pg_restore"),
        ("sh", "pgrep"),
    ];
    for (language, part) in &known {
        block(language, part);
    }
    assert_eq!(blocks(PAGE).len(), known.len());
}

/// A directory for one test, removed with it, which other users of this machine may enter.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let number = DIRECTORIES.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("vicket-production-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("a mode");
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("written");
        path
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A program that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Asked, since it may have children of its own; and then made to.
        let _ = std::process::Command::new("kill").args(["-s", "TERM", &self.0.id().to_string()]).status();
        for _ in 0..50 {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `vicket serve` on this port, as behind a proxy on this machine.
async fn serve(urls: [&str; 3], port: u16, log: &Path) -> Dev {
    let mut command = vicket();
    for (login, url) in ["WIDGET", "AGENT", "WORKER"].iter().zip(urls) {
        command.env(format!("VICKET_{login}_URL"), url);
    }
    command
        .args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--public-url", &format!("https://{HOST}")])
        .args(["--trusted-proxies", "127.0.0.1", "--drain-delay", "2"])
        .stdout(Stdio::null())
        .stderr(fs::OpenOptions::new().create(true).append(true).open(log).expect("a log"));
    let mut server = Dev(Some(command.spawn().expect("the program starts")));
    server.is_ready(port).await;
    server
}

/// The URLs of the three logins of a server.
fn logins(world: &World) -> [String; 3] {
    ["vicket_gate_widget", "vicket_gate_agent", "vicket_worker"].map(|login| world.url(login))
}

/// Ports of which no two are the same.
fn free_ports<const N: usize>() -> [u16; N] {
    let mut ports = [0; N];
    for i in 0..N {
        while ports[i] == 0 || ports[..i].contains(&ports[i]) {
            ports[i] = free_port();
        }
    }
    ports
}
