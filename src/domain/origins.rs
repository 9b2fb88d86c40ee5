//! Web origins: the ones that a site lists, and the ones that browsers send.
//!
//! A listed origin is kept in the form that browsers themselves put into the `Origin` header, so that the check on every
//! request is an equality of two strings and nothing has to be parsed or guessed there. Whatever would need guessing
//! (a path, a wildcard, a missing scheme) is refused when it is typed in, with the text to write instead.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use url::{Host, Url};

/// The longest serialised origin that can be listed or compared, in bytes.
pub const MAX_LENGTH: usize = 255;

/// Scheme, host and port, in the browser's serialised form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: String,
    host: String,
    port: u16,
    text: String,
}

/// Why a text can't be listed as an origin. The messages are for the person who typed it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    #[error("an origin is missing: write one such as https://app.example.com")]
    Empty,
    #[error(
        "\"null\" can't be listed: every sandboxed frame and local file sends it, so it would let anybody in; \
         serve the page from its own origin, such as http://localhost:3000 while developing"
    )]
    Null,
    #[error("wildcards are not supported: list each origin by itself, such as https://app.example.com")]
    Wildcard,
    #[error("an origin has no spaces, line breaks or control characters: write one origin at a time")]
    Whitespace,
    #[error("an origin has no backslashes: write it with forward slashes, such as https://app.example.com")]
    Backslash,
    #[error("the scheme is missing: write {instead}")]
    NoScheme { instead: String },
    #[error("the scheme must be https (or http on localhost): write an origin such as https://app.example.com")]
    SchemeNotAllowed,
    #[error("http is only for localhost, 127.0.0.0/8 and [::1]: write {instead}")]
    HttpNotLocal { instead: String },
    #[error("an origin has no user name or password: leave out everything up to the @")]
    UserInfo,
    #[error("write it without the trailing slash: {instead}")]
    TrailingSlash { instead: String },
    #[error("an origin has no path: write {instead}")]
    Path { instead: String },
    #[error("an origin has no query: write {instead}")]
    Query { instead: String },
    #[error("an origin has no fragment: write {instead}")]
    Fragment { instead: String },
    #[error("the host is missing: write an origin such as https://app.example.com")]
    NoHost,
    #[error(
        "this is not a host name or an address: write an origin such as https://app.example.com or https://[2001:db8::1]"
    )]
    InvalidHost,
    #[error("the host ends with a dot: write it without, as browsers treat the two as different origins")]
    TrailingDot,
    #[error("the port must be a number from 1 to 65535: write an origin such as https://app.example.com:8443")]
    InvalidPort,
    #[error("an origin has at most {MAX_LENGTH} characters")]
    TooLong,
}

