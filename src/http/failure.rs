//! Errors on the wire: `application/problem+json`, for our own problems and the framework's alike, and how operations
//! say in the document which errors they have.

use poem::{
    Response,
    error::{MethodNotAllowedError, NotFoundError, ResponseError},
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse, Object,
    error::{AuthorizationError, ContentTypeError, ParseParamError, ParsePathError, ParseRequestPayloadError},
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::{Example, ToJSON, Type},
};

use crate::{
    domain::{
        problem::{Code, FieldError, Problem},
        request_id,
    },
    http::text::plain,
};

/// What went wrong (RFC 9457, `application/problem+json`).
#[derive(Debug, Clone, Object)]
#[oai(rename = "Problem", skip_serializing_if_is_none, example)]
pub struct ProblemBody {
    /// Names the kind of problem; the same for every problem of one `code`.
    #[oai(rename = "type")]
    kind: String,
    /// The kind of problem in a few words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened and what to do about it, for people.
    detail: String,
    /// What went wrong, for programs: stable, snake_case.
    code: String,
    /// The answer's `X-Request-Id`: quote it when asking for help.
    request_id: String,
    /// Which input is at fault; only with `invalid_request` and `unprocessable`.
    errors: Option<Vec<InputError>>,
}

/// One input that is not acceptable.
#[derive(Debug, Clone, Object)]
#[oai(rename = "FieldError")]
pub struct InputError {
    /// The body field, query parameter or header.
    field: String,
    /// What is wrong with it.
    message: String,
}

impl Example for ProblemBody {
    fn example() -> Self {
        let problem = Problem::invalid_field("email", "must be an e-mail address such as ada@example.com");
        Self::new(&problem, "0b8e3c2e-64f1-4a53-9f0c-3f0f5a2f1d11")
    }
}

impl ProblemBody {
    pub fn new(problem: &Problem, request_id: &str) -> Self {
        let errors: Vec<InputError> = problem
            .errors
            .iter()
            .map(|FieldError { field, message }| InputError { field: field.clone(), message: message.clone() })
            .collect();
        Self {
            kind: format!("urn:vicket:problem:{}", problem.code.as_str()),
            title: problem.code.title().to_owned(),
            status: problem.code.status(),
            detail: problem.detail.to_string(),
            code: problem.code.as_str().to_owned(),
            request_id: request_id.to_owned(),
            errors: (!errors.is_empty()).then_some(errors),
        }
    }
}

/// The problem as an answer, with the id of the request in progress.
pub fn response(problem: &Problem) -> Response {
    let request_id = request_id::current();
    let status = status(problem);
    let mut response = Response::builder()
        .status(status)
        .content_type("application/problem+json")
        .header(header::CACHE_CONTROL, "no-store")
        .body(ProblemBody::new(problem, &request_id).to_json_string());
    let headers = response.headers_mut();
    if let Some(seconds) = problem.retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    if let Some(Ok(allow)) = problem.allow.as_deref().map(HeaderValue::from_str) {
        headers.insert(header::ALLOW, allow);
    }
    if status == StatusCode::UNAUTHORIZED {
        let challenge = match problem.code {
            Code::KeyMissing | Code::KeyInvalid => "ApiKey header=\"X-Vicket-Key\"",
            _ => "Bearer realm=\"vicket\"",
        };
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    response
}

/// As [`response`], with a member more.
pub fn response_with(problem: &Problem, member: &str, value: serde_json::Value) -> Response {
    let mut response = response(problem);
    if let Some(serde_json::Value::Object(mut body)) = ProblemBody::new(problem, &request_id::current()).to_json() {
        body.insert(member.to_owned(), value);
        response.set_body(serde_json::Value::from(body).to_string());
    }
    response
}

fn status(problem: &Problem) -> StatusCode {
    StatusCode::from_u16(problem.code.status()).expect("codes have valid statuses")
}

impl ResponseError for Problem {
    fn status(&self) -> StatusCode {
        status(self)
    }

    fn as_response(&self) -> Response {
        response(self)
    }
}

/// Any error of the framework as a problem. What a 5xx of the framework says goes to the log only.
pub fn problem_of(error: poem::Error) -> Problem {
    let error = match error.downcast::<Problem>() {
        Ok(problem) => return problem,
        Err(error) => error,
    };
    if let Some(ParseParamError { name, reason }) = error.downcast_ref() {
        return Problem::invalid_field(name, plain(reason));
    }
    if let Some(ParseRequestPayloadError { reason }) = error.downcast_ref() {
        return body_problem(reason);
    }
    if error.is::<ContentTypeError>() {
        return Problem::new(Code::UnsupportedMediaType, "Send the body as `Content-Type: application/json`.");
    }
    if error.is::<AuthorizationError>() {
        return Problem::new(Code::KeyMissing, "Send the site's publishable key in the header X-Vicket-Key.");
    }
    if error.is::<ParsePathError>() || error.is::<NotFoundError>() {
        return Problem::not_found();
    }
    if error.is::<MethodNotAllowedError>() {
        return Problem::new(Code::MethodNotAllowed, "The path exists, but not with this method.");
    }
    match error.status() {
        StatusCode::NOT_FOUND => Problem::not_found(),
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Code::BodyTooLarge, "Send a smaller body."),
        status if status.is_client_error() => Problem::new(Code::InvalidRequest, "The request cannot be read."),
        _ => Problem::internal(error),
    }
}

