//! Dovecot, with settings and a directory of its own, on ports of the loopback. Needs root, as it does.

use std::{
    fs,
    net::TcpStream,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::processes::free_port;

const DOVECOT: &str = "/usr/sbin/dovecot";
const USER: &str = "box@imap.example";
const PASSWORD: &str = "of a test +&=%41";

/// Whether it can be run here. CI does not accept that it cannot.
pub fn is_installed() -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let here = root && Path::new(DOVECOT).exists();
    if !here {
        assert!(Path::new(DOVECOT).exists() || std::env::var_os("CI").is_none(), "dovecot is to be installed");
        println!("left out: dovecot is not installed, or this is not root");
    }
    here
}

/// A server with one mailbox, until it is dropped.
pub struct Dovecot {
    // Not below the build's directory: its logins must be able to come here, and paths of sockets are short.
    dir: PathBuf,
    imap: u16,
    imaps: u16,
    process: Child,
}

impl Dovecot {
    pub async fn start() -> Self {
        let (imap, imaps) = (free_port(), free_port());
        let dir = std::env::temp_dir().join(format!("vicket-imap-{}-{imap}", std::process::id()));
        let root = dir.display();
        for path in ["", "mail", "state"] {
            fs::create_dir_all(dir.join(path)).expect("a directory");
            fs::set_permissions(dir.join(path), fs::Permissions::from_mode(0o755)).expect("ours");
        }
        let certificate = "[req]\ndistinguished_name = dn\nx509_extensions = ext\nprompt = no\n[dn]\nCN = vicket test\n\
                           [ext]\nsubjectAltName = IP:127.0.0.1\nbasicConstraints = critical,CA:FALSE\n";
        fs::write(dir.join("tls.cnf"), certificate).expect("written");
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
            .args(["-config", "tls.cnf", "-keyout", "key.pem", "-out", "cert.pem"])
            .current_dir(&dir)
            .stderr(Stdio::null())
            .status();
        assert!(made.expect("openssl, which dovecot needs too").success());
        fs::write(dir.join("users"), format!("{USER}:{{PLAIN}}{PASSWORD}::::::\n")).expect("written");
        let settings = format!(
            "base_dir = {root}/run\nstate_dir = {root}/state\nlog_path = {root}/log\nprotocols = imap\nlisten = 127.0.0.1\n\
             ssl = yes\nssl_cert = <{root}/cert.pem\nssl_key = <{root}/key.pem\ndisable_plaintext_auth = no\n\
             mail_location = maildir:{root}/mail/box\nmail_uid = dovecot\nmail_gid = dovecot\nfirst_valid_uid = 1\n\
             first_valid_gid = 1\nauth_mechanisms = plain\npassdb {{\n driver = passwd-file\n args = username_format=%u {root}/users\n}}\n\
             userdb {{\n driver = static\n args = uid=dovecot gid=dovecot home={root}/mail\n}}\n\
             service imap-login {{\n inet_listener imap {{\n  port = {imap}\n }}\n inet_listener imaps {{\n  port = {imaps}\n \
             ssl = yes\n }}\n}}\n"
        );
        fs::write(dir.join("dovecot.conf"), settings).expect("written");
        for path in ["mail/box", "mail/box/cur", "mail/box/new", "mail/box/tmp"] {
            fs::create_dir_all(dir.join(path)).expect("a directory");
        }
        let owned = Command::new("chown").arg("-R").arg("dovecot:dovecot").arg(dir.join("mail")).status();
        assert!(owned.expect("chown").success());
        let process = Command::new(DOVECOT).arg("-F").arg("-c").arg(dir.join("dovecot.conf")).spawn().expect("dovecot");
        let server = Self { dir, imap, imaps, process };
        let since = Instant::now();
        while [imap, imaps].iter().any(|port| TcpStream::connect(("127.0.0.1", *port)).is_err()) {
            assert!(since.elapsed() < Duration::from_secs(20), "nothing listens: {}", server.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        server
    }

    /// As the server takes it; `more` follows the folder.
    pub fn url(&self, tls: bool, password: &str, more: &str) -> String {
        let (scheme, port) = if tls { ("imaps", self.imaps) } else { ("imap", self.imap) };
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        format!("{scheme}://{}:{}@127.0.0.1:{port}/INBOX{more}", encoded(USER), encoded(password))
    }

    pub fn password() -> &'static str {
        PASSWORD
    }

    /// What vouches for it.
    pub fn certificate(&self) -> String {
        self.dir.join("cert.pem").display().to_string()
    }

    /// Puts a message there.
    pub fn deliver(&self, number: u32, message: &[u8]) {
        let (mail, tmp) = (self.dir.join("mail/box"), self.dir.join(format!("mail/box/tmp/{number}")));
        let owner = fs::metadata(&mail).expect("a mailbox");
        fs::write(&tmp, message).expect("written");
        chown(&tmp, Some(owner.uid()), Some(owner.gid())).expect("its");
        fs::rename(&tmp, mail.join(format!("new/{:010}.{number}.test", 1_700_000_000 + number))).expect("delivered");
    }

    /// The files of its messages, with their flags.
    pub fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        for folder in ["new", "cur"] {
            let read = fs::read_dir(self.dir.join("mail/box").join(folder)).expect("a mailbox");
            files.extend(read.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned()));
        }
        files.sort_unstable();
        files
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.log());
        }
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}
