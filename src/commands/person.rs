//! `vicket person`.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::Path,
};

use anyhow::Context as _;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{operator, said};
use crate::{
    cli::{AdminArgs, PersonCommand},
    db::OrgTx,
    domain::keys,
    objects::{self, Objects, Place},
    store::{erasure, personal_data},
};

/// # Errors
/// Those of the command, in words; when something is left that should not be, then nothing was erased.
pub async fn run(admin: &AdminArgs, command: PersonCommand) -> anyhow::Result<()> {
    match command {
        PersonCommand::Erase { org, email, certificate } => erase(admin, &org, &email, certificate.as_deref()).await,
        PersonCommand::Export { org, email, dir, attachments } => export(admin, &org, &email, &dir, &attachments).await,
    }
}

async fn erase(admin: &AdminArgs, org: &str, email: &str, certificate: Option<&Path>) -> anyhow::Result<()> {
    let mut tx = operator(admin).await?.enter(org).await.map_err(said)?;
    // Before anything is gone.
    let mut file = certificate.map(new_file).transpose()?;
    let traces = erasure::erase(&mut tx, email).await.map_err(said)?;
    for trace in &traces {
        println!("{}\t{}\t{}", trace.what, trace.found, trace.left);
    }
    // An account stays for the other orgs that they are in.
    let left = traces.iter().any(|trace| trace.left > 0 && trace.what != erasure::ACCOUNTS);
    anyhow::ensure!(!left, "something is left: nothing was erased");
    tx.commit().await.map_err(said)?;
    if let Some(file) = &mut file {
        let traces: Vec<Value> = traces
            .iter()
            .map(|trace| json!({ "what": trace.what, "before": trace.found, "after": trace.left }))
            .collect();
        // Of whom, it says by digest: it is kept by who must not keep the address.
        let whose = keys::hex(&Sha256::digest(address(email)));
        let certificate = json!({ "org": org, "email_sha256": whose, "erased_at": now()?, "counts": traces });
        write_json(file, &certificate)?;
    }
    eprintln!(
        "Erased from {org}: what there was, and what is left. Months that were detached, dumps and logs are not looked at."
    );
    Ok(())
}

async fn export(admin: &AdminArgs, org: &str, email: &str, dir: &Path, place: &Place) -> anyhow::Result<()> {
    let store = Objects::open(place)?;
    let mut tx = operator(admin).await?.enter(org).await.map_err(said)?;
    new_dir(dir)?;
    let address = address(email);
    let mut whole = Map::new();
    whole.insert("org".to_owned(), org.into());
    whole.insert("email".to_owned(), address.as_str().into());
    whole.insert("exported_at".to_owned(), now()?.into());
    let membership = personal_data::membership(&mut tx, &address).await.map_err(said)?;
    whole.insert("membership".to_owned(), membership.into());
    let (tickets, files) = tickets(&mut tx, &address, dir, store.as_ref()).await?;
    let messages: usize = tickets.iter().filter_map(|ticket| ticket["messages"].as_array()).map(Vec::len).sum();
    let mut counts = vec![("tickets", tickets.len()), ("messages", messages), ("files", files)];
    whole.insert("tickets".to_owned(), tickets.into());
    for (name, list) in personal_data::done(&mut tx, &address).await.map_err(said)? {
        counts.push((name, list.as_array().map_or(0, Vec::len)));
        whole.insert(name.to_owned(), list);
    }
    tx.commit().await.map_err(said)?;
    for (what, count) in &counts {
        println!("{what}\t{count}");
    }
    let counts: Map<String, Value> = counts.into_iter().map(|(what, count)| (what.to_owned(), count.into())).collect();
    whole.insert("counts".to_owned(), counts.into());
    write_json(&mut new_file(&dir.join("person.json"))?, &whole.into())?;
    eprintln!("Wrote {}. Notes that agents wrote among themselves are marked `internal`.", dir.display());
    Ok(())
}

/// Their tickets, each file written as `files/REFERENCE/N-NAME` and named there; and how many files that is.
async fn tickets(
    tx: &mut OrgTx,
    address: &str,
    dir: &Path,
    store: Option<&Objects>,
) -> anyhow::Result<(Vec<Value>, usize)> {
    let (mut tickets, mut count) = (Vec::new(), 0);
    for id in personal_data::tickets(tx, address).await.map_err(said)? {
        let mut ticket = personal_data::ticket(tx, id).await.map_err(said)?;
        let mut files = Vec::new();
        for id in personal_data::files(tx, id).await.map_err(said)? {
            let mut file = personal_data::file(tx, id).await.map_err(said)?;
            let content = objects::fetch(store, file.held().map_err(said)?).await.map_err(said)?;
            count += 1;
            let below = Path::new("files").join(ticket["reference"].as_str().unwrap_or_default());
            fs::create_dir_all(dir.join(&below)).with_context(|| format!("cannot make {}", below.display()))?;
            let path = below.join(format!("{count}-{}", file.name));
            new_file(&dir.join(&path))?.write_all(&content)?;
            files.push(json!({
                "message_id": file.message_id, "name": file.name, "content_type": file.content_type, "size": file.size,
                "sha256": keys::hex(&Sha256::digest(&content)), "path": path,
            }));
        }
        if let Some(ticket) = ticket.as_object_mut() {
            ticket.insert("files".to_owned(), files.into());
        }
        tickets.push(ticket);
    }
    Ok((tickets, count))
}

/// As the database has it.
fn address(email: &str) -> String {
    email.trim().to_ascii_lowercase()
}

fn now() -> anyhow::Result<String> {
    Ok(OffsetDateTime::now_utc().replace_nanosecond(0)?.format(&Rfc3339)?)
}

/// A new directory that nobody else reads.
fn new_dir(dir: &Path) -> anyhow::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).with_context(|| format!("cannot make {}", dir.display()))
}

/// A new file that nobody else reads.
fn new_file(path: &Path) -> anyhow::Result<fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).with_context(|| format!("cannot make {}", path.display()))
}

fn write_json(file: &mut fs::File, value: &Value) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(&mut *file, value)?;
    Ok(file.write_all(b"\n")?)
}
