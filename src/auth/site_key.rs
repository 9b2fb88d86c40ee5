//! The publishable key of a request: read from its header, entered by the surface, handed to the handler.
//!
//! The key is proved once per request, after its body has been read and before its handler runs
//! (`api/support/surface.rs`), so that no slow upload holds a connection. The handler's `SiteKey` argument then hands out
//! the transaction.

use std::sync::Arc;

use poem::{Request, http::HeaderMap};
use poem_openapi::{SecurityScheme, auth::ApiKey};

use super::Slot;
use crate::{
    db::{Entry, EntryRequest, KeyedGate, Published, SiteTx, Verdict, WidgetGate},
    domain::{
        keys::{SECRET_LENGTH, Sha256Digest},
        problem::{Code, Problem},
    },
    limits::Network,
};

/// The header that carries a publishable key.
const KEY_HEADER: &str = "x-vicket-key";
/// The header that carries a ticket token.
const TICKET_HEADER: &str = "x-vicket-ticket";
/// A longer key is refused without a look-up, bytes.
const MAX_BYTES: usize = 128;
const UNKNOWN: &str = "The key in X-Vicket-Key is unknown or was revoked.";

/// The key that a request presents.
#[derive(Clone, Copy, Debug)]
pub enum Presented {
    Missing,
    /// Empty, too long, or several: no key at all. Holds the length of what came.
    Malformed(usize),
    Digest(Sha256Digest, usize),
}

impl Presented {
    pub fn read(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(KEY_HEADER).iter();
        match (values.next(), values.next()) {
            (None, _) => Self::Missing,
            (Some(value), None) if (1..=MAX_BYTES).contains(&value.len()) => {
                Self::Digest(Sha256Digest::of(value.as_bytes()), value.len())
            }
            (Some(value), _) => Self::Malformed(value.len()),
        }
    }

    /// The `401` for a key that opened nothing. One body for all of them, but for a hint on length: a copied
    /// documentation example is seldom 46 characters long.
    pub fn refusal(self) -> Problem {
        let length = match self {
            Self::Missing => {
                return Problem::new(Code::KeyMissing, "Send the site's publishable key in the header X-Vicket-Key.");
            }
            Self::Malformed(length) | Self::Digest(_, length) => length,
        };
        if length == SECRET_LENGTH {
            return Problem::new(Code::KeyInvalid, UNKNOWN);
        }
        let hint = format!("{UNKNOWN} A publishable key has {SECRET_LENGTH} characters; this one does not.");
        Problem::new(Code::KeyInvalid, hint)
    }
}

/// The digest of the ticket token that a request presents, if it can be one.
pub fn presented_ticket(headers: &HeaderMap) -> Option<Sha256Digest> {
    let mut values = headers.get_all(TICKET_HEADER).iter();
    match (values.next(), values.next()) {
        (Some(value), None) if (1..=MAX_BYTES).contains(&value.len()) => Some(Sha256Digest::of(value.as_bytes())),
        _ => None,
    }
}

/// A request whose key was good a moment ago, on its way to its handler.
pub struct Admitted {
    gate: WidgetGate,
    entry_request: EntryRequest,
    entry: Entry,
    network: Network,
    tx: Slot<SiteTx>,
}

impl Admitted {
    /// By the gate's word, with no transaction yet: a kept answer may need none.
    pub fn proved(gate: &WidgetGate, entry_request: EntryRequest, entry: Entry, network: Network) -> Self {
        Self { gate: gate.clone(), entry_request, entry, network, tx: Slot::empty() }
    }

    pub fn entered(gate: &WidgetGate, entry_request: EntryRequest, tx: SiteTx, network: Network) -> Self {
        Self { gate: gate.clone(), entry_request, entry: tx.entry().clone(), network, tx: Slot::new(tx) }
    }

    /// What the gate said of the key.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Ends the transaction that no handler took: nothing was done in it.
    pub async fn leave(&self) {
        if let Some(tx) = self.tx.take() {
            let _: Result<(), Problem> = tx.finish(Err(Problem::not_found())).await;
        }
    }
}

/// The site's publishable key: `pk_` and 43 characters. It says which site; no path, query, header or body field can.
/// It reads published content of its site and submits tickets, and may stand in a web page. Pages may use it from the
/// origins that the site lists.
#[derive(SecurityScheme)]
#[oai(rename = "PublishableKey", ty = "api_key", key_name = "X-Vicket-Key", key_in = "header", checker = "admitted")]
pub struct SiteKey(Arc<Admitted>);

impl SiteKey {
    /// What the gate said of the key when the request came.
    pub fn entry(&self) -> &Entry {
        self.0.entry()
    }

    /// The client's network.
    pub fn network(&self) -> Network {
        self.0.network
    }

    /// A transaction that is the site: the one that was entered before the handler, and else one that enters now. Until
    /// it is taken, the surface ends it: input that cannot be parsed costs a ROLLBACK and no connection.
    ///
    /// # Errors
    /// `401 key_invalid` when the key was revoked meanwhile; `503` when no connection is to be had.
    pub async fn enter(&self) -> Result<SiteTx, Problem> {
        let Admitted { gate, entry_request, tx, .. } = &*self.0;
        if let Some(tx) = tx.take() {
            return Ok(tx);
        }
        match gate.enter(entry_request).await? {
            Verdict::Entered(tx) => Ok(tx),
            Verdict::Unknown { .. } => Err(revoked()),
        }
    }

    /// The gate, to ask about the key before any role is taken.
    pub fn gate(&self) -> KeyedGate<'_> {
        self.0.gate.keyed(self.0.entry_request.key)
    }

    /// The published content of the site, to read by one statement.
    pub fn published(&self) -> Published<'_> {
        let Admitted { gate, entry_request, entry, .. } = &*self.0;
        Published::new(gate, entry_request, entry.clone(), revoked)
    }
}

/// What is said of a key that was good, and is not any more.
fn revoked() -> Problem {
    Problem::new(Code::KeyInvalid, UNKNOWN)
}

#[expect(clippy::unused_async, reason = "the derive awaits it")]
async fn admitted(request: &Request, _: ApiKey) -> poem::Result<Arc<Admitted>> {
    let admitted = request.data::<Arc<Admitted>>().map(Arc::clone);
    admitted.ok_or_else(|| Problem::internal("a handler ran outside the support surface").into())
}
