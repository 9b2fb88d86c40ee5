//! Files in a `multipart/form-data` body: told apart, named harmlessly, typed by what they are.

use bytes::Bytes;
use multer::{Constraints, Multipart, SizeLimit};
use poem::{Request, RequestBody, http::header};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef},
};

use crate::domain::{
    files::{File, MAX_BYTES, MAX_FILES, MAX_MESSAGE_BYTES, harmless, media_type},
    keys::Sha256Digest,
    problem::{Code, Problem},
};

/// The largest body of an upload, bytes.
pub const BODY: usize = MAX_MESSAGE_BYTES;
const PART: &str = "file";

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
            max_items: Some(MAX_FILES),
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
    let constraints = Constraints::new().size_limit(SizeLimit::new().per_field(MAX_BYTES as u64));
    let mut parts = Multipart::with_constraints(stream, boundary, constraints);
    let mut files = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(problem)? {
        if part.name() != Some(PART) {
            return Err(Problem::invalid_field(PART, "is the only part that an upload has; it may be repeated"));
        }
        let Some(name) = part.file_name().map(harmless) else {
            return Err(Problem::invalid_field(PART, "needs a filename"));
        };
        if files.len() == MAX_FILES {
            return Err(Problem::unprocessable(PART, format!("a message has {MAX_FILES} files at the most")));
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
            Problem::new(Code::BodyTooLarge, format!("A file may have {} MiB at the most.", MAX_BYTES / 1024 / 1024))
        }
        _ => unreadable(),
    }
}
