//! `vicket key`.

use super::{enter, said, when};
use crate::{
    cli::{AdminArgs, KeyCommand},
    domain::keys::PublishableKey,
    store::{
        self,
        site_keys::{KeyRow, SiteKeys},
    },
};

/// # Errors
/// Those of the command, in words.
pub async fn run(admin: &AdminArgs, command: KeyCommand) -> anyhow::Result<()> {
    match command {
        KeyCommand::Show { site } => {
            let (mut tx, site) = enter(admin, &site).await?;
            print(&store::site_keys::of_site(&mut tx, site.id).await.map_err(said)?);
        }
        KeyCommand::Create { site } => {
            let (mut tx, site) = enter(admin, &site).await?;
            let key = store::site_keys::create(&mut tx, site.id).await.map_err(said)?;
            tx.commit().await.map_err(said)?;
            reveal(&key);
        }
        KeyCommand::Stage { site } => {
            let (mut tx, site) = enter(admin, &site).await?;
            let key = store::site_keys::stage(&mut tx, site.id).await.map_err(said)?;
            tx.commit().await.map_err(said)?;
            reveal(&key);
            eprintln!("It works beside the active key. Deploy it, then rotate.");
        }
        KeyCommand::Rotate { site } => {
            let (mut tx, site) = enter(admin, &site).await?;
            let key = store::site_keys::rotate(&mut tx, site.id).await.map_err(said)?;
            tx.commit().await.map_err(said)?;
            match key {
                Some(key) => reveal(&key),
                None => eprintln!("The staged key is the active one now."),
            }
            eprintln!("The old key is dead.");
        }
        KeyCommand::Revoke { site } => {
            let (mut tx, site) = enter(admin, &site).await?;
            store::site_keys::revoke(&mut tx, site.id).await.map_err(said)?;
            tx.commit().await.map_err(said)?;
            eprintln!("The key is dead; the site has none.");
        }
        KeyCommand::Unstage { site } => {
            let (mut tx, site) = enter(admin, &site).await?;
            store::site_keys::unstage(&mut tx, site.id).await.map_err(said)?;
            tx.commit().await.map_err(said)?;
            eprintln!("The staged key is dead; the active one goes on.");
        }
    }
    Ok(())
}

/// The one moment in which the key's text exists.
fn reveal(key: &PublishableKey) {
    println!("{}", key.reveal());
    eprintln!("Shown once: only its hash is stored.");
}

/// A site's keys, without any key.
pub(super) fn print(keys: &SiteKeys) {
    let line = |name: &str, key: &Option<KeyRow>| match key {
        Some(key) => {
            let used = key.last_used_at.map_or_else(|| "never used".to_owned(), |at| format!("last used {}", when(at)));
            println!("{name:<9} pk_...{}  made {} by {}, {used}", key.hint, when(key.created_at), key.created_by);
        }
        None => println!("{name:<9} none"),
    };
    line("key", &keys.active);
    line("staged", &keys.staged);
}
