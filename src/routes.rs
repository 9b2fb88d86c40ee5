//! Who is mounted where: the surfaces, the documents, the pages, `/healthz` and `/readyz`. Used by the server and by tests.

mod answered;

use std::{
    collections::HashSet,
    sync::{Arc, LazyLock, atomic::Ordering},
    time::Instant,
};

use poem::{
    Endpoint, EndpointExt, Request, Response,
    endpoint::BoxEndpoint,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header},
};
use uuid::Uuid;

use crate::{
    api::{agent, inbound, support},
    auth::csrf::{self, RequestOrigin},
    codings::Coding,
    dashboard,
    db::{refused_statements, unclean_sessions},
    domain::{
        keys::may_hold_secret,
        problem::{Code, Problem},
        request_id::REQUEST_ID,
    },
    http::{
        answers::kept,
        encodings, failure,
        headers::IfNoneMatch,
        request::{client_network, peer, unambiguous},
    },
    pages::{
        self, docs, sent_mail,
        widget::{self, Asked, Widget},
    },
    readiness::{Reason, Watch},
    response_cache::CachedResponse,
    state::App,
    telemetry::{
        meters::Template,
        request::{Seen, note},
    },
};
use answered::Line;

const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// A page of ours loads nothing from elsewhere and is framed by nobody.
const NO_CONTENT_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
/// The documentation is one file with its script inside; it calls only the server that it came from.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; \
                           connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// What is served beside the surfaces and the files.
const BESIDE: [&str; 7] =
    ["/", "/healthz", "/readyz", "/docs/support", "/docs/agent", "/openapi/support.json", "/openapi/agent.json"];
const SUPPORT: &str = "support";
const AGENT: &str = "agent";
const DASHBOARD: &str = "dashboard";
const MAIL: &str = "mail";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// A surface, and the document that it keeps to.
struct Documented {
    endpoint: BoxEndpoint<'static, Response>,
    // Made when somebody first asks for them: most of the memory of a server that is idle would be these.
    /// To read, as a page.
    docs: LazyLock<CachedResponse>,
    document: LazyLock<CachedResponse>,
}

/// Everything that the server serves.
pub struct Root {
    app: Arc<App>,
    support: Documented,
    agent: Documented,
    dashboard: dashboard::Dashboard,
    files: Vec<pages::File>,
    widget: Widget,
    ready: Arc<Watch>,
    /// Of all routes.
    words: Arc<HashSet<String>>,
}

impl Root {
    pub fn new(app: Arc<App>) -> Self {
        let mut words = HashSet::new();
        let support = Documented {
            endpoint: support::endpoint(Arc::clone(&app), &mut words).boxed(),
            docs: LazyLock::new(|| docs::page(support::COMMITTED)),
            document: LazyLock::new(|| CachedResponse::new(support::COMMITTED.into())),
        };
        let agent = Documented {
            endpoint: agent::endpoint(Arc::clone(&app), &mut words).boxed(),
            docs: LazyLock::new(|| docs::page(agent::COMMITTED)),
            document: LazyLock::new(|| CachedResponse::new(agent::COMMITTED.into())),
        };
        let dashboard = dashboard::Dashboard::new(Arc::clone(&app));
        let ready = Arc::new(Watch::new(Arc::clone(&app)));
        for path in BESIDE {
            words.extend(path.split('/').map(str::to_owned));
        }
        let (files, widget) = (pages::files(), Widget::default());
        Self { app, support, agent, dashboard, files, widget, ready, words: Arc::new(words) }
    }

    /// What tells whether the server can serve.
    pub fn watch(&self) -> Arc<Watch> {
        Arc::clone(&self.ready)
    }

