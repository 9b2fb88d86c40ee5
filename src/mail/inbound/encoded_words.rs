//! Encoded words in fields (RFC 2047), as mail has them: also inside quotes, in the middle of words, and cut within characters.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::charset;

/// Base64 that forgives bits and padding that should not be there or are missing.
pub const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One encoded word.
struct Word<'a> {
    charset: &'a str,
    bytes: Vec<u8>,
    /// Where it ends in what it was read from.
    length: usize,
}

/// The text of a field on one line. Bytes of adjacent words of one charset are joined before they are decoded, since programs cut
/// characters in two.
pub fn decode(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut rest = field;
    // What was collected of adjacent words.
    let mut held: Option<(String, Vec<u8>)> = None;
    // The white space after a word: it counts only when no word follows.
    let mut space = "";
    while !rest.is_empty() {
        if let Some(word) = rest.strip_prefix("=?").and_then(|_| Word::read(rest)) {
            rest = &rest[word.length..];
            space = "";
            match &mut held {
                Some((charset, bytes)) if charset.eq_ignore_ascii_case(word.charset) => bytes.extend(word.bytes),
                _ => {
                    flush(&mut text, &mut held);
                    held = Some((word.charset.to_owned(), word.bytes));
                }
            }
            let after = rest.trim_start_matches([' ', '\t']);
            space = if after.len() < rest.len() { &rest[..rest.len() - after.len()] } else { space };
            rest = after;
            continue;
        }
        flush(&mut text, &mut held);
        text.push_str(std::mem::take(&mut space));
        // Up to what may be the next word.
        let next =
            rest.char_indices().skip(1).find(|(at, _)| rest[*at..].starts_with("=?")).map_or(rest.len(), |(at, _)| at);
        text.push_str(&rest[..next]);
        rest = &rest[next..];
    }
    flush(&mut text, &mut held);
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.trim().to_owned()
}

/// A field with its encoded words replaced by marks without meaning, and the words.
pub fn hidden(field: &str) -> (String, Vec<&str>) {
    let (mut text, mut words, mut rest) = (String::with_capacity(field.len()), Vec::new(), field);
    while !rest.is_empty() {
        let mut length =
            rest.char_indices().skip(1).find(|(at, _)| rest[*at..].starts_with("=?")).map_or(rest.len(), |(at, _)| at);
        if rest.starts_with("=?")
            && let Some(word) = Word::read(rest)
        {
            length = word.length;
            text.push_str(&format!("\u{1}{}\u{1}", words.len()));
            words.push(&rest[..length]);
        } else {
            text.extend(rest[..length].chars().filter(|c| *c != '\u{1}'));
        }
        rest = &rest[length..];
    }
    (text, words)
}

/// What [`hidden`] hid.
pub fn shown(text: &str, words: &[&str]) -> String {
    let mut parts = text.split('\u{1}');
    let mut shown = parts.next().unwrap_or_default().to_owned();
    while let Some(number) = parts.next() {
        shown.push_str(
            number.trim().parse().ok().and_then(|number: usize| words.get(number)).copied().unwrap_or_default(),
        );
        shown.push_str(parts.next().unwrap_or_default());
    }
    shown
}

fn flush(text: &mut String, held: &mut Option<(String, Vec<u8>)>) {
    if let Some((charset, bytes)) = held.take() {
        text.push_str(&charset::decode(&bytes, Some(&charset), None));
    }
}

impl<'a> Word<'a> {
    /// The word that `text` begins with. It is looked for no further than a word may be long, and some: fields are never gone
    /// through again and again.
    fn read(text: &'a str) -> Option<Self> {
        const LONGEST: usize = 2000;
        let window = &text[2..text.floor_char_boundary(LONGEST.min(text.len()))];
        let (charset, after) = window.split_once('?')?;
        let (encoding, after) = after.split_once('?')?;
        if charset.is_empty() || charset.len() > 60 || !charset.bytes().all(|c| c.is_ascii_graphic()) {
            return None;
        }
        let charset = charset.split('*').next().unwrap_or_default();
        let end = after.find("?=")?;
        let data = &after[..end];
        let bytes = match encoding {
            "Q" | "q" => q_decoded(data),
            "B" | "b" => {
                let clean: Vec<u8> = data.bytes().filter(|c| c.is_ascii_alphanumeric() || b"+/".contains(c)).collect();
                // A single character at the end stands for no byte.
                let whole = if clean.len() % 4 == 1 { clean.len() - 1 } else { clean.len() };
                LENIENT.decode(&clean[..whole]).ok()?
            }
            _ => return None,
        };
        Some(Self { charset, bytes, length: window.len() - after.len() + 2 + end + 2 })
    }
}

fn q_decoded(data: &str) -> Vec<u8> {
    let data = data.as_bytes();
    let (mut bytes, mut at) = (Vec::with_capacity(data.len()), 0);
    while at < data.len() {
        let hex = data.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
        match (data[at], hex.and_then(|two| u8::from_str_radix(two, 16).ok())) {
            (b'=', Some(byte)) => {
                bytes.push(byte);
                at += 3;
                continue;
            }
            (b'_', _) => bytes.push(b' '),
            (byte, _) => bytes.push(byte),
        }
        at += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_decoded_wherever_they_stand() {
        for (field, text) in [
            ("plain", "plain"),
            ("=?iso-8859-1?Q?Gr=FC=DFe?=", "Grüße"),
            ("Re: =?utf-8?B?w5xiZXI=?= uns", "Re: Über uns"),
            ("=?utf-8?B?w5xiZXI?=", "Über"),
            ("=?utf-8?Q?a_b?= =?utf-8?Q?_c?=", "a b c"),
            ("=?utf-8?Q?a?=  b", "a  b"),
            ("=?utf-8?Q?a?==?utf-8?Q?b?=", "ab"),
            ("x=?utf-8?Q?a?=y", "xay"),
            // A character cut in two, and a Japanese word that goes on without shifting again.
            ("=?UTF-8?B?44Oh44O844Or4w==?= =?UTF-8?B?g4E=?=", "メールチ"),
            ("=?utf-8?Q?=E2=82?= =?UTF-8?Q?=AC?=", "€"),
            ("=?iso-2022-jp?B?GyRCJCIbKEI=?=", "あ"),
            ("=?utf-8*en?Q?a?=", "a"),
            ("=?x-unknown?Q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
            ("=?utf-8?X?a?=", "=?utf-8?X?a?="),
            ("=?utf-8?Q?a", "=?utf-8?Q?a"),
            ("=?=?=?", "=?=?=?"),
            ("=?utf-8?Q?a=0Ab=00?=", "a b"),
        ] {
            assert_eq!(decode(field), text, "{field}");
        }
    }
}
