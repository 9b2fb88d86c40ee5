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
            "Hardening is open: PUBLIC may still use {}. This login is no superuser, so it cannot revoke them. The \
             policies do not rest on it, but an injected statement would have these tools. A superuser can: psql -f migrations/hardening.sql",
            report.open.join(", ")
        );
    }
    Ok(())
}