impl Origin {
    /// Reads what somebody typed when listing an origin. Blanks around it are forgiven, as pasting brings them along.
    ///
    /// `Origin::parse(origin.as_str())` is `origin` again.
    ///
    /// # Errors
    ///
    /// When it is not exactly an origin, or one that can't be listed; the error's text says what to write instead.
    pub fn parse(input: &str) -> Result<Self, OriginError> {
        let input = input.trim();
        // These come before any parsing: the URL standard drops tabs and line breaks, turns `\` into `/` and supplies
        // missing slashes, so afterwards it can't be seen that the text was something else.
        if input.is_empty() {
            return Err(OriginError::Empty);
        }
        if input.eq_ignore_ascii_case("null") {
            return Err(OriginError::Null);
        }
        if input.contains('*') {
            return Err(OriginError::Wildcard);
        }
        if input.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(OriginError::Whitespace);
        }
        if input.contains('\\') {
            return Err(OriginError::Backslash);
        }
        let Some((scheme, rest)) = input.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
            return Err(OriginError::NoScheme { instead: with_scheme(input) });
        };
        let scheme = scheme.to_ascii_lowercase();
        if scheme != "http" && scheme != "https" {
            return Err(OriginError::SchemeNotAllowed);
        }

        let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let origin = Self::from_authority(&scheme, authority)?;
        let instead = origin.text.clone();
        match tail.strip_prefix('/').unwrap_or(tail) {
            "" if tail.is_empty() => Ok(origin),
            "" => Err(OriginError::TrailingSlash { instead }),
            more if more.starts_with('?') => Err(OriginError::Query { instead }),
            more if more.starts_with('#') => Err(OriginError::Fragment { instead }),
            _ => Err(OriginError::Path { instead }),
        }
    }

    fn from_authority(scheme: &str, authority: &str) -> Result<Self, OriginError> {
        if authority.contains('@') {
            return Err(OriginError::UserInfo);
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        if host.is_empty() {
            return Err(OriginError::NoHost);
        }
        // An IPv6 address whose brackets are missing or don't match: its last group is no port.
        if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
            return Err(OriginError::InvalidHost);
        }
        if port.is_some_and(|port| !is_port(port)) {
            return Err(OriginError::InvalidPort);
        }
        // A percent-encoded host would be decoded into another text than the one typed.
        if host.contains('%') {
            return Err(OriginError::InvalidHost);
        }
        if host.ends_with('.') {
            return Err(OriginError::TrailingDot);
        }

        let url = Url::parse(&format!("{scheme}://{authority}")).map_err(|_| OriginError::InvalidHost)?;
        let origin = Self::from_url(&url).ok_or(OriginError::NoHost)?;
        // Once more: other full stops (`。`) become dots on the way through IDNA.
        if origin.host.ends_with('.') {
            return Err(OriginError::TrailingDot);
        }
        if origin.host.starts_with('.') || origin.host.contains("..") {
            return Err(OriginError::InvalidHost);
        }
        if origin.text.len() > MAX_LENGTH {
            return Err(OriginError::TooLong);
        }
        if scheme == "http" && !is_local(&url) {
            let instead = origin.text.replacen("http://", "https://", 1);
            return Err(OriginError::HttpNotLocal { instead });
        }
        Ok(origin)
    }

    /// Reads an `Origin` header for comparison only: being an origin says nothing about being allowed.
    ///
    /// `None` when it isn't one in the form that browsers send, to the letter (`null`, a trailing slash, upper-case
    /// letters, a default port), so `Some` means that [`as_str`](Self::as_str) is `value`.
    #[must_use]
    pub fn from_header(value: &str) -> Option<Self> {
        if value.len() > MAX_LENGTH {
            return None;
        }
        let origin = Self::from_url(&Url::parse(value).ok()?)?;
        (origin.text == value).then_some(origin)
    }

    /// Any scheme: apps send `capacitor://localhost`, extensions `chrome-extension://…`. Those have port 0.
    fn from_url(url: &Url) -> Option<Self> {
        let scheme = url.scheme();
        let host = url.host_str().filter(|host| !host.is_empty())?;
        let port = url.port_or_known_default().unwrap_or(0);
        let text = match url.port() {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        };
        Some(Self { scheme: scheme.to_owned(), host: host.to_owned(), port, text })
    }

    /// The browser's serialised form, such as `https://app.example.com:8443`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Lower case, without the colon.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Lower case and punycode; an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, explicit or the scheme's default; 0 for a scheme that has none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    fn has_default_port(&self) -> bool {
        matches!((self.scheme.as_str(), self.port), ("http", 80) | ("https", 443) | (_, 0))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port != 0)
}

fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => Ipv4Addr::is_loopback(&address),
        Some(Host::Ipv6(address)) => address == Ipv6Addr::LOCALHOST,
        None => false,
    }
}

/// What `app.acme.com`, `//app.acme.com` or `https:app.acme.com` was probably meant to be; an example if that can't be
/// told. Only the host and port are taken over, so that following the advice works.
fn with_scheme(input: &str) -> String {
    let scheme = |name: &str| input.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let rest = if scheme("https:") {
        &input["https:".len()..]
    } else if scheme("http:") {
        &input["http:".len()..]
    } else {
        input
    };
    let rest = rest.trim_start_matches('/');
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    Origin::from_authority("http", authority)
        .or_else(|_| Origin::from_authority("https", authority))
        .map_or_else(|_| "an origin such as https://app.example.com".to_owned(), |origin| origin.text)
}

