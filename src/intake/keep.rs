//! What all ways in for mail share: whom it is for, and that it is committed for each before anybody is told that it is here.

use std::sync::Arc;

use super::{
    Intake,
    digests::{self, Digests},
};
use crate::{
    db::MailGate,
    domain::{keys::Sha256Digest, problem::Problem},
    memory_budget::MemoryBudget,
    store::inbound_mails::{self, NewMail},
    telemetry::meters::{MailIn, Meters},
};

/// The longest address, characters.
const ADDRESS: usize = 320;

/// What keeps mail that comes in.
#[derive(Clone)]
pub struct Keeper {
    pub intake: Arc<Intake>,
    pub gate: MailGate,
    pub meters: Arc<Meters>,
    /// For messages that are being received.
    pub memory: MemoryBudget,
}

/// Whom a mail was sent to.
pub struct Recipient {
    pub address: String,
    pub digest: Sha256Digest,
}

/// Where a mail came from.
#[derive(Clone, Copy, Default)]
pub struct Origin<'a> {
    /// The return path; empty for `<>`.
    pub mail_from: &'a str,
    /// The client that handed it to the server before this one, and what that called itself.
    pub client: Option<&'a str>,
    pub helo: Option<&'a str>,
}

/// A mail, with what tells it from others.
pub struct Message<'a> {
    raw: &'a [u8],
    digests: Digests,
}

impl<'a> Message<'a> {
    pub fn of(raw: &'a [u8]) -> Self {
        Self { raw, digests: digests::of(raw) }
    }
}

/// What became of a mail for one recipient.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// It is committed.
    Taken,
    /// It was there already.
    Duplicate,
    /// There is no such address, or not any more.
    Unknown,
}

impl Keeper {
    /// The recipient that an address is; `None` when it cannot be one.
    pub fn recipient(&self, address: &str) -> Option<Recipient> {
        let (local, domain) = address.rsplit_once('@')?;
        let below = self.intake.reply_domain().is_some_and(|reply| reply.eq_ignore_ascii_case(domain));
        let of = if below { local.to_ascii_lowercase() } else { address.to_ascii_lowercase() };
        is_plain(address).then(|| Recipient { address: address.to_owned(), digest: Sha256Digest::of(of.as_bytes()) })
    }

    /// Whether mail may be sent to it.
    ///
    /// # Errors
    /// `503` when the database is away; it is logged and counted.
    pub async fn knows(&self, recipient: &Recipient) -> Result<bool, Problem> {
        let known = async {
            let Some(tx) = self.gate.enter(recipient.digest).await? else { return Ok(false) };
            tx.leave().await.map(|()| true)
        };
        known.await.inspect_err(|problem| self.away(problem))
    }

    /// Commits a mail for one recipient, and counts it.
    ///
    /// # Errors
    /// `5xx` when it could not be committed; it is logged and counted.
    pub async fn keep(
        &self,
        recipient: &Recipient,
        origin: Origin<'_>,
        message: &Message<'_>,
    ) -> Result<Kept, Problem> {
        let mail = NewMail {
            recipient: &recipient.address,
            mail_from: origin.mail_from,
            client: origin.client,
            helo: origin.helo,
            message_digest: message.digests.message,
            content_digest: message.digests.content,
            thread_digest: message.digests.thread,
            raw: message.raw,
        };
        let kept = async {
            let Some(mut tx) = self.gate.enter(recipient.digest).await? else { return Ok(Kept::Unknown) };
            let added = inbound_mails::add(&mut tx, &mail).await;
            let added = tx.finish(added).await?;
            Ok(if added { Kept::Taken } else { Kept::Duplicate })
        };
        let kept = kept.await.inspect_err(|problem| self.away(problem))?;
        self.count(match kept {
            Kept::Taken => "received",
            Kept::Duplicate => "duplicate",
            Kept::Unknown => "refused",
        });
        if kept == Kept::Taken {
            self.intake.received.notify_one();
        }
        Ok(kept)
    }

    pub fn count(&self, outcome: &'static str) {
        self.meters.mail_in.get_or_create(&MailIn { outcome }).inc();
    }

    fn away(&self, problem: &Problem) {
        self.count("deferred");
        tracing::warn!(cause = problem.cause.as_deref(), "mail could not be taken in; it comes again");
    }
}

/// Whether it may stand as an address of an envelope; an empty return path is one.
pub fn is_plain(address: &str) -> bool {
    address.chars().count() <= ADDRESS
        && !address.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_hides_a_line_or_a_second_one() {
        for good in ["", "a@b.example", "r.abc@reply.example", "ä@b.example"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in ["a b@c.d", "a@b\r\n.example", "<a@b.example>", "a\0@b.example", &"x".repeat(321)] {
            assert!(!is_plain(bad), "{bad:?}");
        }
    }
}
