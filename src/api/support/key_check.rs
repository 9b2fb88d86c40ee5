//! Why a key works or does not, from where it is used: what a developer asks when a page shows only a CORS error.

use poem::{Request, http::header};
use poem_openapi::{Enum, Object, OpenApi, types::Example};

use super::tags::Tag;
use crate::{
    auth::site_key::SiteKey,
    domain::origins::{self, Part},
    http::{answers::Cached, failure::Failure, headers::IfNoneMatch, text::Nullable},
    store,
};

pub struct KeyCheckApi;

/// What a key may do from the origin of this request.
#[derive(Object)]
#[oai(example)]
struct KeyCheck {
    /// Whether calls with this key from this origin are served.
    works: bool,
    /// Which of the site's keys it is.
    key: KeyState,
    /// The origin of this request; `null` when it sent none, as servers and command lines do.
    origin: Nullable<String>,
    /// Whether the site lists the origin; `null` without one.
    origin_listed: Nullable<bool>,
    /// In what the origin differs from the nearest one that the site lists; empty when it is listed.
    differs: Vec<Difference>,
    /// What to do, for people.
    detail: String,
}

/// Which of a site's keys.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "snake_case")]
enum KeyState {
    /// The site's key.
    Active,
    /// The next one, which works already and replaces the active one at the next rotation.
    Staged,
}

/// A part of an origin.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "snake_case")]
enum Difference {
    /// `http` and `https`.
    Scheme,
    /// The host name.
    Host,
    /// The port.
    Port,
    /// With and without `www.`.
    Www,
    /// A slash at the end, which browsers never send.
    TrailingSlash,
}

impl From<Part> for Difference {
    fn from(part: Part) -> Self {
        match part {
            Part::Scheme => Self::Scheme,
            Part::Host => Self::Host,
            Part::Port => Self::Port,
            Part::Www => Self::Www,
            Part::TrailingSlash => Self::TrailingSlash,
        }
    }
}

impl Example for KeyCheck {
    fn example() -> Self {
        Self {
            works: false,
            key: KeyState::Active,
            origin: Nullable(Some("https://www.acme.com:8443".to_owned())),
            origin_listed: Nullable(Some(false)),
            differs: vec![Difference::Port],
            detail: origins::verdict(Some("https://www.acme.com:8443"), false, &[Part::Port]),
        }
    }
}

#[OpenApi(prefix_path = "/support/v1", tag = "Tag::Site")]
impl KeyCheckApi {
    /// Check a key from here
    ///
    /// Says whether calls with this key from this page are served and, if not, in which part its origin differs from a
    /// listed one. May be read from any origin, shows no data of the site, and has a small rate limit of its own.
    #[oai(path = "/key/check", method = "get", operation_id = "checkKey")]
    async fn check(
        &self,
        key: SiteKey,
        /// The `ETag` of an earlier answer: 304 when nothing changed.
        #[oai(name = "If-None-Match")]
        if_none_match: IfNoneMatch,
        request: &Request,
    ) -> Result<Cached<KeyCheck>, Failure> {
        let sent =
            request.headers().get(header::ORIGIN).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let mut tx = key.enter().await?;
        let listed = store::site_origins::listed(&mut tx).await;
        let (staged, known) = (tx.entry().key_staged, tx.entry().origin_listed);
        let listed = tx.finish(listed).await?;
        let origin_listed = sent.as_ref().map(|_| known);
        let differs = match &sent {
            Some(sent) if !known => origins::differences(sent, &listed),
            _ => Vec::new(),
        };
        let check = KeyCheck {
            works: origin_listed != Some(false),
            key: if staged { KeyState::Staged } else { KeyState::Active },
            detail: origins::verdict(sent.as_deref(), known, &differs),
            origin: Nullable(sent.map(|sent| sent.chars().take(origins::MAX_LENGTH).collect())),
            origin_listed: Nullable(origin_listed),
            differs: differs.into_iter().map(Difference::from).collect(),
        };
        Ok(Cached::of(&Cached::representation(&check), &if_none_match))
    }
}
