//! What stands before every handler of the support surface, in this order: preflights, the body, the key, the origin,
//! the limits. Whatever the outcome, the answer gets its CORS and RateLimit headers here.
//!
//! The body is read first, under its cap, because entering a site takes a connection and a slow upload must not hold
//! one. Then the gate says all that the rest needs to know: with a transaction that has entered, for a handler that works
//! in one, and without for the rest, which reads published content or is refused.

use std::sync::Arc;

use poem::{
    Body, Request, Response,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};
use quick_cache::sync::Cache;
use uuid::Uuid;

use super::reading;
use crate::{
    auth::{
        csrf::{self, RequestOrigin},
        site_key::{Admitted, Presented, presented_ticket},
    },
    db::{Access, Entry, EntryRequest, Verdict},
    domain::{
        keys::{Sha256Digest, TicketToken},
        problem::{Code, Problem},
    },
    http::{
        failure,
        request::{client_network, discard, log, over, read_body, read_files, say_limits},
        router::{self, Operation},
    },
    limits::{Bucket, Network, Policy, REFUSED, Standing},
    state::App,
    store::usage::SiteRef,
};

/// The largest body but of files, bytes.
const BODY: usize = 128 * 1024;
const TICKETS: &str = "/support/v1/tickets";
const KEY_CHECK: &str = "/support/v1/key/check";
/// Opens a session and writes nothing that a site has to keep apart: it counts as a read, once a visit.
const IDENTITY: &str = "/support/v1/identity";

/// Per client network and minute; not a setting of any site, because no site is known yet.
const PREFLIGHTS_A_MINUTE: u32 = 600;
const KEY_CHECKS_A_MINUTE: u32 = 30;

const ALLOW_METHODS: &str = "GET, POST, HEAD";
const ALLOW_HEADERS: &str =
    "X-Vicket-Key, X-Vicket-Ticket, X-Vicket-Customer, Idempotency-Key, Content-Type, If-None-Match";
const EXPOSE_HEADERS: &str = "X-Request-Id, ETag, Retry-After, RateLimit, RateLimit-Policy, Content-Disposition";
const MAX_AGE: &str = "7200";

/// The support surface before its handlers.
pub struct Surface {
    app: Arc<App>,
    /// Keys that were good lately: a network that guesses keys is refused early, and this keeps that from hitting its
    /// neighbours. Never a way in.
    good: Cache<Sha256Digest, Entry>,
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

impl Surface {
    pub fn new(app: Arc<App>) -> Self {
        Self { app, good: Cache::new(100_000), known_origins: Cache::new(10_000) }
    }

