//! Which ticket a message belongs to: by a token of ours, and by nothing else. Never by subject, sender or number.

use super::{envelope::Envelope, headers::Head};
use crate::mail::token::{Kind, Meaning, TokenKeys, in_local_part};

/// The most ids that are looked at: a reply names ours last.
const IDS: usize = 50;

/// A token that was found in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub kind: Kind,
    pub token: String,
    /// Where, for people.
    pub place: &'static str,
}

/// The tokens of a message, the one that counts first: of the address it was sent to, then of the messages that it answers, the
/// newest first.
pub fn found(head: &Head<'_>, envelope: &Envelope) -> Vec<Found> {
    let mut found = Vec::new();
    let of_address = |address: &str, place| {
        let token = in_local_part(Kind::Reply, address.rsplit_once('@')?.0)?;
        Some(Found { kind: Kind::Reply, token, place })
    };
    found.extend(envelope.recipients.iter().filter_map(|address| of_address(address, "the address it was sent to")));
    // Where no server said whom it was for, the message's own word.
    if envelope.recipients.is_empty() {
        for name in ["to", "cc"] {
            found.extend(head.addresses(name).iter().filter_map(|to| of_address(&to.address, "its To or Cc")));
        }
    }
    for (name, place) in [("in-reply-to", "In-Reply-To"), ("references", "References")] {
        let ids = head.ids(name);
        let tokens = ids.iter().rev().take(IDS).filter_map(|id| own_id(id));
        found.extend(tokens.map(|token| Found { kind: Kind::Message, token, place }));
    }
    found
}

/// The token of a Message-ID of ours, `m.TOKEN@...`.
pub fn own_id(id: &str) -> Option<String> {
    in_local_part(Kind::Message, id.rsplit_once('@')?.0)
}

/// The first of `found` that one of `keys` made.
pub fn verified<'f>(found: &'f [Found], keys: &TokenKeys) -> Option<(&'f Found, Meaning)> {
    found.iter().find_map(|found| keys.verify(found.kind, &found.token).map(|meaning| (found, meaning)))
}
