//! Logging in: its limits, the check of the password, the session's cookie. Both surfaces that people log in on use it.

use super::{agent::cookie_name, visitor::Visitor};
use crate::passwords::Salt;
use crate::{
    domain::{
        keys::{SessionToken, Sha256Digest},
        problem::Problem,
        text::NewPassword,
    },
    http::request::over,
    limits::{Bucket, Network, Policy, Standing},
    state::App,
    store,
};

/// Tries to log in, a minute.
const LOGINS_OF_ACCOUNT: u32 = 10;
const LOGINS_OF_NETWORK: u32 = 30;
/// A session's longest life: 90 days, in seconds. It ends sooner when it is not used for 14.
const COOKIE_AGE: u32 = 90 * 24 * 60 * 60;

/// Asks the limits of logging in: of the network, and of the account whether there is one or not. Where they stand, and
/// `429 rate_limited` when one is used up.
pub async fn limited(app: &App, network: Network, account: &str) -> (Vec<Standing>, Result<(), Problem>) {
    // Who logged in from here lately has room of their own: nobody elsewhere can lock them out.
    let from_here = from_here(account, network);
    let known = app.known_callers.get(&from_here).is_some();
    let account = Network::of_account(if known { from_here } else { digest(account) });
    let bucket = |policy, network| Bucket { policy, site: None, network: Some(network) };
    let asks = [
        (bucket(Policy::LoginNetwork, network), LOGINS_OF_NETWORK),
        (bucket(Policy::LoginAccount, account), LOGINS_OF_ACCOUNT),
    ];
    let standings = app.limits.take(&asks).await.standings;
    let verdict = over(&standings).map_or(Ok(()), Err);
    (standings, verdict)
}

fn digest(account: &str) -> Sha256Digest {
    Sha256Digest::of(account.to_ascii_lowercase().as_bytes())
}

fn from_here(account: &str, network: Network) -> Sha256Digest {
    Sha256Digest::of_parts(&[b"log-in", digest(account).as_bytes(), network.to_string().as_bytes()])
}

/// Opens a session.
///
/// # Errors
/// `401 login_failed`, the same and after the same time for a wrong password and an unknown e-mail address.
pub async fn open(
    app: &App,
    network: Network,
    visitor: &Visitor,
    email: &str,
    password: String,
) -> Result<SessionToken, Problem> {
    let salt = Salt::stored(store::users::password_salt(&app.agents, email).await?);
    let hash = app.hasher.hash(salt, password).await?;
    let device = visitor.device(network);
    let token = store::users::open_session(&app.agents, email, &hash, &device, visitor.language).await?;
    let token = token.ok_or_else(store::users::wrong_password)?;
    app.known_callers.insert(from_here(email, network), ());
    Ok(token)
}

/// What counts who asks for a link to choose a password, apart from who logs in: nobody can lock anybody out by it.
pub fn reset_of(email: &str) -> String {
    format!("password reset {email}")
}

/// Sets a password by the link with this token.
///
/// # Errors
/// `404 not_found` for a link that is unknown, was used or has expired; `400 invalid_request` for the address as password.
pub async fn reset_password(app: &App, visitor: &Visitor, token: &str, password: NewPassword) -> Result<(), Problem> {
    let token = store::users::token_digest(token);
    let email = store::users::password_reset(&app.agents, token).await?;
    let hash = app.hasher.hash(Salt::fresh(), password.of(&email)?).await?;
    store::users::reset_password(&app.agents, token, &hash, visitor.language).await
}

/// Changes the password of the session's user, whose address this is, and ends their other sessions. The limits of logging in are
/// asked before.
///
/// # Errors
/// `401 login_failed` when the present one is wrong; `400 invalid_request` for the address as password.
pub async fn change_password(
    app: &App,
    (token, email): (Sha256Digest, &str),
    current: String,
    new: NewPassword,
) -> Result<(), Problem> {
    // The salt stays: a password of some orgs has that of the account.
    let salt = store::users::password_salt(&app.agents, email).await?;
    let old = app.hasher.hash(Salt::stored(salt.clone()), current).await?;
    let new = app.hasher.hash(Salt::stored(salt), new.of(email)?).await?;
    if store::users::change_password(&app.agents, token, &old, &new).await? {
        Ok(())
    } else {
        Err(store::users::wrong_password())
    }
}

/// The cookie of a session. `Secure` also where the server speaks plain HTTP: browsers make an exception of localhost.
pub fn cookie(app: &App, token: &SessionToken) -> String {
    let name = cookie_name(app);
    format!("{name}={}; HttpOnly; Secure; SameSite=Lax; Path=/; Max-Age={COOKIE_AGE}", token.reveal())
}

/// What clears the cookie of a session.
pub fn no_cookie(app: &App) -> String {
    let name = cookie_name(app);
    format!("{name}=; HttpOnly; Secure; SameSite=Lax; Path=/; Max-Age=0")
}
