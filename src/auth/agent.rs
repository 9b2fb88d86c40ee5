//! Who asks on the agent surface: a person with a session, or a program with a machine key. Read from the headers here,
//! entered by `api/agent/surface.rs`, handed to the handler as an [`Agent`].

use std::{result::Result, sync::Arc};

use poem::{
    Request, RequestBody,
    http::{HeaderMap, header},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaSecurityScheme, Registry},
};

use super::Slot;
use crate::{
    db::{Access, Actor, AgentEntryRequest, AgentVerdict, Credential, OrgTx},
    domain::{
        keys::{MachineKey, Sha256Digest},
        problem::{Code, Problem},
        request_id,
    },
    state::App,
};

/// The cookie that carries a session.
pub const COOKIE: &str = "vicket_session";
/// A longer credential is refused without a look-up, bytes.
const MAX_BYTES: usize = 128;

/// The credential that a request presents.
///
/// # Errors
/// `400 credentials_mixed` with two kinds of them; `401 session_required` with none; `401 session_invalid` or
/// `machine_key_invalid` for what can be none; `403 secret_key_in_browser` for a machine key with an `Origin`.
pub fn presented(headers: &HeaderMap) -> Result<Credential, Problem> {
    let session = session(headers);
    let Some(authorization) = headers.get(header::AUTHORIZATION) else {
        return session?.map(Credential::Session).ok_or_else(|| {
            Problem::new(Code::SessionRequired, "Log in, or send a machine key as `Authorization: Bearer sk_...`.")
        });
    };
    if !matches!(session, Ok(None)) {
        let detail = "The request has a session cookie and an Authorization header. Send one of them.";
        return Err(Problem::new(Code::CredentialsMixed, detail));
    }
    if headers.contains_key(header::ORIGIN) {
        let detail =
            "A machine key was sent by a browser, where everybody can read it. Revoke it, and call from a server.";
        return Err(Problem::new(Code::SecretKeyInBrowser, detail));
    }
    let several = headers.get_all(header::AUTHORIZATION).iter().nth(1).is_some();
    let key = authorization.to_str().ok().and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        (scheme.eq_ignore_ascii_case("bearer") && !several).then(|| key.trim())
    });
    match key.filter(|key| MachineKey::is_well_formed(key)) {
        Some(key) => Ok(Credential::MachineKey(Sha256Digest::of(key.as_bytes()))),
        None => Err(unknown_machine_key()),
    }
}

/// The digest of the session's token, `None` without a cookie of that name.
fn session(headers: &HeaderMap) -> Result<Option<Sha256Digest>, Problem> {
    Ok(cookie(headers, COOKIE)?.map(Sha256Digest::of))
}

/// The value of the cookie of this name.
///
/// # Errors
/// `401 session_invalid` for several of it, or one that is empty or too long.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a [u8]>, Problem> {
    let pairs = headers.get_all(header::COOKIE).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    let mut tokens = pairs.filter_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    match (tokens.next(), tokens.next()) {
        (None, _) => Ok(None),
        (Some(token), None) if (1..=MAX_BYTES).contains(&token.len()) => Ok(Some(token)),
        // Of several, which is the person's own and which was planted cannot be told.
        _ => Err(unknown_session()),
    }
}

/// `401` for a session that is unknown or has ended.
pub fn unknown_session() -> Problem {
    Problem::new(Code::SessionInvalid, "The session is unknown or has ended. Log in again.")
}

/// `401` for a machine key that is malformed, unknown, revoked or expired: all alike.
pub fn unknown_machine_key() -> Problem {
    Problem::new(Code::MachineKeyInvalid, "The machine key is unknown, was revoked or has expired.")
}

/// A transaction of whoever holds this credential: within the org of this slug's digest, or above any.
///
/// # Errors
/// `401` when the credential is unknown or has ended; `404 not_found` when there is no such org or it is none of
/// theirs; `503` when no connection is to be had.
pub async fn enter(
    app: &App,
    access: Access,
    credential: Credential,
    org: Option<Sha256Digest>,
) -> Result<OrgTx, Problem> {
    let request_id = request_id::current();
    match app.agents.enter(&AgentEntryRequest { access, credential, org, request_id: &request_id }).await? {
        AgentVerdict::Entered(tx) => Ok(tx),
        // Not a member and not there are one answer.
        AgentVerdict::NoOrg => Err(Problem::not_found()),
        AgentVerdict::Unknown => Err(match credential {
            Credential::Session(_) => unknown_session(),
            Credential::MachineKey(_) => unknown_machine_key(),
        }),
    }
}

/// Notes that a credential was good just now.
pub fn note_use(app: &App, actor: Option<&Actor>) {
    match actor.map(|actor| (actor.credential, actor.id)) {
        Some((Credential::Session(digest), _)) => app.usage.session_used(digest),
        Some((Credential::MachineKey(_), id)) => app.usage.machine_key_used(id),
        None => {}
    }
}

/// A session or a machine key, and the transaction that it entered.
pub struct Agent(Arc<Slot<OrgTx>>);

impl Agent {
    /// Of a transaction that was entered otherwise than by this request's credential: after a log-in.
    pub fn of(tx: OrgTx) -> Self {
        Self(Arc::new(Slot::new(tx)))
    }