/// The origin in a header value that is one but for a slash at its end, which clients that build the header by hand
/// add. Such a request is refused; this is for saying why.
#[must_use]
pub fn without_trailing_slash(value: &str) -> Option<Origin> {
    value.strip_suffix('/').and_then(Origin::from_header)
}

/// Whether a header value is an origin but for a slash at its end.
#[must_use]
pub fn has_trailing_slash(value: &str) -> bool {
    without_trailing_slash(value).is_some()
}

/// In what two origins differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    Scheme,
    Host,
    Port,
    /// The hosts differ, but only by a leading `www.`.
    Www,
    /// One ends with a slash, which browsers never send.
    TrailingSlash,
}

impl Part {
    /// The word for it in an answer.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheme => "scheme",
            Self::Host => "host",
            Self::Port => "port",
            Self::Www => "www",
            Self::TrailingSlash => "trailing_slash",
        }
    }
}

/// The parts in which two origins differ, in the order in which they are written; empty when they are the same.
///
/// Two default ports count as one, so `http://a.example` and `https://a.example` differ by their scheme alone.
#[must_use]
pub fn difference(sent: &Origin, listed: &Origin) -> Vec<Part> {
    let mut parts = Vec::new();
    if sent.scheme != listed.scheme {
        parts.push(Part::Scheme);
    }
    if sent.host != listed.host {
        parts.push(if differs_by_www(&sent.host, &listed.host) { Part::Www } else { Part::Host });
    }
    if sent.port != listed.port && !(sent.has_default_port() && listed.has_default_port()) {
        parts.push(Part::Port);
    }
    parts
}

fn differs_by_www(a: &str, b: &str) -> bool {
    a.strip_prefix("www.") == Some(b) || b.strip_prefix("www.") == Some(a)
}

/// The smallest difference to any of the listed origins: few parts first, then the same host before the `www.` one.
/// Empty when nothing is listed, or when `sent` is.
///
/// Only origins of the same host (but for `www.`) are told apart. For all others the answer is [`Part::Host`], which
/// says nothing about the list to somebody who tries out names.
#[must_use]
pub fn nearest_difference<'a>(sent: &Origin, listed: impl Iterator<Item = &'a Origin>) -> Vec<Part> {
    listed
        .map(|listed| difference(sent, listed))
        .map(|parts| if parts.contains(&Part::Host) { vec![Part::Host] } else { parts })
        .min_by_key(|parts| (parts.contains(&Part::Host), parts.len(), parts.contains(&Part::Www)))
        .unwrap_or_default()
}

/// The parts in which `sent` differs from the nearest listed origin.
pub fn differences(sent: &str, listed: &[Origin]) -> Vec<Part> {
    let (origin, slash) = match Origin::from_header(sent) {
        Some(origin) => (Some(origin), false),
        None => (without_trailing_slash(sent), has_trailing_slash(sent)),
    };
    let Some(origin) = origin else {
        return vec![Part::Host];
    };
    let mut differs = nearest_difference(&origin, listed.iter());
    if slash {
        differs.push(Part::TrailingSlash);
    }
    differs
}

/// What a key may do from an origin, for people; `None` for a request without one. Never advises what cannot be listed.
pub fn verdict(sent: Option<&str>, listed: bool, differs: &[Part]) -> String {
    let Some(sent) = sent else {
        return "The key works. This request sent no Origin, so no list was asked: only browsers send one.".to_owned();
    };
    if listed {
        return "The key works from this origin.".to_owned();
    }
    let advice = match Origin::parse(sent) {
        Ok(origin) => format!(
            "Add {origin} in the dashboard or with `vicket site add-origin ORG/SITE {origin}`, or open the page from a \
             listed origin."
        ),
        Err(reason @ OriginError::Null) => format!("It cannot be added: {reason}."),
        Err(reason) => format!("It cannot be added as it is: {reason}."),
    };
    let names: Vec<&str> = differs
        .iter()
        .map(|part| match part {
            Part::Scheme => "the scheme (http or https)",
            Part::Host => "the host",
            Part::Port => "the port",
            Part::Www => "the www. in front",
            Part::TrailingSlash => "a trailing slash",
        })
        .collect();
    if names.is_empty() {
        return format!("The key is good, but the site lists no origin yet. {advice}");
    }
    format!(
        "The key is good, but the site does not list this origin. It differs from the nearest listed one in {}. {advice}",
        names.join(" and ")
    )
}

