//! The parts of a message: a walk over its tree within limits, which loses nothing in silence. What is not read is listed with
//! the reason.

use std::{borrow::Cow, ops::Range};

use super::{
    content_type::ContentType,
    decoding,
    headers::{Head, line_end, trimmed_end},
};
use crate::domain::files;

/// The most of a message that is read, bytes.
pub const MAX_MESSAGE_BYTES: usize = 25 * 1024 * 1024;
/// The most parts that are read.
pub const MAX_PARTS: usize = 200;
/// How deep they may be nested.
pub const MAX_DEPTH: usize = 10;
/// The most parts of which more than their number is said.
const LISTED_PARTS: usize = 500;

/// A part that is no multipart.
pub struct Leaf<'a> {
    pub head: Head<'a>,
    pub content_type: ContentType,
    disposition: ContentType,
    body: &'a [u8],
    /// Why it is not read.
    pub skipped: Option<String>,
    /// The multiparts that it is in, outermost first, each with its number among all and the place of this branch in it.
    above: Vec<Place>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    pub multipart: usize,
    pub kind: Multipart,
    pub branch: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Multipart {
    Alternative,
    Related,
    /// Of a report, and anything else: one after the other.
    Mixed,
}

/// A message taken apart.
pub struct Tree<'a> {
    pub head: Head<'a>,
    pub content_type: ContentType,
    pub leaves: Vec<Leaf<'a>>,
    /// Of parts beyond those that are listed: how many, and their bytes.
    pub unlisted: (usize, usize),
}

impl<'a> Tree<'a> {
    pub fn read(message: &'a [u8]) -> Self {
        let cut = message.len() > MAX_MESSAGE_BYTES;
        let message = &message[..message.len().min(MAX_MESSAGE_BYTES)];
        let (head, at) = Head::read(message);
        let content_type = content_type(&head, "text/plain");
        let mut walk = Walk { message, cut, leaves: Vec::new(), multiparts: 0, unlisted: (0, 0) };
        let (head_again, _) = Head::read(message);
        walk.part(head_again, content_type.clone(), at..message.len(), &mut Vec::new());
        let mut head = head;
        // Fields in 8 bits are mostly in what the text is in.
        let label = walk.leaves.iter().find_map(|leaf| leaf.content_type.parameter("charset"));
        head.label = label.map(str::to_owned);
        Self { head, content_type, leaves: walk.leaves, unlisted: walk.unlisted }
    }
}

struct Walk<'a> {
    message: &'a [u8],
    cut: bool,
    leaves: Vec<Leaf<'a>>,
    multiparts: usize,
    unlisted: (usize, usize),
}

impl<'a> Walk<'a> {
    fn part(&mut self, head: Head<'a>, content_type: ContentType, body: Range<usize>, above: &mut Vec<Place>) {
        let boundary = content_type.parameter("boundary").map(|boundary| boundary.trim_end().to_owned());
        let boundary = boundary.or_else(|| boundary_in(&self.message[body.clone()]));
        if content_type.kind() == "multipart"
            && let Some(boundary) = boundary.filter(|boundary| !boundary.is_empty() && boundary.len() <= 200)
            && above.len() < MAX_DEPTH
        {
            let digest = content_type.value == "multipart/digest";
            let kind = match content_type.value.as_str() {
                "multipart/alternative" => Multipart::Alternative,
                "multipart/related" => Multipart::Related,
                _ => Multipart::Mixed,
            };
            self.multiparts += 1;
            let place = Place { multipart: self.multiparts, kind, branch: 0 };
            if self.branches(boundary.as_bytes(), body.clone(), place, digest, above) {
                return;
            }
            // Its boundary is nowhere: what is in it is text.
        }
        let bytes = &self.message[body.clone()];
        let too_deep = content_type.kind() == "multipart" && above.len() >= MAX_DEPTH;
        let skipped = if too_deep {
            Some(format!("parts are nested deeper than {MAX_DEPTH}"))
        } else if self.leaves.len() >= MAX_PARTS {
            Some(format!("the message has more than {MAX_PARTS} parts"))
        } else if self.cut && body.end == self.message.len() {
            Some(format!("the message is longer than {} MiB and was cut here", MAX_MESSAGE_BYTES / 1024 / 1024))
        } else {
            None
        };
        let disposition = ContentType::parse(&head.token("content-disposition").unwrap_or_default());
        self.leaves.push(Leaf { head, content_type, disposition, body: bytes, skipped, above: above.clone() });
    }

