//! Sites: names, limits, origins, and the origins that were refused.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::Path,
    payload::Json,
    types::{Example, MaybeUndefined},
};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::tags::Tag;
use crate::{
    auth::caller::{Caller, Org},
    db::{OrgTx, SiteLimits},
    domain::{
        origins::Origin,
        permissions::{AnyMember, SiteCreate, SiteDelete, SiteEdit},
        problem::Problem,
        references::Prefix,
        text::{Checked, EmailAddress, NAME_LENGTH, PageUrl, SitePrefix, Slug, Text},
    },
    http::{
        answers::{self, Page},
        failure::Failure,
        paging::Paging,
        text::{Input, Nullable, PageAddress},
    },
    identity::{Jwks, MAX_KEYS, PublicKey},
    state::App,
    store::{
        self,
        identity::{IdentityChanges, IdentitySettings},
        sites::{MAX_PER_MINUTE, MAX_QUOTA_MIB, MAX_UPLOAD_MIB, RefusedOrigin, SiteChanges, SiteWithOrigins},
    },
};

pub struct SitesApi;

/// Requests a minute that a site takes.
#[derive(Object)]
struct Limits {
    /// Reads of the whole site.
    reads_per_minute: u32,
    /// Ticket writes of the whole site.
    writes_per_minute: u32,
    /// Reads of one client network (IPv4 /24, IPv6 /56).
    network_reads_per_minute: u32,
    /// Ticket writes of one client network.
    network_writes_per_minute: u32,
}

impl From<SiteLimits> for Limits {
    fn from(limits: SiteLimits) -> Self {
        Self {
            reads_per_minute: limits.reads,
            writes_per_minute: limits.writes,
            network_reads_per_minute: limits.network_reads,
            network_writes_per_minute: limits.network_writes,
        }
    }
}

/// A customer-facing surface of the org.
#[derive(Object)]
#[oai(rename = "Site", example)]
struct SiteBody {
    /// Its id.
    id: Uuid,
    /// Its name in URLs; never changes.
    slug: String,
    /// Its name.
    name: String,
    /// What the references of its tickets begin with, `APP` of `APP-21`: 2 to 8 letters A-Z, unique in the org.
    prefix: String,
    /// The origins whose pages may use its publishable key, in the browser's own form.
    origins: Vec<String>,
    /// Its rate limits.
    limits: Limits,
    /// Its files.
    files: FileQuota,
    /// The page on which customers read their tickets: links in mail lead there.
    support_url: Nullable<String>,
    /// The language of its mail.
    language: Language,
    /// Whom its mail is from.
    mail: MailSender,
    /// Whose word it takes for who its customers are.
    identity: IdentityBody,
    /// When it was made.
    created_at: OffsetDateTime,
    /// When its settings were last changed.
    updated_at: OffsetDateTime,
}

/// Files that a site keeps, and may.
#[derive(Object)]
struct FileQuota {
    /// Bytes of all its files, on messages of customers and of agents.
    bytes: i64,
    /// How much that may be, MiB; beyond it an upload is refused: `413 quota_exceeded`.
    quota_mib: u32,
    /// How much customers of one client network (IPv4 /24, IPv6 /56) may add in a day, MiB.
    network_mib_per_day: u32,
}

/// The language of a site's mail.
#[derive(Enum, Clone, Copy)]
#[oai(rename = "SiteLanguage", rename_all = "snake_case")]
enum Language {
    /// English.
    En,
    /// German.
    De,
    /// French.
    Fr,
    /// Spanish.
    Es,
}

impl From<store::sites::Language> for Language {
    fn from(language: store::sites::Language) -> Self {
        match language {
            store::sites::Language::En => Self::En,
            store::sites::Language::De => Self::De,
            store::sites::Language::Fr => Self::Fr,
            store::sites::Language::Es => Self::Es,
        }
    }
}

impl From<Language> for store::sites::Language {
    fn from(language: Language) -> Self {
        match language {
            Language::En => Self::En,
            Language::De => Self::De,
            Language::Fr => Self::Fr,
            Language::Es => Self::Es,
        }
    }
}

