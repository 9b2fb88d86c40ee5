//! Mail that a provider hands over by HTTP: `POST /mail/v1/inbound/{provider}`, signed by a secret that only the two know. What is
//! answered with 200 is committed; what is answered otherwise the provider sends again, or is told that this makes no sense.
//!
//! Whose mail it is, is said by the recipient of its envelope alone. A repeat is harmless: a mail that is there already is known.

mod desk;
mod mailgun;
mod postmark;
mod raw;

use poem::{
    Request, Response,
    http::{HeaderValue, Method, StatusCode, header},
};

use crate::{
    domain::problem::{Code, Problem},
    http::{
        failure,
        request::{self, over},
    },
    intake::secrets::Provider,
    limits::{Bucket, Network, Policy, REFUSED},
    state::App,
    telemetry::{meters::Template, request::note},
};
use desk::{Counts, Desk};

/// All paths of this surface begin so.
pub const ROOT: &str = "/mail/v1";
/// As it stands in the metrics and the log.
const TEMPLATE: &str = "/mail/v1/inbound/{provider}";

/// Answers a request below [`ROOT`].
pub async fn respond(app: &App, mut request: Request, network: Network) -> Response {
    let found = app.keeper.as_ref().zip(app.inbound_secrets.as_ref()).and_then(|(keeper, secrets)| {
        let name = request.uri().path().strip_prefix(ROOT)?.strip_prefix("/inbound/")?;
        // Mailgun sends what it did not take apart only to where a URL ends so.
        let provider = match name {
            "mailgun/mime" => secrets.provider("mailgun"),
            name => secrets.provider(name),
        };
        Some((keeper, secrets, provider?))
    });
    let Some((keeper, secrets, provider)) = found else { return failure::response(&Problem::not_found()) };
    note(|seen| seen.template = Some(Template::of(TEMPLATE)));
    if *request.method() != Method::POST {
        let problem = Problem::new(Code::MethodNotAllowed, "This path takes POST.");
        return failure::response(&Problem { allow: Some("POST".to_owned()), ..problem });
    }
    let guesses = Bucket { policy: Policy::Refused, site: None, network: Some(network) };
    if let Some(refusal) = over(&[app.limits.peek(guesses, REFUSED)]) {
        return failure::response(&refusal);
    }
    let desk = Desk { app, keeper, secrets, provider, network };
    match receive(&desk, &mut request).await {
        Ok(counts) => Response::builder()
            .content_type("application/json")
            .header(header::CACHE_CONTROL, "no-store")
            .body(serde_json::json!(counts).to_string()),
        Err(problem) => {
            if problem.code == Code::SignatureInvalid {
                app.limits.take(&[(guesses, REFUSED)]).await;
            }
            request::log(&problem);
            refused(provider, &problem)
        }
    }
}

/// What each provider takes for an end: it tells the sender, and does not try again.
fn refused(provider: Provider, problem: &Problem) -> Response {
    let unknown = problem.code == Code::Unprocessable && problem.errors.iter().any(|error| error.field == "recipient");
    let finally = match provider {
        _ if !unknown && problem.code != Code::BodyTooLarge => None,
        Provider::Raw => None,
        Provider::Mailgun => Some(StatusCode::NOT_ACCEPTABLE),
        Provider::Postmark => Some(StatusCode::FORBIDDEN),
    };
    let mut response = match finally {
        None => failure::response(problem),
        Some(status) => {
            let mut response = failure::response_with(problem, "status", status.as_u16().into());
            response.set_status(status);
            response
        }
    };
    if problem.code == Code::SignatureInvalid {
        let challenge = match provider {
            Provider::Postmark => "Basic realm=\"mail\"",
            Provider::Raw | Provider::Mailgun => "Signature realm=\"mail\"",
        };
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    response
}

async fn receive(desk: &Desk<'_>, request: &mut Request) -> Result<Counts, Problem> {
    let handed = match desk.provider {
        Provider::Raw => raw::read(desk, request).await,
        Provider::Mailgun => mailgun::read(desk, request).await,
        Provider::Postmark => postmark::read(desk, request).await,
    };
    // Held until the mail is committed.
    let (handed, _body) = handed?;
    desk.keep(&handed).await
}
