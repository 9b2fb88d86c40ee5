//! Whose signatures a site takes for the identity of its customers, and the sessions that customers have by them.

use sqlx::{FromRow, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    db::{KeyedGate, OrgTx, SiteTx},
    domain::{
        keys::{CustomerToken, IdentitySecret, Sha256Digest},
        problem::{Code, Problem},
        text::{CheckedText as _, EmailAddress, PersonName},
    },
    identity::{self, Identity, Jwks},
    master_secret::MasterSecret,
};

/// Whose signatures a site takes.
#[derive(Clone, Debug, Default)]
pub struct IdentitySettings {
    /// Public keys of the site's server.
    pub jwks: Jwks,
    /// Tickets without a customer session are refused.
    pub required: bool,
}

/// Changes of it; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct IdentityChanges {
    pub jwks: Option<Jwks>,
    pub required: Option<bool>,
}

/// What may be shown of a secret.
#[derive(Debug, FromRow)]
pub struct SecretRow {
    pub id: Uuid,
    pub hint: String,
    pub created_at: OffsetDateTime,
    pub created_by: String,
}

/// A site's secrets: at most one of each.
#[derive(Debug)]
pub struct Secrets {
    pub active: Option<SecretRow>,
    pub staged: Option<SecretRow>,
}

/// Whom a customer session is of.
#[derive(Clone, Debug)]
pub struct Customer {
    pub email: EmailAddress,
    pub name: Option<PersonName>,
}

/// What this server seals by.
///
/// # Errors
/// `422 unprocessable` when it has no secret.
pub fn sealing(secret: Option<&MasterSecret>) -> Result<&MasterSecret, Problem> {
    secret.ok_or_else(|| {
        let fault = "cannot take identities: this server has no secret to seal them by (--secret-key-file)";
        Problem::unprocessable("site", fault)
    })
}

/// Of these sites, those that have any: by the site's id.
///
/// # Errors
/// `5xx` only.
pub async fn settings(tx: &mut OrgTx, sites: &[Uuid]) -> Result<Vec<(Uuid, IdentitySettings)>, Problem> {
    let rows: Vec<(Uuid, Option<String>, bool)> =
        sqlx::query_as("select site_id, keys, required from vicket.site_identities where site_id = any($1)")
            .bind(sites)
            .fetch_all(tx.connection())
            .await?;
    let read = |(site, keys, required): (Uuid, Option<String>, bool)| {
        let jwks = keys.map(|keys| serde_json::from_str(&keys)).transpose().map_err(Problem::internal)?;
        Ok((site, IdentitySettings { jwks: jwks.unwrap_or_default(), required }))
    };
    rows.into_iter().map(read).collect()
}

/// Changes whose signatures a site takes.
///
/// # Errors
/// `5xx` only.
pub async fn change(
    tx: &mut OrgTx,
    secret: &MasterSecret,
    site_id: Uuid,
    changes: &IdentityChanges,
) -> Result<(), Problem> {
    let keys = changes.jwks.as_ref().map(serde_json::to_string).transpose().map_err(Problem::internal)?;
    let saved = sqlx::query(
        "insert into vicket.site_identities as i (site_id, keys, required, opener_hash)
        values ($1, $2, coalesce($3, false), $4)
        on conflict (org_id, site_id) do update
        set keys = case when $5 then excluded.keys else i.keys end, required = coalesce($3, i.required),
          opener_hash = $4, updated_at = now()",
    )
    .bind(site_id)
    .bind(keys)
    .bind(changes.required)
    .bind(identity::opener_hash(secret, site_id).as_bytes().as_slice())
    .bind(changes.jwks.is_some())
    .execute(tx.connection())
    .await?;
    super::one_row(saved.rows_affected())
}

/// The active and the staged secret of a site.
///
/// # Errors
/// `5xx` only.
pub async fn secrets(tx: &mut OrgTx, site_id: Uuid) -> Result<Secrets, Problem> {
    Ok(Secrets { active: one(tx, site_id, "active").await?, staged: one(tx, site_id, "staged").await? })
}

