//! The credential of the agent surface, a person's session or a program's machine key: read from the headers, and entered.

use poem::http::{HeaderMap, header};

use crate::{
    db::{Access, Actor, AgentEntryRequest, AgentVerdict, Credential, OrgTx},
    domain::{
        keys::{MachineKey, Sha256Digest},
        problem::{Code, Problem},
        request_id,
    },
    http::request::over,
    limits::{Bucket, Network, Policy, REFUSED, Standing},
    state::App,
};

/// The cookie that carries a session.
pub const COOKIE: &str = "vicket_session";
/// The same where people come by HTTPS: browsers take it from this very host only, so that no neighbour plants another.
const HOST_COOKIE: &str = "__Host-vicket_session";
/// A longer credential is refused without a look-up, bytes.
const MAX_BYTES: usize = 128;
/// Calls of one session or machine key in a minute.
const CREDENTIAL_A_MINUTE: u32 = 1_200;
/// Calls of all who work in one org in a minute.
const ORG_A_MINUTE: u32 = 6_000;

/// The credential that a request presents.
///
/// # Errors
/// `400 credentials_mixed` with two kinds of them; `401 session_required` with none; `401 session_invalid` or
/// `machine_key_invalid` for what can be none; `403 secret_key_in_browser` for a machine key with an `Origin`.
pub fn presented(app: &App, headers: &HeaderMap) -> Result<Credential, Problem> {
    credential(headers, cookie_name(app))
}

/// The name of the session's cookie.
pub fn cookie_name(app: &App) -> &'static str {
    let https = app.public_url.as_ref().is_some_and(|url| url.starts_with("https://"));
    if https { HOST_COOKIE } else { COOKIE }
}

fn credential(headers: &HeaderMap, session_cookie: &str) -> Result<Credential, Problem> {
    let session = cookie(headers, session_cookie).map(|token| token.map(Sha256Digest::of));
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

/// Who asks to be let in, and where.
#[derive(Clone, Copy, Debug)]
pub struct AgentCaller {
    pub network: Network,
    pub credential: Credential,
    /// Digest of the slug of an org; above any when `None`.
    pub org: Option<Sha256Digest>,
}

impl AgentCaller {
    fn digest(&self) -> Sha256Digest {
        let (Credential::Session(digest) | Credential::MachineKey(digest)) = self.credential;
        digest
    }

    /// The caller in this org.
    fn member(&self) -> Option<Sha256Digest> {
        Some(Sha256Digest::of_parts(&[self.digest().as_bytes(), self.org?.as_bytes()]))
    }

    fn guesses(&self) -> Bucket {
        Bucket { policy: Policy::Refused, site: None, network: Some(self.network) }
    }

    /// Takes this call from what the credential and its org have left; of one that nobody knows, asks what its network has.
    async fn count(&self, app: &App) -> Vec<Standing> {
        let known = |digest| app.known_callers.get(&digest).is_some();
        if !known(self.digest()) {
            let guesses = app.limits.peek(self.guesses(), REFUSED);
            return if guesses.exceeded { vec![guesses] } else { Vec::new() };
        }
        let bucket = |policy, whose| Bucket { policy, site: None, network: Some(Network::of_account(whose)) };
        let mut asks = vec![(bucket(Policy::Credential, self.digest()), CREDENTIAL_A_MINUTE)];
        if self.member().is_some_and(known) {
            asks.extend(self.org.map(|org| (bucket(Policy::Org, org), ORG_A_MINUTE)));
        }
        app.limits.take(&asks).await.standings
    }

    /// A transaction of whoever holds the credential; where the limits stand goes to `standings`.
    ///
    /// # Errors
    /// `401` when the credential is unknown or has ended; `404 not_found` when there is no such org or it is none of
    /// theirs; `429` when a limit is used up; `503` when no connection is to be had.
    pub async fn enter(&self, app: &App, access: Access, standings: &mut Vec<Standing>) -> Result<OrgTx, Problem> {
        let counted = self.count(app).await;
        let refusal = over(&counted);
        standings.extend(counted);
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let (credential, org, request_id) = (self.credential, self.org, request_id::current());
        match app.agents.enter(&AgentEntryRequest { access, credential, org, request_id: &request_id }).await? {
            AgentVerdict::Entered(tx) => {
                app.known_callers.insert(self.digest(), ());
                self.member().into_iter().for_each(|member| app.known_callers.insert(member, ()));
                Ok(tx)
            }
            // Not a member and not there are one answer.
            AgentVerdict::NoOrg => Err(Problem::not_found()),
            AgentVerdict::Unknown => {
                app.known_callers.remove(&self.digest());
                app.limits.take(&[(self.guesses(), REFUSED)]).await;
                Err(match credential {
                    Credential::Session(_) => unknown_session(),
                    Credential::MachineKey(_) => unknown_machine_key(),
                })
            }
        }
    }
}

/// Whether the credential is good, for who wants to know before reading what it sends: one that was lately is believed.
///
/// # Errors
/// Those of [`presented`] and of [`AgentCaller::enter`].
pub async fn prove(app: &App, network: Network, credential: Credential) -> Result<(), Problem> {
    let caller = AgentCaller { network, credential, org: None };
    if app.known_callers.get(&caller.digest()).is_some() {
        return Ok(());
    }
    caller.enter(app, Access::Read, &mut Vec::new()).await?.finish(Ok(())).await
}

/// Notes that a credential was good just now.
pub fn note_use(app: &App, actor: Option<&Actor>) {
    match actor.map(|actor| (actor.credential, actor.id)) {
        Some((Credential::Session(digest), _)) => app.usage.session_used(digest),
        Some((Credential::MachineKey(_), id)) => app.usage.machine_key_used(id),
        None => {}
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
        credential(&headers, COOKIE).map_err(|problem| problem.code)
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
    fn where_people_come_by_https_a_planted_cookie_is_none() {
        let read = |text| {
            let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(text))]);
            credential(&headers, HOST_COOKIE).map_err(|problem| problem.code)
        };
        let own = Ok(Credential::Session(Sha256Digest::of(b"vs_x")));
        assert_eq!(read("__Host-vicket_session=vs_x"), own);
        assert_eq!(read("vicket_session=vs_y; __Host-vicket_session=vs_x; vicket_session=vs_z"), own);
        assert_eq!(read("vicket_session=vs_y"), Err(Code::SessionRequired));
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
