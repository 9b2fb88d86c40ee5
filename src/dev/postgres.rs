//! A private PostgreSQL cluster in a directory, for `vicket dev` and the integration tests.
//!
//! The server is this process's child and ends with it. Three things see to that: [`Cluster::stop`]
//! and `Drop` when the process ends in order, a watcher (a shell that waits for the end of a pipe)
//! when it is killed, and the next [`Cluster::start`], which takes over what is left in spite of
//! both. A lock on the directory keeps two live owners apart.
//!
//! In the directory: `postgres` (the cluster; below `/var/tmp`, and named in `postgres.location`,
//! when root runs this and the server's user cannot enter the directory), `superuser.password`,
//! `postgres.port`, `postgres.log` and `lock`.

mod place;
mod programs;
mod server;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use place::{Lock, Place, command, write_privately};
pub use programs::Programs;
use server::{Server, stop_orphan};

const START_ATTEMPTS: usize = 5;

/// What a crash of the machine may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nothing that was committed.
    Durable,
    /// The whole cluster; for tests, which make a new one.
    Throwaway,
}

impl Durability {
    fn settings(self) -> &'static [&'static str] {
        match self {
            Durability::Durable => &["synchronous_commit=on"],
            Durability::Throwaway => &["fsync=off", "synchronous_commit=off", "full_page_writes=off"],
        }
    }
}

/// A running cluster that only this process owns.
///
/// Dropping it asks the server to stop and waits a quarter of a second at most;
/// [`stop`](Cluster::stop) waits for the end.
#[derive(Debug)]
pub struct Cluster {
    // Dropped in this order: the lock outlives the server.
    server: Server,
    fresh: bool,
    port: u16,
    password: String,
    _lock: Lock,
}

impl Cluster {
    /// Starts the cluster of `dir`, the data directory of `vicket dev`, and returns when it
    /// accepts connections. Makes `dir` and the cluster when they are missing, and takes over a
    /// server that a killed owner left. The port is the one of the last run when it is free.
    ///
    /// # Errors
    ///
    /// When another process runs a cluster in `dir`, when the cluster was made by another major
    /// version than `programs`, and when `initdb` or the server fails; then the message holds
    /// the last lines of what it said.
    pub async fn start(programs: &Programs, dir: &Path, durability: Durability) -> Result<Cluster> {
        let place = Place::open(dir)?;
        let lock = Lock::take(&place.dir).await?;
        let fresh = !place.data().join("PG_VERSION").exists();
        if fresh {
            initialise(programs, &place).await?;
        } else {
            check_version(programs, &place)?;
            stop_orphan(&place.data()).await?;
        }
        let password = fs::read_to_string(place.password_file())
            .with_context(|| format!("reading {}", place.password_file().display()))?;
        let (server, port) = start_server(programs, &place, durability).await?;
        Ok(Cluster { server, fresh, port, password, _lock: lock })
    }

