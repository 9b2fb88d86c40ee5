//! Where a cluster lives, as whom its server runs, and who holds it.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, fchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::{User, geteuid};

/// The user a server runs as when the caller is root, as whom PostgreSQL refuses to run.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub name: String,
    uid: u32,
    gid: u32,
}

impl Account {
    /// `None` when the caller is not root and runs the server as itself.
    pub fn for_server() -> Result<Option<Account>> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        for name in ["postgres", "nobody"] {
            let user = User::from_name(name).with_context(|| format!("looking up the user {name}"))?;
            if let Some(user) = user {
                let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
                return Ok(Some(Account { name: user.name, uid, gid }));
            }
        }
        bail!(
            "PostgreSQL does not run as root, and this machine has neither a user postgres nor \
             nobody to run it as"
        )
    }

    /// Whether this user may go into `dir`. Tried rather than computed: ACLs, mount options and
    /// every parent directory have a say.
    fn can_enter(&self, dir: &Path) -> Result<bool> {
        let status = command("/bin/sh", Some(self))
            .args(["-c", r#"cd -- "$1""#, "sh"])
            .arg(dir)
            .stderr(Stdio::null())
            .status()
            .with_context(|| format!("running a program as the user {}", self.name))?;
        Ok(status.success())
    }
}

/// A command that runs as the server's user, out of reach of the terminal's signals and of the
/// caller's `PG*` variables. Setting the user also clears the supplementary groups.
pub(super) fn command(program: impl AsRef<OsStr>, account: Option<&Account>) -> Command {
    let mut command = Command::new(program);
    // PostgreSQL's programs fail in a working directory that they cannot read.
    command.current_dir("/").process_group(0).stdin(Stdio::null()).stdout(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.as_bytes().starts_with(b"PG") {
            command.env_remove(name);
        }
    }
    // Messages are read below; macOS's server also refuses to start without a locale.
    command.env("LC_ALL", "C");
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    command
}

/// The directories of one cluster.
///
/// Everything but the data directory belongs to the caller, so that a caller who is root never
/// writes through names that the server's user controls.
#[derive(Debug)]
pub(super) struct Place {
    /// What the caller named, made absolute.
    pub dir: PathBuf,
    /// What holds the data directory: `dir`, unless the server's user cannot enter it.
    base: PathBuf,
    pub account: Option<Account>,
}

impl Place {
    /// Makes the directories where they are missing.
    pub fn open(dir: &Path) -> Result<Place> {
        let dir = make_directory(dir)?;
        let account = Account::for_server()?;
        let base = match &account {
            Some(account) => base_for(&dir, account)?,
            None => dir.clone(),
        };
        Ok(Place { dir, base, account })
    }

    pub fn data(&self) -> PathBuf {
        self.base.join("postgres")
    }

    pub fn log(&self) -> PathBuf {
        self.dir.join("postgres.log")
    }

    pub fn port_file(&self) -> PathBuf {
        self.dir.join("postgres.port")
    }

    pub fn password_file(&self) -> PathBuf {
        self.dir.join("superuser.password")
    }

    /// Removes what an interrupted `initdb` left, as far as that is possible.
    pub fn clear_unfinished(&self) {
        let entries = fs::read_dir(&self.base).into_iter().flatten().flatten();
        for entry in entries {
            let path = entry.path();
            if entry.file_name().as_bytes().starts_with(UNFINISHED.as_bytes()) {
                // Directories and files; neither call follows a link.
                let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
            }
        }
    }

    /// Makes a new empty directory beside the data directory for `initdb` to fill. Its name is
    /// never used twice: what an interrupted `initdb` left may still be written to.
    pub fn make_staging(&self) -> Result<PathBuf> {
        let staging = self.base.join(format!("{UNFINISHED}{:016x}", rand::random::<u64>()));
        fs::create_dir(&staging).with_context(|| format!("making {}", staging.display()))?;
        fs::set_permissions(&staging, Permissions::from_mode(0o700))?;
        if let Some(account) = &self.account {
            chown(&staging, Some(account.uid), Some(account.gid))?;
        }
        Ok(staging)
    }

    /// Writes `password` where `initdb` can read it. The caller removes the file.
    pub fn write_pwfile(&self, password: &str) -> Result<PathBuf> {
        let path = self.base.join(format!("{UNFINISHED}pwfile-{:016x}", rand::random::<u64>()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(password.as_bytes())?;
        if let Some(account) = &self.account {
            fchown(&file, Some(account.uid), Some(account.gid))?;
        }
        Ok(path)
    }

    /// Removes every file of the cluster, but not `dir` and not its lock.
    pub fn remove(&self) -> Result<()> {
        self.clear_unfinished();
        let mut directories = vec![self.data()];
        if self.base != self.dir {
            directories.push(self.base.clone());
        }
        for directory in directories {
            absent_is_fine(fs::remove_dir_all(&directory))
                .with_context(|| format!("removing {}", directory.display()))?;
        }
        let files = [self.password_file(), self.port_file(), self.log(), location_file(&self.dir)];
        for file in files {
            absent_is_fine(fs::remove_file(&file)).with_context(|| format!("removing {}", file.display()))?;
        }
        Ok(())
    }
}

/// How the names of everything begin that exists only while `initdb` runs.
const UNFINISHED: &str = "postgres.init-";

fn absent_is_fine(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn location_file(dir: &Path) -> PathBuf {
    dir.join("postgres.location")
}

/// Makes `dir` unless it exists, and returns its canonical path.
fn make_directory(dir: &Path) -> Result<PathBuf> {
    if !dir.exists() {
        fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        // The server's user has to pass through, whatever the umask says.
        fs::set_permissions(dir, Permissions::from_mode(0o711))?;
    }
    fs::canonicalize(dir).with_context(|| format!("finding {}", dir.display()))
}

/// Where the data directory goes when the server runs as another user: into `dir`, or below
/// `/var/tmp` when that user cannot enter it (a checkout in root's home).
fn base_for(dir: &Path, account: &Account) -> Result<PathBuf> {
    let elsewhere = elsewhere(dir)?;
    let recorded = fs::read_to_string(location_file(dir)).unwrap_or_default();
    // The record counts only while it is this directory's own: in a moved or copied directory it
    // would make two directories share one cluster.
    let moved_out = Path::new(recorded.trim_end()) == elsewhere && elsewhere.exists();
    if !moved_out && account.can_enter(dir)? {
        return Ok(dir.to_path_buf());
    }
    claim(&elsewhere)?;
    if !account.can_enter(&elsewhere)? {
        bail!(
            "the user {}, as whom PostgreSQL runs, can enter neither {} nor {}",
            account.name,
            dir.display(),
            elsewhere.display()
        );
    }
    let record = format!("{}\n", elsewhere.display());
    write_privately(&location_file(dir), record.as_bytes())?;
    Ok(elsewhere)
}

fn elsewhere(dir: &Path) -> Result<PathBuf> {
    // FNV-1a: the name has to be the same in every build, which std's hashers do not promise.
    let hash = dir
        .as_os_str()
        .as_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let parent = fs::canonicalize("/var/tmp").context("finding /var/tmp")?;
    Ok(parent.join(format!("vicket-{}-{hash:016x}", geteuid())))
}

/// Makes `path` in a directory that everybody may write to, or accepts it when it is ours.
fn claim(path: &Path) -> Result<()> {
    match fs::create_dir(path) {
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(0o711))?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).with_context(|| format!("making {}", path.display())),
    }
    let found = fs::symlink_metadata(path)?;
    ensure!(
        found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o022 == 0,
        "{} exists and is not a directory that only this user can write to; remove it",
        path.display()
    );
    Ok(())
}

/// Replaces `path` with a file that only the caller can read; never leaves half of one.
pub(super) fn write_privately(path: &Path, content: &[u8]) -> Result<()> {
    let staged = path.with_added_extension(format!("{:016x}", rand::random::<u64>()));
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&staged)?;
        file.write_all(content)?;
        fs::rename(&staged, path)
    };
    write().with_context(|| format!("writing {}", path.display()))
}

/// The exclusive use of a directory, for as long as the value lives.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Fails when another process holds the directory.
    pub async fn take(dir: &Path) -> Result<Lock> {
        let path = dir.join("lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(&path).with_context(|| format!("opening {}", path.display()))?;
        // A killed owner's lock lasts until the kernel has torn the process down.
        for _ in 0..15 {
            match file.try_lock() {
                Ok(()) => {
                    file.set_len(0)?;
                    write!(file, "{}", std::process::id())?;
                    return Ok(Lock(file));
                }
                Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("locking {}", path.display()));
                }
            }
        }
        let owner = fs::read_to_string(&path).unwrap_or_default();
        let pid = if owner.is_empty() { String::new() } else { format!(" (process {owner})") };
        bail!("another vicket is running on {}{pid}", dir.display())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would leave it held by a child that another thread is starting now.
        let _ = self.0.unlock();
    }
}
