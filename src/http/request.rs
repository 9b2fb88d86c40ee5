//! What both surfaces do with a request before a handler sees it.

use std::{net::IpAddr, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use poem::{
    Body, Request,
    http::{HeaderMap, HeaderValue, Version, header},
    web::RemoteAddr,
};
use tokio::time::Instant;

use crate::{
    domain::problem::{Code, Problem},
    http::upload,
    limits::{self, Network, Standing},
    memory_budget::Reservation,
    state::App,
    telemetry::request as seen,
};

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(20);
/// How long the first byte may take, and then a second for so many bytes.
const SLOWEST_START: Duration = Duration::from_secs(10);
const SLOWEST: u64 = 16 * 1024;
/// How long what is refused is read on.
const DISCARD_TIME: Duration = Duration::from_secs(5);
/// Who sends nothing for so long waits for the answer.
const SILENCE: Duration = Duration::from_millis(500);
/// How long files may take: 25 MiB at 2 Mbit/s.
const UPLOAD_TIME: Duration = Duration::from_mins(2);

/// What a proxy before us and we could read differently, and so take one request for two (RFC 9112, 3.2 and 6.1): HTTP/1.1
/// without exactly one `Host`, and a `Transfer-Encoding` that is not `chunked` alone.
///
/// # Errors
/// `400 invalid_request`.
pub fn unambiguous(request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    let refused = |detail: &'static str| Err(Problem::new(Code::InvalidRequest, detail));
    if request.version() == Version::HTTP_11 && headers.get_all(header::HOST).iter().count() != 1 {
        return refused("A request has exactly one Host header.");
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => refused("The only Transfer-Encoding that is read is `chunked`."),
    }
}

/// The body, of at most `most` bytes, and the memory that it takes until the answer is given.
///
/// # Errors
/// `413 body_too_large`; `400` when it cannot be read or does not arrive in time; `503 overloaded` when too much is being
/// sent at once.
pub async fn read_body(
    request: &mut Request,
    most: usize,
    app: &App,
    network: Network,
) -> Result<(Body, Reservation), Problem> {
    read(request, most, BODY_TIME, app.text.reserve(network)).await
}

/// A body of files, and the memory that it takes until the answer is given.
///
/// # Errors
/// Those of [`read_body`].
pub async fn read_files(request: &mut Request, app: &App, network: Network) -> Result<(Body, Reservation), Problem> {
    read(request, upload::BODY, UPLOAD_TIME, app.uploads.reserve(network)).await
}

/// A body that is mail, and the memory that it takes until the mail is committed.
///
/// # Errors
/// Those of [`read_body`].
pub async fn read_mail(
    request: &mut Request,
    most: usize,
    app: &App,
    network: Network,
) -> Result<(Body, Reservation), Problem> {
    read(request, most, UPLOAD_TIME, app.incoming.reserve(network)).await
}

/// Reads on for a while without keeping anything: a client that is refused in the middle of what it sends would see its
/// connection break and never the answer.
pub async fn discard(request: &mut Request) {
    read_on(counted(request.take_body())).await;
}

/// The bytes of a body, which the request's access line counts.
fn counted(body: Body) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Unpin {
    body.into_bytes_stream().inspect_ok(|chunk| seen::note(|known| known.received += chunk.len() as u64))
}

async fn read_on(mut rest: impl Stream<Item = Result<Bytes, std::io::Error>> + Unpin) {
    let sending = async { while let Ok(Some(Ok(_))) = tokio::time::timeout(SILENCE, rest.next()).await {} };
    let _ = tokio::time::timeout(DISCARD_TIME, sending).await;
}

fn declared(request: &Request) -> Option<u64> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn read(
    request: &mut Request,
    most: usize,
    time: Duration,
    mut reservation: Reservation,
) -> Result<(Body, Reservation), Problem> {
    let too_large = || Problem::new(Code::BodyTooLarge, format!("A body may have {} KiB at the most.", most / 1024));
    if declared(request).is_some_and(|length| length > most as u64) {
        discard(request).await;
        return Err(too_large());
    }
    let began = Instant::now();
    let mut stream = counted(request.take_body());
    let mut bytes = BytesMut::new();
    let refusal = loop {
        // More time for who sends more, up to all of it.
        let until = began + time.min(SLOWEST_START + Duration::from_secs(bytes.len() as u64 / SLOWEST));
        match tokio::time::timeout_at(until, stream.next()).await {
            Ok(None) => return Ok((Body::from_bytes(bytes.freeze()), reservation)),
            Ok(Some(Ok(chunk))) if bytes.len() + chunk.len() > most => break too_large(),
            Ok(Some(Ok(chunk))) => match reservation.grow(chunk.len() as u64).await {
                Ok(()) => bytes.extend_from_slice(&chunk),
                Err(problem) => break problem,
            },
            Ok(Some(Err(_))) => return Err(Problem::new(Code::InvalidRequest, "The body could not be read.")),
            Err(_) => return Err(Problem::new(Code::InvalidRequest, "The body did not arrive in time.")),
        }
    };
    drop((bytes, reservation));
    read_on(stream).await;
    Err(refusal)
}

/// Who connected: a client, or a proxy.
pub fn peer(request: &Request) -> IpAddr {
    let RemoteAddr(peer) = request.remote_addr();
    peer.as_socket_addr().map_or(IpAddr::from([0, 0, 0, 0]), std::net::SocketAddr::ip).to_canonical()
}

/// The client's network, as seen past the configured proxies.
pub fn client_network(request: &Request, app: &App) -> Network {
    let peer = peer(request);
    let forwarded = request.headers().get_all("x-forwarded-for").iter();
    // A byte that is none of an address makes its entry none, and no other.
    let forwarded: Vec<_> = forwarded.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    let forwarded = (!forwarded.is_empty()).then(|| forwarded.join(","));
    Network::of(limits::client_address(peer, forwarded.as_deref(), &app.trusted_proxies))
}

/// `429` when one of the limits is used up.
pub fn over(standings: &[Standing]) -> Option<Problem> {
    let exceeded = standings.iter().find(|standing| standing.exceeded)?;
    seen::refused(exceeded.policy.name());
    let seconds = exceeded.reset_seconds();
    let detail = format!("The limit `{}` is used up. Try again in {seconds} s.", exceeded.policy.name());
    Some(Problem { retry_after: Some(seconds), ..Problem::new(Code::RateLimited, detail) })
}

/// Says where the limits stand.
pub fn say_limits(headers: &mut HeaderMap, standings: &[Standing]) {
    for (name, value) in
        [("ratelimit-policy", limits::policy_header(standings)), ("ratelimit", limits::rate_limit_header(standings))]
    {
        if let (false, Ok(value)) = (value.is_empty(), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
}

/// What went wrong on our side is logged here, once; callers see its code and the request id.
pub fn log(problem: &Problem) {
    if let Some(cause) = &problem.cause {
        tracing::error!(code = problem.code.as_str(), cause, "request failed");
    }
}
