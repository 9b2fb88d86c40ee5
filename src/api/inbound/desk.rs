//! What all providers' ways have in common: a body within bounds, a signature, and mail that is kept.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use poem::{Request, http::header};
use serde::Serialize;

use crate::{
    domain::problem::{Code, FieldError, Problem},
    http::request,
    intake::{
        keep::{Keeper, Kept, Message, Origin, is_plain},
        secrets::{Provider, Secrets},
    },
    limits::Network,
    mail::inbound::MAX_MESSAGE_BYTES,
    memory_budget::Reservation,
    state::App,
};

/// How old a signature may be, and how far ahead a clock, seconds.
const MOST_SECONDS: u64 = 5 * 60;
/// Recipients of one mail.
const MAX_RECIPIENTS: usize = 100;
pub const MIB: usize = 1024 * 1024;

/// What was taken in.
#[derive(Default, Serialize)]
pub struct Counts {
    /// Recipients that have it now, and had it not before.
    pub taken: usize,
    /// Recipients that had it already.
    pub duplicates: usize,
}

/// A mail as a provider hands it over.
pub struct Handed {
    /// The return path; empty for `<>`.
    sender: Option<String>,
    recipients: Vec<String>,
    raw: Bytes,
    /// The memory that the message takes beside the body.
    _memory: Reservation,
}

/// One request, and what it is answered from.
pub struct Desk<'a> {
    pub app: &'a App,
    pub keeper: &'a Keeper,
    pub secrets: &'a Secrets,
    pub provider: Provider,
    pub network: Network,
}

impl Desk<'_> {
    /// The body, of the largest message and so much more.
    pub async fn body(&self, request: &mut Request, beside: usize) -> Result<(Bytes, Reservation), Problem> {
        let most = MAX_MESSAGE_BYTES + beside;
        let (body, reservation) = request::read_mail(request, most, self.app, self.network).await?;
        let unreadable = |_| Problem::new(Code::InvalidRequest, "The body could not be read.");
        Ok((body.into_bytes().await.map_err(unreadable)?, reservation))
    }

    /// A mail that was proven to be the provider's. `copied`: its bytes are in memory beside the body's.
    pub async fn handed(
        &self,
        sender: Option<String>,
        recipients: Vec<String>,
        raw: Bytes,
        copied: bool,
    ) -> Result<Handed, Problem> {
        if raw.len() > MAX_MESSAGE_BYTES {
            self.keeper.count("refused");
            let detail = format!("A message may have {} MiB at the most.", MAX_MESSAGE_BYTES / MIB);
            return Err(Problem::new(Code::BodyTooLarge, detail));
        }
        if raw.is_empty() {
            return Err(Problem::new(Code::InvalidRequest, "There is no message in it."));
        }
        if recipients.is_empty() || recipients.len() > MAX_RECIPIENTS {
            let message = format!("says whom it was sent to, once to {MAX_RECIPIENTS} times");
            return Err(Problem::invalid_field("recipient", message));
        }
        let mut memory = self.keeper.memory.reserve(self.network);
        if copied {
            memory.grow(raw.len() as u64).await?;
        }
        Ok(Handed { sender, recipients, raw, _memory: memory })
    }

    pub async fn keep(&self, handed: &Handed) -> Result<Counts, Problem> {
        let sender = handed.sender.as_deref().filter(|sender| is_plain(sender));
        let mail_from = sender.ok_or_else(|| {
            Problem::invalid_field("sender", "must be the address that it came from; empty for a bounce")
        })?;
        let (message, origin) = (Message::of(&handed.raw), Origin { mail_from, ..Origin::default() });
        let (mut counts, mut unknown) = (Counts::default(), Vec::new());
        for address in &handed.recipients {
            let kept = if let Some(recipient) = self.keeper.recipient(address) {
                self.keeper.keep(&recipient, origin, &message).await?
            } else {
                self.keeper.count("refused");
                Kept::Unknown
            };
            match kept {
                Kept::Taken => counts.taken += 1,
                Kept::Duplicate => counts.duplicates += 1,
                Kept::Unknown => unknown.push(address.as_str()),
            }
        }
        if unknown.is_empty() {
            return Ok(counts);
        }
        let error = |address: &&str| FieldError {
            field: "recipient".to_owned(),
            message: format!("there is no address {}", address.escape_debug()),
        };
        Err(Problem::unprocessable_fields(unknown.iter().map(error).collect()))
    }

    /// Whether the provider signed these parts.
    pub fn prove(&self, parts: &[&[u8]], signature: Option<&[u8]>) -> Result<(), Problem> {
        let signed = signature.is_some_and(|signature| self.secrets.signed(self.provider, parts, signature));
        if signed { Ok(()) } else { Err(forged()) }
    }
}

pub fn forged() -> Problem {
    Problem::new(Code::SignatureInvalid, "The signature, or the password, is missing or not this provider's.")
}

/// Whether a signature is as young as it has to be.
pub fn prove_age(seconds: &str) -> Result<(), Problem> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let young = seconds.parse::<u64>().is_ok_and(|then| then.abs_diff(now) <= MOST_SECONDS);
    let old =
        || Problem::new(Code::SignatureInvalid, "The signature is older than five minutes, or the clocks differ.");
    if young { Ok(()) } else { Err(old()) }
}

/// Bytes of hexadecimal digits.
pub fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    if rest.is_empty() { bytes.collect() } else { None }
}

/// The media type that a request says, in lower case, without its parameters.
pub fn media_type(request: &Request) -> Option<String> {
    let value = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}
