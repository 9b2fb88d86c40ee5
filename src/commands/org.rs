//! `vicket org`.

use super::{checked, operator, said, when};
use crate::{
    cli::{AdminArgs, OrgCommand},
    domain::{files::size, text::Slug},
    store,
};

/// # Errors
/// Those of the command, in words.
pub async fn run(admin: &AdminArgs, command: OrgCommand) -> anyhow::Result<()> {
    let operator = operator(admin).await?;
    match command {
        OrgCommand::Create { slug, name } => {
            let mut tx = operator.begin().await.map_err(said)?;
            let (slug, name) = (checked::<Slug>("slug", &slug)?, checked("name", name.as_deref().unwrap_or(&slug))?);
            store::orgs::create(&mut tx, &slug, &name).await.map_err(said)?;
            let slug = slug.as_str();
            tx.commit().await.map_err(said)?;
            eprintln!("Created the org `{slug}`. Next: vicket site create {slug}/SITE --origin https://...");
        }
        OrgCommand::List => {
            let mut tx = operator.begin().await.map_err(said)?;
            for org in store::orgs::list(&mut tx).await.map_err(said)? {
                println!("{}\t{}\t{}", org.slug, org.name, when(org.created_at));
            }
        }
        OrgCommand::Quota { org, files_mib } => {
            let mut tx = operator.enter(&org).await.map_err(said)?;
            if let Some(mib) = files_mib {
                store::orgs::set_file_quota(&mut tx, mib).await.map_err(said)?;
            }
            let files = store::orgs::file_quota(&mut tx).await.map_err(said)?;
            tx.commit().await.map_err(said)?;
            println!("files\t{} of {} MiB", size(files.bytes), files.quota_mib);
        }
        OrgCommand::Jobs => {
            let mut tx = operator.begin().await.map_err(said)?;
            for job in store::jobs::list(&mut tx).await.map_err(said)? {
                let progress = format!("{} of {}", job.done, job.total);
                let fails = job.last_error.map_or_else(String::new, |error| {
                    format!(
                        "\tfailed {} times, tried again {}: {}",
                        job.attempts,
                        when(job.run_at),
                        error.escape_debug()
                    )
                });
                println!("{}\t{}\t{progress}\t{}\t{}{fails}", job.org, job.kind, job.actor, when(job.created_at));
            }
        }
    }
    Ok(())
}
