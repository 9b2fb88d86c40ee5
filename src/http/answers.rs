//! Successful answers. [`Ok`] is written `answers::Ok`, so that no `Result` takes it for its own.

use std::marker::PhantomData;

use poem::{
    IntoResponse, Response, ResponseBuilder,
    http::{StatusCode, header},
};
use poem_openapi::{
    ApiResponse, Object,
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::{IsObjectType, ParseFromJSON, ToJSON, Type},
};

use crate::{
    http::{
        failure::{every_answer, meta_header},
        headers::IfNoneMatch,
        text::Nullable,
    },
    response_cache::{CachedResponse, Shown},
};

/// 200 with what was asked for, or with what it is now.
pub struct Ok<T>(pub T);

/// 201 with what was made, its secret included, once.
pub struct Created<T>(pub T);

/// 204.
pub struct NoContent;

/// 202: something is done, or not, and the answer does not say which.
pub struct Accepted;

impl<T: ToJSON> IntoResponse for Ok<T> {
    fn into_response(self) -> Response {
        unstored(StatusCode::OK).content_type("application/json").body(self.0.to_json_string())
    }
}

impl<T: ToJSON> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        unstored(StatusCode::CREATED).content_type("application/json").body(self.0.to_json_string())
    }
}

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        unstored(StatusCode::NO_CONTENT).finish()
    }
}

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        unstored(StatusCode::ACCEPTED).finish()
    }
}

impl ApiResponse for Accepted {
    fn meta() -> MetaResponses {
        unstored_meta(StatusCode::ACCEPTED, "It was asked for.", vec![])
    }

    fn register(_: &mut Registry) {}
}

impl<T: ToJSON> ApiResponse for Ok<T> {
    fn meta() -> MetaResponses {
        unstored_meta(StatusCode::OK, "What was asked for, or what it is now.", vec![json_of::<T>()])
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: ToJSON> ApiResponse for Created<T> {
    /// Its description is that of its surface.
    fn meta() -> MetaResponses {
        unstored_meta(StatusCode::CREATED, "What was made.", vec![json_of::<T>()])
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl ApiResponse for NoContent {
    fn meta() -> MetaResponses {
        unstored_meta(StatusCode::NO_CONTENT, "Done.", vec![])
    }

    fn register(_: &mut Registry) {}
}

/// An answer that nobody stores on the way: it may show a secret.
fn unstored(status: StatusCode) -> ResponseBuilder {
    Response::builder().status(status).header(header::CACHE_CONTROL, "no-store")
}

fn unstored_meta(status: StatusCode, description: &'static str, content: Vec<MetaMediaType>) -> MetaResponses {
    let mut headers = every_answer();
    headers.push(meta_header::<String>("Cache-Control", "`no-store`.", true));
    let status = Some(status.as_u16());
    MetaResponses { responses: vec![MetaResponse { description, status, status_range: None, content, headers }] }
}

fn json_of<T: Type>() -> MetaMediaType {
    MetaMediaType { content_type: "application/json", schema: T::schema_ref() }
}

/// An answer that also sets or clears the session's cookie.
pub struct WithCookie<T> {
    pub answer: T,
    /// The whole value of `Set-Cookie`.
    pub cookie: String,
}

impl<T: IntoResponse> IntoResponse for WithCookie<T> {
    fn into_response(self) -> Response {
        self.answer.with_header("set-cookie", self.cookie).into_response()
    }
}

impl<T: ApiResponse> ApiResponse for WithCookie<T> {
    fn meta() -> MetaResponses {
        let mut meta = T::meta();
        for response in &mut meta.responses {
            response.headers.push(meta_header::<String>("Set-Cookie", "The session: set, or cleared.", true));
        }
        meta
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// A page of a list.
#[derive(Object)]
pub struct Page<T: Type + ParseFromJSON + ToJSON + IsObjectType + Send + Sync> {
    /// The entries.
    data: Vec<T>,
    /// Pass it as `cursor` for the next page; `null` on the last one.
    next_cursor: Nullable<String>,
}

impl<T: Type + ParseFromJSON + ToJSON + IsObjectType + Send + Sync> Page<T> {
    /// Rows of the store as entries of the answer.
    pub fn of<R>((rows, next): (Vec<R>, Option<String>), entry: impl Fn(R) -> T) -> Self {
        Self { data: rows.into_iter().map(entry).collect(), next_cursor: Nullable(next) }
    }
}

/// What is kept: 200, or 304 to who has it. It comes with its encodings, of which one may be sent instead.
pub fn kept(answer: ResponseBuilder, content_type: &str, shown: Shown, known: bool) -> Response {
    let answer = answer.header(header::ETAG, shown.etag());
    if known {
        return answer.status(StatusCode::NOT_MODIFIED).extension(shown).finish();
    }
    let body = shown.body();
    answer.status(StatusCode::OK).content_type(content_type).extension(shown).body(body)
}

/// A `T` that clients keep and ask for again by its entity tag: 200 with it, or 304 when the client has it. The document
/// shows `T`.
pub struct Cached<T> {
    shown: Shown,
    /// The client has it.
    known: bool,
    of: PhantomData<fn() -> T>,
}

impl<T: ToJSON> Cached<T> {
    /// `value` made ready to be sent, and kept.
    pub fn representation(value: &T) -> CachedResponse {
        CachedResponse::new(value.to_json_string().into_bytes())
    }
}

impl<T> Cached<T> {
    /// `answer` must be the representation of a `T`.
    pub fn of(answer: &CachedResponse, asked: &IfNoneMatch) -> Self {
        Self { shown: answer.shown(), known: asked.matches(&answer.etag), of: PhantomData }
    }
}

impl<T: Send> IntoResponse for Cached<T> {
    fn into_response(self) -> Response {
        let answer = Response::builder().header(header::CACHE_CONTROL, "private, max-age=0, must-revalidate");
        kept(answer, "application/json", self.shown, self.known)
    }
}

impl<T: Type> ApiResponse for Cached<T> {
    fn meta() -> MetaResponses {
        let answer = |status, description, content| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content,
            headers: cached_headers(),
        };
        let known = "The client has it already: its `ETag` stands in If-None-Match.";
        let responses = vec![answer(200, "What was asked for.", vec![json_of::<T>()]), answer(304, known, vec![])];
        MetaResponses { responses }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

fn cached_headers() -> Vec<MetaHeader> {
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
