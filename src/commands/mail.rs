//! `vicket mail`: what a message says, as the server reads it; reading again what came in; and what DNS says of mail.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    path::Path,
    sync::Arc,
};

use anyhow::Context as _;
use lettre::message::Mailbox;
use url::Url;

use super::{enter, operator, said};
use crate::{
    cli::{AdminArgs, MailCommand, MailDoctorArgs, MailParseArgs},
    mail::{
        dns::Dns,
        doctor::{Doctor, SiteFacts, State},
        inbound::{self, Connection, MAX_MESSAGE_BYTES, Trust},
        outbound::transport::Transport,
        token::TokenKeys,
    },
    store,
};

/// The longest file of secrets, bytes.
const KEY_BYTES: u64 = 64 * 1024;

/// # Errors
/// When a file cannot be read. Whatever the message holds is none.
pub async fn run(command: MailCommand) -> anyhow::Result<()> {
    match command {
        MailCommand::Parse(args) => parse(&args).await,
        MailCommand::Reparse { admin, org, id } => {
            let mut tx = operator(&admin).await?.enter(&org).await.map_err(said)?;
            let again = store::inbound_mails::reparse(&mut tx, id).await.map_err(said)?;
            tx.commit().await.map_err(said)?;
            println!("{again} mails of {org} are read again.");
            Ok(())
        }
        MailCommand::Doctor(args) => doctor(args).await,
    }
}

async fn doctor(args: MailDoctorArgs) -> anyhow::Result<()> {
    let transport = args.smtp_url.as_deref().map(Transport::parse).transpose();
    let transport = transport.context("--smtp-url (VICKET_SMTP_URL)")?;
    let from = args.mail_from.as_deref().map(str::parse::<Mailbox>).transpose();
    let from = from.map_err(|error| anyhow::anyhow!("--mail-from (VICKET_MAIL_FROM): {error}"))?;
    let site = match &args.site {
        None => SiteFacts::default(),
        Some(path) => {
            let admin_url =
                args.admin_url.clone().context("a site is looked at with --admin-url (VICKET_ADMIN_URL)")?;
            let (mut tx, site) = enter(&AdminArgs { admin_url }, path).await?;
            let keys = store::dkim_keys::of_site(&mut tx, site.id).await.map_err(said)?;
            let keys = keys.into_iter().map(Into::into).collect();
            SiteFacts { address: site.mail_from_address, keys }
        }
    };
    let doctor = Doctor {
        dns: Arc::new(Dns::open(args.dns_file.as_deref())?),
        sender_domain: from.map(|from| from.email.domain().to_owned()),
        smtp_host: transport.as_ref().and_then(Transport::host).map(str::to_owned),
        reply_domain: args.reply_domain,
        public_host: args.public_url.and_then(|url| Url::parse(&url).ok()?.host_str().map(str::to_owned)),
    };
    let findings = doctor.examine(&site).await;
    anyhow::ensure!(
        !findings.is_empty(),
        "nothing to look at: say whom mail is from (VICKET_MAIL_FROM), or name a site with an address of its own"
    );
    let mut out = String::new();
    for finding in &findings {
        out += &format!("{:<8} {:<13} {}\n", finding.state.as_str(), finding.check.as_str(), finding.name);
        for text in &finding.found {
            out += &format!("         found: {text}\n");
        }
        if let Some(about) = &finding.about {
            out += &format!("         {about}\n");
        }
        if let Some(record) = &finding.record {
            out += &format!("         set:   {} {} {}\n", record.name, record.kind, record.value);
        }
    }
    // What DNS says is anybody's.
    out.retain(|c| c == '\n' || !c.is_control());
    std::io::stdout().write_all(out.as_bytes())?;
    let wrong = findings.iter().filter(|finding| finding.state != State::Good).count();
    anyhow::ensure!(wrong == 0, "{wrong} of {} are not as they should be", findings.len());
    Ok(())
}

async fn parse(args: &MailParseArgs) -> anyhow::Result<()> {
    // One byte more than is read of it tells that it is longer.
    let message = read(&args.file, MAX_MESSAGE_BYTES as u64 + 1)?;
    let dns = args.dns_file.as_deref().map(|file| Dns::open(Some(file))).transpose()?;
    let source = dns.as_ref().map(Dns::source);
    let keys = args.reply_key_file.as_deref().map(keys).transpose()?;
    let connection = args.client_ip.map(|client| {
        let helo = args.helo.clone().unwrap_or_else(|| "unknown".to_owned());
        Connection { client, helo }
    });
    let trust = Trust { dns: source.as_ref(), connection: connection.as_ref(), authserv_ids: &args.authserv_ids };
    let parsed = inbound::parse(&message, None, &trust, keys.as_ref()).await;
    let mut json = serde_json::to_vec_pretty(&parsed)?;
    json.push(b'\n');
    Ok(std::io::stdout().write_all(&json)?)
}

fn read(path: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(most).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(bytes)
}

/// Says never what is in the file.
fn keys(path: &Path) -> anyhow::Result<TokenKeys> {
    let text =
        String::from_utf8(read(path, KEY_BYTES)?).ok().with_context(|| format!("{} is not UTF-8", path.display()))?;
    TokenKeys::of_lines(&text).map_err(|why| anyhow::anyhow!("{}: {why}", path.display()))
}