    /// Whether [`start`](Cluster::start) made the cluster.
    pub fn fresh(&self) -> bool {
        self.fresh
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of `database` for the superuser `postgres`, with the password. `database` goes in
    /// as it is: it must not need percent-encoding.
    pub fn superuser_url(&self, database: &str) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// The process id of the server (the postmaster).
    pub fn pid(&self) -> u32 {
        self.server.child.id()
    }

    /// Stops the server and waits for its end. Open connections are closed. A server that has not
    /// stopped after 10 s is stopped without a checkpoint.
    ///
    /// # Errors
    ///
    /// When the server still runs 15 s later.
    pub async fn stop(mut self) -> Result<()> {
        self.server.stop().await
    }

    /// Removes the cluster of `dir`, its password, port and log. A server that a killed owner
    /// left is stopped first. Nothing happens when there is no cluster.
    ///
    /// # Errors
    ///
    /// When a process runs the cluster, and when files cannot be removed.
    pub async fn remove(dir: &Path) -> Result<()> {
        if !dir.exists() {
            return Ok(());
        }
        let place = Place::open(dir)?;
        let _lock = Lock::take(&place.dir).await?;
        stop_orphan(&place.data()).await?;
        place.remove()
    }
}

/// Runs `initdb` in a directory of its own, and moves it into place when it is complete.
async fn initialise(programs: &Programs, place: &Place) -> Result<()> {
    place.clear_unfinished();
    let password = format!("{:032x}", rand::random::<u128>());
    // First, so that a complete cluster always has its password.
    write_privately(&place.password_file(), password.as_bytes())?;
    let pwfile = place.write_pwfile(&password)?;
    let made = run_initdb(programs, place, &pwfile).await;
    fs::remove_file(&pwfile).context("removing the password file of initdb")?;
    made
}

async fn run_initdb(programs: &Programs, place: &Place, pwfile: &Path) -> Result<()> {
    let mut said = String::new();
    // C.UTF-8 knows the case of letters outside ASCII; not every system has it.
    for locale in ["C.UTF-8", "C"] {
        let staging = place.make_staging()?;
        let mut initdb = command(programs.path("initdb"), place.account.as_ref());
        initdb
            .args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync"])
            .arg(format!("--locale={locale}"))
            .args(["--no-instructions", "--pwfile"])
            .arg(pwfile)
            .arg("-D")
            .arg(&staging);
        let output = tokio::process::Command::from(initdb)
            .kill_on_drop(true)
            .output()
            .await
            .with_context(|| format!("running {}", programs.path("initdb").display()))?;
        if output.status.success() {
            return finish(&staging, &place.data());
        }
        String::from_utf8_lossy(&output.stderr).trim().clone_into(&mut said);
        let _ = fs::remove_dir_all(&staging);
        if !said.contains("invalid locale") {
            break;
        }
    }
    bail!("initdb failed: {}", last_lines(&said))
}

fn finish(staging: &Path, data: &Path) -> Result<()> {
    // What is there has no PG_VERSION: no cluster, but perhaps something of value.
    match fs::remove_dir(data) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            bail!("{} is in the way of the cluster: {error}", data.display())
        }
        _ => {}
    }
    fs::rename(staging, data).with_context(|| format!("making {}", data.display()))
}

fn check_version(programs: &Programs, place: &Place) -> Result<()> {
    let data = place.data();
    let version = fs::read_to_string(data.join("PG_VERSION"))
        .with_context(|| format!("reading the version of {}", data.display()))?;
    let version = version.trim();
    ensure!(
        version == programs.major.to_string(),
        "the cluster in {} was made by PostgreSQL {version}, but the programs in {} are version \
         {}. Set VICKET_PG_BIN to the programs of version {version}, or start with a fresh cluster",
        data.display(),
        programs.bin.display(),
        programs.major
    );
    Ok(())
}

/// A free port of 127.0.0.1: the last one if possible, so that URLs stay the same between runs.
fn choose_port(place: &Place) -> Result<u16> {
    let last = fs::read_to_string(place.port_file()).unwrap_or_default();
    match last.trim().parse() {
        Ok(port) if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() && port != 0 => Ok(port),
        _ => free_port(),
    }
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    Ok(listener.local_addr()?.port())
}

async fn start_server(programs: &Programs, place: &Place, durability: Durability) -> Result<(Server, u16)> {
    start_server_on(choose_port(place)?, programs, place, durability).await
}

/// Starts on `port`, or on another one when somebody takes it first.
async fn start_server_on(
    mut port: u16,
    programs: &Programs,
    place: &Place,
    durability: Durability,
) -> Result<(Server, u16)> {
    let mut said = String::new();
    for _ in 0..START_ATTEMPTS {
        let before = fs::metadata(place.log()).map_or(0, |log| log.len());
        let mut server = Server::spawn(programs, place, durability, port)?;
        if server.becomes_ready().await? {
            write_privately(&place.port_file(), port.to_string().as_bytes())?;
            return Ok((server, port));
        }
        let log = fs::read(place.log()).unwrap_or_default();
        let from = usize::try_from(before).unwrap_or(0).min(log.len());
        said = String::from_utf8_lossy(&log[from..]).into_owned();
        if said.contains("could not create any TCP/IP sockets") {
            port = free_port()?;
        } else if said.contains("shared memory block") && said.contains("still in use") {
            // The backends of a killed server notice its end a moment later.
            tokio::time::sleep(Duration::from_millis(200)).await;
        } else {
            break;
        }
    }
    bail!("PostgreSQL did not start; the end of {}:\n{}", place.log().display(), last_lines(&said))
}

fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
