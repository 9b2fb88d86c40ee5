//! Which answers are sent encoded, and how: what a client may say of it (`Accept-Encoding`, RFC 9110, 12.5.3), and what an
//! answer then says of itself.
//!
//! Only what GET and HEAD are answered with. Secrets that are shown once (keys, tokens, the link of an invitation) answer a
//! POST: their length, encoded, would tell of them. Neither are errors, files, or streams of events.

use hyper::body::Body as _;
use poem::{
    Response,
    http::{HeaderMap, HeaderValue, StatusCode, header},
};

use crate::{
    codings::{Coding, LEAST},
    domain::problem::Problem,
    http::failure,
    response_cache::Shown,
};

/// Those of text that is made whole before it is sent.
const TYPES: [&str; 4] = ["application/json", "text/html", "text/css", "text/javascript"];

/// The coding in which a client wants its answer most; `None` is as it is. Of several that it wants as much, the one that
/// takes fewer bytes. What cannot be read was not said, and to who takes nothing at all that there is, an answer goes as it is.
pub fn preferred(headers: &HeaderMap) -> Option<Coding> {
    let values = headers.get_all(header::ACCEPT_ENCODING);
    let said: Vec<(&[u8], u16)> =
        values.iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).filter_map(weighed).collect();
    let said = |names: &[&str]| {
        let is_one = |name: &[u8]| names.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        said.iter().find(|(name, _)| is_one(name)).map(|(_, weight)| *weight)
    };
    let weight = |coding| match coding {
        // Its older name means the same (RFC 9110, 8.4.1.3).
        Coding::Gzip => said(&["gzip", "x-gzip"]),
        Coding::Brotli => said(&["br"]),
    };
    // As it is weighs nothing where it is not mentioned: any coding that is mentioned is wanted more.
    let mut best = (said(&["identity"]).unwrap_or(0), None);
    for coding in Coding::ALL.into_iter().rev() {
        let weight = weight(coding).or_else(|| said(&["*"])).unwrap_or(0);
        if weight > 0 && weight >= best.0 {
            best = (weight, Some(coding));
        }
    }
    best.1
}

/// `gzip;q=0.5`: a name, and what it weighs in thousandths.
fn weighed(item: &[u8]) -> Option<(&[u8], u16)> {
    let mut parts = item.splitn(2, |byte| *byte == b';').map(<[u8]>::trim_ascii);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let Some(weight) = parts.next() else { return Some((name, 1000)) };
    let value = weight.strip_prefix(b"q=").or_else(|| weight.strip_prefix(b"Q="))?;
    let (whole, thousandths) = match value {
        [whole] => (whole, &[][..]),
        [whole, b'.', thousandths @ ..] if thousandths.len() <= 3 => (whole, thousandths),
        _ => return None,
    };
    let digits = [whole].into_iter().chain(thousandths).chain(b"000").take(4);
    let weight =
        digits.map(|digit| char::from(*digit).to_digit(10)).try_fold(0, |sum, digit| Some(sum * 10 + digit?))?;
    (weight <= 1000).then(|| u16::try_from(weight).ok()).flatten().map(|weight| (name, weight))
}