/// Whom a site's mail is from.
#[derive(Object)]
struct MailSender {
    /// Its name; that of the site when `null`.
    from_name: Nullable<String>,
    /// Its address: in `From` where the server may send for its domain, else in `Reply-To`.
    from_address: Nullable<String>,
}

/// Whose word a site takes for who its customers are.
#[derive(Object)]
#[oai(rename = "SiteIdentity")]
struct IdentityBody {
    /// The public keys of the site's own server; `null` for none. Its identity secret is `getIdentitySecret`'s to show.
    jwks: Nullable<JwksBody>,
    /// Whether tickets are taken from customer sessions only.
    require: bool,
}

/// A set of public keys (RFC 7517).
#[derive(Object)]
#[oai(rename = "Jwks", deny_unknown_fields)]
struct JwksBody {
    /// The keys: Ed25519 (EdDSA), P-256 (ES256) or RSA of 2,048 to 4,096 bits (RS256).
    #[oai(validator(max_items = 10))]
    keys: Vec<JwkBody>,
}

/// A public key (RFC 7517). Private keys and secrets are refused.
#[derive(Object)]
#[oai(rename = "Jwk", deny_unknown_fields, skip_serializing_if_is_none)]
struct JwkBody {
    /// `OKP`, `EC` or `RSA`.
    kty: Text<10>,
    /// `Ed25519` of an OKP, `P-256` of an EC key.
    crv: Option<Text<20>>,
    /// Of an OKP or EC key, base64url.
    x: Option<Text<100>>,
    /// Of an EC key, base64url.
    y: Option<Text<100>>,
    /// The modulus of an RSA key, base64url.
    n: Option<Text<1000>>,
    /// The exponent of an RSA key, base64url.
    e: Option<Text<20>>,
    /// `EdDSA`, `ES256` or `RS256`; what the kind of the key says when absent.
    alg: Option<Text<10>>,
    /// Its name: a token that names one is verified by that one alone.
    kid: Option<Text<100>>,
    /// `sig`, if it says anything.
    #[oai(rename = "use")]
    used_for: Option<Text<10>>,
    /// `verify`, if it says anything.
    #[oai(validator(max_items = 10))]
    key_ops: Option<Vec<Text<20>>>,
}

/// That of RFC 8037, appendix A.
fn example_key() -> PublicKey {
    PublicKey {
        kty: "OKP".to_owned(),
        crv: Some("Ed25519".to_owned()),
        x: Some("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".to_owned()),
        y: None,
        n: None,
        e: None,
        alg: Some("EdDSA".to_owned()),
        kid: Some("2026-02".to_owned()),
    }
}

impl From<PublicKey> for JwkBody {
    fn from(key: PublicKey) -> Self {
        Self {
            kty: Text::known(&key.kty),
            crv: key.crv.as_deref().map(Text::known),
            x: key.x.as_deref().map(Text::known),
            y: key.y.as_deref().map(Text::known),
            n: key.n.as_deref().map(Text::known),
            e: key.e.as_deref().map(Text::known),
            alg: key.alg.as_deref().map(Text::known),
            kid: key.kid.as_deref().map(Text::known),
            used_for: None,
            key_ops: None,
        }
    }
}

impl From<JwkBody> for PublicKey {
    fn from(key: JwkBody) -> Self {
        let text = |text: &dyn std::ops::Deref<Target = str>| text.to_string();
        Self {
            kty: key.kty.to_string(),
            crv: key.crv.map(|part| text(&part)),
            x: key.x.map(|part| text(&part)),
            y: key.y.map(|part| text(&part)),
            n: key.n.map(|part| text(&part)),
            e: key.e.map(|part| text(&part)),
            alg: key.alg.map(|part| text(&part)),
            kid: key.kid.map(|part| text(&part)),
        }
    }
}

impl From<IdentitySettings> for IdentityBody {
    fn from(IdentitySettings { jwks, required }: IdentitySettings) -> Self {
        let keys: Vec<JwkBody> = jwks.keys.into_iter().map(Into::into).collect();
        Self { jwks: Nullable((!keys.is_empty()).then_some(JwksBody { keys })), require: required }
    }
}

