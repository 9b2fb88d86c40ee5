//! Why a key works or does not, from where it is used: what a developer asks when a page shows only a CORS error.

use poem::{Request, http::header};
use poem_openapi::{Enum, Object, OpenApi, types::Example};

use super::Tag;
use crate::{
    api::{
        answer::Read,
        failure::{Checking, Failure},
        headers::IfNoneMatch,
        text::Nullable,
    },
    auth::site_key::SiteKey,
    origins::{self, Origin, Part},
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
#[derive(Enum, Clone, Copy, PartialEq)]
#[oai(rename_all = "snake_case")]
pub enum Difference {
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
            detail: detail(Some(false), &[Difference::Port]),
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
    ) -> Result<Read<KeyCheck>, Failure<Checking>> {
        let sent =
            request.headers().get(header::ORIGIN).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let mut tx = key.enter().await?;
        let listed = store::origins::listed(&mut tx).await;
        let (staged, known) = (tx.entry().key_staged, tx.entry().origin_listed);
        let listed = tx.finish(listed).await?;
        let origin_listed = sent.as_ref().map(|_| known);
        let differs = match &sent {
            Some(sent) if !known => differences(sent, &listed),
            _ => Vec::new(),
        };
        let check = KeyCheck {
            works: origin_listed != Some(false),
            key: if staged { KeyState::Staged } else { KeyState::Active },
            detail: detail(origin_listed, &differs),
            origin: Nullable(sent.map(|sent| sent.chars().take(origins::MAX_LENGTH).collect())),
            origin_listed: Nullable(origin_listed),
            differs,
        };
        Ok(Read::of(&Read::representation(&check), &if_none_match))
    }
}

/// The parts in which `sent` differs from the nearest listed origin.
pub fn differences(sent: &str, listed: &[Origin]) -> Vec<Difference> {
    let (origin, slash) = match Origin::from_header(sent) {
        Some(origin) => (Some(origin), false),
        None => (origins::without_trailing_slash(sent), origins::has_trailing_slash(sent)),
    };
    let Some(origin) = origin else {
        return vec![Difference::Host];
    };
    let mut differs: Vec<Difference> =
        origins::nearest_difference(&origin, listed.iter()).into_iter().map(Difference::from).collect();
    if slash {
        differs.push(Difference::TrailingSlash);
    }
    differs
}

/// The verdict, for people.
pub fn detail(origin_listed: Option<bool>, differs: &[Difference]) -> String {
    match origin_listed {
        None => "The key works. This request sent no Origin, so no list was asked: only browsers send one.".to_owned(),
        Some(true) => "The key works from this origin.".to_owned(),
        Some(false) => {
            let names: Vec<&str> = differs
                .iter()
                .map(|part| match part {
                    Difference::Scheme => "the scheme (http or https)",
                    Difference::Host => "the host",
                    Difference::Port => "the port",
                    Difference::Www => "the www. in front",
                    Difference::TrailingSlash => "a trailing slash",
                })
                .collect();
            if names.is_empty() {
                return "The key is good, but the site lists no origin yet. Add this one to the site's origins."
                    .to_owned();
            }
            format!(
                "The key is good, but the site does not list this origin. It differs from the nearest listed one in {}. \
                 Add it to the site's origins, or open the page from a listed one.",
                names.join(" and ")
            )
        }
    }
}
