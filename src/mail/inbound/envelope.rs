//! From whom and for whom a message came: what the server that took it in was told, not what the message says.

use super::headers::Head;

/// Where servers that deliver to a mailbox write for whom a message was.
const DELIVERED: [&str; 4] = ["x-original-to", "x-gm-original-to", "envelope-to", "delivered-to"];

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The return path; empty for `<>`, nothing where it is not known.
    pub mail_from: Option<String>,
    /// Whom it was for, the most certain first.
    pub recipients: Vec<String>,
}

impl Envelope {
    /// Of a message that is not handed over with its envelope: from the return path that the last server wrote above it, or its
    /// author where none did; for whom servers say, from above.
    pub fn of_mailbox(raw: &[u8]) -> Self {
        let (head, _) = Head::read(raw);
        let author = || head.addresses("from").into_iter().next().map(|author| author.address);
        let mail_from = head.raw("return-path").next().map(bare).or_else(author);
        let mut recipients = Vec::new();
        for (name, value) in head.fields() {
            if DELIVERED.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes())) {
                let address = bare(value);
                if address.contains('@') && !recipients.contains(&address) {
                    recipients.push(address);
                }
            }
        }
        Self { mail_from, recipients }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_says_for_whom_its_messages_were_from_above() {
        let mail = b"Return-Path: <bounce@Example.com>\r\nDelivered-To: box@imap.example\r\nReceived: by x\r\n\
            X-Original-To: <Help@A.example>\r\nDelivered-To: box@imap.example\r\nEnvelope-To: nobody\r\n\
            To: other@b.example\r\nFrom: Ada <ada@example.com>\r\n\r\nDelivered-To: in@the.body\r\n";
        let envelope = Envelope::of_mailbox(mail);
        assert_eq!(envelope.mail_from.as_deref(), Some("bounce@example.com"));
        assert_eq!(envelope.recipients, ["box@imap.example", "Help@a.example"]);
        let bounce = Envelope::of_mailbox(b"Return-Path: <>\r\nFrom: ada@example.com\r\n\r\n");
        assert_eq!(bounce.mail_from.as_deref(), Some(""));
        let bare = Envelope::of_mailbox(b"From: Ada <ada@example.com>\r\n\r\n");
        assert_eq!((bare.mail_from.as_deref(), bare.recipients.len()), (Some("ada@example.com"), 0));
    }
}
