//! What tells a mail from another: its Message-ID, and what its sender wrote. Not the traces that servers on the way write, which
//! differ each time that it is delivered.

use crate::domain::keys::Sha256Digest;

/// Fields that its sender wrote, and no server changes.
const FIELDS: [&str; 3] = ["from", "date", "subject"];

/// What a mail is told by.
#[derive(Clone, Copy)]
pub struct Digests {
    /// Of its Message-ID, or of the rest where it has none.
    pub message: Sha256Digest,
    /// Of the rest.
    pub content: Sha256Digest,
    /// Of the Message-ID that its conversation began with, by its own word; its own where it refers to none.
    pub thread: Sha256Digest,
}

pub fn of(raw: &[u8]) -> Digests {
    let (head, body) = split(raw);
    let mut parts: Vec<Vec<u8>> = FIELDS.iter().map(|name| field(head, name)).collect();
    let mut body: Vec<u8> = body.iter().copied().filter(|byte| *byte != b'\r').collect();
    while body.last().is_some_and(u8::is_ascii_whitespace) {
        body.pop();
    }
    parts.push(body);
    let content = Sha256Digest::of_parts(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let id = field(head, "message-id");
    let message = if id.is_empty() { content } else { Sha256Digest::of(&id) };
    let began = ["references", "in-reply-to"].into_iter().find_map(|name| first_id(&field(head, name)));
    Digests { message, content, thread: began.map_or(message, |id| Sha256Digest::of(&id)) }
}

/// The first `<...>` of a field.
fn first_id(value: &[u8]) -> Option<Vec<u8>> {
    let start = value.iter().position(|byte| *byte == b'<')?;
    let length = value[start..].iter().position(|byte| *byte == b'>')?;
    Some(value[start..=start + length].to_vec())
}

fn split(raw: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    while at < raw.len() {
        let end = raw[at..].iter().position(|byte| *byte == b'\n').map_or(raw.len(), |length| at + length + 1);
        if matches!(&raw[at..end], b"\n" | b"\r\n") {
            return (&raw[..at], &raw[end..]);
        }
        at = end;
    }
    (raw, &[])
}

/// All values of a field, without white space.
fn field(head: &[u8], name: &str) -> Vec<u8> {
    let (mut value, mut within) = (Vec::new(), false);
    for line in head.split(|byte| *byte == b'\n') {
        let goes_on = matches!(line.first(), Some(b' ' | b'\t'));
        if !goes_on {
            let colon = line.iter().position(|byte| *byte == b':');
            within = colon.is_some_and(|colon| line[..colon].trim_ascii().eq_ignore_ascii_case(name.as_bytes()));
            if let (true, Some(colon)) = (within, colon) {
                value.extend(line[colon + 1..].iter().filter(|byte| !byte.is_ascii_whitespace()));
            }
        } else if within {
            value.extend(line.iter().filter(|byte| !byte.is_ascii_whitespace()));
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &str = "Received: by a\r\nFrom: Ann <ann@example.com>\r\nSubject: Help\r\n me\r\nDate: today\r\n\
                        Message-ID: <1@example.com>\r\n\r\nIt is broken.\r\n";

    fn of_text(text: &str) -> (Sha256Digest, Sha256Digest) {
        let digests = of(text.as_bytes());
        (digests.message, digests.content)
    }

    #[test]
    fn what_servers_write_on_the_way_changes_nothing() {
        let again = format!("Received: by b\r\nX-Spam: no\r\n{}", MAIL.replace("Received: by a", "Received: by c"));
        assert!(of_text(MAIL) == of_text(&again));
        assert!(of_text(MAIL) == of_text(&MAIL.replace("\r\n", "\n")));
        assert!(of_text(MAIL) == of_text(&MAIL.replace("Help\r\n me", "Help me")));
        assert!(of_text(MAIL) == of_text(&format!("{MAIL}\r\n\r\n")));
    }

    #[test]
    fn what_its_sender_wrote_does() {
        for (old, new) in [("ann@", "bob@"), ("Help", "Hello"), ("today", "later"), ("broken", "fine")] {
            let other = of_text(&MAIL.replace(old, new));
            assert!(of_text(MAIL).0 == other.0 && of_text(MAIL).1 != other.1, "{old}");
        }
        let other = of_text(&MAIL.replace("<1@", "<2@"));
        assert!(of_text(MAIL).0 != other.0 && of_text(MAIL).1 == other.1);
    }

    #[test]
    fn a_conversation_is_what_it_says_that_it_began_with() {
        let thread = |fields: &str| of(format!("{fields}{}", MAIL.replace("<1@", "<3@")).as_bytes()).thread;
        let first = of(MAIL.as_bytes());
        assert!(first.thread == first.message);
        for fields in [
            "References: <1@example.com>\r\n",
            "References:\r\n <1@example.com>\r\n <2@example.com>\r\nIn-Reply-To: <2@example.com>\r\n",
            "In-Reply-To: Message of Ann <1@example.com>\r\n",
        ] {
            assert!(thread(fields) == first.thread, "{fields}");
        }
        for fields in ["", "References: <2@example.com>\r\n", "References: 1@example.com\r\n", "References: >1<\r\n"] {
            assert!(thread(fields) != first.thread, "{fields}");
        }
    }

    #[test]
    fn without_a_message_id_it_is_told_by_the_rest() {
        let without = MAIL.replace("Message-ID: <1@example.com>\r\n", "");
        let (id, content) = of_text(&without);
        assert!(id == content && of_text(&without.replace("broken", "fine")).0 != id);
        assert!(of_text("") == of_text("\r\n\r\n"));
    }
}
