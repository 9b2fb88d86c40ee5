//! Postfix and Dovecot, with settings and directories of their own, on ports of the loopback.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use lettre::{
    AsyncTransport as _, Tokio1Executor,
    address::{Address, Envelope},
    transport::smtp::AsyncSmtpTransport,
};

use crate::processes::free_port;

const POSTFIX: &str = "/usr/sbin/postfix";
const DOVECOT: &str = "/usr/sbin/dovecot";
const PASSWORD: &str = "of-a-test";

/// Whether they can be run here. CI does not accept that they are missing; Postfix starts for root alone.
pub fn are_installed() -> bool {
    let here = Path::new(POSTFIX).exists() && Path::new(DOVECOT).exists();
    assert!(here || std::env::var_os("CI").is_none(), "postfix and dovecot are to be installed");
    let root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if !here || !root {
        println!("left out: postfix or dovecot is not installed, or this is not root");
    }
    here && root
}

/// Both, until they are dropped.
pub struct Servers {
    // Not below the build's directory: their logins must be able to come here, and paths of sockets are short.
    dir: PathBuf,
    smtp: u16,
    imap: u16,
    dovecot: Option<Child>,
}

impl Servers {
    /// Postfix listens on `smtp`, and hands what is for `reply_domain` on to `lmtp`, and the rest to the mailboxes.
    pub async fn start(smtp: u16, lmtp: &str, reply_domain: &str, mailboxes: &[&str]) -> Self {
        let dir = std::env::temp_dir().join(format!("vicket-mta-{}-{smtp}", std::process::id()));
        let imap = free_port();
        let at = |path: &str| dir.join(path);
        for path in ["postfix/etc", "postfix/spool", "postfix/data", "dovecot/mail", "dovecot/state"] {
            fs::create_dir_all(at(path)).expect("a directory");
        }
        for path in ["", "postfix", "dovecot"] {
            fs::set_permissions(at(path), fs::Permissions::from_mode(0o755)).expect("ours");
        }
        run(Command::new("chown").arg("postfix").arg(at("postfix/data")));
        run(Command::new("chown").arg("dovecot").arg(at("dovecot/mail")));
        let root = dir.display();
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {root}/postfix/spool\ndata_directory = {root}/postfix/data\n\
             mail_owner = postfix\nsetgid_group = postdrop\nsyslog_name = vicket-test\nmaillog_file = {root}/postfix/log\n\
             maillog_file_prefixes = {root}\nmyhostname = mx.test\nmydestination =\ninet_interfaces = 127.0.0.1\n\
             inet_protocols = ipv4\nmynetworks = 127.0.0.0/8\nalias_maps =\nlocal_recipient_maps =\n\
             relay_domains = {reply_domain}, customer.example\n\
             transport_maps = inline:{{ {{ {reply_domain} = lmtp:inet:{lmtp} }}, \
             {{ customer.example = lmtp:unix:{root}/dovecot/run/lmtp }} }}\n\
             smtpd_client_connection_count_limit = 0\nsmtpd_client_connection_rate_limit = 0\n\
             minimal_backoff_time = 2s\nmaximal_backoff_time = 5s\nqueue_run_delay = 2s\n"
        );
        let master = format!(
            "127.0.0.1:{smtp} inet n - n - - smtpd\npickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\n\
             qmgr unix n - n 300 1 qmgr\nrewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\n\
             defer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\nflush unix n - n 1000? 0 flush\n\
             proxymap unix - - n - - proxymap\nsmtp unix - - n - - smtp\nlmtp unix - - n - - lmtp\n\
             error unix - - n - - error\nretry unix - - n - - error\nshowq unix n - n - - showq\n\
             anvil unix - - n - 1 anvil\npostlog unix-dgram n - n - 1 postlogd\n"
        );
        fs::write(at("postfix/etc/main.cf"), main).expect("written");
        fs::write(at("postfix/etc/master.cf"), master).expect("written");
        let users: String = mailboxes.iter().map(|address| format!("{address}:{{PLAIN}}{PASSWORD}::::::\n")).collect();
        fs::write(at("dovecot/users"), users).expect("written");
        let settings = format!(
            "base_dir = {root}/dovecot/run\nstate_dir = {root}/dovecot/state\nlog_path = {root}/dovecot/log\n\
             protocols = imap lmtp\nlisten = 127.0.0.1\nssl = no\ndisable_plaintext_auth = no\n\
             mail_location = maildir:{root}/dovecot/mail/%u\nmail_uid = dovecot\nmail_gid = dovecot\n\
             first_valid_uid = 1\nfirst_valid_gid = 1\nauth_mechanisms = plain\n\
             passdb {{\n driver = passwd-file\n args = username_format=%u {root}/dovecot/users\n}}\n\
             userdb {{\n driver = passwd-file\n args = username_format=%u {root}/dovecot/users\n \
             default_fields = uid=dovecot gid=dovecot home={root}/dovecot/mail/%u\n}}\n\
             service imap-login {{\n inet_listener imap {{\n  port = {imap}\n }}\n inet_listener imaps {{\n  port = 0\n }}\n}}\n\
             service lmtp {{\n unix_listener lmtp {{\n  mode = 0666\n }}\n}}\n"
        );
        fs::write(at("dovecot/dovecot.conf"), settings).expect("written");
        let dovecot =
            Command::new(DOVECOT).arg("-F").arg("-c").arg(at("dovecot/dovecot.conf")).spawn().expect("dovecot");
        let servers = Self { dir: dir.clone(), smtp, imap, dovecot: Some(dovecot) };
        let started =
            Command::new(POSTFIX).arg("-c").arg(at("postfix/etc")).arg("start").stderr(Stdio::null()).status();
        assert!(started.expect("postfix").success(), "{}", servers.logs());
        let since = Instant::now();
        for port in [smtp, imap] {
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                assert!(since.elapsed() < Duration::from_secs(20), "nothing listens: {}", servers.logs());
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        servers
    }