impl From<SiteWithOrigins> for SiteBody {
    fn from(SiteWithOrigins { site, origins, file_bytes, identity }: SiteWithOrigins) -> Self {
        let limits = site.limits().into();
        let files = FileQuota {
            bytes: file_bytes,
            quota_mib: site.file_quota_mib.cast_unsigned(),
            network_mib_per_day: site.network_upload_mib_per_day.cast_unsigned(),
        };
        Self {
            id: site.id,
            slug: site.slug,
            name: site.name,
            prefix: site.prefix,
            origins,
            limits,
            files,
            support_url: Nullable(site.support_url),
            language: site.language.into(),
            mail: MailSender {
                from_name: Nullable(site.mail_from_name),
                from_address: Nullable(site.mail_from_address),
            },
            identity: identity.into(),
            created_at: site.created_at,
            updated_at: site.updated_at,
        }
    }
}

impl Example for SiteBody {
    fn example() -> Self {
        Self {
            id: Uuid::from_u128(0x5d2c_9a70_14b3_4e8f_a6c1_7d0e_3b52_9f84),
            slug: "acme-app".to_owned(),
            name: "Acme App".to_owned(),
            prefix: "APP".to_owned(),
            origins: vec!["https://app.acme.com".to_owned()],
            limits: SiteLimits { reads: 6000, writes: 60, network_reads: 300, network_writes: 10 }.into(),
            files: FileQuota { bytes: 48_211, quota_mib: 10_240, network_mib_per_day: 100 },
            support_url: Nullable(Some("https://acme.com/support".to_owned())),
            language: Language::En,
            mail: MailSender { from_name: Nullable(Some("Acme Support".to_owned())), from_address: Nullable(None) },
            identity: IdentitySettings { jwks: Jwks { keys: vec![example_key()] }, required: false }.into(),
            created_at: datetime!(2026-01-05 08:00 UTC),
            updated_at: datetime!(2026-01-05 08:00 UTC),
        }
    }
}

/// A site to make.
#[derive(Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
struct NewSite {
    /// Its name.
    name: Input<Text<NAME_LENGTH>>,
    /// Its name in URLs: 1 to 63 of a-z, 0-9 and inner hyphens; made of the name when absent.
    slug: Option<Input<Slug>>,
    /// What the references of its tickets begin with, `APP` of `APP-21`: 2 to 8 letters, which are kept as capitals; unique in the
    /// org (`name_taken`); made of the slug when absent.
    prefix: Option<Input<SitePrefix>>,
    /// The origins whose pages may use its key: scheme, host and port, no path and no wildcard; 100 at the most.
    #[oai(validator(max_items = 100))]
    origins: Option<Input<Vec<Text<255>>>>,
}

impl Example for NewSite {
    fn example() -> Self {
        Self {
            name: Input::of(Text::known("Acme App")),
            slug: Some(Input::of(Slug::known("acme-app"))),
            prefix: Some(Input::of(SitePrefix::known("APP"))),
            origins: Some(Input::of(vec![Text::known("https://app.acme.com")])),
        }
    }
}

/// What changes of a site; what is absent stays.
#[derive(Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
struct SiteChange {
    /// Its new name.
    name: Option<Input<Text<NAME_LENGTH>>>,
    /// Its new prefix, as in a site to make. All its tickets, old ones too, have the new references from the next request on, and
    /// the old ones find nothing.
    prefix: Option<Input<SitePrefix>>,
    /// The whole new list of origins.
    #[oai(validator(max_items = 100))]
    origins: Option<Input<Vec<Text<255>>>>,
    /// Its new limits.
    limits: Option<Input<LimitsChange>>,
    /// How much it may keep.
    files: Option<Input<FileQuotaChange>>,
    /// The page on which customers read their tickets, without a fragment, 500 characters at the most; `null` for none.
    support_url: MaybeUndefined<PageAddress>,
    /// The language of its mail.
    language: Option<Input<Language>>,
    /// Whom its mail is from.
    mail: Option<Input<MailSenderChange>>,
    /// Whose word it takes for who its customers are.
    identity: Option<Input<IdentityChange>>,
}

