//! Files in a `multipart/form-data` body: told apart, named harmlessly, typed by what they are.

use bytes::Bytes;
use multer::{Constraints, Multipart, SizeLimit};
use poem::{Request, RequestBody, http::header};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef},
};

use crate::{
    keys::Sha256Digest,
    problem::{Code, Problem},
};

/// The largest body of an upload, bytes.
pub const BODY: usize = 25 * 1024 * 1024;
/// The largest file, bytes.
pub const FILE: usize = 10 * 1024 * 1024;
/// The most files of a message.
pub const FILES: usize = 10;
/// The longest name, bytes of UTF-8.
const NAME: usize = 255;
const PART: &str = "file";

/// Operations whose bodies are files; see [`BODY`].
pub const OPERATIONS: &[&str] = &["uploadAttachments", "uploadTicketAttachments"];

/// A file that was sent.
#[derive(Debug)]
pub struct File {
    /// As its sender calls it, without what could harm.
    pub name: String,
    /// By content.
    pub content_type: &'static str,
    pub content: Bytes,
}

/// The files of a body: one to ten parts named `file`.
pub struct Files(pub Vec<File>);

impl<'a> ApiExtractor<'a> for Files {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn request_meta() -> Option<MetaRequest> {
        let file = MetaSchema { format: Some("binary"), ..MetaSchema::new("string") };
        let files = MetaSchema {
            description: Some("The files, each with its name; 10 MiB each and 25 MiB together at the most."),
            items: Some(Box::new(MetaSchemaRef::Inline(Box::new(file)))),
            min_items: Some(1),
            max_items: Some(FILES),
            ..MetaSchema::new("array")
        };
        let body = MetaSchema {
            properties: vec![(PART, MetaSchemaRef::Inline(Box::new(files)))],
            required: vec![PART],
            ..MetaSchema::new("object")
        };
        let content =
            MetaMediaType { content_type: "multipart/form-data", schema: MetaSchemaRef::Inline(Box::new(body)) };
        Some(MetaRequest { description: None, content: vec![content], required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let boundary = content_type.and_then(|value| multer::parse_boundary(value).ok()).ok_or_else(|| {
            Problem::new(Code::UnsupportedMediaType, "Send the files as `Content-Type: multipart/form-data`.")
        })?;
        let bytes = body.take()?.into_bytes().await.map_err(|_| unreadable())?;
        Ok(Self(files(bytes, boundary).await?))
    }
}

impl Files {
    /// Of what was sent, for a repeat of it.
    pub fn digest(&self) -> Sha256Digest {
        let mut parts: Vec<&[u8]> = vec![b"attachments"];
        parts.extend(self.0.iter().flat_map(|file| [file.name.as_bytes(), &file.content]));
        Sha256Digest::of_parts(&parts)
    }
}

async fn files(body: Bytes, boundary: String) -> Result<Vec<File>, Problem> {
    let stream = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(body)]);
    let constraints = Constraints::new().size_limit(SizeLimit::new().per_field(FILE as u64));
    let mut parts = Multipart::with_constraints(stream, boundary, constraints);
    let mut files = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(problem)? {
        if part.name() != Some(PART) {
            return Err(Problem::invalid_field(PART, "is the only part that an upload has; it may be repeated"));
        }
        let Some(name) = part.file_name().map(harmless) else {
            return Err(Problem::invalid_field(PART, "needs a filename"));
        };
        if files.len() == FILES {
            return Err(Problem::unprocessable(PART, format!("a message has {FILES} files at the most")));
        }
        let content = part.bytes().await.map_err(problem)?;
        if content.is_empty() {
            return Err(Problem::unprocessable(PART, "must not be empty"));
        }
        files.push(File { name, content_type: media_type(&content), content });
    }
    if files.is_empty() {
        return Err(Problem::invalid_field(PART, "is required"));
    }
    Ok(files)
}

fn unreadable() -> Problem {
    Problem::new(Code::InvalidRequest, "The body is not `multipart/form-data` as its Content-Type says.")
}

fn problem(error: multer::Error) -> Problem {
    match error {
        multer::Error::FieldSizeExceeded { .. } => {
            Problem::new(Code::BodyTooLarge, format!("A file may have {} MiB at the most.", FILE / 1024 / 1024))
        }
        _ => unreadable(),
    }
}

/// The name without folders, control characters and marks that turn the direction of text (`exe.fdp` shown as
/// `pdf.exe`), cut to [`NAME`] bytes with its extension kept.
fn harmless(name: &str) -> String {
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
    if name.len() <= NAME {
        return name.to_owned();
    }
    let extension = name.rfind('.').map(|at| &name[at..]).filter(|extension| extension.len() <= 20).unwrap_or_default();
    let stem = &name[..name.floor_char_boundary(NAME - extension.len())];
    format!("{stem}{extension}")
}

/// What a file is by its first bytes. Only what a browser shows without running anything in it has a type of its own;
/// anything else, HTML and SVG too, is bytes to save.
fn media_type(content: &[u8]) -> &'static str {
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
        assert!(long.len() <= NAME && long.ends_with("ü.pdf"), "{long}");
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
