//! Bytes to text: by their label where it can be true, else by what they are.
//!
//! Labels are those of the WHATWG, as browsers read them: `gb2312` is GBK, `iso-8859-1` is windows-1252. What mail has besides,
//! `utf-7`, `cp850` and 7-bit Korean and Chinese, is read too.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{EUC_KR, Encoding, GBK, ISO_2022_JP, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use mail_parser::decoders::charsets::map::charset_decoder;

/// What a guess looks at, at most: enough to know a language by, and no more work for a longer text.
const GUESSED_BYTES: usize = 64 * 1024;

/// The text of `bytes`. `label` is what its sender says it is in, `domain` the sender's, whose end says something of the language
/// where there is no label or a wrong one.
pub fn decode(bytes: &[u8], label: Option<&str>, domain: Option<&str>) -> String {
    without_nul(decoded(bytes, label, domain))
}

fn decoded(bytes: &[u8], label: Option<&str>, domain: Option<&str>) -> String {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(&bytes[mark..]).0.into_owned();
    }
    let label = label.map(|label| label.trim().trim_matches(['"', '\'']).to_ascii_lowercase()).unwrap_or_default();
    // RFC 2231 lets a language stand behind it.
    let label = label.split('*').next().unwrap_or_default();
    let named = Encoding::for_label(label.as_bytes());
    // Seven bits: ISO-2022-JP with or without its name, what is labelled as another coding of seven bits, or ASCII.
    if bytes.is_ascii() {
        if shifts_to_japanese(bytes) {
            return ISO_2022_JP.decode_without_bom_handling(bytes).0.into_owned();
        }
        return match label {
            "utf-7" | "unicode-1-1-utf-7" | "csutf7" => {
                charset_decoder(b"utf-7").map_or_else(|| ascii(bytes), |decode| decode(bytes))
            }
            "hz-gb-2312" | "hz" => shifted(bytes, *b"~{", *b"~}", GBK),
            "iso-2022-kr" | "csiso2022kr" => korean(bytes),
            _ => match named {
                // Every second byte of Latin text in UTF-16 is NUL: without one it is no UTF-16.
                Some(encoding) if (encoding == UTF_16LE || encoding == UTF_16BE) && bytes.contains(&0) => {
                    encoding.decode_without_bom_handling(bytes).0.into_owned()
                }
                _ => ascii(bytes),
            },
        };
    }
    let utf_8 = std::str::from_utf8(bytes).ok();
    match named {
        Some(encoding) if encoding == UTF_8 => match utf_8 {
            Some(text) => text.to_owned(),
            None => mostly_utf_8(bytes).unwrap_or_else(|| guessed(bytes, domain)),
        },
        Some(encoding) if encoding == REPLACEMENT => guessed(bytes, domain),
        Some(encoding) if encoding == UTF_16LE || encoding == UTF_16BE => match utf_8 {
            Some(text) if !bytes.contains(&0) => text.to_owned(),
            _ => encoding.decode_without_bom_handling(bytes).0.into_owned(),
        },
        Some(encoding) => {
            // No text in another coding is valid UTF-8 by accident but a very short one.
            let certain = if encoding.is_single_byte() { 1 } else { 3 };
            if let Some(text) = utf_8.filter(|text| text.chars().filter(|c| !c.is_ascii()).count() >= certain) {
                return text.to_owned();
            }
            let (text, had_errors) = encoding.decode_without_bom_handling(bytes);
            // `us-ascii` and `iso-8859-1` are what programs write that do not know: what has C1 controls in it is something else.
            let unlikely = encoding == WINDOWS_1252 && matches!(label, "us-ascii" | "ascii" | "ansi_x3.4-1968");
            if !had_errors && !unlikely {
                return text.into_owned();
            }
            match utf_8 {
                Some(utf_8) => utf_8.to_owned(),
                None if unlikely => guessed(bytes, domain),
                None => text.into_owned(),
            }
        }
        None => match (utf_8, charset_decoder(label.as_bytes()).filter(|_| !label.is_empty() && label.len() <= 45)) {
            (Some(text), _) => text.to_owned(),
            (None, Some(decode)) => decode(bytes),
            (None, None) => guessed(bytes, domain),
        },
    }
}