/// What changes of whose word a site takes; what is absent stays.
#[derive(Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct IdentityChange {
    /// All public keys of the site's own server, 10 at the most; `null` for none.
    jwks: MaybeUndefined<JwksBody>,
    /// Whether tickets are taken from customer sessions only: others are answered `401 identity_required`.
    require: Option<bool>,
}

/// What changes of whom a site's mail is from; what is absent stays, `null` takes it away.
#[derive(Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct MailSenderChange {
    /// Its name.
    from_name: MaybeUndefined<Text<NAME_LENGTH>>,
    /// Its address.
    from_address: MaybeUndefined<EmailAddress>,
}

/// Limits that change; what is absent stays. Requests a minute, 10,000,000 at the most.
#[derive(Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct LimitsChange {
    /// Reads of the whole site.
    #[oai(validator(minimum(value = "0"), maximum(value = "10000000")))]
    reads_per_minute: Option<u32>,
    /// Ticket writes of the whole site.
    #[oai(validator(minimum(value = "0"), maximum(value = "10000000")))]
    writes_per_minute: Option<u32>,
    /// Reads of one client network (IPv4 /24, IPv6 /56).
    #[oai(validator(minimum(value = "0"), maximum(value = "10000000")))]
    network_reads_per_minute: Option<u32>,
    /// Ticket writes of one client network.
    #[oai(validator(minimum(value = "0"), maximum(value = "10000000")))]
    network_writes_per_minute: Option<u32>,
}

/// Quotas of files that change; what is absent stays.
#[derive(Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct FileQuotaChange {
    /// How much all its files may be, MiB. What is there stays.
    #[oai(validator(minimum(value = "0"), maximum(value = "10000000")))]
    quota_mib: Option<u32>,
    /// How much customers of one client network may add in a day, MiB.
    #[oai(validator(minimum(value = "0"), maximum(value = "1000000")))]
    network_mib_per_day: Option<u32>,
}

impl Example for SiteChange {
    fn example() -> Self {
        let limits = LimitsChange {
            reads_per_minute: Some(12_000),
            writes_per_minute: None,
            network_reads_per_minute: None,
            network_writes_per_minute: None,
        };
        Self {
            name: Some(Input::of(Text::known("Acme App"))),
            prefix: Some(Input::of(SitePrefix::known("APP"))),
            origins: Some(Input::of(vec![Text::known("https://app.acme.com")])),
            limits: Some(Input::of(limits)),
            files: Some(Input::of(FileQuotaChange { quota_mib: Some(20_480), network_mib_per_day: None })),
            support_url: MaybeUndefined::Value(PageAddress::of(&PageUrl::known("https://acme.com/support"))),
            language: Some(Input::of(Language::En)),
            mail: None,
            identity: None,
        }
    }
}

/// Does something about a site, by its slug.
pub(super) async fn of_site<T>(
    org: &Caller,
    site: &str,
    work: impl AsyncFnOnce(&mut OrgTx, Uuid) -> Result<T, Problem>,
) -> Result<T, Problem> {
    org.run(async |tx| {
        let site = store::sites::by_slug(tx, site).await?;
        work(tx, site.id).await
    })
    .await
}

/// `Some(None)` for `null`.
#[expect(clippy::option_option, reason = "what a change takes away, it says so")]
fn said<T>(value: MaybeUndefined<T>) -> Option<Option<T>> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}

/// The prefix of a body.
fn prefix(checked: &mut Checked, input: Option<Input<SitePrefix>>) -> Option<Prefix> {
    checked.take_optional("prefix", input).and_then(|prefix| Prefix::parse(&prefix))
}

/// The identity settings of a body, each key one that can verify.
fn identity_changes(checked: &mut Checked, change: IdentityChange) -> IdentityChanges {
    let jwks = said(change.jwks).map(|jwks| {
        let keys: Vec<PublicKey> = jwks.map(|jwks| jwks.keys).unwrap_or_default().into_iter().map(Into::into).collect();
        for (number, key) in keys.iter().enumerate() {
            if let Err(fault) = key.verifier() {
                checked.fault(&format!("identity.jwks.keys[{number}]"), fault.to_owned());
            }
        }
        Jwks { keys }
    });
    IdentityChanges { jwks, required: change.require }
}

