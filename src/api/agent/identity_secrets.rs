//! A site's identity secret, by which its own server signs who its customers are: made, staged, rotated, revoked. Its text is in
//! one answer, once.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::{sites::of_site, tags::Tag};
use crate::{
    auth::caller::{Caller, Org},
    db::OrgTx,
    domain::{
        keys::IdentitySecret,
        permissions::{AnyMember, ApikeyRotate},
        problem::Problem,
    },
    http::{answers, failure::Failure, text::Nullable},
    state::App,
    store::{
        self,
        identity::{SecretRow, Secrets},
    },
};

pub struct IdentitySecretsApi;

/// What may be shown of a secret.
#[derive(Object)]
#[oai(rename = "IdentitySecret")]
struct SecretBody {
    /// Its last four characters.
    hint: String,
    /// When it was made.
    created_at: OffsetDateTime,
    /// Who made it.
    created_by: String,
}

impl From<SecretRow> for SecretBody {
    fn from(row: SecretRow) -> Self {
        Self { hint: row.hint, created_at: row.created_at, created_by: row.created_by }
    }
}

/// A site's identity secrets.
#[derive(Object)]
#[oai(rename = "IdentitySecrets", example)]
struct SecretsBody {
    /// The one in use.
    active: Nullable<SecretBody>,
    /// The next one, whose tokens are taken beside those of the active one until a rotation promotes it.
    staged: Nullable<SecretBody>,
}

/// A site's identity secrets after one was made.
#[derive(Object)]
#[oai(rename = "RevealedIdentitySecret", skip_serializing_if_is_none, example)]
struct RevealedSecret {
    /// The one in use.
    active: Nullable<SecretBody>,
    /// The next one.
    staged: Nullable<SecretBody>,
    /// The new secret: `is_` and 43 characters, for the site's server alone. Shown once; absent where a staged one was promoted.
    secret: Option<String>,
}

impl From<Secrets> for SecretsBody {
    fn from(Secrets { active, staged }: Secrets) -> Self {
        Self { active: Nullable(active.map(Into::into)), staged: Nullable(staged.map(Into::into)) }
    }
}

impl Example for SecretsBody {
    fn example() -> Self {
        let active = SecretBody {
            hint: "x7Qw".to_owned(),
            created_at: datetime!(2026-01-05 08:00 UTC),
            created_by: "olivia@acme.com".to_owned(),
        };
        let staged = SecretBody {
            hint: "m2Kd".to_owned(),
            created_at: datetime!(2026-02-01 08:00 UTC),
            created_by: "olivia@acme.com".to_owned(),
        };
        Self { active: Nullable(Some(active)), staged: Nullable(Some(staged)) }
    }
}

impl Example for RevealedSecret {
    fn example() -> Self {
        let SecretsBody { active, staged } = SecretsBody::example();
        Self { active, staged, secret: Some("is_SHOWN_ONCE".to_owned()) }
    }
}

/// Makes a secret of the site in one transaction, and shows how its secrets stand then.
async fn make(
    org: &Caller,
    site: &str,
    change: impl AsyncFnOnce(&mut OrgTx, Uuid) -> Result<Option<IdentitySecret>, Problem>,
) -> Result<RevealedSecret, Problem> {
    let work = async |tx: &mut OrgTx, site| {
        let secret = change(tx, site).await?;
        Ok((store::identity::secrets(tx, site).await?, secret))
    };
    let (secrets, secret) = of_site(org, site, work).await?;
    let SecretsBody { active, staged } = secrets.into();
    Ok(RevealedSecret { active, staged, secret: secret.map(|secret| secret.reveal().to_owned()) })
}

