//! packaging/Containerfile without a builder of images: the program alone with the libraries that it names, on a read-only
//! root, as the user and with the commands that the file says.
//!
//! bubblewrap makes such a root. Without it the test is left out, which CI does not accept.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::Dir;
use crate::{
    harness::World,
    processes::{ALONE, Dev, free_port, text, vicket},
};

const FILE: &str = include_str!("../../../packaging/Containerfile");

/// What gcr.io/distroless/cc has of libraries that a Rust program may name.
const OF_THE_BASE: [&str; 6] =
    ["ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1", "libc.so.6", "libgcc_s.so.1", "libm.so.6", "linux-vdso.so.1"];

/// The words of an instruction in its form of a list, `["/usr/bin/vicket", "serve"]`, wherever on the line it begins.
fn words(instruction: &str) -> Vec<String> {
    let line = FILE.lines().rfind(|line| line.starts_with(instruction)).expect(instruction);
    let list = &line[line.find('[').expect("a list")..];
    serde_json::from_str(list).expect("a list of strings")
}

fn user() -> (&'static str, &'static str) {
    let user = FILE.lines().find_map(|line| line.strip_prefix("USER ")).expect("a user");
    user.split_once(':').expect("a user and a group, by number")
}

/// Where ldd says that they are; what the base lacks fails the test.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().expect("ldd runs");
    let said = text(&output.stdout);
    let mut found = Vec::new();
    for line in said.lines() {
        let name = line.split_whitespace().next().expect("a name").rsplit('/').next().expect("a name");
        assert!(OF_THE_BASE.contains(&name), "the image has no {name}: {said}");
        found.extend(line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from));
    }
    assert!(found.len() >= 3, "{said}");
    found
}

/// The image's root, as far as the program can see it.
fn root(dir: &Dir) -> PathBuf {
    let root = dir.0.join("root");
    let program = PathBuf::from(env!("CARGO_BIN_EXE_vicket"));
    let entry = words("ENTRYPOINT")[0].clone();
    let mut files = vec![(program.clone(), PathBuf::from(entry))];
    files.extend(libraries(&program).into_iter().map(|library| (library.clone(), library)));
    for (from, to) in files {
        let to = root.join(to.strip_prefix("/").expect("an absolute path"));
        fs::create_dir_all(to.parent().expect("a directory")).expect("a directory");
        fs::copy(from, to).expect("copied");
    }
    fs::create_dir_all(root.join("run/secrets")).expect("a directory");
    root
}

/// A command in the image, and nothing of this machine but its network.
fn contained(root: &Path, secrets: &Path) -> Command {
    let (user, group) = user();
    let mut command = Command::new("bwrap");
    command
        .args(["--unshare-all", "--share-net", "--die-with-parent", "--clearenv", "--cap-drop", "ALL"])
        .args(["--uid", user, "--gid", group, "--ro-bind"])
        .args([root, Path::new("/")])
        .arg("--ro-bind")
        .args([secrets, Path::new("/run/secrets")])
        .args(["--setenv", "CREDENTIALS_DIRECTORY", "/run/secrets"]);
    command
}

fn has_bubblewrap() -> bool {
    match Command::new("bwrap").arg("--version").output() {
        Ok(_) => true,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "bubblewrap is missing: {error}");
            println!("left out: bubblewrap is not installed: {error}");
            false
        }
    }
}

#[tokio::test]
async fn the_image_serves_as_nobody_from_a_read_only_root_and_its_health_check_says_so() {
    if !has_bubblewrap() {
        return;
    }
    let _alone = ALONE.lock().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let world = World::new().await;
    let dir = Dir::new("image");
    let root = root(&dir);
    let secrets = dir.0.join("secrets");
    fs::create_dir_all(&secrets).expect("a directory");
    for (name, login) in [
        ("VICKET_WIDGET_URL", "vicket_gate_widget"),
        ("VICKET_AGENT_URL", "vicket_gate_agent"),
        ("VICKET_WORKER_URL", "vicket_worker"),
    ] {
        fs::write(secrets.join(name), world.url(login)).expect("written");
    }
    let (user, group) = user();
    assert!(user.parse::<u32>().is_ok_and(|user| user > 0) && group.parse::<u32>().is_ok_and(|group| group > 0));

    let port = free_port();
    let contained = |what: Vec<String>| {
        let mut command = contained(&root, &secrets);
        command
            .args(["--setenv", "VICKET_LISTEN", &format!("0.0.0.0:{port}")])
            .args(["--setenv", "VICKET_PUBLIC_URL", "https://support.example.com"])
            .args(what)
            .stdin(Stdio::null());
        command
    };
    let check = || contained(words("HEALTHCHECK")).output().expect("bwrap runs");
    let before = check();
    assert!(text(&before.stderr).contains("/healthz cannot be asked"), "{}", text(&before.stderr));
    assert_eq!(before.status.code(), Some(1));

    let serve = [words("ENTRYPOINT"), words("CMD")].concat();
    let log = fs::File::create(dir.0.join("log")).expect("a log");
    let mut server = Dev(Some(contained(serve).stderr(log).spawn().expect("bwrap starts")));
    server.is_ready(port).await;
    let during = check();
    assert_eq!((during.status.code(), text(&during.stdout).as_str()), (Some(0), "ok\n"), "{}", text(&during.stderr));
    let log = fs::read_to_string(dir.0.join("log")).expect("a log");
    assert!(!log.contains("ERROR"), "{log}");
}

#[test]
fn the_file_and_the_manifests_say_this_version() {
    let version = text(&vicket().arg("--version").output().expect("it runs").stdout).replace("vicket ", "");
    let version = version.trim();
    assert!(FILE.contains(&format!("ARG VERSION={version}\n")) && FILE.contains(&format!("-t vicket:{version} ")));
    for file in ["server", "migrate"] {
        let path = format!("{}/packaging/kubernetes/{file}/kustomization.yaml", env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(&path).expect("readable");
        assert!(text.contains(&format!("newTag: {version}\n")), "{path}");
    }
}