    /// The parts between the boundaries, or false when there is no boundary.
    fn branches(
        &mut self,
        boundary: &[u8],
        body: Range<usize>,
        place: Place,
        digest: bool,
        above: &mut Vec<Place>,
    ) -> bool {
        let mut at = body.start;
        let mut begun: Option<usize> = None;
        let mut branch = 0;
        // Once for the end too, so that what no boundary closes is read.
        loop {
            let end = line_end(self.message, at).min(body.end);
            let line = &self.message[at..end];
            let delimiter = delimits(line, boundary);
            let over = at >= body.end;
            if let Some(start) = begun.filter(|_| delimiter.is_some() || over) {
                // The line's end before a boundary belongs to it.
                let stop = if over { body.end } else { without_line_end(self.message, start, at) };
                let nothing = over && trimmed_end(&self.message[start..stop]).is_empty();
                // Nothing at all after the last one is no part.
                if self.leaves.len() >= LISTED_PARTS {
                    self.unlisted = (self.unlisted.0 + 1, self.unlisted.1 + stop - start);
                } else if !nothing {
                    let (head, offset) = Head::read(&self.message[start..stop]);
                    let default = if digest { "message/rfc822" } else { "text/plain" };
                    let content_type = content_type(&head, default);
                    above.push(Place { branch, ..place });
                    self.part(head, content_type, start + offset..stop, above);
                    above.pop();
                    branch += 1;
                }
            }
            if over {
                return begun.is_some();
            }
            match delimiter {
                Some(true) => return true,
                Some(false) => begun = Some(end),
                None => {}
            }
            at = end;
        }
    }
}

/// Whether a line is a boundary, and if so whether it is the last one.
fn delimits(line: &[u8], boundary: &[u8]) -> Option<bool> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary)?;
    match trimmed_end(rest) {
        b"" => Some(false),
        b"--" => Some(true),
        _ => None,
    }
}

/// The boundary that a multipart does not say: of its first lines, one that begins with two dashes and has a field behind it.
fn boundary_in(body: &[u8]) -> Option<String> {
    let (mut at, mut looked) = (0, 0);
    while at < body.len() && looked < 50 {
        let end = line_end(body, at);
        let boundary = trimmed_end(&body[at..end]).strip_prefix(b"--").filter(|boundary| !boundary.is_empty());
        let next = &body[end..line_end(body, end)];
        if let Some(boundary) = boundary
            && next.len() >= 8
            && next[..8].eq_ignore_ascii_case(b"content-")
        {
            return String::from_utf8(boundary.to_vec()).ok();
        }
        (at, looked) = (end, looked + 1);
    }
    None
}

fn without_line_end(message: &[u8], start: usize, at: usize) -> usize {
    let line = &message[start..at];
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    start + line.strip_suffix(b"\r").unwrap_or(line).len()
}

fn content_type(head: &Head<'_>, default: &str) -> ContentType {
    let parsed = ContentType::parse(&head.token("content-type").unwrap_or_default());
    // `Content-Type: text`, as old programs have it, is plain text.
    match parsed.value.as_str() {
        "" => ContentType::parse(default),
        "text" => {
            let mut parsed = parsed;
            "text/plain".clone_into(&mut parsed.value);
            parsed
        }
        _ => parsed,
    }
}

