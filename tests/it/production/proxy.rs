//! A proxy before two servers, with the page's very block, and a client of it at some address of loopback.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use reqwest::Client;

use super::{Dir, HOST, Running, block, put};

#[derive(Clone, Copy, Debug)]
pub enum Proxy {
    Nginx,
    Caddy,
}

impl Proxy {
    fn program(self) -> &'static str {
        match self {
            Self::Nginx if Path::new("/usr/sbin/nginx").exists() => "/usr/sbin/nginx",
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
        }
    }

    /// Whether it is here. CI does not accept that it is not.
    pub fn is_installed(self) -> bool {
        let version = match self {
            Self::Nginx => "-v",
            Self::Caddy => "version",
        };
        match Command::new(self.program()).arg(version).output() {
            Ok(_) => true,
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "{self:?} is missing: {error}");
                println!("left out: {self:?} is not installed: {error}");
                false
            }
        }
    }

    /// Listening on `port`, before servers on `servers`.
    pub async fn start(self, dir: &Dir, port: u16, servers: [u16; 2]) -> Running {
        let [first, second] = servers.map(|port| format!("127.0.0.1:{port}"));
        let servers = [("127.0.0.1:8080", first.as_str()), ("127.0.0.1:8081", second.as_str())];
        let mut command = Command::new(self.program());
        match self {
            Self::Nginx => {
                certificate(dir);
                let listen = format!("listen 127.0.0.1:{port} ssl http2;");
                let (pem, key) = (dir.path("pem"), dir.path("key"));
                let page = put(
                    put(block("nginx", "upstream vicket"), &servers),
                    &[
                        ("listen 443 ssl http2;", &listen),
                        ("/etc/ssl/support.example.com.pem", &pem),
                        ("/etc/ssl/support.example.com.key", &key),
                    ],
                );
                let user = if nix::unistd::geteuid().is_root() { "user root;" } else { "" };
                let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                    .map(|of| format!("{of}_temp_path {};\n", dir.path(of)))
                    .concat();
                let config = format!(
                    "daemon off; {user} pid {};\nerror_log {};\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{page}}}\n",
                    dir.path("pid"),
                    dir.path("log"),
                );
                command.arg("-e").arg(dir.path("log")).arg("-p").arg(&dir.0).arg("-c").arg(dir.write("conf", &config));
            }
            Self::Caddy => {
                // A certificate of its own, since nobody gives it one here; nothing outside of the directory.
                let global = format!(
                    "{{\n admin off\n local_certs\n skip_install_trust\n https_port {port}\n auto_https disable_redirects\n \
                     default_bind 127.0.0.1\n storage file_system {}\n}}\n",
                    dir.path("storage")
                );
                let config = format!("{global}{}", put(block("caddyfile", "reverse_proxy"), &servers));
                command.args(["run", "--adapter", "caddyfile", "--config"]).arg(dir.write("Caddyfile", &config));
                command.env("HOME", &dir.0).env("XDG_DATA_HOME", &dir.0).env("XDG_CONFIG_HOME", &dir.0);
            }
        }
        let log = std::fs::File::create(dir.0.join("said")).expect("a log");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let proxy = Running(command.spawn().expect("the proxy starts"));
        let (since, client) = (Instant::now(), client(port, [127, 0, 0, 1]));
        while !matches!(client.get(url(port, "/healthz")).send().await, Ok(answer) if answer.status() == 200) {
            assert!(since.elapsed() < Duration::from_secs(20), "{}{}", dir.read("said"), dir.read("log"));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        proxy
    }
}

/// Signed by itself.
fn certificate(dir: &Dir) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", &format!("/CN={HOST}"), "-keyout", &dir.path("key"), "-out", &dir.path("pem")])
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// Who connects from an address of this machine's loopback, and believes any certificate.
pub fn client(port: u16, from: [u8; 4]) -> Client {
    Client::builder()
        .resolve(HOST, SocketAddr::from(([127, 0, 0, 1], port)))
        .local_address(IpAddr::from(from))
        .tls_danger_accept_invalid_certs(true)
        .timeout(Duration::from_mins(1))
        .build()
        .expect("a client")
}

pub fn url(port: u16, path: &str) -> String {
    format!("https://{HOST}:{port}{path}")
}