/// The origins of a body, each in the browser's own form.
fn origins(checked: &mut Checked, input: Option<Input<Vec<Text<255>>>>) -> Option<Vec<Origin>> {
    let texts = checked.take_optional("origins", input)?;
    let mut origins = Vec::new();
    for (number, text) in texts.iter().enumerate() {
        match Origin::parse(text) {
            Ok(origin) => origins.push(origin),
            Err(reason) => checked.fault(&format!("origins[{number}]"), reason.to_string()),
        }
    }
    Some(origins)
}

/// An origin that tried the site's key and is not listed.
#[derive(Object)]
#[oai(rename = "RefusedOrigin", example)]
struct RefusedOriginBody {
    /// The origin, as it was sent.
    origin: String,
    /// How often it was refused.
    times: i64,
    /// When it was first refused.
    first_seen: OffsetDateTime,
    /// When it was last refused.
    last_seen: OffsetDateTime,
}

impl From<RefusedOrigin> for RefusedOriginBody {
    fn from(row: RefusedOrigin) -> Self {
        Self { origin: row.origin, times: row.times, first_seen: row.first_seen, last_seen: row.last_seen }
    }
}

impl Example for RefusedOriginBody {
    fn example() -> Self {
        Self {
            origin: "https://staging.acme.com".to_owned(),
            times: 12,
            first_seen: datetime!(2026-02-01 16:05 UTC),
            last_seen: datetime!(2026-02-01 16:20 UTC),
        }
    }
}

#[OpenApi(prefix_path = "/v1/orgs/{org}", tag = "Tag::Sites")]
impl SitesApi {
    /// List sites
    ///
    /// The org's sites, by slug.
    #[oai(path = "/sites", method = "get", operation_id = "listSites")]
    async fn sites(&self, org: Org<AnyMember>, paging: Paging) -> Result<answers::Ok<Page<SiteBody>>, Failure> {
        let page = org.run(async |tx| store::sites::page(tx, paging.request()).await).await?;
        Ok(answers::Ok(Page::of(page, SiteBody::from)))
    }

    /// Create a site
    ///
    /// It has no publishable key yet: `createSiteKey` makes one.
    #[oai(path = "/sites", method = "post", operation_id = "createSite")]
    async fn create(
        &self,
        org: Org<SiteCreate>,
        body: Json<NewSite>,
    ) -> Result<answers::Created<SiteBody>, Failure<409, 422>> {
        let mut checked = Checked::default();
        let name = checked.take("name", body.0.name);
        let slug = checked.take_optional("slug", body.0.slug);
        let prefix = prefix(&mut checked, body.0.prefix);
        let origins = origins(&mut checked, body.0.origins);
        let (Some(name), true) = (name, checked.is_empty()) else {
            return Err(checked.problem().into());
        };
        let slug = slug.unwrap_or_else(|| Slug::derived(&name));
        let site = org
            .run(async |tx| {
                store::sites::create(tx, &slug, &name, prefix.as_ref()).await?;
                let changes = SiteChanges { origins, ..SiteChanges::default() };
                store::sites::update(tx, &slug, &changes).await
            })
            .await?;
        Ok(answers::Created(site.into()))
    }

    /// Read a site
    ///
    /// Its settings: name, prefix, origins, limits, quotas; and how much it keeps.
    #[oai(path = "/sites/:site", method = "get", operation_id = "getSite")]
    async fn site(
        &self,
        org: Org<AnyMember>,
        /// The site's slug.
        site: Path<String>,
    ) -> Result<answers::Ok<SiteBody>, Failure> {
        let site = org.run(async |tx| store::sites::with_origins(tx, &site.0).await).await?;
        Ok(answers::Ok(site.into()))
    }

