//! `vicket machine-key`.

use time::{Duration, OffsetDateTime};

use super::{checked, operator, said, when};
use crate::{
    cli::{AdminArgs, MachineKeyCommand},
    store::{
        machine_keys::{self, NewMachineKey},
        members,
        paging::PageRequest,
    },
};

/// # Errors
/// Those of the command, in words.
pub async fn run(admin: &AdminArgs, command: MachineKeyCommand) -> anyhow::Result<()> {
    let operator = operator(admin).await?;
    match command {
        MachineKeyCommand::Create { org, name, creator, permissions, expires_in } => {
            let mut tx = operator.enter(&org).await.map_err(said)?;
            let creator = members::by_email(&mut tx, &creator)
                .await
                .map_err(said)?
                .ok_or_else(|| anyhow::anyhow!("{creator} is no member of `{org}` [not_found]"))?;
            let name = checked("name", &name)?;
            let expires_at = expires_in.map(|days| OffsetDateTime::now_utc() + Duration::days(i64::from(days)));
            let new = NewMachineKey { name: &name, permissions: &permissions, expires_at, creator: Some(&creator) };
            let (_, key) = machine_keys::create(&mut tx, &new).await.map_err(said)?;
            tx.commit().await.map_err(said)?;
            println!("{}", key.reveal());
            eprintln!(
                "Shown once: only its hash is stored. It may do what it was given and what {} may do.",
                creator.email
            );
        }
        MachineKeyCommand::List { org } => {
            let mut tx = operator.enter(&org).await.map_err(said)?;
            let mut cursor = None;
            loop {
                let page_request = PageRequest { limit: 100, cursor: cursor.as_deref() };
                let (keys, next) = machine_keys::page(&mut tx, page_request).await.map_err(said)?;
                for key in keys {
                    let state = match (key.revoked_at, key.expires_at) {
                        (Some(at), _) => format!("revoked {}", when(at)),
                        (None, Some(at)) => format!("until {}", when(at)),
                        (None, None) => "no end".to_owned(),
                    };
                    let used = key
                        .last_used_at
                        .map_or_else(|| "never used".to_owned(), |at| format!("last used {}", when(at)));
                    println!(
                        "{}\t{}\tsk_...{}\tof {}\t{state}\t{used}\t{}",
                        key.id,
                        key.name,
                        key.hint,
                        key.created_by,
                        key.permissions.join(" ")
                    );
                }
                match next {
                    Some(next) => cursor = Some(next),
                    None => break,
                }
            }
        }
        MachineKeyCommand::Revoke { org, id } => {
            let mut tx = operator.enter(&org).await.map_err(said)?;
            machine_keys::revoke(&mut tx, id).await.map_err(said)?;
            tx.commit().await.map_err(said)?;
            eprintln!("The machine key is dead.");
        }
    }
    Ok(())
}
