//! What stands before every handler of the support surface, in this order: preflights, the body, the key, the origin,
//! the limits. Whatever the outcome, the answer gets its CORS and RateLimit headers here.
//!
//! The body is read first, under its cap, because entering a site takes a connection and a slow upload must not hold
//! one. Then the one message that enters says all that the rest needs to know.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use poem::{
    Body, Endpoint, Request, Response,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    web::RemoteAddr,
};
use quick_cache::sync::Cache;
use uuid::Uuid;

use crate::{
    api::{
        failure,
        openapi::{self, Routes},
    },
    app::App,
    auth::site_key::{Presented, Slot, presented_ticket},
    counts::SiteRef,
    db::{Access, Entry, Knock, SiteTx, Verdict},
    keys::{Sha256Digest, TicketToken},
    limits::{self, Bucket, Network, Policy, Standing},
    problem::{Code, Problem},
};

/// The largest body, bytes.
const BODY: usize = 128 * 1024;
/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(20);
/// How long a handler may take; its statements have shorter bounds of their own.
const HANDLER_TIME: Duration = Duration::from_secs(30);
const TICKETS: &str = "/support/v1/tickets";
const KEY_CHECK: &str = "/support/v1/key/check";

/// Per client network and minute; not a setting of any site, because no site is known yet.
const REFUSED_A_MINUTE: u32 = 300;
const PREFLIGHTS_A_MINUTE: u32 = 600;
const KEY_CHECKS_A_MINUTE: u32 = 30;

const ALLOW_METHODS: &str = "GET, POST, HEAD";
const ALLOW_HEADERS: &str = "X-Vicket-Key, X-Vicket-Ticket, Idempotency-Key, Content-Type, If-None-Match";
const EXPOSE_HEADERS: &str = "X-Request-Id, ETag, Retry-After, RateLimit, RateLimit-Policy";
const MAX_AGE: &str = "7200";

/// The support surface around its handlers.
pub struct Surface<E> {
    handlers: E,
    app: Arc<App>,
    routes: Routes,
    /// Keys that were good lately: a network that guesses keys is refused early, and this keeps that from hitting its
    /// neighbours. Never a way in.
    good: Cache<Sha256Digest, ()>,
    /// Origins that some site listed lately, for answers that are given without asking the database.
    known_origins: Cache<Sha256Digest, ()>,
}

/// An answer and what its headers are to say.
struct Outcome {
    response: Response,
    /// The page may read it.
    readable: bool,
    standings: Vec<Standing>,
}

/// What a request says before anything is looked up.
struct Caller {
    key: Presented,
    origin: Option<HeaderValue>,
    origin_digest: Option<Sha256Digest>,
    network: Network,
    path: String,
    method: Method,
}

impl<E: Endpoint<Output = Response>> Surface<E> {
    /// `document` tells which paths and methods there are.
    pub fn new(handlers: E, app: Arc<App>, document: &str) -> Self {
        let routes = openapi::routes(document);
        Self { handlers, app, routes, good: Cache::new(100_000), known_origins: Cache::new(10_000) }
    }