    async fn preflight(&self, caller: &Caller) -> Result<Outcome, Problem> {
        let bucket = Bucket { policy: Policy::Preflights, site: None, network: Some(caller.network) };
        let standings = self.app.limits.take(&[(bucket, PREFLIGHTS_A_MINUTE)]).await.standings;
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

    /// Whether the limits of a write have something left, as they were lately.
    fn has_left(&self, caller: &Caller, entry: &Entry) -> bool {
        !asks(caller, entry).into_iter().any(|(bucket, limit)| self.app.limits.peek(bucket, limit).exceeded)
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

    async fn answered(&self, caller: &Caller, mut request: Request, routed: Result<&Operation, Problem>) -> Outcome {
        let files = routed.as_ref().is_ok_and(|operation| operation.upload);
        let needs_none = routed.as_ref().is_ok_and(|operation| reading::needs_none(operation.id));
        let sends = caller.method == Method::POST;
        if !self.is_good(caller.key) {
            let guessing = Bucket { policy: Policy::Refused, site: None, network: Some(caller.network) };
            let standing = self.app.limits.peek(guessing, REFUSED);
            if let Some(refusal) = over(&[standing]) {
                let response = failure::response(&refusal);
                return Outcome { response, readable: self.remembered(caller), standings: vec![standing] };
            }
        }
        let Presented::Digest(key, _) = caller.key else {
            return self.refuse_key(caller, routed).await;
        };

        let issued = (caller.method == Method::POST && caller.path == TICKETS).then(TicketToken::mint);
        let entry_request = EntryRequest {
            access: caller.access(),
            key,
            origin: caller.origin_digest,
            ticket: issued.as_ref().map(TicketToken::digest).or_else(|| presented_ticket(request.headers())),
        };
        let gate = &self.app.gate;
        // Nothing is read from who has no good key, or nothing left of their limits.
        if sends && !self.good.get(&key).is_some_and(|entry| self.has_left(caller, &entry)) {
            match gate.prove(&entry_request).await {
                Ok(Verdict::Entered(entry)) if self.has_left(caller, &entry) => self.good.insert(key, entry),
                Ok(Verdict::Entered(entry)) => {
                    discard(&mut request).await;
                    let admitted = Arc::new(Admitted::proved(gate, entry_request, entry, caller.network));
                    let refused = Err(Problem::new(Code::RateLimited, "A limit is used up."));
                    return self.admit(caller, request, admitted, routed, refused).await;
                }
                Ok(Verdict::Unknown { origin_known }) => {
                    self.good.remove(&key);
                    discard(&mut request).await;
                    self.remember(caller, origin_known);
                    return self.refuse(caller, routed, origin_known).await;
                }
                Err(problem) => {
                    discard(&mut request).await;
                    return self.failed(caller, &problem);
                }
            }
        }
        // Held until the answer is given.
        let mut _reservation = None;
        let read = match sends {
            true if files => Some(read_files(&mut request, &self.app, caller.network).await),
            true => Some(read_body(&mut request, BODY, &self.app, caller.network).await),
            false => None,
        };
        let body =
            read.unwrap_or_else(|| Ok((Body::empty(), self.app.text.reserve(caller.network)))).map(|(body, taken)| {
                _reservation = Some(taken);
                body
            });
        let needs_tx = !needs_none && routed.is_ok() && body.is_ok();
        let verdict = if needs_tx {
            let entered = gate.enter(&entry_request).await;
            entered.map(|verdict| {
                verdict.map(|tx| Admitted::entered(gate, entry_request, tx.issuing(issued), caller.network))
            })
        } else {
            let proved = gate.prove(&entry_request).await;
            proved.map(|verdict| verdict.map(|entry| Admitted::proved(gate, entry_request, entry, caller.network)))
        };
        match verdict {
            Ok(Verdict::Entered(admitted)) => {
                self.good.insert(key, admitted.entry().clone());
                self.admit(caller, request, Arc::new(admitted), routed, body).await
            }
            Ok(Verdict::Unknown { origin_known }) => {
                self.good.remove(&key);
                self.remember(caller, origin_known);
                self.refuse(caller, routed, origin_known).await
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
    async fn refuse_key(&self, caller: &Caller, routed: Result<&Operation, Problem>) -> Outcome {
        match self.origin_known(caller).await {
            Ok(known) => self.refuse(caller, routed, known).await,
            Err(problem) => self.failed(caller, &problem),
        }
    }

    async fn refuse(&self, caller: &Caller, routed: Result<&Operation, Problem>, origin_known: bool) -> Outcome {
        let bucket = Bucket { policy: Policy::Refused, site: None, network: Some(caller.network) };
        let standings = self.app.limits.take(&[(bucket, REFUSED)]).await.standings;
        let refusal = over(&standings).or(routed.err()).unwrap_or_else(|| caller.key.refusal());
        let readable = origin_known || caller.path == KEY_CHECK;
        Outcome { response: failure::response(&refusal), readable, standings }
    }

    /// The key is good. Origin and limits decide; then the handler works.
    async fn admit(
        &self,
        caller: &Caller,
        mut request: Request,
        admitted: Arc<Admitted>,
        routed: Result<&Operation, Problem>,
        body: Result<Body, Problem>,
    ) -> Outcome {
        let entry = admitted.entry();
        let site = SiteRef { org_id: entry.org_id, site_id: entry.site_id };
        let listed = caller.origin.is_none() || entry.origin_listed;
        let readable = listed || caller.path == KEY_CHECK;
        self.remember(caller, entry.origin_listed);
        let origin = caller.origin.as_ref().map_or(Some(""), |origin| origin.to_str().ok());
        self.app.usage.key_used(site, entry.key_id, origin.filter(|_| listed));

        let asks = asks(caller, entry);
        // A page that may not use the key must not use up the site: it is counted for its network only.
        let asked = if readable { &asks[..] } else { &asks[..1] };
        let mut taken = self.app.limits.take(asked).await;
        let over = over(&taken.standings);
        // A browser stops at the preflight, which carries no key: what it does send is the question why.
        if let (None, false, Some(origin)) = (&over, listed, &caller.origin) {
            self.app.usage.origin_refused(site, &String::from_utf8_lossy(origin.as_bytes()));
        }
        let refusal = over.or_else(|| {
            let detail = "The site of this key does not list the page's origin. Ask GET /support/v1/key/check why.";
            (!readable).then(|| Problem::new(Code::OriginNotAllowed, detail))
        });
        let counted = refusal.is_none();
        let response = match (refusal, routed, body) {
            (Some(refusal), ..) | (None, Err(refusal), _) | (None, Ok(_), Err(refusal)) => failure::response(&refusal),
            (None, Ok(operation), Ok(body)) => {
                request.set_data(Arc::clone(&admitted));
                request.set_body(body);
                operation.handle(&self.app, request).await.unwrap_or_else(|problem| {
                    log(&problem);
                    failure::response(&problem)
                })
            }
        };
        // What its handler did not take, because its input was refused.
        admitted.leave().await;
        // A network is counted for whatever it sends, the site for tickets and replies only: broken ones close it to nobody.
        if counted && caller.method == Method::POST && response.status().is_client_error() {
            self.app.limits.give_back(&mut taken, 1);
        }
        Outcome { response, readable, standings: taken.standings }
    }
}

/// The network is asked first: a request that it refuses must not use up the site.
fn asks(caller: &Caller, entry: &Entry) -> Vec<(Bucket, u32)> {
    let bucket = |policy, site: Option<Uuid>, network| Bucket { policy, site, network };
    let (site, network) = (Some(entry.site_id), Some(caller.network));
    if caller.path == KEY_CHECK {
        return vec![(bucket(Policy::KeyChecks, None, network), KEY_CHECKS_A_MINUTE)];
    }
    let (of_network, of_site) = match caller.access() {
        Access::Write if caller.path == IDENTITY => {
            ((Policy::NetworkReads, entry.limits.network_reads), (Policy::SiteReads, entry.limits.reads))
        }
        Access::Read => ((Policy::NetworkReads, entry.limits.network_reads), (Policy::SiteReads, entry.limits.reads)),
        Access::Write => {
            ((Policy::NetworkWrites, entry.limits.network_writes), (Policy::SiteWrites, entry.limits.writes))
        }
    };
    vec![(bucket(of_network.0, site, network), of_network.1), (bucket(of_site.0, site, None), of_site.1)]
}

impl Caller {
    fn of(request: &Request, app: &App) -> Self {
        let headers = request.headers();
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let origin = match (origins.next(), origins.next()) {
            // Browsers send one. Of several, none is the page's.
            (Some(_), Some(_)) => Some(HeaderValue::from_static("null")),
            (origin, _) => origin.cloned().filter(|_| !from_own_page(request, app)),
        };
        Self {
            key: Presented::read(headers),
            origin_digest: origin.as_ref().map(|origin| Sha256Digest::of(origin.as_bytes())),
            origin,
            network: client_network(request, app),
            path: request.uri().path().to_owned(),
            method: request.method().clone(),
        }
    }

    fn access(&self) -> Access {
        if self.method == Method::POST { Access::Write } else { Access::Read }
    }

    fn is_preflight(&self, headers: &HeaderMap) -> bool {
        self.method == Method::OPTIONS
            && self.origin.is_some()
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    }
}

/// Whether a browser says that a page of this very server sent the request: the documentation, where calls are tried out. That is
/// no other origin. Where nobody said how the server is reached, only this machine's own names are believed, as any page could
/// have its name lead here.
fn from_own_page(request: &Request, app: &App) -> bool {
    let headers = request.headers();
    let own = csrf::public_url(app.public_url.as_deref(), request.uri(), headers);
    let name = own.split("://").nth(1).unwrap_or_default();
    let name = name.rsplit_once(':').map_or(name, |(name, _)| name);
    headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin")
        && RequestOrigin::of(headers, &own) == RequestOrigin::Own
        && (app.public_url.is_some() || matches!(name, "localhost" | "127.0.0.1" | "[::1]"))
}

fn decorate(caller: &Caller, outcome: Outcome) -> Response {
    let Outcome { mut response, readable, standings } = outcome;
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin, X-Vicket-Key, X-Vicket-Ticket, X-Vicket-Customer"));
    say_limits(headers, &standings);
    if let (true, Some(origin)) = (readable, &caller.origin) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSE_HEADERS));
    }
    response
}

impl router::Surface for Surface {
    async fn answer(&self, request: Request, found: Result<&Operation, Problem>) -> Response {
        let caller = Caller::of(&request, &self.app);
        let outcome = if caller.is_preflight(request.headers()) {
            self.preflight(&caller).await.unwrap_or_else(|problem| self.failed(&caller, &problem))
        } else {
            self.answered(&caller, request, found).await
        };
        decorate(&caller, outcome)
    }
}