/// What a browser sends as the `Origin` of a page, from the page's address as people copy it: with a path, or without its scheme.
/// `null` for a file.
///
/// # Errors
/// When it is no address of a page.
pub fn of_page(address: &str) -> Result<String, OriginError> {
    let address = address.trim();
    if address.is_empty() {
        return Err(OriginError::Empty);
    }
    if address.eq_ignore_ascii_case("null") {
        return Ok("null".to_owned());
    }
    let scheme = address.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    if matches!(scheme.as_deref(), Some("file" | "data" | "about" | "blob")) {
        return Ok("null".to_owned());
    }
    if !address.contains("://") {
        let authority = &address[..address.find(['/', '?', '#']).unwrap_or(address.len())];
        let origin =
            Origin::from_authority("http", authority).or_else(|_| Origin::from_authority("https", authority))?;
        return Ok(origin.text);
    }
    let url = Url::parse(address).map_err(|_| OriginError::InvalidHost)?;
    Origin::from_url(&url).map(|origin| origin.text).ok_or(OriginError::NoHost)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(value: &str) -> Origin {
        Origin::from_header(value).unwrap_or_else(|| panic!("{value} is an origin"))
    }

    fn nearest(sent: &str, listed: &[&str]) -> Vec<&'static str> {
        let listed: Vec<Origin> = listed.iter().map(|text| header(text)).collect();
        nearest_difference(&header(sent), listed.iter()).into_iter().map(Part::as_str).collect()
    }

    #[test]
    fn an_origin_is_saved_as_the_browser_would_send_it_and_parses_to_itself() {
        for (typed, saved) in [
            ("https://app.acme.com", "https://app.acme.com"),
            (" https://app.acme.com\n", "https://app.acme.com"),
            ("HTTPS://App.ACME.com", "https://app.acme.com"),
            ("https://app.acme.com:443", "https://app.acme.com"),
            ("https://app.acme.com:0443", "https://app.acme.com"),
            ("https://app.acme.com:8443", "https://app.acme.com:8443"),
            ("https://app.acme.com:80", "https://app.acme.com:80"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("https://BÜCHER。example", "https://xn--bcher-kva.example"),
            ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
            ("https://my_app.acme.com", "https://my_app.acme.com"),
            ("https://intranet", "https://intranet"),
            ("https://203.0.113.7", "https://203.0.113.7"),
            ("https://0x7f.1", "https://127.0.0.1"),
            ("https://[2001:DB8:0::1]:8443", "https://[2001:db8::1]:8443"),
            ("http://localhost", "http://localhost"),
            ("http://LOCALHOST:80", "http://localhost"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://app.localhost:5173", "http://app.localhost:5173"),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("http://127.1", "http://127.0.0.1"),
            ("http://127.255.255.254", "http://127.255.255.254"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("http://[0:0:0:0:0:0:0:1]", "http://[::1]"),
        ] {
            let origin = Origin::parse(typed).unwrap_or_else(|error| panic!("{typed}: {error}"));
            assert_eq!(origin.as_str(), saved, "{typed}");
            assert_eq!(Origin::parse(saved).as_ref(), Ok(&origin), "{typed}");
            assert_eq!(Origin::from_header(saved).as_ref(), Some(&origin), "{typed}");
            assert_eq!(origin.to_string(), saved);
        }
    }

    #[test]
    fn whatever_is_not_exactly_an_origin_is_refused_with_the_reason() {
        use OriginError as E;
        let instead = || "https://app.acme.com".to_owned();
        let example = || "an origin such as https://app.example.com".to_owned();
        for (typed, error) in [
            ("", E::Empty),
            (" \t ", E::Empty),
            ("null", E::Null),
            ("NULL", E::Null),
            ("*", E::Wildcard),
            ("https://*.acme.com", E::Wildcard),
            ("https://app.acme.com:*", E::Wildcard),
            ("app.acme.com", E::NoScheme { instead: instead() }),
            ("//app.acme.com", E::NoScheme { instead: instead() }),
            ("App.acme.com/help", E::NoScheme { instead: instead() }),
            ("https:app.acme.com", E::NoScheme { instead: instead() }),
            ("https:/app.acme.com", E::NoScheme { instead: instead() }),
            ("http:app.acme.com", E::NoScheme { instead: instead() }),
            ("app.acme.com/?next=https://x.example", E::NoScheme { instead: instead() }),
            ("localhost:3000", E::NoScheme { instead: "http://localhost:3000".to_owned() }),
            ("[::1]:3000", E::NoScheme { instead: "http://[::1]:3000".to_owned() }),
            ("javascript:alert(1)", E::NoScheme { instead: example() }),
            ("://app.acme.com", E::NoScheme { instead: example() }),
            ("https:", E::NoScheme { instead: example() }),
            ("ftp://app.acme.com", E::SchemeNotAllowed),
            ("wss://app.acme.com", E::SchemeNotAllowed),
            ("file:///etc/passwd", E::SchemeNotAllowed),
            ("chrome-extension://abcdefgh", E::SchemeNotAllowed),
            ("http://app.acme.com", E::HttpNotLocal { instead: instead() }),
            ("http://app.acme.com/", E::HttpNotLocal { instead: instead() }),
            ("http://app.acme.com:80", E::HttpNotLocal { instead: instead() }),
            ("http://app.acme.com:8080", E::HttpNotLocal { instead: "https://app.acme.com:8080".to_owned() }),
            ("http://localhost.acme.com", E::HttpNotLocal { instead: "https://localhost.acme.com".to_owned() }),
            ("http://notlocalhost", E::HttpNotLocal { instead: "https://notlocalhost".to_owned() }),
            ("http://128.0.0.1", E::HttpNotLocal { instead: "https://128.0.0.1".to_owned() }),
            ("http://0.0.0.0", E::HttpNotLocal { instead: "https://0.0.0.0".to_owned() }),
            ("http://[::2]", E::HttpNotLocal { instead: "https://[::2]".to_owned() }),
            ("https://me@app.acme.com", E::UserInfo),
            ("https://me:secret@app.acme.com", E::UserInfo),
            ("https://app.acme.com@evil.example", E::UserInfo),
            ("https://app.acme.com/", E::TrailingSlash { instead: instead() }),
            ("https://app.acme.com:443/", E::TrailingSlash { instead: instead() }),
            ("https://app.acme.com//", E::Path { instead: instead() }),
            ("https://app.acme.com/help", E::Path { instead: instead() }),
            ("https://app.acme.com/.", E::Path { instead: instead() }),
            ("https://app.acme.com?", E::Query { instead: instead() }),
            ("https://app.acme.com/?a=1", E::Query { instead: instead() }),
            ("https://app.acme.com#", E::Fragment { instead: instead() }),
            ("https://app.acme.com/#top", E::Fragment { instead: instead() }),
            ("https://app.acme.com https://b.acme.com", E::Whitespace),
            ("https://app.ac\tme.com", E::Whitespace),
            ("https://app.ac\nme.com", E::Whitespace),
            ("https://app.acme.com\0", E::Whitespace),
            ("https:\\\\app.acme.com", E::Backslash),
            ("https://app.acme.com\\", E::Backslash),
            ("https://", E::NoHost),
            ("https:///app.acme.com", E::NoHost),
            ("https://:8443", E::NoHost),
            ("https://?", E::NoHost),
            ("https://app.acme.com:", E::InvalidPort),
            ("https://app.acme.com:0", E::InvalidPort),
            ("https://app.acme.com:65536", E::InvalidPort),
            ("https://app.acme.com:+80", E::InvalidPort),
            ("https://app.acme.com:８０", E::InvalidPort),
            ("https://app.acme.com:80a", E::InvalidPort),
            ("https://app.acme.com.", E::TrailingDot),
            ("https://app.acme.com.:8443", E::TrailingDot),
            ("https://app.acme.com。", E::TrailingDot),
            ("http://localhost.", E::TrailingDot),
            ("http://127.0.0.1.", E::TrailingDot),
            ("https://.acme.com", E::InvalidHost),
            ("https://app..acme.com", E::InvalidHost),
            ("https://app%2eacme.com", E::InvalidHost),
            ("https://app.acme.com%00", E::InvalidHost),
            ("https://app,acme<com", E::InvalidHost),
            ("https://1.2.3.4.5", E::InvalidHost),
            ("https://256.1.1.1", E::InvalidHost),
            ("https://2001:db8::1", E::InvalidHost),
            ("https://[2001:db8::1", E::InvalidHost),
            ("https://[::1]x", E::InvalidHost),
            ("https://[fe80::1%25eth0]", E::InvalidHost),
        ] {
            let refused = Origin::parse(typed);
            assert_eq!(refused, Err(error), "{typed:?}");
            assert!(refused.unwrap_err().to_string().len() > 20, "{typed:?}");
        }
    }

    #[test]
    fn an_origin_is_at_most_255_characters_long_once_serialised() {
        let of_length = |length: usize| format!("https://{}.example", "a".repeat(length - "https://.example".len()));
        assert!(Origin::parse(&of_length(255)).is_ok());
        assert!(Origin::parse(&of_length(255).replace("https:", "HTTPS:")).is_ok());
        assert_eq!(Origin::parse(&of_length(256)), Err(OriginError::TooLong));
        assert_eq!(Origin::parse(&format!("https://{}", "x.".repeat(500_000) + "y")), Err(OriginError::TooLong));
        assert_eq!(Origin::from_header(&of_length(256)), None);
    }

    #[test]
    fn what_the_messages_suggest_is_accepted() {
        for typed in ["app.acme.com", "localhost:3000", "http://acme.com/", "https://acme.com/x", "https:acme.com?y"] {
            let message = Origin::parse(typed).unwrap_err().to_string();
            let suggested = message.rsplit(' ').next().unwrap();
            assert!(Origin::parse(suggested).is_ok(), "{typed}: {message}");
        }
    }

    #[test]
    fn a_header_is_an_origin_only_in_the_form_that_browsers_send() {
        for value in ["http://acme.com", "https://acme.com:8443", "capacitor://localhost", "chrome-extension://abcdef"]
        {
            assert_eq!(header(value).as_str(), value);
        }
        for value in
            ["", "null", "garbage", "https://acme.com/", "https://Acme.com", "https://acme.com:443", "https:acme.com"]
                .into_iter()
                .chain([
                    " https://acme.com",
                    "https://acme.com/x",
                    "https://a@acme.com",
                    "https://ac\tme.com",
                    "file://",
                ])
                .chain(["data:text/html,x", "https://bücher.example", "https://a.example, https://b.example"])
        {
            assert_eq!(Origin::from_header(value), None, "{value:?}");
        }
    }

    #[test]
    fn scheme_host_and_port_can_be_asked_for() {
        let origin = Origin::parse("https://app.acme.com").unwrap();
        assert_eq!((origin.scheme(), origin.host(), origin.port()), ("https", "app.acme.com", 443));
        let origin = Origin::parse("http://[::1]:3000").unwrap();
        assert_eq!((origin.scheme(), origin.host(), origin.port()), ("http", "[::1]", 3000));
    }

    #[test]
    fn a_trailing_slash_on_a_header_is_recognised() {
        assert!(has_trailing_slash("https://acme.com/"));
        assert_eq!(without_trailing_slash("https://acme.com/"), Some(header("https://acme.com")));
        for value in ["https://acme.com", "https://acme.com//", "https://acme.com/x/", "/", "null/", ""] {
            assert!(!has_trailing_slash(value), "{value}");
        }
    }

    #[test]
    fn the_difference_names_the_parts() {
        for (sent, listed, parts) in [
            ("https://acme.com", "https://acme.com", &[][..]),
            ("http://acme.com", "https://acme.com", &[Part::Scheme]),
            ("http://acme.com:8443", "https://acme.com:8443", &[Part::Scheme]),
            ("http://acme.com:8080", "https://acme.com", &[Part::Scheme, Part::Port]),
            ("https://acme.com:8443", "https://acme.com", &[Part::Port]),
            ("https://www.acme.com", "https://acme.com", &[Part::Www]),
            ("https://acme.com", "https://www.acme.com", &[Part::Www]),
            ("http://www.acme.com:81", "https://acme.com", &[Part::Scheme, Part::Www, Part::Port]),
            ("https://app.acme.com", "https://acme.com", &[Part::Host]),
            ("https://wwwacme.com", "https://acme.com", &[Part::Host]),
            ("http://other.example:1", "https://acme.com", &[Part::Scheme, Part::Host, Part::Port]),
            ("capacitor://localhost", "http://localhost", &[Part::Scheme]),
        ] {
            assert_eq!(difference(&header(sent), &header(listed)), parts, "{sent} {listed}");
        }
    }

    #[test]
    fn the_nearest_listed_origin_is_the_one_with_the_fewest_differences() {
        let listed = ["https://other.example", "https://acme.com:8443", "https://www.acme.com"];
        assert_eq!(nearest("https://acme.com:8443", &listed), [""; 0]);
        assert_eq!(nearest("https://acme.com", &listed), ["port"]);
        assert_eq!(nearest("http://acme.com:8443", &listed), ["scheme"]);
        assert_eq!(nearest("http://www.acme.com", &listed), ["scheme"]);
        assert_eq!(nearest("https://www.acme.com:8443", &listed), ["port"]);
        assert_eq!(
            nearest("http://acme.com", &["https://acme.com:8443", "https://www.acme.com:8443"]),
            ["scheme", "port"]
        );
    }

    #[test]
    fn an_unrelated_host_learns_nothing_about_the_list() {
        let listed = ["https://acme.com:8443", "http://localhost:3000"];
        assert_eq!(nearest("https://evil.example", &listed), ["host"]);
        assert_eq!(nearest("http://evil.example:3000", &listed), ["host"]);
        assert_eq!(nearest("https://evil.example", &[]), [""; 0]);
    }

    #[test]
    fn no_verdict_advises_what_cannot_be_listed_and_each_names_what_can() {
        for (sent, said) in [
            ("https://app.acme.com", "add-origin ORG/SITE https://app.acme.com`"),
            ("http://localhost:5173", "add-origin ORG/SITE http://localhost:5173`"),
            (
                "http://app.acme.com",
                "It cannot be added as it is: http is only for localhost, 127.0.0.0/8 and [::1]: write https://app.acme.com.",
            ),
            (
                "https://app.acme.com/",
                "It cannot be added as it is: write it without the trailing slash: https://app.acme.com.",
            ),
            ("null", "It cannot be added: \"null\" can't be listed"),
            ("capacitor://localhost", "It cannot be added as it is: the scheme must be https"),
        ] {
            for listed in [&[][..], &[header("https://other.example")]] {
                let verdict = verdict(Some(sent), false, &differences(sent, listed));
                assert!(verdict.contains(said), "{verdict}");
                assert_eq!(verdict.contains("add-origin"), Origin::parse(sent).is_ok(), "{verdict}");
            }
        }
    }

    #[test]
    fn the_address_of_a_page_is_reduced_to_what_its_browser_sends() {
        for (address, origin) in [
            ("https://App.acme.com/help/?q=1#top", "https://app.acme.com"),
            (" http://localhost:8081/help ", "http://localhost:8081"),
            ("localhost:8081/help", "http://localhost:8081"),
            ("app.acme.com/help", "https://app.acme.com"),
            ("https://app.acme.com:443/", "https://app.acme.com"),
            ("file:///home/ada/index.html", "null"),
            ("null", "null"),
        ] {
            assert_eq!(of_page(address).as_deref(), Ok(origin), "{address}");
        }
        for address in ["", "https://", "not an address", "https://:80/"] {
            assert!(of_page(address).is_err(), "{address}");
        }
    }
}