    /// Change a site
    ///
    /// Name, prefix, origins, limits, quotas, what its mail says of it, and whose word it takes for its customers; they act on the
    /// next request. Listing an origin takes it off the refused ones.
    #[oai(path = "/sites/:site", method = "patch", operation_id = "updateSite")]
    async fn update(
        &self,
        org: Org<SiteEdit>,
        app: Data<&Arc<App>>,
        /// The site's slug.
        site: Path<String>,
        body: Json<SiteChange>,
    ) -> Result<answers::Ok<SiteBody>, Failure<409, 422>> {
        let mut checked = Checked::default();
        let name = checked.take_optional("name", body.0.name);
        let prefix = prefix(&mut checked, body.0.prefix);
        let origins = origins(&mut checked, body.0.origins);
        let limits = checked.take_optional("limits", body.0.limits);
        let files = checked.take_optional("files", body.0.files);
        let language = checked.take_optional("language", body.0.language);
        let mail = checked.take_optional("mail", body.0.mail);
        let identity = checked.take_optional("identity", body.0.identity);
        let identity = identity.map(|change| identity_changes(&mut checked, change));
        checked.done()?;
        let (mail_from_name, mail_from_address) =
            mail.map_or((None, None), |mail| (said(mail.from_name), said(mail.from_address)));
        let limit = |of: fn(&LimitsChange) -> Option<u32>| limits.as_ref().and_then(of);
        let changes = SiteChanges {
            name,
            prefix,
            origins,
            reads: limit(|limits| limits.reads_per_minute),
            writes: limit(|limits| limits.writes_per_minute),
            network_reads: limit(|limits| limits.network_reads_per_minute),
            network_writes: limit(|limits| limits.network_writes_per_minute),
            file_quota_mib: files.as_ref().and_then(|files| files.quota_mib),
            network_upload_mib: files.as_ref().and_then(|files| files.network_mib_per_day),
            support_url: said(body.0.support_url).map(|page| page.map(PageAddress::into_string)),
            language: language.map(Into::into),
            mail_from_name,
            mail_from_address,
        };
        let server = app.secret.as_deref();
        let work = async |tx: &mut OrgTx| {
            let changed = store::sites::update(tx, &site.0, &changes).await?;
            let Some(identity) = identity else { return Ok(changed) };
            store::identity::change(tx, store::identity::sealing(server)?, changed.site.id, &identity).await?;
            store::sites::with_origins(tx, &site.0).await
        };
        Ok(answers::Ok(org.run(work).await?.into()))
    }

    /// Delete a site
    ///
    /// With its key, which dies at once, its articles, FAQs and tickets.
    #[oai(path = "/sites/:site", method = "delete", operation_id = "deleteSite")]
    async fn delete(
        &self,
        org: Org<SiteDelete>,
        /// The site's slug.
        site: Path<String>,
    ) -> Result<answers::NoContent, Failure<409>> {
        org.run(async |tx| store::sites::delete(tx, &site.0).await).await?;
        Ok(answers::NoContent)
    }

    /// List refused origins
    ///
    /// Pages that tried the site's key from an origin that it does not list, the most recent first; 200 are kept.
    #[oai(path = "/sites/:site/refused-origins", method = "get", operation_id = "listRefusedOrigins")]
    async fn refused_origins(
        &self,
        org: Org<SiteEdit>,
        /// The site's slug.
        site: Path<String>,
        paging: Paging,
    ) -> Result<answers::Ok<Page<RefusedOriginBody>>, Failure> {
        let work = async |tx: &mut OrgTx, site| store::sites::refused_page(tx, site, paging.request()).await;
        let page = of_site(&org, &site, work).await?;
        Ok(answers::Ok(Page::of(page, RefusedOriginBody::from)))
    }

    /// Clear refused origins
    ///
    /// Forgets them all; what is refused from now on is listed again.
    #[oai(path = "/sites/:site/refused-origins", method = "delete", operation_id = "clearRefusedOrigins")]
    async fn clear_refused_origins(
        &self,
        org: Org<SiteEdit>,
        /// The site's slug.
        site: Path<String>,
    ) -> Result<answers::NoContent, Failure<409>> {
        of_site(&org, &site, async |tx, site| store::sites::clear_refused(tx, site).await).await?;
        Ok(answers::NoContent)
    }
}

/// The largest figures stand in the document as numbers.
const _: () = assert!(
    MAX_KEYS == 10 && MAX_PER_MINUTE == 10_000_000 && MAX_QUOTA_MIB == 10_000_000 && MAX_UPLOAD_MIB == 1_000_000
);
