//! From whom and for whom a message came: what the server that took it in was told, not what the message says.

use super::headers::Head;

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
        let mail_from = head.raw("return-path").next().map(bare);
        let mut recipients = Vec::new();
        for name in ["x-original-to", "delivered-to", "envelope-to", "x-envelope-to", "x-rcpt-to", "x-delivered-to"] {
            let address = head.raw(name).next().map(bare).filter(|address| address.contains('@'));
            recipients.extend(address.filter(|address| !recipients.contains(address)));
        }
        Self { mail_from, recipients }
    }
}

/// An address as servers write it: alone, or in brackets; its domain in lower case.
fn bare(value: &[u8]) -> String {
    /// The longest path of SMTP, and some.
    const LONGEST: usize = 1000;
    let text = String::from_utf8_lossy(&value[..value.len().min(LONGEST)]);
    let text = text.trim().trim_start_matches('<').trim_end_matches('>').trim();
    match text.rsplit_once('@') {
        Some((local, domain)) => format!("{local}@{}", domain.to_ascii_lowercase()),
        None => text.to_owned(),
    }
}
