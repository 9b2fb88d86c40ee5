//! `vicket site`.

use super::{checked, enter, operator, said, when};
use crate::{
    cli::{AdminArgs, SiteCommand, SitePath},
    domain::{files::size, origins::Origin, problem::Problem, references::Prefix},
    store::{self, sites::SiteChanges},
};

/// # Errors
/// Those of the command, in words.
pub async fn run(admin: &AdminArgs, command: SiteCommand) -> anyhow::Result<()> {
    match command {
        SiteCommand::Create { site, name, prefix, origins } => create(admin, &site, name, prefix, &origins).await,
        SiteCommand::List { org } => {
            let mut tx = operator(admin).await?.enter(&org).await.map_err(said)?;
            for site in store::sites::list(&mut tx).await.map_err(said)? {
                println!("{org}/{}\t{}\t{}\t{}", site.slug, site.name, site.prefix, when(site.created_at));
            }
            Ok(())
        }
        SiteCommand::Show { site } => show(admin, &site).await,
        SiteCommand::Update {
            site,
            name,
            prefix,
            reads,
            writes,
            network_reads,
            network_writes,
            files_mib: file_quota_mib,
            network_uploads_mib: network_upload_mib,
            support_url,
        } => {
            let prefix = prefix_of(prefix)?;
            let name = name.map(|name| checked("name", &name)).transpose()?;
            let changes = SiteChanges {
                name,
                prefix,
                reads,
                writes,
                network_reads,
                network_writes,
                file_quota_mib,
                network_upload_mib,
                support_url: support_url.map(Some),
                ..SiteChanges::default()
            };
            let (mut tx, _) = enter(admin, &site).await?;
            store::sites::update(&mut tx, &site.site, &changes).await.map_err(said)?;
            tx.commit().await.map_err(said)?;
            show(admin, &site).await
        }
        SiteCommand::AddOrigin { site, origin } => {
            let origin = parse(&origin)?;
            let (mut tx, found) = enter(admin, &site).await?;
            store::sites::add_origin(&mut tx, found.id, &origin).await.map_err(said)?;
            tx.commit().await.map_err(said)?;
            eprintln!("Pages of {origin} may use the key of {}/{} from the next request on.", site.org, site.site);
            Ok(())
        }
        SiteCommand::RemoveOrigin { site, origin } => {
            let origin = parse(&origin)?;
            let (mut tx, found) = enter(admin, &site).await?;
            store::sites::remove_origin(&mut tx, found.id, &origin).await.map_err(said)?;
            tx.commit().await.map_err(said)?;
            eprintln!("Pages of {origin} may no longer use the key of {}/{}.", site.org, site.site);
            Ok(())
        }
        SiteCommand::Delete { site, yes } => {
            anyhow::ensure!(yes, "this deletes the site's key, articles, FAQs and tickets; say --yes to go on");
            let (mut tx, _) = enter(admin, &site).await?;
            store::sites::delete(&mut tx, &site.site).await.map_err(said)?;
            tx.commit().await.map_err(said)?;
            eprintln!("Deleted {}/{}.", site.org, site.site);
            Ok(())
        }
    }
}

fn parse(origin: &str) -> anyhow::Result<Origin> {
    Origin::parse(origin).map_err(|reason| said(Problem::invalid_field("origin", format!("`{origin}`: {reason}"))))
}

fn prefix_of(text: Option<String>) -> anyhow::Result<Option<Prefix>> {
    let refused = |text: &str| said(Problem::invalid_field("prefix", format!("`{text}` {}", Prefix::SHAPE)));
    text.map(|text| Prefix::parse(&text).ok_or_else(|| refused(&text))).transpose()
}

async fn create(
    admin: &AdminArgs,
    path: &SitePath,
    name: Option<String>,
    prefix: Option<String>,
    origins: &[String],
) -> anyhow::Result<()> {
    let prefix = prefix_of(prefix)?;
    let origins: Vec<Origin> = origins.iter().map(|origin| parse(origin)).collect::<Result<_, _>>()?;
    let mut tx = operator(admin).await?.enter(&path.org).await.map_err(said)?;
    let (slug, name) = (checked("slug", &path.site)?, checked("name", name.as_deref().unwrap_or(&path.site))?);
    let site = store::sites::create(&mut tx, &slug, &name, prefix.as_ref()).await.map_err(said)?;
    for origin in &origins {
        store::sites::add_origin(&mut tx, site.id, origin).await.map_err(said)?;
    }
    tx.commit().await.map_err(said)?;
    eprintln!(
        "Created the site {0}/{1}; its tickets are {2}-1 and so on. Next: vicket key create {0}/{1}",
        path.org, path.site, site.prefix
    );
    Ok(())
}

async fn show(admin: &AdminArgs, path: &SitePath) -> anyhow::Result<()> {
    let (mut tx, site) = enter(admin, path).await?;
    let limits = site.limits();
    println!("site      {}/{}  {}", path.org, site.slug, site.name);
    println!("id        {}", site.id);
    println!("created   {}", when(site.created_at));
    println!("prefix    {0}: its tickets are {0}-1 and so on", site.prefix);
    println!("limits    site {} reads, {} writes a minute", limits.reads, limits.writes);
    println!("          network {} reads, {} writes a minute", limits.network_reads, limits.network_writes);
    let kept = size(store::sites::file_bytes(&mut tx, site.id).await.map_err(said)?);
    println!("files     {kept} of {} MiB", site.file_quota_mib);
    println!("          network {} MiB a day", site.network_upload_mib_per_day);
    let origins = store::sites::origins(&mut tx, site.id).await.map_err(said)?;
    println!(
        "origins   {}",
        if origins.is_empty() { "none: no web page may use the key".to_owned() } else { origins.join(" ") }
    );
    for refused in store::sites::refused_origins(&mut tx, site.id).await.map_err(said)? {
        println!("refused   {}  {} times, last {}", refused.origin, refused.times, when(refused.last_seen));
    }
    super::key::print(&store::site_keys::of_site(&mut tx, site.id).await.map_err(said)?);
    Ok(())
}
