//! The line that each request leaves in the log, once: who asked for what as ids and templates, how it ended, what it cost.
//! A stream's comes at its end, that of a request whose client went away when it is let go of.

use std::{
    collections::HashSet,
    pin::Pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use poem::{
    Response,
    http::{Method, StatusCode, header},
};
use uuid::Uuid;

use crate::{
    domain::request_id::REQUEST_ID,
    limits::Network,
    telemetry::{
        meters::{Answered, Meters, Route, Template},
        request::Seen,
    },
};

/// The client went away before there was an answer.
const ABANDONED: u16 = 499;
/// Parts of a path that no route has, shown at the most.
const PARTS: usize = 16;

/// What every request has that took no route.
static UNMATCHED: LazyLock<Template> = LazyLock::new(|| Template::of("unmatched"));

/// A request, whose line is written when this is dropped.
pub struct Line {
    pub seen: Arc<Seen>,
    pub id: String,
    pub log: tracing::Span,
    pub began: Instant,
    pub surface: &'static str,
    pub method: Method,
    pub path: String,
    pub network: Network,
    /// Words that may be shown of a path that no route has: those of routes.
    pub words: Arc<HashSet<String>>,
    pub status: Option<StatusCode>,
    /// Bytes of the answer's body.
    pub sent: u64,
}

impl Line {
    /// Hands the answer on. The line is written now, or at the end of an answer that is a stream.
    pub fn answer(mut self, response: Response) -> Response {
        self.status = Some(response.status());
        self.count(response.status().as_u16());
        let events = response.headers().get(header::CONTENT_TYPE);
        let events = events.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let (parts, body) = response.into_parts();
        let held: hyper::Response<_> = Response::from(body).into();
        let body = held.into_body();
        if let Some(size) = body.size_hint().exact() {
            self.sent = if self.method == Method::HEAD { 0 } else { size };
            return Response::from_parts(parts, body.into());
        }
        let listening = events.then(|| Listening::begin(&self.seen));
        let streamed = hyper::Response::new(Streamed { body, line: self, _listening: listening });
        Response::from_parts(parts, Response::from(streamed).into_body())
    }

    fn template(&self) -> Template {
        self.seen.known().template.unwrap_or_else(|| UNMATCHED.clone())
    }

    fn count(&self, status: u16) {
        let meters: &Meters = self.seen.meters();
        let (surface, route) = (self.surface, self.template());
        meters
            .request_seconds
            .get_or_create(&Route { surface, route: route.clone() })
            .observe(seconds(self.began.elapsed()));
        let answered = Answered { surface, route, method: method_name(&self.method), status };
        meters.requests.get_or_create(&answered).inc();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.status.is_none() {
            self.count(ABANDONED);
        }
        let status = self.status.map_or(ABANDONED, |status| status.as_u16());
        let (known, method) = (self.seen.known(), method_name(&self.method));
        self.seen.span().end_request(&self.id, method, status, &known);
        self.log.in_scope(|| {
            if !tracing::enabled!(tracing::Level::INFO) {
                return;
            }
            let route = self.template();
            tracing::info!(
                method,
                route = route.as_str(),
                path = shown(known.template.as_ref(), &self.path, &self.words),
                status,
                org_id = known.org_id.map(tracing::field::display),
                site_id = known.site_id.map(tracing::field::display),
                key_id = known.key_id.map(tracing::field::display),
                user_id = known.user_id.map(tracing::field::display),
                network = %self.network,
                limit = known.limit,
                received = known.received,
                sent = self.sent,
                ms = milliseconds(self.began.elapsed()),
                pool_ms = milliseconds(known.in_pool),
                db_ms = milliseconds(known.in_database),
                "{}", if self.status.is_some() { "answered" } else { "abandoned" }
            );
        });
    }
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

/// To the microsecond.
fn milliseconds(time: Duration) -> f64 {
    (seconds(time) * 1e6).round() / 1e3
}

/// One of the methods that HTTP has; whatever else was sent is `other`.
pub fn method_name(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// A path without what its client wrote into it, which may be a secret: of the route's template only ids are filled in, and
/// of a path that no route has only the words are shown that some route has.
fn shown(template: Option<&Template>, path: &str, words: &HashSet<String>) -> String {
    let given = path.split('/').skip(1);
    let parts: Vec<&str> = match template {
        Some(template) => {
            let named = template.as_str().split('/').skip(1);
            named
                .zip(given)
                .map(|(named, given)| if named.starts_with('{') && is_id(given) { given } else { named })
                .collect()
        }
        None => given
            .take(PARTS)
            .map(|part| if part.is_empty() || is_id(part) || words.contains(part) { part } else { "*" })
            .collect(),
    };
    format!("/{}", parts.join("/"))
}

fn is_id(part: &str) -> bool {
    part.len() == 36 && Uuid::try_parse(part).is_ok()
}

/// One who listens to a stream of events, until it is dropped.
struct Listening(Arc<Seen>);

impl Listening {
    fn begin(seen: &Arc<Seen>) -> Self {
        seen.meters().event_streams.inc();
        Self(Arc::clone(seen))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.meters().event_streams.dec();
    }
}

/// An answer whose end is not known when it begins. What it does meanwhile is done for its request.
struct Streamed<B> {
    body: B,
    line: Line,
    _listening: Option<Listening>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Streamed<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Self { body, line, .. } = &mut *self;
        let (seen, id) = (Arc::clone(&line.seen), line.id.clone());
        let polled =
            seen.sync_scope(|| REQUEST_ID.sync_scope(id, || line.log.in_scope(|| Pin::new(body).poll_frame(cx))));
        let frame = ready!(polled);
        if let Some(Ok(frame)) = &frame {
            line.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_shows_ids_and_words_of_routes_and_nothing_else() {
        let id = "0b8e3c2e-64f1-4a53-9f0c-3f0f5a2f1d11";
        let words = ["v1", "orgs", "support"].map(str::to_owned).into();
        let template = Template::of("/v1/orgs/{org}/tickets/{id}");
        let of = |path: &str| shown(Some(&template), path, &words);
        assert_eq!(of(&format!("/v1/orgs/pk_secret/tickets/{id}")), format!("/v1/orgs/{{org}}/tickets/{id}"));
        assert_eq!(of("/v1/orgs/acme/tickets/ada@example.com"), "/v1/orgs/{org}/tickets/{id}");
        assert_eq!(shown(None, "/api/v1/orgs/hunter2/", &words), "/*/v1/orgs/*/");
        assert_eq!(shown(None, &"/v1".repeat(1000), &words), "/v1".repeat(PARTS));
        assert_eq!(shown(None, "*", &words), "/");
    }

    #[test]
    fn a_method_that_nobody_knows_is_not_repeated() {
        assert_eq!(method_name(&Method::PATCH), "PATCH");
        assert_eq!(method_name(&Method::from_bytes(b"pk_secret").expect("a token")), "other");
    }
}