async fn one(tx: &mut OrgTx, site_id: Uuid, state: &str) -> Result<Option<SecretRow>, Problem> {
    let sql = "select id, hint, created_at, created_by from vicket.identity_secrets where site_id = $1 and state = $2";
    Ok(sqlx::query_as(sql).bind(site_id).bind(state).fetch_optional(tx.connection()).await?)
}

/// Creates the site's secret.
///
/// # Errors
/// `409 key_exists`.
pub async fn create(tx: &mut OrgTx, secret: &MasterSecret, site_id: Uuid) -> Result<IdentitySecret, Problem> {
    insert(tx, secret, site_id, "active").await.map_err(|error| {
        Problem::on_constraint(error, "identity_secrets_one_active", || {
            Problem::new(Code::KeyExists, "The site has an active identity secret. Rotate it, or revoke it first.")
        })
    })
}

/// Creates the next secret, whose tokens are taken at once beside those of the active one.
///
/// # Errors
/// `409 staged_key_exists`, `409 no_active_key`.
pub async fn stage(tx: &mut OrgTx, secret: &MasterSecret, site_id: Uuid) -> Result<IdentitySecret, Problem> {
    active_id(tx, site_id).await?;
    insert(tx, secret, site_id, "staged").await.map_err(|error| {
        Problem::on_constraint(error, "identity_secrets_one_staged", || {
            Problem::new(
                Code::StagedKeyExists,
                "The site has a staged identity secret. Rotate to it, or drop it first.",
            )
        })
    })
}

/// Kills the active secret and promotes the staged one; without a staged one, a new secret takes over and is returned.
///
/// # Errors
/// `409 no_active_key`; `409 rotation_conflict` when another rotation came first.
pub async fn rotate(tx: &mut OrgTx, secret: &MasterSecret, site_id: Uuid) -> Result<Option<IdentitySecret>, Problem> {
    let old = active_id(tx, site_id).await?;
    let staged = one(tx, site_id, "staged").await?;
    // Of two rotations that read the same active secret, the second waits here for the first and then finds it revoked.
    let killed = sqlx::query(
        "update vicket.identity_secrets set state = 'revoked', sealed_secret = null
        where site_id = $1 and id = $2 and state = 'active'",
    )
    .bind(site_id)
    .bind(old)
    .execute(tx.connection())
    .await?;
    if killed.rows_affected() == 0 {
        return Err(conflict());
    }
    let Some(staged) = staged else {
        let made = insert(tx, secret, site_id, "active").await;
        return made.map(Some).map_err(|error| Problem::on_constraint(error, "identity_secrets_one_active", conflict));
    };
    let promoted = sqlx::query(
        "update vicket.identity_secrets set state = 'active' where site_id = $1 and id = $2 and state = 'staged'",
    )
    .bind(site_id)
    .bind(staged.id)
    .execute(tx.connection())
    .await
    .map_err(|error| Problem::on_constraint(error, "identity_secrets_one_active", conflict))?;
    if promoted.rows_affected() == 0 { Err(conflict()) } else { Ok(None) }
}

/// Kills the active secret, and a staged one with it; or the staged one only.
///
/// # Errors
/// `404 not_found` when the site has none.
pub async fn revoke(tx: &mut OrgTx, site_id: Uuid, staged_only: bool) -> Result<(), Problem> {
    let states: &[&str] = if staged_only { &["staged"] } else { &["active", "staged"] };
    let killed = sqlx::query(
        "update vicket.identity_secrets set state = 'revoked', sealed_secret = null
        where site_id = $1 and state = any($2)",
    )
    .bind(site_id)
    .bind(states)
    .execute(tx.connection())
    .await?;
    if killed.rows_affected() > 0 {
        return Ok(());
    }
    Err(Problem::new(Code::NotFound, "The site has no such identity secret."))
}

fn conflict() -> Problem {
    Problem::new(
        Code::RotationConflict,
        "Another change of the secret came first. Look at it, and try again if need be.",
    )
}