    async fn preflight(&self, caller: &Caller) -> Result<Outcome, Problem> {
        let bucket = Bucket { policy: Policy::Preflights, site: None, network: Some(caller.network) };
        let standings = self.app.limits.take(Instant::now(), &[(bucket, PREFLIGHTS_A_MINUTE)]);
        if let Some(refusal) = over(&standings) {
            let response = failure::response(&refusal);
            return Ok(Outcome { response, readable: self.remembered(caller), standings });
        }
        let known = caller.path == KEY_CHECK || self.origin_known(caller).await?;
        let mut response = Response::builder().status(StatusCode::NO_CONTENT).finish();
        let headers = response.headers_mut();
        let vary = "Access-Control-Request-Method, Access-Control-Request-Headers";
        headers.append(header::VARY, HeaderValue::from_static(vary));
        if known {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(ALLOW_METHODS));
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOW_HEADERS));
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
        }
        Ok(Outcome { response, readable: known, standings })
    }

    async fn origin_known(&self, caller: &Caller) -> Result<bool, Problem> {
        let Some(digest) = caller.origin_digest else { return Ok(false) };
        let known = self.app.gate.origin_known(digest).await?;
        self.remember(caller, known);
        Ok(known)
    }

    fn remember(&self, caller: &Caller, known: bool) {
        match caller.origin_digest {
            Some(digest) if known => self.known_origins.insert(digest, ()),
            Some(digest) => drop(self.known_origins.remove(&digest)),
            None => {}
        }
    }

    fn remembered(&self, caller: &Caller) -> bool {
        caller.path == KEY_CHECK || caller.origin_digest.is_some_and(|digest| self.known_origins.get(&digest).is_some())
    }

    fn is_good(&self, key: Presented) -> bool {
        matches!(key, Presented::Digest(digest, _) if self.good.get(&digest).is_some())
    }

    async fn answer(&self, caller: &Caller, mut request: Request) -> Outcome {
        let routed = self.routed(caller);
        let body = match caller.method {
            Method::POST => read_body(&mut request).await,
            _ => Ok(Body::empty()),
        };
        if !self.is_good(caller.key) {
            let guessing = Bucket { policy: Policy::Refused, site: None, network: Some(caller.network) };
            let standing = self.app.limits.peek(Instant::now(), guessing, REFUSED_A_MINUTE);
            if let Some(refusal) = over(&[standing]) {
                let response = failure::response(&refusal);
                return Outcome { response, readable: self.remembered(caller), standings: vec![standing] };
            }
        }
        let Presented::Digest(key, _) = caller.key else {
            return self.refuse_key(caller, routed).await;
        };

        let issued = (caller.method == Method::POST && caller.path == TICKETS).then(TicketToken::mint);
        let knock = Knock {
            access: if caller.method == Method::POST { Access::Write } else { Access::Read },
            key,
            origin: caller.origin_digest,
            ticket: issued.as_ref().map(TicketToken::digest).or_else(|| presented_ticket(request.headers())),
        };
        match self.app.gate.enter(&knock).await {
            Ok(Verdict::Entered(tx)) => {
                self.good.insert(key, ());
                self.admit(caller, request, tx.issuing(issued), routed, body).await
            }
            Ok(Verdict::Unknown { origin_known }) => {
                self.good.remove(&key);
                self.remember(caller, origin_known);
                self.refuse(caller, routed, origin_known)
            }
            Err(problem) => self.failed(caller, &problem),
        }
    }

    /// The database did not say whether the origin is listed; what it said last decides whether the page may read why.
    fn failed(&self, caller: &Caller, problem: &Problem) -> Outcome {
        log(problem);
        Outcome { response: failure::response(problem), readable: self.remembered(caller), standings: Vec::new() }
    }

    /// There is no key to look up: only the origin is asked for, so that its page can read the refusal.
    async fn refuse_key(&self, caller: &Caller, routed: Result<(), Problem>) -> Outcome {
        match self.origin_known(caller).await {
            Ok(known) => self.refuse(caller, routed, known),
            Err(problem) => self.failed(caller, &problem),
        }
    }

    fn refuse(&self, caller: &Caller, routed: Result<(), Problem>, origin_known: bool) -> Outcome {
        let bucket = Bucket { policy: Policy::Refused, site: None, network: Some(caller.network) };
        let standings = self.app.limits.take(Instant::now(), &[(bucket, REFUSED_A_MINUTE)]);
        let refusal = over(&standings).or(routed.err()).unwrap_or_else(|| caller.key.refusal());
        let readable = origin_known || caller.path == KEY_CHECK;
        Outcome { response: failure::response(&refusal), readable, standings }
    }

    /// The key is good. Origin and limits decide; then the handler works in the transaction that was entered.
    async fn admit(
        &self,
        caller: &Caller,
        mut request: Request,
        tx: SiteTx,
        routed: Result<(), Problem>,
        body: Result<Body, Problem>,
    ) -> Outcome {
        let entry = tx.entry().clone();
        let site = SiteRef { org_id: entry.org_id, site_id: entry.site_id };
        let listed = caller.origin.is_none() || entry.origin_listed;
        let readable = listed || caller.path == KEY_CHECK;
        self.remember(caller, entry.origin_listed);
        self.app.counts.key_used(site, entry.key_id);

        let asks = asks(caller, &entry, tx.access());
        // A page that may not use the key must not use up the site: it is counted for its network only.
        let asked = if readable { &asks[..] } else { &asks[..1] };
        let standings = self.app.limits.take(Instant::now(), asked);
        let refusal = over(&standings).or_else(|| {
            (!readable).then(|| {
                if let Some(origin) = &caller.origin {
                    self.app.counts.origin_refused(site, &String::from_utf8_lossy(origin.as_bytes()));
                }
                let detail = "The site of this key does not list the page's origin. Ask GET /support/v1/key/check why.";
                Problem::new(Code::OriginNotAllowed, detail)
            })
        });
        let refusal = refusal.or(routed.err());
        let body = match (refusal, body) {
            (Some(refusal), _) | (None, Err(refusal)) => {
                let refused = tx.finish::<()>(Err(refusal)).await.err();
                let response = refused.map_or_else(Response::default, |problem| failure::response(&problem));
                return Outcome { response, readable, standings };
            }
            (None, Ok(body)) => body,
        };

        let slot = Arc::new(Slot::new(tx));
        request.set_data(Arc::clone(&slot));
        request.set_data(Arc::clone(&self.app));
        // The router turns a HEAD into a GET; who counts views asks here.
        request.set_data(caller.method.clone());
        request.set_body(body);
        let handled = tokio::time::timeout(HANDLER_TIME, self.handlers.call(request)).await;
        let answered = handled.unwrap_or_else(|_| Err(Problem::overloaded("the handler took too long").into()));
        let response = answered.unwrap_or_else(|error| {
            let problem = failure::problem_of(error);
            log(&problem);
            failure::response(&problem)
        });
        // The handler took no transaction, because its input was refused: nothing was done, the connection is clean.
        if let Some(tx) = slot.take() {
            let _: Result<(), Problem> = tx.finish(Err(Problem::not_found())).await;
        }
        Outcome { response, readable, standings }
    }

    fn routed(&self, caller: &Caller) -> Result<(), Problem> {
        let Some(methods) = self.routes.allowed(&caller.path) else {
            return Err(Problem::not_found());
        };
        if methods.contains(&caller.method) && caller.method != Method::OPTIONS {
            return Ok(());
        }
        let allow = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        let problem = Problem::new(Code::MethodNotAllowed, format!("This path takes {allow}."));
        Err(Problem { allow: Some(allow), ..problem })
    }
}

