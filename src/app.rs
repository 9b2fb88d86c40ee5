//! Builds the routes; used by the server and by tests.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use ipnet::IpNet;
use poem::{
    Endpoint, EndpointExt, IntoEndpoint, Request, Response,
    endpoint::BoxEndpoint,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::CatchPanic,
};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::{
    api::{
        failure::{self, REQUEST_ID},
        headers::IfNoneMatch,
        support::{self, Surface},
    },
    checks,
    counts::Counts,
    db::{Pool, WidgetGate, Worker},
    kept::{Answer, Kept},
    limits::Limits,
    problem::{Code, Problem, refused_statements},
};

/// What handlers need besides their credential.
pub struct App {
    pub gate: WidgetGate,
    /// The login of the agent surface: checked at start and by `/readyz`.
    pub agent_pool: Pool,
    pub worker: Arc<Worker>,
    pub counts: Arc<Counts>,
    pub limits: Limits,
    pub kept: Kept,
    /// Proxies whose X-Forwarded-For counts.
    pub trusted_proxies: Vec<IpNet>,
}

const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// A page of ours loads nothing from elsewhere and is framed by nobody.
const NO_CONTENT_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
/// The documentation is one file with its script inside; it calls only the server that it came from.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; \
                           connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// How long `/readyz` repeats its last answer.
const READY_FOR: Duration = Duration::from_secs(2);

/// Everything that the server serves.
pub struct Root {
    app: Arc<App>,
    support: BoxEndpoint<'static, Response>,
    docs: Answer,
    document: Answer,
    ready: Mutex<Option<(Instant, bool)>>,
}

impl Root {
    /// # Errors
    /// When the documented surface is not complete.
    pub fn new(app: Arc<App>) -> anyhow::Result<Self> {
        let document = support::document()?;
        let service = support::service();
        // The document that we serve in place of the framework's raw one.
        let docs = service.swagger_ui_html().replacen(&service.spec(), &document, 1);
        let panics = CatchPanic::new().with_handler(|_| failure::response(&Problem::internal("a handler panicked")));
        let handlers = service.into_endpoint().with(panics).map_to_response();
        let surface = Surface::new(handlers, Arc::clone(&app), &document);
        Ok(Self {
            app,
            support: surface.boxed(),
            docs: Answer::new(docs.into_bytes(), None),
            document: Answer::new(document.into_bytes(), None),
            ready: Mutex::new(None),
        })
    }

    async fn dispatch(&self, request: Request) -> Response {
        let path = request.uri().path();
        if path == "/support/v1" || path.starts_with("/support/v1/") {
            return self.support.get_response(request).await;
        }
        let known = matches!(path, "/" | "/healthz" | "/readyz" | "/docs/support" | "/openapi/support.json");
        if !known {
            return failure::response(&Problem::not_found());
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let problem = Problem::new(Code::MethodNotAllowed, "This path takes GET, HEAD.");
            return failure::response(&Problem { allow: Some("GET, HEAD".to_owned()), ..problem });
        }
        match path {
            "/healthz" => text("ok\n"),
            "/readyz" => self.readiness().await,
            "/docs/support" => page(&self.docs, "text/html; charset=utf-8", request.headers()),
            "/openapi/support.json" => page(&self.document, "application/json", request.headers()),
            _ => Response::builder().status(StatusCode::FOUND).header(header::LOCATION, "/docs/support").finish(),
        }
    }

    /// Whether the database can be reached through all three logins and isolation still holds.
    async fn readiness(&self) -> Response {
        let mut ready = self.ready.lock().await;
        let fresh = ready.filter(|(asked, _)| asked.elapsed() < READY_FOR).map(|(_, answer)| answer);
        let answer = match fresh {
            Some(answer) => answer,
            None => {
                let answer = match checks::all(&self.app).await {
                    Ok(findings) => {
                        for finding in &findings {
                            tracing::error!(finding, "isolation does not hold");
                        }
                        findings.is_empty()
                    }
                    // A busy server is a ready one: taking it out would only move its load.
                    Err(problem) if problem.code == Code::Overloaded => true,
                    Err(problem) => {
                        tracing::error!(cause = problem.cause.as_deref(), "not ready");
                        false
                    }
                };
                *ready = Some((Instant::now(), answer));
                answer
            }
        };
        if !answer {
            let detail = "The server cannot serve now: the database is away, or isolation does not hold. See its log.";
            let problem = Problem::new(Code::DatabaseUnavailable, detail);
            return failure::response(&Problem { retry_after: Some(2), ..problem });
        }
        let body = serde_json::json!({ "status": "ready", "refused_statements": refused_statements() });
        Response::builder()
            .content_type("application/json")
            .header(header::CACHE_CONTROL, "no-store")
            .body(body.to_string())
    }
}

fn text(body: &'static str) -> Response {
    Response::builder().content_type("text/plain; charset=utf-8").header(header::CACHE_CONTROL, "no-store").body(body)
}

fn page(page: &Answer, content_type: &str, headers: &HeaderMap) -> Response {
    let known = IfNoneMatch::of(headers).matches(&page.etag);
    let status = if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let body = if known { Bytes::new() } else { page.body.clone() };
    Response::builder()
        .status(status)
        .content_type(content_type)
        .header(header::ETAG, &page.etag)
        .header(header::CACHE_CONTROL, "public, max-age=0, must-revalidate")
        .header(header::CONTENT_SECURITY_POLICY, DOCS_POLICY)
        .body(body)
}

/// The caller's own id where it is a sane one: up to 128 letters, digits, `.`, `_`, `-`.
fn request_id(headers: &HeaderMap) -> String {
    let sane = |id: &&str| {
        (1..=128).contains(&id.len())
            && id.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-'))
    };
    let given = headers.get(REQUEST_ID_HEADER).and_then(|value| value.to_str().ok()).filter(sane);
    given.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned)
}

impl Endpoint for Root {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let began = Instant::now();
        let id = request_id(request.headers());
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let span = tracing::info_span!("request", id);
        let answered = REQUEST_ID.scope(id.clone(), self.dispatch(request));
        let mut response = tracing::Instrument::instrument(answered, span.clone()).await;

        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::try_from(id) {
            headers.insert(REQUEST_ID_HEADER, id);
        }
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
            headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(NO_CONTENT_POLICY));
        }
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        // The path without its query: what a caller searches for is not ours to keep.
        span.in_scope(|| tracing::info!(%method, path, status = response.status().as_u16(), micros, "answered"));
        Ok(response)
    }
}
