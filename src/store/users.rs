//! How people come in: functions of the schema `auth`, which the agents' gate executes outside any org. What opens a
//! door is a digest, or the hash of a password made with the stored salt: the stored hash itself is never read.

use sqlx::{FromRow, Row as _};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    db::AgentGate,
    domain::{
        keys::{InvitationToken, SessionToken, Sha256Digest},
        problem::{Code, Problem},
        text::{EmailAddress, OrgName, PersonName, Slug},
    },
};

/// Algorithm, parameters and salt of a person's password; `None` for a stranger.
///
/// # Errors
/// `5xx` only.
pub async fn password_salt(gate: &AgentGate, email: &str) -> Result<Option<String>, Problem> {
    Ok(gate.ask(sqlx::query("select auth.password_salt($1)").bind(email)).await?.try_get(0)?)
}

/// Opens a session when the password's hash is right; `None` when it is not. The account's owner is told of a device that it was
/// not used from before: network and browser, in words.
///
/// # Errors
/// `5xx` only.
pub async fn open_session(
    gate: &AgentGate,
    email: &str,
    hash: &str,
    device: &str,
    language: &str,
) -> Result<Option<SessionToken>, Problem> {
    let token = SessionToken::mint();
    let known = Sha256Digest::of_parts(&[b"device", email.to_ascii_lowercase().as_bytes(), device.as_bytes()]);
    let query = sqlx::query("select auth.log_in($1, $2, $3, $4, $5, $6)")
        .bind(email)
        .bind(hash)
        .bind(bytes(token.digest()))
        .bind(bytes(known))
        .bind(device)
        .bind(language);
    let opened: bool = gate.ask(query).await?.try_get(0)?;
    Ok(opened.then_some(token))
}

/// Ends a session.
///
/// # Errors
/// `5xx` only.
pub async fn close_session(gate: &AgentGate, token: Sha256Digest) -> Result<(), Problem> {
    gate.ask(sqlx::query("select auth.close_session($1, false)").bind(bytes(token))).await.map(drop)
}

/// Ends every session of the one's user.
///
/// # Errors
/// `5xx` only.
pub async fn close_sessions(gate: &AgentGate, token: Sha256Digest) -> Result<(), Problem> {
    gate.ask(sqlx::query("select auth.close_session($1, true)").bind(bytes(token))).await.map(drop)
}

/// Where somebody is logged in.
#[derive(Debug, FromRow)]
pub struct Session {
    pub id: Uuid,
    /// Browser, system and network at the log-in; `None` of one who joined.
    pub device: Option<String>,
    pub created_at: OffsetDateTime,
    pub last_used_at: OffsetDateTime,
    /// The one that asks.
    pub is_this: bool,
}

/// The sessions of the one's user, the one that was used last first: 200 at the most.
///
/// # Errors
/// `5xx` only.
pub async fn sessions(gate: &AgentGate, token: Sha256Digest) -> Result<Vec<Session>, Problem> {
    let rows = gate.ask_all(sqlx::query("select * from auth.my_sessions($1)").bind(bytes(token))).await?;
    Ok(rows.iter().map(Session::from_row).collect::<Result<_, _>>()?)
}

/// Ends one of the sessions of the one's user.
///
/// # Errors
/// `404 not_found` when it is none of theirs.
pub async fn end_session(gate: &AgentGate, token: Sha256Digest, id: Uuid) -> Result<(), Problem> {
    let query = sqlx::query("select auth.end_session($1, $2)").bind(bytes(token)).bind(id);
    if gate.ask(query).await?.try_get::<bool, _>(0)? { Ok(()) } else { Err(Problem::not_found()) }
}

/// Changes the name of the session's user, as all their orgs see it.
///
/// # Errors
/// `422 unprocessable` when their address is not proven.
pub async fn rename(gate: &AgentGate, token: Sha256Digest, name: &PersonName) -> Result<(), Problem> {
    let query = sqlx::query("select auth.rename_person($1, $2)").bind(bytes(token)).bind(name.as_str());
    if gate.ask(query).await?.try_get::<bool, _>(0)? {
        return Ok(());
    }
    Err(Problem::unprocessable("name", "cannot be changed before your address is proven"))
}

/// Changes the password of the session's user and ends their other sessions; `false` when the old one is wrong.
///
/// # Errors
/// `5xx` only.
pub async fn change_password(gate: &AgentGate, token: Sha256Digest, old: &str, new: &str) -> Result<bool, Problem> {
    let query = sqlx::query("select auth.change_password($1, $2, $3)").bind(bytes(token)).bind(old).bind(new);
    Ok(gate.ask(query).await?.try_get(0)?)
}

/// Whom the invitation of this token is for.
///
/// # Errors
/// `404 not_found` when there is none, or it has expired.
pub async fn invited(gate: &AgentGate, token: Sha256Digest) -> Result<String, Problem> {
    let row = gate.ask(sqlx::query("select email from auth.invitation($1)").bind(bytes(token))).await?;
    row.try_get::<Option<String>, _>(0)?.ok_or_else(no_invitation)
}