    fn logs(&self) -> String {
        let log = |name: &str| fs::read_to_string(self.dir.join(name)).unwrap_or_default();
        log("postfix/log") + &log("dovecot/log")
    }

    /// Hands a message to Postfix, as the mail server of its sender would.
    pub async fn send(&self, from: &str, to: &str, message: &[u8]) {
        let address = |text: &str| text.parse::<Address>().expect("an address");
        let envelope = Envelope::new(Some(address(from)), vec![address(to)]).expect("an envelope");
        let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1").port(self.smtp).build();
        transport.send_raw(&envelope, message).await.expect("Postfix takes it");
    }

    /// How many messages a mailbox has.
    pub fn delivered(&self, address: &str) -> usize {
        let of = |part: &str| {
            fs::read_dir(self.dir.join("dovecot/mail").join(address).join(part)).map_or(0, Iterator::count)
        };
        of("new") + of("cur")
    }

    pub fn mailbox(&self, address: &str) -> Mailbox {
        Mailbox::open(self.imap, address)
    }

    /// Ends both, and says what they logged where `VICKET_SHOW_MTA` is set.
    pub fn end(self) {
        if std::env::var_os("VICKET_SHOW_MTA").is_some() {
            println!("{}", self.logs());
        }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.logs());
        }
        let _ = Command::new(POSTFIX)
            .arg("-c")
            .arg(self.dir.join("postfix/etc"))
            .arg("stop")
            .stderr(Stdio::null())
            .status();
        if let Some(mut dovecot) = self.dovecot.take() {
            let _ = Command::new("kill").arg(dovecot.id().to_string()).status();
            let _ = dovecot.wait();
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn run(command: &mut Command) {
    assert!(command.status().expect("it runs").success(), "{command:?}");
}

/// A mailbox by IMAP, as far as a test needs it.
pub struct Mailbox {
    lines: BufReader<TcpStream>,
    tag: u32,
}

impl Mailbox {
    fn open(port: u16, address: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("IMAP");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        let mut mailbox = Self { lines: BufReader::new(stream), tag: 0 };
        mailbox.line();
        mailbox.command(&format!("LOGIN {address} {PASSWORD}"));
        mailbox.command("SELECT INBOX");
        mailbox
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        assert!(!line.is_empty(), "IMAP ended");
        line.trim_end().to_owned()
    }

    fn send(&mut self, text: &[u8]) {
        self.lines.get_mut().write_all(text).expect("sent");
    }

    /// The untagged lines of an answer, and the literals in it.
    fn command(&mut self, text: &str) -> (Vec<String>, Vec<Vec<u8>>) {
        self.tag += 1;
        let tag = format!("a{}", self.tag);
        self.send(format!("{tag} {text}\r\n").as_bytes());
        let (mut lines, mut literals) = (Vec::new(), Vec::new());
        loop {
            let line = self.line();
            if let Some(rest) = line.strip_prefix(&format!("{tag} ")) {
                assert!(rest.starts_with("OK"), "{text}: {line}");
                return (lines, literals);
            }
            let length =
                line.strip_suffix('}').and_then(|line| line.rsplit_once('{')).and_then(|(_, n)| n.parse().ok());
            if let Some(length) = length {
                let mut literal = vec![0; length];
                self.lines.read_exact(&mut literal).expect("a literal");
                literals.push(literal);
            }
            lines.push(line);
        }
    }

    /// All messages, in the order in which they came.
    pub fn messages(&mut self) -> Vec<Vec<u8>> {
        self.command("NOOP");
        let (found, _) = self.command("SEARCH ALL");
        let any = found.iter().any(|line| line.starts_with("* SEARCH") && line.contains(|c: char| c.is_ascii_digit()));
        if any { self.command("FETCH 1:* (BODY.PEEK[])").1 } else { Vec::new() }
    }

    /// The threads as a client draws them: each with the numbers of its messages.
    pub fn threads(&mut self) -> Vec<String> {
        let (lines, _) = self.command("THREAD REFERENCES UTF-8 ALL");
        let line = lines.iter().find_map(|line| line.strip_prefix("* THREAD ")).expect("threads");
        let (mut depth, mut threads) = (0, Vec::new());
        for c in line.chars() {
            if c == '(' && depth == 0 {
                threads.push(String::new());
            }
            depth += i32::from(c == '(') - i32::from(c == ')');
            if let Some(thread) = threads.last_mut() {
                thread.push(c);
            }
        }
        threads
    }

    /// Puts a message there, as a client does with what it sent.
    pub fn append(&mut self, message: &[u8]) {
        self.tag += 1;
        self.send(format!("a{} APPEND INBOX {{{}}}\r\n", self.tag, message.len()).as_bytes());
        assert!(self.line().starts_with('+'));
        self.send(message);
        self.send(b"\r\n");
        while !self.line().starts_with(&format!("a{} OK", self.tag)) {}
    }
}
