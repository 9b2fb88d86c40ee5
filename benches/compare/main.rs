//! What the server costs, measured: `just bench` beside SQL that one would write by hand, `just bench-scale` as rows grow, or
//! `just bench-scale sites` or `tickets`, a part of that.
//!
//! Both run in a private cluster with durable commits that is thrown away, and judge nothing: they print what they measured.
//! Rates depend on the machine and on who else works there; processor time per request hardly does, and is what to compare.
//!
//! They need pgbench (with PostgreSQL's programs or on the PATH) and wrk. `BENCH_SECONDS` is the length of a round (4).

mod cpu;
mod load;
mod scale;
mod seed;
mod server;
mod speed;

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use vicket::{
    db,
    dev::postgres::{Cluster, Durability, Programs},
    migrate::{self, Passwords},
};

const PASSWORD: &str = "bench-only";

/// The cluster, and how long a round is.
struct Bench {
    cluster: Cluster,
    programs: Programs,
    dir: PathBuf,
    seconds: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` and the like pass no --bench: this is no test.
    if !args.iter().any(|arg| arg == "--bench") {
        return Ok(());
    }
    let seconds = std::env::var("BENCH_SECONDS").ok().map_or(Ok(4), |text| text.parse()).context("BENCH_SECONDS")?;
    let dir = std::env::temp_dir().join(format!("vicket-bench-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let programs = Programs::find().await?;
    let cluster = Cluster::start(&programs, &dir, Durability::Durable).await?;
    let bench = Bench { cluster, programs, dir, seconds };
    let has = |wanted: &str| args.iter().any(|arg| arg == wanted);
    let outcome = match (has("scale"), has("sites") == has("tickets")) {
        (false, _) => speed::run(&bench).await,
        (true, true) => scale::run(&bench, true, true).await,
        (true, false) => scale::run(&bench, has("sites"), has("tickets")).await,
    };
    bench.cluster.stop().await?;
    Cluster::remove(&bench.dir).await?;
    fs::remove_dir_all(&bench.dir)?;
    outcome
}

impl Bench {
    /// The URL of a database for a login with [`PASSWORD`].
    fn url(&self, login: &str, database: &str) -> String {
        format!("postgres://{login}:{PASSWORD}@127.0.0.1:{}/{database}", self.cluster.port())
    }

    /// Makes a database, and Vicket's schema in it.
    async fn migrated(&self, database: &str) -> anyhow::Result<()> {
        self.sql("postgres", &format!("create database {database}")).await?;
        let password = || Some(PASSWORD.to_owned());
        let passwords = Passwords { widget: password(), agent: password(), mail: password(), worker: password() };
        migrate::run(&self.cluster.superuser_url(database), &passwords).await?;
        Ok(())
    }

    /// Runs statements as the superuser, each in a transaction of its own.
    async fn sql(&self, database: &str, statements: &str) -> anyhow::Result<()> {
        let options = db::connect_options(&self.cluster.superuser_url(database)).await?;
        let mut connection = PgConnection::connect_with(&options).await?;
        for statement in statements.split(";\n") {
            sqlx::raw_sql(AssertSqlSafe(statement))
                .execute(&mut connection)
                .await
                .with_context(|| statement.to_owned())?;
        }
        Ok(connection.close().await?)
    }
}
