//! From whom and for whom a message came: what the server that took it in was told, not what the message says.

use super::headers::{Head, addresses};

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The return path; empty for `<>`, nothing where it is not known.
    pub mail_from: Option<String>,
    /// Whom it was for, the most certain first.
    pub recipients: Vec<String>,
}

impl Envelope {
    /// As servers write it above a message that they keep in a file: the topmost of each, since those below were written by
    /// others.
    pub fn of_file(head: &Head<'_>) -> Self {
        let mail_from = head.raw("return-path").next().map(|value| {
            let text = String::from_utf8_lossy(value);
            let text = text.trim();
            address_of(text).unwrap_or_default()
        });
        let mut recipients = Vec::new();
        for name in ["x-original-to", "delivered-to", "envelope-to", "x-envelope-to", "x-rcpt-to", "x-delivered-to"] {
            let value = head.raw(name).next().map(String::from_utf8_lossy);
            if let Some(address) = value.and_then(|value| address_of(value.trim()))
                && !recipients.contains(&address)
            {
                recipients.push(address);
            }
        }
        Self { mail_from, recipients }
    }
}

fn address_of(text: &str) -> Option<String> {
    let text = text.get(..text.floor_char_boundary(text.len().min(1000)))?;
    let address = addresses(text).into_iter().next()?.address;
    address.contains('@').then_some(address)
}
