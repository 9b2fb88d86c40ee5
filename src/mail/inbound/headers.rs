//! The head of a message or of a part: its fields, and their texts.
//!
//! A field is kept as it came; only who asks for it has it read, and of each no more than [`FIELD_BYTES`], so that no head costs
//! more than its length.

use mail_parser::parsers::MessageStream;

use super::{charset, encoded_words};

/// The most of a head that is looked at.
const HEAD_BYTES: usize = 2 * 1024 * 1024;
/// The most fields of it.
const FIELDS: usize = 5_000;
/// The most of one field that is read.
pub const FIELD_BYTES: usize = 16 * 1024;
/// The most addresses of a field that are read.
const ADDRESSES: usize = 200;
/// The most that is said of somebody's name, characters.
const NAME_LENGTH: usize = 200;

/// The fields of a head, in their order.
#[derive(Default)]
pub struct Head<'a> {
    fields: Vec<Field<'a>>,
    /// What its 8-bit texts are in, unless they are UTF-8: the label of the body.
    pub label: Option<String>,
    /// Whether all fields of it are here.
    pub complete: bool,
}

struct Field<'a> {
    name: &'a [u8],
    /// All lines of it, as they came.
    value: &'a [u8],
}

/// Somebody, in `From` and the like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub name: Option<String>,
    /// Its domain in lower case.
    pub address: String,
}

impl<'a> Head<'a> {
    /// The head at the beginning of `bytes`, and where what follows begins.
    pub fn read(bytes: &'a [u8]) -> (Self, usize) {
        let mut fields: Vec<Field<'a>> = Vec::new();
        let mut at = 0;
        // The line that separates mails in a mailbox file.
        if bytes.starts_with(b"From ") || bytes.starts_with(b">From ") {
            at = line_end(bytes, 0);
        }
        let mut complete = true;
        // Whether the field whose lines these are is one of those that are kept.
        let mut kept = true;
        while at < bytes.len() {
            let end = line_end(bytes, at);
            let line = trimmed_end(&bytes[at..end]);
            let folded = matches!(bytes[at], b' ' | b'\t') && !fields.is_empty();
            if line.is_empty() && !(folded && goes_on(bytes, end)) {
                at = end;
                break;
            }
            if folded {
                if kept && let Some(last) = fields.last_mut() {
                    let start = offset(bytes, last.value);
                    last.value = &bytes[start..end];
                }
            } else if let Some(name) = field_name(line) {
                kept = fields.len() < FIELDS && at < HEAD_BYTES;
                if kept {
                    fields.push(Field { name, value: &bytes[at + colon(line) + 1..end] });
                }
                complete &= kept;
            } else if fields.is_empty() || line.starts_with(b"--") || !goes_on(bytes, end) {
                // The body, or a part, begins where a head should have ended.
                break;
            }
            at = end;
        }
        if fields.is_empty() && complete {
            // No head at all: what is not an empty line is the body.
            return (Self { complete, ..Self::default() }, at);
        }
        (Self { fields, label: None, complete }, at)
    }

