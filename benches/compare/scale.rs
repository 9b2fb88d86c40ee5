//! `just bench-scale`: what the server costs as rows grow, and what it takes by itself. Each measure stands beside its goal.

use std::{
    net::TcpStream,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use reqwest::{Client, header::COOKIE};

use crate::{
    Bench,
    load::{Request, Round, Sites},
    seed::Size,
    server::Server,
    speed::median,
};

const TURNS: usize = 3;
/// How many sites there are; ten of them are asked, so that only what lies beside them grows.
const GROWING: [u32; 3] = [10, 1_000, 100_000];
const ASKED: u32 = 10;
const ARTICLES: u32 = 200;
const MANY_ARTICLES: u32 = 10_000;
const TICKETS: u32 = 100_000;
/// Each page is asked for as often.
const ASKS: usize = 50;
const CONNECTIONS: u32 = 1_000;
/// More would be over the limits of an org, which count how often a stream looks for news.
const STREAMS: u32 = 100;
/// For what was allocated to be used, or given back.
const QUIET: Duration = Duration::from_secs(5);
const MIB: f64 = 1024.0 * 1024.0;
/// Of the owner, as sql/tickets.sql has them.
const SESSIONS: u32 = 10;

pub async fn run(bench: &Bench, of_sites: bool, of_tickets: bool) -> anyhow::Result<()> {
    println!("{:<58} {:>10}   goal", "", "measured");
    if of_sites {
        sites(bench).await?;
    }
    if of_tickets {
        tickets(bench).await?;
    }
    Ok(())
}

fn line(what: &str, measured: &str, goal: &str) {
    println!("{what:<58} {measured:>10}   {goal}");
}

/// Processor time of a request, the server's and PostgreSQL's, relative to that of the first of `databases`.
struct Growth<'a> {
    title: &'a str,
    request: Request,
    flags: &'a [&'a str],
    /// A database, how many of its sites are asked, and what it has.
    databases: &'a [(&'a str, Sites, String)],
    goal: &'a str,
}

impl Growth<'_> {
    fn measure(&self, bench: &Bench) -> anyhow::Result<()> {
        let start = |(database, ..): &(&str, _, _)| Server::start(bench, database, self.flags);
        let servers: Vec<Server> = self.databases.iter().map(start).collect::<Result<_, _>>()?;
        let mut turns = Vec::new();
        for turn in 0..TURNS {
            let mut costs = vec![f64::NAN; servers.len()];
            for place in 0..servers.len() {
                let at = (turn + place) % servers.len();
                let Round { server, postgres, .. } = bench.wrk(self.request, &servers[at], self.databases[at].1)?;
                costs[at] = server + postgres;
            }
            turns.push(costs);
        }
        for (at, (.., has)) in self.databases.iter().enumerate() {
            if at == 0 {
                let cost = median(turns.iter().map(|costs| costs[0]).collect());
                line(&format!("{}, of {has}: CPU a request", self.title), &format!("{cost:.0} µs"), "");
            } else {
                let ratio = median(turns.iter().map(|costs| costs[at] / costs[0]).collect());
                line(&format!("  of {has}"), &format!("{ratio:.2} ×"), self.goal);
            }
        }
        Ok(())
    }
}

/// Many sites, a site of many articles, and a start with all of them.
async fn sites(bench: &Bench) -> anyhow::Result<()> {
    let mut growing = Vec::new();
    for (sites, database) in GROWING.into_iter().zip(["sites_few", "sites_some", "sites_many"]) {
        let step = sites / ASKED;
        bench.seed_vicket(database, Size { sites, step, articles: ARTICLES }, 0).await?;
        growing.push((database, Sites { count: ASKED, step }, format!("{sites} sites")));
    }
    let size = Size { sites: GROWING[0], step: GROWING[0], articles: MANY_ARTICLES };
    bench.seed_vicket("articles_many", size, 0).await?;
    let one = Sites { count: 1, step: 1 };
    let large = [
        ("sites_few", one, format!("a site of {ARTICLES} articles")),
        ("articles_many", one, format!("a site of {MANY_ARTICLES}")),
    ];
    let none_kept: &[&str] = &["--answer-cache-mib", "0"];
    for (title, request, flags) in [
        ("list, kept", Request::List, &[] as &[&str]),
        ("list, from tables", Request::List, none_kept),
        ("one article, from tables", Request::Article, none_kept),
        ("a new ticket", Request::Ticket, &[]),
    ] {
        bench.sql("postgres", "checkpoint").await?;
        Growth { title, request, flags, databases: &growing, goal: "at most 1.1" }.measure(bench)?;
    }
    for (title, flags) in [("first page, kept", &[] as &[&str]), ("first page, from tables", none_kept)] {
        let request = Request::List;
        Growth { title, request, flags, databases: &large, goal: "at most 1.5" }.measure(bench)?;
    }
    let mut starts = Vec::new();
    for _ in 0..TURNS {
        starts.push(Server::start(bench, "sites_many", &[])?.started_in.as_secs_f64());
    }
    line(&format!("start, {} sites", GROWING[2]), &format!("{:.2} s", median(starts)), "at most 1 s");
    Ok(())
}

