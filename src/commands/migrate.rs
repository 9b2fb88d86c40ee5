//! `vicket migrate`.

use std::process::ExitCode;

use super::serve::log;
use crate::{
    cli::{CheckFormat, LogFormat, MigrateArgs},
    migrate::{
        self, Passwords, Patience,
        check::{self, Mode},
    },
    migrations::files::Files,
};

/// What `--check` ends with when something would run.
const PENDING: u8 = 3;

/// # Errors
/// When the database cannot be migrated, or `--check` finds a change that would fail.
pub async fn run(args: MigrateArgs) -> anyhow::Result<ExitCode> {
    log(LogFormat::Text, "warn,vicket=info");
    if args.check {
        return check(&args).await;
    }
    let passwords = Passwords {
        widget: args.widget_password,
        agent: args.agent_password,
        mail: args.mail_password,
        worker: args.worker_password,
    };
    let report = migrate::run(&args.admin.admin_url, &passwords).await?;
    println!("The database is at version {}; no lint of isolation finds an error.", report.version);
    if !report.hardened {
        println!(
            "Hardening is open, and this login is no superuser, so it cannot revoke what PUBLIC has. The policies do not rest on \
             it, but an injected statement would have these tools:\n  {}\nA superuser can: psql -f migrations/hardening.sql; \
             databases that are not ours are their owners' to close.",
            report.open.join("\n  ")
        );
    }
    Ok(ExitCode::SUCCESS)
}

async fn check(args: &MigrateArgs) -> anyhow::Result<ExitCode> {
    let mode = if args.dry { Mode::Dry } else { Mode::Try };
    let check = check::check(&args.admin.admin_url, &Files::embedded(), &Patience::default(), mode).await?;
    match args.format {
        CheckFormat::Text => print!("{}", check.text()),
        CheckFormat::Json => println!("{}", serde_json::to_string_pretty(&check)?),
    }
    anyhow::ensure!(!check.fails(), "a change would fail");
    Ok(if check.pending() { ExitCode::from(PENDING) } else { ExitCode::SUCCESS })
}
