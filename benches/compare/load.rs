//! One round of load, by pgbench or by wrk, and what it cost.

use std::{path::Path, process::Command, thread, time::Duration};

use anyhow::{Context as _, ensure};

use crate::{Bench, cpu, server::Server};

/// Connections of either program.
const CONNECTIONS: &str = "8";
/// Not counted: caches fill, the database's and the server's.
const WARM_UP: u64 = 1;
/// For the processes of connections that ended to be accounted for.
const SETTLE: Duration = Duration::from_millis(100);
/// Where the scripts are.
const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/compare");

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// The first page of a site's articles.
    List,
    /// One of them.
    Article,
    /// A new ticket.
    Ticket,
}

impl Request {
    pub fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Article => "article",
            Self::Ticket => "ticket",
        }
    }
}

/// Whose keys are used: of so many sites, the first and each so many after it.
#[derive(Clone, Copy)]
pub struct Sites {
    pub count: u32,
    pub step: u32,
}

/// What a round showed. Processor time is in milliseconds per 1,000 requests.
#[derive(Clone, Copy)]
pub struct Round {
    pub per_second: f64,
    pub server: f64,
    pub postgres: f64,
}

impl Bench {
    /// The statements of the baseline, each message a round trip of its own, or all of them one.
    pub fn pgbench(&self, request: Request, pipelined: bool, sites: u32) -> anyhow::Result<Round> {
        let suffix = if pipelined { "-pipelined" } else { "" };
        let script = format!("{HERE}/pgbench/{}{suffix}.sql", request.name());
        let beside = self.programs.bin.join("pgbench");
        let program = if beside.exists() { beside.as_path() } else { Path::new("pgbench") };
        let url = self.url("baseline_app", "baseline");
        self.warm_and_counted(None, |seconds| {
            let text = output(
                Command::new(program)
                    .args(["-n", "-M", "prepared", "-c", CONNECTIONS, "-T", &seconds.to_string()])
                    .args(["-D", &format!("sites={sites}"), "-f", &script, &url]),
            )?;
            ensure!(text.contains("number of failed transactions: 0 "), "pgbench failed: {text}");
            let requests = figure(&text, "number of transactions actually processed: ")?;
            Ok((requests, figure(&text, "tps = ")?))
        })
    }

    /// Requests to the server; every answer must be a success.
    pub fn wrk(&self, request: Request, server: &Server, sites: Sites) -> anyhow::Result<Round> {
        let Sites { count, step } = sites;
        self.warm_and_counted(Some(server), |seconds| {
            let text = output(
                Command::new("wrk")
                    .args(["-t", "1", "-c", CONNECTIONS, "-d", &format!("{seconds}s"), "-s"])
                    .args([&format!("{HERE}/requests.lua"), &server.url, "--", request.name()])
                    .args([count.to_string(), step.to_string()]),
            )?;
            ensure!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "wrk saw failures: {text}");
            let (requests, _) = text.split_once(" requests in ").with_context(|| format!("wrk said {text}"))?;
            let requests = requests.lines().last().unwrap_or_default().trim().parse()?;
            Ok((requests, figure(&text, "Requests/sec:")?))
        })
    }

    /// Runs what returns the number of requests and their rate, once to warm up and once to count.
    fn warm_and_counted(
        &self,
        server: Option<&Server>,
        load: impl Fn(u64) -> anyhow::Result<(f64, f64)>,
    ) -> anyhow::Result<Round> {
        let used = || {
            thread::sleep(SETTLE);
            (server.map_or(0.0, |server| cpu::used(server.pid())), cpu::used(self.cluster.pid()))
        };
        load(WARM_UP)?;
        let before = used();
        let (requests, per_second) = load(self.seconds)?;
        let after = used();
        let thousands = requests / 1000.0;
        Ok(Round { per_second, server: (after.0 - before.0) / thousands, postgres: (after.1 - before.1) / thousands })
    }
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let program = command.get_program().to_owned();
    let output = command.output().with_context(|| format!("{} cannot be run: is it installed?", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} failed: {text}{errors}", program.display());
    Ok(text)
}

/// The number after `label` where a line begins with it.
fn figure(text: &str, label: &str) -> anyhow::Result<f64> {
    let number = text.lines().find_map(|line| line.strip_prefix(label)?.split_whitespace().next()?.parse().ok());
    number.with_context(|| format!("no figure `{label}` in: {text}"))
}