/// Joins the org of an invitation and opens a session.
///
/// # Errors
/// `404 not_found` when the invitation is gone.
pub async fn accept_invitation(
    gate: &AgentGate,
    token: Sha256Digest,
    name: &PersonName,
    hash: &str,
    request_id: &str,
) -> Result<SessionToken, Problem> {
    let session = SessionToken::mint();
    let query = sqlx::query("select auth.accept_invitation($1, $2, $3, $4, $5)")
        .bind(bytes(token))
        .bind(name.as_str())
        .bind(hash)
        .bind(bytes(session.digest()))
        .bind(request_id);
    match gate.ask(query).await?.try_get::<&str, _>(0)? {
        "joined" => Ok(session),
        _ => Err(no_invitation()),
    }
}

/// Asks for mail with a link to choose a password. Nobody learns whether there is such an account.
///
/// # Errors
/// `5xx` only.
pub async fn ask_password_reset(gate: &AgentGate, email: &EmailAddress, language: &str) -> Result<(), Problem> {
    let query =
        sqlx::query("select auth.ask_password_reset($1, $2)").bind(email.to_lowercase()).bind(language.to_owned());
    gate.ask(query).await.map(drop)
}

/// Asks for mail with a link that proves the address of whoever has this session.
///
/// # Errors
/// `5xx` only.
pub async fn ask_address_proof(gate: &AgentGate, token: Sha256Digest, language: &str) -> Result<(), Problem> {
    gate.ask(sqlx::query("select auth.ask_address_proof($1, $2)").bind(bytes(token)).bind(language)).await.map(drop)
}

/// Whose password the link with this token is for.
///
/// # Errors
/// `404 not_found` when it is unknown, was used, or has expired.
pub async fn password_reset(gate: &AgentGate, token: Sha256Digest) -> Result<String, Problem> {
    let row = gate.ask(sqlx::query("select auth.password_reset($1)").bind(bytes(token))).await?;
    row.try_get::<Option<String>, _>(0)?.ok_or_else(no_link)
}

/// Sets the password of whoever the link with this token was mailed to, once: their address is proven, and all their sessions
/// end.
///
/// # Errors
/// `404 not_found` when it is unknown, was used, or has expired.
pub async fn reset_password(gate: &AgentGate, token: Sha256Digest, hash: &str, language: &str) -> Result<(), Problem> {
    let query = sqlx::query("select auth.reset_password($1, $2, $3)").bind(bytes(token)).bind(hash).bind(language);
    if gate.ask(query).await?.try_get::<bool, _>(0)? { Ok(()) } else { Err(no_link()) }
}

fn no_link() -> Problem {
    Problem::new(Code::NotFound, "The link is unknown, was used, or has expired. Ask for another one.")
}

/// Whether the server has neither an org nor a user.
///
/// # Errors
/// `5xx` only.
pub async fn first_run(gate: &AgentGate) -> Result<bool, Problem> {
    Ok(gate.ask(sqlx::query("select auth.first_run()")).await?.try_get(0)?)
}

/// The first org, and its owner.
pub struct FirstOrg<'a> {
    pub slug: &'a Slug,
    pub org_name: &'a OrgName,
    pub email: &'a EmailAddress,
    pub name: &'a PersonName,
    /// argon2id in PHC form.
    pub password_hash: &'a str,
}

/// Makes the first org with its owner, and opens a session for them; `None` when the server has an org or a user.
///
/// # Errors
/// `400 invalid_request` for a slug that is the address of a page.
pub async fn begin_first_org(
    gate: &AgentGate,
    first: &FirstOrg<'_>,
    request_id: &str,
) -> Result<Option<SessionToken>, Problem> {
    super::orgs::check_new_slug(first.slug)?;
    let session = SessionToken::mint();
    let query = sqlx::query("select auth.begin_first_org($1, $2, $3, $4, $5, $6, $7)")
        .bind(first.slug.as_str())
        .bind(first.org_name.as_str())
        .bind(first.email.as_str())
        .bind(first.name.as_str())
        .bind(first.password_hash)
        .bind(bytes(session.digest()))
        .bind(request_id);
    let begun: bool = gate.ask(query).await?.try_get(0)?;
    Ok(begun.then_some(session))
}

fn no_invitation() -> Problem {
    Problem::new(Code::NotFound, "The invitation is unknown, was used or revoked, or has expired.")
}

/// `401 login_failed`, the same for a wrong password and an unknown e-mail.
pub fn wrong_password() -> Problem {
    Problem::new(Code::LoginFailed, "The e-mail address or the password is wrong.")
}

/// The digest of the token of an invitation, or of a link to choose a password, as its holder sent it.
pub fn token_digest(token: &str) -> Sha256Digest {
    Sha256Digest::of(token.as_bytes())
}

fn bytes(digest: Sha256Digest) -> Vec<u8> {
    digest.as_bytes().to_vec()
}

/// A new invitation's token and what is stored of it.
pub fn mint_invitation() -> (InvitationToken, Vec<u8>) {
    let token = InvitationToken::mint();
    let digest = bytes(token.digest());
    (token, digest)
}
