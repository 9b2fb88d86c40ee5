//! What stands before every handler of the agent surface, in this order: the route, mixed credentials, the body, the
//! credential, where the request comes from, the org, the permission.
//!
//! The document says which permission an operation needs (`x-permission`), and this is the one place that asks for it,
//! so that the document and the server cannot differ. It asks to give the good answer: what a request may really do,
//! policies decide in the database. No answer has a CORS header: the dashboard is served from the same origin.

use std::sync::{Arc, Mutex, PoisonError};

use poem::{
    Body, Endpoint, Request, Response,
    http::{HeaderValue, Method, header},
};

use super::access::Needs;
use crate::{
    auth::{
        Slot, agent,
        csrf::{self, RequestOrigin},
    },
    db::{Access, Credential, OrgTx},
    domain::{
        keys::Sha256Digest,
        problem::{Code, Problem},
    },
    http::{
        failure,
        openapi::{self, Routes},
        request::{client_network, handle, log, read_body, read_files, routed, say_limits},
        upload,
    },
    limits::{Network, Standing},
    state::App,
};

/// The largest body but of files, bytes.
const BODY: usize = 1024 * 1024;
const KEY_HEADER: &str = "x-vicket-key";

/// The agent surface around its handlers.
pub struct Surface<E> {
    handlers: E,
    app: Arc<App>,
    routes: Routes,
}

/// Where a request comes from, for handlers that need it.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    pub network: Network,
    /// Scheme, host and port under which people reach this server.
    pub public_url: String,
    /// Limits that the handler asked; the answer says where they stand.
    pub standings: Arc<Mutex<Vec<Standing>>>,
}

impl<E: Endpoint<Output = Response>> Surface<E> {
    /// `document` tells which operations there are and what they need.
    pub fn new(handlers: E, app: Arc<App>, document: &str) -> Self {
        Self { handlers, app, routes: openapi::routes(document) }
    }

    async fn answer(&self, mut request: Request, standings: &Arc<Mutex<Vec<Standing>>>) -> Result<Response, Problem> {
        let (path, method) = (request.uri().path().to_owned(), request.method().clone());
        let operation = routed(&self.routes, &path, &method)?;
        if request.headers().contains_key(KEY_HEADER) {
            let detail = "A publishable key opens /support/v1 only. Send a session cookie or a machine key here.";
            return Err(Problem::new(Code::CredentialsMixed, detail));
        }
        let unsafe_call = !matches!(method, Method::GET | Method::HEAD);
        let network = client_network(&request, &self.app);
        // The reservation of memory is held until the answer is given.
        let (body, _reservation) = if upload::OPERATIONS.contains(&operation.id.as_str()) {
            // Whoever could not be let in should not be read from for two minutes.
            agent::presented(request.headers())?;
            let (body, reservation) = read_files(&mut request, &self.app, network).await?;
            (body, Some(reservation))
        } else if unsafe_call {
            (read_body(&mut request, BODY).await?, None)
        } else {
            (Body::empty(), None)
        };
        let info = RequestInfo {
            network,
            public_url: csrf::public_url(self.app.public_url.as_deref(), request.uri(), request.headers()),
            standings: Arc::clone(standings),
        };
        let origin = RequestOrigin::of(request.headers(), &info.public_url);

        let needs = Needs::read(&operation.permission);
        let slot = if needs == Needs::Nothing {
            // Somebody else's page must not log a person in as somebody else either.
            if origin == RequestOrigin::Foreign {
                return Err(csrf::refusal(&info.public_url));
            }
            None
        } else {
            let credential = agent::presented(request.headers())?;
            if needs == Needs::Session && matches!(credential, Credential::MachineKey(_)) {
                return Err(Problem::new(
                    Code::SessionRequired,
                    "This is about a person's own log-in: send a session.",
                ));
            }
            // What is about a log-in is written by the gate itself, in a transaction of its own.
            let access = if unsafe_call && needs != Needs::Session { Access::Write } else { Access::Read };
            let entry_request = EntryRequest { access, credential, org: org_of(&path) };
            let tx = enter(&self.app, &entry_request).await?;
            request.set_data(entry_request);
            if unsafe_call && matches!(credential, Credential::Session(_)) && origin != RequestOrigin::Own {
                return tx.finish(Err(csrf::refusal(&info.public_url))).await;
            }
            let tx = permitted(tx, &needs).await?;
            agent::note_use(&self.app, tx.actor());
            Some((Arc::new(Slot::new(tx)), entry_request))
        };
        request.set_data(info);
        request.set_body(body);
        let Some((slot, entry_request)) = slot else {
            return handle(&self.handlers, &self.app, request).await;
        };
        request.set_data(Arc::clone(&slot));
        let answered = handle(&self.handlers, &self.app, request).await;
        // The handler took no transaction, because its input was refused: nothing was done, the connection is clean.
        if let Some(tx) = slot.take() {
            let _: Result<(), Problem> = tx.finish(Err(Problem::not_found())).await;
        }
        match answered {
            // Refused by a policy, which may have learnt of a demotion after the gate was passed: asked once more.
            Err(problem) if problem.denied || (unsafe_call && problem.code == Code::NotFound) => {
                let again = enter(&self.app, &entry_request).await?;
                let again = permitted(again, &needs).await?;
                again.finish(Err(problem)).await
            }
            answered => answered,
        }
    }
}

/// How a request enters; for handlers that must enter a second time.
#[derive(Clone, Copy)]
pub struct EntryRequest {
    access: Access,
    credential: Credential,
    org: Option<Sha256Digest>,
}

impl EntryRequest {
    /// A second transaction of the same request, for one that did without the first for a while.
    ///
    /// # Errors
    /// As the first time: a session may have ended meanwhile, a permission may be lost.
    pub async fn again(&self, app: &App, permission: &str) -> Result<OrgTx, Problem> {
        permitted(enter(app, self).await?, &Needs::Permission(permission)).await
    }
}

async fn enter(app: &App, entry_request: &EntryRequest) -> Result<OrgTx, Problem> {
    agent::enter(app, entry_request.access, entry_request.credential, entry_request.org).await
}

async fn permitted(tx: OrgTx, needs: &Needs<'_>) -> Result<OrgTx, Problem> {
    match needs {
        Needs::Permission(permission) if !tx.actor().is_some_and(|actor| actor.may(permission)) => {
            tx.finish(Err(Problem::permission_required(permission))).await
        }
        _ => Ok(tx),
    }
}

/// The digest of the slug in `/v1/orgs/{org}`.
fn org_of(path: &str) -> Option<Sha256Digest> {
    let slug = path.strip_prefix("/v1/orgs/")?.split('/').next()?;
    Some(Sha256Digest::of(slug.as_bytes()))
}

impl<E: Endpoint<Output = Response>> Endpoint for Surface<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let standings = Arc::default();
        let mut response = self.answer(request, &standings).await.unwrap_or_else(|problem| {
            log(&problem);
            failure::response(&problem)
        });
        let headers = response.headers_mut();
        say_limits(headers, &standings.lock().unwrap_or_else(PoisonError::into_inner));
        headers.append(header::VARY, HeaderValue::from_static("Cookie, Authorization"));
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_org_is_the_segment_after_orgs() {
        let acme = Some(Sha256Digest::of(b"acme"));
        assert_eq!(org_of("/v1/orgs/acme"), acme);
        assert_eq!(org_of("/v1/orgs/acme/sites/app"), acme);
        assert_eq!(org_of("/v1/orgs"), None);
        assert_eq!(org_of("/v1/auth/me"), None);
    }
}