    async fn dispatch(&self, request: Request, surface: &'static str) -> Response {
        if let Err(problem) = unambiguous(&request) {
            let mut response = failure::response(&problem);
            if request.version() < Version::HTTP_2 {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            return response;
        }
        let path = request.uri().path();
        if surface == SUPPORT {
            return self.support.endpoint.get_response(request).await;
        }
        if surface == AGENT {
            return self.agent.endpoint.get_response(request).await;
        }
        if surface == MAIL {
            let network = client_network(&request, &self.app);
            return inbound::respond(&self.app, request, network).await;
        }
        if let Some(dir) = &self.app.shown_mail
            && matches!(*request.method(), Method::GET | Method::HEAD)
            && let Some(name) = sent_mail::named(path)
        {
            note(|seen| seen.template = Some(Template::of(sent_mail::TEMPLATE)));
            return sent_mail::show(dir, name).await.unwrap_or_else(|problem| failure::response(&problem));
        }
        if let Some(asked) = self.widget.asked(path) {
            return self.launcher(&request, asked);
        }
        let file = self.files.iter().find(|file| file.path == path);
        if file.is_none() && surface == DASHBOARD {
            return self.dashboard.get_response(request).await;
        }
        let known = file.map(|file| file.path).or_else(|| BESIDE.into_iter().find(|known| *known == path));
        let Some(known) = known else { return failure::response(&Problem::not_found()) };
        note(|seen| seen.template = Some(Template::of(known)));
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return failure::response(&not_to_be_written());
        }
        if let Some(file) = file {
            return page(&file.answer, file.content_type, file.policy, request.headers());
        }
        match path {
            "/healthz" => text("ok\n"),
            "/readyz" => self.readiness().await,
            "/docs/support" => page(&self.support.docs, HTML, DOCS_POLICY, request.headers()),
            "/docs/agent" => page(&self.agent.docs, HTML, DOCS_POLICY, request.headers()),
            "/openapi/support.json" => page(&self.support.document, JSON, NO_CONTENT_POLICY, request.headers()),
            "/openapi/agent.json" => page(&self.agent.document, JSON, NO_CONTENT_POLICY, request.headers()),
            _ => Response::builder().status(StatusCode::FOUND).header(header::LOCATION, "/docs/support").finish(),
        }
    }

    /// The script for pages of any origin. It says nothing of anybody, so any page may read it, as its `integrity` demands.
    fn launcher(&self, request: &Request, asked: Asked) -> Response {
        note(|seen| seen.template = Some(Template::of(widget::ALIAS)));
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return failure::response(&not_to_be_written());
        }
        let cached = match asked {
            Asked::Version => "public, max-age=31536000, immutable",
            Asked::Any => "public, max-age=3600, stale-while-revalidate=86400",
        };
        let answer = Response::builder()
            .header(header::CACHE_CONTROL, cached)
            .header(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")
            .header("cross-origin-resource-policy", "cross-origin");
        let page = &self.widget.answer;
        let known = IfNoneMatch::of(request.headers()).matches(&page.etag);
        kept(answer, "text/javascript; charset=utf-8", page.shown(), known)
    }

    /// Whether it goes on serving, the database can be reached through all three logins, is the primary, has the schema that this program needs, and isolation
    /// still holds.
    async fn readiness(&self) -> Response {
        if self.app.draining.load(Ordering::Relaxed) {
            return unready(&[Reason::Draining]);
        }
        let reasons = self.ready.reasons().await;
        if !reasons.is_empty() {
            return unready(&reasons);
        }
        let body = serde_json::json!({
            "status": "ready",
            "refused_statements": refused_statements(),
            "unclean_sessions": unclean_sessions(),
        });
        Response::builder()
            .content_type("application/json")
            .header(header::CACHE_CONTROL, "no-store")
            .body(body.to_string())
    }
}

/// What `/readyz` answers when the server cannot serve: a problem with a member `reasons`.
fn unready(reasons: &[Reason]) -> Response {
    let detail = "The server cannot serve now, for these `reasons`. Its log has the details.";
    let problem = Problem { retry_after: Some(2), ..Problem::new(Code::DatabaseUnavailable, detail) };
    failure::response_with(&problem, "reasons", reasons.iter().map(|reason| reason.as_str()).collect())
}