impl<'a> Leaf<'a> {
    /// Its bytes, as they were before they were encoded.
    pub fn content(&self) -> Cow<'a, [u8]> {
        let encoding = self.head.token("content-transfer-encoding").unwrap_or_default().to_ascii_lowercase();
        match encoding.trim().trim_end_matches(';').trim_matches('"') {
            "base64" => Cow::Owned(decoding::base64(self.body)),
            "quoted-printable" => Cow::Owned(decoding::quoted_printable(self.body)),
            "x-uuencode" | "uuencode" | "x-uue" => Cow::Owned(decoding::uuencoded_body(self.body)),
            _ => Cow::Borrowed(self.body),
        }
    }

    /// Whether it is text that was written to be read with the message.
    pub fn is_shown(&self) -> bool {
        let text = matches!(
            self.content_type.value.as_str(),
            "text/plain" | "text/html" | "text/enriched" | "text/richtext" | "text/markdown" | "text/x-amp-html"
        ) || self.content_type.kind() == "multipart";
        text && self.skipped.is_none() && self.disposition.value != "attachment" && self.file_name().is_none()
    }

    pub fn is_html(&self) -> bool {
        self.content_type.value == "text/html"
    }

    /// The name that its sender gave it.
    fn file_name(&self) -> Option<&str> {
        let name = self.disposition.parameter("filename").or_else(|| self.content_type.parameter("name"));
        name.filter(|name| !name.trim().is_empty())
    }

    /// What it is called among files.
    pub fn name(&self) -> String {
        if let Some(name) = self.file_name() {
            return files::harmless(name);
        }
        let (kind, subtype) = self.content_type.value.split_once('/').unwrap_or(("", ""));
        match (kind, subtype) {
            ("message", "rfc822" | "global") => {
                let content = self.content();
                let (head, _) = Head::read(&content);
                let subject = head.text("subject").unwrap_or_default().replace(['/', '\\'], "-");
                let subject: String = subject.chars().take(80).collect();
                let subject = subject.trim();
                files::harmless(&format!("{}.eml", if subject.is_empty() { "message" } else { subject }))
            }
            ("text", "calendar") => "invite.ics".to_owned(),
            ("text", "rfc822-headers") => "headers.txt".to_owned(),
            ("message", "delivery-status") => "delivery-status.txt".to_owned(),
            ("message", "disposition-notification") => "disposition-notification.txt".to_owned(),
            ("application", "pgp-signature") => "signature.asc".to_owned(),
            ("application", "pgp-encrypted") => "version.txt".to_owned(),
            ("application", "ms-tnef" | "vnd.ms-tnef") => "winmail.dat".to_owned(),
            ("text", "html") => "text.html".to_owned(),
            ("text", _) => "text.txt".to_owned(),
            ("image", subtype) => {
                files::harmless(&format!("image.{}", if subtype == "jpeg" { "jpg" } else { subtype }))
            }
            _ => "file".to_owned(),
        }
    }

    /// The places of its branches, outermost first.
    pub fn above(&self) -> &[Place] {
        &self.above
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &str) -> Tree<'_> {
        Tree::read(message.as_bytes())
    }

    fn bodies(message: &str) -> Vec<String> {
        let tree = read(message);
        tree.leaves.iter().map(|leaf| String::from_utf8_lossy(&leaf.content()).into_owned()).collect()
    }

    #[test]
    fn parts_are_what_stands_between_boundaries() {
        let message = "Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n\r\none\r\n--b  \r\nContent-Type: text/html\r\n\r\ntwo\r\n\r\n--bc\r\n--b--\r\nepilogue\r\n";
        assert_eq!(bodies(message), ["one", "two\r\n\r\n--bc"]);
        // What no boundary closes, and a boundary that is nowhere.
        assert_eq!(bodies("Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n"), ["one", "two\n"]);
        assert_eq!(bodies("Content-Type: multipart/mixed; boundary=b\n\nall of it\n"), ["all of it\n"]);
        assert_eq!(bodies("Content-Type: multipart/mixed\n\nall of it\n"), ["all of it\n"]);
        assert_eq!(bodies("Content-Type: multipart/mixed\n\n--b\nContent-Type: text/plain\n\nx\n--b--\n"), ["x"]);
    }

    #[test]
    fn what_is_too_much_is_listed_with_its_reason() {
        let many = format!("Content-Type: multipart/mixed; boundary=b\n\n{}--b--\n", "--b\n\nx\n".repeat(1000));
        let tree = read(&many);
        assert_eq!(tree.leaves.len(), LISTED_PARTS);
        assert_eq!(tree.leaves.iter().filter(|leaf| leaf.skipped.is_none()).count(), MAX_PARTS);
        assert_eq!(tree.unlisted.0, 1000 - LISTED_PARTS);
        let deep: String =
            (0..30).map(|depth| format!("Content-Type: multipart/mixed; boundary=b{depth}\n\n--b{depth}\n")).collect();
        let tree = read(&deep);
        assert_eq!(tree.leaves.len(), 1);
        assert!(tree.leaves[0].skipped.as_deref().is_some_and(|reason| reason.contains("nested")));
    }
}
