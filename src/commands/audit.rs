//! `vicket audit`: the report on isolation, and `vicket audit log`, what happened.

use std::io::Write as _;

use anyhow::Context as _;

use super::{operator, said, when};
use crate::{
    audit::{self, report},
    config::{AdminArgs, AuditArgs, AuditCommand},
    store::{
        audit_log::{self, Chain, Filter},
        cursor::Span,
    },
};

/// # Errors
/// When the database cannot be audited, and when the audit found something.
pub async fn run(args: AuditArgs, command: Option<AuditCommand>) -> anyhow::Result<()> {
    let admin_url = args.admin_url.clone().context("VICKET_ADMIN_URL is not set, and --admin-url is not given")?;
    match command {
        None => isolation(&args, &admin_url).await,
        Some(AuditCommand::Log { org, verify, limit }) => log(&AdminArgs { admin_url }, &org, verify, limit).await,
    }
}

async fn isolation(args: &AuditArgs, url: &str) -> anyhow::Result<()> {
    let mut connection = audit::connect(url).await?;
    let report = report::read(&mut connection).await?;
    std::io::stdout().write_all(report.write(args.format)?.as_bytes())?;
    let found = report.at_least(args.fail_on);
    anyhow::ensure!(found == 0, "{found} findings as bad as {} or worse", args.fail_on.as_str());
    Ok(())
}

/// Those of the command, in words; when a chain is broken.
async fn log(admin: &AdminArgs, org: &str, verify: bool, limit: u32) -> anyhow::Result<()> {
    let mut tx = operator(admin).await?.enter(org).await.map_err(said)?;
    if verify {
        return match audit_log::verify(&mut tx).await.map_err(said)? {
            Chain::Whole { rows } => {
                println!("{org}: {rows} entries, the chain is whole");
                Ok(())
            }
            Chain::Broken { seq, fault } => Err(anyhow::anyhow!("{org}: the chain breaks at entry {seq}: {fault}")),
        };
    }
    let span = Span { limit, cursor: None };
    let (entries, _) = audit_log::page(&mut tx, span, &Filter::default()).await.map_err(said)?;
    for entry in entries {
        let json =
            |value: &Option<serde_json::Value>| value.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        println!(
            "{}\t{}\t{}\t{} {} {}\t{}\t{}",
            entry.seq,
            when(entry.at),
            entry.actor,
            entry.action,
            entry.object_kind,
            entry.object_id,
            json(&entry.before),
            json(&entry.after)
        );
    }
    Ok(())
}
