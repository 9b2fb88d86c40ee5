//! The server's process: how it starts, how it ends, and how a left one is found.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::place::{Account, Place, command};
use super::{Durability, Programs};

pub(super) const POLL: Duration = Duration::from_millis(10);
/// Long, because a server that was killed first replays its log.
const START_TIME: Duration = Duration::from_mins(1);
const FAST_STOP_TIME: Duration = Duration::from_secs(10);
const ORPHAN_STOP_TIME: Duration = Duration::from_secs(5);
const IMMEDIATE_STOP_TIME: Duration = Duration::from_secs(5);
/// `Drop` blocks its thread.
const DROP_TIME: Duration = Duration::from_millis(250);

/// The server's process and the process that ends it when this one is killed.
#[derive(Debug)]
pub(super) struct Server {
    // Not tokio's: a cluster may outlive the runtime that started it, as one that tests share does.
    pub child: Child,
    pub watcher: Option<Child>,
    pid_file: PathBuf,
    durability: Durability,
    pub ended: bool,
}

impl Server {
    pub fn spawn(programs: &Programs, place: &Place, durability: Durability, port: u16) -> Result<Server> {
        let data = place.data();
        let log = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(place.log())
            .with_context(|| format!("opening {}", place.log().display()))?;
        let mut postgres = command(programs.path("postgres"), place.account.as_ref());
        postgres.arg("-D").arg(&data).arg("-p").arg(port.to_string());
        set(
            &mut postgres,
            &[
                "listen_addresses=127.0.0.1",
                "unix_socket_directories=",
                "max_connections=200",
                "shared_buffers=128MB",
                // What this server runs is short: to compile the lints' views takes a hundred times as long as to run them.
                "jit=off",
                "log_line_prefix=%m [%p] %u@%d ",
            ],
        );
        set(&mut postgres, durability.settings());
        postgres.stdout(log.try_clone()?).stderr(log);
        let child = postgres.spawn().with_context(|| format!("running {}", programs.path("postgres").display()))?;
        let pid_file = data.join("postmaster.pid");
        // From here on, leaving early stops the server.
        let mut server = Server { child, watcher: None, pid_file, durability, ended: false };
        server.watcher = Some(watch(&server, place.account.as_ref())?);
        Ok(server)
    }

    /// `false` when the server ended instead.
    pub async fn becomes_ready(&mut self) -> Result<bool> {
        let since = Instant::now();
        let pid = self.child.id().to_string();
        while since.elapsed() < START_TIME {
            // The eighth line is written last, and says when connections are accepted.
            let status = fs::read_to_string(&self.pid_file).unwrap_or_default();
            let mut lines = status.lines();
            if lines.next() == Some(&pid) && lines.nth(6).is_some_and(|it| it.trim() == "ready") {
                return Ok(true);
            }
            if self.has_ended() {
                return Ok(false);
            }
            tokio::time::sleep(POLL).await;
        }
        bail!("PostgreSQL was not ready after {} s", START_TIME.as_secs())
    }

    fn has_ended(&mut self) -> bool {
        self.ended = self.ended || !matches!(self.child.try_wait(), Ok(None));
        self.ended
    }

    pub async fn stop(&mut self) -> Result<()> {
        let stages = [(Signal::SIGINT, FAST_STOP_TIME), (Signal::SIGQUIT, IMMEDIATE_STOP_TIME)];
        for (signal, time) in stages {
            self.signal(signal);
            let since = Instant::now();
            while since.elapsed() < time {
                if self.has_ended() {
                    return Ok(());
                }
                tokio::time::sleep(POLL).await;
            }
        }
        bail!("PostgreSQL (process {}) does not stop", self.child.id())
    }

    fn signal(&mut self, signal: Signal) {
        // An ended child's id is its own until it is waited for, and another's afterwards.
        if !self.has_ended() {
            let _ = kill(pid_of(&self.child), signal);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal(match self.durability {
            Durability::Durable => Signal::SIGINT,
            Durability::Throwaway => Signal::SIGQUIT,
        });
        let since = Instant::now();
        while !self.has_ended() && since.elapsed() < DROP_TIME {
            std::thread::sleep(Duration::from_millis(5));
        }
        if let Some(watcher) = &mut self.watcher {
            // Before its pipe closes: it must not act on an id that may be another's by then.
            let _ = watcher.kill();
            let _ = watcher.wait();
        }
    }
}

fn set(command: &mut Command, settings: &[&str]) {
    for setting in settings {
        command.args(["-c", setting]);
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

/// Starts a shell that stops the server when this process ends without having done so: a pipe is
/// the one thing that the kernel closes however a process ends.
fn watch(server: &Server, account: Option<&Account>) -> Result<Child> {
    const SCRIPT: &str = r#"
        read -r _
        read -r pid < "$1" && [ "$pid" = "$2" ] && kill -s INT "$pid"
    "#;
    command("/bin/sh", account)
        .args(["-c", SCRIPT, "sh"])
        .arg(&server.pid_file)
        .arg(server.child.id().to_string())
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("running /bin/sh")
}

/// Stops the server that a killed owner left on `data`. The caller holds the directory's lock.
pub(super) async fn stop_orphan(data: &Path) -> Result<()> {
    let pid_file = data.join("postmaster.pid");
    let Ok(content) = fs::read_to_string(&pid_file) else {
        return Ok(());
    };
    let pid = content.lines().next().and_then(|line| line.parse().ok()).filter(|pid| *pid > 1);
    if let Some(pid) = pid {
        let stages = [(Signal::SIGINT, ORPHAN_STOP_TIME), (Signal::SIGQUIT, IMMEDIATE_STOP_TIME)];
        for (signal, time) in stages {
            let since = Instant::now();
            if is_server_of(pid, data).await {
                tracing::info!(pid, "stopping the PostgreSQL that an earlier run left");
                let _ = kill(Pid::from_raw(pid), signal);
            }
            while since.elapsed() < time && is_server_of(pid, data).await {
                tokio::time::sleep(POLL).await;
            }
        }
        let runs = is_server_of(pid, data).await;
        ensure!(!runs, "the PostgreSQL of an earlier run (process {pid}) does not stop");
    }
    // PostgreSQL would not start if the id in it is another process's by now.
    match fs::remove_file(&pid_file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", pid_file.display()))
        }
        _ => Ok(()),
    }
}

/// Whether `pid` is a running postmaster of `data`, not a process that got its number.
async fn is_server_of(pid: i32, data: &Path) -> bool {
    if kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) {
        return false;
    }
    command_line(pid).await.is_some_and(|line| names_server_of(&line, data))
}

/// The arguments of `pid`, as one text.
pub(super) async fn command_line(pid: i32) -> Option<String> {
    if cfg!(target_os = "linux") {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        return Some(String::from_utf8_lossy(&line).replace('\0', " "));
    }
    let pid = pid.to_string();
    let ps = tokio::process::Command::new("ps").args(["-ww", "-o", "command=", "-p", &pid]).output();
    Some(String::from_utf8_lossy(&ps.await.ok()?.stdout).into_owned())
}

pub(super) fn names_server_of(command_line: &str, data: &Path) -> bool {
    let data = format!(" -D {} ", data.to_string_lossy());
    command_line
        .split_once(&data)
        .is_some_and(|(program, _)| Path::new(program).file_name().is_some_and(|name| name == "postgres"))
}
