//! A file as it leaves: always a download, never a page of ours.

use std::time::Duration;

use bytes::Bytes;
use poem::{
    Body, IntoResponse, Response,
    http::{HeaderValue, header},
};
use poem_openapi::{
    ApiResponse,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
};

use crate::{
    http::failure::{every_answer, meta_header},
    memory_budget::Reservation,
};

/// How long a download may take: whoever reads more slowly holds memory that others wait for.
const TIME: Duration = Duration::from_mins(5);
/// Bytes that are handed on at once.
const CHUNK: usize = 64 * 1024;
/// Whatever it is, it runs nothing and loads nothing.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";
const TYPES: [&str; 7] =
    ["application/octet-stream", "application/pdf", "image/gif", "image/jpeg", "image/png", "image/webp", "text/plain"];

/// 200 with the bytes of a file.
pub struct Download {
    pub name: String,
    /// One of those that the server tells by content.
    pub content_type: String,
    pub content: Bytes,
    /// The memory that it takes, until it is sent.
    pub reservation: Reservation,
}

impl IntoResponse for Download {
    fn into_response(self) -> Response {
        let content_type = TYPES.iter().find(|known| **known == self.content_type).unwrap_or(&TYPES[0]);
        let length = self.content.len();
        Response::builder()
            .content_type(if *content_type == "text/plain" { "text/plain; charset=utf-8" } else { content_type })
            .header(header::CONTENT_LENGTH, length)
            .header(header::CONTENT_DISPOSITION, disposition(&self.name))
            .header(header::CACHE_CONTROL, "private, no-store")
            .header(header::CONTENT_SECURITY_POLICY, POLICY)
            .body(sent(self.content, self.reservation))
    }
}

/// The body, piece by piece, so that the bytes are let go of when they are sent or when the time is over.
fn sent(mut content: Bytes, reservation: Reservation) -> Body {
    let (send, receive) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    tokio::spawn(async move {
        let _reservation = reservation;
        let all = async {
            while !content.is_empty() {
                let chunk = content.split_to(CHUNK.min(content.len()));
                if send.send(Ok(chunk)).await.is_err() {
                    return;
                }
            }
        };
        if tokio::time::timeout(TIME, all).await.is_err() {
            tracing::info!("a download was read too slowly and was ended");
        }
    });
    Body::from_bytes_stream(futures_util::stream::unfold(receive, |mut receive| async move {
        receive.recv().await.map(|chunk| (chunk, receive))
    }))
}

/// `attachment` with the name twice (RFC 6266): in ASCII for old clients, and as it is.
fn disposition(name: &str) -> HeaderValue {
    let plain: String =
        name.chars().map(|c| if matches!(c, ' '..='~') && !matches!(c, '"' | '\\' | '%') { c } else { '_' }).collect();
    let mut encoded = String::with_capacity(name.len() * 3);
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    HeaderValue::try_from(format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"))
        .unwrap_or(HeaderValue::from_static("attachment"))
}

impl ApiResponse for Download {
    fn meta() -> MetaResponses {
        let content = TYPES.map(|content_type| {
            let bytes = MetaSchema { format: Some("binary"), ..MetaSchema::new("string") };
            MetaMediaType { content_type, schema: MetaSchemaRef::Inline(Box::new(bytes)) }
        });
        let mut headers = every_answer();
        headers.extend([
            meta_header::<String>("Content-Disposition", "`attachment` with the file's name (RFC 6266).", true),
            meta_header::<String>("Cache-Control", "`private, no-store`.", true),
            meta_header::<String>("Content-Security-Policy", "Whatever it is, it runs and loads nothing.", true),
        ]);
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The bytes of the file, to be saved.",
                status: Some(200),
                status_range: None,
                content: content.into(),
                headers,
            }],
        }
    }

    fn register(_: &mut Registry) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_the_header_or_its_quotes() {
        let header = disposition("naïve \"f\".html\r\nX: y");
        assert_eq!(
            header.to_str().expect("ASCII"),
            "attachment; filename=\"na_ve _f_.html__X: y\"; filename*=UTF-8''na%C3%AFve%20%22f%22.html%0D%0AX%3A%20y"
        );
    }
}
