//! The command line of the proofs, thin.

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use vicket::audit::why::Shape;
use vicket_proofs::{
    mutate,
    plans::{self, Size},
};

/// Proofs of Vicket that need a PostgreSQL of their own, and no URL
#[derive(Parser)]
#[command(name = "vicket-proofs", version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// What to write the outcome as
    #[arg(long, value_enum, default_value_t = Shape::Text, global = true)]
    format: Shape,
}

#[derive(Subcommand)]
enum Command {
    /// Weaken a scratch database in every way that its catalog offers, one at a time, and demand that a lint or a probe of
    /// `vicket audit` notices
    Mutate(MutateArgs),
    /// Run the server's hot statements on many tenants' rows in a scratch database, and demand that each plan reads the
    /// context once and rows by an index that a tenant leads
    Plans(PlansArgs),
}

#[derive(Args)]
struct MutateArgs {
    /// Try one mutant in N, of each kind, where there is no time for all
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    one_in: u16,
}

#[derive(Args)]
struct PlansArgs {
    /// Rows to make, of all sites
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u32).range(20_000..=20_000_000))]
    rows: u32,
    /// Sites to make, five an org
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(50..=20_000))]
    sites: u32,
    /// Tickets more of one site, a tenant that is many times the others
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    large: u32,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vicket-proofs: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the outcome, and judges it.
async fn run(Cli { command, format }: Cli) -> anyhow::Result<()> {
    match command {
        Command::Mutate(MutateArgs { one_in }) => {
            let score = mutate::run(one_in).await?;
            match format {
                Shape::Text => print!("{}", score.text()),
                Shape::Json => println!("{}", serde_json::to_string_pretty(&score)?),
            }
            score.judge()
        }
        Command::Plans(PlansArgs { rows, sites, large }) => {
            let plans = plans::run(Size { sites, rows, large }, "").await?;
            match format {
                Shape::Text => print!("{}", plans.text()),
                Shape::Json => println!("{}", serde_json::to_string_pretty(&plans)?),
            }
            plans.judge()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
