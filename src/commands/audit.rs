//! `vicket audit`.

use super::{operator, said, when};
use crate::{
    config::{AdminArgs, AuditCommand},
    store::{
        audit_log::{self, Chain, Filter},
        cursor::Span,
    },
};

/// # Errors
/// Those of the command, in words; when a chain is broken.
pub async fn run(admin: &AdminArgs, command: AuditCommand) -> anyhow::Result<()> {
    let AuditCommand::Log { org, verify, limit } = command;
    let mut tx = operator(admin).await?.enter(&org).await.map_err(said)?;
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
