//! A site's publishable key: made, staged, rotated, revoked. Its text is in one answer, once.

use poem_openapi::{Enum, Object, OpenApi, param::Path, types::Example};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::{sites::of_site, tags::Tag};
use crate::{
    auth::caller::{Caller, Org},
    db::OrgTx,
    domain::{
        keys::PublishableKey,
        permissions::{AnyMember, ApikeyRotate},
        problem::Problem,
    },
    http::{
        answers::{self},
        failure::Failure,
        text::Nullable,
    },
    store::{
        self,
        site_keys::{KeyRow, SiteKeys},
    },
};

pub struct SiteKeysApi;

/// Whether a site has a key.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "snake_case")]
enum State {
    /// It has one.
    Active,
    /// It has none: nobody can use the site.
    None,
}

/// What may be shown of a site's key.
#[derive(Object)]
#[oai(rename = "SiteKey", skip_serializing_if_is_none, example)]
struct KeyBody {
    /// Whether there is an active key.
    state: State,
    /// The key's last four characters.
    hint: Nullable<String>,
    /// When it was made.
    created_at: Nullable<OffsetDateTime>,
    /// Who made it.
    created_by: Nullable<String>,
    /// When it was last used; a few seconds late.
    last_used_at: Nullable<OffsetDateTime>,
    /// The next key, which works beside the active one until a rotation promotes it.
    staged: Nullable<StagedKey>,
}

/// A key that was made, with its text.
#[derive(Object)]
#[oai(rename = "RevealedSiteKey", skip_serializing_if_is_none, example)]
struct RevealedKey {
    /// Whether there is an active key.
    state: State,
    /// The active key's last four characters.
    hint: Nullable<String>,
    /// When the active key was made.
    created_at: Nullable<OffsetDateTime>,
    /// Who made the active key.
    created_by: Nullable<String>,
    /// When the active key was last used; a few seconds late.
    last_used_at: Nullable<OffsetDateTime>,
    /// The next key, which works beside the active one until a rotation promotes it.
    staged: Nullable<StagedKey>,
    /// The new key: `pk_` and 43 characters. Shown once; absent where a staged key was promoted.
    key: Option<String>,
}

/// What may be shown of a staged key.
#[derive(Object)]
struct StagedKey {
    /// Its last four characters.
    hint: String,
    /// When it was made.
    created_at: OffsetDateTime,
}

impl From<SiteKeys> for KeyBody {
    fn from(SiteKeys { active, staged }: SiteKeys) -> Self {
        let state = if active.is_some() { State::Active } else { State::None };
        let staged = staged.map(|key| StagedKey { hint: key.hint, created_at: key.created_at });
        let (hint, created_at, created_by, last_used_at) = match active {
            Some(KeyRow { hint, created_at, created_by, last_used_at, .. }) => {
                (Some(hint), Some(created_at), Some(created_by), last_used_at)
            }
            None => (None, None, None, None),
        };
        Self {
            state,
            hint: Nullable(hint),
            created_at: Nullable(created_at),
            created_by: Nullable(created_by),
            last_used_at: Nullable(last_used_at),
            staged: Nullable(staged),
        }
    }
}

impl RevealedKey {
    fn new(keys: SiteKeys, key: Option<&PublishableKey>) -> Self {
        let KeyBody { state, hint, created_at, created_by, last_used_at, staged } = keys.into();
        let key = key.map(|key| key.reveal().to_owned());
        Self { state, hint, created_at, created_by, last_used_at, staged, key }
    }
}

impl Example for KeyBody {
    fn example() -> Self {
        Self {
            state: State::Active,
            hint: Nullable(Some("x7Qw".to_owned())),
            created_at: Nullable(Some(datetime!(2026-01-05 08:00 UTC))),
            created_by: Nullable(Some("olivia@acme.com".to_owned())),
            last_used_at: Nullable(Some(datetime!(2026-02-01 16:05 UTC))),
            staged: Nullable(Some(StagedKey { hint: "Zk3u".to_owned(), created_at: datetime!(2026-02-01 16:00 UTC) })),
        }
    }
}

impl Example for RevealedKey {
    fn example() -> Self {
        let KeyBody { state, hint, created_at, created_by, last_used_at, staged } = KeyBody::example();
        let key = Some("pk_SHOWN_ONCE".to_owned());
        Self { state, hint, created_at, created_by, last_used_at, staged, key }
    }
}

