//! `just bench`: three requests, by hand-written SQL through pgbench and by the server.
//!
//! The baseline is the least that holds tenants apart in PostgreSQL: key, role and site in a transaction under forced
//! row-level security, and one statement. It is run twice: with a round trip for each of BEGIN, key, statement and COMMIT
//! (P0), and with one for all of them (P0p). The server has the same articles, and does what it always does: origins,
//! limits, the seal, tokens, metrics and a log line. Its reads are measured with kept answers, the default, and without.
//!
//! Each variant has one round of each turn; a turn begins with another variant each time. A ratio is that of the rounds of
//! one turn, and what is printed is the median of the turns.

use crate::{
    Bench,
    load::{Request, Round, Sites},
    seed::Size,
    server::Server,
};

const VICKET: &str = "vicket";
const TURNS: usize = 3;
/// Of the baseline, whose articles do not all fit into PostgreSQL's memory.
const BASELINE_SITES: u32 = 1000;
/// Of the server, and those of the baseline that are asked.
const SITES: u32 = 100;
const ARTICLES: u32 = 200;
/// Which of the variants the ratios are to.
const MEASURE: usize = 0;

/// Who answers.
enum Variant<'a> {
    Baseline { pipelined: bool },
    Server(&'a Server),
}

pub async fn run(bench: &Bench) -> anyhow::Result<()> {
    bench.seed_baseline(Size { sites: BASELINE_SITES, step: 1, articles: ARTICLES }).await?;
    bench.seed_vicket(VICKET, Size { sites: SITES, step: 1, articles: ARTICLES }, 0).await?;

    let kept = Server::start(bench, VICKET, &[])?;
    let tables = Server::start(bench, VICKET, &["--answer-cache-mib", "0"])?;
    let baseline = || {
        [
            ("P0: pgbench, four round trips", Variant::Baseline { pipelined: false }),
            ("P0p: pgbench, one round trip", Variant::Baseline { pipelined: true }),
        ]
    };
    println!("8 connections, {} s a round, median of {TURNS} turns, durable commits", bench.seconds);
    println!("                                            of P0's     CPU, ms per 1,000 requests");
    println!("                               requests/s      rate     server  PostgreSQL     both     of P0's");
    for (request, title) in [
        (Request::List, "R1: GET /support/v1/help/articles?limit=20"),
        (Request::Article, "R2: GET /support/v1/help/articles/{slug}"),
        (Request::Ticket, "W1: POST /support/v1/tickets"),
    ] {
        let servers = match request {
            Request::Ticket => vec![("Vicket", Variant::Server(&kept))],
            _ => vec![("Vicket, kept answers", Variant::Server(&kept)), ("Vicket, tables", Variant::Server(&tables))],
        };
        let variants: Vec<(&str, Variant)> = baseline().into_iter().chain(servers).collect();
        println!("{title}");
        // One's writes are not another's disk load.
        bench.sql("postgres", "checkpoint").await?;
        let mut turns = Vec::new();
        for turn in 0..TURNS {
            let mut rounds = vec![None; variants.len()];
            for place in 0..variants.len() {
                let at = (turn + place) % variants.len();
                rounds[at] = Some(round(bench, request, &variants[at].1)?);
            }
            turns.push(rounds.into_iter().flatten().collect::<Vec<Round>>());
        }
        for (at, (name, _)) in variants.iter().enumerate() {
            print(name, &turns, at);
        }
    }
    Ok(())
}

fn round(bench: &Bench, request: Request, variant: &Variant) -> anyhow::Result<Round> {
    match variant {
        Variant::Baseline { pipelined } => bench.pgbench(request, *pipelined, SITES),
        Variant::Server(server) => bench.wrk(request, server, Sites { count: SITES, step: 1 }),
    }
}

fn print(name: &str, turns: &[Vec<Round>], at: usize) {
    let of = |figure: &dyn Fn(&Round) -> f64| median(turns.iter().map(|rounds| figure(&rounds[at])).collect());
    let ratio = |figure: &dyn Fn(&Round) -> f64| {
        median(turns.iter().map(|rounds| figure(&rounds[at]) / figure(&rounds[MEASURE])).collect())
    };
    let both = |round: &Round| round.server + round.postgres;
    let server = of(&|round| round.server);
    println!(
        "  {name:<29} {:>9.0} {:>9.2} {:>10} {:>11.0} {:>8.0} {:>11.2}",
        of(&|round| round.per_second),
        ratio(&|round| round.per_second),
        if server > 0.0 { format!("{server:.0}") } else { "-".to_owned() },
        of(&|round| round.postgres),
        of(&both),
        ratio(&both),
    );
}

pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