#[OpenApi(prefix_path = "/v1/orgs/{org}", tag = "Tag::Sites")]
impl IdentitySecretsApi {
    /// Read a site's identity secret
    ///
    /// Its hint, when it was made and by whom; never the secret.
    #[oai(path = "/sites/:site/identity-secret", method = "get", operation_id = "getIdentitySecret")]
    async fn secrets(
        &self,
        org: Org<AnyMember>,
        /// The site's slug.
        site: Path<String>,
    ) -> Result<answers::Ok<SecretsBody>, Failure> {
        let secrets = of_site(&org, &site, async |tx, site| store::identity::secrets(tx, site).await).await?;
        Ok(answers::Ok(secrets.into()))
    }

    /// Create a site's identity secret
    ///
    /// Shows it once. The site's server signs by it, HS256, who its customers are; a key pair, whose public half you set in
    /// `identity.jwks` of the site, is the better choice. `key_exists` when the site has one.
    #[oai(path = "/sites/:site/identity-secret", method = "post", operation_id = "createIdentitySecret")]
    async fn create(
        &self,
        org: Org<ApikeyRotate>,
        app: Data<&Arc<App>>,
        /// The site's slug.
        site: Path<String>,
    ) -> Result<answers::Created<RevealedSecret>, Failure<409, 422>> {
        let server = store::identity::sealing(app.secret.as_deref())?;
        let work = async |tx: &mut OrgTx, site| store::identity::create(tx, server, site).await.map(Some);
        Ok(answers::Created(make(&org, &site, work).await?))
    }

    /// Stage the next identity secret
    ///
    /// Shows it once. Its tokens are taken at once beside those of the active one, until a rotation promotes it.
    #[oai(path = "/sites/:site/identity-secret/stage", method = "post", operation_id = "stageIdentitySecret")]
    async fn stage(
        &self,
        org: Org<ApikeyRotate>,
        app: Data<&Arc<App>>,
        /// The site's slug.
        site: Path<String>,
    ) -> Result<answers::Created<RevealedSecret>, Failure<409, 422>> {
        let server = store::identity::sealing(app.secret.as_deref())?;
        let work = async |tx: &mut OrgTx, site| store::identity::stage(tx, server, site).await.map(Some);
        Ok(answers::Created(make(&org, &site, work).await?))
    }

    /// Rotate a site's identity secret
    ///
    /// Promotes the staged one, or makes a new one and shows it once; no token of the old one is taken in the next request.
    /// Sessions that were opened go on until they end.
    #[oai(path = "/sites/:site/identity-secret/rotate", method = "post", operation_id = "rotateIdentitySecret")]
    async fn rotate(
        &self,
        org: Org<ApikeyRotate>,
        app: Data<&Arc<App>>,
        /// The site's slug.
        site: Path<String>,
    ) -> Result<answers::Ok<RevealedSecret>, Failure<409, 422>> {
        let server = store::identity::sealing(app.secret.as_deref())?;
        let work = async |tx: &mut OrgTx, site| store::identity::rotate(tx, server, site).await;
        Ok(answers::Ok(make(&org, &site, work).await?))
    }

    /// Revoke a site's identity secret
    ///
    /// The active one and a staged one: no token of theirs is taken in the next request.
    #[oai(path = "/sites/:site/identity-secret", method = "delete", operation_id = "revokeIdentitySecret")]
    async fn revoke(
        &self,
        org: Org<ApikeyRotate>,
        /// The site's slug.
        site: Path<String>,
    ) -> Result<answers::NoContent, Failure<409>> {
        of_site(&org, &site, async |tx, site| store::identity::revoke(tx, site, false).await).await?;
        Ok(answers::NoContent)
    }

    /// Revoke the staged identity secret
    ///
    /// No token of it is taken in the next request; the active one goes on.
    #[oai(path = "/sites/:site/identity-secret/staged", method = "delete", operation_id = "revokeStagedIdentitySecret")]
    async fn revoke_staged(
        &self,
        org: Org<ApikeyRotate>,
        /// The site's slug.
        site: Path<String>,
    ) -> Result<answers::NoContent, Failure<409>> {
        of_site(&org, &site, async |tx, site| store::identity::revoke(tx, site, true).await).await?;
        Ok(answers::NoContent)
    }
}