/// By the language that it would make sense in.
fn guessed(bytes: &[u8], domain: Option<&str>) -> String {
    if let Some(text) = mostly_utf_8(bytes) {
        return text;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(&bytes[..bytes.len().min(GUESSED_BYTES)], true);
    let ending = domain.and_then(|domain| domain.rsplit('.').next()).map(str::to_ascii_lowercase);
    let ending =
        ending.as_deref().filter(|ending| ending.bytes().all(|c| c.is_ascii_lowercase()) && !ending.is_empty());
    let encoding = detector.guess(ending.map(str::as_bytes), Utf8Detection::Deny);
    encoding.decode_without_bom_handling(bytes).0.into_owned()
}

/// UTF-8 with a few bytes that are not: cut, or pasted from elsewhere.
fn mostly_utf_8(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let (mut broken, mut whole) = (0_usize, 0_usize);
    for c in text.chars().filter(|c| !c.is_ascii()) {
        if c == char::REPLACEMENT_CHARACTER {
            broken += 1;
        } else {
            whole += 1;
        }
    }
    (whole > broken * 4).then(|| text.into_owned())
}

fn shifts_to_japanese(bytes: &[u8]) -> bool {
    let shift = |three: &[u8]| matches!(three, b"\x1b$B" | b"\x1b$@" | b"\x1b(J" | b"\x1b(I");
    bytes.contains(&0x1b) && bytes.windows(3).any(shift)
}

/// Seven bits that stand for eight between two marks.
fn shifted(bytes: &[u8], begin: [u8; 2], end: [u8; 2], encoding: &'static Encoding) -> String {
    let (mut eight, mut at, mut high) = (Vec::with_capacity(bytes.len()), 0, false);
    while at < bytes.len() {
        let two = bytes.get(at..at + 2);
        if two == Some(&begin) || two == Some(&end) {
            high = two == Some(&begin);
            at += 2;
            continue;
        }
        eight.push(if high && bytes[at] > b' ' { bytes[at] | 0x80 } else { bytes[at] });
        at += 1;
    }
    encoding.decode_without_bom_handling(&eight).0.into_owned()
}

/// ISO-2022-KR: between SO and SI stands what EUC-KR writes with the eighth bit.
fn korean(bytes: &[u8]) -> String {
    let mut high = false;
    let mut eight = Vec::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            0x0e => high = true,
            0x0f => high = false,
            b'\n' | b'\r' => eight.push(*byte),
            byte => eight.push(if high { byte | 0x80 } else { *byte }),
        }
    }
    // The announcement that it may shift.
    let text = EUC_KR.decode_without_bom_handling(&eight).0.into_owned();
    text.replace("\u{1b}$)C", "")
}

fn ascii(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// PostgreSQL's text has no NUL.
fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_as_browsers_read_them() {
        for (bytes, label, text) in [
            (&b"\x1b$B%O%m!<\x1b(B"[..], Some("iso-2022-jp"), "ハロー"),
            (b"\x1b$B%O%m!<\x1b(B", None, "ハロー"),
            (b"\x1b$B%O%m!<\x1b(B", Some("us-ascii"), "ハロー"),
            (b"\xc4\xe3\xba\xc3\x81\x40", Some("gb2312"), "你好丂"),
            (b"Gr\xfc\xdfe \x80", Some("iso-8859-1"), "Grüße €"),
            (b"\xcf\xf0\xe8\xe2\xe5\xf2", Some("windows-1251"), "Привет"),
            (b"\x9b\x9c", Some("cp850"), "ø£"),
            (b"+ZYeB9FH6ckh5Pg-.", Some("utf-7"), "文致出版社."),
            (b"~{<:Ky2;~}", Some("HZ-GB-2312"), "己所不"),
            (b"\x1b$)C\x0e>H3gGO<<?d\x0f!", Some("iso-2022-kr"), "안녕하세요!"),
            (b"h\0i\0", Some("utf-16le"), "hi"),
            (b"\xef\xbb\xbfhi", Some("iso-8859-1"), "hi"),
        ] {
            assert_eq!(decode(bytes, label, None), text, "{label:?}");
        }
    }

    #[test]
    fn a_wrong_label_is_not_believed() {
        let german = "Grüße aus München";
        let japanese = "お問い合わせありがとうございます";
        for label in ["us-ascii", "iso-8859-1", "windows-1251", "utf-16", "no-such", "\"utf-8\"", "utf8", "iso-2022-kr"]
        {
            assert_eq!(decode(german.as_bytes(), Some(label), None), german, "{label}");
            assert_eq!(decode(japanese.as_bytes(), Some(label), None), japanese, "{label}");
        }
        assert_eq!(decode(japanese.as_bytes(), Some("gb2312"), None), japanese);
        assert_eq!(decode(b"Gr\xfc\xdfe aus M\xfcnchen", Some("utf-8"), Some("example.de")), german);
        let russian = "Добрый день, не могу войти в свой кабинет.";
        let (bytes, ..) = encoding_rs::WINDOWS_1251.encode(russian);
        for label in [None, Some("utf-8"), Some("us-ascii"), Some("")] {
            assert_eq!(decode(&bytes, label, Some("example.ru")), russian, "{label:?}");
        }
        // One byte cut off is no reason to guess.
        let cut = &russian.as_bytes()[..russian.len() - 2];
        assert!(decode(cut, Some("utf-8"), None).starts_with("Добрый день, не могу"));
    }

    #[test]
    fn no_nul_and_nothing_that_is_no_character_comes_out() {
        assert_eq!(decode(b"a\0b", Some("utf-8"), None), "ab");
        // A surrogate alone, in UTF-16 and as three bytes.
        assert_eq!(decode(b"\xff\xfea\0\x00\xd8", None, None), "a\u{fffd}");
        assert!(!decode(b"a\xed\xa0\x80b", Some("utf-8"), None).is_empty());
        for bytes in [&[0x80_u8; 50][..], &[0xff; 50], &[0x1b; 50], &[0; 50]] {
            for label in
                [None, Some("utf-8"), Some("utf-7"), Some("iso-2022-jp"), Some("big5"), Some("x\0y"), Some("é")]
            {
                assert!(!decode(bytes, label, Some("é.中")).contains('\0'));
            }
        }
    }
}
