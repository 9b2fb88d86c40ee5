//! `vicket migrate`.

use crate::{
    config::MigrateArgs,
    migrate::{self, Passwords},
};

/// # Errors
/// When the database cannot be migrated; then nothing was changed.
pub async fn run(args: MigrateArgs) -> anyhow::Result<()> {
    let passwords =
        Passwords { widget: args.widget_password, agent: args.agent_password, worker: args.worker_password };
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
    Ok(())
}
