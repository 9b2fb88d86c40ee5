//! The server under load, as `vicket serve` runs by default but for ten connections of the widget's. `VICKET_PROGRAM` is the
//! program, as it is shipped: one that Cargo makes for a bench has features that only tests need.

use std::{
    env, fs,
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};

use crate::Bench;

/// How long a start may take.
const START: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(2);

/// Killed when dropped.
pub struct Server {
    child: Child,
    pub url: String,
    /// From the start of the process until it accepted connections.
    pub started_in: Duration,
}

impl Server {
    /// On a free port, over `database`. Its log, a line a request, goes nowhere.
    pub fn start(bench: &Bench, database: &str, flags: &[&str]) -> anyhow::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let began = Instant::now();
        let program = env::var_os("VICKET_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_vicket").into());
        let child = Command::new(program)
            .args(["serve", "--listen", &address, "--widget-connections", "10"])
            .args(flags)
            .env("VICKET_WIDGET_URL", bench.url("vicket_gate_widget", database))
            .env("VICKET_AGENT_URL", bench.url("vicket_gate_agent", database))
            .env("VICKET_WORKER_URL", bench.url("vicket_worker", database))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut server = Self { child, url: format!("http://{address}"), started_in: Duration::ZERO };
        while TcpStream::connect(&address).is_err() {
            ensure!(server.child.try_wait()?.is_none(), "`vicket serve` ended instead of serving");
            ensure!(began.elapsed() < START, "the server does not answer");
            thread::sleep(POLL);
        }
        server.started_in = began.elapsed();
        Ok(server)
    }

    /// What it holds in memory, bytes.
    pub fn memory(&self) -> anyhow::Result<f64> {
        let path = format!("/proc/{}/status", self.pid());
        let status = fs::read_to_string(&path).with_context(|| path)?;
        let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next());
        Ok(kibibytes.context("no VmRSS")?.parse::<f64>()? * 1024.0)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
