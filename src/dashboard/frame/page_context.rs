//! A request of the dashboard: who sent it, from which page, and what it brings.

use std::sync::Arc;

use poem::{
    FromRequest, Request, RequestBody,
    http::{HeaderMap, Method, header},
};
use uuid::Uuid;

use crate::{
    auth::{
        agent::{AgentCaller, cookie, cookie_name, prove},
        csrf::{self, RequestOrigin},
        visitor::Visitor,
    },
    dashboard::frame::form::Form,
    db::Credential,
    domain::{
        keys::Sha256Digest,
        problem::{Code, Problem},
    },
    http::request::{client_network, read_body},
    limits::Network,
    state::App,
};

/// The largest form, bytes.
const BODY: usize = 1024 * 1024;
/// That of whoever is not logged in: to log in, to accept an invitation, bytes.
const OPEN_BODY: usize = 8 * 1024;
/// The field of a form that carries its token.
const TOKEN: &str = "form_token";

/// Hex digits of a token that are its salt; as many more are the digest.
const SALT: usize = 32;

/// What a form of a session carries. Each page has a token with a salt of its own: of one that stood in many pages beside what
/// others wrote, the lengths of the encoded pages would tell digit after digit (BREACH).
fn form_token(session: &[u8], salt: &str) -> String {
    let digest = Sha256Digest::of_parts(&[b"form token", session, salt.as_bytes()]).to_hex();
    format!("{salt}{}", &digest[..SALT])
}

/// Whether a form carries a token of this session, of whichever page.
fn is_form_token(given: &str, session: &[u8]) -> bool {
    given.get(..SALT).is_some_and(|salt| given == form_token(session, salt))
}

/// A request of the dashboard: what a handler of a page takes that is about no org.
pub struct PageContext {
    pub app: Arc<App>,
    pub path: String,
    pub query: Form,
    pub form: Form,
    pub network: Network,
    pub visitor: Visitor,
    pub public_url: String,
    session: Option<Sha256Digest>,
    /// What a form of this browser's session carries; of none, too, whose cookie may have outlived it.
    pub token: String,
}

impl PageContext {
    /// Reads a request. One that is to change something must come from a form of ours.
    ///
    /// # Errors
    /// `403 csrf_failed`, `405`, `413`, `415`, and `400` for what cannot be read.
    pub async fn read(app: &Arc<App>, request: &mut Request) -> Result<Self, Problem> {
        let post = match *request.method() {
            Method::GET | Method::HEAD => false,
            Method::POST => true,
            _ => {
                let problem = Problem::new(Code::MethodNotAllowed, "The dashboard takes GET, HEAD and POST.");
                return Err(Problem { allow: Some("GET, HEAD, POST".to_owned()), ..problem });
            }
        };
        let public_url = csrf::public_url(app.public_url.as_deref(), request.uri(), request.headers());
        if post && RequestOrigin::of(request.headers(), &public_url) != RequestOrigin::Own {
            return Err(csrf::refusal(&public_url));
        }
        if post && !is_form(request.headers()) {
            return Err(Problem::new(Code::UnsupportedMediaType, "The dashboard takes forms."));
        }
        let network = client_network(request, app);
        // A cookie that cannot be one of ours is none: whoever has it is asked to log in.
        let session = cookie(request.headers(), cookie_name(app)).ok().flatten().map(<[u8]>::to_vec);
        let session = session.as_deref();
        let (mut body, mut _reservation) = (Vec::new(), None);
        if post {
            // Whoever is not logged in has little to say.
            let known = match session {
                Some(session) => prove(app, network, Credential::Session(Sha256Digest::of(session))).await,
                None => Err(Problem::not_found()),
            };
            let most = if known.is_ok() { BODY } else { OPEN_BODY };
            let (read, reservation) = read_body(request, most, app, network).await?;
            body = read.into_vec().await.map_err(Problem::internal)?;
            _reservation = Some(reservation);
        }
        let context = Self {
            app: Arc::clone(app),
            path: request.uri().path().to_owned(),
            query: Form::parse(request.uri().query().unwrap_or_default().as_bytes())?,
            form: Form::parse(&body)?,
            network,
            visitor: Visitor::of(request.headers()),
            public_url,
            session: session.map(Sha256Digest::of),
            token: form_token(session.unwrap_or_default(), &Uuid::new_v4().simple().to_string()),
        };
        // Before there is a session there is nothing to tie a token to, and the page's origin alone decides.
        if post && session.is_some_and(|session| !is_form_token(context.form.get(TOKEN), session)) {
            let detail =
                "The form belongs to another log-in, or is not one of ours. Open the page again, and send it again.";
            return Err(Problem::new(Code::CsrfFailed, detail));
        }
        Ok(context)
    }

    /// That of a request, once it was read.
    ///
    /// # Errors
    /// `500` outside the dashboard.
    pub fn of(request: &Request) -> Result<&Arc<Self>, Problem> {
        request.data::<Arc<Self>>().ok_or_else(|| Problem::internal("a page is asked for outside the dashboard"))
    }

    /// The digest of the session's token.
    ///
    /// # Errors
    /// `401 session_required`.
    pub fn session(&self) -> Result<Sha256Digest, Problem> {
        self.session.ok_or_else(|| Problem::new(Code::SessionRequired, "Log in."))
    }
}

impl PageContext {
    /// Whoever asks, within an org or above any.
    ///
    /// # Errors
    /// `401 session_required`.
    pub fn caller(&self, org: Option<Sha256Digest>) -> Result<AgentCaller, Problem> {
        Ok(AgentCaller { network: self.network, credential: Credential::Session(self.session()?), org })
    }
}

impl<'a> FromRequest<'a> for &'a PageContext {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        Ok(PageContext::of(request)?)
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_session_whatever_its_salt_and_nothing_else_is() {
        let (one, two) = (form_token(b"session", &"a".repeat(SALT)), form_token(b"session", &"b".repeat(SALT)));
        assert!(one != two && is_form_token(&one, b"session") && is_form_token(&two, b"session"));
        assert!(!is_form_token(&one, b"another"));
        // Neither half is worth anything with another's.
        assert!(!is_form_token(&format!("{}{}", &one[..SALT], &two[SALT..]), b"session"));
        for given in ["", &one[..SALT], &one[SALT..], &one[..one.len() - 1], &format!("{one}0"), &"ä".repeat(SALT)] {
            assert!(!is_form_token(given, b"session"), "{given}");
        }
    }
}
