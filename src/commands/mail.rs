//! `vicket mail`: what a message says, as the server reads it.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    path::Path,
};

use anyhow::Context as _;

use crate::{
    cli::{MailCommand, MailParseArgs},
    mail::{
        dns::Dns,
        inbound::{self, Connection, MAX_MESSAGE_BYTES, Trust},
        token::TokenKeys,
    },
};

/// The longest file of secrets, bytes.
const KEY_BYTES: u64 = 64 * 1024;

/// # Errors
/// When a file cannot be read. Whatever the message holds is none.
pub async fn run(command: MailCommand) -> anyhow::Result<()> {
    match command {
        MailCommand::Parse(args) => parse(&args).await,
    }
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
