//! Whom mail is from.

use lettre::{Address, message::Mailbox};

/// Whom mail is from.
#[derive(Debug)]
pub struct Sender {
    pub from: Mailbox,
    /// Domains that sites may have their own address at.
    pub domains: Vec<String>,
    /// Where people reach the server.
    pub public_url: String,
}

impl Sender {
    /// The address that mail of a site is from, whose own one this is.
    pub fn address_for(&self, own: Option<&str>) -> String {
        let own: Option<Address> = own.and_then(|own| own.parse().ok());
        own.filter(|own| self.may_send_for(own)).unwrap_or_else(|| self.from.email.clone()).to_string()
    }

    /// Whether a site may have this one for its own.
    pub fn may_send_for(&self, address: &Address) -> bool {
        self.domains.iter().any(|domain| domain.eq_ignore_ascii_case(address.domain()))
    }
}
