//! Whose page sent a request: what keeps another's page from acting with a person's cookie.

use poem::http::{HeaderMap, HeaderValue, Uri, header};

use crate::domain::problem::{Code, Problem};

/// Whose page sent a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestOrigin {
    /// Ours.
    Own,
    /// Another's.
    Foreign,
    /// It does not say: no page of a browser did.
    Unsaid,
}

impl RequestOrigin {
    /// `public_url` is the origin under which people reach this server.
    pub fn of(headers: &HeaderMap, public_url: &str) -> Self {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (Some(origin), None) if origin.as_bytes() == public_url.as_bytes() => Self::Own,
            (Some(_), _) => Self::Foreign,
            (None, _) => match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
                Some(b"same-origin") => Self::Own,
                // A person's own typing or bookmark.
                Some(b"none") | None => Self::Unsaid,
                Some(_) => Self::Foreign,
            },
        }
    }
}

/// `403 csrf_failed`.
pub fn refusal(public_url: &str) -> Problem {
    let detail = format!(
        "With a session cookie this needs the header `Origin: {public_url}` or `Sec-Fetch-Site: same-origin`, as a browser \
         sends them from our own pages. Behind a proxy, set --public-url."
    );
    Problem::new(Code::CsrfFailed, detail)
}

/// The configured URL, else scheme and host of the request.
pub fn public_url(configured: Option<&str>, uri: &Uri, headers: &HeaderMap) -> String {
    if let Some(configured) = configured {
        return configured.to_owned();
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| uri.authority().map(poem::http::uri::Authority::as_str)).unwrap_or_default();
    format!("http://{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request_origin(pairs: &[(&'static str, &'static str)]) -> RequestOrigin {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        RequestOrigin::of(&headers, "https://support.acme.com")
    }

    #[test]
    fn a_page_is_ours_by_its_whole_origin_or_by_what_the_browser_says() {
        assert_eq!(request_origin(&[("origin", "https://support.acme.com")]), RequestOrigin::Own);
        assert_eq!(request_origin(&[("sec-fetch-site", "same-origin")]), RequestOrigin::Own);
        for foreign in ["https://support.acme.com.evil.example", "http://support.acme.com", "null", ""] {
            assert_eq!(
                request_origin(&[("origin", foreign), ("sec-fetch-site", "same-origin")]),
                RequestOrigin::Foreign,
                "{foreign}"
            );
        }
        for foreign in ["same-site", "cross-site"] {
            assert_eq!(request_origin(&[("sec-fetch-site", foreign)]), RequestOrigin::Foreign);
        }
        assert_eq!(
            request_origin(&[("origin", "https://support.acme.com"), ("origin", "https://x")]),
            RequestOrigin::Foreign
        );
        assert_eq!(request_origin(&[]), RequestOrigin::Unsaid);
    }
}