/// A body that is no object of this request at all: its fields are checked by their handler.
fn body_problem(reason: &str) -> Problem {
    let unknown = reason.split_once("unknown field `").and_then(|(_, rest)| rest.split_once('`'));
    match unknown {
        Some((field, _)) => Problem::invalid_field(&field.replace('\0', "\\0"), "is not a field of this request"),
        None => Problem::new(
            Code::InvalidRequest,
            format!("The body is not acceptable: {}.", plain(reason).trim_end_matches('.')),
        ),
    }
}

/// The error half of a handler's `Result`, with the statuses that are its own; those that every operation of its surface has,
/// `described.rs` adds. `?` makes it of any [`Problem`].
#[derive(Debug)]
pub struct Failure<const A: u16 = 0, const B: u16 = 0, const C: u16 = 0>(Problem);

impl<const A: u16, const B: u16, const C: u16> From<Problem> for Failure<A, B, C> {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl<const A: u16, const B: u16, const C: u16> From<Failure<A, B, C>> for poem::Error {
    fn from(failure: Failure<A, B, C>) -> Self {
        failure.0.into()
    }
}

impl<const A: u16, const B: u16, const C: u16> ApiResponse for Failure<A, B, C> {
    fn meta() -> MetaResponses {
        let own = [A, B, C].into_iter().filter(|status| *status != 0);
        MetaResponses { responses: own.map(|status| problem_meta(status, "", Vec::new())).collect() }
    }

    fn register(registry: &mut Registry) {
        ProblemBody::register(registry);
    }
}

/// How the document shows errors of a status.
pub fn problem_meta(status: u16, description: &'static str, mut headers: Vec<MetaHeader>) -> MetaResponse {
    match status {
        429 | 503 => headers.push(meta_header::<u32>("Retry-After", "Seconds to wait before the next try.", true)),
        401 => headers.push(meta_header::<String>("WWW-Authenticate", "How to say who is asking.", true)),
        _ => {}
    }
    MetaResponse {
        description,
        status: Some(status),
        status_range: None,
        content: vec![MetaMediaType { content_type: "application/problem+json", schema: ProblemBody::schema_ref() }],
        headers,
    }
}

/// The header that every answer has.
pub fn request_id() -> MetaHeader {
    meta_header::<String>("X-Request-Id", "Names this request in the server's log.", true)
}

/// The headers of every answer of the support surface.
pub fn every_answer() -> Vec<MetaHeader> {
    vec![
        request_id(),
        meta_header::<String>(
            "RateLimit-Policy",
            "The limits that apply: name, quota `q`, window `w` in seconds (draft-ietf-httpapi-ratelimit-headers).",
            false,
        ),
        meta_header::<String>("RateLimit", "Where they stand: remaining `r`, seconds `t` to the next window.", false),
    ]
}

pub fn meta_header<T: Type>(name: &str, description: &str, required: bool) -> MetaHeader {
    MetaHeader {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        required,
        deprecated: false,
        schema: T::schema_ref(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frameworks_5xx_says_nothing_of_its_cause() {
        let error = poem::Error::from_string("connection to 10.0.0.1 lost", StatusCode::BAD_GATEWAY);
        let problem = problem_of(error);
        assert_eq!(problem.code, Code::Internal);
        assert!(!problem.detail.contains("10.0.0.1"));
    }
}
