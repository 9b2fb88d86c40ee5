//! `vicket org`.

use super::{checked, operator, said, when};
use crate::{
    cli::{AdminArgs, OrgCommand},
    domain::text::Slug,
    store,
};

/// # Errors
/// Those of the command, in words.
pub async fn run(admin: &AdminArgs, command: OrgCommand) -> anyhow::Result<()> {
    let mut tx = operator(admin).await?.begin().await.map_err(said)?;
    match command {
        OrgCommand::Create { slug, name } => {
            let (slug, name) = (checked::<Slug>("slug", &slug)?, checked("name", name.as_deref().unwrap_or(&slug))?);
            store::orgs::create(&mut tx, &slug, &name).await.map_err(said)?;
            let slug = slug.as_str();
            tx.commit().await.map_err(said)?;
            eprintln!("Created the org `{slug}`. Next: vicket site create {slug}/SITE --origin https://...");
        }
        OrgCommand::List => {
            for org in store::orgs::list(&mut tx).await.map_err(said)? {
                println!("{}\t{}\t{}", org.slug, org.name, when(org.created_at));
            }
        }
        OrgCommand::Jobs => {
            for job in store::jobs::list(&mut tx).await.map_err(said)? {
                let progress = format!("{} of {}", job.done, job.total);
                println!("{}\t{}\t{progress}\t{}\t{}", job.org, job.kind, job.actor, when(job.created_at));
            }
        }
    }
    Ok(())
}