/// The answer, in `coding` where that is worth it.
///
/// An entity tag is weak then (RFC 9110, 8.8.1): a strong one would name other bytes for each coding. It says that the client
/// has this content, in whichever coding it got it; and since all that decides on it is how long the content is, 304 and HEAD
/// have the tag that the whole answer would have.
pub async fn encoded(mut response: Response, coding: Option<Coding>) -> Response {
    let kept = response.extensions_mut().remove::<Shown>();
    if kept.is_none() && !is_text(&response) {
        return response;
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    let Some(coding) = coding else { return response };
    let encoded = if let Some(kept) = kept {
        if kept.length() >= LEAST {
            weaken(response.headers_mut());
        }
        if response.status() == StatusCode::NOT_MODIFIED {
            return response;
        }
        kept.encoded(coding).await
    } else {
        let (sized, length) = measured(response);
        response = sized;
        // What is still being made is sent piece by piece, and not held back.
        if length.is_none() {
            return response;
        }
        let text = match response.take_body().into_bytes().await {
            Ok(text) => text,
            Err(error) => return failure::response(&Problem::internal(error)),
        };
        response.set_body(text.clone());
        coding.encode(text).await
    };
    if let Some(encoded) = encoded {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.set_body(encoded);
    }
    response
}

/// It is text, whole, and not encoded yet.
fn is_text(response: &Response) -> bool {
    let kind = response.content_type().and_then(|kind| kind.split(';').next()).unwrap_or_default();
    response.status() == StatusCode::OK
        && TYPES.contains(&kind)
        && !response.headers().contains_key(header::CONTENT_ENCODING)
}

fn weaken(headers: &mut HeaderMap) {
    let weak = |etag: &HeaderValue| HeaderValue::try_from([b"W/", etag.as_bytes()].concat()).ok();
    let strong = headers.get(header::ETAG).filter(|etag| !etag.as_bytes().starts_with(b"W/"));
    if let Some(etag) = strong.and_then(weak) {
        headers.insert(header::ETAG, etag);
    }
}

/// An answer to HEAD: with the headers that a GET would have.
pub fn without_body(response: Response) -> Response {
    let (mut response, length) = measured(response);
    if let Some(length) = length.filter(|length| *length > 0) {
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(length.into());
    }
    response.set_body(());
    response
}

/// An answer, and how many bytes its body has, where that is known before it is sent.
pub fn measured(response: Response) -> (Response, Option<u64>) {
    let (parts, body) = response.into_parts();
    let held: hyper::Response<_> = Response::from(body).into();
    let body = held.into_body();
    let length = body.size_hint().exact();
    (Response::from_parts(parts, body.into()), length)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use poem::Body;

    use super::*;

    fn headers(lines: &[&'static str]) -> HeaderMap {
        lines.iter().map(|line| (header::ACCEPT_ENCODING, HeaderValue::from_static(line))).collect()
    }

    #[test]
    fn what_a_client_wants_most_is_chosen_and_what_it_refuses_never() {
        let (as_it_is, gzip, brotli) = (None, Some(Coding::Gzip), Some(Coding::Brotli));
        for (lines, chosen) in [
            (&[][..], as_it_is),
            (&[""], as_it_is),
            (&["identity"], as_it_is),
            (&["gzip"], gzip),
            (&["x-gzip"], gzip),
            (&["br"], brotli),
            (&["GZip"], gzip),
            // As browsers say it.
            (&["gzip, deflate, br, zstd"], brotli),
            (&["gzip,br"], brotli),
            (&["br;q=0.5, gzip;q=0.500"], brotli),
            (&["br;q=0.8, gzip;q=0.9"], gzip),
            (&["br;q=0.999, gzip;q=1.000"], gzip),
            (&["gzip;q=0.001"], gzip),
            // Several headers are one.
            (&["gzip;q=0.5", "br;q=0.9"], brotli),
            (&["br;q=0", "gzip"], gzip),
            // Of what is not mentioned.
            (&["*"], brotli),
            (&["*;q=0.1, br;q=0"], gzip),
            (&["*, gzip;q=0.5"], brotli),
            (&["*;q=0.5, gzip"], gzip),
            (&["*;q=0"], as_it_is),
            (&["*;q=0, gzip"], gzip),
            // As it is, where that is wanted more, and where it is not wanted and nothing else fits.
            (&["identity, gzip;q=0.5"], as_it_is),
            (&["identity;q=0.5, *;q=0.4"], as_it_is),
            (&["identity;q=0.5, gzip;q=0.5"], gzip),
            (&["identity;q=0, gzip;q=0.1"], gzip),
            (&["identity;q=0"], as_it_is),
            (&["identity;q=0, deflate"], as_it_is),
            (&["gzip;q=0, br;q=0.0, identity;q=0.000"], as_it_is),
            (&["deflate, zstd, compress"], as_it_is),
            // Spaces and empty items.
            (&[" , gzip ; q=0.5 ,, \tbr ;Q=0.6,"], brotli),
            // What cannot be read was not said.
            (&["gzip;q=2"], as_it_is),
            (&["gzip;q=1.001"], as_it_is),
            (&["gzip;q=-1"], as_it_is),
            (&["gzip;q=0.1234"], as_it_is),
            (&["gzip;q=.5"], as_it_is),
            (&["gzip;q=1,5"], gzip),
            (&["gzip;q="], as_it_is),
            (&["gzip;"], as_it_is),
            (&["gzip;level=9"], as_it_is),
            (&["gzip;q=1;q=1"], as_it_is),
            (&["gzip br"], as_it_is),
            (&["br;q=x, gzip"], gzip),
            (&[";q=1, \"br\""], as_it_is),
            (&["gzipped"], as_it_is),
        ] {
            assert_eq!(preferred(&headers(lines)), chosen, "{lines:?}");
        }
        let mut garbage = headers(&["gzip"]);
        garbage.insert(header::ACCEPT_ENCODING, HeaderValue::from_bytes(b"\xff\xfe;q=\x80").expect("bytes"));
        assert_eq!(preferred(&garbage), as_it_is);
    }

    #[tokio::test]
    async fn what_is_no_whole_text_or_is_encoded_already_is_left_alone() {
        let text = "a word ".repeat(LEAST);
        let stream =
            || Body::from_bytes_stream(futures_util::stream::iter([std::io::Result::Ok(Bytes::from(text.clone()))]));
        let answer = |kind: &str| Response::builder().content_type(kind);
        let other = Response::builder().status(StatusCode::PARTIAL_CONTENT).content_type("text/css");
        for (case, response, varies) in [
            ("a stream of events", answer("text/event-stream").body(stream()), false),
            ("text that is not whole", answer("application/json").body(stream()), true),
            ("a download", answer("text/plain; charset=utf-8").body(text.clone()), false),
            ("a picture", answer("image/png").body(text.clone()), false),
            ("an error", answer("application/problem+json").status(StatusCode::NOT_FOUND).body(text.clone()), false),
            ("a page of an error", answer("text/html").status(StatusCode::NOT_FOUND).body(text.clone()), false),
            ("a part", other.body(text.clone()), false),
            ("nothing said", Response::builder().body(text.clone()), false),
        ] {
            let mut left = encoded(response, Some(Coding::Gzip)).await;
            assert_eq!(left.header("content-encoding"), None, "{case}");
            assert_eq!(left.header("vary"), varies.then_some("Accept-Encoding"), "{case}");
            assert_eq!(left.take_body().into_string().await.ok().as_ref(), Some(&text), "{case}");
        }
        let done = answer("text/css").header(header::CONTENT_ENCODING, "zstd").body(text.clone());
        assert_eq!(encoded(done, Some(Coding::Gzip)).await.header("content-encoding"), Some("zstd"));
    }

    #[tokio::test]
    async fn text_is_encoded_and_says_so_and_its_tag_is_weak() {
        let text = "a word ".repeat(LEAST);
        let answer = || {
            let answer = Response::builder().content_type("text/html; charset=utf-8").header(header::VARY, "Cookie");
            answer.header(header::CONTENT_LENGTH, text.len()).body(text.clone())
        };
        let as_it_is = encoded(answer(), None).await;
        assert_eq!(as_it_is.header("content-encoding"), None);
        let vary = |response: &Response| response.headers().get_all(header::VARY).iter().count();
        assert_eq!(vary(&as_it_is), 2);
        for coding in Coding::ALL {
            let encoded = encoded(answer(), Some(coding)).await;
            assert_eq!(encoded.header("content-encoding"), Some(coding.name()));
            assert_eq!((vary(&encoded), encoded.header("content-length")), (2, None));
            let (_, length) = measured(encoded);
            assert!(length.is_some_and(|length| length < 1000), "{length:?}");
        }
        for (etag, weak) in [("\"a\"", "W/\"a\""), ("W/\"a\"", "W/\"a\"")] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ETAG, HeaderValue::from_static(etag));
            weaken(&mut headers);
            assert_eq!(headers[header::ETAG], weak);
        }
    }
}