/// The network is asked first: a request that it refuses must not use up the site.
fn asks(caller: &Caller, entry: &Entry, access: Access) -> Vec<(Bucket, u32)> {
    let bucket = |policy, site: Option<Uuid>, network| Bucket { policy, site, network };
    let (site, network) = (Some(entry.site_id), Some(caller.network));
    if caller.path == KEY_CHECK {
        return vec![(bucket(Policy::KeyChecks, None, network), KEY_CHECKS_A_MINUTE)];
    }
    let (of_network, of_site) = match access {
        Access::Read => ((Policy::NetworkReads, entry.limits.network_reads), (Policy::SiteReads, entry.limits.reads)),
        Access::Write => {
            ((Policy::NetworkWrites, entry.limits.network_writes), (Policy::SiteWrites, entry.limits.writes))
        }
    };
    vec![(bucket(of_network.0, site, network), of_network.1), (bucket(of_site.0, site, None), of_site.1)]
}

fn over(standings: &[Standing]) -> Option<Problem> {
    let exceeded = standings.iter().find(|standing| standing.exceeded)?;
    let seconds = exceeded.reset_seconds();
    let detail = format!("The limit `{}` is used up. Try again in {seconds} s.", exceeded.policy.name());
    Some(Problem { retry_after: Some(seconds), ..Problem::new(Code::RateLimited, detail) })
}

/// What went wrong on our side is logged here, once; callers see its code and the request id.
fn log(problem: &Problem) {
    if let Some(cause) = &problem.cause {
        tracing::error!(code = problem.code.as_str(), cause, "request failed");
    }
}

async fn read_body(request: &mut Request) -> Result<Body, Problem> {
    let too_large = || Problem::new(Code::BodyTooLarge, format!("A body may have {} KiB at the most.", BODY / 1024));
    let declared = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: u64| length > BODY as u64) {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_TIME, request.take_body().into_bytes_limit(BODY)).await {
        Ok(Ok(bytes)) => Ok(Body::from_bytes(bytes)),
        Ok(Err(poem::error::ReadBodyError::PayloadTooLarge)) => Err(too_large()),
        Ok(Err(_)) => Err(Problem::new(Code::InvalidRequest, "The body could not be read.")),
        Err(_) => Err(Problem::new(Code::InvalidRequest, "The body did not arrive in time.")),
    }
}

impl Caller {
    fn of(request: &Request, app: &App) -> Self {
        let headers = request.headers();
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let origin = match (origins.next(), origins.next()) {
            // Browsers send one. Of several, none is the page's.
            (Some(_), Some(_)) => Some(HeaderValue::from_static("null")),
            (origin, _) => origin.cloned(),
        };
        Self {
            key: Presented::read(headers),
            origin_digest: origin.as_ref().map(|origin| Sha256Digest::of(origin.as_bytes())),
            origin,
            network: Network::of(client_address(request, app)),
            path: request.uri().path().to_owned(),
            method: request.method().clone(),
        }
    }

    fn is_preflight(&self, headers: &HeaderMap) -> bool {
        self.method == Method::OPTIONS
            && self.origin.is_some()
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    }
}

/// The client's address, as seen past the configured proxies.
fn client_address(request: &Request, app: &App) -> IpAddr {
    let RemoteAddr(peer) = request.remote_addr();
    let peer = peer.as_socket_addr().map_or(IpAddr::from([0, 0, 0, 0]), std::net::SocketAddr::ip);
    let forwarded: Vec<&str> =
        request.headers().get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    let forwarded = (!forwarded.is_empty()).then(|| forwarded.join(","));
    limits::client_address(peer, forwarded.as_deref(), &app.trusted_proxies)
}

fn decorate(caller: &Caller, outcome: Outcome) -> Response {
    let Outcome { mut response, readable, standings } = outcome;
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin, X-Vicket-Key, X-Vicket-Ticket"));
    for (name, value) in
        [("ratelimit-policy", limits::policy_header(&standings)), ("ratelimit", limits::rate_limit_header(&standings))]
    {
        if let (false, Ok(value)) = (value.is_empty(), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    if let (true, Some(origin)) = (readable, &caller.origin) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSE_HEADERS));
    }
    response
}

impl<E: Endpoint<Output = Response>> Endpoint for Surface<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let caller = Caller::of(&request, &self.app);
        let outcome = if caller.is_preflight(request.headers()) {
            self.preflight(&caller).await.unwrap_or_else(|problem| self.failed(&caller, &problem))
        } else {
            self.answer(&caller, request).await
        };
        Ok(decorate(&caller, outcome))
    }
}
