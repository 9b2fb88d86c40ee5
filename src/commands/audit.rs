//! `vicket audit`: the report on isolation, `vicket audit why`, about one row, `vicket audit show`, all of one table or function,
//! `vicket audit log`, what happened, and `vicket audit detach`, which parts the log from a month.

use std::{io::Write as _, path::Path};

use anyhow::Context as _;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{operator, said, when};
use crate::{
    audit::{
        self, format,
        probe::{self, Probes},
        report, show,
        why::{self, Question},
    },
    cli::{AdminArgs, AuditArgs, AuditCommand},
    store::{
        audit_log::{self, Chain, Detached, Filter, Month, PublicKey, SigningKey},
        paging::PageRequest,
    },
};

/// # Errors
/// When the database cannot be audited, and when the audit found something.
pub async fn run(args: AuditArgs, command: Option<AuditCommand>) -> anyhow::Result<()> {
    let admin_url = args.admin_url.clone().context("VICKET_ADMIN_URL is not set, and --admin-url is not given")?;
    match command {
        None => isolation(&args, &admin_url).await,
        Some(AuditCommand::Log { org, verify, public_key, limit }) => {
            let admin = AdminArgs { admin_url };
            if verify { verify_log(&admin, &org, public_key.as_deref()).await } else { log(&admin, &org, limit).await }
        }
        Some(AuditCommand::Detach { month, signing_key }) => {
            detach(&AdminArgs { admin_url }, month, &signing_key).await
        }
        Some(AuditCommand::Why(question)) => why(&admin_url, &question).await,
        Some(AuditCommand::Show { name }) => show(&admin_url, &name).await,
    }
}

async fn isolation(args: &AuditArgs, url: &str) -> anyhow::Result<()> {
    let mut connection = audit::connect(url).await?;
    let mut report = report::read(&mut connection).await?;
    if args.probe {
        report.probes = Some(probe(args, &mut connection).await?);
    }
    std::io::stdout().write_all(format::write(&report, args.format)?.as_bytes())?;
    let found = report.at_least(args.fail_on);
    anyhow::ensure!(found == 0, "{found} findings as bad as {} or worse", args.fail_on.as_str());
    if let Some(probes) = &report.probes {
        let (leaks, failures) = (probes.leaks.len(), probes.failures.len());
        anyhow::ensure!(
            probes.clean(),
            "{leaks} statements reached what they must not; {failures} things were not proved"
        );
    }
    Ok(())
}

async fn why(url: &str, question: &Question) -> anyhow::Result<()> {
    let explanation = why::explain(&mut audit::connect(url).await?, question).await?;
    std::io::stdout().write_all(explanation.write(question.format)?.as_bytes())?;
    explanation.judge()
}

async fn show(url: &str, name: &str) -> anyhow::Result<()> {
    let shown = show::show(&mut audit::connect(url).await?, name).await?;
    std::io::stdout().write_all(shown.as_bytes())?;
    Ok(())
}

async fn probe(args: &AuditArgs, connection: &mut PgConnection) -> anyhow::Result<Probes> {
    let widget = args.widget_url.as_deref().context("--probe tries the widget's gate: set VICKET_WIDGET_URL")?;
    let agent = args.agent_url.as_deref().context("--probe tries the agents' gate: set VICKET_AGENT_URL")?;
    let mut probes = probe::run(connection).await?;
    let tables = probe::tables(connection).await?;
    let mail = args.mail_url.as_deref().map(|url| ("the gate of mail", "vicket_mail", url));
    let gates = [("the widget's gate", "vicket_widget", widget), ("the agents' gate", "vicket_agent", agent)];
    for (name, role, url) in gates.into_iter().chain(mail) {
        let mut gate = audit::connect(url).await.context(name)?;
        probe::gates(&mut gate, name, role, &tables, &mut probes).await?;
    }
    Ok(probes)
}

/// In words; fails where the chain is broken.
async fn verify_log(admin: &AdminArgs, org: &str, public_key: Option<&Path>) -> anyhow::Result<()> {
    let key = public_key.map(PublicKey::read).transpose()?;
    let mut tx = operator(admin).await?.begin().await.map_err(said)?;
    tx.enter_audit_log(org).await.map_err(said)?;
    let standing = match audit_log::verify(&mut tx, key.as_ref()).await.map_err(said)? {
        Chain::Whole(standing) => standing,
        Chain::Broken { seq, fault } => anyhow::bail!("{org}: the chain breaks at entry {seq}: {fault}"),
    };
    println!("{org}: {} entries, the chain is whole", standing.entries);
    if standing.erased > 0 {
        println!("Of {} of them something was erased, as later entries say.", standing.erased);
    }
    for checkpoint in &standing.detached {
        let (first, last, month) = (checkpoint.first_seq, checkpoint.last_seq, Month::from(checkpoint.month));
        println!("Entries {first} to {last} were detached ({month}), signed with {}", checkpoint.fingerprint());
    }
    if key.is_none() && !standing.detached.is_empty() {
        println!("These signatures hold by the keys beside them; --public-key compares those with yours.");
    }
    Ok(())
}

/// Takes the oldest month out of the log.
async fn detach(admin: &AdminArgs, month: Month, signing_key: &Path) -> anyhow::Result<()> {
    let key = SigningKey::read(signing_key)?;
    anyhow::ensure!(month < Month::of(OffsetDateTime::now_utc()), "{month} has not ended");
    let mut tx = operator(admin).await?.begin().await.map_err(said)?;
    match audit_log::oldest(&mut tx).await.map_err(said)? {
        Some(oldest) if oldest == month => {}
        Some(oldest) if oldest > month => {
            anyhow::bail!("{month} is not in the log; the oldest month there is {oldest}")
        }
        Some(oldest) => anyhow::bail!("{oldest} comes first: months are detached in order"),
        None => anyhow::bail!("the log has no months"),
    }
    match audit_log::detach(&mut tx, month, &key).await.map_err(said)? {
        Detached::To { table, entries, orgs } => {
            tx.commit().await.map_err(said)?;
            println!(
                "{month}: {entries} entries of {orgs} orgs are in {table}; keep a dump of it as long as you must, then drop it"
            );
            Ok(())
        }
        Detached::Broken { org, seq, fault } => {
            anyhow::bail!("nothing was detached: the chain of {org} breaks at entry {seq}: {fault}")
        }
    }
}

async fn log(admin: &AdminArgs, org: &str, limit: u32) -> anyhow::Result<()> {
    let mut tx = operator(admin).await?.begin().await.map_err(said)?;
    tx.enter_audit_log(org).await.map_err(said)?;
    let page_request = PageRequest { limit, cursor: None };
    let (entries, _) = audit_log::page(&mut tx, page_request, &Filter::default()).await.map_err(said)?;
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