async fn active_id(tx: &mut OrgTx, site_id: Uuid) -> Result<Uuid, Problem> {
    let active = one(tx, site_id, "active").await?;
    let none = || Problem::new(Code::NoActiveKey, "The site has no active identity secret. Create one.");
    active.map(|secret| secret.id).ok_or_else(none)
}

async fn insert(
    tx: &mut OrgTx,
    secret: &MasterSecret,
    site_id: Uuid,
    state: &str,
) -> Result<IdentitySecret, sqlx::Error> {
    let made = IdentitySecret::mint();
    sqlx::query(
        "insert into vicket.identity_secrets (site_id, sealed_secret, opener_hash, hint, state) values ($1, $2, $3, $4, $5)",
    )
    .bind(site_id)
    .bind(identity::seal(secret, site_id, &made))
    .bind(identity::opener_hash(secret, site_id).as_bytes().as_slice())
    .bind(made.hint())
    .bind(state)
    .execute(tx.connection())
    .await?;
    Ok(made)
}

/// By what a token of the site of a key may be signed: the site, its JWKS, its secrets as they are sealed.
#[derive(FromRow)]
pub struct SealedVerifiers {
    pub site_id: Option<Uuid>,
    pub keys: Option<Json<Jwks>>,
    pub secrets: Vec<Vec<u8>>,
}

/// By what a token of the site of this key may be signed.
///
/// # Errors
/// `5xx` only.
pub async fn verifiers(gate: &KeyedGate<'_>) -> Result<SealedVerifiers, Problem> {
    gate.ask("select k.site_id, k.keys::jsonb as keys, k.secrets from auth.identity_keys($1) k", |call| call).await
}

#[derive(FromRow)]
struct Opened {
    verdict: String,
    expires_at: Option<OffsetDateTime>,
}

/// Opens a session for whom a token named; says until when, or `None` when that token opened one before.
///
/// # Errors
/// `5xx`; also when what this site's settings were saved with is not the secret of this server.
pub async fn open(
    gate: &KeyedGate<'_>,
    openers: Vec<Vec<u8>>,
    who: &Identity,
    token: &CustomerToken,
) -> Result<Option<OffsetDateTime>, Problem> {
    let sql = "select verdict, expires_at from auth.open_customer_session($1, $2, $3, $4, $5, $6, $7)";
    let bytes = |digest: Sha256Digest| digest.as_bytes().to_vec();
    let opened: Opened = gate
        .ask(sql, |call| {
            call.bind(openers)
                .bind(who.subject.clone())
                .bind(who.email.as_str().to_owned())
                .bind(who.name.as_deref().map(str::to_owned))
                .bind(bytes(who.once))
                .bind(bytes(token.digest()))
        })
        .await?;
    if opened.verdict == "sealed" {
        tracing::warn!("a site's identity settings were saved with another --secret-key-file: save them again");
    }
    Ok(opened.expires_at)
}

/// From here on the transaction is that of a customer, by the digest of their session, and of one of their tickets where one
/// is named.
///
/// # Errors
/// `401 customer_session_invalid`.
pub async fn enter(tx: &mut SiteTx, session: Sha256Digest, ticket: Option<Uuid>) -> Result<Customer, Problem> {
    let (id, email, name): (Option<Uuid>, Option<String>, Option<String>) =
        sqlx::query_as("select id, email, name from ctx.as_customer($1, $2)")
            .bind(session.as_bytes().as_slice())
            .bind(ticket)
            .fetch_one(tx.connection())
            .await?;
    let (Some(_), Some(email)) = (id, email) else { return Err(Problem::customer_session_invalid()) };
    let email = EmailAddress::parse(email).map_err(Problem::internal)?;
    Ok(Customer { email, name: name.map(PersonName::parse).transpose().map_err(Problem::internal)? })
}

/// Ends the customer's session.
///
/// # Errors
/// `401 customer_session_invalid` when it ended meanwhile.
pub async fn end(tx: &mut SiteTx) -> Result<(), Problem> {
    let ended: bool = sqlx::query_scalar("select ctx.end_customer_session()").fetch_one(tx.connection()).await?;
    if ended { Ok(()) } else { Err(Problem::customer_session_invalid()) }
}