/// Makes a key of the site in one transaction, and shows how its keys stand then.
async fn make(
    org: &Caller,
    site: &str,
    change: impl AsyncFnOnce(&mut OrgTx, Uuid) -> Result<Option<PublishableKey>, Problem>,
) -> Result<RevealedKey, Problem> {
    let work = async |tx: &mut OrgTx, site| {
        let key = change(tx, site).await?;
        Ok((store::site_keys::of_site(tx, site).await?, key))
    };
    let (keys, key) = of_site(org, site, work).await?;
    Ok(RevealedKey::new(keys, key.as_ref()))
}

#[OpenApi(prefix_path = "/v1/orgs/{org}", tag = "Tag::Sites")]
impl SiteKeysApi {
    /// Read a site's key
    ///
    /// Its state, its hint, when it was made and last used; never the key.
    #[oai(path = "/sites/:site/key", method = "get", operation_id = "getSiteKey")]
    async fn key(
        &self,
        org: Org<AnyMember>,
        /// The site's slug.
        site: Path<String>,
    ) -> Result<answers::Ok<KeyBody>, Failure> {
        let keys = of_site(&org, &site, async |tx, site| store::site_keys::of_site(tx, site).await).await?;
        Ok(answers::Ok(keys.into()))
    }

    /// Create a site's key
    ///
    /// Shows it once. `key_exists` when the site has one.
    #[oai(path = "/sites/:site/key", method = "post", operation_id = "createSiteKey")]
    async fn create(
        &self,
        org: Org<ApikeyRotate>,
        /// The site's slug.
        site: Path<String>,
    ) -> Result<answers::Created<RevealedKey>, Failure<409>> {
        let made = make(&org, &site, async |tx, site| store::site_keys::create(tx, site).await.map(Some)).await?;
        Ok(answers::Created(made))
    }

    /// Stage the next key
    ///
    /// Shows it once. It works at once beside the active one, until a rotation promotes it. `no_active_key` when there is
    /// none beside which it could, `staged_key_exists` when one is staged.
    #[oai(path = "/sites/:site/key/stage", method = "post", operation_id = "stageSiteKey")]
    async fn stage(
        &self,
        org: Org<ApikeyRotate>,
        /// The site's slug.
        site: Path<String>,
    ) -> Result<answers::Created<RevealedKey>, Failure<409>> {
        let made = make(&org, &site, async |tx, site| store::site_keys::stage(tx, site).await.map(Some)).await?;
        Ok(answers::Created(made))
    }

    /// Rotate a site's key
    ///
    /// Promotes the staged key, or makes a new one and shows it once; the old key is dead in the next request. Of two
    /// rotations at once one gets `rotation_conflict`. `no_active_key` when there is none to rotate.
    #[oai(path = "/sites/:site/key/rotate", method = "post", operation_id = "rotateSiteKey")]
    async fn rotate(
        &self,
        org: Org<ApikeyRotate>,
        /// The site's slug.
        site: Path<String>,
    ) -> Result<answers::Ok<RevealedKey>, Failure<409>> {
        let made = make(&org, &site, async |tx, site| store::site_keys::rotate(tx, site).await).await?;
        Ok(answers::Ok(made))
    }

    /// Revoke a site's key
    ///
    /// The active key and a staged one are dead in the next request: nobody can use the site until a key is created.
    #[oai(path = "/sites/:site/key", method = "delete", operation_id = "revokeSiteKey")]
    async fn revoke(
        &self,
        org: Org<ApikeyRotate>,
        /// The site's slug.
        site: Path<String>,
    ) -> Result<answers::NoContent, Failure<409>> {
        of_site(&org, &site, async |tx, site| store::site_keys::revoke(tx, site).await).await?;
        Ok(answers::NoContent)
    }

    /// Revoke the staged key
    ///
    /// It is dead in the next request; the active key goes on.
    #[oai(path = "/sites/:site/key/staged", method = "delete", operation_id = "revokeStagedSiteKey")]
    async fn revoke_staged(
        &self,
        org: Org<ApikeyRotate>,
        /// The site's slug.
        site: Path<String>,
    ) -> Result<answers::NoContent, Failure<409>> {
        of_site(&org, &site, async |tx, site| store::site_keys::unstage(tx, site).await).await?;
        Ok(answers::NoContent)
    }
}
