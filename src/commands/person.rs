//! `vicket person`.

use super::{operator, said};
use crate::{
    cli::{AdminArgs, PersonCommand},
    store::erasure,
};

/// # Errors
/// Those of the command, in words; when something is left that should not be, then nothing was erased.
pub async fn run(admin: &AdminArgs, command: PersonCommand) -> anyhow::Result<()> {
    let PersonCommand::Erase { org, email } = command;
    let mut tx = operator(admin).await?.enter(&org).await.map_err(said)?;
    let traces = erasure::erase(&mut tx, &email).await.map_err(said)?;
    for trace in &traces {
        println!("{}\t{}\t{}", trace.what, trace.found, trace.left);
    }
    // An account stays for the other orgs that they are in.
    let left = traces.iter().any(|trace| trace.left > 0 && trace.what != erasure::ACCOUNTS);
    anyhow::ensure!(!left, "something is left: nothing was erased");
    tx.commit().await.map_err(said)?;
    eprintln!(
        "Erased from {org}: what there was, and what is left. Months that were detached, dumps and logs are not looked at."
    );
    Ok(())
}
