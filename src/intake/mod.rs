//! Mail that comes in: taken from the mail server before this one ([`listener`]), from a provider (`api::inbound`) or from a
//! mailbox ([`imap`]), kept as it came ([`keep`]), and afterwards read and
//! filed ([`filing`]). Between the two stands the database: what was answered with 250 is committed, whatever happens next.

mod digests;
pub mod filing;
pub mod imap;
pub mod keep;
pub mod listener;
pub mod mailbox;
pub mod secrets;
mod session;

use std::sync::Arc;

use tokio::sync::Notify;

use crate::{
    domain::{
        problem::Problem,
        text::{CheckedText as _, EmailAddress},
    },
    mail::{dns::Dns, outbound::signing, reply::Replies},
    store::dkim_keys::DkimKey,
};

/// What mail that comes in is judged by.
pub struct Intake {
    pub replies: Option<Arc<Replies>>,
    /// Without it no DNS is asked.
    pub dns: Option<Arc<Dns>>,
    /// Servers whose Authentication-Results are believed.
    pub authserv_ids: Vec<String>,
    /// Domains at which any site may have an address of its own; at others, one whose key DNS holds.
    pub domains: Vec<String>,
    /// Addresses that mail of this server is from: what comes from there is answered by nobody.
    pub own: Vec<String>,
    /// Some may have come in, or was decided on.
    pub received: Notify,
}

impl Intake {
    /// Whether DNS is a file: then a client on loopback may say for whom it speaks, so that SPF can be tried, too.
    pub fn tries_out(&self) -> bool {
        matches!(self.dns.as_deref(), Some(Dns::File(_)))
    }

    /// The domain of reply addresses.
    pub fn reply_domain(&self) -> Option<&str> {
        self.replies.as_deref().and_then(Replies::domain)
    }

    /// Whether a site that has these keys may have this address for its own: its domain is listed, or DNS proves it.
    async fn may_be_own(&self, address: &str, keys: &[DkimKey]) -> bool {
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        if self.reply_domain().is_some_and(|reply| reply.eq_ignore_ascii_case(domain)) {
            return false;
        }
        if self.domains.iter().any(|listed| listed.eq_ignore_ascii_case(domain)) {
            return true;
        }
        match &self.dns {
            Some(dns) => signing::proves(dns, address, keys).await,
            None => false,
        }
    }

    /// What is wrong with an address that a site with these keys is to have for its own, if anything. It may ask DNS: to be
    /// called outside of a transaction, which would wait for it.
    ///
    /// # Errors
    /// `422 unprocessable`, of the field `address`.
    pub async fn check_own(intake: Option<&Self>, address: &str, keys: &[DkimKey]) -> Result<(), Problem> {
        let refused = |why: &str| Err(Problem::unprocessable("address", why));
        if EmailAddress::parse(address.to_owned()).is_err() {
            return refused("must be an e-mail address");
        }
        let Some(intake) = intake else { return refused("cannot be taken: this server takes no mail in") };
        if !intake.may_be_own(address, keys).await {
            return refused(
                "must be at a domain whose DNS holds a key of this website (Signing, DKIM), or that who runs this server lists",
            );
        }
        Ok(())
    }

    fn is_own(&self, address: &str) -> bool {
        self.replies.as_ref().is_some_and(|replies| replies.owns(address))
            || self.own.iter().any(|own| own.eq_ignore_ascii_case(address))
    }
}
