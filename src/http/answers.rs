//! Successful answers: what is read, with an `ETag`, and what was made.

use std::marker::PhantomData;

use bytes::Bytes;
use poem::{
    IntoResponse, Response,
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse,
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::{ToJSON, Type},
};

use crate::{
    http::{
        failure::{every_answer, meta_header},
        headers::IfNoneMatch,
    },
    response_cache::CachedResponse,
};

/// A `T` as JSON: 200 with it, or 304 when the client has it. The document shows `T`.
pub struct Read<T> {
    etag: String,
    /// `None` when the client has it.
    body: Option<Bytes>,
    of: PhantomData<fn() -> T>,
}

impl<T: ToJSON> Read<T> {
    /// `value` made ready to be sent, and kept.
    pub fn representation(value: &T) -> CachedResponse {
        CachedResponse::new(value.to_json_string().into_bytes())
    }
}

impl<T> Read<T> {
    /// `answer` must be the representation of a `T`.
    pub fn of(answer: &CachedResponse, asked: &IfNoneMatch) -> Self {
        let body = (!asked.matches(&answer.etag)).then(|| answer.body());
        Self { etag: answer.etag.clone(), body, of: PhantomData }
    }
}

impl<T: Send> IntoResponse for Read<T> {
    fn into_response(self) -> Response {
        let mut response = match self.body {
            None => Response::builder().status(StatusCode::NOT_MODIFIED).finish(),
            Some(body) => Response::builder().content_type("application/json").body(body),
        };
        let headers = response.headers_mut();
        let etag = HeaderValue::try_from(self.etag).expect("quotes and hex digits are valid in a header");
        headers.insert(header::ETAG, etag);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=0, must-revalidate"));
        response
    }
}

impl<T: Type> ApiResponse for Read<T> {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![
                MetaResponse {
                    description: "What was asked for.",
                    status: Some(200),
                    status_range: None,
                    content: vec![json_of::<T>()],
                    headers: read_headers(),
                },
                MetaResponse {
                    description: "The client has it already: its `ETag` stands in If-None-Match.",
                    status: Some(304),
                    status_range: None,
                    content: vec![],
                    headers: read_headers(),
                },
            ],
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

fn read_headers() -> Vec<MetaHeader> {
    let mut headers = every_answer();
    headers.extend([
        meta_header::<String>("ETag", "Names this content; send it back in If-None-Match.", true),
        meta_header::<String>(
            "Cache-Control",
            "`private, max-age=0, must-revalidate`: keep it, ask before each use.",
            true,
        ),
        meta_header::<String>("Vary", "The request headers that the answer depends on.", true),
    ]);
    headers
}

fn json_of<T: Type>() -> MetaMediaType {
    MetaMediaType { content_type: "application/json", schema: T::schema_ref() }
}

/// 201 with what was made. Stored by nobody on the way, since it may show a secret once.
pub struct Created<T>(pub T);

impl<T: ToJSON> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        Response::builder()
            .status(StatusCode::CREATED)
            .content_type("application/json")
            .header(header::CACHE_CONTROL, "no-store")
            .body(self.0.to_json_string())
    }
}

impl<T: ToJSON> ApiResponse for Created<T> {
    fn meta() -> MetaResponses {
        let mut headers = every_answer();
        headers.push(meta_header::<String>("Cache-Control", "`no-store`.", true));
        MetaResponses {
            responses: vec![MetaResponse {
                description: "What was made.",
                status: Some(201),
                status_range: None,
                content: vec![json_of::<T>()],
                headers,
            }],
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}