    /// The values of a field, from above, as they came.
    pub fn raw<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a [u8]> + 's {
        self.fields
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name.as_bytes()))
            .map(|field| field.value)
    }

    /// All fields, from above, as they came.
    pub fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + '_ {
        self.fields.iter().map(|field| (field.name, field.value))
    }

    /// The names of all fields.
    pub fn names(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.fields.iter().map(|field| field.name)
    }

    /// The first of that name, on one line, decoded.
    pub fn text(&self, name: &str) -> Option<String> {
        self.raw(name).next().map(|value| self.decoded(value))
    }

    /// The first of that name without decoding: what machines write.
    pub fn token(&self, name: &str) -> Option<String> {
        let value = self.raw(name).next()?;
        Some(unfolded(&self.utf_8(value)))
    }

    /// A field as people read it.
    fn decoded(&self, value: &[u8]) -> String {
        encoded_words::decode(&unfolded(&self.utf_8(value)))
    }

    /// A field of 8 bits without a word on what they are in.
    fn utf_8(&self, value: &[u8]) -> String {
        let value = &value[..value.len().min(FIELD_BYTES)];
        charset::decode(value, self.label.as_deref().filter(|_| !value.is_ascii()), None)
    }

    /// How many fields there are of that name.
    pub fn count(&self, name: &str) -> usize {
        self.raw(name).count()
    }

    /// Whom the fields of that name name.
    pub fn addresses(&self, name: &str) -> Vec<Address> {
        let mut found = Vec::new();
        for value in self.raw(name) {
            for address in addresses(&self.utf_8(value)) {
                if found.len() < ADDRESSES {
                    found.push(address);
                }
            }
        }
        found
    }

    /// The ids of `In-Reply-To` and the like, without brackets: the last [`FIELD_BYTES`] of each field, since the newest stand at
    /// the end.
    pub fn ids(&self, name: &str) -> Vec<String> {
        let mut ids = Vec::new();
        for value in self.raw(name) {
            let mut value = &value[value.len().saturating_sub(FIELD_BYTES)..];
            while let Some(begin) = value.iter().position(|c| *c == b'<') {
                let rest = &value[begin + 1..];
                let Some(end) = rest.iter().position(|c| *c == b'>' || *c == b'<') else { break };
                let id: Vec<u8> = rest[..end].iter().copied().filter(|c| !c.is_ascii_whitespace()).collect();
                if rest[end] == b'>' && !id.is_empty() && id.len() <= 998 {
                    ids.push(String::from_utf8_lossy(&id).into_owned());
                }
                value = &rest[end..];
            }
        }
        ids
    }
}

/// The addresses of a field in UTF-8. Encoded words are decoded after it is known which of them is a name: what an encoded word
/// hides is never an address.
pub fn addresses(value: &str) -> Vec<Address> {
    // Encoded words are kept from the parser: it decodes each alone, and characters are cut between them.
    let (hidden, words) = encoded_words::hidden(value.trim_start());
    // It wants the line's end.
    let hidden = hidden + "\n";
    let parsed = MessageStream::new(hidden.as_bytes()).parse_address();
    let Some(parsed) = parsed.as_address() else { return Vec::new() };
    let mut found = Vec::new();
    for address in parsed.iter() {
        let Some(text) = address.address.as_deref() else { continue };
        let text = encoded_words::shown(text, &words);
        // A route, as old mail had it.
        let text =
            text.rsplit_once(':').filter(|(route, _)| route.starts_with('@')).map_or(text.as_str(), |(_, last)| last);
        let address_text = match text.rsplit_once('@') {
            Some((local, domain)) => format!("{local}@{}", domain.to_ascii_lowercase()),
            None => text.to_owned(),
        };
        let name = address.name.as_deref().map(|name| encoded_words::decode(&encoded_words::shown(name, &words)));
        let name = name.map(|name| name.split_whitespace().collect::<Vec<_>>().join(" "));
        let name = name.map(|name| name.trim_matches(['\'', '"']).chars().take(NAME_LENGTH).collect::<String>());
        found.push(Address { name: name.filter(|name| !name.is_empty()), address: address_text });
        if found.len() == ADDRESSES {
            break;
        }
    }
    found
}

/// On one line.
pub fn unfolded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for line in value.lines() {
        if !text.is_empty() && !text.ends_with([' ', '\t']) && !line.starts_with([' ', '\t']) {
            text.push(' ');
        }
        text.push_str(line.trim_end_matches('\r'));
    }
    text.replace('\t', " ").trim().to_owned()
}

/// Whether a head goes on at `at`: with a field, or one more line of one.
fn goes_on(bytes: &[u8], at: usize) -> bool {
    let line = trimmed_end(&bytes[at..line_end(bytes, at)]);
    !line.is_empty() && (matches!(line[0], b' ' | b'\t') || field_name(line).is_some())
}

/// The name of a field, when the line begins one. White space before the colon is not allowed, and programs read it all the
/// same: it is read here too, so that nothing hides behind it.
fn field_name(line: &[u8]) -> Option<&[u8]> {
    let name = trimmed_end(&line[..colon(line)]);
    let valid =
        !name.is_empty() && name.len() <= 200 && colon(line) < line.len() && name.iter().all(u8::is_ascii_graphic);
    valid.then_some(name)
}

