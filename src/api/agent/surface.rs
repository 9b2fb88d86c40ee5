//! What stands before every handler of the agent surface, in this order: the route, mixed credentials, the body. The rest is
//! the handler's first argument (`auth/caller.rs`): the credential, the org, where the request comes from, the permission.
//! No answer has a CORS header: the dashboard is served from the same origin.

use std::sync::{Arc, PoisonError};

use poem::{
    Body, Request, Response,
    http::{HeaderValue, Method, header},
};

use crate::{
    auth::{agent, caller::RequestInfo},
    domain::problem::{Code, Problem},
    http::{
        failure,
        request::{discard, log, read_body, read_files, say_limits},
        router::{self, Operation},
    },
    state::App,
};

/// The largest body but of files, bytes.
const BODY: usize = 1024 * 1024;
/// That of a call that anybody may make: to log in, to accept an invitation.
const OPEN_BODY: usize = 8 * 1024;
const KEY_HEADER: &str = "x-vicket-key";

/// The agent surface before its handlers.
pub struct Surface {
    app: Arc<App>,
}

impl Surface {
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    async fn handled(
        &self,
        mut request: Request,
        found: Result<&Operation, Problem>,
        info: &Arc<RequestInfo>,
    ) -> Result<Response, Problem> {
        let operation = found?;
        if request.headers().contains_key(KEY_HEADER) {
            let detail = "A publishable key opens /support/v1 only. Send a session cookie or a machine key here.";
            return Err(Problem::new(Code::CredentialsMixed, detail));
        }
        let unsafe_call = !matches!(*request.method(), Method::GET | Method::HEAD);
        // Whoever could not be let in is not read from.
        if unsafe_call && !operation.open {
            let proved =
                async { agent::prove(&self.app, info.network, agent::presented(&self.app, request.headers())?).await };
            if let Err(problem) = proved.await {
                discard(&mut request).await;
                return Err(problem);
            }
        }
        // The reservation of memory is held until the answer is given.
        let (body, _reservation) = if operation.upload {
            let (body, reservation) = read_files(&mut request, &self.app, info.network).await?;
            (body, Some(reservation))
        } else if unsafe_call {
            let most = if operation.open { OPEN_BODY } else { BODY };
            let (body, reservation) = read_body(&mut request, most, &self.app, info.network).await?;
            (body, Some(reservation))
        } else {
            (Body::empty(), None)
        };
        request.set_data(Arc::clone(info));
        request.set_body(body);
        let answered = operation.handle(&self.app, request).await;
        info.leave().await;
        match answered {
            // Refused by a policy, which may have learnt of a demotion after the gate was passed: asked once more.
            Err(problem) if problem.denied || (unsafe_call && problem.code == Code::NotFound) => {
                info.ask_again(&self.app, Err(problem)).await
            }
            answered => answered,
        }
    }
}

impl router::Surface for Surface {
    async fn answer(&self, request: Request, found: Result<&Operation, Problem>) -> Response {
        let info = Arc::new(RequestInfo::of(&request, &self.app));
        let mut response = self.handled(request, found, &info).await.unwrap_or_else(|problem| {
            log(&problem);
            failure::response(&problem)
        });
        let headers = response.headers_mut();
        say_limits(headers, &info.standings.lock().unwrap_or_else(PoisonError::into_inner));
        headers.append(header::VARY, HeaderValue::from_static("Cookie, Authorization"));
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        response
    }
}
