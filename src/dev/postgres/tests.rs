//! Each test makes a real cluster in a directory of its own.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::server::{POLL, command_line, names_server_of};
use super::*;

/// A path that does not exist yet and is removed at the end, with the cluster in it.
pub(super) struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Scratch {
        let name = format!("vicket test {name} {:016x}", rand::random::<u64>());
        Scratch(fs::canonicalize(std::env::temp_dir()).unwrap().join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn start(dir: &Path) -> Result<Cluster> {
    let programs = Programs::find().await?;
    Cluster::start(&programs, dir, Durability::Throwaway).await
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

async fn query(cluster: &Cluster, sql: &str) -> String {
    let url = cluster.superuser_url("postgres");
    let args = ["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &url, "-c", sql];
    let output = tokio::process::Command::new("psql").args(args).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn timed(what: &str, since: Instant) {
    println!("{what}: {:?}", since.elapsed());
}

async fn ends(pid: u32) {
    let pid = Pid::from_raw(pid.cast_signed());
    for _ in 0..500 {
        if kill(pid, None).is_err() {
            return;
        }
        tokio::time::sleep(POLL).await;
    }
    panic!("process {pid} does not end");
}

#[tokio::test]
async fn a_cluster_keeps_its_rows_port_and_password_between_runs() {
    let dir = Scratch::new("runs");
    let programs = Programs::find().await.unwrap();
    for durability in [Durability::Durable, Durability::Throwaway] {
        let now = Instant::now();
        let first = Cluster::start(&programs, &dir.0, durability).await.unwrap();
        timed("fresh start", now);
        assert!(first.fresh());
        assert_eq!(query(&first, "show server_encoding").await, "UTF8");
        let fsync = if durability == Durability::Durable { "on" } else { "off" };
        assert_eq!(query(&first, "show fsync").await, fsync);
        query(&first, "create table t as select 7 as n").await;
        let url = first.superuser_url("postgres");
        let now = Instant::now();
        first.stop().await.unwrap();
        timed("stop", now);

        let now = Instant::now();
        let second = Cluster::start(&programs, &dir.0, durability).await.unwrap();
        timed("second start", now);
        assert!(!second.fresh());
        assert_eq!(second.superuser_url("postgres"), url);
        assert_eq!(query(&second, "select n from t").await, "7");
        let now = Instant::now();
        drop(second);
        timed("drop", now);

        Cluster::remove(&dir.0).await.unwrap();
        let left: Vec<_> = fs::read_dir(&dir.0).unwrap().flatten().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}

#[tokio::test]
async fn the_files_are_private() {
    let dir = Scratch::new("private");
    let cluster = start(&dir.0).await.unwrap();
    assert_eq!(mode(&dir.0), 0o711);
    assert_eq!(mode(&dir.0.join("postgres")), 0o700);
    for name in ["superuser.password", "postgres.log", "postgres.port"] {
        assert_eq!(mode(&dir.0.join(name)), 0o600, "{name}");
    }
    let mut names: Vec<_> = fs::read_dir(&dir.0).unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort();
    let expected = ["lock", "postgres", "postgres.log", "postgres.port", "superuser.password"];
    assert_eq!(names, expected);
    let password = fs::read_to_string(dir.0.join("superuser.password")).unwrap();
    let line = command_line(cluster.pid().cast_signed()).await.unwrap();
    assert!(password.len() == 32 && !line.contains(&password));
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn two_owners_of_one_directory_are_refused() {
    let dir = Scratch::new("two");
    let first = start(&dir.0).await.unwrap();
    let error = start(&dir.0).await.unwrap_err().to_string();
    let pid = std::process::id();
    let expected = format!("another vicket is running on {} (process {pid})", dir.0.display());
    assert_eq!(error, expected);
    assert!(Cluster::remove(&dir.0).await.is_err());
    assert_eq!(query(&first, "select 1").await, "1");
    first.stop().await.unwrap();
}

/// Not a test of its own: the process that the next one kills.
#[tokio::test]
async fn owner_to_be_killed() {
    let Some(dir) = std::env::var_os("VICKET_TEST_OWNER_OF") else {
        return;
    };
    let cluster = start(Path::new(&dir)).await.unwrap();
    fs::write(Path::new(&dir).join("started"), cluster.pid().to_string()).unwrap();
    tokio::time::sleep(Duration::from_mins(1)).await;
}

#[tokio::test]
async fn a_killed_owner_takes_its_cluster_with_it() {
    let dir = Scratch::new("killed");
    let name = std::thread::current().name().unwrap().to_owned();
    let name = name.replace("a_killed_owner_takes_its_cluster_with_it", "owner_to_be_killed");
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture"])
        .env("VICKET_TEST_OWNER_OF", &dir.0)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let started = dir.0.join("started");
    let mut pid = None;
    for _ in 0..2000 {
        pid = fs::read_to_string(&started).ok().and_then(|pid| pid.parse().ok());
        if pid.is_some() || owner.try_wait().unwrap().is_some() {
            break;
        }
        tokio::time::sleep(POLL).await;
    }
    let _ = owner.kill();
    let now = Instant::now();
    owner.wait().unwrap();
    ends(pid.expect("the owner did not start a cluster")).await;
    timed("end after the owner's death", now);
    let next = start(&dir.0).await.unwrap();
    assert!(!next.fresh());
    next.stop().await.unwrap();
}

#[tokio::test]
async fn a_cluster_left_running_is_taken_over_by_the_next_start() {
    let dir = Scratch::new("left");
    let mut first = start(&dir.0).await.unwrap();
    // As if the watcher had been killed along with the owner.
    let mut watcher = first.server.watcher.take().unwrap();
    watcher.kill().unwrap();
    watcher.wait().unwrap();
    let port = first.port();
    let left = first.pid();
    // The kernel would give the server to init, which waits for it; here a thread does.
    let Cluster { ref mut server, .. } = first;
    server.ended = true;
    let mut child = std::mem::replace(&mut server.child, Command::new("true").spawn().unwrap());
    let waiting = std::thread::spawn(move || child.wait());
    drop(first);

    let now = Instant::now();
    let second = start(&dir.0).await.unwrap();
    timed("take over", now);
    assert!(!second.fresh());
    assert_eq!(second.port(), port);
    assert_ne!(second.pid(), left);
    assert!(waiting.join().unwrap().unwrap().success());
    assert_eq!(query(&second, "select 1").await, "1");
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_pid_file_that_names_another_process_is_no_obstacle() {
    let dir = Scratch::new("stale");
    start(&dir.0).await.unwrap().stop().await.unwrap();
    let mut other = Command::new("sleep").arg("60").spawn().unwrap();
    let pid_file = dir.0.join("postgres/postmaster.pid");
    fs::write(&pid_file, format!("{}\nnonsense\n", other.id())).unwrap();
    start(&dir.0).await.unwrap().stop().await.unwrap();
    assert!(other.try_wait().unwrap().is_none());
    other.kill().unwrap();
    other.wait().unwrap();
}

#[tokio::test]
async fn an_interrupted_initdb_is_done_again() {
    let dir = Scratch::new("interrupted");
    let half = dir.0.join("postgres.init-0000000000000000");
    fs::create_dir_all(half.join("base")).unwrap();
    fs::set_permissions(&dir.0, fs::Permissions::from_mode(0o711)).unwrap();
    fs::write(half.join("PG_VERSION"), "15\n").unwrap();
    fs::write(dir.0.join("superuser.password"), "of the interrupted run").unwrap();
    let starting = start(&dir.0);
    let cut = tokio::time::timeout(Duration::from_millis(100), starting).await;
    assert!(cut.is_err(), "initdb was faster than the test expects");
    let cluster = start(&dir.0).await.unwrap();
    assert!(cluster.fresh() && !half.exists());
    let mut names = fs::read_dir(&dir.0).unwrap().map(|it| it.unwrap().file_name());
    assert!(!names.any(|name| name.to_string_lossy().starts_with("postgres.init-")));
    assert_eq!(query(&cluster, "select 1").await, "1");
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_port_taken_meanwhile_is_replaced() {
    let dir = Scratch::new("port");
    let first = start(&dir.0).await.unwrap();
    let port = first.port();
    first.stop().await.unwrap();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let second = start(&dir.0).await.unwrap();
    assert_ne!(second.port(), port);
    second.stop().await.unwrap();

    let place = Place::open(&dir.0).unwrap();
    let programs = Programs::find().await.unwrap();
    let started = start_server_on(port, &programs, &place, Durability::Throwaway).await;
    let (mut server, other) = started.unwrap();
    assert_ne!(other, port);
    server.stop().await.unwrap();
    drop(taken);
}

#[tokio::test]
async fn a_failed_start_says_what_the_server_said() {
    let dir = Scratch::new("failed");
    start(&dir.0).await.unwrap().stop().await.unwrap();
    let auto = dir.0.join("postgres/postgresql.auto.conf");
    fs::write(auto, "no_such_setting = 1\n").unwrap();
    let error = start(&dir.0).await.unwrap_err().to_string();
    assert!(error.contains("unrecognized configuration parameter"), "{error}");
    assert!(error.contains("postgres.log"), "{error}");
}

#[tokio::test]
async fn another_major_version_is_refused() {
    let dir = Scratch::new("major");
    start(&dir.0).await.unwrap().stop().await.unwrap();
    fs::write(dir.0.join("postgres/PG_VERSION"), "14\n").unwrap();
    let error = start(&dir.0).await.unwrap_err().to_string();
    assert!(error.contains("was made by PostgreSQL 14"), "{error}");
}

#[tokio::test]
async fn a_directory_that_the_servers_user_cannot_enter_has_its_cluster_elsewhere() {
    let dir = Scratch::new("closed");
    fs::create_dir(&dir.0).unwrap();
    fs::set_permissions(&dir.0, fs::Permissions::from_mode(0o700)).unwrap();
    let cluster = start(&dir.0).await.unwrap();
    assert_eq!(query(&cluster, "select 1").await, "1");
    cluster.stop().await.unwrap();
    let elsewhere = fs::read_to_string(dir.0.join("postgres.location")).ok();
    assert_eq!(elsewhere.is_some(), nix::unistd::geteuid().is_root());
    assert_eq!(dir.0.join("postgres").exists(), elsewhere.is_none());
    let again = start(&dir.0).await.unwrap();
    assert!(!again.fresh());
    again.stop().await.unwrap();
    Cluster::remove(&dir.0).await.unwrap();
    assert!(elsewhere.is_none_or(|path| !Path::new(path.trim_end()).exists()));
}

#[test]
fn a_process_is_known_as_the_server_only_by_its_program_and_directory() {
    let data = Path::new("/a b/postgres");
    assert!(names_server_of("/usr/lib/bin/postgres -D /a b/postgres -p 1 ", data));
    assert!(names_server_of("/with space/postgres -D /a b/postgres -p 1 ", data));
    assert!(!names_server_of("/usr/lib/bin/postgres -D /a b/postgres2 -p 1 ", data));
    assert!(!names_server_of("vi -D /a b/postgres -p 1 ", data));
    assert!(!names_server_of("", data));
}