fn colon(line: &[u8]) -> usize {
    line.iter().position(|c| *c == b':').unwrap_or(line.len())
}

/// Where the line at `at` ends, its end included.
pub fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at.min(bytes.len())..].iter().position(|c| *c == b'\n').map_or(bytes.len(), |length| at + length + 1)
}

/// Without the white space at its end.
pub fn trimmed_end(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|c| !matches!(c, b' ' | b'\t' | b'\r' | b'\n')).map_or(0, |last| last + 1);
    &line[..end]
}

fn offset(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr() - whole.as_ptr().addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head<'_> {
        Head::read(text.as_bytes()).0
    }

    #[test]
    fn a_head_ends_at_an_empty_line_and_its_fields_may_be_folded() {
        let (head, body) = Head::read(b"From nobody Mon\nSubject: a\r\n b\r\nX-A : 1\nnot a field\nX-B:\n\nbody");
        assert_eq!(head.text("subject").as_deref(), Some("a b"));
        assert_eq!(head.token("x-a").as_deref(), Some("1"));
        assert_eq!(head.token("X-B").as_deref(), Some(""));
        assert_eq!(body, b"From nobody Mon\nSubject: a\r\n b\r\nX-A : 1\nnot a field\nX-B:\n\n".len());
        assert_eq!(Head::read(b"no head at all\n\nbody").1, 0);
        // A line of white space continues a field where a head goes on behind it, and else ends the head; and where a body begins
        // without an empty line nothing of it is lost.
        assert_eq!(super::Head::read(b"A: b\n \nC: d\n\nbody").0.token("c").as_deref(), Some("d"));
        for text in ["A: b\n \nbody", "A: b\nbody without an empty line\n\nmore"] {
            let (_, body) = Head::read(text.as_bytes());
            assert!(text[body..].starts_with("body"), "{text}");
        }
        let long = "A: b\n".repeat(FIELDS + 1) + " c\nFrom: x\n\n";
        let long = super::tests::head(&long);
        assert!(!long.complete && long.fields.last().is_some_and(|last| last.value == b" b\n"));
        assert_eq!(Head::read(b"").1, 0);
    }

    #[test]
    fn addresses_have_their_names_decoded() {
        for (value, name, address) in [
            ("ada@Example.COM", None, "ada@example.com"),
            ("Ada <ada@example.com>", Some("Ada"), "ada@example.com"),
            ("\"Lovelace, Ada\" <ada@example.com>", Some("Lovelace, Ada"), "ada@example.com"),
            ("ada@example.com (Ada)", Some("Ada"), "ada@example.com"),
            ("=?utf-8?q?Ad=C3?= =?utf-8?q?=A4?= <ada@example.com>", Some("Adä"), "ada@example.com"),
            ("=?utf-8?q?a=40b=2Ec_=3Cx=40y=2Ez=3E?= <ada@example.com>", Some("a@b.c <x@y.z>"), "ada@example.com"),
            ("=?utf-8?Q?Lovelace,_Ada?= <ada@example.com>", Some("Lovelace, Ada"), "ada@example.com"),
            ("Grüße <ada@example.com>", Some("Grüße"), "ada@example.com"),
            ("<@hop.example:ada@example.com>", None, "ada@example.com"),
        ] {
            let found = addresses(value);
            assert_eq!(found, [Address { name: name.map(str::to_owned), address: address.to_owned() }], "{value}");
        }
        assert_eq!(addresses("a@x.example, Friends: b@x.example, c@x.example;").len(), 3);
    }

    #[test]
    fn ids_are_read_from_the_end_and_without_white_space() {
        let many = format!("References: {}<last@x>\n\n", "<some@x>\r\n ".repeat(100_000));
        let head = head(&many);
        assert_eq!(head.ids("references").last().map(String::as_str), Some("last@x"));
        assert!(head.ids("references").len() < 2000);
        assert_eq!(super::Head::read(b"A: <a@x> <b\n @y> <c <d@z>\n").0.ids("a"), ["a@x", "b@y", "d@z"]);
    }
}
