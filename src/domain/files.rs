//! Files that people send: named harmlessly, typed by what they are.

use bytes::Bytes;

/// The largest file, bytes.
pub const MAX_BYTES: usize = 10 * 1024 * 1024;
/// The most bytes of a message's files, with what stands around them in the body that brings them.
pub const MAX_MESSAGE_BYTES: usize = 25 * 1024 * 1024;
/// What is shown as what it is: see [`media_type`].
pub const SHOWN: [&str; 6] = ["image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf", "text/plain"];
/// The most files of a message.
pub const MAX_FILES: usize = 10;
/// The longest name, bytes of UTF-8.
const NAME_BYTES: usize = 255;

/// A file that was sent.
#[derive(Debug)]
pub struct File {
    /// As its sender calls it, without what could harm.
    pub name: String,
    /// By content.
    pub content_type: &'static str,
    pub content: Bytes,
}

/// So many bytes, for people: `812 bytes`, `47.1 KiB`, `3.0 GiB`.
pub fn size(bytes: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let of = |unit: i64| bytes as f64 / unit as f64;
    match bytes {
        ..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{:.1} KiB", of(1024)),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", of(1_048_576)),
        _ => format!("{:.1} GiB", of(1_073_741_824)),
    }
}

/// The name without folders, control characters and marks that turn the direction of text (`exe.fdp` shown as
/// `pdf.exe`), cut to [`NAME_BYTES`] bytes with its extension kept.
pub fn harmless(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let name: String = name.chars().filter(|c| !hidden(*c)).collect();
    let name = name.trim();
    if matches!(name, "" | "." | "..") {
        return "file".to_owned();
    }
    if name.len() <= NAME_BYTES {
        return name.to_owned();
    }
    let extension = name.rfind('.').map(|at| &name[at..]).filter(|extension| extension.len() <= 20).unwrap_or_default();
    let stem = &name[..name.floor_char_boundary(NAME_BYTES - extension.len())];
    format!("{stem}{extension}")
}

/// What a file is by its first bytes. Only what a browser shows without running anything in it has a type of its own;
/// anything else, HTML and SVG too, is bytes to save.
pub fn media_type(content: &[u8]) -> &'static str {
    match content {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        [b'%', b'P', b'D', b'F', b'-', ..] => "application/pdf",
        _ if is_plain_text(content) => "text/plain",
        _ => "application/octet-stream",
    }
}

fn is_plain_text(content: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(content) else { return false };
    let markup = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}').starts_with('<');
    !markup && !text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\x0c'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_what_people_wrote_and_loses_what_could_harm() {
        for (given, kept) in [
            ("naïve \"f\".html", "naïve \"f\".html"),
            ("a\r\nX: y.txt", "aX: y.txt"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\ada\\bug.png", "bug.png"),
            ("invoice\u{202e}fdp.exe", "invoicefdp.exe"),
            ("..", "file"),
            ("dir/", "file"),
            ("\0", "file"),
            ("  spaced .txt ", "spaced .txt"),
        ] {
            assert_eq!(harmless(given), kept, "{given:?}");
        }
        let long = harmless(&format!("{}.pdf", "ü".repeat(300)));
        assert!(long.len() <= NAME_BYTES && long.ends_with("ü.pdf"), "{long}");
    }

    #[test]
    fn a_type_is_told_by_content() {
        for (content, expected) in [
            (&b"\x89PNG\r\n\x1a\nrest"[..], "image/png"),
            (b"\xff\xd8\xff\xe0rest", "image/jpeg"),
            (b"GIF89a", "image/gif"),
            (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
            (b"%PDF-1.7", "application/pdf"),
            ("Grüße,\n\tAda\r\n".as_bytes(), "text/plain"),
            (b"\xef\xbb\xbf <!doctype html><script>", "application/octet-stream"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "application/octet-stream"),
            (b"\x7fELF\x02", "application/octet-stream"),
            (b"MZ\x90\0", "application/octet-stream"),
            (b"text\0", "application/octet-stream"),
            (b"caf\xe9", "application/octet-stream"),
        ] {
            assert_eq!(media_type(content), expected, "{content:?}");
        }
    }
}
