//! What a request says of whoever sends it, as far as mail tells people of it: the kind of browser, and their language. All of
//! it may be made up.

use poem::http::{HeaderMap, HeaderName, header};

use crate::limits::Network;

/// Browsers and systems, by what their names for themselves hold; those that name others come first.
const BROWSERS: [(&str, &str); 8] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("python", "Python"),
];
const SYSTEMS: [(&str, &str); 6] = [
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
];
/// Languages of mail.
const LANGUAGES: [&str; 4] = ["en", "de", "fr", "es"];

/// What a request says of whoever sends it.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// `Firefox on Linux`.
    pub browser: String,
    /// `en`, `de`, `fr` or `es`: the first that they prefer.
    pub language: &'static str,
}

impl Visitor {
    pub fn of(headers: &HeaderMap) -> Self {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let agent = text(header::USER_AGENT);
        let known =
            |list: &[(&str, &'static str)]| list.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name);
        let browser = match (known(&BROWSERS), known(&SYSTEMS)) {
            (Some(browser), Some(system)) => format!("{browser} on {system}"),
            (Some(browser), None) => browser.to_owned(),
            (None, Some(system)) => format!("a browser on {system}"),
            (None, None) => "an unknown program".to_owned(),
        };
        let mut wanted = text(header::ACCEPT_LANGUAGE).split(',').filter_map(|one| {
            let tag = one.split([';', '-']).next().unwrap_or_default().trim();
            LANGUAGES.into_iter().find(|language| tag.eq_ignore_ascii_case(language))
        });
        Self { browser, language: wanted.next().unwrap_or("en") }
    }

    /// From where it is, in words. The versions of a browser are not told apart, nor are the addresses of a network.
    pub fn device(&self, network: Network) -> String {
        format!("{}, {network}", self.browser)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visitor(agent: &str, languages: &str) -> Visitor {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, agent.parse().expect("a value"));
        headers.insert(header::ACCEPT_LANGUAGE, languages.parse().expect("a value"));
        Visitor::of(&headers)
    }

    #[test]
    fn a_browser_is_known_by_its_kind_and_not_by_its_version() {
        let of = |agent| visitor(agent, "en").browser;
        assert_eq!(of("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"), "Firefox on Linux");
        assert_eq!(
            of(
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0"
            ),
            "Edge on Windows"
        );
        assert_eq!(of("Mozilla/5.0 (Macintosh; Intel Mac OS X 15) Version/18 Safari/605.1"), "Safari on macOS");
        assert_eq!(of("curl/8.5"), "curl");
        assert_eq!(of("<b>\"x\""), "an unknown program");
    }

    #[test]
    fn the_first_language_that_mail_is_written_in_is_taken() {
        let of = |languages| visitor("", languages).language;
        assert_eq!(of("de-AT,de;q=0.9,en;q=0.8"), "de");
        assert_eq!(of("pl, FR;q=0.5"), "fr");
        assert_eq!(of("pl"), "en");
        assert_eq!(of(""), "en");
    }
}