    /// Does the work of a request in the transaction that its credential entered: commits when it is good.
    ///
    /// # Errors
    /// Those of `work`; `5xx` when the commit fails.
    pub async fn run<T>(self, work: impl AsyncFnOnce(&mut OrgTx) -> Result<T, Problem>) -> Result<T, Problem> {
        let mut tx = self.0.take().expect("the surface fills the slot, and this takes it once");
        let worked = work(&mut tx).await;
        tx.finish(worked).await
    }

    /// As [`Agent::run`], for what is about the caller and not about an org: the transaction ends here.
    ///
    /// # Errors
    /// `5xx` when the transaction cannot be ended.
    pub async fn into_actor(self) -> Result<Actor, Problem> {
        let tx = self.0.take().expect("the surface fills the slot, and this takes it once");
        let actor = tx.actor().cloned();
        tx.finish(Ok(())).await?;
        actor.ok_or_else(|| Problem::internal("a transaction of the agent surface has no actor"))
    }
}

/// A session only: what a person does about their own log-in.
pub struct Person(pub Agent);

impl Person {
    /// The digest of the session's token; the transaction ends here.
    ///
    /// # Errors
    /// `5xx` when the transaction cannot be ended.
    pub async fn token(self) -> Result<Sha256Digest, Problem> {
        match self.0.into_actor().await?.credential {
            Credential::Session(token) => Ok(token),
            Credential::MachineKey(_) => Err(Problem::internal("a machine key passed for a session")),
        }
    }
}

macro_rules! credential {
    ($type:ident, $make:expr, [$($scheme:literal),*]) => {
        impl<'a> ApiExtractor<'a> for $type {
            const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
            type ParamType = ();
            type ParamRawType = ();

            fn register(registry: &mut Registry) {
                $(registry.create_security_scheme($scheme, scheme($scheme));)*
            }

            fn security_schemes() -> Vec<&'static str> {
                vec![$($scheme),*]
            }

            async fn from_request(
                request: &'a Request,
                _body: &mut RequestBody,
                _options: ExtractParamOptions<()>,
            ) -> poem::Result<Self> {
                let slot = request.data::<Arc<Slot<OrgTx>>>().map(Arc::clone);
                let slot = slot.ok_or_else(|| Problem::internal("a handler ran outside the agent surface"))?;
                Ok($make(Agent(slot)))
            }
        }
    };
}

credential!(Agent, std::convert::identity, ["Session", "MachineKey"]);
credential!(Person, Person, ["Session"]);

fn scheme(name: &str) -> MetaSecurityScheme {
    let cookie = name == "Session";
    MetaSecurityScheme {
        ty: if cookie { "apiKey" } else { "http" },
        description: Some(if cookie {
            "A person's session, from `POST /v1/auth/login`: 14 days from the last use, 90 at most. Unsafe calls with it \
             need a same-origin `Origin` or `Sec-Fetch-Site`."
        } else {
            "A machine key: `sk_`, 43 characters, `_` and 6 of checksum. It may do what it was given and what its creator \
             may do now, in its org. Never from a browser."
        }),
        name: cookie.then_some(COOKIE),
        key_in: cookie.then_some("cookie"),
        scheme: (!cookie).then_some("bearer"),
        bearer_format: None,
        flows: None,
        openid_connect_url: None,
    }
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    fn read(pairs: &[(&'static str, &str)]) -> Result<Credential, Code> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).expect("a header"));
        }
        presented(&headers).map_err(|problem| problem.code)
    }

    #[test]
    fn a_session_is_read_from_its_cookie_among_others() {
        let digest = Credential::Session(Sha256Digest::of(b"vs_x"));
        assert_eq!(read(&[("cookie", "a=b; vicket_session=vs_x; c=d")]), Ok(digest));
        assert_eq!(read(&[("cookie", "a=b"), ("cookie", "vicket_session=vs_x")]), Ok(digest));
        assert_eq!(read(&[("cookie", "not_vicket_session=vs_x")]), Err(Code::SessionRequired));
        assert_eq!(read(&[]), Err(Code::SessionRequired));
        assert_eq!(read(&[("cookie", "vicket_session=")]), Err(Code::SessionInvalid));
        assert_eq!(read(&[("cookie", "vicket_session=a; vicket_session=b")]), Err(Code::SessionInvalid));
    }

    #[test]
    fn a_machine_key_is_read_from_authorization_and_from_nowhere_else() {
        let key = MachineKey::mint();
        let bearer = format!("Bearer {}", key.reveal());
        assert_eq!(read(&[("authorization", &bearer)]), Ok(Credential::MachineKey(key.digest())));
        assert_eq!(read(&[("authorization", key.reveal())]), Err(Code::MachineKeyInvalid));
        let cookie = format!("vicket_session={}", key.reveal());
        assert_eq!(read(&[("cookie", &cookie)]), Ok(Credential::Session(key.digest())), "which is no session's digest");
        assert_eq!(read(&[("authorization", &bearer), ("cookie", "vicket_session=x")]), Err(Code::CredentialsMixed));
        assert_eq!(read(&[("authorization", &bearer), ("origin", "https://x")]), Err(Code::SecretKeyInBrowser));
    }
}
