//! `Content-Type` and `Content-Disposition`: a word, and parameters in each of the ways in which programs write them (RFC 2045,
//! RFC 2231, and RFC 2047 where it must not be).

use super::{charset, encoded_words};

/// The most parameters that are read.
const PARAMETERS: usize = 100;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ContentType {
    /// In lower case, e.g. `text/plain` or `attachment`.
    pub value: String,
    parameters: Vec<(String, String)>,
}

/// A parameter as it was written: one of its name, or one part of it.
struct Piece {
    name: String,
    /// Which part it is.
    number: u32,
    /// With `%41` for bytes, the first one led by charset and language.
    extended: bool,
    value: String,
}

impl ContentType {
    /// Of a field on one line.
    pub fn parse(field: &str) -> Self {
        let mut rest = field.trim();
        let end = rest.find([';', ' ', '\t']).unwrap_or(rest.len());
        let value = rest[..end].trim().trim_end_matches(',').to_ascii_lowercase();
        rest = rest[end..].trim_start();
        let mut pieces: Vec<Piece> = Vec::new();
        while !rest.is_empty() && pieces.len() < PARAMETERS {
            rest = rest.trim_start_matches([';', ' ', '\t', ',']);
            let Some(equals) = rest.find(['=', ';']) else { break };
            let name = rest[..equals].trim().to_ascii_lowercase();
            if rest[equals..].starts_with(';') {
                rest = &rest[equals..];
                continue;
            }
            let (value, after) = value_of(rest[equals + 1..].trim_start(), &name);
            rest = after;
            pieces.push(Piece::of(&name, value));
        }
        Self { value, parameters: joined(pieces) }
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// What stands before the slash.
    pub fn kind(&self) -> &str {
        self.value.split('/').next().unwrap_or_default()
    }
}

impl Piece {
    fn of(name: &str, value: String) -> Self {
        let (name, extended) = name.strip_suffix('*').map_or((name, false), |name| (name, true));
        match name.rsplit_once('*').map(|(base, number)| (base, number.parse::<u32>())) {
            Some((base, Ok(number))) => Self { name: base.to_owned(), number, extended, value },
            _ => Self { name: name.to_owned(), number: 0, extended, value },
        }
    }
}

/// One value, quoted or not, and what follows it.
fn value_of<'a>(text: &'a str, name: &str) -> (String, &'a str) {
    if let Some(quoted) = text.strip_prefix('"') {
        let (mut value, mut escaped) = (String::new(), false);
        for (at, c) in quoted.char_indices() {
            match c {
                // Windows' paths are not escaped: what stands before them is no escape.
                '\\' if !escaped && quoted[at + 1..].starts_with(['"', '\\']) => escaped = true,
                '"' if !escaped => return (value, &quoted[at + 1..]),
                c => {
                    value.push(c);
                    escaped = false;
                }
            }
        }
        return (value, "");
    }
    // Names with spaces in them are written without quotes too: they go on to the next semicolon.
    let end = match name {
        "name" | "filename" => text.find(';'),
        _ => text.find([';', ' ', '\t']),
    };
    let end = end.unwrap_or(text.len());
    (text[..end].trim().to_owned(), &text[end..])
}

/// The parameters whose pieces these are. One that says its charset stands above one of the same name that does not.
fn joined(mut pieces: Vec<Piece>) -> Vec<(String, String)> {
    let mut parameters: Vec<(String, String)> = Vec::new();
    pieces.sort_by(|a, b| {
        (&a.name, !a.extended && a.number == 0, a.number).cmp(&(&b.name, !b.extended && b.number == 0, b.number))
    });
    let mut names: Vec<&str> = pieces.iter().map(|piece| piece.name.as_str()).collect();
    names.dedup();
    for name in names {
        let own: Vec<&Piece> = pieces.iter().filter(|piece| piece.name == name).collect();
        let numbered = own.iter().any(|piece| piece.number > 0) || own.iter().any(|piece| piece.extended);
        if !numbered {
            parameters.push((name.to_owned(), encoded_words::decode(&own[0].value)));
            continue;
        }
        let mut parts = own;
        parts.sort_by_key(|piece| (piece.number, !piece.extended));
        parts.dedup_by_key(|piece| piece.number);
        let (mut bytes, mut label) = (Vec::new(), None);
        for (at, piece) in parts.iter().enumerate() {
            let mut text = piece.value.as_str();
            if piece.extended {
                if at == 0 {
                    let mut three = text.splitn(3, '\'');
                    if let (Some(charset), Some(_), Some(rest)) = (three.next(), three.next(), three.next()) {
                        label = Some(charset.to_owned());
                        text = rest;
                    }
                }
                bytes.extend(percent_decoded(text));
            } else {
                bytes.extend(text.as_bytes());
            }
        }
        let value = charset::decode(&bytes, label.as_deref(), None);
        parameters.push((name.to_owned(), encoded_words::decode(&value)));
    }
    parameters
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let text = text.as_bytes();
    let (mut bytes, mut at) = (Vec::with_capacity(text.len()), 0);
    while at < text.len() {
        let hex = text.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
        match (text[at], hex.and_then(|two| u8::from_str_radix(two, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                at += 3;
            }
            (byte, _) => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_however_it_is_written() {
        for (field, name) in [
            ("attachment; filename=a.txt", "a.txt"),
            ("attachment; filename=a b.txt; size=1", "a b.txt"),
            ("attachment; filename=\"a;b.txt\"", "a;b.txt"),
            ("attachment;filename=\"a \\\"b\\\".txt\"", "a \"b\".txt"),
            ("attachment; filename=\"C:\\tmp\\a.txt\"", "C:\\tmp\\a.txt"),
            ("attachment; filename*=utf-8''%e2%82%ac.txt", "€.txt"),
            ("attachment; filename=\"plain.txt\"; filename*=UTF-8'en'%E2%82%AC.txt", "€.txt"),
            ("attachment; filename*0*=iso-8859-1''gr%fc; filename*1=\"n .txt\"", "grün .txt"),
            ("attachment; filename*1=\"b.txt\"; filename*0=\"a\"", "ab.txt"),
            ("attachment; filename*0*=utf-8''%E2%82; filename*1*=%AC.txt", "€.txt"),
            ("attachment; filename=\"=?utf-8?B?4oKsLnR4dA==?=\"", "€.txt"),
            ("attachment; filename==?utf-8?B?4oKsLnR4dA==?=", "€.txt"),
            ("attachment; size=1; ; filename=\"unclosed.txt", "unclosed.txt"),
        ] {
            let parsed = ContentType::parse(field);
            assert_eq!(parsed.value, "attachment", "{field}");
            assert_eq!(parsed.parameter("filename"), Some(name), "{field}");
        }
    }

    #[test]
    fn types_are_in_lower_case_with_their_boundary() {
        let parsed = ContentType::parse("Multipart/Mixed; Boundary=\"--=_a b\"; charset=UTF-8");
        assert_eq!((parsed.value.as_str(), parsed.kind()), ("multipart/mixed", "multipart"));
        assert_eq!(parsed.parameter("boundary"), Some("--=_a b"));
        assert_eq!(parsed.parameter("charset"), Some("UTF-8"));
        assert_eq!(ContentType::parse("").value, "");
        assert_eq!(ContentType::parse("text/plain charset=us-ascii").parameter("charset"), Some("us-ascii"));
    }
}