fn not_to_be_written() -> Problem {
    let problem = Problem::new(Code::MethodNotAllowed, "This path takes GET, HEAD.");
    Problem { allow: Some("GET, HEAD".to_owned()), ..problem }
}

fn text(body: &'static str) -> Response {
    Response::builder().content_type("text/plain; charset=utf-8").header(header::CACHE_CONTROL, "no-store").body(body)
}

fn page(page: &CachedResponse, content_type: &str, policy: &'static str, headers: &HeaderMap) -> Response {
    let answer = Response::builder()
        .header(header::CACHE_CONTROL, "public, max-age=0, must-revalidate")
        .header(header::CONTENT_SECURITY_POLICY, policy);
    kept(answer, content_type, page.shown(), IfNoneMatch::of(headers).matches(&page.etag))
}

/// The caller's own id where it is a sane one: up to 128 letters, digits, `.`, `_`, `-`, and none of our secrets.
fn request_id(headers: &HeaderMap) -> String {
    let sane = |id: &&str| {
        (1..=128).contains(&id.len())
            && id.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-'))
            && !may_hold_secret(id)
    };
    let given = headers.get(REQUEST_ID_HEADER).and_then(|value| value.to_str().ok()).filter(sane);
    given.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned)
}

/// The surface that a path is of.
fn surface(path: &str) -> &'static str {
    if widget::is_path(path) {
        return "none";
    }
    let roots = [("/support/v1", SUPPORT), ("/v1", AGENT), ("/dashboard", DASHBOARD), (inbound::ROOT, MAIL)];
    let of = |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    roots.into_iter().find(|(root, _)| of(root)).map_or("none", |(_, surface)| surface)
}

impl Root {
    /// How the answer is to be encoded. What another's page asks for with a person's cookie is sent as it is: whoever chooses
    /// what an answer repeats, and sees how many bytes it then takes, guesses what else it says (BREACH).
    fn coding(&self, request: &Request, surface: &str) -> Option<Coding> {
        let headers = request.headers();
        let by_cookie = matches!(surface, AGENT | DASHBOARD) && headers.contains_key(header::COOKIE);
        let own = || csrf::public_url(self.app.public_url.as_deref(), request.uri(), headers);
        if by_cookie && RequestOrigin::of(headers, &own()) == RequestOrigin::Foreign {
            return None;
        }
        encodings::preferred(headers)
    }

    /// The line of a request that begins, and the request as it is seen.
    fn begin(&self, request: &Request, surface: &'static str) -> Line {
        let id = request_id(request.headers());
        let peer = peer(request);
        let trusted = self.app.trusted_proxies.iter().any(|proxy| proxy.contains(&peer));
        let span = self.app.traces.request(trusted.then(|| request.headers()));
        Line {
            seen: Seen::new(Arc::clone(&self.app.meters), span),
            log: tracing::info_span!("request", id),
            id,
            began: Instant::now(),
            surface,
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            network: client_network(request, &self.app),
            words: Arc::clone(&self.words),
            status: None,
            sent: 0,
        }
    }
}

impl Endpoint for Root {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let surface = surface(request.uri().path());
        let line = self.begin(&request, surface);
        let coding = self.coding(&request, surface);
        let answered = line.seen.scope(REQUEST_ID.scope(line.id.clone(), self.dispatch(request, surface)));
        let mut response = Box::pin(tracing::Instrument::instrument(answered, line.log.clone())).await;
        if !matches!(line.method, Method::GET | Method::HEAD) && response.status().as_u16() < 400 {
            self.app.mail_written.notify_one();
        }

        if matches!(line.method, Method::GET | Method::HEAD) {
            response = encodings::encoded(response, coding).await;
        }
        if line.method == Method::HEAD {
            response = encodings::without_body(response);
        }
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::try_from(line.id.as_str()) {
            headers.insert(REQUEST_ID_HEADER, id);
        }
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
        if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
            headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(NO_CONTENT_POLICY));
        }
        Ok(line.answer(response))
    }
}