/// An org of many tickets, and what the server holds.
async fn tickets(bench: &Bench) -> anyhow::Result<()> {
    let database = "tickets_many";
    bench.seed_vicket(database, Size { sites: ASKED, step: 1, articles: 1 }, TICKETS).await?;
    memory(bench, database).await?;
    let server = Server::start(bench, database, &[])?;
    // Who builds a client of this kind names it, also for one that speaks no TLS.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::new();
    let api = |path: &str| format!("{}/v1/orgs/org-1/tickets{path}", server.url);
    let page: serde_json::Value = serde_json::from_str(&ask(&client, &api("")).await?)?;
    let id = page["data"][7]["id"].as_str().context("an inbox without tickets")?.to_owned();
    let dashboard = |path: &str| format!("{}/dashboard/org-1/inbox{path}", server.url);
    println!("an org of {TICKETS} tickets, median and slowest of {ASKS}:");
    for (what, url, goal) in [
        ("inbox", api("?limit=20"), "at most 20 ms"),
        ("inbox, its page", dashboard(""), "at most 20 ms"),
        ("one ticket", api(&format!("/{id}")), "at most 10 ms"),
        ("one ticket, its page", dashboard(&format!("/{id}")), "at most 10 ms"),
        ("search for a word that one in 1,000 has", api("?limit=20&q=invoice"), "at most 60 ms"),
        ("search for a word that nobody wrote", api("?limit=20&q=zeppelin"), "at most 60 ms"),
        ("search for a word that all have", api("?limit=20&q=hello"), "at most 60 ms"),
        ("search for a word that the oldest 5,000 have", api("?limit=20&q=gramophone"), "at most 60 ms"),
        ("search for a word that all have, and one that few have", api("?limit=20&q=hello%20invoice"), "at most 60 ms"),
        ("search for an address", api("?limit=20&q=customer-77%40example.com"), "at most 60 ms"),
        ("search, its page", dashboard("?q=invoice"), "at most 60 ms"),
    ] {
        // The first plans.
        for _ in 0..10 {
            ask(&client, &url).await?;
        }
        let mut times = Vec::new();
        for _ in 0..ASKS {
            let began = Instant::now();
            ask(&client, &url).await?;
            times.push(began.elapsed().as_secs_f64() * 1000.0);
        }
        let slowest = times.iter().copied().fold(0.0, f64::max);
        line(&format!("  {what}"), &format!("{:.1}, {slowest:.1} ms", median(times)), goal);
    }
    Ok(())
}

async fn ask(client: &Client, url: &str) -> anyhow::Result<String> {
    let answer = client.get(url).header(COOKIE, session(0)).send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    ensure!(status.is_success(), "{url} was answered {status}: {text}");
    Ok(text)
}

/// What the server holds when nobody asks, and what connections and open streams add.
async fn memory(bench: &Bench, database: &str) -> anyhow::Result<()> {
    let idle = Server::start(bench, database, &[])?;
    tokio::time::sleep(QUIET).await;
    let nothing = idle.memory()?;
    line("memory, idle", &format!("{:.1} MiB", nothing / MIB), "under 20 MB");
    let _connections = hold(&idle, CONNECTIONS, "/healthz", "200 OK")?;
    tokio::time::sleep(QUIET).await;
    line(&format!("  {CONNECTIONS} connections add"), &format!("{:.1} MiB", (idle.memory()? - nothing) / MIB), "");
    drop(idle);
    let streaming = Server::start(bench, database, &[])?;
    tokio::time::sleep(QUIET).await;
    let nothing = streaming.memory()?;
    let _streams = hold(&streaming, STREAMS, "/dashboard/org-1/events", "text/event-stream")?;
    tokio::time::sleep(QUIET).await;
    let each = (streaming.memory()? - nothing) / f64::from(STREAMS);
    line(&format!("  an open stream of news adds, of {STREAMS}"), &format!("{:.0} KiB", each / 1024.0), "");
    Ok(())
}

/// Opens so many connections, asks for `path` on each, and keeps those whose answer's head has `expected`.
fn hold(server: &Server, count: u32, path: &str, expected: &str) -> anyhow::Result<Vec<TcpStream>> {
    use std::io::{Read as _, Write as _};
    let address = server.url.trim_start_matches("http://");
    let mut held = Vec::new();
    for number in 0..count {
        let mut stream = TcpStream::connect(address)?;
        let cookie = session(number % SESSIONS);
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\n\r\n")?;
        let mut answer = [0; 4096];
        let length = stream.read(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        ensure!(answer.contains(expected), "{path} was answered {answer}");
        held.push(stream);
    }
    Ok(held)
}

fn session(number: u32) -> String {
    format!("vicket_session=vs_bench_{number}")
}
